// SPDX-License-Identifier: GPL-2.0-only
/*
 * Jobs and the scheduler's callbacks. Everything a job needs is allocated by SUBMIT; run_job()
 * copies 256 bytes into the ring and rings a doorbell. There is no timeout here: the watchdog looks
 * at what the card really runs.
 */
#include <linux/slab.h>

#include "snpu_device.h"
#include "snpu_fence.h"
#include "snpu_job.h"
#include "snpu_queue.h"

/* The caller uses the queue, and is inside snpu_device_enter(). */
struct snpu_job *snpu_job_create(struct snpu_queue *queue, u64 client_id)
{
	struct snpu_job *job = kzalloc(sizeof(*job), GFP_KERNEL_ACCOUNT);
	int err = -ENOMEM;

	if (!job)
		return ERR_PTR(-ENOMEM);
	job->fence = snpu_fence_alloc(queue);
	if (!job->fence)
		goto err_free_job;
	err = drm_sched_job_init(&job->base, &queue->entity, 1, queue, client_id);
	if (err)
		goto err_free_fence;
	refcount_inc(&queue->users);
	job->queue = queue;
	snpu_pm_get(queue->snpu);
	atomic_inc(&queue->snpu->objects.n_jobs);
	return job;

err_free_fence:
	snpu_fence_free(job->fence);
err_free_job:
	kfree(job);
	return ERR_PTR(err);
}

void snpu_job_destroy(struct snpu_job *job)
{
	struct snpu_queue *queue = job->queue;

	drm_sched_job_cleanup(&job->base);
	if (job->armed)
		dma_fence_put(&job->fence->base);
	else
		snpu_fence_free(job->fence);
	kfree(job);
	atomic_dec(&queue->snpu->objects.n_jobs);
	snpu_pm_put(queue->snpu);
	snpu_queue_unuse(queue);
}

/* Gives the job its number. From here on it has to be pushed. */
void snpu_job_arm(struct snpu_job *job)
{
	struct snpu_queue *queue = job->queue;

	lockdep_assert_held(&queue->submit_lock);

	snpu_fence_init(job->fence, ++queue->seqno);
	job->armed = true;
	drm_sched_job_arm(&job->base);
}

static struct snpu_job *to_snpu_job(struct drm_sched_job *job)
{
	return container_of(job, struct snpu_job, base);
}

/*
 * Returns the fence also when the queue has stopped: it is what keeps the names in the finished
 * fence.
 */
static struct dma_fence *snpu_job_run(struct drm_sched_job *sched_job)
{
	struct snpu_job *job = to_snpu_job(sched_job);
	bool cookie = dma_fence_begin_signalling();

	snpu_queue_push(job->queue, &job->desc, job->fence);
	dma_fence_end_signalling(cookie);
	return dma_fence_get(&job->fence->base);
}

static void snpu_job_free(struct drm_sched_job *sched_job)
{
	snpu_job_destroy(to_snpu_job(sched_job));
}

/* Never called, as there is no timeout; the scheduler just wants one. */
static enum drm_gpu_sched_stat snpu_job_timedout(struct drm_sched_job *sched_job)
{
	return DRM_GPU_SCHED_STAT_ENODEV;
}

const struct drm_sched_backend_ops snpu_job_ops = {
	.run_job = snpu_job_run,
	.timedout_job = snpu_job_timedout,
	.free_job = snpu_job_free,
};
