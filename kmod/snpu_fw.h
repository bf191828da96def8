/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The firmware image and how it gets to run.
 */
#ifndef SNPU_FW_H
#define SNPU_FW_H

struct snpu_device;

int snpu_fw_load(struct snpu_device *snpu);
int snpu_fw_boot(struct snpu_device *snpu);
int snpu_fw_stop(struct snpu_device *snpu);

#endif
