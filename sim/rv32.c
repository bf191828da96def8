// SPDX-License-Identifier: MIT
/*
 * The RV32IM interpreter behind sim/rv32.h. Read rv32_run() at the end first: each step fetches a word from the TCM,
 * execute() picks the function of its major opcode, and that function returns the next pc. A trap is no different: trap()
 * fills the CSRs and returns the handler's address, so nothing needs an exit of its own. Runs on the caller's thread
 * and takes no lock; only the interrupt lines are shared. Devices, boot and sleeping belong to the caller.
 */
#include "sim/rv32.h"

#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#define unlikely(x) __builtin_expect(!!(x), 0)

#define MTVEC_RESET	0xfffffffcu	/* no memory there: see the header */
#define MTVEC_VECTORED	1u
#define MISA		(1u << 30 | 1u << ('I' - 'A') | 1u << ('M' - 'A'))
#define MIMPID		1u
#define LINES		(1u << RV32_LINE_SOFT | 1u << RV32_LINE_TIMER | 1u << RV32_LINE_EXT)
#define INHIBIT_CY	(1u << 0)
#define INHIBIT_IR	(1u << 2)

/* Major opcodes, instruction bits 6:2 (volume I, table 24.1). */
enum {
	OP_LOAD = 0x00, OP_MISC_MEM = 0x03, OP_IMM = 0x04, OP_AUIPC = 0x05, OP_STORE = 0x08, OP_OP = 0x0c, OP_LUI = 0x0d,
	OP_BRANCH = 0x18, OP_JALR = 0x19, OP_JAL = 0x1b, OP_SYSTEM = 0x1c,
};

/* --- fields ------------------------------------------------------------------------------------------------- */

static inline uint32_t rd(uint32_t insn)     { return insn >> 7 & 31; }
static inline uint32_t rs1(uint32_t insn)    { return insn >> 15 & 31; }
static inline uint32_t rs2(uint32_t insn)    { return insn >> 20 & 31; }
static inline uint32_t funct3(uint32_t insn) { return insn >> 12 & 7; }
static inline uint32_t funct7(uint32_t insn) { return insn >> 25; }
static inline uint32_t imm_i(uint32_t insn)  { return (uint32_t)((int32_t)insn >> 20); }
static inline uint32_t imm_s(uint32_t insn)  { return (uint32_t)((int32_t)insn >> 25) << 5 | rd(insn); }
static inline uint32_t imm_u(uint32_t insn)  { return insn & 0xfffff000; }

static inline uint32_t imm_b(uint32_t insn)
{
	return (insn & 0x80000000 ? 0xfffff000 : 0) | (insn & 0x80) << 4 | (insn >> 20 & 0x7e0) | (insn >> 7 & 0x1e);
}

static inline uint32_t imm_j(uint32_t insn)
{
	return (insn & 0x80000000 ? 0xfff00000 : 0) | (insn & 0xff000) | (insn >> 9 & 0x800) | (insn >> 20 & 0x7fe);
}

static inline void reg_set(struct rv32 *cpu, uint32_t r, uint32_t value)
{
	cpu->x[r] = value;
	cpu->x[0] = 0;
}

/* --- traps -------------------------------------------------------------------------------------------------- */

static uint32_t trap_enter(struct rv32 *cpu, uint32_t pc, uint32_t cause, uint32_t tval)
{
	uint32_t base = cpu->mtvec & ~3u;

	cpu->mepc = pc;
	cpu->mcause = cause;
	cpu->mtval = tval;
	cpu->mstatus = cpu->mstatus & RV32_MSTATUS_MIE ? RV32_MSTATUS_MPIE : 0;
	if (cause & RV32_CAUSE_INTERRUPT && cpu->mtvec & MTVEC_VECTORED)
		base += 4 * (cause & ~RV32_CAUSE_INTERRUPT);
	return base;
}

/* Takes an exception; returns the next pc. */
static __attribute__((noinline, cold)) uint32_t trap(struct rv32 *cpu, uint32_t pc, enum rv32_cause cause, uint32_t tval)
{
	uint64_t retired = cpu->steps - cpu->exceptions++;

	if (retired == cpu->trap_mark) {
		cpu->power = RV32_LOCKED;
		cpu->lockup_cause = cause;
		cpu->lockup_tval = tval;
		return pc;
	}
	cpu->trap_mark = retired;
	return trap_enter(cpu, pc, cause, tval);
}

