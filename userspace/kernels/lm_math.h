/* SPDX-License-Identifier: MIT */
/*
 * The functions inside the formulas of "Language models" in docs/numerics.md, which the scalar reference and the SIMD
 * kernels share: exp64, cos and sin, the end of sum16, and the short formulas of single numbers. One rounding per operator
 * (-ffp-contract=off). Pure functions, any thread.
 */
#ifndef SNPU_KERNELS_LM_MATH_H
#define SNPU_KERNELS_LM_MATH_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "snpu_isa.h"

#define SNPU_SUMS	16			/* accumulators of sum16 */

/* --- exp64 ---------------------------------------------------------------------------------------------------- */

#define SNPU_EXP_LIMIT	700.0
#define SNPU_LOG2_E	1.4426950408889634
#define SNPU_LN2_HIGH	0x1.62e4200000000p-1	/* times n is exact */
#define SNPU_LN2_LOW	0x1.fdf473de6af28p-22
#define SNPU_EXP_TERMS	11
static const double snpu_exp_c[SNPU_EXP_TERMS] = {	/* 1 / j! */
	1.0, 1.0, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320, 1.0 / 362880, 1.0 / 3628800,
};

/* 2^n, n from -1022 to 1023. */
static inline double snpu_pow2(int n)
{
	uint64_t bits = (uint64_t)(n + 1023) << 52;
	double d;

	memcpy(&d, &bits, sizeof(d));
	return d;
}

static inline double snpu_exp64(double x)
{
	double n, r, p;

	if (x != x)
		return x;
	x = x < -SNPU_EXP_LIMIT ? -SNPU_EXP_LIMIT : x > SNPU_EXP_LIMIT ? SNPU_EXP_LIMIT : x;
	n = rint(x * SNPU_LOG2_E);
	r = (x - n * SNPU_LN2_HIGH) - n * SNPU_LN2_LOW;
	p = snpu_exp_c[SNPU_EXP_TERMS - 1];
	for (int j = SNPU_EXP_TERMS - 2; j >= 0; j--)
		p = p * r + snpu_exp_c[j];
	return p * snpu_pow2((int)n);
}

/* --- cos and sin ---------------------------------------------------------------------------------------------- */

#define SNPU_2_OVER_PI	0.6366197723675814
#define SNPU_PI2_HIGH	0x1.921fb60000000p+0	/* pi / 2 in three pieces; n times each of the first two is exact */
#define SNPU_PI2_MID	-0x1.777a5c0000000p-25
#define SNPU_PI2_LOW	-0x1.ee59da0000000p-50
#define SNPU_ANGLE_MAX	0x1p40f
#define SNPU_TRIG_TERMS	8
static const double snpu_sin_c[SNPU_TRIG_TERMS] = {	/* (-1)^j / (2j + 1)! */
	1.0, -1.0 / 6, 1.0 / 120, -1.0 / 5040, 1.0 / 362880, -1.0 / 39916800, 1.0 / 6227020800.0, -1.0 / 1307674368000.0,
};
static const double snpu_cos_c[SNPU_TRIG_TERMS] = {	/* (-1)^j / (2j)! */
	1.0, -1.0 / 2, 1.0 / 24, -1.0 / 720, 1.0 / 40320, -1.0 / 3628800, 1.0 / 479001600.0, -1.0 / 87178291200.0,
};

