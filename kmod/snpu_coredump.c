// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is kept of a failure. The first one is copied into one piece of memory, in the format of
 * hw/snpu_dump.h, and handed to devcoredump, which keeps it until somebody reads it or minutes have
 * passed; reading needs no card. `snpu coredump` makes it readable.
 *
 * Hangs and resets are dumped by the work that then ends them, for which fences wait: the memory is
 * there at once or there is no dump, and handing it over is left to another work. Faults are found
 * in the interrupt handler; the card keeps what it knows about them, so their dump is taken in
 * process context, and with the address space at hand.
 */
#include <drm/drm_drv.h>
#include <drm/drm_print.h>
#include <linux/devcoredump.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/utsname.h>
#include <linux/vmalloc.h>

#include "snpu_coredump.h"
#include "snpu_device.h"
#include "snpu_queue.h"
#include "snpu_vm.h"

#define SNPU_COREDUMP_SIZE	(128 << 10)
#define SNPU_COREDUMP_LOG	(16u << 10)
#define SNPU_COREDUMP_PROGRAM	4096u

/**
 * struct snpu_coredump_buf - The dump under construction.
 */
struct snpu_coredump_buf {
	/** @header: Its first bytes. */
	struct snpu_dump_header *header;
	/** @room: Bytes that are left behind header->size. */
	size_t room;
};

void snpu_coredump_event(struct snpu_device *snpu, u32 type, u32 queue, u64 job)
{
	struct snpu_coredump *dump = &snpu->coredump;
	u32 i = atomic_inc_return(&dump->next) - 1;

	dump->trace[i % SNPU_COREDUMP_TRACE] = (struct snpu_dump_event) {
		.boot_ns = ktime_get_boottime_ns(),
		.type = type,
		.queue = queue,
		.job = job,
	};
}

/* --- sections --------------------------------------------------------------------------------- */

/* Room for the elements of a section, zeroed, or NULL. */
static void *snpu_coredump_section(struct snpu_coredump_buf *buf, u32 type, u32 count, u32 stride)
{
	struct snpu_dump_section *head = (void *)buf->header + buf->header->size;
	size_t size = sizeof(*head) + ALIGN((size_t)count * stride, 8);

	if (size > buf->room) {
		buf->header->dropped++;
		return NULL;
	}
	*head = (struct snpu_dump_section) { .type = type, .count = count, .stride = stride };
	buf->room -= size;
	buf->header->size += size;
	buf->header->sections++;
	return head + 1;
}

static const u32 snpu_coredump_regs[] = {
#define REG(name, offset, access, ...) SNPU_COREDUMP_##access(offset)
#define SNPU_COREDUMP_RO(offset) offset,
#define SNPU_COREDUMP_RW(offset) offset,
#define SNPU_COREDUMP_RW1C(offset) offset,
#define SNPU_COREDUMP_WO(offset)
#include "snpu_regs.def"
};

/* Reading latches, or waits for, something. */
static bool snpu_coredump_reg_is_quiet(u32 reg)
{
	return reg != SNPU_REG_TIME_LO && reg != SNPU_REG_TIME_HI &&
	       reg != SNPU_REG_DOORBELL_SYNC && reg < SNPU_REG_COUNTER_BASE;
}

static void snpu_coredump_registers(struct snpu_device *snpu, struct snpu_coredump_buf *buf)
{
	struct snpu_dump_register *r;
	u32 i, n = 0;

	for (i = 0; i < ARRAY_SIZE(snpu_coredump_regs); i++)
		n += snpu_coredump_reg_is_quiet(snpu_coredump_regs[i]);
	r = snpu_coredump_section(buf, SNPU_DUMP_REGISTERS, n, sizeof(*r));
	for (i = 0; r && i < ARRAY_SIZE(snpu_coredump_regs); i++)
		if (snpu_coredump_reg_is_quiet(snpu_coredump_regs[i])) {
			r->offset = snpu_coredump_regs[i];
			r++->value = snpu_read(snpu, snpu_coredump_regs[i]);
		}
}

static void snpu_coredump_ctl(struct snpu_device *snpu, struct snpu_coredump_buf *buf, u32 type,
			      u32 offset, u32 size)
{
	void *p = snpu_coredump_section(buf, type, 1, size);

	if (p)
		memcpy_fromio(p, snpu->ctl + offset, size);
}

static void snpu_coredump_log(struct snpu_device *snpu, struct snpu_coredump_buf *buf)
{
	struct snpu_fw_log __iomem *log = snpu->ctl + SNPU_CTL_LOG;
	u64 written = readq(&log->written), at;
	u32 n = min_t(u64, written, SNPU_COREDUMP_LOG), first;
	char *text = snpu_coredump_section(buf, SNPU_DUMP_LOG, n, 1);

	if (!text)
		return;
	at = (written - n) % SNPU_LOG_BYTES;
	first = min_t(u64, n, SNPU_LOG_BYTES - at);
	memcpy_fromio(text, log->data + at, first);
	memcpy_fromio(text + first, log->data, n - first);
}

