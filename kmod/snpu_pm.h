/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A card that is taken away from its queues for a while: it sleeps, or others reset it.
 */
#ifndef SNPU_PM_H
#define SNPU_PM_H

#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/rwsem.h>
#include <linux/wait.h>

struct snpu_device;

/**
 * struct snpu_pm - Sleep, and resets that others do.
 */
struct snpu_pm {
	/** @lock: One pause at a time begins or ends; protects @pauses and @bus_error. */
	struct mutex lock;
	/** @pauses: How many want the card to be away. */
	unsigned int pauses;
	/** @count: Pauses that have ended. */
	atomic_t count;
	/** @bus_error: One of them waits for the recovery of the bus. */
	bool bus_error;
	/** @slept: One of them is the sleep of the system. Only its callbacks use it. */
	bool slept;
	/**
	 * @away: The card runs nothing, and is not to be touched. Written under reset.sem and
	 * mmu_lock; waiters on @wait.
	 */
	bool away;
	/** @gone: The driver is leaving, and nobody waits for the card any more. */
	bool gone;
	/** @wait: For @away to end. */
	wait_queue_head_t wait;
	/** @maps: Held for reading while memory of the card is mapped into a process. */
	struct rw_semaphore maps;
	/** @closed: None may be mapped now. Set under @maps, held for writing. */
	bool closed;
	/** @control: Copy of the control area while the system sleeps. */
	void *control;
};

int snpu_pm_init(struct snpu_device *snpu);
void snpu_pm_start(struct snpu_device *snpu);
void snpu_pm_fini(struct snpu_device *snpu);
void snpu_pm_get(struct snpu_device *snpu);
void snpu_pm_put(struct snpu_device *snpu);
int snpu_pm_begin(struct snpu_device *snpu);
void snpu_pm_end(struct snpu_device *snpu);
bool snpu_pm_map_begin(struct snpu_device *snpu);
void snpu_pm_map_end(struct snpu_device *snpu);

extern const struct dev_pm_ops snpu_pm_ops;

#endif
