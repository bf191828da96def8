/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Buffers: host memory from shmem, or device memory from the card's allocator.
 */
#ifndef SNPU_GEM_H
#define SNPU_GEM_H

#include <drm/drm_gem_shmem_helper.h>

struct snpu_device;

/**
 * struct snpu_extent - A contiguous piece of a buffer, as the card addresses it.
 */
struct snpu_extent {
	/** @offset: Of its first byte in the buffer. */
	u64 offset;
	/** @addr: DMA address, or offset in device memory. */
	u64 addr;
};

/**
 * struct snpu_bo - A buffer.
 */
struct snpu_bo {
	/** @base: For device memory only its GEM object is used. */
	struct drm_gem_shmem_object base;
	/** @link: In &snpu_objects.bos, under its lock. */
	struct list_head link;
	/** @device: In device memory. */
	bool device;
	/** @lock: Protects @sgt, @extents, @n_extents and @dummy until they are set. */
	struct mutex lock;
	/** @sgt: DMA mapping of host memory. */
	struct sg_table *sgt;
	/** @extents: Pieces in order; NULL while the card cannot reach it. */
	struct snpu_extent *extents;
	/** @n_extents: Their number. */
	u32 n_extents;
	/** @blocks: Device memory, in order. */
	struct list_head blocks;
	/** @dummy: What mappings of device memory show after the card is gone. */
	struct page *dummy;
};

static inline struct snpu_bo *to_snpu_bo(struct drm_gem_object *obj)
{
	return container_of(obj, struct snpu_bo, base.base);
}

int snpu_vram_init(struct snpu_device *snpu);
u64 snpu_vram_used(struct snpu_device *snpu);

struct drm_gem_object *snpu_bo_create_object(struct drm_device *drm, size_t size);
struct snpu_bo *snpu_bo_create(struct snpu_device *snpu, u64 size, bool device);
int snpu_bo_make_reachable(struct snpu_bo *bo);
u64 snpu_bo_extent_end(const struct snpu_bo *bo, u32 i);
u32 snpu_bo_extent_at(const struct snpu_bo *bo, u64 offset);
void snpu_bo_unmap_all(struct snpu_device *snpu);

#endif
