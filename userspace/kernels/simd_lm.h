/* SPDX-License-Identifier: MIT */
/*
 * The floating-point kernels of language models, included by avx2.c and avx512.c after simd.h and the definition of
 *
 *	vload_bf16(p, k)		as vload, from bf16
 *	vdiv, vabs, vrint		vrint: half to even
 *	vint(v), ibits(v)		rounded to 32-bit integers; the bits of integers as a vec
 *	vfold(a)			16 floats, a[l] + a[l + 8]
 *	DOT_ROWS			vectors that a row of a matrix is multiplied by at the same time
 *	dvec				LANES / 2 doubles
 *	dset, dadd, dsub, dmul, ddiv, dsqrt, drint	one rounding each
 *	dmin, dmax			the second where one is NaN
 *	dless(x, y, a, b)		a where x < y, else b
 *	dshift(a, n)			the bits of each double moved left
 *	dlow, dhigh, dnarrow		the halves of a vec, widened; and back, rounded
 *	dstore(p, a)
 *	iwiden16(p), imadd16, ifold	2 * LANES int8 as int16; sums of two products of int16 in each lane; to 8 lanes by addition
 *
 * and the integers that spmv.h lists. Results are those of scalar_lm.c. What is left after the last whole vector is often
 * computed by the scalar formulas of lm_math.h, which give the same bits.
 */
#include "kernels/lm_math.h"
#include "kernels/scalar_lm.h"

#define DLANES	(LANES / 2)

/* exp64 */
INLINE dvec dexp(dvec x)
{
	const dvec whole = dset(0x1.8p52);	/* added to n it leaves n in the lowest bits */
	dvec n, r, p;

	x = dmin(dset(SNPU_EXP_LIMIT), dmax(dset(-SNPU_EXP_LIMIT), x));
	n = drint(dmul(x, dset(SNPU_LOG2_E)));
	r = dsub(dsub(x, dmul(n, dset(SNPU_LN2_HIGH))), dmul(n, dset(SNPU_LN2_LOW)));
	p = dset(snpu_exp_c[SNPU_EXP_TERMS - 1]);
	UNROLL for (int j = SNPU_EXP_TERMS - 2; j >= 0; j--)
		p = dadd(dmul(p, r), dset(snpu_exp_c[j]));
	return dmul(p, dshift(dadd(n, dadd(whole, dset(1023))), 52));		/* n + 1023 is the exponent of 2^n */
}

/* Adds 16 numbers to the 16 accumulators of sum16. */
INLINE void dsum(dvec sum[SNPU_SUMS / DLANES], unsigned int j, dvec low, dvec high)
{
	sum[2 * j] = dadd(sum[2 * j], low);
	sum[2 * j + 1] = dadd(sum[2 * j + 1], high);
}

/* sum16 of abs(x), or of x^2 with `squares`, in binary64. */
INLINE double dsum16(const float *x, uint32_t n, const bool squares)
{
	dvec sum[SNPU_SUMS / DLANES];
	double m[SNPU_SUMS];
	uint32_t i = 0;

	UNROLL for (unsigned int j = 0; j < SNPU_SUMS / DLANES; j++)
		sum[j] = dset(0);
	for (; i + SNPU_SUMS <= n; i += SNPU_SUMS)
		UNROLL for (unsigned int j = 0; j < SNPU_SUMS / LANES; j++) {
			vec v = vload(x + i + j * LANES, LANES);

			if (squares)
				dsum(sum, j, dmul(dlow(v), dlow(v)), dmul(dhigh(v), dhigh(v)));
			else
				dsum(sum, j, dlow(vabs(v)), dhigh(vabs(v)));
		}
	UNROLL for (unsigned int j = 0; j < SNPU_SUMS / DLANES; j++)
		dstore(m + j * DLANES, sum[j]);
	for (; i < n; i++)
		m[i % SNPU_SUMS] += squares ? (double)x[i] * (double)x[i] : (double)fabsf(x[i]);
	return snpu_sum16_f64(m);
}

