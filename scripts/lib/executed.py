# SPDX-License-Identifier: GPL-2.0-or-later
"""Which functions of the host's kernel execute while a guest runs applications.

QEMU says which code it translates. It translates anew whatever executes after a change of how it translates, so
each piece of code that executes in the time that we look at is named once. Host and guest may have the same
kernel at the same addresses; the accesses to memory in a piece tell them apart, as they name the mode that they
are made in (a function whose every piece makes none is overlooked). There is nothing else to do in the host in
that time: the guest waits for us before it begins, and says on the console when it has ended.
"""

import bisect
import contextlib
import json
import re
import socket
import subprocess
import tempfile
from pathlib import Path

import bench

# The applications of scripts/bench, and a disk.
DISK = "dd if=/dev/vda of=/dev/null bs=64k count=64 iflag=direct; dd if=/dev/zero of=/dev/vda bs=64k count=64"
GUEST = "echo ready; read go\n" + "\n".join([*bench.APPS.values(), DISK]) + "\necho don''e\npoweroff -f\n"
SYMBOL = re.compile(r"^([0-9a-f]+) [tTwW] ([^.$]\S*)(?:\t\[\w+\])?$", re.M)
# The beginning of a block in QEMU's log; an access to memory in it: its last argument is the MMU index, of which
# those of S-mode without a guest are 1 and 2 (target/riscv/internals.h).
BLOCK = re.compile(r"^IN: .*\n0x([0-9a-f]+):", re.M)
HOST_ACCESS = re.compile(r"^ qemu_(?:ld|st)\w* .*,[12]$|^ qemu_(?:ld|st)\w* .*,[12] +[a-z]+:", re.M)
SECONDS = 300


class Symbols:
    """The functions of a kernel and its modules, from /proc/kallsyms."""

    def __init__(self, text):
        found = sorted((int(address, 16), name) for address, name in SYMBOL.findall(text))
        self.starts = [address for address, _ in found]
        self.names = [name for _, name in found]

    def at(self, address):
        place = bisect.bisect_right(self.starts, address)
        return self.names[place - 1] if place else None


def functions_in(log, symbols):
    """Of the kernel that is not a guest's."""
    found = set()
    for block in log.split("----------------\n"):
        start = BLOCK.match(block)
        if start and HOST_ACCESS.search(block):
            found.add(symbols.at(int(start[1], 16)))
    return found - {None}


def monitor(path):
    """A function that gives QEMU a command of its monitor."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(path))
    lines = connection.makefile("r", encoding="utf-8")

    def say(command, arguments=None):
        connection.sendall(json.dumps({"execute": command, "arguments": arguments or {}}).encode())
        while "return" not in (answer := json.loads(lines.readline())):
            if "error" in answer:
                raise bench.Failure(f"QEMU: {answer['error']['desc']}")

    json.loads(lines.readline())
    say("qmp_capabilities")
    return lambda line: say("human-monitor-command", {"command-line": line})


def wait_for(stream, word, said):
    """Until a line is this word; what came before is added to said."""
    for line in stream:
        line = line.strip()
        if line == word:
            return
        said.append(line)
    raise bench.Failure("the emulated host ended early:\n" + "\n".join(said[-20:]))


def look(share, command):
    """The functions that execute between "ready" and "done" of a command in the emulated host."""
    said = []
    with tempfile.TemporaryDirectory() as work:
        qmp, log, disk = Path(work, "qmp"), Path(work, "log"), Path(work, "disk")
        disk.write_bytes(bytes(8 << 20))
        host = (bench.SETUP +
                f"echo symbols; cat /proc/kallsyms; echo end\n{command}")
        run = [bench.ROOT / "scripts" / "run", "--no-build", "--timeout", SECONDS, "--share", share,
               "--disk", disk, "--host-memory", "1536M", "--host-append", "deferred_probe_timeout=0",
               "--qemu=-qmp", f"--qemu=unix:{qmp},server=on,wait=off", "--qemu=-D", f"--qemu={log}",
               "--exec", host]
        with subprocess.Popen([str(word) for word in run], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True, errors="replace") as machine:
            with contextlib.ExitStack() as stack:
                stack.callback(machine.terminate)
                wait_for(machine.stdout, "symbols", said)
                symbols = []
                wait_for(machine.stdout, "end", symbols)
                wait_for(machine.stdout, "ready", said)
                tell = monitor(qmp)
                tell("log in_asm,op,nochain")
                machine.stdin.write("\n")
                machine.stdin.flush()
                wait_for(machine.stdout, "done", said)
                tell("log none")
        return functions_in(log.read_text(errors="replace"), Symbols("\n".join(symbols)))


def commands(share):
    """By column, what the emulated host is to do."""
    bench.guest_image(share, "executed", GUEST)
    words = "'console=ttyS0 quiet -- sh /executed'"
    return {
        # As long as a guest takes.
        "idle": "echo ready; read go; read -t 20 go; echo done; sleep 1000",
        "shim": "duvisor run --kernel /guest/Image --initrd executed.cpio --mem 256M --disk /dev/vda "
                f"--params {words}",
        "kvm": f"{bench.QEMU} -m 256M -smp 1 -kernel /job/Image -initrd /job/executed.cpio "
               f"{bench.QEMU_DISK.format('/dev/vda')} -append {words}",
    }


def measure():
    """{column: the functions that an idle host does not execute}"""
    args = bench.parse(["apps", "--no-build"])
    share = bench.prepare(args)
    if "qemu" not in args.columns:
        raise bench.Failure("no QEMU to compare with")
    found = {column: look(share, command) for column, command in commands(share).items()}
    return {column: names - found["idle"] for column, names in found.items() if column != "idle"}
