/* SPDX-License-Identifier: MIT */
/*
 * Address spaces of the CPU backend. The device level's table of bindings is all there is: execution looks addresses up in it
 * under vm->lock, which a bind takes for writing, so no job ever uses an old translation.
 */
#include <stdlib.h>

#include "backend/cpu/cpu.h"

int cpu_vm_create(struct snpu_device *dev, struct snpu_vm **out)
{
	struct snpu_vm *vm = calloc(1, sizeof(*vm));

	if (!vm)
		return snpu_fail(-ENOMEM, "address space: no memory");
	*out = vm;
	return 0;
}

void cpu_vm_destroy(struct snpu_vm *vm)
{
	free(vm);
}

int cpu_vm_bind(struct snpu_vm *vm, struct snpu_bo *bo, uint64_t offset, uint64_t va, uint64_t size, uint32_t flags)
{
	if (((struct cpu_bo *)bo)->wrapped && (flags & SNPU_BIND_WRITE))
		return snpu_fail(-EACCES, "address space: the buffer is the caller's memory, which can be bound for reading only");
	return 0;
}

int cpu_vm_unbind(struct snpu_vm *vm, uint64_t va, uint64_t size)
{
	return 0;
}
