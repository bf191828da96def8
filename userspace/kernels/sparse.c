/* SPDX-License-Identifier: MIT */
/*
 * SPARSE on any machine: scattered additions, which no vector makes faster. The same code is the reference and what runs; the order
 * of additions into one element is that of the segments and of their targets. Pure functions, any thread.
 */
#include "kernels/kernels.h"

/* Targets are read once, from memory that others may write: one that is out of the ring by then goes to the block's first. */
static inline uint32_t target(const uint16_t *t, uint32_t limit)
{
	uint32_t once = *(volatile const uint16_t *)t;

	return once < limit ? once : 0;
}

static void add_weight(float *ring, const struct snpu_sparse_segment *s)
{
	if (s->limit >= SNPU_SEGMENT_TARGETS) {		/* any u16 is in the block */
		for (uint32_t k = 0; k < s->count; k++)
			ring[s->target[k]] = ring[s->target[k]] + s->add;
		return;
	}
	for (uint32_t k = 0; k < s->count; k++) {
		uint32_t t = target(s->target + k, s->limit);

		ring[t] = ring[t] + s->add;
	}
}

static void add_weights(float *ring, const struct snpu_sparse_segment *s)
{
	for (uint32_t k = 0; k < s->count; k++) {
		uint32_t t = target(s->target + k, s->limit);

		ring[t] = ring[t] + (s->weight[k] * s->add);
	}
}

void snpu_sparse_f32(const struct snpu_sparse_args *a, uint32_t first, uint32_t count)
{
	for (uint64_t i = 0; i < a->segments; i++) {
		const struct snpu_sparse_segment *s = &a->segment[i];
		uint64_t slot = (uint64_t)a->position + s->delay;
		float *ring;

		if ((uint32_t)s->block - first >= count)
			continue;
		if (slot >= a->slots)		/* both are below slots */
			slot -= a->slots;
		ring = a->ring + slot * a->n_out + (uint64_t)s->block * SNPU_SEGMENT_TARGETS;
		if (s->weight)
			add_weights(ring, s);
		else
			add_weight(ring, s);
	}
}
