// SPDX-License-Identifier: MIT
/*
 * The options of `snpu run`. Values are checked as far as they can be without the model; node names are checked by
 * the library, which knows them.
 */
#include "run.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { OPT_REQUIRE = 0x100, OPT_RASTER, OPT_RECORD, OPT_NODES, OPT_DT, OPT_RESET, OPT_COMPARE, OPT_INTEGRATOR, OPT_GAIN, OPT_STRICT, OPT_ENCODE, OPT_STEPS, OPT_SAMPLES, OPT_LABELS,
       OPT_PLACE, OPT_EXPECT, OPT_TOLERANCE };

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "What runs, and where:", 1 },
	{ "input", 'i', "[NODE=]FILE", 0, ".npz or .npy with [sample][step][...] under the input node's name, or images (uint8 arrays, PNG, PGM); repeatable", 1 },
	{ "device", 'd', "NAME", 0, "auto, card, card:N, sim or cpu (default: auto, a card and else the CPU)", 1 },
	{ "require-device", OPT_REQUIRE, NULL, 0, "fail where a node would run on the CPU instead", 1 },
	{ "place", OPT_PLACE, "NODE=cpu", 0, "run a node on the CPU; repeatable", 1 },
	{ "samples", OPT_SAMPLES, "N|A:B", 0, "the first N samples, or samples A to B-1", 1 },
	{ "encode", OPT_ENCODE, "diffusion|none", 0, "turn bytes into spikes by error diffusion (default: when they look like images)", 1 },
	{ "steps", OPT_STEPS, "T", 0, "time steps of an encoded image (default: what the model's file says)", 1 },
	{ NULL, 0, NULL, 0, "What the model means:", 2 },
	{ "dt", OPT_DT, "TIME", 0, "time step: 1ms, 100us, 0.001 (default: from the file)", 2 },
	{ "reset", OPT_RESET, "value|subtract|delta", 0, "what a spike does to the membrane", 2 },
	{ "compare", OPT_COMPARE, "gt|ge", 0, "a neuron fires above its threshold, or also at it", 2 },
	{ "integrator", OPT_INTEGRATOR, "euler|exp", 0, "how a step integrates the equation", 2 },
	{ "gain", OPT_GAIN, "r|r-dt", 0, "how IF and I scale their input each step", 2 },
	{ "strict", OPT_STRICT, NULL, 0, "an assumption is an error", 2 },
	{ NULL, 0, NULL, 0, "What comes out:", 3 },
	{ "nodes", OPT_NODES, "A,B.v", 0, "also keep these nodes: spikes, .v membrane, .i current", 3 },
	{ "record", OPT_RECORD, "OUT.npz", 0, "write the output nodes, or those of --nodes, as arrays [sample][step][...]", 3 },
	{ "raster", OPT_RASTER, "OUT.svg", 0, "draw the first sample", 3 },
	{ "labels", OPT_LABELS, "FILE|NAME", 0, "right classes: a file, or an array beside the input (default: 'labels')", 3 },
	{ "expect", OPT_EXPECT, "[NODE=]FILE:ARRAY", 0, "compare a node (default: the output) with an array of counts [sample][...] or of spikes [sample][step][...]; repeatable", 3 },
	{ "tolerance", OPT_TOLERANCE, "X", 0, "numbers of --expect may differ by X (default: 0)", 3 },
	{ "json", 'j', NULL, 0, "print JSON", 3 },
	{ "quiet", 'q', NULL, 0, "print only the class of each sample", 3 },
	{ 0 },
};

static int choice(const struct argp_state *state, const char *option, const char *arg, const char *const *names)
{
	for (int i = 0; names[i]; i++)
		if (strcmp(arg, names[i]) == 0)
			return i;
	argp_error(state, "%s does not know '%s'; see --help", option, arg);
	return 0;
}

