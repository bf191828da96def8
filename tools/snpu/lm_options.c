// SPDX-License-Identifier: MIT
/*
 * Options that all commands for language models take. Values are checked as far as they can be without the model. Used as argp
 * children, so that every command shows them in its --help.
 */
#include "lm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { OPT_FORM = 0x400, OPT_DOWN, OPT_REQUIRE, OPT_THREADS, OPT_ISA, OPT_WINDOW, OPT_CHUNK, OPT_BIT_SERIAL, OPT_DUMP, OPT_DUMP_ONLY, OPT_PROFILE,
       OPT_RASTER, OPT_CODING, OPT_LOAD, OPT_SAVE, OPT_SEED, OPT_TOP_K, OPT_TOP_P, OPT_PENALTY, OPT_IGNORE };

float snpu_lm_real(const struct argp_state *state, const char *option, const char *arg, double min, double max)
{
	char *end;
	double v = strtod(arg, &end);

	if (*end || end == arg || !(v >= min && v <= max))
		argp_error(state, "%s takes a number from %g to %g, not '%s'", option, min, max, arg);
	return (float)v;
}

void snpu_lm_opts_init(struct snpu_lm_opts *o)
{
	memset(o, 0, sizeof(*o));
	o->open.sz = sizeof(o->open);
	o->ctx.sz = sizeof(o->ctx);
	o->coding = SNPU_CODING_BITWISE_BIDIRECTIONAL;
}

/* --- the model ------------------------------------------------------------------------------------------------ */

static const struct argp_option model_options[] = {
	{ NULL, 0, NULL, 0, "What the model is taken as:", 10 },
	{ "form", OPT_FORM, "float|spike", 0, "weights as stored, or int8 codes and spike counts (default: spike when the model has scales)", 10 },
	{ "down", OPT_DOWN, "float|spike", 0, "whether down_proj takes spikes (default: float, as the authors' code)", 10 },
	{ "k", 'k', "RATE", 0, "firing rate of the linear layers (default: the model's, else 3)", 10 },
	{ 0 },
};

