/* SPDX-License-Identifier: MIT */
/*
 * Every packet that computes: random data of sizes around the tile and vector widths, with edge values, against
 * the law written down once more (below), and a few results worked out by hand.
 */
#include <math.h>

#include "conf.h"

CONF_VARIANTS

static const uint32_t sizes[] = { 1, 2, 7, 8, 9, 15, 16, 17, 31, 38, 63, 64, 65, 100, 127, 128, 129, 511, 512, 513, 1000 };
#define SIZES	(sizeof(sizes) / sizeof(sizes[0]))

enum { A = 0, B = 0x10000, C = 0x20000, D = 0x30000 };	/* offsets of arrays in a region */

static void fill(struct conf *c, unsigned int region, uint64_t offset, uint32_t n, uint64_t *seed, bool edges)
{
	for (uint32_t i = 0; i < n; i++)
		conf_f32(c, region, offset)[i] = conf_float(seed, edges);
}

/* One rounding: what the compiler must not merge with what comes next. */
static float rnd(float x)
{
	volatile float y = x;

	return y;
}

/* --- elementwise --------------------------------------------------------------------------------------------- */

TEST_F(conf, add_and_scale)
{
	uint64_t seed = 1;
	float want[1000];

	for (unsigned int s = 0; s < SIZES; s++) {
		uint32_t n = sizes[s];

		fill(self, SNPU_REGION_INPUT, A, n, &seed, true);
		fill(self, SNPU_REGION_CONST, A, n, &seed, true);
		snpu_emit(&self->prog, ADD, .a = snpu_ref(SNPU_REGION_INPUT, A), .b = snpu_ref(SNPU_REGION_CONST, A),
			  .out = snpu_ref(SNPU_REGION_OUTPUT, A), .n = n);
		snpu_emit(&self->prog, SCALE, .x = snpu_ref(SNPU_REGION_INPUT, A), .scale = snpu_ref(SNPU_REGION_CONST, A),
			  .out = snpu_ref(SNPU_REGION_OUTPUT, B), .n = n);
		conf_f32(self, SNPU_REGION_OUTPUT, A)[n] = 77.0f;
		ASSERT_EQ(conf_run(self), 0);
		for (uint32_t i = 0; i < n; i++)
			want[i] = rnd(conf_f32(self, SNPU_REGION_INPUT, A)[i] + conf_f32(self, SNPU_REGION_CONST, A)[i]);
		conf_expect(conf_f32(self, SNPU_REGION_OUTPUT, A), want, n, "ADD");
		for (uint32_t i = 0; i < n; i++)
			want[i] = rnd(conf_f32(self, SNPU_REGION_INPUT, A)[i] * conf_f32(self, SNPU_REGION_CONST, A)[i]);
		conf_expect(conf_f32(self, SNPU_REGION_OUTPUT, B), want, n, "SCALE");
		EXPECT_TRUE(conf_f32(self, SNPU_REGION_OUTPUT, A)[n] == 77.0f);
	}
}

TEST_F(conf, add_in_place)
{
	uint64_t seed = 2;
	float want[100];

	fill(self, SNPU_REGION_SCRATCH, A, 100, &seed, false);
	fill(self, SNPU_REGION_CONST, A, 100, &seed, false);
	for (uint32_t i = 0; i < 100; i++)
		want[i] = rnd(conf_f32(self, SNPU_REGION_SCRATCH, A)[i] + conf_f32(self, SNPU_REGION_CONST, A)[i]);
	snpu_emit(&self->prog, ADD, .a = snpu_ref(SNPU_REGION_CONST, A), .b = snpu_ref(SNPU_REGION_SCRATCH, A),
		  .out = snpu_ref(SNPU_REGION_SCRATCH, A), .n = 100);
	ASSERT_EQ(conf_run(self), 0);
	conf_expect(conf_f32(self, SNPU_REGION_SCRATCH, A), want, 100, "ADD in place");
}

/* --- memory -------------------------------------------------------------------------------------------------- */

