/* SPDX-License-Identifier: MIT */
/*
 * Damaged .nir files: bytes flipped, overwritten, cut off, put elsewhere, the same ones in every run. Each must give an error
 * with a sentence or a model that can be looked at; a crash, a leak (under a sanitizer) or a hang fails. Each batch runs in
 * a child of its own (the harness does that), so that a crash ends only its batch.
 *
 * NIR_FUZZ_CASES sets how many a file gets. With -DLIBFUZZER it is an entry point for libFuzzer instead.
 */
#include "tests/unit/nir_rig.h"

#ifdef LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct snpu_model *m;

	if (!snpu_model_load_nir_memory(data, size, &m))
		snpu_model_free(m);
	return 0;
}
#else

static uint64_t rng;

static uint32_t roll(uint32_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 32) % n;
}

/* Bytes that matter more often than others: sizes, addresses and counts of HDF5 are little-endian words. */
static void spoil(uint8_t *p, size_t size)
{
	static const uint8_t favourites[] = { 0x00, 0xff, 0x7f, 0x80, 0x01, 0x08, 0x10, 0x40 };
	size_t at = roll((uint32_t)size), n = 1 + roll(8);

	switch (roll(4)) {
	case 0:
		p[at] ^= (uint8_t)(1u << roll(8));
		break;
	case 1:
		p[at] = favourites[roll(sizeof(favourites))];
		break;
	case 2:
		memset(p + at, favourites[roll(sizeof(favourites))], n < size - at ? n : size - at);
		break;
	default:
		n = 8u << roll(4);
		if (n <= size && at <= size - n)
			memmove(p + at, p + roll((uint32_t)(size - n + 1)), n);
	}
}

/* Looks at everything a model offers, and runs what can be run: that is what a tool would do with it. */
static void use(struct snpu_model *m)
{
	struct snpu_session_opts o = { .sz = sizeof(o), .dt = 1e-4 };
	struct snpu_node_info node;
	struct snpu_session *s;
	size_t sum = 0;

	for (unsigned i = 0; !snpu_model_node(m, i, &node) && i < snpu_model_node_count(m); i++)
		sum += strlen(node.name) + node.size;
	for (unsigned i = 0; i < snpu_model_note_count(m); i++)
		sum += strlen(snpu_model_note(m, i)->text);
	if (sum < 1u << 20 && !snpu_session_create(m, &o, &s))
		snpu_session_free(s);
}

static void fuzz(const char *path, unsigned seed)
{
	const char *env = getenv("NIR_FUZZ_CASES");
	unsigned cases = env ? (unsigned)atoi(env) : 600, loaded = 0;
	size_t size;
	uint8_t *good = rig_read(path, &size);

	ASSERT_TRUE(good);
	for (unsigned i = 0; i < cases; i++) {
		size_t n = size;
		uint8_t *bad = malloc(size);
		struct snpu_model *m;

		rng = (uint64_t)seed << 32 | (i + 1) * 2654435761u;
		memcpy(bad, good, size);
		for (unsigned k = 1 + roll(4); k; k--)
			spoil(bad, size);
		if (roll(8) == 0)
			n = roll((uint32_t)size);
		printf("# case %u of seed %u\n", i, seed);
		if (!snpu_model_load_nir_memory(bad, n, &m)) {
			loaded++;
			use(m);
			snpu_model_free(m);
		} else if (!snpu_last_error()[0]) {
			TH_FAILMSG("no sentence for case %u of seed %u", i, seed);
		}
		free(bad);
	}
	/* Damage to weights goes unseen, damage to structure does not: both must happen, or this tests nothing. */
	EXPECT_GT(loaded, 0);
	EXPECT_LT(loaded, cases);
	free(good);
}

TEST_TIMEOUT(lif, 300) { fuzz(DATA "prims/lif.nir", 1); }
TEST_TIMEOUT(norse_of_2023, 300) { fuzz(DATA "lif/lif_norse.nir", 2); }
TEST_TIMEOUT(flatten, 300) { fuzz(DATA "prims/flatten.nir", 3); }
TEST_TIMEOUT(cycle, 300) { fuzz(DATA "prims/two_lif_loop.nir", 4); }
TEST_TIMEOUT(nested_and_repaired, 300) { fuzz(DATA "rnn/braille_noDelay_bias_zero_subgraph.nir", 5); }
TEST_TIMEOUT(scalars, 300) { fuzz(DATA "misc/hist_19004303_braille_flattened.nir", 6); }
TEST_TIMEOUT(metadata, 300) { fuzz(DATA "prims/cubali.nir", 7); }

TEST_HARNESS_MAIN
#endif
