/* SPDX-License-Identifier: MIT */
/*
 * The packets of language models on the engine, each against numbers worked out by hand and against the formula of
 * docs/numerics.md written down plainly here, with the counters. Their faults are in engine_lm_fault_test.c, exponential,
 * cosine and sine themselves in engine_math_test.c.
 */
#include <math.h>

#include "sim/engine_math.h"
#include "tests/harness.h"
#include "tests/unit/engine_lm_rig.h"

FIXTURE(lm) { struct rig r; };
FIXTURE_VARIANT(lm) { bool host; unsigned int shift; };
FIXTURE_VARIANT_ADD(lm, device_2m) { false, 21 };
FIXTURE_VARIANT_ADD(lm, device_4k) { false, 12 };
FIXTURE_VARIANT_ADD(lm, host_4k) { true, 12 };
FIXTURE_SETUP(lm) { rig_init(&self->r, variant->host, false, variant->shift); }
FIXTURE_TEARDOWN(lm) { rig_free(&self->r); }

/* An offset just before the end of a page, so that rows cross pages. */
#define OFF	0xff4u

#define RUN(r_) do { PUT(r_, END, 0); ASSERT_EQ(rig_run(r_), SNPU_ENG_DONE); } while (0)
#define COUNTER_IS(r_, name_, value_) EXPECT_EQ((r_)->res.counter[SNPU_COUNTER_##name_], value_)

static float *floats(struct rig *r, unsigned int region, uint64_t off, size_t n, uint32_t seed)
{
	float *p = rig_at(r, region, off);

	for (size_t i = 0; i < n; i++)
		p[i] = noise(&seed);
	return p;
}

/* --- the simple ones ------------------------------------------------------------------------------------------- */
TEST_F(lm, gather)
{
	enum { N = 1500, ROWS = 5, TABLE = 7 };
	static const uint32_t index[ROWS] = { 6, 0, 3, 3, 1 };
	struct rig *r = &self->r;
	const float *table = floats(r, SNPU_REGION_WEIGHTS, OFF, TABLE * N, 1), *out = rig_at(r, SNPU_REGION_OUTPUT, OFF);
	const float *wide = rig_at(r, SNPU_REGION_SCRATCH, OFF);

	memcpy(rig_at(r, SNPU_REGION_INPUT, 4), index, sizeof(index));
	PUT(r, GATHER, 0, .index = REF(INPUT, 4), .table = REF(WEIGHTS, OFF), .out = REF(OUTPUT, OFF), .table_rows = TABLE, .n = N, .rows = ROWS);
	PUT(r, GATHER, SNPU_WEIGHTS_BF16, .index = REF(INPUT, 4), .table = REF(WEIGHTS, OFF), .out = REF(SCRATCH, OFF),
	    .table_rows = TABLE, .n = N, .rows = ROWS);
	RUN(r);
	for (unsigned int i = 0; i < ROWS; i++) {
		EXPECT_EQ(memcmp(out + i * N, table + index[i] * N, 4 * N), 0);
		for (unsigned int c = 0; c < N; c++)
			ASSERT_EQ(bits(wide[i * N + c]), (uint32_t)((const uint16_t *)table)[index[i] * N + c] << 16);
	}
	EXPECT_EQ(bits(out[ROWS * N]), 0u);
}

TEST_F(lm, argmax)
{
	enum { N = 2100, ROWS = 5 };
	struct rig *r = &self->r;
	float (*x)[N] = (void *)floats(r, SNPU_REGION_INPUT, OFF, ROWS * N, 2);
	const uint32_t *out = rig_at(r, SNPU_REGION_OUTPUT, 0);

	x[0][1700] = x[0][2000] = 5.0f;		/* the first of equals */
	x[1][0] = NAN;				/* nothing is greater */
	x[2][10] = NAN;
	x[2][N - 1] = INFINITY;
	for (unsigned int i = 0; i < N; i++)
		x[3][i] = i % 2 ? 0.0f : -0.0f;	/* equals */
	for (unsigned int i = 0; i < N; i++)
		x[4][i] = -INFINITY;
	x[4][1024] = -1e38f;
	PUT(r, ARGMAX, 0, .x = REF(INPUT, OFF), .out = REF(OUTPUT, 0), .n = N, .rows = ROWS);
	RUN(r);
	EXPECT_EQ(out[0], 1700u);
	EXPECT_EQ(out[1], 0u);
	EXPECT_EQ(out[2], N - 1u);
	EXPECT_EQ(out[3], 0u);
	EXPECT_EQ(out[4], 1024u);
	EXPECT_EQ(out[5], 0u);
}

