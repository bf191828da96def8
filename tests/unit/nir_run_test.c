/* SPDX-License-Identifier: MIT */
/*
 * Networks from files against what other programs computed for them: graphs of one primitive each, the LIF trace of Norse, the
 * recurrent Braille networks. On every backend that this machine has, and equal in every bit between them.
 */
#include "backend_rig.h"

/* Runs one primitive with both resets; `gain` is for the one case whose reference multiplies by r alone. */
static void check_prim(struct snpu_device *dev, const char *name, enum snpu_gain gain)
{
	static const char *const keys[] = { "out_euler", "out_euler_subtract" };
	char nir[128], npz[128];
	struct snpu_array x;

	snprintf(nir, sizeof(nir), DATA "prims/%s.nir", name);
	snprintf(npz, sizeof(npz), DATA "prims/%s.npz", name);
	ASSERT_TRUE(rig_npz(npz, "input", &x));
	for (int k = 0; k < 2; k++) {
		struct snpu_session_opts o = { .dt = 1e-3, .reset = k ? SNPU_RESET_SUBTRACT : SNPU_RESET_VALUE, .gain = gain };
		struct snpu_input in = { .array = &x };
		struct snpu_result *r = rig_run(nir, dev, &o, &in, 1);
		const struct snpu_array *got = rig_record(r, "output");
		struct snpu_array want;

		ASSERT_TRUE(got);
		ASSERT_TRUE(rig_npz(npz, keys[k], &want));
		EXPECT_EQ(got->rank, want.rank + 1);
		if (rig_differences(got, &want, 1e-5))
			TH_FAILMSG("%s, %s", name, keys[k]);
		snpu_array_free(&want);
		snpu_result_free(r);
	}
	snpu_array_free(&x);
}

