/* SPDX-License-Identifier: MIT */
/*
 * The whole library, from file to classes: 1000 test images of MNIST through the network of tests/data/nir/mnist, on every
 * backend of the host. Counts are those that PyTorch gave, for every image and class; everything else is equal bit for bit
 * between backends.
 */
#include "tests/unit/backend_rig.h"

#define IMAGES	1000
#define STEPS	25
#define MODEL	DATA "mnist/mnist_lif.nir"
#define TRUTH	DATA "mnist/mnist_test1000.npz"
#define INTEGERS DATA "mnist/mnist_int_expected.npz"

/* Spikes of a record summed over the steps: counts[IMAGES][n]. */
static float *count_spikes(const struct snpu_array *a, unsigned n)
{
	float *counts = calloc((size_t)IMAGES * n, sizeof(*counts));
	const float *z = a->data;

	for (size_t i = 0; i < (size_t)IMAGES * STEPS * n; i++)
		counts[i / (STEPS * n) * n + i % n] += z[i];
	return counts;
}

static uint64_t count_errors(const struct snpu_result *r, const char *record, unsigned n, const char *npz, const char *key)
{
	const struct snpu_array *a = rig_record(r, record);
	struct snpu_array want;
	float *counts;
	uint64_t bad = 0;

	if (!a || a->count != (uint64_t)IMAGES * STEPS * n || !rig_npz(npz, key, &want) || want.count != (uint64_t)IMAGES * n)
		return ~0ull;
	counts = count_spikes(a, n);
	for (uint64_t i = 0; i < want.count; i++)
		bad += counts[i] != ((uint8_t *)want.data)[i];
	free(counts);
	snpu_array_free(&want);
	return bad;
}

static unsigned count_correct(const struct snpu_result *r, const uint8_t *labels)
{
	float *counts = count_spikes(rig_record(r, "output"), 10);
	unsigned correct = 0;

	for (unsigned i = 0; i < IMAGES; i++) {
		unsigned best = 0;

		for (unsigned c = 1; c < 10; c++)
			best = counts[i * 10 + c] > counts[i * 10 + best] ? c : best;
		correct += best == labels[i];
	}
	free(counts);
	return correct;
}

static struct snpu_result *run_in(struct snpu_device *dev, bool hidden, enum snpu_number number)
{
	static const char *const records[] = { "lif1", "lif1.v", "lif2.v" };
	struct snpu_session_opts o = { .records = records, .n_records = hidden ? 3 : 0, .number = number };
	struct snpu_array images;
	struct snpu_input in = { .array = &images, .encoder = SNPU_ENCODE_IMAGE, .steps = STEPS };
	struct snpu_result *r;

	if (!rig_npz(TRUTH, "images", &images))
		return NULL;
	r = rig_run(MODEL, dev, &o, &in, 1);
	snpu_array_free(&images);
	return r;
}

static struct snpu_result *run_images(struct snpu_device *dev, bool hidden)
{
	return run_in(dev, hidden, SNPU_NUMBER_DEFAULT);
}

TEST_F_TIMEOUT(backend, counts_of_all_images_are_those_of_pytorch, 600)
{
	struct snpu_result *r = run_images(self->dev, true);
	struct snpu_array labels;

	ASSERT_TRUE(r);
	EXPECT_EQ(count_errors(r, "output", 10, TRUTH, "torch_counts"), 0);
	EXPECT_EQ(count_errors(r, "lif1", 256, DATA "mnist/mnist_lif_expected.npz", "hidden_counts_f64"), 0);
	ASSERT_TRUE(rig_npz(TRUTH, "labels", &labels));
	EXPECT_EQ(count_correct(r, labels.data), 969);
	snpu_array_free(&labels);
	snpu_result_free(r);
}

/* Output and hidden spikes, membranes, and every counter the law fixes. */
TEST_F_TIMEOUT(backend, every_bit_is_that_of_the_scalar_reference, 600)
{
	const char *why;
	struct snpu_device *scalar = rig_device("cpu-scalar", &why);
	struct snpu_result *a, *b;

	ASSERT_TRUE(scalar);
	a = run_images(scalar, true);
	b = run_images(self->dev, true);
	ASSERT_TRUE(a && b);
	EXPECT_TRUE(rig_same(a, b));
	EXPECT_TRUE(rig_same_counters(a, b));
	/* 1269174 input spikes reach 256 neurons each. */
	EXPECT_EQ(rig_counter(b, "fc1", "SYNOPS"), 1269174ull * 256);
	snpu_result_free(a);
	snpu_result_free(b);
	snpu_device_close(scalar);
}

/* fc1 and lif1 on one device, the rest on the CPU, and the other way round: the same bits. */
TEST_F_TIMEOUT(backend, placement_does_not_change_results, 600)
{
	static const struct snpu_place_rule split[2][2] = { { { "fc2", -1 }, { "lif2", -1 } }, { { "fc1", -1 }, { "lif1", -1 } } };
	struct snpu_result *whole = run_images(self->dev, false);
	struct snpu_array images;
	struct snpu_input in = { .array = &images, .encoder = SNPU_ENCODE_IMAGE, .steps = STEPS };

	ASSERT_TRUE(whole);
	ASSERT_TRUE(rig_npz(TRUTH, "images", &images));
	for (int i = 0; i < 2; i++) {
		struct snpu_session_opts o = { .place = split[i], .n_place = 2 };
		struct snpu_result *r = rig_run(MODEL, self->dev, &o, &in, 1);

		EXPECT_TRUE(rig_same(whole, r));
		snpu_result_free(r);
	}
	snpu_array_free(&images);
	snpu_result_free(whole);
}

/* In integers: the spikes of all neurons are those of an interpreter in Python. */
TEST_F_TIMEOUT(backend, counts_of_integers_are_those_of_the_interpreter, 600)
{
	static const struct {
		enum snpu_number number;
		const char *counts, *hidden;
		unsigned correct;
	} cases[] = {
		{ SNPU_NUMBER_INT8, "int8_counts", "int8_hidden", 970 }, { SNPU_NUMBER_INT16, "int16_counts", "int16_hidden", 969 },
		{ SNPU_NUMBER_LOIHI24, "loihi24_counts", "loihi24_hidden", 970 },
	};
	struct snpu_array labels;

	ASSERT_TRUE(rig_npz(TRUTH, "labels", &labels));
	for (unsigned i = 0; i < 3; i++) {
		struct snpu_result *r = run_in(self->dev, true, cases[i].number);

		ASSERT_TRUE(r);
		EXPECT_EQ(count_errors(r, "output", 10, INTEGERS, cases[i].counts), 0);
		EXPECT_EQ(count_errors(r, "lif1", 256, INTEGERS, cases[i].hidden), 0);
		EXPECT_EQ(count_correct(r, labels.data), cases[i].correct);
		snpu_result_free(r);
	}
	snpu_array_free(&labels);
}

TEST_HARNESS_MAIN
