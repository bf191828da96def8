// SPDX-License-Identifier: GPL-2.0-only
/*
 * SUBMIT, in three phases. Collect: copy everything from user space, look everything up, allocate
 * everything. Arm: the jobs get their numbers. Push: sync objects get their fences and the
 * scheduler the jobs. Only the first phase can fail, so a call that fails has changed nothing.
 *
 * The jobs of one call go into one queue, which runs them in order. So a wait for what an earlier
 * job of the call signals is met by that order, and needs no dependency (which could not be added
 * at that point without allocating).
 */
#include <drm/drm_drv.h>
#include <drm/drm_syncobj.h>
#include <linux/dma-fence-chain.h>
#include <linux/slab.h>

#include "snpu_device.h"
#include "snpu_drv.h"
#include "snpu_job.h"
#include "snpu_queue.h"
#include "snpu_trace.h"

/**
 * struct snpu_submit_signal - A sync object that a job will signal.
 */
struct snpu_submit_signal {
	/** @syncobj: With a reference. */
	struct drm_syncobj *syncobj;
	/** @chain: What the new point needs; NULL: binary. */
	struct dma_fence_chain *chain;
	/** @point: On the timeline. */
	u64 point;
};

/**
 * struct snpu_submit_job - A job that was not handed to the scheduler yet.
 */
struct snpu_submit_job {
	/** @job: NULL when it was. */
	struct snpu_job *job;
	/** @signals: What it will signal. */
	struct snpu_submit_signal *signals;
	/** @n_signals: Number of @signals. */
	u32 n_signals;
};

/**
 * struct snpu_submit - One call of SUBMIT.
 */
struct snpu_submit {
	/** @file: Of the caller. */
	struct drm_file *file;
	/** @queue: In use by this call. */
	struct snpu_queue *queue;
	/** @jobs: Its jobs, in order. */
	struct snpu_submit_job *jobs;
	/** @n: Number of @jobs. */
	u32 n;
};

/* --- collect: regions ------------------------------------------------------------------------- */

static int snpu_submit_region(struct snpu_job_desc *desc, const struct drm_snpu_region *r)
{
	struct snpu_region_binding *slot;

	if (r->index >= SNPU_REGION_COUNT || r->pad || !r->size || !IS_ALIGNED(r->va, 64))
		return -EINVAL;
	if (r->va > SNPU_VA_END || r->size > SNPU_VA_END - r->va)
		return -EINVAL;
	slot = &desc->region[array_index_nospec(r->index, SNPU_REGION_COUNT)];
	if (slot->size)
		return -EINVAL;
	slot->va = r->va;
	slot->size = r->size;
	return 0;
}

static int snpu_submit_desc(struct snpu_job_desc *desc, const struct drm_snpu_job *arg)
{
	struct drm_snpu_region region;
	int err;
	u32 i;

	if (arg->flags || arg->pad || !IS_ALIGNED(arg->entry, 8))
		return -EINVAL;
	err = snpu_array_check(&arg->regions, offsetofend(struct drm_snpu_region, size),
			       SNPU_REGION_COUNT);
	for (i = 0; i < arg->regions.count && !err; i++) {
		err = snpu_array_get(&arg->regions, i, &region, sizeof(region));
		if (!err)
			err = snpu_submit_region(desc, &region);
	}
	if (err)
		return err;
	if (arg->entry >= desc->region[SNPU_REGION_PROGRAM].size)
		return -EINVAL;
	desc->entry = arg->entry;
	desc->profile_slots = arg->profile_slots;
	return 0;
}

/* --- collect: sync objects -------------------------------------------------------------------- */

static int snpu_submit_sync_check(const struct drm_snpu_sync *sync)
{
	const u32 type = sync->flags & DRM_SNPU_SYNC_TYPE_MASK;

	if (sync->flags & ~(DRM_SNPU_SYNC_TYPE_MASK | DRM_SNPU_SYNC_SIGNAL))
		return -EINVAL;
	if (type == DRM_SNPU_SYNC_SYNCOBJ)
		return sync->point ? -EINVAL : 0;
	if (type != DRM_SNPU_SYNC_TIMELINE)
		return -EINVAL;
	return sync->flags & DRM_SNPU_SYNC_SIGNAL && !sync->point ? -EINVAL : 0;
}

