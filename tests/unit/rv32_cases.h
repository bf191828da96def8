/* SPDX-License-Identifier: MIT */
/*
 * What each computing instruction gives: operands and results worked out by hand from the ISA manual (volume I,
 * 2.4 integer computation, 2.6 loads and stores, 7 "M"). Nothing here was produced by running the interpreter.
 */
#ifndef SNPU_TESTS_UNIT_RV32_CASES_H
#define SNPU_TESTS_UNIT_RV32_CASES_H

#include "tests/unit/rv32_asm.h"

#define MIN	0x80000000u
#define MAX	0x7fffffffu
#define M1	0xffffffffu	/* -1 */

/* rd = op(rs1, rs2); insn has all register fields zero */
struct rr_case { const char *name; uint32_t insn, a, b, want; };

#define RR(op_, a_, b_, want_) { #op_ " " #a_ ", " #b_, op_(0, 0, 0), a_, b_, want_ }
static const struct rr_case rr_cases[] = {
	/* wraps modulo 2^32 */
	RR(ADD, 3, 4, 7), RR(ADD, 5, M1, 4), RR(ADD, MAX, 1, MIN), RR(ADD, M1, 1, 0), RR(ADD, MIN, MIN, 0),
	RR(ADD, MIN, M1, MAX), RR(ADD, 0, 0, 0), RR(ADD, 0x12345678, 0x11111111, 0x23456789),
	RR(SUB, 7, 4, 3), RR(SUB, 4, 7, 0xfffffffd), RR(SUB, 0, 1, M1), RR(SUB, MIN, 1, MAX), RR(SUB, 0, MIN, MIN),
	RR(SUB, MAX, M1, MIN), RR(SUB, 9, 9, 0),
	/* the amount is the low 5 bits of rs2 */
	RR(SLL, 1, 0, 1), RR(SLL, 1, 31, MIN), RR(SLL, 0x80000001, 1, 2), RR(SLL, 1, 32, 1), RR(SLL, 0x0f0f0f0f, 0xffffffe4, 0xf0f0f0f0),
	RR(SRL, MIN, 31, 1), RR(SRL, M1, 4, 0x0fffffff), RR(SRL, MIN, 0, MIN), RR(SRL, 0x12345678, 33, 0x091a2b3c), RR(SRL, 1, 1, 0),
	RR(SRA, MIN, 31, M1), RR(SRA, M1, 4, M1), RR(SRA, MAX, 30, 1), RR(SRA, 0x87654321, 8, 0xff876543), RR(SRA, MIN, 32, MIN),
	RR(SRA, 0x40000000, 0xffffffff, 0),
	/* signed, unsigned */
	RR(SLT, 1, 2, 1), RR(SLT, 2, 1, 0), RR(SLT, M1, 0, 1), RR(SLT, 0, M1, 0), RR(SLT, MIN, MAX, 1), RR(SLT, MAX, MIN, 0), RR(SLT, MIN, MIN, 0),
	RR(SLTU, 1, 2, 1), RR(SLTU, 2, 1, 0), RR(SLTU, M1, 0, 0), RR(SLTU, 0, M1, 1), RR(SLTU, MAX, MIN, 1), RR(SLTU, 0, 0, 0), RR(SLTU, M1, M1, 0),
	RR(XOR, 0xff00ff00, 0x0ff00ff0, 0xf0f0f0f0), RR(XOR, M1, 0x12345678, 0xedcba987), RR(XOR, 5, 5, 0),
	RR(OR, 0xff00ff00, 0x0ff00ff0, 0xfff0fff0), RR(OR, 0, 0, 0), RR(OR, MIN, 1, 0x80000001),
	RR(AND, 0xff00ff00, 0x0ff00ff0, 0x0f000f00), RR(AND, M1, 0x12345678, 0x12345678), RR(AND, 0xaaaaaaaa, 0x55555555, 0),

	/* the low 32 bits; 0x10001^2 = 0x1_0002_0001, (2^31-1)^2 = 2^62 - 2^32 + 1 */
	RR(MUL, 7, 6, 42), RR(MUL, 7, 0xfffffffa, 0xffffffd6), RR(MUL, M1, M1, 1), RR(MUL, MIN, M1, MIN), RR(MUL, MIN, MIN, 0),
	RR(MUL, 0x10001, 0x10001, 0x00020001), RR(MUL, 0, M1, 0), RR(MUL, MAX, MAX, 1), RR(MUL, 0x10000, 0x10000, 0),
	/* signed x signed: (-2^31)^2 = 2^62; (2^31-1)^2 = 2^62 - 2^32 + 1; -2^31 * (2^31-1) = -2^62 + 2^31 */
	RR(MULH, 7, 6, 0), RR(MULH, 7, 0xfffffffa, M1), RR(MULH, M1, M1, 0), RR(MULH, MIN, MIN, 0x40000000), RR(MULH, MAX, MAX, 0x3fffffff),
	RR(MULH, MIN, MAX, 0xc0000000), RR(MULH, MAX, MIN, 0xc0000000), RR(MULH, 0x10000, 0x10000, 1), RR(MULH, MIN, 1, M1), RR(MULH, M1, 0, 0),
	/* signed rs1 x unsigned rs2: -1 * (2^32-1) = -2^32 + 1; -2^31 * (2^32-1) = -2^63 + 2^31; 1 * (2^32-1) */
	RR(MULHSU, M1, M1, M1), RR(MULHSU, MIN, M1, 0x80000000), RR(MULHSU, 1, M1, 0), RR(MULHSU, MAX, M1, 0x7ffffffe), RR(MULHSU, M1, 1, M1),
	RR(MULHSU, MIN, MIN, 0xc0000000), RR(MULHSU, 2, MIN, 1), RR(MULHSU, M1, 0, 0), RR(MULHSU, 0, M1, 0),
	/* unsigned x unsigned: (2^32-1)^2 = 2^64 - 2^33 + 1; 2^31 * 2^31 = 2^62 */
	RR(MULHU, M1, M1, 0xfffffffe), RR(MULHU, MIN, MIN, 0x40000000), RR(MULHU, M1, 1, 0), RR(MULHU, M1, 2, 1), RR(MULHU, MAX, 2, 0),
	RR(MULHU, 0x10001, 0x10001, 1), RR(MULHU, MIN, M1, MAX), RR(MULHU, 0, M1, 0),

	/* rounds towards zero; table 7.1: x / 0 = -1, overflow = the dividend */
	RR(DIV, 20, 6, 3), RR(DIV, 0xffffffec, 6, 0xfffffffd), RR(DIV, 20, 0xfffffffa, 0xfffffffd), RR(DIV, 0xffffffec, 0xfffffffa, 3),
	RR(DIV, 5, 0, M1), RR(DIV, 0xfffffffb, 0, M1), RR(DIV, 0, 0, M1), RR(DIV, MIN, 0, M1), RR(DIV, MIN, M1, MIN), RR(DIV, MIN, 1, MIN),
	RR(DIV, MAX, M1, 0x80000001), RR(DIV, 0, 5, 0), RR(DIV, MIN, 2, 0xc0000000), RR(DIV, 3, 4, 0),
	RR(DIVU, 20, 6, 3), RR(DIVU, 0xffffffec, 6, 0x2aaaaaa7), RR(DIVU, M1, M1, 1), RR(DIVU, MIN, M1, 0), RR(DIVU, 5, 0, M1), RR(DIVU, 0, 0, M1),
	RR(DIVU, M1, 1, M1), RR(DIVU, M1, 2, MAX), RR(DIVU, M1, 0, M1),
	/* the sign of the dividend; x % 0 = x, overflow = 0 */
	RR(REM, 20, 6, 2), RR(REM, 0xffffffec, 6, 0xfffffffe), RR(REM, 20, 0xfffffffa, 2), RR(REM, 0xffffffec, 0xfffffffa, 0xfffffffe),
	RR(REM, 5, 0, 5), RR(REM, 0xfffffffb, 0, 0xfffffffb), RR(REM, 0, 0, 0), RR(REM, MIN, 0, MIN), RR(REM, MIN, M1, 0), RR(REM, MAX, M1, 0),
	RR(REM, MIN, MAX, M1), RR(REM, 3, 4, 3),
	RR(REMU, 20, 6, 2), RR(REMU, 0xffffffec, 6, 2), RR(REMU, MIN, M1, MIN), RR(REMU, M1, M1, 0), RR(REMU, 5, 0, 5), RR(REMU, 0, 0, 0),
	RR(REMU, M1, 2, 1), RR(REMU, M1, 0, M1),
};

