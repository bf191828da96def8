// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page tables: four levels of 512 entries in coherent host memory, written by the CPU and read by
 * the card. Leaves are what the DMA API gave, or offsets in device memory; so every kind of IOMMU
 * set-up works alike.
 *
 * A change has three steps. Prepare allocates all tables it will need and splits large pages at its
 * edges, which changes no translation; it is the only step that can fail. Then entries are cleared
 * and set. Finish invalidates what the card may have cached, and only then are tables that became
 * empty given back. The card caches leaves alone, so filling holes needs no invalidation.
 */
#include <drm/drm_drv.h>
#include <drm/drm_print.h>
#include <linux/dma-mapping.h>
#include <linux/iopoll.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "snpu_device.h"
#include "snpu_gem.h"
#include "snpu_mmu.h"

#define SNPU_PT_SIZE		(SNPU_PT_ENTRIES * sizeof(__le64))
#define SNPU_PT_RUN		(SZ_64K / SZ_4K)	/* leaves that PTE_64K joins */
#define SNPU_MMU_TIMEOUT_US	2000000

/**
 * struct snpu_pt - A table; level 0 holds 4 KiB leaves.
 */
struct snpu_pt {
	/** @entries: What the card reads. */
	__le64 *entries;
	/** @dma: Where the card reads it. */
	dma_addr_t dma;
	/** @used: Entries that are not zero. */
	u32 used;
	/** @child: The tables below, SNPU_PT_ENTRIES of them; NULL at level 0. */
	struct snpu_pt **child;
	/** @next: In the list of those to be freed. */
	struct snpu_pt *next;
};

static u64 snpu_pt_span(int level)
{
	return 1ull << (12 + 9 * level);	/* bytes one entry maps */
}

static u32 snpu_pt_index(u64 va, int level)
{
	return (va >> (12 + 9 * level)) % SNPU_PT_ENTRIES;
}

static u64 snpu_pt_get(const struct snpu_pt *pt, u32 i)
{
	return le64_to_cpu(pt->entries[i]);
}

static void snpu_pt_set(struct snpu_pt *pt, u32 i, u64 entry)
{
	pt->used += !!entry - !!pt->entries[i];
	WRITE_ONCE(pt->entries[i], cpu_to_le64(entry));
}

static struct snpu_pt *snpu_pt_alloc(struct snpu_device *snpu, int level)
{
	struct snpu_pt *pt = kzalloc(sizeof(*pt), GFP_KERNEL_ACCOUNT);

	if (!pt)
		return NULL;
	if (level) {
		pt->child = kcalloc(SNPU_PT_ENTRIES, sizeof(*pt->child), GFP_KERNEL_ACCOUNT);
		if (!pt->child)
			goto err_free;
	}
	pt->entries = dma_alloc_coherent(snpu->drm.dev, SNPU_PT_SIZE, &pt->dma,
					 GFP_KERNEL_ACCOUNT);
	if (!pt->entries)
		goto err_free;
	return pt;

err_free:
	kfree(pt->child);
	kfree(pt);
	return NULL;
}

static void snpu_pt_free(struct snpu_device *snpu, struct snpu_pt *pt)
{
	u32 i;

	for (i = 0; pt->child && i < SNPU_PT_ENTRIES; i++)
		if (pt->child[i])
			snpu_pt_free(snpu, pt->child[i]);	/* depth: SNPU_PT_LEVELS */
	dma_free_coherent(snpu->drm.dev, SNPU_PT_SIZE, pt->entries, pt->dma);
	kfree(pt->child);
	kfree(pt);
}

static void snpu_pt_link(struct snpu_pt *pt, u32 i, struct snpu_pt *child)
{
	pt->child[i] = child;
	dma_wmb();	/* the table before the entry that leads to it */
	snpu_pt_set(pt, i, child->dma | SNPU_PTE_VALID);
}

/* The table at @level that covers @va; NULL when there is none. */
static struct snpu_pt *snpu_mmu_find(struct snpu_mmu *mmu, u64 va, int level)
{
	struct snpu_pt *pt = mmu->root;
	int l;

