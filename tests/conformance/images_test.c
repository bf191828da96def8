/* SPDX-License-Identifier: MIT */
/*
 * CONV, POOL and the delays: random geometries of all kinds at densities from silent to full, with edge values, against the law
 * of docs/numerics.md from the output's side: for each output, which entries does its window see? Then what may and what must
 * be there in memory, and the faults.
 */
#include <math.h>

#include "fault.h"

CONF_VARIANTS

#define MAX_OUT	20000u

static struct snpu_ref in(uint64_t off) { return snpu_ref(SNPU_REGION_INPUT, off); }
static struct snpu_ref out(uint64_t off) { return snpu_ref(SNPU_REGION_OUTPUT, off); }
static struct snpu_ref list(void) { return snpu_ref(SNPU_REGION_SCRATCH, 0); }

static float rnd(float x)
{
	volatile float y = x;

	return y;
}

static uint32_t some(uint64_t *seed, uint32_t most)
{
	return 1 + conf_random(seed) % most;
}

/* Element of the kernel that input `at` is under in window `k`, -1. */
static int tap(uint32_t at, uint32_t k, uint32_t kernel, uint32_t stride, uint32_t dilation, uint32_t pad)
{
	for (uint32_t t = 0; t < kernel; t++)
		if ((int64_t)k * stride - pad + (int64_t)t * dilation == at)
			return (int)t;
	return -1;
}

/* --- CONV --------------------------------------------------------------------------------------------------------- */

static uint64_t weight_at(const struct snpu_pkt_CONV *p, uint32_t channel, int i, int j, uint32_t o)
{
	return (((uint64_t)channel * p->kernel_h + (unsigned int)i) * p->kernel_w + (unsigned int)j) * SNPU_CONV_BURSTS(p->c_out) * SNPU_CONV_LANES + o;
}

/* One output, and how many entries it sees. */
static float conv_output(struct conf *c, const struct snpu_pkt_CONV *p, const float *x, uint32_t channel, uint32_t oy, uint32_t ox, uint64_t *seen)
{
	uint32_t g = channel / p->c_out, o = channel % p->c_out;
	const float *w = conf_f32(c, SNPU_REGION_WEIGHTS, 0);
	float acc = 0.0f;

	for (uint32_t in_c = g * p->c_in; in_c < (g + 1) * p->c_in; in_c++)
		for (uint32_t y = 0; y < p->h; y++)
			for (uint32_t xx = 0; xx < p->w; xx++) {
				float v = x[(in_c * p->h + y) * p->w + xx];
				int i = tap(y, oy, p->kernel_h, p->stride_h, p->dilation_h, p->pad_top);
				int j = tap(xx, ox, p->kernel_w, p->stride_w, p->dilation_w, p->pad_left);

				if (v == 0.0f || i < 0 || j < 0)
					continue;
				acc = rnd(acc + rnd(w[weight_at(p, in_c, i, j, o)] * v));
				(*seen)++;
			}
	return p->hdr.flags & SNPU_CONV_BIAS ? rnd(acc + conf_f32(c, SNPU_REGION_CONST, 0)[channel]) : acc;
}

/* Entries of the input, and the input channels that have one. */
static void count_input(const struct snpu_pkt_CONV *p, const float *x, uint64_t *events, uint64_t *active)
{
	*events = *active = 0;
	for (uint32_t ch = 0; ch < p->groups * p->c_in; ch++) {
		uint64_t before = *events;

		for (uint32_t k = 0; k < p->h * p->w; k++)
			*events += x[ch * p->h * p->w + k] != 0.0f;
		*active += *events != before;
	}
}

