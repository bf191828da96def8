/* SPDX-License-Identifier: MIT */
/* Creation and destruction of queues, completion, faults, and hostile indices. */
#include "test.h"

#define CREATE(...) create(&(struct snpu_fw_cmd_QUEUE_CREATE){ __VA_ARGS__ })

static uint32_t create(struct snpu_fw_cmd_QUEUE_CREATE *cmd)
{
	return host_call(SNPU_FW_OP_QUEUE_CREATE, cmd, sizeof(*cmd));
}

static struct snpu_queue_ctx *ctx_of(uint32_t queue)
{
	return ctl_at(SNPU_CTL_QUEUE(queue));
}

static void queue_create_refusals(void)
{
	const uint32_t inval = (uint32_t)-FW_EINVAL;

	EXPECT_EQ(CREATE(.pt_root = PT_ROOT, .queue = SNPU_QUEUES, .asid = 1, .slots = 4), inval);
	EXPECT_EQ(CREATE(.pt_root = PT_ROOT, .queue = ~0u, .asid = 1, .slots = 4), inval);
	EXPECT_EQ(CREATE(.pt_root = PT_ROOT, .priority = 4, .asid = 1, .slots = 4), inval);
	EXPECT_EQ(CREATE(.pt_root = PT_ROOT, .asid = 0, .slots = 4), inval);
	EXPECT_EQ(CREATE(.pt_root = PT_ROOT, .asid = SNPU_ASIDS, .slots = 4), inval);
	for (uint32_t slots = 0; slots <= 2 * SNPU_RING_SLOTS; slots++)
		if (slots != 2 && slots != 4 && slots != 8 && slots != 16 && slots != 32 && slots != 64)
			EXPECT_EQ(CREATE(.pt_root = PT_ROOT, .asid = 1, .slots = slots), inval);
	EXPECT_EQ(CREATE(.pt_root = 0, .asid = 1, .slots = 4), inval);
	EXPECT_EQ(CREATE(.pt_root = 0x123000, .asid = 1, .slots = 4), inval);
	EXPECT_EQ(CREATE(.pt_root = PT_ROOT | SNPU_PTE_LEAF, .asid = 1, .slots = 4), inval);
	EXPECT_EQ(CREATE(.pt_root = PT_ROOT | SNPU_PTE_READ, .asid = 1, .slots = 4), inval);
	EXPECT_EQ(CREATE(.pt_root = PT_ROOT | 1ull << 52, .asid = 1, .slots = 4), inval);
	EXPECT_EQ(CREATE(.pt_root = PT_ROOT, .asid = 1, .slots = 4, .flags = 4), inval);
	EXPECT_EQ(CREATE(.pt_root = PT_ROOT, .asid = 1, .slots = 4, .pad = 1), inval);
	EXPECT_EQ(CREATE(.pt_root = PT_ROOT, .asid = 1, .slots = 4, .ring_va = 0x10000), inval);
	EXPECT_EQ(CREATE(.pt_root = PT_ROOT, .asid = 1, .slots = 4, .status_va = 0x10000), inval);
#define USER(...) CREATE(.pt_root = PT_ROOT, .asid = 1, .flags = SNPU_FW_QUEUE_USER, __VA_ARGS__)
	EXPECT_EQ(USER(.slots = 4, .status_va = 0x10000), inval);
	EXPECT_EQ(USER(.slots = 4, .ring_va = 0x10000), inval);
	EXPECT_EQ(USER(.slots = 4, .ring_va = 0x10020, .status_va = 0x10000), inval);
	EXPECT_EQ(USER(.slots = 4, .ring_va = 0x10000, .status_va = 0x10001), inval);
	EXPECT_EQ(USER(.slots = 2 * SNPU_USER_SLOTS, .ring_va = 0x10000, .status_va = 0x20000), inval);
	EXPECT_EQ(USER(.slots = 48, .ring_va = 0x10000, .status_va = 0x20000), inval);
	for (uint32_t q = 0; q < SNPU_QUEUES; q++)
		EXPECT_EQ(ctx_of(q)->state, SNPU_QUEUE_FREE);
	EXPECT_EQ(USER(.slots = SNPU_USER_SLOTS, .ring_va = 0x10000, .status_va = 0x20000), 0);
}

