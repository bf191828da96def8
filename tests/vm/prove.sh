#!/bin/bash
# SPDX-License-Identifier: MIT
# In the VM, as root, on the debug kernel: each detector finds a mistake that is made on purpose. Ends with a log full of complaints,
# so tools/vm must fail after it, which its caller checks.
# usage: prove.sh PROVE.KO
set -u
. tests/tap.sh
ko=$1

proves() { # proves MISTAKE REGEX: making it brings a line that matches
	dmesg -C
	insmod "$ko" what="$1" 2>/dev/null
	sleep 0.2
	dmesg | grep -Eq "$2" || { dmesg | tail -n 20; return 1; }
}
leaks() {
	insmod "$ko" what=leak 2>/dev/null
	sleep 6 # younger ones are not reported
	for _ in 1 2; do echo scan >/sys/kernel/debug/kmemleak; done # the first one looks whether they change
	grep -A 12 'unreferenced object.*size 10[0-9][0-9]' /sys/kernel/debug/kmemleak | grep -q 'prove' || { head -n 40 /sys/kernel/debug/kmemleak; return 1; }
}
# Lockdep first: it goes silent after most others' complaints.
ok "lockdep finds locks taken in either order" proves lock-order 'possible circular locking'
echo clear >/sys/kernel/debug/kmemleak
ok "kmemleak finds memory that nothing refers to" leaks
ok "KASAN finds memory used after it was freed" proves use-after-free 'KASAN: slab-use-after-free'
ok "KASAN finds memory used beyond its end" proves out-of-bounds 'KASAN: slab-out-of-bounds'
ok "UBSAN finds a shift that is not defined" proves undefined 'UBSAN: shift-out-of-bounds'
ok "DMA-API debugging finds an unmapping of what was not mapped" proves dma 'DMA-API: .*tries to free DMA memory it has not allocated'
ok "objects debugging finds a running timer that is freed" proves object 'ODEBUG: free active'
ok "sleeping under a spinlock is found" proves atomic-sleep 'scheduling while atomic|sleeping function called'
done_testing
