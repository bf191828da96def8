/* SPDX-License-Identifier: MIT */
/*
 * Every kind of fault, with its whole record: code, packet, operand, address, access, loop indices. The order of checks
 * is that of hw/snpu_isa.def. A packet that faults changes nothing.
 */
#include <stddef.h>

#include "conf.h"
#include "fault.h"
#include "snpu_regs.h"

CONF_VARIANTS

static struct snpu_ref in(uint64_t off) { return snpu_ref(SNPU_REGION_INPUT, off); }
static struct snpu_ref out(uint64_t off) { return snpu_ref(SNPU_REGION_OUTPUT, off); }
static struct snpu_ref scratch(uint64_t off) { return snpu_ref(SNPU_REGION_SCRATCH, off); }

/* --- the packet as a whole ----------------------------------------------------------------------------------- */

TEST_F(conf, opcode_size_and_flags)
{
	struct snpu_pkt_hdr *hdr = packet(self, 8);

	for (unsigned int op = 0; op < 256; op++) {
		if (snpu_pkt_desc(op))
			continue;
		snpu_emit(&self->prog, NOP);
		ASSERT_EQ(build(self), 0);
		hdr->opcode = (uint8_t)op;
		EXPECT_FAULT(self, SNPU_FAULT_BAD_OPCODE, 8, NOWHERE);
		if (th_failed)
			return;
	}
	snpu_emit(&self->prog, NOP);
	ASSERT_EQ(build(self), 0);
	hdr->words = 4;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_SIZE, 8, NOWHERE);
	hdr->words = 2;
	hdr->flags = 1;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_FLAGS, 8, NOWHERE);
	hdr->flags = 0;
	hdr->pad = 0x100;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_FLAGS, 8, NOWHERE);
	hdr->pad = 0;
	hdr->slot = CONF_SLOTS;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_SLOT, 8, NOWHERE);
	self->profile_slots = 0;		/* without a profile the slot means nothing */
	EXPECT_EQ(conf_run_raw(self), 0);
}

TEST_F(conf, flags_in_operands)
{
	struct snpu_pkt_FILL *fill = packet(self, 0);
	struct snpu_pkt_LIF *lif = packet(self, 0);
	struct snpu_pkt_COPY *copy = packet(self, 0);

	snpu_emit(&self->prog, FILL, .dst = out(0), .words = 1);
	ASSERT_EQ(build(self), 0);
	fill->dst.addr |= 1ull << 50;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_FLAGS, 0, 0);
	snpu_emit(&self->prog, LIF, .x = in(0), .state = snpu_ref(SNPU_REGION_STATE, 0), .param = snpu_ref(SNPU_REGION_CONST, 0),
		  .out = out(0), .n = 1);
	ASSERT_EQ(build(self), 0);
	lif->hdr.flags = 3;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_FLAGS, 0, NOWHERE);
	lif->hdr.flags = 0x80;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_FLAGS, 0, NOWHERE);
	/* MULTI and FLOOR are a parameter row more each. */
	lif->param.addr = SNPU_REF_ADDR(SNPU_REGION_CONST, CONF_SIZE - 6 * 4);
	lif->hdr.flags = SNPU_NEURON_FLOOR | SNPU_NEURON_MULTI;
	EXPECT_FAULT(self, SNPU_FAULT_BOUNDS, 0, 2);
	lif->param.addr += 4;
	lif->hdr.flags = SNPU_NEURON_FLOOR;
	EXPECT_FAULT(self, SNPU_FAULT_BOUNDS, 0, 2);
	/* The padding word behind an odd number of 32-bit operands. */
	snpu_emit(&self->prog, COPY, .src = in(0), .dst = out(0), .words = 1);
	ASSERT_EQ(build(self), 0);
	*((uint32_t *)&copy->words + 1) = 1;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_FLAGS, 0, NOWHERE);
}

