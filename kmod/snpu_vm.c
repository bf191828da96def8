// SPDX-License-Identifier: GPL-2.0-only
/*
 * Address spaces and VM_BIND. The tree of mappings is DRM's GPUVA manager; this file turns its
 * steps into page-table changes. Everything is synchronous: an operation locks the address space,
 * then the reservations of all buffers it touches, prepares (which is all that can fail), changes,
 * and invalidates. The reservation locks hold the buffers until the card can no longer reach them.
 *
 * Jobs need no list of buffers: what is bound stays allocated, and what is unbound cannot be
 * reached. An imported buffer that its exporter takes away stays bound, but leads nowhere.
 */
#include <drm/drm_drv.h>
#include <drm/drm_exec.h>
#include <drm/drm_print.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "snpu_device.h"
#include "snpu_gem.h"
#include "snpu_trace.h"
#include "snpu_user.h"
#include "snpu_vm.h"

/* Driver bits of &drm_gpuva.flags: what programs may do. */
#define SNPU_VA_READ	(DRM_GPUVA_USERBITS << 0)
#define SNPU_VA_WRITE	(DRM_GPUVA_USERBITS << 1)

/**
 * struct snpu_vm_change - One operation under way; everything it may need to allocate.
 */
struct snpu_vm_change {
	/** @vm: Where. */
	struct snpu_vm *vm;
	/** @va: First address. */
	u64 va;
	/** @size: Bytes. */
	u64 size;
	/** @bo: What to map; NULL: unmap. */
	struct snpu_bo *bo;
	/** @offset: Of the mapping in @bo. */
	u64 offset;
	/** @va_flags: SNPU_VA_* of the mapping. */
	u32 va_flags;
	/** @vm_bo: What connects @bo with @vm. */
	struct drm_gpuvm_bo *vm_bo;
	/** @spare: The new mapping, and the two halves of one that is cut. */
	struct drm_gpuva *spare[3];
	/** @dead: Mappings that were removed, see snpu_vm_bury(). */
	struct list_head dead;
};

static struct snpu_vm *to_snpu_vm(struct drm_gpuvm *gpuvm)
{
	return container_of(gpuvm, struct snpu_vm, base);
}

/* --- steps of the GPUVA manager, under vm->lock and the reservations -------------------------- */

/*
 * A removed mapping may be the last to hold its buffer, which must not be freed under the locks
 * that are held here. So both are kept on a list until these are released.
 */
static void snpu_vm_bury(struct list_head *dead, struct drm_gpuva *va)
{
	drm_gem_object_get(va->gem.obj);
	drm_gpuva_unlink(va);
	list_add(&va->gem.entry, dead);
}

static void snpu_vm_free_dead(struct list_head *dead)
{
	struct drm_gpuva *va, *next;

	list_for_each_entry_safe(va, next, dead, gem.entry) {
		drm_gem_object_put(va->gem.obj);
		kfree(va);
	}
}

static struct drm_gpuva *snpu_vm_change_take(struct snpu_vm_change *change)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(change->spare); i++) {
		struct drm_gpuva *va = change->spare[i];

		if (va) {
			change->spare[i] = NULL;
			return va;
		}
	}
	return NULL;
}

static u64 snpu_vm_prot(u32 va_flags)
{
	return (va_flags & SNPU_VA_READ ? SNPU_PTE_READ : 0) |
	       (va_flags & SNPU_VA_WRITE ? SNPU_PTE_WRITE : 0);
}

static int snpu_vm_step_map(struct drm_gpuva_op *op, void *priv)
{
	struct snpu_vm_change *change = priv;
	struct drm_gpuva *va = snpu_vm_change_take(change);

	if (WARN_ON_ONCE(!va))
		return -ENOMEM;
	drm_gpuva_map(&change->vm->base, va, &op->map);
	va->flags = change->va_flags;
	drm_gpuva_link(va, change->vm_bo);
	snpu_mmu_map(&change->vm->mmu, change->va, change->size, change->bo, change->offset,
		     snpu_vm_prot(change->va_flags));
	return 0;
}

