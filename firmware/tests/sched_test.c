/* SPDX-License-Identifier: MIT */
/* Who gets the engine: order, turns, fairness, priorities, preemption. */
#include "test.h"

/* Equal priority, jobs longer than a turn: turns go round, nobody is stopped early, and RESUME goes on. */
static void sched_round_robin(void)
{
	for (uint32_t q = 0; q < 3; q++) {
		EXPECT_EQ(host_create(q, 1, 2), 0);
		host_push(q, 1);
	}
	core_pass();
	for (uint32_t turn = 0; turn < 9; turn++) {
		EXPECT_EQ(engine_queue(), turn % 3);
		EXPECT_EQ(engine_cmd(), turn < 3 ? SNPU_ENG_START : SNPU_ENG_RESUME);
		time_pass(SCHED_SLICE_US - 1);
		EXPECT_EQ(engine_cmd(), 0);
		EXPECT(!core_awake());
		box_write(FW_TEST_TIME_ADD, 1);
		EXPECT(core_awake());			/* the timer, not luck */
		core_pass();
		EXPECT_EQ(engine_cmd(), SNPU_ENG_PREEMPT);
		EXPECT(!core_awake());
		core_pass();
		EXPECT_EQ(engine_cmd(), 0);		/* told once */
		engine_stop(0, SNPU_ENG_PREEMPTED);
	}
}

/* Alone, a queue is not disturbed; a newcomer gets the engine at once when the turn is used up. */
static void sched_alone(void)
{
	EXPECT_EQ(host_create(0, 0, 4), 0);
	EXPECT_EQ(host_create(1, 0, 4), 0);
	host_push(0, 2);
	core_pass();
	EXPECT_EQ(engine_cmd(), SNPU_ENG_START);
	for (uint32_t i = 0; i < 50; i++) {
		time_pass(SCHED_SLICE_US);
		EXPECT_EQ(engine_cmd(), 0);
	}
	host_push(1, 1);
	core_pass();
	EXPECT_EQ(engine_cmd(), SNPU_ENG_PREEMPT);
	engine_stop(1, SNPU_ENG_PREEMPTED);
	EXPECT_EQ(engine_queue(), 1);
	engine_stop(1, SNPU_ENG_DONE);
	EXPECT_EQ(engine_queue(), 0);
	EXPECT_EQ(engine_cmd(), SNPU_ENG_RESUME);
	engine_stop(1, SNPU_ENG_DONE);
	EXPECT_EQ(engine_cmd(), SNPU_ENG_START);	/* its next job is a new one */
}

/* A turn is whole for whoever gets it: after one that ended early, and for a queue that was alone for long. */
static void sched_whole_turns(void)
{
	for (uint32_t q = 0; q < 3; q++) {
		EXPECT_EQ(host_create(q, 0, 4), 0);
		host_push(q, 1);
	}
	core_pass();
	engine_stop(SCHED_SLICE_US - 100, SNPU_ENG_DONE);	/* queue 0 has nothing more */
	EXPECT_EQ(engine_queue(), 1);
	(void)engine_cmd();
	time_pass(SCHED_SLICE_US - 1);
	EXPECT_EQ(engine_cmd(), 0);
	time_pass(1);
	EXPECT_EQ(engine_cmd(), SNPU_ENG_PREEMPT);
	engine_stop(0, SNPU_ENG_DONE);
	EXPECT_EQ(engine_queue(), 2);
	host_push(2, 1);
	engine_stop(10 * SCHED_SLICE_US, SNPU_ENG_DONE);	/* alone: another turn begins with its next job */
	EXPECT_EQ(engine_cmd(), SNPU_ENG_START);
	host_push(0, 1);
	time_pass(SCHED_SLICE_US - 1);
	EXPECT_EQ(engine_cmd(), 0);
	time_pass(1);
	EXPECT_EQ(engine_cmd(), SNPU_ENG_PREEMPT);
}

/*
 * One queue of short jobs, one of long ones, one in between, all always busy: each gets a third of the engine's time,
 * to within a turn and the longest job.
 */
static void sched_fairness(void)
{
	static const uint32_t length[] = { 30, 700, 100000 };	/* us */
	uint32_t left[3] = { 30, 700, 100000 }, total[3] = { 0 };
	union event event;

	for (uint32_t q = 0; q < 3; q++) {
		EXPECT_EQ(host_create(q, 2, 2), 0);
		host_push(q, 2);
	}
	core_pass();
	while (total[0] + total[1] + total[2] < 90000) {
		uint32_t q = engine_queue(), step = left[q] < 10 ? left[q] : 10;

		time_pass(step);
		total[q] += step;
		left[q] -= step;
		if (!left[q]) {
			left[q] = length[q];
			host_push(q, 1);
			engine_stop(0, SNPU_ENG_DONE);
		} else if (engine_cmd() == SNPU_ENG_PREEMPT) {
			engine_stop(0, SNPU_ENG_PREEMPTED);
		}
		while (host_event(&event))
			;
	}
	for (uint32_t q = 0; q < 3; q++)
		EXPECT(total[q] > 30000 - 1100 && total[q] < 30000 + 1100);
}

/* Jobs so short that the clock does not see them do not keep the engine for ever. */
static void sched_no_time(void)
{
	union event event;
	uint32_t jobs = 0;

	EXPECT_EQ(host_create(0, 0, 64), 0);
	EXPECT_EQ(host_create(1, 0, 64), 0);
	host_push(0, 64);
	host_push(1, 1);
	core_pass();
	while (engine_queue() == 0 && jobs < 2 * SCHED_SLICE_US) {
		jobs++;
		host_push(0, 1);
		engine_stop(0, SNPU_ENG_DONE);
		(void)host_event(&event);
	}
	EXPECT_EQ(engine_queue(), 1);
	EXPECT(jobs <= SCHED_SLICE_US);
}

