/* SPDX-License-Identifier: MIT */
/* How nodes became integers, in numbers for people. Pure functions of a finished model and its units. */
#include <math.h>
#include <string.h>

#include "lower/plan.h"

struct noise {
	const struct snpu_quant_node *q;
	double most, signal, error;
	uint64_t weights;
};

static void add_noise(void *arg, uint64_t out, uint64_t in, uint64_t element, double weight)
{
	struct noise *n = arg;
	double off = weight - snpu_quant_weight(n->q, out, in, weight, n->most) / (n->q->in[in] * n->q->scale[out]);

	(void)element;
	n->signal += weight * weight;
	n->error += off * off;
	n->weights++;
}

static void weights(const struct snpu_lowering *l, unsigned node, struct snpu_quant_info *out)
{
	const struct snpu_node *n = &l->m->nodes[node];
	struct noise noise = { .q = &l->quant->node[node], .most = snpu_quant_weight_max(l->sem->number) };

	snpu_quant_each_weight(n, add_noise, &noise);
	out->weights = noise.weights;
	out->weight_sqnr = noise.error > 0.0 ? 10.0 * log10(noise.signal / noise.error) : INFINITY;
	out->shift = noise.q->shift;
	out->scale_min = INFINITY;
	for (uint64_t e = 0; e < n->size; e++) {
		out->scale_min = fmin(out->scale_min, noise.q->scale[e]);
		out->scale_max = fmax(out->scale_max, noise.q->scale[e]);
	}
}

/* By how much a time constant is off when keep is rounded to a decay. */
static double tau_error(const struct snpu_semantics *sem, double keep)
{
	double one = (double)(1u << snpu_quant_decay_bits(sem->number)), q = rint(one * keep) / one;

	if (keep >= 1.0)
		return 0.0;
	if (q >= 1.0)
		return INFINITY;
	if (sem->integrator == SNPU_INTEGRATOR_EXP)
		return q > 0.0 && keep > 0.0 ? fabs(log(keep) / log(q) - 1.0) : q == keep ? 0.0 : 1.0;
	return fabs((1.0 - keep) / (1.0 - q) - 1.0);
}

static int neuron(const struct snpu_lowering *l, unsigned node, struct snpu_arena *a, struct snpu_quant_info *out)
{
	const struct snpu_node *n = &l->m->nodes[node];
	const struct snpu_quant_node *q = &l->quant->node[node];
	bool fires = n->kind->flags & SNPU_KIND_FIRES;
	const float *threshold = fires ? snpu_quant_spread(n, "v_threshold", a) : NULL;
	struct snpu_quant_neuron k = { 0 };
	int err = snpu_quant_neuron(l->sem, n, l->sem->if_gain[node], a, &k);

	if (err || (fires && !threshold))
		return err ? err : -ENOMEM;
	out->state_max = snpu_quant_state_max(l->sem->number);
	out->unit_v = q->unit_v;
	out->unit_i = q->unit_i;
	for (uint64_t e = 0; e < n->size; e++) {
		out->tau_error = fmax(out->tau_error, tau_error(l->sem, k.keep_v[e]));
		if (k.keep_i)
			out->tau_error = fmax(out->tau_error, tau_error(l->sem, k.keep_i[e]));
		if (!fires)
			continue;
		int32_t th = (int32_t)rint(threshold[e] / q->unit_v[e]);

		out->threshold_min = !e || th < out->threshold_min ? th : out->threshold_min;
		out->threshold_max = !e || th > out->threshold_max ? th : out->threshold_max;
	}
	return 0;
}

int snpu_quant_info(const struct snpu_lowering *l, unsigned node, struct snpu_quant_info *out)
{
	const struct snpu_node *n = &l->m->nodes[node];
	struct snpu_arena a = { 0 };
	int err = 0;

	if (snpu_kind_weighs(n->kind))
		weights(l, node, out);
	else if (n->kind->states)
		err = neuron(l, node, &a, out);
	snpu_arena_free(&a);
	return err;
}
