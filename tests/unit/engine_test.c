/* SPDX-License-Identifier: MIT */
/*
 * Every packet's good path on the engine, in every page size and in both memories, against results written down by
 * hand or by formula here. Faults are in engine_fault_test.c; loops, preemption and counters in engine_run_test.c.
 */
#include <math.h>
#include <time.h>

#include "tests/harness.h"
#include "tests/unit/engine_rig.h"

#define N	1500u				/* neurons: more than a piece, not a multiple of one */

FIXTURE(engine) { struct rig r; };
FIXTURE_VARIANT(engine) { bool host, host_tables; unsigned int shift; };
FIXTURE_VARIANT_ADD(engine, device_2m) { false, false, 21 };
FIXTURE_VARIANT_ADD(engine, device_64k) { false, true, 16 };
FIXTURE_VARIANT_ADD(engine, device_4k) { false, false, 12 };
FIXTURE_VARIANT_ADD(engine, host_4k) { true, true, 12 };
FIXTURE_VARIANT_ADD(engine, host_2m) { true, false, 21 };
FIXTURE_SETUP(engine) { rig_init(&self->r, variant->host, variant->host_tables, variant->shift); }
FIXTURE_TEARDOWN(engine) { rig_free(&self->r); }

/* A float in [-2, 2), reproducible. */
static float noise(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (float)((int32_t)*seed >> 8) / (float)(1 << 22);
}

static uint32_t bits(float f)
{
	uint32_t u;

	memcpy(&u, &f, 4);
	return u;
}

/* Offsets that are odd multiples of 4, so that pieces cross pages everywhere. */
#define OFF_X		0xffcu
#define OFF_PARAM	0x1ff4u
#define OFF_STATE	0x10ff8u
#define OFF_OUT		0x20ffcu

static float *fill(struct rig *r, unsigned int region, uint32_t off, uint32_t n, uint32_t seed)
{
	float *p = rig_at(r, region, off);

	for (uint32_t i = 0; i < n; i++)
		p[i] = noise(&seed);
	return p;
}

static int differing(const float *a, const float *b, uint32_t n)
{
	int bad = 0;

	for (uint32_t i = 0; i < n; i++)
		bad += bits(a[i]) != bits(b[i]);
	return bad;
}

TEST_F(engine, nop_end)
{
	PUT(&self->r, NOP, 0);
	PUT(&self->r, END, 0);
	EXPECT_EQ(rig_run(&self->r), SNPU_ENG_DONE);
	EXPECT_EQ(self->r.res.fault.code, SNPU_FAULT_NONE);
	EXPECT_EQ(self->r.res.counter[SNPU_COUNTER_PACKETS], 2u);
	EXPECT_EQ(snpu_engine_progress(self->r.engine), 2u);
}

TEST_F(engine, signal_timestamp)
{
	struct timespec t0, t1;
	uint64_t *sig = rig_at(&self->r, SNPU_REGION_OUTPUT, 8), *ts = rig_at(&self->r, SNPU_REGION_TRACE, 0x1008);

	PUT(&self->r, SIGNAL, 0, .dst = REF(OUTPUT, 8), .value = 0xfedcba9876543210ull);
	PUT(&self->r, TIMESTAMP, 0, .dst = REF(TRACE, 0x1008));
	PUT(&self->r, END, 0);
	clock_gettime(CLOCK_MONOTONIC, &t0);
	EXPECT_EQ(rig_run(&self->r), SNPU_ENG_DONE);
	clock_gettime(CLOCK_MONOTONIC, &t1);
	EXPECT_EQ(*sig, 0xfedcba9876543210ull);
	EXPECT_EQ(sig[1], 0u);
	EXPECT_GE(*ts, (uint64_t)t0.tv_sec * 1000000000u + (uint64_t)t0.tv_nsec);
	EXPECT_LE(*ts, (uint64_t)t1.tv_sec * 1000000000u + (uint64_t)t1.tv_nsec);
}

