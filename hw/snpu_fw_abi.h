/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The contract between the host driver and the firmware: the image file and the control area in device memory.
 * The host reaches the control area through BAR2 at CTL_OFFSET, the firmware at SNPU_CORE_CTL. Every index in it is
 * written by one side only; the other side reads it once per use and checks it. Memory order: the producer writes
 * the entry, then a write barrier, then the index, then rings (CMD_DOORBELL, queue doorbell, or interrupt).
 */
#ifndef SNPU_FW_ABI_H
#define SNPU_FW_ABI_H

#include "snpu_types.h"
#include "snpu_job.h"

#define SNPU_FW_ABI_MAJOR	1		/* must be equal on both sides */
#define SNPU_FW_ABI_MINOR	1		/* additions; each side uses the smaller of the two */

/* --- the image: header, section table, section data ------------------------------------------------------- */
#define SNPU_FW_MAGIC		0x57465553504e5331ull	/* "1SNPSUFW" read as little-endian bytes */
#define SNPU_FW_MAX_SIZE	0x00100000u
#define SNPU_FW_MAX_SECTIONS	8
#define SNPU_FW_NAME		"snpu/snpu-fw-1.bin"	/* the number is SNPU_FW_ABI_MAJOR */

struct snpu_fw_section {
	__u32 offset;				/* of its bytes in the image, multiple of 8 */
	__u32 size;				/* bytes in the image */
	__u32 load;				/* address in the core's memory, multiple of 4 */
	__u32 mem_size;				/* >= size; the rest is zeroed */
};

struct snpu_fw_image {
	__u64 magic;
	__u32 header_size;			/* sizeof(struct snpu_fw_image) of the ABI it was built for */
	__u16 abi_major;
	__u16 abi_minor;
	__u32 version;				/* major << 16 | minor << 8 | patch */
	__u32 image_size;			/* of the whole file */
	__u32 entry;				/* address of the first instruction */
	__u32 sections;				/* 1 .. SNPU_FW_MAX_SECTIONS */
	__u32 flags;				/* must be 0 */
	__u32 security_version;			/* grows when older images must not run any more; see FW_MIN_SECURITY */
	char build[32];				/* build id, zero-terminated */
	__u8 sha256[32];			/* of the whole image with this field zero */
	struct snpu_fw_section section[SNPU_FW_MAX_SECTIONS];	/* unused entries zero */
};
SNPU_HW_ASSERT(sizeof(struct snpu_fw_image) == 232, "firmware image header");
SNPU_HW_ASSERT(__builtin_offsetof(struct snpu_fw_image, security_version) == 36, "firmware image header");

/* --- the control area ------------------------------------------------------------------------------------- */
#define SNPU_CTL_SIZE		0x00400000u
#define SNPU_CTL_HEADER		0x00000000u	/* struct snpu_fw_header */
#define SNPU_CTL_CMD_RING	0x00001000u	/* struct snpu_fw_ring, then entries from + 0x100 */
#define SNPU_CTL_EVENT_RING	0x00004000u	/* likewise */
#define SNPU_CTL_CRASH		0x0000c000u	/* struct snpu_fw_crash */
#define SNPU_CTL_QUEUES		0x00010000u	/* struct snpu_queue_ctx, one every SNPU_CTL_QUEUE_STRIDE */
#define SNPU_CTL_QUEUE_STRIDE	0x00000400u
#define SNPU_CTL_LOG		0x00020000u	/* struct snpu_fw_log */
#define SNPU_CTL_RINGS		0x00100000u	/* struct snpu_job_desc [SNPU_QUEUES][SNPU_RING_SLOTS] */
#define SNPU_CTL_IMAGE		0x00200000u	/* where the host stages an image, SNPU_FW_MAX_SIZE bytes */
#define SNPU_RING_ENTRIES	0x100u		/* offset of the first entry from a ring's start */

#define SNPU_RING_SLOTS		64		/* jobs a queue's ring in the control area can hold */
#define SNPU_USER_SLOTS		4096		/* jobs a ring in a context's memory can hold */
#define SNPU_CMD_SLOTS		64
#define SNPU_EVENT_SLOTS	256
#define SNPU_LOG_BYTES		0xff00u		/* 64 KiB less the head */
#define SNPU_HEARTBEAT_US	100000u		/* the firmware bumps its heartbeat this often */

#define SNPU_CTL_QUEUE(q)	(SNPU_CTL_QUEUES + (__u32)(q) * SNPU_CTL_QUEUE_STRIDE)
#define SNPU_CTL_JOB(q, slot)	(SNPU_CTL_RINGS + ((__u32)(q) * SNPU_RING_SLOTS + (slot)) * (__u32)sizeof(struct snpu_job_desc))

