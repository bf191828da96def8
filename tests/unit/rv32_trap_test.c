// SPDX-License-Identifier: MIT
/*
 * The management core's machine mode: exceptions, lockup, interrupts, WFI, CSRs and counters, against the tables of
 * rv32_trap_cases.h; and a million random words.
 */
#include "tests/unit/rv32_machine.h"
#include "tests/unit/rv32_trap_cases.h"

#include <pthread.h>

#define ARRAY_LEN(a_) (sizeof(a_) / sizeof((a_)[0]))

/* Writes a CSR by running CSRRW, and leaves pc, the code word and x6 as they were. */
static void csr_set(struct machine *m, unsigned int csr, uint32_t value)
{
	uint32_t pc = m->cpu.pc, x6 = m->cpu.x[6], word = machine_peek(m, pc - m->tcm_base);

	m->cpu.x[6] = value;
	machine_exec(m, CSRRW(0, csr, 6));
	machine_poke(m, pc - m->tcm_base, word);
	m->cpu.pc = pc;
	m->cpu.x[6] = x6;
}

static bool setup(struct machine *m, uint32_t mtvec, uint32_t mstatus)
{
	bool ok = machine_init(m);

	csr_set(m, RV32_CSR_MTVEC, mtvec);
	csr_set(m, RV32_CSR_MSTATUS, mstatus);
	return ok;
}

static void expect_trap(struct machine *m, const char *name, uint32_t epc, uint32_t cause, uint32_t tval)
{
	if (machine_csr(m, RV32_CSR_MEPC) != epc || machine_csr(m, RV32_CSR_MCAUSE) != cause || machine_csr(m, RV32_CSR_MTVAL) != tval)
		TH_FAILMSG("%s: mepc %08x mcause %08x mtval %08x, expected %08x %08x %08x", name, machine_csr(m, RV32_CSR_MEPC),
			   machine_csr(m, RV32_CSR_MCAUSE), machine_csr(m, RV32_CSR_MTVAL), epc, cause, tval);
}

static void check_exception(const char *name, uint32_t insn, uint32_t x6, uint32_t cause, uint32_t tval)
{
	struct machine m;
	uint32_t before[32];

	ASSERT_TRUE(setup(&m, HANDLER | 1, RV32_MSTATUS_MIE));	/* vectored: exceptions still go to the base */
	m.cpu.x[6] = x6;
	m.cpu.x[8] = 0;
	memcpy(before, m.cpu.x, sizeof(before));

	uint32_t cycle = machine_csr(&m, RV32_CSR_MCYCLE), instret = machine_csr(&m, RV32_CSR_MINSTRET);

	machine_exec(&m, insn);
	expect_trap(&m, name, CODE, cause, tval);
	if (m.cpu.pc != HANDLER || memcmp(before, m.cpu.x, sizeof(before)))
		TH_FAILMSG("%s: pc is %08x, registers %s", name, m.cpu.pc, memcmp(before, m.cpu.x, sizeof(before)) ? "changed" : "whole");
	EXPECT_EQ(machine_csr(&m, RV32_CSR_MSTATUS), RV32_MSTATUS_MPP | RV32_MSTATUS_MPIE);
	EXPECT_EQ(machine_csr(&m, RV32_CSR_MCYCLE), cycle + 1);
	EXPECT_EQ(machine_csr(&m, RV32_CSR_MINSTRET), instret);
	EXPECT_EQ(machine_csr(&m, RV32_CSR_MSCRATCH), 0);
	EXPECT_EQ(machine_peek(&m, DATA), 0);
	EXPECT_EQ(m.loads + m.stores, cause == 5 || cause == 7);	/* a misaligned access never reaches the bus */
	EXPECT_EQ(rv32_run(&m.cpu, 0), RV32_STOP_BUDGET);
}

TEST(illegal_instructions)
{
	for (unsigned int i = 0; i < ARRAY_LEN(illegal_cases); i++)
		check_exception(illegal_cases[i].name, illegal_cases[i].insn, 0x2000, RV32_CAUSE_ILLEGAL, illegal_cases[i].insn);
}

TEST(exceptions)
{
	for (unsigned int i = 0; i < ARRAY_LEN(trap_cases); i++)
		check_exception(trap_cases[i].name, trap_cases[i].insn, trap_cases[i].x6, trap_cases[i].cause, trap_cases[i].tval);
}

