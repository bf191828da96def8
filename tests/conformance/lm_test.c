/* SPDX-License-Identifier: MIT */
/*
 * Packets of language models that work on one row at a time: GATHER, ENCODE, SPMV, MATMUL, SILU_MUL, RMSNORM, ARGMAX. Random data of
 * sizes around tile and vector widths, with edge values, against the law written down once more; exact counters; and
 * nothing written that is not a result.
 */
#include "conf.h"
#include "law.h"

CONF_VARIANTS

static const uint32_t sizes[] = { 1, 2, 7, 15, 16, 17, 31, 33, 63, 64, 65, 100, 127, 128, 129, 300 };
static const uint32_t row_counts[] = { 1, 2, 5 };
#define SIZES	(sizeof(sizes) / sizeof(sizes[0]))
#define ROWS	3

enum { A = 0, B = 0x20000, C = 0x40000 };		/* offsets of arrays in a region */

#define FENCE	0x5a5a5a5au		/* in words that must not change */

static struct snpu_ref in(uint64_t off) { return snpu_ref(SNPU_REGION_INPUT, off); }
static struct snpu_ref out(uint64_t off) { return snpu_ref(SNPU_REGION_OUTPUT, off); }
static struct snpu_ref weights(uint64_t off) { return snpu_ref(SNPU_REGION_WEIGHTS, off); }
static struct snpu_ref constant(uint64_t off) { return snpu_ref(SNPU_REGION_CONST, off); }
static struct snpu_ref scratch(uint64_t off) { return snpu_ref(SNPU_REGION_SCRATCH, off); }
static const struct snpu_ref none;

static float *fill(struct conf *c, unsigned int region, uint64_t offset, uint64_t n, uint64_t *seed, bool edges)
{
	float *x = conf_f32(c, region, offset);

	for (uint64_t i = 0; i < n; i++)
		x[i] = conf_float(seed, edges);
	return x;
}

static void fill_halves(uint16_t *x, uint64_t n, uint64_t *seed, bool edges)
{
	for (uint64_t i = 0; i < n; i++)
		x[i] = (uint16_t)(law_bits(conf_float(seed, edges)) >> 16);
}

static float any_weight(const void *w, uint64_t i, bool bf16)
{
	return bf16 ? law_bf16(((const uint16_t *)w)[i]) : ((const float *)w)[i];
}

/* --- GATHER ---------------------------------------------------------------------------------------------------- */

static void gather_case(struct conf *c, uint32_t n, uint32_t rows, bool bf16, uint64_t *seed)
{
	uint32_t table_rows = 1 + conf_random(seed) % 20, *index = conf_u32(c, SNPU_REGION_INPUT, A);
	float want[5 * 300];

	fill(c, SNPU_REGION_WEIGHTS, 0, (uint64_t)n * table_rows, seed, true);
	if (bf16)
		fill_halves((uint16_t *)c->mem[SNPU_REGION_WEIGHTS], (uint64_t)n * table_rows, seed, true);
	for (uint32_t r = 0; r < rows; r++) {
		index[r] = r ? conf_random(seed) % table_rows : table_rows - 1;
		for (uint32_t i = 0; i < n; i++)
			want[r * n + i] = any_weight(c->mem[SNPU_REGION_WEIGHTS], (uint64_t)index[r] * n + i, bf16);
	}
	snpu_emit(&c->prog, GATHER, .hdr.flags = bf16 ? SNPU_WEIGHTS_BF16 : 0, .index = in(A), .table = weights(0), .out = out(A),
		  .table_rows = table_rows, .n = n, .rows = rows);
	conf_u32(c, SNPU_REGION_OUTPUT, A)[rows * n] = FENCE;
	ASSERT_EQ(conf_run(c), 0);
	conf_expect(conf_f32(c, SNPU_REGION_OUTPUT, A), want, rows * n, "GATHER");
	EXPECT_EQ(conf_u32(c, SNPU_REGION_OUTPUT, A)[rows * n], FENCE);
}

TEST_F(conf, gather)
{
	uint64_t seed = 101;

	for (unsigned int s = 0; s < SIZES; s++)
		for (unsigned int r = 0; r < ROWS; r++)
			gather_case(self, sizes[s], row_counts[r], (s + r) & 1, &seed);
}

/* --- ENCODE ---------------------------------------------------------------------------------------------------- */

