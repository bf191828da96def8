/* SPDX-License-Identifier: MIT */
/*
 * Faults on purpose: what a driver must recover from and a healthy card never does. Each is asked for by a line of text
 * (snpu-sim --faults) and takes the lock; what it does is where the healthy card does its work.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/card_priv.h"

static void fault_hang(struct card *c, unsigned int queue, bool stuck)
{
	c->fault.stuck = stuck;
	snpu_engine_hang(c->engine, queue);
}

/* The core stops in the middle of an instruction, and the host is told. */
static void fault_dead(struct card *c)
{
	c->fault.dead = true;
	atomic_fetch_add(&c->core_resets, 1);
	core_reset(c);
	c->core.state = SNPU_CORE_LOCKUP;
	card_irq_raise(c, SNPU_IRQ_STATUS_ERROR_MASK);
}

static bool number_is(const char *text, unsigned long max, unsigned int *n)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	*n = (unsigned int)v;
	return end != text && !*end && v <= max;
}

int card_fault(struct card *c, const char *what)
{
	const char *arg = strchr(what, ' ');
	size_t len = arg ? (size_t)(arg - what) : strlen(what);
	unsigned int n = 0;
	bool number = arg && number_is(arg + 1, SNPU_QUEUES - 1, &n);
	int r = 0;

	pthread_mutex_lock(&c->lock);
	if (number && len == 4 && !memcmp(what, "hang", len))
		fault_hang(c, n, false);
	else if (number && len == 5 && !memcmp(what, "stuck", len))
		fault_hang(c, n, true);
	else if (number && len == 4 && !memcmp(what, "boot", len))
		c->fault.boots = n;
	else if (!strcmp(what, "dead"))
		fault_dead(c);
	else if (!strcmp(what, "cold"))
		c->fault.cold = true;
	else
		r = -EINVAL;
	pthread_mutex_unlock(&c->lock);
	return r;
}
