#!/bin/bash
# SPDX-License-Identifier: MIT
# Recovery, in the VM, as root: each fault of card and firmware again and again, with one client to blame where there is one, and
# those of innocents.sh, who are not; and the card taken away from all of them. The simulator has to have --faults.
# usage: recover_test.sh BUILD [TIMES [MS]]          TIMES: injections of each fault that takes less than a second (default: 3)
#                                                  MS: without progress a job hangs (default: 1000)
set -u
. tests/tap.sh
build=$1 times=${2:-3} limit_ms=${3:-1000}
. tests/vm/innocents.sh
few=$(((times + 3) / 4))

# --- faults: each waits until the driver is through with it ---
victim_slot() { sed -n 's/^ *\([0-9]*\) snpu-queue-\([0-9]*\) .*/\2 \1/p' "$dbg/queues" | sort -n | tail -1 | cut -d ' ' -f 2; } # the newest queue's
reset() { echo "$1" >"$dbg/force_reset"; }
crash() { local was; was=$(count resets); echo "$1" >"$dbg/force_crash"; wait_count resets "$was" && settle; }
boots() { vmhost sim-fault 0 "boot $1" && crash 0; }
dead() { local was; was=$(count resets); vmhost sim-fault 0 dead; wait_count resets "$was" && settle; }
hang() { local was; was=$(count kills); vmhost sim-fault 0 "hang $victim"; wait_count kills "$was"; }
stuck() { local was; was=$(count full); vmhost sim-fault 0 "stuck $victim"; wait_count full "$was"; }
wrong() { start wrong "$client" wrong "$1" && ended wrong 'fence -14 state 1 create 0'; }
killed() { start spin "$client" spin && kill -KILL "${pid[spin]}" && ! wait "${pid[spin]}"; }
settle() { # the count of resets goes up when one begins
	for _ in $(seq 600); do
		[ "$(count resets)" = $(($(count soft) + $(count full) + $(count flr) + $(count wedged))) ] && return 0
		sleep 0.02
	done
	return 1
}

