/* SPDX-License-Identifier: MIT */
/*
 * Damaged files of networks of populations: bytes flipped, overwritten, cut off, put elsewhere, the same ones in every run. Each must give an error
 * with a sentence, or a network that can be run for a few steps. A crash, a leak (under a sanitizer) or a hang fails. Each batch runs in a
 * child of its own (the harness does that).
 *
 * NET_FUZZ_CASES sets how many a file gets. With -DLIBFUZZER it is an entry point for libFuzzer instead.
 */
#include "tests/fuzz/damage.h"
#include "tests/unit/nir_rig.h"

#ifdef LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct snpu_net *net;

	if (!snpu_net_load_memory(data, size, 0, &net))
		snpu_net_free(net);
	return 0;
}
#else

#define NEURONS	100000u				/* a damaged size may ask for millions, which are not worth the time */

static bool small(const struct snpu_net *net)
{
	struct snpu_net_population_info info = { .sz = sizeof(info) };

	for (unsigned i = 0; i < snpu_net_population_count(net); i++)
		if (snpu_net_population(net, i, &info) || info.neurons > NEURONS)
			return false;
	return true;
}

static void use(struct snpu_net *net, struct snpu_device *device)
{
	struct snpu_net_run_opts o = { .sz = sizeof(o), .device = device };
	struct snpu_net_run *run;

	if (!small(net) || snpu_net_run_create(net, &o, &run))
		return;
	if (snpu_net_run_steps(run, 3))
		TH_FAILMSG("a network that could be loaded does not run: %s", snpu_last_error());
	snpu_net_run_free(run);
}

static bool load_and_use(const uint8_t *p, size_t size, void *device)
{
	struct snpu_net *net;

	if (snpu_net_load_memory(p, size, 0, &net))
		return false;
	use(net, device);
	snpu_net_free(net);
	return true;
}

static void fuzz(const char *path, unsigned seed)
{
	struct snpu_device_opts opts = { .sz = sizeof(opts), .cpu_threads = 1 };
	struct damage damage = { "NET_FUZZ_CASES", 800, roll_spoil_anywhere, load_and_use, NULL };
	struct snpu_device *device;
	size_t size;
	uint8_t *good = rig_read(path, &size);

	ASSERT_TRUE(good);
	ASSERT_EQ(snpu_device_open("cpu", &opts, &device), 0);
	damage.arg = device;
	damage_run(&damage, good, size, seed);
	snpu_device_close(device);
	free(good);
}

TEST(rows) { fuzz("tests/data/net/small.h5", 1); }
TEST(chance) { fuzz("tests/data/net/cuba4000.h5", 2); }

TEST_HARNESS_MAIN
#endif
