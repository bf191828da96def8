/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A queue: jobs of one address space that run in order, a firmware queue on the card, and the
 * scheduler that feeds it.
 */
#ifndef SNPU_QUEUE_H
#define SNPU_QUEUE_H

#include <drm/snpu_accel.h>
#include <linux/completion.h>
#include <linux/refcount.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "snpu_compat.h"
#include "snpu_fw_abi.h"

struct eventfd_ctx;
struct snpu_device;
struct snpu_doorbell;
struct snpu_dump_job;
struct snpu_dump_queue;
struct snpu_fence;
struct snpu_vm;

/**
 * struct snpu_usage - What jobs took of the engine.
 */
struct snpu_usage {
	/** @busy_ns: Time, in ns. */
	u64 busy_ns;
	/** @cycles: Cycles. */
	u64 cycles;
};

/**
 * struct snpu_queue - A queue.
 *
 * Two counts: @users is what keeps it working (its number in a file, its hardware slot, each job);
 * when it drops to zero a work item tears it down. @refs is what keeps the memory (the users
 * together, each fence, lookups).
 */
struct snpu_queue {
	/** @refs: Keeps the memory. */
	struct kref refs;
	/** @users: Keeps it working. */
	refcount_t users;
	/** @snpu: Card; a DRM device reference is held until teardown. */
	struct snpu_device *snpu;
	/** @vm: Address space; a reference is held until teardown. */
	struct snpu_vm *vm;
	/** @priority: enum drm_snpu_queue_priority. */
	u32 priority;
	/** @hang_ms: Limit without progress; 0: the card's. */
	u32 hang_ms;
	/** @user: Jobs are put in by the process; there are no fences. */
	bool user;
	/** @slots: Of the ring. */
	u32 slots;
	/** @ring_va: Of a user queue's ring, else 0. */
	u64 ring_va;
	/** @status_va: Of a user queue's status, else 0. */
	u64 status_va;
	/** @doorbell: Of a user queue, until teardown. */
	struct snpu_doorbell *doorbell;
	/** @name: For people, in fences and workqueues. */
	char name[24];

	/** @hw_lock: Serialises commands about this queue. */
	struct mutex hw_lock;
	/** @slot: Number of the hardware queue, -1: none. Does not change while @loaded. */
	int slot;
	/**
	 * @leaving: @release_work is about to give @slot away. Under @hw_lock, or reset.sem for
	 * writing.
	 */
	bool leaving;

	/** @lock: Protects everything below up to @fence_lock, and the queue's ring on the card. */
	spinlock_t lock;
	/** @loaded: The firmware runs it: the ring takes jobs. */
	bool loaded;
	/** @frozen: It goes on with the next firmware; jobs wait for that in @ring. */
	bool frozen;
	/** @stop_error: Why it takes no more jobs, and what its first unfinished job gets; or 0. */
	int stop_error;
	/** @flags: DRM_SNPU_QUEUE_*. */
	u32 flags;
	/** @base: Jobs pushed before the firmware queue was created, which counts from 1. */
	u64 base;
	/** @pushed: Number of the last job in the ring. */
	u64 pushed;
	/** @retired: Number of the last job that left the ring. */
	u64 retired;
	/** @ring: Fences of the jobs in the ring, at (number - 1 - @base) % SNPU_RING_SLOTS. */
	struct snpu_fence *ring[SNPU_RING_SLOTS];
	/** @submitted: Jobs accepted; of a user queue what the card has been told. */
	u64 submitted;
	/** @completed: Jobs that finished without error; of a user queue all that finished. */
	u64 completed;
	/** @busy_ns: Time on the engine, as far as it was looked at. */
	u64 busy_ns;
	/** @cycles: Engine cycles, likewise. */
	u64 cycles;
	/** @done: What ended jobs took since the queue was loaded. */
	struct snpu_usage done;
	/** @seen: What @busy_ns and @cycles have of the time since then. */
	struct snpu_usage seen;
	/** @resets: Resets that it lived through. */
	u32 resets;
	/** @fault: What stopped it, with DRM_SNPU_QUEUE_FAULTED. */
	struct snpu_fault fault;
	/** @waiters: Callers of QUEUE_WAIT. */
	struct list_head waiters;
	/** @eventfd: Signalled when jobs of a user queue finish; or NULL. */
	struct eventfd_ctx *eventfd;
	/** @wait: Where callers of QUEUE_WAIT sleep. */
	wait_queue_head_t wait;

	/** @fence_lock: Lock of the fences on this queue. */
	spinlock_t fence_lock;
	/** @fence_context: Their context. */
	u64 fence_context;

	/** @submit_lock: Orders arming and pushing; protects @seqno. */
	struct mutex submit_lock;
	/** @seqno: Number of the last job that was armed. */
	u64 seqno;
	/** @guilty: Tells the scheduler to cancel what it still holds. */
	atomic_t guilty;
	/** @sched: Resolves dependencies, then fills the ring. */
	struct drm_gpu_scheduler sched;
	/** @entity: Its only entity. */
	struct drm_sched_entity entity;

	/** @retire_work: Takes the queue off the card after it was destroyed. */
	struct work_struct retire_work;
	/** @zap_work: Takes a user queue's doorbell page away at a reset; uses the queue. */
	struct work_struct zap_work;
	/** @release_work: Gives a user queue's slot away, when nobody can ring it any more. */
	struct work_struct release_work;
	/** @unloaded: The card holds nothing of it any more. */
	struct completion unloaded;
	/** @teardown_work: Runs when the last user is gone. */
	struct work_struct teardown_work;
};

struct snpu_queue *snpu_queue_create(struct snpu_device *snpu, struct snpu_vm *vm,
				     const struct drm_snpu_queue_create *args);
void snpu_queue_destroy(struct snpu_queue *queue);
bool snpu_queue_use(struct snpu_queue *queue);
void snpu_queue_unuse(struct snpu_queue *queue);
struct snpu_queue *snpu_queue_get(struct snpu_queue *queue);
void snpu_queue_put(struct snpu_queue *queue);
struct snpu_queue *snpu_queue_at(struct snpu_device *snpu, u32 slot);

void snpu_queue_push(struct snpu_queue *queue, struct snpu_job_desc *desc,
		     struct snpu_fence *fence);
int snpu_queue_error(struct snpu_queue *queue);
bool snpu_queue_rings(struct snpu_queue *queue, u32 *slot);
void snpu_queue_dump(struct snpu_queue *queue, struct snpu_dump_queue *q, struct snpu_dump_job *j);
void snpu_queue_state(struct snpu_queue *queue, struct drm_snpu_queue_state *state);
void snpu_queue_refresh(struct snpu_queue *queue);
void snpu_queues_refresh(struct snpu_device *snpu);

bool snpu_queue_job_done(struct snpu_device *snpu, const struct snpu_fw_event_JOB_DONE *ev);
bool snpu_queue_job_fault(struct snpu_device *snpu, const struct snpu_fw_event_JOB_FAULT *ev);

/* For snpu_slot.c. */
struct snpu_fence *snpu_queue_pop(struct snpu_queue *queue);
void snpu_queue_stop(struct snpu_queue *queue, u32 flag, int error);
void snpu_queue_cancel(struct snpu_queue *queue);
void snpu_queue_fault_locked(struct snpu_queue *queue, u32 code, u64 seqno);
void snpu_queue_refresh_locked(struct snpu_queue *queue);
void snpu_queue_ring_doorbell(struct snpu_queue *queue, u32 tail);

#endif
