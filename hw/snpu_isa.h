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
/* In lists for the packets of integers the value is an s32: struct snpu_spike below. */
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

/* Flags of the packets of convolutional networks. */
enum snpu_conv_flags {
	SNPU_CONV_BIAS = 1 << 0,
	SNPU_POOL_AVG = 1 << 0,
};

/* Elements of an image [groups * channels][h][w]; one that is too large counts as 2^48, which no region holds. */
#define SNPU_IMAGE(groups, c, h, w)								\
	((__u64)(groups) * (c) > SNPU_MAX_N || (__u64)(groups) * (c) * (h) > SNPU_MAX_N ||	\
	 (__u64)(groups) * (c) * (h) * (w) > SNPU_MAX_N ? 1ull << 48 : (__u64)(groups) * (c) * (h) * (w))

/* Weights of CONV: output channels in a burst, bursts of an element of the kernel, and of all elements for one input channel. */
#define SNPU_CONV_LANES		16
#define SNPU_CONV_BURSTS(c_out)	(((c_out) + SNPU_CONV_LANES - 1) / SNPU_CONV_LANES)
#define SNPU_CONV_BLOCK(p)	((__u64)(p)->kernel_h * (p)->kernel_w * SNPU_CONV_BURSTS((p)->c_out))

/* 32-bit words of a delay's ring: its position, below slots, then f32 [slots][n]. */
#define SNPU_RING_WORDS(slots, n)	(1 + (__u64)(slots) * (n))

enum snpu_sparse_flags {
	SNPU_SPARSE_WEIGHTS = 1 << 0,		/* SPARSE: each synapse has a weight of its own */
	SNPU_LIFEXP_SHARED = 1 << 3,		/* LIFEXP: one set of parameters for all neurons */
};

/*
 * A row of SPARSE is a number of segments: synapses with one delay into one block of 65536 targets. A segment is a header, then
 * u16 target[count] in the block, filled up to a word, then with the flag WEIGHTS f32 weight[count].
 */
#define SNPU_SEGMENT(delay, block, count)	((__u32)(delay) << 16 | (__u32)(block) << 8 | ((__u32)(count) - 1))
#define SNPU_SEGMENT_DELAY(header)	((header) >> 16)		/* steps beyond the next */
#define SNPU_SEGMENT_BLOCK(header)	((header) >> 8 & 0xff)
#define SNPU_SEGMENT_COUNT(header)	(((header) & 0xff) + 1)		/* 1 to 256 */
#define SNPU_SEGMENT_MOST		256u
#define SNPU_SEGMENT_TARGETS		65536u
#define SNPU_SEGMENT_WORDS(count, weights)	(1 + ((count) + 1) / 2 + ((weights) ? (count) : 0))

/* A log of events; LOG adds to it, whoever reads it sets both numbers to 0. */
struct snpu_log {
	__u32 count;				/* entries so far, also those that did not fit; modulo 2^32 */
	__u32 step;				/* LOG packets so far, modulo 2^32 */
};
struct snpu_log_entry {
	__u32 step, channel;
};
#define SNPU_LOG_WORDS(room)	(2 + 2 * (__u64)(room))

#define SNPU_LIFEXP_PARAMS	9u

/* Flags of the packets of language models. */
enum snpu_lm_flags {
	SNPU_WEIGHTS_BF16 = 1 << 0,		/* GATHER, MATMUL: the matrix is bf16 */
	SNPU_MATMUL_BIAS = 1 << 3,
	SNPU_SPMV_BIAS = 1 << 0,
	SNPU_SPMV_RESIDUAL = 1 << 3,
	SNPU_SPMV_BIT_SERIAL = 1 << 4,
	SNPU_KV_INT8 = 1 << 3,			/* KV_APPEND, SWA: codes with scales; SWA's queries are spike lists */
};

