// SPDX-License-Identifier: GPL-2.0-only
/*
 * DEV_QUERY. Answers come from what probe read and from counters; only for the engine's time the
 * card is looked at.
 */
#include <linux/capability.h>
#include <linux/sizes.h>

#include "snpu_device.h"
#include "snpu_drv.h"
#include "snpu_gem.h"
#include "snpu_isa.h"
#include "snpu_uqueue.h"
#include "snpu_user.h"

/* The smallest structure a user can have. */
#define SNPU_QUERY_MIN	8

static int snpu_query_put(struct drm_snpu_dev_query *args, const void *answer, u32 size)
{
	u32 user_size = args->size;

	args->size = size;
	if (!args->pointer)
		return 0;
	if (user_size < SNPU_QUERY_MIN)
		return -EINVAL;
	/*
	 * A structure of later than tomorrow is a mistake, and clearing gigabytes would be another.
	 */
	if (user_size > PAGE_SIZE)
		return -E2BIG;
	return copy_struct_to_user(u64_to_user_ptr(args->pointer), user_size, answer, size, NULL);
}

static int snpu_query_info(struct snpu_device *snpu, struct drm_snpu_dev_query *args)
{
	struct drm_snpu_query_info info = {
		.hw_version = snpu->hw_version,
		.fw_version = READ_ONCE(snpu->fw_version),
		.fw_abi = READ_ONCE(snpu->fw_abi),
		.flags = SNPU_GET(snpu->caps, CAPS, SIMULATED) ? DRM_SNPU_INFO_SIMULATED : 0,
		.serial = snpu->serial,
		.va_bits = SNPU_VA_BITS,
		.va_start = SNPU_VA_START,
		.va_end = SNPU_VA_END,
		.max_queues = READ_ONCE(snpu->num_queues),
		.max_vms = SNPU_ASIDS - 1,
		.max_jobs = SNPU_RING_SLOTS,
		.max_regions = SNPU_REGION_COUNT,
		.priorities = BIT(DRM_SNPU_PRIORITY_LOW) | BIT(DRM_SNPU_PRIORITY_NORMAL),
		.user_slots = snpu_uqueue_slots(snpu),
	};

	if (capable(CAP_SYS_NICE))
		info.priorities |= BIT(DRM_SNPU_PRIORITY_HIGH) | BIT(DRM_SNPU_PRIORITY_REALTIME);
	return snpu_query_put(args, &info, sizeof(info));
}

static int snpu_query_memory(struct snpu_device *snpu, struct snpu_file *file,
			     struct drm_snpu_dev_query *args)
{
	const struct drm_snpu_query_memory memory = {
		.device_total = snpu->vram.size,
		.device_used = snpu_vram_used(snpu),
		.device_cpu_visible = snpu->vram.size,
		.host_used = atomic64_read(&file->host_used),
		.page_sizes = SZ_4K | SZ_64K | SZ_2M,
	};

	return snpu_query_put(args, &memory, sizeof(memory));
}

/*
 * The contract's list is the engine's, as far as the card's minor version goes;
 * the major version says that they agree.
 */
static const u8 snpu_query_opcodes[] = {
#define PKT(NAME, ...) SNPU_OP_##NAME,
#include "snpu_isa.def"
};

static int snpu_query_engine(struct snpu_device *snpu, struct drm_snpu_dev_query *args)
{
	struct drm_snpu_query_engine engine = {
		.engines = SNPU_GET(snpu->caps, CAPS, ENGINES),
		.clock_khz = snpu->clock_khz,
		.busy_ns = snpu_counters_busy(snpu),
		.jobs = atomic64_read(&snpu->jobs_done),
	};
	u32 minor = SNPU_GET(snpu->hw_version, HW_VERSION, MINOR);
	u32 i;

	for (i = 0; i < ARRAY_SIZE(snpu_query_opcodes); i++) {
		u8 op = snpu_query_opcodes[i];

		if (SNPU_OP_MINOR(op) <= minor)
			engine.opcodes[op / 64] |= BIT_ULL(op % 64);
	}
	return snpu_query_put(args, &engine, sizeof(engine));
}

static int snpu_query_limits(struct snpu_file *file, struct drm_snpu_dev_query *args)
{
	struct drm_snpu_query_limits limits;

	snpu_user_limits(file->user, &limits);
	return snpu_query_put(args, &limits, sizeof(limits));
}

int snpu_ioctl_dev_query(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_snpu_dev_query *args = data;
	struct snpu_device *snpu = to_snpu(drm);

	switch (args->type) {
	case DRM_SNPU_QUERY_INFO:
		return snpu_query_info(snpu, args);
	case DRM_SNPU_QUERY_MEMORY:
		return snpu_query_memory(snpu, to_snpu_file(file), args);
	case DRM_SNPU_QUERY_ENGINE:
		return snpu_query_engine(snpu, args);
	case DRM_SNPU_QUERY_LIMITS:
		return snpu_query_limits(to_snpu_file(file), args);
	default:
		return -EINVAL;
	}
}
