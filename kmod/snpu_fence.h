/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fence of a job on the card, which the scheduler turns into the job's finished fence.
 */
#ifndef SNPU_FENCE_H
#define SNPU_FENCE_H

#include <linux/dma-fence.h>

struct snpu_job_desc;
struct snpu_queue;

/**
 * struct snpu_fence - Signals when the card is through with a job.
 */
struct snpu_fence {
	/** @base: Unused until snpu_fence_init(). */
	struct dma_fence base;
	/** @queue: Kept in memory: the scheduler's fences name it for as long as they live. */
	struct snpu_queue *queue;
	/** @desc: Of the job, which is there until the fence signalled. Queue's lock. */
	const struct snpu_job_desc *desc;
};

struct snpu_fence *snpu_fence_alloc(struct snpu_queue *queue);
void snpu_fence_init(struct snpu_fence *fence, u64 seqno);
void snpu_fence_free(struct snpu_fence *fence);
void snpu_fence_signal(struct snpu_fence *fence, int error);
int snpu_fence_alive(void);

#endif
