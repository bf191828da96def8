// SPDX-License-Identifier: MIT
/*
 * `snpu run`: device, model, input, session, run, answer, files - in this order, each step printing its own error. The
 * run can be interrupted: the signal handler asks the session to stop after its chunk.
 */
#include "run.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "model_info.h"
#include "progress.h"
#include "text.h"

#define RECORDS_MAX	(2 * SNPU_RUN_LIST + 64)

/* For the signal handler, which has no argument. Set while a session runs. */
static struct snpu_session *volatile interruptible;

static void on_interrupt(int signal)
{
	(void)signal;
	if (interruptible)
		snpu_session_cancel(interruptible);
}

/* Never stops the run. */
static int on_progress(void *arg, uint64_t done, uint64_t all)
{
	char text[64];

	snprintf(text, sizeof(text), "%llu/%llu samples", (unsigned long long)done, (unsigned long long)all);
	snpu_progress_show(arg, (double)done, (double)all, text);
	return 0;
}

/* --- steps ---------------------------------------------------------------------------------------------------- */

static enum snpu_exit open_device(struct snpu_run *run)
{
	enum snpu_exit st = snpu_device_choose(run->opts->device, run->opts->require_device, &run->device);

	if (st)
		return st;
	run->info.sz = sizeof(run->info);
	if (snpu_device_info(run->device, &run->info))
		return snpu_cli_fail_library(SNPU_EXIT_FAILURE, "snpu list");
	return SNPU_EXIT_OK;
}

static enum snpu_exit load_model(struct snpu_run *run)
{
	int err = snpu_model_load_file(run->opts->model, &run->model);

	if (err)
		return snpu_cli_fail_library(SNPU_EXIT_FAILURE, err == -ENOENT ? "check the path; a model is a file that a NIR exporter wrote" : NULL);
	return SNPU_EXIT_OK;
}

static void add_record(const char **records, unsigned int *n, const char *name)
{
	for (unsigned int i = 0; i < *n; i++)
		if (strcmp(records[i], name) == 0)
			return;
	if (*n < RECORDS_MAX)
		records[(*n)++] = name;
}

/* Does the node feed an output of the model, so that nothing is lost by drawing only that? (A nested graph has Outputs of its own.) */
static bool feeds_output(const struct snpu_model *m, unsigned int node)
{
	struct snpu_edge_info e;

	for (unsigned int i = 0; i < snpu_model_edge_count(m); i++)
		for (unsigned int k = 0; k < snpu_model_output_count(m); k++)
			if (snpu_model_edge(m, i, &e) == 0 && e.from == node && (int)e.to == snpu_model_output(m, k))
				return true;
	return false;
}

/* What to keep: --nodes, what --expect looks at, and for a picture every layer of neurons. `expected` holds the names. */
static unsigned int choose_records(const struct snpu_run *run, const char **records, char (*expected)[256])
{
	const struct snpu_run_opts *o = run->opts;
	struct snpu_node_info node;
	unsigned int n = 0;

	for (unsigned int i = 0; i < o->n_nodes; i++)
		add_record(records, &n, o->nodes[i]);
	for (unsigned int i = 0; i < o->n_expect; i++) {
		snpu_run_expect_node(o->expect[i], expected[i], sizeof(expected[i]));
		if (expected[i][0])
			add_record(records, &n, expected[i]);
	}
	for (unsigned int i = 0; (o->raster || o->rates) && !o->n_nodes && i < snpu_model_node_count(run->model); i++)
		if (snpu_model_node(run->model, i, &node) == 0 && node.neuron && !feeds_output(run->model, i))
			add_record(records, &n, node.name);
	return n;
}

