/* SPDX-License-Identifier: MIT */
/* Spike codings: what Int2Spike encodes, there and back, products through bit planes, and nothing lost silently. */
#include "file_rig.h"
#include "snpu/snpu_lm.h"

#define GOLDEN	"tests/data/spikingbrain/dev-int2spike/golden.npz"

static const enum snpu_coding all[] = {
	SNPU_CODING_BINARY, SNPU_CODING_TERNARY, SNPU_CODING_BITWISE, SNPU_CODING_BITWISE_BIDIRECTIONAL, SNPU_CODING_TWOS_COMPLEMENT,
};
#define CODINGS	(sizeof(all) / sizeof(all[0]))

static bool has_sign(enum snpu_coding c)
{
	return c != SNPU_CODING_BINARY && c != SNPU_CODING_BITWISE;
}

static uint32_t rng = 1;

static uint32_t random32(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 17;
	return rng ^= rng << 5;
}

/* The counts of a 16-bit array; their magnitudes where the coding has no sign. Free them. */
static int32_t *counts_of(const struct snpu_array *a, enum snpu_coding c)
{
	int32_t *counts = malloc(a->count * sizeof(*counts));

	for (uint64_t i = 0; i < a->count; i++) {
		counts[i] = ((const int16_t *)a->data)[i];
		if (!has_sign(c))
			counts[i] = abs(counts[i]);
	}
	return counts;
}

static void compare_with_golden(const char *x_name, const char *name, enum snpu_coding c)
{
	struct snpu_array x, want;
	unsigned int steps = 0;

	ASSERT_TRUE(rig_npz(GOLDEN, x_name, &x));
	ASSERT_TRUE(rig_npz(GOLDEN, name, &want));
	ASSERT_EQ(x.dtype, SNPU_I16);
	ASSERT_EQ(want.dtype, SNPU_I8);
	int32_t *counts = counts_of(&x, c), *back = malloc(x.count * sizeof(*back));

	ASSERT_EQ(snpu_coding_steps(c, counts, x.count, &steps), 0);
	ASSERT_EQ(steps, want.shape[0]);
	int8_t *spikes = malloc(steps * x.count);

	ASSERT_EQ(snpu_coding_encode(c, counts, x.count, steps, spikes), 0);
	EXPECT_EQ(memcmp(spikes, want.data, want.count), 0);
	ASSERT_EQ(snpu_coding_decode(c, want.data, x.count, steps, back), 0);
	EXPECT_EQ(memcmp(back, counts, x.count * sizeof(*back)), 0);
	free(spikes);
	free(back);
	free(counts);
	snpu_array_free(&x);
	snpu_array_free(&want);
}

TEST(golden_small)
{
	compare_with_golden("small.x", "small.binary", SNPU_CODING_BINARY);
	compare_with_golden("small.x", "small.ternary", SNPU_CODING_TERNARY);
	compare_with_golden("small.x", "small.bitwise", SNPU_CODING_BITWISE);
	compare_with_golden("small.x", "small.bitwise_bidirectional", SNPU_CODING_BITWISE_BIDIRECTIONAL);
	compare_with_golden("small.x", "small.bitwise_twos_complement", SNPU_CODING_TWOS_COMPLEMENT);
}

TEST(golden_long_tail)
{
	compare_with_golden("tail.x", "tail.bitwise", SNPU_CODING_BITWISE);
	compare_with_golden("tail.x", "tail.bitwise_bidirectional", SNPU_CODING_BITWISE_BIDIRECTIONAL);
	compare_with_golden("tail.x", "tail.bitwise_twos_complement", SNPU_CODING_TWOS_COMPLEMENT);
}

