#!/bin/bash
# SPDX-License-Identifier: MIT
# Pauses, in the VM, as root: the card sleeps when nobody uses it and wakes for whoever does; the bus resets it, and reports errors,
# while clients work. The slots must be without hot-plug (tools/vm --hotplug off). The sleep of the system is sleep_test.sh's.
# usage: power_test.sh BUILD [TIMES]          TIMES: of each (default: 3)
set -u
. tests/tap.sh
build=$1 times=${2:-3}
. tests/vm/innocents.sh
dev=/sys/bus/pci/devices/$bdf

# --- asleep and awake ---
status_is() { # within 10 s
	for _ in $(seq 100); do [ "$(cat "$dev/power/runtime_status")" = "$1" ] && return 0; sleep 0.1; done
	echo "runtime_status is $(cat "$dev/power/runtime_status") after 10 s, not $1"
	return 1
}
asleep() { status_is suspended; }
awake() { status_is active; }
may_sleep() { [ "$(cat "$dev/power/control")" = auto ] && [ "$(cat "$dev/power/autosuspend_delay_ms")" = 2000 ]; }
in_d3() { asleep && [ "$(cat "$dev/power_state")" = D3hot ]; }
looks() { # what everybody may look at all day does not wake it
	asleep || return 1
	cat "$dev"/{state,busy_time_us,spikes,synops,memory_used,fw_version} >/dev/null || return 1
	cat "$dev"/hwmon/hwmon*/temp1_input 2>&1 | grep -q 'No data available' || { echo "a sensor was read"; return 1; }
	asleep
}
listed() { # and so does the list
	asleep && "$snpu" list && "$snpu" list | grep -q ' asleep, until somebody uses it' && "$snpu" list --json | grep -q '"asleep": true' && asleep
}
counts_on() { # what was counted is there while it sleeps, and goes on afterwards
	local before after
	"$client" short && asleep || return 1
	before=$(cat "$dev/busy_time_us")
	"$client" short
	after=$(cat "$dev/busy_time_us")
	asleep
	echo "busy time $before us, $after us, asleep $(cat "$dev/busy_time_us") us"
	[ "$before" -gt 0 ] && [ "$after" -gt "$before" ] && [ "$(cat "$dev/busy_time_us")" -ge "$after" ]
}
sleeps_under() { # sleeps_under CLIENT...: files open, queues there, memory mapped; afterwards all of it works
	start held "$@" && asleep && wait "${pid[held]}"
	cat "$tmp/held"
	grep -qx 'short 1' "$tmp/held"
}
keeps() { # device memory, through a mapping that was taken away meanwhile
	start keep "$client" keep && asleep && kill -TERM "${pid[keep]}" && ended keep 'keep 1 cpu 0 card 0'
}
user_queue() { # its doorbell wakes the card
	local before
	start held "$client" naps 2 4000 || return 1
	before=$(count doorbell_faults)
	ended held 'naps 1 rounds 2 resets 0' && [ "$(count doorbell_faults)" -ge $((before + 1)) ]
}
long_job() { # who has a job on the card keeps it awake, however long it takes
	start long "$client" spin && sleep 5 && [ "$(cat "$dev/power/runtime_status")" = active ]
	local status=$?
	kill -KILL "${pid[long]}"
	return $status
}
event_open() { # perf counts over a sleep, and does not keep it awake
	local one two pmu=snpu_${bdf//:/_}
	one=$("$build/tests/kselftest/pmu" count "$pmu" jobs "$client" short | sed -n 's/^jobs //p')
	two=$("$build/tests/kselftest/pmu" count "$pmu" jobs sh -c "$client short; sleep 4; cat $dev/power/runtime_status; $client short" | tee "$tmp/two" | sed -n 's/^jobs //p')
	echo "jobs of one client: $one, of two: $two"
	[ "$one" -gt 0 ] && [ "$two" = $((2 * one)) ] && grep -qx suspended "$tmp/two"
}
unbind_asleep() {
	asleep && echo "$bdf" >/sys/bus/pci/drivers/snpu/unbind && echo "$bdf" >/sys/bus/pci/drivers/snpu/bind && node_wait && sleep 0.3 && "$client" short
}
forced_on() { # who does not want it
	echo on >"$dev/power/control" && awake && sleep 4 && [ "$(cat "$dev/power/runtime_status")" = active ] && echo auto >"$dev/power/control" && asleep
}
ok "a card may sleep, after 2 s" may_sleep
ok "and does, in D3hot" in_d3
ok "looking does not wake it" looks
ok "snpu list says so" listed
ok "counts go on" counts_on
ok "with files and memory held" sleeps_under "$client" hold 6
ok "device memory is kept" keeps
ok "a user queue sleeps twice, and its doorbell wakes the card" user_queue
ok "not under a job" long_job
ok "perf counts over a sleep" event_open
ok "power/control says no" forced_on
ok "unbound and bound asleep" unbind_asleep
naps() { # many times, in the middle of everything
	echo 0 >"$dev/power/autosuspend_delay_ms"
	"$client" naps 40 50 && new_process
	local status=$?
	echo 2000 >"$dev/power/autosuspend_delay_ms"
	return $status
}

innocents
ok "a card that falls asleep at once, forty times" naps
nap_reset() { # asleep in between
	asleep && echo 1 >"$dev/reset" && "$client" short && same_process
}
echo flr >"$dev/reset_method"
ok "reset by the bus while it sleeps" nap_reset

# --- the bus ---
flr() { echo 1 >"$dev/reset"; }
flrs() { for _ in 1 2 3 4 5; do echo 1 >"$dev/reset"; done; }
bus() { echo bus >"$dev/reset_method" && echo 1 >"$dev/reset"; local status=$?; echo flr >"$dev/reset_method"; return $status; }
error() { # error KIND: as the root port reports it
	local was
	was=$(count pauses)
	vmhost hmp "pcie_aer_inject_error rp0 $1 0 0 0 0" && wait_count pauses "$was"
}
faulty "function level reset through sysfs" "$times" pauses - flr
additions=1500000 faulty "... under long jobs" "$times" pauses - flr
faulty "... five in a row" "$times" pauses - flrs
faulty "bus reset through sysfs" "$times" pauses - bus
if dmesg | grep -q 'AER: enabled'; then
	cut=1 faulty "bus: an error that is not fatal" "$times" pauses - error UNSUP
	cut=1 faulty "bus: a fatal error, the link is reset" "$times" pauses - error DLP
else
	skip "bus: errors" "this kernel has no control of error reporting"
fi
exec 9>&-
ok "nothing is alive" no_objects

table
rm -rf "$tmp"
done_testing
