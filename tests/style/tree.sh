#!/bin/bash
# SPDX-License-Identifier: MIT
# Rules of the tree that a compiler does not check, each one TAP line: licences, the direction of includes, sizes of
# files and functions, hardware literals outside hw/, words that do not belong into the project. Works on what git tracks.
set -u
shopt -s lastpipe	# report counts in this shell
cd "$(git rev-parse --show-toplevel)" || exit 1
code() { git ls-files -- "$@" | grep -E '\.(c|h|S|def|sh|py|mk|lds)$'; }

. tests/tap.sh

git ls-files | grep -E '(\.(c|h|S|def|sh|py|mk|lds|map)$|/Makefile$|^Makefile$|^Kbuild$|^tools/[a-z-]+$)' |
	while read -r f; do head -3 "$f" | grep -q SPDX-License-Identifier || echo "$f: no SPDX line"; done |
	report "every source names its licence"

{
	code kmod | xargs -r grep -L 'SPDX-License-Identifier: GPL-2.0-only$\|SPDX-License-Identifier: GPL-2.0-only \*/'
	code hw | grep -E '\.(h|def)$' | xargs -r grep -L 'SPDX-License-Identifier: GPL-2.0-only OR MIT'
	code uapi | xargs -r grep -L 'Linux-syscall-note) OR MIT'
	code firmware sim userspace tools tests | xargs -r grep -L 'SPDX-License-Identifier: MIT'
} | report "licences are those of their folder"

# Arrows: who may include whose headers. includes FOLDER PATTERN...: quoted includes of other folders that are not allowed.
arrows() {
	local dir=$1 allowed=$2
	code "$dir" | grep -E '\.[ch]$' | xargs -r grep -HnE '#include "' |
		grep -E '#include "(\.\./)*(hw|kmod|firmware|sim|userspace|tools|tests|snpu_(regs|isa|job|core|fw_abi|types)\.h)' |
		grep -vE "#include \"(\.\./)*($allowed)"
}
hw_names='hw/|snpu_(regs|isa|job|core|fw_abi|types)\.(h|def)'
{
	arrows hw "$hw_names"
	arrows kmod "$hw_names|kmod/"
	arrows firmware "$hw_names|firmware/"
	arrows sim "$hw_names|sim/"
	arrows userspace "$hw_names|userspace/|sim/snpu_engine\.h"
	arrows tools "$hw_names|userspace/|tools/"
	code userspace | grep -v '^userspace/backend/sim/' | xargs -r grep -Hn '#include "sim/'
} | report "includes go one way: hw -> kmod, firmware, sim, userspace; userspace -> tools"

exceptions=tests/style/limits.txt
listed() { grep -qE "^$1[[:space:]]" "$exceptions"; }
long_files() { git ls-files '*.c' '*.h' | while read -r f; do l=$(wc -l <"$f"); [ "$l" -gt 800 ] && echo "$f"; done; }
long_functions() {
	git ls-files '*.c' | xargs awk '
		FNR == 1 { open = 0 }
		/^[A-Za-z_].*\(/ && !/;$/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
		/^{/ { open = FNR }
		/^}/ { if (open && FNR - open - 1 > 60) print FILENAME ":" name; open = 0 }'
}
{ long_files; long_functions; } >"${t:=$(mktemp)}"
while read -r what; do listed "$what" || echo "$what: too long, and not listed in $exceptions"; done <"$t" |
	report "files under 800 lines, functions under 60, or listed with a reason"
grep -vE '^(#|$)' "$exceptions" | while read -r what _; do grep -qxF "$what" "$t" || echo "$what: listed in $exceptions but short enough"; done |
	report "no exception is listed without need"
rm -f "$t"

code kmod firmware sim userspace tools | xargs -r grep -HnE '0x(1af4|10f5|55504e53|52455345|57465553504e5331)' |
	report "identities and keys of the card are spelled in hw/ only"

# Spelled in pieces, so that this file passes its own check.
git grep -nIE "/wor""k/(main|shared)|\.libr""ary/|TO""DO|FIX""ME|\bXX""X\b" -- . | report "no paths of one machine, nothing marked as unfinished"

git ls-files -s | awk '$1 == "100755" { print $4 }' | while read -r f; do head -1 "$f" | grep -q '^#!' || echo "$f: executable without an interpreter line"; done |
	report "executables are scripts with an interpreter line"
done_testing
