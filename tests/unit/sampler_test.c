/* SPDX-License-Identifier: MIT */
/* The sampler: which tokens can be drawn and how often, the order of its steps, the same draws everywhere, refusals. */
#include <math.h>

#include "snpu/snpu_lm.h"
#include "tests/harness.h"

#define SAMPLER(...)	((struct snpu_lm_sampler){ .sz = sizeof(struct snpu_lm_sampler), __VA_ARGS__ })
#define N(a)		(sizeof(a) / sizeof((a)[0]))

/* How often each of up to 32 tokens comes in n draws. */
static bool histogram(struct snpu_lm_sampler s, const float *logits, uint32_t vocab, unsigned int n, unsigned int *hits)
{
	uint32_t id;

	memset(hits, 0, 32 * sizeof(*hits));
	for (unsigned int i = 0; i < n; i++) {
		if (snpu_lm_sample(&s, logits, vocab, &id) || id >= vocab)
			return false;
		hits[id]++;
	}
	return true;
}

/* Bit i: token i came in 4000 draws; every token in question has a probability of more than 1 %. */
static uint32_t drawn(struct snpu_lm_sampler s, const float *logits, uint32_t vocab)
{
	unsigned int hits[32];
	uint32_t set = 0;

	if (!histogram(s, logits, vocab, 4000, hits))
		return UINT32_MAX;
	for (uint32_t i = 0; i < vocab; i++)
		set |= (uint32_t)(hits[i] > 0) << i;
	return set;
}

static double chi_square(const unsigned int *hits, const double *p, unsigned int n, unsigned int draws)
{
	double sum = 0;

	for (unsigned int i = 0; i < n; i++)
		sum += (hits[i] - p[i] * draws) * (hits[i] - p[i] * draws) / (p[i] * draws);
	return sum;
}

/* Seven degrees of freedom: 24.3 is exceeded once in a thousand, and the seeds are fixed. */
TEST(softmax_with_temperature)
{
	static const float logits[8] = { 0.5f, -1, 2, 0, 1.25f, -2, 1.9f, 0.1f };
	static const float temperatures[] = { 0.7f, 1, 1.6f };
	unsigned int hits[32];
	double p[8];

	for (unsigned int t = 0; t < N(temperatures); t++) {
		double sum = 0;

		for (int i = 0; i < 8; i++)
			sum += p[i] = exp(logits[i] / (double)temperatures[t]);
		for (int i = 0; i < 8; i++)
			p[i] /= sum;
		ASSERT_TRUE(histogram(SAMPLER(.temperature = temperatures[t], .seed = 11 + t), logits, 8, 200000, hits));
		double chi = chi_square(hits, p, 8, 200000);

		EXPECT_TRUE(chi < 24.3);
		EXPECT_TRUE(chi > 0.5);		/* no draw is that even */
	}
}

/* Probabilities 0.4, 0.3, 0.2, 0.1, in another order. */
static const float four[4] = { -2.302585093f, -0.9162907319f, -1.609437912f, -1.203972804f };

TEST(top_k_keeps_k)
{
	static const uint32_t want[] = { 0xf, 0x2, 0xa, 0xe, 0xf, 0xf };

	for (uint32_t k = 0; k < N(want); k++)
		EXPECT_EQ(drawn(SAMPLER(.temperature = 1, .top_k = k, .seed = 3), four, 4), want[k]);
	/* Of equals the lower ids. */
	EXPECT_EQ(drawn(SAMPLER(.temperature = 1, .top_k = 3), ((float[]){ 1, 2, 1, 1, 2 }), 5), 0x13);
}

TEST(top_p_keeps_the_shortest_that_reaches_it)
{
	static const struct { float p; uint32_t want; } cases[] = {
		{ 0, 0xf }, { 1e-6f, 0x2 }, { 0.39f, 0x2 }, { 0.41f, 0xa }, { 0.69f, 0xa }, { 0.71f, 0xe }, { 0.89f, 0xe }, { 0.91f, 0xf }, { 1, 0xf },
	};

	for (unsigned int i = 0; i < N(cases); i++)
		EXPECT_EQ(drawn(SAMPLER(.temperature = 1, .top_p = cases[i].p, .seed = 5), four, 4), cases[i].want);
	/* Exactly reached is enough: two of four equals are one half. */
	EXPECT_EQ(drawn(SAMPLER(.temperature = 1, .top_p = 0.5f), ((float[4]){ 0 }), 4), 0x3);
}