TEST_F(lm, silu_mul)
{
	enum { N = 1500 };
	struct rig *r = &self->r;
	float *gate = floats(r, SNPU_REGION_SCRATCH, OFF, N, 3), *up = floats(r, SNPU_REGION_INPUT, OFF, N, 4), was[N];

	gate[0] = 0.0f;
	gate[1] = 100.0f;			/* is itself */
	gate[2] = -800.0f;			/* limited: not 0 */
	gate[3] = NAN;
	memcpy(was, gate, sizeof(was));
	PUT(r, SILU_MUL, 0, .gate = REF(SCRATCH, OFF), .up = REF(INPUT, OFF), .out = REF(SCRATCH, OFF), .n = N);	/* in place */
	RUN(r);
	EXPECT_EQ(bits(gate[0] * 1.0f) << 1, 0u);
	EXPECT_EQ(bits(gate[1]), bits(100.0f * up[1]));
	EXPECT_TRUE(isnan(gate[3]));
	for (unsigned int i = 0; i < N; i++) {
		float e = (float)((double)was[i] / (1.0 + engine_exp64(-(double)was[i])));

		if (i == 3)
			continue;
		ASSERT_EQ(bits(gate[i]), bits(e * up[i]));
		ASSERT_TRUE(fabs(e - was[i] / (1.0 + exp(-(double)was[i]))) <= 1e-7 * fabs(was[i]));
	}
}

TEST_F(lm, rmsnorm)
{
	enum { N = 1501, ROWS = 3 };
	struct rig *r = &self->r;
	const float *x = floats(r, SNPU_REGION_INPUT, OFF, ROWS * N, 5), *weight = floats(r, SNPU_REGION_CONST, OFF, N, 6);
	const float *out = rig_at(r, SNPU_REGION_OUTPUT, OFF), *small = rig_at(r, SNPU_REGION_SCRATCH, 0);
	float *two = rig_at(r, SNPU_REGION_INPUT, 0), s;

	two[0] = 3.0f;				/* mean of squares 12.5; with eps 3.5 it is 16 */
	two[1] = 4.0f;
	PUT(r, RMSNORM, 0, .x = REF(INPUT, OFF), .weight = REF(CONST, OFF), .out = REF(OUTPUT, OFF), .n = N, .rows = ROWS, .eps = bits(1e-6f));
	PUT(r, RMSNORM, 0, .x = REF(INPUT, 0), .weight = REF(INPUT, 0), .out = REF(SCRATCH, 0), .n = 2, .rows = 1, .eps = bits(3.5f));
	RUN(r);
	EXPECT_TRUE(small[0] == 9.0f / 4 && small[1] == 16.0f / 4);
	for (unsigned int row = 0; row < ROWS; row++) {
		double a[16] = { 0 };

		for (unsigned int i = 0; i < N; i++)
			a[i % 16] += (double)x[row * N + i] * (double)x[row * N + i];
		s = (float)(1.0 / sqrt(fold(a) / N + (double)1e-6f));
		for (unsigned int i = 0; i < N; i++)
			ASSERT_EQ(bits(out[row * N + i]), bits((x[row * N + i] * s) * weight[i]));
	}
}

TEST_F(lm, rope)
{
	enum { HALF = 33, HEADS = 3, ROWS = 3, N = 2 * HALF };
	static const uint32_t position[ROWS] = { 0, 5, 4000000000u };
	struct rig *r = &self->r;
	float *x = floats(r, SNPU_REGION_STATE, OFF, ROWS * HEADS * N, 7), *inv = floats(r, SNPU_REGION_CONST, 0, HALF, 8);
	float was[ROWS * HEADS * N];

	inv[0] = 0.31415927f;			/* times 5: a quarter turn, nearly */
	memcpy(rig_at(r, SNPU_REGION_INPUT, 0), position, sizeof(position));
	x[HEADS * N] = 1.0f;			/* channel 0 of row 1 goes to its partner */
	x[HEADS * N + HALF] = 0.0f;
	memcpy(was, x, sizeof(was));
	PUT(r, ROPE, 0, .position = REF(INPUT, 0), .inv = REF(CONST, 0), .x = REF(STATE, OFF), .half = HALF, .heads = HEADS, .rows = ROWS);
	RUN(r);
	EXPECT_TRUE(fabsf(x[HEADS * N]) < 1e-6f && fabsf(x[HEADS * N + HALF] - 1.0f) < 1e-6f);
	for (unsigned int v = 0; v < ROWS * HEADS; v++)
		for (unsigned int j = 0; j < HALF; j++) {
			float c, s, u = was[v * N + j], w = was[v * N + j + HALF];
			volatile float uc, ws, wc, us;		/* rounded, each of them */

			engine_cos_sin((float)position[v / HEADS] * inv[j], &c, &s);
			uc = u * c, ws = w * s, wc = w * c, us = u * s;
			ASSERT_EQ(bits(x[v * N + j]), bits(uc - ws));
			ASSERT_EQ(bits(x[v * N + j + HALF]), bits(wc + us));
			if (!position[v / HEADS])
				ASSERT_EQ(bits(x[v * N + j]), bits(u));
		}
}

