# SPDX-License-Identifier: GPL-2.0-or-later
"""The life of the hypervisor's process: stopped, killed, started a thousand times, with the wrong module."""

import re
import shutil
import subprocess

import pytest
from conftest import BUILD, ROOT, host

PAYLOADS = BUILD / "tests" / "guest"
# start OPTION...: a guest in the background, until it has said something: $vm is its process, /tmp/out what it said.
# nothing_left: how many processes and users of the module there are, whether another guest runs, and the module goes.
SHELL = """
start() {
    duvisor run --kernel /share/ticks.elf --mem 4M "$@" </dev/null >/tmp/out 2>&1 & vm=$!
    until grep -qs tick /tmp/out; do sleep 0.05; done
}
lines() { wc -l </tmp/out; }
nothing_left() {
    ps | grep -v grep | grep -c 'duvisor run'
    awk '$1 == "duvisor" { print $3 }' /proc/modules
    duvisor run --kernel /share/off.elf; echo $?
    rmmod duvisor && echo unloaded
}
"""
NOTHING_LEFT = ["0", "0", "0", "unloaded"]


def life(script):
    """The words that the script says; the shell's own remarks on who was killed are not among them."""
    done = host(SHELL + script, "--share", PAYLOADS)
    assert done.returncode == 0, done.stdout + done.stderr
    return [word for word in done.stdout.split() if word not in ("Hangup", "Terminated", "Killed")]


@pytest.mark.parametrize("number", ["STOP", "TSTP"])
def test_stopped_and_continued(number):
    still, moving, alive = life(f"""
    start; kill -{number} $vm; sleep 0.2; a=$(lines); sleep 0.5; b=$(lines)
    kill -CONT $vm; sleep 0.5; c=$(lines)
    echo $((b - a)) $((c - b)); kill -0 $vm && echo alive; kill $vm
    """)
    assert int(still) == 0
    assert int(moving) > 0
    assert alive == "alive"


@pytest.mark.parametrize("number, status", [("HUP", 129), ("TERM", 143), ("KILL", 137)])
def test_killed_leaves_nothing(number, status):
    said = life(f"""
    start; kill -{number} $vm; wait $vm 2>/dev/null; echo $?
    nothing_left
    """)
    assert said == [str(status), *NOTHING_LEFT]


def test_ctrl_c_without_a_terminal_leaves_nothing():
    """A command in the background ignores SIGINT: this one is in the foreground, as a script's is."""
    said = life("""
    (until grep -qs tick /tmp/out; do sleep 0.05; done; kill -INT $(pidof duvisor)) &
    sh -c 'duvisor run --kernel /share/ticks.elf --mem 4M </dev/null >/tmp/out 2>&1; echo $?'
    nothing_left
    """)
    assert said == ["130", *NOTHING_LEFT]


def test_memory_beside_the_guests_own():
    """Of the process's resident pages, those that are not guest RAM: with Linux up, below 3 MiB."""
    said = life(r"""
    duvisor run -k /guest/Image -i /guest/initramfs.cpio.gz --mem 256M \
        -p 'console=ttyS0 quiet -- sh -c "echo up; sleep 1000"' </dev/null >/tmp/out 2>&1 & vm=$!
    until grep -qs up /tmp/out; do sleep 0.05; done
    awk '/^Size/ { ram = ($2 == 256 * 1024) } /^Rss/ { kib[ram] += $2 } END { print kib[0], kib[1] }' \
        /proc/$vm/smaps
    kill $vm
    """)
    beside, ram = map(int, said)
    assert 0 < beside < 3 * 1024
    assert ram > 4 * 1024


def test_module_in_use_stays():
    said = life("start; rmmod duvisor 2>/dev/null; echo $?; a=$(lines); sleep 0.5; b=$(lines)\n"
                "echo $((b - a)); kill $vm")
    assert said[0] != "0"
    assert int(said[1]) > 0


def test_thread_names_and_affinity():
    said = life("""
    start --cpus 2 --cpu-affinity 1=0 --cpu-affinity 0=1
    for task in /proc/$vm/task/*; do
        echo $(cat $task/comm):$(sed -n 's/^Cpus_allowed_list:.//p' $task/status)
    done
    kill $vm
    """)
    assert sorted(said) == ["duvisor:0-1", "vcpu-0:1", "vcpu-1:0"]


@pytest.mark.parametrize("option, expected", [("", "2:1"), ("--no-sandbox", "0:0")])
def test_sandbox_is_around_all_threads(option, expected):
    said = life(f"""
    start --cpus 2 {option}
    for task in /proc/$vm/task/*; do
        echo $(awk '/^Seccomp:|^NoNewPrivs:/ {{ word[$1] = $2 }}
            END {{ print word["Seccomp:"] ":" word["NoNewPrivs:"] }}' $task/status)
    done
    kill $vm
    """)
    assert said == [expected] * 3


LEAK = r"""
free() { # KiB of free pages, those that the kernel keeps ready for each CPU included
    echo 3 >/proc/sys/vm/drop_caches
    awk '/^MemFree/ { kib += $2 } /^ +count:/ { kib += $2 * 4 } END { print kib }' \
        /proc/meminfo /proc/zoneinfo
}
objects() { awk 'NR > 2 { print $1, $2 }' /proc/slabinfo >/tmp/objects.$1; }
lives() {
    i=0
    while [ $i -lt $1 ]; do
        duvisor run --kernel /share/off.elf --mem 4M --cpus 2 </dev/null || exit 1
        i=$((i + 1))
    done
}
lives 100
free_before=$(free)
objects before
lives 1000
echo $((free_before - $(free)))
objects after
awk 'NR == FNR { before[$1] = $2; next } $2 - before[$1] > most { most = $2 - before[$1] }
    END { print most + 0 }' /tmp/objects.before /tmp/objects.after
awk '$1 == "duvisor" { print $3 }' /proc/modules
"""


@pytest.mark.slow
def test_a_thousand_lives_leave_nothing():
    done = host(LEAK, "--share", PAYLOADS, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    memory, objects, users = map(int, done.stdout.split())
    # A page lost in each life would be 4,000 KiB; an object, 1,000 more of its kind in the kernel.
    assert memory < 2000
    assert objects < 500
    assert users == 0


def test_another_version_of_the_module(tmp_path):
    """A module that says version 99 is refused with one line that names both versions."""
    shim = tmp_path / "tree" / "kernel-shim"
    shutil.copytree(ROOT / "kernel-shim", shim)
    (shim.parent / "duvisor-core").symlink_to(ROOT / "duvisor-core")
    header = shim / "include/uapi/duvisor.h"
    text, count = re.subn(r"(#define DUVISOR_ABI_VERSION) \d+", r"\1 99", header.read_text())
    assert count == 1
    header.write_text(text)
    subprocess.run([shim / "build-module", BUILD / "linux", tmp_path / "work",
                    tmp_path / "duvisor.ko"], check=True, capture_output=True)
    done = host("rmmod duvisor; insmod /share/duvisor.ko; "
                "duvisor run --kernel /guest/Image; echo $?", "--share", tmp_path)
    line, status = done.stdout.splitlines()
    assert status == "6"
    assert "99" in line and "version" in line
