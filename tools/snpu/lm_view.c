// SPDX-License-Identifier: MIT
/*
 * A language model's facts on a screen: what executes and where, what it took, and what happened inside. Short while all is plain;
 * --json has everything.
 */
#include "lm.h"

#include <string.h>

#include "device.h"
#include "spike_stats.h"
#include "text.h"

#define WARNINGS_SHOWN	4

#define TEXT(path)	snpu_fact_text(c->facts, path)
#define NUMBER(path)	snpu_fact_number(c->facts, path)
#define LABEL(f, s)	fprintf(f, "%-*s", SNPU_LABEL, s)

/* --- before --------------------------------------------------------------------------------------------------- */

/* Parts first to last as "embedding, layers 0-3, head". */
static void put_parts(FILE *f, const json_t *rows, size_t first, size_t last, size_t n)
{
	size_t from = first ? first : 1, to = last + 1 == n ? last - 1 : last;

	if (!first)
		fputs(last ? "embedding, " : "embedding", f);
	if (from < to)
		fprintf(f, "layers %zu-%zu", from - 1, to - 1);
	else if (from == to)
		fputs(snpu_fact_text(json_array_get(rows, from), "part"), f);
	if (last + 1 == n)
		fputs(from <= to ? ", head" : "head", f);
}

/* Neighbours on one device are one line. Says nothing when the CPU does it all and was meant to. */
static void view_placement(const struct snpu_lm_cli *c, FILE *f)
{
	const json_t *rows = snpu_fact(c->facts, "placement");
	size_t n = json_array_size(rows);

	for (size_t first = 0, last; first < n && c->n_devices; first = last + 1) {
		const json_t *row = json_array_get(rows, first);
		double bytes = snpu_fact_number(row, "bytes");

		for (last = first; last + 1 < n && !strcmp(snpu_fact_text(json_array_get(rows, last + 1), "device"), snpu_fact_text(row, "device")); last++)
			bytes += snpu_fact_number(json_array_get(rows, last + 1), "bytes");
		LABEL(f, first ? "" : "placed");
		fprintf(f, "%s: ", snpu_fact_text(row, "device"));
		put_parts(f, rows, first, last, n);
		fprintf(f, ", %s", snpu_text_bytes(SNPU_TEXT, bytes));
		if (strcmp(snpu_fact_text(row, "device"), "cpu") == 0)
			fprintf(f, "\n%*s(%s)", SNPU_LABEL + 2, "", snpu_fact_text(row, "why"));
		fputc('\n', f);
	}
}

static void view_warnings(const struct snpu_lm_cli *c, FILE *f)
{
	const json_t *warnings = snpu_fact(c->facts, "model.warnings");
	json_t *w;
	size_t i;

	json_array_foreach(warnings, i, w) {
		if (i == WARNINGS_SHOWN) {
			fprintf(f, "%*s%zu more: --json has all\n", SNPU_LABEL, "", json_array_size(warnings) - i);
			break;
		}
		LABEL(f, i ? "" : "warning");
		fprintf(f, "%s\n", json_string_value(w));
	}
}

static void put_model(const struct snpu_lm_cli *c, FILE *f)
{
	bool spike = strcmp(TEXT("model.form"), "spike") == 0;

	LABEL(f, "model");
	fprintf(f, "%s  %s parameters, ", TEXT("model.name"), snpu_text_count(SNPU_TEXT, NUMBER("model.parameters")));
	if (spike)
		fprintf(f, "spiking at k = %g, down_proj %s", NUMBER("model.k"), strcmp(TEXT("model.down"), "spike") ? "float" : "spiking");
	else
		fputs("float", f);
	fprintf(f, "\n%*s%.0f linear-attention and %.0f window layers, %s of weights, %s of state\n", SNPU_LABEL, "", NUMBER("model.gla_layers"),
		NUMBER("model.swa_layers"), snpu_text_bytes(SNPU_TEXT, NUMBER("model.weight_bytes")), snpu_text_bytes(SNPU_TEXT, NUMBER("model.state_bytes")));
	view_warnings(c, f);
}

void snpu_lm_view_model(const struct snpu_lm_cli *c, FILE *to)
{
	put_model(c, snpu_screen_begin());
	snpu_screen_end_on(to);
}

void snpu_lm_view_before(const struct snpu_lm_cli *c, FILE *to)
{
	const json_t *devices = snpu_fact(c->facts, "devices");
	FILE *f = snpu_screen_begin();

	for (unsigned int i = 0; i < c->n_devices || !i; i++)
		snpu_device_line(f, i ? "" : "device", json_array_get(devices, i));
	view_placement(c, f);
	put_model(c, f);
	fputc('\n', f);
	snpu_screen_end_on(to);
}

/* --- after ---------------------------------------------------------------------------------------------------- */

static void speed(FILE *f, const char *label, double ms, double tokens)
{
	fprintf(f, "%16s = %9.2f ms", label, ms);
	if (tokens > 0)
		fprintf(f, " / %5.0f tokens (%.2f ms per token, %.2f tokens/s)", tokens, ms / tokens, ms > 0 ? 1e3 * tokens / ms : 0);
	fputc('\n', f);
}

