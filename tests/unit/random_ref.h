/* SPDX-License-Identifier: MIT */
/*
 * Random networks computed once more, in double and from the equations of docs/nir.md, sharing nothing with the library: no order of
 * execution (a value is asked for when it is needed), no packets, no folded parameters. Where a membrane is so near its threshold that
 * rounding decides, it takes what the library decided and goes on from there. For one thread.
 */
#ifndef SNPU_TESTS_RANDOM_REF_H
#define SNPU_TESTS_RANDOM_REF_H

#include "random_net.h"

#define REF_STEPS	12
#define REF_NEAR	1e-4			/* of the greatest value so far: rounding decides */

struct ref {
	const struct net *net;
	const float *input;			/* [REF_STEPS][n of the input] */
	const float *z[NET_NODES], *v[NET_NODES];	/* what the library recorded: [REF_STEPS][n]; NULL: nothing */
	double state_v[NET_NODES][NET_SIZE], state_i[NET_NODES][NET_SIZE];
	double out[NET_NODES][2][NET_SIZE];	/* [step & 1] */
	double entered[NET_NODES][REF_STEPS][NET_SIZE];	/* delays: what came in */
	int done[NET_NODES];			/* steps computed */
	int step;
	double top;				/* the greatest magnitude so far, at least 1 */
	uint64_t decided, near;			/* comparisons with a threshold; those that rounding decides */
	bool lost;				/* one of these cannot be told from what was recorded: the rest is not comparable */
	bool wrong;
	char what[160];
};

/* Does an edge wait a step? */
TH_VAR bool ref_waits(const struct net *net, const struct net_edge *e)
{
	const struct net_kind *from = &net_kinds[net->node[e->from].type];
	enum net_type to = net->node[e->to].type;
	bool cut = false;

	switch (net->opts.delay) {
	case SNPU_DELAY_CURRENT: return e->kind == NET_CLOSES;
	case SNPU_DELAY_NEURON:
		if (from->fires && from->state)
			return true;
		break;
	case SNPU_DELAY_SYNAPSE: return to == NET_LINEAR || to == NET_AFFINE || to == NET_CONV1D || to == NET_CONV2D;
	default: return e->kind == NET_SPIKE;
	}
	if (e->kind != NET_SPIKE)
		return false;
	/* NEURON, and no neuron that fires at this end: if one at the other end of the cycle has cut it, it is not one any more. */
	for (int k = 0; k < net->n_edges; k++)
		if (net->edge[k].from == e->to && net->edge[k].kind == NET_CLOSES) {
			const struct net_kind *first = &net_kinds[net->node[net->edge[k].to].type];

			cut = net->edge[k].to != e->from && first->fires && first->state;
		}
	return !cut;
}

TH_VAR void ref_node(struct ref *r, int i);

TH_VAR double ref_value(struct ref *r, const struct net_edge *e, int k)
{
	if (ref_waits(r->net, e))
		return r->step ? r->out[e->from][(r->step - 1) & 1][k] : 0.0;
	ref_node(r, e->from);
	return r->out[e->from][r->step & 1][k];
}

TH_VAR bool ref_raw(const struct net *net)
{
	return net->opts.gain == SNPU_GAIN_RAW || net->opts.gain == SNPU_GAIN_RAW_DECAYED;
}

/* The part of the way to its target that a variable goes in a step. */
TH_VAR double ref_part(const struct net *net, double tau)
{
	return net->opts.integrator == SNPU_INTEGRATOR_EXP ? 1.0 - exp(-net->opts.dt / tau) : net->opts.dt / tau;
}

TH_VAR double ref_membrane(const struct net *net, const struct net_node *n, int k, double v, double x)
{
	double part = ref_part(net, n->param[NET_TAU][k]), r = n->param[NET_R][k], leak = n->param[NET_V_LEAK][k];

	return ref_raw(net) ? (1.0 - part) * v + part * leak + x : v + part * (leak + r * x - v);
}

