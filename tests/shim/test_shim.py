# SPDX-License-Identifier: GPL-2.0-or-later
"""The control plane's tests, in one boot of the emulated host for each kernel, and one with AIA.

Each TEST() of the C programs here is a case; so is the kernel's log, which must not
complain after all this, and the module's refusal of a processor without Xdv.
"""

import re
from pathlib import Path

import pytest
from conftest import BUILD, host

HERE = Path(__file__).parent
PROGRAMS = ["hello_guest", "ioctl", "switching", "kvm", "hostile", "lifetime"]
CASES = [(program, name)
         for program in PROGRAMS
         for name in re.findall(r"^TEST\((\w+)\)", (HERE / f"{program}.c").read_text(), re.M)]
HOSTS = {"built": [], "debian": ["--host-kernel", "debian"], "aia": ["--host-aia", "3"]}
COMPLAINTS = re.compile(
    r"BUG|WARNING|Oops|Unable to handle|unexpected|spurious|stall|lockup|Call Trace|leak",
    re.IGNORECASE)


def sections(text):
    """{heading: lines} of run-all's output."""
    found = {}
    for line in text.splitlines():
        if line.startswith("== "):
            lines = found.setdefault(line[3:], [])
        elif found:
            lines.append(line)
    return found


@pytest.fixture(scope="session", params=HOSTS)
def results(request):
    done = host(f"/share/run-all {' '.join(PROGRAMS)}", *HOSTS[request.param],
                "--share", BUILD / "tests" / "shim", timeout=900)
    found = sections(done.stdout)
    assert "log" in found, done.stdout[-2000:] + done.stderr[-2000:]
    return found


def verdict(lines, name):
    """A case's TAP line, and the remarks before it."""
    remarks = []
    for line in lines:
        match = re.match(r"(ok|not ok) \d+ - (\w+)( # SKIP)?", line)
        if not match:
            remarks.append(line)
        elif match[2] == name:
            return match[1], bool(match[3]), "\n".join(remarks)
        else:
            remarks = []
    return "no result", False, "\n".join(remarks)


@pytest.mark.parametrize("program,name", CASES, ids=lambda text: text)
def test_case(results, program, name):
    result, skipped, remarks = verdict(results.get(program, []), name)
    if skipped:
        pytest.skip(remarks)
    assert result == "ok", remarks


def test_every_result_has_a_case(results):
    """A plan of another length, or a case that this file does not see, is a failure."""
    for program in PROGRAMS:
        lines = results[program]
        expected = [name for owner, name in CASES if owner == program]
        assert f"1..{len(expected)}" in lines
        names = [line.split(" - ")[1].split(" #")[0] for line in lines
                 if re.match(r"(not )?ok \d", line)]
        assert names == expected


def test_kernel_does_not_complain(results):
    assert [line for line in results["log"] if COMPLAINTS.search(line)] == []


def test_kvm_comes_and_goes_beside_dv_guests():
    """Debian's KVM is a module: without it hideleg is zero, and it clears vsie and hvip as it goes."""
    done = host("rmmod kvm && /share/run-all hello_guest || exit; cd /tmp/shim; "
                "(while [ ! -e /tmp/stop ]; do insmod /lib/modules/kvm.ko && sleep 0.1 && rmmod kvm && "
                "echo x >>/tmp/times; sleep 0.1; done) & "
                "./switching; ./hostile; touch /tmp/stop; wait; echo times $(wc -l </tmp/times); "
                "echo == log; dmesg", "--host-kernel", "debian",
                "--share", BUILD / "tests" / "shim", timeout=300)
    lines = done.stdout.splitlines()
    results = re.findall(r"^(not ok|ok) \d+ - (\w+)", done.stdout, re.M)
    assert [(name, verdict(lines, name)) for result, name in results if result == "not ok"] == []
    assert len(results) == len([1 for program, _ in CASES
                                if program in ("hello_guest", "switching", "hostile")])
    assert int(re.search(r"^times (\d+)$", done.stdout, re.M)[1]) > 3
    log = sections(done.stdout[done.stdout.rindex("== log"):])["log"]
    assert [line for line in log if COMPLAINTS.search(line)] == []


@pytest.mark.parametrize("kernel", HOSTS)
def test_no_xdv_no_module(kernel):
    done = host("insmod /lib/duvisor.ko; echo status $?; ls /dev/duvisor; dmesg | grep duvisor:",
                *HOSTS[kernel], "--host-cpu", "rv64", "--host-append", "duvisor.noshim")
    lines = done.stdout.splitlines()
    assert "status 19" in lines  # ENODEV
    assert "/dev/duvisor" not in lines
    # busybox tries twice, by two system calls: one line each, and always the same.
    said = {line.split("] ", 1)[1] for line in lines
            if re.match(r"\[ *[\d.]+\] duvisor:", line) and "taint" not in line}
    assert said == {"duvisor: CPU 0 has not the extensions Xdv, H and Sstc"}


def test_no_sstc_no_module():
    done = host("insmod /lib/duvisor.ko; echo status $?",
                "--host-cpu", "rv64,sstc=off", "--host-append", "duvisor.noshim")
    assert "status 19" in done.stdout.splitlines()
