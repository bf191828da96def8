#!/bin/bash
# SPDX-License-Identifier: MIT
# snpu run with events: files of every format against arrays that others made of them, streams from pipes, FIFOs and sockets against files,
# encoders, recordings as NIRGraphData, NeuroBench's metrics, and what can be wrong. Prints TAP.
# usage: events_cli_test.sh BUILD
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/e2e/cli_rig.sh
. tests/e2e/cli_rig.sh

made=$build/tests/data/events
nmnist=tests/data/nir/nmnist
camera=$made/camera.nir

npz() { # npz EXPRESSION FILE...: the Python expression over the loaded files z[0], z[1], ... is true.
	"$python" - "$@" <<-'PY'
		import sys, numpy as np
		z = [np.load(f) for f in sys.argv[2:]]
		sys.exit(0 if eval(sys.argv[1]) else "false: " + sys.argv[1])
	PY
}

run() { "$snpu" run "$camera" --dt 1ms --device cpu "$@"; }
record() { # record OUT ARGUMENT...: what the network's nodes did
	local out=$1
	shift
	run --nodes fc,lif,lif.v --record "$out" "$@" >"$tmp/out" 2>&1 || { cat "$tmp/out"; return 1; }
}

# --- files ------------------------------------------------------------------------------------------------------

# Frames of a real recording that another reader made, as an array: the network must do the same.
"$python" - "$tmp" $nmnist/expected.npz <<-'PY'
	import sys, numpy as np
	tmp, file = sys.argv[1:]
	z = np.load(file)
	for n in ("60001", "60041"):
	    np.savez(f"{tmp}/frames-{n}.npz", input=z["frames_" + n][None].astype(np.float32))
	e = z["events_60001"]
	with open(tmp + "/mixed.bin", "wb") as f:       # one event in ten comes 5 ms late
	    order = np.argsort(e[:, 0] + 5000 * (np.arange(len(e)) % 10 == 9), kind="stable")
	    for t, x, y, p in e[order]:
	        f.write(bytes([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255]))
	np.savez(tmp + "/images.npz", input=(np.arange(2 * 2 * 34 * 34) % 256).astype(np.uint8).reshape(2, 2, 34, 34))
PY
for n in 60001 60041; do
	steps=$("$python" -c "import numpy; print(numpy.load('$nmnist/expected.npz')['frames_$n'].shape[0])")
	ok "N-MNIST $n: the network sees the frames of another reader" record "$tmp/a-$n.npz" --input "$tmp/frames-$n.npz"
	record "$tmp/b-$n.npz" --input $nmnist/$n.bs2 --steps "$steps" >/dev/null
	ok "N-MNIST $n: equal" says 0 'equal' "$snpu" compare "$tmp/a-$n.npz" "$tmp/b-$n.npz"
done
record "$tmp/sim.npz" --input $nmnist/60001.bs2 --steps 302 --device sim
ok "N-MNIST: the simulator has the same bits" says 0 'equal' "$snpu" compare "$tmp/sim.npz" "$tmp/b-60001.npz"
ok "what was decided is said" says 0 'steps of 1 ms \(--dt\) from the first event on' run --input $nmnist/60001.bs2
ok "every event is accounted for" json "(lambda e: e['binned'] + e['before'] + e['after'] + e['cropped'] == e['events'] == 3330 and e['after'] == 1 and e['format'] == 'nmnist' and e['polarity'] == 'separate' and e['shape'] == [2, 34, 34])(d['inputs'][0]['events'])" \
	run --input $nmnist/60001.bs2 --steps 302 --json
ok "without a time step: 1 ms, said to be assumed" says 0 'steps of 1 ms \(assumed: --dt-bin\)' "$snpu" run "$camera" --input $nmnist/60001.bs2 --device cpu
ok "two time steps that differ are pointed out" says 0 "and the network's step is 1 ms: --dt-bin" run --input $nmnist/60001.bs2 --dt-bin 2ms
ok "a crop and a smaller picture" json "(lambda e: e['cropped'] > 0 and e['shape'] == [2, 34, 34] and e['events'] == e['binned'] + e['cropped'])(d['inputs'][0]['events'])" \
	run --input "$made/evt3.raw" --crop 100,20,680,680 --downscale 20 --dt-bin 100ms --json
