/* SPDX-License-Identifier: MIT */
/* SNPU cards as the PCI bus shows them, also those that no driver has taken. */
#ifndef SNPU_TOOLS_PCI_H
#define SNPU_TOOLS_PCI_H

#include <stdint.h>

#define SNPU_PCI_BARS	6

struct snpu_pci_card {
	char bus_id[32];			/* "0000:01:00.0" */
	char driver[64];			/* "snpu", "vfio-pci"; "" when none is bound */
	char node[64];				/* "/dev/accel/accel0"; "" when there is none */
	char mode[16];				/* "crw-rw----"; "" without a node */
	char owner[80];				/* "root:render" */
	int accessible;				/* 1: this user may open the node for reading and writing */
	uint16_t vendor, device, subvendor, subdevice;
	uint8_t revision;
	int iommu_group;			/* -1: none */
	int numa_node;				/* -1: none */
	uint64_t bar_size[SNPU_PCI_BARS];	/* bytes; 0: not there */
	/* From the driver; -1: it does not tell. */
	int asleep;				/* 1: it sleeps, and then has no readings */
	int64_t temp_mc;			/* thousandths of a degree */
	int64_t power_uw, energy_uj;		/* average; since power-up */
	int64_t busy_us;			/* time that jobs were on the engine since the driver was bound */
};

/*
 * All SNPU cards of the machine in the order of the bus, in a new array to free(). Returns how many, or a negative
 * errno: -ENOSYS when the machine shows no PCI bus (some containers), -EIO when libpci cannot read it.
 */
int snpu_pci_cards(struct snpu_pci_card **cards);

#endif
