/* SPDX-License-Identifier: MIT */
/*
 * Address spaces of the in-process simulator: page tables in the arena, in the format of hw/snpu_job.h. A change first makes
 * the tables that it needs and splits large pages at its ends, which changes no translation and is all that can fail;
 * then it writes the leaves. Tables are kept until the address space goes. vm->lock is held for writing by the
 * device level; engines read the tables at any time, so entries are stored whole.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/sim/sim.h"

#define LARGE		(2ull << 20)
#define RUN		65536ull
#define SHIFT(level)	(12 + 9 * (level))

static uint64_t *table_at(struct sim_vm *vm, uint64_t off)
{
	return (uint64_t *)(vm->dev->arena.mem + off);
}

static void store(uint64_t *entry, uint64_t value)
{
	__atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

static unsigned int slot(uint64_t va, unsigned int level)
{
	return va >> SHIFT(level) & (SNPU_PT_ENTRIES - 1);
}

/* The entry of va in level `level` (1 or 0), tables made on the way with `make`; NULL: none, or no memory. */
static uint64_t *entry_of(struct sim_vm *vm, uint64_t va, unsigned int level, bool make)
{
	uint64_t *table = table_at(vm, vm->root);

	for (unsigned int l = SNPU_PT_LEVELS - 1; l > level; l--) {
		uint64_t *e = &table[slot(va, l)], off;

		if (!(*e & SNPU_PTE_VALID)) {
			if (!make || arena_alloc(&vm->dev->arena, SNPU_PAGE, &off))
				return NULL;
			store(e, off | SNPU_PTE_DEVICE | SNPU_PTE_VALID);
		}
		if (*e & SNPU_PTE_LEAF)
			return NULL;
		table = table_at(vm, *e & SNPU_PTE_ADDR_MASK);
	}
	return &table[slot(va, level)];
}

/* Turns a 2 MiB leaf into a table of 4 KiB leaves with the same meaning. */
static int split_large(struct sim_vm *vm, uint64_t *e)
{
	uint64_t off, leaf = *e, *table;
	int err = arena_alloc(&vm->dev->arena, SNPU_PAGE, &off);

	if (err)
		return err;
	table = table_at(vm, off);
	for (unsigned int i = 0; i < SNPU_PT_ENTRIES; i++)
		table[i] = leaf + i * SNPU_PAGE;
	store(e, off | SNPU_PTE_DEVICE | SNPU_PTE_VALID);
	return 0;
}

/* If va lies inside a 64 KiB run, its 16 leaves become ordinary ones. */
static void split_run(struct sim_vm *vm, uint64_t va)
{
	uint64_t *e = entry_of(vm, va & ~(RUN - 1), 0, false);

	for (unsigned int i = 0; e && va % RUN && i < RUN / SNPU_PAGE; i++)
		store(&e[i], e[i] & ~SNPU_PTE_64K);
}

/* Makes va a boundary between leaves. */
static int split_at(struct sim_vm *vm, uint64_t va)
{
	uint64_t *e = va % LARGE ? entry_of(vm, va, 1, false) : NULL;
	int err = e && (*e & SNPU_PTE_LEAF) ? split_large(vm, e) : 0;

	if (!err)
		split_run(vm, va);
	return err;
}

/* Bytes of the piece at va that can be handled with one level-1 entry, or less at the ends. */
static uint64_t piece(uint64_t va, uint64_t end)
{
	uint64_t n = LARGE - va % LARGE;

	return n < end - va ? n : end - va;
}

/* Does [va, va + n) take a 2 MiB leaf at pa? Not where a table is already. */
static bool takes_large(const uint64_t *e, uint64_t n, uint64_t pa)
{
	return n == LARGE && pa % LARGE == 0 && (!(*e & SNPU_PTE_VALID) || (*e & SNPU_PTE_LEAF));
}

static int prepare(struct sim_vm *vm, uint64_t va, uint64_t size, uint64_t pa)
{
	uint64_t end = va + size, n;

	for (; va < end; va += n, pa += n) {
		uint64_t *e = entry_of(vm, va, 1, true);

		n = piece(va, end);
		if (!e)
			return -ENOSPC;
		if (takes_large(e, n, pa))
			continue;
		/* A leaf here spans the whole piece: split_at() has cut those that did not. */
		if (*e & SNPU_PTE_LEAF ? split_large(vm, e) != 0 : !entry_of(vm, va, 0, true))
			return -ENOSPC;
	}
	return 0;
}

static void write_leaves(uint64_t *e, uint64_t va, uint64_t n, uint64_t pa, uint64_t bits)
{
	for (uint64_t done = 0; done < n; done += SNPU_PAGE) {
		uint64_t at = (va + done) & (RUN - 1), start = done - at;	/* of the run that this page is in */
		bool run = bits && at <= done && RUN <= n - start && (pa + start) % RUN == 0;

		store(e++, bits ? (pa + done) | bits | (run ? SNPU_PTE_64K : 0) : 0);
	}
}

