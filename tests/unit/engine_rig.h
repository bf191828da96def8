/* SPDX-License-Identifier: MIT */
/*
 * A workbench for tests of the engine: 32 MiB of device memory, 32 MiB of "host" memory behind DMA addresses, page
 * tables, one job whose regions are each 2 MiB of one of the memories, and a program that is put together packet by packet.
 * Header only, single-threaded except where a test starts threads itself.
 */
#ifndef SNPU_TESTS_ENGINE_RIG_H
#define SNPU_TESTS_ENGINE_RIG_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/snpu_engine.h"
#include "snpu_isa.h"
#include "snpu_regs.h"

#define RIG_MEMORY	(32u << 20)		/* bytes of each memory */
#define RIG_REGION	(2u << 20)		/* bytes of each region */
#define RIG_HOST	0x7f00000000ull		/* DMA address of the host memory */
#define RIG_TABLES	(24u << 20)		/* page tables lie from here on */
#define RIG_VA(region)	(((uint64_t)(region) + 1) << 32)
#define RIG_ASID	7u
#define RIG_QUEUE	13u

struct rig {
	uint8_t *vram, *host;
	bool regions_in_host, tables_in_host;
	unsigned int shift;			/* page size of the regions */
	uint32_t tables;			/* bytes of page tables so far */
	uint64_t root;
	struct snpu_engine *engine;
	struct snpu_job_desc desc;
	struct snpu_engine_result res;
	uint32_t prog;				/* bytes of program so far */
	uint64_t host_reads, host_writes;
	void (*hook)(struct rig *r);		/* called in every host access, if set */
};

static inline uint8_t *rig_host_ptr(struct rig *r, uint64_t addr, size_t len)
{
	if (addr < RIG_HOST || addr - RIG_HOST > RIG_MEMORY || len > RIG_MEMORY - (addr - RIG_HOST))
		return NULL;
	return r->host + (addr - RIG_HOST);
}

static inline int rig_host_read(void *ctx, uint64_t addr, void *buf, size_t len)
{
	struct rig *r = ctx;
	uint8_t *p = rig_host_ptr(r, addr, len);

	r->host_reads++;
	if (r->hook)
		r->hook(r);
	if (!p)
		return -EFAULT;
	memcpy(buf, p, len);
	return 0;
}

static inline int rig_host_write(void *ctx, uint64_t addr, const void *buf, size_t len)
{
	struct rig *r = ctx;
	uint8_t *p = rig_host_ptr(r, addr, len);

	r->host_writes++;
	if (r->hook)
		r->hook(r);
	if (!p)
		return -EFAULT;
	memcpy(p, buf, len);
	return 0;
}

/* --- page tables --------------------------------------------------------------------------------------------- */
static inline uint64_t rig_new_table(struct rig *r)
{
	uint64_t at = RIG_TABLES + r->tables;

	r->tables += 4096;
	return SNPU_PTE_VALID | (r->tables_in_host ? RIG_HOST + at : at | SNPU_PTE_DEVICE);
}

static inline uint64_t *rig_table(struct rig *r, uint64_t pointer)
{
	uint64_t at = pointer & SNPU_PTE_ADDR_MASK;

	return (uint64_t *)(pointer & SNPU_PTE_DEVICE ? r->vram + at : r->host + (at - RIG_HOST));
}

/* The entry for va at a level (0: 4 KiB leaves), its tables made on the way. */
static inline uint64_t *rig_pte(struct rig *r, uint64_t va, unsigned int level)
{
	uint64_t *table = rig_table(r, r->root);

	for (unsigned int l = 3; l > level; l--) {
		uint64_t *e = &table[va >> (12 + 9 * l) & 511];

		if (!*e)
			*e = rig_new_table(r);
		table = rig_table(r, *e);
	}
	return &table[va >> (12 + 9 * level) & 511];
}

