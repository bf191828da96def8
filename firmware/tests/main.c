/* SPDX-License-Identifier: MIT */
/* Runs the one test that the mailbox asks for, and the host's side that all tests share. See test.h. */
#include "test.h"

static bool test_failed;

static void test_text(enum fw_test_reg reg, const char *s)
{
	while (*s)
		box_write(reg, (uint8_t)*s++);
}

void test_fail(const char *file, int line, const char *what, uint64_t a, uint64_t b)
{
	char text[256];

	fmt_print(text, sizeof(text), "%s:%d: expected %s: %llu (0x%llx), %llu (0x%llx)\n", file, line, what, a, a, b, b);
	test_text(FW_TEST_NOTE, text);
	test_failed = true;
}

static struct snpu_fw_ring *host_ring(uint32_t offset)
{
	return ctl_at(offset);
}

uint32_t host_send(uint32_t op, void *cmd, size_t size)
{
	static uint32_t last_id = 1000;
	struct snpu_fw_ring *ring = host_ring(SNPU_CTL_CMD_RING);
	struct snpu_fw_cmd_head *head = cmd;
	uint32_t tail = READ_ONCE(ring->tail);

	head->id = ++last_id;
	head->op = op;
	memcpy(ctl_at(SNPU_CTL_CMD_RING + SNPU_RING_ENTRIES + tail % SNPU_CMD_SLOTS * SNPU_FW_MSG_SIZE), cmd, size);
	core_fence();
	WRITE_ONCE(ring->tail, tail + 1);
	box_write(FW_TEST_CMD_RING, 1);
	return last_id;
}

uint32_t host_events(void)
{
	struct snpu_fw_ring *ring = host_ring(SNPU_CTL_EVENT_RING);

	return READ_ONCE(ring->tail) - READ_ONCE(ring->head);
}

bool host_event(union event *event)
{
	struct snpu_fw_ring *ring = host_ring(SNPU_CTL_EVENT_RING);
	uint32_t head = READ_ONCE(ring->head);

	if (!host_events())
		return false;
	memcpy(event, ctl_at(SNPU_CTL_EVENT_RING + SNPU_RING_ENTRIES + head % SNPU_EVENT_SLOTS * SNPU_FW_MSG_SIZE), sizeof(*event));
	WRITE_ONCE(ring->head, head + 1);
	core_fence();
	if (READ_ONCE(FW_HEADER->event_waiting))
		box_write(FW_TEST_CMD_RING, 1);
	return true;
}

uint32_t host_call(uint32_t op, void *cmd, size_t size)
{
	uint32_t id = host_send(op, cmd, size);
	union event event = { 0 };

	core_pass();
	EXPECT(host_event(&event));
	EXPECT_EQ(event.head.type, SNPU_FW_EVENT_REPLY);
	EXPECT_EQ(event.reply.id, id);
	return event.reply.status;
}

uint32_t host_create(uint32_t queue, uint32_t priority, uint32_t slots)
{
	struct snpu_fw_cmd_QUEUE_CREATE cmd = { .pt_root = PT_ROOT, .queue = queue, .priority = priority, .asid = 1, .slots = slots };

	return host_call(SNPU_FW_OP_QUEUE_CREATE, &cmd, sizeof(cmd));
}

uint32_t host_destroy(uint32_t queue)
{
	struct snpu_fw_cmd_QUEUE_DESTROY cmd = { .queue = queue };

	return host_send(SNPU_FW_OP_QUEUE_DESTROY, &cmd, sizeof(cmd));
}

/* Before the ring wraps. */
bool host_log_ends(const char *text)
{
	struct snpu_fw_log *log = ctl_at(SNPU_CTL_LOG);
	uint32_t end = (uint32_t)ctl_get64(&log->written), n = strlen(text);

	return n < end && !memcmp(log->data + end - n - 1, text, n);
}

void host_push(uint32_t queue, uint32_t jobs)
{
	struct snpu_queue_ctx *ctx = ctl_at(SNPU_CTL_QUEUE(queue));
	uint32_t tail = READ_ONCE(ctx->tail);

	for (; jobs; jobs--, tail++) {
		struct snpu_job_desc *desc = ctl_at(SNPU_CTL_JOB(queue, tail % ctx->slots));

		ctl_put64(&desc->seqno, (uint64_t)tail + 1);
	}
	core_fence();
	WRITE_ONCE(ctx->tail, tail);
	box_write(FW_TEST_RING, queue);
}

int main(void)
{
	static const struct test *const suites[] = { fmt_tests, log_tests, ring_tests, queue_tests, sched_tests };
	uint32_t select = box_read(FW_TEST_SELECT);

	core_boot();
	for (uint32_t s = 0; s < ARRAY_SIZE(suites); s++)
		for (const struct test *t = suites[s]; t->name; t++) {
			if (select--)
				continue;
			test_text(FW_TEST_NAME, t->name);
			t->run();
			box_write(FW_TEST_RESULT, test_failed ? FW_TEST_FAILED : FW_TEST_PASSED);
		}
	box_write(FW_TEST_RESULT, FW_TEST_NO_MORE);
	for (;;)
		__asm__ volatile("wfi");
}