static void snpu_coredump_queue(struct snpu_queue *queue, struct snpu_dump_queue *q,
				struct snpu_dump_context *c, struct snpu_dump_job *j)
{
	snpu_queue_dump(queue, q, j);
	c->queue = q->queue;
	if (q->queue < SNPU_QUEUES)
		memcpy_fromio(&c->ctx, snpu_queue_ctx(queue->snpu, q->queue), sizeof(c->ctx));
}

/* @faulted: what was noted of it comes first. */
static void snpu_coredump_queues(struct snpu_device *snpu, struct snpu_coredump_buf *buf,
				 const struct snpu_queue *faulted)
{
	const struct snpu_coredump *dump = &snpu->coredump;
	struct snpu_queue *queues[SNPU_QUEUES] = {};
	u32 slot, i = 0, n = faulted ? 1 : 0;
	struct snpu_dump_context *c;
	struct snpu_dump_queue *q;
	struct snpu_dump_job *j;

	for (slot = 0; slot < SNPU_QUEUES; slot++) {
		queues[slot] = snpu_queue_at(snpu, slot);
		n += queues[slot] && queues[slot] != faulted;
	}
	q = snpu_coredump_section(buf, SNPU_DUMP_QUEUES, n, sizeof(*q));
	c = snpu_coredump_section(buf, SNPU_DUMP_CONTEXTS, n, sizeof(*c));
	j = snpu_coredump_section(buf, SNPU_DUMP_JOBS, n, sizeof(*j));
	if (faulted && q && c && j) {
		q[i] = dump->queue;
		c[i] = dump->context;
		j[i++] = dump->job;
	}
	for (slot = 0; slot < SNPU_QUEUES; slot++) {
		if (!queues[slot])
			continue;
		if (queues[slot] != faulted && q && c && j) {
			snpu_coredump_queue(queues[slot], &q[i], &c[i], &j[i]);
			i++;
		}
		snpu_queue_put(queues[slot]);
	}
}

static void snpu_coredump_trace(struct snpu_device *snpu, struct snpu_coredump_buf *buf)
{
	const struct snpu_coredump *dump = &snpu->coredump;
	u32 next = atomic_read(&dump->next), n = min_t(u32, next, SNPU_COREDUMP_TRACE), i;
	struct snpu_dump_event *e = snpu_coredump_section(buf, SNPU_DUMP_TRACE, n, sizeof(*e));

	for (i = 0; e && i < n; i++)
		e[i] = dump->trace[(next - n + i) % SNPU_COREDUMP_TRACE];
}

/* What the faulting address leads to, and the program. May sleep. */
static void snpu_coredump_memory(struct snpu_queue *queue, struct snpu_coredump_buf *buf)
{
	const struct snpu_coredump *dump = &queue->snpu->coredump;
	const struct snpu_region_binding *prog = &dump->job.desc.region[SNPU_REGION_PROGRAM];
	const struct snpu_fault *fault = &dump->queue.fault;
	struct snpu_dump_section *head;
	u64 start;
	void *p;

	p = snpu_coredump_section(buf, SNPU_DUMP_TABLES, SNPU_PT_LEVELS, sizeof(u64));
	if (p) {
		head = p - sizeof(*head);
		head->va = fault->va;
		head->arg = snpu_vm_walk(queue->vm, fault->va, p);
	}
	if (dump->job.desc.seqno != fault->seqno - dump->queue.base || fault->pc >= prog->size)
		return;
	start = fault->pc - min_t(u64, fault->pc, SNPU_COREDUMP_PROGRAM / 2);
	p = snpu_coredump_section(buf, SNPU_DUMP_PROGRAM,
				  min_t(u64, prog->size - start, SNPU_COREDUMP_PROGRAM), 1);
	if (p) {
		head = p - sizeof(*head);
		head->va = start;
		head->arg = dump->queue.queue;
		if (!snpu_vm_peek(queue->vm, prog->va + start, p, head->count))
			head->count = 0;
	}
}

/* --- the dump --------------------------------------------------------------------------------- */

static void snpu_coredump_header(struct snpu_device *snpu, struct snpu_dump_header *h, u32 reason,
				 const char *text, const struct snpu_queue *queue)
{
	*h = (struct snpu_dump_header) {
		.magic = SNPU_DUMP_MAGIC,
		.version = SNPU_DUMP_VERSION,
		.header_size = sizeof(*h),
		.size = sizeof(*h),
		.time_ns = ktime_get_real_ns(),
		.boot_ns = ktime_get_boottime_ns(),
		.reason = reason,
		.queue = reason == SNPU_DUMP_FAULT ? snpu->coredump.queue.queue :
			 queue ? (u32)queue->slot : SNPU_DUMP_NOBODY,
		.serial = snpu->serial,
		.hw_version = snpu->hw_version,
		.fw_version = snpu->fw_version,
		.fw_abi = snpu->fw_abi,
		.resets = atomic_read(&snpu->reset.count),
	};
	snprintf(h->text, sizeof(h->text), "%s%s%s", queue ? queue->name : "", queue ? ": " : "",
		 text);
	strscpy(h->device, dev_name(snpu->drm.dev));
	strscpy(h->kernel, init_utsname()->release);
}

