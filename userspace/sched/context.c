/* SPDX-License-Identifier: MIT */
/*
 * Segments on their devices: buffers, addresses, programs, submission. Weights, constants, state and scratch are in device
 * memory where there is any; programs, inputs, outputs and profiles in host memory. One address space and one queue a device.
 */
#include "sched/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int context_create(struct snpu_session *s, struct snpu_context *c)
{
	const struct snpu_segment *seg = c->s;
	struct snpu_target *t = &s->targets[seg->target];
	struct snpu_lane *lane = &s->lanes[seg->target];
	int err = snpu_lane_open(t, lane);

	c->dense = calloc(seg->n_slots + 1, sizeof(*c->dense));
	if (!err && !c->dense)
		err = snpu_fail(-ENOMEM, "no memory for a profile");

	if (!err)
		err = snpu_region_need(t, lane, &c->region[SNPU_REGION_WEIGHTS], seg->weight_bytes, SNPU_BO_DEVICE);
	if (!err)
		err = snpu_region_need(t, lane, &c->region[SNPU_REGION_CONST], seg->const_bytes, SNPU_BO_DEVICE);
	if (!err)
		err = snpu_region_need(t, lane, &c->region[SNPU_REGION_STATE], seg->state_bytes, SNPU_BO_DEVICE);
	if (!err)
		err = snpu_region_need(t, lane, &c->region[SNPU_REGION_SCRATCH], seg->scratch_bytes, SNPU_BO_DEVICE);
	if (!err)
		err = snpu_pack_segment(&s->low, seg, c->region[SNPU_REGION_WEIGHTS].map, c->region[SNPU_REGION_CONST].map);
	return err;
}

int snpu_contexts_create(struct snpu_session *s, unsigned *failed)
{
	int err = 0;

	s->contexts = calloc(s->plan.n_segments + 1, sizeof(*s->contexts));
	if (!s->contexts)
		return snpu_fail(-ENOMEM, "no memory for %u segments", s->plan.n_segments);
	for (unsigned i = 0; i < s->plan.n_segments && !err; i++) {
		*failed = i;
		s->contexts[i].s = &s->plan.segments[i];
		err = context_create(s, &s->contexts[i]);
	}
	if (err)
		snpu_contexts_free(s);
	return err;
}

void snpu_contexts_free(struct snpu_session *s)
{
	/* First the queues: when they are gone, no device touches the buffers. */
	for (unsigned t = 0; t < s->n_targets && s->lanes; t++) {
		snpu_queue_free(s->lanes[t].queue);
		s->lanes[t].queue = NULL;
	}
	for (unsigned i = 0; s->contexts && i < s->plan.n_segments; i++) {
		struct snpu_context *c = &s->contexts[i];

		for (unsigned r = 0; r < SNPU_REGION_COUNT; r++)
			snpu_bo_free(c->region[r].bo);
		free(c->dense);
		for (int v = 0; v < 2; v++) {
			free(c->variant[v].import_at);
			free(c->variant[v].export_at);
		}
	}
	for (unsigned t = 0; t < s->n_targets && s->lanes; t++)
		snpu_lane_close(&s->lanes[t]);
	free(s->contexts);
	s->contexts = NULL;
}

/* Emits the program for chunks of `samples` behind what is in `prog`. */
static int variant_emit(struct snpu_session *s, struct snpu_context *c, struct snpu_variant *v, uint64_t samples, uint64_t steps, bool going_on,
			struct snpu_prog *all, uint64_t *in, uint64_t *out)
{
	const struct snpu_segment *seg = c->s;
	struct snpu_prog prog;
	uint64_t in_size = 0, out_size = 0;
	int err;

	v->samples = samples;
	if (!v->import_at)
		v->import_at = calloc(seg->n_imports + 1, sizeof(*v->import_at));
	if (!v->export_at)
		v->export_at = calloc(seg->n_exports + 1, sizeof(*v->export_at));
	if (!samples)
		return 0;
	if (!v->import_at || !v->export_at)
		return snpu_fail(-ENOMEM, "no memory for a program");
	snpu_prog_init(&prog);
	err = snpu_streams_layout(seg->imports, seg->n_imports, samples, steps, v->import_at, &in_size);
	if (!err)
		err = snpu_streams_layout(seg->exports, seg->n_exports, samples, steps, v->export_at, &out_size);
	if (!err)
		err = snpu_emit_segment(&s->low, &s->plan, seg, samples, steps, !going_on, &prog);
	if (!err) {
		/* Programs are relocatable: one behind the other, each with its own entry. */
		uint8_t *data = realloc(all->data, all->size + prog.size);

		v->entry = (uint32_t)all->size;
		if (data) {
			memcpy(data + all->size, prog.data, prog.size);
			all->data = data;
			all->size += prog.size;
		} else {
			err = snpu_fail(-ENOMEM, "no memory for a program");
		}
	}
	snpu_prog_free(&prog);
	*in = in_size > *in ? in_size : *in;
	*out = out_size > *out ? out_size : *out;
	return err;
}

int snpu_context_prepare(struct snpu_session *s, struct snpu_context *c, uint64_t chunk, uint64_t last, uint64_t steps, bool going_on)
{
	struct snpu_target *t = &s->targets[c->s->target];
	struct snpu_lane *lane = &s->lanes[c->s->target];
	struct snpu_prog all = { 0 };
	uint64_t in = 0, out = 0;
	int err;

	if (c->variant[0].samples == chunk && c->variant[1].samples == last && c->steps == steps && c->going_on == going_on)
		return 0;
	c->steps = 0;
	err = variant_emit(s, c, &c->variant[0], chunk, steps, going_on, &all, &in, &out);
	if (!err)
		err = variant_emit(s, c, &c->variant[1], last, steps, going_on, &all, &in, &out);
	if (!err)
		err = snpu_region_need(t, lane, &c->region[SNPU_REGION_PROGRAM], all.size, 0);
	if (!err)
		err = snpu_region_need(t, lane, &c->region[SNPU_REGION_INPUT], in, 0);
	if (!err)
		err = snpu_region_need(t, lane, &c->region[SNPU_REGION_OUTPUT], out, 0);
	if (!err)
		err = snpu_region_need(t, lane, &c->region[SNPU_REGION_PROFILE], (c->s->n_slots + 1ull) * SNPU_COUNTER_COUNT * sizeof(uint64_t), 0);
	if (!err) {
		memcpy(c->region[SNPU_REGION_PROGRAM].map, all.data, all.size);
		c->steps = steps;
		c->going_on = going_on;
	}
	free(all.data);
	return err;
}

int snpu_context_run(struct snpu_session *s, struct snpu_context *c, const struct snpu_variant *v, char *why, size_t why_size)
{
	int err;

	memset(c->region[SNPU_REGION_PROFILE].map, 0, c->region[SNPU_REGION_PROFILE].size);
	err = snpu_lane_run(&s->targets[c->s->target], &s->lanes[c->s->target], c->region, v->entry, c->s->n_slots + 1, &s->cancel, why, why_size);
	if (!err)
		snpu_queue_dense(s->lanes[c->s->target].queue, c->s->n_slots + 1, c->dense);
	if (err == -ECANCELED)
		snpu_contexts_free(s);		/* stops the job. The next run makes a new queue */
	return err;
}
