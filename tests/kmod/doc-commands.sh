#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs the commands that docs/firmware.md gives under "<!-- commands: NAME -->", in the present directory.
# usage: doc-commands.sh NAME
set -eu
page=$(dirname "$0")/../../docs/firmware.md
commands=$(sed -n "/^<!-- commands: $1 -->\$/,/^<!-- end -->\$/s/^    //p" "$page")
[ -n "$commands" ] || { echo "$page has no commands called $1" >&2; exit 1; }
bash -euc "$commands"
