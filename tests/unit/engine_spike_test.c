/* SPDX-License-Identifier: MIT */
/*
 * Spike lists on the engine: ENCODE and SPMV against numbers worked out by hand and against a dense product of integers
 * written down here, with the counters and what they cost; packets of so many vectors that the card takes them block by
 * block. Faults are in engine_lm_fault_test.c.
 */
#include <math.h>

#include "tests/harness.h"
#include "tests/unit/engine_lm_rig.h"

FIXTURE(spike) { struct rig r; };
FIXTURE_VARIANT(spike) { bool host; unsigned int shift; };
FIXTURE_VARIANT_ADD(spike, device_2m) { false, 21 };
FIXTURE_VARIANT_ADD(spike, device_4k) { false, 12 };
FIXTURE_VARIANT_ADD(spike, host_4k) { true, 12 };
FIXTURE_SETUP(spike) { rig_init(&self->r, variant->host, false, variant->shift); }
FIXTURE_TEARDOWN(spike) { rig_free(&self->r); }

#define OFF	0xff4u

#define RUN(r_) do { PUT(r_, END, 0); ASSERT_EQ(rig_run(r_), SNPU_ENG_DONE); } while (0)
#define COUNTER_IS(r_, name_, value_) EXPECT_EQ((r_)->res.counter[SNPU_COUNTER_##name_], value_)

/* --- ENCODE ------------------------------------------------------------------------------------------------------ */
/* Runs one row; the list is at SCRATCH. */
static const struct snpu_spikes *encode(struct rig *r, const float *x, uint32_t n, float k)
{
	memset(rig_at(r, SNPU_REGION_SCRATCH, OFF), 0x55, 256);
	memcpy(rig_at(r, SNPU_REGION_INPUT, OFF), x, 4 * n);
	r->prog = 0;
	PUT(r, ENCODE, 0, .x = REF(INPUT, OFF), .spikes = REF(SCRATCH, OFF), .n = n, .rows = 1, .k = bits(k));
	PUT(r, END, 0);
	EXPECT_EQ(rig_run(r), SNPU_ENG_DONE);
	return rig_at(r, SNPU_REGION_SCRATCH, OFF);
}

static void list_is(const struct snpu_spikes *head, float vth, uint32_t count, const struct snpu_spike *want)
{
	const struct snpu_spike *s = (const void *)(head + 1);

	EXPECT_EQ(bits(head->vth), bits(vth));
	ASSERT_EQ(head->count, count);
	for (uint32_t i = 0; i < count; i++) {
		EXPECT_EQ(s[i].channel, want[i].channel);
		EXPECT_EQ(s[i].count, want[i].count);
	}
	EXPECT_EQ(s[count].channel, 0x55555555u);	/* nothing behind the entries */
}

#define LIST(...) (const struct snpu_spike []){ __VA_ARGS__ }

TEST_F(spike, encode_by_hand)
{
	struct rig *r = &self->r;

	/* mean 3.4 / 3, vth 0.3777...: 2.6, -5.3, 1.06 */
	list_is(encode(r, (float []){ 1.0f, -2.0f, 0.4f, 0.0f }, 3, 3.0f), (float)((1.0 + 2.0 + (double)0.4f) / 3 / 3), 3, LIST({ 0, 3 }, { 1, -5 }, { 2, 1 }));
	COUNTER_IS(r, SPIKES, 3u);
	/* vth 1: halves go to the even neighbour. */
	list_is(encode(r, (float []){ 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f }, 6, 1.5f), 1.0f, 4, LIST({ 1, 2 }, { 2, 2 }, { 4, -2 }, { 5, -2 }));
	/* The limits of vth, of counts; NaN. */
	list_is(encode(r, (float []){ 0.0f, -0.0f, 0.0f, 1e-6f }, 4, 3.0f), 1e-5f, 0, NULL);
	list_is(encode(r, (float []){ 1e30f, 4e4f, -INFINITY, 1.0f }, 4, 3.0f), 1e4f, 3, LIST({ 0, 1 << 30 }, { 1, 4 }, { 2, -(1 << 30) }));
	list_is(encode(r, (float []){ 1.0f, 2.0f }, 2, INFINITY), 1e-5f, 2, LIST({ 0, 100000 }, { 1, 200000 }));
	EXPECT_TRUE(isnan(encode(r, (float []){ 1.0f, NAN }, 2, 3.0f)->vth));
	EXPECT_EQ(((const struct snpu_spikes *)rig_at(r, SNPU_REGION_SCRATCH, OFF))->count, 0u);
}

