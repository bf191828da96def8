/* SPDX-License-Identifier: MIT */
/* Buffers of a card: GEM objects, made by the driver or of the caller's memory. The device level calls bo_map once a buffer. */
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
		return err == -ENOSPC ? card_fail_device_memory(((struct card_device *)dev)->fd, size) :
					card_fail(err, "a buffer cannot be created");
	}
	bo->handle = arg.handle;
	*out = &bo->base;
	return 0;
}

static int fail_wrap(int err, const void *mem, uint64_t size)
{
	switch (err) {
	case -ENOMEM:
		return card_fail_locked_memory(size);
	case -EOPNOTSUPP:
		return snpu_fail(-ENOTSUP, "buffer: the memory at %p is of a file or of a device, which a card cannot use; copy it into a buffer", mem);
	case -EFAULT:
		return snpu_fail(err, "buffer: there is no memory at %p, or less than %llu KiB", mem, (unsigned long long)size >> 10);
	default:
		return card_fail(err, "the caller's memory cannot be used");
	}
}

int card_bo_wrap(struct snpu_device *dev, const void *mem, uint64_t size, struct snpu_bo **out)
{
	struct drm_snpu_bo_userptr arg = { .addr = (uintptr_t)mem, .size = size, .flags = DRM_SNPU_BO_USERPTR_READONLY };
	struct card_bo *bo;
	int err;

	if (dev->info.driver_version < CARD_UAPI_USERPTR)
		return snpu_fail(-ENOTSUP, "buffer: the driver of %s is too old to use the caller's memory; copy it into a buffer", dev->info.name);
	bo = calloc(1, sizeof(*bo));
	if (!bo)
		return snpu_fail(-ENOMEM, "buffer: no memory");
	bo->fd = ((struct card_device *)dev)->fd;
	err = card_ioctl(bo->fd, DRM_IOCTL_SNPU_BO_USERPTR, &arg);
	if (err) {
		free(bo);
		return fail_wrap(err, mem, size);
	}
	bo->handle = arg.handle;
	bo->map = (void *)(uintptr_t)mem;
	bo->wrapped = true;
	*out = &bo->base;
	return 0;
}

void card_bo_destroy(struct snpu_bo *base)
{
	struct card_bo *bo = (struct card_bo *)base;

	if (bo->map && !bo->wrapped)
		munmap(bo->map, base->size);
	drmCloseBufferHandle(bo->fd, bo->handle);
	free(bo);
}

int card_bo_map(struct snpu_bo *base, void **ptr)
{
	struct card_bo *bo = (struct card_bo *)base;
	struct drm_snpu_bo_mmap_offset arg = { .handle = bo->handle };
	void *map;
	int err;

	if (bo->wrapped) {
		*ptr = bo->map;
		return 0;
	}
	err = card_ioctl(bo->fd, DRM_IOCTL_SNPU_BO_MMAP_OFFSET, &arg);
	if (err)
		return card_fail(err, "a buffer cannot be mapped");
	map = mmap(NULL, base->size, PROT_READ | PROT_WRITE, MAP_SHARED, bo->fd, (off_t)arg.offset);
	if (map == MAP_FAILED)
		return card_fail(-errno, "a buffer cannot be mapped");
	bo->map = map;
	*ptr = map;
	return 0;
}
