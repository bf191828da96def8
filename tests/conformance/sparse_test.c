/* SPDX-License-Identifier: MIT */
/*
 * SPARSE, TAKE, LOG and LIFEXP against the law of docs/numerics.md. The law's side of SPARSE is a list of synapses, each with source,
 * delay, target and weight, that is walked from its start for every entry; rows and segments are made from it. Then what may and what must be
 * there in memory, and the faults.
 */
#include <math.h>

#include "fault.h"

CONF_VARIANTS

#define EV	snpu_ref(SNPU_REGION_SCRATCH, 0)
#define ROWS	snpu_ref(SNPU_REGION_CONST, 0)
#define DATA	snpu_ref(SNPU_REGION_WEIGHTS, 0)
#define POSITION snpu_ref(SNPU_REGION_OUTPUT, 0)
#define RING	snpu_ref(SNPU_REGION_STATE, 0)

static float rnd(float x)
{
	volatile float y = x;

	return y;
}

static uint32_t bits_of(float f)
{
	uint32_t u;

	memcpy(&u, &f, sizeof(u));
	return u;
}

/* --- SPARSE ------------------------------------------------------------------------------------------------------- */

#define MAX_SYNAPSES	40000u

struct synapse {
	uint32_t source, delay, target;
	float weight;
};

static struct {
	uint32_t n_in, n_out, slots, n;
	bool weights;
	struct synapse s[MAX_SYNAPSES];		/* in the order of sources; in a row in that of segments */
	uint32_t words, listed;			/* of data, of it in listed rows */
} net;

/* Synapses of one row in runs of one delay and one block, as segments want them. */
static void make_net(uint64_t *seed, uint32_t per_row, bool edges)
{
	uint32_t blocks = (net.n_out - 1) / SNPU_SEGMENT_TARGETS + 1;

	net.n = 0;
	for (uint32_t c = 0; c < net.n_in; c++)
		for (uint32_t left = conf_random(seed) % 4 ? 1 + conf_random(seed) % per_row : 0, run; left; left -= run) {
			uint32_t delay = conf_random(seed) % net.slots, block = conf_random(seed) % blocks;
			uint32_t first = block * SNPU_SEGMENT_TARGETS, size = net.n_out - first < SNPU_SEGMENT_TARGETS ? net.n_out - first : SNPU_SEGMENT_TARGETS;

			run = 1 + conf_random(seed) % left;
			for (uint32_t k = 0; k < run && net.n < MAX_SYNAPSES; k++)
				net.s[net.n++] = (struct synapse){ c, delay, first + conf_random(seed) % size, conf_float(seed, edges) };
		}
}

static bool goes_on(const struct synapse *a, const struct synapse *b, uint32_t count)
{
	return a->source == b->source && a->delay == b->delay && a->target / SNPU_SEGMENT_TARGETS == b->target / SNPU_SEGMENT_TARGETS &&
	       count < SNPU_SEGMENT_MOST;
}

static void write_net(struct conf *c)
{
	uint32_t *rows = conf_u32(c, SNPU_REGION_CONST, 0), *data = conf_u32(c, SNPU_REGION_WEIGHTS, 0), at = 0, row = 0;

	for (uint32_t i = 0, count; i < net.n; i += count) {
		const struct synapse *s = &net.s[i];
		uint16_t *target = (uint16_t *)(data + at + 1);

		while (row <= s->source)
			rows[row++] = at;
		for (count = 1; i + count < net.n && goes_on(s, s + count, count); count++)
			;
		data[at] = SNPU_SEGMENT(s->delay, s->target / SNPU_SEGMENT_TARGETS, count);
		for (uint32_t k = 0; k < count; k++)
			target[k] = (uint16_t)(s[k].target % SNPU_SEGMENT_TARGETS);
		if (count % 2)
			target[count] = 0xffff;		/* nobody looks at it */
		for (uint32_t k = 0; net.weights && k < count; k++)
			memcpy(&data[at + 1 + (count + 1) / 2 + k], &s[k].weight, 4);
		at += SNPU_SEGMENT_WORDS(count, net.weights);
	}
	while (row <= net.n_in)
		rows[row++] = at;
	net.words = at ? at : 1;
}

