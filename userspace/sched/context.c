/* SPDX-License-Identifier: MIT */
/*
 * Segments on their devices: buffers, addresses, programs, submission. Weights, constants, state and scratch are in device
 * memory where there is any; programs, inputs, outputs and profiles in host memory. One address space and one queue a device.
 */
#include "sched/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VA_ALIGN	(2ull << 20)		/* so that large buffers can use large pages */
#define WAIT_NS		100000000ll		/* how soon a cancelled session notices */

static int lane_open(struct snpu_target *t, struct snpu_lane *lane)
{
	int err;

	if (lane->queue)
		return 0;
	err = lane->vm ? 0 : snpu_vm_create(t->dev, &lane->vm);
	if (!err)
		err = snpu_queue_create(lane->vm, NULL, &lane->queue);
	/* Never address 0, so that a zero that went astray faults. */
	if (!lane->next_va)
		lane->next_va = t->info.va_start > VA_ALIGN ? t->info.va_start : VA_ALIGN;
	return err;
}

static void lane_close(struct snpu_lane *lane)
{
	snpu_queue_free(lane->queue);
	snpu_vm_free(lane->vm);
	*lane = (struct snpu_lane){ 0 };
}

/* Creates and binds r->size bytes at the next free addresses. After an error the caller frees r->bo, which no job can reach. */
static int region_bind(struct snpu_target *t, struct snpu_lane *lane, struct snpu_region_mem *r, uint32_t flags)
{
	int err = snpu_bo_create(t->dev, r->size, flags, &r->bo);

	if (!err)
		err = snpu_bo_map(r->bo, &r->map);
	if (err)
		return snpu_fail_in(err, "%llu KiB on %s", (unsigned long long)(r->size + 1023) / 1024, t->info.name);
	r->va = (lane->next_va + VA_ALIGN - 1) / VA_ALIGN * VA_ALIGN;
	if (!snpu_range_ok(r->va, snpu_bo_size(r->bo), t->info.va_end))
		return snpu_fail(-ENOSPC, "the address space of %s is used up; create a new session", t->info.name);
	err = snpu_vm_bind(lane->vm, r->bo, 0, r->va, snpu_bo_size(r->bo), SNPU_BIND_READ | SNPU_BIND_WRITE);
	if (err)
		return err;
	lane->next_va = r->va + snpu_bo_size(r->bo);
	r->capacity = snpu_bo_size(r->bo);
	return 0;
}

/* Memory of at least `size` bytes for a region; what is there stays when it is large enough. */
static int region_need(struct snpu_session *s, struct snpu_context *c, unsigned region, uint64_t size, uint32_t flags)
{
	struct snpu_target *t = &s->targets[c->s->target];
	struct snpu_lane *lane = &s->lanes[c->s->target];
	struct snpu_region_mem *r = &c->region[region];
	int err;

	r->size = size;
	if (!size || r->capacity >= size)
		return 0;
	if (r->bo) {
		err = snpu_vm_unbind(lane->vm, r->va, snpu_bo_size(r->bo));
		snpu_bo_free(r->bo);
		*r = (struct snpu_region_mem){ .size = size };
		if (err)
			return err;
	}
	err = region_bind(t, lane, r, flags);
	if (err) {
		snpu_bo_free(r->bo);
		*r = (struct snpu_region_mem){ .size = size };
	}
	return err;
}

static int context_create(struct snpu_session *s, struct snpu_context *c)
{
	const struct snpu_segment *seg = c->s;
	int err = lane_open(&s->targets[seg->target], &s->lanes[seg->target]);

	if (!err)
		err = region_need(s, c, SNPU_REGION_WEIGHTS, seg->weight_bytes, SNPU_BO_DEVICE);
	if (!err)
		err = region_need(s, c, SNPU_REGION_CONST, seg->const_bytes, SNPU_BO_DEVICE);
	if (!err)
		err = region_need(s, c, SNPU_REGION_STATE, seg->state_bytes, SNPU_BO_DEVICE);
	if (!err)
		err = region_need(s, c, SNPU_REGION_SCRATCH, seg->scratch_bytes, SNPU_BO_DEVICE);
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
		for (int v = 0; v < 2; v++) {
			free(c->variant[v].import_at);
			free(c->variant[v].export_at);
		}
	}
	for (unsigned t = 0; t < s->n_targets && s->lanes; t++)
		lane_close(&s->lanes[t]);
	free(s->contexts);
	s->contexts = NULL;
}

