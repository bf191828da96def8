/* SPDX-License-Identifier: MIT */
/* The command ring, the event ring and its back-pressure. */
#include "test.h"

static struct snpu_fw_ring *cmd_ring(void)
{
	return ctl_at(SNPU_CTL_CMD_RING);
}

static struct snpu_fw_ring *event_ring(void)
{
	return ctl_at(SNPU_CTL_EVENT_RING);
}

/* Both rings turn over several times, in bursts of every length up to a full command ring. */
static void ring_wraps(void)
{
	struct snpu_fw_cmd_PING ping = { 0 };
	union event event;
	uint64_t cookie = 0, expect = 0;

	for (uint32_t burst = 1; burst <= SNPU_CMD_SLOTS; burst++) {
		for (uint32_t i = 0; i < burst; i++) {
			ping.cookie = ++cookie << 32 | 5;
			(void)host_send(SNPU_FW_OP_PING, &ping, sizeof(ping));
		}
		core_pass();
		EXPECT_EQ(cmd_ring()->head, cmd_ring()->tail);
		EXPECT_EQ(box_read(FW_TEST_HOST_IRQS), 1);	/* one interrupt a pass */
		EXPECT(!core_awake());
		while (host_event(&event)) {
			EXPECT_EQ(event.reply.value, ++expect << 32 | 5);
			EXPECT_EQ(event.reply.status, 0);
		}
	}
	EXPECT_EQ(expect, SNPU_CMD_SLOTS * (SNPU_CMD_SLOTS + 1) / 2);
}

static void cmd_refusals(void)
{
	struct snpu_fw_cmd_PING ping = { .head.pad = 1 };
	struct snpu_fw_cmd_CRASH crash = { .how = 3 };

	EXPECT_EQ(host_call(SNPU_FW_OP_PING, &ping, sizeof(ping)), (uint32_t)-FW_EINVAL);
	ping.head.pad = 1ull << 63;
	EXPECT_EQ(host_call(SNPU_FW_OP_PING, &ping, sizeof(ping)), (uint32_t)-FW_EINVAL);
	ping.head.pad = 0;
	EXPECT_EQ(host_call(0, &ping, sizeof(ping)), (uint32_t)-FW_EOPNOTSUPP);
	EXPECT_EQ(host_call(6, &ping, sizeof(ping)), (uint32_t)-FW_EOPNOTSUPP);
	EXPECT_EQ(host_call(~0u, &ping, sizeof(ping)), (uint32_t)-FW_EOPNOTSUPP);
	EXPECT_EQ(host_call(SNPU_FW_OP_CRASH, &crash, sizeof(crash)), (uint32_t)-FW_EINVAL);
	crash = (struct snpu_fw_cmd_CRASH){ .pad = 1 };
	EXPECT_EQ(host_call(SNPU_FW_OP_CRASH, &crash, sizeof(crash)), (uint32_t)-FW_EINVAL);
}

/* A tail that cannot be: nothing is taken, nothing breaks, and it works again when the tail does. */
static void cmd_bad_tail(void)
{
	struct snpu_fw_cmd_PING ping = { .cookie = 7 };
	static const uint32_t bad[] = { SNPU_CMD_SLOTS + 1, 0x80000000u, ~0u };
	uint64_t log;

	for (uint32_t i = 0; i < ARRAY_SIZE(bad); i++) {
		uint32_t good = cmd_ring()->tail;

		WRITE_ONCE(cmd_ring()->tail, good + bad[i]);
		box_write(FW_TEST_CMD_RING, 1);
		core_pass();
		log = ctl_get64(&((struct snpu_fw_log *)ctl_at(SNPU_CTL_LOG))->written);
		core_pass();
		EXPECT_EQ(ctl_get64(&((struct snpu_fw_log *)ctl_at(SNPU_CTL_LOG))->written), log);	/* told once */
		EXPECT_EQ(host_events(), 0);
		EXPECT_EQ(cmd_ring()->head, good);
		WRITE_ONCE(cmd_ring()->tail, good);
		EXPECT_EQ(host_call(SNPU_FW_OP_PING, &ping, sizeof(ping)), 0);
	}
}

/* Fills the event ring with replies: all slots but `leave`. */
static void fill(uint32_t leave)
{
	struct snpu_fw_cmd_PING ping = { 0 };

	while (host_events() < SNPU_EVENT_SLOTS - leave) {
		(void)host_send(SNPU_FW_OP_PING, &ping, sizeof(ping));
		core_pass();
	}
}

/* Commands wait for room; each is answered once when there is. */
static void event_full_commands(void)
{
	struct snpu_fw_cmd_PING ping = { .cookie = 42 };
	union event event;
	uint32_t first;

	fill(0);
	EXPECT_EQ(FW_HEADER->event_waiting, 0);
	first = host_send(SNPU_FW_OP_PING, &ping, sizeof(ping));
	(void)host_send(SNPU_FW_OP_PING, &ping, sizeof(ping));
	core_pass();
	EXPECT_EQ(host_events(), SNPU_EVENT_SLOTS);
	EXPECT_EQ(FW_HEADER->event_waiting, 1);
	EXPECT(!core_awake());			/* it waits, it does not spin */
	EXPECT(host_event(&event));
	EXPECT(core_awake());			/* the host saw event_waiting and rang */
	core_pass();
	EXPECT_EQ(host_events(), SNPU_EVENT_SLOTS);
	EXPECT_EQ(FW_HEADER->event_waiting, 1);
	while (host_events() > 1)
		(void)host_event(&event);
	EXPECT(host_event(&event));
	EXPECT_EQ(event.reply.id, first);
	core_pass();
	EXPECT(host_event(&event));
	EXPECT_EQ(event.reply.id, first + 1);
	EXPECT_EQ(FW_HEADER->event_waiting, 0);
	EXPECT_EQ(host_events(), 0);
}

/* A job starts only when its event has a slot, and that slot stays its own. */
static void event_full_jobs(void)
{
	struct snpu_fw_cmd_PING ping = { 0 };
	union event event = { 0 };

	EXPECT_EQ(host_create(0, 0, 8), 0);
	fill(1);
	host_push(0, 2);
	core_pass();
	EXPECT_EQ(engine_cmd(), SNPU_ENG_START);
	(void)host_send(SNPU_FW_OP_PING, &ping, sizeof(ping));
	core_pass();
	EXPECT_EQ(host_events(), SNPU_EVENT_SLOTS - 1);	/* the last slot is the job's, not the ping's */
	engine_stop(5, SNPU_ENG_DONE);
	EXPECT_EQ(host_events(), SNPU_EVENT_SLOTS);
	EXPECT_EQ(engine_cmd(), 0);			/* the second job waits */
	EXPECT_EQ(engine_queue(), SCHED_NONE);
	EXPECT(!core_awake());
	EXPECT(host_event(&event));
	core_pass();					/* room for one: the ping was first */
	EXPECT_EQ(engine_cmd(), 0);
	EXPECT(host_event(&event));
	core_pass();
	EXPECT_EQ(engine_cmd(), SNPU_ENG_START);
	engine_stop(5, SNPU_ENG_DONE);
	while (host_events())
		(void)host_event(&event);
	EXPECT_EQ(event.head.type, SNPU_FW_EVENT_JOB_DONE);
	EXPECT_EQ(event.done.seqno, 2);
}

/* A job that was preempted has its slot: it goes on though the ring is full, while a new one of higher priority cannot start. */
static void event_full_preempted(void)
{
	EXPECT_EQ(host_create(0, 0, 8), 0);
	EXPECT_EQ(host_create(1, 3, 8), 0);
	EXPECT_EQ(host_create(2, 3, 8), 0);
	host_push(0, 1);
	core_pass();
	host_push(1, 1);
	core_pass();
	engine_stop(5, SNPU_ENG_PREEMPTED);
	EXPECT_EQ(engine_queue(), 1);
	fill(2);
	host_push(2, 1);
	engine_stop(5, SNPU_ENG_DONE);			/* queue 1: the ring is full but for queue 0's slot */
	EXPECT_EQ(host_events(), SNPU_EVENT_SLOTS - 1);
	EXPECT_EQ(engine_queue(), 0);
	EXPECT_EQ(engine_cmd(), SNPU_ENG_RESUME);
	core_pass();
	EXPECT_EQ(engine_cmd(), 0);			/* and it is not preempted for one that could not start */
	engine_stop(5, SNPU_ENG_DONE);
	EXPECT_EQ(host_events(), SNPU_EVENT_SLOTS);
	EXPECT_EQ(engine_queue(), SCHED_NONE);
}

