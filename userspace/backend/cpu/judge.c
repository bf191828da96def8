/* SPDX-License-Identifier: MIT */
/*
 * What packets of language models are told in memory and rely on: spike lists, row numbers, the residual's index and entries.
 * Judged by ascending address. All but the residual's entries is judged in a private copy, because others may write to that memory
 * in the meantime; the entries are as many as a model's weights may be, so they stay where they are, and kernels mask what
 * they read there. Queue's thread, vm->lock held for reading; operands lie at x->ptr in one piece.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/cpu.h"

static int bad(struct cpu_exec *x, int code, unsigned int ref, uint64_t off)
{
	x->fault.va = x->va[ref] + off;
	x->fault.access = SNPU_ACCESS_READ;
	return cpu_fault(x, code, x->p->ref[ref].arg);
}

void *cpu_room(struct cpu_exec *x, enum cpu_copy which, uint64_t bytes)
{
	size_t have = x->copy_bytes[which], want = bytes + 1;	/* never an empty array, whose address may be NULL */
	void *mem;

	if (want <= have)
		return x->copy[which];
	if (want < 2 * have)
		want = 2 * have;		/* lists of many rows grow row by row */
	mem = realloc(x->copy[which], want);
	if (!mem)
		return NULL;
	x->copy[which] = mem;
	x->copy_bytes[which] = want;
	return mem;
}

/* One list at byte `off` of the operand, to entries `at` and following of the copy. */
static int read_list(struct cpu_exec *x, unsigned int ref, uint64_t off, uint32_t n, uint64_t at, struct snpu_spikes *head)
{
	const uint8_t *list = (const uint8_t *)x->ptr[ref] + off;
	struct snpu_spike *spike;
	uint64_t next = 0;

	memcpy(head, list, sizeof(*head));
	if (head->count > n)
		return bad(x, SNPU_FAULT_BAD_EVENTS, ref, off);
	spike = cpu_room(x, CPU_SPIKES, (at + head->count) * sizeof(*spike));
	if (!spike)
		return cpu_no_memory(x, ref);
	spike += at;
	memcpy(spike, list + sizeof(*head), head->count * sizeof(*spike));
	for (uint32_t e = 0; e < head->count; e++) {
		if (spike[e].channel >= n || spike[e].channel < next)
			return bad(x, SNPU_FAULT_BAD_EVENTS, ref, off + sizeof(*head) + e * sizeof(*spike));
		next = spike[e].channel + 1ull;
	}
	return 0;
}

int cpu_read_spikes(struct cpu_exec *x, unsigned int ref, uint32_t n, uint32_t rows, struct snpu_spike_rows *out)
{
	uint64_t *first = cpu_room(x, CPU_FIRST, (rows + 1ull) * sizeof(*first));
	float *vth = cpu_room(x, CPU_VTH, rows * sizeof(*vth));

	if (!first || !vth)
		return cpu_no_memory(x, ref);
	first[0] = 0;
	for (uint32_t r = 0; r < rows; r++) {
		struct snpu_spikes head;
		int fault = read_list(x, ref, r * SNPU_EVENTS_WORDS(n) * 4, n, first[r], &head);

		if (fault)
			return fault;
		first[r + 1] = first[r] + head.count;
		vth[r] = head.vth;
	}
	*out = (struct snpu_spike_rows){ .spike = x->copy[CPU_SPIKES], .first = first, .vth = vth, .rows = rows };
	return 0;
}

int cpu_read_index(struct cpu_exec *x, unsigned int ref, uint32_t rows, uint32_t limit, const uint32_t **out)
{
	uint32_t *index = cpu_room(x, CPU_INDEX, rows * sizeof(*index));

	if (!index)
		return cpu_no_memory(x, ref);
	memcpy(index, x->ptr[ref], rows * sizeof(*index));
	for (uint32_t r = 0; r < rows; r++)
		if (index[r] >= limit)
			return bad(x, SNPU_FAULT_BAD_INDEX, ref, r * sizeof(*index));
	*out = index;
	return 0;
}

/* --- the residual ---------------------------------------------------------------------------------------------- */

struct entries {
	const struct snpu_residual *entry;
	atomic_size_t bad;			/* the first bad one found; SIZE_MAX: none */
};

#define ENTRIES	4096u				/* checked at a time, without a branch in between */

static bool any_bad(const struct snpu_residual *entry, size_t n)
{
	uint8_t channel = 0, output = 0;

	for (size_t i = 0; i < n; i++) {
		channel |= entry[i].channel;
		output |= entry[i].output;
	}
	return channel >= SNPU_GROUP || output >= SNPU_TILE;
}

static void check_entries(void *arg, size_t from, size_t n)
{
	struct entries *c = arg;
	size_t i = from, end = from + n, seen;

	for (size_t part; i < end; i += part) {
		part = end - i < ENTRIES ? end - i : ENTRIES;
		if (any_bad(c->entry + i, part))
			break;
	}
	while (i < end && !any_bad(c->entry + i, 1))
		i++;
	seen = atomic_load(&c->bad);
	while (i < end && i < seen && !atomic_compare_exchange_weak(&c->bad, &seen, i))
		;
}

int cpu_read_residual(struct cpu_exec *x, unsigned int ref, uint64_t cells, uint32_t n, const uint32_t **out)
{
	uint32_t *index = cpu_room(x, CPU_INDEX, (cells + 1) * sizeof(*index)), before = 0;
	struct entries c = { .entry = (const struct snpu_residual *)((const uint32_t *)x->ptr[ref] + cells + 1), .bad = SIZE_MAX };

	if (!index)
		return cpu_no_memory(x, ref);
	memcpy(index, x->ptr[ref], (cells + 1) * sizeof(*index));
	for (uint64_t i = 0; i <= cells; i++) {
		if (index[i] < before || index[i] > n || (i == 0 && index[i]) || (i == cells && index[i] != n))
			return bad(x, SNPU_FAULT_BAD_INDEX, ref, i * sizeof(*index));
		before = index[i];
	}
	cpu_share(x, check_entries, &c, n, cpu_tile(x, n, n / 8, ENTRIES));	/* eight entries take as long as a product */
	if (c.bad != SIZE_MAX)
		return bad(x, SNPU_FAULT_BAD_INDEX, ref, (cells + 1 + c.bad) * sizeof(*c.entry));
	*out = index;
	return 0;
}
