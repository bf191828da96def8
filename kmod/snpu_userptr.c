// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers made of a process's own memory. Its pages are pinned when the buffer is created and
 * unpinned when it is freed, and count as locked memory of the process that made it. Only memory
 * that stays what it is while it is pinned is taken: anonymous and shared memory and hugetlb, but
 * not files (a private mapping of one is left behind by writes, and a shared one is written back
 * behind the card's back) and not what is no memory (mappings of devices).
 */
#include <drm/drm_print.h>
#include <linux/hugetlb_inline.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>

#include "snpu_device.h"
#include "snpu_drv.h"
#include "snpu_gem.h"

static bool snpu_userptr_vma_ok(struct vm_area_struct *vma)
{
	if (vma->vm_flags & (VM_IO | VM_PFNMAP))
		return false;
	if (vma_is_anonymous(vma) || is_vm_hugetlb_page(vma))
		return true;
	return vma->vm_flags & VM_SHARED && vma->vm_file &&
	       shmem_mapping(vma->vm_file->f_mapping);
}

static int snpu_userptr_check(struct mm_struct *mm, unsigned long addr, unsigned long end)
{
	struct vm_area_struct *vma;

	mmap_assert_locked(mm);

	for (; addr < end; addr = vma->vm_end) {
		vma = vma_lookup(mm, addr);
		if (!vma)
			return -EFAULT;
		if (!snpu_userptr_vma_ok(vma))
			return -EOPNOTSUPP;
	}
	return 0;
}

/* Counts what it pinned in @bo->n_pages, also when it fails. */
static int snpu_userptr_pin(struct snpu_bo *bo, unsigned long addr, unsigned long n)
{
	unsigned int flags = FOLL_LONGTERM | (bo->read_only ? 0 : FOLL_WRITE);
	long got;
	int err;

	err = mmap_read_lock_killable(bo->mm);
	if (err)
		return err;
	err = snpu_userptr_check(bo->mm, addr, addr + n * PAGE_SIZE);
	while (!err && bo->n_pages < n) {
		got = pin_user_pages(addr + bo->n_pages * PAGE_SIZE, n - bo->n_pages, flags,
				     bo->pages + bo->n_pages);
		if (got > 0)
			bo->n_pages += got;
		else
			err = got ?: -EFAULT;
	}
	mmap_read_unlock(bo->mm);
	return err;
}

static void snpu_userptr_free(struct drm_gem_object *obj)
{
	struct snpu_bo *bo = to_snpu_bo(obj);

	snpu_bo_end(bo);
	if (bo->n_pages)
		unpin_user_pages_dirty_lock(bo->pages, bo->n_pages, !bo->read_only);
	kvfree(bo->pages);
	if (bo->mm) {
		account_locked_vm(bo->mm, obj->size >> PAGE_SHIFT, false);
		mmdrop(bo->mm);
	}
	snpu_bo_free(bo);
}

/* The process can give the pages away itself, and other devices can pin them themselves. */
static struct dma_buf *snpu_userptr_export(struct drm_gem_object *obj, int flags)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static const struct drm_gem_object_funcs snpu_userptr_funcs = {
	.free = snpu_userptr_free,
	.open = snpu_bo_open,
	.close = snpu_bo_close,
	.export = snpu_userptr_export,
};

static int snpu_userptr_fill(struct snpu_bo *bo, unsigned long addr, unsigned long n)
{
	int err;

	err = account_locked_vm(current->mm, n, true);
	if (err) {
		drm_dbg(bo->base.base.dev, "%lu pages more pass RLIMIT_MEMLOCK\n", n);
		return err;
	}
	bo->mm = current->mm;
	mmgrab(bo->mm);
	bo->pages = kvmalloc_array(n, sizeof(*bo->pages), GFP_KERNEL_ACCOUNT);
	if (!bo->pages)
		return -ENOMEM;
	return snpu_userptr_pin(bo, addr, n);
}

static struct snpu_bo *snpu_userptr_create(struct snpu_device *snpu, u64 addr, u64 size,
					   bool read_only)
{
	struct snpu_bo *bo;
	int err;

	/* More pages than the machine has could never be pinned. */
	if (size >> PAGE_SHIFT > totalram_pages())
		return ERR_PTR(-ENOMEM);
	bo = snpu_bo_alloc(snpu, size, NULL, &snpu_userptr_funcs);
	if (!bo)
		return ERR_PTR(-ENOMEM);
	bo->read_only = read_only;
	err = snpu_userptr_fill(bo, addr, size >> PAGE_SHIFT);
	if (err) {
		drm_gem_object_put(&bo->base.base);
		return ERR_PTR(err);
	}
	snpu_bo_link(bo);
	return bo;
}

int snpu_ioctl_bo_userptr(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_snpu_bo_userptr *args = data;
	struct snpu_bo *bo;
	int err;

	if (!args->size || !PAGE_ALIGNED(args->addr | args->size) ||
	    args->flags & ~DRM_SNPU_BO_USERPTR_READONLY)
		return -EINVAL;
	if (args->addr >= TASK_SIZE || args->size > TASK_SIZE - args->addr)
		return -EFAULT;
	bo = snpu_userptr_create(to_snpu(drm), args->addr, args->size,
				 args->flags & DRM_SNPU_BO_USERPTR_READONLY);
	if (IS_ERR(bo))
		return PTR_ERR(bo);
	err = drm_gem_handle_create(file, &bo->base.base, &args->handle);
	drm_gem_object_put(&bo->base.base);
	return err;
}