innocents
echo "$limit_ms" >"$dbg/watchdog_ms"
for f in /sys/class/devcoredump/*/data; do [ -e "$f" ] && echo 1 >"$f"; done	# what others left, also of a card that was bound before
"$build/tests/kselftest/fault_test" >/dev/null
ok "a fault leaves a dump with packet and page tables" dump_says '^why +a job faulted' '^guilty .*job 1: MMU_UNMAPPED' '> +0x[0-9a-f]+  COPY' \
	'^card .*serial [0-9]+, hardware 1\.[0-9]+, firmware [0-9.]+ \(.*\), ABI 1' "^when .*kernel $(uname -r | sed 's/[.+]/[&]/g'), up" '^tables +of 0x7000000000: 0x[1-9a-f][0-9a-f]* 0x' \
	'^core +ready, state' ' snpu-queue-[0-9]+ +faulted +-14 ' 'job 1: given to the card$' 'job 1: faulted$' 'W queue [0-9]+: job 1 stopped by fault 13'
faulty "a job that reads what its process has not mapped" "$times" - - wrong memory
faulty "a job with a packet that there is not" "$times" - - wrong packet
faulty "a process killed with a job on the card" "$times" - - killed
dump_says >/dev/null
faulty "a job that makes no progress" "$few" kills 'fence -62 state 2 create 0' hang
ok "a hang leaves a dump that names the queue" dump_says '^why +a job made no progress' '^guilty +queue [0-9]+ \(snpu-queue-[0-9]+\), job 2, [0-9]+ packets'
faulty "firmware: a failed assertion" "$times" soft - crash 0
ok "a crash leaves a dump" dump_says '^why +the card was about to be reset: the firmware crashed' '^crash +crash asked for by the host' '^log .*|E crash: '
ok "the crash record says what happened" grep -q '^message .' "$dbg/crash"
faulty "firmware: an illegal instruction" "$times" soft - crash 1
faulty "firmware: an endless loop" "$few" soft - crash 2
additions=1500000 faulty "firmware: a failed assertion, under long jobs" "$times" soft - crash 0
faulty "a reset that was asked for" "$times" soft - reset 1
faulty "an engine that does not stop" "$few" full 'fence -62 state 2 create 0' stuck
faulty "firmware that does not start again at once" "$times" full - boots 1
faulty "... and not after a full reset" "$times" flr - boots 2
faulty "a core that is dead until the function is reset" "$times" flr - dead

# --- wedged ---
wedge() { # nothing helps: everybody is told, the queue says how it ended, and binding the driver again does
	start spin "$client" spin && start uevent "$client" uevent && vmhost sim-fault 0 'boot 3' && crash 0 &&
		ended spin 'fence -5 state 4 create -5' && wait "${pid[uevent]}" && cat "$tmp/uevent" && grep -qx 'WEDGED=rebind,bus-reset' "$tmp/uevent" &&
		[ "$(count wedged)" = 1 ] && [ "$(cat "/sys/bus/pci/devices/$bdf/state")" = wedged ] && ! "$client" short && echo "$bdf" >/sys/bus/pci/drivers/snpu/unbind && echo "$bdf" >/sys/bus/pci/drivers/snpu/bind &&
		node_wait && sleep 0.3 && "$client" short && new_process
}
wedged() { # wedged N
	local recovered=0
	for _ in $(seq "$1"); do wedge && recovered=$((recovered + 1)); done
	printf '%-52s %8d %9d %5s %12s\n' "nothing helps: wedged, until it is bound again" "$1" $recovered - - >>"$tmp/table"
	[ $recovered = "$1" ]
}
exec 9>&-		# the process with the network ends: its device would not be freed
ok "a card that no reset brings back is wedged, and binding the driver again helps, $few times" wedged "$few"

short_jobs() { # looked at ten times a second, with an engine that is idle most of the time
	local before pid
	before=$(count resets)
	echo 100 >"$dbg/watchdog_ms"
	"$client" busy 5 & pid=$!
	"$client" busy 5 && wait $pid && [ "$(count resets)" = "$before" ]
	local status=$?
	echo "$limit_ms" >"$dbg/watchdog_ms"
	return $status
}
ok "short jobs are not taken for a hang" short_jobs
hung() { # its queue is destroyed while it is still on its way off the card
	local before
	before=$(count resets)
	for _ in $(seq 10); do
		start hung "$client" hung && echo 1 >"$dbg/force_hang" && ended hung 'hung -125 destroy 0' || return 1
	done
	"$client" short && [ "$(count resets)" = "$before" ]
}
ok "user queues are killed and destroyed at the same time, and no reset comes of it" hung
doorbell() { # a reset takes doorbells away, and who rings gets his again
	local before
	start rings "$client" rings 2 && before=$(count doorbell_faults) && reset 1 && ended rings 'compute 1 jobs [1-9][0-9]* state 0' || return 1
	echo "doorbell pages mapped: $before before, $(count doorbell_faults) after"
	[ "$(count doorbell_faults)" -gt "$before" ]
}
ok "a reset takes doorbells away" doorbell
churn() {
	local i bad=0
	for i in 1 2 3 4; do start "churn$i" "$client" churn 6 || return 1; done
	for _ in $(seq 20); do echo 1 >"$dbg/force_reset"; sleep 0.1; done
	for i in 1 2 3 4; do ended "churn$i" 'churn 1 queues [1-9][0-9]*' || bad=1; done
	"$client" short && no_objects && [ $bad = 0 ]
}
ok "user queues come and go during resets, and all of them go" churn
ok "nothing is alive after resets" no_objects

# --- taken away, and given back ---
told='fence -19 state 4 create -19'	# the endless job that was on the card
rebind() { echo "$bdf" >/sys/bus/pci/drivers/snpu/unbind && echo "$bdf" >/sys/bus/pci/drivers/snpu/bind; }
rescan() { echo 1 >"/sys/bus/pci/devices/$bdf/remove" && node_wait -n && echo 1 >/sys/bus/pci/rescan; }
replug() { vmhost unplug 0 && node_wait -n && vmhost plug 0; }
gone=1 faulty "unbound under load, and bound" "$times" - "$told" rebind
gone=1 faulty "removed from the bus under load, and found again" "$times" - "$told" rescan
if can_unplug; then
	gone=1 faulty "unplugged under load, and plugged" "$times" - "$told" replug
else
	skip "unplugged under load" "QEMU aborts when a card with MSI-X is unplugged; the run with --msi shows it"
fi
ok "nothing is alive after the card was taken away" no_objects

table
rm -rf "$tmp"
done_testing
