#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
A model of the full SpikingBrain-7B shape on this machine's CPU: made (random weights, tests/bench/make_7b.py), converted, opened and
run, with seconds, peak memory and tokens a second for each step. Needs 24 GB of disk in DIR (45 GB for w8aspike) and takes minutes.

usage: lm_7b.py BUILD DIR [--form bf16|w8aspike] [--layers N] [--tokens N] [--prompt N]
"""
import argparse
import json
import os
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))


class Peak(threading.Thread):
    """The most memory that a process had: resident, and of it anonymous (the rest is the page cache of mapped files)."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.resident, self.anonymous, self.ended = pid, 0, 0, False
        self.start()

    def run(self):
        while not self.ended:
            try:
                with open(f"/proc/{self.pid}/status") as f:
                    s = dict(line.split(":", 1) for line in f if ":" in line)
                self.resident = max(self.resident, int(s.get("VmHWM", "0 kB").split()[0]))
                self.anonymous = max(self.anonymous, int(s.get("RssAnon", "0 kB").split()[0]))
            except (OSError, ValueError):
                return
            time.sleep(0.05)


def run(what, *command):
    """Runs a command, prints its row, returns what it printed."""
    start = time.monotonic()
    p = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak = Peak(p.pid)
    out, _ = p.communicate()
    peak.ended = True
    if p.returncode:
        sys.exit(f"{' '.join(command)}: ended with {p.returncode}\n{out}")
    print(f"{what:<34} {time.monotonic() - start:9.1f} s {peak.resident / 2**20:9.2f} GiB {peak.anonymous / 2**20:9.2f} GiB", flush=True)
    return out


def probe(path):
    """Bytes a second that one process reads from a hot page cache through a mapping, both processors."""
    code = """
import mmap, sys, threading, time, numpy as np
f = open(sys.argv[1], "rb"); m = np.frombuffer(mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ), np.uint64, 1 << 27)
def work(a): a.sum()
work(m)
best = 0
for _ in range(3):
    t = time.monotonic(); h = len(m) // 2
    ts = [threading.Thread(target=work, args=(m[i * h : (i + 1) * h],)) for i in range(2)]
    [t_.start() for t_ in ts]; [t_.join() for t_ in ts]
    best = max(best, m.nbytes / (time.monotonic() - t))
print(best)
"""
    return float(subprocess.run(["/usr/bin/python3", "-c", code, path], capture_output=True, text=True, check=True).stdout)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build")
    p.add_argument("dir")
    p.add_argument("--form", choices=("bf16", "w8aspike"), default="bf16")
    p.add_argument("--layers", type=int, default=28)
    p.add_argument("--tokens", type=int, default=16)
    p.add_argument("--prompt", type=int, default=64)
    a = p.parse_args()
    snpu, model = os.path.join(a.build, "tools/snpu/snpu"), os.path.join(a.dir, f"{a.form}-{a.layers}")
    file = model + ".snpu"

    print(f"{'step':<34} {'time':>11} {'peak memory':>13} {'anonymous':>13}")
    if not os.path.exists(os.path.join(model, "config.json")):
        run(f"make the checkpoint, {a.form}", sys.executable, os.path.join(HERE, "make_7b.py"), model, "--form", a.form, "--layers", str(a.layers))
    made = json.loads(run("convert to int8 codes, all linears", snpu, "convert", model, "-o", file, "--form", "spike", "--down", "spike", "--json"))
    ids = ",".join(str(i * 7919 % 1000) for i in range(a.prompt))
    out = {}
    for what, extra in (("open, prompt and generate", []), ("the same again, page cache hot", [])):
        out = json.loads(run(what, snpu, "generate", file, "--device", "cpu", "--ids", ids, "-n", str(a.tokens), "--ignore-eos", "--json", *extra))
    t = out["timing"]
    rate = probe(file)
    print(f"\n{made['model']['parameters'] / 1e9:.2f} G parameters, {os.path.getsize(file) / 2**30:.2f} GiB converted, {made['model']['residual']} residual codes")
    print(f"opened in {t['load_ms']:.0f} ms; prompt of {t['prompt_tokens']} tokens {t['prompt_tokens_per_second']:.2f} tokens/s, "
          f"then {t['eval_tokens_per_second']:.2f} tokens/s; first token after {t['first_token_ms'] / 1e3:.1f} s")
    weights = made["model"]["weight_bytes"] - 2 * 3584 * 152064  # the embedding is a row a token
    print(f"a token reads {weights / 2**30:.2f} GiB: {weights * t['eval_tokens_per_second'] / 1e9:.1f} GB/s, "
          f"{weights * t['eval_tokens_per_second'] / rate:.2f} of what a plain read of the mapped file reaches here ({rate / 1e9:.1f} GB/s)")


main()
