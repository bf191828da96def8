/* SPDX-License-Identifier: MIT */
/*
 * Synapses and neurons of integers in terms of a vector of LANES s32, included by avx2.c and avx512.c behind the operations of simd_lm.h.
 * Sums of synapses are in 32 bits, two entries a step: their products of 16 bits are added in pairs. That is exact when the counts are so few that
 * no sum can leave 32 bits, which is looked at once for the list; other lists, which hardly a network has, are the reference's.
 */
#include "kernels/quant.h"

/* Whether |weight| * sum of |count| stays below 2^31, and counts fit into 16 bits. */
static bool quant_small(const struct snpu_spike *ev, uint32_t count, bool wide)
{
	uint64_t all = 0, most = (1ull << 31) / (wide ? 1u << 15 : 1u << 7);

	for (uint32_t e = 0; e < count; e++) {
		int64_t size = ev[e].count < 0 ? -(int64_t)ev[e].count : ev[e].count;

		if (size > INT16_MAX)
			return false;
		all += (uint64_t)size;
	}
	return all < most;
}

/* 2 * LANES weights as s16; of int8 from half as many bytes. */
INLINE ivec quant_weights(const uint8_t *w, bool wide)
{
	return wide ? iload(w) : iwiden16((const int8_t *)w);
}

#define QUANT_PARTS	(SNPU_TILE / (2u * LANES))	/* pairs of vectors in a burst */

/* Output o of a tile in its sums [QUANT_PARTS][2][LANES]: the halves of 8 shorts of each 128 bits went to two vectors. */
INLINE uint32_t quant_at(uint32_t o)
{
	uint32_t part = o / (2 * LANES), in = o % (2 * LANES);

	return (2 * part + in % 8 / 4) * LANES + in / 8 * 4 + in % 4;
}

INLINE void quant_tile(const struct snpu_qlinear_args *a, const uint8_t *w, int32_t *sums, bool wide)
{
	ivec acc[QUANT_PARTS][2];

	UNROLL for (unsigned int j = 0; j < QUANT_PARTS; j++)
		acc[j][0] = acc[j][1] = iset(0);
	for (uint32_t e = 0; e < a->count; e += 2) {
		bool pair = e + 1 < a->count;
		const uint8_t *one = w + ((uint64_t)a->ev[e].channel * SNPU_TILE << wide);
		const uint8_t *two = pair ? w + ((uint64_t)a->ev[e + 1].channel * SNPU_TILE << wide) : one;
		ivec counts = iset((int32_t)((uint32_t)(pair ? a->ev[e + 1].count : 0) << 16 | (uint16_t)a->ev[e].count));

		if (e + AHEAD < a->count)
			for (unsigned int j = 0; j < (unsigned int)SNPU_TILE << wide; j += 64)
				__builtin_prefetch(w + ((uint64_t)a->ev[e + AHEAD].channel * SNPU_TILE << wide) + j);
		UNROLL for (unsigned int j = 0; j < QUANT_PARTS; j++) {
			ivec x = quant_weights(one + (2 * LANES * j << wide), wide), y = quant_weights(two + (2 * LANES * j << wide), wide);

			acc[j][0] = iadd(acc[j][0], imadd16(ilow16(x, y), counts));
			acc[j][1] = iadd(acc[j][1], imadd16(ihigh16(x, y), counts));
		}
	}
	UNROLL for (unsigned int j = 0; j < QUANT_PARTS; j++) {
		istore(sums + 2 * j * LANES, acc[j][0]);
		istore(sums + (2 * j + 1) * LANES, acc[j][1]);
	}
}

static void K(snpu_qlinear)(const struct snpu_qlinear_args *args)
{
	const struct snpu_qlinear_args copy = *args, *a = &copy;	/* that no store can change */

	if (!quant_small(a->ev, a->count, a->wide)) {
		snpu_qlinear__scalar(a);
		return;
	}
	for (uint32_t first = 0; first < a->n_out; first += SNPU_TILE) {
		const uint8_t *w = (const uint8_t *)a->weights + ((uint64_t)first * a->n_in << a->wide);
		uint32_t n = a->n_out - first < SNPU_TILE ? a->n_out - first : SNPU_TILE;
		int32_t sums[SNPU_TILE];

		if (a->wide)
			quant_tile(a, w, sums, true);
		else
			quant_tile(a, w, sums, false);
		for (uint32_t o = 0; o < n; o++)
			a->out[first + o] = quant_output(sums[quant_at(o)], a->shift, a->bias ? a->bias[first + o] : 0);
	}
}

