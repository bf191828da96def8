/* SPDX-License-Identifier: MIT */
/*
 * Small random networks of every node type, on vectors, sequences and images, with skips, nested graphs, delays and recurrences of one
 * and of two neurons, and the options to run them with. A network knows which of its edges close a cycle, so that nobody has to find
 * out. random_file.h makes files of them. For one thread.
 */
#ifndef SNPU_TESTS_RANDOM_NET_H
#define SNPU_TESTS_RANDOM_NET_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tests/harness.h"
#include "snpu/snpu_model.h"

#define NET_NODES	32
#define NET_EDGES	48
#define NET_SIZE	144			/* of a layer, at most */
#define NET_VECTOR	16			/* of one that a matrix makes */

enum net_type {
	NET_INPUT, NET_OUTPUT, NET_LINEAR, NET_AFFINE, NET_SCALE, NET_THRESHOLD, NET_I, NET_IF, NET_LI, NET_LIF, NET_CUBALI, NET_CUBALIF,
	NET_CONV1D, NET_CONV2D, NET_SUMPOOL, NET_AVGPOOL, NET_FLATTEN, NET_DELAY
};

/* Parameters in an order of our own; a type has those that NIR gives it. */
enum net_param { NET_TAU, NET_TAU_SYN, NET_R, NET_W_IN, NET_V_LEAK, NET_V_TH, NET_V_RESET, NET_FACTOR, NET_LATE, NET_PARAMS };

/* rank 1: (c), 2: (c, w) with h 1, 3: (c, h, w). */
struct net_shape { int rank, c, h, w; };

/* A convolution's or a pool's: rows first, of a sequence 1 and 0. pad: in front. */
struct net_window {
	int kernel[2], stride[2], pad[2], dilation[2], groups;
	const char *padding;			/* "same", "valid"; NULL: as numbers */
	bool tells;				/* the file has its input_shape */
};

struct net_node {
	char name[24];				/* "n3", or "g3/n3" in a nested graph */
	enum net_type type;
	struct net_shape in, shape;		/* of the input, of the output */
	int n, n_in;				/* elements of these */
	float param[NET_PARAMS][NET_SIZE];	/* [n] of each */
	float weight[NET_VECTOR * NET_SIZE], bias[NET_SIZE];	/* [n][n_in]; of kernels [c][in.c / groups][rows][columns], [c] */
	struct net_window window;
	int axis[2];				/* Flatten: from, to */
	int nested;				/* number of the nested graph, 0: none */
};

/* An edge. SPIKE: leaves a neuron toward the weights of a recurrence; CLOSES: leaves those weights toward the neuron where it began. */
enum net_edge_kind { NET_FORWARD, NET_SPIKE, NET_CLOSES };
struct net_edge {
	int from, to;
	enum net_edge_kind kind;
};

struct net {
	struct net_node node[NET_NODES];
	struct net_edge edge[NET_EDGES];
	int n_nodes, n_edges, n_nested;
	int nested_in[NET_NODES], nested_out[NET_NODES];	/* [1 + number] first and last node of a nested graph */
	struct snpu_session_opts opts;
	uint64_t rng;
};

static const struct net_kind {
	const char *name;
	bool fires, state;
	unsigned params;			/* bit per enum net_param */
} net_kinds[] = {
	[NET_INPUT] = { "Input", false, false, 0 },
	[NET_OUTPUT] = { "Output", false, false, 0 },
	[NET_LINEAR] = { "Linear", false, false, 0 },
	[NET_AFFINE] = { "Affine", false, false, 0 },
	[NET_SCALE] = { "Scale", false, false, 1u << NET_FACTOR },
	[NET_THRESHOLD] = { "Threshold", true, false, 1u << NET_V_TH },
	[NET_I] = { "I", false, true, 1u << NET_R },
	[NET_IF] = { "IF", true, true, 1u << NET_R | 1u << NET_V_TH | 1u << NET_V_RESET },
	[NET_LI] = { "LI", false, true, 1u << NET_TAU | 1u << NET_R | 1u << NET_V_LEAK },
	[NET_LIF] = { "LIF", true, true, 1u << NET_TAU | 1u << NET_R | 1u << NET_V_LEAK | 1u << NET_V_TH | 1u << NET_V_RESET },
	[NET_CUBALI] = { "CubaLI", false, true, 1u << NET_TAU | 1u << NET_TAU_SYN | 1u << NET_R | 1u << NET_W_IN | 1u << NET_V_LEAK },
	[NET_CONV1D] = { "Conv1d", false, false, 0 },
	[NET_CONV2D] = { "Conv2d", false, false, 0 },
	[NET_SUMPOOL] = { "SumPool2d", false, false, 0 },
	[NET_AVGPOOL] = { "AvgPool2d", false, false, 0 },
	[NET_FLATTEN] = { "Flatten", false, false, 0 },
	[NET_DELAY] = { "Delay", false, false, 1u << NET_LATE },
	[NET_CUBALIF] = { "CubaLIF", true, true, 1u << NET_TAU | 1u << NET_TAU_SYN | 1u << NET_R | 1u << NET_W_IN | 1u << NET_V_LEAK | 1u << NET_V_TH | 1u << NET_V_RESET },
};