TEST_F(conf, overrun)
{
	struct snpu_pkt_hdr *nop = packet(self, 0);

	for (unsigned int i = 0; i < CONF_PROGRAM / 8; i++)
		nop[i] = (struct snpu_pkt_hdr){ .opcode = SNPU_OP_NOP, .words = 2 };
	EXPECT_FAULT(self, SNPU_FAULT_OVERRUN, CONF_PROGRAM, NOWHERE);
	/* A packet that begins inside and ends outside. */
	nop[CONF_PROGRAM / 8 - 1] = (struct snpu_pkt_hdr){ .opcode = SNPU_OP_FILL, .words = sizeof(struct snpu_pkt_FILL) / 4 };
	EXPECT_FAULT(self, SNPU_FAULT_OVERRUN, CONF_PROGRAM - 8, NOWHERE);
}

TEST_F(conf, loops)
{
	struct snpu_pkt_LOOP loop;
	struct snpu_pkt_hdr nop = { SNPU_OP_NOP, 0, 2, 0, 0 }, next = { SNPU_OP_NEXT, 0, 2, 0, 0 }, end = { SNPU_OP_END, 0, 2, 0, 0 };

	memset(&loop, 0, sizeof(loop));		/* the padding word too */
	loop.hdr = (struct snpu_pkt_hdr){ SNPU_OP_LOOP, 0, 4, 0, 0 };
	loop.count = 2;
	memcpy(packet(self, 0), &next, 8);
	EXPECT_FAULT(self, SNPU_FAULT_LOOP, 0, NOWHERE);
	memcpy(packet(self, 0), &loop, 16);
	memcpy(packet(self, 16), &end, 8);
	EXPECT_FAULT(self, SNPU_FAULT_LOOP, 16, NOWHERE);
	for (int i = 0; i < 3; i++)
		memcpy(packet(self, 16 * i), &loop, 16);
	EXPECT_FAULT(self, SNPU_FAULT_LOOP, 32, NOWHERE);
	loop.count = 0;
	memcpy(packet(self, 16), &loop, 16);
	EXPECT_FAULT(self, SNPU_FAULT_BAD_OPERAND, 16, 0);
	/* The second iteration of the inner loop in the second of the outer. */
	loop.count = 2;
	memcpy(packet(self, 16), &loop, 16);
	memcpy(packet(self, 32), &nop, 8);
	memcpy(packet(self, 40), &next, 8);
	memcpy(packet(self, 48), &next, 8);
	memcpy(packet(self, 56), &next, 8);
	EXPECT_FAULT(self, SNPU_FAULT_LOOP, 56, NOWHERE);
}

/* --- operands ------------------------------------------------------------------------------------------------ */

TEST_F(conf, numbers)
{
	struct snpu_pkt_FILL *fill = packet(self, 0);
	struct snpu_pkt_LINEAR *linear = packet(self, 0);

	snpu_emit(&self->prog, FILL, .dst = out(0), .words = 1);
	ASSERT_EQ(build(self), 0);
	fill->words = 0;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_OPERAND, 0, 1);
	fill->words = SNPU_MAX_N + 1;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_OPERAND, 0, 1);
	snpu_emit(&self->prog, LINEAR, .ev = in(0), .weights = snpu_ref(SNPU_REGION_WEIGHTS, 0), .out = out(0), .n_in = 1, .n_out = 1);
	ASSERT_EQ(build(self), 0);
	linear->n_out = 0;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_OPERAND, 0, 5);
	linear->n_out = 1;
	linear->bias = in(0);			/* present without the flag */
	EXPECT_FAULT(self, SNPU_FAULT_BAD_OPERAND, 0, 2);
}

TEST_F(conf, zero_references)
{
	struct snpu_pkt_THRESHOLD *p = packet(self, 0);

	snpu_emit(&self->prog, THRESHOLD, .x = in(0), .param = snpu_ref(SNPU_REGION_CONST, 0), .out = out(0), .n = 1);
	ASSERT_EQ(build(self), 0);
	p->state.stride[1] = 4;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_OPERAND, 0, 1);
}

