/* SPDX-License-Identifier: MIT */
/*
 * The reference: each packet of docs/numerics.md in plain C, one rounding per operator. Written to be read beside that
 * page, and compiled without vectorisation, so that it is what it looks like. scalar_lm.c has the language models'.
 */
#include "kernels/kernels.h"
#include "kernels/scalar_lm.h"

#include <stdbool.h>
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

/* Output of a neuron and what firing does to its v. */
static float fire(float *v, float threshold, float reset, unsigned int flags)
{
	if (!fires(*v, threshold, flags))
		return 0.0f;
	switch (flags & SNPU_NEURON_RESET_MASK) {
	case SNPU_NEURON_RESET_SUBTRACT:
		*v = *v - threshold;
		break;
	case SNPU_NEURON_RESET_DELTA:
		*v = *v - (threshold - reset);
		break;
	default:
		*v = reset;
	}
	return 1.0f;
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
	const float *r = a->param, *threshold = r + a->n, *reset = threshold + a->n;
	float *v = a->state;
	uint64_t spikes = 0;

	for (uint32_t k = 0; k < a->n; k++) {
		v[k] = v[k] + (r[k] * a->x[k]);
		a->out[k] = fire(&v[k], threshold[k], reset[k], a->flags);
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
	const float *gain = a->param, *r = gain + a->n, *leak = r + a->n, *threshold = leak + a->n, *reset = threshold + a->n;
	float *v = a->state;
	uint64_t spikes = 0;

	for (uint32_t k = 0; k < a->n; k++) {
		v[k] = v[k] + (gain[k] * ((leak[k] + (r[k] * a->x[k])) - v[k]));
		a->out[k] = fire(&v[k], threshold[k], reset[k], a->flags);
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
	const float *threshold = a->param + 5 * (uint64_t)a->n, *reset = threshold + a->n;
	uint64_t spikes = 0;

	for (uint32_t k = 0; k < a->n; k++) {
		cuba_step(a, k);
		a->out[k] = fire(&a->state[k], threshold[k], reset[k], a->flags);
		spikes += a->out[k] != 0.0f;
	}
	return spikes;
}

const struct snpu_kernels snpu_kernels_scalar = {
	.name = "scalar",
	.linear = snpu_linear_f32__scalar,
	.evpack = snpu_evpack_f32__scalar,
	.evunpack = snpu_evunpack_f32__scalar,
	.add = snpu_add_f32__scalar,
	.scale = snpu_scale_f32__scalar,
	.threshold = snpu_threshold_f32__scalar,
	.i = snpu_i_f32__scalar,
	.if_ = snpu_if_f32__scalar,
	.li = snpu_li_f32__scalar,
	.lif = snpu_lif_f32__scalar,
	.cubali = snpu_cubali_f32__scalar,
	.cubalif = snpu_cubalif_f32__scalar,
	SNPU_LM_SCALAR,
};
