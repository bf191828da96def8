/* SPDX-License-Identifier: MIT */
/* Clocks of the benches: CPU time, so that what else the machine does counts less. In seconds. */
#ifndef SNPU_BENCH_CLOCK_H
#define SNPU_BENCH_CLOCK_H

#include <time.h>

static inline double bench_clock(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Of this thread. */
static inline double now(void)
{
	return bench_clock(CLOCK_THREAD_CPUTIME_ID);
}

/* Of the process: a job runs in its queue's thread while this one sleeps. */
static inline double busy(void)
{
	return bench_clock(CLOCK_PROCESS_CPUTIME_ID);
}

#endif