TEST_F(conf, regions)
{
	struct snpu_pkt_COPY *copy = packet(self, 0);
	static const unsigned int read_only[] = { SNPU_REGION_PROGRAM, SNPU_REGION_WEIGHTS, SNPU_REGION_CONST, SNPU_REGION_INPUT };

	for (unsigned int i = 0; i < 4; i++) {
		snpu_emit(&self->prog, COPY, .src = in(64), .dst = out(0), .words = 1);
		ASSERT_EQ(build(self), 0);
		copy->dst.addr = SNPU_REF_ADDR((uint64_t)read_only[i], 0);
		EXPECT_FAULT(self, SNPU_FAULT_BAD_REGION, 0, 1);
	}
	copy->dst = out(0);
	copy->src.addr = SNPU_REF_ADDR((uint64_t)SNPU_REGION_PROFILE, 0);
	EXPECT_FAULT(self, SNPU_FAULT_BAD_REGION, 0, 0);
	copy->src.addr = SNPU_REF_ADDR(9ull, 0);
	EXPECT_FAULT(self, SNPU_FAULT_BAD_REGION, 0, 0);
	copy->src.addr = SNPU_REF_ADDR(255ull, 0);
	EXPECT_FAULT(self, SNPU_FAULT_BAD_REGION, 0, 0);
}

TEST_F(conf, bounds_and_alignment)
{
	struct snpu_pkt_COPY *copy = packet(self, 0);
	struct snpu_pkt_LINEAR *linear = packet(self, 0);

	snpu_emit(&self->prog, COPY, .src = in(CONF_SIZE - 8), .dst = out(0), .words = 2);
	ASSERT_EQ(build(self), 0);
	EXPECT_EQ(conf_run_raw(self), 0);
	copy->words = 3;
	ASSERT_EQ(conf_requeue(self), 0);
	EXPECT_FAULT(self, SNPU_FAULT_BOUNDS, 0, 0);
	copy->words = 1;
	copy->src = in(CONF_SIZE);
	EXPECT_FAULT(self, SNPU_FAULT_BOUNDS, 0, 0);
	copy->src.addr |= 0xffffffffffffull & ~3ull;
	EXPECT_FAULT(self, SNPU_FAULT_BOUNDS, 0, 0);
	copy->src = in(0);
	copy->dst = out(2);
	EXPECT_FAULT(self, SNPU_FAULT_ALIGN, 0, 1);
	copy->dst = out(CONF_SIZE + 2);		/* alignment is looked at first */
	EXPECT_FAULT(self, SNPU_FAULT_ALIGN, 0, 1);
	snpu_emit(&self->prog, LINEAR, .ev = in(0), .weights = snpu_ref(SNPU_REGION_WEIGHTS, 256), .out = out(0), .n_in = 1, .n_out = 1);
	ASSERT_EQ(build(self), 0);
	linear->weights.addr += 128;
	EXPECT_FAULT(self, SNPU_FAULT_ALIGN, 0, 1);
}

TEST_F(conf, strides_run_out_of_the_region)
{
	struct snpu_pkt_FILL *fill = packet(self, 2 * 16);

	/* 0 + i * 4 KiB + j * 512 KiB reaches 1 MiB at j = 2, i = 0. */
	snpu_emit(&self->prog, LOOP, .count = 5);
	snpu_emit(&self->prog, LOOP, .count = 3);
	snpu_emit(&self->prog, FILL, .dst = snpu_ref_steps(SNPU_REGION_OUTPUT, 0, 4096, 512 << 10), .words = 1024, .value = 6);
	snpu_emit(&self->prog, NEXT);
	snpu_emit(&self->prog, NEXT);
	ASSERT_EQ(build(self), 0);
	conf_u32(self, SNPU_REGION_OUTPUT, 3 * 4096)[0] = 1;
	EXPECT_FAULT(self, SNPU_FAULT_BOUNDS, 32, 0, .loop = { 0, 2 });
	EXPECT_EQ(conf_u32(self, SNPU_REGION_OUTPUT, 2 * 4096)[1023], 6);
	EXPECT_EQ(conf_u32(self, SNPU_REGION_OUTPUT, 3 * 4096)[0], 1);
	EXPECT_EQ(conf_u32(self, SNPU_REGION_OUTPUT, (512 << 10) + 2 * 4096)[1023], 6);
	/* The largest strides there are: the product does not wrap into the region. */
	fill->dst.stride[0] = fill->dst.stride[1] = 0xfffffffcu;
	EXPECT_FAULT(self, SNPU_FAULT_BOUNDS, 32, 0, .loop = { 1, 0 });
}

