// SPDX-License-Identifier: GPL-2.0-only
/*
 * The DRM driver: open files, the table of ioctls, and those that only check, look up and call.
 * Functions named snpu_ioctl_* check every field of what they are given before they change
 * anything. Numbers of address spaces and queues belong to one file; a lookup takes a reference.
 */
#include <drm/drm_accel.h>
#include <drm/drm_drv.h>
#include <drm/drm_gem.h>
#include <drm/drm_ioctl.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "snpu_device.h"
#include "snpu_drv.h"
#include "snpu_fw_sig.h"
#include "snpu_gem.h"
#include "snpu_pmu.h"
#include "snpu_prime.h"
#include "snpu_queue.h"
#include "snpu_uqueue.h"
#include "snpu_user.h"
#include "snpu_vm.h"

struct workqueue_struct *snpu_wq;

/* --- arrays in user memory -------------------------------------------------------------------- */

/* @min_stride: size of the first version of the element. @max_count 0: no limit. */
int snpu_array_check(const struct drm_snpu_obj_array *array, u32 min_stride, u32 max_count)
{
	if (!array->count)
		return array->array ? -EINVAL : 0;
	if (max_count && array->count > max_count)
		return -E2BIG;
	if (array->stride < min_stride)
		return -EINVAL;
	return array->stride > PAGE_SIZE ? -E2BIG : 0;
}

int snpu_array_get(const struct drm_snpu_obj_array *array, u32 i, void *elem, size_t size)
{
	u64 ptr = array->array + (u64)i * array->stride;

	return copy_struct_from_user(elem, size, u64_to_user_ptr(ptr), array->stride);
}

/* --- lookups ---------------------------------------------------------------------------------- */

static struct snpu_vm *snpu_file_vm(struct snpu_file *file, u32 id)
{
	struct snpu_vm *vm;

	xa_lock(&file->vms);
	vm = xa_load(&file->vms, id);
	if (vm)
		snpu_vm_get(vm);
	xa_unlock(&file->vms);
	return vm;
}

/* With a reference on its memory. */
struct snpu_queue *snpu_file_queue(struct snpu_file *file, u32 id)
{
	struct snpu_queue *queue;

	xa_lock(&file->queues);
	queue = xa_load(&file->queues, id);
	if (queue)
		snpu_queue_get(queue);
	xa_unlock(&file->queues);
	return queue;
}

/* --- buffers ---------------------------------------------------------------------------------- */

static int snpu_ioctl_bo_create(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_snpu_bo_create *args = data;
	struct snpu_bo *bo;
	u64 size;
	int err;

	if (!args->size || args->flags & ~DRM_SNPU_BO_DEVICE)
		return -EINVAL;
	if (check_add_overflow(args->size, PAGE_SIZE - 1, &size))
		return -EINVAL;
	bo = snpu_bo_create(to_snpu(drm), size & PAGE_MASK, args->flags & DRM_SNPU_BO_DEVICE);
	if (IS_ERR(bo))
		return PTR_ERR(bo);
	err = drm_gem_handle_create(file, &bo->base.base, &args->handle);
	if (!err)
		args->size = bo->base.base.size;
	drm_gem_object_put(&bo->base.base);
	return err;
}

static int snpu_ioctl_bo_mmap_offset(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_snpu_bo_mmap_offset *args = data;
	struct drm_gem_object *obj;
	int err = 0;

	if (args->pad)
		return -EINVAL;
	obj = drm_gem_object_lookup(file, args->handle);	/* a buffer or a doorbell */
	if (!obj)
		return -ENOENT;
	if (snpu_gem_is_bo(obj) && !snpu_bo_has_mmap(to_snpu_bo(obj)))
		err = -EINVAL;
	else
		args->offset = drm_vma_node_offset_addr(&obj->vma_node);
	drm_gem_object_put(obj);
	return err;
}

/* --- address spaces --------------------------------------------------------------------------- */

static int snpu_ioctl_vm_create(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_snpu_vm_create *args = data;
	struct snpu_vm *vm;
	int idx, err;

	if (args->flags)
		return -EINVAL;
	err = snpu_fw_error(to_snpu(drm));
	if (err)
		return err;
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	vm = snpu_vm_create(to_snpu(drm), to_snpu_file(file)->user);
	drm_dev_exit(idx);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	err = xa_alloc(&to_snpu_file(file)->vms, &args->vm_id, vm, xa_limit_31b, GFP_KERNEL);
	if (err)
		snpu_vm_put(vm);
	return err;
}