ok "left out events are shown" says 0 'left out: [0-9 ]+ outside of the crop' run --input "$made/evt3.raw" --crop 100,20,680,680 --downscale 20 --dt-bin 100ms
for f in a.dat evt2.raw evt21.raw evt3.raw legacy.raw; do
	ok "$f runs" says 0 '^answer' run --input "$made/$f" --crop 0,0,680,680 --downscale 20 --dt-bin 1s
done
for f in a.aedat3 plain.aedat4 lz4.aedat4 zstd.aedat4; do
	ok "$f runs" says 0 '^answer' run --input "$made/$f" --crop 0,0,170,170 --downscale 5 --dt-bin 50ms
done
record "$tmp/two.npz" --input $nmnist/60001.bs2 --input $nmnist/60041.bs2 --steps 302
ok "several recordings are several samples" npz "all((z[0][k][0] == z[1][k][0]).all() and (z[0][k][1] == z[2][k][0, :302]).all() and len(z[0][k]) == 2 for k in ('fc', 'lif', 'lif.v'))" \
	"$tmp/two.npz" "$tmp/b-60001.npz" "$tmp/b-60041.npz"
ok "with labels of a file" json "d['answer']['labels'] == [7, 1]" sh -c "'$python' -c \"import numpy; numpy.save('$tmp/labels.npy', [7, 1])\"; \
	'$snpu' run '$camera' --dt 1ms --device cpu --input $nmnist/60001.bs2 --input $nmnist/60041.bs2 --labels '$tmp/labels.npy' --json"
ok "recordings of different cameras are not" says 1 'different formats or sensors' run --input $nmnist/60001.bs2 --input "$made/a.aedat3"
ok "SHD: labels come with it, samples are chosen while reading" json "d['answer']['labels'] == [4, 1] and d['time']['first_sample'] == 2 and d['inputs'][0]['events']['width'] == 700" \
	"$snpu" run "$made/ears.nir" --input "$made/shd.h5" --samples 2:4 --device cpu --json
ok "SHD: samples that are not there" says 1 'asked for' "$snpu" run "$made/ears.nir" --input "$made/shd.h5" --samples 5:9 --device cpu
ok "NumPy columns" says 0 'events of numpy, 50x40 \(largest address' run --input "$made/arrays.npz" --crop 0,0,34,34
ok "a recording of NIRGraphData is an input" json "d['inputs'][0]['events']['start'] == 'zero' and d['time']['steps'] == 8 and d['time']['samples'] == 2" \
	"$snpu" run "$made/three.nir" --input "$made/nirdata.h5" --dt 1ms --device cpu --json
ok "a format that must be named" says 1 'known by its first bytes' run --input "$made/words.evt3"
ok "and is named" says 0 '^answer' run --input "$made/words.evt3" --input-format evt3 --sensor 1280x720 --crop 0,0,680,680 --downscale 20 --dt-bin 1s
ok "a sensor that does not fit, and what would" says 1 'next: +--downscale 20' run --input "$made/evt2.raw" --crop 0,0,680,680
ok "a damaged file" says 1 'cut off' sh -c "head -c 1003 '$nmnist/60001.bs2' >'$tmp/cut.bs2'; '$snpu' run '$camera' --input '$tmp/cut.bs2' --device cpu"
for o in '--sensor 34' '--sensor 0x5' '--crop 1,2,3' '--downscale 0' '--dt-bin 0' '--dt-bin soon' '--polarity both' '--input-format jpeg' '--bin-start late' '--late -1'; do
	# shellcheck disable=SC2086
	ok "refused: $o" says 2 'takes|does not know' run --input $nmnist/60001.bs2 $o
done

# --- encoders ---------------------------------------------------------------------------------------------------

