/* SPDX-License-Identifier: MIT */
/*
 * Queues that outlive their firmware, and rings in a context's memory. The soft reset comes at any moment of a job: each
 * job must be executed once, packet for packet, and reported once, or be refused as cut off.
 */
#include "tests/unit/fw_card_rig.h"

#define RING		0x400000u	/* a 2 MiB page of device memory: rings and status */
#define RING_VA		0x40200000ull
#define STATUS_VA	(RING_VA + 0x100000u)
#define USER_SLOTS	128u
#define JOB_PACKETS(n)	(2ull * (n) + 2)

static uint32_t create_as(struct host *self, uint32_t q, uint32_t flags)
{
	bool user = flags & SNPU_FW_QUEUE_USER;
	struct snpu_fw_cmd_QUEUE_CREATE cmd = {
		.pt_root = TABLES | SNPU_PTE_VALID | SNPU_PTE_DEVICE, .queue = q, .priority = 1, .asid = 1 + q,
		.slots = user ? USER_SLOTS : SNPU_RING_SLOTS, .flags = flags,
		.ring_va = user ? RING_VA : 0, .status_va = user ? STATUS_VA : 0,
	};

	((uint64_t *)table(self, 2))[RING_VA >> 21 & 511] =
		RING | SNPU_PTE_VALID | SNPU_PTE_DEVICE | SNPU_PTE_LEAF | SNPU_PTE_READ | SNPU_PTE_WRITE;
	return call(self, SNPU_FW_OP_QUEUE_CREATE, &cmd, sizeof(cmd));
}

static void user_put(struct host *self, uint32_t tail, uint32_t entry)
{
	struct snpu_job_desc desc = { .seqno = tail + 1, .entry = entry };

	desc.region[SNPU_REGION_PROGRAM] = (struct snpu_region_binding){ PROGRAM_VA, 2 << 20 };
	memcpy(self->vram + RING + tail % USER_SLOTS * sizeof(desc), &desc, sizeof(desc));
}

static struct snpu_user_status *status(struct host *self)
{
	return (void *)(self->vram + RING + (STATUS_VA - RING_VA));
}

static void status_wait(struct host *self, uint64_t seqno)
{
	while (__atomic_load_n(&status(self)->seqno_done, __ATOMIC_ACQUIRE) < seqno)
		usleep(100);
}

static void soft_reset(struct host *self)
{
	reg_write(self, SNPU_REG_RESET, SNPU_RESET_SOFT_KEY);
	while (reg_read(self, SNPU_REG_RESET_STATUS))
		usleep(100);
}

/* Two long jobs of two queues: one is on the engine, one waits; the firmware is replaced under them again and again. */
TEST_F(host, jobs_go_on_under_a_new_firmware)
{
	const uint32_t n = 4000000;
	uint32_t entry = program(self, n), done = 0;
	unsigned int resets = 0;

	ASSERT_TRUE(ready(self));
	for (uint32_t q = 0; q < 2; q++) {
		ASSERT_EQ(create_as(self, q, 0), 0);
		submit(self, q, entry);
	}
	while (done != 3 && resets < 20) {
		usleep(5000);
		soft_reset(self);
		resets++;
		/* What was told before the reset counts. */
		for (uint32_t q = 0; q < 2; q++)
			done |= (queue(self, q)->head == 1) << q;
		ASSERT_TRUE(ready(self));
		for (uint32_t q = 0; q < 2; q++)
			ASSERT_EQ(create_as(self, q, SNPU_FW_QUEUE_KEEP), 0);
	}
	for (uint32_t q = 0; q < 2; q++) {
		while (__atomic_load_n(&queue(self, q)->head, __ATOMIC_ACQUIRE) != 1)
			usleep(200);
		EXPECT_EQ(queue(self, q)->counter[SNPU_COUNTER_PACKETS], JOB_PACKETS(n));
		EXPECT_EQ(queue(self, q)->seqno_done, 1);
		EXPECT_EQ(queue(self, q)->eng_done, 1);
	}
	EXPECT_GT(resets, 1);
}

