/* SPDX-License-Identifier: MIT */
/*
 * The test assembler's words beside the text GNU as is given for the same instruction: each mnemonic at least once
 * with all register fields different and the immediate's bits all exercised. Branches and jumps are relative to themselves.
 */
#ifndef SNPU_TESTS_UNIT_RV32_LISTING_H
#define SNPU_TESTS_UNIT_RV32_LISTING_H

#include "tests/unit/rv32_asm.h"

static const struct { const char *text; uint32_t word; } rv32_listing[] = {
	{ "lui x1, 0xfffff", LUI(1, 0xfffff) }, { "lui x31, 0x12345", LUI(31, 0x12345) }, { "auipc x5, 0x80001", AUIPC(5, 0x80001) },
	{ "jal x1, .+4", JAL(1, 4) }, { "jal x31, .-4", JAL(31, -4) }, { "jal x2, .+0xffffe", JAL(2, 0xffffe) }, { "jal x2, .-0x100000", JAL(2, -0x100000) },
	{ "jal x0, .+0x800", JAL(0, 0x800) }, { "jal x0, .+0x55554", JAL(0, 0x55554) }, { "jal x0, .+0x2aaaa", JAL(0, 0x2aaaa) },
	{ "jalr x1, 2047(x2)", JALR(1, 2, 2047) }, { "jalr x30, -2048(x29)", JALR(30, 29, -2048) },
	{ "beq x1, x2, .+4094", BEQ(1, 2, 4094) }, { "beq x31, x30, .-4096", BEQ(31, 30, -4096) }, { "bne x3, x4, .+0x554", BNE(3, 4, 0x554) },
	{ "blt x5, x6, .+0xaaa", BLT(5, 6, 0xaaa) }, { "bge x7, x8, .+0x800", BGE(7, 8, 0x800) }, { "bltu x9, x10, .-2", BLTU(9, 10, -2) },
	{ "bgeu x11, x12, .+30", BGEU(11, 12, 30) },
	{ "lb x1, -1(x2)", LB(1, -1, 2) }, { "lh x3, 2047(x4)", LH(3, 2047, 4) }, { "lw x5, -2048(x6)", LW(5, -2048, 6) },
	{ "lbu x7, 0x555(x8)", LBU(7, 0x555, 8) }, { "lhu x9, 0x2aa(x10)", LHU(9, 0x2aa, 10) },
	{ "sb x1, -1(x2)", SB(1, -1, 2) }, { "sh x31, 2047(x30)", SH(31, 2047, 30) }, { "sw x5, -2048(x6)", SW(5, -2048, 6) }, { "sw x7, 0x555(x8)", SW(7, 0x555, 8) },
	{ "addi x1, x2, -1", ADDI(1, 2, -1) }, { "slti x3, x4, 2047", SLTI(3, 4, 2047) }, { "sltiu x5, x6, -2048", SLTIU(5, 6, -2048) },
	{ "xori x7, x8, 0x555", XORI(7, 8, 0x555) }, { "ori x9, x10, 0x2aa", ORI(9, 10, 0x2aa) }, { "andi x11, x12, 1", ANDI(11, 12, 1) },
	{ "slli x13, x14, 31", SLLI(13, 14, 31) }, { "srli x15, x16, 21", SRLI(15, 16, 21) }, { "srai x17, x18, 10", SRAI(17, 18, 10) },
	{ "add x1, x2, x3", ADD(1, 2, 3) }, { "sub x31, x30, x29", SUB(31, 30, 29) }, { "sll x4, x5, x6", SLL(4, 5, 6) }, { "slt x7, x8, x9", SLT(7, 8, 9) },
	{ "sltu x10, x11, x12", SLTU(10, 11, 12) }, { "xor x13, x14, x15", XOR(13, 14, 15) }, { "srl x16, x17, x18", SRL(16, 17, 18) },
	{ "sra x19, x20, x21", SRA(19, 20, 21) }, { "or x22, x23, x24", OR(22, 23, 24) }, { "and x25, x26, x27", AND(25, 26, 27) },
	{ "fence", FENCE(0, 15, 15) }, { "fence r, w", FENCE(0, 2, 1) }, { "fence.tso", FENCE(8, 3, 3) }, { "fence.i", FENCE_I },
	{ "ecall", ECALL }, { "ebreak", EBREAK }, { "mret", MRET }, { "wfi", WFI }, { "nop", NOP },
	{ "mul x1, x2, x3", MUL(1, 2, 3) }, { "mulh x4, x5, x6", MULH(4, 5, 6) }, { "mulhsu x7, x8, x9", MULHSU(7, 8, 9) }, { "mulhu x10, x11, x12", MULHU(10, 11, 12) },
	{ "div x13, x14, x15", DIV(13, 14, 15) }, { "divu x16, x17, x18", DIVU(16, 17, 18) }, { "rem x19, x20, x21", REM(19, 20, 21) }, { "remu x22, x23, x24", REMU(22, 23, 24) },
	{ "csrrw x1, mstatus, x2", CSRRW(1, 0x300, 2) }, { "csrrs x3, mtvec, x4", CSRRS(3, 0x305, 4) }, { "csrrc x5, mip, x6", CSRRC(5, 0x344, 6) },
	{ "csrrwi x7, mscratch, 31", CSRRWI(7, 0x340, 31) }, { "csrrsi x8, mie, 8", CSRRSI(8, 0x304, 8) }, { "csrrci x9, mcycleh, 21", CSRRCI(9, 0xb80, 21) },
	/* the CSR numbers of the header, by name */
	{ "csrr x1, misa", CSRRS(1, 0x301, 0) }, { "csrr x1, mcountinhibit", CSRRS(1, 0x320, 0) }, { "csrr x1, mepc", CSRRS(1, 0x341, 0) }, { "csrr x1, mcause", CSRRS(1, 0x342, 0) },
	{ "csrr x1, mtval", CSRRS(1, 0x343, 0) }, { "csrr x1, mcycle", CSRRS(1, 0xb00, 0) }, { "csrr x1, minstret", CSRRS(1, 0xb02, 0) }, { "csrr x1, minstreth", CSRRS(1, 0xb82, 0) },
	{ "csrr x1, cycle", CSRRS(1, 0xc00, 0) }, { "csrr x1, instret", CSRRS(1, 0xc02, 0) }, { "csrr x1, cycleh", CSRRS(1, 0xc80, 0) }, { "csrr x1, instreth", CSRRS(1, 0xc82, 0) },
	{ "csrr x1, mvendorid", CSRRS(1, 0xf11, 0) }, { "csrr x1, marchid", CSRRS(1, 0xf12, 0) }, { "csrr x1, mimpid", CSRRS(1, 0xf13, 0) }, { "csrr x1, mhartid", CSRRS(1, 0xf14, 0) },
	{ "csrr x1, mhpmcounter3", CSRRS(1, 0xb03, 0) }, { "csrr x1, mhpmcounter31h", CSRRS(1, 0xb9f, 0) }, { "csrr x1, mhpmevent31", CSRRS(1, 0x33f, 0) },
	{ "csrr x1, mstatush", CSRRS(1, 0x310, 0) },
};

#endif
