/* SPDX-License-Identifier: MIT */
/*
 * Every way a job can fail, each with the whole fault record: descriptor, packet, operands, overlaps, loops, event
 * lists, memory. Expected records are written down here from hw/snpu_isa.def and hw/snpu_job.h.
 */
#include "tests/harness.h"
#include "tests/unit/engine_rig.h"

FIXTURE(fault) { struct rig r; };
FIXTURE_SETUP(fault) { rig_init(&self->r, false, false, 12); }
FIXTURE_TEARDOWN(fault) { rig_free(&self->r); }

#define NO_OPERAND	(~0u)

/* Runs and compares every field of the record; pc of the packet, operand, address and kind of access (0, 0: none). */
static void expect(struct rig *r, enum snpu_fault_code code, uint64_t pc, uint32_t operand, uint64_t va, enum snpu_access access)
{
	const struct snpu_fault *f = &r->res.fault;
	uint32_t packet = 0;

	EXPECT_EQ(rig_run(r), SNPU_ENG_FAULT);
	if (code != SNPU_FAULT_BAD_DESC && pc + 8 <= r->prog)
		memcpy(&packet, rig_at(r, SNPU_REGION_PROGRAM, pc), 4);
	EXPECT_EQ(f->code, (uint32_t)code);
	EXPECT_EQ(f->pc, pc);
	EXPECT_EQ(f->operand, operand);
	EXPECT_EQ(f->va, va);
	EXPECT_EQ(f->access, (uint32_t)access);
	EXPECT_EQ(f->packet, packet);
	EXPECT_EQ(f->seqno, 0x1122334455667788ull);
	EXPECT_EQ(f->asid, RIG_ASID);
	EXPECT_EQ(f->queue, RIG_QUEUE);
	EXPECT_EQ(f->reserved, 0u);
	EXPECT_EQ(r->res.state.valid, 0u);
}

/* --- descriptor -------------------------------------------------------------------------------------------------- */
TEST_F(fault, bad_desc)
{
	struct rig *r = &self->r;
	const struct snpu_job_desc good = r->desc;

#define BAD(change) do { r->desc = good; change; expect(r, SNPU_FAULT_BAD_DESC, r->desc.entry, NO_OPERAND, 0, 0); } while (0)
	PUT(r, END, 0);
	BAD(r->desc.flags = 1);
	BAD(r->desc.pad = 1);
	for (unsigned int i = 0; i < 5; i++)
		BAD(r->desc.reserved[i] = 1);
	BAD(r->desc.entry = 4);
	BAD(r->desc.region[SNPU_REGION_PROGRAM].size = 0);
	BAD(r->desc.region[SNPU_REGION_INPUT].va += 32);
	BAD(r->desc.region[SNPU_REGION_INPUT].va = (1ull << 48) - 64);
	BAD(r->desc.region[SNPU_REGION_INPUT].size = ~0ull);
	BAD(r->desc.region[SNPU_REGION_INPUT].va = 1ull << 63);
	BAD(r->desc.region[9].va = 64);
	BAD(r->desc.region[11].size = 64);
	BAD(r->desc.profile_slots = 65537);
	BAD(r->desc.profile_slots = 0xffffffff);
	BAD((r->desc.profile_slots = 2, r->desc.region[SNPU_REGION_PROFILE].size = 2 * 8 * SNPU_COUNTER_COUNT - 1));
#undef BAD
	EXPECT_EQ(r->res.counter[SNPU_COUNTER_PACKETS], 0u);
	r->desc = good;
	r->desc.region[SNPU_REGION_INPUT] = (struct snpu_region_binding){ (1ull << 48) - 64, 64 };
	EXPECT_EQ(rig_run(r), SNPU_ENG_DONE);
}

TEST_F(fault, bad_asid)
{
	struct rig *r = &self->r;
	struct snpu_engine_job job = { .pt_root = r->root, .asid = SNPU_ASIDS, .queue = RIG_QUEUE, .desc = &r->desc };

	PUT(r, END, 0);
	snpu_engine_run(r->engine, &job, &r->res);
	EXPECT_EQ(r->res.result, SNPU_ENG_FAULT);
	EXPECT_EQ(r->res.fault.code, (uint32_t)SNPU_FAULT_BAD_DESC);
}