TH_VAR uint32_t net_random(struct net *net)
{
	net->rng = net->rng * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(net->rng >> 33);
}

TH_VAR int net_below(struct net *net, int n)
{
	return (int)(net_random(net) % (uint32_t)n);
}

TH_VAR float net_uniform(struct net *net, double low, double high)
{
	return (float)(low + (high - low) * (net_random(net) % 100003) / 100002.0);
}

/* --- building ----------------------------------------------------------------------------------------------------- */

TH_VAR int net_count(struct net_shape s) { return s.c * s.h * s.w; }
TH_VAR struct net_shape net_vector(int n) { return (struct net_shape){ 1, n, 1, 1 }; }

/* Steps of a delay; the time is at most 0.4 of a step beside them, so that nobody's rounding matters. */
TH_VAR float net_late(struct net *net, int least)
{
	int steps = least + net_below(net, 4);

	return (float)((steps + net_uniform(net, steps ? -0.4 : 0.0, 0.4)) * net->opts.dt);
}

TH_VAR int net_add(struct net *net, enum net_type type, struct net_shape in, struct net_shape shape)
{
	static const double low[] = { 3e-3, 3e-3, 0.5, 0.5, -0.1, 0.3, -0.3, -1.5 }, high[] = { 2e-2, 2e-2, 12, 3, 0.2, 1.5, 0.2, 1.5 };
	struct net_node *node = &net->node[net->n_nodes];
	bool ones = !net->opts.gain && (type == NET_I || type == NET_IF);	/* r that the rule if-gain takes for itself */

	*node = (struct net_node){ .type = type, .in = in, .shape = shape, .n = net_count(shape), .n_in = net_count(in) };
	snprintf(node->name, sizeof(node->name), type == NET_INPUT ? "input" : type == NET_OUTPUT ? "output" : "n%d", net->n_nodes);
	for (int p = 0; p < NET_PARAMS; p++)
		for (int i = 0; i < node->n && net_kinds[type].params >> p & 1; i++)
			node->param[p][i] = p == NET_LATE ? net_late(net, 0) : p == NET_R && ones ? 1.0f : net_uniform(net, low[p], high[p]);
	return net->n_nodes++;
}

TH_VAR void net_fill(struct net *net, struct net_node *node, int weights, int inputs, int biases)
{
	double scale = inputs > NET_VECTOR ? sqrt((double)NET_VECTOR / inputs) : 1.0;

	for (int i = 0; i < weights; i++)
		node->weight[i] = net_uniform(net, -0.5 * scale, 0.7 * scale);
	for (int i = 0; i < biases; i++)
		node->bias[i] = net_uniform(net, -0.2, 0.3);
}

TH_VAR void net_join(struct net *net, int from, int to, enum net_edge_kind kind)
{
	net->edge[net->n_edges++] = (struct net_edge){ from, to, kind };
}

/* A node that keeps the shape. */
TH_VAR int net_after(struct net *net, int from, enum net_type type)
{
	int to = net_add(net, type, net->node[from].shape, net->node[from].shape);

	net_join(net, from, to, NET_FORWARD);
	return to;
}

TH_VAR int net_matrix(struct net *net, int from, int n)
{
	enum net_type type = net_below(net, 2) ? NET_AFFINE : NET_LINEAR;
	int to = net_add(net, type, net->node[from].shape, net_vector(n));

	net_fill(net, &net->node[to], n * net->node[to].n_in, net->node[to].n_in, type == NET_AFFINE ? n : 0);
	return to;
}