/* Int2Spike drops high bits when T is too small; here that is an error, and what it would have kept is told apart. */
TEST(too_few_steps_are_refused)
{
	struct snpu_array x, cut, kept;
	int32_t back[5];
	int8_t spikes[15];

	ASSERT_TRUE(rig_npz(GOLDEN, "truncT3.x", &x));
	ASSERT_TRUE(rig_npz(GOLDEN, "truncT3.bitwise_bidirectional", &cut));
	ASSERT_TRUE(rig_npz(GOLDEN, "truncT3.decoded", &kept));
	ASSERT_EQ(x.count, 5);
	int32_t *counts = counts_of(&x, SNPU_CODING_TERNARY), *fit = counts_of(&kept, SNPU_CODING_TERNARY);

	memset(spikes, 99, sizeof(spikes));
	EXPECT_EQ(snpu_coding_encode(SNPU_CODING_BITWISE_BIDIRECTIONAL, counts, 5, 3, spikes), -ERANGE);
	EXPECT_CONTAINS(snpu_last_error(), "count 2 is 9");
	for (int i = 0; i < 15; i++)
		EXPECT_EQ(spikes[i], 99);
	EXPECT_EQ(snpu_coding_encode(SNPU_CODING_BITWISE_BIDIRECTIONAL, counts, 5, 4, (int8_t[20]){ 0 }), 0);
	ASSERT_EQ(snpu_coding_decode(SNPU_CODING_BITWISE_BIDIRECTIONAL, cut.data, 5, 3, back), 0);
	EXPECT_EQ(memcmp(back, fit, sizeof(back)), 0);
	ASSERT_EQ(snpu_coding_encode(SNPU_CODING_BITWISE_BIDIRECTIONAL, fit, 5, 3, spikes), 0);
	EXPECT_EQ(memcmp(spikes, cut.data, sizeof(spikes)), 0);
	free(counts);
	free(fit);
	snpu_array_free(&x);
	snpu_array_free(&cut);
	snpu_array_free(&kept);
}

/* x @ w plane by plane; `worth` of a plane is what the coding says. */
static void product(enum snpu_coding c, const char *want_name)
{
	struct snpu_array x, w, want;
	unsigned int steps = 0;
	int64_t y[4][5] = { { 0 } };

	ASSERT_TRUE(rig_npz(GOLDEN, "small.x", &x));
	ASSERT_TRUE(rig_npz(GOLDEN, "matmul.w", &w));
	ASSERT_TRUE(rig_npz(GOLDEN, want_name, &want));
	ASSERT_EQ(x.count, 4 * 9);
	ASSERT_EQ(w.count, 9 * 5);
	ASSERT_EQ(want.count, 4 * 5);
	int32_t *counts = counts_of(&x, c);
	int8_t spikes[8][4][9];

	ASSERT_EQ(snpu_coding_steps(c, counts, x.count, &steps), 0);
	ASSERT_LE(steps, 8);
	ASSERT_EQ(snpu_coding_encode(c, counts, x.count, steps, &spikes[0][0][0]), 0);
	for (unsigned int t = 0; t < steps; t++) {
		int64_t worth = c == SNPU_CODING_TERNARY ? 1 : 1ll << (steps - 1 - t);

		if (c == SNPU_CODING_TWOS_COMPLEMENT && t == 0)
			worth = -worth;
		for (int r = 0; r < 4; r++)
			for (int i = 0; i < 9; i++)
				for (int o = 0; o < 5; o++)
					y[r][o] += worth * spikes[t][r][i] * ((const int8_t *)w.data)[i * 5 + o];
	}
	for (int i = 0; i < 20; i++)
		EXPECT_EQ((&y[0][0])[i], ((const int32_t *)want.data)[i]);
	free(counts);
	snpu_array_free(&x);
	snpu_array_free(&w);
	snpu_array_free(&want);
}

TEST(products_through_planes)
{
	product(SNPU_CODING_BITWISE_BIDIRECTIONAL, "matmul.y");
	product(SNPU_CODING_TWOS_COMPLEMENT, "matmul.y");
	product(SNPU_CODING_TERNARY, "matmul.y_ternary");
}

