/* SPDX-License-Identifier: MIT */
/*
 * Reads .nir files (NIR graphs in HDF5) into a model. A client of snpu_model.h like any other: what is here is the
 * file's layout, nested graphs and the repair of edges; what a network must be is checked by the model itself.
 *
 * Files may be damaged or hostile: everything that is read has a limit, the order of groups and edges means nothing.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load/nir/h5.h"
#include "snpu/snpu_model.h"

#define NESTING		8		/* graphs in graphs; also ends cycles of hard links */
#define MAX_CHILDREN	4096
#define MAX_EDGES	65536
#define MAX_METADATA	128

#define GRAPH(prefix)	((prefix)[0] ? (prefix) : "/")

struct reader {
	struct h5x x;
	struct snpu_model *model;
	unsigned nodes;			/* groups visited so far */
};

/* A node of a graph as its edges see it: a plain node is both ends itself, a nested graph has an Input and an Output. */
struct child {
	const char *name;		/* of the list of names, while the graph is read */
	int in, out;			/* node numbers; -1: the nested graph has none */
	unsigned ins, outs;		/* how many Inputs and Outputs the nested graph has */
	bool graph, used, fed;
};

struct graph {
	struct child *child;		/* [n] */
	unsigned n;
	int in, out;
	unsigned ins, outs;
};

static int read_graph(struct reader *r, const struct h5x_dir *group, const char *prefix, unsigned depth, struct graph *out);

static int read_type(struct reader *r, const struct h5x_dir *group, const char *path, char type[H5X_NAME])
{
	uint64_t set;
	int err = h5x_dir_find(group, "type", &set);

	if (err == 0)
		err = snpu_fail(-EBADMSG, "it has no type; check the program that wrote the file");
	else if (err == 1)
		err = h5x_read_string(&r->x, set, "type", type);
	return err ? snpu_fail_in(err, "node '%s'", path) : 0;
}

static int store_floats(struct reader *r, unsigned node, const char *name, const struct h5x_array *a)
{
	float *f = malloc((a->count ? a->count : 1) * sizeof(*f));
	int err;

	if (!f)
		return snpu_fail(-ENOMEM, "no memory for the %llu numbers of '%s'", (unsigned long long)a->count, name);
	for (uint64_t i = 0; i < a->count; i++)
		f[i] = a->floats ? (float)a->f[i] : (float)a->i[i];
	err = snpu_model_set_param(r->model, node, name, a->rank, a->shape, f);
	free(f);
	return err;
}

/* A parameter of whole numbers; padding can be a text instead. */
static int read_ints(struct reader *r, uint64_t set, unsigned node, const char *path, const char *name, bool or_text)
{
	struct h5x_array a = { 0 };
	char text[H5X_NAME];
	int err;

	if (or_text && !h5x_read_string(&r->x, set, name, text))
		return snpu_model_set_text(r->model, node, name, text);
	err = h5x_read(&r->x, set, name, &a);
	if (err)
		snpu_fail_in(err, "node '%s'", path);
	else if (a.floats || a.count > SNPU_MAX_RANK)
		err = snpu_fail(-EBADMSG, "node '%s': '%s' must be at most %d whole numbers; check the program that wrote the file", path, name, SNPU_MAX_RANK);
	else
		err = snpu_model_set_ints(r->model, node, name, (unsigned)a.count, a.i);
	h5x_array_free(&a);
	return err;
}

/* One dataset of a node. What the node's type does not have is noted and left alone. */
static int read_param(struct reader *r, const struct h5x_dir *group, unsigned node, const char *path, const char *name)
{
	int has = snpu_model_has_param(r->model, node, name), err;
	struct h5x_array a = { 0 };
	uint64_t set;

	if (!has)
		return snpu_model_add_note(r->model, SNPU_NOTE_INFO, "field-ignored", path, "'%s' means nothing for this type of node and is ignored", name);
	err = h5x_dir_find(group, name, &set);
	if (err == 1 && has > 1)
		return read_ints(r, set, node, path, name, has == 3);
	if (err == 1)
		err = h5x_read(&r->x, set, name, &a);
	if (err)
		snpu_fail_in(err, "node '%s'", path);
	else
		err = store_floats(r, node, name, &a);
	h5x_array_free(&a);
	return err;
}

