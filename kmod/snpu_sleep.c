// SPDX-License-Identifier: GPL-2.0-only
/*
 * The sleep of the system, to memory or to disk. The card may lose its power, and with it what is
 * in its memory, so that is copied to host memory before and back after. Processes stand still from
 * before snpu_sleep_prepare() until after snpu_sleep_complete(), so both see the same buffers, and
 * devices and swap still work when room is made for them. In between the card is not touched: there
 * is nothing for the driver to do when its power goes and comes.
 *
 * Jobs that run stop at the next packet boundary, and go on afterwards.
 */
#include <drm/drm_print.h>
#include <linux/pm_runtime.h>
#include <linux/vmalloc.h>

#include "snpu_device.h"
#include "snpu_gem.h"
#include "snpu_pause.h"

static void snpu_sleep_free(struct snpu_device *snpu)
{
	struct snpu_bo *bo;

	list_for_each_entry(bo, &snpu->objects.bos, link) {
		vfree(bo->saved);
		bo->saved = NULL;
	}
	vfree(snpu->pm.control);
	snpu->pm.control = NULL;
}

/* Before the pause: making room may have to wait for fences. */
static int snpu_sleep_alloc(struct snpu_device *snpu)
{
	u64 bytes = SNPU_CTL_SIZE;
	struct snpu_bo *bo;
	int err = 0;

	mutex_lock(&snpu->objects.lock);
	snpu->pm.control = vmalloc(SNPU_CTL_SIZE);
	if (!snpu->pm.control)
		err = -ENOMEM;
	list_for_each_entry(bo, &snpu->objects.bos, link) {
		if (!bo->device || err)
			continue;
		bytes += bo->base.base.size;
		bo->saved = vmalloc(bo->base.base.size);
		if (!bo->saved)
			err = -ENOMEM;
	}
	if (err) {
		snpu_sleep_free(snpu);
		drm_err(&snpu->drm, "no room for a copy of %llu bytes of device memory; end programs that use the card, then let the system sleep\n",
			bytes);
	}
	mutex_unlock(&snpu->objects.lock);
	return err;
}

static void snpu_sleep_copy(struct snpu_device *snpu, struct snpu_bo *bo, bool back)
{
	u32 i;

	for (i = 0; i < bo->n_extents; i++) {
		u64 offset = bo->extents[i].offset, size = snpu_bo_extent_end(bo, i) - offset;
		void __iomem *at = snpu->vram.map + bo->extents[i].addr;

		if (back)
			memcpy_toio(at, bo->saved + offset, size);
		else
			memcpy_fromio(bo->saved + offset, at, size);
		cond_resched();
	}
}

static void snpu_sleep_copy_all(struct snpu_device *snpu, bool back)
{
	struct snpu_bo *bo;

	mutex_lock(&snpu->objects.lock);
	list_for_each_entry(bo, &snpu->objects.bos, link)
		if (bo->saved)
			snpu_sleep_copy(snpu, bo, back);
	mutex_unlock(&snpu->objects.lock);
	if (back)
		memcpy_toio(snpu->ctl, snpu->pm.control, SNPU_CTL_SIZE);
	else
		memcpy_fromio(snpu->pm.control, snpu->ctl, SNPU_CTL_SIZE);
	wmb();	/* out of the write-combining buffers before the card is told to look */
}

/* A card that does not come to rest keeps nobody awake: it is cut off, and reset afterwards. */
int snpu_sleep_prepare(struct device *dev)
{
	struct snpu_device *snpu = dev_get_drvdata(dev);
	int err;

	err = pm_runtime_resume_and_get(dev);
	if (err < 0)
		return err;
	err = snpu_sleep_alloc(snpu);
	if (err) {
		snpu_pm_put(snpu);
		return err;
	}
	snpu_pause_begin(snpu, SNPU_RESET_SOFT);
	snpu_sleep_copy_all(snpu, false);
	snpu->pm.slept = true;
	return 0;
}

/* Also called when the system did not go to sleep after all. */
void snpu_sleep_complete(struct device *dev)
{
	struct snpu_device *snpu = dev_get_drvdata(dev);

	if (!snpu->pm.slept)
		return;
	snpu->pm.slept = false;
	snpu_sleep_copy_all(snpu, true);
	snpu_pause_end(snpu);
	mutex_lock(&snpu->objects.lock);
	snpu_sleep_free(snpu);
	mutex_unlock(&snpu->objects.lock);
	snpu_pm_put(snpu);
}