TEST(a_branch_not_taken_may_name_any_target)
{
	static const uint32_t insns[] = { BNE(0, 0, 2), BEQ(6, 0, 2), BLT(0, 0, 2), BGE(0, 6, 6), BLTU(6, 0, 2), BGEU(0, 6, 2) };

	for (unsigned int i = 0; i < ARRAY_LEN(insns); i++) {
		struct machine m;

		ASSERT_TRUE(setup(&m, HANDLER, 0));
		m.cpu.x[6] = 1;
		machine_exec(&m, insns[i]);
		EXPECT_EQ(m.cpu.pc, CODE + 4);
		EXPECT_EQ(machine_csr(&m, RV32_CSR_MCAUSE), 0);
	}
}

TEST(a_fetch_outside_the_tcm_faults)
{
	struct machine m;

	ASSERT_TRUE(setup(&m, HANDLER, 0));
	m.cpu.x[6] = 0x40000000;
	machine_exec(&m, JALR(1, 6, 0));	/* the jump itself is fine */
	EXPECT_EQ(m.cpu.pc, 0x40000000);
	EXPECT_EQ(m.cpu.x[1], CODE + 4);
	EXPECT_EQ(rv32_run(&m.cpu, 1), RV32_STOP_BUDGET);
	expect_trap(&m, "fetch", 0x40000000, RV32_CAUSE_FETCH_ACCESS, 0x40000000);
	EXPECT_EQ(m.cpu.pc, HANDLER);
	EXPECT_EQ(m.loads, 0);

	ASSERT_TRUE(setup(&m, HANDLER, 0));
	m.cpu.pc = TCM_SIZE - 4;
	machine_exec(&m, NOP);			/* falls off the end */
	rv32_run(&m.cpu, 1);
	expect_trap(&m, "end", TCM_SIZE, RV32_CAUSE_FETCH_ACCESS, TCM_SIZE);
}

/* --- lockup ------------------------------------------------------------------------------------------------- */

static void check_lockup(struct machine *m, uint32_t cause, uint32_t tval)
{
	EXPECT_EQ(rv32_run(&m->cpu, 1000000), RV32_STOP_LOCKUP);
	EXPECT_EQ(m->cpu.lockup_cause, cause);
	EXPECT_EQ(m->cpu.lockup_tval, tval);
	expect_trap(m, "the first exception is kept", CODE, RV32_CAUSE_ECALL_M, 0);

	/* It stays so, whatever comes. */
	uint64_t steps = m->cpu.steps;

	EXPECT_LT(steps, 10);
	rv32_line_set(&m->cpu, RV32_LINE_EXT, true);
	EXPECT_EQ(rv32_run(&m->cpu, 1000), RV32_STOP_LOCKUP);
	EXPECT_EQ(m->cpu.steps, steps);
}

TEST(lockup)
{
	static const struct { uint32_t mtvec, word, cause, tval; } cases[] = {
		{ 0x40000000, 0, RV32_CAUSE_FETCH_ACCESS, 0x40000000 }, { HANDLER, 0xffffffff, RV32_CAUSE_ILLEGAL, 0xffffffff }, { HANDLER, ECALL, RV32_CAUSE_ECALL_M, 0 },
		{ HANDLER, LW(5, 1, 0), RV32_CAUSE_LOAD_MISALIGNED, 1 }, { HANDLER, JAL(0, 2), RV32_CAUSE_FETCH_MISALIGNED, HANDLER + 2 },
	};

	for (unsigned int i = 0; i < ARRAY_LEN(cases); i++) {
		struct machine m;

		ASSERT_TRUE(setup(&m, cases[i].mtvec, 0));
		csr_set(&m, RV32_CSR_MIE, 0x888);
		machine_poke(&m, HANDLER, cases[i].word);
		machine_poke(&m, CODE, ECALL);
		check_lockup(&m, cases[i].cause, cases[i].tval);
		EXPECT_EQ(m.cpu.pc, cases[i].mtvec);

		/* Reset is the way out. */
		machine_poke(&m, CODE, NOP);
		ASSERT_EQ(rv32_reset(&m.cpu, CODE), 0);
		EXPECT_EQ(rv32_run(&m.cpu, 1), RV32_STOP_BUDGET);
		EXPECT_EQ(m.cpu.pc, CODE + 4);
	}
}

TEST(an_exception_before_mtvec_is_set_is_a_lockup)
{
	struct machine m;

	ASSERT_TRUE(machine_init(&m));
	machine_poke(&m, CODE, ECALL);
	check_lockup(&m, RV32_CAUSE_FETCH_ACCESS, 0xfffffffc);
}

