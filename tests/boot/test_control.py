# SPDX-License-Identifier: GPL-2.0-or-later
"""A VM that runs is asked for more or less memory, for what is free, for its state and its end."""

import json
import re

from conftest import host, pack

# The guest says what it has ("GUEST NAME KIB"); the host drives it.
GUEST = r"""
has() { echo GUEST $1 $(grep $2 /proc/meminfo | grep -o '[0-9]*'); }
mkdir /t; mount -t tmpfs -o size=300M t /t
until [ -e /t/end ]; do read word; case $word in
mem) has total MemTotal; has free MemFree;;
fill) dd if=/dev/zero of=/t/f bs=1M count=192 2>/dev/null; echo GUEST filled 0;;
drop) rm /t/f; echo GUEST dropped 0;;
esac; done
"""

PRELUDE = r"""
ask() { duvisor control /tmp/vm "$@" || echo "control: $?"; }
value() { ask status | sed -n "s/^$1: //p"; }
rss() { for p in $(pidof duvisor); do sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' /proc/$p/status; done | sort -n | tail -n 1; }
guest() { # WORD LAST: say it, and wait for the last line that it brings
    echo "$1" >&3; until tr -d '\r' </tmp/said | grep -q "^GUEST $2"; do sleep 0.1; done
    tr -d '\r' </tmp/said | grep ^GUEST; : >/tmp/said
}
: >/tmp/said; mkfifo /tmp/typed; exec 3<>/tmp/typed
cat /guest/initramfs.cpio.gz /share/extra.gz >/tmp/initrd
duvisor run -k /guest/Image -i /tmp/initrd -m 512M --name one --control /tmp/vm \
    -p 'console=ttyS0 quiet -- sh /script' <&3 >>/tmp/said & vm=$!
until ask status >/dev/null 2>&1; do sleep 0.2; done
"""


def drive(tmp_path, script, *args):
    """What the script prints in the host, with a guest that listens at descriptor 3."""
    files = tmp_path / "files"
    files.mkdir()
    (files / "script").write_text(GUEST)
    pack(files, tmp_path / "extra.gz")
    (tmp_path / "host").write_text(PRELUDE + script)
    return host(". /share/host", "--share", tmp_path, "--host-memory", "2G", *args, timeout=120)


def numbers(text):
    """Lines "... NAME NUMBER" as a dictionary of lists."""
    found = {}
    for name, number in re.findall(r"(\w+):? (\d+)$", text, re.M):
        found.setdefault(name, []).append(int(number))
    return found


def test_balloon_up_and_down(tmp_path, record_property):
    done = drive(tmp_path, r"""
guest mem free; ask balloon 256M
until [ "$(value balloon_actual)" = 268435456 ]; do sleep 0.3; done; guest mem free
ask balloon 0
until [ "$(value balloon_actual)" = 0 ]; do sleep 0.3; done; guest mem free
ask balloon 2G; ask jump; ask --json status
duvisor control --json /tmp/vm status; duvisor control /tmp/nobody status; echo nobody: $?
ask stop; wait $vm; echo ended: $?; ask status
""", "--icount")
    said = numbers(done.stdout)
    total, free = said["total"], said["free"]
    record_property("measured", f"MemTotal {total}, MemFree {free} KiB with balloons of 0, 256, 0 MiB")
    assert 0.95 * (256 << 10) < free[0] - free[1] < 1.05 * (256 << 10), done.stdout
    # Up to an eighth of what was freed last is in Linux's lists of each CPU and not counted as free.
    assert free[2] - free[1] > 0.7 * (256 << 10), done.stdout
    assert "the balloon is as large as the guest's memory" in done.stderr + done.stdout
    assert said["ended"] == [0]
    assert said["nobody"] == [1]
    assert said["control"] == [1, 2, 2, 1], done.stdout
    status = json.loads(re.search(r'^\{"ok".*\}$', done.stdout, re.M)[0])
    assert (status["name"], status["state"], status["vcpus"], status["memory"]) == \
        ("one", "running", 1, 512 << 20)
    assert status["guest_available"] <= status["guest_total"] <= 512 << 20


def test_hinting_gives_back(tmp_path, record_property):
    # The guest also reports what is free, on its own, 2 s after the first page that is: what the start freed must be
    # reported before, or it takes what we free along. By the time of --icount 2 s are long, however slow this
    # machine is; what went that way in between nevertheless is not counted.
    done = drive(tmp_path, r"""
guest fill filled; sleep 5; echo full: $(rss); echo reported: $(value reported)
guest drop dropped; ask hint
until ask status >/tmp/status; grep -q 'hinting: done' /tmp/status; do :; done
echo after: $(rss); grep reported /tmp/status; grep hinted /tmp/status
guest mem free; ask stop; wait $vm; echo ended: $?
""", "--icount")
    said = numbers(done.stdout)
    full, after, reported = said["full"][0], said["after"][0], said["reported"]
    other = (reported[1] - reported[0]) // 1024
    record_property("measured", f"RSS {full} KiB, after freeing 192 MiB and hinting {after} KiB; hinted "
                                f"{said['hinted'][0] // 1024} KiB, reported meanwhile {other} KiB")
    # Linux hints at whole blocks of 4 MiB, and not at its reserve.
    assert full - after - other > 0.85 * (192 << 10), done.stdout
    # And the guest has it all again.
    assert said["free"][0] > 400 << 10, done.stdout
    assert said["ended"] == [0]
