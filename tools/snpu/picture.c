// SPDX-License-Identifier: MIT
/*
 * The files that `snpu run` writes: recorded arrays as .npz or NIRGraphData, and pictures of the first sample as SVG.
 */
#include "run.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "output.h"
#include "raster.h"
#include "text.h"

#define PANELS_MAX	32

/* A file is written beside its place first, so it is the directory that must be writable. */
static enum snpu_exit check_output(const char *path)
{
	char *copy = path ? strdup(path) : NULL;
	int err = 0;

	if (copy && access(dirname(copy), W_OK | X_OK))
		err = errno;
	free(copy);
	return err ? snpu_cli_fail(SNPU_EXIT_FAILURE, "choose a file in a directory that you may write to", "cannot write %s: %s", path, strerror(err)) : SNPU_EXIT_OK;
}

enum snpu_exit snpu_run_check_outputs(const struct snpu_run_opts *o)
{
	enum snpu_exit st = check_output(o->record);

	if (!st)
		st = check_output(o->raster);
	return st ? st : check_output(o->rates);
}

static bool named(const struct snpu_run_opts *o, const char *name)
{
	for (unsigned int i = 0; i < o->n_nodes; i++)
		if (strcmp(o->nodes[i], name) == 0)
			return true;
	return false;
}

static bool has_ending(const char *path, const char *ending)
{
	size_t n = strlen(path), m = strlen(ending);

	return n > m && strcmp(path + n - m, ending) == 0;
}

/* "lif1.v" is the voltages of node lif1, unless a node has that very name. free() *node. */
static struct snpu_observable observable_of(const struct snpu_run *run, const char *name, const struct snpu_array *a, char **node)
{
	double dt = snpu_fact_number(run->facts, "time.dt");
	struct snpu_observable o = { .name = "values", .type = SNPU_NIRDATA_GRID, .dt = dt > 0 ? dt : 1, .array = a };
	struct snpu_panel all = { .value = a->data, .steps = 1, .neurons = a->count };
	size_t n = strlen(name);

	*node = strdup(name);
	o.node = *node;
	if (*node && snpu_model_find(run->model, name) < 0 && n > 2 && name[n - 2] == '.') {
		(*node)[n - 2] = 0;
		o.name = name[n - 1] == 'v' ? "voltages" : "currents";
	} else if (snpu_panel_is_spikes(&all)) {
		o.name = "spikes";
	}
	return o;
}

/* The arrays as NIRGraphData. */
static int write_nirdata(const struct snpu_run *run, unsigned int n, const char **names, const struct snpu_array *arrays)
{
	struct snpu_observable *list = calloc(n + 1, sizeof(*list));
	char **nodes = calloc(n + 1, sizeof(*nodes));
	int err = list && nodes ? 0 : -ENOMEM;

	for (unsigned int i = 0; i < n && !err; i++) {
		list[i] = observable_of(run, names[i], &arrays[i], &nodes[i]);
		err = nodes[i] ? 0 : -ENOMEM;
	}
	if (!err)
		err = snpu_nirdata_write(run->opts->record, list, n);
	for (unsigned int i = 0; nodes && i < n; i++)
		free(nodes[i]);
	free(nodes);
	free(list);
	return err;
}

/* Output nodes, or exactly those that --nodes names. */
enum snpu_exit snpu_run_write_record(struct snpu_run *run)
{
	unsigned int all = snpu_result_record_count(run->result), n = 0;
	const char **names = calloc(all + 1, sizeof(*names));
	struct snpu_array *arrays = calloc(all + 1, sizeof(*arrays));
	json_t *written = json_array();
	struct snpu_record r;
	int err = 0;

	for (unsigned int i = 0; names && arrays && i < all; i++) {
		if (!snpu_run_record_at(run, i, &r) || !(run->opts->n_nodes ? named(run->opts, r.name) : r.output))
			continue;
		names[n] = r.name;
		arrays[n++] = *r.array;
		json_array_append_new(written, json_string(r.name));
	}
	if (run->opts->record)
		err = !names || !arrays ? -ENOMEM
		      : has_ending(run->opts->record, ".h5") || has_ending(run->opts->record, ".hdf5") ? write_nirdata(run, n, names, arrays)
												       : snpu_npz_write(run->opts->record, n, names, arrays);
	if (run->opts->record && !err)
		json_object_set_new(run->facts, "record", json_pack("{s:o, s:O}", "file", snpu_cli_string(run->opts->record), "arrays", written));
	json_decref(written);
	free(names);
	free(arrays);
	return err ? snpu_cli_fail_library(SNPU_EXIT_FAILURE, NULL) : SNPU_EXIT_OK;
}

