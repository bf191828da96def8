// SPDX-License-Identifier: MIT
/*
 * rv32_program.h as a bare-metal RV32IM image, loaded and entered at its first byte (.init): sets up a stack, leaves the
 * results on the bus and sleeps. Runs in the interpreter only; rv32_test.c carries the image.
 */
#include "tests/unit/rv32_program.h"

void program_start(void);
void program_main(void);

__attribute__((naked, section(".init"))) void program_start(void)
{
	asm volatile("li sp, 0xfff0\n"
		     "jal program_main\n"
		     "1: wfi\n"
		     "j 1b");
}

void program_main(void)
{
	volatile uint32_t *bus = (volatile uint32_t *)PROGRAM_OUT;
	uint32_t out[PROGRAM_RESULTS];

	program_run(out);
	for (int i = 0; i < PROGRAM_RESULTS; i++)
		bus[i] = out[i];
}