/* --- the packet -------------------------------------------------------------------------------------------------- */
TEST_F(fault, bad_opcode)
{
	struct rig *r = &self->r;
	static const uint8_t undefined[] = { 0x06, 0x0f, 0x13, 0x23, 0x37, 0x43, 0x5f, 0x66, 0xff };

	for (unsigned int i = 0; i < sizeof(undefined); i++) {
		struct snpu_pkt_hdr h = { .opcode = undefined[i], .words = 2 };

		r->prog = 0;
		PUT(r, NOP, 0);
		rig_put(r, &h, sizeof(h));
		expect(r, SNPU_FAULT_BAD_OPCODE, 8, NO_OPERAND, 0, 0);
		EXPECT_EQ(r->res.counter[SNPU_COUNTER_PACKETS], 1u);
	}
}

TEST_F(fault, bad_size)
{
	struct rig *r = &self->r;
	static const struct { uint8_t op; uint16_t words; } bad[] = {
		{ SNPU_OP_NOP, 0 }, { SNPU_OP_NOP, 1 }, { SNPU_OP_NOP, 4 }, { SNPU_OP_LIF, 2 }, { SNPU_OP_LIF, sizeof(struct snpu_pkt_LIF) / 4 + 2 },
		{ SNPU_OP_END, 0xffff },
	};

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct snpu_pkt_hdr h = { .opcode = bad[i].op, .words = bad[i].words };

		r->prog = 0;
		rig_put(r, &h, sizeof(h));
		expect(r, SNPU_FAULT_BAD_SIZE, 0, NO_OPERAND, 0, 0);
	}
}

TEST_F(fault, overrun)
{
	struct rig *r = &self->r;

	PUT(r, NOP, 0);
	PUT(r, NOP, 0);
	r->desc.region[SNPU_REGION_PROGRAM].size = 16;
	expect(r, SNPU_FAULT_OVERRUN, 16, NO_OPERAND, 0, 0);
	EXPECT_EQ(r->res.counter[SNPU_COUNTER_PACKETS], 2u);
	r->desc.region[SNPU_REGION_PROGRAM].size = 12;	/* half a header */
	r->prog = 8;
	expect(r, SNPU_FAULT_OVERRUN, 8, NO_OPERAND, 0, 0);
	r->desc.entry = 0x1000;				/* an entry past the end */
	expect(r, SNPU_FAULT_OVERRUN, 0x1000, NO_OPERAND, 0, 0);
	r->desc.entry = 0;
	r->prog = 0;
	PUT(r, FILL, 0, .dst = REF(OUTPUT, 0), .words = 1);
	r->desc.region[SNPU_REGION_PROGRAM].size = sizeof(struct snpu_pkt_FILL) - 8;	/* a whole header, half a packet */
	expect(r, SNPU_FAULT_OVERRUN, 0, NO_OPERAND, 0, 0);
}

TEST_F(fault, bad_flags)
{
	struct rig *r = &self->r;

#define BAD(operand_, NAME, flags_, ...) do { r->prog = 0; PUT(r, NAME, flags_, ##__VA_ARGS__); expect(r, SNPU_FAULT_BAD_FLAGS, 0, operand_, 0, 0); } while (0)
	BAD(NO_OPERAND, NOP, 1);
	BAD(NO_OPERAND, LINEAR, 2, .n_in = 1, .n_out = 1);
	BAD(NO_OPERAND, THRESHOLD, SNPU_NEURON_RESET_SUBTRACT, .n = 1);
	BAD(NO_OPERAND, LI, SNPU_NEURON_GE, .n = 1);
	BAD(NO_OPERAND, IF, 3, .n = 1);
	BAD(NO_OPERAND, LIF, 7, .n = 1);
	BAD(NO_OPERAND, CUBALIF, 0x80, .n = 1);
	BAD(NO_OPERAND, THRESHOLD, SNPU_NEURON_MULTI, .n = 1);
	BAD(NO_OPERAND, LI, SNPU_NEURON_FLOOR, .n = 1);
	BAD(1, COPY, 0, .src = REF(INPUT, 0), .dst = { .addr = SNPU_REF_ADDR(SNPU_REGION_OUTPUT, 0) | 1ull << 48 }, .words = 1);
	BAD(0, COPY, 0, .src = { .addr = 1ull << 55 }, .dst = REF(OUTPUT, 0), .words = 1);
#undef BAD
	struct snpu_pkt_hdr pad = { .opcode = SNPU_OP_NOP, .words = 2, .pad = 1 };

	r->prog = 0;
	rig_put(r, &pad, sizeof(pad));
	expect(r, SNPU_FAULT_BAD_FLAGS, 0, NO_OPERAND, 0, 0);
	/* The padding word behind a packet with an odd number of words. */
	r->prog = 0;
	PUT(r, LOOP, 0, .count = 1);
	*(uint32_t *)rig_at(r, SNPU_REGION_PROGRAM, 12) = 1;
	expect(r, SNPU_FAULT_BAD_FLAGS, 0, NO_OPERAND, 0, 0);
}

