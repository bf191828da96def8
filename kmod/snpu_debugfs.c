// SPDX-License-Identifier: GPL-2.0-only
/*
 * Debugfs. Accel nodes do not call ->debugfs_init(), so probe adds the files by hand. Those that
 * look at the card do so inside snpu_device_enter() and are empty once it is gone. Not an
 * interface for programs, except for tests.
 */
#include <drm/drm_debugfs.h>
#include <drm/drm_drv.h>
#include <linux/debugfs.h>
#include <linux/mm.h>
#include <linux/seq_file.h>

#include "snpu_debugfs.h"
#include "snpu_device.h"
#include "snpu_fence.h"
#include "snpu_queue.h"
#include "snpu_vm.h"

static struct snpu_device *snpu_debugfs_device(struct seq_file *m)
{
	struct drm_debugfs_entry *entry = m->private;

	return to_snpu(entry->dev);
}

/* --- registers -------------------------------------------------------------------------------- */

enum snpu_debugfs_access { RO, RW, RW1C, WO };

static const struct {
	const char *name;
	u32 offset;
	enum snpu_debugfs_access access;
} snpu_debugfs_regs[] = {
#define REG(name, offset, access, ...) { #name, offset, access },
#include "snpu_regs.def"
};

static int snpu_debugfs_registers(struct seq_file *m, void *unused)
{
	struct snpu_device *snpu = snpu_debugfs_device(m);
	int idx;
	u32 i;

	if (!snpu_device_enter(snpu, &idx))
		return 0;
	for (i = 0; i < ARRAY_SIZE(snpu_debugfs_regs); i++)
		if (snpu_debugfs_regs[i].access != WO)
			seq_printf(m, "%03x %-16s %08x\n", snpu_debugfs_regs[i].offset,
				   snpu_debugfs_regs[i].name,
				   snpu_read(snpu, snpu_debugfs_regs[i].offset));
	snpu_device_exit(snpu, idx);
	return 0;
}

/* --- queues ----------------------------------------------------------------------------------- */

static void snpu_debugfs_queue(struct seq_file *m, struct snpu_device *snpu, u32 slot)
{
	struct snpu_queue_ctx __iomem *ctx = snpu_queue_ctx(snpu, slot);
	struct snpu_queue *queue = snpu_queue_at(snpu, slot);

	if (!queue)
		return;
	/* A queue that is being torn down may have lost its address space. */
	if (!snpu_queue_use(queue)) {
		snpu_queue_put(queue);
		return;
	}
	spin_lock_irq(&queue->lock);
	seq_printf(m, "%2u %s priority %u asid %u flags %#x jobs %llu submitted %llu pushed %llu retired %llu completed\n",
		   slot, queue->name, queue->priority, snpu_vm_asid(queue->vm), queue->flags,
		   queue->submitted, queue->pushed, queue->retired, queue->completed);
	spin_unlock_irq(&queue->lock);
	seq_printf(m, "   card: state %u head %u tail %u seqno %llu progress %llu busy %llu ns fault %u\n",
		   readl(&ctx->state), readl(&ctx->head), readl(&ctx->tail),
		   readq(&ctx->seqno_done), readq(&ctx->progress), readq(&ctx->busy_ns),
		   readl(&ctx->fault.code));
	snpu_queue_unuse(queue);
	snpu_queue_put(queue);
}

static int snpu_debugfs_queues(struct seq_file *m, void *unused)
{
	struct snpu_device *snpu = snpu_debugfs_device(m);
	u32 slot;
	int idx;

	if (!snpu_device_enter(snpu, &idx))
		return 0;
	seq_printf(m, "running %d, heartbeat %llu\n", readl(&snpu_fw_header(snpu)->running_queue),
		   readq(&snpu_fw_header(snpu)->heartbeat));
	for (slot = 0; slot < snpu->num_queues; slot++)
		snpu_debugfs_queue(m, snpu, slot);
	snpu_device_exit(snpu, idx);
	return 0;
}

