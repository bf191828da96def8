// SPDX-License-Identifier: MIT
/*
 * `snpu chat`: turns in the model's chat template. The sequence keeps the context, so a turn evaluates only what is new: the end of
 * the answer before it, what was said, and the beginning of the next answer. Ctrl-C stops an answer, twice leaves.
 */
#include "lm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TOKENS		1024			/* of an answer, unless -n says otherwise */

struct options {
	struct snpu_lm_opts lm;
	struct snpu_lm_pace pace;
	const char *system;
};

struct chat {
	struct snpu_lm_cli c;
	struct options *o;
	struct snpu_lm_stream stream;		/* the answer */
	struct snpu_lm_timing t;
	unsigned int fallbacks;			/* shown */
	bool tty;				/* somebody types */
	bool leave;
};

enum { OPT_SYSTEM = 0x100 };

static const struct argp_option options[] = {
	{ "system", OPT_SYSTEM, "TEXT", 0, "what the model is told first (default: the template's own)", 1 },
	{ "quiet", 'q', NULL, 0, "print only the answers", 15 },
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
	case OPT_SYSTEM: o->system = arg; return 0;
	case 'q': o->lm.quiet = true; return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num)
			argp_error(state, "one model at a time, and '%s' is a second argument", arg);
		o->lm.model = arg;
		return 0;
	case ARGP_KEY_END:
		if (!o->lm.model)
			argp_error(state, "which model? Give its folder, or a file that snpu convert wrote");
		if (o->system && o->lm.state_load)
			argp_error(state, "--system begins a chat, --state-load goes on with one");
		return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

#define COMMANDS	"/exit leaves, /reset forgets everything, /save FILE and /load FILE keep the chat, Ctrl-C stops an answer"

static const struct argp_child children[] = { { .argp = &snpu_lm_argp_pace }, { .argp = &snpu_lm_argp_run }, { .argp = &snpu_lm_argp_state }, { 0 } };
static const struct argp argp = {
	.options = options, .parser = parse, .args_doc = "MODEL", .children = children,
	.doc = "Talks with a language model, a line a turn. " COMMANDS ", twice leaves. At most 1024 tokens an answer unless -n says otherwise."
	       "\vExit status: 0 done, 1 failed, 2 wrong usage, 3 the device is missing or a layer cannot run on it, 130 interrupted.\n"
	       "Example: snpu chat SpikingBrain-7B-sft -t 0.7 --top-p 0.9",
};

/* --- a turn --------------------------------------------------------------------------------------------------- */

static enum snpu_exit template_failed(void)
{
	return snpu_cli_fail_library(SNPU_EXIT_FAILURE, "snpu generate MODEL -p TEXT  goes without a chat template");
}

/* The text of the first turn. */
static enum snpu_exit first_turn(const struct chat *k, const char *said, char **text)
{
	const struct snpu_lm_message messages[] = { { "system", k->o->system }, { "user", said } };
	int skip = !k->o->system;

	return snpu_lm_chat(k->c.lm, messages + skip, 2u - (unsigned int)skip, 1, text) ? template_failed() : SNPU_EXIT_OK;
}

/* Of a later one: what a chat with an empty answer before it has more than one that ends where the answer begins. */
static enum snpu_exit next_turn(const struct chat *k, const char *said, char **text)
{
	const struct snpu_lm_message messages[] = { { "system", "" }, { "assistant", "" }, { "user", said } };
	char *before = NULL, *after = NULL;
	enum snpu_exit st = SNPU_EXIT_OK;

	if (snpu_lm_chat(k->c.lm, messages, 1, 1, &before) || snpu_lm_chat(k->c.lm, messages, 3, 1, &after))
		st = template_failed();
	else if (strncmp(before, after, strlen(before)))
		st = snpu_cli_fail(SNPU_EXIT_FAILURE, "snpu generate MODEL -p TEXT", "the chat template is not made of turns");
	else
		*text = strdup(after + strlen(before));
	snpu_lm_text_free(before);
	snpu_lm_text_free(after);
	return st || *text ? st : snpu_cli_fail(SNPU_EXIT_FAILURE, "say less", "no memory for a turn");
}

static bool put(void *arg, uint32_t id)
{
	struct chat *k = arg;
	size_t n = 0;
	const char *bytes = snpu_lm_token(k->c.lm, id, &n);

	if (bytes)
		snpu_lm_stream_put(&k->stream, bytes, n);
	return !ferror(stdout);
}

static enum snpu_exit turn(struct chat *k, const char *said)
{
	struct snpu_lm_cli *c = &k->c;
	bool fresh = !snpu_lm_ctx_position(c->ctx) && !c->n_past;
	const char *stop = "";
	char *text = NULL;
	enum snpu_exit st = fresh ? first_turn(k, said, &text) : next_turn(k, said, &text);
	int err;