/* --- spikes ---------------------------------------------------------------------------------------------------- */

/* Counts of x, as integers that binary32 holds; NaN stays, and is neither above nor below 0. */
INLINE vec spike_counts(vec x, vec vth)
{
	vec s = vrint(vdiv(x, vth));

	s = vpick(vgt(s, vset(0x1p30f)), vset(0x1p30f), s);
	return vpick(vgt(vset(-0x1p30f), s), vset(-0x1p30f), s);
}

/* As EVPACK: packed in private memory, a block at a time, so that nothing past the list is written. */
static uint32_t encode_row(const float *x, uint32_t n, float vth, struct snpu_event *ev)
{
	struct snpu_event block[BLOCK + LANES];
	uint32_t count = 0;

	for (uint32_t from = 0; from < n; from += BLOCK) {
		uint32_t to = n - from < BLOCK ? n : from + BLOCK, found = 0;

		for (uint32_t c = from; c < to; c += LANES) {
			uint32_t k = to - c < LANES ? to - c : LANES;
			vec s = spike_counts(vload(x + c, k), vset(vth));
			unsigned int mask = (vbits(vgt(s, vset(0.0f))) | vbits(vgt(vset(0.0f), s))) & ((1u << k) - 1);

			compress(block + found, ibits(vint(s)), iadd(iset((int32_t)c), ilanes()), mask);
			found += (uint32_t)__builtin_popcount(mask);
		}
		memcpy(ev + count, block, found * sizeof(*ev));
		count += found;
	}
	return count;
}

static uint64_t K(snpu_encode)(const float *x, uint32_t n, float k, uint32_t *lists, uint32_t from, uint32_t to)
{
	uint64_t total = 0;

	for (uint32_t r = from; r < to; r++) {
		const float *row = x + (uint64_t)r * n;
		struct snpu_spikes *head = (void *)(lists + r * SNPU_EVENTS_WORDS(n));

		head->vth = snpu_spike_vth(dsum16(row, n, false), n, k);
		head->count = encode_row(row, n, head->vth, (void *)(head + 1));
		total += head->count;
	}
	return total;
}

/* --- dense products -------------------------------------------------------------------------------------------- */

INLINE __m256 add8(__m256 a, __m256 b, const bool ints)
{
	return ints ? _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b))) : _mm256_add_ps(a, b);
}

/* Lane i: the sum of a[i]'s 8 lanes, as sum16 ends: + 4, + 2, + 1. */
INLINE __m256 sums8(const __m256 a[8], const bool ints)
{
	__m256 four[4], two[2];

	UNROLL for (int i = 0; i < 4; i++)
		four[i] = add8(_mm256_permute2f128_ps(a[i], a[i + 4], 0x20), _mm256_permute2f128_ps(a[i], a[i + 4], 0x31), ints);
	UNROLL for (int i = 0; i < 2; i++) {
		__m256d p = _mm256_castps_pd(four[2 * i]), q = _mm256_castps_pd(four[2 * i + 1]);

		two[i] = add8(_mm256_castpd_ps(_mm256_unpacklo_pd(p, q)), _mm256_castpd_ps(_mm256_unpackhi_pd(p, q)), ints);
	}
	return add8(_mm256_shuffle_ps(two[0], two[1], 0x88), _mm256_shuffle_ps(two[0], two[1], 0xdd), ints);
}

#define SUM_VECTORS	(SNPU_SUMS / LANES)

struct dot_sums {
	vec v[DOT_ROWS][SUM_VECTORS];
};

/* Adds the products of elements c .. c + k - 1, which belong to vector v of the sums. */
INLINE void dot_step(struct dot_sums *s, const void *w, const float *x, uint64_t x_stride, uint32_t c, uint32_t k,
		     const unsigned int v, const uint32_t rows, const bool bf16)
{
	vec f = bf16 ? vload_bf16((const uint16_t *)w + c, k) : vload((const float *)w + c, k);

	UNROLL for (unsigned int r = 0; r < rows; r++)
		s->v[r][v] = vadd(s->v[r][v], vmul(f, vload(x + r * x_stride + c, k)));
}