/* The caller owns snpu->coredump and is inside drm_dev_enter(). */
static bool snpu_coredump_build(struct snpu_device *snpu, u32 reason, const char *text,
				struct snpu_queue *queue, gfp_t gfp)
{
	struct snpu_coredump *dump = &snpu->coredump;
	struct snpu_coredump_buf buf;

	buf.header = kzalloc(SNPU_COREDUMP_SIZE, gfp | __GFP_NOWARN);
	if (!buf.header)
		return false;
	buf.room = SNPU_COREDUMP_SIZE - sizeof(*buf.header);
	snpu_coredump_header(snpu, buf.header, reason, text, queue);
	snpu_coredump_registers(snpu, &buf);
	snpu_coredump_ctl(snpu, &buf, SNPU_DUMP_FW_HEADER, SNPU_CTL_HEADER,
			  sizeof(struct snpu_fw_header));
	snpu_coredump_ctl(snpu, &buf, SNPU_DUMP_CRASH, SNPU_CTL_CRASH,
			  sizeof(struct snpu_fw_crash));
	snpu_coredump_trace(snpu, &buf);
	if (reason == SNPU_DUMP_FAULT)
		snpu_coredump_memory(queue, &buf);
	snpu_coredump_log(snpu, &buf);
	snpu_coredump_queues(snpu, &buf, reason == SNPU_DUMP_FAULT ? queue : NULL);
	dump->data = buf.header;
	dump->size = buf.header->size;
	return true;
}

/* devcoredump drops it when it still has one of this card. */
static void snpu_coredump_publish(struct snpu_device *snpu)
{
	struct snpu_coredump *dump = &snpu->coredump;
	void *copy = vmalloc(dump->size);

	if (copy) {
		memcpy(copy, dump->data, dump->size);
		dev_coredumpv(snpu->drm.dev, copy, dump->size, GFP_KERNEL);
	}
	kfree(dump->data);
	dump->data = NULL;
	atomic_set_release(&dump->busy, 0);
}

static void snpu_coredump_publish_work(struct work_struct *work)
{
	snpu_coredump_publish(container_of(work, struct snpu_device, coredump.publish_work));
}

/* From the work that ends the trouble. @queue: whose job is to blame, or NULL. */
void snpu_coredump_take(struct snpu_device *snpu, u32 reason, const char *text,
			struct snpu_queue *queue)
{
	struct snpu_coredump *dump = &snpu->coredump;

	if (atomic_cmpxchg(&dump->busy, 0, 1))
		return;
	if (snpu_coredump_build(snpu, reason, text, queue, GFP_NOWAIT))
		queue_work(system_dfl_wq, &dump->publish_work);
	else
		atomic_set_release(&dump->busy, 0);
}

static void snpu_coredump_fault_work(struct work_struct *work)
{
	struct snpu_device *snpu = container_of(work, struct snpu_device, coredump.fault_work);
	struct snpu_coredump *dump = &snpu->coredump;
	struct snpu_queue *queue = dump->faulted;
	bool built = false;
	int idx;

	if (snpu_device_enter_awake(snpu, &idx)) {
		built = snpu_coredump_build(snpu, SNPU_DUMP_FAULT, "a job faulted",
					    queue, GFP_KERNEL);
		snpu_device_exit(snpu, idx);
	}
	snpu_queue_unuse(queue);
	if (built)
		snpu_coredump_publish(snpu);
	else
		atomic_set_release(&dump->busy, 0);
}

/* The card stopped the queue. Any context, inside drm_dev_enter(). */
void snpu_coredump_fault(struct snpu_queue *queue)
{
	struct snpu_coredump *dump = &queue->snpu->coredump;

	if (atomic_cmpxchg(&dump->busy, 0, 1))
		return;
	if (!snpu_queue_use(queue)) {
		atomic_set_release(&dump->busy, 0);
		return;
	}
	dump->faulted = queue;
	memset(&dump->queue, 0, sizeof(dump->queue));
	memset(&dump->context, 0, sizeof(dump->context));
	memset(&dump->job, 0, sizeof(dump->job));
	snpu_coredump_queue(queue, &dump->queue, &dump->context, &dump->job);
	queue_work(system_dfl_wq, &dump->fault_work);
}

void snpu_coredump_init(struct snpu_device *snpu)
{
	INIT_WORK(&snpu->coredump.publish_work, snpu_coredump_publish_work);
	INIT_WORK(&snpu->coredump.fault_work, snpu_coredump_fault_work);
}

/* Nobody takes dumps any more. */
void snpu_coredump_fini(struct snpu_device *snpu)
{
	flush_work(&snpu->coredump.publish_work);
	flush_work(&snpu->coredump.fault_work);
}