TEST_F(conf, overlaps)
{
	struct snpu_pkt_ADD *add = packet(self, 0);

	snpu_emit(&self->prog, COPY, .src = scratch(0), .dst = scratch(12), .words = 4);
	ASSERT_EQ(build(self), 0);
	EXPECT_FAULT(self, SNPU_FAULT_BAD_OPERAND, 0, 1);
	snpu_emit(&self->prog, COPY, .src = scratch(0), .dst = scratch(0), .words = 4);
	ASSERT_EQ(build(self), 0);
	EXPECT_FAULT(self, SNPU_FAULT_BAD_OPERAND, 0, 1);
	snpu_emit(&self->prog, ADD, .a = scratch(0), .b = scratch(64), .out = scratch(64), .n = 16);
	ASSERT_EQ(build(self), 0);
	EXPECT_EQ(conf_run_raw(self), 0);
	add->out = scratch(60);
	ASSERT_EQ(conf_requeue(self), 0);
	EXPECT_FAULT(self, SNPU_FAULT_BAD_OPERAND, 0, 2);
	/* Two operands that are written may not meet, even exactly; state is one of them. */
	snpu_emit(&self->prog, LI, .x = in(0), .state = scratch(0), .param = snpu_ref(SNPU_REGION_CONST, 0), .out = scratch(0), .n = 4);
	ASSERT_EQ(build(self), 0);
	EXPECT_FAULT(self, SNPU_FAULT_BAD_OPERAND, 0, 1);
	snpu_emit(&self->prog, EVPACK, .x = scratch(0), .ev = scratch(12), .n = 4);
	ASSERT_EQ(build(self), 0);
	EXPECT_FAULT(self, SNPU_FAULT_BAD_OPERAND, 0, 1);
}

TEST_F(conf, event_lists)
{
	uint32_t *list = conf_u32(self, SNPU_REGION_INPUT, 0);
	const uint64_t va = CONF_VA(SNPU_REGION_INPUT);

	snpu_emit(&self->prog, EVUNPACK, .ev = in(0), .x = out(0), .n = 4);
	ASSERT_EQ(build(self), 0);
	conf_u32(self, SNPU_REGION_OUTPUT, 0)[0] = 0x1234;
	list[0] = 5;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_EVENTS, 0, 0, va, SNPU_ACCESS_READ);
	list[0] = 1;
	list[1] = 1;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_EVENTS, 0, 0, va, SNPU_ACCESS_READ);
	list[1] = 0;
	list[2] = 4;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_EVENTS, 0, 0, va + 8, SNPU_ACCESS_READ);
	list[0] = 2;
	list[2] = list[4] = 3;
	EXPECT_FAULT(self, SNPU_FAULT_BAD_EVENTS, 0, 0, va + 16, SNPU_ACCESS_READ);
	EXPECT_EQ(conf_u32(self, SNPU_REGION_OUTPUT, 0)[0], 0x1234);
	snpu_emit(&self->prog, LINEAR, .ev = in(0), .weights = snpu_ref(SNPU_REGION_WEIGHTS, 0), .out = out(0), .n_in = 4, .n_out = 1);
	ASSERT_EQ(build(self), 0);
	EXPECT_FAULT(self, SNPU_FAULT_BAD_EVENTS, 0, 0, va + 16, SNPU_ACCESS_READ);
	EXPECT_EQ(conf_u32(self, SNPU_REGION_OUTPUT, 0)[0], 0x1234);
}

