/* SPDX-License-Identifier: MIT */
/*
 * The shipped firmware on the simulated card: boot and its refusals, jobs on the real engine, preemption, faults,
 * destruction, crashes and recovery.
 */
#include "tests/unit/fw_card_rig.h"

TEST_F(host, boots)
{
	ASSERT_TRUE(ready(self));
	EXPECT_EQ(reg_read(self, SNPU_REG_FW_VERSION), FW_VERSION);
	EXPECT_EQ(self->header->version, FW_VERSION);
	/* It sleeps, and its heart beats. */
	while (reg_read(self, SNPU_REG_CORE_STATE) != SNPU_CORE_WAITING)
		usleep(200);
	while (__atomic_load_n(&self->header->heartbeat, __ATOMIC_ACQUIRE) < 3)
		usleep(1000);
}

TEST_F(host, refuses_bad_images)
{
	static const struct { const char *path; enum snpu_boot_error error; } bad[] = {
		{ FW_DIR "/bad/magic/snpu/snpu-fw-1.bin", SNPU_BOOT_ERR_MAGIC },
		{ FW_DIR "/bad/header/snpu/snpu-fw-1.bin", SNPU_BOOT_ERR_HEADER },
		{ FW_DIR "/bad/size/snpu/snpu-fw-1.bin", SNPU_BOOT_ERR_HEADER },
		{ FW_DIR "/bad/major/snpu/snpu-fw-1.bin", SNPU_BOOT_ERR_ABI },
		{ FW_DIR "/bad/section/snpu/snpu-fw-1.bin", SNPU_BOOT_ERR_SECTION },
		{ FW_DIR "/bad/hash/snpu/snpu-fw-1.bin", SNPU_BOOT_ERR_HASH },
		{ FW_DIR "/bad/entry/snpu/snpu-fw-1.bin", SNPU_BOOT_ERR_ENTRY },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		EXPECT_EQ(boot(self, bad[i].path), bad[i].error);
		EXPECT_EQ(reg_read(self, SNPU_REG_CORE_STATE), SNPU_CORE_HALTED);
	}
	EXPECT_TRUE(ready(self));
}

TEST_F(host, job)
{
	const struct snpu_fw_event_JOB_DONE *done;

	ASSERT_TRUE(ready(self));
	ASSERT_EQ(create(self, 5, 0), 0);
	submit(self, 5, program(self, 10));
	done = event(self);
	EXPECT_EQ(done->head.type, SNPU_FW_EVENT_JOB_DONE);
	EXPECT_EQ(done->seqno, 1);
	EXPECT_EQ(done->queue, 5);
	EXPECT_GE(done->end_ns, done->start_ns);
	EXPECT_EQ(done->cycles, queue(self, 5)->counter[SNPU_COUNTER_CYCLES]);
	EXPECT_GT(done->cycles, 0);
	/* LOOP once, NOP and NEXT ten times, END */
	EXPECT_EQ(queue(self, 5)->counter[SNPU_COUNTER_PACKETS], 22);
	EXPECT_EQ(queue(self, 5)->head, 1);
	EXPECT_GT(self->irqs[0], 0);
	EXPECT_EQ(self->irqs[1], 0);
}

/* Four queues, each with a full ring, three times over: every completion comes, in order within its queue. */
TEST_F(host, many_jobs)
{
	const uint32_t total = 4 * 3 * SNPU_RING_SLOTS;
	uint64_t done[4] = { 0 };
	uint32_t entry, put_[4] = { 0 };

	ASSERT_TRUE(ready(self));
	entry = program(self, 3);
	for (uint32_t q = 0; q < 4; q++)
		ASSERT_EQ(create(self, q, q), 0);
	for (uint32_t n = 0; n < total; n++) {
		const struct snpu_fw_event_JOB_DONE *e;

		for (uint32_t q = 0; q < 4; q++)
			if (put_[q] == done[q] && put_[q] < total / 4) {
				for (uint32_t i = 0; i < SNPU_RING_SLOTS; i++)
					put(self, q, put_[q]++, entry);
				ring(self, q, put_[q]);
			}
		e = event(self);
		ASSERT_EQ(e->head.type, SNPU_FW_EVENT_JOB_DONE);
		ASSERT_LT(e->queue, 4);
		ASSERT_EQ(e->seqno, ++done[e->queue]);
	}
	for (uint32_t q = 0; q < 4; q++) {
		EXPECT_EQ(queue(self, q)->jobs, total / 4);
		EXPECT_EQ(queue(self, q)->counter[SNPU_COUNTER_PACKETS], 8ull * total / 4);
	}
}

