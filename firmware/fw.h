/* SPDX-License-Identifier: MIT */
/*
 * What the files of the firmware know of each other. The firmware is one loop on one hart: it sleeps in WFI with
 * mstatus.MIE = 0, and core_pass() then handles every pending cause to the end. No handler is ever interrupted, so
 * there is nothing to lock; a trap is always a crash. Handlers must be short, because the heartbeat waits for them.
 *
 * The control area is shared with the host, which may write anything into it at any time: an index or a message is
 * read once (READ_ONCE, or a copy), checked, and only the copy is used. What the firmware decides by is in its own memory.
 */
#ifndef FW_H
#define FW_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "snpu_core.h"
#include "snpu_fw_abi.h"
#include "snpu_regs.h"

#define READ_ONCE(x)		(*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v)	(*(volatile __typeof__(x) *)&(x) = (v))
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))

/* The statuses that replies carry, negated: the host kernel's numbers. */
enum { FW_ENOENT = 2, FW_EIO = 5, FW_EBUSY = 16, FW_EINVAL = 22, FW_EOPNOTSUPP = 95 };

/* --- core.c: registers, control area, the loop -------------------------------------------------------------- */
static inline uint32_t core_read(enum snpu_core_reg reg)
{
	return *(volatile uint32_t *)(SNPU_CORE_REGS + (uint32_t)reg);
}

static inline void core_write(enum snpu_core_reg reg, uint32_t value)
{
	*(volatile uint32_t *)(SNPU_CORE_REGS + (uint32_t)reg) = value;
}

/* Orders the core's memory and register accesses before it against those after it. */
static inline void core_fence(void)
{
	__asm__ volatile("fence iorw, iorw" ::: "memory");
}

static inline void *ctl_at(uint32_t offset)
{
	return (void *)(SNPU_CORE_CTL + offset);
}

#define FW_HEADER	((struct snpu_fw_header *)ctl_at(SNPU_CTL_HEADER))

/*
 * Low half first: a host that reads a growing counter between the two stores sees a number that is too small, never
 * one that has not been reached yet.
 */
static inline void ctl_put64(void *field, uint64_t value)
{
	volatile uint32_t *half = field;

	half[0] = (uint32_t)value;
	half[1] = (uint32_t)(value >> 32);
}

static inline uint64_t ctl_get64(const void *field)
{
	const volatile uint32_t *half = field;

	return half[0] | (uint64_t)half[1] << 32;
}

void core_boot(void);
void core_pass(void);

/* --- lib.c, fmt.c -------------------------------------------------------------------------------------------- */
void *memcpy(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
uint32_t bit_lowest(uint32_t v);	/* index of the lowest bit set; v is not 0 */

/* snprintf of %s %c %d %u %x %%, with l or ll, a width and 0-padding. Returns the characters put, without the zero. */
size_t fmt_vprint(char *buf, size_t size, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));
size_t fmt_print(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* --- log.c --------------------------------------------------------------------------------------------------- */
enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_LEVELS };

void log_init(void);
void log_level_set(enum log_level level);
void log_put(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* --- time.c -------------------------------------------------------------------------------------------------- */
#define TIME_NEVER	(~0ull)

void time_init(void);
uint64_t time_us(void);
bool time_tick(uint64_t now);		/* bumps the heartbeat when it is due, and says so */
void time_arm(uint64_t deadline_us);	/* next timer interrupt: at the deadline or the heartbeat, whichever is first */

/* --- event.c ------------------------------------------------------------------------------------------------- */
void event_init(void);
/* Sets one slot of the ring aside for event_put(); false: the ring has none left, and the host will ring when it has. */
bool event_reserve(void) __attribute__((warn_unused_result));
void event_release(void);
bool event_room(void);
/* Writes an event whose slot was set aside. *event starts with its head; only its type is taken from the caller. */
void event_put(void *event, size_t size);
void event_flush(void);
void event_reply(uint32_t id, uint32_t status, uint64_t value);

/* --- cmd.c --------------------------------------------------------------------------------------------------- */
void cmd_init(void);
void cmd_run(void);

/* --- queue.c ------------------------------------------------------------------------------------------------- */
struct queue {
	uint32_t state;			/* enum snpu_queue_state */
	uint32_t priority, asid, slots;
	uint64_t pt_root;
	uint32_t head;			/* jobs finished, modulo 2^32 */
	uint32_t tail;			/* jobs put in, as last read from the host and checked */
	bool bad_tail;			/* the host's tail is out of range */
	bool started;			/* the job at head has run; it holds a slot of the event ring */
	bool saved;			/* it was preempted: RESUME goes on with it */
	bool user;			/* the ring lies in the context's memory: the engine looks at the descriptors */
	bool closing;			/* QUEUE_DESTROY waits for the engine; its reply has a slot of the event ring */
	uint32_t closing_id;		/* of that command */
	uint64_t seqno_done, jobs;
	uint64_t busy_ns;		/* of the queue */
	uint64_t job_start_us, job_busy_us;
	uint64_t job_cycles;		/* the queue's cycle counter when the job started */
};

extern struct queue queues[SNPU_QUEUES];

static inline uint32_t queue_index(const struct queue *q)
{
	return (uint32_t)(q - queues);
}

static inline struct snpu_queue_ctx *queue_ctx(const struct queue *q)
{
	return ctl_at(SNPU_CTL_QUEUE(queue_index(q)));
}

void queue_init(void);
int queue_create(const struct snpu_fw_cmd_QUEUE_CREATE *cmd);
int queue_destroy(const struct snpu_fw_cmd_QUEUE_DESTROY *cmd, bool *later);
void queue_close(struct queue *q);
void queue_rung(struct queue *q);
/* The job at head is about to run for the first time, with a slot set aside for its event. False: the queue is faulted now. */
bool queue_job_begin(struct queue *q, uint64_t now);
void queue_job_ran(struct queue *q, uint64_t us);
void queue_job_done(struct queue *q, uint64_t now);
void queue_job_fault(struct queue *q, uint64_t now);

/* --- sched.c ------------------------------------------------------------------------------------------------- */
#define SCHED_PRIORITIES	4
#define SCHED_SLICE_US		1000u	/* engine time of a queue's turn while others of its priority wait */
#define SCHED_NONE		(~0u)

void sched_init(void);
void sched_update(const struct queue *q);	/* call after every change of what a queue could run */
void sched_engine_stopped(void);
void sched_progress(void);
void sched_run(void);
bool sched_abort(const struct queue *q);	/* false: the queue is not on the engine */

/* --- trap.c, start.S ------------------------------------------------------------------------------------------- */
struct trap_frame {
	uint32_t x[32];
	uint32_t pc, cause, value;
};

void trap_crash(const struct trap_frame *frame) __attribute__((noreturn));
void trap_again(void) __attribute__((noreturn));
/* Gives up: leaves a crash record with the message and stops the core. */
void panic(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
void crash_on_purpose(uint32_t how) __attribute__((noreturn));

#endif
