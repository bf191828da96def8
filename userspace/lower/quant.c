/* SPDX-License-Identifier: MIT */
/*
 * What one unit of every value of a network in integers is worth. Nodes whose outputs are added up, or passed on, form a set that has one unit for each
 * element. Where weights make the values, the unit is chosen so that the greatest weight into a neuron is the greatest that there is;
 * everywhere else it follows: spikes and inputs count 1, a membrane counts what its input does times its gain. One thread.
 */
#include "lower/quant.h"

#include <math.h>
#include <string.h>

#include "lower/plan.h"

#define FRACTION_INT8	6u			/* bits of a membrane below one unit of a weight: notes in docs/nir.md */
#define FRACTION_INT16	4u

struct set {
	double *unit, *scale;			/* [size]; NULL: not decided yet. scale: only where weights make the values */
	uint64_t size;
	unsigned weighing;			/* nodes that make its values by weights */
	uint32_t shift;
	unsigned depth;				/* matrices between its values and counts; not 0: a unit is a fraction of what a neuron sees */
};

struct quant {
	const struct snpu_model *m;
	const struct snpu_semantics *sem;
	struct snpu_arena *a;
	unsigned *parent;			/* [n_nodes] of the forest of sets */
	struct set *set;			/* [n_nodes] by root */
	struct snpu_quant_node *node;		/* [n_nodes] */
};

static bool weighs(const struct snpu_node *n)
{
	return snpu_kind_weighs(n->kind) || snpu_node_is(n, SNPU_KIND_ID_SCALE);
}

static bool pools(const struct snpu_node *n)
{
	return snpu_node_opcode(n) == SNPU_OP_POOL;
}

/* Its output is its input, element for element. */
static bool passes(const struct snpu_node *n)
{
	return n->n_in && (!snpu_node_computes(n) || snpu_node_is(n, SNPU_KIND_ID_DELAY));
}

static unsigned root_of(const struct quant *q, unsigned i)
{
	while (q->parent[i] != i)
		i = q->parent[i];
	return i;
}

static struct set *set_of(const struct quant *q, unsigned i) { return &q->set[root_of(q, i)]; }

/* The set that a node reads, NULL: none. */
static struct set *input_of(const struct quant *q, const struct snpu_node *n)
{
	return n->n_in ? set_of(q, q->m->edges[n->in[0]].from) : NULL;
}

static void unite(struct quant *q, unsigned a, unsigned b)
{
	q->parent[root_of(q, a)] = root_of(q, b);
}

/* --- sets ------------------------------------------------------------------------------------------------------------ */

static int make_sets(struct quant *q)
{
	const struct snpu_model *m = q->m;

	for (unsigned i = 0; i < m->n_nodes; i++)
		q->parent[i] = i;
	for (unsigned i = 0; i < m->n_nodes; i++) {
		const struct snpu_node *n = &m->nodes[i];

		for (unsigned e = 1; e < n->n_in; e++)
			unite(q, m->edges[n->in[0]].from, m->edges[n->in[e]].from);
		if (passes(n))
			unite(q, m->edges[n->in[0]].from, i);
	}
	for (unsigned i = 0; i < m->n_nodes; i++) {
		struct set *s = set_of(q, i);

		s->size = m->nodes[i].size;
		s->weighing += weighs(&m->nodes[i]);
	}
	for (unsigned i = 0; i < m->n_nodes; i++)
		if (set_of(q, i)->weighing && !weighs(&m->nodes[i]) && !passes(&m->nodes[i]))
			return snpu_fail(-ENOTSUP, "what node '%s' gives is added to what weights give, which integers cannot: their units differ; put a Linear behind it, or run the network with --number f32",
					 m->nodes[i].name);
	return 0;
}

/* --- neurons ------------------------------------------------------------------------------------------------------ */

const float *snpu_quant_spread(const struct snpu_node *n, const char *param, struct snpu_arena *a)
{
	float *to = snpu_arena_alloc(a, n->size, sizeof(*to));

	if (to)
		snpu_tensor_spread(snpu_node_param(n, param), n, to);
	return to;
}

