/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The management core's view of the card: its memory map, its private registers, and the values in them. Shared by
 * the firmware and the simulator; the host never includes it.
 */
#ifndef SNPU_CORE_H
#define SNPU_CORE_H

#include "snpu_types.h"

#define SNPU_CORE_TCM		0x00000000u	/* code and data of the firmware */
#define SNPU_CORE_TCM_SIZE	0x00040000u	/* 256 KiB */
#define SNPU_CORE_REGS		0x40000000u
#define SNPU_CORE_REGS_SIZE	0x00001000u
#define SNPU_CORE_CTL		0x80000000u	/* the control area, all of it */

#define COREREG(name, offset, access, doc)	SNPU_CORE_REG_##name = (offset),
enum snpu_core_reg {
#include "snpu_core.def"
};

enum snpu_core_irq {
	SNPU_CORE_IRQ_CMD = 1u << 0,		/* CMD_DOORBELL was written */
	SNPU_CORE_IRQ_DOORBELL = 1u << 1,	/* any bit of DB_PENDING */
	SNPU_CORE_IRQ_ENGINE = 1u << 2,		/* the engine stopped */
};

/*
 * START runs the job at ENG_DESC from its beginning, RESUME continues it from the queue context's saved state,
 * PREEMPT stops at the next packet boundary (but not before one packet was executed) and saves state, ABORT stops at
 * the next memory access, in the middle of a packet if need be, and saves nothing.
 * START and RESUME while BUSY are ignored; PREEMPT and ABORT while IDLE are ignored.
 */
enum snpu_eng_cmd {
	SNPU_ENG_START = 1,
	SNPU_ENG_RESUME = 2,
	SNPU_ENG_PREEMPT = 3,
	SNPU_ENG_ABORT = 4,
};

enum snpu_eng_state {
	SNPU_ENG_IDLE = 0,
	SNPU_ENG_BUSY = 1,
};

enum snpu_eng_result {
	SNPU_ENG_NONE = 0,
	SNPU_ENG_DONE = 1,
	SNPU_ENG_FAULT = 2,		/* the queue context holds the fault record */
	SNPU_ENG_PREEMPTED = 3,
	SNPU_ENG_ABORTED = 4,
};

#endif
