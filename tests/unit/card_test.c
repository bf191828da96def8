/* SPDX-License-Identifier: MIT */
/*
 * The card's host side: every register of the list after reset and after writes, what is not a register, interrupts,
 * doorbells, counters, reset, power. Jobs are started by a remote control: a program of a few instructions on the core that
 * hands the engine what the test wrote into the control area.
 */
#include "tests/harness.h"
#include "tests/unit/card_asm.h"
#include "tests/unit/card_rig.h"

FIXTURE(card) { struct card_rig r; };
FIXTURE_SETUP(card) { card_rig_init(&self->r, false); }
FIXTURE_TEARDOWN(card) { card_rig_free(&self->r); }

struct reg {
	const char *name;
	uint32_t off;
	enum { RO = 1, WO = 2, RW = 3, RW1C = 7 } access;
	uint32_t reset;
};
static const struct reg regs[] = {
#define REG(name, offset, access, reset, doc)	{ #name, offset, access, (uint32_t)(reset) },
#include "snpu_regs.def"
};
#define REGS		(sizeof(regs) / sizeof(regs[0]))

/* Registers whose value is this card's and not the list's. */
static uint32_t expected(const struct reg *g, uint32_t read)
{
	switch (g->off) {
	case SNPU_REG_VRAM_SIZE_LO:
		return CARD_VRAM;
	case SNPU_REG_CTL_OFFSET_LO:
		return CARD_CTL;
	case SNPU_REG_SERIAL:
		return 4711;
	case SNPU_REG_TIME_LO:
	case SNPU_REG_TIME_HI:
	case SNPU_REG_SENSOR_TEMP:
	case SNPU_REG_SENSOR_POWER:
	case SNPU_REG_ENERGY_LO:
	case SNPU_REG_ENERGY_HI:
		return read;
	default:
		return g->access & RO ? g->reset : 0;
	}
}

static void expect_reset_values(struct card_rig *r)
{
	for (unsigned int i = 0; i < REGS; i++) {
		uint32_t v = rd(r, regs[i].off);

		EXPECT_EQ(v, expected(&regs[i], v));
		if (th_failed)
			printf("# register %s\n", regs[i].name);
	}
}

TEST_F(card, reset_values)
{
	expect_reset_values(&self->r);
	EXPECT_EQ(rd(&self->r, SNPU_REG_ID), 0x55504e53u);
	EXPECT_EQ(SNPU_GET(rd(&self->r, SNPU_REG_CAPS), CAPS, QUEUES), (uint32_t)SNPU_QUEUES);
	EXPECT_EQ(SNPU_GET(rd(&self->r, SNPU_REG_CAPS), CAPS, VA_BITS), (uint32_t)SNPU_VA_BITS);
}

/* Writing all ones to everything that is read-only or not a register changes nothing. */
TEST_F(card, what_ignores_writes)
{
	struct card_rig *r = &self->r;

	for (uint32_t off = 0; off < SNPU_MSIX_TABLE_OFFSET; off += 4) {
		bool writable = false;

		for (unsigned int i = 0; i < REGS; i++)
			writable |= regs[i].off == off && (regs[i].access & WO);
		if (!writable)
			wr(r, off, ~0u);
	}
	wr(r, SNPU_REG_RESET, 1);
	expect_reset_values(r);
}

TEST_F(card, offsets_that_are_no_register)
{
	for (uint32_t off = 0; off < SNPU_BAR_REGS_SIZE; off += 4) {
		bool known = off - SNPU_REG_COUNTER_BASE < SNPU_COUNTER_COUNT * 8;

		for (unsigned int i = 0; i < REGS; i++)
			known |= regs[i].off == off;
		if (!known)
			ASSERT_EQ(rd(&self->r, off), 0);
	}
}

