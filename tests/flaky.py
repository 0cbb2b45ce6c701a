#!/usr/bin/env python3
"""Looks for tests whose result depends on who is faster.

Runs every test once, and those of tests/flaky.txt ten times, under each of three conditions: an idle machine, one core,
and all cores busy. Prints what failed, as a table, and ends with 1 if anything did.

What may be chosen, by the environment:
  FLAKY_CONDITIONS  of: idle one-core busy        (all of them)
  FLAKY_SUITES      of: core runtime sources nat controllers lib it budget bounds e2e datapath (all of them)
  FLAKY_TIMES       how often a test of the list runs under each condition (10)
  FLAKY_ONLY        1: the tests of the list alone (0)
  FLAKY_MATCH       only tests whose names contain one of these words (none)
  FLAKY_THREADS     how many tests run at the same time (as many as there are cores); they wait most of the time, so more of
                    them end sooner
  FLAKY_HANG        after how many seconds a run is ended, whose open tests count as failed (5400)
  FLAKY_RESUME      1: what target/flaky/results.jsonl has already is not run again (0)

Each run that fails leaves its output in target/flaky. An interrupt prints what is known by then.
"""

import collections
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIST = ROOT / "tests/flaky.txt"
FOLDER = ROOT / "target/flaky"
RESULTS = FOLDER / "results.jsonl"
# The unit tests of each crate, and the programs of tests/.
UNITS = ["core", "runtime", "sources", "nat", "controllers", "lib"]
SUITES = [*UNITS, "it", "budget", "bounds", "e2e", "datapath"]
CONDITIONS = ["idle", "one-core", "busy"]
CORES = len(os.sched_getaffinity(0))


def words(variable, default):
    chosen = os.environ.get(variable, "").replace(",", " ").split() or default
    wrong = [word for word in chosen if default and word not in default]
    if wrong:
        sys.exit(f"{variable}: there is no {wrong[0]}; choose of: {' '.join(default)}")
    return chosen


def number(variable, default):
    try:
        return int(os.environ.get(variable, default))
    except ValueError:
        sys.exit(f"{variable}: {os.environ[variable]} is no number")


def build(suites):
    """Builds all tests and gives the program of each suite."""
    arguments = ["--lib"] if set(suites) & set(UNITS) else []
    arguments += [f"--test={suite}" for suite in suites if suite not in UNITS]
    command = ["cargo", "test", "--workspace", "--no-run", "--message-format=json-render-diagnostics", *arguments]
    built = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if built.returncode:
        sys.exit("the tests cannot be built")
    programs = {}
    for line in built.stdout.splitlines():
        message = json.loads(line)
        if message["reason"] == "compiler-artifact" and message["profile"]["test"] and message["executable"]:
            target = message["target"]
            # A crate network_guard_core is the suite core, and the program's own library is lib.
            crate = target["name"].removeprefix("network_guard").removeprefix("_") or "lib"
            programs[crate if "lib" in target["kind"] else target["name"]] = message["executable"]
    return {suite: programs[suite] for suite in suites}


def read_list():
    """The tests whose results time could change, by suite."""
    listed = collections.defaultdict(list)
    for line in LIST.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            suite, name = line.split()
            listed[suite].append(name)
    return listed


