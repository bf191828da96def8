// SPDX-License-Identifier: MIT
/*
 * Spike statistics as tables and JSON. With s the counts, n their number and p(s) the one bits of |s|, all sums over channels
 * and tokens. Pure but for the stream.
 */
#include "spike_stats.h"

#include <math.h>
#include <string.h>

#include "text.h"

/* Picojoules an operation, as the report has them: one spike, dense multiply-adds. */
#define PJ_SPIKE	0.03
#define PJ_INT8_MAC	0.23
#define PJ_FP16_MAC	1.5

static double ratio(uint64_t part, uint64_t whole)
{
	return whole ? (double)part / (double)whole : NAN;
}

static double zero(const struct snpu_lm_spike_sums *s)
{
	return ratio(s->channels - s->active, s->channels);
}

static double avg(const struct snpu_lm_spike_sums *s)
{
	return ratio(s->spikes, s->channels);
}

static double act(const struct snpu_lm_spike_sums *s)
{
	return ratio(s->spikes, s->active);
}

static double le7(const struct snpu_lm_spike_sums *s)
{
	return ratio(s->le7, s->channels);
}

static double gt16(const struct snpu_lm_spike_sums *s)
{
	return ratio(s->gt16, s->channels);
}

static double mean(const struct snpu_lm_spike_sums *s)
{
	return ratio(s->magnitude, s->channels);
}

static double w3(const struct snpu_lm_spike_sums *s)
{
	return 1 - ratio(s->low3, 3 * s->channels);
}

static double w3le7(const struct snpu_lm_spike_sums *s)
{
	return 1 - ratio(s->le7_spikes, 3 * s->le7);
}

static double needed_steps(const struct snpu_lm_spike_sums *s)
{
	return 1 - ratio(s->spikes, s->steps);
}

static double report_formula(const struct snpu_lm_spike_sums *s)
{
	return 1 - (1 - zero(s)) * avg(s) / 3;
}

const struct snpu_spike_stat snpu_spike_stats[SNPU_SPIKE_STATS] = {
	{ "S_zero", "channels without a spike", true, 0.184, zero },
	{ "S_avg", "spikes a channel, silent channels included", false, 1.13, avg },
	{ "S_act", "spikes an active channel", false, NAN, act },
	{ "S_le7", "counts up to 7", true, 0.941, le7 },
	{ "S_gt16", "counts above 16 (report: about 1 %)", true, 0.01, gt16 },
	{ "mean", "|s|; near the firing rate k", false, NAN, mean },
	{ "S_w3", "sparsity in 3 steps, higher bits cut off", true, NAN, w3 },
	{ "S_w3le7", "sparsity in 3 steps, counts up to 7 only", true, NAN, w3le7 },
	{ "S_T", "sparsity in the steps a count needs, at least 3", true, NAN, needed_steps },
	{ "S_rep", "sparsity in the report: 1 - (1 - S_zero) S_avg / 3", true, 0.6915, report_formula },
};

double snpu_spike_stat(const struct snpu_lm_spike_sums *s, const char *name)
{
	for (unsigned int i = 0; i < SNPU_SPIKE_STATS; i++)
		if (strcmp(snpu_spike_stats[i].name, name) == 0)
			return snpu_spike_stats[i].value(s);
	return NAN;
}

double snpu_spike_energy_ideal(const struct snpu_lm_spike_sums *s)
{
	return s->channels ? avg(s) * (double)s->macs * PJ_SPIKE * 1e-12 : 0;
}

double snpu_spike_energy_int8(const struct snpu_lm_spike_sums *s)
{
	return (double)s->macs * PJ_INT8_MAC * 1e-12;
}

double snpu_spike_energy_fp16(const struct snpu_lm_spike_sums *s)
{
	return (double)s->macs * PJ_FP16_MAC * 1e-12;
}

/* --- table ---------------------------------------------------------------------------------------------------- */

static const char *number(struct snpu_text *t, double v, bool share)
{
	if (isnan(v))
		return "-";
	snprintf(t->s, sizeof(t->s), share ? "%.2f %%" : "%.3f", share ? 100 * v : v);
	return t->s;
}

static void stats_table(FILE *f, const struct snpu_spike_report *r)
{
	struct snpu_table t = { .align = "<>>><", .columns = r->columns };

	SNPU_ROW(&t, "", "executed", "distinct", "report", "each input for every layer that takes it, or once");
	for (unsigned int i = 0; i < SNPU_SPIKE_STATS; i++) {
		const struct snpu_spike_stat *s = &snpu_spike_stats[i];

		SNPU_ROW(&t, s->name, number(SNPU_TEXT, s->value(r->executed), s->share), number(SNPU_TEXT, s->value(r->distinct), s->share),
			 isnan(s->report) ? "" : number(SNPU_TEXT, s->report, s->share), s->what);
	}
	SNPU_ROW(&t, "max", snpu_text_count(SNPU_TEXT, (double)r->executed->max), snpu_text_count(SNPU_TEXT, (double)r->distinct->max), "", "greatest count");
	snpu_table_print(&t, f, "spikes");
}

