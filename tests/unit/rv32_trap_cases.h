/* SPDX-License-Identifier: MIT */
/*
 * What traps, with which cause and mtval, and what a CSR keeps of what is written to it: by hand from the ISA manual
 * (volume I chapters 2, 7, 9, 24; volume II chapter 3). x6 and x7 are the operands, x5 the destination.
 */
#ifndef SNPU_TESTS_UNIT_RV32_TRAP_CASES_H
#define SNPU_TESTS_UNIT_RV32_TRAP_CASES_H

#include "tests/unit/rv32_asm.h"

/* Every one is an illegal instruction with mtval = the word. */
static const struct { const char *name; uint32_t insn; } illegal_cases[] = {
	{ "all zeros", 0 }, { "all ones", 0xffffffff }, { "compressed c.li a0, 0", 0x4501 }, { "compressed c.nop", 0x0001 }, { "compressed quadrant 2", 0x8082 },
	{ "slli with funct7 0x20", FMT_R(0x20, 1, 6, 1, 5, 0x13) }, { "slli by 32", FMT_R(0x01, 0, 6, 1, 5, 0x13) }, { "srli by 32", FMT_R(0x01, 0, 6, 5, 5, 0x13) },
	{ "srai by 32", FMT_R(0x21, 0, 6, 5, 5, 0x13) }, { "srli with funct7 0x40", FMT_R(0x40, 0, 6, 5, 5, 0x13) },
	{ "sll with funct7 0x20", FMT_R(0x20, 7, 6, 1, 5, 0x33) }, { "slt with funct7 0x20", FMT_R(0x20, 7, 6, 2, 5, 0x33) }, { "andn", FMT_R(0x20, 7, 6, 7, 5, 0x33) },
	{ "xnor", FMT_R(0x20, 7, 6, 4, 5, 0x33) }, { "op with funct7 2", FMT_R(0x02, 7, 6, 0, 5, 0x33) }, { "op with funct7 0x21", FMT_R(0x21, 7, 6, 0, 5, 0x33) },
	{ "op with funct7 0x7f", FMT_R(0x7f, 7, 6, 0, 5, 0x33) },
	{ "ld", FMT_I(0, 6, 3, 5, 0x03) }, { "lwu", FMT_I(0, 6, 6, 5, 0x03) }, { "load funct3 7", FMT_I(0, 6, 7, 5, 0x03) },
	{ "sd", FMT_S(0, 7, 6, 3, 0x23) }, { "store funct3 4", FMT_S(0, 7, 6, 4, 0x23) }, { "store funct3 7", FMT_S(0, 7, 6, 7, 0x23) },
	{ "branch funct3 2", FMT_B(8, 7, 6, 2, 0x63) }, { "branch funct3 3", FMT_B(8, 7, 6, 3, 0x63) }, { "jalr funct3 1", FMT_I(0, 6, 1, 5, 0x67) }, { "jalr funct3 7", FMT_I(0, 6, 7, 5, 0x67) },
	{ "misc-mem funct3 2", FMT_I(0, 6, 2, 0, 0x0f) }, { "misc-mem funct3 7", FMT_I(0, 6, 7, 0, 0x0f) },
	{ "load-fp", FMT_I(0, 6, 2, 5, 0x07) }, { "custom-0", FMT_I(0, 6, 0, 5, 0x0b) }, { "op-imm-32", FMT_I(0, 6, 0, 5, 0x1b) }, { "48-bit", 0x1f }, { "store-fp", FMT_S(0, 7, 6, 2, 0x27) },
	{ "custom-1", FMT_I(0, 6, 0, 5, 0x2b) }, { "amo", FMT_R(0, 7, 6, 2, 5, 0x2f) }, { "op-32", FMT_R(0, 7, 6, 0, 5, 0x3b) }, { "64-bit", 0x3f }, { "madd", 0x43 }, { "msub", 0x47 },
	{ "nmsub", 0x4b }, { "nmadd", 0x4f }, { "op-fp", 0x53 }, { "op-v", 0x57 }, { "custom-2", 0x5b }, { "reserved 0x6b", 0x6b }, { "op-ve", 0x77 }, { "custom-3", 0x7b }, { "80-bit", 0x7f },
	{ "uret", 0x00200073 }, { "sret", 0x10200073 }, { "mnret", 0x70200073 }, { "dret", 0x7b200073 }, { "sfence.vma", 0x12000073 }, { "ecall with rd", ECALL | 1 << 7 },
	{ "ebreak with rs1", EBREAK | 1 << 15 }, { "mret with rd", MRET | 1 << 7 }, { "wfi with rs1", WFI | 1 << 15 }, { "system funct3 4", FMT_I(0x340, 6, 4, 5, 0x73) },
	/* CSRs this hart does not have */
	{ "fflags", CSRRS(5, 0x001, 0) }, { "fcsr", CSRRW(5, 0x003, 6) }, { "sstatus", CSRRS(5, 0x100, 0) }, { "satp", CSRRS(5, 0x180, 0) }, { "medeleg", CSRRS(5, 0x302, 0) },
	{ "mideleg", CSRRW(5, 0x303, 6) }, { "mcounteren", CSRRS(5, 0x306, 0) }, { "menvcfg", CSRRS(5, 0x30a, 0) }, { "mhpmevent before the first", CSRRS(5, 0x322, 0) },
	{ "mtinst", CSRRS(5, 0x34a, 0) }, { "pmpcfg0", CSRRW(5, 0x3a0, 6) }, { "pmpaddr0", CSRRS(5, 0x3b0, 0) }, { "pmpaddr63", CSRRSI(5, 0x3ef, 1) }, { "tselect", CSRRS(5, 0x7a0, 0) },
	{ "dcsr", CSRRS(5, 0x7b0, 0) }, { "0xb01", CSRRS(5, 0xb01, 0) }, { "0xb81", CSRRS(5, 0xb81, 0) }, { "0xb20", CSRRS(5, 0xb20, 0) }, { "time", CSRRS(5, 0xc01, 0) },
	{ "timeh", CSRRS(5, 0xc81, 0) }, { "hpmcounter3", CSRRS(5, 0xc03, 0) }, { "0xf10", CSRRS(5, 0xf10, 0) }, { "0xfff", CSRRS(5, 0xfff, 0) },
	/* writes to read-only CSRs; a register that holds zero still writes, so does csrrwi of zero */
	{ "csrrw cycle", CSRRW(5, 0xc00, 6) }, { "csrrw x0, instret, x0", CSRRW(0, 0xc02, 0) }, { "csrrs cycleh, x8 = 0", CSRRS(5, 0xc80, 8) }, { "csrrc instreth", CSRRC(5, 0xc82, 6) },
	{ "csrrwi mhartid, 0", CSRRWI(5, 0xf14, 0) }, { "csrrsi mvendorid, 1", CSRRSI(5, 0xf11, 1) }, { "csrrci marchid, 1", CSRRCI(5, 0xf12, 1) }, { "csrrw mimpid", CSRRW(5, 0xf13, 6) },
	{ "csrrw mconfigptr", CSRRW(0, 0xf15, 6) },
};