static double part_of_step(const struct snpu_semantics *sem, double tau)
{
	return sem->integrator == SNPU_INTEGRATOR_EXP ? -expm1(-sem->dt / tau) : sem->dt / tau;
}

/* What is left of a state after a step, and what an input of 1 adds to it. raw: the input counts as it is. */
static int leak(const struct snpu_semantics *sem, const struct snpu_node *n, const char *tau_name, const char *drive_name, bool raw, struct snpu_arena *a,
		double *keep, double *gain)
{
	const float *tau = snpu_quant_spread(n, tau_name, a), *drive = snpu_quant_spread(n, drive_name, a);
	bool syn = !strcmp(drive_name, "w_in");

	if (!tau || !drive)
		return -ENOMEM;
	for (uint64_t k = 0; k < n->size; k++) {
		double part = part_of_step(sem, tau[k]);

		keep[k] = 1.0 - part;
		gain[k] = !raw ? part * drive[k] : syn ? drive[k] * (sem->gain == SNPU_GAIN_RAW_DECAYED ? keep[k] : 1.0) : 1.0;
	}
	return 0;
}

static int integrate(const struct snpu_node *n, double if_gain, struct snpu_arena *a, struct snpu_quant_neuron *out)
{
	const float *r = snpu_quant_spread(n, "r", a);

	if (!r)
		return -ENOMEM;
	for (uint64_t k = 0; k < n->size; k++) {
		out->keep_v[k] = 1.0;
		out->gain_v[k] = isnan(if_gain) ? 1.0 : r[k] * if_gain;
	}
	return 0;
}

static int check_gains(const struct snpu_node *n, const struct snpu_quant_neuron *out)
{
	for (uint64_t k = 0; k < n->size; k++)
		if (!(out->gain_v[k] > 0.0) || (out->gain_i && !(out->gain_i[k] > 0.0)))
			return snpu_fail(-ENOTSUP, "node '%s': the input of neuron %llu is multiplied by %g, and integers need a positive gain; run the network with --number f32",
					 n->name, (unsigned long long)k, out->gain_i && !(out->gain_i[k] > 0.0) ? out->gain_i[k] : out->gain_v[k]);
	return 0;
}

int snpu_quant_neuron(const struct snpu_semantics *sem, const struct snpu_node *n, double if_gain, struct snpu_arena *a, struct snpu_quant_neuron *out)
{
	bool raw = sem->gain == SNPU_GAIN_RAW || sem->gain == SNPU_GAIN_RAW_DECAYED, cuba = n->kind->states == 2;
	const float *rest = NULL;
	int err = 0;

	out->keep_v = snpu_arena_alloc(a, n->size, sizeof(double));
	out->gain_v = snpu_arena_alloc(a, n->size, sizeof(double));
	out->rest_v = snpu_arena_alloc(a, n->size, sizeof(double));
	out->keep_i = cuba ? snpu_arena_alloc(a, n->size, sizeof(double)) : NULL;
	out->gain_i = cuba ? snpu_arena_alloc(a, n->size, sizeof(double)) : NULL;
	if (!out->keep_v || !out->gain_v || !out->rest_v || (cuba && (!out->keep_i || !out->gain_i)))
		return -ENOMEM;
	if (snpu_kind_param(n->kind, "v_leak") < 0)
		err = integrate(n, if_gain, a, out);
	else
		err = leak(sem, n, cuba ? "tau_mem" : "tau", "r", raw, a, out->keep_v, out->gain_v);
	if (!err && cuba)
		err = leak(sem, n, "tau_syn", "w_in", raw, a, out->keep_i, out->gain_i);
	if (!err && snpu_kind_param(n->kind, "v_leak") >= 0) {
		rest = snpu_quant_spread(n, "v_leak", a);
		err = rest ? 0 : -ENOMEM;
	}
	for (uint64_t k = 0; k < n->size && !err; k++)
		out->rest_v[k] = rest ? (1.0 - out->keep_v[k]) * rest[k] : 0.0;
	return err ? err : check_gains(n, out);
}

