/* SPDX-License-Identifier: MIT */
/*
 * Packets of language models that know positions: ROPE, GLA_STEP, KV_APPEND and SWA, against the law written down once more. Odd
 * sizes, rings that have turned, edge values, exact counters.
 */
#include "conf.h"
#include "law.h"

CONF_VARIANTS

enum { A = 0, B = 0x40000, C = 0x80000, D = 0xc0000 };		/* offsets of arrays in a region */

#define FENCE	0x5a5a5a5au		/* in words that must not change */

static struct snpu_ref in(uint64_t off) { return snpu_ref(SNPU_REGION_INPUT, off); }
static struct snpu_ref out(uint64_t off) { return snpu_ref(SNPU_REGION_OUTPUT, off); }
static struct snpu_ref state(uint64_t off) { return snpu_ref(SNPU_REGION_STATE, off); }

static float *fill(struct conf *c, unsigned int region, uint64_t offset, uint64_t n, uint64_t *seed, bool edges)
{
	float *x = conf_f32(c, region, offset);

	for (uint64_t i = 0; i < n; i++)
		x[i] = conf_float(seed, edges);
	return x;
}

static float relu(float x)
{
	return x > 0 ? x : 0.0f;
}

/* --- ROPE ------------------------------------------------------------------------------------------------------ */

static void rope_case(struct conf *c, uint32_t half, uint32_t heads, uint32_t rows, bool edges, uint64_t *seed)
{
	static const uint32_t odd[] = { 0, 1, 16777217, 0x7fffffff, 0xffffffff };
	uint32_t n = 2 * rows * heads * half, *position = conf_u32(c, SNPU_REGION_INPUT, A);
	float *inv = conf_f32(c, SNPU_REGION_INPUT, B), *x = fill(c, SNPU_REGION_OUTPUT, A, n, seed, edges), *want = malloc(4 * n);

	for (uint32_t r = 0; r < rows; r++)
		position[r] = conf_random(seed) % 3 ? conf_random(seed) % 40000 : odd[conf_random(seed) % 5];
	for (uint32_t j = 0; j < half; j++)
		inv[j] = edges && conf_random(seed) % 4 == 0 ? conf_float(seed, true) * 1e5f : powf(10000.0f, -(float)j / (float)half);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t j = i % (2 * half) % half;
		float cos, sin, u = x[i], w = x[i % (2 * half) < half ? i + half : i - half];

		law_cos_sin((float)position[i / (2 * half * heads)] * inv[j], &cos, &sin);
		want[i] = i % (2 * half) < half ? (u * cos) - (w * sin) : (u * cos) + (w * sin);
	}
	snpu_emit(&c->prog, ROPE, .position = in(A), .inv = in(B), .x = out(A), .half = half, .heads = heads, .rows = rows);
	conf_u32(c, SNPU_REGION_OUTPUT, A)[n] = FENCE;
	EXPECT_EQ(conf_run(c), 0);
	conf_expect(x, want, n, "ROPE");
	EXPECT_EQ(conf_u32(c, SNPU_REGION_OUTPUT, A)[n], FENCE);
	free(want);
}

TEST_F(conf, rope)
{
	static const uint32_t halves[] = { 1, 3, 8, 17, 64, 512 };
	uint64_t seed = 201;

	for (unsigned int h = 0; h < 6; h++)
		for (uint32_t heads = 1; heads <= 3; heads++)
			for (uint32_t rows = 1; rows <= 5; rows += 2)
				rope_case(self, halves[h], heads, rows, (heads + rows) % 3 == 0, &seed);
	rope_case(self, 64, 2, 200, false, &seed);		/* threads share it */
}

/* --- GLA_STEP -------------------------------------------------------------------------------------------------- */

struct gla {
	uint32_t kv, group, d, rows;
};

static float decay(float g)
{
	double x = g, y;

	if (x < -40)
		return (float)law_exp(x / 16);
	y = 1 / (1 + law_exp(-x));
	for (int i = 0; i < 4; i++)
		y = sqrt(y);
	return (float)y;
}