static int snpu_ioctl_vm_destroy(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_snpu_vm_destroy *args = data;
	struct snpu_vm *vm;

	if (args->pad)
		return -EINVAL;
	vm = xa_erase(&to_snpu_file(file)->vms, args->vm_id);
	if (!vm)
		return -ENOENT;
	snpu_vm_put(vm);
	return 0;
}

static int snpu_vm_bind_ops(struct snpu_vm *vm, struct drm_file *file,
			    struct drm_snpu_vm_bind *args)
{
	struct drm_snpu_vm_bind_op op;
	int err = 0;
	u32 i;

	for (i = 0; i < args->ops.count && !err; i++) {
		err = snpu_array_get(&args->ops, i, &op, sizeof(op));
		if (!err)
			err = snpu_vm_bind_op(vm, file, &op);
		if (!err)
			args->done++;
		if (!err && fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	return err;
}

static int snpu_ioctl_vm_bind(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_snpu_vm_bind *args = data;
	struct snpu_vm *vm;
	int idx, err;

	args->done = 0;
	if (args->flags || args->pad)
		return -EINVAL;
	err = snpu_array_check(&args->ops, offsetofend(struct drm_snpu_vm_bind_op, size), 0);
	if (err)
		return err;
	vm = snpu_file_vm(to_snpu_file(file), args->vm_id);
	if (!vm)
		return -ENOENT;
	if (drm_dev_enter(drm, &idx)) {
		err = snpu_vm_bind_ops(vm, file, args);
		drm_dev_exit(idx);
	} else {
		err = -ENODEV;
	}
	snpu_vm_put(vm);
	return err;
}

/* --- queues ----------------------------------------------------------------------------------- */

static int snpu_queue_create_in(struct drm_file *drm_file, struct snpu_vm *vm,
				struct drm_snpu_queue_create *args)
{
	struct snpu_file *file = to_snpu_file(drm_file);
	struct snpu_queue *queue = snpu_queue_create(file->snpu, vm, args);
	int err = 0;

	if (IS_ERR(queue))
		return PTR_ERR(queue);
	if (queue->doorbell)
		err = drm_gem_handle_create(drm_file, &queue->doorbell->base, &args->doorbell);
	if (err) {
		snpu_queue_destroy(queue);
		return err;
	}
	err = xa_alloc(&file->queues, &args->queue_id, queue, xa_limit_31b, GFP_KERNEL);
	if (err) {
		if (queue->doorbell)
			drm_gem_handle_delete(drm_file, args->doorbell);
		snpu_queue_destroy(queue);
	}
	return err;
}

static int snpu_queue_create_check(struct snpu_device *snpu,
				   const struct drm_snpu_queue_create *args)
{
	u32 limit_ms = READ_ONCE(snpu->watchdog.limit_ms);

	if (args->flags & ~DRM_SNPU_QUEUE_USER || args->pad || args->doorbell ||
	    args->priority > DRM_SNPU_PRIORITY_REALTIME)
		return -EINVAL;
	if (args->hang_ms && args->hang_ms < SNPU_WATCHDOG_LEAST_MS)
		return -EINVAL;
	if ((args->priority > DRM_SNPU_PRIORITY_NORMAL || args->hang_ms > limit_ms) &&
	    !capable(CAP_SYS_NICE))
		return -EACCES;
	return snpu_fw_error(snpu) ?: snpu_uqueue_check(snpu, args);
}

static int snpu_ioctl_queue_create(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_snpu_queue_create *args = data;
	struct snpu_vm *vm;
	int idx, err;

	err = snpu_queue_create_check(to_snpu(drm), args);
	if (err)
		return err;
	vm = snpu_file_vm(to_snpu_file(file), args->vm_id);
	if (!vm)
		return -ENOENT;
	if (snpu_device_enter(to_snpu(drm), &idx)) {
		err = snpu_queue_create_in(file, vm, args);
		snpu_device_exit(to_snpu(drm), idx);
	} else {
		err = -ENODEV;
	}
	snpu_vm_put(vm);
	return err;
}

/* Ends a queue whose number was taken away. */
static void snpu_file_end_queue(struct snpu_file *file, struct snpu_queue *queue)
{
	snpu_queue_get(queue);
	snpu_queue_destroy(queue);
	spin_lock_irq(&queue->lock);
	atomic64_add(queue->busy_ns, &file->busy_ns);
	atomic64_add(queue->cycles, &file->cycles);
	spin_unlock_irq(&queue->lock);
	snpu_queue_put(queue);
}

static int snpu_ioctl_queue_destroy(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_snpu_queue_destroy *args = data;
	struct snpu_queue *queue;

	if (args->pad)
		return -EINVAL;
	queue = xa_erase(&to_snpu_file(file)->queues, args->queue_id);
	if (!queue)
		return -ENOENT;
	snpu_file_end_queue(to_snpu_file(file), queue);
	return 0;
}

static int snpu_ioctl_queue_state(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_snpu_queue_state *args = data;
	struct snpu_queue *queue;

	if (args->pad)
		return -EINVAL;
	queue = snpu_file_queue(to_snpu_file(file), args->queue_id);
	if (!queue)
		return -ENOENT;
	snpu_queue_state(queue, args);
	snpu_queue_put(queue);
	return 0;
}

/* --- files ------------------------------------------------------------------------------------ */

static int snpu_drv_open(struct drm_device *drm, struct drm_file *file)
{
	struct snpu_file *priv = kzalloc_obj(*priv);

	if (!priv)
		return -ENOMEM;
	priv->snpu = to_snpu(drm);
	priv->user = snpu_user_open(priv->snpu);
	if (IS_ERR(priv->user)) {
		int err = PTR_ERR(priv->user);

		kfree(priv);
		return err;
	}
	xa_init_flags(&priv->vms, XA_FLAGS_ALLOC1);
	xa_init_flags(&priv->queues, XA_FLAGS_ALLOC1);
	file->driver_priv = priv;
	return 0;
}

static void snpu_drv_postclose(struct drm_device *drm, struct drm_file *file)
{
	struct snpu_file *priv = to_snpu_file(file);
	struct snpu_queue *queue;
	struct snpu_vm *vm;
	unsigned long id;

	xa_for_each(&priv->queues, id, queue)
		snpu_file_end_queue(priv, queue);
	xa_destroy(&priv->queues);
	xa_for_each(&priv->vms, id, vm)
		snpu_vm_put(vm);
	xa_destroy(&priv->vms);
	snpu_user_put(priv->user);
	kfree(priv);
}

/*
 * DRM refuses every ioctl once the card is gone, but how a queue ended is what its user wants to
 * know just then; the answer needs no card.
 */
static long snpu_drv_state_unplugged(struct file *filp, unsigned long arg)
{
	struct drm_file *file = filp->private_data;
	struct drm_snpu_queue_state args;
	int err;

	if (copy_from_user(&args, (void __user *)arg, sizeof(args)))
		return -EFAULT;
	err = snpu_ioctl_queue_state(file->minor->dev, &args, file);
	if (!err && copy_to_user((void __user *)arg, &args, sizeof(args)))
		err = -EFAULT;
	return err;
}

static bool snpu_drv_unplugged(struct file *filp)
{
	struct drm_file *file = filp->private_data;

	return drm_dev_is_unplugged(file->minor->dev);
}

/* A card that is wedged answers what needs no card, and lets go of what there is. */
static bool snpu_drv_wedged(struct file *filp, unsigned int cmd)
{
	struct drm_file *file = filp->private_data;

	if (!READ_ONCE(to_snpu(file->minor->dev)->reset.broken))
		return false;
	switch (cmd) {
	case DRM_IOCTL_SNPU_DEV_QUERY:
	case DRM_IOCTL_SNPU_BO_MMAP_OFFSET:
	case DRM_IOCTL_SNPU_VM_DESTROY:
	case DRM_IOCTL_SNPU_QUEUE_DESTROY:
	case DRM_IOCTL_SNPU_QUEUE_STATE:
		return false;
	default:
		return DRM_IOCTL_NR(cmd) >= DRM_COMMAND_BASE && DRM_IOCTL_NR(cmd) < DRM_COMMAND_END;
	}
}

static long snpu_drv_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	if (snpu_drv_wedged(filp, cmd))
		return -EIO;
	if (cmd == DRM_IOCTL_SNPU_QUEUE_STATE && snpu_drv_unplugged(filp))
		return snpu_drv_state_unplugged(filp, arg);
	return drm_ioctl(filp, cmd, arg);
}

#ifdef CONFIG_COMPAT
static long snpu_drv_compat_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	if (snpu_drv_wedged(filp, cmd))
		return -EIO;
	if (cmd == DRM_IOCTL_SNPU_QUEUE_STATE && snpu_drv_unplugged(filp))
		return snpu_drv_state_unplugged(filp, (unsigned long)compat_ptr(arg));
	return drm_compat_ioctl(filp, cmd, arg);
}
#endif

