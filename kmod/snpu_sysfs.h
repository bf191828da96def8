/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Attributes of the PCI device.
 */
#ifndef SNPU_SYSFS_H
#define SNPU_SYSFS_H

struct attribute_group;

extern const struct attribute_group *snpu_dev_groups[];

#endif
