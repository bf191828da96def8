/* SPDX-License-Identifier: MIT */
/*
 * Which queue has the engine. The highest priority that can run, runs; a running job of a lower one is preempted at
 * its next packet. Within a priority the queues take turns of SCHED_SLICE_US of engine time, however long their jobs are:
 * a turn ends early when its queue has nothing to run, and a job longer than the turn is preempted when others
 * wait, and resumed in its queue's next turn. A turn that a higher priority interrupts keeps what is left of it.
 *
 * A job may only start when its event has a slot; without one, only jobs that were started before can run.
 */
#include "fw.h"

#define WORDS	(SNPU_QUEUES / 32)

static struct {
	uint32_t ready[SCHED_PRIORITIES][WORDS];	/* queues with something to run, the running one too */
	uint32_t started[WORDS];			/* of these, the ones whose job holds its event slot already */
	struct {
		uint32_t queue;				/* whose turn it is, or was */
		uint32_t left_us;			/* engine time left of the turn */
	} turn[SCHED_PRIORITIES];
	uint32_t running;				/* queue on the engine, or SCHED_NONE */
	bool stopping;					/* PREEMPT or ABORT was given to it */
	uint64_t since_us;				/* when it was put there */
	uint64_t busy_us;				/* engine time of all runs that are over */
} sched;

/* To what the context of a running queue says, the host adds the time since running_since_us. */
static void sched_running_set(uint32_t queue)
{
	sched.running = queue;
	sched.stopping = false;
	core_fence();
	WRITE_ONCE(FW_HEADER->running_queue, queue);
	core_fence();
}

void sched_init(void)
{
	sched = (__typeof__(sched)){ 0 };
	for (uint32_t p = 0; p < SCHED_PRIORITIES; p++)
		sched.turn[p].queue = SNPU_QUEUES - 1;	/* queue 0 is next */
	sched_running_set(SCHED_NONE);
}

static void sched_bit(uint32_t *words, uint32_t i, bool on)
{
	uint32_t bit = 1u << i % 32;

	words[i / 32] = on ? words[i / 32] | bit : words[i / 32] & ~bit;
}

void sched_update(const struct queue *q)
{
	uint32_t i = queue_index(q);
	bool ready = q->state == SNPU_QUEUE_READY && !q->closing && (q->started || q->bad_tail || q->tail != q->head);

	sched_bit(sched.ready[q->priority], i, ready);
	sched_bit(sched.started, i, ready && q->started);
}

static bool sched_has(const uint32_t *set, uint32_t i)
{
	return set[i / 32] >> i % 32 & 1;
}

/* The first member after `after`, in a circle that ends with `after` itself. */
static uint32_t sched_next(const uint32_t *set, uint32_t after)
{
	uint32_t w = (after + 1) / 32 % WORDS, mask = ~0u << (after + 1) % 32;

	for (uint32_t i = 0; i <= WORDS; i++, w = (w + 1) % WORDS, mask = ~0u)
		if (set[w] & mask)
			return 32 * w + bit_lowest(set[w] & mask);
	return SCHED_NONE;
}

/* Engine time left of a priority's turn, with the running job's time so far taken off. */
static uint32_t sched_left(uint32_t priority, uint64_t now)
{
	uint32_t left = sched.turn[priority].left_us;
	uint64_t ran = now - sched.since_us;

	if (sched.running == SCHED_NONE || queues[sched.running].priority != priority)
		return left;
	return ran < left ? left - (uint32_t)ran : 0;
}

/* Whether a job may start that did not run before. The ring is only asked when there is such a job. */
static bool sched_room(void)
{
	uint32_t any = 0;

	for (uint32_t p = 0; p < SCHED_PRIORITIES; p++)
		for (uint32_t w = 0; w < WORDS; w++)
			any |= sched.ready[p][w] & ~sched.started[w];
	return any && event_room();
}

/* The queue that should have the engine now; *end_us is when that could change although nothing else happens. */
static uint32_t sched_pick(uint64_t now, uint64_t *end_us)
{
	bool room = sched_room();

	*end_us = TIME_NEVER;
	for (uint32_t p = SCHED_PRIORITIES; p-- > 0;) {
		uint32_t set[WORDS], turn = sched.turn[p].queue, left, next, any = 0;

		for (uint32_t w = 0; w < WORDS; w++)
			any |= set[w] = sched.ready[p][w] & (room ? ~0u : sched.started[w]);
		if (!any)
			continue;
		left = sched_left(p, now);
		next = sched_next(set, turn);
		if (!left || !sched_has(set, turn))
			return next;
		if (next != turn)
			*end_us = now + left;
		return turn;
	}
	return SCHED_NONE;
}

