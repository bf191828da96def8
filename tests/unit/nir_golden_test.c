/* SPDX-License-Identifier: MIT */
/*
 * Dialects against what the frameworks themselves recorded: the trace of one LIF neuron on eleven platforms, the hidden layer of two
 * recurrent networks on three, and graphs of one primitive each with both integrators. tests/data/nir/README.md says where they come from.
 */
#include "backend_rig.h"
#include "trace_rig.h"

/* --- one LIF neuron ----------------------------------------------------------------------------------------------- */

static void check_trace(struct snpu_device *dev, const struct trace *t)
{
	static float x[TRACE_STEPS], v[TRACE_STEPS], z[TRACE_STEPS];
	struct snpu_array in_x = { .dtype = SNPU_F32, .rank = 1, .shape = { TRACE_STEPS }, .count = TRACE_STEPS, .data = x };
	struct snpu_input in = { .array = &in_x };
	struct snpu_session_opts o = t->opts;
	const char *v_name = strcmp(t->nir, "lif_norse") ? "1_LIFNeuronTorch.v" : "1.v", *const records[] = { v_name };
	struct snpu_result *r;
	char path[128];
	unsigned spikes = 0, wrong = 0;
	double worst = 0.0;

	snprintf(path, sizeof(path), DATA "lif/%s.nir", t->nir);
	ASSERT_TRUE(read_trace(t, x, v, z));
	o.records = records;
	o.n_records = 1;
	r = rig_run(path, dev, &o, &in, 1);
	ASSERT_TRUE(r);
	for (int i = 0; i < TRACE_STEPS; i++) {
		double d = fabs((double)((float *)rig_record(r, v_name)->data)[i] - (double)v[i]) / 0.1;

		spikes += z[i] != 0.0f;
		wrong += ((float *)rig_record(r, "output")->data)[i] != z[i];
		worst = i < (int)t->v_steps && d > worst ? d : worst;
	}
	EXPECT_EQ(spikes, 4);
	if (wrong || (t->tolerance > 0.0 && !(worst <= t->tolerance)))
		TH_FAILMSG("%s: %u steps with other spikes, membrane differs by %g of the threshold", t->platform, wrong, worst);
	snpu_result_free(r);
}

TEST_F(backend, one_neuron_as_eleven_platforms_ran_it)
{
	for (size_t i = 0; i < sizeof(traces) / sizeof(traces[0]); i++)
		check_trace(self->dev, &traces[i]);
}

/* --- recurrent networks ------------------------------------------------------------------------------------------- */

struct braille {
	const char *net, *framework;
	struct snpu_session_opts opts;
	unsigned shift;				/* steps by which they record later than the neuron computes */
	unsigned without;			/* bits that differ when the dialect is not given; 0: none, or not asked */
};

static const struct braille rasters[] = {
	{ "noDelay_bias_zero", "snntorch", { .dialect = SNPU_DIALECT_SNNTORCH }, 0, 0 },
	{ "noDelay_bias_zero", "norse", { .dialect = SNPU_DIALECT_NORSE }, 0, 23 },
	{ "noDelay_bias_zero", "spyx", { .dialect = SNPU_DIALECT_SPYX }, 1, 1 },
	{ "noDelay_noBias_subtract", "snntorch", { .dialect = SNPU_DIALECT_SNNTORCH, .reset = SNPU_RESET_SUBTRACT }, 0, 1 },
	{ "noDelay_noBias_subtract", "norse", { .dialect = SNPU_DIALECT_NORSE }, 0, 0 },
	{ "noDelay_noBias_subtract", "spyx", { .dialect = SNPU_DIALECT_SPYX }, 1, 1 },
};

/* Bits of the hidden layer that differ from the recording. ~0: it cannot be compared. */
static uint64_t raster_differences(struct snpu_device *dev, const struct braille *b, const struct snpu_session_opts *opts)
{
	static const char *const records[] = { "lif1.lif" };
	struct snpu_session_opts o = *opts;
	struct snpu_array x, want;
	struct snpu_input in = { .array = &x };
	struct snpu_result *r;
	char path[128];
	uint64_t n, bad = 0, width;
	float *theirs;
	const float *ours;

	snprintf(path, sizeof(path), DATA "rnn/braille_%s.nir", b->net);
	if (!rig_npy(DATA "rnn/ds_test_0_input.npy", &x))
		return ~0ull;
	o.records = records;
	o.n_records = 1;
	r = rig_run(path, dev, &o, &in, 1);
	snprintf(path, sizeof(path), DATA "rnn/%s_activity_%s.npy", b->framework, b->net);
	if (!r || !rig_npy(path, &want))
		return ~0ull;
	n = rig_record(r, "lif1.lif")->count;
	width = n / 256;
	theirs = rig_f32(&want);
	ours = rig_record(r, "lif1.lif")->data;
	if (want.count != n)
		return ~0ull;
	for (uint64_t i = 0; i < n; i++)
		bad += theirs[i] != (i < b->shift * width ? 0.0f : ours[i - b->shift * width]);
	free(theirs);
	snpu_array_free(&x);
	snpu_array_free(&want);
	snpu_result_free(r);
	return bad;
}

TEST_F(backend, hidden_layers_as_three_frameworks_recorded_them)
{
	for (size_t i = 0; i < sizeof(rasters) / sizeof(rasters[0]); i++) {
		struct snpu_session_opts other = { .reset = rasters[i].opts.reset };
		uint64_t bad = raster_differences(self->dev, &rasters[i], &rasters[i].opts);

		if (bad)
			TH_FAILMSG("%s, %s: %llu bits differ", rasters[i].net, rasters[i].framework, (unsigned long long)bad);
		/* It is the dialect that does it. */
		if (rasters[i].without)
			EXPECT_GE(raster_differences(self->dev, &rasters[i], &other), rasters[i].without);
	}
}

/* --- primitives --------------------------------------------------------------------------------------------------- */

struct reading {
	const char *key;
	struct snpu_session_opts opts;
};

static void check_prim(struct snpu_device *dev, const char *name, enum snpu_gain gain)
{
	static const struct reading readings[] = {
		{ "out_euler", { .dt = 1e-3 } },
		{ "out_euler_subtract", { .dt = 1e-3, .reset = SNPU_RESET_SUBTRACT } },
		{ "out_exact", { .dt = 1e-3, .integrator = SNPU_INTEGRATOR_EXP } },
	};
	char nir[128], npz[128];
	struct snpu_array x, want;
	struct snpu_input in = { .array = &x };

	snprintf(nir, sizeof(nir), DATA "prims/%s.nir", name);
	snprintf(npz, sizeof(npz), DATA "prims/%s.npz", name);
	ASSERT_TRUE(rig_npz(npz, "input", &x));
	for (size_t i = 0; i < sizeof(readings) / sizeof(readings[0]); i++) {
		struct snpu_session_opts o = readings[i].opts;
		struct snpu_result *r;

		o.gain = gain;
		r = rig_run(nir, dev, &o, &in, 1);
		ASSERT_TRUE(r);
		ASSERT_TRUE(rig_npz(npz, readings[i].key, &want));
		if (rig_differences(rig_record(r, "output"), &want, 1e-5))
			TH_FAILMSG("%s, %s", name, readings[i].key);
		snpu_array_free(&want);
		snpu_result_free(r);
	}
	snpu_array_free(&x);
}

TEST_F(backend, primitives_with_both_integrators)
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

TEST_HARNESS_MAIN
