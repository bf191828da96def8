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
#include <linux/slab.h>

#include "snpu_device.h"
#include "snpu_fence.h"
#include "snpu_job.h"
#include "snpu_queue.h"
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
static struct snpu_fence *snpu_queue_pop(struct snpu_queue *queue)
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
}

static void snpu_queue_stop(struct snpu_queue *queue, u32 flag, int error)
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
static void snpu_queue_cancel(struct snpu_queue *queue)
{
	struct snpu_fence *fence;
	unsigned long flags;
	int error;

	spin_lock_irqsave(&queue->lock, flags);
	error = queue->stop_error;
	while ((fence = snpu_queue_pop(queue))) {
		snpu_fence_signal(fence, error);
		error = -ECANCELED;
	}
	spin_unlock_irqrestore(&queue->lock, flags);
}

static void snpu_queue_ring_doorbell(struct snpu_queue *queue, u32 tail)
{
	struct snpu_device *snpu = queue->snpu;

	wmb();	/* the descriptor before the index */
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

	if (!queue->stop_error && !queue->loaded)
		snpu_queue_stop_locked(queue, DRM_SNPU_QUEUE_LOST, -EIO);
	dma_fence_get(&fence->base);
	slot = (queue->pushed - queue->base) % SNPU_RING_SLOTS;
	if ((queue->stop_error && queue->retired == queue->pushed) ||
	    drm_WARN_ON_ONCE(&snpu->drm, queue->ring[slot])) {
		snpu_fence_signal(fence, error);
		return;
	}
	queue->pushed++;
	queue->ring[slot] = fence;
	atomic_inc(&snpu->watchdog.pending);
	if (queue->stop_error)
		return;
	desc->seqno = queue->pushed - queue->base;
	memcpy_toio(snpu->ctl + SNPU_CTL_JOB(queue->slot, slot), desc, sizeof(*desc));
	/*
	 * The doorbell belongs to whoever owns the slot, so it is rung under the lock that says who
	 * that is.
	 */
	snpu_queue_ring_doorbell(queue, desc->seqno);
}

/*
 * Hands a job to the card; @fence signals when it is over, which is at once when the queue has
 * stopped. Waits for a reset to end: a queue that has nothing on the card survives it, and its job
 * must not come in between, as it does when it depended on one that the reset ended.
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

/* --- events, in the interrupt handler --------------------------------------------------------- */

static void snpu_queue_account(struct snpu_queue *queue, u64 busy_ns, u64 cycles)
{
	queue->busy_ns += busy_ns;
	queue->cycles += cycles;
	atomic64_add(busy_ns, &queue->snpu->busy_ns);
	atomic64_inc(&queue->snpu->jobs_done);
}

/* False: the event is about nothing that is on the card. */
bool snpu_queue_job_done(struct snpu_device *snpu, const struct snpu_fw_event_JOB_DONE *ev)
{
	struct snpu_queue *queue = snpu_queue_at(snpu, ev->queue);
	struct snpu_fence *fence = NULL;
	unsigned long flags;
	bool cookie;

	if (!queue)
		return false;
	cookie = dma_fence_begin_signalling();
	spin_lock_irqsave(&queue->lock, flags);
	if (ev->seqno == queue->retired + 1 - queue->base)
		fence = snpu_queue_pop(queue);
	if (fence) {
		queue->completed++;
		snpu_queue_account(queue, ev->busy_ns, ev->cycles);
		snpu_fence_signal(fence, 0);
	}
	spin_unlock_irqrestore(&queue->lock, flags);
	dma_fence_end_signalling(cookie);
	snpu_queue_put(queue);
	return fence;
}

/*
 * The card stopped the queue. It stays in its slot until it is destroyed, but the card touches
 * nothing of it.
 */
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
		memcpy_fromio(&queue->fault, &snpu_queue_ctx(snpu, ev->queue)->fault,
			      sizeof(queue->fault));
		queue->fault.code = ev->code;
		queue->fault.seqno = ev->seqno ? ev->seqno + queue->base : 0;
		snpu_queue_account(queue, ev->busy_ns, 0);
		snpu_queue_stop_locked(queue, DRM_SNPU_QUEUE_FAULTED, -EFAULT);
	}
	spin_unlock_irqrestore(&queue->lock, flags);
	if (!stopped)
		snpu_queue_cancel(queue);
	dma_fence_end_signalling(cookie);
	drm_dbg(&snpu->drm, "%s: fault %u in job %llu\n", queue->name, ev->code, ev->seqno);
	snpu_queue_put(queue);
	return true;
}