/* One step of neuron k without its spikes: returns the membrane, sets the current. */
TH_VAR double ref_update(struct ref *r, int i, int k, double x)
{
	const struct net *net = r->net;
	const struct net_node *n = &net->node[i];
	double v = r->state_v[i][k], *cur = &r->state_i[i][k], part, gain = 1.0;

	switch (n->type) {
	case NET_I:
	case NET_IF:
		if (net->opts.gain == SNPU_GAIN_R || net->opts.gain == SNPU_GAIN_R_DT)
			gain = n->param[NET_R][k] * (net->opts.gain == SNPU_GAIN_R_DT ? net->opts.dt : 1.0);
		return v + gain * x;
	case NET_LI:
	case NET_LIF:
		return ref_membrane(net, n, k, v, x);
	default:
		part = ref_part(net, n->param[NET_TAU_SYN][k]);
		x *= n->param[NET_W_IN][k];
		if (net->opts.gain == SNPU_GAIN_RAW_DECAYED)
			*cur = (1.0 - part) * (*cur + x);
		else
			*cur = ref_raw(net) ? (1.0 - part) * *cur + x : *cur + part * (x - *cur);
		return ref_membrane(net, n, k, v, *cur);
	}
}

/* How often it fires at v. recorded: what the library did, NAN where that is not known. */
TH_VAR double ref_spikes(struct ref *r, double v, double th, double recorded)
{
	double most = r->net->opts.max_spikes > 1 ? fmin(r->net->opts.max_spikes, 16777216.0) : 1.0;	/* what docs/nir.md says of "any" */
	double boundary = fmin(fmax(rint(v / th), 1.0), most) * th;	/* the nearest membrane at which the number changes */

	r->decided++;
	if (fabs(v - boundary) <= REF_NEAR * r->top) {
		r->near++;
		r->lost |= isnan(recorded);
		return recorded;
	}
	return v > th ? fmin(floor(v / th), most) : 0.0;
}

TH_VAR double ref_reset(const struct net *net, const struct net_node *n, int k, double v, double spikes)
{
	double th = n->param[NET_V_TH][k], reset = n->param[NET_V_RESET][k];

	if (spikes == 0.0)
		return v;
	if (net->opts.reset == SNPU_RESET_SUBTRACT)
		return v - spikes * th;
	return net->opts.reset == SNPU_RESET_DELTA ? v - spikes * (th - reset) : reset;
}

/* Fires; the membrane is after its update. Returns the spikes. */
TH_VAR double ref_fire(struct ref *r, int i, int k, double v)
{
	const struct net *net = r->net;
	const struct net_node *n = &net->node[i];
	bool subtracts = net->opts.reset == SNPU_RESET_SUBTRACT || net->opts.reset == SNPU_RESET_DELTA;
	bool next = net->opts.reset_time == SNPU_RESET_NEXT_STEP, both = net->opts.reset_time == SNPU_RESET_BOTH_STEPS && subtracts;
	double th = n->param[NET_V_TH][k], recorded = r->z[i][r->step * n->n + k], before = 0.0, z;

	if (next && r->step)
		before = r->z[i][(r->step - 1) * n->n + k];	/* the spikes of the step before, which were compared then */
	else if (both)
		before = ref_spikes(r, r->state_v[i][k], th, NAN);
	v = ref_reset(net, n, k, v, before);
	z = ref_spikes(r, v, th, recorded);
	if (!next)
		v = ref_reset(net, n, k, v, z - before);
	if (net->opts.floor == SNPU_FLOOR_VALUE && v < net->opts.v_min)
		v = net->opts.v_min;
	if (net->opts.floor == SNPU_FLOOR_THRESHOLD && v < -th)
		v = -th;
	r->state_v[i][k] = v;
	return z;
}

TH_VAR void ref_check(struct ref *r, int i, int k, const char *what, double got, double want)
{
	r->top = fabs(want) > r->top ? fabs(want) : r->top;
	if (r->lost || r->wrong || fabs(got - want) <= REF_NEAR * r->top)
		return;
	r->wrong = true;
	snprintf(r->what, sizeof(r->what), "step %d, %s, %s of %d: %.9g, expected %.9g", r->step, r->net->node[i].name, what, k, got, want);
}

/* Element k of a convolution or a pool: the sum over the window at its place, where that is on the image. */
TH_VAR double ref_window(const struct net_node *n, int k, const double *x)
{
	const struct net_window *w = &n->window;
	bool conv = n->type == NET_CONV1D || n->type == NET_CONV2D;
	int area = n->shape.h * n->shape.w, o = k / area, row = k % area / n->shape.w, column = k % n->shape.w, per = n->in.c / w->groups;
	int first = conv ? o / (n->shape.c / w->groups) * per : o;
	double sum = conv ? n->bias[o] : 0.0;

	for (int c = 0; c < per; c++)
		for (int i = 0; i < w->kernel[0]; i++)
			for (int j = 0; j < w->kernel[1]; j++) {
				int y = row * w->stride[0] - w->pad[0] + i * w->dilation[0], at = column * w->stride[1] - w->pad[1] + j * w->dilation[1];
				double weight = conv ? n->weight[((o * per + c) * w->kernel[0] + i) * w->kernel[1] + j] : 1.0;

				if (y >= 0 && y < n->in.h && at >= 0 && at < n->in.w)
					sum += weight * x[((first + c) * n->in.h + y) * n->in.w + at];
			}
	return n->type == NET_AVGPOOL ? sum / (w->kernel[0] * w->kernel[1]) : sum;
}

