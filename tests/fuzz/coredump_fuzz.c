/* SPDX-License-Identifier: MIT */
/*
 * Damaged dumps: real ones of tests/data/coredump, spoiled in the same ways in every run. Each must give a sentence, or facts that
 * can be printed; a crash, a leak (under a sanitizer) or a hang fails.
 *
 * COREDUMP_FUZZ_CASES sets how many a dump gets. With -DLIBFUZZER it is an entry point for libFuzzer instead.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/roll.h"
#include "tests/harness.h"
#include "tools/snpu/dump.h"

/* As the command does it. True: it could be read. */
static bool read_dump(const uint8_t *data, size_t size, char *why, size_t len)
{
	struct snpu_dump d;
	json_t *facts;
	char *text;

	why[0] = 0;
	if (!snpu_dump_parse(data, size, &d, why, len))
		return false;
	facts = snpu_dump_facts(&d);
	text = json_dumps(facts, JSON_COMPACT);
	if (!text)
		abort();
	free(text);
	json_decref(facts);
	return true;
}

#ifdef LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[200];

	read_dump(data, size, why, sizeof(why));
	return 0;
}
#else

static uint8_t *read_file(const char *path, size_t *size)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = malloc(1 << 20);

	*size = f && data ? fread(data, 1, 1 << 20, f) : 0;
	if (f)
		fclose(f);
	return data;
}

/* Where the words are that matter more than others: the header and the heads of sections. */
static size_t somewhere(const uint8_t *p, size_t size)
{
	size_t at = sizeof(struct snpu_dump_header);

	switch (roll(3)) {
	case 0:
		return roll(sizeof(struct snpu_dump_header));
	case 1:
		for (uint32_t n = roll(10); n; n--) {
			struct snpu_dump_section s;

			if (at + sizeof(s) > size)
				break;
			memcpy(&s, p + at, sizeof(s));
			if (at + 2 * sizeof(s) + (size_t)s.count * s.stride >= size)
				break;
			at += sizeof(s) + ((size_t)s.count * s.stride + 7) / 8 * 8;
		}
		return at + roll(sizeof(struct snpu_dump_section));
	default:
		return roll((uint32_t)size);
	}
}

static void spoil(uint8_t *p, size_t size)
{
	static const uint8_t favourites[] = { 0x00, 0xff, 0x7f, 0x80, 0x01, 0x08 };
	size_t at = somewhere(p, size);

	if (at >= size)
		return;
	if (roll(2))
		p[at] ^= (uint8_t)(1u << roll(8));
	else
		p[at] = favourites[roll(sizeof(favourites))];
}

static void fuzz(const char *path, uint32_t seed)
{
	const char *env = getenv("COREDUMP_FUZZ_CASES");
	uint32_t cases = env ? (uint32_t)atoi(env) : 3000, readable = 0;
	size_t size;
	uint8_t *good = read_file(path, &size);
	char why[200];

	ASSERT_TRUE(good && size);
	EXPECT_TRUE(read_dump(good, size, why, sizeof(why)));
	for (uint32_t i = 0; i < cases; i++) {
		size_t n = size;
		uint8_t *bad;

		rng = (uint64_t)seed << 32 | (i + 1) * 2654435761u;
		if (roll(6) == 0)
			n = roll((uint32_t)size);
		bad = malloc(n ? n : 1);		/* exact, so that a sanitizer sees the end */
		memcpy(bad, good, n);
		for (uint32_t k = 1 + roll(3); k && n; k--)
			spoil(bad, n);
		if (read_dump(bad, n, why, sizeof(why)))
			readable++;
		else
			EXPECT_TRUE(strlen(why) > 10);
		free(bad);
	}
	printf("# %s: %u of %u could still be read\n", path, readable, cases);
	free(good);
}

TEST(a_fault) { fuzz("tests/data/coredump/fault.bin", 1); }
TEST(a_crash) { fuzz("tests/data/coredump/crash.bin", 2); }
TEST(a_hang) { fuzz("tests/data/coredump/hang.bin", 3); }

TEST_HARNESS_MAIN
#endif
