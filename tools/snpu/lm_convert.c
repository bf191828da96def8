// SPDX-License-Identifier: MIT
/*
 * `snpu convert`: a folder as it was downloaded becomes one file, which later starts only map. The file is opened again before its
 * success is told.
 */
#include "lm.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "text.h"

struct options {
	struct snpu_lm_opts lm;
	const char *out;
};

enum { OPT_CALIBRATION = 0x100 };

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "What is written:", 1 },
	{ "output", 'o', "MODEL.snpu", 0, "the file", 1 },
	{ "calibration", OPT_CALIBRATION, "FILE", 0, "refine the scales made for a float model with this text", 1 },
	{ NULL, 0, NULL, 0, "What comes out:", 15 },
	{ "json", 'j', NULL, 0, "print JSON", 15 },
	{ "quiet", 'q', NULL, 0, "print nothing but errors", 15 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT: state->child_inputs[0] = &o->lm; return 0;
	case 'o': o->out = arg; return 0;
	case OPT_CALIBRATION: o->lm.open.calibration = arg; return 0;
	case 'j': o->lm.json = true; snpu_cli_json(true); return 0;
	case 'q': o->lm.quiet = true; return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num)
			argp_error(state, "one folder is converted, and '%s' is a second", arg);
		o->lm.model = arg;
		return 0;
	case ARGP_KEY_END:
		if (!o->lm.model)
			argp_error(state, "which folder? Give DIR");
		if (!o->out)
			argp_error(state, "into which file? Give -o MODEL.snpu");
		return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = { { .argp = &snpu_lm_argp_model }, { 0 } };
static const struct argp argp = {
	.options = options, .parser = parse, .args_doc = "DIR -o MODEL.snpu", .children = children,
	.doc = "Converts a model's folder to one file that starts at once and needs no memory of its own for the weights."
	       "\vExit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.\n"
	       "Example: snpu convert SpikingBrain-7B-W8ASpike -o 7b.snpu --down spike",
};

static enum snpu_exit convert(struct snpu_lm_cli *c, const struct options *o)
{
	struct snpu_lm_open_opts open = o->lm.open;
	struct snpu_progress bar;
	int err;

	open.progress = snpu_lm_on_load;
	open.progress_arg = &bar;
	snpu_lm_interruptible(c);
	snpu_progress_start(&bar, "convert", !o->lm.quiet && !o->lm.json);
	err = snpu_lm_convert(o->lm.model, &open, o->out);
	snpu_progress_end(&bar);
	if (err == -ECANCELED && snpu_lm_interrupts())
		return snpu_cli_fail(SNPU_EXIT_INTERRUPTED, NULL, "interrupted, %s is not written", o->out);
	if (err == -ENOSPC)
		return snpu_cli_fail_library(SNPU_EXIT_FAILURE, "df -h  shows where there is room");
	if (err)
		return snpu_cli_fail_library(SNPU_EXIT_FAILURE, "snpu convert DIR -o MODEL.snpu  with a folder that has config.json, into one that you may write to");
	return SNPU_EXIT_OK;
}

static void view(const struct snpu_lm_cli *c)
{
	FILE *f = snpu_screen_begin();
	double residual = snpu_fact_number(c->facts, "model.residual");

	fprintf(f, "%-*s%s  %s, in %s\n", SNPU_LABEL, "wrote", snpu_fact_text(c->facts, "model.file"), snpu_text_bytes(SNPU_TEXT, snpu_fact_number(c->facts, "bytes")),
		snpu_text_seconds(SNPU_TEXT, snpu_fact_number(c->facts, "seconds")));
	if (strcmp(snpu_fact_text(c->facts, "model.form"), "spike") == 0)
		fprintf(f, "%*s%s past int8, kept exactly\n", SNPU_LABEL, "", snpu_text_of(SNPU_TEXT, residual, "weight code"));
	snpu_screen_end();
	snpu_lm_view_model(c, stdout);
	printf("%-*ssnpu generate %s -p TEXT\n", SNPU_LABEL, "next", snpu_fact_text(c->facts, "model.file"));
}

static enum snpu_exit execute(struct snpu_lm_cli *c, const struct options *o)
{
	struct snpu_lm_opts written = { .model = o->out, .open = { .sz = sizeof(written.open) }, .json = o->lm.json, .quiet = o->lm.quiet };
	double start = snpu_clock();
	enum snpu_exit st = convert(c, o);
	double seconds = snpu_clock() - start;
	struct stat file;

	if (!st)
		st = snpu_lm_cli_model(c, &written);
	if (st)
		return st;
	if (stat(o->out, &file))
		return snpu_cli_fail(SNPU_EXIT_FAILURE, "ls -l", "%s: %s", o->out, strerror(errno));
	json_object_set_new(c->facts, "source", snpu_cli_string(o->lm.model));
	json_object_set_new(c->facts, "bytes", json_integer(file.st_size));
	json_object_set_new(c->facts, "seconds", json_real(seconds));
	if (o->lm.json)
		return snpu_cli_print_json(json_incref(c->facts)) ? SNPU_EXIT_OK : SNPU_EXIT_FAILURE;
	if (!o->lm.quiet)
		view(c);
	return SNPU_EXIT_OK;
}

enum snpu_exit snpu_cmd_convert(int argc, char **argv)
{
	struct options o = { 0 };
	struct snpu_lm_cli c = { 0 };
	enum snpu_exit st;

	snpu_lm_opts_init(&o.lm);
	snpu_cli_parse(&argp, argc, argv, &o);
	st = execute(&c, &o);
	snpu_lm_cli_close(&c);
	return st;
}
