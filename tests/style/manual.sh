#!/bin/sh
# SPDX-License-Identifier: MIT
# Holds the tables of docs/hardware.md against the lists in hw/. With --write it replaces them.
# usage: manual.sh [--write] GEN_MANUAL
set -eu
doc=docs/hardware.md
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# render GENERATOR: the document with every marked table as the generator prints it.
render() {
	awk -v gen="$1" '
		/^<!-- table / {
			print; print ""
			cmd = gen " " $3
			while ((cmd | getline line) > 0) print line
			if (close(cmd)) bad = 1
			print ""; skip = 1
		}
		/^<!-- end -->/ { skip = 0 }
		!skip { print }
		END { exit bad }' "$doc"
}

if [ "$1" = --write ]; then
	render "$2" >"$tmp/new"
	cp "$tmp/new" "$doc"
	exit 0
fi

echo "TAP version 13"
render "$1" >"$tmp/new"
if diff -u "$doc" "$tmp/new" >"$tmp/diff"; then
	echo "ok 1 the tables of docs/hardware.md agree with hw/"
else
	sed 's/^/# /' "$tmp/diff"
	echo "# run: make manual"
	echo "not ok 1 the tables of docs/hardware.md agree with hw/"
fi
# The comparison has to notice: with one word of the lists changed, it must differ.
printf '#!/bin/sh\n%s "$1" | sed "s/Reads .SNPU./Reads something/"\n' "$1" >"$tmp/other"
chmod +x "$tmp/other"
render "$tmp/other" >"$tmp/new"
if cmp -s "$doc" "$tmp/new"; then echo "not ok 2 a changed list is noticed"; else echo "ok 2 a changed list is noticed"; fi
echo "1..2"
