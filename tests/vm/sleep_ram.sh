# SPDX-License-Identifier: MIT
# What sleep_test.sh runs, with busybox, from RAM. Each time the system sleeps under two clients that compute and check every sum,
# one of them through a user queue, one that has filled device memory, and a network in a process that goes on.
# SLEEP_WAKES=0: with a kernel that would not wake up, so that it only begins to sleep.
cd / || exit 1
n=0 failed=0
: >/tmp/table
dev=$(readlink -f /sys/class/accel/accel*/device)
objects=$(ls /sys/kernel/debug/accel/*/objects | head -1)

ok() { # ok WHAT COMMAND...
	what=$1
	shift
	n=$((n + 1))
	if "$@" >/tmp/said 2>&1; then
		echo "ok $n $what"
	else
		sed 's/^/# /' /tmp/said
		echo "not ok $n $what"
		failed=$((failed + 1))
	fi
}
count() { grep "^$1 " "$objects" | cut -d ' ' -f 2; }
start() { # start NAME COMMAND...: in the background, until it says ready
	name=$1
	shift
	: >/tmp/$name
	"$@" >/tmp/$name 2>&1 &
	eval pid_$name=$!
	for _ in $(seq 100); do grep -q ^ready /tmp/$name && return 0; sleep 0.1; done
	cat /tmp/$name
	return 1
}
ended() { # ended NAME LINE
	eval wait \$pid_$1
	tail -n 1 /tmp/$1
	tail -n 1 /tmp/$1 | grep -Eqx "$2"
}
again_is() { # the next line of the process with the network
	seen=$((${seen:-0} + 1))
	for _ in $(seq 300); do [ "$(wc -l </tmp/again.out)" -ge "$seen" ] && break; sleep 0.1; done
	sed -n "${seen}p" /tmp/again.out
	[ "$(sed -n "${seen}p" /tmp/again.out)" = "$1" ]
}

# --- ways to sleep ---
callbacks() { # every driver's, without sleeping: "devices" of pm_test
	echo devices >/sys/power/pm_test && echo mem >/sys/power/state
	r=$?
	echo none >/sys/power/pm_test
	return $r
}
to_ram() { # the machine is off but for its memory; its clock wakes it
	echo 0 >/sys/class/rtc/rtc0/wakealarm
	echo +4 >/sys/class/rtc/rtc0/wakealarm && echo mem >/sys/power/state
}
cold() { vmhost sim-fault 0 cold && to_ram; } # and the card loses its memory
refused() { # freezing is over, the devices do not get to it: another says no
	echo freezer >/sys/power/pm_test && echo mem >/sys/power/state
	r=$?
	echo none >/sys/power/pm_test
	return $r
}
# A virtio port that was ever written to takes nothing after the machine slept, until its driver is bound again.
ports_again() {
	for d in /sys/bus/virtio/drivers/virtio_console/virtio*; do
		echo "${d##*/}" >/sys/bus/virtio/drivers/virtio_console/unbind
		echo "${d##*/}" >/sys/bus/virtio/drivers/virtio_console/bind
	done
}
sleeps() { # sleeps HOW [ADDITIONS]
	before=$(count pauses)
	start keep client keep && start compute client compute 8 "${2:-20000}" && start rings client rings 8 "${2:-20000}" || return 1
	"$1" || return 1
	ports_again
	kill -TERM $pid_keep
	status=0
	ended keep 'keep 1 cpu 0 card 0' || status=1
	ended compute 'compute 1 jobs [1-9][0-9]* state 0' || status=1
	ended rings 'compute 1 jobs [1-9][0-9]* state 0' || status=1
	client short || status=1
	if [ "$1" != refused ] && [ "$(count pauses)" -le "$before" ]; then
		echo "the card was not paused"
		status=1
	fi
	return $status
}
asleep() {
	for _ in $(seq 200); do [ "$(cat "$dev/power/runtime_status")" = suspended ] && return 0; sleep 0.1; done
	grep . "$dev"/power/runtime_* "$objects"
	return 1
}
sleeps_idle() { asleep && "$@" && ports_again && client short; } # the card sleeps already

# The first process's pumps have ports open, which does not go well with ports_again(), so what is printed waits in RAM.
sleep 0.5
exec >/tmp/tap 2>&1
for p in /proc/[0-9]*; do
	case $(readlink "$p/fd/1") in *vport*) kill "${p#/proc/}" ;; esac
done
mkfifo /tmp/again
exec 9<>/tmp/again
mnist_again </tmp/again >/tmp/again.out 2>&1 9>&- &
ok "a process with a network on the card" again_is ready
ok "every callback for sleep, under clients" sleeps callbacks
ok "sleep that is given up, under clients" sleeps refused
if [ "${SLEEP_WAKES:-1}" = 1 ]; then
	deepest=cold
	ok "sleep, under clients" sleeps to_ram
	ok "sleep in which the card loses its memory, under clients" sleeps cold
	ok "the same under long jobs" sleeps cold 400000
else
	deepest=callbacks
fi
ok "sleep of a card that sleeps" sleeps_idle $deepest
same() { echo >&9; again_is same; }
ok "the network runs in the same process, same bits" same
ok "no reset was needed" [ "$(count resets)" = 0 ]
exec 9>&-
rebind() {
	echo "$1" >/sys/bus/pci/drivers/snpu/unbind && echo "$1" >/sys/bus/pci/drivers/snpu/bind || return 1
	for _ in $(seq 100); do ls /dev/accel/accel* >/dev/null 2>&1 && break; sleep 0.1; done
}
has_none() {
	cat "$dev/state"
	[ "$(cat "$dev/state")" = no_firmware ] && client nofw >/tmp/nofw && cat /tmp/nofw && grep -qx 'fw 0 queues 0 memory 1 write 1 vm -65 queue -65' /tmp/nofw
}
no_firmware() { # the card sleeps; the system does; then there is firmware
	sleep 12 # for so long after a sleep the kernel still has the file
	mv /lib/firmware/snpu /lib/firmware/away && rebind "$(basename "$dev")" && has_none && asleep && has_none && $deepest && ports_again && has_none &&
		mv /lib/firmware/away /lib/firmware/snpu && echo 1 >"$dev/fw_reload" && [ "$(cat "$dev/state")" = ok ] && client short
}
ok "a card without firmware: it sleeps, the system sleeps, and new firmware makes it work" no_firmware
echo "1..$n"
echo "# end sleep $((failed > 0))"
cat /tmp/tap >/dev/virtio-ports/out
[ $failed = 0 ]
