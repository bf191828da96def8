#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Puts the output of commands into a document: no number stands there that a command did not print.

A block is a line `<!-- output: COMMAND -->` and the fenced block after it. The command runs in a shell in the current
directory; if it fails, nothing is written.
usage: docs/paste.py README.md
"""
import re
import subprocess
import sys


def output(command):
    print(f"$ {command}", file=sys.stderr)
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.rstrip("\n")


def main():
    path = sys.argv[1]
    with open(path, encoding="utf-8") as f:
        text = f.read()
    block = re.compile(r"(<!-- output: ([^\n]*) -->\n```\n)(.*?)(```\n)", re.S)
    text = block.sub(lambda m: m[1] + output(m[2]) + "\n" + m[4], text)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


if __name__ == "__main__":
    main()
