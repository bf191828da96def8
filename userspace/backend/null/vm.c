/* SPDX-License-Identifier: MIT */
/*
 * Address spaces of the template backend. The device level keeps the table of bindings, so there is nothing to do here;
 * a backend with an MMU of its own writes its page tables in these slots.
 */
#include <stdlib.h>

#include "backend/null/null.h"

int null_vm_create(struct snpu_device *dev, struct snpu_vm **out)
{
	struct snpu_vm *vm = calloc(1, sizeof(*vm));

	if (!vm)
		return snpu_fail(-ENOMEM, "address space: no memory");
	*out = vm;
	return 0;
}

void null_vm_destroy(struct snpu_vm *vm)
{
	free(vm);
}

int null_vm_bind(struct snpu_vm *vm, struct snpu_bo *bo, uint64_t offset, uint64_t va, uint64_t size, uint32_t flags)
{
	return 0;
}

int null_vm_unbind(struct snpu_vm *vm, uint64_t va, uint64_t size)
{
	return 0;
}
