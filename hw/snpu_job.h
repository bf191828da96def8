/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the engine reads and writes beside the program: regions, the job descriptor, the queue context with its fault
 * record and its saved state, counters, and the page-table format. Offsets are bytes, addresses are the context's
 * virtual addresses unless a name says otherwise.
 */
#ifndef SNPU_JOB_H
#define SNPU_JOB_H

#include "snpu_types.h"

#define COUNTER(name, unit, exact, doc)	SNPU_COUNTER_##name,
enum snpu_counter {
#include "snpu_counters.def"
	SNPU_COUNTER_COUNT
};

/*
 * Regions: the names a program uses for memory. A job binds each to a range of virtual addresses; a region that is
 * not bound has size 0. REGION(name, index, writable by packets, doc)
 */
#define SNPU_REGIONS(REGION)								\
	REGION(PROGRAM, 0, 0, "The packets. Execution starts at the job's entry.")	\
	REGION(WEIGHTS, 1, 0, "Synaptic weights.")					\
	REGION(CONST, 2, 0, "Neuron parameters, biases and other constants.")		\
	REGION(STATE, 3, 1, "What outlives a run: membrane potentials, currents, last outputs.") \
	REGION(INPUT, 4, 0, "Input arrays.")						\
	REGION(OUTPUT, 5, 1, "Output and recorded arrays.")				\
	REGION(SCRATCH, 6, 1, "Intermediate values; contents are undefined between jobs.") \
	REGION(TRACE, 7, 1, "Time stamps and trace records.")				\
	REGION(PROFILE, 8, 1, "Profile: u64 [slots][SNPU_COUNTER_COUNT], added to by the engine when the job stops, unless by an abort. Packets cannot name it.")

#define SNPU_REGION_ENUM(name, index, writable, doc) SNPU_REGION_##name = (index),
enum snpu_region { SNPU_REGIONS(SNPU_REGION_ENUM) };
#undef SNPU_REGION_ENUM
#define SNPU_REGION_COUNT	9
#define SNPU_REGION_SLOTS	12		/* entries in the descriptor; those past the last must be zero */

struct snpu_region_binding {
	__u64 va;				/* multiple of 64 */
	__u64 size;				/* bytes; 0: not bound */
};

/*
 * A job, as it lies in a queue's ring. BAD_DESC: flags, pad, reserved or an unused region entry is not 0; entry is not
 * a multiple of 8; PROGRAM is not bound; a region's va is not a multiple of 64 or its end passes 2^48; there are more
 * profile_slots than 65536 or than PROFILE has room for.
 */
struct snpu_job_desc {
	__u64 seqno;				/* number of the job in its queue, from 1 */
	__u32 entry;				/* offset of the first packet in PROGRAM, multiple of 8 */
	__u32 profile_slots;			/* rows of PROFILE, at most 65536; 0: no profile */
	__u32 flags;				/* must be 0 */
	__u32 pad;				/* must be 0 */
	__u64 reserved[5];			/* must be 0 */
	struct snpu_region_binding region[SNPU_REGION_SLOTS];
};
SNPU_HW_ASSERT(sizeof(struct snpu_job_desc) == 256, "job descriptor");