TEST_F(card, only_aligned_words)
{
	struct card_rig *r = &self->r;
	uint64_t v = ~0ull;

	wr(r, SNPU_REG_FW_SIZE, 0x12345678);
	for (unsigned int len = 1; len <= 8; len *= 2) {
		if (len == 4)
			continue;
		v = ~0ull;
		card_bar_read(r->card, SNPU_BAR_REGS, SNPU_REG_ID, &v, len);
		EXPECT_EQ(v & (len == 8 ? ~0ull : (1ull << 8 * len) - 1), 0);
		card_bar_write(r->card, SNPU_BAR_REGS, SNPU_REG_FW_SIZE & ~7u, &v, len);
		card_bar_write(r->card, SNPU_BAR_REGS, SNPU_REG_FW_SIZE, &v, len);
	}
	card_bar_write(r->card, SNPU_BAR_REGS, SNPU_REG_FW_SIZE + 2, &v, 4);
	EXPECT_EQ(rd(r, SNPU_REG_FW_SIZE), 0x12345678);
	EXPECT_EQ(rd(r, SNPU_REG_FW_OFFSET), 0);
}

TEST_F(card, time)
{
	struct card_rig *r = &self->r;
	uint64_t a = rd(r, SNPU_REG_TIME_LO), b;

	a |= (uint64_t)rd(r, SNPU_REG_TIME_HI) << 32;
	card_rig_pause();
	b = rd(r, SNPU_REG_TIME_LO);
	b |= (uint64_t)rd(r, SNPU_REG_TIME_HI) << 32;
	EXPECT_GE(b, a + 1000000);
	wr(r, SNPU_REG_RESET, SNPU_RESET_KEY);
	EXPECT_GE(rd(r, SNPU_REG_TIME_LO), b);		/* goes on over a reset */
}

/* --- interrupts ------------------------------------------------------------------------------------------------------ */
TEST_F(card, interrupts)
{
	struct card_rig *r = &self->r;

	wr(r, SNPU_REG_IRQ_TEST, 1);
	EXPECT_EQ(atomic_load(&r->irqs[0]), 1);
	EXPECT_EQ(atomic_load(&r->irqs[1]), 0);
	EXPECT_EQ(rd(r, SNPU_REG_IRQ_STATUS), 1);
	wr(r, SNPU_REG_IRQ_TEST, 3);			/* a cause that is set does not gate messages */
	EXPECT_EQ(atomic_load(&r->irqs[0]), 2);
	EXPECT_EQ(atomic_load(&r->irqs[1]), 1);
	wr(r, SNPU_REG_IRQ_STATUS, 1);
	EXPECT_EQ(rd(r, SNPU_REG_IRQ_STATUS), 2);
	wr(r, SNPU_REG_IRQ_STATUS, ~0u);
	EXPECT_EQ(rd(r, SNPU_REG_IRQ_STATUS), 0);
	wr(r, SNPU_REG_IRQ_TEST, ~3u);			/* causes that do not exist */
	EXPECT_EQ(rd(r, SNPU_REG_IRQ_STATUS), 0);
	EXPECT_EQ(atomic_load(&r->irqs[0]), 2);
}

TEST_F(card, interrupt_mask)
{
	struct card_rig *r = &self->r;

	wr(r, SNPU_REG_IRQ_MASK, 1);
	wr(r, SNPU_REG_IRQ_TEST, 3);
	EXPECT_EQ(atomic_load(&r->irqs[0]), 0);
	EXPECT_EQ(atomic_load(&r->irqs[1]), 1);
	EXPECT_EQ(rd(r, SNPU_REG_IRQ_STATUS), 3);
	wr(r, SNPU_REG_IRQ_MASK, 1);			/* still masked */
	EXPECT_EQ(atomic_load(&r->irqs[0]), 0);
	wr(r, SNPU_REG_IRQ_MASK, 0);			/* sends what is set, and only what was masked */
	EXPECT_EQ(atomic_load(&r->irqs[0]), 1);
	EXPECT_EQ(atomic_load(&r->irqs[1]), 1);
	wr(r, SNPU_REG_IRQ_MASK, ~0u);
	EXPECT_EQ(rd(r, SNPU_REG_IRQ_MASK), 3);
	wr(r, SNPU_REG_IRQ_STATUS, 3);
	wr(r, SNPU_REG_IRQ_MASK, 0);			/* nothing is set any more */
	EXPECT_EQ(atomic_load(&r->irqs[0]), 1);
}