static inline uint32_t illegal(struct rv32 *cpu, uint32_t pc, uint32_t insn)
{
	return trap(cpu, pc, RV32_CAUSE_ILLEGAL, insn);
}

static inline uint32_t lines_get(const struct rv32 *cpu)
{
	return __atomic_load_n(&cpu->lines, __ATOMIC_ACQUIRE);
}

static inline bool interrupt_due(const struct rv32 *cpu)
{
	return cpu->mstatus & RV32_MSTATUS_MIE && lines_get(cpu) & cpu->mie;
}

static void interrupt_take(struct rv32 *cpu)
{
	static const enum rv32_line by_priority[] = { RV32_LINE_EXT, RV32_LINE_SOFT, RV32_LINE_TIMER };
	uint32_t due = lines_get(cpu) & cpu->mie;

	for (unsigned int i = 0; i < 3; i++) {
		if (!(due >> by_priority[i] & 1))
			continue;
		cpu->pc = trap_enter(cpu, cpu->pc, RV32_CAUSE_INTERRUPT | by_priority[i], 0);
		return;
	}
}

/* --- CSRs --------------------------------------------------------------------------------------------------- */

static uint64_t counter_read(const struct rv32_counter *c, uint64_t now)
{
	return c->stopped ? c->ref : now - c->ref;
}

/* A written value stands in for the writing instruction's own count: the next instruction reads it unchanged. */
static void counter_write(struct rv32_counter *c, uint64_t now, bool high, uint32_t value)
{
	uint64_t old = counter_read(c, now);
	uint64_t new = high ? (uint64_t)value << 32 | (uint32_t)old : (old >> 32 << 32) | value;

	c->ref = c->stopped ? new : now + 1 - new;
}

/*
 * Stopping turns ref from an origin into a value, starting turns it back: both are now - ref. Plus one, because the
 * instruction that does it is still counted under the old setting.
 */
static void counter_stop(struct rv32_counter *c, uint64_t now, bool stop)
{
	if (c->stopped == stop)
		return;
	c->ref = now + 1 - c->ref;
	c->stopped = stop;
}

static uint64_t retired_now(const struct rv32 *cpu)
{
	return cpu->steps - cpu->exceptions;
}

/* The performance counters the privileged manual asks for and lets read as zero. */
static bool csr_is_hpm(unsigned int csr)
{
	return (csr >= RV32_CSR_MHPMEVENT3 && csr <= RV32_CSR_MHPMEVENT31) ||
	       (csr >= RV32_CSR_MHPMCOUNTER3 && csr <= RV32_CSR_MHPMCOUNTER31) ||
	       (csr >= RV32_CSR_MHPMCOUNTER3H && csr <= RV32_CSR_MHPMCOUNTER31H);
}

static uint64_t csr_counter(const struct rv32 *cpu, unsigned int csr)
{
	bool instret = csr & 2;

	return counter_read(instret ? &cpu->instret : &cpu->cycle, instret ? retired_now(cpu) : cpu->steps);
}