/* Why a queue stopped. FAULT(name, value, sentence for people) */
#define SNPU_FAULTS(FAULT)								\
	FAULT(NONE, 0, "no fault")							\
	FAULT(BAD_DESC, 1, "the job descriptor is malformed")				\
	FAULT(BAD_OPCODE, 2, "the packet's opcode is not defined")			\
	FAULT(BAD_SIZE, 3, "the packet's length does not fit its opcode")		\
	FAULT(BAD_FLAGS, 4, "the packet sets flags or reserved bits that are not defined") \
	FAULT(BAD_OPERAND, 5, "a number in the packet is outside its range")		\
	FAULT(BAD_REGION, 6, "an operand names a region that is not bound or may not be used that way") \
	FAULT(BOUNDS, 7, "an operand reaches past the end of its region")		\
	FAULT(ALIGN, 8, "an operand is not aligned to its element")			\
	FAULT(LOOP, 9, "LOOP and NEXT do not match, or are nested too deep")		\
	FAULT(OVERRUN, 10, "execution ran past the end of the program without END")	\
	FAULT(BAD_EVENTS, 11, "an event list is malformed: too long, out of order, or a channel out of range") \
	FAULT(BAD_SLOT, 12, "the packet's profile slot is past the profile's rows")	\
	FAULT(MMU_UNMAPPED, 13, "the address is not mapped")				\
	FAULT(MMU_READ, 14, "the address is mapped but not readable")			\
	FAULT(MMU_WRITE, 15, "the address is mapped but not writable")			\
	FAULT(MMU_TABLE, 16, "a page-table entry is malformed")				\
	FAULT(BUS, 17, "host or device memory refused the physical address")		\
	FAULT(KILLED, 18, "the driver destroyed the queue or timed the job out")	\
	FAULT(BAD_INDEX, 19, "a number in memory names a row, channel or output that does not exist")

#define SNPU_FAULT_ENUM(name, value, text) SNPU_FAULT_##name = (value),
enum snpu_fault_code { SNPU_FAULTS(SNPU_FAULT_ENUM) SNPU_FAULT_COUNT };
#undef SNPU_FAULT_ENUM

enum snpu_access {
	SNPU_ACCESS_NONE = 0,
	SNPU_ACCESS_READ = 1,
	SNPU_ACCESS_WRITE = 2,
};

/* Precise: names the one packet and the one access that failed. Everything before that packet is complete. */
struct snpu_fault {
	__u32 code;				/* enum snpu_fault_code */
	__u32 access;				/* enum snpu_access */
	__u64 seqno;				/* of the job */
	__u64 va;				/* faulting address; 0 when no access was made */
	__u64 pc;				/* offset of the packet in PROGRAM */
	__u32 packet;				/* its first 32-bit word; 0 when it could not be read */
	__u32 operand;				/* index of the operand in the packet's list, from 0; ~0: the packet itself */
	__u32 asid;
	__u32 queue;
	__u32 loop_index[2];			/* iteration of the innermost and the next loop */
	__u64 reserved;
};
SNPU_HW_ASSERT(sizeof(struct snpu_fault) == 64, "fault record");

#define SNPU_LOOP_DEPTH		2

/* Saved at a packet boundary by PREEMPT, restored by RESUME. Opaque to software. */
struct snpu_engine_state {
	__u64 pc;				/* next packet */
	__u64 loop_pc[SNPU_LOOP_DEPTH];		/* [0] is the outermost open loop */
	__u32 loop_count[SNPU_LOOP_DEPTH];
	__u32 loop_index[SNPU_LOOP_DEPTH];
	__u32 depth;
	__u32 valid;				/* 1: RESUME may use it */
	__u64 counter[SNPU_COUNTER_COUNT];	/* of the job so far */
	__u64 reserved[8];
};

