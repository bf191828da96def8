// SPDX-License-Identifier: MIT
/*
 * A run on one screen: what could surprise before it starts, then what came out and what it cost. Reads facts, and the
 * recorded arrays for the raster. Long lists are cut with a line that says so; --json has everything.
 */
#include "run.h"

#include <string.h>

#include "device.h"
#include "raster.h"
#include "text.h"

#define NOTES_SHOWN	6
#define PLACED_SHOWN	10
#define PROFILE_SHOWN	8
#define CLASSES_SHOWN	12

#define TEXT(path)	snpu_fact_text(run->facts, path)
#define NUMBER(path)	snpu_fact_number(run->facts, path)
#define LABEL(f, s)	fprintf(f, "%-*s", SNPU_LABEL, s)

/* --- before --------------------------------------------------------------------------------------------------- */

static void view_model(const struct snpu_run *run, FILE *f)
{
	LABEL(f, "model");
	fprintf(f, "%s  %s  %.0f nodes, %.0f of them compute  %s neurons, %s weights\n", snpu_text_basename(TEXT("model.file")), TEXT("model.format"),
		NUMBER("model.nodes"), NUMBER("model.compute_nodes"), snpu_text_count(SNPU_TEXT, NUMBER("model.neurons")),
		snpu_text_count(SNPU_TEXT, NUMBER("model.weights")));
}

static void view_inputs(const struct snpu_run *run, FILE *f)
{
	const json_t *inputs = snpu_fact(run->facts, "inputs");
	json_t *in;
	size_t i;

	json_array_foreach(inputs, i, in) {
		const char *array = snpu_fact_text(in, "array"), *encoding = snpu_fact_text(in, "encoding");

		LABEL(f, i ? "" : "input");
		fprintf(f, "%s%s%s  %s %s%s", snpu_text_basename(snpu_fact_text(in, "file")), array[0] ? ":" : "", array, snpu_fact_text(in, "dtype"),
			json_array_size(snpu_fact(in, "shape")) ? snpu_text_shape(SNPU_TEXT, snpu_fact(in, "shape")) : "as it arrives",
			strcmp(encoding, "diffusion") == 0 ? ", encoded as spikes by error diffusion" : strcmp(encoding, "rate") == 0 ? ", encoded as spikes by chance (--seed)"
			: strcmp(encoding, "latency") == 0 ? ", encoded as one spike each" : "");
		if (json_array_size(inputs) > 1)
			fprintf(f, "  into %s", snpu_fact_text(in, "node"));
		fputc('\n', f);
		if (snpu_fact(in, "events")) {
			double dt = snpu_fact_number(in, "events.dt");

			snpu_events_view_form(f, snpu_fact(in, "events"));
			if (!run->opts->feed.events.stream)
				snpu_events_view_counts(f, snpu_fact(in, "events"));
			if (NUMBER("time.dt") > 0 && NUMBER("time.dt") != dt)
				fprintf(f, "%*sand the network's step is %s: --dt-bin makes them equal\n", SNPU_LABEL, "", snpu_text_seconds(SNPU_TEXT, NUMBER("time.dt")));
		}
	}
}

static void view_time(const struct snpu_run *run, FILE *f)
{
	const char *source = TEXT("time.dt_source"), *dialect = TEXT("time.dialect");

	LABEL(f, "time");
	if (NUMBER("time.dt") > 0 && source[0])
		fprintf(f, "dt %s (%s), ", snpu_text_seconds(SNPU_TEXT, NUMBER("time.dt")),
			strcmp(source, "option") == 0 ? "--dt" : strcmp(source, "metadata") == 0 ? "from the file" : strcmp(source, "dialect") == 0 ? dialect : "inferred");
	if (dialect[0])
		fprintf(f, "dialect %s, ", dialect);
	if (strcmp(TEXT("time.integrator"), "euler"))
		fprintf(f, "%s integrator, ", TEXT("time.integrator"));
	if (strcmp(TEXT("time.number"), "f32"))
		fprintf(f, "in %s, ", TEXT("time.number"));
	fprintf(f, "reset %s, fires at v %s threshold, ", TEXT("time.reset"), strcmp(TEXT("time.compare"), "ge") ? ">" : ">=");
	if (!(NUMBER("time.steps") > 0)) {
		fputs("steps as they come\n", f);
		return;
	}
	fprintf(f, "%s of %s\n", snpu_text_of(SNPU_TEXT, NUMBER("time.samples"), "sample"), snpu_text_of(SNPU_TEXT, NUMBER("time.steps"), "step"));
}

