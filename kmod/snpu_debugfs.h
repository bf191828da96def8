/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files below /sys/kernel/debug/accel/<address>/.
 */
#ifndef SNPU_DEBUGFS_H
#define SNPU_DEBUGFS_H

struct snpu_device;

void snpu_debugfs_init(struct snpu_device *snpu);
void snpu_debugfs_fini(struct snpu_device *snpu);

#endif
