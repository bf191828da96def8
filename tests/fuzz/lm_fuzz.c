/* SPDX-License-Identifier: MIT */
/*
 * Damaged models: config.json, and converted files of a small model with residual codes. Bytes are flipped, overwritten, cut
 * off, put elsewhere, the same ones in every run. Each must give an error with a sentence, or a model that can be run: two
 * tokens through it give a result or an error, never a crash, a hang or (under a sanitizer) an access outside of the file.
 *
 * LM_FUZZ_SECONDS sets how long each kind is looked at; without it, 2000 cases.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "lm/lm.h"
#include "lm/run.h"
#include "tests/e2e/lm_rig.h"
#include "tests/fuzz/roll.h"

/* Numbers in text are what matters in a JSON object; other bytes are hit now and then. */
static void spoil(uint8_t *p, size_t size)
{
	static const char *const numbers[] = { "0", "-1", "4294967295", "18446744073709551616", "1e99", "null", "{", "]", "9999999999", "\"\"" };
	const char *n = numbers[roll(sizeof(numbers) / sizeof(numbers[0]))];
	size_t at = roll((uint32_t)size), len = strlen(n);

	switch (roll(4)) {
	case 0:
		p[at] ^= (uint8_t)(1u << roll(8));
		break;
	case 1:
		p[at] = (uint8_t)roll(256);
		break;
	case 2:
		while (at + len < size && (p[at] < '0' || p[at] > '9'))
			at++;
		if (at + len <= size)
			memcpy(p + at, n, len);
		break;
	default:
		len = 1 + roll(40);
		if (len < size && at <= size - len)
			memmove(p + at, p + roll((uint32_t)(size - len)), len);
	}
}

static bool more(unsigned int done, const struct timespec *start)
{
	const char *env = getenv("LM_FUZZ_SECONDS");
	struct timespec now;

	if (!env)
		return done < 2000;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - start->tv_sec < atoi(env);
}

static uint8_t *read_file(const char *path, size_t *size)
{
	const void *mem;
	uint8_t *copy = NULL;

	if (!snpu_file_map(path, 0, &mem, size)) {
		copy = malloc(*size);
		memcpy(copy, mem, *size);
		snpu_file_unmap(mem, *size);
	}
	return copy;
}

TEST_TIMEOUT(configurations, 900)
{
	unsigned int cases = 0, good = 0;
	struct timespec start;
	size_t size;
	uint8_t *text = read_file(LM_DATA "dev-w8-a/config.json", &size);

	ASSERT_TRUE(text != NULL);
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (; more(cases, &start); cases++) {
		uint8_t *bad = malloc(size);
		size_t n = size;
		struct lm_config c;

		rng = 0x1234567ull + cases * 0x9e3779b97f4a7c15ull;
		memcpy(bad, text, size);
		for (unsigned int k = 1 + roll(3); k; k--)
			spoil(bad, size);
		if (!roll(10))
			n = roll((uint32_t)size);
		if (!lm_config_parse((char *)bad, n, &c)) {
			good++;
			/* what is accepted is within bounds */
			if (c.hidden > 65536 || c.layers > LM_LAYERS_MAX || c.d * c.heads != c.hidden || c.heads % c.kv || !c.window || !c.ffn)
				TH_FAILMSG("case %u was accepted and should not", cases);
		}
		free(bad);
	}
	printf("# %u cases, %u accepted\n", cases, good);
	EXPECT_GT(good, 0u);
	EXPECT_LT(good, cases);
	free(text);
}

/* Two tokens through a model whose bytes may be anything; its memory is exactly the file's. */
static bool run_model(const uint8_t *mem, size_t size, unsigned int *ran)
{
	struct snpu_lm_ctx_opts o = { .sz = sizeof(o), .threads = 1, .chunk = 2 };
	struct snpu_lm *lm = calloc(1, sizeof(*lm));
	struct snpu_lm_ctx *ctx = NULL;
	uint32_t ids[2] = { 0, 0 };
	int err = lm_file_parse(mem, size, lm);

	if (err && strlen(snpu_last_error()) < 20)
		return false;
	if (!err)
		lm_state_layout(lm);
	/* sizes that a file of this length cannot have were refused; states are made of sizes alone, and may be large */
	if (!err && lm->state_at[lm->cfg.layers] < 64u << 20 && lm->cfg.vocab > 1 && !snpu_lm_ctx_create(lm, &o, &ctx)) {
		ids[1] = roll(lm->cfg.vocab);
		*ran += !snpu_lm_eval(ctx, ids, 2, SNPU_LM_LAST, NULL);
	}
	snpu_lm_ctx_free(ctx);
	snpu_lm_free(lm);
	return true;
}

TEST_TIMEOUT(converted_files, 900)
{
	char file[] = "/tmp/snpu-lm-fuzz-XXXXXX";
	unsigned int cases = 0, ran = 0, errors = 0;
	struct timespec start;
	uint8_t *good, *bad;
	size_t size, meta;
	uint64_t meta_at;
	int fd = mkstemp(file);

	ASSERT_GE(fd, 0);
	close(fd);
	ASSERT_EQ(snpu_lm_convert(LM_DATA "dev-w8-clip", NULL, file), 0);
	good = read_file(file, &size);
	unlink(file);
	ASSERT_TRUE(good != NULL);
	memcpy(&meta_at, good + 40, sizeof(meta_at));
	ASSERT_LT(meta_at, size);
	meta = size - meta_at;
	bad = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(bad != MAP_FAILED);
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (; more(cases, &start); cases++) {
		unsigned int before = ran;

		rng = 0x89abcdefull + cases * 0x9e3779b97f4a7c15ull;
		memcpy(bad, good, size);
		for (unsigned int k = 1 + roll(3); k; k--) {
			uint32_t where = roll(10);

			if (where == 0)
				spoil(bad, 56);				/* the header */
			else if (where < 4)
				spoil(bad + LM_PAGE, size - LM_PAGE);	/* anywhere */
			else
				spoil(bad + meta_at, meta);		/* the description */
		}
		if (!run_model(bad, size, &ran))
			TH_FAILMSG("no sentence for case %u", cases);
		errors += ran == before;
	}
	printf("# %u cases, %u ran, %u were refused or failed\n", cases, ran, errors);
	EXPECT_GT(ran, 0u);
	EXPECT_GT(errors, 0u);
	munmap(bad, size);
	free(good);
}

TEST_HARNESS_MAIN
