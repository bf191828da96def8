/* SPDX-License-Identifier: MIT */
/*
 * "Language models" of docs/numerics.md once more, for the tests: the functions its formulas use, straight from the page.
 * Tests are compiled with -ffp-contract=off like everything else, so that an operator is a rounding.
 */
#ifndef SNPU_TESTS_LAW_H
#define SNPU_TESTS_LAW_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline double law_factorial(int n)
{
	return n < 2 ? 1.0 : n * law_factorial(n - 1);	/* exact up to 18 */
}

static inline double law_exp(double x)
{
	double n, r, p = 1 / law_factorial(10);

	if (isnan(x))
		return x;
	x = fmin(fmax(x, -700), 700);
	n = rint(x * 1.4426950408889634);
	r = (x - n * 0x1.62e4200000000p-1) - n * 0x1.fdf473de6af28p-22;
	for (int j = 9; j >= 0; j--)
		p = p * r + 1 / law_factorial(j);
	return ldexp(p, (int)n);
}

static inline void law_cos_sin(float angle, float *c, float *s)
{
	double a = angle, n = rint(a * 0.6366197723675814), r, z, S = -1 / law_factorial(15), C = -1 / law_factorial(14);

	if (!isfinite(angle) || fabsf(angle) > 0x1p40f) {
		*c = *s = NAN;
		return;
	}
	r = ((a - n * 0x1.921fb60000000p+0) - n * -0x1.777a5c0000000p-25) - n * -0x1.ee59da0000000p-50;
	z = r * r;
	for (int j = 6; j >= 0; j--) {
		S = S * z + (j % 2 ? -1 : 1) / law_factorial(2 * j + 1);
		C = C * z + (j % 2 ? -1 : 1) / law_factorial(2 * j);
	}
	S = S * r;
	n = n - 4 * floor(n / 4);
	*c = (float)(n == 0 ? C : n == 1 ? -S : n == 2 ? -C : S);
	*s = (float)(n == 0 ? S : n == 1 ? C : n == 2 ? -S : -C);
}

/* Accumulators of sum16, fed with term i. */
struct law_sum {
	double f64[16];
	float f32[16];
};

static inline double law_sum64(struct law_sum *a)
{
	static const unsigned int steps[] = { 8, 4, 2, 1 };

	for (unsigned int s = 0; s < 4; s++)
		for (unsigned int l = 0; l < steps[s]; l++)
			a->f64[l] = a->f64[l] + a->f64[l + steps[s]];
	return a->f64[0];
}

static inline float law_sum32(struct law_sum *a)
{
	static const unsigned int steps[] = { 8, 4, 2, 1 };

	for (unsigned int s = 0; s < 4; s++)
		for (unsigned int l = 0; l < steps[s]; l++)
			a->f32[l] = a->f32[l] + a->f32[l + steps[s]];
	return a->f32[0];
}

static inline float law_bf16(uint16_t half)
{
	uint32_t bits = half * 65536u;
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

static inline uint32_t law_bits(float f)
{
	uint32_t bits;

	memcpy(&bits, &f, sizeof(bits));
	return bits;
}

/* Round half to even within limits, NaN is 0. */
static inline int32_t law_round(float x, double least, double most)
{
	return isnan(x) ? 0 : (int32_t)fmin(fmax(rint(x), least), most);
}

static inline float law_limit(float x)
{
	return x < 1e-5f ? 1e-5f : x > 1e4f ? 1e4f : x;
}

#endif
