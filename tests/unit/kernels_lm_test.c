/* SPDX-License-Identifier: MIT */
/*
 * The kernels of language models in every table, the emulated ones too, against the scalar reference, bit for bit: random
 * shapes with ends that fill no vector, parts of packets, counts of every size, silent channels, NaN and infinity.
 */
#include <math.h>

#include "kernels/kernels.h"
#include "tests/harness.h"

extern const struct snpu_kernels snpu_kernels_avx512vnni_emulated;

#define REF	(&snpu_kernels_scalar)
#define GUARD	16u			/* floats after an output that must stay as they are */

FIXTURE(lm) {
	const struct snpu_kernels *k;
	uint64_t seed;
};

FIXTURE_VARIANT(lm) {
	const struct snpu_kernels *k;
	bool avx512, vnni;			/* what the CPU must have */
};

FIXTURE_VARIANT_ADD(lm, avx2) { &snpu_kernels_avx2, false, false };
FIXTURE_VARIANT_ADD(lm, avx512) { &snpu_kernels_avx512, true, false };
FIXTURE_VARIANT_ADD(lm, avx512_vnni) { &snpu_kernels_avx512vnni, true, true };
FIXTURE_VARIANT_ADD(lm, avx512_emulated) { &snpu_kernels_avx512_emulated, false, false };
FIXTURE_VARIANT_ADD(lm, avx512_vnni_emulated) { &snpu_kernels_avx512vnni_emulated, false, false };

FIXTURE_SETUP(lm)
{
	if (variant->avx512 && !(snpu_kernels_get(SNPU_CPU_AVX512) == &snpu_kernels_avx512 ||
				 snpu_kernels_get(SNPU_CPU_AVX512) == &snpu_kernels_avx512vnni))
		SKIP("this CPU has no AVX-512");
	if (variant->vnni && snpu_kernels_get(SNPU_CPU_AVX512) != &snpu_kernels_avx512vnni)
		SKIP("this CPU has no AVX512_VNNI");
	if (!snpu_kernels_get(SNPU_CPU_AVX2))
		SKIP("this CPU has no AVX2");
	self->k = variant->k;
	self->seed = 1;
}

FIXTURE_TEARDOWN(lm) { }

/* --- numbers ---------------------------------------------------------------------------------------------------- */

static uint32_t rnd(struct lm *t)
{
	t->seed = t->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(t->seed >> 33);
}

static uint32_t below(struct lm *t, uint32_t n)
{
	return rnd(t) % n;
}

/* Ordinary numbers of size about `size`; with edges one in 16 is not. */
static float number(struct lm *t, float size, bool edges)
{
	static const float edge[] = { 0.0f, -0.0f, 1e-40f, -3e38f, 1e30f, 700.0f, -800.0f, -39.99f, -40.01f, 1e-20f };
	float f = ((float)rnd(t) / 0x1p30f - 1.0f) * size;

	if (edges && below(t, 16) == 0)
		return edge[below(t, sizeof(edge) / sizeof(*edge))];
	if (edges && below(t, 400) == 0)
		return below(t, 2) ? NAN : below(t, 2) ? INFINITY : -INFINITY;
	return f;
}

static void *room(uint64_t bytes)
{
	void *p = aligned_alloc(64, (bytes + 64) / 64 * 64);

	if (!p)
		abort();
	return p;
}

static float *numbers(struct lm *t, uint64_t n, float size, bool edges)
{
	float *x = malloc(n * sizeof(*x) + 1);		/* exactly, so that a sanitizer sees reads past the end */

	for (uint64_t i = 0; i < n; i++)
		x[i] = number(t, size, edges);
	return x;
}

static float *blank(uint64_t n)
{
	float *x = room((n + GUARD) * sizeof(*x));

	for (uint64_t i = 0; i < n + GUARD; i++)
		x[i] = -77.0f;
	return x;
}

/* Same bits, or both NaN, also in the guard. */
static bool same(const float *got, const float *want, uint64_t n, const char *what)
{
	for (uint64_t i = 0; i < n + GUARD; i++)
		if (memcmp(&got[i], &want[i], 4) && !(isnan(got[i]) && isnan(want[i]))) {
			printf("# %s: element %llu of %llu is %a, should be %a\n", what, (unsigned long long)i, (unsigned long long)n,
			       (double)got[i], (double)want[i]);
			return false;
		}
	return true;
}

/* --- spike lists ------------------------------------------------------------------------------------------------ */

