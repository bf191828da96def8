// SPDX-License-Identifier: GPL-2.0-only
/*
 * User queues: their jobs go from the process to the card and back without this driver. What is
 * left is to wait for them, by ioctl or eventfd, and to know what they did. Both come from the
 * queue's context on the card, which the firmware writes, never from the process's memory.
 *
 * An event of a job comes only when the context's `notify` asks for it. Who waits writes it, then
 * looks at `seqno_done` once more; the firmware writes and looks the other way round, so one of the
 * two sees the other.
 */
#include <drm/drm_drv.h>
#include <linux/eventfd.h>
#include <linux/ktime.h>
#include <linux/log2.h>

#include "snpu_device.h"
#include "snpu_drv.h"
#include "snpu_queue.h"
#include "snpu_uqueue.h"

/**
 * struct snpu_uqueue_waiter - A caller of QUEUE_WAIT, on its stack.
 */
struct snpu_uqueue_waiter {
	/** @link: In &snpu_queue.waiters. Protected by &snpu_queue.lock. */
	struct list_head link;
	/** @seqno: The job it waits for. */
	u64 seqno;
};

/* 0: card or firmware have no user queues. */
u32 snpu_uqueue_slots(struct snpu_device *snpu)
{
	bool has = SNPU_GET(snpu->hw_version, HW_VERSION, MINOR) >= 2 &&
		   snpu_fw_has(snpu, SNPU_FW_USER);

	return has ? SNPU_USER_SLOTS : 0;
}

static bool snpu_uqueue_range_ok(u64 va, u64 size)
{
	return IS_ALIGNED(va, 64) && va >= SNPU_VA_START && va < SNPU_VA_END &&
	       size <= SNPU_VA_END - va;
}

/* What QUEUE_CREATE may say about the ring. */
int snpu_uqueue_check(struct snpu_device *snpu, const struct drm_snpu_queue_create *args)
{
	if (!(args->flags & DRM_SNPU_QUEUE_USER))
		return args->ring_va || args->status_va || args->ring_slots ? -EINVAL : 0;
	if (!snpu_uqueue_slots(snpu))
		return -EOPNOTSUPP;
	if (args->ring_slots < 2 || args->ring_slots > SNPU_USER_SLOTS ||
	    !is_power_of_2(args->ring_slots))
		return -EINVAL;
	if (!snpu_uqueue_range_ok(args->ring_va, args->ring_slots * sizeof(struct snpu_job_desc)) ||
	    !snpu_uqueue_range_ok(args->status_va, sizeof(struct snpu_user_status)))
		return -EINVAL;
	return 0;
}

/* --- what they did ---------------------------------------------------------------------------- */

/*
 * Takes over what the card says about a user queue that is on it: jobs put in and finished. What
 * they took of the engine is snpu_queue_refresh()'s, as of all queues.
 */
void snpu_uqueue_refresh(struct snpu_queue *queue)
{
	struct snpu_device *snpu = queue->snpu;
	struct snpu_queue_ctx __iomem *ctx;
	u64 done, fault;

	lockdep_assert_held(&queue->lock);

	if (!queue->user || !queue->loaded)
		return;
	ctx = snpu_queue_ctx(snpu, queue->slot);
	done = readq(&ctx->seqno_done);
	rmb();	/* a job that faulted has its record before its number */
	fault = readl(&ctx->fault.code) ? readq(&ctx->fault.seqno) : 0;
	/* It ends with the event that says so, not before: then the queue's state tells of it. */
	if (fault && !queue->stop_error)
		done = min(done, fault - 1);
	/* A card that is gone says all ones. */
	if (done == U64_MAX || done < queue->completed)
		return;
	atomic64_add(done - queue->completed, &snpu->jobs_done);
	queue->completed = done;
	queue->submitted = done + (u32)(readl(&ctx->tail) - (u32)done);
}

/* True: a user queue has jobs that have not finished. @jobs: how many have, of all of them. */
bool snpu_uqueue_work(struct snpu_device *snpu, u64 *jobs)
{
	bool work = false;
	u64 sum = 0;
	u32 slot;

	for (slot = 0; slot < SNPU_QUEUES; slot++) {
		struct snpu_queue *queue = snpu_queue_at(snpu, slot);

		if (!queue)
			continue;
		spin_lock_irq(&queue->lock);
		if (queue->user) {
			snpu_uqueue_refresh(queue);
			work |= queue->loaded && !queue->stop_error &&
				queue->submitted != queue->completed;
			sum += queue->completed;
		}
		spin_unlock_irq(&queue->lock);
		snpu_queue_put(queue);
	}
	if (jobs)
		*jobs = sum;
	return work;
}

/* --- being told ------------------------------------------------------------------------------- */

