/* SPDX-License-Identifier: MIT */
/*
 * The compute engine as a library: executes jobs (hw/snpu_job.h, hw/snpu_isa.def) on memory that its owner provides.
 * The simulated card runs one in a thread of its own; libsnpu's backend `sim` runs one in the caller's process, with
 * no firmware and no kernel. Results follow docs/numerics.md bit for bit; cycles and energy follow docs/cost-model.md.
 *
 * Threads: snpu_engine_run() is called by one thread at a time for one engine; every other function except
 * snpu_engine_destroy() may be called from any thread at any time, also while a job runs, and never blocks.
 * Several engines may share the same memory. The library prints nothing.
 */
#ifndef SNPU_ENGINE_H
#define SNPU_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "snpu_core.h"
#include "snpu_job.h"

/*
 * The memory behind the card's MMU. Device addresses are offsets into `device`. Host addresses (DMA addresses) go
 * through the two functions, in pieces of at most 64 KiB that never cross a page of the card's MMU; they return 0
 * when all of the piece was moved, or -EFAULT when any of it is not reachable. They run in the thread of
 * snpu_engine_run() and may block.
 */
struct snpu_engine_mem {
	void *device;				/* page-aligned; must outlive the engine; NULL when device_size is 0 */
	uint64_t device_size;			/* bytes */
	void *ctx;				/* handed to the functions below */
	int (*host_read)(void *ctx, uint64_t addr, void *buf, size_t len);
	int (*host_write)(void *ctx, uint64_t addr, const void *buf, size_t len);
	uint64_t clock_epoch_ns;		/* CLOCK_MONOTONIC at which TIMESTAMP's time is 0 */
};

struct snpu_engine;

/* Makes an engine. Returns 0, -EINVAL (a function is missing, or device is NULL with a size) or -ENOMEM. */
int snpu_engine_create(const struct snpu_engine_mem *mem, struct snpu_engine **engine)
	__attribute__((warn_unused_result));

/* Frees it; no job may be running. NULL is allowed. */
void snpu_engine_destroy(struct snpu_engine *engine);

struct snpu_engine_job {
	uint64_t pt_root;			/* table pointer to the level-3 table, SNPU_PTE_* */
	uint32_t asid;				/* 0 .. SNPU_ASIDS - 1; tags cached translations and the fault record */
	uint32_t queue;				/* copied into the fault record, means nothing to the engine */
	const struct snpu_job_desc *desc;	/* copied before the first packet; NULL: read at desc_va */
	uint64_t desc_va;			/* without desc: where the descriptor lies in the context's memory */
	uint64_t seqno;				/* and the number it must have */
	uint64_t status_va;			/* where struct snpu_user_status is written after DONE or FAULT; 0: nowhere */
	const struct snpu_engine_state *resume;	/* NULL: from the job's entry; otherwise what a PREEMPTED run left */
};

struct snpu_engine_result {
	enum snpu_eng_result result;		/* DONE, FAULT, PREEMPTED or ABORTED */
	struct snpu_fault fault;		/* code 0 unless FAULT */
	struct snpu_engine_state state;		/* valid = 1 only when PREEMPTED */
	uint64_t counter[SNPU_COUNTER_COUNT];	/* of the whole job, also of its earlier runs */
	struct snpu_job_desc desc;		/* as it was executed */
};

/*
 * Runs a job until it ends, faults, is preempted or is aborted, and fills *result. Each run executes at least one
 * packet before it honours a preemption, so that a job that is preempted again and again still moves. The job's
 * rows of PROFILE are added when it stops for whatever reason but an abort; when that fails, a job that would have
 * been DONE or PREEMPTED is a FAULT; and so is one that is DONE when its status cannot be written. Running out of host memory (an event list of many megabytes) is a BUS fault.
 */
void snpu_engine_run(struct snpu_engine *engine, const struct snpu_engine_job *job, struct snpu_engine_result *result);

/*
 * Asks the running job, or the next one when none runs, to stop: preempt at the next packet boundary, saving its
 * state; abort at the next memory access, losing it. The end of a run forgets both requests.
 */
void snpu_engine_preempt(struct snpu_engine *engine);
void snpu_engine_abort(struct snpu_engine *engine);

/* Forgets requests that came after a run ended. */
void snpu_engine_clear_requests(struct snpu_engine *engine);

/* A fault on purpose: the job of this queue, now or later, executes no further packet until it is aborted. Once. */
void snpu_engine_hang(struct snpu_engine *engine, uint32_t queue);

#define SNPU_ENGINE_ALL_ASIDS	(~0u)
/*
 * Drops cached translations of one address space or of all. While snpu_engine_invalidating() is true, an access that
 * started earlier may still use an old one; when no job runs it is false at once.
 */
void snpu_engine_invalidate(struct snpu_engine *engine, uint32_t asid);
bool snpu_engine_invalidating(const struct snpu_engine *engine);

/* Packets of the running job so far; those of the last job when none runs. */
uint64_t snpu_engine_progress(const struct snpu_engine *engine);

/* Totals of all jobs since creation or the last clear; counts of a running job come in steps. */
void snpu_engine_totals(const struct snpu_engine *engine, uint64_t counter[SNPU_COUNTER_COUNT]);
uint64_t snpu_engine_stalls(const struct snpu_engine *engine);	/* cycles, cleared with the totals */
void snpu_engine_clear_totals(struct snpu_engine *engine);

#endif