static void queue_create_good(void)
{
	struct snpu_queue_ctx *ctx = ctx_of(63);

	memset(ctx, 0xff, sizeof(*ctx));
	EXPECT_EQ(CREATE(.pt_root = PT_ROOT | SNPU_PTE_DEVICE, .queue = 63, .priority = 3, .asid = SNPU_ASIDS - 1, .slots = 64), 0);
	EXPECT_EQ(ctx->state, SNPU_QUEUE_READY);
	EXPECT_EQ(ctx->priority, 3);
	EXPECT_EQ(ctx->asid, SNPU_ASIDS - 1);
	EXPECT_EQ(ctx->slots, 64);
	EXPECT_EQ(ctx->pt_root, PT_ROOT | SNPU_PTE_DEVICE);
	EXPECT_EQ(ctx->head | ctx->tail | ctx->seqno_done | ctx->busy_ns | ctx->jobs | ctx->counter[0] | ctx->fault.code | ctx->saved.valid, 0);
	EXPECT_EQ(CREATE(.pt_root = PT_ROOT, .queue = 63, .asid = 1, .slots = 2), (uint32_t)-FW_EBUSY);
	/* One asid, two page tables: one context would read through the other's cached translations. */
	EXPECT_EQ(CREATE(.pt_root = PT_ROOT, .queue = 1, .asid = SNPU_ASIDS - 1, .slots = 2), (uint32_t)-FW_EINVAL);
	EXPECT_EQ(CREATE(.pt_root = PT_ROOT | SNPU_PTE_DEVICE, .queue = 1, .asid = SNPU_ASIDS - 1, .slots = 2), 0);
}

static void queue_job_life(void)
{
	struct snpu_queue_ctx *ctx = ctx_of(2);
	union event event = { 0 };

	EXPECT_EQ(host_create(2, 1, 2), 0);
	time_pass(100);
	EXPECT_EQ(engine_queue(), SCHED_NONE);
	host_push(2, 2);
	core_pass();
	EXPECT_EQ(engine_cmd(), SNPU_ENG_START);
	EXPECT_EQ(engine_queue(), 2);
	ctl_put64(&ctx->counter[SNPU_COUNTER_CYCLES], 777);
	engine_stop(50, SNPU_ENG_DONE);
	EXPECT_EQ(ctx->head, 1);
	EXPECT_EQ(ctx->seqno_done, 1);
	EXPECT_EQ(ctx->jobs, 1);
	EXPECT_EQ(ctx->busy_ns, 50000);
	EXPECT(host_event(&event));
	EXPECT_EQ(event.head.type, SNPU_FW_EVENT_JOB_DONE);
	EXPECT_EQ(event.head.time_us, 150);
	EXPECT_EQ(event.done.seqno, 1);
	EXPECT_EQ(event.done.queue, 2);
	EXPECT_EQ(event.done.start_ns, 100000);
	EXPECT_EQ(event.done.end_ns, 150000);
	EXPECT_EQ(event.done.busy_ns, 50000);
	EXPECT_EQ(event.done.cycles, 777);
	EXPECT_EQ(engine_cmd(), SNPU_ENG_START);	/* the second job, at once */
	ctl_put64(&ctx->counter[SNPU_COUNTER_CYCLES], 1000);
	engine_stop(7, SNPU_ENG_DONE);
	EXPECT(host_event(&event));
	EXPECT_EQ(event.done.seqno, 2);
	EXPECT_EQ(event.done.cycles, 223);
	EXPECT_EQ(ctx->busy_ns, 57000);
	EXPECT_EQ(engine_queue(), SCHED_NONE);
	EXPECT(!core_awake());
}

