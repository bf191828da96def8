/* SPDX-License-Identifier: MIT */
/*
 * Picks the next token: repetition penalty, temperature, top-k, top-p, in this order and with the meaning they have in
 * Hugging Face's library, except that top-k keeps exactly k (of equals the lower id). Everything is binary64 in a fixed order with
 * exp64 of docs/numerics.md, so that a seed gives the same token on every machine. Pure but for the caller's seed; no locks.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/fail.h"
#include "kernels/lm_math.h"
#include "snpu/snpu_lm.h"

struct candidate {
	double x;				/* logit, then weight: exp((logit - greatest) / temperature) */
	uint32_t id;
};

/* splitmix64, the upper 53 bits: [0, 1). */
static double uniform(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

static int check(const struct snpu_lm_sampler *s, const float *logits, uint32_t vocab)
{
	if (!logits || !vocab)
		return snpu_fail(-EINVAL, "there are no logits to sample from; pass those of an evaluation");
	if (!(s->temperature >= 0 && s->temperature < INFINITY))
		return snpu_fail(-EINVAL, "temperature %g is not possible; take 0 (greedy) or more", (double)s->temperature);
	if (!(s->top_p >= 0 && s->top_p <= 1))
		return snpu_fail(-EINVAL, "top_p %g is no probability; take a number from 0 to 1", (double)s->top_p);
	if (!(s->repetition_penalty >= 0 && s->repetition_penalty < INFINITY))
		return snpu_fail(-EINVAL, "repetition_penalty %g is not possible; take 1 (off) or a little more", (double)s->repetition_penalty);
	if (s->n_recent && !s->recent)
		return snpu_fail(-EINVAL, "n_recent is %zu and recent is NULL; pass the tokens or 0", s->n_recent);
	for (size_t i = 0; i < s->n_recent; i++)
		if (s->recent[i] >= vocab)
			return snpu_fail(-EINVAL, "recent[%zu] is %u, the vocabulary has %u tokens; pass ids of this model", i, s->recent[i], vocab);
	for (uint32_t i = 0; i < vocab; i++)
		if (!(logits[i] < INFINITY))
			return snpu_fail(-EINVAL, "logit %u is %g; the evaluation went wrong, nothing can be drawn from it", i, (double)logits[i]);
	return 0;
}

/* Fills in all tokens that are possible at all (a logit of -infinity is not), and says how many. */
static uint32_t candidates(const struct snpu_lm_sampler *s, const float *logits, uint32_t vocab, struct candidate *c)
{
	double penalty = s->repetition_penalty;
	uint32_t n = 0;

	for (uint32_t i = 0; i < vocab; i++)
		c[i] = (struct candidate){ logits[i], i };
	/* From the logits again, so that a token is punished once however often it occurred. */
	for (size_t i = 0; penalty > 0 && i < s->n_recent; i++) {
		double x = logits[s->recent[i]];

		c[s->recent[i]].x = x > 0 ? x / penalty : x * penalty;
	}
	for (uint32_t i = 0; i < vocab; i++)
		if (c[i].x > -INFINITY)
			c[n++] = c[i];
	return n;
}

static int better_first(const void *a, const void *b)
{
	const struct candidate *p = a, *q = b;

	return p->x != q->x ? (p->x > q->x ? -1 : 1) : p->id < q->id ? -1 : p->id > q->id;
}

static double total(const struct candidate *c, uint32_t n)
{
	double sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += c[i].x;
	return sum;
}

static uint32_t best(const struct candidate *c, uint32_t n)
{
	uint32_t at = 0;

	for (uint32_t i = 1; i < n; i++)
		if (c[i].x > c[at].x)
			at = i;
	return at;
}

/* The shortest beginning whose weights reach `share` of all; weights descend. */
static uint32_t nucleus(const struct candidate *c, uint32_t n, double share)
{
	double goal = share * total(c, n), sum = 0;
	uint32_t keep = 0;

	while (keep < n && sum < goal)
		sum += c[keep++].x;
	return keep;
}

static uint32_t draw(struct snpu_lm_sampler *s, struct candidate *c, uint32_t n)
{
	bool top_p = s->top_p > 0 && s->top_p < 1, top_k = s->top_k && s->top_k < n;
	double greatest = c[best(c, n)].x, goal, sum = 0;

	if (top_p || top_k)
		qsort(c, n, sizeof(*c), better_first);
	if (top_k)
		n = s->top_k;
	for (uint32_t i = 0; i < n; i++)
		c[i].x = snpu_exp64((c[i].x - greatest) / s->temperature);
	if (top_p)
		n = nucleus(c, n, s->top_p);
	goal = uniform(&s->seed) * total(c, n);
	for (uint32_t i = 0; i < n; i++) {
		sum += c[i].x;
		if (sum > goal)
			return c[i].id;
	}
	return c[n - 1].id;
}

int snpu_lm_sample(struct snpu_lm_sampler *sampler, const float *logits, uint32_t vocab, uint32_t *id)
{
	struct snpu_lm_sampler s;
	struct candidate *c;
	uint32_t n;
	int err = snpu_opts_in(&s, sizeof(s), sampler, "snpu_lm_sampler");

	if (!err)
		err = check(&s, logits, vocab);
	if (err)
		return err;
	c = malloc(vocab * sizeof(*c));
	if (!c)
		return snpu_fail(-ENOMEM, "no memory to sample from %u logits", vocab);
	n = candidates(&s, logits, vocab, c);
	if (!n)
		err = snpu_fail(-EINVAL, "all %u logits are -infinity; the evaluation went wrong, nothing can be drawn from it", vocab);
	else
		*id = s.temperature > 0 ? draw(&s, c, n) : c[best(c, n)].id;
	free(c);
	if (!err && sampler && sampler->sz >= offsetof(struct snpu_lm_sampler, seed) + sizeof(sampler->seed))
		sampler->seed = s.seed;
	return err;
}
