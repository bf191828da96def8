// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues. Each has one firmware queue and one DRM scheduler that feeds it; the scheduler only
 * resolves dependencies and is never stopped. A queue that cannot go on is marked (stop_error,
 * guilty): what is in the ring is signalled once the card is known to be through with it, and what
 * the scheduler still holds is cancelled when its turn comes. So every fence signals, whatever
 * happens to the queue, its file or the card.
 *
 * Nothing here allocates once a queue exists, because fences wait for it.
 */
#include <drm/drm_drv.h>
#include <drm/drm_print.h>
#include <linux/eventfd.h>
#include <linux/slab.h>

#include "snpu_coredump.h"
#include "snpu_device.h"
#include "snpu_fence.h"
#include "snpu_fw.h"
#include "snpu_job.h"
#include "snpu_queue.h"
#include "snpu_slot.h"
#include "snpu_trace.h"
#include "snpu_uqueue.h"
#include "snpu_vm.h"

static void snpu_queue_free(struct kref *refs)
{
	kfree(container_of(refs, struct snpu_queue, refs));
}

struct snpu_queue *snpu_queue_get(struct snpu_queue *queue)
{
	kref_get(&queue->refs);
	return queue;
}

/* Any context. */
void snpu_queue_put(struct snpu_queue *queue)
{
	kref_put(&queue->refs, snpu_queue_free);
}

/* The queue in a hardware slot, with a reference, or NULL. */
struct snpu_queue *snpu_queue_at(struct snpu_device *snpu, u32 slot)
{
	struct snpu_queue *queue;
	unsigned long flags;

	if (slot >= SNPU_QUEUES)
		return NULL;
	spin_lock_irqsave(&snpu->queues_lock, flags);
	queue = snpu->queues[slot];
	if (queue)
		snpu_queue_get(queue);
	spin_unlock_irqrestore(&snpu->queues_lock, flags);
	return queue;
}

/* False when the queue is being torn down. */
bool snpu_queue_use(struct snpu_queue *queue)
{
	return refcount_inc_not_zero(&queue->users);
}

void snpu_queue_unuse(struct snpu_queue *queue)
{
	if (refcount_dec_and_test(&queue->users))
		queue_work(snpu_wq, &queue->teardown_work);
}

/* --- the ring --------------------------------------------------------------------------------- */

/* The oldest job in the ring, or NULL. */
struct snpu_fence *snpu_queue_pop(struct snpu_queue *queue)
{
	struct snpu_fence *fence;
	u32 slot;

	lockdep_assert_held(&queue->lock);

	if (queue->retired == queue->pushed)
		return NULL;
	slot = (queue->retired - queue->base) % SNPU_RING_SLOTS;
	fence = queue->ring[slot];
	queue->ring[slot] = NULL;
	queue->retired++;
	atomic_dec(&queue->snpu->watchdog.pending);
	return fence;
}

/* The first to stop a queue says why. */
static void snpu_queue_stop_locked(struct snpu_queue *queue, u32 flag, int error)
{
	lockdep_assert_held(&queue->lock);

	if (queue->stop_error)
		return;
	queue->stop_error = error;
	queue->flags |= flag;
	atomic_set(&queue->guilty, 1);
	snpu_uqueue_event(queue);
}

void snpu_queue_stop(struct snpu_queue *queue, u32 flag, int error)
{
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	snpu_queue_stop_locked(queue, flag, error);
	spin_unlock_irqrestore(&queue->lock, flags);
}

/*
 * The card is through with the ring of a stopped queue: its first job takes the blame, those behind
 * it are cancelled.
 */
void snpu_queue_cancel(struct snpu_queue *queue)
{
	struct snpu_fence *fence;
	unsigned long flags;
	int error;

	spin_lock_irqsave(&queue->lock, flags);
	error = queue->stop_error;
	while ((fence = snpu_queue_pop(queue))) {
		trace_snpu_done(queue, fence->base.seqno, error, NULL);
		snpu_fence_signal(fence, error);
		error = -ECANCELED;
	}
	spin_unlock_irqrestore(&queue->lock, flags);
}

void snpu_queue_ring_doorbell(struct snpu_queue *queue, u32 tail)
{
	struct snpu_device *snpu = queue->snpu;

	wmb();	/* the descriptor before the index */
	trace_snpu_doorbell(queue, tail);
	writel(tail, &snpu_queue_ctx(snpu, queue->slot)->tail);
	wmb();	/* the index before the doorbell */
	writel(tail, snpu->doorbells + queue->slot * SNPU_DOORBELL_STRIDE + SNPU_DB_TAIL);
}