/* What happens to v when a neuron fires, how v is compared, and how often and when. */
enum snpu_neuron_flags {
	SNPU_NEURON_RESET_VALUE = 0,		/* v = v_reset */
	SNPU_NEURON_RESET_SUBTRACT = 1,		/* v = v - v_threshold */
	SNPU_NEURON_RESET_DELTA = 2,		/* v = v - (v_threshold - v_reset) */
	SNPU_NEURON_RESET_MASK = 3,		/* 3 itself is not defined */
	SNPU_NEURON_GE = 1 << 2,		/* fires at v >= v_threshold instead of v > v_threshold */
	SNPU_NEURON_MULTI = 1 << 3,		/* fires v / v_threshold times in a step; one more parameter row: the most */
	SNPU_NEURON_LATE = 1 << 4,		/* a spike resets v in the step after it, behind that step's update */
	SNPU_NEURON_NOW = 1 << 5,		/* with LATE: what a step reset too much or too little is made good in that step */
	SNPU_NEURON_FLOOR = 1 << 6,		/* v does not go below a floor; one more parameter row, the last: the floor */
	SNPU_NEURON_FLAGS = 0x7f,		/* what IF, LIF and CUBALIF take */
	SNPU_NEURON_FLAGS_1_3 = 0x78,		/* what minor version 3 of the contract added */
};
/* Parameter rows of a neuron packet beyond those it always has. */
#define SNPU_NEURON_ROWS(flags)	((flags) & SNPU_NEURON_MULTI ? 1u + ((flags) & SNPU_NEURON_FLOOR ? 1u : 0u) : (flags) & SNPU_NEURON_FLOOR ? 1u : 0u)

/* --- integers --- */
enum snpu_q_flags {
	SNPU_Q_BIAS = 1 << 0,
	SNPU_Q_INT16 = 1 << 3,			/* weights are int16, else int8 */
};
#define SNPU_Q_WIDE(flags)	((flags) & SNPU_Q_INT16 ? 1u : 0u)	/* log2 of a weight's bytes */
#define SNPU_Q_MAX_SHIFT	15u
#define SNPU_Q_MAX_COUNT	0x7fffff	/* a count, or a number of spikes, is limited to +- this */
#define SNPU_Q_DECAY_BITS	16u		/* fractional bits of d */
#define SNPU_Q_DECAY_BITS_24	12u		/* with the flag 24 */

/* Weights of QCONV: bytes of an element of the kernel, and 64-byte bursts of all elements for one input channel. */
#define SNPU_QCONV_BURST(p)	((SNPU_CONV_BURSTS((p)->c_out) * (__u64)SNPU_CONV_LANES) << SNPU_Q_WIDE((p)->hdr.flags))
#define SNPU_QCONV_BLOCK(p)	(((__u64)(p)->kernel_h * (p)->kernel_w * SNPU_QCONV_BURST(p) + 63) / 64)

/* Flags of integer neurons. Those of enum snpu_neuron_flags that they have too are the same bits. */
enum snpu_qneuron_flags {
	SNPU_QNEURON_REFRACT = 1 << 4,		/* rests for some steps after a spike; a state row and a parameter row more, the last: steps left, steps */
	SNPU_QNEURON_24 = 1 << 5,		/* state of 24 bits and decays of 12, not of 32 and 16 */
	SNPU_QNEURON_FLAGS = SNPU_NEURON_RESET_MASK | SNPU_NEURON_GE | SNPU_NEURON_MULTI | SNPU_NEURON_FLOOR | SNPU_QNEURON_REFRACT | SNPU_QNEURON_24,
};
#define SNPU_QNEURON_STATES(flags)	((flags) & SNPU_QNEURON_REFRACT ? 1u : 0u)
#define SNPU_QNEURON_ROWS(flags)	(SNPU_NEURON_ROWS(flags) + SNPU_QNEURON_STATES(flags))

#define PKT(NAME, opcode, flags, args, doc)	SNPU_OP_##NAME = (opcode),
enum snpu_opcode {
#include "snpu_isa.def"
};

/*
 * The minor version of the contract that added an opcode: 1.1 brought the packets of language models, 1.3 those of images and delays,
 * 1.4 those of integers and of sparse connections.
 */
#define SNPU_OP_MINOR(op)										\
	(((op) >= SNPU_OP_QLINEAR && (op) <= SNPU_OP_LOG) || ((op) >= SNPU_OP_QADD && (op) <= SNPU_OP_QCUBALIF) ||	\
	 (op) == SNPU_OP_LIFEXP ? 4u :									\
	 (op) >= SNPU_OP_CONV && (op) <= SNPU_OP_DELAY_PULL ? 3u :					\
	 (op) == SNPU_OP_GATHER || (op) == SNPU_OP_ENCODE || (op) == SNPU_OP_SPMV || (op) == SNPU_OP_MATMUL ||	\
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