int rv32_csr_read(const struct rv32 *cpu, unsigned int csr, uint32_t *value)
{
	switch (csr) {
	case RV32_CSR_MSTATUS:	*value = cpu->mstatus | RV32_MSTATUS_MPP; return 0;
	case RV32_CSR_MISA:	*value = MISA; return 0;
	case RV32_CSR_MIE:	*value = cpu->mie; return 0;
	case RV32_CSR_MTVEC:	*value = cpu->mtvec; return 0;
	case RV32_CSR_MSCRATCH:	*value = cpu->mscratch; return 0;
	case RV32_CSR_MEPC:	*value = cpu->mepc; return 0;
	case RV32_CSR_MCAUSE:	*value = cpu->mcause; return 0;
	case RV32_CSR_MTVAL:	*value = cpu->mtval; return 0;
	case RV32_CSR_MIP:	*value = lines_get(cpu); return 0;
	case RV32_CSR_MIMPID:	*value = MIMPID; return 0;
	case RV32_CSR_MCOUNTINHIBIT:
		*value = (cpu->cycle.stopped ? INHIBIT_CY : 0) | (cpu->instret.stopped ? INHIBIT_IR : 0);
		return 0;
	case RV32_CSR_MCYCLE: case RV32_CSR_MINSTRET: case RV32_CSR_CYCLE: case RV32_CSR_INSTRET:
		*value = (uint32_t)csr_counter(cpu, csr);
		return 0;
	case RV32_CSR_MCYCLEH: case RV32_CSR_MINSTRETH: case RV32_CSR_CYCLEH: case RV32_CSR_INSTRETH:
		*value = (uint32_t)(csr_counter(cpu, csr) >> 32);
		return 0;
	case RV32_CSR_MSTATUSH: case RV32_CSR_MVENDORID: case RV32_CSR_MARCHID: case RV32_CSR_MHARTID: case RV32_CSR_MCONFIGPTR:
		*value = 0;
		return 0;
	default:
		*value = 0;
		return csr_is_hpm(csr) ? 0 : -ENOENT;
	}
}

/* csr is one that rv32_csr_read() knows and that is not read-only. Bits that cannot be written keep their value. */
static void csr_write(struct rv32 *cpu, unsigned int csr, uint32_t value)
{
	switch (csr) {
	case RV32_CSR_MSTATUS:	cpu->mstatus = value & (RV32_MSTATUS_MIE | RV32_MSTATUS_MPIE); break;
	case RV32_CSR_MIE:	cpu->mie = value & LINES; break;
	case RV32_CSR_MTVEC:	cpu->mtvec = value & ~2u; break;	/* modes 2 and 3 are reserved */
	case RV32_CSR_MSCRATCH:	cpu->mscratch = value; break;
	case RV32_CSR_MEPC:	cpu->mepc = value & ~3u; break;
	case RV32_CSR_MCAUSE:	cpu->mcause = value; break;
	case RV32_CSR_MTVAL:	cpu->mtval = value; break;
	case RV32_CSR_MCOUNTINHIBIT:
		counter_stop(&cpu->cycle, cpu->steps, value & INHIBIT_CY);
		counter_stop(&cpu->instret, retired_now(cpu), value & INHIBIT_IR);
		break;
	case RV32_CSR_MCYCLE: case RV32_CSR_MCYCLEH:
		counter_write(&cpu->cycle, cpu->steps, csr == RV32_CSR_MCYCLEH, value);
		break;
	case RV32_CSR_MINSTRET: case RV32_CSR_MINSTRETH:
		counter_write(&cpu->instret, retired_now(cpu), csr == RV32_CSR_MINSTRETH, value);
		break;
	default:	/* misa, mip, mstatush, mhpm*: writable by number, no bit that can change */
		break;
	}
}

/* CSRRW, CSRRS, CSRRC and their immediate forms (funct3 bit 2). */
static uint32_t exec_csr(struct rv32 *cpu, uint32_t pc, uint32_t insn)
{
	uint32_t op = funct3(insn) & 3, csr = insn >> 20, old;
	uint32_t operand = funct3(insn) & 4 ? rs1(insn) : cpu->x[rs1(insn)];
	/* Set and clear do not write when the field is zero; a register that holds zero does write. */
	bool writes = op == 1 || rs1(insn);
	bool read_only = csr >> 10 == 3;

	if (op == 0 || rv32_csr_read(cpu, csr, &old) || (writes && read_only))
		return illegal(cpu, pc, insn);
	if (writes)
		csr_write(cpu, csr, op == 1 ? operand : op == 2 ? old | operand : old & ~operand);
	reg_set(cpu, rd(insn), old);
	return pc + 4;
}

/* --- memory ------------------------------------------------------------------------------------------------- */

static inline uint32_t tcm_load(const uint8_t *p, unsigned int width)
{
	uint16_t half;
	uint32_t word;

	if (width == 1)
		return *p;
	if (width == 2) {
		memcpy(&half, p, sizeof(half));
		return le16toh(half);
	}
	memcpy(&word, p, sizeof(word));
	return le32toh(word);
}