/* Top-k first: 0.4 and 0.3 become 4/7 and 3/7, so that 0.5 keeps one; of all four it would keep two. */
TEST(order_of_steps)
{
	EXPECT_EQ(drawn(SAMPLER(.temperature = 1, .top_p = 0.5f), four, 4), 0xa);
	EXPECT_EQ(drawn(SAMPLER(.temperature = 1, .top_k = 2, .top_p = 0.5f), four, 4), 0x2);
	/* Temperature before top-p: at 1/4 the greatest alone has 0.72. */
	EXPECT_EQ(drawn(SAMPLER(.temperature = 0.25f, .top_p = 0.7f), four, 4), 0x2);
	EXPECT_EQ(drawn(SAMPLER(.temperature = 1, .top_p = 0.7001f), four, 4), 0xe);
	/* The penalty before top-k: what was best is not among the best two any more. */
	EXPECT_EQ(drawn(SAMPLER(.temperature = 1, .top_k = 2, .repetition_penalty = 2, .recent = (uint32_t[]){ 1 }, .n_recent = 1), four, 4), 0xc);
}

TEST(kept_tokens_keep_their_ratio)
{
	static const double p[4] = { 0, 4 / 9.0, 2 / 9.0, 3 / 9.0 };
	unsigned int hits[32];

	ASSERT_TRUE(histogram(SAMPLER(.temperature = 1, .top_k = 3, .seed = 17), four, 4, 100000, hits));
	EXPECT_EQ(hits[0], 0);
	EXPECT_TRUE(chi_square(hits + 1, p + 1, 3, 100000) < 13.8);
	ASSERT_TRUE(histogram(SAMPLER(.temperature = 1, .top_p = 0.8f, .seed = 18), four, 4, 100000, hits));
	EXPECT_EQ(hits[0], 0);
	EXPECT_TRUE(chi_square(hits + 1, p + 1, 3, 100000) < 13.8);
}

static uint32_t greedy(const float *logits, uint32_t vocab, float penalty, const uint32_t *recent, size_t n)
{
	struct snpu_lm_sampler s = SAMPLER(.repetition_penalty = penalty, .recent = recent, .n_recent = n, .seed = 4, .top_k = 2, .top_p = 0.5f);
	uint32_t id = UINT32_MAX;

	EXPECT_EQ(snpu_lm_sample(&s, logits, vocab, &id), 0);
	EXPECT_EQ(s.seed, 4);			/* nothing was drawn */
	return id;
}

TEST(greedy_takes_the_first_of_equals)
{
	static const float ties[] = { -1, 3, 2, 3, 3 }, zeros[] = { -0.0f, 0, -0.0f };
	uint32_t id = 9;

	EXPECT_EQ(greedy(ties, 5, 0, NULL, 0), 1);
	EXPECT_EQ(greedy(zeros, 3, 1, NULL, 0), 0);
	EXPECT_EQ(greedy((float[]){ -INFINITY, -3e38f }, 2, 0, NULL, 0), 1);
	EXPECT_EQ(snpu_lm_sample(NULL, ties, 5, &id), 0);
	EXPECT_EQ(id, 1);
}

TEST(repetition_penalty)
{
	static const float logits[] = { 1, 1.9f, 2, -0.5f };
	static const uint32_t twice[] = { 2, 2, 2 }, all[] = { 0, 1, 2, 3 };

	/* 2 / 1.1 < 1.9; three times as well, because it counts once: 2 / 1.9 > 1 but 2 / 1.9^3 < 1. */
	EXPECT_EQ(greedy(logits, 4, 1.1f, twice, 1), 1);
	EXPECT_EQ(greedy((float[]){ 1, 0, 2, 0 }, 4, 1.9f, twice, 3), 2);
	EXPECT_EQ(greedy(logits, 4, 0.5f, all, 2), 1);			/* below 1 it rewards */
	EXPECT_EQ(greedy((float[]){ -2, -1, -1.5f, -3 }, 4, 2, (uint32_t[]){ 1 }, 1), 2);	/* negative ones are multiplied */
	EXPECT_EQ(greedy(logits, 4, 0, twice, 3), 2);			/* 0 is off */
	EXPECT_EQ(greedy(logits, 4, 1e-45f, all, 2), 1);		/* no infinity comes of it */
}