TEST_F(engine, copy_fill)
{
	struct rig *r = &self->r;
	const float *src = fill(r, SNPU_REGION_INPUT, OFF_X, 40000, 1);
	const float *dst = rig_at(r, SNPU_REGION_OUTPUT, OFF_OUT);
	const uint32_t *filled = rig_at(r, SNPU_REGION_SCRATCH, OFF_X);

	PUT(r, COPY, 0, .src = REF(INPUT, OFF_X), .dst = REF(OUTPUT, OFF_OUT), .words = 40000);
	PUT(r, FILL, 0, .dst = REF(SCRATCH, OFF_X), .words = 5000, .value = 0xdeadbeef);
	PUT(r, END, 0);
	EXPECT_EQ(rig_run(r), SNPU_ENG_DONE);
	EXPECT_EQ(differing(src, dst, 40000), 0);
	EXPECT_EQ(bits(dst[40000]), 0u);
	for (unsigned int i = 0; i < 5000; i++)
		ASSERT_EQ(filled[i], 0xdeadbeefu);
	EXPECT_EQ(filled[5000], 0u);
	EXPECT_EQ(filled[-1], 0u);
}

TEST_F(engine, evpack_evunpack)
{
	struct rig *r = &self->r;
	float *x = rig_at(r, SNPU_REGION_INPUT, OFF_X), *back = rig_at(r, SNPU_REGION_OUTPUT, OFF_OUT);
	const struct snpu_events *head = rig_at(r, SNPU_REGION_SCRATCH, OFF_X);
	const struct snpu_event *ev = (const void *)(head + 1);
	uint32_t found = 0;

	/* Every 7th channel, the last one, a denormal, a minus zero, an infinity. */
	for (uint32_t i = 0; i < N; i += 7)
		x[i] = (float)i + 0.5f;
	x[N - 1] = -3.0f;
	x[1] = 1e-45f;
	x[2] = -0.0f;
	x[3] = INFINITY;
	back[2] = 9.0f;
	PUT(r, EVPACK, 0, .x = REF(INPUT, OFF_X), .ev = REF(SCRATCH, OFF_X), .n = N);
	PUT(r, EVUNPACK, 0, .ev = REF(SCRATCH, OFF_X), .x = REF(OUTPUT, OFF_OUT), .n = N);
	PUT(r, END, 0);
	EXPECT_EQ(rig_run(r), SNPU_ENG_DONE);
	for (uint32_t i = 0; i < N; i++) {
		if (i != 1 && i != 3 && i != N - 1 && i % 7)
			continue;
		ASSERT_EQ(ev[found].channel, i);
		ASSERT_EQ(bits(ev[found].value), bits(x[i]));
		found++;
	}
	EXPECT_EQ(head->count, found);
	EXPECT_EQ(head->pad, 0u);
	x[2] = 0.0f;				/* comes back as +0.0 */
	EXPECT_EQ(differing(x, back, N), 0);
	EXPECT_EQ(r->res.counter[SNPU_COUNTER_EVENTS], found);
}

/* weights[o][c] in the card's layout */
static float *weight(struct rig *r, uint32_t n_in, uint32_t o, uint32_t c)
{
	return rig_at(r, SNPU_REGION_WEIGHTS, 0x100 + ((o / 64ull * n_in + c) * 64 + o % 64) * 4);
}

