/* SPDX-License-Identifier: MIT */
/*
 * The registers through which firmware under test and the test program around it talk. They exist only on the test
 * bus (tests/unit/fw_bus.c). Words; a name is an offset from FW_TEST_REGS.
 */
#ifndef FW_TESTS_MAILBOX_H
#define FW_TESTS_MAILBOX_H

#define FW_TEST_REGS		0x50000000u
#define FW_TEST_REGS_SIZE	0x00000040u

enum fw_test_reg {
	FW_TEST_SELECT = 0x00,		/* RO: number of the test to run */
	FW_TEST_NAME = 0x04,		/* WO: characters of the test's name */
	FW_TEST_NOTE = 0x08,		/* WO: characters of what went wrong */
	FW_TEST_RESULT = 0x0c,		/* WO: the test is over: enum fw_test_result */
	FW_TEST_TIME_ADD = 0x10,	/* WO: moves mtime on, microseconds */
	FW_TEST_RING = 0x14,		/* WO: rings a queue's doorbell */
	FW_TEST_CMD_RING = 0x18,	/* WO: rings CMD_DOORBELL */
	FW_TEST_ENG_STOP = 0x1c,	/* WO: the engine stops with this enum snpu_eng_result */
	FW_TEST_ENG_CMD = 0x20,		/* RO: last command that the engine took, 0 once it was read */
	FW_TEST_ENG_PROGRESS = 0x24,	/* WO: packets */
	FW_TEST_HOST_IRQS = 0x28,	/* RO: times HOST_IRQ was written since last read */
	FW_TEST_LINES = 0x2c,		/* RO: interrupt lines that are high, as in mip */
	FW_TEST_TIMECMP = 0x30,		/* RO: low half of mtimecmp */
};

enum fw_test_result { FW_TEST_PASSED = 1, FW_TEST_FAILED = 2, FW_TEST_NO_MORE = 3 };

#endif
