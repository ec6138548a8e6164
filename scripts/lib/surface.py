# SPDX-License-Identifier: GPL-2.0-or-later
"""Measure the host kernel's code behind a virtual machine: KVM's against the shim's.

Reads what scripts/test and scripts/run have built: the host kernel, its KVM objects and
duvisor.ko, by the riscv64 binutils.  Nothing runs, but for the row of --run.  What each row
counts, and what it cannot see, is in docs/performance.md, "Attack surface".

exit status: 0, or 1 if something that is to be measured is not built.
"""

import argparse
import bisect
import re
import subprocess
import sys
from pathlib import Path

from world import BUILD, ROOT

DOCS = ROOT / "docs" / "performance.md"
TOOLS = "riscv64-linux-gnu-"
EXIT_MISSING = 1

SYMBOL = re.compile(r"^[0-9a-f]+ .{6}F (?P<section>\S+)\t(?P<size>[0-9a-f]+) "
                    r"(?:\.hidden )?(?P<name>\S+)$")
LABEL = re.compile(r"^([0-9a-f]+) <([^>]+)>:$")
# A jump, call or branch: calls at the end of a function are jumps, and may be conditional.
JUMP = re.compile(r"^ *[0-9a-f]+:\t(?:c\.)?(?:j|jal|jr|jalr|b[a-z]+)\t(?P<operands>.*)$")
TARGET = re.compile(r"([0-9a-f]+) <[^>]+>$")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
COMMAND = re.compile(r"^#\s*define\s+(\w+)\s+_IO[RW]*\(", re.MULTILINE)
START = ".init", ".exit"


class Missing(Exception):
    """What keeps us from measuring: a line for the user."""


def not_built(path):
    return Missing(f"{path}: not built (meson compile -C build)")


def tool(name, *args):
    return subprocess.run([TOOLS + name, *map(str, args)], check=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True).stdout


def existing(paths):
    for path in paths:
        if not path.exists():
            raise not_built(path)
    return list(paths)


def functions(objects):
    """(name, bytes) of each function that stays once the code is loaded."""
    found = []
    for line in tool("objdump", "-t", *objects).splitlines():
        symbol = SYMBOL.match(line)
        if symbol and not symbol["section"].startswith(START) and symbol["section"] != "*UND*":
            found.append((symbol["name"], int(symbol["size"], 16)))
    return found


def undefined(objects):
    """What the objects name and none of them defines."""
    words = tool("nm", "-u", *objects).split()
    return set(words) - {"U", "w", "v"} - {name for name, _ in functions(objects)}


class Graph:
    """The direct calls of a linked program, by the addresses of its functions."""

    def __init__(self, disassembly):
        self.names = {}
        jumps = []
        for line in disassembly:
            label = LABEL.match(line)
            if label:
                here = int(label[1], 16)
                self.names[here] = label[2]
                continue
            jump = JUMP.match(line)
            target = jump and TARGET.search(jump["operands"])
            if target:
                jumps.append((here, int(target[1], 16)))
        self.starts = sorted(self.names)
        self.calls = {}
        for caller, target in jumps:
            self.calls.setdefault(caller, set()).add(self.function_at(target))

    def function_at(self, address):
        """The start of the function around an address, or None."""
        place = bisect.bisect_right(self.starts, address)
        return self.starts[place - 1] if place else None

    def reached(self, names):
        """The addresses of these functions and all that they lead to."""
        todo = [start for start, name in self.names.items() if name in names]
        seen = set(todo)
        while todo:
            for callee in self.calls.get(todo.pop(), ()):
                if callee is not None and callee not in seen:
                    seen.add(callee)
                    todo.append(callee)
        return seen


