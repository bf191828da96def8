/* SPDX-License-Identifier: MIT */
/*
 * Random networks in integers, and what they must give: the section "Integers" of docs/nir.md and that of docs/numerics.md once more,
 * densely, in 128-bit sums and with divisions, from the parameters as a file would have them. A network is a row of stages, each of
 * weights, perhaps weights back to where they came from, a neuron, and perhaps a pool and a delay behind it. For one thread.
 */
#ifndef SNPU_TESTS_QUANT_REF_H
#define SNPU_TESTS_QUANT_REF_H

#include "model_rig.h"

#define Q_STAGES	3
#define Q_SIZE		256			/* elements of a layer, at most */
#define Q_STEPS		14
#define Q_DT		1e-3

enum q_neuron { Q_NONE, Q_I, Q_IF, Q_LI, Q_LIF, Q_CUBALI, Q_CUBALIF };
static const char *const q_names[] = { "", "I", "IF", "LI", "LIF", "CubaLI", "CubaLIF" };

struct q_shape {
	int c, h, w;				/* h 0: a vector of c */
};

struct q_stage {
	bool dense, biased, back, pool_mean;
	struct q_shape in, out, after;		/* of the weights, behind them, behind the pool */
	int kernel, stride, pad, pool;		/* pool: 0: none, else its window */
	int wait;				/* steps of a delay, 0: none */
	enum q_neuron neuron;
	float weight[Q_SIZE * Q_SIZE], bias[Q_SIZE], back_weight[Q_SIZE * Q_SIZE];
	float tau[Q_SIZE], tau_syn[Q_SIZE], r[Q_SIZE], w_in[Q_SIZE], leak[Q_SIZE], threshold[Q_SIZE], reset[Q_SIZE];
};

struct q_net {
	struct q_stage stage[Q_STAGES];
	int stages;
	struct snpu_session_opts opts;
	float input[Q_STEPS][Q_SIZE];
	uint64_t rng;
};

static inline uint32_t q_random(struct q_net *net)
{
	net->rng = net->rng * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(net->rng >> 33);
}

static inline int q_below(struct q_net *net, int n) { return (int)(q_random(net) % (uint32_t)n); }
static inline float q_uniform(struct q_net *net, double low, double high) { return (float)(low + (high - low) * (q_random(net) % 100003) / 100002.0); }
static inline int q_count(struct q_shape s) { return s.c * (s.h ? s.h * s.w : 1); }
static inline bool q_fires(enum q_neuron k) { return k == Q_IF || k == Q_LIF || k == Q_CUBALIF; }

/* --- making one ---------------------------------------------------------------------------------------------------- */

static void q_make_neuron(struct q_net *net, struct q_stage *s)
{
	for (int i = 0; i < q_count(s->out); i++) {
		s->tau[i] = q_uniform(net, 3e-3, 5e-2);
		s->tau_syn[i] = q_uniform(net, 3e-3, 2e-2);
		s->r[i] = s->neuron == Q_I || s->neuron == Q_IF ? 1.0f : q_uniform(net, 2, 20);
		s->w_in[i] = q_uniform(net, 0.5, 3);
		s->leak[i] = q_uniform(net, -0.1, 0.2);
		s->threshold[i] = q_uniform(net, 0.2, 1.5);
		s->reset[i] = q_uniform(net, -0.3, 0.1);
	}
}

static void q_make_weights(struct q_net *net, struct q_stage *s)
{
	bool whole = net->opts.number == SNPU_NUMBER_LOIHI24 && q_below(net, 2);
	int n_out = q_count(s->out), n = s->dense ? n_out * q_count(s->in) : s->out.c * s->in.c * s->kernel * s->kernel;

	for (int i = 0; i < n; i++)
		s->weight[i] = whole ? (float)(q_below(net, 9) - 3) : q_uniform(net, -0.4, 0.7);
	for (int i = 0; i < n_out; i++)
		s->bias[i] = q_uniform(net, -0.1, 0.3);
	for (int i = 0; s->back && i < n_out * n_out; i++)
		s->back_weight[i] = whole ? (float)(q_below(net, 5) - 2) : q_uniform(net, -0.5, 0.4);
}

