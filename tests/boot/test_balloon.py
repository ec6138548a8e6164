# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory that the guest frees, or is asked to give up, goes back to the host."""

import re

from conftest import host

# The guest says where it is; the host then looks at the process: "NAME: KIB".
SCRIPT = r"""
duvisor run -k /guest/Image -i /guest/initramfs.cpio.gz -m {memory} {options} -p \
'console=ttyS0 quiet -- sh -c "{guest}"' </dev/null | tr -d '\r' | while read -r word; do
    echo "$word: $(cat $(pidof duvisor | sed 's|[0-9]*|/proc/&/status|g') </dev/null 2>/dev/null |
                   awk '/VmRSS/ && $2 > most {{ most = $2 }} END {{ print most + 0 }}')"
done
"""


def sizes(memory, guest, options=""):
    done = host(SCRIPT.format(memory=memory, guest=guest, options=options),
                "--host-memory", "2G", timeout=120)
    return {name: int(size) for name, size in re.findall(r"(\w+): (\d+)", done.stdout)}


def test_freed_memory_goes_back(record_property):
    # The guest stands still after each word, while the host measures.
    said = sizes("900M", "mkdir /t; mount -t tmpfs -o size=600M t /t; echo before; sleep 3; "
                 "dd if=/dev/zero of=/t/f bs=1M count=512 2>/dev/null; echo full; sleep 3; "
                 "rm /t/f; sleep 5; echo freed; sleep 3")
    used = said["full"] - said["before"]
    back = said["full"] - said["freed"]
    record_property("measured", f"the guest used {used} KiB and freed them; 5 s later the host had "
                                f"{back} KiB back, {100 * back / used:.1f} %")
    assert used > 500 << 10, said
    assert back > 0.9 * used, said


def available(options):
    """What the guest has left when it has come to rest, in KiB: when three seconds make no difference."""
    said = sizes("512M", "mem() { grep MemAvailable /proc/meminfo | grep -o [0-9]*; }; a=0; b=$(mem); "
                 "until [ $((a - b)) -lt 512 -a $((b - a)) -lt 512 ]; do a=$b; sleep 3; b=$(mem); done; "
                 "echo $b", options)
    return next(int(name) for name in said if name.isdigit())


def test_balloon_takes_memory():
    assert 0.9 * (256 << 10) < available("") - available("--balloon 256M") < 1.1 * (256 << 10)