/* The list, and what the law makes of the ring; returns how many synapses it adds. */
static uint64_t write_list(struct conf *c, uint64_t *seed, uint32_t percent, uint32_t position, float weight, float *want)
{
	uint32_t *ev = conf_u32(c, SNPU_REGION_SCRATCH, 0), *rows = conf_u32(c, SNPU_REGION_CONST, 0);
	uint64_t synapses = 0;

	ev[0] = ev[1] = 0;
	net.listed = 0;
	for (uint32_t ch = 0; ch < net.n_in; ch++) {
		float value = conf_random(seed) % 3 ? 1.0f : conf_float(seed, false);

		if (conf_random(seed) % 100 >= percent)
			continue;
		ev[2 + 2 * ev[0]] = ch;
		memcpy(&ev[3 + 2 * ev[0]++], &value, 4);
		net.listed += rows[ch + 1] - rows[ch];
		for (uint32_t i = 0; i < net.n; i++) {
			const struct synapse *s = &net.s[i];
			float *r = want + (uint64_t)((position + s->delay) % net.slots) * net.n_out + s->target;

			if (s->source != ch)
				continue;
			*r = rnd(*r + rnd((net.weights ? s->weight : weight) * value));
			synapses++;
		}
	}
	return synapses;
}

static void check_sparse(struct conf *c, uint64_t *seed, uint32_t percent, bool edges)
{
	static float want[262144];
	uint32_t size = net.slots * net.n_out, position = net.slots > 1 ? conf_random(seed) % net.slots : 0;
	float *ring = conf_f32(c, SNPU_REGION_STATE, 0), weight = conf_float(seed, edges);
	uint64_t synapses;

	write_net(c);
	for (uint32_t i = 0; i < size; i++)
		ring[i] = conf_random(seed) % 2 ? 0.0f : conf_float(seed, edges);
	if (size < 262144)
		ring[size] = 77.0f;
	memcpy(want, ring, 4ull * size);
	conf_u32(c, SNPU_REGION_OUTPUT, 0)[0] = position;
	synapses = write_list(c, seed, percent, position, weight, want);
	c->prog.slot = 3;
	snpu_emit(&c->prog, SPARSE, .hdr.flags = net.weights ? SNPU_SPARSE_WEIGHTS : 0, .ev = EV, .rows = ROWS, .data = DATA,
		  .position = net.slots > 1 ? POSITION : (struct snpu_ref){ 0 }, .ring = RING, .n_in = net.n_in, .n_out = net.n_out, .slots = net.slots,
		  .words = net.words, .weight = bits_of(weight));
	memset(c->mem[SNPU_REGION_PROFILE], 0, 4096);
	ASSERT_EQ(conf_run(c), 0);
	conf_expect(ring, want, size, "ring");
	EXPECT_TRUE(size == 262144 || ring[size] == 77.0f);
	EXPECT_EQ(conf_u32(c, SNPU_REGION_OUTPUT, 0)[0], position);
	EXPECT_EQ(conf_count(c, 3, SNPU_COUNTER_SYNOPS), synapses);
	EXPECT_EQ(conf_count(c, 3, SNPU_COUNTER_EVENTS), conf_u32(c, SNPU_REGION_SCRATCH, 0)[0]);
	EXPECT_EQ(conf_count(c, 3, SNPU_COUNTER_SKIPPED), (net.words - net.listed) / 16);
}

TEST_F(conf, sparse)
{
	static const uint32_t percents[] = { 0, 5, 40, 100 };
	uint64_t seed = 21;

	for (unsigned int i = 0; i < 40 && !th_failed; i++) {
		net.n_in = 1 + conf_random(&seed) % 60;
		net.n_out = 1 + conf_random(&seed) % 300;
		net.slots = i % 3 ? 1 + conf_random(&seed) % 9 : 1;
		net.weights = i % 2;
		make_net(&seed, i % 5 ? 30 : 600, i % 4 == 0);
		check_sparse(self, &seed, percents[i % 4], i % 4 == 0);
	}
	net.n_in = 40;
	net.n_out = 65537;			/* the second block has one target */
	net.slots = 3;
	make_net(&seed, 200, false);
	check_sparse(self, &seed, 50, false);
}