/* rd = op(rs1, immediate) */
struct ri_case { const char *name; uint32_t insn, a, want; };

#define RI(op_, a_, imm_, want_) { #op_ " " #a_ ", " #imm_, op_(0, 0, imm_), a_, want_ }
static const struct ri_case ri_cases[] = {
	/* the immediate is 12 bits, sign-extended */
	RI(ADDI, 3, 4, 7), RI(ADDI, 3, -4, M1), RI(ADDI, MAX, 1, MIN), RI(ADDI, MIN, -1, MAX), RI(ADDI, 0, 2047, 0x7ff), RI(ADDI, 0, -2048, 0xfffff800),
	RI(ADDI, 0x1000, -1, 0xfff), RI(ADDI, M1, 1, 0), RI(ADDI, 0x12345678, 0, 0x12345678),
	RI(SLTI, 1, 2, 1), RI(SLTI, 2, 1, 0), RI(SLTI, M1, 0, 1), RI(SLTI, 0, -1, 0), RI(SLTI, MIN, -2048, 1), RI(SLTI, MAX, 2047, 0), RI(SLTI, 5, 5, 0),
	/* sign-extended first, then compared as unsigned */
	RI(SLTIU, 0, 1, 1), RI(SLTIU, 1, 1, 0), RI(SLTIU, 5, -1, 1), RI(SLTIU, M1, -1, 0), RI(SLTIU, 0xfffff7ff, -2048, 1), RI(SLTIU, M1, 1, 0), RI(SLTIU, 0x800, 2047, 0),
	RI(XORI, 0x12345678, -1, 0xedcba987), RI(XORI, 0xff, 0x0f, 0xf0), RI(XORI, 0, -2048, 0xfffff800),
	RI(ORI, 0x12345000, 0x678, 0x12345678), RI(ORI, 0, -1, M1), RI(ORI, 0xf0, 0x0f, 0xff),
	RI(ANDI, 0x12345678, 0xff, 0x78), RI(ANDI, 0x12345678, -256, 0x12345600), RI(ANDI, M1, 2047, 0x7ff),
	RI(SLLI, 1, 0, 1), RI(SLLI, 1, 31, MIN), RI(SLLI, 0x80000001, 1, 2), RI(SLLI, 0x12345678, 16, 0x56780000),
	RI(SRLI, MIN, 31, 1), RI(SRLI, M1, 1, MAX), RI(SRLI, 0x12345678, 0, 0x12345678), RI(SRLI, 0x80000000, 4, 0x08000000),
	RI(SRAI, MIN, 31, M1), RI(SRAI, M1, 1, M1), RI(SRAI, 0x12345678, 0, 0x12345678), RI(SRAI, 0x80000000, 4, 0xf8000000), RI(SRAI, MAX, 30, 1),
};