enum sizes { SMALL, MEDIUM, LIMITS, HUGE_ONES, SIZES };

static int32_t spike_count(struct lm *t, enum sizes sizes)
{
	static const int32_t limit[] = { 63, 64, 65, -63, -64, -65, 127, 128, 129, -127, -128, -129, 255, 256, -256, 32767, 32768, -32768,
					 -32769, 65535, INT32_MAX, INT32_MIN, 1 << 30, -(1 << 30), 0 };

	switch (sizes) {
	case SMALL:  return (int32_t)below(t, 15) - 7;
	case MEDIUM: return below(t, 50) ? (int32_t)below(t, 33) - 16 : (int32_t)below(t, 801) - 400;
	case LIMITS: return limit[below(t, sizeof(limit) / sizeof(*limit))];
	default:     return (int32_t)(rnd(t) << 1 ^ rnd(t));
	}
}

/* Lists of n channels of which `percent` have an entry. */
static struct snpu_spike_rows spikes(struct lm *t, uint32_t rows, uint32_t n, uint32_t percent, enum sizes sizes)
{
	struct snpu_spike *spike = malloc((uint64_t)rows * n * sizeof(*spike) + 1);
	uint64_t *first = malloc((rows + 1) * sizeof(*first)), e = 0;
	float *vth = numbers(t, rows, 1.0f, false);

	for (uint32_t r = 0; r < rows; r++) {
		first[r] = e;
		for (uint32_t c = 0; c < n; c++)
			if (below(t, 100) < percent)
				spike[e++] = (struct snpu_spike){ c, spike_count(t, sizes) };
	}
	first[rows] = e;
	return (struct snpu_spike_rows){ realloc(spike, e * sizeof(*spike) + 1), first, vth, rows };
}

static void free_spikes(struct snpu_spike_rows *s)
{
	free((void *)s->spike);
	free((void *)s->first);
	free((void *)s->vth);
}

/* --- SPMV ------------------------------------------------------------------------------------------------------- */

static void add_residual(struct lm *t, struct snpu_spmv_args *a)
{
	uint64_t parts = (uint64_t)SNPU_TILES(a->n_out) * a->groups;
	uint32_t *index = malloc((parts + 1) * sizeof(*index)), most = 1 + below(t, 200);
	struct snpu_residual *x = malloc(parts * most * sizeof(*x) + 1);

	index[0] = 0;
	for (uint64_t i = 0; i < parts; i++)
		index[i + 1] = index[i] + (below(t, 3) ? below(t, most) : 0);
	for (uint32_t i = 0; i < index[parts]; i++)
		x[i] = (struct snpu_residual){ (uint8_t)below(t, SNPU_GROUP), (uint8_t)below(t, SNPU_TILE),
					       (int16_t)(below(t, 4) ? (int32_t)below(t, 200) - 100 : (int32_t)rnd(t)) };
	a->index = index;
	a->residual = x;
}

static void run_spmv(struct lm *t, struct snpu_spmv_args *a)
{
	uint32_t tiles = SNPU_TILES(a->n_out), split = below(t, tiles + 1);

	a->scratch = t->k->spmv_scratch ? room(t->k->spmv_scratch(a)) : NULL;
	if (t->k->spmv_prepare)
		t->k->spmv_prepare(a);
	t->k->spmv(a, split, tiles);
	t->k->spmv(a, 0, split);
	free(a->scratch);
}

static bool spmv_case(struct lm *t, uint32_t rows, uint32_t groups, uint32_t n_out, uint32_t percent, enum sizes sizes, bool edges)
{
	uint64_t tiles = SNPU_TILES(n_out), n = tiles * groups * SNPU_GROUP * SNPU_TILE, outs = (uint64_t)rows * n_out;
	struct snpu_spmv_args a = { .in = spikes(t, rows, groups * SNPU_GROUP, percent, sizes), .groups = groups, .n_out = n_out };
	float *want = blank(outs), *got = blank(outs);
	int8_t *w = room(n);
	bool ok;

	for (uint64_t i = 0; i < n; i++)
		w[i] = (int8_t)(sizes == LIMITS ? (below(t, 2) ? -128 : 127) : (int32_t)below(t, 256) - 128);
	a.weights = w;
	a.scales = numbers(t, tiles * groups * SNPU_TILE, 0.01f, edges);
	a.bias = below(t, 2) ? numbers(t, n_out, 1.0f, edges) : NULL;
	if (below(t, 2))
		add_residual(t, &a);
	a.out = want;
	REF->spmv(&a, 0, (uint32_t)tiles);
	a.out = got;
	run_spmv(t, &a);
	ok = same(got, want, outs, "spmv");
	if (!ok)
		printf("# rows %u groups %u n_out %u, %u %% fire, sizes %d, %s residual\n", rows, groups, n_out, percent, sizes,
		       a.index ? "a" : "no");
	free_spikes(&a.in);
	free((void *)a.scales);
	free((void *)a.bias);
	free((void *)a.index);
	free((void *)a.residual);
	free(w);
	free(want);
	free(got);
	return ok;
}