/* A small ring turns over, also where the indices pass 2^32. */
static void queue_ring_wraps(void)
{
	union event event;

	EXPECT_EQ(host_create(0, 0, 4), 0);
	queues[0].head = queues[0].tail = ctx_of(0)->head = ctx_of(0)->tail = 0xfffffff0u;
	queues[0].seqno_done = 0xfffffff0u;
	for (uint32_t round = 0; round < 10; round++) {
		for (uint32_t i = 0; i < 4; i++) {
			uint64_t seqno = 0xfffffff1ull + round * 4 + i;

			ctl_put64(&((struct snpu_job_desc *)ctl_at(SNPU_CTL_JOB(0, ctx_of(0)->tail++ % 4)))->seqno, seqno);
		}
		box_write(FW_TEST_RING, 0);
		core_pass();
		for (uint32_t i = 0; i < 4; i++) {
			EXPECT_EQ(engine_cmd(), SNPU_ENG_START);
			engine_stop(1, SNPU_ENG_DONE);
			EXPECT(host_event(&event));
			EXPECT_EQ(event.done.seqno, 0xfffffff1ull + round * 4 + i);
		}
		EXPECT_EQ(engine_cmd(), 0);
	}
	EXPECT_EQ(ctx_of(0)->head, 0xfffffff0u + 40);
}

static void queue_fault(void)
{
	struct snpu_queue_ctx *ctx = ctx_of(3);
	union event event = { 0 };

	EXPECT_EQ(host_create(3, 0, 8), 0);
	EXPECT_EQ(host_create(4, 0, 8), 0);
	host_push(3, 3);
	core_pass();
	host_push(4, 1);
	ctx->fault.code = SNPU_FAULT_MMU_WRITE;
	engine_stop(9, SNPU_ENG_FAULT);
	EXPECT_EQ(ctx->state, SNPU_QUEUE_FAULTED);
	EXPECT_EQ(ctx->seqno_done, 1);
	EXPECT(host_event(&event));
	EXPECT_EQ(event.head.type, SNPU_FW_EVENT_JOB_FAULT);
	EXPECT_EQ(event.fault.seqno, 1);
	EXPECT_EQ(event.fault.queue, 3);
	EXPECT_EQ(event.fault.code, SNPU_FAULT_MMU_WRITE);
	EXPECT_EQ(event.fault.busy_ns, 9000);
	EXPECT(host_log_ends("queue 3: job 1 stopped by fault 15: the address is mapped but not writable"));
	EXPECT_EQ(engine_queue(), 4);			/* the other queue goes on */
	engine_stop(1, SNPU_ENG_DONE);
	EXPECT(host_event(&event));
	EXPECT_EQ(event.done.queue, 4);
	host_push(3, 1);
	core_pass();
	EXPECT_EQ(engine_queue(), SCHED_NONE);		/* the faulted one runs nothing more */
	EXPECT(!host_event(&event));
	(void)host_destroy(3);
	core_pass();
	EXPECT(host_event(&event));
	EXPECT_EQ(event.reply.status, 0);
	EXPECT_EQ(host_create(3, 0, 8), 0);
	host_push(3, 1);
	core_pass();
	EXPECT_EQ(engine_queue(), 3);
}

static void expect_bad_desc(uint32_t queue, uint64_t seqno)
{
	union event event = { 0 };

	core_pass();
	EXPECT_EQ(engine_cmd(), 0);
	EXPECT(host_event(&event));
	EXPECT_EQ(event.head.type, SNPU_FW_EVENT_JOB_FAULT);
	EXPECT_EQ(event.fault.queue, queue);
	EXPECT_EQ(event.fault.seqno, seqno);
	EXPECT_EQ(event.fault.code, SNPU_FAULT_BAD_DESC);
	EXPECT_EQ(ctx_of(queue)->state, SNPU_QUEUE_FAULTED);
	EXPECT_EQ(ctx_of(queue)->fault.code, SNPU_FAULT_BAD_DESC);
	EXPECT_EQ(ctx_of(queue)->fault.seqno, seqno);
	EXPECT_EQ(ctx_of(queue)->fault.queue, queue);
}

static void queue_bad_seqno(void)
{
	static const uint64_t bad[] = { 0, 1, 3, 2ull | 1ull << 32, ~0ull };	/* the second job's should be 2 */
	union event event;

	for (uint32_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(host_create(i, 0, 8), 0);
		host_push(i, 2);
		ctl_put64(&((struct snpu_job_desc *)ctl_at(SNPU_CTL_JOB(i, 1)))->seqno, bad[i]);
		core_pass();
		EXPECT_EQ(engine_cmd(), SNPU_ENG_START);
		engine_stop(1, SNPU_ENG_DONE);
		EXPECT(host_event(&event));
		expect_bad_desc(i, 2);
		EXPECT_EQ(ctx_of(i)->head, 2);
		EXPECT_EQ(ctx_of(i)->seqno_done, 2);
	}
}