TEST_F(engine, linear)
{
	enum { IN = 100, OUT = 150 };
	struct rig *r = &self->r;
	const float *x = fill(r, SNPU_REGION_INPUT, OFF_X, IN, 3), *bias = fill(r, SNPU_REGION_CONST, OFF_X, OUT, 4);
	const float *plain = rig_at(r, SNPU_REGION_OUTPUT, 0), *biased = rig_at(r, SNPU_REGION_OUTPUT, OFF_OUT);
	uint32_t seed = 5, events = 0;

	for (uint32_t o = 0; o < OUT; o++)
		for (uint32_t c = 0; c < IN; c++)
			*weight(r, IN, o, c) = noise(&seed);
	for (uint32_t c = 0; c < IN; c++)
		if (c % 3)
			((float *)x)[c] = 0.0f;
		else
			events++;
	*weight(r, IN, 5, 1) = NAN;		/* silent channels take no part, not even as 0 * NaN */
	PUT(r, EVPACK, 0, .x = REF(INPUT, OFF_X), .ev = REF(SCRATCH, 0), .n = IN);
	PUT(r, LINEAR, 0, .ev = REF(SCRATCH, 0), .weights = REF(WEIGHTS, 0x100), .out = REF(OUTPUT, 0), .n_in = IN, .n_out = OUT);
	PUT(r, LINEAR, SNPU_LINEAR_BIAS, .ev = REF(SCRATCH, 0), .weights = REF(WEIGHTS, 0x100), .bias = REF(CONST, OFF_X),
	    .out = REF(OUTPUT, OFF_OUT), .n_in = IN, .n_out = OUT);
	PUT(r, END, 0);
	EXPECT_EQ(rig_run(r), SNPU_ENG_DONE);
	for (uint32_t o = 0; o < OUT; o++) {
		float acc = 0.0f;

		for (uint32_t c = 0; c < IN; c += 3) {
			volatile float product = *weight(r, IN, o, c) * x[c];	/* rounded by itself */

			acc += product;
		}
		ASSERT_EQ(bits(plain[o]), bits(acc));
		ASSERT_EQ(bits(biased[o]), bits(acc + bias[o]));
	}
	EXPECT_EQ(bits(plain[OUT]), 0u);
	EXPECT_EQ(r->res.counter[SNPU_COUNTER_EVENTS], 2 * events);
	EXPECT_EQ(r->res.counter[SNPU_COUNTER_SYNOPS], 2ull * events * OUT);
	EXPECT_EQ(r->res.counter[SNPU_COUNTER_SKIPPED], 2ull * (IN - events) * 3);
}

TEST_F(engine, linear_of_nothing)
{
	struct rig *r = &self->r;
	float *out = rig_at(r, SNPU_REGION_OUTPUT, 0), *bias = rig_at(r, SNPU_REGION_CONST, 0);

	out[0] = 7.0f;
	bias[0] = -0.0f;
	PUT(r, LINEAR, 0, .ev = REF(SCRATCH, 0), .weights = REF(WEIGHTS, 0), .out = REF(OUTPUT, 0), .n_in = 10, .n_out = 1);
	PUT(r, LINEAR, 1, .ev = REF(SCRATCH, 0), .weights = REF(WEIGHTS, 0), .bias = REF(CONST, 0), .out = REF(OUTPUT, 4), .n_in = 10, .n_out = 1);
	PUT(r, END, 0);
	EXPECT_EQ(rig_run(r), SNPU_ENG_DONE);
	EXPECT_EQ(bits(out[0]), 0u);
	EXPECT_EQ(bits(out[1]), 0u);		/* +0.0 + -0.0 */
	EXPECT_EQ(r->res.counter[SNPU_COUNTER_SKIPPED], 20u);
}

TEST_F(engine, add_scale)
{
	struct rig *r = &self->r;
	const float *a = fill(r, SNPU_REGION_INPUT, OFF_X, N, 6), *b = fill(r, SNPU_REGION_CONST, OFF_PARAM, N, 7);
	const float *sum = rig_at(r, SNPU_REGION_OUTPUT, OFF_OUT), *prod = rig_at(r, SNPU_REGION_SCRATCH, OFF_OUT);

	PUT(r, ADD, 0, .a = REF(INPUT, OFF_X), .b = REF(CONST, OFF_PARAM), .out = REF(OUTPUT, OFF_OUT), .n = N);
	PUT(r, ADD, 0, .a = REF(OUTPUT, OFF_OUT), .b = REF(CONST, OFF_PARAM), .out = REF(OUTPUT, OFF_OUT), .n = N);
	PUT(r, SCALE, 0, .x = REF(INPUT, OFF_X), .scale = REF(CONST, OFF_PARAM), .out = REF(SCRATCH, OFF_OUT), .n = N);
	PUT(r, END, 0);
	EXPECT_EQ(rig_run(r), SNPU_ENG_DONE);
	for (uint32_t i = 0; i < N; i++) {
		volatile float s = a[i] + b[i];

		ASSERT_EQ(bits(sum[i]), bits(s + b[i]));
		ASSERT_EQ(bits(prod[i]), bits(a[i] * b[i]));
	}
}

/* --- neurons: one step of N of them against the formula, term by term ------------------------------------------ */
struct oracle {
	float v, i, out;
};

/* One rounded operation at a time, whatever the compiler would like to do. */
static float add(float a, float b) { volatile float r = a + b; return r; }
static float sub(float a, float b) { volatile float r = a - b; return r; }
static float mul(float a, float b) { volatile float r = a * b; return r; }