/* One a queue, in the control area. Configuration is written by the firmware, the rest by the engine unless noted. */
struct snpu_queue_ctx {
	__u32 state;				/* firmware: enum snpu_queue_state */
	__u32 priority;				/* firmware: 0 lowest .. 3 highest */
	__u32 asid;				/* firmware: 1 .. SNPU_ASIDS - 1 */
	__u32 slots;				/* firmware: jobs the ring holds, power of two */
	__u64 pt_root;				/* firmware: page-table root, a table pointer (SNPU_PTE_*) */
	__u32 head;				/* firmware: jobs finished, modulo 2^32 */
	__u32 tail;				/* host: jobs put in, modulo 2^32; written before the doorbell */
	__u64 seqno_done;			/* firmware: seqno of the last job that finished, whatever its result */
	__u64 progress;				/* firmware, every heartbeat: packets of the running job so far */
	__u64 busy_ns;				/* firmware: time on the engine */
	__u64 jobs;				/* firmware: jobs finished */
	__u64 counter[SNPU_COUNTER_COUNT];	/* engine: totals of the queue, added when a job stops */
	struct snpu_fault fault;
	struct snpu_engine_state saved;		/* PREEMPT makes it valid, RESUME takes it */
	__u64 eng_started;			/* seqno of the job that START put on the engine last */
	__u64 eng_done;				/* seqno of the job that ended on the engine last, whatever its result but ABORTED */
	__u64 ring_va;				/* firmware: where the ring lies in the context's memory; 0: in the control area */
	__u64 status_va;			/* firmware: where struct snpu_user_status lies; 0: nowhere */
	__u64 notify;				/* host: a user queue's JOB_DONE is wanted from this seqno on; ~0: never */
	__u32 flags;				/* firmware: enum snpu_fw_queue_flags */
	__u32 pad;
};
SNPU_HW_ASSERT(sizeof(struct snpu_queue_ctx) <= 1024, "queue context");

/*
 * A user queue's ring is struct snpu_job_desc [slots] at ring_va; the job with number n is at n - 1 modulo slots. START
 * reads its descriptor from there through the context's page tables, once, into the control area's slot 0 of the
 * queue, where RESUME finds it; a number that is not the expected one is BAD_DESC. When a job ends with DONE or FAULT, the
 * engine writes this at status_va, seqno_done last. What it cannot read or write there is a fault of the queue.
 */
struct snpu_user_status {
	__u64 seqno_done;			/* number of the last job that ended */
	__u64 end_ns;				/* card time at that moment */
	__u64 cycles;				/* engine cycles of that job */
	__u32 fault;				/* enum snpu_fault_code of that job */
	__u32 pad;				/* 0 */
	__u64 reserved[4];			/* 0 */
};
SNPU_HW_ASSERT(sizeof(struct snpu_user_status) == 64, "queue status");

enum snpu_queue_state {
	SNPU_QUEUE_FREE = 0,
	SNPU_QUEUE_READY = 1,
	SNPU_QUEUE_FAULTED = 2,			/* runs nothing more until it is destroyed */
};

/*
 * Page tables: four levels of 512 entries of 8 bytes, bits 47:39, 38:30, 29:21 and 20:12 of the address, tables of
 * 4 KiB. An entry is either a table pointer (levels 3 to 1) or a leaf (level 1: 2 MiB, level 0: 4 KiB). A run of 16
 * aligned level-0 leaves with PTE_64K set maps 64 KiB that are contiguous and aligned to 64 KiB in memory too (entry k of
 * the run holds base + k * 4 KiB), all with the same other bits, and may be cached as one entry. An entry without VALID must be
 * zero. Tables and leaves lie in host memory (DMA addresses) or, with DEVICE, in device memory. Malformed (MMU_TABLE):
 * bits not named here, a leaf at level 3 or 2, a pointer at level 0 or with READ, WRITE or 64K, 64K at level 1, a leaf
 * whose address is not aligned to its page, a root that is not a table pointer. The card caches leaves, never tables
 * or empty entries: new mappings need no MMU_INVALIDATE, changed and removed ones do.
 */
#define SNPU_PTE_VALID		(1ull << 0)
#define SNPU_PTE_READ		(1ull << 1)	/* leaf only */
#define SNPU_PTE_WRITE		(1ull << 2)	/* leaf only */
#define SNPU_PTE_LEAF		(1ull << 3)
#define SNPU_PTE_DEVICE		(1ull << 4)
#define SNPU_PTE_64K		(1ull << 5)	/* level 0 leaf only */
#define SNPU_PTE_ADDR_MASK	0x000ffffffffff000ull
#define SNPU_PT_LEVELS		4
#define SNPU_PT_ENTRIES		512

#endif
