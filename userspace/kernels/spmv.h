/* SPDX-License-Identifier: MIT */
/*
 * SPMV, included by avx2.c and avx512.c after simd.h and the definition of
 *
 *	ivec				LANES 32-bit integers, or 4 * LANES bytes
 *	iload(p), istore(p, v)		a whole vector, no alignment
 *	iset(n), iadd, imul, ixor	modulo 2^32
 *	iwiden(p)			LANES int8, sign-extended
 *	ilow8, ihigh8, ilow16, ihigh16	interleave the low or high halves of the 128-bit parts of two vectors
 *	ilow32, ihigh32, ilow64, ihigh64
 *	iparts(v)			transposes the 128-bit parts of LANES / 4 vectors
 *	ifloat(v)			to vec, rounded
 *	idot(acc, u, s)			acc + four products of bytes in each lane; u unsigned, s signed with COUNT_BITS bits
 *	SPMV_ROWS			rows whose sums fit into the registers
 *
 * Four channels of a tile are interleaved so that a lane holds the four codes of one output, offset by 128 to be unsigned;
 * then one idot adds four channels for LANES outputs. Few rows: the codes go from memory through registers, and memory is
 * what takes the time. More rows: a group is interleaved once into a buffer and multiplied by the counts of all rows.
 */
#include "kernels/spmv_plan.h"

#define SPMV_BLOCK	64u		/* rows that share an interleaved group */

/* Sums of a quad's or group's outputs in the order that interleaving leaves, see sort(). */
struct sums {
	ivec v[VECTORS];
};

INLINE struct sums interleave(const int8_t *c0, const int8_t *c1, const int8_t *c2, const int8_t *c3)
{
	const ivec flip = iset((int32_t)0x80808080u);
	struct sums q;

	UNROLL for (unsigned int b = 0; b < VECTORS; b += 4) {
		unsigned int at = b * LANES;
		ivec w0 = ixor(iload(c0 + at), flip), w1 = ixor(iload(c1 + at), flip);
		ivec w2 = ixor(iload(c2 + at), flip), w3 = ixor(iload(c3 + at), flip);
		ivec l01 = ilow8(w0, w1), h01 = ihigh8(w0, w1), l23 = ilow8(w2, w3), h23 = ihigh8(w2, w3);

		q.v[b] = ilow16(l01, l23);
		q.v[b + 1] = ihigh16(l01, l23);
		q.v[b + 2] = ilow16(h01, h23);
		q.v[b + 3] = ihigh16(h01, h23);
	}
	return q;
}

/* The 64 sums in the order of the outputs: 128-bit part p of vector v has outputs 16 p + 4 v and the next three. */
INLINE void sort(struct sums *s)
{
	ivec part[LANES / 4];

	UNROLL for (unsigned int b = 0; b < VECTORS; b += 4) {
		ivec v[4] = { s->v[b], s->v[b + 1], s->v[b + 2], s->v[b + 3] };

		UNROLL for (unsigned int first = 0; first < 4; first += LANES / 4) {
			UNROLL for (unsigned int p = 0; p < LANES / 4; p++)
				part[p] = v[first + p];
			iparts(part);
			UNROLL for (unsigned int p = 0; p < LANES / 4; p++)
				s->v[b + first / (LANES / 4) + p * (16 / LANES)] = part[p];
		}
	}
}

/* t = t + scale * f32(sum), the sums unsorted; extra: to add to the sorted sums, or NULL. */
INLINE void flush(float *t, struct sums s, const uint32_t *extra, const float *scale)
{
	sort(&s);
	UNROLL for (unsigned int j = 0; j < VECTORS; j++) {
		ivec sum = extra ? iadd(s.v[j], iload(extra + j * LANES)) : s.v[j];
		vec f = vmul(vload(scale + j * LANES, LANES), ifloat(sum));

		vstore(t + j * LANES, vadd(vload(t + j * LANES, LANES), f), LANES);
	}
}

/* --- what int8 does not hold: rests of counts, residual codes --------------------------------------------------- */

/* extra[64] += count * codes */
INLINE void add_codes(uint32_t *extra, uint32_t count, const int8_t *codes)
{
	ivec n = iset((int32_t)count);

	UNROLL for (unsigned int j = 0; j < VECTORS; j++)
		istore(extra + j * LANES, iadd(iload(extra + j * LANES), imul(n, iwiden(codes + j * LANES))));
}

