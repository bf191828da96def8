/* SPDX-License-Identifier: MIT */
/*
 * Fetches a packet and judges it, in the order that hw/snpu_isa.def fixes. What does not depend on loops is judged once
 * in a run, because a loop over time steps comes to the same packets again and again and a program does not change while it runs;
 * if somebody does change it, the private copy is what counts. Queue's thread, vm->lock held for reading.
 */
#include <string.h>

#include "backend/cpu/cpu.h"

int cpu_fault(struct cpu_exec *x, int code, unsigned int operand)
{
	x->fault.operand = operand;
	return code;
}

static bool program_has(const struct cpu_exec *x, uint64_t bytes)
{
	return snpu_range_ok(x->pc, bytes, x->desc->region[SNPU_REGION_PROGRAM].size);
}

/* --- once ---------------------------------------------------------------------------------------------------- */

/* Reads the packet into p->pkt as far as its header says what it is. */
static int fetch(struct cpu_exec *x, struct cpu_packet *p, const struct snpu_pkt_desc **d)
{
	uint64_t va = x->desc->region[SNPU_REGION_PROGRAM].va + x->pc;
	int fault;

	if (!program_has(x, sizeof(p->pkt.hdr)))
		return SNPU_FAULT_OVERRUN;
	fault = cpu_read(x, va, &p->pkt.hdr, sizeof(p->pkt.hdr));
	if (fault)
		return fault;
	memcpy(&x->fault.packet, &p->pkt.hdr, sizeof(x->fault.packet));
	*d = snpu_pkt_desc(p->pkt.hdr.opcode);
	if (!*d)
		return SNPU_FAULT_BAD_OPCODE;
	if (p->pkt.hdr.words * 4u != (*d)->bytes)
		return SNPU_FAULT_BAD_SIZE;
	if (!program_has(x, (*d)->bytes))
		return SNPU_FAULT_OVERRUN;
	p->bytes = (*d)->bytes;
	return cpu_read(x, va + sizeof(p->pkt.hdr), p->pkt.byte + sizeof(p->pkt.hdr), p->bytes - sizeof(p->pkt.hdr));
}

static const struct snpu_ref *ref_of(const struct cpu_packet *p, const struct snpu_arg_desc *arg)
{
	return (const void *)(p->pkt.byte + arg->offset);
}

static int check_flags(struct cpu_exec *x, const struct cpu_packet *p, const struct snpu_pkt_desc *d)
{
	if (!snpu_pkt_flags_ok(d, p->pkt.hdr.flags) || p->pkt.hdr.pad)
		return SNPU_FAULT_BAD_FLAGS;
	for (unsigned int i = d->used; i < d->bytes; i++)
		if (p->pkt.byte[i])
			return SNPU_FAULT_BAD_FLAGS;
	for (unsigned int i = 0; i < d->n_args; i++)
		if (d->arg[i].kind == SNPU_ARG_REF && SNPU_REF_RESERVED(ref_of(p, &d->arg[i])))
			return cpu_fault(x, SNPU_FAULT_BAD_FLAGS, i);
	if (x->desc->profile_slots && p->pkt.hdr.slot >= x->desc->profile_slots)
		return SNPU_FAULT_BAD_SLOT;
	return 0;
}

static int check_numbers(struct cpu_exec *x, const struct cpu_packet *p, const struct snpu_pkt_desc *d)
{
	for (unsigned int i = 0; i < d->n_args; i++) {
		uint32_t v;

		if (d->arg[i].kind != SNPU_ARG_U32)
			continue;
		memcpy(&v, p->pkt.byte + d->arg[i].offset, sizeof(v));
		if (v < d->arg[i].min || v > d->arg[i].max)
			return cpu_fault(x, SNPU_FAULT_BAD_OPERAND, i);
	}
	return 0;
}

static struct cpu_ref prepare_ref(const struct cpu_exec *x, const struct snpu_pkt_desc *d, const struct cpu_packet *p,
				  unsigned int i, uint64_t count)
{
	const struct snpu_arg_desc *arg = &d->arg[i];
	const struct snpu_ref *ref = ref_of(p, arg);
	struct cpu_ref r = { .arg = (uint8_t)i, .access = arg->access, .align = arg->elem < 4 ? 4 : arg->elem,
			     .region = (uint8_t)SNPU_REF_REGION(ref), .offset = SNPU_REF_OFFSET(ref), .size = count * arg->elem,
			     .stride = { ref->stride[0], ref->stride[1] } };

	if (!count)
		r.fault = ref->addr || ref->stride[0] || ref->stride[1] ? SNPU_FAULT_BAD_OPERAND : 0;
	else if (!snpu_region_nameable(r.region) || !x->desc->region[r.region].size ||
		 ((r.access & SNPU_ACCESS_WRITE) && !snpu_region_writable(r.region)))
		r.fault = SNPU_FAULT_BAD_REGION;
	return r;
}