/* Adds the products of elements [c, end) of a matrix's row and each x[r]; c is a multiple of 16, and end too or the last. */
INLINE void dot(struct dot_sums *sums, const void *w, const float *x, uint32_t n, uint32_t c, uint32_t end, uint64_t ahead,
		const uint32_t rows, const bool bf16)
{
	const uint32_t line = bf16 ? 32 : 16;	/* elements of 64 bytes */
	struct dot_sums s;

	UNROLL for (unsigned int r = 0; r < rows; r++)
		UNROLL for (unsigned int v = 0; v < SUM_VECTORS; v++)
			s.v[r][v] = sums->v[r][v];
	for (; c + line <= end; c += line) {
		const char *next = (const char *)w + (uint64_t)c * (bf16 ? 2 : 4) + ahead;

		if (rows > 1)
			__builtin_prefetch(next, 0, 2);		/* to the second cache */
		else
			__builtin_prefetch(next);
		UNROLL for (unsigned int v = 0; v < line / LANES; v++)
			dot_step(&s, w, x, n, c + v * LANES, LANES, v % SUM_VECTORS, rows, bf16);
	}
	for (unsigned int v = 0; c < end; v++, c += LANES) {
		uint32_t k = end - c < LANES ? end - c : LANES;

		if (v % SUM_VECTORS)
			dot_step(&s, w, x, n, c, k, SUM_VECTORS - 1, rows, bf16);
		else
			dot_step(&s, w, x, n, c, k, 0, rows, bf16);
	}
	UNROLL for (unsigned int r = 0; r < rows; r++)
		UNROLL for (unsigned int v = 0; v < SUM_VECTORS; v++)
			sums->v[r][v] = s.v[r][v];
}

#define DOT_PART	512u		/* elements of several x that stay in the first cache while eight rows are multiplied */

/*
 * Lane i of y[r]: sum16 of row i of the matrix [count][n] times x[r], for i < count <= 8; other lanes hold 0. x is [rows][n].
 * One x: one row after the other, because memory is fast when it is one stream.
 */
INLINE void dots(const void *w, uint32_t n, uint32_t count, const float *x, uint64_t ahead, const uint32_t rows, const bool bf16,
		 __m256 *y)
{
	__m256 sum[DOT_ROWS][8];
	struct dot_sums s[8];
	uint32_t end;

	for (unsigned int i = 0; i < 8; i++)
		UNROLL for (unsigned int r = 0; r < rows; r++)
			UNROLL for (unsigned int v = 0; v < SUM_VECTORS; v++)
				s[i].v[r][v] = vset(0.0f);
	for (uint32_t c = 0; c < n; c = end) {
		end = rows > 1 && n - c > DOT_PART ? c + DOT_PART : n;
		for (uint32_t i = 0; i < count; i++)
			dot(&s[i], (const char *)w + (uint64_t)i * n * (bf16 ? 2 : 4), x, n, c, end, ahead, rows,
			    bf16);
	}
	for (unsigned int i = 0; i < 8; i++)
		UNROLL for (unsigned int r = 0; r < rows; r++)
			sum[r][i] = vfold(s[i].v[r]);
	UNROLL for (unsigned int r = 0; r < rows; r++)
		y[r] = sums8(sum[r], false);
}

INLINE __m256 load8(const float *p, uint32_t k)
{
	float part[8] = { 0 };

	if (k == 8)
		return _mm256_loadu_ps(p);
	memcpy(part, p, k * sizeof(*p));
	return _mm256_loadu_ps(part);
}

INLINE void store8(float *p, __m256 v, uint32_t k)
{
	float part[8];

	if (k == 8) {
		_mm256_storeu_ps(p, v);
	} else {
		_mm256_storeu_ps(part, v);
		memcpy(p, part, k * sizeof(*p));
	}
}