TEST_F(fault, bad_slot)
{
	struct rig *r = &self->r;
	struct snpu_pkt_hdr h = { .opcode = SNPU_OP_END, .words = 2, .slot = 3 };

	rig_put(r, &h, sizeof(h));
	EXPECT_EQ(rig_run(r), SNPU_ENG_DONE);	/* without a profile the slot means nothing */
	r->desc.profile_slots = 3;
	expect(r, SNPU_FAULT_BAD_SLOT, 0, NO_OPERAND, 0, 0);
	r->desc.profile_slots = 4;
	EXPECT_EQ(rig_run(r), SNPU_ENG_DONE);
}

TEST_F(fault, bad_numbers)
{
	struct rig *r = &self->r;

#define BAD(operand_, NAME, ...) do { r->prog = 0; PUT(r, NAME, 0, __VA_ARGS__); expect(r, SNPU_FAULT_BAD_OPERAND, 0, operand_, 0, 0); } while (0)
	BAD(0, LOOP, .count = 0);
	BAD(2, COPY, .src = REF(INPUT, 0), .dst = REF(OUTPUT, 0), .words = 0);
	BAD(2, COPY, .src = REF(INPUT, 0), .dst = REF(OUTPUT, 0), .words = SNPU_MAX_N + 1);
	BAD(1, FILL, .dst = REF(OUTPUT, 0), .words = 0xffffffff);
	BAD(2, EVPACK, .x = REF(INPUT, 0), .ev = REF(SCRATCH, 0), .n = 0);
	BAD(4, LINEAR, .ev = REF(SCRATCH, 0), .weights = REF(WEIGHTS, 0), .out = REF(OUTPUT, 0), .n_in = 0, .n_out = 1);
	BAD(5, LINEAR, .ev = REF(SCRATCH, 0), .weights = REF(WEIGHTS, 0), .out = REF(OUTPUT, 0), .n_in = 1, .n_out = 0xffffffff);
	BAD(4, CUBALIF, .n = SNPU_MAX_N + 1);
	/* The number is looked at before the references. */
	BAD(2, COPY, .src = REF(INPUT, 1), .dst = REF(INPUT, 0), .words = 0);
#undef BAD
}

/* --- references ---------------------------------------------------------------------------------------------------- */
TEST_F(fault, must_be_zero_reference)
{
	struct rig *r = &self->r;

#define BAD(operand_, NAME, ...) do { r->prog = 0; PUT(r, NAME, 0, __VA_ARGS__); expect(r, SNPU_FAULT_BAD_OPERAND, 0, operand_, 0, 0); } while (0)
	BAD(2, LINEAR, .ev = REF(SCRATCH, 0), .weights = REF(WEIGHTS, 0), .bias = REF(CONST, 0), .out = REF(OUTPUT, 0), .n_in = 1, .n_out = 1);
	BAD(1, THRESHOLD, .x = REF(INPUT, 0), .state = REF(STATE, 0), .param = REF(CONST, 0), .out = REF(OUTPUT, 0), .n = 1);
	BAD(1, THRESHOLD, .x = REF(INPUT, 0), .state = { .stride = { 4 } }, .param = REF(CONST, 0), .out = REF(OUTPUT, 0), .n = 1);
#undef BAD
}

