# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# shellcheck disable=SC2034 # $snpu is the test's
# For tests of the snpu command, sourced in the tree with the build as first argument: $snpu, $python, an empty $tmp that goes in the end,
# what a command says, and what its JSON has.
. tests/tap.sh
build=$1
snpu=$build/tools/snpu/snpu
python=${PYTHON:-/usr/bin/python3}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export LC_ALL=C.UTF-8
unset SNPU_CPU

# says STATUS TEXT COMMAND...: the command ends with the status, and its output, also the errors, has the text (a regex).
says() {
	local status=$1 text=$2 out rc
	shift 2
	out=$("$@" 2>&1)
	rc=$?
	[ $rc -eq "$status" ] || { printf 'status %d instead of %d\n%s\n' $rc "$status" "$out"; return 1; }
	grep -qE -- "$text" <<<"$out" || { printf 'no "%s" in\n%s\n' "$text" "$out"; return 1; }
}

# interrupted COMMAND...: the command, which gets one SIGINT when it has begun what can be interrupted: it has a handler then.
interrupted() {
	local pid caught
	set -m # else what is in the background ignores it
	"$@" &
	pid=$!
	set +m
	for _ in $(seq 600); do
		caught=$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$pid/status" 2>/dev/null) || break
		[ "$(cat "/proc/$pid/comm")" = snpu ] && ((0x${caught:-0} & 2)) && break
		sleep 0.1
	done
	sleep 0.5
	kill -INT $pid
	wait $pid
}

# json EXPRESSION COMMAND...: stdout is one JSON object d, for which the Python expression is true.
json() {
	local expression=$1
	shift
	"$@" >"$tmp/out.json" 2>"$tmp/err"
	"$python" - "$tmp/out.json" "$expression" <<-'PY' || { head -c 600 "$tmp/out.json"; cat "$tmp/err"; return 1; }
		import json, sys, numpy as np
		d = json.load(open(sys.argv[1]))
		if not eval("(" + sys.argv[2] + ")"):
		    sys.exit("false: " + sys.argv[2])
	PY
}

# documented FILE.json PAGE...: every key of the JSON stands in a manual page under JSON KEYS.
documented() {
	"$python" - "$@" <<-'PY'
		import json, re, sys
		d, words = json.load(open(sys.argv[1])), {"format", "command", "version"}
		for page in sys.argv[2:]:
		    text = re.sub(r"\\-", "-", open(page).read())
		    words |= set(re.findall(r"[A-Za-z_0-9]+", text[text.index("JSON KEYS"):text.index("EXAMPLES")]))
		def keys(x):
		    for k, v in (x.items() if isinstance(x, dict) else ((None, v) for v in x) if isinstance(x, list) else ()):
		        if k: yield k
		        yield from keys(v)
		missing = set(keys(d)) - words
		sys.exit("not in the manual pages: %s" % sorted(missing) if missing else 0)
	PY
}
