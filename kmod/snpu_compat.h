/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lets a driver that is written to the interfaces of Linux 7.3 build on older kernels. Kbuild looks
 * each difference up in the headers; no other file knows about them, and a submission upstream
 * would drop this one.
 */
#ifndef SNPU_COMPAT_H
#define SNPU_COMPAT_H

#include <drm/drm_drv.h>
#include <drm/drm_gem.h>
#include <drm/drm_gpuvm.h>
#include <drm/gpu_scheduler.h>
#include <linux/dma-mapping.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#ifdef HAVE_DRIVER_GEM_GPUVA
#define SNPU_DRIVER_GEM_GPUVA	DRIVER_GEM_GPUVA
#else
#define SNPU_DRIVER_GEM_GPUVA	0
#endif

/* DRM_IOCTL_VERSION warns about a driver without a date as long as there is room for one. */
#ifdef HAVE_DRM_DRIVER_DATE
#define SNPU_DRIVER_DATE	.date = "0",
#else
#define SNPU_DRIVER_DATE
#endif

#ifndef HAVE_SCHED_INIT_ARGS
struct drm_sched_init_args {
	const struct drm_sched_backend_ops *ops;
	struct workqueue_struct *submit_wq;
	struct workqueue_struct *timeout_wq;
	u32 num_rqs;
	u32 credit_limit;
	unsigned int hang_limit;
	long timeout;
	atomic_t *score;
	const char *name;
	struct device *dev;
};

static inline int snpu_sched_init(struct drm_gpu_scheduler *sched,
				  const struct drm_sched_init_args *args)
{
	return drm_sched_init(sched, args->ops, args->submit_wq, args->num_rqs, args->credit_limit,
			      args->hang_limit, args->timeout, args->timeout_wq, args->score,
			      args->name, args->dev);
}

#define drm_sched_init snpu_sched_init
#endif

#ifndef HAVE_SCHED_CLIENT_ID
static inline int snpu_sched_job_init(struct drm_sched_job *job, struct drm_sched_entity *entity,
				      u32 credits, void *owner, u64 client_id)
{
	return drm_sched_job_init(job, entity, credits, owner);
}

#define drm_sched_job_init snpu_sched_job_init
#endif

#ifndef HAVE_GPUVM_MAP_REQ
struct drm_gpuvm_map_req {
	struct drm_gpuva_op_map map;
};

static inline int snpu_gpuvm_sm_map(struct drm_gpuvm *gpuvm, void *priv,
				    const struct drm_gpuvm_map_req *req)
{
	return drm_gpuvm_sm_map(gpuvm, priv, req->map.va.addr, req->map.va.range, req->map.gem.obj,
				req->map.gem.offset);
}

#define drm_gpuvm_sm_map snpu_gpuvm_sm_map
#endif

#ifndef HAVE_GPUVM_BO_OBTAIN_LOCKED
#define drm_gpuvm_bo_obtain_locked drm_gpuvm_bo_obtain
#endif

#ifndef HAVE_COPY_STRUCT_TO_USER
static inline int copy_struct_to_user(void __user *dst, size_t usize, const void *src,
				      size_t ksize, bool *ignored_trailing)
{
	size_t size = min(ksize, usize);

	if (usize > ksize && clear_user(dst + size, usize - ksize))
		return -EFAULT;
	if (copy_to_user(dst, src, size))
		return -EFAULT;
	return 0;
}
#endif

#ifndef HAVE_DMA_BUF_INVALIDATE
#define dma_buf_invalidate_mappings dma_buf_move_notify
#define invalidate_mappings move_notify
#endif

#ifndef HAVE_IMPORT_NS_STRING
#undef MODULE_IMPORT_NS
#define MODULE_IMPORT_NS(ns) MODULE_INFO(import_ns, ns)
#endif

#ifndef HAVE_GEM_HUGE_MNT
static inline int drm_gem_huge_mnt_create(struct drm_device *drm, const char *value)
{
	return 0;
}

static inline struct vfsmount *drm_gem_get_huge_mnt(struct drm_device *drm)
{
	return NULL;
}
#endif

/* A mapping is refused when the card would get a copy. */
#ifndef DMA_ATTR_REQUIRE_COHERENT
#define DMA_ATTR_REQUIRE_COHERENT 0
static inline int snpu_dma_map_sgtable(struct device *dev, struct sg_table *sgt,
				       enum dma_data_direction dir, unsigned long attrs)
{
	struct scatterlist *sg;
	int err, i;

	err = dma_map_sgtable(dev, sgt, dir, attrs);
	if (err)
		return err;
	for_each_sgtable_dma_sg(sgt, sg, i) {
		if (!dma_need_sync(dev, sg_dma_address(sg)))
			continue;
		dma_unmap_sgtable(dev, sgt, dir, attrs);
		return -EOPNOTSUPP;
	}
	return 0;
}

#define dma_map_sgtable snpu_dma_map_sgtable
#endif

/* Older kernels free what open events use when their PMU is unregistered. */
#ifdef HAVE_PMU_REVOKE
#define SNPU_PMU_STAYS	false
#else
#define SNPU_PMU_STAYS	true
#endif

#ifndef kzalloc_obj
#define kzalloc_obj(P) kzalloc(sizeof(P), GFP_KERNEL)
#endif

#endif