/*
 * Fences of a queue signal in order, so they do it under its lock, and a job that comes too late
 * lines up behind those that the card still holds; @error is for one that has none before it.
 */
static void snpu_queue_put_job(struct snpu_queue *queue, struct snpu_job_desc *desc,
			       struct snpu_fence *fence, int error)
{
	struct snpu_device *snpu = queue->snpu;
	u32 slot;

	lockdep_assert_held(&queue->lock);

	if (!queue->stop_error && !queue->loaded && !queue->frozen)
		snpu_queue_stop_locked(queue, DRM_SNPU_QUEUE_LOST, -EIO);
	dma_fence_get(&fence->base);
	slot = (queue->pushed - queue->base) % SNPU_RING_SLOTS;
	if ((queue->stop_error && queue->retired == queue->pushed) ||
	    drm_WARN_ON_ONCE(&snpu->drm, queue->ring[slot])) {
		trace_snpu_done(queue, fence->base.seqno, error, NULL);
		snpu_fence_signal(fence, error);
		return;
	}
	queue->pushed++;
	queue->ring[slot] = fence;
	atomic_inc(&snpu->watchdog.pending);
	desc->seqno = queue->pushed - queue->base;
	fence->desc = desc;
	snpu_coredump_event(snpu, SNPU_DUMP_EVENT_PUSH, queue->slot, queue->pushed);
	if (queue->stop_error || !queue->loaded)
		return;
	memcpy_toio(snpu->ctl + SNPU_CTL_JOB(queue->slot, slot), desc, sizeof(*desc));
	/*
	 * The doorbell belongs to whoever owns the slot, so it is rung under the lock that says who
	 * that is.
	 */
	snpu_queue_ring_doorbell(queue, desc->seqno);
}

/*
 * Hands a job to the card; @fence signals when it is over, which is at once when the queue has
 * stopped. Waits for a reset to end, so that a job comes before it or after it.
 */
void snpu_queue_push(struct snpu_queue *queue, struct snpu_job_desc *desc, struct snpu_fence *fence)
{
	struct snpu_device *snpu = queue->snpu;
	unsigned long flags;
	bool there;
	int idx;

	there = drm_dev_enter(&snpu->drm, &idx);
	down_read(&snpu->reset.sem);
	spin_lock_irqsave(&queue->lock, flags);
	if (!there)
		snpu_queue_stop_locked(queue, DRM_SNPU_QUEUE_LOST, -ENODEV);
	snpu_queue_put_job(queue, desc, fence, there ? -ECANCELED : -ENODEV);
	spin_unlock_irqrestore(&queue->lock, flags);
	up_read(&snpu->reset.sem);
	if (there) {
		snpu_watchdog_arm(snpu);
		drm_dev_exit(idx);
	}
}

/* --- use of the engine ------------------------------------------------------------------------ */

/* @usage: since the queue was loaded. What it has more than was seen goes into the sums. */
static void snpu_queue_account(struct snpu_queue *queue, const struct snpu_usage *usage)
{
	struct snpu_usage *seen = &queue->seen;

	lockdep_assert_held(&queue->lock);

	if (usage->busy_ns > seen->busy_ns) {
		queue->busy_ns += usage->busy_ns - seen->busy_ns;
		seen->busy_ns = usage->busy_ns;
	}
	if (usage->cycles > seen->cycles) {
		queue->cycles += usage->cycles - seen->cycles;
		seen->cycles = usage->cycles;
	}
}

/* Time with that of a job that is running or was preempted, cycles of stretches that are over. */
void snpu_queue_refresh_locked(struct snpu_queue *queue)
{
	const struct snpu_usage usage = {
		.busy_ns = snpu_counters_queue_busy(queue->snpu, queue->slot),
		.cycles = readq(&snpu_queue_ctx(queue->snpu, queue->slot)->
				counter[SNPU_COUNTER_CYCLES]),
	};

	if (usage.busy_ns != ~0ull && usage.cycles != ~0ull)	/* the card is not gone */
		snpu_queue_account(queue, &usage);
}

/* Brings its sums up to date. The caller is inside drm_dev_enter(). */
void snpu_queue_refresh(struct snpu_queue *queue)
{
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	if (queue->loaded)
		snpu_queue_refresh_locked(queue);
	spin_unlock_irqrestore(&queue->lock, flags);
}

/* Before the card is reset: what it says about its queues means nothing afterwards. */
void snpu_queues_refresh(struct snpu_device *snpu)
{
	u32 slot;

	for (slot = 0; slot < SNPU_QUEUES; slot++) {
		struct snpu_queue *queue = snpu_queue_at(snpu, slot);

		if (!queue)
			continue;
		snpu_queue_refresh(queue);
		snpu_queue_put(queue);
	}
}