	if (!st)
		st = snpu_lm_append_text(c, text, strlen(text));
	if (fresh)
		snpu_lm_text_free(text);
	else
		free(text);
	if (st)
		return st;
	err = snpu_lm_continue(c, &k->o->pace, put, k, &k->t, &stop);
	snpu_lm_stream_end(&k->stream);
	snpu_lm_stream_free(&k->stream);
	k->stream.out = stdout;
	putchar('\n');
	snpu_lm_view_fallbacks(c, &k->fallbacks);
	if (err)
		return snpu_lm_fail(c, err);
	if (strcmp(stop, "length") == 0 && !c->opts->quiet)
		fprintf(stderr, "(stopped after %llu tokens; -n N allows more)\n", (unsigned long long)k->o->pace.most);
	if (fflush(stdout) || ferror(stdout))
		return snpu_cli_fail(SNPU_EXIT_FAILURE, "check where stdout goes", "the answer cannot be written");
	return SNPU_EXIT_OK;
}

/* --- commands ------------------------------------------------------------------------------------------------- */

/* "/save FILE"; an error is told, and the chat goes on. */
static void command(struct chat *k, char *line)
{
	struct snpu_lm_cli *c = &k->c;
	char *file = line + strcspn(line, " \t");

	if (*file)
		*file++ = 0;
	file += strspn(file, " \t");
	if (strcmp(line, "/exit") == 0 || strcmp(line, "/quit") == 0) {
		k->leave = true;
	} else if (strcmp(line, "/reset") == 0) {
		if (snpu_lm_ctx_reset(c->ctx))
			snpu_lm_fail(c, -EIO);
		c->n_past = c->n_seen = 0;
	} else if (strcmp(line, "/save") == 0 && *file) {
		if (!snpu_lm_save(c, file) && !c->opts->quiet)
			fprintf(stderr, "(saved: /load %s goes on from here)\n", file);
	} else if (strcmp(line, "/load") == 0 && *file) {
		if (!snpu_lm_load(c, file) && !c->opts->quiet)
			fprintf(stderr, "(%llu tokens of a chat)\n", (unsigned long long)snpu_lm_ctx_position(c->ctx));
	} else {
		fprintf(stderr, "(%s; a line that begins with a blank is said)\n", COMMANDS);
	}
}

/* The next line without its end; NULL: that was the last. */
static char *ask(struct chat *k, char **line, size_t *room)
{
	for (;;) {
		ssize_t n;

		if (k->tty) {
			fputs("> ", stderr);
			fflush(stderr);
		}
		errno = 0;
		n = getline(line, room, stdin);
		if (n >= 0) {
			while (n && ((*line)[n - 1] == '\n' || (*line)[n - 1] == '\r'))
				(*line)[--n] = 0;
			snpu_lm_interrupts_reset();
			return *line;
		}
		if (errno != EINTR || snpu_lm_interrupts() > 1)
			return NULL;
		clearerr(stdin);
		fputs("\n(again leaves, as does /exit)\n", stderr);
	}
}

static enum snpu_exit talk(struct chat *k)
{
	enum snpu_exit st = SNPU_EXIT_OK;
	char *line = NULL;
	size_t room = 0;

	while (!st && !k->leave && snpu_lm_interrupts() < 2 && ask(k, &line, &room)) {
		if (line[0] == '/')
			command(k, line);
		else if (line[strspn(line, " \t")])
			st = turn(k, line + strspn(line, " \t"));
	}
	free(line);
	if (k->tty && !k->leave && !st)
		fputc('\n', stderr);
	return st ? st : snpu_lm_interrupts() > 1 ? SNPU_EXIT_INTERRUPTED : SNPU_EXIT_OK;
}

static enum snpu_exit execute(struct chat *k)
{
	struct snpu_lm_cli *c = &k->c;
	enum snpu_exit st = snpu_lm_cli_open(c, &k->o->lm);

	if (!st && !c->model.has_tokenizer)
		return snpu_cli_fail(SNPU_EXIT_FAILURE, "snpu generate MODEL --ids 5,17,9  goes without", "model %s came without a tokenizer", c->model.name);
	if (st)
		return st;
	if (k->o->pace.sampler.temperature > 0)
		snpu_lm_seed(&k->o->pace);
	if (!c->opts->quiet)
		snpu_lm_view_before(c, stderr);
	if (k->tty && !c->opts->quiet)
		fprintf(stderr, "%s.\n\n", COMMANDS);
	st = talk(k);
	if (!st || st == SNPU_EXIT_INTERRUPTED) {
		enum snpu_exit written = snpu_lm_look_finish(c);

		if (!written && c->opts->state_save)
			written = snpu_lm_save(c, c->opts->state_save);
		st = written ? written : st;
	}
	snpu_lm_facts_timing(c, &k->t);
	snpu_lm_facts_after(c);
	if (k->t.prompt && !c->opts->quiet) {
		snpu_lm_view_timing(c, stderr);
		snpu_lm_view_after(c, stderr);
	}
	return st;
}

enum snpu_exit snpu_cmd_chat(int argc, char **argv)
{
	struct options o = { .pace.most = TOKENS };
	struct chat k = { .o = &o, .stream.out = stdout, .tty = isatty(STDIN_FILENO) };
	enum snpu_exit st;

	snpu_lm_opts_init(&o.lm);
	snpu_cli_parse(&argp, argc, argv, &o);
	st = execute(&k);
	snpu_lm_stream_free(&k.stream);
	snpu_lm_cli_close(&k.c);
	return st;
}
