#!/usr/bin/env python3
"""Spares a fresh clone the build of what we depend on.

usage: tests/dependencies.py save       copies it from target into the user's cache
       tests/dependencies.py restore    copies it into target, where there is none

Our own crates stay out. Cargo decides what of the copy is still good and builds the rest, so at worst nothing is spared.
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


def copy(source, into, ignore=None):
    """All or nothing: a copy that is interrupted leaves no half of it under its name."""
    part = into.with_name(f"{into.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(source, part, symlinks=True, ignore=ignore)
    part.rename(into)


def save(into):
    if into.exists():
        return
    ours = is_ours()

    def ignore(folder, names):
        if Path(folder) == TARGET:
            return {name for name in names if name not in ("debug", "quick")}
        if Path(folder).parent == TARGET:
            return {name for name in names if name not in ("build", "deps", ".fingerprint")}
        return {name for name in names if ours(name)}

    copy(TARGET, into, ignore)


def main():
    actions = {"save": save, "restore": lambda source: TARGET.exists() or not source.exists() or copy(source, TARGET)}
    if len(sys.argv) != 2 or sys.argv[1] not in actions:
        sys.exit(__doc__)
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


main()
