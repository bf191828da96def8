/* SPDX-License-Identifier: MIT */
/*
 * The body of an innermost loop, judged for all iterations that are left: a network's time step is a few small packets, and judging
 * each of them every time costs more than executing them. Offsets only grow from one iteration to the next, so the next and the last one tell of
 * all. Nothing here faults: where a packet would, or might, the loop goes on packet by packet. Queue's thread, vm->lock held for reading.
 */
#include "backend/cpu/cpu.h"

/* Offsets of x->p's references in the next iteration and in the last. */
struct reach {
	uint64_t next[SNPU_PKT_MAX_REFS], last[SNPU_PKT_MAX_REFS];
};

static bool judge_ref(struct cpu_exec *x, unsigned int i, uint64_t left, struct cpu_line *line, struct reach *at)
{
	const struct cpu_ref *r = &x->p->ref[i];
	const struct snpu_region_binding *b = &x->desc->region[r->region];
	uint64_t way = left * r->stride[0];		/* both below 2^32 */

	line->ptr[i] = NULL;
	line->step[i] = 0;
	if (r->fault)
		return false;
	if (!r->size)
		return true;
	if (!cpu_offset(x, r, &at->next[i]) || !snpu_add(at->next[i], way, &at->last[i]))
		return false;
	if ((at->next[i] | (left ? r->stride[0] : 0)) & (r->align - 1u) || !snpu_range_ok(at->last[i], r->size, b->size))
		return false;
	line->va[i] = b->va + at->next[i];
	line->step[i] = r->stride[0];
	line->moves |= r->stride[0] != 0;
	line->ptr[i] = cpu_at(x, r->region, line->va[i], way + r->size, r->access);
	return line->ptr[i] != NULL;
}

/* Operands that move apart from each other must not meet anywhere; of the others the next iteration tells. */
static bool judge_overlaps(struct cpu_exec *x, const struct reach *at)
{
	const struct cpu_packet *p = x->p;

	if (!p->may_overlap)
		return true;
	for (unsigned int i = 0; i < p->n_refs; i++) {
		x->offset[i] = at->next[i];
		for (unsigned int k = 0; k < i; k++) {
			const struct cpu_ref *a = &p->ref[i], *b = &p->ref[k];

			if (!((a->access | b->access) & SNPU_ACCESS_WRITE) || !a->size || !b->size || a->region != b->region || a->stride[0] == b->stride[0])
				continue;
			if (at->next[i] < at->last[k] + b->size && at->next[k] < at->last[i] + a->size)
				return false;
		}
	}
	return !cpu_check_overlaps(x);
}

static bool judge(struct cpu_exec *x, uint64_t left, struct cpu_line *line)
{
	struct reach at = { 0 };

	line->p = x->p;
	line->moves = false;
	for (unsigned int i = 0; i < x->p->n_refs; i++)
		if (!judge_ref(x, i, left, line, &at))
			return false;
	return judge_overlaps(x, &at);
}

static unsigned int refuse(struct cpu_exec *x)
{
	x->refused_pc = x->pc;
	x->refused_job = x->job;
	return 0;
}

unsigned int cpu_lines(struct cpu_exec *x)
{
	unsigned int top = x->depth - 1;
	uint64_t left = x->loop_count[top] - 1 - x->loop_index[top], pc = x->pc;

	if (x->refused_pc == pc && x->refused_job == x->job)
		return 0;
	for (unsigned int n = 0; n < CPU_LINES; n++) {
		struct snpu_fault fault = x->fault;	/* what judging tries is no fault of the job's */
		const struct cpu_packet *p = &x->cache[pc / 8 % CPU_CACHE];
		unsigned int op = p->pkt.hdr.opcode;

		if (p->job != x->job || p->pc != pc)	/* bindings have changed since, or the loop is too long for the cache */
			return 0;
		x->p = p;
		if (op == SNPU_OP_LOOP || op == SNPU_OP_END || !judge(x, left, &x->line[n])) {
			x->fault = fault;
			return refuse(x);
		}
		if (op == SNPU_OP_NEXT)
			return n + 1;
		pc += p->bytes;
	}
	return refuse(x);
}
