/* SPDX-License-Identifier: MIT */
/*
 * What the host reads and writes: the registers of hw/snpu_regs.def in BAR0, trapped doorbells in BAR4, and interrupts.
 * Everything takes the lock for one register; nothing waits.
 */
#include <string.h>

#include "sim/card_priv.h"

enum reg_access { RO = 1, WO = 2, RW = 3, RW1C = 3 };

#define COUNTER_BYTES	(SNPU_COUNTER_COUNT * 8u)
#define KNOWN_CAUSES	((uint32_t)(SNPU_IRQ_STATUS_EVENT_MASK | SNPU_IRQ_STATUS_ERROR_MASK))

/* Each cause is a vector: bit 0 vector 0, bit 1 vector 1. */
static void irq_send(struct card *c, uint32_t causes)
{
	for (unsigned int v = 0; v < SNPU_MSIX_VECTORS; v++)
		if (causes >> v & 1)
			c->cfg.irq(c->cfg.ctx, v);
}

void card_irq_raise(struct card *c, uint32_t causes)
{
	causes &= KNOWN_CAUSES;
	c->irq.status |= causes;
	irq_send(c, causes & ~c->irq.mask);
}

static uint32_t high_latched(uint64_t v, uint32_t *latch)
{
	*latch = (uint32_t)(v >> 32);
	return (uint32_t)v;
}

static uint32_t counter_read(struct card *c, uint64_t off)
{
	uint64_t counter[SNPU_COUNTER_COUNT];
	unsigned int i = (unsigned int)(off / 8);

	if (off % 8)
		return c->host.counter_hi[i];
	snpu_engine_totals(c->engine, counter);
	return high_latched(counter[i], &c->host.counter_hi[i]);
}

/* The registers whose value is not their reset value. */
static uint32_t reg_read(struct card *c, enum snpu_reg reg, uint32_t reset)
{
	uint64_t ctl = c->cfg.vram_size - SNPU_CTL_SIZE;

	switch (reg) {
	case SNPU_REG_VRAM_SIZE_LO:
		return (uint32_t)c->cfg.vram_size;
	case SNPU_REG_VRAM_SIZE_HI:
		return (uint32_t)(c->cfg.vram_size >> 32);
	case SNPU_REG_CTL_OFFSET_LO:
		return (uint32_t)ctl;
	case SNPU_REG_CTL_OFFSET_HI:
		return (uint32_t)(ctl >> 32);
	case SNPU_REG_SERIAL:
		return c->cfg.serial;
	case SNPU_REG_FW_OFFSET:
		return c->host.fw_offset;
	case SNPU_REG_FW_SIZE:
		return c->host.fw_size;
	case SNPU_REG_FW_MIN_SECURITY:
		return c->fw_min_security;
	case SNPU_REG_BOOT_STATUS:
		return SNPU_PUT(c->core.boot_state, BOOT_STATUS, STATE) | SNPU_PUT(c->core.boot_error, BOOT_STATUS, ERROR);
	case SNPU_REG_CORE_STATE:
		return c->core.state;
	case SNPU_REG_CORE_PC:
		return c->core.pc;
	case SNPU_REG_FW_VERSION:
		return c->core.fw_version;
	case SNPU_REG_IRQ_STATUS:
		return c->irq.status;
	case SNPU_REG_IRQ_MASK:
		return c->irq.mask;
	case SNPU_REG_RESET_STATUS:
		return SNPU_PUT(c->eng.running, RESET_STATUS, ENGINE_BUSY);
	case SNPU_REG_DOORBELL_SYNC:
		doorbell_sync(c);
		return 0;
	case SNPU_REG_MMU_STATUS:
		return SNPU_PUT(snpu_engine_invalidating(c->engine), MMU_STATUS, BUSY);
	case SNPU_REG_TIME_LO:
		return high_latched(card_time(c), &c->host.time_hi);
	case SNPU_REG_TIME_HI:
		return c->host.time_hi;
	case SNPU_REG_SENSOR_TEMP:
		return (uint32_t)sensors_temp(engine_sensors(c));
	case SNPU_REG_SENSOR_POWER:
		return sensors_power(engine_sensors(c));
	case SNPU_REG_ENERGY_LO:
		return high_latched(engine_sensors(c)->energy_uj, &c->host.energy_hi);
	case SNPU_REG_ENERGY_HI:
		return c->host.energy_hi;
	case SNPU_REG_STALLS_LO:
		return high_latched(snpu_engine_stalls(c->engine), &c->host.stalls_hi);
	case SNPU_REG_STALLS_HI:
		return c->host.stalls_hi;
	case SNPU_REG_FREQ_KHZ:
		return c->eng.running ? (uint32_t)SNPU_RESETVAL_CLOCK_KHZ : 0;
	default:
		return reset;
	}
}

static void boot(struct card *c)
{
	if (c->core.boot_state != SNPU_BOOT_IDLE && c->core.boot_state != SNPU_BOOT_FAILED)
		return;
	c->core.boot_state = SNPU_BOOT_LOADING;
	c->core.boot_error = SNPU_BOOT_ERR_NONE;
	c->core.boot_asked = true;
	pthread_cond_signal(&c->core_wake);
}

