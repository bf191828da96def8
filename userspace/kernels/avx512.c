/* SPDX-License-Identifier: MIT */
/*
 * AVX-512 kernels (F, BW, DQ, VL): the vector operations for simd.h, simd_lm.h, simd_quant.h and spmv.h, and EVPACK. Run only after
 * snpu_kernels_get() has looked at the CPU. avx512_vnni.c compiles this source again for CPUs that have VNNI. With
 * SNPU_AVX512_EMULATED it is compiled against SIMDe, for tests elsewhere.
 */
#include "kernels/kernels.h"

#include <string.h>

#ifdef SNPU_AVX512_EMULATED
#include "kernels/avx512_emulated.h"
#define NAME	"avx512-emu"
#else
#include <immintrin.h>
#define NAME	"avx512"
#endif

#if defined(SNPU_AVX512_EMULATED) && defined(SNPU_AVX512_VNNI)
#define K(name)	name##__avx512vnni_emulated
#define TABLE	snpu_kernels_avx512vnni_emulated
#elif defined(SNPU_AVX512_EMULATED)
#define K(name)	name##__avx512_emulated
#define TABLE	snpu_kernels_avx512_emulated
#elif defined(SNPU_AVX512_VNNI)
#define K(name)	name##__avx512vnni
#define TABLE	snpu_kernels_avx512vnni
#else
#define K(name)	name##__avx512
#define TABLE	snpu_kernels_avx512
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
static inline vec vdiv(vec a, vec b) { return _mm512_div_ps(a, b); }
/* Parentheses, because SIMDe of Debian bookworm pastes the mode as it is. */
static inline vec vtrunc(vec a) { return _mm512_roundscale_ps(a, (_MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)); }
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

/* --- language models ------------------------------------------------------------------------------------------- */

static inline vec vload_bf16(const uint16_t *p, uint32_t k)
{
	uint16_t part[LANES] = { 0 };

	if (k != LANES) {
		memcpy(part, p, k * sizeof(*p));
		p = part;
	}
	return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)p)), 16));
}

static inline vec vabs(vec a) { return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), a); }
static inline vec vrint(vec a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline __m256 vfold(const vec *a) { return _mm256_add_ps(_mm512_castps512_ps256(*a), _mm512_extractf32x8_ps(*a, 1)); }

typedef __m512d dvec;

static inline dvec dset(double d) { return _mm512_set1_pd(d); }
static inline dvec dadd(dvec a, dvec b) { return _mm512_add_pd(a, b); }
static inline dvec dsub(dvec a, dvec b) { return _mm512_sub_pd(a, b); }
static inline dvec dmul(dvec a, dvec b) { return _mm512_mul_pd(a, b); }
static inline dvec ddiv(dvec a, dvec b) { return _mm512_div_pd(a, b); }
static inline dvec dsqrt(dvec a) { return _mm512_sqrt_pd(a); }
static inline dvec drint(dvec a) { return _mm512_roundscale_pd(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline dvec dmin(dvec a, dvec b) { return _mm512_min_pd(a, b); }
static inline dvec dmax(dvec a, dvec b) { return _mm512_max_pd(a, b); }
static inline dvec dshift(dvec a, int n) { return _mm512_castsi512_pd(_mm512_slli_epi64(_mm512_castpd_si512(a), n)); }
static inline dvec dlow(vec a) { return _mm512_cvtps_pd(_mm512_castps512_ps256(a)); }
static inline dvec dhigh(vec a) { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1)); }
static inline void dstore(double *p, dvec a) { _mm512_storeu_pd(p, a); }

static inline dvec dless(dvec x, dvec y, dvec a, dvec b)
{
	return _mm512_mask_blend_pd(_mm512_cmp_pd_mask(x, y, _CMP_LT_OQ), b, a);
}

static inline vec dnarrow(dvec low, dvec high)
{
	return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low)), _mm512_cvtpd_ps(high), 1);
}

typedef __m512i ivec;