	for (l = SNPU_PT_LEVELS - 1; pt && l > level; l--)
		pt = pt->child[snpu_pt_index(va, l)];
	return pt;
}

/* Turns the 2 MiB page at entry @i of a level-1 table into 4 KiB pages that translate the same. */
static int snpu_mmu_split_2m(struct snpu_mmu *mmu, struct snpu_pt *pt, u32 i)
{
	struct snpu_pt *child = snpu_pt_alloc(mmu->snpu, 0);
	u64 entry = snpu_pt_get(pt, i) | SNPU_PTE_64K;
	u32 k;

	if (!child)
		return -ENOMEM;
	for (k = 0; k < SNPU_PT_ENTRIES; k++)
		snpu_pt_set(child, k, entry + (u64)k * SZ_4K);
	snpu_pt_link(pt, i, child);
	return 0;
}

/* Makes the table behind entry @i of a table at @level. */
static int snpu_mmu_make_one(struct snpu_mmu *mmu, struct snpu_pt *pt, u32 i, int level)
{
	struct snpu_pt *child;

	if (pt->entries[i])
		return snpu_mmu_split_2m(mmu, pt, i);
	child = snpu_pt_alloc(mmu->snpu, level - 1);
	if (!child)
		return -ENOMEM;
	snpu_pt_link(pt, i, child);
	return 0;
}

/* The same, made where it is missing. A large page in the way is split. */
static struct snpu_pt *snpu_mmu_make(struct snpu_mmu *mmu, u64 va, int level)
{
	struct snpu_pt *pt = mmu->root;
	int l;

	for (l = SNPU_PT_LEVELS - 1; l > level; l--) {
		u32 i = snpu_pt_index(va, l);

		if (!pt->child[i] && snpu_mmu_make_one(mmu, pt, i, l))
			return NULL;
		pt = pt->child[i];
	}
	return pt;
}

/* Makes @va an edge between pages. */
static int snpu_mmu_split(struct snpu_mmu *mmu, u64 va)
{
	struct snpu_pt *pt = snpu_mmu_find(mmu, va, 1);
	u32 i, k;
	int err;

	if (!pt || IS_ALIGNED(va, SZ_2M))
		return 0;
	i = snpu_pt_index(va, 1);
	if (!pt->child[i]) {
		if (!pt->entries[i])
			return 0;
		err = snpu_mmu_split_2m(mmu, pt, i);
		if (err)
			return err;
	}
	pt = pt->child[i];
	if (IS_ALIGNED(va, SZ_64K))
		return 0;
	i = round_down(snpu_pt_index(va, 0), SNPU_PT_RUN);
	for (k = i; k < i + SNPU_PT_RUN; k++)
		snpu_pt_set(pt, k, snpu_pt_get(pt, k) & ~SNPU_PTE_64K);
	return 0;
}

/*
 * Bytes that one step maps: 2 MiB, 64 KiB or 4 KiB, as alignment allows; 2 MiB only where no table
 * is in the way.
 */
static u64 snpu_mmu_step(struct snpu_mmu *mmu, u64 va, u64 addr, u64 left)
{
	if (IS_ALIGNED(va | addr, SZ_2M) && left >= SZ_2M) {
		struct snpu_pt *pt = snpu_mmu_find(mmu, va, 1);

		if (!pt || !pt->child[snpu_pt_index(va, 1)])
			return SZ_2M;
	}
	if (IS_ALIGNED(va | addr, SZ_64K) && left >= SZ_64K)
		return SZ_64K;
	return SZ_4K;
}

static void snpu_mmu_set_leaves(struct snpu_mmu *mmu, u64 va, u64 step, u64 entry)
{
	struct snpu_pt *pt = snpu_mmu_find(mmu, va, step == SZ_2M ? 1 : 0);
	u32 i, k;

	if (step == SZ_2M) {
		snpu_pt_set(pt, snpu_pt_index(va, 1), entry);
		return;
	}
	if (step == SZ_64K)
		entry |= SNPU_PTE_64K;
	i = snpu_pt_index(va, 0);
	for (k = 0; k < step / SZ_4K; k++)
		snpu_pt_set(pt, i + k, entry + (u64)k * SZ_4K);
}