/* A nested exception is the firmware's business as long as its handler makes progress. */
TEST(progress_in_the_handler_is_no_lockup)
{
	struct machine m;

	ASSERT_TRUE(setup(&m, HANDLER, 0));
	machine_poke(&m, CODE, ECALL);
	machine_poke(&m, HANDLER, NOP);
	machine_poke(&m, HANDLER + 4, EBREAK);
	EXPECT_EQ(rv32_run(&m.cpu, 1001), RV32_STOP_BUDGET);
	expect_trap(&m, "nested", HANDLER + 4, RV32_CAUSE_BREAKPOINT, HANDLER + 4);
	EXPECT_EQ(m.cpu.exceptions, 501);
}

/* An interrupt's slot that faults has the exception handler to go to. */
TEST(a_fault_at_an_interrupt_vector_is_an_exception)
{
	struct machine m;

	ASSERT_TRUE(setup(&m, HANDLER | 1, RV32_MSTATUS_MIE));
	csr_set(&m, RV32_CSR_MIE, 1u << RV32_LINE_EXT);
	machine_poke(&m, HANDLER, NOP);
	machine_poke(&m, HANDLER + 44, 0xffffffff);
	rv32_line_set(&m.cpu, RV32_LINE_EXT, true);
	EXPECT_EQ(rv32_run(&m.cpu, 2), RV32_STOP_BUDGET);
	expect_trap(&m, "slot", HANDLER + 44, RV32_CAUSE_ILLEGAL, 0xffffffff);
	EXPECT_EQ(m.cpu.pc, HANDLER + 4);
}

/* --- mret and interrupts ------------------------------------------------------------------------------------ */

TEST(mret_unstacks)
{
	static const struct { uint32_t before, after; } cases[] = {
		{ 0, RV32_MSTATUS_MPIE }, { RV32_MSTATUS_MPIE, RV32_MSTATUS_MPIE | RV32_MSTATUS_MIE }, { RV32_MSTATUS_MIE, RV32_MSTATUS_MPIE },
		{ RV32_MSTATUS_MPIE | RV32_MSTATUS_MIE, RV32_MSTATUS_MPIE | RV32_MSTATUS_MIE },
	};

	for (unsigned int i = 0; i < ARRAY_LEN(cases); i++) {
		struct machine m;

		ASSERT_TRUE(setup(&m, HANDLER, cases[i].before));
		csr_set(&m, RV32_CSR_MEPC, 0x2222);
		machine_exec(&m, MRET);
		EXPECT_EQ(m.cpu.pc, 0x2220);
		EXPECT_EQ(machine_csr(&m, RV32_CSR_MSTATUS), RV32_MSTATUS_MPP | cases[i].after);
	}
}

/* A trap with interrupts off stacks "off"; mret from it leaves them off. */
TEST(nested_traps_stack_one_level)
{
	struct machine m;

	ASSERT_TRUE(setup(&m, HANDLER, RV32_MSTATUS_MIE));
	machine_exec(&m, ECALL);
	EXPECT_EQ(machine_csr(&m, RV32_CSR_MSTATUS), RV32_MSTATUS_MPP | RV32_MSTATUS_MPIE);
	machine_exec(&m, NOP);
	machine_exec(&m, ECALL);
	EXPECT_EQ(machine_csr(&m, RV32_CSR_MSTATUS), RV32_MSTATUS_MPP);
	EXPECT_EQ(machine_csr(&m, RV32_CSR_MEPC), HANDLER + 4);
	machine_exec(&m, MRET);
	EXPECT_EQ(machine_csr(&m, RV32_CSR_MSTATUS), RV32_MSTATUS_MPP | RV32_MSTATUS_MPIE);
	EXPECT_EQ(m.cpu.pc, HANDLER + 4);
}

static const struct { unsigned int lines; enum rv32_line first; } priorities[] = {	/* bit 0 soft, 1 timer, 2 ext */
	{ 1, RV32_LINE_SOFT }, { 2, RV32_LINE_TIMER }, { 3, RV32_LINE_SOFT }, { 4, RV32_LINE_EXT }, { 5, RV32_LINE_EXT }, { 6, RV32_LINE_EXT }, { 7, RV32_LINE_EXT },
};

static void raise_lines(struct machine *m, unsigned int set)
{
	rv32_line_set(&m->cpu, RV32_LINE_SOFT, set & 1);
	rv32_line_set(&m->cpu, RV32_LINE_TIMER, set & 2);
	rv32_line_set(&m->cpu, RV32_LINE_EXT, set & 4);
}

