// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pauses. The card is taken away from its queues, and given back later: when it sleeps because
 * nobody uses it (here), when the system sleeps (snpu_sleep), and when others reset it
 * (snpu_bus). In a pause the engine is stopped at a packet boundary, the queues are frozen, no
 * process has memory or doorbells of the card mapped, and no work of the driver looks at it. Jobs
 * that come in wait in their queue's ring. When it ends the firmware is booted and takes the queues
 * up where they were, so that nobody notices, except by the time it took.
 *
 * Who needs the card awake is inside snpu_device_enter(), which wakes it, or holds what that would:
 * each job does from SUBMIT until it is freed, a doorbell page from the moment it is mapped until
 * nobody rings it any more, and a dma-buf of device memory while it is mapped.
 *
 * Fences wait for the end of a pause, so what follows the stop of the card allocates nothing.
 */
#include <drm/drm_managed.h>
#include <drm/drm_print.h>
#include <linux/delay.h>
#include <linux/dma-fence.h>
#include <linux/pm_runtime.h>

#include "snpu_device.h"
#include "snpu_fw.h"
#include "snpu_gem.h"
#include "snpu_pm.h"
#include "snpu_pause.h"

#define SNPU_PM_AUTOSUSPEND_MS	2000

/* --- who waits for the card ------------------------------------------------------------------- */

/*
 * Until snpu_pm_end() the card is there and not reset. Waits for the end of a pause; not where
 * fences wait. -EINTR: the caller is being killed. The caller is inside snpu_device_enter().
 */
int snpu_pm_begin(struct snpu_device *snpu)
{
	struct snpu_pm *pm = &snpu->pm;
	int err;

	for (;;) {
		err = wait_event_killable(pm->wait, !READ_ONCE(pm->away) || READ_ONCE(pm->gone));
		if (err)
			return -EINTR;
		err = down_read_killable(&snpu->reset.sem);
		if (err)
			return err;
		if (!pm->away)
			return 0;
		up_read(&snpu->reset.sem);
		if (READ_ONCE(pm->gone))
			return -ENODEV;
	}
}

void snpu_pm_end(struct snpu_device *snpu)
{
	up_read(&snpu->reset.sem);
}

/*
 * For fault handlers. False: nothing may be mapped just now, and the access is to be tried again,
 * which happens on the way back to the process, so that it can be killed.
 */
bool snpu_pm_map_begin(struct snpu_device *snpu)
{
	struct snpu_pm *pm = &snpu->pm;

	down_read(&pm->maps);
	if (!READ_ONCE(pm->closed))
		return true;
	up_read(&pm->maps);
	usleep_range(1000, 2000);
	return false;
}

void snpu_pm_map_end(struct snpu_device *snpu)
{
	up_read(&snpu->pm.maps);
}

/* --- pauses ----------------------------------------------------------------------------------- */

static void snpu_pause_close_maps(struct snpu_device *snpu)
{
	struct snpu_pm *pm = &snpu->pm;

	down_write(&pm->maps);
	pm->closed = true;
	snpu_doorbells_pause(snpu);
	snpu_bo_zap_all(snpu);
	up_write(&pm->maps);
}

/* Stops what is still running; @how SNPU_RESET_RUNGS: nothing of the card can be reached. */
static int snpu_pause_stop(struct snpu_device *snpu, enum snpu_reset_rung how)
{
	int err;

	lockdep_assert_held_write(&snpu->reset.sem);

	if (how == SNPU_RESET_RUNGS) {
		snpu_mbox_abort(snpu, SNPU_MBOX_RESET);
		return 0;
	}
	err = snpu_reset_freeze(snpu, how);
	if (!err)
		snpu_read(snpu, SNPU_REG_DOORBELL_SYNC);	/* rung before the pages went */
	return err;
}

static void snpu_pause_set_away(struct snpu_device *snpu, bool away)
{
	lockdep_assert_held_write(&snpu->reset.sem);

	/* Invalidations are of no use to a card that forgets translations before it goes on. */
	mutex_lock(&snpu->mmu_lock);
	WRITE_ONCE(snpu->pm.away, away);
	mutex_unlock(&snpu->mmu_lock);
}

/*
 * Begins a pause; for each there is one snpu_pause_end(), also when it returns an error: the card
 * did not come to rest, and was cut off from memory. @how: the mildest way to stop the engine. The
 * card has power, unless @how is SNPU_RESET_RUNGS.
 */
int snpu_pause_begin(struct snpu_device *snpu, enum snpu_reset_rung how)
{
	struct snpu_pm *pm = &snpu->pm;
	bool cookie;
	int err = 0;

	mutex_lock(&pm->lock);
	if (!pm->pauses++) {
		snpu_watchdog_pause(snpu);
		snpu_reset_pause(snpu);
		snpu_pause_close_maps(snpu);
		cookie = dma_fence_begin_signalling();
		down_write(&snpu->reset.sem);
		err = snpu_pause_stop(snpu, how);
		snpu_counters_save(snpu);
		snpu_pause_set_away(snpu, true);
		up_write(&snpu->reset.sem);
		dma_fence_end_signalling(cookie);
	}
	mutex_unlock(&pm->lock);
	return err;
}

