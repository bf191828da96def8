/* SPDX-License-Identifier: MIT */
/*
 * Inside the card. card.c owns it and resets it; card_regs.c answers the host; core.c is the management core's thread and
 * bus; card_engine.c the engine's thread; card_doorbell.c what the doorbells do.
 *
 * One lock, `lock`, guards every field below it and is held for moments only: never during an instruction, a packet, a
 * copy or a wait. `epoch` counts resets: a thread that finds another number than it started with works for
 * nobody any more, and nothing it does is seen.
 */
#ifndef SNPU_SIM_CARD_PRIV_H
#define SNPU_SIM_CARD_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "sim/card.h"
#include "sim/card_sensors.h"
#include "sim/rv32.h"
#include "sim/snpu_engine.h"
#include "snpu_core.h"
#include "snpu_fw_abi.h"
#include "snpu_regs.h"

struct card_irq {
	uint32_t status, mask;			/* IRQ_STATUS, IRQ_MASK */
};

/* Registers of the host side that only hold a value. */
struct card_host {
	uint32_t fw_offset, fw_size;
	uint32_t time_hi, energy_hi, stalls_hi;	/* latches */
	uint32_t counter_hi[SNPU_COUNTER_COUNT];
};

struct card_core {
	uint32_t boot_state, boot_error;	/* enum snpu_boot_state, _error */
	uint32_t state;				/* enum snpu_core_state */
	uint32_t pc, fw_version;
	bool boot_asked;
	bool kick;				/* something happened that may end a WFI */
	uint32_t irq;				/* IRQ_PENDING without DOORBELL */
	uint64_t db_pending;
	uint64_t mtimecmp;
	uint32_t mtime_hi, progress_hi;		/* latches */
	bool mtip;				/* level of the timer line */
	uint32_t eng_queue, eng_desc;
};

struct card_engine {
	uint32_t state, result;			/* enum snpu_eng_state, _result */
	bool asked, resume;			/* START or RESUME not yet taken by the thread */
	bool running;				/* a job is on the engine, perhaps one that a reset orphaned */
	uint32_t early;				/* PREEMPT or ABORT that came before the thread took the job, else 0 */
	uint32_t queue, desc;			/* of the job */
};

/* See card_fault(). */
struct card_faults {
	unsigned int boots;			/* that shall fail */
	bool dead, stuck, cold;
};

struct card {
	struct card_config cfg;
	uint64_t epoch_ns;			/* CLOCK_MONOTONIC at power-up */

	uint8_t *vram;				/* [cfg.vram_size] */
	uint8_t *ctl;				/* the control area, its last SNPU_CTL_SIZE bytes */
	int vram_fd;
	uint8_t *doorbell;			/* [SNPU_BAR_DOORBELL_SIZE] with doorbell_mmap, else NULL */
	int doorbell_fd;

	pthread_t core_thread, engine_thread, doorbell_thread;
	unsigned int threads;			/* of these, how many were started, in this order */
	struct rv32 cpu;			/* core thread */
	uint8_t *tcm;				/* [SNPU_CORE_TCM_SIZE], core thread */
	uint64_t core_epoch;			/* core thread: core_resets when it booted */
	bool core_crashed;			/* core thread: CRASH was written */
	struct snpu_engine *engine;

	_Atomic uint64_t epoch, core_resets;	/* changed under the lock; a soft reset counts for the core alone */
	pthread_mutex_t lock;
	pthread_cond_t core_wake, engine_wake, engine_idle, doorbell_wake;
	bool quit, powered;
	bool queues_exist;			/* the doorbells have to be looked at */
	uint32_t doorbell_seen[SNPU_QUEUES];	/* last tail that was rung, when they are mapped */
	uint32_t fw_min_security;		/* FW_MIN_SECURITY: outlives resets */
	struct card_irq irq;
	struct card_host host;
	struct card_core core;
	struct card_engine eng;
	struct card_sensors sensors;
	struct card_faults fault;
};

/* Nanoseconds of CLOCK_MONOTONIC, and since power-up. */
uint64_t card_now(void);
static inline uint64_t card_time(const struct card *c)
{
	return card_now() - c->epoch_ns;
}

/* --- with the lock held -------------------------------------------------------------------------------------- */
void card_irq_raise(struct card *c, uint32_t causes);
void card_reset_locked(struct card *c);
void card_reset_soft_locked(struct card *c);
/* Sets causes of the core's external interrupt and wakes it. */
void core_irq_raise(struct card *c, uint32_t causes);
void core_doorbell(struct card *c, unsigned int queue);
void core_reset(struct card *c);
/* Stores the tail and tells the core. */
void doorbell_ring(struct card *c, unsigned int queue, uint32_t tail);
void doorbell_queue_ready(struct card *c, unsigned int queue);
/* Every doorbell that was rung before has reached its context. */
void doorbell_sync(struct card *c);
void engine_command(struct card *c, uint32_t cmd);
void engine_reset(struct card *c);
void engine_reset_soft(struct card *c);
/* The sensors as of now. */
const struct card_sensors *engine_sensors(struct card *c);

/* --- without it ---------------------------------------------------------------------------------------------- */
/* Waits a moment for a job that a reset orphaned to leave the engine. */
void card_engine_settle(struct card *c);
extern const struct rv32_bus core_bus;
void *core_thread(void *card);
void *card_engine_thread(void *card);
void *card_doorbell_thread(void *card);

static inline struct snpu_queue_ctx *card_queue(struct card *c, unsigned int queue)
{
	return (struct snpu_queue_ctx *)(c->ctl + SNPU_CTL_QUEUE(queue));
}

#endif
