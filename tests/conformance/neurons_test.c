/* SPDX-License-Identifier: MIT */
/*
 * Every neuron packet over several steps, in every reset mode and with both comparisons, against the update rules of
 * docs/numerics.md written once more; edge values; spikes exactly at the threshold.
 */
#include <math.h>

#include "conf.h"

CONF_VARIANTS

#define STEPS	5u
#define N_MAX	200u

struct neuron {
	const char *name;
	unsigned int opcode, states, params;
	bool fires;
};

static const struct neuron neurons[] = {
	{ "THRESHOLD", SNPU_OP_THRESHOLD, 0, 1, true }, { "I", SNPU_OP_I, 1, 1, false },	{ "IF", SNPU_OP_IF, 1, 3, true },
	{ "LI", SNPU_OP_LI, 1, 3, false },		{ "LIF", SNPU_OP_LIF, 1, 5, true },	{ "CUBALI", SNPU_OP_CUBALI, 2, 5, false },
	{ "CUBALIF", SNPU_OP_CUBALIF, 2, 7, true },
};

static float rnd(float x)
{
	volatile float y = x;

	return y;
}

static float leak(float v, float k, float v_leak, float r, float x)
{
	return rnd(v + rnd(k * rnd(rnd(v_leak + rnd(r * x)) - v)));
}

/* p: v_threshold, v_reset, then the rows that flags add. */
static float spikes(float v, const float *p, unsigned int flags)
{
	float q = rnd(v / p[0]);

	if (!(flags & SNPU_NEURON_GE ? v >= p[0] : v > p[0]))
		return 0.0f;
	if (!(flags & SNPU_NEURON_MULTI))
		return 1.0f;
	q = q < 0 ? ceilf(q) : floorf(q);
	q = q > 1.0f ? q : 1.0f;
	return q < p[2] ? q : p[2];
}

static float reset(float v, float n, const float *p, unsigned int flags)
{
	if (n == 0.0f)
		return v;
	switch (flags & SNPU_NEURON_RESET_MASK) {
	case SNPU_NEURON_RESET_VALUE:	 return p[1];
	case SNPU_NEURON_RESET_SUBTRACT: return rnd(v - rnd(n * p[0]));
	default:			 return rnd(v - rnd(n * rnd(p[0] - p[1])));
	}
}

static float fire(float before, float *v, const float *p, unsigned int flags)
{
	float m = flags & SNPU_NEURON_LATE ? spikes(before, p, flags) : 0.0f, z;
	float floor = p[flags & SNPU_NEURON_MULTI ? 3 : 2];

	*v = reset(*v, m, p, flags);
	z = spikes(*v, p, flags);
	if (!(flags & SNPU_NEURON_LATE) || flags & SNPU_NEURON_NOW)
		*v = reset(*v, rnd(z - m), p, flags);
	if (flags & SNPU_NEURON_FLOOR && *v < floor)
		*v = floor;
	return z;
}

/* One neuron, one step. s: states, p: parameters. */
static float step(const struct neuron *k, float x, float *s, const float *p, unsigned int flags)
{
	float before = s[0];

	switch (k->opcode) {
	case SNPU_OP_THRESHOLD:	return spikes(x, p, flags);
	case SNPU_OP_I:		return s[0] = rnd(s[0] + rnd(p[0] * x));
	case SNPU_OP_IF:
		s[0] = rnd(s[0] + rnd(p[0] * x));
		return fire(before, &s[0], p + 1, flags);
	case SNPU_OP_LI:	return s[0] = leak(s[0], p[0], p[2], p[1], x);
	case SNPU_OP_LIF:
		s[0] = leak(s[0], p[0], p[2], p[1], x);
		return fire(before, &s[0], p + 3, flags);
	default:
		s[1] = rnd(s[1] + rnd(p[0] * rnd(rnd(p[1] * x) - s[1])));
		s[0] = leak(s[0], p[2], p[4], p[3], s[1]);
		return k->opcode == SNPU_OP_CUBALI ? s[0] : fire(before, &s[0], p + 5, flags);
	}
}

/* All neuron packets have the layout of LIF. */
static void emit(struct snpu_prog *prog, const struct neuron *k, unsigned int flags, uint32_t n, bool in_place)
{
	struct snpu_pkt_LIF p = { .hdr.flags = (uint8_t)flags, .x = snpu_ref_step(SNPU_REGION_INPUT, 0, 4 * n),
				  .param = snpu_ref(SNPU_REGION_CONST, 0), .out = snpu_ref_step(SNPU_REGION_OUTPUT, 0, 4 * n), .n = n };

	if (k->states)
		p.state = snpu_ref(SNPU_REGION_STATE, 0);
	if (in_place)
		p.x = p.out;
	snpu_prog_append(prog, k->opcode, &p);
}

static unsigned int rows(const struct neuron *k, unsigned int flags)
{
	return k->params + !!(flags & SNPU_NEURON_MULTI) + !!(flags & SNPU_NEURON_FLOOR);
}

