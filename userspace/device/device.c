/* SPDX-License-Identifier: MIT */
/*
 * Finding, opening and describing devices: names to backends, and the choice that "auto" makes. Everything else about
 * a device is its backend's. Any thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/object.h"

/* In the order in which snpu_devices() lists them. */
static const struct snpu_backend_ops *const backends[] = {
	&snpu_backend_card, &snpu_backend_sim, &snpu_backend_cpu, &snpu_backend_null,
};
#define BACKENDS	(sizeof(backends) / sizeof(backends[0]))

void snpu_device_get(struct snpu_device *dev)
{
	atomic_fetch_add_explicit(&dev->refs, 1, memory_order_relaxed);
}

void snpu_device_put(struct snpu_device *dev)
{
	if (atomic_fetch_sub_explicit(&dev->refs, 1, memory_order_acq_rel) == 1)
		dev->ops->close(dev);
}

int snpu_devices(unsigned int index, struct snpu_device_info *info)
{
	struct snpu_device_info found;
	unsigned int b = 0;

	for (unsigned int left = index; b < BACKENDS; b++) {
		unsigned int n = 0;
		int err = -ENOENT;

		for (; backends[b]->list; n++) {
			memset(&found, 0, sizeof(found));
			err = backends[b]->list(n, &found);
			if (err == -ENOENT)
				break;
			if (err)
				return err;
			if (n == left)
				return snpu_opts_out(info, &found, sizeof(found), "snpu_device_info");
		}
		left -= n;
	}
	return snpu_fail(-ENOENT, "device %u: there are fewer; count from 0 until -ENOENT", index);
}

static int open_backend(const struct snpu_backend_ops *ops, unsigned int number, const struct snpu_device_opts *opts,
			struct snpu_device **out)
{
	struct snpu_device *dev;
	int err = ops->open(number, opts, &dev);

	if (err)
		return err;
	dev->ops = ops;
	atomic_init(&dev->refs, 1);
	*out = dev;
	return 0;
}

/* The first card that opens; else the error of the first one that did not. */
static int open_card(const struct snpu_device_opts *opts, struct snpu_device **out)
{
	char why[512] = "";
	int err = 0;

	for (unsigned int n = 0;; n++) {
		struct snpu_device_info info;
		int r = snpu_backend_card.list(n, &info);

		if (!r)
			r = open_backend(&snpu_backend_card, n, opts, out);
		else if (r == -ENOENT)
			break;
		if (!r)
			return 0;
		if (!err) {
			err = r;
			snprintf(why, sizeof(why), "%s", snpu_last_error());
		}
	}
	if (err)
		return snpu_fail(err, "%s", why);
	return snpu_fail(-ENODEV, "no SNPU card: /sys/class/accel has no node of the driver \"snpu\"; see `snpu list`, or use the device \"cpu\"");
}

static int open_auto(const struct snpu_device_opts *opts, struct snpu_device **out)
{
	int err = open_card(opts, out);
	char why[sizeof(((struct snpu_device_info *)0)->note)];

	if (!err || (opts->flags & SNPU_OPEN_REQUIRE_CARD))
		return err;
	snprintf(why, sizeof(why), "%s", snpu_last_error());
	err = open_backend(&snpu_backend_cpu, 0, opts, out);
	if (!err)
		memcpy((*out)->info.note, why, sizeof(why));
	return err;
}

/* "card7" -> 7 with the prefix "card". */
static bool numbered(const char *name, const char *prefix, unsigned int *number)
{
	size_t n = strlen(prefix);
	char *end;
	unsigned long v;

	if (strncmp(name, prefix, n) || name[n] < '0' || name[n] > '9')
		return false;
	v = strtoul(name + n, &end, 10);
	*number = (unsigned int)v;
	return !*end && v < 1000;
}

int snpu_device_open(const char *name, const struct snpu_device_opts *user, struct snpu_device **device)
{
	struct snpu_device_opts opts;
	unsigned int number = 0;
	int err = snpu_opts_in(&opts, sizeof(opts), user, "snpu_device_opts");

	if (err)
		return err;
	if (!device)
		return snpu_fail(-EINVAL, "device: the result pointer is NULL");
	if ((opts.flags & ~SNPU_OPEN_REQUIRE_CARD) || opts.cpu_isa > SNPU_CPU_AVX512 || opts.sim_memory % (2u << 20))
		return snpu_fail(-EINVAL, "device: flags %#x, cpu_isa %u or sim_memory %llu is not an option (memory: a multiple of 2 MiB)",
				 opts.flags, opts.cpu_isa, (unsigned long long)opts.sim_memory);
	if (!name || !strcmp(name, "auto"))
		return open_auto(&opts, device);
	if (!strcmp(name, "card"))
		return open_card(&opts, device);
	if (numbered(name, "card", &number))
		return open_backend(&snpu_backend_card, number, &opts, device);
	for (unsigned int b = 0; b < BACKENDS; b++)
		if (!strcmp(name, backends[b]->name))
			return open_backend(backends[b], 0, &opts, device);
	return snpu_fail(-EINVAL, "device '%s': not a name; use auto, card, card0, sim, cpu or null", name);
}

void snpu_device_close(struct snpu_device *device)
{
	if (device)
		snpu_device_put(device);
}

int snpu_device_info(struct snpu_device *device, struct snpu_device_info *info)
{
	struct snpu_device_info now;
	int err = 0;

	if (!device)
		return snpu_fail(-EINVAL, "device: the handle is NULL");
	now = device->info;
	if (device->ops->query)
		err = device->ops->query(device, &now);
	return err ? err : snpu_opts_out(info, &now, sizeof(now), "snpu_device_info");
}
