/* SPDX-License-Identifier: MIT */
/*
 * What is said when a card, a user of it or the system's limits have no more to give: how much is used, of how much, and
 * what to do. The numbers are asked for after the refusal, so they may have changed since. Any thread.
 */
#include <stdio.h>
#include <sys/resource.h>

#include "backend/card/card.h"

/* 0 when the driver does not know them. */
static int limits_get(int fd, struct drm_snpu_query_limits *limits)
{
	struct drm_snpu_dev_query q = { .type = DRM_SNPU_QUERY_LIMITS, .size = sizeof(*limits), .pointer = (uintptr_t)limits };

	return !card_ioctl(fd, DRM_IOCTL_SNPU_DEV_QUERY, &q);
}

static int fail_item(int err, const char *one, const char *what, uint32_t used, uint32_t max, uint32_t total, uint32_t left)
{
	if (err == -EDQUOT)
		return snpu_fail(err, "%s: you have %u of the %u %s a user may have (the card has %u, %u of them free); end other programs of yours, or run with CAP_SYS_RESOURCE",
				 one, used, max, what, total, left);
	return snpu_fail(err, "%s: all %u %s of the card are in use, %u of them by you; end programs that use it, or use another card", one,
			 total, what, used);
}

int card_fail_vm(int fd, int err)
{
	struct drm_snpu_query_limits l = { 0 };

	if ((err != -EDQUOT && err != -ENOSPC) || !limits_get(fd, &l))
		return card_fail(err, "an address space cannot be created");
	return fail_item(err, "address space", "address spaces", l.vms_used, l.vms_max, l.vms_total, l.vms_free);
}

int card_fail_queue(int fd, int err)
{
	struct drm_snpu_query_limits l = { 0 };

	if ((err != -EDQUOT && err != -ENOSPC) || !limits_get(fd, &l))
		return card_fail(err, "a queue cannot be created");
	return fail_item(err, "queue", "queues", l.queues_used, l.queues_max, l.queues_total, l.queues_free);
}

int card_fail_device_memory(int fd, uint64_t size)
{
	struct drm_snpu_query_memory m = { 0 };
	struct drm_snpu_dev_query q = { .type = DRM_SNPU_QUERY_MEMORY, .size = sizeof(m), .pointer = (uintptr_t)&m };

	if (card_ioctl(fd, DRM_IOCTL_SNPU_DEV_QUERY, &q))
		return card_fail(-ENOSPC, "a buffer cannot be created");
	return snpu_fail(-ENOSPC, "buffer: no room for %llu KiB in the card's memory, %llu of %llu KiB are in use; free buffers, end other programs, or use host memory",
			 (unsigned long long)size >> 10, (unsigned long long)m.device_used >> 10, (unsigned long long)m.device_total >> 10);
}

/* Locked memory of this process in KiB. */
static unsigned long long locked_kib(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	unsigned long long kib = 0;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmLck: %llu", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

int card_fail_locked_memory(uint64_t size)
{
	unsigned long long used = locked_kib(), want = (unsigned long long)size >> 10;
	struct rlimit lim = { .rlim_cur = RLIM_INFINITY };

	if (getrlimit(RLIMIT_MEMLOCK, &lim) || lim.rlim_cur == RLIM_INFINITY || used + want <= lim.rlim_cur >> 10)
		return card_fail(-ENOMEM, "the caller's memory cannot be used");
	return snpu_fail(-ENOMEM, "buffer: %llu KiB cannot be locked, %llu of %llu KiB are in use; raise the limit (ulimit -l, LimitMEMLOCK= of a service), or copy into a buffer",
			 want, used, (unsigned long long)lim.rlim_cur >> 10);
}
