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

struct card_device {
	struct snpu_device base;
	int fd;
};

struct card_bo {
	struct snpu_bo base;
	int fd;					/* the device's */
	uint32_t handle;
	void *map;				/* NULL until mapped */
};

struct card_vm {
	struct snpu_vm base;
	int fd;
	uint32_t id;
};

struct card_queue {
	struct snpu_queue base;
	int fd;
	uint32_t id;
	pthread_mutex_t lock;			/* guards what follows */
	bool stopped;				/* destroyed in the driver; `last` is how it was */
	struct drm_snpu_queue_state last;
};

struct card_fence {
	struct snpu_fence base;
	int fd;
	uint32_t syncobj;
};

/* drmIoctl(); 0 or a negative errno. */
int card_ioctl(int fd, unsigned long request, void *arg) SNPU_MUST_CHECK;
/* The sentence for an error of the driver while doing `what`; returns err. */
int card_fail(int err, const char *what);

/* The slots. */
int card_bo_create(struct snpu_device *dev, uint64_t size, uint32_t flags, struct snpu_bo **bo);
void card_bo_destroy(struct snpu_bo *bo);
int card_bo_map(struct snpu_bo *bo, void **ptr);
int card_vm_create(struct snpu_device *dev, struct snpu_vm **vm);
void card_vm_destroy(struct snpu_vm *vm);
int card_vm_bind(struct snpu_vm *vm, struct snpu_bo *bo, uint64_t offset, uint64_t va, uint64_t size, uint32_t flags);
int card_vm_unbind(struct snpu_vm *vm, uint64_t va, uint64_t size);
int card_queue_create(struct snpu_vm *vm, uint32_t priority, struct snpu_queue **queue);
void card_queue_stop(struct snpu_queue *queue);
void card_queue_destroy(struct snpu_queue *queue);
int card_queue_status(struct snpu_queue *queue, struct snpu_queue_status *status);
int card_submit(struct snpu_queue *queue, const struct snpu_job *job, struct snpu_fence **fence);
int card_fence_wait(struct snpu_fence *fence, int64_t deadline_ns, int *status);
void card_fence_destroy(struct snpu_fence *fence);

#endif
