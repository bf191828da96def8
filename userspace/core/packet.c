/* SPDX-License-Identifier: MIT */
/* The tables of packet.h, expanded from hw/. Constant data. */
#include "core/packet.h"

#include <stdbool.h>
#include <stddef.h>

#include "snpu/snpu.h"

enum { ACCESS_R = SNPU_ACCESS_READ, ACCESS_W = SNPU_ACCESS_WRITE, ACCESS_RW = SNPU_ACCESS_READ | SNPU_ACCESS_WRITE };

#define ARG_REF(name, access, elem, count, doc)	+ 1
#define ARG_U32(name, min, max, doc)		+ 1
#define ARG_U64(name, doc)			+ 1
#define PKT(NAME, opcode, flags, args, doc)	n_args_##NAME = (0 args),
enum {
#include "snpu_isa.def"
};
#undef ARG_REF
#undef ARG_U32
#undef ARG_U64

/* Bytes of the fields, without the padding word at the end. */
#define ARG_REF(name, access, elem, count, doc)	+ sizeof(struct snpu_ref)
#define ARG_U32(name, min, max, doc)		+ sizeof(uint32_t)
#define ARG_U64(name, doc)			+ sizeof(uint64_t)
#define PKT(NAME, opcode, flags, args, doc)	used_##NAME = (sizeof(struct snpu_pkt_hdr) args),
enum {
#include "snpu_isa.def"
};
#undef ARG_REF
#undef ARG_U32
#undef ARG_U64

#define ARG_REF(name, access, elem, count, doc)	*c++ = (count);
#define ARG_U32(name, min, max, doc)		*c++ = 0;
#define ARG_U64(name, doc)			*c++ = 0;
#define PKT(NAME, opcode, flags, args, doc)					\
	static void counts_##NAME(const void *pkt, uint64_t *c)			\
	{									\
		const struct snpu_pkt_##NAME *p = pkt;				\
		(void)p;							\
		(void)c;							\
		args								\
	}									\
	_Static_assert(sizeof(struct snpu_pkt_##NAME) <= SNPU_PKT_MAX_BYTES, "packet " #NAME);	\
	_Static_assert(n_args_##NAME <= SNPU_PKT_MAX_ARGS, "packet " #NAME);
#include "snpu_isa.def"
#undef ARG_REF
#undef ARG_U32
#undef ARG_U64

/* A function a packet, because only inside one can the operand list name its packet's type (P). */
#define ARG_REF(name_, access_, elem_, count, doc)				\
	{ .name = #name_, .kind = SNPU_ARG_REF, .access = ACCESS_##access_, .elem = (elem_), .offset = offsetof(P, name_) },
#define ARG_U32(name_, min_, max_, doc)						\
	{ .name = #name_, .kind = SNPU_ARG_U32, .min = (min_), .max = (max_), .offset = offsetof(P, name_) },
#define ARG_U64(name_, doc)							\
	{ .name = #name_, .kind = SNPU_ARG_U64, .offset = offsetof(P, name_) },
#define PKT(NAME, opcode_, flags_, args, doc)					\
	static const struct snpu_pkt_desc *desc_##NAME(void)			\
	{									\
		typedef struct snpu_pkt_##NAME P;				\
		static const struct snpu_pkt_desc d = {				\
			.name = #NAME, .opcode = (opcode_), .flags = (flags_), .bytes = sizeof(P),	\
			.used = used_##NAME, .n_args = n_args_##NAME, .counts = counts_##NAME, .arg = { args } };	\
		return &d;							\
	}
#include "snpu_isa.def"
#undef ARG_REF
#undef ARG_U32
#undef ARG_U64

static const struct snpu_pkt_desc *(*const table[256])(void) = {
#define PKT(NAME, opcode, flags, args, doc)	[opcode] = desc_##NAME,
#include "snpu_isa.def"
};

const struct snpu_pkt_desc *snpu_pkt_desc(unsigned int opcode)
{
	return opcode < 256 && table[opcode] ? table[opcode]() : NULL;
}

void snpu_pkt_opcodes(uint64_t opcodes[4])
{
	for (unsigned int op = 0; op < 256; op++)
		if (table[op])
			opcodes[op / 64] |= 1ull << op % 64;
}

bool snpu_pkt_flags_ok(const struct snpu_pkt_desc *desc, unsigned int flags)
{
	if (flags & ~(unsigned int)desc->flags)
		return false;
	return (desc->flags & SNPU_NEURON_RESET_MASK) != SNPU_NEURON_RESET_MASK ||
	       (flags & SNPU_NEURON_RESET_MASK) != SNPU_NEURON_RESET_MASK;
}

bool snpu_pkt_elementwise(const struct snpu_pkt_desc *desc)
{
	return desc->opcode >= SNPU_OPS_ELEMENTWISE_FIRST && desc->opcode <= SNPU_OPS_ELEMENTWISE_LAST;
}

static const struct {
	const char *name;
	bool writable;
} regions[SNPU_REGION_COUNT] = {
#define REGION(name_, index, writable_, doc) [index] = { #name_, writable_ },
	SNPU_REGIONS(REGION)
#undef REGION
};

const char *snpu_region_name(unsigned int region)
{
	return region < SNPU_REGION_COUNT ? regions[region].name : NULL;
}

bool snpu_region_writable(unsigned int region)
{
	return region < SNPU_REGION_COUNT && regions[region].writable;
}

bool snpu_region_nameable(unsigned int region)
{
	return region < SNPU_REGION_COUNT && region != SNPU_REGION_PROFILE;
}

const char *snpu_fault_text(unsigned int code)
{
	static const char *const text[] = {
#define FAULT(name, value, sentence) [value] = sentence,
		SNPU_FAULTS(FAULT)
#undef FAULT
	};

	return code < SNPU_FAULT_COUNT && text[code] ? text[code] : "the device reports a fault that this library does not know";
}

static const struct {
	const char *name, *unit;
	int exact;
} counters[] = {
#define COUNTER(name, unit, exact, doc) { #name, unit, exact },
#include "snpu_counters.def"
};

unsigned int snpu_counters(void)
{
	return SNPU_COUNTER_COUNT;
}

const char *snpu_counter_name(unsigned int counter)
{
	return counter < SNPU_COUNTER_COUNT ? counters[counter].name : NULL;
}

const char *snpu_counter_unit(unsigned int counter)
{
	return counter < SNPU_COUNTER_COUNT ? counters[counter].unit : NULL;
}

int snpu_counter_exact(unsigned int counter)
{
	return counter < SNPU_COUNTER_COUNT && counters[counter].exact;
}
