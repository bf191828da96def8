/* SPDX-License-Identifier: MIT */
/*
 * How the packets of language models fail: spike lists and numbers in memory that are wrong, operands that are not mapped,
 * in which order that is found out, and that nothing was written then. What all packets have in common is in engine_fault_test.c.
 */
#include "tests/harness.h"
#include "tests/unit/engine_lm_rig.h"

FIXTURE(lm_fault) { struct rig r; };
FIXTURE_SETUP(lm_fault) { rig_init(&self->r, false, false, 12); }
FIXTURE_TEARDOWN(lm_fault) { rig_free(&self->r); }

/* All that packets may write to; a pattern before, compared after. */
static const unsigned int writable[] = { SNPU_REGION_STATE, SNPU_REGION_OUTPUT, SNPU_REGION_SCRATCH };

static void expect(struct rig *r, enum snpu_fault_code code, uint32_t operand, uint64_t va, enum snpu_access access)
{
	static uint8_t before[3][RIG_REGION];
	const struct snpu_fault *f = &r->res.fault;

	for (unsigned int i = 0; i < 3; i++)
		memcpy(before[i], rig_at(r, writable[i], 0), RIG_REGION);
	EXPECT_EQ(rig_run(r), SNPU_ENG_FAULT);
	EXPECT_EQ(f->code, (uint32_t)code);
	EXPECT_EQ(f->operand, operand);
	EXPECT_EQ(f->va, va);
	EXPECT_EQ(f->access, (uint32_t)access);
	for (unsigned int i = 0; i < 3; i++)
		EXPECT_EQ(memcmp(before[i], rig_at(r, writable[i], 0), RIG_REGION), 0);
	for (unsigned int c = 0; c < SNPU_COUNTER_COUNT; c++)
		EXPECT_EQ(r->res.counter[c], 0u);
}

#define GOOD(r_, ...) do { (r_)->prog = 0; PUT(r_, __VA_ARGS__); PUT(r_, END, 0); EXPECT_EQ(rig_run(r_), SNPU_ENG_DONE); } while (0)
#define BAD(r_, code_, operand_, va_, access_, ...) do {							\
	(r_)->prog = 0;											\
	PUT(r_, __VA_ARGS__);										\
	expect(r_, SNPU_FAULT_##code_, operand_, va_, SNPU_ACCESS_##access_);				\
} while (0)

/* Row `row` of the lists of n channels at INPUT. */
static void put_list(struct rig *r, uint32_t row, uint32_t n, uint32_t count, uint32_t a, uint32_t b, uint32_t c)
{
	uint32_t list[8] = { count, bits(1.0f), a, 1, b, 1, c, 1 };

	memcpy(rig_at(r, SNPU_REGION_INPUT, row * 4 * SNPU_EVENTS_WORDS(n)), list, sizeof(list));
}

TEST_F(lm_fault, bad_events)
{
	static const struct { uint32_t count, ch[3], off; } bad[] = {
		{ 129, { 0, 1, 2 }, 0 }, { 0xffffffff, { 0, 1, 2 }, 0 },	/* more than there are channels */
		{ 3, { 0, 1, 128 }, 8 + 16 }, { 1, { 0xffffffff, 0, 0 }, 8 },
		{ 3, { 0, 2, 1 }, 8 + 16 }, { 2, { 1, 1, 2 }, 8 + 8 },
	};
	struct rig *r = &self->r;
	uint64_t row2 = RIG_VA(SNPU_REGION_INPUT) + 2 * 4 * SNPU_EVENTS_WORDS(128);

#define SPMV_3	SPMV, 0, .spikes = REF(INPUT, 0), .weights = REF(WEIGHTS, 0), .scales = REF(CONST, 0), .out = REF(OUTPUT, 0),	\
		.groups = 1, .n_out = 70, .rows = 4
#define SWA_4	SWA, SNPU_KV_INT8, .q = REF(INPUT, 0), .cache = REF(STATE, 0), .position = REF(CONST, 0), .out = REF(OUTPUT, 0),	\
		.kv = 2, .group = 2, .d = 128, .slots = 4, .window = 4
	memset(rig_at(r, SNPU_REGION_WEIGHTS, 0), 1, 2 * 128 * 64);
	put_list(r, 0, 128, 3, 0, 1, 2);
	put_list(r, 1, 128, 0, 0, 0, 0);
	put_list(r, 3, 128, 500, 0, 0, 0);	/* wrong too, but later */
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put_list(r, 2, 128, bad[i].count, bad[i].ch[0], bad[i].ch[1], bad[i].ch[2]);
		BAD(r, BAD_EVENTS, 0, row2 + bad[i].off, READ, SPMV_3);
		BAD(r, BAD_EVENTS, 0, row2 + bad[i].off, READ, SWA_4);
	}
	put_list(r, 2, 128, 3, 0, 126, 127);
	put_list(r, 3, 128, 1, 127, 0, 0);
	GOOD(r, SPMV_3);
	GOOD(r, SWA_4);
}

