/* SPDX-License-Identifier: MIT */
/*
 * AVX2 kernels: the vector operations for simd.h, simd_lm.h, simd_quant.h and spmv.h, and EVPACK. Compiled with -mavx2 and without
 * -mfma: the law has no fma, and the compiler must not find one. Run only after snpu_kernels_get() has looked at the CPU.
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

#define LANES	8u
#define K(name)	name##__avx2

typedef __m256 vec;
typedef __m256 vmask;

static inline __m256i first(uint32_t k)
{
	return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)k), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline vec vload(const float *p, uint32_t k)
{
	return k == LANES ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, first(k));
}

static inline void vstore(float *p, vec v, uint32_t k)
{
	float part[LANES];

	if (k == LANES) {
		_mm256_storeu_ps(p, v);
	} else {		/* masked stores are slow on many CPUs that have AVX2 */
		_mm256_storeu_ps(part, v);
		for (uint32_t j = 0; j < k; j++)
			p[j] = part[j];
	}
}

static inline vec vset(float f) { return _mm256_set1_ps(f); }
static inline vec vadd(vec a, vec b) { return _mm256_add_ps(a, b); }
static inline vec vsub(vec a, vec b) { return _mm256_sub_ps(a, b); }
static inline vec vmul(vec a, vec b) { return _mm256_mul_ps(a, b); }
static inline vec vdiv(vec a, vec b) { return _mm256_div_ps(a, b); }
static inline vec vtrunc(vec a) { return _mm256_round_ps(a, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); }
static inline vmask vgt(vec a, vec b) { return _mm256_cmp_ps(a, b, _CMP_GT_OQ); }
static inline vmask vge(vec a, vec b) { return _mm256_cmp_ps(a, b, _CMP_GE_OQ); }
static inline vec vpick(vmask m, vec a, vec b) { return _mm256_blendv_ps(b, a, m); }
static inline unsigned int vbits(vmask m) { return (unsigned int)_mm256_movemask_ps(m); }

#include "kernels/simd.h"

/*
 * For each mask of 8 lanes, the lanes that are set, in order: eight 4-bit numbers, lowest first. Built by the
 * preprocessor from "prepend lane k when bit k is set", highest lane first.
 */
#define PRE(m, k, rest)	((m) >> (k) & 1 ? (uint32_t)(rest) << 4 | (k) : (uint32_t)(rest))
#define LUT1(m)		PRE(m, 0, PRE(m, 1, PRE(m, 2, PRE(m, 3, PRE(m, 4, PRE(m, 5, PRE(m, 6, PRE(m, 7, 0))))))))
#define LUT4(m)		LUT1(m), LUT1((m) + 1), LUT1((m) + 2), LUT1((m) + 3)
#define LUT16(m)	LUT4(m), LUT4((m) + 4), LUT4((m) + 8), LUT4((m) + 12)
#define LUT64(m)	LUT16(m), LUT16((m) + 16), LUT16((m) + 32), LUT16((m) + 48)
static const uint32_t lanes_of[256] = { LUT64(0), LUT64(64), LUT64(128), LUT64(192) };

/* Puts the entries of 8 channels to ev (room for 8, all written), those of `mask` first. */
static inline void compress(struct snpu_event *ev, __m256 x, __m256i channel, unsigned int mask)
{
	__m256i order = _mm256_srlv_epi32(_mm256_set1_epi32((int)lanes_of[mask]),
					  _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28));
	__m256i value = _mm256_castps_si256(_mm256_permutevar8x32_ps(x, order));	/* uses the low 3 bits */
	__m256i chan = _mm256_permutevar8x32_epi32(channel, order);
	__m256i lo = _mm256_unpacklo_epi32(chan, value), hi = _mm256_unpackhi_epi32(chan, value);

	_mm256_storeu_si256((void *)ev, _mm256_permute2x128_si256(lo, hi, 0x20));
	_mm256_storeu_si256((void *)(ev + 4), _mm256_permute2x128_si256(lo, hi, 0x31));
}

#define BLOCK	512u			/* channels packed in private memory at a time, so that nothing past the list is written */

static uint32_t snpu_evpack_f32__avx2(const float *x, uint32_t n, struct snpu_event *ev)
{
	struct snpu_event block[BLOCK + LANES];
	uint32_t count = 0;

	for (uint32_t from = 0; from < n; from += BLOCK) {
		uint32_t to = n - from < BLOCK ? n : from + BLOCK, found = 0;

		for (uint32_t c = from; c < to; c += LANES) {
			__m256 v = vload(x + c, to - c < LANES ? to - c : LANES);
			unsigned int mask = vbits(_mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_NEQ_UQ));

			if (!mask)
				continue;
			compress(block + found, v, _mm256_add_epi32(_mm256_set1_epi32((int)c), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)),
				 mask);
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
	return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)p)), 16));
}