/* Units of a neuron's input and states, once those of what it reads are known. */
static int settle_neuron(struct quant *q, unsigned i, const struct set *in)
{
	const struct snpu_node *n = &q->m->nodes[i];
	struct snpu_quant_node *to = &q->node[i];
	double *drive = snpu_arena_alloc(q->a, n->size, sizeof(*drive));
	struct snpu_quant_neuron k = { 0 };
	int err = n->kind->states ? snpu_quant_neuron(q->sem, n, q->sem->if_gain[i], q->a, &k) : 0;

	if (err || !drive)
		return err ? err : -ENOMEM;
	/* A count that no weight has made larger needs the fraction, too. */
	to->lift = n->kind->states && !in->depth ? 1 << (q->sem->number == SNPU_NUMBER_INT16 ? FRACTION_INT16 + 8 : FRACTION_INT8 + 7) : 1;
	for (uint64_t e = 0; e < n->size; e++)
		drive[e] = in->unit[e] / to->lift;
	to->in = drive;
	if (!n->kind->states)
		return 0;
	to->unit_v = snpu_arena_alloc(q->a, n->size, sizeof(double));
	to->unit_i = k.gain_i ? snpu_arena_alloc(q->a, n->size, sizeof(double)) : NULL;
	if (!to->unit_v || (k.gain_i && !to->unit_i))
		return -ENOMEM;
	for (uint64_t e = 0; e < n->size; e++) {
		double current = drive[e] * (k.gain_i ? k.gain_i[e] : 1.0);

		if (k.gain_i)
			to->unit_i[e] = current;
		to->unit_v[e] = current * k.gain_v[e];
	}
	return 0;
}

/* --- sets whose values follow from others ------------------------------------------------------------------------- */

/* A window reads what is of the same unit within a channel. */
static int check_channels(const struct snpu_node *n, const struct set *in)
{
	uint64_t pixels = (uint64_t)n->window.h * n->window.w;

	for (uint64_t e = 0; e < in->size; e++)
		if (in->unit[e] != in->unit[e / pixels * pixels])
			return snpu_fail(-ENOTSUP, "node '%s' reads channels whose elements have different units in integers; run the network with --number f32", n->name);
	return 0;
}

/* The unit of what node i, which does not weigh, makes. */
static int made_unit(struct quant *q, unsigned i, const struct set *in, double *unit)
{
	const struct snpu_node *n = &q->m->nodes[i];
	uint64_t windows = (uint64_t)n->window.out_h * n->window.out_w, pixels = (uint64_t)n->window.h * n->window.w;
	double share = snpu_node_is(n, SNPU_KIND_ID_AVGPOOL2D) ? (double)n->window.kernel_h * n->window.kernel_w : 1.0;
	int err = 0;

	if (snpu_node_is(n, SNPU_KIND_ID_INPUT)) {
		for (uint64_t e = 0; e < n->size; e++)
			unit[e] = 1.0;
		return 0;
	}
	if (pools(n)) {
		err = check_channels(n, in);
		for (uint64_t e = 0; e < n->size && !err; e++)
			unit[e] = in->unit[e / windows * pixels] / share;
		q->node[i].in = in->unit;
		return err;
	}
	err = settle_neuron(q, i, in);
	for (uint64_t e = 0; e < n->size && !err; e++)
		unit[e] = n->kind->flags & SNPU_KIND_FIRES ? 1.0 : q->node[i].unit_v[e];
	return err;
}

static int follow(struct quant *q, unsigned root)
{
	struct set *s = &q->set[root];
	double *unit = NULL;

	for (unsigned i = 0; i < q->m->n_nodes; i++) {
		const struct snpu_node *n = &q->m->nodes[i];
		const struct set *in = input_of(q, n);
		double *made;
		int err;

		if (root_of(q, i) != root || passes(n))
			continue;
		made = snpu_arena_alloc(q->a, n->size, sizeof(*made));
		err = made ? made_unit(q, i, in, made) : -ENOMEM;
		if (err)
			return err;
		if (unit && memcmp(unit, made, n->size * sizeof(*made)))
			return snpu_fail(-ENOTSUP, "what node '%s' gives is added to what has another unit in integers; put a Linear behind each, or run the network with --number f32",
					 n->name);
		unit = made;
		if (snpu_node_computes(n) && !(n->kind->flags & SNPU_KIND_FIRES))
			s->depth = pools(n) || in->depth ? in->depth : 1;
	}
	s->unit = unit;
	return 0;
}

