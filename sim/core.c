/* SPDX-License-Identifier: MIT */
/*
 * The management core: the thread that boots it and runs it in slices, and what answers its loads and stores outside
 * the TCM: the control area and the core registers of hw/snpu_core.def. In WFI the thread sleeps until an interrupt or
 * the timer. The interpreter itself is rv32.c, the ROM boot.c.
 *
 * The bus functions run on the core's thread without the lock and take it for registers only. After a reset or CRASH the
 * rest of the slice runs on, but the bus is dead: it loads zeroes and stores nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim/boot.h"
#include "sim/card_priv.h"

#define SLICE		20000u			/* instructions between two looks at timer and resets: about 0.2 ms */

/* --- interrupt lines, with the lock held --------------------------------------------------------------------- */
static void core_lines(struct card *c)
{
	struct card_core *k = &c->core;

	rv32_line_set(&c->cpu, RV32_LINE_EXT, k->irq || k->db_pending);
	k->mtip = card_time(c) / 1000 >= k->mtimecmp;
	rv32_line_set(&c->cpu, RV32_LINE_TIMER, k->mtip);
}

static void core_kick(struct card *c)
{
	core_lines(c);
	c->core.kick = true;
	pthread_cond_signal(&c->core_wake);
}

void core_irq_raise(struct card *c, uint32_t causes)
{
	c->core.irq |= causes;
	core_kick(c);
}

void core_doorbell(struct card *c, unsigned int queue)
{
	c->core.db_pending |= 1ull << queue;
	core_kick(c);
}

void core_reset(struct card *c)
{
	c->core = (struct card_core){ .boot_state = SNPU_BOOT_IDLE, .state = SNPU_CORE_HALTED, .mtimecmp = UINT64_MAX };
	core_kick(c);
}

/* --- core registers ------------------------------------------------------------------------------------------ */
enum reg_access { RO = 1, WO = 2, RW = 3, RW1C = 3 };

/* Access of the register at an offset, 0 when there is none. */
static enum reg_access reg_access(uint32_t off)
{
	switch (off) {
#define COREREG(name, offset, access, doc)	case offset: return access;
#include "snpu_core.def"
	}
	return 0;
}

static uint32_t reg_read(struct card *c, enum snpu_core_reg reg)
{
	struct card_core *k = &c->core;
	uint64_t v;

	switch (reg) {
	case SNPU_CORE_REG_IRQ_PENDING:
		return k->irq | (k->db_pending ? SNPU_CORE_IRQ_DOORBELL : 0);
	case SNPU_CORE_REG_DB_PENDING_LO:
		return (uint32_t)k->db_pending;
	case SNPU_CORE_REG_DB_PENDING_HI:
		return (uint32_t)(k->db_pending >> 32);
	case SNPU_CORE_REG_MTIME_LO:
		v = card_time(c) / 1000;
		k->mtime_hi = (uint32_t)(v >> 32);
		return (uint32_t)v;
	case SNPU_CORE_REG_MTIME_HI:
		return k->mtime_hi;
	case SNPU_CORE_REG_MTIMECMP_LO:
		return (uint32_t)k->mtimecmp;
	case SNPU_CORE_REG_MTIMECMP_HI:
		return (uint32_t)(k->mtimecmp >> 32);
	case SNPU_CORE_REG_ENG_STATUS:
		return c->eng.state | c->eng.result << 8;
	case SNPU_CORE_REG_ENG_QUEUE:
		return k->eng_queue;
	case SNPU_CORE_REG_ENG_DESC:
		return k->eng_desc;
	case SNPU_CORE_REG_ENG_PROGRESS_LO:
		v = snpu_engine_progress(c->engine);
		k->progress_hi = (uint32_t)(v >> 32);
		return (uint32_t)v;
	case SNPU_CORE_REG_ENG_PROGRESS_HI:
		return k->progress_hi;
	case SNPU_CORE_REG_IRQ_CLEAR:
	case SNPU_CORE_REG_HOST_IRQ:
	case SNPU_CORE_REG_FW_VERSION:
	case SNPU_CORE_REG_CRASH:
	case SNPU_CORE_REG_ENG_CTRL:
		break;
	}
	return 0;
}

/* The core stops for good and the host is told. */
static void core_die(struct card *c, enum snpu_core_state how)
{
	c->core.state = how;
	card_irq_raise(c, SNPU_IRQ_STATUS_ERROR_MASK);
}

