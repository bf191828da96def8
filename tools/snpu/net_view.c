// SPDX-License-Identifier: MIT
/* A network of populations on one screen: what runs, then how fast it was, who fired, and what it cost. Reads facts, and the spikes that it draws. */
#include "run.h"

#include <string.h>

#include "device.h"
#include "raster.h"
#include "text.h"

#define SHOWN	10				/* populations, and projections */

#define NUMBER(path)	snpu_fact_number(run->facts, path)
#define LABEL(f, s)	fprintf(f, "%-*s", SNPU_LABEL, s)

static void more(FILE *f, size_t n, const char *what)
{
	if (n > SHOWN)
		fprintf(f, "%*s... %zu more %s: --json has all\n", SNPU_LABEL, "", n - SHOWN, what);
}

static void view_projections(const struct snpu_run *run, FILE *f)
{
	const json_t *list = snpu_fact(run->facts, "model.projections");
	struct snpu_table t = { .align = "<<<>>>>", .columns = snpu_screen_columns() };
	json_t *p;
	size_t i;

	if (!json_array_size(list))
		return;
	SNPU_ROW(&t, "projection", "from", "to", "synapses", "weight", "delay", "memory");
	json_array_foreach(list, i, p) {
		double least = (double)json_integer_value(json_array_get(snpu_fact(p, "delay_steps"), 0)), most = (double)json_integer_value(json_array_get(snpu_fact(p, "delay_steps"), 1));
		char delay[96], weight[32] = "each its own", to[300];

		if (i >= SHOWN)
			break;
		if (json_is_number(snpu_fact(p, "weight")))
			snprintf(weight, sizeof(weight), "%g", snpu_fact_number(p, "weight"));
		if (least < most)
			snprintf(delay, sizeof(delay), "%g to %s", least, snpu_text_of(SNPU_TEXT, most, "step"));
		else
			snprintf(delay, sizeof(delay), "%s", snpu_text_of(SNPU_TEXT, most, "step"));
		snprintf(to, sizeof(to), "%s.%s", snpu_fact_text(p, "target"), snpu_fact_text(p, "receptor"));
		SNPU_ROW(&t, snpu_fact_text(p, "name"), snpu_fact_text(p, "source"), to, snpu_text_count(SNPU_TEXT, snpu_fact_number(p, "synapses")), weight, delay,
			 snpu_text_bytes(SNPU_TEXT, snpu_fact_number(p, "bytes")));
	}
	snpu_table_print(&t, f, "synapses");
	more(f, json_array_size(list), "projections");
}

void snpu_run_net_view_before(const struct snpu_run *run)
{
	FILE *f = snpu_screen_begin();

	snpu_device_line(f, "device", snpu_fact(run->facts, "device"));
	LABEL(f, "model");
	fprintf(f, "%s  %s of %s neurons, %s synapses in %s\n", snpu_text_basename(snpu_fact_text(run->facts, "model.file")),
		snpu_text_of(SNPU_TEXT, (double)json_array_size(snpu_fact(run->facts, "model.populations")), "population"), snpu_text_count(SNPU_TEXT, NUMBER("model.neurons")),
		snpu_text_count(SNPU_TEXT, NUMBER("model.synapses")), snpu_text_bytes(SNPU_TEXT, NUMBER("model.synapse_bytes")));
	LABEL(f, "time");
	fprintf(f, "dt %s (%s), %s: %s\n", snpu_text_seconds(SNPU_TEXT, NUMBER("time.dt")), strcmp(snpu_fact_text(run->facts, "time.dt_source"), "option") ? "from the file" : "--dt",
		snpu_text_of(SNPU_TEXT, NUMBER("time.steps"), "step"), snpu_text_seconds(SNPU_TEXT, NUMBER("time.dt") * NUMBER("time.steps")));
	view_projections(run, f);
	fputc('\n', f);
	snpu_screen_end();
}

static void view_populations(const struct snpu_run *run, FILE *f)
{
	const json_t *list = snpu_fact(run->facts, "model.populations");
	struct snpu_table t = { .align = "<<>>>" };
	json_t *p;
	size_t i;

	SNPU_ROW(&t, "population", "model", "neurons", "spikes", "rate");
	json_array_foreach(list, i, p) {
		bool fires = snpu_fact(p, "rate") != NULL;
		char rate[32] = "";

		if (i >= SHOWN)
			break;
		if (fires)
			snprintf(rate, sizeof(rate), "%.2f Hz", snpu_fact_number(p, "rate"));
		SNPU_ROW(&t, snpu_fact_text(p, "name"), snpu_fact_text(p, "model"), snpu_text_count(SNPU_TEXT, snpu_fact_number(p, "neurons")),
			 fires ? snpu_text_count(SNPU_TEXT, snpu_fact_number(p, "spikes")) : "", rate);
	}
	snpu_table_print(&t, f, "fired");
	more(f, json_array_size(list), "populations");
}

static void view_speed(const struct snpu_run *run, FILE *f)
{
	double seconds = NUMBER("stats.wall_ns") * 1e-9, steps = NUMBER("stats.steps");

	LABEL(f, "run");
	fprintf(f, "%s of wall time, %s steps/s, %.3g x real time  (%s, %s of the time outside of them)\n", snpu_text_seconds(SNPU_TEXT, seconds),
		snpu_text_count(SNPU_TEXT, steps / seconds), steps * NUMBER("time.dt") / seconds, snpu_text_of(SNPU_TEXT, NUMBER("stats.jobs"), "job"),
		snpu_text_percent(SNPU_TEXT, NUMBER("stats.host_ns"), NUMBER("stats.wall_ns")));
	fprintf(f, "%*s%s neuron updates/s, %s synaptic events/s\n", SNPU_LABEL, "", snpu_text_count(SNPU_TEXT, NUMBER("stats.updates") / seconds),
		snpu_text_count(SNPU_TEXT, NUMBER("stats.synaptic_events") / seconds));
}

void snpu_run_net_view_after(const struct snpu_run *run, const struct snpu_panel *panel)
{
	FILE *f = snpu_screen_begin();
	json_t *fallback;
	size_t i;

	view_speed(run, f);
	if (panel) {
		fputc('\n', f);
		snpu_raster_terminal(f, panel, NUMBER("time.dt"), snpu_screen_columns(), 8);
		snpu_rates_terminal(f, panel, NUMBER("time.dt"), snpu_screen_columns());
		fputc('\n', f);
	}
	view_populations(run, f);
	fputc('\n', f);
	snpu_run_view_profile(run, f);
	json_array_foreach(snpu_fact(run->facts, "fallbacks"), i, fallback) {
		LABEL(f, i ? "" : "fallback");
		fprintf(f, "%s\n", json_string_value(fallback));
	}
	if (snpu_fact_text(run->facts, "record.file")[0])
		fprintf(f, "\n%-*s%s\n", SNPU_LABEL, "wrote", snpu_fact_text(run->facts, "record.file"));
	else
		fprintf(f, "\n%-*s--nodes POP,POP.v --record OUT.npz keeps spikes and membranes;  --raster OUT.svg draws them;  man snpu-run\n", SNPU_LABEL, "next");
	snpu_screen_end();
}
