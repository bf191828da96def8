// SPDX-License-Identifier: GPL-2.0-only
/*
 * The card's sensors as a hardware monitor: temperature, average power, energy and the engine's
 * clock. Nothing is kept here: a reading is a register. The monitor goes with the binding, after
 * remove(); readings between the two return -ENODEV. Who looks does not wake a card that sleeps:
 * -ENODATA. A simulated card shows what its model says.
 */
#include <drm/drm_print.h>
#include <linux/hwmon.h>
#include <linux/units.h>

#include "snpu_counters.h"
#include "snpu_device.h"
#include "snpu_hwmon.h"

static umode_t snpu_hwmon_is_visible(const void *data, enum hwmon_sensor_types type, u32 attr,
				     int channel)
{
	return 0444;
}

/* In the units of hwmon, which are the card's. */
static int snpu_hwmon_get(struct snpu_device *snpu, enum hwmon_sensor_types type, u32 attr,
			  long *value)
{
	switch (type) {
	case hwmon_temp:
		*value = (s32)snpu_read(snpu, attr == hwmon_temp_crit ? SNPU_REG_SENSOR_TEMP_CRIT :
					SNPU_REG_SENSOR_TEMP);
		return 0;
	case hwmon_power:
		*value = snpu_read(snpu, SNPU_REG_SENSOR_POWER);
		return 0;
	case hwmon_energy:
		*value = snpu_read64(snpu, SNPU_REG_ENERGY_LO, SNPU_REG_ENERGY_HI);
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

static int snpu_hwmon_enter(struct snpu_device *snpu, int *idx)
{
	if (snpu_device_enter_awake(snpu, idx))
		return 0;
	return drm_dev_is_unplugged(&snpu->drm) ? -ENODEV : -ENODATA;
}

static int snpu_hwmon_read(struct device *dev, enum hwmon_sensor_types type, u32 attr, int channel,
			   long *value)
{
	struct snpu_device *snpu = dev_get_drvdata(dev);
	int idx, err;

	err = snpu_hwmon_enter(snpu, &idx);
	if (err)
		return err;
	err = snpu_hwmon_get(snpu, type, attr, value);
	snpu_device_exit(snpu, idx);
	return err;
}

static int snpu_hwmon_read_string(struct device *dev, enum hwmon_sensor_types type, u32 attr,
				  int channel, const char **text)
{
	*text = "card";
	return 0;
}

/* The hwmon core has names for frequencies in its ABI, but no type. */
static ssize_t freq1_input_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct snpu_device *snpu = dev_get_drvdata(dev);
	int idx, err;
	u32 khz;

	err = snpu_hwmon_enter(snpu, &idx);
	if (err)
		return err;
	khz = snpu_read(snpu, SNPU_REG_FREQ_KHZ);
	snpu_device_exit(snpu, idx);
	return sysfs_emit(buf, "%llu\n", (u64)khz * HZ_PER_KHZ);
}
static DEVICE_ATTR_RO(freq1_input);

static ssize_t freq1_label_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "engine\n");
}
static DEVICE_ATTR_RO(freq1_label);

static struct attribute *snpu_hwmon_attrs[] = {
	&dev_attr_freq1_input.attr,
	&dev_attr_freq1_label.attr,
	NULL
};
ATTRIBUTE_GROUPS(snpu_hwmon);

static const struct hwmon_ops snpu_hwmon_ops = {
	.is_visible = snpu_hwmon_is_visible,
	.read = snpu_hwmon_read,
	.read_string = snpu_hwmon_read_string,
};

static const struct hwmon_channel_info * const snpu_hwmon_info[] = {
	HWMON_CHANNEL_INFO(temp, HWMON_T_INPUT | HWMON_T_CRIT | HWMON_T_LABEL),
	HWMON_CHANNEL_INFO(power, HWMON_P_AVERAGE | HWMON_P_LABEL),
	HWMON_CHANNEL_INFO(energy, HWMON_E_INPUT | HWMON_E_LABEL),
	NULL
};

static const struct hwmon_chip_info snpu_hwmon_chip = {
	.ops = &snpu_hwmon_ops,
	.info = snpu_hwmon_info,
};

/* A card works without it. */
void snpu_hwmon_init(struct snpu_device *snpu)
{
	struct device *hwmon;

	if (SNPU_GET(snpu->hw_version, HW_VERSION, MINOR) < 2)
		return;
	hwmon = devm_hwmon_device_register_with_info(snpu->drm.dev, "snpu", snpu, &snpu_hwmon_chip,
						     snpu_hwmon_groups);
	if (IS_ERR(hwmon))
		drm_warn(&snpu->drm, "no hardware monitor, error %pe\n", hwmon);
}
