/* SPDX-License-Identifier: MIT */
/*
 * What a backend is: a table of functions behind the device level of snpu.h, and the objects they share with
 * userspace/device/. The device level has checked every argument that does not depend on the backend (handles, flags,
 * alignment, ranges, option sizes, double regions) and keeps references; a backend does the work and the errors that
 * only it can know, with snpu_fail(). Every slot is mandatory unless marked (optional).
 *
 * A backend's objects begin with the structure here and are allocated and freed by the backend; the device level fills
 * in the members marked (device level) after creation. Each backend folder has the same files: device.c bo.c vm.c queue.c.
 * backend/null is the skeleton to copy.
 *
 * Threads: slots may be called from any thread at any time, also for the same object; a destroy slot is called once,
 * when nothing else uses the object.
 */
#ifndef SNPU_BACKEND_BACKEND_H
#define SNPU_BACKEND_BACKEND_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/fail.h"
#include "snpu_job.h"
#include "snpu/snpu.h"

#define SNPU_PAGE		4096ull
#define SNPU_PROFILE_SLOTS_MAX	65536u		/* rows a job may have; a packet's slot has 16 bits */

struct snpu_backend_ops;

struct snpu_device {
	const struct snpu_backend_ops *ops;	/* (device level) */
	atomic_uint refs;			/* (device level) handle, and every object made from it */
	struct snpu_device_info info;		/* by open; constant afterwards except memory use, which info() refreshes */
};

struct snpu_bo {
	struct snpu_device *dev;		/* (device level) */
	atomic_uint refs;			/* (device level) handle, and every binding */
	uint64_t size;				/* bytes, whole pages (device level) */
	uint32_t flags;				/* SNPU_BO_* (device level) */
	pthread_mutex_t lock;			/* (device level) guards map */
	void *map;				/* (device level) result of bo_map, kept */
};

/* One range of an address space. */
struct snpu_binding {
	uint64_t va, size;			/* bytes, whole pages */
	struct snpu_bo *bo;			/* holds a reference */
	uint64_t offset;			/* in bo */
	uint32_t flags;				/* SNPU_BIND_* */
};

struct snpu_vm {
	struct snpu_device *dev;		/* (device level) */
	atomic_uint refs;			/* (device level) handle and queues */
	/*
	 * (device level) The bindings in address order, never overlapping, adjacent ones not merged. `lock` is held for
	 * writing while vm_bind/vm_unbind run and the table changes, so a backend that looks addresses up in the table
	 * holds it for reading, and gives it up soon when `writers` is not zero.
	 */
	pthread_rwlock_t lock;
	atomic_uint writers;			/* who wants the lock for writing */
	uint64_t generation;			/* lock; +1 with each change of the table */
	struct snpu_binding *bindings;		/* lock; [n_bindings] */
	size_t n_bindings, cap_bindings;	/* lock */
};

/* Where a job's program is, so that a fault can be shown with its packet. */
struct snpu_job_note {
	uint64_t seqno;
	uint64_t program_va, program_size;
};
#define SNPU_JOB_NOTES	64

struct snpu_queue {
	struct snpu_device *dev;		/* (device level) */
	struct snpu_vm *vm;			/* (device level), referenced */
	uint32_t priority;			/* enum snpu_priority, never DEFAULT (device level) */
	uint32_t flags;				/* SNPU_QUEUE_* (device level) */
	atomic_uint refs;			/* (device level) handle and fences */
	pthread_mutex_t lock;			/* (device level) guards what follows; held around submit, so slots need not order jobs */
	uint64_t submitted;
	struct snpu_job_note note[SNPU_JOB_NOTES];	/* by seqno modulo */
	bool stopped;				/* the handle was freed; `last` tells how the queue was */
	struct snpu_queue_status last;
};

struct snpu_fence {
	struct snpu_device *dev;		/* (device level), referenced */
	struct snpu_queue *queue;		/* (device level), referenced */
	atomic_uint refs;			/* handle, jobs that wait for it, and the backend; see submit */
	uint64_t seqno;				/* (device level) of the job in its queue, from 1 */
};

struct snpu_backend_ops {
	const char *name;

	/*
	 * (optional) Describes the backend's device `index` like snpu_devices(); -ENOENT past the last. Absent: not listed.
	 */
	int (*list)(unsigned int index, struct snpu_device_info *info);

	/*
	 * Opens device number `number` (0 unless the name had a number). `opts` is complete. Allocates the device and fills info.
	 */
	int (*open)(unsigned int number, const struct snpu_device_opts *opts, struct snpu_device **dev);
	/* Called when the last object of the device is gone. */
	void (*close)(struct snpu_device *dev);
	/* (optional) Refreshes memory use in `info`, a copy of dev->info. */
	int (*query)(struct snpu_device *dev, struct snpu_device_info *info);

