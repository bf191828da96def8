/* SPDX-License-Identifier: MIT */
/*
 * The reference: each packet of docs/numerics.md in plain C, one rounding per operator. Written to be read beside that
 * page, and compiled without vectorisation, so that it is what it looks like. scalar_lm.c has the language models', scalar_quant.c those
 * of integers.
 */
#include "kernels/kernels.h"
#include "kernels/quant.h"
#include "kernels/scalar_lm.h"
#include "kernels/window.h"

#include <stdbool.h>
#include <math.h>
#include <string.h>

static void snpu_linear_f32__scalar(const struct snpu_linear_args *a)
{
	for (uint32_t tile = 0; tile < SNPU_TILES(a->n_out); tile++) {
		const float *w = a->weights + (uint64_t)tile * a->n_in * SNPU_TILE;	/* [n_in][64] */
		uint32_t first = tile * SNPU_TILE, n = a->n_out - first < SNPU_TILE ? a->n_out - first : SNPU_TILE;
		float acc[SNPU_TILE] = { 0 };

		for (uint32_t e = 0; e < a->count; e++) {
			const float *burst = w + (uint64_t)a->ev[e].channel * SNPU_TILE;

			for (uint32_t o = 0; o < n; o++)
				acc[o] = acc[o] + burst[o] * a->ev[e].value;
		}
		for (uint32_t o = 0; o < n; o++)
			a->out[first + o] = a->bias ? acc[o] + a->bias[first + o] : acc[o];
	}
}

/* One event into the sums of all windows that it meets: sums [out_h * out_w][lanes], block [kernel_h][kernel_w][lanes]. */
static uint64_t conv_event(const struct snpu_pkt_CONV *p, const struct windows *s, struct place at, float value, const float *block, float *sums)
{
	struct span y = window_span(&s->rows, at.row), x = window_span(&s->columns, at.column);
	uint32_t lanes = SNPU_CONV_BURSTS(p->c_out) * SNPU_CONV_LANES, i, j;
	uint64_t hits = 0;

	for (uint32_t oy = y.from; oy < y.to; oy++) {
		if (!window_tap(&s->rows, &y, oy, &i))
			continue;
		for (uint32_t ox = x.from; ox < x.to; ox++) {
			const float *w;
			float *acc = sums + ((size_t)oy * p->out_w + ox) * lanes;

			if (!window_tap(&s->columns, &x, ox, &j))
				continue;
			w = block + ((size_t)i * p->kernel_w + j) * lanes;
			for (uint32_t o = 0; o < p->c_out; o++)
				acc[o] = acc[o] + w[o] * value;
			hits++;
		}
	}
	return hits;
}

static uint64_t snpu_conv_f32__scalar(const struct snpu_conv_args *a)
{
	const struct snpu_pkt_CONV *p = a->p;
	const struct windows s = CONV_WINDOWS(p);
	uint32_t lanes = SNPU_CONV_BURSTS(p->c_out) * SNPU_CONV_LANES, windows = p->out_h * p->out_w, e = 0;
	size_t block = (size_t)p->kernel_h * p->kernel_w * lanes;
	uint64_t hits = 0;

	for (uint32_t g = 0; g < p->groups; g++) {
		memset(a->scratch, 0, (size_t)windows * lanes * sizeof(float));
		for (; e < a->count; e++) {
			struct place at = place_of(&s, a->ev[e].channel);

			if (at.channel >= (g + 1) * p->c_in)
				break;
			hits += conv_event(p, &s, at, a->ev[e].value, a->weights + at.channel * block, a->scratch);
		}
		for (uint32_t o = 0; o < p->c_out; o++)
			for (uint32_t k = 0; k < windows; k++) {
				float acc = a->scratch[(size_t)k * lanes + o];

				a->out[((size_t)g * p->c_out + o) * windows + k] = a->bias ? acc + a->bias[g * p->c_out + o] : acc;
			}
	}
	return hits;
}

void snpu_pool_f32(const struct snpu_pool_args *a)
{
	const struct snpu_pkt_POOL *p = a->p;
	const struct windows s = POOL_WINDOWS(p);
	size_t windows = (size_t)p->out_h * p->out_w;

	memset(a->out, 0, p->channels * windows * sizeof(float));
	for (uint32_t e = 0; e < a->count; e++) {
		struct place at = place_of(&s, a->ev[e].channel);
		struct span y = window_span(&s.rows, at.row), x = window_span(&s.columns, at.column);
		float *out = a->out + at.channel * windows;

		for (uint32_t oy = y.from; oy < y.to; oy++)
			for (uint32_t ox = x.from; ox < x.to; ox++)
				out[(size_t)oy * p->out_w + ox] = out[(size_t)oy * p->out_w + ox] + a->ev[e].value;
	}
	for (size_t k = 0; p->hdr.flags & SNPU_POOL_AVG && k < p->channels * windows; k++)
		a->out[k] = a->out[k] / (float)(p->kernel_h * p->kernel_w);
}