TEST_F(lm, spmv)
{
	static const uint32_t rows[] = { 1, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 33, 64, 65, 66, 130 };
	static const uint32_t percent[] = { 0, 1, 5, 30, 60, 69, 72, 82, 100 };

	for (uint32_t i = 0; i < 240; i++) {
		uint32_t r = rows[i % 16], p = percent[i % 9];

		ASSERT_TRUE(spmv_case(self, r, 1 + below(self, r > 8 ? 2 : 6), 1 + below(self, r > 8 ? 130 : 300), p, i % SIZES, i % 3 == 0));
	}
}

TEST_F(lm, spmv_many_groups)
{
	ASSERT_TRUE(spmv_case(self, 1, 28, 512, 82, MEDIUM, false));
	ASSERT_TRUE(spmv_case(self, 1, 148, 64, 40, MEDIUM, false));
	ASSERT_TRUE(spmv_case(self, 9, 28, 64, 15, MEDIUM, false));	/* some channels fire in no row */
	ASSERT_TRUE(spmv_case(self, 2, 28, 128, 3, HUGE_ONES, false));
}

/* --- ENCODE ----------------------------------------------------------------------------------------------------- */

static bool encode_case(struct lm *t, uint32_t n, uint32_t rows, float k, float size, bool edges)
{
	uint64_t words = rows * SNPU_EVENTS_WORDS(n), total;
	float *x = numbers(t, (uint64_t)rows * n, size, edges), *want = blank(words), *got = blank(words);
	uint32_t split = below(t, rows + 1);
	bool ok;

	total = REF->encode(x, n, k, (uint32_t *)want, 0, rows);
	ok = t->k->encode(x, n, k, (uint32_t *)got, split, rows) + t->k->encode(x, n, k, (uint32_t *)got, 0, split) == total;
	ok &= !memcmp(got, want, (words + GUARD) * 4);
	if (!ok)
		printf("# encode: n %u rows %u k %g size %g differs\n", n, rows, (double)k, (double)size);
	free(x);
	free(want);
	free(got);
	return ok;
}

TEST_F(lm, encode)
{
	static const float k[] = { 3.0f, 2.0f, 4.0f, 0.5f, 0.0f, -1.0f, 1e-30f, 1e9f };

	for (uint32_t i = 0; i < 400; i++) {
		uint32_t n = 1 + below(self, i % 4 ? 70 : 1500);

		ASSERT_TRUE(encode_case(self, n, 1 + below(self, 4), k[i % 8], i % 5 ? 1.0f : 1e-7f, i % 16 == 3));
	}
	for (uint32_t n = 1; n < 40; n++)
		ASSERT_TRUE(encode_case(self, n, 2, 3.0f, 1.0f, false));
}

/* --- MATMUL ----------------------------------------------------------------------------------------------------- */

static bool matmul_case(struct lm *t, uint32_t n_in, uint32_t n_out, uint32_t rows, bool bf16, bool edges)
{
	uint64_t n = (uint64_t)n_in * n_out, outs = (uint64_t)rows * n_out;
	float *x = numbers(t, (uint64_t)rows * n_in, 1.0f, edges), *w = numbers(t, n, 1.0f, edges);
	float *want = blank(outs), *got = blank(outs);
	struct snpu_matmul_args a = { .x = x, .weights = w, .n_in = n_in, .n_out = n_out, .rows = rows, .bf16 = bf16 };
	uint32_t split = below(t, n_out + 1);
	uint16_t *half = malloc(n * 2 + 1);
	bool ok;

	for (uint64_t i = 0; i < n; i++)
		half[i] = (uint16_t)rnd(t) & (edges ? 0xffff : 0xbfff);
	a.weights = bf16 ? (void *)half : w;
	a.bias = below(t, 2) ? numbers(t, n_out, 1.0f, edges) : NULL;
	a.out = want;
	REF->matmul(&a, 0, n_out);
	a.out = got;
	t->k->matmul(&a, split, n_out);
	t->k->matmul(&a, 0, split);
	ok = same(got, want, outs, bf16 ? "matmul bf16" : "matmul f32");
	free(half);
	free(x);
	free(w);
	free((void *)a.bias);
	free(want);
	free(got);
	return ok;
}