/* The fourth of the second eight lists is damaged: what went before has happened, and the record names the iterations. */
TEST_F(conf, an_event_list_that_goes_bad_in_a_loop)
{
	const uint64_t va = CONF_VA(SNPU_REGION_INPUT);

	for (uint32_t i = 0; i < 16; i++) {
		uint32_t *list = conf_u32(self, SNPU_REGION_INPUT, i * 64);

		list[0] = i == 11 ? 5 : 1;		/* entries, of 4 channels */
		list[1] = 0;
		list[2] = i % 4;
		list[3] = 0x3f800000;
	}
	memset(self->mem[SNPU_REGION_OUTPUT], 0x55, 16 * 16);
	snpu_emit(&self->prog, LOOP, .count = 2);
	snpu_emit(&self->prog, LOOP, .count = 8);
	snpu_emit(&self->prog, EVUNPACK, .ev = snpu_ref_steps(SNPU_REGION_INPUT, 0, 64, 8 * 64), .x = snpu_ref_steps(SNPU_REGION_OUTPUT, 0, 16, 8 * 16), .n = 4);
	snpu_emit(&self->prog, NEXT);
	snpu_emit(&self->prog, NEXT);
	ASSERT_EQ(build(self), 0);
	EXPECT_FAULT(self, SNPU_FAULT_BAD_EVENTS, 32, 0, va + 11 * 64, SNPU_ACCESS_READ, { 3, 1 });
	for (uint32_t i = 0; i < 16; i++)
		EXPECT_EQ(conf_u32(self, SNPU_REGION_OUTPUT, i * 16)[i % 4], i < 11 ? 0x3f800000 : 0x55555555);
}

/* Operands of the same packet that come nearer to each other until they meet, in the sixth iteration. */
TEST_F(conf, operands_that_meet_in_a_loop)
{
	uint32_t *at = conf_u32(self, SNPU_REGION_SCRATCH, 0);

	for (uint32_t i = 0; i < 256; i++)
		at[i] = i;
	snpu_emit(&self->prog, LOOP, .count = 8);
	snpu_emit(&self->prog, COPY, .src = snpu_ref_steps(SNPU_REGION_SCRATCH, 0, 64, 0), .dst = snpu_ref_steps(SNPU_REGION_SCRATCH, 200, 24, 0), .words = 4);
	snpu_emit(&self->prog, NEXT);
	ASSERT_EQ(build(self), 0);
	EXPECT_FAULT(self, SNPU_FAULT_BAD_OPERAND, 16, 1, .loop = { 5 });
	EXPECT_EQ(at[(200 + 4 * 24) / 4], 34);		/* what the third iteration had put where the fifth reads */
	EXPECT_EQ(at[(200 + 5 * 24) / 4], (200 + 5 * 24) / 4);
}

/* An operand walks into memory that may not be written: in the iteration that does, not before. */
TEST_F(conf, a_loop_walks_into_what_is_not_permitted)
{
	ASSERT_EQ(bind(self, SNPU_REGION_OUTPUT, 4096, 4096, SNPU_BIND_READ), 0);
	snpu_emit(&self->prog, LOOP, .count = 6);
	snpu_emit(&self->prog, FILL, .dst = snpu_ref_steps(SNPU_REGION_OUTPUT, 0, 1024, 0), .words = 4, .value = 7);
	snpu_emit(&self->prog, NEXT);
	ASSERT_EQ(build(self), 0);
	EXPECT_FAULT(self, SNPU_FAULT_MMU_WRITE, 16, 0, CONF_VA(SNPU_REGION_OUTPUT) + 4096, SNPU_ACCESS_WRITE, { 4 });
	EXPECT_EQ(conf_u32(self, SNPU_REGION_OUTPUT, 3 * 1024)[3], 7);
}

/* --- memory -------------------------------------------------------------------------------------------------- */

