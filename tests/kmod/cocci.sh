#!/bin/bash
# SPDX-License-Identifier: MIT
# Semantic patches of a kernel's tree (scripts/coccinelle), run over the driver. Prints what they report; fails when they do, or when
# a script cannot run. Left out: those in OCaml, whose compiler they want at run time, and those that only patch.
# usage: cocci.sh SCRIPTS          a directory with scripts/coccinelle: tools/kernel-scripts names one
set -u
cd "$(dirname "$0")/../.."
scripts=$1/scripts/coccinelle
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export work

one() { # one SCRIPT: its report, with its name in front; then counts
	local out=$work/$BASHPID
	spatch -D report --no-show-diff --very-quiet --cocci-file "$1" --dir kmod --include-headers >"$out" 2>&1 || echo "it could not run" >>"$out"
	sed -i '/^warning: line .* should .* be a metavariable/d' "$out"
	[ ! -s "$out" ] || { echo "$1:"; cat "$out"; }
	echo done >>"$work/count"
}
export -f one
export TMPDIR=$work
find "$scripts" -name '*.cocci' | sort | xargs grep -l '^virtual report' | xargs grep -L ocaml | xargs -P "$(nproc)" -I SCRIPT bash -c 'one SCRIPT' | grep . && exit 1
n=$(wc -l <"$work/count")
[ "$n" -gt 50 ] || { echo "only $n scripts ran"; exit 1; }
