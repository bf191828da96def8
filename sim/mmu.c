/* SPDX-License-Identifier: MIT */
/*
 * The page-table walk, the translation cache and its invalidation; the concepts are in mmu.h. Everything here runs on
 * the engine's thread except mmu_invalidate(). Fault records are made by the caller, who knows packet and operand.
 */
#include <string.h>

#include "sim/mmu.h"

#define KIB64_LEAVES	16u			/* level-0 leaves of a 64 KiB page */
#define PTE_KNOWN	(SNPU_PTE_VALID | SNPU_PTE_READ | SNPU_PTE_WRITE | SNPU_PTE_LEAF | SNPU_PTE_DEVICE | \
			 SNPU_PTE_64K | SNPU_PTE_ADDR_MASK)
#define PTE_LEAF_ONLY	(SNPU_PTE_READ | SNPU_PTE_WRITE | SNPU_PTE_64K | SNPU_PTE_LEAF)

void mmu_init(struct mmu *m, mmu_read_fn read, void *ctx)
{
	memset(m, 0, sizeof(*m));
	m->read = read;
	m->ctx = ctx;
}

void mmu_invalidate(struct mmu *m, uint32_t asid)
{
	if (asid < SNPU_ASIDS)
		atomic_fetch_or(&m->ask_asid[asid / 64], 1ull << (asid % 64));
	else
		atomic_store(&m->ask_all, true);
	atomic_fetch_add(&m->asked, 1);		/* after the mark, so that who sees the number sees the mark */
}

static void drop(struct mmu_entry *e, unsigned int n, const uint64_t *asids, bool all)
{
	for (unsigned int i = 0; i < n; i++)
		if (all || (asids[e[i].asid / 64] >> (e[i].asid % 64) & 1))
			e[i].tag = 0;
}

void mmu_catch_up(struct mmu *m)
{
	uint64_t seen = atomic_load(&m->asked), asids[SNPU_ASIDS / 64];
	bool all = atomic_exchange(&m->ask_all, false);

	for (unsigned int i = 0; i < SNPU_ASIDS / 64; i++)
		asids[i] = atomic_exchange(&m->ask_asid[i], 0);
	drop(m->e4k, MMU_SETS_4K, asids, all);
	drop(m->e64k, MMU_SETS_64K, asids, all);
	drop(m->e2m, MMU_SETS_2M, asids, all);
	atomic_store(&m->done, seen);
}

/*
 * The one slot of a page. All bits count (multiplication by 2^64 / golden ratio): the buffers of a job begin at addresses that
 * are round numbers, and those of two contexts at the same ones.
 */
static struct mmu_entry *slot(struct mmu_entry *e, unsigned int sets, uint64_t page, uint32_t asid)
{
	return &e[((page ^ (uint64_t)asid << 24) * 0x9e3779b97f4a7c15ull >> 48) & (sets - 1)];
}

static bool hit(const struct mmu_entry *e, uint64_t page, uint32_t asid)
{
	return e->tag == (page << 1 | 1) && e->asid == asid;
}

static struct mmu_entry *lookup(struct mmu *m, uint32_t asid, uint64_t va, unsigned int *shift)
{
	struct mmu_entry *e = slot(m->e2m, MMU_SETS_2M, va >> 21, asid);

	*shift = 21;
	if (hit(e, va >> 21, asid))
		return e;
	e = slot(m->e64k, MMU_SETS_64K, va >> 16, asid);
	*shift = 16;
	if (hit(e, va >> 16, asid))
		return e;
	e = slot(m->e4k, MMU_SETS_4K, va >> 12, asid);
	*shift = 12;
	return hit(e, va >> 12, asid) ? e : NULL;
}

static struct mmu_entry *insert(struct mmu *m, uint32_t asid, uint64_t va, unsigned int shift, uint64_t pte)
{
	uint64_t page = va >> shift;
	struct mmu_entry *e = shift == 21 ? slot(m->e2m, MMU_SETS_2M, page, asid) :
			      shift == 16 ? slot(m->e64k, MMU_SETS_64K, page, asid) :
					    slot(m->e4k, MMU_SETS_4K, page, asid);

	*e = (struct mmu_entry){ .tag = page << 1 | 1, .pte = pte, .asid = asid };
	return e;
}

static bool is_pointer(uint64_t pte)
{
	return (pte & SNPU_PTE_VALID) && !(pte & (PTE_LEAF_ONLY | ~PTE_KNOWN));
}

/*
 * Judges the leaf found at a level. Returns the page's shift (12, 16, 21) and moves *pte to the page's first byte, or 0
 * when it is malformed.
 */
static unsigned int leaf_shift(unsigned int level, unsigned int index, uint64_t *pte)
{
	if (level == 1)
		return *pte & (SNPU_PTE_64K | (SNPU_PTE_ADDR_MASK & 0x1fffff)) ? 0 : 21;
	if (level != 0)
		return 0;
	if (!(*pte & SNPU_PTE_64K))
		return 12;
	if ((*pte >> 12) % KIB64_LEAVES != index % KIB64_LEAVES)
		return 0;
	*pte -= (uint64_t)(index % KIB64_LEAVES) << 12;
	return 16;
}

static enum snpu_fault_code walk(struct mmu *m, uint64_t root, uint64_t va, uint64_t *leaf, unsigned int *shift)
{
	uint64_t pte = root;

	m->walks++;
	for (unsigned int level = SNPU_PT_LEVELS; level-- > 0;) {
		unsigned int index = va >> (12 + 9 * level) & (SNPU_PT_ENTRIES - 1);

		if (!is_pointer(pte))
			return SNPU_FAULT_MMU_TABLE;
		if (m->read(m->ctx, pte & SNPU_PTE_DEVICE, (pte & SNPU_PTE_ADDR_MASK) + 8 * index, &pte))
			return SNPU_FAULT_BUS;
		if (!pte)
			return SNPU_FAULT_MMU_UNMAPPED;
		if (!(pte & SNPU_PTE_VALID) || (pte & ~PTE_KNOWN))
			return SNPU_FAULT_MMU_TABLE;
		if (pte & SNPU_PTE_LEAF) {
			*shift = leaf_shift(level, index, &pte);
			*leaf = pte;
			return *shift ? SNPU_FAULT_NONE : SNPU_FAULT_MMU_TABLE;
		}
	}
	return SNPU_FAULT_MMU_TABLE;		/* a pointer at level 0 */
}

enum snpu_fault_code mmu_translate(struct mmu *m, uint32_t asid, uint64_t root, uint64_t va, enum snpu_access access,
				   struct mmu_addr *out)
{
	unsigned int shift;
	struct mmu_entry *e = lookup(m, asid, va, &shift);

	if (!e) {
		uint64_t leaf;
		enum snpu_fault_code f = walk(m, root, va, &leaf, &shift);

		if (f)
			return f;
		e = insert(m, asid, va, shift, leaf);
	}
	if (access == SNPU_ACCESS_READ && !(e->pte & SNPU_PTE_READ))
		return SNPU_FAULT_MMU_READ;
	if (access == SNPU_ACCESS_WRITE && !(e->pte & SNPU_PTE_WRITE))
		return SNPU_FAULT_MMU_WRITE;

	uint64_t in_page = va & ((1ull << shift) - 1);

	out->pa = (e->pte & SNPU_PTE_ADDR_MASK) + in_page;
	out->left = (1ull << shift) - in_page;
	out->device = e->pte & SNPU_PTE_DEVICE;
	return SNPU_FAULT_NONE;
}
