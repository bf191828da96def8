#!/bin/bash
# SPDX-License-Identifier: MIT
# Resetting and taking away the card while a language model writes, in the VM, as root: reset and firmware that crashes are not
# noticed; unbinding, unplugging (when the card has MSI; QEMU aborts with MSI-X) take it away. `snpu generate` runs as an
# ordinary user, and has written something before it happens. The text must be the one of the CPU, byte for byte; with a
# second card, that one goes on.
# usage: lm_test.sh BUILD
set -u
. tests/tap.sh
build=$1
model=tests/data/spikingbrain/austen-3.7m-w8aspike
tokens=300
bdf=$(basename "$(readlink -f /sys/class/accel/accel0/device)")
dbg=/sys/kernel/debug/accel/$bdf
tmp=$(mktemp -d)
user=(setpriv --reuid=1000 --regid=1000 "--groups=$(stat -c %g /dev/accel/accel0)" --inh-caps=-all --bounding-set=-all)
devices=card:0 next=cpu
[ -e /dev/accel/accel1 ] && devices=card:0,card:1 next=card1

generate() { "${user[@]}" "$build/tools/snpu/snpu" generate "$model" -p "Emma was" -n $tokens --device "$@"; }

# lose EVENT [OPTION...]: starts the model, calls EVENT when some of the text is there, and leaves how it ended in $status.
lose() {
	local event=$1 pid
	shift
	generate "$devices" "$@" >"$tmp/text" 2>"$tmp/report" &
	pid=$!
	for _ in $(seq 400); do
		[ "$(stat -c %s "$tmp/text")" -ge 100 ] && break
		sleep 0.05
	done
	kill -0 $pid || echo "ended before the card was taken away"
	$event
	wait $pid
	status=$?
	cat "$tmp/report"
	"${event}_undo" && wait_for_card
}
wait_for_card() { # nothing is left of the run before
	for _ in $(seq 100); do
		test -e /dev/accel/accel0 && awk '/^(vms|queues|bos) / && $2 != 0 { bad = 1 } END { exit bad }' "$dbg/objects" && return 0
		sleep 0.1
	done
	cat "$dbg/objects"
	return 1
}
missed() { [ $status = 0 ] && cmp "$tmp/text" "$tmp/want" && ! grep -q ^fallback "$tmp/report"; }
# hit EVENT [OPTION...]: until the event took something away: between two jobs there is nothing to lose, and the run goes on as if
# nothing had happened, which must be true.
hit() {
	for _ in $(seq 8); do
		lose "$@" || return 1
		missed || return 0
	done
	echo "8 times nothing was lost"
	return 1
}
goes_on() { # goes_on EVENT: one fallback, somewhere in the middle
	hit "$1" || return 1
	local at
	at=$(sed -n 's/^fallback card0: .*at token \([0-9]*\) '$next' went on.*/\1/p' "$tmp/report")
	[ $status = 0 ] && cmp "$tmp/text" "$tmp/want" && [ "$(grep -c ^fallback "$tmp/report")" = 1 ] &&
		[ "$at" -gt 10 ] && [ "$at" -lt $((tokens + 3)) ]
}
is_an_error() { # is_an_error EVENT
	local devices=card:0
	hit "$1" --require-device || return 1
	[ $status = 3 ] && ! cmp -s "$tmp/text" "$tmp/want" && ! grep -q ^fallback "$tmp/report" && grep -q "^snpu generate: card0: .*; at token [0-9]*, and going on elsewhere was not allowed" "$tmp/report"
}

is_not_noticed() { # is_not_noticed EVENT: nothing of the card is lost, so nothing falls back
	local before
	before=$(awk '/^resets/ { print $2 }' "$dbg/objects")
	lose "$1" --require-device || return 1
	missed && [ "$(awk '/^resets/ { print $2 }' "$dbg/objects")" -gt "$before" ]
}

reset() {
	for _ in $(seq 20); do
		kill -0 "$pid" 2>/dev/null || break	# lose's
		echo 1 >"$dbg/force_reset"
		sleep 0.01
	done
}
reset_undo() { true; }
crash() { echo 0 >"$dbg/force_crash"; }
crash_undo() { true; }
unbind() { echo "$bdf" >/sys/bus/pci/drivers/snpu/unbind; }
unbind_undo() { echo "$bdf" >/sys/bus/pci/drivers/snpu/bind; }
unplug() { vmhost unplug 0; }
unplug_undo() { vmhost plug 0; }

echo 1000 >"$dbg/watchdog_ms"
generate cpu >"$tmp/want" 2>/dev/null
loss() { # loss EVENT NAME
	ok "$2: the text goes on, the same" goes_on "$1"
	ok "$2: a named error where the card was required" is_an_error "$1"
}
ok "resets: the text goes on on the card, the same" is_not_noticed reset
ok "firmware that crashes: the text goes on on the card, the same" is_not_noticed crash
loss unbind "unbinding"
if dmesg | grep -q 'MSI-X vector'; then
	skip "unplugging" "QEMU aborts when a card with MSI-X is unplugged; the run with --msi shows it"
else
	loss unplug "unplugging"
fi
rm -rf "$tmp"
done_testing
