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

/*
 * Spike list: a header with the threshold, which is what one spike is worth, then entries in strictly ascending channel
 * order. Any count is allowed, also 0. Lists of several vectors follow each other, each with room for all channels.
 */
struct snpu_spikes {
	__u32 count;
	float vth;
};
struct snpu_spike {
	__u32 channel;
	__s32 count;				/* signed number of spikes */
};

#define SNPU_GROUP		128			/* input channels that share a scale */

/*
 * Residual of SPMV: what the codes that int8 cannot hold exceed it by. First u32 index[n_out / 64 rounded up][groups], each
 * the number of entries before those of that tile and group, and one more word, the number of all entries (n_residual).
 * So the first is 0, none is less than the one before it or more than n_residual, and the last is n_residual: BAD_INDEX for
 * the first word that is otherwise. Then the entries, in any order inside a group, also several for one weight.
 */
struct snpu_residual {
	__u8 channel;				/* in the group, below 128 */
	__u8 output;				/* in the tile, below 64 */
	__s16 code;				/* added to the int8 code */
};
#define SNPU_RESIDUAL_WORDS(n_out, groups, n)	((__u64)SNPU_TILES(n_out) * (groups) + 1 + (n))

/* 32-bit words of a matrix of f32, or of bf16 with the flag BF16. */
#define SNPU_MATRIX_WORDS(flags, rows, n) \
	((flags) & SNPU_WEIGHTS_BF16 ? ((__u64)(rows) * (n) + 1) / 2 : (__u64)(rows) * (n))

/*
 * The cache of a sliding-window layer, a ring of positions: f32 k[kv][slots][d], then f32 v[kv][slots][d]. With INT8:
 * int8 k[kv][slots][d], int8 v[kv][slots][d], filled up to whole words, f32 k_scale[kv][slots], f32 v_scale[kv][slots].
 */
#define SNPU_KV_WORDS(flags, kv, slots, d) \
	((flags) & SNPU_KV_INT8 ? SNPU_KV_CODE_WORDS(kv, slots, d) + 2ull * (kv) * (slots) : 2ull * (kv) * (slots) * (d))
#define SNPU_KV_CODE_WORDS(kv, slots, d)	((2ull * (kv) * (slots) * (d) + 3) / 4)
#define SNPU_SWA_Q_WORDS(flags, heads, d) \
	((flags) & SNPU_KV_INT8 ? (heads) * SNPU_EVENTS_WORDS(d) : (heads) * (__u64)(d))

#define SNPU_TILE		64			/* outputs in one weight burst */
#define SNPU_TILES(n_out)	(((n_out) + SNPU_TILE - 1) / SNPU_TILE)

enum snpu_linear_flags {
	SNPU_LINEAR_BIAS = 1 << 0,
};

/* Flags of the packets of language models. */
enum snpu_lm_flags {
	SNPU_WEIGHTS_BF16 = 1 << 0,		/* GATHER, MATMUL: the matrix is bf16 */
	SNPU_MATMUL_BIAS = 1 << 3,
	SNPU_SPMV_BIAS = 1 << 0,
	SNPU_SPMV_RESIDUAL = 1 << 3,
	SNPU_SPMV_BIT_SERIAL = 1 << 4,
	SNPU_KV_INT8 = 1 << 3,			/* KV_APPEND, SWA: codes with scales; SWA's queries are spike lists */
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

/* The minor version of the contract that added an opcode: 1.1 brought the packets of language models. */
#define SNPU_OP_MINOR(op)										\
	((op) == SNPU_OP_GATHER || (op) == SNPU_OP_ENCODE || (op) == SNPU_OP_SPMV || (op) == SNPU_OP_MATMUL ||	\
	 (op) == SNPU_OP_SILU_MUL || (op) >= SNPU_OP_RMSNORM ? 1u : 0u)

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
