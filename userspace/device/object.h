/* SPDX-License-Identifier: MIT */
/* Shared by the files of the device level. Backends use backend/backend.h only. */
#ifndef SNPU_DEVICE_OBJECT_H
#define SNPU_DEVICE_OBJECT_H

#include "backend/backend.h"

void snpu_vm_get(struct snpu_vm *vm);
void snpu_queue_get(struct snpu_queue *queue);
void snpu_queue_put(struct snpu_queue *queue);

/* snpu_queue_status() with the library's own structure; never fails to fill it. */
void snpu_queue_look(struct snpu_queue *queue, struct snpu_queue_status *status);

#endif