/* --- on and off the card ---------------------------------------------------------------------- */

static int snpu_queue_slot_take(struct snpu_queue *queue)
{
	struct snpu_device *snpu = queue->snpu;
	u32 slot;

	spin_lock_irq(&snpu->queues_lock);
	for (slot = 0; slot < snpu->num_queues; slot++)
		if (!snpu->queues[slot])
			break;
	if (slot < snpu->num_queues) {
		refcount_inc(&queue->users);
		snpu->queues[slot] = queue;
		queue->slot = slot;
	}
	spin_unlock_irq(&snpu->queues_lock);
	return slot < snpu->num_queues ? 0 : -ENOSPC;
}

static void snpu_queue_slot_release(struct snpu_queue *queue)
{
	struct snpu_device *snpu = queue->snpu;

	spin_lock_irq(&snpu->queues_lock);
	snpu->queues[queue->slot] = NULL;
	spin_unlock_irq(&snpu->queues_lock);
	queue->slot = -1;
	complete_all(&queue->unloaded);
	snpu_queue_unuse(queue);
}

/* Tells the firmware about the queue. The caller holds reset.sem and is inside drm_dev_enter(). */
int snpu_queue_load(struct snpu_queue *queue)
{
	struct snpu_fw_cmd_QUEUE_CREATE cmd = {
		.head.op = SNPU_FW_OP_QUEUE_CREATE,
		.pt_root = snpu_vm_root(queue->vm),
		.queue = queue->slot,
		.priority = queue->priority,
		.asid = snpu_vm_asid(queue->vm),
		.slots = SNPU_RING_SLOTS,
	};
	int err;

	lockdep_assert_held(&queue->snpu->reset.sem);

	err = snpu_mbox_call(queue->snpu, &cmd.head, sizeof(cmd), NULL);
	if (err)
		return err;
	spin_lock_irq(&queue->lock);
	queue->base = queue->pushed;
	queue->loaded = true;
	spin_unlock_irq(&queue->lock);
	return 0;
}

/* The firmware lets go of the queue; 0: the card holds nothing of it any more. */
static int snpu_queue_unload_locked(struct snpu_queue *queue)
{
	struct snpu_fw_cmd_QUEUE_DESTROY cmd = { .head.op = SNPU_FW_OP_QUEUE_DESTROY };
	int idx, err;

	lockdep_assert_held(&queue->hw_lock);

	if (queue->slot < 0)
		return 0;
	spin_lock_irq(&queue->lock);
	queue->loaded = false;
	spin_unlock_irq(&queue->lock);
	if (!drm_dev_enter(&queue->snpu->drm, &idx))
		return -ENODEV;
	cmd.queue = queue->slot;
	err = snpu_mbox_call(queue->snpu, &cmd.head, sizeof(cmd), NULL);
	drm_dev_exit(idx);
	if (err)
		return err;
	snpu_queue_cancel(queue);
	snpu_queue_slot_release(queue);
	return 0;
}

/*
 * When the firmware does not let go, the card is reset, which ends the queue; after an unplug
 * remove() ends it.
 */
static void snpu_queue_unload(struct snpu_queue *queue)
{
	struct snpu_device *snpu = queue->snpu;
	bool cookie = dma_fence_begin_signalling();
	int err;

	down_read(&snpu->reset.sem);
	mutex_lock(&queue->hw_lock);
	err = snpu_queue_unload_locked(queue);
	mutex_unlock(&queue->hw_lock);
	up_read(&snpu->reset.sem);
	dma_fence_end_signalling(cookie);
	if (err && err != -ENODEV && err != SNPU_MBOX_RESET)
		snpu_reset_schedule(snpu, "the firmware did not let go of a queue");
}

/* A job of the queue hangs. */
void snpu_queue_kill(struct snpu_queue *queue, u32 flag, int error)
{
	snpu_queue_stop(queue, flag, error);
	snpu_queue_unload(queue);
}