/* --- sets whose values weights make ------------------------------------------------------------------------------- */

void snpu_quant_each_weight(const struct snpu_node *n, snpu_quant_weight_fn *fn, void *arg)
{
	const struct snpu_tensor *t = snpu_node_param(n, "weight");
	const struct snpu_window *w = &n->window;
	uint64_t elements = (uint64_t)w->kernel_h * w->kernel_w, pixels = (uint64_t)w->h * w->w, windows = (uint64_t)w->out_h * w->out_w;

	if (snpu_node_opcode(n) != SNPU_OP_CONV) {
		for (uint64_t o = 0; o < n->rows; o++)
			for (uint64_t c = 0; c < n->columns; c++)
				fn(arg, o, c, 0, t->data[o * n->columns + c]);
		return;
	}
	for (uint64_t g = 0; g < w->groups; g++) {
		const float *from = t->data + snpu_pack_matrix(n, g) * w->c_out * w->c_in * elements;

		for (uint64_t o = 0; o < w->c_out; o++)
			for (uint64_t c = 0; c < w->c_in; c++)
				for (uint64_t k = 0; k < elements; k++)
					fn(arg, (g * w->c_out + o) * windows, (g * w->c_in + c) * pixels, k, *from++);
	}
}

struct greatest {
	const double *unit;			/* of the input */
	double *most;				/* [size] of the output */
	bool *whole;				/* [size] all weights are whole numbers of their range */
	double range;
};

static void see_weight(void *arg, uint64_t out, uint64_t in, uint64_t element, double weight)
{
	struct greatest *g = arg;
	double w = fabs(weight * g->unit[in]);

	(void)element;
	g->most[out] = fmax(g->most[out], w);
	g->whole[out] &= w == rint(w) && w <= g->range;
}

/* What must fit into a quarter of a state: real value x of which `gain` is 1 of the sum. */
static void make_room(const struct quant *q, const struct set *s, double *most, uint64_t e, double x, double gain)
{
	double range = snpu_quant_weight_max(q->sem->number), state = snpu_quant_state_max(q->sem->number) / 4.0;

	most[e] = fmax(most[e], fabs(x) / gain * range * (double)(1u << s->shift) / state);
}

/* Where the membranes of a neuron that reads the set have to get to. */
static int room_for_reader(struct quant *q, const struct set *s, unsigned i, double *most)
{
	static const char *const levels[] = { "v_threshold", "v_reset", "v_leak" };
	const struct snpu_node *n = &q->m->nodes[i];
	struct snpu_quant_neuron k = { 0 };
	int err = snpu_quant_neuron(q->sem, n, q->sem->if_gain[i], q->a, &k);

	for (unsigned p = 0; p < 3 && !err; p++) {
		const float *level = snpu_kind_param(n->kind, levels[p]) >= 0 ? snpu_quant_spread(n, levels[p], q->a) : NULL;

		if (!level && snpu_kind_param(n->kind, levels[p]) >= 0)
			return -ENOMEM;
		for (uint64_t e = 0; level && e < n->size; e++)
			make_room(q, s, most, e, level[e], k.gain_v[e] * (k.gain_i ? k.gain_i[e] : 1.0));
	}
	return err;
}

static int room_for_readers(struct quant *q, const struct set *s, double *most)
{
	int err = 0;

	for (unsigned i = 0; i < q->m->n_nodes && !err; i++)
		if (q->m->nodes[i].kind->states && input_of(q, &q->m->nodes[i]) == s)
			err = room_for_reader(q, s, i, most);
	return err;
}