TEST_F(conf, copy_and_fill)
{
	uint32_t *src = conf_u32(self, SNPU_REGION_INPUT, A), *dst = conf_u32(self, SNPU_REGION_OUTPUT, A);
	uint64_t seed = 3;

	for (unsigned int s = 0; s < SIZES; s++) {
		uint32_t n = sizes[s];

		for (uint32_t i = 0; i < n; i++)
			src[i] = conf_random(&seed);		/* NaN patterns too: words, not floats */
		snpu_emit(&self->prog, COPY, .src = snpu_ref(SNPU_REGION_INPUT, A), .dst = snpu_ref(SNPU_REGION_OUTPUT, A), .words = n);
		snpu_emit(&self->prog, FILL, .dst = snpu_ref(SNPU_REGION_OUTPUT, B), .words = n, .value = 0x7fa00001u + s);
		dst[n] = conf_u32(self, SNPU_REGION_OUTPUT, B)[n] = 5;
		ASSERT_EQ(conf_run(self), 0);
		EXPECT_EQ(memcmp(src, dst, 4 * n), 0);
		EXPECT_EQ(dst[n], 5);
		for (uint32_t i = 0; i < n; i++)
			ASSERT_EQ(conf_u32(self, SNPU_REGION_OUTPUT, B)[i], 0x7fa00001u + s);
		EXPECT_EQ(conf_u32(self, SNPU_REGION_OUTPUT, B)[n], 5);
	}
}

TEST_F(conf, signal_and_timestamp)
{
	uint64_t *t = (uint64_t *)conf_f32(self, SNPU_REGION_TRACE, 0);

	snpu_emit(&self->prog, TIMESTAMP, .dst = snpu_ref(SNPU_REGION_TRACE, 0));
	snpu_emit(&self->prog, SIGNAL, .dst = snpu_ref(SNPU_REGION_TRACE, 8), .value = 0x0123456789abcdefull);
	snpu_emit(&self->prog, TIMESTAMP, .dst = snpu_ref(SNPU_REGION_TRACE, 16));
	t[3] = 9;
	ASSERT_EQ(conf_run(self), 0);
	EXPECT_EQ(t[1], 0x0123456789abcdefull);
	EXPECT_GE(t[2], t[0]);
	EXPECT_EQ(t[3], 9);
}

/* --- events -------------------------------------------------------------------------------------------------- */

TEST_F(conf, evpack_and_evunpack)
{
	uint64_t seed = 4;

	for (unsigned int s = 0; s < 4 * SIZES; s++) {
		uint32_t n = sizes[s / 4], count = 0, dense = s % 4;		/* none, few, most, all */
		float *x = conf_f32(self, SNPU_REGION_INPUT, A), back[1000];
		const struct snpu_events *list = (const void *)conf_f32(self, SNPU_REGION_SCRATCH, A);
		const struct snpu_event *ev = (const void *)(list + 1);

		for (uint32_t i = 0; i < n; i++)
			x[i] = conf_random(&seed) % 4 >= dense ? (i & 1 ? -0.0f : 0.0f) : dense == 3 ? 1.0f : conf_float(&seed, true);
		memset(self->mem[SNPU_REGION_SCRATCH], 0xee, 16 + 8 * n);
		snpu_emit(&self->prog, EVPACK, .x = snpu_ref(SNPU_REGION_INPUT, A), .ev = snpu_ref(SNPU_REGION_SCRATCH, A), .n = n);
		snpu_emit(&self->prog, EVUNPACK, .ev = snpu_ref(SNPU_REGION_SCRATCH, A), .x = snpu_ref(SNPU_REGION_OUTPUT, A), .n = n);
		ASSERT_EQ(conf_run(self), 0);
		EXPECT_EQ(list->pad, 0);
		for (uint32_t i = 0; i < n; i++) {
			back[i] = x[i] != 0.0f ? x[i] : 0.0f;
			if (x[i] == 0.0f)
				continue;
			ASSERT_LT(count, list->count);
			ASSERT_EQ(ev[count].channel, i);
			ASSERT_TRUE(conf_same(ev[count].value, x[i]));
			count++;
		}
		ASSERT_EQ(list->count, count);
		if (count < n)			/* nothing past the list is written */
			ASSERT_EQ(ev[count].channel, 0xeeeeeeeeu);
		conf_expect(conf_f32(self, SNPU_REGION_OUTPUT, A), back, n, "EVUNPACK");
	}
}

