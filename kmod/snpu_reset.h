/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Recovery of a card whose firmware does not do its work any more.
 */
#ifndef SNPU_RESET_H
#define SNPU_RESET_H

#include <linux/rwsem.h>
#include <linux/workqueue.h>

#include "snpu_fw_abi.h"

struct snpu_device;

/**
 * struct snpu_reset - State of recovery.
 */
struct snpu_reset {
	/** @sem: Held for reading by whoever talks to the firmware, for writing by a reset. */
	struct rw_semaphore sem;
	/** @broken: The last reset failed: the card takes no queues. @sem */
	bool broken;
	/** @wq: Ordered: resets and the watchdog never meet. */
	struct workqueue_struct *wq;
	/** @work: The reset. */
	struct work_struct work;
	/** @reason: Why it is due, NULL: it is not. */
	const char *reason;
	/** @count: Resets so far. */
	atomic_t count;
	/** @crash: What the firmware left when it crashed last; magic 0: it did not. @sem */
	struct snpu_fw_crash crash;
};

int snpu_reset_init(struct snpu_device *snpu);
void snpu_reset_schedule(struct snpu_device *snpu, const char *reason);
void snpu_reset_wait(struct snpu_device *snpu);
void snpu_reset_fini(struct snpu_device *snpu);
void snpu_reset_lose_queues(struct snpu_device *snpu, int error);

#endif