/* The element that stands for e: of a convolution the first of its channel. */
static uint64_t stands_for(const struct snpu_node *n, uint64_t e)
{
	uint64_t windows = (uint64_t)n->window.out_h * n->window.out_w;

	return snpu_node_opcode(n) == SNPU_OP_CONV ? e / windows * windows : e;
}

static int see_node(struct quant *q, const struct set *s, unsigned i, struct greatest *g)
{
	const struct snpu_node *n = &q->m->nodes[i];
	const struct set *in = input_of(q, n);
	int b = snpu_kind_param(n->kind, "bias");
	float *bias = b >= 0 ? snpu_arena_alloc(q->a, snpu_pack_row_size(n), sizeof(*bias)) : NULL;
	int err = snpu_node_opcode(n) == SNPU_OP_CONV ? check_channels(n, in) : 0;

	if (err)
		return err;
	g->unit = in->unit;
	q->node[i].in = in->unit;
	if (snpu_node_is(n, SNPU_KIND_ID_SCALE)) {
		const float *scale = snpu_quant_spread(n, "scale", q->a);

		for (uint64_t e = 0; e < n->size && scale && s->weighing == 1; e++) {
			g->most[e] = fabs(scale[e] * in->unit[e]);
			g->whole[e] = false;
		}
		return scale ? 0 : -ENOMEM;
	}
	snpu_quant_each_weight(n, see_weight, g);
	if (b >= 0 && !bias)
		return -ENOMEM;
	if (bias)
		snpu_pack_spread(n, b, bias);
	for (uint64_t k = 0; bias && k < snpu_pack_row_size(n); k++)
		make_room(q, s, g->most, snpu_pack_row_element(n, k), bias[k], 1.0);
	return 0;
}

/* Of a convolution all elements of a channel get what the greatest of them needs. */
static void even_channels(const struct quant *q, unsigned root, double *most, bool *whole)
{
	for (unsigned i = 0; i < q->m->n_nodes; i++) {
		const struct snpu_node *n = &q->m->nodes[i];

		if (root_of(q, i) != root || !weighs(n))
			continue;
		for (uint64_t e = 0; e < n->size; e++) {
			uint64_t first = stands_for(n, e);

			most[first] = fmax(most[first], most[e]);
			whole[first] &= whole[e];
		}
		for (uint64_t e = 0; e < n->size; e++) {
			most[e] = most[stands_for(n, e)];
			whole[e] = whole[stands_for(n, e)];
		}
	}
}

