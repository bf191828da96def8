// SPDX-License-Identifier: GPL-2.0-only
/*
 * The engine's counters, over resets. The card's own start again whenever it is reset, so whoever
 * resets it saves them first and restarts them after; one that is found smaller than before was
 * reset by somebody else. Readers may be in any context: perf reads with interrupts off. A counter
 * costs two register reads, so only those are read that somebody asks for.
 */
#include "snpu_counters.h"
#include "snpu_device.h"

static u64 snpu_read64_locked(struct snpu_device *snpu, u32 lo, u32 hi)
{
	u32 low = snpu_read(snpu, lo);

	lockdep_assert_held(&snpu->counters.lock);

	return (u64)snpu_read(snpu, hi) << 32 | low;
}

/* A pair of registers; reading the low one latches the high one. All ones: the card is gone. */
u64 snpu_read64(struct snpu_device *snpu, u32 lo, u32 hi)
{
	unsigned long flags;
	u64 value;

	raw_spin_lock_irqsave(&snpu->counters.lock, flags);
	value = snpu_read64_locked(snpu, lo, hi);
	raw_spin_unlock_irqrestore(&snpu->counters.lock, flags);
	return value;
}

static void snpu_counters_update(struct snpu_device *snpu, u32 i)
{
	struct snpu_counters *c = &snpu->counters;
	u32 reg = SNPU_REG_COUNTER_BASE + i * sizeof(u64);
	unsigned long flags;
	u64 now;

	if (i == SNPU_TOTAL_STALLS)
		reg = SNPU_REG_STALLS_LO;
	raw_spin_lock_irqsave(&c->lock, flags);
	if (!c->frozen) {
		now = snpu_read64_locked(snpu, reg, reg + sizeof(u32));
		if (now != ~0ull) {
			if (now < c->last[i])
				c->base[i] += c->last[i];
			c->last[i] = now;
		}
	}
	raw_spin_unlock_irqrestore(&c->lock, flags);
}

/*
 * @total: enum snpu_counter or snpu_total. Since probe; when the card is gone or asleep, what there
 * was before. Any context.
 */
u64 snpu_counters_get(struct snpu_device *snpu, u32 total)
{
	struct snpu_counters *c = &snpu->counters;
	unsigned long flags;
	u64 value;
	int idx;

	if (drm_dev_enter(&snpu->drm, &idx)) {
		snpu_counters_update(snpu, total);
		drm_dev_exit(idx);
	}
	raw_spin_lock_irqsave(&c->lock, flags);
	value = c->base[total] + c->last[total];
	raw_spin_unlock_irqrestore(&c->lock, flags);
	return value;
}

/*
 * Engine time in @field of the control area, with the time since the job of @slot (SNPU_QUEUES: of
 * any) got onto the engine, which @field does not have. When it leaves while this looks, the next
 * look finds that time there. All ones: the card is gone.
 */
static u64 snpu_counters_busy_read(struct snpu_device *snpu, u64 __iomem *field, u32 slot)
{
	struct snpu_fw_header __iomem *header = snpu_fw_header(snpu);
	u32 running = readl(&header->running_queue);
	u64 since = readq(&header->running_since_us);
	u64 busy_ns = readq(field), now;

	lockdep_assert_held(&snpu->counters.lock);

	if (running >= SNPU_QUEUES || (slot != SNPU_QUEUES && slot != running) || !since ||
	    readq(&header->running_since_us) != since || readl(&header->running_queue) != running)
		return busy_ns;
	now = div_u64(snpu_read64_locked(snpu, SNPU_REG_TIME_LO, SNPU_REG_TIME_HI), NSEC_PER_USEC);
	return busy_ns + (now > since ? (now - since) * NSEC_PER_USEC : 0);
}

/*
 * Since the queue in that slot was loaded. The caller is inside drm_dev_enter(), and the queue is
 * loaded.
 */
u64 snpu_counters_queue_busy(struct snpu_device *snpu, u32 slot)
{
	unsigned long flags;
	u64 busy_ns;

	raw_spin_lock_irqsave(&snpu->counters.lock, flags);
	busy_ns = snpu_counters_busy_read(snpu, &snpu_queue_ctx(snpu, slot)->busy_ns, slot);
	raw_spin_unlock_irqrestore(&snpu->counters.lock, flags);
	return busy_ns;
}

static void snpu_counters_update_busy(struct snpu_device *snpu)
{
	struct snpu_counters *c = &snpu->counters;
	unsigned long flags;
	u64 now;

	raw_spin_lock_irqsave(&c->lock, flags);
	if (!c->frozen) {
		now = snpu_counters_busy_read(snpu, &snpu_fw_header(snpu)->busy_ns, SNPU_QUEUES);
		if (now != ~0ull)
			c->busy_last = max(c->busy_last, now);
	}
	raw_spin_unlock_irqrestore(&c->lock, flags);
}

/* Time that jobs were on the engine since probe, in ns, with that of the running one. */
u64 snpu_counters_busy(struct snpu_device *snpu)
{
	struct snpu_counters *c = &snpu->counters;
	unsigned long flags;
	u64 value;
	int idx;

	if (drm_dev_enter(&snpu->drm, &idx)) {
		snpu_counters_update_busy(snpu);
		drm_dev_exit(idx);
	}
	raw_spin_lock_irqsave(&c->lock, flags);
	value = c->busy_base + c->busy_last;
	raw_spin_unlock_irqrestore(&c->lock, flags);
	return value;
}

/* Before the card is reset, or goes away. What it counts from now on is lost. */
void snpu_counters_save(struct snpu_device *snpu)
{
	struct snpu_counters *c = &snpu->counters;
	u32 i;

	for (i = 0; i < SNPU_TOTALS; i++)
		snpu_counters_update(snpu, i);
	snpu_counters_update_busy(snpu);
	raw_spin_lock_irq(&c->lock);
	c->frozen = true;
	raw_spin_unlock_irq(&c->lock);
}

/* After a soft reset: what the firmware left counts for nothing, the engine's counters go on. */
void snpu_counters_go_on(struct snpu_device *snpu)
{
	struct snpu_counters *c = &snpu->counters;

	writel(~0u, &snpu_fw_header(snpu)->running_queue);
	writeq(0, &snpu_fw_header(snpu)->busy_ns);

	raw_spin_lock_irq(&c->lock);
	c->busy_base += c->busy_last;
	c->busy_last = 0;
	c->frozen = false;
	raw_spin_unlock_irq(&c->lock);
}

/* After a full one: these are zero, too. */
void snpu_counters_restart(struct snpu_device *snpu)
{
	struct snpu_counters *c = &snpu->counters;
	u32 i;

	raw_spin_lock_irq(&c->lock);
	for (i = 0; i < SNPU_TOTALS; i++) {
		c->base[i] += c->last[i];
		c->last[i] = 0;
	}
	raw_spin_unlock_irq(&c->lock);
	snpu_counters_go_on(snpu);
}

/* What the card counted before its first reset belongs to somebody else. */
void snpu_counters_init(struct snpu_device *snpu)
{
	raw_spin_lock_init(&snpu->counters.lock);
	snpu->counters.frozen = true;
}
