/* SPDX-License-Identifier: MIT */
/*
 * The queue table: creation, destruction, the ring's indices, and what is told to the host when a job ends. Decisions
 * are taken by the table here; the contexts in the control area are what the engine and the host read. Which queue runs
 * is sched.c's.
 */
#include "fw.h"

struct queue queues[SNPU_QUEUES];

/* What QUEUE_CREATE promises is zero, and what RESUME could use: all of the context. */
static void queue_ctx_clear(const struct queue *q)
{
	memset(queue_ctx(q), 0, sizeof(struct snpu_queue_ctx));
}

void queue_init(void)
{
	memset(queues, 0, sizeof(queues));
	for (uint32_t i = 0; i < SNPU_QUEUES; i++)
		queue_ctx_clear(&queues[i]);
}

static void queue_state_set(struct queue *q, enum snpu_queue_state state)
{
	q->state = state;
	core_fence();
	WRITE_ONCE(queue_ctx(q)->state, state);
	sched_update(q);
}

static bool queue_root_ok(uint64_t root)
{
	return (root & SNPU_PTE_VALID) && !(root & ~(SNPU_PTE_ADDR_MASK | SNPU_PTE_VALID | SNPU_PTE_DEVICE));
}

/* Translations are cached by asid alone: two roots under one asid would let one context read the other's memory. */
static bool queue_asid_ok(uint32_t asid, uint64_t root)
{
	if (asid < 1 || asid >= SNPU_ASIDS)
		return false;
	for (uint32_t i = 0; i < SNPU_QUEUES; i++)
		if (queues[i].state != SNPU_QUEUE_FREE && queues[i].asid == asid && queues[i].pt_root != root)
			return false;
	return true;
}

int queue_create(const struct snpu_fw_cmd_QUEUE_CREATE *cmd)
{
	struct queue *q = &queues[cmd->queue % SNPU_QUEUES];
	struct snpu_queue_ctx *ctx = queue_ctx(q);

	if (cmd->queue >= SNPU_QUEUES || cmd->priority >= SCHED_PRIORITIES)
		return -FW_EINVAL;
	if (cmd->slots < 2 || cmd->slots > SNPU_RING_SLOTS || (cmd->slots & (cmd->slots - 1)))
		return -FW_EINVAL;
	if (q->state != SNPU_QUEUE_FREE)
		return -FW_EBUSY;
	if (!queue_root_ok(cmd->pt_root) || !queue_asid_ok(cmd->asid, cmd->pt_root))
		return -FW_EINVAL;
	*q = (struct queue){
		.priority = cmd->priority,
		.asid = cmd->asid,
		.slots = cmd->slots,
		.pt_root = cmd->pt_root,
	};
	queue_ctx_clear(q);
	ctx->priority = q->priority;
	ctx->asid = q->asid;
	ctx->slots = q->slots;
	ctl_put64(&ctx->pt_root, q->pt_root);
	queue_state_set(q, SNPU_QUEUE_READY);
	log_put(LOG_DEBUG, "queue %lu: created, priority %lu, asid %lu, %lu slots", cmd->queue, q->priority, q->asid, q->slots);
	return 0;
}

int queue_destroy(const struct snpu_fw_cmd_QUEUE_DESTROY *cmd, bool *later)
{
	struct queue *q = &queues[cmd->queue % SNPU_QUEUES];

	if (cmd->queue >= SNPU_QUEUES || cmd->pad)
		return -FW_EINVAL;
	if (q->state == SNPU_QUEUE_FREE)
		return -FW_ENOENT;
	if (q->closing)
		return -FW_EBUSY;
	q->closing = true;
	q->closing_id = cmd->head.id;
	sched_update(q);
	*later = true;
	if (!sched_abort(q))
		queue_close(q);
	return 0;
}

/*
 * The engine has left the queue: frees it and answers QUEUE_DESTROY. The context keeps its numbers, for whoever looks
 * afterwards, until the next QUEUE_CREATE.
 */
void queue_close(struct queue *q)
{
	uint32_t dropped = q->tail - q->head;

	if (q->started)
		event_release();
	q->started = false;
	WRITE_ONCE(queue_ctx(q)->saved.valid, 0);
	queue_state_set(q, SNPU_QUEUE_FREE);
	log_put(dropped ? LOG_INFO : LOG_DEBUG, "queue %lu: destroyed after %llu jobs, %lu dropped", queue_index(q), q->jobs, dropped);
	event_reply(q->closing_id, 0, 0);
}

void queue_rung(struct queue *q)
{
	uint32_t tail;

	if (q->state != SNPU_QUEUE_READY || q->closing)
		return;
	tail = READ_ONCE(queue_ctx(q)->tail);
	core_fence();			/* the descriptors are read after the index that announced them */
	q->bad_tail = tail - q->head > q->slots;
	if (!q->bad_tail)
		q->tail = tail;
	sched_update(q);
}

