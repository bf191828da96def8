#!/bin/bash
# SPDX-License-Identifier: MIT
# What runs inside the VM, as root: prints the TAP of several programs, each between "# begin NAME" and "# end NAME STATUS".
# Networks, language models, the driver's self tests and the conformance suite run as an ordinary user in group render.
# usage: suite.sh BUILD RELEASE OUT network|all
set -u
build=$1 series=$2 out=$3 what=$4
data=tests/data/nir/mnist
lm=tests/data/spikingbrain/austen-3.7m-w8aspike

# Group render alone and no capabilities: what a user of the card has.
user=(setpriv --reuid=1000 --regid=1000 "--groups=$(stat -c %g /dev/accel/accel0)" --inh-caps=-all --bounding-set=-all)

program() { # program NAME COMMAND...
	local name=$1
	shift
	echo "# begin $name"
	"$@"
	echo "# end $name $?"
}

# The MNIST network on every card there is: all images, and the first 40 with every membrane potential. Arrays and counters
# are compared on the host.
network() {
	local n=0 node
	local run=("${user[@]}" "$build/tools/snpu/snpu" run $data/mnist_lif.nir --input $data/mnist_test1000.npz --require-device --json)
	echo "TAP version 13"
	for node in /dev/accel/accel*; do
		if "${run[@]}" --device "card:$n" --expect $data/mnist_test1000.npz:torch_counts --record "$out/card$n.npz" >"$out/card$n.json" &&
			"${run[@]}" --device "card:$n" --samples 40 --nodes lif1,lif1.v,lif2,lif2.v --record "$out/card$n-v.npz" >/dev/null; then
			echo "ok $((n + 1)) 1000 images on card $n ($node), counts equal to the original framework's"
		else
			echo "not ok $((n + 1)) 1000 images on card $n ($node), counts equal to the original framework's"
		fi
		n=$((n + 1))
	done
	echo "1..$n"
}

# The same with a language model: what it writes, its spikes and counters are compared on the host, its bits by lm_same.
language() {
	local n=0 node
	local run=("${user[@]}" "$build/tools/snpu/snpu" generate "$lm" -p "Emma was" -n 60 --profile --json --dump-only logits --require-device)
	echo "TAP version 13"
	for node in /dev/accel/accel*; do
		if "${run[@]}" --device "card:$n" --dump "$out/lm$n" >"$out/lm$n.json"; then
			echo "ok $((n + 1)) a language model writes on card $n ($node)"
		else
			echo "not ok $((n + 1)) a language model writes on card $n ($node)"
		fi
		n=$((n + 1))
	done
	echo "1..$n"
}

models=on_the_card
[ "$what" = all ] || models=english_w8.on_the_card	# CPU references are slow in here
program network network
program language language
program lm "${user[@]}" "$build/tests/e2e/lm_same" "$models"
[ "$what" = all ] || exit 0
for t in ioctl sync fault fuzz; do program "kselftest-$t" "${user[@]}" "$build/tests/kselftest/${t}_test"; done
for t in packets neurons lm attention faults lm_faults queues; do program "conformance-$t" "${user[@]}" "$build/tests/conformance/${t}_test" card; done
# Takes a while: one card that is also unplugged on the newer kernel, two cards on the older one.
case $series-$(ls /dev/accel | wc -l) in 7.3-1 | 6.12-2) program lm-loss tests/vm/lm_test.sh "$build" ;; esac
program root tests/vm/root_test.sh "$build" "$series"