/* A host that takes events and does not ring: the heartbeat finds the room. */
static void event_forgetful_host(void)
{
	EXPECT_EQ(host_create(0, 0, 8), 0);
	fill(0);
	host_push(0, 1);
	core_pass();
	EXPECT_EQ(engine_cmd(), 0);
	WRITE_ONCE(event_ring()->head, event_ring()->tail);
	EXPECT(!core_awake());
	box_write(FW_TEST_TIME_ADD, SNPU_HEARTBEAT_US);
	EXPECT(core_awake());
	core_pass();
	EXPECT_EQ(engine_cmd(), SNPU_ENG_START);
}

/* A head that goes back, or past what was written, is not believed. */
static void event_bad_head(void)
{
	struct snpu_fw_cmd_PING ping = { 0 };
	static const uint32_t bad[] = { 1, SNPU_EVENT_SLOTS, 0x80000000u };

	fill(0);
	for (uint32_t i = 0; i < ARRAY_SIZE(bad); i++) {
		WRITE_ONCE(event_ring()->head, event_ring()->tail + bad[i]);
		(void)host_send(SNPU_FW_OP_PING, &ping, sizeof(ping));
		core_pass();
		EXPECT_EQ(event_ring()->tail, SNPU_EVENT_SLOTS);
	}
	WRITE_ONCE(event_ring()->head, event_ring()->tail);
	core_pass();
	EXPECT_EQ(event_ring()->tail, SNPU_EVENT_SLOTS + ARRAY_SIZE(bad));
}

/* The same while slots are set aside: a head just past the tail must not look like room. */
static void event_bad_head_reserved(void)
{
	struct snpu_fw_cmd_PING ping = { 0 };
	uint32_t tail;

	EXPECT_EQ(host_create(0, 0, 8), 0);
	host_push(0, 1);
	fill(1);
	tail = event_ring()->tail;
	for (uint32_t past = 1; past < 3; past++) {
		WRITE_ONCE(event_ring()->head, tail + past);
		(void)host_send(SNPU_FW_OP_PING, &ping, sizeof(ping));
		core_pass();
		EXPECT_EQ(event_ring()->tail, tail);
	}
	WRITE_ONCE(event_ring()->head, tail);
	core_pass();
	EXPECT_EQ(event_ring()->tail, tail + 2);
}

/* A slot holds its event and nothing of the one before. */
static void event_clean(void)
{
	struct snpu_fw_cmd_PING ping = { .cookie = ~0ull };
	uint8_t *slots = ctl_at(SNPU_CTL_EVENT_RING + SNPU_RING_ENTRIES);

	memset(slots, 0xff, SNPU_FW_MSG_SIZE * 2);
	EXPECT_EQ(host_call(SNPU_FW_OP_PING, &ping, sizeof(ping)), 0);
	for (uint32_t i = sizeof(struct snpu_fw_event_REPLY); i < SNPU_FW_MSG_SIZE; i++)
		EXPECT_EQ(slots[i], 0);
	EXPECT_EQ(slots[SNPU_FW_MSG_SIZE], 0xff);
	EXPECT_EQ(((struct snpu_fw_event_head *)slots)->pad, 0);
}

const struct test ring_tests[] = {
	{ "ring: commands and replies wrap around", ring_wraps },
	{ "cmd: refusals", cmd_refusals },
	{ "cmd: a tail out of range is not believed", cmd_bad_tail },
	{ "event: commands wait for room", event_full_commands },
	{ "event: jobs wait for room and lose no completion", event_full_jobs },
	{ "event: a preempted job keeps its slot", event_full_preempted },
	{ "event: a host that does not ring is slow, not stuck", event_forgetful_host },
	{ "event: a head out of range is not believed", event_bad_head },
	{ "event: nor while slots are set aside", event_bad_head_reserved },
	{ "event: nothing old is left in a slot", event_clean },
	{ 0 },
};