/* Puts a queue on the engine. False: its job was refused before it could run. */
static bool sched_start(struct queue *q, uint64_t now)
{
	uint32_t i = queue_index(q), p = q->priority;
	bool resume = q->saved;

	if (!q->started) {
		if (!event_reserve())
			panic("queue %lu picked without room for its event", i);
		if (!queue_job_begin(q, now))
			return false;
	}
	if (sched.turn[p].queue != i || !sched.turn[p].left_us) {
		sched.turn[p].queue = i;
		sched.turn[p].left_us = SCHED_SLICE_US;
	}
	q->saved = false;
	sched_update(q);
	sched.since_us = now;
	ctl_put64(&FW_HEADER->running_since_us, now);
	sched_running_set(i);
	core_write(SNPU_CORE_REG_ENG_QUEUE, i);
	core_write(SNPU_CORE_REG_ENG_DESC, SNPU_CTL_JOB(i, q->user ? 0 : q->head % q->slots));
	core_fence();
	core_write(SNPU_CORE_REG_ENG_CTRL, resume ? SNPU_ENG_RESUME : SNPU_ENG_START);
	return true;
}

static void sched_stop(enum snpu_eng_cmd how)
{
	sched.stopping = true;
	core_write(SNPU_CORE_REG_ENG_CTRL, how);
}

/* Runs at the end of every pass: gives the engine what it should run, and sets the timer. */
void sched_run(void)
{
	uint64_t now = time_us(), end_us;
	uint32_t want = sched_pick(now, &end_us);

	while (want != SCHED_NONE && sched.running == SCHED_NONE) {
		(void)sched_start(&queues[want], now);
		want = sched_pick(now, &end_us);
	}
	if (want != SCHED_NONE && want != sched.running && !sched.stopping)
		sched_stop(SNPU_ENG_PREEMPT);
	time_arm(end_us);
}

bool sched_abort(const struct queue *q)
{
	if (sched.running != queue_index(q))
		return false;
	sched_stop(SNPU_ENG_ABORT);
	return true;
}

/*
 * The engine's interrupt. What it did is in its status, whatever it had been told: a job may end just before the
 * packet boundary at which it was to be stopped, and its result then counts.
 */
void sched_engine_stopped(void)
{
	uint32_t status = core_read(SNPU_CORE_REG_ENG_STATUS), result = status >> 8 & 0xff;
	uint64_t now = time_us();
	struct queue *q;
	uint32_t left;

	if ((status & 0xff) == SNPU_ENG_BUSY || sched.running == SCHED_NONE)
		return;
	q = &queues[sched.running];
	left = sched_left(q->priority, now);
	if (left && now == sched.since_us)
		left--;			/* a run costs something even if the clock did not move */
	sched.turn[q->priority].left_us = left;
	sched_running_set(SCHED_NONE);
	sched.busy_us += now - sched.since_us;
	ctl_put64(&FW_HEADER->busy_ns, sched.busy_us * 1000);
	queue_job_ran(q, now - sched.since_us);
	if (result == SNPU_ENG_DONE)
		queue_job_done(q, now);
	else if (result == SNPU_ENG_FAULT)
		queue_job_fault(q, now);
	else if (result == SNPU_ENG_PREEMPTED)
		q->saved = true;
	else if (result != SNPU_ENG_ABORTED || !q->closing)
		panic("engine stopped queue %lu with result %lu", queue_index(q), result);
	if (q->closing)
		queue_close(q);
}

/* For the driver's watchdog: how far the running job is. */
void sched_progress(void)
{
	uint64_t packets;

	if (sched.running == SCHED_NONE)
		return;
	packets = core_read(SNPU_CORE_REG_ENG_PROGRESS_LO);	/* latches the high half */
	packets |= (uint64_t)core_read(SNPU_CORE_REG_ENG_PROGRESS_HI) << 32;
	ctl_put64(&queue_ctx(&queues[sched.running])->progress, packets);
}