/* The job at head is over, whatever its result: the context first, so that it is right when the event is read. */
static void queue_advance(struct queue *q)
{
	struct snpu_queue_ctx *ctx = queue_ctx(q);

	q->head++;
	q->seqno_done++;
	q->jobs++;
	ctl_put64(&ctx->jobs, q->jobs);
	ctl_put64(&ctx->seqno_done, q->seqno_done);
	WRITE_ONCE(ctx->head, q->head);
}

static const char *queue_fault_text(uint32_t code)
{
#define FAULT_TEXT(name, value, text) [value] = text,
	static const char *const texts[] = { SNPU_FAULTS(FAULT_TEXT) };
#undef FAULT_TEXT

	return code < ARRAY_SIZE(texts) ? texts[code] : "unknown fault";
}

/* The queue runs nothing more. The slot of its event was set aside. seqno 0: no job is to blame. */
static void queue_fault(struct queue *q, uint64_t seqno, uint32_t code, uint64_t now)
{
	struct snpu_fw_event_JOB_FAULT event = {
		.head.type = SNPU_FW_EVENT_JOB_FAULT,
		.seqno = seqno,
		.start_ns = q->job_start_us * 1000,
		.end_ns = now * 1000,
		.busy_ns = q->job_busy_us * 1000,
		.queue = queue_index(q),
		.code = code,
	};

	q->started = false;
	queue_state_set(q, SNPU_QUEUE_FAULTED);
	event_put(&event, sizeof(event));
	log_put(LOG_WARN, "queue %lu: job %llu stopped by fault %lu: %s", queue_index(q), seqno, code, queue_fault_text(code));
}

/* A fault that the firmware found, not the engine: it writes the record itself. */
static void queue_bad_desc(struct queue *q, uint64_t seqno, uint64_t now)
{
	struct snpu_queue_ctx *ctx = queue_ctx(q);

	ctx->fault = (struct snpu_fault){
		.code = SNPU_FAULT_BAD_DESC,
		.seqno = seqno,
		.operand = ~0u,
		.asid = q->asid,
		.queue = queue_index(q),
	};
	q->job_start_us = now;
	q->job_busy_us = 0;
	queue_fault(q, seqno, SNPU_FAULT_BAD_DESC, now);
}

bool queue_job_begin(struct queue *q, uint64_t now)
{
	struct snpu_queue_ctx *ctx = queue_ctx(q);
	const struct snpu_job_desc *desc = ctl_at(SNPU_CTL_JOB(queue_index(q), q->head % q->slots));
	uint64_t expected = q->seqno_done + 1, seqno;

	if (q->bad_tail) {
		log_put(LOG_ERROR, "queue %lu: tail is out of range: head %lu, %lu slots; not believed", queue_index(q), q->head, q->slots);
		queue_bad_desc(q, 0, now);
		return false;
	}
	seqno = ctl_get64(&desc->seqno);
	if (seqno != expected) {
		log_put(LOG_ERROR, "queue %lu: job in slot %lu has seqno %llu, expected %llu", queue_index(q), q->head % q->slots, seqno, expected);
		queue_advance(q);
		queue_bad_desc(q, expected, now);
		return false;
	}
	q->started = true;
	q->job_start_us = now;
	q->job_busy_us = 0;
	q->job_cycles = ctl_get64(&ctx->counter[SNPU_COUNTER_CYCLES]);
	ctl_put64(&ctx->progress, 0);
	return true;
}

void queue_job_ran(struct queue *q, uint64_t us)
{
	q->job_busy_us += us;
	q->busy_us += us;
	ctl_put64(&queue_ctx(q)->busy_ns, q->busy_us * 1000);
}

void queue_job_done(struct queue *q, uint64_t now)
{
	struct snpu_fw_event_JOB_DONE event = {
		.head.type = SNPU_FW_EVENT_JOB_DONE,
		.start_ns = q->job_start_us * 1000,
		.end_ns = now * 1000,
		.busy_ns = q->job_busy_us * 1000,
		.cycles = ctl_get64(&queue_ctx(q)->counter[SNPU_COUNTER_CYCLES]) - q->job_cycles,
		.queue = queue_index(q),
	};

	queue_advance(q);
	event.seqno = q->seqno_done;
	q->started = false;
	sched_update(q);
	event_put(&event, sizeof(event));
	log_put(LOG_DEBUG, "queue %lu: job %llu done", queue_index(q), q->seqno_done);
}

void queue_job_fault(struct queue *q, uint64_t now)
{
	uint32_t code = READ_ONCE(queue_ctx(q)->fault.code);

	queue_advance(q);
	queue_fault(q, q->seqno_done, code, now);
}
