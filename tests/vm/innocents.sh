# SPDX-License-Identifier: MIT
# For tests that do something to the card, in the VM, as root, sourced: the clients who have nothing to do with it. Two compute and
# check every sum (a packet that was executed twice or left out shows), one of them through a user queue; one does empty jobs and
# measures how long it had to wait; one has filled device memory; and one has a network that runs again afterwards, as it does in a
# new process. What happened is counted in $tmp/table, which becomes that of docs/reliability.md.
# Needs $build, tests/tap.sh. Sets $tmp, $client, $snpu, $data, $bdf, $dbg.
client=$build/tests/kselftest/client
snpu=$build/tools/snpu/snpu
data=tests/data/nir/mnist
bdf=$(basename "$(readlink -f /sys/class/accel/accel*/device)")
dbg=/sys/kernel/debug/accel/$bdf
tmp=$(mktemp -d)

# --- what the driver says ---
count() { awk -v k="$1" '$1 == k { print $2 }' "$dbg/objects"; }
wait_count() { # wait_count KEY OLD: until it is another
	for _ in $(seq 600); do [ "$(count "$1")" != "$2" ] && return 0; sleep 0.05; done
	echo "$1 is still $2 after 30 s"
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
node_wait() { # node_wait [-n]: until the card's node is there (or gone); it may be accel1 when the device before it is still being freed
	local want=0
	[ "${1:-}" = -n ] && want=1
	for _ in $(seq 100); do
		compgen -G '/dev/accel/accel*' >/dev/null
		[ $? = $want ] && return 0
		sleep 0.1
	done
	ls /dev/accel
	echo "still not as expected after 10 s"
	return 1
}
can_unplug() { ! grep -qx msix /sys/bus/pci/devices/"$bdf"/msi_irqs/*; }	# QEMU aborts when a card with MSI-X is unplugged

# The first failure since the last call left a dump that says REGEX... in lines of the screen; whatever was left is freed.
dump_says() {
	local f re
	for _ in $(seq 50); do
		f=$(ls /sys/class/devcoredump/*/data 2>/dev/null | head -1)
		[ -n "$f" ] && break
		sleep 0.1
	done
	"$snpu" coredump "$f" >"$tmp/dump"
	echo 1 >"$f"
	cat "$tmp/dump"
	for re in "$@"; do grep -Eq -- "$re" "$tmp/dump" || { echo "does not say $re"; return 1; }; done
}

# --- clients ---
start() { # start NAME COMMAND...: in the background, until it says ready; its output is $tmp/NAME
	local name=$1
	shift
	: >"$tmp/$name"
	"$@" >"$tmp/$name" 2>&1 &
	pid[$name]=$!
	for _ in $(seq 300); do grep -q ^ready "$tmp/$name" && return 0; sleep 0.05; done
	cat "$tmp/$name"
	return 1
}
ended() { # ended NAME REGEX: it ended by itself and its last line is REGEX
	wait "${pid[$1]}"
	tail -1 "$tmp/$1"
	tail -1 "$tmp/$1" | grep -Eqx "$2"
}
declare -A pid

# The network in a process of its own, which goes on; and in a new one. Tests are subshells, so what they know is in files.
again_is() { # the next line of the process
	local seen
	seen=$(cat "$tmp/again.seen")
	for _ in $(seq 600); do
		[ "$(wc -l <"$tmp/again.out")" -gt "$seen" ] && break
		sleep 0.05
	done
	echo $((seen + 1)) >"$tmp/again.seen"
	sed -n "$((seen + 1))p" "$tmp/again.out"
	[ "$(sed -n "$((seen + 1))p" "$tmp/again.out")" = "$1" ]
}
same_process() { echo >&9; again_is same; }
new_process() {
	"$snpu" run $data/mnist_lif.nir --input $data/mnist_test1000.npz --samples 40 --device card:0 --require-device --record "$tmp/new.npz" >"$tmp/new" 2>&1 &&
		"$snpu" compare "$tmp/new.npz" "$tmp/cpu.npz" || { cat "$tmp/new"; return 1; }
}