static inline vec vabs(vec a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
static inline vec vrint(vec a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline __m256 vfold(const vec *a) { return _mm256_add_ps(a[0], a[1]); }

typedef __m256d dvec;

static inline dvec dset(double d) { return _mm256_set1_pd(d); }
static inline dvec dadd(dvec a, dvec b) { return _mm256_add_pd(a, b); }
static inline dvec dsub(dvec a, dvec b) { return _mm256_sub_pd(a, b); }
static inline dvec dmul(dvec a, dvec b) { return _mm256_mul_pd(a, b); }
static inline dvec ddiv(dvec a, dvec b) { return _mm256_div_pd(a, b); }
static inline dvec dsqrt(dvec a) { return _mm256_sqrt_pd(a); }
static inline dvec drint(dvec a) { return _mm256_round_pd(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline dvec dmin(dvec a, dvec b) { return _mm256_min_pd(a, b); }
static inline dvec dmax(dvec a, dvec b) { return _mm256_max_pd(a, b); }
static inline dvec dless(dvec x, dvec y, dvec a, dvec b) { return _mm256_blendv_pd(b, a, _mm256_cmp_pd(x, y, _CMP_LT_OQ)); }
static inline dvec dshift(dvec a, int n) { return _mm256_castsi256_pd(_mm256_slli_epi64(_mm256_castpd_si256(a), n)); }
static inline dvec dlow(vec a) { return _mm256_cvtps_pd(_mm256_castps256_ps128(a)); }
static inline dvec dhigh(vec a) { return _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1)); }
static inline void dstore(double *p, dvec a) { _mm256_storeu_pd(p, a); }

static inline vec dnarrow(dvec low, dvec high)
{
	return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(low)), _mm256_cvtpd_ps(high), 1);
}

typedef __m256i ivec;

static inline ivec iload(const void *p) { return _mm256_loadu_si256(p); }
static inline void istore(void *p, ivec v) { _mm256_storeu_si256(p, v); }
static inline ivec iset(int32_t n) { return _mm256_set1_epi32(n); }
static inline ivec ilanes(void) { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }
static inline ivec iadd(ivec a, ivec b) { return _mm256_add_epi32(a, b); }
static inline ivec imul(ivec a, ivec b) { return _mm256_mullo_epi32(a, b); }
static inline ivec ixor(ivec a, ivec b) { return _mm256_xor_si256(a, b); }
static inline ivec iwiden(const int8_t *p) { return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)p)); }
static inline ivec iwiden32(const void *p) { return _mm256_cvtepi16_epi32(_mm_loadu_si128(p)); }
static inline ivec iwiden16(const int8_t *p) { return _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)p)); }
static inline ivec imadd16(ivec a, ivec b) { return _mm256_madd_epi16(a, b); }
static inline ivec ilow8(ivec a, ivec b) { return _mm256_unpacklo_epi8(a, b); }
static inline ivec ihigh8(ivec a, ivec b) { return _mm256_unpackhi_epi8(a, b); }
static inline ivec ilow16(ivec a, ivec b) { return _mm256_unpacklo_epi16(a, b); }
static inline ivec ihigh16(ivec a, ivec b) { return _mm256_unpackhi_epi16(a, b); }
static inline ivec ilow32(ivec a, ivec b) { return _mm256_unpacklo_epi32(a, b); }
static inline ivec ihigh32(ivec a, ivec b) { return _mm256_unpackhi_epi32(a, b); }
static inline ivec ilow64(ivec a, ivec b) { return _mm256_unpacklo_epi64(a, b); }
static inline ivec ihigh64(ivec a, ivec b) { return _mm256_unpackhi_epi64(a, b); }
static inline vec ifloat(ivec v) { return _mm256_cvtepi32_ps(v); }
static inline ivec vint(vec v) { return _mm256_cvtps_epi32(v); }
static inline vec ibits(ivec v) { return _mm256_castsi256_ps(v); }
static inline __m256i ifold(ivec v) { return v; }

#define HAVE_QNEURONS

typedef __m256i imask;

static inline imask igt(ivec a, ivec b) { return _mm256_cmpgt_epi32(a, b); }
static inline ivec ipick(imask m, ivec a, ivec b) { return _mm256_blendv_epi8(b, a, m); }
static inline unsigned int imbits(imask m) { return (unsigned int)_mm256_movemask_ps(_mm256_castsi256_ps(m)); }
static inline dvec dilow(ivec v) { return _mm256_cvtepi32_pd(_mm256_castsi256_si128(v)); }
static inline dvec dihigh(ivec v) { return _mm256_cvtepi32_pd(_mm256_extracti128_si256(v, 1)); }

static inline ivec idnarrow(dvec low, dvec high)
{
	return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm256_cvtpd_epi32(low)), _mm256_cvtpd_epi32(high), 1);
}

static inline ivec idecay(ivec x, ivec d, unsigned int bits)
{
	__m128i by = _mm_cvtsi32_si128((int)bits);
	ivec size = _mm256_abs_epi32(x), part = _mm256_min_epu32(d, _mm256_set1_epi32(1 << bits));
	ivec even = _mm256_srl_epi64(_mm256_mul_epu32(size, part), by);
	ivec odd = _mm256_srl_epi64(_mm256_mul_epu32(_mm256_srli_epi64(size, 32), _mm256_srli_epi64(part, 32)), by);

	return _mm256_sign_epi32(_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa), x);
}

static inline void iparts(ivec v[2])
{
	ivec low = _mm256_permute2x128_si256(v[0], v[1], 0x20);

	v[1] = _mm256_permute2x128_si256(v[0], v[1], 0x31);
	v[0] = low;
}

#define COUNT_BITS	7u			/* two products of 8 and 7 bits fit into 16 bits */

static inline ivec idot(ivec acc, ivec u, ivec s)
{
	acc = iadd(acc, _mm256_madd_epi16(_mm256_maddubs_epi16(u, s), _mm256_set1_epi16(1)));
	__asm__("" : "+x"(acc));		/* or GCC 12 copies the sums to other registers and memory all the time */
	return acc;
}

#define SPMV_ROWS	1u
#define DOT_ROWS	4u

#include "kernels/conv.h"
#include "kernels/simd_lm.h"
#include "kernels/simd_quant.h"
#include "kernels/spmv.h"

const struct snpu_kernels snpu_kernels_avx2 = KERNELS("avx2");
