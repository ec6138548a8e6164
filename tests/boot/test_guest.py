# SPDX-License-Identifier: GPL-2.0-or-later
"""Linux guests under duvisor, at their console: the whole path, end to end."""

import gzip
import re
import subprocess

import pytest
from conftest import BUILD, host, run

SBI = ["TIME", "IPI", "RFENCE", "SRST", "DBCN", "HSM"]


def test_boots_to_a_shell_and_powers_off(console):
    guest = console()
    guest.expect_exact("guest# ")
    log = guest.ask("dmesg")
    assert "SBI specification v2.0 detected" in log
    for extension in SBI:
        assert f"SBI {extension} extension detected" in log
    assert "Machine model: duvisor" in log
    assert guest.ask("nproc") == "1"
    assert guest.ask("id -u") == "0"
    guest.sendline("exit")
    assert guest.finish() == 0


@pytest.mark.slow
def test_memory_command_line_and_arguments_go_through(console):
    guest = console("--memory", "96M", "--append", "quiet word=spoken", "--", "--loglevel", "error")
    guest.expect_exact("guest# ")
    assert 80_000 < int(guest.ask("awk '/MemTotal/ { print $2 }' /proc/meminfo")) < 98_304
    assert guest.ask("cat /proc/cmdline") == "console=ttyS0 quiet word=spoken"
    guest.sendline("poweroff -f")
    assert guest.finish() == 0


def test_interrupts_of_timer_and_serial_port_arrive(console):
    guest = console()
    guest.expect_exact("guest# ")

    def interrupts(name):
        return int(guest.ask(f"awk '/{name}$/ {{ print $2 }}' /proc/interrupts"))
    before = interrupts("riscv-timer"), interrupts("ttyS0")
    assert guest.ask("sleep 0.5; echo slept") == "slept"
    after = interrupts("riscv-timer"), interrupts("ttyS0")
    assert after[0] > before[0] and after[1] > before[1]


def test_ctrl_a_is_duvisors_and_twice_is_the_guests(console):
    guest = console()
    guest.expect_exact("guest# ")
    guest.sendline("stty raw -echo; head -c 3 | od -An -tx1; stty sane")
    guest.expect("guest# |\n")
    guest.send("1\x01\x012")
    guest.expect_exact("31 01 32")
    guest.expect_exact("guest# ")
    guest.send("\x01x")
    assert guest.finish() == 0


def test_ctrl_c_is_the_guests(console):
    guest = console()
    guest.expect_exact("guest# ")
    # Said by a process that is in the foreground already.
    guest.sendline("sh -c 'echo sta''rted; exec sleep 1000'")
    guest.expect_exact("started")
    guest.sendcontrol("c")
    guest.expect_exact("guest# ")
    assert guest.ask("echo alive") == "alive"


def test_reboot_boots_again_in_the_same_process(console):
    guest = console()
    guest.expect_exact("guest# ")
    guest.sendline("reboot -f")
    guest.expect_exact("Linux version")
    guest.expect_exact("guest# ")
    guest.sendline("exit")
    assert guest.finish() == 0


@pytest.mark.slow
def test_no_reboot_ends_instead(console):
    guest = console("--", "--no-reboot")
    guest.expect_exact("guest# ")
    guest.sendline("reboot -f")
    assert guest.finish() == 0


def test_command_without_a_terminal_gives_output_and_status():
    done = run("--append", "quiet -- echo said by the guest")
    assert done.returncode == 0, done.stderr
    assert "said by the guest" in done.stdout


def test_failure_in_the_guest_is_the_exit_status():
    assert run("--append", "quiet -- false").returncode == 1


@pytest.mark.slow
def test_shell_reads_a_pipe_to_its_end():
    done = run("--append", "quiet", stdin=None, input="echo $((6 * 7))\n")
    assert done.returncode == 0, done.stderr
    assert "\n42\n" in done.stdout.replace("\r", "")