/* Rows of all kinds: ordinary, zero, with edge values, so small or large that the threshold meets its limits. */
static float row_value(unsigned int kind, uint64_t *seed)
{
	float x = conf_float(seed, kind == 1);

	return kind == 2 ? 0.0f : kind == 3 ? x * 1e-8f : kind == 4 ? x * 1e30f : kind == 5 && conf_random(seed) % 9 == 0 ? NAN : x;
}

static void encode_want(const float *x, uint32_t n, float k, struct snpu_spikes *head, struct snpu_spike *spike)
{
	struct law_sum m = { 0 };

	for (uint32_t i = 0; i < n; i++)
		m.f64[i % 16] += fabs(x[i]);
	head->vth = law_limit((float)((law_sum64(&m) / n) / k));
	head->count = 0;
	for (uint32_t i = 0; i < n; i++) {
		int32_t s = law_round(x[i] / head->vth, -0x1p30, 0x1p30);

		if (s)
			spike[head->count++] = (struct snpu_spike){ i, s };
	}
}

static void encode_case(struct conf *c, uint32_t n, uint32_t rows, float k, uint64_t *seed)
{
	uint32_t words = SNPU_EVENTS_WORDS(n), *lists = conf_u32(c, SNPU_REGION_SCRATCH, A);
	float *x = conf_f32(c, SNPU_REGION_INPUT, A);
	uint64_t before = conf_count(c, 0, SNPU_COUNTER_SPIKES), spikes = 0;

	for (uint32_t r = 0; r < rows; r++)
		for (uint32_t i = 0, kind = conf_random(seed) % 6; i < n; i++)
			x[r * n + i] = row_value(kind, seed);
	for (uint32_t i = 0; i <= rows * words; i++)
		lists[i] = FENCE;
	snpu_emit(&c->prog, ENCODE, .x = in(A), .spikes = scratch(A), .n = n, .rows = rows, .k = law_bits(k));
	ASSERT_EQ(conf_run(c), 0);
	for (uint32_t r = 0; r < rows; r++) {
		const uint32_t *list = lists + r * words;
		struct snpu_spikes head;
		struct snpu_spike want[500];

		encode_want(x + r * n, n, k, &head, want);
		ASSERT_EQ(list[0], head.count);
		ASSERT_TRUE(conf_same(((const float *)list)[1], head.vth));
		ASSERT_EQ(memcmp(list + 2, want, head.count * sizeof(*want)), 0);
		for (uint32_t i = 2 + 2 * head.count; i < words; i++)
			ASSERT_EQ(list[i], FENCE);
		spikes += head.count;
	}
	EXPECT_EQ(lists[rows * words], FENCE);
	EXPECT_EQ(conf_count(c, 0, SNPU_COUNTER_SPIKES) - before, spikes);
}

TEST_F(conf, encode)
{
	static const float ks[] = { 3.0f, 1.0f, 0.5f, 100.0f, 1e-30f, 0.0f, -2.0f, INFINITY };
	uint64_t seed = 102;

	for (unsigned int s = 0; s < SIZES; s++)
		for (unsigned int r = 0; r < ROWS; r++)
			for (unsigned int i = 0; i < 8; i++)
				encode_case(self, sizes[s], row_counts[r], ks[i], &seed);
}

TEST_F(conf, encode_rounds_half_to_even)
{
	/* The mean of |x| is 1.25, with k = 1.25 the threshold is 1. */
	static const float x[] = { 0.5f, 1.5f, -2.5f, -0.5f };
	const struct snpu_spikes *head = (const void *)conf_u32(self, SNPU_REGION_SCRATCH, A);
	const struct snpu_spike *spike = (const void *)(head + 1);

	memcpy(self->mem[SNPU_REGION_INPUT], x, sizeof(x));
	snpu_emit(&self->prog, ENCODE, .x = in(A), .spikes = scratch(A), .n = 4, .rows = 1, .k = law_bits(1.25f));
	ASSERT_EQ(conf_run(self), 0);
	EXPECT_TRUE(head->vth == 1.0f);
	ASSERT_EQ(head->count, 2);
	EXPECT_EQ(spike[0].channel, 1);
	EXPECT_EQ(spike[0].count, 2);
	EXPECT_EQ(spike[1].channel, 2);
	EXPECT_EQ(spike[1].count, -2);
}

