#!/bin/bash
# SPDX-License-Identifier: MIT
# What runs inside the VM, as root: prints the TAP of several programs, each between "# begin NAME" and "# end NAME STATUS".
# Networks, language models, the driver's self tests and the conformance suite run as an ordinary user in group render.
# usage: suite.sh BUILD RELEASE OUT network|power|kexec|all
set -u
build=$1 series=$2 out=$3 what=$4
data=tests/data/nir/mnist
lm=tests/data/spikingbrain/austen-3.7m-w8aspike

program() { # program NAME COMMAND...
	local name=$1 status began=$SECONDS
	shift
	echo "# begin $name"
	"$@"
	status=$?
	echo "# $name took $((SECONDS - began)) s"
	echo "# end $name $status"
}

if grep -qw snpu.second /proc/cmdline; then	# see kexec_test.sh
	program kexec tests/vm/kexec_test.sh "$build" "$series"
	exit
fi

# Group render alone and no capabilities: what a user of the card has.
user=(setpriv --reuid=1000 --regid=1000 "--groups=$(stat -c %g /dev/accel/accel0)" --inh-caps=-all --bounding-set=-all)

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

# A network of populations with delays: spikes and membranes on the card are those of the CPU in here, and the spikes are Brian2's in number.
populations() {
	local run=("${user[@]}" "$build/tools/snpu/snpu" run tests/data/net/small.h5 --nodes a,b,a.v --json)
	echo "TAP version 13"
	if "${run[@]}" --device card --require-device --record "$out/net-card.npz" >"$out/net-card.json" && "${run[@]}" --device cpu --record "$out/net-cpu.npz" >"$out/net-cpu.json" &&
		"${user[@]}" "$build/tools/snpu/snpu" compare "$out/net-card.npz" "$out/net-cpu.npz" >"$out/net-compare" && grep -q '"spikes": 202' "$out/net-card.json"; then
		echo "ok 1 a network of populations on a card, bit for bit"
	else
		echo "not ok 1 a network of populations on a card, bit for bit"
	fi
	echo "1..1"
}

program network network
program populations populations
program language language
if [ "$what" = power ]; then
	program power tests/vm/power_test.sh "$build" 1
	echo "# begin sleep"
	exec tests/vm/sleep_test.sh "$build"	# says its end itself: afterwards nothing runs here
fi
[ "$what" != kexec ] || exec tests/vm/kexec_test.sh "$build" "$series"
program stream "${user[@]}" tests/vm/stream_test.sh "$build"
# Where the cards can reach each other's memory, dma-bufs of it: with one switch above both (tools/vm --switch).
[ "$what" = all ] || [ "${SNPU_P2P:-0}" = 0 ] || program memory-p2p "$build/tests/kselftest/prime_test"
[ "$what" = all ] || exit 0
cards=$(ls /dev/accel | wc -l)
# All models once; CPU references are slow in here.
[ "$series-$cards" = 6.12-2 ] && models=on_the_card || models=english_w8.on_the_card
program lm "${user[@]}" "$build/tests/e2e/lm_same" "$models"
for t in ioctl sync fault user fuzz; do program "kselftest-$t" "${user[@]}" "$build/tests/kselftest/${t}_test"; done
program kselftest-sched "$build/tests/kselftest/sched_test"	# priorities need CAP_SYS_NICE
# What the card executes does not depend on the kernel: where one card is, which is with a strict IOMMU and without one.
[ "$cards" = 2 ] || for t in packets images sparse neurons quant lm attention faults lm_faults queues; do program "conformance-$t" "${user[@]}" "$build/tests/conformance/${t}_test" card; done
[ "$cards" = 2 ] || program conformance-fences env CONF_FENCES=1 "${user[@]}" "$build/tests/conformance/queues_test" card	# through the driver
# What takes minutes is shared out, so that each runs on one kernel at least; with VM_LONG=1 on both (make check-vm-long). The
# card that can be unplugged has what unplugs or counts one card's events, two cards have what passes memory between them.
case ${VM_LONG:-0}-$series-$cards in
0-6.12-2) last="lm-loss memory" ;;
0-6.12-1) last="root recover" ;;
0-7.3-2) last="firmware" ;;
0-7.3-1) last="networks calls pages observe root load" ;;
1-*-2) last="lm-loss memory" ;;
1-*-1) last="networks calls pages observe root load recover firmware" ;;
esac
for t in $last; do # firmware comes last: it makes the card refuse older images, and locks the kernel down
	case $t in
	networks)	# in every number system bit for bit what scalar code gives; what frameworks, a chip and interpreters recorded
		program nets-same "${user[@]}" "$build/tests/e2e/nets_same"
		program nets-golden "${user[@]}" "$build/tests/unit/nir_golden_test" .card.
		program nets-loihi "${user[@]}" "$build/tests/unit/loihi_test" .card.
		program nets-mnist "${user[@]}" "$build/tests/e2e/mnist" .card.counts_of_integers
		program nets-cnn "${user[@]}" "$build/tests/e2e/cnn" .card.counts_are_those_of
		;;
	lm-loss) program lm-loss tests/vm/lm_test.sh "$build" ;;
	calls) program nth-once env SNPU_NTH_ONCE=1 "$build/tests/kselftest/nth_test" ;; # every call and what it leaves, without the faults of check-debug
	pages) program memory-pages "$build/tests/kselftest/memory_test" pages ;; # without an IOMMU to make one piece of many
	load) program load env SNPU_LOAD_SECONDS=15 "$build/tests/kselftest/load_test" ;;
	memory) program memory tests/vm/mem_test.sh "$build" ;;
	observe) program observe tests/vm/observe_test.sh "$build" ;;
	recover) program recover tests/vm/recover_test.sh "$build" 1 ;;
	root) program root tests/vm/root_test.sh "$build" "$series" ;;
	firmware) program firmware tests/vm/firmware_test.sh "$build" "$series" ;;
	esac
done
