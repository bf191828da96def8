/* SPDX-License-Identifier: MIT */
/* The log ring, the boot line, time stamps and the heartbeat. */
#include "test.h"

static struct snpu_fw_log *log_ring(void)
{
	return ctl_at(SNPU_CTL_LOG);
}

/* The text from position `from` on is exactly `want`. */
static bool log_is(uint64_t from, const char *want)
{
	size_t n = strlen(want);

	if (ctl_get64(&log_ring()->written) != from + n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (log_ring()->data[(uint32_t)(from + i) % SNPU_LOG_BYTES] != want[i])
			return false;
	return true;
}

static void log_boot(void)
{
	static const char begin[] = "[    0.000000] I snpu firmware ";
	struct snpu_fw_log *ring = log_ring();

	EXPECT(!memcmp(ring->data, begin, sizeof(begin) - 1));
	EXPECT_EQ(ring->data[(uint32_t)ctl_get64(&ring->written) - 1], '\n');
}

static void log_levels(void)
{
	struct snpu_fw_cmd_SET_LOG_LEVEL cmd = { .level = LOG_WARN };
	uint64_t at;

	EXPECT_EQ(FW_HEADER->log_level, LOG_INFO);
	EXPECT_EQ(host_call(SNPU_FW_OP_SET_LOG_LEVEL, &cmd, sizeof(cmd)), 0);
	EXPECT_EQ(FW_HEADER->log_level, LOG_WARN);
	at = ctl_get64(&log_ring()->written);
	log_put(LOG_INFO, "not this");
	EXPECT_EQ(ctl_get64(&log_ring()->written), at);
	log_put(LOG_WARN, "this %d", 1);
	EXPECT(log_is(at, "[    0.000000] W this 1\n"));
	cmd.level = LOG_LEVELS;
	EXPECT_EQ(host_call(SNPU_FW_OP_SET_LOG_LEVEL, &cmd, sizeof(cmd)), (uint32_t)-FW_EINVAL);
	cmd = (struct snpu_fw_cmd_SET_LOG_LEVEL){ .level = LOG_INFO, .pad = 1 };
	EXPECT_EQ(host_call(SNPU_FW_OP_SET_LOG_LEVEL, &cmd, sizeof(cmd)), (uint32_t)-FW_EINVAL);
	EXPECT_EQ(FW_HEADER->log_level, LOG_WARN);
}

static void log_time(void)
{
	uint64_t at = ctl_get64(&log_ring()->written);

	/* 2 x (2^32 - 1) + 12 us = 8589934602 us */
	box_write(FW_TEST_TIME_ADD, ~0u);
	box_write(FW_TEST_TIME_ADD, ~0u);
	box_write(FW_TEST_TIME_ADD, 12);
	log_put(LOG_ERROR, "x");
	EXPECT(log_is(at, "[ 8589.934602] E x\n"));
}

/* The ring turns over; a line that crosses its end is whole, and nothing beyond the ring is touched. */
static void log_wraps(void)
{
	uint8_t *after = (uint8_t *)log_ring() + sizeof(struct snpu_fw_log);
	uint64_t at = ctl_get64(&log_ring()->written);
	uint32_t turns = 0;

	after[0] = 0x77;
	while (turns < 2) {
		uint32_t before = (uint32_t)at % SNPU_LOG_BYTES;

		log_put(LOG_INFO, "0123456789");
		EXPECT(log_is(at, "[    0.000000] I 0123456789\n"));
		at = ctl_get64(&log_ring()->written);
		turns += (uint32_t)at % SNPU_LOG_BYTES < before;
	}
	EXPECT_EQ(after[0], 0x77);
}

static void log_cut(void)
{
	uint64_t at = ctl_get64(&log_ring()->written);

	log_put(LOG_INFO, "%99u%99u", 1u, 2u);
	EXPECT_EQ(ctl_get64(&log_ring()->written) - at, 160);
	EXPECT_EQ(log_ring()->data[(uint32_t)ctl_get64(&log_ring()->written) - 1], '\n');
}

static void time_heartbeat(void)
{
	EXPECT_EQ(ctl_get64(&FW_HEADER->heartbeat), 0);
	EXPECT_EQ(box_read(FW_TEST_TIMECMP), SNPU_HEARTBEAT_US);
	EXPECT(!core_awake());
	time_pass(SNPU_HEARTBEAT_US - 1);
	EXPECT_EQ(ctl_get64(&FW_HEADER->heartbeat), 0);
	EXPECT(!core_awake());
	time_pass(1);
	EXPECT_EQ(ctl_get64(&FW_HEADER->heartbeat), 1);
	EXPECT(!core_awake());
	EXPECT_EQ(box_read(FW_TEST_TIMECMP), 2 * SNPU_HEARTBEAT_US);
	/* Late, but within a beat: the rhythm is kept. */
	time_pass(SNPU_HEARTBEAT_US + 7);
	EXPECT_EQ(box_read(FW_TEST_TIMECMP), 3 * SNPU_HEARTBEAT_US);
	/* The core was not run for a long time: one beat, not twenty. */
	time_pass(20 * SNPU_HEARTBEAT_US);
	EXPECT_EQ(ctl_get64(&FW_HEADER->heartbeat), 3);
	EXPECT(!core_awake());
}

static void time_progress(void)
{
	struct snpu_queue_ctx *ctx = ctl_at(SNPU_CTL_QUEUE(5));

	EXPECT_EQ(host_create(5, 0, 4), 0);
	host_push(5, 1);
	core_pass();
	box_write(FW_TEST_ENG_PROGRESS, 1234);
	time_pass(10);
	EXPECT_EQ(ctl_get64(&ctx->progress), 0);
	time_pass(SNPU_HEARTBEAT_US);
	EXPECT_EQ(ctl_get64(&ctx->progress), 1234);
	box_write(FW_TEST_ENG_PROGRESS, 99);
	engine_stop(10, SNPU_ENG_DONE);
	time_pass(SNPU_HEARTBEAT_US);
	EXPECT_EQ(ctl_get64(&ctx->progress), 1234);
}

const struct test log_tests[] = {
	{ "log: the boot line", log_boot },
	{ "log: levels, and SET_LOG_LEVEL's refusals", log_levels },
	{ "log: time stamps past 32 bits", log_time },
	{ "log: wraps around", log_wraps },
	{ "log: a long line is cut", log_cut },
	{ "time: heartbeat", time_heartbeat },
	{ "time: the heartbeat copies the running job's progress", time_progress },
	{ 0 },
};
