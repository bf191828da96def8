/* SPDX-License-Identifier: MIT */
/*
 * Random programs on the engine: nearly right ones, with bits flipped, wild offsets and random event lists. Whatever
 * comes, the engine must stop in order, keep to the regions that packets may write, and describe a fault with values that
 * exist. The seed is printed; SNPU_FUZZ_SEED and SNPU_FUZZ_PROGRAMS choose another and more.
 */
#include "tests/harness.h"
#include "sim/engine.h"
#include "tests/unit/engine_rig.h"

#define PACKETS		24u			/* of a program, at most */
#define BUDGET		3000u			/* host accesses before a program is aborted */

static uint32_t seed;

static uint32_t rnd(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed % n;
}

static void stop_in_time(struct rig *r)
{
	if (r->host_reads + r->host_writes > BUDGET)
		snpu_engine_abort(r->engine);
}

/* --- programs ------------------------------------------------------------------------------------------------------ */
/* A reference adds its bytes and, in the high half, one to the number of references. */
#define ARG_REF(name, access, elem, count, doc)	+ 16 + 0x10000
#define ARG_U32(name, min, max, doc)		+ 4
#define ARG_U64(name, doc)			+ 8
static const struct { uint8_t op, flags, refs; uint16_t used, size; } ops[] = {
#define PKT(NAME, opcode, flags_, args, doc)	{ .op = opcode, .flags = flags_, .refs = (0 args) >> 16, .used = (uint16_t)(8 args), .size = sizeof(struct snpu_pkt_##NAME) },
#include "snpu_isa.def"
};
#undef ARG_REF
#undef ARG_U32
#undef ARG_U64
#define OPS	(sizeof(ops) / sizeof(ops[0]))

static struct snpu_ref random_ref(void)
{
	static const uint8_t good[] = { SNPU_REGION_WEIGHTS, SNPU_REGION_CONST, SNPU_REGION_STATE, SNPU_REGION_INPUT,
					SNPU_REGION_OUTPUT, SNPU_REGION_SCRATCH, SNPU_REGION_TRACE };
	static const uint32_t stride[] = { 0, 4, 8, 256, 0x1000, 0x80000, 0xfffffffc };
	struct snpu_ref ref = { 0 };
	uint64_t off = rnd(40) ? (rnd(4) ? rnd(0x4000) : rnd(RIG_REGION)) & ~(rnd(2) ? 255u : 3u) : (uint64_t)rnd(~0u) << rnd(20);

	if (!rnd(6))
		return ref;
	ref.addr = SNPU_REF_ADDR(rnd(20) ? good[rnd(sizeof(good))] : rnd(256), off & 0xffffffffffffull);
	ref.stride[0] = stride[rnd(rnd(4) ? 3 : 7)];
	ref.stride[1] = stride[rnd(rnd(4) ? 3 : 7)];
	return ref;
}

/* Smaller when there are several, because extents are their products. */
static uint32_t random_number(unsigned int several)
{
	if (!rnd(several ? 40 : 20))
		return rnd(~0u) >> rnd(32);
	return several ? 1 + rnd(rnd(4) ? 5 : 150) : 1 + rnd(rnd(3) ? 80 : 3000);
}

/* Mostly, what must be the zero reference is: otherwise packets with two such operands would never run. */
static void aim_ref(struct snpu_ref *ref, uint64_t count)
{
	if (!count && rnd(8))
		memset(ref, 0, sizeof(*ref));
}

#define ARG_REF(name, access, elem, count, doc)	aim_ref(&p->name, count);
#define ARG_U32(name, min, max, doc)
#define ARG_U64(name, doc)
#define PKT(NAME, opcode, flags, args, doc)	static void aim_##NAME(void *pkt) { struct snpu_pkt_##NAME *p = pkt; (void)p; args }
#include "snpu_isa.def"
#undef ARG_REF
#undef ARG_U32
#undef ARG_U64

static void (*const aim[])(void *pkt) = {
#define PKT(NAME, opcode, flags, args, doc)	aim_##NAME,
#include "snpu_isa.def"
};

