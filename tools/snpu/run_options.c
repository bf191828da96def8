// SPDX-License-Identifier: MIT
/*
 * The options of `snpu run`. Values are checked as far as they can be without the model; node names are checked by
 * the library, which knows them.
 */
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { OPT_REQUIRE = 0x100, OPT_RASTER, OPT_RECORD, OPT_NODES, OPT_ENCODE, OPT_STEPS, OPT_SAMPLES, OPT_LABELS,
       OPT_PLACE, OPT_EXPECT, OPT_TOLERANCE, OPT_RATES };

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "What runs, and where:", 1 },
	{ "input", 'i', "[NODE=]FILE", 0, ".npz or .npy with [sample][step][...] under the input node's name, images (uint8 arrays, PNG, PGM), or a file of events; repeatable", 1 },
	{ "device", 'd', "NAME", 0, "auto, card, card:N, sim or cpu (default: auto, a card and else the CPU)", 1 },
	{ "require-device", OPT_REQUIRE, NULL, 0, "fail where a node would run on the CPU instead", 1 },
	{ "place", OPT_PLACE, "NODE=cpu", 0, "run a node on the CPU; repeatable", 1 },
	{ "samples", OPT_SAMPLES, "N|A:B", 0, "the first N samples, or samples A to B-1", 1 },
	{ "encode", OPT_ENCODE, "diffusion|rate|latency|none", 0, "turn bytes into spikes: by error diffusion (default, when they look like images), by chance, or one each, the earlier the brighter", 1 },
	{ "steps", OPT_STEPS, "T", 0, "time steps of an encoded image (default: what the model's file says), of events, or until a stream ends", 1 },
	{ NULL, 0, NULL, 0, "What comes out:", 3 },
	{ "nodes", OPT_NODES, "A,B.v", 0, "also keep these nodes: spikes, .v membrane, .i current", 3 },
	{ "record", OPT_RECORD, "OUT.npz|OUT.h5", 0, "write the output nodes, or those of --nodes, as arrays [sample][step][...]; to OUT.h5 as NIRGraphData", 3 },
	{ "raster", OPT_RASTER, "OUT.svg", 0, "draw the first sample", 3 },
	{ "rates", OPT_RATES, "OUT.svg", 0, "draw the rates of its layers over time", 3 },
	{ "labels", OPT_LABELS, "FILE|NAME", 0, "right classes: a file, or an array beside the input (default: 'labels')", 3 },
	{ "expect", OPT_EXPECT, "[NODE=]FILE:ARRAY", 0, "compare a node (default: the output) with an array of counts [sample][...] or of spikes [sample][step][...]; repeatable", 3 },
	{ "tolerance", OPT_TOLERANCE, "X", 0, "numbers of --expect may differ by X (default: 0)", 3 },
	{ "json", 'j', NULL, 0, "print JSON", 3 },
	{ "quiet", 'q', NULL, 0, "print only the class of each sample", 3 },
	{ 0 },
};

static uint64_t whole(const struct argp_state *state, const char *option, const char *arg, char stop, const char **rest)
{
	char *end;

	errno = 0;
	unsigned long long v = strtoull(arg, &end, 10);

	if (end == arg || *arg < '0' || *arg > '9' || errno || (*end && *end != stop))
		argp_error(state, "%s takes whole numbers, not '%s'", option, arg);
	if (rest)
		*rest = *end ? end + 1 : NULL;
	return v;
}

static void samples(struct snpu_run_opts *o, const char *arg, const struct argp_state *state)
{
	const char *rest;
	uint64_t first = whole(state, "--samples", arg, ':', &rest);

	o->feed.first = rest ? first : 0;
	o->feed.last = !rest ? first : *rest ? whole(state, "--samples", rest, 0, NULL) : UINT64_MAX;
	if (o->feed.first >= o->feed.last)
		argp_error(state, "--samples %s names no sample", arg);
}

static void place(struct snpu_run_opts *o, char *arg, const struct argp_state *state)
{
	char *eq = strrchr(arg, '=');

	if (!eq || eq == arg || (strcmp(eq + 1, "cpu") && strcmp(eq + 1, "device")))
		argp_error(state, "--place takes NODE=cpu or NODE=device, not '%s'", arg);
	if (o->n_place == SNPU_RUN_LIST)
		argp_error(state, "more than %d --place", SNPU_RUN_LIST);
	*eq = 0;
	o->place[o->n_place++] = (struct snpu_place_rule){ .node = arg, .device = strcmp(eq + 1, "cpu") ? 0 : -1 };
}