/* A host that reads no events for a while: all are there in the end. */
TEST_F(host, event_ring_full)
{
	uint64_t done[8] = { 0 };
	uint32_t entry;

	ASSERT_TRUE(ready(self));
	entry = program(self, 0);
	for (uint32_t q = 0; q < 8; q++)
		ASSERT_EQ(create(self, q, 1), 0);
	for (uint32_t q = 0; q < 8; q++) {
		for (uint32_t i = 0; i < SNPU_RING_SLOTS; i++)
			put(self, q, i, entry);
		ring(self, q, SNPU_RING_SLOTS);
	}
	while (!__atomic_load_n(&self->header->event_waiting, __ATOMIC_ACQUIRE))
		usleep(200);
	for (uint32_t n = 0; n < 8 * SNPU_RING_SLOTS; n++) {
		const struct snpu_fw_event_JOB_DONE *e = event(self);

		ASSERT_EQ(e->head.type, SNPU_FW_EVENT_JOB_DONE);
		ASSERT_EQ(e->seqno, ++done[e->queue]);
	}
}

/* An endless job of low priority: a higher one takes the engine and gives it back, another of its own gets turns. */
TEST_F(host, preemption)
{
	const struct snpu_fw_event_JOB_DONE *e;
	uint32_t endless, small;

	ASSERT_TRUE(ready(self));
	endless = program(self, FOREVER);
	small = program(self, 100);
	ASSERT_EQ(create(self, 0, 1), 0);
	ASSERT_EQ(create(self, 1, 3), 0);
	ASSERT_EQ(create(self, 2, 1), 0);
	submit(self, 0, endless);
	wait_running(self, 0);
	for (uint32_t i = 1; i <= 20; i++) {
		uint32_t q = 1 + i % 2;

		submit(self, q, small);
		e = event(self);
		ASSERT_EQ(e->head.type, SNPU_FW_EVENT_JOB_DONE);
		EXPECT_EQ(e->queue, q);
		EXPECT_EQ(e->seqno, (i + 1) / 2);
		wait_running(self, 0);
	}
	EXPECT_EQ(destroy(self, 0), 0);			/* while it runs; no event of its job */
	EXPECT_EQ(queue(self, 0)->state, SNPU_QUEUE_FREE);
	EXPECT_EQ(create(self, 0, 1), 0);
	submit(self, 0, small);
	e = event(self);
	EXPECT_EQ(e->seqno, 1);
}

/* Two long jobs take turns, and neither loses or repeats a packet by it. */
TEST_F(host, turns)
{
	const uint32_t n = 3000000;
	struct snpu_fw_event_JOB_DONE done[2];
	uint32_t entry;

	ASSERT_TRUE(ready(self));
	entry = program(self, n);
	ASSERT_EQ(create(self, 0, 2), 0);
	ASSERT_EQ(create(self, 1, 2), 0);
	submit(self, 0, entry);
	submit(self, 1, entry);
	for (int i = 0; i < 2; i++) {
		memcpy(&done[i], event(self), sizeof(done[i]));
		ASSERT_EQ(done[i].head.type, SNPU_FW_EVENT_JOB_DONE);
		EXPECT_EQ(queue(self, done[i].queue)->counter[SNPU_COUNTER_PACKETS], 2ull * n + 2);
		EXPECT_LT(done[i].busy_ns, done[i].end_ns - done[i].start_ns);
	}
	EXPECT_NE(done[0].queue, done[1].queue);
	EXPECT_LT(done[1].start_ns, done[0].end_ns);	/* they overlapped */
}

TEST_F(host, fault)
{
	const struct snpu_fw_event_JOB_FAULT *fault;
	uint32_t bad, good;

	ASSERT_TRUE(ready(self));
	good = program(self, 5);
	bad = program(self, 5);
	self->vram[PROGRAMS + bad + sizeof(struct snpu_pkt_LOOP)] = 0xee;	/* the NOP's opcode */
	ASSERT_EQ(create(self, 8, 0), 0);
	ASSERT_EQ(create(self, 9, 0), 0);
	submit(self, 8, good);
	EXPECT_EQ(((const struct snpu_fw_event_head *)event(self))->type, SNPU_FW_EVENT_JOB_DONE);
	submit(self, 8, bad);
	fault = event(self);
	EXPECT_EQ(fault->head.type, SNPU_FW_EVENT_JOB_FAULT);
	EXPECT_EQ(fault->queue, 8);
	EXPECT_EQ(fault->seqno, 2);
	EXPECT_EQ(fault->code, SNPU_FAULT_BAD_OPCODE);
	EXPECT_EQ(queue(self, 8)->state, SNPU_QUEUE_FAULTED);
	EXPECT_EQ(queue(self, 8)->fault.code, SNPU_FAULT_BAD_OPCODE);
	EXPECT_EQ(queue(self, 8)->fault.pc, bad + sizeof(struct snpu_pkt_LOOP));
	submit(self, 8, good);				/* nothing more runs there */
	submit(self, 9, good);
	fault = event(self);
	EXPECT_EQ(fault->head.type, SNPU_FW_EVENT_JOB_DONE);
	EXPECT_EQ(((const struct snpu_fw_event_JOB_DONE *)fault)->queue, 9);
	EXPECT_EQ(destroy(self, 8), 0);
	ASSERT_EQ(create(self, 8, 0), 0);
	submit(self, 8, good);
	EXPECT_EQ(((const struct snpu_fw_event_JOB_DONE *)event(self))->seqno, 1);
}

/* Each way to crash with a job running, then reset, boot and work again. */
TEST_F(host, crash_and_recover)
{
	uint32_t endless = program(self, FOREVER), small = program(self, 1);

	for (uint32_t how = 0; how < 3; how++) {
		struct snpu_fw_cmd_CRASH cmd = { .how = how };
		struct snpu_fw_crash *record = (void *)(self->ctl + SNPU_CTL_CRASH);
		unsigned int errors = self->irqs[1];

		ASSERT_TRUE(ready(self));
		EXPECT_EQ(record->magic, 0);		/* of the boot before */
		ASSERT_EQ(create(self, 0, 0), 0);
		submit(self, 0, endless);
		wait_running(self, 0);
		(void)send(self, SNPU_FW_OP_CRASH, &cmd, sizeof(cmd));
		if (how < 2) {
			pthread_mutex_lock(&self->lock);
			while (self->irqs[1] == errors)
				pthread_cond_wait(&self->wake, &self->lock);
			pthread_mutex_unlock(&self->lock);
			EXPECT_EQ(reg_read(self, SNPU_REG_CORE_STATE), SNPU_CORE_CRASHED);
			EXPECT_EQ(record->magic, SNPU_FW_CRASH_MAGIC);
			EXPECT_EQ(self->header->state, SNPU_FW_CRASHED);
		} else {
			while (__atomic_load_n(&self->cmds->head, __ATOMIC_ACQUIRE) != self->cmds->tail)
				usleep(200);
			EXPECT_EQ(reg_read(self, SNPU_REG_CORE_STATE), SNPU_CORE_RUNNING);
		}
		reg_write(self, SNPU_REG_RESET, SNPU_RESET_KEY);
		ASSERT_TRUE(ready(self));
		ASSERT_EQ(create(self, 0, 0), 0);
		submit(self, 0, small);
		EXPECT_EQ(((const struct snpu_fw_event_JOB_DONE *)event(self))->seqno, 1);
		reg_write(self, SNPU_REG_RESET, SNPU_RESET_KEY);
	}
}

TEST_HARNESS_MAIN