/* Returns what the next stage reads. graded: its neuron may be one that does not fire. */
static struct q_shape q_make_stage(struct q_net *net, struct q_stage *s, struct q_shape in, bool last, bool graded)
{
	int side = in.h < in.w ? in.h : in.w;

	s->in = in;
	s->dense = !in.h || q_below(net, 3) == 0;
	s->biased = q_below(net, 2);
	if (s->dense) {
		s->out = (struct q_shape){ 1 + q_below(net, 24), 0, 0 };
	} else {
		s->kernel = 1 + q_below(net, side < 3 ? side : 3);
		s->stride = 1 + q_below(net, 2);
		s->pad = q_below(net, s->kernel);
		s->out = (struct q_shape){ 1, (in.h + 2 * s->pad - s->kernel) / s->stride + 1, (in.w + 2 * s->pad - s->kernel) / s->stride + 1 };
		s->out.c += q_below(net, Q_SIZE / (s->out.h * s->out.w) < 3 ? 1 : 3);
	}
	s->neuron = last && q_below(net, 4) == 0 ? Q_NONE : (enum q_neuron)(last ? 1 + q_below(net, 6) : 2 * (1 + q_below(net, 3)));
	if (graded && s->dense && q_below(net, 4) == 0)
		s->neuron = Q_LI;
	s->back = s->dense && q_fires(s->neuron) && q_below(net, 2);
	s->after = s->out;
	if (s->out.h > 1 && s->out.w > 1 && q_fires(s->neuron) && q_below(net, 2)) {
		s->pool = 2;
		s->pool_mean = q_below(net, 2);
		s->after = (struct q_shape){ s->out.c, s->out.h / 2, s->out.w / 2 };
	}
	s->wait = q_fires(s->neuron) && q_below(net, 4) == 0 ? 1 + q_below(net, 3) : 0;
	q_make_weights(net, s);
	q_make_neuron(net, s);
	return s->after;
}

static void q_make(struct q_net *net, uint64_t seed)
{
	static const uint32_t spikes[] = { 0, 0, 3, SNPU_SPIKES_ANY };
	struct q_shape at;

	memset(net, 0, sizeof(*net));
	net->rng = seed * 0x9e3779b97f4a7c15ull + 1;
	net->opts = (struct snpu_session_opts){
		.dt = Q_DT, .number = (enum snpu_number)(SNPU_NUMBER_INT8 + q_below(net, 3)), .integrator = (enum snpu_integrator)q_below(net, 3),
		.reset = (enum snpu_reset)q_below(net, 4), .compare = (enum snpu_compare)q_below(net, 3), .max_spikes = spikes[q_below(net, 4)],
		.floor = (enum snpu_floor)q_below(net, 4), .v_min = -0.25, .gain = q_below(net, 3) ? SNPU_GAIN_DEFAULT : SNPU_GAIN_RAW,
	};
	at = q_below(net, 2) ? (struct q_shape){ 1 + q_below(net, 2), 2 + q_below(net, 5), 2 + q_below(net, 5) } : (struct q_shape){ 1 + q_below(net, 30), 0, 0 };
	net->stages = 1 + q_below(net, Q_STAGES);
	net->stage[0].in = at;
	for (int t = 0; t < Q_STEPS; t++)
		for (int i = 0; i < q_count(at); i++)
			net->input[t][i] = q_below(net, 3) ? 0 : q_below(net, 30) ? 1 : (float)(q_below(net, 2) ? q_below(net, 40) - 9 : q_below(net, 1 << 23));
	for (int i = 0; i < net->stages; i++)
		at = q_make_stage(net, &net->stage[i], at, i + 1 == net->stages, i + 2 == net->stages && net->opts.number != SNPU_NUMBER_LOIHI24);
}

/* --- what it must give --------------------------------------------------------------------------------------------- */

typedef __int128 q_wide;

