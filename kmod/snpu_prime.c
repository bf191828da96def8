// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sharing buffers with other devices, as dma-bufs.
 *
 * Host memory goes out to every device that sees the same memory as the CPU does; so no access
 * needs a cache or a copy to be synchronised, and there is no begin_cpu_access. Device memory goes
 * out to devices that may reach it directly (PCI peer to peer), have said that they can do without
 * it at any moment, and lose it when the card goes. The CPU maps it through the card it is of,
 * because only such mappings are taken away then.
 *
 * What comes in is mapped for DMA at once and stays so until the buffer is freed, the card is
 * removed, or the exporter takes it away. Its exporter synchronises it, when the CPU says that it
 * accesses it (DMA_BUF_IOCTL_SYNC). Everything about such a mapping is under the reservation lock
 * of the dma-buf, which is the exporter's.
 */
#include <drm/drm_drv.h>
#include <drm/drm_prime.h>
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/pci-p2pdma.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "snpu_device.h"
#include "snpu_gem.h"
#include "snpu_prime.h"
#include "snpu_vm.h"

/* A scatterlist counts in 32 bits. */
#define SNPU_SG_MAX	SZ_1G

static const struct dma_buf_attach_ops snpu_prime_importer;

/* --- going out: host memory ------------------------------------------------------------------- */

static struct sg_table *snpu_prime_map_host(struct dma_buf_attachment *attach,
					    enum dma_data_direction dir)
{
	struct sg_table *sgt = drm_gem_shmem_object_get_sg_table(attach->dmabuf->priv);
	int err;

	if (IS_ERR(sgt))
		return sgt;
	err = snpu_sgt_map(attach->dev, sgt, dir);
	if (!err)
		return sgt;
	sg_free_table(sgt);
	kfree(sgt);
	return ERR_PTR(err);
}

static void snpu_prime_unmap_host(struct dma_buf_attachment *attach, struct sg_table *sgt,
				  enum dma_data_direction dir)
{
	snpu_sgt_unmap(attach->dev, sgt, dir);
	sg_free_table(sgt);
	kfree(sgt);
}

static const struct dma_buf_ops snpu_prime_host_ops = {
	.attach = drm_gem_map_attach,
	.detach = drm_gem_map_detach,
	.map_dma_buf = snpu_prime_map_host,
	.unmap_dma_buf = snpu_prime_unmap_host,
	.release = drm_gem_dmabuf_release,
	.mmap = drm_gem_dmabuf_mmap,
	.vmap = drm_gem_dmabuf_vmap,
	.vunmap = drm_gem_dmabuf_vunmap,
};

/* --- going out: device memory ----------------------------------------------------------------- */

static int snpu_prime_attach_device(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	struct drm_gem_object *obj = dmabuf->priv;

	if (drm_dev_is_unplugged(obj->dev))
		return -ENODEV;
	if (!attach->peer2peer ||
	    pci_p2pdma_distance(to_pci_dev(obj->dev->dev), attach->dev, false) < 0)
		return -EOPNOTSUPP;
	return 0;
}

/* Device memory never moves. But whoever pins need not be ready to lose it; our importer is. */
static int snpu_prime_pin_device(struct dma_buf_attachment *attach)
{
	return attach->importer_ops == &snpu_prime_importer ? 0 : -EOPNOTSUPP;
}

static void snpu_prime_unpin_device(struct dma_buf_attachment *attach)
{
}

static void snpu_prime_unmap_device(struct dma_buf_attachment *attach, struct sg_table *sgt,
				    enum dma_data_direction dir)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_dma_sg(sgt, sg, i)
		if (sg_dma_len(sg))
			dma_unmap_resource(attach->dev, sg_dma_address(sg), sg_dma_len(sg), dir, 0);
	sg_free_table(sgt);
	kfree(sgt);
	snpu_pm_put(to_snpu(((struct drm_gem_object *)attach->dmabuf->priv)->dev));
}

/* Room for all pieces of the buffer, none of them mapped yet. */
static struct sg_table *snpu_prime_alloc_sgt(const struct snpu_bo *bo)
{
	struct sg_table *sgt = kzalloc_obj(*sgt);
	u32 i, n = 0;

	if (!sgt)
		return NULL;
	for (i = 0; i < bo->n_extents; i++)
		n += DIV_ROUND_UP(snpu_bo_extent_end(bo, i) - bo->extents[i].offset, SNPU_SG_MAX);
	if (sg_alloc_table(sgt, n, GFP_KERNEL)) {
		kfree(sgt);
		return NULL;
	}
	return sgt;
}