static void fill_case(struct conf *c, const struct neuron *k, unsigned int flags, uint32_t n, uint64_t *seed, bool edges)
{
	for (uint32_t i = 0; i < STEPS * n; i++)
		conf_f32(c, SNPU_REGION_INPUT, 0)[i] = conf_f32(c, SNPU_REGION_OUTPUT, 0)[i] = conf_float(seed, edges);
	for (uint32_t i = 0; i < rows(k, flags) * n; i++)
		conf_f32(c, SNPU_REGION_CONST, 0)[i] = conf_float(seed, edges);
	for (uint32_t i = 0; i < k->states * n; i++)
		conf_f32(c, SNPU_REGION_STATE, 0)[i] = conf_float(seed, edges);
}

static void run_case(struct conf *c, const struct neuron *k, unsigned int flags, uint32_t n, uint64_t *seed, bool edges, bool in_place)
{
	static float want[STEPS * N_MAX], state[2 * N_MAX];
	uint64_t spikes = 0;

	fill_case(c, k, flags, n, seed, edges);
	for (uint32_t i = 0; i < n; i++) {
		float s[2] = { 0 }, p[9] = { 0 };

		for (unsigned int j = 0; j < k->states; j++)
			s[j] = conf_f32(c, SNPU_REGION_STATE, 0)[j * n + i];
		for (unsigned int j = 0; j < rows(k, flags); j++)
			p[j] = conf_f32(c, SNPU_REGION_CONST, 0)[j * n + i];
		for (unsigned int t = 0; t < STEPS; t++) {
			want[t * n + i] = step(k, conf_f32(c, SNPU_REGION_INPUT, 0)[t * n + i], s, p, flags);
			spikes += k->fires && want[t * n + i] != 0.0f;
		}
		for (unsigned int j = 0; j < k->states; j++)
			state[j * n + i] = s[j];
	}
	memset(c->mem[SNPU_REGION_PROFILE], 0, 4096);
	c->prog.slot = 3;
	snpu_emit(&c->prog, LOOP, .count = STEPS);
	emit(&c->prog, k, flags, n, in_place);
	snpu_emit(&c->prog, NEXT);
	ASSERT_EQ(conf_run(c), 0);
	conf_expect(conf_f32(c, SNPU_REGION_OUTPUT, 0), want, STEPS * n, k->name);
	conf_expect(conf_f32(c, SNPU_REGION_STATE, 0), state, k->states * n, k->name);
	EXPECT_EQ(conf_count(c, 3, SNPU_COUNTER_SPIKES), spikes);
	EXPECT_EQ(conf_count(c, 3, SNPU_COUNTER_UPDATES), k->opcode == SNPU_OP_THRESHOLD ? 0 : STEPS * n);
	EXPECT_EQ(conf_count(c, 3, SNPU_COUNTER_PACKETS), 2 + 2 * STEPS);
}

TEST_F(conf, neurons)
{
	static const uint32_t sizes[] = { 1, 7, 8, 17, 64, 130, N_MAX };
	uint64_t seed = 7;

	for (unsigned int k = 0; k < sizeof(neurons) / sizeof(neurons[0]); k++)
		for (unsigned int flags = 0; flags < 128; flags++) {
			if ((flags & 3) == 3 || (flags && !neurons[k].fires) || ((flags & ~SNPU_NEURON_GE) && neurons[k].opcode == SNPU_OP_THRESHOLD))
				continue;
			for (unsigned int s = 0; s < sizeof(sizes) / sizeof(sizes[0]) && !th_failed; s++)
				run_case(self, &neurons[k], flags, sizes[s], &seed, s & 1, s % 3 == 2);
			if (th_failed)
				printf("# %s with flags %u\n", neurons[k].name, flags);
		}
}

TEST_F(conf, spike_at_the_threshold)
{
	/* v == threshold: no spike, but a spike with GE; a threshold of zero on lanes that do not exist counts nothing. */
	for (unsigned int ge = 0; ge < 2; ge++) {
		memset(self->mem[SNPU_REGION_PROFILE], 0, 4096);
		for (int i = 0; i < 5; i++) {
			conf_f32(self, SNPU_REGION_INPUT, 0)[i] = 0.0f;
			conf_f32(self, SNPU_REGION_CONST, 0)[i] = 0.0f;
		}
		snpu_emit(&self->prog, THRESHOLD, .hdr.flags = ge ? SNPU_NEURON_GE : 0, .x = snpu_ref(SNPU_REGION_INPUT, 0),
			  .param = snpu_ref(SNPU_REGION_CONST, 0), .out = snpu_ref(SNPU_REGION_OUTPUT, 0), .n = 5);
		ASSERT_EQ(conf_run(self), 0);
		EXPECT_TRUE(conf_f32(self, SNPU_REGION_OUTPUT, 0)[4] == (float)ge);
		EXPECT_EQ(conf_count(self, 0, SNPU_COUNTER_SPIKES), 5 * ge);
	}
}

