/* SPDX-License-Identifier: MIT */
/*
 * The engine's place in the card: commands from the core registers, a thread that takes one job at a time, and what a
 * run leaves in the queue context. Executing is engine.c.
 *
 * A reset does not wait for the thread: it orphans the run, whose result is then thrown away.
 */
#include <string.h>
#include <time.h>

#include "sim/card_priv.h"

#define SETTLE_MS	100			/* a local access takes microseconds; one to guest memory may take seconds */

/* --- with the lock held -------------------------------------------------------------------------------------- */
/* The core that would take the result is gone: one packet more, and the context holds where the job was. */
void engine_reset_soft(struct card *c)
{
	bool running = c->eng.running;

	c->eng = (struct card_engine){ .state = running ? SNPU_ENG_BUSY : SNPU_ENG_IDLE, .result = SNPU_ENG_NONE,
				       .running = running };
	if (running && !c->fault.stuck)
		snpu_engine_preempt(c->engine);
}

const struct card_sensors *engine_sensors(struct card *c)
{
	uint64_t counter[SNPU_COUNTER_COUNT];

	snpu_engine_totals(c->engine, counter);
	sensors_advance(&c->sensors, card_now(), counter[SNPU_COUNTER_ENERGY]);
	return &c->sensors;
}

static void engine_clear_totals(struct card *c)
{
	engine_sensors(c);
	snpu_engine_clear_totals(c->engine);
	sensors_engine_cleared(&c->sensors);
}

static void engine_stop(struct card *c, uint32_t cmd)
{
	if (c->fault.stuck)
		return;
	if (c->eng.asked)
		c->eng.early = cmd > c->eng.early ? cmd : c->eng.early;		/* ABORT outranks PREEMPT */
	else if (cmd == SNPU_ENG_ABORT)
		snpu_engine_abort(c->engine);
	else
		snpu_engine_preempt(c->engine);
}

void engine_command(struct card *c, uint32_t cmd)
{
	bool busy = c->eng.state == SNPU_ENG_BUSY;

	if (busy && (cmd == SNPU_ENG_PREEMPT || cmd == SNPU_ENG_ABORT)) {
		engine_stop(c, cmd);
	} else if (!busy && (cmd == SNPU_ENG_START || cmd == SNPU_ENG_RESUME)) {
		c->eng.state = SNPU_ENG_BUSY;
		c->eng.result = SNPU_ENG_NONE;
		c->eng.asked = true;
		c->eng.early = 0;
		c->eng.resume = cmd == SNPU_ENG_RESUME;
		c->eng.queue = c->core.eng_queue;
		c->eng.desc = c->core.eng_desc;
		pthread_cond_signal(&c->engine_wake);
	}
}

void engine_reset(struct card *c)
{
	bool running = c->eng.running;

	c->eng = (struct card_engine){ .state = SNPU_ENG_IDLE, .result = SNPU_ENG_NONE, .running = running };
	if (running)
		snpu_engine_abort(c->engine);
	c->fault.stuck = false;
	snpu_engine_invalidate(c->engine, SNPU_ENGINE_ALL_ASIDS);
	engine_clear_totals(c);
}

void card_engine_settle(struct card *c)
{
	struct timespec t;
	uint64_t until = card_now() + SETTLE_MS * 1000000ull;

	t.tv_sec = (time_t)(until / 1000000000u);
	t.tv_nsec = (long)(until % 1000000000u);
	pthread_mutex_lock(&c->lock);
	while (c->eng.running && !pthread_cond_timedwait(&c->engine_idle, &c->lock, &t))
		;
	pthread_mutex_unlock(&c->lock);
}

/* --- the thread ---------------------------------------------------------------------------------------------- */
struct engine_run {
	uint64_t epoch;
	struct snpu_job_desc desc;
	struct snpu_engine_state saved;
	uint32_t at;				/* offset of the descriptor in the control area */
	struct snpu_engine_job job;
	struct snpu_engine_result res;
};