static void oracle_fire(struct oracle *s, float th, float reset, uint8_t flags)
{
	bool z = flags & SNPU_NEURON_GE ? s->v >= th : s->v > th;

	s->out = z ? 1.0f : 0.0f;
	if (z && (flags & 3) == SNPU_NEURON_RESET_VALUE)
		s->v = reset;
	if (z && (flags & 3) == SNPU_NEURON_RESET_SUBTRACT)
		s->v = sub(s->v, th);
	if (z && (flags & 3) == SNPU_NEURON_RESET_DELTA)
		s->v = sub(s->v, sub(th, reset));
}

static float leak(float v, float k, float v_leak, float r, float x)
{
	return add(v, mul(k, sub(add(v_leak, mul(r, x)), v)));
}

/* p: this neuron's parameters */
static void oracle_step(uint8_t op, uint8_t flags, struct oracle *s, const float *p, float x)
{
	switch (op) {
	case SNPU_OP_THRESHOLD:
		s->out = (flags & SNPU_NEURON_GE ? x >= p[0] : x > p[0]) ? 1.0f : 0.0f;
		return;
	case SNPU_OP_I:
	case SNPU_OP_IF:
		s->v = add(s->v, mul(p[0], x));
		break;
	case SNPU_OP_LI:
	case SNPU_OP_LIF:
		s->v = leak(s->v, p[0], p[2], p[1], x);
		break;
	default:
		s->i = add(s->i, mul(p[0], sub(mul(p[1], x), s->i)));
		s->v = leak(s->v, p[2], p[4], p[3], s->i);
		break;
	}
	if (op == SNPU_OP_I || op == SNPU_OP_LI || op == SNPU_OP_CUBALI)
		s->out = s->v;
	else if (op == SNPU_OP_IF)
		oracle_fire(s, p[1], p[2], flags);
	else if (op == SNPU_OP_LIF)
		oracle_fire(s, p[3], p[4], flags);
	else
		oracle_fire(s, p[5], p[6], flags);
}

static void neuron_case(struct rig *r, uint8_t op, uint8_t flags, unsigned int states, unsigned int params, bool in_place)
{
	struct snpu_pkt_LIF pkt = { .hdr = { op, flags, sizeof(pkt) / 4 }, .x = REF(SCRATCH, OFF_X), .param = REF(CONST, OFF_PARAM),
				    .out = REF(SCRATCH, OFF_OUT), .n = N };
	float *x = fill(r, SNPU_REGION_SCRATCH, OFF_X, N, op), *param = fill(r, SNPU_REGION_CONST, OFF_PARAM, N * params, op + 1);
	float *state = fill(r, SNPU_REGION_STATE, OFF_STATE, N * states, op + 2);
	float *out = rig_at(r, SNPU_REGION_SCRATCH, in_place ? OFF_X : OFF_OUT);
	struct oracle *want = calloc(N, sizeof(*want));
	uint64_t spikes = 0;
	bool fires = op != SNPU_OP_I && op != SNPU_OP_LI && op != SNPU_OP_CUBALI;

	if (op == SNPU_OP_THRESHOLD)
		x[3] = param[3];		/* exactly at the threshold: only GE fires */
	for (uint32_t i = 0; i < N; i++) {
		float p[7];

		for (unsigned int k = 0; k < params; k++)
			p[k] = param[k * N + i];
		want[i].v = states > 0 ? state[i] : 0;
		want[i].i = states > 1 ? state[N + i] : 0;
		oracle_step(op, flags, &want[i], p, x[i]);
		spikes += fires && want[i].out != 0;
	}
	if (states)
		pkt.state = (struct snpu_ref)REF(STATE, OFF_STATE);
	if (in_place)
		pkt.out = pkt.x;
	r->prog = 0;
	rig_put(r, &pkt, sizeof(pkt));
	PUT(r, END, 0);
	EXPECT_EQ(rig_run(r), SNPU_ENG_DONE);
	for (uint32_t i = 0; i < N && !th_failed; i++) {
		EXPECT_EQ(bits(out[i]), bits(want[i].out));
		if (states > 0)
			EXPECT_EQ(bits(state[i]), bits(want[i].v));
		if (states > 1)
			EXPECT_EQ(bits(state[N + i]), bits(want[i].i));
	}
	EXPECT_EQ(r->res.counter[SNPU_COUNTER_SPIKES], spikes);
	EXPECT_EQ(r->res.counter[SNPU_COUNTER_UPDATES], states ? N : 0u);
	if (fires) {
		EXPECT_GT(spikes, 0u);
		EXPECT_LT(spikes, (uint64_t)N);
	}
	free(want);
}

