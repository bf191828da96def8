// SPDX-License-Identifier: GPL-2.0-only
/*
 * A queue's place on the card: it takes a hardware slot, the firmware is told of it, and lets go of
 * it again; a reset takes it off one firmware and gives it to the next. Who loads or unloads holds
 * reset.sem; unloading is serialised by the queue's hw_lock. Fences wait for all of it, so nothing
 * allocates here. Jobs and their end are snpu_queue.c's.
 */
#include <drm/drm_drv.h>
#include <linux/dma-fence.h>

#include "snpu_device.h"
#include "snpu_doorbell.h"
#include "snpu_fence.h"
#include "snpu_fw.h"
#include "snpu_queue.h"
#include "snpu_slot.h"
#include "snpu_uqueue.h"
#include "snpu_vm.h"

/* --- on and off the card ---------------------------------------------------------------------- */

int snpu_slot_take(struct snpu_queue *queue)
{
	struct snpu_device *snpu = queue->snpu;
	u32 slot;
	int err;

	err = snpu_user_charge(queue->vm->user, SNPU_ITEM_QUEUE);
	if (err)
		return err;
	spin_lock_irq(&snpu->queues_lock);
	for (slot = 0; slot < snpu->num_queues; slot++)
		if (!snpu->queues[slot])
			break;
	if (slot < snpu->num_queues) {
		refcount_inc(&queue->users);
		queue->leaving = false;
		snpu->queues[slot] = queue;
		queue->slot = slot;
	}
	spin_unlock_irq(&snpu->queues_lock);
	if (slot < snpu->num_queues)
		return 0;
	snpu_user_uncharge(queue->vm->user, SNPU_ITEM_QUEUE);
	return -ENOSPC;
}

/* No process can ring it. */
void snpu_slot_give(struct snpu_queue *queue)
{
	struct snpu_device *snpu = queue->snpu;

	spin_lock_irq(&snpu->queues_lock);
	snpu->queues[queue->slot] = NULL;
	spin_unlock_irq(&snpu->queues_lock);
	queue->slot = -1;
	snpu_user_uncharge(queue->vm->user, SNPU_ITEM_QUEUE);
	complete_all(&queue->unloaded);
	snpu_queue_unuse(queue);
}

/* Not where fences wait: taking mappings away may wait for memory. */
void snpu_slot_release_work(struct work_struct *work)
{
	struct snpu_queue *queue = container_of(work, struct snpu_queue, release_work);

	snpu_doorbell_zap(queue->doorbell);
	snpu_slot_give(queue);
}

void snpu_slot_zap_work(struct work_struct *work)
{
	struct snpu_queue *queue = container_of(work, struct snpu_queue, zap_work);

	snpu_doorbell_zap(queue->doorbell);
	snpu_queue_unuse(queue);
}

/* The card holds nothing of it. A slot is free for others when no process can ring it any more. */
static void snpu_slot_release(struct snpu_queue *queue)
{
	queue->leaving = true;
	if (queue->doorbell)
		queue_work(snpu_wq, &queue->release_work);
	else
		snpu_slot_give(queue);
}

/*
 * Tells the firmware about the queue: a new one, or with SNPU_FW_QUEUE_KEEP one that goes on where
 * its context says it was. The caller holds reset.sem and is inside drm_dev_enter().
 */
int snpu_slot_load(struct snpu_queue *queue, u32 flags)
{
	struct snpu_fw_cmd_QUEUE_CREATE cmd = {
		.head.op = SNPU_FW_OP_QUEUE_CREATE,
		.pt_root = snpu_vm_root(queue->vm),
		.queue = queue->slot,
		.priority = queue->priority,
		.asid = snpu_vm_asid(queue->vm),
		.slots = queue->slots,
		.flags = flags | (queue->user ? SNPU_FW_QUEUE_USER : 0),
		.ring_va = queue->ring_va,
		.status_va = queue->status_va,
	};
	int err;

	lockdep_assert_held(&queue->snpu->reset.sem);

	err = snpu_mbox_call(queue->snpu, &cmd.head, sizeof(cmd), NULL);
	if (err)
		return err;
	spin_lock_irq(&queue->lock);
	if (!(flags & SNPU_FW_QUEUE_KEEP)) {
		queue->done = (struct snpu_usage){};
		queue->seen = (struct snpu_usage){};
		queue->base = queue->pushed;
	}
	queue->loaded = true;
	queue->frozen = false;
	snpu_uqueue_loaded(queue);
	spin_unlock_irq(&queue->lock);
	return 0;
}

