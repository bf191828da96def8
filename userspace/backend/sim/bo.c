/* SPDX-License-Identifier: MIT */
/* Buffers of the in-process simulator: pieces of the arena, or memory of this process as "host" memory. Any thread. */
#include <stdlib.h>

#include "backend/sim/sim.h"

int sim_bo_create(struct snpu_device *base, uint64_t size, uint32_t flags, struct snpu_bo **out)
{
	struct sim_device *dev = (struct sim_device *)base;
	struct sim_bo *bo = calloc(1, sizeof(*bo));
	int err = 0;

	if (!bo)
		return snpu_fail(-ENOMEM, "buffer: no memory");
	if (flags & SNPU_BO_DEVICE) {
		err = arena_alloc(&dev->arena, size, &bo->off);
		bo->arena = &dev->arena;
		bo->mem = dev->arena.mem + (err ? 0 : bo->off);
	} else {
		bo->mem = soft_mem_alloc(size);
		if (!bo->mem)
			err = snpu_fail(-ENOMEM, "buffer: no memory for %llu bytes", (unsigned long long)size);
	}
	if (err)
		free(bo);
	else
		*out = &bo->base;
	return err;
}

void sim_bo_destroy(struct snpu_bo *base)
{
	struct sim_bo *bo = (struct sim_bo *)base;

	if (bo->arena)
		arena_free(bo->arena, bo->off, base->size);
	else
		soft_mem_free(bo->mem, base->size);
	free(bo);
}

int sim_bo_map(struct snpu_bo *base, void **ptr)
{
	*ptr = ((struct sim_bo *)base)->mem;
	return 0;
}
