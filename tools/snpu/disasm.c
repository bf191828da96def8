// SPDX-License-Identifier: MIT
/*
 * `snpu disasm`: the packets of a program, from a file of packets or from a model that is compiled for a device. Anything that
 * is not a packet is shown as data with the reason, so that also a damaged program can be read.
 */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <snpu/snpu.h>
#include <snpu/snpu_model.h>

#include "bundle.h"
#include "device.h"
#include "feed.h"
#include "text.h"

struct options {
	const char *file, *device, *save;
	uint64_t samples, steps;		/* steps 0: what the model's file says, or 1 */
	bool json;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'd': o->device = arg; return 0;
	case 'o': o->save = arg; return 0;
	case 'n': o->samples = snpu_option_whole(state, "--samples", arg, 1, 100000000); return 0;
	case 's': o->steps = snpu_option_whole(state, "--steps", arg, 1, 100000000); return 0;
	case 'j':
		o->json = true;
		snpu_cli_json(true);
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num)
			argp_error(state, "one file at a time, and '%s' is a second", arg);
		o->file = arg;
		return 0;
	case ARGP_KEY_END:
		if (!o->file)
			argp_error(state, "which file?");
		return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "device", 'd', "NAME", 0, "compile the model for this device (default: cpu)", 0 },
	{ "samples", 'n', "N", 0, "samples of a submission (default: 1)", 0 },
	{ "steps", 's', "T", 0, "time steps of a sample (default: what the model's file says, else 1)", 0 },
	{ "output", 'o', "FILE", 0, "also write the packets of the first segment to a file", 0 },
	{ "json", 'j', NULL, 0, "print JSON", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = options, .parser = parse, .args_doc = "FILE | MODEL.nir",
	.doc = "Prints the packets of a program: from a file of packets, or of a model as it would be submitted."
	       "\vExit status: 0 done, 1 the file cannot be read or compiled, 2 wrong usage, 3 there is no such device.",
};

/* [{"pc", "text"}]. Nothing to print ends it, whatever the bytes are: `next` always moves on. */
static json_t *packets(const void *program, uint64_t size)
{
	json_t *rows = json_array();
	char text[1024];

	for (uint64_t pc = 0, next; pc < size; pc = next) {
		if (snpu_disasm(program, size, pc, text, sizeof(text), &next) || next <= pc)
			break;
		json_array_append_new(rows, json_pack("{s:I, s:s}", "pc", (json_int_t)pc, "text", text));
	}
	return rows;
}

static enum snpu_exit save(const char *path, const void *program, uint64_t size)
{
	FILE *f = fopen(path, "wb");
	bool ok = f && fwrite(program, 1, size, f) == size;

	if (f && fclose(f))
		ok = false;
	return ok ? SNPU_EXIT_OK : snpu_cli_fail(SNPU_EXIT_FAILURE, NULL, "cannot write %s: %s", path, strerror(errno));
}

static enum snpu_exit segment_facts(const struct options *o, struct snpu_session *s, unsigned int index, uint64_t steps, const char *device, json_t *segments)
{
	struct snpu_segment_info info;
	json_t *nodes = json_array();
	enum snpu_exit st = SNPU_EXIT_OK;
	void *program;
	uint64_t size;

	if (snpu_session_segment(s, index, &info) || snpu_session_program(s, index, o->samples, steps, &program, &size)) {
		json_decref(nodes);
		return snpu_cli_fail_library(SNPU_EXIT_FAILURE, NULL);
	}
	for (unsigned int i = 0; i < info.n_nodes; i++)
		json_array_append_new(nodes, json_string(info.nodes[i]));
	json_array_append_new(segments, json_pack("{s:s, s:o, s:I, s:o}", "device", info.device >= 0 ? device : "cpu", "nodes", nodes, "bytes", (json_int_t)size,
						  "packets", packets(program, size)));
	if (o->save && index == 0)
		st = save(o->save, program, size);
	free(program);
	return st;
}