TEST_F(spike, encode)
{
	enum { N = 2500, ROWS = 4 };
	struct rig *r = &self->r;
	float *x = rig_at(r, SNPU_REGION_INPUT, OFF);
	uint32_t seed = 1, spikes = 0;

	for (unsigned int i = 0; i < ROWS * N; i++)
		x[i] = noise(&seed) * noise(&seed);
	PUT(r, ENCODE, 0, .x = REF(INPUT, OFF), .spikes = REF(SCRATCH, OFF), .n = N, .rows = ROWS, .k = bits(3.0f));
	RUN(r);
	for (unsigned int row = 0; row < ROWS; row++, x += N) {
		const struct snpu_spikes *head = rig_at(r, SNPU_REGION_SCRATCH, OFF + row * 4 * SNPU_EVENTS_WORDS(N));
		const struct snpu_spike *s = (const void *)(head + 1);
		uint32_t found = 0;
		double a[16] = { 0 };
		float vth;

		for (unsigned int i = 0; i < N; i++)
			a[i % 16] += fabs((double)x[i]);
		vth = (float)(fold(a) / N / 3.0);
		EXPECT_EQ(bits(head->vth), bits(vth));
		for (unsigned int i = 0; i < N; i++) {
			volatile float quotient = x[i] / vth;

			if (rintf(quotient) == 0.0f)
				continue;
			ASSERT_EQ(s[found].channel, i);
			ASSERT_EQ(s[found].count, (int)rintf(quotient));
			found++;
		}
		EXPECT_EQ(head->count, found);
		EXPECT_TRUE(found > N / 2 && found < N);
		spikes += found;
	}
	COUNTER_IS(r, SPIKES, spikes);
}

/* --- SPMV -------------------------------------------------------------------------------------------------------- */
static void put_list(struct rig *r, uint64_t off, float vth, uint32_t count, const struct snpu_spike *s)
{
	struct snpu_spikes *head = rig_at(r, SNPU_REGION_INPUT, off);

	*head = (struct snpu_spikes){ count, vth };
	memcpy(head + 1, s, count * sizeof(*s));
}

static int8_t *code(struct rig *r, uint32_t n, uint32_t o, uint32_t c)
{
	return rig_at(r, SNPU_REGION_WEIGHTS, (o / 64ull * n + c) * 64 + o % 64);
}

/*
 * Channel 0 three times 10, -7; channel 5 minus twice 4, 127 + 100; the residual of silent channel 7 takes no part.
 * acc = 22, -475; times 0.5, 0.25; times vth 2; plus 1, -1.
 */
