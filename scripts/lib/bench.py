# SPDX-License-Identifier: GPL-2.0-or-later
"""Compare DuVisor with KVM on the same emulated machine, in one run.

  micro   one operation at a time, by tests/guest/cost.c, a bare guest that is the same
          binary under each hypervisor
  apps    commands in a Linux guest: same kernel, same initramfs; and natively in the host
  boot    a Linux guest from the start of the hypervisor to its first process
  dd      blocks read from and written to a disk by dd in a Linux guest, wall time only: how
          much in a second, and how many requests of the disk there are to an exit
  servers redis, memcached, nginx, sqlite, fio and others (scripts/lib/servers) in the image of
          `scripts/image applications`, and natively in a chroot of it; wall time only
  all     all of them (the default); more than an hour on two cores, most of it servers

Two clocks, never mixed.  With instructions (QEMU's -icount, one hart) a figure is what the
machine executed, host's and guest's, and is repeatable.  Wall time is that of
multi-threaded emulation on this machine: only ratios mean anything, and the rounds of the
columns take turns.  Columns: DuVisor; KVM under a monitor of a few hundred lines
(tests/bench/monitor.c), which is KVM at its best; KVM under Debian's QEMU; in wall time
also KVM on the emulator without the project's patches (of micro the small monitor's, of
apps and boot Debian's QEMU's), which shows what the patches do for everyone.

Prints tables; writes build/bench/NAME.json and NAME.svg.
"""

import argparse
import collections
import contextlib
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import time

import world
from world import BUILD, ROOT, Failure

OUT = BUILD / "bench"
BASELINE = BUILD / "baseline" / "qemu"
UPSTREAM = BUILD / "qemu-upstream" / "qemu-system-riscv64"
DOCS = ROOT / "docs"
COLUMNS = {"duvisor": "DuVisor", "kvm": "KVM", "qemu": "QEMU-KVM", "upstream": "KVM, emulator unpatched",
           "native": "native"}
COLORS = {"duvisor": "#2a6f97", "kvm": "#e09f3e", "qemu": "#9e2a2b", "upstream": "#c8a2c8", "native": "#7f7f7f"}
# The bars that the project set itself, under the instruction clock: (operation, at most so
# many instructions or None, at least so many times fewer than KVM or None).
BARS = [
    ("null hypercall", 45, 30),
    ("MMIO word read", 110, 25),
    ("MMIO word write", 110, 25),
    ("MMIO byte read", 110, 25),
    ("MMIO byte write", 110, 25),
    ("IPI to oneself", 110, 12),
    ("SBI set_timer to interrupt", None, 8),
    # What the prototype that was published had.
    ("device interrupt, with claim", None, 22.2),
    ("AIA, device interrupt, with claim", None, 22.2),
    ("first touch of 4 KiB", None, 2.5),
    ("first touch of 4 KiB, huge pages", None, 1),
    ("first touch of 2 MiB, huge pages", None, 1),
]
WALL_BARS = [(name, None, 10) for name, *_ in BARS[:5]]
TABLE_BARS = {"micro-icount": BARS, "micro-wall": WALL_BARS}
# In wall time only: the instruction clock jumps while nothing runs, as when a large program is read in.
FIRST_BYTE = "start of a VM, to the guest's first byte"
LINE = re.compile(r"^(?P<name>[^:#=]+): (?P<median>\d+) (?P<min>\d+) (?P<max>\d+)$")
LAUNCH = re.compile(r"^launch: first-byte-ns (\d+) cpu-ns (\d+) wall-ns (\d+) rss-kib (\d+)$")


LICENSE = "SPDX-License-Identifier: " "GPL-2.0-or-later"
EXIT_SKIPPED = 77  # what Meson takes for a skipped test


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


# --- running ---------------------------------------------------------------------


def build(args):
    world.build(*world.MACHINE, "bench-programs")
    steps = []
    if "qemu" in args.columns:
        steps.append([ROOT / "images" / "build-baseline"])
    if "upstream" in args.columns:
        steps.append([ROOT / "images" / "build-qemu", "upstream"])
    for command in steps:
        subprocess.run(command, check=False, stdin=subprocess.DEVNULL, env={**os.environ, "DUVISOR_BUILD": str(BUILD)})


def prepare(args):
    """Build what is needed; the directory that the emulated host sees as /share."""
    if not args.no_build:
        build(args)
    if not (BASELINE / "usr/bin/qemu-system-riscv64").exists() and "qemu" in args.columns:
        args.columns.remove("qemu")
        say("no riscv64 QEMU from the package archive: its column is left out")
    if not UPSTREAM.exists() and "upstream" in args.columns:
        args.columns.remove("upstream")
        say("no emulator without patches: its column is left out")
    share = BASELINE.parent if "qemu" in args.columns else OUT / "share"
    programs = [BUILD / "tests" / name for name in
                ("guest/cost.elf", "guest/start_time.elf", "bench/monitor", "bench/launch", "bench/counters.elf")]
    for place in [share / "job"] + [BASELINE / "job"] * ("qemu" in args.columns):
        place.mkdir(parents=True, exist_ok=True)
        for path in programs:
            shutil.copy(path, place)
    if "qemu" in args.columns:
        shutil.copy(BUILD / "linux/arch/riscv/boot/Image", BASELINE / "job")
    return share


SETUP = """
mkdir -p /bench && cp /share/job/* /bench && cd /bench || exit 1
if [ -d /share/qemu/usr ]; then
	for d in dev proc sys; do mount -o bind /$d /share/qemu/$d; done
fi
run() { # WORDS...: named, its own output prefixed by nothing
	echo "== $1"
	shift
	"$@" 2>&1 </dev/null
}
"""
QEMU = ("chroot /share/qemu /usr/bin/qemu-system-riscv64 -M virt -accel kvm -cpu host "
        "-nodefaults -no-user-config -display none -serial stdio -monitor none")