/* --- address spaces --------------------------------------------------------------------------- */

static int snpu_debugfs_page_tables(struct seq_file *m, void *unused)
{
	struct snpu_device *snpu = snpu_debugfs_device(m);
	struct snpu_vm *vm;

	mutex_lock(&snpu->objects.lock);
	list_for_each_entry(vm, &snpu->objects.vms, link) {
		mutex_lock(&vm->lock);
		seq_printf(m, "asid %u\n", vm->mmu.asid);
		snpu_mmu_show(&vm->mmu, m);
		mutex_unlock(&vm->lock);
	}
	mutex_unlock(&snpu->objects.lock);
	return 0;
}

/* --- firmware --------------------------------------------------------------------------------- */

static int snpu_debugfs_firmware_log(struct seq_file *m, void *unused)
{
	struct snpu_device *snpu = snpu_debugfs_device(m);
	struct snpu_fw_log __iomem *log = snpu->ctl + SNPU_CTL_LOG;
	u64 written, start, n;
	char *text;
	int idx;

	text = kvmalloc(SNPU_LOG_BYTES, GFP_KERNEL);
	if (!text)
		return -ENOMEM;
	if (snpu_device_enter(snpu, &idx)) {
		written = readq(&log->written);
		memcpy_fromio(text, log->data, SNPU_LOG_BYTES);
		snpu_device_exit(snpu, idx);
		n = min_t(u64, written, SNPU_LOG_BYTES);
		start = (written - n) % SNPU_LOG_BYTES;
		seq_write(m, text + start, min(n, SNPU_LOG_BYTES - start));
		if (n > SNPU_LOG_BYTES - start)
			seq_write(m, text, n - (SNPU_LOG_BYTES - start));
	}
	kvfree(text);
	return 0;
}

static int snpu_debugfs_crash(struct seq_file *m, void *unused)
{
	struct snpu_device *snpu = snpu_debugfs_device(m);
	const struct snpu_fw_crash *crash = &snpu->reset.crash;
	u32 i;

	down_read(&snpu->reset.sem);
	if (crash->magic == SNPU_FW_CRASH_MAGIC) {
		seq_printf(m, "message %s\ncause %#x\npc %#x\nvalue %#x\ntime %llu us\n",
			   crash->message, crash->cause, crash->pc, crash->value, crash->time_us);
		for (i = 0; i < ARRAY_SIZE(crash->x); i++)
			seq_printf(m, "x%u %#x\n", i, crash->x[i]);
	}
	up_read(&snpu->reset.sem);
	return 0;
}

/* --- what is alive ---------------------------------------------------------------------------- */

/* Fences are those of all cards. */
static int snpu_debugfs_objects(struct seq_file *m, void *unused)
{
	struct snpu_device *snpu = snpu_debugfs_device(m);
	struct snpu_reset *reset = &snpu->reset;
	u64 leaves[3] = {};

	snpu_vm_count_leaves(snpu, leaves);
	seq_printf(m, "vms %d\nqueues %d\nbos %d\njobs %d\nfences %d\n",
		   atomic_read(&snpu->objects.n_vms), atomic_read(&snpu->objects.n_queues),
		   atomic_read(&snpu->objects.n_bos), atomic_read(&snpu->objects.n_jobs),
		   snpu_fence_alive());
	seq_printf(m, "kills %d\nresets %d\nsoft %d\nfull %d\nflr %d\nwedged %d\n",
		   atomic_read(&reset->kills), atomic_read(&reset->count),
		   atomic_read(&reset->rungs[SNPU_RESET_SOFT]),
		   atomic_read(&reset->rungs[SNPU_RESET_FULL]),
		   atomic_read(&reset->rungs[SNPU_RESET_FLR]), atomic_read(&reset->wedged));
	seq_printf(m, "pauses %d\n", atomic_read(&snpu->pm.count));
	seq_printf(m, "bad_events %llu\n", READ_ONCE(snpu->mbox.bad_events));
	seq_printf(m, "doorbell_faults %d\ndoorbell_awake %d\n",
		   atomic_read(&snpu->doorbell.faults), READ_ONCE(snpu->doorbell.awake));
	seq_printf(m, "leaves_4k %llu\nleaves_64k %llu\nleaves_2m %llu\n", leaves[0], leaves[1],
		   leaves[2]);
	return 0;
}