/* One axis of a window; returns the number of its places, 0: it does not fit. */
TH_VAR int net_side(struct net *net, struct net_window *w, int axis, int in, bool pool, bool keep)
{
	int reach, *kernel = &w->kernel[axis], *stride = &w->stride[axis], *pad = &w->pad[axis], *dilation = &w->dilation[axis];

	*kernel = 1 + net_below(net, 3);
	*stride = w->padding && !strcmp(w->padding, "same") ? 1 : 1 + net_below(net, keep ? 1 : 3);
	*dilation = pool ? 1 : 1 + net_below(net, 2);
	reach = (*kernel - 1) * *dilation;
	if (w->padding && !strcmp(w->padding, "same")) {
		*pad = reach / 2;
		return in;
	}
	*pad = w->padding ? 0 : pool ? net_below(net, *kernel / 2 + 1) : net_below(net, 3);
	return in + 2 * *pad > reach ? (in + 2 * *pad - reach - 1) / *stride + 1 : 0;
}

/* A convolution of a sequence or an image, or a pool of an image, that fits and gives no more than NET_SIZE values. keep: the same shape. */
TH_VAR struct net_shape net_slide(struct net *net, struct net_shape in, struct net_window *w, bool pool, bool keep)
{
	static const char *const paddings[] = { NULL, NULL, "same", "valid" };
	struct net_shape out = in;

	do {
		*w = (struct net_window){ .kernel = { 1, 1 }, .stride = { 1, 1 }, .dilation = { 1, 1 }, .groups = 1, .tells = net_below(net, 2) };
		w->padding = pool ? NULL : paddings[net_below(net, 4)];
		out.h = in.rank == 2 ? 1 : net_side(net, w, 0, in.h, pool, keep);
		out.w = net_side(net, w, 1, in.w, pool, keep);
		w->groups = pool || net_below(net, 3) == 0 ? in.c : in.c % 2 || net_below(net, 2) ? 1 : 2;
		out.c = pool || keep ? in.c : w->groups * (1 + net_below(net, 4));
	} while (!out.h || !out.w || net_count(out) > NET_SIZE || out.c * (in.c / w->groups) * 9 > NET_VECTOR * NET_SIZE ||
		 (keep && (out.h != in.h || out.w != in.w)));
	return out;
}

TH_VAR int net_conv(struct net *net, int from, bool keep)
{
	struct net_shape in = net->node[from].shape, out;
	struct net_window w;
	int to, inputs;

	out = net_slide(net, in, &w, false, keep);
	to = net_add(net, in.rank == 2 ? NET_CONV1D : NET_CONV2D, in, out);
	inputs = in.c / w.groups * w.kernel[0] * w.kernel[1];
	net->node[to].window = w;
	net_fill(net, &net->node[to], out.c * inputs, inputs, out.c);
	return to;
}

TH_VAR int net_pool(struct net *net, int from)
{
	struct net_shape in = net->node[from].shape, out;
	struct net_window w;
	int to;

	out = net_slide(net, in, &w, true, false);
	to = net_add(net, net_below(net, 2) ? NET_SUMPOOL : NET_AVGPOOL, in, out);
	net->node[to].window = w;
	return to;
}

/* All axes, or of an image the first or the last two. */
TH_VAR int net_flatten(struct net *net, int from)
{
	struct net_shape in = net->node[from].shape, out = net_vector(net_count(in));
	int to, first = 0, last = in.rank - 1;

	switch (in.rank == 3 ? net_below(net, 3) : 0) {
	case 1: out = (struct net_shape){ 2, in.c * in.h, 1, in.w }, last = 1; break;
	case 2: out = (struct net_shape){ 2, in.c, 1, in.h * in.w }, first = 1; break;
	}
	to = net_add(net, NET_FLATTEN, in, out);
	net->node[to].axis[0] = first;
	net->node[to].axis[1] = last == in.rank - 1 && net_below(net, 2) ? -1 : last;
	return to;
}

/* Weights that keep the shape; the caller joins them. */
TH_VAR int net_synapse(struct net *net, int from)
{
	return net->node[from].shape.rank == 1 ? net_matrix(net, from, net->node[from].n) : net_conv(net, from, true);
}

/* Puts nodes first.. into a nested graph. */
TH_VAR void net_nest(struct net *net, int first, int last)
{
	net->n_nested++;
	net->nested_in[net->n_nested] = first;
	net->nested_out[net->n_nested] = last;
	for (int i = first; i < net->n_nodes; i++) {
		char name[12];

		net->node[i].nested = net->n_nested;
		snprintf(name, sizeof(name), "%.8s", net->node[i].name);
		snprintf(net->node[i].name, sizeof(net->node[i].name), "g%d/%s", net->n_nested, name);
	}
}

/*
 * at -> neuron -> weights -> neuron, or with another neuron and other weights on the way back; or with a delay there, which breaks the
 * cycle by itself. In a nested graph, or not.
 */
