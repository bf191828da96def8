/* SPDX-License-Identifier: MIT */
/*
 * For tests on machines without AVX-512: SIMDe under Intel's names, what the SIMDe of Debian bookworm (0.7.4) does not
 * have, a name that it spells wrong, and a product that overflows in C. Included by avx512.c only.
 */
#ifndef SNPU_KERNELS_AVX512_EMULATED_H
#define SNPU_KERNELS_AVX512_EMULATED_H

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

#ifndef __AVX512F__
#define __mmask16	simde__mmask16

static inline __m512 snpu_maskz_loadu(__mmask16 mask, const float *p)
{
	float f[16];

	for (int k = 0; k < 16; k++)
		f[k] = mask >> k & 1 ? p[k] : 0.0f;
	return _mm512_loadu_ps(f);
}

static inline void snpu_mask_storeu(float *p, __mmask16 mask, __m512 v)
{
	float f[16];

	_mm512_storeu_ps(f, v);
	for (int k = 0; k < 16; k++)
		if (mask >> k & 1)
			p[k] = f[k];
}

/* What AVX2 does to each half. */
union snpu_halves {
	__m512 f;
	__m512d d;
	__m512i i;
	__m256 f2[2];
	__m256d d2[2];
	__m256i i2[2];
};

static inline __m256 snpu_extractf32x8(__m512 v, int half)
{
	return ((union snpu_halves){ .f = v }).f2[half];
}

static inline __m512d snpu_cvtps_pd(__m256 v)
{
	return ((union snpu_halves){ .d2 = { _mm256_cvtps_pd(_mm256_castps256_ps128(v)),
					     _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1)) } }).d;
}

static inline __m256 snpu_cvtpd_ps(__m512d v)
{
	union snpu_halves h = { .d = v };

	return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(h.d2[0])), _mm256_cvtpd_ps(h.d2[1]), 1);
}

static inline __m512i snpu_cvtepi8_epi32(__m128i v)
{
	return ((union snpu_halves){ .i2 = { _mm256_cvtepi8_epi32(v), _mm256_cvtepi8_epi32(_mm_srli_si128(v, 8)) } }).i;
}

static inline __m512i snpu_cvtepu16_epi32(__m256i v)
{
	return ((union snpu_halves){ .i2 = { _mm256_cvtepu16_epi32(_mm256_castsi256_si128(v)),
					     _mm256_cvtepu16_epi32(_mm256_extracti128_si256(v, 1)) } }).i;
}

static inline __m512i snpu_cvtepi16_epi32(__m256i v)
{
	return ((union snpu_halves){ .i2 = { _mm256_cvtepi16_epi32(_mm256_castsi256_si128(v)),
					     _mm256_cvtepi16_epi32(_mm256_extracti128_si256(v, 1)) } }).i;
}

static inline __m512 snpu_cvtepi32_ps(__m512i v)
{
	union snpu_halves h = { .i = v };

	return ((union snpu_halves){ .f2 = { _mm256_cvtepi32_ps(h.i2[0]), _mm256_cvtepi32_ps(h.i2[1]) } }).f;
}

static inline __m512i snpu_cvtps_epi32(__m512 v)
{
	union snpu_halves h = { .f = v };

	return ((union snpu_halves){ .i2 = { _mm256_cvtps_epi32(h.f2[0]), _mm256_cvtps_epi32(h.f2[1]) } }).i;
}

static inline __m512i snpu_mullo_epi32(__m512i a, __m512i b)
{
	union snpu_halves x = { .i = a }, y = { .i = b };

	return ((union snpu_halves){ .i2 = { _mm256_mullo_epi32(x.i2[0], y.i2[0]), _mm256_mullo_epi32(x.i2[1], y.i2[1]) } }).i;
}

static inline __m512d snpu_mask_blend_pd(simde__mmask8 mask, __m512d a, __m512d b)
{
	double x[8], y[8];

	_mm512_storeu_pd(x, a);
	_mm512_storeu_pd(y, b);
	for (int k = 0; k < 8; k++)
		if (mask >> k & 1)
			x[k] = y[k];
	return _mm512_loadu_pd(x);
}

#undef _mm512_extractf32x8_ps
#undef _mm512_cvtps_pd
#undef _mm512_cvtpd_ps
#undef _mm512_cvtepi8_epi32
#undef _mm512_cvtepu16_epi32
#undef _mm512_cvtepi16_epi32
#undef _mm512_cvtepi32_ps
#undef _mm512_cvtps_epi32
#undef _mm512_mullo_epi32
#undef _mm512_mask_blend_pd
#undef _mm512_madd_epi16
#define _mm512_extractf32x8_ps	snpu_extractf32x8
#define _mm512_cvtps_pd		snpu_cvtps_pd
#define _mm512_cvtpd_ps		snpu_cvtpd_ps
#define _mm512_cvtepi8_epi32	snpu_cvtepi8_epi32
#define _mm512_cvtepu16_epi32	snpu_cvtepu16_epi32
#define _mm512_cvtepi16_epi32	snpu_cvtepi16_epi32
#define _mm512_cvtepi32_ps	snpu_cvtepi32_ps
#define _mm512_cvtps_epi32	snpu_cvtps_epi32
#define _mm512_mullo_epi32	snpu_mullo_epi32
#define _mm512_mask_blend_pd	snpu_mask_blend_pd
#define _mm512_madd_epi16	simde_mm512_madd_epi16
#undef _mm512_maskz_loadu_ps
#undef _mm512_mask_storeu_ps
#define _mm512_maskz_loadu_ps	snpu_maskz_loadu
#define _mm512_mask_storeu_ps	snpu_mask_storeu
#endif

#endif