/* What these seeds draw is part of the contract: the same on every machine, today and later. */
TEST(same_draws_everywhere)
{
	static const uint32_t want[2][12] = {
		{ 595, 753, 980, 490, 490, 770, 876, 560, 299, 805, 439, 630 },
		{ 560, 403, 193, 770, 665, 508, 88, 718, 158, 403, 263, 613 },
	};
	struct snpu_lm_sampler s[2] = { SAMPLER(.temperature = 0.8f, .seed = 1), SAMPLER(.temperature = 1.1f, .top_k = 40, .top_p = 0.95f, .seed = 0xfeedface) };
	float logits[1000];
	uint32_t id;

	for (int i = 0; i < 1000; i++)
		logits[i] = (float)((i * 7919 + 13) % 997) / 100.0f;
	for (int k = 0; k < 2; k++)
		for (int i = 0; i < 12; i++) {
			ASSERT_EQ(snpu_lm_sample(&s[k], logits, 1000, &id), 0);
			EXPECT_EQ(id, want[k][i]);
		}
	EXPECT_EQ(s[0].seed, 1 + 12 * 0x9e3779b97f4a7c15u);
}

TEST(extreme_numbers)
{
	static const float wide[] = { 3.4e38f, -3.4e38f, 3.3e38f }, masked[] = { -INFINITY, 0, -INFINITY, 0 };

	EXPECT_EQ(drawn(SAMPLER(.temperature = 1), wide, 3), 1);
	EXPECT_EQ(drawn(SAMPLER(.temperature = 1e-45f, .top_p = 0.99f), wide, 3), 1);
	EXPECT_EQ(drawn(SAMPLER(.temperature = 3e38f), wide, 3), 7);
	EXPECT_EQ(drawn(SAMPLER(.temperature = 1), masked, 4), 0xa);
	EXPECT_EQ(drawn(SAMPLER(.temperature = 1, .top_k = 3, .top_p = 0.999f), masked, 4), 0xa);
	EXPECT_EQ(drawn(SAMPLER(.temperature = 1), masked + 1, 1), 1);
}

TEST(a_large_vocabulary)
{
	enum { VOCAB = 152064 };
	float *logits = malloc(VOCAB * sizeof(*logits));
	struct snpu_lm_sampler s = SAMPLER(.temperature = 0.7f, .top_p = 0.9f, .top_k = 50);
	uint32_t id;

	for (uint32_t i = 0; i < VOCAB; i++)
		logits[i] = (float)(i * 2654435761u >> 8) * 0x1p-24f * 10;
	for (int i = 0; i < 20; i++) {
		ASSERT_EQ(snpu_lm_sample(&s, logits, VOCAB, &id), 0);
		EXPECT_TRUE(logits[id] > 9.99f);
	}
	memset(logits, 0, VOCAB * sizeof(*logits));	/* all equal: no worse */
	for (int i = 0; i < 20; i++) {
		ASSERT_EQ(snpu_lm_sample(&s, logits, VOCAB, &id), 0);
		EXPECT_LT(id, 50);
	}
	free(logits);
}

TEST(refusals)
{
	static const float bad[][3] = { { 0, NAN, 1 }, { 0, INFINITY, 1 }, { -INFINITY, -INFINITY, -INFINITY } }, fine[3] = { 0, 1, 2 };
	struct snpu_lm_sampler wrong[] = {
		SAMPLER(.temperature = NAN), SAMPLER(.temperature = -1), SAMPLER(.temperature = INFINITY), SAMPLER(.top_p = -0.1f), SAMPLER(.top_p = 1.1f),
		SAMPLER(.top_p = NAN), SAMPLER(.repetition_penalty = -1), SAMPLER(.repetition_penalty = NAN), SAMPLER(.n_recent = 1),
		SAMPLER(.repetition_penalty = 2, .n_recent = 1, .recent = (uint32_t[]){ 3 }), { .sz = 1 },
	};
	uint32_t id = 42;

	for (unsigned int i = 0; i < N(bad); i++)
		for (int t = 0; t < 2; t++) {
			struct snpu_lm_sampler s = SAMPLER(.temperature = (float)t, .seed = 8);

			EXPECT_EQ(snpu_lm_sample(&s, bad[i], 3, &id), -EINVAL);
			EXPECT_EQ(s.seed, 8);
		}
	for (unsigned int i = 0; i < N(wrong); i++)
		EXPECT_EQ(snpu_lm_sample(&wrong[i], fine, 3, &id), -EINVAL);
	EXPECT_EQ(snpu_lm_sample(NULL, fine, 0, &id), -EINVAL);
	EXPECT_EQ(snpu_lm_sample(NULL, NULL, 3, &id), -EINVAL);
	EXPECT_EQ(id, 42);
}

TEST_HARNESS_MAIN
