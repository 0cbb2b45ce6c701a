#!/usr/bin/env python3
"""Writes what is linked into the program: the list of it, sbom.cdx.json, and its licences, LICENSES.

    contents.py TARGET FOLDER
    contents.py --libraries        prints what is linked in beside packages of cargo

cargo-cyclonedx goes by what the lock file could need; here it is held against what this target does need, which cargo
itself says. Places on this machine are taken out.
"""

import json
import pathlib
import platform
import subprocess
import sys
from subprocess import DEVNULL, PIPE
from urllib.parse import quote


manifest = pathlib.Path(__file__).resolve().parent.parent / "Cargo.toml"


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], check=True, stdout=PIPE, text=True, cwd=manifest.parent).stdout


def needed(target):
    """Names and versions of all packages that are linked in, or make code that is."""
    lines = cargo(
        "tree", "--locked", "-e", "normal", "--target", target, "--prefix", "none", "--no-dedupe", "-f", "{p}"
    ).splitlines()
    return {(line.split()[0], line.split()[1].removeprefix("v")) for line in lines if line}


def deb(package):
    """What Debian's package manager knows of a package: its version, the name of its sources, its architecture."""
    try:
        form = "${Version}\t${source:Package}\t${Architecture}"
        found = subprocess.run(["dpkg-query", "-W", "-f", form, package], stdout=PIPE, stderr=DEVNULL, text=True)
    except FileNotFoundError:
        return None
    return found.stdout.split("\t") if found.returncode == 0 else None


def distribution():
    """As scanners name a distribution, such as debian-12."""
    said = platform.freedesktop_os_release()
    return said["ID"], f"{said['ID']}-{said.get('VERSION_ID', '')}".rstrip("-")


def of_distribution(name, package, licence, url):
    """A library of the distribution. Scanners look for its advisories by this kind of package URL alone: by the distribution that
    it names, and by the name of the sources (`upstream`), under which Debian keeps them."""
    found = deb(package)
    if found is None:
        # Nobody matches that, but it is said.
        return name, platform.libc_ver()[1], licence, url, f"pkg:generic/{name}@{platform.libc_ver()[1]}", None
    (version, source, architecture), (vendor, distro) = found, distribution()
    purl = f"pkg:deb/{vendor}/{package}@{quote(version, safe='')}?arch={architecture}&distro={distro}&upstream={quote(source)}"
    return package, version, licence, url, purl, None


def unwinder():
    """The package with the part of GCC that is linked in, libgcc_eh.a: the one of the compiler that links."""
    version = subprocess.run(["cc", "-dumpversion"], check=True, stdout=PIPE, text=True).stdout.strip()
    return f"libgcc-{version.split('.')[0]}-dev"


def libraries():
    """What is linked in beside packages of cargo."""
    rustc = subprocess.run(["rustc", "-V"], check=True, stdout=PIPE, text=True).stdout.split()[1]
    for name, version, licence, url, purl, cpe in [
        of_distribution("glibc", "libc6-dev", "LGPL-2.1-or-later", "https://www.gnu.org/software/libc/"),
        of_distribution("libgcc", unwinder(), "GPL-3.0-or-later WITH GCC-exception-3.1", "https://gcc.gnu.org/"),
        # The standard library. Scanners know it by this name, and by the CPE under which its advisories are.
        ("rust", rustc, "MIT OR Apache-2.0", "https://github.com/rust-lang/rust", f"pkg:generic/rust@{rustc}",
         f"cpe:2.3:a:rust-lang:rust:{rustc}:*:*:*:*:*:*:*"),
    ]:
        yield {
            "type": "library", "bom-ref": purl, "name": name, "version": version, "scope": "required",
            "licenses": [{"expression": licence}], **({"cpe": cpe} if cpe else {}), "purl": purl,
            "externalReferences": [{"type": "website", "url": url}],
        }


def bom(packages, target):
    file = manifest.parent / "sbom.json"
    cargo(
        "cyclonedx", "-qq", "--format", "json", "--spec-version", "1.5", "--no-build-deps", "--target", target,
        "--override-filename", "sbom",
    )
    found = json.loads(file.read_text())
    file.unlink()

    # It writes one for each crate.
    for other in manifest.parent.glob("crates/*/sbom.json"):
        other.unlink()

    own = found["metadata"]["component"]
    # The place of the sources, as a reference and as an address.
    references = {own["bom-ref"]: own["purl"].split("?")[0]}
    own.pop("components", None)
    components = [c for c in found["components"] if (c["name"], c["version"]) in packages]
    references |= {component["bom-ref"]: component["purl"].split("?download_url=file")[0] for component in components}
    for component in [own, *components]:
        component["bom-ref"] = component["purl"] = references[component["bom-ref"]]
    dependencies = [
        {
            "ref": references[dependency["ref"]],
            "dependsOn": sorted(references[on] for on in dependency.get("dependsOn", []) if on in references),
        }
        for dependency in found["dependencies"]
        if dependency["ref"] in references
    ]
    linked = list(libraries())
    own_dependencies = next(dependency for dependency in dependencies if dependency["ref"] == own["bom-ref"])
    own_dependencies["dependsOn"] += [library["bom-ref"] for library in linked]
    found["components"], found["dependencies"] = components + linked, dependencies
    return found


def licences(packages):
    """The texts that packages bring along, each once, with those that bring it."""
    texts = {}
    for package in json.loads(cargo("metadata", "--locked", "--format-version", "1"))["packages"]:
        sources = pathlib.Path(package["manifest_path"]).parent
        if (package["name"], package["version"]) not in packages or sources.is_relative_to(manifest.parent) and package["source"] is None:
            continue
        name = f"{package['name']} {package['version']} ({package['license'] or 'see below'})"
        files = [f for f in sources.iterdir() if f.name.upper().startswith(("LICEN", "COPYING", "NOTICE", "COPYRIGHT"))]
        for file in sorted(file for file in files if file.is_file()):
            texts.setdefault(file.read_text(errors="replace").strip(), set()).add(name)
        if not files:
            texts.setdefault("(no text in the package)", set()).add(name)
    # What Debian says of its libraries.
    for name, path in [
        ("glibc", "/usr/share/doc/libc6-dev/copyright"), ("glibc", "/usr/share/common-licenses/LGPL-2.1"),
        ("libgcc", f"/usr/share/doc/{unwinder()}/copyright"), ("libgcc", "/usr/share/common-licenses/GPL-3"),
    ]:
        file = pathlib.Path(path)
        if file.exists():
            texts.setdefault(file.read_text(errors="replace").strip(), set()).add(f"{name} ({file.name})")
    line = "=" * 120
    parts = [f"{line}\n" + "\n".join(sorted(names)) + f"\n{line}\n\n{text}\n" for text, names in texts.items()]
    return "\n".join(sorted(parts))


if sys.argv[1] == "--libraries":
    print(json.dumps(list(libraries()), indent=1))
else:
    target, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    packages = needed(target)
    (folder / "sbom.cdx.json").write_text(json.dumps(bom(packages, target), indent=1, ensure_ascii=False) + "\n")
    (folder / "LICENSES").write_text(licences(packages))