enc() { run --input "$tmp/images.npz" --steps 40 --nodes input --record "$@" >/dev/null; }
enc "$tmp/r1.npz" --encode rate --seed 7 && enc "$tmp/r2.npz" --encode rate --seed 7 && enc "$tmp/r3.npz" --encode rate --seed 8 && enc "$tmp/l.npz" --encode latency
ok "rate: the same for a seed, other for another, as often as asked" npz "(lambda a, b, c, p: (a == b).all() and (a != c).any() and abs(a.mean(1) - p / 255).mean() < 0.06 and (a[0] != a[1]).any() and set(np.unique(a)) == {0, 1} and a[0, :, 0, 0, 0].sum() == 0 and a[0, :, 0, 7, 17].all())(z[0]['input'], z[1]['input'], z[2]['input'], z[3]['input'])" \
	"$tmp/r1.npz" "$tmp/r2.npz" "$tmp/r3.npz" "$tmp/images.npz"
ok "latency: one spike each, the earlier the brighter, none of black" npz "(lambda s, p: (s.sum(1) == (p > 0)).all() and (np.where(p > 0, s.argmax(1), -1) == np.where(p > 0, (255 - p.astype(int)) * 39 // 255, -1)).all())(z[0]['input'], z[1]['input'])" \
	"$tmp/l.npz" "$tmp/images.npz"
ok "an encoder wants bytes" says 1 'takes bytes' run --input "$tmp/frames-60001.npz" --encode rate --steps 3

# --- streams ----------------------------------------------------------------------------------------------------

