/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The two rings between the driver and the firmware: commands down, events up.
 */
#ifndef SNPU_MBOX_H
#define SNPU_MBOX_H

#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "snpu_fw_abi.h"

struct snpu_device;

/* Longer than any packet's single memory access takes on a loaded, emulated machine. */
#define SNPU_MBOX_TIMEOUT_MS	10000

/*
 * What a reset aborts commands with. It takes care of the queues they were about, so this is no
 * reason for another one.
 */
#define SNPU_MBOX_RESET		(-ECONNRESET)

/**
 * struct snpu_mbox - State of the rings on this side.
 */
struct snpu_mbox {
	/** @lock: Protects the command ring, @cmd_tail, @next_id, @waiters and @error. */
	spinlock_t lock;
	/** @cmd_tail: Commands ever sent since boot. */
	u32 cmd_tail;
	/** @next_id: Id of the next command. */
	u32 next_id;
	/** @waiters: Callers that wait for their reply. */
	struct list_head waiters;
	/** @error: Why commands are refused; 0 when they are not. */
	int error;

	/** @event_lock: Protects the event ring and @event_head. */
	spinlock_t event_lock;
	/** @event_head: Events ever consumed since boot. */
	u32 event_head;
	/** @bad_events: Events that made no sense and were dropped. @event_lock */
	u64 bad_events;
};

void snpu_mbox_init(struct snpu_device *snpu);
void snpu_mbox_start(struct snpu_device *snpu);
void snpu_mbox_abort(struct snpu_device *snpu, int error);
int snpu_mbox_call(struct snpu_device *snpu, struct snpu_fw_cmd_head *cmd, size_t size, u64 *value);
void snpu_mbox_send(struct snpu_device *snpu, struct snpu_fw_cmd_head *cmd, size_t size);
bool snpu_mbox_poll(struct snpu_device *snpu);
void snpu_mbox_drain(struct snpu_device *snpu);

#endif
