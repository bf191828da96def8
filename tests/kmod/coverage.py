#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Lines of the driver that the runs of check-debug executed, by file and in all, and those that none did.

Each run left the counts of its boot (gcov's .gcda files); the build left what they count (.gcno). A line is covered when
any run executed it. Lines that no run did are listed by function, in groups, each with the reason that uncovered.txt gives.

usage: coverage.py NOTES-DIR COUNTS-DIR...      NOTES-DIR: build/kmod/debug; COUNTS-DIR: build/vm/debug-NAME/gcov
Prints TAP: the share of covered lines is at least GOAL, no group lacks a reason, no reason lacks a group.
"""
import collections
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
GOAL = 90.0


def gcov_argv():
    """The gcov of the compiler that built the driver, run with its own C library."""
    root = subprocess.run([TREE / "tools/kernel-debug", "--root"], check=True, capture_output=True, text=True).stdout.strip()
    return [f"{root}/usr/lib64/ld-linux-x86-64.so.2", "--library-path", f"{root}/usr/lib/x86_64-linux-gnu",
            f"{root}/usr/bin/x86_64-linux-gnu-gcov-14", "--json-format", "--stdout"]


def read_counts(notes, counts, gcov):
    """(file, line) -> executions, (file, line) -> function; of one run, for sources of the driver."""
    lines, functions = collections.Counter(), {}
    with tempfile.TemporaryDirectory() as work:
        for gcno in notes.glob("*.gcno"):
            shutil.copy(gcno, work)
            gcda = counts / gcno.with_suffix(".gcda").name
            if gcda.exists():
                shutil.copy(gcda, work)
        # Without its counts a file is still listed, as never executed.
        got = subprocess.run([*gcov, *sorted(os.listdir(notes_only(work)))], cwd=work, check=False, capture_output=True)
        if got.returncode or b"mismatch" in got.stderr:
            said = sorted(got.stderr.decode().splitlines(), key=lambda line: "mismatch" in line)
            sys.exit(f"coverage.py: {counts}: {said[-1]}. "
                     "If it belongs to another build of the driver, run its group again")
        for text in got.stdout.splitlines():
            for f in json.loads(gunzip(text))["files"]:
                name = os.path.basename(f["file"])
                if not (TREE / "kmod" / name).exists():
                    continue
                for line in f["lines"]:
                    key = name, line["line_number"]
                    lines[key] += line["count"]
                    functions[key] = line.get("function_name", "")
    return lines, functions


def notes_only(work):
    """gcov wants the notes; it finds the counts beside them."""
    only = Path(work) / "names"
    only.mkdir()
    for gcno in Path(work).glob("*.gcno"):
        (only / gcno.name).touch()
    return only


def gunzip(text):
    return gzip.decompress(text) if text[:2] == b"\x1f\x8b" else text


def reasons():
    """uncovered.txt -> [file, function, pattern or None, reason, used]; the file's head describes the format."""
    out = []
    for text in (TREE / "tests/kmod/uncovered.txt").read_text().splitlines():
        match = re.match(r"(\w+\.[ch]) (\*|\w+)(?: /((?:[^/\\]|\\.)*)/)? +(\S.*)", text)
        if match:
            out.append([match[1], match[2], match[3], match[4], False])
        elif text.strip() and not text.startswith("#"):
            sys.exit(f"coverage.py: uncovered.txt: what is this? {text}")
    return out


def reason_of(group, known):
    name, function, first, last, text = group
    for entry in known:
        if entry[0] == name and entry[1] in ("*", function) and (entry[2] is None or re.search(entry[2], text)):
            entry[4] = True
            return entry[3]
    return None


def groups(name, lines, functions):
    """Runs of uncovered lines of one function, without covered ones between: (file, function, first, last, text)."""
    source = (TREE / "kmod" / name).read_text().splitlines()
    out, run = [], []

    def end():
        if run:
            text = "\n".join(source[n - 1] for n in range(run[0], run[-1] + 1))
            out.append((name, functions[name, run[0]], run[0], run[-1], text))
            run.clear()
    for line in sorted(n for f, n in lines if f == name):
        if lines[name, line]:
            end()
            continue
        if run and functions[name, line] != functions[name, run[0]]:
            end()
        run.append(line)
    end()
    return out


def print_table(lines):
    print(f"# {'file':24} {'lines':>6} {'covered':>8}")
    total = covered = 0
    for name in sorted({f for f, _ in lines}):
        counts = [c for (f, _), c in lines.items() if f == name]
        n = sum(c > 0 for c in counts)
        total, covered = total + len(counts), covered + n
        print(f"# {name:24} {len(counts):6} {100 * n / len(counts):6.1f} %")
    share = 100 * covered / total
    print(f"# {'all':24} {total:6} {share:6.1f} %")
    return share


def main():
    notes, runs = Path(sys.argv[1]), [Path(p) for p in sys.argv[2:]]
    lines, functions = collections.Counter(), {}
    gcov = gcov_argv()
    for run in runs:
        got, names = read_counts(notes, run, gcov)
        lines.update(got)
        functions.update(names)
    print("TAP version 13")
    share = print_table(lines)
    known, without = reasons(), 0
    for name in sorted({f for f, _ in lines}):
        for group in groups(name, lines, functions):
            reason = reason_of(group, known)
            without += reason is None
            where = f"{name}:{group[2]}" + (f"-{group[3]}" if group[3] != group[2] else "")
            print(f"# {where:26} {group[1]:32} {reason or 'NO REASON: ' + group[4].strip().splitlines()[0].strip()}")
    stale = [f"{e[0]} {e[1]}" + (f" /{e[2]}/" if e[2] else "") for e in known if not e[4]]
    for text in stale:
        print(f"# uncovered.txt has a reason for lines that are covered or gone: {text}")
    print(f"{'ok' if share >= GOAL else 'not ok'} 1 {share:.1f} % of the driver's lines were executed, {GOAL:.0f} at least")
    print(f"{'not ok' if without else 'ok'} 2 each group of lines that was not has a reason, {without} have none")
    print(f"{'not ok' if stale else 'ok'} 3 each reason has such lines, {len(stale)} have none")
    print("1..3")
    return 1 if share < GOAL or without or stale else 0


if __name__ == "__main__":
    sys.exit(main())