/* Runs p on what is in INPUT, WEIGHTS and CONST, and compares. */
static void check_conv(struct conf *c, const struct snpu_pkt_CONV *p)
{
	static float want[MAX_OUT];
	const float *x = conf_f32(c, SNPU_REGION_INPUT, 0);
	uint32_t n = p->groups * p->c_in * p->h * p->w, n_out = p->groups * p->c_out * p->out_h * p->out_w, at = 0;
	uint64_t seen = 0, events, active;
	struct snpu_pkt_CONV packet = *p;

	packet.ev = list();
	packet.weights = snpu_ref(SNPU_REGION_WEIGHTS, 0);
	packet.out = out(0);
	if (p->hdr.flags & SNPU_CONV_BIAS)
		packet.bias = snpu_ref(SNPU_REGION_CONST, 0);
	for (uint32_t ch = 0; ch < p->groups * p->c_out; ch++)
		for (uint32_t y = 0; y < p->out_h; y++)
			for (uint32_t xx = 0; xx < p->out_w; xx++)
				want[at++] = conv_output(c, p, x, ch, y, xx, &seen);
	conf_f32(c, SNPU_REGION_OUTPUT, 0)[n_out] = 77.0f;
	memset(c->mem[SNPU_REGION_PROFILE], 0, 4096);
	snpu_emit(&c->prog, EVPACK, .x = in(0), .ev = list(), .n = n);
	c->prog.slot = 2;
	snpu_prog_append(&c->prog, SNPU_OP_CONV, &packet);
	c->prog.slot = 0;
	ASSERT_EQ(conf_run(c), 0);
	conf_expect(conf_f32(c, SNPU_REGION_OUTPUT, 0), want, n_out, "CONV");
	EXPECT_TRUE(conf_f32(c, SNPU_REGION_OUTPUT, 0)[n_out] == 77.0f);
	count_input(p, x, &events, &active);
	EXPECT_EQ(conf_count(c, 2, SNPU_COUNTER_EVENTS), events);
	EXPECT_EQ(conf_count(c, 2, SNPU_COUNTER_SYNOPS), seen);
	EXPECT_EQ(conf_count(c, 2, SNPU_COUNTER_SKIPPED), (p->groups * p->c_in - active) * SNPU_CONV_BLOCK(p));
	if (th_failed)
		printf("# groups %u c %u>%u %ux%u > %ux%u kernel %ux%u stride %ux%u dilation %ux%u pad %u,%u\n", p->groups, p->c_in, p->c_out, p->h, p->w,
		       p->out_h, p->out_w, p->kernel_h, p->kernel_w, p->stride_h, p->stride_w, p->dilation_h, p->dilation_w, p->pad_top, p->pad_left);
}

static void fill_conv(struct conf *c, const struct snpu_pkt_CONV *p, uint64_t *seed, uint32_t percent, bool edges)
{
	uint64_t weights = p->groups * p->c_in * SNPU_CONV_BLOCK(p) * SNPU_CONV_LANES;

	for (uint32_t i = 0; i < p->groups * p->c_in * p->h * p->w; i++)
		conf_f32(c, SNPU_REGION_INPUT, 0)[i] = conf_random(seed) % 100 >= percent ? (i & 1 ? -0.0f : 0.0f) : edges ? conf_float(seed, true) : 1.0f;
	for (uint64_t i = 0; i < weights; i++)
		conf_f32(c, SNPU_REGION_WEIGHTS, 0)[i] = conf_float(seed, edges);
	for (uint32_t i = 0; i < p->groups * p->c_out; i++)
		conf_f32(c, SNPU_REGION_CONST, 0)[i] = conf_float(seed, edges);
}

static struct snpu_pkt_CONV random_conv(uint64_t *seed)
{
	struct snpu_pkt_CONV p;
	bool square = conf_random(seed) % 2;

	memset(&p, 0, sizeof(p));
	p = (struct snpu_pkt_CONV){ .groups = conf_random(seed) % 3 ? 1 : some(seed, 4), .c_in = some(seed, 3), .c_out = some(seed, 20), .h = some(seed, 9),
				    .w = some(seed, 20), .out_h = some(seed, 7), .out_w = some(seed, 20), .kernel_h = some(seed, 5), .kernel_w = some(seed, 5),
				    .stride_h = some(seed, 3), .stride_w = some(seed, 3), .dilation_h = square ? 1 : some(seed, 3),
				    .dilation_w = square ? 1 : some(seed, 3), .pad_top = conf_random(seed) % 4, .pad_left = conf_random(seed) % 4 };
	p.hdr.flags = conf_random(seed) % 2 ? SNPU_CONV_BIAS : 0;
	return p;
}

TEST_F(conf, conv)
{
	static const uint32_t percents[] = { 0, 3, 20, 60, 100 };
	uint64_t seed = 11;

	for (unsigned int i = 0; i < 150 && !th_failed; i++) {
		struct snpu_pkt_CONV p = random_conv(&seed);

		fill_conv(self, &p, &seed, percents[i % 5], i % 3 == 0);
		check_conv(self, &p);
	}
}

