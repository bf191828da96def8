/* SPDX-License-Identifier: MIT */
/*
 * Queues, jobs and fences of a card. A fence is a binary syncobj; how the job ended is the error of the fence in it, which
 * a sync file tells.
 */
#include <linux/sync_file.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <xf86drm.h>

#include "backend/card/card.h"

/* A ring where card and machine allow it, and nobody needs fences that others wait for. */
static int create(struct card_queue *q, struct drm_snpu_queue_create *arg, uint32_t flags)
{
	const struct drm_snpu_queue_create plain = *arg;
	int err = flags & SNPU_QUEUE_FENCES ? -EOPNOTSUPP : card_ring_create(q, arg);

	if (err != -EOPNOTSUPP)
		return err;
	*arg = plain;
	return card_ioctl(q->fd, DRM_IOCTL_SNPU_QUEUE_CREATE, arg);
}

int card_queue_create(struct snpu_vm *vm, const struct snpu_queue_opts *opts, struct snpu_queue **out)
{
	uint32_t priority = opts->priority;
	struct drm_snpu_queue_create arg = { .vm_id = ((struct card_vm *)vm)->id,
					     .priority = DRM_SNPU_PRIORITY_LOW + (priority - SNPU_PRIORITY_LOW) };
	struct card_queue *q = calloc(1, sizeof(*q));
	int err;

	if (!q)
		return snpu_fail(-ENOMEM, "queue: no memory");
	q->fd = ((struct card_vm *)vm)->fd;
	q->vm = (struct card_vm *)vm;
	err = create(q, &arg, opts->flags);
	if (err) {
		free(q);
		return err == -EACCES ? snpu_fail(err, "queue: priority %u needs CAP_SYS_NICE; use NORMAL or LOW", priority) :
					card_fail_queue(((struct card_vm *)vm)->fd, err);
	}
	q->id = arg.queue_id;
	pthread_mutex_init(&q->lock, NULL);
	*out = &q->base;
	return 0;
}

static int state(struct card_queue *q, struct drm_snpu_queue_state *st)
{
	int err = 0;

	pthread_mutex_lock(&q->lock);
	if (q->stopped) {
		*st = q->last;
	} else {
		*st = (struct drm_snpu_queue_state){ .queue_id = q->id };
		if (q->ring.map)
			card_ring_settle(q);
		err = card_ioctl(q->fd, DRM_IOCTL_SNPU_QUEUE_STATE, st);
	}
	pthread_mutex_unlock(&q->lock);
	return err;
}

void card_queue_stop(struct snpu_queue *base)
{
	struct card_queue *q = (struct card_queue *)base;
	struct drm_snpu_queue_destroy arg = { .queue_id = q->id };
	struct drm_snpu_queue_state last = { 0 };

	if (state(q, &last))
		last.flags |= DRM_SNPU_QUEUE_LOST;
	pthread_mutex_lock(&q->lock);
	q->last = last;
	q->stopped = true;
	pthread_mutex_unlock(&q->lock);
	if (card_ioctl(q->fd, DRM_IOCTL_SNPU_QUEUE_DESTROY, &arg))
		return;		/* the card is gone, and nothing can touch the jobs' memory */
}