/* Outputs [o, o + k), k <= 8, of rows [r, r + rows). */
INLINE void matmul_part(const struct snpu_matmul_args *a, uint32_t o, uint32_t k, uint32_t r, const uint32_t rows, const bool bf16)
{
	uint64_t size = (uint64_t)a->n_in * (bf16 ? 2 : 4), ahead = rows == 1 ? STREAM_AHEAD : r ? 0 : 8 * size;
	__m256 y[DOT_ROWS];

	dots((const char *)a->weights + o * size, a->n_in, k, a->x + (uint64_t)r * a->n_in, ahead, rows, bf16, y);
	for (uint32_t i = 0; i < rows; i++) {
		if (a->bias)
			y[i] = _mm256_add_ps(y[i], load8(a->bias + o, k));
		store8(a->out + (uint64_t)(r + i) * a->n_out + o, y[i], k);
	}
}

/* Eight outputs' weights come from memory once, for all rows. */
INLINE void matmul(const struct snpu_matmul_args *a, uint32_t from, uint32_t to, const bool bf16)
{
	for (uint32_t o = from; o < to; o += 8) {
		uint32_t k = to - o < 8 ? to - o : 8, r = 0;

		for (; r + DOT_ROWS <= a->rows; r += DOT_ROWS)
			matmul_part(a, o, k, r, DOT_ROWS, bf16);
		if (DOT_ROWS > 4 && r + 4 <= a->rows) {
			matmul_part(a, o, k, r, 4, bf16);
			r += 4;
		}
		if (r + 2 <= a->rows) {
			matmul_part(a, o, k, r, 2, bf16);
			r += 2;
		}
		if (r < a->rows)
			matmul_part(a, o, k, r, 1, bf16);
	}
}

static void K(snpu_matmul)(const struct snpu_matmul_args *a, uint32_t from, uint32_t to)
{
	if (a->bf16)
		matmul(a, from, to, true);
	else
		matmul(a, from, to, false);
}

/* --- elementwise ----------------------------------------------------------------------------------------------- */

INLINE dvec dsilu(dvec x)
{
	return ddiv(x, dadd(dset(1), dexp(dsub(dset(-0.0), x))));
}

INLINE vec silu(vec x)
{
	return dnarrow(dsilu(dlow(x)), dsilu(dhigh(x)));
}

static void K(snpu_silu_mul)(const float *gate, const float *up, float *out, uint32_t n)
{
#define STEP(k) vstore(out + c, vmul(silu(vload(gate + c, k)), vload(up + c, k)), k)
	EACH(n)
#undef STEP
}

static void K(snpu_rmsnorm)(const float *x, const float *weights, float *out, uint32_t n, float eps, uint32_t from, uint32_t to)
{
	for (uint32_t r = from; r < to; r++) {
		const float *row = x + (uint64_t)r * n;
		float *to_row = out + (uint64_t)r * n;
		vec s = vset(snpu_rms_factor(dsum16(row, n, true), n, eps));

#define STEP(k) vstore(to_row + c, vmul(vmul(vload(row + c, k), s), vload(weights + c, k)), k)
		EACH(n)
#undef STEP
	}
}

/* --- weighted sums of rows ------------------------------------------------------------------------------------- */

/* LANES codes of which k count; only those are read. */
INLINE ivec iwiden_part(const int8_t *p, uint32_t k)
{
	int8_t part[LANES] = { 0 };

	if (k != LANES) {
		memcpy(part, p, k);
		p = part;
	}
	return iwiden(p);
}

/* out[j] = out[j] + w[i] * v[i][j], i ascending, for `vectors` vectors of j, of which the last has k elements. */
INLINE void weighted_part(float *out, const float *w, const void *v, uint32_t stride, uint32_t n, const bool int8,
			  const unsigned int vectors, uint32_t k)
{
	vec sum[8];

	UNROLL for (unsigned int j = 0; j < vectors; j++)
		sum[j] = vload(out + j * LANES, vectors == 1 ? k : LANES);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t at = (uint64_t)i * stride;

		UNROLL for (unsigned int j = 0; j < vectors; j++) {
			uint32_t m = vectors == 1 ? k : LANES;
			vec x = int8 ? ifloat(iwiden_part((const int8_t *)v + at + j * LANES, m)) :
				       vload((const float *)v + at + j * LANES, m);

			sum[j] = vadd(sum[j], vmul(vset(w[i]), x));
		}
	}
	UNROLL for (unsigned int j = 0; j < vectors; j++)
		vstore(out + j * LANES, sum[j], vectors == 1 ? k : LANES);
}

