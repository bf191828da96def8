/* SPDX-License-Identifier: MIT */
/*
 * The real firmware on the whole card, without any kernel: boot, commands, queues, jobs, faults, preemption between
 * queues, crash, reset and boot again. FW_IMAGE names the image; without the cross compiler it is empty and all is skipped.
 */
#include <sys/resource.h>

#include "tests/harness.h"
#include "tests/unit/card_rig.h"

#define PROG	0x200000u			/* program: virtual = device address, in the one page that is mapped */
#define OUT	0x210000u			/* region OUTPUT */

FIXTURE(fw) { struct card_rig r; };
FIXTURE_VARIANT(fw) { bool doorbell_mmap; };
FIXTURE_VARIANT_ADD(fw, trap) { false };
FIXTURE_VARIANT_ADD(fw, mmap) { true };

static size_t load_image(uint8_t *room)
{
	FILE *f = fopen(FW_IMAGE, "rb");
	size_t n = 0;

	if (f) {
		n = fread(room, 1, SNPU_FW_MAX_SIZE, f);
		fclose(f);
	}
	return n;
}

static void boot(struct card_rig *r)
{
	static uint8_t image[SNPU_FW_MAX_SIZE];
	const struct snpu_fw_header *h = (const void *)(r->ctl + SNPU_CTL_HEADER);
	size_t size = load_image(image);

	if (!size)
		SKIP("no firmware image: the cross compiler is missing");
	memset(r->ctl, 0, SNPU_CTL_RINGS);
	ASSERT_EQ(card_rig_boot(r, image, size), (uint32_t)SNPU_BOOT_RUNNING);
	ASSERT_TRUE(WAIT_FOR(__atomic_load_n(&h->magic, __ATOMIC_ACQUIRE) == SNPU_FW_HEADER_MAGIC));
	EXPECT_EQ(h->state, (uint32_t)SNPU_FW_READY);
	EXPECT_EQ(h->abi_major, SNPU_FW_ABI_MAJOR);
	EXPECT_EQ(h->version, ((struct snpu_fw_image *)image)->version);
	EXPECT_EQ(rd(r, SNPU_REG_FW_VERSION), h->version);
}

FIXTURE_SETUP(fw)
{
	card_rig_init(&self->r, variant->doorbell_mmap);
	boot(&self->r);
}
FIXTURE_TEARDOWN(fw) { card_rig_free(&self->r); }

static int32_t queue_create(struct card_rig *r, uint32_t q, uint32_t priority)
{
	struct snpu_fw_cmd_QUEUE_CREATE cmd = { .pt_root = card_rig_tables(r), .queue = q, .priority = priority, .asid = q + 1, .slots = 8 };

	return card_rig_command(r, SNPU_FW_OP_QUEUE_CREATE, &cmd, sizeof(cmd), NULL);
}

static void submit(struct card_rig *r, uint32_t q, uint32_t seqno, uint32_t entry)
{
	struct snpu_job_desc *d = (void *)(r->ctl + SNPU_CTL_JOB(q, (seqno - 1) % 8));

	memset(d, 0, sizeof(*d));
	d->seqno = seqno;
	d->entry = entry;
	d->region[SNPU_REGION_PROGRAM] = (struct snpu_region_binding){ PROG, 0x10000 };
	d->region[SNPU_REGION_OUTPUT] = (struct snpu_region_binding){ OUT, 0x10000 };
	card_rig_ring_doorbell(r, q, seqno);
}