/* --- faults on purpose ------------------------------------------------------------------------ */

/* 1: as a crash would; 2: begins with a full reset; 3: with a function level reset. */
static int snpu_debugfs_force_reset(void *data, u64 value)
{
	struct snpu_device *snpu = data;
	int idx;

	if (value < 1 || value > SNPU_RESET_RUNGS)
		return -EINVAL;
	if (!snpu_device_enter(snpu, &idx))
		return -ENODEV;
	snpu_reset_force(snpu, value - 1);
	snpu_device_exit(snpu, idx);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(snpu_debugfs_force_reset_fops, NULL, snpu_debugfs_force_reset, "%llu\n");

static int snpu_debugfs_force_crash(void *data, u64 value)
{
	struct snpu_fw_cmd_CRASH cmd = { .head.op = SNPU_FW_OP_CRASH, .how = value };
	struct snpu_device *snpu = data;
	int idx, err;

	if (value > 2)
		return -EINVAL;
	err = snpu_fw_error(snpu);
	if (err)
		return err;
	if (!snpu_device_enter(snpu, &idx))
		return -ENODEV;
	down_read(&snpu->reset.sem);
	snpu_mbox_send(snpu, &cmd.head, sizeof(cmd));
	up_read(&snpu->reset.sem);
	snpu_device_exit(snpu, idx);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(snpu_debugfs_force_crash_fops, NULL, snpu_debugfs_force_crash, "%llu\n");

static int snpu_debugfs_force_hang(void *data, u64 value)
{
	struct snpu_device *snpu = data;
	bool forced;
	int idx;

	if (!snpu_device_enter(snpu, &idx))
		return -ENODEV;
	forced = snpu_watchdog_force(snpu);
	snpu_device_exit(snpu, idx);
	return forced ? 0 : -ENOENT;
}
DEFINE_DEBUGFS_ATTRIBUTE(snpu_debugfs_force_hang_fops, NULL, snpu_debugfs_force_hang, "%llu\n");

static const struct drm_debugfs_info snpu_debugfs_files[] = {
	{ "registers", snpu_debugfs_registers },
	{ "queues", snpu_debugfs_queues },
	{ "page_tables", snpu_debugfs_page_tables },
	{ "firmware_log", snpu_debugfs_firmware_log },
	{ "crash", snpu_debugfs_crash },
	{ "objects", snpu_debugfs_objects },
};

/* Before the device is registered. */
void snpu_debugfs_init(struct snpu_device *snpu)
{
	struct dentry *root = snpu->drm.debugfs_root;

	drm_debugfs_add_files(&snpu->drm, snpu_debugfs_files, ARRAY_SIZE(snpu_debugfs_files));
	debugfs_create_file("force_reset", 0200, root, snpu, &snpu_debugfs_force_reset_fops);
	debugfs_create_file("force_crash", 0200, root, snpu, &snpu_debugfs_force_crash_fops);
	debugfs_create_file("force_hang", 0200, root, snpu, &snpu_debugfs_force_hang_fops);
	debugfs_create_u32("watchdog_ms", 0600, root, &snpu->watchdog.limit_ms);
}

/* The card may come back under the same name while open files keep this device. */
void snpu_debugfs_fini(struct snpu_device *snpu)
{
	debugfs_remove_recursive(snpu->drm.debugfs_root);
	snpu->drm.debugfs_root = NULL;
}
