/* SPDX-License-Identifier: MIT */
/*
 * The template for a new backend: accepts everything, executes nothing. Buffers are plain memory, every job is finished
 * when it is submitted, and results are what the buffers held before: undefined. It shows which slots there are and
 * what each must fill; copy the folder, rename, and replace bodies. It is also the library's own cost of a job.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/null/null.h"
#include "core/packet.h"

static int null_open(unsigned int number, const struct snpu_device_opts *opts, struct snpu_device **out)
{
	struct snpu_device *dev = calloc(1, sizeof(*dev));

	if (!dev)
		return snpu_fail(-ENOMEM, "device null: no memory");
	dev->info.sz = sizeof(dev->info);
	dev->info.kind = SNPU_KIND_NULL;
	strcpy(dev->info.name, "null");
	strcpy(dev->info.description, "nothing: a template that executes no packet; results are undefined");
	dev->info.max_queues = 64;
	dev->info.max_vms = 1023;
	dev->info.priorities = 0xf << SNPU_PRIORITY_LOW;
	dev->info.va_bits = 48;
	dev->info.va_end = 1ull << 48;
	snpu_pkt_opcodes(dev->info.opcodes);
	*out = dev;
	return 0;
}

static void null_close(struct snpu_device *dev)
{
	free(dev);
}

const struct snpu_backend_ops snpu_backend_null = {
	.name = "null",
	.open = null_open,
	.close = null_close,
	.bo_create = null_bo_create,
	.bo_destroy = null_bo_destroy,
	.bo_map = null_bo_map,
	.vm_create = null_vm_create,
	.vm_destroy = null_vm_destroy,
	.vm_bind = null_vm_bind,
	.vm_unbind = null_vm_unbind,
	.queue_create = null_queue_create,
	.queue_stop = null_queue_stop,
	.queue_destroy = null_queue_destroy,
	.queue_status = null_queue_status,
	.submit = null_submit,
	.fence_wait = null_fence_wait,
	.fence_destroy = null_fence_destroy,
};
