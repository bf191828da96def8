/* SPDX-License-Identifier: MIT */
/*
 * Building a model by calls and looking at it: the public half of graph/. Values are copied in and checked here one by
 * one; what concerns several nodes is checked by snpu_model_finish().
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"

int snpu_model_create(struct snpu_model **out)
{
	struct snpu_model *m = calloc(1, sizeof(*m));

	if (!m)
		return snpu_fail(-ENOMEM, "no memory for a model");
	m->format = "";
	atomic_init(&m->refs, 1);
	*out = m;
	return 0;
}

void snpu_model_free(struct snpu_model *m)
{
	if (!m || atomic_fetch_sub(&m->refs, 1) != 1)
		return;
	snpu_arena_free(&m->arena);
	free(m->nodes);
	free(m->edges);
	free(m->notes);
	free(m->meta);
	free(m);
}

void snpu_model_get(struct snpu_model *m)
{
	atomic_fetch_add(&m->refs, 1);
}

static int model_open(const struct snpu_model *m)
{
	return m->finished ? snpu_fail(-EBUSY, "the model is finished and cannot be changed; build another one") : 0;
}

static int model_node(struct snpu_model *m, unsigned node, struct snpu_node **out)
{
	int err = model_open(m);

	if (err)
		return err;
	if (node >= m->n_nodes)
		return snpu_fail(-ERANGE, "node %u does not exist, the model has %u; use the number snpu_model_add_node() gave", node, m->n_nodes);
	*out = &m->nodes[node];
	return 0;
}

/* Bytes of the UTF-8 character at s, 0 when it is none or a control character. */
static unsigned character(const unsigned char *s)
{
	unsigned n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;

	if (s[0] < ' ' || s[0] == 127 || (s[0] == 0xc2 && s[1] < 0xa0))
		return 0;
	for (unsigned i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) || (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90))
		return 0;			/* longer than needed, half of a surrogate pair, past the last character */
	return n;
}

/* Names are shown on terminals and written to JSON. */
static int check_name(const char *name)
{
	const unsigned char *s = (const unsigned char *)name;
	unsigned n;

	if (!name[0] || strlen(name) > SNPU_NAME_MAX)
		return snpu_fail(-EINVAL, "a node's name has %zu bytes; give it 1 to %u", strlen(name), SNPU_NAME_MAX);
	for (; *s; s += n) {
		n = character(s);
		if (!n)
			return snpu_fail(-EINVAL, "byte %zu of a node's name is 0x%02x, which is no printable UTF-8 text; rename the node",
					 (size_t)(s - (const unsigned char *)name), *s);
	}
	return 0;
}

int snpu_model_add_node(struct snpu_model *m, const char *name, const char *type)
{
	const struct snpu_kind *kind = snpu_kind_find(type);
	struct snpu_node n = { .kind = kind, .start_dim = 1, .end_dim = -1 };
	int err = model_open(m);

	if (!err)
		err = check_name(name);
	if (err)
		return err;
	if (!kind)
		return snpu_fail(-EINVAL, "node '%s' has the type '%.64s', which NIR does not have; check the program that wrote it", name, type);
	if (snpu_model_find(m, name) >= 0)
		return snpu_fail(-EEXIST, "two nodes are called '%s'; give each node a name of its own", name);
	err = snpu_vec_room(&m->nodes, &m->cap_nodes, m->n_nodes, SNPU_MODEL_NODES, sizeof(n), "nodes");
	if (err)
		return err;
	n.name = snpu_arena_strdup(&m->arena, name);
	if (!n.name)
		return -ENOMEM;
	m->nodes[m->n_nodes] = n;
	return (int)m->n_nodes++;
}

/* Product of a shape; every axis at least 1. */
static int shape_count(const char *what, unsigned rank, const uint64_t *shape, uint64_t *count)
{
	*count = 1;
	if (rank > SNPU_MAX_RANK)
		return snpu_fail(-E2BIG, "%s has %u axes, at most %u are possible; reshape it", what, rank, SNPU_MAX_RANK);
	for (unsigned i = 0; i < rank; i++)
		if (!shape[i] || !snpu_mul(*count, shape[i], count))
			return snpu_fail(-EINVAL, "%s has %llu elements along axis %u, which is none or too many; check the program that wrote it",
					 what, (unsigned long long)shape[i], i);
	return 0;
}