/* 0xdead0000 is refused by the bus, 0x40000000 is not. pc = CODE = 0x1000. */
static const struct { const char *name; uint32_t insn, x6, cause, tval; } trap_cases[] = {
	{ "ecall", ECALL, 0, 11, 0 }, { "ebreak", EBREAK, 0, 3, 0x1000 },
	{ "jal to pc + 2", JAL(5, 2), 0, 0, 0x1002 }, { "jal to pc - 6", JAL(5, -6), 0, 0, 0xffa }, { "jalr to 0x2002", JALR(5, 6, 0), 0x2002, 0, 0x2002 },
	{ "jalr to 0x2003", JALR(5, 6, 0), 0x2003, 0, 0x2002 }, { "jalr to 0x1fff + 3", JALR(5, 6, 3), 0x1fff, 0, 0x2002 },
	{ "beq to pc + 2", BEQ(0, 0, 2), 0, 0, 0x1002 }, { "bne to pc - 2", BNE(6, 0, -2), 1, 0, 0xffe }, { "blt to pc + 6", BLT(6, 0, 6), 0xffffffff, 0, 0x1006 },
	{ "bge to pc + 6", BGE(6, 0, 6), 1, 0, 0x1006 }, { "bltu to pc + 6", BLTU(0, 6, 6), 1, 0, 0x1006 }, { "bgeu to pc + 6", BGEU(6, 0, 6), 1, 0, 0x1006 },
	{ "lh 1", LH(5, 1, 6), 0x2000, 4, 0x2001 }, { "lhu 3", LHU(5, 3, 6), 0x2000, 4, 0x2003 }, { "lw 1", LW(5, 1, 6), 0x2000, 4, 0x2001 }, { "lw 2", LW(5, 2, 6), 0x2000, 4, 0x2002 },
	{ "lw 3", LW(5, 3, 6), 0x2000, 4, 0x2003 }, { "lw -1", LW(5, -1, 6), 0x2000, 4, 0x1fff }, { "lw bus + 2", LW(5, 2, 6), 0x40000000, 4, 0x40000002 },
	{ "lh refused + 1", LH(5, 1, 6), 0xdead0000, 4, 0xdead0001 }, { "lw over the end of the TCM", LW(5, -2, 6), 0x10000, 4, 0xfffe },
	{ "sh 1", SH(7, 1, 6), 0x2000, 6, 0x2001 }, { "sw 1", SW(7, 1, 6), 0x2000, 6, 0x2001 }, { "sw 2", SW(7, 2, 6), 0x2000, 6, 0x2002 }, { "sw 3", SW(7, 3, 6), 0x2000, 6, 0x2003 },
	{ "sw bus + 1", SW(7, 1, 6), 0x40000000, 6, 0x40000001 }, { "sh over the end of the TCM", SH(7, -1, 6), 0x10000, 6, 0xffff },
	{ "lb refused", LB(5, 0, 6), 0xdead0000, 5, 0xdead0000 }, { "lbu refused", LBU(5, 0, 6), 0xdead0000, 5, 0xdead0000 }, { "lh refused", LH(5, 0, 6), 0xdead0000, 5, 0xdead0000 },
	{ "lhu refused", LHU(5, 16, 6), 0xdeacfff0, 5, 0xdead0000 }, { "lw refused", LW(5, -4, 6), 0xdead0004, 5, 0xdead0000 }, { "lw x0 refused", LW(0, 0, 6), 0xdead0000, 5, 0xdead0000 },
	{ "sb refused", SB(7, 0, 6), 0xdead0000, 7, 0xdead0000 }, { "sh refused", SH(7, 0, 6), 0xdead0000, 7, 0xdead0000 }, { "sw refused", SW(7, 4, 6), 0xdeacfffc, 7, 0xdead0000 },
};

