/* SPDX-License-Identifier: MIT */
/*
 * The one sentence that goes with an error code, and checked arithmetic for sizes that come from outside. The
 * sentence is per thread, so no lock is needed and no handle has to be passed to the place that fails.
 */
#ifndef SNPU_CORE_FAIL_H
#define SNPU_CORE_FAIL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SNPU_MUST_CHECK	__attribute__((warn_unused_result))
#define SNPU_SHARED	__attribute__((visibility("default")))	/* with libsnpu-nir */

/* Keeps the sentence and returns `err` (negative errno), so that a check is `return snpu_fail(-EINVAL, "...")`. */
SNPU_SHARED int snpu_fail(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3), cold));

/* Keeps "<what>, <the previous sentence>" for callers who know what it was for. */
SNPU_SHARED int snpu_fail_in(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3), cold));

/* true when the product or sum fits. */
static inline SNPU_MUST_CHECK bool snpu_mul(uint64_t a, uint64_t b, uint64_t *out)
{
	return !__builtin_mul_overflow(a, b, out);
}

static inline SNPU_MUST_CHECK bool snpu_add(uint64_t a, uint64_t b, uint64_t *out)
{
	return !__builtin_add_overflow(a, b, out);
}

/* Does [off, off + len) lie in [0, size)? */
static inline SNPU_MUST_CHECK bool snpu_range_ok(uint64_t off, uint64_t len, uint64_t size)
{
	return off <= size && len <= size - off;
}

/*
 * Reads a size-first structure of the caller into the library's (`size` bytes, zeroed first). `from` NULL: all zero.
 * -EINVAL when sz is impossible or a byte that the library does not know is not zero.
 */
int snpu_opts_in(void *to, size_t size, const void *from, const char *name) SNPU_MUST_CHECK;

/* Writes a result structure to the caller's, as much as its sz says; the rest of the caller's is zeroed, sz kept. */
int snpu_opts_out(void *to, const void *from, size_t size, const char *name) SNPU_MUST_CHECK;

#endif