@pytest.mark.slow
def test_gzip_kernel(tmp_path):
    image = tmp_path / "Image.gz"
    image.write_bytes(gzip.compress((BUILD / "linux/arch/riscv/boot/Image").read_bytes(), 1))
    done = run("--kernel", image, "--append", "quiet -- echo came up")
    assert done.returncode == 0, done.stderr
    assert "came up" in done.stdout


@pytest.mark.slow
def test_own_initrd(tmp_path):
    place = tmp_path / "root"
    place.mkdir()
    program = tmp_path / "init.c"
    program.write_text('#include <stdio.h>\n#include <sys/reboot.h>\n'
                       'int main(void) { puts("own init"); fflush(stdout);\n'
                       'return reboot(RB_POWER_OFF); }\n')
    subprocess.run([BUILD / "musl/bin/duvisor-cc", "-o", place / "init", program], check=True)
    with open(tmp_path / "initrd", "wb") as archive:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=place, check=True,
                       input=b"init\n", stdout=archive)
    done = run("--initrd", tmp_path / "initrd", "--append", "quiet")
    assert done.returncode == 0, done.stderr
    assert "own init" in done.stdout


WRONG = {
    "unknown option": (["--frobnicate"], 2, "--frobnicate"),
    "memory too small": (["--mem", "1M"], 2, "1M"),
    "memory is no size": (["--mem", "lots"], 2, "lots"),
    "initrd does not fit": (["--mem", "11M", "--initrd", "/guest/Image"], 2, "fit"),
}


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize("case", WRONG)
def test_wrong_duvisor_arguments(case):
    args, status, text = WRONG[case]
    done = run("--", *args)
    assert done.returncode == status
    assert text in done.stdout
    assert len(done.stdout.strip().splitlines()) == 1


# What is wrong on the host: {case: (what to do there, status, what duvisor says)}.
BROKEN = {
    "kernel is missing": ("duvisor run --kernel /no/Image", 2, "/no/Image"),
    "kernel is cut": ("head -c 1000 /guest/Image >/tmp/cut; duvisor run --kernel /tmp/cut", 2,
                      "/tmp/cut"),
    "kernel is empty": ("duvisor run --kernel /dev/null", 2, "/dev/null"),
    "kernel is noise": ("head -c 9000 /dev/urandom >/tmp/noise; duvisor run --kernel /tmp/noise",
                        2, "/tmp/noise"),
    "initrd is missing": ("duvisor run --kernel /guest/Image --initrd /no/initrd", 2,
                          "/no/initrd"),
    "more memory than the host has": (
        "duvisor run --kernel /guest/Image --mem 900G --prealloc", 6, "memory"),
    "no huge pages set aside": ("duvisor run --kernel /guest/Image --hugepages reserved", 6, "vm.nr_hugepages"),
    "no permission": ("chmod 600 /dev/duvisor; chmod 755 / /bin /guest; "
                      "su -s /bin/sh nobody -c 'duvisor run --kernel /guest/Image'", 6,
                      "/dev/duvisor"),
    "no device": ("rmmod duvisor; duvisor run --kernel /guest/Image", 6, "/dev/duvisor"),
}


@pytest.fixture(scope="module", name="broken")
def _broken():
    """All cases in one boot of the host: {case: lines}."""
    script = "echo 'nobody:x:65534:65534::/:/bin/sh' >>/etc/passwd\n"
    for case, (commands, _, _) in BROKEN.items():
        script += (f"echo '== {case}'; ({commands}) 2>&1; echo status $?\n"
                   "ps | grep -v grep | grep -w 'duvisor run'\n")
    parts = host(script).stdout.split("== ")[1:]
    return {part.splitlines()[0]: part.splitlines()[1:] for part in parts}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_host_or_files(broken, case):
    _, status, text = BROKEN[case]
    # One line of why, the status, and no process left behind.
    assert len(broken[case]) == 2, broken[case]
    assert text in broken[case][0]
    assert broken[case][1] == f"status {status}"


