/* SPDX-License-Identifier: MIT */
/* The one clock of the library: deadlines and durations are CLOCK_MONOTONIC in nanoseconds. Any thread. */
#ifndef SNPU_CORE_CLOCK_H
#define SNPU_CORE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t snpu_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

#endif
