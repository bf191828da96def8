// SPDX-License-Identifier: MIT
/*
 * `snpu info MODEL.nir`: the layers of a network as they were read: types, shapes, how many numbers each has, and the products that
 * a dense computation of one step would take. Nothing is run, and no time step is needed.
 */
#include "model_info.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <snpu/snpu_model.h>

#include "text.h"

#define NODES_SHOWN	30

bool snpu_model_file(const char *name)
{
	size_t n = strlen(name);

	return (n > 4 && !strcmp(name + n - 4, ".nir")) || (n > 5 && !strcmp(name + n - 5, ".snpu"));
}

int snpu_model_load_file(const char *file, struct snpu_model **model)
{
	char magic[4] = { 0 };
	FILE *f = fopen(file, "rb");
	size_t n = f ? fread(magic, 1, sizeof(magic), f) : 0;

	if (f)
		fclose(f);
	return n == sizeof(magic) && !memcmp(magic, "SNPU", sizeof(magic)) ? snpu_model_load_snpu(file, model) : snpu_model_load_nir(file, model);
}

static json_t *shape_facts(const struct snpu_node_info *n)
{
	json_t *shape = json_array();

	for (unsigned int i = 0; i < n->rank; i++)
		json_array_append_new(shape, json_integer((json_int_t)n->shape[i]));
	return shape;
}

/* The first node that feeds it; a node's inputs are summed, so they are all alike. */
static bool source_of(const struct snpu_model *m, unsigned int node, struct snpu_node_info *from)
{
	struct snpu_edge_info e;

	for (unsigned int i = 0; i < snpu_model_edge_count(m); i++)
		if (snpu_model_edge(m, i, &e) == 0 && e.to == node)
			return snpu_model_node(m, e.from, from) == 0;
	return false;
}

/* Products of a weight and an input in a dense step: each kernel once for each position, each matrix once for each vector. */
static double dense_products(const struct snpu_node_info *n, const struct snpu_node_info *from)
{
	if (!n->weights || !n->rank)
		return 0;
	if (strncmp(n->type, "Conv", 4) == 0)
		return (double)n->weights * ((double)n->size / (double)n->shape[0]);
	return (double)n->size * (double)(n->rank == 1 ? from->size : from->shape[from->rank - 1]);
}

static json_t *node_facts(const struct snpu_model *m, unsigned int node)
{
	struct snpu_node_info n, from = { .name = "" };
	bool fed = source_of(m, node, &from);

	if (snpu_model_node(m, node, &n))
		return NULL;
	return json_pack("{s:s, s:s, s:o, s:o, s:b, s:o, s:o, s:o, s:f}", "node", n.name, "type", n.type, "in", fed ? shape_facts(&from) : json_array(), "out",
			 shape_facts(&n), "compute", n.compute, "neurons", json_integer(n.neuron ? (json_int_t)n.size : 0), "weights",
			 json_integer((json_int_t)n.weights), "parameters", json_integer((json_int_t)n.parameters), "dense_synops", dense_products(&n, &from));
}

static json_t *notes_facts(const struct snpu_model *m)
{
	static const char *const kinds[] = { "info", "assumed", "warning" };
	json_t *notes = json_array();

	for (unsigned int i = 0; i < snpu_model_note_count(m); i++) {
		const struct snpu_note *n = snpu_model_note(m, i);

		json_array_append_new(notes, json_pack("{s:s, s:s, s:s, s:s}", "kind", kinds[n->kind % 3], "rule", n->rule, "node", n->node, "text", n->text));
	}
	return notes;
}

/* Adds `by` to what waits for the values of this step that the node gives. */
static void release(const struct snpu_model *m, unsigned int node, unsigned int *waits, unsigned int by)
{
	struct snpu_edge_info e;

	for (unsigned int i = 0; i < snpu_model_edge_count(m); i++)
		if (snpu_model_edge(m, i, &e) == 0 && e.from == node && !e.delayed)
			waits[e.to] += by;
}

/* The next node in the order of a step; what a Delay alone keeps waiting comes when nothing else can. */
static unsigned int next_node(const unsigned int *waits, const bool *done, unsigned int n)
{
	unsigned int first = n;

	for (unsigned int i = 0; i < n; i++) {
		if (!done[i] && !waits[i])
			return i;
		if (!done[i] && first == n)
			first = i;
	}
	return first;
}