static void reg_write(struct card *c, enum snpu_core_reg reg, uint32_t v)
{
	struct card_core *k = &c->core;

	switch (reg) {
	case SNPU_CORE_REG_IRQ_CLEAR:
		k->irq &= ~v;
		break;
	case SNPU_CORE_REG_DB_PENDING_LO:
		k->db_pending &= ~(uint64_t)v;
		break;
	case SNPU_CORE_REG_DB_PENDING_HI:
		k->db_pending &= ~((uint64_t)v << 32);
		break;
	case SNPU_CORE_REG_HOST_IRQ:
		card_irq_raise(c, v);
		break;
	case SNPU_CORE_REG_FW_VERSION:
		k->fw_version = v;
		break;
	case SNPU_CORE_REG_CRASH:
		c->core_crashed = true;
		core_die(c, SNPU_CORE_CRASHED);
		break;
	case SNPU_CORE_REG_MTIMECMP_LO:
		k->mtimecmp = (k->mtimecmp & 0xffffffff00000000ull) | v;
		break;
	case SNPU_CORE_REG_MTIMECMP_HI:
		k->mtimecmp = (k->mtimecmp & 0xffffffffull) | (uint64_t)v << 32;
		break;
	case SNPU_CORE_REG_ENG_CTRL:
		engine_command(c, v);
		break;
	case SNPU_CORE_REG_ENG_QUEUE:
		k->eng_queue = v;
		break;
	case SNPU_CORE_REG_ENG_DESC:
		k->eng_desc = v;
		break;
	case SNPU_CORE_REG_IRQ_PENDING:
	case SNPU_CORE_REG_MTIME_LO:
	case SNPU_CORE_REG_MTIME_HI:
	case SNPU_CORE_REG_ENG_STATUS:
	case SNPU_CORE_REG_ENG_PROGRESS_LO:
	case SNPU_CORE_REG_ENG_PROGRESS_HI:
		break;
	}
	core_lines(c);
}

/* --- the bus ------------------------------------------------------------------------------------------------- */
static bool core_alive(const struct card *c)
{
	return atomic_load(&c->core_resets) == c->core_epoch && !c->core_crashed;
}

static uint8_t *ctl_window(struct card *c, uint32_t addr)
{
	/* Aligned accesses of up to 4 bytes never cross the end. */
	return addr - SNPU_CORE_CTL < SNPU_CTL_SIZE ? c->ctl + (addr - SNPU_CORE_CTL) : NULL;
}

static int core_load(void *card, uint32_t addr, unsigned int width, uint32_t *value)
{
	struct card *c = card;
	const uint8_t *p = ctl_window(c, addr);
	enum reg_access a;

	*value = 0;
	if (!core_alive(c))
		return 0;
	if (p) {
		*value = width == 1 ? __atomic_load_n(p, __ATOMIC_ACQUIRE) :
			 width == 2 ? __atomic_load_n((const uint16_t *)p, __ATOMIC_ACQUIRE) :
				      __atomic_load_n((const uint32_t *)p, __ATOMIC_ACQUIRE);
		return 0;
	}
	a = addr - SNPU_CORE_REGS < SNPU_CORE_REGS_SIZE ? reg_access(addr - SNPU_CORE_REGS) : 0;
	if (!a || width != 4)
		return -EFAULT;
	if (a & RO) {
		pthread_mutex_lock(&c->lock);
		*value = reg_read(c, addr - SNPU_CORE_REGS);
		pthread_mutex_unlock(&c->lock);
	}
	return 0;
}

/* Mapped doorbells have to know when a queue begins. */
static void note_queue_state(struct card *c, uint32_t addr, uint32_t value)
{
	uint32_t off = addr - SNPU_CORE_CTL - SNPU_CTL_QUEUES;

	if (off >= SNPU_QUEUES * SNPU_CTL_QUEUE_STRIDE || value != SNPU_QUEUE_READY ||
	    off % SNPU_CTL_QUEUE_STRIDE != offsetof(struct snpu_queue_ctx, state))
		return;
	pthread_mutex_lock(&c->lock);
	doorbell_queue_ready(c, off / SNPU_CTL_QUEUE_STRIDE);
	pthread_mutex_unlock(&c->lock);
}

static int core_store(void *card, uint32_t addr, unsigned int width, uint32_t value)
{
	struct card *c = card;
	uint8_t *p = ctl_window(c, addr);
	enum reg_access a;

	if (!core_alive(c))
		return 0;
	if (p) {
		if (width == 1)
			__atomic_store_n(p, (uint8_t)value, __ATOMIC_RELEASE);
		else if (width == 2)
			__atomic_store_n((uint16_t *)p, (uint16_t)value, __ATOMIC_RELEASE);
		else
			__atomic_store_n((uint32_t *)p, value, __ATOMIC_RELEASE);
		note_queue_state(c, addr, value);
		return 0;
	}
	a = addr - SNPU_CORE_REGS < SNPU_CORE_REGS_SIZE ? reg_access(addr - SNPU_CORE_REGS) : 0;
	if (!a || width != 4)
		return -EFAULT;
	if (a & WO) {
		pthread_mutex_lock(&c->lock);
		if (core_alive(c))		/* a reset that came since must not be answered by this store */
			reg_write(c, addr - SNPU_CORE_REGS, value);
		pthread_mutex_unlock(&c->lock);
	}
	return 0;
}

