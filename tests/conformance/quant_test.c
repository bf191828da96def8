/* SPDX-License-Identifier: MIT */
/*
 * The packets of integers against "Integers" of docs/numerics.md, written once more in 128-bit arithmetic that cannot overflow and with
 * division in the place of shifts: ordinary values, values at every limit, sums that leave 32 bits, all flags; what their rows in the
 * profile must say; faults.
 */
#include "fault.h"

CONF_VARIANTS

#define MAX_OUT	6000u
#define STEPS	4u
#define N_MAX	130u

typedef __int128 wide;

static wide limit(wide x, int bits)
{
	wide most = ((wide)1 << (bits - 1)) - 1;

	return x > most ? most : x < -most ? -most : x;
}

static int32_t *ints(struct conf *c, unsigned int region)
{
	return (int32_t *)conf_u32(c, region, 0);
}

static bool same(const int32_t *got, const int32_t *want, uint32_t n, const char *what)
{
	for (uint32_t i = 0; i < n; i++)
		if (got[i] != want[i]) {
			printf("# %s: element %u of %u is %d, must be %d\n", what, i, n, got[i], want[i]);
			return false;
		}
	return true;
}

static struct snpu_ref in(void) { return snpu_ref(SNPU_REGION_INPUT, 0); }
static struct snpu_ref list(void) { return snpu_ref(SNPU_REGION_SCRATCH, 0); }

/* How large values are: some cases stay small, as networks do, others reach for the limits. */
static int32_t number(uint64_t *seed, unsigned int size)
{
	static const int32_t special[] = { INT32_MAX, -INT32_MAX, INT32_MIN, 0x7fffff, -0x7fffff, 0x800000, -0x800000, 65536, 65535, 4096, 0, 1, -1 };
	int32_t r = (int32_t)conf_random(seed);

	switch (size) {
	case 0: return r % 2;
	case 1: return r % 300;
	case 2: return r % 40000;
	default: return conf_random(seed) % 3 ? r >> conf_random(seed) % 24 : special[conf_random(seed) % (sizeof(special) / sizeof(special[0]))];
	}
}

/* What EVPACK lets through: -2^31 has the bits of a zero. */
static wide count_of(int32_t x)
{
	return x == INT32_MIN ? 0 : limit(x, 24);
}

/* --- QLINEAR ------------------------------------------------------------------------------------------------------ */

static int64_t weight_at(struct conf *c, uint64_t i, bool int16)
{
	return int16 ? ((int16_t *)c->mem[SNPU_REGION_WEIGHTS])[i] : ((int8_t *)c->mem[SNPU_REGION_WEIGHTS])[i];
}

static int32_t output(wide sum, uint32_t shift, int32_t bias)
{
	return (int32_t)limit(limit(sum, 32) * ((wide)1 << shift) + bias, 32);
}

static void fill(struct conf *c, uint64_t *seed, uint32_t inputs, uint32_t percent, uint64_t weight_bytes, uint32_t biases, unsigned int size)
{
	for (uint32_t i = 0; i < inputs; i++)
		ints(c, SNPU_REGION_INPUT)[i] = conf_random(seed) % 100 < percent ? number(seed, size) : 0;
	for (uint64_t i = 0; i < weight_bytes; i++)
		c->mem[SNPU_REGION_WEIGHTS][i] = size > 2 && conf_random(seed) % 2 ? 0x80 : (uint8_t)conf_random(seed);
	for (uint32_t i = 0; i < biases; i++)
		ints(c, SNPU_REGION_CONST)[i] = number(seed, 3);
}