static int read_plain(struct reader *r, const struct h5x_dir *group, const char *path, const char *type, struct child *c)
{
	int node = snpu_model_add_node(r->model, path, type), err = 0;

	if (node < 0)
		return node;
	c->in = c->out = node;
	c->ins = c->outs = 1;
	for (unsigned i = 0; i < group->n && !err; i++)
		if (strcmp(group->link[i].name, "type") && strcmp(group->link[i].name, "metadata"))
			err = read_param(r, group, (unsigned)node, path, group->link[i].name);
	return err;
}

static int read_nested(struct reader *r, const struct h5x_dir *group, char path[H5X_NAME], unsigned depth, struct child *c)
{
	struct graph g = { 0 };
	int err;

	if (strlen(path) + 2 > H5X_NAME)
		return snpu_fail(-EBADMSG, "the name of graph '%s' is too long", path);
	strcat(path, "/");
	err = read_graph(r, group, path, depth + 1, &g);
	c->graph = true;
	c->in = g.in;
	c->out = g.out;
	c->ins = g.ins;
	c->outs = g.outs;
	free(g.child);
	return err;
}

static int read_child(struct reader *r, const struct h5x_dir *nodes, const char *prefix, unsigned depth, struct child *c, char type[H5X_NAME])
{
	char path[H5X_NAME];
	struct h5x_dir group = { 0 };
	uint64_t address;
	int err;

	if (snprintf(path, sizeof(path), "%s%s", prefix, c->name) >= (int)sizeof(path))
		return snpu_fail(-EBADMSG, "the name of node '%s' is longer than %d bytes with the graphs around it", c->name, H5X_NAME - 1);
	if (++r->nodes > MAX_CHILDREN)
		return snpu_fail(-EBADMSG, "the file has more than %d nodes; it is damaged, or contains itself", MAX_CHILDREN);
	err = h5x_dir_find(nodes, c->name, &address);
	if (err == 1)
		err = h5x_dir_read(&r->x, address, path, &group);
	if (!err)
		err = read_type(r, &group, path, type);
	if (!err)
		err = strcmp(type, "NIRGraph") ? read_plain(r, &group, path, type, c) : read_nested(r, &group, path, depth, c);
	h5x_dir_free(&group);
	return err;
}

static int read_children(struct reader *r, const struct h5x_dir *nodes, const char *prefix, unsigned depth, struct graph *g)
{
	char type[H5X_NAME];
	int err;

	if (nodes->n > MAX_CHILDREN)
		return snpu_fail(-EBADMSG, "graph '%s' has %u nodes, at most %d are possible", GRAPH(prefix), nodes->n, MAX_CHILDREN);
	g->child = calloc(nodes->n ? nodes->n : 1, sizeof(*g->child));
	if (!g->child)
		return snpu_fail(-ENOMEM, "no memory for the %u nodes of graph '%s'", nodes->n, GRAPH(prefix));
	for (; g->n < nodes->n; g->n++) {
		struct child *c = &g->child[g->n];

		c->name = nodes->link[g->n].name;
		err = read_child(r, nodes, prefix, depth, c, type);
		if (err)
			return err;
		if (!c->graph && !strcmp(type, "Input")) {
			g->in = c->in;
			g->ins++;
		}
		if (!c->graph && !strcmp(type, "Output")) {
			g->out = c->out;
			g->outs++;
		}
	}
	return 0;
}

static struct child *find_child(const struct graph *g, const char *name)
{
	for (unsigned i = 0; i < g->n; i++)
		if (!strcmp(g->child[i].name, name))
			return &g->child[i];
	return NULL;
}

/*
 * Marks the nodes that edges name. When edges name exactly one node that is not there, and exactly one node is named by
 * no edge, they mean each other (*alias): an exporter that renamed one and not the other. Otherwise it is an error.
 */
static int resolve_names(struct reader *r, const char *prefix, const struct graph *g, char **ends, uint64_t n_ends, const char **unknown,
			 struct child **alias)
{
	unsigned unused = 0;
	char node[2 * H5X_NAME];

