// SPDX-License-Identifier: MIT
/*
 * `snpu score`: how well a model predicts a text, as bits per byte and perplexity. The text is cut into segments that do not know of
 * each other, as in training; each token but the text's first is predicted from those before it in the segment, the first one of
 * a segment from the whole segment before.
 */
#include "lm.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bundle.h"
#include "text.h"

#define SEGMENT		512			/* tokens, unless --segment says otherwise */
#define LOGIT_BYTES	(64ull << 20)		/* of one call */

struct options {
	struct snpu_lm_opts lm;
	const char *file;
	uint64_t segment, tokens;		/* tokens 0: all */
};

struct score {
	struct snpu_lm_cli c;
	const struct options *o;
	float *logits;				/* [piece][vocab] */
	size_t piece;				/* tokens of one call */
	double bits;				/* of all predictions */
	uint64_t predicted, right, bytes, segments;
	double seconds;
};

enum { OPT_SEGMENT = 0x100, OPT_TOKENS };

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "What is scored:", 1 },
	{ "segment", OPT_SEGMENT, "N", 0, "tokens of a segment (default: 512)", 1 },
	{ "tokens", OPT_TOKENS, "N", 0, "only the first N predictions", 1 },
	{ NULL, 0, NULL, 0, "What comes out:", 15 },
	{ "json", 'j', NULL, 0, "print JSON", 15 },
	{ "quiet", 'q', NULL, 0, "print only the bits per byte", 15 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT: state->child_inputs[0] = &o->lm; return 0;
	case OPT_SEGMENT: o->segment = snpu_option_whole(state, "--segment", arg, 1, 1u << 30); return 0;
	case OPT_TOKENS: o->tokens = snpu_option_whole(state, "--tokens", arg, 1, UINT32_MAX); return 0;
	case 'j': o->lm.json = true; snpu_cli_json(true); return 0;
	case 'q': o->lm.quiet = true; return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num > 1)
			argp_error(state, "one model scores one text, and '%s' is a third argument", arg);
		*(state->arg_num ? &o->file : &o->lm.model) = arg;
		return 0;
	case ARGP_KEY_END:
		if (!o->lm.model || !o->file)
			argp_error(state, "which %s? Give MODEL FILE", o->lm.model ? "text" : "model");
		return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = { { .argp = &snpu_lm_argp_run }, { 0 } };
static const struct argp argp = {
	.options = options, .parser = parse, .args_doc = "MODEL FILE", .children = children,
	.doc = "Scores a text, - for stdin: bits per byte and perplexity of what the model predicts."
	       "\vExit status: 0 done, 1 failed, 2 wrong usage, 3 the device is missing or a layer cannot run on it, 130 interrupted.\n"
	       "Example: snpu score austen-3.7m-w8aspike novel.txt -k 2",
};

/* --- the sum -------------------------------------------------------------------------------------------------- */

/* -log2 of the probability that softmax of the logits gives to `id`. */
static double bits_of(const float *logits, uint32_t vocab, uint32_t id, bool *best)
{
	double most = (double)logits[0], sum = 0;

	for (uint32_t i = 1; i < vocab; i++)
		most = fmax(most, (double)logits[i]);
	for (uint32_t i = 0; i < vocab; i++)
		sum += exp((double)logits[i] - most);
	*best = (double)logits[id] == most;
	return (log(sum) + most - (double)logits[id]) / M_LN2;
}

static void count(struct score *s, const float *logits, uint32_t id)
{
	size_t bytes = 0;
	bool best;

	s->bits += bits_of(logits, s->c.model.vocab, id, &best);
	s->right += best;
	s->predicted++;
	if (snpu_lm_token(s->c.lm, id, &bytes))
		s->bytes += bytes;
}

/* Tokens ids[0, n) on their own; ids[n] is predicted, too. */
static int segment(struct score *s, const uint32_t *ids, size_t n)
{
	struct snpu_lm_cli *c = &s->c;
	int err = snpu_lm_ctx_reset(c->ctx);

	for (size_t at = 0, now; at < n && !err; at += now) {
		now = n - at < s->piece ? n - at : s->piece;
		err = snpu_lm_eval(c->ctx, ids + at, now, SNPU_LM_ALL, s->logits);
		for (size_t i = 0; i < now && !err; i++)
			count(s, s->logits + i * c->model.vocab, ids[at + i + 1]);
		if (!err && snpu_lm_interrupts())
			err = -ECANCELED;
	}
	s->segments++;
	return err;
}

static enum snpu_exit score(struct score *s)
{
	struct snpu_lm_cli *c = &s->c;
	struct snpu_progress bar;
	double start = snpu_clock();
	int err = 0;

	snpu_progress_start(&bar, "score", !c->opts->quiet && !c->opts->json);
	for (size_t at = 0, n; at + 1 < c->n_past && !err; at += n) {
		char text[64];

		n = c->n_past - 1 - at < s->o->segment ? c->n_past - 1 - at : s->o->segment;
		err = segment(s, c->past + at, n);
		snprintf(text, sizeof(text), "%zu/%zu tokens", at + n, c->n_past);
		snpu_progress_show(&bar, (double)(at + n), (double)c->n_past, text);
	}
	snpu_progress_end(&bar);
	s->seconds = snpu_clock() - start;
	return err ? snpu_lm_fail(c, err) : SNPU_EXIT_OK;
}

/* --- what there is to tell -------------------------------------------------------------------------------------- */

static json_t *number(double v)
{
	return isfinite(v) ? json_real(v) : json_null();
}