static uint32_t snpu_evpack_f32__scalar(const float *x, uint32_t n, struct snpu_event *ev)
{
	uint32_t count = 0;

	for (uint32_t c = 0; c < n; c++)
		if (x[c] != 0.0f)
			ev[count++] = (struct snpu_event){ c, x[c] };
	return count;
}

static void snpu_evunpack_f32__scalar(const struct snpu_event *ev, uint32_t count, float *x, uint32_t n)
{
	memset(x, 0, (size_t)n * sizeof(*x));
	for (uint32_t e = 0; e < count; e++)
		x[ev[e].channel] = ev[e].value;
}

static void snpu_add_f32__scalar(const float *a, const float *b, float *out, uint32_t n)
{
	for (uint32_t k = 0; k < n; k++)
		out[k] = a[k] + b[k];
}

static void snpu_scale_f32__scalar(const float *x, const float *scale, float *out, uint32_t n)
{
	for (uint32_t k = 0; k < n; k++)
		out[k] = x[k] * scale[k];
}

/* --- neurons ------------------------------------------------------------------------------------------------- */

static bool fires(float v, float threshold, unsigned int flags)
{
	return flags & SNPU_NEURON_GE ? v >= threshold : v > threshold;
}

/* What parameters of neuron k say about firing. */
struct firing {
	float threshold, reset, most, floor;	/* most: 1 without MULTI */
	unsigned int flags;
};

/* row: of v_threshold in the parameters; v_reset follows, then the rows that flags ask for. */
static struct firing firing(const struct snpu_neuron_args *a, uint32_t k, unsigned int row)
{
	const float *p = a->param + (uint64_t)row * a->n + k, *more = p + 2 * (uint64_t)a->n;
	bool multi = a->flags & SNPU_NEURON_MULTI;

	return (struct firing){ .threshold = p[0], .reset = p[a->n], .most = multi ? more[0] : 1.0f, .flags = a->flags,
				.floor = a->flags & SNPU_NEURON_FLOOR ? more[multi ? a->n : 0] : 0.0f };
}

/* How often a neuron with this v fires. */
static float spikes_of(float v, const struct firing *f)
{
	float q;

	if (!fires(v, f->threshold, f->flags))
		return 0.0f;
	if (!(f->flags & SNPU_NEURON_MULTI))
		return 1.0f;
	q = truncf(v / f->threshold);
	q = q > 1.0f ? q : 1.0f;
	return q < f->most ? q : f->most;
}

/* What n spikes make of v; -1 takes one back. */
static float reset(float v, float n, const struct firing *f)
{
	if (n == 0.0f)
		return v;
	switch (f->flags & SNPU_NEURON_RESET_MASK) {
	case SNPU_NEURON_RESET_SUBTRACT:
		return v - (n * f->threshold);
	case SNPU_NEURON_RESET_DELTA:
		return v - (n * (f->threshold - f->reset));
	default:
		return f->reset;
	}
}

/* The spikes of a step; before, *v: the membrane before and after its update. */
static float fire(float before, float *v, const struct firing *f)
{
	float late = f->flags & SNPU_NEURON_LATE ? spikes_of(before, f) : 0.0f;
	float u = reset(*v, late, f), z = spikes_of(u, f);

	*v = f->flags & SNPU_NEURON_LATE && !(f->flags & SNPU_NEURON_NOW) ? u : reset(u, z - late, f);
	if (f->flags & SNPU_NEURON_FLOOR)
		*v = *v < f->floor ? f->floor : *v;
	return z;
}

static uint64_t snpu_threshold_f32__scalar(const struct snpu_neuron_args *a)
{
	uint64_t spikes = 0;

	for (uint32_t k = 0; k < a->n; k++) {
		bool z = fires(a->x[k], a->param[k], a->flags);

		a->out[k] = z ? 1.0f : 0.0f;
		spikes += z;
	}
	return spikes;
}

static uint64_t snpu_i_f32__scalar(const struct snpu_neuron_args *a)
{
	const float *r = a->param;
	float *v = a->state;

	for (uint32_t k = 0; k < a->n; k++) {
		v[k] = v[k] + (r[k] * a->x[k]);
		a->out[k] = v[k];
	}
	return 0;
}

static uint64_t snpu_if_f32__scalar(const struct snpu_neuron_args *a)
{
	const float *r = a->param;
	float *v = a->state;
	uint64_t spikes = 0;

	for (uint32_t k = 0; k < a->n; k++) {
		struct firing f = firing(a, k, 1);
		float before = v[k];

		v[k] = v[k] + (r[k] * a->x[k]);
		a->out[k] = fire(before, &v[k], &f);
		spikes += a->out[k] != 0.0f;
	}
	return spikes;
}