/* Emits the program for chunks of `samples` behind what is in `prog`. */
static int variant_emit(struct snpu_session *s, struct snpu_context *c, struct snpu_variant *v, uint64_t samples, uint64_t steps,
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
		err = snpu_emit_segment(&s->low, &s->plan, seg, samples, steps, &prog);
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

int snpu_context_prepare(struct snpu_session *s, struct snpu_context *c, uint64_t chunk, uint64_t last, uint64_t steps)
{
	struct snpu_prog all = { 0 };
	uint64_t in = 0, out = 0;
	int err;

	if (c->variant[0].samples == chunk && c->variant[1].samples == last && c->steps == steps)
		return 0;
	c->steps = 0;
	err = variant_emit(s, c, &c->variant[0], chunk, steps, &all, &in, &out);
	if (!err)
		err = variant_emit(s, c, &c->variant[1], last, steps, &all, &in, &out);
	if (!err)
		err = region_need(s, c, SNPU_REGION_PROGRAM, all.size, 0);
	if (!err)
		err = region_need(s, c, SNPU_REGION_INPUT, in, 0);
	if (!err)
		err = region_need(s, c, SNPU_REGION_OUTPUT, out, 0);
	if (!err)
		err = region_need(s, c, SNPU_REGION_PROFILE, (c->s->n_slots + 1ull) * SNPU_COUNTER_COUNT * sizeof(uint64_t), 0);
	if (!err) {
		memcpy(c->region[SNPU_REGION_PROGRAM].map, all.data, all.size);
		c->steps = steps;
	}
	free(all.data);
	return err;
}

static int wait_fence(struct snpu_session *s, struct snpu_fence *fence)
{
	for (;;) {
		int err = snpu_fence_wait(fence, WAIT_NS);

		if (err != -ETIMEDOUT)
			return err;
		if (atomic_load(&s->cancel))
			return -EINTR;
	}
}

static void tell_why(struct snpu_queue *queue, const char *name, char *why, size_t size)
{
	struct snpu_queue_status st = { .sz = sizeof(st) };

	if (snpu_queue_status(queue, &st) == 0 && st.text[0])
		snprintf(why, size, "%s: %s", name, st.text);
	else
		snprintf(why, size, "%s: %s", name, snpu_last_error());
}

int snpu_context_run(struct snpu_session *s, struct snpu_context *c, const struct snpu_variant *v, char *why, size_t why_size)
{
	struct snpu_lane *lane = &s->lanes[c->s->target];
	struct snpu_job_region regions[SNPU_REGION_COUNT];
	struct snpu_job job = { .sz = sizeof(job), .regions = regions, .entry = v->entry, .profile_slots = c->s->n_slots + 1 };
	struct snpu_fence *fence = NULL;
	int err;

	memset(c->region[SNPU_REGION_PROFILE].map, 0, c->region[SNPU_REGION_PROFILE].size);
	for (unsigned r = 0; r < SNPU_REGION_COUNT; r++)
		if (c->region[r].size)
			regions[job.n_regions++] = (struct snpu_job_region){ .index = r, .va = c->region[r].va, .size = c->region[r].size };
	err = snpu_submit(lane->queue, &job, &fence);
	if (!err)
		err = wait_fence(s, fence);
	if (err == -EINTR) {
		/* Freeing the queue stops the job. The next run makes a new one. */
		snpu_fence_free(fence);
		snpu_contexts_free(s);
		return snpu_fail(-ECANCELED, "the run was cancelled");
	}
	if (err)
		tell_why(lane->queue, s->targets[c->s->target].info.name, why, why_size);
	snpu_fence_free(fence);
	return err == -ECANCELED ? -EIO : err;
}