/* Residuals of one tile and one group, see random_data(). */
static void aim_residual(struct snpu_pkt_SPMV *p)
{
	p->hdr.flags |= SNPU_SPMV_RESIDUAL;
	p->groups = 1;
	p->n_out = 1 + rnd(64);
	p->n_residual = 3;
	p->residual = (struct snpu_ref){ .addr = SNPU_REF_ADDR(SNPU_REGION_TRACE, RIG_REGION - 0x1000 + 32 * rnd(16)) };
}

/* The many numbers of images, mostly small all together. */
static void aim_image(uint32_t *number, unsigned int n)
{
	for (unsigned int i = 0; rnd(4) && i < n; i++)
		number[i] = 1 + rnd(4);
}

static size_t random_packet(uint8_t *pkt)
{
	unsigned int k = rnd(OPS);
	struct snpu_pkt_hdr h = { .opcode = ops[k].op, .flags = rnd(8) ? (uint8_t)rnd(256) & ops[k].flags : (uint8_t)rnd(256),
				  .words = ops[k].size / 4, .slot = (uint16_t)rnd(4) };
	size_t at = sizeof(h);

	memset(pkt, 0, ops[k].size);
	memcpy(pkt, &h, sizeof(h));
	for (unsigned int i = 0; i < ops[k].refs; i++, at += sizeof(struct snpu_ref)) {
		struct snpu_ref ref = random_ref();

		memcpy(pkt + at, &ref, sizeof(ref));
	}
	for (unsigned int several = ops[k].used - at > 8; at + 4 <= ops[k].size; at += 4) {
		uint32_t n = random_number(several);

		memcpy(pkt + at, &n, 4);
	}
	if (h.opcode == SNPU_OP_SPMV && rnd(2))
		aim_residual((struct snpu_pkt_SPMV *)pkt);
	if (h.opcode == SNPU_OP_CONV)
		aim_image(&((struct snpu_pkt_CONV *)pkt)->groups, 15);
	if (h.opcode == SNPU_OP_POOL)
		aim_image(&((struct snpu_pkt_POOL *)pkt)->channels, 11);
	aim[k](pkt);
	memset(pkt + ops[k].used, 0, ops[k].size - ops[k].used);
	if (!rnd(25))
		pkt[rnd(ops[k].size)] ^= 1u << rnd(8);
	return ops[k].size;
}

static void random_program(struct rig *r)
{
	uint8_t pkt[ENGINE_MAX_PKT] __attribute__((aligned(8)));
	unsigned int n = 1 + rnd(PACKETS);

	r->prog = 0;
	for (unsigned int i = 0; i < n; i++)
		rig_put(r, pkt, random_packet(pkt));
	PUT(r, END, 0);
}

/* Event and spike lists that are almost right, at the addresses that references like, and residuals of three entries. */
static void random_data(struct rig *r)
{
	for (unsigned int k = 0; k < 16; k++) {
		uint32_t *residual = rig_at(r, SNPU_REGION_TRACE, RIG_REGION - 0x1000 + 32 * k);

		residual[0] = 0;
		residual[1] = rnd(20) ? 3 : rnd(8);
		for (unsigned int i = 2; i < 5; i++)
			residual[i] = rnd(~0u) & (rnd(20) ? 0xffff3f7f : ~0u);
	}
	for (unsigned int region = SNPU_REGION_STATE; region <= SNPU_REGION_TRACE; region++)
		for (unsigned int k = 0; k < 8; k++) {
			uint32_t *list = rig_at(r, region, 256ull * rnd(16)), count = rnd(12), channel = 0;

			list[0] = rnd(30) ? count : rnd(~0u);
			list[1] = !rnd(40);
			for (uint32_t i = 0; i < count; i++) {
				channel += 1 + rnd(4) - !rnd(40);
				list[2 + 2 * i] = channel;
				list[3 + 2 * i] = rnd(~0u);
			}
		}
}

/* --- what must hold --------------------------------------------------------------------------------------------------- */
static uint64_t sum(const void *p, size_t bytes)
{
	const uint64_t *w = p;
	uint64_t s = 0;

	for (size_t i = 0; i < bytes / 8; i++)
		s = (s ^ w[i]) * 0x100000001b3ull;
	return s;
}