static void queue_bad_tail(void)
{
	static const uint32_t bad[] = { 9, 0x80000000u, ~0u };

	EXPECT_EQ(host_create(10, 0, 8), 0);
	for (uint32_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(host_create(i, 0, 8), 0);
		WRITE_ONCE(ctx_of(i)->tail, bad[i]);
		box_write(FW_TEST_RING, i);
		expect_bad_desc(i, 0);
		EXPECT_EQ(ctx_of(i)->head, 0);
	}
	host_push(10, 8);				/* a full ring is no fault */
	core_pass();
	EXPECT_EQ(engine_queue(), 10);
	WRITE_ONCE(ctx_of(10)->tail, 9);		/* while a job runs: it may finish */
	box_write(FW_TEST_RING, 10);
	core_pass();
	EXPECT_EQ(engine_queue(), 10);
	EXPECT_EQ(engine_cmd(), SNPU_ENG_START);
	engine_stop(1, SNPU_ENG_DONE);
	union event event;

	EXPECT(host_event(&event));
	EXPECT_EQ(event.head.type, SNPU_FW_EVENT_JOB_DONE);
	EXPECT_EQ(event.done.seqno, 1);
	expect_bad_desc(10, 0);
}

/* Doorbells of queues that are free, faulted or not there do nothing; all 64 are heard. */
static void queue_doorbells(void)
{
	union event event;

	for (uint32_t q = 0; q < SNPU_QUEUES; q++) {
		WRITE_ONCE(ctx_of(q)->tail, 5);
		box_write(FW_TEST_RING, q);
	}
	core_pass();
	EXPECT(!core_awake());
	EXPECT_EQ(engine_cmd(), 0);
	EXPECT_EQ(host_events(), 0);
	for (uint32_t q = 0; q < SNPU_QUEUES; q++)
		EXPECT_EQ(host_create(q, q % 4, 2), 0);
	for (uint32_t q = 0; q < SNPU_QUEUES; q++)
		host_push(q, 1);
	core_pass();
	for (uint32_t i = 0; i < SNPU_QUEUES; i++) {
		EXPECT_EQ(engine_cmd(), SNPU_ENG_START);
		engine_stop(1, SNPU_ENG_DONE);
		EXPECT(host_event(&event));
		EXPECT_EQ(event.done.seqno, 1);
		EXPECT_EQ(ctx_of(event.done.queue)->jobs, 1);
		EXPECT_EQ(event.done.queue % 4, 3 - i / 16);
	}
	EXPECT_EQ(engine_cmd(), 0);
}

static void queue_destroy_refusals(void)
{
	struct snpu_fw_cmd_QUEUE_DESTROY cmd = { .queue = SNPU_QUEUES };

	EXPECT_EQ(host_call(SNPU_FW_OP_QUEUE_DESTROY, &cmd, sizeof(cmd)), (uint32_t)-FW_EINVAL);
	cmd.queue = 0;
	EXPECT_EQ(host_call(SNPU_FW_OP_QUEUE_DESTROY, &cmd, sizeof(cmd)), (uint32_t)-FW_ENOENT);
	EXPECT_EQ(host_create(0, 0, 4), 0);
	cmd.pad = 1;
	EXPECT_EQ(host_call(SNPU_FW_OP_QUEUE_DESTROY, &cmd, sizeof(cmd)), (uint32_t)-FW_EINVAL);
	cmd.pad = 0;
	EXPECT_EQ(host_call(SNPU_FW_OP_QUEUE_DESTROY, &cmd, sizeof(cmd)), 0);
	EXPECT_EQ(ctx_of(0)->state, SNPU_QUEUE_FREE);
}