static enum snpu_exit compile_session(const struct options *o, struct snpu_device *device, struct snpu_model *model, json_t *facts)
{
	struct snpu_device_info info = { .sz = sizeof(info) };
	struct snpu_session_opts so = { .sz = sizeof(so), .devices = &device, .n_devices = 1 };
	uint64_t steps = o->steps ? o->steps : snpu_feed_model_steps(model);
	struct snpu_session *session;
	struct snpu_session_info plan;
	json_t *segments = json_array();
	enum snpu_exit st = SNPU_EXIT_OK;

	json_object_set_new(facts, "segments", segments);
	if (snpu_device_info(device, &info) || snpu_session_create(model, &so, &session))
		return snpu_cli_fail_library(SNPU_EXIT_FAILURE, NULL);
	snpu_session_info(session, &plan);
	json_object_set_new(facts, "samples", json_integer((json_int_t)o->samples));
	json_object_set_new(facts, "steps", json_integer((json_int_t)(steps ? steps : 1)));
	for (unsigned int i = 0; i < plan.segments && !st; i++)
		st = segment_facts(o, session, i, steps ? steps : 1, info.name, segments);
	snpu_session_free(session);
	return st;
}

static enum snpu_exit compile(const struct options *o, const void *mem, size_t size, json_t *facts)
{
	struct snpu_device *device = NULL;
	struct snpu_model *model = NULL;
	enum snpu_exit st = snpu_device_choose(o->device, false, &device);

	if (!st && snpu_model_load_nir_memory(mem, size, &model))
		st = snpu_cli_fail(SNPU_EXIT_FAILURE, NULL, "%s: %s", o->file, snpu_last_error());
	if (!st)
		st = compile_session(o, device, model, facts);
	snpu_model_free(model);
	snpu_device_close(device);
	return st;
}

static void print_text(const json_t *facts)
{
	FILE *f = snpu_screen_begin();
	json_t *segment, *p, *node;
	size_t i, k;

	json_array_foreach(snpu_fact(facts, "segments"), i, segment) {
		fprintf(f, "%ssegment %zu on %s, %.0f bytes, nodes:", i ? "\n" : "", i, snpu_fact_text(segment, "device"), snpu_fact_number(segment, "bytes"));
		json_array_foreach(snpu_fact(segment, "nodes"), k, node)
			fprintf(f, " [%zu] %s", k + 1, json_string_value(node));
		fputc('\n', f);
		json_array_foreach(snpu_fact(segment, "packets"), k, p)
			fprintf(f, "%6llx  %s\n", (unsigned long long)json_integer_value(snpu_fact(p, "pc")), snpu_fact_text(p, "text"));
	}
	json_array_foreach(snpu_fact(facts, "packets"), k, p)
		fprintf(f, "%6llx  %s\n", (unsigned long long)json_integer_value(snpu_fact(p, "pc")), snpu_fact_text(p, "text"));
	snpu_screen_end();
}

enum snpu_exit snpu_cmd_disasm(int argc, char **argv)
{
	struct options o = { .device = "cpu", .samples = 1 };
	enum snpu_exit st;
	json_t *facts;
	void *mem;
	size_t size;

	snpu_cli_parse(&argp, argc, argv, &o);
	st = snpu_file_read(o.file, &mem, &size);
	if (st)
		return st;
	facts = snpu_cli_facts();
	json_object_set_new(facts, "file", snpu_cli_string(o.file));
	if (size >= 8 && memcmp(mem, "\x89HDF\r\n\x1a\n", 8) == 0)
		st = compile(&o, mem, size, facts);
	else if (!size)
		st = snpu_cli_fail(SNPU_EXIT_FAILURE, NULL, "%s is empty: there is no program in it", o.file);
	else
		json_object_set_new(facts, "packets", packets(mem, size));
	free(mem);
	if (!st && o.json)
		snpu_cli_print_json(json_incref(facts));
	else if (!st)
		print_text(facts);
	json_decref(facts);
	return st;
}