static inline void tcm_store(uint8_t *p, unsigned int width, uint32_t value)
{
	uint16_t half = htole16((uint16_t)value);
	uint32_t word = htole32(value);

	if (width == 1)
		*p = (uint8_t)value;
	else if (width == 2)
		memcpy(p, &half, sizeof(half));
	else
		memcpy(p, &word, sizeof(word));
}

/* An aligned address below tcm_size has its whole word below it, because the size is a multiple of 4. */
static inline uint32_t load(struct rv32 *cpu, uint32_t pc, uint32_t insn, unsigned int width, unsigned int sign_shift)
{
	uint32_t addr = cpu->x[rs1(insn)] + imm_i(insn), off = addr - cpu->cfg.tcm_base, value = 0;

	if (unlikely(addr & (width - 1)))
		return trap(cpu, pc, RV32_CAUSE_LOAD_MISALIGNED, addr);
	if (off < cpu->cfg.tcm_size)
		value = tcm_load(cpu->cfg.tcm + off, width);
	else if (cpu->cfg.bus->load(cpu->cfg.bus_ctx, addr, width, &value))
		return trap(cpu, pc, RV32_CAUSE_LOAD_ACCESS, addr);
	else if (width < 4)
		value &= (1u << 8 * width) - 1;
	reg_set(cpu, rd(insn), (uint32_t)((int32_t)(value << sign_shift) >> sign_shift));
	return pc + 4;
}

static inline uint32_t exec_load(struct rv32 *cpu, uint32_t pc, uint32_t insn)
{
	switch (funct3(insn)) {
	case 0: return load(cpu, pc, insn, 1, 24);	/* LB */
	case 1: return load(cpu, pc, insn, 2, 16);	/* LH */
	case 2: return load(cpu, pc, insn, 4, 0);	/* LW */
	case 4: return load(cpu, pc, insn, 1, 0);	/* LBU */
	case 5: return load(cpu, pc, insn, 2, 0);	/* LHU */
	default: return illegal(cpu, pc, insn);
	}
}

static inline uint32_t store(struct rv32 *cpu, uint32_t pc, uint32_t insn, unsigned int width)
{
	uint32_t addr = cpu->x[rs1(insn)] + imm_s(insn), off = addr - cpu->cfg.tcm_base;
	uint32_t value = cpu->x[rs2(insn)];

	if (unlikely(addr & (width - 1)))
		return trap(cpu, pc, RV32_CAUSE_STORE_MISALIGNED, addr);
	if (off < cpu->cfg.tcm_size)
		tcm_store(cpu->cfg.tcm + off, width, value);
	else if (cpu->cfg.bus->store(cpu->cfg.bus_ctx, addr, width, width < 4 ? value & ((1u << 8 * width) - 1) : value))
		return trap(cpu, pc, RV32_CAUSE_STORE_ACCESS, addr);
	return pc + 4;
}

static inline uint32_t exec_store(struct rv32 *cpu, uint32_t pc, uint32_t insn)
{
	switch (funct3(insn)) {
	case 0: return store(cpu, pc, insn, 1);
	case 1: return store(cpu, pc, insn, 2);
	case 2: return store(cpu, pc, insn, 4);
	default: return illegal(cpu, pc, insn);
	}
}

/* --- arithmetic --------------------------------------------------------------------------------------------- */

/* funct3 selects; alt (instruction bit 30) turns ADD into SUB and SRL into SRA. */
static inline uint32_t alu(uint32_t op, bool alt, uint32_t a, uint32_t b)
{
	switch (op) {
	case 0: return alt ? a - b : a + b;
	case 1: return a << (b & 31);
	case 2: return (int32_t)a < (int32_t)b;
	case 3: return a < b;
	case 4: return a ^ b;
	case 5: return alt ? (uint32_t)((int32_t)a >> (b & 31)) : a >> (b & 31);
	case 6: return a | b;
	default: return a & b;
	}
}