static json_t *model_facts(const struct snpu_model *m, const char *file)
{
	unsigned int n = snpu_model_node_count(m), *waits = calloc(n + 1, sizeof(*waits)), node;
	bool *done = calloc(n + 1, sizeof(*done));
	json_t *nodes = json_array();

	for (unsigned int i = 0; i < n && waits; i++)
		release(m, i, waits, 1);
	while (done && waits && (node = next_node(waits, done, n)) < n) {
		json_t *facts = node_facts(m, node);

		done[node] = true;
		release(m, node, waits, ~0u);
		if (facts)
			json_array_append_new(nodes, facts);
	}
	free(waits);
	free(done);
	return json_pack("{s:o, s:s, s:o, s:o}", "file", snpu_cli_string(file), "format", snpu_model_format(m), "nodes", nodes, "notes", notes_facts(m));
}

static void node_row(struct snpu_table *t, const json_t *n)
{
	char shape[300];

	snprintf(shape, sizeof(shape), "%s→%s", snpu_text_shape(SNPU_TEXT, snpu_fact(n, "in")), snpu_text_shape(SNPU_TEXT, snpu_fact(n, "out")));
	if (json_equal(snpu_fact(n, "in"), snpu_fact(n, "out")) || !json_array_size(snpu_fact(n, "in")))
		snprintf(shape, sizeof(shape), "%s", snpu_text_shape(SNPU_TEXT, snpu_fact(n, "out")));
	SNPU_ROW(t, snpu_fact_text(n, "node"), snpu_fact_text(n, "type"), shape,
		 snpu_fact_number(n, "neurons") > 0 ? snpu_text_count(SNPU_TEXT, snpu_fact_number(n, "neurons")) : "",
		 snpu_fact_number(n, "parameters") > 0 ? snpu_text_count(SNPU_TEXT, snpu_fact_number(n, "parameters")) : "",
		 snpu_fact_number(n, "dense_synops") > 0 ? snpu_text_count(SNPU_TEXT, snpu_fact_number(n, "dense_synops")) : "");
}

static void print_model(const json_t *model)
{
	FILE *f = snpu_screen_begin();
	const json_t *nodes = snpu_fact(model, "nodes");
	struct snpu_table t = { .align = "<<<>>>", .columns = snpu_screen_columns() };
	double neurons = 0, parameters = 0, dense = 0;
	json_t *n;
	size_t i;

	SNPU_ROW(&t, "node", "type", "shape", "neurons", "parameters", "dense synops a step");
	json_array_foreach(nodes, i, n) {
		neurons += snpu_fact_number(n, "neurons");
		parameters += snpu_fact_number(n, "parameters");
		dense += snpu_fact_number(n, "dense_synops");
		if (i < NODES_SHOWN)
			node_row(&t, n);
	}
	SNPU_ROW(&t, "", "", "", snpu_text_count(SNPU_TEXT, neurons), snpu_text_count(SNPU_TEXT, parameters), snpu_text_count(SNPU_TEXT, dense));
	fprintf(f, "%-*s%s  %s\n", SNPU_LABEL, "model", snpu_text_basename(snpu_fact_text(model, "file")), snpu_fact_text(model, "format"));
	snpu_table_print(&t, f, "nodes");
	if (json_array_size(nodes) > NODES_SHOWN)
		fprintf(f, "%*s... %zu more nodes: --json has all\n", SNPU_LABEL, "", json_array_size(nodes) - NODES_SHOWN);
	fprintf(f, "%-*s%s: --json has them\n", SNPU_LABEL, "notes", snpu_text_of(SNPU_TEXT, (double)json_array_size(snpu_fact(model, "notes")), "note"));
	fprintf(f, "%-*ssnpu run %s --input FILE\n", SNPU_LABEL, "next", snpu_fact_text(model, "file"));
	snpu_screen_end();
}

enum snpu_exit snpu_model_info(const char *file, bool json)
{
	struct snpu_model *m = NULL;
	int err = snpu_model_load_file(file, &m);
	json_t *facts;

	if (err)
		return snpu_cli_fail_library(SNPU_EXIT_FAILURE, err == -ENOENT ? "check the path; a model is a file that a NIR exporter wrote" : NULL);
	facts = snpu_cli_facts();
	json_object_set_new(facts, "model", model_facts(m, file));
	snpu_model_free(m);
	if (json)
		return snpu_cli_print_json(facts) ? SNPU_EXIT_OK : SNPU_EXIT_FAILURE;
	print_model(snpu_fact(facts, "model"));
	json_decref(facts);
	return SNPU_EXIT_OK;
}