TEST_F(spike, spmv_by_hand)
{
	static const uint8_t modes[] = { 0, SNPU_SPMV_BIT_SERIAL };
	static const struct snpu_residual residual[] = { { 5, 1, 100 }, { 7, 0, -300 } };
	struct rig *r = &self->r;
	float *scale = rig_at(r, SNPU_REGION_CONST, 0), *bias = rig_at(r, SNPU_REGION_CONST, 0x100), *out = rig_at(r, SNPU_REGION_OUTPUT, 0);
	uint32_t *index = rig_at(r, SNPU_REGION_CONST, 0x200);

	put_list(r, 0, 2.0f, 2, LIST({ 0, 3 }, { 5, -2 }));
	*code(r, 128, 0, 0) = 10;
	*code(r, 128, 1, 0) = -7;
	*code(r, 128, 0, 5) = 4;
	*code(r, 128, 1, 5) = 127;
	scale[0] = 0.5f, scale[1] = 0.25f;
	bias[0] = 1.0f, bias[1] = -1.0f;
	index[1] = 2;
	memcpy(index + 2, residual, sizeof(residual));
	for (unsigned int m = 0; m < 2; m++) {
		r->prog = 0;
		PUT(r, SPMV, SNPU_SPMV_BIAS | SNPU_SPMV_RESIDUAL | modes[m], .spikes = REF(INPUT, 0), .weights = REF(WEIGHTS, 0), .scales = REF(CONST, 0),
		    .residual = REF(CONST, 0x200), .bias = REF(CONST, 0x100), .out = REF(OUTPUT, 0), .groups = 1, .n_out = 2, .rows = 1, .n_residual = 2);
		PUT(r, SPMV, modes[m], .spikes = REF(INPUT, 0), .weights = REF(WEIGHTS, 0), .scales = REF(CONST, 0), .out = REF(OUTPUT, 8),
		    .groups = 1, .n_out = 2, .rows = 1);
		RUN(r);
		EXPECT_TRUE(out[0] == 23.0f && out[1] == -238.5f);
		EXPECT_TRUE(out[2] == 22.0f && out[3] == (-21 - 254) * 0.5f);
		EXPECT_EQ(bits(out[4]), 0u);
		COUNTER_IS(r, EVENTS, 4u);
		COUNTER_IS(r, SYNOPS, 2u * 2 * 2 + 1);
		COUNTER_IS(r, SKIPPED, 2u * 126);
	}
}

/* What the two modes are counted, without the residual: 2 events, 3 ones in 2 bits, 2 outputs. */
TEST_F(spike, spmv_cost)
{
	struct rig *r = &self->r;
	uint64_t flush = 2 * (3700 + 900) + 2 * 3700, normal, read;

	put_list(r, 0, 2.0f, 2, LIST({ 0, 3 }, { 5, -2 }));
	put_list(r, 4 * SNPU_EVENTS_WORDS(128), 2.0f, 2, LIST({ 0, 3 }, { 5, -2 }));
#define COST(flags_, rows_) do {									\
	r->prog = 0;											\
	PUT(r, SPMV, flags_, .spikes = REF(INPUT, 0), .weights = REF(WEIGHTS, 0), .scales = REF(CONST, 0), .out = REF(OUTPUT, 0),	\
	    .groups = 1, .n_out = 2, .rows = rows_);							\
	RUN(r);												\
	read = r->res.counter[SNPU_COUNTER_VRAM_RD];							\
} while (0)
	COST(0, 1);
	COUNTER_IS(r, ENERGY_IDEAL, 2u * 2 * (200 + 100) + flush);
	COST(0, 1);				/* pages are cached now */
	normal = r->res.counter[SNPU_COUNTER_ENERGY];
	COST(SNPU_SPMV_BIT_SERIAL, 1);
	COUNTER_IS(r, ENERGY_IDEAL, 3u * 2 * 30 + flush);
	/* One burst comes out of the buffer once more, and six additions take the place of four products; both hide behind the bursts. */
	if (!r->regions_in_host)
		COUNTER_IS(r, ENERGY, normal + 80000 - 2u * 2 * 300 + 3u * 2 * 30);
	/* A second list of the same channels is read and multiplied, but its weights are here already. */
	COST(0, 1);
	if (r->regions_in_host)
		return;

	uint64_t one = read;

	COST(0, 2);
	EXPECT_EQ(read - one, 128u);		/* header and two entries touch two bursts */
	COUNTER_IS(r, ENERGY_IDEAL, 2 * (2u * 2 * (200 + 100) + flush));
#undef COST
}

enum { GROUPS = 3, N = GROUPS * 128, OUT = 150, TILES = 3, ROWS = 4, ENTRIES = 4000 };