/* Volume I, table 7.1: division by zero and overflow have values, not traps. */
static inline uint32_t muldiv(uint32_t op, uint32_t a, uint32_t b)
{
	int64_t sa = (int32_t)a, sb = (int32_t)b;

	switch (op) {
	case 0: return a * b;
	case 1: return (uint32_t)((uint64_t)(sa * sb) >> 32);
	case 2: return (uint32_t)((uint64_t)(sa * (int64_t)b) >> 32);
	case 3: return (uint32_t)((uint64_t)a * b >> 32);
	case 4: return b ? (uint32_t)(sa / sb) : UINT32_MAX;	/* 64-bit: INT32_MIN / -1 wraps to INT32_MIN */
	case 5: return b ? a / b : UINT32_MAX;
	case 6: return b ? (uint32_t)(sa % sb) : a;
	default: return b ? a % b : a;
	}
}

static inline uint32_t exec_imm(struct rv32 *cpu, uint32_t pc, uint32_t insn)
{
	uint32_t op = funct3(insn), f7 = funct7(insn);
	bool alt = op == 5 && f7 == 0x20;

	if (unlikely((op == 1 || op == 5) && f7 && !alt))
		return illegal(cpu, pc, insn);
	reg_set(cpu, rd(insn), alu(op, alt, cpu->x[rs1(insn)], imm_i(insn)));
	return pc + 4;
}

static inline uint32_t exec_op(struct rv32 *cpu, uint32_t pc, uint32_t insn)
{
	uint32_t op = funct3(insn), f7 = funct7(insn), a = cpu->x[rs1(insn)], b = cpu->x[rs2(insn)];

	if (f7 == 0 || (f7 == 0x20 && (op == 0 || op == 5)))
		reg_set(cpu, rd(insn), alu(op, f7, a, b));
	else if (f7 == 1)
		reg_set(cpu, rd(insn), muldiv(op, a, b));
	else
		return illegal(cpu, pc, insn);
	return pc + 4;
}

/* --- control flow ------------------------------------------------------------------------------------------- */

static inline uint32_t jump(struct rv32 *cpu, uint32_t pc, uint32_t insn, uint32_t target)
{
	if (unlikely(target & 3))
		return trap(cpu, pc, RV32_CAUSE_FETCH_MISALIGNED, target);
	reg_set(cpu, rd(insn), pc + 4);
	return target;
}

static inline uint32_t exec_jalr(struct rv32 *cpu, uint32_t pc, uint32_t insn)
{
	if (funct3(insn))
		return illegal(cpu, pc, insn);
	return jump(cpu, pc, insn, (cpu->x[rs1(insn)] + imm_i(insn)) & ~1u);
}

static inline uint32_t exec_branch(struct rv32 *cpu, uint32_t pc, uint32_t insn)
{
	uint32_t op = funct3(insn), a = cpu->x[rs1(insn)], b = cpu->x[rs2(insn)], target = pc + imm_b(insn);
	bool taken;

	switch (op >> 1) {
	case 0: taken = a == b; break;				/* BEQ, BNE */
	case 2: taken = (int32_t)a < (int32_t)b; break;		/* BLT, BGE */
	case 3: taken = a < b; break;				/* BLTU, BGEU */
	default: return illegal(cpu, pc, insn);
	}
	if (taken == (op & 1))
		return pc + 4;
	return unlikely(target & 3) ? trap(cpu, pc, RV32_CAUSE_FETCH_MISALIGNED, target) : target;
}

static uint32_t exec_system(struct rv32 *cpu, uint32_t pc, uint32_t insn)
{
	if (funct3(insn))
		return exec_csr(cpu, pc, insn);
	switch (insn) {
	case 0x00000073:	/* ECALL */
		return trap(cpu, pc, RV32_CAUSE_ECALL_M, 0);
	case 0x00100073:	/* EBREAK */
		return trap(cpu, pc, RV32_CAUSE_BREAKPOINT, pc);
	case 0x30200073:	/* MRET */
		cpu->mstatus = RV32_MSTATUS_MPIE | (cpu->mstatus & RV32_MSTATUS_MPIE ? RV32_MSTATUS_MIE : 0);
		return cpu->mepc;
	case 0x10500073:	/* WFI */
		cpu->power = RV32_WAITING;
		return pc + 4;
	default:
		return illegal(cpu, pc, insn);
	}
}