/*
 * In a pause that began without the card, when it can be reached again: takes what it left. Its job
 * is cut off.
 */
int snpu_pause_collect(struct snpu_device *snpu)
{
	bool cookie = dma_fence_begin_signalling();
	int err;

	down_write(&snpu->reset.sem);
	err = snpu_reset_freeze(snpu, SNPU_RESET_FULL);
	snpu_counters_save(snpu);
	up_write(&snpu->reset.sem);
	dma_fence_end_signalling(cookie);
	return err;
}

/* Boots, from whatever state the card is in. A card without firmware stays as it is. */
static int snpu_pause_thaw(struct snpu_device *snpu)
{
	int err;

	lockdep_assert_held_write(&snpu->reset.sem);

	if (!pci_device_is_present(to_pci_dev(snpu->drm.dev)))
		return -ENODEV;
	err = snpu_fw_stop(snpu);
	if (!snpu->fw.blob)
		return 0;
	err = err ?: snpu_reset_thaw(snpu, false);
	if (!err)
		WRITE_ONCE(snpu->reset.broken, false);
	return err;
}

/* The card has power. When it does not work, the reset decides what becomes of it. */
void snpu_pause_end(struct snpu_device *snpu)
{
	struct snpu_pm *pm = &snpu->pm;
	bool cookie;
	int err;

	mutex_lock(&pm->lock);
	if (!--pm->pauses) {
		cookie = dma_fence_begin_signalling();
		down_write(&snpu->reset.sem);
		snpu_pause_set_away(snpu, false);
		err = snpu_pause_thaw(snpu);
		up_write(&snpu->reset.sem);
		dma_fence_end_signalling(cookie);
		WRITE_ONCE(pm->closed, false);
		snpu_reset_resume(snpu);
		snpu_watchdog_resume(snpu);
		snpu_doorbells_resume(snpu);
		atomic_inc(&pm->count);
		if (err && !snpu->reset.broken)
			snpu_reset_schedule(snpu, "the card did not go on after a pause");
		wake_up_all(&pm->wait);
	}
	mutex_unlock(&pm->lock);
}

/* --- a card that nobody uses ------------------------------------------------------------------ */

/* The card stays awake until snpu_pm_put(). The caller is inside snpu_device_enter(). */
void snpu_pm_get(struct snpu_device *snpu)
{
	pm_runtime_get_noresume(snpu->drm.dev);
}

/* Any context. */
void snpu_pm_put(struct snpu_device *snpu)
{
	pm_runtime_mark_last_busy(snpu->drm.dev);
	pm_runtime_put_autosuspend(snpu->drm.dev);
}

static int snpu_pm_runtime_suspend(struct device *dev)
{
	struct snpu_device *snpu = dev_get_drvdata(dev);

	if (READ_ONCE(snpu->reset.broken))
		return -EBUSY;
	if (!snpu_pause_begin(snpu, SNPU_RESET_SOFT))
		return 0;
	snpu_pause_end(snpu);
	pm_runtime_mark_last_busy(dev);		/* so that it is tried again */
	return -EAGAIN;
}

/* Succeeds: an error would stick to the device, while a card that does not wake can be reset. */
static int snpu_pm_runtime_resume(struct device *dev)
{
	snpu_pause_end(dev_get_drvdata(dev));
	return 0;
}

const struct dev_pm_ops snpu_pm_ops = {
	.prepare = pm_sleep_ptr(snpu_sleep_prepare),
	.complete = pm_sleep_ptr(snpu_sleep_complete),
	RUNTIME_PM_OPS(snpu_pm_runtime_suspend, snpu_pm_runtime_resume, NULL)
};

/* --- life ------------------------------------------------------------------------------------- */

int snpu_pm_init(struct snpu_device *snpu)
{
	struct snpu_pm *pm = &snpu->pm;

	init_waitqueue_head(&pm->wait);
	init_rwsem(&pm->maps);
	return drmm_mutex_init(&snpu->drm, &pm->lock);
}

/* At the end of probe, which the PCI core keeps awake: from now on the card may sleep. */
void snpu_pm_start(struct snpu_device *snpu)
{
	struct device *dev = snpu->drm.dev;

	pci_d3cold_disable(to_pci_dev(dev));	/* its memory would be lost */
	pm_runtime_set_autosuspend_delay(dev, SNPU_PM_AUTOSUSPEND_MS);
	pm_runtime_use_autosuspend(dev);
	pm_runtime_allow(dev);
	snpu_pm_put(snpu);
}

/* At the beginning of remove, for which the PCI core has woken the card. */
void snpu_pm_fini(struct snpu_device *snpu)
{
	struct device *dev = snpu->drm.dev;

	pm_runtime_get_noresume(dev);
	pm_runtime_forbid(dev);
	pm_runtime_dont_use_autosuspend(dev);
	WRITE_ONCE(snpu->pm.gone, true);
	wake_up_all(&snpu->pm.wait);
	if (snpu->pm.bus_error)	/* nobody tells any more that it is over */
		snpu_pm_put(snpu);
}
