/* SPDX-License-Identifier: MIT */
/*
 * Finds cards in /sys/class/accel, opens their nodes and asks who they are. Any thread.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xf86drm.h>

#include "backend/card/card.h"
#include "snpu_fw_abi.h"
#include "snpu_regs.h"

#define SYSFS		"/sys/class/accel"
#define MAX_CARDS	256

int card_ioctl(int fd, unsigned long request, void *arg)
{
	return drmIoctl(fd, request, arg) ? -errno : 0;
}

int card_fail(int err, const char *what)
{
	const char *next = err == -ENOPKG ? "no firmware runs on the card; `snpu list` tells what to do" :
			   err == -ENODEV ? "the card was removed; open the device again" :
			   err == -EACCES ? "it is for reading only" :
			   err == -EIO ? "the card or its firmware does not answer; see the kernel log" :
			   err == -ENOMEM || err == -ENOSPC ? "free what is not needed, or use fewer processes" : "see the kernel log";

	return snpu_fail(err, "card: %s: %s; %s", what, strerror(-err), next);
}

/* --- finding ------------------------------------------------------------------------------------------------- */

/* Last component of the link `name` below accelN; "" when there is none. */
static void link_name(unsigned int minor, const char *name, char *out, size_t len)
{
	char path[PATH_MAX], target[PATH_MAX];
	const char *slash;
	ssize_t n;

	out[0] = 0;
	snprintf(path, sizeof(path), SYSFS "/accel%u/%s", minor, name);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return;
	target[n] = 0;
	slash = strrchr(target, '/');
	snprintf(out, len, "%.*s", (int)len - 1, slash ? slash + 1 : target);
}

static int by_number(const void *a, const void *b)
{
	unsigned int x = *(const unsigned int *)a, y = *(const unsigned int *)b;

	return (x > y) - (x < y);
}

/* Numbers of the accel nodes of our driver, in order. */
static unsigned int find_cards(unsigned int minor[MAX_CARDS])
{
	DIR *dir = opendir(SYSFS);
	unsigned int n = 0;
	struct dirent *e;

	while (dir && (e = readdir(dir)) && n < MAX_CARDS) {
		char driver[64];

		if (sscanf(e->d_name, "accel%u", &minor[n]) != 1)
			continue;
		link_name(minor[n], "device/driver", driver, sizeof(driver));
		n += !strcmp(driver, CARD_DRIVER);
	}
	if (dir)
		closedir(dir);
	qsort(minor, n, sizeof(*minor), by_number);
	return n;
}

/* --- opening ------------------------------------------------------------------------------------------------- */

static int open_node(const char *node)
{
	int fd = open(node, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == EACCES || errno == EPERM)
		return snpu_fail(-EACCES, "card: no permission to open %s; join the group that owns it (usually: sudo usermod -aG render $USER, then log in again)",
				 node);
	if (errno == ENOENT || errno == ENXIO || errno == ENODEV)
		return snpu_fail(-ENODEV, "card: %s does not exist or its card is gone; see `snpu list`", node);
	return snpu_fail(-errno, "card: cannot open %s: %s; see the kernel log", node, strerror(errno));
}

static int check_driver(int fd, const char *node, struct snpu_device_info *info)
{
	drmVersionPtr v = drmGetVersion(fd);
	int err = 0;

	if (!v)
		return snpu_fail(-EPROTO, "card: %s does not answer DRM_IOCTL_VERSION; it is not a DRM accel node", node);
	if (strcmp(v->name, CARD_DRIVER) || v->version_major != CARD_UAPI_MAJOR)
		err = snpu_fail(-EPROTO, "card: %s is driven by %s %d.%d, this library needs " CARD_DRIVER " %d.x; install matching versions",
				node, v->name, v->version_major, v->version_minor, CARD_UAPI_MAJOR);
	info->driver_version = (uint32_t)v->version_major << 16 | ((uint32_t)v->version_minor & 0xffff);
	drmFreeVersion(v);
	return err;
}

static int query(int fd, uint32_t type, void *to, uint32_t size)
{
	struct drm_snpu_dev_query q = { .type = type, .size = size, .pointer = (uintptr_t)to };
	int err = card_ioctl(fd, DRM_IOCTL_SNPU_DEV_QUERY, &q);

	return err ? card_fail(err, "cannot be asked for its description") : 0;
}

