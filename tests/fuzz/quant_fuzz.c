/* SPDX-License-Identifier: MIT */
/*
 * Damaged files of networks in integers: bytes flipped, overwritten, cut off, numbers in the JSON changed, the same ones in every run. Each must
 * give an error with a sentence or a model that can be looked at. Each batch runs in a child of its own. QUANT_FUZZ_CASES sets how many a file gets.
 * With -DLIBFUZZER it is an entry point for libFuzzer instead.
 */
#include <unistd.h>

#include "tests/fuzz/damage.h"
#include "tests/unit/nir_rig.h"

#ifdef LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct snpu_model *m;

	if (!snpu_model_load_snpu_memory(data, size, &m))
		snpu_model_free(m);
	return 0;
}
#else

/* The file of a network in integers. */
static uint8_t *make(const char *nir, enum snpu_number number, size_t *size)
{
	struct snpu_session_opts o = { .sz = sizeof(o), .dt = 1e-4, .number = number };
	char path[] = "/tmp/quant_fuzz.XXXXXX";
	struct snpu_session *s = NULL;
	struct snpu_model *m = NULL;
	uint8_t *mem = NULL;
	int fd = mkstemp(path);

	if (fd < 0 || snpu_model_load_nir(nir, &m) || snpu_session_create(m, &o, &s) || snpu_session_save_model(s, path))
		printf("# %s: %s\n", nir, snpu_last_error());
	else
		mem = rig_read(path, size);
	close(fd);
	unlink(path);
	snpu_session_free(s);
	snpu_model_free(m);
	return mem;
}

/* Another digit in the JSON, which stays JSON. */
static void spoil_digit(uint8_t *p, size_t size)
{
	uint64_t json;

	memcpy(&json, p + 8, sizeof(json));
	for (unsigned tries = 0; tries < 1000 && json && json <= size - 24; tries++) {
		uint8_t *c = p + 24 + roll((uint32_t)json);

		if (*c >= '0' && *c <= '9') {
			*c = (uint8_t)('0' + roll(10));
			return;
		}
	}
}

static void use(struct snpu_model *m)
{
	struct snpu_session_opts o = { .sz = sizeof(o) };
	struct snpu_quant_info info = { .sz = sizeof(info) };
	struct snpu_node_info node;
	struct snpu_session *s;
	uint64_t size = 0;

	for (unsigned i = 0; i < snpu_model_node_count(m) && !snpu_model_node(m, i, &node); i++)
		size += node.size;
	if (size >= 1u << 20 || snpu_session_create(m, &o, &s))
		return;
	for (unsigned i = 0; i < snpu_model_node_count(m); i++)
		if (snpu_session_quant(s, i, &info))
			break;
	snpu_session_free(s);
}

static bool load_and_use(const uint8_t *p, size_t size, void *arg)
{
	struct snpu_model *m;

	(void)arg;
	if (snpu_model_load_snpu_memory(p, size, &m))
		return false;
	use(m);
	snpu_model_free(m);
	return true;
}

static void spoil(uint8_t *p, size_t size)
{
	if (roll(3))
		spoil_digit(p, size);
	else
		roll_spoil_anywhere(p, size);
}

static void fuzz(const char *nir, enum snpu_number number, unsigned seed)
{
	static const struct damage damage = { "QUANT_FUZZ_CASES", 1500, spoil, load_and_use, NULL };
	size_t size = 0;
	uint8_t *good = make(nir, number, &size);

	ASSERT_TRUE(good);
	damage_run(&damage, good, size, seed);
	free(good);
}

TEST_TIMEOUT(convolution, 300) { fuzz(DATA "prims/conv2d_groups.nir", SNPU_NUMBER_INT8, 1); }
TEST_TIMEOUT(recurrent, 300) { fuzz(DATA "rnn/braille_noDelay_bias_zero.nir", SNPU_NUMBER_INT16, 2); }
TEST_TIMEOUT(delay, 300) { fuzz(DATA "prims/delay.nir", SNPU_NUMBER_LOIHI24, 3); }
TEST_TIMEOUT(pool, 300) { fuzz(DATA "prims/avgpool_pad.nir", SNPU_NUMBER_INT8, 4); }
TEST_TIMEOUT(flatten, 300) { fuzz(DATA "prims/flatten.nir", SNPU_NUMBER_INT8, 5); }

TEST_HARNESS_MAIN
#endif