/* Maps [va, va + size) to pa; flags: SNPU_PTE_READ, _WRITE, _DEVICE. */
static inline void rig_map(struct rig *r, uint64_t va, uint64_t pa, uint64_t size, unsigned int shift, uint64_t flags)
{
	uint64_t page = shift == 21 ? 1u << 21 : 4096;

	for (uint64_t off = 0; off < size; off += page)
		*rig_pte(r, va + off, shift == 21) = (pa + off) | flags | SNPU_PTE_VALID | SNPU_PTE_LEAF |
						     (shift == 16 ? SNPU_PTE_64K : 0);
}

/* --- the workbench ------------------------------------------------------------------------------------------- */
static inline uint64_t rig_region_pa(const struct rig *r, unsigned int region)
{
	return (uint64_t)region * RIG_REGION + (r->regions_in_host ? RIG_HOST : 0);
}

static inline void rig_init(struct rig *r, bool regions_in_host, bool tables_in_host, unsigned int shift)
{
	memset(r, 0, sizeof(*r));
	r->vram = aligned_alloc(4096, RIG_MEMORY);
	r->host = aligned_alloc(4096, RIG_MEMORY);
	memset(r->vram, 0, RIG_MEMORY);
	memset(r->host, 0, RIG_MEMORY);
	r->regions_in_host = regions_in_host;
	r->tables_in_host = tables_in_host;
	r->shift = shift;
	r->root = rig_new_table(r);
	r->desc.seqno = 0x1122334455667788ull;
	for (unsigned int i = 0; i < SNPU_REGION_COUNT; i++) {
		rig_map(r, RIG_VA(i), rig_region_pa(r, i), RIG_REGION, shift,
			SNPU_PTE_READ | SNPU_PTE_WRITE | (regions_in_host ? 0 : SNPU_PTE_DEVICE));
		r->desc.region[i] = (struct snpu_region_binding){ RIG_VA(i), RIG_REGION };
	}

	struct snpu_engine_mem mem = { .device = r->vram, .device_size = RIG_MEMORY, .ctx = r,
				       .host_read = rig_host_read, .host_write = rig_host_write };

	if (snpu_engine_create(&mem, &r->engine))
		abort();
}

static inline void rig_free(struct rig *r)
{
	snpu_engine_destroy(r->engine);
	free(r->vram);
	free(r->host);
}

/* The bytes behind an offset of a region. */
static inline void *rig_at(struct rig *r, unsigned int region, uint64_t off)
{
	return (r->regions_in_host ? r->host : r->vram) + (uint64_t)region * RIG_REGION + off;
}

static inline void rig_put(struct rig *r, const void *pkt, size_t size)
{
	memcpy(rig_at(r, SNPU_REGION_PROGRAM, r->prog), pkt, size);
	r->prog += (uint32_t)size;
}

#define REF(region_, off_)		{ .addr = SNPU_REF_ADDR(SNPU_REGION_##region_, off_) }
#define REF_S(region_, off_, in_, out_)	{ .addr = SNPU_REF_ADDR(SNPU_REGION_##region_, off_), .stride = { in_, out_ } }
/* Appends one packet; operands as designated initialisers. */
#define PUT(r_, NAME, flags_, ...) do {									\
	struct snpu_pkt_##NAME put_ = { .hdr = { SNPU_OP_##NAME, flags_, sizeof(put_) / 4 }, ##__VA_ARGS__ };	\
	rig_put(r_, &put_, sizeof(put_));								\
} while (0)

static inline enum snpu_eng_result rig_run(struct rig *r)
{
	struct snpu_engine_job job = { .pt_root = r->root, .asid = RIG_ASID, .queue = RIG_QUEUE, .desc = &r->desc };

	snpu_engine_run(r->engine, &job, &r->res);
	return r->res.result;
}

static inline enum snpu_eng_result rig_resume(struct rig *r)
{
	struct snpu_engine_state state = r->res.state;
	struct snpu_engine_job job = { .pt_root = r->root, .asid = RIG_ASID, .queue = RIG_QUEUE, .desc = &r->desc,
				       .resume = &state };

	snpu_engine_run(r->engine, &job, &r->res);
	return r->res.result;
}

#endif
