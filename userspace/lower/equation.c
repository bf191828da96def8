/* SPDX-License-Identifier: MIT */
/*
 * What a node computes in a step, in one line for people, with the numbers that this session makes of the model's. The exact
 * order of operations is docs/numerics.md's. One thread.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lower/semantics.h"
#include "snpu_isa.h"

struct line {
	const struct snpu_semantics *s;
	const struct snpu_node *n;
	double if_gain;
	char text[512];
	size_t at;
};

static void put(struct line *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct line *l, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->text + l->at, sizeof(l->text) - l->at, fmt, ap);
	va_end(ap);
	l->at = n < 0 || l->at + (size_t)n >= sizeof(l->text) ? sizeof(l->text) - 1 : l->at + (size_t)n;
}

/* What a parameter is in a step; values: as they are. */
enum value { VALUE_PLAIN, VALUE_K, VALUE_IF, VALUE_STEPS };

/* Least and greatest of a parameter. false: they differ. */
static bool range_of(const struct line *l, const char *name, enum value as, double *low, double *high)
{
	const struct snpu_tensor *t = snpu_node_param(l->n, name);

	*low = INFINITY;
	*high = -INFINITY;
	for (uint64_t i = 0; i < t->count; i++) {
		double v = t->data[i];

		if (as == VALUE_K)
			v = snpu_semantics_k(l->s, t->data[i]);
		else if (as == VALUE_IF)
			v = isnan(l->if_gain) ? 1.0 : v * l->if_gain;
		else if (as == VALUE_STEPS)
			v = snpu_semantics_steps(l->s, t->data[i]);
		*low = v < *low ? v : *low;
		*high = v > *high ? v : *high;
	}
	return *low == *high;
}

/* "0.04", or "0.02..0.05" */
static void put_range(struct line *l, const char *name, enum value as)
{
	double low, high;

	if (range_of(l, name, as, &low, &high))
		put(l, "%.6g", low);
	else
		put(l, "%.4g..%.4g", low, high);
}

static bool all_zero(const struct line *l, const char *name)
{
	double low, high;

	return range_of(l, name, VALUE_PLAIN, &low, &high) && low == 0.0;
}

/* A factor before `what`: "", "0.5 " or its name where neurons differ. */
static void put_factor(struct line *l, const char *name, const char *what)
{
	double low, high;

	if (!range_of(l, name, VALUE_PLAIN, &low, &high))
		put(l, "%s %s", name, what);
	else if (low == 1.0)
		put(l, "%s", what);
	else
		put(l, "%.6g %s", low, what);
}

/* The leak of v, with the input called `what`; k: its name in the line, tau: in the file. */
static void put_leak(struct line *l, const char *k, const char *tau, const char *what)
{
	bool leak = !all_zero(l, "v_leak");

	if (l->s->gain >= SNPU_GAIN_RAW) {
		put(l, "v = (1 - %s) v + %s", k, what);
		if (leak)
			put(l, " + %s v_leak", k);
	} else {
		put(l, "v += %s (", k);
		if (leak)
			put(l, "v_leak + ");
		put_factor(l, "r", what);
		put(l, " - v)");
	}
	put(l, ", %s ", k);
	put_range(l, tau, VALUE_K);
	if (leak) {
		put(l, ", v_leak ");
		put_range(l, "v_leak", VALUE_PLAIN);
	}
}

static void put_current(struct line *l)
{
	if (l->s->gain == SNPU_GAIN_RAW_DECAYED)
		put(l, "i = (1 - k_syn) (i + ");
	else
		put(l, l->s->gain == SNPU_GAIN_RAW ? "i = (1 - k_syn) i + " : "i += k_syn (");
	put_factor(l, "w_in", "x");
	put(l, l->s->gain == SNPU_GAIN_RAW_DECAYED ? ")" : l->s->gain == SNPU_GAIN_RAW ? "" : " - i)");
	put(l, ", k_syn ");
	put_range(l, "tau_syn", VALUE_K);
	put(l, "; ");
}

