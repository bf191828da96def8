#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs small.h5 of this folder with Brian2, which decides whether our runs are right, and writes the spikes: brian.py FOLDER"""
import sys

import brian2 as b
import h5py
import numpy as np

b.prefs.codegen.target = "numpy"
EQS = """dv/dt = (v_rest + g_e + g_i - v) / tau_m : 1 (unless refractory)
dg_e/dt = -g_e / tau_e : 1
dg_i/dt = -g_i / tau_i : 1
tau_m : second
tau_e : second
tau_i : second
v_rest : 1
v_threshold : 1
v_reset : 1
t_ref : second"""

with h5py.File(sys.argv[1] + "/small.h5") as f:
    dt, steps = f["dt"][()], int(f["steps"][()])
    b.defaultclock.dt = dt * b.second
    net, groups, monitors = b.Network(), {}, {}
    for name, node in f["nodes"].items():
        n = int(node["size"][()])
        if node["model"][()] == b"spikes":
            times = np.floor(node["spikes/timestamps"][()] / dt + 1e-6)
            once = np.unique(np.stack([times, node["spikes/node_ids"][()]], 1), axis=0)
            g = b.SpikeGeneratorGroup(n, once[:, 1].astype(int), once[:, 0] * dt * b.second)
        else:
            p = {k: v[()] for k, v in node["dynamics_params"].items()}
            g = b.NeuronGroup(n, EQS, threshold="v > v_threshold", reset="v = v_reset", refractory="t_ref", method="exact")
            for k in ("tau_m", "tau_e", "tau_i"):
                setattr(g, k, p[k] * b.second)
            g.t_ref = p.get("refractory", 0) * b.second
            g.v_rest, g.v_threshold, g.v_reset, g.v = p["v_rest"], p["v_threshold"], p["v_reset"], p["v"]
            monitors[name] = b.SpikeMonitor(g)
            net.add(monitors[name])
        groups[name] = g
        net.add(g)
    for name, edge in f["edges"].items():
        source, target = edge["source"][()].decode(), edge["target"][()].decode()
        s = b.Synapses(groups[source], groups[target], "w : 1", on_pre="g_" + edge["receptor"][()].decode() + " += w")
        rows = np.repeat(np.arange(len(edge["indptr"]) - 1), np.diff(edge["indptr"][()]))
        s.connect(i=rows, j=edge["indices"][()].astype(int))
        s.w = edge["syn_weight"][()]
        s.delay = (np.rint(edge["delay"][()] / dt) - 1) * dt * b.second      # Brian2's delay of 0 is our step
        net.add(s)
    net.run(steps * dt * b.second)
    np.savez(sys.argv[1] + "/small_brian.npz", **{f"{k}.step": np.rint(m.t / b.second / dt).astype("u4") for k, m in monitors.items()},
             **{f"{k}.neuron": np.array(m.i).astype("u4") for k, m in monitors.items()})
    print({k: len(m.i) for k, m in monitors.items()})