def names(program):
    """The tests of a program that run by default."""
    ask = lambda *further: subprocess.run(
        [program, "--list", *further], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    found = lambda text: re.findall(r"^(.+): test$", text, re.MULTILINE)
    ignored = set(found(ask("--ignored")))
    return [name for name in found(ask()) if name not in ignored]


class Condition:
    """What else the machine has to do while tests run."""

    def __init__(self, name):
        self.name, self.spinners = name, []

    def __enter__(self):
        if self.name == "busy":
            spin = [sys.executable, "-c", "while True: pass"]
            self.spinners = [subprocess.Popen(spin) for _ in range(CORES)]
        return self

    def __exit__(self, *_):
        for spinner in self.spinners:
            spinner.kill()
            spinner.wait()

    def wrap(self, command):
        first = str(min(os.sched_getaffinity(0)))
        return ["taskset", "--cpu-list", first, *command] if self.name == "one-core" else command


class Results:
    """Which test failed how often, of how many runs, under which condition; kept in a file."""

    def __init__(self, resume):
        self.counts, self.runs = collections.defaultdict(lambda: [0, 0]), {}
        FOLDER.mkdir(parents=True, exist_ok=True)
        if not resume:
            RESULTS.unlink(missing_ok=True)
        for line in RESULTS.read_text().splitlines() if RESULTS.exists() else []:
            self.take(json.loads(line))

    def take(self, run):
        self.runs[run["condition"], run["suite"], run["run"]] = run
        for name, passed in run["tests"].items():
            count = self.counts[run["condition"], f"{run['suite']} {name}"]
            count[0] += not passed
            count[1] += 1

    def add(self, run):
        self.take(run)
        with RESULTS.open("a") as file:
            file.write(json.dumps(run) + "\n")

    def print(self):
        conditions = [name for name in CONDITIONS if any(key[0] == name for key in self.counts)]
        total = lambda of: sum(count[of] for count in self.counts.values())
        tests = sorted({test for (_, test), (failed, _) in self.counts.items() if failed})
        print(f"\n{total(1)} runs of {len({test for _, test in self.counts})} tests, {total(0)} failed")
        if tests:
            width = max(map(len, tests))
            print("".join(["failed / runs".ljust(width), *(name.rjust(12) for name in conditions)]))
        for test in tests:
            cells = [self.counts.get((name, test)) for name in conditions]
            text = [f"{cell[0]} / {cell[1]}" if cell else "-" for cell in cells]
            print("".join([test.ljust(width), *(cell.rjust(12) for cell in text)]))
        return total(0)


def outcome(text, tests):
    """Which tests passed, by what their program printed."""
    if re.search(r"^test result: ", text, re.MULTILINE):
        # At the end it lists those that failed; what they and their servers print may break other lines.
        listed = text.rpartition("\nfailures:\n")[2].split() if "\ntest result: FAILED" in text else []
        return {name: name not in listed for name in tests}
    # It did not come to its end.
    good = set(re.findall(r"^test (\S+)(?: - should panic)? \.\.\. ok$", text, re.MULTILINE))
    return {name: name in good for name in tests}


def run(condition, suite, program, tests, label, hang):
    """Runs these tests of a program and says of each whether it passed."""
    environment = dict(os.environ, CARGO_MANIFEST_DIR=str(ROOT), INSTA_UPDATE="no", RUST_BACKTRACE="0")
    if threads := number("FLAKY_THREADS", 0):
        environment["RUST_TEST_THREADS"] = str(threads)
    environment.setdefault("NETWORK_GUARD_TOOLS", str(ROOT / ".cache/tools"))
    log = FOLDER / f"{condition.name}-{suite}-{label}.log"
    begun = time.monotonic()
    print(f"{time.strftime('%H:%M:%S')} {condition.name}: {suite} {label}: {len(tests)} tests", end="", flush=True)
    with log.open("w") as output:
        # In a group of its own: what hangs is ended with all that it started.
        command = condition.wrap([program, "--exact", *tests])
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            process.wait(hang)
        except subprocess.TimeoutExpired:
            output.write(f"\nended after {hang} s\n")
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    passed = outcome(log.read_text(errors="replace"), tests)
    failed = [name for name, good in passed.items() if not good]
    took = time.monotonic() - begun
    print(f", {took:.0f} s" + (f", FAILED: {' '.join(failed)}" if failed else ""), flush=True)
    if not failed:
        log.unlink()
    return {"condition": condition.name, "suite": suite, "run": label, "seconds": round(took), "tests": passed}


def main():
    if len(sys.argv) > 1:
        print(__doc__.strip())
        return 0 if sys.argv[1] in ("-h", "--help") else 2
    conditions, suites = words("FLAKY_CONDITIONS", CONDITIONS), words("FLAKY_SUITES", SUITES)
    times, hang, match = number("FLAKY_TIMES", 10), number("FLAKY_HANG", 5400), words("FLAKY_MATCH", [])
    only = number("FLAKY_ONLY", 0)
    is_chosen = lambda name: not match or any(word in name for word in match)

    programs, listed = build(suites), read_list()
    found = {suite: names(program) for suite, program in programs.items()}
    strange = [f"{suite} {name}" for suite in suites for name in listed[suite] if name not in found[suite]]
    strange += [f"{suite} {name}" for suite in listed.keys() - set(SUITES) for name in listed[suite]]
    if strange:
        sys.exit("\n".join([f"{LIST.name} names tests that do not exist:", *strange]))

    results = Results(number("FLAKY_RESUME", 0))
    try:
        for name in conditions:
            with Condition(name) as condition:
                for repetition in range(max(times, 1)):
                    for suite in suites:
                        tests = found[suite] if repetition == 0 and not only else listed[suite]
                        tests = [test for test in tests if is_chosen(test)]
                        label = f"{repetition + 1}"
                        if tests and (name, suite, label) not in results.runs:
                            results.add(run(condition, suite, programs[suite], tests, label, hang))
    except KeyboardInterrupt:
        print("\ninterrupted; what is known by now:")
        results.print()
        return 130
    return 1 if results.print() else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
