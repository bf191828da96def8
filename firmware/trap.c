/* SPDX-License-Identifier: MIT */
/*
 * The end: every trap and every failed check of the firmware's own leaves a crash record in the control area and stops
 * the core for good by the CRASH register, which tells the host. Runs on a stack of its own.
 */
#include "fw.h"

#define TRAP_CAUSE_PANIC	(~0u)

static char panic_message[sizeof(((struct snpu_fw_crash *)0)->message)];
static uint32_t panic_pc;

static const char *trap_name(uint32_t cause)
{
	/* The RISC-V Instruction Set Manual, volume II, table of mcause. */
	static const char *const name[] = {
		"instruction address misaligned", "instruction access fault", "illegal instruction", "breakpoint",
		"load address misaligned", "load access fault", "store address misaligned", "store access fault",
		"environment call", "environment call", "environment call", "environment call",
	};

	return cause < ARRAY_SIZE(name) ? name[cause] : "unexpected trap";
}

static void trap_stop(void) __attribute__((noreturn));
static void trap_stop(void)
{
	core_fence();
	core_write(SNPU_CORE_REG_CRASH, 1);
	for (;;)
		__asm__ volatile("wfi");
}

void trap_crash(const struct trap_frame *frame)
{
	struct snpu_fw_crash *crash = ctl_at(SNPU_CTL_CRASH);
	bool panicked = panic_message[0] != 0;

	crash->cause = panicked ? TRAP_CAUSE_PANIC : frame->cause;
	crash->pc = panicked ? panic_pc : frame->pc;
	crash->value = panicked ? 0 : frame->value;
	memcpy(crash->x, frame->x, sizeof(crash->x));
	crash->x[0] = 0;
	ctl_put64(&crash->time_us, time_us());
	if (panicked)
		memcpy(crash->message, panic_message, sizeof(crash->message));
	else
		fmt_print(crash->message, sizeof(crash->message), "%s at pc %lx, value %lx", trap_name(frame->cause), frame->pc, frame->value);
	log_put(LOG_ERROR, "crash: %s", crash->message);
	core_fence();
	WRITE_ONCE(crash->magic, SNPU_FW_CRASH_MAGIC);
	WRITE_ONCE(FW_HEADER->state, SNPU_FW_CRASHED);
	trap_stop();
}

/* A crash while crashing. The record may be half written; its magic is not there. */
void trap_again(void)
{
	trap_stop();
}

void panic(const char *fmt, ...)
{
	va_list ap;

	panic_pc = (uint32_t)__builtin_return_address(0);
	va_start(ap, fmt);
	fmt_vprint(panic_message, sizeof(panic_message), fmt, ap);
	va_end(ap);
	__asm__ volatile("ebreak");	/* the trap entry saves the registers */
	__builtin_unreachable();
}

void crash_on_purpose(uint32_t how)
{
	if (how == 0)
		panic("crash asked for by the host");
	if (how == 1)
		__asm__ volatile(".word 0");	/* an illegal instruction in every RISC-V */
	__asm__ volatile("csrci mstatus, 8");
	for (;;)
		__asm__ volatile("");
}