static const struct file_operations snpu_drv_fops = {
	.owner = THIS_MODULE,
	.open = accel_open,
	.release = drm_release,
	.unlocked_ioctl = snpu_drv_ioctl,
#ifdef CONFIG_COMPAT
	.compat_ioctl = snpu_drv_compat_ioctl,
#endif
	.poll = drm_poll,
	.read = drm_read,
	.llseek = noop_llseek,
	.mmap = drm_gem_mmap,
	.show_fdinfo = drm_show_fdinfo,
	.fop_flags = FOP_UNSIGNED_OFFSET,
};

/* No flags: files of accel nodes are never authenticated, and who may open the node may use it. */
#define SNPU_IOCTL(NAME, func)	DRM_IOCTL_DEF_DRV(SNPU_##NAME, snpu_ioctl_##func, 0)

static const struct drm_ioctl_desc snpu_drv_ioctls[] = {
	SNPU_IOCTL(DEV_QUERY, dev_query),
	SNPU_IOCTL(BO_CREATE, bo_create),
	SNPU_IOCTL(BO_MMAP_OFFSET, bo_mmap_offset),
	SNPU_IOCTL(VM_CREATE, vm_create),
	SNPU_IOCTL(VM_DESTROY, vm_destroy),
	SNPU_IOCTL(VM_BIND, vm_bind),
	SNPU_IOCTL(QUEUE_CREATE, queue_create),
	SNPU_IOCTL(QUEUE_DESTROY, queue_destroy),
	SNPU_IOCTL(QUEUE_STATE, queue_state),
	SNPU_IOCTL(SUBMIT, submit),
	SNPU_IOCTL(QUEUE_WAIT, queue_wait),
	SNPU_IOCTL(QUEUE_EVENTFD, queue_eventfd),
	SNPU_IOCTL(BO_USERPTR, bo_userptr),
};

