#!/bin/bash
# SPDX-License-Identifier: MIT
# One boot of the debug kernel (tools/kernel-debug): runs one group of tests/vm/debug_suite.sh in it and adds what only the host can tell.
# With an IOMMU that unmaps at once, so that the card cannot reach what it must not; without one where a great many mappings are made
# and undone, which takes QEMU several messages to the simulator each. With MSI, so that the card can be unplugged; recovery and
# power have MSI-X, whose table a function level reset clears, and memory has two cards.
# usage: debug.sh BUILD GROUP TIMEOUT [tools/vm option...]
set -u
cd "$(dirname "$0")/../.."
. tests/tap.sh
build=$(readlink -f "$1") what=$2 timeout=$3
shift 3
case $what in faults | fuzz*) iommu=off ;; *) iommu=strict ;; esac
case $what in recover) cards=(--cards 1 --sim-arg=--faults) ;; power | sleep) cards=(--cards 1 --hotplug off) ;; memory) cards=(--cards 2 --msi) ;; *) cards=(--cards 1 --msi) ;; esac
# The kernel says so when it cannot have large pieces of memory, also when that was made to fail; and that it has not all fields of a new
# module's tracepoints.
expected=()
case $what in probe | module | load) expected=(--expect-trace 'vmalloc error: |page allocation failure: |WARNING: at event_define_fields') ;; esac
out=$build/vm/debug-$what
rm -rf "$out"
mkdir -p "$out"
chmod 777 "$out"

# Checks of freed objects are a byproduct: what counts is that caches that are debugged have no per-CPU arrays of free objects, where
# pointers to allocated ones stay, so that kmemleak takes what leaked for referenced.
args="sysctl.kernel.hung_task_timeout_secs=300 watchdog_thresh=40 kasan_multi_shot slab_debug=F"
gave_up='turning off the locking correctness|DMA-API: debugging out of memory'
case $what in
fuzz-long) args="${args%slab_debug=F}slab_debug=- kmemleak=off no_debug_objects" ;; # what keeps a record of each object takes most of the time
*) gave_up+='|kmemleak: .*disabled|ODEBUG: Out of memory' ;;
esac

settings=() # for the program in the VM
case $what in fuzz*) names=${!SNPU_FUZZ_@} ;; load) names=${!SNPU_LOAD_@} ;; *) names= ;; esac
for name in $names; do settings+=(--env "$name"); done

began=$SECONDS
tools/vm --kernel debug --iommu $iommu "${cards[@]}" --vram 256M --memory 2G --sim "$build/sim/snpu-sim" --module "$build/kmod/debug/snpu.ko" \
	--firmware "$build/firmware" --share "$out" --log "$out/kernel.log" --boot-timeout 300 --timeout "$timeout" \
	--kernel-args "$args" \
	"${expected[@]}" "${settings[@]}" "$@" -- tests/vm/debug_suite.sh "$build" "$out" "$what" >"$out/tap" 2>"$out/stderr"
status=$?
awk -f tests/vm/join.awk "$out/tap" 2>"$out/count"
tap_n=$(cat "$out/count")
echo "# the VM ran for $((SECONDS - began)) s"

clean() {
	cat "$out/stderr"
	return $status
}
complained() {
	cat "$out/stderr"
	[ $status = 120 ]
}
# Each switches itself off when it has complained, or when it cannot go on.
watched() { ! grep -E "$gave_up" "$out/kernel.log"; }
if [ "$what" = prove ]; then
	ok "VM: a log with such complaints makes a run fail" complained
else
	ok "VM: debug kernel, $what: ended well, nothing in the kernel's log" clean
	ok "VM: every detector watched to the end" watched
fi
done_testing