TEST_F(lm_fault, bad_index_gather)
{
	struct rig *r = &self->r;
	uint32_t *index = rig_at(r, SNPU_REGION_INPUT, 0);

#define GATHER_3 GATHER, 0, .index = REF(INPUT, 0), .table = REF(WEIGHTS, 0), .out = REF(OUTPUT, 0), .table_rows = 10, .n = 5, .rows = 3
	memset(rig_at(r, SNPU_REGION_WEIGHTS, 0), 1, 200);
	index[0] = 9;
	index[2] = 10;
	BAD(r, BAD_INDEX, 0, RIG_VA(SNPU_REGION_INPUT) + 8, READ, GATHER_3);
	index[1] = 0xffffffff;
	BAD(r, BAD_INDEX, 0, RIG_VA(SNPU_REGION_INPUT) + 4, READ, GATHER_3);
	index[1] = index[2] = 0;
	GOOD(r, GATHER_3);
}

/* Two tiles of two groups, four entries. */
TEST_F(lm_fault, bad_index_residual)
{
	static const struct { uint32_t index[5], entry[4], off; } bad[] = {
		{ { 1, 1, 2, 4, 4 }, { 0 }, 0 },			/* not from 0 */
		{ { 0, 3, 2, 4, 4 }, { 0 }, 8 },			/* descending */
		{ { 0, 1, 5, 4, 4 }, { 0 }, 8 },			/* more than there are */
		{ { 0, 0xffffffff, 2, 4, 4 }, { 0 }, 4 },
		{ { 0, 1, 2, 3, 3 }, { 0 }, 16 },			/* not all of them */
		{ { 0, 1, 2, 4, 5 }, { 0 }, 16 },
		{ { 0, 1, 2, 4, 4 }, { 127, 128, 0, 0 }, 20 + 4 },	/* channel */
		{ { 0, 1, 2, 4, 4 }, { 63 << 8, 0, 0, 64 << 8 }, 20 + 12 },	/* output */
		{ { 0, 1, 2, 4, 3 }, { 255, 0, 0, 0 }, 16 },		/* index before entries */
	};
	struct rig *r = &self->r;
	uint32_t *x = rig_at(r, SNPU_REGION_CONST, 0x1000);

#define SPMV_R	SPMV, SNPU_SPMV_RESIDUAL, .spikes = REF(INPUT, 0), .weights = REF(WEIGHTS, 0), .scales = REF(CONST, 0),		\
		.residual = REF(CONST, 0x1000), .out = REF(OUTPUT, 0), .groups = 2, .n_out = 65, .rows = 2, .n_residual = 4
	memset(rig_at(r, SNPU_REGION_WEIGHTS, 0), 1, 2 * 256 * 64);
	put_list(r, 0, 256, 3, 0, 1, 2);
	put_list(r, 1, 256, 2, 7, 254, 0);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memcpy(x, bad[i].index, sizeof(bad[i].index));
		memcpy(x + 5, bad[i].entry, sizeof(bad[i].entry));
		BAD(r, BAD_INDEX, 3, RIG_VA(SNPU_REGION_CONST) + 0x1000 + bad[i].off, READ, SPMV_R);
	}
	/* Lists are judged before the residual. */
	put_list(r, 1, 256, 2, 7, 7, 0);
	BAD(r, BAD_EVENTS, 0, RIG_VA(SNPU_REGION_INPUT) + 4 * SNPU_EVENTS_WORDS(256) + 16, READ, SPMV_R);
	put_list(r, 1, 256, 2, 7, 254, 0);
	memcpy(x, bad[7].index, sizeof(bad[7].index));
	x[5] = 63 << 8;
	x[8] = 63 << 8 | 127;
	GOOD(r, SPMV_R);
}