/*
 * Versions of the interface:
 * - 1.0: first
 * - 1.1: user queues, QUEUE_WAIT, QUEUE_EVENTFD; hang_ms of a queue; BO_USERPTR; import of
 *        dma-bufs, export of device memory; limits per user and DRM_SNPU_QUERY_LIMITS; QUEUE_STATE
 *        tells how many resets a queue lived through
 */
const struct drm_driver snpu_drm_driver = {
	.driver_features = DRIVER_COMPUTE_ACCEL | DRIVER_GEM | DRIVER_SYNCOBJ |
			   DRIVER_SYNCOBJ_TIMELINE | SNPU_DRIVER_GEM_GPUVA,
	.name = "snpu",
	.desc = "SNPU spiking-neural accelerator",
	SNPU_DRIVER_DATE
	.major = 1,
	.minor = 1,
	.fops = &snpu_drv_fops,
	.ioctls = snpu_drv_ioctls,
	.num_ioctls = ARRAY_SIZE(snpu_drv_ioctls),
	.open = snpu_drv_open,
	.postclose = snpu_drv_postclose,
	.gem_create_object = snpu_bo_create_object,
	.gem_prime_import = snpu_prime_import,
	.show_fdinfo = snpu_fdinfo_show,
};

static int __init snpu_module_init(void)
{
	int err;

	snpu_wq = alloc_workqueue("snpu", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!snpu_wq)
		return -ENOMEM;
	snpu_fw_sig_init();
	err = pci_register_driver(&snpu_pci_driver);
	if (err) {
		snpu_fw_sig_exit();
		destroy_workqueue(snpu_wq);
	}
	return err;
}

static void __exit snpu_module_exit(void)
{
	pci_unregister_driver(&snpu_pci_driver);
	snpu_pmu_exit();
	snpu_fw_module_exit();
	snpu_fw_sig_exit();
	destroy_workqueue(snpu_wq);
	rcu_barrier();	/* the last fences' callbacks return into this module */
}

module_init(snpu_module_init);
module_exit(snpu_module_exit);

MODULE_DESCRIPTION("DRM accel driver for SNPU spiking-neural accelerator cards");
MODULE_AUTHOR("The snpu project");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