/* The card forgot the queue, or is gone. Whoever calls made sure that nothing of it runs. */
void snpu_queue_lost(struct snpu_queue *queue, int error)
{
	lockdep_assert_held_write(&queue->snpu->reset.sem);

	snpu_queue_stop(queue, DRM_SNPU_QUEUE_LOST, error);
	spin_lock_irq(&queue->lock);
	queue->loaded = false;
	spin_unlock_irq(&queue->lock);
	snpu_queue_cancel(queue);
	if (queue->slot >= 0)
		snpu_queue_slot_release(queue);
}

/*
 * Before a reset: true when the queue has nothing on the card, so that it can be loaded again
 * afterwards.
 */
bool snpu_queue_survives(struct snpu_queue *queue)
{
	bool survives;

	spin_lock_irq(&queue->lock);
	survives = queue->loaded && !queue->stop_error && queue->retired == queue->pushed;
	queue->loaded = false;
	spin_unlock_irq(&queue->lock);
	return survives;
}

/* --- life ------------------------------------------------------------------------------------- */

static void snpu_queue_retire_work(struct work_struct *work)
{
	struct snpu_queue *queue = container_of(work, struct snpu_queue, retire_work);

	snpu_queue_unload(queue);
	snpu_queue_unuse(queue);
}

static void snpu_queue_teardown_work(struct work_struct *work)
{
	struct snpu_queue *queue = container_of(work, struct snpu_queue, teardown_work);
	struct snpu_device *snpu = queue->snpu;

	drm_sched_entity_fini(&queue->entity);
	drm_sched_fini(&queue->sched);
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

static struct snpu_queue *snpu_queue_alloc(struct snpu_device *snpu, struct snpu_vm *vm,
					   u32 priority)
{
	struct snpu_queue *queue = kzalloc(sizeof(*queue), GFP_KERNEL_ACCOUNT);
	int err;

	if (!queue)
		return ERR_PTR(-ENOMEM);
	kref_init(&queue->refs);
	refcount_set(&queue->users, 1);
	queue->snpu = snpu;
	queue->priority = priority;
	queue->slot = -1;
	queue->fence_context = dma_fence_context_alloc(1);
	snprintf(queue->name, sizeof(queue->name), "snpu-queue-%llu", queue->fence_context);
	spin_lock_init(&queue->lock);
	spin_lock_init(&queue->fence_lock);
	mutex_init(&queue->hw_lock);
	mutex_init(&queue->submit_lock);
	init_completion(&queue->unloaded);
	INIT_WORK(&queue->retire_work, snpu_queue_retire_work);
	INIT_WORK(&queue->teardown_work, snpu_queue_teardown_work);

	err = snpu_queue_sched_init(queue);
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

	err = down_read_killable(&snpu->reset.sem);
	if (err)
		return err;
	err = snpu->reset.broken ? -EIO : snpu_queue_slot_take(queue);
	if (!err) {
		err = snpu_queue_load(queue);
		if (err)
			snpu_queue_slot_release(queue);
	}
	up_read(&snpu->reset.sem);
	return err;
}

static int snpu_queue_start(struct snpu_queue *queue)
{
	struct snpu_device *snpu = queue->snpu;
	int err;

	do {
		reinit_completion(&queue->unloaded);
		err = snpu_queue_try_start(queue);
	} while (err == SNPU_MBOX_RESET);
	switch (err) {
	case 0:
	case -EINTR:
	case -EIO:
	case -ENODEV:
	case -ENOSPC:
		return err;
	default:
		drm_err(&snpu->drm, "%s: the firmware refused it with error %d\n", queue->name,
			err);
		snpu_reset_schedule(snpu, "the firmware did not take a queue");
		return -EIO;
	}
}

/* The caller is inside drm_dev_enter(). The queue holds a reference on @vm. */
struct snpu_queue *snpu_queue_create(struct snpu_device *snpu, struct snpu_vm *vm, u32 priority)
{
	struct snpu_queue *queue = snpu_queue_alloc(snpu, vm, priority);
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

/* 0, or -ECANCELED when the queue takes no more jobs. */
int snpu_queue_error(struct snpu_queue *queue)
{
	return atomic_read(&queue->guilty) ? -ECANCELED : 0;
}

void snpu_queue_state(struct snpu_queue *queue, struct drm_snpu_queue_state *state)
{
	const struct snpu_fault *fault = &queue->fault;

	spin_lock_irq(&queue->lock);
	state->flags = queue->flags;
	state->submitted = queue->submitted;
	state->completed = queue->completed;
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
	spin_unlock_irq(&queue->lock);
}
