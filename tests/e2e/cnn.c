/* SPDX-License-Identifier: MIT */
/*
 * The convolutional network of the NIR paper on event-camera recordings: counts of every class, spikes of every channel of the
 * first layer and of every neuron of the fourth, as an interpreter that shares nothing with this project counted them; bits and
 * exact counters equal between the backends. $SNPU_CNN_DATA names a file with other recordings.
 */
#include "tests/e2e/cnn_data.h"
#include "tests/unit/backend_rig.h"

/* Nodes of the file: convolution, its neurons, ..., the first fully connected layer's neurons. */
#define CONV1_NEURONS	"1"
#define FC1_NEURONS	"10"

static const char *recordings(void)
{
	const char *path = getenv("SNPU_CNN_DATA");

	return path ? path : RECORDINGS;
}

/* A record [sample][290][channels][each] summed over time and over what a channel has, against an array of the file. */
static uint64_t count_errors(const struct snpu_result *r, const char *record, const char *key)
{
	const struct snpu_array *a = rig_record(r, record);
	struct snpu_array want;
	uint64_t bad = 0, samples, channels, each;

	if (!a || !rig_npz(recordings(), key, &want))
		return ~0ull;
	samples = want.shape[0];
	channels = want.shape[1];
	each = a->count / (samples * STEPS * channels);
	for (uint64_t s = 0; s < samples; s++)
		for (uint64_t c = 0; c < channels; c++) {
			double sum = 0;

			for (uint64_t t = 0; t < STEPS; t++)
				for (uint64_t k = 0; k < each; k++)
					sum += ((const float *)a->data)[((s * STEPS + t) * channels + c) * each + k];
			bad += sum != ((const int32_t *)want.data)[s * channels + c];
		}
	printf("# %s: %llu of %llu counts differ\n", record, (unsigned long long)bad, (unsigned long long)want.count);
	snpu_array_free(&want);
	return bad;
}

static unsigned count_correct(const struct snpu_result *r)
{
	const struct snpu_array *a = rig_record(r, "output");
	struct snpu_array labels;
	unsigned correct = 0;

	if (!a || !rig_npz(recordings(), "labels", &labels))
		return 0;
	for (uint64_t s = 0; s < labels.count; s++) {
		float sum[10] = { 0 };
		int best = 0;

		for (unsigned i = 0; i < STEPS * 10; i++)
			sum[i % 10] += ((const float *)a->data)[s * STEPS * 10 + i];
		for (int c = 1; c < 10; c++)
			best = sum[c] > sum[best] ? c : best;
		correct += best == ((const int32_t *)labels.data)[s];
	}
	printf("# %u of %llu right\n", correct, (unsigned long long)labels.count);
	snpu_array_free(&labels);
	return correct;
}

static struct snpu_result *run_as(struct snpu_device *dev, enum snpu_dialect dialect)
{
	static const char *const records[] = { CONV1_NEURONS, FC1_NEURONS, FC1_NEURONS ".v" };
	struct snpu_session_opts o = { .dt = 1e-3, .dialect = dialect, .records = records, .n_records = 3 };
	struct snpu_array frames;
	struct snpu_input in = { .array = &frames };
	struct snpu_result *r;

	if (!read_frames(recordings(), &frames))
		return NULL;
	r = rig_run(MODEL, dev, &o, &in, 1);
	snpu_array_free(&frames);
	return r;
}

static struct snpu_result *run_recordings(struct snpu_device *dev)
{
	return run_as(dev, SNPU_DIALECT_DEFAULT);
}

TEST_F_TIMEOUT(backend, counts_are_those_of_the_reference, 600)
{
	struct snpu_result *r = run_recordings(self->dev);

	ASSERT_TRUE(r);
	EXPECT_EQ(count_errors(r, "output", "value_counts"), 0);
	EXPECT_EQ(count_errors(r, CONV1_NEURONS, "value_conv1_spikes_per_channel"), 0);
	EXPECT_EQ(count_errors(r, FC1_NEURONS, "value_fc1_counts"), 0);
	EXPECT_EQ(count_correct(r), rig_record(r, "output")->shape[0]);
	snpu_result_free(r);
}

/* Several spikes a step, reset by subtraction, a floor: the counts that Sinabs itself gets. */
TEST_F_TIMEOUT(backend, counts_are_those_of_sinabs, 600)
{
	struct snpu_result *r = run_as(self->dev, SNPU_DIALECT_SINABS);

	ASSERT_TRUE(r);
	EXPECT_EQ(count_errors(r, "output", "sinabs_counts"), 0);
	EXPECT_EQ(count_errors(r, CONV1_NEURONS, "sinabs_conv1_spikes_per_channel"), 0);
	EXPECT_EQ(count_errors(r, FC1_NEURONS, "sinabs_fc1_counts"), 0);
	snpu_result_free(r);
}

TEST_F_TIMEOUT(backend, every_bit_is_that_of_the_scalar_reference, 600)
{
	const char *why;
	struct snpu_device *scalar = rig_device("cpu-scalar", &why);
	struct snpu_result *a, *b;

	ASSERT_TRUE(scalar);
	a = run_recordings(scalar);
	b = run_recordings(self->dev);
	ASSERT_TRUE(a && b);
	EXPECT_TRUE(rig_same(a, b));
	EXPECT_TRUE(rig_same_counters(a, b));
	snpu_result_free(a);
	snpu_result_free(b);
	snpu_device_close(scalar);
}

/* Event by event, window by window, or as each list's density says: only the way differs, and it is told. */
TEST_F_TIMEOUT(backend, the_way_does_not_change_results, 600)
{
	static const char *const ways[] = { "auto", "events", "dense" };
	bool vectors = strstr(variant->name, "avx");
	struct snpu_result *r[3];

	for (int i = 0; i < 3; i++) {
		uint64_t dense = 0;
		struct snpu_device *dev;
		const char *why;

		setenv("SNPU_CONV", ways[i], 1);
		dev = rig_device(variant->name, &why);
		ASSERT_TRUE(dev);
		r[i] = run_recordings(dev);
		ASSERT_TRUE(r[i]);
		for (unsigned k = 0; k < snpu_result_profile_count(r[i]); k++)
			dense += snpu_result_dense(r[i], k);
		EXPECT_EQ(dense, i == 2 && vectors ? 3 * rig_record(r[i], "output")->shape[0] * STEPS : 0);
		EXPECT_TRUE(rig_same(r[0], r[i]));
		EXPECT_TRUE(rig_same_counters(r[0], r[i]));
		snpu_device_close(dev);
	}
	for (int i = 0; i < 3; i++)
		snpu_result_free(r[i]);
}

TEST_HARNESS_MAIN
