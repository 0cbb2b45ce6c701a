#!/usr/bin/env python3
"""Writes what is linked into the program: the list of it, sbom.cdx.json, and its licences, LICENSES.

    contents.py TARGET FOLDER

cargo-cyclonedx goes by what the lock file could need; here it is held against what this target does need, which cargo
itself says. Places on this machine are taken out.
"""

import json
import pathlib
import platform
import subprocess
import sys

# What Debian says of its libc.
DISTRIBUTION = [pathlib.Path("/usr/share/doc/libc6-dev/copyright"), pathlib.Path("/usr/share/common-licenses/LGPL-2.1")]

target, folder = sys.argv[1], pathlib.Path(sys.argv[2])
manifest = pathlib.Path(__file__).resolve().parent.parent / "Cargo.toml"


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], check=True, stdout=subprocess.PIPE, text=True, cwd=manifest.parent).stdout


def needed():
    """Names and versions of all packages that are linked in, or make code that is."""
    lines = cargo(
        "tree", "--locked", "-e", "normal", "--target", target, "--prefix", "none", "--no-dedupe", "-f", "{p}"
    ).splitlines()
    return {(line.split()[0], line.split()[1].removeprefix("v")) for line in lines if line}


def libraries():
    """What is linked in beside packages: no registry knows it."""
    rustc = subprocess.run(["rustc", "-V"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()[1]
    glibc = platform.libc_ver()[1]
    for name, version, licence, url in [
        ("glibc", glibc, "LGPL-2.1-or-later", "https://www.gnu.org/software/libc/"),
        ("rust-std", rustc, "MIT OR Apache-2.0", "https://github.com/rust-lang/rust"),
    ]:
        purl = f"pkg:generic/{name}@{version}"
        yield {
            "type": "library", "bom-ref": purl, "name": name, "version": version, "scope": "required",
            "licenses": [{"expression": licence}], "purl": purl,
            "externalReferences": [{"type": "website", "url": url}],
        }


def bom(packages):
    file = manifest.parent / "sbom.json"
    cargo(
        "cyclonedx", "-qq", "--format", "json", "--spec-version", "1.5", "--no-build-deps", "--target", target,
        "--override-filename", "sbom",
    )
    found = json.loads(file.read_text())
    file.unlink()

    own = found["metadata"]["component"]
    # The place of the sources, as a reference and as an address.
    references = {own["bom-ref"]: own["purl"].split("?")[0]}
    own.pop("components", None)
    components = [c for c in found["components"] if (c["name"], c["version"]) in packages]
    references |= {component["bom-ref"]: component["purl"] for component in components}
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
        if (package["name"], package["version"]) not in packages or sources == manifest.parent:
            continue
        name = f"{package['name']} {package['version']} ({package['license'] or 'see below'})"
        files = [f for f in sources.iterdir() if f.name.upper().startswith(("LICEN", "COPYING", "NOTICE", "COPYRIGHT"))]
        for file in sorted(file for file in files if file.is_file()):
            texts.setdefault(file.read_text(errors="replace").strip(), set()).add(name)
        if not files:
            texts.setdefault("(no text in the package)", set()).add(name)
    for file in DISTRIBUTION:
        if file.exists():
            texts.setdefault(file.read_text(errors="replace").strip(), set()).add(f"glibc ({file.name})")
    line = "=" * 120
    parts = [f"{line}\n" + "\n".join(sorted(names)) + f"\n{line}\n\n{text}\n" for text, names in texts.items()]
    return "\n".join(sorted(parts))


packages = needed()
(folder / "sbom.cdx.json").write_text(json.dumps(bom(packages), indent=1, ensure_ascii=False) + "\n")
(folder / "LICENSES").write_text(licences(packages))