TEST_F(backend, primitives_match_the_reference)
{
	static const char *const names[] = {
		"affine", "linear", "flatten", "flatten_start", "scale", "threshold", "if", "li", "lif", "cubali", "skip_sum", "two_lif_loop",
		"conv1d", "conv2d_basic", "conv2d_groups", "conv2d_rect", "conv2d_s2p1", "conv2d_same", "conv2d_valid", "sumpool", "avgpool",
		"avgpool_pad", "delay",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		check_prim(self->dev, names[i], SNPU_GAIN_DEFAULT);
	check_prim(self->dev, "i", SNPU_GAIN_R);
}

/* With the default gain the I node (r = 2) integrates the equation as written: 1000 times less at dt = 1 ms. */
TEST_F(backend, integrator_gain_follows_the_rule)
{
	struct snpu_array x, want;
	struct snpu_input in = { .array = &x };
	struct snpu_session_opts o = { .dt = 1e-3 };
	struct snpu_result *r;
	float *w;

	ASSERT_TRUE(rig_npz(DATA "prims/i.npz", "input", &x));
	ASSERT_TRUE(rig_npz(DATA "prims/i.npz", "out_euler", &want));
	w = want.data;
	for (uint64_t i = 0; i < want.count; i++)
		w[i] *= 1e-3f;
	r = rig_run(DATA "prims/i.nir", self->dev, &o, &in, 1);
	ASSERT_TRUE(r);
	EXPECT_EQ(rig_differences(rig_record(r, "output"), &want, 1e-6), 0);
	snpu_result_free(r);
	snpu_array_free(&x);
	snpu_array_free(&want);
}

/* Norse's own trace of one LIF neuron, dt 0.1 ms: input, membrane, spike in each line. */
static int read_trace(float *x, float *v, float *z, int max)
{
	FILE *f = fopen(DATA "lif/lif_norse.csv", "r");
	int n = 0;

	while (f && n < max && fscanf(f, "%f,%f,%f", &x[n], &v[n], &z[n]) == 3)
		n++;
	if (f)
		fclose(f);
	return n;
}

TEST_F(backend, lif_follows_the_trace_of_norse)
{
	static const char *const records[] = { "1.v" };
	static float x[1000], v[1000], z[1000];
	struct snpu_array in_x = { .dtype = SNPU_F32, .rank = 1, .shape = { 1000 }, .count = 1000, .data = x };
	struct snpu_array want_v = { .dtype = SNPU_F32, .rank = 1, .shape = { 1000 }, .count = 1000, .data = v };
	struct snpu_array want_z = { .dtype = SNPU_F32, .rank = 1, .shape = { 1000 }, .count = 1000, .data = z };
	struct snpu_input in = { .array = &in_x };
	struct snpu_session_opts o = { .dt = 1e-4, .records = records, .n_records = 1 };
	struct snpu_result *r;
	float sum = 0;

	ASSERT_EQ(read_trace(x, v, z, 1000), 1000);
	for (int i = 0; i < 1000; i++)
		sum += z[i];
	ASSERT_EQ((int)sum, 4);
	r = rig_run(DATA "lif/lif_norse.nir", self->dev, &o, &in, 1);
	ASSERT_TRUE(r);
	EXPECT_EQ(rig_differences(rig_record(r, "output"), &want_z, 0.0), 0);
	EXPECT_EQ(rig_differences(rig_record(r, "1.v"), &want_v, 1e-6), 0);
	snpu_result_free(r);
}

/* One Braille network: hidden raster and membrane, output raster. `path` may name the hidden layer differently. */
static void check_braille(struct snpu_device *dev, const char *path, const char *hidden, const char *key, enum snpu_reset reset)
{
	char names[2][64], npz_key[128];
	const char *records[] = { names[0], names[1] };
	struct snpu_session_opts o = { .reset = reset, .records = records, .n_records = 2 };
	const char *const suffix[] = { "hid", "hid_v", "out" };
	const char *const record[] = { names[0], names[1], "output" };
	struct snpu_array x, want;
	struct snpu_input in = { .array = &x };
	struct snpu_result *r;

	snprintf(names[0], sizeof(names[0]), "%s", hidden);
	snprintf(names[1], sizeof(names[1]), "%s.v", hidden);
	ASSERT_TRUE(rig_npy(DATA "rnn/ds_test_0_input.npy", &x));
	r = rig_run(path, dev, &o, &in, 1);
	ASSERT_TRUE(r);
	for (int i = 0; i < 3; i++) {
		snprintf(npz_key, sizeof(npz_key), "%s.%s", key, suffix[i]);
		ASSERT_TRUE(rig_npz(DATA "rnn/braille_expected.npz", npz_key, &want));
		ASSERT_TRUE(rig_record(r, record[i]));
		if (rig_differences(rig_record(r, record[i]), &want, i == 1 ? 1e-4 : 0.0))
			TH_FAILMSG("%s, %s", path, npz_key);
		snpu_array_free(&want);
	}
	snpu_result_free(r);
	snpu_array_free(&x);
}

TEST_F(backend, braille_matches_the_reference_in_both_resets)
{
	check_braille(self->dev, DATA "rnn/braille_noDelay_bias_zero.nir", "lif1.lif", "noDelay_bias_zero.value", SNPU_RESET_VALUE);
	check_braille(self->dev, DATA "rnn/braille_noDelay_bias_zero.nir", "lif1.lif", "noDelay_bias_zero.subtract", SNPU_RESET_SUBTRACT);
	check_braille(self->dev, DATA "rnn/braille_noDelay_noBias_subtract.nir", "lif1.lif", "noDelay_noBias_subtract.value", SNPU_RESET_VALUE);
	check_braille(self->dev, DATA "rnn/braille_noDelay_noBias_subtract.nir", "lif1.lif", "noDelay_noBias_subtract.subtract", SNPU_RESET_SUBTRACT);
	/* The same networks as nested graphs, with the dangling edges they were published with. */
	check_braille(self->dev, DATA "rnn/braille_noDelay_bias_zero_subgraph.nir", "lif1/lif1", "noDelay_bias_zero.value", SNPU_RESET_VALUE);
	check_braille(self->dev, DATA "rnn/braille_noDelay_noBias_subtract_subgraph.nir", "lif1/lif1", "noDelay_noBias_subtract.subtract",
		      SNPU_RESET_SUBTRACT);
}

/* What the frameworks themselves recorded of the hidden layer. */
TEST_F(backend, braille_matches_the_frameworks)
{
	static const struct { const char *nir, *activity; } cases[] = {
		{ DATA "rnn/braille_noDelay_bias_zero.nir", DATA "rnn/snntorch_activity_noDelay_bias_zero.npy" },
		{ DATA "rnn/braille_noDelay_noBias_subtract.nir", DATA "rnn/norse_activity_noDelay_noBias_subtract.npy" },
	};
	static const char *const records[] = { "lif1.lif" };
	struct snpu_session_opts o = { .records = records, .n_records = 1 };
	struct snpu_array x, want;
	struct snpu_input in = { .array = &x };

	ASSERT_TRUE(rig_npy(DATA "rnn/ds_test_0_input.npy", &x));
	for (int i = 0; i < 2; i++) {
		struct snpu_result *r = rig_run(cases[i].nir, self->dev, &o, &in, 1);

		ASSERT_TRUE(r);
		ASSERT_TRUE(rig_npy(cases[i].activity, &want));
		EXPECT_EQ(rig_differences(rig_record(r, "lif1.lif"), &want, 0.0), 0);
		snpu_array_free(&want);
		snpu_result_free(r);
	}
	snpu_array_free(&x);
}

/* The same network twice in the history of NIR, once with the strides of its pools lost: it computes the same. */
TEST_F(backend, lost_strides_are_found_again)
{
	static const char *const records[] = { "0", "3", "6", "10" };
	struct snpu_session_opts o = { .dt = 1, .records = records, .n_records = 4 };
	struct snpu_array x;
	struct snpu_input in = { .array = &x };
	struct snpu_result *lost, *kept;

	ASSERT_EQ(snpu_array_create(SNPU_F32, 2, (uint64_t[]){ 8, 2 * 34 * 34 }, &x), 0);
	for (uint64_t i = 0; i < x.count; i++)
		((float *)x.data)[i] = (i * 2654435761u >> 9 & 7) == 0;
	lost = rig_run(DATA "misc/hist_ac9b3878_scnn_mnist.nir", self->dev, &o, &in, 1);
	kept = rig_run(DATA "misc/hist_e5ac8325_scnn_mnist.nir", self->dev, &o, &in, 1);
	EXPECT_TRUE(rig_same(lost, kept));
	EXPECT_GT(rig_counter(kept, "10", "SPIKES"), 0);
	snpu_result_free(lost);
	snpu_result_free(kept);
	snpu_array_free(&x);
}

/* Bits and counters against the scalar reference, membranes and currents included. */
TEST_F(backend, every_bit_is_that_of_the_scalar_reference)
{
	static const char *const records[] = { "lif1.lif", "lif1.lif.v", "lif1.lif.i", "lif2.v", "fc2", "lif1.w_rec" };
	struct snpu_session_opts o = { .records = records, .n_records = 6 };
	const char *why;
	struct snpu_device *scalar = rig_device("cpu-scalar", &why);
	struct snpu_array x;
	struct snpu_input in = { .array = &x };
	struct snpu_result *a, *b;

	ASSERT_TRUE(scalar);
	ASSERT_TRUE(rig_npy(DATA "rnn/ds_test_0_input.npy", &x));
	a = rig_run(DATA "rnn/braille_noDelay_bias_zero.nir", scalar, &o, &in, 1);
	b = rig_run(DATA "rnn/braille_noDelay_bias_zero.nir", self->dev, &o, &in, 1);
	EXPECT_TRUE(rig_same(a, b));
	EXPECT_TRUE(rig_same_counters(a, b));
	EXPECT_EQ(rig_counter(b, "lif1.lif", "UPDATES"), 256 * 38);
	snpu_result_free(a);
	snpu_result_free(b);
	snpu_array_free(&x);
	snpu_device_close(scalar);
}

TEST_HARNESS_MAIN