/* --- SPMV ------------------------------------------------------------------------------------------------------ */

struct spmv {
	uint32_t groups, n_out, rows, n_residual;
	unsigned int flags;
	bool edges;
};

static int32_t random_count(uint64_t *seed)
{
	uint32_t r = conf_random(seed), v = conf_random(seed);

	switch (r % 8) {
	case 0:	 return (int32_t)v;
	case 1:	 return (1 << 30) - (int32_t)(v % 3);
	case 2:	 return (int32_t)(v % 100001) - 50000;
	case 3:	 return (int32_t)(v % 601) - 300;
	case 4:	 return 0;
	default: return (int32_t)(v % 13) - 6;
	}
}

/* Lists with none, few, most or all channels. */
static void make_lists(struct conf *c, const struct spmv *s, uint64_t *seed)
{
	uint32_t channels = s->groups * SNPU_GROUP, *list = conf_u32(c, SNPU_REGION_INPUT, A);

	for (uint32_t r = 0; r < s->rows; r++, list += SNPU_EVENTS_WORDS(channels)) {
		struct snpu_spikes *head = (void *)list;
		struct snpu_spike *spike = (void *)(head + 1);
		uint32_t dense = conf_random(seed) % 5;

		*head = (struct snpu_spikes){ 0, s->edges ? conf_float(seed, true) : 0.01f };
		for (uint32_t i = 0; i < channels; i++)
			if (dense == 4 || conf_random(seed) % 4 < dense)
				spike[head->count++] = (struct snpu_spike){ i, random_count(seed) };
	}
}

static void make_weights(struct conf *c, const struct spmv *s, uint64_t *seed)
{
	uint64_t cells = (uint64_t)SNPU_TILES(s->n_out) * s->groups, n = cells * SNPU_GROUP * SNPU_TILE, at = 0;
	int8_t *code = (int8_t *)c->mem[SNPU_REGION_WEIGHTS];
	uint32_t *index = conf_u32(c, SNPU_REGION_CONST, A);
	struct snpu_residual *residual = (void *)(index + cells + 1);

	for (uint64_t i = 0; i < n; i++)
		code[i] = (int8_t)conf_random(seed);
	fill(c, SNPU_REGION_CONST, B, cells * SNPU_TILE, seed, s->edges);
	fill(c, SNPU_REGION_CONST, C, s->n_out, seed, s->edges);
	for (uint64_t i = 0; i < cells; i++) {
		index[i] = (uint32_t)at;
		at = i + 1 == cells ? s->n_residual : at + conf_random(seed) % (s->n_residual - at + 1);
	}
	index[cells] = s->n_residual;
	for (uint32_t i = 0; i < s->n_residual; i++)
		residual[i] = (struct snpu_residual){ conf_random(seed) % SNPU_GROUP, conf_random(seed) % SNPU_TILE, (int16_t)conf_random(seed) };
}

/* What the residual adds to the sum of a group for output o. */
static void residual_want(struct conf *c, const struct spmv *s, uint32_t group, const uint32_t *count, uint32_t o, uint32_t *acc)
{
	const uint32_t *index = conf_u32(c, SNPU_REGION_CONST, A);
	uint64_t cells = (uint64_t)SNPU_TILES(s->n_out) * s->groups, at = (uint64_t)(o / SNPU_TILE) * s->groups + group;
	const struct snpu_residual *x = (const void *)(index + cells + 1);

	for (uint32_t i = index[at]; i < index[at + 1]; i++)
		if (x[i].output == o % SNPU_TILE)
			*acc += count[group * SNPU_GROUP + x[i].channel] * (uint32_t)(int32_t)x[i].code;
}

static float spmv_want(struct conf *c, const struct spmv *s, const uint32_t *count, float vth, uint32_t o)
{
	const float *scale = conf_f32(c, SNPU_REGION_CONST, B);
	float t = 0.0f, y;

	for (uint32_t g = 0; g < s->groups; g++) {
		uint64_t at = (uint64_t)(o / SNPU_TILE) * s->groups + g;
		uint32_t acc = 0;

		for (uint32_t i = 0; i < SNPU_GROUP; i++) {
			int8_t code = ((const int8_t *)c->mem[SNPU_REGION_WEIGHTS])[(at * SNPU_GROUP + i) * SNPU_TILE + o % SNPU_TILE];

			acc += count[g * SNPU_GROUP + i] * (uint32_t)(int32_t)code;
		}
		if (s->flags & SNPU_SPMV_RESIDUAL)
			residual_want(c, s, g, count, o, &acc);
		t = t + (scale[at * SNPU_TILE + o % SNPU_TILE] * (float)(int32_t)acc);
	}
	y = vth * t;
	return s->flags & SNPU_SPMV_BIAS ? y + conf_f32(c, SNPU_REGION_CONST, C)[o] : y;
}

