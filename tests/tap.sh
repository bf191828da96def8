# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# TAP for shell tests: ok NAME COMMAND..., report NAME <offences, skip NAME REASON, done_testing.
tap_n=0 tap_fail=0
echo "TAP version 13"

ok() { # ok NAME COMMAND...: passes when the command succeeds; its output is shown when it does not
	local tap_name=$1 tap_out
	shift
	tap_n=$((tap_n + 1))
	if tap_out=$("$@" 2>&1); then
		echo "ok $tap_n $tap_name"
	else
		sed 's/^/# /' <<<"$tap_out"
		echo "not ok $tap_n $tap_name"
		tap_fail=1
	fi
}

report() { # report NAME: reads offences from stdin; none is a pass. At the end of a pipe it needs shopt -s lastpipe.
	ok "$1" awk '{ print } END { exit NR > 0 }'
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
