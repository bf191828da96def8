/* SPDX-License-Identifier: MIT */
/*
 * Programs of a few instructions for the management core on a card: what they begin with. x31 = core registers, x30 = a free page
 * of the control area, x29 = the bit of the external interrupt in mie. Four words.
 */
#ifndef SNPU_TESTS_CARD_ASM_H
#define SNPU_TESTS_CARD_ASM_H

#include "sim/rv32.h"
#include "tests/unit/rv32_asm.h"

#define CARD_PAGE	(SNPU_CTL_IMAGE + 0x80000u)	/* in the control area */
#define CARD_PROLOGUE	LUI(31, SNPU_CORE_REGS >> 12), LUI(30, (SNPU_CORE_CTL + CARD_PAGE) >> 12), LUI(29, 1), ADDI(29, 29, -0x800)

#endif