# Debian's programs read the time themselves: see tests/bench/counters.S.
QEMU_KERNEL = "-kernel /job/counters.elf -device loader,file=/job/Image,addr=0x80200000"
QEMU_DISK = ("-global virtio-mmio.force-legacy=false -device virtio-blk-device,drive=disk "
             "-drive if=none,id=disk,file={},format=raw,aio=io_uring")


def in_host(script, share, *options, timeout):
    """Run a shell script in the emulated host; its output."""
    command = [ROOT / "scripts" / "run", "--no-build", "--timeout", timeout, "--share", share,
               *options, "--exec", SETUP + script]
    done = subprocess.run([str(word) for word in command], check=False, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, errors="replace")
    if done.returncode:
        sys.stderr.write(done.stdout)
        raise Failure(f"the emulated host failed with status {done.returncode}")
    return done.stdout


def in_hosts(commands, rounds, share, *options, timeout, setup=""):
    """Run the columns' scripts, {column: script}, in each round, each behind setup; what they printed.

    Says what is under way.

    Each in an emulated host of its own: KVM of Linux 6.12 leaves the timer of its last guest armed on a hart, on which WFI
    does not wait from then on, and harts that spin take this machine's cores from whoever comes next. "upstream"
    has an emulator without our patches. What goes first changes from round to round."""
    text = ""
    for number, column in enumerate(in_turns(list(commands), rounds)):
        say(f"round {number // len(commands) + 1} of {rounds}: {COLUMNS[column]}")
        emulator = ["--emulator", UPSTREAM, "--host-cpu", "rv64"] if column == "upstream" else []
        text += in_host(setup + commands[column], share, *options, *emulator, timeout=timeout)
    return text


def in_turns(columns, rounds):
    """Who goes first changes from round to round."""
    return [column for number in range(rounds) for column in (columns[::-1] if number % 2 else columns)]


def payload_command(column, payload, cpus=1, mode=""):
    if column == "duvisor":
        # Two harts that talk must not share one: the small monitor does this by itself.
        pin = "--cpu-affinity 0=0 --cpu-affinity 1=1" if cpus == 2 else ""
        # Huge pages are its default, not the monitor's.
        pages = "" if mode == "--hugepages" else f"--hugepages off {mode}"
        return f"duvisor run -k {payload}.elf --mem 256M --cpus {cpus} {pin} {pages}"
    if column in ("kvm", "upstream"):
        return f"./monitor --mem 256 --cpus {cpus} {mode} {payload}.elf"
    return f"{QEMU} -m 256M -smp {cpus} -kernel /job/{payload}.elf"


def sections(text):
    """What the script printed under each "== NAME" line: [(name, lines)]."""
    found = []
    for line in text.replace("\r", "").splitlines():
        if line.startswith("== "):
            found.append((line[3:], []))
        elif found:
            found[-1][1].append(line)
    return found


# --- micro -------------------------------------------------------------------------

# Of a run with another kind of memory, only what depends on it.
MODES = {"--prealloc": "preallocated", "--hugepages": "huge pages"}


def micro_script(column, cpus):
    def command(words, title=""):
        return f"run '{column}/{title}' {words}"

    cost = payload_command(column, "cost", cpus)
    if cpus > 1:
        # Two harts may lose each other; that must not take the rest with it. (Not under the instruction
        # clock, which jumps while nothing runs.)
        return f"{command(f'timeout 20 {cost}')}\ntrue"
    lines = [command(cost)]
    if column != "qemu":
        lines += [command(payload_command(column, "cost", 1, mode), title) for mode, title in MODES.items()]
    lines.append(command(f"./launch {payload_command(column, 'start_time')}", "start"))
    return "\n".join(lines)


def add(results, operation, column, value):
    results.setdefault(operation, {}).setdefault(column, []).append(value)


def collect(text, results):
    """Add what a script of micro_script() said: {operation: {column: [value per round]}}."""
    for name, lines in sections(text):
        column, title = name.split("/", 1)
        for line in lines:
            match = LINE.match(line)
            if match and (not title or match["name"].startswith("first touch")):
                # QEMU asks for huge pages by itself.
                kind = MODES["--hugepages"] if column == "qemu" and \
                    match["name"].startswith("first touch") else title
                operation = match["name"] + (f", {kind}" if kind else "")
                add(results, operation, column, int(match["median"]))
            match = LAUNCH.match(line)
            if match and title == "start":
                add(results, FIRST_BYTE, column, int(match[1]))
                add(results, "start of a VM, host CPU", column, int(match[2]))
                add(results, "start of a VM, memory in KiB", column, int(match[4]))


def collect_aia(columns, share, results):
    """The same payload measures something else where there is an IMSIC."""
    commands = {"duvisor": payload_command("duvisor", "cost"), "kvm": payload_command("kvm", "cost", mode="--aia"),
                "qemu": payload_command("qemu", "cost").replace("-M virt", "-M virt,aia=aplic-imsic")}
    script = "\n".join(f"run {column}/ {command}" for column, command in commands.items() if column in columns)
    # With a guest interrupt file for KVM; DuVisor needs none.
    collect(in_host(script, share, "--icount", "--host-cpus", 1, "--host-aia", 1, timeout=300), results)


def summary(values):
    return {"median": statistics.median_low(values), "min": min(values), "max": max(values),
            "values": values}


def summarize(results):
    return {operation: {column: summary(values) for column, values in columns.items()}
            for operation, columns in results.items()}


def start_goal(results):
    """Of the hypervisor's whole life with a guest that ends at once."""
    took = results["start of a VM, host CPU"]["duvisor"]["median"]
    return [("a VM starts in less than 5 ms of the host's CPU, at an instruction in a nanosecond",
             f"{took / 1e6:.1f} ms", took < 5e6)]


def exits_per_second(results):
    """{heading: {operation: text}} of the operations that are one exit, the loop around them included."""
    def rate(operation, column):
        return 10 ** 9 // (results[operation][column]["median"] + results["empty loop"][column]["median"])

    return {f"{COLUMNS[column]}, exits per second":
            {name: f"{rate(name, column):,}" for name, *_ in WALL_BARS}
            for column in ("duvisor", "kvm")}


