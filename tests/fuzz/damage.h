/* SPDX-License-Identifier: MIT */
/*
 * A batch of damaged files, the same ones in every run: a good one, in which spoil() does a few things, cut off now and then. Each must give
 * an error with a sentence, or something that can be used.
 */
#ifndef SNPU_TESTS_DAMAGE_H
#define SNPU_TESTS_DAMAGE_H

#include <stdio.h>
#include <stdlib.h>

#include "snpu/snpu.h"
#include "tests/fuzz/roll.h"

struct damage {
	const char *variable;			/* of the environment, which says how many cases; */
	unsigned cases;				/* else these */
	void (*spoil)(uint8_t *p, size_t size);
	bool (*load_and_use)(const uint8_t *p, size_t size, void *arg);	/* false: refused */
	void *arg;
};

/* Damage to weights goes unseen, damage to structure does not: both must happen, or this tests nothing. */
TH_VAR void damage_run(const struct damage *d, const uint8_t *good, size_t size, unsigned seed)
{
	const char *env = getenv(d->variable);
	unsigned cases = env ? (unsigned)atoi(env) : d->cases, loaded = 0;

	for (unsigned i = 0; i < cases && !th_failed; i++) {
		uint8_t *bad = malloc(size);		/* of its exact size, for sanitizers */
		size_t n = size;

		rng = (uint64_t)seed << 32 | (i + 1) * 2654435761u;
		memcpy(bad, good, size);
		for (unsigned k = 1 + roll(4); k; k--)
			d->spoil(bad, size);
		if (roll(8) == 0)
			n = roll((uint32_t)size);
		printf("# case %u of seed %u\n", i, seed);
		if (d->load_and_use(bad, n, d->arg))
			loaded++;
		else if (!snpu_last_error()[0])
			TH_FAILMSG("no sentence for case %u of seed %u", i, seed);
		free(bad);
	}
	EXPECT_GT(loaded, 0);
	EXPECT_LT(loaded, cases);
}

#endif
