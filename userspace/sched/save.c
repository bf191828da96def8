/* SPDX-License-Identifier: MIT */
/*
 * Writes the network of a session in integers: what docs/nir.md calls a quantised file. Weights become the integers they are packed as, everything
 * else stays as it was. What is written is read back and quantised again first, and must be the same integers. Belongs to the session's thread.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load/netfile.h"
#include "sched/session.h"

struct writer {
	const struct snpu_session *s;
	bool exact;				/* weights as they were, because integers would not come back the same */
	uint8_t *data;
	uint64_t size, room;
	int err;
};

/* Appends to the data, at a multiple of 8; returns where. */
static uint64_t append(struct writer *w, const void *from, uint64_t bytes)
{
	uint64_t at = (w->size + 7) / 8 * 8, need = at + bytes;

	if (need > w->room) {
		uint8_t *grown = realloc(w->data, need * 2);

		if (!grown) {
			w->err = snpu_fail(-ENOMEM, "no memory for a file of %llu bytes; use a machine with more", (unsigned long long)need);
			return 0;
		}
		w->data = grown;
		w->room = need * 2;
	}
	memset(w->data + w->size, 0, at - w->size);
	memcpy(w->data + at, from, bytes);
	w->size = need;
	return at;
}

static json_t *shape_of(const struct snpu_tensor *t)
{
	json_t *shape = json_array();

	for (unsigned i = 0; i < t->rank; i++)
		json_array_append_new(shape, json_integer((json_int_t)t->shape[i]));
	return shape;
}

static json_t *floats(struct writer *w, const struct snpu_tensor *t)
{
	return json_pack("{s:s, s:o, s:I}", "type", "f32", "shape", shape_of(t), "at", (json_int_t)append(w, t->data, t->count * sizeof(float)));
}

/* All inputs of a node are worth the same, so that one step for each row of its weights says all. */
static bool even(const struct snpu_quant_node *q, const struct snpu_node *n)
{
	for (uint64_t i = 1; i < n->in_size; i++)
		if (q->in[i] != q->in[0])
			return false;
	return true;
}

/* The first output that row o of a weight tensor makes. */
static uint64_t output_of(const struct snpu_node *n, uint64_t o)
{
	return snpu_node_opcode(n) == SNPU_OP_CONV ? o * n->window.out_h * n->window.out_w : o;
}

static json_t *integers(struct writer *w, unsigned node, const struct snpu_tensor *t)
{
	const struct snpu_node *n = &w->s->m->nodes[node];
	const struct snpu_quant_node *q = &w->s->quant->node[node];
	bool wide = w->s->sem.number == SNPU_NUMBER_INT16;
	double most = snpu_quant_weight_max(w->s->sem.number);
	uint64_t rows = t->shape[0], row = t->count / rows, at, steps_at;
	double *steps = malloc(rows * sizeof(*steps));
	int8_t *codes = malloc(t->count << wide);

	for (uint64_t o = 0; steps && codes && o < rows; o++) {
		uint64_t out = output_of(n, o);

		steps[o] = 1.0 / (q->in[0] * q->scale[out]);
		for (uint64_t i = o * row; i < (o + 1) * row; i++)
			snpu_quant_put(codes, wide, i, snpu_quant_weight(q, out, 0, t->data[i], most));
	}
	if (!steps || !codes)
		w->err = snpu_fail(-ENOMEM, "no memory for the weights of node '%s'; use a machine with more", n->name);
	at = w->err ? 0 : append(w, codes, t->count << wide);
	steps_at = w->err ? 0 : append(w, steps, rows * sizeof(*steps));
	free(steps);
	free(codes);
	return json_pack("{s:s, s:o, s:I, s:I}", "type", wide ? "int16" : "int8", "shape", shape_of(t), "at", (json_int_t)at, "steps", (json_int_t)steps_at);
}