TEST_F(conf, unmapped_and_not_permitted)
{
	const uint64_t vi = CONF_VA(SNPU_REGION_INPUT), vo = CONF_VA(SNPU_REGION_OUTPUT);

	snpu_emit(&self->prog, COPY, .src = in(4000), .dst = out(4000), .words = 3000);
	ASSERT_EQ(build(self), 0);
	conf_u32(self, SNPU_REGION_OUTPUT, 4000)[0] = 0x77;
	ASSERT_EQ(bind(self, SNPU_REGION_INPUT, 8192, 4096, 0), 0);
	EXPECT_FAULT(self, SNPU_FAULT_MMU_UNMAPPED, 0, 0, vi + 8192, SNPU_ACCESS_READ);
	ASSERT_EQ(bind(self, SNPU_REGION_INPUT, 8192, 4096, SNPU_BIND_WRITE), 0);
	EXPECT_FAULT(self, SNPU_FAULT_MMU_READ, 0, 0, vi + 8192, SNPU_ACCESS_READ);
	ASSERT_EQ(bind(self, SNPU_REGION_INPUT, 8192, 4096, SNPU_BIND_READ), 0);
	ASSERT_EQ(bind(self, SNPU_REGION_OUTPUT, 12288, 4096, SNPU_BIND_READ), 0);
	EXPECT_FAULT(self, SNPU_FAULT_MMU_WRITE, 0, 1, vo + 12288, SNPU_ACCESS_WRITE);
	EXPECT_EQ(conf_u32(self, SNPU_REGION_OUTPUT, 4000)[0], 0x77);	/* all or nothing */
	ASSERT_EQ(bind(self, SNPU_REGION_OUTPUT, 0, 4096, 0), 0);
	EXPECT_FAULT(self, SNPU_FAULT_MMU_UNMAPPED, 0, 1, vo + 4000, SNPU_ACCESS_WRITE);
	ASSERT_EQ(bind(self, SNPU_REGION_OUTPUT, 0, 4096, SNPU_BIND_READ | SNPU_BIND_WRITE), 0);
	ASSERT_EQ(bind(self, SNPU_REGION_OUTPUT, 12288, 4096, SNPU_BIND_READ | SNPU_BIND_WRITE), 0);
	EXPECT_EQ(conf_run_raw(self), 0);
	EXPECT_EQ(memcmp(self->mem[SNPU_REGION_INPUT] + 4000, self->mem[SNPU_REGION_OUTPUT] + 4000, 12000), 0);
}

TEST_F(conf, packet_is_all_or_nothing)
{
	/* Long enough that no implementation does it in one piece; only the last page of the last operand is missing. */
	enum { N = 20000 };
	float *v = conf_f32(self, SNPU_REGION_STATE, 0);

	for (int i = 0; i < N; i++) {
		v[i] = 1.0f;
		conf_f32(self, SNPU_REGION_CONST, 0)[i] = 1.0f;
		conf_f32(self, SNPU_REGION_INPUT, 0)[i] = 1.0f;
	}
	snpu_emit(&self->prog, I, .x = in(0), .state = snpu_ref(SNPU_REGION_STATE, 0), .param = snpu_ref(SNPU_REGION_CONST, 0),
		  .out = out(0), .n = N);
	ASSERT_EQ(build(self), 0);
	ASSERT_EQ(bind(self, SNPU_REGION_OUTPUT, 19 * 4096, 4096, 0), 0);
	EXPECT_FAULT(self, SNPU_FAULT_MMU_UNMAPPED, 0, 3, CONF_VA(SNPU_REGION_OUTPUT) + 19 * 4096, SNPU_ACCESS_WRITE);
	for (int i = 0; i < N; i++)
		ASSERT_TRUE(v[i] == 1.0f && conf_f32(self, SNPU_REGION_OUTPUT, 0)[i] == 0.0f);
	ASSERT_EQ(bind(self, SNPU_REGION_STATE, 8192, 4096, SNPU_BIND_READ), 0);	/* operand 1 comes first */
	EXPECT_FAULT(self, SNPU_FAULT_MMU_WRITE, 0, 1, CONF_VA(SNPU_REGION_STATE) + 8192, SNPU_ACCESS_WRITE);
}

