/* SPDX-License-Identifier: MIT */
/* Queues of the CPU backend: a soft queue and the state of execution that its thread keeps between jobs. */
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/cpu.h"

static void free_exec(struct cpu_queue *q)
{
	if (!q)
		return;
	free(q->exec.cache);
	free(q->exec.line);
	free(q->exec.slot);
	free(q->exec.dense);
	free(q->exec.events);
	for (unsigned int i = 0; i < CPU_COPIES; i++)
		free(q->exec.copy[i]);
	free(q);
}

int cpu_queue_create(struct snpu_vm *vm, const struct snpu_queue_opts *opts, struct snpu_queue **out)
{
	struct cpu_device *dev = (struct cpu_device *)vm->dev;
	struct cpu_queue *q = calloc(1, sizeof(*q));
	int err;

	if (q) {
		q->exec.cache = calloc(CPU_CACHE, sizeof(*q->exec.cache));
		q->exec.line = calloc(CPU_LINES, sizeof(*q->exec.line));
	}
	if (!q || !q->exec.cache || !q->exec.line) {
		free_exec(q);
		return snpu_fail(-ENOMEM, "queue: no memory");
	}
	q->exec.vm = vm;
	q->exec.dev = dev;
	q->exec.k = dev->kernels;
	q->exec.epoch_ns = dev->epoch_ns;
	q->soft.run = cpu_run;
	err = soft_queue_start(&q->soft, vm);
	if (err) {
		free_exec(q);
		return err;
	}
	*out = &q->soft.base;
	return 0;
}

/* Between two jobs, so nobody else looks at it. */
void cpu_queue_dense(struct snpu_queue *queue, uint32_t slots, uint64_t *dense)
{
	const struct cpu_exec *x = &((struct cpu_queue *)queue)->exec;

	if (slots <= x->slot_room)
		memcpy(dense, x->dense, slots * sizeof(*dense));
}

void cpu_queue_destroy(struct snpu_queue *queue)
{
	struct cpu_queue *q = (struct cpu_queue *)queue;

	soft_queue_fini(&q->soft);
	free_exec(q);
}
