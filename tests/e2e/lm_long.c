/* SPDX-License-Identifier: MIT */
/*
 * A context of 1,048,576 tokens through the trained English model: memory must not grow with it. Prints resident memory, speed and
 * how well the next token is predicted on the way. LM_LONG_TOKENS chooses another length.
 */
#include <time.h>

#include "tests/e2e/lm_rig.h"

#define REPORTS	8u

static unsigned long resident_kib(void)
{
	char line[128];
	unsigned long kib = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %lu", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static uint32_t *corpus(struct snpu_lm *lm, size_t *n)
{
	const void *text;
	uint32_t *ids = NULL;
	size_t size;

	if (snpu_file_map(LM_DATA "heldout-text.txt", 0, &text, &size) || snpu_lm_encode(lm, text, size, 0, &ids, n))
		printf("# %s\n", snpu_last_error());
	else
		snpu_file_unmap(text, size);
	return ids;
}

/* Bits that the token `id` costs under these logits. */
static double bits(const float *logits, uint32_t vocab, uint32_t id)
{
	double sum = 0, max = -1e300;

	for (uint32_t i = 0; i < vocab; i++)
		max = logits[i] > max ? logits[i] : max;
	for (uint32_t i = 0; i < vocab; i++)
		sum += exp(logits[i] - max);
	return (log(sum) + max - logits[id]) / log(2.0);
}

/* 256 tokens one after the other from here, on a fork: what one costs, bits a token. */
static double quality(struct snpu_lm_ctx *ctx, const uint32_t *ids, uint32_t vocab)
{
	float *logits = malloc(256ull * vocab * 4);
	struct snpu_lm_ctx *fork;
	double sum = NAN;

	if (logits && !snpu_lm_ctx_fork(ctx, &fork)) {
		if (!snpu_lm_eval(fork, ids, 256, SNPU_LM_ALL, logits))
			sum = 0;
		for (unsigned int i = 0; i + 1 < 256; i++)
			sum += bits(logits + (size_t)i * vocab, vocab, ids[i + 1]);
		snpu_lm_ctx_free(fork);
	}
	free(logits);
	return sum / 255;
}

TEST_TIMEOUT(a_million_tokens, 1200)
{
	const char *env = getenv("LM_LONG_TOKENS");
	uint64_t total = env ? strtoull(env, NULL, 0) : 1048576, done = 0, step = total / REPORTS;
	struct snpu_lm_info info = { .sz = sizeof(info) };
	unsigned long first = 0, most = 0;
	struct snpu_lm_ctx *ctx;
	struct snpu_lm *lm;
	uint32_t *ids;
	double start;
	size_t n = 0;

	ASSERT_EQ(snpu_lm_open(LM_DATA "austen-3.7m-w8aspike", NULL, &lm), 0);
	ASSERT_EQ(snpu_lm_info(lm, &info), 0);
	ASSERT_EQ(snpu_lm_ctx_create(lm, NULL, &ctx), 0);
	ids = corpus(lm, &n);
	ASSERT_GT(n, 20000u);
	start = seconds();
	printf("#     tokens   resident       state   tokens/s   bits a token, the next 255\n");
	for (unsigned int r = 1; r <= REPORTS; r++) {
		double q;

		while (done < step * r) {	/* the held-out text over and over, in calls of at most 4096 */
			size_t at = done % (n - 256), call = step * r - done;

			call = call < 4096 ? call : 4096;
			call = call < n - 256 - at ? call : n - 256 - at;
			ASSERT_EQ(snpu_lm_eval(ctx, ids + at, call, SNPU_LM_NONE, NULL), 0);
			done += call;
		}
		q = quality(ctx, ids + done % (n - 256), info.vocab);
		most = resident_kib() > most ? resident_kib() : most;
		first = r == 2 ? most : first;	/* by then everything was allocated once, forks too */
		printf("# %10llu %6.1f MiB %7.1f KiB %10.0f   %.3f\n", (unsigned long long)done, (double)resident_kib() / 1024.0,
		       (double)snpu_lm_state_size(ctx) / 1024.0, (double)done / (seconds() - start), q);
		EXPECT_TRUE(q > 1.0 && q < 6.0);	/* it still reads; a uniform guess costs 10 bits */
	}
	EXPECT_EQ(snpu_lm_ctx_position(ctx), total);
	printf("# resident memory grew by %lu KiB in the last three quarters\n", most - first);
	EXPECT_LE(most - first, 256u);
	snpu_lm_ids_free(ids);
	snpu_lm_ctx_free(ctx);
	snpu_lm_free(lm);
}

TEST_HARNESS_MAIN