/* True when a job before @k signals what is waited for. */
static bool snpu_submit_signalled_before(const struct snpu_submit *s, u32 k,
					 const struct drm_syncobj *syncobj,
					 const struct drm_snpu_sync *sync)
{
	bool timeline = (sync->flags & DRM_SNPU_SYNC_TYPE_MASK) == DRM_SNPU_SYNC_TIMELINE;
	u32 j, i;

	for (j = 0; j < k; j++) {
		for (i = 0; i < s->jobs[j].n_signals; i++) {
			const struct snpu_submit_signal *signal = &s->jobs[j].signals[i];

			if (signal->syncobj == syncobj && !!signal->chain == timeline &&
			    signal->point >= sync->point)
				return true;
		}
	}
	return false;
}

/*
 * A binary sync object holds one fence, so an earlier job of the call replaces what it holds now. A
 * timeline keeps its points: what it has already comes first.
 */
static int snpu_submit_wait(struct snpu_submit *s, u32 k, const struct drm_snpu_sync *sync)
{
	bool timeline = (sync->flags & DRM_SNPU_SYNC_TYPE_MASK) == DRM_SNPU_SYNC_TIMELINE;
	struct drm_syncobj *syncobj = drm_syncobj_find(s->file, sync->handle);
	struct dma_fence *fence;
	bool before;
	int err;

	if (!syncobj)
		return -ENOENT;
	before = snpu_submit_signalled_before(s, k, syncobj, sync);
	drm_syncobj_put(syncobj);
	if (before && !timeline)
		return 0;
	err = drm_syncobj_find_fence(s->file, sync->handle, sync->point, 0, &fence);
	if (err)
		return before && err == -EINVAL ? 0 : err;
	return drm_sched_job_add_dependency(&s->jobs[k].job->base, fence);
}

static int snpu_submit_signal(struct snpu_submit *s, u32 k, const struct drm_snpu_sync *sync)
{
	struct snpu_submit_signal *signal = &s->jobs[k].signals[s->jobs[k].n_signals];
	struct drm_syncobj *syncobj = drm_syncobj_find(s->file, sync->handle);

	if (!syncobj)
		return -ENOENT;
	signal->syncobj = syncobj;
	s->jobs[k].n_signals++;
	if ((sync->flags & DRM_SNPU_SYNC_TYPE_MASK) != DRM_SNPU_SYNC_TIMELINE)
		return 0;
	signal->point = sync->point;
	signal->chain = dma_fence_chain_alloc();
	return signal->chain ? 0 : -ENOMEM;
}

static int snpu_submit_syncs(struct snpu_submit *s, u32 k, const struct drm_snpu_obj_array *array)
{
	struct drm_snpu_sync sync;
	int err;
	u32 i;

	err = snpu_array_check(array, offsetofend(struct drm_snpu_sync, point),
			       DRM_SNPU_SUBMIT_MAX_SYNCS);
	if (err || !array->count)
		return err;
	s->jobs[k].signals = kcalloc(array->count, sizeof(*s->jobs[k].signals), GFP_KERNEL);
	if (!s->jobs[k].signals)
		return -ENOMEM;
	for (i = 0; i < array->count && !err; i++) {
		err = snpu_array_get(array, i, &sync, sizeof(sync));
		if (!err)
			err = snpu_submit_sync_check(&sync);
		if (err)
			break;
		if (sync.flags & DRM_SNPU_SYNC_SIGNAL)
			err = snpu_submit_signal(s, k, &sync);
		else
			err = snpu_submit_wait(s, k, &sync);
	}
	return err;
}

/* --- collect: jobs ---------------------------------------------------------------------------- */

static int snpu_submit_collect_job(struct snpu_submit *s, u32 k,
				   const struct drm_snpu_obj_array *array)
{
	struct drm_snpu_job arg;
	struct snpu_job *job;
	int err;

	err = snpu_array_get(array, k, &arg, sizeof(arg));
	if (err)
		return err;
	job = snpu_job_create(s->queue, s->file->client_id);
	if (IS_ERR(job))
		return PTR_ERR(job);
	s->jobs[k].job = job;
	err = snpu_submit_desc(&job->desc, &arg);
	return err ?: snpu_submit_syncs(s, k, &arg.syncs);
}

static int snpu_submit_collect(struct snpu_submit *s, const struct drm_snpu_obj_array *array)
{
	int err = 0;
	u32 k;

	s->jobs = kcalloc(array->count, sizeof(*s->jobs), GFP_KERNEL);
	if (!s->jobs)
		return -ENOMEM;
	s->n = array->count;
	for (k = 0; k < s->n && !err; k++)
		err = snpu_submit_collect_job(s, k, array);
	return err;
}

/* Frees what the later phases did not hand on. */
static void snpu_submit_cleanup(struct snpu_submit *s)
{
	u32 k, i;

	for (k = 0; k < s->n; k++) {
		struct snpu_submit_job *j = &s->jobs[k];

		for (i = 0; i < j->n_signals; i++) {
			dma_fence_chain_free(j->signals[i].chain);
			drm_syncobj_put(j->signals[i].syncobj);
		}
		kfree(j->signals);
		if (j->job)
			snpu_job_destroy(j->job);
	}
	kfree(s->jobs);
}

/* --- arm and push: nothing can fail after this point ------------------------------------------ */

static void snpu_submit_push_job(struct snpu_submit_job *j)
{
	struct dma_fence *finished = &j->job->base.s_fence->finished;
	u32 i;

	for (i = 0; i < j->n_signals; i++) {
		struct snpu_submit_signal *signal = &j->signals[i];

		if (signal->chain)
			drm_syncobj_add_point(signal->syncobj, signal->chain, finished,
					      signal->point);
		else
			drm_syncobj_replace_fence(signal->syncobj, finished);
		signal->chain = NULL;
	}
	drm_sched_entity_push_job(&j->job->base);
	j->job = NULL;
}

/*
 * In one piece, as the order of numbers is the order of running. The lock is held for reading: no
 * reset cuts in.
 */
static int snpu_submit_commit(struct snpu_submit *s)
{
	struct snpu_queue *queue = s->queue;
	int err;
	u32 k;

	err = down_read_killable(&queue->snpu->reset.sem);
	if (err)
		return err;
	mutex_lock(&queue->submit_lock);
	err = snpu_queue_error(queue);
	if (!err) {
		for (k = 0; k < s->n; k++) {
			snpu_job_arm(s->jobs[k].job);
			trace_snpu_submit(queue);
		}
		spin_lock_irq(&queue->lock);
		queue->submitted += s->n;
		spin_unlock_irq(&queue->lock);
		for (k = 0; k < s->n; k++)
			snpu_submit_push_job(&s->jobs[k]);
	}
	mutex_unlock(&queue->submit_lock);
	up_read(&queue->snpu->reset.sem);
	return err;
}

static int snpu_submit_jobs(struct snpu_submit *s, const struct drm_snpu_obj_array *array)
{
	int err;

	err = snpu_submit_collect(s, array);
	if (!err)
		err = snpu_submit_commit(s);
	snpu_submit_cleanup(s);
	return err;
}

int snpu_ioctl_submit(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_snpu_submit *args = data;
	struct snpu_submit s = { .file = file };
	int idx, err;

	if (args->flags || !args->jobs.count)
		return -EINVAL;
	err = snpu_array_check(&args->jobs, offsetofend(struct drm_snpu_job, pad),
			       DRM_SNPU_SUBMIT_MAX_JOBS);
	if (err)
		return err;
	if (!snpu_device_enter(to_snpu(drm), &idx))
		return -ENODEV;
	err = -ENOENT;
	s.queue = snpu_file_queue(to_snpu_file(file), args->queue_id);
	if (s.queue && s.queue->user) {
		err = -EINVAL;
	} else if (s.queue && snpu_queue_use(s.queue)) {
		err = snpu_submit_jobs(&s, &args->jobs);
		snpu_queue_unuse(s.queue);
	}
	snpu_device_exit(to_snpu(drm), idx);
	if (s.queue)
		snpu_queue_put(s.queue);
	return err;
}