int snpu_model_set_param(struct snpu_model *m, unsigned node, const char *param, unsigned rank, const uint64_t *shape,
			 const float *data)
{
	struct snpu_node *n = NULL;
	struct snpu_tensor t = { .rank = rank };
	float *copy;
	int index, err = model_node(m, node, &n);

	if (err)
		return err;
	index = snpu_kind_param(n->kind, param);
	if (index < 0)
		return snpu_fail(-EINVAL, "node '%s': a %s has no parameter '%.64s'; leave it out", n->name, n->kind->name, param);
	err = shape_count(param, rank, shape, &t.count);
	if (err)
		return snpu_fail_in(err, "node '%s'", n->name);
	for (uint64_t i = 0; i < t.count; i++)
		if (!isfinite(data[i]))
			return snpu_fail(-EINVAL, "node '%s': element %llu of '%s' is %g, which is no finite 32-bit number; check how the model was trained or exported",
					 n->name, (unsigned long long)i, param, (double)data[i]);
	copy = snpu_arena_alloc(&m->arena, t.count, sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	if (rank)
		memcpy(t.shape, shape, rank * sizeof(*shape));
	memcpy(copy, data, t.count * sizeof(*copy));
	for (uint64_t i = 0; i < t.count; i++)
		t.zeros += data[i] == 0;
	t.data = copy;
	n->param[index] = t;
	return 0;
}

static int set_dims(struct snpu_node *n, const char *param, unsigned count, const int64_t *values, unsigned *n_out, int64_t *out)
{
	if (count > SNPU_MAX_RANK)
		return snpu_fail(-E2BIG, "node '%s': '%s' has %u axes, at most %u are possible; reshape it", n->name, param, count, SNPU_MAX_RANK);
	*n_out = count;
	memcpy(out, values, count * sizeof(*values));
	return 0;
}

int snpu_model_set_ints(struct snpu_model *m, unsigned node, const char *param, unsigned count, const int64_t *values)
{
	struct snpu_node *n = NULL;
	int err = model_node(m, node, &n);
	bool flatten, ends;

	if (err)
		return err;
	if (snpu_window_has(n->kind, param))
		return snpu_window_set_ints(n, param, count, values);
	flatten = snpu_node_is(n, SNPU_KIND_ID_FLATTEN);
	ends = snpu_node_is(n, SNPU_KIND_ID_INPUT) || snpu_node_is(n, SNPU_KIND_ID_OUTPUT);
	if (ends && !strcmp(param, "shape"))
		return set_dims(n, param, count, values, &n->n_shape, n->shape_given);
	if (flatten && !strcmp(param, "input_type"))
		return set_dims(n, param, count, values, &n->n_input_type, n->input_type);
	if (flatten && count == 1 && !strcmp(param, "start_dim"))
		n->start_dim = values[0];
	else if (flatten && count == 1 && !strcmp(param, "end_dim"))
		n->end_dim = values[0];
	else
		return snpu_fail(-EINVAL, "node '%s': a %s has no integer parameter '%.64s' of %u values; leave it out", n->name,
				 n->kind->name, param, count);
	return 0;
}

int snpu_model_set_text(struct snpu_model *m, unsigned node, const char *param, const char *text)
{
	struct snpu_node *n = NULL;
	int err = model_node(m, node, &n);

	return err ? err : snpu_window_set_text(n, param, text);
}

int snpu_model_has_param(const struct snpu_model *m, unsigned node, const char *param)
{
	const struct snpu_kind *k = node < m->n_nodes ? m->nodes[node].kind : NULL;

	if (!k)
		return 0;
	if (snpu_kind_param(k, param) >= 0)
		return 1;
	if (k->flags & SNPU_KIND_WINDOW)
		return snpu_window_has(k, param);
	if (k->id == SNPU_KIND_ID_FLATTEN)
		return !strcmp(param, "start_dim") || !strcmp(param, "end_dim") || !strcmp(param, "input_type") ? 2 : 0;
	return (k->id == SNPU_KIND_ID_INPUT || k->id == SNPU_KIND_ID_OUTPUT) && !strcmp(param, "shape") ? 2 : 0;
}

int snpu_model_add_edge(struct snpu_model *m, unsigned from, unsigned to)
{
	struct snpu_node *n = NULL;
	int err = model_node(m, from, &n);

	if (!err)
		err = model_node(m, to, &n);
	if (err)
		return err;
	for (unsigned i = 0; i < m->n_edges; i++)
		if (m->edges[i].from == from && m->edges[i].to == to)
			return snpu_model_add_note(m, SNPU_NOTE_WARNING, "duplicate-edge", m->nodes[to].name,
						   "the edge from '%s' is there twice; it is taken once", m->nodes[from].name);
	err = snpu_vec_room(&m->edges, &m->cap_edges, m->n_edges, SNPU_MODEL_EDGES, sizeof(*m->edges), "edges");
	if (err)
		return err;
	m->edges[m->n_edges++] = (struct snpu_edge){ .from = from, .to = to };
	return 0;
}

int snpu_model_set_dt(struct snpu_model *m, double dt)
{
	int err = model_open(m);

	if (err)
		return err;
	if (!(dt > 0.0) || !isfinite(dt))
		return snpu_fail(-EINVAL, "a time step of %g s is not possible; give a positive one", dt);
	m->dt = dt;
	return 0;
}

int snpu_model_set_metadata(struct snpu_model *m, const char *key, const char *text)
{
	struct snpu_meta meta;
	int err = model_open(m);

	if (!err)
		err = snpu_vec_room(&m->meta, &m->cap_meta, m->n_meta, SNPU_MODEL_META, sizeof(meta), "entries of metadata");
	if (err)
		return err;
	meta.key = snpu_arena_strdup(&m->arena, key);
	meta.text = snpu_arena_strdup(&m->arena, text);
	if (!meta.key || !meta.text)
		return -ENOMEM;
	m->meta[m->n_meta++] = meta;
	return 0;
}

int snpu_model_set_format(struct snpu_model *m, const char *format)
{
	int err = model_open(m);
	char *copy = err ? NULL : snpu_arena_strdup(&m->arena, format);

	if (err)
		return err;
	if (!copy)
		return -ENOMEM;
	m->format = copy;
	return 0;
}

int snpu_note_add(struct snpu_arena *a, struct snpu_note **notes, unsigned *n, unsigned *cap, enum snpu_note_kind kind,
		  const char *rule, const char *node, const char *fmt, va_list ap)
{
	struct snpu_note note = { .kind = kind, .source = kind == SNPU_NOTE_ASSUMED ? "default" : "file" };
	int err = snpu_vec_room(notes, cap, *n, SNPU_MODEL_NOTES, sizeof(note), "notes");

	if (err)
		return err;
	note.rule = snpu_arena_strdup(a, rule);
	note.node = snpu_arena_strdup(a, node);
	note.text = snpu_arena_vprintf(a, fmt, ap);
	if (!note.rule || !note.node || !note.text)
		return -ENOMEM;
	(*notes)[(*n)++] = note;
	return 0;
}

int snpu_model_add_note(struct snpu_model *m, enum snpu_note_kind kind, const char *rule, const char *node, const char *fmt, ...)
{
	int err = model_open(m);
	va_list ap;

	if (err)
		return err;
	va_start(ap, fmt);
	err = snpu_note_add(&m->arena, &m->notes, &m->n_notes, &m->cap_notes, kind, rule, node, fmt, ap);
	va_end(ap);
	return err;
}

int snpu_model_finish(struct snpu_model *m)
{
	int err = model_open(m);

	if (!err)
		err = snpu_graph_link(m);
	if (!err)
		err = snpu_graph_order(m, &m->arena, SNPU_DELAY_SPIKE);
	if (!err)
		err = snpu_graph_shapes(m);
	if (!err)
		err = snpu_graph_check(m);
	m->finished = !err;
	return err;
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

unsigned snpu_model_node_count(const struct snpu_model *m) { return m->n_nodes; }
unsigned snpu_model_edge_count(const struct snpu_model *m) { return m->n_edges; }
unsigned snpu_model_input_count(const struct snpu_model *m) { return m->n_inputs; }
unsigned snpu_model_output_count(const struct snpu_model *m) { return m->n_outputs; }
unsigned snpu_model_note_count(const struct snpu_model *m) { return m->n_notes; }
const char *snpu_model_format(const struct snpu_model *m) { return m->format; }

const char *snpu_model_metadata(const struct snpu_model *m, const char *key)
{
	for (unsigned i = m->n_meta; i-- > 0;)
		if (!strcmp(m->meta[i].key, key))
			return m->meta[i].text;
	return NULL;
}

int snpu_model_node(const struct snpu_model *m, unsigned node, struct snpu_node_info *out)
{
	const struct snpu_node *n;

	if (node >= m->n_nodes)
		return snpu_fail(-ERANGE, "node %u does not exist, the model has %u; count to snpu_model_node_count()", node, m->n_nodes);
	n = &m->nodes[node];
	*out = (struct snpu_node_info){
		.name = n->name, .type = n->kind->name, .rank = n->rank, .size = n->size,
		.compute = snpu_node_computes(n), .neuron = n->kind->states > 0, .synaptic = n->kind->states > 1,
	};
	memcpy(out->shape, n->shape, sizeof(out->shape));
	for (int i = 0; i < SNPU_KIND_PARAMS; i++) {
		out->parameters += n->param[i].data ? n->param[i].count : 0;
		if (n->kind->param[i].name && n->kind->param[i].role == SNPU_ROLE_MATRIX) {
			out->weights += n->param[i].count;
			out->zero_weights += n->param[i].zeros;
		}
	}
	return 0;
}

int snpu_model_find(const struct snpu_model *m, const char *name)
{
	for (unsigned i = 0; i < m->n_nodes; i++)
		if (!strcmp(m->nodes[i].name, name))
			return (int)i;
	return -ENOENT;
}

int snpu_model_edge(const struct snpu_model *m, unsigned edge, struct snpu_edge_info *out)
{
	if (edge >= m->n_edges)
		return snpu_fail(-ERANGE, "edge %u does not exist, the model has %u; count to snpu_model_edge_count()", edge, m->n_edges);
	*out = (struct snpu_edge_info){ m->edges[edge].from, m->edges[edge].to, m->edges[edge].delayed };
	return 0;
}

int snpu_model_input(const struct snpu_model *m, unsigned index)
{
	return index < m->n_inputs ? (int)m->inputs[index] : -ERANGE;
}

int snpu_model_output(const struct snpu_model *m, unsigned index)
{
	return index < m->n_outputs ? (int)m->outputs[index] : -ERANGE;
}

const struct snpu_note *snpu_model_note(const struct snpu_model *m, unsigned index)
{
	return index < m->n_notes ? &m->notes[index] : NULL;
}