/* The same, large enough and full enough for every way a backend may have to do it; one infinite weight forbids some of them. */
TEST_F(conf, conv_of_full_images)
{
	static const uint32_t widths[] = { 1, 16, 17, 33, 64 };
	uint64_t seed = 12;

	for (unsigned int i = 0; i < 5; i++) {
		struct snpu_pkt_CONV p = { .groups = 1 + i % 2, .c_in = 3, .c_out = widths[i], .h = 9, .w = 13, .out_h = 9, .out_w = 13, .kernel_h = 3,
					   .kernel_w = 3, .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1, .pad_top = 1, .pad_left = 1,
					   .hdr.flags = SNPU_CONV_BIAS };

		fill_conv(self, &p, &seed, 70, false);
		check_conv(self, &p);
		conf_f32(self, SNPU_REGION_WEIGHTS, 0)[weight_at(&p, 1, 1, 1, 0)] = INFINITY;
		for (uint32_t k = 0; k < p.h * p.w; k++)
			conf_f32(self, SNPU_REGION_INPUT, 0)[p.h * p.w + k] = 0.0f;
		check_conv(self, &p);
		EXPECT_TRUE(isfinite(conf_f32(self, SNPU_REGION_OUTPUT, 0)[0]));
	}
}

/* A sum of nothing is +0.0, and a bias of -0.0 does not change that; products of -0.0 do not either. */
TEST_F(conf, conv_keeps_zero_positive)
{
	struct snpu_pkt_CONV p = { .groups = 1, .c_in = 1, .c_out = 1, .h = 4, .w = 8, .out_h = 4, .out_w = 8, .kernel_h = 1, .kernel_w = 1,
				   .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1, .hdr.flags = SNPU_CONV_BIAS };

	conf_f32(self, SNPU_REGION_CONST, 0)[0] = -0.0f;
	conf_f32(self, SNPU_REGION_WEIGHTS, 0)[0] = -0x1p-100f;
	for (int i = 0; i < 32; i++)
		conf_f32(self, SNPU_REGION_INPUT, 0)[i] = i == 3 ? 0.0f : i == 5 ? -0.0f : 0x1p-100f;
	check_conv(self, &p);
	for (int i = 0; i < 32; i++)
		EXPECT_EQ(conf_u32(self, SNPU_REGION_OUTPUT, 0)[i], 0);
}

/* By hand: a cross-correlation, not a convolution; [1 2; 3 4] over an impulse at (1, 1) of 3 x 3 gives the kernel upside down. */
TEST_F(conf, conv_by_hand)
{
	struct snpu_pkt_CONV p = { .groups = 1, .c_in = 1, .c_out = 1, .h = 3, .w = 3, .out_h = 2, .out_w = 2, .kernel_h = 2, .kernel_w = 2,
				   .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1 };
	static const float want[] = { 4, 3, 2, 1 };

	for (int i = 0; i < 9; i++)
		conf_f32(self, SNPU_REGION_INPUT, 0)[i] = i == 4;
	for (int i = 0; i < 4; i++)
		conf_f32(self, SNPU_REGION_WEIGHTS, 0)[16 * i] = (float)(i + 1);
	check_conv(self, &p);
	conf_expect(conf_f32(self, SNPU_REGION_OUTPUT, 0), want, 4, "by hand");
}

/* --- POOL --------------------------------------------------------------------------------------------------------- */

static float pool_output(const struct snpu_pkt_POOL *p, const float *x, uint32_t oy, uint32_t ox)
{
	float acc = 0.0f;

	for (uint32_t y = 0; y < p->h; y++)
		for (uint32_t xx = 0; xx < p->w; xx++)
			if (x[y * p->w + xx] != 0.0f && tap(y, oy, p->kernel_h, p->stride_h, 1, p->pad_top) >= 0 &&
			    tap(xx, ox, p->kernel_w, p->stride_w, 1, p->pad_left) >= 0)
				acc = rnd(acc + x[y * p->w + xx]);
	return p->hdr.flags & SNPU_POOL_AVG ? rnd(acc / (float)(p->kernel_h * p->kernel_w)) : acc;
}