def disassemble(program):
    with subprocess.Popen([TOOLS + "objdump", "-d", "--no-show-raw-insn", str(program)],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as run:
        graph = Graph(line.rstrip("\n") for line in run.stdout)
    if run.returncode:
        raise subprocess.CalledProcessError(run.returncode, run.args)
    return graph


def without_comments(path):
    return COMMENT.sub("", path.read_text(encoding="utf-8"))


def lines_of(sources):
    return sum(bool(line.strip()) for path in sources
               for line in without_comments(path).splitlines())


def ioctls(headers, sources):
    """The commands of the interface that a switch in the code has a case for."""
    defined = {name for path in headers for name in COMMAND.findall(without_comments(path))}
    code = "\n".join(map(without_comments, sources))
    return {name for name in defined if re.search(rf"\bcase\s+{name}\s*:", code)}


def sandbox_calls():
    """The system calls in the table of sandbox.c, less those that riscv64 does not have."""
    text = without_comments(ROOT / "duvisor-core" / "src" / "sandbox.c")
    text = re.sub(r"#ifdef SYS_\w+\n.*?#endif", "", text, flags=re.DOTALL)
    table = re.search(r"rules\[\] = \{(.*?)\n\};", text, re.DOTALL)[1]
    calls = set(re.findall(r"\.call = SYS_(\w+)", table))
    return calls | ({"ioctl"} if "IOCTL(" in table else set())


def kvm():
    built, source = BUILD / "linux", BUILD / "src" / "linux"
    folders = [Path("arch/riscv/kvm"), Path("virt/kvm")]
    objects = [path for folder in folders for path in sorted((built / folder).glob("*.o"))]
    if not objects:
        raise not_built(built / folders[0] / "*.o")
    stems = [path.relative_to(built).with_suffix("") for path in objects]
    sources = [path for stem in stems for end in (".c", ".S")
               if (path := source / f"{stem}{end}").exists()]
    headers = existing([source / "include/uapi/linux/kvm.h"])
    return objects, sources, ioctls(headers, sources)


def shim():
    folder = ROOT / "kernel-shim"
    sources = sorted(folder.glob("*.c"))
    headers = existing([folder / "include/uapi/duvisor.h"])
    return existing([BUILD / "kernel-shim/duvisor.ko"]), sources, ioctls(headers, sources)


def measure(graph, objects, sources, commands):
    """{row: figure} of one of the two."""
    own = functions(objects)
    kernel = set(graph.names.values())
    imported = undefined(objects) & kernel
    reached = {graph.names[start] for start in graph.reached(imported)}
    return {
        "lines of source (.c and .S, no comments)": lines_of(sources),
        "functions": len(own),
        "bytes of machine code": sum(size for _, size in own),
        "other kernel functions named": len(imported),
        "functions behind those by direct calls": len(reached - {name for name, _ in own} - imported),
        "ioctl commands": len(commands),
    }


def table(columns):
    rows = ["| | shim | KVM | KVM / shim |", "| --- | ---: | ---: | ---: |"]
    for row, ours in columns["shim"].items():
        theirs = columns["kvm"][row]
        rows.append(f"| {row} | {ours:,} | {theirs:,} | {theirs / ours:.1f} |")
    rows.append(f"| system calls allowed to `duvisor` once the guest runs | "
                f"{len(sandbox_calls())} | | |")
    return "\n".join(rows)


def add_executed(columns, show):
    """Add the row of --run."""
    # Here, as it is bench.py's world, which the rest does not need.
    import executed  # pylint: disable=import-outside-toplevel

    try:
        found = executed.measure()
    except executed.bench.Failure as failure:
        raise Missing(failure) from None
    for name, functions_seen in found.items():
        columns[name]["functions executed for a guest, beyond an idle host's"] = len(functions_seen)
        if show:
            print(f"{name}:", *sorted(functions_seen), file=sys.stderr)


def save(text):
    begin, end = "<!-- attack-surface -->\n", "\n<!-- end attack-surface -->"
    before, rest = DOCS.read_text(encoding="utf-8").split(begin)
    after = rest.split(end)[1]
    DOCS.write_text(before + begin + text + end + after, encoding="utf-8")


def main(argv):
    parser = argparse.ArgumentParser(prog="scripts/attack-surface", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="store_true",
                        help="run guests as well, and count what of the kernel executes meanwhile (needs the "
                             "package archive for KVM's QEMU; some minutes)")
    parser.add_argument("--names", action="store_true", help="with --run: name what executes")
    parser.add_argument("--save", action="store_true",
                        help="write the table into docs/performance.md, too")
    args = parser.parse_args(argv)
    try:
        parts = {"kvm": kvm(), "shim": shim()}
        graph = disassemble(*existing([BUILD / "linux" / "vmlinux"]))
        columns = {name: measure(graph, *part) for name, part in parts.items()}
        if args.run:
            add_executed(columns, args.names)
    except Missing as missing:
        print(f"attack-surface: {missing}", file=sys.stderr)
        return EXIT_MISSING
    text = table(columns)
    print(text)
    if args.save:
        save(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
