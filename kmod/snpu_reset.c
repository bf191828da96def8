// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reset: when the firmware crashed, hangs, or would not let go of a queue. It stops the card,
 * takes what the firmware left, boots it again and lets the queues go on where they were. Queues
 * whose job was cut off are lost, and say so. How the card is stopped is a ladder: each rung costs
 * more than the one before, and is tried only when that failed. Past the last the card is wedged,
 * until the driver is bound again.
 *
 * Fences wait for this work, so it allocates nothing: the firmware image is in memory, and the
 * callers that hold reset.sem for reading allocate nothing either. It runs on an ordered workqueue
 * that it shares with the watchdog.
 */
#include <drm/drm_accel.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_managed.h>
#include <drm/drm_print.h>
#include <linux/dma-fence.h>
#include <linux/ktime.h>
#include <linux/lockdep.h>

#include "snpu_device.h"
#include "snpu_fw.h"
#include "snpu_queue.h"
#include "snpu_reset.h"
#include "snpu_slot.h"
#include "snpu_trace.h"

static const char * const snpu_reset_names[SNPU_RESET_RUNGS] = {
	[SNPU_RESET_SOFT] = "firmware restart",
	[SNPU_RESET_FULL] = "full reset",
	[SNPU_RESET_FLR] = "function level reset",
};

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
		snpu_slot_lost(queue, error);
		snpu_queue_put(queue);
	}
}

static u32 snpu_reset_count_queues(struct snpu_device *snpu)
{
	u32 slot, n = 0;

	spin_lock_irq(&snpu->queues_lock);
	for (slot = 0; slot < SNPU_QUEUES; slot++)
		n += !!snpu->queues[slot];
	spin_unlock_irq(&snpu->queues_lock);
	return n;
}

/* --- the ladder ------------------------------------------------------------------------------- */

/*
 * As probe left it, MSI-X table included. That is done under the mutex of the device's vectors, and
 * under those of other devices memory is allocated, which must not be where fences wait. Under this
 * one's nothing is allocated after probe; lockdep, which takes all of them for one, is not told.
 */
int snpu_reset_restore_config(struct snpu_device *snpu)
{
	struct pci_dev *pdev = to_pci_dev(snpu->drm.dev);
	int err;

	err = pci_load_saved_state(pdev, snpu->reset.config);
	if (err)
		return err;
	lockdep_off();
	pci_restore_state(pdev);
	lockdep_on();
	return 0;
}

/* -EBUSY: somebody else resets the card just now, and may be waiting for this work. */
static int snpu_reset_flr(struct snpu_device *snpu)
{
	struct pci_dev *pdev = to_pci_dev(snpu->drm.dev);
	int err;

	if (!pci_cfg_access_trylock(pdev))
		return -EBUSY;
	mutex_lock(&snpu->mmu_lock);	/* who waits for an invalidation would read nonsense */
	err = pcie_reset_flr(pdev, PCI_RESET_DO_RESET);
	err = err ?: snpu_reset_restore_config(snpu);
	mutex_unlock(&snpu->mmu_lock);
	pci_cfg_access_unlock(pdev);
	return err;
}

static int snpu_reset_stop(struct snpu_device *snpu, enum snpu_reset_rung rung)
{
	if (!pci_device_is_present(to_pci_dev(snpu->drm.dev)))
		return -ENODEV;
	if (rung == SNPU_RESET_SOFT)
		return snpu_fw_keeps(snpu) ? snpu_fw_halt(snpu) : -EOPNOTSUPP;
	if (rung == SNPU_RESET_FULL)
		return snpu_fw_stop(snpu);
	return snpu_reset_flr(snpu);
}

/* Firmware and engine are stopped: takes what they left, and the queues off the card. */
static void snpu_reset_collect(struct snpu_device *snpu)
{
	u32 slot;

	snpu_mbox_drain(snpu);
	for (slot = 0; slot < SNPU_QUEUES; slot++) {
		struct snpu_queue *queue = snpu_queue_at(snpu, slot);

		if (!queue)
			continue;
		snpu_slot_freeze(queue);
		snpu_queue_put(queue);
	}
}