#define SNPU_FW_HEADER_MAGIC	0x4c544353u	/* "SCTL"; written last, when the firmware is ready */

enum snpu_fw_state {
	SNPU_FW_STARTING = 0,
	SNPU_FW_READY = 1,
	SNPU_FW_CRASHED = 2,
};

struct snpu_fw_header {
	__u32 magic;				/* firmware; the host zeroes it before boot */
	__u16 abi_major, abi_minor;		/* firmware */
	__u32 state;				/* firmware: enum snpu_fw_state */
	__u32 version;				/* firmware */
	__u32 queues;				/* firmware: queues it can run */
	__u32 log_level;			/* firmware */
	__u64 heartbeat;			/* firmware: +1 every SNPU_HEARTBEAT_US while it is healthy */
	__u32 running_queue;			/* firmware: queue on the engine, ~0 when idle */
	__u32 event_waiting;			/* firmware: 1 while the event ring is too full to go on. The host reads it after writing the event head, and rings CMD_DOORBELL when it is set. */
	char build[32];				/* firmware: from its image */
	__u64 running_since_us;			/* firmware: card time at which the job of running_queue got onto the engine, written before it; 0: an older firmware, which does not tell. running_queue changes before that time goes into busy_ns, here and in the queue's context. */
	__u64 busy_ns;				/* firmware: time on the engine, of all queues since boot */
};

/* Indices count entries ever written/read, modulo 2^32; slot = index modulo the ring's size. */
struct snpu_fw_ring {
	__u32 head;				/* consumer */
	__u32 pad0[15];
	__u32 tail;				/* producer */
	__u32 pad1[15];
};

struct snpu_fw_log {
	__u64 written;				/* firmware: bytes ever written; the last SNPU_LOG_BYTES of them are in data */
	__u64 pad[31];
	char data[SNPU_LOG_BYTES];		/* text, lines end in \n; position = written modulo SNPU_LOG_BYTES */
};

#define SNPU_FW_CRASH_MAGIC	0x48535243u	/* "CRSH" */
struct snpu_fw_crash {
	__u32 magic;				/* written last */
	__u32 cause;				/* mcause; ~0 for an assertion */
	__u32 pc;
	__u32 value;				/* mtval */
	__u32 x[32];				/* registers at the crash */
	__u64 time_us;
	char message[128];			/* zero-terminated */
};

enum snpu_fw_queue_flags {
	SNPU_FW_QUEUE_KEEP = 1u << 0,		/* go on where the context says the queue was */
	SNPU_FW_QUEUE_USER = 1u << 1,		/* the ring lies in the context's memory */
};

struct snpu_fw_cmd_head {
	__u32 id;				/* chosen by the host, returned in REPLY */
	__u32 op;				/* enum snpu_fw_op */
	__u64 pad;				/* must be 0 */
};
struct snpu_fw_event_head {
	__u32 type;				/* enum snpu_fw_event_type */
	__u32 pad;
	__u64 time_us;				/* when it was written */
};

#define SNPU_FW_MSG_SIZE	64		/* every ring entry */

#define F32(name, doc)	__u32 name;
#define F64(name, doc)	__u64 name;
#define FW_CMD(NAME, op_, fields, doc)		struct snpu_fw_cmd_##NAME { struct snpu_fw_cmd_head head; fields };
#define FW_EVENT(NAME, type_, fields, doc)	struct snpu_fw_event_##NAME { struct snpu_fw_event_head head; fields };
#include "snpu_fw.def"
#undef F32
#undef F64

#define FW_CMD(NAME, op_, fields, doc)	SNPU_FW_OP_##NAME = (op_),
enum snpu_fw_op {
#include "snpu_fw.def"
};

#define FW_EVENT(NAME, type_, fields, doc)	SNPU_FW_EVENT_##NAME = (type_),
enum snpu_fw_event_type {
#include "snpu_fw.def"
};

#define FW_CMD(NAME, op_, fields, doc) \
	SNPU_HW_ASSERT(sizeof(struct snpu_fw_cmd_##NAME) <= SNPU_FW_MSG_SIZE, "command " #NAME);
#define FW_EVENT(NAME, type_, fields, doc) \
	SNPU_HW_ASSERT(sizeof(struct snpu_fw_event_##NAME) <= SNPU_FW_MSG_SIZE, "event " #NAME);
#include "snpu_fw.def"

#endif