static inline void snpu_cos_sin(float angle, float *cos_out, float *sin_out)
{
	double a = angle, n, r, z, s = snpu_sin_c[SNPU_TRIG_TERMS - 1], c = snpu_cos_c[SNPU_TRIG_TERMS - 1];

	if (!(fabsf(angle) <= SNPU_ANGLE_MAX)) {		/* NaN and infinity too */
		*cos_out = *sin_out = NAN;
		return;
	}
	n = rint(a * SNPU_2_OVER_PI);
	r = ((a - n * SNPU_PI2_HIGH) - n * SNPU_PI2_MID) - n * SNPU_PI2_LOW;
	z = r * r;
	for (int j = SNPU_TRIG_TERMS - 2; j >= 0; j--) {
		s = s * z + snpu_sin_c[j];
		c = c * z + snpu_cos_c[j];
	}
	s = s * r;
	switch ((int64_t)n & 3) {				/* quadrant */
	case 0:	 *cos_out = (float)c;  *sin_out = (float)s;  break;
	case 1:	 *cos_out = (float)-s; *sin_out = (float)c;  break;
	case 2:	 *cos_out = (float)-c; *sin_out = (float)-s; break;
	default: *cos_out = (float)s;  *sin_out = (float)-c;
	}
}

/* --- sums ----------------------------------------------------------------------------------------------------- */

/* The sum of the 16 accumulators, which it uses up. */
static inline float snpu_sum16_f32(float a[SNPU_SUMS])
{
	for (unsigned int half = SNPU_SUMS / 2; half; half /= 2)
		for (unsigned int l = 0; l < half; l++)
			a[l] = a[l] + a[l + half];
	return a[0];
}

static inline double snpu_sum16_f64(double a[SNPU_SUMS])
{
	for (unsigned int half = SNPU_SUMS / 2; half; half /= 2)
		for (unsigned int l = 0; l < half; l++)
			a[l] = a[l] + a[l + half];
	return a[0];
}

/* --- single numbers ------------------------------------------------------------------------------------------- */

static inline float snpu_bf16(uint16_t h)
{
	uint32_t bits = (uint32_t)h << 16;
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

static inline float snpu_relu(float x)
{
	return x > 0.0f ? x : 0.0f;
}

/* Limits of a threshold or scale; NaN stays. */
static inline float snpu_scale_limits(float x)
{
	return x < 1e-5f ? 1e-5f : x > 1e4f ? 1e4f : x;
}

/* Threshold of a row of n; m is sum16(abs(x_i)). */
static inline float snpu_spike_vth(double m, uint32_t n, float k)
{
	return snpu_scale_limits((float)((m / n) / k));
}

static inline int32_t snpu_spike_count(float x, float vth)
{
	float s = rintf(x / vth);

	return s != s ? 0 : s < -0x1p30f ? -(1 << 30) : s > 0x1p30f ? 1 << 30 : (int32_t)s;
}

static inline float snpu_silu(float gate)
{
	return (float)(gate / (1 + snpu_exp64(-(double)gate)));
}

/* Factor of a row; m is sum16(x_i * x_i). */
static inline float snpu_rms_factor(double m, uint32_t n, float eps)
{
	return (float)(1 / sqrt(m / n + eps));
}

/* z of attention heads with d channels. */
static inline float snpu_head_factor(uint32_t d)
{
	return (float)(1 / sqrt(d));
}

/* What a key channel's state keeps: sigmoid(g)^(1/16). */
static inline float snpu_gla_decay(float g)
{
	double x = g;

	return (float)(x < -40 ? snpu_exp64(x / 16) : sqrt(sqrt(sqrt(sqrt(1 / (1 + snpu_exp64(-x)))))));
}

/* --- the cache of a sliding-window layer, as SNPU_KV_WORDS describes ------------------------------------------- */

/* Elements before head h of the keys, or of the values. */
static inline uint64_t snpu_kv_at(uint32_t kv, uint32_t slots, uint32_t d, uint32_t h, bool values)
{
	return ((values ? kv : 0) + (uint64_t)h) * slots * d;
}

/* 32-bit words before head h's scales [slots] of the keys, or of the values. */
static inline uint64_t snpu_kv_scale_at(uint32_t kv, uint32_t slots, uint32_t d, uint32_t h, bool values)
{
	return SNPU_KV_CODE_WORDS(kv, slots, d) + ((values ? kv : 0) + (uint64_t)h) * slots;
}

#endif