TEST_F(conf, evpack_takes_denormals_and_nan)
{
	float *x = conf_f32(self, SNPU_REGION_INPUT, A);
	const uint32_t *list = conf_u32(self, SNPU_REGION_SCRATCH, A);

	x[0] = -0.0f;
	x[1] = 1e-45f;
	x[2] = NAN;
	x[3] = 0.0f;
	x[4] = -1e-45f;
	snpu_emit(&self->prog, EVPACK, .x = snpu_ref(SNPU_REGION_INPUT, A), .ev = snpu_ref(SNPU_REGION_SCRATCH, A), .n = 5);
	ASSERT_EQ(conf_run(self), 0);
	EXPECT_EQ(list[0], 3);
	EXPECT_EQ(list[2], 1);
	EXPECT_EQ(list[3], 1);		/* the smallest denormal */
	EXPECT_EQ(list[4], 2);
	EXPECT_EQ(list[6], 4);
}

/* --- LINEAR -------------------------------------------------------------------------------------------------- */

/* Makes weights for [n_in][n_out] in the packet's layout, zero past n_out. */
static void fill_weights(struct conf *c, uint32_t n_in, uint32_t n_out, uint64_t *seed, bool edges)
{
	float *w = conf_f32(c, SNPU_REGION_WEIGHTS, 0);

	for (uint32_t t = 0; t < SNPU_TILES(n_out); t++)
		for (uint32_t i = 0; i < n_in; i++)
			for (uint32_t o = 0; o < SNPU_TILE; o++)
				*w++ = t * SNPU_TILE + o < n_out ? conf_float(seed, edges) : 0.0f;
}

static float linear_want(struct conf *c, uint32_t n_in, uint32_t o, bool bias)
{
	const float *x = conf_f32(c, SNPU_REGION_INPUT, A);
	float acc = 0.0f;

	for (uint32_t i = 0; i < n_in; i++)
		if (x[i] != 0.0f)
			acc = rnd(acc + rnd(conf_f32(c, SNPU_REGION_WEIGHTS, 0)[((uint64_t)(o / 64) * n_in + i) * 64 + o % 64] * x[i]));
	return bias ? rnd(acc + conf_f32(c, SNPU_REGION_CONST, A)[o]) : acc;
}

static void linear_case(struct conf *c, uint32_t n_in, uint32_t n_out, bool bias, bool edges, uint64_t *seed)
{
	float want[1000];

	fill_weights(c, n_in, n_out, seed, edges);
	fill(c, SNPU_REGION_CONST, A, n_out, seed, edges);
	for (uint32_t i = 0; i < n_in; i++)
		conf_f32(c, SNPU_REGION_INPUT, A)[i] = conf_random(seed) % 3 ? 0.0f : conf_random(seed) % 2 ? 1.0f : conf_float(seed, edges);
	snpu_emit(&c->prog, EVPACK, .x = snpu_ref(SNPU_REGION_INPUT, A), .ev = snpu_ref(SNPU_REGION_SCRATCH, A), .n = n_in);
	snpu_emit(&c->prog, LINEAR, .hdr.flags = bias ? SNPU_LINEAR_BIAS : 0, .ev = snpu_ref(SNPU_REGION_SCRATCH, A),
		  .weights = snpu_ref(SNPU_REGION_WEIGHTS, 0), .bias = bias ? snpu_ref(SNPU_REGION_CONST, A) : (struct snpu_ref){ 0 },
		  .out = snpu_ref(SNPU_REGION_OUTPUT, A), .n_in = n_in, .n_out = n_out);
	conf_f32(c, SNPU_REGION_OUTPUT, A)[n_out] = 77.0f;
	ASSERT_EQ(conf_run(c), 0);
	for (uint32_t o = 0; o < n_out; o++)
		want[o] = linear_want(c, n_in, o, bias);
	conf_expect(conf_f32(c, SNPU_REGION_OUTPUT, A), want, n_out, "LINEAR");
	EXPECT_TRUE(conf_f32(c, SNPU_REGION_OUTPUT, A)[n_out] == 77.0f);
}

