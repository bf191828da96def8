/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Buffers that are shared with other devices, as dma-bufs.
 */
#ifndef SNPU_PRIME_H
#define SNPU_PRIME_H

struct dma_buf;
struct drm_device;
struct drm_gem_object;
struct snpu_bo;

struct dma_buf *snpu_prime_export(struct drm_gem_object *obj, int flags);
struct drm_gem_object *snpu_prime_import(struct drm_device *drm, struct dma_buf *dmabuf);
void snpu_prime_revoke(struct snpu_bo *bo);
void snpu_prime_detach(struct snpu_bo *bo);

#endif