/* --- convolution: sums of a group [windows][lanes] in 32 bits, each in its place ------------------------------------ */

/* Adds an event to those windows of a row that it meets; w: of this row of the kernel. */
INLINE uint64_t qconv_row(const struct axis *columns, const struct span *x, const uint8_t *w, int32_t *acc, int32_t count, uint32_t lanes, bool wide)
{
	ivec s = iset(count);
	uint64_t hits = 0;
	uint32_t j;

	for (uint32_t ox = x->from; ox < x->to; ox++) {
		const uint8_t *tap;
		int32_t *sum = acc + (size_t)ox * lanes;

		if (!window_tap(columns, x, ox, &j))
			continue;
		tap = w + ((size_t)j * lanes << wide);
		for (uint32_t o = 0; o < lanes; o += LANES)
			istore(sum + o, iadd(iload(sum + o), imul(wide ? iwiden32(tap + 2 * o) : iwiden((const int8_t *)tap + o), s)));
		hits++;
	}
	return hits;
}

INLINE uint64_t qconv_event(const struct snpu_qconv_args *a, const struct windows *g, const struct snpu_spike *ev, uint32_t lanes, bool wide)
{
	struct place at = place_of(g, ev->channel);
	struct span y = window_span(&g->rows, at.row), x = window_span(&g->columns, at.column);
	const uint8_t *block = a->weights + at.channel * a->block;
	int32_t *sums = a->scratch;
	uint64_t hits = 0;
	uint32_t i;

	for (uint32_t oy = y.from; oy < y.to; oy++)
		if (window_tap(&g->rows, &y, oy, &i))
			hits += qconv_row(&g->columns, &x, block + ((size_t)i * g->columns.kernel * lanes << wide), sums + (size_t)oy * g->columns.out * lanes,
					  ev->count, lanes, wide);
	return hits;
}

static uint64_t K(snpu_qconv)(const struct snpu_qconv_args *a)
{
	const struct snpu_pkt_CONV *p = a->p;
	const struct windows s = CONV_WINDOWS(p);
	uint32_t lanes = SNPU_CONV_BURSTS(p->c_out) * SNPU_CONV_LANES, windows = p->out_h * p->out_w, e = 0;
	const int32_t *sums = a->scratch;
	uint64_t hits = 0;

	if (!quant_small(a->ev, a->count, a->wide))
		return snpu_qconv__scalar(a);
	for (uint32_t g = 0; g < p->groups; g++) {
		uint64_t end = (uint64_t)(g + 1) * p->c_in * p->h * p->w;

		memset(a->scratch, 0, (size_t)windows * lanes * sizeof(*sums));
		for (; e < a->count && a->ev[e].channel < end; e++)
			hits += a->wide ? qconv_event(a, &s, &a->ev[e], lanes, true) : qconv_event(a, &s, &a->ev[e], lanes, false);
		for (uint32_t o = 0; o < p->c_out; o++)
			for (uint32_t k = 0; k < windows; k++)
				a->out[((size_t)g * p->c_out + o) * windows + k] =
					quant_output(sums[(size_t)k * lanes + o], a->shift, a->bias ? a->bias[g * p->c_out + o] : 0);
	}
	return hits;
}

/* --- neurons --------------------------------------------------------------------------------------------------------- */

#ifdef HAVE_QNEURONS
/*
 * Sums of three numbers of 32 bits, and a limit around them, are exact in binary64. Several spikes a step, floors and rests, and what is left behind the last whole
 * vector, are the reference's. They need besides
 *
 *	imask, igt, ipick(m, a, b), imbits(m)	truth values; a > b; a where m, else b; bit per lane
 *	dilow, dihigh, idnarrow			the halves of an ivec as doubles; and back
 *	idecay(x, d, bits)			dec of docs/numerics.md
 */
INLINE dvec quant_clip(dvec x, dvec most)
{
	return dmax(dmin(x, most), dsub(dset(0), most));
}

/* sat(a + b + c) */
INLINE ivec quant_sum(ivec a, ivec b, ivec c, dvec most)
{
	return idnarrow(quant_clip(dadd(dadd(dilow(a), dilow(b)), dilow(c)), most), quant_clip(dadd(dadd(dihigh(a), dihigh(b)), dihigh(c)), most));
}