static void view_notes(const struct snpu_run *run, FILE *f)
{
	static const struct { const char *kind, *label; } kinds[] = { { "warning", "warning" }, { "assumed", "assumed" } };
	unsigned int shown = 0, more = 0;
	json_t *n;
	size_t i;

	for (int k = 0; k < 2; k++) {
		bool first = true;

		json_array_foreach(snpu_fact(run->facts, "notes"), i, n) {
			if (strcmp(snpu_fact_text(n, "kind"), kinds[k].kind))
				continue;
			if (shown == NOTES_SHOWN) {
				more++;
				continue;
			}
			LABEL(f, first ? kinds[k].label : "");
			fprintf(f, "%s%s%s%s\n", snpu_fact_text(n, "node"), snpu_fact_text(n, "node")[0] ? ": " : "", snpu_fact_text(n, "text"),
				first && k == 1 ? "  (--strict refuses)" : "");
			first = false;
			shown++;
		}
	}
	if (more)
		fprintf(f, "%*s%u more: --json has all\n", SNPU_LABEL, "", more);
}

static void place_row(struct snpu_table *t, const json_t *p)
{
	char shape[300];

	snprintf(shape, sizeof(shape), "%s→%s", snpu_text_shape(SNPU_TEXT, snpu_fact(p, "in")), snpu_text_shape(SNPU_TEXT, snpu_fact(p, "out")));
	if (json_equal(snpu_fact(p, "in"), snpu_fact(p, "out")))
		snprintf(shape, sizeof(shape), "%s", snpu_text_shape(SNPU_TEXT, snpu_fact(p, "out")));
	SNPU_ROW(t, snpu_fact_text(p, "node"), snpu_fact_text(p, "type"), shape, snpu_fact_text(p, "device"), snpu_fact_text(p, "reason"));
}

/* Nodes that are not on the device come first when not all fit. */
static void view_placement(const struct snpu_run *run, FILE *f)
{
	const json_t *placement = snpu_fact(run->facts, "placement");
	const char *device = TEXT("device.name");
	struct snpu_table t = { .align = "<<<<<" };
	unsigned int compute = 0, on_device = 0, rows = 0;
	bool card = strcmp(TEXT("device.kind"), "cpu") != 0;
	json_t *p;
	size_t i;

	json_array_foreach(placement, i, p) {
		compute += json_is_true(snpu_fact(p, "compute"));
		on_device += json_is_true(snpu_fact(p, "compute")) && strcmp(snpu_fact_text(p, "device"), device) == 0;
	}
	t.columns = snpu_screen_columns();
	SNPU_ROW(&t, "node", "type", "shape", "on", "why");
	for (int pass = compute > PLACED_SHOWN ? 0 : 2; pass < 3; pass += 1 + (pass == 1))
		json_array_foreach(placement, i, p) {
			bool elsewhere = strcmp(snpu_fact_text(p, "device"), device) != 0;

			if (json_is_true(snpu_fact(p, "compute")) && rows < PLACED_SHOWN && (pass == 2 || elsewhere == (pass == 0))) {
				place_row(&t, p);
				rows++;
			}
		}
	snpu_table_print(&t, f, "placed");
	LABEL(f, "");
	if (rows < compute)
		fprintf(f, "... %u more nodes (--json has all)  ", compute - rows);
	fprintf(f, "%u of %s on %s", on_device, snpu_text_of(SNPU_TEXT, compute, "compute node"), device);
	if (card)
		fprintf(f, ", %u on the CPU, %s", compute - on_device, snpu_text_of(SNPU_TEXT, NUMBER("plan.crossings"), "crossing"));
	fputc('\n', f);
}