/*
 * The firmware lets go of the queue; 0: the card holds nothing of it any more. @there: the caller
 * is inside snpu_device_enter().
 */
static int snpu_slot_unload_locked(struct snpu_queue *queue, bool there)
{
	struct snpu_fw_cmd_QUEUE_DESTROY cmd = { .head.op = SNPU_FW_OP_QUEUE_DESTROY };
	int err;

	lockdep_assert_held(&queue->hw_lock);

	if (queue->slot < 0 || queue->leaving)
		return 0;
	spin_lock_irq(&queue->lock);
	if (there && queue->loaded) {
		snpu_uqueue_refresh(queue);
		snpu_queue_refresh_locked(queue);
	}
	queue->loaded = false;
	spin_unlock_irq(&queue->lock);
	if (!there)
		return -ENODEV;
	cmd.queue = queue->slot;
	err = snpu_mbox_call(queue->snpu, &cmd.head, sizeof(cmd), NULL);
	if (err)
		return err;
	spin_lock_irq(&queue->lock);
	snpu_queue_refresh_locked(queue);	/* with what it was stopped in */
	spin_unlock_irq(&queue->lock);
	snpu_queue_cancel(queue);
	snpu_slot_release(queue);
	return 0;
}

/*
 * When the firmware does not let go, the card is reset, which ends the queue; after an unplug
 * remove() ends it, in a pause the end of that. A card that sleeps is woken outside of the part for
 * which fences wait: waking allocates, but as long as there are fences no card sleeps.
 */
void snpu_slot_unload(struct snpu_queue *queue)
{
	struct snpu_device *snpu = queue->snpu;
	bool cookie, there;
	int idx, err;

	there = snpu_device_enter(snpu, &idx);
	cookie = dma_fence_begin_signalling();
	down_read(&snpu->reset.sem);
	mutex_lock(&queue->hw_lock);
	err = snpu_slot_unload_locked(queue, there);
	mutex_unlock(&queue->hw_lock);
	up_read(&snpu->reset.sem);
	dma_fence_end_signalling(cookie);
	if (there)
		snpu_device_exit(snpu, idx);
	if (err && err != -ENODEV && err != SNPU_MBOX_RESET)
		snpu_reset_schedule(snpu, "the firmware did not let go of a queue");
}

/* A job of the queue hangs. */
void snpu_slot_kill(struct snpu_queue *queue, u32 flag, int error)
{
	snpu_queue_stop(queue, flag, error);
	snpu_slot_unload(queue);
}

/* The card forgot the queue, or is gone. Whoever calls made sure that nothing of it runs. */
void snpu_slot_lost(struct snpu_queue *queue, int error)
{
	lockdep_assert_held_write(&queue->snpu->reset.sem);

	snpu_queue_stop(queue, DRM_SNPU_QUEUE_LOST, error);
	spin_lock_irq(&queue->lock);
	queue->loaded = false;
	queue->frozen = false;
	spin_unlock_irq(&queue->lock);
	snpu_queue_cancel(queue);
	if (queue->slot >= 0 && !queue->leaving)
		snpu_slot_release(queue);
}

/* --- from one firmware to the next ------------------------------------------------------------ */

/*
 * What became of the jobs whose end the firmware did not tell any more. A context that contradicts
 * what the driver knows, or what the engine alone wrote, was scribbled over: -EIO.
 */
