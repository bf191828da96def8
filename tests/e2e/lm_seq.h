/* SPDX-License-Identifier: MIT */
/*
 * A model with a sequence of tokens and what it must come to: the last logits and the whole state, from one undisturbed call on one
 * thread of scalar code. For tests that disturb. One test process, no locks.
 */
#ifndef SNPU_TESTS_LM_SEQ_H
#define SNPU_TESTS_LM_SEQ_H

#include "snpu/snpu.h"
#include "tests/e2e/lm_make.h"

#define SEQ_MAX	512u

struct seq {
	struct snpu_lm *lm;
	struct snpu_lm_info info;
	uint32_t ids[SEQ_MAX];
	unsigned int n;
	float *logits;				/* [vocab] of the last token */
	uint8_t *state;
	uint64_t state_size;
};

static inline uint8_t *seq_state(struct snpu_lm_ctx *ctx, uint64_t *size)
{
	uint8_t *buf;

	*size = snpu_lm_state_size(ctx);
	buf = calloc(1, *size);
	if (snpu_lm_state_save(ctx, buf, *size))
		TH_FAILMSG("no state: %s", snpu_last_error());
	return buf;
}

static inline void seq_open(struct seq *s, const char *path, uint32_t form, uint32_t window, unsigned int n)
{
	struct snpu_lm_open_opts o = { .sz = sizeof(o), .form = form };
	struct snpu_lm_ctx_opts c = { .sz = sizeof(c), .threads = 1, .cpu_isa = SNPU_CPU_SCALAR, .window = window };
	struct snpu_lm_ctx *ctx;

	memset(s, 0, sizeof(*s));
	s->info.sz = sizeof(s->info);
	s->n = n;
	if (snpu_lm_open(path, &o, &s->lm) || snpu_lm_info(s->lm, &s->info) || snpu_lm_ctx_create(s->lm, &c, &ctx)) {
		printf("# %s: %s\n", path, snpu_last_error());
		exit(TH_FAIL);
	}
	for (unsigned int i = 0, x = 99; i < SEQ_MAX; i++) {
		x = x * 1664525 + 1013904223;
		s->ids[i] = (x >> 8) % s->info.vocab;
	}
	s->logits = calloc(s->info.vocab, sizeof(*s->logits));
	if (snpu_lm_eval(ctx, s->ids, n, SNPU_LM_LAST, s->logits))
		TH_FAILMSG("no reference: %s", snpu_last_error());
	s->state = seq_state(ctx, &s->state_size);
	snpu_lm_ctx_free(ctx);
}

/* A model made for this, whose folder goes again at once. */
static inline void seq_made(struct seq *s, struct made m, uint32_t form, uint32_t window, unsigned int n)
{
	char *dir = made_model(m);

	if (!dir)
		exit(TH_FAIL);
	seq_open(s, dir, form, window, n);
	remove_folder(dir);
}

static inline void seq_close(struct seq *s)
{
	free(s->logits);
	free(s->state);
	snpu_lm_free(s->lm);
}

/* Is the context, which has come to its end with these logits, what it must be? */
static inline bool seq_ends(const struct seq *s, struct snpu_lm_ctx *ctx, const float *logits)
{
	uint64_t size;
	uint8_t *state = seq_state(ctx, &size);
	bool same = size == s->state_size && !memcmp(state, s->state, size);

	if (!same)
		printf("# the state is another one\n");
	if (logits && memcmp(logits, s->logits, 4 * s->info.vocab)) {
		printf("# logit 0 is %.9g instead of %.9g\n", (double)logits[0], (double)s->logits[0]);
		same = false;
	}
	free(state);
	return same;
}

/* Evaluates the rest of the sequence in calls of `call` tokens. */
static inline bool seq_finish(const struct seq *s, struct snpu_lm_ctx *ctx, unsigned int call)
{
	float *logits = calloc(s->info.vocab, sizeof(*logits));
	bool same = true;

	while (same && snpu_lm_ctx_position(ctx) < s->n) {
		unsigned int at = (unsigned int)snpu_lm_ctx_position(ctx), n = s->n - at < call ? s->n - at : call;

		if (snpu_lm_eval(ctx, s->ids + at, n, SNPU_LM_LAST, logits)) {
			printf("# at token %u: %s\n", at, snpu_last_error());
			same = false;
		}
	}
	same = same && seq_ends(s, ctx, logits);
	free(logits);
	return same;
}

#endif