/* Everything that no packet may change: program, weights, constants, input, what lies behind the regions, all of device memory. */
static uint64_t untouchable(struct rig *r)
{
	return sum(rig_at(r, SNPU_REGION_PROGRAM, 0), 3 * RIG_REGION) + sum(rig_at(r, SNPU_REGION_INPUT, 0), RIG_REGION) * 3 +
	       sum(rig_at(r, SNPU_REGION_COUNT, 0), RIG_MEMORY - SNPU_REGION_COUNT * RIG_REGION) * 5;
}

/* Which packets ran: all that lie before the one that faulted, or before the END that ended it. */
static void note_executed(struct rig *r, bool ran[256])
{
	uint64_t end = r->res.result == SNPU_ENG_DONE ? r->prog : r->res.result == SNPU_ENG_FAULT ? r->res.fault.pc : 0;
	const struct snpu_pkt_hdr *h;

	for (uint64_t pc = 0; pc < end; pc += h->words * 4u) {
		h = rig_at(r, SNPU_REGION_PROGRAM, pc);
		ran[h->opcode] = true;
		if (h->opcode == SNPU_OP_END)
			break;
	}
}

static void check_result(const struct rig *r)
{
	const struct snpu_fault *f = &r->res.fault;

	EXPECT_TRUE(r->res.result == SNPU_ENG_DONE || r->res.result == SNPU_ENG_FAULT || r->res.result == SNPU_ENG_ABORTED);
	if (r->res.result != SNPU_ENG_FAULT) {
		EXPECT_EQ(f->code, 0u);
		return;
	}
	EXPECT_GT(f->code, (uint32_t)SNPU_FAULT_BAD_DESC);
	EXPECT_LT(f->code, (uint32_t)SNPU_FAULT_COUNT);
	EXPECT_NE(f->code, (uint32_t)SNPU_FAULT_KILLED);
	EXPECT_LT(f->pc, (uint64_t)r->prog + 8);
	EXPECT_EQ(f->pc % 8, 0u);
	EXPECT_TRUE(f->operand == ~0u || f->operand < ENGINE_MAX_ARGS);
	EXPECT_TRUE((f->va != 0) == (f->access != 0));
}

TEST_TIMEOUT(random_programs, 300)
{
	const char *s = getenv("SNPU_FUZZ_SEED"), *n = getenv("SNPU_FUZZ_PROGRAMS");
	unsigned long programs = n ? strtoul(n, NULL, 0) : 3000;
	unsigned int seen[SNPU_FAULT_COUNT] = { 0 }, kinds = 0, opcodes = 0;
	bool ran[256] = { false };
	struct rig r;

	seed = s ? (uint32_t)strtoul(s, NULL, 0) | 1 : 0x5eed1;
	printf("# SNPU_FUZZ_SEED=0x%x\n", seed);
	rig_init(&r, true, true, 12);
	r.desc.profile_slots = 3;
	r.hook = stop_in_time;
	for (unsigned long i = 0; i < programs && !th_failed; i++) {
		uint32_t at = seed;
		uint64_t before;

		random_data(&r);
		random_program(&r);
		r.host_reads = r.host_writes = 0;
		before = i % 8 ? 0 : untouchable(&r);
		rig_run(&r);
		if (i % 8 == 0)
			EXPECT_EQ(untouchable(&r), before);
		check_result(&r);
		note_executed(&r, ran);
		seen[r.res.fault.code]++;
		if (th_failed)
			printf("# program %lu, seed 0x%x\n", i, at);
	}
	for (unsigned int c = 0; c < SNPU_FAULT_COUNT; c++)
		kinds += seen[c] > 0;
	for (unsigned int k = 0; k < OPS; k++) {
		opcodes += ran[ops[k].op];
		if (!ran[ops[k].op])
			printf("# opcode 0x%02x never ran\n", ops[k].op);
	}
	printf("# %u kinds of ending, %u programs without a fault, %u opcodes\n", kinds, seen[0], opcodes);
	EXPECT_GE(kinds, 8u);			/* a fuzz that always trips over the same check tests little */
	EXPECT_GT(seen[0], 10u);
	EXPECT_GE(opcodes, (unsigned int)OPS - 2);
	rig_free(&r);
}

TEST_HARNESS_MAIN
