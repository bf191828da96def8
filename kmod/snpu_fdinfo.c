// SPDX-License-Identifier: GPL-2.0-only
/*
 * What /proc/<pid>/fdinfo tells about a file, by Documentation/gpu/drm-usage-stats.rst: engine time
 * and cycles of its finished jobs, and its memory by region, "host" and "device".
 */
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_print.h>

#include "snpu_device.h"
#include "snpu_drv.h"
#include "snpu_gem.h"
#include "snpu_queue.h"

static void snpu_fdinfo_engine(struct drm_printer *p, struct snpu_file *file)
{
	u64 busy_ns = atomic64_read(&file->busy_ns);
	u64 cycles = atomic64_read(&file->cycles);
	struct snpu_queue *queue;
	unsigned long id;

	xa_lock(&file->queues);
	xa_for_each(&file->queues, id, queue) {
		spin_lock_irq(&queue->lock);
		busy_ns += queue->busy_ns;
		cycles += queue->cycles;
		spin_unlock_irq(&queue->lock);
	}
	xa_unlock(&file->queues);
	drm_printf(p, "drm-engine-compute:\t%llu ns\n", busy_ns);
	drm_printf(p, "drm-cycles-compute:\t%llu\n", cycles);
	drm_printf(p, "drm-maxfreq-compute:\t%u KHz\n", file->snpu->clock_khz);
}

static void snpu_fdinfo_memory(struct drm_printer *p, struct drm_file *file)
{
	struct drm_memory_stats host = {}, device = {};
	struct drm_gem_object *obj;
	int id;

	spin_lock(&file->table_lock);
	idr_for_each_entry(&file->object_idr, obj, id) {
		struct snpu_bo *bo = to_snpu_bo(obj);
		struct drm_memory_stats *stats = bo->device ? &device : &host;

		if (drm_gem_object_is_shared_for_memory_stats(obj))
			stats->shared += obj->size;
		else
			stats->private += obj->size;
		if (bo->device || READ_ONCE(bo->base.pages))
			stats->resident += obj->size;
	}
	spin_unlock(&file->table_lock);
	drm_print_memory_stats(p, &host, DRM_GEM_OBJECT_RESIDENT, "host");
	drm_print_memory_stats(p, &device, DRM_GEM_OBJECT_RESIDENT, "device");
}

void snpu_fdinfo_show(struct drm_printer *p, struct drm_file *file)
{
	snpu_fdinfo_engine(p, to_snpu_file(file));
	snpu_fdinfo_memory(p, file);
}
