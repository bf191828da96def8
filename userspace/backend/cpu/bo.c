/* SPDX-License-Identifier: MIT */
/* Buffers of the CPU backend: memory of this process, whatever the flags ask for, or the caller's own. Any thread. */
#include <stdlib.h>

#include "backend/cpu/cpu.h"

int cpu_bo_create(struct snpu_device *dev, uint64_t size, uint32_t flags, struct snpu_bo **out)
{
	struct cpu_bo *bo = calloc(1, sizeof(*bo));

	if (bo)
		bo->mem = soft_mem_alloc(size);
	if (!bo || !bo->mem) {
		free(bo);
		return snpu_fail(-ENOMEM, "buffer: no memory for %llu bytes", (unsigned long long)size);
	}
	*out = &bo->base;
	return 0;
}

int cpu_bo_wrap(struct snpu_device *dev, const void *mem, uint64_t size, struct snpu_bo **out)
{
	struct cpu_bo *bo = calloc(1, sizeof(*bo));

	if (!bo)
		return snpu_fail(-ENOMEM, "buffer: no memory");
	bo->mem = (uint8_t *)mem;		/* only read: cpu_vm_bind() refuses to bind it writable */
	bo->wrapped = true;
	*out = &bo->base;
	return 0;
}

void cpu_bo_destroy(struct snpu_bo *base)
{
	struct cpu_bo *bo = (struct cpu_bo *)base;

	if (!bo->wrapped)
		soft_mem_free(bo->mem, base->size);
	free(bo);
}

int cpu_bo_map(struct snpu_bo *base, void **ptr)
{
	*ptr = ((struct cpu_bo *)base)->mem;
	return 0;
}