/* Higher priorities take the engine at the next packet, lower and equal ones do not; what was stopped is resumed. */
static void sched_priority(void)
{
	for (uint32_t p = 0; p < 4; p++)
		EXPECT_EQ(host_create(p, p, 2), 0);
	EXPECT_EQ(host_create(10, 1, 2), 0);
	host_push(1, 1);
	core_pass();
	EXPECT_EQ(engine_cmd(), SNPU_ENG_START);
	host_push(0, 1);
	host_push(10, 1);
	core_pass();
	EXPECT_EQ(engine_cmd(), 0);
	host_push(2, 1);
	core_pass();
	EXPECT_EQ(engine_cmd(), SNPU_ENG_PREEMPT);
	host_push(3, 1);				/* arrives while the engine is stopping: it is first */
	core_pass();
	EXPECT_EQ(engine_cmd(), 0);
	engine_stop(10, SNPU_ENG_PREEMPTED);
	EXPECT_EQ(engine_queue(), 3);
	EXPECT_EQ(engine_cmd(), SNPU_ENG_START);
	engine_stop(10, SNPU_ENG_DONE);
	EXPECT_EQ(engine_queue(), 2);
	engine_stop(10, SNPU_ENG_DONE);
	EXPECT_EQ(engine_queue(), 1);			/* its turn was interrupted, not over */
	(void)engine_cmd();
	time_pass(SCHED_SLICE_US - 11);
	EXPECT_EQ(engine_cmd(), 0);
	time_pass(1);
	EXPECT_EQ(engine_cmd(), SNPU_ENG_PREEMPT);	/* 10 us before, the rest now: one turn */
	engine_stop(0, SNPU_ENG_PREEMPTED);
	EXPECT_EQ(engine_queue(), 10);
	engine_stop(10, SNPU_ENG_DONE);
	EXPECT_EQ(engine_queue(), 1);
	EXPECT_EQ(engine_cmd(), SNPU_ENG_RESUME);
	engine_stop(10, SNPU_ENG_DONE);
	EXPECT_EQ(engine_queue(), 0);
	EXPECT_EQ(engine_cmd(), SNPU_ENG_START);
}

/* A job that ends just before it would have been preempted is done, once. */
static void sched_done_while_stopping(void)
{
	union event event = { 0 };

	EXPECT_EQ(host_create(0, 0, 4), 0);
	EXPECT_EQ(host_create(1, 1, 4), 0);
	host_push(0, 2);
	core_pass();
	host_push(1, 1);
	core_pass();
	EXPECT_EQ(engine_cmd(), SNPU_ENG_PREEMPT);
	engine_stop(3, SNPU_ENG_DONE);
	EXPECT(host_event(&event));
	EXPECT_EQ(event.done.seqno, 1);
	EXPECT_EQ(event.done.queue, 0);
	EXPECT_EQ(engine_queue(), 1);
	engine_stop(3, SNPU_ENG_DONE);
	EXPECT_EQ(engine_queue(), 0);
	EXPECT_EQ(engine_cmd(), SNPU_ENG_START);	/* the second job from its beginning, not the first resumed */
}

/* Times of a job that was preempted: first start, last end, and only its own time on the engine. */
static void sched_times(void)
{
	union event event = { 0 };

	EXPECT_EQ(host_create(0, 0, 4), 0);
	EXPECT_EQ(host_create(1, 1, 4), 0);
	box_write(FW_TEST_TIME_ADD, 1000);
	host_push(0, 1);
	core_pass();
	host_push(1, 1);
	core_pass();
	engine_stop(20, SNPU_ENG_PREEMPTED);
	engine_stop(500, SNPU_ENG_DONE);
	engine_stop(30, SNPU_ENG_DONE);
	EXPECT(host_event(&event));
	EXPECT_EQ(event.done.queue, 1);
	EXPECT_EQ(event.done.busy_ns, 500000);
	EXPECT(host_event(&event));
	EXPECT_EQ(event.done.queue, 0);
	EXPECT_EQ(event.done.start_ns, 1000000);
	EXPECT_EQ(event.done.end_ns, 1550000);
	EXPECT_EQ(event.done.busy_ns, 50000);
	EXPECT_EQ(ctl_get64(&queue_ctx(&queues[0])->busy_ns), 50000);
}

/* An interrupt that has lost its reason does nothing. */
static void sched_spurious(void)
{
	EXPECT_EQ(host_create(0, 0, 4), 0);
	engine_stop(1, SNPU_ENG_DONE);
	EXPECT_EQ(host_events(), 0);
	sched_engine_stopped();
	EXPECT_EQ(host_events(), 0);
	host_push(0, 1);
	core_pass();
	sched_engine_stopped();				/* still busy */
	EXPECT_EQ(engine_queue(), 0);
	EXPECT_EQ(host_events(), 0);
}

const struct test sched_tests[] = {
	{ "sched: turns within a priority", sched_round_robin },
	{ "sched: a queue alone is not disturbed", sched_alone },
	{ "sched: turns are whole", sched_whole_turns },
	{ "sched: equal time for short and long jobs", sched_fairness },
	{ "sched: jobs that take no time", sched_no_time },
	{ "sched: priorities preempt and resume", sched_priority },
	{ "sched: done while it was being preempted", sched_done_while_stopping },
	{ "sched: a preempted job's times", sched_times },
	{ "sched: interrupts without a reason", sched_spurious },
	{ 0 },
};
