/* SPDX-License-Identifier: MIT */
/*
 * The reference for packets of integers: "Integers" of docs/numerics.md in plain C. Sums are kept in 64 bits, where no packet can
 * overflow them: 2^24 entries of 23 bits times weights of 16. Pure functions.
 */
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/quant.h"
#include "kernels/window.h"

static int64_t weight(const void *burst, bool wide, uint64_t o)
{
	return wide ? ((const int16_t *)burst)[o] : ((const int8_t *)burst)[o];
}

void snpu_qlinear__scalar(const struct snpu_qlinear_args *a)
{
	uint64_t bytes = SNPU_TILE << a->wide;

	for (uint32_t first = 0; first < a->n_out; first += SNPU_TILE) {
		const uint8_t *w = (const uint8_t *)a->weights + ((uint64_t)first * a->n_in << a->wide);
		uint32_t n = a->n_out - first < SNPU_TILE ? a->n_out - first : SNPU_TILE;
		int64_t sum[SNPU_TILE] = { 0 };

		for (uint32_t e = 0; e < a->count; e++)
			for (uint32_t o = 0; o < n; o++)
				sum[o] += weight(w + a->ev[e].channel * bytes, a->wide, o) * quant_count(a->ev[e].count);
		for (uint32_t o = 0; o < n; o++)
			a->out[first + o] = quant_output(sum[o], a->shift, a->bias ? a->bias[first + o] : 0);
	}
}

/* One event into the sums of all windows that it meets: sums [out_h * out_w][lanes], block [kernel_h][kernel_w][lanes]. */
static uint64_t conv_event(const struct snpu_qconv_args *a, const struct windows *s, struct place at, int64_t count, const uint8_t *block, int64_t *sums)
{
	const struct snpu_pkt_CONV *p = a->p;
	struct span y = window_span(&s->rows, at.row), x = window_span(&s->columns, at.column);
	uint32_t lanes = SNPU_CONV_BURSTS(p->c_out) * SNPU_CONV_LANES, i, j;
	uint64_t hits = 0;

	for (uint32_t oy = y.from; oy < y.to; oy++) {
		if (!window_tap(&s->rows, &y, oy, &i))
			continue;
		for (uint32_t ox = x.from; ox < x.to; ox++) {
			int64_t *sum = sums + ((size_t)oy * p->out_w + ox) * lanes;

			if (!window_tap(&s->columns, &x, ox, &j))
				continue;
			for (uint32_t o = 0; o < p->c_out; o++)
				sum[o] += weight(block, a->wide, ((size_t)i * p->kernel_w + j) * lanes + o) * count;
			hits++;
		}
	}
	return hits;
}

uint64_t snpu_qconv__scalar(const struct snpu_qconv_args *a)
{
	const struct snpu_pkt_CONV *p = a->p;
	const struct windows s = CONV_WINDOWS(p);
	uint32_t lanes = SNPU_CONV_BURSTS(p->c_out) * SNPU_CONV_LANES, windows = p->out_h * p->out_w, e = 0;
	int64_t *sums = a->scratch;
	uint64_t hits = 0;

	for (uint32_t g = 0; g < p->groups; g++) {
		memset(sums, 0, (size_t)windows * lanes * sizeof(*sums));
		for (; e < a->count; e++) {
			struct place at = place_of(&s, a->ev[e].channel);

			if (at.channel >= (g + 1) * p->c_in)
				break;
			hits += conv_event(a, &s, at, quant_count(a->ev[e].count), a->weights + at.channel * a->block, sums);
		}
		for (uint32_t o = 0; o < p->c_out; o++)
			for (uint32_t k = 0; k < windows; k++)
				a->out[((size_t)g * p->c_out + o) * windows + k] =
					quant_output(sums[(size_t)k * lanes + o], a->shift, a->bias ? a->bias[g * p->c_out + o] : 0);
	}
	return hits;
}

void snpu_qpool(const struct snpu_qpool_args *a)
{
	const struct snpu_pkt_QPOOL *p = a->p;
	const struct windows s = POOL_WINDOWS(p);
	size_t windows = (size_t)p->out_h * p->out_w;

	memset(a->sums, 0, p->channels * windows * sizeof(*a->sums));
	for (uint32_t e = 0; e < a->count; e++) {
		struct place at = place_of(&s, a->ev[e].channel);
		struct span y = window_span(&s.rows, at.row), x = window_span(&s.columns, at.column);

		for (uint32_t oy = y.from; oy < y.to; oy++)
			for (uint32_t ox = x.from; ox < x.to; ox++)
				a->sums[at.channel * windows + (size_t)oy * p->out_w + ox] += quant_count(a->ev[e].count);
	}
	for (size_t k = 0; k < p->channels * windows; k++)
		a->out[k] = quant_limit(a->sums[k]);
}

void snpu_qadd__scalar(const int32_t *a, const int32_t *b, int32_t *out, uint32_t n)
{
	for (uint32_t k = 0; k < n; k++)
		out[k] = quant_limit((int64_t)a[k] + b[k]);
}

void snpu_qscale__scalar(const int32_t *x, const int32_t *scale, int32_t *out, uint32_t n)
{
	for (uint32_t k = 0; k < n; k++)
		out[k] = quant_limit((int64_t)x[k] * scale[k]);
}

/* --- neurons ------------------------------------------------------------------------------------------------------ */

static int32_t sat(int64_t x, unsigned int flags)
{
	return (int32_t)quant_within(x, flags & SNPU_QNEURON_24 ? 0x7fffff : INT32_MAX);
}