TEST_F(conf, only_what_is_used_must_be_mapped)
{
	uint32_t *list = conf_u32(self, SNPU_REGION_INPUT, 0);
	uint64_t vw = CONF_VA(SNPU_REGION_WEIGHTS);

	/* A list of 1 entry with room for 1000, of which only the first page is there; 1000 channels of weights, 1 used. */
	list[0] = 1;
	list[2] = 17;
	((float *)list)[3] = 2.0f;
	conf_f32(self, SNPU_REGION_WEIGHTS, 17 * 256)[5] = 3.0f;
	snpu_emit(&self->prog, LINEAR, .ev = in(0), .weights = snpu_ref(SNPU_REGION_WEIGHTS, 0), .out = out(0), .n_in = 1000, .n_out = 6);
	ASSERT_EQ(build(self), 0);
	ASSERT_EQ(bind(self, SNPU_REGION_INPUT, 4096, CONF_SIZE - 4096, 0), 0);
	ASSERT_EQ(bind(self, SNPU_REGION_WEIGHTS, 0, 4096, 0), 0);
	ASSERT_EQ(bind(self, SNPU_REGION_WEIGHTS, 8192, CONF_SIZE - 8192, 0), 0);
	ASSERT_EQ(conf_run_raw(self), 0);
	EXPECT_TRUE(conf_f32(self, SNPU_REGION_OUTPUT, 0)[5] == 6.0f);
	list[2] = 15;
	ASSERT_EQ(conf_requeue(self), 0);
	EXPECT_FAULT(self, SNPU_FAULT_MMU_UNMAPPED, 0, 1, vw + 15 * 256, SNPU_ACCESS_READ);
	list[2] = 32;
	EXPECT_FAULT(self, SNPU_FAULT_MMU_UNMAPPED, 0, 1, vw + 32 * 256, SNPU_ACCESS_READ);
}

TEST_F(conf, program_is_not_mapped)
{
	const uint64_t vp = CONF_VA(SNPU_REGION_PROGRAM);
	struct snpu_pkt_hdr *nop = packet(self, 0);
	uint32_t packet_word = 0;

	for (unsigned int i = 0; i < 512; i++)
		nop[i] = (struct snpu_pkt_hdr){ .opcode = SNPU_OP_NOP, .words = 2 };
	ASSERT_EQ(bind(self, SNPU_REGION_PROGRAM, 4096, 4096, 0), 0);
	ASSERT_EQ(conf_run_raw(self), -EFAULT);
	EXPECT_EQ(self->status.fault_code, SNPU_FAULT_MMU_UNMAPPED);
	EXPECT_EQ(self->status.fault_pc, 4096);
	EXPECT_EQ(self->status.fault_va, vp + 4096);
	EXPECT_EQ(self->status.fault_packet, 0);
	EXPECT_EQ(self->status.fault_operand, NOWHERE);
	/* A packet across the edge: its header is known. */
	nop[511] = (struct snpu_pkt_hdr){ .opcode = SNPU_OP_FILL, .words = sizeof(struct snpu_pkt_FILL) / 4 };
	ASSERT_EQ(conf_requeue(self), 0);
	ASSERT_EQ(conf_run_raw(self), -EFAULT);
	memcpy(&packet_word, &nop[511], 4);
	EXPECT_EQ(self->status.fault_pc, 4088);
	EXPECT_EQ(self->status.fault_va, vp + 4096);
	EXPECT_EQ(self->status.fault_packet, packet_word);
}

TEST_F(conf, profile_is_not_mapped)
{
	uint64_t vp = CONF_VA(SNPU_REGION_PROFILE);

	snpu_emit(&self->prog, NOP);
	ASSERT_EQ(build(self), 0);
	ASSERT_EQ(bind(self, SNPU_REGION_PROFILE, 0, 4096, 0), 0);
	EXPECT_FAULT(self, SNPU_FAULT_MMU_UNMAPPED, 8, NOWHERE, vp, SNPU_ACCESS_READ);
	ASSERT_EQ(bind(self, SNPU_REGION_PROFILE, 0, 4096, SNPU_BIND_READ), 0);
	EXPECT_FAULT(self, SNPU_FAULT_MMU_WRITE, 8, NOWHERE, vp, SNPU_ACCESS_WRITE);
}

