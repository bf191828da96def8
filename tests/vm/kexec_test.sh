#!/bin/bash
# SPDX-License-Identifier: MIT
# A kernel takes over from another while jobs run on the card, in the VM, as root. The card has to be quiet then (the driver's shutdown()
# stops it, and the PCI core cuts it off): the memory that its jobs used belongs to somebody else in the new kernel, whose IOMMU tells of
# every access that is not meant. Runs twice: the first kernel's run ends in the second's, which says how it went. The second boots without
# the driver, so that the card is seen as the first left it; cut off alone, its firmware would still run.
# usage: kexec_test.sh BUILD RELEASE
set -u
. tests/tap.sh
build=$1 series=$2
client=$build/tests/kselftest/client
kexec=$build/tests/kselftest/kexec
if ! grep -qw snpu.second /proc/cmdline; then
	for c in "spin" "compute 60 20000" "rings 60 20000"; do
		# shellcheck disable=SC2086 # words
		"$client" $c >"/dev/shm/${c%% *}" 2>&1 &
	done
	for c in spin compute rings; do
		for _ in $(seq 100); do grep -q ready "/dev/shm/$c" && break; sleep 0.1; done
		grep -q ready "/dev/shm/$c" || { echo "Bail out! client $c did not start"; exit 1; }
	done
	initrd=/dev/shm/initrd		# the same, and after it another list of modules, which replaces the first
	cp "$VM_INITRD" $initrd && cd /dev/shm && mkdir modules && busybox cpio -i --to-stdout modules/driver <$initrd 2>/dev/null | grep -v '^snpu\.ko' >modules/driver &&
		busybox cpio -o -H newc <<<modules/driver >>$initrd 2>/dev/null && exec "$kexec" "$VM_KERNEL" $initrd "$(cat /proc/cmdline) snpu.second"
	echo "Bail out! no kernel to go to"
	exit 1
fi
dev=$(dirname "$(grep -lx 0x120000 /sys/bus/pci/devices/*/class)")
halted() { # 0: by the first kernel's driver, since nobody else has touched it
	local state
	echo 1 >"$dev/enable"
	state=$("$kexec" state "$dev/resource0")
	echo 0 >"$dev/enable"
	echo "$state"
	[ "$state" = "core 0 engine 0" ] && ! lsmod | grep -qw ^snpu
}
no_faults() { # of accesses from the card
	dmesg | grep -E 'DMAR:.*(fault|Fault)' && return 1
	return 0
}
network() { "$build/tools/snpu/snpu" run tests/data/nir/mnist/mnist_lif.nir --input tests/data/nir/mnist/mnist_test1000.npz --samples 40 --require-device --device card:0 \
	--expect tests/data/nir/mnist/mnist_test1000.npz:torch_counts; }
ok "the card was stopped before this kernel began" halted
insmod "$build/kmod/$series/snpu.ko" && for _ in $(seq 100); do [ -c /dev/accel/accel0 ] && break; sleep 0.1; done
ok "the card works under the kernel that took over" "$client" short
ok "and runs a network" network
ok "it touched no memory that was not its own" no_faults
ok "the driver's log is that of a first probe" test "$(dmesg | grep -c 'snpu .*firmware [0-9.]* (.*), ABI')" = 1
done_testing