static int snpu_slot_catch_up_locked(struct snpu_queue *queue)
{
	struct snpu_queue_ctx __iomem *ctx = snpu_queue_ctx(queue->snpu, queue->slot);
	u64 done = readq(&ctx->seqno_done), blamed = readq(&ctx->fault.seqno);
	u32 code = readl(&ctx->fault.code);

	lockdep_assert_held(&queue->lock);

	if (queue->user) {
		if (code)
			snpu_queue_fault_locked(queue, code, blamed);
		snpu_uqueue_refresh(queue);
		return 0;
	}
	if (code && blamed)
		done = blamed - 1;
	if (done + queue->base - queue->retired > queue->pushed - queue->retired ||
	    (snpu_fw_keeps(queue->snpu) && done > readq(&ctx->eng_done)))
		return -EIO;
	while (queue->retired < done + queue->base) {
		queue->completed++;
		atomic64_inc(&queue->snpu->jobs_done);
		snpu_fence_signal(snpu_queue_pop(queue), 0);
	}
	if (code)
		snpu_queue_fault_locked(queue, code, blamed);
	return 0;
}

/*
 * The firmware is halted and the engine idle. Afterwards the queue is frozen, or it is lost: it had
 * stopped before, or the card cannot take it up again.
 */
void snpu_slot_freeze(struct snpu_queue *queue)
{
	struct snpu_device *snpu = queue->snpu;
	bool frozen = false;

	lockdep_assert_held_write(&snpu->reset.sem);

	spin_lock_irq(&queue->lock);
	if ((queue->loaded || queue->frozen) && !queue->stop_error)
		frozen = !snpu_slot_catch_up_locked(queue) && !queue->stop_error &&
			 (snpu_fw_keeps(snpu) || queue->retired == queue->pushed);
	queue->loaded = false;
	queue->frozen = frozen;
	spin_unlock_irq(&queue->lock);
	/* What is rung from now on reaches nobody. Taking the page away may wait for memory. */
	if (queue->doorbell && snpu_queue_use(queue) && !queue_work(snpu_wq, &queue->zap_work))
		snpu_queue_unuse(queue);
	if (!frozen)
		snpu_slot_lost(queue, -EIO);
}

/* A firmware that crashed may have written anywhere, so nothing it could reach is believed. */
static void snpu_slot_restore_locked(struct snpu_queue *queue)
{
	struct snpu_device *snpu = queue->snpu;
	struct snpu_queue_ctx __iomem *ctx = snpu_queue_ctx(snpu, queue->slot);
	u64 n;

	lockdep_assert_held(&queue->lock);

	for (n = queue->retired - queue->base; n < queue->pushed - queue->base; n++) {
		u32 slot = n % SNPU_RING_SLOTS;

		memcpy_toio(snpu->ctl + SNPU_CTL_JOB(queue->slot, slot), queue->ring[slot]->desc,
			    sizeof(struct snpu_job_desc));
	}
	writel(queue->retired - queue->base, &ctx->head);
	writel(queue->pushed - queue->base, &ctx->tail);
}

/*
 * A frozen queue goes on with a new firmware, or is lost, when its job was cut off. An error: the
 * firmware does not answer, and the queue is still frozen.
 */
int snpu_slot_thaw(struct snpu_queue *queue, bool reset)
{
	bool keep = snpu_fw_keeps(queue->snpu), able;
	int err = -EREMOTEIO;

	lockdep_assert_held_write(&queue->snpu->reset.sem);

	spin_lock_irq(&queue->lock);
	if (keep && !queue->user)
		snpu_slot_restore_locked(queue);
	able = !queue->stop_error && (keep || queue->retired == queue->pushed);
	spin_unlock_irq(&queue->lock);
	if (able)
		err = snpu_slot_load(queue, keep ? SNPU_FW_QUEUE_KEEP : 0);
	switch (err) {
	case 0:
		spin_lock_irq(&queue->lock);
		queue->resets += reset;
		if (!queue->user)
			snpu_queue_ring_doorbell(queue, queue->pushed - queue->base);
		spin_unlock_irq(&queue->lock);
		return 0;
	case -EREMOTEIO:
	case -EINVAL:
	case -EBUSY:
		snpu_slot_lost(queue, -EIO);
		return 0;
	default:
		return err;
	}
}
