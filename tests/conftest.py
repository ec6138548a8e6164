# SPDX-License-Identifier: GPL-2.0-or-later
"""Shared by every pytest file: TAP output, so that Meson sees and counts each case,
and the fixtures that start the emulated machine."""

import os
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("DUVISOR_BUILD", ROOT / "build"))
RUN = ROOT / "scripts" / "run"
# On a slow or loaded machine, give everything more time.
SCALE = float(os.environ.get("DUVISOR_TEST_TIMEOUT_SCALE", "1"))


# --- TAP ----------------------------------------------------------------------


class Tap:
    """Prints one line per case, with what failed as diagnostics."""

    def __init__(self, out):
        self.out = out
        self.number = 0

    def line(self, text):
        print(text, file=self.out, flush=True)

    def case(self, report, verdict, note=""):
        self.number += 1
        name = report.nodeid.split("::", 1)[-1].replace("#", "")
        self.line(f"{verdict} {self.number} - {name}{note}")

    def pytest_collection_finish(self, session):
        self.line(f"1..{len(session.items)}")

    def pytest_runtest_logreport(self, report):
        if report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.wasxfail
            self.case(report, "ok", f" # SKIP {reason}")
        elif report.failed and report.when in ("setup", "call"):
            self.case(report, "not ok")
        elif report.passed and report.when == "call":
            self.case(report, "ok")
            # What a test has measured, by the fixture record_property.
            for name, value in report.user_properties:
                self.line(f"# {name}: {value}")
        if report.failed:
            for text in str(report.longrepr).splitlines():
                self.line(f"# {text}")
            if report.when == "teardown":
                self.line("Bail out! a fixture failed to clean up")


    def pytest_sessionfinish(self, session, exitstatus):
        # Failed cases are told by their lines; the status is for what broke the run.
        if exitstatus == pytest.ExitCode.TESTS_FAILED:
            session.exitstatus = pytest.ExitCode.OK


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    config.addinivalue_line("markers", "slow: left out by scripts/test --quick")
    if os.environ.get("DUVISOR_TAP"):
        config.pluginmanager.unregister(name="terminalreporter")
        config.pluginmanager.register(Tap(os.fdopen(os.dup(1), "w")), "tap")


# --- the machine ----------------------------------------------------------------


def scaled(seconds):
    return seconds * SCALE


def run(*args, timeout=60, stdin=subprocess.DEVNULL, **kwargs):
    """scripts/run to its end: a CompletedProcess with text output."""
    command = [str(RUN), "--no-build", "--timeout", str(scaled(timeout)), *map(str, args)]
    return subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=False,
                          errors="replace", timeout=scaled(timeout) + 30, **kwargs)


def host(command, *args, **kwargs):
    """A shell command in the emulated host."""
    return run("--exec", command, *args, **kwargs)


# Each thread is told all the time to be somewhere else.
MOVED = """
(COMMAND </dev/null >/tmp/out 2>&1; echo $? >/tmp/status) &
moves=0
until [ -e /tmp/status ]; do
    for task in /proc/$(pidof NAME)/task/*; do
        taskset -p $((MASK)) ${task##*/} >/dev/null 2>&1 && moves=$((moves + 1))
    done
done
cat /tmp/out
echo "status $(cat /tmp/status), moves $moves"
"""


def moved(command, mask):
    """A script for the host: the command, whose threads it moves to other harts; then the status, and how many moves.

    mask is shell arithmetic for the harts of the next move, where $moves counts those that were."""
    name = Path(command.split()[0]).name
    return MOVED.replace("COMMAND", command).replace("NAME", name).replace("MASK", mask)


def pack(files, out):
    """What is in the folder as a part of an initrd, to come behind the guest's own."""
    with open(out, "wb") as packed:
        subprocess.run("find . | cpio -o -H newc -R 0:0 --quiet | gzip", shell=True, check=True,
                       cwd=files, stdout=packed)


def sums(text):
    """The checksums by the files' names."""
    words = [line.split() for line in text.splitlines()]
    return {line[1]: line[0] for line in words if len(line) == 2 and len(line[0]) == 64}


class Console(pexpect.spawn):
    """scripts/run on a terminal, with what it said kept for a failing test."""

    def __init__(self, *args, timeout=60):
        super().__init__(str(RUN), ["--no-build", "--timeout", str(scaled(timeout) * 3),
                                    *map(str, args)],
                         timeout=scaled(timeout), encoding="utf-8", codec_errors="replace",
                         dimensions=(40, 132))
        self.logfile_read = sys.stdout

    def ask(self, text, prompt="guest# "):
        """Type a command; what it printed, without the echoed line and the prompt."""
        self.sendline(text)
        self.expect_exact(prompt)
        lines = self.before.replace("\r", "").split("\n")
        return "\n".join(lines[1:]).strip()

    def finish(self):
        """Wait for the end; scripts/run's exit status."""
        self.expect(pexpect.EOF)
        self.close()
        return self.exitstatus


@pytest.fixture
def console():
    started = []

    def start(*args, **kwargs):
        started.append(Console(*args, **kwargs))
        return started[-1]

    yield start
    for one in started:
        one.close(force=True)


@pytest.fixture(scope="session")
def duvisor():
    """Skips what needs the hypervisor where it is not built."""
    if not (BUILD / "duvisor-core" / "duvisor").exists():
        pytest.skip("duvisor is not built")
