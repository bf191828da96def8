/* SPDX-License-Identifier: MIT */
/*
 * Reads a network from a file of our own. Everything in it is judged: JSON by jansson, offsets and sizes here, and what they mean by the same
 * calls as of any other loader. One thread.
 */
#include "load/netfile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/fail.h"
#include "load/ckpt.h"

struct reader {
	struct snpu_model *m;
	const uint8_t *data;
	uint64_t size;				/* of the data, bytes */
};

static int damaged(const char *what, const char *of)
{
	return snpu_fail(-EBADMSG, "the file is damaged: %s%s%s%s; write it again with `snpu quantize`", what, *of ? " of '" : "", of, *of ? "'" : "");
}

/* Elements of `bytes` bytes at a place in the data; NULL: not all of them are there. */
static const void *piece(const struct reader *r, const json_t *at, uint64_t count, uint64_t bytes)
{
	json_int_t offset = json_is_integer(at) ? json_integer_value(at) : -1;
	uint64_t size;

	if (offset < 0 || offset % 8 || !snpu_mul(count, bytes, &size) || !snpu_range_ok((uint64_t)offset, size, r->size))
		return NULL;
	return r->data + offset;
}

/* Integers times a step for each row of the first axis. */
static int set_integers(struct reader *r, unsigned node, const char *param, const json_t *p, unsigned rank, const uint64_t *shape, uint64_t count, bool wide)
{
	const void *q = piece(r, json_object_get(p, "at"), count, wide ? 2 : 1);
	const double *step = piece(r, json_object_get(p, "steps"), rank ? shape[0] : 1, sizeof(*step));
	float *w = q && step ? malloc((count ? count : 1) * sizeof(*w)) : NULL;
	uint64_t row = rank && shape[0] ? count / shape[0] : 1;
	int err;

	if (!q || !step)
		return damaged("weights beyond its end", r->m->nodes[node].name);
	if (!w)
		return snpu_fail(-ENOMEM, "no memory for %llu weights; use a machine with more", (unsigned long long)count);
	for (uint64_t i = 0; i < count; i++)
		w[i] = (float)((wide ? ((const int16_t *)q)[i] : ((const int8_t *)q)[i]) * step[i / row]);
	err = snpu_model_set_param(r->m, node, param, rank, shape, w);
	free(w);
	return err;
}

static int set_param(struct reader *r, unsigned node, const char *param, const json_t *p)
{
	const json_t *shape = json_object_get(p, "shape");
	const char *type = json_string_value(json_object_get(p, "type"));
	uint64_t dims[SNPU_MAX_RANK], count = 1;
	const float *data;

	if (!type || !json_is_array(shape) || json_array_size(shape) > SNPU_MAX_RANK)
		return damaged("a parameter without type or shape", r->m->nodes[node].name);
	for (size_t i = 0; i < json_array_size(shape); i++) {
		json_int_t n = json_integer_value(json_array_get(shape, i));

		if (n < 1 || !snpu_mul(count, (uint64_t)n, &count))
			return damaged("an impossible shape", r->m->nodes[node].name);
		dims[i] = (uint64_t)n;
	}
	if (!strcmp(type, "int8") || !strcmp(type, "int16"))
		return set_integers(r, node, param, p, (unsigned)json_array_size(shape), dims, count, !strcmp(type, "int16"));
	data = !strcmp(type, "f32") ? piece(r, json_object_get(p, "at"), count, sizeof(*data)) : NULL;
	if (!data)
		return damaged("a parameter beyond its end", r->m->nodes[node].name);
	return snpu_model_set_param(r->m, node, param, (unsigned)json_array_size(shape), dims, data);
}

static int set_ints(struct reader *r, unsigned node, const char *param, const json_t *list)
{
	int64_t values[SNPU_MAX_RANK];
	size_t n = json_array_size(list);

	if (!json_is_array(list) || n > SNPU_MAX_RANK)
		return damaged("a list of whole numbers", r->m->nodes[node].name);
	for (size_t i = 0; i < n; i++)
		values[i] = json_integer_value(json_array_get(list, i));
	return snpu_model_set_ints(r->m, node, param, (unsigned)n, values);
}

static int read_node(struct reader *r, json_t *node)
{
	const char *name = json_string_value(json_object_get(node, "name")), *type = json_string_value(json_object_get(node, "type")), *key;
	int at = name && type ? snpu_model_add_node(r->m, name, type) : damaged("a node without name or type", "");
	json_t *value;
	int err = 0;

	if (at < 0)
		return at;
	json_object_foreach(json_object_get(node, "ints"), key, value) {
		err = set_ints(r, (unsigned)at, key, value);
		if (err)
			return err;
	}
	json_object_foreach(json_object_get(node, "texts"), key, value) {
		err = json_is_string(value) ? snpu_model_set_text(r->m, (unsigned)at, key, json_string_value(value)) : damaged("a text", name);
		if (err)
			return err;
	}
	json_object_foreach(json_object_get(node, "params"), key, value) {
		err = set_param(r, (unsigned)at, key, value);
		if (err)
			return err;
	}
	return 0;
}

