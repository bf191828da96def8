/* SPDX-License-Identifier: MIT */
/*
 * A one-line-per-instruction assembler for the RV32 tests: constant expressions, written from the format pictures of
 * the ISA manual (volume I, figures 2.3 and 2.4, and the listings of chapter 24), knowing nothing of the interpreter.
 * rv32_test.c compares every one of them with the words GNU as makes.
 */
#ifndef SNPU_TESTS_UNIT_RV32_ASM_H
#define SNPU_TESTS_UNIT_RV32_ASM_H

#include <stdint.h>

#define U32(v_)		((uint32_t)(v_))
#define BITS(v_, hi_, lo_) (U32(v_) >> (lo_) & ((2u << ((hi_) - (lo_))) - 1))

/* figure 2.3: R, I, S, U and figure 2.4: B, J */
#define FMT_R(f7, rs2, rs1, f3, rd, op) (U32(f7) << 25 | U32(rs2) << 20 | U32(rs1) << 15 | U32(f3) << 12 | U32(rd) << 7 | (op))
#define FMT_I(imm, rs1, f3, rd, op)	(BITS(imm, 11, 0) << 20 | U32(rs1) << 15 | U32(f3) << 12 | U32(rd) << 7 | (op))
#define FMT_S(imm, rs2, rs1, f3, op)	(BITS(imm, 11, 5) << 25 | U32(rs2) << 20 | U32(rs1) << 15 | U32(f3) << 12 | BITS(imm, 4, 0) << 7 | (op))
#define FMT_B(imm, rs2, rs1, f3, op)	(BITS(imm, 12, 12) << 31 | BITS(imm, 10, 5) << 25 | U32(rs2) << 20 | U32(rs1) << 15 | \
					 U32(f3) << 12 | BITS(imm, 4, 1) << 8 | BITS(imm, 11, 11) << 7 | (op))
#define FMT_U(imm20, rd, op)		(U32(imm20) << 12 | U32(rd) << 7 | (op))
#define FMT_J(imm, rd, op)		(BITS(imm, 20, 20) << 31 | BITS(imm, 10, 1) << 21 | BITS(imm, 11, 11) << 20 | \
					 BITS(imm, 19, 12) << 12 | U32(rd) << 7 | (op))

