/* SPDX-License-Identifier: MIT */
/*
 * What a run holds on a device: an address space, one queue, and the buffers behind a program's regions. Shared
 * by networks (session.h) and language models (lm/run.h). A lane belongs to one thread at a time.
 */
#ifndef SNPU_SCHED_LANE_H
#define SNPU_SCHED_LANE_H

#include <stdatomic.h>

#include "backend/backend.h"
#include "lower/plan.h"

/* One region of a program on its device. */
struct snpu_region_mem {
	struct snpu_bo *bo;
	void *map;				/* NULL: memory that the caller has anyway */
	uint64_t va, size;			/* bytes; size as the job binds it */
	uint64_t capacity;			/* of bo */
};

struct snpu_lane {
	struct snpu_vm *vm;
	struct snpu_queue *queue;
	uint64_t next_va;
};

int snpu_lane_open(struct snpu_target *t, struct snpu_lane *lane) SNPU_MUST_CHECK;
void snpu_lane_close(struct snpu_lane *lane);

/* Memory of at least `size` bytes for a region; what is there stays when it is large enough. flags: SNPU_BO_*. */
int snpu_region_need(struct snpu_target *t, struct snpu_lane *lane, struct snpu_region_mem *r, uint64_t size, uint32_t flags) SNPU_MUST_CHECK;
/* Memory of this process, read-only, without a copy. CPU devices only. */
int snpu_region_wrap(struct snpu_target *t, struct snpu_lane *lane, struct snpu_region_mem *r, const void *mem, uint64_t size) SNPU_MUST_CHECK;
/*
 * Gives back a region of a lane that lives on: no job can reach it any more. The memory is given back also on errors; then its
 * addresses are lost until the lane is closed, which who needs none of them may ignore.
 */
int snpu_region_drop(struct snpu_lane *lane, struct snpu_region_mem *r);
/* The same when the lane is closed, or never had it. */
void snpu_region_free(struct snpu_region_mem *r);

/*
 * Runs a program on these regions and waits for it. -ECANCELED when `cancel` became set: the job may still run until the queue is
 * freed. Any other error is the device's, and *why what its queue says.
 */
int snpu_lane_run(struct snpu_target *t, struct snpu_lane *lane, const struct snpu_region_mem region[SNPU_REGION_COUNT], uint32_t entry,
		  uint32_t profile_slots, const atomic_int *cancel, char *why, size_t why_size) SNPU_MUST_CHECK;

#endif
