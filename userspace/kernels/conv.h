/* SPDX-License-Identifier: MIT */
/*
 * CONV in terms of a vector of floats, included by avx2.c and avx512.c behind simd.h. Two kernels with the same bits: one goes
 * through the events and adds to the windows that each meets, the other through the windows and keeps their sums in registers. The
 * second multiplies silent inputs as well: a product of zero leaves a sum as it is, because a sum that began as +0.0 is never
 * -0.0. That needs finite weights, and who calls it has looked.
 */
#include "kernels/window.h"

#define BURST_VECTORS	(SNPU_CONV_LANES / LANES)
#define DENSE_WINDOWS	(8u / BURST_VECTORS)	/* of one row, whose sums are in registers together */

/* Adds one event to those windows of a row that it meets; `lanes` is a constant in the common cases. */
INLINE uint64_t conv_row(const struct axis *columns, const struct span *x, const float *w, float *acc, float value, uint32_t lanes)
{
	vec v = vset(value);
	uint64_t hits = 0;
	uint32_t j;

	for (uint32_t ox = x->from; ox < x->to; ox++) {
		const float *tap;
		float *sum = acc + (size_t)ox * lanes;

		if (!window_tap(columns, x, ox, &j))
			continue;
		tap = w + (size_t)j * lanes;
		for (uint32_t o = 0; o < lanes; o += LANES)
			vstore(sum + o, vadd(vload(sum + o, LANES), vmul(vload(tap + o, LANES), v)), LANES);
		hits++;
	}
	return hits;
}

INLINE uint64_t conv_event(const struct snpu_conv_args *a, const struct windows *g, const struct snpu_event *ev, uint32_t lanes)
{
	struct place at = place_of(g, ev->channel);
	struct span y = window_span(&g->rows, at.row), x = window_span(&g->columns, at.column);
	const float *block = a->weights + (size_t)at.channel * g->rows.kernel * g->columns.kernel * lanes;
	uint64_t hits = 0;
	uint32_t i;

	for (uint32_t oy = y.from; oy < y.to; oy++)
		if (window_tap(&g->rows, &y, oy, &i))
			hits += conv_row(&g->columns, &x, block + (size_t)i * g->columns.kernel * lanes, a->scratch + (size_t)oy * g->columns.out * lanes,
					 ev->value, lanes);
	return hits;
}

INLINE uint64_t conv_events(const struct snpu_conv_args *a, const struct windows *g, uint32_t e, uint32_t end, uint32_t lanes)
{
	uint64_t hits = 0;

	for (; e < end; e++)
		hits += conv_event(a, g, &a->ev[e], lanes);
	return hits;
}

/* LANES rows of LANES elements, `stride` apart, to columns: v[c] is column c. */
INLINE void transpose(const float *from, size_t stride, ivec v[LANES])
{
	ivec t[4][LANES / 4];			/* [c % 4][row / 4], part c / 4 of each */

	UNROLL for (unsigned int r = 0; r < LANES / 4; r++) {
		const float *row = from + 4 * r * stride;
		ivec a = iload(row), b = iload(row + stride), c = iload(row + 2 * stride), d = iload(row + 3 * stride);
		ivec low = ilow32(a, b), high = ihigh32(a, b), low2 = ilow32(c, d), high2 = ihigh32(c, d);

		t[0][r] = ilow64(low, low2);
		t[1][r] = ihigh64(low, low2);
		t[2][r] = ilow64(high, high2);
		t[3][r] = ihigh64(high, high2);
	}
	UNROLL for (unsigned int j = 0; j < 4; j++) {
		iparts(t[j]);
		UNROLL for (unsigned int part = 0; part < LANES / 4; part++)
			v[4 * part + j] = t[j][part];
	}
}

/* One output channel's share of what the vectors do not cover. */
static void conv_store_rest(const float *sum, uint32_t lanes, const float *bias, float *out, uint32_t from, uint32_t windows)
{
	for (uint32_t k = from; k < windows; k++)
		out[k] = bias ? sum[(size_t)k * lanes] + *bias : sum[(size_t)k * lanes];
}

/* Sums to outputs: they change places, [windows][lanes] to [c_out][windows]. */
static void conv_store(const struct snpu_conv_args *a, uint32_t g, uint32_t lanes)
{
	const struct snpu_pkt_CONV *p = a->p;
	uint32_t windows = p->out_h * p->out_w, whole = windows / LANES * LANES;
	const float *bias = a->bias ? a->bias + (size_t)g * p->c_out : NULL;
	float *out = a->out + (size_t)g * p->c_out * windows;

	for (uint32_t first = 0; first < p->c_out; first += LANES) {
		uint32_t n = p->c_out - first < LANES ? p->c_out - first : LANES;

		for (uint32_t k = 0; k < whole; k += LANES) {
			ivec v[LANES];

			transpose(a->scratch + (size_t)k * lanes + first, lanes, v);
			for (uint32_t o = 0; o < n; o++)
				vstore(out + (size_t)(first + o) * windows + k,
				       bias ? vadd(ibits(v[o]), vset(bias[first + o])) : ibits(v[o]), LANES);
		}
	}
	for (uint32_t o = 0; o < p->c_out; o++)
		conv_store_rest(a->scratch + o, lanes, bias ? bias + o : NULL, out + (size_t)o * windows, whole, windows);
}

