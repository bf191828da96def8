// SPDX-License-Identifier: MIT
/*
 * `snpu quantize`: a network in integers, beside itself in floats on samples of the user, layer by layer; and as a file. Each step prints its
 * own error.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "classes.h"
#include "cli.h"
#include "device.h"
#include "feed.h"
#include "meaning.h"
#include "model_info.h"
#include "text.h"

#define RECORDS_MAX	512

struct quantize {
	const char *file, *out, *device_name;
	unsigned int bits;			/* 0: not given */
	bool json;
	struct snpu_meaning meaning;
	struct snpu_feed_opts feed_opts;
	struct snpu_device *device;
	struct snpu_model *model;
	struct snpu_feed feed;
	const char *records[RECORDS_MAX];
	char name[RECORDS_MAX][256];
	unsigned int n_records;
	struct snpu_session *session[2];	/* in floats, in integers */
	struct snpu_result *result[2];
	json_t *facts;
};

static const struct argp_option options[] = {
	{ "calib", 'c', "[NODE=]FILE", 0, "samples to compare on, as --input of `snpu run`; repeatable", 1 },
	{ "bits", 'b', "8|16", 0, "of weights: short for --number int8 or int16 (default: 8)", 1 },
	{ "output", 'o', "FILE.snpu", 0, "write the network in integers here (default: report alone)", 1 },
	{ "samples", 'n', "N", 0, "the first N samples (default: all)", 1 },
	{ "steps", 's', "T", 0, "time steps of an image (default: what the model's file says)", 1 },
	{ "device", 'd', "NAME", 0, "where both run (default: cpu)", 1 },
	{ "json", 'j', NULL, 0, "print JSON", 1 },
	{ 0 },
};

