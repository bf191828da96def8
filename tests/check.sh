#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs groups of tests (make targets that print TAP through tests/run-tap.sh), goes on after a failure, and ends with
# a table and the line "N passed, N failed, N skipped". Fails when a test failed, a group could not be built, or a
# whole group was skipped. A VM leaves much of two processors idle, so the groups that need one (-v) run in one lane and the
# others, with less priority, in a second; what both are built from (-n) is made before.
# usage: check.sh -n TARGET [-v TARGET]... TARGET...
set -u
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'trap - TERM; kill 0' INT TERM	# what runs in the background hears of no Ctrl-C
start=$SECONDS needs= vms=()
while getopts n:v: option; do
	case $option in
	n) needs=$OPTARG ;;
	v) vms+=("$OPTARG") ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))

# One group: its counts and seconds are left in $dir.
group() {
	local target=$1 t=$SECONDS rc p f s
	: >"$dir/$target.totals"
	echo "== $target"
	TAP_TOTALS=$dir/$target.totals make -j"$(nproc)" --no-print-directory "$target"
	rc=$?
	read -r p f s < <(awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }' "$dir/$target.totals")
	if [ $rc -ne 0 ] && [ "$f" -eq 0 ]; then
		echo "$target: could not be built or ended with status $rc"
		f=1
	elif [ "$p" -eq 0 ] && [ "$f" -eq 0 ]; then
		echo "$target: nothing ran"
		f=1
	fi
	echo "$p $f $s $((SECONDS - t))" >"$dir/$target"
}
lane() { for target in "$@"; do group "$target"; done; }

if ! make -j"$(nproc)" --no-print-directory "$needs"; then
	echo "check: $needs could not be built; nothing was tested"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
fi
lane "${vms[@]}" >"$dir/vms" 2>&1 &
export -f group lane
export dir
nice -n 5 bash -c 'lane "$@"' lane "$@"
echo "== in VMs, which began with the others"
wait
cat "$dir/vms"

printf '\n%-20s %7s %7s %8s %8s\n' group passed failed skipped time
pass=0 fail=0 skip=0
for target in "$@" "${vms[@]}"; do
	read -r p f s t <"$dir/$target" || { p=0 f=1 s=0 t=0; }
	printf '%-20s %7d %7d %8d %6d s\n' "${target#check-}" "$p" "$f" "$s" "$t"
	pass=$((pass + p)) fail=$((fail + f)) skip=$((skip + s))
done
printf '%-20s %7d %7d %8d %6d s\n\n' all $pass $fail $skip $((SECONDS - start))
echo "$pass passed, $fail failed, $skip skipped"
[ $fail -eq 0 ]