struct spmv_counts {
	uint64_t events, synops, skipped;
};

/* Entries of the residual of each channel, in all tiles. */
static uint64_t residual_hits(struct conf *c, const struct spmv *s, uint32_t channel)
{
	const uint32_t *index = conf_u32(c, SNPU_REGION_CONST, A);
	uint64_t cells = (uint64_t)SNPU_TILES(s->n_out) * s->groups, hits = 0;
	const struct snpu_residual *x = (const void *)(index + cells + 1);

	for (uint64_t at = channel / SNPU_GROUP; at < cells; at += s->groups)
		for (uint32_t i = index[at]; i < index[at + 1]; i++)
			hits += x[i].channel == channel % SNPU_GROUP;
	return hits;
}

static void spmv_row(struct conf *c, const struct spmv *s, uint32_t r, struct spmv_counts *sum)
{
	uint32_t channels = s->groups * SNPU_GROUP, count[3 * SNPU_GROUP] = { 0 };
	const struct snpu_spikes *head = (const void *)(conf_u32(c, SNPU_REGION_INPUT, A) + r * SNPU_EVENTS_WORDS(channels));
	const struct snpu_spike *spike = (const void *)(head + 1);
	float want[1000];

	for (uint32_t e = 0; e < head->count; e++) {
		count[spike[e].channel] = (uint32_t)spike[e].count;
		if (s->flags & SNPU_SPMV_RESIDUAL)
			sum->synops += residual_hits(c, s, spike[e].channel);
	}
	for (uint32_t o = 0; o < s->n_out; o++)
		want[o] = spmv_want(c, s, count, head->vth, o);
	conf_expect(conf_f32(c, SNPU_REGION_OUTPUT, A) + r * s->n_out, want, s->n_out, "SPMV");
	sum->events += head->count;
	sum->synops += (uint64_t)head->count * s->n_out;
	sum->skipped += (uint64_t)(channels - head->count) * SNPU_TILES(s->n_out);
}

static void spmv_case(struct conf *c, const struct spmv *s, uint64_t *seed)
{
	struct spmv_counts sum = { 0 };

	make_lists(c, s, seed);
	make_weights(c, s, seed);
	memset(c->mem[SNPU_REGION_PROFILE], 0, 4096);
	snpu_emit(&c->prog, SPMV, .hdr.flags = (uint8_t)s->flags, .spikes = in(A), .weights = weights(0), .scales = constant(B),
		  .residual = s->flags & SNPU_SPMV_RESIDUAL ? constant(A) : none, .bias = s->flags & SNPU_SPMV_BIAS ? constant(C) : none,
		  .out = out(A), .groups = s->groups, .n_out = s->n_out, .rows = s->rows, .n_residual = s->n_residual);
	conf_u32(c, SNPU_REGION_OUTPUT, A)[s->rows * s->n_out] = FENCE;
	ASSERT_EQ(conf_run(c), 0);
	for (uint32_t r = 0; r < s->rows; r++)
		spmv_row(c, s, r, &sum);
	EXPECT_EQ(conf_u32(c, SNPU_REGION_OUTPUT, A)[s->rows * s->n_out], FENCE);
	EXPECT_EQ(conf_count(c, 0, SNPU_COUNTER_EVENTS), sum.events);
	EXPECT_EQ(conf_count(c, 0, SNPU_COUNTER_SYNOPS), sum.synops);
	EXPECT_EQ(conf_count(c, 0, SNPU_COUNTER_SKIPPED), sum.skipped);
}

