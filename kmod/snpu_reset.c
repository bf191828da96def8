// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reset: the last rung of recovery, when the firmware crashed, hangs, or would not let go of a
 * queue. It stops the engine at once, boots the firmware again, and loads those queues again that
 * had nothing on the card. Queues that had are lost, and say so. Fences wait for this work, so it
 * allocates nothing: the firmware image is in memory, and the callers that hold the lock for
 * reading allocate nothing either.
 */
#include <drm/drm_drv.h>
#include <drm/drm_managed.h>
#include <drm/drm_print.h>
#include <linux/dma-fence.h>

#include "snpu_device.h"
#include "snpu_fw.h"
#include "snpu_queue.h"
#include "snpu_reset.h"

static void snpu_reset_save_crash(struct snpu_device *snpu)
{
	struct snpu_fw_crash *crash = &snpu->reset.crash;

	memcpy_fromio(crash, snpu->ctl + SNPU_CTL_CRASH, sizeof(*crash));
	if (crash->magic != SNPU_FW_CRASH_MAGIC) {
		crash->magic = 0;
		return;
	}
	crash->message[sizeof(crash->message) - 1] = 0;
	drm_err(&snpu->drm, "firmware crash: %s (cause %#x, pc %#x, value %#x)\n", crash->message,
		crash->cause, crash->pc, crash->value);
}

/* Every queue ends. The caller made sure that the engine is stopped. */
void snpu_reset_lose_queues(struct snpu_device *snpu, int error)
{
	u32 slot;

	for (slot = 0; slot < SNPU_QUEUES; slot++) {
		struct snpu_queue *queue = snpu_queue_at(snpu, slot);

		if (!queue)
			continue;
		snpu_queue_lost(queue, error);
		snpu_queue_put(queue);
	}
}

/* Ends the queues that have jobs on the card; returns a mask of the others. */
static u64 snpu_reset_sort_queues(struct snpu_device *snpu)
{
	u64 survivors = 0;
	u32 slot;

	for (slot = 0; slot < SNPU_QUEUES; slot++) {
		struct snpu_queue *queue = snpu_queue_at(snpu, slot);

		if (!queue)
			continue;
		if (snpu_queue_survives(queue))
			survivors |= BIT_ULL(slot);
		else
			snpu_queue_lost(queue, -EIO);
		snpu_queue_put(queue);
	}
	return survivors;
}

static int snpu_reset_reload_queues(struct snpu_device *snpu, u64 survivors)
{
	u32 slot;
	int err = 0;

	for (slot = 0; slot < SNPU_QUEUES && !err; slot++) {
		struct snpu_queue *queue;

		if (!(survivors & BIT_ULL(slot)))
			continue;
		queue = snpu_queue_at(snpu, slot);
		err = snpu_queue_load(queue);
		snpu_queue_put(queue);
	}
	return err;
}

static int snpu_reset_boot(struct snpu_device *snpu)
{
	u64 survivors;
	int err;

	if (!pci_device_is_present(to_pci_dev(snpu->drm.dev))) {
		drm_err(&snpu->drm, "the card is gone; its queues are lost\n");
		return -ENODEV;
	}
	snpu_reset_save_crash(snpu);
	snpu_fw_stop(snpu);
	survivors = snpu_reset_sort_queues(snpu);
	err = snpu_fw_boot(snpu);
	if (!err)
		err = snpu_reset_reload_queues(snpu, survivors);
	return err;
}

static void snpu_reset_do(struct snpu_device *snpu, const char *reason)
{
	struct snpu_reset *reset = &snpu->reset;
	u32 count = atomic_inc_return(&reset->count);
	int err;

	drm_err(&snpu->drm, "%s; resetting the card, reset %u\n", reason, count);
	snpu_mbox_poll(snpu);	/* what was finished is finished */
	snpu_mbox_abort(snpu, SNPU_MBOX_RESET);

	down_write(&reset->sem);
	err = snpu_reset_boot(snpu);
	if (err) {
		snpu_mbox_abort(snpu, -EIO);
		snpu_fw_stop(snpu);
		snpu_reset_lose_queues(snpu, err == -ENODEV ? -ENODEV : -EIO);
		drm_err(&snpu->drm, "reset %u failed with error %d; unbind and bind the driver to try again\n",
			count, err);
	}
	reset->broken = err;
	up_write(&reset->sem);
	snpu_watchdog_restart(snpu);
}

static void snpu_reset_work(struct work_struct *work)
{
	struct snpu_device *snpu = container_of(work, struct snpu_device, reset.work);
	bool cookie = dma_fence_begin_signalling();
	const char *reason;
	int idx;

	if (drm_dev_enter(&snpu->drm, &idx)) {
		reason = xchg(&snpu->reset.reason, NULL);
		if (reason)
			snpu_reset_do(snpu, reason);
		drm_dev_exit(idx);
	}
	dma_fence_end_signalling(cookie);
}

/* Any context. @reason is a string constant; the first one counts. */
void snpu_reset_schedule(struct snpu_device *snpu, const char *reason)
{
	cmpxchg(&snpu->reset.reason, NULL, reason);
	queue_work(snpu->reset.wq, &snpu->reset.work);
}

/* Until a scheduled reset is over. Not under reset.sem. */
void snpu_reset_wait(struct snpu_device *snpu)
{
	flush_work(&snpu->reset.work);
}

/* After this there are no resets. */
void snpu_reset_fini(struct snpu_device *snpu)
{
	disable_work_sync(&snpu->reset.work);
}

static void snpu_reset_release(struct drm_device *drm, void *data)
{
	destroy_workqueue(data);
}

int snpu_reset_init(struct snpu_device *snpu)
{
	struct snpu_reset *reset = &snpu->reset;

	init_rwsem(&reset->sem);
	INIT_WORK(&reset->work, snpu_reset_work);
	reset->wq = alloc_ordered_workqueue("snpu-reset", WQ_MEM_RECLAIM);
	if (!reset->wq)
		return -ENOMEM;
	return drmm_add_action_or_reset(&snpu->drm, snpu_reset_release, reset->wq);
}
