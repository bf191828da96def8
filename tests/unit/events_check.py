#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Reads a NIRGraphData file that the library wrote, with h5py and by the rules of nir 1.0.7, and compares. usage: events_check.py DIR FILE"""
import sys

import h5py
import numpy as np

d, name = sys.argv[1:]
with h5py.File(f"{d}/{name}", "r") as f:
	assert f.attrs.get("__type__") == "NIRGraphData"
	if name == "many.h5":
		assert len(f["nodes"]) == 201 and len(f["nodes/sub/nodes"]) == 100
		for g in (f["nodes"], f["nodes/sub/nodes"]):
			for k in g:
				assert k == "sub" or (g[k].attrs["__type__"] == "NIRNodeData" and g[k]["observables/v/data"][0, 0, 0] == 0.5)
		sys.exit(0)
	want = np.load(f"{d}/nirdata.expected.npz")
	o = f["nodes/lif1/observables"]
	assert f["nodes/lif1"].attrs["__type__"] == "NIRNodeData"
	assert o["spikes"].attrs["__type__"] == "TimeGriddedData" and float(o["spikes"].attrs["dt"]) == 1e-3
	assert o["spikes/data"].dtype == bool and (o["spikes/data"][()] == want["grid"]).all()
	assert o["voltages/data"].dtype == np.float32 and (o["voltages/data"][()] == want["volts"]).all()
	e = f["nodes/input/observables/spikes"]
	assert e.attrs["__type__"] == "EventData" and int(e.attrs["n_neurons"]) == 3 and float(e.attrs["t_max"]) == 8e-3
	idx, time = e["idx"][()], e["time"][()]
	assert idx.dtype == np.int64 and ((idx == -1) == np.isinf(time)).all()
	for s in range(2):
		step, neuron = np.where(want["grid"][s])
		n = len(step)
		assert (idx[s, :n] == neuron).all() and np.allclose(time[s, :n], (step + 1) * 1e-3, atol=1e-9) and (idx[s, n:] == -1).all()
	v = f["nodes/sub/nodes/lif/observables/graded"]
	assert f["nodes/sub"].attrs["__type__"] == "NIRGraphData" and v.attrs["__type__"] == "ValuedEventData"
	assert v["value"][0].tolist() == [2.5, -1.0] and v["idx"][0].tolist() == [2, 0]