TH_VAR int net_recur(struct net *net, int at)
{
	static const enum net_type neurons[] = { NET_LIF, NET_CUBALIF, NET_IF, NET_LIF, NET_CUBALIF, NET_LI, NET_CUBALI };
	int first = net_after(net, at, neurons[net_below(net, 7)]), last = first, weights;
	bool delay = net_below(net, 4) == 0;

	if (net_below(net, 3) == 0) {
		weights = net_synapse(net, first);
		net_join(net, first, weights, NET_FORWARD);
		last = net_after(net, weights, neurons[net_below(net, 7)]);
	}
	weights = net_synapse(net, last);
	net_join(net, last, weights, delay ? NET_FORWARD : NET_SPIKE);
	if (delay) {
		weights = net_after(net, weights, NET_DELAY);
		for (int i = 0; i < net->node[weights].n; i++)
			net->node[weights].param[NET_LATE][i] = net_late(net, 1);
	}
	net_join(net, weights, first, delay ? NET_FORWARD : NET_CLOSES);
	if (net_below(net, 2))
		net_nest(net, first, last);
	return last;
}

/* at and weights of at, added up. */
TH_VAR int net_skip(struct net *net, int at)
{
	int weights = net_synapse(net, at), sum;

	net_join(net, at, weights, NET_FORWARD);
	sum = net_after(net, at, NET_SCALE);
	net_join(net, weights, sum, NET_FORWARD);
	return sum;
}

/* What changes the shape: weights, a pool, or only another view. */
TH_VAR int net_change(struct net *net, int at)
{
	int rank = net->node[at].shape.rank, to, which = net_below(net, 6);

	if (rank == 1 || which == 0)
		to = net_matrix(net, at, 1 + net_below(net, NET_VECTOR));
	else if (which == 1)
		to = net_flatten(net, at);
	else
		to = rank == 3 && which < 4 ? net_pool(net, at) : net_conv(net, at, false);
	net_join(net, at, to, NET_FORWARD);
	return to;
}

TH_VAR void net_options(struct net *net)
{
	static const uint32_t spikes[] = { 0, 0, 1, 2, 5, SNPU_SPIKES_ANY };

	net->opts = (struct snpu_session_opts){
		.dt = 1e-3,
		.integrator = (enum snpu_integrator)net_below(net, 3), .reset = (enum snpu_reset)net_below(net, 4),
		.reset_time = (enum snpu_reset_time)net_below(net, 4), .compare = (enum snpu_compare)net_below(net, 3),
		.gain = (enum snpu_gain)net_below(net, 5), .delay = (enum snpu_delay)net_below(net, 5),
		.floor = (enum snpu_floor)net_below(net, 4), .v_min = -0.25, .max_spikes = spikes[net_below(net, 6)],
	};
}

TH_VAR struct net_shape net_any_shape(struct net *net)
{
	switch (net_below(net, 6)) {
	case 0: return (struct net_shape){ 2, 1 + net_below(net, 4), 1, 4 + net_below(net, 9) };
	case 1:
	case 2: return (struct net_shape){ 3, 1 + net_below(net, 3), 3 + net_below(net, 4), 3 + net_below(net, 4) };
	default: return net_vector(1 + net_below(net, NET_VECTOR));
	}
}

TH_VAR void net_make(struct net *net, uint64_t seed)
{
	static const enum net_type any[] = { NET_LIF, NET_CUBALIF, NET_IF, NET_LI, NET_CUBALI, NET_I, NET_THRESHOLD, NET_SCALE, NET_DELAY };
	struct net_shape shape;
	int at, blocks;
	bool keeps;

	memset(net, 0, sizeof(*net));
	net->rng = seed * 0x9e3779b97f4a7c15ull + 1;
	net_random(net);
	net_options(net);
	shape = net_any_shape(net);
	at = net_add(net, NET_INPUT, shape, shape);
	blocks = 1 + net_below(net, 3);
	for (int i = 0; i < blocks; i++) {
		if (net_below(net, 4))
			at = net_change(net, at);
		keeps = net->node[at].shape.rank > 1 || net->node[at].n <= NET_VECTOR;	/* no matrix of a flattened image times itself */
		if (net_below(net, 3) == 0 && keeps)
			at = net_skip(net, at);
		at = net_below(net, 3) || !keeps ? net_after(net, at, any[net_below(net, 9)]) : net_recur(net, at);
	}
	net_after(net, at, NET_OUTPUT);
}

#endif
