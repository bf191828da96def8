/* SPDX-License-Identifier: MIT */
/*
 * The management core on the card, with programs of a few instructions: what its bus answers, interrupts and timer, the
 * end by lockup and CRASH, and that it costs the host nothing while it waits. The instructions themselves are rv32_test.c's.
 */
#include <sys/resource.h>

#include "tests/harness.h"
#include "tests/unit/card_asm.h"
#include "tests/unit/card_rig.h"

FIXTURE(core) { struct card_rig r; };
FIXTURE_SETUP(core) { card_rig_init(&self->r, false); }
FIXTURE_TEARDOWN(core) { card_rig_free(&self->r); }

#define RUN(...) do {											\
	const uint32_t code_[] = { CARD_PROLOGUE, __VA_ARGS__ };						\
	ASSERT_EQ(card_rig_boot_code(&self->r, code_, sizeof(code_) / 4), (uint32_t)SNPU_BOOT_RUNNING);	\
} while (0)
#define REG(name)	SNPU_CORE_REG_##name

static volatile uint32_t *page(struct card_rig *r)
{
	return (volatile uint32_t *)(r->ctl + CARD_PAGE);
}

TEST_F(core, control_area_in_all_widths)
{
	volatile uint32_t *p = page(&self->r);

	p[0] = 0xa1b2c3d4;
	RUN(LW(5, 0, 30), SW(5, 16, 30), LHU(5, 2, 30), SH(5, 20, 30), LBU(5, 1, 30), SB(5, 27, 30),
	    ADDI(6, 0, 1), SW(6, 32, 30), JAL(0, 0));
	ASSERT_TRUE(WAIT_FOR(p[8] == 1));
	EXPECT_EQ(p[4], 0xa1b2c3d4u);
	EXPECT_EQ(p[5], 0xa1b2u);
	EXPECT_EQ(p[6], 0xc3000000u);
}

/* Every register of the list, as it reads after reset: what is not named here is 0. */
TEST_F(core, registers_after_reset)
{
	static const struct { uint32_t off, want; } special[] = {
		{ REG(MTIMECMP_LO), ~0u }, { REG(MTIMECMP_HI), ~0u }, { REG(MTIME_LO), 1 },	/* the time: anything */
	};
	static const uint32_t off[] = {
#define COREREG(name, offset, access, doc)	offset,
#include "snpu_core.def"
	};
	const unsigned int n = sizeof(off) / sizeof(off[0]);
	volatile uint32_t *p = page(&self->r);
	uint32_t code[4 + 2 * 32 + 3] = { CARD_PROLOGUE }, k = 4;

	ASSERT_LE(n, 32);
	for (unsigned int i = 0; i < n; i++) {
		code[k++] = LW(5, off[i], 31);
		code[k++] = SW(5, 4 * i, 30);
	}
	code[k++] = ADDI(6, 0, 1);
	code[k++] = SW(6, 4 * 100, 30);
	code[k++] = JAL(0, 0);
	ASSERT_EQ(card_rig_boot_code(&self->r, code, k), (uint32_t)SNPU_BOOT_RUNNING);
	ASSERT_TRUE(WAIT_FOR(p[100] == 1));
	for (unsigned int i = 0; i < n; i++) {
		uint32_t want = 0;

		for (unsigned int s = 0; s < 3; s++)
			if (special[s].off == off[i])
				want = special[s].want;
		if (off[i] == REG(MTIME_LO))
			EXPECT_GT(p[i], 0);
		else
			EXPECT_EQ(p[i], want);
	}
}

