// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers. Host memory is shmem and charged to whoever touches it; it is pinned and mapped for DMA
 * when it is first bound, and stays so until it is freed. Device memory comes from a buddy
 * allocator, is never moved, and is cleared when it is handed out, so that nobody sees what the
 * last owner left. Memory of a process and dma-bufs of others have files of their own; their life
 * and their DMA mapping end here, too.
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
#include <linux/highmem.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "snpu_device.h"
#include "snpu_drv.h"
#include "snpu_gem.h"
#include "snpu_prime.h"

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
	INIT_LIST_HEAD(&vram->bos);
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

/* Of what is written in a reset of the card nothing may arrive. */
static int snpu_vram_clear_step(struct snpu_device *snpu, u64 offset, u64 size)
{
	int idx, err;

	if (!snpu_device_enter(snpu, &idx))
		return -ENODEV;
	err = snpu_pm_begin(snpu);
	if (!err) {
		memset_io(snpu->vram.map + offset, 0, size);
		wmb();	/* out of the write-combining buffers before others write there */
		snpu_pm_end(snpu);
	}
	snpu_device_exit(snpu, idx);
	return err;
}

static int snpu_vram_clear(struct snpu_device *snpu, u64 offset, u64 size)
{
	while (size) {
		u64 step = min_t(u64, size, SNPU_CLEAR_STEP);
		int err = snpu_vram_clear_step(snpu, offset, step);

		if (err)
			return err;
		offset += step;
		size -= step;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

static void snpu_vram_free(struct snpu_bo *bo)
{
	struct snpu_vram *vram = &to_snpu(bo->base.base.dev)->vram;

	mutex_lock(&vram->lock);
	list_del(&bo->vram_link);
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
	if (!err)
		list_add(&bo->vram_link, &vram->bos);
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

int snpu_bo_extents_from_sgt(struct snpu_bo *bo, struct sg_table *sgt)
{
	struct snpu_extent *extents;
	struct scatterlist *sg;
	u64 offset = 0, next = 0;
	u32 n = 0;
	int i;

	extents = kvmalloc_array(sgt->nents, sizeof(*extents), GFP_KERNEL_ACCOUNT);
	if (!extents)
		return -ENOMEM;
	for_each_sgtable_dma_sg(sgt, sg, i) {
		if (!IS_ALIGNED(sg_dma_address(sg) | sg_dma_len(sg), SZ_4K))
			break;
		if (!n || sg_dma_address(sg) != next)
			extents[n++] = (struct snpu_extent){ offset, sg_dma_address(sg) };
		next = sg_dma_address(sg) + sg_dma_len(sg);
		offset += sg_dma_len(sg);
	}
	/* Less than it promises, or not in pages: can only be an exporter's mistake. */
	if (offset < bo->base.base.size) {
		kvfree(extents);
		return -EINVAL;
	}
	bo->extents = extents;
	bo->n_extents = n;
	return 0;
}

/* --- reach of the card ------------------------------------------------------------------------ */

static enum dma_data_direction snpu_bo_dma_dir(const struct snpu_bo *bo)
{
	return bo->read_only ? DMA_TO_DEVICE : DMA_BIDIRECTIONAL;
}

static struct sg_table *snpu_bo_get_pages(struct snpu_bo *bo)
{
	struct sg_table *sgt;
	int err;

	if (bo->pages)
		return drm_prime_pages_to_sg(bo->base.base.dev, bo->pages, bo->n_pages);
	err = drm_gem_shmem_pin(&bo->base);
	if (err)
		return ERR_PTR(err);
	sgt = drm_gem_shmem_get_sg_table(&bo->base);
	if (IS_ERR(sgt))
		drm_gem_shmem_unpin(&bo->base);
	return sgt;
}

static void snpu_bo_put_pages(struct snpu_bo *bo, struct sg_table *sgt)
{
	sg_free_table(sgt);
	kfree(sgt);
	if (!bo->pages)
		drm_gem_shmem_unpin(&bo->base);
}

/*
 * -EOPNOTSUPP: the device would get copies. These need syncing, and would never agree with what the
 * CPU's mappings show.
 */
int snpu_sgt_map(struct device *dev, struct sg_table *sgt, enum dma_data_direction dir)
{
	int err = dma_map_sgtable(dev, sgt, dir, DMA_ATTR_REQUIRE_COHERENT);

	return err == -EIO ? -EOPNOTSUPP : err;
}

void snpu_sgt_unmap(struct device *dev, struct sg_table *sgt, enum dma_data_direction dir)
{
	dma_unmap_sgtable(dev, sgt, dir, DMA_ATTR_REQUIRE_COHERENT);
}

static int snpu_bo_map_dma(struct snpu_bo *bo)
{
	struct device *dev = bo->base.base.dev->dev;
	struct sg_table *sgt = snpu_bo_get_pages(bo);
	int err;

	if (IS_ERR(sgt))
		return PTR_ERR(sgt);
	err = snpu_sgt_map(dev, sgt, snpu_bo_dma_dir(bo));
	if (err == -EOPNOTSUPP)
		dev_err_once(dev, "the machine gives cards copies of memory (swiotlb, or caches that are not coherent); buffers in host memory do not work\n");
	if (err)
		goto err_put_pages;
	err = snpu_bo_extents_from_sgt(bo, sgt);
	if (err)
		goto err_unmap;
	bo->sgt = sgt;
	return 0;

err_unmap:
	snpu_sgt_unmap(dev, sgt, snpu_bo_dma_dir(bo));
err_put_pages:
	snpu_bo_put_pages(bo, sgt);
	return err;
}

/* Nobody uses the buffer through this card any more. */
static void snpu_bo_unmap_dma(struct snpu_bo *bo)
{
	if (bo->imported) {
		snpu_prime_detach(bo);
	} else if (bo->sgt) {
		snpu_sgt_unmap(bo->base.base.dev->dev, bo->sgt, snpu_bo_dma_dir(bo));
		snpu_bo_put_pages(bo, bo->sgt);
		bo->sgt = NULL;
	} else if (bo->exported) {
		snpu_prime_revoke(bo);
	}
}

/* Makes sure the buffer has addresses on the card. The caller is inside drm_dev_enter(). */
int snpu_bo_make_reachable(struct snpu_bo *bo)
{
	int err;

	if (bo->imported)
		return 0;	/* it has, unless the exporter took them away */
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

/* Bytes of one page of a bound buffer, for who looks at a failure. Inside drm_dev_enter(). */
bool snpu_bo_peek(struct snpu_bo *bo, u64 offset, void *buf, u32 size)
{
	struct snpu_device *snpu = to_snpu(bo->base.base.dev);
	const struct snpu_extent *e;
	struct page **pages;

	if (bo->device) {
		e = &bo->extents[snpu_bo_extent_at(bo, offset)];
		memcpy_fromio(buf, snpu->vram.map + e->addr + offset - e->offset, size);
		return true;
	}
	pages = bo->pages ?: bo->base.pages;
	if (!pages)
		return false;
	memcpy_from_page(buf, pages[offset / PAGE_SIZE], offset % PAGE_SIZE, size);
	return true;
}

void snpu_bo_link(struct snpu_bo *bo)
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

/* The first step of freeing any buffer: out of the list, and out of the card's reach. */
void snpu_bo_end(struct snpu_bo *bo)
{
	if (!list_empty(&bo->link))
		snpu_bo_unlink(bo);
	kvfree(bo->extents);
	vfree(bo->saved);
	mutex_destroy(&bo->lock);
}

/* The last step, for those that are not shmem. */
void snpu_bo_free(struct snpu_bo *bo)
{
	drm_gem_object_release(&bo->base.base);
	kfree(bo);
}

static void snpu_bo_free_host(struct drm_gem_object *obj)
{
	struct snpu_bo *bo = to_snpu_bo(obj);

	snpu_bo_end(bo);
	drm_gem_shmem_free(&bo->base);
}

static void snpu_bo_free_device(struct drm_gem_object *obj)
{
	struct snpu_bo *bo = to_snpu_bo(obj);

	snpu_bo_end(bo);
	snpu_vram_free(bo);
	if (bo->dummy)
		__free_page(bo->dummy);
	snpu_bo_free(bo);
}

int snpu_bo_open(struct drm_gem_object *obj, struct drm_file *file)
{
	if (!to_snpu_bo(obj)->device)
		atomic64_add(obj->size, &to_snpu_file(file)->host_used);
	return 0;
}

void snpu_bo_close(struct drm_gem_object *obj, struct drm_file *file)
{
	if (!to_snpu_bo(obj)->device)
		atomic64_sub(obj->size, &to_snpu_file(file)->host_used);
}

/* Every kind of buffer opens like this, and no other object: doorbells are GEM objects, too. */
bool snpu_gem_is_bo(const struct drm_gem_object *obj)
{
	return obj->funcs->open == snpu_bo_open;
}

/* The buffer behind a handle, with a reference; NULL when there is none of that number. */
struct snpu_bo *snpu_bo_lookup(struct drm_file *file, u32 handle)
{
	struct drm_gem_object *obj = drm_gem_object_lookup(file, handle);

	if (obj && !snpu_gem_is_bo(obj)) {
		drm_gem_object_put(obj);
		return NULL;
	}
	return obj ? to_snpu_bo(obj) : NULL;
}

static void snpu_bo_init(struct snpu_bo *bo)
{
	INIT_LIST_HEAD(&bo->link);
	INIT_LIST_HEAD(&bo->vram_link);
	INIT_LIST_HEAD(&bo->blocks);
	mutex_init(&bo->lock);
}

/* A buffer that is not shmem. @resv: NULL for one of its own. */
struct snpu_bo *snpu_bo_alloc(struct snpu_device *snpu, u64 size, struct dma_resv *resv,
			      const struct drm_gem_object_funcs *funcs)
{
	struct snpu_bo *bo = kzalloc(sizeof(*bo), GFP_KERNEL_ACCOUNT);

	if (!bo)
		return NULL;
	snpu_bo_init(bo);
	bo->base.base.funcs = funcs;
	bo->base.base.resv = resv;
	drm_gem_private_object_init(&snpu->drm, &bo->base.base, size);
	return bo;
}

/* --- CPU mappings of device memory ------------------------------------------------------------ */

/* An ordinary page in place of one of the card's; @lock protects @dummy, which is made once. */
vm_fault_t snpu_gem_fault_dummy(struct vm_fault *vmf, struct mutex *lock, struct page **dummy)
{
	vm_fault_t ret = VM_FAULT_OOM;

	mutex_lock(lock);
	if (!*dummy)
		*dummy = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (*dummy)
		ret = vmf_insert_pfn_prot(vmf->vma, vmf->address, page_to_pfn(*dummy),
					  vmf->vma->vm_page_prot);
	mutex_unlock(lock);
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
	struct snpu_device *snpu = to_snpu(bo->base.base.dev);
	vm_fault_t ret = VM_FAULT_NOPAGE;
	int idx;

	if (!snpu_device_enter(snpu, &idx))
		return snpu_gem_fault_dummy(vmf, &bo->lock, &bo->dummy);
	if (snpu_pm_map_begin(snpu)) {
		ret = snpu_bo_fault_vram(bo, vmf);
		snpu_pm_map_end(snpu);
	}
	snpu_device_exit(snpu, idx);
	return ret;
}

/*
 * Takes the mappings of all device memory away; the caller made sure that none comes back. Not
 * under objects.lock: others wait under it for reservations, and pauses under them for this.
 */
void snpu_bo_zap_all(struct snpu_device *snpu)
{
	struct address_space *mapping = snpu->drm.anon_inode->i_mapping;
	struct snpu_bo *bo;

	mutex_lock(&snpu->vram.lock);
	list_for_each_entry(bo, &snpu->vram.bos, vram_link)
		drm_vma_node_unmap(&bo->base.base.vma_node, mapping);
	mutex_unlock(&snpu->vram.lock);
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
	.export = snpu_prime_export,
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

static const struct drm_gem_object_funcs snpu_bo_device_funcs = {
	.export = snpu_prime_export,
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
	if (shmem == ERR_PTR(-ENOSPC))	/* no inode, which is nothing the user could free */
		return ERR_PTR(-ENOMEM);
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
	bo = snpu_bo_alloc(snpu, size, NULL, &snpu_bo_device_funcs);
	if (!bo)
		return ERR_PTR(-ENOMEM);
	bo->device = true;
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