static uint64_t snpu_li_f32__scalar(const struct snpu_neuron_args *a)
{
	const float *gain = a->param, *r = gain + a->n, *leak = r + a->n;
	float *v = a->state;

	for (uint32_t k = 0; k < a->n; k++) {
		v[k] = v[k] + (gain[k] * ((leak[k] + (r[k] * a->x[k])) - v[k]));
		a->out[k] = v[k];
	}
	return 0;
}

static uint64_t snpu_lif_f32__scalar(const struct snpu_neuron_args *a)
{
	const float *gain = a->param, *r = gain + a->n, *leak = r + a->n;
	float *v = a->state;
	uint64_t spikes = 0;

	for (uint32_t k = 0; k < a->n; k++) {
		struct firing f = firing(a, k, 3);
		float before = v[k];

		v[k] = v[k] + (gain[k] * ((leak[k] + (r[k] * a->x[k])) - v[k]));
		a->out[k] = fire(before, &v[k], &f);
		spikes += a->out[k] != 0.0f;
	}
	return spikes;
}

/* Current and membrane of neuron k; parameters k_syn, w_in, k_mem, r, v_leak. */
static void cuba_step(const struct snpu_neuron_args *a, uint32_t k)
{
	const float *k_syn = a->param, *w_in = k_syn + a->n, *k_mem = w_in + a->n, *r = k_mem + a->n, *leak = r + a->n;
	float *v = a->state, *i = v + a->n;

	i[k] = i[k] + (k_syn[k] * ((w_in[k] * a->x[k]) - i[k]));
	v[k] = v[k] + (k_mem[k] * ((leak[k] + (r[k] * i[k])) - v[k]));
}

static uint64_t snpu_cubali_f32__scalar(const struct snpu_neuron_args *a)
{
	for (uint32_t k = 0; k < a->n; k++) {
		cuba_step(a, k);
		a->out[k] = a->state[k];
	}
	return 0;
}

static uint64_t snpu_cubalif_f32__scalar(const struct snpu_neuron_args *a)
{
	uint64_t spikes = 0;

	for (uint32_t k = 0; k < a->n; k++) {
		struct firing f = firing(a, k, 5);
		float before = a->state[k];

		cuba_step(a, k);
		a->out[k] = fire(before, &a->state[k], &f);
		spikes += a->out[k] != 0.0f;
	}
	return spikes;
}

static bool lifexp_step(const struct snpu_lifexp_args *a, uint32_t k)
{
	bool shared = a->flags & SNPU_LIFEXP_SHARED;
	float *v = a->state + k, *e = v + a->n, *i = e + a->n, *hold = i + a->n;
#define PARAM(row)	a->param[shared ? (row) : (uint64_t)(row) * a->n + k]
	float u = ((PARAM(0) + (PARAM(1) * *v)) + (PARAM(2) * *e)) + (PARAM(3) * *i);
	bool held = *hold > 0.0f, z = !held && fires(u, PARAM(6), a->flags);

	*e = PARAM(4) * *e;
	*i = PARAM(5) * *i;
	*v = z ? PARAM(7) : held ? *v : u;
	*hold = z ? PARAM(8) : held ? *hold - 1.0f : *hold;
#undef PARAM
	return z;
}

static uint32_t snpu_lifexp_f32__scalar(const struct snpu_lifexp_args *a, uint32_t from, uint32_t to, struct snpu_event *ev)
{
	uint32_t count = 0;

	for (uint32_t k = from; k < to; k++)
		if (lifexp_step(a, k))
			ev[count++] = (struct snpu_event){ k, 1.0f };
	return count;
}

static void snpu_take_f32__scalar(float *slot, float *x, uint32_t n)
{
	for (uint32_t k = 0; k < n; k++) {
		x[k] = x[k] + slot[k];
		slot[k] = 0.0f;
	}
}

const struct snpu_kernels snpu_kernels_scalar = {
	.name = "scalar",
	.linear = snpu_linear_f32__scalar,
	.evpack = snpu_evpack_f32__scalar,
	.evunpack = snpu_evunpack_f32__scalar,
	.conv = snpu_conv_f32__scalar,
	.add = snpu_add_f32__scalar,
	.scale = snpu_scale_f32__scalar,
	.threshold = snpu_threshold_f32__scalar,
	.i = snpu_i_f32__scalar,
	.if_ = snpu_if_f32__scalar,
	.li = snpu_li_f32__scalar,
	.lif = snpu_lif_f32__scalar,
	.cubali = snpu_cubali_f32__scalar,
	.cubalif = snpu_cubalif_f32__scalar,
	.qlinear = snpu_qlinear__scalar,
	.qconv = snpu_qconv__scalar,
	SNPU_Q_SCALAR,
	SNPU_Q_NEURONS_SCALAR,
	.lifexp = snpu_lifexp_f32__scalar,
	.take = snpu_take_f32__scalar,
	SNPU_LM_SCALAR,
};