static void snpu_uqueue_set_notify(struct snpu_queue *queue)
{
	struct snpu_uqueue_waiter *w;
	u64 notify = queue->eventfd ? 0 : U64_MAX;

	lockdep_assert_held(&queue->lock);

	if (!queue->loaded)
		return;
	list_for_each_entry(w, &queue->waiters, link)
		notify = min(notify, w->seqno);
	writeq(notify, &snpu_queue_ctx(queue->snpu, queue->slot)->notify);
	mb();	/* before looking at what is done */
}

/* The card has the queue, new or again. */
void snpu_uqueue_loaded(struct snpu_queue *queue)
{
	lockdep_assert_held(&queue->lock);

	if (!queue->user)
		return;
	snpu_uqueue_set_notify(queue);
	wake_up_all(&queue->wait);	/* they look themselves */
}

/* Jobs finished, or the queue stopped. Any context. */
void snpu_uqueue_event(struct snpu_queue *queue)
{
	lockdep_assert_held(&queue->lock);

	if (!queue->user)
		return;
	if (queue->eventfd)
		eventfd_signal(queue->eventfd);
	wake_up_all(&queue->wait);
}

/* True when there is no more to wait for; looks at the card itself. */
static bool snpu_uqueue_over(struct snpu_queue *queue, u64 seqno)
{
	bool over;
	int idx;

	if (!drm_dev_enter(&queue->snpu->drm, &idx))
		return true;
	spin_lock_irq(&queue->lock);
	snpu_uqueue_refresh(queue);
	over = queue->completed >= seqno || queue->stop_error;
	spin_unlock_irq(&queue->lock);
	drm_dev_exit(idx);
	return over;
}

static int snpu_uqueue_wait(struct snpu_queue *queue, struct drm_snpu_queue_wait *args)
{
	ktime_t left = ktime_sub(ns_to_ktime(args->timeout_ns), ktime_get());
	struct snpu_uqueue_waiter w = { .seqno = args->seqno };
	int err = 0;

	if (!snpu_uqueue_over(queue, args->seqno)) {
		if (left <= 0)
			return -ETIME;
		spin_lock_irq(&queue->lock);
		list_add(&w.link, &queue->waiters);
		snpu_uqueue_set_notify(queue);
		spin_unlock_irq(&queue->lock);
		err = wait_event_interruptible_hrtimeout(queue->wait,
							 snpu_uqueue_over(queue, w.seqno), left);
		spin_lock_irq(&queue->lock);
		list_del(&w.link);
		snpu_uqueue_set_notify(queue);
		spin_unlock_irq(&queue->lock);
	}
	return err;
}

static int snpu_uqueue_get(struct drm_file *file, u32 id, struct snpu_queue **queue)
{
	*queue = snpu_file_queue(to_snpu_file(file), id);
	if (!*queue)
		return -ENOENT;
	if ((*queue)->user)
		return 0;
	snpu_queue_put(*queue);
	return -EINVAL;
}

int snpu_ioctl_queue_wait(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_snpu_queue_wait *args = data;
	struct snpu_queue *queue;
	int err;

	if (args->flags)
		return -EINVAL;
	err = snpu_uqueue_get(file, args->queue_id, &queue);
	if (err)
		return err;
	err = snpu_uqueue_wait(queue, args);
	spin_lock_irq(&queue->lock);
	args->completed = queue->completed;
	if (queue->completed >= args->seqno)
		err = 0;
	else if (!err)
		err = drm_dev_is_unplugged(drm) ? -ENODEV : -ECANCELED;
	spin_unlock_irq(&queue->lock);
	snpu_queue_put(queue);
	return err;
}

int snpu_ioctl_queue_eventfd(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_snpu_queue_eventfd *args = data;
	struct eventfd_ctx *eventfd = NULL;
	struct snpu_queue *queue;
	int idx, err;

	if (args->flags || args->pad || args->fd < -1)
		return -EINVAL;
	err = snpu_uqueue_get(file, args->queue_id, &queue);
	if (err)
		return err;
	if (args->fd >= 0)
		eventfd = eventfd_ctx_fdget(args->fd);
	if (IS_ERR(eventfd)) {
		err = PTR_ERR(eventfd);
	} else if (!drm_dev_enter(drm, &idx)) {
		err = -ENODEV;
	} else {
		spin_lock_irq(&queue->lock);
		swap(queue->eventfd, eventfd);
		snpu_uqueue_set_notify(queue);
		spin_unlock_irq(&queue->lock);
		drm_dev_exit(idx);
	}
	if (!IS_ERR_OR_NULL(eventfd))
		eventfd_ctx_put(eventfd);
	snpu_queue_put(queue);
	return err;
}