/* Programs: at 0 signals 42 to OUTPUT + 8 and ends; at 0x100 an undefined opcode; at 0x200 loops for hours and signals 43. */
static void programs(struct card_rig *r)
{
	struct snpu_pkt_SIGNAL sig = { .hdr = { SNPU_OP_SIGNAL, 0, sizeof(sig) / 4 }, .value = 42,
				       .dst = { .addr = SNPU_REF_ADDR(SNPU_REGION_OUTPUT, 8) } };
	struct snpu_pkt_END end = { .hdr = { SNPU_OP_END, 0, sizeof(end) / 4 } };
	struct snpu_pkt_LOOP loop = { .hdr = { SNPU_OP_LOOP, 0, sizeof(loop) / 4 }, .count = 0xffffffff };
	struct snpu_pkt_NEXT next = { .hdr = { SNPU_OP_NEXT, 0, sizeof(next) / 4 } };
	uint8_t *p = r->vram + PROG;

	memcpy(p, &sig, sizeof(sig));
	memcpy(p + sizeof(sig), &end, sizeof(end));
	memset(p + 0x100, 0xee, 8);
	memcpy(p + 0x200, &loop, sizeof(loop));
	memcpy(p + 0x200 + sizeof(loop), &next, sizeof(next));
	memcpy(p + 0x200 + sizeof(loop) + sizeof(next), &end, sizeof(end));
}

union event {
	struct snpu_fw_event_head head;
	struct snpu_fw_event_JOB_DONE done;
	struct snpu_fw_event_JOB_FAULT fault;
	uint8_t bytes[SNPU_FW_MSG_SIZE];
};

TEST_F(fw, ping_and_log)
{
	struct snpu_fw_cmd_PING ping = { .cookie = 0x0123456789abcdefull };
	const struct snpu_fw_log *log = (const void *)(self->r.ctl + SNPU_CTL_LOG);
	uint64_t value = 0;
	unsigned int irqs = atomic_load(&self->r.irqs[0]);

	EXPECT_EQ(card_rig_command(&self->r, SNPU_FW_OP_PING, &ping, sizeof(ping), &value), 0);
	EXPECT_EQ(value, ping.cookie);
	EXPECT_TRUE(WAIT_FOR(atomic_load(&self->r.irqs[0]) > irqs));
	EXPECT_CONTAINS(log->data, "snpu firmware");
}

TEST_F(fw, heartbeat_and_idle_cpu)
{
	const struct snpu_fw_header *h = (const void *)(self->r.ctl + SNPU_CTL_HEADER);
	uint64_t beat = h->heartbeat;
	struct rusage a, b;
	uint64_t us;

	ASSERT_EQ(queue_create(&self->r, 1, 1), 0);	/* mapped doorbells are looked at while there is one */
	nanosleep(&(struct timespec){ 0, 300000000 }, NULL);
	getrusage(RUSAGE_SELF, &a);
	nanosleep(&(struct timespec){ 1, 0 }, NULL);
	getrusage(RUSAGE_SELF, &b);
	EXPECT_GT(h->heartbeat, beat);
	us = (uint64_t)(b.ru_utime.tv_sec - a.ru_utime.tv_sec + b.ru_stime.tv_sec - a.ru_stime.tv_sec) * 1000000 +
	     (uint64_t)(b.ru_utime.tv_usec - a.ru_utime.tv_usec + b.ru_stime.tv_usec - a.ru_stime.tv_usec);
	printf("# idle: %llu us of processor time in one second\n", (unsigned long long)us);
	EXPECT_LT(us, 100000u);			/* a core that spins uses ten times that */
	EXPECT_EQ(rd(&self->r, SNPU_REG_CORE_STATE), (uint32_t)SNPU_CORE_WAITING);
}