static error_t parse_model(int key, char *arg, struct argp_state *state)
{
	static const char *const forms[] = { "auto", "float", "spike", NULL };
	struct snpu_lm_opts *o = state->input;

	switch (key) {
	case OPT_FORM: o->open.form = (uint32_t)snpu_option_choice(state, "--form", arg, forms); return 0;
	case OPT_DOWN: o->open.down = (uint32_t)snpu_option_choice(state, "--down", arg, forms); return 0;
	case 'k': o->open.k = snpu_lm_real(state, "-k", arg, 0.001, 1000); return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

const struct argp snpu_lm_argp_model = { .options = model_options, .parser = parse_model };

/* --- devices, looking inside ---------------------------------------------------------------------------------- */

static const struct argp_option run_options[] = {
	{ NULL, 0, NULL, 0, "What executes:", 11 },
	{ "device", 'd', "NAME[,NAME]", 0, "auto, card, card:N, sim or cpu, best first (default: auto, a card and else the CPU); what has no room goes to the next, the rest to the CPU", 11 },
	{ "require-device", OPT_REQUIRE, NULL, 0, "fail where the CPU would be needed instead", 11 },
	{ "threads", OPT_THREADS, "N", 0, "of the CPU (default: all processors)", 11 },
	{ "cpu-isa", OPT_ISA, "NAME", 0, "kernels of the CPU: auto, scalar, avx2 or avx512", 11 },
	{ "window", OPT_WINDOW, "w1|w|hf", 0, "keys that a query of a sliding window sees: W+1, W, or W+1 in the prompt and W afterwards (default: w1)", 11 },
	{ "chunk", OPT_CHUNK, "N", 0, "most tokens in one submission (default: a good number)", 11 },
	{ "bit-serial", OPT_BIT_SERIAL, NULL, 0, "cards work bit plane by bit plane; same results", 11 },
	{ NULL, 0, NULL, 0, "Looking inside:", 12 },
	{ "profile", OPT_PROFILE, NULL, 0, "spikes, synaptic operations and energy, layer by layer", 12 },
	{ "dump", OPT_DUMP, "DIR", 0, "write the arrays inside the model as .npy files: layer_in.0.npy, lin.0.q_proj.count.npy, ...", 12 },
	{ "dump-only", OPT_DUMP_ONLY, "PATTERN", 0, "of these only those with such a name ('lin.*.count'); repeatable", 12 },
	{ "raster", OPT_RASTER, "layer:N.INPUT", 0, "draw the spikes of an input: q_proj, o_proj, gate_proj, down_proj or queries", 12 },
	{ "coding", OPT_CODING, "NAME", 0, "as binary, ternary, bitwise, bitwise-bidirectional or twos-complement (default: bitwise-bidirectional)", 12 },
	{ "output", 'o', "FILE.svg", 0, "where --raster draws", 12 },
	{ 0 },
};

static void devices(struct snpu_lm_opts *o, char *arg, const struct argp_state *state)
{
	o->n_devices = 0;
	for (char *save, *name = strtok_r(arg, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		if (o->n_devices == SNPU_LM_DEVICES)
			argp_error(state, "more than %u devices", SNPU_LM_DEVICES);
		o->device[o->n_devices++] = name;
	}
	if (!o->n_devices)
		argp_error(state, "--device takes names such as card, sim or cpu, not '%s'", arg);
}

/* "layer:3.o_proj": a layer, and one of its inputs by the layer that takes it. */
static void raster(struct snpu_lm_opts *o, const char *arg, const struct argp_state *state)
{
	static const struct { const char *name, *input; } inputs[] = {
		{ "q_proj", "q_proj" }, { "k_proj", "q_proj" }, { "v_proj", "q_proj" }, { "gk_proj", "q_proj" }, { "o_proj", "o_proj" },
		{ "gate_proj", "gate_proj" }, { "up_proj", "gate_proj" }, { "down_proj", "down_proj" }, { "queries", NULL },
	};
	unsigned int layer;
	char name[16];
	int end = 0;

	if (sscanf(arg, "layer:%5u.%15[a-z_]%n", &layer, name, &end) == 2 && !arg[end])
		for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
			if (strcmp(inputs[i].name, name))
				continue;
			if (inputs[i].input)
				snprintf(o->raster, sizeof(o->raster), "lin.%u.%s.count", layer, inputs[i].input);
			else
				snprintf(o->raster, sizeof(o->raster), "attn.%u.q_count", layer);
			snprintf(o->raster_title, sizeof(o->raster_title), "layer %u, %s %s", layer, inputs[i].input ? "input of" : "rotated", name);
			return;
		}
	argp_error(state, "--raster takes layer:N.INPUT such as layer:3.o_proj, not '%s'", arg);
}

static enum snpu_coding coding(const struct argp_state *state, const char *arg)
{
	for (unsigned int i = 0; snpu_coding_name(i); i++)
		if (strcmp(arg, snpu_coding_name(i)) == 0)
			return i;
	argp_error(state, "--coding does not know '%s'; see --help", arg);
	return 0;
}

static void finish(struct snpu_lm_opts *o, const struct argp_state *state)
{
	if (!o->n_devices)
		o->device[o->n_devices++] = "auto";
	if (o->ctx.require_device && strcmp(o->device[0], "cpu") == 0)
		argp_error(state, "--require-device and --device cpu exclude each other");
	if (o->n_patterns && !o->dump)
		argp_error(state, "--dump-only needs --dump DIR");
	if (o->raster[0] && !o->picture)
		argp_error(state, "where does --raster draw? Give -o FILE.svg");
	if (o->picture && !o->raster[0])
		argp_error(state, "-o is for the picture of --raster layer:N.INPUT");
}

static error_t parse_look(int key, char *arg, struct argp_state *state)
{
	struct snpu_lm_opts *o = state->input;

	switch (key) {
	case OPT_PROFILE: o->ctx.profile = 1; return 0;
	case OPT_DUMP: o->dump = arg; return 0;
	case OPT_DUMP_ONLY:
		if (o->n_patterns == SNPU_LM_PATTERNS)
			argp_error(state, "more than %u --dump-only", SNPU_LM_PATTERNS);
		o->pattern[o->n_patterns++] = arg;
		return 0;
	case OPT_RASTER: raster(o, arg, state); return 0;
	case OPT_CODING: o->coding = coding(state, arg); return 0;
	case 'o': o->picture = arg; return 0;
	case ARGP_KEY_END: finish(o, state); return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_run(int key, char *arg, struct argp_state *state)
{
	static const char *const windows[] = { "w1", "w", "hf", NULL }, *const isas[] = { "auto", "scalar", "avx2", "avx512", NULL };
	struct snpu_lm_opts *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT: state->child_inputs[0] = o; return 0;
	case 'd': devices(o, arg, state); return 0;
	case OPT_REQUIRE: o->ctx.require_device = 1; return 0;
	case OPT_THREADS: o->ctx.threads = (uint32_t)snpu_option_whole(state, "--threads", arg, 1, 1024); return 0;
	case OPT_ISA: o->ctx.cpu_isa = (uint32_t)snpu_option_choice(state, "--cpu-isa", arg, isas); return 0;
	case OPT_WINDOW: o->ctx.window = (uint32_t)snpu_option_choice(state, "--window", arg, windows); return 0;
	case OPT_CHUNK: o->ctx.chunk = (uint32_t)snpu_option_whole(state, "--chunk", arg, 1, 4096); return 0;
	case OPT_BIT_SERIAL: o->ctx.bit_serial = 1; return 0;
	default: return parse_look(key, arg, state);
	}
}

static const struct argp_child run_children[] = { { .argp = &snpu_lm_argp_model }, { 0 } };
const struct argp snpu_lm_argp_run = { .options = run_options, .parser = parse_run, .children = run_children };

/* --- the sequence --------------------------------------------------------------------------------------------- */

static const struct argp_option state_options[] = {
	{ NULL, 0, NULL, 0, "The sequence:", 13 },
	{ "state-load", OPT_LOAD, "FILE", 0, "go on from a saved state", 13 },
	{ "state-save", OPT_SAVE, "FILE", 0, "save the state at the end", 13 },
	{ 0 },
};

static error_t parse_state(int key, char *arg, struct argp_state *state)
{
	struct snpu_lm_opts *o = state->input;

	switch (key) {
	case OPT_LOAD: o->state_load = arg; return 0;
	case OPT_SAVE: o->state_save = arg; return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

const struct argp snpu_lm_argp_state = { .options = state_options, .parser = parse_state };

/* --- how a text is continued ---------------------------------------------------------------------------------- */

static const struct argp_option pace_options[] = {
	{ NULL, 0, NULL, 0, "How it goes on:", 5 },
	{ "tokens", 'n', "N", 0, "at most N tokens", 5 },
	{ "temperature", 't', "T", 0, "draw the next token; 0 is greedy (default: 0, or 1 with --top-k or --top-p)", 5 },
	{ "top-k", OPT_TOP_K, "K", 0, "draw from the K most likely", 5 },
	{ "top-p", OPT_TOP_P, "P", 0, "draw from the most likely ones that together have probability P", 5 },
	{ "repetition-penalty", OPT_PENALTY, "R", 0, "make tokens that occurred less likely (1: off)", 5 },
	{ "seed", OPT_SEED, "N", 0, "of the draws; the same seed gives the same text (default: a new one each time)", 5 },
	{ "ignore-eos", OPT_IGNORE, NULL, 0, "go on behind the end of the text", 5 },
	{ 0 },
};

static error_t parse_pace(int key, char *arg, struct argp_state *state)
{
	struct snpu_lm_pace *p = state->input;

	switch (key) {
	case ARGP_KEY_INIT: p->sampler.sz = sizeof(p->sampler); p->sampler.temperature = -1; return 0;
	case 'n': p->most = snpu_option_whole(state, "-n", arg, 0, UINT32_MAX); return 0;
	case 't': p->sampler.temperature = snpu_lm_real(state, "-t", arg, 0, 1000); return 0;
	case OPT_TOP_K: p->sampler.top_k = (uint32_t)snpu_option_whole(state, "--top-k", arg, 1, UINT32_MAX); return 0;
	case OPT_TOP_P: p->sampler.top_p = snpu_lm_real(state, "--top-p", arg, 0, 1); return 0;
	case OPT_PENALTY: p->sampler.repetition_penalty = snpu_lm_real(state, "--repetition-penalty", arg, 0.01, 100); return 0;
	case OPT_SEED: p->sampler.seed = snpu_option_whole(state, "--seed", arg, 0, UINT64_MAX); p->seeded = true; return 0;
	case OPT_IGNORE: p->ignore_eos = true; return 0;
	case ARGP_KEY_END:
		if (p->sampler.temperature < 0)
			p->sampler.temperature = p->sampler.top_k || p->sampler.top_p > 0 ? 1 : 0;
		return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

const struct argp snpu_lm_argp_pace = { .options = pace_options, .parser = parse_pace };
