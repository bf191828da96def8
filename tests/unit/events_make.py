#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes event files for tests/unit/events_test.c, byte by byte as the formats' public descriptions have it (docs/events.md names
them), and beside each what is in it, as .npz arrays t, x, y, p. Shares no code with the readers: struct, NumPy and h5py, and
liblz4 and libzstd through ctypes. usage: events_make.py DIR"""
import ctypes
import os
import struct
import sys

import h5py
import numpy as np

out = sys.argv[1]
os.makedirs(out, exist_ok=True)
rng = np.random.default_rng(7)


def put(name, data, **expected):
	with open(f"{out}/{name}", "wb") as f:
		f.write(data)
	if expected:
		np.savez(f"{out}/{name}.npz", **{k: np.asarray(v, np.int64) for k, v in expected.items()})


def events(n, width, height, span, seed):
	"""n events in the order of time, some in the same microsecond."""
	r = np.random.default_rng(seed)
	return (np.sort(r.integers(0, span, n)), r.integers(0, width, n), r.integers(0, height, n), r.integers(0, 2, n))


# --- N-MNIST with a clock that runs over: y = 240 adds 2^13 us to all that follows
rows = [(3, 4, 1, 100), (0, 240, 0, 0), (5, 6, 0, 50), (33, 33, 1, 70), (40, 2, 1, 80), (0, 240, 1, 0), (1, 2, 1, 90)]
put("overflow.bin", b"".join(bytes([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255]) for x, y, p, t in rows),
    t=[100, 8242, 8262, 16474], x=[3, 5, 33, 1], y=[4, 6, 33, 2], p=[1, 0, 1, 1])


# --- AEDAT 3.1
def packet3(kind, records, overflow=0, each=8):
	return struct.pack("<hhiiiiii", kind, 1, each, 4, overflow, len(records), len(records), len(records)) + b"".join(records)


def polarity(x, y, p, t, valid=1):
	return struct.pack("<II", x << 17 | y << 2 | p << 1 | valid, t)


t, x, y, p = events(500, 240, 180, 3_000_000, 1)
head = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DAVIS240C\r\n#Start-Time: 2020-01-01 00:00:00 (TZ+0000)\r\n#!END-HEADER\r\n"
recs = [polarity(int(a), int(b), int(c), int(d)) for a, b, c, d in zip(x, y, p, t)]
late = [polarity(9, 8, 1, 5), polarity(1, 1, 1, 6, valid=0)]
put("a.aedat3", head + packet3(1, recs[:200]) + packet3(0, [bytes(8)] * 3) + packet3(2, [bytes(36)], each=36) + packet3(1, recs[200:]) + packet3(1, late, overflow=1),
    t=[*t, (1 << 31) + 5], x=[*x, 9], y=[*y, 8], p=[*p, 1])
put("a.aedat3.header", head)


# --- AEDAT 4: FlatBuffers by hand: a table with its vtable, fields at fixed places
def flat(ident, fields, tail):
	"""fields: list of (bytes or None); tail(offset of the end) gives bytes that the last field, an offset of 4 bytes, points to."""
	vt = 4 + 2 * len(fields)
	body, places = b"", []
	for f in fields:
		pad = -(4 + len(body)) % (len(f) if f else 1)
		body += bytes(pad)
		places.append(4 + len(body) if f else 0)
		body += f or b""
	vtable = struct.pack("<HH", vt, 4 + len(body)) + b"".join(struct.pack("<H", q) for q in places)
	start = 8 + len(vtable) + (-(8 + len(vtable)) % 8)
	table = struct.pack("<i", start - 8) + body
	end = start + len(table)
	if tail is not None:
		at = start + places[-1]
		gap = -(end + 4) % 8
		table = table[:places[-1]] + struct.pack("<I", end + gap - at) + table[places[-1] + 4:]
		table += bytes(gap) + tail
	buf = struct.pack("<I", start) + ident + vtable + bytes(start - 8 - len(vtable)) + table
	return struct.pack("<I", len(buf)) + buf


def ioheader(compression, end, xml):
	return flat(b"IOHE", [struct.pack("<i", compression) if compression else None, struct.pack("<q", end) if end is not None else None, bytes(4)],
		    struct.pack("<I", len(xml)) + xml + b"\0")


def evts(t, x, y, p):
	rec = b"".join(struct.pack("<qhhBxxx", int(a), int(b), int(c), int(d)) for a, b, c, d in zip(t, x, y, p))
	return flat(b"EVTS", [bytes(4)], struct.pack("<I", len(t)) + rec)


lz4 = ctypes.CDLL("liblz4.so.1")
zstd = ctypes.CDLL("libzstd.so.1")
for f in (lz4.LZ4F_compressFrameBound, lz4.LZ4F_compressFrame, zstd.ZSTD_compressBound, zstd.ZSTD_compress):
	f.restype = ctypes.c_size_t


def pack_lz4(data):
	n = lz4.LZ4F_compressFrameBound(ctypes.c_size_t(len(data)), None)
	buf = ctypes.create_string_buffer(n)
	n = lz4.LZ4F_compressFrame(buf, ctypes.c_size_t(n), data, ctypes.c_size_t(len(data)), None)
	return buf.raw[:n]


def pack_zstd(data):
	n = zstd.ZSTD_compressBound(ctypes.c_size_t(len(data)))
	buf = ctypes.create_string_buffer(n)
	n = zstd.ZSTD_compress(buf, ctypes.c_size_t(n), data, ctypes.c_size_t(len(data)), 3)
	return buf.raw[:n]


xml = (b'<dv version="2.0"><node name="outInfo" path="/mainloop/Recorder/outInfo/">'
       b'<node name="0"><attr key="compression" type="string">LZ4</attr><attr key="typeIdentifier" type="string">FRME</attr>'
       b'<node name="info"><attr key="sizeX" type="int">999</attr><attr key="sizeY" type="int">998</attr></node></node>'
       b'<node name="1"><attr key="compression" type="string">LZ4</attr><attr key="typeIdentifier" type="string">EVTS</attr>'
       b'<node name="info"><attr key="sizeX" type="int">346</attr><attr key="sizeY" type="int">260</attr></node></node></node></dv>')
t, x, y, p = events(3000, 346, 260, 900_000, 2)
t = t + 1_600_000_000_000_000		# a clock of 1970
for name, method, pack in (("plain", 0, bytes), ("lz4", 1, pack_lz4), ("zstd", 3, pack_zstd)):
	body = b""
	for i in range(0, 3000, 1000):
		data = pack(evts(t[i:i + 1000], x[i:i + 1000], y[i:i + 1000], p[i:i + 1000]))
		body += struct.pack("<ii", 1, len(data)) + data
		other = pack(flat(b"IMUS", [bytes(4)], struct.pack("<I", 0)))
		body += struct.pack("<ii", 2, len(other)) + other
	head = b"#!AER-DAT4.0\r\n" + ioheader(method, 0, xml)
	end = len(head) + len(body)
	head = b"#!AER-DAT4.0\r\n" + ioheader(method, end, xml)
	put(f"{name}.aedat4", head + body + b"table of packets", t=t, x=x, y=y, p=p)
# As a stream: nobody knows where it ends.
put("stream.aedat4", b"#!AER-DAT4.0\r\n" + ioheader(0, None, xml) + b"".join(struct.pack("<ii", 1, len(d)) + d for d in [evts(t[:50], x[:50], y[:50], p[:50])]),
    t=t[:50], x=x[:50], y=y[:50], p=p[:50])
# What would fill the memory: 100 MB of zeros in one packet, as a few kB.
bomb = pack_zstd(struct.pack("<I", 100_000_000) + bytes(100_000_000))
put("bomb.aedat4", b"#!AER-DAT4.0\r\n" + ioheader(3, None, xml) + struct.pack("<ii", 1, len(bomb)) + bomb)

# --- Prophesee. One list of events in three encodings; time passes the wrap of EVT 3 (2^24 us)
t, x, y, p = events(2000, 1280, 720, 40_000_000, 3)


def evt2(t, x, y, p):
	words, high = [], None
	for a, b, c, d in zip(t, x, y, p):
		a, b, c, d = int(a), int(b), int(c), int(d)
		if high != a >> 6:
			high = a >> 6
			words.append(0x8 << 28 | high & 0xfffffff)
		words.append(d << 28 | (a & 63) << 22 | b << 11 | c)
	return b"".join(struct.pack("<I", w) for w in words)


head = b"% camera_integrator_name Prophesee\n% date 2024-01-01 00:00:00\n% evt 2.0\n% format EVT2;height=720;width=1280\n% geometry 1280x720\n% end\n"
trigger = struct.pack("<I", 0xA << 28 | 1)
put("evt2.raw", head + struct.pack("<I", 1 << 28 | 5 << 11 | 6) + evt2(t[:1000], x[:1000], y[:1000], p[:1000]) + trigger + evt2(t[1000:], x[1000:], y[1000:], p[1000:]),
    t=t, x=x, y=y, p=p)
put("old.raw", b"% Date 2019-01-01 00:00:00\n% evt 2.0\n% geometry 640x480\n" + evt2([70], [639], [479], [1]), t=[70], x=[639], y=[479], p=[1])

# Vectors: neighbours of a row in the same microsecond and of the same polarity.
vt, vx, vy, vp = [], [], [], []
words21, words3, high21, time3, y3 = [], [], None, None, None
clock = 0
for i in range(300):
	clock += int(rng.integers(1, 120_000))
	base, row, pol = int(rng.integers(0, 40)) * 32, int(rng.integers(0, 720)), int(rng.integers(0, 2))
	mask = int(rng.integers(1, 1 << 32))
	if high21 != clock >> 6:
		high21 = clock >> 6
		words21.append(0x8 << 60 | (high21 & 0xfffffff) << 32)
	words21.append(pol << 60 | (clock & 63) << 54 | base << 43 | row << 32 | mask)
	if time3 is None or time3 >> 12 != clock >> 12:
		words3.append(0x8000 | clock >> 12 & 4095)
	if time3 != clock:
		words3.append(0x6000 | clock & 4095)
	time3 = clock
	if y3 != row:
		words3.append(row)
		y3 = row
	words3.append(0x3000 | pol << 11 | base)
	if i % 2:			# the base moves on by as many as a vector has
		words3 += [0x5000 | mask & 255, 0x4000 | mask >> 8 & 4095, 0x4000 | mask >> 20]
	else:
		words3 += [0x4000 | mask & 4095, 0x4000 | mask >> 12 & 4095, 0x5000 | mask >> 24]
	for b in range(32):
		if mask >> b & 1:
			vt.append(clock), vx.append(base + b), vy.append(row), vp.append(pol)
	if i % 7 == 0:			# and one alone
		words3.append(0x2000 | pol << 11 | base + 3)
		words21.append(pol << 60 | (clock & 63) << 54 | base << 43 | row << 32 | 8)
		vt.append(clock), vx.append(base + 3), vy.append(row), vp.append(pol)
	if i == 100:			# a trigger and something of the vendor's
		words3 += [0xA001, 0xE000, 0xF123]
		words21 += [0xA << 60, 0xE << 60, 0xF << 60]
expected = {"t": vt, "x": vx, "y": vy, "p": vp}
put("evt3.raw", b"% evt 3.0\n% format EVT3;height=720;width=1280\n% end\n" + b"".join(struct.pack("<H", w) for w in [0x2001, *words3]), **expected)
put("evt21.raw", b"% evt 2.1\n% format EVT21;height=720;width=1280\n% end\n" + b"".join(struct.pack("<Q", w) for w in words21), **expected)
put("legacy.raw", b"% evt 2.1\n% format EVT21;endianness=legacy;height=720;width=1280\n% end\n" + b"".join(struct.pack("<II", w >> 32, w & 0xffffffff) for w in words21),
    **expected)
put("words.evt3", b"".join(struct.pack("<H", w) for w in words3), **expected)
put("a.dat", b"% Data file containing CD events.\n% Version 2\n% Date 2024-01-01 00:00:00\n% Height 720\n% Width 1280\n" + bytes([0x0C, 8]) +
    b"".join(struct.pack("<II", int(a) & 0xffffffff, int(d) << 28 | int(c) << 14 | int(b)) for a, b, c, d in zip(t + 4_290_000_000, x, y, p)),
    t=t + 4_290_000_000, x=x, y=y, p=p)
put("trigger.dat", b"% Data file containing Ext_Trigger events.\n" + bytes([0x0E, 8]) + bytes(8))

# --- HDF5 as SHD has it: times float16, seconds
with h5py.File(f"{out}/shd.h5", "w") as f:
	n, total = 6, []
	times = f.create_dataset("spikes/times", (n,), h5py.vlen_dtype(np.float16))
	units = f.create_dataset("spikes/units", (n,), h5py.vlen_dtype(np.uint16))
	for i in range(n):
		k = [40, 0, 300, 5, 1, 77][i]
		times[i] = np.sort(rng.random(k)).astype(np.float16)
		units[i] = rng.integers(0, 700, k).astype(np.uint16)
		total += [(i, round(float(a) * 1e6), int(b)) for a, b in zip(times[i], units[i])]
	f["labels"] = np.array([3, 1, 4, 1, 5, 9], np.uint8)
	f["extra/keys"] = np.array(["zero", "one"], dtype=h5py.string_dtype())
	f["extra/speaker"] = np.arange(n, dtype=np.uint8)
np.savez(f"{out}/shd.h5.npz", s=np.array([a for a, _, _ in total]), t=np.array([b for _, b, _ in total]), x=np.array([c for _, _, c in total]),
	 labels=np.array([3, 1, 4, 1, 5, 9]))
with h5py.File(f"{out}/plain.h5", "w") as f:		# the same layout with float64 and chunks
	f.create_dataset("spikes/times", (2,), h5py.vlen_dtype(np.float64), chunks=(1,), compression="gzip")
	f.create_dataset("spikes/units", (2,), h5py.vlen_dtype(np.int64))
	f["spikes/times"][0], f["spikes/units"][0] = [0.5, 0.25], [7, 9]
	f["spikes/times"][1], f["spikes/units"][1] = [1.0], [-1]

# --- NumPy
t, x, y, p = events(100, 50, 40, 10_000, 5)
rec = np.zeros(100, dtype=[("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "i1")])
rec["t"], rec["x"], rec["y"], rec["p"] = t, x, y, p * 2 - 1
np.save(f"{out}/records.npy", rec)
np.savez(f"{out}/records.npz", events=rec)
np.save(f"{out}/columns.npy", np.stack([t, x, y, p], 1))
np.save(f"{out}/seconds.npy", np.stack([t * 1e-6, x, y, p], 1))
np.savez(f"{out}/arrays.npz", t=t, x=x.astype(np.uint16), y=y.astype(np.uint16), p=p.astype(bool), more=np.zeros(3))
np.savez(f"{out}/numpy.expected.npz", t=t, x=x, y=y, p=p)
np.savez(f"{out}/uneven.npz", t=t, x=x[:5])
np.savez(f"{out}/empty.npz", t=t[:0], x=x)


# --- NIRGraphData as nir 1.0.7 writes it
def observable(group, name, kind, attrs, **data):
	g = group.create_group(name)
	g.attrs["__type__"] = kind
	for k, v in data.items():
		g.create_dataset(k, data=v, dtype=v.dtype, compression="gzip")
	for k, v in attrs.items():
		g.attrs[k] = v


def node(graph, name):
	g = graph["nodes"].create_group(name)
	g.attrs["__type__"] = "NIRNodeData"
	return g.create_group("observables")


grid = rng.random((2, 8, 3)) < 0.3
volts = rng.random((2, 8, 3)).astype(np.float32)
with h5py.File(f"{out}/nirdata.h5", "w") as f:
	f.attrs["__type__"] = "NIRGraphData"
	f.create_group("nodes")
	lif = node(f, "lif1")
	observable(lif, "spikes", "TimeGriddedData", {"dt": 1e-3}, data=grid)
	observable(lif, "voltages", "TimeGriddedData", {"dt": 1e-3}, data=volts)
	# An event of step k has the time (k + 1) dt, as nir's to_event() makes it.
	idx, time = np.full((2, 30), -1), np.full((2, 30), np.inf)
	for s in range(2):
		step, neuron = np.where(grid[s])
		idx[s, :len(step)], time[s, :len(step)] = neuron, (step + 1) * 1e-3
	observable(node(f, "input"), "spikes", "EventData", {"n_neurons": 3, "t_max": 8e-3}, idx=idx, time=time)
	sub = f["nodes"].create_group("sub")
	sub.attrs["__type__"] = "NIRGraphData"
	sub.create_group("nodes")
	observable(node(sub, "lif"), "graded", "ValuedEventData", {"n_neurons": 3, "t_max": 8e-3}, idx=np.array([[2, 0, -1]]), time=np.array([[0.0012, 0.003, np.inf]]),
		   value=np.array([[2.5, -1.0, 0.0]]))
np.savez(f"{out}/nirdata.expected.npz", grid=grid, volts=volts)
with h5py.File(f"{out}/other.h5", "w") as f:
	f["x"] = [1, 2]


# --- a network for the camera's 2 x 34 x 34 pixels, one for 700 channels, one for 3
def network(path, shape, outputs, scale, every=1):
	size = int(np.prod(shape))
	r = np.random.default_rng(size)
	nodes = {
		"input": {"type": "Input", "shape": np.array(shape)},
		"flat": {"type": "Flatten", "start_dim": 0, "end_dim": -1, "input_type": np.array(shape)},
		"fc": {"type": "Linear", "weight": (r.random((outputs, size)) * scale * (np.arange(size) % every == 0)).astype(np.float32)},
		"lif": {"type": "LIF", **{k: np.full(outputs, v, np.float32) for k, v in dict(tau=2e-2, r=20, v_leak=0, v_threshold=1, v_reset=0).items()}},
		"output": {"type": "Output", "shape": np.array([outputs])},
	}
	with h5py.File(path, "w") as f:
		f.create_dataset("version", data="1.0.7", dtype=h5py.string_dtype())
		g = f.create_group("node")
		g.create_dataset("type", data="NIRGraph", dtype=h5py.string_dtype())
		g.create_dataset("edges", data=[("input", "flat"), ("flat", "fc"), ("fc", "lif"), ("lif", "output")], dtype=h5py.string_dtype())
		for name, fields in nodes.items():
			n = g.create_group(f"nodes/{name}")
			for k, v in fields.items():
				n.create_dataset(k, data=v, **({"dtype": h5py.string_dtype()} if isinstance(v, str) else {}))


network(f"{out}/camera.nir", (2, 34, 34), 10, 0.2)
network(f"{out}/ears.nir", (700,), 20, 0.5)
network(f"{out}/three.nir", (3,), 4, 2)
network(f"{out}/sparse.nir", (2, 34, 34), 10, 0.2, every=4)
