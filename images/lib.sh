# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034 # its variables are for the steps
#
# What the build steps in this folder share.  A step is a script that makes one
# part of the world below $build and leaves a stamp naming everything it was made
# from; run again it compares the stamp and returns at once, or goes on where it
# was cut.  Meson calls every step on every build, so a warm step must be quick.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${DUVISOR_BUILD:-$root/build}
step=${0##*/}
step=${step#build-}
jobs=${DUVISOR_JOBS:-$(nproc)}
cross=riscv64-linux-gnu-
# The distribution's own interpreter: another one earlier in PATH may lack its modules.
python=/usr/bin/python3
[ -x "$python" ] || python=python3

# Two builds at once (a test run beside a developer's) take turns, step by step.
mkdir -p "$build/log" "$build/stamp"
exec 8>"$build/stamp/.lock-$step"
flock 8

say() { echo "$step: $*" >&2; }
die() { say "$*"; exit 1; }

need() { # TOOL...: refuse early, with the one command that helps
	local tool
	for tool; do
		command -v "$tool" >/dev/null ||
			die "$tool is not installed: run scripts/deps"
	done
}

ccache_prefix() { if command -v ccache >/dev/null; then echo "ccache "; fi; }

# Identify the inputs of a step: the names and contents of small files, any words.
fingerprint() { # FILE-OR-WORD...
	local item
	for item; do
		if [ -f "$item" ]; then
			echo "${item#"$root"/} $(sha256sum <"$item" | cut -c1-64)"
		else
			echo "$item"
		fi
	done
}

fresh() { # STAMP FINGERPRINT OUTPUT...: is the step done already?
	local stamp=$1 print=$2 out
	shift 2
	[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$print" ] || return 1
	for out; do [ -e "$out" ] || return 1; done
}

stamp() { # STAMP FINGERPRINT
	mkdir -p "${1%/*}"
	printf '%s\n' "$2" >"$1"
}

source_file() { # NAME: the fetched file that serves as NAME, fetched now if need be
	"$root/scripts/fetch" "$1" && "$root/scripts/fetch" --path "$1"
}

unpack() { # FILE DIR: a tarball or a .deb, whole or not at all
	local tmp=$2.part
	rm -rf "$tmp"
	mkdir -p "$tmp"
	say "unpacking ${1##*/}"
	case $1 in
	*.deb) ar p "$1" "$(ar t "$1" | grep '^data\.tar')" >"$tmp.tar" &&
		tar -xf "$tmp.tar" -C "$tmp" && rm "$tmp.tar" ;;
	*) tar -xf "$1" -C "$tmp" --strip-components=1 ;;
	esac
	rm -rf "$2"
	mv "$tmp" "$2"
}

# Run a long command into a log; show that it moves; on failure show why.
logged() { # LOGNAME COMMAND...
	local log=$build/log/$1.log name=$1 pid lines last=-1
	shift
	mkdir -p "$build/log"
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	# shellcheck disable=SC2064 # the pid of now
	trap "kill $pid 2>/dev/null; exit 130" INT TERM
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.2
		[ $((SECONDS / 5)) -ne "$last" ] || continue
		last=$((SECONDS / 5))
		[ "$SECONDS" -lt 5 ] || {
			lines=$(wc -l <"$log")
			say "$name: ${SECONDS}s, $lines steps, $(tail -n 1 "$log" | cut -c1-60)"
		}
	done
	trap - INT TERM
	wait "$pid" || {
		grep -a -i -E -B2 -A6 '(error|fatal|failed)[: ]' "$log" | tail -n 30 >&2 ||
			tail -n 30 "$log" >&2
		die "$name failed; the whole log is $log"
	}
}