TEST_F(lm, matmul)
{
	for (uint32_t n = 1; n < 70; n++)
		for (uint32_t bf16 = 0; bf16 < 2; bf16++)
			ASSERT_TRUE(matmul_case(self, n, 1 + below(self, 20), 1 + below(self, 6), bf16, n % 4 == 0));
	for (uint32_t i = 0; i < 40; i++)
		ASSERT_TRUE(matmul_case(self, 1 + below(self, 600), 1 + below(self, 40), 1 + below(self, 9), i % 2, i % 8 == 3));
}

/* --- SILU_MUL, RMSNORM ------------------------------------------------------------------------------------------ */

TEST_F(lm, silu_mul)
{
	for (uint32_t i = 0; i < 300; i++) {
		uint32_t n = 1 + below(self, 100);
		float *x = numbers(self, n, i % 2 ? 4.0f : 800.0f, true), *up = numbers(self, n, 2.0f, i % 3 == 0);
		float *want = blank(n), *got = blank(n);

		REF->silu_mul(x, up, want, n);
		self->k->silu_mul(x, up, got, n);
		ASSERT_TRUE(same(got, want, n, "silu_mul"));
		memcpy(got, x, n * sizeof(*x));		/* in place */
		self->k->silu_mul(got, up, got, n);
		ASSERT_TRUE(same(got, want, n, "silu_mul in place"));
		free(x);
		free(up);
		free(want);
		free(got);
	}
}

/* Every 4096th binary32 number. */
TEST_F(lm, silu_of_all_sizes)
{
	enum { N = 1 << 12 };
	float x[N], one[N], want[N + GUARD] = { 0 }, got[N + GUARD] = { 0 };

	for (uint32_t i = 0; i < N; i++)
		one[i] = 1.0f;
	for (uint64_t at = 0; at < 1ull << 32; at += (uint64_t)N << 12) {
		for (uint32_t i = 0; i < N; i++) {
			uint32_t bits = (uint32_t)(at + ((uint64_t)i << 12));

			memcpy(&x[i], &bits, 4);
		}
		REF->silu_mul(x, one, want, N);
		self->k->silu_mul(x, one, got, N);
		ASSERT_TRUE(same(got, want, N, "silu"));
	}
}

TEST_F(lm, rmsnorm)
{
	for (uint32_t i = 0; i < 300; i++) {
		uint32_t n = 1 + below(self, i % 10 ? 80 : 700), rows = 1 + below(self, 4), split = below(self, rows + 1);
		float eps = i % 3 ? 1e-6f : number(self, 1.0f, true);
		float *x = numbers(self, (uint64_t)n * rows, 3.0f, i % 4 == 0), *w = numbers(self, n, 1.0f, false);
		float *want = blank((uint64_t)n * rows), *got = blank((uint64_t)n * rows);

		REF->rmsnorm(x, w, want, n, eps, 0, rows);
		self->k->rmsnorm(x, w, got, n, eps, split, rows);
		self->k->rmsnorm(x, w, got, n, eps, 0, split);
		ASSERT_TRUE(same(got, want, (uint64_t)n * rows, "rmsnorm"));
		free(x);
		free(w);
		free(want);
		free(got);
	}
}

/* --- GLA_STEP --------------------------------------------------------------------------------------------------- */

static bool gla_case(struct lm *t, uint32_t kv, uint32_t group, uint32_t d, uint32_t rows, bool edges)
{
	uint64_t n = (uint64_t)rows * kv * d, outs = n * group, states = (uint64_t)kv * d * d;
	float *q = numbers(t, outs, 1.0f, edges), *k = numbers(t, n, 1.0f, edges), *v = numbers(t, n, 1.0f, edges);
	float *g = numbers(t, n, 60.0f, edges), *want = blank(outs), *got = blank(outs), *s_want = blank(states), *s_got = blank(states);
	struct snpu_gla_args a = { q, k, v, g, s_want, want, kv, group, d, rows };
	uint32_t split = below(t, kv + 1);
	bool ok;

	for (uint64_t i = 0; i < states; i++)
		s_want[i] = s_got[i] = number(t, 1.0f, edges);
	REF->gla(&a, 0, kv);
	a.state = s_got;
	a.out = got;
	t->k->gla(&a, split, kv);
	t->k->gla(&a, 0, split);
	ok = same(got, want, outs, "gla") && same(s_got, s_want, states, "gla state");
	free(q);
	free(k);
	free(v);
	free(g);
	free(want);
	free(got);
	free(s_want);
	free(s_got);
	return ok;
}

