// SPDX-License-Identifier: MIT
/*
 * `snpu explain`: what a model's open questions were decided to mean, and why, rule by rule and node by node; and with
 * --alternatives what would come out if they were decided otherwise. Runs nothing without that.
 */
#include "explain.h"

#include <stdlib.h>

#include "cli.h"
#include "device.h"
#include "model_info.h"

static const struct argp_option options[] = {
	{ "alternatives", 'a', NULL, 0, "also run the other readings: each option changed alone, and each dialect", 1 },
	{ "input", 'i', "[NODE=]FILE", 0, "for --alternatives: input as of `snpu run` (default: random spikes); repeatable", 1 },
	{ "samples", 'n', "N", 0, "for --alternatives: the first N samples (default: all; 8 random ones)", 1 },
	{ "steps", 's', "T", 0, "for --alternatives: steps of an image or of random spikes (default: what the model's file says, else 100)", 1 },
	{ "device", 'd', "NAME", 0, "for --alternatives: where they run (default: cpu)", 1 },
	{ "json", 'j', NULL, 0, "print JSON", 1 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct snpu_explain *e = state->input;

	switch (key) {
	case 'a': e->alternatives = true; return 0;
	case 'i': snpu_feed_add(&e->feed_opts, arg, state, "--input"); return 0;
	case 'n': e->feed_opts.last = snpu_option_whole(state, "--samples", arg, 1, 1000000); return 0;
	case 's': e->feed_opts.steps = (uint32_t)snpu_option_whole(state, "--steps", arg, 1, SNPU_FEED_STEPS_MAX); return 0;
	case 'd': e->device_name = arg; return 0;
	case 'j':
		e->json = true;
		snpu_cli_json(true);
		return 0;
	case ARGP_KEY_INIT: state->child_inputs[0] = &e->meaning; return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num)
			argp_error(state, "one model at a time, and '%s' is a second (an input needs --input)", arg);
		e->file = arg;
		return 0;
	case ARGP_KEY_END:
		if (!e->file)
			argp_error(state, "which model? Give a .nir file");
		if (e->feed_opts.n_files && !e->alternatives)
			argp_error(state, "--input is for --alternatives");
		e->feed_opts.dt = e->meaning.dt;
		return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = { { &snpu_meaning_argp, 0, NULL, 0 }, { 0 } };
static const struct argp argp = {
	.options = options, .parser = parse, .children = children, .args_doc = "MODEL.nir",
	.doc = "Says what a network means: NIR fixes equations, and leaves open how they are stepped. Every decision is shown with its rule, where it came from and the option that settles it."
	       "\vExit status: 0 done, 1 failed, 2 wrong usage, 3 there is no such device.\n"
	       "Example: snpu explain braille.nir --dialect norse --alternatives --input sample.npy",
};

/* Names of the nodes that the node hears a step late. */
static json_t *late_inputs(const struct snpu_explain *e, unsigned int node)
{
	json_t *late = json_array();
	struct snpu_edge_info edge;
	struct snpu_node_info from;

	for (unsigned int i = 0; i < snpu_model_edge_count(e->model); i++)
		if (!snpu_session_edge(e->session, i, &edge) && edge.to == node && edge.delayed && !snpu_model_node(e->model, edge.from, &from))
			json_array_append_new(late, json_string(from.name));
	return late;
}

static enum snpu_exit node_facts(struct snpu_explain *e)
{
	json_t *nodes = json_array();

	json_object_set_new(e->facts, "nodes", nodes);
	for (unsigned int i = 0; i < snpu_session_placement_count(e->session); i++) {
		int node = snpu_model_find(e->model, snpu_session_placement(e->session, i)->node);
		struct snpu_node_info n;
		const char *equation;

		if (node < 0 || snpu_model_node(e->model, (unsigned int)node, &n) || snpu_session_equation(e->session, (unsigned int)node, &equation))
			return snpu_cli_fail_library(SNPU_EXIT_FAILURE, NULL);
		json_array_append_new(nodes, json_pack("{s:s, s:s, s:I, s:b, s:s, s:o}", "node", n.name, "type", n.type, "size", (json_int_t)n.size,
						       "compute", n.compute, "equation", equation, "late", late_inputs(e, (unsigned int)node)));
	}
	return SNPU_EXIT_OK;
}

static json_t *decided_facts(const struct snpu_session *session)
{
	json_t *notes = snpu_meaning_notes(session), *n;
	size_t i;

	json_array_foreach(notes, i, n) {
		const struct snpu_rule *rule = snpu_rule_find(json_string_value(json_object_get(n, "rule")));

		json_object_set_new(n, "settle", json_string(rule ? rule->settle : "the file"));
	}
	return notes;
}

static enum snpu_exit explain(struct snpu_explain *e)
{
	struct snpu_session_opts so = { .sz = sizeof(so) };
	enum snpu_exit st;

	if (snpu_model_load_file(e->file, &e->model))
		return snpu_cli_fail_library(SNPU_EXIT_FAILURE, NULL);
	snpu_meaning_apply(&e->meaning, &so);
	if (snpu_session_create(e->model, &so, &e->session))
		return snpu_cli_fail_library(SNPU_EXIT_FAILURE, NULL);
	json_object_set_new(e->facts, "model", json_pack("{s:o, s:s, s:i}", "file", snpu_cli_string(e->file), "format", snpu_model_format(e->model),
							 "nodes", (int)snpu_model_node_count(e->model)));
	json_object_set_new(e->facts, "meaning", snpu_meaning_facts(e->session));
	json_object_set_new(e->facts, "decided", decided_facts(e->session));
	st = node_facts(e);
	if (!st && e->alternatives)
		st = snpu_device_choose(e->device_name, false, &e->device);
	if (!st && e->alternatives)
		st = snpu_explain_readings(e);
	return st;
}

enum snpu_exit snpu_cmd_explain(int argc, char **argv)
{
	struct snpu_explain e = { .device_name = "cpu", .feed_opts.last = UINT64_MAX };
	enum snpu_exit st;

	snpu_cli_parse(&argp, argc, argv, &e);
	e.facts = snpu_cli_facts();
	st = explain(&e);
	if (!st && e.json)
		snpu_cli_print_json(json_incref(e.facts));
	else if (!st)
		snpu_explain_view(e.facts);
	json_decref(e.facts);
	snpu_session_free(e.session);
	snpu_device_close(e.device);
	snpu_model_free(e.model);
	free(e.feed_opts.files);
	return st;
}
