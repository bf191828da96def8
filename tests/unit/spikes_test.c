/* SPDX-License-Identifier: MIT */
/* Spike statistics: sums against counts by hand, formulas against the statistics of two models, table and JSON. */
#include <jansson.h>
#include <math.h>

#include "file_rig.h"
#include "lm/spikes.h"
#include "spike_stats.h"

#define COUNTS	"tests/data/spikingbrain/spike-counts/"

/* Adds the lists of all rows of an int8 array [tokens][channels]. */
static void add_rows(struct snpu_lm_spike_sums *sums, const struct snpu_array *a, uint64_t outputs)
{
	uint32_t n = (uint32_t)a->shape[1];
	struct snpu_spike list[256];

	for (uint64_t t = 0; t < a->shape[0]; t++) {
		uint32_t count = 0;

		for (uint32_t i = 0; i < n; i++) {
			int8_t s = ((const int8_t *)a->data)[t * n + i];

			if (s)
				list[count++] = (struct snpu_spike){ i, s };
		}
		snpu_lm_spikes_add(sums, list, count, n, outputs);
	}
}

FIXTURE(model) {
	struct snpu_lm_spike_sums executed, distinct, down;
	json_t *want;
};
FIXTURE_VARIANT(model) {
	const char *name;
	unsigned int layers;
};
FIXTURE_VARIANT_ADD(model, w8_a) { "dev-w8-a", 4 };
FIXTURE_VARIANT_ADD(model, w8_clip) { "dev-w8-clip", 2 };

/* Even layers have a gate that takes the input of q, k and v, too. */
FIXTURE_SETUP(model)
{
	static const char *const names[] = { "count.%u.q_proj", "count.%u.o_proj", "count.%u.gate_proj", "alldown.count.%u.down_proj" };
	char path[128], json[128];

	snprintf(path, sizeof(path), COUNTS "%s.npz", variant->name);
	snprintf(json, sizeof(json), COUNTS "%s.json", variant->name);
	self->want = json_load_file(json, 0, NULL);
	ASSERT_TRUE(self->want);
	for (unsigned int layer = 0; layer < variant->layers; layer++)
		for (unsigned int i = 0; i < 4; i++) {
			const uint32_t consumers[] = { layer % 2 ? 3 : 4, 1, 2, 1 };
			struct snpu_lm_spike_sums input = { 0 };
			struct snpu_array a;
			char part[64], name[80];

			snprintf(part, sizeof(part), names[i], layer);
			snprintf(name, sizeof(name), "long.%s", part);
			ASSERT_TRUE(rig_npz(path, name, &a));
			ASSERT_EQ(a.dtype, SNPU_I8);
			ASSERT_LE(a.shape[1], 256);
			add_rows(&input, &a, 10);
			snpu_lm_spikes_merge(i == 3 ? &self->down : &self->executed, &input, consumers[i]);
			snpu_lm_spikes_merge(i == 3 ? &self->down : &self->distinct, &input, 1);
			snpu_array_free(&a);
		}
}

FIXTURE_TEARDOWN(model)
{
	json_decref(self->want);
}

static double wanted(const struct model *self, const char *variant, const char *key)
{
	const json_t *v = json_object_get(json_object_get(self->want, variant), key);

	EXPECT_TRUE(v);
	return json_number_value(v);
}

#define EXPECT_DIGITS(a, b)	EXPECT_TRUE(fabs((a) - (b)) <= 0.5e-4 + 1e-12)

