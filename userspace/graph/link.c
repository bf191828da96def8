/* SPDX-License-Identifier: MIT */
/*
 * First step of finishing a model: every node gets the list of its edges, models without Input or Output nodes get
 * them, and the nodes that data enters and leaves by are found. One thread, the one that builds the model.
 */
#include <stdio.h>
#include <string.h>

#include "graph/graph.h"

static void count_edges(struct snpu_model *m)
{
	for (unsigned i = 0; i < m->n_nodes; i++)
		m->nodes[i].n_in = m->nodes[i].n_out = 0;
	for (unsigned e = 0; e < m->n_edges; e++) {
		m->nodes[m->edges[e].from].n_out++;
		m->nodes[m->edges[e].to].n_in++;
	}
}

static int list_edges(struct snpu_model *m)
{
	count_edges(m);
	for (unsigned i = 0; i < m->n_nodes; i++) {
		struct snpu_node *n = &m->nodes[i];

		n->in = snpu_arena_alloc(&m->arena, n->n_in, sizeof(*n->in));
		n->out = snpu_arena_alloc(&m->arena, n->n_out, sizeof(*n->out));
		if (!n->in || !n->out)
			return -ENOMEM;
		n->n_in = n->n_out = 0;
	}
	for (unsigned e = 0; e < m->n_edges; e++) {
		struct snpu_node *from = &m->nodes[m->edges[e].from], *to = &m->nodes[m->edges[e].to];

		from->out[from->n_out++] = e;
		to->in[to->n_in++] = e;
	}
	return 0;
}

/* Adds an Input before (or an Output behind) `node`: called "input" when the name is free, else "input.NODE". */
static int add_end(struct snpu_model *m, unsigned node, bool input)
{
	const char *plain = input ? "input" : "output";
	char name[SNPU_NAME_MAX + 16];
	int end, err;

	snprintf(name, sizeof(name), "%s.%s", plain, m->nodes[node].name);
	end = snpu_model_add_node(m, snpu_model_find(m, plain) < 0 ? plain : name, input ? "Input" : "Output");
	if (end < 0)
		return end;
	err = input ? snpu_model_add_edge(m, (unsigned)end, node) : snpu_model_add_edge(m, node, (unsigned)end);
	if (err)
		return err;
	return snpu_model_add_note(m, SNPU_NOTE_ASSUMED, input ? "input-missing" : "output-missing", m->nodes[node].name,
				   input ? "the model has no Input node; data enters here, under the name '%s'"
					 : "the model has no Output node; results leave here, under the name '%s'", m->nodes[end].name);
}

static bool has_kind(const struct snpu_model *m, enum snpu_kind_id id)
{
	for (unsigned i = 0; i < m->n_nodes; i++)
		if (snpu_node_is(&m->nodes[i], id))
			return true;
	return false;
}

static int add_missing_ends(struct snpu_model *m)
{
	bool inputs = !has_kind(m, SNPU_KIND_ID_INPUT), outputs = !has_kind(m, SNPU_KIND_ID_OUTPUT);
	unsigned n = m->n_nodes;
	int err = 0;

	count_edges(m);
	for (unsigned i = 0; i < n && !err; i++) {
		bool root = !m->nodes[i].n_in, leaf = !m->nodes[i].n_out;

		if (inputs && root)
			err = add_end(m, i, true);
		if (!err && outputs && leaf)
			err = add_end(m, i, false);
	}
	return err;
}

/* Every node must be fed; one whose result nobody uses is only worth a note. */
static int check_fed(struct snpu_model *m)
{
	for (unsigned i = 0; i < m->n_nodes; i++) {
		const struct snpu_node *n = &m->nodes[i];
		int err = 0;

		if (!n->n_in && !snpu_node_is(n, SNPU_KIND_ID_INPUT))
			return snpu_fail(-EINVAL, "node '%s' (%s) has no input; connect it or remove it", n->name, n->kind->name);
		if (!n->n_out && !snpu_node_is(n, SNPU_KIND_ID_OUTPUT))
			err = snpu_model_add_note(m, SNPU_NOTE_WARNING, "unused-node", n->name, "nothing uses the output of this node");
		if (err)
			return err;
	}
	return 0;
}

/* Inputs and Outputs of a nested graph lie between other nodes and only pass on; those of the model are at its ends. */
static int list_ends(struct snpu_model *m)
{
	m->inputs = snpu_arena_alloc(&m->arena, m->n_nodes, sizeof(*m->inputs));
	m->outputs = snpu_arena_alloc(&m->arena, m->n_nodes, sizeof(*m->outputs));
	if (!m->inputs || !m->outputs)
		return -ENOMEM;
	for (unsigned i = 0; i < m->n_nodes; i++) {
		if (snpu_node_is(&m->nodes[i], SNPU_KIND_ID_INPUT) && !m->nodes[i].n_in)
			m->inputs[m->n_inputs++] = i;
		if (snpu_node_is(&m->nodes[i], SNPU_KIND_ID_OUTPUT) && !m->nodes[i].n_out)
			m->outputs[m->n_outputs++] = i;
	}
	if (!m->n_inputs || !m->n_outputs)
		return snpu_fail(-EINVAL, "the model has %u open Input and %u open Output nodes; it needs at least one of each", m->n_inputs,
				 m->n_outputs);
	return 0;
}

int snpu_graph_link(struct snpu_model *m)
{
	int err;

	if (!m->n_nodes)
		return snpu_fail(-EINVAL, "the model has no nodes; add some");
	m->n_inputs = m->n_outputs = 0;
	err = add_missing_ends(m);
	if (!err)
		err = list_edges(m);
	if (!err)
		err = check_fed(m);
	return err ? err : list_ends(m);
}