/* One pass over the pages of a mapping: with @entry 0 it makes tables, otherwise it sets leaves. */
static int snpu_mmu_walk_bo(struct snpu_mmu *mmu, u64 va, u64 size, struct snpu_bo *bo, u64 offset,
			    u64 entry)
{
	u32 x = snpu_bo_extent_at(bo, offset);

	while (size) {
		u64 addr = bo->extents[x].addr + (offset - bo->extents[x].offset);
		u64 left = min(size, snpu_bo_extent_end(bo, x) - offset);
		u64 step = snpu_mmu_step(mmu, va, addr, left);

		if (entry)
			snpu_mmu_set_leaves(mmu, va, step, entry | addr);
		else if (!snpu_mmu_make(mmu, va, step == SZ_2M ? 1 : 0))
			return -ENOMEM;
		va += step;
		offset += step;
		size -= step;
		if (offset == snpu_bo_extent_end(bo, x))
			x++;
	}
	return 0;
}

/* So that unmapping [@va, @va + @size) cannot fail. */
int snpu_mmu_prepare_unmap(struct snpu_mmu *mmu, u64 va, u64 size)
{
	int err;

	lockdep_assert_held(&mmu->lock);

	err = snpu_mmu_split(mmu, va);
	return err ?: snpu_mmu_split(mmu, va + size);
}

/* So that mapping a part of a buffer there cannot fail. */
int snpu_mmu_prepare_map(struct snpu_mmu *mmu, u64 va, u64 size, struct snpu_bo *bo, u64 offset)
{
	int err = snpu_mmu_prepare_unmap(mmu, va, size);

	return err ?: snpu_mmu_walk_bo(mmu, va, size, bo, offset, 0);
}

/* @prot: SNPU_PTE_READ, SNPU_PTE_WRITE or both. */
void snpu_mmu_map(struct snpu_mmu *mmu, u64 va, u64 size, struct snpu_bo *bo, u64 offset, u64 prot)
{
	u64 entry = SNPU_PTE_VALID | SNPU_PTE_LEAF | prot | (bo->device ? SNPU_PTE_DEVICE : 0);

	snpu_mmu_walk_bo(mmu, va, size, bo, offset, entry);
	dma_wmb();	/* the entries before whatever starts a job */
}

void snpu_mmu_unmap(struct snpu_mmu *mmu, u64 va, u64 size)
{
	u64 end = va + size, next;
	struct snpu_pt *pt;
	int level;

	lockdep_assert_held(&mmu->lock);

	if (!mmu->root)
		return;
	for (; va < end; va = next) {
		/* The lowest table there is; what it does not have is not mapped. */
		for (level = 0; !(pt = snpu_mmu_find(mmu, va, level)); level++)
			;
		next = min(end, round_down(va, snpu_pt_span(level)) + snpu_pt_span(level));
		if (!pt->entries[snpu_pt_index(va, level)])
			continue;
		snpu_pt_set(pt, snpu_pt_index(va, level), 0);
		mmu->stale = true;
	}
}

/* --- counting -------------------------------------------------------------------------------- */

static void snpu_pt_count_leaves(const struct snpu_pt *pt, u64 leaves[3])
{
	u32 i;

	for (i = 0; i < SNPU_PT_ENTRIES; i++) {
		u64 entry = snpu_pt_get(pt, i);

		if (pt->child && pt->child[i])
			snpu_pt_count_leaves(pt->child[i], leaves);	/* depth: SNPU_PT_LEVELS */
		else if (entry && pt->child)
			leaves[2]++;
		else if (entry & SNPU_PTE_64K)
			leaves[1] += i % SNPU_PT_RUN == 0;
		else if (entry)
			leaves[0]++;
	}
}

