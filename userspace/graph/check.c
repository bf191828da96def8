/* SPDX-License-Identifier: MIT */
/*
 * Last step of finishing a model: every parameter is there (or has its default, with a note) and has values with which the
 * node can work. What depends on the time step is checked by a session. One thread.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "graph/graph.h"

static int fill_default(struct snpu_model *m, struct snpu_node *n, int i)
{
	const char *name = n->kind->param[i].name;
	float value = n->kind->param[i].deflt, *data;
	char rule[64];

	if (isnan(value))
		return snpu_fail(-EINVAL, "node '%s' (%s) has no '%s'; check the program that wrote it", n->name, n->kind->name, name);
	data = snpu_arena_alloc(&m->arena, 1, sizeof(*data));
	if (!data)
		return -ENOMEM;
	*data = value;
	n->param[i] = (struct snpu_tensor){ .count = 1, .data = data };
	snprintf(rule, sizeof(rule), "%s-missing", name);
	return snpu_model_add_note(m, SNPU_NOTE_ASSUMED, rule, n->name, "%s is not in the file, taken as %g", name, (double)value);
}

static int check_tau(const struct snpu_node *n, int i)
{
	const struct snpu_tensor *t = &n->param[i];

	for (uint64_t k = 0; k < t->count; k++)
		if (!(t->data[k] > 0.0f))
			return snpu_fail(-EINVAL, "node '%s': element %llu of '%s' is %g, a time constant must be positive; check how the model was trained or exported",
					 n->name, (unsigned long long)k, n->kind->param[i].name, (double)t->data[k]);
	return 0;
}

static int check_delay(const struct snpu_node *n, int i)
{
	const struct snpu_tensor *t = &n->param[i];

	for (uint64_t k = 0; k < t->count; k++)
		if (t->data[k] < 0.0f)
			return snpu_fail(-EINVAL, "node '%s': element %llu of '%s' is %g, nothing can be known before it happens; give 0 or more", n->name,
					 (unsigned long long)k, n->kind->param[i].name, (double)t->data[k]);
	return 0;
}

static int note_threshold(struct snpu_model *m, const struct snpu_node *n)
{
	const struct snpu_tensor *th = snpu_node_param(n, "v_threshold"), *reset = snpu_node_param(n, "v_reset");
	uint64_t low = 0, stuck = 0;

	if (!th)
		return 0;
	for (uint64_t k = 0; k < th->count; k++) {
		low += th->data[k] <= 0.0f;
		stuck += reset->data[reset->count == th->count ? k : 0] >= th->data[k];
	}
	if (stuck)
		return snpu_model_add_note(m, SNPU_NOTE_WARNING, "reset-above-threshold", n->name,
					   "%llu of %llu neurons have v_reset >= v_threshold; reset to a value they fire in every step",
					   (unsigned long long)stuck, (unsigned long long)th->count);
	if (low)
		return snpu_model_add_note(m, SNPU_NOTE_WARNING, "threshold-not-positive", n->name,
					   "%llu of %llu thresholds are not above zero; those neurons can fire without input",
					   (unsigned long long)low, (unsigned long long)th->count);
	return 0;
}

static int check_node(struct snpu_model *m, struct snpu_node *n)
{
	int err = 0;

	for (int i = 0; i < SNPU_KIND_PARAMS && n->kind->param[i].name && !err; i++) {
		if (!n->param[i].data)
			err = fill_default(m, n, i);
		if (!err && n->kind->param[i].role == SNPU_ROLE_TAU)
			err = check_tau(n, i);
		if (!err && n->kind->param[i].role == SNPU_ROLE_STEPS)
			err = check_delay(n, i);
	}
	return err ? err : note_threshold(m, n);
}

int snpu_graph_check(struct snpu_model *m)
{
	for (unsigned i = 0; i < m->n_nodes; i++) {
		int err = check_node(m, &m->nodes[m->order[i]]);

		if (err)
			return err;
	}
	return 0;
}
