/* SPDX-License-Identifier: MIT */
/*
 * The simulator's engine in this process: the same engine that the simulated card runs, without card, firmware, kernel
 * driver and VM. Device memory is an arena; address spaces are real page tables in it, which the engine walks. Each
 * queue has an engine and a thread of its own, so priorities mean nothing and queues run side by side.
 * device.c bo.c vm.c queue.c are the slots; arena.c hands out device memory.
 */
#ifndef SNPU_BACKEND_SIM_H
#define SNPU_BACKEND_SIM_H

#include "backend/soft.h"
#include "sim/snpu_engine.h"
#include "snpu_regs.h"

struct arena_range {
	uint64_t off, size;			/* bytes */
};

/* Free ranges in address order. */
struct arena {
	pthread_mutex_t lock;
	uint8_t *mem;				/* [size] */
	uint64_t size, used;			/* lock (used) */
	struct arena_range *range;		/* lock: [n] free, never adjacent */
	size_t n, cap;				/* lock */
};

struct sim_device {
	struct soft_device soft;
	struct arena arena;
	struct snpu_engine_mem mem;
	pthread_mutex_t lock;			/* guards what follows */
	uint64_t asids[SNPU_ASIDS / 64];	/* in use; 0 never is free */
	unsigned int queues;
};

struct sim_bo {
	struct snpu_bo base;
	struct arena *arena;			/* NULL: host memory */
	uint64_t off;				/* in the arena */
	uint8_t *mem;
};

struct sim_vm {
	struct snpu_vm base;
	struct sim_device *dev;
	uint64_t root;				/* offset of the level-3 table in the arena */
	uint32_t asid;
	pthread_mutex_t lock;			/* guards queues */
	struct sim_queue *queues;		/* whose engines may hold translations */
};

struct sim_queue {
	struct soft_queue soft;
	struct snpu_engine *engine;
	struct sim_queue *next;			/* vm's lock */
};

/* arena.c: whole pages, aligned to 2 MiB or 64 KiB when at least that big; zeroed. -ENOSPC, -ENOMEM. Any thread. */
int arena_init(struct arena *a, uint64_t size) SNPU_MUST_CHECK;
void arena_fini(struct arena *a);
int arena_alloc(struct arena *a, uint64_t size, uint64_t *off) SNPU_MUST_CHECK;
void arena_free(struct arena *a, uint64_t off, uint64_t size);

/* The slots. */
int sim_bo_create(struct snpu_device *dev, uint64_t size, uint32_t flags, struct snpu_bo **bo);
void sim_bo_destroy(struct snpu_bo *bo);
int sim_bo_map(struct snpu_bo *bo, void **ptr);
int sim_vm_create(struct snpu_device *dev, struct snpu_vm **vm);
void sim_vm_destroy(struct snpu_vm *vm);
int sim_vm_bind(struct snpu_vm *vm, struct snpu_bo *bo, uint64_t offset, uint64_t va, uint64_t size, uint32_t flags);
int sim_vm_unbind(struct snpu_vm *vm, uint64_t va, uint64_t size);
int sim_queue_create(struct snpu_vm *vm, const struct snpu_queue_opts *opts, struct snpu_queue **queue);
void sim_queue_destroy(struct snpu_queue *queue);

#endif