static void check_pool(struct conf *c, const struct snpu_pkt_POOL *p)
{
	static float want[MAX_OUT];
	struct snpu_pkt_POOL packet = *p;
	uint32_t at = 0;

	packet.ev = list();
	packet.out = out(0);
	for (uint32_t ch = 0; ch < p->channels; ch++)
		for (uint32_t y = 0; y < p->out_h; y++)
			for (uint32_t xx = 0; xx < p->out_w; xx++)
				want[at++] = pool_output(p, conf_f32(c, SNPU_REGION_INPUT, 4ull * ch * p->h * p->w), y, xx);
	conf_f32(c, SNPU_REGION_OUTPUT, 0)[at] = 77.0f;
	snpu_emit(&c->prog, EVPACK, .x = in(0), .ev = list(), .n = p->channels * p->h * p->w);
	snpu_prog_append(&c->prog, SNPU_OP_POOL, &packet);
	ASSERT_EQ(conf_run(c), 0);
	conf_expect(conf_f32(c, SNPU_REGION_OUTPUT, 0), want, at, "POOL");
	EXPECT_TRUE(conf_f32(c, SNPU_REGION_OUTPUT, 0)[at] == 77.0f);
}

TEST_F(conf, pool)
{
	static const uint32_t percents[] = { 0, 5, 50, 100 };
	uint64_t seed = 13;

	for (unsigned int i = 0; i < 120 && !th_failed; i++) {
		struct snpu_pkt_POOL p = { .channels = some(&seed, 4), .h = some(&seed, 12), .w = some(&seed, 20), .out_h = some(&seed, 9),
					   .out_w = some(&seed, 9), .kernel_h = some(&seed, 4), .kernel_w = some(&seed, 4), .stride_h = some(&seed, 4),
					   .stride_w = some(&seed, 4), .pad_top = conf_random(&seed) % 3, .pad_left = conf_random(&seed) % 3,
					   .hdr.flags = i & 1 ? SNPU_POOL_AVG : 0 };

		for (uint32_t k = 0; k < p.channels * p.h * p.w; k++)
			conf_f32(self, SNPU_REGION_INPUT, 0)[k] = conf_random(&seed) % 100 >= percents[i % 4] ? 0.0f : conf_float(&seed, i % 3 == 0);
		check_pool(self, &p);
	}
}

/* --- delays ------------------------------------------------------------------------------------------------------- */

#define DELAY_N		70u
#define DELAY_SLOTS	5u
#define DELAY_STEPS	12u

/* `late`: taken before this step's vector is pushed. */
static void check_delay(struct conf *c, bool late)
{
	static float want[DELAY_STEPS * DELAY_N];
	uint32_t *delay = conf_u32(c, SNPU_REGION_CONST, 0);
	uint32_t *x = conf_u32(c, SNPU_REGION_INPUT, 0);
	struct snpu_ref ring = snpu_ref(SNPU_REGION_STATE, 0);
	uint64_t seed = 14;

	for (uint32_t i = 0; i < DELAY_N; i++)
		delay[i] = i < 20 ? 0 : i < 30 ? DELAY_SLOTS - 1 : conf_random(&seed) % DELAY_SLOTS;
	for (uint32_t i = 0; i < DELAY_STEPS * DELAY_N; i++)
		x[i] = conf_random(&seed) & 0xbfffffffu;	/* any bits but NaN and infinity */
	for (uint32_t t = 0; t < DELAY_STEPS; t++)
		for (uint32_t i = 0; i < DELAY_N; i++) {
			int64_t from = (int64_t)t - delay[i] - late;

			want[t * DELAY_N + i] = from < 0 ? 0.0f : conf_f32(c, SNPU_REGION_INPUT, 0)[from * DELAY_N + i];
		}
	snpu_emit(&c->prog, FILL, .dst = ring, .words = (uint32_t)SNPU_RING_WORDS(DELAY_SLOTS, DELAY_N));
	snpu_emit(&c->prog, LOOP, .count = DELAY_STEPS);
	if (!late)
		snpu_emit(&c->prog, DELAY_PUSH, .x = snpu_ref_step(SNPU_REGION_INPUT, 0, 4 * DELAY_N), .ring = ring, .n = DELAY_N, .slots = DELAY_SLOTS);
	snpu_emit(&c->prog, DELAY_PULL, .ring = ring, .delay = snpu_ref(SNPU_REGION_CONST, 0), .out = snpu_ref_step(SNPU_REGION_OUTPUT, 0, 4 * DELAY_N),
		  .n = DELAY_N, .slots = DELAY_SLOTS);
	if (late)
		snpu_emit(&c->prog, DELAY_PUSH, .x = snpu_ref_step(SNPU_REGION_INPUT, 0, 4 * DELAY_N), .ring = ring, .n = DELAY_N, .slots = DELAY_SLOTS);
	snpu_emit(&c->prog, NEXT);
	ASSERT_EQ(conf_run(c), 0);
	EXPECT_EQ(memcmp(c->mem[SNPU_REGION_OUTPUT], want, sizeof(want)), 0);
	EXPECT_EQ(conf_u32(c, SNPU_REGION_STATE, 0)[0], DELAY_STEPS % DELAY_SLOTS);
}

