/* SPDX-License-Identifier: MIT */
/* Queues of the in-process simulator: a soft queue whose jobs run on an engine of its own. */
#include <stdlib.h>

#include "backend/sim/sim.h"

static enum soft_end sim_run(struct soft_queue *queue, const struct snpu_job_desc *desc, struct snpu_fault *fault)
{
	struct sim_queue *q = (struct sim_queue *)queue;
	const struct sim_vm *vm = (struct sim_vm *)queue->vm;
	struct snpu_engine_job job = { .pt_root = vm->root | SNPU_PTE_DEVICE | SNPU_PTE_VALID, .asid = vm->asid, .desc = desc };
	struct snpu_engine_result result;

	snpu_engine_run(q->engine, &job, &result);
	*fault = result.fault;
	return result.result == SNPU_ENG_DONE ? SOFT_DONE : result.result == SNPU_ENG_FAULT ? SOFT_FAULT : SOFT_STOPPED;
}

/* An abort that comes before the run is kept for it, so that no job starts after this. */
static void sim_interrupt(struct soft_queue *queue)
{
	snpu_engine_abort(((struct sim_queue *)queue)->engine);
}

static int queue_count(struct sim_device *dev, int change)
{
	int err = 0;

	pthread_mutex_lock(&dev->lock);
	if (change > 0 && dev->queues == SNPU_QUEUES)
		err = snpu_fail(-ENOSPC, "queue: all %d of the device are in use; free some", SNPU_QUEUES);
	else
		dev->queues += (unsigned int)change;
	pthread_mutex_unlock(&dev->lock);
	return err;
}

int sim_queue_create(struct snpu_vm *base, const struct snpu_queue_opts *opts, struct snpu_queue **out)
{
	struct sim_vm *vm = (struct sim_vm *)base;
	struct sim_queue *q = calloc(1, sizeof(*q));
	int err;

	if (!q)
		return snpu_fail(-ENOMEM, "queue: no memory");
	err = queue_count(vm->dev, 1);
	if (err)
		goto err_free;
	err = snpu_engine_create(&vm->dev->mem, &q->engine);
	if (err) {
		snpu_fail(err, "queue: no memory for its engine");
		goto err_count;
	}
	q->soft.run = sim_run;
	q->soft.interrupt = sim_interrupt;
	err = soft_queue_start(&q->soft, base);
	if (err)
		goto err_engine;
	pthread_mutex_lock(&vm->lock);
	q->next = vm->queues;
	vm->queues = q;
	pthread_mutex_unlock(&vm->lock);
	*out = &q->soft.base;
	return 0;
err_engine:
	snpu_engine_destroy(q->engine);
err_count:
	queue_count(vm->dev, -1);
err_free:
	free(q);
	return err;
}

void sim_queue_destroy(struct snpu_queue *base)
{
	struct sim_queue *q = (struct sim_queue *)base, **link;
	struct sim_vm *vm = (struct sim_vm *)q->soft.vm;

	pthread_mutex_lock(&vm->lock);
	for (link = &vm->queues; *link != q; link = &(*link)->next)
		;
	*link = q->next;
	pthread_mutex_unlock(&vm->lock);
	soft_queue_fini(&q->soft);
	snpu_engine_destroy(q->engine);
	queue_count(vm->dev, -1);
	free(q);
}
