#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs TAP programs one after the other ("name arguments" in one word), shows what failed (everything with V=1), adds the
# counts to $TAP_TOTALS when that file is named, and prints one line per program. Fails when a test failed, when a program
# died without a plan, or when every test of a program was skipped.
set -u
pass=0 fail=0 skip=0

# What to call a program: its base name and those of its arguments that are not paths.
title() {
	name=$(basename "$1")
	shift
	for a in "$@"; do case $a in /* | build*) ;; *) name="$name $a" ;; esac; done
	echo "$name"
}

for prog in "$@"; do
	out=$(mktemp)
	# shellcheck disable=SC2086 # a program may bring arguments
	$prog >"$out" 2>&1
	rc=$?
	s=$(grep -c '^ok .*# SKIP' "$out")
	p=$(($(grep -c '^ok ' "$out") - s))
	f=$(grep -c '^not ok ' "$out")
	if ! grep -q '^1\.\.[1-9]' "$out" || { [ $rc -ne 0 ] && [ "$f" -eq 0 ]; }; then
		echo "# $prog: ended with status $rc and no complete plan" >>"$out"
		f=$((f + 1))
	fi
	if [ "$p" -eq 0 ] && [ "$f" -eq 0 ]; then
		echo "# $prog: every test was skipped" >>"$out"
		f=1
	fi
	# shellcheck disable=SC2086
	printf '  %-52s %4d passed %3d failed %3d skipped\n' "$(title $prog)" "$p" "$f" "$s"
	if [ "$f" -gt 0 ] || [ "${V:-0}" = 1 ]; then sed 's/^/    /' "$out"; else grep '^# skip' "$out" | sort | uniq -c | sed 's/^/    /'; fi
	rm -f "$out"
	pass=$((pass + p)) fail=$((fail + f)) skip=$((skip + s))
done
[ -n "${TAP_TOTALS:-}" ] && echo "$pass $fail $skip" >>"$TAP_TOTALS"
[ "$fail" -eq 0 ]
