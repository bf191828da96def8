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