/* A row's first entry from channel `c` on; its entries ascend. */
static uint64_t entry_from(const struct snpu_spmv_args *a, uint32_t row, uint32_t c)
{
	uint64_t low = a->in.first[row], high = a->in.first[row + 1];

	while (low < high) {
		uint64_t mid = low + (high - low) / 2;

		if (a->in.spike[mid].channel < c)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The rests of a row's counts of one group, times codes [groups * 128][64] and the n entries of the residual. */
static void add_rests(const struct snpu_spmv_args *a, uint32_t row, uint32_t group, const int8_t *codes, const struct snpu_residual *x,
		      uint32_t n, uint32_t *extra)
{
	uint64_t end = a->in.first[row + 1];

	for (uint64_t e = entry_from(a, row, group * SNPU_GROUP); e < end && a->in.spike[e].channel / SNPU_GROUP == group; e++) {
		struct snpu_spike s = a->in.spike[e];
		uint32_t rest = (uint32_t)s.count - (uint32_t)snpu_spmv_low(s.count, COUNT_BITS);

		if (!rest)
			continue;
		add_codes(extra, rest, codes + (uint64_t)s.channel * SNPU_TILE);
		for (uint32_t i = 0; i < n; i++)
			if (x[i].channel == s.channel % SNPU_GROUP)
				extra[x[i].output % SNPU_TILE] += rest * (uint32_t)x[i].code;
	}
}

/* One row's residual, low parts [128] `step` apart. */
INLINE void add_residual(const struct snpu_residual *x, uint32_t n, const int8_t *low, uint32_t step, uint32_t *extra)
{
	for (uint32_t i = 0; i < n; i++)
		extra[x[i].output % SNPU_TILE] += (uint32_t)(low[x[i].channel % SNPU_GROUP * step] * x[i].code);
}

/* LANES rows' residual, low parts [128][LANES]: sums with the rows side by side, then turned into extra [LANES][64]. */
static void add_residual_rows(const struct snpu_residual *x, uint32_t n, const int8_t *low, uint32_t *extra)
{
	ivec sum[SNPU_TILE], part[LANES / 4];

	for (uint32_t o = 0; o < SNPU_TILE; o++)
		sum[o] = iset(0);
	for (uint32_t i = 0; i < n; i++) {
		ivec *s = &sum[x[i].output % SNPU_TILE];

		*s = iadd(*s, imul(iwiden(low + x[i].channel % SNPU_GROUP * LANES), iset(x[i].code)));
	}
	for (uint32_t o = 0; o < SNPU_TILE; o += 4) {		/* 4 x 4 blocks: part p of sum[o + k] is row 4 p + k */
		ivec l01 = ilow32(sum[o], sum[o + 1]), h01 = ihigh32(sum[o], sum[o + 1]);
		ivec l23 = ilow32(sum[o + 2], sum[o + 3]), h23 = ihigh32(sum[o + 2], sum[o + 3]);

		sum[o] = ilow64(l01, l23);
		sum[o + 1] = ihigh64(l01, l23);
		sum[o + 2] = ilow64(h01, h23);
		sum[o + 3] = ihigh64(h01, h23);
	}
	for (uint32_t o = 0; o < SNPU_TILE; o += LANES)
		for (uint32_t k = 0; k < 4; k++) {
			UNROLL for (unsigned int p = 0; p < LANES / 4; p++)
				part[p] = sum[o + 4 * p + k];
			iparts(part);
			UNROLL for (unsigned int p = 0; p < LANES / 4; p++)
				istore(extra + (uint64_t)(4 * p + k) * SNPU_TILE + o, part[p]);
		}
}

/* --- rows ------------------------------------------------------------------------------------------------------- */

/* A tile, and the rows that are computed together: [row, row + rows). */
struct work {
	const struct snpu_spmv_args *a;
	const struct snpu_spmv_plan *plan;
	const int8_t *codes;			/* [groups * 128][64] */
	const float *scale;			/* [groups][64] */
	uint32_t tile, row, rows;
	float t[SPMV_BLOCK][SNPU_TILE];
	uint32_t extra[SPMV_BLOCK][SNPU_TILE];	/* of one group */
	bool has[SPMV_BLOCK];			/* the row has extra */
};

/* Fills extra and has for one group. */
static void add_extra(struct work *k, uint32_t group)
{
	const struct snpu_spmv_args *a = k->a;
	const uint8_t *rest = k->plan->rest + (uint64_t)group * a->in.rows + k->row;
	uint64_t at = (uint64_t)k->tile * a->groups + group, n = (uint64_t)a->groups * SNPU_GROUP;
	uint32_t lanes = k->plan->lanes, begin = a->index ? a->index[at] : 0, count = a->index ? a->index[at + 1] - begin : 0;

	for (uint32_t r = 0; r < k->rows; r++) {
		uint32_t row = k->row + r;
		const int8_t *low = k->plan->beside + (row / lanes * n + (uint64_t)group * SNPU_GROUP) * lanes + row % lanes;

		k->has[r] = count || rest[r];
		if (!k->has[r])
			continue;
		if (!count || lanes != LANES)
			memset(k->extra[r], 0, sizeof(k->extra[r]));
		if (count && lanes != LANES)
			add_residual(a->residual + begin, count, low, lanes, k->extra[r]);
		else if (count && r % LANES == 0)
			add_residual_rows(a->residual + begin, count, low, k->extra[r]);
	}
	for (uint32_t r = 0; r < k->rows; r++)
		if (rest[r])
			add_rests(a, k->row + r, group, k->codes, a->residual + begin, count, k->extra[r]);
}

/* A row's sums of low parts start here: codes are offset by 128. */
INLINE struct sums start(const struct work *k, uint32_t group, uint32_t r)
{
	int32_t sum = k->plan->sum[(uint64_t)group * k->a->in.rows + k->row + r];
	struct sums s;

	UNROLL for (unsigned int j = 0; j < VECTORS; j++)
		s.v[j] = iset(-128 * sum);
	return s;
}

INLINE const int8_t *counts(const struct work *k, uint32_t group, uint32_t r)
{
	return k->plan->count + ((uint64_t)group * k->a->in.rows + k->row + r) * SNPU_GROUP;
}

INLINE ivec four(const int8_t *count)
{
	int32_t n;

	memcpy(&n, count, sizeof(n));
	return iset(n);
}

/* The codes of the plan's quad q, and the memory that will be needed soon. */
INLINE struct sums fetch(const struct work *k, uint32_t q, const bool all)
{
	const uint32_t *c = k->plan->channel + (uint64_t)4 * q, *next = c + 4 * SPMV_AHEAD;
	const int8_t *w = k->codes, *in_order = w + (uint64_t)4 * q * SNPU_TILE;

	UNROLL for (unsigned int i = 0; i < 4; i++)
		__builtin_prefetch(all ? in_order + STREAM_AHEAD + i * SNPU_TILE : w + (uint64_t)next[i] * SNPU_TILE);
	if (all)
		return interleave(in_order, in_order + SNPU_TILE, in_order + 2 * SNPU_TILE, in_order + 3 * SNPU_TILE);
	return interleave(w + (uint64_t)c[0] * SNPU_TILE, w + (uint64_t)c[1] * SNPU_TILE, w + (uint64_t)c[2] * SNPU_TILE,
			  w + (uint64_t)c[3] * SNPU_TILE);
}

/* Few rows. */
INLINE void direct(struct work *k, const uint32_t rows, const bool all)
{
	for (uint32_t g = 0, q = 0; g < k->a->groups; g++) {
		uint32_t end = k->plan->end[g], from = q;
		struct sums s[SPMV_ROWS];

		UNROLL for (uint32_t r = 0; r < rows; r++)
			s[r] = start(k, g, r);
		for (; q < end; q++) {
			struct sums codes = fetch(k, q, all);

			UNROLL for (uint32_t r = 0; r < rows; r++) {
				ivec n = four(counts(k, g, r) + 4 * (q - from));

				UNROLL for (unsigned int j = 0; j < VECTORS; j++)
					s[r].v[j] = idot(s[r].v[j], codes.v[j], n);
			}
		}
		add_extra(k, g);
		UNROLL for (uint32_t r = 0; r < rows; r++)
			flush(k->t[r], s[r], k->has[r] ? k->extra[r] : NULL, k->scale + (uint64_t)g * SNPU_TILE);
	}
}

/*
 * `rows` rows from r on of one group whose n quads are in `codes`. Meanwhile half of each quad at `next` is brought into the
 * cache, so that memory is not idle.
 */
INLINE void buffered_rows(struct work *k, const struct sums *codes, uint32_t n, uint32_t group, uint32_t r, const uint32_t rows,
			  const int8_t *next)
{
	struct sums s[SPMV_ROWS];
	const int8_t *count[SPMV_ROWS];

	UNROLL for (uint32_t i = 0; i < rows; i++) {
		s[i] = start(k, group, r + i);
		count[i] = counts(k, group, r + i);
	}
	for (uint32_t q = 0; q < n; q++) {
		__builtin_prefetch(next + (uint64_t)4 * q * SNPU_TILE);
		__builtin_prefetch(next + (uint64_t)4 * q * SNPU_TILE + SNPU_TILE);
		UNROLL for (uint32_t i = 0; i < rows; i++) {
			ivec c = four(count[i] + 4 * q);

			UNROLL for (unsigned int j = 0; j < VECTORS; j++)
				s[i].v[j] = idot(s[i].v[j], codes[q].v[j], c);
		}
	}
	UNROLL for (uint32_t i = 0; i < rows; i++)
		flush(k->t[r + i], s[i], k->has[r + i] ? k->extra[r + i] : NULL, k->scale + (uint64_t)group * SNPU_TILE);
}

static void buffered(struct work *k)
{
	struct sums codes[SPMV_QUADS];

	for (uint32_t g = 0, q = 0; g < k->a->groups; g++) {
		uint32_t n = k->plan->end[g] - q, r = 0;
		const int8_t *here = (const int8_t *)codes, *next = k->codes + (uint64_t)(g + 1) * SNPU_GROUP * SNPU_TILE;
		const int8_t *soon[2] = { k->plan->all ? next : here, k->plan->all ? next + 2 * SNPU_TILE : here };

		for (uint32_t i = 0; i < n; i++, q++)
			codes[i] = fetch(k, q, k->plan->all);
		add_extra(k, g);
		for (; r + SPMV_ROWS <= k->rows; r += SPMV_ROWS)
			buffered_rows(k, codes, n, g, r, SPMV_ROWS, r < 2 * SPMV_ROWS ? soon[r / SPMV_ROWS] : here);
		switch (k->rows - r) {
		case 1: buffered_rows(k, codes, n, g, r, 1, here); break;
#if SPMV_ROWS > 1
		case 2: buffered_rows(k, codes, n, g, r, 2, here); break;
		case 3: buffered_rows(k, codes, n, g, r, 3, here); break;
#endif
		}
	}
}

INLINE void block(struct work *k, const bool all)
{
	switch (k->rows) {
	case 1: direct(k, 1, all); break;
#if SPMV_ROWS > 1
	case 2: direct(k, 2, all); break;
	case 3: direct(k, 3, all); break;
	case 4: direct(k, 4, all); break;
#endif
	default: buffered(k);
	}
}

static void finish(const struct work *k)
{
	const struct snpu_spmv_args *a = k->a;
	uint32_t first = k->tile * SNPU_TILE, n = a->n_out - first < SNPU_TILE ? a->n_out - first : SNPU_TILE;

	for (uint32_t r = 0; r < k->rows; r++)
		for (uint32_t o = 0; o < n; o += LANES) {
			uint32_t m = n - o < LANES ? n - o : LANES;
			vec y = vmul(vset(a->in.vth[k->row + r]), vload(k->t[r] + o, LANES));

			if (a->bias)
				y = vadd(y, vload(a->bias + first + o, m));
			vstore(a->out + (uint64_t)(k->row + r) * a->n_out + first + o, y, m);
		}
}

static size_t K(snpu_spmv_scratch)(const struct snpu_spmv_args *a)
{
	return snpu_spmv_plan_size(a, a->in.rows <= SPMV_ROWS ? a->in.rows : LANES);
}

static void K(snpu_spmv_prepare)(const struct snpu_spmv_args *a)
{
	snpu_spmv_plan(a, a->in.rows <= SPMV_ROWS ? a->in.rows : LANES, COUNT_BITS);
}

static void K(snpu_spmv)(const struct snpu_spmv_args *a, uint32_t from, uint32_t to)
{
	struct work k;

	k.a = a;
	k.plan = a->scratch;
	for (k.tile = from; k.tile < to; k.tile++) {
		k.codes = a->weights + (uint64_t)k.tile * a->groups * SNPU_GROUP * SNPU_TILE;
		k.scale = a->scales + (uint64_t)k.tile * a->groups * SNPU_TILE;
		for (k.row = 0; k.row < a->in.rows; k.row += k.rows) {
			k.rows = a->in.rows - k.row < SPMV_BLOCK ? a->in.rows - k.row : SPMV_BLOCK;
			memset(k.t, 0, k.rows * sizeof(k.t[0]));
			if (k.plan->all)
				block(&k, true);
			else
				block(&k, false);
			finish(&k);
		}
	}
}
