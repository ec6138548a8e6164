# SPDX-License-Identifier: GPL-2.0-or-later
"""Build what is missing, run every test, print one closing line.

The tests are Meson's (`meson test -C build`), in the suites unit, isa, shim, boot and
lint.  Two more run only when they are named, as they get 100 to 200 packages from the
archive and take five to fifteen minutes: debian (a Debian guest, killed and booted again)
and applications (in such a guest).  The last line is "N passed, N failed" ("..., N
skipped" if any were), counting single cases: a test program that tells its cases apart
counts as that many.

exit status: 0 if all passed, 1 if any failed, 2 wrong usage, 125 if nothing could run.
"""

import argparse
import fcntl
import itertools
import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

from world import BUILD, ROOT

PASSED = {"OK", "EXPECTEDFAIL"}
EXIT_FAILED, EXIT_USAGE, EXIT_NOTHING = 1, 2, 125


class OneLineParser(argparse.ArgumentParser):
    def error(self, message):
        print(f"test: {message} (try --help)", file=sys.stderr)
        sys.exit(EXIT_USAGE)


def parse(argv):
    parser = OneLineParser(prog="scripts/test", description=__doc__, allow_abbrev=False,
                           formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-build", action="store_true", help="test what is built already")
    parser.add_argument("--quick", action="store_true", help="leave the slow tests out")
    parser.add_argument("--suite", action="append", default=[],
                        choices=["unit", "isa", "shim", "boot", "debian", "lint", "applications"],
                        help="only this suite (may be given again)")
    parser.add_argument("--verbose", action="store_true", help="show every case as it ends")
    parser.add_argument("test", nargs="*", help="only these tests (meson test --list)")
    return parser.parse_args(argv)


def step(*command):
    """A command whose progress is the user's to see."""
    return subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                          check=False).returncode == 0


def build():
    step(ROOT / "scripts" / "deps")
    if not shutil.which("meson"):
        return False
    if not (BUILD / "build.ninja").exists() and not step("meson", "setup", BUILD, ROOT):
        return False
    return step("meson", "compile", "-C", BUILD)


def run_tests(args, log_base):
    command = ["meson", "test", "-C", BUILD, "--no-rebuild", "--logbase", log_base]
    for suite in args.suite:
        command += ["--suite", suite]
    if not args.suite and not args.test:
        command += ["--no-suite", "debian", "--no-suite", "applications"]
    if args.quick:
        command += ["--no-suite", "slow"]
    if args.verbose:
        command += ["--verbose"]
    step(*command, *args.test)


def verdicts(suite):
    """[passed, failed, skipped] of the cases that a test told apart."""
    counts = [0, 0, 0]
    for case in suite.iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            counts[1] += 1
        elif case.find("skipped") is not None:
            counts[2] += 1
        else:
            counts[0] += 1
    return counts


def explain(test, lines=15, last=120):
    """Why a test failed: what it said after each failed case, in the middle of which pytest has the
    test's own text, or else its last words."""
    print(f"\n--- {test['name']}: {test['result']}")
    said = test.get("stdout", "").splitlines()
    shown = False
    for number, text in enumerate(said):
        if text.startswith("not ok") or text.startswith("Bail out!"):
            shown = True
            notes = list(itertools.takewhile(lambda more: more.startswith("#"), said[number + 1:]))
            if len(notes) > lines + last:
                notes[lines:-last] = ["# ..."]
            print("\n".join([text, *notes]))
    if not shown:
        print("\n".join((said + test.get("stderr", "").splitlines())[-lines:]))


def count(log):
    """Sum up Meson's two reports: the verdict of each test, and the cases of those with TAP."""
    # A test with cases is a suite of its own there, "PROJECT.TEST"; the others share one.
    suites = {}
    for suite in ElementTree.parse(log.with_suffix(".junit.xml")).getroot().iter("testsuite"):
        suites.setdefault(suite.get("name").split(".", 1)[-1], []).append(suite)
    total = [0, 0, 0]
    for line in log.with_suffix(".json").read_text(encoding="utf-8").split("\n"):
        if not line:
            continue
        test = json.loads(line)
        told = [0, 0, 0]
        if suites.get(test["name"]):
            told = verdicts(suites[test["name"]].pop(0))
        if not any(told):
            told[0 if test["result"] in PASSED else 2 if test["result"] == "SKIP" else 1] = 1
        elif test["result"] not in PASSED | {"SKIP"} and not told[1]:
            # It died or ran out of time between two cases.
            told[1] = 1
        if told[1]:
            explain(test)
        total = [a + b for a, b in zip(total, told)]
    return total


def main(argv):
    args = parse(argv)
    if not args.no_build and not build():
        print("test: the build failed, nothing was tested", file=sys.stderr)
        return EXIT_NOTHING
    # Logs of this run's own: another `meson test` beside it writes testlog.*.
    log = BUILD / "meson-logs" / "scripts-test"
    if not log.parent.is_dir():
        print(f"test: {BUILD} is not built", file=sys.stderr)
        return EXIT_NOTHING
    with open(log.with_suffix(".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for suffix in (".json", ".junit.xml"):
            log.with_suffix(suffix).unlink(missing_ok=True)
        run_tests(args, log.name)
        if not log.with_suffix(".junit.xml").exists():
            print("test: no test ran", file=sys.stderr)
            return EXIT_NOTHING
        passed, failed, skipped = count(log)
    print(f"\n{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return EXIT_FAILED if failed or not passed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
