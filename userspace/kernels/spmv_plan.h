/* SPDX-License-Identifier: MIT */
/*
 * What the SIMD kernels of SPMV know about the spike lists of a packet, laid out in its scratch memory: counts as dense
 * int8, channel lists where many channels are silent in every row. The product then is one instruction for four channels
 * of a group, a quad. Made by one thread, read by all. Nothing here computes a result, so it is plain C.
 */
#ifndef SNPU_KERNELS_SPMV_PLAN_H
#define SNPU_KERNELS_SPMV_PLAN_H

#include "kernels/kernels.h"

#define SPMV_AHEAD	32u
#define SPMV_QUADS	(SNPU_GROUP / 4)

/*
 * A count is what int8 holds of it, its low part, and a rest. With `bits` bits the low parts go from -2^(bits-1) to
 * 2^(bits-1) - 1; the rest, rare, is added channel by channel. All sums are modulo 2^32.
 */
struct snpu_spmv_plan {
	const uint32_t *end;		/* [groups] quads of the groups up to this one */
	const uint32_t *channel;	/* [end[groups - 1] + SPMV_AHEAD][4] ascending; a last quad is filled up with any */
	const int8_t *count;		/* [groups][rows][128] low parts, of the listed channels in their order; then 0 */
	const int32_t *sum;		/* [groups][rows] of the low parts */
	const uint8_t *rest;		/* [groups][rows] 1: some counts have a rest */
	const int8_t *beside;		/* with a residual: low parts again, [rows / lanes rounded up][groups * 128][lanes] */
	uint32_t lanes;
	bool all;			/* all channels are listed */
};

static inline int8_t snpu_spmv_low(int32_t count, unsigned int bits)
{
	return (int8_t)((int8_t)((uint32_t)count << (8 - bits)) >> (8 - bits));
}

/* lanes: how many rows lie beside each other in `beside`. */
size_t snpu_spmv_plan_size(const struct snpu_spmv_args *a, uint32_t lanes);
/* Into a->scratch, which begins with the plan. */
void snpu_spmv_plan(const struct snpu_spmv_args *a, uint32_t lanes, unsigned int bits);

#endif
