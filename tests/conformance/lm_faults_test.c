/* SPDX-License-Identifier: MIT */
/*
 * Faults of the packets of language models: every operand is translated in full before anything is judged, then what was read
 * is judged by ascending address, and a packet that faults changes nothing. And operands that lie in pieces.
 */
#include "conf.h"
#include "fault.h"

CONF_VARIANTS

#define VI	CONF_VA(SNPU_REGION_INPUT)
#define VC	CONF_VA(SNPU_REGION_CONST)
#define VO	CONF_VA(SNPU_REGION_OUTPUT)
#define READ	SNPU_ACCESS_READ

static struct snpu_ref in(uint64_t off) { return snpu_ref(SNPU_REGION_INPUT, off); }
static struct snpu_ref out(uint64_t off) { return snpu_ref(SNPU_REGION_OUTPUT, off); }
static struct snpu_ref constant(uint64_t off) { return snpu_ref(SNPU_REGION_CONST, off); }
static struct snpu_ref scratch(uint64_t off) { return snpu_ref(SNPU_REGION_SCRATCH, off); }

#define LIST(n)	(4 * SNPU_EVENTS_WORDS(n))	/* bytes */

/* Three lists of 128 channels that are all right, [2] of them with two entries. */
static void good_lists(struct conf *c)
{
	for (int r = 0; r < 3; r++) {
		uint32_t *list = conf_u32(c, SNPU_REGION_INPUT, r * LIST(128));

		list[0] = 2;
		list[1] = 0x3f800000;
		list[2] = 5;
		list[3] = 1;
		list[4] = 127;
		list[5] = 0xffffffff;
	}
}

TEST_F(conf, spike_lists)
{
	uint32_t *second = conf_u32(self, SNPU_REGION_INPUT, LIST(128)), *third = conf_u32(self, SNPU_REGION_INPUT, 2 * LIST(128));

	good_lists(self);
	snpu_emit(&self->prog, SPMV, .spikes = in(0), .weights = snpu_ref(SNPU_REGION_WEIGHTS, 0), .scales = constant(0), .out = out(0),
		  .groups = 1, .n_out = 3, .rows = 3);
	ASSERT_EQ(build(self), 0);
	conf_u32(self, SNPU_REGION_OUTPUT, 0)[0] = 0x1234;
	third[0] = 129;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_EVENTS, 0, 0, VI + 2 * LIST(128), READ);
	third[0] = 0xffffffff;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_EVENTS, 0, 0, VI + 2 * LIST(128), READ);
	second[4] = 128;			/* a channel past the last, before the other mistake */
	EXPECT_FAULT(self, SNPU_FAULT_BAD_EVENTS, 0, 0, VI + LIST(128) + 16, READ);
	second[4] = 5;				/* twice the same */
	EXPECT_FAULT(self, SNPU_FAULT_BAD_EVENTS, 0, 0, VI + LIST(128) + 16, READ);
	second[2] = 0xffffffff;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_EVENTS, 0, 0, VI + LIST(128) + 8, READ);
	EXPECT_EQ(conf_u32(self, SNPU_REGION_OUTPUT, 0)[0], 0x1234);
	good_lists(self);
	EXPECT_EQ(conf_run_raw(self), 0);
	EXPECT_EQ(conf_u32(self, SNPU_REGION_OUTPUT, 0)[0], 0);
}

TEST_F(conf, queries_of_a_window)
{
	uint32_t *list = conf_u32(self, SNPU_REGION_INPUT, LIST(3));

	snpu_emit(&self->prog, SWA, .hdr.flags = SNPU_KV_INT8, .q = in(0), .cache = constant(0), .position = constant(0x1000), .out = out(0),
		  .kv = 1, .group = 2, .d = 3, .slots = 4, .window = 4);
	ASSERT_EQ(build(self), 0);
	conf_u32(self, SNPU_REGION_OUTPUT, 0)[0] = 0x1234;
	list[0] = 4;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_EVENTS, 0, 0, VI + LIST(3), READ);
	list[0] = 1;
	list[2] = 3;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_EVENTS, 0, 0, VI + LIST(3) + 8, READ);
	EXPECT_EQ(conf_u32(self, SNPU_REGION_OUTPUT, 0)[0], 0x1234);
	list[2] = 2;
	EXPECT_EQ(conf_run_raw(self), 0);
}

TEST_F(conf, rows_of_a_table)
{
	uint32_t *index = conf_u32(self, SNPU_REGION_INPUT, 0);

	snpu_emit(&self->prog, GATHER, .index = in(0), .table = constant(0), .out = out(0), .table_rows = 5, .n = 2, .rows = 3);
	ASSERT_EQ(build(self), 0);
	conf_u32(self, SNPU_REGION_OUTPUT, 0)[0] = 0x1234;
	index[2] = 5;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_INDEX, 0, 0, VI + 8, READ);
	index[1] = 0xffffffff;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_INDEX, 0, 0, VI + 4, READ);
	EXPECT_EQ(conf_u32(self, SNPU_REGION_OUTPUT, 0)[0], 0x1234);
	index[1] = index[2] = 4;
	EXPECT_EQ(conf_run_raw(self), 0);
}

