/* SPDX-License-Identifier: MIT */
/*
 * Threads that share a large packet. One pool a device, made by the first packet that is worth it, so that a device that never runs
 * one has no threads. Made in a queue's thread, whose arithmetic the new threads inherit (soft.c sets the law's). Parts of a
 * packet compute their elements whole, so results do not depend on who takes which.
 *
 * pool_lock: held while a packet is shared. A queue that finds it taken works alone.
 */
#include <limits.h>
#include <sched.h>
#include <stdlib.h>

#include "backend/cpu/cpu.h"

/*
 * Binary32 products that are worth waking the pool: some 30 microseconds of a vector unit, where a wake-up of sleeping threads
 * takes 5 to 10. What is less loses more than it gains.
 */
#define SHARE_WORK	(512u << 10)
#define TILES_A_THREAD	4			/* so that a thread that comes late leaves work to the others */
#define THREADS_MAX	1024

static unsigned int processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) || !CPU_COUNT(&set) ? 1 : (unsigned int)CPU_COUNT(&set);
}

int cpu_choose_threads(uint32_t wanted, uint32_t *threads)
{
	const char *env = getenv("SNPU_THREADS");
	unsigned long n = wanted ? wanted : processors();
	char *end;

	if (!wanted && env && *env) {
		n = *env >= '0' && *env <= '9' ? strtoul(env, &end, 10) : 0;
		if (!n || *end || n > THREADS_MAX)
			return snpu_fail(-EINVAL, "device cpu: SNPU_THREADS is '%s'; set it to a number from 1 to %d", env, THREADS_MAX);
	}
	if (wanted > THREADS_MAX)
		return snpu_fail(-EINVAL, "device cpu: cpu_threads is %u; use 1 to %d, or 0 for all processors", wanted, THREADS_MAX);
	*threads = n < THREADS_MAX ? (uint32_t)n : THREADS_MAX;
	return 0;
}

uint32_t cpu_tile(const struct cpu_exec *x, uint32_t n, uint64_t work, uint32_t unit)
{
	uint64_t tile = n / (x->dev->threads * TILES_A_THREAD) / unit * unit;

	if (x->dev->threads < 2 || work < SHARE_WORK)
		return n;
	return tile ? (uint32_t)tile : unit < n ? unit : n;
}

void cpu_share(struct cpu_exec *x, pthreadpool_task_1d_tile_1d_t part, void *arg, uint32_t n, uint32_t tile)
{
	struct cpu_device *dev = x->dev;

	if (tile >= n || pthread_mutex_trylock(&dev->pool_lock)) {
		for (uint32_t from = 0; from < n; from += tile)
			part(arg, from, n - from < tile ? n - from : tile);
		return;
	}
	if (!dev->pool)
		dev->pool = pthreadpool_create(dev->threads);	/* NULL: the call below works alone */
	/* YIELD_WORKERS: they sleep until the next packet; otherwise they would spin for tens of milliseconds. */
	pthreadpool_parallelize_1d_tile_1d(dev->pool, part, arg, n, tile, PTHREADPOOL_FLAG_YIELD_WORKERS);
	pthread_mutex_unlock(&dev->pool_lock);
}