/* The events of group g begin where those of the one before end. */
static uint32_t conv_group_end(const struct snpu_conv_args *a, uint32_t g, uint32_t e)
{
	uint64_t limit = (uint64_t)(g + 1) * a->p->c_in * a->p->h * a->p->w;

	while (e < a->count && a->ev[e].channel < limit)
		e++;
	return e;
}

static uint64_t K(snpu_conv_f32)(const struct snpu_conv_args *a)
{
	const struct windows w = CONV_WINDOWS(a->p);
	uint32_t lanes = SNPU_CONV_BURSTS(a->p->c_out) * SNPU_CONV_LANES;
	uint64_t hits = 0;

	for (uint32_t g = 0, e = 0, end; g < a->p->groups; g++, e = end) {
		end = conv_group_end(a, g, e);
		memset(a->scratch, 0, conv_sums(a->p) * sizeof(float));
		switch (lanes) {
		case 16: hits += conv_events(a, &w, e, end, 16); break;
		case 32: hits += conv_events(a, &w, e, end, 32); break;
		default: hits += conv_events(a, &w, e, end, lanes);
		}
		conv_store(a, g, lanes);
	}
	return hits;
}

/* --- dense --------------------------------------------------------------------------------------------------------- */

/* A group's input with what lies around it. */
struct conv_plane {
	float *at;				/* [c_in][rows][columns] */
	uint32_t rows, columns;
};

static struct conv_plane conv_fill_plane(const struct snpu_conv_args *a, uint32_t g, uint32_t e, uint32_t end)
{
	const struct snpu_pkt_CONV *p = a->p;
	const struct windows w = CONV_WINDOWS(p);
	struct conv_plane c = { a->scratch + conv_sums(p), (uint32_t)window_reach(&w.rows), (uint32_t)window_reach(&w.columns) };

	memset(c.at, 0, (size_t)p->c_in * c.rows * c.columns * sizeof(float));
	for (; e < end; e++) {
		struct place at = place_of(&w, a->ev[e].channel);
		uint32_t y = at.row + p->pad_top, x = at.column + p->pad_left;

		if (y < c.rows && x < c.columns)	/* the last rows may be under no window */
			c.at[((size_t)(at.channel - g * p->c_in) * c.rows + y) * c.columns + x] = a->ev[e].value;
	}
	return c;
}

/* `windows` neighbours of row oy from ox on, one burst of output channels. */
INLINE void conv_dense_block(const struct snpu_conv_args *a, const struct conv_plane *c, const float *w, uint32_t oy, uint32_t ox, uint32_t first,
			     uint32_t windows)
{
	const struct snpu_pkt_CONV *p = a->p;
	uint32_t lanes = SNPU_CONV_BURSTS(p->c_out) * SNPU_CONV_LANES;
	vec acc[DENSE_WINDOWS * BURST_VECTORS];

	UNROLL for (uint32_t k = 0; k < windows * BURST_VECTORS; k++)
		acc[k] = vset(0.0f);
	for (uint32_t i = 0; i < p->c_in * p->kernel_h; i++) {
		uint32_t channel = i / p->kernel_h, row = oy * p->stride_h + i % p->kernel_h * p->dilation_h;
		const float *x = c->at + ((size_t)channel * c->rows + row) * c->columns + (size_t)ox * p->stride_w;

		for (uint32_t j = 0; j < p->kernel_w; j++, x += p->dilation_w, w += lanes)
			UNROLL for (uint32_t k = 0; k < windows; k++)
				UNROLL for (uint32_t b = 0; b < BURST_VECTORS; b++)
					acc[k * BURST_VECTORS + b] = vadd(acc[k * BURST_VECTORS + b],
									  vmul(vload(w + b * LANES, LANES), vset(x[(size_t)k * p->stride_w])));
	}
	UNROLL for (uint32_t k = 0; k < windows * BURST_VECTORS; k++)
		vstore(a->scratch + ((size_t)oy * p->out_w + ox + k / BURST_VECTORS) * lanes + first + k % BURST_VECTORS * LANES, acc[k], LANES);
}

static void conv_dense_row(const struct snpu_conv_args *a, const struct conv_plane *c, const float *w, uint32_t oy, uint32_t first)
{
	uint32_t ox = 0;

	for (; ox + DENSE_WINDOWS <= a->p->out_w; ox += DENSE_WINDOWS)
		conv_dense_block(a, c, w + first, oy, ox, first, DENSE_WINDOWS);
	for (; ox < a->p->out_w; ox++)
		conv_dense_block(a, c, w + first, oy, ox, first, 1);
}

static uint64_t K(snpu_conv_dense_f32)(const struct snpu_conv_args *a)
{
	const struct snpu_pkt_CONV *p = a->p;
	uint32_t lanes = SNPU_CONV_BURSTS(p->c_out) * SNPU_CONV_LANES;

	for (uint32_t g = 0, e = 0, end; g < p->groups; g++, e = end) {
		const float *w = a->weights + (size_t)g * p->c_in * p->kernel_h * p->kernel_w * lanes;
		struct conv_plane c;

		end = conv_group_end(a, g, e);
		c = conv_fill_plane(a, g, e, end);
		for (uint32_t first = 0; first < lanes; first += SNPU_CONV_LANES)
			for (uint32_t oy = 0; oy < p->out_h; oy++)
				conv_dense_row(a, &c, w, oy, first);
		conv_store(a, g, lanes);
	}
	return conv_hits(a);
}