/* The same for d elements; v is [n][d] of int8 or f32. */
INLINE void weighted(float *out, const float *w, const void *v, uint32_t d, uint32_t n, const bool int8)
{
	uint32_t j = 0;

#define PART(vectors, k) weighted_part(out + j, w, (const char *)v + (uint64_t)j * (int8 ? 1 : 4), d, n, int8, vectors, k)
	for (; j + 8 * LANES <= d; j += 8 * LANES)
		PART(8, LANES);
	for (; j + 4 * LANES <= d; j += 4 * LANES)
		PART(4, LANES);
	for (; j < d; j += LANES)
		PART(1, d - j < LANES ? d - j : LANES);
#undef PART
}

/* --- gated linear attention ------------------------------------------------------------------------------------ */

INLINE dvec ddecay(dvec g)
{
	dvec e = dexp(dless(g, dset(-40), ddiv(g, dset(16)), dsub(dset(-0.0), g)));

	return dless(g, dset(-40), e, dsqrt(dsqrt(dsqrt(dsqrt(ddiv(dset(1), dadd(dset(1), e)))))));
}

INLINE vec decay(vec g)
{
	return dnarrow(ddecay(dlow(g)), ddecay(dhigh(g)));
}

INLINE vec relu(vec x)
{
	return vpick(vgt(x, vset(0.0f)), x, vset(0.0f));
}

static void gla_step(const struct snpu_gla_args *a, uint32_t row, uint32_t h)
{
	uint64_t at = ((uint64_t)row * a->kv + h) * a->d, q_at = at * a->group;
	float *state = a->state + (uint64_t)h * a->d * a->d;
	float keep[SNPU_MAX_HEAD], key[SNPU_MAX_HEAD], *query = key;	/* [d] each */
	const float *g = a->g + at, *keys = a->k + at, *v = a->v + at;
	uint32_t d = a->d;
	vec z = vset(snpu_head_factor(d));

#define STEP(k) (vstore(keep + c, decay(vload(g + c, k)), k), vstore(key + c, relu(vload(keys + c, k)), k))
	EACH(d)
#undef STEP
	for (uint32_t i = 0; i < d; i++) {
		float *s = state + (uint64_t)i * d;
		vec old = vset(keep[i]), new = vset(key[i]);

#define STEP(k) vstore(s + c, vadd(vmul(old, vload(s + c, k)), vmul(new, vload(v + c, k))), k)
		EACH(d)
#undef STEP
	}
	for (uint32_t head = 0; head < a->group; head++) {
		const float *q = a->q + q_at + (uint64_t)head * d;
		float *out = a->out + q_at + (uint64_t)head * d;

#define STEP(k) vstore(query + c, vmul(relu(vload(q + c, k)), z), k)
		EACH(d)
#undef STEP
		memset(out, 0, d * sizeof(*out));
		weighted(out, query, state, d, d, false);
	}
}

static void K(snpu_gla)(const struct snpu_gla_args *a, uint32_t from, uint32_t to)
{
	for (uint32_t h = from; h < to; h++)
		for (uint32_t row = 0; row < a->rows; row++)
			gla_step(a, row, h);
}

/* --- sliding-window attention ---------------------------------------------------------------------------------- */

/* A query head, and a run of keys whose slots follow each other: the ring makes at most two. */
struct run {
	const struct snpu_swa_args *a;
	uint32_t head, h, slot, n;
	float *w;				/* [n] scores, then weights */
};