/* --- the thread ---------------------------------------------------------------------------------------------- */
/* The boot ROM. Copies the staged image first: the host could change it while it is being checked. Without the lock. */
static enum snpu_boot_error rom(struct card *c, uint32_t offset, uint32_t size, uint32_t min_security, uint32_t *entry)
{
	enum snpu_boot_error err;
	void *image;

	if (offset % 8 || offset > SNPU_CTL_SIZE || size > SNPU_CTL_SIZE - offset || size > SNPU_FW_MAX_SIZE)
		return SNPU_BOOT_ERR_RANGE;
	image = malloc(size ? size : 1);
	if (!image)
		return SNPU_BOOT_ERR_RANGE;
	memcpy(image, c->ctl + offset, size);
	err = boot_load(image, size, min_security, c->tcm, entry);
	free(image);
	return err;
}

/* With the lock held, which is let go meanwhile. True: the core runs. */
static bool core_boot(struct card *c)
{
	struct card_core *k = &c->core;
	uint32_t offset = c->host.fw_offset, size = c->host.fw_size, min_security = c->fw_min_security, entry = 0;
	enum snpu_boot_error err;

	k->boot_asked = false;
	c->core_crashed = false;
	c->core_epoch = atomic_load(&c->core_resets);
	pthread_mutex_unlock(&c->lock);
	err = rom(c, offset, size, min_security, &entry);
	pthread_mutex_lock(&c->lock);
	if (c->fault.dead || c->fault.boots) {
		err = SNPU_BOOT_ERR_HASH;
		c->fault.boots -= c->fault.boots > 0;
	}
	if (c->core_epoch != atomic_load(&c->core_resets))
		return false;
	k->boot_error = err;
	k->boot_state = err ? SNPU_BOOT_FAILED : SNPU_BOOT_RUNNING;
	if (err)
		return false;
	if (rv32_reset(&c->cpu, entry)) {	/* the ROM has checked the alignment */
		k->boot_error = SNPU_BOOT_ERR_ENTRY;
		k->boot_state = SNPU_BOOT_FAILED;
		return false;
	}
	k->state = SNPU_CORE_RUNNING;
	k->pc = entry;
	core_lines(c);
	return true;
}

/* Sleeps until the timer or a kick. With the lock held. */
static void core_sleep(struct card *c)
{
	struct card_core *k = &c->core;

	k->state = SNPU_CORE_WAITING;
	while (!k->kick && !c->quit && c->core_epoch == atomic_load(&c->core_resets)) {
		uint64_t deadline = k->mtimecmp < 1ull << 53 ? k->mtimecmp * 1000 + c->epoch_ns : UINT64_MAX;
		struct timespec t = { .tv_sec = (time_t)(deadline / 1000000000u), .tv_nsec = (long)(deadline % 1000000000u) };
		bool was = k->mtip;

		core_lines(c);
		if (k->mtip && !was)
			break;
		/* A timer that is already up does not end the WFI: the core has it disabled. */
		if (k->mtip || deadline == UINT64_MAX)
			pthread_cond_wait(&c->core_wake, &c->lock);
		else
			pthread_cond_timedwait(&c->core_wake, &c->lock, &t);
	}
	if (c->core_epoch == atomic_load(&c->core_resets))
		k->state = SNPU_CORE_RUNNING;
}

/* Runs until reset, crash, lockup or the end of the process. With the lock held, which is let go during slices. */
static void core_run(struct card *c)
{
	struct card_core *k = &c->core;

	while (!c->quit && c->core_epoch == atomic_load(&c->core_resets)) {
		enum rv32_stop why;

		k->kick = false;
		core_lines(c);
		pthread_mutex_unlock(&c->lock);
		why = rv32_run(&c->cpu, SLICE);
		pthread_mutex_lock(&c->lock);
		if (c->core_epoch != atomic_load(&c->core_resets))
			return;
		k->pc = c->cpu.pc;
		if (c->core_crashed)
			return;
		if (why == RV32_STOP_LOCKUP) {
			core_die(c, SNPU_CORE_LOCKUP);
			return;
		}
		if (why == RV32_STOP_WFI)
			core_sleep(c);
	}
}

void *core_thread(void *card)
{
	struct card *c = card;

	pthread_mutex_lock(&c->lock);
	while (!c->quit) {
		if (c->core.boot_asked && core_boot(c))
			core_run(c);
		else if (!c->core.boot_asked)
			pthread_cond_wait(&c->core_wake, &c->lock);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

const struct rv32_bus core_bus = { .load = core_load, .store = core_store };
