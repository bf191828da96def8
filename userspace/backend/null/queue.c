/* SPDX-License-Identifier: MIT */
/*
 * Queues, jobs and fences of the template backend: a job is finished as soon as it is submitted. queue->lock, held by the
 * device level around submit, guards `completed`.
 */
#include <stdlib.h>

#include "backend/null/null.h"

struct null_queue {
	struct snpu_queue base;
	_Atomic uint64_t completed;
};

int null_queue_create(struct snpu_vm *vm, const struct snpu_queue_opts *opts, struct snpu_queue **out)
{
	struct null_queue *q = calloc(1, sizeof(*q));

	if (!q)
		return snpu_fail(-ENOMEM, "queue: no memory");
	*out = &q->base;
	return 0;
}

void null_queue_stop(struct snpu_queue *queue)
{
	/* Nothing runs, so nothing has to be stopped. */
}

void null_queue_destroy(struct snpu_queue *queue)
{
	free(queue);
}

int null_queue_status(struct snpu_queue *queue, struct snpu_queue_status *status)
{
	status->completed = ((struct null_queue *)queue)->completed;
	return 0;
}

int null_submit(struct snpu_queue *queue, const struct snpu_job *job, struct snpu_fence **out)
{
	struct snpu_fence *fence;

	if (out) {
		fence = calloc(1, sizeof(*fence));
		if (!fence)
			return snpu_fail(-ENOMEM, "job: no memory for its fence");
		atomic_init(&fence->refs, 1);
		*out = fence;
	}
	((struct null_queue *)queue)->completed++;
	return 0;
}

int null_fence_wait(struct snpu_fence *fence, int64_t deadline_ns, int *status)
{
	*status = 0;
	return 0;
}

void null_fence_destroy(struct snpu_fence *fence)
{
	free(fence);
}
