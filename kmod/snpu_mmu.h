/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page tables of one address space, in the card's format.
 */
#ifndef SNPU_MMU_H
#define SNPU_MMU_H

#include <linux/mutex.h>
#include <linux/types.h>

#include "snpu_fw_abi.h"

struct seq_file;
struct snpu_bo;
struct snpu_device;
struct snpu_pt;

/**
 * struct snpu_mmu - Page tables.
 */
struct snpu_mmu {
	/**
	 * @lock: Protects everything else here. Inside the reservations of buffers, because an
	 * exporter takes buffers away under theirs.
	 */
	struct mutex lock;
	/** @snpu: Card. */
	struct snpu_device *snpu;
	/** @root: Top table; NULL after snpu_mmu_fini(). */
	struct snpu_pt *root;
	/** @asid: Number under which the card caches translations. */
	u32 asid;
	/** @live: The card has been told about it, so removed translations must be invalidated. */
	bool live;
	/** @stale: Translations were removed since the last invalidation. */
	bool stale;
};

int snpu_mmu_init(struct snpu_mmu *mmu, struct snpu_device *snpu);
void snpu_mmu_fini(struct snpu_mmu *mmu);
u64 snpu_mmu_root(const struct snpu_mmu *mmu);
int snpu_mmu_prepare_unmap(struct snpu_mmu *mmu, u64 va, u64 size);
int snpu_mmu_prepare_map(struct snpu_mmu *mmu, u64 va, u64 size, struct snpu_bo *bo, u64 offset);
void snpu_mmu_map(struct snpu_mmu *mmu, u64 va, u64 size, struct snpu_bo *bo, u64 offset, u64 prot);
void snpu_mmu_unmap(struct snpu_mmu *mmu, u64 va, u64 size);
void snpu_mmu_count_leaves(struct snpu_mmu *mmu, u64 leaves[3]);
void snpu_mmu_finish(struct snpu_mmu *mmu, u64 va, u64 size);
void snpu_mmu_show(struct snpu_mmu *mmu, struct seq_file *m);
u32 snpu_mmu_walk(const struct snpu_mmu *mmu, u64 va, u64 entries[SNPU_PT_LEVELS]);
int snpu_mmu_wait_idle(struct snpu_device *snpu);

#endif