/* Adds the numbers of 4 KiB, 64 KiB and 2 MiB pages that are mapped. */
void snpu_mmu_count_leaves(struct snpu_mmu *mmu, u64 leaves[3])
{
	mutex_lock(&mmu->lock);
	if (mmu->root)
		snpu_pt_count_leaves(mmu->root, leaves);
	mutex_unlock(&mmu->lock);
}

/* --- invalidation ----------------------------------------------------------------------------- */

/*
 * Until no access under a dropped translation is under way any more. -ENODEV: the card is gone;
 * -ETIMEDOUT: it does not get there.
 */
int snpu_mmu_wait_idle(struct snpu_device *snpu)
{
	u32 status;
	int err;

	err = readx_poll_timeout(readl, snpu->regs + SNPU_REG_MMU_STATUS, status,
				 !SNPU_GET(status, MMU_STATUS, BUSY) || status == ~0u, 50,
				 SNPU_MMU_TIMEOUT_US);
	return status == ~0u ? -ENODEV : err;
}

/*
 * Also between drm_dev_unplug() and the moment in which remove() stops the card: jobs still run
 * then. The registers are there, as remove() takes away the tables first. Before a card goes on
 * that is away, it forgets all translations.
 */
static int snpu_mmu_invalidate(struct snpu_mmu *mmu)
{
	struct snpu_device *snpu = mmu->snpu;
	int err = 0;

	mutex_lock(&snpu->mmu_lock);
	if (!snpu->pm.away) {
		snpu_write(snpu, SNPU_REG_MMU_INVALIDATE,
			   SNPU_PUT(mmu->asid, MMU_INVALIDATE, ASID));
		err = snpu_mmu_wait_idle(snpu);
	}
	mutex_unlock(&snpu->mmu_lock);
	return err;
}

/* Takes tables that became empty out of the tree, and gives them back as a list. */
static void snpu_mmu_prune(struct snpu_pt *pt, int level, u64 base, u64 va, u64 end,
			   struct snpu_pt **dead)
{
	int shift = 12 + 9 * level;
	u64 span = 1ull << shift;
	u32 i, first, last;

	first = va > base ? (va - base) >> shift : 0;
	last = min_t(u64, SNPU_PT_ENTRIES, (end - base + span - 1) >> shift);
	for (i = first; i < last; i++) {
		struct snpu_pt *child = pt->child[i];

		if (!child)
			continue;
		if (child->child)
			snpu_mmu_prune(child, level - 1, base + i * span, va, end, dead);
		if (child->used)
			continue;
		snpu_pt_set(pt, i, 0);
		pt->child[i] = NULL;
		child->next = *dead;
		*dead = child;
	}
}

/*
 * Ends a change of [@va, @va + @size). When it returns, the memory that was unmapped can be given
 * away, and the tables that led to it were. A card that does not answer is cut off from memory, and
 * reset.
 */
void snpu_mmu_finish(struct snpu_mmu *mmu, u64 va, u64 size)
{
	struct snpu_pt *dead = NULL, *pt;

	lockdep_assert_held(&mmu->lock);

	if (!mmu->stale || !mmu->root)
		return;
	snpu_mmu_prune(mmu->root, SNPU_PT_LEVELS - 1, 0, va, va + size, &dead);
	if (mmu->live && snpu_mmu_invalidate(mmu)) {
		pci_clear_master(to_pci_dev(mmu->snpu->drm.dev));
		snpu_reset_schedule(mmu->snpu, "the card did not finish an MMU invalidation");
		snpu_reset_wait(mmu->snpu);
	}
	mmu->stale = false;
	while ((pt = dead)) {
		dead = pt->next;
		snpu_pt_free(mmu->snpu, pt);
	}
}

/* --- for people ------------------------------------------------------------------------------- */

/**
 * struct snpu_mmu_range - Pages that follow each other, with the same bits.
 */