/* "the model's nodes: fc1, lif1, ...", for a name that it does not have. */
static const char *node_names(const struct snpu_model *m)
{
	static char text[400];
	struct snpu_node_info node;
	size_t n = (size_t)snprintf(text, sizeof(text), "the model's nodes:");

	for (unsigned int i = 0; i < snpu_model_node_count(m) && snpu_model_node(m, i, &node) == 0 && n < sizeof(text); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s %s", i ? "," : "", node.name);
	return text;
}

static enum snpu_exit create_session(struct snpu_run *run, struct snpu_progress *progress)
{
	const struct snpu_run_opts *o = run->opts;
	static char expected[SNPU_RUN_LIST][256];
	static const char *records[RECORDS_MAX];
	struct snpu_session_opts so = {
		.sz = sizeof(so), .devices = &run->device, .n_devices = 1, .require_device = o->require_device,
		.place = o->place, .n_place = o->n_place,
		.records = records, .n_records = choose_records(run, records, expected), .progress = progress ? on_progress : NULL, .progress_arg = progress,
	};
	int err;

	snpu_meaning_apply(&o->meaning, &so);
	err = snpu_session_create(run->model, &so, &run->session);

	if (err)
		return snpu_cli_fail_library(err == -ENODEV ? SNPU_EXIT_NO_DEVICE : SNPU_EXIT_FAILURE, err == -ENOENT ? node_names(run->model) : NULL);
	return SNPU_EXIT_OK;
}

static enum snpu_exit run_session(struct snpu_run *run, struct snpu_progress *progress)
{
	struct sigaction action = { .sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND }, old;
	int err;

	snpu_progress_start(progress, "run", !run->opts->quiet);
	interruptible = run->session;
	sigaction(SIGINT, &action, &old);
	err = snpu_session_run(run->session, run->feed.input, run->feed.n_inputs, &run->result);
	sigaction(SIGINT, &old, NULL);
	interruptible = NULL;
	snpu_progress_end(progress);
	if (err == -ECANCELED)
		return snpu_cli_fail(SNPU_EXIT_INTERRUPTED, NULL, "interrupted");
	if (err)
		return snpu_cli_fail_library(err == -ENODEV || err == -EREMOTEIO ? SNPU_EXIT_NO_DEVICE : SNPU_EXIT_FAILURE, NULL);
	return SNPU_EXIT_OK;
}

/* The class of each sample, one a line. */
static void print_quiet(const struct snpu_run *run)
{
	json_t *k;
	size_t i;

	json_array_foreach(snpu_fact(run->facts, "answer.classes"), i, k) {
		if (json_is_null(k))
			puts("-");
		else
			printf("%lld\n", (long long)json_integer_value(k));
	}
}

/* Encoders make spikes; arrays may hold anything. */
static bool input_is_binary(const struct snpu_feed *feed)
{
	for (unsigned int k = 0; k < feed->n_inputs; k++) {
		const struct snpu_array *a = &feed->view[k];
		float v[1024];

		for (uint64_t at = 0; !feed->input[k].encoder && at < a->count; at += 1024) {
			uint64_t n = a->count - at < 1024 ? a->count - at : 1024;

			if (snpu_array_to_f32(a, at, n, v))
				return false;
			for (uint64_t i = 0; i < n; i++)
				if (v[i] != 0 && v[i] != 1 && v[i] != -1)
					return false;
		}
	}
	return true;
}

/* Everything between the model and the answer, of files. */
static enum snpu_exit run_files(struct snpu_run *run)
{
	const struct snpu_run_opts *o = run->opts;
	struct snpu_progress progress;
	enum snpu_exit st = snpu_feed_open(&run->feed, run->model, &o->feed);

	if (!st)
		st = create_session(run, &progress);
	if (st)
		return st;
	run->input_binary = input_is_binary(&run->feed);
	snpu_run_facts_before(run);
	if (!o->json && !o->quiet)
		snpu_run_view_before(run);
	return run_session(run, &progress);
}

static enum snpu_exit create_for_stream(struct snpu_run *run)
{
	return create_session(run, NULL);
}

static enum snpu_exit execute(struct snpu_run *run)
{
	const struct snpu_run_opts *o = run->opts;
	enum snpu_exit st = snpu_run_check_outputs(o), verdict;

	if (!st)
		st = open_device(run);
	if (!st && o->net)
		return snpu_run_net(run);
	if (!st)
		st = load_model(run);
	if (!st)
		st = o->feed.events.stream ? snpu_run_stream(run, create_for_stream) : run_files(run);
	if (st)
		return st;
	snpu_run_facts_after(run);
	verdict = snpu_run_answer(run);
	if (verdict && verdict != SNPU_EXIT_DIFFERENT)
		return verdict;
	st = snpu_run_write_record(run);
	if (!st)
		st = snpu_run_write_raster(run);
	if (st)
		return st;
	if (o->quiet && !o->json)
		print_quiet(run);
	else if (!o->json)
		snpu_run_view_after(run);
	if (o->json && !snpu_cli_print_json(json_incref(run->facts)))
		return SNPU_EXIT_FAILURE;
	return verdict;
}

enum snpu_exit snpu_cmd_run(int argc, char **argv)
{
	struct snpu_run_opts opts;
	struct snpu_run run = { .opts = &opts };
	enum snpu_exit st;

	snpu_run_parse(&opts, argc, argv);
	run.facts = snpu_cli_facts();
	st = execute(&run);
	json_decref(run.facts);
	snpu_result_free(run.result);
	snpu_run_kept_free(&run);
	snpu_session_free(run.session);
	snpu_feed_close(&run.feed);
	snpu_model_free(run.model);
	snpu_device_close(run.device);
	free(opts.feed.files);
	return st;
}
