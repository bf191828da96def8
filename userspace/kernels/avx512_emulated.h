/* SPDX-License-Identifier: MIT */
/*
 * For tests on machines without AVX-512: SIMDe under Intel's names, and the two masked moves that the SIMDe of Debian
 * bookworm (0.7.4) does not have. Included by avx512.c only.
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

#undef _mm512_maskz_loadu_ps
#undef _mm512_mask_storeu_ps
#define _mm512_maskz_loadu_ps	snpu_maskz_loadu
#define _mm512_mask_storeu_ps	snpu_mask_storeu
#endif

#endif
