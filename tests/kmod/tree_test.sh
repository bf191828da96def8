#!/bin/bash
# SPDX-License-Identifier: MIT
# The driver as a part of the kernel: put into the source tree that tools/kernel-debug keeps, it is configured and built there like any
# other, with W=1; kernel-doc finds every member of every structure described; the tree's semantic patches find nothing.
# Nothing of it stays in the tree.
# usage: tree_test.sh BUILD
set -u
cd "$(dirname "$0")/../.."
. tests/tap.sh
. tools/testbed/in-root.sh
build=$1
root=$(tools/kernel-debug --root) || exit 1
linux=$root/usr/src/linux
accel=$linux/drivers/accel/snpu
mkdir -p "$build"

exec 9>"$linux/.snpu.lock"
flock 9
restore() {
	rm -rf "$accel" "$linux/include/uapi/drm/snpu_accel.h"
	tools/kernel-add-driver "$linux" . kconfig
}
trap restore EXIT

make_in_tree() { in_root "$root" make -C /usr/src/linux CC=gcc-14 HOSTCC=gcc-14 -s -j"$(nproc)" "$@"; }
in_tree() {
	tools/kernel-add-driver "$linux" . || return 1
	make_in_tree W=1 drivers/accel/snpu/ 2>&1 | tee "$build/tree.log"
	[ "${PIPESTATUS[0]}" = 0 ] && [ -f "$accel/snpu.o" ] && ! grep -i 'warning:' "$build/tree.log"
}
links() { # W=1 for all modules would build all of them again
	make_in_tree modules && [ -f "$accel/snpu.ko" ] && grep -aq 'vermagic=.*' "$accel/snpu.ko"
}
ok "built in drivers/accel/snpu of $(make_in_tree kernelversion), with W=1 and without a warning" in_tree
ok "linked there, with the helpers that its Kconfig selects" links

ok "kernel-doc: everything is described" tests/kmod/kernel-doc.sh python3 "$linux/scripts/kernel-doc"
ok "coccinelle: the tree's semantic patches" tests/kmod/cocci.sh "$linux"
done_testing
