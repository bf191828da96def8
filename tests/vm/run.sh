#!/bin/bash
# SPDX-License-Identifier: MIT
# One boot of the test matrix: runs tests/vm/suite.sh in a VM, joins the TAP of its programs into one, and adds what only the
# host can tell: a program that died, the kernel's log, and whether what the card wrote equals, bit for bit and in every
# exact counter, what this machine's CPU and the in-process simulator wrote.
# usage: run.sh BUILD RELEASE off|pt|strict CARDS network|power|kexec|all [tools/vm option...]
set -u
cd "$(dirname "$0")/../.."
. tests/tap.sh
build=$(readlink -f "$1") series=$2 iommu=$3 cards=$4 what=$5
shift 5
out=$build/vm/$series-$iommu-$cards${*:+-msi}
rm -rf "$out"
mkdir -p "$out"
chmod 777 "$out"

tools/vm --kernel "$series" --iommu "$iommu" --cards "$cards" --sim "$build/sim/snpu-sim" --sim-arg=--faults --module "$build/kmod/$series/snpu.ko" \
	--firmware "$build/firmware" --share "$out" --log "$out/kernel.log" --timeout $((${VM_LONG:-0} ? 2400 : 1500)) --env "VM_LONG=${VM_LONG:-0}" "$@" -- \
	tests/vm/suite.sh "$build" "$series" "$out" "$what" >"$out/tap" 2>"$out/stderr"
status=$?

awk -f tests/vm/join.awk "$out/tap" 2>"$out/count"
tap_n=$(cat "$out/count")

clean() {
	cat "$out/stderr"
	return $status
}
ok "VM: kernel $series, IOMMU $iommu, $cards cards: ended well, nothing in the kernel's log" clean
probed() {
	grep 'snpu' "$out/kernel.log"
	[ "$(grep -c 'snpu .*firmware [0-9.]* (.*), ABI' "$out/kernel.log")" -ge "$cards" ]
}
ok "VM: each card probed with one line that names its firmware" probed
for ref in "$build"/vm/ref-*.json; do
	ref=${ref%.json}
	name=${ref##*ref-}
	lm=${ref%/*}/lm-${ref##*/}
	for c in $(seq 0 $((cards - 1))); do
		ok "card $c = $name: output spikes of 1000 images" "$build/tools/snpu/snpu" compare "$out/card$c.npz" "$ref.npz"
		ok "card $c = $name: spikes and membrane potentials of every layer" "$build/tools/snpu/snpu" compare "$out/card$c-v.npz" "$ref-v.npz"
		ok "card $c = $name: every exact counter" tests/vm/counters.py "$out/card$c.json" "$ref.json"
		ok "card $c = $name: what a language model writes, its spikes, every exact counter" tests/vm/counters.py "$out/lm$c.json" "$lm.json"
		ok "card $c = $name: its logits" "$build/tools/snpu/snpu" compare "$out/lm$c/logits.npy" "$lm/logits.npy"
	done
done
done_testing
