/* SPDX-License-Identifier: MIT */
/* See finite.h. */
#include "core/finite.h"

#include <stdint.h>
#include <string.h>

bool snpu_all_finite(const float *v, size_t n)
{
	uint32_t bad = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t bits;

		memcpy(&bits, &v[i], sizeof(bits));
		bad |= (bits & 0x7f800000u) + 0x00800000u;
	}
	return !(bad & 0x80000000u);
}