TEST(round_trips)
{
	for (unsigned int round = 0; round < 400; round++) {
		enum snpu_coding c = all[round % CODINGS];
		bool unary = c == SNPU_CODING_BINARY || c == SNPU_CODING_TERNARY;
		int32_t counts[33], back[33];
		unsigned int n = 1 + random32() % 33, shift = (unary ? 22 : 0) + random32() % 10, steps = 0;

		for (unsigned int i = 0; i < n; i++) {
			counts[i] = (int32_t)random32() >> shift;
			if (!has_sign(c) && counts[i] < 0)
				counts[i] = ~counts[i];
		}
		ASSERT_EQ(snpu_coding_steps(c, counts, n, &steps), 0);
		steps += random32() % 4 * (random32() & 1) * 20;
		int8_t *spikes = malloc((size_t)steps * n + 1);

		ASSERT_EQ(snpu_coding_encode(c, counts, n, steps, spikes), 0);
		ASSERT_EQ(snpu_coding_decode(c, spikes, n, steps, back), 0);
		ASSERT_EQ(memcmp(back, counts, n * sizeof(*counts)), 0);
		free(spikes);
	}
}

TEST(greatest_counts)
{
	static const int32_t ends[] = { INT32_MIN, INT32_MAX, -1, 0 };
	static const int32_t end = INT32_MAX;
	int8_t spikes[33 * 4];
	int32_t back[4];
	unsigned int steps;

	ASSERT_EQ(snpu_coding_steps(SNPU_CODING_BITWISE_BIDIRECTIONAL, ends, 4, &steps), 0);
	EXPECT_EQ(steps, 32);
	ASSERT_EQ(snpu_coding_encode(SNPU_CODING_BITWISE_BIDIRECTIONAL, ends, 4, 32, spikes), 0);
	ASSERT_EQ(snpu_coding_decode(SNPU_CODING_BITWISE_BIDIRECTIONAL, spikes, 4, 32, back), 0);
	EXPECT_EQ(memcmp(back, ends, sizeof(ends)), 0);
	ASSERT_EQ(snpu_coding_steps(SNPU_CODING_TWOS_COMPLEMENT, ends, 4, &steps), 0);
	EXPECT_EQ(steps, 33);
	for (steps = 32; steps <= 33; steps++) {
		ASSERT_EQ(snpu_coding_encode(SNPU_CODING_TWOS_COMPLEMENT, ends, 4, steps, spikes), 0);
		ASSERT_EQ(snpu_coding_decode(SNPU_CODING_TWOS_COMPLEMENT, spikes, 4, steps, back), 0);
		EXPECT_EQ(memcmp(back, ends, sizeof(ends)), 0);
	}
	EXPECT_EQ(snpu_coding_encode(SNPU_CODING_TWOS_COMPLEMENT, ends, 4, 31, spikes), -ERANGE);
	EXPECT_EQ(snpu_coding_encode(SNPU_CODING_BITWISE, &end, 1, 31, spikes), 0);
	EXPECT_EQ(snpu_coding_encode(SNPU_CODING_BITWISE, &end, 1, 30, spikes), -ERANGE);
	EXPECT_EQ(snpu_coding_steps(SNPU_CODING_TERNARY, ends, 4, &steps), 0);
	EXPECT_EQ(steps, 0x80000000u);
}

TEST(steps_of_zeros_and_nothing)
{
	static const unsigned int want[CODINGS] = { 0, 0, 1, 1, 2 };
	static const int32_t zeros[3];
	int32_t back[3] = { 9, 9, 9 };
	unsigned int steps;

	for (unsigned int i = 0; i < CODINGS; i++) {
		ASSERT_EQ(snpu_coding_steps(all[i], zeros, 3, &steps), 0);
		EXPECT_EQ(steps, want[i]);
		ASSERT_EQ(snpu_coding_steps(all[i], NULL, 0, &steps), 0);
		EXPECT_EQ(steps, want[i]);
	}
	ASSERT_EQ(snpu_coding_encode(SNPU_CODING_BINARY, zeros, 3, 0, NULL), 0);
	ASSERT_EQ(snpu_coding_decode(SNPU_CODING_BINARY, NULL, 3, 0, back), 0);
	EXPECT_EQ(memcmp(back, zeros, sizeof(zeros)), 0);
	EXPECT_EQ(snpu_coding_encode(SNPU_CODING_TWOS_COMPLEMENT, zeros, 3, 0, NULL), -ERANGE);
}