/* The interrupted instruction is one that would trap: it must not have been tried. */
static void check_interrupt(unsigned int lines, enum rv32_line first, bool vectored)
{
	uint32_t entry = HANDLER + (vectored ? 4 * (uint32_t)first : 0);
	struct machine m;

	ASSERT_TRUE(setup(&m, HANDLER | vectored, RV32_MSTATUS_MIE));
	csr_set(&m, RV32_CSR_MIE, 0x888);
	machine_poke(&m, CODE, 0xffffffff);
	machine_poke(&m, entry, ADDI(5, 0, 99));
	raise_lines(&m, lines);

	uint64_t steps = m.cpu.steps;

	EXPECT_EQ(rv32_run(&m.cpu, 1), RV32_STOP_BUDGET);
	EXPECT_EQ(m.cpu.steps, steps + 1);
	EXPECT_EQ(m.cpu.x[5], 99);
	EXPECT_EQ(m.cpu.pc, entry + 4);
	expect_trap(&m, "interrupt", CODE, RV32_CAUSE_INTERRUPT | first, 0);
	EXPECT_EQ(machine_csr(&m, RV32_CSR_MSTATUS), RV32_MSTATUS_MPP | RV32_MSTATUS_MPIE);
	EXPECT_EQ(machine_csr(&m, RV32_CSR_MIP), (lines & 1) << 3 | (lines & 2) << 6 | (lines & 4) << 9);
}

TEST(interrupt_entry_and_priority)
{
	for (unsigned int i = 0; i < ARRAY_LEN(priorities); i++) {
		check_interrupt(priorities[i].lines, priorities[i].first, false);
		check_interrupt(priorities[i].lines, priorities[i].first, true);
	}
}

TEST(interrupt_masking)
{
	static const struct { uint32_t mstatus, mie; unsigned int lines; uint32_t cause; } cases[] = {
		{ 0, 0x888, 7, 0 }, { RV32_MSTATUS_MPIE, 0x888, 7, 0 }, { RV32_MSTATUS_MIE, 0, 7, 0 }, { RV32_MSTATUS_MIE, 0x888, 0, 0 }, { RV32_MSTATUS_MIE, 0x800, 3, 0 },
		{ RV32_MSTATUS_MIE, 0x008, 6, 0 }, { RV32_MSTATUS_MIE, 0x080, 5, 0 }, { RV32_MSTATUS_MIE, 0x008, 7, 0x80000003 }, { RV32_MSTATUS_MIE, 0x080, 7, 0x80000007 },
		{ RV32_MSTATUS_MIE, 0x088, 7, 0x80000003 }, { RV32_MSTATUS_MIE, 0x880, 3, 0x80000007 },
	};

	for (unsigned int i = 0; i < ARRAY_LEN(cases); i++) {
		struct machine m;

		ASSERT_TRUE(setup(&m, HANDLER, cases[i].mstatus));
		csr_set(&m, RV32_CSR_MIE, cases[i].mie);
		machine_poke(&m, CODE, NOP);
		machine_poke(&m, HANDLER, NOP);
		raise_lines(&m, cases[i].lines);
		rv32_run(&m.cpu, 1);
		EXPECT_EQ(machine_csr(&m, RV32_CSR_MCAUSE), cases[i].cause);
		EXPECT_EQ(m.cpu.pc, (cases[i].cause ? HANDLER : CODE) + 4);
	}
}

/* Enabling takes effect before the next instruction: by csrrsi mstatus, csrrw mie, and mret. */
TEST(enabling_lets_a_waiting_interrupt_in_at_once)
{
	static const struct { uint32_t insn, mstatus, mie, epc; } cases[] = {
		{ CSRRSI(0, 0x300, 8), 0, 0x80, CODE + 4 }, { CSRRW(0, 0x304, 6), RV32_MSTATUS_MIE, 0, CODE + 4 }, { MRET, RV32_MSTATUS_MPIE, 0x80, 0x3000 },
	};

	for (unsigned int i = 0; i < ARRAY_LEN(cases); i++) {
		struct machine m;

		ASSERT_TRUE(setup(&m, HANDLER, cases[i].mstatus));
		csr_set(&m, RV32_CSR_MIE, cases[i].mie);
		csr_set(&m, RV32_CSR_MEPC, 0x3000);
		m.cpu.x[6] = 0x80;
		machine_poke(&m, HANDLER, NOP);
		rv32_line_set(&m.cpu, RV32_LINE_TIMER, true);
		machine_poke(&m, CODE, cases[i].insn);
		rv32_run(&m.cpu, 2);
		expect_trap(&m, "enabled", cases[i].epc, RV32_CAUSE_INTERRUPT | RV32_LINE_TIMER, 0);
		EXPECT_EQ(m.cpu.pc, HANDLER + 4);
	}
}