/* Each access faults; the handler notes mcause and mtval and goes on behind the instruction. */
TEST_F(core, bus_faults)
{
	volatile uint32_t *p = page(&self->r);

	/* The handler lies at 0x40 bytes, the accesses behind it; x28 counts up the place for the notes. */
	const uint32_t code[] = {
		CARD_PROLOGUE, ADDI(5, 0, 0x40), CSRRW(0, RV32_CSR_MTVEC, 5), ADD(28, 30, 0), JAL(0, 0x68 - 0x1c),
		0, 0, 0, 0, 0, 0, 0, 0,
		/* 0x40 */
		CSRRS(5, RV32_CSR_MCAUSE, 0), SW(5, 0, 28), CSRRS(5, RV32_CSR_MTVAL, 0), SW(5, 4, 28), ADDI(28, 28, 8),
		CSRRS(5, RV32_CSR_MEPC, 0), ADDI(5, 5, 4), CSRRW(0, RV32_CSR_MEPC, 5), MRET, JAL(0, 0),
		/* 0x68 */
		LBU(6, 0, 31), LHU(6, 0, 31), SB(6, REG(FW_VERSION), 31),	/* widths */
		LW(6, 0x30, 31), SW(6, 0x30, 31), LW(6, 0x7fc, 31),		/* no such register */
		LUI(7, 0x40), LW(6, 0, 7),				/* behind the TCM */
		LUI(7, 0x40001), LW(6, 0, 7),				/* behind the registers */
		LUI(7, 0x80400), SW(6, 0, 7),				/* behind the control area */
		ADDI(6, 0, 1), SW(6, 0x400, 30), JAL(0, 0),
	};
	static const uint32_t want[][2] = {
		{ 5, 0x40000000 }, { 5, 0x40000000 }, { 7, 0x40000000 + REG(FW_VERSION) }, { 5, 0x40000030 }, { 7, 0x40000030 },
		{ 5, 0x400007fc }, { 5, 0x00040000 }, { 5, 0x40001000 }, { 7, 0x80400000 },
	};

	ASSERT_EQ(card_rig_boot_code(&self->r, code, sizeof(code) / 4), (uint32_t)SNPU_BOOT_RUNNING);
	ASSERT_TRUE(WAIT_FOR(p[0x100] == 1));
	for (unsigned int i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		EXPECT_EQ(p[2 * i], want[i][0]);
		EXPECT_EQ(p[2 * i + 1], want[i][1]);
	}
	EXPECT_EQ(p[18], 0);			/* and no more than these */
	EXPECT_EQ(rd(&self->r, SNPU_REG_FW_VERSION), 0);
}

/* Waits for the external interrupt, notes and clears its causes and doorbells, counts, waits again. */
#define NOTE_LOOP											\
	CSRRW(0, RV32_CSR_MIE, 29), WFI, LW(5, REG(IRQ_PENDING), 31), SW(5, 0, 30),			\
	LW(6, REG(DB_PENDING_LO), 31), SW(6, 4, 30), SW(6, REG(DB_PENDING_LO), 31),		\
	LW(6, REG(DB_PENDING_HI), 31), SW(6, 8, 30), SW(6, REG(DB_PENDING_HI), 31),		\
	SW(5, REG(IRQ_CLEAR), 31), LW(5, REG(IRQ_PENDING), 31), SW(5, 12, 30),		\
	ADDI(7, 7, 1), SW(7, 16, 30), JAL(0, -14 * 4)

TEST_F(core, wfi_and_interrupts)
{
	struct card_rig *r = &self->r;
	volatile uint32_t *p = page(r);
	uint32_t tail = 9;

	RUN(NOTE_LOOP);
	ASSERT_TRUE(WAIT_FOR(rd(r, SNPU_REG_CORE_STATE) == SNPU_CORE_WAITING));
	wr(r, SNPU_REG_CMD_DOORBELL, 0);
	ASSERT_TRUE(WAIT_FOR(p[4] == 1));
	EXPECT_EQ(p[0], (uint32_t)SNPU_CORE_IRQ_CMD);
	EXPECT_EQ(p[3], 0);
	card_bar_write(r->card, SNPU_BAR_DOORBELL, 40 * SNPU_DOORBELL_STRIDE, &tail, 4);
	ASSERT_TRUE(WAIT_FOR(p[4] == 2));
	EXPECT_EQ(p[0], (uint32_t)SNPU_CORE_IRQ_DOORBELL);
	EXPECT_EQ(p[1], 0);
	EXPECT_EQ(p[2], 1u << 8);
	EXPECT_EQ(p[3], 0);			/* cleared itself with its last bit */
	EXPECT_EQ(card_rig_queue(r, 40)->tail, 9);
	card_bar_write(r->card, SNPU_BAR_DOORBELL, 3 * SNPU_DOORBELL_STRIDE, &tail, 4);
	ASSERT_TRUE(WAIT_FOR(p[4] == 3));
	EXPECT_EQ(p[1], 1u << 3);
}

TEST_F(core, timer)
{
	volatile uint32_t *p = page(&self->r);

	/* mtimecmp = mtime + 2000 us; wait; note the time before and after. */
	RUN(ADDI(5, 0, 0x80), CSRRW(0, RV32_CSR_MIE, 5), LW(6, REG(MTIME_LO), 31), LW(7, REG(MTIME_HI), 31),
	    ADDI(8, 6, 2000), SW(8, REG(MTIMECMP_LO), 31), SW(7, REG(MTIMECMP_HI), 31), WFI,
	    LW(9, REG(MTIME_LO), 31), SW(6, 0, 30), SW(9, 4, 30), ADDI(5, 0, 1), SW(5, 8, 30), JAL(0, 0));
	ASSERT_TRUE(WAIT_FOR(p[2] == 1));
	EXPECT_GE(p[1] - p[0], 2000u);
}