/* What a CSR holds after all ones and after zero were written. */
static const struct { const char *name; unsigned int csr; uint32_t ones, zeros; } warl_cases[] = {
	{ "mstatus", 0x300, 0x1888, 0x1800 },	/* MPP stays 3: there is no other mode */
	{ "misa", 0x301, 0x40001100, 0x40001100 }, { "mie", 0x304, 0x888, 0 }, { "mstatush", 0x310, 0, 0 },
	{ "mtvec", 0x305, 0xfffffffd, 0 },	/* mode 3 is reserved */
	{ "mscratch", 0x340, 0xffffffff, 0 }, { "mepc", 0x341, 0xfffffffc, 0 }, { "mcause", 0x342, 0xffffffff, 0 }, { "mtval", 0x343, 0xffffffff, 0 },
	{ "mip", 0x344, 0, 0 },			/* the lines' own */
	{ "mcountinhibit", 0x320, 5, 0 }, { "mhpmevent3", 0x323, 0, 0 }, { "mhpmevent31", 0x33f, 0, 0 }, { "mhpmcounter3", 0xb03, 0, 0 }, { "mhpmcounter31", 0xb1f, 0, 0 },
	{ "mhpmcounter3h", 0xb83, 0, 0 }, { "mhpmcounter31h", 0xb9f, 0, 0 },
};

/* csr is mscratch = 0xf0f0f00f; x6 = 0x0000ff1f */
static const struct { const char *name; uint32_t insn, want; } csr_op_cases[] = {
	{ "csrrw", CSRRW(5, 0x340, 6), 0x0000ff1f }, { "csrrs", CSRRS(5, 0x340, 6), 0xf0f0ff1f }, { "csrrc", CSRRC(5, 0x340, 6), 0xf0f00000 },
	{ "csrrwi", CSRRWI(5, 0x340, 17), 17 }, { "csrrsi", CSRRSI(5, 0x340, 17), 0xf0f0f01f }, { "csrrci", CSRRCI(5, 0x340, 9), 0xf0f0f006 },
	{ "csrrw x0", CSRRW(0, 0x340, 6), 0x0000ff1f }, { "csrrw from x0", CSRRW(5, 0x340, 0), 0 }, { "csrrs from x0", CSRRS(5, 0x340, 0), 0xf0f0f00f },
	{ "csrrc from x0", CSRRC(5, 0x340, 0), 0xf0f0f00f }, { "csrrwi 0", CSRRWI(5, 0x340, 0), 0 }, { "csrrsi 0", CSRRSI(5, 0x340, 0), 0xf0f0f00f }, { "csrrci 0", CSRRCI(5, 0x340, 0), 0xf0f0f00f },
	{ "csrrwi 31", CSRRWI(5, 0x340, 31), 31 },
};

#endif