/* --- MATMUL ------------------------------------------------------------------------------------------------------ */
static float matmul_one(const float *w, const uint16_t *half, const float *x, uint32_t n)
{
	float a[16] = { 0 };

	for (uint32_t i = 0; i < n; i++) {
		volatile float product = (half ? engine_bf16(half[i]) : w[i]) * x[i];

		a[i % 16] += product;
	}
	for (unsigned int s = 8; s; s /= 2)
		for (unsigned int l = 0; l < s; l++)
			a[l] += a[l + s];
	return a[0];
}

static void matmul(struct rig *r, uint32_t n_in, uint32_t n_out, uint32_t rows, uint8_t flags)
{
	const float *x = floats(r, SNPU_REGION_INPUT, OFF, rows * n_in, 9), *w = floats(r, SNPU_REGION_WEIGHTS, OFF, n_in * n_out, 10);
	const float *bias = floats(r, SNPU_REGION_CONST, OFF, n_out, 11), *out = rig_at(r, SNPU_REGION_OUTPUT, OFF);
	uint16_t *half = rig_at(r, SNPU_REGION_WEIGHTS, OFF);
	bool bf16 = flags & SNPU_WEIGHTS_BF16, biased = flags & SNPU_MATMUL_BIAS;
	struct snpu_ref none = { 0 }, b = REF(CONST, OFF);

	for (uint32_t i = 0; bf16 && i < n_in * n_out; i++)
		half[i] = (uint16_t)(0x3f00 + i * 37 % 300 + (i % 3 ? 0 : 0x8000));
	r->prog = 0;
	PUT(r, MATMUL, flags, .x = REF(INPUT, OFF), .weights = REF(WEIGHTS, OFF), .bias = biased ? b : none, .out = REF(OUTPUT, OFF),
	    .n_in = n_in, .n_out = n_out, .rows = rows);
	RUN(r);
	for (uint32_t row = 0; row < rows; row++)
		for (uint32_t o = 0; o < n_out; o++) {
			float y = matmul_one(w + o * n_in, bf16 ? half + o * n_in : NULL, x + row * n_in, n_in);

			ASSERT_EQ(bits(out[row * n_out + o]), bits(biased ? y + bias[o] : y));
		}
}

TEST_F(lm, matmul)
{
	for (unsigned int flags = 0; flags < 4; flags++) {
		uint8_t f = (flags & 1 ? SNPU_WEIGHTS_BF16 : 0) | (flags & 2 ? SNPU_MATMUL_BIAS : 0);

		matmul(&self->r, 1, 1, 1, f);
		matmul(&self->r, 15, 130, 1, f);
		matmul(&self->r, 16, 64, 2, f);
		matmul(&self->r, 1501, 70, 3, f);	/* several pieces */
	}
}

/* --- the state and the cache -------------------------------------------------------------------------------------- */
TEST_F(lm, gla_by_hand)
{
	struct rig *r = &self->r;
	float *q = rig_at(r, SNPU_REGION_INPUT, 0), *s = rig_at(r, SNPU_REGION_STATE, 0), *out = rig_at(r, SNPU_REGION_OUTPUT, 0);
	float half = (float)sqrt(sqrt(sqrt(sqrt(0.5)))), s0 = half * 2.0f + 15.0f;

	q[0] = 4.0f, q[1] = 1.0f;		/* queries of the two steps */
	q[2] = 3.0f, q[3] = -1.0f;		/* keys: the second is cut off */
	q[4] = 5.0f, q[5] = 7.0f;
	q[6] = 0.0f, q[7] = -1000.0f;		/* gates: 1/2^(1/16), and e^(-1000/16) */
	s[0] = 2.0f;
	PUT(r, GLA_STEP, 0, .q = REF(INPUT, 0), .k = REF(INPUT, 8), .v = REF(INPUT, 16), .g = REF(INPUT, 24), .state = REF(STATE, 0),
	    .out = REF(OUTPUT, 0), .kv = 1, .group = 1, .d = 1, .rows = 2);
	RUN(r);
	EXPECT_EQ(bits(out[0]), bits(4.0f * s0));
	EXPECT_EQ(bits(s[0]), bits((float)engine_exp64(-62.5) * s0));
	EXPECT_EQ(bits(out[1]), bits(s[0]));
	COUNTER_IS(r, UPDATES, 2u);
}