static uint64_t cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* WFI with every interrupt disabled and both lines high: asleep for ever, and the host's processor with it. */
TEST_F(core, wfi_never_spins)
{
	struct card_rig *r = &self->r;
	uint64_t used;

	RUN(CSRRW(0, RV32_CSR_MIE, 0), SW(0, REG(MTIMECMP_HI), 31), SW(0, REG(MTIMECMP_LO), 31), WFI,
	    ADDI(5, 0, 1), SW(5, 0, 30), JAL(0, 0));
	wr(r, SNPU_REG_CMD_DOORBELL, 0);
	ASSERT_TRUE(WAIT_FOR(rd(r, SNPU_REG_CORE_STATE) == SNPU_CORE_WAITING));
	used = cpu_us();
	nanosleep(&(struct timespec){ 0, 500000000 }, NULL);
	EXPECT_LT(cpu_us() - used, 50000u);
	EXPECT_EQ(page(r)[0], 0);
}

TEST_F(core, host_irq)
{
	struct card_rig *r = &self->r;

	RUN(ADDI(5, 0, 1), SW(5, REG(HOST_IRQ), 31), ADDI(5, 0, -4), SW(5, REG(HOST_IRQ), 31), SW(5, 0, 30), JAL(0, 0));
	ASSERT_TRUE(WAIT_FOR(page(r)[0]));
	EXPECT_EQ(atomic_load(&r->irqs[0]), 1);
	EXPECT_EQ(atomic_load(&r->irqs[1]), 0);	/* causes that do not exist are nothing */
	EXPECT_EQ(rd(r, SNPU_REG_IRQ_STATUS), 1);
}

TEST_F(core, lockup)
{
	struct card_rig *r = &self->r;

	RUN(0);
	ASSERT_TRUE(WAIT_FOR(rd(r, SNPU_REG_CORE_STATE) == SNPU_CORE_LOCKUP));
	EXPECT_TRUE(WAIT_FOR(atomic_load(&r->irqs[1]) == 1));
	EXPECT_EQ(rd(r, SNPU_REG_IRQ_STATUS), (uint32_t)SNPU_IRQ_STATUS_ERROR_MASK);
}

/* After CRASH the core's stores go nowhere. */
TEST_F(core, crash)
{
	struct card_rig *r = &self->r;

	RUN(ADDI(5, 0, 1), SW(5, 0, 30), SW(5, REG(CRASH), 31), SW(5, 4, 30), SW(5, REG(FW_VERSION), 31),
	    SW(5, REG(HOST_IRQ), 31), JAL(0, -4));
	ASSERT_TRUE(WAIT_FOR(rd(r, SNPU_REG_CORE_STATE) == SNPU_CORE_CRASHED));
	EXPECT_TRUE(WAIT_FOR(atomic_load(&r->irqs[1]) == 1));
	nanosleep(&(struct timespec){ 0, 20000000 }, NULL);
	EXPECT_EQ(page(r)[0], 1);
	EXPECT_EQ(page(r)[1], 0);
	EXPECT_EQ(rd(r, SNPU_REG_FW_VERSION), 0);
	EXPECT_EQ(atomic_load(&r->irqs[0]), 0);
	wr(r, SNPU_REG_CMD_DOORBELL, 0);
	EXPECT_EQ(rd(r, SNPU_REG_CORE_STATE), (uint32_t)SNPU_CORE_CRASHED);
	/* BOOT is refused until a reset. */
	wr(r, SNPU_REG_BOOT, 1);
	EXPECT_EQ(rd(r, SNPU_REG_BOOT_STATUS), (uint32_t)SNPU_BOOT_RUNNING);
	wr(r, SNPU_REG_RESET, SNPU_RESET_KEY);
	EXPECT_EQ(rd(r, SNPU_REG_BOOT_STATUS), (uint32_t)SNPU_BOOT_IDLE);
	RUN(ADDI(5, 0, 7), SW(5, 4, 30), JAL(0, 0));
	EXPECT_TRUE(WAIT_FOR(page(r)[1] == 7));
}

/* A core that spins is stopped by a reset at once; what it would have stored is not seen. */
TEST_F(core, reset_stops_a_spinning_core)
{
	struct card_rig *r = &self->r;
	uint32_t seen;

	RUN(ADDI(5, 5, 1), SW(5, 0, 30), JAL(0, -8));
	ASSERT_TRUE(WAIT_FOR(page(r)[0] > 100000));
	wr(r, SNPU_REG_RESET, SNPU_RESET_KEY);
	EXPECT_EQ(rd(r, SNPU_REG_CORE_STATE), (uint32_t)SNPU_CORE_HALTED);
	nanosleep(&(struct timespec){ 0, 1000000 }, NULL);	/* one store may have been on its way */
	seen = page(r)[0];
	nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
	EXPECT_EQ(page(r)[0], seen);
}

TEST_HARNESS_MAIN
