/* SPDX-License-Identifier: MIT */
/*
 * The queue table: creation, destruction, the ring's indices, and what is told to the host when a job ends. Decisions
 * are taken by the table here; the contexts in the control area are what the engine and the host read. Which queue runs
 * is sched.c's.
 */
#include "fw.h"

struct queue queues[SNPU_QUEUES];

/* The contexts stay as the last firmware left them: the host may create queues with KEEP. */
void queue_init(void)
{
	memset(queues, 0, sizeof(queues));
	for (uint32_t i = 0; i < SNPU_QUEUES; i++)
		queue_ctx(&queues[i])->state = SNPU_QUEUE_FREE;
}

static void queue_state_set(struct queue *q, enum snpu_queue_state state)
{
	q->state = state;
	core_fence();
	WRITE_ONCE(queue_ctx(q)->state, state);
	sched_update(q);
}

static void queue_job_ended(struct queue *q, uint64_t now);

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

static bool queue_create_ok(const struct snpu_fw_cmd_QUEUE_CREATE *cmd)
{
	bool user = cmd->flags & SNPU_FW_QUEUE_USER;

	if (cmd->queue >= SNPU_QUEUES || cmd->priority >= SCHED_PRIORITIES || cmd->pad ||
	    (cmd->flags & ~(uint32_t)(SNPU_FW_QUEUE_KEEP | SNPU_FW_QUEUE_USER)))
		return false;
	if (cmd->slots < 2 || cmd->slots > (user ? SNPU_USER_SLOTS : SNPU_RING_SLOTS) || (cmd->slots & (cmd->slots - 1)))
		return false;
	if (user ? !cmd->ring_va || cmd->ring_va % 64 || !cmd->status_va || cmd->status_va % 64 : cmd->ring_va || cmd->status_va)
		return false;
	return queue_root_ok(cmd->pt_root) && queue_asid_ok(cmd->asid, cmd->pt_root);
}

/*
 * Takes up a queue where its context says it was. The engine's two numbers tell what became of the job at head: it never
 * began, it waits in `saved`, it ended without anybody noticing, or it was cut off in the middle.
 */
static int queue_take_up(struct queue *q)
{
	const struct snpu_queue_ctx *ctx = queue_ctx(q);
	uint64_t begun, ended;

	q->head = ctx->head;
	q->tail = ctx->tail;
	q->seqno_done = ctl_get64(&ctx->seqno_done);
	q->jobs = ctl_get64(&ctx->jobs);
	q->busy_ns = ctl_get64(&ctx->busy_ns);
	q->saved = ctx->saved.valid;
	begun = ctl_get64(&ctx->eng_started);
	ended = ctl_get64(&ctx->eng_done);
	if (q->tail - q->head > q->slots || q->head != (uint32_t)q->seqno_done)
		return -FW_EINVAL;
	if (begun != q->seqno_done + 1)
		return q->saved ? -FW_EINVAL : 0;
	if (!q->saved && ended != begun)
		return -FW_EIO;
	if (!event_reserve())
		return -FW_EBUSY;
	q->started = true;
	q->job_start_us = time_us();
	q->job_cycles = ctl_get64(&ctx->counter[SNPU_COUNTER_CYCLES]);
	return 0;
}

/* What QUEUE_CREATE promises is zero, and what RESUME could use: all of the context. */
static void queue_ctx_set(const struct queue *q, const struct snpu_fw_cmd_QUEUE_CREATE *cmd)
{
	struct snpu_queue_ctx *ctx = queue_ctx(q);

	if (!(cmd->flags & SNPU_FW_QUEUE_KEEP)) {
		memset(ctx, 0, sizeof(*ctx));
		ctl_put64(&ctx->notify, ~0ull);
	}
	ctx->priority = q->priority;
	ctx->asid = q->asid;
	ctx->slots = q->slots;
	ctx->flags = cmd->flags;
	ctl_put64(&ctx->pt_root, q->pt_root);
	ctl_put64(&ctx->ring_va, cmd->ring_va);
	ctl_put64(&ctx->status_va, cmd->status_va);
}

int queue_create(const struct snpu_fw_cmd_QUEUE_CREATE *cmd)
{
	struct queue *q = &queues[cmd->queue % SNPU_QUEUES], new = {
		.priority = cmd->priority,
		.asid = cmd->asid,
		.slots = cmd->slots,
		.pt_root = cmd->pt_root,
		.user = cmd->flags & SNPU_FW_QUEUE_USER,
	};
	int err = 0;

	if (!queue_create_ok(cmd))
		return -FW_EINVAL;
	if (q->state != SNPU_QUEUE_FREE)
		return -FW_EBUSY;
	*q = new;
	if (cmd->flags & SNPU_FW_QUEUE_KEEP)
		err = queue_take_up(q);
	if (err) {
		*q = (struct queue){ .state = SNPU_QUEUE_FREE };
		return err;
	}
	queue_ctx_set(q, cmd);
	queue_state_set(q, SNPU_QUEUE_READY);
	log_put(LOG_DEBUG, "queue %lu: created, priority %lu, asid %lu, %lu slots%s%s", cmd->queue, q->priority, q->asid, q->slots,
		q->user ? ", user" : "", cmd->flags & SNPU_FW_QUEUE_KEEP ? ", kept" : "");
	if (q->started && !q->saved)
		queue_job_ended(q, time_us());
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
	seqno = q->user ? expected : ctl_get64(&desc->seqno);
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
	q->busy_ns += us * 1000;
	ctl_put64(&queue_ctx(q)->busy_ns, q->busy_ns);
}

/*
 * Who polls a user queue's status needs no event. The host writes notify before it looks at seqno_done once more, so one of
 * the two always sees the other.
 */
static bool queue_event_wanted(const struct queue *q)
{
	core_fence();
	return !q->user || q->seqno_done >= ctl_get64(&queue_ctx(q)->notify);
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
	if (queue_event_wanted(q))
		event_put(&event, sizeof(event));
	else
		event_release();
	log_put(LOG_DEBUG, "queue %lu: job %llu done", queue_index(q), q->seqno_done);
}

void queue_job_fault(struct queue *q, uint64_t now)
{
	uint32_t code = READ_ONCE(queue_ctx(q)->fault.code);

	queue_advance(q);
	queue_fault(q, q->seqno_done, code, now);
}

/* A job that the engine ended while no firmware was there to see it. */
static void queue_job_ended(struct queue *q, uint64_t now)
{
	const struct snpu_fault *fault = &queue_ctx(q)->fault;

	if (fault->code && ctl_get64(&fault->seqno) == q->seqno_done + 1)
		queue_job_fault(q, now);
	else
		queue_job_done(q, now);
}