/* The engine is told to stop; the reply comes when it has, and other commands do not wait for that. */
static void queue_destroy_running(void)
{
	struct snpu_fw_cmd_PING ping = { 0 };
	struct snpu_fw_cmd_QUEUE_DESTROY again = { .queue = 0 };
	union event event = { 0 };
	uint32_t id;

	EXPECT_EQ(host_create(0, 3, 4), 0);
	EXPECT_EQ(host_create(1, 0, 4), 0);
	host_push(0, 3);
	host_push(1, 1);
	core_pass();
	EXPECT_EQ(engine_cmd(), SNPU_ENG_START);
	id = host_destroy(0);
	core_pass();
	EXPECT_EQ(engine_cmd(), SNPU_ENG_ABORT);
	EXPECT_EQ(host_events(), 0);
	EXPECT_EQ(ctx_of(0)->state, SNPU_QUEUE_READY);
	EXPECT_EQ(host_call(SNPU_FW_OP_PING, &ping, sizeof(ping)), 0);
	EXPECT_EQ(host_call(SNPU_FW_OP_QUEUE_DESTROY, &again, sizeof(again)), (uint32_t)-FW_EBUSY);
	EXPECT_EQ(host_create(0, 0, 4), (uint32_t)-FW_EBUSY);
	engine_stop(4, SNPU_ENG_ABORTED);
	EXPECT(host_event(&event));
	EXPECT_EQ(event.head.type, SNPU_FW_EVENT_REPLY);
	EXPECT_EQ(event.reply.id, id);
	EXPECT_EQ(event.reply.status, 0);
	EXPECT_EQ(ctx_of(0)->state, SNPU_QUEUE_FREE);
	EXPECT_EQ(host_events(), 0);			/* no event for the jobs that did not finish */
	EXPECT_EQ(engine_queue(), 1);
	EXPECT(host_log_ends("queue 0: destroyed after 0 jobs, 3 dropped"));
}

/* The job ends by itself before the abort reaches it: its result counts, and the queue still goes. */
static void queue_destroy_late(void)
{
	static const enum snpu_eng_result result[] = { SNPU_ENG_DONE, SNPU_ENG_FAULT };
	static const uint32_t type[] = { SNPU_FW_EVENT_JOB_DONE, SNPU_FW_EVENT_JOB_FAULT };
	union event event = { 0 };

	for (uint32_t i = 0; i < ARRAY_SIZE(result); i++) {
		EXPECT_EQ(host_create(0, 0, 4), 0);
		host_push(0, 2);
		core_pass();
		(void)host_destroy(0);
		core_pass();
		engine_stop(4, result[i]);
		EXPECT(host_event(&event));
		EXPECT_EQ(event.head.type, type[i]);
		EXPECT(host_event(&event));
		EXPECT_EQ(event.head.type, SNPU_FW_EVENT_REPLY);
		EXPECT_EQ(ctx_of(0)->state, SNPU_QUEUE_FREE);
		EXPECT_EQ(engine_queue(), SCHED_NONE);
	}
}

/* A preempted job's event slot comes back when its queue is destroyed: many rounds would use the ring up otherwise. */
static void queue_destroy_preempted(void)
{
	union event event;

	EXPECT_EQ(host_create(1, 3, 2), 0);
	for (uint32_t round = 0; round < SNPU_EVENT_SLOTS + 10; round++) {
		EXPECT_EQ(host_create(0, 0, 2), 0);
		host_push(0, 1);
		core_pass();
		host_push(1, 1);
		core_pass();
		engine_stop(1, SNPU_ENG_PREEMPTED);
		EXPECT_EQ(engine_queue(), 1);
		(void)host_destroy(0);
		engine_stop(1, SNPU_ENG_DONE);
		EXPECT_EQ(engine_queue(), SCHED_NONE);
		while (host_event(&event))
			;
	}
}

const struct test queue_tests[] = {
	{ "queue: what QUEUE_CREATE refuses", queue_create_refusals },
	{ "queue: create", queue_create_good },
	{ "queue: the life of a job", queue_job_life },
	{ "queue: rings and indices wrap around", queue_ring_wraps },
	{ "queue: a fault stops its queue and no other", queue_fault },
	{ "queue: a job's number must follow the last", queue_bad_seqno },
	{ "queue: a tail out of range faults the queue", queue_bad_tail },
	{ "queue: doorbells of all queues, and of none", queue_doorbells },
	{ "queue: what QUEUE_DESTROY refuses", queue_destroy_refusals },
	{ "queue: destroying a running queue waits for the engine only", queue_destroy_running },
	{ "queue: a job that ends before its abort counts", queue_destroy_late },
	{ "queue: destroying preempted jobs leaks no event slot", queue_destroy_preempted },
	{ 0 },
};