TEST_F(conf, spmv)
{
	static const uint32_t outs[] = { 1, 17, 63, 64, 65, 130 };
	static const unsigned int flags[] = { 0, SNPU_SPMV_BIAS, SNPU_SPMV_RESIDUAL, SNPU_SPMV_BIT_SERIAL, SNPU_SPMV_BIAS | SNPU_SPMV_RESIDUAL,
					      SNPU_SPMV_BIAS | SNPU_SPMV_RESIDUAL | SNPU_SPMV_BIT_SERIAL };
	uint64_t seed = 103;

	for (unsigned int o = 0; o < 6; o++)
		for (unsigned int g = 1; g <= 3; g++)
			for (unsigned int f = 0; f < 6; f++) {
				struct spmv s = { .groups = g, .n_out = outs[o], .rows = row_counts[conf_random(&seed) % ROWS], .flags = flags[f],
						  .edges = (g + f) % 3 == 0 };

				if (s.flags & SNPU_SPMV_RESIDUAL)
					s.n_residual = conf_random(&seed) % 3 ? conf_random(&seed) % 300 : 0;
				spmv_case(self, &s, &seed);
				if (th_failed)
					return;
			}
}

TEST_F(conf, spmv_sums_are_exact_and_modulo)
{
	/* 2^24 + 1 is no binary32: it must arrive exactly in the integer sum, and be rounded once, to even. 2^31 wraps. */
	struct snpu_spikes *head = (void *)self->mem[SNPU_REGION_INPUT];
	struct snpu_spike *spike = (void *)(head + 1);
	int8_t *w = (int8_t *)self->mem[SNPU_REGION_WEIGHTS];

	*head = (struct snpu_spikes){ 3, 1.0f };
	spike[0] = (struct snpu_spike){ 0, 1 << 24 };
	spike[1] = (struct snpu_spike){ 1, 1 };
	spike[2] = (struct snpu_spike){ 127, 1 << 30 };
	w[0] = w[SNPU_TILE] = 1;
	w[1] = 1;
	w[SNPU_TILE + 1] = 3;
	w[127 * SNPU_TILE + 2] = 2;
	for (int o = 0; o < 3; o++)
		conf_f32(self, SNPU_REGION_CONST, B)[o] = 1.0f;
	snpu_emit(&self->prog, SPMV, .spikes = in(A), .weights = weights(0), .scales = constant(B), .out = out(A), .groups = 1, .n_out = 3,
		  .rows = 1);
	ASSERT_EQ(conf_run(self), 0);
	EXPECT_TRUE(conf_f32(self, SNPU_REGION_OUTPUT, A)[0] == 0x1p24f);
	EXPECT_TRUE(conf_f32(self, SNPU_REGION_OUTPUT, A)[1] == 0x1p24f + 4);
	EXPECT_TRUE(conf_f32(self, SNPU_REGION_OUTPUT, A)[2] == -0x1p31f);
}

/* --- MATMUL ---------------------------------------------------------------------------------------------------- */

static void matmul_case(struct conf *c, uint32_t n_in, uint32_t n_out, uint32_t rows, unsigned int flags, bool edges, uint64_t *seed)
{
	const float *x = fill(c, SNPU_REGION_INPUT, A, (uint64_t)rows * n_in, seed, edges);
	const float *bias = fill(c, SNPU_REGION_CONST, A, n_out, seed, edges);
	const void *w = fill(c, SNPU_REGION_WEIGHTS, 0, flags & SNPU_WEIGHTS_BF16 ? 0 : (uint64_t)n_in * n_out, seed, edges);
	float *got = conf_f32(c, SNPU_REGION_OUTPUT, A), want[1000];

	if (flags & SNPU_WEIGHTS_BF16)
		fill_halves((uint16_t *)c->mem[SNPU_REGION_WEIGHTS], (uint64_t)n_in * n_out, seed, edges);
	snpu_emit(&c->prog, MATMUL, .hdr.flags = (uint8_t)flags, .x = in(A), .weights = weights(0), .out = out(A),
		  .bias = flags & SNPU_MATMUL_BIAS ? constant(A) : none, .n_in = n_in, .n_out = n_out, .rows = rows);
	conf_u32(c, SNPU_REGION_OUTPUT, A)[rows * n_out] = FENCE;
	ASSERT_EQ(conf_run(c), 0);
	for (uint32_t r = 0; r < rows; r++) {
		for (uint32_t o = 0; o < n_out; o++) {
			struct law_sum sum = { 0 };

			for (uint32_t i = 0; i < n_in; i++)
				sum.f32[i % 16] += any_weight(w, (uint64_t)o * n_in + i, flags & SNPU_WEIGHTS_BF16) * x[r * n_in + i];
			want[o] = law_sum32(&sum);
			if (flags & SNPU_MATMUL_BIAS)
				want[o] = want[o] + bias[o];
		}
		conf_expect(got + r * n_out, want, n_out, "MATMUL");
	}
	EXPECT_EQ(conf_u32(c, SNPU_REGION_OUTPUT, A)[rows * n_out], FENCE);
}