def micro(args, share):
    if "icount" in args.clocks:
        say("micro, instructions: one hart")
        results = {}
        scripts = {column: micro_script(column, 1) for column in args.columns if column != "upstream"}
        collect(in_hosts(scripts, 1, share, "--icount", "--host-cpus", 1, timeout=600), results)
        collect_aia(args.columns, share, results)
        results.pop(FIRST_BYTE, None)
        summarized = summarize(results)
        publish("micro-icount", "instructions", summarized, args, start_goal(summarized))
    if "wall" in args.clocks:
        say(f"micro, wall time: {args.rounds} rounds")
        results = {}
        for cpus in (1, 2):
            scripts = {column: micro_script(column, cpus) for column in args.columns}
            collect(in_hosts(scripts, args.rounds, share, "--host-cpus", 2, timeout=300), results)
        summarized = summarize(results)
        publish("micro-wall", "wall time, ns", summarized, args, more=exits_per_second(summarized))


# --- applications and boot ---------------------------------------------------------

# Name -> shell command; the time that counts is its own, taken in the guest.
APPS = {
    "sha256sum, 24 MB": "head -c 24000000 /dev/zero | sha256sum",
    "gzip, 6 MB": "head -c 6000000 /bin/busybox /bin/busybox /bin/busybox | gzip | wc -c",
    "awk loop": "awk 'BEGIN { for (i = 0; i < 300000; i++) s += i % 7; print s }'",
    "fork and exec, 150 times": "i=0; while [ $i -lt 150 ]; do /bin/busybox true; i=$((i+1)); done",
    "pipe, 8 MB in 512 bytes": "dd if=/dev/zero bs=512 count=16384 2>/dev/null | dd of=/dev/null",
    "files, 400 made and removed":
        "i=0; while [ $i -lt 400 ]; do : >/tmp/$i; i=$((i+1)); done; rm /tmp/[0-9]*",
    "first use of 48 MB": "dd if=/dev/zero of=/tmp/big bs=1M count=48 2>/dev/null; rm /tmp/big",
    "sleep of 1 ms, 60 times": "i=0; while [ $i -lt 60 ]; do usleep 1000; i=$((i+1)); done",
}


# /proc/timer_list has the kernel's clock in nanoseconds, from its own start on.
NOW = r"""
now() { sed -n 's/^now at \([0-9]*\) .*/\1/p' /proc/timer_list; }
"""
PROGRAM = NOW + r"""
app() {
	start=$(now)
	eval "$2" >/dev/null 2>&1
	echo "app $1: $(($(now) - start))"
}
echo "app kernel start to first process: $(now)"
case $1 in
up) sleep 1000 ;;
boot) exit 0 ;;
esac
"""


def guest_image(share, name, script):
    """The default guest's initramfs with a script in it, which is put beside it as well, for the host."""
    stage = OUT / "stage"
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(parents=True)
    (stage / name).write_text(script, encoding="ascii")
    packed = subprocess.run(["cpio", "-o", "-H", "newc", "-R", "0:0", "--quiet"], cwd=stage,
                            input=name.encode() + b"\n", stdout=subprocess.PIPE, check=True).stdout
    image = share / "job" / f"{name}.cpio"
    image.write_bytes(packed + (BUILD / "boot/guest.cpio.gz").read_bytes())
    shutil.copy(stage / name, share / "job")
    if (BASELINE / "job").exists():
        shutil.copy(image, BASELINE / "job")
    shutil.rmtree(stage)
    return image


def apps_image(share):
    script = PROGRAM + "".join(f"app '{name}' \"{command.replace(chr(36), chr(92) + chr(36))}\"\n"
                               for name, command in APPS.items())
    return guest_image(share, "apps", script)


def linux_command(column, what):
    words = f"'console=ttyS0 quiet -- sh /apps {what}'"
    if column == "duvisor":
        return ("duvisor run --kernel /guest/Image --initrd apps.cpio --mem 256M "
                f"--params {words}")
    if column in ("qemu", "upstream"):
        return f"{QEMU} -m 256M -smp 1 -kernel /job/Image -initrd /job/apps.cpio -append {words}"
    # On one hart, as a guest of one vCPU.
    return f"taskset 1 sh ./apps {what}"


APP = re.compile(r"^app (.+): (\d+)$")


def collect_apps(text, results):
    for column, lines in sections(text):
        for line in lines:
            match = APP.match(line)
            if match and (column != "native" or not match[1].startswith("kernel start")):
                add(results, match[1], column, int(match[2]))


def linux_columns(args):
    return [name for name in args.columns if name in ("duvisor", "qemu")]


def linux_clocks(args):
    """(clock, its unit, columns with a hypervisor, rounds, options of scripts/run) for each clock that is asked for."""
    columns = linux_columns(args)
    if "icount" in args.clocks:
        yield "icount", "instructions", columns, 1, ["--icount", "--host-cpus", 1]
    if "wall" in args.clocks:
        upstream = ["upstream"] * ({"qemu", "upstream"} <= set(args.columns))
        yield "wall", "wall time, ns", columns + upstream, args.rounds, ["--host-cpus", 2]


def apps(args, share):
    apps_image(share)
    for clock, title, columns, rounds, options in linux_clocks(args):
        say(f"apps, {clock}: {rounds} rounds")
        scripts = {column: f"run {column} {linux_command(column, 'all')}" for column in [*columns, "native"]}
        results = {}
        collect_apps(in_hosts(scripts, rounds, share, *options, timeout=600), results)
        publish(f"apps-{clock}", title, summarize(results), args)


