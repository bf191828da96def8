#!/bin/bash
# SPDX-License-Identifier: MIT
# What only root can do to the driver, in the VM: load and unload, unbind with a job running, unplug the card (when it has MSI;
# QEMU aborts with MSI-X). After each the card must work, every fence must have signalled, and nothing may be left: the driver's
# own counts of objects go back to what they were. Recovery is recover_test.sh's, firmware firmware_test.sh's.
# usage: root_test.sh BUILD RELEASE          RELEASE: the kernel series whose snpu.ko is loaded
set -u
. tests/tap.sh
build=$1 series=$2
ko=$build/kmod/$series/snpu.ko
. tests/vm/innocents.sh

spin_start() { # a client with an endless job, in the background; it says ready first
	: >"$tmp/spin"
	"$client" spin >"$tmp/spin" 2>&1 &
	spin=$!
	for _ in $(seq 100); do grep -q ready "$tmp/spin" && return 0; sleep 0.1; done
	cat "$tmp/spin"
	return 1
}
spin_ends() { # spin_ends REGEX: the client ended by itself and told what REGEX expects
	wait "$spin"
	cat "$tmp/spin"
	grep -Eq "^fence $1\$" "$tmp/spin"
}
unload() { # a fence holds the module until RCU has freed it, a moment after its last user
	for _ in $(seq 50); do rmmod snpu 2>/dev/null && return 0; sleep 0.1; done
	rmmod snpu
}

ok "a client works" "$client" short
ok "nothing is alive without clients" no_objects

# --- what can be seen ---
ok "registers are shown by name" grep -q '^000 ID *55504e53' "$dbg/registers"
ok "the firmware's log can be read" grep -q . "$dbg/firmware_log"
fdinfo() {
	"$client" hold 60 >"$tmp/hold" &
	local pid=$!
	for _ in $(seq 50); do grep -q ready "$tmp/hold" && break; sleep 0.1; done
	grep -l snpu /proc/$pid/fdinfo/* | head -1 | xargs cat >"$tmp/fdinfo"
	cat "$dbg/queues" >"$tmp/queues"
	kill $pid
	wait $pid
	cat "$tmp/fdinfo"
	grep -q "^drm-driver:.*snpu" "$tmp/fdinfo" && grep -q "^drm-pdev:.*$bdf" "$tmp/fdinfo" &&
		grep -Eq "^drm-engine-compute:[[:space:]]+[1-9][0-9]* ns" "$tmp/fdinfo" && grep -Eq "^drm-total-host:[[:space:]]+[1-9]" "$tmp/fdinfo"
}
ok "fdinfo shows engine time and memory" fdinfo
ok "queues are shown" grep -q . "$tmp/queues"

library() { # jobs of libsnpu go through user queues: they ring from the process
	local before after
	before=$(awk '/^doorbell_faults/ { print $2 }' "$dbg/objects")
	"$build/tools/snpu/snpu" run tests/data/nir/mnist/mnist_lif.nir --input tests/data/nir/mnist/mnist_test1000.npz --samples 5 \
		--require-device --device card:0 >/dev/null || return 1
	after=$(awk '/^doorbell_faults/ { print $2 }' "$dbg/objects")
	echo "doorbell pages mapped: $before before, $after after"
	[ "$after" -gt "$before" ]
}
ok "the library rings without system calls" library

# --- leaving ---
unbind() {
	spin_start || return 1
	echo "$bdf" >/sys/bus/pci/drivers/snpu/unbind
	spin_ends '-[0-9]+ state 4 create -19' || return 1
	echo "$bdf" >/sys/bus/pci/drivers/snpu/bind
	node_wait && sleep 0.5 && "$client" short
}
ok "unbind and bind with a job running and files open" unbind
doorbell() { "$build/tests/kselftest/user_test" outlives_its_card; }
ok "a doorbell that outlives its card rings nobody when the card is back" doorbell
storm() { # everything at once: random calls, resets, and then no card
	local before after fuzz
	before=$(awk '/^resets/ { print $2 }' "$dbg/objects")
	SNPU_FUZZ_LOSE=1 SNPU_FUZZ_CALLS=20000 "$build/tests/kselftest/fuzz_test" & fuzz=$!
	sleep 2
	for _ in 1 2 3 4 5; do echo 1 >"$dbg/force_reset"; cat "$dbg/queues" >/dev/null; sleep 0.4; done
	after=$(awk '/^resets/ { print $2 }' "$dbg/objects")
	echo "$bdf" >/sys/bus/pci/drivers/snpu/unbind
	wait "$fuzz" || return 1
	sleep 1 # queues end in the background, and keep the number of the card until then
	echo "$bdf" >/sys/bus/pci/drivers/snpu/bind
	node_wait && sleep 0.5 && "$client" short || return 1
	echo "resets: $before before, $after after 5 that were asked for"
	[ "$after" = $((before + 5)) ]
}
ok "resets and unbinding under random calls, and no reset causes another" storm
busy() {
	"$client" hold 2 >/dev/null &
	sleep 1
	if rmmod snpu 2>/dev/null; then echo "unloaded while a file was open"; return 1; fi
	wait $!
}
ok "the module cannot be unloaded while a file is open" busy
reload() {
	for i in $(seq 20); do
		unload && node_wait -n && insmod "$ko" && node_wait && sleep 0.2 && "$client" short || { echo "round $i"; return 1; }
	done
}
ok "unload and load 20 times" reload
without_driver() { # through libpci and sysfs: a card that nothing drives is still seen, and what to do is said
	unload && node_wait -n || return 1
	"$build/tools/snpu/snpu" list >"$tmp/list"
	cat "$tmp/list"
	insmod "$ko" && node_wait && sleep 0.2 && grep -q "$bdf.*driver none" "$tmp/list" && grep -q "no driver is bound" "$tmp/list"
}
ok "snpu list shows a card without a driver" without_driver
ok "nothing is alive after reloads" no_objects

# --- unplug ---
if ! can_unplug; then
	skip "unplug with a job running and files open" "QEMU aborts when a card with MSI-X is unplugged; the run with --msi shows it"
else
	unplug() {
		spin_start || return 1
		vmhost unplug 0
		spin_ends '-[0-9]+ state 4 create -19' && node_wait -n && vmhost plug 0 && node_wait && sleep 1 && "$client" short
	}
	unplug_asleep() {
		for _ in $(seq 100); do [ "$(cat "/sys/bus/pci/devices/$bdf/power/runtime_status")" = suspended ] && break; sleep 0.1; done
		[ "$(cat "/sys/bus/pci/devices/$bdf/power/runtime_status")" = suspended ] || return 1
		vmhost unplug 0
		node_wait -n && vmhost plug 0 && node_wait && sleep 1 && "$client" short
	}
	ok "unplug while it sleeps" unplug_asleep
	for i in 1 2 3; do ok "unplug with a job running and files open, $i" unplug; done
	ok "nothing is alive after unplugging" no_objects
fi
rm -rf "$tmp"
done_testing