TEST_F(conf, residual)
{
	enum { CELLS = 4, N = 9000 };		/* 2 tiles of 2 groups */
	uint32_t *index = conf_u32(self, SNPU_REGION_CONST, 0), *list = conf_u32(self, SNPU_REGION_INPUT, 0);
	struct snpu_residual *entry = (void *)(index + CELLS + 1);

	snpu_emit(&self->prog, SPMV, .hdr.flags = SNPU_SPMV_RESIDUAL, .spikes = in(0), .weights = snpu_ref(SNPU_REGION_WEIGHTS, 0),
		  .scales = constant(0x20000), .residual = constant(0), .out = out(0), .groups = 2, .n_out = 65, .rows = 1, .n_residual = N);
	ASSERT_EQ(build(self), 0);
	conf_u32(self, SNPU_REGION_OUTPUT, 0)[0] = 0x1234;
	index[1] = index[2] = 7;
	index[3] = index[4] = N;
	EXPECT_EQ(conf_run_raw(self), 0);
	ASSERT_EQ(conf_requeue(self), 0);
	conf_u32(self, SNPU_REGION_OUTPUT, 0)[0] = 0x1234;
	entry[N - 1].channel = 128;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_INDEX, 0, 3, VC + 4 * (CELLS + 1 + N - 1), READ);
	entry[4095].output = 64;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_INDEX, 0, 3, VC + 4 * (CELLS + 1 + 4095), READ);
	entry[3].channel = 255;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_INDEX, 0, 3, VC + 4 * (CELLS + 1 + 3), READ);
	index[4] = N - 1;			/* not the number of entries, less than the one before */
	EXPECT_FAULT(self, SNPU_FAULT_BAD_INDEX, 0, 3, VC + 16, READ);
	index[3] = 8;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_INDEX, 0, 3, VC + 16, READ);
	index[2] = 6;				/* less than the one before */
	EXPECT_FAULT(self, SNPU_FAULT_BAD_INDEX, 0, 3, VC + 8, READ);
	index[1] = N + 1;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_INDEX, 0, 3, VC + 4, READ);
	index[0] = 1;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_INDEX, 0, 3, VC, READ);
	list[0] = 257;				/* the lists come first */
	EXPECT_FAULT(self, SNPU_FAULT_BAD_EVENTS, 0, 0, VI, READ);
	EXPECT_EQ(conf_u32(self, SNPU_REGION_OUTPUT, 0)[0], 0x1234);
}

TEST_F(conf, translated_before_judged)
{
	uint32_t *list = conf_u32(self, SNPU_REGION_INPUT, 0);

	/* An empty list, and weights that nobody asks for: all of both must be there. */
	snpu_emit(&self->prog, SPMV, .spikes = in(0), .weights = snpu_ref(SNPU_REGION_WEIGHTS, 0), .scales = constant(0), .out = out(0),
		  .groups = 8, .n_out = 3, .rows = 1);
	ASSERT_EQ(build(self), 0);
	list[0] = 77777;			/* judged last of all */
	ASSERT_EQ(bind(self, SNPU_REGION_INPUT, 8192, 4096, 0), 0);
	ASSERT_EQ(bind(self, SNPU_REGION_WEIGHTS, 61440, 4096, 0), 0);
	ASSERT_EQ(bind(self, SNPU_REGION_OUTPUT, 0, 4096, SNPU_BIND_READ), 0);
	EXPECT_FAULT(self, SNPU_FAULT_MMU_UNMAPPED, 0, 0, VI + 8192, READ);
	ASSERT_EQ(bind(self, SNPU_REGION_INPUT, 8192, 4096, SNPU_BIND_READ), 0);
	EXPECT_FAULT(self, SNPU_FAULT_MMU_UNMAPPED, 0, 1, CONF_VA(SNPU_REGION_WEIGHTS) + 61440, READ);
	ASSERT_EQ(bind(self, SNPU_REGION_WEIGHTS, 61440, 4096, SNPU_BIND_READ), 0);
	EXPECT_FAULT(self, SNPU_FAULT_MMU_WRITE, 0, 5, VO, SNPU_ACCESS_WRITE);
	ASSERT_EQ(bind(self, SNPU_REGION_OUTPUT, 0, 4096, SNPU_BIND_READ | SNPU_BIND_WRITE), 0);
	EXPECT_FAULT(self, SNPU_FAULT_BAD_EVENTS, 0, 0, VI, READ);
	list[0] = 0;
	EXPECT_EQ(conf_run_raw(self), 0);
}