/* One row of one key-value head: S [d][d], and the outputs of its query heads. */
static void gla_want(struct conf *c, const struct gla *p, uint32_t row, uint32_t h, float *S, float *want)
{
	uint64_t at = ((uint64_t)row * p->kv + h) * p->d;
	const float *k = conf_f32(c, SNPU_REGION_INPUT, A) + at, *v = conf_f32(c, SNPU_REGION_INPUT, B) + at;
	const float *g = conf_f32(c, SNPU_REGION_INPUT, C) + at, *q = conf_f32(c, SNPU_REGION_CONST, A) + at * p->group;
	float z = (float)(1 / sqrt(p->d));

	for (uint32_t i = 0; i < p->d; i++)
		for (uint32_t j = 0; j < p->d; j++)
			S[i * p->d + j] = (decay(g[i]) * S[i * p->d + j]) + (relu(k[i]) * v[j]);
	for (uint32_t m = 0; m < p->group; m++)
		for (uint32_t j = 0; j < p->d; j++) {
			float o = 0.0f;

			for (uint32_t i = 0; i < p->d; i++)
				o = o + ((relu(q[m * p->d + i]) * z) * S[i * p->d + j]);
			want[(at * p->group) + m * p->d + j] = o;
		}
}

static void gla_case(struct conf *c, const struct gla *p, bool edges, uint64_t *seed)
{
	uint32_t n = p->rows * p->kv * p->d, states = p->kv * p->d * p->d;
	float *S = fill(c, SNPU_REGION_STATE, A, states, seed, false), *g = fill(c, SNPU_REGION_INPUT, C, n, seed, edges);
	float *want = malloc(4 * n * p->group), *want_S = malloc(4 * states);
	uint64_t updates = conf_count(c, 0, SNPU_COUNTER_UPDATES);

	fill(c, SNPU_REGION_INPUT, A, n, seed, edges);
	fill(c, SNPU_REGION_INPUT, B, n, seed, edges);
	fill(c, SNPU_REGION_CONST, A, n * p->group, seed, edges);
	for (uint32_t i = 0; i < n; i++)		/* gates that close, that are open, and about -40 */
		g[i] = conf_random(seed) % 4 ? g[i] * 4.0f : conf_random(seed) % 2 ? g[i] * 400.0f : g[i] - 40.0f;
	memcpy(want_S, S, 4 * states);
	for (uint32_t r = 0; r < p->rows; r++)
		for (uint32_t h = 0; h < p->kv; h++)
			gla_want(c, p, r, h, want_S + h * p->d * p->d, want);
	snpu_emit(&c->prog, GLA_STEP, .q = snpu_ref(SNPU_REGION_CONST, A), .k = in(A), .v = in(B), .g = in(C), .state = state(A), .out = out(A),
		  .kv = p->kv, .group = p->group, .d = p->d, .rows = p->rows);
	conf_u32(c, SNPU_REGION_OUTPUT, A)[n * p->group] = FENCE;
	conf_u32(c, SNPU_REGION_STATE, A)[states] = FENCE;
	EXPECT_EQ(conf_run(c), 0);
	conf_expect(conf_f32(c, SNPU_REGION_OUTPUT, A), want, n * p->group, "GLA_STEP's output");
	conf_expect(S, want_S, states, "GLA_STEP's state");
	EXPECT_EQ(conf_u32(c, SNPU_REGION_OUTPUT, A)[n * p->group], FENCE);
	EXPECT_EQ(conf_u32(c, SNPU_REGION_STATE, A)[states], FENCE);
	EXPECT_EQ(conf_count(c, 0, SNPU_COUNTER_UPDATES) - updates, (uint64_t)p->rows * states);
	free(want);
	free(want_S);
}

TEST_F(conf, gla_step)
{
	static const uint32_t ds[] = { 1, 3, 8, 16, 17, 31, 64, 128 }, groups[] = { 1, 2, 7 }, rows[] = { 1, 2, 5 };
	uint64_t seed = 202;

	for (unsigned int d = 0; d < 8; d++)
		for (unsigned int kv = 1; kv <= 3; kv++)
			for (unsigned int g = 0; g < 3; g++) {
				struct gla p = { .kv = kv, .group = groups[g], .d = ds[d], .rows = rows[(d + kv + g) % 3] };

				gla_case(self, &p, (d + kv) % 3 == 0, &seed);
				if (th_failed)
					return;
			}
}