/* Wrong numbers and references, which all packets share, where these packets have something of their own. */
TEST_F(lm_fault, packet)
{
	struct rig *r = &self->r;

#define REFS	.spikes = REF(INPUT, 0), .weights = REF(WEIGHTS, 0), .scales = REF(CONST, 0), .out = REF(OUTPUT, 0)
	BAD(r, BAD_OPERAND, 3, 0, NONE, SPMV, 0, REFS, .residual = REF(CONST, 0), .groups = 1, .n_out = 1, .rows = 1);
	BAD(r, BAD_OPERAND, 4, 0, NONE, SPMV, 0, REFS, .bias = REF(CONST, 0), .groups = 1, .n_out = 1, .rows = 1);
	BAD(r, BAD_OPERAND, 6, 0, NONE, SPMV, 0, REFS, .groups = SNPU_MAX_N / 128 + 1, .n_out = 1, .rows = 1);
	BAD(r, BAD_OPERAND, 8, 0, NONE, SPMV, 0, REFS, .groups = 1, .n_out = 1, .rows = SNPU_MAX_ROWS + 1);
	BAD(r, BAD_FLAGS, ~0u, 0, NONE, SPMV, 2, REFS, .groups = 1, .n_out = 1, .rows = 1);
	BAD(r, BOUNDS, 3, 0, NONE, SPMV, SNPU_SPMV_RESIDUAL, REFS, .residual = REF(CONST, 0), .groups = 1, .n_out = 1, .rows = 1,
		 .n_residual = 0xffffffff);
	BAD(r, BOUNDS, 0, 0, NONE, SPMV, 0, REFS, .groups = SNPU_MAX_N / 128, .n_out = SNPU_MAX_N, .rows = SNPU_MAX_ROWS);
#undef REFS
	BAD(r, BOUNDS, 1, 0, NONE, MATMUL, 0, .x = REF(INPUT, 0), .weights = REF(WEIGHTS, 0), .out = REF(OUTPUT, 0), .n_in = 1024,
		 .n_out = 513, .rows = 1);
	GOOD(r, MATMUL, SNPU_WEIGHTS_BF16, .x = REF(INPUT, 0), .weights = REF(WEIGHTS, 0), .out = REF(OUTPUT, 0), .n_in = 1024,
		 .n_out = 513, .rows = 1);
	BAD(r, BAD_REGION, 3, 0, NONE, KV_APPEND, 0, .k = REF(INPUT, 0), .v = REF(INPUT, 0), .position = REF(INPUT, 0),
		 .cache = REF(CONST, 0), .kv = 1, .d = 1, .slots = 1);
	BAD(r, BAD_OPERAND, 2, 0, NONE, RMSNORM, 0, .x = REF(SCRATCH, 0), .weight = REF(CONST, 0), .out = REF(SCRATCH, 0), .n = 4,
		 .rows = 1);
	BAD(r, BAD_OPERAND, 2, 0, NONE, SILU_MUL, 0, .gate = REF(SCRATCH, 0), .up = REF(SCRATCH, 64), .out = REF(SCRATCH, 4),
		 .n = 4);
	GOOD(r, SILU_MUL, 0, .gate = REF(SCRATCH, 0), .up = REF(SCRATCH, 64), .out = REF(SCRATCH, 64), .n = 4);
}

/* Every operand is translated in full, in list order, before anything is judged: also what the packet would not fetch. */
static void unmapped(struct rig *r, unsigned int region, uint64_t off, uint32_t operand, bool write, const void *pkt, size_t size)
{
	uint64_t *pte = rig_pte(r, RIG_VA(region) + off, 0), was = *pte;

	r->prog = 0;
	rig_put(r, pkt, size);
	*pte = write ? was & ~SNPU_PTE_WRITE : 0;
	snpu_engine_invalidate(r->engine, RIG_ASID);
	expect(r, write ? SNPU_FAULT_MMU_WRITE : SNPU_FAULT_MMU_UNMAPPED, operand, RIG_VA(region) + off, write ? SNPU_ACCESS_WRITE : SNPU_ACCESS_READ);
	*pte = was;
	snpu_engine_invalidate(r->engine, RIG_ASID);
}

#define UNMAPPED(region_, off_, operand_, write_, NAME, flags_, ...) do {				\
	const struct snpu_pkt_##NAME p_ = { .hdr = { SNPU_OP_##NAME, flags_, sizeof(p_) / 4 }, __VA_ARGS__ };	\
	unmapped(&self->r, SNPU_REGION_##region_, off_, operand_, write_, &p_, sizeof(p_));		\
} while (0)

