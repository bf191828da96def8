// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers. Host memory is shmem and charged to whoever touches it; it is pinned and mapped for DMA
 * when it is first bound, and stays so until it is freed. Device memory comes from a buddy
 * allocator, is never moved, and is cleared when it is handed out, so that nobody sees what the
 * last owner left.
 *
 * The DMA mapping is made here and not by the shmem helper, because it must be undone while the
 * device is still bound: remove() does that for every buffer, also for those that open files keep.
 * After that, CPU mappings of host memory go on working, and those of device memory show an empty
 * page.
 */
#include <drm/drm_drv.h>
#include <drm/drm_managed.h>
#include <drm/drm_print.h>
#include <linux/dma-mapping.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "snpu_device.h"
#include "snpu_drv.h"
#include "snpu_gem.h"

/* Cleared at a stretch, before others get a turn. */
#define SNPU_CLEAR_STEP		SZ_1M
/* Mapped by one fault at most. */
#define SNPU_FAULT_AROUND	SZ_2M

/* --- device memory ---------------------------------------------------------------------------- */

static void snpu_vram_fini(struct drm_device *drm, void *data)
{
	struct snpu_vram *vram = data;

	gpu_buddy_fini(&vram->mm);
}

/* @size, @phys and @map are set. */
int snpu_vram_init(struct snpu_device *snpu)
{
	struct snpu_vram *vram = &snpu->vram;
	int err;

	err = drmm_mutex_init(&snpu->drm, &vram->lock);
	if (err)
		return err;
	err = gpu_buddy_init(&vram->mm, vram->size, SZ_4K);
	if (err)
		return err;
	return drmm_add_action_or_reset(&snpu->drm, snpu_vram_fini, vram);
}

u64 snpu_vram_used(struct snpu_device *snpu)
{
	struct snpu_vram *vram = &snpu->vram;
	u64 used;

	mutex_lock(&vram->lock);
	used = vram->mm.size - vram->mm.avail;
	mutex_unlock(&vram->lock);
	return used;
}

