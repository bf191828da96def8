// SPDX-License-Identifier: MIT
/*
 * The other readings of a model, run on the same input: each option of meaning.h changed alone, then each dialect with
 * nothing else. What they change is counted against the reading that was asked for.
 */
#include "explain.h"

#include <stdlib.h>
#include <string.h>

#include "classes.h"
#include "cli.h"
#include "text.h"

#define RECORDS_MAX	256			/* layers of neurons that are compared */
#define RANDOM_SAMPLES	8
#define RANDOM_STEPS	100
#define RANDOM_SHARE	10			/* per cent of inputs that spike in a step */

struct readings {
	struct snpu_explain *e;
	struct snpu_feed feed;
	const char *records[RECORDS_MAX];
	unsigned int n_records;
	struct snpu_semantics_info meaning;	/* as asked for */
	struct snpu_result *base;
	json_t *rows;
};

/* --- input -------------------------------------------------------------------------------------------------------- */

/* Random spikes for input `i`, the same each time. */
static bool make_spikes(struct readings *r, unsigned int i)
{
	const struct snpu_explain *e = r->e;
	uint64_t steps = e->feed_opts.steps ? e->feed_opts.steps : snpu_feed_model_steps(e->model), shape[3], rng = i + 1;
	struct snpu_node_info node;

	if (snpu_model_node(e->model, (unsigned int)snpu_model_input(e->model, i), &node))
		return false;
	shape[0] = r->feed.samples = e->feed_opts.last == UINT64_MAX ? RANDOM_SAMPLES : e->feed_opts.last;
	shape[1] = r->feed.steps = steps ? steps : RANDOM_STEPS;
	shape[2] = node.size;
	if (snpu_array_create(SNPU_F32, 3, shape, &r->feed.owned[i]))
		return false;
	for (uint64_t k = 0; k < r->feed.owned[i].count; k++) {
		rng = rng * 6364136223846793005ull + 1442695040888963407ull;
		((float *)r->feed.owned[i].data)[k] = (rng >> 33) % 100 < RANDOM_SHARE;
	}
	r->feed.input[i] = (struct snpu_input){ .node = node.name, .array = &r->feed.owned[i] };
	r->feed.n_inputs = i + 1;
	return true;
}

static enum snpu_exit open_input(struct readings *r)
{
	if (r->e->feed_opts.n_files)
		return snpu_feed_open(&r->feed, r->e->model, &r->e->feed_opts);
	for (unsigned int i = 0; i < snpu_model_input_count(r->e->model); i++)
		if (i == SNPU_FEED_INPUTS || !make_spikes(r, i))
			return snpu_cli_fail(SNPU_EXIT_FAILURE, "give data with --input FILE", "cannot make up spikes for input %u: %s", i, snpu_last_error());
	return SNPU_EXIT_OK;
}

/* --- one reading -------------------------------------------------------------------------------------------------- */

/* NULL: it cannot be run, snpu_last_error() says why. */
static struct snpu_result *run(struct readings *r, const struct snpu_meaning *m, struct snpu_semantics_info *meaning)
{
	struct snpu_session_opts so = { .sz = sizeof(so), .devices = &r->e->device, .n_devices = 1, .records = r->records, .n_records = r->n_records };
	struct snpu_session *s = NULL;
	struct snpu_result *result = NULL;

	snpu_meaning_apply(m, &so);
	so.strict = false;
	if (!snpu_session_create(r->e->model, &so, &s) && !snpu_session_semantics(s, meaning) &&
	    snpu_session_run(s, r->feed.input, r->feed.n_inputs, &result))
		result = NULL;
	snpu_session_free(s);
	return result;
}

static bool same_meaning(const struct snpu_semantics_info *a, const struct snpu_semantics_info *b)
{
	return a->dt == b->dt && a->integrator == b->integrator && a->reset == b->reset && a->reset_time == b->reset_time && a->compare == b->compare &&
	       a->gain == b->gain && a->delay == b->delay && a->floor == b->floor && a->v_min == b->v_min && a->max_spikes == b->max_spikes;
}