/* --- doorbells --------------------------------------------------------------------------------------------------------- */
TEST_F(card, doorbells)
{
	struct card_rig *r = &self->r;
	uint32_t v = 77;

	for (unsigned int q = 0; q < SNPU_QUEUES; q++) {
		uint32_t tail = 1000 + q;

		card_rig_queue(r, q)->head = 500 + q;
		card_rig_ring_doorbell(r, q, tail);
		EXPECT_EQ(card_rig_queue(r, q)->tail, 1000 + q);
		card_bar_read(r->card, SNPU_BAR_DOORBELL, q * SNPU_DOORBELL_STRIDE + SNPU_DB_HEAD, &v, 4);
		EXPECT_EQ(v, 500 + q);
		card_bar_read(r->card, SNPU_BAR_DOORBELL, q * SNPU_DOORBELL_STRIDE + SNPU_DB_TAIL, &v, 4);
		EXPECT_EQ(v, 0);
		/* The rest of the page is nothing. */
		card_bar_write(r->card, SNPU_BAR_DOORBELL, q * SNPU_DOORBELL_STRIDE + 8, &tail, 4);
		card_bar_read(r->card, SNPU_BAR_DOORBELL, q * SNPU_DOORBELL_STRIDE + 8, &v, 4);
		EXPECT_EQ(v, 0);
	}
}

/* --- the engine by remote control -------------------------------------------------------------------------------------- */
/* On CMD_DOORBELL: ENG_QUEUE, ENG_DESC, ENG_CTRL = page[0..2]. On every interrupt: page[4] = ENG_STATUS, page[5]++. */
static void remote_boot(struct card_rig *r)
{
	const uint32_t code[] = {
		CARD_PROLOGUE, CSRRW(0, RV32_CSR_MIE, 29), WFI, LW(5, SNPU_CORE_REG_IRQ_PENDING, 31), SW(5, SNPU_CORE_REG_IRQ_CLEAR, 31),
		ANDI(6, 5, SNPU_CORE_IRQ_CMD), BEQ(6, 0, 7 * 4), LW(7, 0, 30), SW(7, SNPU_CORE_REG_ENG_QUEUE, 31), LW(7, 4, 30),
		SW(7, SNPU_CORE_REG_ENG_DESC, 31), LW(7, 8, 30), SW(7, SNPU_CORE_REG_ENG_CTRL, 31),
		LW(7, SNPU_CORE_REG_ENG_STATUS, 31), SW(7, 16, 30), ADDI(8, 8, 1), SW(8, 20, 30), JAL(0, -15 * 4),
	};

	memset(r->ctl + CARD_PAGE, 0, 64);
	ASSERT_EQ(card_rig_boot_code(r, code, sizeof(code) / 4), (uint32_t)SNPU_BOOT_RUNNING);
}

static volatile uint32_t *page(struct card_rig *r)
{
	return (volatile uint32_t *)(r->ctl + CARD_PAGE);
}

static void engine(struct card_rig *r, uint32_t queue, uint32_t desc, enum snpu_eng_cmd cmd)
{
	uint32_t seen = page(r)[5];

	page(r)[0] = queue;
	page(r)[1] = desc;
	page(r)[2] = cmd;
	wr(r, SNPU_REG_CMD_DOORBELL, 0);
	EXPECT_TRUE(WAIT_FOR(page(r)[5] != seen));
}

#define STATUS(state, result)	((uint32_t)(state) | (uint32_t)(result) << 8)
#define PROG	0x200000u			/* virtual = device address */
#define OUT	0x300000u
#define HOSTVA	0x400000u			/* virtual 4 MiB = guest memory 0 */

