/* SPDX-License-Identifier: MIT */
/*
 * For tests of language models against golden data: the arrays of a golden.safetensors by name, a context whose taps are all
 * kept, and comparisons that say where two arrays part. One test process, no locks.
 */
#ifndef SNPU_TESTS_LM_RIG_H
#define SNPU_TESTS_LM_RIG_H

#include <math.h>
#include <stdarg.h>

#include "load/ckpt.h"
#include "snpu/snpu.h"
#include "tests/harness.h"

#define LM_DATA	"tests/data/spikingbrain/"

struct golden {
	const void *mem;
	size_t size;
	struct snpu_tensor_list list;
};

static inline void golden_open(struct golden *g, const char *folder)
{
	char path[256];

	memset(g, 0, sizeof(*g));
	snprintf(path, sizeof(path), LM_DATA "%s/golden.safetensors", folder);
	if (snpu_file_map(path, 0, &g->mem, &g->size) || snpu_safetensors_parse(g->mem, g->size, &g->list))
		TH_FAILMSG("%s: %s", path, snpu_last_error());
}

static inline void golden_close(struct golden *g)
{
	snpu_tensor_list_free(&g->list);
	if (g->mem)
		snpu_file_unmap(g->mem, g->size);
}

__attribute__((format(printf, 2, 3))) static inline const struct snpu_ckpt_tensor *golden_find(const struct golden *g, const char *fmt, ...)
{
	char name[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < g->list.n; i++)
		if (!strcmp(g->list.tensor[i].name, name))
			return &g->list.tensor[i];
	return NULL;
}

/* Element i of an integer array of 1, 2, 4 or 8 bytes an element. */
static inline int64_t golden_int(const struct snpu_ckpt_tensor *t, uint64_t i)
{
	const uint8_t *p = (const uint8_t *)t->data + i * (t->bytes / t->count);
	int8_t i8;
	int16_t i16;
	int32_t i32;
	int64_t i64;

	switch (t->bytes / t->count) {
	case 1: memcpy(&i8, p, 1); return i8;
	case 2: memcpy(&i16, p, 2); return i16;
	case 4: memcpy(&i32, p, 4); return i32;
	default: memcpy(&i64, p, 8); return i64;
	}
}

static inline float golden_float(const struct snpu_ckpt_tensor *t, uint64_t i)
{
	float f = NAN;

	return snpu_tensor_f32(t, i, 1, &f) ? NAN : f;
}

/* Token ids of a prompt or of an expected continuation; free() them. */
static inline uint32_t *golden_ids(const struct golden *g, const char *prompt, const char *what, size_t *n)
{
	const struct snpu_ckpt_tensor *t = golden_find(g, "%s.%s", prompt, what);
	uint32_t *ids;

	*n = t ? t->count : 0;
	ids = calloc(*n + 1, sizeof(*ids));
	for (size_t i = 0; i < *n; i++)
		ids[i] = (uint32_t)golden_int(t, i);
	return ids;
}

/* --- taps, kept by name; rows of several chunks are joined ---------------------------------------------------------------- */

struct kept_tap {
	char name[48];
	enum snpu_dtype dtype;
	uint64_t count;
	uint32_t *words;			/* f32 or i32 [count] */
};

struct kept {
	struct kept_tap *tap;
	size_t n;
};

static inline struct kept_tap *kept_find(const struct kept *k, const char *name)
{
	for (size_t i = 0; i < k->n; i++)
		if (!strcmp(k->tap[i].name, name))
			return &k->tap[i];
	return NULL;
}

static inline int kept_add(void *arg, const struct snpu_lm_tap *tap)
{
	struct kept *k = arg;
	struct kept_tap *t = kept_find(k, tap->name);
	int state = !strncmp(tap->name, "gla_state", 9) || !strncmp(tap->name, "kv_", 3);

	if (!t) {
		k->tap = reallocarray(k->tap, k->n + 1, sizeof(*k->tap));
		t = &k->tap[k->n++];
		memset(t, 0, sizeof(*t));
		snprintf(t->name, sizeof(t->name), "%s", tap->name);
		t->dtype = tap->array.dtype;
	}
	if (state)
		t->count = 0;			/* the last is what counts */
	t->words = reallocarray(t->words, t->count + tap->array.count + 1, 4);
	memcpy(t->words + t->count, tap->array.data, 4 * tap->array.count);
	t->count += tap->array.count;
	return 0;
}

static inline void kept_free(struct kept *k)
{
	for (size_t i = 0; i < k->n; i++)
		free(k->tap[i].words);
	free(k->tap);
	memset(k, 0, sizeof(*k));
}

/* --- comparisons ------------------------------------------------------------------------------------------------------------ */

/* Floats within `limit` (absolute); reports the worst and says whether all are. */
static inline bool close_to(const float *got, const struct snpu_ckpt_tensor *want, uint64_t n, double limit, const char *what)
{
	double worst = 0;
	uint64_t at = 0;

	if (!want || want->count != n) {
		printf("# %s: %llu numbers, expected %llu\n", what, (unsigned long long)n, want ? (unsigned long long)want->count : 0ull);
		return false;
	}
	for (uint64_t i = 0; i < n; i++) {
		double d = fabs((double)got[i] - (double)golden_float(want, i));

		if (!(d <= worst)) {
			worst = d;
			at = i;
		}
	}
	if (!(worst <= limit))
		printf("# %s: element %llu is %.9g, expected %.9g (off by %.3g, allowed %.3g)\n", what, (unsigned long long)at, (double)got[at],
		       (double)golden_float(want, at), worst, limit);
	return worst <= limit;
}

static inline bool counts_equal(const struct kept_tap *got, const struct snpu_ckpt_tensor *want, const char *what)
{
	uint64_t differ = 0;

	if (!got || !want || got->count != want->count) {
		printf("# %s: %llu counts, expected %llu\n", what, got ? (unsigned long long)got->count : 0ull, want ? (unsigned long long)want->count : 0ull);
		return false;
	}
	for (uint64_t i = 0; i < got->count; i++)
		differ += (int32_t)got->words[i] != golden_int(want, i);
	if (differ)
		printf("# %s: %llu of %llu counts differ\n", what, (unsigned long long)differ, (unsigned long long)got->count);
	return !differ;
}

#endif
