// SPDX-License-Identifier: GPL-2.0-only
/*
 * What /proc/<pid>/fdinfo tells about a file, by Documentation/gpu/drm-usage-stats.rst: engine time
 * with that of the running job, cycles of what has stopped, and memory by region: "device" is this
 * card's, "host" all else, also what was imported and what processes pinned. There is no
 * drm-total-cycles: the cycles of a simulated card are its model's, and do not pass with the clock
 * on the wall. A card that sleeps is not woken; its jobs are over.
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
	bool there;
	int idx;

	there = drm_dev_enter(&file->snpu->drm, &idx);
	xa_lock(&file->queues);
	xa_for_each(&file->queues, id, queue) {
		if (there)
			snpu_queue_refresh(queue);
		spin_lock_irq(&queue->lock);
		busy_ns += queue->busy_ns;
		cycles += queue->cycles;
		spin_unlock_irq(&queue->lock);
	}
	xa_unlock(&file->queues);
	if (there)
		drm_dev_exit(idx);
	drm_printf(p, "drm-engine-capacity-compute:\t%u\n",
		   SNPU_GET(file->snpu->caps, CAPS, ENGINES));
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
		struct drm_memory_stats *stats;
		struct snpu_bo *bo;

		if (!snpu_gem_is_bo(obj))
			continue;
		bo = to_snpu_bo(obj);
		stats = bo->device ? &device : &host;
		if (drm_gem_object_is_shared_for_memory_stats(obj))
			stats->shared += obj->size;
		else
			stats->private += obj->size;
		if (bo->device || bo->pages || READ_ONCE(bo->base.pages) ||
		    (bo->imported && READ_ONCE(bo->sgt)))
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