static void nodes(struct snpu_run_opts *o, char *arg, const struct argp_state *state)
{
	for (char *save, *name = strtok_r(arg, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		if (o->n_nodes == SNPU_RUN_LIST)
			argp_error(state, "more than %d names in --nodes", SNPU_RUN_LIST);
		o->nodes[o->n_nodes++] = name;
	}
}

static void expect(struct snpu_run_opts *o, const char *arg, const struct argp_state *state)
{
	if (!strrchr(arg, ':'))
		argp_error(state, "--expect takes FILE:ARRAY, not '%s'", arg);
	if (o->n_expect == SNPU_RUN_LIST)
		argp_error(state, "more than %d --expect", SNPU_RUN_LIST);
	o->expect[o->n_expect++] = arg;
}

/* A network of populations has its input in its file, and nothing to assume. */
static void finish_net(const struct snpu_run_opts *o, const struct argp_state *state)
{
	struct snpu_meaning nothing = { .dt = o->meaning.dt, .strict = o->meaning.strict };
	const char *what = o->feed.n_files ? "--input" : o->feed.events.stream ? "--stream" : o->n_place ? "--place" : o->n_expect ? "--expect" :
			   o->feed.labels ? "--labels" : o->feed.encode ? "--encode" : o->feed.last != UINT64_MAX ? "--samples" :
			   memcmp(&nothing, &o->meaning, sizeof(nothing)) ? "an option of what a NIR model means" : NULL;

	if (o->record && strlen(o->record) > 3 && !strcmp(o->record + strlen(o->record) - 3, ".h5"))
		argp_error(state, "records of a network of populations are written as .npz, not to %s", o->record);
	if (what)
		argp_error(state, "'%s' is a network of populations, for which %s means nothing (man snpu-run tells what does)", o->model, what);
}

static void finish(struct snpu_run_opts *o, const struct argp_state *state)
{
	if (!o->model)
		argp_error(state, "which model? Give a .nir file");
	o->net = snpu_net_is(o->model);
	if (o->net)
		finish_net(o, state);
	else if (!o->feed.n_files && !o->feed.events.stream)
		argp_error(state, "what goes in? Give --input FILE or --stream SOURCE");
	if (o->feed.n_files && o->feed.events.stream)
		argp_error(state, "--input and --stream exclude each other");
	if (o->require_device && strcmp(o->device, "cpu") == 0)
		argp_error(state, "--require-device and --device cpu exclude each other");
	o->feed.dt = o->meaning.dt;
}

static error_t parse_value(int key, char *arg, struct argp_state *state)
{
	static const char *const encodings[] = { "auto", "diffusion", "rate", "latency", "none", NULL };
	struct snpu_run_opts *o = state->input;
	char *end;

	switch (key) {
	case OPT_SAMPLES: samples(o, arg, state); return 0;
	case OPT_PLACE: place(o, arg, state); return 0;
	case OPT_NODES: nodes(o, arg, state); return 0;
	case OPT_EXPECT: expect(o, arg, state); return 0;
	case OPT_ENCODE: o->feed.encode = (enum snpu_feed_encode)snpu_option_choice(state, "--encode", arg, encodings); return 0;
	case OPT_STEPS: {
		uint64_t v = whole(state, "--steps", arg, 0, NULL);

		if (v < 1 || v > SNPU_FEED_STEPS_MAX)
			argp_error(state, "--steps takes 1 to %d, not '%s'", SNPU_FEED_STEPS_MAX, arg);
		o->feed.steps = (uint32_t)v;
		return 0;
	}
	case OPT_TOLERANCE:
		o->tolerance = strtod(arg, &end);
		if (*end || end == arg || !(o->tolerance >= 0))
			argp_error(state, "--tolerance takes a number of at least 0, not '%s'", arg);
		return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct snpu_run_opts *o = state->input;

	switch (key) {
	case 'i': snpu_feed_add(&o->feed, arg, state, "--input"); return 0;
	case 'd': o->device = arg; return 0;
	case 'j': o->json = true; snpu_cli_json(true); return 0;
	case 'q': o->quiet = true; return 0;
	case OPT_REQUIRE: o->require_device = true; return 0;
	case OPT_RASTER: o->raster = arg; return 0;
	case OPT_RATES: o->rates = arg; return 0;
	case OPT_RECORD: o->record = arg; return 0;
	case OPT_LABELS: o->feed.labels = arg; return 0;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->meaning;
		state->child_inputs[1] = &o->feed.events;
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num)
			argp_error(state, "one model is run, and '%s' is a second (an input needs --input)", arg);
		o->model = arg;
		return 0;
	case ARGP_KEY_END: finish(o, state); return 0;
	default: return parse_value(key, arg, state);
	}
}

static const struct argp_child children[] = { { &snpu_meaning_argp, 0, NULL, 0 }, { &snpu_events_argp, 0, "Events:", 4 }, { 0 } };

static const struct argp argp = {
	.options = options, .parser = parse, .children = children, .args_doc = "MODEL.nir --input FILE\nMODEL.nir --stream SOURCE\nNET.h5",
	.doc = "Runs a spiking network and says where each node ran, what had to be assumed, what came out and what it cost."
	       "\vExit status: 0 done, 1 failed, 2 wrong usage, 3 the device is missing or a node cannot run on it, 4 --expect differs, 130 interrupted.\n"
	       "Example: snpu run mnist_lif.nir --input mnist_test1000.npz --device sim --samples 1 --raster spikes.svg",
};

void snpu_run_parse(struct snpu_run_opts *o, int argc, char **argv)
{
	memset(o, 0, sizeof(*o));
	o->device = "auto";
	o->feed.last = UINT64_MAX;
	snpu_cli_parse(&argp, argc, argv, o);
}