/* bits 0: unmap. Everything that is needed is there. */
static void write_range(struct sim_vm *vm, uint64_t va, uint64_t size, uint64_t pa, uint64_t bits)
{
	uint64_t end = va + size, n;

	for (; va < end; va += n, pa += n) {
		uint64_t *e = entry_of(vm, va, 1, false);

		n = piece(va, end);
		if (!e)
			continue;		/* unmapping what never was */
		if (bits ? takes_large(e, n, pa) : (*e & SNPU_PTE_LEAF) != 0)
			store(e, bits ? pa | bits : 0);
		else if (*e & SNPU_PTE_VALID)
			write_leaves(entry_of(vm, va, 0, false), va, n, pa, bits);
	}
}

/* Waits until no engine uses an old translation; an engine looks before each access, so this is short. */
static void invalidate(struct sim_vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	for (struct sim_queue *q = vm->queues; q; q = q->next)
		snpu_engine_invalidate(q->engine, vm->asid);
	for (struct sim_queue *q = vm->queues; q; q = q->next)
		while (snpu_engine_invalidating(q->engine))
			usleep(20);
	pthread_mutex_unlock(&vm->lock);
}

static int change(struct sim_vm *vm, uint64_t va, uint64_t size, uint64_t pa, uint64_t bits)
{
	int err = split_at(vm, va);

	if (!err)
		err = split_at(vm, va + size);
	if (!err && bits)
		err = prepare(vm, va, size, pa);
	if (!err)
		write_range(vm, va, size, pa, bits);
	invalidate(vm);
	return err;
}

int sim_vm_bind(struct snpu_vm *base, struct snpu_bo *base_bo, uint64_t offset, uint64_t va, uint64_t size, uint32_t flags)
{
	const struct sim_bo *bo = (struct sim_bo *)base_bo;
	uint64_t bits = SNPU_PTE_VALID | SNPU_PTE_LEAF | (bo->arena ? SNPU_PTE_DEVICE : 0) |
			(flags & SNPU_BIND_READ ? SNPU_PTE_READ : 0) | (flags & SNPU_BIND_WRITE ? SNPU_PTE_WRITE : 0);

	return change((struct sim_vm *)base, va, size, (bo->arena ? bo->off : (uintptr_t)bo->mem) + offset, bits);
}

int sim_vm_unbind(struct snpu_vm *base, uint64_t va, uint64_t size)
{
	return change((struct sim_vm *)base, va, size, 0, 0);
}

/* --- life ---------------------------------------------------------------------------------------------------- */

static int asid_get(struct sim_device *dev, uint32_t *asid)
{
	int err = -ENOSPC;

	pthread_mutex_lock(&dev->lock);
	for (uint32_t i = 0; i < SNPU_ASIDS / 64 && err; i++) {
		if (~dev->asids[i]) {
			uint32_t bit = (uint32_t)__builtin_ctzll(~dev->asids[i]);

			dev->asids[i] |= 1ull << bit;
			*asid = i * 64 + bit;
			err = 0;
		}
	}
	pthread_mutex_unlock(&dev->lock);
	return err ? snpu_fail(err, "address space: all %d of the device are in use; free some", SNPU_ASIDS - 1) : 0;
}

static void asid_put(struct sim_device *dev, uint32_t asid)
{
	pthread_mutex_lock(&dev->lock);
	dev->asids[asid / 64] &= ~(1ull << asid % 64);
	pthread_mutex_unlock(&dev->lock);
}

int sim_vm_create(struct snpu_device *base, struct snpu_vm **out)
{
	struct sim_device *dev = (struct sim_device *)base;
	struct sim_vm *vm = calloc(1, sizeof(*vm));
	int err;

	if (!vm)
		return snpu_fail(-ENOMEM, "address space: no memory");
	vm->dev = dev;
	err = asid_get(dev, &vm->asid);
	if (err)
		goto err_free;
	err = arena_alloc(&dev->arena, SNPU_PAGE, &vm->root);
	if (err)
		goto err_asid;
	pthread_mutex_init(&vm->lock, NULL);
	*out = &vm->base;
	return 0;
err_asid:
	asid_put(dev, vm->asid);
err_free:
	free(vm);
	return err;
}

static void free_table(struct sim_vm *vm, uint64_t off, unsigned int level)
{
	const uint64_t *table = table_at(vm, off);

	for (unsigned int i = 0; level && i < SNPU_PT_ENTRIES; i++)
		if ((table[i] & SNPU_PTE_VALID) && !(table[i] & SNPU_PTE_LEAF))
			free_table(vm, table[i] & SNPU_PTE_ADDR_MASK, level - 1);
	arena_free(&vm->dev->arena, off, SNPU_PAGE);
}

void sim_vm_destroy(struct snpu_vm *base)
{
	struct sim_vm *vm = (struct sim_vm *)base;

	free_table(vm, vm->root, SNPU_PT_LEVELS - 1);
	asid_put(vm->dev, vm->asid);
	pthread_mutex_destroy(&vm->lock);
	free(vm);
}
