/* SPDX-License-Identifier: MIT */
/*
 * Address spaces: the table of what is bound where, kept here for all backends. It holds the references on buffers, lets the
 * CPU backend translate addresses, and finds the program of a fault. Any thread; vm->lock guards the table.
 */
#include <stdlib.h>
#include <string.h>

#include "device/object.h"

void snpu_vm_get(struct snpu_vm *vm)
{
	atomic_fetch_add_explicit(&vm->refs, 1, memory_order_relaxed);
}

void snpu_vm_put(struct snpu_vm *vm)
{
	struct snpu_binding *bindings;
	struct snpu_device *dev;
	size_t n;

	if (atomic_fetch_sub_explicit(&vm->refs, 1, memory_order_acq_rel) != 1)
		return;
	dev = vm->dev;
	bindings = vm->bindings;
	n = vm->n_bindings;
	pthread_rwlock_destroy(&vm->lock);
	dev->ops->vm_destroy(vm);		/* the backend may still look at buffers here */
	for (size_t i = 0; i < n; i++)
		snpu_bo_put(bindings[i].bo);
	free(bindings);
	snpu_device_put(dev);
}

int snpu_vm_create(struct snpu_device *device, struct snpu_vm **out)
{
	pthread_rwlockattr_t attr;
	struct snpu_vm *vm;
	int err;

	if (!device || !out)
		return snpu_fail(-EINVAL, "address space: the device or the result pointer is NULL");
	err = device->ops->vm_create(device, &vm);
	if (err)
		return err;
	vm->dev = device;
	atomic_init(&vm->refs, 1);
	atomic_init(&vm->writers, 0);
	vm->generation = 1;
	vm->bindings = NULL;
	vm->n_bindings = vm->cap_bindings = 0;
	/* A thread that runs jobs takes the lock for reading again and again; a bind must get its turn. */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&vm->lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	snpu_device_get(device);
	*out = vm;
	return 0;
}

void snpu_vm_free(struct snpu_vm *vm)
{
	if (vm)
		snpu_vm_put(vm);
}