/* Output neurons whose sums differ, and samples whose classes do, of one output. */
static void compare_answer(const struct snpu_array *a, const struct snpu_array *b, uint64_t *counts, uint64_t *classes)
{
	uint64_t samples = a->shape[0], steps = a->shape[1], n = samples && steps ? a->count / samples / steps : 0;

	for (uint64_t s = 0; s < samples; s++) {
		const float *x = (const float *)a->data + s * steps * n, *y = (const float *)b->data + s * steps * n;

		for (uint64_t k = 0; k < n; k++)
			*counts += snpu_class_sum(x + k, steps, n) != snpu_class_sum(y + k, steps, n);
		*classes += snpu_class_of(x, steps, n) != snpu_class_of(y, steps, n);
	}
}

static double total(const struct snpu_array *a)
{
	double sum = 0;

	for (uint64_t i = 0; i < a->count; i++)
		sum += (double)((const float *)a->data)[i];
	return sum;
}

static uint64_t differences(const struct snpu_array *a, const struct snpu_array *b)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < a->count; i++)
		n += ((const float *)a->data)[i] != ((const float *)b->data)[i];
	return n;
}

/* What a result says beside the base: everything of a row but option and value. */
static json_t *compare(const struct readings *r, const struct snpu_result *result)
{
	json_t *nodes = json_array();
	uint64_t values = 0, counts = 0, classes = 0, most = 0;
	struct snpu_record a, b;
	const char *where = "";
	double spikes = 0;

	for (unsigned int i = 0; snpu_result_record(result, i, &b) == 0 && snpu_result_record(r->base, i, &a) == 0; i++) {
		uint64_t d = differences(a.array, b.array);

		if (b.output) {
			compare_answer(a.array, b.array, &counts, &classes);
			continue;
		}
		spikes += total(b.array);
		values += d;
		where = d > most ? b.name : where;
		most = d > most ? d : most;
		json_array_append_new(nodes, json_pack("{s:s, s:f, s:f, s:I}", "node", b.name, "spikes", total(b.array), "spikes_as_decided", total(a.array),
						       "values_changed", (json_int_t)d));
	}
	return json_pack("{s:f, s:I, s:I, s:I, s:s, s:o}", "spikes", spikes, "values_changed", (json_int_t)values, "counts_changed", (json_int_t)counts,
			 "classes_changed", (json_int_t)classes, "most", where, "nodes", nodes);
}

/* Runs a reading and adds its row, unless it means the same. */
static void add_reading(struct readings *r, const char *option, const char *value, const struct snpu_meaning *m)
{
	struct snpu_semantics_info meaning = { .sz = sizeof(meaning) };
	struct snpu_result *result = run(r, m, &meaning);
	json_t *row = NULL;

	if (!result)
		row = json_pack("{s:s}", "error", snpu_last_error());
	else if (!same_meaning(&meaning, &r->meaning))
		row = compare(r, result);
	if (row) {
		json_object_set_new(row, "option", json_string(option));
		json_object_set_new(row, "value", json_string(value));
		json_array_append_new(r->rows, row);
	}
	snpu_result_free(result);
}

/* --- all of them -------------------------------------------------------------------------------------------------- */

#define EACH_VALUE(r, OPTION, name, field, type, last)							\
	for (unsigned int v_ = 1; v_ <= (last); v_++) {							\
		struct snpu_meaning m_ = (r)->e->meaning;						\
													\
		m_.field = (type)v_;									\
		add_reading(r, name, snpu_meaning_name(OPTION, v_), &m_);				\
	}