TEST_F(conf, linear_sizes)
{
	static const uint32_t ins[] = { 1, 3, 12, 64, 100 };
	uint64_t seed = 5;

	for (unsigned int s = 0; s < SIZES; s++)
		for (unsigned int i = 0; i < 5; i++)
			if ((uint64_t)SNPU_TILES(sizes[s]) * ins[i] * 256 <= CONF_SIZE)
				linear_case(self, ins[i], sizes[s], (s + i) & 1, (s + i) & 2, &seed);
}

TEST_F(conf, linear_is_event_driven)
{
	/* A channel without an entry takes no part: an infinite weight there must not turn into NaN. */
	float *w = conf_f32(self, SNPU_REGION_WEIGHTS, 0);
	uint32_t *list = conf_u32(self, SNPU_REGION_INPUT, 0);

	w[0] = INFINITY;
	w[64] = 0.25f;
	w[128] = 0x1p-30f;
	list[0] = 2;
	list[1] = 0;
	list[2] = 1;
	((float *)list)[3] = 4.0f;
	list[4] = 2;
	((float *)list)[5] = 1.0f;
	snpu_emit(&self->prog, LINEAR, .ev = snpu_ref(SNPU_REGION_INPUT, 0), .weights = snpu_ref(SNPU_REGION_WEIGHTS, 0),
		  .out = snpu_ref(SNPU_REGION_OUTPUT, 0), .n_in = 3, .n_out = 1);
	ASSERT_EQ(conf_run(self), 0);
	/* (0 + 0.25 * 4) + 2^-30 rounds to 1: the sum is rounded after every channel. */
	EXPECT_TRUE(conf_f32(self, SNPU_REGION_OUTPUT, 0)[0] == 1.0f);
}

TEST_F(conf, linear_rounds_products)
{
	/* (1 + 2^-12)^2 - (1 + 2^-11) is 2^-24 with a fused multiply-add and 0 with two roundings. */
	float *w = conf_f32(self, SNPU_REGION_WEIGHTS, 0);
	uint32_t *list = conf_u32(self, SNPU_REGION_INPUT, 0);

	for (int o = 0; o < 64; o++) {
		w[o] = 1.0f + 0x1p-11f;
		w[64 + o] = 1.0f + 0x1p-12f;
	}
	list[0] = 2;
	((float *)list)[3] = -1.0f;
	list[4] = 1;
	((float *)list)[5] = 1.0f + 0x1p-12f;
	snpu_emit(&self->prog, LINEAR, .ev = snpu_ref(SNPU_REGION_INPUT, 0), .weights = snpu_ref(SNPU_REGION_WEIGHTS, 0),
		  .out = snpu_ref(SNPU_REGION_OUTPUT, 0), .n_in = 2, .n_out = 64);
	ASSERT_EQ(conf_run(self), 0);
	for (int o = 0; o < 64; o++)
		EXPECT_TRUE(conf_f32(self, SNPU_REGION_OUTPUT, 0)[o] == 0.0f);
}

TEST_F(conf, linear_of_an_empty_list)
{
	conf_f32(self, SNPU_REGION_OUTPUT, 0)[0] = 5.0f;
	conf_f32(self, SNPU_REGION_CONST, 0)[0] = -0.0f;
	snpu_emit(&self->prog, LINEAR, .ev = snpu_ref(SNPU_REGION_INPUT, 0), .weights = snpu_ref(SNPU_REGION_WEIGHTS, 0),
		  .out = snpu_ref(SNPU_REGION_OUTPUT, 0), .n_in = 5, .n_out = 1);
	ASSERT_EQ(conf_run(self), 0);
	EXPECT_EQ(conf_u32(self, SNPU_REGION_OUTPUT, 0)[0], 0);		/* +0 */
}

TEST_HARNESS_MAIN