TEST_F(fault, bad_region)
{
	struct rig *r = &self->r;

#define BAD(operand_, NAME, ...) do { r->prog = 0; PUT(r, NAME, 0, __VA_ARGS__); expect(r, SNPU_FAULT_BAD_REGION, 0, operand_, 0, 0); } while (0)
	BAD(0, FILL, .dst = { .addr = SNPU_REF_ADDR(9, 0) }, .words = 1);
	BAD(0, FILL, .dst = { .addr = SNPU_REF_ADDR(255, 0) }, .words = 1);
	BAD(0, FILL, .dst = REF(PROFILE, 0), .words = 1);
	BAD(0, FILL, .dst = REF(PROGRAM, 0), .words = 1);
	BAD(0, FILL, .dst = REF(WEIGHTS, 0), .words = 1);
	BAD(0, FILL, .dst = REF(CONST, 0), .words = 1);
	BAD(0, FILL, .dst = REF(INPUT, 0), .words = 1);
	BAD(0, SIGNAL, .dst = REF(INPUT, 0), .value = 1);
	BAD(0, COPY, .src = REF(PROFILE, 0), .dst = REF(OUTPUT, 0), .words = 1);
	BAD(1, LIF, .x = REF(INPUT, 0), .state = REF(CONST, 0), .param = REF(CONST, 0), .out = REF(OUTPUT, 0), .n = 1);
	BAD(1, ADD, .a = REF(INPUT, 0), .out = REF(OUTPUT, 0), .n = 1, .b = { .addr = SNPU_REF_ADDR(100, 0) });
	r->desc.region[SNPU_REGION_TRACE] = (struct snpu_region_binding){ 0, 0 };
	BAD(0, TIMESTAMP, .dst = REF(TRACE, 0));
#undef BAD
	r->prog = 0;
	PUT(r, FILL, 0, .dst = REF(STATE, 0), .words = 1);
	PUT(r, FILL, 0, .dst = REF(OUTPUT, 0), .words = 1);
	PUT(r, FILL, 0, .dst = REF(SCRATCH, 0), .words = 1);
	PUT(r, END, 0);
	EXPECT_EQ(rig_run(r), SNPU_ENG_DONE);
}

TEST_F(fault, align)
{
	struct rig *r = &self->r;

#define BAD(operand_, NAME, ...) do { r->prog = 0; PUT(r, NAME, 0, __VA_ARGS__); expect(r, SNPU_FAULT_ALIGN, 0, operand_, 0, 0); } while (0)
	BAD(0, FILL, .dst = REF(OUTPUT, 2), .words = 1);
	BAD(0, SIGNAL, .dst = REF(OUTPUT, 4), .value = 1);
	BAD(1, LINEAR, .ev = REF(SCRATCH, 0), .weights = REF(WEIGHTS, 128), .out = REF(OUTPUT, 0), .n_in = 1, .n_out = 1);
	BAD(0, FILL, .dst = REF(OUTPUT, RIG_REGION + 1), .words = 1);	/* before BOUNDS */
#undef BAD
}

TEST_F(fault, bounds)
{
	struct rig *r = &self->r;

#define BAD(operand_, NAME, flags_, ...) do { r->prog = 0; PUT(r, NAME, flags_, __VA_ARGS__); expect(r, SNPU_FAULT_BOUNDS, 0, operand_, 0, 0); } while (0)
	BAD(0, FILL, 0, .dst = REF(OUTPUT, RIG_REGION), .words = 1);
	BAD(0, FILL, 0, .dst = REF(OUTPUT, RIG_REGION - 8), .words = 3);
	BAD(0, FILL, 0, .dst = REF(OUTPUT, 0xfffffffffffcull), .words = 1);
	BAD(1, EVPACK, 0, .x = REF(INPUT, 0), .ev = REF(SCRATCH, RIG_REGION - 8), .n = 1);
	BAD(1, LINEAR, 0, .ev = REF(SCRATCH, 0), .weights = REF(WEIGHTS, RIG_REGION - 256), .out = REF(OUTPUT, 0), .n_in = 1, .n_out = 65);
	BAD(2, LINEAR, 1, .ev = REF(SCRATCH, 0), .weights = REF(WEIGHTS, 0), .bias = REF(CONST, RIG_REGION), .out = REF(OUTPUT, 0), .n_in = 1, .n_out = 1);
	BAD(1, LINEAR, 0, .ev = REF(SCRATCH, 0), .weights = REF(WEIGHTS, 0), .out = REF(OUTPUT, 0), .n_in = 1, .n_out = SNPU_MAX_N);
	BAD(2, CUBALIF, 0, .x = REF(INPUT, 0), .state = REF(STATE, 0), .param = REF(CONST, RIG_REGION - 24), .out = REF(OUTPUT, 0), .n = 1);
#undef BAD
	r->prog = 0;
	PUT(r, FILL, 0, .dst = REF(OUTPUT, RIG_REGION - 8), .words = 2, .value = 5);
	PUT(r, END, 0);
	EXPECT_EQ(rig_run(r), SNPU_ENG_DONE);
}