static void facts(struct score *s)
{
	struct snpu_lm_cli *c = &s->c;
	double predicted = (double)s->predicted;
	json_t *o = json_pack("{s:o, s:I, s:I, s:I, s:I, s:I}", "file", snpu_cli_string(s->o->file), "tokens", (json_int_t)c->n_past, "predicted", (json_int_t)s->predicted,
			      "bytes", (json_int_t)s->bytes, "segments", (json_int_t)s->segments, "segment", (json_int_t)s->o->segment);

	json_object_set_new(o, "bits", number(s->bits));
	json_object_set_new(o, "bits_per_byte", number(s->bytes ? s->bits / (double)s->bytes : NAN));
	json_object_set_new(o, "bits_per_token", number(s->bits / predicted));
	json_object_set_new(o, "perplexity", number(exp2(s->bits / predicted)));
	json_object_set_new(o, "top1", number((double)s->right / predicted));
	json_object_set_new(c->facts, "score", o);
	json_object_set_new(c->facts, "timing", json_pack("{s:f, s:f, s:f}", "load_ms", 1e3 * c->load_seconds, "score_ms", 1e3 * s->seconds, "tokens_per_second",
							  s->seconds > 0 ? (double)c->n_past / s->seconds : 0));
	snpu_lm_facts_after(c);
}

static void view(const struct score *s)
{
	const json_t *f = s->c.facts;
	FILE *to = snpu_screen_begin();

	fprintf(to, "%-*s%.4f bits per byte   %.3f perplexity per token   %.1f %% of the tokens guessed\n", SNPU_LABEL, "score",
		snpu_fact_number(f, "score.bits_per_byte"), snpu_fact_number(f, "score.perplexity"), 100 * snpu_fact_number(f, "score.top1"));
	fprintf(to, "%*s%s of ", SNPU_LABEL, "", snpu_text_of(SNPU_TEXT, (double)s->predicted, "prediction"));
	fprintf(to, "%s, %s, ", snpu_text_of(SNPU_TEXT, (double)s->c.n_past, "token"), snpu_text_of(SNPU_TEXT, (double)s->bytes, "byte"));
	fprintf(to, "%s of %llu\n", snpu_text_of(SNPU_TEXT, (double)s->segments, "segment"), (unsigned long long)s->o->segment);
	fprintf(to, "%-*s%s, %s tokens/s\n", SNPU_LABEL, "time", snpu_text_seconds(SNPU_TEXT, s->seconds),
		snpu_text_count(SNPU_TEXT, snpu_fact_number(f, "timing.tokens_per_second")));
	snpu_screen_end();
}

/* --- steps ------------------------------------------------------------------------------------------------------ */

static enum snpu_exit read_text(struct score *s)
{
	struct snpu_lm_cli *c = &s->c;
	char *text = NULL;
	size_t size = 0;
	enum snpu_exit st = snpu_file_read(s->o->file, (void **)&text, &size);

	if (!st)
		st = snpu_lm_append_text(c, text, size);
	free(text);
	if (!st && s->o->tokens && c->n_past > s->o->tokens + 1)
		c->n_past = s->o->tokens + 1;
	if (!st && c->n_past < 2)
		return snpu_cli_fail(SNPU_EXIT_FAILURE, "snpu tokenize MODEL -  <FILE  shows the tokens of a text", "%s has %zu tokens; two are the least, a beginning and a prediction", s->o->file,
				     c->n_past);
	return st;
}

static enum snpu_exit make_room(struct score *s)
{
	uint64_t row = sizeof(float) * (uint64_t)s->c.model.vocab;

	/* Where the first call of a sequence is special, a segment must be one. */
	s->piece = s->c.opts->ctx.window == SNPU_LM_WINDOW_HF || s->o->segment < LOGIT_BYTES / row ? s->o->segment : LOGIT_BYTES / row + 1;
	if (s->piece > s->c.n_past)
		s->piece = s->c.n_past;
	s->logits = calloc(s->piece, row);
	return s->logits ? SNPU_EXIT_OK : snpu_cli_fail(SNPU_EXIT_FAILURE, "--segment 512", "no memory for the logits of %zu tokens", s->piece);
}

static enum snpu_exit execute(struct score *s)
{
	const struct snpu_lm_opts *o = &s->o->lm;
	struct snpu_lm_cli *c = &s->c;
	enum snpu_exit st = snpu_lm_cli_open(c, o);
	unsigned int shown = 0;

	if (!st)
		st = read_text(s);
	if (!st)
		st = make_room(s);
	if (st)
		return st;
	if (!o->json && !o->quiet)
		snpu_lm_view_before(c, stdout);
	st = score(s);
	snpu_lm_view_fallbacks(c, &shown);
	if (!st)
		st = snpu_lm_look_finish(c);
	if (st)
		return st;
	facts(s);
	if (o->json)
		return snpu_cli_print_json(json_incref(c->facts)) ? SNPU_EXIT_OK : SNPU_EXIT_FAILURE;
	if (o->quiet) {
		printf("%.6f\n", snpu_fact_number(c->facts, "score.bits_per_byte"));
		return SNPU_EXIT_OK;
	}
	view(s);
	snpu_lm_view_after(c, stdout);
	return SNPU_EXIT_OK;
}

enum snpu_exit snpu_cmd_score(int argc, char **argv)
{
	struct options o = { .segment = SEGMENT };
	struct score s = { .o = &o };
	enum snpu_exit st;

	snpu_lm_opts_init(&o.lm);
	snpu_cli_parse(&argp, argc, argv, &o);
	st = execute(&s);
	free(s.logits);
	snpu_lm_cli_close(&s.c);
	return st;
}