void snpu_lm_view_timing(const struct snpu_lm_cli *c, FILE *to)
{
	FILE *f = snpu_screen_begin();

	fputc('\n', f);
	speed(f, "load time", NUMBER("timing.load_ms"), 0);
	speed(f, "prompt eval time", NUMBER("timing.prompt_ms"), NUMBER("timing.prompt_tokens"));
	speed(f, "eval time", NUMBER("timing.eval_ms"), NUMBER("timing.eval_tokens"));
	if (json_is_number(snpu_fact(c->facts, "timing.first_token_ms")))
		speed(f, "first token", NUMBER("timing.first_token_ms"), 0);
	speed(f, "total time", NUMBER("timing.total_ms"), 0);
	for (unsigned int i = 0; i < c->n_devices; i++)
		if (c->info[i].kind == SNPU_KIND_SIMULATOR || c->info[i].kind == SNPU_KIND_SIMULATED_CARD) {
			fputs("(wall time of the simulation; --profile shows the simulated card's own)\n", f);
			break;
		}
	snpu_screen_end_on(to);
}

static void percent(struct snpu_text *t, const json_t *o, const char *key)
{
	const json_t *v = snpu_fact(o, key);

	t->s[0] = 0;
	if (json_is_number(v))
		snprintf(t->s, sizeof(t->s), "%.1f %%", 100 * json_number_value(v));
}

static void layer_row(const struct snpu_lm_cli *c, struct snpu_table *t, const json_t *row, bool card)
{
	const json_t *s = snpu_fact(row, "spikes"), *counters = snpu_fact(row, "counters");
	bool spikes = json_is_object(s), here = strcmp(snpu_fact_text(row, "device"), "cpu") != 0;
	struct snpu_text zero, rep, share, avg = { "" };

	percent(&zero, s, "S_zero");
	percent(&rep, s, "S_rep");
	percent(&share, row, "share");
	if (spikes)
		snprintf(avg.s, sizeof(avg.s), "%.3f", snpu_fact_number(s, "S_avg"));
	SNPU_ROW(t, snpu_fact_text(row, "part"), snpu_fact_text(row, "kind"), snpu_fact_text(row, "device"), share.s,
		 spikes ? snpu_text_count(SNPU_TEXT, snpu_fact_number(s, "macs")) : "", spikes ? snpu_text_count(SNPU_TEXT, snpu_fact_number(s, "synops")) : "",
		 zero.s, avg.s, rep.s, card && here ? snpu_text_joules(SNPU_TEXT, 1e-15 * snpu_fact_number(counters, "ENERGY")) : "");
	(void)c;
}

/* Cycles of each card, as time at its clock. */
static void view_cards(const struct snpu_lm_cli *c, FILE *f)
{
	json_t *row;
	size_t i;

	json_array_foreach(snpu_fact(c->facts, "counters"), i, row)
		for (unsigned int d = 0; d < c->n_devices; d++) {
			bool simulated = c->info[d].kind != SNPU_KIND_SILICON;
			double cycles = snpu_fact_number(row, "counters.CYCLES");

			if (strcmp(c->info[d].name, snpu_fact_text(row, "device")) || !c->info[d].clock_khz)
				continue;
			fprintf(f, "%*s%s: %s at %.0f MHz, %s end to end%s\n", SNPU_LABEL, "", simulated ? "model of the card" : "card",
				snpu_text_seconds(SNPU_TEXT, cycles / (c->info[d].clock_khz * 1e3)), c->info[d].clock_khz / 1e3,
				snpu_text_joules(SNPU_TEXT, 1e-15 * snpu_fact_number(row, "counters.ENERGY")), simulated ? "  (simulated, not measured silicon)" : "");
		}
}

static void view_profile(const struct snpu_lm_cli *c, FILE *f)
{
	const json_t *layers = snpu_fact(c->facts, "layers");
	bool spikes = snpu_fact_number(c->facts, "spikes.executed.channels") > 0;
	struct snpu_table t = { .align = "<<<>>>>>>>", .columns = snpu_screen_columns() };
	struct snpu_lm_spike_sums sums[2];
	struct snpu_spike_report r;
	json_t *row;
	size_t i;

	if (!layers)
		return;
	snpu_lm_report(c, &r, sums);
	r.columns = snpu_screen_columns();
	fputc('\n', f);
	SNPU_ROW(&t, "", "", "on", "time", spikes ? "MACs" : "", spikes ? "synops" : "", spikes ? "S_zero" : "", spikes ? "S_avg" : "", spikes ? "S_rep" : "",
		 r.card_joules > 0 ? "energy" : "");
	json_array_foreach(layers, i, row)
		layer_row(c, &t, row, r.card_joules > 0);
	snpu_table_print(&t, f, "profile");
	view_cards(c, f);
	if (spikes)
		snpu_spike_report_print(f, &r);
	else
		fprintf(f, "%*sno spiking layer: the model is taken as float\n", SNPU_LABEL, "");
}

void snpu_lm_view_fallbacks(const struct snpu_lm_cli *c, unsigned int *shown)
{
	const char *s;

	while ((s = snpu_lm_ctx_fallback(c->ctx, *shown))) {
		FILE *f = snpu_screen_begin();

		fprintf(f, "%-*s%s\n", SNPU_LABEL, "fallback", s);
		snpu_screen_end_on(stderr);
		++*shown;
	}
}

void snpu_lm_view_after(const struct snpu_lm_cli *c, FILE *to)
{
	FILE *f = snpu_screen_begin();

	view_profile(c, f);
	if (TEXT("dump.folder")[0])
		fprintf(f, "%-*s%s: %zu arrays\n", SNPU_LABEL, "wrote", TEXT("dump.folder"), json_array_size(snpu_fact(c->facts, "dump.arrays")));
	if (TEXT("raster.file")[0])
		fprintf(f, "%-*s%s\n", SNPU_LABEL, "wrote", TEXT("raster.file"));
	if (TEXT("state")[0])
		fprintf(f, "%-*s%s\n", SNPU_LABEL, "wrote", TEXT("state"));
	snpu_screen_end_on(to);
}