/* Queue 2, one job: COPY of guest memory to device memory (entry 0), NOP and COPY (0x80), or LOOP of hours (0x100). */
static void job(struct card_rig *r, uint32_t entry)
{
	struct snpu_pkt_COPY copy = { .hdr = { SNPU_OP_COPY, 0, sizeof(copy) / 4 }, .src = { .addr = SNPU_REF_ADDR(SNPU_REGION_INPUT, 0) },
				      .dst = { .addr = SNPU_REF_ADDR(SNPU_REGION_OUTPUT, 0) }, .words = 16 };
	struct snpu_pkt_LOOP loop = { .hdr = { SNPU_OP_LOOP, 0, sizeof(loop) / 4 }, .count = ~0u };
	struct snpu_pkt_hdr next = { SNPU_OP_NEXT, 0, 2 }, end = { SNPU_OP_END, 0, 2 }, nop = { SNPU_OP_NOP, 0, 2 };
	struct snpu_queue_ctx *q = card_rig_queue(r, 2);
	struct snpu_job_desc *d = (void *)(r->ctl + SNPU_CTL_JOB(2, 0));

	memset(q, 0, sizeof(*q));
	memset(d, 0, sizeof(*d));
	q->pt_root = card_rig_tables(r);
	q->asid = 9;
	/* The third table holds 2 MiB leaves. */
	((uint64_t *)(r->vram + (1u << 20) + 2 * 4096))[2] = SNPU_PTE_VALID | SNPU_PTE_LEAF | SNPU_PTE_READ;
	d->seqno = 1;
	d->entry = entry;
	d->region[SNPU_REGION_PROGRAM] = (struct snpu_region_binding){ PROG, 0x1000 };
	d->region[SNPU_REGION_INPUT] = (struct snpu_region_binding){ HOSTVA, 0x1000 };
	d->region[SNPU_REGION_OUTPUT] = (struct snpu_region_binding){ OUT, 0x1000 };
	memcpy(r->vram + PROG, &copy, sizeof(copy));
	memcpy(r->vram + PROG + sizeof(copy), &end, sizeof(end));
	memcpy(r->vram + PROG + 0x80, &nop, sizeof(nop));
	memcpy(r->vram + PROG + 0x88, &copy, sizeof(copy));
	memcpy(r->vram + PROG + 0x88 + sizeof(copy), &end, sizeof(end));
	memcpy(r->vram + PROG + 0x100, &loop, sizeof(loop));
	memcpy(r->vram + PROG + 0x110, &next, sizeof(next));
	wr(r, SNPU_REG_MMU_INVALIDATE, SNPU_PUT(1, MMU_INVALIDATE, ALL));
}

TEST_F(card, engine_done)
{
	struct card_rig *r = &self->r;

	remote_boot(r);
	job(r, 0);
	memset(r->host, 0x5a, 64);
	card_rig_queue(r, 2)->saved.valid = 1;
	engine(r, 2, SNPU_CTL_JOB(2, 0), SNPU_ENG_START);
	ASSERT_TRUE(WAIT_FOR(page(r)[4] == STATUS(SNPU_ENG_IDLE, SNPU_ENG_DONE)));
	EXPECT_EQ(r->vram[OUT + 63], 0x5a);
	EXPECT_EQ(r->vram[OUT + 64], 0);
	EXPECT_EQ(card_rig_queue(r, 2)->counter[SNPU_COUNTER_PACKETS], 2);
	EXPECT_EQ(card_rig_queue(r, 2)->counter[SNPU_COUNTER_HOST_RD], 64);
	EXPECT_EQ(card_rig_queue(r, 2)->saved.valid, 0);
	EXPECT_EQ(rd(r, SNPU_REG_COUNTER_BASE + 8 * SNPU_COUNTER_HOST_RD), 64);
}

TEST_F(card, engine_fault_record)
{
	struct card_rig *r = &self->r;
	const struct snpu_fault *f = &card_rig_queue(r, 2)->fault;

	remote_boot(r);
	job(r, 0x200);				/* zeroes: NOP with a length of 0 */
	engine(r, 2, SNPU_CTL_JOB(2, 0), SNPU_ENG_START);
	ASSERT_TRUE(WAIT_FOR(page(r)[4] == STATUS(SNPU_ENG_IDLE, SNPU_ENG_FAULT)));
	EXPECT_EQ(f->code, SNPU_FAULT_BAD_SIZE);
	EXPECT_EQ(f->pc, 0x200);
	EXPECT_EQ(f->asid, 9);
	EXPECT_EQ(f->queue, 2);
	EXPECT_EQ(f->seqno, 1);
}