def boot_natively(clock, image):
    """The same kernel and initramfs on the emulated machine itself; what it prints."""
    command = [BUILD / "qemu/qemu-system-riscv64", "-M", "virt", "-cpu", "rv64", "-smp", 1, "-m",
               "256M", "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio",
               "-no-reboot", "-bios", BUILD / "boot/fw_dynamic.bin",
               "-kernel", BUILD / "linux/arch/riscv/boot/Image",
               "-initrd", image,
               "-append", "console=ttyS0 quiet -- sh /apps boot"]
    if clock == "icount":
        command += ["-icount", "shift=0,sleep=off", "-seed", "1"]
    done = subprocess.run([str(word) for word in command], check=False, text=True, timeout=120,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, errors="replace")
    return done.stdout.replace("\r", "")


BOOT_ROW = "kernel start to first process"
BESIDE_ROW = "memory beside the guest's RAM, in KiB"
SHELL_ROW = "scripts/run to the guest's shell"

# What a hypervisor holds in memory beside the guest's RAM, which is its one mapping of that size, while a booted guest
# sleeps.
RESIDENT = """
resident() { # COLUMN WORDS...
	column=$1
	shift
	"$@" >/tmp/out 2>&1 </dev/null &
	until grep -q '^app kernel' /tmp/out; do
		kill -0 $! || return
		usleep 100000
	done
	sleep 1
	awk -v column=$column '/^Size:/ { size = $2 } /^Rss:/ && size < 131072 { sum += $2 }
		END { print "resident " column ": " sum }' /proc/$!/smaps
	kill $!
	wait $! 2>/dev/null || true
}
"""
RESIDENT_LINE = re.compile(r"^resident (\w+): (\d+)$", re.M)