# --- one fault, many times ---
alone() { # the round trip of an empty job when nothing else happens
	start watch "$client" watch || return 1
	sleep 3
	kill -TERM "${pid[watch]}"
	ended watch 'watch 1 jobs [0-9]+ median [0-9]+ longest [0-9]+' && sed -n 's/.* median \([0-9]*\) .*/\1/p' "$tmp/watch" >"$tmp/empty"
}
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
# Until a new client's job was done. That is what a card that was taken away keeps others waiting for: their files do not see it again.
back() {
	local began=${EPOCHREALTIME/./}
	"$@" || return 1
	for _ in $(seq 100); do
		"$client" short && echo "0 $((${EPOCHREALTIME/./} - began))" >>"$tmp/waits" && return 0
		sleep 0.05
	done
	return 1
}
network_ends() { # the network that ran when the card was taken away: each run the same bits or the library's sentence, the last one that
	wait "${pid[network]}"
	sort "$tmp/network" | uniq -c
	[ "$(head -1 "$tmp/network")" = ready ] && ! tail -n +2 "$tmp/network" | grep -Evx 'same|failed: .+' && tail -1 "$tmp/network" | grep -q '^failed: '
}
# one RUNG GUILTY FAULT...: once, with everybody there. RUNG: what the driver must have counted, or -. $cut: jobs may be cut off (-EIO,
# LOST), or fault because the card reached no memory (-EFAULT, FAULTED), and then have to say so; the next one finds its queue stopped
# (-ECANCELED), and that says why. $gone: the card is taken away and given back: whoever had it open is told so (-ENODEV) for good,
# a user queue's owner a moment before QUEUE_STATE says LOST
one() {
	local rung=$1 guilty=$2 before status=0 kept='keep 1 cpu 0 card 0' cut=${cut:-} gone=${gone:-}
	local ends="${cut:+|compute -(5|14|125) jobs [0-9]+ state [14]}${gone:+|compute -(19|125) jobs [0-9]+ state 4}"
	shift 2
	victim=
	if [ -n "$gone" ]; then
		kept='keep -19 cpu [0-9]+ card [0-9]+'
		start network sh -c 'yes | head -n 100 | "$0"' "$build/tests/e2e/mnist_again" || return 1
	fi
	if [ "$guilty" != - ]; then
		start guilty "$client" spin || return 1
		victim=$(victim_slot)
	fi
	start keep "$client" keep && start compute "$client" compute "${seconds:-1}" "${additions:-20000}" &&
		start rings "$client" rings "${seconds:-1}" "${additions:-20000}" && start watch "$client" watch || return 1
	before=$(count "$rung")
	${gone:+back} "$@" || status=1
	sleep 0.1
	kill -TERM "${pid[watch]}" "${pid[keep]}"
	ended watch "watch (1${cut:+|-5|-14}${gone:+|-19}) jobs [0-9]+ median [0-9]+ longest [0-9]+" || status=1
	ended keep "$kept" || status=1
	ended compute "compute 1 jobs [1-9][0-9]* state 0$ends" || status=1
	ended rings "compute 1 jobs [1-9][0-9]* state 0${ends/state 4/state [04]}" || status=1
	[ -z "$gone" ] || network_ends || status=1
	[ "$guilty" = - ] || ended guilty "$guilty" || status=1
	[ "$rung" = - ] || [ "$(count "$rung")" -gt "$before" ] || { echo "not by $rung"; cat "$dbg/objects"; status=1; }
	[ -n "$gone" ] || sed -n 's/^watch.* median \([0-9]*\) longest \([0-9]*\)$/\1 \2/p' "$tmp/watch" >>"$tmp/waits"
	return $status
}
# What happened N times: recovered when a new client's job is done, and after $gone when a new process runs the network to the same
# bits, which everybody does in the end; lost when somebody innocent did not get
# what he should have, or the guilty no name for his error.
again() { # again NAME N RUNG GUILTY FAULT...
	local name=$1 n=$2 lost=0 recovered=0
	shift 2
	: >"$tmp/waits"
	for _ in $(seq "$n"); do
		one "$@" || lost=$((lost + 1))
		"$client" short && { [ -z "${gone:-}" ] || new_process; } && recovered=$((recovered + 1))
	done
	printf '%-52s %8d %9d %5d %12.0f\n' "$name" "$n" $recovered $lost \
		"$(($(cut -d ' ' -f 2 "$tmp/waits" | median) / $(median <"$tmp/empty")))" >>"$tmp/table"
	[ $recovered = "$n" ] && [ $lost = 0 ] && { [ -n "${gone:-}" ] || { same_process && new_process; }; }
}

# The process with the network is there and empty jobs were measured.
innocents() {
	"$snpu" run $data/mnist_lif.nir --input $data/mnist_test1000.npz --samples 40 --device cpu --record "$tmp/cpu.npz" >/dev/null
	mkfifo "$tmp/again"
	exec 9<>"$tmp/again"
	"$build/tests/e2e/mnist_again" <"$tmp/again" >"$tmp/again.out" 2>&1 9>&- &
	echo 0 >"$tmp/again.seen"
	ok "a process with a network on the card" again_is ready
	ok "empty jobs, alone" alone
}
table() {
	printf '# %-52s %8s %9s %5s %12s\n' fault injected recovered lost 'wait x empty'
	sed 's/^/# /' "$tmp/table"
}
faulty() { # faulty NAME N RUNG GUILTY FAULT...
	ok "$1, $2 times" again "$@"
}
