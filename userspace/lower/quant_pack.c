/* SPDX-License-Identifier: MIT */
/*
 * Weights and parameters in integers, as the packets take them: weights int8 or int16 [n_out / 64 rounded up][n_in][64], kernels
 * [input channel][element][output channels of its group rounded up to 16], each channel's filled up to 64 bytes, parameter blocks s32
 * [parameters][n] in the order of the command set. Pure functions of a finished model and its units.
 */
#include <math.h>
#include <string.h>

#include "lower/plan.h"

unsigned snpu_quant_opcode(unsigned opcode)
{
	switch (opcode) {
	case SNPU_OP_LINEAR:	return SNPU_OP_QLINEAR;
	case SNPU_OP_CONV:	return SNPU_OP_QCONV;
	case SNPU_OP_POOL:	return SNPU_OP_QPOOL;
	case SNPU_OP_ADD:	return SNPU_OP_QADD;
	case SNPU_OP_SCALE:	return SNPU_OP_QSCALE;
	case SNPU_OP_THRESHOLD:	return SNPU_OP_QTHRESHOLD;
	case SNPU_OP_I:
	case SNPU_OP_LI:	return SNPU_OP_QLI;
	case SNPU_OP_IF:
	case SNPU_OP_LIF:	return SNPU_OP_QLIF;
	case SNPU_OP_CUBALI:	return SNPU_OP_QCUBALI;
	case SNPU_OP_CUBALIF:	return SNPU_OP_QCUBALIF;
	default:		return opcode;
	}
}

uint8_t snpu_quant_flags(const struct snpu_semantics *s, const struct snpu_kind *kind)
{
	return (uint8_t)(snpu_semantics_flags(s, kind) | (kind->states && s->number == SNPU_NUMBER_LOIHI24 ? SNPU_QNEURON_24 : 0));
}

static bool is_wide(const struct snpu_lowering *l) { return l->sem->number == SNPU_NUMBER_INT16; }

/* Bytes of an input channel of a convolution. */
static uint64_t block_bytes(const struct snpu_lowering *l, const struct snpu_node *n)
{
	uint64_t lanes = SNPU_CONV_BURSTS(n->window.c_out) * SNPU_CONV_LANES;

	return (((uint64_t)n->window.kernel_h * n->window.kernel_w * lanes << is_wide(l)) + 63) / 64 * 64;
}

uint64_t snpu_quant_weight_bytes(const struct snpu_lowering *l, const struct snpu_node *n)
{
	if (snpu_node_opcode(n) == SNPU_OP_CONV)
		return (uint64_t)n->window.groups * n->window.c_in * block_bytes(l, n);
	return n->kind->flags & SNPU_KIND_SYNAPSES ? SNPU_TILES(n->rows) * n->columns * SNPU_TILE << is_wide(l) : 0;
}

static const struct snpu_quant_node *quant_of(const struct snpu_lowering *l, const struct snpu_node *n)
{
	return &l->quant->node[n - l->m->nodes];
}

unsigned snpu_quant_rows(const struct snpu_lowering *l, const struct snpu_node *n)
{
	unsigned lift = quant_of(l, n)->lift > 1;

	if (snpu_kind_weighs(n->kind))
		return snpu_kind_param(n->kind, "bias") >= 0;
	if (!n->kind->states)
		return n->kind->param[0].name != NULL;	/* SCALE, THRESHOLD, DELAY */
	return n->kind->states + 1u + (n->kind->flags & SNPU_KIND_FIRES ? 2u : 0u) + SNPU_NEURON_ROWS(snpu_quant_flags(l->sem, n->kind)) + lift;
}

/* --- weights ------------------------------------------------------------------------------------------------------ */

double snpu_quant_weight(const struct snpu_quant_node *q, uint64_t out, uint64_t in, double weight, double most)
{
	return fmin(fmax(rint(weight * q->in[in] * q->scale[out]), -most), most);
}

void snpu_quant_put(void *to, bool wide, uint64_t at, double whole)
{
	if (wide)
		((int16_t *)to)[at] = (int16_t)whole;
	else
		((int8_t *)to)[at] = (int8_t)whole;
}

struct packing {
	const struct snpu_node *n;
	const struct snpu_quant_node *q;
	void *to;
	bool wide;
	double most;
	uint64_t block, lanes;			/* of a convolution: weights of an input channel, and of an element of its kernels */
};

