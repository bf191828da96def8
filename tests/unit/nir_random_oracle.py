#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Random networks, as nir_random_test.c ran and wrote them, in an interpreter of somebody else. usage: nir_random_oracle.py INTERPRETER DIR

The interpreter is a Python module with load(path) -> network and run(network, x, semantics, record=names) -> {name: array}, and a class Sem of
semantics (NumPy and h5py, as nirref.py of this project's notes). Two of its conventions are not those of docs/nir.md and are turned into them here:
a matrix behind an image takes the image's last axis alone, and an edge that leaves a Delay in a cycle waits a step more. What that Delay gives is
then not compared, only what comes of it; nor are recurrent weights with the delay "current", which it computes a step late instead of passing them
on a step late."""
import importlib.util
import sys
import numpy as np


def interpreter(path):
	spec = importlib.util.spec_from_file_location("oracle", path)
	module = importlib.util.module_from_spec(spec)
	sys.modules["oracle"] = module		# its dataclasses look themselves up
	spec.loader.exec_module(module)

	plain = module.Node.__call__

	def call(self, x):
		flat = self.type in ("Linear", "Affine") and x[0].size == self.p["weight"].shape[-1]
		return plain(self, x.reshape(len(x), -1) if flat else x)
	module.Node.__call__ = call
	return module


def check(oracle, folder, line):
	seed, steps, dt, exp, reset, r_dt, current, bits, *records = line.split()
	names, sizes = records[::2], records[1::2]
	net = oracle.load(f"{folder}/{seed}.nir")
	shifted = {b for a, b in net.delayed} if int(current) else set()
	for a in {a for a, b in net.delayed if net.nodes[a]["type"] == "Delay"}:
		net.nodes[a]["delay"] = net.nodes[a]["delay"].astype(float) - float(dt)
		shifted.add(a)
	sem = oracle.Sem(dt=float(dt), method="exp" if int(exp) else "euler", reset=["value", "value", "subtract", "delta"][int(reset)],
			 multispike=bool(int(bits) & 2), v_min=1.0 if int(bits) & 1 else None, feedback="current" if int(current) else "spike",
			 if_dt=bool(int(r_dt)))
	values = np.fromfile(f"{folder}/{seed}.f32", np.float32)
	shape = np.atleast_1d(net.nodes[net.inputs[0]]["shape"])
	x = values[:int(steps) * int(np.prod(shape))]
	out = oracle.run(net, x.reshape(int(steps), *shape), sem, record=[name for name in names if name not in shifted])
	at, top, wrong, compared = x.size, 1.0, [], 0
	for name in names:
		size = int(sizes[names.index(name)])
		got = values[at:at + size]
		at += size
		if name in shifted:
			continue
		want = out[name].ravel()
		top, compared = max(top, np.abs(want).max()), compared + size
		if got.size != want.size or not np.all(np.abs(got - want) <= 1e-4 * top):
			wrong.append(name)
	assert at == values.size, seed
	if wrong:
		print(f"# NIR_RANDOM_SEED={seed}: {', '.join(wrong)} differ")
	return not wrong, compared


oracle = interpreter(sys.argv[1])
lines = open(f"{sys.argv[2]}/list").read().splitlines()
results = [check(oracle, sys.argv[2], line) for line in lines]
bad = sum(not ok for ok, _ in results)
print(f"# {len(lines)} networks, {sum(n for _, n in results)} numbers, {bad} networks differ")
sys.exit(bad > 0)
