/* SPDX-License-Identifier: MIT */
/*
 * The card's management core: one RV32IM_Zicsr_Zifencei hart in machine mode, interpreted. A pure function of
 * (state, bus): no I/O, no globals, no allocation, no clock of its own. The caller owns the state and the memory,
 * runs the hart in slices, drives its three interrupt lines and answers its loads and stores outside the TCM.
 *
 * PROGRAMMING MODEL (The RISC-V Instruction Set Manual, volume I 20191213 and volume II 20211203)
 *   Instructions  RV32I, M, Zicsr, FENCE and FENCE.I (the hart sees its own stores at once: both do nothing),
 *                 ECALL, EBREAK, MRET, WFI. Everything else, compressed instructions too, is illegal.
 *   Memory        Little-endian. TCM: [tcm_base, tcm_base + tcm_size), code and data. All other addresses go to the
 *                 bus, for data only: a fetch outside the TCM is an instruction access fault.
 *   Alignment     4 bytes for instructions, natural for data; nothing is emulated. A misaligned load or store traps as
 *                 misaligned even where the address would fault too.
 *   Traps         mepc = the instruction (or, for an interrupt, the one not yet executed); mcause; mtval = the instruction
 *                 word (illegal), the address (misaligned, access fault), pc (EBREAK), 0 (ECALL, interrupt).
 *   Interrupts    MEI before MSI before MTI; level lines, read in mip, not writable there. Looked at before every
 *                 instruction, so a line changed by a store is seen by the next one.
 *   WFI           Ends when a line enabled in mie is high, whatever mstatus.MIE says. The clock stops meanwhile.
 *   Lockup        An exception before the first instruction of an exception handler has retired can only repeat for
 *                 ever. The hart stops instead, keeping mepc, mcause and mtval of the first exception for whoever
 *                 writes the crash record; only rv32_reset() ends it.
 *   Reset         pc = entry, mstatus.MIE = 0, mie = 0, x1..x31 = 0, counters = 0 and running. mtvec = 0xfffffffc, which is
 *                 no memory: an exception before the firmware has set mtvec is a lockup, not a jump into data.
 *   Time          mcycle counts one for each instruction tried, minstret each one retired. There is no `time` CSR:
 *                 mtime is a device on the bus.
 *
 *   CSRs          mstatus (MIE, MPIE; MPP reads 3; the rest 0), mstatush, misa, mie and mip (bits 3, 7, 11), mtvec (direct and
 *                 vectored), mscratch, mepc (bits 1:0 are 0), mcause, mtval, mcountinhibit (CY, IR), mcycle(h), minstret(h),
 *                 cycle(h), instret(h), mvendorid, marchid, mimpid, mhartid, mconfigptr; mhpmcounter3..31(h) and
 *                 mhpmevent3..31 read 0 and ignore writes. Any other number is illegal: there is no PMP and no S or U mode.
 */
#ifndef SNPU_SIM_RV32_H
#define SNPU_SIM_RV32_H

#include <stdbool.h>
#include <stdint.h>

enum rv32_stop {
	RV32_STOP_BUDGET,	/* n instructions were tried; call again */
	RV32_STOP_WFI,		/* asleep: nothing happens before a line enabled in mie goes high */
	RV32_STOP_LOCKUP,	/* dead until rv32_reset(); see lockup_cause */
};

/* Interrupt lines: the values are the bit numbers in mie and mip and the codes in mcause. */
enum rv32_line {
	RV32_LINE_SOFT	= 3,
	RV32_LINE_TIMER	= 7,
	RV32_LINE_EXT	= 11,
};

enum rv32_cause {
	RV32_CAUSE_FETCH_MISALIGNED	= 0,
	RV32_CAUSE_FETCH_ACCESS		= 1,
	RV32_CAUSE_ILLEGAL		= 2,
	RV32_CAUSE_BREAKPOINT		= 3,
	RV32_CAUSE_LOAD_MISALIGNED	= 4,
	RV32_CAUSE_LOAD_ACCESS		= 5,
	RV32_CAUSE_STORE_MISALIGNED	= 6,
	RV32_CAUSE_STORE_ACCESS		= 7,
	RV32_CAUSE_ECALL_M		= 11,
};
#define RV32_CAUSE_INTERRUPT	0x80000000u	/* | enum rv32_line */