void card_queue_destroy(struct snpu_queue *base)
{
	struct card_queue *q = (struct card_queue *)base;

	if (q->ring.map)
		card_ring_destroy(q);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

int card_queue_status(struct snpu_queue *base, struct snpu_queue_status *out)
{
	struct drm_snpu_queue_state st;
	int err = state((struct card_queue *)base, &st);

	if (err)
		return card_fail(err, "a queue's state cannot be read");
	out->flags = (st.flags & DRM_SNPU_QUEUE_FAULTED ? SNPU_QUEUE_STOPPED_FAULT : 0) |
		     (st.flags & DRM_SNPU_QUEUE_TIMEDOUT ? SNPU_QUEUE_STOPPED_TIMEOUT : 0) |
		     (st.flags & DRM_SNPU_QUEUE_LOST ? SNPU_QUEUE_STOPPED_LOST : 0);
	out->completed = st.completed;
	out->fault_code = st.fault_code;
	out->fault_job = st.fault_job;
	out->fault_va = st.fault_va;
	out->fault_pc = st.fault_pc;
	out->fault_packet = st.fault_packet;
	out->fault_operand = st.fault_operand;
	out->fault_access = st.fault_access;
	memcpy(out->fault_loop, st.fault_loop, sizeof(out->fault_loop));
	out->busy_ns = st.busy_ns;
	return 0;
}

/* --- jobs ---------------------------------------------------------------------------------------------------- */

static int new_fence(struct card_queue *q, struct card_fence **out)
{
	struct card_fence *f = calloc(1, sizeof(*f));
	int err = 0;

	if (!f)
		return snpu_fail(-ENOMEM, "job: no memory for its fence");
	f->fd = q->fd;
	if (q->ring.map)
		f->queue = q;
	else
		err = drmSyncobjCreate(q->fd, 0, &f->syncobj) ? -errno : 0;
	if (err) {
		free(f);
		return card_fail(err, "a fence cannot be created");
	}
	atomic_init(&f->base.refs, 1);
	*out = f;
	return 0;
}

static void fill_arrays(const struct snpu_job *job, const struct card_fence *fence, struct drm_snpu_region *region,
			struct drm_snpu_sync *sync)
{
	for (uint32_t i = 0; i < job->n_regions; i++)
		region[i] = (struct drm_snpu_region){ .index = job->regions[i].index, .va = job->regions[i].va,
						      .size = job->regions[i].size };
	/* A fence of the queue itself has a syncobj, too: only rings have none, and they need none. */
	for (uint32_t i = 0; i < job->n_waits; i++)
		sync[i] = (struct drm_snpu_sync){ .flags = DRM_SNPU_SYNC_SYNCOBJ,
						  .handle = ((struct card_fence *)job->waits[i])->syncobj };
	if (fence)
		sync[job->n_waits] = (struct drm_snpu_sync){ .flags = DRM_SNPU_SYNC_SYNCOBJ | DRM_SNPU_SYNC_SIGNAL,
							     .handle = fence->syncobj };
}

static const char *const stopped = "job: its queue has stopped; ask snpu_queue_status why, and create another queue";

/* Waits are for earlier jobs of the queue, so its order meets them. */
static int submit_to_ring(struct card_queue *q, const struct snpu_job *job, struct card_fence *fence, struct snpu_fence **out)
{
	uint64_t seqno;
	int err = card_ring_submit(q, job, &seqno);

	if (fence) {
		fence->seqno = seqno;
		if (err)
			card_fence_destroy(&fence->base);
		else
			*out = &fence->base;
	}
	return !err ? 0 : err == -ECANCELED ? snpu_fail(err, "%s", stopped) : card_fail(err, "a job cannot be submitted");
}

int card_submit(struct snpu_queue *base, const struct snpu_job *job, struct snpu_fence **out)
{
	struct card_queue *q = (struct card_queue *)base;
	struct drm_snpu_region region[SNPU_REGION_COUNT];
	struct drm_snpu_sync sync[SNPU_JOB_WAITS + 1];
	struct drm_snpu_job j = { .entry = job->entry, .profile_slots = job->profile_slots };
	struct drm_snpu_submit arg = { .queue_id = q->id, .jobs = { .stride = sizeof(j), .count = 1, .array = (uintptr_t)&j } };
	struct card_fence *fence = NULL;
	int err = out ? new_fence(q, &fence) : 0;

	if (err)
		return err;
	if (q->ring.map)
		return submit_to_ring(q, job, fence, out);
	fill_arrays(job, fence, region, sync);
	j.regions = (struct drm_snpu_obj_array){ sizeof(*region), job->n_regions, (uintptr_t)region };
	j.syncs.count = job->n_waits + (fence != NULL);
	if (j.syncs.count) {
		j.syncs.stride = sizeof(*sync);
		j.syncs.array = (uintptr_t)sync;
	}
	err = card_ioctl(q->fd, DRM_IOCTL_SNPU_SUBMIT, &arg);
	if (!err && fence)
		*out = &fence->base;
	if (err && fence)
		card_fence_destroy(&fence->base);
	return !err ? 0 : err == -ECANCELED ? snpu_fail(err, "%s", stopped) :
	       card_fail(err, "a job cannot be submitted");
}

/* --- fences -------------------------------------------------------------------------------------------------- */

/* How the job of a signalled fence ended. */
static int fence_result(const struct card_fence *f, int *status)
{
	struct sync_file_info info = { 0 };
	int fd, err = 0;

	if (drmSyncobjExportSyncFile(f->fd, f->syncobj, &fd))
		return -errno;
	if (drmIoctl(fd, SYNC_IOC_FILE_INFO, &info))
		err = -errno;
	close(fd);
	*status = info.status < 0 ? info.status : 0;
	return err;
}

static int wait_ring(struct card_fence *f, int64_t deadline_ns, int *status)
{
	struct drm_snpu_queue_state st = { 0 };
	int err = card_ring_wait(f->queue, f->seqno, deadline_ns);

	if (err == -ETIME)
		return -ETIMEDOUT;
	if (err && err != -ECANCELED && err != -ENODEV && err != -ENOENT)	/* ENOENT: destroyed meanwhile */
		return card_fail(err, "a fence cannot be waited for");
	if (err)
		(void)!state(f->queue, &st);
	*status = card_ring_result(f->queue, &st, f->seqno);
	if (err == -ENODEV && *status)
		*status = -ENODEV;
	return 0;
}

int card_fence_wait(struct snpu_fence *base, int64_t deadline_ns, int *status)
{
	struct card_fence *f = (struct card_fence *)base;

	if (f->queue)
		return wait_ring(f, deadline_ns, status);

	int err = drmSyncobjWait(f->fd, &f->syncobj, 1, deadline_ns, 0, NULL);

	if (err == -ETIME)
		return -ETIMEDOUT;
	if (!err)
		err = fence_result(f, status);
	if (err == -ENODEV) {		/* the file answers nothing any more, but the job is surely over */
		*status = -ENODEV;
		return 0;
	}
	return err ? card_fail(err, "a fence cannot be waited for") : 0;
}

void card_fence_destroy(struct snpu_fence *base)
{
	struct card_fence *f = (struct card_fence *)base;

	if (f->syncobj)
		drmSyncobjDestroy(f->fd, f->syncobj);
	free(f);
}