void snpu_run_view_before(const struct snpu_run *run)
{
	FILE *f = snpu_screen_begin();

	snpu_device_line(f, "device", snpu_fact(run->facts, "device"));
	view_model(run, f);
	view_inputs(run, f);
	view_time(run, f);
	view_notes(run, f);
	fputc('\n', f);
	view_placement(run, f);
	fputc('\n', f);
	snpu_screen_end();
}

/* --- after ---------------------------------------------------------------------------------------------------- */

static void view_speed(const struct snpu_run *run, FILE *f)
{
	double wall = NUMBER("stats.wall_ns") * 1e-9, samples = NUMBER("stats.samples");

	LABEL(f, "run");
	fprintf(f, "%s of wall time, %s samples/s, %s steps/s  (%s, %.0f %% of the time outside of them)\n\n", snpu_text_seconds(SNPU_TEXT, wall),
		snpu_text_count(SNPU_TEXT, wall > 0 ? samples / wall : 0), snpu_text_count(SNPU_TEXT, wall > 0 ? samples * NUMBER("stats.steps") / wall : 0),
		snpu_text_of(SNPU_TEXT, NUMBER("stats.jobs"), "job"), wall > 0 ? NUMBER("stats.host_ns") * 1e-7 / wall : 0);
}

/* The first sample: the node that --nodes names first, or the output. */
static void view_raster(const struct snpu_run *run, FILE *f)
{
	const char *name = run->opts->n_nodes ? run->opts->nodes[0] : NULL;
	struct snpu_record r;

	if (!snpu_run_record(run, name, &r) || r.array->rank < 2 || !r.array->count)
		return;
	struct snpu_panel p = { .name = r.name, .value = r.array->data, .steps = r.array->shape[1], .neurons = 1, .winner = -1,
				.sample = NUMBER("time.samples") > 1 ? (int64_t)NUMBER("time.first_sample") : -1 };

	for (unsigned int i = 2; i < r.array->rank; i++)
		p.neurons *= r.array->shape[i];
	snpu_raster_terminal(f, &p, NUMBER("time.dt"), snpu_screen_columns(), NUMBER("time.samples") > 1 ? 4 : 12);
	if (p.neurons > 12)
		snpu_rates_terminal(f, &p, NUMBER("time.dt"), snpu_screen_columns());
	if (TEXT("raster.file")[0])
		fprintf(f, "%*spicture: %s\n", SNPU_LABEL, "", TEXT("raster.file"));
	if (TEXT("rates.file")[0])
		fprintf(f, "%*srates: %s\n", SNPU_LABEL, "", TEXT("rates.file"));
	fputc('\n', f);
}

