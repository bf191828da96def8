/* SPDX-License-Identifier: MIT */
/*
 * Damaged .nir files: bytes flipped, overwritten, cut off, put elsewhere, the same ones in every run. Each must give an error
 * with a sentence or a model that can be looked at; a crash, a leak (under a sanitizer) or a hang fails. Each batch runs in
 * a child of its own (the harness does that), so that a crash ends only its batch.
 *
 * NIR_FUZZ_CASES sets how many a file gets. With -DLIBFUZZER it is an entry point for libFuzzer instead.
 */
#include "tests/fuzz/damage.h"
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

/* Looks at everything a model offers, and runs what can be run: that is what a tool would do with it. */
static void use(struct snpu_model *m)
{
	struct snpu_session_opts o = { .sz = sizeof(o), .dt = 1e-4, .dialect = (enum snpu_dialect)roll(9), .delay = (enum snpu_delay)roll(5) };
	struct snpu_node_info node;
	struct snpu_session *s;
	const char *text;
	size_t sum = 0;

	for (unsigned i = 0; !snpu_model_node(m, i, &node) && i < snpu_model_node_count(m); i++)
		sum += strlen(node.name) + node.size;
	for (unsigned i = 0; i < snpu_model_note_count(m); i++)
		sum += strlen(snpu_model_note(m, i)->text);
	if (sum >= 1u << 20 || snpu_session_create(m, &o, &s))
		return;
	for (unsigned i = 0; i < snpu_model_node_count(m) && !snpu_session_equation(s, i, &text); i++)
		sum += strlen(text);
	snpu_session_free(s);
}

static bool load_and_use(const uint8_t *p, size_t size, void *arg)
{
	struct snpu_model *m;

	(void)arg;
	if (snpu_model_load_nir_memory(p, size, &m))
		return false;
	use(m);
	snpu_model_free(m);
	return true;
}

static void fuzz(const char *path, unsigned seed)
{
	static const struct damage damage = { "NIR_FUZZ_CASES", 600, roll_spoil_anywhere, load_and_use, NULL };
	size_t size;
	uint8_t *good = rig_read(path, &size);

	ASSERT_TRUE(good);
	damage_run(&damage, good, size, seed);
	free(good);
}

TEST_TIMEOUT(lif, 300) { fuzz(DATA "prims/lif.nir", 1); }
TEST_TIMEOUT(norse_of_2023, 300) { fuzz(DATA "lif/lif_norse.nir", 2); }
TEST_TIMEOUT(flatten, 300) { fuzz(DATA "prims/flatten.nir", 3); }
TEST_TIMEOUT(cycle, 300) { fuzz(DATA "prims/two_lif_loop.nir", 4); }
TEST_TIMEOUT(nested_and_repaired, 300) { fuzz(DATA "rnn/braille_noDelay_bias_zero_subgraph.nir", 5); }
TEST_TIMEOUT(scalars, 300) { fuzz(DATA "misc/hist_19004303_braille_flattened.nir", 6); }
TEST_TIMEOUT(convolution, 300) { fuzz(DATA "prims/conv2d_same.nir", 8); }
TEST_TIMEOUT(pool, 300) { fuzz(DATA "prims/avgpool_pad.nir", 9); }
TEST_TIMEOUT(delay, 300) { fuzz(DATA "prims/delay.nir", 10); }
TEST_TIMEOUT(metadata, 300) { fuzz(DATA "prims/cubali.nir", 7); }

TEST_HARNESS_MAIN
#endif
