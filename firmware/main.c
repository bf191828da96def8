/* SPDX-License-Identifier: MIT */
/*
 * The loop. mstatus.MIE stays 0, so an interrupt line that rises during a pass is not lost: it is still high at
 * the next WFI, which then does not wait.
 */
#include "fw.h"

int main(void)
{
	core_boot();
	for (;;) {
		__asm__ volatile("wfi" ::: "memory");
		core_pass();
	}
}
