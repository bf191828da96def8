/* SPDX-License-Identifier: MIT */
/*
 * The cost model: what one packet did -> counters, cycles and femtojoules. docs/cost-model.md explains it in words; every
 * number is here once, with where it comes from. A pure function; any thread.
 *
 * [H] M. Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014, figure 1.1.9: 45 nm, 0.9 V.
 * [A] an assumption of this model, chosen to be of the right size; nothing was measured.
 */
#include "sim/engine.h"

/* Energy, femtojoules. */
enum {
	FJ_FADD = 900,			/* [H] 32-bit floating-point add 0.9 pJ */
	FJ_FMUL = 3700,			/* [H] 32-bit floating-point multiply 3.7 pJ */
	FJ_FCMP = 100,			/* [H] 32-bit integer add 0.1 pJ: a binary32 comparison is an integer one */
	FJ_FDIV = 4 * FJ_FMUL,		/* [A] a division or a root takes two Newton steps of two multiplications */
	FJ_FSPECIAL = 20 * (FJ_FMUL + FJ_FADD),	/* [A] a polynomial of 10 terms in binary64, which counts as two binary32 */
	FJ_IADD8 = 30,			/* [H] 8-bit integer add 0.03 pJ */
	FJ_IMUL8 = 200,			/* [H] 8-bit integer multiply 0.2 pJ */
	FJ_IADD32 = 100,		/* [H] 32-bit integer add 0.1 pJ */
	FJ_IMUL32 = 3100,		/* [H] 32-bit integer multiply 3.1 pJ */
	FJ_SRAM = 10000,		/* [H] 64 bits from an 8 KiB SRAM 10 pJ */
	FJ_DRAM_BURST = 8 * 1300000,	/* [H] 64 bits of DRAM 1.3 nJ (the lower end), 8 of them a burst */
	FJ_LINK_BURST = 512 * 10000,	/* [A] PCI Express, both ends, 10 pJ a bit, 512 bits a burst */
	FJ_SORT = 700,			/* [H] compare, and 6 integer adds of a 64-wide prefix sum, for each channel */
	FJ_PACKET_WORD = 70000,		/* [H] fetch and control of one 32-bit instruction 70 pJ */
	FJ_CYCLE = 50000,		/* [A] clock tree and leakage, 50 mW at 1 GHz */
};

/* Time, cycles of 1 ns. */
enum {
	CY_PACKET = 8,			/* [A] decode and operand checks, not overlapped */
	CY_VRAM_BURST = 1,		/* [A] device memory of 64 GB/s */
	CY_HOST_BURST = 4,		/* [A] PCI Express 4.0 x8, 16 GB/s */
	CY_VRAM_LATENCY = 100,		/* [A] first access of a packet; later ones are pipelined */
	CY_HOST_LATENCY = 600,		/* [A] a non-posted read across the link and back */
	CY_FDIV = 4, CY_FSPECIAL = 40,	/* [A] of a lane, as many as the operations above */
	BURST_WORDS = 8,		/* of 64 bits */
	SRAM_WORDS = 2 * BURST_WORDS,	/* each into a buffer and out again */
	LANES = 64,
};

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t compute_cycles(const struct engine_work *w)
{
	return w->lanes_busy + (w->scanned + LANES - 1) / LANES + w->sorted;
}

/* The lanes work while data moves, but for the first of it and for translations. */
uint64_t cost_stalls(const struct engine_work *w)
{
	uint64_t compute = compute_cycles(w);
	uint64_t move = max(w->vram_bursts * CY_VRAM_BURST, w->host_bursts * CY_HOST_BURST);
	uint64_t walk = w->pte_device * CY_VRAM_LATENCY + w->pte_host * CY_HOST_LATENCY;	/* each needs the one before */

	return (move > compute ? move - compute : 0) + walk +
	       (w->vram_bursts > w->pte_device ? CY_VRAM_LATENCY : 0) + (w->host_bursts > w->pte_host ? CY_HOST_LATENCY : 0);
}

static uint64_t cycles(const struct engine_work *w, unsigned int words)
{
	return CY_PACKET + words / 2 + compute_cycles(w) + cost_stalls(w);
}

void cost_float(struct engine_work *w, struct engine_work ops)
{
	uint64_t cy = ops.fadd + ops.fmul + ops.fcmp + ops.fdiv * CY_FDIV + ops.fspecial * CY_FSPECIAL;

	w->fadd += ops.fadd;
	w->fmul += ops.fmul;
	w->fcmp += ops.fcmp;
	w->fdiv += ops.fdiv;
	w->fspecial += ops.fspecial;
	w->lanes_busy += (cy + LANES - 1) / LANES;
}

void cost_count(const struct engine_work *w, unsigned int words, __u64 counter[SNPU_COUNTER_COUNT])
{
	uint64_t bursts = w->vram_bursts + w->host_bursts, cy = cycles(w, words);
	uint64_t ideal = w->fadd * FJ_FADD + w->fmul * FJ_FMUL + w->fcmp * FJ_FCMP + w->fdiv * FJ_FDIV +
			 w->fspecial * FJ_FSPECIAL + w->iadd8 * FJ_IADD8 + w->imul8 * FJ_IMUL8 + w->iadd32 * FJ_IADD32 +
			 w->imul32 * FJ_IMUL32;

	counter[SNPU_COUNTER_PACKETS]++;
	counter[SNPU_COUNTER_EVENTS] += w->events;
	counter[SNPU_COUNTER_SPIKES] += w->spikes;
	counter[SNPU_COUNTER_SYNOPS] += w->synops;
	counter[SNPU_COUNTER_SKIPPED] += w->skipped;
	counter[SNPU_COUNTER_UPDATES] += w->updates;
	counter[SNPU_COUNTER_CYCLES] += cy;
	counter[SNPU_COUNTER_TLB_MISSES] += w->walks;
	counter[SNPU_COUNTER_VRAM_RD] += w->vram_rd;
	counter[SNPU_COUNTER_VRAM_WR] += w->vram_wr;
	counter[SNPU_COUNTER_HOST_RD] += w->host_rd;
	counter[SNPU_COUNTER_HOST_WR] += w->host_wr;
	counter[SNPU_COUNTER_ENERGY_IDEAL] += ideal;
	counter[SNPU_COUNTER_ENERGY] += ideal + bursts * (FJ_DRAM_BURST + SRAM_WORDS * FJ_SRAM) + w->reuses * BURST_WORDS * FJ_SRAM +
					w->host_bursts * FJ_LINK_BURST + w->scanned * FJ_SORT + w->sorted * FJ_SRAM +
					words * (uint64_t)FJ_PACKET_WORD + cy * FJ_CYCLE;
}
