// SPDX-License-Identifier: MIT
/*
 * Events as input: options, which file is one, and how its events become the steps of a node. What was not said is decided by
 * what fits, and told. Leaves reading to the library and samples to feed.c.
 */
#include "events.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "text.h"

#define DT_DEFAULT	1e-3			/* s: what most networks of this field are trained with */

enum { OPT_FORMAT = 0x200, OPT_SENSOR, OPT_DT_BIN, OPT_START, OPT_POLARITY, OPT_CROP, OPT_DOWNSCALE, OPT_CLIP, OPT_SEED, OPT_STREAM, OPT_LATE, OPT_FOLLOW };

static const struct argp_option options[] = {
	{ "input-format", OPT_FORMAT, "NAME", 0, "nmnist, aedat3, aedat4, evt2, evt21, evt3, dat, hdf5, numpy, nirdata or arrays (default: by the file's first bytes and name)", 0 },
	{ "sensor", OPT_SENSOR, "WxH", 0, "pixels (default: what the file or the format says, else the largest address)", 0 },
	{ "dt-bin", OPT_DT_BIN, "TIME", 0, "events of so long make a time step (default: --dt, the model's, or 1ms)", 0 },
	{ "bin-start", OPT_START, "first|zero", 0, "step 0 begins at the sample's first event, or at time 0 (default: first of cameras, zero of SHD and NIRGraphData)", 0 },
	{ "polarity", OPT_POLARITY, "separate|merged|signed", 0, "a channel for each polarity, one for both, or one where darker counts -1 (default: what fits the input node)", 0 },
	{ "crop", OPT_CROP, "X,Y,W,H", 0, "keep this part of the sensor", 0 },
	{ "downscale", OPT_DOWNSCALE, "N", 0, "N x N pixels become one", 0 },
	{ "clip", OPT_CLIP, NULL, 0, "at most one spike for each pixel and step, instead of a count", 0 },
	{ "seed", OPT_SEED, "N", 0, "of --encode rate (default: 0)", 0 },
	{ "stream", OPT_STREAM, "SOURCE", 0, "run events as they arrive: - (stdin), a FIFO, unix:PATH or tcp:HOST:PORT; until they end, or Ctrl-C", 0 },
	{ "late", OPT_LATE, "TIME", 0, "of --stream: wait so long for events that come out of order (default: 0)", 0 },
	{ "follow", OPT_FOLLOW, NULL, 0, "of --stream: print a line for each step in which an output is active", 0 },
	{ 0 },
};

double snpu_option_seconds(const struct argp_state *state, const char *option, const char *arg)
{
	static const struct { const char *unit; double scale; } units[] = { { "", 1 }, { "s", 1 }, { "ms", 1e-3 }, { "us", 1e-6 }, { "µs", 1e-6 }, { "ns", 1e-9 } };
	char *end;
	double v = strtod(arg, &end);

	for (size_t i = 0; end != arg && isfinite(v) && v > 0 && i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(end, units[i].unit) == 0)
			/* Divided, so that "1ms" is the number 0.001 and not its neighbour. */
			return units[i].scale == 1 ? v : v / round(1 / units[i].scale);
	argp_error(state, "%s takes a time such as 1ms or 0.001, not '%s'", option, arg);
	return 0;
}

/* `n` whole numbers between `by`. */
static void numbers(const struct argp_state *state, const char *option, const char *arg, char by, unsigned int n, uint32_t *out)
{
	const char *p = arg;

	for (unsigned int i = 0; i < n; i++) {
		char *end;
		unsigned long long v;

		errno = 0;
		v = strtoull(p, &end, 10);
		if (*p < '0' || *p > '9' || errno || v > 1 << 24 || *end != (i + 1 < n ? by : 0))
			argp_error(state, "%s takes %u whole numbers%s%c%s, not '%s'", option, n, n > 1 ? " with '" : "", n > 1 ? by : ' ', n > 1 ? "' between" : "", arg);
		out[i] = (uint32_t)v;
		p = end + 1;
	}
}

static enum snpu_events_format format(const struct argp_state *state, const char *arg)
{
	for (int f = 1; f < SNPU_EVENTS_FORMAT_COUNT; f++)
		if (!strcmp(arg, snpu_events_format_name((enum snpu_events_format)f)))
			return (enum snpu_events_format)f;
	if (strcmp(arg, "arrays"))
		argp_error(state, "--input-format does not know '%s'; see --help", arg);
	return SNPU_EVENTS_FORMAT_COUNT;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	static const char *const starts[] = { "", "first", "zero", NULL }, *const polarities[] = { "", "separate", "merged", "signed", NULL };
	struct snpu_events_args *a = state->input;
	uint32_t n[4];

	switch (key) {
	case OPT_FORMAT: a->format = format(state, arg); return 0;
	case OPT_SENSOR:
		numbers(state, "--sensor", arg, 'x', 2, n);
		if (!n[0] || !n[1] || n[1] > 65536)
			argp_error(state, "--sensor takes a size such as 34x34, not '%s'", arg);
		a->width = n[0];
		a->height = n[1];
		return 0;
	case OPT_DT_BIN: a->dt = snpu_option_seconds(state, "--dt-bin", arg); return 0;
	case OPT_START: a->start = (enum snpu_bin_start)snpu_option_choice(state, "--bin-start", arg, starts); return 0;
	case OPT_POLARITY: a->polarity = snpu_option_choice(state, "--polarity", arg, polarities); return 0;
	case OPT_CROP: numbers(state, "--crop", arg, ',', 4, a->crop); return 0;
	case OPT_DOWNSCALE:
		numbers(state, "--downscale", arg, 0, 1, &a->downscale);
		if (!a->downscale)
			argp_error(state, "--downscale takes 1 or more");
		return 0;
	case OPT_CLIP: a->clip = true; return 0;
	case OPT_SEED:
		numbers(state, "--seed", arg, 0, 1, n);
		a->seed = n[0];
		return 0;
	case OPT_STREAM: a->stream = arg; return 0;
	case OPT_LATE: a->late = snpu_option_seconds(state, "--late", arg); return 0;
	case OPT_FOLLOW: a->follow = true; return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

const struct argp snpu_events_argp = { .options = options, .parser = parse };

/* --- which files -------------------------------------------------------------------------------------------------- */

/* NumPy files hold arrays, unless they have columns t and x, or records. */
static bool numpy_has_events(const void *mem, size_t size)
{
	struct snpu_npz *z;
	bool t = false, x = false;

	if (size > 128 && !memcmp(mem, "\x93NUMPY", 6))
		return memmem(mem, 128, "'descr': [(", 11);
	if (snpu_npz_open(mem, size, &z))
		return false;
	for (unsigned int i = 0; i < snpu_npz_count(z); i++) {
		t |= !strcmp(snpu_npz_name(z, i), "t");
		x |= !strcmp(snpu_npz_name(z, i), "x");
	}
	snpu_npz_close(z);
	return t && x;
}

bool snpu_events_wanted(const struct snpu_events_args *a, const char *path, const void *mem, size_t size)
{
	const char *dot = strrchr(path, '.');
	int f;

	if (a->format)
		return a->format != SNPU_EVENTS_FORMAT_COUNT;
	f = snpu_events_format_of(mem, size);
	if (f == SNPU_EVENTS_NUMPY)
		return numpy_has_events(mem, size);
	return f > 0 || (f < 0 && dot && (!strcasecmp(dot, ".bin") || !strcasecmp(dot, ".bs2")));
}

/* --- several files ------------------------------------------------------------------------------------------------ */

static bool alike(const struct snpu_events *a, const struct snpu_events *b)
{
	return a->format == b->format && a->polarities == b->polarities && a->step_ends == b->step_ends && a->sized == b->sized &&
	       (!a->sized || (a->width == b->width && a->height == b->height));
}

/* Adds what one recording has to those before it. */
static void append(struct snpu_events *to, const struct snpu_events *from)
{
	memcpy(to->event + to->count, from->event, from->count * sizeof(*from->event));
	for (uint64_t s = 0; s <= from->samples; s++)
		to->first[to->samples + s] = to->count + from->first[s];
	if (from->labels)
		memcpy(to->labels + to->samples, from->labels, from->samples * sizeof(*from->labels));
	to->samples += from->samples;
	to->count += from->count;
	to->width = from->width > to->width ? from->width : to->width;
	to->height = from->height > to->height ? from->height : to->height;
	to->duration = from->duration > to->duration ? from->duration : to->duration;
	to->out_of_range += from->out_of_range;
	to->out_of_order += from->out_of_order;
	to->untimed += from->untimed;
	to->other += from->other;
}

const char *snpu_events_join(const struct snpu_events *const *list, unsigned int n, struct snpu_events *out)
{
	uint64_t events = 0, samples = 0;
	bool labels = true;

	*out = (struct snpu_events){ .format = list[0]->format, .polarities = list[0]->polarities, .sized = list[0]->sized, .step_ends = list[0]->step_ends };
	for (unsigned int i = 0; i < n; i++) {
		if (!alike(list[0], list[i]))
			return "they are of different formats or sensors";
		events += list[i]->count;
		samples += list[i]->samples;
		labels &= list[i]->labels != NULL;
	}
	out->event = calloc(events + 1, sizeof(*out->event));
	out->first = calloc(samples + 1, sizeof(*out->first));
	out->labels = calloc(samples + 1, sizeof(*out->labels));
	if (!out->event || !out->first || !out->labels)
		return "there is not enough memory";
	for (unsigned int i = 0; i < n; i++)
		append(out, list[i]);
	if (!labels) {
		free(out->labels);
		out->labels = NULL;
	}
	return NULL;
}

void snpu_events_unjoin(struct snpu_events *ev)
{
	free(ev->event);
	free(ev->first);
	free(ev->labels);
}

/* --- how they become steps ---------------------------------------------------------------------------------------- */

static void choose_dt(const struct snpu_events_args *a, const struct snpu_model *model, double dt, struct snpu_events_plan *plan)
{
	const char *text = snpu_model_metadata(model, "dt");
	char *end;
	double v = text ? strtod(text, &end) : 0;

	plan->opts.dt = a->dt > 0 ? a->dt : dt;
	plan->dt_source = a->dt > 0 ? "--dt-bin" : "--dt";
	if (!(plan->opts.dt > 0) && text && end != text && !*end && v > 0) {
		plan->opts.dt = v;
		plan->dt_source = "model";
	}
	if (!(plan->opts.dt > 0)) {
		plan->opts.dt = DT_DEFAULT;
		plan->dt_source = "default";
	}
}

static uint64_t cells(const struct snpu_bins *b)
{
	return (uint64_t)b->channels * b->height * b->width;
}

/* A downscaling that would make the events fit the node, for the error's hint; 0: none. */
static uint32_t fitting_scale(const struct snpu_events *ev, const struct snpu_events_plan *plan, uint64_t size)
{
	struct snpu_bin_opts o = plan->opts;
	struct snpu_bins b;

	o.steps = 1;
	for (o.downscale = 2; o.downscale < 1024; o.downscale++)
		if (!snpu_events_bins(ev, &o, &b) && cells(&b) == size)
			return o.downscale;
	return 0;
}

enum snpu_exit snpu_events_plan(const struct snpu_events_args *a, const struct snpu_events *ev, const struct snpu_model *model, const struct snpu_node_info *node, double dt,
				const char *file, struct snpu_events_plan *plan)
{
	static const enum snpu_polarity tries[] = { SNPU_POLARITY_SEPARATE, SNPU_POLARITY_MERGED };
	struct snpu_bins b = { 0 };
	char hint[128];
	uint32_t scale = 0;

	*plan = (struct snpu_events_plan){ .opts = { .sz = sizeof(plan->opts), .steps = 1, .start = a->start, .downscale = a->downscale, .clip = a->clip } };
	memcpy(plan->opts.crop, a->crop, sizeof(a->crop));
	choose_dt(a, model, dt, plan);
	plan->polarity_source = a->polarity ? "--polarity" : "shape";
	for (int i = 0; i < (a->polarity ? 1 : 2); i++) {
		plan->opts.polarity = a->polarity ? (enum snpu_polarity)(a->polarity - 1) : tries[i];
		if (snpu_events_bins(ev, &plan->opts, &b))
			return snpu_cli_fail_library(SNPU_EXIT_FAILURE, ev->width ? NULL : "--sensor WxH");
		plan->per_step = cells(&b);
		if (plan->per_step == node->size)
			return SNPU_EXIT_OK;
		scale = scale ? scale : fitting_scale(ev, plan, node->size);
	}
	snprintf(hint, sizeof(hint), scale ? "--downscale %u" : "--sensor WxH, --crop, --downscale and --polarity change what a step holds", scale);
	return snpu_cli_fail(SNPU_EXIT_FAILURE, hint, "%s: events of %u x %u%s make steps of %llu numbers, and input '%s' takes %llu", file, ev->width, ev->height,
			     ev->polarities > 1 ? " with two polarities" : "", (unsigned long long)plan->per_step, node->name, (unsigned long long)node->size);
}

json_t *snpu_events_facts(const struct snpu_events *ev, const struct snpu_events_plan *plan, const struct snpu_bins *b)
{
	static const char *const polarities[] = { "separate", "merged", "signed" }, *const starts[] = { "default", "first", "zero" };
	enum snpu_bin_start start = plan->opts.start;

	if (!start)
		start = ev->format == SNPU_EVENTS_HDF5 || ev->format == SNPU_EVENTS_NIRDATA ? SNPU_BIN_START_ZERO : SNPU_BIN_START_FIRST;
	return json_pack("{s:s, s:I, s:I, s:b, s:i, s:I, s:f, s:s, s:s, s:s, s:s, s:[I,I,I], s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "format",
			 snpu_events_format_name(ev->format), "width", (json_int_t)ev->width, "height", (json_int_t)ev->height, "sized", ev->sized, "polarities", (int)ev->polarities, "events",
			 (json_int_t)(b->binned + b->before + b->after + b->cropped), "dt", plan->opts.dt, "dt_source", plan->dt_source, "start", starts[start], "polarity",
			 polarities[plan->opts.polarity], "polarity_source", plan->polarity_source, "shape", (json_int_t)b->channels, (json_int_t)b->height, (json_int_t)b->width, "clip",
			 plan->opts.clip, "binned", (json_int_t)b->binned, "before", (json_int_t)b->before, "after", (json_int_t)b->after, "cropped", (json_int_t)b->cropped, "clipped",
			 (json_int_t)b->clipped, "out_of_range", (json_int_t)ev->out_of_range, "out_of_order", (json_int_t)ev->out_of_order, "untimed", (json_int_t)ev->untimed, "other",
			 (json_int_t)ev->other);
}

void snpu_events_view_form(FILE *f, const json_t *e)
{
	const char *source = snpu_fact_text(e, "dt_source");
	bool two = snpu_fact_number(e, "polarities") > 1;

	fprintf(f, "%*sevents of %s, %.0fx%.0f%s, in steps of %s (%s) from %s on\n", SNPU_LABEL, "", snpu_fact_text(e, "format"), snpu_fact_number(e, "width"),
		snpu_fact_number(e, "height"), json_is_true(snpu_fact(e, "sized")) ? "" : " (largest address: --sensor says better)",
		snpu_text_seconds(SNPU_TEXT, snpu_fact_number(e, "dt")), strcmp(source, "default") ? source : "assumed: --dt-bin",
		strcmp(snpu_fact_text(e, "start"), "zero") ? "the first event" : "time 0");
	fprintf(f, "%*seach %s%s%s%s, %s\n", SNPU_LABEL, "", snpu_text_shape(SNPU_TEXT, snpu_fact(e, "shape")), two ? ", polarities " : "",
		two ? snpu_fact_text(e, "polarity") : "", two && strcmp(snpu_fact_text(e, "polarity_source"), "shape") == 0 ? " (fits the input)" : "",
		json_is_true(snpu_fact(e, "clip")) ? "at most one a pixel" : "counts");
}

void snpu_events_view_counts(FILE *f, const json_t *e)
{
	static const struct { const char *key, *text; } reasons[] = {
		{ "out_of_range", "off the sensor" }, { "cropped", "outside of the crop" }, { "before", "before the first step" }, { "after", "after the last step" },
		{ "untimed", "without a time" },
	}, others[] = { { "out_of_order", "out of order (kept)" }, { "clipped", "counts clipped to one" }, { "other", "records that are no events" } };
	double left = 0;
	bool first = true;

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		left += snpu_fact_number(e, reasons[i].key);
	fprintf(f, "%*s%s events in steps, %s left out", SNPU_LABEL, "", snpu_text_count(SNPU_TEXT, snpu_fact_number(e, "binned")), snpu_text_count(SNPU_TEXT, left));
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (snpu_fact_number(e, reasons[i].key) > 0) {
			fprintf(f, "%s%s %s", first ? ": " : ", ", snpu_text_count(SNPU_TEXT, snpu_fact_number(e, reasons[i].key)), reasons[i].text);
			first = false;
		}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (snpu_fact_number(e, others[i].key) > 0)
			fprintf(f, "; %s %s", snpu_text_count(SNPU_TEXT, snpu_fact_number(e, others[i].key)), others[i].text);
	fputc('\n', f);
}
