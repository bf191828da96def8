/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the driver does for user queues once they run: very little.
 */
#ifndef SNPU_UQUEUE_H
#define SNPU_UQUEUE_H

#include <drm/snpu_accel.h>

struct drm_device;
struct drm_file;
struct snpu_device;
struct snpu_queue;

int snpu_uqueue_check(struct snpu_device *snpu, const struct drm_snpu_queue_create *args);
u32 snpu_uqueue_slots(struct snpu_device *snpu);
void snpu_uqueue_refresh(struct snpu_queue *queue);
void snpu_uqueue_loaded(struct snpu_queue *queue);
void snpu_uqueue_event(struct snpu_queue *queue);
bool snpu_uqueue_work(struct snpu_device *snpu, u64 *jobs);
int snpu_ioctl_queue_wait(struct drm_device *drm, void *data, struct drm_file *file);
int snpu_ioctl_queue_eventfd(struct drm_device *drm, void *data, struct drm_file *file);

#endif
