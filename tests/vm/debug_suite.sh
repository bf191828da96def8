#!/bin/bash
# SPDX-License-Identifier: MIT
# What runs inside a VM with the debug kernel, as root: one group of tests, then a look for leaked memory, and the counts of executed
# lines are brought home. Prints TAP like suite.sh.
# usage: debug_suite.sh BUILD OUT selftests|memory|observe|recover|power|sleep|firmware|root|faults|probe|module|load|fuzz|fuzz-long|prove
set -u
build=$1 out=$2 what=$3
k=$build/tests/kselftest
user=(setpriv --reuid=1000 --regid=1000 "--groups=$(stat -c %g /dev/accel/accel0)" --inh-caps=-all --bounding-set=-all)
export SNPU_KO=/run/snpu.ko
cp "$build/kmod/debug/snpu.ko" $SNPU_KO # loading it from the host's file system would fail in many more ways

program() { # program NAME COMMAND...
	local name=$1
	shift
	echo "# begin $name"
	"$@"
	echo "# end $name $?"
}

# What the driver allocated and nothing refers to. Others' leaks are shown: a failed allocation in the kernel's own code may cause one, as in
# 7.3's drm_gem_huge_mnt_create(), which does not put its context when it cannot parse.
leaks() {
	local n
	sleep 6 # younger ones are not reported
	for _ in 1 2; do echo scan >/sys/kernel/debug/kmemleak; sleep 1; done # the first one looks whether they change
	cat /sys/kernel/debug/kmemleak >"$out/kmemleak"
	n=$(grep -c '^unreferenced object' "$out/kmemleak")
	echo "TAP version 13"
	echo "# $n leaks are known to the kernel"
	awk '/^unreferenced object/ { if (ours) print text; text = ours = theirs = "" } { text = text "# " $0 "\n" } / drm_gem_huge_mnt_create/ { theirs = 1 } /\[snpu\]/ { ours = !theirs }
		END { if (ours) print text }' "$out/kmemleak" >"$out/kmemleak.snpu"
	if [ -s "$out/kmemleak.snpu" ]; then cat "$out/kmemleak.snpu"; echo "not ok 1 no memory of the driver leaked"; else echo "ok 1 no memory of the driver leaked"; fi
	[ "$n" = 0 ] || head -n 60 "$out/kmemleak" | sed 's/^/# /'
	echo 1..1
}

coverage() {
	mkdir -p "$out/gcov"
	find /sys/kernel/debug/gcov -path '*/kmod/snpu_*.gcda' | while read -r f; do cat "$f" >"$out/gcov/$(basename "$f")"; done
}

case $what in
prove) program prove tests/vm/prove.sh "$build/kmod/prove/prove.ko" ;;
selftests) for t in ioctl sync fault user; do program "kselftest-$t" "${user[@]}" "$k/${t}_test"; done ;;
memory) program memory tests/vm/mem_test.sh "$build" ;;
observe) program observe tests/vm/observe_test.sh "$build" ;;
recover) program recover tests/vm/recover_test.sh "$build" 1 5000 ;; # a packet may take a second here
power) program power tests/vm/power_test.sh "$build" 1 ;;
sleep) # says its end itself; afterwards nothing runs here
	echo "# begin sleep"
	SLEEP_WAKES=0 exec tests/vm/sleep_test.sh "$build"
	;;
firmware) program firmware tests/vm/firmware_test.sh "$build" debug ;;
root) program root tests/vm/root_test.sh "$build" debug ;;
faults) program nth "$k/nth_test" ;;
probe) program nth-probe "$k/nth_probe_test" bind ;;
module) program nth-module "$k/nth_probe_test" load ;;
load) program load "$k/load_test" ;;
fuzz | fuzz-long) program fuzz "${user[@]}" "$k/fuzz_test" ;;
*) echo "debug_suite.sh: no group $what" >&2; exit 2 ;;
esac
case $what in prove | fuzz-long) ;; *) program leaks leaks ;; esac
coverage
