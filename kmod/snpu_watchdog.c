// SPDX-License-Identifier: GPL-2.0-only
/*
 * The watchdog. It looks at what the card says it does: the firmware's heartbeat, the queue on the
 * engine, and how many packets its job has executed. Only the queue on the engine can be blamed,
 * and only when it made no progress for the whole limit; a long job that goes on is left alone, and
 * so is one that waits its turn. A hung job costs its queue; a firmware that is silent, crashed or
 * idle with work at hand costs a reset.
 *
 * It also looks for events, in case an interrupt was lost.
 */
#include <drm/drm_drv.h>
#include <drm/drm_print.h>
#include <linux/dma-fence.h>

#include "snpu_device.h"
#include "snpu_queue.h"
#include "snpu_slot.h"
#include "snpu_uqueue.h"
#include "snpu_watchdog.h"

/* A firmware that misses so many heartbeats is not just on a busy machine. */
#define SNPU_WATCHDOG_SILENT_MS	(20 * SNPU_HEARTBEAT_US / 1000)

static unsigned long snpu_watchdog_period(const struct snpu_watchdog *dog)
{
	u32 limit_ms = min(READ_ONCE(dog->limit_ms), READ_ONCE(dog->queue_ms) ?: U32_MAX);

	return msecs_to_jiffies(clamp(limit_ms / 4, 20u, 1000u));
}

static bool snpu_watchdog_late(unsigned long since, u32 limit_ms)
{
	return time_after(jiffies, since + msecs_to_jiffies(limit_ms));
}

/* The limit of the queue on the engine. */
static u32 snpu_watchdog_limit(struct snpu_device *snpu, u32 slot)
{
	struct snpu_queue *queue = snpu_queue_at(snpu, slot);
	u32 queue_ms = 0;

	if (queue) {
		queue_ms = queue->hang_ms;
		snpu_queue_put(queue);
	}
	WRITE_ONCE(snpu->watchdog.queue_ms, queue_ms);
	return queue_ms ?: READ_ONCE(snpu->watchdog.limit_ms);
}

/* Why the firmware needs a reset, or NULL. */
static const char *snpu_watchdog_core(struct snpu_device *snpu)
{
	u32 core = snpu_read(snpu, SNPU_REG_CORE_STATE);

	if (core == SNPU_CORE_LOCKUP)
		return "the management core locked up";
	if (core == SNPU_CORE_CRASHED || readl(&snpu_fw_header(snpu)->state) == SNPU_FW_CRASHED)
		return "the firmware crashed";
	if (core == SNPU_CORE_HALTED)
		return "the management core is halted";
	return NULL;
}

static void snpu_watchdog_hang(struct snpu_device *snpu, u32 slot, u32 limit_ms)
{
	struct snpu_queue *queue = snpu_queue_at(snpu, slot);

	if (!queue) {
		snpu_reset_schedule(snpu, "the card does not start the jobs it was given");
		return;
	}
	drm_warn(&snpu->drm, "%s: its job made no progress for %u ms; the queue is stopped\n",
		 queue->name, limit_ms);
	atomic_inc(&snpu->reset.kills);
	snpu_coredump_event(snpu, SNPU_DUMP_EVENT_KILL, slot, 0);
	snpu_coredump_take(snpu, SNPU_DUMP_HANG, "its job made no progress", queue);
	snpu_slot_kill(queue, DRM_SNPU_QUEUE_TIMEDOUT, -ETIME);
	snpu_queue_put(queue);
}

static void snpu_watchdog_progress(struct snpu_device *snpu)
{
	struct snpu_watchdog *dog = &snpu->watchdog;
	u32 slot = readl(&snpu_fw_header(snpu)->running_queue);
	bool work = snpu_uqueue_work(snpu, NULL) || atomic_read(&dog->pending);
	u64 progress = 0, done = atomic64_read(&snpu->jobs_done);
	u32 limit_ms = snpu_watchdog_limit(snpu, slot);

	if (xchg(&dog->forced, false) && slot < SNPU_QUEUES) {
		snpu_watchdog_hang(snpu, slot, limit_ms);
		return;
	}
	/*
	 * Short jobs may be over between any two looks, so an idle engine says nothing as long as
	 * jobs end.
	 */
	if (slot < SNPU_QUEUES) {
		progress = readq(&snpu_queue_ctx(snpu, slot)->progress);
		done = readq(&snpu_queue_ctx(snpu, slot)->seqno_done);
	}
	if (!dog->fresh || slot != dog->slot || progress != dog->progress || done != dog->done) {
		dog->slot = slot;
		dog->progress = progress;
		dog->done = done;
		dog->progress_at = jiffies;
	} else if (work && snpu_watchdog_late(dog->progress_at, limit_ms)) {
		dog->progress_at = jiffies;
		snpu_watchdog_hang(snpu, slot, limit_ms);
	}
}

