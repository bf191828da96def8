/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What makes and ends pauses: snpu_pm, snpu_sleep and snpu_bus.
 */
#ifndef SNPU_PAUSE_H
#define SNPU_PAUSE_H

#include "snpu_reset.h"

struct device;
struct snpu_device;

int snpu_pause_begin(struct snpu_device *snpu, enum snpu_reset_rung how);
int snpu_pause_collect(struct snpu_device *snpu);
void snpu_pause_end(struct snpu_device *snpu);

int snpu_sleep_prepare(struct device *dev);
void snpu_sleep_complete(struct device *dev);

extern const struct pci_error_handlers snpu_bus_error_handlers;

#endif