static int32_t (*random_matrix(struct rig *r))[N]
{
	static int32_t w[OUT][N];		/* with the residual added */
	uint32_t seed = 2, *index = rig_at(r, SNPU_REGION_CONST, 0x8000), at = 0;
	struct snpu_residual *x = (void *)(index + TILES * GROUPS + 1);

	for (uint32_t o = 0; o < TILES * 64; o++)
		for (uint32_t c = 0; c < N; c++) {
			noise(&seed);
			*code(r, N, o, c) = (int8_t)(seed >> 24);
			if (o < OUT)
				w[o][c] = (int8_t)(seed >> 24);
		}
	for (uint32_t g = 0; g < TILES * GROUPS; g++) {
		index[g] = at;
		for (uint32_t n = g == 4 ? 0 : g == 5 ? 3000 : 100; n; n--, at++) {	/* also none, and more than a piece */
			noise(&seed);
			x[at] = (struct snpu_residual){ seed >> 24 & 127, seed >> 16 & 63, (int16_t)(seed >> 8) };
			if (g / GROUPS * 64 + x[at].output < OUT)
				w[g / GROUPS * 64 + x[at].output][g % GROUPS * 128 + x[at].channel] += x[at].code;
		}
	}
	index[TILES * GROUPS] = at;
	EXPECT_LE(at, (uint32_t)ENTRIES);
	return w;
}

static float spmv_one(struct rig *r, uint32_t row, uint32_t o, const int32_t *w, bool biased)
{
	const struct snpu_spikes *head = rig_at(r, SNPU_REGION_INPUT, OFF + row * 4 * SNPU_EVENTS_WORDS(N));
	const struct snpu_spike *s = (const void *)(head + 1);
	const float *scale = rig_at(r, SNPU_REGION_CONST, OFF), *bias = rig_at(r, SNPU_REGION_CONST, 0x4000);
	uint32_t acc[GROUPS] = { 0 };
	float t = 0.0f;

	for (uint32_t i = 0; i < head->count; i++)
		acc[s[i].channel / 128] += (uint32_t)((int64_t)s[i].count * w[s[i].channel]);	/* modulo 2^32 */
	for (unsigned int g = 0; g < GROUPS; g++) {
		volatile float term = scale[(o / 64 * GROUPS + g) * 64 + o % 64] * (float)(int32_t)acc[g];

		t += term;
	}
	t = head->vth * t;
	return biased ? t + bias[o] : t;
}

/* Everything that a residual adds to the synaptic operations. */
static uint64_t residual_hits(struct rig *r)
{
	const uint32_t *index = rig_at(r, SNPU_REGION_CONST, 0x8000);
	const struct snpu_residual *x = (const void *)(index + TILES * GROUPS + 1);
	uint64_t hits = 0;

	for (unsigned int row = 0; row < ROWS; row++) {
		const struct snpu_spikes *head = rig_at(r, SNPU_REGION_INPUT, OFF + row * 4 * SNPU_EVENTS_WORDS(N));
		const struct snpu_spike *s = (const void *)(head + 1);
		bool in[N] = { false };

		for (uint32_t i = 0; i < head->count; i++)
			in[s[i].channel] = true;
		for (unsigned int g = 0; g < TILES * GROUPS; g++)
			for (uint32_t i = index[g]; i < index[g + 1]; i++)
				hits += in[g % GROUPS * 128 + x[i].channel];
	}
	return hits;
}