/* A stage in integers. */
struct q_state {
	int64_t weight[Q_SIZE * Q_SIZE], back[Q_SIZE * Q_SIZE], bias[Q_SIZE];
	int64_t keep_i[Q_SIZE], keep_v[Q_SIZE], rest[Q_SIZE], threshold[Q_SIZE], reset[Q_SIZE], floor[Q_SIZE];
	double unit[Q_SIZE], unit_v[Q_SIZE], unit_i[Q_SIZE];	/* of what arrives; of the states */
	int64_t v[Q_SIZE], i[Q_SIZE], spikes[Q_SIZE], was[8][Q_SIZE], out[Q_SIZE];
	double out_unit[Q_SIZE];		/* of what the next stage reads */
};

struct q_ref {
	const struct q_net *net;
	struct q_state s[Q_STAGES];
	double range, most, one;		/* of weights, of a state, and what a decay of 1 is */
};

static int64_t q_limit(q_wide x, double most) { return x > (q_wide)most ? (int64_t)most : x < -(q_wide)most ? -(int64_t)most : (int64_t)x; }

/* Element k of the kernel that output o of a convolution has on input i, -1: none. */
static int q_tap(const struct q_stage *s, int o, int i)
{
	int oc = o / (s->out.h * s->out.w), oy = o / s->out.w % s->out.h, ox = o % s->out.w;
	int ic = i / (s->in.h * s->in.w), y = i / s->in.w % s->in.h - (oy * s->stride - s->pad), x = i % s->in.w - (ox * s->stride - s->pad);

	if (y < 0 || x < 0 || y >= s->kernel || x >= s->kernel)
		return -1;
	return ((oc * s->in.c + ic) * s->kernel + y) * s->kernel + x;
}

static double q_part(const struct q_net *net, double tau)
{
	return net->opts.integrator == SNPU_INTEGRATOR_EXP ? -expm1(-Q_DT / tau) : Q_DT / tau;
}

/* What an input of 1 adds to the current, and a current of 1 to the membrane; and what is kept of both. */
static void q_gains(const struct q_net *net, const struct q_stage *s, int k, double gain[2], double keep[2])
{
	bool raw = net->opts.gain == SNPU_GAIN_RAW;
	double syn = q_part(net, s->tau_syn[k]), mem = q_part(net, s->tau[k]);

	gain[0] = gain[1] = keep[0] = keep[1] = 1.0;
	if (s->neuron >= Q_CUBALI) {
		gain[0] = raw ? s->w_in[k] : syn * s->w_in[k];
		keep[0] = 1.0 - syn;
	}
	if (s->neuron >= Q_LI) {
		gain[1] = raw ? 1.0 : mem * s->r[k];
		keep[1] = 1.0 - mem;
	}
}

/* The greatest size that has to fit into the range of a weight, of those that share the scale of output o. */
static double q_greatest(const struct q_ref *r, const struct q_stage *s, const double *unit, int shift, int o, bool *whole)
{
	double most = 0.0, gain[2], keep[2];
	int n_in = q_count(s->in), first = s->dense ? o : o / (s->out.h * s->out.w) * s->in.c * s->kernel * s->kernel;
	int n = s->dense ? n_in : s->in.c * s->kernel * s->kernel, channel = s->dense ? 1 : s->out.h * s->out.w;

	*whole = r->net->opts.number == SNPU_NUMBER_LOIHI24;
	for (int k = 0; k < n; k++) {
		double w = fabs((double)s->weight[s->dense ? o * n_in + k : first + k] * unit[s->dense ? k : k / (s->kernel * s->kernel) * s->in.h * s->in.w]);

		most = fmax(most, w);
		*whole &= w == rint(w) && w <= r->range;
	}
	for (int k = 0; s->back && k < q_count(s->out); k++) {
		double w = fabs((double)s->back_weight[o * q_count(s->out) + k]);

		most = fmax(most, w);
		*whole &= w == rint(w) && w <= r->range;
	}
	if (s->biased)
		most = fmax(most, fabs((double)s->bias[s->dense ? o : o / channel]) * r->range * (1 << shift) / (r->most / 4));
	for (int k = o / channel * channel; s->neuron != Q_NONE && k < (o / channel + 1) * channel; k++) {
		double level = q_fires(s->neuron) ? fmax(fabs((double)s->threshold[k]), fabs((double)s->reset[k])) : 0.0;

		level = s->neuron >= Q_LI ? fmax(level, fabs((double)s->leak[k])) : level;
		q_gains(r->net, s, k, gain, keep);
		most = fmax(most, level / (gain[1] * gain[0]) * r->range * (1 << shift) / (r->most / 4));
	}
	return most;
}

