/* SPDX-License-Identifier: MIT */
/* What a run gives back: arrays, counters, fallbacks. One thread at a time. */
#include "sched/result.h"

#include <stdlib.h>
#include <string.h>

static int create_records(const struct snpu_session *s, uint64_t samples, uint64_t steps, struct snpu_result *r)
{
	r->records = snpu_arena_alloc(&r->arena, s->n_wanted, sizeof(*r->records));
	r->arrays = snpu_arena_alloc(&r->arena, s->n_wanted, sizeof(*r->arrays));
	if (!r->records || !r->arrays)
		return -ENOMEM;
	for (unsigned i = 0; i < s->n_wanted; i++) {
		const struct snpu_wanted *w = &s->wanted[i];
		const struct snpu_node *n = &s->m->nodes[w->node];
		uint64_t shape[SNPU_MAX_RANK + 2] = { samples, steps };
		bool whole = n->rank + 2 <= SNPU_MAX_RANK;
		int err;

		memcpy(shape + 2, whole ? n->shape : &n->size, (whole ? n->rank : 1) * sizeof(*shape));
		err = snpu_array_create(SNPU_F32, whole ? n->rank + 2 : 3, shape, &r->arrays[i]);
		if (err)
			return snpu_fail_in(err, "record '%s' of %llu samples", w->name, (unsigned long long)samples);
		r->n_records++;
		r->records[i] = (struct snpu_record){ snpu_arena_strdup(&r->arena, w->name), w->output, &r->arrays[i] };
		if (!r->records[i].name)
			return -ENOMEM;
	}
	return 0;
}

static int create_rows(const struct snpu_session *s, struct snpu_result *r)
{
	unsigned n = s->m->n_nodes;

	r->rows = snpu_arena_alloc(&r->arena, n + 1, sizeof(*r->rows));
	r->counters = snpu_arena_alloc(&r->arena, n + 1, SNPU_COUNTER_COUNT * sizeof(*r->counters));
	r->row_of = snpu_arena_alloc(&r->arena, n, sizeof(*r->row_of));
	r->dense = snpu_arena_alloc(&r->arena, n + 1, sizeof(*r->dense));
	if (!r->rows || !r->counters || !r->dense || !r->row_of)
		return -ENOMEM;
	for (unsigned k = 0; k <= n; k++) {
		unsigned i = k < n ? s->m->order[k] : 0;
		const char *name = k < n ? s->m->nodes[i].name : "";

		if (k < n)
			r->row_of[i] = snpu_node_executes(s->m, &s->m->nodes[i]) ? r->n_rows : SNPU_NONE;
		if (k < n && r->row_of[i] == SNPU_NONE)
			continue;
		r->rows[r->n_rows] = (struct snpu_profile_row){
			.node = snpu_arena_strdup(&r->arena, name), .device = -2,
			.counter = r->counters + r->n_rows * SNPU_COUNTER_COUNT, .n_counters = SNPU_COUNTER_COUNT,
		};
		if (!r->rows[r->n_rows++].node)
			return -ENOMEM;
	}
	return 0;
}

int snpu_result_create(const struct snpu_session *s, uint64_t samples, uint64_t steps, struct snpu_result **out)
{
	struct snpu_result *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return snpu_fail(-ENOMEM, "no memory for a result");
	err = create_records(s, samples, steps, r);
	if (!err)
		err = create_rows(s, r);
	if (err) {
		snpu_result_free(r);
		return err;
	}
	r->stats.samples = samples;
	r->stats.steps = steps;
	*out = r;
	return 0;
}

void snpu_result_free(struct snpu_result *r)
{
	if (!r)
		return;
	for (unsigned i = 0; i < r->n_records; i++)
		snpu_array_free(&r->arrays[i]);
	free(r->fallbacks);
	snpu_arena_free(&r->arena);
	free(r);
}

void snpu_result_add_profile(struct snpu_result *r, const struct snpu_session *s, const struct snpu_segment *seg, const uint64_t *profile,
			     const uint64_t *dense)
{
	for (unsigned slot = 0; slot <= seg->n_slots; slot++) {
		unsigned row = slot ? r->row_of[seg->slots[slot - 1].node] : r->n_rows - 1;

		r->dense[row] += dense[slot];
		r->rows[row].device = snpu_session_device(s, seg->target);
		for (unsigned c = 0; c < SNPU_COUNTER_COUNT; c++)
			r->counters[row * SNPU_COUNTER_COUNT + c] += profile[slot * SNPU_COUNTER_COUNT + c];
	}
}

int snpu_result_add_fallback(struct snpu_result *r, const char *fmt, ...)
{
	va_list ap;
	int err = snpu_vec_room(&r->fallbacks, &r->cap_fallbacks, r->n_fallbacks, 4096, sizeof(*r->fallbacks), "fallbacks");

	if (err)
		return err;
	va_start(ap, fmt);
	r->fallbacks[r->n_fallbacks] = snpu_arena_vprintf(&r->arena, fmt, ap);
	va_end(ap);
	return r->fallbacks[r->n_fallbacks++] ? 0 : -ENOMEM;
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

unsigned snpu_result_record_count(const struct snpu_result *r) { return r->n_records; }
unsigned snpu_result_profile_count(const struct snpu_result *r) { return r->n_rows; }
void snpu_result_stats(const struct snpu_result *r, struct snpu_run_stats *out) { *out = r->stats; }

int snpu_result_record(const struct snpu_result *r, unsigned index, struct snpu_record *out)
{
	if (index >= r->n_records)
		return snpu_fail(-ERANGE, "record %u does not exist, there are %u", index, r->n_records);
	*out = r->records[index];
	return 0;
}

int snpu_result_profile(const struct snpu_result *r, unsigned index, struct snpu_profile_row *out)
{
	if (index >= r->n_rows)
		return snpu_fail(-ERANGE, "row %u of the profile does not exist, there are %u", index, r->n_rows);
	*out = r->rows[index];
	return 0;
}

uint64_t snpu_result_dense(const struct snpu_result *r, unsigned index)
{
	return index < r->n_rows ? r->dense[index] : 0;
}

const char *snpu_result_fallback(const struct snpu_result *r, unsigned index)
{
	return index < r->n_fallbacks ? r->fallbacks[index] : NULL;
}