static uint64_t place_of(const struct packing *p, uint64_t out, uint64_t in, uint64_t element)
{
	const struct snpu_window *w = &p->n->window;

	if (snpu_node_opcode(p->n) != SNPU_OP_CONV)
		return (out / SNPU_TILE * p->n->columns + in) * SNPU_TILE + out % SNPU_TILE;
	return in / ((uint64_t)w->h * w->w) * p->block + element * p->lanes + out / ((uint64_t)w->out_h * w->out_w) % w->c_out;
}

static void pack_weight(void *arg, uint64_t out, uint64_t in, uint64_t element, double weight)
{
	const struct packing *p = arg;

	snpu_quant_put(p->to, p->wide, place_of(p, out, in, element), snpu_quant_weight(p->q, out, in, weight, p->most));
}

static void pack_weights(const struct snpu_lowering *l, const struct snpu_node *n, void *to)
{
	struct packing p = { .n = n, .q = quant_of(l, n), .to = to, .wide = is_wide(l), .most = snpu_quant_weight_max(l->sem->number) };

	if (snpu_node_opcode(n) == SNPU_OP_CONV) {
		p.block = block_bytes(l, n) >> p.wide;
		p.lanes = SNPU_CONV_BURSTS(n->window.c_out) * SNPU_CONV_LANES;
	}
	snpu_quant_each_weight(n, pack_weight, &p);
}

/* --- parameters --------------------------------------------------------------------------------------------------- */

struct rows {
	const struct snpu_lowering *l;
	const struct snpu_node *n;
	int32_t *to;				/* where the next row goes */
	uint64_t size;				/* of a row */
	int err;
};

/* One number, rounded; most: what it may be. */
static int32_t whole(struct rows *r, const char *what, uint64_t k, double x, double most)
{
	double q = rint(x);

	if (!r->err && !(fabs(q) <= most))
		r->err = snpu_fail(-ERANGE, "node '%s': '%s' of element %llu is %g units in integers, more than %g; run the network with another --number", r->n->name,
				   what, (unsigned long long)k, q, most);
	return r->err ? 0 : (int32_t)q;
}

/* A row of a real parameter in units. */
static void real_row(struct rows *r, const char *what, const float *x, const double *unit)
{
	double most = snpu_quant_state_max(r->l->sem->number);

	for (uint64_t k = 0; k < r->size && !r->err; k++)
		r->to[k] = whole(r, what, k, x[k] / unit[k], most);
	r->to += r->size;
}

static void decay_row(struct rows *r, const double *keep)
{
	double one = (double)(1u << snpu_quant_decay_bits(r->l->sem->number));

	for (uint64_t k = 0; k < r->size; k++)
		r->to[k] = (int32_t)fmin(fmax(rint(one * keep[k]), 0.0), one);
	r->to += r->size;
}

static void constant_row(struct rows *r, int32_t value)
{
	for (uint64_t k = 0; k < r->size; k++)
		r->to[k] = value;
	r->to += r->size;
}

/* The rows that flags ask for; threshold: the row. */
static void flag_rows(struct rows *r, const int32_t *threshold, const double *unit)
{
	const struct snpu_semantics *sem = r->l->sem;
	uint8_t flags = snpu_quant_flags(sem, r->n->kind);

	if (flags & SNPU_NEURON_MULTI)
		constant_row(r, sem->max_spikes < SNPU_Q_MAX_COUNT ? (int32_t)sem->max_spikes : SNPU_Q_MAX_COUNT);
	if (!(flags & SNPU_NEURON_FLOOR))
		return;
	for (uint64_t k = 0; k < r->size && !r->err; k++)
		r->to[k] = sem->floor == SNPU_FLOOR_VALUE ? whole(r, "v-min", k, sem->v_min / unit[k], snpu_quant_state_max(sem->number)) : -threshold[k];
	r->to += r->size;
}

static int neuron_rows(struct rows *r, struct snpu_arena *a)
{
	const struct snpu_quant_node *q = quant_of(r->l, r->n);
	struct snpu_quant_neuron k = { 0 };
	int err = snpu_quant_neuron(r->l->sem, r->n, r->l->sem->if_gain[r->n - r->l->m->nodes], a, &k);
	const int32_t *threshold;

	if (err)
		return err;
	if (k.keep_i)
		decay_row(r, k.keep_i);
	decay_row(r, k.keep_v);
	for (uint64_t e = 0; e < r->size; e++)
		r->to[e] = whole(r, "v_leak", e, k.rest_v[e] / q->unit_v[e], snpu_quant_state_max(r->l->sem->number));
	r->to += r->size;
	if (r->n->kind->flags & SNPU_KIND_FIRES) {
		const float *th = snpu_quant_spread(r->n, "v_threshold", a), *reset = snpu_quant_spread(r->n, "v_reset", a);

		if (!th || !reset)
			return -ENOMEM;
		threshold = r->to;
		real_row(r, "v_threshold", th, q->unit_v);
		real_row(r, "v_reset", reset, q->unit_v);
		flag_rows(r, threshold, q->unit_v);
	}
	if (q->lift > 1)
		constant_row(r, q->lift);
	return r->err;
}