def shell_start():
    """Nanoseconds until scripts/run, with everything built, gives the guest's shell."""
    began = time.monotonic_ns()
    with subprocess.Popen([ROOT / "scripts" / "run", "--timeout", "60"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
        said = b""
        while b"guest# " not in said:
            more = os.read(run.stdout.fileno(), 4096)
            if not more:
                raise Failure("scripts/run gave no shell")
            said += more
        took = time.monotonic_ns() - began
        run.communicate(b"poweroff -f\n")
    return took


def boot_goals(clock, results):
    """The bars that the project set itself for what comes before an application."""
    def of(row, column="duvisor"):
        return results.get(row, {}).get(column, {}).get("median")

    if clock == "icount":
        ratio = of(BOOT_ROW) / of(BOOT_ROW, "native")
        return [("boot within 5 % of native", f"{100 * (ratio - 1):.1f} %", ratio <= 1.05)]
    beside, shell = of(BESIDE_ROW), of(SHELL_ROW)
    return [("less than 3 MiB beside the RAM of a 256 MiB guest", f"{beside} KiB", beside < 3072),
            ("scripts/run, warm, to the guest's shell in less than 3 s", f"{shell / 1e9:.1f} s", shell < 3e9)]


def boot(args, share):
    image = apps_image(share)
    for clock, title, columns, rounds, options in linux_clocks(args):
        say(f"boot, {clock}: {rounds} rounds")
        scripts = {column: f"run {column} ./launch {linux_command(column, 'boot')}" for column in columns}
        results = {}
        text = in_hosts(scripts, rounds, share, *options, timeout=600)
        collect_apps(text, results)
        for column, lines in sections(text):
            for match in filter(None, map(LAUNCH.match, lines)):
                add(results, "hypervisor's whole life, host CPU", column, int(match[2]))
        for _ in range(rounds):
            for match in filter(None, map(APP.match, boot_natively(clock, image).splitlines())):
                add(results, match[1], "native", int(match[2]))
        if clock == "wall":
            script = RESIDENT + "\n".join(f"resident {column} {linux_command(column, 'up')}"
                                          for column in linux_columns(args))
            for column, size in RESIDENT_LINE.findall(in_host(script, share, *options, timeout=600)):
                add(results, BESIDE_ROW, column, int(size))
            for _ in range(rounds):
                add(results, SHELL_ROW, "duvisor", shell_start())
        summarized = summarize(results)
        publish(f"boot-{clock}", title, summarized, args, boot_goals(clock, summarized))


# --- dd ----------------------------------------------------------------------------

# Of the guest's disk, which is the host's /dev/vda: what is read or written in which blocks.
DD_SIZE = 128 << 20
DD = {
    "read, 4 KiB, direct": "if=/dev/vda of=/dev/null bs=4k count=4000 iflag=direct",
    "read, 1 MiB, direct": "if=/dev/vda of=/dev/null bs=1M count=128 iflag=direct",
    "read, through the guest's cache": "if=/dev/vda of=/dev/null bs=1M count=128",
    "written, 4 KiB, direct": "if=/dev/zero of=/dev/vda bs=4k count=4000 oflag=direct",
    "written, 1 MiB, direct": "if=/dev/zero of=/dev/vda bs=1M count=128 oflag=direct",
    "written, through the guest's cache": "if=/dev/zero of=/dev/vda bs=1M count=128 conv=fsync",
}
# In /sys/block/vda/stat the first and the fifth number are the requests served.
DD_PROGRAM = NOW + r"""
requests() { awk '{ print $1 + $5 }' /sys/block/vda/stat; }
row() {
	if $ask; then echo ready; read go; fi
	echo 3 >/proc/sys/vm/drop_caches
	had=$(requests) start=$(now)
	dd $2 2>/tmp/said || cat /tmp/said
	echo "dd $1: $(($(now) - start)) $(($(requests) - had))"
}
ask=${1:-true}
"""
# Before each row the guest waits for a line, and the host looks at the hypervisor's counters.
DD_SETUP = r"""
mkfifo /tmp/typed && exec 3<>/tmp/typed
attended() { # WORDS...: a guest that says "ready" and goes on at a line
	"$@" <&3 >/tmp/out 2>&1 &
	rows=0
	while kill -0 $! 2>/dev/null; do
		if [ $(grep -c ^ready /tmp/out) -gt $rows ]; then
			rows=$((rows + 1))
			[ -S /tmp/vm ] && duvisor control /tmp/vm counters | grep virtio-blk
			echo "row $rows"
			echo >&3
		fi
		usleep 100000
	done
	cat /tmp/out
	rm -f /tmp/vm
}
"""
DD_LINE = re.compile(r"^dd (.+): (\d+) (\d+)$")


def dd_program():
    rows = "".join(f"row \"{name}\" '{words}'\n" for name, words in DD.items())
    return DD_PROGRAM + rows + "if $ask; then echo ready; read go; fi\n"


def dd_command(column):
    words = "'console=ttyS0 quiet -- sh /dd'"
    if column == "duvisor":
        return (f"run duvisor attended duvisor run --kernel /guest/Image --initrd dd.cpio --mem 256M "
                f"--control /tmp/vm --disk /dev/vda --params {words}")
    if column == "qemu":
        return (f"run qemu attended {QEMU} -m 256M -smp 1 -kernel /job/Image -initrd /job/dd.cpio "
                f"{QEMU_DISK.format('/dev/vda')} -append {words}")
    return "run native taskset 1 sh ./dd false"


def collect_dd(text, results, requests, exits):
    """Times, for the table; what the guest's disk served, and its notifications, of DuVisor's rounds."""
    for column, lines in sections(text):
        rows = [match for match in map(DD_LINE.match, lines) if match]
        counted = [int(line.split(": ")[1]) for line in lines if ".notifications: " in line]
        for number, (_, name, took, served) in enumerate((row[0], *row.groups()) for row in rows):
            add(results, name, column, int(took))
            if column == "duvisor":
                requests[name] = requests.get(name, 0) + int(served)
                exits[name] = exits.get(name, 0) + counted[number + 1] - counted[number]


def dd_amount(words):
    """Bytes, of dd's words."""
    block, count = re.search(r"bs=(\w+) count=(\d+)", words).groups()
    return {"4k": 4096, "1M": 1 << 20}[block] * int(count)


def dd(args, share):
    if "wall" not in args.clocks:
        return
    disk = OUT / "dd.img"
    guest_image(share, "dd", dd_program())
    results, requests, exits = {}, {}, {}
    columns = [*linux_columns(args), "native"]
    say(f"dd, wall: {args.rounds} rounds")
    # Written once, so that no round finds holes.
    disk.write_bytes(os.urandom(1 << 20) * (DD_SIZE >> 20))
    text = in_hosts({column: dd_command(column) for column in columns}, args.rounds, share, "--disk", disk,
                    "--host-cpus", 2, "--host-memory", "1536M", timeout=180, setup=DD_SETUP)
    disk.unlink()
    collect_dd(text, results, requests, exits)
    if any(len(results.get(name, {}).get(column, [])) != args.rounds
           for name in DD for column in columns):
        sys.stderr.write(text)
        raise Failure("dd has not ended well everywhere")
    summarized = summarize(results)
    more = {"DuVisor, MB/s": {name: f"{dd_amount(DD[name]) * 1000 / row['duvisor']['median']:.1f}"
                              for name, row in summarized.items()},
            "requests per exit": {name: f"{requests[name] / exits[name]:.1f}" if exits[name] else "no exit"
                                  for name in summarized}}
    publish("dd-wall", "wall time, ns", summarized, args, more=more)


# --- servers and data bases --------------------------------------------------------

# The disk of each column in the emulated host: copies of one image, as a guest leaves its traces.
SERVER_DISKS = {"duvisor": "/dev/vda", "qemu": "/dev/vdb", "native": "/dev/vdc"}
# Servers in a guest or, natively, in a chroot; their clients in any case in that chroot, at the other end of a TAP device
# (natively of the loopback device).
SERVED = """
mkdir -p /native && mount -t ext4 /dev/vdc /native && mount -o bind /dev /native/dev || exit
for d in proc sys; do mount -o bind /$d /native/$d; done
for d in run tmp dev/shm; do mkdir -p /native/$d && mount -t tmpfs tmpfs /native/$d; done
ip link set lo up
clients() { # PERCENT PEER
	chroot /native /servers clients "$@"
}
natively() { # CPUS PERCENT
	taskset $(printf %x $(((1 << $1) - 1))) chroot /native /servers serve $2
	clients $2 127.0.0.1
	chroot /native /servers stop
}
served() { # PERCENT WORDS...: by this guest
	percent=$1
	shift
	"$@" >/tmp/out 2>&1 &
	until ip addr add 192.168.7.1/24 dev tap7 2>/dev/null; do
		kill -0 $! || break
		usleep 100000
	done
	ip link set tap7 up
	until grep -q ^serving /tmp/out; do
		kill -0 $! || break
		usleep 200000
	done
	cat /tmp/out
	# Its last line may not have come to its end yet.
	echo
	clients $percent 192.168.7.2
	kill $!
	wait $! || true
}
"""


def server_images():
    """Fresh copies of the image with the load in it, by column."""
    make = subprocess.run([ROOT / "scripts" / "image", "applications", "--no-build"], check=False,
                          stdin=subprocess.DEVNULL)
    source = subprocess.run([ROOT / "scripts" / "fetch", "--path", "musl"], check=False, text=True,
                            stdout=subprocess.PIPE)
    if make.returncode or source.returncode:
        raise Failure("no image with applications")
    commands = (f"write {ROOT}/scripts/lib/servers /servers\nsif /servers mode 0100755\n"
                f"write {source.stdout.strip()} /srv/source.tar.gz\n")
    images = {}
    OUT.mkdir(parents=True, exist_ok=True)
    for column in SERVER_DISKS:
        images[column] = OUT / f"servers-{column}.img"
        subprocess.run(["cp", "--sparse=always", BUILD / "debian-applications.img",
                        images[column]], check=True)
        subprocess.run(["debugfs", "-w", "-f", "-", images[column]], check=True, text=True,
                       input=commands, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return images


# MiB, and percent of the work, of a guest with so many CPUs, unless --memory and --work say it. Work is what can be done in
# half an hour by two cores, which harts in number keep waiting for each other.
SERVER_DEFAULTS = {1: (512, 50), 2: (256, 25)}
SERVER_DEFAULTS_OF_MORE = (2048, 15)


def server_defaults(which):
    """For --help: the first of these numbers or the second, by number of CPUs."""
    few = [f"{defaults[which]} with {cpus}" for cpus, defaults in SERVER_DEFAULTS.items()]
    return f"default: {', '.join(few)}, {SERVER_DEFAULTS_OF_MORE[which]} with more CPUs"


def server_command(column, cpus, memory, work):
    words = f"'console=ttyS0 quiet panic=-1 root=/dev/vda rw init=/servers -- serve {work}'"
    disk = SERVER_DISKS[column]
    if column == "duvisor":
        return (f"served {work} duvisor run --kernel /guest/Image --mem {memory}M --cpus {cpus} "
                f"--disk {disk} --network mode=tap,tapif=tap7 --no-reboot --params {words}")
    if column == "qemu":
        # As many pairs of queues as DuVisor has.
        queues, many = (f",queues={cpus}", ",mq=on") if cpus > 1 else ("", "")
        return (f"served {work} {QEMU} -m {memory}M -smp {cpus} {QEMU_KERNEL} -no-reboot "
                f"{QEMU_DISK.format(disk)} "
                f"-netdev tap,id=net,ifname=tap7,script=no,downscript=no{queues} "
                f"-device virtio-net-device,netdev=net{many} -append {words}")
    return f"natively {cpus} {work}"


def chance(ours, theirs):
    """How probable it is that two equal columns come out with one this far above the other, or farther.

    That is the exact one-sided test of the rank sum, by Wilcoxon, Mann and Whitney."""
    pooled = ours + theirs
    # Twice the rank, so that those of equal values, which share theirs, are whole numbers.
    ranks = [sum((other < value) + (other <= value) for other in pooled) + 1 for value in pooled]
    ways = collections.Counter({(0, 0): 1})  # {(how many ranks, their sum): in how many ways}
    for rank in ranks:
        for (many, total), number in list(ways.items()):
            ways[many + 1, total + rank] += number
    ways = {total: number for (many, total), number in ways.items() if many == len(ours)}
    seen = sum(ranks[:len(ours)])
    return sum(number for total, number in ways.items() if total >= seen) / sum(ways.values())


def mean_goal(what, ratios):
    mean = statistics.geometric_mean(ratios)
    return f"{what} at least 1.5", f"{mean:.2f}", mean >= 1.5


def overall(results):
    """The bars that the project set itself for applications: [(what, figure, whether it is met)].

    results are {operation: {column: [value per round]}}."""
    both = {name: (columns["duvisor"], columns["qemu"])
            for name, columns in results.items() if "qemu" in columns and "duvisor" in columns}
    if not both:
        return []
    times = {name: statistics.median_low(theirs) / statistics.median_low(ours)
             for name, (ours, theirs) in both.items()}
    slower = [f"{name} {ratio:.3f}, by chance {chance(*both[name]):.2f}"
              for name, ratio in times.items() if ratio < 1]
    best = max(times, key=times.get)
    return [("none slower than under QEMU-KVM", "; ".join(slower) or "none", not slower),
            ("one at least twice as fast", f"{best} {times[best]:.2f}", times[best] >= 2),
            mean_goal("geometric mean", times.values())]


def servers(args, share):
    for cpus in args.cpus:
        memory, work = SERVER_DEFAULTS.get(cpus, SERVER_DEFAULTS_OF_MORE)
        memory, work = args.memory or memory, args.work or work
        images = server_images()
        columns = [*linux_columns(args), "native"]
        say(f"servers, wall: {cpus} CPU(s), {memory} MiB, {args.rounds} rounds")
        scripts = {column: f"run {column} {server_command(column, cpus, memory, work)}" for column in columns}
        disks = [word for image in images.values() for word in ("--disk", image)]
        text = in_hosts(scripts, args.rounds, share, *disks, "--host-cpus", cpus + 1, "--host-memory",
                        f"{memory + 1024}M", timeout=1200, setup=SERVED)
        results = {}
        collect_apps(text, results)
        failed = re.findall(r"^failed .*", text, re.M)
        wanted = len(columns) * args.rounds
        if failed or not results or any(sum(map(len, row.values())) != wanted
                                        for row in results.values()):
            sys.stderr.write(text)
            raise Failure(f"not every application has ended well: {', '.join(failed)}")
        for image in images.values():
            image.unlink()
        publish(f"servers-{cpus}-wall", "wall time, ns", summarize(results), args, overall(results),
                settings=f"--cpus {cpus} --memory {memory} --work {work} --rounds {args.rounds}")
    lines = together(DOCS / "bench" if args.save else OUT)
    print("\n".join(lines), flush=True)
    if args.save:
        save_table("servers-all", lines)


def together(folder):
    """The lines that are shown of the servers' tables in this folder, as one: the last of each number of CPUs."""
    tables = [json.loads(path.read_text(encoding="ascii"))["results"]
              for path in sorted(folder.glob("servers-*-wall.json"))]
    ratios = [row["qemu"]["median"] / row["duvisor"]["median"]
              for table_ in tables for row in table_.values() if row.keys() >= {"qemu", "duvisor"}]
    if not ratios:
        return []
    return [goal_line(*mean_goal(f"geometric mean of all {len(ratios)} rows", ratios))]


# --- what comes out ----------------------------------------------------------------


def baseline_of(columns):
    """The better of the two ways to use KVM, for the ratio; native if there is no KVM."""
    kvm = [columns[name]["median"] for name in ("kvm", "qemu") if name in columns]
    return min(kvm) if kvm else None


def verdict(columns, most, times):
    """Whether DuVisor keeps the bar: "met", "missed", or nothing to say."""
    ours, theirs = columns["duvisor"]["median"], baseline_of(columns)
    if most is None and times is None:
        return ""
    good = (most is None or ours <= most) and \
        (times is None or theirs is None or theirs >= times * ours)
    limits = [f"<= {most}"] if most else []
    limits += [f"{times:g}x"] if times else []
    return f"{', '.join(limits)}: {'met' if good else 'missed'}"


def table(results, bars, more=None):
    """Lines of a Markdown table; more columns are {heading: {operation: text}}."""
    more = more or {}
    shown = [name for name in COLUMNS if any(name in columns for columns in results.values())]
    limits = {name: (most, times) for name, most, times in bars}
    head = ["operation"] + [COLUMNS[name] for name in shown] + ["KVM / DuVisor"]
    head += [*more, *["bar"] * bool(bars)]
    rows = [head, ["---"] + ["---:"] * (len(shown) + 1 + len(more)) + ["---"] * bool(bars)]
    for operation, columns in results.items():
        row = [operation]
        for name in shown:
            value = columns.get(name)
            row.append("" if value is None else f"{value['median']:,}" +
                       (f" ({value['min']:,}-{value['max']:,})"
                        if value["min"] != value["max"] else ""))
        ours, theirs = columns.get("duvisor"), baseline_of(columns)
        comparable = ours and theirs is not None and ours["median"]
        row.append(f"{theirs / ours['median']:.1f}" if comparable else "")
        row += [texts.get(operation, "") for texts in more.values()]
        if bars:
            row.append(verdict(columns, *limits.get(operation, (None, None))) if ours else "")
        rows.append(row)
    return [f"| {' | '.join(row)} |" for row in rows]


def svg(title, results):
    """A bar chart: one group per operation, the ratio to DuVisor on a logarithmic scale."""
    shown = [name for name in COLUMNS if any(name in columns for columns in results.values())]
    groups = [(op, columns) for op, columns in results.items()
              if columns.get("duvisor", {}).get("median")]
    left, width, bar, gap, top = 250, 520, 13, 12, 52
    most = max([value["max"] / columns["duvisor"]["median"] for _, columns in groups
                for value in columns.values()] + [10])
    decades = len(str(int(most)))

    def x(ratio):
        return left + width * (len_log(ratio) + 1) / (decades + 1)

    height = top + sum(len(columns) * bar + gap for _, columns in groups) + 20
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 90}" '
           f'height="{height}" font-family="sans-serif" font-size="11">',
           f"<!-- {LICENSE} -->", '<rect width="100%" height="100%" fill="white"/>',
           f'<text x="8" y="18" font-size="14">{title}: times DuVisor (logarithmic; '
           'less is better)</text>']
    for number, name in enumerate(shown):
        out.append(f'<rect x="{8 + 110 * number}" y="28" width="11" height="11" '
                   f'fill="{COLORS[name]}"/><text x="{24 + 110 * number}" y="38">'
                   f'{COLUMNS[name]}</text>')
    for decade in range(-1, decades + 1):
        at = x(10 ** decade)
        out.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{top - 6}" y2="{height - 16}" '
                   f'stroke="#ddd"/><text x="{at:.1f}" y="{height - 4}" text-anchor="middle" '
                   f'fill="#777">{10 ** decade:g}</text>')
    y = top
    for operation, columns in groups:
        ours = columns["duvisor"]["median"]
        out.append(f'<text x="{left - 8}" y="{y + len(columns) * bar / 2 + 4}" '
                   f'text-anchor="end">{operation}</text>')
        for name in shown:
            if name not in columns:
                continue
            value = columns[name]
            end = x(value["median"] / ours)
            out.append(f'<rect x="{left}" y="{y}" width="{max(end - left, 1):.1f}" '
                       f'height="{bar - 2}" fill="{COLORS[name]}"/>')
            low, high = x(value["min"] / ours), x(value["max"] / ours)
            out.append(f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y + bar / 2 - 1}" '
                       f'y2="{y + bar / 2 - 1}" stroke="black"/>')
            out.append(f'<text x="{max(end, high) + 4:.1f}" y="{y + bar - 4}">'
                       f'{value["median"]:,}</text>')
            y += bar
        y += gap
    return "\n".join(out + ["</svg>", ""])


