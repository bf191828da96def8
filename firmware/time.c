/* SPDX-License-Identifier: MIT */
/*
 * Card time and the one timer. The timer serves the heartbeat and the end of a time slice; it is programmed once a
 * pass, for the earlier of the two. The heartbeat is bumped by the loop, not by the interrupt alone, so that a loop that
 * hangs stops it.
 */
#include "fw.h"

static struct {
	uint64_t beats;
	uint64_t next_us;		/* when the next beat is due */
	uint64_t armed_us;		/* what the comparator holds */
} clock_state;

uint64_t time_us(void)
{
	uint32_t low = core_read(SNPU_CORE_REG_MTIME_LO);	/* latches the high half */

	return low | (uint64_t)core_read(SNPU_CORE_REG_MTIME_HI) << 32;
}

void time_init(void)
{
	clock_state.beats = 0;
	clock_state.next_us = time_us() + SNPU_HEARTBEAT_US;
	clock_state.armed_us = 0;
	ctl_put64(&FW_HEADER->heartbeat, 0);
	time_arm(TIME_NEVER);
}

bool time_tick(uint64_t now)
{
	if (now < clock_state.next_us)
		return false;
	ctl_put64(&FW_HEADER->heartbeat, ++clock_state.beats);
	clock_state.next_us += SNPU_HEARTBEAT_US;
	if (clock_state.next_us <= now)		/* beats were missed: the core was not run. They are not made up for. */
		clock_state.next_us = now + SNPU_HEARTBEAT_US;
	return true;
}

void time_arm(uint64_t deadline_us)
{
	uint64_t at = deadline_us < clock_state.next_us ? deadline_us : clock_state.next_us;

	if (at == clock_state.armed_us)
		return;
	clock_state.armed_us = at;
	core_write(SNPU_CORE_REG_MTIMECMP_HI, ~0u);	/* no early interrupt between the two halves */
	core_write(SNPU_CORE_REG_MTIMECMP_LO, (uint32_t)at);
	core_write(SNPU_CORE_REG_MTIMECMP_HI, (uint32_t)(at >> 32));
}