enum rv32_csr {
	RV32_CSR_MSTATUS = 0x300, RV32_CSR_MISA = 0x301, RV32_CSR_MIE = 0x304, RV32_CSR_MTVEC = 0x305,
	RV32_CSR_MSTATUSH = 0x310, RV32_CSR_MCOUNTINHIBIT = 0x320, RV32_CSR_MHPMEVENT3 = 0x323, RV32_CSR_MHPMEVENT31 = 0x33f,
	RV32_CSR_MSCRATCH = 0x340, RV32_CSR_MEPC = 0x341, RV32_CSR_MCAUSE = 0x342, RV32_CSR_MTVAL = 0x343, RV32_CSR_MIP = 0x344,
	RV32_CSR_MCYCLE = 0xb00, RV32_CSR_MINSTRET = 0xb02, RV32_CSR_MHPMCOUNTER3 = 0xb03, RV32_CSR_MHPMCOUNTER31 = 0xb1f,
	RV32_CSR_MCYCLEH = 0xb80, RV32_CSR_MINSTRETH = 0xb82, RV32_CSR_MHPMCOUNTER3H = 0xb83, RV32_CSR_MHPMCOUNTER31H = 0xb9f,
	RV32_CSR_CYCLE = 0xc00, RV32_CSR_INSTRET = 0xc02, RV32_CSR_CYCLEH = 0xc80, RV32_CSR_INSTRETH = 0xc82,
	RV32_CSR_MVENDORID = 0xf11, RV32_CSR_MARCHID = 0xf12, RV32_CSR_MIMPID = 0xf13, RV32_CSR_MHARTID = 0xf14,
	RV32_CSR_MCONFIGPTR = 0xf15,
};

#define RV32_MSTATUS_MIE	(1u << 3)
#define RV32_MSTATUS_MPIE	(1u << 7)
#define RV32_MSTATUS_MPP	(3u << 11)

/*
 * Data accesses outside the TCM. width is 1, 2 or 4 bytes, addr a multiple of it. 0 = done, anything else = the hart
 * takes a load or store access fault and a loaded value is not used. A load leaves the value in the low bits of
 * *value; bits above the width are ignored. Called on the thread in rv32_run(); of this header's functions a callback may
 * call rv32_line_set() and rv32_csr_read() only.
 */
struct rv32_bus {
	int (*load)(void *ctx, uint32_t addr, unsigned int width, uint32_t *value);
	int (*store)(void *ctx, uint32_t addr, unsigned int width, uint32_t value);
};

struct rv32_config {
	uint8_t *tcm;			/* [tcm_size], the caller's; outlives the hart */
	uint32_t tcm_base, tcm_size;	/* bytes, multiples of 4, size at least 4, no wrap past 2^32 */
	const struct rv32_bus *bus;	/* both functions set; outlives the hart */
	void *bus_ctx;			/* handed to them */
};

/*
 * A 64-bit counter that costs nothing while it runs: its value is `now - ref`, with `now` the hart's count of steps (or of
 * steps retired); stopped by mcountinhibit, its value is `ref`.
 */
struct rv32_counter {
	uint64_t ref;
	bool stopped;
};

/*
 * The hart. Everything belongs to the thread in rv32_run(), except `lines`, which any thread may drive. x, pc, steps and
 * the lockup fields may be read, and x and pc written, between two calls of rv32_run(); the rest is private.
 */
struct rv32 {
	uint32_t x[32];			/* x[0] is 0 */
	uint32_t pc;
	uint32_t lines;			/* atomic; bits 1 << enum rv32_line */
	uint32_t mstatus;		/* MIE and MPIE only */
	uint32_t mie;
	enum { RV32_RUNNING, RV32_WAITING, RV32_LOCKED } power;
	struct rv32_config cfg;
	uint64_t steps;			/* instructions tried since reset; software cannot change it */
	uint64_t exceptions;		/* of these, those that did not retire */
	uint64_t trap_mark;		/* instructions retired at the last exception */
	struct rv32_counter cycle, instret;
	uint32_t mtvec, mscratch, mepc, mcause, mtval;
	uint32_t lockup_cause;		/* the exception that could not be taken (enum rv32_cause), after a lockup */
	uint32_t lockup_tval;		/* what its mtval would have been */
};

/*
 * Binds *cpu to its memory and bus and resets it with entry = tcm_base. -EINVAL when cfg breaks a rule written at its
 * fields; *cpu is then unusable.
 */
int rv32_init(struct rv32 *cpu, const struct rv32_config *cfg) __attribute__((warn_unused_result));

/*
 * Power-on reset with pc = entry; TCM and the interrupt lines stay as they are. -EINVAL, and nothing changed, when entry is not a multiple of 4.
 * An entry outside the TCM is accepted: the first fetch then ends in a lockup.
 */
int rv32_reset(struct rv32 *cpu, uint32_t entry) __attribute__((warn_unused_result));

/*
 * Tries up to n instructions and says why it stopped; cpu->steps tells how many were tried. Entering an interrupt is not
 * an instruction. n = 0 runs nothing and says in which state the hart is. One thread at a time.
 */
enum rv32_stop rv32_run(struct rv32 *cpu, uint64_t n);

/*
 * Drives a level-sensitive interrupt line. From any thread, also while the hart runs. What was written to memory before
 * raising the line is seen by the hart when it takes the interrupt. Does not wake a thread that waits outside: that is the caller's.
 */
void rv32_line_set(struct rv32 *cpu, enum rv32_line line, bool level);

/*
 * Reads a CSR as the next instruction would. 0, or -ENOENT when the hart has no such CSR. On the running thread or between runs.
 */
int rv32_csr_read(const struct rv32 *cpu, unsigned int csr, uint32_t *value) __attribute__((warn_unused_result));

#endif
