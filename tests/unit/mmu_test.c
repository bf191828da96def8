/* SPDX-License-Identifier: MIT */
/*
 * The MMU by itself: tables in an array, every page size, every way an entry can be malformed, what is cached and what
 * is not, and who sees an invalidation. Tables lie at "device" addresses 0 .. 256 KiB and at "host" addresses from HOST on.
 */
#include <stdlib.h>

#include "sim/mmu.h"
#include "tests/harness.h"

#define HOST	0x4000000000ull
#define TABLES	64u				/* of 4 KiB, in each memory */
#define V	SNPU_PTE_VALID
#define L	(SNPU_PTE_VALID | SNPU_PTE_LEAF)
#define R	SNPU_PTE_READ
#define W	SNPU_PTE_WRITE
#define D	SNPU_PTE_DEVICE
#define K64	SNPU_PTE_64K
#define VA(i3, i2, i1, i0)	((uint64_t)(i3) << 39 | (uint64_t)(i2) << 30 | (uint64_t)(i1) << 21 | (uint64_t)(i0) << 12)

FIXTURE(walker) {
	struct mmu *m;
	uint64_t (*device)[512], (*host)[512];
	unsigned int reads;
};

static int read_pte(void *ctx, bool device, uint64_t pa, uint64_t *pte)
{
	struct walker *t = ctx;
	uint64_t off = device ? pa : pa - HOST;

	t->reads++;
	if ((!device && pa < HOST) || off >= TABLES * 4096u)
		return -1;
	*pte = (device ? t->device : t->host)[off / 4096][off % 4096 / 8];
	return 0;
}

FIXTURE_SETUP(walker)
{
	self->m = malloc(sizeof(*self->m));
	self->device = calloc(TABLES, 4096);
	self->host = calloc(TABLES, 4096);
	mmu_init(self->m, read_pte, self);
}
FIXTURE_TEARDOWN(walker)
{
	free(self->m);
	free(self->device);
	free(self->host);
}

/* Tables 0, 1, 2, 3 of device memory for levels 3 to 0, chained by entry 1, and a root for them. */
#define ROOT	(V | D)
static void chain(struct walker *t)
{
	t->device[0][1] = 0x1000 | V | D;
	t->device[1][1] = 0x2000 | V | D;
	t->device[2][1] = 0x3000 | V | D;
}

static enum snpu_fault_code look(struct walker *t, uint32_t asid, uint64_t va, enum snpu_access access, struct mmu_addr *at)
{
	memset(at, 0, sizeof(*at));
	if (mmu_behind(t->m))
		mmu_catch_up(t->m);
	return mmu_translate(t->m, asid, ROOT, va, access, at);
}

#define EXPECT_AT(t_, va_, pa_, left_, device_) do {							\
	struct mmu_addr at_;										\
	EXPECT_EQ(look(t_, 1, va_, SNPU_ACCESS_READ, &at_), SNPU_FAULT_NONE);				\
	EXPECT_EQ(at_.pa, (uint64_t)(pa_));								\
	EXPECT_EQ(at_.left, (uint64_t)(left_));								\
	EXPECT_EQ(at_.device, device_);									\
} while (0)

#define EXPECT_FAULT(t_, va_, access_, code_) do {							\
	struct mmu_addr at_;										\
	EXPECT_EQ(look(t_, 1, va_, SNPU_ACCESS_##access_, &at_), SNPU_FAULT_##code_);			\
} while (0)

TEST_F(walker, page_4k)
{
	chain(self);
	self->device[3][7] = 0x123456789000ull | L | R | W;
	self->device[3][8] = 0x5000 | L | R | D;
	EXPECT_AT(self, VA(1, 1, 1, 7), 0x123456789000ull, 4096, false);
	EXPECT_AT(self, VA(1, 1, 1, 7) + 0xfff, 0x123456789fffull, 1, false);
	EXPECT_AT(self, VA(1, 1, 1, 8) + 8, 0x5008, 4088, true);
	EXPECT_EQ(self->reads, 8u);		/* two walks of four; the second access to page 7 was cached */
	EXPECT_EQ(self->m->walks, 2u);
}

TEST_F(walker, page_64k_is_one_entry)
{
	chain(self);
	for (unsigned int k = 0; k < 16; k++)
		self->device[3][32 + k] = (0x770000 + k * 4096) | L | R | K64 | D;
	EXPECT_AT(self, VA(1, 1, 1, 37) + 4, 0x775004, 0x10000 - 0x5004, true);
	for (unsigned int k = 0; k < 16; k++)
		EXPECT_AT(self, VA(1, 1, 1, 32 + k), 0x770000 + k * 4096, (16 - k) * 4096, true);
	EXPECT_EQ(self->m->walks, 1u);
	EXPECT_FAULT(self, VA(1, 1, 1, 31), READ, MMU_UNMAPPED);
	EXPECT_FAULT(self, VA(1, 1, 1, 48), READ, MMU_UNMAPPED);
}

TEST_F(walker, page_2m)
{
	chain(self);
	self->device[2][5] = 0x40200000ull | L | R;
	EXPECT_AT(self, VA(1, 1, 5, 0), 0x40200000, 1u << 21, false);
	EXPECT_AT(self, VA(1, 1, 5, 511) + 0xff0, 0x403ffff0, 16, false);
	EXPECT_EQ(self->m->walks, 1u);
	EXPECT_EQ(self->reads, 3u);
}

TEST_F(walker, tables_in_both_memories)
{
	self->device[0][511] = (HOST + 0x2000) | V;
	self->host[2][0] = 0x4000 | V | D;
	self->device[4][0] = (HOST + 0x5000) | V;
	self->host[5][511] = 0x9000 | L | W | D | R;
	EXPECT_AT(self, VA(511, 0, 0, 511), 0x9000, 4096, true);
}

TEST_F(walker, permissions)
{
	struct mmu_addr at;

	chain(self);
	self->device[3][0] = 0x1000 | L;
	self->device[3][1] = 0x1000 | L | R;
	self->device[3][2] = 0x1000 | L | W;
	for (unsigned int again = 0; again < 2; again++) {	/* walked, then cached */
		EXPECT_FAULT(self, VA(1, 1, 1, 0), READ, MMU_READ);
		EXPECT_FAULT(self, VA(1, 1, 1, 0), WRITE, MMU_WRITE);
		EXPECT_FAULT(self, VA(1, 1, 1, 1), WRITE, MMU_WRITE);
		EXPECT_FAULT(self, VA(1, 1, 1, 2), READ, MMU_READ);
		EXPECT_EQ(look(self, 1, VA(1, 1, 1, 1), SNPU_ACCESS_READ, &at), SNPU_FAULT_NONE);
		EXPECT_EQ(look(self, 1, VA(1, 1, 1, 2), SNPU_ACCESS_WRITE, &at), SNPU_FAULT_NONE);
	}
}

TEST_F(walker, unmapped_at_every_level)
{
	chain(self);
	EXPECT_FAULT(self, VA(0, 0, 0, 0), READ, MMU_UNMAPPED);
	EXPECT_FAULT(self, VA(1, 0, 0, 0), WRITE, MMU_UNMAPPED);
	EXPECT_FAULT(self, VA(1, 1, 0, 0), READ, MMU_UNMAPPED);
	EXPECT_FAULT(self, VA(1, 1, 1, 0), READ, MMU_UNMAPPED);
	self->device[3][0] = 0x1000 | L | R;
	EXPECT_AT(self, VA(1, 1, 1, 0), 0x1000, 4096, false);	/* empty entries are not cached */
}

TEST_F(walker, malformed_entries)
{
	static const struct { unsigned int table, index; uint64_t pte; } bad[] = {
		{ 0, 1, 0x1000 },			/* not valid and not zero */
		{ 3, 1, R },
		{ 0, 1, 0x1000 | V | D | 1ull << 6 },	/* unknown bits */
		{ 0, 1, 0x1000 | V | D | 1ull << 52 },
		{ 3, 1, 0x1000 | L | R | 1ull << 63 },
		{ 0, 1, 0x1000 | L | R },		/* leaf at level 3 */
		{ 1, 1, 0x40000000 | L | R },		/* at level 2 */
		{ 3, 1, 0x1000 | V | D },		/* pointer at level 0 */
		{ 0, 1, 0x1000 | V | D | R },		/* pointer with leaf bits */
		{ 1, 1, 0x2000 | V | D | W },
		{ 2, 1, 0x3000 | V | D | K64 },
		{ 2, 1, 0x200000 | L | R | K64 },	/* 64K at level 1 */
		{ 2, 1, 0x201000 | L | R },		/* 2 MiB page not aligned */
		{ 3, 1, 0x10000 | L | R | K64 },	/* entry 1 of a run must hold base + 4 KiB */
	};

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		chain(self);
		self->device[3][1] = 0x1000 | L | R;
		self->device[bad[i].table][bad[i].index] = bad[i].pte;
		EXPECT_FAULT(self, VA(1, 1, 1, 1), READ, MMU_TABLE);
		if (th_failed) {
			printf("# case %u\n", i);
			break;
		}
	}
}