/* From @rung upwards until the card is at rest, which returns with the rung that did it. */
static int snpu_reset_freeze_from(struct snpu_device *snpu, enum snpu_reset_rung *rung)
{
	int err;

	lockdep_assert_held_write(&snpu->reset.sem);

	snpu_mbox_abort(snpu, SNPU_MBOX_RESET);
	err = snpu_reset_stop(snpu, *rung);
	while (err && err != -ENODEV && *rung + 1 < SNPU_RESET_RUNGS)
		err = snpu_reset_stop(snpu, ++*rung);
	if (!err)
		snpu_reset_collect(snpu);
	return err;
}

/*
 * Stops the firmware. The engine saves its job at the next packet boundary; when it does not get
 * there, or @rung says so, it is stopped at once, and that job is cut off. Until snpu_reset_thaw()
 * the card does nothing, takes no commands and may lose its power, but not its memory; jobs that
 * come in wait. The caller holds reset.sem for writing, and made sure that the watchdog does not
 * look meanwhile. An error: the card does not come to rest.
 */
int snpu_reset_freeze(struct snpu_device *snpu, enum snpu_reset_rung rung)
{
	return snpu_reset_freeze_from(snpu, &rung);
}

/*
 * Boots the firmware, which goes on where the last one was. Same rules as snpu_reset_freeze(). The
 * queues count it as a reset, if it is one.
 */
int snpu_reset_thaw(struct snpu_device *snpu, bool reset)
{
	u32 slot;
	int err;

	lockdep_assert_held_write(&snpu->reset.sem);

	err = snpu_fw_start(snpu);
	for (slot = 0; slot < SNPU_QUEUES && !err; slot++) {
		struct snpu_queue *queue = snpu_queue_at(snpu, slot);

		if (!queue)
			continue;
		err = snpu_slot_thaw(queue, reset);
		snpu_queue_put(queue);
	}
	return err;
}

/* Climbs until the firmware runs and has its queues; returns with the rung that did it. */
static int snpu_reset_climb(struct snpu_device *snpu, enum snpu_reset_rung *rung)
{
	int err;

	for (;; ++*rung) {
		err = snpu_reset_freeze_from(snpu, rung);
		if (!err)
			err = snpu_reset_thaw(snpu, true);
		if (!err || err == -ENODEV || *rung + 1 >= SNPU_RESET_RUNGS)
			return err;
	}
}

/* --- the reset -------------------------------------------------------------------------------- */

static void snpu_reset_failed(struct snpu_device *snpu, const char *reason, u32 count, int err)
{
	snpu_mbox_abort(snpu, -EIO);
	snpu_fw_stop(snpu);
	snpu_reset_lose_queues(snpu, err == -ENODEV ? -ENODEV : -EIO);
	if (err == -ENODEV) {
		drm_err(&snpu->drm, "%s; the card is gone; its queues are lost\n", reason);
		return;
	}
	atomic_inc(&snpu->reset.wedged);
	drm_err(&snpu->drm, "%s; reset %u failed, last error %d: the card is wedged; unbind and bind the driver, or reset the bus in between\n",
		reason, count, err);
}

/* Returns what is left to do: true: tell user space that the card is wedged. */
static bool snpu_reset_do(struct snpu_device *snpu, const char *reason)
{
	struct snpu_reset *reset = &snpu->reset;
	enum snpu_reset_rung rung = xchg(&reset->first, SNPU_RESET_SOFT);
	u32 count = atomic_inc_return(&reset->count), queues;
	ktime_t start = ktime_get();
	int err;

	/* Whoever waits for the firmware has the semaphore. */
	snpu_mbox_abort(snpu, SNPU_MBOX_RESET);

	down_write(&reset->sem);
	queues = snpu_reset_count_queues(snpu);
	snpu_coredump_event(snpu, SNPU_DUMP_EVENT_RESET, SNPU_DUMP_NOBODY, count);
	snpu_coredump_take(snpu, SNPU_DUMP_RESET, reason, NULL);
	snpu_reset_save_crash(snpu);
	err = snpu_reset_climb(snpu, &rung);
	WRITE_ONCE(reset->broken, err);	/* before fences tell that something happened */
	if (err) {
		snpu_reset_failed(snpu, reason, count, err);
	} else {
		atomic_inc(&reset->rungs[rung]);
		snpu_coredump_event(snpu, SNPU_DUMP_EVENT_RUNNING, SNPU_DUMP_NOBODY, count);
		drm_err(&snpu->drm, "%s; reset %u by %s in %lld ms, %u of %u queues go on\n",
			reason, count, snpu_reset_names[rung],
			ktime_ms_delta(ktime_get(), start), snpu_reset_count_queues(snpu),
			queues);
	}
	up_write(&reset->sem);
	trace_snpu_reset(snpu, count, reason, ktime_to_ns(ktime_sub(ktime_get(), start)), err);
	snpu_watchdog_restart(snpu);
	return err && err != -ENODEV;
}

