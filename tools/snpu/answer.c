// SPDX-License-Identifier: MIT
/*
 * What a network answered: for each sample the neuron of the first output node with the most spikes (the largest sum, where
 * the output has values), compared with labels; and arrays compared with what was expected of them.
 */
#include "run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "raster.h"
#include "text.h"

#define CLASSES_MAX	1000			/* more output neurons are no classes; counts stay in --record */

bool snpu_run_record(const struct snpu_run *run, const char *name, struct snpu_record *out)
{
	for (unsigned int i = 0; snpu_run_record_at(run, i, out); i++)
		if (name ? strcmp(out->name, name) == 0 : out->output)
			return true;
	return false;
}

/* [sample][step][neuron] */
struct view {
	const float *value;
	uint64_t samples, steps, neurons;
};

static struct view view_of(const struct snpu_array *a)
{
	struct view v = { a->data, a->shape[0], a->shape[1], 1 };

	for (unsigned int i = 2; i < a->rank; i++)
		v.neurons *= a->shape[i];
	return v;
}

static double sum_of(const struct view *v, uint64_t sample, uint64_t neuron)
{
	double sum = 0;

	for (uint64_t t = 0; t < v->steps; t++)
		sum += (double)v->value[(sample * v->steps + t) * v->neurons + neuron];
	return sum;
}

/* The class of a sample: the lowest neuron with the largest sum. -1 when all sums are zero. */
static int64_t class_of(const struct view *v, uint64_t sample, bool *tie)
{
	double best = sum_of(v, sample, 0);
	bool any = best != 0;
	int64_t k = 0;

	*tie = false;
	for (uint64_t n = 1; n < v->neurons; n++) {
		double s = sum_of(v, sample, n);

		any |= s != 0;
		*tie = s > best ? false : *tie || s == best;
		if (s > best) {
			best = s;
			k = (int64_t)n;
		}
	}
	*tie &= any;
	return any ? k : -1;
}

static json_t *counts_of(const struct view *v, uint64_t sample, bool spikes)
{
	json_t *counts = json_array();

	for (uint64_t n = 0; n < v->neurons; n++)
		json_array_append_new(counts, spikes ? json_integer((json_int_t)sum_of(v, sample, n)) : json_real(sum_of(v, sample, n)));
	return counts;
}

static void answer_facts(struct snpu_run *run, const struct snpu_record *r, const struct view *v, bool spikes)
{
	uint64_t ties = 0, silent = 0, right = 0, seen[CLASSES_MAX] = { 0 }, hit[CLASSES_MAX] = { 0 }, outside = 0;
	json_t *classes = json_array(), *per_class = json_array();

	for (uint64_t s = 0; s < v->samples; s++) {
		bool tie;
		int64_t k = class_of(v, s, &tie), label = run->feed.labels ? run->feed.labels[s] : -1;

		ties += tie;
		silent += k < 0;
		json_array_append_new(classes, k < 0 ? json_null() : json_integer(k));
		if (!run->feed.labels)
			continue;
		right += k >= 0 && k == label;
		if (label < 0 || (uint64_t)label >= v->neurons) {
			outside++;
			continue;
		}
		seen[label]++;
		hit[label] += k == label;
	}
	for (uint64_t k = 0; run->feed.labels && k < v->neurons; k++)
		json_array_append_new(per_class, json_pack("{s:I, s:I, s:I}", "class", (json_int_t)k, "samples", (json_int_t)seen[k], "right", (json_int_t)hit[k]));
	json_t *a = json_pack("{s:s, s:b, s:I, s:o, s:I, s:I}", "node", r->name, "spikes", spikes, "neurons", (json_int_t)v->neurons, "classes", classes,
			      "ties", (json_int_t)ties, "silent", (json_int_t)silent);

	if (v->samples == 1)
		json_object_set_new(a, "counts", counts_of(v, 0, spikes));
	if (run->feed.labels) {
		json_t *labels = json_array();

		for (uint64_t s = 0; s < v->samples; s++)
			json_array_append_new(labels, json_integer(run->feed.labels[s]));
		json_object_set_new(a, "labels", labels);
		json_object_set_new(a, "right", json_integer((json_int_t)right));
		json_object_set_new(a, "accuracy", json_real((double)right / (double)v->samples));
		json_object_set_new(a, "labels_outside", json_integer((json_int_t)outside));
		json_object_set_new(a, "per_class", per_class);
	} else {
		json_decref(per_class);
	}
	json_object_set_new(run->facts, "answer", a);
}