def len_log(ratio):
    """log10, at least -1."""
    return max(math.log10(ratio), -1) if ratio > 0 else -1


def goal_line(what, figure, met):
    return f"* {what}: {'met' if met else 'missed'} ({figure})"


def shown(data):
    """The lines that are shown of what was measured; data is what the JSON file holds."""
    lines = table(data["results"], TABLE_BARS.get(data["name"], []), data.get("more"))
    if "goals" in data:
        lines += [""] + [goal_line(goal["goal"], goal["figure"], goal["met"]) for goal in data["goals"]]
    if "settings" in data:
        lines += ["", f"With `{data['settings']}`."]
    return lines


def publish(name, unit, results, args, goals=(), more=None, settings=""):
    """Print the table, write the files, and with --save those of the documentation.

    settings are the options that it takes to measure the same again."""
    data = {"license": LICENSE, "name": name, "unit": unit, "results": results}
    if settings:
        data["settings"] = settings
    if more:
        data["more"] = more
    if goals:
        data["goals"] = [{"goal": what, "figure": figure, "met": met} for what, figure, met in goals]
    lines = shown(data)
    print(f"\n{name} ({unit})\n")
    print("\n".join(lines), flush=True)
    text = json.dumps(data, indent=1) + "\n"
    picture = svg(name, results)
    places = [OUT] + ([DOCS / "bench"] if args.save else [])
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{name}.json").write_text(text, encoding="ascii")
        (place / f"{name}.svg").write_text(picture, encoding="ascii")
    if args.save:
        save_table(name, lines)
        if name == "micro-icount":
            save_readme(lines)