static json_t *params_of(struct writer *w, unsigned node)
{
	const struct snpu_node *n = &w->s->m->nodes[node];
	json_t *params = json_object();

	for (int i = 0; i < SNPU_KIND_PARAMS && n->kind->param[i].name; i++) {
		const struct snpu_tensor *t = &n->param[i];
		/* Several matrices in one tensor stay floats: their rows are not its first axis. */
		bool packed = n->kind->param[i].role == SNPU_ROLE_MATRIX && !w->exact && even(&w->s->quant->node[node], n) &&
			      (n->kind->flags & SNPU_KIND_WINDOW || (!n->window.groups && t->rank == 2));

		if (t->data)
			json_object_set_new(params, n->kind->param[i].name, packed ? integers(w, node, t) : floats(w, t));
	}
	return params;
}

static json_t *list_of(unsigned n, const int64_t *values)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(list, json_integer(values[i]));
	return list;
}

static json_t *ints_of(const struct snpu_node *n)
{
	json_t *ints = json_object();
	int64_t values[2];
	const char *name;
	unsigned count;

	if (n->n_shape && (snpu_node_is(n, SNPU_KIND_ID_INPUT) || snpu_node_is(n, SNPU_KIND_ID_OUTPUT)))
		json_object_set_new(ints, "shape", list_of(n->n_shape, n->shape_given));
	if (snpu_node_is(n, SNPU_KIND_ID_FLATTEN)) {
		json_object_set_new(ints, "start_dim", list_of(1, &n->start_dim));
		json_object_set_new(ints, "end_dim", list_of(1, &n->end_dim));
		if (n->n_input_type)
			json_object_set_new(ints, "input_type", list_of(n->n_input_type, n->input_type));
	}
	for (int i = 0; i < SNPU_WINDOW_INTS; i++) {
		name = snpu_window_given(n, (enum snpu_window_int)i, &count, values);
		if (name && !(i == SNPU_WINDOW_PADDING && n->given.same))
			json_object_set_new(ints, name, list_of(count, values));
	}
	return ints;
}

static json_t *options_of(const struct snpu_session *s)
{
	json_t *options = json_pack("{s:f, s:f, s:I}", "dt", s->sem.dt, "v_min", s->opts.v_min, "max_spikes", (json_int_t)s->opts.max_spikes);

#define OPTION(name, most)	json_object_set_new(options, #name, json_integer(s->opts.name));
	SNPU_NETFILE_OPTIONS(OPTION)
#undef OPTION
	return options;
}

static json_t *describe(struct writer *w)
{
	const struct snpu_model *m = w->s->model;	/* not a view of it: a session decides on its delays itself */
	json_t *nodes = json_array(), *edges = json_array(), *metadata = json_object();

	for (unsigned i = 0; i < m->n_nodes && !w->err; i++) {
		json_t *node = json_pack("{s:s, s:s, s:o, s:o}", "name", m->nodes[i].name, "type", m->nodes[i].kind->name, "ints", ints_of(&m->nodes[i]),
					 "params", params_of(w, i));

		if (m->nodes[i].given.same)
			json_object_set_new(node, "texts", json_pack("{s:s}", "padding", "same"));
		json_array_append_new(nodes, node);
	}
	for (unsigned e = 0; e < m->n_edges; e++)
		json_array_append_new(edges, json_pack("[I, I]", (json_int_t)m->edges[e].from, (json_int_t)m->edges[e].to));
	for (unsigned i = 0; i < m->n_meta; i++)
		json_object_set_new(metadata, m->meta[i].key, json_string(m->meta[i].text));
	return json_pack("{s:s, s:o, s:o, s:o, s:o}", "format", m->format, "options", options_of(w->s), "nodes", nodes, "edges", edges, "metadata", metadata);
}