static float gate(float g)
{
	return (float)(g < -40 ? engine_exp64((double)g / 16) : sqrt(sqrt(sqrt(sqrt(1 / (1 + engine_exp64(-(double)g)))))));
}

TEST_F(lm, gla)
{
	enum { KV = 2, GROUP = 3, D = 33, ROWS = 4, H = KV * GROUP };
	struct rig *r = &self->r;
	const float *q = floats(r, SNPU_REGION_INPUT, OFF, ROWS * H * D, 12), *k = floats(r, SNPU_REGION_INPUT, 0x8000, ROWS * KV * D, 13);
	const float *v = floats(r, SNPU_REGION_INPUT, 0x10000, ROWS * KV * D, 14), *out = rig_at(r, SNPU_REGION_OUTPUT, OFF);
	float *g = floats(r, SNPU_REGION_INPUT, 0x18000, ROWS * KV * D, 15), *state = floats(r, SNPU_REGION_STATE, OFF, KV * D * D, 16);
	float s[KV][D][D], z = (float)(1 / sqrt(D));

	for (unsigned int i = 0; i < ROWS * KV * D; i++)
		g[i] *= 30.0f;			/* both branches */
	memcpy(s, state, sizeof(s));
	PUT(r, GLA_STEP, 0, .q = REF(INPUT, OFF), .k = REF(INPUT, 0x8000), .v = REF(INPUT, 0x10000), .g = REF(INPUT, 0x18000),
	    .state = REF(STATE, OFF), .out = REF(OUTPUT, OFF), .kv = KV, .group = GROUP, .d = D, .rows = ROWS);
	RUN(r);
	for (unsigned int row = 0; row < ROWS; row++)
		for (unsigned int h = 0; h < H; h++) {
			unsigned int kv = h / GROUP, at = (row * KV + kv) * D;

			for (unsigned int i = 0; h % GROUP == 0 && i < D; i++)
				for (unsigned int j = 0; j < D; j++) {
					volatile float old = gate(g[at + i]) * s[kv][i][j];

					s[kv][i][j] = old + (k[at + i] > 0 ? k[at + i] : 0.0f) * v[at + j];
				}
			for (unsigned int j = 0; j < D; j++) {
				float o = 0.0f;

				for (unsigned int i = 0; i < D; i++) {
					float qi = q[(row * H + h) * D + i];
					volatile float term = ((qi > 0 ? qi : 0.0f) * z) * s[kv][i][j];

					o += term;
				}
				ASSERT_EQ(bits(out[(row * H + h) * D + j]), bits(o));
			}
		}
	EXPECT_EQ(memcmp(s, state, sizeof(s)), 0);
	COUNTER_IS(r, UPDATES, (uint64_t)ROWS * KV * D * D);
}