TEST_F(card, engine_names_nothing)
{
	struct card_rig *r = &self->r;
	static const uint32_t bad[][2] = { { 64, 0x100000 }, { ~0u, 0x100000 }, { 2, SNPU_CTL_SIZE - 248 }, { 2, 0xfffffff8 }, { 2, 0x100004 } };

	remote_boot(r);
	job(r, 0);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		page(r)[4] = 0;
		engine(r, bad[i][0], bad[i][1], SNPU_ENG_START);
		EXPECT_TRUE(WAIT_FOR(page(r)[4] == STATUS(SNPU_ENG_IDLE, SNPU_ENG_FAULT)));
	}
	/* Commands that mean nothing now, or never. */
	page(r)[4] = 0;
	engine(r, 2, SNPU_CTL_JOB(2, 0), SNPU_ENG_PREEMPT);
	engine(r, 2, SNPU_CTL_JOB(2, 0), SNPU_ENG_ABORT);
	engine(r, 2, SNPU_CTL_JOB(2, 0), 99);
	EXPECT_EQ(page(r)[4], STATUS(SNPU_ENG_IDLE, SNPU_ENG_FAULT));
	engine(r, 2, SNPU_CTL_JOB(2, 0), SNPU_ENG_START);
	EXPECT_TRUE(WAIT_FOR(page(r)[4] == STATUS(SNPU_ENG_IDLE, SNPU_ENG_DONE)));
}

TEST_F(card, engine_preempt_resume_abort)
{
	struct card_rig *r = &self->r;
	struct snpu_queue_ctx *q = card_rig_queue(r, 2);
	uint64_t packets;

	remote_boot(r);
	job(r, 0x100);
	engine(r, 2, SNPU_CTL_JOB(2, 0), SNPU_ENG_START);
	EXPECT_EQ(page(r)[4], STATUS(SNPU_ENG_BUSY, SNPU_ENG_NONE));
	engine(r, 2, SNPU_CTL_JOB(2, 0), SNPU_ENG_START);	/* ignored: busy */
	engine(r, 2, SNPU_CTL_JOB(2, 0), SNPU_ENG_PREEMPT);
	ASSERT_TRUE(WAIT_FOR(page(r)[4] == STATUS(SNPU_ENG_IDLE, SNPU_ENG_PREEMPTED)));
	EXPECT_EQ(q->saved.valid, 1);
	packets = q->saved.counter[SNPU_COUNTER_PACKETS];
	EXPECT_GT(packets, 0);
	EXPECT_EQ(q->counter[SNPU_COUNTER_PACKETS], 0);		/* added when the job stops for good */
	engine(r, 2, SNPU_CTL_JOB(2, 0), SNPU_ENG_RESUME);
	ASSERT_TRUE(WAIT_FOR(rd(r, SNPU_REG_COUNTER_BASE) > packets));
	engine(r, 2, SNPU_CTL_JOB(2, 0), SNPU_ENG_ABORT);
	ASSERT_TRUE(WAIT_FOR(page(r)[4] == STATUS(SNPU_ENG_IDLE, SNPU_ENG_ABORTED)));
	EXPECT_GT(q->counter[SNPU_COUNTER_PACKETS], packets);
	EXPECT_EQ(q->saved.valid, 0);
	/* What was aborted cannot be resumed. */
	engine(r, 2, SNPU_CTL_JOB(2, 0), SNPU_ENG_RESUME);
	ASSERT_TRUE(WAIT_FOR(page(r)[4] == STATUS(SNPU_ENG_IDLE, SNPU_ENG_FAULT)));
	EXPECT_EQ(q->fault.code, SNPU_FAULT_BAD_DESC);
}

static uint64_t energy(struct card_rig *r)
{
	uint64_t low = rd(r, SNPU_REG_ENERGY_LO);	/* latches the high half */

	return low | (uint64_t)rd(r, SNPU_REG_ENERGY_HI) << 32;
}

