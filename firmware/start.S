/* SPDX-License-Identifier: MIT */
/*
 * Entry and trap entry. The stack is the lowest memory of the TCM and grows down, so that an overflow runs off the
 * memory and traps instead of writing over data. Interrupts are never taken (mstatus.MIE stays 0; they only end WFI), so
 * whatever comes to trap_entry is a crash: it saves all registers and does not return.
 */

	.section .text.start, "ax"
	.globl	start
start:
	la	t0, trap_entry
	csrw	mtvec, t0
	la	t0, trap_frame
	csrw	mscratch, t0
	la	sp, stack_top
	la	t0, bss_start
	la	t1, bss_end
1:	bgeu	t0, t1, 2f
	sw	zero, 0(t0)
	addi	t0, t0, 4
	j	1b
2:	li	t0, (1 << 7) | (1 << 11)	/* timer and external interrupts end WFI */
	csrw	mie, t0
	call	main
	/* main does not return */

/* mscratch holds the frame, and zero after the first crash: a crash while crashing stops the core without a record. */
	.balign	4
trap_entry:
	csrrw	sp, mscratch, sp
	beqz	sp, crash_again
	.irp	n, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	sw	x\n, 4 * \n(sp)
	.endr
	csrrw	t0, mscratch, zero		/* the sp of the code that crashed */
	sw	t0, 8(sp)
	csrr	t0, mepc
	sw	t0, 128(sp)
	csrr	t0, mcause
	sw	t0, 132(sp)
	csrr	t0, mtval
	sw	t0, 136(sp)
	mv	a0, sp
	la	sp, trap_stack_top
	call	trap_crash
crash_again:
	csrw	mscratch, zero
	la	sp, trap_stack_top
	call	trap_again

	.bss
	.balign	16
trap_frame:
	.skip	35 * 4
	.balign	16
	.skip	1024
trap_stack_top:
