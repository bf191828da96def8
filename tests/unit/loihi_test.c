/* SPDX-License-Identifier: MIT */
/*
 * The number format loihi24 against Intel's Loihi: a neuron that ran on the chip (in tests/data), a network that ran on it, whose recordings may not
 * be copied here: $SNPU_LOIHI_DATA names the directory that has them, test/test_files/Loihi of github.com/bamsumit/slayerPytorch;
 * and a recurrent network with biases from an interpreter in Python. Currents and membranes in every step, on every backend.
 */
#include "backend_rig.h"
#include "loihi_rig.h"

/* --- running --------------------------------------------------------------------------------------------- */

/* x: [steps][n]. Records are "a,b.v,...". */
static struct snpu_result *run(struct snpu_device *dev, const struct snpu_model *m, float *x, uint64_t steps, uint64_t n, const char *const *records,
			       unsigned n_records, enum snpu_delay delay)
{
	struct snpu_array a = { .dtype = SNPU_F32, .rank = 2, .shape = { steps, n }, .count = steps * n, .data = x };
	struct snpu_session_opts o = { .sz = sizeof(o), .dt = LOIHI_DT, .devices = &dev, .n_devices = 1, .number = SNPU_NUMBER_LOIHI24, .records = records,
				       .n_records = n_records, .delay = delay };
	struct snpu_input in = { .array = &a };
	struct snpu_session *s = NULL;
	struct snpu_result *r = NULL;

	if (snpu_session_create(m, &o, &s) || snpu_session_run(s, &in, 1, &r))
		printf("# %s\n", snpu_last_error());
	snpu_session_free(s);
	return r;
}

/* Whole weights keep their scale, so a unit of a state is 1/64: the integer itself. */
static int state_at(const struct snpu_result *r, const char *record, uint64_t i)
{
	return (int)lrint(((float *)rig_record(r, record)->data)[i] * 64.0);
}

static bool spike_at(const struct snpu_result *r, const char *record, uint64_t i)
{
	return ((float *)rig_record(r, record)->data)[i] != 0.0f;
}

/* --- one neuron on the chip -------------------------------------------------------------------------------------------- */

/* It ran one step later than we compute. The chip's probe shows 128 in the step of a spike; Lava's model of it the membrane after its reset. */
static void check_neuron(struct snpu_device *dev, const char *path, int in_spike)
{
	enum { STEPS = 1000 };
	static float x[STEPS];
	static double v[STEPS], z[STEPS];
	const char *const records[] = { "lif", "lif.v" };
	struct snpu_model *m = neuron_model();
	struct snpu_result *r;
	unsigned spikes = 0, wrong = 0;
	FILE *f = fopen(path, "r");
	int n = 0;

	while (f && n < STEPS && fscanf(f, "%f,%lf,%lf", &x[n], &v[n], &z[n]) == 3)
		n++;
	if (f)
		fclose(f);
	ASSERT_EQ(n, STEPS);
	r = run(dev, m, x, STEPS, 1, records, 2, SNPU_DELAY_SYNAPSE);
	ASSERT_TRUE(r);
	for (uint64_t t = 0; t < STEPS; t++) {
		bool spike = spike_at(r, "lif", t);

		spikes += spike;
		wrong += spike != (z[t] != 0.0) || (spike ? in_spike : state_at(r, "lif.v", t)) != (int)v[t];
	}
	EXPECT_EQ(spikes, 4);
	EXPECT_EQ(wrong, 0);
	snpu_result_free(r);
	snpu_model_free(m);
}

TEST_F(backend, a_neuron_as_the_chip_ran_it)
{
	check_neuron(self->dev, "tests/data/nir/lif/lif_lava_loihi_fixed.csv", 128);
	check_neuron(self->dev, "tests/data/nir/lif/lif_lava_cpu_fixed.csv", 0);
}

/* --- a network on the chip --------------------------------------------------------------------------------------------- */

#define CHIP_IN		250u
#define CHIP_HIDDEN	25u
#define CHIP_STEPS	500u

/* Numbers of a text, which blanks and commas separate; returns how many. */
static unsigned read_numbers(const char *name, float *to, unsigned room)
{
	char path[512];
	size_t size;
	char *text, *at;
	unsigned n = 0;

	snprintf(path, sizeof(path), "%s/%s", getenv("SNPU_LOIHI_DATA"), name);
	text = rig_read(path, &size);
	at = text ? realloc(text, size + 1) : NULL;
	text = at;
	if (text)
		text[size] = 0;
	while (at && n < room) {
		char *end;
		float x = strtof(at, &end);

		if (end == at && !*at)
			break;
		if (end != at)
			to[n++] = x;
		at = end == at ? at + 1 : end;
	}
	free(text);
	return n;
}

/* Spikes of a text with lines "neuron step" into x[CHIP_STEPS][n]. */
static unsigned read_spikes(const char *name, float *x, unsigned n)
{
	static float pair[4000];
	unsigned count = read_numbers(name, pair, 4000) / 2;

	for (unsigned i = 0; i < count; i++)
		if (pair[2 * i] < (float)n && pair[2 * i + 1] < (float)CHIP_STEPS)
			x[(unsigned)pair[2 * i + 1] * n + (unsigned)pair[2 * i]] = 1.0f;
	return count;
}

static struct snpu_model *chip_model(void)
{
	static float w1[CHIP_HIDDEN * CHIP_IN], w2[CHIP_HIDDEN];
	float threshold[CHIP_HIDDEN];
	struct snpu_model *m = rig_model();

