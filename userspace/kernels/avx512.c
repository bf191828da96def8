/* SPDX-License-Identifier: MIT */
/*
 * AVX-512 kernels (F, BW, DQ, VL): the vector operations for simd.h, and EVPACK. Run only after snpu_kernels_get() has
 * looked at the CPU. With SNPU_AVX512_EMULATED the same source is compiled against SIMDe, for tests elsewhere.
 */
#include "kernels/kernels.h"

#include <string.h>

#ifdef SNPU_AVX512_EMULATED
#include "kernels/avx512_emulated.h"
#define K(name)	name##__avx512_emulated
#define TABLE	snpu_kernels_avx512_emulated
#define NAME	"avx512-emu"
#else
#include <immintrin.h>
#define K(name)	name##__avx512
#define TABLE	snpu_kernels_avx512
#define NAME	"avx512"
#endif

#define LANES	16u

typedef __m512 vec;
typedef __mmask16 vmask;

static inline __mmask16 first(uint32_t k)
{
	return (__mmask16)((1u << k) - 1);
}

static inline vec vload(const float *p, uint32_t k)
{
	return k == LANES ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps(first(k), p);
}

static inline void vstore(float *p, vec v, uint32_t k)
{
	if (k == LANES)
		_mm512_storeu_ps(p, v);
	else
		_mm512_mask_storeu_ps(p, first(k), v);
}

static inline vec vset(float f) { return _mm512_set1_ps(f); }
static inline vec vadd(vec a, vec b) { return _mm512_add_ps(a, b); }
static inline vec vsub(vec a, vec b) { return _mm512_sub_ps(a, b); }
static inline vec vmul(vec a, vec b) { return _mm512_mul_ps(a, b); }
static inline vmask vgt(vec a, vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
static inline vmask vge(vec a, vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ); }
static inline vec vpick(vmask m, vec a, vec b) { return _mm512_mask_blend_ps(m, b, a); }
static inline unsigned int vbits(vmask m) { return m; }

#include "kernels/simd.h"

/* Puts the entries of 16 channels to ev (room for 16, all written), those of `mask` first. */
static inline void compress(struct snpu_event *ev, __m512 x, __m512i channel, __mmask16 mask)
{
	const __m512i lo = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
	const __m512i hi = _mm512_set_epi32(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8);
	/* To registers: compressing into memory is microcode on some CPUs. */
	__m512i value = _mm512_castps_si512(_mm512_maskz_compress_ps(mask, x));
	__m512i chan = _mm512_maskz_compress_epi32(mask, channel);

	_mm512_storeu_si512(ev, _mm512_permutex2var_epi32(chan, lo, value));
	_mm512_storeu_si512(ev + 8, _mm512_permutex2var_epi32(chan, hi, value));
}

#define BLOCK	512u			/* channels packed in private memory at a time, so that nothing past the list is written */

static uint32_t K(snpu_evpack_f32)(const float *x, uint32_t n, struct snpu_event *ev)
{
	const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
	struct snpu_event block[BLOCK + LANES];
	uint32_t count = 0;

	for (uint32_t from = 0; from < n; from += BLOCK) {
		uint32_t to = n - from < BLOCK ? n : from + BLOCK, found = 0;

		for (uint32_t c = from; c < to; c += LANES) {
			__m512 v = vload(x + c, to - c < LANES ? to - c : LANES);
			__mmask16 mask = _mm512_cmp_ps_mask(v, vset(0.0f), _CMP_NEQ_UQ);

			if (!mask)
				continue;
			compress(block + found, v, _mm512_add_epi32(_mm512_set1_epi32((int)c), lane), mask);
			found += (uint32_t)__builtin_popcount(mask);
		}
		memcpy(ev + count, block, found * sizeof(*ev));
		count += found;
	}
	return count;
}

const struct snpu_kernels TABLE = KERNELS(NAME);