/* The memory at DATA for the loads: bytes 80 7f ff 01, 34 92 78 56 */
#define LOAD_WORD0	0x01ff7f80u
#define LOAD_WORD1	0x56789234u
struct load_case { const char *name; uint32_t insn; int32_t base; uint32_t want; };	/* rs1 = DATA + base */

#define LD(op_, imm_, base_, want_) { #op_ " " #imm_ "(DATA + " #base_ ")", op_(0, imm_, 0), base_, want_ }
static const struct load_case load_cases[] = {
	LD(LB, 0, 0, 0xffffff80), LD(LB, 1, 0, 0x7f), LD(LB, 2, 0, M1), LD(LB, 3, 0, 1), LD(LB, -1, 4, 1), LD(LB, 2047, -2045, M1), LD(LB, -2048, 2048, 0xffffff80),
	LD(LBU, 0, 0, 0x80), LD(LBU, 1, 0, 0x7f), LD(LBU, 2, 0, 0xff), LD(LBU, -4, 7, 1), LD(LBU, 5, 0, 0x92),
	LD(LH, 0, 0, 0x7f80), LD(LH, 2, 0, 0x01ff), LD(LH, 4, 0, 0xffff9234), LD(LH, -2, 8, 0x5678), LD(LH, 3, 1, 0xffff9234),
	LD(LHU, 0, 0, 0x7f80), LD(LHU, 4, 0, 0x9234), LD(LHU, -4, 8, 0x9234),
	LD(LW, 0, 0, 0x01ff7f80), LD(LW, 4, 0, 0x56789234), LD(LW, -4, 8, 0x56789234), LD(LW, 2044, -2044, 0x01ff7f80),
};

