#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
Writes a checkpoint of the full SpikingBrain-7B shape with random weights, in the form that users download: sharded
safetensors with an index, BF16, or F32 weights with scales as the W8ASpike release has them. For measuring how a model of
that size is loaded, converted and run; it says nothing sensible. Needs 15 GB of disk, or 31 GB with --form w8aspike.
"""
import argparse
import json
import os
import struct

import numpy as np

BLOCK = 1 << 24  # random numbers, used over and over from different places
SHARD = 2 << 30  # bytes


def tensors(c, w8):
    """Name, shape, kind of every tensor, in the order of the layers."""
    D, F, KV, d = c["hidden_size"], c["intermediate_size"], c["num_key_value_heads"], c["hidden_size"] // c["num_attention_heads"]

    def linear(name, rows, cols, bias=False):
        yield name + ".weight", (rows, cols), "w"
        if bias:
            yield name + ".bias", (rows,), "b"
        if w8:
            yield name + ".weight_quantizer.scales", (rows, cols // 128, 1), "s"

    yield "model.embeddings.weight", (c["vocab_size"], D), "w"
    for i in range(c["num_hidden_layers"]):
        p, gla = f"model.layers.{i}.", i % 2 == 0
        yield p + "attn_norm.weight", (D,), "1"
        yield p + "mlp_norm.weight", (D,), "1"
        for name, rows in ("q", D), ("k", KV * d), ("v", KV * d):
            yield from linear(f"{p}attn.{name}_proj", rows, D, True)
        if gla and w8:
            yield from linear(p + "attn.gk_proj", KV * d, D, True)
        elif gla:
            yield p + "attn.gk_proj.0.weight", (16, D), "w"
            yield p + "attn.gk_proj.1.weight", (KV * d, 16), "w"
            yield p + "attn.gk_proj.1.bias", (KV * d,), "b"
        if gla:
            yield p + "attn.g_norm.weight", (d,), "1"
        yield from linear(p + "attn.o_proj", D, D)
        yield from linear(p + "mlp.gate_proj", F, D)
        yield from linear(p + "mlp.up_proj", F, D)
        yield from linear(p + "mlp.down_proj", D, F)
    yield "model.norm.weight", (D,), "1"
    yield "lm_head.weight", (c["vocab_size"], D), "w"


class Writer:
    """Shards of at most SHARD bytes; a header must come before its data, so a shard's list is made first."""

    def __init__(self, out, w8):
        self.out, self.rng = out, np.random.default_rng(7)
        base = (self.rng.standard_normal(BLOCK, dtype=np.float32) * 0.02).view(np.uint32) & 0xFFFF0000
        self.block = {"F32": base.view(np.float32), "BF16": (base >> 16).astype(np.uint16)}
        self.dtype = "F32" if w8 else "BF16"

    def fill(self, f, count, kind):
        if kind == "s":  # the largest of 128 numbers, about, over 127
            np.full(count, 0.055 / 127, np.float32).tofile(f)
        elif kind in "1b":
            value = 1.0 if kind == "1" else 0.01
            one = np.full(count, value, np.float32)
            (one if self.dtype == "F32" else (one.view(np.uint32) >> 16).astype(np.uint16)).tofile(f)
        while kind == "w" and count:
            at = int(self.rng.integers(BLOCK // 2))
            n = min(count, BLOCK - at)
            self.block[self.dtype][at : at + n].tofile(f)
            count -= n

    def shard(self, name, items):
        header, at = {}, 0
        for t, shape, kind in items:
            dtype = "F32" if kind == "s" else self.dtype
            size = int(np.prod(shape)) * (4 if dtype == "F32" else 2)
            header[t] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
            at += size
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with open(os.path.join(self.out, name), "wb") as f:
            f.write(struct.pack("<Q", len(text)) + text)
            f.flush()
            for t, shape, kind in items:
                self.fill(f, int(np.prod(shape)), kind)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("out", help="folder to make")
    p.add_argument("--form", choices=("bf16", "w8aspike"), default="bf16")
    p.add_argument("--layers", type=int, default=28, help="fewer for a trial")
    a = p.parse_args()
    w8 = a.form == "w8aspike"
    config = {
        "model_type": "gla_swa", "vocab_size": 152064, "hidden_size": 3584, "num_hidden_layers": a.layers,
        "num_attention_heads": 28, "num_key_value_heads": 4, "intermediate_size": 18944, "sliding_window": 4096, "norm_eps": 1e-6,
        "rope_theta": 1e6, "hidden_act": "swish", "tie_word_embeddings": False, "use_short_conv": False, "bos_token_id": 151643,
        "eos_token_id": 151643,
    }
    os.makedirs(a.out, exist_ok=True)
    shards, size = [[]], 0
    for t in tensors(config, w8):
        bytes_ = int(np.prod(t[1])) * (4 if w8 else 2)
        if size + bytes_ > SHARD and shards[-1]:
            shards.append([])
            size = 0
        shards[-1].append(t)
        size += bytes_
    writer, where = Writer(a.out, w8), {}
    for i, items in enumerate(shards):
        name = f"model-{i + 1:05}-of-{len(shards):05}.safetensors"
        print(f"{name}: {len(items)} tensors", flush=True)
        writer.shard(name, items)
        where.update({t: name for t, _, _ in items})
    with open(os.path.join(a.out, "model.safetensors.index.json"), "w") as f:
        json.dump({"metadata": {}, "weight_map": where}, f)
    with open(os.path.join(a.out, "config.json"), "w") as f:
        json.dump(config, f, indent=1)


main()