TEST_F(lm_fault, translated_first)
{
	struct rig *r = &self->r;

	for (unsigned int i = 0; i < RIG_REGION / 4; i++)	/* no list, no index is right */
		((uint32_t *)rig_at(r, SNPU_REGION_INPUT, 0))[i] = 0xffff0000;
	UNMAPPED(INPUT, 0x1000, 0, false, GATHER, 0, .index = REF(INPUT, 0xff0), .table = REF(WEIGHTS, 0), .out = REF(OUTPUT, 0),
		 .table_rows = 4, .n = 300, .rows = 5);
	UNMAPPED(WEIGHTS, 0x1000, 1, false, GATHER, 0, .index = REF(INPUT, 0), .table = REF(WEIGHTS, 0), .out = REF(OUTPUT, 0),
		 .table_rows = 4, .n = 300, .rows = 5);
	UNMAPPED(OUTPUT, 0x1000, 2, true, GATHER, 0, .index = REF(INPUT, 0), .table = REF(WEIGHTS, 0), .out = REF(OUTPUT, 0),
		 .table_rows = 4, .n = 300, .rows = 5);
	UNMAPPED(SCRATCH, 0x2000, 1, true, ENCODE, 0, .x = REF(INPUT, 0), .spikes = REF(SCRATCH, 0), .n = 1000, .rows = 2,
		 .k = bits(3.0f));
	UNMAPPED(WEIGHTS, 0x3000, 1, false, SPMV, 0, .spikes = REF(INPUT, 0), .weights = REF(WEIGHTS, 0), .scales = REF(CONST, 0),
		 .out = REF(OUTPUT, 0), .groups = 1, .n_out = 128, .rows = 1);
	UNMAPPED(OUTPUT, 0x1000, 5, true, SPMV, 0, .spikes = REF(INPUT, 0), .weights = REF(WEIGHTS, 0), .scales = REF(CONST, 0),
		 .out = REF(OUTPUT, 0xf00), .groups = 1, .n_out = 128, .rows = 1);
	UNMAPPED(OUTPUT, 0x1000, 3, true, MATMUL, 0, .x = REF(INPUT, 0), .weights = REF(WEIGHTS, 0), .out = REF(OUTPUT, 0xf00),
		 .n_in = 4, .n_out = 128, .rows = 1);
	UNMAPPED(OUTPUT, 0x1000, 2, true, SILU_MUL, 0, .gate = REF(INPUT, 0), .up = REF(INPUT, 0), .out = REF(OUTPUT, 0),
		 .n = 2000);
	UNMAPPED(OUTPUT, 0x1000, 2, true, RMSNORM, 0, .x = REF(INPUT, 0), .weight = REF(CONST, 0), .out = REF(OUTPUT, 0), .n = 20,
		 .rows = 100);
	UNMAPPED(STATE, 0x1000, 2, true, ROPE, 0, .position = REF(INPUT, 0), .inv = REF(CONST, 0), .x = REF(STATE, 0), .half = 20,
		 .heads = 10, .rows = 10);
	UNMAPPED(STATE, 0x2000, 4, true, GLA_STEP, 0, .q = REF(INPUT, 0), .k = REF(INPUT, 0), .v = REF(INPUT, 0),
		 .g = REF(INPUT, 0), .state = REF(STATE, 0), .out = REF(OUTPUT, 0), .kv = 3, .group = 1, .d = 32, .rows = 2);
	UNMAPPED(OUTPUT, 0x1000, 5, true, GLA_STEP, 0, .q = REF(INPUT, 0), .k = REF(INPUT, 0), .v = REF(INPUT, 0),
		 .g = REF(INPUT, 0), .state = REF(STATE, 0), .out = REF(OUTPUT, 0xfc0), .kv = 1, .group = 1, .d = 32, .rows = 2);
	UNMAPPED(STATE, 0x4000, 3, false, KV_APPEND, 0, .k = REF(INPUT, 0), .v = REF(INPUT, 0), .position = REF(INPUT, 0),
		 .cache = REF(STATE, 0), .kv = 1, .d = 32, .slots = 128);
	UNMAPPED(STATE, 0x4000, 1, false, SWA, SNPU_KV_INT8, .q = REF(INPUT, 0), .cache = REF(STATE, 0),
		 .position = REF(INPUT, 0), .out = REF(OUTPUT, 0), .kv = 1, .group = 1, .d = 64, .slots = 128, .window = 1);
	UNMAPPED(OUTPUT, 0x1000, 1, true, ARGMAX, 0, .x = REF(INPUT, 0), .out = REF(OUTPUT, 0xff0), .n = 2, .rows = 100);
}

TEST_HARNESS_MAIN
