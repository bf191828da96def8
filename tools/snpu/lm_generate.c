// SPDX-License-Identifier: MIT
/*
 * `snpu generate`: continues a text. The text goes to stdout as it comes, everything about it to stderr, so that it can be piped.
 */
#include "lm.h"

#include <stdlib.h>
#include <string.h>

#include "bundle.h"

#define TOKENS		128			/* unless -n says otherwise */

struct options {
	struct snpu_lm_opts lm;
	struct snpu_lm_pace pace;
	const char *prompt, *file, *ids;
};

struct run {
	struct snpu_lm_cli c;
	const struct options *o;
	struct snpu_lm_stream stream;
	size_t first;				/* of the tokens made, in c.past */
};

/* --- options -------------------------------------------------------------------------------------------------- */

enum { OPT_IDS = 0x100 };

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "What goes on:", 1 },
	{ "prompt", 'p', "TEXT", 0, "the text; - reads it from stdin", 1 },
	{ "file", 'f', "FILE", 0, "the text in a file, without the line break at its end; - is stdin", 1 },
	{ "ids", OPT_IDS, "N,N,...", 0, "token ids instead of a text", 1 },
	{ NULL, 0, NULL, 0, "What comes out:", 15 },
	{ "json", 'j', NULL, 0, "print JSON", 15 },
	{ "quiet", 'q', NULL, 0, "print only the text that is made", 15 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->pace;
		state->child_inputs[1] = state->child_inputs[2] = &o->lm;
		return 0;
	case 'p': o->prompt = arg; return 0;
	case 'f': o->file = arg; return 0;
	case OPT_IDS: o->ids = arg; return 0;
	case 'j': o->lm.json = true; snpu_cli_json(true); return 0;
	case 'q': o->lm.quiet = true; return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num > 1)
			argp_error(state, "one model goes on with one text, and '%s' is a third argument", arg);
		*(state->arg_num ? &o->prompt : &o->lm.model) = arg;
		return 0;
	case ARGP_KEY_END:
		if (!o->lm.model)
			argp_error(state, "which model? Give its folder, or a file that snpu convert wrote");
		if (!!o->prompt + !!o->file + !!o->ids > 1)
			argp_error(state, "a prompt comes from one of TEXT, -p, -f and --ids");
		if (!o->prompt && !o->file && !o->ids && !o->lm.state_load)
			argp_error(state, "what goes on? Give -p TEXT");
		return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = { { .argp = &snpu_lm_argp_pace }, { .argp = &snpu_lm_argp_run }, { .argp = &snpu_lm_argp_state }, { 0 } };
static const struct argp argp = {
	.options = options, .parser = parse, .args_doc = "MODEL [TEXT]", .children = children,
	.doc = "Continues a text with a language model: a folder as it was downloaded, or a file of snpu convert. At most 128 tokens unless -n says otherwise; "
	       "it ends before that where the model ends its text."
	       "\vExit status: 0 done, 1 failed, 2 wrong usage, 3 the device is missing or a layer cannot run on it, 130 interrupted.\n"
	       "Example: snpu generate SpikingBrain-7B-W8ASpike -p 'Emma was' -n 64",
};

/* --- steps ---------------------------------------------------------------------------------------------------- */

static enum snpu_exit append_file(struct snpu_lm_cli *c, const char *path)
{
	char *text = NULL;
	size_t size = 0;
	enum snpu_exit st = snpu_file_read(path, (void **)&text, &size);

	if (st)
		return st;
	if (size && text[size - 1] == '\n')
		size--;
	if (size && text[size - 1] == '\r')
		size--;
	st = snpu_lm_append_text(c, text, size);
	free(text);
	return st;
}

static enum snpu_exit append_ids(struct snpu_lm_cli *c, const char *list)
{
	uint32_t *ids = NULL;
	size_t n = 0;
	enum snpu_exit st = snpu_lm_parse_ids(list, &ids, &n);

	if (!st)
		st = snpu_lm_append(c, ids, n);
	free(ids);
	return st;
}

static enum snpu_exit append_prompt(struct snpu_lm_cli *c, const struct options *o)
{
	const char *file = o->file ? o->file : o->prompt && strcmp(o->prompt, "-") == 0 ? "-" : NULL;
	enum snpu_exit st = SNPU_EXIT_OK;

	if (file)
		st = append_file(c, file);
	else if (o->prompt)
		st = snpu_lm_append_text(c, o->prompt, strlen(o->prompt));
	else if (o->ids)
		st = append_ids(c, o->ids);
	if (!st && !c->n_past)
		return snpu_cli_fail(SNPU_EXIT_FAILURE, "-p TEXT  or  --ids 5,17,9", "the prompt is empty, there is nothing to continue");
	return st;
}

