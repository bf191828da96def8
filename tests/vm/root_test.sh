#!/bin/bash
# SPDX-License-Identifier: MIT
# What only root can do to the driver, in the VM: load and unload, unbind with a job running, crash and reset the firmware,
# load broken firmware, unplug the card (when it has MSI; QEMU aborts with MSI-X). After each the card must work, every
# fence must have signalled, and nothing may be left: the driver's own counts of objects go back to what they were.
# usage: root_test.sh BUILD RELEASE          RELEASE: the kernel series whose snpu.ko is loaded
set -u
. tests/tap.sh
build=$1 series=$2
client=$build/tests/kselftest/client
ko=$build/kmod/$series/snpu.ko
bdf=$(basename "$(readlink -f /sys/class/accel/accel0/device)")
dbg=/sys/kernel/debug/accel/$bdf
tmp=$(mktemp -d)

node_wait() { # until the node is there (or, with -n, gone)
	local want=0
	[ "$1" = -n ] && { want=1; shift; }
	for _ in $(seq 100); do
		test -e "$1"
		[ $? = $want ] && return 0
		sleep 0.1
	done
	echo "$1: still not as expected after 10 s"
	return 1
}
no_objects() { # with no client, nothing may be alive; RCU frees fences a moment later
	for _ in $(seq 50); do
		awk '/^(vms|queues|bos|jobs|fences) / && $2 != 0 { bad = 1 } END { exit bad }' "$dbg/objects" && return 0
		sleep 0.1
	done
	cat "$dbg/objects"
	return 1
}
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
	"$client" hold 3 >"$tmp/hold" &
	local pid=$!
	for _ in $(seq 50); do grep -q ready "$tmp/hold" && break; sleep 0.1; done
	grep -l snpu /proc/$pid/fdinfo/* | head -1 | xargs cat >"$tmp/fdinfo"
	cat "$dbg/queues" >"$tmp/queues"
	wait $pid
	cat "$tmp/fdinfo"
	grep -q "^drm-driver:.*snpu" "$tmp/fdinfo" && grep -q "^drm-pdev:.*$bdf" "$tmp/fdinfo" &&
		grep -Eq "^drm-engine-compute:[[:space:]]+[1-9][0-9]* ns" "$tmp/fdinfo" && grep -Eq "^drm-total-host:[[:space:]]+[1-9]" "$tmp/fdinfo"
}
ok "fdinfo shows engine time and memory" fdinfo
ok "queues are shown" grep -q . "$tmp/queues"

# --- recovery ---
crash() { # crash HOW: with a job running; the watchdog finds it
	spin_start || return 1
	echo "$1" >"$dbg/force_crash"
	spin_ends '-5 state 4 create 0' && "$client" short
}
echo 1000 >"$dbg/watchdog_ms"
ok "an assertion in the firmware is recovered from" crash 0
ok "the crash record says what happened" grep -q '^message .' "$dbg/crash"
ok "an illegal instruction in the firmware is recovered from" crash 1
ok "a firmware that hangs is recovered from" crash 2
reset() { spin_start && echo 1 >"$dbg/force_reset" && spin_ends '-5 state 4 create 0' && "$client" short; }
ok "a reset with a job running" reset
depend() { # a job that waits for one that the reset ends runs afterwards
	"$client" depend >"$tmp/depend" 2>&1 &
	for _ in $(seq 100); do grep -q ready "$tmp/depend" && break; sleep 0.1; done
	echo 1 >"$dbg/force_reset"
	wait $!
	cat "$tmp/depend"
	grep -q '^dependent 1$' "$tmp/depend"
}
ok "a reset leaves a queue alone that has nothing on the card" depend
short_jobs() { # looked at ten times a second, with an engine that is idle most of the time
	local before pid
	before=$(grep ^resets "$dbg/objects")
	echo 100 >"$dbg/watchdog_ms"
	"$client" busy 5 & pid=$!
	"$client" busy 5 && wait $pid && [ "$(grep ^resets "$dbg/objects")" = "$before" ]
}
ok "short jobs are not taken for a hang" short_jobs
ok "nothing is alive after resets" no_objects

# --- leaving ---
unbind() {
	spin_start || return 1
	echo "$bdf" >/sys/bus/pci/drivers/snpu/unbind
	spin_ends '-[0-9]+ state 4 create -19' || return 1
	echo "$bdf" >/sys/bus/pci/drivers/snpu/bind
	node_wait /dev/accel/accel0 && sleep 0.5 && "$client" short
}
ok "unbind and bind with a job running and files open" unbind
storm() { # everything at once: random calls, resets, and then no card
	local before after fuzz
	before=$(awk '/^resets/ { print $2 }' "$dbg/objects")
	SNPU_FUZZ_LOSE=1 SNPU_FUZZ_CALLS=20000 "$build/tests/kselftest/fuzz_test" & fuzz=$!
	sleep 2
	for _ in 1 2 3 4 5; do echo 1 >"$dbg/force_reset"; cat "$dbg/queues" >/dev/null; sleep 0.4; done
	after=$(awk '/^resets/ { print $2 }' "$dbg/objects")
	echo "$bdf" >/sys/bus/pci/drivers/snpu/unbind
	wait "$fuzz" || return 1
	echo "$bdf" >/sys/bus/pci/drivers/snpu/bind
	node_wait /dev/accel/accel0 && sleep 0.5 && "$client" short || return 1
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
		unload && node_wait -n /dev/accel/accel0 && insmod "$ko" && node_wait /dev/accel/accel0 && sleep 0.2 && "$client" short || { echo "round $i"; return 1; }
	done
}
ok "unload and load 20 times" reload
without_driver() { # through libpci and sysfs: a card that nothing drives is still seen, and what to do is said
	unload && node_wait -n /dev/accel/accel0 || return 1
	"$build/tools/snpu/snpu" list >"$tmp/list"
	cat "$tmp/list"
	insmod "$ko" && node_wait /dev/accel/accel0 && sleep 0.2 && grep -q "$bdf.*driver none" "$tmp/list" && grep -q "no driver is bound" "$tmp/list"
}
ok "snpu list shows a card without a driver" without_driver
ok "nothing is alive after reloads" no_objects

# --- broken firmware: one clear line a card, no node, and the right one works again ---
cp /lib/firmware/snpu/snpu-fw-1.bin "$tmp/good.bin"
bad_firmware() { # bad_firmware FILE WORDS: the line must have them
	unload && cp "$1" /lib/firmware/snpu/snpu-fw-1.bin && dmesg -C && insmod "$ko"
	local lines
	lines=$(dmesg | grep "snpu $bdf" | grep -c firmware)
	test ! -e /dev/accel/accel0 || { echo "probed with broken firmware"; return 1; }
	dmesg | grep snpu
	[ "$lines" = 1 ] && dmesg | grep "snpu $bdf" | grep -q "$2"
}
bad() { ok "firmware with a wrong $1 is refused, and the kernel says so" bad_firmware "$build/firmware/bad/$1/snpu/snpu-fw-1.bin" "$2"; }
bad magic 'magic'
bad header 'size of the header'
bad major 'ABI'
bad size 'size'
bad hash 'SHA-256'
bad section 'section'
bad entry 'entry point'
head -c 100 "$tmp/good.bin" >"$tmp/short.bin"
ok "firmware of 100 bytes is refused, and the kernel says so" bad_firmware "$tmp/short.bin" 'size of the file'
good_again() { unload && cp "$tmp/good.bin" /lib/firmware/snpu/snpu-fw-1.bin && insmod "$ko" && node_wait /dev/accel/accel0 && sleep 0.2 && "$client" short; }
ok "the right firmware works again" good_again

# --- unplug ---
if lspci -vv -s "$bdf" 2>/dev/null | grep -q 'MSI-X: Enable+' || dmesg | grep -q 'MSI-X vector'; then
	skip "unplug with a job running and files open" "QEMU aborts when a card with MSI-X is unplugged; the run with --msi shows it"
else
	unplug() {
		spin_start || return 1
		vmhost unplug 0
		spin_ends '-[0-9]+ state 4 create -19' && node_wait -n /dev/accel/accel0 && vmhost plug 0 && node_wait /dev/accel/accel0 && sleep 1 && "$client" short
	}
	for i in 1 2 3; do ok "unplug with a job running and files open, $i" unplug; done
	ok "nothing is alive after unplugging" no_objects
fi
rm -rf "$tmp"
done_testing