/* Numbers worked out by hand: what each of the flags of minor version 3 is for. IF, r 1, threshold 1, reset 0. */
TEST_F(conf, ways_of_firing)
{
	static const struct {
		unsigned int flags;
		float more[2], x[4], z[4], v;
	} cases[] = {
		{ SNPU_NEURON_RESET_SUBTRACT, { 0 }, { 3.5f, 0, 0, 0 }, { 1, 1, 1, 0 }, 0.5f },
		{ SNPU_NEURON_RESET_SUBTRACT | SNPU_NEURON_MULTI, { 100 }, { 3.5f, 0, -1, 2.75f }, { 3, 0, 0, 2 }, 0.25f },
		{ SNPU_NEURON_RESET_SUBTRACT | SNPU_NEURON_MULTI, { 2 }, { 3.5f, 0, 0, 0 }, { 2, 1, 0, 0 }, 0.5f },
		{ SNPU_NEURON_MULTI, { 100 }, { 3.5f, 0, 0.5f, 0 }, { 3, 0, 0, 0 }, 0.5f },
		{ SNPU_NEURON_RESET_SUBTRACT | SNPU_NEURON_FLOOR, { -1 }, { -5, 1.5f, 1, 0 }, { 0, 0, 1, 0 }, 0.5f },
		/* The reset of step 0 lowers v in step 1, after the input has been added. */
		{ SNPU_NEURON_RESET_SUBTRACT | SNPU_NEURON_LATE, { 0 }, { 1.5f, 0.25f, 0, 0 }, { 1, 0, 0, 0 }, 0.75f },
		/* 2.5 is 1.5 after its reset, so it is lowered to 0.5 before it is compared in step 1, does not fire, and is raised again. */
		{ SNPU_NEURON_RESET_SUBTRACT | SNPU_NEURON_LATE | SNPU_NEURON_NOW, { 0 }, { 2.5f, 0, 0, 0 }, { 1, 0, 0, 0 }, 1.5f },
	};

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		float param[5] = { 1, 1, 0, cases[i].more[0], cases[i].more[1] };
		struct snpu_pkt_IF p = { .hdr.flags = (uint8_t)cases[i].flags, .x = snpu_ref_step(SNPU_REGION_INPUT, 0, 4), .n = 1,
					 .state = snpu_ref(SNPU_REGION_STATE, 0), .param = snpu_ref(SNPU_REGION_CONST, 0),
					 .out = snpu_ref_step(SNPU_REGION_OUTPUT, 0, 4) };

		memcpy(conf_f32(self, SNPU_REGION_CONST, 0), param, sizeof(param));
		memcpy(conf_f32(self, SNPU_REGION_INPUT, 0), cases[i].x, sizeof(cases[i].x));
		conf_f32(self, SNPU_REGION_STATE, 0)[0] = 0.0f;
		snpu_emit(&self->prog, LOOP, .count = 4);
		snpu_prog_append(&self->prog, SNPU_OP_IF, &p);
		snpu_emit(&self->prog, NEXT);
		ASSERT_EQ(conf_run(self), 0);
		conf_expect(conf_f32(self, SNPU_REGION_OUTPUT, 0), cases[i].z, 4, "spikes");
		conf_expect(conf_f32(self, SNPU_REGION_STATE, 0), &cases[i].v, 1, "membrane");
	}
}

TEST_F(conf, nan_never_fires)
{
	conf_f32(self, SNPU_REGION_INPUT, 0)[0] = NAN;
	conf_f32(self, SNPU_REGION_CONST, 0)[0] = -INFINITY;
	snpu_emit(&self->prog, THRESHOLD, .hdr.flags = SNPU_NEURON_GE, .x = snpu_ref(SNPU_REGION_INPUT, 0),
		  .param = snpu_ref(SNPU_REGION_CONST, 0), .out = snpu_ref(SNPU_REGION_OUTPUT, 0), .n = 1);
	conf_f32(self, SNPU_REGION_OUTPUT, 0)[0] = 9.0f;
	ASSERT_EQ(conf_run(self), 0);
	EXPECT_TRUE(conf_f32(self, SNPU_REGION_OUTPUT, 0)[0] == 0.0f);
}

TEST_F(conf, denormals_are_kept)
{
	/* LI with k = 0.5: v = 0 + 0.5 * (2^-148 - 0), a denormal that flushing would make zero. */
	float p[3] = { 0.5f, 1.0f, 0.0f };

	memcpy(conf_f32(self, SNPU_REGION_CONST, 0), p, sizeof(p));
	conf_f32(self, SNPU_REGION_STATE, 0)[0] = 0.0f;
	conf_f32(self, SNPU_REGION_INPUT, 0)[0] = 0x1p-148f;
	snpu_emit(&self->prog, LI, .x = snpu_ref(SNPU_REGION_INPUT, 0), .state = snpu_ref(SNPU_REGION_STATE, 0),
		  .param = snpu_ref(SNPU_REGION_CONST, 0), .out = snpu_ref(SNPU_REGION_OUTPUT, 0), .n = 1);
	ASSERT_EQ(conf_run(self), 0);
	EXPECT_EQ(conf_u32(self, SNPU_REGION_OUTPUT, 0)[0], 1);		/* 2^-149 */
}

TEST_HARNESS_MAIN