# What of a guest's 64 MiB is in huge pages while it runs: transparent ones, those set aside.
HUGEPAGES = """
echo 32 >/proc/sys/vm/nr_hugepages
for kind in transparent off reserved; do
    duvisor run -k /guest/Image -i /guest/initramfs.cpio.gz -m 64M --hugepages $kind -p \
    'console=ttyS0 quiet -- sh -c "echo here; sleep 3"' </dev/null | tr -d '\r' | while read -r word; do
        [ "$word" = here ] || continue # its last words are said while its memory goes
        awk -v kind=$kind '/^AnonHugePages/ { thp += $2 } /^Private_Hugetlb/ { reserved += $2 }
            END { print kind ": " thp " " reserved }' $(pidof duvisor | sed 's|[0-9]*|/proc/&/smaps|g')
    done
done
"""


def test_huge_pages():
    said = dict(re.findall(r"(\w+): (\d+ \d+)", host(HUGEPAGES).stdout))
    kib = {kind: [int(size) for size in sizes.split()] for kind, sizes in said.items()}
    assert kib["off"] == [0, 0]
    assert kib["transparent"][0] >= 4 << 10 and kib["transparent"][1] == 0
    # Those that were touched.
    assert kib["reserved"][0] == 0 and kib["reserved"][1] >= 4 << 10


@pytest.mark.slow
def test_processor_without_xdv():
    done = host("duvisor run --kernel /guest/Image; echo status $?", "--host-cpu", "rv64")
    lines = done.stdout.strip().splitlines()
    assert lines[-1] == "status 6", done.stdout
    assert len(lines) == 2


HOSTS = {"on built": [], "on debian": ["--host-kernel", "debian"]}
GUESTS = {"built": [], "debian": ["--kernel", "debian", "--memory", "512M"]}


@pytest.mark.slow
@pytest.mark.parametrize("host_args", HOSTS.values(), ids=HOSTS)
@pytest.mark.parametrize("guest_args", GUESTS.values(), ids=GUESTS)
def test_pair_boots_to_a_shell(console, guest_args, host_args):
    guest = console(*host_args, *guest_args, timeout=120)
    guest.expect_exact("guest# ")
    release = guest.ask("uname -r")
    assert release.endswith("-riscv64" if guest_args else "-duvisor")
    log = guest.ask("dmesg")
    for extension in SBI:
        assert f"SBI {extension} extension detected" in log
    guest.sendline("exit")
    assert guest.finish() == 0


def test_panic_of_the_guest_ends_it_with_4():
    done = run("--append", "quiet -- sh -c \"echo c >/proc/sysrq-trigger\"")
    assert done.returncode == 4, done.stdout + done.stderr
    assert "Kernel panic" in done.stdout
    assert "duvisor: the guest reported a panic" in done.stdout.replace("error: ", "")


@pytest.mark.slow
def test_panic_left_to_the_guest_is_a_reboot():
    done = run("--append", "quiet panic=-1 -- sh -c \"echo c >/proc/sysrq-trigger\"",
               "--", "--panic", "ignore", "--no-reboot")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Kernel panic" in done.stdout


@pytest.mark.slow
def test_watchdog_that_is_not_served_ends_it_with_5():
    done = run("--append", "quiet -- watchdog -F -T 1 -t 100 /dev/watchdog",
               "--", "--watchdog")
    assert done.returncode == 5, done.stdout + done.stderr
    assert "the guest's watchdog expired" in done.stdout


@pytest.mark.slow
def test_watchdog_that_is_served_does_not():
    done = run("--append", "quiet -- sh -c \"watchdog -T 2 -t 1 /dev/watchdog; sleep 4; echo done\"",
               "--", "--watchdog")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "done" in done.stdout