/* The counts of a query of d channels in two halves of 16 bits: count = low + high * 2^16 modulo 2^32. */
struct query {
	int16_t low[SNPU_MAX_HEAD], high[SNPU_MAX_HEAD];	/* filled up with 0 */
	bool wide;				/* some high is not 0 */
};

static void load_query(const struct snpu_swa_args *a, uint32_t head, struct query *q)
{
	memset(q, 0, sizeof(*q));
	for (uint64_t e = a->spikes.first[head]; e < a->spikes.first[head + 1]; e++) {
		struct snpu_spike s = a->spikes.spike[e];
		int16_t low = (int16_t)s.count;

		q->low[s.channel] = low;
		q->high[s.channel] = (int16_t)(((uint32_t)s.count - (uint32_t)low) >> 16);
		q->wide |= q->high[s.channel] != 0;
	}
}

/* Products of 8 keys [8][d], of which `count` exist, with counts. */
INLINE __m256i key_dots(const int8_t *keys, uint32_t d, uint32_t count, const int16_t *counts)
{
	const int8_t *k[8];
	int8_t part[2 * LANES] = { 0 };
	__m256 sum[8];
	ivec s[8];
	uint32_t c = 0;

	UNROLL for (uint32_t i = 0; i < 8; i++) {
		k[i] = keys + (uint64_t)(i < count ? i : count - 1) * d;
		s[i] = iset(0);
	}
	for (; c + 2 * LANES <= d; c += 2 * LANES)
		UNROLL for (int i = 0; i < 8; i++)
			s[i] = iadd(s[i], imadd16(iwiden16(k[i] + c), iload(counts + c)));
	if (c < d)
		UNROLL for (int i = 0; i < 8; i++) {
			memcpy(part, k[i] + c, d - c);
			s[i] = iadd(s[i], imadd16(iwiden16(part), iload(counts + c)));
		}
	UNROLL for (int i = 0; i < 8; i++)
		sum[i] = _mm256_castsi256_ps(ifold(s[i]));
	return _mm256_castps_si256(sums8(sum, true));
}

static void scores_int8(const struct run *r, const struct query *q)
{
	const struct snpu_swa_args *a = r->a;
	const int8_t *keys = (const int8_t *)a->cache + snpu_kv_at(a->kv, a->slots, a->d, r->h, false) + (uint64_t)r->slot * a->d;
	const float *scale = (const float *)a->cache + snpu_kv_scale_at(a->kv, a->slots, a->d, r->h, false) + r->slot;
	__m256 vth = _mm256_set1_ps(a->spikes.vth[r->head]), z = _mm256_set1_ps(snpu_head_factor(a->d));

	for (uint32_t i = 0; i < r->n; i += 8, keys += (uint64_t)8 * a->d) {
		uint32_t k = r->n - i < 8 ? r->n - i : 8;
		__m256i dot = key_dots(keys, a->d, k, q->low);

		if (q->wide)
			dot = _mm256_add_epi32(dot, _mm256_slli_epi32(key_dots(keys, a->d, k, q->high), 16));
		store8(r->w + i, _mm256_mul_ps(_mm256_mul_ps(_mm256_mul_ps(vth, load8(scale + i, k)), z), _mm256_cvtepi32_ps(dot)), k);
	}
}

static void scores_f32(const struct run *r)
{
	const struct snpu_swa_args *a = r->a;
	const float *keys = (const float *)a->cache + snpu_kv_at(a->kv, a->slots, a->d, r->h, false) + (uint64_t)r->slot * a->d;
	__m256 z = _mm256_set1_ps(snpu_head_factor(a->d)), y;

	for (uint32_t i = 0; i < r->n; i += 8) {
		uint32_t k = r->n - i < 8 ? r->n - i : 8;

		dots(keys + (uint64_t)i * a->d, a->d, k, a->q + (uint64_t)r->head * a->d, STREAM_AHEAD, 1, false, &y);
		store8(r->w + i, _mm256_mul_ps(y, z), k);
	}
}

