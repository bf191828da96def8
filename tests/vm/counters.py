#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares the exact counters, node by node, of two reports of `snpu run --json`.

Which counters are exact, the card's list itself says (hw/snpu_counters.def). The row without a node is left out: it holds
the control packets, whose number depends on how many samples the device takes at a time.
usage: counters.py A.json B.json
"""
import json
import re
import sys


def rows(path, names):
    with open(path) as f:
        nodes = json.load(f)["profile"]["nodes"]
    return {n["node"]: {c: n["counters"][c] for c in names} for n in nodes if n["node"]}


def main():
    with open("hw/snpu_counters.def") as f:
        exact = re.findall(r'^COUNTER\((\w+),\s*"\w+", 1,', f.read(), re.M)
    a, b = (rows(p, exact) for p in sys.argv[1:3])
    bad = [f"{n}.{c}: {a[n][c]} and {b[n][c]}" for n in a if n in b for c in exact if a[n][c] != b[n][c]]
    if set(a) != set(b):
        bad.append(f"nodes differ: {sorted(a)} and {sorted(b)}")
    if not exact or not a or not any(r["SYNOPS"] for r in a.values()):
        bad.append("nothing to compare")
    print("\n".join(bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