/* Operands that begin, end and cross where bindings do, and buffers that are bound in pieces. */
TEST_F(conf, operands_across_bindings)
{
	enum { N = 3000 };
	uint64_t seed = 11;
	float want[N];

	for (int i = 0; i < N; i++) {
		conf_f32(self, SNPU_REGION_INPUT, 100)[i] = conf_random(&seed) % 3 ? 0.0f : conf_float(&seed, false);
		conf_f32(self, SNPU_REGION_CONST, 60)[i] = conf_float(&seed, false);
		want[i] = conf_f32(self, SNPU_REGION_INPUT, 100)[i] + conf_f32(self, SNPU_REGION_CONST, 60)[i];
	}
	/* Pages 1 and 2 of INPUT change places: the address space is not the buffer. */
	ASSERT_EQ(snpu_vm_bind(self->vm, self->bo[SNPU_REGION_INPUT], 8192, CONF_VA(SNPU_REGION_INPUT) + 4096, 4096, SNPU_BIND_READ), 0);
	ASSERT_EQ(snpu_vm_bind(self->vm, self->bo[SNPU_REGION_INPUT], 4096, CONF_VA(SNPU_REGION_INPUT) + 8192, 4096, SNPU_BIND_READ), 0);
	for (int i = 0; i < 1024; i++) {
		float *a = conf_f32(self, SNPU_REGION_INPUT, 4096) + i, *b = conf_f32(self, SNPU_REGION_INPUT, 8192) + i, t = *a;

		*a = *b;
		*b = t;
	}
	for (unsigned int r = SNPU_REGION_OUTPUT; r <= SNPU_REGION_SCRATCH; r++)
		ASSERT_EQ(bind(self, r, 4096, 4096, SNPU_BIND_READ | SNPU_BIND_WRITE), 0);
	snpu_emit(&self->prog, ADD, .a = in(100), .b = snpu_ref(SNPU_REGION_CONST, 60), .out = out(200), .n = N);
	snpu_emit(&self->prog, EVPACK, .x = in(100), .ev = scratch(0), .n = N);
	snpu_emit(&self->prog, EVUNPACK, .ev = scratch(0), .x = out(0x8000), .n = N);
	ASSERT_EQ(build(self), 0);
	ASSERT_EQ(conf_run_raw(self), 0);
	conf_expect(conf_f32(self, SNPU_REGION_OUTPUT, 200), want, N, "ADD across bindings");
	for (int i = 0; i < N; i++)
		want[i] -= 0.0f;
	for (int i = 0; i < N; i++) {
		uint64_t off = 100 + 4 * (uint64_t)i, page = off / 4096;

		want[i] = conf_f32(self, SNPU_REGION_INPUT, 0)[(page == 1 ? off + 4096 : page == 2 ? off - 4096 : off) / 4];
	}
	conf_expect(conf_f32(self, SNPU_REGION_OUTPUT, 0x8000), want, N, "events across bindings");
}

TEST_F(conf, fault_text_names_the_packet)
{
	snpu_emit(&self->prog, LOOP, .count = 3);
	snpu_emit(&self->prog, FILL, .dst = snpu_ref_step(SNPU_REGION_OUTPUT, 0x1000, CONF_SIZE / 2), .words = 4, .value = 1);
	snpu_emit(&self->prog, NEXT);
	ASSERT_EQ(conf_run(self), -EFAULT);
	EXPECT_CONTAINS(self->status.text, "job 1 faulted: an operand reaches past the end of its region");
	EXPECT_CONTAINS(self->status.text, "offset 0x10");
	EXPECT_CONTAINS(self->status.text, "loop iteration 2");
	EXPECT_CONTAINS(self->status.text, "operand 0 (dst)");
	EXPECT_CONTAINS(self->status.text, "FILL dst=OUTPUT+0x1000{524288} words=4 value=1");
	EXPECT_CONTAINS(snpu_last_error(), "FILL dst=OUTPUT");
}

TEST_HARNESS_MAIN