TEST_F(conf, matmul)
{
	static const uint32_t outs[] = { 1, 2, 3, 5, 16, 63, 64, 65 };
	uint64_t seed = 105;

	for (unsigned int s = 0; s < SIZES; s++)
		for (unsigned int o = 0; o < 8; o++)
			matmul_case(self, sizes[s], outs[o], row_counts[conf_random(&seed) % ROWS],
				    (s & 1 ? SNPU_WEIGHTS_BF16 : 0) | (o & 1 ? SNPU_MATMUL_BIAS : 0), (s + o) % 3 == 0, &seed);
}

/* --- SILU_MUL, RMSNORM, ARGMAX ----------------------------------------------------------------------------------- */

/* Over the whole range in which exp does something, and beyond. */
static float wide(uint64_t *seed)
{
	uint32_t r = conf_random(seed) % 16;
	float x = conf_float(seed, r < 3);

	return r == 3 ? NAN : r < 6 ? x * 300.0f : r < 8 ? x * 20.0f : x;
}

/* where: 0 a place of its own, 1 gate's, 2 up's */
static void silu_case(struct conf *c, uint32_t n, unsigned int where, uint64_t *seed)
{
	float *gate = conf_f32(c, SNPU_REGION_SCRATCH, A), *up = fill(c, SNPU_REGION_SCRATCH, C, n, seed, true), want[40000];
	uint64_t at = where == 0 ? 0x80000 : where == 1 ? A : C;

	for (uint32_t i = 0; i < n; i++) {
		gate[i] = wide(seed);
		want[i] = (float)(gate[i] / (1 + law_exp(-(double)gate[i]))) * up[i];
	}
	snpu_emit(&c->prog, SILU_MUL, .gate = scratch(A), .up = scratch(C), .out = scratch(at), .n = n);
	conf_u32(c, SNPU_REGION_SCRATCH, at)[n] = FENCE;
	ASSERT_EQ(conf_run(c), 0);
	conf_expect(conf_f32(c, SNPU_REGION_SCRATCH, at), want, n, "SILU_MUL");
	EXPECT_EQ(conf_u32(c, SNPU_REGION_SCRATCH, at)[n], FENCE);
}

TEST_F(conf, silu_mul)
{
	uint64_t seed = 106;

	for (unsigned int s = 0; s < 3 * SIZES; s++)
		silu_case(self, sizes[s / 3], s % 3, &seed);
}

static void rmsnorm_case(struct conf *c, uint32_t n, uint32_t rows, float eps, uint64_t *seed)
{
	const float *w = fill(c, SNPU_REGION_CONST, A, n, seed, false);
	float *x = conf_f32(c, SNPU_REGION_INPUT, A), want[400];

	for (uint32_t r = 0; r < rows; r++)
		for (uint32_t i = 0, kind = conf_random(seed) % 6; i < n; i++)
			x[r * n + i] = row_value(kind, seed);
	snpu_emit(&c->prog, RMSNORM, .x = in(A), .weight = constant(A), .out = out(A), .n = n, .rows = rows, .eps = law_bits(eps));
	conf_u32(c, SNPU_REGION_OUTPUT, A)[rows * n] = FENCE;
	ASSERT_EQ(conf_run(c), 0);
	for (uint32_t r = 0; r < rows; r++) {
		struct law_sum m = { 0 };
		float s;

		for (uint32_t i = 0; i < n; i++)
			m.f64[i % 16] += (double)x[r * n + i] * x[r * n + i];
		s = (float)(1 / sqrt(law_sum64(&m) / n + eps));
		for (uint32_t i = 0; i < n; i++)
			want[i] = (x[r * n + i] * s) * w[i];
		conf_expect(conf_f32(c, SNPU_REGION_OUTPUT, A) + r * n, want, n, "RMSNORM");
	}
	EXPECT_EQ(conf_u32(c, SNPU_REGION_OUTPUT, A)[rows * n], FENCE);
}

