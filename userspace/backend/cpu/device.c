/* SPDX-License-Identifier: MIT */
/* The CPU as a device: which kernels, how many threads, and its description. Any thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/cpu.h"
#include "snpu_regs.h"

static const char *const isa_names[] = { "auto", "scalar", "avx2", "avx512" };

/* The option wins over $SNPU_CPU, which wins over what is best. */
static int choose_kernels(uint32_t isa, const struct snpu_kernels **kernels)
{
	const char *env = getenv("SNPU_CPU"), *who = "cpu_isa";
	const struct snpu_kernels *k;

	if (isa == SNPU_CPU_AUTO && env && *env) {
		who = "SNPU_CPU";
		for (isa = 0; isa <= SNPU_CPU_AVX512 && strcmp(env, isa_names[isa]); isa++)
			;
		if (isa > SNPU_CPU_AVX512)
			return snpu_fail(-EINVAL, "device cpu: SNPU_CPU is '%s'; set it to auto, scalar, avx2 or avx512", env);
	}
	k = snpu_kernels_get((enum snpu_cpu_isa)isa);
	if (!k)
		return snpu_fail(-ENOTSUP, "device cpu: %s asks for %s, which this CPU does not have; use auto", who, isa_names[isa]);
	*kernels = k;
	return 0;
}

static void describe(struct snpu_device_info *info, const struct snpu_kernels *k, uint32_t threads)
{
	info->sz = sizeof(*info);
	info->kind = SNPU_KIND_CPU;
	strcpy(info->name, "cpu");
	snprintf(info->isa, sizeof(info->isa), "%s", k->name);
	snprintf(info->description, sizeof(info->description), "this machine's CPU, %s kernels, %u thread%s", k->name, threads,
		 threads == 1 ? "" : "s");
	info->hw_version = SNPU_RESETVAL_HW_VERSION;
	info->max_queues = 4096;		/* threads; the system's limit is usually lower */
	info->max_vms = ~0u;
	info->priorities = 0xf << SNPU_PRIORITY_LOW;
	info->va_bits = SNPU_VA_BITS;
	info->va_end = 1ull << SNPU_VA_BITS;
	snpu_pkt_opcodes(info->opcodes);
}

static int cpu_list(unsigned int index, struct snpu_device_info *info)
{
	const struct snpu_kernels *k = snpu_kernels_get(SNPU_CPU_AUTO);
	enum cpu_conv_way conv;
	uint32_t threads = 1;

	if (index)
		return -ENOENT;
	info->status = choose_kernels(SNPU_CPU_AUTO, &k);
	if (!info->status)
		info->status = cpu_choose_threads(0, &threads);
	if (!info->status)
		info->status = cpu_choose_conv(&conv);
	describe(info, k, threads);
	if (info->status)
		snprintf(info->note, sizeof(info->note), "%s", snpu_last_error());
	return 0;
}

static int cpu_open(unsigned int number, const struct snpu_device_opts *opts, struct snpu_device **out)
{
	const struct snpu_kernels *k;
	struct cpu_device *dev;
	enum cpu_conv_way conv;
	uint32_t threads;
	int err = choose_kernels(opts->cpu_isa, &k);

	if (!err)
		err = cpu_choose_threads(opts->cpu_threads, &threads);
	if (!err)
		err = cpu_choose_conv(&conv);
	if (err)
		return err;
	dev = calloc(1, sizeof(*dev));
	if (!dev)
		return snpu_fail(-ENOMEM, "device cpu: no memory");
	soft_device_init(&dev->soft);
	pthread_mutex_init(&dev->pool_lock, NULL);
	dev->threads = threads;
	dev->conv = conv;
	dev->kernels = k;
	dev->epoch_ns = snpu_now_ns();
	describe(&dev->soft.base.info, k, threads);
	*out = &dev->soft.base;
	return 0;
}

static void cpu_close(struct snpu_device *base)
{
	struct cpu_device *dev = (struct cpu_device *)base;

	if (dev->pool)
		pthreadpool_destroy(dev->pool);
	pthread_mutex_destroy(&dev->pool_lock);
	soft_device_fini(&dev->soft);
	free(dev);
}

const struct snpu_backend_ops snpu_backend_cpu = {
	.name = "cpu",
	.list = cpu_list,
	.open = cpu_open,
	.close = cpu_close,
	.bo_create = cpu_bo_create,
	.bo_wrap = cpu_bo_wrap,
	.bo_destroy = cpu_bo_destroy,
	.bo_map = cpu_bo_map,
	.vm_create = cpu_vm_create,
	.vm_destroy = cpu_vm_destroy,
	.vm_bind = cpu_vm_bind,
	.vm_unbind = cpu_vm_unbind,
	.queue_create = cpu_queue_create,
	.queue_stop = soft_queue_stop,
	.queue_destroy = cpu_queue_destroy,
	.queue_status = soft_queue_status,
	.queue_dense = cpu_queue_dense,
	.submit = soft_submit,
	.fence_wait = soft_fence_wait,
	.fence_destroy = soft_fence_destroy,
};
