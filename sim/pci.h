/* SPDX-License-Identifier: MIT */
/*
 * The configuration space of one PCI Express endpoint function, 4096 bytes.
 *
 * Concepts
 *   function    type 0 header; capabilities: power management, PCI Express endpoint (with function level reset),
 *               MSI-X or MSI; extended capabilities: advanced error reporting, device serial number.
 *   writable    each bit of the space is read-only, read-write, or write-1-to-clear. A write changes only what the
 *               register allows, and tells which of a few *events* it caused; acting on them is left to the caller.
 *   FLR         "initiate function level reset" is a write-only bit, so it is an event, never a state.
 *
 * The other side (QEMU) keeps its own BARs, MSI and MSI-X registers over these; a client that does not, works too.
 * Threads: all of it belongs to the thread that serves the socket, except pci_func_power() and pci_func_bus_master(),
 * which any thread may call.
 */
#ifndef SNPU_SIM_PCI_H
#define SNPU_SIM_PCI_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PCI_FUNC_SPACE	4096u		/* bytes of configuration space */
#define PCI_FUNC_BARS	6u
#define PCI_FUNC_MAX_MSIX 2048u
#define PCI_FUNC_MAX_MSI 8u

struct pci_bar {
	uint64_t size;			/* bytes, a power of two >= 128; 0: there is no such BAR */
	bool wide;			/* 64-bit address: takes the next BAR's place too, whose size must be 0 */
	bool prefetch;
};

enum pci_irq_mode { PCI_IRQ_NONE, PCI_IRQ_MSIX, PCI_IRQ_MSI };

struct pci_config {
	uint16_t vendor, device, subsys_vendor, subsys;
	uint8_t revision;
	uint32_t class_code;		/* 24 bits: base class, subclass, interface */
	struct pci_bar bar[PCI_FUNC_BARS];
	enum pci_irq_mode irq_mode;
	unsigned int nvec;		/* vectors: MSI-X 1..2048, MSI 1, 2, 4 or 8 */
	unsigned int msix_bar;		/* where table (16 bytes a vector) and pending bits (8 bytes per 64 vectors) lie */
	uint32_t msix_table_off, msix_pba_off;	/* bytes, multiples of 8, inside the BAR, not overlapping */
	uint64_t serial;		/* device serial number; 0: no such capability */
};

enum pci_power { PCI_D0 = 0, PCI_D3HOT = 3 };

struct pci_func {
	struct pci_config cfg;
	uint8_t val[PCI_FUNC_SPACE], rw[PCI_FUNC_SPACE], w1c[PCI_FUNC_SPACE];	/* value, writable bits, clear-by-1 bits */
	uint16_t pm, pcie, msi, msix, aer, dsn;		/* offsets of the capabilities, 0: absent */
	atomic_uint state;				/* copy of power state and bus master bit for other threads */
};

/* What a write to the configuration space caused. */
#define PCI_EV_FLR	0x1u
#define PCI_EV_POWER	0x2u		/* pci_func_power() changed */
#define PCI_EV_COMMAND	0x4u		/* the command register changed: memory decode, bus mastering */

/* Builds the space. -EINVAL when cfg contradicts itself; *why (if not NULL) then says how, in a static sentence. */
int pci_func_init(struct pci_func *f, const struct pci_config *cfg, const char **why) __attribute__((warn_unused_result));

/* Copies [off, off + len) out. -EINVAL outside the space. */
int pci_func_read(const struct pci_func *f, uint64_t off, void *buf, size_t len) __attribute__((warn_unused_result));

/* Writes [off, off + len); returns events (PCI_EV_*), or -EINVAL outside the space. */
int pci_func_write(struct pci_func *f, uint64_t off, const void *buf, size_t len) __attribute__((warn_unused_result));

/* Everything to its power-on value. (Nothing here sets the sticky error bits that a real reset would keep.) */
void pci_func_reset(struct pci_func *f);

enum pci_power pci_func_power(const struct pci_func *f);
bool pci_func_bus_master(const struct pci_func *f);

#endif
