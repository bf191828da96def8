/* SPDX-License-Identifier: MIT */
/*
 * The life of a job on the CPU: packets one after the other, counters, profile, and the three ways to stop. Runs in the
 * queue's thread with vm->lock held for reading, given up between packets when somebody wants to change bindings.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/cpu.h"

static void lock_bindings(struct cpu_exec *x)
{
	pthread_rwlock_rdlock(&x->vm->lock);
	if (x->generation != x->vm->generation)
		memset(x->window, 0, sizeof(x->window));
	x->generation = x->vm->generation;
}

static int set_up(struct cpu_exec *x, const struct snpu_job_desc *desc)
{
	uint32_t rows = desc->profile_slots;

	x->desc = desc;
	x->job++;
	x->pc = desc->entry;
	x->depth = 0;
	x->ended = false;
	memset(&x->fault, 0, sizeof(x->fault));
	x->fault.operand = ~0u;
	if (rows > x->slot_room) {
		void *slot = reallocarray(x->slot, rows, sizeof(*x->slot));

		if (!slot)
			return SNPU_FAULT_BUS;
		x->slot = slot;
		x->slot_room = rows;
	}
	if (rows)
		memset(x->slot, 0, rows * sizeof(*x->slot));
	return 0;
}

static void count_packet(struct cpu_exec *x)
{
	uint64_t *row;

	if (!x->desc->profile_slots)
		return;
	row = x->slot[x->p->pkt.hdr.slot];
	x->work[SNPU_COUNTER_PACKETS] = 1;
	for (unsigned int c = 0; c < SNPU_COUNTER_COUNT; c++)
		row[c] += x->work[c];
}

/* The CPU's "cycles": time-stamp ticks, cheap enough to take around each packet. Good for shares of time only. */
static uint64_t ticks(void)
{
#ifdef __x86_64__
	return __builtin_ia32_rdtsc();
#else
	return (uint64_t)snpu_now_ns();
#endif
}

static int step(struct cpu_exec *x)
{
	uint64_t start = x->desc->profile_slots ? ticks() : 0;
	int fault;

	if (x->desc->profile_slots)
		memset(x->work, 0, sizeof(x->work));
	fault = cpu_check(x);
	if (!fault)
		fault = cpu_execute(x);
	if (x->desc->profile_slots)
		x->work[SNPU_COUNTER_CYCLES] = ticks() - start;
	if (!fault)
		count_packet(x);
	return fault;
}

/* Until END (0), a fault (> 0) or the queue is to stop (-1). */
static int run_packets(struct cpu_exec *x, const atomic_bool *stop)
{
	for (;;) {
		int fault = step(x);

		if (fault || x->ended)
			return fault;
		x->pc = x->next_pc;
		if (atomic_load_explicit(stop, memory_order_relaxed))
			return -1;
		if (atomic_load_explicit(&x->vm->writers, memory_order_relaxed)) {
			pthread_rwlock_unlock(&x->vm->lock);
			lock_bindings(x);
		}
	}
}

/* Adds the rows that changed to PROFILE. */
static int write_profile(struct cpu_exec *x)
{
	for (uint32_t s = 0; s < x->desc->profile_slots; s++) {
		uint64_t row[SNPU_COUNTER_COUNT], va = x->desc->region[SNPU_REGION_PROFILE].va + s * sizeof(row);
		int fault;

		if (!x->slot[s][SNPU_COUNTER_PACKETS])
			continue;
		fault = cpu_read(x, va, row, sizeof(row));
		if (fault)
			return fault;
		for (unsigned int c = 0; c < SNPU_COUNTER_COUNT; c++)
			row[c] += x->slot[s][c];
		fault = cpu_write(x, va, row, sizeof(row));
		if (fault)
			return fault;
	}
	return 0;
}

/* The profile of what did run is worth having after a fault too, but the first fault is the one to report. */
static int finish_profile(struct cpu_exec *x, int fault)
{
	struct snpu_fault first = x->fault;
	int r = write_profile(x);

	if (!fault)
		return r;
	x->fault = first;
	return fault;
}

enum soft_end cpu_run(struct soft_queue *queue, const struct snpu_job_desc *desc, struct snpu_fault *out)
{
	struct cpu_exec *x = &((struct cpu_queue *)queue)->exec;
	int fault = set_up(x, desc);

	lock_bindings(x);
	if (!fault) {
		fault = run_packets(x, &queue->stop);
		if (fault >= 0)
			fault = finish_profile(x, fault);
	}
	pthread_rwlock_unlock(&x->vm->lock);
	if (fault <= 0)
		return fault ? SOFT_STOPPED : SOFT_DONE;
	*out = x->fault;
	out->code = (uint32_t)fault;
	out->seqno = desc->seqno;
	out->pc = x->pc;
	for (unsigned int i = 0; i < x->depth; i++)
		out->loop_index[i] = x->loop_index[x->depth - 1 - i];
	return SOFT_FAULT;
}
