#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Make asm_offsets.h of asm_offsets.c: compile it to assembly, take the marked lines.

usage: asm-offsets.py SOURCE OUTPUT DEPFILE -- COMPILER [ARGUMENT...]
"""

import subprocess
import sys


def main() -> int:
    source, output, depfile = sys.argv[1:4]
    compiler = sys.argv[5:]
    command = [*compiler, "-MD", "-MF", depfile, "-MT", output, "-S", source, "-o", "-"]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if run.returncode:
        return run.returncode
    lines = [line.strip()[1:] for line in run.stdout.splitlines() if line.strip().startswith("@")]
    if not lines:
        print(f"{source}: no marked line in the compiler's output", file=sys.stderr)
        return 1
    with open(output, "w", encoding="ascii") as out:
        out.write("/* Generated from asm_offsets.c. */\n" + "\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