static int snpu_prime_map_extents(struct snpu_bo *bo, struct device *dev, struct sg_table *sgt,
				  enum dma_data_direction dir)
{
	phys_addr_t phys = to_snpu(bo->base.base.dev)->vram.phys;
	struct scatterlist *sg;
	u64 offset = 0;
	int i;

	for_each_sgtable_sg(sgt, sg, i) {
		u32 x = snpu_bo_extent_at(bo, offset);
		u64 skip = offset - bo->extents[x].offset;
		u64 len = min_t(u64, snpu_bo_extent_end(bo, x) - offset, SNPU_SG_MAX);
		dma_addr_t addr = dma_map_resource(dev, phys + bo->extents[x].addr + skip, len, dir,
						   0);

		if (dma_mapping_error(dev, addr))
			return -ENOMEM;
		sg_dma_address(sg) = addr;
		sg_dma_len(sg) = len;
		offset += len;
	}
	return 0;
}

/*
 * Under the reservation: either this is seen by drm_dev_unplug(), or it fails. The card stays awake
 * while its memory is mapped.
 */
static struct sg_table *snpu_prime_map_device(struct dma_buf_attachment *attach,
					      enum dma_data_direction dir)
{
	struct drm_gem_object *obj = attach->dmabuf->priv;
	struct snpu_bo *bo = to_snpu_bo(obj);
	struct sg_table *sgt;
	int idx, err;

	if (!snpu_device_enter(to_snpu(obj->dev), &idx))
		return ERR_PTR(-ENODEV);
	sgt = snpu_prime_alloc_sgt(bo);
	if (sgt)
		snpu_pm_get(to_snpu(obj->dev));
	err = sgt ? snpu_prime_map_extents(bo, attach->dev, sgt, dir) : -ENOMEM;
	snpu_device_exit(to_snpu(obj->dev), idx);
	if (!err)
		return sgt;
	if (sgt)
		snpu_prime_unmap_device(attach, sgt, dir);
	return ERR_PTR(err);
}

static void snpu_prime_release_device(struct dma_buf *dmabuf)
{
	struct snpu_bo *bo = to_snpu_bo(dmabuf->priv);
	struct snpu_objects *objects = &to_snpu(bo->base.base.dev)->objects;

	mutex_lock(&objects->lock);
	bo->exported = NULL;
	mutex_unlock(&objects->lock);
	drm_gem_dmabuf_release(dmabuf);
}

static const struct dma_buf_ops snpu_prime_device_ops = {
	.attach = snpu_prime_attach_device,
	.pin = snpu_prime_pin_device,
	.unpin = snpu_prime_unpin_device,
	.map_dma_buf = snpu_prime_map_device,
	.unmap_dma_buf = snpu_prime_unmap_device,
	.release = snpu_prime_release_device,
};

/*
 * For remove(), after drm_dev_unplug(): nobody attaches or maps any more, and those who have are
 * told to let go of the card's memory. Under objects.lock, which keeps the dma-buf.
 */
void snpu_prime_revoke(struct snpu_bo *bo)
{
	struct drm_gem_object *obj = &bo->base.base;

	dma_resv_lock(obj->resv, NULL);
	dma_buf_invalidate_mappings(bo->exported);
	/* Importers that cannot let go at once leave a fence. */
	dma_resv_wait_timeout(obj->resv, DMA_RESV_USAGE_BOOKKEEP, false, MAX_SCHEDULE_TIMEOUT);
	dma_resv_unlock(obj->resv);
}

/* drm_gem_object_funcs.export: of host and device memory. */
struct dma_buf *snpu_prime_export(struct drm_gem_object *obj, int flags)
{
	struct snpu_objects *objects = &to_snpu(obj->dev)->objects;
	struct snpu_bo *bo = to_snpu_bo(obj);
	struct dma_buf_export_info info = {
		.exp_name = KBUILD_MODNAME,
		.owner = obj->dev->driver->fops->owner,
		.ops = bo->device ? &snpu_prime_device_ops : &snpu_prime_host_ops,
		.size = obj->size,
		.flags = flags,
		.priv = obj,
		.resv = obj->resv,
	};
	struct dma_buf *dmabuf = drm_gem_dmabuf_export(obj->dev, &info);

	if (bo->device && !IS_ERR(dmabuf)) {
		mutex_lock(&objects->lock);
		bo->exported = dmabuf;
		mutex_unlock(&objects->lock);
	}
	return dmabuf;
}

/* --- coming in -------------------------------------------------------------------------------- */