static inline ivec iload(const void *p) { return _mm512_loadu_si512(p); }
static inline void istore(void *p, ivec v) { _mm512_storeu_si512(p, v); }
static inline ivec iset(int32_t n) { return _mm512_set1_epi32(n); }
static inline ivec ilanes(void) { return _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0); }
static inline ivec iadd(ivec a, ivec b) { return _mm512_add_epi32(a, b); }
static inline ivec imul(ivec a, ivec b) { return _mm512_mullo_epi32(a, b); }
static inline ivec ixor(ivec a, ivec b) { return _mm512_xor_si512(a, b); }
static inline ivec iwiden(const int8_t *p) { return _mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p)); }
static inline ivec iwiden32(const void *p) { return _mm512_cvtepi16_epi32(_mm256_loadu_si256(p)); }
static inline ivec iwiden16(const int8_t *p) { return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const void *)p)); }
static inline ivec imadd16(ivec a, ivec b) { return _mm512_madd_epi16(a, b); }
static inline ivec ilow8(ivec a, ivec b) { return _mm512_unpacklo_epi8(a, b); }
static inline ivec ihigh8(ivec a, ivec b) { return _mm512_unpackhi_epi8(a, b); }
static inline ivec ilow16(ivec a, ivec b) { return _mm512_unpacklo_epi16(a, b); }
static inline ivec ihigh16(ivec a, ivec b) { return _mm512_unpackhi_epi16(a, b); }
static inline ivec ilow32(ivec a, ivec b) { return _mm512_unpacklo_epi32(a, b); }
static inline ivec ihigh32(ivec a, ivec b) { return _mm512_unpackhi_epi32(a, b); }
static inline ivec ilow64(ivec a, ivec b) { return _mm512_unpacklo_epi64(a, b); }
static inline ivec ihigh64(ivec a, ivec b) { return _mm512_unpackhi_epi64(a, b); }
static inline vec ifloat(ivec v) { return _mm512_cvtepi32_ps(v); }
static inline ivec vint(vec v) { return _mm512_cvtps_epi32(v); }
static inline vec ibits(ivec v) { return _mm512_castsi512_ps(v); }

static inline __m256i ifold(ivec v)
{
	return _mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
}

#ifndef SNPU_AVX512_EMULATED		/* there the neurons of integers are the reference's */
#define HAVE_QNEURONS

typedef __mmask16 imask;

static inline imask igt(ivec a, ivec b) { return _mm512_cmpgt_epi32_mask(a, b); }
static inline ivec ipick(imask m, ivec a, ivec b) { return _mm512_mask_blend_epi32(m, b, a); }
static inline unsigned int imbits(imask m) { return m; }
static inline dvec dilow(ivec v) { return _mm512_cvtepi32_pd(_mm512_castsi512_si256(v)); }
static inline dvec dihigh(ivec v) { return _mm512_cvtepi32_pd(_mm512_extracti64x4_epi64(v, 1)); }

static inline ivec idnarrow(dvec low, dvec high)
{
	return _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtpd_epi32(low)), _mm512_cvtpd_epi32(high), 1);
}

static inline ivec idecay(ivec x, ivec d, unsigned int bits)
{
	__m128i by = _mm_cvtsi32_si128((int)bits);
	ivec size = _mm512_abs_epi32(x), part = _mm512_min_epu32(d, _mm512_set1_epi32(1 << bits));
	ivec even = _mm512_srl_epi64(_mm512_mul_epu32(size, part), by);
	ivec odd = _mm512_srl_epi64(_mm512_mul_epu32(_mm512_srli_epi64(size, 32), _mm512_srli_epi64(part, 32)), by);
	ivec y = _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32));

	return _mm512_mask_sub_epi32(y, _mm512_movepi32_mask(x), _mm512_setzero_si512(), y);
}
#endif

static inline void iparts(ivec v[4])
{
	ivec a = _mm512_shuffle_i32x4(v[0], v[1], 0x44), b = _mm512_shuffle_i32x4(v[0], v[1], 0xee);
	ivec c = _mm512_shuffle_i32x4(v[2], v[3], 0x44), d = _mm512_shuffle_i32x4(v[2], v[3], 0xee);

	v[0] = _mm512_shuffle_i32x4(a, c, 0x88);
	v[1] = _mm512_shuffle_i32x4(a, c, 0xdd);
	v[2] = _mm512_shuffle_i32x4(b, d, 0x88);
	v[3] = _mm512_shuffle_i32x4(b, d, 0xdd);
}

#ifdef SNPU_AVX512_VNNI
#define COUNT_BITS	8u
#else
#define COUNT_BITS	7u			/* two products of 8 and 7 bits fit into 16 bits */
#endif

static inline ivec idot(ivec acc, ivec u, ivec s)
{
#ifdef SNPU_AVX512_VNNI
	acc = _mm512_dpbusd_epi32(acc, u, s);
#else
	acc = iadd(acc, _mm512_madd_epi16(_mm512_maddubs_epi16(u, s), _mm512_set1_epi16(1)));
#endif
#ifndef SNPU_AVX512_EMULATED
	__asm__("" : "+v"(acc));		/* or GCC 12 copies the sums to other registers and memory all the time */
#endif
	return acc;
}

#define SPMV_ROWS	4u
#define DOT_ROWS	8u

#include "kernels/conv.h"
#include "kernels/simd_lm.h"
#include "kernels/simd_quant.h"
#include "kernels/spmv.h"

const struct snpu_kernels TABLE = KERNELS(NAME);