/* The room of lists that are written must be there, used or not; a state is translated for reading, then for writing. */
TEST_F(conf, written_operands)
{
	snpu_emit(&self->prog, ENCODE, .x = in(0), .spikes = out(0), .n = 1000, .rows = 1, .k = 0x40400000);
	ASSERT_EQ(build(self), 0);
	conf_u32(self, SNPU_REGION_OUTPUT, 0)[0] = 0x1234;
	ASSERT_EQ(bind(self, SNPU_REGION_OUTPUT, 4096, 4096, 0), 0);
	EXPECT_FAULT(self, SNPU_FAULT_MMU_UNMAPPED, 0, 1, VO + 4096, SNPU_ACCESS_WRITE);
	EXPECT_EQ(conf_u32(self, SNPU_REGION_OUTPUT, 0)[0], 0x1234);
	snpu_emit(&self->prog, KV_APPEND, .k = in(0), .v = in(0), .position = in(0), .cache = out(0), .kv = 1, .d = 64, .slots = 17);
	ASSERT_EQ(build(self), 0);
	ASSERT_EQ(bind(self, SNPU_REGION_OUTPUT, 4096, 4096, SNPU_BIND_WRITE), 0);
	EXPECT_FAULT(self, SNPU_FAULT_MMU_READ, 0, 3, VO + 4096, READ);
	ASSERT_EQ(bind(self, SNPU_REGION_OUTPUT, 4096, 4096, SNPU_BIND_READ), 0);
	EXPECT_FAULT(self, SNPU_FAULT_MMU_WRITE, 0, 3, VO + 4096, SNPU_ACCESS_WRITE);
	EXPECT_EQ(conf_u32(self, SNPU_REGION_OUTPUT, 0)[0], 0x1234);
}

/* The same packets with operands in one piece and over a border of bindings give the same, and write as little. */
TEST_F(conf, operands_across_bindings)
{
	enum { N = 384, ROWS = 3, WORDS = 2 + 2 * N, ROOM = ROWS * WORDS, N_OUT = 70 };
	static const uint64_t at[2] = { 0x8000, 4096 - 260 };	/* in one piece; over the border of two pages */
	uint64_t seed = 301;
	uint32_t *list[2];

	for (uint32_t i = 0; i < ROWS * N; i++)
		conf_f32(self, SNPU_REGION_INPUT, at[0])[i] = conf_f32(self, SNPU_REGION_INPUT, at[1])[i] =
			conf_random(&seed) % 2 ? 0.0f : conf_float(&seed, false);
	for (uint32_t i = 0; i < SNPU_TILES(N_OUT) * N * SNPU_TILE; i++)
		self->mem[SNPU_REGION_WEIGHTS][i] = (uint8_t)conf_random(&seed);
	for (uint32_t i = 0; i < SNPU_TILES(N_OUT) * N / SNPU_GROUP * SNPU_TILE; i++)
		conf_f32(self, SNPU_REGION_CONST, 0)[i] = conf_float(&seed, false);
	memset(self->mem[SNPU_REGION_SCRATCH], 0xee, CONF_SIZE);
	for (unsigned int torn = 0; torn < 2; torn++) {
		uint32_t flags = SNPU_BIND_READ | SNPU_BIND_WRITE;

		if (torn)
			for (unsigned int r = 1; r < SNPU_REGION_PROFILE; r++)	/* the same page again, which is a binding of its own */
				ASSERT_EQ(bind(self, r, 4096, 4096, r == SNPU_REGION_OUTPUT || r == SNPU_REGION_SCRATCH ? flags : SNPU_BIND_READ), 0);
		snpu_emit(&self->prog, ENCODE, .x = in(at[torn]), .spikes = scratch(at[torn]), .n = N, .rows = ROWS, .k = 0x40400000);
		snpu_emit(&self->prog, SPMV, .spikes = scratch(at[torn]), .weights = snpu_ref(SNPU_REGION_WEIGHTS, 0), .scales = constant(0),
			  .out = out(at[torn]), .groups = N / SNPU_GROUP, .n_out = N_OUT, .rows = ROWS);
		ASSERT_EQ(conf_run(self), 0);
		list[torn] = conf_u32(self, SNPU_REGION_SCRATCH, at[torn]);
	}
	for (uint32_t r = 0; r < ROWS; r++) {
		ASSERT_GT(list[0][r * WORDS], 0);
		ASSERT_LT(list[0][r * WORDS], N);
	}
	EXPECT_EQ(memcmp(list[0], list[1], ROOM * 4), 0);
	EXPECT_EQ(list[1][WORDS - 1], 0xeeeeeeee);		/* the rest of a list's room is as it was */
	EXPECT_EQ(list[1][ROOM], 0xeeeeeeee);
	conf_expect(conf_f32(self, SNPU_REGION_OUTPUT, at[1]), conf_f32(self, SNPU_REGION_OUTPUT, at[0]), ROWS * N_OUT, "SPMV in pieces");
}

TEST_HARNESS_MAIN