PAGE = DOCS / "performance.md"


def split_page(name):
    """PAGE before, between and after the two marks of this name."""
    parts = re.fullmatch(rf"(.*^<!-- bench {name} -->\n)(.*?)(^<!-- end {name} -->.*)", PAGE.read_text(encoding="utf-8"),
                         re.M | re.S)
    if not parts:
        raise Failure(f"{PAGE} has no place for {name}")
    return parts.groups()


def save_table(name, lines):
    before, _, after = split_page(name)
    PAGE.write_text(before + "\n".join(lines) + "\n" + after, encoding="utf-8")


def save_readme(lines):
    """The rows that README.md shows of this table."""
    def operation(line):
        return line.split(" | ", 1)[0]

    rows = {operation(line): line for line in lines if line.startswith("| ")}
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8").splitlines()
    readme.write_text("\n".join(rows.get(operation(line), line) for line in text) + "\n", encoding="utf-8")


# --- the regression gate -----------------------------------------------------------

GATE = ROOT / "tests" / "bench" / "instructions"
TOLERANCE = 0.02
# Not on record: what depends on the host kernel's doings of the moment.
UNSTEADY = re.compile(r"WFI|start of a VM|first touch of 2 MiB")


def compiler():
    """Another compiler makes another number of instructions."""
    done = subprocess.run(["riscv64-linux-gnu-gcc", "-dumpfullversion"], check=True, text=True,
                          stdout=subprocess.PIPE)
    return f"gcc {done.stdout.strip()}"


