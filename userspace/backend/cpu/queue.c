/* SPDX-License-Identifier: MIT */
/* Queues of the CPU backend: a soft queue and the state of execution that its thread keeps between jobs. */
#include <stdlib.h>

#include "backend/cpu/cpu.h"

int cpu_queue_create(struct snpu_vm *vm, uint32_t priority, struct snpu_queue **out)
{
	struct cpu_device *dev = (struct cpu_device *)vm->dev;
	struct cpu_queue *q = calloc(1, sizeof(*q));
	int err;

	if (q)
		q->exec.cache = calloc(CPU_CACHE, sizeof(*q->exec.cache));
	if (!q || !q->exec.cache) {
		free(q);
		return snpu_fail(-ENOMEM, "queue: no memory");
	}
	q->exec.vm = vm;
	q->exec.dev = dev;
	q->exec.k = dev->kernels;
	q->exec.epoch_ns = dev->epoch_ns;
	q->soft.run = cpu_run;
	err = soft_queue_start(&q->soft, vm);
	if (err) {
		free(q->exec.cache);
		free(q);
		return err;
	}
	*out = &q->soft.base;
	return 0;
}

void cpu_queue_destroy(struct snpu_queue *queue)
{
	struct cpu_queue *q = (struct cpu_queue *)queue;

	soft_queue_fini(&q->soft);
	free(q->exec.cache);
	free(q->exec.slot);
	free(q->exec.events);
	for (unsigned int i = 0; i < CPU_COPIES; i++)
		free(q->exec.copy[i]);
	free(q);
}