/* A token to the stream; as a number when the model has no tokenizer. */
static bool put(void *arg, uint32_t id)
{
	struct run *r = arg;
	char number[16];
	size_t n = 0;
	const char *bytes = snpu_lm_token(r->c.lm, id, &n);

	if (!r->c.model.has_tokenizer) {
		n = (size_t)snprintf(number, sizeof(number), "%s%u", r->stream.size ? " " : "", id);
		bytes = number;
	}
	if (bytes)
		snpu_lm_stream_put(&r->stream, bytes, n);
	return !r->stream.out || !ferror(r->stream.out);
}

static void echo(struct run *r)
{
	struct snpu_lm_stream s = { .out = stdout };

	for (size_t i = 0; r->c.model.has_tokenizer && i < r->c.n_past; i++) {
		size_t n = 0;
		const char *bytes = snpu_lm_token(r->c.lm, r->c.past[i], &n);

		snpu_lm_stream_put(&s, bytes ? bytes : "", n);
	}
	snpu_lm_stream_end(&s);
	snpu_lm_stream_free(&s);
}

static void facts(struct run *r, const char *stop)
{
	struct snpu_lm_cli *c = &r->c;
	const struct snpu_lm_sampler *s = &r->o->pace.sampler;
	json_t *f = c->facts;

	json_object_set_new(f, "sampler", json_pack("{s:f, s:i, s:f, s:f, s:o}", "temperature", s->temperature, "top_k", s->top_k, "top_p", s->top_p, "repetition_penalty",
						    s->repetition_penalty, "seed", s->temperature > 0 ? json_integer((json_int_t)s->seed) : json_null()));
	json_object_set_new(f, "prompt_ids", snpu_lm_facts_ids(c->past, r->first));
	json_object_set_new(f, "ids", snpu_lm_facts_ids(c->past + r->first, c->n_past - r->first));
	json_object_set_new(f, "text", json_stringn(r->stream.text ? r->stream.text : "", r->stream.size));
	json_object_set_new(f, "stop", json_string(stop));
}

/* What is written when the text is there. The state has all tokens of the text but the last, which lies behind it. */
static enum snpu_exit finish(struct run *r)
{
	struct snpu_lm_cli *c = &r->c;
	enum snpu_exit st = snpu_lm_look_finish(c);

	if (st || !c->opts->state_save)
		return st;
	st = snpu_lm_save(c, c->opts->state_save);
	if (!st)
		json_object_set_new(c->facts, "state", snpu_cli_string(c->opts->state_save));
	return st;
}

static enum snpu_exit generate(struct run *r)
{
	struct snpu_lm_cli *c = &r->c;
	struct snpu_lm_pace pace = r->o->pace;
	struct snpu_lm_timing t = { 0 };
	const char *stop = "";
	int err;

	r->first = c->n_past;
	if (!c->opts->json && !c->opts->quiet && r->o->prompt && strcmp(r->o->prompt, "-"))
		echo(r);			/* what was typed; a file may be long, and is known */
	err = snpu_lm_continue(c, &pace, put, r, &t, &stop);
	snpu_lm_stream_end(&r->stream);
	if (!c->opts->json && (r->stream.size || !c->opts->quiet))
		putchar('\n');
	if (err)
		return snpu_lm_fail(c, err);
	if (fflush(stdout) || ferror(stdout))
		return snpu_cli_fail(SNPU_EXIT_FAILURE, "check where stdout goes", "the text cannot be written");
	facts(r, stop);
	snpu_lm_facts_timing(c, &t);
	snpu_lm_facts_after(c);
	return strcmp(stop, "interrupted") ? SNPU_EXIT_OK : SNPU_EXIT_INTERRUPTED;
}

static enum snpu_exit execute(struct run *r, struct options *o)
{
	struct snpu_lm_cli *c = &r->c;
	enum snpu_exit st = snpu_lm_cli_open(c, &o->lm), verdict;
	unsigned int shown = 0;

	if (!st)
		st = append_prompt(c, o);
	if (st)
		return st;
	if (o->pace.sampler.temperature > 0)
		snpu_lm_seed(&o->pace);
	if (!o->lm.json && !o->lm.quiet)
		snpu_lm_view_before(c, stderr);
	verdict = generate(r);
	snpu_lm_view_fallbacks(c, &shown);
	if (verdict && verdict != SNPU_EXIT_INTERRUPTED)
		return verdict;
	st = finish(r);
	if (st)
		return st;
	if (o->lm.json)
		return snpu_cli_print_json(json_incref(c->facts)) ? verdict : SNPU_EXIT_FAILURE;
	if (!o->lm.quiet) {
		snpu_lm_view_timing(c, stderr);
		snpu_lm_view_after(c, stderr);
	}
	return verdict;
}

enum snpu_exit snpu_cmd_generate(int argc, char **argv)
{
	struct options o = { .pace.most = TOKENS };
	struct run r = { .o = &o };
	enum snpu_exit st;

	snpu_lm_opts_init(&o.lm);
	snpu_cli_parse(&argp, argc, argv, &o);
	r.stream.out = o.lm.json ? NULL : stdout;
	st = execute(&r, &o);
	snpu_lm_stream_free(&r.stream);
	snpu_lm_cli_close(&r.c);
	return st;
}