static void reg_write(struct card *c, enum snpu_reg reg, uint32_t v)
{
	uint32_t unmasked;

	switch (reg) {
	case SNPU_REG_RESET:
		if (v == SNPU_RESET_KEY)
			card_reset_locked(c);
		else if (v == SNPU_RESET_SOFT_KEY)
			card_reset_soft_locked(c);
		break;
	case SNPU_REG_FW_OFFSET:
		c->host.fw_offset = v;
		break;
	case SNPU_REG_FW_SIZE:
		c->host.fw_size = v;
		break;
	case SNPU_REG_FW_MIN_SECURITY:
		if (v > c->fw_min_security)
			c->fw_min_security = v;
		break;
	case SNPU_REG_BOOT:
		if (v == 1)
			boot(c);
		break;
	case SNPU_REG_IRQ_STATUS:
		c->irq.status &= ~v;
		break;
	case SNPU_REG_IRQ_MASK:
		unmasked = c->irq.mask & ~v;
		c->irq.mask = v & KNOWN_CAUSES;
		irq_send(c, c->irq.status & unmasked);
		break;
	case SNPU_REG_IRQ_TEST:
		card_irq_raise(c, v);
		break;
	case SNPU_REG_CMD_DOORBELL:
		core_irq_raise(c, SNPU_CORE_IRQ_CMD);
		break;
	case SNPU_REG_MMU_INVALIDATE:
		snpu_engine_invalidate(c->engine, SNPU_GET(v, MMU_INVALIDATE, ALL) ? SNPU_ENGINE_ALL_ASIDS
										   : SNPU_GET(v, MMU_INVALIDATE, ASID));
		break;
	default:
		break;
	}
}

/* The register at an offset of BAR0: its access and reset value. False: there is none. */
static bool reg_find(uint64_t off, enum reg_access *a, uint32_t *reset)
{
	switch (off) {
#define REG(name, offset, access, reset_, doc)	case offset: *a = access; *reset = (uint32_t)(reset_); return true;
#include "snpu_regs.def"
	}
	return false;
}

static uint32_t bar0_read(struct card *c, uint64_t off)
{
	enum reg_access a;
	uint32_t reset;

	if (off - SNPU_REG_COUNTER_BASE < COUNTER_BYTES)
		return counter_read(c, off - SNPU_REG_COUNTER_BASE);
	return reg_find(off, &a, &reset) && (a & RO) ? reg_read(c, (enum snpu_reg)off, reset) : 0;
}

static void bar0_write(struct card *c, uint64_t off, uint32_t v)
{
	enum reg_access a;
	uint32_t reset;

	if (reg_find(off, &a, &reset) && (a & WO))
		reg_write(c, (enum snpu_reg)off, v);
}

static uint32_t bar4_read(struct card *c, uint64_t off)
{
	if (off % SNPU_DOORBELL_STRIDE != SNPU_DB_HEAD)
		return 0;
	return __atomic_load_n(&card_queue(c, (unsigned int)(off / SNPU_DOORBELL_STRIDE))->head, __ATOMIC_ACQUIRE);
}

static void bar4_write(struct card *c, uint64_t off, uint32_t v)
{
	if (off % SNPU_DOORBELL_STRIDE == SNPU_DB_TAIL)
		doorbell_ring(c, (unsigned int)(off / SNPU_DOORBELL_STRIDE), v);
}

static bool is_word(unsigned int bar, uint64_t off, size_t len)
{
	uint64_t size = bar == SNPU_BAR_REGS ? SNPU_BAR_REGS_SIZE : bar == SNPU_BAR_DOORBELL ? SNPU_BAR_DOORBELL_SIZE : 0;

	return len == 4 && off % 4 == 0 && off < size;
}

void card_bar_read(struct card *c, unsigned int bar, uint64_t off, void *buf, size_t len)
{
	uint32_t v = 0;

	pthread_mutex_lock(&c->lock);
	memset(buf, c->powered ? 0 : 0xff, len);
	if (c->powered && is_word(bar, off, len)) {
		v = bar == SNPU_BAR_REGS ? bar0_read(c, off) : bar4_read(c, off);
		memcpy(buf, &v, sizeof(v));
	}
	pthread_mutex_unlock(&c->lock);
}

void card_bar_write(struct card *c, unsigned int bar, uint64_t off, const void *buf, size_t len)
{
	bool reset;
	uint32_t v;

	if (!is_word(bar, off, len))
		return;
	memcpy(&v, buf, sizeof(v));
	reset = bar == SNPU_BAR_REGS && off == SNPU_REG_RESET && v == SNPU_RESET_KEY;
	pthread_mutex_lock(&c->lock);
	if (c->powered && bar == SNPU_BAR_REGS)
		bar0_write(c, off, v);
	else if (c->powered)
		bar4_write(c, off, v);
	pthread_mutex_unlock(&c->lock);
	if (reset)
		card_engine_settle(c);
}
