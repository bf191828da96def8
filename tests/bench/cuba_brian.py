#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""CUBA in Brian2, compiled C++, one thread: prints steps, neuron updates and synaptic events a second of CPU time, and the rate in Hz.
cuba_brian.py NEURONS STEPS"""
import sys
import tempfile

import brian2 as b

n, steps = int(sys.argv[1]), int(sys.argv[2])
b.set_device("cpp_standalone", build_on_run=False)
b.prefs.devices.cpp_standalone.extra_make_args_unix = ["-j1"]
b.prefs.codegen.cpp.extra_compile_args_gcc = ["-O3", "-march=native", "-ffast-math", "-std=c++11"]
b.defaultclock.dt = 0.1 * b.ms
eqs = """dv/dt = (ge + gi - (v + 49*mV)) / (20*ms) : volt (unless refractory)
dge/dt = -ge / (5*ms) : volt
dgi/dt = -gi / (10*ms) : volt"""
cells = b.NeuronGroup(n, eqs, threshold="v > -50*mV", reset="v = -60*mV", refractory=5 * b.ms, method="exact")
cells.v = "-60*mV + rand()*10*mV"
exc = b.Synapses(cells[: n // 5 * 4], cells, on_pre="ge += 1.62*mV")
inh = b.Synapses(cells[n // 5 * 4 :], cells, on_pre="gi -= 9*mV")
for s in (exc, inh):
    s.connect(p=80 / n)
count = b.SpikeMonitor(cells, record=False)
b.device.insert_code("before_network_run", "clock_t cpu_start = clock();")
b.device.insert_code("after_network_run", 'std::ofstream("cpu_time") << double(clock() - cpu_start) / CLOCKS_PER_SEC;')
b.run(steps * 0.1 * b.ms)
with tempfile.TemporaryDirectory() as folder:
    b.device.build(directory=folder, compile=True, run=True, debug=False)
    took = float(open(folder + "/cpu_time").read())
    print(f"{steps / took:.0f} {n * steps / took:.0f} {count.num_spikes * 80 / took:.0f} {count.num_spikes / n / steps * 1e4:.2f}")