TEST_F(walker, malformed_root)
{
	static const uint64_t root[] = { 0, D, L | D | R, V | D | R, V | D | 1ull << 7, V | D | K64 };
	struct mmu_addr at;

	chain(self);
	self->device[3][1] = 0x1000 | L | R;
	for (unsigned int i = 0; i < sizeof(root) / sizeof(root[0]); i++)
		EXPECT_EQ(mmu_translate(self->m, 1, root[i], VA(1, 1, 1, 1), SNPU_ACCESS_READ, &at), SNPU_FAULT_MMU_TABLE);
	EXPECT_EQ(self->reads, 0u);
}

TEST_F(walker, tables_outside_memory)
{
	chain(self);
	self->device[1][1] = (TABLES * 4096ull) | V | D;
	EXPECT_FAULT(self, VA(1, 1, 1, 1), READ, BUS);
	self->device[1][1] = 0x1000 | V;	/* below the host's memory */
	EXPECT_FAULT(self, VA(1, 1, 1, 1), READ, BUS);
}

/* A stale translation is used until it is dropped: the invalidation is needed, and works, for its address space only. */
TEST_F(walker, invalidation)
{
	struct mmu_addr at;

	chain(self);
	self->device[3][1] = 0x1000 | L | R;
	self->device[3][16] = 0x10000 | L | R | K64;
	self->device[2][5] = 0x200000 | L | R;
	for (uint32_t asid = 1; asid <= 2; asid++)
		for (unsigned int k = 0; k < 3; k++)
			EXPECT_EQ(look(self, asid, k == 0 ? VA(1, 1, 1, 1) : k == 1 ? VA(1, 1, 1, 16) : VA(1, 1, 5, 0), SNPU_ACCESS_READ, &at), SNPU_FAULT_NONE);
	self->device[3][1] = self->device[3][16] = self->device[2][5] = 0;
	EXPECT_AT(self, VA(1, 1, 1, 1), 0x1000, 4096, false);
	EXPECT_AT(self, VA(1, 1, 1, 16), 0x10000, 65536, false);
	EXPECT_AT(self, VA(1, 1, 5, 0), 0x200000, 1u << 21, false);
	EXPECT_FALSE(mmu_behind(self->m));
	mmu_invalidate(self->m, 1);
	EXPECT_TRUE(mmu_behind(self->m));
	EXPECT_FAULT(self, VA(1, 1, 1, 1), READ, MMU_UNMAPPED);
	EXPECT_FALSE(mmu_behind(self->m));
	EXPECT_FAULT(self, VA(1, 1, 1, 16), READ, MMU_UNMAPPED);
	EXPECT_FAULT(self, VA(1, 1, 5, 0), READ, MMU_UNMAPPED);
	EXPECT_EQ(look(self, 2, VA(1, 1, 1, 1), SNPU_ACCESS_READ, &at), SNPU_FAULT_NONE);
	mmu_invalidate(self->m, SNPU_ASIDS);	/* all */
	EXPECT_EQ(look(self, 2, VA(1, 1, 1, 1), SNPU_ACCESS_READ, &at), SNPU_FAULT_MMU_UNMAPPED);
	EXPECT_EQ(look(self, 2, VA(1, 1, 1, 16), SNPU_ACCESS_READ, &at), SNPU_FAULT_MMU_UNMAPPED);
	EXPECT_EQ(look(self, 2, VA(1, 1, 5, 0), SNPU_ACCESS_READ, &at), SNPU_FAULT_MMU_UNMAPPED);
}

TEST_F(walker, address_spaces_are_apart)
{
	struct mmu_addr at;

	chain(self);
	self->device[3][1] = 0x1000 | L | R;
	EXPECT_EQ(look(self, 3, VA(1, 1, 1, 1), SNPU_ACCESS_READ, &at), SNPU_FAULT_NONE);
	/* Another space with a root of its own, where nothing is mapped: table 10 is empty. */
	EXPECT_EQ(mmu_translate(self->m, 4, 0xa000 | V | D, VA(1, 1, 1, 1), SNPU_ACCESS_READ, &at), SNPU_FAULT_MMU_UNMAPPED);
}

/* More pages than the cache holds: what is thrown out is walked again and comes out right. */
TEST_F(walker, conflicts)
{
	chain(self);
	for (unsigned int i = 0; i < 4; i++)
		self->device[2][10 + i] = (0x8000 + i * 0x1000) | V | D;
	for (unsigned int i = 0; i < 4 * 512; i++)
		self->device[8 + i / 512][i % 512] = (0x100000000ull + i * 4096) | L | R;
	for (unsigned int pass = 0; pass < 2; pass++)
		for (unsigned int i = 0; i < 4 * 512 && !th_failed; i++)
			EXPECT_AT(self, VA(1, 1, 10, 0) + i * 4096, 0x100000000ull + i * 4096, 4096, false);
	EXPECT_GT(self->m->walks, 4u * 512);
}

TEST_HARNESS_MAIN
