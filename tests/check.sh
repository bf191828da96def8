#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs groups of tests (make targets that print TAP through tests/run-tap.sh), goes on after a failure, and ends with
# a table and the line "N passed, N failed, N skipped". Fails when a test failed, a group could not be built, or a
# whole group was skipped.
# usage: check.sh TARGET...
set -u
totals=$(mktemp)
trap 'rm -f "$totals"' EXIT
export TAP_TOTALS=$totals
pass=0 fail=0 skip=0
table=
start=$SECONDS
for target in "$@"; do
	: >"$totals"
	t=$SECONDS
	echo "== $target"
	make -j"$(nproc)" --no-print-directory "$target"
	rc=$?
	read -r p f s < <(awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }' "$totals")
	if [ $rc -ne 0 ] && [ "$f" -eq 0 ]; then
		echo "$target: could not be built or ended with status $rc"
		f=1
	elif [ "$p" -eq 0 ] && [ "$f" -eq 0 ]; then
		echo "$target: nothing ran"
		f=1
	fi
	table+=$(printf '%-20s %7d %7d %8d %6d s' "${target#check-}" "$p" "$f" "$s" $((SECONDS - t)))$'\n'
	pass=$((pass + p)) fail=$((fail + f)) skip=$((skip + s))
done
printf '\n%-20s %7s %7s %8s %8s\n%s%-20s %7d %7d %8d %6d s\n\n' group passed failed skipped time "$table" all $pass $fail $skip $((SECONDS - start))
echo "$pass passed, $fail failed, $skip skipped"
[ $fail -eq 0 ]
