/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is kept of a failure, for whoever looks at it later.
 */
#ifndef SNPU_COREDUMP_H_KMOD
#define SNPU_COREDUMP_H_KMOD

#include <linux/atomic.h>
#include <linux/workqueue.h>

#include "snpu_dump.h"

struct snpu_device;
struct snpu_queue;

#define SNPU_COREDUMP_TRACE	64	/* power of two */

/**
 * struct snpu_coredump - State of the dump and of the trace that goes into it.
 */
struct snpu_coredump {
	/** @busy: Somebody owns the members up to @fault_work. */
	atomic_t busy;
	/** @data: A dump that is on its way to user space. */
	void *data;
	/** @size: Its bytes. */
	size_t size;
	/** @publish_work: Hands @data over. */
	struct work_struct publish_work;
	/** @faulted: Queue whose fault is to be dumped; used. */
	struct snpu_queue *faulted;
	/** @queue: It, as it was then; its user may destroy it at once. */
	struct snpu_dump_queue queue;
	/** @context: The same as the card saw it. */
	struct snpu_dump_context context;
	/** @job: The job that faulted. */
	struct snpu_dump_job job;
	/** @fault_work: Takes the dump of @faulted. */
	struct work_struct fault_work;
	/** @next: Events so far. */
	atomic_t next;
	/** @trace: The last ones, at their number modulo the size; written without a lock. */
	struct snpu_dump_event trace[SNPU_COREDUMP_TRACE];
};

void snpu_coredump_init(struct snpu_device *snpu);
void snpu_coredump_fini(struct snpu_device *snpu);
void snpu_coredump_event(struct snpu_device *snpu, u32 type, u32 queue, u64 job);
void snpu_coredump_take(struct snpu_device *snpu, u32 reason, const char *text,
			struct snpu_queue *queue);
void snpu_coredump_fault(struct snpu_queue *queue);

#endif
