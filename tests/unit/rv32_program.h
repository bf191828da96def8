/* SPDX-License-Identifier: MIT */
/*
 * A program that gives the same numbers on any 32-bit-int machine: built once for RV32IM and run in the interpreter, once
 * for the host, and compared. It leans on what compilers make of sorting, recursion, 64-bit arithmetic (libgcc's
 * division), byte and halfword traffic and jump tables. Freestanding, no library, no globals.
 */
#ifndef SNPU_TESTS_UNIT_RV32_PROGRAM_H
#define SNPU_TESTS_UNIT_RV32_PROGRAM_H

#include <stddef.h>
#include <stdint.h>

enum { PROGRAM_RESULTS = 7, PROGRAM_N = 1000, PROGRAM_OUT = 0x40000000 };

static inline uint32_t program_next(uint32_t *s)
{
	return *s = *s * 1664525u + 1013904223u;
}

static inline void program_sort(int32_t *v, int n)
{
	while (n > 1) {
		int32_t pivot = v[n / 2], t;
		int i = 0, j = n - 1;

		while (i <= j) {
			while (v[i] < pivot)
				i++;
			while (v[j] > pivot)
				j--;
			if (i <= j) {
				t = v[i];
				v[i++] = v[j];
				v[j--] = t;
			}
		}
		program_sort(v, j + 1);
		v += i;
		n -= i;
	}
}

static inline uint32_t program_crc(const uint8_t *p, size_t n)
{
	uint32_t crc = 0xffffffff;

	while (n--) {
		crc ^= *p++;
		for (int k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

/* signed and unsigned 64-bit products, quotients, remainders and shifts folded into one number */
static inline uint64_t program_wide(uint32_t seed)
{
	uint64_t acc = 1;

	for (int i = 0; i < 300; i++) {
		uint64_t a = (uint64_t)program_next(&seed) << 32 | program_next(&seed);
		uint64_t b = (program_next(&seed) >> (i & 31)) | 1;

		acc = acc * 6364136223846793005u + a / b + a % b;
		acc ^= (uint64_t)((int64_t)a / -(int64_t)b) + (uint64_t)((int64_t)a >> (i & 63)) + (a << (i % 61));
	}
	return acc;
}

/* (n) words as bytes and halfwords at odd places, and back */
static inline uint32_t program_bytes(uint8_t *to, const int32_t *from, int n)
{
	uint32_t sum = 0;
	int16_t h;

	for (int i = 0; i < n; i++)
		for (int k = 0; k < 4; k++)
			to[4 * i + k] = (uint8_t)((uint32_t)from[i] >> (24 - 8 * k));
	for (int i = 0; i + 1 < 4 * n; i += 3) {
		h = (int16_t)(to[i] | to[i + 1] << 8);
		sum = sum * 31 + (uint32_t)(h / 3) + (uint32_t)(int8_t)to[i];
	}
	return sum;
}

/* a little stack machine: a switch that becomes a jump table */
static inline uint32_t program_switch(uint32_t seed)
{
	uint32_t a = 1, b = 2;

	for (int i = 0; i < 2000; i++) {
		switch (program_next(&seed) >> 28) {
		case 0: a += b; break;
		case 1: a -= b; break;
		case 2: a ^= b << 3; break;
		case 3: b = a * b; break;
		case 4: a = b ? a / b : b; break;
		case 5: b = a ? b % a : a; break;
		case 6: a = (uint32_t)((int32_t)a >> (b & 31)); break;
		case 7: b = b << (a & 31) | b >> (-a & 31); break;
		case 8: a = (int32_t)a < (int32_t)b; break;
		case 9: b = (uint32_t)((uint64_t)a * b >> 32); break;
		case 10: b = (uint32_t)(((int64_t)(int32_t)a * (int32_t)b) >> 32); break;
		default: a += program_next(&seed); b ^= a; break;
		}
	}
	return a ^ b;
}

static inline void program_run(uint32_t *out)
{
	int32_t v[PROGRAM_N];
	uint8_t bytes[4 * PROGRAM_N];
	uint32_t seed = 42, bad = 0;
	uint64_t wide = program_wide(7);

	for (int i = 0; i < PROGRAM_N; i++)
		v[i] = (int32_t)program_next(&seed);
	out[0] = program_crc((const uint8_t *)v, sizeof(v));
	program_sort(v, PROGRAM_N);
	for (int i = 1; i < PROGRAM_N; i++)
		bad += v[i - 1] > v[i];
	out[1] = bad;
	out[2] = program_bytes(bytes, v, PROGRAM_N);
	out[3] = program_crc(bytes, sizeof(bytes));
	out[4] = (uint32_t)wide;
	out[5] = (uint32_t)(wide >> 32);
	out[6] = program_switch(99);
}

#endif