static int choose(struct quant *q, unsigned root)
{
	struct set *s = &q->set[root];
	struct greatest g = { .range = snpu_quant_weight_max(q->sem->number), .most = snpu_arena_alloc(q->a, s->size, sizeof(double)),
			      .whole = snpu_arena_alloc(q->a, s->size, sizeof(bool)) };
	double *unit = snpu_arena_alloc(q->a, s->size, sizeof(*unit));
	int err = 0;

	s->scale = snpu_arena_alloc(q->a, s->size, sizeof(*s->scale));
	if (!g.most || !g.whole || !unit || !s->scale)
		return -ENOMEM;
	memset(g.whole, q->sem->number == SNPU_NUMBER_LOIHI24, s->size * sizeof(bool));
	for (unsigned i = 0; i < q->m->n_nodes; i++)
		if (root_of(q, i) == root && weighs(&q->m->nodes[i]) && input_of(q, &q->m->nodes[i])->depth >= s->depth)
			s->depth = input_of(q, &q->m->nodes[i])->depth + 1;
	if (s->depth > (q->sem->number == SNPU_NUMBER_LOIHI24 ? 1u : 2u))
		return snpu_fail(-ENOTSUP, "what node '%s' gives has passed %u matrices without a neuron that fires between them, and would leave the range of integers; run the network with --number f32",
				 q->m->nodes[root].name, s->depth);
	s->shift = s->depth > 1 ? 0 : q->sem->number == SNPU_NUMBER_INT16 ? FRACTION_INT16 : FRACTION_INT8;
	for (unsigned i = 0; i < q->m->n_nodes && !err; i++)
		if (root_of(q, i) == root && weighs(&q->m->nodes[i]))
			err = see_node(q, s, i, &g);
	if (!err)
		err = room_for_readers(q, s, g.most);
	if (err)
		return err;
	even_channels(q, root, g.most, g.whole);
	for (uint64_t e = 0; e < s->size; e++) {
		s->scale[e] = g.whole[e] || g.most[e] == 0.0 ? 1.0 : g.range / g.most[e];
		unit[e] = 1.0 / (s->scale[e] * (double)(1u << s->shift));
	}
	s->unit = unit;
	return 0;
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

/* Everything that the set's units are made from is known; a firing neuron's are without its input, which may come round to it. */
static bool ready(const struct quant *q, unsigned root)
{
	for (unsigned i = 0; i < q->m->n_nodes; i++) {
		const struct snpu_node *n = &q->m->nodes[i];

		if (root_of(q, i) == root && !passes(n) && n->n_in && !input_of(q, n)->unit)
			return false;
	}
	return true;
}

/* Spikes count 1 whatever makes them; their neurons are settled when the rest is. */
static void count_spikes(struct quant *q)
{
	for (unsigned r = 0; r < q->m->n_nodes; r++) {
		bool spikes = root_of(q, r) == r;
		double *unit;

		for (unsigned i = 0; i < q->m->n_nodes && spikes; i++)
			if (root_of(q, i) == r && !passes(&q->m->nodes[i]))
				spikes = q->m->nodes[i].kind->flags & SNPU_KIND_FIRES || snpu_node_is(&q->m->nodes[i], SNPU_KIND_ID_INPUT);
		unit = spikes ? snpu_arena_alloc(q->a, q->set[r].size, sizeof(*unit)) : NULL;
		for (uint64_t e = 0; unit && e < q->set[r].size; e++)
			unit[e] = 1.0;
		q->set[r].unit = unit;
	}
}

static int decide_sets(struct quant *q)
{
	bool moved = true;
	int err = 0;

	count_spikes(q);
	while (moved && !err) {
		moved = false;
		for (unsigned r = 0; r < q->m->n_nodes && !err; r++) {
			if (root_of(q, r) != r || q->set[r].unit || !ready(q, r))
				continue;
			err = q->set[r].weighing ? choose(q, r) : follow(q, r);
			moved = true;
		}
	}
	for (unsigned i = 0; i < q->m->n_nodes && !err; i++) {
		const struct snpu_node *n = &q->m->nodes[i];

		if (!set_of(q, i)->unit)
			return snpu_fail(-ENOTSUP, "node '%s' is in a cycle without a neuron that fires, whose units integers cannot tell; run the network with --number f32",
					 n->name);
		if (n->kind->flags & SNPU_KIND_FIRES)
			err = settle_neuron(q, i, input_of(q, n));
		q->node[i].unit = set_of(q, i)->unit;
		q->node[i].scale = set_of(q, i)->scale;
		q->node[i].shift = set_of(q, i)->shift;
	}
	return err;
}

int snpu_quant_decide(const struct snpu_model *m, const struct snpu_semantics *sem, struct snpu_arena *a, struct snpu_quant **out)
{
	struct quant q = { .m = m, .sem = sem, .a = a };

	*out = snpu_arena_alloc(a, 1, sizeof(**out));
	q.parent = snpu_arena_alloc(a, m->n_nodes, sizeof(*q.parent));
	q.set = snpu_arena_alloc(a, m->n_nodes, sizeof(*q.set));
	q.node = snpu_arena_alloc(a, m->n_nodes, sizeof(*q.node));
	if (!*out || !q.parent || !q.set || !q.node)
		return -ENOMEM;
	for (unsigned i = 0; i < m->n_nodes; i++)
		if (snpu_semantics_flags(sem, m->nodes[i].kind) & (SNPU_NEURON_LATE | SNPU_NEURON_NOW))
			return snpu_fail(-ENOTSUP, "node '%s' is reset in the step after its spike, which integer neurons cannot; give --reset-time same, or run the network with --number f32",
					 m->nodes[i].name);
	(*out)->node = q.node;
	int err = make_sets(&q);

	return err ? err : decide_sets(&q);
}