/* A job makes each sensor move; energy goes on over a reset although the counter that it comes from does not. */
TEST_F(card, sensors)
{
	struct card_rig *r = &self->r;
	uint32_t power = rd(r, SNPU_REG_SENSOR_POWER), temp = rd(r, SNPU_REG_SENSOR_TEMP);
	uint64_t before;
	uint32_t ns;

	EXPECT_GT(rd(r, SNPU_REG_SENSOR_TEMP_CRIT), temp);
	EXPECT_EQ(rd(r, SNPU_REG_FREQ_KHZ), 0);
	remote_boot(r);
	job(r, 0x100);
	before = energy(r);
	ns = rd(r, SNPU_REG_TIME_LO);
	engine(r, 2, SNPU_CTL_JOB(2, 0), SNPU_ENG_START);
	EXPECT_EQ(rd(r, SNPU_REG_FREQ_KHZ), rd(r, SNPU_REG_CLOCK_KHZ));
	ASSERT_TRUE(WAIT_FOR(rd(r, SNPU_REG_SENSOR_TEMP) > temp && rd(r, SNPU_REG_SENSOR_POWER) > power));
	ns = rd(r, SNPU_REG_TIME_LO) - ns;
	EXPECT_GT(energy(r) - before, ns * 3ull / 2 / 1000);		/* more than 1.5 W of doing nothing */
	engine(r, 2, SNPU_CTL_JOB(2, 0), SNPU_ENG_ABORT);
	ASSERT_TRUE(WAIT_FOR(rd(r, SNPU_REG_FREQ_KHZ) == 0));
	before = energy(r);
	EXPECT_GT(rd(r, SNPU_REG_STALLS_LO), 0);
	wr(r, SNPU_REG_RESET, SNPU_RESET_KEY);
	EXPECT_EQ(rd(r, SNPU_REG_COUNTER_BASE + 8 * SNPU_COUNTER_ENERGY), 0);
	EXPECT_EQ(rd(r, SNPU_REG_STALLS_LO), 0);
	EXPECT_GE(energy(r), before);
	card_reset(r->card, CARD_RESET_POWER);
	EXPECT_LT(energy(r), before);
}

/* While an access to guest memory is under way, MMU_STATUS says so; a new mapping of the same page is used afterwards. */
TEST_F(card, mmu_busy)
{
	struct card_rig *r = &self->r;

	remote_boot(r);
	job(r, 0);
	atomic_store(&r->host_stall, 1);
	engine(r, 2, SNPU_CTL_JOB(2, 0), SNPU_ENG_START);
	ASSERT_TRUE(WAIT_FOR(atomic_load(&r->host_reads) == 1));
	EXPECT_EQ(rd(r, SNPU_REG_MMU_STATUS), 0);
	wr(r, SNPU_REG_MMU_INVALIDATE, 9);
	EXPECT_EQ(rd(r, SNPU_REG_MMU_STATUS), SNPU_MMU_STATUS_BUSY_MASK);
	atomic_store(&r->host_stall, 0);
	EXPECT_TRUE(WAIT_FOR(rd(r, SNPU_REG_MMU_STATUS) == 0));
	EXPECT_TRUE(WAIT_FOR(page(r)[4] == STATUS(SNPU_ENG_IDLE, SNPU_ENG_DONE)));
	wr(r, SNPU_REG_MMU_INVALIDATE, 9);		/* idle: at once */
	EXPECT_EQ(rd(r, SNPU_REG_MMU_STATUS), 0);
}

