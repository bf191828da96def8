// SPDX-License-Identifier: MIT
/* `snpu tokenize`: a text as the model's token ids, and ids as text. */
#include "lm.h"

#include <stdlib.h>
#include <string.h>

#include "bundle.h"
#include "text.h"

struct options {
	struct snpu_lm_opts lm;
	const char *text, *ids;
};

enum { OPT_IDS = 0x100 };

static const struct argp_option options[] = {
	{ "ids", OPT_IDS, "N,N,...", 0, "the other way: print the text of these ids", 0 },
	{ "json", 'j', NULL, 0, "print JSON", 0 },
	{ "quiet", 'q', NULL, 0, "print only the ids, with commas", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case OPT_IDS: o->ids = arg; return 0;
	case 'j': o->lm.json = true; snpu_cli_json(true); return 0;
	case 'q': o->lm.quiet = true; return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num > 1)
			argp_error(state, "one text at a time, and '%s' is a second (put the text in quotes)", arg);
		*(state->arg_num ? &o->text : &o->lm.model) = arg;
		return 0;
	case ARGP_KEY_END:
		if (!o->lm.model)
			argp_error(state, "which model? Give its folder, or a file that snpu convert wrote");
		if (!o->text == !o->ids)
			argp_error(state, o->text ? "a text or --ids, not both" : "which text? Give TEXT, - for stdin, or --ids N,N");
		return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options, .parser = parse, .args_doc = "MODEL TEXT|-",
	.doc = "Shows the tokens of a text. Special tokens such as <|im_end|> in the text become their ids."
	       "\vExit status: 0 done, 1 failed, 2 wrong usage.\n"
	       "Example: snpu tokenize MODEL 'Hello, world!'",
};

/* A piece in quotes; what is neither text nor a blank as \n, \t or \xNN. */
static void put_piece(FILE *f, const char *bytes, size_t n)
{
	struct snpu_lm_stream s = { 0 };
	bool text;

	snpu_lm_stream_put(&s, bytes, n);
	text = s.size == n && !s.n_tail && (!n || memcmp(s.text, bytes, n) == 0);
	fputc('"', f);
	for (size_t i = 0; i < n; i++) {
		unsigned char b = (unsigned char)bytes[i];

		if (b == '\n' || b == '\t' || b == '\r')
			fprintf(f, "\\%c", b == '\n' ? 'n' : b == '\t' ? 't' : 'r');
		else if (b == '"' || b == '\\')
			fprintf(f, "\\%c", b);
		else if (b < ' ' || b == 0x7f || (b >= 0x80 && !text))
			fprintf(f, "\\x%02x", b);
		else
			fputc(b, f);
	}
	fputs("\"\n", f);
	snpu_lm_stream_free(&s);
}

static void view(const struct snpu_lm_cli *c)
{
	FILE *f = snpu_screen_begin();

	for (size_t i = 0; i < c->n_past; i++) {
		size_t n = 0;
		const char *bytes = snpu_lm_token(c->lm, c->past[i], &n);

		fprintf(f, "%8u  ", c->past[i]);
		put_piece(f, bytes ? bytes : "", bytes ? n : 0);
	}
	fprintf(f, "%s\n", snpu_text_of(SNPU_TEXT, (double)c->n_past, "token"));
	snpu_screen_end();
}

/* As bytes: what is no text stays what it is. */
static void print_text(const struct snpu_lm_cli *c)
{
	for (size_t i = 0; i < c->n_past; i++) {
		size_t n = 0;
		const char *bytes = snpu_lm_token(c->lm, c->past[i], &n);

		if (bytes)
			fwrite(bytes, 1, n, stdout);
	}
	if (!c->opts->quiet)
		putchar('\n');
}

static void facts(struct snpu_lm_cli *c)
{
	struct snpu_lm_stream all = { 0 };
	json_t *pieces = json_array();

	for (size_t i = 0; i < c->n_past; i++) {
		char *piece = snpu_lm_token_text(c->lm, c->past[i]);
		size_t n = 0;
		const char *bytes = snpu_lm_token(c->lm, c->past[i], &n);

		snpu_lm_stream_put(&all, bytes ? bytes : "", bytes ? n : 0);
		json_array_append_new(pieces, piece ? json_string(piece) : json_null());
		free(piece);
	}
	snpu_lm_stream_end(&all);
	json_object_set_new(c->facts, "ids", snpu_lm_facts_ids(c->past, c->n_past));
	json_object_set_new(c->facts, "pieces", pieces);
	json_object_set_new(c->facts, "text", json_stringn(all.text ? all.text : "", all.size));
	snpu_lm_stream_free(&all);
}

static enum snpu_exit read_tokens(struct snpu_lm_cli *c, const struct options *o)
{
	char *text = NULL;
	uint32_t *ids = NULL;
	size_t n = 0;
	enum snpu_exit st;

	if (o->ids) {
		st = snpu_lm_parse_ids(o->ids, &ids, &n);
		if (!st)
			st = snpu_lm_append(c, ids, n);
		free(ids);
		return st;
	}
	if (strcmp(o->text, "-"))
		return snpu_lm_append_text(c, o->text, strlen(o->text));
	st = snpu_file_read("-", (void **)&text, &n);
	if (!st)
		st = snpu_lm_append_text(c, text, n);
	free(text);
	return st;
}

static enum snpu_exit execute(struct snpu_lm_cli *c, const struct options *o)
{
	enum snpu_exit st = snpu_lm_cli_model(c, &o->lm);

	if (!st && !c->model.has_tokenizer)
		return snpu_cli_fail(SNPU_EXIT_FAILURE, "snpu generate MODEL --ids 5,17,9  goes without", "model %s came without a tokenizer (vocab.json and merges.txt)", c->model.name);
	if (!st)
		st = read_tokens(c, o);
	if (st)
		return st;
	facts(c);
	if (o->lm.json)
		return snpu_cli_print_json(json_incref(c->facts)) ? SNPU_EXIT_OK : SNPU_EXIT_FAILURE;
	if (o->ids)
		print_text(c);
	else if (!o->lm.quiet)
		view(c);
	for (size_t i = 0; i < c->n_past && !o->ids && o->lm.quiet; i++)
		printf("%u%s", c->past[i], i + 1 < c->n_past ? "," : "\n");
	return fflush(stdout) ? snpu_cli_fail(SNPU_EXIT_FAILURE, "check where stdout goes", "the tokens cannot be written") : SNPU_EXIT_OK;
}

enum snpu_exit snpu_cmd_tokenize(int argc, char **argv)
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