/* What only a stream has to tell. */
static void view_stream(const struct snpu_run *run, FILE *f)
{
	const json_t *s = snpu_fact(run->facts, "stream"), *e = snpu_fact(json_array_get(snpu_fact(run->facts, "inputs"), 0), "events");

	if (!s)
		return;
	LABEL(f, "stream");
	fprintf(f, "%s in %s, until %s\n", snpu_text_of(SNPU_TEXT, snpu_fact_number(s, "steps"), "step"), snpu_text_seconds(SNPU_TEXT, snpu_fact_number(s, "seconds")),
		strcmp(snpu_fact_text(s, "ended"), "interrupted") ? strcmp(snpu_fact_text(s, "ended"), "steps") ? "it ended" : "--steps" : "Ctrl-C");
	fprintf(f, "%*slatency of a step, from its last bytes to its outputs: median %s, p99 %s, max %s\n", SNPU_LABEL, "",
		snpu_text_seconds(SNPU_TEXT, snpu_fact_number(s, "latency_median_ns") * 1e-9), snpu_text_seconds(SNPU_TEXT, snpu_fact_number(s, "latency_p99_ns") * 1e-9),
		snpu_text_seconds(SNPU_TEXT, snpu_fact_number(s, "latency_max_ns") * 1e-9));
	fprintf(f, "%*slate %.0f events (of steps that were complete; --late waits), %.0f pending at the end\n", SNPU_LABEL, "", snpu_fact_number(s, "late"), snpu_fact_number(s, "pending"));
	snpu_events_view_counts(f, e);
	if (snpu_fact_number(s, "kept_steps") < snpu_fact_number(s, "steps"))
		fprintf(f, "%*spictures, records and answer are of the last %.0f steps\n", SNPU_LABEL, "", snpu_fact_number(s, "kept_steps"));
	fputc('\n', f);
}

static void view_one_answer(const struct snpu_run *run, FILE *f)
{
	const json_t *k = json_array_get(snpu_fact(run->facts, "answer.classes"), 0), *counts = snpu_fact(run->facts, "answer.counts");
	const json_t *label = json_array_get(snpu_fact(run->facts, "answer.labels"), 0);
	bool spikes = json_is_true(snpu_fact(run->facts, "answer.spikes"));

	LABEL(f, "answer");
	if (json_is_null(k))
		fputs("none: every output is zero", f);
	else
		fprintf(f, "class %lld", (long long)json_integer_value(k));
	if (json_is_integer(label))
		fprintf(f, ", label %lld: %s", (long long)json_integer_value(label), json_integer_value(label) == json_integer_value(k) ? "right" : "WRONG");
	if (NUMBER("answer.ties") > 0)
		fputs(", tied with another (the lowest is taken)", f);
	fprintf(f, "  (%s", spikes ? "spikes" : "sums");
	for (size_t i = 0; i < json_array_size(counts) && i < CLASSES_SHOWN; i++)
		fprintf(f, spikes ? "  %zu:%.0f" : "  %zu:%.4g", i, json_number_value(json_array_get(counts, i)));
	fprintf(f, "%s)\n", json_array_size(counts) > CLASSES_SHOWN ? " ..." : "");
}

/* Three lines, a column for each class. */
static void view_classes(const struct snpu_run *run, FILE *f)
{
	const json_t *classes = snpu_fact(run->facts, "answer.per_class");
	char text[3][CLASSES_SHOWN][24];
	const char *cells[3][SNPU_TABLE_COLUMNS + 1] = { { "class" }, { "samples" }, { "right" } };
	char align[SNPU_TABLE_COLUMNS + 2] = "<";
	struct snpu_table t = { .align = align };
	size_t n = json_array_size(classes);

	if (n > SNPU_TABLE_COLUMNS - 1) {
		fprintf(f, "%*s%zu classes: --json has the table\n", SNPU_LABEL, "", n);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		const json_t *c = json_array_get(classes, i);
		double seen = snpu_fact_number(c, "samples");

		snprintf(text[0][i], sizeof(text[0][i]), "%zu", i);
		snprintf(text[1][i], sizeof(text[1][i]), "%.0f", seen);
		if (seen > 0)
			snprintf(text[2][i], sizeof(text[2][i]), "%.0f %%", 100 * snpu_fact_number(c, "right") / seen);
		else
			snprintf(text[2][i], sizeof(text[2][i]), "-");
		for (int r = 0; r < 3; r++)
			cells[r][i + 1] = text[r][i];
		align[i + 1] = '>';
		align[i + 2] = 0;
	}
	for (int r = 0; r < 3; r++)
		snpu_table_row(&t, cells[r]);
	snpu_table_print(&t, f, "");
}