TEST_F(lm, gla)
{
	for (uint32_t i = 0; i < 150; i++) {
		uint32_t d = 1 + below(self, i % 5 ? 40 : 140);

		ASSERT_TRUE(gla_case(self, 1 + below(self, 3), 1 + below(self, 4), d, 1 + below(self, 4), i % 3 == 0));
	}
	ASSERT_TRUE(gla_case(self, 2, 7, 128, 3, false));
	ASSERT_TRUE(gla_case(self, 1, 1, SNPU_MAX_HEAD, 1, false));
}

/* --- SWA -------------------------------------------------------------------------------------------------------- */

static void *make_cache(struct lm *t, const struct snpu_swa_args *a, bool edges)
{
	uint64_t words = SNPU_KV_WORDS(a->int8 ? SNPU_KV_INT8 : 0, a->kv, a->slots, a->d);
	float *cache = numbers(t, words, 1.0f, edges);

	if (a->int8)
		for (uint64_t i = 0; i < SNPU_KV_CODE_WORDS(a->kv, a->slots, a->d); i++)
			((uint32_t *)cache)[i] = rnd(t) << 1 ^ rnd(t);
	return cache;
}

static bool swa_case(struct lm *t, struct snpu_swa_args a, enum sizes sizes, bool edges)
{
	uint32_t heads = a.kv * a.group, split = below(t, heads + 1);
	uint64_t outs = (uint64_t)heads * a.d;
	float *q = numbers(t, outs, 1.0f, edges), *want = blank(outs), *got = blank(outs);
	void *cache = make_cache(t, &a, edges);
	bool ok;

	a.keys = a.keys > a.slots ? a.slots : a.keys;
	a.keys = a.keys > a.position ? a.position + 1 : a.keys;
	a.q = q;
	a.cache = cache;
	a.spikes = spikes(t, heads, a.d, 80, sizes);
	a.out = want;
	a.scratch = malloc(REF->swa_scratch(&a));
	REF->swa(&a, 0, heads);
	free(a.scratch);
	a.out = got;
	a.scratch = malloc(t->k->swa_scratch(&a));
	t->k->swa(&a, split, heads);
	t->k->swa(&a, 0, split);
	ok = same(got, want, outs, a.int8 ? "swa int8" : "swa");
	if (!ok)
		printf("# kv %u group %u d %u slots %u keys %u position %u\n", a.kv, a.group, a.d, a.slots, a.keys, a.position);
	free(a.scratch);
	free_spikes(&a.spikes);
	free(cache);
	free(q);
	free(want);
	free(got);
	return ok;
}

TEST_F(lm, swa)
{
	for (uint32_t i = 0; i < 300; i++) {
		struct snpu_swa_args a = { .kv = 1 + below(self, 3), .group = 1 + below(self, 8), .d = 1 + below(self, i % 3 ? 70 : 270),
					   .slots = 1 + below(self, 90), .int8 = i % 2 };

		a.keys = 1 + below(self, a.slots);
		a.position = i % 7 ? below(self, 300) : UINT32_MAX - below(self, 20);
		ASSERT_TRUE(swa_case(self, a, i / 2 % SIZES, i % 5 == 0));
	}
	for (uint32_t i = 0; i < 2; i++) {
		struct snpu_swa_args usual = { .kv = 2, .group = 7, .d = 128, .slots = 700, .keys = 700, .position = 1000, .int8 = i };
		struct snpu_swa_args widest = { .kv = 1, .group = 1, .d = SNPU_MAX_HEAD, .slots = 3, .keys = 3, .position = 7, .int8 = i };

		ASSERT_TRUE(swa_case(self, usual, MEDIUM, false));
		ASSERT_TRUE(swa_case(self, widest, LIMITS, false));
	}
}

TEST_HARNESS_MAIN