/* With strides the fault comes in the iteration that leaves the region, and the record says which. */
TEST_F(fault, bounds_and_align_in_loops)
{
	struct rig *r = &self->r;
	uint32_t at;

	PUT(r, LOOP, 0, .count = 3);
	PUT(r, LOOP, 0, .count = 100);
	at = r->prog;
	PUT(r, FILL, 0, .dst = REF_S(OUTPUT, RIG_REGION - 0x100, 8, 64), .words = 2, .value = 1);
	PUT(r, NEXT, 0);
	PUT(r, NEXT, 0);
	PUT(r, END, 0);
	expect(r, SNPU_FAULT_BOUNDS, at, 0, 0, 0);	/* 0x100 = 32 iterations of 8 */
	EXPECT_EQ(r->res.fault.loop_index[0], 32u);
	EXPECT_EQ(r->res.fault.loop_index[1], 0u);
	EXPECT_EQ(r->res.counter[SNPU_COUNTER_PACKETS], 2u + 32 * 2);

	r->prog = 0;
	PUT(r, LOOP, 0, .count = 5);
	PUT(r, LOOP, 0, .count = 7);
	PUT(r, FILL, 0, .dst = REF_S(OUTPUT, 0, 4, 0xaaaaaaaa), .words = 1, .value = 1);
	PUT(r, NEXT, 0);
	PUT(r, NEXT, 0);
	expect(r, SNPU_FAULT_ALIGN, at, 0, 0, 0);
	EXPECT_EQ(r->res.fault.loop_index[0], 0u);
	EXPECT_EQ(r->res.fault.loop_index[1], 1u);
}

TEST_F(fault, overlaps)
{
	struct rig *r = &self->r;

#define BAD(operand_, NAME, ...) do { r->prog = 0; PUT(r, NAME, 0, __VA_ARGS__); expect(r, SNPU_FAULT_BAD_OPERAND, 0, operand_, 0, 0); } while (0)
#define GOOD(NAME, ...) do { r->prog = 0; PUT(r, NAME, 0, __VA_ARGS__); PUT(r, END, 0); EXPECT_EQ(rig_run(r), SNPU_ENG_DONE); } while (0)
	BAD(1, COPY, .src = REF(SCRATCH, 0), .dst = REF(SCRATCH, 0), .words = 4);
	BAD(1, COPY, .src = REF(SCRATCH, 0), .dst = REF(SCRATCH, 12), .words = 4);
	BAD(1, COPY, .src = REF(SCRATCH, 12), .dst = REF(SCRATCH, 0), .words = 4);
	GOOD(COPY, .src = REF(SCRATCH, 0), .dst = REF(SCRATCH, 16), .words = 4);
	GOOD(COPY, .src = REF(SCRATCH, 0), .dst = REF(OUTPUT, 0), .words = 4);
	BAD(1, EVPACK, .x = REF(SCRATCH, 0), .ev = REF(SCRATCH, 8), .n = 4);
	BAD(1, EVUNPACK, .ev = REF(SCRATCH, 0), .x = REF(SCRATCH, 0), .n = 4);
	BAD(3, LINEAR, .ev = REF(SCRATCH, 0), .weights = REF(WEIGHTS, 0), .out = REF(SCRATCH, 0), .n_in = 1, .n_out = 4);
	GOOD(ADD, .a = REF(SCRATCH, 0), .b = REF(SCRATCH, 64), .out = REF(SCRATCH, 64), .n = 4);
	BAD(2, ADD, .a = REF(SCRATCH, 0), .b = REF(SCRATCH, 64), .out = REF(SCRATCH, 60), .n = 4);
	GOOD(SCALE, .x = REF(SCRATCH, 0), .scale = REF(SCRATCH, 0), .out = REF(SCRATCH, 0), .n = 4);
	BAD(1, LIF, .x = REF(INPUT, 0), .state = REF(STATE, 0), .param = REF(CONST, 0), .out = REF(STATE, 0), .n = 4);
	BAD(1, LIF, .x = REF(INPUT, 0), .state = REF(SCRATCH, 0), .param = REF(SCRATCH, 0), .out = REF(OUTPUT, 0), .n = 4);
	BAD(3, LIF, .x = REF(SCRATCH, 4), .state = REF(STATE, 0), .param = REF(CONST, 0), .out = REF(SCRATCH, 0), .n = 4);
	GOOD(LIF, .x = REF(SCRATCH, 0), .state = REF(STATE, 0), .param = REF(CONST, 0), .out = REF(SCRATCH, 0), .n = 4);
#undef BAD
#undef GOOD
}