/* --- picture -------------------------------------------------------------------------------------------------- */

static struct snpu_panel panel_of(const struct snpu_run *run, const struct snpu_record *r)
{
	struct snpu_panel p = { .name = r->name, .value = r->array->data, .steps = r->array->shape[1], .neurons = 1, .winner = -1 };
	const json_t *k = json_array_get(snpu_fact(run->facts, "answer.classes"), 0);

	for (unsigned int i = 2; i < r->array->rank; i++)
		p.neurons *= r->array->shape[i];
	if (r->output && json_is_integer(k) && strcmp(snpu_fact_text(run->facts, "answer.node"), r->name) == 0)
		p.winner = json_integer_value(k);
	return p;
}

/* Hidden layers first, in the order of the network, outputs last. With --nodes those and the outputs. */
static unsigned int collect(const struct snpu_run *run, struct snpu_panel *panels)
{
	struct snpu_record r;
	unsigned int n = 0;

	for (int output = 0; output < 2; output++)
		for (unsigned int i = 0; snpu_run_record_at(run, i, &r) && n < PANELS_MAX; i++)
			if (r.output == (bool)output && r.array->rank >= 2 && r.array->count)
				panels[n++] = panel_of(run, &r);
	return n;
}

static void subtitle(const struct snpu_run *run, char *text, size_t size)
{
	const json_t *answer = snpu_fact(run->facts, "answer"), *k = json_array_get(snpu_fact(answer, "classes"), 0);
	const json_t *label = json_array_get(snpu_fact(answer, "labels"), 0);
	double dt = snpu_fact_number(run->facts, "time.dt");
	char class[64] = "";

	if (json_is_integer(k) && json_is_integer(label))
		snprintf(class, sizeof(class), " · class %lld (label %lld)", (long long)json_integer_value(k), (long long)json_integer_value(label));
	else if (json_is_integer(k))
		snprintf(class, sizeof(class), " · class %lld", (long long)json_integer_value(k));
	snprintf(text, size, "sample %.0f%s · %s%s%s · %s: %s", snpu_fact_number(run->facts, "time.first_sample"), class,
		 snpu_text_of(SNPU_TEXT, snpu_fact_number(run->facts, "time.steps"), "step"), dt > 0 ? " of " : "",
		 dt > 0 ? snpu_text_seconds(SNPU_TEXT, dt) : "",
		 snpu_fact_text(run->facts, "device.name"), snpu_device_words(snpu_fact(run->facts, "device")));
}

static int draw_raster(FILE *f, const void *picture)
{
	snpu_raster_svg(f, picture);
	return 0;
}

static int draw_rates(FILE *f, const void *picture)
{
	snpu_rates_svg(f, picture);
	return 0;
}

static enum snpu_exit write_picture(struct snpu_run *run, const char *path, const char *key, snpu_output_write *draw, const struct snpu_picture *picture)
{
	int err = path ? snpu_output_file(path, draw, picture) : 0;

	if (err)
		return snpu_cli_fail(SNPU_EXIT_FAILURE, "choose a file in a directory that you may write to", "cannot write %s: %s", path, strerror(-err));
	if (path)
		json_object_set_new(run->facts, key, json_pack("{s:o, s:i}", "file", snpu_cli_string(path), "panels", picture->panels));
	return SNPU_EXIT_OK;
}

enum snpu_exit snpu_run_write_pictures(struct snpu_run *run, const struct snpu_picture *picture)
{
	enum snpu_exit st = write_picture(run, run->opts->raster, "raster", draw_raster, picture);

	return st ? st : write_picture(run, run->opts->rates, "rates", draw_rates, picture);
}

enum snpu_exit snpu_run_write_raster(struct snpu_run *run)
{
	struct snpu_panel panels[PANELS_MAX];
	struct snpu_picture picture = { .title = snpu_text_basename(run->opts->model), .dt = snpu_fact_number(run->facts, "time.dt"), .panel = panels };
	char text[400];

	if (!run->opts->raster && !run->opts->rates)
		return SNPU_EXIT_OK;
	picture.panels = collect(run, panels);
	subtitle(run, text, sizeof(text));
	picture.subtitle = text;
	return snpu_run_write_pictures(run, &picture);
}