/* --- KV_APPEND and SWA ----------------------------------------------------------------------------------------- */

struct window {
	uint32_t kv, group, d, slots, window;
	bool int8, edges;
};

static uint8_t kv_flags(const struct window *w)
{
	return w->int8 ? SNPU_KV_INT8 : 0;
}

static uint64_t cache_words(const struct window *w)
{
	return SNPU_KV_WORDS(kv_flags(w), w->kv, w->slots, w->d);
}

/* Element j of the key or value (part 0, 1) in a slot. */
static int8_t *code_at(const struct window *w, void *cache, uint32_t part, uint32_t h, uint32_t slot)
{
	return (int8_t *)cache + (((uint64_t)part * w->kv + h) * w->slots + slot) * w->d;
}

static float *float_at(const struct window *w, void *cache, uint32_t part, uint32_t h, uint32_t slot)
{
	return (float *)cache + (((uint64_t)part * w->kv + h) * w->slots + slot) * w->d;
}

static float *scale_at(const struct window *w, void *cache, uint32_t part, uint32_t h, uint32_t slot)
{
	uint64_t codes = (2ull * w->kv * w->slots * w->d + 3) / 4;

	return (float *)cache + codes + ((uint64_t)part * w->kv + h) * w->slots + slot;
}

/* What KV_APPEND does to `cache`. */
static void append_want(struct conf *c, const struct window *w, uint32_t position, void *cache)
{
	for (uint32_t part = 0; part < 2; part++)
		for (uint32_t h = 0; h < w->kv; h++) {
			const float *x = conf_f32(c, SNPU_REGION_INPUT, part ? B : A) + h * w->d;
			uint32_t slot = position % w->slots;
			float m = 0.0f, scale;

			if (!w->int8) {
				memcpy(float_at(w, cache, part, h, slot), x, 4 * w->d);
				continue;
			}
			for (uint32_t i = 0; i < w->d; i++)
				m = fabsf(x[i]) > m ? fabsf(x[i]) : m;
			scale = law_limit(m / 127.0f);
			*scale_at(w, cache, part, h, slot) = scale;
			for (uint32_t i = 0; i < w->d; i++)
				code_at(w, cache, part, h, slot)[i] = (int8_t)law_round(x[i] / scale, -128, 127);
		}
}

/* Keys and values of one position: ordinary ones, and heads with NaN, zeroes, tiny or huge numbers. */
static void make_keys(struct conf *c, const struct window *w, uint64_t *seed)
{
	for (uint32_t part = 0; part < 2; part++)
		for (uint32_t h = 0; h < w->kv; h++) {
			float *x = fill(c, SNPU_REGION_INPUT, (part ? B : A) + 4ull * h * w->d, w->d, seed, w->edges);
			uint32_t kind = w->edges ? conf_random(seed) % 6 : 5;

			for (uint32_t i = 0; i < w->d; i++)
				x[i] *= kind == 0 ? 0.0f : kind == 1 ? 1e-9f : kind == 2 ? 1e20f : kind == 3 && i % 3 == 0 ? NAN : 1.0f;
		}
}

static void append(struct conf *c, const struct window *w, uint32_t position, uint64_t *seed)
{
	uint8_t *cache = c->mem[SNPU_REGION_STATE], *want = malloc(4 * cache_words(w));

	make_keys(c, w, seed);
	*conf_u32(c, SNPU_REGION_INPUT, C) = position;
	memcpy(want, cache, 4 * cache_words(w));
	append_want(c, w, position, want);
	snpu_emit(&c->prog, KV_APPEND, .hdr.flags = kv_flags(w), .k = in(A), .v = in(B), .position = in(C), .cache = state(A), .kv = w->kv,
		  .d = w->d, .slots = w->slots);
	conf_u32(c, SNPU_REGION_STATE, A)[cache_words(w)] = FENCE;
	EXPECT_EQ(conf_run(c), 0);
	EXPECT_EQ(memcmp(cache, want, 4 * cache_words(w)), 0);
	EXPECT_EQ(conf_u32(c, SNPU_REGION_STATE, A)[cache_words(w)], FENCE);
	free(want);
}

