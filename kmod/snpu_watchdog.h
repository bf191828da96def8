/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hang detection by progress.
 */
#ifndef SNPU_WATCHDOG_H
#define SNPU_WATCHDOG_H

#include <linux/atomic.h>
#include <linux/workqueue.h>

struct snpu_device;

#define SNPU_WATCHDOG_LIMIT_MS	10000
/* Progress is known at every heartbeat of the firmware; a limit has to be some of them. */
#define SNPU_WATCHDOG_LEAST_MS	500

/**
 * struct snpu_watchdog - State of the watchdog; what has no other note belongs to its work.
 */
struct snpu_watchdog {
	/** @work: Runs while jobs are on the card, on the ordered workqueue of resets. */
	struct delayed_work work;
	/** @pending: Jobs in rings. */
	atomic_t pending;
	/** @limit_ms: No progress for so long is a hang; changed through debugfs. */
	u32 limit_ms;
	/** @forced: The next look finds a hang; set through debugfs. */
	bool forced;
	/** @fresh: The members below are of this stretch of work. */
	bool fresh;
	/** @heartbeat: Last seen. */
	u64 heartbeat;
	/** @heartbeat_at: When it changed, in jiffies. */
	unsigned long heartbeat_at;
	/** @queue_ms: Limit of the queue on the engine. */
	u32 queue_ms;
	/** @slot: Queue on the engine, last seen. */
	u32 slot;
	/** @progress: Packets of its job, last seen. */
	u64 progress;
	/** @done: Its jobs done, or those of the card when the engine was idle, last seen. */
	u64 done;
	/** @progress_at: When any of the three changed, in jiffies. */
	unsigned long progress_at;
};

void snpu_watchdog_init(struct snpu_device *snpu);
void snpu_watchdog_arm(struct snpu_device *snpu);
void snpu_watchdog_kick(struct snpu_device *snpu);
bool snpu_watchdog_force(struct snpu_device *snpu);
void snpu_watchdog_restart(struct snpu_device *snpu);
void snpu_watchdog_fini(struct snpu_device *snpu);
void snpu_watchdog_pause(struct snpu_device *snpu);
void snpu_watchdog_resume(struct snpu_device *snpu);

#endif