TEST_F(spike, spmv)
{
	struct rig *r = &self->r;
	int32_t (*w)[N] = random_matrix(r);
	float *scale = rig_at(r, SNPU_REGION_CONST, OFF), *bias = rig_at(r, SNPU_REGION_CONST, 0x4000);
	const float *out = rig_at(r, SNPU_REGION_OUTPUT, OFF);
	uint32_t seed = 3, events = 0;

	for (unsigned int i = 0; i < TILES * GROUPS * 64; i++)
		scale[i] = noise(&seed);
	for (unsigned int i = 0; i < OUT; i++)
		bias[i] = noise(&seed);
	for (unsigned int row = 0; row < ROWS; row++)
		events += row == 2 ? 0 : random_list(rig_at(r, SNPU_REGION_INPUT, OFF + row * 4 * SNPU_EVENTS_WORDS(N)), N, 0.25f + (float)row, &seed);
	((struct snpu_spikes *)rig_at(r, SNPU_REGION_INPUT, OFF + 2 * 4 * SNPU_EVENTS_WORDS(N)))->vth = 1.0f;	/* a silent row */
	for (unsigned int i = 0; i < 8; i++) {
		bool biased = i & 1, rest = i & 2;
		struct snpu_ref none = { 0 }, b = REF(CONST, 0x4000), x = REF(CONST, 0x8000);
		uint32_t n = ((uint32_t *)rig_at(r, SNPU_REGION_CONST, 0x8000))[TILES * GROUPS];

		r->prog = 0;
		PUT(r, SPMV, (biased ? SNPU_SPMV_BIAS : 0) | (rest ? SNPU_SPMV_RESIDUAL : 0) | (i & 4 ? SNPU_SPMV_BIT_SERIAL : 0), .spikes = REF(INPUT, OFF),
		    .weights = REF(WEIGHTS, 0), .scales = REF(CONST, OFF), .residual = rest ? x : none, .bias = biased ? b : none, .out = REF(OUTPUT, OFF),
		    .groups = GROUPS, .n_out = OUT, .rows = ROWS, .n_residual = n);
		RUN(r);
		for (uint32_t row = 0; row < ROWS; row++)
			for (uint32_t o = 0; o < OUT; o++) {
				int32_t plain[N];

				for (unsigned int c = 0; c < N; c++)
					plain[c] = rest ? w[o][c] : *code(r, N, o, c);
				ASSERT_EQ(bits(out[row * OUT + o]), bits(spmv_one(r, row, o, plain, biased)));
			}
		COUNTER_IS(r, EVENTS, events);
		COUNTER_IS(r, SYNOPS, (uint64_t)events * OUT + (rest ? residual_hits(r) : 0));
		COUNTER_IS(r, SKIPPED, (uint64_t)(ROWS * N - events) * TILES);
	}
}

/* --- more than the card holds at a time --------------------------------------------------------------------------- */
/* Maps `size` bytes at the beginning of a region to the same two megabytes again and again. */
static void alias(struct rig *r, unsigned int region, uint64_t size)
{
	for (uint64_t off = 0; off < size; off += RIG_REGION)
		rig_map(r, RIG_VA(region) + off, rig_region_pa(r, region), RIG_REGION, 21, SNPU_PTE_READ | SNPU_PTE_WRITE | SNPU_PTE_DEVICE);
	r->desc.region[region].size = size;
}

/* A list of 4 Mi entries fills the card; the next one, of two, is a block of its own. All codes and scales are 1. */
TEST(spmv_blocks)
{
	enum { CHANNELS = 1 << 22 };
	const uint64_t list = 4 * SNPU_EVENTS_WORDS(CHANNELS), device = SNPU_REGION_COUNT * RIG_REGION;
	struct rig r;
	const float *out;

	rig_init(&r, false, false, 21);
	/* The first list lies in host memory and, behind it, in device memory; the rest of the operand repeats that. */
	for (uint64_t off = 0; off < 2 * list + RIG_REGION; off += RIG_REGION) {
		bool host = off < RIG_MEMORY;

		rig_map(&r, RIG_VA(SNPU_REGION_INPUT) + off, host ? RIG_HOST + off : device + (off - RIG_MEMORY) % (2 * RIG_REGION), RIG_REGION, 21,
			SNPU_PTE_READ | (host ? 0 : SNPU_PTE_DEVICE));
	}
	r.desc.region[SNPU_REGION_INPUT].size = 2 * list + RIG_REGION;
	for (uint64_t i = 0; i < CHANNELS + 4; i++) {
		uint64_t off = i * 8;
		struct snpu_spike s = i == 0 || i == CHANNELS + 1 ? (struct snpu_spike){ i ? 2 : CHANNELS, 0x3f800000 } :	/* headers, vth 1 */
							(struct snpu_spike){ (uint32_t)((i - 1) % (CHANNELS + 1)), 1 };

		memcpy(off < RIG_MEMORY ? r.host + off : r.vram + device + (off - RIG_MEMORY), &s, sizeof(s));
	}
	memset(rig_at(&r, SNPU_REGION_WEIGHTS, 0), 1, RIG_REGION);
	for (unsigned int i = 0; i < RIG_REGION / 4; i++)
		((float *)rig_at(&r, SNPU_REGION_CONST, 0))[i] = 1.0f;
	alias(&r, SNPU_REGION_WEIGHTS, 64ull * CHANNELS);
	alias(&r, SNPU_REGION_CONST, 4ull * CHANNELS / 128 * 64);
	PUT(&r, SPMV, 0, .spikes = REF(INPUT, 0), .weights = REF(WEIGHTS, 0), .scales = REF(CONST, 0), .out = REF(OUTPUT, 0),
	    .groups = CHANNELS / 128, .n_out = 3, .rows = 2);
	PUT(&r, END, 0);
	EXPECT_EQ(rig_run(&r), SNPU_ENG_DONE);
	out = rig_at(&r, SNPU_REGION_OUTPUT, 0);
	for (unsigned int o = 0; o < 3; o++)
		EXPECT_TRUE(out[o] == (float)CHANNELS && out[3 + o] == 2.0f);
	COUNTER_IS(&r, EVENTS, CHANNELS + 2u);
	rig_free(&r);
}

