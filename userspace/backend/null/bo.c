/* SPDX-License-Identifier: MIT */
/* Buffers of the template backend: zeroed memory of this process. Any thread. */
#include <stdlib.h>

#include "backend/null/null.h"

struct null_bo {
	struct snpu_bo base;
	void *mem;
};

int null_bo_create(struct snpu_device *dev, uint64_t size, uint32_t flags, struct snpu_bo **out)
{
	struct null_bo *bo = calloc(1, sizeof(*bo));

	if (bo)
		bo->mem = calloc(1, size);
	if (!bo || !bo->mem) {
		free(bo);
		return snpu_fail(-ENOMEM, "buffer: no memory for %llu bytes", (unsigned long long)size);
	}
	*out = &bo->base;
	return 0;
}

void null_bo_destroy(struct snpu_bo *base)
{
	struct null_bo *bo = (struct null_bo *)base;

	free(bo->mem);
	free(bo);
}

int null_bo_map(struct snpu_bo *base, void **ptr)
{
	*ptr = ((struct null_bo *)base)->mem;
	return 0;
}