static void work_table(FILE *f, const struct snpu_spike_report *r)
{
	const struct snpu_lm_spike_sums *s = r->executed;
	struct snpu_table t = { .align = "<>><", .columns = r->columns };

	SNPU_ROW(&t, "MACs", snpu_text_count(SNPU_TEXT, (double)s->macs), "", "of the spiking linear layers, were they dense");
	SNPU_ROW(&t, "synops", snpu_text_count(SNPU_TEXT, (double)s->synops), number(SNPU_TEXT, ratio(s->synops, s->macs), true),
		 "weights used: active channels times outputs");
	SNPU_ROW(&t, "bit synops", snpu_text_count(SNPU_TEXT, (double)s->bit_synops), number(SNPU_TEXT, ratio(s->bit_synops, s->macs), true),
		 "additions bit by bit: spikes times outputs");
	snpu_table_print(&t, f, "work");
}

static const char *each(struct snpu_text *t, double joules, const struct snpu_lm_spike_sums *s)
{
	double pj = joules / (double)s->macs * 1e12;

	if (!s->macs)
		return "";
	snprintf(t->s, sizeof(t->s), pj < 100 ? "%.3g pJ" : "%.0f pJ", pj);
	return t->s;
}

static void energy_table(FILE *f, const struct snpu_spike_report *r)
{
	const struct snpu_lm_spike_sums *s = r->executed;
	double ideal = snpu_spike_energy_ideal(s), int8 = snpu_spike_energy_int8(s), fp16 = snpu_spike_energy_fp16(s);
	struct snpu_table t = { .align = "<>><", .columns = r->columns };

	SNPU_ROW(&t, "", "in all", "a MAC", "");
	SNPU_ROW(&t, "spikes, ideal", snpu_text_joules(SNPU_TEXT, ideal), each(SNPU_TEXT, ideal, s), "the report's formula: S_avg times 0.03 pJ a MAC");
	SNPU_ROW(&t, "INT8, ideal", snpu_text_joules(SNPU_TEXT, int8), each(SNPU_TEXT, int8, s), "dense, for comparison");
	SNPU_ROW(&t, "FP16, ideal", snpu_text_joules(SNPU_TEXT, fp16), each(SNPU_TEXT, fp16, s), "dense, for comparison");
	if (r->card_joules > 0) {
		SNPU_ROW(&t, r->simulated ? "card model" : "card", snpu_text_joules(SNPU_TEXT, r->card_joules), each(SNPU_TEXT, r->card_joules, s),
			 r->simulated ? "all work end to end (simulated, not measured silicon)" : "all work end to end");
		SNPU_ROW(&t, "  arithmetic", snpu_text_joules(SNPU_TEXT, r->card_arithmetic_joules), each(SNPU_TEXT, r->card_arithmetic_joules, s),
			 "of that; the rest moves data");
	} else {
		SNPU_ROW(&t, "card", "-", "-", "no card took part: no energy end to end");
	}
	snpu_table_print(&t, f, "energy");
}

void snpu_spike_report_print(FILE *f, const struct snpu_spike_report *r)
{
	stats_table(f, r);
	work_table(f, r);
	energy_table(f, r);
}

/* --- JSON ----------------------------------------------------------------------------------------------------- */

static json_t *real(double v)
{
	return isfinite(v) ? json_real(v) : json_null();
}

static json_t *sums_json(const struct snpu_lm_spike_sums *s)
{
	const struct { const char *key; uint64_t value; } sums[] = {
		{ "channels", s->channels }, { "active", s->active }, { "spikes", s->spikes }, { "low3", s->low3 }, { "le7", s->le7 },
		{ "le7_spikes", s->le7_spikes }, { "gt16", s->gt16 }, { "steps", s->steps }, { "magnitude", s->magnitude }, { "max", s->max },
		{ "synops", s->synops }, { "macs", s->macs }, { "bit_synops", s->bit_synops },
	};
	json_t *o = json_object();

	for (unsigned int i = 0; i < sizeof(sums) / sizeof(sums[0]); i++)
		json_object_set_new(o, sums[i].key, json_integer((json_int_t)sums[i].value));
	for (unsigned int i = 0; i < SNPU_SPIKE_STATS; i++)
		json_object_set_new(o, snpu_spike_stats[i].name, real(snpu_spike_stats[i].value(s)));
	return o;
}

json_t *snpu_spike_report_json(const struct snpu_spike_report *r)
{
	bool card = r->card_joules > 0;
	json_t *report = json_object();

	for (unsigned int i = 0; i < SNPU_SPIKE_STATS; i++)
		if (!isnan(snpu_spike_stats[i].report))
			json_object_set_new(report, snpu_spike_stats[i].name, json_real(snpu_spike_stats[i].report));
	return json_pack("{s:o, s:o, s:o, s:{s:o, s:o, s:o, s:o, s:o, s:o}}", "executed", sums_json(r->executed), "distinct", sums_json(r->distinct),
			 "report", report, "energy", "ideal_joules", real(snpu_spike_energy_ideal(r->executed)), "int8_dense_joules", real(snpu_spike_energy_int8(r->executed)),
			 "fp16_dense_joules", real(snpu_spike_energy_fp16(r->executed)), "card_joules", card ? real(r->card_joules) : json_null(),
			 "card_arithmetic_joules", card ? real(r->card_arithmetic_joules) : json_null(), "card_simulated", card ? json_boolean(r->simulated) : json_null());
}