static int snpu_vm_step_remap(struct drm_gpuva_op *op, void *priv)
{
	struct snpu_vm_change *change = priv;
	struct drm_gpuva *old = op->remap.unmap->va, *prev = NULL, *next = NULL;
	u32 flags = old->flags;
	u64 start, range;

	if (op->remap.prev)
		prev = snpu_vm_change_take(change);
	if (op->remap.next)
		next = snpu_vm_change_take(change);
	if (WARN_ON_ONCE((op->remap.prev && !prev) || (op->remap.next && !next)))
		return -ENOMEM;

	start = op->remap.prev ? op->remap.prev->va.addr + op->remap.prev->va.range : old->va.addr;
	range = (op->remap.next ? op->remap.next->va.addr : old->va.addr + old->va.range) - start;
	snpu_mmu_unmap(&change->vm->mmu, start, range);

	drm_gpuva_remap(prev, next, &op->remap);
	if (prev) {
		prev->flags = flags;
		drm_gpuva_link(prev, old->vm_bo);
	}
	if (next) {
		next->flags = flags;
		drm_gpuva_link(next, old->vm_bo);
	}
	snpu_vm_bury(&change->dead, old);
	return 0;
}

static int snpu_vm_step_unmap(struct drm_gpuva_op *op, void *priv)
{
	struct snpu_vm_change *change = priv;
	struct drm_gpuva *va = op->unmap.va;

	snpu_mmu_unmap(&change->vm->mmu, va->va.addr, va->va.range);
	drm_gpuva_unmap(&op->unmap);
	snpu_vm_bury(&change->dead, va);
	return 0;
}

static void snpu_vm_free(struct drm_gpuvm *gpuvm)
{
	struct snpu_vm *vm = to_snpu_vm(gpuvm);

	atomic_dec(&vm->snpu->objects.n_vms);
	mutex_destroy(&vm->mmu.lock);
	mutex_destroy(&vm->lock);
	kfree(vm);
}

static const struct drm_gpuvm_ops snpu_vm_ops = {
	.vm_free = snpu_vm_free,
	.sm_step_map = snpu_vm_step_map,
	.sm_step_remap = snpu_vm_step_remap,
	.sm_step_unmap = snpu_vm_step_unmap,
};

/* --- one operation ---------------------------------------------------------------------------- */

static int snpu_vm_change_alloc(struct snpu_vm_change *change)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(change->spare); i++) {
		change->spare[i] = kzalloc(sizeof(*change->spare[i]), GFP_KERNEL_ACCOUNT);
		if (!change->spare[i])
			return -ENOMEM;
	}
	return 0;
}

static void snpu_vm_change_free(struct snpu_vm_change *change)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(change->spare); i++)
		kfree(change->spare[i]);
}

/* Locks the reservations of the new buffer and of those that are mapped in the range. */
static int snpu_vm_change_lock(struct snpu_vm_change *change, struct drm_exec *exec)
{
	int err;

	drm_exec_init(exec, DRM_EXEC_INTERRUPTIBLE_WAIT | DRM_EXEC_IGNORE_DUPLICATES, 0);
	drm_exec_until_all_locked(exec) {
		err = 0;
		if (change->bo) {
			err = drm_exec_lock_obj(exec, &change->bo->base.base);
			drm_exec_retry_on_contention(exec);
		}
		if (!err)
			err = drm_gpuvm_prepare_range(&change->vm->base, exec, change->va,
						      change->size, 0);
		drm_exec_retry_on_contention(exec);
		if (err)
			break;
	}
	return err;
}

