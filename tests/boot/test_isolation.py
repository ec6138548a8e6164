# SPDX-License-Identifier: GPL-2.0-or-later
"""VMs with the same vCPU numbers beside each other, in a storm of IPIs and fences (tests/guest/storm.c),
while VMs die, vCPUs are moved about, and CPUs of the host go: nobody loses a message or gets another's."""

import re
import subprocess

import pytest
from conftest import BUILD, ROOT, host, scaled

PAYLOADS = BUILD / "tests" / "guest"
# A case takes some seconds. One that stands still must be able to say so before Meson's time for all is over.
TIMEOUT = 250

# Without interrupt files the host's kernel has the firmware fence other harts, and OpenSBI 1.6 notes which harts run
# before it asks them one after the other (sbi_ipi_send_many()): one that stops in between never answers, and the hart
# that asked waits for it for ever. With interrupt files the kernel fences by IPIs of its own.
AIA = ["--host-aia", "0"]

# Payloads are copied first: Linux' 9p once told one of several VMs that began together that there is no such file.
# vm NAME PAYLOAD OPTION...: a VM in the background; its output goes to /tmp/NAME, its process id is $pid.
# ended NAME PID: wait for it; what it said. alive PID. threads PID: wait until its vCPUs exist.
SHELL = """
mkdir /tmp/elf && cp /share/*.elf /tmp/elf
vm() {
    name=$1 elf=$2; shift 2
    duvisor run -k /tmp/elf/$elf.elf --mem 8M -c 3 "$@" </dev/null >/tmp/$name 2>&1 &
    pid=$!
}
ended() { wait $2; echo "$1: $(sed -n 1p /tmp/$1) status $?"; }
alive() { [ -d /proc/$1/task ] && ! grep -q '^State:.*Z' /proc/$1/status 2>/dev/null; }
threads() { while alive $1 && ! grep -qx vcpu-2 /proc/$1/task/*/comm; do sleep 0.05; done; }
# For whoever reads why the time ran out, just before it does: what the harts and the VMs' threads are at.
stuck() {
    sleep $almost
    echo l >/proc/sysrq-trigger; echo w >/proc/sysrq-trigger
    dmesg | tail -n 100 | cut -c1-120
    head -n 2 /tmp/storm* /tmp/witness /tmp/count 2>/dev/null
    for task in $(pidof duvisor | sed 's,[0-9]*,/proc/&/task/*,g'); do
        echo "$(cat $task/comm): state, ticks, CPU $(cut -d' ' -f3,14,15,39 $task/stat), in $(cat $task/wchan), $(cat $task/syscall)"
    done
    echo "not ended after $almost s; CPUs $(cat /sys/devices/system/cpu/online)"
}
(stuck &)
"""
GOOD = re.compile(r"^storm\d*: ok 1 - (\d+) mails to 3 harts, each taken once; bad: 0 status 0$")
UNSEEN = "witness: ok 1 - 3 harts saw foreign interrupts: 0 status 0"


def lines(script, *board):
    done = host(f"almost={int(scaled(TIMEOUT) * 0.9)}\n" + SHELL + script, "--host-cpus", 4, "--share", PAYLOADS,
                *board, timeout=TIMEOUT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def mails(told, name):
    """How many a storm says that it took."""
    found = [GOOD.match(line) for line in told if line.startswith(name + ":")]
    assert len(found) == 1 and found[0], told
    return int(found[0][1])


@pytest.mark.slow
def test_storms_see_nothing_of_each_other():
    told = lines("""
vm noise1 storm -p rounds=1000000; a=$pid; threads $a
vm noise2 storm -p rounds=1000000; b=$pid; threads $b
vm witness witness -p ms=2000; w=$pid
vm storm storm -p rounds=100
ended storm $pid; ended witness $w
alive $a && alive $b && echo overlap
kill -9 $a $b
""")
    assert "overlap" in told and UNSEEN in told, told
    assert mails(told, "storm") == 300


@pytest.mark.slow
def test_a_vm_killed_while_it_posts_harms_no_other():
    told = lines("""
vm storm1 storm -p rounds=300; a=$pid; threads $a
while alive $a; do
    vm victim storm -p rounds=1000000; threads $pid
    sleep 0.2; kill -9 $pid; wait $pid; echo "victim: $?"
done
ended storm1 $a
until [ "$(cat /sys/module/duvisor/refcnt)" = 0 ]; do sleep 0.1; done
vm storm2 storm -p rounds=10; ended storm2 $pid
""")
    assert told.count("victim: 137") > 1 and not [x for x in told if x == "victim: 0"], told
    assert mails(told, "storm1") == 900 and mails(told, "storm2") == 30


@pytest.mark.slow
def test_messages_see_nothing_of_each_other():
    """With AIA: interrupt files with the same numbers in each VM, and a VM that is killed while it sends."""
    told = lines("""
storms() { until [ -e /tmp/stop ]; do vm storms ipi; wait $pid; done; }
victims() { until [ -e /tmp/stop ]; do vm victims ipi; threads $pid; sleep 0.2; kill -9 $pid; done; }
storms & victims &
vm witness witness -p ms=2000; w=$pid
for i in 1 2 3; do vm count ipi; ended count $pid; done
ended witness $w
touch /tmp/stop; wait
""", *AIA)
    assert told.count("count: # by IMSIC status 0") == 3 and UNSEEN in told, told


@pytest.mark.slow
def test_a_short_soak_and_idle_vms():
    done = subprocess.run([ROOT / "scripts" / "soak", "--no-build", "--short", "wall", "icount",
                           "idle"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall("^soak: (.*): passed$", done.stdout, re.M) == ["wall", "icount", "idle"]


# The host's kernel does not wait for a hart to have stopped before it may be started again: then the firmware refuses.
# And it gives up on a hart that has not come in a second ("Input/output error"). If that one comes later after all, it
# counts as online without being so, and the host soon stands still when another CPU goes.
MOVED = {
    "vcpus-from-hart-to-hart": ([], """
    for mask in 1 2 4 8 f; do
        for task in /proc/$a/task/*; do taskset -p $mask ${task##*/} >/dev/null 2>&1; done
    done"""),
    "off-harts-that-go": (AIA, """
    for cpu in 1 2 3; do
        [ $late ] && break
        echo 0 >/sys/devices/system/cpu/cpu$cpu/online && gone=$((gone + 1))
        for try in $(seq 200); do
            said=$( (echo 1 >/sys/devices/system/cpu/cpu$cpu/online) 2>&1) && break
            case $said in *Input/output*) late=1; echo "CPU $cpu came too late for the host's kernel"; break ;; esac
        done
    done"""),
}


@pytest.mark.slow
@pytest.mark.parametrize("how", MOVED)
def test_posts_reach_vcpus_that_are_moved(how):
    board, move = MOVED[how]
    told = lines(f"""
vm storm storm -p rounds=300; a=$pid; threads $a
rounds=0 gone=0 late=
while alive $a; do
    rounds=$((rounds + 1)){move}
done
ended storm $a; echo $gone $rounds
""", *board)
    assert mails(told, "storm") == 900
    assert len(told) == 2, told
    gone, rounds = map(int, told[-1].split())
    assert rounds >= 1 and (gone >= 3 or how != "off-harts-that-go"), told