TEST_F(lm, kv_append)
{
	enum { KV = 2, D = 5, SLOTS = 3, CODES = 2 * KV * SLOTS * D };
	static const float k[KV][D] = { { 127.0f, -63.5f, 0.5f, NAN, -126.5f }, { 0.0f, -0.0f, 0.0f, 0.0f, 1e-9f } };
	static const int8_t want[D] = { 127, -64, 0, 0, -126 };
	struct rig *r = &self->r;
	const float *v = floats(r, SNPU_REGION_INPUT, 0x100, KV * D, 17), *plain = rig_at(r, SNPU_REGION_STATE, 0);
	const int8_t *codes = rig_at(r, SNPU_REGION_SCRATCH, OFF);
	const float *scale = rig_at(r, SNPU_REGION_SCRATCH, OFF + 4 * SNPU_KV_CODE_WORDS(KV, SLOTS, D));

	memcpy(rig_at(r, SNPU_REGION_INPUT, 0), k, sizeof(k));
	*(uint32_t *)rig_at(r, SNPU_REGION_INPUT, 0x200) = 7;	/* slot 1 */
	PUT(r, KV_APPEND, 0, .k = REF(INPUT, 0), .v = REF(INPUT, 0x100), .position = REF(INPUT, 0x200), .cache = REF(STATE, 0), .kv = KV, .d = D, .slots = SLOTS);
	PUT(r, KV_APPEND, SNPU_KV_INT8, .k = REF(INPUT, 0), .v = REF(INPUT, 0x100), .position = REF(INPUT, 0x200), .cache = REF(SCRATCH, OFF),
	    .kv = KV, .d = D, .slots = SLOTS);
	RUN(r);
	for (unsigned int h = 0; h < KV; h++) {
		EXPECT_EQ(memcmp(plain + (h * SLOTS + 1) * D, k[h], sizeof(k[h])), 0);
		EXPECT_EQ(memcmp(plain + ((KV + h) * SLOTS + 1) * D, v + h * D, sizeof(k[h])), 0);
	}
	EXPECT_EQ(memcmp(codes + D, want, D), 0);
	EXPECT_EQ(codes[D - 1], 0);		/* slot 0, and slot 2 below, are untouched */
	EXPECT_EQ(codes[2 * D], 0);
	for (unsigned int i = 0; i < D; i++)
		EXPECT_EQ(codes[(SLOTS + 1) * D + i], 0);
	EXPECT_EQ(bits(scale[1]), bits(1.0f));
	EXPECT_EQ(bits(scale[SLOTS + 1]), bits(1e-5f));
	for (unsigned int h = 0; h < KV; h++) {
		float m = 0.0f;

		for (unsigned int i = 0; i < D; i++)
			m = fmaxf(m, fabsf(v[h * D + i]));
		EXPECT_EQ(bits(scale[(KV + h) * SLOTS + 1]), bits(m / 127.0f));
		for (unsigned int i = 0; i < D; i++)
			EXPECT_EQ(codes[((KV + h) * SLOTS + 1) * D + i], (int)rintf(v[h * D + i] / (m / 127.0f)));
	}
	EXPECT_EQ(bits(scale[0]) | bits(scale[2]) | bits(scale[2 * KV * SLOTS]), 0u);
	EXPECT_EQ(CODES, 60);
}

struct swa_case { uint32_t kv, group, d, slots, window; uint64_t position; bool int8; };

static float swa_score(struct rig *r, const struct swa_case *c, uint32_t h, uint32_t slot)
{
	float z = (float)(1 / sqrt(c->d)), *cache = rig_at(r, SNPU_REGION_STATE, 0);
	uint32_t kv = h / c->group, at = (kv * c->slots + slot) * c->d, dot = 0;
	const struct snpu_spike *s;
	const uint32_t *list;

	if (!c->int8)
		return matmul_one((float *)rig_at(r, SNPU_REGION_INPUT, OFF) + h * c->d, NULL, cache + at, c->d) * z;
	list = (uint32_t *)rig_at(r, SNPU_REGION_INPUT, OFF) + h * SNPU_EVENTS_WORDS(c->d);
	s = (const void *)(list + 2);
	for (uint32_t i = 0; i < list[0]; i++)
		dot += (uint32_t)s[i].count * (uint32_t)((int8_t *)cache)[at + s[i].channel];
	return ((((const float *)list)[1] * cache[SNPU_KV_CODE_WORDS(c->kv, c->slots, c->d) + kv * c->slots + slot]) * z) * (float)(int32_t)dot;
}

/* Output j of query head h, by the book. */
static float swa_one(struct rig *r, const struct swa_case *c, uint32_t h, uint32_t j)
{
	const float *cache = rig_at(r, SNPU_REGION_STATE, 0);
	uint64_t keys = c->position + 1, kv = h / c->group;
	float m = -INFINITY, score[100], o = 0.0f;
	double a[16] = { 0 };

	keys = keys > c->window ? c->window : keys;
	keys = keys > c->slots ? c->slots : keys;
	for (uint32_t i = 0; i < keys; i++) {
		score[i] = swa_score(r, c, h, (c->position + 1 - keys + i) % c->slots);
		m = score[i] > m ? score[i] : m;
	}
	for (uint32_t i = 0; i < keys; i++) {
		uint64_t at = (c->kv + kv) * c->slots + (c->position + 1 - keys + i) % c->slots;
		volatile float below = score[i] - m, e = (float)engine_exp64((double)below), w = e, term;

		a[i % 16] += (double)e;
		if (c->int8)
			w = e * cache[SNPU_KV_CODE_WORDS(c->kv, c->slots, c->d) + at];
		term = w * (c->int8 ? (float)((const int8_t *)cache)[at * c->d + j] : cache[at * c->d + j]);
		o += term;
	}
	return o / (float)fold(a);
}