static int snpu_vm_change_map(struct snpu_vm_change *change)
{
	struct snpu_vm *vm = change->vm;
	const struct drm_gpuvm_map_req req = {
		.map.va.addr = change->va,
		.map.va.range = change->size,
		.map.gem.obj = &change->bo->base.base,
		.map.gem.offset = change->offset,
	};
	int err;

	/* Under the reservation: the exporter may have taken the memory away. */
	if (!change->bo->extents)
		return -ENODEV;
	err = snpu_mmu_prepare_map(&vm->mmu, change->va, change->size, change->bo, change->offset);
	if (!err) {
		change->vm_bo = drm_gpuvm_bo_obtain_locked(&vm->base, &change->bo->base.base);
		err = PTR_ERR_OR_ZERO(change->vm_bo);
	}
	if (err) {
		vm->mmu.stale = true;	/* so that the tables that were made are pruned */
		return err;
	}
	err = drm_gpuvm_sm_map(&vm->base, change, &req);
	drm_gpuvm_bo_put(change->vm_bo);
	return err;
}

static int snpu_vm_change_unmap(struct snpu_vm_change *change)
{
	struct snpu_vm *vm = change->vm;
	int err;

	err = snpu_mmu_prepare_unmap(&vm->mmu, change->va, change->size);
	if (err)
		return err;
	return drm_gpuvm_sm_unmap(&vm->base, change, change->va, change->size);
}

static int snpu_vm_change_do(struct snpu_vm_change *change)
{
	struct snpu_vm *vm = change->vm;
	struct drm_exec exec;
	int err;

	INIT_LIST_HEAD(&change->dead);
	err = snpu_vm_change_alloc(change);
	if (err)
		goto out_free;
	err = mutex_lock_interruptible(&vm->lock);
	if (err)
		goto out_free;
	err = snpu_vm_change_lock(change, &exec);
	if (!err) {
		mutex_lock(&vm->mmu.lock);
		err = change->bo ? snpu_vm_change_map(change) : snpu_vm_change_unmap(change);
		snpu_mmu_finish(&vm->mmu, change->va, change->size);
		mutex_unlock(&vm->mmu.lock);
	}
	drm_exec_fini(&exec);
	mutex_unlock(&vm->lock);
	snpu_vm_free_dead(&change->dead);
out_free:
	snpu_vm_change_free(change);
	return err;
}

/* --- VM_BIND ---------------------------------------------------------------------------------- */

static bool __must_check snpu_range_ok(u64 start, u64 size, u64 end)
{
	return start <= end && size <= end - start;
}

static int snpu_vm_bind_check(const struct drm_snpu_vm_bind_op *op)
{
	const u32 prot = DRM_SNPU_VM_BIND_READ | DRM_SNPU_VM_BIND_WRITE;

	if (op->pad || !op->size || !IS_ALIGNED(op->va | op->size | op->bo_offset, SZ_4K))
		return -EINVAL;
	if (op->va < SNPU_VA_START || !snpu_range_ok(op->va, op->size, SNPU_VA_END))
		return -EINVAL;
	switch (op->op) {
	case DRM_SNPU_VM_BIND_MAP:
		return op->flags && !(op->flags & ~prot) ? 0 : -EINVAL;
	case DRM_SNPU_VM_BIND_UNMAP:
		return op->flags || op->handle || op->bo_offset ? -EINVAL : 0;
	default:
		return -EINVAL;
	}
}

static int snpu_vm_bind_map(struct snpu_vm *vm, struct drm_file *file,
			    const struct drm_snpu_vm_bind_op *op)
{
	struct snpu_vm_change change = {
		.vm = vm,
		.va = op->va,
		.size = op->size,
		.offset = op->bo_offset,
		.va_flags = (op->flags & DRM_SNPU_VM_BIND_READ ? SNPU_VA_READ : 0) |
			    (op->flags & DRM_SNPU_VM_BIND_WRITE ? SNPU_VA_WRITE : 0),
	};
	int err = -EINVAL;

	change.bo = snpu_bo_lookup(file, op->handle);
	if (!change.bo)
		return -ENOENT;
	if (change.bo->read_only && op->flags & DRM_SNPU_VM_BIND_WRITE)
		err = -EACCES;
	else if (snpu_range_ok(op->bo_offset, op->size, change.bo->base.base.size))
		err = snpu_bo_make_reachable(change.bo);
	if (!err)
		err = snpu_vm_change_do(&change);
	drm_gem_object_put(&change.bo->base.base);
	return err;
}

