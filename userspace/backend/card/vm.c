/* SPDX-License-Identifier: MIT */
/* Address spaces of a card: the driver writes the page tables. */
#include <stdlib.h>

#include "backend/card/card.h"

int card_vm_create(struct snpu_device *dev, struct snpu_vm **out)
{
	struct drm_snpu_vm_create arg = { 0 };
	struct card_vm *vm = calloc(1, sizeof(*vm));
	int err;

	if (!vm)
		return snpu_fail(-ENOMEM, "address space: no memory");
	vm->fd = ((struct card_device *)dev)->fd;
	err = card_ioctl(vm->fd, DRM_IOCTL_SNPU_VM_CREATE, &arg);
	if (err) {
		int fd = vm->fd;

		free(vm);
		return card_fail_vm(fd, err);
	}
	vm->id = arg.vm_id;
	*out = &vm->base;
	return 0;
}

void card_vm_destroy(struct snpu_vm *base)
{
	struct card_vm *vm = (struct card_vm *)base;
	struct drm_snpu_vm_destroy arg = { .vm_id = vm->id };
	int err = card_ioctl(vm->fd, DRM_IOCTL_SNPU_VM_DESTROY, &arg);

	(void)err;		/* only when the card is gone, and then the address space is too */
	free(vm);
}

static int bind(struct snpu_vm *base, struct drm_snpu_vm_bind_op *op)
{
	const struct card_vm *vm = (struct card_vm *)base;
	struct drm_snpu_vm_bind arg = { .vm_id = vm->id, .ops = { .stride = sizeof(*op), .count = 1, .array = (uintptr_t)op } };
	int err = card_ioctl(vm->fd, DRM_IOCTL_SNPU_VM_BIND, &arg);

	return err ? card_fail(err, op->op == DRM_SNPU_VM_BIND_MAP ? "a buffer cannot be bound" : "a range cannot be unbound") : 0;
}

int card_vm_bind(struct snpu_vm *vm, struct snpu_bo *bo, uint64_t offset, uint64_t va, uint64_t size, uint32_t flags)
{
	struct drm_snpu_vm_bind_op op = { .op = DRM_SNPU_VM_BIND_MAP, .handle = ((struct card_bo *)bo)->handle,
					  .bo_offset = offset, .va = va, .size = size };

	if (flags & SNPU_BIND_READ)
		op.flags |= DRM_SNPU_VM_BIND_READ;
	if (flags & SNPU_BIND_WRITE)
		op.flags |= DRM_SNPU_VM_BIND_WRITE;
	return bind(vm, &op);
}

int card_vm_unbind(struct snpu_vm *vm, uint64_t va, uint64_t size)
{
	struct drm_snpu_vm_bind_op op = { .op = DRM_SNPU_VM_BIND_UNMAP, .va = va, .size = size };

	return bind(vm, &op);
}