/* Whole numbers pass a threshold exactly when they pass the whole number below it (with GE, above it). */
static int threshold_row(struct rows *r, struct snpu_arena *a)
{
	const struct snpu_quant_node *q = quant_of(r->l, r->n);
	const float *th = snpu_quant_spread(r->n, "threshold", a);
	bool ge = r->l->sem->compare == SNPU_COMPARE_GE;

	for (uint64_t k = 0; k < r->size && th; k++) {
		double x = th[k] / q->in[k];

		r->to[k] = whole(r, "threshold", k, ge ? ceil(x) : floor(x), INT32_MAX);
	}
	return th ? r->err : -ENOMEM;
}

static int scale_row(struct rows *r, struct snpu_arena *a)
{
	const struct snpu_quant_node *q = quant_of(r->l, r->n);
	const float *scale = snpu_quant_spread(r->n, "scale", a);

	for (uint64_t k = 0; k < r->size && scale; k++)
		r->to[k] = whole(r, "scale", k, scale[k] * q->in[k] / q->unit[k], INT32_MAX);
	return scale ? r->err : -ENOMEM;
}

static int bias_row(struct rows *r, struct snpu_arena *a)
{
	const struct snpu_quant_node *q = quant_of(r->l, r->n);
	float *bias = snpu_arena_alloc(a, r->size, sizeof(*bias));

	if (!bias)
		return -ENOMEM;
	snpu_pack_spread(r->n, snpu_kind_param(r->n->kind, "bias"), bias);
	for (uint64_t k = 0; k < r->size; k++)
		r->to[k] = whole(r, "bias", k, bias[k] / q->unit[snpu_pack_row_element(r->n, k)], INT32_MAX);
	return r->err;
}

int snpu_quant_pack(const struct snpu_lowering *l, unsigned node, void *weights, int32_t *constants)
{
	const struct snpu_node *n = &l->m->nodes[node];
	struct rows r = { .l = l, .n = n, .to = constants, .size = snpu_pack_row_size(n) };
	struct snpu_arena a = { 0 };
	int err = 0;

	if (weights)
		pack_weights(l, n, weights);
	if (constants && snpu_kind_weighs(n->kind))
		err = bias_row(&r, &a);
	else if (constants && snpu_node_is(n, SNPU_KIND_ID_SCALE))
		err = scale_row(&r, &a);
	else if (constants && snpu_node_is(n, SNPU_KIND_ID_THRESHOLD))
		err = threshold_row(&r, &a);
	else if (constants && snpu_node_is(n, SNPU_KIND_ID_DELAY))
		snpu_delay_numbers(l, n, (float *)constants);
	else if (constants)
		err = neuron_rows(&r, &a);
	snpu_arena_free(&a);
	return err;
}

/* --- the caller's numbers ----------------------------------------------------------------------------------------- */

int snpu_quant_in(const char *input, float *values, uint64_t count, uint64_t n)
{
	for (uint64_t i = 0; i < count; i++) {
		float x = values[i];
		int32_t q;

		if (!(fabsf(x) <= (float)SNPU_Q_MAX_COUNT) || x != rintf(x))
			return snpu_fail(-EINVAL, "the array for input '%s' has %g at element %llu of a step, and integers take whole numbers up to %d; scale the input, or run the network with --number f32",
					 input, (double)x, (unsigned long long)(i % n), SNPU_Q_MAX_COUNT);
		q = (int32_t)x;
		memcpy(&values[i], &q, sizeof(q));
	}
	return 0;
}

void snpu_quant_out(const struct snpu_quant *q, unsigned node, int state, float *values, uint64_t count, uint64_t n)
{
	const struct snpu_quant_node *at = &q->node[node];
	const double *unit = state < 0 ? at->unit : state ? at->unit_i : at->unit_v;

	for (uint64_t i = 0; i < count; i++) {
		int32_t x;

		memcpy(&x, &values[i], sizeof(x));
		values[i] = (float)(x * unit[i % n]);
	}
}
