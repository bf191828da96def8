/* SPDX-License-Identifier: MIT */
/*
 * Fetching a packet and judging it, in the order that hw/snpu_isa.def fixes. The operand lists are expanded from there,
 * so a new packet is checked without a line here; only its execution has to be written. Engine's thread.
 */
#include <string.h>

#include "sim/engine.h"

#define ELEMENTWISE_FIRST	0x40		/* opcodes whose outputs may lie exactly on an input */
#define ELEMENTWISE_LAST	0x5f

/* --- the operand lists --------------------------------------------------------------------------------------- */
static void add_ref(struct engine_args *a, const struct snpu_ref *ref, uint8_t access, uint32_t elem, uint64_t count)
{
	a->arg[a->n++] = (struct engine_arg){ .is_ref = true, .ref = *ref, .access = access, .align = elem < 4 ? 4 : elem,
					      .size = count * elem };
}

static void add_number(struct engine_args *a, uint32_t value, uint32_t min, uint32_t max)
{
	a->arg[a->n++] = (struct engine_arg){ .value = value, .min = min, .max = max };
}

enum { ACCESS_R = SNPU_ACCESS_READ, ACCESS_W = SNPU_ACCESS_WRITE, ACCESS_RW = SNPU_ACCESS_READ | SNPU_ACCESS_WRITE };