/* The file in memory, free() it. */
static int make_file(const struct snpu_session *s, bool exact, uint8_t **file, uint64_t *size)
{
	struct writer w = { .s = s, .exact = exact };
	json_t *root = describe(&w);
	char *text = root ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
	struct snpu_netfile_head head = { .magic = SNPU_NETFILE_MAGIC, .json_bytes = text ? strlen(text) : 0, .data_bytes = w.size };
	uint64_t data = (sizeof(head) + head.json_bytes + SNPU_NETFILE_ALIGN - 1) / SNPU_NETFILE_ALIGN * SNPU_NETFILE_ALIGN;

	*size = data + w.size;
	*file = text && !w.err ? calloc(1, *size) : NULL;
	if (*file) {
		memcpy(*file, &head, sizeof(head));
		memcpy(*file + sizeof(head), text, head.json_bytes);
		if (w.size)
			memcpy(*file + data, w.data, w.size);
	} else if (!w.err) {
		w.err = snpu_fail(-ENOMEM, "no memory for the file of a network; use a machine with more");
	}
	json_decref(root);
	free(text);
	free(w.data);
	return w.err;
}

/* Are the packed segments of two sessions the same? */
static int same_segments(const struct snpu_session *a, const struct snpu_session *b, bool *same)
{
	int err = 0;

	*same = a->plan.n_segments == b->plan.n_segments;
	for (unsigned i = 0; i < a->plan.n_segments && *same && !err; i++) {
		const struct snpu_segment *x = &a->plan.segments[i], *y = &b->plan.segments[i];
		uint64_t weights = x->weight_bytes, constants = x->const_bytes;
		uint8_t *image[2] = { calloc(1, weights + constants + 1), calloc(1, weights + constants + 1) };

		*same = weights == y->weight_bytes && constants == y->const_bytes;
		if (!image[0] || !image[1])
			err = snpu_fail(-ENOMEM, "no memory to try the file of a network; use a machine with more");
		if (!err && *same)
			err = snpu_pack_segment(&a->low, x, image[0], image[0] + weights);
		if (!err && *same)
			err = snpu_pack_segment(&b->low, y, image[1], image[1] + weights);
		*same = *same && !err && !memcmp(image[0], image[1], weights + constants);
		free(image[0]);
		free(image[1]);
	}
	return err;
}

/* Reads the file and makes a session from it, on the CPU; and one of the network, to have both packed alike. */
static int try_file(const struct snpu_session *s, const uint8_t *file, uint64_t size, bool *same)
{
	struct snpu_session_opts mine = { .sz = sizeof(mine) }, o = { .sz = sizeof(o) };
	struct snpu_model *m = NULL;
	struct snpu_session *a = NULL, *b = NULL;
	int err = snpu_model_load_snpu_memory(file, size, &m);

	mine.max_spikes = s->opts.max_spikes;
	mine.v_min = s->opts.v_min;
	mine.dt = s->opts.dt;
#define OPTION(name, most)	mine.name = s->opts.name;
	SNPU_NETFILE_OPTIONS(OPTION)
#undef OPTION
	if (!err)
		err = snpu_session_create(s->model, &mine, &a);
	if (!err)
		err = snpu_session_create(m, &o, &b);
	if (!err)
		err = same_segments(a, b, same);
	snpu_session_free(a);
	snpu_session_free(b);
	snpu_model_free(m);
	return err;
}

static int write_file(const char *path, const uint8_t *file, uint64_t size)
{
	FILE *f = fopen(path, "wb");
	bool ok = f && fwrite(file, 1, size, f) == size;
	int err = errno;

	if (f && fclose(f) && ok) {
		ok = false;
		err = errno;
	}
	return ok ? 0 : snpu_fail(-err, "'%s' cannot be written: %s; choose another place", path, strerror(err));
}

int snpu_session_save_model(const struct snpu_session *s, const char *path)
{
	uint8_t *file = NULL;
	uint64_t size;
	bool same = false;
	int err = s->quant ? 0 : snpu_fail(-EINVAL, "a session in floats has no integers to write; create it with the option number");

	for (int exact = 0; exact < 2 && !same && !err; exact++) {
		free(file);
		file = NULL;
		err = make_file(s, exact, &file, &size);
		if (!err)
			err = try_file(s, file, size, &same);
	}
	if (!err && !same)
		err = snpu_fail(-EIO, "the network would not come back the same from its file; this is an error in the library, please report it");
	if (!err)
		err = write_file(path, file, size);
	free(file);
	return err;
}