static int snpu_vram_clear(struct snpu_device *snpu, u64 offset, u64 size)
{
	int idx;

	while (size) {
		u64 step = min_t(u64, size, SNPU_CLEAR_STEP);

		if (!drm_dev_enter(&snpu->drm, &idx))
			return -ENODEV;
		memset_io(snpu->vram.map + offset, 0, step);
		drm_dev_exit(idx);
		offset += step;
		size -= step;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	wmb();	/* nothing of it may be left in a write-combining buffer when others write there */
	return 0;
}

static void snpu_vram_free(struct snpu_bo *bo)
{
	struct snpu_vram *vram = &to_snpu(bo->base.base.dev)->vram;

	mutex_lock(&vram->lock);
	gpu_buddy_free_list(&vram->mm, &bo->blocks, 0);
	mutex_unlock(&vram->lock);
}

static int snpu_vram_alloc(struct snpu_bo *bo)
{
	struct snpu_device *snpu = to_snpu(bo->base.base.dev);
	struct snpu_vram *vram = &snpu->vram;
	u64 size = bo->base.base.size, offset = 0;
	struct gpu_buddy_block *block;
	int err;

	if (size > vram->mm.size)
		return -ENOSPC;
	mutex_lock(&vram->lock);
	err = gpu_buddy_alloc_blocks(&vram->mm, 0, vram->mm.size, size, SZ_4K, &bo->blocks, 0);
	mutex_unlock(&vram->lock);
	if (err)
		return err;

	list_for_each_entry(block, &bo->blocks, link)
		bo->n_extents++;
	bo->extents = kvmalloc_array(bo->n_extents, sizeof(*bo->extents), GFP_KERNEL_ACCOUNT);
	if (!bo->extents)
		return -ENOMEM;
	bo->n_extents = 0;
	list_for_each_entry(block, &bo->blocks, link) {
		struct snpu_extent *e = &bo->extents[bo->n_extents++];

		e->offset = offset;
		e->addr = gpu_buddy_block_offset(block);
		err = snpu_vram_clear(snpu, e->addr, gpu_buddy_block_size(&vram->mm, block));
		if (err)
			return err;
		offset += gpu_buddy_block_size(&vram->mm, block);
	}
	return 0;
}

/* --- extents ---------------------------------------------------------------------------------- */

/* Offset in the buffer of the first byte behind extent @i. */
u64 snpu_bo_extent_end(const struct snpu_bo *bo, u32 i)
{
	return i + 1 < bo->n_extents ? bo->extents[i + 1].offset : bo->base.base.size;
}

/* The extent that holds @offset, which is inside the buffer. */
u32 snpu_bo_extent_at(const struct snpu_bo *bo, u64 offset)
{
	u32 lo = 0, hi = bo->n_extents;

	while (hi - lo > 1) {
		u32 mid = lo + (hi - lo) / 2;

		if (bo->extents[mid].offset <= offset)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

static int snpu_bo_extents_from_sgt(struct snpu_bo *bo, struct sg_table *sgt)
{
	struct device *dev = bo->base.base.dev->dev;
	struct snpu_extent *extents;
	struct scatterlist *sg;
	u64 offset = 0, next = 0;
	u32 n = 0;
	int i;

	extents = kvmalloc_array(sgt->nents, sizeof(*extents), GFP_KERNEL_ACCOUNT);
	if (!extents)
		return -ENOMEM;
	for_each_sgtable_dma_sg(sgt, sg, i) {
		/* Copies that need syncing would never agree with what the CPU's mappings show. */
		if (dma_need_sync(dev, sg_dma_address(sg))) {
			dev_err_once(dev, "the machine gives cards copies of memory (swiotlb, or caches that are not coherent); buffers in host memory do not work\n");
			kvfree(extents);
			return -EOPNOTSUPP;
		}
		if (!n || sg_dma_address(sg) != next)
			extents[n++] = (struct snpu_extent){ offset, sg_dma_address(sg) };
		next = sg_dma_address(sg) + sg_dma_len(sg);
		offset += sg_dma_len(sg);
	}
	bo->extents = extents;
	bo->n_extents = n;
	return 0;
}

/* --- reach of the card ------------------------------------------------------------------------ */

static int snpu_bo_map_dma(struct snpu_bo *bo)
{
	struct device *dev = bo->base.base.dev->dev;
	struct sg_table *sgt;
	int err;

	err = drm_gem_shmem_pin(&bo->base);
	if (err)
		return err;
	sgt = drm_gem_shmem_get_sg_table(&bo->base);
	if (IS_ERR(sgt)) {
		err = PTR_ERR(sgt);
		goto err_unpin;
	}
	err = dma_map_sgtable(dev, sgt, DMA_BIDIRECTIONAL, 0);
	if (err)
		goto err_free_sgt;
	err = snpu_bo_extents_from_sgt(bo, sgt);
	if (err)
		goto err_unmap;
	bo->sgt = sgt;
	return 0;

err_unmap:
	dma_unmap_sgtable(dev, sgt, DMA_BIDIRECTIONAL, 0);
err_free_sgt:
	sg_free_table(sgt);
	kfree(sgt);
err_unpin:
	drm_gem_shmem_unpin(&bo->base);
	return err;
}

/* The card does not use the buffer any more. */
static void snpu_bo_unmap_dma(struct snpu_bo *bo)
{
	if (!bo->sgt)
		return;
	dma_unmap_sgtable(bo->base.base.dev->dev, bo->sgt, DMA_BIDIRECTIONAL, 0);
	sg_free_table(bo->sgt);
	kfree(bo->sgt);
	bo->sgt = NULL;
	drm_gem_shmem_unpin(&bo->base);
}

/* Makes sure the buffer has addresses on the card. The caller is inside drm_dev_enter(). */
int snpu_bo_make_reachable(struct snpu_bo *bo)
{
	int err;

	err = mutex_lock_interruptible(&bo->lock);
	if (err)
		return err;
	if (!bo->extents)
		err = snpu_bo_map_dma(bo);
	mutex_unlock(&bo->lock);
	return err;
}

/* For remove(): the card is quiet, and after this the DMA API must not be asked any more. */
void snpu_bo_unmap_all(struct snpu_device *snpu)
{
	struct snpu_bo *bo;

	mutex_lock(&snpu->objects.lock);
	list_for_each_entry(bo, &snpu->objects.bos, link) {
		mutex_lock(&bo->lock);
		snpu_bo_unmap_dma(bo);
		mutex_unlock(&bo->lock);
	}
	mutex_unlock(&snpu->objects.lock);
}

/* --- life ------------------------------------------------------------------------------------- */

static void snpu_bo_link(struct snpu_bo *bo)
{
	struct snpu_objects *objects = &to_snpu(bo->base.base.dev)->objects;

	mutex_lock(&objects->lock);
	list_add_tail(&bo->link, &objects->bos);
	mutex_unlock(&objects->lock);
	atomic_inc(&objects->n_bos);
}

/*
 * Either this end of the buffer's life is seen by drm_dev_unplug(), which waits for it, or remove()
 * finds the buffer in the list. In both cases the mapping is undone once, and before the device is
 * unbound.
 */
static void snpu_bo_unlink(struct snpu_bo *bo)
{
	struct snpu_device *snpu = to_snpu(bo->base.base.dev);
	int idx;

	if (drm_dev_enter(&snpu->drm, &idx)) {
		mutex_lock(&snpu->objects.lock);
		list_del(&bo->link);
		mutex_unlock(&snpu->objects.lock);
		snpu_bo_unmap_dma(bo);
		drm_dev_exit(idx);
	} else {
		mutex_lock(&snpu->objects.lock);
		list_del(&bo->link);
		snpu_bo_unmap_dma(bo);
		mutex_unlock(&snpu->objects.lock);
	}
	atomic_dec(&snpu->objects.n_bos);
}

static void snpu_bo_free_host(struct drm_gem_object *obj)
{
	struct snpu_bo *bo = to_snpu_bo(obj);

	if (!list_empty(&bo->link))
		snpu_bo_unlink(bo);
	kvfree(bo->extents);
	mutex_destroy(&bo->lock);
	drm_gem_shmem_free(&bo->base);
}

static void snpu_bo_free_device(struct drm_gem_object *obj)
{
	struct snpu_bo *bo = to_snpu_bo(obj);

	if (!list_empty(&bo->link))
		snpu_bo_unlink(bo);
	snpu_vram_free(bo);
	kvfree(bo->extents);
	if (bo->dummy)
		__free_page(bo->dummy);
	mutex_destroy(&bo->lock);
	drm_gem_object_release(obj);
	kfree(bo);
}

static int snpu_bo_open(struct drm_gem_object *obj, struct drm_file *file)
{
	if (!to_snpu_bo(obj)->device)
		atomic64_add(obj->size, &to_snpu_file(file)->host_used);
	return 0;
}

static void snpu_bo_close(struct drm_gem_object *obj, struct drm_file *file)
{
	if (!to_snpu_bo(obj)->device)
		atomic64_sub(obj->size, &to_snpu_file(file)->host_used);
}

static void snpu_bo_init(struct snpu_bo *bo)
{
	INIT_LIST_HEAD(&bo->link);
	INIT_LIST_HEAD(&bo->blocks);
	mutex_init(&bo->lock);
}

/* --- CPU mappings of device memory ------------------------------------------------------------ */

static vm_fault_t snpu_bo_fault_dummy(struct snpu_bo *bo, struct vm_fault *vmf)
{
	vm_fault_t ret = VM_FAULT_OOM;

	mutex_lock(&bo->lock);
	if (!bo->dummy)
		bo->dummy = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (bo->dummy)
		ret = vmf_insert_pfn_prot(vmf->vma, vmf->address, page_to_pfn(bo->dummy),
					  vmf->vma->vm_page_prot);
	mutex_unlock(&bo->lock);
	return ret;
}

/* Maps the page that is missing and those behind it, as far as the memory is contiguous. */
static vm_fault_t snpu_bo_fault_vram(struct snpu_bo *bo, struct vm_fault *vmf)
{
	struct snpu_device *snpu = to_snpu(bo->base.base.dev);
	struct vm_area_struct *vma = vmf->vma;
	u64 offset = (u64)(vmf->pgoff - drm_vma_node_start(&bo->base.base.vma_node)) << PAGE_SHIFT;
	unsigned long addr = vmf->address & PAGE_MASK;
	unsigned long end = min(ALIGN(addr + 1, SNPU_FAULT_AROUND), vma->vm_end);
	u32 i = snpu_bo_extent_at(bo, offset);
	phys_addr_t phys = snpu->vram.phys + bo->extents[i].addr + (offset - bo->extents[i].offset);
	vm_fault_t ret;

	end = min_t(u64, end, addr + (snpu_bo_extent_end(bo, i) - offset));
	ret = vmf_insert_pfn(vma, addr, PHYS_PFN(phys));
	while (ret == VM_FAULT_NOPAGE && (addr += PAGE_SIZE) < end) {
		phys += PAGE_SIZE;
		/* Those that were not asked for may fail. */
		if (vmf_insert_pfn(vma, addr, PHYS_PFN(phys)) != VM_FAULT_NOPAGE)
			break;
	}
	return ret;
}

static vm_fault_t snpu_bo_fault(struct vm_fault *vmf)
{
	struct snpu_bo *bo = to_snpu_bo(vmf->vma->vm_private_data);
	vm_fault_t ret;
	int idx;

	if (!drm_dev_enter(bo->base.base.dev, &idx))
		return snpu_bo_fault_dummy(bo, vmf);
	ret = snpu_bo_fault_vram(bo, vmf);
	drm_dev_exit(idx);
	return ret;
}

static const struct vm_operations_struct snpu_bo_device_vm_ops = {
	.fault = snpu_bo_fault,
	.open = drm_gem_vm_open,
	.close = drm_gem_vm_close,
};

/* Private mappings would be copies, which device memory cannot give. */
static int snpu_bo_mmap_device(struct drm_gem_object *obj, struct vm_area_struct *vma)
{
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_page_prot = pgprot_writecombine(vma->vm_page_prot);
	return 0;
}

static const struct drm_gem_object_funcs snpu_bo_host_funcs = {
	.free = snpu_bo_free_host,
	.open = snpu_bo_open,
	.close = snpu_bo_close,
	.print_info = drm_gem_shmem_object_print_info,
	.pin = drm_gem_shmem_object_pin,
	.unpin = drm_gem_shmem_object_unpin,
	.get_sg_table = drm_gem_shmem_object_get_sg_table,
	.vmap = drm_gem_shmem_object_vmap,
	.vunmap = drm_gem_shmem_object_vunmap,
	.mmap = drm_gem_shmem_object_mmap,
	.vm_ops = &drm_gem_shmem_vm_ops,
};

/*
 * No other device could reach it, and a mapping made through a dma-buf would not be among those
 * that drm_dev_unplug() takes away.
 */
static struct dma_buf *snpu_bo_export_device(struct drm_gem_object *obj, int flags)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static const struct drm_gem_object_funcs snpu_bo_device_funcs = {
	.export = snpu_bo_export_device,
	.free = snpu_bo_free_device,
	.open = snpu_bo_open,
	.close = snpu_bo_close,
	.mmap = snpu_bo_mmap_device,
	.vm_ops = &snpu_bo_device_vm_ops,
};

/* drm_driver.gem_create_object: what the shmem helper builds on. */
struct drm_gem_object *snpu_bo_create_object(struct drm_device *drm, size_t size)
{
	struct snpu_bo *bo = kzalloc(sizeof(*bo), GFP_KERNEL_ACCOUNT);

	if (!bo)
		return ERR_PTR(-ENOMEM);
	snpu_bo_init(bo);
	bo->base.base.funcs = &snpu_bo_host_funcs;
	return &bo->base.base;
}

static struct snpu_bo *snpu_bo_create_host(struct snpu_device *snpu, u64 size)
{
	struct drm_gem_shmem_object *shmem;

	/*
	 * More pages than the machine has could never be pinned; refused here, where it is cheap.
	 */
	if (size >> PAGE_SHIFT > totalram_pages())
		return ERR_PTR(-ENOMEM);
	shmem = drm_gem_shmem_create(&snpu->drm, size);
	if (IS_ERR(shmem))
		return ERR_CAST(shmem);
	return to_snpu_bo(&shmem->base);
}

static struct snpu_bo *snpu_bo_create_device(struct snpu_device *snpu, u64 size)
{
	struct snpu_bo *bo;
	int err;

	if (size > snpu->vram.size)
		return ERR_PTR(-ENOSPC);
	bo = kzalloc(sizeof(*bo), GFP_KERNEL_ACCOUNT);
	if (!bo)
		return ERR_PTR(-ENOMEM);
	snpu_bo_init(bo);
	bo->device = true;
	bo->base.base.funcs = &snpu_bo_device_funcs;
	drm_gem_private_object_init(&snpu->drm, &bo->base.base, size);
	err = drm_gem_create_mmap_offset(&bo->base.base);
	if (!err)
		err = snpu_vram_alloc(bo);
	if (err) {
		drm_gem_object_put(&bo->base.base);
		return ERR_PTR(err);
	}
	return bo;
}

/* @size is a multiple of the page size and not 0. */
struct snpu_bo *snpu_bo_create(struct snpu_device *snpu, u64 size, bool device)
{
	struct snpu_bo *bo = device ? snpu_bo_create_device(snpu, size) :
				      snpu_bo_create_host(snpu, size);

	if (!IS_ERR(bo))
		snpu_bo_link(bo);
	return bo;
}