/* First binding that ends above va. */
static size_t lower_bound(const struct snpu_vm *vm, uint64_t va)
{
	size_t lo = 0, hi = vm->n_bindings;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (vm->bindings[mid].va + vm->bindings[mid].size <= va)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct snpu_binding *snpu_vm_find(const struct snpu_vm *vm, uint64_t va)
{
	size_t i = lower_bound(vm, va);

	return i < vm->n_bindings && vm->bindings[i].va <= va ? &vm->bindings[i] : NULL;
}

/* Room for two more entries: a split makes one, a bind another. */
static int reserve(struct snpu_vm *vm)
{
	size_t cap = vm->cap_bindings ? vm->cap_bindings * 2 : 16;
	struct snpu_binding *b;

	if (vm->n_bindings + 2 <= vm->cap_bindings)
		return 0;
	b = reallocarray(vm->bindings, cap, sizeof(*b));
	if (!b)
		return snpu_fail(-ENOMEM, "address space: no memory for %zu bindings", cap);
	vm->bindings = b;
	vm->cap_bindings = cap;
	return 0;
}

static void insert(struct snpu_vm *vm, size_t at, struct snpu_binding b)
{
	memmove(&vm->bindings[at + 1], &vm->bindings[at], (vm->n_bindings - at) * sizeof(b));
	vm->bindings[at] = b;
	vm->n_bindings++;
}

/* Takes [va, va + size) out of the table; cannot fail after reserve(). */
static void cut(struct snpu_vm *vm, uint64_t va, uint64_t size)
{
	uint64_t end = va + size;
	size_t i = lower_bound(vm, va);

	while (i < vm->n_bindings && vm->bindings[i].va < end) {
		struct snpu_binding *b = &vm->bindings[i];
		uint64_t b_end = b->va + b->size;

		if (b->va < va && b_end > end) {	/* a hole in the middle: two pieces remain */
			struct snpu_binding rest = { end, b_end - end, b->bo, b->offset + (end - b->va), b->flags };

			b->size = va - b->va;
			snpu_bo_get(rest.bo);
			insert(vm, i + 1, rest);
			return;
		}
		if (b->va < va) {
			b->size = va - b->va;
			i++;
		} else if (b_end > end) {
			b->offset += end - b->va;
			b->size = b_end - end;
			b->va = end;
			i++;
		} else {
			snpu_bo_put(b->bo);
			vm->n_bindings--;
			memmove(b, b + 1, (vm->n_bindings - i) * sizeof(*b));
		}
	}
}

static int check_range(const struct snpu_vm *vm, uint64_t va, uint64_t size)
{
	const struct snpu_device_info *info = &vm->dev->info;

	if (!size || va % SNPU_PAGE || size % SNPU_PAGE)
		return snpu_fail(-EINVAL, "address space: va %#llx and size %#llx must be multiples of 4096, and size not 0",
				 (unsigned long long)va, (unsigned long long)size);
	if (va < info->va_start || !snpu_range_ok(va, size, info->va_end))
		return snpu_fail(-EINVAL, "address space: [%#llx, + %#llx) is outside [%#llx, %#llx), which the device offers",
				 (unsigned long long)va, (unsigned long long)size, (unsigned long long)info->va_start,
				 (unsigned long long)info->va_end);
	return 0;
}

/* Both halves of a change happen under the lock, so that the table and the device never disagree for others. */
static int change(struct snpu_vm *vm, const struct snpu_binding *map, uint64_t va, uint64_t size)
{
	const struct snpu_backend_ops *ops = vm->dev->ops;
	int err;

	atomic_fetch_add(&vm->writers, 1);
	pthread_rwlock_wrlock(&vm->lock);
	atomic_fetch_sub(&vm->writers, 1);
	err = reserve(vm);
	if (!err)
		err = map ? ops->vm_bind(vm, map->bo, map->offset, va, size, map->flags) : ops->vm_unbind(vm, va, size);
	if (!err) {
		if (map)
			snpu_bo_get(map->bo);
		cut(vm, va, size);
		if (map)
			insert(vm, lower_bound(vm, va), *map);
		vm->generation++;
	}
	pthread_rwlock_unlock(&vm->lock);
	return err;
}

int snpu_vm_bind(struct snpu_vm *vm, struct snpu_bo *bo, uint64_t offset, uint64_t va, uint64_t size, uint32_t flags)
{
	struct snpu_binding map = { va, size, bo, offset, flags };
	int err;

	if (!vm || !bo)
		return snpu_fail(-EINVAL, "address space: a handle is NULL");
	if (bo->dev != vm->dev)
		return snpu_fail(-EINVAL, "address space: the buffer belongs to another device; create it on the address space's");
	if (!flags || (flags & ~(SNPU_BIND_READ | SNPU_BIND_WRITE)))
		return snpu_fail(-EINVAL, "address space: flags %#x; use SNPU_BIND_READ, SNPU_BIND_WRITE or both", flags);
	err = check_range(vm, va, size);
	if (err)
		return err;
	if (offset % SNPU_PAGE || !snpu_range_ok(offset, size, bo->size))
		return snpu_fail(-EINVAL, "address space: bytes [%#llx, + %#llx) are not whole pages of a buffer of %#llx bytes",
				 (unsigned long long)offset, (unsigned long long)size, (unsigned long long)bo->size);
	return change(vm, &map, va, size);
}

int snpu_vm_unbind(struct snpu_vm *vm, uint64_t va, uint64_t size)
{
	int err;

	if (!vm)
		return snpu_fail(-EINVAL, "address space: the handle is NULL");
	err = check_range(vm, va, size);
	return err ? err : change(vm, NULL, va, size);
}