/* The caller is inside drm_dev_enter(). */
int snpu_vm_bind_op(struct snpu_vm *vm, struct drm_file *file, const struct drm_snpu_vm_bind_op *op)
{
	struct snpu_vm_change change = { .vm = vm, .va = op->va, .size = op->size };
	u64 start_ns = ktime_get_ns();
	int err = snpu_vm_bind_check(op);

	if (!err && op->op == DRM_SNPU_VM_BIND_MAP)
		err = snpu_vm_bind_map(vm, file, op);
	else if (!err)
		err = snpu_vm_change_do(&change);
	trace_snpu_vm_bind(vm->snpu, snpu_vm_asid(vm), op, ktime_get_ns() - start_ns, err);
	return err;
}

/*
 * The exporter of a buffer takes its memory away, and holds its reservation. What is mapped are
 * whole pages of the tables, so nothing here can fail.
 */
void snpu_vm_cut_bo(struct snpu_bo *bo)
{
	struct drm_gpuvm_bo *vm_bo;
	struct drm_gpuva *va;

	dma_resv_assert_held(bo->base.base.resv);

	drm_gem_for_each_gpuvm_bo(vm_bo, &bo->base.base) {
		struct snpu_mmu *mmu = &to_snpu_vm(vm_bo->vm)->mmu;

		drm_gpuvm_bo_for_each_va(va, vm_bo) {
			mutex_lock(&mmu->lock);
			snpu_mmu_unmap(mmu, va->va.addr, va->va.range);
			snpu_mmu_finish(mmu, va->va.addr, va->va.range);
			mutex_unlock(&mmu->lock);
		}
	}
}

/* --- life ------------------------------------------------------------------------------------- */

/* The caller is inside drm_dev_enter(). -EDQUOT: @user has no more address spaces to get. */
struct snpu_vm *snpu_vm_create(struct snpu_device *snpu, struct snpu_user *user)
{
	struct drm_gem_object *resv_obj;
	struct snpu_vm *vm;
	int err;

	vm = kzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);
	if (!vm)
		return ERR_PTR(-ENOMEM);
	err = snpu_user_charge(user, SNPU_ITEM_VM);
	if (err)
		goto err_free;
	resv_obj = drm_gpuvm_resv_object_alloc(&snpu->drm);
	if (!resv_obj) {
		err = -ENOMEM;
		goto err_uncharge;
	}
	err = snpu_mmu_init(&vm->mmu, snpu);
	if (err)
		goto err_put_resv;

	kref_init(&vm->refs);
	mutex_init(&vm->lock);
	vm->snpu = snpu;
	vm->user = snpu_user_get(user);
	drm_gpuvm_init(&vm->base, "snpu-vm", 0, &snpu->drm, resv_obj, SNPU_VA_START,
		       SNPU_VA_END - SNPU_VA_START, 0, 0, &snpu_vm_ops);
	drm_gem_object_put(resv_obj);
	atomic_inc(&snpu->objects.n_vms);
	mutex_lock(&snpu->objects.lock);
	list_add_tail(&vm->link, &snpu->objects.vms);
	mutex_unlock(&snpu->objects.lock);
	return vm;

err_put_resv:
	drm_gem_object_put(resv_obj);
err_uncharge:
	snpu_user_uncharge(user, SNPU_ITEM_VM);
err_free:
	kfree(vm);
	return ERR_PTR(err);
}

struct snpu_vm *snpu_vm_get(struct snpu_vm *vm)
{
	kref_get(&vm->refs);
	return vm;
}

/*
 * No allocation and no failure here: one mapping after the other, with its buffer's reservation
 * alone.
 */
static void snpu_vm_unbind_all(struct snpu_vm *vm)
{
	struct drm_gpuva *va, *next;
	LIST_HEAD(dead);

	mutex_lock(&vm->lock);
	drm_gpuvm_for_each_va_safe(va, next, &vm->base) {
		struct drm_gem_object *obj = va->gem.obj;

		dma_resv_lock(obj->resv, NULL);
		drm_gpuva_remove(va);
		snpu_vm_bury(&dead, va);
		dma_resv_unlock(obj->resv);
	}
	mutex_unlock(&vm->lock);
	snpu_vm_free_dead(&dead);
}