static void run_all(struct readings *r)
{
	struct snpu_meaning m = r->e->meaning;
	const char *name;

	EACH_VALUE(r, SNPU_MEANING_INTEGRATOR, "--integrator", integrator, enum snpu_integrator, SNPU_INTEGRATOR_EXP)
	EACH_VALUE(r, SNPU_MEANING_RESET, "--reset", reset, enum snpu_reset, SNPU_RESET_DELTA)
	EACH_VALUE(r, SNPU_MEANING_RESET_TIME, "--reset-time", reset_time, enum snpu_reset_time, SNPU_RESET_BOTH_STEPS)
	EACH_VALUE(r, SNPU_MEANING_COMPARE, "--compare", compare, enum snpu_compare, SNPU_COMPARE_GE)
	m.max_spikes = r->meaning.max_spikes == 1 ? SNPU_SPIKES_ANY : 1;
	add_reading(r, "--multi-spike", m.max_spikes == 1 ? "1" : "", &m);
	m = r->e->meaning;
	m.floor = r->meaning.floor == SNPU_FLOOR_NONE ? SNPU_FLOOR_THRESHOLD : SNPU_FLOOR_NONE;
	add_reading(r, "--v-min", snpu_meaning_name(SNPU_MEANING_FLOOR, m.floor), &m);
	EACH_VALUE(r, SNPU_MEANING_GAIN, "--gain", gain, enum snpu_gain, SNPU_GAIN_RAW_DECAYED)
	EACH_VALUE(r, SNPU_MEANING_DELAY, "--delay", delay, enum snpu_delay, SNPU_DELAY_SYNAPSE)
	for (unsigned int d = 1; (name = snpu_dialect_name((enum snpu_dialect)d)); d++) {
		m = (struct snpu_meaning){ .dialect = (enum snpu_dialect)d, .dt = r->e->meaning.dt, .number = r->e->meaning.number };
		add_reading(r, "--dialect", name, &m);
	}
}

static void choose_records(struct readings *r)
{
	static const char *const fires[] = { "IF", "LIF", "CubaLIF", "Threshold" };
	struct snpu_node_info n;

	for (unsigned int i = 0; i < snpu_model_node_count(r->e->model) && !snpu_model_node(r->e->model, i, &n); i++)
		for (size_t k = 0; k < sizeof(fires) / sizeof(fires[0]); k++)
			if (strcmp(n.type, fires[k]) == 0 && r->n_records < RECORDS_MAX)
				r->records[r->n_records++] = n.name;
}

/* Elements of all outputs of all samples, without steps. */
static uint64_t output_elements(const struct snpu_result *result)
{
	struct snpu_record rec;
	uint64_t n = 0;

	for (unsigned int i = 0; snpu_result_record(result, i, &rec) == 0; i++)
		n += rec.output && rec.array->shape[1] ? rec.array->count / rec.array->shape[1] : 0;
	return n;
}

static enum snpu_exit run_readings(struct readings *r)
{
	const char *file = r->e->feed_opts.n_files ? r->e->feed_opts.files[0] : NULL;

	choose_records(r);
	r->meaning.sz = sizeof(r->meaning);
	r->base = run(r, &r->e->meaning, &r->meaning);
	if (!r->base)
		return snpu_cli_fail_library(SNPU_EXIT_FAILURE, NULL);
	r->rows = json_array();
	run_all(r);
	json_object_set_new(r->e->facts, "alternatives",
			    json_pack("{s:o, s:I, s:I, s:I, s:o, s:o}", "input", file ? snpu_cli_string(snpu_text_basename(file)) : json_string("random spikes, 10 % of inputs in a step"),
				      "samples", (json_int_t)r->feed.samples, "steps", (json_int_t)r->feed.steps, "outputs", (json_int_t)output_elements(r->base),
				      "as_decided", compare(r, r->base), "readings", r->rows));
	return SNPU_EXIT_OK;
}

enum snpu_exit snpu_explain_readings(struct snpu_explain *e)
{
	struct readings r = { .e = e };
	enum snpu_exit st = open_input(&r);

	if (!st)
		st = run_readings(&r);
	snpu_result_free(r.base);
	snpu_feed_close(&r.feed);
	return st;
}
