#!/bin/bash
# SPDX-License-Identifier: MIT
# The system sleeps while clients work, in the VM, as root. The root file system of the VM does not survive that (virtio-9p has
# no suspend), so everything that is needed is copied to RAM, and nothing can run after this in the same VM. The slots must be
# without hot-plug (tools/vm --hotplug off). Prints TAP; what follows "exec" is sleep_ram.sh.
# usage: sleep_test.sh BUILD
set -u
build=$1
ram=/run/ram
mkdir -p $ram/{bin,dev,proc,sys,tmp,run}
for d in dev proc sys run; do mount --rbind /$d $ram/$d; done
mkdir -p $ram/lib/firmware
mount --bind /usr/lib/firmware $ram/lib/firmware	# where the kernel looks; in RAM as well
copy() { # copy PROGRAM: with its libraries
	local lib
	cp "$1" $ram/bin/
	for lib in $(ldd "$1" | grep -o '/[^ ]*'); do
		mkdir -p "$ram${lib%/*}"
		[ -e "$ram$lib" ] || cp -L "$lib" "$ram$lib"
	done
}
copy "$build/tests/kselftest/client"
copy "$build/tests/e2e/mnist_again"
mkdir -p $ram/tests/data/nir
cp -r tests/data/nir/mnist $ram/tests/data/nir/
cp /run/vm/bin/busybox /run/vm/bin/vmhost $ram/bin/
cp tests/vm/sleep_ram.sh $ram/bin/
echo "TAP version 13"
for a in sh readlink ls cat sleep grep sed tail wc mkfifo seq kill date mv basename; do ln -s busybox $ram/bin/$a; done
PATH=/bin exec /run/vm/bin/busybox chroot $ram /bin/busybox sh /bin/sleep_ram.sh
