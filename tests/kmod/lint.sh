#!/bin/bash
# SPDX-License-Identifier: MIT
# Static checks of the driver and its contract: it built without a warning for each kernel (make did that, this looks at the
# result), checkpatch --strict has nothing to say, sparse neither where it runs, nor kernel-doc and coccinelle, and the user header has the
# same layout for 64-bit C, 32-bit C and C++.
# usage: lint.sh BUILD KERNEL...
set -u
cd "$(dirname "$0")/../.."
. tests/tap.sh
build=$1
shift

built() { modinfo -F vermagic "$build/kmod/$1/snpu.ko" 2>/dev/null | grep "^$1" || strings "$build/kmod/$1/snpu.ko" | grep "^vermagic=$1"; }
for k in "$@"; do ok "snpu.ko for $k, built with W=1 and every warning an error" built "$k"; done

# An X-macro leaves arguments unused, and BIT() does not exist for user headers; everything else counts.
checkpatch() { tools/checkpatch --strict --no-tree --terse --no-summary --ignore MACRO_ARG_UNUSED,"$1" --file "${@:2}"; }
ok "checkpatch --strict: kmod" checkpatch NONE $(ls kmod/*.[ch] | grep -v _trace.h)
ok "checkpatch --strict: tracepoints" checkpatch OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT kmod/snpu_trace.h	# they are laid out their own way
ok "checkpatch --strict: uapi" checkpatch BIT_MACRO uapi/drm/snpu_accel.h

sparse_clean() {
	local log
	log=$(tools/kbuild --kernel "$1" --out "$build/kmod/sparse-$1" C=2 2>&1) || { echo "$log"; return 1; }
	! grep -E '(kmod|uapi|hw)/.*(warning|error):' <<<"$log"
}
ok "sparse: kmod" sparse_clean 6.12

scripts=$(tools/kernel-scripts)
ok "kernel-doc: every structure of kmod and uapi, and every member" tests/kmod/kernel-doc.sh perl "$scripts/scripts/kernel-doc"
ok "coccinelle: kmod" tests/kmod/cocci.sh "$scripts"

# The size assertions are in the unit test; compiling is the test.
drm=$(pkg-config --cflags libdrm)
# shellcheck disable=SC2086
c32() { gcc -m32 -I/usr/include/"$(gcc -print-multiarch)" -std=gnu11 -fsyntax-only -Iuapi $drm -x c - <<<"$probe"; }
# shellcheck disable=SC2086
cxx() { g++ -fsyntax-only -Wall -Wextra -Werror -Iuapi $drm -x c++ - <<<"$probe_cxx"; }
asserts=$(grep '^SNPU_UAPI_ASSERT' tests/unit/uapi_test.c)
probe="#include <drm.h>
#include \"drm/snpu_accel.h\"
#define SNPU_UAPI_ASSERT _Static_assert
$asserts"
probe_cxx=${probe/_Static_assert/static_assert}
ok "the user header has the same layout for 32-bit users" c32
ok "the user header compiles as C++ with the same layout" cxx
done_testing