#define ARG_REF(name, access, elem, count, doc)	add_ref(a, &p->name, ACCESS_##access, elem, count);
#define ARG_U32(name, min, max, doc)		add_number(a, p->name, min, max);
#define ARG_U64(name, doc)			add_number(a, 0, 0, 0);
#define PKT(NAME, opcode, flags, args, doc)						\
	static void list_##NAME(const void *pkt, struct engine_args *a)			\
	{										\
		const struct snpu_pkt_##NAME *p = pkt;					\
		(void)p;								\
		a->n = 0;								\
		args									\
	}										\
	static int exec_##NAME(struct snpu_engine *e)					\
	{										\
		return engine_exec_##NAME(e, (const struct snpu_pkt_##NAME *)&e->pkt);	\
	}										\
	SNPU_HW_ASSERT(sizeof(struct snpu_pkt_##NAME) <= ENGINE_MAX_PKT, "packet " #NAME);
#include "snpu_isa.def"
#undef ARG_REF
#undef ARG_U32
#undef ARG_U64

/* Bytes of the fields, without the padding at the end. */
#define ARG_REF(name, access, elem, count, doc)	+ sizeof(struct snpu_ref)
#define ARG_U32(name, min, max, doc)		+ sizeof(uint32_t)
#define ARG_U64(name, doc)			+ sizeof(uint64_t)
static const struct packet_info {
	void (*list)(const void *pkt, struct engine_args *a);
	int (*exec)(struct snpu_engine *e);
	uint16_t size, used;			/* bytes with and without padding */
	uint8_t flags;				/* mask */
} packets[256] = {
#define PKT(NAME, opcode, flags_, args, doc)						\
	[opcode] = { list_##NAME, exec_##NAME, sizeof(struct snpu_pkt_##NAME),		\
		     (uint16_t)(sizeof(struct snpu_pkt_hdr) args), flags_ },
#include "snpu_isa.def"
};
#undef ARG_REF
#undef ARG_U32
#undef ARG_U64

int engine_fault(struct snpu_engine *e, enum snpu_fault_code code, unsigned int operand)
{
	e->fault.operand = operand;
	return code;
}

int engine_bad_data(struct snpu_engine *e, enum snpu_fault_code code, unsigned int operand, uint64_t off)
{
	e->fault.va = e->args.arg[operand].va + off;
	e->fault.access = SNPU_ACCESS_READ;
	return engine_fault(e, code, operand);
}

/* --- the packet as a whole ----------------------------------------------------------------------------------- */
static int fetch(struct snpu_engine *e, const struct packet_info **info)
{
	const struct snpu_region_binding *prog = &e->desc.region[SNPU_REGION_PROGRAM];
	struct snpu_pkt_hdr *hdr = &e->pkt.hdr;
	int r;

	memset(hdr, 0, sizeof(*hdr));
	if (e->pc > prog->size || sizeof(*hdr) > prog->size - e->pc)
		return SNPU_FAULT_OVERRUN;
	r = engine_read(e, prog->va + e->pc, hdr, sizeof(*hdr));
	if (r)
		return r;
	*info = &packets[hdr->opcode];
	if (!(*info)->exec)
		return SNPU_FAULT_BAD_OPCODE;
	if (hdr->words * 4u != (*info)->size)
		return SNPU_FAULT_BAD_SIZE;
	if ((*info)->size > prog->size - e->pc)
		return SNPU_FAULT_OVERRUN;
	return engine_read(e, prog->va + e->pc + sizeof(*hdr), e->pkt.bytes + sizeof(*hdr), (*info)->size - sizeof(*hdr));
}

static bool padding_set(const struct snpu_engine *e, const struct packet_info *info)
{
	for (unsigned int i = info->used; i < info->size; i++)
		if (e->pkt.bytes[i])
			return true;
	return false;
}

static int check_flags(struct snpu_engine *e, const struct packet_info *info)
{
	const struct snpu_pkt_hdr *hdr = &e->pkt.hdr;

	if ((hdr->flags & ~info->flags) || hdr->pad || padding_set(e, info))
		return SNPU_FAULT_BAD_FLAGS;
	if ((info->flags & SNPU_NEURON_RESET_MASK) == SNPU_NEURON_RESET_MASK &&
	    (hdr->flags & SNPU_NEURON_RESET_MASK) == SNPU_NEURON_RESET_MASK)
		return SNPU_FAULT_BAD_FLAGS;
	for (unsigned int i = 0; i < e->args.n; i++)
		if (e->args.arg[i].is_ref && SNPU_REF_RESERVED(&e->args.arg[i].ref))
			return engine_fault(e, SNPU_FAULT_BAD_FLAGS, i);
	return 0;
}

static int check_numbers(struct snpu_engine *e)
{
	for (unsigned int i = 0; i < e->args.n; i++) {
		const struct engine_arg *a = &e->args.arg[i];

		if (!a->is_ref && (a->value < a->min || a->value > a->max))
			return engine_fault(e, SNPU_FAULT_BAD_OPERAND, i);
	}
	return 0;
}

/* --- references ---------------------------------------------------------------------------------------------- */
static bool region_writable(uint32_t region)
{
#define REGION_WRITABLE(name, index, writable, doc)	| (uint32_t)(writable) << (index)
	return (0u SNPU_REGIONS(REGION_WRITABLE)) >> region & 1;
#undef REGION_WRITABLE
}

/* Applies the loops: false when the sum, which is then taken modulo 2^64, is not the offset. */
static bool ref_offset(const struct snpu_engine *e, const struct snpu_ref *ref, uint64_t *offset)
{
	bool fits = true;

	*offset = SNPU_REF_OFFSET(ref);
	for (unsigned int i = 0; i < e->st.depth; i++) {
		uint64_t index = e->st.loop_index[e->st.depth - 1 - i];

		/* 32 by 32 bits: the product cannot overflow. */
		fits &= !__builtin_add_overflow(*offset, index * ref->stride[i], offset);
	}
	return fits;
}

static int check_ref(const struct snpu_engine *e, struct engine_arg *a)
{
	uint32_t region = SNPU_REF_REGION(&a->ref);

	if (!a->size)
		return a->ref.addr || a->ref.stride[0] || a->ref.stride[1] ? SNPU_FAULT_BAD_OPERAND : 0;
	if (region >= SNPU_REGION_COUNT || region == SNPU_REGION_PROFILE || !e->desc.region[region].size ||
	    ((a->access & SNPU_ACCESS_WRITE) && !region_writable(region)))
		return SNPU_FAULT_BAD_REGION;

	const struct snpu_region_binding *b = &e->desc.region[region];
	bool fits = ref_offset(e, &a->ref, &a->offset);

	if (a->offset % a->align)		/* low bits are right even when the sum wrapped */
		return SNPU_FAULT_ALIGN;
	if (!fits || a->offset > b->size || a->size > b->size - a->offset)
		return SNPU_FAULT_BOUNDS;
	a->va = b->va + a->offset;
	return 0;
}

static bool overlap(const struct engine_arg *a, const struct engine_arg *b)
{
	return a->size && b->size && SNPU_REF_REGION(&a->ref) == SNPU_REF_REGION(&b->ref) &&
	       a->offset < b->offset + b->size && b->offset < a->offset + a->size;
}

static int check_overlaps(struct snpu_engine *e)
{
	bool elementwise = e->pkt.hdr.opcode >= ELEMENTWISE_FIRST && e->pkt.hdr.opcode <= ELEMENTWISE_LAST;

	for (unsigned int i = 0; i < e->args.n; i++) {
		const struct engine_arg *w = &e->args.arg[i];

		for (unsigned int k = 0; k < e->args.n; k++) {
			const struct engine_arg *o = &e->args.arg[k];
			bool alias = elementwise && o->access == SNPU_ACCESS_READ && o->offset == w->offset &&
				     o->size == w->size;

			if (k != i && (w->access & SNPU_ACCESS_WRITE) && overlap(w, o) && !alias)
				return engine_fault(e, SNPU_FAULT_BAD_OPERAND, i);
		}
	}
	return 0;
}

static int check_refs(struct snpu_engine *e)
{
	for (unsigned int i = 0; i < e->args.n; i++) {
		struct engine_arg *a = &e->args.arg[i];
		int r = a->is_ref ? check_ref(e, a) : 0;

		if (r)
			return engine_fault(e, r, i);
	}
	return check_overlaps(e);
}

int engine_decode(struct snpu_engine *e)
{
	const struct packet_info *info;
	int r = fetch(e, &info);

	if (r)
		return r;
	info->list(&e->pkt, &e->args);
	r = check_flags(e, info);
	if (r)
		return r;
	if (e->desc.profile_slots && e->pkt.hdr.slot >= e->desc.profile_slots)
		return SNPU_FAULT_BAD_SLOT;
	r = check_numbers(e);
	if (!r)
		r = check_refs(e);
	e->next_pc = e->pc + info->size;
	return r;
}

/* Every operand in full, in list order: the packets whose accesses depend on events do this themselves. */
static int probe_operands(struct snpu_engine *e)
{
	for (unsigned int i = 0; i < e->args.n; i++) {
		const struct engine_arg *a = &e->args.arg[i];
		int r = 0;

		if (!a->is_ref)
			continue;
		if (a->access & SNPU_ACCESS_READ)
			r = engine_arg_probe(e, i, 0, a->size, SNPU_ACCESS_READ);
		if (!r && (a->access & SNPU_ACCESS_WRITE))
			r = engine_arg_probe(e, i, 0, a->size, SNPU_ACCESS_WRITE);
		if (r)
			return r;
	}
	return 0;
}

int engine_execute(struct snpu_engine *e)
{
	uint8_t op = e->pkt.hdr.opcode;
	bool by_events = op == SNPU_OP_EVPACK || op == SNPU_OP_EVUNPACK || op == SNPU_OP_LINEAR || op == SNPU_OP_CONV || op == SNPU_OP_POOL ||
			 op == SNPU_OP_SPARSE || op == SNPU_OP_LOG;
	int r = by_events ? 0 : probe_operands(e);

	return r ? r : packets[op].exec(e);
}