static void view_many_answers(const struct snpu_run *run, FILE *f)
{
	double samples = NUMBER("time.samples");
	const json_t *classes = snpu_fact(run->facts, "answer.classes");

	LABEL(f, "answer");
	if (snpu_fact(run->facts, "answer.labels")) {
		fprintf(f, "%.0f of %.0f right, %.2f %%", NUMBER("answer.right"), samples, 100 * NUMBER("answer.accuracy"));
	} else {
		fputs("classes", f);
		for (size_t i = 0; i < json_array_size(classes) && i < 20; i++) {
			const json_t *k = json_array_get(classes, i);

			if (json_is_integer(k))
				fprintf(f, " %lld", (long long)json_integer_value(k));
			else
				fputs(" -", f);
		}
		fputs(samples > 20 ? " ...  (-q prints all)" : "", f);
	}
	fprintf(f, "  (%.0f ties, %.0f without any output%s)\n", NUMBER("answer.ties"), NUMBER("answer.silent"),
		NUMBER("answer.labels_outside") > 0 ? ", labels outside of the classes" : "");
	if (snpu_fact(run->facts, "answer.labels"))
		view_classes(run, f);
}

static void view_expect(const struct snpu_run *run, FILE *f)
{
	json_t *e;
	size_t i;

	json_array_foreach(snpu_fact(run->facts, "expect"), i, e) {
		LABEL(f, i ? "" : "expected");
		fprintf(f, "%s %s of %s  ", snpu_text_basename(snpu_fact_text(e, "source")), snpu_fact_text(e, "kind"), snpu_fact_text(e, "node"));
		if (json_is_true(snpu_fact(e, "equal")))
			fprintf(f, "all %s %s\n", snpu_text_count(SNPU_TEXT, snpu_fact_number(e, "elements")),
				snpu_fact_number(e, "largest") > 0 ? "within the tolerance" : "equal");
		else
			fprintf(f, "%.0f of %s DIFFER, by up to %g\n", snpu_fact_number(e, "different"), snpu_text_count(SNPU_TEXT, snpu_fact_number(e, "elements")),
				snpu_fact_number(e, "largest"));
	}
}

/* --- profile -------------------------------------------------------------------------------------------------- */

/* "events", "dense", or what share of the steps was dense; "" for what is no convolution. */
static const char *path_text(const json_t *path, struct snpu_text *text)
{
	double events = snpu_fact_number(path, "events"), dense = snpu_fact_number(path, "dense");

	if (!json_is_object(path))
		return "";
	if (events <= 0 || dense <= 0)
		return events > 0 ? "events" : "dense";
	snprintf(text->s, sizeof(text->s), "%.0f %% dense", 100 * dense / (events + dense));
	return text->s;
}

/*
 * `seconds` is what a share is a share of: on a card its cycles, on the CPU the time in jobs, which the kernels'
 * time-stamp ticks divide among the nodes.
 */
static void profile_row(struct snpu_table *t, const json_t *row, bool card, double seconds)
{
	const json_t *active = snpu_fact(row, "active"), *c = snpu_fact(row, "counters"), *share = snpu_fact(row, "share");
	const char *node = snpu_fact_text(row, "node");

	SNPU_ROW(t, node[0] ? node : "(control)", snpu_fact_text(row, "device"),
		 json_is_number(share) && seconds > 0 ? snpu_text_seconds(SNPU_TEXT, json_number_value(share) * seconds) : "",
		 json_is_number(share) && seconds > 0 ? snpu_text_percent(SNPU_TEXT, json_number_value(share), 1) : "",
		 snpu_text_count(SNPU_TEXT, snpu_fact_number(c, "SPIKES")), snpu_text_count(SNPU_TEXT, snpu_fact_number(c, "SYNOPS")),
		 snpu_text_count(SNPU_TEXT, snpu_fact_number(c, "SKIPPED")), json_is_number(active) ? snpu_text_percent(SNPU_TEXT, json_number_value(active), 1) : "",
		 path_text(snpu_fact(row, "path"), SNPU_TEXT),
		 card ? snpu_text_count(SNPU_TEXT, snpu_fact_number(c, "CYCLES")) : "", card ? snpu_text_joules(SNPU_TEXT, snpu_fact_number(c, "ENERGY") * 1e-15) : "");
}

