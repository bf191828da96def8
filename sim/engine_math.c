/* SPDX-License-Identifier: MIT */
/*
 * Exponential, cosine, sine and rounding, operation by operation as docs/numerics.md has them, so that they do not depend
 * on anybody's libm. Pure functions, any thread.
 */
#include <math.h>

#include "sim/engine_math.h"

/* rint() for less than 2^51: above 2^52 there are no fractions. */
static double nearest(double x)
{
	const double big = 0x1.8p52;

	return __builtin_copysign((x + big) - big, x);
}

double engine_exp64(double x)
{
	static const double c[] = { 1, 1, 1 / 2.0, 1 / 6.0, 1 / 24.0, 1 / 120.0, 1 / 720.0, 1 / 5040.0, 1 / 40320.0,
				    1 / 362880.0, 1 / 3628800.0 };	/* 1 / j! */
	double n, r, p, power;
	uint64_t bits;

	if (x != x)
		return x;
	x = x < -700.0 ? -700.0 : x > 700.0 ? 700.0 : x;
	n = nearest(x * 1.4426950408889634);
	r = (x - n * 0x1.62e4200000000p-1) - n * 0x1.fdf473de6af28p-22;
	p = c[10];
	for (int j = 9; j >= 0; j--)
		p = p * r + c[j];
	bits = (uint64_t)(1023 + (int)n) << 52;
	memcpy(&power, &bits, sizeof(power));
	return p * power;
}

void engine_cos_sin(float angle, float *c, float *s)
{
	/* (-1)^j / (2j+1)! and (-1)^j / (2j)! */
	static const double sj[] = { 1, -1 / 6.0, 1 / 120.0, -1 / 5040.0, 1 / 362880.0, -1 / 39916800.0, 1 / 6227020800.0,
				     -1 / 1307674368000.0 };
	static const double cj[] = { 1, -1 / 2.0, 1 / 24.0, -1 / 720.0, 1 / 40320.0, -1 / 3628800.0, 1 / 479001600.0,
				     -1 / 87178291200.0 };
	double a = angle, n, r, z, p, sine, cosine;

	if (!(a >= -0x1p40 && a <= 0x1p40)) {
		*c = *s = NAN;
		return;
	}
	n = nearest(a * 0.6366197723675814);
	r = ((a - n * 0x1.921fb60000000p+0) - n * -0x1.777a5c0000000p-25) - n * -0x1.ee59da0000000p-50;
	z = r * r;
	p = sj[7];
	cosine = cj[7];
	for (int j = 6; j >= 0; j--) {
		p = p * z + sj[j];
		cosine = cosine * z + cj[j];
	}
	sine = p * r;
	switch ((int64_t)n & 3) {
	case 0: *c = (float)cosine, *s = (float)sine; break;
	case 1: *c = (float)-sine, *s = (float)cosine; break;
	case 2: *c = (float)-cosine, *s = (float)-sine; break;
	case 3: *c = (float)sine, *s = (float)-cosine; break;
	}
}

int32_t engine_round(float x, float min, float max)
{
	return x != x ? 0 : (int32_t)nearest(engine_limit(x, min, max));
}
