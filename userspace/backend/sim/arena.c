/* SPDX-License-Identifier: MIT */
/*
 * Device memory of the in-process simulator: one reservation, of which the system gives pages as they are touched; first
 * fit over a sorted list of free ranges. Any thread.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "backend/sim/sim.h"

int arena_init(struct arena *a, uint64_t size)
{
	memset(a, 0, sizeof(*a));
	a->cap = 64;
	a->range = calloc(a->cap, sizeof(*a->range));
	a->mem = soft_mem_alloc(size);
	if (!a->range || !a->mem) {
		free(a->range);
		if (a->mem)
			soft_mem_free(a->mem, size);
		return snpu_fail(-ENOMEM, "device sim: no room for %llu bytes of device memory; ask for less (sim_memory)",
				 (unsigned long long)size);
	}
	/* Large pages would turn each small buffer into 2 MiB. */
	madvise(a->mem, size, MADV_NOHUGEPAGE);
	a->size = size;
	a->range[a->n++] = (struct arena_range){ 0, size };
	pthread_mutex_init(&a->lock, NULL);
	return 0;
}

void arena_fini(struct arena *a)
{
	pthread_mutex_destroy(&a->lock);
	soft_mem_free(a->mem, a->size);
	free(a->range);
}

/* Room for one more range than there is: an allocation or a free makes at most one. */
static int reserve(struct arena *a)
{
	struct arena_range *r;

	if (a->n < a->cap)
		return 0;
	r = reallocarray(a->range, a->cap * 2, sizeof(*r));
	if (!r)
		return -ENOMEM;
	a->range = r;
	a->cap *= 2;
	return 0;
}

static void insert(struct arena *a, size_t at, uint64_t off, uint64_t size)
{
	memmove(&a->range[at + 1], &a->range[at], (a->n - at) * sizeof(*a->range));
	a->range[at] = (struct arena_range){ off, size };
	a->n++;
}

static void remove_at(struct arena *a, size_t at)
{
	a->n--;
	memmove(&a->range[at], &a->range[at + 1], (a->n - at) * sizeof(*a->range));
}

static bool take(struct arena *a, uint64_t size, uint64_t align, uint64_t *off)
{
	for (size_t i = 0; i < a->n; i++) {
		struct arena_range r = a->range[i];
		uint64_t start = (r.off + align - 1) & ~(align - 1), skip = start - r.off;

		if (skip > r.size || size > r.size - skip)
			continue;
		a->range[i].size = skip;
		if (r.size - skip - size)
			insert(a, i + 1, start + size, r.size - skip - size);
		if (!skip)
			remove_at(a, i);
		*off = start;
		return true;
	}
	return false;
}

int arena_alloc(struct arena *a, uint64_t size, uint64_t *off)
{
	uint64_t align = size >= 2u << 20 ? 2u << 20 : size >= 65536 ? 65536 : SNPU_PAGE;
	uint64_t used;
	int err;

	pthread_mutex_lock(&a->lock);
	err = reserve(a);
	if (!err && !take(a, size, align, off))
		err = -ENOSPC;
	if (!err)
		a->used += size;
	used = a->used;
	pthread_mutex_unlock(&a->lock);
	return err ? snpu_fail(err, "device sim: no room for %llu bytes in device memory (%llu of %llu in use); free buffers or open it with more sim_memory",
			       (unsigned long long)size, (unsigned long long)used, (unsigned long long)a->size) : 0;
}

void arena_free(struct arena *a, uint64_t off, uint64_t size)
{
	size_t i = 0;

	/* The next owner must find zeroes. */
	madvise(a->mem + off, size, MADV_DONTNEED);
	pthread_mutex_lock(&a->lock);
	a->used -= size;
	while (i < a->n && a->range[i].off < off)
		i++;
	if (i < a->n && off + size == a->range[i].off) {
		a->range[i].off = off;
		a->range[i].size += size;
	} else if (i && a->range[i - 1].off + a->range[i - 1].size == off) {
		a->range[--i].size += size;
	} else if (!reserve(a)) {
		insert(a, i, off, size);
	}					/* else: out of memory; the range is lost until the device is closed */
	if (i && i < a->n && a->range[i - 1].off + a->range[i - 1].size == a->range[i].off) {
		a->range[i - 1].size += a->range[i].size;
		remove_at(a, i);
	}
	pthread_mutex_unlock(&a->lock);
}