/* RV32I */
#define LUI(rd, imm20)		FMT_U(imm20, rd, 0x37)
#define AUIPC(rd, imm20)	FMT_U(imm20, rd, 0x17)
#define JAL(rd, off)		FMT_J(off, rd, 0x6f)
#define JALR(rd, rs1, imm)	FMT_I(imm, rs1, 0, rd, 0x67)
#define BEQ(rs1, rs2, off)	FMT_B(off, rs2, rs1, 0, 0x63)
#define BNE(rs1, rs2, off)	FMT_B(off, rs2, rs1, 1, 0x63)
#define BLT(rs1, rs2, off)	FMT_B(off, rs2, rs1, 4, 0x63)
#define BGE(rs1, rs2, off)	FMT_B(off, rs2, rs1, 5, 0x63)
#define BLTU(rs1, rs2, off)	FMT_B(off, rs2, rs1, 6, 0x63)
#define BGEU(rs1, rs2, off)	FMT_B(off, rs2, rs1, 7, 0x63)
#define LB(rd, imm, rs1)	FMT_I(imm, rs1, 0, rd, 0x03)
#define LH(rd, imm, rs1)	FMT_I(imm, rs1, 1, rd, 0x03)
#define LW(rd, imm, rs1)	FMT_I(imm, rs1, 2, rd, 0x03)
#define LBU(rd, imm, rs1)	FMT_I(imm, rs1, 4, rd, 0x03)
#define LHU(rd, imm, rs1)	FMT_I(imm, rs1, 5, rd, 0x03)
#define SB(rs2, imm, rs1)	FMT_S(imm, rs2, rs1, 0, 0x23)
#define SH(rs2, imm, rs1)	FMT_S(imm, rs2, rs1, 1, 0x23)
#define SW(rs2, imm, rs1)	FMT_S(imm, rs2, rs1, 2, 0x23)
#define ADDI(rd, rs1, imm)	FMT_I(imm, rs1, 0, rd, 0x13)
#define SLTI(rd, rs1, imm)	FMT_I(imm, rs1, 2, rd, 0x13)
#define SLTIU(rd, rs1, imm)	FMT_I(imm, rs1, 3, rd, 0x13)
#define XORI(rd, rs1, imm)	FMT_I(imm, rs1, 4, rd, 0x13)
#define ORI(rd, rs1, imm)	FMT_I(imm, rs1, 6, rd, 0x13)
#define ANDI(rd, rs1, imm)	FMT_I(imm, rs1, 7, rd, 0x13)
#define SLLI(rd, rs1, sh)	FMT_R(0x00, sh, rs1, 1, rd, 0x13)
#define SRLI(rd, rs1, sh)	FMT_R(0x00, sh, rs1, 5, rd, 0x13)
#define SRAI(rd, rs1, sh)	FMT_R(0x20, sh, rs1, 5, rd, 0x13)
#define ADD(rd, rs1, rs2)	FMT_R(0x00, rs2, rs1, 0, rd, 0x33)
#define SUB(rd, rs1, rs2)	FMT_R(0x20, rs2, rs1, 0, rd, 0x33)
#define SLL(rd, rs1, rs2)	FMT_R(0x00, rs2, rs1, 1, rd, 0x33)
#define SLT(rd, rs1, rs2)	FMT_R(0x00, rs2, rs1, 2, rd, 0x33)
#define SLTU(rd, rs1, rs2)	FMT_R(0x00, rs2, rs1, 3, rd, 0x33)
#define XOR(rd, rs1, rs2)	FMT_R(0x00, rs2, rs1, 4, rd, 0x33)
#define SRL(rd, rs1, rs2)	FMT_R(0x00, rs2, rs1, 5, rd, 0x33)
#define SRA(rd, rs1, rs2)	FMT_R(0x20, rs2, rs1, 5, rd, 0x33)
#define OR(rd, rs1, rs2)	FMT_R(0x00, rs2, rs1, 6, rd, 0x33)
#define AND(rd, rs1, rs2)	FMT_R(0x00, rs2, rs1, 7, rd, 0x33)
#define FENCE(fm, pred, succ)	FMT_I((fm) << 8 | (pred) << 4 | (succ), 0, 0, 0, 0x0f)
#define ECALL			0x00000073u
#define EBREAK			0x00100073u

/* M */
#define MUL(rd, rs1, rs2)	FMT_R(0x01, rs2, rs1, 0, rd, 0x33)
#define MULH(rd, rs1, rs2)	FMT_R(0x01, rs2, rs1, 1, rd, 0x33)
#define MULHSU(rd, rs1, rs2)	FMT_R(0x01, rs2, rs1, 2, rd, 0x33)
#define MULHU(rd, rs1, rs2)	FMT_R(0x01, rs2, rs1, 3, rd, 0x33)
#define DIV(rd, rs1, rs2)	FMT_R(0x01, rs2, rs1, 4, rd, 0x33)
#define DIVU(rd, rs1, rs2)	FMT_R(0x01, rs2, rs1, 5, rd, 0x33)
#define REM(rd, rs1, rs2)	FMT_R(0x01, rs2, rs1, 6, rd, 0x33)
#define REMU(rd, rs1, rs2)	FMT_R(0x01, rs2, rs1, 7, rd, 0x33)

/* Zifencei, Zicsr, machine mode */
#define FENCE_I			FMT_I(0, 0, 1, 0, 0x0f)
#define CSRRW(rd, csr, rs1)	FMT_I(csr, rs1, 1, rd, 0x73)
#define CSRRS(rd, csr, rs1)	FMT_I(csr, rs1, 2, rd, 0x73)
#define CSRRC(rd, csr, rs1)	FMT_I(csr, rs1, 3, rd, 0x73)
#define CSRRWI(rd, csr, uimm)	FMT_I(csr, uimm, 5, rd, 0x73)
#define CSRRSI(rd, csr, uimm)	FMT_I(csr, uimm, 6, rd, 0x73)
#define CSRRCI(rd, csr, uimm)	FMT_I(csr, uimm, 7, rd, 0x73)
#define MRET			0x30200073u
#define WFI			0x10500073u
#define NOP			ADDI(0, 0, 0)

#endif
