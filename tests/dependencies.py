#!/usr/bin/env python3
"""Spares a fresh clone the build of what we depend on.

usage: tests/dependencies.py save       copies it from target into the user's cache
       tests/dependencies.py restore    copies it into target, where there is none

Our own crates stay out. Cargo decides what of the copy is still good and builds the rest, so at worst nothing is spared; a copy
that fails is no failure. Only a target that `restore` has found missing is saved, so nothing old is kept with it.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
TARGET = PROJECT / "target"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "network-guard"
# Which copy was missing when target was.
MARK = PROJECT / ".cache" / "dependencies-to-save"
# What no clone has asked for in a month is not needed any more.
OLD = 30 * 24 * 3600


def output(*command):
    return subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.PIPE, text=True).stdout


def saved():
    """The folder for this compiler, these versions and these profiles."""
    made_of = (PROJECT / "Cargo.lock").read_text() + output("rustc", "-vV")
    made_of += "".join(re.findall(r"^\[profile[^\[]*", (PROJECT / "Cargo.toml").read_text(), re.MULTILINE))
    return CACHE / f"dependencies-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}"


def is_ours():
    """Tells the files of our crates, which are called by a target's name and a hash."""
    packages = json.loads(output("cargo", "metadata", "--format-version=1", "--no-deps"))["packages"]
    names = {package["name"] for package in packages} | {t["name"] for package in packages for t in package["targets"]}
    either = "|".join(re.escape(name).replace(r"\-", "[-_]") for name in sorted(names))
    return re.compile(rf"(lib)?({either})-[0-9a-f]{{16}}\b.*").fullmatch


def copy(source, into, part, ignore=None):
    """All or nothing: no half of it ever has its name."""
    shutil.rmtree(part, ignore_errors=True)
    try:
        shutil.copytree(source, part, symlinks=True, ignore=ignore)
        part.rename(into)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def save(into):
    if not MARK.exists() or MARK.read_text() != into.name:
        return
    MARK.unlink()
    ours = is_ours()

    def ignore(folder, names):
        if Path(folder) == TARGET:
            return {name for name in names if name not in ("debug", "quick")}
        if Path(folder).parent == TARGET:
            return {name for name in names if name not in ("build", "deps", ".fingerprint")}
        return {name for name in names if ours(name)}

    if not into.exists():
        copy(TARGET, into, into.with_name(f"{into.name}.part"), ignore)


def restore(source):
    # A link that leads nowhere is somebody's, too.
    if os.path.lexists(TARGET):
        return
    MARK.parent.mkdir(exist_ok=True)
    if source.exists():
        copy(source, TARGET, MARK.parent / "target.part")
    else:
        MARK.write_text(source.name)


def main():
    actions = {"save": save, "restore": restore}
    if len(sys.argv) != 2 or sys.argv[1] not in actions:
        sys.exit(__doc__)
    if "CARGO_TARGET_DIR" in os.environ:
        return
    try:
        CACHE.mkdir(parents=True, exist_ok=True)
        # One copy at a time, for all clones.
        with open(CACHE / "dependencies.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            folder = saved()
            actions[sys.argv[1]](folder)
            if folder.exists():
                os.utime(folder)
            for other in CACHE.glob("dependencies-*"):
                if time.time() - other.stat().st_mtime > OLD:
                    shutil.rmtree(other)
    except OSError as error:
        print(f"{sys.argv[1]} of dependencies: {str(error)[:300]}; goes on without", file=sys.stderr)


main()