static void drop_timer(struct machine *m)
{
	rv32_line_set(&m->cpu, RV32_LINE_TIMER, false);
}

static void raise_timer(struct machine *m)
{
	rv32_line_set(&m->cpu, RV32_LINE_TIMER, true);
}

/* The firmware's handler writes mtimecmp: the device drops the line inside the store, and mret must not come back. */
TEST(a_store_that_changes_a_line_is_seen_by_the_next_instruction)
{
	struct machine m;

	ASSERT_TRUE(setup(&m, HANDLER, RV32_MSTATUS_MIE));
	csr_set(&m, RV32_CSR_MIE, 0x80);
	m.cpu.x[6] = 0x40000000;
	m.on_store = raise_timer;
	machine_poke(&m, CODE, SW(7, 0, 6));
	machine_poke(&m, CODE + 4, ADDI(5, 0, 1));
	machine_poke(&m, HANDLER, SW(7, 4, 6));
	machine_poke(&m, HANDLER + 4, MRET);
	rv32_run(&m.cpu, 1);
	m.on_store = drop_timer;
	rv32_run(&m.cpu, 1);
	expect_trap(&m, "timer", CODE + 4, RV32_CAUSE_INTERRUPT | RV32_LINE_TIMER, 0);
	EXPECT_EQ(m.cpu.pc, HANDLER + 4);
	rv32_run(&m.cpu, 2);
	EXPECT_EQ(m.cpu.x[5], 1);
	EXPECT_EQ(m.cpu.pc, CODE + 8);
}

static void *other_thread(void *arg)
{
	struct machine *m = arg;

	m->answer = 4711;
	rv32_line_set(&m->cpu, RV32_LINE_EXT, true);
	return NULL;
}

/* The handler reads, through the bus, what the other thread left before it raised the line. */
TEST(another_thread_raises_a_line)
{
	struct machine m;
	pthread_t thread;
	int slices = 0;

	ASSERT_TRUE(setup(&m, HANDLER, RV32_MSTATUS_MIE));
	csr_set(&m, RV32_CSR_MIE, 0x800);
	m.cpu.x[6] = 0x40000000;
	machine_poke(&m, CODE, JAL(0, 0));
	machine_poke(&m, HANDLER, LW(5, 0, 6));
	machine_poke(&m, HANDLER + 4, WFI);
	machine_poke(&m, HANDLER + 8, JAL(0, -4));
	ASSERT_EQ(pthread_create(&thread, NULL, other_thread, &m), 0);
	while (!m.loads && slices++ < 1000000)
		rv32_run(&m.cpu, 1000);
	ASSERT_EQ(pthread_join(thread, NULL), 0);
	EXPECT_EQ(m.cpu.x[5], 4711);
	expect_trap(&m, "from a thread", CODE, RV32_CAUSE_INTERRUPT | RV32_LINE_EXT, 0);
}

/* --- wfi ---------------------------------------------------------------------------------------------------- */

static bool asleep(struct machine *m, uint32_t mstatus)
{
	bool ok = setup(m, HANDLER | 1, mstatus);

	csr_set(m, RV32_CSR_MIE, 0x80);
	machine_poke(m, CODE, WFI);
	machine_poke(m, CODE + 4, ADDI(5, 0, 1));
	machine_poke(m, HANDLER + 28, ADDI(5, 0, 2));
	return ok;
}

TEST(wfi_sleeps_and_wakes)
{
	for (uint32_t mie = 0; mie < 2; mie++) {
		struct machine m;

		ASSERT_TRUE(asleep(&m, mie ? RV32_MSTATUS_MIE : 0));

		uint64_t steps = m.cpu.steps;
		uint32_t cycle = machine_csr(&m, RV32_CSR_MCYCLE);

		EXPECT_EQ(rv32_run(&m.cpu, 1000), RV32_STOP_WFI);
		EXPECT_EQ(rv32_run(&m.cpu, 1000), RV32_STOP_WFI);
		raise_lines(&m, 5);		/* not enabled: no reason to wake */
		EXPECT_EQ(rv32_run(&m.cpu, 1000), RV32_STOP_WFI);
		EXPECT_EQ(m.cpu.steps, steps + 1);
		EXPECT_EQ(machine_csr(&m, RV32_CSR_MCYCLE), cycle + 1);
		EXPECT_EQ(m.cpu.pc, CODE + 4);

		raise_timer(&m);
		EXPECT_EQ(rv32_run(&m.cpu, 1), RV32_STOP_BUDGET);
		EXPECT_EQ(m.cpu.x[5], mie ? 2 : 1);
		if (mie)
			expect_trap(&m, "after wfi", CODE + 4, RV32_CAUSE_INTERRUPT | RV32_LINE_TIMER, 0);
		else
			EXPECT_EQ(machine_csr(&m, RV32_CSR_MCAUSE), 0);
	}
}

