/* SPDX-License-Identifier: MIT */
/* Turns images into spikes, with integers only, so that every machine makes the same ones. A pure function. */
#include <string.h>

#include "snpu/snpu_array.h"

void snpu_encode_image(const uint8_t *pixels, size_t n, uint32_t steps, float *spikes)
{
	for (size_t i = 0; i < n; i++) {
		/* Each pixel starts elsewhere, or equal pixels would all fire in the same step. */
		unsigned acc = (unsigned)((151 * i) & 255);

		for (uint32_t t = 0; t < steps; t++) {
			acc += pixels[i] >> 1;
			spikes[(size_t)t * n + i] = (float)(acc >> 8);
			acc &= 255;
		}
	}
}

/* splitmix64 of the n-th number of a sequence (Steele, Lea and Flood, 2014): no state, so that any cutting gives the same. */
static uint64_t hash(uint64_t seed, uint64_t n)
{
	uint64_t z = seed + (n + 1) * 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

void snpu_encode_rate(const uint8_t *pixels, size_t n, uint32_t steps, uint64_t seed, float *spikes)
{
	for (uint64_t t = 0; t < steps; t++)
		for (size_t i = 0; i < n; i++)
			spikes[t * n + i] = (hash(seed, t * n + i) >> 32) * 255 < (uint64_t)pixels[i] << 32;
}

void snpu_encode_latency(const uint8_t *pixels, size_t n, uint32_t steps, float *spikes)
{
	memset(spikes, 0, (size_t)steps * n * sizeof(*spikes));
	for (size_t i = 0; i < n && steps; i++)
		if (pixels[i])
			spikes[(uint64_t)(255 - pixels[i]) * (steps - 1) / 255 * n + i] = 1;
}