TEST_F(conf, delays)
{
	check_delay(self, false);
	check_delay(self, true);
}

TEST_F(conf, delay_faults)
{
	const uint64_t vs = CONF_VA(SNPU_REGION_STATE), vc = CONF_VA(SNPU_REGION_CONST);
	struct snpu_ref ring = snpu_ref(SNPU_REGION_STATE, 0);
	uint32_t *state = conf_u32(self, SNPU_REGION_STATE, 0);

	snpu_emit(&self->prog, DELAY_PULL, .ring = ring, .delay = snpu_ref(SNPU_REGION_CONST, 0), .out = out(0), .n = 3, .slots = 2);
	ASSERT_EQ(build(self), 0);
	conf_u32(self, SNPU_REGION_CONST, 0)[2] = 2;
	conf_u32(self, SNPU_REGION_OUTPUT, 0)[0] = 0x77;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_INDEX, 0, 1, vc + 8, SNPU_ACCESS_READ);
	state[0] = 2;				/* looked at first */
	EXPECT_FAULT(self, SNPU_FAULT_BAD_INDEX, 0, 0, vs, SNPU_ACCESS_READ);
	EXPECT_EQ(conf_u32(self, SNPU_REGION_OUTPUT, 0)[0], 0x77);
	snpu_emit(&self->prog, DELAY_PUSH, .x = in(0), .ring = ring, .n = 3, .slots = 2);
	ASSERT_EQ(build(self), 0);
	EXPECT_FAULT(self, SNPU_FAULT_BAD_INDEX, 0, 1, vs, SNPU_ACCESS_READ);
	EXPECT_EQ(state[0], 2);
	state[0] = 1;
	ASSERT_EQ(bind(self, SNPU_REGION_STATE, 0, 4096, SNPU_BIND_READ), 0);
	EXPECT_FAULT(self, SNPU_FAULT_MMU_WRITE, 0, 1, vs, SNPU_ACCESS_WRITE);
}

/* --- what must be there ------------------------------------------------------------------------------------------- */

/* 4 channels of 2 x 2, a kernel of 3 x 3, 100 output channels: a block of weights is 4032 bytes. */
static struct snpu_pkt_CONV spread_conv(void)
{
	return (struct snpu_pkt_CONV){ .ev = in(0), .weights = snpu_ref(SNPU_REGION_WEIGHTS, 0), .out = out(0), .groups = 1, .c_in = 400, .c_out = 100, .h = 2,
				       .w = 2, .out_h = 2, .out_w = 2, .kernel_h = 3, .kernel_w = 3, .stride_h = 1, .stride_w = 1, .dilation_h = 1,
				       .dilation_w = 1, .pad_top = 1, .pad_left = 1 };
}

TEST_F(conf, only_weights_of_active_channels_must_be_mapped)
{
	struct snpu_pkt_CONV p = spread_conv();
	uint64_t block = SNPU_CONV_BLOCK(&p) * 64, vw = CONF_VA(SNPU_REGION_WEIGHTS), first = 20 * block, edge;
	uint32_t *ev = conf_u32(self, SNPU_REGION_INPUT, 0);

	p.c_in = (uint32_t)(CONF_SIZE / block);
	snpu_prog_append(&self->prog, SNPU_OP_CONV, &p);
	ASSERT_EQ(build(self), 0);
	ev[0] = 2;
	ev[2] = 20 * 4;				/* channel 20, top left: under window (0, 0) with the middle of the kernel */
	ev[4] = 20 * 4 + 3;
	((float *)ev)[3] = 2.0f;
	((float *)ev)[5] = 1.0f;
	conf_f32(self, SNPU_REGION_WEIGHTS, first + 4 * SNPU_CONV_BURSTS(100) * 64)[99] = 3.0f;
	ASSERT_EQ(bind(self, SNPU_REGION_WEIGHTS, 0, first / 4096 * 4096, 0), 0);
	edge = (first + block + 4095) / 4096 * 4096;
	ASSERT_EQ(bind(self, SNPU_REGION_WEIGHTS, edge, CONF_SIZE - edge, 0), 0);
	ASSERT_EQ(conf_run_raw(self), 0);
	EXPECT_TRUE(conf_f32(self, SNPU_REGION_OUTPUT, 0)[99 * 4] == 6.0f);
	EXPECT_TRUE(conf_f32(self, SNPU_REGION_OUTPUT, 0)[99 * 4 + 3] == 3.0f);
	ASSERT_EQ(conf_requeue(self), 0);
	ev[4] = 25 * 4;
	conf_u32(self, SNPU_REGION_OUTPUT, 0)[5] = 0x55;
	EXPECT_FAULT(self, SNPU_FAULT_MMU_UNMAPPED, 0, 1, vw + 25 * block > vw + edge ? vw + 25 * block : vw + edge, SNPU_ACCESS_READ);
	EXPECT_EQ(conf_u32(self, SNPU_REGION_OUTPUT, 0)[5], 0x55);
	ev[4] = p.c_in * 4;			/* no such channel */
	EXPECT_FAULT(self, SNPU_FAULT_BAD_EVENTS, 0, 0, CONF_VA(SNPU_REGION_INPUT) + 16, SNPU_ACCESS_READ);
}

