/* SPDX-License-Identifier: MIT */
/*
 * Inside the engine: what its files share. engine.c runs a job and owns the state; engine_decode.c checks packets;
 * engine_access.c moves bytes through the MMU; engine_{control,mem,event,linear,image,sparse,neuron,quant,spike,lm,attention}.c execute packets;
 * cost.c turns work into cycles and energy. All of it is on the thread in snpu_engine_run(), except the atomics.
 *
 * Codes: functions that can stop a packet return 0, a fault code (> 0, with va and access noted in `fault`), or
 * ENGINE_STOP when an abort came.
 */
#ifndef SNPU_SIM_ENGINE_H
#define SNPU_SIM_ENGINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sim/mmu.h"
#include "sim/snpu_engine.h"
#include "snpu_isa.h"

#define ENGINE_STOP	(-1)			/* the packet was given up because of an abort */
#define ENGINE_PIECE	0x10000u		/* bytes of one memory access, at most */
#define ENGINE_LANES	1024u			/* elements a kernel works on at a time */
#define ENGINE_BLOCK	(1u << 22)		/* elements that packets of many vectors keep on the card at a time */
#define ENGINE_MAX_ARGS	20u			/* operands of a packet */
#define ENGINE_MAX_PKT	136u			/* bytes of a packet */
#define ENGINE_NO_OPERAND (~0u)			/* the packet itself */

enum engine_request { ENGINE_PREEMPT = 1, ENGINE_ABORT = 2 };

/* An operand of the packet being executed. */
struct engine_arg {
	bool is_ref;
	/* U32 and U64 */
	uint32_t value, min, max;
	/* REF */
	struct snpu_ref ref;
	uint8_t access;				/* enum snpu_access bits */
	uint32_t align;				/* bytes */
	uint64_t size;				/* bytes it covers; 0: must be the zero reference */
	uint64_t offset;			/* in its region, loops applied; set by the check */
	uint64_t va;				/* likewise */
};

struct engine_args {
	unsigned int n;
	struct engine_arg arg[ENGINE_MAX_ARGS];
};

/* What the packet being executed did, for counters and cost. */
struct engine_work {
	uint64_t events, spikes, synops, skipped, updates;
	uint64_t fadd, fmul, fcmp;		/* binary32 operations; one in binary64 counts as two */
	uint64_t fdiv, fspecial;		/* divisions and square roots; exponentials, sines, cosines */
	uint64_t iadd8, imul8, iadd32, imul32;	/* integer operations */
	uint64_t scanned, sorted;		/* channels through the event sorter, entries that came out */
	uint64_t reuses;			/* weight bursts that were in the buffer already */
	uint64_t lanes_busy;			/* cycles of the 64 lanes */
	uint64_t vram_rd, vram_wr, host_rd, host_wr;	/* bytes as the counters define them */
	uint64_t vram_bursts, host_bursts;	/* of 64 bytes, both directions, page tables too */
	uint64_t walks, pte_device, pte_host;	/* table walks and their reads by memory */
};

/* Buffers that grow to what the packets so far needed and stay. */
enum engine_buffer {
	ENGINE_BUF_SUMS,			/* outputs that are being summed up */
	ENGINE_BUF_ACC,				/* accumulators besides */
	ENGINE_BUF_X,				/* inputs that stay on the card while other operands pass by */
	ENGINE_BUF_LISTS,			/* heads of spike lists */
	ENGINE_BUF_SPIKES,			/* their entries, list after list */
	ENGINE_BUF_HITS,			/* the same, channel after channel */
	ENGINE_BUF_STARTS,			/* where a channel's begin */
	ENGINE_BUFFERS
};

struct snpu_engine {
	struct snpu_engine_mem mem;
	struct mmu mmu;

	/* From other threads. */
	atomic_uint request;			/* enum engine_request bits */
	atomic_bool running;
	_Atomic uint64_t hang;			/* queue that hangs, + 1; 0: none */
	_Atomic uint64_t progress;
	_Atomic uint64_t total[SNPU_COUNTER_COUNT];
	_Atomic uint64_t stalls;		/* cycles; counted with the packet */

	/* The job. */
	struct snpu_job_desc desc;
	uint64_t pt_root;
	uint32_t asid, queue;
	struct snpu_engine_state st;
	uint64_t flushed[SNPU_COUNTER_COUNT];	/* part of st.counter that is in total */
	__u64 (*slot)[SNPU_COUNTER_COUNT];	/* [profile_slots], since the run began */
	size_t slot_room;			/* rows allocated */

	/* The packet. */
	uint64_t pc, next_pc;
	union {
		struct snpu_pkt_hdr hdr;
		uint8_t bytes[ENGINE_MAX_PKT];
	} pkt __attribute__((aligned(8)));
	bool ended;				/* END was executed */
	struct engine_args args;
	struct engine_work work;
	struct snpu_fault fault;

	/* Buffers of the kernels. */
	struct snpu_event *events;		/* [event_room] */
	size_t event_room;
	struct { void *p; size_t bytes; } buf[ENGINE_BUFFERS];
	float lane[14][ENGINE_LANES];		/* pieces of operands that do not lie in one page of device memory */
};

