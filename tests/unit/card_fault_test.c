/* SPDX-License-Identifier: MIT */
/*
 * Faults on purpose: each is what it says, for as long as it says, and a card that was through it works again.
 */
#include "tests/unit/fw_card_rig.h"

static uint64_t packets(struct host *self)
{
	uint64_t at_least = queue(self, 0)->progress;

	/* The heartbeat copies it ten times a second. */
	usleep(300000);
	return queue(self, 0)->progress - at_least;
}

static void hanging_job(struct host *self, const char *fault)
{
	ASSERT_TRUE(ready(self));
	ASSERT_EQ(create(self, 0, 1), 0);
	submit(self, 0, program(self, FOREVER));
	wait_running(self, 0);
	EXPECT_GT(packets(self), 0);
	ASSERT_EQ(card_fault(self->card, fault), 0);
	usleep(50000);
	(void)packets(self);
	EXPECT_EQ(packets(self), 0);
}

static void works(struct host *self, uint32_t q)
{
	const struct snpu_fw_event_JOB_DONE *done;

	ASSERT_EQ(create(self, q, 1), 0);
	submit(self, q, program(self, 3));
	done = event(self);
	EXPECT_EQ(done->head.type, SNPU_FW_EVENT_JOB_DONE);
	EXPECT_EQ(done->queue, q);
}

TEST_F(host, hang_ends_with_an_abort)
{
	hanging_job(self, "hang 0");
	EXPECT_EQ(destroy(self, 0), 0);
	works(self, 0);
}

TEST_F(host, hang_does_not_heed_a_soft_reset)
{
	hanging_job(self, "hang 0");
	reg_write(self, SNPU_REG_MMU_INVALIDATE, SNPU_MMU_INVALIDATE_ALL_MASK);
	usleep(50000);
	EXPECT_EQ(reg_read(self, SNPU_REG_MMU_STATUS), 0);
	reg_write(self, SNPU_REG_RESET, SNPU_RESET_SOFT_KEY);
	usleep(100000);
	EXPECT_EQ(reg_read(self, SNPU_REG_RESET_STATUS), 1);
	reg_write(self, SNPU_REG_RESET, SNPU_RESET_KEY);
	EXPECT_EQ(reg_read(self, SNPU_REG_RESET_STATUS), 0);
	ASSERT_TRUE(ready(self));
	works(self, 0);
}

TEST_F(host, stuck_until_a_reset)
{
	struct snpu_fw_cmd_QUEUE_DESTROY cmd = { .queue = 0 };

	hanging_job(self, "stuck 0");
	(void)send(self, SNPU_FW_OP_QUEUE_DESTROY, &cmd, sizeof(cmd));
	usleep(200000);
	EXPECT_EQ(self->events->tail, self->events->head);
	reg_write(self, SNPU_REG_RESET, SNPU_RESET_SOFT_KEY);
	usleep(100000);
	EXPECT_EQ(reg_read(self, SNPU_REG_RESET_STATUS), 1);
	reg_write(self, SNPU_REG_RESET, SNPU_RESET_KEY);
	EXPECT_EQ(reg_read(self, SNPU_REG_RESET_STATUS), 0);
	ASSERT_TRUE(ready(self));
	works(self, 0);
}

/* Only the queue that was named: another's jobs run before and after. */
TEST_F(host, hang_has_one_victim)
{
	ASSERT_TRUE(ready(self));
	ASSERT_EQ(card_fault(self->card, "hang 1"), 0);
	works(self, 0);
	ASSERT_EQ(create(self, 1, 1), 0);
	submit(self, 1, program(self, 3));
	wait_running(self, 1);
	EXPECT_EQ(destroy(self, 1), 0);
	works(self, 1);
}

TEST_F(host, boots_that_fail)
{
	ASSERT_EQ(card_fault(self->card, "boot 3"), 0);
	EXPECT_EQ(boot(self, GOOD), SNPU_BOOT_ERR_HASH);
	reg_write(self, SNPU_REG_RESET, SNPU_RESET_KEY);
	EXPECT_EQ(boot(self, GOOD), SNPU_BOOT_ERR_HASH);
	card_reset(self->card, CARD_RESET_FUNCTION);
	EXPECT_EQ(boot(self, GOOD), SNPU_BOOT_ERR_HASH);
	ASSERT_TRUE(ready(self));
	works(self, 0);
}

TEST_F(host, dead_until_the_function_is_reset)
{
	ASSERT_TRUE(ready(self));
	ASSERT_EQ(card_fault(self->card, "dead"), 0);
	EXPECT_EQ(reg_read(self, SNPU_REG_CORE_STATE), SNPU_CORE_LOCKUP);
	EXPECT_EQ(self->irqs[1], 1);
	reg_write(self, SNPU_REG_RESET, SNPU_RESET_SOFT_KEY);
	EXPECT_EQ(boot(self, GOOD), SNPU_BOOT_ERR_HASH);
	reg_write(self, SNPU_REG_RESET, SNPU_RESET_KEY);
	EXPECT_EQ(boot(self, GOOD), SNPU_BOOT_ERR_HASH);
	card_reset(self->card, CARD_RESET_FUNCTION);
	ASSERT_TRUE(ready(self));
	works(self, 0);
}

TEST_F(host, cold_loses_memory_once)
{
	uint64_t size;
	int fd;
	volatile uint8_t *vram = card_bar_mem(self->card, SNPU_BAR_VRAM, &size, &fd);

	vram[0] = 1;
	card_reset(self->card, CARD_RESET_FUNCTION);
	EXPECT_EQ(vram[0], 1);
	ASSERT_EQ(card_fault(self->card, "cold"), 0);
	EXPECT_EQ(vram[0], 1);
	card_reset(self->card, CARD_RESET_FUNCTION);
	EXPECT_EQ(vram[0], 0);
	vram[0] = 1;
	card_reset(self->card, CARD_RESET_FUNCTION);
	EXPECT_EQ(vram[0], 1);
	ASSERT_TRUE(ready(self));
}

TEST_F(host, what_is_no_fault)
{
	static const char *const bad[] = { "", "hang", "hang ", "hang x", "hang 64", "hang -1", "stuck", "boot", "dead 1", "none" };

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EXPECT_EQ(card_fault(self->card, bad[i]), -EINVAL);
}

TEST_HARNESS_MAIN
