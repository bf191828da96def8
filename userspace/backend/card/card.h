/* SPDX-License-Identifier: MIT */
/*
 * A card behind the kernel driver: uapi/drm/snpu_accel.h over an open /dev/accel node. libdrm's calls that take a file
 * descriptor do the rest (version, GEM close, syncobj); it knows no accel nodes, so device.c finds them in sysfs.
 */
#ifndef SNPU_BACKEND_CARD_H
#define SNPU_BACKEND_CARD_H

#include "backend/backend.h"
#include "drm/snpu_accel.h"

#define CARD_DRIVER	"snpu"
#define CARD_UAPI_MAJOR	1			/* of the driver; minor versions only add */
#define CARD_UAPI_USERPTR	(1u << 16 | 1)	/* the version that brought it */

struct card_device {
	struct snpu_device base;
	int fd;
};

struct card_bo {
	struct snpu_bo base;
	int fd;					/* the device's */
	uint32_t handle;
	void *map;				/* NULL until mapped */
	bool wrapped;				/* map is the caller's memory */
};

#define CARD_RING_SPACE	(64 * 0x20000ull)	/* bytes at the end of an address space, one window a ring */

struct card_vm {
	struct snpu_vm base;
	int fd;
	uint32_t id;
	_Atomic uint64_t rings;			/* windows in use, a bit each */
};

/* See ring.c. map NULL: the queue has none, its jobs go through the driver. */
struct card_ring {
	unsigned int window;
	uint64_t va;				/* of the ring; the status is behind it */
	uint32_t handle, doorbell_handle;
	bool bound;
	void *map;				/* struct snpu_job_desc [slots], then struct snpu_user_status */
	volatile uint32_t *doorbell;
	_Atomic uint64_t tail;			/* number of the last job put in */
};

struct card_queue {
	struct snpu_queue base;
	int fd;
	uint32_t id;
	struct card_vm *vm;			/* kept by the device level */
	struct card_ring ring;
	pthread_mutex_t lock;			/* guards what follows */
	bool stopped;				/* destroyed in the driver; `last` is how it was */
	struct drm_snpu_queue_state last;
};

struct card_fence {
	struct snpu_fence base;
	int fd;
	uint32_t syncobj;			/* 0: of a ring */
	struct card_queue *queue;		/* of a ring: kept by the device level */
	uint64_t seqno;				/* of a ring: number of the job in it */
};

/* drmIoctl(); 0 or a negative errno. */
int card_ioctl(int fd, unsigned long request, void *arg) SNPU_MUST_CHECK;
/* The sentence for an error of the driver while doing `what`; returns err. */
int card_fail(int err, const char *what);

/* The same when something ran out; the sentence tells how much of it is used, of how much, and what to do. */
int card_fail_vm(int fd, int err);
int card_fail_queue(int fd, int err);
int card_fail_device_memory(int fd, uint64_t size);
int card_fail_locked_memory(uint64_t size);
/* Rings. 0 or a negative errno without a sentence. */
int card_ring_create(struct card_queue *q, struct drm_snpu_queue_create *arg) SNPU_MUST_CHECK;
void card_ring_destroy(struct card_queue *q);
int card_ring_submit(struct card_queue *q, const struct snpu_job *job, uint64_t *seqno) SNPU_MUST_CHECK;
int card_ring_wait(struct card_queue *q, uint64_t seqno, int64_t deadline_ns) SNPU_MUST_CHECK;
void card_ring_settle(const struct card_queue *q);
int card_ring_result(const struct card_queue *q, const struct drm_snpu_queue_state *st, uint64_t seqno);

/* The slots. */
int card_bo_create(struct snpu_device *dev, uint64_t size, uint32_t flags, struct snpu_bo **bo);
int card_bo_wrap(struct snpu_device *dev, const void *mem, uint64_t size, struct snpu_bo **bo);
void card_bo_destroy(struct snpu_bo *bo);
int card_bo_map(struct snpu_bo *bo, void **ptr);
int card_vm_create(struct snpu_device *dev, struct snpu_vm **vm);
void card_vm_destroy(struct snpu_vm *vm);
int card_vm_bind(struct snpu_vm *vm, struct snpu_bo *bo, uint64_t offset, uint64_t va, uint64_t size, uint32_t flags);
int card_vm_unbind(struct snpu_vm *vm, uint64_t va, uint64_t size);
int card_queue_create(struct snpu_vm *vm, const struct snpu_queue_opts *opts, struct snpu_queue **queue);
void card_queue_stop(struct snpu_queue *queue);
void card_queue_destroy(struct snpu_queue *queue);
int card_queue_status(struct snpu_queue *queue, struct snpu_queue_status *status);
int card_submit(struct snpu_queue *queue, const struct snpu_job *job, struct snpu_fence **fence);
int card_fence_wait(struct snpu_fence *fence, int64_t deadline_ns, int *status);
void card_fence_destroy(struct snpu_fence *fence);

#endif