static int fill_info(int fd, const char *node, struct snpu_device_info *info)
{
	struct drm_snpu_query_memory memory = { 0 };
	struct drm_snpu_query_engine engine = { 0 };
	struct drm_snpu_query_info q = { 0 };
	int err = query(fd, DRM_SNPU_QUERY_INFO, &q, sizeof(q));

	if (!err)
		err = query(fd, DRM_SNPU_QUERY_MEMORY, &memory, sizeof(memory));
	if (!err)
		err = query(fd, DRM_SNPU_QUERY_ENGINE, &engine, sizeof(engine));
	if (err)
		return err;
	if (q.hw_version >> 16 != SNPU_RESETVAL_HW_VERSION >> 16)
		return snpu_fail(-EPROTO, "card: %s implements version %u.%u of the command set, this library writes %u.x; use a matching library",
				 node, q.hw_version >> 16, q.hw_version & 0xffff, SNPU_RESETVAL_HW_VERSION >> 16);
	info->kind = q.flags & DRM_SNPU_INFO_SIMULATED ? SNPU_KIND_SIMULATED_CARD : SNPU_KIND_SILICON;
	info->hw_version = q.hw_version;
	info->fw_version = q.fw_version;
	info->fw_abi = q.fw_abi;
	info->serial = q.serial;
	info->clock_khz = engine.clock_khz;
	info->max_queues = q.max_queues;
	info->max_vms = q.max_vms;
	info->priorities = q.priorities << SNPU_PRIORITY_LOW;	/* the driver counts from LOW = 0 */
	info->va_bits = q.va_bits;
	info->va_start = q.va_start;
	info->va_end = q.va_end - CARD_RING_SPACE;
	info->device_total = memory.device_total;
	info->device_used = memory.device_used;
	memcpy(info->opcodes, engine.opcodes, sizeof(info->opcodes));
	snprintf(info->description, sizeof(info->description), "%s, %llu MiB, firmware %u.%u.%u",
		 info->kind == SNPU_KIND_SILICON ? "SNPU-1" : "SNPU-1, simulated card", (unsigned long long)(memory.device_total >> 20),
		 q.fw_version >> 16, q.fw_version >> 8 & 0xff, q.fw_version & 0xff);
	if (!q.fw_version)
		return snpu_fail(-ENOPKG, "card: no firmware runs on it: put snpu-fw-%u.bin and its .p7s into /lib/firmware/snpu "
				 "(the kernel log tells what is wrong with what is there), then: echo 1 | sudo tee /sys/bus/pci/devices/%s/fw_reload", SNPU_FW_ABI_MAJOR, info->bus_id);
	return 0;
}

/* Opens node `minor` as card `number`. info is filled as far as it goes. */
static int open_card(unsigned int number, unsigned int minor, struct snpu_device_info *info)
{
	int fd, err;

	info->sz = sizeof(*info);
	snprintf(info->name, sizeof(info->name), "card%u", number);
	snprintf(info->node, sizeof(info->node), "/dev/accel/accel%u", minor);
	snprintf(info->description, sizeof(info->description), "SNPU card");
	link_name(minor, "device", info->bus_id, sizeof(info->bus_id));
	fd = open_node(info->node);
	if (fd < 0)
		return fd;
	err = check_driver(fd, info->node, info);
	if (!err)
		err = fill_info(fd, info->node, info);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

static int card_list(unsigned int index, struct snpu_device_info *info)
{
	unsigned int minor[MAX_CARDS];
	int fd;

	if (index >= find_cards(minor))
		return -ENOENT;
	fd = open_card(index, minor[index], info);
	if (fd >= 0) {
		close(fd);
	} else {
		info->status = fd;
		snprintf(info->note, sizeof(info->note), "%s", snpu_last_error());
	}
	return 0;
}

static int card_open(unsigned int number, const struct snpu_device_opts *opts, struct snpu_device **out)
{
	unsigned int minor[MAX_CARDS], n = find_cards(minor);
	struct card_device *dev;

	if (number >= n)
		return snpu_fail(-ENODEV, "card%u: there are %u cards with the driver \"" CARD_DRIVER "\" in " SYSFS "; see `snpu list`", number, n);
	dev = calloc(1, sizeof(*dev));
	if (!dev)
		return snpu_fail(-ENOMEM, "card%u: no memory", number);
	dev->fd = open_card(number, minor[number], &dev->base.info);
	if (dev->fd < 0) {
		int err = dev->fd;

		free(dev);
		return err;
	}
	*out = &dev->base;
	return 0;
}

static void card_close(struct snpu_device *base)
{
	struct card_device *dev = (struct card_device *)base;

	close(dev->fd);
	free(dev);
}

static int card_query(struct snpu_device *base, struct snpu_device_info *info)
{
	return fill_info(((struct card_device *)base)->fd, info->node, info);
}

const struct snpu_backend_ops snpu_backend_card = {
	.name = "card",
	.list = card_list,
	.open = card_open,
	.close = card_close,
	.query = card_query,
	.bo_create = card_bo_create,
	.bo_wrap = card_bo_wrap,
	.bo_destroy = card_bo_destroy,
	.bo_map = card_bo_map,
	.vm_create = card_vm_create,
	.vm_destroy = card_vm_destroy,
	.vm_bind = card_vm_bind,
	.vm_unbind = card_vm_unbind,
	.queue_create = card_queue_create,
	.queue_stop = card_queue_stop,
	.queue_destroy = card_queue_destroy,
	.queue_status = card_queue_status,
	.submit = card_submit,
	.fence_wait = card_fence_wait,
	.fence_destroy = card_fence_destroy,
};