/* Queries as floats [heads][d], and with INT8 as lists of them. Returns the number of entries. */
static uint64_t make_queries(struct conf *c, const struct window *w, uint64_t *seed)
{
	uint32_t heads = w->kv * w->group, *list = conf_u32(c, SNPU_REGION_CONST, A);
	uint64_t entries = 0;

	if (!w->int8)
		fill(c, SNPU_REGION_CONST, A, (uint64_t)heads * w->d, seed, w->edges);
	for (uint32_t m = 0; w->int8 && m < heads; m++, list += SNPU_EVENTS_WORDS(w->d)) {
		struct snpu_spikes *head = (void *)list;
		struct snpu_spike *spike = (void *)(head + 1);
		uint32_t dense = conf_random(seed) % 4;

		*head = (struct snpu_spikes){ 0, w->edges ? conf_float(seed, true) : 0.3f };
		for (uint32_t i = 0; i < w->d; i++)
			if (conf_random(seed) % 3 < dense)
				spike[head->count++] = (struct snpu_spike){ i, w->edges && conf_random(seed) % 5 == 0 ? (int32_t)conf_random(seed) :
									       (int32_t)(conf_random(seed) % 21) - 10 };
		entries += head->count;
	}
	return entries;
}

static float score_want(struct conf *c, const struct window *w, uint32_t m, uint32_t slot)
{
	const struct snpu_spikes *head = (const void *)(conf_u32(c, SNPU_REGION_CONST, A) + m * SNPU_EVENTS_WORDS(w->d));
	const struct snpu_spike *spike = (const void *)(head + 1);
	const float *q = conf_f32(c, SNPU_REGION_CONST, A) + m * w->d;
	float z = (float)(1 / sqrt(w->d));
	void *cache = c->mem[SNPU_REGION_STATE];
	struct law_sum sum = { 0 };
	uint32_t dot = 0, h = m / w->group;

	if (!w->int8) {
		for (uint32_t i = 0; i < w->d; i++)
			sum.f32[i % 16] += q[i] * float_at(w, cache, 0, h, slot)[i];
		return law_sum32(&sum) * z;
	}
	for (uint32_t e = 0; e < head->count; e++)
		dot += (uint32_t)spike[e].count * (uint32_t)(int32_t)code_at(w, cache, 0, h, slot)[spike[e].channel];
	return ((head->vth * *scale_at(w, cache, 0, h, slot)) * z) * (float)(int32_t)dot;
}

static void swa_want(struct conf *c, const struct window *w, uint32_t position, uint32_t keys, uint32_t m, float *want)
{
	void *cache = c->mem[SNPU_REGION_STATE];
	float *e = malloc(4 * keys), best = -INFINITY, t;
	struct law_sum sum = { 0 };
	uint32_t h = m / w->group;

	for (uint32_t i = 0; i < keys; i++) {
		e[i] = score_want(c, w, m, (position - keys + 1 + i) % w->slots);
		best = e[i] > best ? e[i] : best;
	}
	for (uint32_t i = 0; i < keys; i++) {
		float below = e[i] - best;

		e[i] = (float)law_exp(below);
		sum.f64[i % 16] += e[i];
	}
	t = (float)law_sum64(&sum);
	for (uint32_t j = 0; j < w->d; j++) {
		float o = 0.0f;

		for (uint32_t i = 0; i < keys; i++) {
			uint32_t slot = (position - keys + 1 + i) % w->slots;

			if (w->int8)
				o = o + ((e[i] * *scale_at(w, cache, 1, h, slot)) * (float)code_at(w, cache, 1, h, slot)[j]);
			else
				o = o + (e[i] * float_at(w, cache, 1, h, slot)[j]);
		}
		want[j] = o / t;
	}
	free(e);
}