TEST(wfi_with_something_pending_goes_on)
{
	struct machine m;

	ASSERT_TRUE(asleep(&m, 0));
	raise_timer(&m);
	EXPECT_EQ(rv32_run(&m.cpu, 1), RV32_STOP_BUDGET);
	EXPECT_EQ(rv32_run(&m.cpu, 1), RV32_STOP_BUDGET);
	EXPECT_EQ(m.cpu.x[5], 1);
}

TEST(wfi_as_the_last_of_the_budget_is_reported)
{
	struct machine m;

	ASSERT_TRUE(asleep(&m, 0));
	EXPECT_EQ(rv32_run(&m.cpu, 1), RV32_STOP_WFI);
	EXPECT_EQ(rv32_run(&m.cpu, 0), RV32_STOP_WFI);
	ASSERT_EQ(rv32_reset(&m.cpu, CODE + 4), 0);
	EXPECT_EQ(rv32_run(&m.cpu, 0), RV32_STOP_BUDGET);
}

/* --- CSRs --------------------------------------------------------------------------------------------------- */

TEST(csr_instructions)
{
	for (unsigned int i = 0; i < ARRAY_LEN(csr_op_cases); i++) {
		bool to_x0 = !(csr_op_cases[i].insn >> 7 & 31);
		struct machine m;

		ASSERT_TRUE(setup(&m, HANDLER, 0));
		csr_set(&m, RV32_CSR_MSCRATCH, 0xf0f0f00f);
		m.cpu.x[6] = 0x0000ff1f;
		machine_exec(&m, csr_op_cases[i].insn);
		if (machine_csr(&m, RV32_CSR_MSCRATCH) != csr_op_cases[i].want)
			TH_FAILMSG("%s: mscratch is %08x, expected %08x", csr_op_cases[i].name, machine_csr(&m, RV32_CSR_MSCRATCH), csr_op_cases[i].want);
		EXPECT_EQ(m.cpu.x[5], to_x0 ? machine_pattern(5) : 0xf0f0f00f);
		EXPECT_EQ(m.cpu.x[0], 0);
		EXPECT_EQ(m.cpu.pc, CODE + 4);
		/* rd = rs1: the old CSR to the register, the old register to the CSR */
		machine_exec(&m, CSRRW(6, 0x340, 6));
		EXPECT_EQ(m.cpu.x[6], csr_op_cases[i].want);
		EXPECT_EQ(machine_csr(&m, RV32_CSR_MSCRATCH), 0x0000ff1f);
	}
}

TEST(csr_writable_bits)
{
	for (unsigned int i = 0; i < ARRAY_LEN(warl_cases); i++) {
		struct machine m;

		ASSERT_TRUE(setup(&m, HANDLER, 0));
		csr_set(&m, warl_cases[i].csr, 0xffffffff);
		machine_exec(&m, CSRRS(5, warl_cases[i].csr, 0));
		if (m.cpu.x[5] != warl_cases[i].ones)
			TH_FAILMSG("%s holds %08x after all ones, expected %08x", warl_cases[i].name, m.cpu.x[5], warl_cases[i].ones);
		csr_set(&m, warl_cases[i].csr, 0);
		machine_exec(&m, CSRRS(5, warl_cases[i].csr, 0));
		if (m.cpu.x[5] != warl_cases[i].zeros)
			TH_FAILMSG("%s holds %08x after zero, expected %08x", warl_cases[i].name, m.cpu.x[5], warl_cases[i].zeros);
		EXPECT_EQ(machine_csr(&m, RV32_CSR_MCAUSE), warl_cases[i].csr == RV32_CSR_MCAUSE ? warl_cases[i].zeros : 0);
	}
}

