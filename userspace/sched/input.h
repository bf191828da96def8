/* SPDX-License-Identifier: MIT */
/* The caller's arrays as the model's inputs: matched to Input nodes, checked, converted chunk by chunk. Pure functions. */
#ifndef SNPU_SCHED_INPUT_H
#define SNPU_SCHED_INPUT_H

#include "graph/graph.h"

struct snpu_feed {
	unsigned node;				/* the Input node */
	uint64_t n;				/* its elements */
	const struct snpu_array *array;
	enum snpu_encoder encoder;
	uint64_t samples, steps, seed;
};

/* One feed for each Input node, in the model's order: feeds[m->n_inputs]. All agree in samples and steps. */
int snpu_feeds_match(const struct snpu_model *m, const struct snpu_input *inputs, unsigned n_inputs, struct snpu_feed *feeds) SNPU_MUST_CHECK;
/* Writes samples [first, first + count) as f32 [sample][step][n]. -EINVAL for numbers that are not finite. */
int snpu_feed_fill(const struct snpu_model *m, const struct snpu_feed *f, uint64_t first, uint64_t count, float *to) SNPU_MUST_CHECK;

#endif
