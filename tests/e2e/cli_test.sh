#!/bin/bash
# SPDX-License-Identifier: MIT
# The snpu command as people use it, on the CPU and on the simulator: answers against the reference data, files that it
# writes, JSON, and an error with the right exit status for everything that can be wrong. Prints TAP.
# usage: cli_test.sh BUILD
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/e2e/cli_rig.sh
. tests/e2e/cli_rig.sh

mnist=tests/data/nir/mnist
model=$mnist/mnist_lif.nir
images=$mnist/mnist_test1000.npz
truth=$mnist/mnist_lif_expected.npz

# --- helpers --------------------------------------------------------------------------------------------------

# npz EXPRESSION FILE...: the Python expression over the loaded files z[0], z[1], ... is true.
npz() {
	"$python" - "$@" <<-'PY'
		import sys, numpy as np
		z = [np.load(f) for f in sys.argv[2:]]
		sys.exit(0 if eval(sys.argv[1]) else "false: " + sys.argv[1])
	PY
}

lines_at_most() { # lines_at_most N COMMAND...
	local n=$1 out
	shift
	out=$("$@") || return 1
	[ "$(wc -l <<<"$out")" -le "$n" ] || { echo "$out"; return 1; }
}

run() { "$snpu" run "$model" --input "$images" "$@"; }