static void put_firing(struct line *l)
{
	uint8_t flags = snpu_semantics_flags(l->s, l->n->kind);
	const char *many = flags & SNPU_NEURON_MULTI ? "n " : "";

	put(l, flags & SNPU_NEURON_MULTI ? "; fires n = trunc(v / th) times" : "; fires");
	if (flags & SNPU_NEURON_MULTI && l->s->max_spikes < SNPU_SPIKES_MOST)
		put(l, ", at most %u,", l->s->max_spikes);
	put(l, " at v %s ", flags & SNPU_NEURON_GE ? ">=" : ">");
	put_range(l, "v_threshold", VALUE_PLAIN);
	put(l, flags & SNPU_NEURON_LATE ? flags & SNPU_NEURON_NOW ? ", then and a step later where still above " : ", a step later " : ", then ");
	if ((flags & SNPU_NEURON_RESET_MASK) == SNPU_NEURON_RESET_SUBTRACT) {
		put(l, "v -= %sth", many);
	} else if ((flags & SNPU_NEURON_RESET_MASK) == SNPU_NEURON_RESET_DELTA) {
		put(l, "v -= %s(th - v_reset), v_reset ", many);
		put_range(l, "v_reset", VALUE_PLAIN);
	} else {
		put(l, "v = ");
		put_range(l, "v_reset", VALUE_PLAIN);
	}
	if (flags & SNPU_NEURON_FLOOR && l->s->floor == SNPU_FLOOR_VALUE)
		put(l, "; v >= %.6g", l->s->v_min);
	else if (flags & SNPU_NEURON_FLOOR)
		put(l, "; v >= -th");
}

static void put_neuron(struct line *l)
{
	const struct snpu_kind *k = l->n->kind;

	if (k->id == SNPU_KIND_ID_I || k->id == SNPU_KIND_ID_IF) {
		put(l, "v += r x, r ");
		put_range(l, "r", VALUE_IF);
	} else if (k->states == 2) {
		put_current(l);
		put_leak(l, "k_mem", "tau_mem", "i");
	} else {
		put_leak(l, "k", "tau", "x");
	}
	if (k->flags & SNPU_KIND_FIRES)
		put_firing(l);
}

/* "3x5", or what there is of it in a sequence, which has one row. */
static void put_side(struct line *l, const char *what, uint32_t h, uint32_t w)
{
	if (l->n->rank == 3)
		put(l, "%s%ux%u", what, h, w);
	else
		put(l, "%s%u", what, w);
}

static void put_window(struct line *l)
{
	const struct snpu_window *w = &l->n->window;
	bool weighs = snpu_kind_weighs(l->n->kind);

	if (weighs)
		put(l, "%u kernels of %ux", w->groups * w->c_out, w->c_in);
	put_side(l, weighs ? "" : l->n->kind->id == SNPU_KIND_ID_AVGPOOL2D ? "mean of " : "sum of ", w->kernel_h, w->kernel_w);
	put_side(l, ", stride ", w->stride_h, w->stride_w);
	if (w->pad_top || w->pad_left)
		put_side(l, ", padding ", w->pad_top, w->pad_left);
	if (w->dilation_h > 1 || w->dilation_w > 1)
		put_side(l, ", dilation ", w->dilation_h, w->dilation_w);
	if (weighs)
		put(l, ", plus the bias");
}

static void put_matrix(struct line *l)
{
	if (l->n->window.groups)
		put(l, "%u times ", l->n->window.groups);
	put(l, "%llu x %llu weights%s", (unsigned long long)l->n->rows, (unsigned long long)l->n->columns,
	    snpu_kind_param(l->n->kind, "bias") < 0 ? "" : ", plus the bias");
}

const char *snpu_semantics_equation(const struct snpu_semantics *s, const struct snpu_model *m, unsigned node, struct snpu_arena *a)
{
	struct line l = { .s = s, .n = &m->nodes[node], .if_gain = s->if_gain[node] };
	const struct snpu_kind *k = l.n->kind;

	if (k->flags & SNPU_KIND_SYNAPSES) {
		put_matrix(&l);
	} else if (k->flags & SNPU_KIND_WINDOW) {
		put_window(&l);
	} else if (k->id == SNPU_KIND_ID_DELAY) {
		put(&l, "x of so many steps ago: ");
		put_range(&l, "delay", VALUE_STEPS);
	} else if (k->id == SNPU_KIND_ID_SCALE) {
		put(&l, "x s, s ");
		put_range(&l, "scale", VALUE_PLAIN);
	} else if (k->id == SNPU_KIND_ID_THRESHOLD) {
		put(&l, "1 where x %s ", s->compare == SNPU_COMPARE_GE ? ">=" : ">");
		put_range(&l, "threshold", VALUE_PLAIN);
		put(&l, ", else 0");
	} else if (k->states && snpu_kind_param(k, "r") >= 0) {
		put_neuron(&l);
	}
	return snpu_arena_printf(a, "%s", l.text);
}