/* The firmware crashes, the engine finishes its job alone: the next firmware reports it, and does not run it again. */
TEST_F(host, job_that_ended_unseen)
{
	struct snpu_fw_cmd_CRASH crash = { .how = 0 };
	const struct snpu_fw_event_JOB_DONE *done;
	const uint32_t n = 300000;

	ASSERT_TRUE(ready(self));
	ASSERT_EQ(create_as(self, 3, 0), 0);
	submit(self, 3, program(self, n));
	wait_running(self, 3);
	(void)send(self, SNPU_FW_OP_CRASH, &crash, sizeof(crash));
	while (reg_read(self, SNPU_REG_CORE_STATE) != SNPU_CORE_CRASHED || reg_read(self, SNPU_REG_RESET_STATUS))
		usleep(200);
	EXPECT_EQ(queue(self, 3)->head, 0);
	soft_reset(self);
	ASSERT_TRUE(ready(self));
	ASSERT_EQ(create_as(self, 3, SNPU_FW_QUEUE_KEEP), ~0u);		/* the job's event comes before the reply */
	done = event(self);
	EXPECT_EQ(done->head.type, SNPU_FW_EVENT_REPLY);
	EXPECT_EQ(queue(self, 3)->head, 1);
	EXPECT_EQ(queue(self, 3)->counter[SNPU_COUNTER_PACKETS], JOB_PACKETS(n));
	submit(self, 3, program(self, 1));
	done = event(self);
	EXPECT_EQ(done->head.type, SNPU_FW_EVENT_JOB_DONE);
	EXPECT_EQ(done->seqno, 2);
}

/* A full reset stops a job in the middle of a packet: it cannot go on and must not run twice. A job that waited can. */
TEST_F(host, job_that_was_cut_off)
{
	const uint32_t entry = program(self, FOREVER), small = program(self, 3);
	const struct snpu_fw_event_JOB_DONE *done;

	ASSERT_TRUE(ready(self));
	ASSERT_EQ(create_as(self, 0, 0), 0);
	submit(self, 0, entry);
	while (!__atomic_load_n(&queue(self, 0)->eng_started, __ATOMIC_ACQUIRE))
		usleep(200);		/* told to run is not yet begun */
	reg_write(self, SNPU_REG_RESET, SNPU_RESET_KEY);
	put(self, 1, 0, small);
	ASSERT_TRUE(ready(self));
	EXPECT_EQ(create_as(self, 0, SNPU_FW_QUEUE_KEEP), (uint32_t)-EIO);
	ASSERT_EQ(create_as(self, 1, 0), 0);
	reg_write(self, SNPU_REG_RESET, SNPU_RESET_KEY);
	queue(self, 1)->tail = 1;
	ASSERT_TRUE(ready(self));
	ASSERT_EQ(create_as(self, 1, SNPU_FW_QUEUE_KEEP), 0);
	ring(self, 1, 1);
	done = event(self);
	EXPECT_EQ(done->head.type, SNPU_FW_EVENT_JOB_DONE);
	EXPECT_EQ(done->queue, 1);
	EXPECT_EQ(queue(self, 1)->counter[SNPU_COUNTER_PACKETS], JOB_PACKETS(3));
}

/* What a context in the control area says is checked before it is taken up. */
TEST_F(host, bad_contexts)
{
	ASSERT_TRUE(ready(self));
	ASSERT_EQ(create_as(self, 0, 0), 0);
	ASSERT_EQ(destroy(self, 0), 0);
	queue(self, 0)->tail = SNPU_RING_SLOTS + 1;
	EXPECT_EQ(create_as(self, 0, SNPU_FW_QUEUE_KEEP), (uint32_t)-EINVAL);
	queue(self, 0)->tail = 0;
	queue(self, 0)->head = 7;
	EXPECT_EQ(create_as(self, 0, SNPU_FW_QUEUE_KEEP), (uint32_t)-EINVAL);
	queue(self, 0)->head = 0;
	queue(self, 0)->saved.valid = 1;		/* of no job */
	EXPECT_EQ(create_as(self, 0, SNPU_FW_QUEUE_KEEP), (uint32_t)-EINVAL);
	queue(self, 0)->saved.valid = 0;
	EXPECT_EQ(create_as(self, 0, SNPU_FW_QUEUE_KEEP), 0);
}

/* Jobs from a ring in the context's memory, more than it holds, watched through the status alone: no event, no interrupt. */
TEST_F(host, user_queue)
{
	uint32_t entry = program(self, 10), tail = 0;
	unsigned int irqs;

	ASSERT_TRUE(ready(self));
	ASSERT_EQ(create_as(self, 2, SNPU_FW_QUEUE_USER), 0);
	irqs = self->irqs[0];
	while (tail < 3 * USER_SLOTS) {
		for (uint32_t i = 0; i < USER_SLOTS; i++)
			user_put(self, tail++, entry);
		ring(self, 2, tail);
		status_wait(self, tail);
	}
	while (__atomic_load_n(&queue(self, 2)->head, __ATOMIC_ACQUIRE) != tail)
		usleep(100);
	EXPECT_EQ(self->irqs[0], irqs);
	EXPECT_EQ(status(self)->fault, 0);
	EXPECT_GT(status(self)->cycles, 0);
	EXPECT_EQ(queue(self, 2)->counter[SNPU_COUNTER_PACKETS], tail * JOB_PACKETS(10));
}

