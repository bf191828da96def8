/* SPDX-License-Identifier: MIT */
/* What a run gives back. Filled by run.c, read through snpu_model.h; nobody else's business and free of locks. */
#ifndef SNPU_SCHED_RESULT_H
#define SNPU_SCHED_RESULT_H

#include "sched/session.h"

struct snpu_result {
	struct snpu_arena arena;
	unsigned n_records, n_rows, n_fallbacks, cap_fallbacks;
	struct snpu_record *records;		/* [n_records] */
	struct snpu_array *arrays;		/* [n_records] float32 [sample][step][node shape] */
	struct snpu_profile_row *rows;		/* [n_rows] executing nodes in order, then "" for control */
	uint64_t *counters;			/* [n_rows][SNPU_COUNTER_COUNT] */
	uint64_t *dense;			/* [n_rows] */
	unsigned *row_of;			/* [n_nodes] SNPU_NONE: executes nothing */
	const char **fallbacks;			/* of malloc */
	struct snpu_run_stats stats;
};

int snpu_result_create(const struct snpu_session *s, uint64_t samples, uint64_t steps, struct snpu_result **out) SNPU_MUST_CHECK;
/* Adds the profile of a segment that has just run, u64 [slots + 1][SNPU_COUNTER_COUNT], and dense u64 [slots + 1]. */
void snpu_result_add_profile(struct snpu_result *r, const struct snpu_session *s, const struct snpu_segment *seg, const uint64_t *profile,
			     const uint64_t *dense);
int snpu_result_add_fallback(struct snpu_result *r, const char *fmt, ...) __attribute__((format(printf, 2, 3))) SNPU_MUST_CHECK;

#endif