static void prepare_refs(const struct cpu_exec *x, struct cpu_packet *p, const struct snpu_pkt_desc *d)
{
	uint64_t count[SNPU_PKT_MAX_ARGS];
	unsigned int n = 0;

	d->counts(&p->pkt, count);
	for (unsigned int i = 0; i < d->n_args; i++)
		if (d->arg[i].kind == SNPU_ARG_REF)
			p->ref[n++] = prepare_ref(x, d, p, i, count[i]);
	p->n_refs = (uint8_t)n;
	p->elementwise = snpu_pkt_elementwise(d);
	p->may_overlap = false;
	for (unsigned int i = 0; i < n; i++)
		for (unsigned int k = 0; k < n; k++)
			if (i != k && (p->ref[i].access & SNPU_ACCESS_WRITE) && p->ref[i].size && p->ref[k].size &&
			    p->ref[i].region == p->ref[k].region)
				p->may_overlap = true;
}

static int decode(struct cpu_exec *x, struct cpu_packet *p)
{
	const struct snpu_pkt_desc *d;
	int fault;

	p->job = 0;
	fault = fetch(x, p, &d);
	if (!fault)
		fault = check_flags(x, p, d);
	if (!fault)
		fault = check_numbers(x, p, d);
	if (fault)
		return fault;
	prepare_refs(x, p, d);
	p->pc = x->pc;
	p->job = x->job;
	return 0;
}

/* --- each time ----------------------------------------------------------------------------------------------- */

/* The offset is then the sum's low bits. */
bool cpu_offset(const struct cpu_exec *x, const struct cpu_ref *r, uint64_t *offset)
{
	bool fits = true;
	uint64_t step;

	*offset = r->offset;
	for (unsigned int i = 0; i < x->depth; i++) {
		/* Both factors are 32 bits. */
		step = (uint64_t)x->loop_index[x->depth - 1 - i] * r->stride[i];
		fits &= !__builtin_add_overflow(*offset, step, offset);
	}
	return fits;
}

static int check_ref(struct cpu_exec *x, unsigned int i)
{
	const struct cpu_ref *r = &x->p->ref[i];
	const struct snpu_region_binding *b;
	bool fits;

	if (r->fault)
		return r->fault;
	if (!r->size)
		return 0;
	b = &x->desc->region[r->region];
	fits = cpu_offset(x, r, &x->offset[i]);
	if (x->offset[i] & (r->align - 1u))
		return SNPU_FAULT_ALIGN;
	if (!fits || !snpu_range_ok(x->offset[i], r->size, b->size))
		return SNPU_FAULT_BOUNDS;
	x->va[i] = b->va + x->offset[i];
	return 0;
}

static bool overlap(const struct cpu_exec *x, unsigned int i, unsigned int k)
{
	const struct cpu_ref *a = &x->p->ref[i], *b = &x->p->ref[k];

	return a->size && b->size && a->region == b->region && x->offset[i] < x->offset[k] + b->size &&
	       x->offset[k] < x->offset[i] + a->size;
}

int cpu_check_overlaps(struct cpu_exec *x)
{
	const struct cpu_packet *p = x->p;

	for (unsigned int i = 0; i < p->n_refs; i++) {
		for (unsigned int k = 0; k < p->n_refs; k++) {
			bool same = p->elementwise && p->ref[k].access == SNPU_ACCESS_READ && x->offset[i] == x->offset[k] &&
				    p->ref[i].size == p->ref[k].size;

			if (i != k && (p->ref[i].access & SNPU_ACCESS_WRITE) && overlap(x, i, k) && !same)
				return cpu_fault(x, SNPU_FAULT_BAD_OPERAND, p->ref[i].arg);
		}
	}
	return 0;
}

int cpu_check(struct cpu_exec *x)
{
	struct cpu_packet *p = &x->cache[x->pc / 8 % CPU_CACHE];
	int fault = 0;

	x->fault.packet = 0;
	if (p->job != x->job || p->pc != x->pc)
		fault = decode(x, p);
	if (fault)
		return fault;
	x->p = p;
	memcpy(&x->fault.packet, &p->pkt, sizeof(x->fault.packet));
	for (unsigned int i = 0; i < p->n_refs; i++) {
		fault = check_ref(x, i);
		if (fault)
			return cpu_fault(x, fault, p->ref[i].arg);
	}
	x->next_pc = x->pc + p->bytes;
	return p->may_overlap ? cpu_check_overlaps(x) : 0;
}
