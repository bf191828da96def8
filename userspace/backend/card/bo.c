/* SPDX-License-Identifier: MIT */
/* Buffers of a card: GEM objects. The device level calls bo_map once a buffer. */
#include <stdlib.h>
#include <sys/mman.h>
#include <xf86drm.h>

#include "backend/card/card.h"

int card_bo_create(struct snpu_device *dev, uint64_t size, uint32_t flags, struct snpu_bo **out)
{
	struct drm_snpu_bo_create arg = { .size = size, .flags = flags & SNPU_BO_DEVICE ? DRM_SNPU_BO_DEVICE : 0 };
	struct card_bo *bo = calloc(1, sizeof(*bo));
	int err;

	if (!bo)
		return snpu_fail(-ENOMEM, "buffer: no memory");
	bo->fd = ((struct card_device *)dev)->fd;
	err = card_ioctl(bo->fd, DRM_IOCTL_SNPU_BO_CREATE, &arg);
	if (err) {
		free(bo);
		return err == -ENOSPC ? snpu_fail(err, "buffer: no room for %llu bytes in the card's memory; free buffers, or use host memory",
						  (unsigned long long)size) : card_fail(err, "a buffer cannot be created");
	}
	bo->handle = arg.handle;
	*out = &bo->base;
	return 0;
}

void card_bo_destroy(struct snpu_bo *base)
{
	struct card_bo *bo = (struct card_bo *)base;

	if (bo->map)
		munmap(bo->map, base->size);
	drmCloseBufferHandle(bo->fd, bo->handle);
	free(bo);
}

int card_bo_map(struct snpu_bo *base, void **ptr)
{
	struct card_bo *bo = (struct card_bo *)base;
	struct drm_snpu_bo_mmap_offset arg = { .handle = bo->handle };
	int err = card_ioctl(bo->fd, DRM_IOCTL_SNPU_BO_MMAP_OFFSET, &arg);
	void *map;

	if (err)
		return card_fail(err, "a buffer cannot be mapped");
	map = mmap(NULL, base->size, PROT_READ | PROT_WRITE, MAP_SHARED, bo->fd, (off_t)arg.offset);
	if (map == MAP_FAILED)
		return card_fail(-errno, "a buffer cannot be mapped");
	bo->map = map;
	*ptr = map;
	return 0;
}