TEST_F(engine, threshold)
{
	neuron_case(&self->r, SNPU_OP_THRESHOLD, 0, 0, 1, false);
	neuron_case(&self->r, SNPU_OP_THRESHOLD, SNPU_NEURON_GE, 0, 1, true);
}

TEST_F(engine, integrators)
{
	neuron_case(&self->r, SNPU_OP_I, 0, 1, 1, false);
	neuron_case(&self->r, SNPU_OP_LI, 0, 1, 3, true);
	neuron_case(&self->r, SNPU_OP_CUBALI, 0, 2, 5, false);
}

TEST_F(engine, firing_neurons)
{
	for (uint8_t flags = 0; flags < 8; flags++) {
		if ((flags & 3) == 3)
			continue;
		neuron_case(&self->r, SNPU_OP_IF, flags, 1, 3, flags & 1);
		neuron_case(&self->r, SNPU_OP_LIF, flags, 1, 5, flags & 2);
		neuron_case(&self->r, SNPU_OP_CUBALIF, flags, 2, 7, flags & 4);
	}
}

/* Numbers small enough for paper: v = 0.5 + 0.25 * ((0.25 + 2 * 1) - 0.5) = 0.9375. */
TEST_F(engine, lif_by_hand)
{
	static const float param[5] = { 0.25f, 2.0f, 0.25f, 0.9375f, -0.125f };	/* k, r, v_leak, v_threshold, v_reset */
	static const struct { uint8_t flags; float v, out; } want[] = {
		{ 0, 0.9375f, 0 }, { SNPU_NEURON_GE, -0.125f, 1 }, { SNPU_NEURON_GE | SNPU_NEURON_RESET_SUBTRACT, 0, 1 },
		{ SNPU_NEURON_GE | SNPU_NEURON_RESET_DELTA, 0.9375f - 1.0625f, 1 },
	};
	struct rig *r = &self->r;
	float *v = rig_at(r, SNPU_REGION_STATE, 0), *out = rig_at(r, SNPU_REGION_OUTPUT, 0);

	memcpy(rig_at(r, SNPU_REGION_CONST, 0), param, sizeof(param));
	*(float *)rig_at(r, SNPU_REGION_INPUT, 0) = 1.0f;
	for (unsigned int i = 0; i < 4; i++) {
		*v = 0.5f;
		r->prog = 0;
		PUT(r, LIF, want[i].flags, .x = REF(INPUT, 0), .state = REF(STATE, 0), .param = REF(CONST, 0), .out = REF(OUTPUT, 0), .n = 1);
		PUT(r, END, 0);
		ASSERT_EQ(rig_run(r), SNPU_ENG_DONE);
		EXPECT_EQ(bits(*v), bits(want[i].v));
		EXPECT_EQ(bits(*out), bits(want[i].out));
	}
}

/* (1 + 2^-23)^2 = 1 + 2^-22 + 2^-46: the product is rounded before it is added, so that the sum below is zero, not 2^-46. */
TEST_F(engine, no_contraction)
{
	struct rig *r = &self->r;
	float one = 1.0f + 0x1p-23f, *v = rig_at(r, SNPU_REGION_STATE, 0);

	*v = -(1.0f + 0x1p-22f);
	*(float *)rig_at(r, SNPU_REGION_INPUT, 0) = one;
	*(float *)rig_at(r, SNPU_REGION_CONST, 0) = one;
	PUT(r, I, 0, .x = REF(INPUT, 0), .state = REF(STATE, 0), .param = REF(CONST, 0), .out = REF(OUTPUT, 0), .n = 1);
	PUT(r, END, 0);
	EXPECT_EQ(rig_run(r), SNPU_ENG_DONE);
	EXPECT_EQ(bits(*v), 0u);
}

TEST_HARNESS_MAIN