static void swa(struct rig *r, const struct swa_case *c)
{
	uint32_t heads = c->kv * c->group, spikes = 0, seed = 20;
	uint64_t keys = c->position + 1, words = SNPU_KV_WORDS(c->int8 ? SNPU_KV_INT8 : 0, c->kv, c->slots, c->d);
	uint32_t *cache = (uint32_t *)floats(r, SNPU_REGION_STATE, 0, words, 18);
	const float *out = rig_at(r, SNPU_REGION_OUTPUT, OFF);

	floats(r, SNPU_REGION_INPUT, OFF, heads * c->d, 19);
	for (uint64_t i = 0; c->int8 && i < SNPU_KV_CODE_WORDS(c->kv, c->slots, c->d); i++)
		cache[i] = cache[i] * 2654435761u;
	for (uint32_t h = 0; c->int8 && h < heads; h++)
		spikes += random_list(rig_at(r, SNPU_REGION_INPUT, OFF + 4 * h * SNPU_EVENTS_WORDS(c->d)), c->d, 0.02f, &seed);
	*(uint32_t *)rig_at(r, SNPU_REGION_INPUT, 0) = (uint32_t)c->position;
	r->prog = 0;
	PUT(r, SWA, c->int8 ? SNPU_KV_INT8 : 0, .q = REF(INPUT, OFF), .cache = REF(STATE, 0), .position = REF(INPUT, 0), .out = REF(OUTPUT, OFF),
	    .kv = c->kv, .group = c->group, .d = c->d, .slots = c->slots, .window = c->window);
	RUN(r);
	for (uint32_t h = 0; h < heads; h++)
		for (uint32_t j = 0; j < c->d; j++)
			ASSERT_EQ(bits(out[h * c->d + j]), bits(swa_one(r, c, h, j)));
	keys = keys > c->window ? c->window : keys;
	keys = keys > c->slots ? c->slots : keys;
	COUNTER_IS(r, EVENTS, spikes);
	COUNTER_IS(r, SYNOPS, spikes * keys);
}

TEST_F(lm, swa)
{
	for (unsigned int int8 = 0; int8 < 2; int8++) {
		swa(&self->r, &(struct swa_case){ 1, 1, 4, 8, 8, 0, int8 });		/* one key */
		swa(&self->r, &(struct swa_case){ 2, 3, 32, 17, 17, 4, int8 });		/* not full yet */
		swa(&self->r, &(struct swa_case){ 2, 2, 33, 17, 17, 40, int8 });	/* round the ring */
		swa(&self->r, &(struct swa_case){ 1, 2, 128, 90, 50, 4000000000u, int8 });	/* window smaller than the ring */
		swa(&self->r, &(struct swa_case){ 1, 2, 1024, 9, 100, 30, int8 });	/* several pieces; window larger than the ring */
		swa(&self->r, &(struct swa_case){ 3, 1, 1, 20, 10, 0xffffffffu, int8 });
	}
}

/* Equal scores: the mean of the values. A key far above the others: its value. */
TEST_F(lm, swa_by_hand)
{
	struct rig *r = &self->r;
	float *cache = rig_at(r, SNPU_REGION_STATE, 0), *q = rig_at(r, SNPU_REGION_INPUT, 8);
	const float *out = rig_at(r, SNPU_REGION_OUTPUT, 0);

	*(uint32_t *)rig_at(r, SNPU_REGION_INPUT, 0) = 3;
	q[3] = 1000.0f;				/* query 0 is zero in both channels, query 1 asks for channel 1 ... */
	cache[2 * 2 + 1] = 1.0f;		/* ... which only key 2 has */
	for (unsigned int i = 0; i < 4; i++)
		cache[8 + 2 * i] = (float)(1 << i);
	PUT(r, SWA, 0, .q = REF(INPUT, 8), .cache = REF(STATE, 0), .position = REF(INPUT, 0), .out = REF(OUTPUT, 0), .kv = 1, .group = 2, .d = 2,
	    .slots = 4, .window = 4);
	RUN(r);
	EXPECT_TRUE(out[0] == 15.0f / 4 && out[1] == 0.0f);
	EXPECT_TRUE(out[2] == 4.0f && out[3] == 0.0f);
}

TEST_HARNESS_MAIN