static void linear_case(struct conf *c, uint64_t *seed, uint32_t n_in, uint32_t n_out, unsigned int flags, uint32_t percent, unsigned int size)
{
	struct snpu_pkt_QLINEAR p = { .hdr.flags = (uint8_t)flags, .ev = list(), .weights = snpu_ref(SNPU_REGION_WEIGHTS, 0), .n_in = n_in, .n_out = n_out,
				      .out = snpu_ref(SNPU_REGION_OUTPUT, 0), .shift = conf_random(seed) % (SNPU_Q_MAX_SHIFT + 1) };
	static int32_t want[MAX_OUT];
	uint64_t events = 0;

	fill(c, seed, n_in, percent, ((uint64_t)SNPU_TILES(n_out) * n_in * SNPU_TILE) << SNPU_Q_WIDE(flags), n_out, size);
	if (flags & SNPU_Q_BIAS)
		p.bias = snpu_ref(SNPU_REGION_CONST, 0);
	for (uint32_t i = 0; i < n_in; i++)
		events += count_of(ints(c, SNPU_REGION_INPUT)[i]) != 0;
	for (uint32_t o = 0; o < n_out; o++) {
		wide sum = 0;

		for (uint32_t i = 0; i < n_in; i++)
			sum += weight_at(c, ((uint64_t)(o / SNPU_TILE) * n_in + i) * SNPU_TILE + o % SNPU_TILE, flags & SNPU_Q_INT16) *
			       count_of(ints(c, SNPU_REGION_INPUT)[i]);
		want[o] = output(sum, p.shift, flags & SNPU_Q_BIAS ? ints(c, SNPU_REGION_CONST)[o] : 0);
	}
	ints(c, SNPU_REGION_OUTPUT)[n_out] = 77;
	memset(c->mem[SNPU_REGION_PROFILE], 0, 4096);
	snpu_emit(&c->prog, EVPACK, .x = in(), .ev = list(), .n = n_in);
	c->prog.slot = 2;
	snpu_prog_append(&c->prog, SNPU_OP_QLINEAR, &p);
	c->prog.slot = 0;
	ASSERT_EQ(conf_run(c), 0);
	EXPECT_TRUE(same(ints(c, SNPU_REGION_OUTPUT), want, n_out, "QLINEAR"));
	EXPECT_EQ(ints(c, SNPU_REGION_OUTPUT)[n_out], 77);
	EXPECT_EQ(conf_count(c, 2, SNPU_COUNTER_EVENTS), events);
	EXPECT_EQ(conf_count(c, 2, SNPU_COUNTER_SYNOPS), events * n_out);
	EXPECT_EQ(conf_count(c, 2, SNPU_COUNTER_SKIPPED), (n_in - events) * SNPU_TILES(n_out));
}