	/* Allocates a buffer of `size` bytes (whole pages) of zeroes. */
	int (*bo_create)(struct snpu_device *dev, uint64_t size, uint32_t flags, struct snpu_bo **bo);
	/* (optional) A buffer that is the caller's memory (whole pages), only read, which the caller keeps until bo_destroy. */
	int (*bo_wrap)(struct snpu_device *dev, const void *mem, uint64_t size, struct snpu_bo **bo);
	void (*bo_destroy)(struct snpu_bo *bo);
	/* Maps the buffer into the process until bo_destroy. Called once a buffer, and never twice at a time. */
	int (*bo_map)(struct snpu_bo *bo, void **ptr);

	int (*vm_create)(struct snpu_device *dev, struct snpu_vm **vm);
	void (*vm_destroy)(struct snpu_vm *vm);
	/*
	 * Makes the change visible to the device before it returns. Called with vm->lock held for writing, and before the table
	 * is changed when binding; on error nothing has changed. Ranges are whole pages in [va_start, va_end).
	 */
	int (*vm_bind)(struct snpu_vm *vm, struct snpu_bo *bo, uint64_t offset, uint64_t va, uint64_t size, uint32_t flags);
	int (*vm_unbind)(struct snpu_vm *vm, uint64_t va, uint64_t size);

	/* opts is complete; its priority is never DEFAULT. */
	int (*queue_create)(struct snpu_vm *vm, const struct snpu_queue_opts *opts, struct snpu_queue **queue);
	/*
	 * Stops the running job at a packet boundary and gives the fences of unfinished jobs -ECANCELED. When it returns, the device
	 * no longer touches the jobs' memory. queue_status still works until queue_destroy.
	 */
	void (*queue_stop)(struct snpu_queue *queue);
	/* Frees the queue; queue_stop was called. */
	void (*queue_destroy)(struct snpu_queue *queue);
	/* Fills all but `submitted` and `text`. */
	int (*queue_status)(struct snpu_queue *queue, struct snpu_queue_status *status);
	/*
	 * (optional) dense: [slots], zeroed. For each profile slot of the last job, which is over and had as many, the CONV packets that did not
	 * go event by event. Absent: none.
	 */
	void (*queue_dense)(struct snpu_queue *queue, uint32_t slots, uint64_t *dense);

	/*
	 * Puts a job into the queue; queue->lock is held. `fence`: the caller wants one. job->waits are fences of this device;
	 * the backend takes references (snpu_fence_get) for as long as it needs them. A backend that keeps the fence for its own
	 * thread starts with refs = 2 and gives its reference back with snpu_fence_put(); otherwise refs = 1.
	 */
	int (*submit)(struct snpu_queue *queue, const struct snpu_job *job, struct snpu_fence **fence);
	/*
	 * Waits until CLOCK_MONOTONIC reaches `deadline_ns` (INT64_MAX: forever; 0: only looks). 0: finished, and *status is the job's
	 * result. -ETIMEDOUT: not yet.
	 */
	int (*fence_wait)(struct snpu_fence *fence, int64_t deadline_ns, int *status);
	void (*fence_destroy)(struct snpu_fence *fence);
};

extern const struct snpu_backend_ops snpu_backend_card;
extern const struct snpu_backend_ops snpu_backend_sim;
extern const struct snpu_backend_ops snpu_backend_cpu;
extern const struct snpu_backend_ops snpu_backend_null;

/* References, for backends that keep objects beyond a call. */
void snpu_device_get(struct snpu_device *dev);
void snpu_device_put(struct snpu_device *dev);
void snpu_bo_get(struct snpu_bo *bo);
void snpu_bo_put(struct snpu_bo *bo);
void snpu_vm_put(struct snpu_vm *vm);
void snpu_fence_get(struct snpu_fence *fence);
void snpu_fence_put(struct snpu_fence *fence);

/*
 * A buffer around memory of the caller (a mapped file, say), to be bound for reading only. mem begins a page, and is readable to the
 * end of the page that mem + size - 1 lies in. It must stay until the buffer and all its bindings are gone. -ENOTSUP: this device cannot.
 */
int snpu_bo_wrap(struct snpu_device *device, const void *mem, uint64_t size, struct snpu_bo **bo) SNPU_MUST_CHECK;

/* As the slot queue_dense; no other job may be submitted meanwhile. */
void snpu_queue_dense(struct snpu_queue *queue, uint32_t slots, uint64_t *dense);

/* The binding that holds `va`, or NULL; vm->lock held. */
const struct snpu_binding *snpu_vm_find(const struct snpu_vm *vm, uint64_t va);

#endif