static void finish(struct quantize *q, const struct argp_state *state)
{
	if (!q->file)
		argp_error(state, "which model? Give a .nir file");
	if (!q->feed_opts.n_files)
		argp_error(state, "on which samples? Give --calib FILE");
	if (q->bits && q->meaning.number)
		argp_error(state, "--bits and --number exclude each other");
	if (q->meaning.number == SNPU_NUMBER_F32)
		argp_error(state, "--number f32 is no number system of integers");
	if (!q->meaning.number)
		q->meaning.number = q->bits == 16 ? SNPU_NUMBER_INT16 : SNPU_NUMBER_INT8;
	q->feed_opts.dt = q->meaning.dt;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct quantize *q = state->input;

	switch (key) {
	case 'c': snpu_feed_add(&q->feed_opts, arg, state, "--calib"); return 0;
	case 'b':
		if (strcmp(arg, "8") && strcmp(arg, "16"))
			argp_error(state, "--bits takes 8 or 16, not '%s'", arg);
		q->bits = (unsigned int)atoi(arg);
		return 0;
	case 'o': q->out = arg; return 0;
	case 'n': q->feed_opts.last = snpu_option_whole(state, "--samples", arg, 1, 100000000); return 0;
	case 's': q->feed_opts.steps = (uint32_t)snpu_option_whole(state, "--steps", arg, 1, SNPU_FEED_STEPS_MAX); return 0;
	case 'd': q->device_name = arg; return 0;
	case 'j':
		q->json = true;
		snpu_cli_json(true);
		return 0;
	case ARGP_KEY_INIT: state->child_inputs[0] = &q->meaning; return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num)
			argp_error(state, "one model at a time, and '%s' is a second (samples need --calib)", arg);
		q->file = arg;
		return 0;
	case ARGP_KEY_END: finish(q, state); return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = { { &snpu_meaning_argp, 0, NULL, 0 }, { 0 } };
static const struct argp argp = {
	.options = options, .parser = parse, .children = children, .args_doc = "MODEL.nir --calib FILE",
	.doc = "Turns a spiking network into integers and says, layer by layer, what that changes on samples."
	       "\vExit status: 0 done, 1 failed, 2 wrong usage, 3 there is no such device.\n"
	       "Example: snpu quantize mnist_lif.nir --calib mnist_test1000.npz --bits 8 -o mnist.snpu",
};

/* --- running both ------------------------------------------------------------------------------------------------- */

static enum snpu_exit choose_records(struct quantize *q)
{
	for (unsigned int i = 0; i < snpu_model_node_count(q->model); i++) {
		struct snpu_node_info n;

		if (snpu_model_node(q->model, i, &n))
			return snpu_cli_fail_library(SNPU_EXIT_FAILURE, NULL);
		if (!n.neuron)
			continue;
		if (q->n_records + 2 > RECORDS_MAX)
			return snpu_cli_fail(SNPU_EXIT_FAILURE, "snpu run --number", "the network has more than %d layers of neurons, which is more than a report has", RECORDS_MAX / 2);
		for (int v = 0; v < 2; v++) {
			snprintf(q->name[q->n_records], sizeof(q->name[0]), "%s%s", n.name, v ? ".v" : "");
			q->records[q->n_records] = q->name[q->n_records];
			q->n_records++;
		}
	}
	return SNPU_EXIT_OK;
}

static enum snpu_exit run(struct quantize *q, int integers)
{
	struct snpu_session_opts so = { .sz = sizeof(so), .devices = &q->device, .n_devices = 1, .records = q->records, .n_records = q->n_records };
	int err;

	snpu_meaning_apply(&q->meaning, &so);
	if (!integers)
		so.number = SNPU_NUMBER_F32;
	err = snpu_session_create(q->model, &so, &q->session[integers]);
	if (!err)
		err = snpu_session_run(q->session[integers], q->feed.input, q->feed.n_inputs, &q->result[integers]);
	return err ? snpu_cli_fail_library(SNPU_EXIT_FAILURE, NULL) : SNPU_EXIT_OK;
}

static const struct snpu_array *record(const struct quantize *q, int integers, const char *name)
{
	struct snpu_record r;

	for (unsigned int i = 0; i < snpu_result_record_count(q->result[integers]); i++)
		if (!snpu_result_record(q->result[integers], i, &r) && strcmp(r.name, name) == 0)
			return r.array;
	return NULL;
}

/* --- facts -------------------------------------------------------------------------------------------------------- */

/* A number that may be infinite, which JSON does not have. */
static json_t *real(double x)
{
	return isfinite(x) ? json_real(x) : json_null();
}

static double rate(const struct snpu_array *a)
{
	double sum = 0;

	for (uint64_t i = 0; a && i < a->count; i++)
		sum += fabs((double)((const float *)a->data)[i]);
	return a && a->count ? sum / (double)a->count : 0;
}

static json_t *neuron_facts(const struct quantize *q, const struct snpu_node_info *n, const struct snpu_quant_info *info)
{
	char name[264];
	const struct snpu_array *v;
	double peak = 0, a = rate(record(q, 0, n->name)), b = rate(record(q, 1, n->name));
	uint64_t saturated = 0;
	bool fires = info->threshold_max || info->threshold_min;

	snprintf(name, sizeof(name), "%s.v", n->name);
	v = record(q, 1, name);
	for (uint64_t i = 0; v && i < v->count; i++) {
		double units = fabs(((const float *)v->data)[i] / info->unit_v[i % n->size]);

		peak = fmax(peak, units);
		saturated += units >= info->state_max * (1 - 1e-6);
	}
	return json_pack("{s:s, s:s, s:I, s:I, s:f, s:o, s:I, s:o, s:o, s:o, s:o}", "node", n->name, "type", n->type, "threshold_min", (json_int_t)info->threshold_min,
			 "threshold_max", (json_int_t)info->threshold_max, "peak", peak, "headroom_bits", real(log2(info->state_max / peak)), "saturated", (json_int_t)saturated,
			 "tau_error", real(info->tau_error), "rate_f32", fires ? json_real(a) : json_null(), "rate", fires ? json_real(b) : json_null(), "rate_ratio",
			 fires && a > 0 ? json_real(b / a) : json_null());
}

static enum snpu_exit layer_facts(struct quantize *q)
{
	json_t *weights = json_array(), *neurons = json_array();

	json_object_set_new(q->facts, "weights", weights);
	json_object_set_new(q->facts, "neurons", neurons);
	for (unsigned int k = 0; k < snpu_session_placement_count(q->session[1]); k++) {
		int i = snpu_model_find(q->model, snpu_session_placement(q->session[1], k)->node);
		struct snpu_quant_info info = { .sz = sizeof(info) };
		struct snpu_node_info n;

		if (i < 0 || snpu_model_node(q->model, (unsigned int)i, &n) || snpu_session_quant(q->session[1], (unsigned int)i, &info))
			return snpu_cli_fail_library(SNPU_EXIT_FAILURE, NULL);
		if (info.weights)
			json_array_append_new(weights, json_pack("{s:s, s:s, s:I, s:o, s:f, s:f, s:i}", "node", n.name, "type", n.type, "numbers", (json_int_t)info.weights,
								 "sqnr_db", real(info.weight_sqnr), "scale_min", info.scale_min, "scale_max", info.scale_max,
								 "fraction_bits", (int)info.shift));
		if (n.neuron)
			json_array_append_new(neurons, neuron_facts(q, &n, &info));
	}
	return SNPU_EXIT_OK;
}

/* Classes of the first output, by the sum of what it gave. */
static enum snpu_exit answer_facts(struct quantize *q)
{
	struct snpu_node_info out;
	const struct snpu_array *a, *b;
	uint64_t same = 0, right[2] = { 0 }, n;

	if (snpu_model_node(q->model, (unsigned int)snpu_model_output(q->model, 0), &out))
		return snpu_cli_fail_library(SNPU_EXIT_FAILURE, NULL);
	a = record(q, 0, out.name);
	b = record(q, 1, out.name);
	n = q->feed.samples && q->feed.steps ? a->count / q->feed.samples / q->feed.steps : 0;
	for (uint64_t s = 0; s < q->feed.samples; s++) {
		int64_t x = snpu_class_of((const float *)a->data + s * q->feed.steps * n, q->feed.steps, n);
		int64_t y = snpu_class_of((const float *)b->data + s * q->feed.steps * n, q->feed.steps, n);

		same += x == y;
		right[0] += q->feed.labels && x == q->feed.labels[s];
		right[1] += q->feed.labels && y == q->feed.labels[s];
	}
	json_object_set_new(q->facts, "answer", json_pack("{s:s, s:I, s:I, s:o, s:o}", "node", out.name, "samples", (json_int_t)q->feed.samples, "same_class", (json_int_t)same,
							  "right_f32", q->feed.labels ? json_integer((json_int_t)right[0]) : json_null(), "right",
							  q->feed.labels ? json_integer((json_int_t)right[1]) : json_null()));
	return SNPU_EXIT_OK;
}

static enum snpu_exit write_file(struct quantize *q)
{
	struct stat st = { 0 };

	if (!q->out)
		return SNPU_EXIT_OK;
	if (snpu_session_save_model(q->session[1], q->out) || stat(q->out, &st))
		return snpu_cli_fail_library(SNPU_EXIT_FAILURE, NULL);
	json_object_set_new(q->facts, "file", json_pack("{s:o, s:I}", "name", snpu_cli_string(q->out), "bytes", (json_int_t)st.st_size));
	return SNPU_EXIT_OK;
}

/* --- view --------------------------------------------------------------------------------------------------------- */

static const char *formatted(struct snpu_text *t, const char *fmt, double x)
{
	snprintf(t->s, sizeof(t->s), fmt, x);
	return t->s;
}

/* "3 to 7", "3" */
static const char *range(struct snpu_text *t, double low, double high)
{
	snprintf(t->s, sizeof(t->s), low == high ? "%.4g" : "%.4g to %.4g", low, high);
	return t->s;
}

/* The same of whole numbers. */
static const char *counts(struct snpu_text *t, double low, double high)
{
	snprintf(t->s, sizeof(t->s), low == high ? "%s" : "%s to %s", snpu_text_count(SNPU_TEXT, low), snpu_text_count(SNPU_TEXT, high));
	return t->s;
}

static void view_weights(const json_t *list, FILE *f)
{
	struct snpu_table t = { .align = "<<><>>", .columns = snpu_screen_columns() - SNPU_LABEL };
	const json_t *w;
	size_t i;

	SNPU_ROW(&t, "node", "type", "numbers", "scale", "fraction", "SQNR");
	json_array_foreach(list, i, w) {
		const json_t *sqnr = json_object_get(w, "sqnr_db");

		SNPU_ROW(&t, snpu_fact_text(w, "node"), snpu_fact_text(w, "type"), snpu_text_count(SNPU_TEXT, snpu_fact_number(w, "numbers")),
			 range(SNPU_TEXT, snpu_fact_number(w, "scale_min"), snpu_fact_number(w, "scale_max")),
			 formatted(SNPU_TEXT, "%.0f bits", snpu_fact_number(w, "fraction_bits")),
			 json_is_null(sqnr) ? "exact" : formatted(SNPU_TEXT, "%.1f dB", json_real_value(sqnr)));
	}
	snpu_table_print(&t, f, "weights");
}

static void view_neurons(const json_t *list, FILE *f)
{
	struct snpu_table t = { .align = "<<>>>>>>>", .columns = snpu_screen_columns() - SNPU_LABEL };
	const json_t *n;
	size_t i;

	SNPU_ROW(&t, "node", "threshold", "peak", "headroom", "saturated", "tau off", "rate f32", "rate", "ratio");
	json_array_foreach(list, i, n) {
		const json_t *ratio = json_object_get(n, "rate_ratio"), *tau = json_object_get(n, "tau_error"), *head = json_object_get(n, "headroom_bits");
		bool fires = !json_is_null(json_object_get(n, "rate"));

		SNPU_ROW(&t, snpu_fact_text(n, "node"),
			 fires ? counts(SNPU_TEXT, snpu_fact_number(n, "threshold_min"), snpu_fact_number(n, "threshold_max")) : "",
			 snpu_text_count(SNPU_TEXT, snpu_fact_number(n, "peak")), json_is_null(head) ? "all" : formatted(SNPU_TEXT, "%.1f bits", json_real_value(head)),
			 snpu_text_count(SNPU_TEXT, snpu_fact_number(n, "saturated")),
			 json_is_null(tau) ? "never decays" : formatted(SNPU_TEXT, "%.3g %%", 100 * json_real_value(tau)),
			 fires ? formatted(SNPU_TEXT, "%.4f", snpu_fact_number(n, "rate_f32")) : "", fires ? formatted(SNPU_TEXT, "%.4f", snpu_fact_number(n, "rate")) : "",
			 json_is_null(ratio) ? "" : formatted(SNPU_TEXT, "%.4f", json_real_value(ratio)));
	}
	snpu_table_print(&t, f, "neurons");
}

static void view(const struct quantize *q)
{
	FILE *f = snpu_screen_begin();
	double samples = snpu_fact_number(q->facts, "answer.samples"), same = snpu_fact_number(q->facts, "answer.same_class");

	fprintf(f, "model    %s in %s, %s of %s\n\n", snpu_text_basename(q->file), snpu_fact_text(q->facts, "number"), snpu_text_of(SNPU_TEXT, samples, "sample"),
		snpu_text_of(SNPU_TEXT, (double)q->feed.steps, "step"));
	view_weights(json_object_get(q->facts, "weights"), f);
	fputc('\n', f);
	view_neurons(json_object_get(q->facts, "neurons"), f);
	fprintf(f, "\nanswer   the class of %.0f of %.0f samples is that of floats (%.1f %%)\n", same, samples, 100 * same / samples);
	if (q->feed.labels)
		fprintf(f, "         right %.1f %%, in floats %.1f %%\n", 100 * snpu_fact_number(q->facts, "answer.right") / samples,
			100 * snpu_fact_number(q->facts, "answer.right_f32") / samples);
	if (q->out)
		fprintf(f, "file     %s, %s; read back, it gives the same bits\n\nnext     snpu run %s --input FILE\n", q->out,
			snpu_text_bytes(SNPU_TEXT, snpu_fact_number(q->facts, "file.bytes")), q->out);
	else
		fprintf(f, "\nnext     -o FILE.snpu writes it;  snpu run MODEL.nir --number %s runs it;  man snpu-quantize\n", snpu_fact_text(q->facts, "number"));
	snpu_screen_end();
}

static enum snpu_exit quantize(struct quantize *q)
{
	enum snpu_exit st = snpu_device_choose(q->device_name, false, &q->device);

	if (!st && snpu_model_load_file(q->file, &q->model))
		return snpu_cli_fail_library(SNPU_EXIT_FAILURE, NULL);
	if (!st)
		st = snpu_feed_open(&q->feed, q->model, &q->feed_opts);
	if (!st)
		st = choose_records(q);
	for (int integers = 0; integers < 2 && !st; integers++)
		st = run(q, integers);
	if (st)
		return st;
	json_object_set_new(q->facts, "model", snpu_cli_string(q->file));
	json_object_set_new(q->facts, "number", json_string(snpu_meaning_name(SNPU_MEANING_NUMBER, q->meaning.number)));
	json_object_set_new(q->facts, "time", snpu_meaning_facts(q->session[1]));
	st = layer_facts(q);
	if (!st)
		st = answer_facts(q);
	if (!st)
		st = write_file(q);
	if (!st && q->json)
		return snpu_cli_print_json(json_incref(q->facts)) ? SNPU_EXIT_OK : SNPU_EXIT_FAILURE;
	if (!st)
		view(q);
	return st;
}

enum snpu_exit snpu_cmd_quantize(int argc, char **argv)
{
	struct quantize *q = calloc(1, sizeof(*q));
	enum snpu_exit st;

	if (!q)
		return snpu_cli_fail(SNPU_EXIT_FAILURE, NULL, "no memory for a report");
	q->device_name = "cpu";
	q->feed_opts.last = UINT64_MAX;
	snpu_cli_parse(&argp, argc, argv, q);
	q->facts = snpu_cli_facts();
	st = quantize(q);
	json_decref(q->facts);
	for (int i = 0; i < 2; i++) {
		snpu_result_free(q->result[i]);
		snpu_session_free(q->session[i]);
	}
	snpu_feed_close(&q->feed);
	snpu_model_free(q->model);
	snpu_device_close(q->device);
	free(q->feed_opts.files);
	free(q);
	return st;
}
