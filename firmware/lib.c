/* SPDX-License-Identifier: MIT */
/*
 * Functions that the compiler may call by itself (GCC manual, "Standards"), strlen, and a bit search, which the core has
 * no instruction for. Used on the core's memory and on the control area alike.
 */
#include "fw.h"

void *memcpy(void *dst, const void *src, size_t n)
{
	uint8_t *d = dst;
	const uint8_t *s = src;

	/* Words where both ends allow it: the control area costs a bus access each time. */
	if ((((uintptr_t)d | (uintptr_t)s) & 3) == 0)
		for (; n >= 4; n -= 4, d += 4, s += 4)
			*(uint32_t *)d = *(const uint32_t *)s;
	while (n--)
		*d++ = *s++;
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	uint8_t *d = dst;

	if (((uintptr_t)d & 3) == 0)
		for (; n >= 4; n -= 4, d += 4)
			*(uint32_t *)d = (uint8_t)c * 0x01010101u;
	while (n--)
		*d++ = (uint8_t)c;
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (size_t i = 0; i < n; i++)
		if (x[i] != y[i])
			return x[i] - y[i];
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

uint32_t bit_lowest(uint32_t v)
{
	uint32_t n = 0;

	for (uint32_t step = 16; step; step /= 2)
		if (!(v & ((1u << step) - 1))) {
			n += step;
			v >>= step;
		}
	return n;
}