/*
 * As Documentation/gpu/drm-uapi.rst, "Device Wedging", defines it. drm_dev_wedged_event() does not
 * know accel nodes. Allocates, but by now nothing waits for the card.
 */
static void snpu_reset_tell(struct snpu_device *snpu)
{
	char methods[] = "WEDGED=rebind,bus-reset";
	char *env[2] = { methods };

	kobject_uevent_env(&snpu->drm.accel->kdev->kobj, KOBJ_CHANGE, env);
}

static void snpu_reset_work(struct work_struct *work)
{
	struct snpu_device *snpu = container_of(work, struct snpu_device, reset.work);
	bool cookie = dma_fence_begin_signalling(), wedged = false;
	const char *reason;
	int idx;

	if (drm_dev_enter(&snpu->drm, &idx)) {
		reason = xchg(&snpu->reset.reason, NULL);
		/* Without firmware there is nothing to recover. */
		if (reason && snpu->fw.blob)
			wedged = snpu_reset_do(snpu, reason);
		drm_dev_exit(idx);
	}
	dma_fence_end_signalling(cookie);
	if (wedged)
		snpu_reset_tell(snpu);
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

/* The caller is inside snpu_device_enter(). */
void snpu_reset_force(struct snpu_device *snpu, enum snpu_reset_rung first)
{
	WRITE_ONCE(snpu->reset.first, first);
	snpu_reset_schedule(snpu, "a reset was asked for through debugfs");
	snpu_reset_wait(snpu);
}

/*
 * One that is under way ends first; those that are asked for later wait for snpu_reset_resume().
 */
void snpu_reset_pause(struct snpu_device *snpu)
{
	disable_work_sync(&snpu->reset.work);
}

void snpu_reset_resume(struct snpu_device *snpu)
{
	enable_work(&snpu->reset.work);
	if (READ_ONCE(snpu->reset.reason))
		queue_work(snpu->reset.wq, &snpu->reset.work);
}

/* In a pause: the card does not come back. */
void snpu_reset_give_up(struct snpu_device *snpu)
{
	struct snpu_reset *reset = &snpu->reset;

	down_write(&reset->sem);
	WRITE_ONCE(reset->broken, true);
	snpu_mbox_abort(snpu, -EIO);
	snpu_reset_lose_queues(snpu, -EIO);
	atomic_inc(&reset->wedged);
	up_write(&reset->sem);
	snpu_reset_tell(snpu);
}

/* After this there are no resets. */
void snpu_reset_fini(struct snpu_device *snpu)
{
	disable_work_sync(&snpu->reset.work);
}

static void snpu_reset_release(struct drm_device *drm, void *data)
{
	struct snpu_reset *reset = data;

	kfree(reset->config);
	destroy_workqueue(reset->wq);
}

/* At the end of probe, when the configuration is what it shall be. */
int snpu_reset_save_config(struct snpu_device *snpu)
{
	struct pci_dev *pdev = to_pci_dev(snpu->drm.dev);

	pci_save_state(pdev);
	snpu->reset.config = pci_store_saved_state(pdev);
	return snpu->reset.config ? 0 : -ENOMEM;
}

int snpu_reset_init(struct snpu_device *snpu)
{
	struct snpu_reset *reset = &snpu->reset;

	init_rwsem(&reset->sem);
	INIT_WORK(&reset->work, snpu_reset_work);
	reset->wq = alloc_ordered_workqueue("snpu-reset", WQ_MEM_RECLAIM);
	if (!reset->wq)
		return -ENOMEM;
	return drmm_add_action_or_reset(&snpu->drm, snpu_reset_release, reset);
}
