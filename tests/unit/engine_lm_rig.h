/* SPDX-License-Identifier: MIT */
/*
 * What the tests of language-model packets share: numbers out of a seed and spike lists. Header only.
 */
#ifndef SNPU_TESTS_ENGINE_LM_RIG_H
#define SNPU_TESTS_ENGINE_LM_RIG_H

#include "tests/unit/engine_rig.h"

/* A float in [-2, 2), reproducible. */
static inline float noise(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (float)((int32_t)*seed >> 8) / (float)(1 << 22);
}

static inline uint32_t bits(float f)
{
	uint32_t u;

	memcpy(&u, &f, 4);
	return u;
}

/* The end of a sum in 16 parts. */
static inline double fold(double a[16])
{
	for (unsigned int s = 8; s; s /= 2)
		for (unsigned int l = 0; l < s; l++)
			a[l] += a[l + s];
	return a[0];
}

/* A list of about half of n channels with small counts, now and then a huge one; returns their number. */
static inline uint32_t random_list(void *at, uint32_t n, float vth, uint32_t *seed)
{
	static const int32_t huge[] = { 1 << 30, INT32_MIN, INT32_MAX, -12345678, 40000 };
	struct snpu_spikes *head = at;
	struct snpu_spike *s = (struct snpu_spike *)(head + 1);
	uint32_t count = 0;

	for (uint32_t c = 0; c < n; c++) {
		float x = noise(seed);

		if (x < 0.1f)
			continue;
		s[count].channel = c;
		s[count++].count = x > 1.95f ? huge[(uint32_t)(x * 1e6f) % 5] : (int32_t)(noise(seed) * 4);
	}
	*head = (struct snpu_spikes){ count, vth };
	return count;
}

#endif