TEST_F(conf, rmsnorm)
{
	static const float eps[] = { 1e-6f, 0.0f, 1.0f, -1.0f, INFINITY };
	uint64_t seed = 107;

	for (unsigned int s = 0; s < SIZES; s++)
		for (unsigned int r = 0; r < ROWS; r++)
			for (unsigned int i = 0; i < 5; i++)
				rmsnorm_case(self, sizes[s], row_counts[r], eps[i], &seed);
}

TEST_F(conf, argmax)
{
	uint64_t seed = 108;

	for (unsigned int s = 0; s < 40 * SIZES; s++) {
		uint32_t n = sizes[s / 40], rows = row_counts[s % ROWS];
		float *x = conf_f32(self, SNPU_REGION_INPUT, A);

		for (uint32_t i = 0; i < rows * n; i++)		/* few values, so that there are equals */
			x[i] = conf_random(&seed) % 9 == 0 ? NAN : conf_random(&seed) % 9 == 0 ? -INFINITY : (float)(conf_random(&seed) % 4);
		snpu_emit(&self->prog, ARGMAX, .x = in(A), .out = out(A), .n = n, .rows = rows);
		conf_u32(self, SNPU_REGION_OUTPUT, A)[rows] = FENCE;
		ASSERT_EQ(conf_run(self), 0);
		for (uint32_t r = 0; r < rows; r++) {
			uint32_t best = 0;

			for (uint32_t i = 1; i < n; i++)
				best = x[r * n + i] > x[r * n + best] ? i : best;
			ASSERT_EQ(conf_u32(self, SNPU_REGION_OUTPUT, A)[r], best);
		}
		EXPECT_EQ(conf_u32(self, SNPU_REGION_OUTPUT, A)[rows], FENCE);
	}
}

/* --- threads ----------------------------------------------------------------------------------------------------- */

/* Packets large enough to be shared. */
static void large_cases(struct conf *c)
{
	struct spmv s = { .groups = 3, .n_out = 1000, .rows = 40, .flags = SNPU_SPMV_BIAS | SNPU_SPMV_RESIDUAL, .n_residual = 6000 };
	uint64_t seed = 109;

	spmv_case(c, &s, &seed);
	matmul_case(c, 700, 301, 5, 0, false, &seed);
	matmul_case(c, 701, 701, 2, SNPU_WEIGHTS_BF16 | SNPU_MATMUL_BIAS, false, &seed);
	silu_case(c, 40000, 1, &seed);
	rmsnorm_case(c, 400, 400, 1e-6f, &seed);
	encode_case(c, 500, 200, 3.0f, &seed);
}

CONF_LARGE_PACKETS(large_cases)

/* Whoever opens the device may flush denormals; the law keeps them, in every thread. */
TEST_F(conf, threads_keep_denormals)
{
#ifdef __SSE__
	unsigned int was = __builtin_ia32_stmxcsr();
	uint64_t seed = 110;

	if (strcmp(variant->device, "cpu"))
		SKIP("other devices do not share packets");
	conf_close(self);
	setenv("SNPU_THREADS", "5", 1);
	__builtin_ia32_ldmxcsr(was | 0x8040);		/* flush to zero, denormals are zero */
	ASSERT_EQ(conf_open(self, variant), 0);
	for (uint32_t i = 0; i < 4000; i++)
		conf_u32(self, SNPU_REGION_INPUT, A)[i] = 1 + conf_random(&seed) % 1000;	/* patterns of denormals */
	for (uint32_t i = 0; i < 250; i++)
		conf_f32(self, SNPU_REGION_WEIGHTS, 0)[4 * i] = 1.0f;
	snpu_emit(&self->prog, LOOP, .count = 20);
	snpu_emit(&self->prog, MATMUL, .x = in(A), .weights = weights(0), .out = out(A), .n_in = 4, .n_out = 250, .rows = 1000);
	snpu_emit(&self->prog, NEXT);
	EXPECT_EQ(conf_run(self), 0);
	__builtin_ia32_ldmxcsr(was);
	for (uint32_t i = 0; i < 250000; i++)
		ASSERT_EQ(conf_u32(self, SNPU_REGION_OUTPUT, A)[i], conf_u32(self, SNPU_REGION_INPUT, A)[i / 250 * 4]);
#else
	SKIP("no such mode is known here");
#endif
}

TEST_HARNESS_MAIN
