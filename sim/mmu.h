/* SPDX-License-Identifier: MIT */
/*
 * The card's MMU: walks the page tables of hw/snpu_job.h and caches leaves, tagged with the address space.
 *
 * Concepts
 *   walk          four dependent 8-byte reads from memory, then one cache entry; what is malformed or empty is a fault
 *                 and is not cached.
 *   page          4 KiB, 64 KiB (one cache entry for 16 leaves) or 2 MiB.
 *   invalidation  other threads only *ask*: they mark an address space and bump a number. The engine's thread drops the
 *                 entries before its next access and publishes the number it has caught up with. So nobody ever waits
 *                 for a lock, and "caught up, or no job running" is exactly "no access uses an old translation".
 *
 * The cache belongs to the engine's thread. It holds bus addresses, never host pointers.
 */
#ifndef SNPU_SIM_MMU_H
#define SNPU_SIM_MMU_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "snpu_job.h"
#include "snpu_regs.h"

#define MMU_SETS_4K	1024u		/* direct-mapped cache entries of each page size; powers of two */
#define MMU_SETS_64K	256u
#define MMU_SETS_2M	256u

struct mmu_entry {
	uint64_t tag;			/* page number << 1 | 1; 0: empty */
	uint64_t pte;			/* of the page's first byte: address and flag bits */
	uint32_t asid;
};

/* Where one address lies, and how far the page goes on. */
struct mmu_addr {
	uint64_t pa;			/* offset in device memory, or DMA address */
	uint64_t left;			/* bytes from pa to the end of the page */
	bool device;
};

/* Reads 8 bytes of a page table. 0, or non-zero when the memory refuses. */
typedef int (*mmu_read_fn)(void *ctx, bool device, uint64_t pa, uint64_t *pte);

struct mmu {
	struct mmu_entry e4k[MMU_SETS_4K], e64k[MMU_SETS_64K], e2m[MMU_SETS_2M];
	mmu_read_fn read;
	void *ctx;
	uint64_t walks;			/* done since creation */

	_Atomic uint64_t ask_asid[SNPU_ASIDS / 64];
	atomic_bool ask_all;
	_Atomic uint64_t asked, done;	/* numbers of invalidations */
};

void mmu_init(struct mmu *m, mmu_read_fn read, void *ctx);

/*
 * Translates one address for one kind of access. Returns SNPU_FAULT_NONE and fills *out, or the fault's code. va is below
 * 2^48. Engine's thread; mmu_catch_up() comes first.
 */
enum snpu_fault_code mmu_translate(struct mmu *m, uint32_t asid, uint64_t root, uint64_t va, enum snpu_access access,
				   struct mmu_addr *out) __attribute__((warn_unused_result));

/* Asks for the entries of an address space (or, >= SNPU_ASIDS, of all) to be dropped. Any thread, never blocks. */
void mmu_invalidate(struct mmu *m, uint32_t asid);

/* True until mmu_catch_up() has run after the last mmu_invalidate(). */
static inline bool mmu_behind(const struct mmu *m)
{
	return atomic_load(&m->done) != atomic_load(&m->asked);
}

/* Does what was asked for. Engine's thread, between two accesses. */
void mmu_catch_up(struct mmu *m);

#endif