TEST_F(fw, job_done)
{
	struct card_rig *r = &self->r;
	union event ev;

	programs(r);
	ASSERT_EQ(queue_create(r, 5, 1), 0);
	for (uint32_t seqno = 1; seqno <= 20; seqno++) {
		uint64_t *out = (uint64_t *)(r->vram + OUT + 8);
		uint32_t head;

		*out = 0;
		submit(r, 5, seqno, 0);
		ASSERT_TRUE(card_rig_event(r, &ev));
		ASSERT_EQ(ev.head.type, (uint32_t)SNPU_FW_EVENT_JOB_DONE);
		ASSERT_EQ(ev.done.seqno, seqno);
		ASSERT_EQ(ev.done.queue, 5u);
		EXPECT_LE(ev.done.start_ns, ev.done.end_ns);
		EXPECT_GT(ev.done.cycles, 0u);
		EXPECT_EQ(*out, 42u);
		EXPECT_EQ(card_rig_queue(r, 5)->head, seqno);
		if (!variant->doorbell_mmap) {
			card_bar_read(r->card, SNPU_BAR_DOORBELL, 5 * SNPU_DOORBELL_STRIDE + SNPU_DB_HEAD, &head, 4);
			EXPECT_EQ(head, seqno);
		}
	}
	EXPECT_EQ(card_rig_queue(r, 5)->counter[SNPU_COUNTER_PACKETS], 40u);
	EXPECT_EQ(rd(r, SNPU_REG_COUNTER_BASE + 8 * SNPU_COUNTER_PACKETS), 40u);
	EXPECT_EQ(rd(r, SNPU_REG_COUNTER_BASE + 8 * SNPU_COUNTER_PACKETS + 4), 0u);
	EXPECT_EQ(rd(r, SNPU_REG_COUNTER_BASE + 8 * SNPU_COUNTER_CYCLES), (uint32_t)card_rig_queue(r, 5)->counter[SNPU_COUNTER_CYCLES]);
}

TEST_F(fw, fault_stops_only_its_queue)
{
	struct card_rig *r = &self->r;
	const struct snpu_fault *f = &card_rig_queue(r, 1)->fault;
	union event ev;

	programs(r);
	ASSERT_EQ(queue_create(r, 1, 1), 0);
	ASSERT_EQ(queue_create(r, 2, 1), 0);
	submit(r, 1, 1, 0x100);
	ASSERT_TRUE(card_rig_event(r, &ev));
	ASSERT_EQ(ev.head.type, (uint32_t)SNPU_FW_EVENT_JOB_FAULT);
	EXPECT_EQ(ev.fault.code, (uint32_t)SNPU_FAULT_BAD_OPCODE);
	EXPECT_EQ(ev.fault.queue, 1u);
	EXPECT_EQ(f->code, (uint32_t)SNPU_FAULT_BAD_OPCODE);
	EXPECT_EQ(f->pc, 0x100u);
	EXPECT_EQ(f->packet, 0xeeeeeeeeu);
	EXPECT_EQ(f->asid, 2u);
	EXPECT_EQ(f->queue, 1u);
	EXPECT_EQ(f->operand, ~0u);
	EXPECT_EQ(f->seqno, 1u);
	EXPECT_EQ(card_rig_queue(r, 1)->state, (uint32_t)SNPU_QUEUE_FAULTED);
	submit(r, 2, 1, 0);
	ASSERT_TRUE(card_rig_event(r, &ev));
	EXPECT_EQ(ev.head.type, (uint32_t)SNPU_FW_EVENT_JOB_DONE);
	EXPECT_EQ(ev.done.queue, 2u);
}

/* A job that would take hours yields to one of higher priority, is resumed, and goes when its queue is destroyed. */
TEST_F(fw, preemption_and_destroy)
{
	struct card_rig *r = &self->r;
	struct snpu_fw_cmd_QUEUE_DESTROY destroy = { .queue = 3 };
	const struct snpu_fw_header *h = (const void *)(r->ctl + SNPU_CTL_HEADER);
	const struct snpu_queue_ctx *slow = card_rig_queue(r, 3);
	uint64_t progress;
	union event ev;

	programs(r);
	ASSERT_EQ(queue_create(r, 3, 0), 0);
	ASSERT_EQ(queue_create(r, 4, 3), 0);
	submit(r, 3, 1, 0x200);
	ASSERT_TRUE(WAIT_FOR(h->running_queue == 3 && slow->progress > 0));
	submit(r, 4, 1, 0);
	ASSERT_TRUE(card_rig_event(r, &ev));
	EXPECT_EQ(ev.head.type, (uint32_t)SNPU_FW_EVENT_JOB_DONE);
	EXPECT_EQ(ev.done.queue, 4u);
	progress = slow->progress;
	ASSERT_TRUE(WAIT_FOR(h->running_queue == 3 && slow->progress > progress));
	EXPECT_EQ(card_rig_command(r, SNPU_FW_OP_QUEUE_DESTROY, &destroy, sizeof(destroy), NULL), 0);
	EXPECT_EQ(slow->state, (uint32_t)SNPU_QUEUE_FREE);
	EXPECT_TRUE(WAIT_FOR(h->running_queue == ~0u));
}

