/* SPDX-License-Identifier: MIT */
/* The dice of the fuzzers, the same in every run: a case sets rng from its number, so that it can be had again alone. */
#ifndef SNPU_TESTS_ROLL_H
#define SNPU_TESTS_ROLL_H

#include <stdint.h>
#include <string.h>

#include "tests/harness.h"

TH_VAR uint64_t rng;

/* 0..n-1; splitmix64 */
TH_VAR uint32_t roll(uint32_t n)
{
	uint64_t z = rng += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (uint32_t)((z ^ z >> 31) >> 32) % n;
}

/* Bytes that matter more often than others: sizes, addresses and counts of binary formats are little-endian words. */
TH_VAR void roll_spoil(uint8_t *p, size_t size, size_t at)
{
	static const uint8_t favourites[] = { 0x00, 0xff, 0x7f, 0x80, 0x01, 0x08, 0x10, 0x40 };
	size_t n = 1 + roll(8);

	switch (roll(4)) {
	case 0:
		p[at] ^= (uint8_t)(1u << roll(8));
		break;
	case 1:
		p[at] = favourites[roll(sizeof(favourites))];
		break;
	case 2:
		memset(p + at, favourites[roll(sizeof(favourites))], n < size - at ? n : size - at);
		break;
	default:
		n = 8u << roll(4);
		if (n <= size && at <= size - n)
			memmove(p + at, p + roll((uint32_t)(size - n + 1)), n);
	}
}

TH_VAR void roll_spoil_anywhere(uint8_t *p, size_t size)
{
	roll_spoil(p, size, roll((uint32_t)size));
}

#endif
