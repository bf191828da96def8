/* SPDX-License-Identifier: MIT */
/*
 * One simulated card: registers, device memory, doorbells, boot ROM, management core and engine behind the functions
 * that a PCI face (main.c) or a test calls. Knows nothing about vfio-user.
 *
 * Threads: a card has its own for the management core, the engine and, with mapped doorbells, for looking at them. The
 * functions below may be called from any thread, one reset at a time; none of them waits for guest memory.
 */
#ifndef SNPU_SIM_CARD_H
#define SNPU_SIM_CARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CARD_VRAM_MIN	(16ull << 20)		/* bytes; the control area is 4 MiB of it */
#define CARD_VRAM_MAX	(1ull << 40)

struct card;

struct card_config {
	uint64_t vram_size;			/* bytes, a power of two, CARD_VRAM_MIN .. CARD_VRAM_MAX */
	uint32_t serial;
	bool doorbell_mmap;			/* doorbells are plain memory that the card polls */
	void *ctx;				/* handed to the functions */
	void (*irq)(void *ctx, unsigned int vector);	/* sends a message; must not block or call the card */
	/* Guest memory, from the engine's thread: 0 or a negative errno. May block. */
	int (*host_read)(void *ctx, uint64_t addr, void *buf, size_t len);
	int (*host_write)(void *ctx, uint64_t addr, const void *buf, size_t len);
};

enum card_reset {
	CARD_RESET_FUNCTION,			/* FLR or bus reset: registers and core as after power-up, memory kept */
	CARD_RESET_POWER,			/* power cycle: memory is zero afterwards too */
};

/* -EINVAL: a rule above is broken; -ENOMEM and what memfd_create(2), mmap(2), pthread_create(3) say. */
int card_create(const struct card_config *cfg, struct card **card) __attribute__((warn_unused_result));
void card_destroy(struct card *card);

/* Register accesses, BAR as in hw/snpu_regs.h; off is inside the BAR. What no register answers reads as zero. */
void card_bar_read(struct card *card, unsigned int bar, uint64_t off, void *buf, size_t len);
void card_bar_write(struct card *card, unsigned int bar, uint64_t off, const void *buf, size_t len);

/* In D3hot registers read as all ones and ignore writes. */
void card_power(struct card *card, bool on);
/*
 * On return no interrupt is raised and no job runs, except that one that waits for guest memory ends as soon as it has
 * got it, without a trace.
 */
void card_reset(struct card *card, enum card_reset how);

/*
 * A fault on purpose, for tests of a driver; -EINVAL: there is no such fault.
 *	hang Q		the job of queue Q stays where it is at its next packet: only an abort helps, or a reset of the card
 *	stuck Q		the same, and the engine ignores PREEMPT and ABORT too: only a reset of the card helps
 *	boot N		the next N boots fail, whatever is reset in between
 *	dead		the core stops now, and no boot succeeds until the function is reset
 *	cold		the next reset is a loss of power: device memory is empty afterwards
 */
int card_fault(struct card *card, const char *what) __attribute__((warn_unused_result));

/* Memory behind a BAR, for mapping: VRAM, and the doorbells when doorbell_mmap. NULL: there is none. */
void *card_bar_mem(struct card *card, unsigned int bar, uint64_t *size, int *fd);

#endif