struct snpu_mmu_range {
	/** @m: Where they are shown. */
	struct seq_file *m;
	/** @va: Where they begin. */
	u64 va;
	/** @end: Behind the last one; equal to @va: there is none yet. */
	u64 end;
	/** @bits: Of the entries, without their address. */
	u64 bits;
	/** @level: Of the entries; it says how large the pages are. */
	int level;
};

static void snpu_mmu_range_show(struct snpu_mmu_range *r)
{
	if (r->va == r->end)
		return;
	seq_printf(r->m, "  %012llx-%012llx %6llu KiB of %-6s %c%c %s\n", r->va, r->end,
		   (r->end - r->va) / SZ_1K,
		   r->level ? "2M" : r->bits & SNPU_PTE_64K ? "64K" : "4K",
		   r->bits & SNPU_PTE_READ ? 'r' : '-', r->bits & SNPU_PTE_WRITE ? 'w' : '-',
		   r->bits & SNPU_PTE_DEVICE ? "device" : "host");
}

static void snpu_pt_show(const struct snpu_pt *pt, int level, u64 base, struct snpu_mmu_range *r)
{
	u32 i;

	for (i = 0; i < SNPU_PT_ENTRIES; i++) {
		u64 entry = snpu_pt_get(pt, i), va = base + i * snpu_pt_span(level);

		if (pt->child && pt->child[i]) {
			snpu_pt_show(pt->child[i], level - 1, va, r);
		} else if (entry) {
			entry &= ~SNPU_PTE_ADDR_MASK;
			if (va != r->end || entry != r->bits || level != r->level) {
				snpu_mmu_range_show(r);
				*r = (struct snpu_mmu_range){ r->m, va, va, entry, level };
			}
			r->end += snpu_pt_span(level);
		}
	}
}

/* What the tables say, not what they were made from. Under the lock of the address space. */
void snpu_mmu_show(struct snpu_mmu *mmu, struct seq_file *m)
{
	struct snpu_mmu_range r = { .m = m };

	if (mmu->root)
		snpu_pt_show(mmu->root, SNPU_PT_LEVELS - 1, 0, &r);
	snpu_mmu_range_show(&r);
}

/* The entries that lead to an address, from the root; returns how many there are. */
u32 snpu_mmu_walk(const struct snpu_mmu *mmu, u64 va, u64 entries[SNPU_PT_LEVELS])
{
	const struct snpu_pt *pt = mmu->root;
	int level;
	u32 n = 0;

	for (level = SNPU_PT_LEVELS - 1; pt; level--) {
		u32 i = snpu_pt_index(va, level);

		entries[n++] = snpu_pt_get(pt, i);
		pt = pt->child ? pt->child[i] : NULL;
	}
	return n;
}

/* --- life ------------------------------------------------------------------------------------- */

u64 snpu_mmu_root(const struct snpu_mmu *mmu)
{
	return mmu->root->dma | SNPU_PTE_VALID;
}

/* -ENOSPC: the card's address spaces are used up. */
int snpu_mmu_init(struct snpu_mmu *mmu, struct snpu_device *snpu)
{
	int asid;

	mmu->snpu = snpu;
	asid = ida_alloc_range(&snpu->asids, 1, SNPU_ASIDS - 1, GFP_KERNEL);
	if (asid < 0)
		return asid;
	mmu->asid = asid;
	mmu->root = snpu_pt_alloc(snpu, SNPU_PT_LEVELS - 1);
	if (!mmu->root) {
		ida_free(&snpu->asids, asid);
		return -ENOMEM;
	}
	mutex_init(&mmu->lock);
	return 0;
}

/* Frees the tables. Either the card is gone, or no queue uses them and everything was unmapped. */
void snpu_mmu_fini(struct snpu_mmu *mmu)
{
	lockdep_assert_held(&mmu->lock);

	if (!mmu->root)
		return;
	snpu_pt_free(mmu->snpu, mmu->root);
	mmu->root = NULL;
	ida_free(&mmu->snpu->asids, mmu->asid);
}
