#!/bin/bash
# SPDX-License-Identifier: MIT
# Memory of the driver, in the VM, as root: dma-bufs of others and of a second card, device memory, limits of several users,
# large pages, what is left when a card goes while processes have memory in it. Afterwards nothing may be left.
# usage: mem_test.sh BUILD          SNPU_P2P=1: the cards can reach each other's memory
set -u
. tests/tap.sh
build=$1
t=$build/tests/kselftest
user=(setpriv --reuid=1000 --regid=1000 "--groups=$(stat -c %g /dev/accel/accel0)" --inh-caps=-all --bounding-set=-all)

quiet() { # runs a test program; its own TAP becomes the diagnostics of one line here
	"$@" && return
	echo "status $?"
	return 1
}
nothing_left() { # of any card; queues end and fences are freed a moment later
	for _ in $(seq 50); do
		cat /sys/kernel/debug/accel/*/objects | awk '/^(vms|queues|bos|jobs|fences|leaves_[0-9a-z]*) / && $2 != 0 { bad = 1 } END { exit bad }' && return 0
		sleep 0.1
	done
	cat /sys/kernel/debug/accel/*/objects
	return 1
}

ok "large pages, as long as memory is in one piece" quiet "$t/memory_test" pages
ok "memory of a process, an ordinary user" quiet "${user[@]}" "$t/userptr_test"
ok "memory of a process, root" quiet "$t/userptr_test"
ok "limits and device memory, an ordinary user" quiet "${user[@]}" "$t/memory_test"
ok "limits of several users" quiet "$t/memory_test" user opener
ok "what the library says when something runs out" quiet "${user[@]}" "$build/tests/e2e/card_limits"
ok "dma-bufs" quiet "$t/prime_test"
ok "nothing is left" nothing_left

# A card that came back while somebody had it open got another number; the next test shall find the first ones.
renumber() {
	local cards=() c
	for c in /sys/bus/pci/drivers/snpu/0000:*; do cards+=("${c##*/}"); done
	for c in "${cards[@]}"; do echo "$c" >/sys/bus/pci/drivers/snpu/unbind; done
	for c in "${cards[@]}"; do echo "$c" >/sys/bus/pci/drivers/snpu/bind; done
	for _ in $(seq 50); do [ -e "/dev/accel/accel$((${#cards[@]} - 1))" ] && break; sleep 0.1; done
	sleep 0.5
	[ -e /dev/accel/accel0 ] && [ "$(ls /dev/accel | wc -l)" = ${#cards[@]} ] && "$t/client" short
}
ok "all cards work after being unbound and bound again" renumber
done_testing
