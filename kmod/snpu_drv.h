/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An open file, and the helpers that its ioctls share.
 */
#ifndef SNPU_DRV_H
#define SNPU_DRV_H

#include <drm/drm_file.h>
#include <drm/snpu_accel.h>
#include <linux/xarray.h>

struct snpu_device;
struct snpu_queue;
struct snpu_user;

/**
 * struct snpu_file - What belongs to an open file.
 */
struct snpu_file {
	/** @snpu: Card. */
	struct snpu_device *snpu;
	/** @user: Who opened it. */
	struct snpu_user *user;
	/** @vms: &struct snpu_vm by number, from 1. */
	struct xarray vms;
	/** @queues: &struct snpu_queue by number, from 1. */
	struct xarray queues;
	/** @host_used: Host memory in the file's buffers, in bytes. */
	atomic64_t host_used;
	/** @busy_ns: Engine time of queues that are destroyed. */
	atomic64_t busy_ns;
	/** @cycles: Engine cycles of queues that are destroyed. */
	atomic64_t cycles;
};

static inline struct snpu_file *to_snpu_file(struct drm_file *file)
{
	return file->driver_priv;
}

extern const struct drm_driver snpu_drm_driver;

struct snpu_queue *snpu_file_queue(struct snpu_file *file, u32 id);
int snpu_array_check(const struct drm_snpu_obj_array *array, u32 min_stride, u32 max_count);
int snpu_array_get(const struct drm_snpu_obj_array *array, u32 i, void *elem, size_t size);

int snpu_ioctl_bo_userptr(struct drm_device *drm, void *data, struct drm_file *file);
int snpu_ioctl_dev_query(struct drm_device *drm, void *data, struct drm_file *file);
int snpu_ioctl_submit(struct drm_device *drm, void *data, struct drm_file *file);
void snpu_fdinfo_show(struct drm_printer *p, struct drm_file *file);

#endif