	*unknown = NULL;
	for (uint64_t i = 0; i < n_ends; i++) {
		struct child *c = find_child(g, ends[i]);

		if (c)
			c->used = true;
		else if (!*unknown)
			*unknown = ends[i];
		else if (strcmp(*unknown, ends[i]))
			return snpu_fail(-EBADMSG, "edges of graph '%s' name the nodes '%s' and '%s', which do not exist; check the program that wrote the file",
					 GRAPH(prefix), *unknown, ends[i]);
	}
	if (!*unknown)
		return 0;
	for (unsigned i = 0; i < g->n; i++)
		if (!g->child[i].used) {
			*alias = &g->child[i];
			unused++;
		}
	if (unused != 1)
		return snpu_fail(-EBADMSG, "edges of graph '%s' name the node '%s', which does not exist, and %u nodes are without edges, so it cannot be told which is meant; check the program that wrote the file",
				 GRAPH(prefix), *unknown, unused);
	(*alias)->used = true;
	snprintf(node, sizeof(node), "%s%s", prefix, (*alias)->name);
	return snpu_model_add_note(r->model, SNPU_NOTE_ASSUMED, "edge-repaired", node,
				   "edges of graph '%s' name '%s', which does not exist; taken to mean this node, the only one without edges", GRAPH(prefix), *unknown);
}

static int add_edge(struct reader *r, const char *prefix, const struct child *from, struct child *to)
{
	if (from->outs != 1 || to->ins != 1)
		return snpu_fail(-ENOTSUP, "the nested graph '%s%s' has %u %s, so an edge to its name is ambiguous; give it exactly one", prefix,
				 from->outs != 1 ? from->name : to->name, from->outs != 1 ? from->outs : to->ins, from->outs != 1 ? "Outputs" : "Inputs");
	to->fed = true;
	return snpu_model_add_edge(r->model, (unsigned)from->out, (unsigned)to->in);
}

static int read_edges(struct reader *r, const struct h5x_dir *group, const char *prefix, struct graph *g)
{
	const char *unknown;
	struct child *alias = NULL;
	char **ends = NULL;
	uint64_t n = 0;
	uint64_t set;
	int err = h5x_dir_find(group, "edges", &set);

	if (err != 1)
		return err ? snpu_fail_in(err, "graph '%s'", GRAPH(prefix))
			   : snpu_fail(-EBADMSG, "graph '%s' has no list of edges; check the program that wrote the file", GRAPH(prefix));
	err = h5x_read_pairs(&r->x, set, "edges", MAX_EDGES, &ends, &n);
	if (!err)
		err = resolve_names(r, prefix, g, ends, 2 * n, &unknown, &alias);
	for (uint64_t i = 0; i < n && !err; i++) {
		struct child *from = find_child(g, ends[2 * i]), *to = find_child(g, ends[2 * i + 1]);

		err = add_edge(r, prefix, from ? from : alias, to ? to : alias);
	}
	for (unsigned i = 0; i < g->n && !err; i++)
		if (g->child[i].graph && !g->child[i].fed)
			err = snpu_fail(-EBADMSG, "nothing leads into the nested graph '%s%s'; connect it or remove it", prefix, g->child[i].name);
	free(ends);
	return err;
}

static int read_graph(struct reader *r, const struct h5x_dir *group, const char *prefix, unsigned depth, struct graph *out)
{
	struct graph g = { .in = -1, .out = -1 };
	struct h5x_dir nodes = { 0 };
	uint64_t address;
	int err;

	if (depth > NESTING)
		return snpu_fail(-EBADMSG, "graphs are nested more than %d deep at '%s'; the file is damaged, or contains itself", NESTING, GRAPH(prefix));
	err = h5x_dir_find(group, "nodes", &address);
	if (err == 0)
		err = snpu_fail(-EBADMSG, "graph '%s' has no nodes; check the program that wrote the file", GRAPH(prefix));
	else if (err == 1)
		err = h5x_dir_read(&r->x, address, "nodes", &nodes);
	if (!err)
		err = read_children(r, &nodes, prefix, depth, &g);
	if (!err)
		err = read_edges(r, group, prefix, &g);
	h5x_dir_free(&nodes);
	*out = g;
	return err;
}

/* The shortest text that reads back as the same number; whole numbers in digits, so that T = 20 is "20" and not "2e+01". */
static void number_text(double v, char text[H5X_NAME])
{
	if (v == rint(v) && fabs(v) < 1e15) {
		snprintf(text, H5X_NAME, "%.0f", v);
		return;
	}
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(text, H5X_NAME, "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			return;
	}
}