static int read_edge(struct reader *r, const json_t *edge)
{
	const json_t *from = json_array_get(edge, 0), *to = json_array_get(edge, 1);

	if (!json_is_integer(from) || !json_is_integer(to) || json_integer_value(from) < 0 || json_integer_value(to) < 0 ||
	    json_integer_value(from) > UINT32_MAX || json_integer_value(to) > UINT32_MAX)
		return damaged("an edge", "");
	return snpu_model_add_edge(r->m, (unsigned)json_integer_value(from), (unsigned)json_integer_value(to));
}

/* One option; absent: its default. */
static int read_option(const json_t *options, const char *name, int64_t most, int64_t *out)
{
	const json_t *v = json_object_get(options, name);

	*out = json_integer_value(v);
	return v && (!json_is_integer(v) || *out < 0 || *out > most) ? damaged("the option", name) : 0;
}

static int read_options(struct snpu_model *m, const json_t *options)
{
	struct snpu_session_opts *o = &m->preset;
	int64_t v = 0;
	int err = 0;

#define OPTION(name, most)				\
	if (!err)					\
		err = read_option(options, #name, most, &v);	\
	o->name = v;
	SNPU_NETFILE_OPTIONS(OPTION)
#undef OPTION
	if (!err)
		err = read_option(options, "max_spikes", UINT32_MAX, &v);
	o->max_spikes = (uint32_t)v;
	o->dt = json_number_value(json_object_get(options, "dt"));
	o->v_min = json_number_value(json_object_get(options, "v_min"));
	m->has_preset = true;
	if (!err && (!(o->dt >= 0.0) || !isfinite(o->dt) || !isfinite(o->v_min)))
		err = damaged("its time step", "");
	return err;
}

static int read_all(struct reader *r, json_t *root)
{
	const char *format = json_string_value(json_object_get(root, "format")), *key;
	json_t *nodes = json_object_get(root, "nodes"), *edges = json_object_get(root, "edges"), *value;
	size_t i;
	int err = json_is_array(nodes) && json_is_array(edges) ? 0 : damaged("no nodes or no edges", "");

	for (i = 0; i < json_array_size(nodes) && !err; i++)
		err = read_node(r, json_array_get(nodes, i));
	for (i = 0; i < json_array_size(edges) && !err; i++)
		err = read_edge(r, json_array_get(edges, i));
	if (err)
		return err;
	json_object_foreach(json_object_get(root, "metadata"), key, value)
		if (json_is_string(value) && snpu_model_set_metadata(r->m, key, json_string_value(value)))
			return -ENOMEM;
	err = snpu_model_set_format(r->m, format ? format : "");
	if (!err)
		err = read_options(r->m, json_object_get(root, "options"));
	return err ? err : snpu_model_finish(r->m);
}

int snpu_model_load_snpu_memory(const void *mem, size_t size, struct snpu_model **out)
{
	struct snpu_netfile_head head;
	struct reader r = { 0 };
	json_error_t why;
	uint64_t data;
	json_t *root;
	int err;

	if (size < sizeof(head) || memcmp(mem, SNPU_NETFILE_MAGIC, 8))
		return snpu_fail(-EBADMSG, "the file is not a network that `snpu quantize` wrote; give one, or a .nir file");
	memcpy(&head, mem, sizeof(head));
	if (!snpu_add(sizeof(head), head.json_bytes, &data) || data > size - size % 8)
		return damaged("its head", "");
	data = (data + SNPU_NETFILE_ALIGN - 1) / SNPU_NETFILE_ALIGN * SNPU_NETFILE_ALIGN;
	if (data > size || head.data_bytes != size - data)
		return damaged("its length", "");
	root = json_loadb((const char *)mem + sizeof(head), head.json_bytes, JSON_REJECT_DUPLICATES, &why);
	if (!root)
		return damaged(why.text, "");
	r.data = (const uint8_t *)mem + data;
	r.size = head.data_bytes;
	err = snpu_model_create(&r.m);
	if (!err)
		err = read_all(&r, root);
	json_decref(root);
	if (err) {
		snpu_model_free(r.m);
		return err;
	}
	*out = r.m;
	return 0;
}

int snpu_model_load_snpu(const char *path, struct snpu_model **out)
{
	size_t size = 0;
	const void *mem = NULL;
	int err = snpu_file_map(path, 0, &mem, &size);

	if (err)
		return err;
	err = snpu_model_load_snpu_memory(mem, size, out);
	snpu_file_unmap(mem, size);
	return err ? snpu_fail_in(err, "'%s'", path) : 0;
}