TEST(csr_reset_values)
{
	static const struct { unsigned int csr; uint32_t want; } cases[] = {
		{ 0x300, 0x1800 }, { 0x301, 0x40001100 }, { 0x304, 0 }, { 0x305, 0xfffffffc }, { 0x320, 0 }, { 0x340, 0 }, { 0x341, 0 }, { 0x342, 0 }, { 0x343, 0 }, { 0x344, 0 },
		{ 0xb00, 0 }, { 0xb02, 0 }, { 0xb80, 0 }, { 0xb82, 0 }, { 0xf11, 0 }, { 0xf12, 0 }, { 0xf13, 1 }, { 0xf14, 0 }, { 0xf15, 0 },
	};
	struct machine m;

	ASSERT_TRUE(setup(&m, HANDLER, RV32_MSTATUS_MIE | RV32_MSTATUS_MPIE));
	csr_set(&m, RV32_CSR_MIE, 0x888);
	csr_set(&m, RV32_CSR_MCOUNTINHIBIT, 5);
	csr_set(&m, RV32_CSR_MSCRATCH, 1);
	machine_exec(&m, 0xffffffff);
	machine_poke(&m, DATA, 0x1234);
	ASSERT_EQ(rv32_reset(&m.cpu, CODE), 0);
	for (unsigned int i = 0; i < ARRAY_LEN(cases); i++)
		EXPECT_EQ(machine_csr(&m, cases[i].csr), cases[i].want);
	for (unsigned int r = 0; r < 32; r++)
		EXPECT_EQ(m.cpu.x[r], 0);
	EXPECT_EQ(m.cpu.pc, CODE);
	EXPECT_EQ(machine_peek(&m, DATA), 0x1234);

	/* The lines belong to the devices: reset of the hart does not touch them. */
	rv32_line_set(&m.cpu, RV32_LINE_EXT, true);
	ASSERT_EQ(rv32_reset(&m.cpu, CODE), 0);
	EXPECT_EQ(machine_csr(&m, RV32_CSR_MIP), 0x800);

	uint32_t value;

	EXPECT_EQ(rv32_csr_read(&m.cpu, 0x3a0, &value), -ENOENT);
}

/* --- counters ----------------------------------------------------------------------------------------------- */

TEST(counters_count)
{
	struct machine m;

	ASSERT_TRUE(machine_init(&m));
	machine_exec(&m, NOP);
	machine_exec(&m, CSRRS(5, RV32_CSR_CYCLE, 0));		/* what was before this instruction */
	EXPECT_EQ(m.cpu.x[5], 1);
	machine_exec(&m, CSRRS(5, RV32_CSR_MINSTRET, 0));
	EXPECT_EQ(m.cpu.x[5], 2);
	csr_set(&m, RV32_CSR_MTVEC, HANDLER);
	machine_exec(&m, ECALL);				/* takes a cycle, does not retire */
	machine_exec(&m, CSRRS(5, RV32_CSR_MCYCLE, 0));
	EXPECT_EQ(m.cpu.x[5], 5);
	machine_exec(&m, CSRRS(5, RV32_CSR_INSTRET, 0));
	EXPECT_EQ(m.cpu.x[5], 5);
}

/* volume I, 9.1: a written value is read back by the next instruction; the carry reaches the high half */
TEST(counters_can_be_written)
{
	static const unsigned int low[] = { RV32_CSR_MCYCLE, RV32_CSR_MINSTRET };

	for (unsigned int i = 0; i < 2; i++) {
		unsigned int csr = low[i], csrh = low[i] + 0x80, user = low[i] + 0x100;
		struct machine m;

		ASSERT_TRUE(machine_init(&m));
		m.cpu.x[6] = 0xffffffff;
		m.cpu.x[7] = 0x12345678;
		machine_exec(&m, CSRRW(0, csrh, 7));
		machine_exec(&m, CSRRW(0, csr, 6));
		machine_exec(&m, CSRRS(5, csr, 0));
		EXPECT_EQ(m.cpu.x[5], 0xffffffff);
		machine_exec(&m, CSRRS(5, csrh, 0));
		EXPECT_EQ(m.cpu.x[5], 0x12345679);
		machine_exec(&m, CSRRS(5, user + 0x80, 0));
		EXPECT_EQ(m.cpu.x[5], 0x12345679);
		machine_exec(&m, CSRRS(5, user, 0));
		EXPECT_EQ(m.cpu.x[5], 2);
	}
}

