/* SPDX-License-Identifier: MIT */
/* The slots of the template backend; see device.c. */
#ifndef SNPU_BACKEND_NULL_H
#define SNPU_BACKEND_NULL_H

#include "backend/backend.h"

/* bo.c */
int null_bo_create(struct snpu_device *dev, uint64_t size, uint32_t flags, struct snpu_bo **bo);
void null_bo_destroy(struct snpu_bo *bo);
int null_bo_map(struct snpu_bo *bo, void **ptr);
/* vm.c */
int null_vm_create(struct snpu_device *dev, struct snpu_vm **vm);
void null_vm_destroy(struct snpu_vm *vm);
int null_vm_bind(struct snpu_vm *vm, struct snpu_bo *bo, uint64_t offset, uint64_t va, uint64_t size, uint32_t flags);
int null_vm_unbind(struct snpu_vm *vm, uint64_t va, uint64_t size);
/* queue.c */
int null_queue_create(struct snpu_vm *vm, const struct snpu_queue_opts *opts, struct snpu_queue **queue);
void null_queue_stop(struct snpu_queue *queue);
void null_queue_destroy(struct snpu_queue *queue);
int null_queue_status(struct snpu_queue *queue, struct snpu_queue_status *status);
int null_submit(struct snpu_queue *queue, const struct snpu_job *job, struct snpu_fence **fence);
int null_fence_wait(struct snpu_fence *fence, int64_t deadline_ns, int *status);
void null_fence_destroy(struct snpu_fence *fence);

#endif
