/* SPDX-License-Identifier: MIT */
/*
 * The functions that docs/numerics.md defines for language models, for the engine's packets. Pure, any thread; they rely
 * on the default rounding and on -ffp-contract=off.
 */
#ifndef SNPU_SIM_ENGINE_MATH_H
#define SNPU_SIM_ENGINE_MATH_H

#include <stdint.h>
#include <string.h>

#define SUM16	16u				/* accumulators of a sum16 */

double engine_exp64(double x);

/* Of an angle in radians. */
void engine_cos_sin(float angle, float *c, float *s);

/* x limited to [min, max], two integers of less than 2^31, and rounded half to even; NaN is 0. */
int32_t engine_round(float x, float min, float max);

/* min when x is less, max when it is greater; NaN stays. */
static inline float engine_limit(float x, float min, float max)
{
	return x < min ? min : x > max ? max : x;
}

static inline float engine_bf16(uint16_t b)
{
	uint32_t bits = (uint32_t)b << 16;
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* The end of a sum16: what its accumulators, which are used up, come to. */
static inline double engine_sum16(double a[SUM16])
{
	for (unsigned int s = SUM16 / 2; s; s /= 2)
		for (unsigned int l = 0; l < s; l++)
			a[l] = a[l] + a[l + s];
	return a[0];
}

static inline float engine_sum16f(float a[SUM16])
{
	for (unsigned int s = SUM16 / 2; s; s /= 2)
		for (unsigned int l = 0; l < s; l++)
			a[l] = a[l] + a[l + s];
	return a[0];
}

#endif