/* --- events, in the interrupt handler --------------------------------------------------------- */

/* False: the event is about nothing that is on the card. */
bool snpu_queue_job_done(struct snpu_device *snpu, const struct snpu_fw_event_JOB_DONE *ev)
{
	struct snpu_queue *queue = snpu_queue_at(snpu, ev->queue);
	struct snpu_fence *fence = NULL;
	unsigned long flags;
	bool cookie, known;

	if (!queue)
		return false;
	cookie = dma_fence_begin_signalling();
	spin_lock_irqsave(&queue->lock, flags);
	known = queue->user && queue->loaded;
	if (known) {
		snpu_uqueue_refresh(queue);
		snpu_uqueue_event(queue);
	} else if (ev->seqno == queue->retired + 1 - queue->base) {
		fence = snpu_queue_pop(queue);
	}
	if (fence) {
		snpu_coredump_event(snpu, SNPU_DUMP_EVENT_DONE, queue->slot, queue->retired);
		queue->completed++;
		queue->done.busy_ns += ev->busy_ns;
		queue->done.cycles += ev->cycles;
		snpu_queue_account(queue, &queue->done);
		atomic64_inc(&snpu->jobs_done);
		trace_snpu_done(queue, fence->base.seqno, 0, ev);
		snpu_fence_signal(fence, 0);
	}
	spin_unlock_irqrestore(&queue->lock, flags);
	dma_fence_end_signalling(cookie);
	snpu_queue_put(queue);
	return known || fence;
}

/* The card stopped the queue; @seqno 0: no job is to blame. */
void snpu_queue_fault_locked(struct snpu_queue *queue, u32 code, u64 seqno)
{
	lockdep_assert_held(&queue->lock);

	memcpy_fromio(&queue->fault, &snpu_queue_ctx(queue->snpu, queue->slot)->fault,
		      sizeof(queue->fault));
	queue->fault.code = code;
	queue->fault.seqno = seqno ? seqno + queue->base : 0;
	trace_snpu_fault(queue);
	snpu_coredump_event(queue->snpu, SNPU_DUMP_EVENT_FAULT, queue->slot, queue->fault.seqno);
	snpu_queue_stop_locked(queue, DRM_SNPU_QUEUE_FAULTED, -EFAULT);
}

/* It stays in its slot until it is destroyed, but the card touches nothing of it. */
bool snpu_queue_job_fault(struct snpu_device *snpu, const struct snpu_fw_event_JOB_FAULT *ev)
{
	struct snpu_queue *queue = snpu_queue_at(snpu, ev->queue);
	unsigned long flags;
	bool cookie, stopped;

	if (!queue)
		return false;
	cookie = dma_fence_begin_signalling();
	spin_lock_irqsave(&queue->lock, flags);
	stopped = queue->stop_error;
	if (!stopped) {
		snpu_queue_refresh_locked(queue);
		if (!queue->user)
			atomic64_inc(&snpu->jobs_done);
		snpu_queue_fault_locked(queue, ev->code, ev->seqno);
		snpu_uqueue_refresh(queue);
	}
	spin_unlock_irqrestore(&queue->lock, flags);
	if (!stopped)
		snpu_queue_cancel(queue);
	dma_fence_end_signalling(cookie);
	if (!stopped)
		snpu_coredump_fault(queue);
	drm_dbg(&snpu->drm, "%s: fault %u in job %llu\n", queue->name, ev->code, ev->seqno);
	snpu_queue_put(queue);
	return true;
}

/* --- life ------------------------------------------------------------------------------------- */

static void snpu_queue_retire_work(struct work_struct *work)
{
	struct snpu_queue *queue = container_of(work, struct snpu_queue, retire_work);

	snpu_slot_unload(queue);
	snpu_queue_unuse(queue);
}

static void snpu_queue_teardown_work(struct work_struct *work)
{
	struct snpu_queue *queue = container_of(work, struct snpu_queue, teardown_work);
	struct snpu_device *snpu = queue->snpu;

	if (!queue->user) {
		drm_sched_entity_fini(&queue->entity);
		drm_sched_fini(&queue->sched);
	}
	if (queue->doorbell)
		drm_gem_object_put(&queue->doorbell->base);
	if (queue->eventfd)
		eventfd_ctx_put(queue->eventfd);
	snpu_vm_put(queue->vm);
	mutex_destroy(&queue->submit_lock);
	mutex_destroy(&queue->hw_lock);
	snpu_queue_put(queue);
	atomic_dec(&snpu->objects.n_queues);
	drm_dev_put(&snpu->drm);
}

