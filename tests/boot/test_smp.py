# SPDX-License-Identifier: GPL-2.0-or-later
"""Many vCPUs and many VMs: Linux guests under load, more vCPUs than harts, twenty VMs at once."""

import re

import pytest
from conftest import BUILD, host, moved, run

PAYLOADS = BUILD / "tests" / "guest"
# As hackbench does: groups of processes that talk through pipes. All sums must be the same.
LOAD = ("nproc; i=0; while [ $i -lt 12 ]; do "
        "(dd if=/dev/zero bs=1k count=2000 2>/dev/null | md5sum) & i=$((i + 1)); "
        "done; wait; echo finished")


def linux(cpus, script):
    # A kernel that stalls, or finds a lock held for too long, panics, and the test with it.
    done = run("--host-cpus", 4, "--cpus", cpus, "--memory", "512M", "--append",
               f'quiet panic_on_warn=1 softlockup_panic=1 -- sh -c "{script}"', timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.replace("\r", "").split("\n")


@pytest.mark.slow
@pytest.mark.parametrize("cpus", [1, 2, 4, 8])
def test_linux_under_load(cpus):
    lines = linux(cpus, LOAD)
    assert str(cpus) in lines
    sums = [line for line in lines if re.fullmatch(r"[0-9a-f]{32}  -", line)]
    assert len(sums) == 12 and len(set(sums)) == 1
    assert "finished" in lines


@pytest.mark.slow
def test_cpus_of_a_guest_go_and_come_back():
    lines = linux(4, "for n in 1 2 3 4 5; do for c in 1 2 3; do "
                     "echo 0 >/sys/devices/system/cpu/cpu$c/online; done; nproc; "
                     "for c in 1 2 3; do echo 1 >/sys/devices/system/cpu/cpu$c/online; done; "
                     "nproc; done")
    assert [line for line in lines if line in ("1", "4")] == ["1", "4"] * 5


def test_linux_without_sstc(console):
    guest = console("--cpus", 2, "--", "--no-sstc")
    guest.expect_exact("guest# ")
    assert "sstc" not in guest.ask("cat /proc/cpuinfo")
    log = guest.ask("dmesg")
    assert "SBI TIME extension detected" in log and "via sstc" not in log

    def timer():
        return int(guest.ask("awk '/riscv-timer$/ { print $2 + $3 }' /proc/interrupts"))
    before = timer()
    # date reads the time in user mode.
    first = int(guest.ask("date +%s"))
    assert int(guest.ask("sleep 1; date +%s")) > first
    assert timer() > before
    guest.sendline("poweroff -f")
    assert guest.finish() == 0


@pytest.mark.parametrize("options", [[], ["--host-aia", "3"]])
def test_linux_with_gaps_between_the_hart_ids(console, options):
    guest = console("--cpus", 4, "--append", "quiet", *options,
                    "--", "--hart-ids", "70,2,5,1023")
    guest.expect_exact("guest# ")
    harts = guest.ask("sed -n 's/^hart\\t.*: //p' /proc/cpuinfo").split()
    assert harts[0] == "70" and sorted(map(int, harts)) == [2, 5, 70, 1023]
    assert guest.ask("nproc") == "4"
    # Off and on: HSM; a device's interrupts on each; and IPIs, which all this needs. Lines are kept short:
    # the shell breaks long ones.
    irq = guest.ask("awk -F: '/ttyS0/ { print $1 }' /proc/interrupts").strip()
    guest.ask(f"cd /proc/irq/{irq}; cpus=/sys/devices/system/cpu")
    for cpu in (1, 2, 3):
        guest.ask(f"echo 0 >$cpus/cpu{cpu}/online")
        assert guest.ask("nproc") == "3"
        guest.ask(f"echo 1 >$cpus/cpu{cpu}/online")
        assert guest.ask("nproc") == "4"
        guest.ask(f"echo {cpu} >smp_affinity_list")
        assert guest.ask("cat effective_affinity_list") == str(cpu)
        assert guest.ask("echo typed on $((40 + 2))") == "typed on 42"
    guest.sendline("poweroff -f")
    assert guest.finish() == 0


@pytest.mark.parametrize("command", [
    "duvisor run -k /share/guest/moves.elf --cpus 2 --mem 16M",
    # KVM forgets a fence here; the emulator must not make a guest pay for it.
    "/share/bench/monitor --cpus 2 --mem 16 /share/guest/moves.elf",
])
def test_no_translation_of_another_vcpu_is_used(command):
    done = host(moved(command, "RANDOM % 2 + 1"), "--host-cpus", 2, "--share", BUILD / "tests", timeout=120)
    said = done.stdout.replace("\r", "")
    assert "ok 3 - " in said and "not ok" not in said, said + done.stderr
    assert re.search("status 0, moves [1-9][0-9]", said), said


TWENTY = """
for i in $(seq 20); do
    duvisor run -k /share/mmio.elf --mem 8M </dev/null >/tmp/out.$i 2>&1 &
done
wait
for i in $(seq 20); do sed -n 's/^1[.][.]//p' /tmp/out.$i; grep -c '^ok' /tmp/out.$i; done
cat /tmp/out.* | grep 'not ok'
ps | grep -v grep | grep -c 'duvisor run'
"""


@pytest.mark.slow
def test_twenty_vms_on_four_harts():
    done = host(TWENTY, "--host-cpus", 4, "--share", PAYLOADS, timeout=200)
    words = done.stdout.split()
    assert words[-1] == "0", done.stdout + done.stderr
    assert len(words) == 41 and len(set(words[:-1])) == 1, done.stdout + done.stderr