/* Several blocks and as many synapses as threads share; each element still gets its terms in order. */
static void large_sparse(struct conf *self)
{
	uint64_t seed = 22;

	net.n_in = 300;
	net.n_out = 262144;
	net.slots = 1;
	for (unsigned int i = 0; i < 2 && !th_failed; i++) {
		net.weights = i;
		make_net(&seed, 250, false);
		for (uint32_t k = 0; k < net.n; k++)	/* many of them to few targets */
			net.s[k].target = net.s[k].target / SNPU_SEGMENT_TARGETS * SNPU_SEGMENT_TARGETS + net.s[k].target % 500;
		check_sparse(self, &seed, 95, false);
	}
}

CONF_LARGE_PACKETS(large_sparse)

/* --- LIFEXP ------------------------------------------------------------------------------------------------------- */

enum { DRIVE, K_V, K_E, K_I, DECAY_E, DECAY_I, THRESHOLD, RESET, REFRACTORY };

static float number(uint64_t *seed, unsigned int row, bool edges)
{
	if (row == REFRACTORY)
		return (float)(conf_random(seed) % 4);
	return row >= DECAY_E && row <= DECAY_I ? 0.9f : conf_float(seed, edges);
}

/* One neuron of the law: state is v, e, i, hold. */
static bool neuron(float state[4], const float *param, uint64_t stride, bool ge)
{
#define P(row)	param[(row) * stride]
	float u = rnd(P(DRIVE) + rnd(P(K_V) * state[0]));
	bool held = state[3] > 0.0f, z;

	u = rnd(u + rnd(P(K_E) * state[1]));
	u = rnd(u + rnd(P(K_I) * state[2]));
	z = !held && (ge ? u >= P(THRESHOLD) : u > P(THRESHOLD));
	state[1] = rnd(P(DECAY_E) * state[1]);
	state[2] = rnd(P(DECAY_I) * state[2]);
	if (z)
		state[0] = P(RESET);
	else if (!held)
		state[0] = u;
	if (z)
		state[3] = P(REFRACTORY);
	else if (held)
		state[3] = rnd(state[3] - 1.0f);
	return z;
#undef P
}

static void check_lifexp(struct conf *c, uint32_t n, unsigned int flags, uint64_t *seed, bool edges)
{
	static float want[262144];
	static uint32_t list[2 + 2 * 65536];
	bool shared = flags & SNPU_LIFEXP_SHARED;
	float *state = conf_f32(c, SNPU_REGION_STATE, 0), *param = conf_f32(c, SNPU_REGION_CONST, 0);
	uint32_t *ev = conf_u32(c, SNPU_REGION_SCRATCH, 0);

	for (uint32_t i = 0; i < 4 * n; i++)
		want[i] = state[i] = i < 3 * n ? conf_float(seed, edges) : (float)(conf_random(seed) % 3);
	for (uint32_t i = 0; i < 9 * (shared ? 1 : n); i++)
		param[i] = number(seed, i / (shared ? 1 : n), edges);
	list[0] = list[1] = 0;
	for (uint32_t i = 0; i < n; i++) {
		float s[4] = { want[i], want[n + i], want[2 * n + i], want[3 * n + i] };

		if (neuron(s, param + (shared ? 0 : i), shared ? 1 : n, flags & SNPU_NEURON_GE)) {
			list[2 + 2 * list[0]] = i;
			list[3 + 2 * list[0]++] = bits_of(1.0f);
		}
		for (unsigned int k = 0; k < 4; k++)
			want[k * n + i] = s[k];
	}
	memset(ev, 0x55, 8 + 8ull * n);
	c->prog.slot = 2;
	snpu_emit(&c->prog, LIFEXP, .hdr.flags = (uint8_t)flags, .state = RING, .param = snpu_ref(SNPU_REGION_CONST, 0), .ev = EV, .n = n);
	memset(c->mem[SNPU_REGION_PROFILE], 0, 4096);
	ASSERT_EQ(conf_run(c), 0);
	conf_expect(state, want, 4 * n, "state");
	EXPECT_EQ(memcmp(ev, list, 8 + 8ull * list[0]), 0);
	for (uint32_t i = 2 + 2 * list[0]; i < 2 + 2 * n; i++)
		ASSERT_EQ(ev[i], 0x55555555);
	EXPECT_EQ(conf_count(c, 2, SNPU_COUNTER_SPIKES), list[0]);
	EXPECT_EQ(conf_count(c, 2, SNPU_COUNTER_UPDATES), n);
}