/* Operands with pages in any order, written as if they lay together. */
TEST_F(conf, images_across_bindings)
{
	struct snpu_pkt_CONV p = spread_conv();
	static float want[400];
	uint64_t seed = 15;

	p.c_in = 4;
	p.hdr.flags = SNPU_CONV_BIAS;
	fill_conv(self, &p, &seed, 60, false);
	p.ev = list();
	p.bias = snpu_ref(SNPU_REGION_CONST, 0);
	p.out = out(3900);			/* across the end of a page */
	snpu_emit(&self->prog, EVPACK, .x = in(0), .ev = list(), .n = 16);
	snpu_prog_append(&self->prog, SNPU_OP_CONV, &p);
	snpu_emit(&self->prog, POOL, .ev = list(), .out = out(8190 & ~3), .channels = 4, .h = 2, .w = 2, .out_h = 1, .out_w = 1, .kernel_h = 2, .kernel_w = 2,
		  .stride_h = 1, .stride_w = 1);
	ASSERT_EQ(build(self), 0);
	ASSERT_EQ(conf_run_raw(self), 0);
	memcpy(want, self->mem[SNPU_REGION_OUTPUT] + 3900, sizeof(want));
	for (uint64_t off = 0; off < 16384; off += 4096) {	/* pages 0 1 2 3 become 3 2 1 0, and the weights are in pieces */
		ASSERT_EQ(snpu_vm_bind(self->vm, self->bo[SNPU_REGION_OUTPUT], 12288 - off, CONF_VA(SNPU_REGION_OUTPUT) + off, 4096,
				       SNPU_BIND_READ | SNPU_BIND_WRITE), 0);
		ASSERT_EQ(bind(self, SNPU_REGION_WEIGHTS, off, 4096, SNPU_BIND_READ), 0);
	}
	memset(self->mem[SNPU_REGION_OUTPUT], 0, 16384);
	ASSERT_EQ(conf_run_raw(self), 0);
	conf_expect(conf_f32(self, SNPU_REGION_OUTPUT, 12288 + 3900), want, 49, "first page");
	conf_expect(conf_f32(self, SNPU_REGION_OUTPUT, 8192), want + 49, 351, "second page");
}

TEST_F(conf, images_that_are_too_large)
{
	struct snpu_pkt_CONV *conv = packet(self, 0);
	struct snpu_pkt_CONV p = spread_conv();

	p.c_in = 4;
	snpu_prog_append(&self->prog, SNPU_OP_CONV, &p);
	ASSERT_EQ(build(self), 0);
	conv->stride_h = 0;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_OPERAND, 0, 13);
	conv->stride_h = 1;
	conv->kernel_w = SNPU_MAX_KERNEL + 1;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_OPERAND, 0, 12);
	conv->kernel_w = 3;
	conv->groups = conv->c_in = conv->h = conv->w = 65536;	/* 2^64 elements */
	EXPECT_FAULT(self, SNPU_FAULT_BOUNDS, 0, 0);
	conv->groups = conv->h = conv->w = 1;
	conv->c_in = 4;
	conv->out_h = conv->out_w = 65536;
	EXPECT_FAULT(self, SNPU_FAULT_BOUNDS, 0, 3);
	conv->out_h = conv->out_w = 2;
	conv->kernel_h = conv->kernel_w = SNPU_MAX_KERNEL;
	EXPECT_FAULT(self, SNPU_FAULT_BOUNDS, 0, 1);
}

TEST_HARNESS_MAIN
