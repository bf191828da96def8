// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attributes of the PCI device: docs/ABI/testing/sysfs-driver-snpu. The driver core makes them when
 * probe is over and takes them away before remove() is called, so the card is bound while one is
 * read.
 */
#include <linux/sysfs.h>

#include "snpu_counters.h"
#include "snpu_device.h"
#include "snpu_fw.h"
#include "snpu_gem.h"
#include "snpu_sysfs.h"

static struct snpu_device *snpu_sysfs_device(struct device *dev)
{
	return pci_get_drvdata(to_pci_dev(dev));
}

static ssize_t fw_version_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	u32 v = READ_ONCE(snpu_sysfs_device(dev)->fw_version);

	return sysfs_emit(buf, "%u.%u.%u\n", v >> 16, v >> 8 & 0xff, v & 0xff);
}
static DEVICE_ATTR_RO(fw_version);

static ssize_t state_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct snpu_device *snpu = snpu_sysfs_device(dev);
	const char *state = "ok";

	if (work_busy(&snpu->reset.work))
		state = "resetting";
	else if (snpu_fw_error(snpu))
		state = snpu_fw_error(snpu) == -ENOPKG ? "no_firmware" : "wedged";
	return sysfs_emit(buf, "%s\n", state);
}
static DEVICE_ATTR_RO(state);

static ssize_t reset_count_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", atomic_read(&snpu_sysfs_device(dev)->reset.count));
}
static DEVICE_ATTR_RO(reset_count);

static ssize_t busy_time_us_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n",
			  div_u64(snpu_counters_busy(snpu_sysfs_device(dev)), NSEC_PER_USEC));
}
static DEVICE_ATTR_RO(busy_time_us);

static ssize_t memory_total_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", snpu_sysfs_device(dev)->vram.size);
}
static DEVICE_ATTR_RO(memory_total);

static ssize_t memory_used_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", snpu_vram_used(snpu_sysfs_device(dev)));
}
static DEVICE_ATTR_RO(memory_used);

static ssize_t spikes_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n",
			  snpu_counters_get(snpu_sysfs_device(dev), SNPU_COUNTER_SPIKES));
}
static DEVICE_ATTR_RO(spikes);

static ssize_t synops_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n",
			  snpu_counters_get(snpu_sysfs_device(dev), SNPU_COUNTER_SYNOPS));
}
static DEVICE_ATTR_RO(synops);

static struct attribute *snpu_sysfs_attrs[] = {
	&dev_attr_fw_version.attr,
	&dev_attr_state.attr,
	&dev_attr_reset_count.attr,
	&dev_attr_busy_time_us.attr,
	&dev_attr_memory_total.attr,
	&dev_attr_memory_used.attr,
	&dev_attr_spikes.attr,
	&dev_attr_synops.attr,
	NULL
};

static const struct attribute_group snpu_sysfs_group = {
	.attrs = snpu_sysfs_attrs,
};

const struct attribute_group *snpu_dev_groups[] = {
	&snpu_sysfs_group,
	&snpu_fw_group,
	NULL
};