"$python" - "$tmp" "$images" <<-'PY'
	import sys, zlib, struct, numpy as np
	tmp, images = sys.argv[1:]
	img = np.load(images)["images"]
	def chunk(t, d): return struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d))
	def png(name, pixels, colour):
	    h, w = pixels.shape[:2]
	    raw = b"".join(b"\0" + row.tobytes() for row in pixels)
	    open(f"{tmp}/{name}", "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, colour, 0, 0, 0)) +
	                                      chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))
	png("1.png", img[1], 0)
	png("rgb.png", np.repeat(img[1][:, :, None], 3, axis=2), 2)
	png("small.png", img[1][:20], 0)
	open(tmp + "/cut.png", "wb").write(open(tmp + "/1.png", "rb").read()[:120])
	open(tmp + "/2.pgm", "wb").write(b"P5 # a comment\n28 28\n255\n" + img[2].tobytes())
	open(tmp + "/2plain.pgm", "w").write("P2\n28 28\n255\n" + " ".join(map(str, img[2].ravel())))
	wide = img[2].astype(">u2") * 257
	open(tmp + "/2wide.pgm", "wb").write(b"P5\n28 28\n65535\n" + wide.tobytes())
	open(tmp + "/cut.pgm", "wb").write(b"P5\n28 28\n255\n" + img[2].tobytes()[:-1])
	open(tmp + "/huge.pgm", "wb").write(b"P5\n16000 16000\n255\n" + b"x" * 100)
	acc = np.tile((151 * np.arange(784)) & 255, (4, 1))
	spikes = np.zeros((4, 25, 784), np.uint8)
	for t in range(25):
	    acc = acc + (img[:4].reshape(4, 784) >> 1)
	    spikes[:, t] = acc >> 8
	    acc = acc & 255
	np.savez(tmp + "/spikes.npz", input=spikes, labels=np.array([7, 9, 5, 4]))
	np.save(tmp + "/one.npy", spikes[0].astype(np.float32))
	np.savez(tmp + "/wrong.npz", input=np.zeros((2, 25, 783), np.float32))
	np.savez(tmp + "/other.npz", left=np.zeros(3), right=np.zeros(4))
	np.savez(tmp + "/nan.npz", input=np.full((1, 25, 784), np.nan, np.float32))
	np.savez(tmp + "/empty.npz", input=np.zeros((0, 25, 784), np.float32))
	np.savez(tmp + "/few.npz", images=img[:3], labels=np.array([7, 9]))
	np.save(tmp + "/touch.npy", np.ones((20, 12), np.float32))
	np.save(tmp + "/labels.npy", np.load(images)["labels"])
	a = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
	b = a.copy(); b[1, 2, 3] += 0.25
	np.savez(tmp + "/a.npz", x=a, y=a); np.savez(tmp + "/b.npz", x=a, y=b); np.savez(tmp + "/c.npz", x=a); np.savez(tmp + "/d.npz", x=a, y=a.astype("f8"))
	np.savez(tmp + "/z1.npz", x=np.float32([0.0, np.nan])); np.savez(tmp + "/z2.npz", x=np.float32([-0.0, np.nan]))
	m = open("tests/data/nir/mnist/mnist_lif.nir", "rb").read()
	open(tmp + "/cut.nir", "wb").write(m[:len(m) // 2])
	open(tmp + "/empty.nir", "wb").write(b"")
PY

# --- answers --------------------------------------------------------------------------------------------------

for device in cpu sim; do
	ok "$device: 1000 images, every spike count of output and hidden layer as in the reference data" \
		says 0 '969 of 1000 right, 96.90 %' run --device $device --record "$tmp/$device.npz" --nodes output,lif1,lif1.v,lif2.v \
		--expect "$images:torch_counts" --expect "$truth:counts_f32" --expect "lif1=$truth:hidden_counts_f64"
	ok "$device: recorded arrays have the shapes [sample][step][...]" \
		npz "sorted(z[0]) == ['lif1', 'lif1.v', 'lif2.v', 'output'] and z[0]['lif1'].shape == (1000, 25, 256) and z[0]['output'].dtype == 'float32'" "$tmp/$device.npz"
	ok "$device: --nodes absent, --record writes the output" run --device $device --samples 3 -q --record "$tmp/o.npz"
	ok "$device: ... and nothing else" npz "list(z[0]) == ['output'] and z[0]['output'].shape == (3, 25, 10)" "$tmp/o.npz"
	ok "$device: the report fits one screen, one sample" lines_at_most 45 run --device $device --samples 1
	ok "$device: the report fits one screen, many samples" lines_at_most 45 run --device $device
	ok "$device: -q prints one class a line" says 0 '^7$' run --device $device --samples 1 -q
done
ok "card's simulator and CPU recorded the same bits" "$snpu" compare "$tmp/sim.npz" "$tmp/cpu.npz"
ok "a path that is no UTF-8 breaks no JSON" sh -c "cp $model '$tmp'/\$(printf 'm\\377').nir && '$snpu' run '$tmp'/\$(printf 'm\\377').nir -i '$tmp/one.npy' -d cpu --json | '$python' -c \"
import json, sys; d = json.load(sys.stdin); assert d['model']['file'].endswith('m?.nir') and d['answer']['classes'] == [7]\""
ok "a recorded sum is what the reference data has" npz "(z[0]['output'].sum(1) == z[1]['torch_counts']).all()" "$tmp/sim.npz" "$images"
for isa in scalar avx2; do
	ok "kernels $isa give the same bits" env SNPU_CPU=$isa "$snpu" run "$model" --input "$images" --device cpu -q --nodes output,lif1,lif1.v,lif2.v --record "$tmp/$isa.npz"
	ok "... as the simulator" "$snpu" compare -q "$tmp/sim.npz" "$tmp/$isa.npz"
done
ok "one node on the CPU, the rest on the device: same bits" run --device sim --place fc2=cpu -q --nodes output,lif1,lif1.v,lif2.v --record "$tmp/mixed.npz"
ok "... as without" "$snpu" compare -q "$tmp/sim.npz" "$tmp/mixed.npz"
ok "the placement says why" says 0 'fc2 +Linear +256→10 +cpu +asked for' run --device sim --samples 1 --place fc2=cpu
ok "... for each node" says 0 'fc1 +Affine +784→256 +sim +first choice: executes LINEAR, 785 KiB fit' run --device sim --samples 1
ok "... in JSON, too, without an empty one" json "all(p['reason'] for p in d['placement']) and d['placement'][1]['reason'].startswith('first choice')" run --device sim --samples 1 --json
ok "... in a table of at most 100 columns" sh -c "! '$snpu' run $model --input $images --device sim --samples 1 | sed -n '/^placed/,/^$/p' | grep -E '.{101}'"
ok "--samples A:B takes those samples" says 0 '^5$' run --device cpu --samples 2:3 -q
ok "--samples A:B compares with the right rows" says 0 'all 100 equal' run --device cpu --samples 500:510 --expect "$images:torch_counts"
ok "--expect that is not met: status 4 and how much" says 4 'DIFFER, by up to' run --device cpu --samples 50 --dt 3ms --expect "$images:torch_counts"
ok "--tolerance lets it pass" says 0 'within the tolerance' run --device cpu --samples 50 --dt 1.01ms --expect "$images:torch_counts" --tolerance 25
ok "labels from another file" says 0 '9 of 10 right|10 of 10 right' run --device cpu --samples 10 --labels "$tmp/labels.npy"

# --- input ----------------------------------------------------------------------------------------------------

ok "spikes under the input node's name" says 0 '^7 9 5 4 $' sh -c "'$snpu' run $model -i '$tmp/spikes.npz' -d cpu -q | tr '\n' ' '; echo"
ok "the library's encoder gives the same as spikes encoded elsewhere" sh -c "'$snpu' run $model -i '$tmp/spikes.npz' -d cpu -q --nodes lif1 --record '$tmp/s1.npz' &&
	'$snpu' run $model -i $images --samples 4 -d cpu -q --nodes lif1 --record '$tmp/s2.npz' && '$snpu' compare '$tmp/s1.npz' '$tmp/s2.npz'"
ok "a .npy file without a sample axis" says 0 '^7$' "$snpu" run $model -i "$tmp/one.npy" -d cpu -q
ok "NODE=FILE" says 0 '^7$' "$snpu" run $model -i "input=$tmp/one.npy" -d cpu -q
ok "PNG" says 0 '^9$' "$snpu" run $model -i "$tmp/1.png" -d cpu -q
ok "colour PNG, taken as grey" says 0 '^9$' "$snpu" run $model -i "$tmp/rgb.png" -d cpu -q
for f in 2 2plain 2wide; do ok "PGM ($f)" says 0 '^5$' "$snpu" run $model -i "$tmp/$f.pgm" -d cpu -q; done
ok "several images are several samples" says 0 '^9 5 $' sh -c "'$snpu' run $model -i '$tmp/1.png' -i '$tmp/2.pgm' -d cpu -q | tr '\n' ' '; echo"

# --- wrong input ----------------------------------------------------------------------------------------------

ok "an array of the wrong shape names both shapes" says 1 "\[2\]\[25\]\[783\] does not fit input 'input', which takes \[sample\]\[step\]\[784\]" "$snpu" run $model -i "$tmp/wrong.npz" -d cpu
ok "an image of the wrong size" says 1 "\[20\]\[28\] does not fit input 'input'" "$snpu" run $model -i "$tmp/small.png" -d cpu
ok "no array for the input: says which there are" says 1 "has no array for input 'input'; it has: left, right" "$snpu" run $model -i "$tmp/other.npz" -d cpu
ok "an input that is not finite" says 1 'finite' "$snpu" run $model -i "$tmp/nan.npz" -d cpu
ok "an empty input" says 1 'is empty' "$snpu" run $model -i "$tmp/empty.npz" -d cpu
ok "too few labels" says 1 'labels of shape \[2\] do not fit 3 samples' "$snpu" run $model -i "$tmp/few.npz" -d cpu
ok "a truncated PNG" says 1 'cannot read the image .*damaged' "$snpu" run $model -i "$tmp/cut.png" -d cpu
ok "a truncated PGM" says 1 'ends early' "$snpu" run $model -i "$tmp/cut.pgm" -d cpu
ok "a PGM header that promises more than the file has" says 1 'ends early' "$snpu" run $model -i "$tmp/huge.pgm" -d cpu
ok "a missing input" says 1 'cannot read .*No such file' "$snpu" run $model -i "$tmp/absent.npz" -d cpu
ok "an input that is no array" says 1 'neither .npz, .npy, PNG, PGM nor a file of events' "$snpu" run $model -i Makefile -d cpu
ok "a device as input" says 1 'it is a device' "$snpu" run $model -i /dev/zero -d cpu
ok "a model as input" says 1 'HDF5 file' "$snpu" run $model -i $model -d cpu
ok "a missing model" says 1 "cannot open.*No such file" "$snpu" run "$tmp/absent.nir" -i $images -d cpu
ok "a truncated model" says 1 'damaged|truncated|cut|short' "$snpu" run "$tmp/cut.nir" -i $images -d cpu
ok "an empty model" says 1 'not an HDF5 file|empty' "$snpu" run "$tmp/empty.nir" -i $images -d cpu
conv="tests/data/nir/prims/conv2d_basic.nir -i tests/data/nir/prims/conv2d_basic.npz --dt 1ms"
ok "a convolution says which way it went, and why" says 0 'n0 +Conv2d +2x9x9→4x7x7 +cpu +the CPU: by events, dense from 18 % active on$' env SNPU_CPU=avx2 "$snpu" run $conv -d cpu
ok "by density" json "d['profile']['nodes'][0]['path'] == {'events': 0, 'dense': 40} and 0.3 < d['profile']['nodes'][0]['active'] < 0.31" env SNPU_CPU=avx2 "$snpu" run $conv -d cpu --json
ok "by SNPU_CONV" says 0 'n0 +cpu.* 30 % +events$' env SNPU_CONV=events "$snpu" run $conv -d cpu
ok "a way that is none" says 2 "SNPU_CONV is 'some'; set it to" env SNPU_CONV=some "$snpu" run $conv -d cpu
ok "a node that the model does not have: names those it has" says 1 'fc1, fc2, input, lif1, lif2, output' run -d cpu --nodes nope
ok "samples past the end" says 2 'samples 0 to 999' run -d cpu --samples 990:1010
ok "a record file that cannot be written is found out before the run" says 1 'cannot write /nonexistent/x.npz' run -d cpu --record /nonexistent/x.npz
ok "a picture that cannot be written, likewise" says 1 'cannot write /nonexistent/x.svg' run -d cpu --raster /nonexistent/x.svg
ok "--strict refuses assumptions" says 1 'assumed' run -d cpu --strict
ok "--strict passes when everything is said" says 0 '^7$' run -d cpu --samples 1 --strict --integrator euler --reset value -q

# --- devices --------------------------------------------------------------------------------------------------

if [ -e /dev/accel/accel0 ]; then
	skip "auto without a card" "this machine has a card"
	skip "--require-device without a card" "this machine has a card"
	skip "--device card without a card" "this machine has a card"
else
	ok "auto without a card runs on the CPU and says why" says 0 'no SNPU card' run --samples 1
	ok "--require-device without a card: status 3 and what to type" says 3 '--device sim' run --require-device
	ok "--device card without a card: status 3" says 3 'snpu list' run --device card
fi
ok "--require-device and a node on the CPU: status 3" says 3 "node 'fc2' would run on the CPU" run --device sim --require-device --place fc2=cpu
ok "the simulator says that it is one" says 0 'SIMULATED card inside this process, no driver' run --device sim --samples 1
ok "its time and energy are labelled as the model's" says 0 'model of the card: .*simulated, not measured silicon' run --device sim --samples 1
ok "an unknown device: status 2" says 2 'gpu' run --device gpu
ok "list shows sim and cpu" says 0 '^sim .*' "$snpu" list
ok "list says why a device cannot be used" says 0 'SNPU_CPU is .mmx.; set it to' env SNPU_CPU=mmx "$snpu" list
ok "no blanks at the ends of lines" sh -c "! { '$snpu' list; '$snpu' info sim; '$snpu' run $model -i $images -d sim --samples 2; } | grep -n ' $'"
ok "list --json" json "d['format'] == 1 and {'sim', 'cpu'} <= {x['name'] for x in d['devices']} and isinstance(d['cards'], list)" "$snpu" list --json
ok "info of the CPU names its kernels" says 0 'cpu  CPU of this machine, (scalar|avx2|avx512) kernels' "$snpu" info cpu
ok "info names the priorities" says 0 'priorities you may use: low normal high realtime$' "$snpu" info cpu
ok "info --json has limits and opcodes" json "'LIF' in d['device']['opcodes'] and d['device']['max_queues'] > 0 and d['device']['simulated']" "$snpu" info sim --json
ok "info of a network has its layers in order, with shapes" says 0 'Conv2d +2x34x34→16x16x16 +816 +205 k$' "$snpu" info tests/data/nir/cnn/cnn_sinabs.nir
ok "info --json of a network" json "[n['type'] for n in d['model']['nodes']][1:5] == ['Conv2d', 'IF', 'Conv2d', 'IF'] and d['model']['nodes'][3]['dense_synops'] == 589824" "$snpu" info tests/data/nir/cnn/cnn_sinabs.nir --json
ok "info of a network that is not there: status 1" says 1 'check the path' "$snpu" info none.nir
ok "info of a device that is not there: status 3" says 3 'snpu list' "$snpu" info card:7

ok "Ctrl-C stops a long run: status 130" says 130 'interrupted' interrupted "$snpu" run $model -i $images -d sim --steps 30000 -q

# --- usage ----------------------------------------------------------------------------------------------------

ok "no command: status 2" says 2 'Usage' "$snpu"
ok "help" says 0 'Commands' "$snpu" help
ok "help of a command" says 0 '--require-device' "$snpu" help run
ok "an unknown command: status 2" says 2 "no command 'fly'" "$snpu" fly
ok "--version" says 0 '^snpu [0-9]+\.[0-9]+\.[0-9]+$' "$snpu" --version
for bad in '--steps 0' '--steps x' '--dt 0' '--dt -1ms' '--dt nan' '--samples 5:5' '--samples -1' '--reset up' '--compare eq' '--encode mp3' '--place fc2' '--place fc2=moon' \
	'--expect file' '--tolerance -1' '--nonsense' '--device cpu --require-device'; do
	# shellcheck disable=SC2086 # options and their values
	ok "usage: $bad is refused with status 2" says 2 'snpu run' run $bad
done
ok "usage: no model" says 2 'which model' "$snpu" run --input $images
ok "usage: no input" says 2 'what goes in' "$snpu" run $model

# --- JSON and pictures ----------------------------------------------------------------------------------------

keys='["answer","command","device","expect","fallbacks","format","inputs","model","neurobench","notes","placement","plan","profile","stats","time","version"]'
ok "run --json: the keys of format 1" json "d['format'] == 1 and sorted(d) == $keys" run --device cpu --samples 5 --json
ok "run --json: the same facts as on the screen" json "d['answer']['classes'] == [7, 9, 5, 4, 7] and d['answer']['right'] == 5 and d['time']['dt'] == 0.001 and
	[p['node'] for p in d['placement'] if p['compute']] == ['fc1', 'lif1', 'fc2', 'lif2'] and d['stats']['dropped_events'] == 0" run --device cpu --samples 5 --json
ok "run --json: documented keys, all of them" documented "$tmp/out.json" docs/man/snpu-run.1
json "True" run --device cpu --samples 20 --json && cp "$tmp/out.json" "$tmp/cpu.json"
ok "exact counters are the same on the simulator and the CPU" json "[[r['counters'][c] for c in ('EVENTS', 'SPIKES', 'SYNOPS', 'SKIPPED', 'UPDATES')] for r in d['profile']['nodes']] ==
	[[r['counters'][c] for c in ('EVENTS', 'SPIKES', 'SYNOPS', 'SKIPPED', 'UPDATES')] for r in json.load(open('$tmp/cpu.json'))['profile']['nodes']]" run --device sim --samples 20 --json
ok "synops are input spikes times outputs" json "[r for r in d['profile']['nodes'] if r['node'] == 'fc1'][0]['counters']['SYNOPS'] == 256 * np.load('$tmp/one.npy').sum()" \
	"$snpu" run $model -i "$tmp/one.npy" -d cpu --json
ok "an error in JSON" json "d['error']['exit'] == 1 and 'absent' in d['error']['message']" "$snpu" run "$tmp/absent.nir" -i $images -d cpu --json
ok "raster: valid SVG" sh -c "'$snpu' run $model -i $images -d sim --samples 1 -q --raster '$tmp/r.svg' && rsvg-convert '$tmp/r.svg' -o '$tmp/r.png' && '$python' -c \"
import xml.etree.ElementTree as e; t = e.parse('$tmp/r.svg').getroot(); s = ''.join(t.itertext()); assert 'lif1' in s and 'output' in s and 'time (ms)' in s and 'label 7' in s\""
ok "raster: one tick for each spike" sh -c "'$snpu' run $model -i $images -d sim --samples 1 -q --nodes output --raster '$tmp/r.svg' --record '$tmp/r.npz' && '$python' -c \"
import re, numpy as np; s = open('$tmp/r.svg').read(); n = sum(len(re.findall('M[^M]*v', d)) for d in re.findall('stroke-opacity=[^>]* d=.M0 0([^/]*)/', s)); assert n == np.load('$tmp/r.npz')['output'].sum(), n\""
ok "raster: values and names with special characters" sh -c "'$snpu' run tests/data/nir/prims/cubali.nir -i tests/data/nir/prims/cubali.npz --dt 1ms -d cpu -q --raster '$tmp/v.svg' && rsvg-convert '$tmp/v.svg' -o '$tmp/v.png'"
ok "raster: hidden layers, also of nested graphs" sh -c "'$snpu' run tests/data/nir/rnn/braille_noDelay_bias_zero_subgraph.nir -i '$tmp/touch.npy' --dt 1e-4 -d cpu -q --raster '$tmp/n.svg' && grep -q 'lif1/lif1' '$tmp/n.svg'"
ok "which of several samples is drawn" says 0 '^output +sample 5  neurons' run --device cpu --samples 5:8
ok "an ASCII terminal gets ASCII" sh -c "LC_ALL=C '$snpu' run $model -i $images -d sim --samples 1 | LC_ALL=C grep -q '[^ -~]' && exit 1 || exit 0"

# --- disasm and compare ---------------------------------------------------------------------------------------

ok "disasm of a model shows packets of each node" says 0 'LINEAR\.bias \[1\]' "$snpu" disasm $model -o "$tmp/prog.bin"
ok "disasm of the saved program is the same" sh -c "'$snpu' disasm '$tmp/prog.bin' >'$tmp/d1' && '$snpu' disasm $model | tail -n +2 >'$tmp/d2' && cmp '$tmp/d1' '$tmp/d2'"
ok "disasm --json" json "[p['text'] for p in d['segments'][0]['packets']][-1] == 'END'" "$snpu" disasm $model --json
ok "disasm of nonsense shows data, not a crash" says 0 '.' "$snpu" disasm Makefile
ok "disasm of an empty file" says 1 'is empty' "$snpu" disasm "$tmp/empty.nir"
ok "compare: equal files" says 0 'equal, compared bit for bit' "$snpu" compare "$tmp/a.npz" "$tmp/a.npz"
ok "compare: where they differ" says 4 'y .*DIFFERENT +1 differ, by up to 0.25, first at \[1\]\[2\]\[3\]' "$snpu" compare "$tmp/a.npz" "$tmp/b.npz"
ok "compare: a tolerance" says 0 'equal' "$snpu" compare --tolerance 0.25 "$tmp/a.npz" "$tmp/b.npz"
ok "compare: an array that one file lacks" says 4 'y .*only in the first' "$snpu" compare "$tmp/a.npz" "$tmp/c.npz"
ok "compare: another type" says 4 'other type' "$snpu" compare "$tmp/a.npz" "$tmp/d.npz"
ok "compare: -0 is not 0, a NaN is itself" json "d['equal'] is False and d['arrays'][0]['different'] == 1" "$snpu" compare --json "$tmp/z1.npz" "$tmp/z2.npz"
ok "compare: a missing file" says 1 'No such file' "$snpu" compare "$tmp/a.npz" "$tmp/absent.npz"
ok "compare: one file only" says 2 'two files' "$snpu" compare "$tmp/a.npz"

# --- coredump: real ones, from a card in the VM -----------------------------------------------------------------

dumps=tests/data/coredump
ok "coredump: a fault, its packet and its page tables" says 0 '(MMU_|BAD_|OVERRUN)' "$snpu" coredump $dumps/fault.bin
ok "coredump: the faulting packet in words" says 0 '> +0x[0-9a-f]+  [A-Z]+' "$snpu" coredump $dumps/fault.bin
ok "coredump: a crash of the firmware" says 0 '^crash +crash asked for by the host' "$snpu" coredump $dumps/crash.bin
ok "coredump: a hang, and who is to blame" says 0 '^guilty +queue [0-9]+ \(snpu-queue-[0-9]+\), job [0-9]+, [0-9]+ packets' "$snpu" coredump $dumps/hang.bin
ok "coredump: one screen" lines_at_most 40 "$snpu" coredump $dumps/fault.bin
ok "coredump --json" json "d['reason'] == 'HANG' and [q['guilty'] for q in d['queues']].count(True) == 1 and d['registers']['ID'] == '0x55504e53' and len(d['trace']) > 1 and any('snpu firmware' in l for l in d['log'])" \
	"$snpu" coredump $dumps/hang.bin --json
# Registers, counters and regions go by their names in hw/, all of them capitals.
"$snpu" coredump $dumps/fault.bin --json | sed -E 's/"[A-Z_0-9]+": /"name": /' >"$tmp/dump.json"
ok "coredump: every key is in its manual page" documented "$tmp/dump.json" docs/man/snpu-coredump.1
ok "coredump: not a dump" says 1 'Makefile: it is no dump' "$snpu" coredump Makefile
head -c 5000 $dumps/fault.bin >"$tmp/cut.bin"
ok "coredump: cut off" says 1 'it was cut off: 5000 of [0-9]+ bytes' "$snpu" coredump "$tmp/cut.bin"
ok "coredump: an empty file" says 1 '0 bytes are too few' "$snpu" coredump "$tmp/empty.nir"
ok "coredump: no file" says 2 'which file' "$snpu" coredump

# --- what a network means -------------------------------------------------------------------------------------

rnn=tests/data/nir/rnn
braille=$rnn/braille_noDelay_bias_zero.nir
explain() { "$snpu" explain "$@"; }

ok "explain: rules, why, and what settles them" says 0 'reset +assumed +--reset +a neuron that fires is reset by v = v_reset' explain $braille
ok "explain: equations with this session's numbers" says 0 'lif2 +CubaLIF +i \+= k_syn \(2 x - i\), k_syn 0.5$' explain $braille
ok "explain: what waits" says 0 'sees the step before of lif1.lif$' explain $braille
ok "explain --dialect: the dialect is the reason, and cycles are cut elsewhere" says 0 'sees the step before of lif1.w_rec$' explain $braille --dialect norse
ok "... in the table" says 0 '^ +integrator +norse +--integrator +forward Euler$' explain $braille --dialect norse
ok "explain fits one screen of 100 columns" sh -c "! '$snpu' explain $braille | grep -E '.{101}'"
ok "... and 50 lines" lines_at_most 50 explain $braille
ok "... with alternatives, 75" lines_at_most 75 explain $braille -a -i $rnn/ds_test_0_input.npy
ok "alternatives: Norse's cycle flips 23 values of the hidden layer, and 0 of the class" json "next((r['nodes'][0]['values_changed'], r['classes_changed'])
	for r in d['alternatives']['readings'] if r['option'] == '--delay' and r['value'] == 'current') == (23, 0)" explain $braille -a -i $rnn/ds_test_0_input.npy --json
ok "... and the same with the simulator" json "next(r['nodes'][0]['values_changed'] for r in d['alternatives']['readings'] if r['value'] == 'current') == 23" \
	explain $braille -a -i $rnn/ds_test_0_input.npy --json -d sim
ok "alternatives: random spikes where no input is given" says 0 'random spikes, 10 % of inputs in a step, 3 samples of 7 steps' explain $model -a -n 3 -s 7
ok "alternatives: a reading that cannot run says why" says 0 'not run +--integrator=euler, --dialect=nir' explain $model -a --dt 1ms --reset value --dialect sinabs --dt 1
ok "explain --json: documented keys, all of them" json "True" explain $braille -a --json
ok "... in its manual page" documented "$tmp/out.json" docs/man/snpu-explain.1
ok "run --dialect: as Norse runs it" json "d['time']['dialect'] == 'norse' and d['time']['delay'] == 'current'" "$snpu" run $braille -i $rnn/ds_test_0_input.npy -d cpu --json --dialect norse
ok "run --multi-spike=2 --v-min=-threshold" json "d['time']['max_spikes'] == 2 and d['time']['floor'] == '-threshold'" run -d sim --samples 1 --json --multi-spike=2 --v-min=-threshold
ok "--strict names rules and options" says 1 'dt-inferred \(--dt\), integrator \(--integrator\), reset \(--reset\)' "$snpu" run $braille -i $rnn/ds_test_0_input.npy -d cpu --strict
ok "a dialect that is none" says 2 "does not know 'torch'" explain $braille --dialect torch
ok "--input without --alternatives" says 2 'is for --alternatives' explain $braille -i x.npy

# --- integers -------------------------------------------------------------------------------------------------

quantize() { "$snpu" quantize "$model" --calib "$images" "$@"; }

ok "quantize: classes agree as often as the interpreter's do" json "d['answer']['same_class'] == 993 and d['answer']['right'] == 970 and d['answer']['right_f32'] == 969" \
	quantize --json -o "$tmp/q.snpu"
ok "quantize --json: documented keys" documented "$tmp/out.json" docs/man/snpu-quantize.1
ok "quantize --bits 16: every class" json "d['number'] == 'int16' and d['answer']['same_class'] >= 199 and d['weights'][0]['sqnr_db'] > 80" quantize --json --bits 16 -n 200
ok "quantize: weights, neurons, answer" says 0 'of 20 samples is that of floats' quantize -n 20
ok "quantize fits one screen of 100 columns" sh -c "! '$snpu' quantize $model --calib $images -n 20 | grep -E '.{101}'"
ok "run of the file is run --number int8 of the model" sh -c "'$snpu' run '$tmp/q.snpu' -i $images -d sim --samples 20 --record '$tmp/q1.npz' -q >'$tmp/q1' &&
	'$snpu' run $model -i $images -d cpu --number int8 --samples 20 --record '$tmp/q2.npz' -q >'$tmp/q2' && '$snpu' compare -q '$tmp/q1.npz' '$tmp/q2.npz' && cmp '$tmp/q1' '$tmp/q2'"
ok "... and says what the file chose" says 0 '^time +dt 1 ms \(from the file\), in int8, ' "$snpu" run "$tmp/q.snpu" -i "$images" --samples 2 -d cpu
ok "... whose numbers are in the report" json "d['time']['number'] == 'int8' and d['neurobench']['footprint'] < 250e3" "$snpu" run "$tmp/q.snpu" -i "$images" --samples 2 -d cpu --json
ok "a file that is cut off" sh -c "head -c 5000 '$tmp/q.snpu' >'$tmp/cut.snpu'; '$snpu' run '$tmp/cut.snpu' -i $images 2>&1 | grep -q 'the file is damaged'"
ok "--bits 4" says 2 "takes 8 or 16" quantize --bits 4
ok "inputs that are no whole numbers" says 1 'integers take whole numbers' "$snpu" run tests/data/nir/prims/threshold.nir -i tests/data/nir/prims/threshold.npz --number int8 -d cpu

# --- examples, manual pages, completion -----------------------------------------------------------------------

ok "example hello-spike fires regularly" says 0 '^\.+\|(\.+\|)+\.*$' "$build/examples/hello-spike" cpu
ok "example hello-spike: the simulator fires at the same steps" test "$("$build/examples/hello-spike" cpu)" = "$("$build/examples/hello-spike" sim)"
ok "example net-run builds a network by calls" says 0 '^ 46 ms: cell 9$' "$build/examples/net-run"
ok "example nir-run classifies" says 0 '^969$' sh -c "'$build/examples/nir-run' $model $images sim >'$tmp/classes' && '$python' -c \"
import numpy as np; print((np.loadtxt('$tmp/classes') == np.load('$images')['labels']).sum())\""
ok "examples are short" sh -c 'for f in examples/*.c; do [ "$(wc -l <"$f")" -lt 80 ] || { echo "$f"; exit 1; }; done'
version=$("$snpu" --version)
for c in '' run explain generate chat score convert tokenize list info disasm compare coredump; do
	page=docs/man/snpu${c:+-$c}.1
	ok "$page is for this version" grep -qF "\"$version\"" "$page"
	[ -z "$c" ] || ok "$page names every option of the command" "$python" - "$page" "$("$snpu" help "$c")" <<-'PY'
		import re, sys
		page, text = re.sub(r"\\-", "-", open(sys.argv[1]).read()), sys.argv[2]
		missing = [o for o in re.findall(r"^ +(?:-\w, +)?(--[a-z-]+)", text, re.M) if o not in ("--help", "--usage", "--version") and o not in page]
		sys.exit("missing: %s" % missing if missing else 0)
	PY
done

complete_() { # complete_ WORD...: what bash offers for the last word
	# shellcheck source=tools/completions/snpu
	. tools/completions/snpu
	COMP_WORDS=("$snpu" "$@") COMP_CWORD=$# COMPREPLY=()
	_snpu
	echo "${COMPREPLY[*]}"
}
ok "completion: commands" says 0 '^compare$' complete_ comp
ok "completion: values of options" says 0 '^bitwise bitwise-bidirectional$' complete_ generate --coding bit
ok "completion: dialects" says 0 '^spikingjelly spyx$' complete_ explain --dialect sp
ok "completion: options come from the command" says 0 '--require-device' complete_ run --req
ok "completion: devices" says 0 '^sim$' complete_ run --device si
ok "completion: devices behind =" says 0 '^cpu$' complete_ run --device = cp
ok "completion: files" says 0 'Makefile' complete_ run Makef
done_testing