TEST_F(conf, lifexp)
{
	static const uint32_t sizes[] = { 1, 7, 8, 15, 16, 17, 33, 100, 2050 };
	uint64_t seed = 23;

	for (unsigned int i = 0; i < 72 && !th_failed; i++)
		check_lifexp(self, sizes[i % 9], (i & 1 ? SNPU_NEURON_GE : 0) | (i & 2 ? SNPU_LIFEXP_SHARED : 0), &seed, i & 4);
}

/* By hand: fires at once, stays for two steps although it is driven above the threshold, fires again. */
TEST_F(conf, lifexp_by_hand)
{
	static const float param[] = { 2, 0.5f, 1, 1, 0.5f, 0.25f, 1, -1, 2 };
	static const uint32_t fires[] = { 1, 0, 0, 1 };
	float *state = conf_f32(self, SNPU_REGION_STATE, 0);

	memcpy(self->mem[SNPU_REGION_CONST], param, sizeof(param));
	state[1] = 8;				/* e */
	state[2] = -16;				/* i */
	state[0] = 16;
	for (unsigned int t = 0; t < 4; t++) {
		snpu_emit(&self->prog, LIFEXP, .hdr.flags = SNPU_LIFEXP_SHARED, .state = RING, .param = ROWS, .ev = EV, .n = 1);
		ASSERT_EQ(conf_run(self), 0);
		EXPECT_EQ(conf_u32(self, SNPU_REGION_SCRATCH, 0)[0], fires[t]);
		EXPECT_TRUE(state[0] == -1);
		EXPECT_TRUE(state[3] == (float)(t == 1 ? 1 : t == 2 ? 0 : 2));
	}
	EXPECT_TRUE(state[1] == 0.5f && state[2] == -0.0625f);
}

/* --- TAKE, LOG ---------------------------------------------------------------------------------------------------- */

TEST_F(conf, take)
{
	static const uint32_t sizes[] = { 1, 16, 61, 3000 };
	static float want[3000];
	uint64_t seed = 25;

	for (unsigned int i = 0; i < 24 && !th_failed; i++) {
		uint32_t n = sizes[i % 4], slots = 1 + conf_random(&seed) % 7, at = slots > 1 ? conf_random(&seed) % slots : 0;
		float *ring = conf_f32(self, SNPU_REGION_STATE, 0), *x = conf_f32(self, SNPU_REGION_SCRATCH, 0);

		for (uint32_t k = 0; k < n * slots; k++)
			ring[k] = conf_float(&seed, i % 2);
		for (uint32_t k = 0; k < n; k++) {
			x[k] = conf_float(&seed, i % 2);
			want[k] = rnd(x[k] + ring[at * n + k]);
		}
		conf_u32(self, SNPU_REGION_OUTPUT, 0)[0] = at;
		snpu_emit(&self->prog, TAKE, .position = slots > 1 ? POSITION : (struct snpu_ref){ 0 }, .ring = RING, .x = EV, .n = n, .slots = slots);
		ASSERT_EQ(conf_run(self), 0);
		conf_expect(x, want, n, "x");
		for (uint32_t k = 0; k < n; k++)
			ASSERT_EQ(bits_of(ring[at * n + k]), 0);
		EXPECT_EQ(conf_u32(self, SNPU_REGION_OUTPUT, 0)[0], slots > 1 ? (at + 1) % slots : at);
	}
}

TEST_F(conf, log)
{
	static const uint32_t want[] = { 5, 8, 7, 3, 7, 9, 7, 10 };
	uint32_t *ev = conf_u32(self, SNPU_REGION_SCRATCH, 0), *log = conf_u32(self, SNPU_REGION_OUTPUT, 0);

	memcpy(log, (const uint32_t[]){ 1, 7, 5, 8 }, 16);
	memcpy(ev, (const uint32_t[]){ 3, 0, 3, 0, 9, 0, 10, 0 }, 32);
	memset(log + 4, 0x11, 40);
	snpu_emit(&self->prog, LOG, .ev = EV, .log = snpu_ref(SNPU_REGION_OUTPUT, 0), .n = 11, .room = 4);
	snpu_emit(&self->prog, LOG, .ev = EV, .log = snpu_ref(SNPU_REGION_OUTPUT, 0), .n = 11, .room = 4);
	ASSERT_EQ(conf_run(self), 0);
	EXPECT_EQ(log[0], 7);			/* three did not fit */
	EXPECT_EQ(log[1], 9);
	EXPECT_EQ(memcmp(log + 2, want, sizeof(want)), 0);
	EXPECT_EQ(log[10], 0x11111111);
}