/* --- loops ----------------------------------------------------------------------------------------------------------- */
TEST_F(fault, loops)
{
	struct rig *r = &self->r;

	PUT(r, NEXT, 0);
	expect(r, SNPU_FAULT_LOOP, 0, NO_OPERAND, 0, 0);
	r->prog = 0;
	PUT(r, LOOP, 0, .count = 1);
	PUT(r, END, 0);
	expect(r, SNPU_FAULT_LOOP, 16, NO_OPERAND, 0, 0);
	r->prog = 0;
	for (unsigned int i = 0; i < 3; i++)
		PUT(r, LOOP, 0, .count = 2);
	expect(r, SNPU_FAULT_LOOP, 32, NO_OPERAND, 0, 0);
	EXPECT_EQ(r->res.counter[SNPU_COUNTER_PACKETS], 2u);
}

/* --- event lists ------------------------------------------------------------------------------------------------------ */
static void events(struct rig *r, uint32_t count, uint32_t pad, uint32_t a, uint32_t b, uint32_t c)
{
	uint32_t list[8] = { count, pad, a, 0x3f800000, b, 0x3f800000, c, 0x3f800000 };

	memcpy(rig_at(r, SNPU_REGION_SCRATCH, 64), list, sizeof(list));
}

TEST_F(fault, bad_events)
{
	static const struct { uint32_t count, pad, ch[3], off; } bad[] = {
		{ 4, 0, { 0, 1, 2 }, 0 },		/* more than n */
		{ 0xffffffff, 0, { 0, 1, 2 }, 0 },
		{ 3, 1, { 0, 1, 2 }, 0 },
		{ 3, 0, { 0, 1, 3 }, 8 + 16 },		/* channel n */
		{ 1, 0, { 0xffffffff, 0, 0 }, 8 },
		{ 3, 0, { 0, 2, 1 }, 8 + 16 },		/* descending */
		{ 2, 0, { 1, 1, 2 }, 8 + 8 },		/* twice */
	};
	struct rig *r = &self->r;
	uint32_t *out = rig_at(r, SNPU_REGION_OUTPUT, 0);

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		events(r, bad[i].count, bad[i].pad, bad[i].ch[0], bad[i].ch[1], bad[i].ch[2]);
		r->prog = 0;
		PUT(r, EVUNPACK, 0, .ev = REF(SCRATCH, 64), .x = REF(OUTPUT, 0), .n = 3);
		out[0] = out[1] = out[2] = 0x55555555;
		expect(r, SNPU_FAULT_BAD_EVENTS, 0, 0, RIG_VA(SNPU_REGION_SCRATCH) + 64 + bad[i].off, SNPU_ACCESS_READ);
		r->prog = 0;
		PUT(r, LINEAR, 0, .ev = REF(SCRATCH, 64), .weights = REF(WEIGHTS, 0), .out = REF(OUTPUT, 0), .n_in = 3, .n_out = 3);
		expect(r, SNPU_FAULT_BAD_EVENTS, 0, 0, RIG_VA(SNPU_REGION_SCRATCH) + 64 + bad[i].off, SNPU_ACCESS_READ);
		for (unsigned int k = 0; k < 3; k++)
			EXPECT_EQ(out[k], 0x55555555u);	/* nothing was written */
		EXPECT_EQ(r->res.counter[SNPU_COUNTER_EVENTS], 0u);
	}
	events(r, 3, 0, 0, 1, 2);
	PUT(r, END, 0);
	EXPECT_EQ(rig_run(r), SNPU_ENG_DONE);
}

/* --- memory ------------------------------------------------------------------------------------------------------------- */
/* The page of a region that holds an offset, 4 KiB leaves. */
static uint64_t *leaf(struct rig *r, unsigned int region, uint64_t off)
{
	return rig_pte(r, RIG_VA(region) + off, 0);
}