/* What the card (or its model) says about cycles and energy; the CPU has neither. */
static void view_totals(const struct snpu_run *run, FILE *f)
{
	bool simulated = json_is_true(snpu_fact(run->facts, "device.simulated"));
	double khz = NUMBER("device.clock_khz");
	json_t *t;
	size_t i;

	json_array_foreach(snpu_fact(run->facts, "profile.totals"), i, t) {
		double cycles = snpu_fact_number(t, "counters.CYCLES");

		if (strcmp(snpu_fact_text(t, "device"), TEXT("device.name")) || strcmp(TEXT("device.kind"), "cpu") == 0 || khz <= 0)
			continue;
		fprintf(f, "%*s%s: %s at %.0f MHz, %s end to end, %s in arithmetic%s\n", SNPU_LABEL, "", simulated ? "model of the card" : "card",
			snpu_text_seconds(SNPU_TEXT, cycles / (khz * 1e3)), khz / 1e3, snpu_text_joules(SNPU_TEXT, snpu_fact_number(t, "counters.ENERGY") * 1e-15),
			snpu_text_joules(SNPU_TEXT, snpu_fact_number(t, "counters.ENERGY_IDEAL") * 1e-15), simulated ? "  (simulated, not measured silicon)" : "");
	}
}

/* Seconds that the shares of a device's rows are shares of. */
static double device_seconds(const struct snpu_run *run, const char *device, bool cpu)
{
	json_t *t;
	size_t i;

	json_array_foreach(snpu_fact(run->facts, "profile.totals"), i, t) {
		if (strcmp(snpu_fact_text(t, "device"), device))
			continue;
		if (!cpu)
			return NUMBER("device.clock_khz") > 0 ? snpu_fact_number(t, "counters.CYCLES") / (NUMBER("device.clock_khz") * 1e3) : 0;
		return (NUMBER("stats.wall_ns") - NUMBER("stats.host_ns")) * 1e-9;
	}
	return 0;
}

void snpu_run_view_profile(const struct snpu_run *run, FILE *f)
{
	const json_t *rows = snpu_fact(run->facts, "profile.nodes");
	bool card = strcmp(TEXT("device.kind"), "cpu") != 0, simulated = json_is_true(snpu_fact(run->facts, "device.simulated"));
	struct snpu_table t = { .align = "<<>>>>>><>>" };
	unsigned int shown = 0;
	bool path = false;
	json_t *row;
	size_t i;

	if (!json_array_size(rows))
		return;
	json_array_foreach(rows, i, row)
		path |= json_is_object(snpu_fact(row, "path"));
	SNPU_ROW(&t, "node", "on", card && simulated ? "model time" : "time", "share", "spikes", "synops", "skipped", "active", path ? "path" : "", card ? simulated ? "model cycles" : "cycles" : "",
		 card ? simulated ? "model energy" : "energy" : "");
	json_array_foreach(rows, i, row) {
		const char *device = snpu_fact_text(row, "device");
		bool on_card = card && strcmp(device, TEXT("device.name")) == 0;

		if (snpu_fact_text(row, "node")[0] && shown++ >= PROFILE_SHOWN)
			continue;
		/* CPU time beside a card is not known apart: the run waits for both. */
		profile_row(&t, row, on_card, on_card || !card ? device_seconds(run, device, !on_card) : 0);
	}
	snpu_table_print(&t, f, "profile");
	if (shown > PROFILE_SHOWN)
		fprintf(f, "%*s... %u more nodes: --json has all\n", SNPU_LABEL, "", shown - PROFILE_SHOWN);
	view_totals(run, f);
}

