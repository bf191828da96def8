# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# TAP for shell tests: ok NAME COMMAND..., skip NAME REASON, done_testing.
tap_n=0 tap_fail=0
echo "TAP version 13"

ok() { # ok NAME COMMAND...: passes when the command succeeds; its output is shown when it does not
	local name=$1 out
	shift
	tap_n=$((tap_n + 1))
	if out=$("$@" 2>&1); then
		echo "ok $tap_n $name"
	else
		sed 's/^/# /' <<<"$out"
		echo "not ok $tap_n $name"
		tap_fail=1
	fi
}

skip() {
	tap_n=$((tap_n + 1))
	echo "# skip: $2"
	echo "ok $tap_n $1 # SKIP"
}

done_testing() {
	echo "1..$tap_n"
	exit $tap_fail
}
