/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Packet layouts from snpu_isa.def, references, event lists and flags. For whoever writes or executes programs: the
 * compiler, the engine, the CPU backend, the disassembler. The kernel driver never parses a program.
 */
#ifndef SNPU_ISA_H
#define SNPU_ISA_H

#include "snpu_types.h"
#include "snpu_job.h"

struct snpu_pkt_hdr {
	__u8 opcode;
	__u8 flags;				/* only those the opcode defines */
	__u16 words;				/* of the whole packet, 32-bit words, even */
	__u16 slot;				/* row of the profile that this packet's counters go to */
	__u16 pad;				/* must be 0 */
};

/*
 * An operand in memory: byte offset in a region, and how far it moves with the loops around it. The zero reference
 * (all fields 0) means "none" where the operand list allows it.
 */
struct snpu_ref {
	__u64 addr;				/* region << 56 | offset; bits 55:48 must be 0 */
	__u32 stride[SNPU_LOOP_DEPTH];		/* bytes an iteration: [0] innermost loop, [1] the next */
};

#define SNPU_REF_REGION(r)	((__u32)((r)->addr >> 56))
#define SNPU_REF_OFFSET(r)	((r)->addr & 0x0000ffffffffffffull)
#define SNPU_REF_RESERVED(r)	((r)->addr & 0x00ff000000000000ull)
#define SNPU_REF_ADDR(region, offset)	((__u64)(region) << 56 | (offset))

/* Event list: a header, then entries in strictly ascending channel order. */
struct snpu_events {
	__u32 count;
	__u32 pad;				/* must be 0 */
};
struct snpu_event {
	__u32 channel;
	float value;
};
#define SNPU_EVENTS_WORDS(n)	(2 + 2 * (__u64)(n))	/* 32-bit words of a list with room for n entries */

#define SNPU_TILE		64			/* outputs in one weight burst */
#define SNPU_TILES(n_out)	(((n_out) + SNPU_TILE - 1) / SNPU_TILE)

enum snpu_linear_flags {
	SNPU_LINEAR_BIAS = 1 << 0,
};

/* What happens to v when a neuron fires, and how v is compared. */
enum snpu_neuron_flags {
	SNPU_NEURON_RESET_VALUE = 0,		/* v = v_reset */
	SNPU_NEURON_RESET_SUBTRACT = 1,		/* v = v - v_threshold */
	SNPU_NEURON_RESET_DELTA = 2,		/* v = v - (v_threshold - v_reset) */
	SNPU_NEURON_RESET_MASK = 3,		/* 3 itself is not defined */
	SNPU_NEURON_GE = 1 << 2,		/* fires at v >= v_threshold instead of v > v_threshold */
};

#define PKT(NAME, opcode, flags, args, doc)	SNPU_OP_##NAME = (opcode),
enum snpu_opcode {
#include "snpu_isa.def"
};

/* In these, a written operand may lie exactly on one that is only read. */
#define SNPU_OPS_ELEMENTWISE_FIRST	0x40
#define SNPU_OPS_ELEMENTWISE_LAST	0x5f

#define ARG_REF(name, access, elem, count, doc)	struct snpu_ref name;
#define ARG_U32(name, min, max, doc)		__u32 name;
#define ARG_U64(name, doc)			__u64 name;
#define PKT(NAME, opcode, flags, args, doc)				\
	struct snpu_pkt_##NAME {					\
		struct snpu_pkt_hdr hdr;				\
		args							\
	} __attribute__((aligned(8)));
#include "snpu_isa.def"
#undef ARG_REF
#undef ARG_U32
#undef ARG_U64

#endif