static void q_quantise(struct q_ref *r, int at, const double *in_unit, bool fine)
{
	const struct q_stage *s = &r->net->stage[at];
	struct q_state *q = &r->s[at];
	int shift = fine ? 0 : r->net->opts.number == SNPU_NUMBER_INT16 ? 4 : 6, n_in = q_count(s->in), n = q_count(s->out);

	for (int o = 0; o < n; o++) {
		double gain[2], keep[2], most, scale;
		bool whole;

		most = q_greatest(r, s, in_unit, shift, o, &whole);
		scale = whole || most == 0.0 ? 1.0 : r->range / most;
		for (int i = 0; i < n_in; i++) {
			int k = s->dense ? o * n_in + i : q_tap(s, o, i);

			q->weight[o * n_in + i] = k < 0 ? 0 : (int64_t)rint(s->weight[k] * in_unit[i] * scale);
		}
		for (int i = 0; s->back && i < n; i++)
			q->back[o * n + i] = (int64_t)rint(s->back_weight[o * n + i] * scale);
		q->unit[o] = 1.0 / (scale * (1 << shift));
		q->bias[o] = s->biased ? (int64_t)rint(s->bias[s->dense ? o : o / (s->out.h * s->out.w)] / q->unit[o]) : 0;
		q_gains(r->net, s, o, gain, keep);
		q->unit_i[o] = q->unit[o] * gain[0];
		q->unit_v[o] = q->unit_i[o] * gain[1];
		q->keep_i[o] = (int64_t)rint(r->one * keep[0]);
		q->keep_v[o] = (int64_t)rint(r->one * keep[1]);
		q->rest[o] = s->neuron >= Q_LI ? (int64_t)rint((1.0 - keep[1]) * s->leak[o] / q->unit_v[o]) : 0;
		q->threshold[o] = (int64_t)rint(s->threshold[o] / q->unit_v[o]);
		q->reset[o] = (int64_t)rint(s->reset[o] / q->unit_v[o]);
		q->floor[o] = r->net->opts.floor == SNPU_FLOOR_VALUE ? (int64_t)rint(r->net->opts.v_min / q->unit_v[o]) : -q->threshold[o];
	}
	for (int o = 0; o < q_count(s->after); o++)
		q->out_unit[o] = s->neuron == Q_NONE ? q->unit[o] : !q_fires(s->neuron) ? q->unit_v[o] : s->pool && s->pool_mean ? 0.25 : 1.0;
}

static void q_start(struct q_ref *r, const struct q_net *net)
{
	static const double ones[Q_SIZE] = { [0 ... Q_SIZE - 1] = 1.0 };
	bool fine = false;

	memset(r, 0, sizeof(*r));
	r->net = net;
	r->range = net->opts.number == SNPU_NUMBER_INT16 ? 32767 : 127;
	r->most = net->opts.number == SNPU_NUMBER_LOIHI24 ? 8388607 : 2147483647;
	r->one = net->opts.number == SNPU_NUMBER_LOIHI24 ? 4096 : 65536;
	for (int i = 0; i < net->stages; i++) {
		q_quantise(r, i, i ? r->s[i - 1].out_unit : ones, fine);
		fine = !q_fires(net->stage[i].neuron);
	}
}

static int64_t q_spikes(const struct q_net *net, const struct q_state *q, int k, int64_t v)
{
	int64_t th = q->threshold[k], most = net->opts.max_spikes > 1 ? net->opts.max_spikes : 1, n = 1;

	if (!(net->opts.compare == SNPU_COMPARE_GE ? v >= th : v > th))
		return 0;
	most = most > 8388607 ? 8388607 : most;
	if (most > 1 && th > 0)
		n = v / th;
	return n > most ? most : n < 1 ? 1 : n;
}

