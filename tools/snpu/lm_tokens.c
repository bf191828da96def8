// SPDX-License-Identifier: MIT
/*
 * Going through tokens: what is appended to the sequence is evaluated, and a text is continued token by token. Also Ctrl-C, which
 * stops at the next chunk of tokens. The signal handler is the only thing here that runs beside the rest.
 */
#include "lm.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define PIECE		512u			/* tokens of one call, so that a bar moves */
#define PIECE_LOGITS	16u			/* the same where logits of all of them come along */

/* --- Ctrl-C --------------------------------------------------------------------------------------------------- */

static struct snpu_lm_cli *volatile interruptible;
static volatile sig_atomic_t interrupts;

static void on_interrupt(int sig)
{
	struct snpu_lm_cli *c = interruptible;

	interrupts++;
	if (c && c->ctx)
		snpu_lm_ctx_cancel(c->ctx);
	if (interrupts > 2) {			/* somebody is in a hurry */
		signal(sig, SIG_DFL);
		raise(sig);
	}
}

void snpu_lm_interruptible(struct snpu_lm_cli *c)
{
	struct sigaction action = { .sa_handler = c ? on_interrupt : SIG_DFL };

	interruptible = c;
	sigaction(SIGINT, &action, NULL);
}

unsigned int snpu_lm_interrupts(void)
{
	return (unsigned int)interrupts;
}

void snpu_lm_interrupts_reset(void)
{
	interrupts = 0;
}

/* --- the sequence --------------------------------------------------------------------------------------------- */

static int push(struct snpu_lm_cli *c, const uint32_t *ids, size_t n)
{
	size_t room = c->past_room ? c->past_room : 1024;
	uint32_t *grown = c->past;

	while (room - c->n_past < n)
		room *= 2;
	if (room != c->past_room)
		grown = reallocarray(c->past, room, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	c->past = grown;
	c->past_room = room;
	if (n)
		memcpy(c->past + c->n_past, ids, n * sizeof(*ids));
	c->n_past += n;
	return 0;
}

enum snpu_exit snpu_lm_append(struct snpu_lm_cli *c, const uint32_t *ids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ids[i] >= c->model.vocab)
			return snpu_cli_fail(SNPU_EXIT_FAILURE, "snpu tokenize MODEL TEXT  shows the ids of a text", "token %zu is %u; the model knows ids below %u", i,
					     ids[i], c->model.vocab);
	return push(c, ids, n) ? snpu_cli_fail(SNPU_EXIT_FAILURE, "give a shorter text", "no memory for %zu tokens", n) : SNPU_EXIT_OK;
}

enum snpu_exit snpu_lm_append_text(struct snpu_lm_cli *c, const char *text, size_t len)
{
	uint32_t *ids = NULL;
	size_t n = 0;
	enum snpu_exit st;

	if (snpu_lm_encode(c->lm, text, len, SNPU_LM_TEXT_SPECIAL, &ids, &n))
		return snpu_cli_fail_library(SNPU_EXIT_FAILURE, c->model.has_tokenizer ? "give a shorter text" : "snpu generate MODEL --ids 5,17,9  goes without");
	st = snpu_lm_append(c, ids, n);
	snpu_lm_ids_free(ids);
	return st;
}

enum snpu_exit snpu_lm_parse_ids(const char *text, uint32_t **out, size_t *n)
{
	uint32_t *ids = calloc(strlen(text) + 1, sizeof(*ids));
	const char *s = text;
	char *end;

	*n = 0;
	while (ids && *(s += strspn(s, ", \t\n"))) {
		unsigned long long v = strtoull(s, &end, 10);

		if (*s < '0' || *s > '9' || v > UINT32_MAX || (*end && !strchr(", \t\n", *end))) {
			free(ids);
			return snpu_cli_fail(SNPU_EXIT_USAGE, "--ids 5,17,9", "'%.20s' is no list of token ids", s);
		}
		ids[(*n)++] = (uint32_t)v;
		s = end;
	}
	*out = ids;
	return ids ? SNPU_EXIT_OK : snpu_cli_fail(SNPU_EXIT_FAILURE, "give fewer", "no memory for token ids");
}