/* x7 = 0x89abcdef is stored over eleven words of 0x55555555; want are the two words at DATA and DATA + 4 */
struct store_case { const char *name; uint32_t insn; int32_t base; uint32_t want0, want1; };

#define ST(op_, imm_, base_, w0_, w1_) { #op_ " " #imm_ "(DATA + " #base_ ")", op_(0, imm_, 0), base_, w0_, w1_ }
static const struct store_case store_cases[] = {
	ST(SB, 0, 0, 0x555555ef, 0x55555555), ST(SB, 1, 0, 0x5555ef55, 0x55555555), ST(SB, 2, 0, 0x55ef5555, 0x55555555), ST(SB, 3, 0, 0xef555555, 0x55555555),
	ST(SB, -1, 5, 0x55555555, 0x555555ef), ST(SB, 2047, -2047, 0x555555ef, 0x55555555), ST(SB, -2048, 2052, 0x55555555, 0x555555ef),
	ST(SH, 0, 0, 0x5555cdef, 0x55555555), ST(SH, 2, 0, 0xcdef5555, 0x55555555), ST(SH, -4, 10, 0x55555555, 0xcdef5555), ST(SH, 31, -31, 0x5555cdef, 0x55555555),
	ST(SW, 0, 0, 0x89abcdef, 0x55555555), ST(SW, 4, 0, 0x55555555, 0x89abcdef), ST(SW, -32, 32, 0x89abcdef, 0x55555555), ST(SW, 2044, -2040, 0x55555555, 0x89abcdef),
};

/* At pc = CODE; rd = x5. BLT and friends compare x6 with x7. */
struct branch_case { const char *name; uint32_t insn, a, b; int32_t moved; };	/* pc afterwards - CODE */

#define BR(op_, a_, b_, off_, moved_) { #op_ " " #a_ ", " #b_ ", " #off_, op_(6, 7, off_), a_, b_, moved_ }
static const struct branch_case branch_cases[] = {
	BR(BEQ, 1, 1, 8, 8), BR(BEQ, 1, 2, 8, 4), BR(BEQ, M1, M1, -4096, -4096), BR(BEQ, MIN, 0, 8, 4), BR(BEQ, 0, 0, 4092, 4092), BR(BEQ, 0, 0, 0, 0),
	BR(BNE, 1, 1, 8, 4), BR(BNE, 1, 2, 8, 8), BR(BNE, MIN, MAX, -4, -4), BR(BNE, 0, 0, -4, 4),
	BR(BLT, 1, 2, 16, 16), BR(BLT, 2, 1, 16, 4), BR(BLT, 1, 1, 16, 4), BR(BLT, M1, 0, 16, 16), BR(BLT, 0, M1, 16, 4), BR(BLT, MIN, MAX, 2048, 2048), BR(BLT, MAX, MIN, 16, 4),
	BR(BGE, 1, 2, 16, 4), BR(BGE, 2, 1, 16, 16), BR(BGE, 1, 1, 16, 16), BR(BGE, M1, 0, 16, 4), BR(BGE, 0, M1, 16, 16), BR(BGE, MAX, MIN, -2048, -2048), BR(BGE, MIN, MAX, 16, 4),
	BR(BLTU, 1, 2, 32, 32), BR(BLTU, 2, 1, 32, 4), BR(BLTU, 1, 1, 32, 4), BR(BLTU, M1, 0, 32, 4), BR(BLTU, 0, M1, 32, 32), BR(BLTU, MAX, MIN, 32, 32), BR(BLTU, MIN, MAX, 32, 4),
	BR(BGEU, 1, 2, 32, 4), BR(BGEU, 2, 1, 32, 32), BR(BGEU, 1, 1, 32, 32), BR(BGEU, M1, 0, 32, 32), BR(BGEU, 0, M1, 32, 4), BR(BGEU, MAX, MIN, 32, 4), BR(BGEU, MIN, MAX, -32, -32),
};

#endif