static void attend(struct conf *c, const struct window *w, uint32_t position, uint64_t *seed)
{
	uint32_t heads = w->kv * w->group, keys = w->window < w->slots ? w->window : w->slots;
	uint64_t entries = make_queries(c, w, seed), events = conf_count(c, 0, SNPU_COUNTER_EVENTS), synops = conf_count(c, 0, SNPU_COUNTER_SYNOPS);
	float *want = malloc(4 * heads * w->d);

	if (position < keys)
		keys = position + 1;
	*conf_u32(c, SNPU_REGION_INPUT, C) = position;
	snpu_emit(&c->prog, SWA, .hdr.flags = kv_flags(w), .q = snpu_ref(SNPU_REGION_CONST, A), .cache = state(A), .position = in(C), .out = out(A),
		  .kv = w->kv, .group = w->group, .d = w->d, .slots = w->slots, .window = w->window);
	conf_u32(c, SNPU_REGION_OUTPUT, A)[heads * w->d] = FENCE;
	EXPECT_EQ(conf_run(c), 0);
	for (uint32_t m = 0; m < heads; m++)
		swa_want(c, w, position, keys, m, want + m * w->d);
	conf_expect(conf_f32(c, SNPU_REGION_OUTPUT, A), want, heads * w->d, "SWA");
	EXPECT_EQ(conf_u32(c, SNPU_REGION_OUTPUT, A)[heads * w->d], FENCE);
	EXPECT_EQ(conf_count(c, 0, SNPU_COUNTER_EVENTS) - events, entries);
	EXPECT_EQ(conf_count(c, 0, SNPU_COUNTER_SYNOPS) - synops, entries * keys);
	free(want);
}

/* A sequence of positions, each appended and attended from. */
static void window_case(struct conf *c, const struct window *w, uint32_t first, uint32_t positions, uint64_t *seed)
{
	memset(c->mem[SNPU_REGION_STATE], 0, 4 * cache_words(w));
	for (uint32_t i = 0; i < positions; i++) {
		append(c, w, first + i, seed);
		attend(c, w, first + i, seed);
	}
}

static void all_windows(struct conf *c, bool int8)
{
	static const struct window some[] = {
		{ .kv = 1, .group = 1, .d = 1, .slots = 1, .window = 1 },
		{ .kv = 1, .group = 1, .d = 16, .slots = 4, .window = 9 },
		{ .kv = 2, .group = 1, .d = 3, .slots = 5, .window = 4 },
		{ .kv = 1, .group = 3, .d = 17, .slots = 9, .window = 9 },
		{ .kv = 3, .group = 2, .d = 7, .slots = 20, .window = 3 },
		{ .kv = 2, .group = 7, .d = 64, .slots = 18, .window = 17 },
		{ .kv = 1, .group = 2, .d = 128, .slots = 7, .window = 300 },
		{ .kv = 2, .group = 2, .d = 33, .slots = 40, .window = 40 },
	};
	uint64_t seed = int8 ? 203 : 204;

	for (unsigned int i = 0; i < 2 * sizeof(some) / sizeof(some[0]); i++) {
		struct window w = some[i / 2];

		w.int8 = int8;
		w.edges = i & 1;
		window_case(c, &w, 0, w.slots + 3, &seed);
		window_case(c, &w, 0xfffffffcu, 4, &seed);		/* the last positions there are */
		if (th_failed)
			return;
	}
}

TEST_F(conf, window_of_floats)
{
	all_windows(self, false);
}

TEST_F(conf, window_of_codes)
{
	all_windows(self, true);
}

/* --- threads --------------------------------------------------------------------------------------------------- */

static void large_cases(struct conf *c)
{
	const struct gla g = { .kv = 3, .group = 3, .d = 128, .rows = 6 };
	struct window w = { .kv = 2, .group = 5, .d = 64, .slots = 600, .window = 599 };
	uint64_t seed = 205;

	gla_case(c, &g, false, &seed);
	for (unsigned int int8 = 0; int8 < 2; int8++) {
		w.int8 = int8;
		fill(c, SNPU_REGION_STATE, A, cache_words(&w), &seed, false);	/* as codes: any bytes; scales come last and are floats */
		for (uint32_t i = 0; i < 20; i++)
			append(c, &w, 590 + i, &seed);
		attend(c, &w, 609, &seed);
	}
}

CONF_LARGE_PACKETS(large_cases)

TEST_HARNESS_MAIN
