/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Address spaces.
 */
#ifndef SNPU_VM_H
#define SNPU_VM_H

#include <drm/drm_gpuvm.h>
#include <drm/snpu_accel.h>

#include "snpu_mmu.h"

struct snpu_bo;
struct snpu_device;
struct snpu_user;

/**
 * struct snpu_vm - An address space.
 */
struct snpu_vm {
	/** @base: Tree of mappings. Its count is the address space's: bindings hold it, too. */
	struct drm_gpuvm base;
	/** @refs: Its number in a file, and queues. The last one unmaps everything. */
	struct kref refs;
	/** @snpu: Card. */
	struct snpu_device *snpu;
	/** @user: Whom it and its queues count for. */
	struct snpu_user *user;
	/** @link: In &snpu_objects.vms, under its lock. */
	struct list_head link;
	/** @lock: Protects the tree in @base, and goes around changes of @mmu that belong to it. */
	struct mutex lock;
	/** @mmu: Page tables. */
	struct snpu_mmu mmu;
};

struct snpu_vm *snpu_vm_create(struct snpu_device *snpu, struct snpu_user *user);
struct snpu_vm *snpu_vm_get(struct snpu_vm *vm);
void snpu_vm_put(struct snpu_vm *vm);
int snpu_vm_bind_op(struct snpu_vm *vm, struct drm_file *file,
		    const struct drm_snpu_vm_bind_op *op);
void snpu_vm_cut_bo(struct snpu_bo *bo);
void snpu_vm_count_leaves(struct snpu_device *snpu, u64 leaves[3]);
void snpu_vm_set_live(struct snpu_vm *vm);
u64 snpu_vm_root(const struct snpu_vm *vm);
u32 snpu_vm_asid(const struct snpu_vm *vm);
u32 snpu_vm_walk(struct snpu_vm *vm, u64 va, u64 entries[SNPU_PT_LEVELS]);
bool snpu_vm_peek(struct snpu_vm *vm, u64 va, void *buf, u32 size);
void snpu_vm_unmap_all(struct snpu_device *snpu);

#endif