static void snpu_prime_unmap(struct snpu_bo *bo)
{
	dma_resv_assert_held(bo->imported->resv);

	if (!bo->sgt)
		return;
	dma_buf_unmap_attachment(bo->attach, bo->sgt, DMA_BIDIRECTIONAL);
	dma_buf_unpin(bo->attach);
	bo->sgt = NULL;
}

/*
 * The exporter takes the memory away. Programs that use it fault from now on, and it cannot be
 * bound any more.
 */
static void snpu_prime_invalidate(struct dma_buf_attachment *attach)
{
	struct snpu_bo *bo = attach->importer_priv;

	if (!bo->sgt)
		return;
	snpu_vm_cut_bo(bo);
	snpu_prime_unmap(bo);
	kvfree(bo->extents);
	bo->extents = NULL;
}

static const struct dma_buf_attach_ops snpu_prime_importer = {
	.allow_peer2peer = true,
	.invalidate_mappings = snpu_prime_invalidate,
};

static int snpu_prime_map(struct snpu_bo *bo)
{
	struct sg_table *sgt;
	int err;

	err = dma_resv_lock_interruptible(bo->imported->resv, NULL);
	if (err)
		return err;
	err = dma_buf_pin(bo->attach);
	if (err)
		goto out_unlock;
	sgt = dma_buf_map_attachment(bo->attach, DMA_BIDIRECTIONAL);
	if (IS_ERR(sgt)) {
		dma_buf_unpin(bo->attach);
		err = PTR_ERR(sgt);
		goto out_unlock;
	}
	bo->sgt = sgt;
	err = snpu_bo_extents_from_sgt(bo, sgt);
	if (err)
		snpu_prime_unmap(bo);
out_unlock:
	dma_resv_unlock(bo->imported->resv);
	return err;
}

/* The card does not use it any more, or was removed. */
void snpu_prime_detach(struct snpu_bo *bo)
{
	if (!bo->attach)
		return;
	dma_resv_lock(bo->imported->resv, NULL);
	snpu_prime_unmap(bo);
	dma_resv_unlock(bo->imported->resv);
	dma_buf_detach(bo->imported, bo->attach);
	bo->attach = NULL;
}

static void snpu_prime_free(struct drm_gem_object *obj)
{
	struct snpu_bo *bo = to_snpu_bo(obj);
	struct dma_buf *dmabuf = bo->imported;

	snpu_bo_end(bo);
	snpu_prime_detach(bo);
	snpu_bo_free(bo);
	dma_buf_put(dmabuf);	/* last: the reservation is in it */
}

static const struct drm_gem_object_funcs snpu_prime_funcs = {
	.free = snpu_prime_free,
	.open = snpu_bo_open,
	.close = snpu_bo_close,
};

static struct snpu_bo *snpu_prime_import_foreign(struct snpu_device *snpu, struct dma_buf *dmabuf)
{
	struct dma_buf_attachment *attach;
	struct snpu_bo *bo;
	int err;

	if (!dmabuf->size || !PAGE_ALIGNED(dmabuf->size))
		return ERR_PTR(-EINVAL);
	bo = snpu_bo_alloc(snpu, dmabuf->size, dmabuf->resv, &snpu_prime_funcs);
	if (!bo)
		return ERR_PTR(-ENOMEM);
	get_dma_buf(dmabuf);
	bo->imported = dmabuf;
	attach = dma_buf_dynamic_attach(dmabuf, snpu->drm.dev, &snpu_prime_importer, bo);
	err = PTR_ERR_OR_ZERO(attach);
	if (!err) {
		bo->attach = attach;
		err = snpu_prime_map(bo);
	}
	if (err) {
		drm_gem_object_put(&bo->base.base);
		return ERR_PTR(err);
	}
	snpu_bo_link(bo);
	return bo;
}

/* drm_driver.gem_prime_import: what this card exported is the same buffer again. */
struct drm_gem_object *snpu_prime_import(struct drm_device *drm, struct dma_buf *dmabuf)
{
	struct drm_gem_object *obj = dmabuf->priv;
	struct snpu_bo *bo;
	int idx;

	if ((dmabuf->ops == &snpu_prime_host_ops || dmabuf->ops == &snpu_prime_device_ops) &&
	    obj->dev == drm) {
		drm_gem_object_get(obj);
		return obj;
	}
	if (!drm_dev_enter(drm, &idx))
		return ERR_PTR(-ENODEV);
	bo = snpu_prime_import_foreign(to_snpu(drm), dmabuf);
	drm_dev_exit(idx);
	return IS_ERR(bo) ? ERR_CAST(bo) : &bo->base.base;
}
