/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Recovery of a card whose firmware does not do its work any more.
 */
#ifndef SNPU_RESET_H
#define SNPU_RESET_H

#include <linux/rwsem.h>
#include <linux/workqueue.h>

#include "snpu_fw_abi.h"

struct pci_saved_state;
struct snpu_device;

/**
 * enum snpu_reset_rung - What can be done to a card, mildest first.
 */
enum snpu_reset_rung {
	/** @SNPU_RESET_SOFT: Halt the firmware; the engine saves its job. */
	SNPU_RESET_SOFT,
	/** @SNPU_RESET_FULL: Stop the engine, too; its job is cut off. */
	SNPU_RESET_FULL,
	/** @SNPU_RESET_FLR: Function level reset. */
	SNPU_RESET_FLR,
	/** @SNPU_RESET_RUNGS: Their number. */
	SNPU_RESET_RUNGS
};

/**
 * struct snpu_reset - State of recovery.
 */
struct snpu_reset {
	/** @sem: Held for reading by whoever talks to the firmware, for writing by a reset. */
	struct rw_semaphore sem;
	/** @broken: The last reset failed: the card is wedged and takes no queues. @sem */
	bool broken;
	/** @wq: Ordered: resets and the watchdog never meet. */
	struct workqueue_struct *wq;
	/** @work: The reset. */
	struct work_struct work;
	/** @reason: Why it is due, NULL: it is not. */
	const char *reason;
	/** @first: Rung that the next reset starts with; only debugfs changes it. */
	u32 first;
	/** @count: Resets so far. */
	atomic_t count;
	/** @rungs: Of them, how many succeeded on each rung. */
	atomic_t rungs[SNPU_RESET_RUNGS];
	/** @wedged: Of them, how many failed. */
	atomic_t wedged;
	/** @kills: Queues that were stopped because they made no progress. */
	atomic_t kills;
	/** @config: The card's configuration space as probe left it; an FLR clears it. */
	struct pci_saved_state *config;
	/** @crash: What the firmware left when it crashed last; magic 0: it did not. @sem */
	struct snpu_fw_crash crash;
};

int snpu_reset_init(struct snpu_device *snpu);
int snpu_reset_save_config(struct snpu_device *snpu);
void snpu_reset_schedule(struct snpu_device *snpu, const char *reason);
void snpu_reset_wait(struct snpu_device *snpu);
void snpu_reset_force(struct snpu_device *snpu, enum snpu_reset_rung first);
void snpu_reset_fini(struct snpu_device *snpu);
void snpu_reset_lose_queues(struct snpu_device *snpu, int error);
int snpu_reset_freeze(struct snpu_device *snpu, enum snpu_reset_rung rung);
int snpu_reset_thaw(struct snpu_device *snpu, bool reset);
void snpu_reset_pause(struct snpu_device *snpu);
void snpu_reset_resume(struct snpu_device *snpu);
void snpu_reset_give_up(struct snpu_device *snpu);
int snpu_reset_restore_config(struct snpu_device *snpu);

#endif