static int64_t decayed(int32_t x, int32_t d, unsigned int flags)
{
	unsigned int bits = flags & SNPU_QNEURON_24 ? SNPU_Q_DECAY_BITS_24 : SNPU_Q_DECAY_BITS;
	uint32_t part = (uint32_t)d < 1u << bits ? (uint32_t)d : 1u << bits;
	int64_t size = llabs((long long)x) * part >> bits;

	return x < 0 ? -size : size;
}

/* What the parameters of a neuron say about firing. */
struct firing {
	int32_t threshold, reset, floor;
	int64_t most;				/* 1 without MULTI */
	uint32_t rest;				/* steps after a spike */
	unsigned int flags;
};

/* row: of v_threshold in the parameters; v_reset follows, then the rows that flags ask for. */
static struct firing firing(const struct snpu_qneuron_args *a, uint32_t k, unsigned int row)
{
	const int32_t *p = a->param + (uint64_t)row * a->n + k, *more = p + 2 * (uint64_t)a->n;
	struct firing f = { .threshold = p[0], .reset = p[a->n], .most = 1, .flags = a->flags };

	if (a->flags & SNPU_NEURON_MULTI) {
		f.most = *more < 1 ? 1 : quant_count(*more);
		more += a->n;
	}
	if (a->flags & SNPU_NEURON_FLOOR) {
		f.floor = *more;
		more += a->n;
	}
	if (a->flags & SNPU_QNEURON_REFRACT)
		f.rest = *more < 0 ? 0 : *more > 255 ? 255 : (uint32_t)*more;
	return f;
}

static int64_t spikes_of(int32_t v, const struct firing *f)
{
	int64_t n = 1;

	if (!(f->flags & SNPU_NEURON_GE ? v >= f->threshold : v > f->threshold))
		return 0;
	if (f->flags & SNPU_NEURON_MULTI && f->threshold > 0)
		n = v / f->threshold;
	n = n < 1 ? 1 : n;
	return n < f->most ? n : f->most;
}

static int32_t reset(int32_t v, int64_t z, const struct firing *f)
{
	switch (f->flags & SNPU_NEURON_RESET_MASK) {
	case SNPU_NEURON_RESET_SUBTRACT:
		return sat(v - z * f->threshold, f->flags);
	case SNPU_NEURON_RESET_DELTA:
		return sat(v - z * ((int64_t)f->threshold - f->reset), f->flags);
	default:
		return f->reset;
	}
}

/* The spikes of a step; before, *v: the membrane before and after its update; left: steps to rest, or NULL. */
static int32_t fire(int32_t before, int32_t *v, uint32_t *left, const struct firing *f)
{
	int64_t z;

	if (left && *left) {
		(*left)--;
		*v = before;
		return 0;
	}
	z = spikes_of(*v, f);
	if (z)
		*v = reset(*v, z, f);
	if (f->flags & SNPU_NEURON_FLOOR && *v < f->floor)
		*v = f->floor;
	if (left && z)
		*left = f->rest;
	return (int32_t)z;
}

uint64_t snpu_qthreshold__scalar(const struct snpu_qneuron_args *a)
{
	uint64_t spikes = 0;

	for (uint32_t k = a->first; k < a->n; k++) {
		a->out[k] = a->flags & SNPU_NEURON_GE ? a->x[k] >= a->param[k] : a->x[k] > a->param[k];
		spikes += (uint64_t)a->out[k];
	}
	return spikes;
}

/* The membrane of neuron k after its update by `drive`; row: of d in the parameters, b follows. */
static int32_t membrane(const struct snpu_qneuron_args *a, uint32_t k, unsigned int row, int64_t drive)
{
	const int32_t *p = a->param + (uint64_t)row * a->n + k;

	return sat(decayed(a->state[k], p[0], a->flags) + drive + p[a->n], a->flags);
}

/* Its current, the second state, after its update. */
static int32_t current(const struct snpu_qneuron_args *a, uint32_t k)
{
	int32_t *i = a->state + a->n + k;

	*i = sat(decayed(*i, a->param[k], a->flags) + a->x[k], a->flags);
	return *i;
}

/* states: v, perhaps i; row: of v_threshold in the parameters. Returns 1 for a spike. */
static uint64_t fire_one(const struct snpu_qneuron_args *a, uint32_t k, int32_t v, unsigned int states, unsigned int row)
{
	struct firing f = firing(a, k, row);
	uint32_t *left = a->flags & SNPU_QNEURON_REFRACT ? (uint32_t *)a->state + (uint64_t)states * a->n + k : NULL;

	a->out[k] = fire(a->state[k], &v, left, &f);
	a->state[k] = v;
	return a->out[k] != 0;
}

uint64_t snpu_qli__scalar(const struct snpu_qneuron_args *a)
{
	for (uint32_t k = a->first; k < a->n; k++)
		a->state[k] = a->out[k] = membrane(a, k, 0, a->x[k]);
	return 0;
}

uint64_t snpu_qlif__scalar(const struct snpu_qneuron_args *a)
{
	uint64_t spikes = 0;

	for (uint32_t k = a->first; k < a->n; k++)
		spikes += fire_one(a, k, membrane(a, k, 0, a->x[k]), 1, 2);
	return spikes;
}

uint64_t snpu_qcubali__scalar(const struct snpu_qneuron_args *a)
{
	for (uint32_t k = a->first; k < a->n; k++)
		a->state[k] = a->out[k] = membrane(a, k, 1, current(a, k));
	return 0;
}

uint64_t snpu_qcubalif__scalar(const struct snpu_qneuron_args *a)
{
	uint64_t spikes = 0;

	for (uint32_t k = a->first; k < a->n; k++)
		spikes += fire_one(a, k, membrane(a, k, 1, current(a, k)), 2, 3);
	return spikes;
}