TEST_F(conf, linear)
{
	static const uint32_t sizes[][2] = { { 1, 1 }, { 3, 7 }, { 40, 64 }, { 33, 65 }, { 100, 130 }, { 257, 31 }, { 900, 200 } };
	static const uint32_t densities[] = { 0, 4, 50, 100 };
	uint64_t seed = 11;

	for (unsigned int s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
		for (unsigned int k = 0; k < 64 && !th_failed; k++) {
			unsigned int flags = (k & 1 ? SNPU_Q_BIAS : 0) | (k & 2 ? SNPU_Q_INT16 : 0);

			linear_case(self, &seed, sizes[s][0], sizes[s][1], flags, densities[k / 4 % 4], k / 16);
			if (th_failed)
				printf("# n_in %u n_out %u flags %u density %u size %u\n", sizes[s][0], sizes[s][1], flags, densities[k / 4 % 4], k / 16);
		}
}

/* The greatest sums that 32 bits can just hold and just not hold, where vector kernels change their way. */
TEST_F(conf, sums_at_the_limit_of_32_bits)
{
	for (unsigned int int16 = 0; int16 < 2; int16++)
		for (int more = -1; more <= 1; more++) {
			uint32_t weight = int16 ? 1u << 15 : 1u << 7, all = (uint32_t)((1ull << 31) / weight) + (uint32_t)more, n = all / 32767 + 1;
			struct snpu_pkt_QLINEAR p = { .hdr.flags = int16 ? SNPU_Q_INT16 : 0, .ev = list(), .weights = snpu_ref(SNPU_REGION_WEIGHTS, 0),
						      .n_in = n, .n_out = 1, .out = snpu_ref(SNPU_REGION_OUTPUT, 0) };

			memset(self->mem[SNPU_REGION_WEIGHTS], 0, ((uint64_t)n * SNPU_TILE) << int16);
			for (uint32_t i = 0; i < n; i++) {
				ints(self, SNPU_REGION_INPUT)[i] = i + 1 < n ? 32767 : (int32_t)(all - 32767 * (n - 1));
				if (int16)
					((int16_t *)self->mem[SNPU_REGION_WEIGHTS])[i * SNPU_TILE] = INT16_MIN;
				else
					((int8_t *)self->mem[SNPU_REGION_WEIGHTS])[i * SNPU_TILE] = INT8_MIN;
			}
			snpu_emit(&self->prog, EVPACK, .x = in(), .ev = list(), .n = n);
			snpu_prog_append(&self->prog, SNPU_OP_QLINEAR, &p);
			ASSERT_EQ(conf_run(self), 0);
			EXPECT_EQ(ints(self, SNPU_REGION_OUTPUT)[0], more < 0 ? -(int32_t)(all * weight) : -INT32_MAX);
		}
}

/* --- QCONV, QPOOL ------------------------------------------------------------------------------------------------- */

/* Element of the kernel that input `at` is under in window `k`, -1. */
static int tap(uint32_t at, uint32_t k, uint32_t kernel, uint32_t stride, uint32_t dilation, uint32_t pad)
{
	for (uint32_t t = 0; t < kernel; t++)
		if ((int64_t)k * stride - pad + (int64_t)t * dilation == at)
			return (int)t;
	return -1;
}

/* One output. weights: false: all are 1. */
static wide image_sum(struct conf *c, const struct snpu_pkt_QCONV *p, bool weights, uint32_t channel, uint32_t oy, uint32_t ox, uint64_t *seen)
{
	uint32_t g = channel / p->c_out, o = channel % p->c_out;
	wide sum = 0;

	for (uint32_t ch = g * p->c_in; ch < (g + 1) * p->c_in; ch++)
		for (uint32_t y = 0; y < p->h; y++)
			for (uint32_t x = 0; x < p->w; x++) {
				wide count = count_of(ints(c, SNPU_REGION_INPUT)[(ch * p->h + y) * p->w + x]);
				int i = tap(y, oy, p->kernel_h, p->stride_h, p->dilation_h, p->pad_top);
				int j = tap(x, ox, p->kernel_w, p->stride_w, p->dilation_w, p->pad_left);
				uint64_t at = ch * (SNPU_QCONV_BLOCK(p) * 64 >> SNPU_Q_WIDE(p->hdr.flags));

				if (!count || i < 0 || j < 0)
					continue;
				at += ((uint64_t)i * p->kernel_w + (unsigned int)j) * SNPU_CONV_BURSTS(p->c_out) * SNPU_CONV_LANES + o;
				sum += count * (weights ? weight_at(c, at, p->hdr.flags & SNPU_Q_INT16) : 1);
				(*seen)++;
			}
	return sum;
}

static void image_want(struct conf *c, const struct snpu_pkt_QCONV *p, bool weights, int32_t *want, uint64_t *seen)
{
	*seen = 0;
	for (uint32_t ch = 0; ch < p->groups * p->c_out; ch++)
		for (uint32_t y = 0; y < p->out_h; y++)
			for (uint32_t x = 0; x < p->out_w; x++)
				*want++ = output(image_sum(c, p, weights, ch, y, x, seen), p->shift, p->hdr.flags & SNPU_Q_BIAS ? ints(c, SNPU_REGION_CONST)[ch] : 0);
}

static uint64_t silent_channels(struct conf *c, const struct snpu_pkt_QCONV *p)
{
	uint64_t silent = 0;

	for (uint32_t ch = 0; ch < p->groups * p->c_in; ch++) {
		bool any = false;

		for (uint32_t k = 0; k < p->h * p->w; k++)
			any |= count_of(ints(c, SNPU_REGION_INPUT)[ch * p->h * p->w + k]) != 0;
		silent += !any;
	}
	return silent;
}

static uint32_t some(uint64_t *seed, uint32_t most)
{
	return 1 + conf_random(seed) % most;
}

static struct snpu_pkt_QCONV random_image(uint64_t *seed, bool pool)
{
	bool plain = pool || conf_random(seed) % 2;

	return (struct snpu_pkt_QCONV){
		.hdr.flags = (uint8_t)(pool ? 0 : conf_random(seed) & (SNPU_Q_BIAS | SNPU_Q_INT16)), .groups = some(seed, 3), .c_in = pool ? 1 : some(seed, 3),
		.c_out = pool ? 1 : some(seed, 35), .h = some(seed, 7), .w = some(seed, 9), .out_h = some(seed, 5), .out_w = some(seed, 6),
		.kernel_h = some(seed, 4), .kernel_w = some(seed, 4), .stride_h = some(seed, 3), .stride_w = some(seed, 3), .dilation_h = plain ? 1 : some(seed, 3),
		.dilation_w = plain ? 1 : some(seed, 3), .pad_top = conf_random(seed) % 3, .pad_left = conf_random(seed) % 3, .ev = list(),
		.shift = pool ? 0 : conf_random(seed) % (SNPU_Q_MAX_SHIFT + 1), .out = snpu_ref(SNPU_REGION_OUTPUT, 0),
	};
}

static void emit_pool(struct snpu_prog *prog, const struct snpu_pkt_QCONV *p)
{
	snpu_emit(prog, QPOOL, .ev = p->ev, .out = p->out, .channels = p->groups, .h = p->h, .w = p->w, .out_h = p->out_h, .out_w = p->out_w,
		  .kernel_h = p->kernel_h, .kernel_w = p->kernel_w, .stride_h = p->stride_h, .stride_w = p->stride_w, .pad_top = p->pad_top,
		  .pad_left = p->pad_left);
}

static void image_case(struct conf *c, uint64_t *seed, bool pool, uint32_t percent, unsigned int size)
{
	struct snpu_pkt_QCONV p = random_image(seed, pool);
	uint32_t n = p.groups * p.c_in * p.h * p.w, n_out = p.groups * p.c_out * p.out_h * p.out_w;
	static int32_t want[MAX_OUT];
	uint64_t seen;

	fill(c, seed, n, percent, pool ? 0 : p.groups * p.c_in * SNPU_QCONV_BLOCK(&p) * 64, p.groups * p.c_out, size);
	image_want(c, &p, !pool, want, &seen);
	if (!pool)
		p.weights = snpu_ref(SNPU_REGION_WEIGHTS, 0);
	if (p.hdr.flags & SNPU_Q_BIAS)
		p.bias = snpu_ref(SNPU_REGION_CONST, 0);
	memset(c->mem[SNPU_REGION_PROFILE], 0, 4096);
	snpu_emit(&c->prog, EVPACK, .x = in(), .ev = list(), .n = n);
	c->prog.slot = 5;
	if (pool)
		emit_pool(&c->prog, &p);
	else
		snpu_prog_append(&c->prog, SNPU_OP_QCONV, &p);
	c->prog.slot = 0;
	ASSERT_EQ(conf_run(c), 0);
	EXPECT_TRUE(same(ints(c, SNPU_REGION_OUTPUT), want, n_out, pool ? "QPOOL" : "QCONV"));
	EXPECT_EQ(conf_count(c, 5, SNPU_COUNTER_SYNOPS), pool ? 0 : seen);
	EXPECT_EQ(conf_count(c, 5, SNPU_COUNTER_SKIPPED), pool ? 0 : silent_channels(c, &p) * SNPU_QCONV_BLOCK(&p));
	if (th_failed)
		printf("# groups %u c %u>%u %ux%u > %ux%u kernel %ux%u flags %u\n", p.groups, p.c_in, p.c_out, p.h, p.w, p.out_h, p.out_w, p.kernel_h,
		       p.kernel_w, p.hdr.flags);
}

TEST_F(conf, images)
{
	static const uint32_t densities[] = { 0, 10, 60, 100 };
	uint64_t seed = 5;

	for (unsigned int k = 0; k < 240 && !th_failed; k++)
		image_case(self, &seed, k % 3 == 2, densities[k % 4], k / 4 % 4);
}

/* --- elementwise and neurons -------------------------------------------------------------------------------------- */

TEST_F(conf, add_and_scale)
{
	uint64_t seed = 3;

	for (unsigned int k = 0; k < 40; k++) {
		uint32_t n = some(&seed, N_MAX);
		int32_t want[N_MAX];
		const int32_t *a = ints(self, SNPU_REGION_INPUT), *b = ints(self, SNPU_REGION_CONST);

		for (uint32_t i = 0; i < n; i++) {
			ints(self, SNPU_REGION_INPUT)[i] = number(&seed, k % 4);
			ints(self, SNPU_REGION_CONST)[i] = number(&seed, k / 4 % 4);
			want[i] = (int32_t)limit(k & 1 ? (wide)a[i] + b[i] : (wide)a[i] * b[i], 32);
		}
		if (k & 1)
			snpu_emit(&self->prog, QADD, .a = in(), .b = snpu_ref(SNPU_REGION_CONST, 0), .out = snpu_ref(SNPU_REGION_OUTPUT, 0), .n = n);
		else
			snpu_emit(&self->prog, QSCALE, .x = in(), .scale = snpu_ref(SNPU_REGION_CONST, 0), .out = snpu_ref(SNPU_REGION_OUTPUT, 0), .n = n);
		ASSERT_EQ(conf_run(self), 0);
		EXPECT_TRUE(same(ints(self, SNPU_REGION_OUTPUT), want, n, k & 1 ? "QADD" : "QSCALE"));
	}
}

static const struct neuron {
	const char *name;
	unsigned int opcode, states, params, flags;	/* flags: those it takes */
	bool fires;
} neurons[] = {
	{ "QTHRESHOLD", SNPU_OP_QTHRESHOLD, 0, 1, SNPU_NEURON_GE, true }, { "QLI", SNPU_OP_QLI, 1, 2, SNPU_QNEURON_24, false },
	{ "QLIF", SNPU_OP_QLIF, 1, 4, SNPU_QNEURON_FLAGS, true }, { "QCUBALI", SNPU_OP_QCUBALI, 2, 3, SNPU_QNEURON_24, false },
	{ "QCUBALIF", SNPU_OP_QCUBALIF, 2, 5, SNPU_QNEURON_FLAGS, true },
};

static wide decay(int32_t x, int32_t d, unsigned int flags)
{
	uint32_t one = flags & SNPU_QNEURON_24 ? 4096 : 65536, part = (uint32_t)d < one ? (uint32_t)d : one;

	return (wide)x * part / one;		/* toward zero */
}

static wide sat(wide x, unsigned int flags)
{
	return limit(x, flags & SNPU_QNEURON_24 ? 24 : 32);
}

/* p: v_threshold, v_reset, then the rows that flags add. s: v, perhaps i, perhaps the steps to rest. Returns the spikes. */
static int32_t fire(const struct neuron *k, wide v, int32_t *s, const int32_t *p, unsigned int flags)
{
	const int32_t *more = p + 2;
	int32_t most = 1, floor = INT32_MIN, rest = 0;
	wide z = 0;

	if (flags & SNPU_NEURON_MULTI)
		most = *more++;
	most = most < 1 ? 1 : most > 8388607 ? 8388607 : most;
	if (flags & SNPU_NEURON_FLOOR)
		floor = *more++;
	if (flags & SNPU_QNEURON_REFRACT)
		rest = *more < 0 ? 0 : *more > 255 ? 255 : *more;
	if (flags & SNPU_QNEURON_REFRACT && s[k->states]) {
		s[k->states] = (int32_t)((uint32_t)s[k->states] - 1);
		return 0;
	}
	if (flags & SNPU_NEURON_GE ? v >= p[0] : v > p[0])
		z = flags & SNPU_NEURON_MULTI && p[0] > 0 ? v / p[0] : 1;
	z = z > most ? most : z;
	if (z && (flags & SNPU_NEURON_RESET_MASK) == SNPU_NEURON_RESET_VALUE)
		v = p[1];
	else if (z)
		v = sat(v - z * ((wide)p[0] - ((flags & SNPU_NEURON_RESET_MASK) == SNPU_NEURON_RESET_DELTA ? p[1] : 0)), flags);
	if (z && flags & SNPU_QNEURON_REFRACT)
		s[k->states] = rest;
	s[0] = (int32_t)(v < floor ? floor : v);
	return (int32_t)z;
}

static int32_t step(const struct neuron *k, int32_t x, int32_t *s, const int32_t *p, unsigned int flags)
{
	wide drive = x;

	if (!k->states)
		return flags & SNPU_NEURON_GE ? x >= p[0] : x > p[0];
	if (k->states == 2) {
		drive = sat(decay(s[1], p[0], flags) + x, flags);
		s[1] = (int32_t)drive;
		p++;
	}
	drive = sat(decay(s[0], p[0], flags) + drive + p[1], flags);
	if (k->fires)
		return fire(k, drive, s, p + 2, flags);
	return s[0] = (int32_t)drive;
}

/* Parameters of which half the neurons are such as networks have: decays near 1, thresholds in reach. */
static void fill_neurons(struct conf *c, const struct neuron *k, unsigned int flags, uint32_t n, uint64_t *seed, unsigned int size)
{
	unsigned int decays = k->states, rows = k->params + SNPU_QNEURON_ROWS(flags);

	for (uint32_t i = 0; i < STEPS * n; i++)
		ints(c, SNPU_REGION_INPUT)[i] = number(seed, size);
	for (uint32_t i = 0; i < rows * n; i++)
		ints(c, SNPU_REGION_CONST)[i] = i / n < decays && i & 1 ? (int32_t)(conf_random(seed) % (flags & SNPU_QNEURON_24 ? 4097 : 65537)) : number(seed, size);
	for (uint32_t i = 0; i < (k->states + SNPU_QNEURON_STATES(flags)) * n; i++)
		ints(c, SNPU_REGION_STATE)[i] = i / n == k->states ? (int32_t)(conf_random(seed) % 3) : number(seed, size);
}

static void neuron_case(struct conf *c, const struct neuron *k, unsigned int flags, uint32_t n, uint64_t *seed, unsigned int size, bool in_place)
{
	struct snpu_pkt_QLIF p = { .hdr.flags = (uint8_t)flags, .x = snpu_ref_step(SNPU_REGION_INPUT, 0, 4 * n), .param = snpu_ref(SNPU_REGION_CONST, 0),
				   .out = snpu_ref_step(SNPU_REGION_OUTPUT, 0, 4 * n), .n = n };
	static int32_t want[STEPS * N_MAX], state[3 * N_MAX];
	unsigned int states = k->states + SNPU_QNEURON_STATES(flags), rows = k->params + SNPU_QNEURON_ROWS(flags);
	uint64_t spikes = 0;

	fill_neurons(c, k, flags, n, seed, size);
	if (in_place) {
		p.x = p.out;
		memcpy(ints(c, SNPU_REGION_OUTPUT), ints(c, SNPU_REGION_INPUT), STEPS * n * sizeof(int32_t));
	}
	if (states)
		p.state = snpu_ref(SNPU_REGION_STATE, 0);
	for (uint32_t i = 0; i < n; i++) {
		int32_t s[3] = { 0 }, q[8] = { 0 };

		for (unsigned int j = 0; j < states; j++)
			s[j] = ints(c, SNPU_REGION_STATE)[j * n + i];
		for (unsigned int j = 0; j < rows; j++)
			q[j] = ints(c, SNPU_REGION_CONST)[j * n + i];
		for (unsigned int t = 0; t < STEPS; t++) {
			want[t * n + i] = step(k, ints(c, SNPU_REGION_INPUT)[t * n + i], s, q, flags);
			spikes += k->fires && want[t * n + i];
		}
		for (unsigned int j = 0; j < states; j++)
			state[j * n + i] = s[j];
	}
	memset(c->mem[SNPU_REGION_PROFILE], 0, 4096);
	c->prog.slot = 3;
	snpu_emit(&c->prog, LOOP, .count = STEPS);
	snpu_prog_append(&c->prog, k->opcode, &p);	/* all neuron packets have the layout of QLIF */
	snpu_emit(&c->prog, NEXT);
	ASSERT_EQ(conf_run(c), 0);
	EXPECT_TRUE(same(ints(c, SNPU_REGION_OUTPUT), want, STEPS * n, k->name));
	EXPECT_TRUE(same(ints(c, SNPU_REGION_STATE), state, states * n, k->name));
	EXPECT_EQ(conf_count(c, 3, SNPU_COUNTER_SPIKES), spikes);
	EXPECT_EQ(conf_count(c, 3, SNPU_COUNTER_UPDATES), k->states ? STEPS * n : 0);
}

TEST_F(conf, neurons)
{
	static const uint32_t sizes[] = { 1, 8, 17, N_MAX };
	uint64_t seed = 7;

	for (unsigned int k = 0; k < sizeof(neurons) / sizeof(neurons[0]); k++)
		for (unsigned int flags = 0; flags < 128; flags++) {
			if ((flags & 3) == 3 || flags & ~neurons[k].flags)
				continue;
			for (unsigned int s = 0; s < 12 && !th_failed; s++)
				neuron_case(self, &neurons[k], flags, sizes[s % 4], &seed, 1 + s / 4, s & 1);
			if (th_failed)
				printf("# %s with flags %u\n", neurons[k].name, flags);
		}
}

/* Worked out by hand: 24 bits saturate and do not wrap, and what a decay leaves is rounded toward zero. */
TEST_F(conf, by_hand)
{
	/* 4194303 + 8388607, limited; 4194303 + 5; 2097154 - 3; 1048575 - 8388607; half of that; half of -3670015 */
	static const int32_t x[] = { 8388607, 5, -3, -8388607, 1, 0 }, v[] = { 8388607, 4194308, 2097151, -7340032, -3670015, -1835007 };
	static const int32_t param[] = { 2048, 0 };	/* one half of 4096; no bias */

	memcpy(ints(self, SNPU_REGION_INPUT), x, sizeof(x));
	memcpy(ints(self, SNPU_REGION_CONST), param, sizeof(param));
	ints(self, SNPU_REGION_STATE)[0] = 8388607;
	snpu_emit(&self->prog, LOOP, .count = 6);
	snpu_emit(&self->prog, QLI, .hdr.flags = SNPU_QNEURON_24, .x = snpu_ref_step(SNPU_REGION_INPUT, 0, 4), .state = snpu_ref(SNPU_REGION_STATE, 0),
		  .param = snpu_ref(SNPU_REGION_CONST, 0), .out = snpu_ref_step(SNPU_REGION_OUTPUT, 0, 4), .n = 1);
	snpu_emit(&self->prog, NEXT);
	ASSERT_EQ(conf_run(self), 0);
	EXPECT_TRUE(same(ints(self, SNPU_REGION_OUTPUT), v, 6, "QLI"));
}

/* A list that is no list stops the packet before it writes; a hole in the weights does so even where nothing spiked. */
TEST_F(conf, faults)
{
	struct snpu_pkt_QLINEAR p = { .ev = list(), .weights = snpu_ref(SNPU_REGION_WEIGHTS, 0), .n_in = 4, .n_out = 200, .out = snpu_ref(SNPU_REGION_OUTPUT, 0) };
	uint32_t *ev = conf_u32(self, SNPU_REGION_SCRATCH, 0);

	memcpy(ev, (uint32_t[]){ 2, 0, 3, 1, 3, 1 }, 24);
	ints(self, SNPU_REGION_OUTPUT)[0] = 5;
	snpu_prog_append(&self->prog, SNPU_OP_QLINEAR, &p);
	ASSERT_EQ(build(self), 0);
	EXPECT_FAULT(self, SNPU_FAULT_BAD_EVENTS, 0, 0, CONF_VA(SNPU_REGION_SCRATCH) + 16, SNPU_ACCESS_READ);
	EXPECT_EQ(ints(self, SNPU_REGION_OUTPUT)[0], 5);
	p.n_in = 100;
	p.weights = snpu_ref(SNPU_REGION_WEIGHTS, 4096 - 64);
	ev[0] = 0;
	ASSERT_EQ(bind(self, SNPU_REGION_WEIGHTS, 4096, 4096, 0), 0);
	snpu_prog_append(&self->prog, SNPU_OP_QLINEAR, &p);
	ASSERT_EQ(build(self), 0);
	EXPECT_FAULT(self, SNPU_FAULT_MMU_UNMAPPED, 0, 1, CONF_VA(SNPU_REGION_WEIGHTS) + 4096, SNPU_ACCESS_READ);
	EXPECT_EQ(ints(self, SNPU_REGION_OUTPUT)[0], 5);
}

TEST_HARNESS_MAIN