/*
 * No queue uses the address space any more, so the card holds no translation that matters; what it
 * cached is dropped before the number is used again, and before the buffers are freed.
 */
static void snpu_vm_release(struct kref *refs)
{
	struct snpu_vm *vm = container_of(refs, struct snpu_vm, refs);
	struct snpu_device *snpu = vm->snpu;

	/*
	 * Either the tables are freed here, or remove() finds them in the list: before the device
	 * is unbound.
	 */
	mutex_lock(&snpu->objects.lock);
	list_del(&vm->link);
	mutex_lock(&vm->mmu.lock);
	vm->mmu.stale = true;
	snpu_mmu_finish(&vm->mmu, 0, 0);
	snpu_mmu_fini(&vm->mmu);
	mutex_unlock(&vm->mmu.lock);
	mutex_unlock(&snpu->objects.lock);

	snpu_user_uncharge(vm->user, SNPU_ITEM_VM);
	snpu_user_put(vm->user);
	snpu_vm_unbind_all(vm);
	drm_gpuvm_put(&vm->base);
}

void snpu_vm_put(struct snpu_vm *vm)
{
	kref_put(&vm->refs, snpu_vm_release);
}

/*
 * For remove(): the card is quiet. What is still bound is forgotten when the address space is
 * released.
 */
void snpu_vm_unmap_all(struct snpu_device *snpu)
{
	struct snpu_vm *vm;

	mutex_lock(&snpu->objects.lock);
	list_for_each_entry(vm, &snpu->objects.vms, link) {
		mutex_lock(&vm->mmu.lock);
		snpu_mmu_fini(&vm->mmu);
		mutex_unlock(&vm->mmu.lock);
	}
	mutex_unlock(&snpu->objects.lock);
}

/* Of all address spaces of a card; see snpu_mmu_count_leaves(). */
void snpu_vm_count_leaves(struct snpu_device *snpu, u64 leaves[3])
{
	struct snpu_vm *vm;

	mutex_lock(&snpu->objects.lock);
	list_for_each_entry(vm, &snpu->objects.vms, link)
		snpu_mmu_count_leaves(&vm->mmu, leaves);
	mutex_unlock(&snpu->objects.lock);
}

/* A queue is about to use it. */
void snpu_vm_set_live(struct snpu_vm *vm)
{
	mutex_lock(&vm->mmu.lock);
	vm->mmu.live = true;
	mutex_unlock(&vm->mmu.lock);
}

/* For a queue, which keeps the tables; the caller holds off remove(). */
u64 snpu_vm_root(const struct snpu_vm *vm)
{
	return snpu_mmu_root(&vm->mmu);
}

u32 snpu_vm_asid(const struct snpu_vm *vm)
{
	return vm->mmu.asid;
}

/* --- for who looks at a failure --------------------------------------------------------------- */

u32 snpu_vm_walk(struct snpu_vm *vm, u64 va, u64 entries[SNPU_PT_LEVELS])
{
	u32 n;

	mutex_lock(&vm->lock);
	n = snpu_mmu_walk(&vm->mmu, va, entries);
	mutex_unlock(&vm->lock);
	return n;
}

/* Reads what programs would see. False: not all of it is mapped, or in reach of the CPU. */
bool snpu_vm_peek(struct snpu_vm *vm, u64 va, void *buf, u32 size)
{
	bool done = true;

	mutex_lock(&vm->lock);
	while (size && done) {
		u32 n = min_t(u32, size, PAGE_SIZE - va % PAGE_SIZE);
		struct drm_gpuva *map = drm_gpuva_find_first(&vm->base, va, n);

		done = map && map->va.addr <= va && va + n - map->va.addr <= map->va.range &&
		       snpu_bo_peek(to_snpu_bo(map->gem.obj), map->gem.offset + va - map->va.addr,
				    buf, n);
		va += n;
		buf += n;
		size -= n;
	}
	mutex_unlock(&vm->lock);
	return done;
}