TEST_F(model, statistics)
{
	static const struct { const char *ours, *theirs; } keys[] = {
		{ "S_zero", "zero_share" }, { "S_avg", "avg_spikes_per_channel" }, { "S_act", "avg_spikes_per_active_channel" },
		{ "S_le7", "share_le7" }, { "S_gt16", "share_gt16" }, { "S_w3", "window3_low3bits" }, { "S_w3le7", "window3_values_le7_only" },
		{ "S_rep", "report_formula" }, { "S_T", "steps_max3" }, { "mean", "ternary_avg" },
	};

	for (unsigned int i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		EXPECT_DIGITS(snpu_spike_stat(&self->executed, keys[i].ours), wanted(self, "without_down_proj", keys[i].theirs));
	EXPECT_DIGITS(1 - snpu_spike_stat(&self->executed, "S_avg") / 3, wanted(self, "without_down_proj", "one_minus_avg_over_3"));
	EXPECT_EQ(self->executed.max, wanted(self, "without_down_proj", "max"));
	EXPECT_EQ(self->down.max, wanted(self, "all_linears", "max"));
	EXPECT_DIGITS(snpu_spike_stat(&self->executed, "S_avg"),
		      (1 - snpu_spike_stat(&self->executed, "S_zero")) * snpu_spike_stat(&self->executed, "S_act"));
}

TEST_F(model, executed_and_distinct)
{
	/* Of seven layers that take 128 channels four share an input, and two; in odd layers of six three, and two. */
	EXPECT_EQ(self->executed.channels * 2 * 3, self->distinct.channels * (7 + 6));
	EXPECT_EQ(self->executed.macs, self->distinct.channels * 10);
	EXPECT_EQ(self->executed.macs, self->distinct.macs);
	EXPECT_EQ(self->executed.synops, self->distinct.active * 10);
	EXPECT_EQ(self->executed.bit_synops, self->distinct.spikes * 10);
	EXPECT_EQ(self->executed.max, self->distinct.max);
}

TEST(sums_by_hand)
{
	static const struct snpu_spike list[] = { { 1, 5 }, { 2, -7 }, { 9, 8 }, { 11, -16 }, { 12, 17 }, { 19, INT32_MIN } };
	struct snpu_lm_spike_sums s = { .max = 3 }, twice = { 0 };

	snpu_lm_spikes_add(&s, list, 6, 20, 100);
	EXPECT_EQ(s.channels, 20);
	EXPECT_EQ(s.active, 6);
	EXPECT_EQ(s.spikes, 2 + 3 + 1 + 1 + 2 + 1);
	EXPECT_EQ(s.low3, 2 + 3 + 0 + 0 + 1 + 0);
	EXPECT_EQ(s.le7, 14 + 2);
	EXPECT_EQ(s.le7_spikes, 5);
	EXPECT_EQ(s.gt16, 2);
	EXPECT_EQ(s.steps, 14 * 3 + 3 + 3 + 4 + 5 + 5 + 32);
	EXPECT_EQ(s.magnitude, 5 + 7 + 8 + 16 + 17 + 2147483648u);
	EXPECT_EQ(s.max, 2147483648u);
	EXPECT_EQ(s.synops, 600);
	EXPECT_EQ(s.macs, 2000);
	EXPECT_EQ(s.bit_synops, 1000);
	snpu_lm_spikes_merge(&twice, &s, 2);
	EXPECT_EQ(twice.steps, 2 * s.steps);
	EXPECT_EQ(twice.low3, 2 * s.low3);
	EXPECT_EQ(twice.magnitude, 2 * s.magnitude);
	EXPECT_EQ(twice.synops, 600);
	snpu_lm_spikes_add(&twice, NULL, 0, 4, 1000000000000);
	EXPECT_EQ(twice.channels, 44);
	EXPECT_EQ(twice.macs, 4000000002000);
	EXPECT_EQ(twice.synops, 600);
}

/* The report: 18.4 % silent and 1.13 spikes a channel make 69.15 % within the rounding of the two, and 0.034 pJ a MAC. */
TEST(the_reports_own_numbers)
{
	struct snpu_lm_spike_sums s = { .channels = 10000, .active = 8160, .spikes = 11300, .macs = 1000000000000 };

	EXPECT_TRUE(fabs(snpu_spike_stat(&s, "S_rep") - 0.6915) < 0.002);
	EXPECT_TRUE(fabs(snpu_spike_energy_ideal(&s) - 0.0339) < 1e-9);
	EXPECT_TRUE(fabs(snpu_spike_energy_int8(&s) - 0.23) < 1e-9);
	EXPECT_TRUE(fabs(snpu_spike_energy_fp16(&s) - 1.5) < 1e-9);
	EXPECT_TRUE(isnan(snpu_spike_stat(&s, "S_none")));
}

/* One screen. */
static const char *printed(const struct snpu_spike_report *r)
{
	static char text[8192];
	FILE *f = fmemopen(text, sizeof(text), "w");

	snpu_spike_report_print(f, r);
	fclose(f);
	return text;
}

TEST_F(model, table)
{
	struct snpu_spike_report r = { .executed = &self->executed, .distinct = &self->distinct,
				       .card_joules = 1.25e-3, .card_arithmetic_joules = 0.5e-3, .simulated = true };
	const char *text = printed(&r), *line = text;
	char value[32];
	unsigned int lines = 0;

	for (const char *end; (end = strchr(line, '\n')); line = end + 1, lines++) {
		EXPECT_LE(end - line, 101);		/* one micro sign has two bytes */
		EXPECT_NE(end[-1], ' ');
	}
	EXPECT_LE(lines, 22);
	snprintf(value, sizeof(value), "%.2f %%", 100 * snpu_spike_stat(&self->executed, "S_rep"));
	EXPECT_CONTAINS(strstr(text, "S_rep"), value);
	EXPECT_CONTAINS(strstr(text, "S_rep"), "69.15 %");
	EXPECT_CONTAINS(text, "1.25 mJ");
	EXPECT_CONTAINS(text, "simulated, not measured silicon");
}

TEST_F(model, json)
{
	struct snpu_spike_report r = { .executed = &self->executed, .distinct = &self->distinct };
	json_t *o = snpu_spike_report_json(&r), *executed = json_object_get(o, "executed"), *energy = json_object_get(o, "energy");

	EXPECT_EQ(json_integer_value(json_object_get(executed, "channels")), self->executed.channels);
	EXPECT_EQ(json_integer_value(json_object_get(json_object_get(o, "distinct"), "bit_synops")), self->distinct.bit_synops);
	EXPECT_DIGITS(json_real_value(json_object_get(executed, "S_T")), wanted(self, "without_down_proj", "steps_max3"));
	EXPECT_TRUE(json_real_value(json_object_get(json_object_get(o, "report"), "S_rep")) == 0.6915);
	EXPECT_TRUE(json_real_value(json_object_get(energy, "ideal_joules")) == snpu_spike_energy_ideal(&self->executed));
	EXPECT_TRUE(json_is_null(json_object_get(energy, "card_joules")));
	json_decref(o);
}

TEST(nothing_spiked)
{
	struct snpu_lm_spike_sums none = { 0 };
	struct snpu_spike_report r = { .executed = &none, .distinct = &none };
	const char *text = printed(&r);
	json_t *o = snpu_spike_report_json(&r);

	EXPECT_TRUE(!strstr(text, "nan"));
	EXPECT_TRUE(json_is_null(json_object_get(json_object_get(o, "executed"), "S_rep")));
	json_decref(o);
}

TEST_HARNESS_MAIN
