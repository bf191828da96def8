/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The card's sensors as a hardware monitor.
 */
#ifndef SNPU_HWMON_H
#define SNPU_HWMON_H

struct snpu_device;

#ifdef CONFIG_HWMON
void snpu_hwmon_init(struct snpu_device *snpu);
#else
static inline void snpu_hwmon_init(struct snpu_device *snpu)
{
}
#endif

#endif
