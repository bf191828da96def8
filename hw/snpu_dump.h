/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The file that the driver leaves in /sys/class/devcoredump when something went wrong: one header, then sections, each
 * with a head and count * stride bytes, padded to 8. A reader skips sections it does not know, and in one it knows the
 * bytes of an element that it does not; what an older driver did not write reads as zero. Numbers are little-endian.
 */
#ifndef SNPU_DUMP_H
#define SNPU_DUMP_H

#include "snpu_types.h"
#include "snpu_fw_abi.h"

#define SNPU_DUMP_MAGIC	0x504d554455504e53ull	/* "SNPUDUMP" read as little-endian bytes */
#define SNPU_DUMP_VERSION	1			/* changes that old readers would misread */
#define SNPU_DUMP_NOBODY	0xffffffffu

/* REASON(name, value, sentence for people) */
#define SNPU_DUMP_REASONS(REASON)						\
	REASON(FAULT, 1, "a job faulted")					\
	REASON(HANG, 2, "a job made no progress")				\
	REASON(RESET, 3, "the card was about to be reset")

#define SNPU_DUMP_ENUM(name, value, text) SNPU_DUMP_##name = (value),
enum snpu_dump_reason { SNPU_DUMP_REASONS(SNPU_DUMP_ENUM) };
#undef SNPU_DUMP_ENUM

struct snpu_dump_header {
	__u64 magic;
	__u32 version;
	__u32 header_size;			/* sizeof(struct snpu_dump_header) of the writer */
	__u64 size;				/* bytes of the whole file */
	__u32 sections;
	__u32 dropped;				/* sections for which there was no room */
	__u64 time_ns;				/* when it was taken, since 1970, UTC */
	__u64 boot_ns;				/* the same, since the machine started */
	__u32 reason;				/* enum snpu_dump_reason */
	__u32 queue;				/* hardware queue to blame, or SNPU_DUMP_NOBODY */
	__u32 serial;				/* of the card */
	__u32 hw_version;			/* HW_VERSION register */
	__u32 fw_version;			/* major << 16 | minor << 8 | patch */
	__u32 fw_abi;				/* negotiated, major << 16 | minor */
	__u32 resets;				/* of the card so far */
	__u32 pad;
	char text[96];				/* the driver's sentence, zero-terminated */
	char device[32];			/* PCI address */
	char kernel[64];			/* release */
};
SNPU_HW_ASSERT(sizeof(struct snpu_dump_header) == 272, "core dump header");

struct snpu_dump_section {
	__u32 type;				/* enum snpu_dump_type */
	__u32 count;				/* elements */
	__u32 stride;				/* bytes of each */
	__u32 arg;				/* PROGRAM: queue. TABLES: number of levels walked. Otherwise 0 */
	__u64 va;				/* PROGRAM: offset of the first byte in it. TABLES: the address. Otherwise 0 */
};
SNPU_HW_ASSERT(sizeof(struct snpu_dump_section) == 24, "core dump section");

/* SECTION(name, value, element, doc) */
#define SNPU_DUMP_SECTIONS(SECTION)						\
	SECTION(REGISTERS, 1, struct snpu_dump_register, "the host's registers whose reading changes nothing") \
	SECTION(FW_HEADER, 2, struct snpu_fw_header, "the firmware's header")	\
	SECTION(CRASH, 3, struct snpu_fw_crash, "what the firmware left when it crashed") \
	SECTION(LOG, 4, char, "the end of the firmware's log, text")		\
	SECTION(QUEUES, 5, struct snpu_dump_queue, "queues as the driver sees them; the one that faulted comes first") \
	SECTION(CONTEXTS, 6, struct snpu_dump_context, "the same as the card sees them") \
	SECTION(JOBS, 7, struct snpu_dump_job, "of the same, the descriptor that faulted, or the oldest unfinished one; seqno 0: none") \
	SECTION(TABLES, 8, __u64, "page-table entries that lead to the faulting address, from the root") \
	SECTION(PROGRAM, 9, __u8, "bytes of the program around the faulting packet") \
	SECTION(TRACE, 10, struct snpu_dump_event, "what the driver did last, oldest first")

#define SNPU_DUMP_ENUM(name, value, element, doc) SNPU_DUMP_##name = (value),
enum snpu_dump_type { SNPU_DUMP_SECTIONS(SNPU_DUMP_ENUM) };
#undef SNPU_DUMP_ENUM

struct snpu_dump_register {
	__u32 offset;				/* in BAR0, SNPU_REG_* */
	__u32 value;
};

struct snpu_dump_context {
	__u32 queue;
	__u32 pad;
	struct snpu_queue_ctx ctx;
};

/* Why a queue takes no more jobs: the bits of DRM_SNPU_QUEUE_*. */
enum snpu_dump_queue_flags {
	SNPU_DUMP_QUEUE_FAULTED = 1u << 0,
	SNPU_DUMP_QUEUE_TIMEDOUT = 1u << 1,
	SNPU_DUMP_QUEUE_LOST = 1u << 2,
};

struct snpu_dump_queue {
	__u32 queue;				/* hardware queue */
	__u32 flags;				/* enum snpu_dump_queue_flags */
	__u32 priority;
	__u32 resets;				/* that it lived through */
	__s32 stop_error;			/* negative errno; 0: it takes jobs */
	__u32 pad;
	__u64 base;				/* number that job 1 of the card is after */
	__u64 submitted;			/* jobs */
	__u64 pushed;
	__u64 retired;
	__u64 completed;
	__u64 busy_ns;
	__u64 cycles;
	struct snpu_fault fault;
	char name[24];
};
SNPU_HW_ASSERT(sizeof(struct snpu_dump_queue) == 168, "core dump queue");

struct snpu_dump_job {
	__u32 queue;
	__u32 slot;				/* of its ring */
	struct snpu_job_desc desc;
};

/* EVENT(name, value, sentence for people) */
#define SNPU_DUMP_EVENTS(EVENT)						\
	EVENT(PUSH, 1, "given to the card")					\
	EVENT(DONE, 2, "done")							\
	EVENT(FAULT, 3, "faulted")						\
	EVENT(KILL, 4, "stopped, because its job made no progress")				\
	EVENT(RESET, 5, "reset begins")						\
	EVENT(RUNNING, 6, "firmware runs again")

#define SNPU_DUMP_ENUM(name, value, text) SNPU_DUMP_EVENT_##name = (value),
enum snpu_dump_event_type { SNPU_DUMP_EVENTS(SNPU_DUMP_ENUM) };
#undef SNPU_DUMP_ENUM

struct snpu_dump_event {
	__u64 boot_ns;				/* since the machine started */
	__u32 type;				/* enum snpu_dump_event_type; 0: nothing yet */
	__u32 queue;				/* hardware queue, or SNPU_DUMP_NOBODY */
	__u64 job;				/* number in its queue, or of the reset */
};
SNPU_HW_ASSERT(sizeof(struct snpu_dump_event) == 24, "core dump event");

#endif