static void snpu_watchdog_tick(struct snpu_device *snpu)
{
	struct snpu_watchdog *dog = &snpu->watchdog;
	u64 heartbeat;
	const char *reason;

	snpu_mbox_poll(snpu);
	reason = snpu_watchdog_core(snpu);
	if (!reason) {
		heartbeat = readq(&snpu_fw_header(snpu)->heartbeat);
		if (!dog->fresh || heartbeat != dog->heartbeat) {
			dog->heartbeat = heartbeat;
			dog->heartbeat_at = jiffies;
			/* Progress is as old as the heartbeat: a silent firmware blames no job. */
			snpu_watchdog_progress(snpu);
		} else if (snpu_watchdog_late(dog->heartbeat_at,
					      max_t(u32, READ_ONCE(dog->limit_ms),
						    SNPU_WATCHDOG_SILENT_MS))) {
			reason = "the firmware's heartbeat stopped";
		}
	}
	if (reason) {
		dog->fresh = false;
		snpu_reset_schedule(snpu, reason);
		return;
	}
	dog->fresh = true;
}

static void snpu_watchdog_work(struct work_struct *work)
{
	struct snpu_device *snpu = container_of(work, struct snpu_device, watchdog.work.work);
	struct snpu_watchdog *dog = &snpu->watchdog;
	bool cookie = dma_fence_begin_signalling();
	int idx;

	if (snpu_device_enter_awake(snpu, &idx)) {
		if (!snpu_fw_error(snpu))
			snpu_watchdog_tick(snpu);
		if (atomic_read(&dog->pending) || READ_ONCE(snpu->doorbell.awake))
			snpu_watchdog_arm(snpu);
		else
			dog->fresh = false;
		snpu_device_exit(snpu, idx);
	}
	dma_fence_end_signalling(cookie);
}

/* A job was put on the card. Any context. */
void snpu_watchdog_arm(struct snpu_device *snpu)
{
	queue_delayed_work(snpu->reset.wq, &snpu->watchdog.work,
			   snpu_watchdog_period(&snpu->watchdog));
}

/* Something is wrong with the firmware. Any context. */
void snpu_watchdog_kick(struct snpu_device *snpu)
{
	mod_delayed_work(snpu->reset.wq, &snpu->watchdog.work, 0);
}

/*
 * For tests: the job on the engine is taken for one that hangs. False: there is none. The caller is
 * inside snpu_device_enter().
 */
bool snpu_watchdog_force(struct snpu_device *snpu)
{
	struct snpu_watchdog *dog = &snpu->watchdog;

	if (readl(&snpu_fw_header(snpu)->running_queue) >= SNPU_QUEUES)
		return false;
	WRITE_ONCE(dog->forced, true);
	snpu_watchdog_kick(snpu);
	flush_delayed_work(&dog->work);
	return true;
}

/* After a reset, on its workqueue: what was seen before means nothing. */
void snpu_watchdog_restart(struct snpu_device *snpu)
{
	snpu->watchdog.fresh = false;
}

/* It does not look until snpu_watchdog_resume(), and then as if for the first time. */
void snpu_watchdog_pause(struct snpu_device *snpu)
{
	disable_delayed_work_sync(&snpu->watchdog.work);
}

void snpu_watchdog_resume(struct snpu_device *snpu)
{
	snpu->watchdog.fresh = false;
	enable_delayed_work(&snpu->watchdog.work);
	snpu_watchdog_arm(snpu);
}

/* Disabled, until probe knows that there is something to watch. */
void snpu_watchdog_init(struct snpu_device *snpu)
{
	struct snpu_watchdog *dog = &snpu->watchdog;

	INIT_DELAYED_WORK(&dog->work, snpu_watchdog_work);
	dog->limit_ms = SNPU_WATCHDOG_LIMIT_MS;
}

void snpu_watchdog_fini(struct snpu_device *snpu)
{
	disable_delayed_work_sync(&snpu->watchdog.work);
}