/* Copies what the job needs out of the control area, which others can write. */
static void run_prepare(struct card *c, struct engine_run *r)
{
	struct snpu_queue_ctx *q = card_queue(c, c->eng.queue);
	bool fetch = q->ring_va && !c->eng.resume;

	r->epoch = atomic_load(&c->epoch);
	r->at = c->eng.desc;
	memcpy(&r->desc, c->ctl + r->at, sizeof(r->desc));
	memcpy(&r->saved, &q->saved, sizeof(r->saved));
	r->job = (struct snpu_engine_job){ .pt_root = q->pt_root, .asid = q->asid, .queue = c->eng.queue,
					   .desc = fetch ? NULL : &r->desc, .status_va = q->status_va,
					   .resume = c->eng.resume ? &r->saved : NULL };
	if (fetch) {
		r->job.seqno = q->seqno_done + 1;
		r->job.desc_va = q->ring_va + (uint64_t)(q->head & (q->slots - 1)) * sizeof(struct snpu_job_desc);
	}
	q->saved.valid = 0;
	if (!c->eng.resume)
		q->eng_started = fetch ? r->job.seqno : r->desc.seqno;
}

static bool run_possible(const struct card *c)
{
	return c->eng.queue < SNPU_QUEUES && c->eng.desc % 8 == 0 && c->eng.desc <= SNPU_CTL_SIZE - sizeof(struct snpu_job_desc);
}

/* What a run leaves in the queue context. */
static void run_publish(struct card *c, const struct engine_run *r)
{
	struct snpu_queue_ctx *q = card_queue(c, r->job.queue);

	if (!r->job.desc)
		memcpy(c->ctl + r->at, &r->res.desc, sizeof(r->res.desc));
	if (r->res.result == SNPU_ENG_PREEMPTED) {
		memcpy(&q->saved, &r->res.state, sizeof(q->saved));
	} else {
		if (r->res.result != SNPU_ENG_ABORTED)
			q->eng_done = q->eng_started;
		for (unsigned int i = 0; i < SNPU_COUNTER_COUNT; i++)
			q->counter[i] += r->res.counter[i];
	}
	if (r->res.result == SNPU_ENG_FAULT)
		memcpy(&q->fault, &r->res.fault, sizeof(q->fault));
}

static void run_end(struct card *c, enum snpu_eng_result result)
{
	c->eng.state = SNPU_ENG_IDLE;
	c->eng.result = result;
	core_irq_raise(c, SNPU_CORE_IRQ_ENGINE);
}

/* Takes the job that was asked for. With the lock held, which is let go while the job runs. */
static void engine_take(struct card *c)
{
	struct engine_run r;
	uint32_t early = c->eng.early;

	c->eng.asked = false;
	if (!run_possible(c)) {
		/* There is no context to hold a record: the firmware named a queue or descriptor that does not exist. */
		run_end(c, SNPU_ENG_FAULT);
		return;
	}
	run_prepare(c, &r);
	snpu_engine_clear_requests(c->engine);
	if (early)
		engine_stop(c, early);
	engine_sensors(c);		/* what comes now is this run's, not of the time before it */
	c->eng.running = true;
	pthread_mutex_unlock(&c->lock);
	snpu_engine_run(c->engine, &r.job, &r.res);
	pthread_mutex_lock(&c->lock);
	c->eng.running = false;
	engine_sensors(c);
	pthread_cond_broadcast(&c->engine_idle);
	if (r.epoch == atomic_load(&c->epoch)) {
		run_publish(c, &r);
		run_end(c, r.res.result);
	} else {
		engine_clear_totals(c);		/* of the orphan, which ended after they were cleared */
	}
}

void *card_engine_thread(void *card)
{
	struct card *c = card;

	pthread_mutex_lock(&c->lock);
	while (!c->quit) {
		if (c->eng.asked)
			engine_take(c);
		else
			pthread_cond_wait(&c->engine_wake, &c->lock);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}
