/* SPDX-License-Identifier: MIT */
/* One address space and one queue on a device; see lane.h. */
#include "sched/lane.h"

#include <stdio.h>
#include <string.h>

#define VA_ALIGN	(2ull << 20)		/* so that large buffers can use large pages */
#define WAIT_NS		100000000ll		/* how soon a cancelled run notices */

int snpu_lane_open(struct snpu_target *t, struct snpu_lane *lane)
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

void snpu_lane_close(struct snpu_lane *lane)
{
	snpu_queue_free(lane->queue);
	snpu_vm_free(lane->vm);
	*lane = (struct snpu_lane){ 0 };
}

/* Binds r->bo at the next free addresses. */
static int bind_next(struct snpu_target *t, struct snpu_lane *lane, struct snpu_region_mem *r, uint32_t access)
{
	uint64_t va = (lane->next_va + VA_ALIGN - 1) / VA_ALIGN * VA_ALIGN, size = snpu_bo_size(r->bo);
	int err;

	if (!snpu_range_ok(va, size, t->info.va_end))
		return snpu_fail(-ENOSPC, "the address space of %s is used up; create a new session", t->info.name);
	err = snpu_vm_bind(lane->vm, r->bo, 0, va, size, access);
	if (err)
		return err;
	r->va = va;
	r->capacity = size;
	lane->next_va = va + size;
	return 0;
}

int snpu_region_drop(struct snpu_lane *lane, struct snpu_region_mem *r)
{
	int err = r->capacity ? snpu_vm_unbind(lane->vm, r->va, r->capacity) : 0;

	if (!err && r->capacity && r->va + r->capacity == lane->next_va)
		lane->next_va = r->va;		/* the last one: its addresses can be had again */
	snpu_bo_free(r->bo);
	*r = (struct snpu_region_mem){ 0 };
	return err;
}

int snpu_region_need(struct snpu_target *t, struct snpu_lane *lane, struct snpu_region_mem *r, uint64_t size, uint32_t flags)
{
	int err = 0;

	r->size = size;
	if (!size || r->capacity >= size)
		return 0;
	if (r->bo)
		err = snpu_region_drop(lane, r);
	if (!err)
		err = snpu_bo_create(t->dev, size, flags, &r->bo);
	if (!err)
		err = snpu_bo_map(r->bo, &r->map);
	if (err)
		err = snpu_fail_in(err, "%llu KiB on %s", (unsigned long long)(size + 1023) / 1024, t->info.name);
	else
		err = bind_next(t, lane, r, SNPU_BIND_READ | SNPU_BIND_WRITE);
	if (err)
		snpu_region_free(r);
	else
		r->size = size;
	return err;
}

int snpu_region_wrap(struct snpu_target *t, struct snpu_lane *lane, struct snpu_region_mem *r, const void *mem, uint64_t size)
{
	int err = snpu_bo_wrap(t->dev, mem, size, &r->bo);

	r->size = size;
	if (!err)
		err = bind_next(t, lane, r, SNPU_BIND_READ);
	if (err)
		snpu_region_free(r);
	return err;
}

void snpu_region_free(struct snpu_region_mem *r)
{
	snpu_bo_free(r->bo);
	*r = (struct snpu_region_mem){ 0 };
}

static int wait_fence(struct snpu_fence *fence, const atomic_int *cancel)
{
	for (;;) {
		int err = snpu_fence_wait(fence, WAIT_NS);

		if (err != -ETIMEDOUT)
			return err;
		if (atomic_load(cancel))
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

int snpu_lane_run(struct snpu_target *t, struct snpu_lane *lane, const struct snpu_region_mem region[SNPU_REGION_COUNT], uint32_t entry,
		  uint32_t profile_slots, const atomic_int *cancel, char *why, size_t why_size)
{
	struct snpu_job_region regions[SNPU_REGION_COUNT];
	struct snpu_job job = { .sz = sizeof(job), .regions = regions, .entry = entry, .profile_slots = profile_slots };
	struct snpu_fence *fence = NULL;
	int err;

	for (unsigned r = 0; r < SNPU_REGION_COUNT; r++)
		if (region[r].size)
			regions[job.n_regions++] = (struct snpu_job_region){ .index = r, .va = region[r].va, .size = region[r].size };
	err = snpu_submit(lane->queue, &job, &fence);
	if (!err)
		err = wait_fence(fence, cancel);
	if (err && err != -EINTR)
		tell_why(lane->queue, t->info.name, why, why_size);
	snpu_fence_free(fence);
	if (err == -EINTR)
		return snpu_fail(-ECANCELED, "the run was cancelled");
	return err == -ECANCELED ? -EIO : err;
}