TEST_F(fw, crash_and_boot_again)
{
	struct card_rig *r = &self->r;
	const struct snpu_fw_crash *crash = (const void *)(r->ctl + SNPU_CTL_CRASH);
	struct snpu_fw_cmd_CRASH cmd = { .how = 1 };

	card_rig_send(r, SNPU_FW_OP_CRASH, &cmd, sizeof(cmd));
	ASSERT_TRUE(WAIT_FOR(rd(r, SNPU_REG_CORE_STATE) == SNPU_CORE_CRASHED));
	EXPECT_TRUE(WAIT_FOR(atomic_load(&r->irqs[1]) == 1));
	EXPECT_TRUE(rd(r, SNPU_REG_IRQ_STATUS) & SNPU_IRQ_STATUS_ERROR_MASK);
	EXPECT_EQ(crash->magic, SNPU_FW_CRASH_MAGIC);
	EXPECT_EQ(crash->cause, 2u);		/* illegal instruction */
	wr(r, SNPU_REG_RESET, SNPU_RESET_KEY);
	EXPECT_EQ(rd(r, SNPU_REG_CORE_STATE), (uint32_t)SNPU_CORE_HALTED);
	EXPECT_EQ(rd(r, SNPU_REG_FW_VERSION), 0u);
	boot(r);
	programs(r);
	EXPECT_EQ(queue_create(r, 0, 0), 0);
}

/* Firmware that spins with interrupts off answers nothing; the reset register still works, with a job on the engine. */
TEST_F(fw, reset_of_everything_busy)
{
	struct card_rig *r = &self->r;
	struct snpu_fw_cmd_CRASH cmd = { .how = 2 };
	const struct snpu_fw_header *h = (const void *)(r->ctl + SNPU_CTL_HEADER);
	uint64_t beat;

	programs(r);
	ASSERT_EQ(queue_create(r, 0, 0), 0);
	submit(r, 0, 1, 0x200);
	ASSERT_TRUE(WAIT_FOR(h->running_queue == 0));
	card_rig_send(r, SNPU_FW_OP_CRASH, &cmd, sizeof(cmd));
	do {
		beat = h->heartbeat;
		nanosleep(&(struct timespec){ 0, 3 * SNPU_HEARTBEAT_US * 1000 }, NULL);
	} while (beat != h->heartbeat);
	EXPECT_EQ(rd(r, SNPU_REG_CORE_STATE), (uint32_t)SNPU_CORE_RUNNING);
	wr(r, SNPU_REG_RESET, SNPU_RESET_KEY);
	EXPECT_EQ(rd(r, SNPU_REG_CORE_STATE), (uint32_t)SNPU_CORE_HALTED);
	EXPECT_EQ(rd(r, SNPU_REG_COUNTER_BASE), 0u);
	boot(r);
	EXPECT_EQ(queue_create(r, 0, 0), 0);
	submit(r, 0, 1, 0);

	union event ev;

	ASSERT_TRUE(card_rig_event(r, &ev));
	EXPECT_EQ(ev.head.type, (uint32_t)SNPU_FW_EVENT_JOB_DONE);
}

TEST_HARNESS_MAIN