TEST_F(fault, mmu_and_bus)
{
	struct rig *r = &self->r;
	uint64_t *in = leaf(r, SNPU_REGION_INPUT, 0x2000), *out = leaf(r, SNPU_REGION_OUTPUT, 0x2000);
	const uint64_t in_good = *in, out_good = *out, va_in = RIG_VA(SNPU_REGION_INPUT) + 0x2000, va_out = RIG_VA(SNPU_REGION_OUTPUT) + 0x2000;

	PUT(r, COPY, 0, .src = REF(INPUT, 0x1ff0), .dst = REF(OUTPUT, 0x1ff0), .words = 8);
	PUT(r, END, 0);
#define BAD(pte_, value_, code_, operand_, va_, access_) do {						\
	*in = in_good;											\
	*out = out_good;										\
	*(pte_) = value_;										\
	snpu_engine_invalidate(r->engine, RIG_ASID);							\
	expect(r, SNPU_FAULT_##code_, 0, operand_, va_, SNPU_ACCESS_##access_);				\
} while (0)
	BAD(in, 0, MMU_UNMAPPED, 0, va_in, READ);
	BAD(out, 0, MMU_UNMAPPED, 1, va_out, WRITE);
	BAD(in, in_good & ~SNPU_PTE_READ, MMU_READ, 0, va_in, READ);
	BAD(out, out_good & ~SNPU_PTE_WRITE, MMU_WRITE, 1, va_out, WRITE);
	BAD(in, in_good & ~SNPU_PTE_VALID, MMU_TABLE, 0, va_in, READ);
	BAD(out, out_good & ~SNPU_PTE_LEAF, MMU_TABLE, 1, va_out, WRITE);
	BAD(in, RIG_MEMORY | (in_good & 0xfff), BUS, 0, va_in, READ);			/* just past device memory */
	BAD(out, (SNPU_PTE_ADDR_MASK & ~0ull) | (out_good & 0xfff), BUS, 1, va_out, WRITE);
	BAD(in, (RIG_HOST + RIG_MEMORY) | (in_good & 0xfff & ~SNPU_PTE_DEVICE), BUS, 0, va_in, READ);
	BAD(out, 0x1000 | (out_good & 0xfff & ~SNPU_PTE_DEVICE), BUS, 1, va_out, WRITE);
#undef BAD
}

TEST_F(fault, fetch)
{
	struct rig *r = &self->r;

	/* Header on one page, the rest on the next, which is not mapped. */
	r->prog = 0xff8;
	PUT(r, FILL, 0, .dst = REF(OUTPUT, 0), .words = 1);
	*leaf(r, SNPU_REGION_PROGRAM, 0x1000) = 0;
	r->desc.entry = 0xff8;
	expect(r, SNPU_FAULT_MMU_UNMAPPED, 0xff8, NO_OPERAND, RIG_VA(SNPU_REGION_PROGRAM) + 0x1000, SNPU_ACCESS_READ);
	/* The header itself: no packet word in the record. */
	r->desc.entry = 0x1008;
	r->prog = 0;
	expect(r, SNPU_FAULT_MMU_UNMAPPED, 0x1008, NO_OPERAND, RIG_VA(SNPU_REGION_PROGRAM) + 0x1008, SNPU_ACCESS_READ);
}

/* Weights of silent channels are not fetched, so their pages need not even be there; those of the others fault precisely. */
TEST_F(fault, only_what_is_needed_is_read)
{
	struct rig *r = &self->r;

	*leaf(r, SNPU_REGION_WEIGHTS, 0x1000) = 0;	/* channels 16 to 31 of the first tile */
	events(r, 2, 0, 3, 40, 0);
	PUT(r, LINEAR, 0, .ev = REF(SCRATCH, 64), .weights = REF(WEIGHTS, 0), .out = REF(OUTPUT, 0), .n_in = 64, .n_out = 64);
	PUT(r, END, 0);
	EXPECT_EQ(rig_run(r), SNPU_ENG_DONE);
	events(r, 2, 0, 3, 20, 0);
	expect(r, SNPU_FAULT_MMU_UNMAPPED, 0, 1, RIG_VA(SNPU_REGION_WEIGHTS) + 20 * 256, SNPU_ACCESS_READ);
}