/* One call of the library for the next n tokens. */
static int evaluate(struct snpu_lm_cli *c, size_t n, enum snpu_lm_logits which, bool logits)
{
	size_t vocab = c->model.vocab, rows = which == SNPU_LM_ALL ? n : 1;
	uint64_t before = snpu_lm_ctx_position(c->ctx);
	float *all = logits && rows > 1 ? calloc(rows, vocab * sizeof(*all)) : NULL;
	int err;

	if (logits && rows > 1 && !all)
		return -ENOMEM;
	err = snpu_lm_eval(c->ctx, c->past + c->n_seen, n, which, all ? all : logits ? c->logits : NULL);
	c->n_seen += snpu_lm_ctx_position(c->ctx) - before;
	if (all && !err)
		memcpy(c->logits, all + (rows - 1) * vocab, vocab * sizeof(*all));
	free(all);
	c->have_logits = logits && !err;
	return err;
}

int snpu_lm_advance(struct snpu_lm_cli *c, bool logits)
{
	bool all = snpu_lm_look_logits(c->look);
	size_t first = c->n_seen, most = all ? PIECE_LOGITS : PIECE, n = c->n_past - first;
	struct snpu_progress bar = { .label = "prompt" };
	int err = 0;

	if (c->opts->ctx.window == SNPU_LM_WINDOW_HF)
		most = n;			/* the first call is special there */
	snpu_progress_start(&bar, "prompt", n > most && !c->opts->quiet && !c->opts->json);
	while (c->n_seen < c->n_past && !err) {
		size_t left = c->n_past - c->n_seen, now = left < most ? left : most;
		bool last = now == left;
		char text[64];

		err = evaluate(c, now, all ? SNPU_LM_ALL : last ? SNPU_LM_LAST : SNPU_LM_NONE, last && logits);
		if (!err && !last && snpu_lm_interrupts())
			err = -ECANCELED;
		snprintf(text, sizeof(text), "%zu/%zu tokens", c->n_seen - first, n);
		snpu_progress_show(&bar, (double)(c->n_seen - first), (double)n, text);
	}
	snpu_progress_end(&bar);
	return err;
}

/* --- continuing ----------------------------------------------------------------------------------------------- */

static bool draws(const struct snpu_lm_pace *p)
{
	return p->sampler.temperature > 0 || (p->sampler.repetition_penalty > 0 && p->sampler.repetition_penalty != 1);
}

static int pick(struct snpu_lm_cli *c, struct snpu_lm_pace *p, uint32_t *id)
{
	if (!draws(p)) {
		*id = snpu_lm_ctx_argmax(c->ctx);
		return 0;
	}
	p->sampler.recent = c->past;
	p->sampler.n_recent = c->n_past;
	return snpu_lm_sample(&p->sampler, c->logits, c->model.vocab, id);
}

void snpu_lm_seed(struct snpu_lm_pace *p)
{
	uint32_t word = 0;

	if (p->seeded)
		return;
	if (getrandom(&word, sizeof(word), 0) != sizeof(word))
		word = (uint32_t)(snpu_clock() * 1e6);
	p->sampler.seed = word;
	p->seeded = true;
}

static const char *ends_text(const struct snpu_lm_cli *c, const struct snpu_lm_pace *p, uint32_t id)
{
	if (p->ignore_eos || id == UINT32_MAX)
		return NULL;
	return id == c->model.eos ? "eos" : id == c->model.eot ? "eot" : NULL;
}

static int evaluate_prompt(struct snpu_lm_cli *c, struct snpu_lm_pace *p, struct snpu_lm_timing *t)
{
	double start = snpu_clock();
	size_t before = c->n_seen;
	int err = snpu_lm_advance(c, draws(p));

	t->prompt += c->n_seen - before;
	t->prompt_seconds += snpu_clock() - start;
	return err;
}

int snpu_lm_continue(struct snpu_lm_cli *c, struct snpu_lm_pace *p, snpu_lm_put *put, void *arg, struct snpu_lm_timing *t, const char **stop)
{
	double start = snpu_clock(), since;
	int err = evaluate_prompt(c, p, t);
	uint64_t made = 0;
	uint32_t id;

	*stop = made == p->most ? "length" : NULL;
	since = snpu_clock();
	for (; !err && !*stop; made++) {
		if (made)
			err = snpu_lm_advance(c, draws(p));
		t->evals += made > 0;
		if (!err)
			err = pick(c, p, &id);
		if (err)
			break;
		*stop = ends_text(c, p, id);
		if (*stop)
			break;
		err = push(c, &id, 1);
		if (!put(arg, id) || snpu_lm_interrupts())
			*stop = "interrupted";
		if (!made)
			t->first_seconds = snpu_clock() - start;
		if (made + 1 == p->most && !*stop)
			*stop = "length";
	}
	t->made += made;
	t->eval_seconds += snpu_clock() - since;
	if (err == -ECANCELED && snpu_lm_interrupts()) {
		*stop = "interrupted";
		err = 0;
	}
	return err;
}
