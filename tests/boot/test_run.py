# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/run itself: what a user can get wrong, and that it leaves nothing behind."""

import os
import re
import signal
import subprocess
import time

import pexpect
import pytest
from conftest import BUILD, ROOT, RUN, host, run, scaled

WRONG = {
    "unknown option": (["--no-such-option"], "unrecognized arguments: --no-such-option"),
    "missing kernel": (["--kernel", "/no/such/file"], "/no/such/file: no such file"),
    "kernel is a directory": (["--kernel", "/"], "/: is a directory"),
    "missing initrd": (["--initrd", "/no/initrd"], "/no/initrd: no such file"),
    "missing disk": (["--disk", "/no/disk"], "/no/disk: no such file"),
    "missing host disk": (["--host-disk", "/no/disk"], "/no/disk: no such file"),
    "missing share": (["--share", "/no/dir"], "/no/dir: no such directory"),
    "share is a file": (["--share", str(RUN)], "no such directory"),
    "no cpus": (["--cpus", "0"], "'0' is not a number from 1 to 64"),
    "cpus is a word": (["--host-cpus", "many"], "'many' is not a number"),
    "memory without number": (["--memory", "G"], "'G' is not a size"),
    "no memory": (["--host-memory", "0"], "'0' is not a size"),
    "no ports": (["--forward", "8080:http"], "'8080:http' is not two TCP ports"),
    "no emulator": (["--emulator", "/no/qemu"], "/no/qemu: no such file"),
    "wrong timeout": (["--timeout", "-1"], "'-1' is not a time"),
    "exec and shell": (["--exec", "true", "--host-shell"], "not allowed with argument"),
    "words for duvisor with exec": (["--exec", "true", "--", "-x"], "words after --"),
    "option without value": (["--exec"], "expected one argument"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_usage_is_one_line_and_status_2(case):
    args, text = WRONG[case]
    done = run(*args)
    assert done.returncode == 2
    assert done.stdout == ""
    assert text in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("run: ")


def test_help_names_every_option():
    done = run("--help")
    assert done.returncode == 0
    for option in ("--kernel --initrd --disk --append --cpus --memory --host-cpus --host-memory "
                   "--host-disk --host-kernel --host-shell --exec --share --icount --gdb").split():
        assert option in done.stdout


@pytest.mark.slow
def test_unusable_host_kernel_is_reported(tmp_path):
    broken = tmp_path / "Image"
    broken.write_bytes(os.urandom(4096))
    done = host("true", "--host-kernel", broken, "--timeout", scaled(4))
    assert done.returncode in (124, 125)
    assert done.stderr.splitlines()[-1].startswith("run: ")


def test_host_panic_is_reported_with_its_console():
    done = host("echo c >/proc/sysrq-trigger")
    assert done.returncode == 125
    assert "Kernel panic" in done.stderr
    assert "ended without a result" in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_timeout_ends_it_with_124():
    begin = time.monotonic()
    done = subprocess.run([RUN, "--no-build", "--timeout", "3", "--exec", "sleep 1000"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 124
    assert "no end after 3 s" in done.stderr
    assert time.monotonic() - begin < scaled(10)


def machines_of(pid):
    """Processes of QEMU whose files are below this run's folder."""
    work = str(BUILD / "run" / str(pid))
    found = subprocess.run(["pgrep", "-f", work], capture_output=True, text=True, check=False)
    return found.stdout.split()


def wait_until(what, seconds=10):
    end = time.monotonic() + scaled(seconds)
    while not what():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_killed_leaves_nothing_behind(number):
    with subprocess.Popen([RUN, "--no-build", "--exec", "sleep 1000"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as script:
        wait_until(lambda: machines_of(script.pid))
        script.send_signal(number)
        status = script.wait(scaled(10))
    assert status == (-number if number == signal.SIGKILL else 128 + number)
    wait_until(lambda: not machines_of(script.pid))
    # Nobody can clean up after SIGKILL: the next run does.
    if number == signal.SIGKILL:
        assert host("true").returncode == 0
    assert not (BUILD / "run" / str(script.pid)).exists()


def test_ctrl_c_reaches_the_host_shell(console):
    shell = console("--host-shell")
    shell.expect_exact("host# ")
    # Its words, not those of its echoed command line: it is in the foreground by then.
    shell.sendline("sh -c 'echo be''gun; exec sleep 1000'")
    shell.expect_exact("begun")
    shell.sendcontrol("c")
    shell.expect_exact("host# ")
    shell.sendline("exit 5")
    assert shell.finish() == 5


def test_terminal_is_restored_even_if_the_machine_dies():
    # A shell around it, on its own terminal, sees the settings before and after.
    script = f"stty -g; {RUN} --no-build --exec 'poweroff -f'; echo status $?; stty -g; exit"
    shell = pexpect.spawn("/bin/sh", ["-c", script], encoding="utf-8", timeout=scaled(30))
    shell.expect(pexpect.EOF)
    lines = shell.before.replace("\r", "").split("\n")
    settings = [line for line in lines if line.count(":") > 10]
    assert "status 125" in lines
    assert len(settings) == 2 and settings[0] == settings[1]


def test_input_from_a_pipe_ends_with_its_end():
    done = subprocess.run([RUN, "--no-build", "--exec", "cat; echo end"], input="one\ntwo\n",
                          capture_output=True, text=True, check=False, timeout=scaled(30))
    assert done.returncode == 0
    assert done.stdout.split() == ["one", "two", "end"]


@pytest.mark.slow
def test_gdb_waits_and_names_the_line_to_type():
    with subprocess.Popen([RUN, "--no-build", "--gdb", "--timeout", "60", "--exec", "exit 3"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, cwd=ROOT) as script:
        line = script.stderr.readline()
        assert "gdb-multiarch" in line and "target remote :" in line
        gdb = line.split("type: ", 1)[1].strip()
        done = subprocess.run(f"{gdb} -batch -ex 'break start_kernel' -ex continue -ex detach",
                              shell=True, capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, timeout=scaled(60))
        assert re.search(r"Breakpoint 1, .*start_kernel \(\)", done.stdout), done.stderr
        assert script.wait(scaled(60)) == 3
