/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Doorbell pages of user queues in their processes.
 */
#ifndef SNPU_DOORBELL_H
#define SNPU_DOORBELL_H

#include <drm/drm_gem.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>

struct snpu_device;
struct snpu_queue;

/**
 * struct snpu_doorbell - A doorbell page as a GEM object.
 */
struct snpu_doorbell {
	/** @base: GEM object of one page. */
	struct drm_gem_object base;
	/** @queue: Whose; kept in memory. */
	struct snpu_queue *queue;
	/** @dummy: What a mapping shows that rings nothing. &snpu_doorbell_state.lock */
	struct page *dummy;
};

/**
 * struct snpu_doorbell_state - The card's part.
 */
struct snpu_doorbell_state {
	/**
	 * @lock: Taken when a page is mapped or taken away, so that none is mapped after it was
	 * taken away. Never where fences wait: mapping allocates.
	 */
	struct mutex lock;
	/** @awake: A page may be mapped, so the card stays awake; cleared by @idle_work. @lock */
	bool awake;
	/** @jobs: What @idle_work saw last: jobs of user queues finished. @lock */
	u64 jobs;
	/** @idle_work: Runs while @awake, to find out that nobody rings any more. */
	struct delayed_work idle_work;
	/** @faults: Pages mapped so far. */
	atomic_t faults;
};

int snpu_doorbells_init(struct snpu_device *snpu);
void snpu_doorbells_fini(struct snpu_device *snpu);
void snpu_doorbells_pause(struct snpu_device *snpu);
void snpu_doorbells_resume(struct snpu_device *snpu);
struct snpu_doorbell *snpu_doorbell_create(struct snpu_queue *queue);
void snpu_doorbell_zap(struct snpu_doorbell *doorbell);

#endif