/* --- what must be there, and faults ------------------------------------------------------------------------------- */

/* Two rows: source 0 in the first page of data, source 1 in the third; 100 targets, 4 slots. */
static void two_rows(struct conf *c)
{
	uint32_t *rows = conf_u32(c, SNPU_REGION_CONST, 0), *data = conf_u32(c, SNPU_REGION_WEIGHTS, 0), *ev = conf_u32(c, SNPU_REGION_SCRATCH, 0);

	memset(c->mem[SNPU_REGION_STATE], 0, 4096);
	memcpy(rows, (const uint32_t[]){ 0, 2048, 2051 }, 12);
	memcpy(ev, (const uint32_t[]){ 1, 0, 1, bits_of(2.0f) }, 16);
	for (uint32_t at = 0; at < 2048; at += 2)	/* a row of many segments of one synapse */
		data[at] = SNPU_SEGMENT(1, 0, 1), data[at + 1] = 7;
	data[2048] = SNPU_SEGMENT(3, 0, 3);
	data[2049] = 99 | 5u << 16;
	data[2050] = 99;
	conf_u32(c, SNPU_REGION_OUTPUT, 0)[0] = 2;
	snpu_emit(&c->prog, SPARSE, .ev = EV, .rows = ROWS, .data = DATA, .position = POSITION, .ring = RING, .n_in = 2, .n_out = 100, .slots = 4,
		  .words = 2051, .weight = bits_of(1.5f));
}

TEST_F(conf, only_listed_rows_must_be_mapped)
{
	const uint64_t vw = CONF_VA(SNPU_REGION_WEIGHTS);
	float *ring = conf_f32(self, SNPU_REGION_STATE, 0);

	two_rows(self);
	ASSERT_EQ(build(self), 0);
	ASSERT_EQ(bind(self, SNPU_REGION_WEIGHTS, 0, 8192, 0), 0);
	ASSERT_EQ(conf_run_raw(self), 0);
	EXPECT_TRUE(ring[1 * 100 + 99] == 6.0f && ring[1 * 100 + 5] == 3.0f);
	ASSERT_EQ(conf_requeue(self), 0);
	conf_u32(self, SNPU_REGION_SCRATCH, 0)[2] = 0;
	EXPECT_FAULT(self, SNPU_FAULT_MMU_UNMAPPED, 0, 2, vw, SNPU_ACCESS_READ);
	ASSERT_EQ(bind(self, SNPU_REGION_WEIGHTS, 0, 4096, SNPU_BIND_READ), 0);
	EXPECT_FAULT(self, SNPU_FAULT_MMU_UNMAPPED, 0, 2, vw + 4096, SNPU_ACCESS_READ);
	EXPECT_TRUE(ring[3 * 100 + 7] == 0.0f);
	ASSERT_EQ(bind(self, SNPU_REGION_STATE, 0, 4096, SNPU_BIND_READ), 0);
	conf_u32(self, SNPU_REGION_SCRATCH, 0)[2] = 1;
	EXPECT_FAULT(self, SNPU_FAULT_MMU_WRITE, 0, 4, CONF_VA(SNPU_REGION_STATE), SNPU_ACCESS_WRITE);
}

