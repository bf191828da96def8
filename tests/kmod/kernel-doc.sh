#!/bin/bash
# SPDX-License-Identifier: MIT
# Is everything described? Prints what a kernel's kernel-doc complains about in the user header and the driver, and structures without a
# comment that opens with /**, which it does not look at. Copies of the kernel's own structures are described there.
# usage: kernel-doc.sh COMMAND...          perl or python3, and the tree's scripts/kernel-doc
cd "$(dirname "$0")/../.." || exit 1
"$@" -none -Wall uapi/drm/snpu_accel.h kmod/*.[ch] 2>&1 | grep . && exit 1
[ "${PIPESTATUS[0]}" = 0 ] || exit 1
awk 'FNR == 1 { doc = 0; prev = "" }
	/^\/\*\*$/ { doc = 1 } /^\/\*[^*]/ || /^}/ { doc = 0 }
	/^(static |const )*(struct|union|enum) [a-z_]+ \{$/ && (!doc || prev != " */") { print FILENAME ":" FNR ": " $0; bad = 1 }
	{ prev = $0 } END { exit bad }' uapi/drm/snpu_accel.h $(ls kmod/*.[ch] | grep -v snpu_compat.h)