/* NeuroBench's names, per sample. */
static void view_metrics(const struct snpu_run *run, FILE *f)
{
	const json_t *m = snpu_fact(run->facts, "neurobench"), *silent = snpu_fact(m, "activation_sparsity");

	LABEL(f, "metrics");
	fprintf(f, "footprint %s   connection sparsity %.4f   activation sparsity ", snpu_text_bytes(SNPU_TEXT, snpu_fact_number(m, "footprint")),
		snpu_fact_number(m, "connection_sparsity"));
	if (json_is_number(silent))
		fprintf(f, "%.4f", json_number_value(silent));
	else
		fputc('-', f);
	fprintf(f, "  (NeuroBench, a sample)\n%*ssynaptic operations: effective ACs %s, effective MACs %s, dense %s   membrane updates %s\n", SNPU_LABEL, "",
		snpu_text_count(SNPU_TEXT, snpu_fact_number(m, "synaptic_operations.Effective_ACs")), snpu_text_count(SNPU_TEXT, snpu_fact_number(m, "synaptic_operations.Effective_MACs")),
		snpu_text_count(SNPU_TEXT, snpu_fact_number(m, "synaptic_operations.Dense")), snpu_text_count(SNPU_TEXT, snpu_fact_number(m, "membrane_updates")));
}

/* Events of the input that are in no step. */
static double left_out(const struct snpu_run *run)
{
	static const char *const reasons[] = { "before", "after", "cropped", "out_of_range", "untimed" };
	double sum = NUMBER("stream.late");
	json_t *in;
	size_t i;

	json_array_foreach(snpu_fact(run->facts, "inputs"), i, in)
		for (size_t k = 0; snpu_fact(in, "events") && k < sizeof(reasons) / sizeof(reasons[0]); k++)
			sum += snpu_fact_number(snpu_fact(in, "events"), reasons[k]);
	return sum;
}

static void view_counters(const struct snpu_run *run, FILE *f)
{
	json_t *fallback;
	size_t i;

	LABEL(f, "dropped");
	fprintf(f, "%.0f events (of the input %.0f)   clamped %.0f values   retries %.0f   samples on another device than planned %.0f\n", NUMBER("stats.dropped_events"), left_out(run),
		NUMBER("stats.clamped_values"), NUMBER("stats.retries"), NUMBER("stats.fallback_samples"));
	json_array_foreach(snpu_fact(run->facts, "fallbacks"), i, fallback) {
		LABEL(f, i ? "" : "fallback");
		fprintf(f, "%s\n", json_string_value(fallback));
	}
}

static void view_next(const struct snpu_run *run, FILE *f)
{
	fputc('\n', f);
	if (TEXT("record.file")[0])
		fprintf(f, "%-*s%s\n", SNPU_LABEL, "wrote", TEXT("record.file"));
	LABEL(f, "next");
	if (!TEXT("raster.file")[0])
		fputs("--raster OUT.svg draws it;  ", f);
	if (!TEXT("record.file")[0])
		fputs("--record OUT.npz keeps it;  ", f);
	else
		fputs("snpu compare A.npz B.npz;  ", f);
	fputs("man snpu-run\n", f);
}

void snpu_run_view_after(const struct snpu_run *run)
{
	FILE *f = snpu_screen_begin();

	view_speed(run, f);
	view_stream(run, f);
	view_raster(run, f);
	if (snpu_fact(run->facts, "answer")) {
		if (NUMBER("time.samples") > 1)
			view_many_answers(run, f);
		else
			view_one_answer(run, f);
	}
	view_expect(run, f);
	fputc('\n', f);
	snpu_run_view_profile(run, f);
	view_metrics(run, f);
	view_counters(run, f);
	view_next(run, f);
	snpu_screen_end();
}