/* "1ms", "100us", "0.001" (seconds) */
static double seconds(const struct argp_state *state, const char *arg)
{
	static const struct { const char *unit; double scale; } units[] = { { "", 1 }, { "s", 1 }, { "ms", 1e-3 }, { "us", 1e-6 }, { "µs", 1e-6 }, { "ns", 1e-9 } };
	char *end;
	double v = strtod(arg, &end);

	for (size_t i = 0; end != arg && isfinite(v) && v > 0 && i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(end, units[i].unit) == 0)
			/* Divided, so that "1ms" is the number 0.001 and not its neighbour. */
			return units[i].scale == 1 ? v : v / round(1 / units[i].scale);
	argp_error(state, "--dt takes a time such as 1ms or 0.001, not '%s'", arg);
	return 0;
}

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

static void input(struct snpu_run_opts *o, char *arg, const struct argp_state *state)
{
	char **grown = realloc(o->files, (o->feed.n_files + 1) * sizeof(*grown));

	if (!grown)
		argp_failure(state, SNPU_EXIT_FAILURE, ENOMEM, "--input");
	o->files = grown;
	o->files[o->feed.n_files++] = arg;
}

static void expect(struct snpu_run_opts *o, const char *arg, const struct argp_state *state)
{
	if (!strrchr(arg, ':'))
		argp_error(state, "--expect takes FILE:ARRAY, not '%s'", arg);
	if (o->n_expect == SNPU_RUN_LIST)
		argp_error(state, "more than %d --expect", SNPU_RUN_LIST);
	o->expect[o->n_expect++] = arg;
}

static void finish(struct snpu_run_opts *o, const struct argp_state *state)
{
	if (!o->model)
		argp_error(state, "which model? Give a .nir file");
	if (!o->feed.n_files)
		argp_error(state, "what goes in? Give --input FILE");
	if (o->require_device && strcmp(o->device, "cpu") == 0)
		argp_error(state, "--require-device and --device cpu exclude each other");
	o->feed.files = o->files;
}

static error_t parse_value(int key, char *arg, struct argp_state *state)
{
	static const char *const encodings[] = { "auto", "diffusion", "none", NULL };
	static const char *const resets[] = { "default", "value", "subtract", "delta", NULL };
	static const char *const compares[] = { "default", "gt", "ge", NULL };
	static const char *const integrators[] = { "default", "euler", "exp", NULL };
	static const char *const gains[] = { "default", "r", "r-dt", NULL };
	struct snpu_run_opts *o = state->input;
	char *end;

	switch (key) {
	case OPT_SAMPLES: samples(o, arg, state); return 0;
	case OPT_PLACE: place(o, arg, state); return 0;
	case OPT_NODES: nodes(o, arg, state); return 0;
	case OPT_EXPECT: expect(o, arg, state); return 0;
	case OPT_DT: o->dt = seconds(state, arg); return 0;
	case OPT_ENCODE: o->feed.encode = (enum snpu_feed_encode)choice(state, "--encode", arg, encodings); return 0;
	case OPT_RESET: o->reset = (enum snpu_reset)choice(state, "--reset", arg, resets); return 0;
	case OPT_COMPARE: o->compare = (enum snpu_compare)choice(state, "--compare", arg, compares); return 0;
	case OPT_INTEGRATOR: o->integrator = (enum snpu_integrator)choice(state, "--integrator", arg, integrators); return 0;
	case OPT_GAIN: o->gain = (enum snpu_gain)choice(state, "--gain", arg, gains); return 0;
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
	case 'i': input(o, arg, state); return 0;
	case 'd': o->device = arg; return 0;
	case 'j': o->json = true; snpu_cli_json(true); return 0;
	case 'q': o->quiet = true; return 0;
	case OPT_REQUIRE: o->require_device = true; return 0;
	case OPT_RASTER: o->raster = arg; return 0;
	case OPT_RECORD: o->record = arg; return 0;
	case OPT_STRICT: o->strict = true; return 0;
	case OPT_LABELS: o->feed.labels = arg; return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num)
			argp_error(state, "one model is run, and '%s' is a second (an input needs --input)", arg);
		o->model = arg;
		return 0;
	case ARGP_KEY_END: finish(o, state); return 0;
	default: return parse_value(key, arg, state);
	}
}

static const struct argp argp = {
	.options = options, .parser = parse, .args_doc = "MODEL.nir --input FILE",
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
