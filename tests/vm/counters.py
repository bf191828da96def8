#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares two reports of `snpu run --json` or `snpu generate --json`: the exact counters, node by node or part by part, and of
a language model also the text and its spikes.

Which counters are exact, the card's list itself says (hw/snpu_counters.def). A network's row without a node is left out: it
holds the control packets, whose number depends on how many samples the device takes at a time.
usage: counters.py A.json B.json
"""
import json
import re
import sys


def rows(report, names):
    if "layers" in report:
        return {p["part"]: {c: p["counters"][c] for c in names} for p in report["layers"]}
    return {n["node"]: {c: n["counters"][c] for c in names} for n in report["profile"]["nodes"] if n["node"]}


def load(path):
    with open(path) as f:
        return json.load(f)


def main():
    with open("hw/snpu_counters.def") as f:
        exact = re.findall(r'^COUNTER\((\w+),\s*"\w+", 1,', f.read(), re.M)
    reports = [load(p) for p in sys.argv[1:3]]
    a, b = (rows(r, exact) for r in reports)
    bad = [f"{n}.{c}: {a[n][c]} and {b[n][c]}" for n in a if n in b for c in exact if a[n][c] != b[n][c]]
    if set(a) != set(b):
        bad.append(f"nodes differ: {sorted(a)} and {sorted(b)}")
    for what in ("prompt_ids", "ids", "text", "spikes"):
        x, y = (r.get(what) for r in reports)
        if x != y:
            bad.append(f"{what}: {x} and {y}")
    if not exact or not a or not any(r["SYNOPS"] for r in a.values()):
        bad.append("nothing to compare")
    print("\n".join(bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