/* sat(a - (b - c)) */
INLINE ivec quant_less(ivec a, ivec b, ivec c, dvec most)
{
	return idnarrow(quant_clip(dsub(dilow(a), dsub(dilow(b), dilow(c))), most), quant_clip(dsub(dihigh(a), dsub(dihigh(b), dihigh(c))), most));
}

struct quant_step {
	dvec most;				/* of a state */
	unsigned int bits;			/* of a decay */
};

INLINE ivec quant_row(const struct snpu_qneuron_args *a, unsigned int row, uint32_t c)
{
	return iload(a->param + (uint64_t)row * a->n + c);
}

/* Membranes c to c + LANES - 1 after their update; row: of d in the parameters, b follows. */
INLINE ivec quant_membrane(const struct snpu_qneuron_args *a, const struct quant_step *s, uint32_t c, unsigned int states)
{
	ivec x = iload(a->x + c);

	if (states == 2) {
		int32_t *i = a->state + a->n + c;

		x = quant_sum(idecay(iload(i), quant_row(a, 0, c), s->bits), x, iset(0), s->most);
		istore(i, x);
	}
	return quant_sum(idecay(iload(a->state + c), quant_row(a, states - 1, c), s->bits), x, quant_row(a, states, c), s->most);
}

/* Returns bits of the spikes. */
INLINE unsigned int quant_fire(const struct snpu_qneuron_args *a, const struct quant_step *s, uint32_t c, ivec v, unsigned int states)
{
	ivec threshold = quant_row(a, states + 1, c), reset = quant_row(a, states + 2, c), after = reset, spike = iset(1);
	bool ge = a->flags & SNPU_NEURON_GE;
	imask z = ge ? igt(threshold, v) : igt(v, threshold);

	if ((a->flags & SNPU_NEURON_RESET_MASK) == SNPU_NEURON_RESET_SUBTRACT)
		after = quant_less(v, threshold, iset(0), s->most);
	else if ((a->flags & SNPU_NEURON_RESET_MASK) == SNPU_NEURON_RESET_DELTA)
		after = quant_less(v, threshold, reset, s->most);
	istore(a->state + c, ge ? ipick(z, v, after) : ipick(z, after, v));
	istore(a->out + c, ge ? ipick(z, iset(0), spike) : ipick(z, spike, iset(0)));
	return ge ? ~imbits(z) & ((1u << LANES) - 1) : imbits(z);
}

INLINE uint64_t quant_neurons(const struct snpu_qneuron_args *args, unsigned int states, bool fires, snpu_qneuron_fn *rest)
{
	struct snpu_qneuron_args a = *args;	/* a copy that no store can change */
	bool narrow = a.flags & SNPU_QNEURON_24;
	struct quant_step s = { dset(narrow ? 0x7fffff : INT32_MAX), narrow ? SNPU_Q_DECAY_BITS_24 : SNPU_Q_DECAY_BITS };
	uint64_t spikes = 0;

	if (a.flags & (SNPU_NEURON_MULTI | SNPU_NEURON_FLOOR | SNPU_QNEURON_REFRACT))
		return rest(args);
	for (; a.first + LANES <= a.n; a.first += LANES) {
		ivec v = quant_membrane(&a, &s, a.first, states);

		if (fires) {
			spikes += (unsigned int)__builtin_popcount(quant_fire(&a, &s, a.first, v, states));
			continue;
		}
		istore(a.state + a.first, v);
		istore(a.out + a.first, v);
	}
	return spikes + rest(&a);
}

static uint64_t K(snpu_qli)(const struct snpu_qneuron_args *a) { return quant_neurons(a, 1, false, snpu_qli__scalar); }
static uint64_t K(snpu_qlif)(const struct snpu_qneuron_args *a) { return quant_neurons(a, 1, true, snpu_qlif__scalar); }
static uint64_t K(snpu_qcubali)(const struct snpu_qneuron_args *a) { return quant_neurons(a, 2, false, snpu_qcubali__scalar); }
static uint64_t K(snpu_qcubalif)(const struct snpu_qneuron_args *a) { return quant_neurons(a, 2, true, snpu_qcubalif__scalar); }

#define QNEURONS	.qli = K(snpu_qli), .qlif = K(snpu_qlif), .qcubali = K(snpu_qcubali), .qcubalif = K(snpu_qcubalif)
#else
#define QNEURONS	SNPU_Q_NEURONS_SCALAR
#endif

#define KERNELS_Q	.qlinear = K(snpu_qlinear), .qconv = K(snpu_qconv), SNPU_Q_SCALAR, QNEURONS