/* One entry of the metadata as text; what is no string and no single number is left out. */
static int read_meta_entry(struct reader *r, const struct h5x_dir *meta, const char *key)
{
	struct h5x_array a = { 0 };
	char text[H5X_NAME] = "";
	uint64_t set;

	if (h5x_dir_find(meta, key, &set) != 1)
		return 0;
	if (!h5x_read(&r->x, set, key, &a) && a.count == 1)
		number_text(a.floats ? a.f[0] : (double)a.i[0], text);
	else if (!a.f && !a.i && h5x_read_string(&r->x, set, key, text))
		text[0] = 0;
	h5x_array_free(&a);
	return text[0] ? snpu_model_set_metadata(r->model, key, text) : 0;
}

/* The author's own words. metadata/dt is a hint only, so one that cannot be read is no error. */
static int read_metadata(struct reader *r, const struct h5x_dir *node)
{
	struct h5x_dir meta;
	uint64_t address;
	const char *dt;
	int err = 0;

	if (h5x_dir_find(node, "metadata", &address) != 1)
		return 0;
	if (!h5x_dir_read(&r->x, address, "metadata", &meta))
		for (unsigned i = 0; i < meta.n && i < MAX_METADATA && !err; i++)
			err = read_meta_entry(r, &meta, meta.link[i].name);
	h5x_dir_free(&meta);
	dt = snpu_model_metadata(r->model, "dt");
	if (err || !dt)
		return err;
	return strtod(dt, NULL) > 0.0 && strtod(dt, NULL) < 1e9
		       ? snpu_model_set_dt(r->model, strtod(dt, NULL))
		       : snpu_model_add_note(r->model, SNPU_NOTE_WARNING, "metadata-dt", "", "dt in the file's metadata is '%s', which is no time step, and is ignored", dt);
}

static int read_version(struct reader *r, const struct h5x_dir *file)
{
	char version[H5X_NAME], format[64] = "NIR";
	uint64_t set;

	if (h5x_dir_find(file, "version", &set) == 1 && !h5x_read_string(&r->x, set, "version", version)) {
		version[strspn(version, "0123456789.abcdefghijklmnopqrstuvwxyz+-")] = 0;	/* it is shown as it is */
		snprintf(format, sizeof(format), "NIR %.32s", version);
	}
	return snpu_model_set_format(r->model, format);
}

static int read_root(struct reader *r, const struct h5x_dir *file)
{
	char type[H5X_NAME];
	struct graph g = { 0 };
	struct child single = { .name = "node" };
	struct h5x_dir node = { 0 };
	uint64_t address;
	int err = h5x_dir_find(file, "node", &address);

	if (err == 0)
		return snpu_fail(-EBADMSG, "it is an HDF5 file, but not a NIR graph (there is no group 'node'); give a file that nir.write() made");
	if (err == 1)
		err = h5x_dir_read(&r->x, address, "node", &node);
	if (!err)
		err = read_type(r, &node, "/", type);
	if (!err)
		err = strcmp(type, "NIRGraph") ? read_plain(r, &node, single.name, type, &single) : read_graph(r, &node, "", 1, &g);
	free(g.child);
	if (!err)
		err = read_metadata(r, &node);
	h5x_dir_free(&node);
	return err ? err : read_version(r, file);
}

static int read_file(struct reader *r, const void *mem, size_t size)
{
	struct h5x_dir file = { 0 };
	int err = h5x_open(&r->x, mem, size);

	if (!err)
		err = h5x_dir_read(&r->x, r->x.root, "/", &file);
	if (!err)
		err = read_root(r, &file);
	h5x_dir_free(&file);
	return err;
}

int snpu_model_load_nir_memory(const void *mem, size_t size, struct snpu_model **out)
{
	struct reader r = { 0 };
	int err;

	if (size >= 4 && !memcmp(mem, "PK\3\4", 4))
		return snpu_fail(-EBADMSG, "it is a zip archive, not a NIR file; torch.save() writes such files: export the network with nir.write() instead");
	err = snpu_model_create(&r.model);
	if (err)
		return err;
	err = read_file(&r, mem, size);
	if (!err)
		err = snpu_model_finish(r.model);
	if (err) {
		snpu_model_free(r.model);
		return err;
	}
	*out = r.model;
	return 0;
}

int snpu_model_load_nir(const char *path, struct snpu_model **out)
{
	void *mem;
	size_t size;
	int err = h5x_file_read(path, &mem, &size);

	if (err)
		return err;
	err = snpu_model_load_nir_memory(mem, size, out);
	free(mem);
	return err ? snpu_fail_in(err, "'%s'", path) : 0;
}
