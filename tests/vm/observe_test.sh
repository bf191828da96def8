#!/bin/bash
# SPDX-License-Identifier: MIT
# What can be seen of a card, in the VM, as root: a running job must move each sensor, attribute, count and line, resets must not
# disturb what is counted, and readers must survive that the card is taken away.
# usage: observe_test.sh BUILD
set -u
. tests/tap.sh
build=$1
client=$build/tests/kselftest/client perf=$build/tests/kselftest/pmu snpu=$build/tools/snpu/snpu
bdf=$(basename "$(readlink -f /sys/class/accel/accel0/device)")
dev=/sys/bus/pci/devices/$bdf
dbg=/sys/kernel/debug/accel/$bdf
pmu=snpu_${bdf//:/_}
abi=docs/ABI/testing/sysfs-driver-snpu
tracing=/sys/kernel/tracing
data=tests/data/nir/mnist
tmp=$(mktemp -d)

get() { cat "$dev/$1"; }
sensor() { cat "$dev"/hwmon/hwmon*/"$1"; }
reset() { echo 1 >"$dbg/force_reset"; }
ready() { # ready FILE: until a client says so there
	for _ in $(seq 100); do grep -q ready "$1" 2>/dev/null && return 0; sleep 0.1; done
	cat "$1"
	return 1
}
spin_start() {
	: >"$tmp/spin"
	"$client" spin >"$tmp/spin" 2>&1 &
	spin=$!
	ready "$tmp/spin"
}
spin_end() { kill "$spin" 2>/dev/null; wait "$spin" 2>/dev/null; true; }
rises() { # rises GETTER NAME [SECONDS]: while the job runs
	local from now
	from=$("$1" "$2")
	for _ in $(seq $((${3:-10} * 10))); do
		now=$("$1" "$2")
		[ "$now" -gt "$from" ] && return 0
		sleep 0.1
	done
	echo "$2: $from and then $now"
	return 1
}
# A network that makes everything happen that is counted; its own report says how much.
network() { "$snpu" run $data/mnist_lif.nir --input $data/mnist_test1000.npz --samples 10 --device card:0 --require-device --json >"$tmp/run.json"; }
export -f network reset
export snpu data tmp dbg
# Of all nodes together, which come last in the report.
reported() { sed -n '/"totals"/,$'"s/^ *\"$1\": \([0-9]*\),*\$/\1/p" "$tmp/run.json"; }
same() { [ "$2" = "$3" ] || { echo "$1: $2, not $3"; return 1; }; }

# --- sensors: a card that sleeps has no readings ---
echo on >"$dev/power/control"
labels() { same labels "$(sensor temp1_label) $(sensor power1_label) $(sensor energy1_label) $(sensor freq1_label)" "card card card engine"; }
ok "sensors have labels" labels
ok "the critical temperature is the contract's" same temp1_crit "$(sensor temp1_crit)" 95000
ok "the engine's clock stands still without a job" same freq1_input "$(sensor freq1_input)" 0
idle_power() { local uw; uw=$(sensor power1_average); [ "$uw" -ge 1500000 ] && [ "$uw" -lt 1600000 ] || { echo "$uw"; return 1; }; }
ok "an idle card takes what its model says" idle_power
sleep 2		# what the first jobs took has left the average
spin_start
ok "a job: the engine's clock runs" same freq1_input "$(sensor freq1_input)" 1000000000
ok "a job: power rises" rises sensor power1_average
ok "a job: it gets warmer" rises sensor temp1_input 20
more_than_idle() { # more energy than the idle card would take in the same time
	local e0 t0 e1 t1
	e0=$(sensor energy1_input) t0=$(date +%s%N)
	sleep 2
	t1=$(date +%s%N) e1=$(sensor energy1_input)
	echo "$((e1 - e0)) uJ in $(((t1 - t0) / 1000)) us"
	[ $((e1 - e0)) -gt $(((t1 - t0) / 1000 * 3 / 2)) ]
}
ok "a job: energy grows by more than that of an idle card" more_than_idle
energy_reset() { local e; e=$(sensor energy1_input); reset; [ "$(sensor energy1_input)" -gt "$e" ]; }
ok "energy goes on over a reset" energy_reset
spin_end

# --- attributes ---
version() { same fw_version "$(get fw_version)" "$(dmesg | sed -n "s/.*$bdf.*firmware \([0-9.]*\) (.*/\1/p" | tail -1)"; }
ok "fw_version is the one of the kernel's log" version
ok "state: ok" same state "$(get state)" ok
resetting() {
	local n i state pid
	n=$(get reset_count)
	while [ ! -e "$tmp/stop" ]; do read -r state <"$dev/state"; echo "$state"; done >"$tmp/states" &
	pid=$!
	for i in $(seq 20); do reset; grep -q resetting "$tmp/states" && break; done	# a busy machine may not look in time
	touch "$tmp/stop"
	wait $pid
	sort "$tmp/states" | uniq -c
	grep -q resetting "$tmp/states" && [ "$(get state)" = ok ] && [ "$(get reset_count)" = $((n + i)) ]
}
ok "state: resetting in a reset, which is counted" resetting
spin_start
ok "busy_time_us grows before the job has ended" rises get busy_time_us
with_clock() { # with_clock GETTER NAME UNITS: what an engine that is never idle counts in UNITS of a microsecond passes with the clock
	local n=$3 a b c d from to
	now() { echo "${EPOCHREALTIME/[.,]/}"; }
	a=$(now) from=$("$1" "$2") b=$(now)
	sleep 2
	c=$(now) to=$("$1" "$2") d=$(now)
	echo "$2: $(((to - from) / n)) us in at least $((c - b)) us and at most $((d - a)) us"
	[ $(((to - from) / n)) -ge $((c - b - 1000)) ] && [ $(((to - from) / n)) -le $((d - a + 1000)) ]
}
ok "busy_time_us passes with the clock while one job runs" with_clock get busy_time_us 1
spin_end
busy_kept() { local b; b=$(get busy_time_us); reset; [ "$(get busy_time_us)" = "$b" ]; }
ok "busy_time_us stays over a reset and without jobs" busy_kept
hold_start() { # a client with buffers
	: >"$tmp/hold"
	"$client" hold 300 >"$tmp/hold" &
	hold=$!
	ready "$tmp/hold"
}
hold_end() { kill $hold; wait $hold 2>/dev/null; true; }
memory() {
	[ "$(get memory_total)" -gt 0 ] && same before "$(get memory_used)" 0 || return 1
	hold_start && same held "$(get memory_used)" $((4 << 20)) && hold_end && same after "$(get memory_used)" 0
}
ok "memory_used is what a client's buffers take, and nothing afterwards" memory
totals() { # totals COMMAND: the attributes grow by what two networks report, whatever happens between them
	local s y
	s=$(get spikes) y=$(get synops)
	network && "$@" && network || return 1
	echo "spikes from $s to $(get spikes), a run has $(reported SPIKES); synops from $y to $(get synops), a run has $(reported SYNOPS)"
	[ "$(reported SPIKES)" -gt 0 ] && [ "$(get spikes)" = $((s + 2 * $(reported SPIKES))) ] && [ "$(get synops)" = $((y + 2 * $(reported SYNOPS))) ]
}
ok "spikes and synops grow by exactly what a network reports" totals true
ok "spikes and synops go on over a reset" totals reset

# --- documented, and documented things exist ---
files() { # regular files of the driver: those that are there because it is bound
	(cd "$dev" && find . -maxdepth 1 -type f; find hwmon/ -maxdepth 2 -type f 2>/dev/null | sed 's/hwmon[0-9]*/hwmon<i>/2'; true) | sort
}
documented() {
	files >"$tmp/bound"
	(cd /sys/bus/event_source/devices/$pmu && ls format/* events/* | grep -vE '\.(unit|scale)$') >"$tmp/pmu"
	echo "$bdf" >/sys/bus/pci/drivers/snpu/unbind
	files >"$tmp/unbound"
	echo "$bdf" >/sys/bus/pci/drivers/snpu/bind
	for _ in $(seq 100); do test -e /dev/accel/accel0 && break; sleep 0.1; done
	{
		comm -23 "$tmp/bound" "$tmp/unbound" | sed 's|^\./||' | grep -vE '/(name|uevent)$' | sed 's|^|/sys/bus/pci/drivers/snpu/.../|'
		sed 's|^|/sys/bus/event_source/devices/snpu_<address>/|' "$tmp/pmu"
	} | sort >"$tmp/is"
	sed -n 's/^What:[[:space:]]*//p' $abi | sort >"$tmp/says"
	diff "$tmp/is" "$tmp/says" && [ "$(wc -l <"$tmp/is")" -gt 30 ]
}
ok "every attribute is documented, and every documented one exists" documented
fields() { # each entry of the document has each field once
	awk 'BEGIN { RS = ""; FS = "\n" }
	/^What:/ { n++; for (i = split("Date KernelVersion Contact Description", f, " "); i; i--) if (gsub("(^|\n)" f[i] ":", "&") != 1) { print $1 ": " f[i]; bad = 1 } }
	END { exit bad || n < 15 }' $abi
}
ok "the document has all fields of the kernel's format" fields

# --- fdinfo ---
fdinfo() { grep -l snpu "/proc/${1:-$spin}"/fdinfo/* | head -1 | xargs cat; }
engine_ns() { fdinfo | sed -n 's/^drm-engine-compute:[[:space:]]*\([0-9]*\) ns/\1/p'; }
spin_start
ok "fdinfo: engine time grows before the job has ended" rises engine_ns ""
ok "fdinfo: and passes with the clock" with_clock engine_ns "" 1000
fdinfo_keys() {
	fdinfo >"$tmp/fdinfo"
	cat "$tmp/fdinfo"
	grep -Eq '^drm-engine-capacity-compute:[[:space:]]+1$' "$tmp/fdinfo" && grep -Eq '^drm-maxfreq-compute:[[:space:]]+1000000 KHz$' "$tmp/fdinfo" &&
		grep -Eq '^drm-cycles-compute:[[:space:]]+[1-9]' "$tmp/fdinfo" && grep -Eq '^drm-total-host:[[:space:]]+[1-9]' "$tmp/fdinfo" &&
		grep -Eq '^drm-total-device:[[:space:]]+0' "$tmp/fdinfo"
}
ok "fdinfo: the other keys" fdinfo_keys
fdinfo_device() {
	hold_start
	fdinfo $hold >"$tmp/fdinfo"
	hold_end
	cat "$tmp/fdinfo"
	grep -Eq '^drm-total-device:[[:space:]]+(4 MiB|4096 KiB)$' "$tmp/fdinfo" && grep -Eq '^drm-shared-device:[[:space:]]+0$' "$tmp/fdinfo" && grep -Eq '^drm-resident-device:[[:space:]]+(4 MiB|4096 KiB)$' "$tmp/fdinfo"
}
ok "fdinfo: device memory is the card's" fdinfo_device
preempted() { # a job that lost the engine keeps what it had, and does not take what it has not
	local b
	b=$(engine_ns)
	"$client" short && [ "$(engine_ns)" -gt "$b" ]
}
ok "fdinfo: goes on after the job gave way to another queue" preempted
spin_end

# --- perf ---
events=busy,jobs,packets,events,spikes,synops,skipped,updates,cycles,stalls,tlb_misses,vram_read,vram_write,host_read,host_write,energy_ideal,energy
count() { "$perf" count "$pmu" "$@" | tee "$tmp/count"; }
counted() { sed -n "s/^$1 //p" "$tmp/count"; }
refuse() { # -22: EINVAL
	"$perf" refuse "$pmu" | tee "$tmp/refuse"
	for what in sampling exclude_kernel exclude_user config config1 task; do grep -qx "$what -22" "$tmp/refuse" || return 1; done
	grep -qx 'good 0' "$tmp/refuse"
}
ok "perf: sampling, exclusion, tasks and unknown events are -EINVAL" refuse
moves() {
	count $events bash -c network
	local e
	for e in ${events//,/ }; do [ "$(counted "$e")" -gt 0 ] || { echo "$e did not move"; return 1; }; done
	for e in packets events spikes synops skipped updates; do same "$e" "$(counted "$e")" "$(reported "${e^^}")" || return 1; done
}
ok "perf: a network moves every event, and those that are exact by exactly what it reports" moves
idle() { count $events sleep 1 && ! grep -v ' 0$' "$tmp/count"; }
ok "perf: without a job nothing moves" idle
twice() { network && reset && network; }
export -f twice
over_reset() { # perf: what is counted before, in and after a reset
	count spikes,synops,cycles,jobs bash -c twice
	same spikes "$(counted spikes)" $((2 * $(reported SPIKES))) && same synops "$(counted synops)" $((2 * $(reported SYNOPS)))
}
ok "perf: counts over a reset" over_reset
busy_perf() {
	spin_start
	count busy sleep 2
	spin_end
	[ "$(counted busy)" -gt 1800000000 ] && [ "$(counted busy)" -lt 4000000000 ]
}
ok "perf: busy has the time of a job that has not ended" busy_perf
tool() {
	perf stat -a -x, -e "$pmu/spikes/,$pmu/busy/,$pmu/energy/" -o "$tmp/perf" bash -c network && cat "$tmp/perf" &&
		same spikes "$(sed -n 's/^\([0-9]*\),.*spikes.*/\1/p' "$tmp/perf")" "$(reported SPIKES)" && grep -q ',Joules,' "$tmp/perf"
}
if command -v perf >/dev/null; then ok "perf: perf stat -a shows the same" tool; else skip "perf: perf stat -a shows the same" "perf is not installed"; fi
unbound() { # with an event open: nothing happens to the reader, a new event counts the card that is back
	mkfifo "$tmp/go"
	network
	"$perf" hold "$pmu" spikes <"$tmp/go" >"$tmp/held" &
	local pid=$!
	exec 3>"$tmp/go"
	ready "$tmp/held" && network || return 1
	echo "$bdf" >/sys/bus/pci/drivers/snpu/unbind
	"$perf" count "$pmu" spikes true 2>&1 | grep -Eq 'spikes (No such device|No such file or directory)|cannot be read' || echo "a new event opened without a card"
	echo "$bdf" >/sys/bus/pci/drivers/snpu/bind
	for _ in $(seq 100); do test -e /dev/accel/accel0 && break; sleep 0.1; done
	count spikes bash -c network
	echo >&3
	wait $pid
	exec 3>&-
	rm "$tmp/go"
	cat "$tmp/held"
	# Newer kernels end an event with its PMU, older ones leave it what it had.
	grep -Eqx "spikes ($(reported SPIKES)|gone)" "$tmp/held" && same spikes "$(counted spikes)" "$(reported SPIKES)"
}
ok "perf: the card goes and comes back while an event is open" unbound
held_module() { # an event holds the module
	"$perf" hold "$pmu" jobs < <(sleep 2; echo) >"$tmp/held" &
	local pid=$!
	ready "$tmp/held"
	if rmmod snpu 2>/dev/null; then echo "unloaded"; return 1; fi
	wait $pid
}
ok "perf: the module stays while an event is open" held_module

# --- tracepoints ---
trace() { # trace COMMAND...: what it leaves in the buffer
	echo >$tracing/trace
	echo 1 >$tracing/events/snpu/enable
	"$@"
	local status=$?
	echo 0 >$tracing/events/snpu/enable
	grep -v '^#' $tracing/trace >"$tmp/trace"
	tail -40 "$tmp/trace"
	return $status
}
line() { grep -Eq "snpu_$1: dev=$bdf $2\$" "$tmp/trace" || { echo "no line of $1: $2"; return 1; }; }
trace_job() {
	trace "$client" short || return 1
	local n='[0-9]+' p='[1-9][0-9]*'
	line vm_bind "asid=$p op=0 va=0x10000000 size=0x4000 flags=0x3 error=0 duration_ns=$p" && line submit "queue=$p seqno=1 priority=$n" &&
		line doorbell "queue=$p slot=$n tail=1" && line done "queue=$p seqno=1 error=0 start_card_ns=$p end_card_ns=$p busy_ns=$n cycles=$p"
}
ok "trace: a job is submitted, rung and done" trace_job
trace_order() { awk '/snpu_submit/ { s = NR } /snpu_doorbell/ { d = NR } /snpu_done/ { e = NR } END { exit !(s && s < d && d < e) }' "$tmp/trace"; }
ok "trace: in this order" trace_order
reset_and_hang() { reset && sleep 0.5 && echo 1 >"$dbg/force_hang"; }
trace_reset() { # the job goes on after the reset, and ends when it is taken for a hang
	spin_start || return 1
	trace reset_and_hang
	wait "$spin"
	line reset 'count=[0-9]+ error=0 duration_ns=[1-9][0-9]* reason="a reset was asked for through debugfs"' &&
		line done 'queue=[0-9]+ seqno=[0-9]+ error=-62 start_card_ns=0 end_card_ns=0 busy_ns=0 cycles=0'
}
ok "trace: a reset, and a hang with its job" trace_reset
trace_fault() {
	trace "$build/tests/kselftest/fault_test" unmapped >/dev/null
	grep snpu_fault "$tmp/trace" | head -3
	line fault 'queue=[0-9]+ seqno=[0-9]+ code=13 access=[12] va=0x[0-9a-f]+ pc=0x[0-9a-f]+'
}
ok "trace: a fault with code and address" trace_fault
trace_format() { # what trace-cmd reads: every field that is printed is a field, and no pointer is printed
	local e
	for e in submit doorbell done fault reset vm_bind; do
		grep -q 'field:__data_loc char\[\] dev;' $tracing/events/snpu/snpu_$e/format || { echo "$e: no dev"; return 1; }
		grep '^print fmt' $tracing/events/snpu/snpu_$e/format | grep -E '%p|REC->[a-z_]+\(' && return 1
	done
	true
}
ok "trace: formats are readable" trace_format
trace_cmd() { # reads them by their formats
	trace-cmd record -e snpu -o "$tmp/trace.dat" "$client" short >/dev/null 2>"$tmp/err" || { cat "$tmp/err"; return 1; }
	trace-cmd report -i "$tmp/trace.dat" >"$tmp/trace" 2>"$tmp/err"
	tail -20 "$tmp/trace" "$tmp/err"
	! grep -Ei 'failed to read event print fmt|bad arg|failed to parse' "$tmp/trace" "$tmp/err" &&
		grep -Eq "snpu_vm_bind: +dev=$bdf asid=[1-9][0-9]* op=0 va=0x10000000 size=0x4000 flags=0x3 error=0 duration_ns=[1-9]" "$tmp/trace" &&
		grep -Eq "snpu_submit: +dev=$bdf queue=[1-9][0-9]* seqno=1 " "$tmp/trace" && grep -Eq "snpu_done: +dev=$bdf queue=[1-9][0-9]* seqno=1 error=0 " "$tmp/trace"
}
if command -v trace-cmd >/dev/null; then ok "trace: trace-cmd records and reports" trace_cmd; else skip "trace: trace-cmd records and reports" "trace-cmd is not installed"; fi

# --- debugfs ---
tables() {
	hold_start
	tee "$tmp/tables" <"$dbg/page_tables"
	hold_end
	local line
	for line in 'asid [1-9][0-9]*' '  000010000000-000010004000 +16 KiB of (4K|64K) +rw host' \
		'  000010200000-000010210000 +64 KiB of (4K|64K) +rw host' '  000010400000-000010800000 +4096 KiB of 2M +rw device'; do
		grep -Eqx "$line" "$tmp/tables" || { echo "no line: $line"; return 1; }
	done
	[ -z "$(cat "$dbg/page_tables")" ]
}
ok "page tables show a client's buffers, and nothing afterwards" tables
hang() { # the queue is stopped, the card is not reset, others go on
	local n
	n=$(get reset_count)
	spin_start && echo 1 >"$dbg/force_hang" || return 1
	wait "$spin"
	cat "$tmp/spin"
	grep -qx 'fence -62 state 2 create 0' "$tmp/spin" && [ "$(get reset_count)" = "$n" ] && "$client" short
}
ok "force_hang stops the queue on the engine" hang
no_hang() { ! echo 1 >"$dbg/force_hang"; }
ok "force_hang is an error when the engine is idle" no_hang

# --- snpu list ---
list() { "$snpu" list >"$tmp/list"; cat "$tmp/list"; grep -Eq '4[0-9]\.[0-9] °C  1\.[0-9]+ W  [0-9]+ J since power-up \(simulated\)  engine busy for ' "$tmp/list"; }
ok "snpu list shows the sensors" list

# --- readers while the card goes ---
race() { # everything is read all the time; the kernel's log tells of what went wrong
	local pids=() n
	read_all() { while [ ! -e "$tmp/stop" ]; do cat "$dev"/{busy_time_us,spikes,state} "$dev"/hwmon/hwmon*/*_{input,average} "$dbg"/{page_tables,queues} /proc/*/fdinfo/* >/dev/null 2>&1; done; }
	rm -f "$tmp/stop"
	read_all & pids+=($!)
	read_all & pids+=($!)
	for n in 1 2 3; do
		spin_start
		"$perf" hold "$pmu" busy < <(sleep 1; echo) >"$tmp/held$n" & pids+=($!)
		sleep 0.3
		echo "$bdf" >/sys/bus/pci/drivers/snpu/unbind
		wait "$spin"
		echo "$bdf" >/sys/bus/pci/drivers/snpu/bind
		for _ in $(seq 100); do test -e /dev/accel/accel0 && break; sleep 0.1; done
	done
	touch "$tmp/stop"
	wait "${pids[@]}"
	"$client" short
}
ok "readers of everything survive unbinding under load" race
held_file() { # an open file of a card that is gone
	local f
	f=$(echo "$dev"/hwmon/hwmon*/temp1_input)
	exec 4<"$f"
	echo "$bdf" >/sys/bus/pci/drivers/snpu/unbind
	cat <&4 2>"$tmp/err" && echo "read a card that is gone"
	exec 4<&-
	echo "$bdf" >/sys/bus/pci/drivers/snpu/bind
	for _ in $(seq 100); do test -e /dev/accel/accel0 && break; sleep 0.1; done
	cat "$tmp/err"
	grep -q 'No such device' "$tmp/err"
}
ok "a sensor's open file is -ENODEV when the card is gone" held_file
rm -rf "$tmp"
done_testing