/* --- expected arrays ------------------------------------------------------------------------------------------ */

/* What the record is at the element of the expected array: a sum over steps (counts), or the value itself. */
static enum snpu_exit expect_one(struct snpu_run *run, const struct snpu_array *want, const char *source, const char *node, json_t *rows)
{
	struct snpu_record r;

	if (!snpu_run_record(run, node, &r))
		return snpu_cli_fail(SNPU_EXIT_FAILURE, NULL, "--expect: nothing was recorded of node '%s'", node ? node : "");
	struct view v = view_of(r.array);
	uint64_t each = want->rank ? want->count / (want->shape[0] ? want->shape[0] : 1) : 0;
	bool counts = each == v.neurons;
	uint64_t different = 0;
	double largest = 0;

	if (!want->rank || (!counts && each != v.neurons * v.steps) || want->shape[0] < run->feed.first + v.samples)
		return snpu_cli_fail(SNPU_EXIT_FAILURE, NULL, "%s has shape %s, and '%s' has %llu samples of %llu steps of %llu numbers", source, snpu_array_shape(want),
				     r.name, (unsigned long long)v.samples, (unsigned long long)v.steps, (unsigned long long)v.neurons);
	for (uint64_t s = 0; s < v.samples; s++)
		for (uint64_t i = 0; i < each; i++) {
			float w;

			if (snpu_array_to_f32(want, (run->feed.first + s) * each + i, 1, &w))
				return snpu_cli_fail_library(SNPU_EXIT_FAILURE, NULL);
			double have = counts ? sum_of(&v, s, i) : (double)v.value[s * each + i], d = fabs(have - (double)w);

			different += !(d <= run->opts->tolerance);
			largest = isnan(d) ? HUGE_VAL : fmax(largest, d);
		}
	json_array_append_new(rows, json_pack("{s:o, s:s, s:s, s:I, s:I, s:f, s:f, s:b}", "source", snpu_cli_string(source), "node", r.name, "kind", counts ? "counts" : "values",
					      "elements", (json_int_t)(v.samples * each), "different", (json_int_t)different, "largest", isinf(largest) ? 1e308 : largest,
					      "tolerance", run->opts->tolerance, "equal", !different));
	return different ? SNPU_EXIT_DIFFERENT : SNPU_EXIT_OK;
}

void snpu_run_expect_node(const char *arg, char *node, size_t size)
{
	size_t n = strcspn(arg, "=/:");

	snprintf(node, size, "%.*s", arg[n] == '=' ? (int)n : 0, arg);
}

static enum snpu_exit expect(struct snpu_run *run, const char *arg, json_t *rows)
{
	const char *eq = strchr(arg, '='), *colon = strrchr(arg, ':'), *file;
	char node[256] = "", path[4096];
	struct snpu_bundle b = { 0 };
	struct snpu_array want = { 0 };
	enum snpu_exit st;

	snpu_run_expect_node(arg, node, sizeof(node));
	file = node[0] ? eq + 1 : arg;
	snprintf(path, sizeof(path), "%.*s", (int)(colon - file), file);
	st = snpu_bundle_open(&b, path);
	if (!st)
		st = snpu_bundle_read(&b, colon + 1, 0, &want);
	if (!st)
		st = expect_one(run, &want, arg, node[0] ? node : NULL, rows);
	snpu_array_free(&want);
	snpu_bundle_close(&b);
	return st;
}

enum snpu_exit snpu_run_answer(struct snpu_run *run)
{
	enum snpu_exit st = SNPU_EXIT_OK, worst = SNPU_EXIT_OK;
	json_t *rows = json_array();
	struct snpu_record r;

	if (snpu_run_record(run, NULL, &r)) {
		struct view v = view_of(r.array);
		struct snpu_panel all = { .value = v.value, .steps = v.samples * v.steps, .neurons = v.neurons };

		if (v.neurons <= CLASSES_MAX)
			answer_facts(run, &r, &v, snpu_panel_is_spikes(&all));
	}
	for (unsigned int i = 0; i < run->opts->n_expect && st != SNPU_EXIT_FAILURE; i++) {
		st = expect(run, run->opts->expect[i], rows);
		worst = st ? st : worst;
	}
	json_object_set_new(run->facts, "expect", rows);
	return worst;
}