/* A neuron and what it fires. */
static void q_neuron_step(struct q_ref *r, const struct q_stage *s, struct q_state *q, int k, int64_t x)
{
	const struct snpu_session_opts *o = &r->net->opts;
	int64_t z;

	if (s->neuron >= Q_CUBALI)
		x = q->i[k] = q_limit((q_wide)q->i[k] * q->keep_i[k] / (int64_t)r->one + x, r->most);
	q->v[k] = q_limit((q_wide)q->v[k] * q->keep_v[k] / (int64_t)r->one + x + q->rest[k], r->most);
	if (!q_fires(s->neuron))
		return;
	q->spikes[k] = z = q_spikes(r->net, q, k, q->v[k]);
	if (z && o->reset <= SNPU_RESET_VALUE)
		q->v[k] = q->reset[k];
	else if (z)
		q->v[k] = q_limit(q->v[k] - (q_wide)z * (q->threshold[k] - (o->reset == SNPU_RESET_DELTA ? q->reset[k] : 0)), r->most);
	if (o->floor > SNPU_FLOOR_NONE && q->v[k] < q->floor[k])
		q->v[k] = q->floor[k];
}

/* What leaves a stage in step t: its neuron's output, pooled and delayed. */
static void q_leave(const struct q_stage *s, struct q_state *q, const int64_t *sum, int t)
{
	const int64_t *from = s->neuron == Q_NONE ? sum : q_fires(s->neuron) ? q->spikes : q->v;
	int w = s->out.w, n = q_count(s->out);

	for (int k = 0; k < n && s->wait; k++) {
		q->was[t % 8][k] = from[k];
		q->out[k] = t < s->wait ? 0 : q->was[(t - s->wait) % 8][k];
	}
	for (int k = 0; k < n && !s->wait; k++)
		q->out[k] = from[k];
	for (int k = 0; s->pool && k < q_count(s->after); k++) {
		int first = k / (s->after.h * s->after.w) * s->out.h * w + k / s->after.w % s->after.h * 2 * w + k % s->after.w * 2;

		q->out[k] = q->out[first] + q->out[first + 1] + q->out[first + w] + q->out[first + w + 1];	/* in place: first >= k */
	}
}

static void q_step(struct q_ref *r, int at, const int64_t *in, int t)
{
	const struct q_stage *s = &r->net->stage[at];
	struct q_state *q = &r->s[at];
	int64_t sum[Q_SIZE], before[Q_SIZE];
	int n_in = q_count(s->in), n = q_count(s->out), shift = at && !q_fires(r->net->stage[at - 1].neuron) ? 0 : r->net->opts.number == SNPU_NUMBER_INT16 ? 4 : 6;

	memcpy(before, q->spikes, sizeof(before));
	for (int o = 0; o < n; o++) {
		q_wide a = 0, b = 0;

		for (int i = 0; i < n_in; i++)
			a += (q_wide)q->weight[o * n_in + i] * q_limit(in[i], 8388607);
		for (int i = 0; s->back && i < n; i++)
			b += (q_wide)q->back[o * n + i] * before[i];
		sum[o] = q_limit((q_wide)q_limit(a, 2147483647) * (1 << shift) + q->bias[o], 2147483647);
		if (s->back)
			sum[o] = q_limit((q_wide)sum[o] + q_limit((q_wide)q_limit(b, 2147483647) * (1 << shift), 2147483647), 2147483647);
		if (s->neuron != Q_NONE)
			q_neuron_step(r, s, q, o, sum[o]);
	}
	q_leave(s, q, sum, t);
}

static void q_run_step(struct q_ref *r, int t)
{
	int64_t in[Q_SIZE];

	for (int i = 0; i < Q_SIZE; i++)
		in[i] = (int64_t)r->net->input[t][i];
	for (int at = 0; at < r->net->stages; at++)
		q_step(r, at, at ? r->s[at - 1].out : in, t);
}

#endif