TEST_F(conf, sparse_faults)
{
	const uint64_t vc = CONF_VA(SNPU_REGION_CONST), vw = CONF_VA(SNPU_REGION_WEIGHTS);
	uint32_t *rows = conf_u32(self, SNPU_REGION_CONST, 0), *data = conf_u32(self, SNPU_REGION_WEIGHTS, 0), *ev = conf_u32(self, SNPU_REGION_SCRATCH, 0);
	float *ring = conf_f32(self, SNPU_REGION_STATE, 0);
	struct snpu_pkt_SPARSE *p = packet(self, 0);

	two_rows(self);
	ASSERT_EQ(build(self), 0);
	memcpy(ev, (const uint32_t[]){ 2, 0, 0, 0, 1, 0 }, 24);
	data[2050] = 100;			/* a target that is none, in the last segment */
	EXPECT_FAULT(self, SNPU_FAULT_BAD_INDEX, 0, 2, vw + 4 * 2050, SNPU_ACCESS_READ);
	data[2049] = 99 | 65535u << 16;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_INDEX, 0, 2, vw + 4 * 2049 + 2, SNPU_ACCESS_READ);
	data[2048] = SNPU_SEGMENT(4, 0, 3);	/* delay */
	EXPECT_FAULT(self, SNPU_FAULT_BAD_INDEX, 0, 2, vw + 4 * 2048, SNPU_ACCESS_READ);
	data[2048] = SNPU_SEGMENT(3, 1, 3);	/* block */
	EXPECT_FAULT(self, SNPU_FAULT_BAD_INDEX, 0, 2, vw + 4 * 2048, SNPU_ACCESS_READ);
	data[2048] = SNPU_SEGMENT(3, 0, 5);	/* longer than its row */
	EXPECT_FAULT(self, SNPU_FAULT_BAD_INDEX, 0, 2, vw + 4 * 2048, SNPU_ACCESS_READ);
	data[100] = SNPU_SEGMENT(9, 0, 1);	/* an earlier row, an earlier fault */
	EXPECT_FAULT(self, SNPU_FAULT_BAD_INDEX, 0, 2, vw + 400, SNPU_ACCESS_READ);
	rows[2] = 2052;				/* beyond words; all bounds come before all rows */
	EXPECT_FAULT(self, SNPU_FAULT_BAD_INDEX, 0, 1, vc + 4, SNPU_ACCESS_READ);
	rows[0] = 2049;				/* descending */
	EXPECT_FAULT(self, SNPU_FAULT_BAD_INDEX, 0, 1, vc, SNPU_ACCESS_READ);
	ev[4] = 2;				/* no such source */
	EXPECT_FAULT(self, SNPU_FAULT_BAD_EVENTS, 0, 0, CONF_VA(SNPU_REGION_SCRATCH) + 16, SNPU_ACCESS_READ);
	two_rows(self);
	snpu_prog_free(&self->prog);
	conf_u32(self, SNPU_REGION_OUTPUT, 0)[0] = 4;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_INDEX, 0, 3, CONF_VA(SNPU_REGION_OUTPUT), SNPU_ACCESS_READ);
	p->slots = 1;				/* then there is no position */
	EXPECT_FAULT(self, SNPU_FAULT_BAD_OPERAND, 0, 3);
	p->slots = SNPU_MAX_SLOTS + 1;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_OPERAND, 0, 7);
	p->slots = SNPU_MAX_SLOTS;
	p->n_out = SNPU_MAX_N;
	EXPECT_FAULT(self, SNPU_FAULT_BOUNDS, 0, 4);
	for (unsigned int i = 0; i < 400; i++)
		ASSERT_EQ(bits_of(ring[i]), 0);
}

TEST_F(conf, take_and_log_faults)
{
	uint32_t *ev = conf_u32(self, SNPU_REGION_SCRATCH, 0), *log = conf_u32(self, SNPU_REGION_STATE, 0);

	snpu_emit(&self->prog, TAKE, .position = POSITION, .ring = RING, .x = EV, .n = 5, .slots = 3);
	ASSERT_EQ(build(self), 0);
	conf_u32(self, SNPU_REGION_OUTPUT, 0)[0] = 3;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_INDEX, 0, 0, CONF_VA(SNPU_REGION_OUTPUT), SNPU_ACCESS_READ);
	snpu_emit(&self->prog, LOG, .ev = EV, .log = RING, .n = 5, .room = 2000);
	ASSERT_EQ(build(self), 0);
	ev[0] = 6;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_EVENTS, 0, 0, CONF_VA(SNPU_REGION_SCRATCH), SNPU_ACCESS_READ);
	memcpy(ev, (const uint32_t[]){ 1, 0, 4, 0 }, 16);
	ASSERT_EQ(bind(self, SNPU_REGION_STATE, 12288, 4096, SNPU_BIND_READ), 0);
	EXPECT_FAULT(self, SNPU_FAULT_MMU_WRITE, 0, 1, CONF_VA(SNPU_REGION_STATE) + 12288, SNPU_ACCESS_WRITE);
	EXPECT_EQ(log[0], 0);
	EXPECT_EQ(log[1], 0);
}

