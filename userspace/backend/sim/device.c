/* SPDX-License-Identifier: MIT */
/* The in-process simulator as a device: its memory and its description. Any thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/sim/sim.h"
#include "core/packet.h"

#define DEFAULT_MEMORY	(1ull << 30)

/*
 * DMA addresses are addresses of this process. The engine gets them from page tables only, which nobody but vm.c writes, and
 * vm.c keeps a buffer until no engine holds a translation to it: so every address that arrives here is good.
 */
static int host_read(void *ctx, uint64_t addr, void *buf, size_t len)
{
	memcpy(buf, (const void *)(uintptr_t)addr, len);
	return 0;
}

static int host_write(void *ctx, uint64_t addr, const void *buf, size_t len)
{
	memcpy((void *)(uintptr_t)addr, buf, len);
	return 0;
}

static void describe(struct snpu_device_info *info, uint64_t memory)
{
	info->sz = sizeof(*info);
	info->kind = SNPU_KIND_SIMULATOR;
	strcpy(info->name, "sim");
	snprintf(info->description, sizeof(info->description), "simulator in this process, %llu MiB; time and energy are the model's",
		 (unsigned long long)(memory >> 20));
	info->hw_version = SNPU_RESETVAL_HW_VERSION;
	info->clock_khz = SNPU_RESETVAL_CLOCK_KHZ;
	info->max_queues = SNPU_QUEUES;
	info->max_vms = SNPU_ASIDS - 1;
	info->priorities = 0xf << SNPU_PRIORITY_LOW;
	info->va_bits = SNPU_VA_BITS;
	info->va_end = 1ull << SNPU_VA_BITS;
	snpu_pkt_opcodes(info->opcodes);
	info->device_total = memory;
}

static int sim_list(unsigned int index, struct snpu_device_info *info)
{
	if (index)
		return -ENOENT;
	describe(info, DEFAULT_MEMORY);
	return 0;
}

static int sim_open(unsigned int number, const struct snpu_device_opts *opts, struct snpu_device **out)
{
	uint64_t memory = opts->sim_memory ? opts->sim_memory : DEFAULT_MEMORY;
	struct sim_device *dev = calloc(1, sizeof(*dev));
	int err;

	if (!dev)
		return snpu_fail(-ENOMEM, "device sim: no memory");
	err = arena_init(&dev->arena, memory);
	if (err) {
		free(dev);
		return err;
	}
	soft_device_init(&dev->soft);
	pthread_mutex_init(&dev->lock, NULL);
	dev->asids[0] = 1;
	dev->mem = (struct snpu_engine_mem){ .device = dev->arena.mem, .device_size = memory, .host_read = host_read,
					     .host_write = host_write, .clock_epoch_ns = (uint64_t)snpu_now_ns() };
	describe(&dev->soft.base.info, memory);
	*out = &dev->soft.base;
	return 0;
}

static void sim_close(struct snpu_device *base)
{
	struct sim_device *dev = (struct sim_device *)base;

	arena_fini(&dev->arena);
	pthread_mutex_destroy(&dev->lock);
	soft_device_fini(&dev->soft);
	free(dev);
}

static int sim_query(struct snpu_device *base, struct snpu_device_info *info)
{
	struct arena *a = &((struct sim_device *)base)->arena;

	pthread_mutex_lock(&a->lock);
	info->device_used = a->used;
	pthread_mutex_unlock(&a->lock);
	return 0;
}

const struct snpu_backend_ops snpu_backend_sim = {
	.name = "sim",
	.list = sim_list,
	.open = sim_open,
	.close = sim_close,
	.query = sim_query,
	.bo_create = sim_bo_create,
	.bo_destroy = sim_bo_destroy,
	.bo_map = sim_bo_map,
	.vm_create = sim_vm_create,
	.vm_destroy = sim_vm_destroy,
	.vm_bind = sim_vm_bind,
	.vm_unbind = sim_vm_unbind,
	.queue_create = sim_queue_create,
	.queue_stop = soft_queue_stop,
	.queue_destroy = sim_queue_destroy,
	.queue_status = soft_queue_status,
	.submit = soft_submit,
	.fence_wait = soft_fence_wait,
	.fence_destroy = soft_fence_destroy,
};
