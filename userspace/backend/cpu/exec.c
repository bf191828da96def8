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
	if (x->generation != x->vm->generation) {
		memset(x->window, 0, sizeof(x->window));
		x->job++;			/* the program itself may lie elsewhere now, or nowhere */
	}
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
	x->ptr = x->own_ptr;
	x->va = x->own_va;
	memset(&x->fault, 0, sizeof(x->fault));
	x->fault.operand = ~0u;
	if (rows > x->slot_room) {
		void *slot = reallocarray(x->slot, rows, sizeof(*x->slot)), *dense;

		if (slot)
			x->slot = slot;
		dense = slot ? reallocarray(x->dense, rows, sizeof(*x->dense)) : NULL;
		if (!dense)
			return SNPU_FAULT_BUS;
		x->dense = dense;
		x->slot_room = rows;
	}
	if (rows) {
		memset(x->slot, 0, rows * sizeof(*x->slot));
		memset(x->dense, 0, rows * sizeof(*x->dense));
	}
	return 0;
}

/* The CPU's "cycles": time-stamp ticks, cheap enough to take at each packet. Good for shares of time only. */
static uint64_t ticks(void)
{
#ifdef __x86_64__
	return __builtin_ia32_rdtsc();
#else
	return (uint64_t)snpu_now_ns();
#endif
}

#define CPU_LAST_COUNTER	SNPU_COUNTER_CYCLES	/* the others are the card's */

static void count_packet(struct cpu_exec *x)
{
	uint64_t *row = x->slot[x->p->pkt.hdr.slot], now = ticks();

	x->work[SNPU_COUNTER_PACKETS] = 1;
	x->work[SNPU_COUNTER_CYCLES] = now - x->ticks;
	x->ticks = now;
	for (unsigned int c = 0; c <= CPU_LAST_COUNTER; c++)
		row[c] += x->work[c];
}

/* Checks the packet, unless that has been done, executes and counts it. */
static int step(struct cpu_exec *x, bool checked)
{
	int fault = 0;

	if (x->desc->profile_slots)
		memset(x->work, 0, (CPU_LAST_COUNTER + 1) * sizeof(*x->work));
	if (!checked)
		fault = cpu_check(x);
	if (!fault)
		fault = checked ? cpu_operate(x) : cpu_execute(x);
	if (!fault && x->desc->profile_slots)
		count_packet(x);
	return fault;
}

static bool interrupted(const struct cpu_exec *x, const atomic_bool *stop)
{
	return atomic_load_explicit(stop, memory_order_relaxed) || atomic_load_explicit(&x->vm->writers, memory_order_relaxed);
}

static void move_on(struct cpu_line *line)
{
	for (unsigned int i = 0; i < line->p->n_refs && line->moves; i++)
		if (line->step[i]) {
			line->ptr[i] = (uint8_t *)line->ptr[i] + line->step[i];
			line->va[i] += line->step[i];
		}
}

/* A loop goes round: the rest of it, if it can be judged at once; until it ends or somebody wants to interrupt it. */
static int run_loop(struct cpu_exec *x, const atomic_bool *stop)
{
	uint64_t start = x->pc;
	unsigned int n = cpu_lines(x), i = 0;
	bool inside = n > 0;
	int fault = 0;

	while (inside && !fault && !interrupted(x, stop)) {
		struct cpu_line *line = &x->line[i];

		x->p = line->p;
		x->pc = line->p->pc;
		x->next_pc = x->pc + line->p->bytes;
		x->ptr = line->ptr;
		x->va = line->va;
		fault = step(x, true);
		if (!fault) {
			move_on(line);
			x->pc = x->next_pc;
			i = i + 1 < n ? i + 1 : 0;
			inside = i || x->pc == start;	/* else its NEXT has ended it */
		}
	}
	if (fault)
		memcpy(&x->fault.packet, &x->p->pkt, sizeof(x->fault.packet));
	x->ptr = x->own_ptr;
	x->va = x->own_va;
	return fault;
}

/* Until END (0), a fault (> 0) or the queue is to stop (-1). */
static int run_packets(struct cpu_exec *x, const atomic_bool *stop)
{
	x->ticks = ticks();
	for (;;) {
		int fault = step(x, false);
		bool round = x->next_pc < x->pc;

		if (fault || x->ended)
			return fault;
		x->pc = x->next_pc;
		if (round)
			fault = run_loop(x, stop);
		if (fault)
			return fault;
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