/* --- engine_decode.c --------------------------------------------------------------------------------------- */
/* Fetches the packet at e->pc into e->pkt, checks everything that isa.def lists, fills e->args. */
int engine_decode(struct snpu_engine *e) __attribute__((warn_unused_result));
/* Executes the packet that engine_decode() accepted. */
int engine_execute(struct snpu_engine *e) __attribute__((warn_unused_result));
/* Notes operand and code; returns the code. */
int engine_fault(struct snpu_engine *e, enum snpu_fault_code code, unsigned int operand);
/* The same for what was read at an offset of an operand. */
int engine_bad_data(struct snpu_engine *e, enum snpu_fault_code code, unsigned int operand, uint64_t off);

/* --- engine_access.c --------------------------------------------------------------------------------------- */
/* All take an address below 2^48 and note va and access in e->fault when they fail. */
int engine_read(struct snpu_engine *e, uint64_t va, void *buf, uint64_t len) __attribute__((warn_unused_result));
int engine_write(struct snpu_engine *e, uint64_t va, const void *buf, uint64_t len) __attribute__((warn_unused_result));
/* The same for an operand; offsets are bytes in the operand. */
int engine_arg_read(struct snpu_engine *e, unsigned int arg, uint64_t off, void *buf, uint64_t len)
	__attribute__((warn_unused_result));
int engine_arg_write(struct snpu_engine *e, unsigned int arg, uint64_t off, const void *buf, uint64_t len)
	__attribute__((warn_unused_result));
/* Translates a range of an operand without moving anything, so that what follows cannot fault half-way. */
int engine_arg_probe(struct snpu_engine *e, unsigned int arg, uint64_t off, uint64_t len, enum snpu_access access)
	__attribute__((warn_unused_result));
/*
 * Makes len bytes of an operand readable at *p: in place when they lie in one page of device memory, otherwise copied
 * to `tmp`. Others may change what lies in device memory, so it is for values that need no second look. len <= ENGINE_PIECE.
 */
int engine_arg_view(struct snpu_engine *e, unsigned int arg, uint64_t off, uint64_t len, void *tmp, const void **p)
	__attribute__((warn_unused_result));
/* Card time in ns. */
uint64_t engine_now(const struct snpu_engine *e);
int engine_read_pte(void *engine, bool device, uint64_t pa, uint64_t *pte);

/*
 * Sets *at, a pointer to anything, to a buffer of at least n elements of `elem` bytes with what it held before. A BUS
 * fault when there is no memory.
 */
int engine_room(struct snpu_engine *e, enum engine_buffer which, uint64_t n, size_t elem, void *at)
	__attribute__((warn_unused_result));

/* --- engine_event.c ---------------------------------------------------------------------------------------- */
/* Reads and checks the event list of operand 0 for n channels into e->events. */
int engine_read_events(struct snpu_engine *e, uint32_t n, uint32_t *count) __attribute__((warn_unused_result));

/* --- engine_spike.c ---------------------------------------------------------------------------------------- */
struct engine_list {
	uint32_t count;
	float vth;
	uint64_t first;				/* its entries in ENGINE_BUF_SPIKES */
	uint64_t ones;				/* bits that are set in the sizes of its counts */
	unsigned int planes;			/* bit length of the greatest of them */
};

/*
 * Reads and judges list `row` of operand 0, for n channels, into ENGINE_BUF_SPIKES from entry `at` on: *spikes is where
 * that buffer lies now.
 */
int engine_read_spikes(struct snpu_engine *e, uint64_t row, uint32_t n, uint64_t at, struct engine_list *list,
		       struct snpu_spike **spikes) __attribute__((warn_unused_result));

/* --- cost.c ------------------------------------------------------------------------------------------------ */
/* Adds what the packet did to a table of counters. words: length of the packet, 32-bit words. */
uint64_t cost_stalls(const struct engine_work *w);
void cost_count(const struct engine_work *w, unsigned int words, __u64 counter[SNPU_COUNTER_COUNT]);
/* Adds the floating-point operations of `ops`, and the cycles that 64 lanes need when each does one a cycle. */
void cost_float(struct engine_work *w, struct engine_work ops);

/* --- packets: one function each, named engine_exec_<NAME> ---------------------------------------------------- */
#define PKT(NAME, opcode, flags, args, doc)	int engine_exec_##NAME(struct snpu_engine *e, const struct snpu_pkt_##NAME *p);
#include "snpu_isa.def"

/* How many of `total` items of `size` elements are worked on together, so that a buffer stays small: at least one. */
static inline uint32_t engine_block(uint32_t total, uint64_t size)
{
	uint64_t fit = ENGINE_BLOCK / size;

	return fit < 1 ? 1 : fit < total ? (uint32_t)fit : total;
}

/* Element `tap` of a kernel lies on input element `in` in window *out, if in any. One axis. */
static inline bool engine_window_of(uint32_t in, uint32_t pad, uint32_t tap, uint32_t dilation, uint32_t stride, uint32_t windows, uint32_t *out)
{
	int64_t from = (int64_t)in + pad - (int64_t)tap * dilation;

	if (from < 0 || from % stride)
		return false;
	*out = (uint32_t)(from / stride);
	return *out < windows;
}

static inline uint32_t engine_min(uint64_t a, uint32_t b)
{
	return a < b ? (uint32_t)a : b;
}

#endif