/* A packet that faults has changed no memory, wherever in its operands the bad page is. */
TEST_F(fault, all_or_nothing)
{
	struct rig *r = &self->r;
	float *state = rig_at(r, SNPU_REGION_STATE, 0xff0);
	uint32_t *out = rig_at(r, SNPU_REGION_OUTPUT, 0xff0), *x = rig_at(r, SNPU_REGION_INPUT, 0);

	for (unsigned int i = 0; i < 64; i++)
		x[i] = 0x3f800000;
	events(r, 3, 0, 0, 1, 2);
#define NOTHING(region_, operand_, off_, NAME, ...) do {							\
	uint64_t *pte_ = leaf(r, SNPU_REGION_##region_, off_), was_ = *pte_;				\
	*pte_ = 0;											\
	snpu_engine_invalidate(r->engine, RIG_ASID);							\
	r->prog = 0;											\
	state[0] = 0.25f;										\
	out[0] = out[1] = 0x55555555;									\
	PUT(r, NAME, 0, __VA_ARGS__);									\
	EXPECT_EQ(rig_run(r), SNPU_ENG_FAULT);								\
	EXPECT_EQ(r->res.fault.code, (uint32_t)SNPU_FAULT_MMU_UNMAPPED);				\
	EXPECT_EQ(r->res.fault.operand, operand_);							\
	EXPECT_EQ(r->res.fault.va, RIG_VA(SNPU_REGION_##region_) + (off_));				\
	EXPECT_EQ(out[0], 0x55555555u);									\
	EXPECT_EQ(out[1], 0x55555555u);									\
	EXPECT_TRUE(state[0] == 0.25f);									\
	*pte_ = was_;											\
} while (0)
	NOTHING(OUTPUT, 0u, 0x1000, FILL, .dst = REF(OUTPUT, 0xff0), .words = 16, .value = 1);
	NOTHING(OUTPUT, 1u, 0x1000, COPY, .src = REF(INPUT, 0), .dst = REF(OUTPUT, 0xff0), .words = 16);
	NOTHING(INPUT, 0u, 0x1000, COPY, .src = REF(INPUT, 0), .dst = REF(OUTPUT, 0xff0), .words = 0x10000);
	NOTHING(OUTPUT, 1u, 0x1000, EVPACK, .x = REF(INPUT, 0), .ev = REF(OUTPUT, 0xff0), .n = 16);
	NOTHING(OUTPUT, 1u, 0x1000, EVUNPACK, .ev = REF(SCRATCH, 64), .x = REF(OUTPUT, 0xff0), .n = 16);
	NOTHING(OUTPUT, 3u, 0x1000, LINEAR, .ev = REF(SCRATCH, 64), .weights = REF(WEIGHTS, 0), .out = REF(OUTPUT, 0xff0), .n_in = 3, .n_out = 16);
	NOTHING(WEIGHTS, 1u, 0x1000, LINEAR, .ev = REF(SCRATCH, 64), .weights = REF(WEIGHTS, 0), .out = REF(OUTPUT, 0xff0), .n_in = 16, .n_out = 128);
	NOTHING(OUTPUT, 2u, 0x1000, ADD, .a = REF(INPUT, 0), .b = REF(CONST, 0), .out = REF(OUTPUT, 0xff0), .n = 16);
	NOTHING(OUTPUT, 3u, 0x1000, LIF, .x = REF(INPUT, 0), .state = REF(STATE, 0xff0), .param = REF(CONST, 0), .out = REF(OUTPUT, 0xff0), .n = 16);
	NOTHING(STATE, 1u, 0x1000, CUBALI, .x = REF(INPUT, 0), .state = REF(STATE, 0xff0), .param = REF(CONST, 0), .out = REF(OUTPUT, 0xff0), .n = 16);
#undef NOTHING
}

TEST_F(fault, profile_not_writable)
{
	struct rig *r = &self->r;

	*leaf(r, SNPU_REGION_PROFILE, 0) &= ~SNPU_PTE_WRITE;
	r->desc.profile_slots = 1;
	PUT(r, NOP, 0);
	PUT(r, END, 0);
	expect(r, SNPU_FAULT_MMU_WRITE, 8, NO_OPERAND, RIG_VA(SNPU_REGION_PROFILE), SNPU_ACCESS_WRITE);
	/* The first fault is the one that counts. */
	r->prog = 0;
	PUT(r, NEXT, 0);
	expect(r, SNPU_FAULT_LOOP, 0, NO_OPERAND, 0, 0);
}

TEST_F(fault, bad_saved_state)
{
	struct rig *r = &self->r;
	struct snpu_engine_state good = { .valid = 1 };
	struct snpu_engine_state s;
	struct snpu_engine_job job = { .pt_root = r->root, .asid = RIG_ASID, .queue = RIG_QUEUE, .desc = &r->desc, .resume = &s };

	PUT(r, END, 0);
#define BAD(change) do {										\
	s = good;											\
	change;												\
	snpu_engine_run(r->engine, &job, &r->res);							\
	EXPECT_EQ(r->res.result, SNPU_ENG_FAULT);							\
	EXPECT_EQ(r->res.fault.code, (uint32_t)SNPU_FAULT_BAD_DESC);					\
} while (0)
	BAD(s.valid = 0);
	BAD(s.valid = 2);
	BAD(s.pc = 4);
	BAD(s.depth = 3);
	BAD(s.depth = 0xffffffff);
	BAD(s.depth = 1);				/* index 0 of count 0 */
	BAD((s.depth = 1, s.loop_count[0] = 2, s.loop_pc[0] = 3));
#undef BAD
	s = good;
	snpu_engine_run(r->engine, &job, &r->res);
	EXPECT_EQ(r->res.result, SNPU_ENG_DONE);
}

TEST_HARNESS_MAIN
