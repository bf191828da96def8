/* SPDX-License-Identifier: MIT */
/*
 * AVX2 kernels: the vector operations for simd.h, and EVPACK. Compiled with -mavx2 and without -mfma: the law has no
 * fma, and the compiler must not find one. Run only after snpu_kernels_get() has looked at the CPU.
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

const struct snpu_kernels snpu_kernels_avx2 = KERNELS("avx2");
