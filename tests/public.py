#!/usr/bin/env python3
"""Lists public items of the crates that nobody outside their crate uses.

usage: tests/public.py [--dead]

An item is found by its name, as text: one that shares its name with another item that is used counts as used. So nothing is listed
wrongly but what only a macro names, and a few are missed.

  dead   nothing but its own definition and unit tests names it: delete it (with --dead only these are listed, and the exit code is 1
         if there are any)
  inner  only its own crate names it
"""

import re
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ITEM = re.compile(
    r"^\s*pub (?:const |async |unsafe )*(fn|struct|enum|trait|const|static|type|macro|union)\s+(?:mut )?(\w+)", re.M
)
WORD = re.compile(r"[A-Za-z_]\w*")
COMMENT = re.compile(r"^\s*//.*$|\s//\s.*$", re.M)
TESTS = re.compile(r"#\[cfg\(test\)\]\s*(?:pub(?:\([^)]*\))? )?mod \w+ \{.*", re.S)


def is_test(path: Path) -> bool:
    return path.name in ("tests.rs", "fixtures.rs") or "tests" in path.relative_to(ROOT).parts[2:]


def words(text: str) -> Counter:
    return Counter(WORD.findall(text))


def main() -> int:
    only_dead = "--dead" in sys.argv[1:]
    crates = {path.parent.name: sorted((path.parent / "src").rglob("*.rs")) for path in (ROOT / "crates").glob("*/Cargo.toml")}
    crates["network-guard"] = sorted((ROOT / "src").rglob("*.rs"))
    outside = sorted(path for folder in ("tests", "benches", "examples") for path in (ROOT / folder).rglob("*.rs"))
    own, code, items = {}, {}, {}
    for crate, files in crates.items():
        own[crate], items[crate] = Counter(), []
        for path in files:
            text = path.read_text()
            if is_test(path):
                continue
            text = COMMENT.sub("", TESTS.sub("", text))
            own[crate] += words(text)
            for match in ITEM.finditer(text):
                line = text.count("\n", 0, match.start()) + 1
                items[crate].append((path.relative_to(ROOT), line, match.group(1), match.group(2)))
    from_tests = Counter()
    for path in outside:
        from_tests += words(COMMENT.sub("", path.read_text()))
    dead = 0
    for crate, found in sorted(items.items()):
        others = Counter()
        for other, counts in own.items():
            if other != crate:
                others += counts
        defined = Counter(name for *_, name in found)
        for path, line, kind, name in found:
            if others[name] or from_tests[name]:
                continue
            if own[crate][name] <= defined[name]:
                dead += 1
                print(f"dead   {path}: {kind} {name}")
            elif not only_dead:
                print(f"inner  {path}: {kind} {name}")
    total = sum(map(len, items.values()))
    print(f"{total} public items; {dead} dead", file=sys.stderr)
    return 1 if only_dead and dead else 0


if __name__ == "__main__":
    sys.exit(main())