/* Runs one instruction; returns the next pc. */
static inline uint32_t execute(struct rv32 *cpu, uint32_t pc, uint32_t insn)
{
	if (unlikely((insn & 3) != 3))
		return illegal(cpu, pc, insn);
	switch (insn >> 2 & 31) {
	case OP_LOAD:	return exec_load(cpu, pc, insn);
	case OP_STORE:	return exec_store(cpu, pc, insn);
	case OP_IMM:	return exec_imm(cpu, pc, insn);
	case OP_OP:	return exec_op(cpu, pc, insn);
	case OP_BRANCH:	return exec_branch(cpu, pc, insn);
	case OP_JAL:	return jump(cpu, pc, insn, pc + imm_j(insn));
	case OP_JALR:	return exec_jalr(cpu, pc, insn);
	case OP_LUI:	reg_set(cpu, rd(insn), imm_u(insn)); return pc + 4;
	case OP_AUIPC:	reg_set(cpu, rd(insn), pc + imm_u(insn)); return pc + 4;
	case OP_SYSTEM:	return exec_system(cpu, pc, insn);
	case OP_MISC_MEM:	/* FENCE and FENCE.I; their other fields are to be ignored */
		return funct3(insn) <= 1 ? pc + 4 : illegal(cpu, pc, insn);
	default:	return illegal(cpu, pc, insn);
	}
}

/* --- the public face ---------------------------------------------------------------------------------------- */

int rv32_init(struct rv32 *cpu, const struct rv32_config *cfg)
{
	if (!cfg->tcm || !cfg->bus || !cfg->bus->load || !cfg->bus->store)
		return -EINVAL;
	if (cfg->tcm_size < 4 || cfg->tcm_size % 4 || cfg->tcm_base % 4 || cfg->tcm_size - 1 > UINT32_MAX - cfg->tcm_base)
		return -EINVAL;
	memset(cpu, 0, sizeof(*cpu));
	cpu->cfg = *cfg;
	return rv32_reset(cpu, cfg->tcm_base);
}

int rv32_reset(struct rv32 *cpu, uint32_t entry)
{
	struct rv32_config cfg = cpu->cfg;

	if (entry % 4)
		return -EINVAL;
	/* Field by field around `lines`, which another thread may be driving at this moment. */
	memset(cpu->x, 0, sizeof(cpu->x));
	memset(&cpu->mstatus, 0, sizeof(*cpu) - offsetof(struct rv32, mstatus));
	cpu->cfg = cfg;
	cpu->pc = entry;
	cpu->mtvec = MTVEC_RESET;
	cpu->trap_mark = UINT64_MAX;
	return 0;
}

void rv32_line_set(struct rv32 *cpu, enum rv32_line line, bool level)
{
	uint32_t bit = 1u << line & LINES;

	if (level)
		__atomic_fetch_or(&cpu->lines, bit, __ATOMIC_RELEASE);
	else
		__atomic_fetch_and(&cpu->lines, ~bit, __ATOMIC_RELEASE);
}

/* True when there is something to run: ends a WFI whose interrupt has come. */
static bool awake(struct rv32 *cpu)
{
	if (cpu->power == RV32_WAITING && lines_get(cpu) & cpu->mie)
		cpu->power = RV32_RUNNING;
	return cpu->power == RV32_RUNNING;
}

enum rv32_stop rv32_run(struct rv32 *cpu, uint64_t n)
{
	for (; n; n--) {
		if (unlikely(cpu->power != RV32_RUNNING) && !awake(cpu))
			break;
		if (unlikely(interrupt_due(cpu)))
			interrupt_take(cpu);

		uint32_t pc = cpu->pc, off = pc - cpu->cfg.tcm_base;

		if (unlikely(off >= cpu->cfg.tcm_size))
			cpu->pc = trap(cpu, pc, RV32_CAUSE_FETCH_ACCESS, pc);
		else
			cpu->pc = execute(cpu, pc, tcm_load(cpu->cfg.tcm + off, 4));
		cpu->steps++;
	}
	if (awake(cpu))
		return RV32_STOP_BUDGET;
	return cpu->power == RV32_LOCKED ? RV32_STOP_LOCKUP : RV32_STOP_WFI;
}