static int snpu_queue_sched_init(struct snpu_queue *queue)
{
	const struct drm_sched_init_args args = {
		.ops = &snpu_job_ops,
		.submit_wq = queue->snpu->sched_wq,
		.num_rqs = 1,
		.credit_limit = SNPU_RING_SLOTS,
		.timeout = MAX_SCHEDULE_TIMEOUT,
		.name = queue->name,
		.dev = queue->snpu->drm.dev,
	};
	struct drm_gpu_scheduler *sched = &queue->sched;
	int err;

	err = drm_sched_init(sched, &args);
	if (err)
		return err;
	err = drm_sched_entity_init(&queue->entity, DRM_SCHED_PRIORITY_KERNEL, &sched, 1,
				    &queue->guilty);
	if (err)
		drm_sched_fini(sched);
	return err;
}

static int snpu_queue_user_init(struct snpu_queue *queue,
				const struct drm_snpu_queue_create *args)
{
	struct snpu_doorbell *doorbell = snpu_doorbell_create(queue);

	if (IS_ERR(doorbell))
		return PTR_ERR(doorbell);
	queue->doorbell = doorbell;
	queue->slots = args->ring_slots;
	queue->ring_va = args->ring_va;
	queue->status_va = args->status_va;
	return 0;
}

static struct snpu_queue *snpu_queue_alloc(struct snpu_device *snpu, struct snpu_vm *vm,
					   const struct drm_snpu_queue_create *args)
{
	struct snpu_queue *queue = kzalloc(sizeof(*queue), GFP_KERNEL_ACCOUNT);
	int err;

	if (!queue)
		return ERR_PTR(-ENOMEM);
	kref_init(&queue->refs);
	refcount_set(&queue->users, 1);
	queue->snpu = snpu;
	queue->priority = args->priority;
	queue->hang_ms = args->hang_ms;
	queue->user = args->flags & DRM_SNPU_QUEUE_USER;
	queue->slots = SNPU_RING_SLOTS;
	queue->slot = -1;
	queue->fence_context = dma_fence_context_alloc(1);
	snprintf(queue->name, sizeof(queue->name), "snpu-queue-%llu", queue->fence_context);
	spin_lock_init(&queue->lock);
	spin_lock_init(&queue->fence_lock);
	mutex_init(&queue->hw_lock);
	mutex_init(&queue->submit_lock);
	init_completion(&queue->unloaded);
	init_waitqueue_head(&queue->wait);
	INIT_LIST_HEAD(&queue->waiters);
	INIT_WORK(&queue->release_work, snpu_slot_release_work);
	INIT_WORK(&queue->zap_work, snpu_slot_zap_work);
	INIT_WORK(&queue->retire_work, snpu_queue_retire_work);
	INIT_WORK(&queue->teardown_work, snpu_queue_teardown_work);

	err = queue->user ? snpu_queue_user_init(queue, args) : snpu_queue_sched_init(queue);
	if (err) {
		snpu_queue_put(queue);
		return ERR_PTR(err);
	}
	drm_dev_get(&snpu->drm);
	queue->vm = snpu_vm_get(vm);
	atomic_inc(&snpu->objects.n_queues);
	return queue;
}

/* Takes a slot and loads the queue into it. SNPU_MBOX_RESET: a reset came in between. */
static int snpu_queue_try_start(struct snpu_queue *queue)
{
	struct snpu_device *snpu = queue->snpu;
	int err;

	err = snpu_pm_begin(snpu);
	if (err)
		return err;
	err = snpu_fw_error(snpu) ?: snpu_slot_take(queue);
	if (!err) {
		err = snpu_slot_load(queue, 0);
		if (err)
			snpu_slot_give(queue);
	}
	snpu_pm_end(snpu);
	return err;
}

static int snpu_queue_start(struct snpu_queue *queue)
{
	struct snpu_device *snpu = queue->snpu;
	int err;

	for (;;) {
		reinit_completion(&queue->unloaded);
		err = snpu_queue_try_start(queue);
		if (err != SNPU_MBOX_RESET)
			break;
		wait_for_completion(&queue->unloaded);	/* its slot may be given away by a work */
	}
	switch (err) {
	case 0:
	case -EDQUOT:
	case -EINTR:
	case -EIO:
	case -ENODEV:
	case -ENOPKG:
	case -ENOSPC:
		return err;
	default:
		drm_err(&snpu->drm, "%s: the firmware refused it with error %d\n", queue->name,
			err);
		snpu_reset_schedule(snpu, "the firmware did not take a queue");
		return -EIO;
	}
}

