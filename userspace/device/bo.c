/* SPDX-License-Identifier: MIT */
/*
 * Buffers: argument checks, references and the one mapping that is kept. Memory is the backend's. Any thread.
 */
#include "device/object.h"

void snpu_bo_get(struct snpu_bo *bo)
{
	atomic_fetch_add_explicit(&bo->refs, 1, memory_order_relaxed);
}

void snpu_bo_put(struct snpu_bo *bo)
{
	struct snpu_device *dev;

	if (atomic_fetch_sub_explicit(&bo->refs, 1, memory_order_acq_rel) != 1)
		return;
	dev = bo->dev;
	pthread_mutex_destroy(&bo->lock);
	dev->ops->bo_destroy(bo);
	snpu_device_put(dev);
}

static int whole_pages(uint64_t size, uint64_t *rounded)
{
	if (!size || !snpu_add(size, SNPU_PAGE - 1, rounded))
		return snpu_fail(-EINVAL, "buffer: %llu bytes is not a size", (unsigned long long)size);
	*rounded &= ~(SNPU_PAGE - 1);
	return 0;
}

static void fill(struct snpu_bo *bo, struct snpu_device *device, uint64_t size, uint32_t flags)
{
	bo->dev = device;
	bo->size = size;
	bo->flags = flags;
	bo->map = NULL;
	atomic_init(&bo->refs, 1);
	pthread_mutex_init(&bo->lock, NULL);
	snpu_device_get(device);
}

int snpu_bo_create(struct snpu_device *device, uint64_t size, uint32_t flags, struct snpu_bo **out)
{
	struct snpu_bo *bo;
	uint64_t rounded = 0;
	int err;

	if (!device || !out)
		return snpu_fail(-EINVAL, "buffer: the device or the result pointer is NULL");
	if (flags & ~SNPU_BO_DEVICE)
		return snpu_fail(-EINVAL, "buffer: flags %#x are not defined; use SNPU_BO_DEVICE or 0", flags);
	err = whole_pages(size, &rounded);
	if (!err)
		err = device->ops->bo_create(device, rounded, flags, &bo);
	if (err)
		return err;
	fill(bo, device, rounded, flags);
	*out = bo;
	return 0;
}

int snpu_bo_wrap(struct snpu_device *device, const void *mem, uint64_t size, struct snpu_bo **out)
{
	struct snpu_bo *bo;
	uint64_t rounded = 0;
	int err;

	if ((uintptr_t)mem % SNPU_PAGE)
		return snpu_fail(-EINVAL, "buffer: the memory at %p does not begin a page", mem);
	if (!device->ops->bo_wrap)
		return snpu_fail(-ENOTSUP, "buffer: device %s cannot use the caller's memory; create a buffer and copy", device->info.name);
	err = whole_pages(size, &rounded);
	if (!err)
		err = device->ops->bo_wrap(device, mem, rounded, &bo);
	if (err)
		return err;
	fill(bo, device, rounded, 0);
	*out = bo;
	return 0;
}

void snpu_bo_free(struct snpu_bo *bo)
{
	if (bo)
		snpu_bo_put(bo);
}

uint64_t snpu_bo_size(const struct snpu_bo *bo)
{
	return bo ? bo->size : 0;
}

int snpu_bo_map(struct snpu_bo *bo, void **ptr)
{
	int err = 0;

	if (!bo || !ptr)
		return snpu_fail(-EINVAL, "buffer: the handle or the result pointer is NULL");
	pthread_mutex_lock(&bo->lock);
	if (!bo->map)
		err = bo->dev->ops->bo_map(bo, &bo->map);
	if (!err)
		*ptr = bo->map;
	pthread_mutex_unlock(&bo->lock);
	return err;
}
