#!/bin/bash
# SPDX-License-Identifier: MIT
# snpu run with networks of populations: the same spikes on the CPU and on the simulator, Brian2's spikes, records, pictures, JSON, and what can be
# wrong. Prints TAP.
# usage: net_cli_test.sh BUILD
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/e2e/cli_rig.sh
. tests/e2e/cli_rig.sh

nets=tests/data/net

run() { "$snpu" run "$@"; }

ok "small.h5 on the CPU" json "[p.get('spikes') for p in d['model']['populations']] == [202, 225, None] and d['stats']['steps'] == 200" \
	run $nets/small.h5 -d cpu --json --nodes a,b,a.v --record "$tmp/cpu.npz" --raster "$tmp/a.svg" --rates "$tmp/b.svg"
ok "... and its keys are in the manual page" documented "$tmp/out.json" docs/man/snpu-run.1
ok "... on the simulator, cut otherwise" json "d['stats']['synaptic_events'] == 4273 and d['device']['kind'] == 'simulator'" \
	run $nets/small.h5 -d sim --json --nodes a,b,a.v --record "$tmp/sim.npz"
ok "... bit for bit" says 0 'equal, compared bit for bit' "$snpu" compare "$tmp/cpu.npz" "$tmp/sim.npz"
ok "the spikes are Brian2's" "$python" - "$tmp/cpu.npz" $nets/small_brian.npz <<-'PY'
	import sys, numpy as np
	ours, brian = (np.load(f) for f in sys.argv[1:])
	pairs = lambda z, p: sorted(zip(z[p + ".step"].tolist(), z[p + ".neuron"].tolist()))
	sys.exit(any(pairs(ours, p) != pairs(brian, p) for p in "ab") or ours["a.v"].shape != (200, 30))
PY
ok "raster and rates are pictures of three panels" sh -c "grep -c 'class=\"name\"' '$tmp/a.svg' '$tmp/b.svg' | grep -c ':3' | grep -qx 2"
ok "CUBA on one screen" says 0 'population of 4 000 neurons, 320 k synapses' run $nets/cuba4000.h5 -d cpu
ok "... fires at 5 to 7 Hz" json "5 < d['model']['populations'][0]['rate'] < 7" run $nets/cuba4000.h5 -d cpu --json
ok "--dt and --steps" json "d['time'] == {'dt': 0.0005, 'dt_source': 'option', 'steps': 40}" run $nets/small.h5 -d cpu --json --dt 0.5ms --steps 40
ok "--quiet says nothing" test -z "$(run $nets/small.h5 -d cpu -q)"
ok "an input is a mistake" says 2 '\-\-input means nothing' run $nets/small.h5 --input x.npy
ok "so is what decides about NIR" says 2 'what a NIR model means means nothing' run $nets/small.h5 --reset subtract
ok "records are .npz" says 2 'written as .npz' run $nets/small.h5 --record x.h5
ok "a population that is not there" says 1 "record 'c.v'" run $nets/small.h5 -d cpu --nodes c.v
ok "what a population does not have" says 1 "has no 'w'; there are .v, .e and .i" run $nets/small.h5 -d cpu --nodes a.w

# damaged NAME PYTHON TEXT: small.h5, changed by the statement, gives an error with the text.
damaged() {
	cp $nets/small.h5 "$tmp/bad.h5"
	"$python" -c "import h5py, numpy as np
with h5py.File('$tmp/bad.h5', 'r+') as f:
    $2"
	ok "$1" says 1 "$3" run "$tmp/bad.h5" -d cpu
}
damaged "a version to come" "f['version'][()] = 2" 'version is 2'
damaged "a name that means nothing" "f['nodes/a/sise'] = 3" "population 'a': 'sise' means nothing"
damaged "a parameter that means nothing" "f['nodes/a/dynamics_params/tau'] = 3.0" "no parameter 'tau'"
damaged "a parameter that is missing" "del f['nodes/a/dynamics_params/tau_m']" 'tau_m is not given'
damaged "a time constant of 0" "f['nodes/a/dynamics_params/tau_m'][()] = 0" 'tau_m is 0'
damaged "no neurons" "f['nodes/a/size'][()] = 0" "population 'a'.*0 neurons"
damaged "a neuron that is not there" "f['edges/a_b/indices'][3] = 20" 'synapse 3 goes to neuron 20, there are 20'
damaged "rows out of order" "f['edges/a_b/indptr'][2] = 10000" 'indptr.*out of order'
damaged "too few rows" "del f['edges/a_b/indptr']; f['edges/a_b/indptr'] = np.arange(3)" "must have 31 whole numbers"
damaged "too few weights" "del f['edges/a_b/syn_weight']; f['edges/a_b/syn_weight'] = np.ones(3)" "'syn_weight' has 3 numbers"
damaged "a weight that is none" "f['edges/a_b/syn_weight'][1] = np.nan" 'not finite'
damaged "a delay too long" "f['edges/input_a/delay'][1] = 70.0" '70000 steps'
damaged "a population that is not there" "del f['edges/a_b/source']; f['edges/a_b/source'] = 'x'" "no population 'x'"
damaged "more synapses than a machine has" "f['nodes/a/size'][()] = 1 << 24
    for k in list(f['edges']): del f['edges/' + k]
    e = f.create_group('edges/all'); e['source'] = e['target'] = 'a'; e['receptor'] = 'e'; e['syn_weight'] = 1.0; e['random/probability'] = 1.0
    del f['nodes/a/dynamics_params/v']" '2.81e\+14 synapses'
done_testing
