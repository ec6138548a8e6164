# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # lib.sh and the step set its variables
#
# What the steps share that build a Linux kernel: from the source in $src into $out, configured by
# the files in `fragments`.

kmake() {
	nice make -C "$src" O="$out" ARCH=riscv CROSS_COMPILE="$(ccache_prefix)$cross" \
		KBUILD_BUILD_USER=duvisor KBUILD_BUILD_HOST=duvisor \
		KBUILD_BUILD_TIMESTAMP='2000-01-01' -j"$jobs" "$@"
}

# Everything that no fragment asks for is off.
make_config() {
	cat "${fragments[@]}" >"$out/wanted.config"
	kmake KCONFIG_ALLCONFIG="$out/wanted.config" allnoconfig
}

# An option that Kconfig silently dropped (a missing dependency) is an error.
check_config() {
	local want ok=1
	while read -r want; do
		case $want in
		*=n) want="# ${want%=n} is not set" ;;
		esac
		grep -q -x -F "$want" "$out/.config" && continue
		# An option that does not exist at all is as good as not set.
		[[ $want == '# CONFIG_'* ]] &&
			! grep -q "^$(echo "$want" | cut -d' ' -f2)=" "$out/.config" && continue
		say "the kernel's configuration did not take: $want"
		ok=0
	done < <(grep -h -E '^(CONFIG_|# CONFIG_.* is not set)' "${fragments[@]}")
	[ $ok = 1 ] || die "fix images/linux/*.config"
}
