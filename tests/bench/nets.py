#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The networks of nets.c in Python, batch 1, one thread: NumPy as one would write it, and PyTorch where it is installed. Prints steps/s; the best of
several rounds, because other work on the machine only ever slows them. usage: nets.py (from the top of the tree; BRAILLE needs h5py)"""
import os
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")	# before NumPy looks
import time
import numpy as np

ROUNDS = 5
DATA = "tests/data/nir/rnn"


def best(what, steps, run):
	seconds = []
	for _ in range(ROUNDS):
		t = time.thread_time()
		run()
		seconds.append(time.thread_time() - t)
	print(f"{what:37} {steps / min(seconds):12.0f}")


def fc(steps=400):
	"""784-1000-10 LIF, 10 % input; tau 10 ms, r 10, dt 1 ms. Dense products, and products of the active rows alone."""
	rng = np.random.default_rng(1)
	w1 = (rng.random((784, 1000), np.float32) - np.float32(0.35)) * np.float32(0.11)
	w2 = (rng.random((1000, 10), np.float32) - np.float32(0.35)) * np.float32(0.11)
	x = (rng.random((steps, 784)) < 0.1).astype(np.float32)

	def run(product):
		v1, v2 = np.zeros(1000, np.float32), np.zeros(10, np.float32)
		for t in range(steps):
			v1 += np.float32(0.1) * (np.float32(10) * product(x[t], w1) - v1)
			z = v1 > 1
			v1[z] = 0
			v2 += np.float32(0.1) * (np.float32(10) * product(z.astype(np.float32), w2) - v2)
			v2[v2 > 1] = 0
	best("784-1000-10    NumPy, dense", steps, lambda: run(lambda a, w: a @ w))
	best("784-1000-10    NumPy, active rows", steps, lambda: run(lambda a, w: w[np.flatnonzero(a)].sum(0)))
	return w1, w2, x


def fc_torch(w1, w2, x):
	"""The first layer's product for all steps at once, as nothing before it depends on it."""
	import torch
	torch.set_num_threads(1)
	w1, w2, x = (torch.from_numpy(a) for a in (w1, w2, x))

	def run():
		with torch.no_grad():
			v1, v2, h = torch.zeros(1000), torch.zeros(10), x @ w1
			for t in range(len(x)):
				v1 += 0.1 * (10 * h[t] - v1)
				z = (v1 > 1).float()
				v1 *= 1 - z
				v2 += 0.1 * (10 * (z @ w2) - v2)
				v2 *= (v2 <= 1).float()
	best("784-1000-10    torch, by hand", len(x), run)


def braille(repeats=4):
	import h5py
	with h5py.File(f"{DATA}/braille_noDelay_bias_zero.nir") as f:
		p = {n: {k: v[()] for k, v in g.items() if v.dtype.kind == "f"} for n, g in f["node/nodes"].items()}
	x = np.tile(np.load(f"{DATA}/ds_test_0_input.npy").reshape(-1, 12).astype(np.float32), (repeats, 1))
	dt = np.float32(1e-4)

	def cuba(n, state, drive):
		state[0] += dt / n["tau_syn"] * (n["w_in"] * drive - state[0]) if "w_in" in n else dt / n["tau_syn"] * (drive - state[0])
		state[1] += dt / n["tau_mem"] * (n["v_leak"] + n["r"] * state[0] - state[1])
		z = state[1] > n["v_threshold"]
		state[1][z] = 0
		return z.astype(np.float32)

	def run():
		a, b, z = np.zeros((2, 38), np.float32), np.zeros((2, 7), np.float32), np.zeros(38, np.float32)
		for t in range(len(x)):
			z = cuba(p["lif1.lif"], a, p["fc1"]["weight"] @ x[t] + p["fc1"]["bias"] + p["lif1.w_rec"]["weight"] @ z + p["lif1.w_rec"]["bias"])
			cuba(p["lif2"], b, p["fc2"]["weight"] @ z + p["fc2"]["bias"])
	best("12-38-7 rec.   NumPy", len(x), run)


arrays = fc()
try:
	fc_torch(*arrays)
except ImportError:
	print("784-1000-10    torch, by hand           not installed")
try:
	braille()
except ImportError:
	print("12-38-7 rec.   NumPy                    needs h5py")
