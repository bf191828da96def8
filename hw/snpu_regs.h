/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Offsets, masks and values of the registers listed in snpu_regs.def, and the constants of the card's PCI face.
 * SNPU_REG_<name> is an offset in BAR0, SNPU_<REG>_<FIELD>_MASK/_SHIFT a field.
 */
#ifndef SNPU_REGS_H
#define SNPU_REGS_H

#include "snpu_types.h"

#define SNPU_PCI_VENDOR		0x1af4
#define SNPU_PCI_DEVICE		0x10f5
#define SNPU_PCI_CLASS		0x120000	/* processing accelerator */

#define SNPU_BAR_REGS		0
#define SNPU_BAR_VRAM		2
#define SNPU_BAR_DOORBELL	4
#define SNPU_BAR_REGS_SIZE	0x10000
#define SNPU_MSIX_TABLE_OFFSET	0x8000		/* in BAR0 */
#define SNPU_MSIX_PBA_OFFSET	0xc000		/* in BAR0 */
#define SNPU_MSIX_VECTORS	2
#define SNPU_DOORBELL_STRIDE	0x1000		/* one page a queue, so that it can be mapped into one process */
#define SNPU_QUEUES		64
#define SNPU_BAR_DOORBELL_SIZE	(SNPU_QUEUES * SNPU_DOORBELL_STRIDE)
#define SNPU_VA_BITS		48
#define SNPU_ASIDS		1024		/* 0 is never used, so that a zeroed context cannot name one */
#define SNPU_RESET_KEY		0x52455345	/* 'ESER' */
#define SNPU_RESET_SOFT_KEY	0x534f4654	/* 'TFOS' */

#define REG(name, offset, access, reset, doc)	SNPU_REG_##name = (offset),
enum snpu_reg {
#include "snpu_regs.def"
};

#define REG(name, offset, access, reset, doc)	SNPU_RESETVAL_##name = (int)(reset),
enum snpu_reg_reset {
#include "snpu_regs.def"
};

#define DBREG(name, offset, access, doc)	SNPU_DB_##name = (offset),
enum snpu_doorbell_reg {
#include "snpu_regs.def"
};

#define FIELD(reg, name, hi, lo, doc)							\
	SNPU_##reg##_##name##_SHIFT = (lo),						\
	SNPU_##reg##_##name##_MASK = (int)((0xffffffffu >> (31 - (hi) + (lo))) << (lo)),
enum snpu_reg_field {
#include "snpu_regs.def"
};

/* One field of a register value; SNPU_GET(v, CAPS, QUEUES). */
#define SNPU_GET(v, reg, field)	(((v) & (__u32)SNPU_##reg##_##field##_MASK) >> SNPU_##reg##_##field##_SHIFT)
#define SNPU_PUT(v, reg, field)	(((__u32)(v) << SNPU_##reg##_##field##_SHIFT) & (__u32)SNPU_##reg##_##field##_MASK)

enum snpu_boot_state {
	SNPU_BOOT_IDLE = 0,
	SNPU_BOOT_LOADING = 1,
	SNPU_BOOT_RUNNING = 2,
	SNPU_BOOT_FAILED = 3,
};

/* BOOT_ERROR(name, value, sentence for people) */
#define SNPU_BOOT_ERRORS(BOOT_ERROR)						\
	BOOT_ERROR(NONE, 0, "no error")						\
	BOOT_ERROR(RANGE, 1, "the staged image lies outside the control area")	\
	BOOT_ERROR(MAGIC, 2, "the image does not start with the firmware magic")\
	BOOT_ERROR(HEADER, 3, "the image header is malformed")			\
	BOOT_ERROR(ABI, 4, "the image is for another major version of the card's contract") \
	BOOT_ERROR(SECTION, 5, "a section lies outside the image or the core's memory")	\
	BOOT_ERROR(HASH, 6, "the SHA-256 of the image does not match")		\
	BOOT_ERROR(ENTRY, 7, "the entry point lies outside the loaded code")	\
	BOOT_ERROR(ROLLBACK, 8, "the security version of the image is below FW_MIN_SECURITY")

#define SNPU_BOOT_ENUM(name, value, text) SNPU_BOOT_ERR_##name = (value),
enum snpu_boot_error { SNPU_BOOT_ERRORS(SNPU_BOOT_ENUM) };
#undef SNPU_BOOT_ENUM

enum snpu_core_state {
	SNPU_CORE_HALTED = 0,
	SNPU_CORE_RUNNING = 1,
	SNPU_CORE_WAITING = 2,		/* in WFI */
	SNPU_CORE_LOCKUP = 3,		/* a trap inside the trap handler */
	SNPU_CORE_CRASHED = 4,		/* the firmware gave up by itself and left a crash record */
};

#endif