	if (read_numbers("w1learned.txt", w1, CHIP_HIDDEN * CHIP_IN) != CHIP_HIDDEN * CHIP_IN || read_numbers("w2learned.txt", w2, CHIP_HIDDEN) != CHIP_HIDDEN)
		TH_FAILMSG("the weights in $SNPU_LOIHI_DATA cannot be read");
	/* As they were put on the chip: to a multiple of two, of four times the learned weight. */
	for (unsigned i = 0; i < CHIP_HIDDEN * CHIP_IN; i++)
		w1[i] = 2.0f * rintf(2.0f * w1[i]);
	for (unsigned i = 0; i < CHIP_HIDDEN; i++) {
		w2[i] = 2.0f * rintf(2.0f * w2[i]);
		threshold[i] = 80.0f;
	}
	rig_end(m, "input", "Input", CHIP_IN);
	add_matrix(m, "w1", CHIP_HIDDEN, CHIP_IN, w1);
	add_cuba(m, "hidden", CHIP_HIDDEN, 1024, 128, threshold, NULL);
	add_matrix(m, "w2", 1, CHIP_HIDDEN, w2);
	add_cuba(m, "out", 1, 1024, 128, threshold, NULL);
	rig_end(m, "output", "Output", 1);
	rig_edges(m, "input>w1 w1>hidden hidden>w2 w2>out out>output");
	MUST(snpu_model_finish(m));
	return m;
}

/* The chip's probe of a neuron's membrane, which begins with step 1 and shows 128 in the step of a spike. */
static void check_probe(const struct snpu_result *r, const char *file, const char *spikes, const char *v, unsigned neuron, unsigned n)
{
	static float probe[CHIP_STEPS];
	unsigned count = read_numbers(file, probe, CHIP_STEPS), wrong = 0;

	EXPECT_EQ(count, CHIP_STEPS - 1);
	for (unsigned t = 0; t < count; t++) {
		uint64_t at = (t + 1ull) * n + neuron;
		int want = spike_at(r, spikes, at) ? 128 : state_at(r, v, at);

		wrong += want != (int)probe[t];
	}
	if (wrong)
		TH_FAILMSG("%s: %u membranes differ", file, wrong);
}

TEST_F(backend, a_network_as_the_chip_ran_it)
{
	static float x[CHIP_STEPS * CHIP_IN], hidden[CHIP_STEPS * CHIP_HIDDEN], out[CHIP_STEPS];
	const char *const records[] = { "hidden", "hidden.v", "out", "out.v" };
	struct snpu_model *m;
	struct snpu_result *r;
	unsigned wrong = 0;

	if (!getenv("SNPU_LOIHI_DATA"))
		SKIP("SNPU_LOIHI_DATA does not name the recordings, which are GPL-3 and not here");
	EXPECT_GT(read_spikes("loihiInputSpikes.txt", x, CHIP_IN), 600);
	EXPECT_EQ(read_spikes("loihiHiddenSpikes.txt", hidden, CHIP_HIDDEN), 639);
	EXPECT_EQ(read_spikes("loihiOutputSpikes.txt", out, 1), 2);
	m = chip_model();
	r = run(self->dev, m, x, CHIP_STEPS, CHIP_IN, records, 4, SNPU_DELAY_NEURON);
	ASSERT_TRUE(r);
	for (uint64_t i = 0; i < CHIP_STEPS * CHIP_HIDDEN; i++)
		wrong += spike_at(r, "hidden", i) != (hidden[i] != 0.0f);
	for (uint64_t i = 0; i < CHIP_STEPS; i++)
		wrong += spike_at(r, "out", i) != (out[i] != 0.0f);
	EXPECT_EQ(wrong, 0);
	check_probe(r, "loihiHiddenVoltage23.txt", "hidden", "hidden.v", 23, CHIP_HIDDEN);
	check_probe(r, "loihiHiddenVoltage24.txt", "hidden", "hidden.v", 24, CHIP_HIDDEN);
	check_probe(r, "loihiOutputVoltage.txt", "out", "out.v", 0, 1);
	snpu_result_free(r);
	snpu_model_free(m);
}

/* --- a recurrent network with biases, from an interpreter ------------------------------------------------------------- */

TEST_F(backend, a_recurrent_network_as_an_interpreter_ran_it)
{
	static const struct { const char *name, *record; unsigned n; bool spikes; } all[] = {
		{ "z1", "hidden", 16, true }, { "v1", "hidden.v", 16, false }, { "i1", "hidden.i", 16, false },
		{ "z2", "out", 4, true }, { "v2", "out.v", 4, false }, { "i2", "out.i", 4, false },
	};
	const char *records[6];
	struct snpu_model *m = trace_model();
	float *x = trace_array("x", TRACE_LENGTH * TRACE_IN);
	struct snpu_result *r;

	for (unsigned k = 0; k < 6; k++)
		records[k] = all[k].record;
	r = run(self->dev, m, x, TRACE_LENGTH, TRACE_IN, records, 6, SNPU_DELAY_DEFAULT);
	ASSERT_TRUE(r);
	for (unsigned k = 0; k < 6; k++) {
		float *want = trace_array(all[k].name, TRACE_LENGTH * all[k].n);
		unsigned wrong = 0;

		for (uint64_t i = 0; i < TRACE_LENGTH * all[k].n; i++)
			wrong += all[k].spikes ? spike_at(r, all[k].record, i) != (want[i] != 0.0f) : state_at(r, all[k].record, i) != (int)want[i];
		if (wrong)
			TH_FAILMSG("%s: %u numbers differ", all[k].record, wrong);
		free(want);
	}
	free(x);
	snpu_result_free(r);
	snpu_model_free(m);
}

TEST_HARNESS_MAIN
