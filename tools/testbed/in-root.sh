# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Sourced. Runs a program inside an unpacked root with the root's own C library: in a mount namespace, or a plain chroot
# where namespaces are forbidden. The environment is empty but for PATH.

in_namespace='mount --rbind /proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" "$@"'
in_root() { # in_root ROOT PROGRAM ARGUMENT...
	root_dir=$1
	shift
	set -- /usr/bin/env -i PATH=/usr/bin:/usr/sbin LC_ALL=C "$@"
	if [ "$(id -u)" -eq 0 ] && unshare -m true 2>/dev/null; then
		unshare -m sh -c "$in_namespace" "$root_dir" "$@"
	elif unshare -Urm true 2>/dev/null; then
		unshare -Urm sh -c "$in_namespace" "$root_dir" "$@"
	elif [ "$(id -u)" -eq 0 ]; then
		# objtool reads its own maps; everything else only wants somewhere to write to.
		[ -e "$root_dir/proc/self/maps" ] || { mkdir -p "$root_dir/proc/self" && cat /proc/self/maps >"$root_dir/proc/self/maps"; }
		[ -e "$root_dir/dev/null" ] || : >"$root_dir/dev/null"
		chroot "$root_dir" "$@"
	else
		echo "neither user namespaces nor root: allow one of them (sysctl kernel.unprivileged_userns_clone=1)"
		return 1
	fi
}
