/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The engine's counters, over resets.
 */
#ifndef SNPU_COUNTERS_H
#define SNPU_COUNTERS_H

#include <linux/spinlock.h>
#include <linux/types.h>

#include "snpu_job.h"

struct snpu_device;

/**
 * enum snpu_total - The engine's counters, and after them what only has registers.
 */
enum snpu_total {
	/** @SNPU_TOTAL_STALLS: Cycles in which the engine waited for memory; 0 before 1.4. */
	SNPU_TOTAL_STALLS = SNPU_COUNTER_COUNT,
	/** @SNPU_TOTALS: How many there are. */
	SNPU_TOTALS
};

/**
 * struct snpu_counters - What the engine counted since probe.
 */
struct snpu_counters {
	/** @lock: Protects the members below, and register pairs, whose high half is latched. */
	raw_spinlock_t lock;
	/** @base: What resets took from the card's counters. */
	u64 base[SNPU_TOTALS];
	/** @last: The card's counters when they were last read. */
	u64 last[SNPU_TOTALS];
	/** @busy_base: Time on the engine in ns, up to the last reset. */
	u64 busy_base;
	/** @busy_last: Since then, when it was last read. */
	u64 busy_last;
	/**
	 * @frozen: The card's counters mean nothing now: before probe's reset, in a reset or pause.
	 */
	bool frozen;
};

u64 snpu_read64(struct snpu_device *snpu, u32 lo, u32 hi);
void snpu_counters_init(struct snpu_device *snpu);
void snpu_counters_save(struct snpu_device *snpu);
void snpu_counters_go_on(struct snpu_device *snpu);
void snpu_counters_restart(struct snpu_device *snpu);
u64 snpu_counters_get(struct snpu_device *snpu, u32 total);
u64 snpu_counters_busy(struct snpu_device *snpu);
u64 snpu_counters_queue_busy(struct snpu_device *snpu, u32 slot);

#endif