stream() { record "$1" --stream "$2" --input-format nmnist --steps 302 "${@:3}"; }
same() { says 0 equal "$snpu" compare "$1" "$tmp/b-60001.npz"; }
stream "$tmp/pipe.npz" - < <(cat $nmnist/60001.bs2)
ok "a pipe: as the file" same "$tmp/pipe.npz"
stream "$tmp/drip.npz" - --device sim < <("$python" -c "
import sys, time
d = open('$nmnist/60001.bs2', 'rb').read()
for i in range(0, len(d), 97):
    sys.stdout.buffer.write(d[i:i + 97]); sys.stdout.flush(); time.sleep(0.001)")
ok "a dripping pipe, on the simulator: as the file" same "$tmp/drip.npz"
mkfifo "$tmp/fifo"
timeout 60 cat $nmnist/60001.bs2 >"$tmp/fifo" &
stream "$tmp/fifo.npz" "$tmp/fifo"
wait
ok "a FIFO: as the file" same "$tmp/fifo.npz"
serve() { # serve FAMILY: offers the recording once; prints the port
	"$python" -u - "$1" "$tmp/socket" $nmnist/60001.bs2 <<-'PY'
		import socket, sys
		s = socket.socket(socket.AF_UNIX if sys.argv[1] == "unix" else socket.AF_INET)
		s.bind(sys.argv[2] if sys.argv[1] == "unix" else ("127.0.0.1", 0))
		s.listen(1)
		print(s.getsockname()[1] if sys.argv[1] == "tcp" else "ready")
		s.settimeout(20)
		c, _ = s.accept()
		c.sendall(open(sys.argv[3], "rb").read())
	PY
}
exec {server}< <(serve unix)
read -r -u $server _
stream "$tmp/unix.npz" "unix:$tmp/socket"
ok "a Unix socket: as the file" same "$tmp/unix.npz"
exec {server}< <(serve tcp)
read -r -u $server port
stream "$tmp/tcp.npz" "tcp:127.0.0.1:$port"
ok "a TCP socket: as the file" same "$tmp/tcp.npz"
ok "a RAW stream finds its own format and size" says 0 'events of evt3, 1280x720' run --stream "$made/evt3.raw" --crop 0,0,680,680 --downscale 20 --dt-bin 100ms
ok "latencies" json "0 < d['stream']['latency_median_ns'] <= d['stream']['latency_p99_ns'] <= d['stream']['latency_max_ns'] and d['stream']['steps'] == d['time']['steps'] == 303 and d['stream']['ended'] == 'end of stream' and d['stats']['steps'] == 303" \
	run --stream $nmnist/60001.bs2 --input-format nmnist --json
cp "$tmp/out.json" "$tmp/stream.json"
ok "late events are counted, and left out" json "d['stream']['late'] > 100 and d['stream']['late'] + d['inputs'][0]['events']['binned'] == d['stream']['events'] == 3330" \
	run --stream - --input-format nmnist --json < <("$python" -c "
import sys, time
d = open('$tmp/mixed.bin', 'rb').read()
for i in range(0, len(d), 50):
    sys.stdout.buffer.write(d[i:i + 50]); sys.stdout.flush()")
ok "they are not late when the stream is waited for" json "d['stream']['late'] == 0 and d['inputs'][0]['events']['binned'] == 3330" \
	run --stream "$tmp/mixed.bin" --input-format nmnist --late 6ms --json
record "$tmp/waited.npz" --stream "$tmp/mixed.bin" --input-format nmnist --late 6ms --steps 302
ok "and the network sees them in their steps" same "$tmp/waited.npz"
ok "--follow prints steps as they come" says 0 '^0\.00[0-9]+ s  [0-9]+:1' run --stream $nmnist/60001.bs2 --input-format nmnist --follow

"$build/examples/event-stream" "$camera" nmnist <$nmnist/60001.bs2 >"$tmp/example"
ok "example event-stream: the spikes of the command" json "d['answer']['counts'] == [open('$tmp/example').read().count('output %d\\n' % k) for k in range(10)]" \
	run --input $nmnist/60001.bs2 --json
ok "example event-stream: a network that does not fit" says 1 'must be' sh -c "'$build/examples/event-stream' '$camera' <'$made/evt3.raw'"

# An endless stream, and Ctrl-C.
mkfifo "$tmp/endless"
"$python" - "$snpu" "$camera" "$tmp/endless" $nmnist/60001.bs2 >"$tmp/interrupted" 2>&1 <<-'PY'
	import signal, subprocess, sys, time
	p = subprocess.Popen([*sys.argv[1:2], "run", sys.argv[2], "--dt", "1ms", "--device", "cpu", "--stream", sys.argv[3], "--input-format", "nmnist"], stdout=subprocess.PIPE,
	                     stderr=subprocess.STDOUT, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
	with open(sys.argv[3], "wb") as f:
	    f.write(open(sys.argv[4], "rb").read())
	    f.flush()
	    time.sleep(1.5)
	    p.send_signal(signal.SIGINT)
	    out = p.communicate(timeout=20)[0].decode()
	print(out, "status", p.returncode)
PY
ok "Ctrl-C ends with the summary" says 0 '302 steps in .*, until Ctrl-C' cat "$tmp/interrupted"
ok "and the answer" says 0 '^answer   class' cat "$tmp/interrupted"
ok "and says what was pending" says 0 '1 pending at the end' cat "$tmp/interrupted"
ok "and succeeds" says 0 'status 0' cat "$tmp/interrupted"
ok "a stream without a size" says 1 'next: +--sensor WxH' run --stream "$made/words.evt3" --input-format evt3
ok "a stream of nothing" says 1 'end before their header' run --stream /dev/null --input-format evt3
ok "a stream that is cut off" says 1 'cut off' run --stream "$tmp/cut.bs2" --input-format nmnist
ok "no such stream" says 1 'cannot open the stream' run --stream unix:/no/such/socket
ok "a stream without a port" says 1 'no HOST:PORT' run --stream tcp:localhost
ok "a stream of a format of files" says 1 'cannot come in pieces' run --stream "$made/shd.h5" --input-format hdf5
ok "a stream and a file" says 2 'exclude each other' run --stream - --input x

# --- what comes out ---------------------------------------------------------------------------------------------

record "$tmp/data.h5" --input $nmnist/60001.bs2 --steps 302
ok "NIRGraphData has what .npz has" "$python" - "$tmp/data.h5" "$tmp/b-60001.npz" <<-'PY'
	import h5py, numpy as np, sys
	f, z = h5py.File(sys.argv[1]), np.load(sys.argv[2])
	o = {"fc": "fc/observables/values", "lif": "lif/observables/spikes", "lif.v": "lif/observables/voltages"}
	assert f.attrs["__type__"] == "NIRGraphData" and sorted(f["nodes"]) == ["fc", "lif"]
	for k, path in o.items():
	    g = f["nodes"][path]
	    assert g.attrs["__type__"] == "TimeGriddedData" and g.attrs["dt"] == 1e-3 and (g["data"][()] == z[k]).all(), k
	assert f["nodes/lif/observables/spikes/data"].dtype == bool
PY
ok "a recording can be the next network's input" says 0 '^answer' "$snpu" run "$made/three.nir" --input "$made/nirdata.h5" --dt 1ms --device cpu
run --input $nmnist/60001.bs2 --rates "$tmp/rates.svg" --raster "$tmp/raster.svg" >/dev/null
ok "rates are valid SVG" sh -c "rsvg-convert '$tmp/rates.svg' -o '$tmp/rates.png' && grep -q 'Hz on average' '$tmp/rates.svg'"
ok "rates in the terminal" says 0 '^ +rate .*up to [0-9.]+ Hz' "$snpu" run "$made/ears.nir" --input "$made/shd.h5" --samples 2:3 --device cpu

# NeuroBench's metrics of 20 images, computed from the recorded spikes and the network's file.
mnist=tests/data/nir/mnist
"$snpu" run $mnist/mnist_lif.nir --input $mnist/mnist_test1000.npz --samples 20 --device sim --nodes input,lif1,lif2 --record "$tmp/m.npz" --json >"$tmp/m.json"
ok "NeuroBench: activation sparsity, operations, updates, footprint" "$python" - "$tmp/m.json" "$tmp/m.npz" <<-'PY'
	import json, sys, numpy as np
	m, z = json.load(open(sys.argv[1]))["neurobench"], np.load(sys.argv[2])
	x, a, b = (z[k] != 0 for k in ("input", "lif1", "lif2"))
	near = lambda u, v: abs(u - v) <= 1e-9 * max(1, abs(v))
	assert near(m["activation_sparsity"], 1 - (a.sum() + b.sum()) / (a.size + b.size)), m
	assert near(m["synaptic_operations"]["Effective_ACs"], (x.sum() * 256 + a.sum() * 10) / 20) and m["synaptic_operations"]["Effective_MACs"] == 0, m
	assert m["synaptic_operations"]["Dense"] == 25 * (784 * 256 + 256 * 10) and m["membrane_updates"] == 25 * 266 and m["connection_sparsity"] < 0.01, m
	assert m["footprint"] >= 4 * (784 * 256 + 256 * 10 + 266), m
PY
ok "NeuroBench: counts instead of spikes are MACs" json "d['neurobench']['synaptic_operations']['Effective_MACs'] == 33230 and d['neurobench']['synaptic_operations']['Effective_ACs'] == 0" \
	run --input $nmnist/60001.bs2 --json
ok "NeuroBench: clipped to spikes they are ACs" json "d['neurobench']['synaptic_operations']['Effective_ACs'] > 30000 and d['neurobench']['synaptic_operations']['Effective_MACs'] == 0" \
	run --input $nmnist/60001.bs2 --clip --json
ok "NeuroBench: three of four weights are zero, and it says that they were counted" json "d['neurobench']['connection_sparsity'] == 0.75 and d['neurobench']['zero_weights_counted']" \
	"$snpu" run "$made/sparse.nir" --input $nmnist/60001.bs2 --dt 1ms --device cpu --json
ok "every key of the JSON is in the manual page" documented "$tmp/out.json" docs/man/snpu-run.1
ok "of a stream, too" documented "$tmp/stream.json" docs/man/snpu-run.1
done_testing