/* Scores become weights, before the division by what is returned. */
static float softmax(float *score, uint32_t n)
{
	dvec sum[SNPU_SUMS / DLANES];
	vec most = vset(-INFINITY);
	float m = -INFINITY, lane[LANES];
	double t[SNPU_SUMS];
	uint32_t i = 0;

	for (; i + LANES <= n; i += LANES)
		most = vpick(vgt(vload(score + i, LANES), most), vload(score + i, LANES), most);
	vstore(lane, most, LANES);
	for (uint32_t j = 0; j < LANES; j++)
		m = lane[j] > m ? lane[j] : m;
	for (; i < n; i++)
		m = score[i] > m ? score[i] : m;
	UNROLL for (unsigned int j = 0; j < SNPU_SUMS / DLANES; j++)
		sum[j] = dset(0);
	for (i = 0; i + SNPU_SUMS <= n; i += SNPU_SUMS)
		UNROLL for (unsigned int j = 0; j < SUM_VECTORS; j++) {
			vec x = vsub(vload(score + i + j * LANES, LANES), vset(m));

			x = dnarrow(dexp(dlow(x)), dexp(dhigh(x)));
			vstore(score + i + j * LANES, x, LANES);
			dsum(sum, j, dlow(x), dhigh(x));
		}
	UNROLL for (unsigned int j = 0; j < SNPU_SUMS / DLANES; j++)
		dstore(t + j * DLANES, sum[j]);
	for (; i < n; i++) {
		score[i] = (float)snpu_exp64(score[i] - m);
		t[i % SNPU_SUMS] += score[i];
	}
	return (float)snpu_sum16_f64(t);
}

/* Adds the run's values to the head's output. */
static void add_values(const struct run *r)
{
	const struct snpu_swa_args *a = r->a;
	uint64_t at = snpu_kv_at(a->kv, a->slots, a->d, r->h, true) + (uint64_t)r->slot * a->d;
	float *out = a->out + (uint64_t)r->head * a->d;
	const float *scale;

	if (!a->int8) {
		weighted(out, r->w, (const float *)a->cache + at, a->d, r->n, false);
		return;
	}
	scale = (const float *)a->cache + snpu_kv_scale_at(a->kv, a->slots, a->d, r->h, true) + r->slot;
	K(snpu_scale_f32)(r->w, scale, r->w, r->n);
	weighted(out, r->w, (const int8_t *)a->cache + at, a->d, r->n, true);
}

static void K(snpu_swa)(const struct snpu_swa_args *a, uint32_t from, uint32_t to)
{
	uint32_t oldest = (a->position - (a->keys - 1)) % a->slots, before = a->slots - oldest;	/* the end of the ring */
	struct query q;

	for (uint32_t head = from; head < to; head++) {
		struct run run[2] = { { a, head, head / a->group, oldest, a->keys < before ? a->keys : before, a->scratch } };
		float *out = a->out + (uint64_t)head * a->d;
		vec t;

		run[1] = (struct run){ a, head, head / a->group, 0, a->keys - run[0].n, a->scratch + run[0].n };
		if (a->int8)
			load_query(a, head, &q);
		for (int i = 0; i < 2; i++)
			if (a->int8)
				scores_int8(&run[i], &q);
			else
				scores_f32(&run[i]);
		t = vset(softmax(a->scratch, a->keys));
		memset(out, 0, a->d * sizeof(*out));
		for (int i = 0; i < 2; i++)
			add_values(&run[i]);
#define STEP(k) vstore(out + c, vdiv(vload(out + c, k), t), k)
		EACH(a->d)
#undef STEP
	}
}

#define KERNELS_LM									\
	.encode = K(snpu_encode), .spmv_scratch = K(snpu_spmv_scratch), .spmv_prepare = K(snpu_spmv_prepare),	\
	.spmv = K(snpu_spmv), .matmul = K(snpu_matmul), .silu_mul = K(snpu_silu_mul), .rmsnorm = K(snpu_rmsnorm),	\
	.gla = K(snpu_gla), .swa_scratch = snpu_swa_scratch__scalar, .swa = K(snpu_swa)
