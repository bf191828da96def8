/* SPDX-License-Identifier: MIT */
/*
 * Doorbells: each queue's page in BAR4. Trapped, a write is an event. Mapped, it is a store to memory that nobody
 * is told about, so a thread looks at the pages as long as there are queues: it saves the guest an exit and costs the host
 * about 15 % of a processor while doorbells ring, 1 % while they do not. The tail is stored in the queue context before the core is told.
 */
#include <sys/prctl.h>
#include <time.h>

#include "sim/card_priv.h"

#define POLL_FAST_NS	50000			/* between two looks at all pages */
#define POLL_SLOW_NS	1000000			/* after POLL_FAST_LOOKS of them without a ring */
#define POLL_FAST_LOOKS	2000u			/* 0.1 s and more */

static uint32_t *page(struct card *c, unsigned int queue, enum snpu_doorbell_reg reg)
{
	return (uint32_t *)(c->doorbell + queue * SNPU_DOORBELL_STRIDE + reg);
}

void doorbell_ring(struct card *c, unsigned int queue, uint32_t tail)
{
	__atomic_store_n(&card_queue(c, queue)->tail, tail, __ATOMIC_RELEASE);
	core_doorbell(c, queue);
}

/*
 * A queue begins at 0: what a former owner left in its page must not ring for the next. One that goes on where it was may
 * have been rung meanwhile.
 */
void doorbell_queue_ready(struct card *c, unsigned int queue)
{
	if (!c->doorbell)
		return;
	c->queues_exist = true;
	pthread_cond_signal(&c->doorbell_wake);
	if (card_queue(c, queue)->flags & SNPU_FW_QUEUE_KEEP)
		return;
	__atomic_store_n(page(c, queue, SNPU_DB_TAIL), 0, __ATOMIC_RELEASE);
	__atomic_store_n(page(c, queue, SNPU_DB_HEAD), 0, __ATOMIC_RELEASE);
	__atomic_store_n(&c->doorbell_seen[queue], 0, __ATOMIC_RELAXED);
}

/* True: it was rung. With the lock held. */
static bool take(struct card *c, unsigned int queue)
{
	uint32_t tail = __atomic_load_n(page(c, queue, SNPU_DB_TAIL), __ATOMIC_ACQUIRE);

	if (tail == c->doorbell_seen[queue])
		return false;
	__atomic_store_n(&c->doorbell_seen[queue], tail, __ATOMIC_RELAXED);
	doorbell_ring(c, queue, tail);
	return true;
}

void doorbell_sync(struct card *c)
{
	for (unsigned int q = 0; c->doorbell && q < SNPU_QUEUES; q++)
		if (__atomic_load_n(&card_queue(c, q)->state, __ATOMIC_ACQUIRE) != SNPU_QUEUE_FREE)
			(void)take(c, q);
}

/* True: it was rung. */
static bool look_at(struct card *c, unsigned int queue)
{
	const uint32_t *at = page(c, queue, SNPU_DB_TAIL);

	/* Cheap look first; the one that counts is under the lock, so that a queue made meanwhile is not mistaken. */
	if (__atomic_load_n(at, __ATOMIC_ACQUIRE) == __atomic_load_n(&c->doorbell_seen[queue], __ATOMIC_RELAXED))
		return false;
	pthread_mutex_lock(&c->lock);
	bool rung = take(c, queue);

	pthread_mutex_unlock(&c->lock);
	return rung;
}

/* Looks at every queue once. True: some queue exists. Counts looks since the last ring in *quiet. */
static bool look(struct card *c, unsigned int *quiet)
{
	bool any = false, rung = false;

	for (unsigned int q = 0; q < SNPU_QUEUES; q++) {
		const struct snpu_queue_ctx *ctx = card_queue(c, q);

		if (__atomic_load_n(&ctx->state, __ATOMIC_ACQUIRE) == SNPU_QUEUE_FREE)
			continue;
		any = true;
		__atomic_store_n(page(c, q, SNPU_DB_HEAD), __atomic_load_n(&ctx->head, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
		rung |= look_at(c, q);
	}
	*quiet = rung ? 0 : *quiet + (*quiet < POLL_FAST_LOOKS);
	return any;
}

void *card_doorbell_thread(void *card)
{
	static const struct timespec fast = { 0, POLL_FAST_NS }, slow = { 0, POLL_SLOW_NS };
	struct card *c = card;
	unsigned int quiet = 0;

	prctl(PR_SET_TIMERSLACK, 1);		/* the default adds as much again to every pause */
	pthread_mutex_lock(&c->lock);
	while (!c->quit) {
		if (!c->queues_exist) {
			pthread_cond_wait(&c->doorbell_wake, &c->lock);
			quiet = 0;
			continue;
		}
		c->queues_exist = false;	/* before looking: a queue made meanwhile sets it again */
		pthread_mutex_unlock(&c->lock);
		nanosleep(quiet < POLL_FAST_LOOKS ? &fast : &slow, NULL);

		bool any = look(c, &quiet);

		pthread_mutex_lock(&c->lock);
		c->queues_exist |= any;
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}