/* The host asks for an event from a number on. */
TEST_F(host, user_queue_event)
{
	const struct snpu_fw_event_JOB_DONE *done;
	uint32_t entry = program(self, 10);

	ASSERT_TRUE(ready(self));
	ASSERT_EQ(create_as(self, 2, SNPU_FW_QUEUE_USER), 0);
	queue(self, 2)->notify = 3;
	for (uint32_t i = 0; i < 3; i++)
		user_put(self, i, entry);
	ring(self, 2, 3);
	done = event(self);
	EXPECT_EQ(done->head.type, SNPU_FW_EVENT_JOB_DONE);
	EXPECT_EQ(done->seqno, 3);
	EXPECT_EQ(status(self)->seqno_done, 3);
}

/* What a user can do wrong with ring and status stops the user's queue and names the address. */
TEST_F(host, user_queue_faults)
{
	const struct snpu_fw_event_JOB_FAULT *fault;
	uint32_t entry = program(self, 10);

	ASSERT_TRUE(ready(self));
	ASSERT_EQ(create_as(self, 2, SNPU_FW_QUEUE_USER), 0);
	user_put(self, 0, entry);
	((struct snpu_job_desc *)(self->vram + RING))->seqno = 9;
	ring(self, 2, 1);
	fault = event(self);
	EXPECT_EQ(fault->head.type, SNPU_FW_EVENT_JOB_FAULT);
	EXPECT_EQ(fault->code, SNPU_FAULT_BAD_DESC);
	EXPECT_EQ(status(self)->fault, SNPU_FAULT_BAD_DESC);
	EXPECT_EQ(status(self)->seqno_done, 1);
	ASSERT_EQ(destroy(self, 2), 0);

	ASSERT_EQ(create_as(self, 2, SNPU_FW_QUEUE_USER), 0);
	user_put(self, 0, entry);
	queue(self, 2)->notify = 1;
	ring(self, 2, 1);
	EXPECT_EQ(((const struct snpu_fw_event_head *)event(self))->type, SNPU_FW_EVENT_JOB_DONE);
	ASSERT_EQ(destroy(self, 2), 0);
	ASSERT_EQ(create_as(self, 2, SNPU_FW_QUEUE_USER), 0);
	((uint64_t *)table(self, 2))[RING_VA >> 21 & 511] = 0;
	reg_write(self, SNPU_REG_MMU_INVALIDATE, SNPU_MMU_INVALIDATE_ALL_MASK);
	ring(self, 2, 1);
	fault = event(self);
	EXPECT_EQ(fault->code, SNPU_FAULT_MMU_UNMAPPED);
	EXPECT_EQ(queue(self, 2)->fault.va, RING_VA);
	EXPECT_EQ(queue(self, 2)->fault.seqno, 1);
	/* A job that never began takes nothing from the card's totals. */
	EXPECT_EQ(reg_read(self, SNPU_REG_COUNTER_BASE + 8 * SNPU_COUNTER_PACKETS), JOB_PACKETS(10));
	ASSERT_EQ(destroy(self, 2), 0);

	ASSERT_EQ(create_as(self, 2, SNPU_FW_QUEUE_USER), 0);
	ring(self, 2, USER_SLOTS + 1);
	fault = event(self);
	EXPECT_EQ(fault->code, SNPU_FAULT_BAD_DESC);
	EXPECT_EQ(fault->seqno, 0);
}

/* A preempted user job goes on under a new firmware although its descriptor in the ring was overwritten since. */
TEST_F(host, user_queue_goes_on)
{
	const uint32_t n = 3000000;

	ASSERT_TRUE(ready(self));
	ASSERT_EQ(create_as(self, 2, SNPU_FW_QUEUE_USER), 0);
	user_put(self, 0, program(self, n));
	ring(self, 2, 1);
	wait_running(self, 2);
	soft_reset(self);
	memset(self->vram + RING, 0xff, sizeof(struct snpu_job_desc));
	user_put(self, 1, program(self, 5));
	ring(self, 2, 2);				/* while no firmware is there to hear it */
	ASSERT_TRUE(ready(self));
	ASSERT_EQ(create_as(self, 2, SNPU_FW_QUEUE_USER | SNPU_FW_QUEUE_KEEP), 0);
	status_wait(self, 2);
	EXPECT_EQ(status(self)->fault, 0);
	while (__atomic_load_n(&queue(self, 2)->head, __ATOMIC_ACQUIRE) != 2)
		usleep(100);
	EXPECT_EQ(queue(self, 2)->counter[SNPU_COUNTER_PACKETS], JOB_PACKETS(n) + JOB_PACKETS(5));
}

TEST_HARNESS_MAIN
