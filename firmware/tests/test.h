/* SPDX-License-Identifier: MIT */
/*
 * Tests that run on the core with the real firmware around them, but for its loop: a test plays the host through the
 * control area, the card through the mailbox, and calls core_pass() where the loop would. Each starts from a fresh boot.
 */
#ifndef FW_TESTS_TEST_H
#define FW_TESTS_TEST_H

#include "fw.h"
#include "mailbox.h"

struct test {
	const char *name;
	void (*run)(void);
};

/* Each file of tests ends its list with an empty entry. */
extern const struct test fmt_tests[], log_tests[], ring_tests[], queue_tests[], sched_tests[];

void test_fail(const char *file, int line, const char *what, uint64_t a, uint64_t b);

#define EXPECT_EQ(a_, b_) do {									\
	uint64_t test_a = (uint64_t)(a_), test_b = (uint64_t)(b_);				\
	if (test_a != test_b)									\
		test_fail(__FILE__, __LINE__, #a_ " == " #b_, test_a, test_b);			\
} while (0)
#define EXPECT(c_) do {										\
	if (!(c_))										\
		test_fail(__FILE__, __LINE__, #c_, 0, 1);					\
} while (0)

static inline uint32_t box_read(enum fw_test_reg reg)
{
	return *(volatile uint32_t *)(FW_TEST_REGS + (uint32_t)reg);
}

static inline void box_write(enum fw_test_reg reg, uint32_t value)
{
	*(volatile uint32_t *)(FW_TEST_REGS + (uint32_t)reg) = value;
}

/* --- the host's side ------------------------------------------------------------------------------------------ */
union event {
	struct snpu_fw_event_head head;
	struct snpu_fw_event_REPLY reply;
	struct snpu_fw_event_JOB_DONE done;
	struct snpu_fw_event_JOB_FAULT fault;
};

#define PT_ROOT		(0x123000ull | SNPU_PTE_VALID)

uint32_t host_send(uint32_t op, void *cmd, size_t size);	/* puts a command and rings; returns its id */
bool host_event(union event *event);				/* takes the next event; false: there is none */
uint32_t host_events(void);					/* events that were not taken yet */
uint32_t host_call(uint32_t op, void *cmd, size_t size);	/* send, pass, and the status of the reply */
uint32_t host_create(uint32_t queue, uint32_t priority, uint32_t slots);
uint32_t host_destroy(uint32_t queue);				/* sends only; returns the command's id */
bool host_log_ends(const char *text);				/* the log's last line ends like this */
void host_push(uint32_t queue, uint32_t jobs);			/* puts jobs with the right numbers, and rings */

/* --- the card's side ------------------------------------------------------------------------------------------ */
static inline uint32_t engine_cmd(void)				/* what the engine was last told, 0: nothing new */
{
	return box_read(FW_TEST_ENG_CMD);
}

static inline uint32_t engine_queue(void)
{
	return READ_ONCE(FW_HEADER->running_queue);
}

/* The engine runs for `us` and stops. */
static inline void engine_stop(uint32_t us, enum snpu_eng_result result)
{
	box_write(FW_TEST_TIME_ADD, us);
	box_write(FW_TEST_ENG_STOP, result);
	core_pass();
}

static inline void time_pass(uint32_t us)
{
	box_write(FW_TEST_TIME_ADD, us);
	core_pass();
}

/* Whether the loop would go round again instead of sleeping. */
static inline bool core_awake(void)
{
	return box_read(FW_TEST_LINES) != 0;
}

#endif