TH_VAR int ref_late(const struct ref *r, const struct net_node *n, int k)
{
	return (int)rint(n->param[NET_LATE][k] / r->net->opts.dt);
}

TH_VAR double ref_compute(struct ref *r, int i, int k, const double *x)
{
	const struct net_node *n = &r->net->node[i];
	double v = 0.0;

	switch (n->type) {
	case NET_INPUT: return r->input[r->step * n->n + k];
	case NET_OUTPUT:
	case NET_FLATTEN: return x[k];
	case NET_CONV1D:
	case NET_CONV2D:
	case NET_SUMPOOL:
	case NET_AVGPOOL: return ref_window(n, k, x);
	case NET_DELAY: return ref_late(r, n, k) > r->step ? 0.0 : r->entered[i][r->step - ref_late(r, n, k)][k];
	case NET_LINEAR:
	case NET_AFFINE:
		for (int c = 0; c < n->n_in; c++)
			v += (double)n->weight[k * n->n_in + c] * x[c];
		return v + (n->type == NET_AFFINE ? n->bias[k] : 0.0);
	case NET_SCALE: return x[k] * n->param[NET_FACTOR][k];
	case NET_THRESHOLD:
		r->decided++;
		r->near += fabs(x[k] - n->param[NET_V_TH][k]) <= REF_NEAR * r->top;
		return fabs(x[k] - n->param[NET_V_TH][k]) <= REF_NEAR * r->top ? r->z[i][r->step * n->n + k] : x[k] > n->param[NET_V_TH][k];
	default:
		v = ref_update(r, i, k, x[k]);
		r->top = fabs(v) > r->top ? fabs(v) : r->top;
		if (net_kinds[n->type].fires)
			return ref_fire(r, i, k, v);
		return r->state_v[i][k] = v;
	}
}

/* What comes in along all edges. */
TH_VAR void ref_enter(struct ref *r, int i, double *x)
{
	memset(x, 0, NET_SIZE * sizeof(*x));
	for (int e = 0; e < r->net->n_edges; e++)
		for (int k = 0; r->net->edge[e].to == i && k < r->net->node[r->net->edge[e].from].n; k++)
			x[k] += ref_value(r, &r->net->edge[e], k);
}

/* Is all that a node gives of earlier steps? Then nothing is asked for, and cycles end. */
TH_VAR bool ref_remembers(const struct ref *r, const struct net_node *n)
{
	bool late = n->type == NET_DELAY;

	for (int k = 0; k < n->n && late; k++)
		late = ref_late(r, n, k) > 0;
	return late;
}

/* Computes a node for this step, once. */
TH_VAR void ref_node(struct ref *r, int i)
{
	const struct net_node *n = &r->net->node[i];
	double x[NET_SIZE];

	if (r->done[i] > r->step)
		return;
	if (!ref_remembers(r, n))
		ref_enter(r, i, n->type == NET_DELAY ? r->entered[i][r->step] : x);
	r->done[i] = r->step + 1;
	for (int k = 0; k < n->n && !r->lost; k++) {
		double out = ref_compute(r, i, k, x);

		if (r->lost)
			return;
		r->out[i][r->step & 1][k] = out;
		if (r->z[i])
			ref_check(r, i, k, "output", r->z[i][r->step * n->n + k], out);
		if (r->v[i])
			ref_check(r, i, k, "membrane", r->v[i][r->step * n->n + k], r->state_v[i][k]);
	}
}

/* Computes all steps. */
TH_VAR void ref_run(struct ref *r)
{
	r->top = 1.0;
	for (r->step = 0; r->step < REF_STEPS && !r->lost && !r->wrong; r->step++) {
		for (int i = 0; i < r->net->n_nodes; i++)
			ref_node(r, i);
		for (int i = 0; i < r->net->n_nodes && !r->lost; i++)
			if (ref_remembers(r, &r->net->node[i]))
				ref_enter(r, i, r->entered[i][r->step]);
	}
}

#endif