/* Three vectors of 2 Mi elements, two of which fit: all are the same, so are the outputs. */
TEST(matmul_blocks)
{
	enum { IN = 1 << 21 };
	struct rig r;
	const float *out;

	rig_init(&r, false, false, 21);
	for (unsigned int i = 0; i < RIG_REGION / 4; i++)
		((float *)rig_at(&r, SNPU_REGION_INPUT, 0))[i] = ((float *)rig_at(&r, SNPU_REGION_WEIGHTS, 0))[i] = i % 16 == 5 ? 2.0f : 0.0f;
	alias(&r, SNPU_REGION_INPUT, 3 * 4ull * IN);
	alias(&r, SNPU_REGION_WEIGHTS, 2 * 4ull * IN);
	PUT(&r, MATMUL, 0, .x = REF(INPUT, 0), .weights = REF(WEIGHTS, 0), .out = REF(OUTPUT, 0), .n_in = IN, .n_out = 2, .rows = 3);
	PUT(&r, END, 0);
	EXPECT_EQ(rig_run(&r), SNPU_ENG_DONE);
	out = rig_at(&r, SNPU_REGION_OUTPUT, 0);
	for (unsigned int i = 0; i < 6; i++)
		EXPECT_TRUE(out[i] == 4.0f * IN / 16);
	EXPECT_EQ(bits(out[6]), 0u);
	rig_free(&r);
}

/* Scores of three query heads over 2 Mi keys, of which two fit. Queries of zeros: the mean of the values, 1 and 3 in turn. */
TEST(swa_blocks)
{
	enum { KEYS = 1 << 21, D = 4 };
	struct rig r;
	const float *out;

	rig_init(&r, false, false, 21);
	for (unsigned int i = 0; i < RIG_REGION / 4; i++)
		((float *)rig_at(&r, SNPU_REGION_STATE, 0))[i] = i / D % 2 ? 3.0f : 1.0f;
	*(uint32_t *)rig_at(&r, SNPU_REGION_CONST, 0) = KEYS - 1;
	alias(&r, SNPU_REGION_STATE, 2 * 4ull * KEYS * D);
	PUT(&r, SWA, 0, .q = REF(INPUT, 0), .cache = REF(STATE, 0), .position = REF(CONST, 0), .out = REF(OUTPUT, 0), .kv = 1, .group = 3, .d = D,
	    .slots = KEYS, .window = KEYS);
	PUT(&r, END, 0);
	EXPECT_EQ(rig_run(&r), SNPU_ENG_DONE);
	out = rig_at(&r, SNPU_REGION_OUTPUT, 0);
	for (unsigned int i = 0; i < 3 * D; i++)
		EXPECT_TRUE(out[i] == 2.0f);
	EXPECT_EQ(bits(out[3 * D]), 0u);
	rig_free(&r);
}

TEST_HARNESS_MAIN