/* --- across bindings ---------------------------------------------------------------------------------------------- */

#define SOME	1500u				/* neurons; their e and i are one vector of targets */

static const unsigned int torn[] = { SNPU_REGION_STATE, SNPU_REGION_CONST, SNPU_REGION_WEIGHTS, SNPU_REGION_SCRATCH, SNPU_REGION_OUTPUT };
static uint8_t before[5][CONF_SIZE], after[5][CONF_SIZE];

/* A step of a network: what came, neurons, their spikes into a ring and a log. */
static void emit_step(struct conf *c)
{
	struct snpu_ref position = snpu_ref(SNPU_REGION_STATE, 4092), ring = snpu_ref(SNPU_REGION_STATE, 4096), state = snpu_ref(SNPU_REGION_STATE, 40000);
	struct snpu_ref ev = snpu_ref(SNPU_REGION_SCRATCH, 4000);

	snpu_emit(&c->prog, LOOP, .count = 5);
	snpu_emit(&c->prog, TAKE, .position = position, .ring = ring, .x = snpu_ref(SNPU_REGION_STATE, 40000 + 4 * SOME), .n = 2 * SOME, .slots = 2);
	snpu_emit(&c->prog, LIFEXP, .hdr.flags = SNPU_LIFEXP_SHARED, .state = state, .param = snpu_ref(SNPU_REGION_CONST, 8180), .ev = ev, .n = SOME);
	snpu_emit(&c->prog, SPARSE, .hdr.flags = SNPU_SPARSE_WEIGHTS, .ev = ev, .rows = ROWS, .data = DATA, .position = position, .ring = ring, .n_in = SOME,
		  .n_out = 2 * SOME, .slots = 2, .words = net.words);
	snpu_emit(&c->prog, LOG, .ev = ev, .log = snpu_ref(SNPU_REGION_OUTPUT, 4088), .n = SOME, .room = 4000);
	snpu_emit(&c->prog, NEXT);
}

/* Neighbouring pages change places, in memory and in the address space: for the program nothing has changed. */
static void swap_pages(struct conf *c, unsigned int k)
{
	uint32_t flags = SNPU_BIND_READ | (torn[k] == SNPU_REGION_CONST || torn[k] == SNPU_REGION_WEIGHTS ? 0 : SNPU_BIND_WRITE);

	for (uint64_t off = 0; off < CONF_SIZE; off += 4096) {
		memcpy(c->mem[torn[k]] + (off ^ 4096), before[k] + off, 4096);
		ASSERT_EQ(snpu_vm_bind(c->vm, c->bo[torn[k]], off ^ 4096, CONF_VA(torn[k]) + off, 4096, flags), 0);
	}
}

TEST_F(conf, networks_across_bindings)
{
	static const float param[] = { 0.5f, 0.5f, 1, 1, 0.5f, 0.25f, 1, -1, 2 };
	uint64_t seed = 26;

	net.n_in = SOME;
	net.n_out = 2 * SOME;
	net.slots = 2;
	net.weights = true;
	make_net(&seed, 20, false);
	write_net(self);
	memcpy(self->mem[SNPU_REGION_CONST] + 8180, param, sizeof(param));
	for (uint32_t i = 0; i < 3 * SOME; i++)
		conf_f32(self, SNPU_REGION_STATE, 40000)[i] = conf_float(&seed, false);
	emit_step(self);
	ASSERT_EQ(build(self), 0);
	for (unsigned int k = 0; k < 5; k++)
		memcpy(before[k], self->mem[torn[k]], CONF_SIZE);
	ASSERT_EQ(conf_run_raw(self), 0);
	for (unsigned int k = 0; k < 5; k++)
		memcpy(after[k], self->mem[torn[k]], CONF_SIZE);
	for (unsigned int k = 0; k < 5 && !th_failed; k++)
		swap_pages(self, k);
	ASSERT_EQ(conf_run_raw(self), 0);
	for (unsigned int k = 0; k < 5; k++)
		for (uint64_t off = 0; off < CONF_SIZE; off += 4096)
			ASSERT_EQ(memcmp(self->mem[torn[k]] + (off ^ 4096), after[k] + off, 4096), 0);
	ASSERT_GT(((const uint32_t *)(after[4] + 4088))[0], 100);		/* spikes: it was a run worth comparing */
}

TEST_HARNESS_MAIN
