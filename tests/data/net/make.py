#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the networks of this folder with h5py, as docs/populations.md describes them: make.py FOLDER"""
import sys

import h5py
import numpy as np


def lif(nodes, name, n, v, **params):
    node = nodes.create_group(name)
    node["size"], node["model"] = n, "lif"
    for k, value in params.items():
        node[f"dynamics_params/{k}"] = value
    node.create_dataset("dynamics_params/v", data=v.astype("f4"), compression="gzip")


def begin(f, dt, steps):
    f["format"], f["version"], f["dt"], f["steps"] = "snpu-net", 1, dt, steps
    return f.create_group("nodes"), f.create_group("edges")


def cuba(path, n=4000):
    """Brette et al. (2007): membranes begin anywhere, synapses are drawn when the file is read."""
    with h5py.File(path, "w") as f:
        nodes, edges = begin(f, 1e-4, 10000)
        lif(nodes, "cells", n, np.random.default_rng(1).uniform(-60e-3, -50e-3, n), tau_m=20e-3, tau_e=5e-3, tau_i=10e-3, v_rest=-49e-3,
            v_threshold=-50e-3, v_reset=-60e-3, refractory=5e-3)
        for name, receptor, weight, first, count in (("exc", "e", 1.62e-3, 0, n * 4 // 5), ("inh", "i", -9e-3, n * 4 // 5, n // 5)):
            e = edges.create_group(name)
            e["source"], e["target"], e["receptor"], e["syn_weight"] = "cells", "cells", receptor, weight
            e["random/probability"], e["random/seed"] = 80 / n, 7
            e["random/source_first"], e["random/source_count"] = first, count


def small(path):
    """Rows with a weight and a delay for each synapse, a constant for all, and spikes that are given."""
    rng = np.random.default_rng(2)
    with h5py.File(path, "w") as f:
        nodes, edges = begin(f, 1e-3, 200)
        lif(nodes, "a", 30, rng.uniform(0, 1, 30), tau_m=10e-3, tau_e=3e-3, tau_i=5e-3, v_rest=0.0, v_threshold=1.0, v_reset=0.0, refractory=2e-3)
        lif(nodes, "b", 20, rng.uniform(0, 1, 20), tau_m=rng.uniform(5e-3, 20e-3, 20), tau_e=3e-3, tau_i=5e-3, v_rest=0.0, v_threshold=1.0, v_reset=0.0)
        node = nodes.create_group("input")
        node["size"], node["model"] = 40, "spikes"
        node["spikes/timestamps"], node["spikes/node_ids"] = rng.uniform(0, 0.2, 400), rng.integers(0, 40, 400)
        for name, source, target, receptor, sizes in (("input_a", "input", "a", "e", (40, 30)), ("a_b", "a", "b", "e", (30, 20)), ("b_a", "b", "a", "i", (20, 30))):
            degree = rng.integers(0, 12, sizes[0])
            e = edges.create_group(name)
            e["source"], e["target"], e["receptor"] = source, target, receptor
            e["indptr"] = np.concatenate([[0], np.cumsum(degree)])
            e["indices"] = rng.integers(0, sizes[1], degree.sum()).astype("u4")
            e["syn_weight"] = rng.uniform(0.5, 2, degree.sum()).astype("f4") * (-1 if receptor == "i" else 1)
            e["delay"] = rng.integers(1, 15, degree.sum()) * 1e-3 if name != "a_b" else 2e-3


cuba(sys.argv[1] + "/cuba4000.h5")
small(sys.argv[1] + "/small.h5")