def read_record():
    """(compiler, {operation: instructions})"""
    lines = [line.split(": ", 1) for line in GATE.read_text(encoding="ascii").splitlines()
             if line and not line.startswith("#")]
    return lines[0][1], {name: int(value) for name, value in lines[1:]}


def write_record(instructions):
    lines = ["# SPDX-License-Identifier: GPL-2.0-or-later",
             "# Instructions per operation: scripts/bench gate --update",
             f"compiler: {compiler()}"]
    lines += [f"{name}: {value}" for name, value in instructions.items()]
    GATE.write_text("\n".join(lines) + "\n", encoding="ascii")


def gate(args, share):
    """Compare DuVisor's instruction counts with those on record; the exit status."""
    made_by, record = read_record()
    if not args.update and made_by != compiler():
        say(f"the record is of {made_by}, this is {compiler()}: nothing to compare")
        return EXIT_SKIPPED
    results = {}
    text = in_host(micro_script("duvisor", 1), share, "--icount", "--host-cpus", 1, timeout=300)
    collect(text, results)
    collect_aia(["duvisor"], share, results)
    now = {name: summary(columns["duvisor"])["median"] for name, columns in results.items()
           if not UNSTEADY.match(name)}
    if args.update:
        write_record(now)
        return 0
    wrong = differences(now, record)
    for line in wrong:
        say(line)
    if wrong:
        # Least, median and most of an operation's batches tell a steady change from something beside it.
        print("\n".join(line for line in text.splitlines() if LINE.match(line)))
        say("if that is meant to be: scripts/bench gate --update, and commit the record")
    return 1 if wrong else 0


def differences(now, record):
    """As lines. A missing or new operation counts; a difference of one instruction does not."""
    wrong = [f"{name}: not measured" for name in record if name not in now]
    wrong += [f"{name}: {value}, not on record" for name, value in now.items()
              if name not in record]
    for name in record.keys() & now.keys():
        if abs(now[name] - record[name]) > max(1, TOLERANCE * record[name]):
            wrong.append(f"{name}: {now[name]}, on record are {record[name]}")
    return sorted(wrong)


# --- the command -------------------------------------------------------------------


class OneLineParser(argparse.ArgumentParser):
    def error(self, message):
        say(f"{message} (try --help)")
        sys.exit(2)


def cpu_counts(text):
    words = text.split(",")
    if not all(word.isdigit() and 1 <= int(word) <= 8 for word in words):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers from 1 to 8")
    return [int(word) for word in words]


def number_from(least):
    def number(text):
        if not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} on")
        return int(text)
    return number


PARTS = {"micro": micro, "boot": boot, "apps": apps, "dd": dd, "servers": servers}


def parse(argv):
    parser = OneLineParser(prog="scripts/bench", description=__doc__, allow_abbrev=False,
                           formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", default="all",
                        choices=[*PARTS, "all", "gate"],
                        help="gate: compare DuVisor's own instruction counts with the record")
    parser.add_argument("--clock", choices=["icount", "wall", "both"], default="both")
    parser.add_argument("--cpus", type=cpu_counts, default=[1, 2, 4], metavar="N,...",
                        help="servers: a table for each number of CPUs (default: 1,2,4)")
    parser.add_argument("--memory", type=number_from(256), metavar="MIB",
                        help=f"servers: of the guest ({server_defaults(0)})")
    parser.add_argument("--work", type=number_from(1), metavar="PERCENT",
                        help=f"servers: of the full amounts of work ({server_defaults(1)})")
    # Even, so that each column goes first as often as last.
    parser.add_argument("--rounds", type=number_from(1), default=6, metavar="N",
                        help="of each column under wall time (default: %(default)s)")
    parser.add_argument("--no-build", action="store_true", help="use what is built already")
    parser.add_argument("--save", action="store_true",
                        help="put tables and pictures into docs/, too, and rows into README.md")
    parser.add_argument("--update", action="store_true",
                        help="gate: put today's counts on record (tests/bench)")
    args = parser.parse_args(argv)
    args.clocks = ["icount", "wall"] if args.clock == "both" else [args.clock]
    args.columns = ["duvisor"]
    if args.what != "gate":
        args.columns += ["kvm", "qemu"]
    if "wall" in args.clocks and args.what in ("micro", "apps", "boot", "all"):
        args.columns.append("upstream")
    return args


def main(argv):
    args = parse(argv)
    try:
        share = prepare(args)
        if args.what == "gate":
            return gate(args, share)
    except Failure as failure:
        say(failure)
        return 1
    return run_parts(PARTS if args.what == "all" else [args.what], args, share)


def run_parts(names, args, share):
    """The exit status. What fails does not take the rest with it."""
    status = 0
    for name in names:
        try:
            PARTS[name](args, share)
        except Failure as failure:
            say(f"{name}: {failure}")
            status = 1
    return status


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main(sys.argv[1:]))
    sys.exit(130)