/* The caller is inside snpu_device_enter(). The queue holds a reference on @vm. */
struct snpu_queue *snpu_queue_create(struct snpu_device *snpu, struct snpu_vm *vm,
				     const struct drm_snpu_queue_create *args)
{
	struct snpu_queue *queue = snpu_queue_alloc(snpu, vm, args);
	int err;

	if (IS_ERR(queue))
		return queue;
	snpu_vm_set_live(vm);
	err = snpu_queue_start(queue);
	if (err) {
		snpu_queue_unuse(queue);
		return ERR_PTR(err);
	}
	return queue;
}

/*
 * Drops the queue's number. Waits until the card holds nothing of it, unless the caller is being
 * killed; jobs that still wait for other fences are cancelled when these signal, and only then is
 * the memory freed.
 */
void snpu_queue_destroy(struct snpu_queue *queue)
{
	snpu_queue_stop(queue, 0, -ECANCELED);
	if (snpu_queue_use(queue)) {
		queue_work(snpu_wq, &queue->retire_work);
		wait_for_completion_killable(&queue->unloaded);
	}
	snpu_queue_unuse(queue);
}

/* The hardware slot that a process may ring now. */
bool snpu_queue_rings(struct snpu_queue *queue, u32 *slot)
{
	bool rings;

	spin_lock_irq(&queue->lock);
	rings = queue->loaded && !queue->stop_error;
	*slot = queue->slot;
	spin_unlock_irq(&queue->lock);
	return rings;
}

/* 0, or -ECANCELED when the queue takes no more jobs. */
int snpu_queue_error(struct snpu_queue *queue)
{
	return atomic_read(&queue->guilty) ? -ECANCELED : 0;
}

void snpu_queue_state(struct snpu_queue *queue, struct drm_snpu_queue_state *state)
{
	const struct snpu_fault *fault = &queue->fault;

	spin_lock_irq(&queue->lock);
	snpu_uqueue_refresh(queue);
	if (queue->loaded)
		snpu_queue_refresh_locked(queue);
	state->flags = queue->flags;
	state->submitted = queue->submitted;
	/* What a user queue finished counts the job that faulted. */
	state->completed = queue->completed - (queue->user && fault->seqno);
	state->busy_ns = queue->busy_ns;
	state->fault_code = fault->code;
	state->fault_job = fault->seqno;
	state->fault_va = fault->va;
	state->fault_pc = fault->pc;
	state->fault_packet = fault->packet;
	state->fault_operand = fault->operand;
	state->fault_access = fault->access;
	state->fault_loop[0] = fault->loop_index[0];
	state->fault_loop[1] = fault->loop_index[1];
	state->resets = queue->resets;
	spin_unlock_irq(&queue->lock);
}

static_assert((u32)SNPU_DUMP_QUEUE_FAULTED == DRM_SNPU_QUEUE_FAULTED);
static_assert((u32)SNPU_DUMP_QUEUE_TIMEDOUT == DRM_SNPU_QUEUE_TIMEDOUT);
static_assert((u32)SNPU_DUMP_QUEUE_LOST == DRM_SNPU_QUEUE_LOST);

/* Both are zero. Any context, inside drm_dev_enter(). */
void snpu_queue_dump(struct snpu_queue *queue, struct snpu_dump_queue *q, struct snpu_dump_job *j)
{
	unsigned long irqs;
	u64 job;

	spin_lock_irqsave(&queue->lock, irqs);
	q->queue = queue->slot;
	q->flags = queue->flags;
	q->priority = queue->priority;
	q->resets = queue->resets;
	q->stop_error = queue->stop_error;
	q->base = queue->base;
	q->submitted = queue->submitted;
	q->pushed = queue->pushed;
	q->retired = queue->retired;
	q->completed = queue->completed;
	q->busy_ns = queue->busy_ns;
	q->cycles = queue->cycles;
	q->fault = queue->fault;
	strscpy(q->name, queue->name);
	job = queue->fault.code ? queue->fault.seqno : queue->retired + 1;
	j->queue = queue->slot;
	j->slot = (job - 1 - queue->base) % SNPU_RING_SLOTS;
	if (job > queue->base && job <= queue->pushed && queue->slot >= 0)
		memcpy_fromio(&j->desc, queue->snpu->ctl + SNPU_CTL_JOB(queue->slot, j->slot),
			      sizeof(j->desc));
	spin_unlock_irqrestore(&queue->lock, irqs);
}
