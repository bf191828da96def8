/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Buffers: host memory from shmem, device memory from the card's allocator, pinned memory of a
 * process (snpu_userptr), or what somebody else exports as a dma-buf (snpu_prime).
 */
#ifndef SNPU_GEM_H
#define SNPU_GEM_H

#include <drm/drm_gem_shmem_helper.h>
#include <linux/dma-direction.h>

struct dma_buf;
struct dma_buf_attachment;
struct drm_file;
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
	/** @base: Only for host memory more than its GEM object is used. */
	struct drm_gem_shmem_object base;
	/** @link: In &snpu_objects.bos, under its lock. */
	struct list_head link;
	/** @vram_link: In &snpu_vram.bos, under its lock. */
	struct list_head vram_link;
	/** @device: In device memory. */
	bool device;
	/** @read_only: The card may not write. */
	bool read_only;
	/**
	 * @lock: Protects @sgt, @extents, @n_extents and @dummy until they are set. Those of an
	 * imported buffer are under its reservation instead.
	 */
	struct mutex lock;
	/** @sgt: DMA mapping, of all but device memory. */
	struct sg_table *sgt;
	/** @extents: Pieces in order; NULL while the card cannot reach it. */
	struct snpu_extent *extents;
	/** @n_extents: Their number. */
	u32 n_extents;
	/** @blocks: Device memory, in order. */
	struct list_head blocks;
	/** @saved: Copy of device memory while the system sleeps. */
	void *saved;
	/** @dummy: What mappings of device memory show after the card is gone. */
	struct page *dummy;
	/** @pages: Pinned pages of a process, @n_pages of them; else NULL. */
	struct page **pages;
	/** @n_pages: Their number. */
	unsigned long n_pages;
	/** @mm: Whose locked memory @pages are accounted to; held by mmgrab(). */
	struct mm_struct *mm;
	/** @imported: The dma-buf that this buffer is of, with a reference; else NULL. */
	struct dma_buf *imported;
	/** @attach: To @imported; NULL once the card was removed. */
	struct dma_buf_attachment *attach;
	/** @exported: The dma-buf of device memory, no reference; under &snpu_objects.lock. */
	struct dma_buf *exported;
};

static inline struct snpu_bo *to_snpu_bo(struct drm_gem_object *obj)
{
	return container_of(obj, struct snpu_bo, base.base);
}

/* True: a process can have it as memory of its own, CPU mapping and all. */
static inline bool snpu_bo_has_mmap(const struct snpu_bo *bo)
{
	return bo->base.base.funcs->mmap;
}

int snpu_vram_init(struct snpu_device *snpu);
u64 snpu_vram_used(struct snpu_device *snpu);

struct drm_gem_object *snpu_bo_create_object(struct drm_device *drm, size_t size);
struct snpu_bo *snpu_bo_create(struct snpu_device *snpu, u64 size, bool device);
bool snpu_gem_is_bo(const struct drm_gem_object *obj);
struct snpu_bo *snpu_bo_lookup(struct drm_file *file, u32 handle);
int snpu_bo_make_reachable(struct snpu_bo *bo);
u64 snpu_bo_extent_end(const struct snpu_bo *bo, u32 i);
u32 snpu_bo_extent_at(const struct snpu_bo *bo, u64 offset);
bool snpu_bo_peek(struct snpu_bo *bo, u64 offset, void *buf, u32 size);
void snpu_bo_unmap_all(struct snpu_device *snpu);
void snpu_bo_zap_all(struct snpu_device *snpu);
vm_fault_t snpu_gem_fault_dummy(struct vm_fault *vmf, struct mutex *lock, struct page **dummy);

/* For the kinds of buffer that have a file of their own. */
struct snpu_bo *snpu_bo_alloc(struct snpu_device *snpu, u64 size, struct dma_resv *resv,
			      const struct drm_gem_object_funcs *funcs);
void snpu_bo_link(struct snpu_bo *bo);
void snpu_bo_end(struct snpu_bo *bo);
void snpu_bo_free(struct snpu_bo *bo);
int snpu_bo_open(struct drm_gem_object *obj, struct drm_file *file);
void snpu_bo_close(struct drm_gem_object *obj, struct drm_file *file);
int snpu_bo_extents_from_sgt(struct snpu_bo *bo, struct sg_table *sgt);
int snpu_sgt_map(struct device *dev, struct sg_table *sgt, enum dma_data_direction dir);
void snpu_sgt_unmap(struct device *dev, struct sg_table *sgt, enum dma_data_direction dir);

#endif