TEST(mistakes)
{
	static const int32_t negative[] = { 3, -1 };
	static const int8_t minus[] = { 1, -1 }, two[] = { 0, 2 };
	unsigned int steps = 77;
	int32_t back[2] = { 5, 5 };
	int8_t spikes[64];

	for (unsigned int i = 0; i < CODINGS; i++) {
		int err = has_sign(all[i]) ? 0 : -ERANGE;

		EXPECT_EQ(snpu_coding_encode(all[i], negative, 2, 4, spikes), err);
		EXPECT_EQ(snpu_coding_steps(all[i], negative, 2, &steps), err);
		EXPECT_EQ(snpu_coding_decode(all[i], two, 2, 1, back), -EINVAL);
		EXPECT_EQ(back[0], 5);
		bool has_minus = all[i] == SNPU_CODING_TERNARY || all[i] == SNPU_CODING_BITWISE_BIDIRECTIONAL;

		EXPECT_EQ(snpu_coding_decode(all[i], minus, 2, 1, (int32_t[2]){ 0 }), has_minus ? 0 : -EINVAL);
	}
	EXPECT_EQ(snpu_coding_steps((enum snpu_coding)5, negative, 2, &steps), -EINVAL);
	EXPECT_EQ(snpu_coding_encode((enum snpu_coding)5, negative, 2, 4, spikes), -EINVAL);
	EXPECT_EQ(snpu_coding_decode((enum snpu_coding)-1, minus, 2, 1, back), -EINVAL);
	EXPECT_EQ(snpu_coding_encode(SNPU_CODING_TERNARY, negative, SIZE_MAX / 2, 4, spikes), -EINVAL);
	memset(spikes, 1, sizeof(spikes));
	EXPECT_EQ(snpu_coding_decode(SNPU_CODING_BITWISE, spikes, 1, 31, back), 0);
	EXPECT_EQ(back[0], INT32_MAX);
	EXPECT_EQ(snpu_coding_decode(SNPU_CODING_BITWISE, spikes, 1, 32, back), -ERANGE);
	EXPECT_EQ(snpu_coding_decode(SNPU_CODING_BITWISE_BIDIRECTIONAL, spikes, 1, 64, back), -ERANGE);
	EXPECT_EQ(snpu_coding_decode(SNPU_CODING_TWOS_COMPLEMENT, spikes, 1, 64, back), 0);
	EXPECT_EQ(back[0], -1);
	memset(spikes + 1, 0, sizeof(spikes) - 1);
	EXPECT_EQ(snpu_coding_decode(SNPU_CODING_TWOS_COMPLEMENT, spikes, 1, 64, back), -ERANGE);
}

TEST(names)
{
	EXPECT_STREQ(snpu_coding_name(SNPU_CODING_BINARY), "binary");
	EXPECT_STREQ(snpu_coding_name(SNPU_CODING_TERNARY), "ternary");
	EXPECT_STREQ(snpu_coding_name(SNPU_CODING_BITWISE), "bitwise");
	EXPECT_STREQ(snpu_coding_name(SNPU_CODING_BITWISE_BIDIRECTIONAL), "bitwise-bidirectional");
	EXPECT_STREQ(snpu_coding_name(SNPU_CODING_TWOS_COMPLEMENT), "twos-complement");
	EXPECT_TRUE(!snpu_coding_name((enum snpu_coding)5));
}

TEST_HARNESS_MAIN