TEST(counters_can_be_stopped)
{
	struct machine m;

	ASSERT_TRUE(machine_init(&m));
	machine_exec(&m, CSRRWI(0, RV32_CSR_MCOUNTINHIBIT, 1));	/* the cycles stop, after this one */
	for (int i = 0; i < 10; i++)
		machine_exec(&m, NOP);
	EXPECT_EQ(machine_csr(&m, RV32_CSR_MCYCLE), 1);
	EXPECT_EQ(machine_csr(&m, RV32_CSR_MINSTRET), 11);
	machine_exec(&m, CSRRWI(0, RV32_CSR_MCYCLE, 20));	/* may be written while it stands */
	machine_exec(&m, CSRRWI(0, RV32_CSR_MCOUNTINHIBIT, 4));
	EXPECT_EQ(machine_csr(&m, RV32_CSR_MCYCLE), 20);
	machine_exec(&m, NOP);
	EXPECT_EQ(machine_csr(&m, RV32_CSR_MCYCLE), 21);
	EXPECT_EQ(machine_csr(&m, RV32_CSR_MINSTRET), 13);
	EXPECT_EQ(machine_csr(&m, RV32_CSR_MCOUNTINHIBIT), 4);
	machine_exec(&m, CSRRWI(0, RV32_CSR_MCOUNTINHIBIT, 0));
	machine_exec(&m, NOP);
	EXPECT_EQ(machine_csr(&m, RV32_CSR_MINSTRET), 14);
}

/* --- random words ------------------------------------------------------------------------------------------- */

static uint32_t rnd(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return (uint32_t)(*s >> 16);
}

/* What must hold after anything: the guards are the only memory the hart could spoil. */
static bool machine_sane(const struct machine *m)
{
	return m->cpu.x[0] == 0 && m->cpu.pc % 4 == 0 && (m->width == 0 || m->addr % m->width == 0) && machine_guards_whole(m);
}

/* Puts a hart that has left its code area, fell asleep or locked up back on its feet. */
static void fuzz_revive(struct machine *m)
{
	if (m->cpu.pc - CODE < TCM_SIZE - 2 * CODE && rv32_run(&m->cpu, 0) == RV32_STOP_BUDGET)
		return;
	EXPECT_EQ(rv32_reset(&m->cpu, CODE), 0);
	csr_set(m, RV32_CSR_MTVEC, HANDLER | 1);
	csr_set(m, RV32_CSR_MIE, 0x888);
}

/* Three of four words have a real opcode, so that most of them run; registers near the edge of the TCM. */
TEST(a_million_random_words)
{
	static const uint8_t opcodes[] = { 0x03, 0x0f, 0x13, 0x17, 0x23, 0x33, 0x37, 0x63, 0x67, 0x6f, 0x73 };
	uint64_t seed = 88172645463325252u, retired = 0;
	struct machine m;

	ASSERT_TRUE(setup(&m, HANDLER, 0));
	for (int i = 0; i < 1000000; i++) {
		uint32_t word = rnd(&seed), kind = rnd(&seed);

		if (kind & 3)
			word = (word & ~0x7fu) | opcodes[(kind >> 8) % ARRAY_LEN(opcodes)];
		raise_lines(&m, 0);
		fuzz_revive(&m);
		m.cpu.x[1 + kind % 31] = kind & 64 ? rnd(&seed) : TCM_SIZE - 8 + (kind >> 16 & 15);
		m.answer = word;
		raise_lines(&m, kind >> 20 & 7);

		uint64_t steps = m.cpu.steps, exceptions = m.cpu.exceptions;

		machine_exec(&m, word);
		ASSERT_EQ(m.cpu.steps, steps + 1);
		retired += m.cpu.exceptions == exceptions;
		if (i % 1000 == 0)
			ASSERT_TRUE(machine_sane(&m));
	}
	ASSERT_TRUE(machine_sane(&m));
	EXPECT_GT(retired, 300000);	/* the words did run */
	EXPECT_LT(retired, 900000);	/* and many did trap */
}

/* A TCM full of noise, run freely. */
TEST(random_memory)
{
	uint64_t seed = 1234567;
	struct machine m;

	for (int round = 0; round < 50; round++) {
		ASSERT_TRUE(setup(&m, HANDLER, 0));
		for (uint32_t a = 0; a < TCM_SIZE; a += 4)
			machine_poke(&m, a, rnd(&seed) | 3);
		raise_lines(&m, rnd(&seed) & 7);
		rv32_run(&m.cpu, 20000);
		ASSERT_TRUE(machine_sane(&m));
	}
}

TEST_HARNESS_MAIN