/* A reset does not wait for guest memory, and the job that did leaves no trace when it gets it. */
TEST_F(card, reset_orphans_a_job)
{
	struct card_rig *r = &self->r;
	const struct snpu_queue_ctx *q = card_rig_queue(r, 2);

	remote_boot(r);
	job(r, 0x80);
	memset(r->host, 0x77, 64);
	atomic_store(&r->host_stall, 1);
	engine(r, 2, SNPU_CTL_JOB(2, 0), SNPU_ENG_START);
	ASSERT_TRUE(WAIT_FOR(atomic_load(&r->host_reads) == 1));
	wr(r, SNPU_REG_RESET, SNPU_RESET_KEY);
	EXPECT_EQ(rd(r, SNPU_REG_BOOT_STATUS), SNPU_BOOT_IDLE);
	EXPECT_EQ(rd(r, SNPU_REG_MMU_STATUS), SNPU_MMU_STATUS_BUSY_MASK);	/* that access can still touch guest memory */
	remote_boot(r);					/* a new life while the old job still waits */
	engine(r, 2, SNPU_CTL_JOB(2, 0), SNPU_ENG_START);
	EXPECT_EQ(page(r)[4], STATUS(SNPU_ENG_BUSY, SNPU_ENG_NONE));
	EXPECT_EQ(q->counter[SNPU_COUNTER_PACKETS], 0);
	atomic_store(&r->host_stall, 0);
	ASSERT_TRUE(WAIT_FOR(page(r)[4] == STATUS(SNPU_ENG_IDLE, SNPU_ENG_DONE)));
	EXPECT_EQ(q->counter[SNPU_COUNTER_PACKETS], 3);	/* of the second job only */
	EXPECT_EQ(rd(r, SNPU_REG_COUNTER_BASE), 3);
	EXPECT_EQ(r->vram[OUT], 0x77);
	EXPECT_EQ(atomic_load(&r->host_reads), 2);
}

/* --- reset and power --------------------------------------------------------------------------------------------------- */
TEST_F(card, resets)
{
	struct card_rig *r = &self->r;

	for (unsigned int how = 0; how < 3; how++) {
		r->vram[12345] = 0x42;
		wr(r, SNPU_REG_FW_OFFSET, 8);
		wr(r, SNPU_REG_FW_SIZE, 9);
		wr(r, SNPU_REG_IRQ_MASK, 3);
		wr(r, SNPU_REG_IRQ_TEST, 3);
		if (how == 0)
			wr(r, SNPU_REG_RESET, SNPU_RESET_KEY);
		else
			card_reset(r->card, how == 1 ? CARD_RESET_FUNCTION : CARD_RESET_POWER);
		expect_reset_values(r);
		EXPECT_EQ(r->vram[12345], how == 2 ? 0 : 0x42);
	}
	EXPECT_EQ(atomic_load(&r->irqs[0]), 0);
}

TEST_F(card, d3hot)
{
	struct card_rig *r = &self->r;

	wr(r, SNPU_REG_FW_SIZE, 5);
	card_power(r->card, false);
	EXPECT_EQ(rd(r, SNPU_REG_ID), ~0u);
	wr(r, SNPU_REG_FW_SIZE, 6);
	wr(r, SNPU_REG_IRQ_TEST, 1);
	EXPECT_EQ(atomic_load(&r->irqs[0]), 0);
	card_power(r->card, true);
	EXPECT_EQ(rd(r, SNPU_REG_FW_SIZE), 5);
	card_power(r->card, false);
	card_reset(r->card, CARD_RESET_FUNCTION);	/* wakes it */
	EXPECT_EQ(rd(r, SNPU_REG_ID), 0x55504e53);
}

TEST(create_refuses)
{
	static const uint64_t bad[] = { 0, CARD_VRAM_MIN / 2, CARD_VRAM_MIN + 4096, CARD_VRAM_MIN * 3, CARD_VRAM_MAX * 2 };
	struct card_config cfg = { .irq = card_rig_irq, .host_read = card_rig_read, .host_write = card_rig_write };
	struct card *c;

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cfg.vram_size = bad[i];
		EXPECT_EQ(card_create(&cfg, &c), -EINVAL);
	}
	cfg.vram_size = 1ull << 38;			/* far more than there is: pages come when they are touched */
	ASSERT_EQ(card_create(&cfg, &c), 0);
	card_destroy(c);
	card_destroy(NULL);
	cfg.irq = NULL;
	EXPECT_EQ(card_create(&cfg, &c), -EINVAL);
}

TEST_HARNESS_MAIN
