// SPDX-License-Identifier: MIT
/*
 * `snpu run` of a network of populations: file, device, run, spikes, files. What there is to tell becomes facts, with the names that those of a NIR
 * network have where they mean the same; the screen (net_view.c) reads nothing else, but the spikes that it draws.
 */
#include "run.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <snpu/snpu_net.h>

#include "device.h"
#include "progress.h"
#include "raster.h"
#include "text.h"

#define RECORDS_MAX	(SNPU_RUN_LIST + 64)
#define FEW_NEURONS	200000u			/* of which spikes are kept without being asked for */
#define CELLS_MAX	(64ull << 20)		/* neurons times steps of a picture; more are not drawn */

struct net {
	struct snpu_run *run;
	struct snpu_net *net;
	struct snpu_net_run *steps;
	uint64_t n_steps;
	const char *record[RECORDS_MAX];
	unsigned int n_records, asked;		/* the first ones are those that --nodes asks for */
};

static struct snpu_net_run *volatile interruptible;

static void on_interrupt(int signal)
{
	(void)signal;
	if (interruptible)
		snpu_net_run_cancel(interruptible);
}

static int on_progress(void *arg, uint64_t done, uint64_t all)
{
	char text[64];

	snprintf(text, sizeof(text), "%llu/%llu steps", (unsigned long long)done, (unsigned long long)all);
	snpu_progress_show(arg, (double)done, (double)all, text);
	return 0;
}

/* --- facts before --------------------------------------------------------------------------------------------------- */

static json_t *whole(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *populations(const struct snpu_net *net, uint64_t *neurons)
{
	struct snpu_net_population_info p = { .sz = sizeof(p) };
	json_t *list = json_array();

	for (unsigned int i = 0; i < snpu_net_population_count(net) && !snpu_net_population(net, i, &p); i++) {
		*neurons += p.neurons;
		json_array_append_new(list, json_pack("{s:o, s:s, s:o}", "name", snpu_cli_string(p.name), "model", p.model == SNPU_NET_LIF ? "lif" : "spikes",
						      "neurons", whole(p.neurons)));
	}
	return list;
}

static json_t *projections(const struct snpu_net *net, uint64_t *synapses, uint64_t *bytes)
{
	struct snpu_net_population_info from = { .sz = sizeof(from) }, to = { .sz = sizeof(to) };
	struct snpu_net_projection_info p = { .sz = sizeof(p) };
	json_t *list = json_array();

	for (unsigned int i = 0; i < snpu_net_projection_count(net) && !snpu_net_projection(net, i, &p); i++) {
		if (snpu_net_population(net, p.source, &from) || snpu_net_population(net, p.target, &to))
			break;
		*synapses += p.synapses;
		*bytes += p.bytes;
		json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:[I, I]}", "name", snpu_cli_string(p.name), "source", snpu_cli_string(from.name),
						      "target", snpu_cli_string(to.name), "receptor", p.receptor == SNPU_NET_E ? "e" : "i", "synapses", whole(p.synapses),
						      "weight", p.weights ? json_null() : json_real(p.weight), "bytes", whole(p.bytes), "delay_steps",
						      (json_int_t)p.delay_least, (json_int_t)p.delay_most));
	}
	return list;
}

static void facts_before(const struct net *n)
{
	uint64_t neurons = 0, synapses = 0, bytes = 0;
	json_t *pops = populations(n->net, &neurons), *projs = projections(n->net, &synapses, &bytes), *facts = n->run->facts;

	json_object_set_new(facts, "device", snpu_device_facts(&n->run->info));
	json_object_set_new(facts, "model", json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o}", "file", snpu_cli_string(n->run->opts->model), "format", "populations",
						      "neurons", whole(neurons), "synapses", whole(synapses), "synapse_bytes", whole(bytes), "populations", pops,
						      "projections", projs));
	json_object_set_new(facts, "time", json_pack("{s:f, s:s, s:o}", "dt", snpu_net_dt(n->net), "dt_source", n->run->opts->meaning.dt > 0 ? "option" : "file",
						     "steps", whole(n->n_steps)));
}

/* --- running -------------------------------------------------------------------------------------------------------- */

static enum snpu_exit load(struct net *n)
{
	const struct snpu_run_opts *o = n->run->opts;

	if (snpu_net_load(o->model, o->meaning.dt, &n->net))
		return snpu_cli_fail_library(SNPU_EXIT_FAILURE, NULL);
	n->n_steps = o->feed.steps ? o->feed.steps : snpu_net_steps(n->net);
	if (!n->n_steps)
		return snpu_cli_fail(SNPU_EXIT_USAGE, "give --steps T", "%s does not say how many steps it wants", o->model);
	return SNPU_EXIT_OK;
}

static void add_record(struct net *n, const char *name)
{
	for (unsigned int i = 0; i < n->n_records; i++)
		if (!strcmp(n->record[i], name))
			return;
	if (n->n_records < RECORDS_MAX)
		n->record[n->n_records++] = name;
}

/* What --nodes asks for; the spikes of all populations where they are drawn or written, and where that costs nothing to speak of. */
static void choose_records(struct net *n)
{
	const struct snpu_run_opts *o = n->run->opts;
	struct snpu_net_population_info p = { .sz = sizeof(p) };
	bool wanted = o->raster || o->rates || o->record || snpu_fact_number(n->run->facts, "model.neurons") <= FEW_NEURONS;

	for (unsigned int i = 0; i < o->n_nodes; i++)
		add_record(n, o->nodes[i]);
	n->asked = n->n_records;
	for (unsigned int i = 0; wanted && !o->n_nodes && i < snpu_net_population_count(n->net) && !snpu_net_population(n->net, i, &p); i++)
		if (p.model == SNPU_NET_LIF)
			add_record(n, p.name);
}

static enum snpu_exit run_steps(struct net *n)
{
	struct sigaction action = { .sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND }, old;
	struct snpu_progress progress;
	struct snpu_net_run_opts o = { .sz = sizeof(o), .device = n->run->device, .require_device = n->run->opts->require_device, .records = n->record,
				       .n_records = n->n_records, .progress = on_progress, .progress_arg = &progress };
	int err = snpu_net_run_create(n->net, &o, &n->steps);

	if (err)
		return snpu_cli_fail_library(err == -ENODEV || err == -ENOTSUP ? SNPU_EXIT_NO_DEVICE : SNPU_EXIT_FAILURE, NULL);
	snpu_progress_start(&progress, "run", !n->run->opts->quiet);
	interruptible = n->steps;
	sigaction(SIGINT, &action, &old);
	err = snpu_net_run_steps(n->steps, n->n_steps);
	sigaction(SIGINT, &old, NULL);
	interruptible = NULL;
	snpu_progress_end(&progress);
	if (err == -ECANCELED)
		return snpu_cli_fail(SNPU_EXIT_INTERRUPTED, NULL, "interrupted");
	return err ? snpu_cli_fail_library(err == -EREMOTEIO ? SNPU_EXIT_NO_DEVICE : SNPU_EXIT_FAILURE, NULL) : SNPU_EXIT_OK;
}

/* --- facts after ---------------------------------------------------------------------------------------------------- */

static void profile_facts(const struct net *n)
{
	uint64_t total[SNPU_COUNTER_COUNT] = { 0 };
	json_t *rows = json_array(), *device;
	struct snpu_device_info info = { .sz = sizeof(info) };
	struct snpu_net_row row;

	if (snpu_net_run_device(n->steps, &info))
		info.name[0] = 0;
	for (unsigned int i = 0; !snpu_net_run_row(n->steps, i, &row); i++)
		for (unsigned int c = 0; c < row.n_counters; c++)
			total[c] += row.counter[c];
	for (unsigned int i = 0; !snpu_net_run_row(n->steps, i, &row); i++) {
		bool updates = row.counter[SNPU_COUNTER_UPDATES] > 0;

		json_array_append_new(rows, json_pack("{s:o, s:s, s:b, s:o, s:o, s:o}", "node", snpu_cli_string(row.name), "device", info.name, "projection", row.projection,
						      "share", total[SNPU_COUNTER_CYCLES] ? json_real((double)row.counter[SNPU_COUNTER_CYCLES] / (double)total[SNPU_COUNTER_CYCLES]) : json_null(),
						      "active", updates ? json_real((double)row.counter[SNPU_COUNTER_SPIKES] / (double)row.counter[SNPU_COUNTER_UPDATES]) : json_null(),
						      "counters", snpu_run_counters(row.counter, row.n_counters)));
	}
	device = json_pack("[{s:s, s:o}]", "device", info.name, "counters", snpu_run_counters(total, SNPU_COUNTER_COUNT));
	json_object_set_new(n->run->facts, "profile", json_pack("{s:o, s:o}", "nodes", rows, "totals", device));
}

static void facts_after(const struct net *n)
{
	struct snpu_net_stats s = { .sz = sizeof(s) };
	const char *fallback = snpu_net_run_fallback(n->steps);
	json_t *p;
	size_t i;

	if (snpu_net_run_stats(n->steps, &s))
		return;
	profile_facts(n);
	json_array_foreach(snpu_fact(n->run->facts, "model.populations"), i, p) {
		struct snpu_net_row row;

		if (strcmp(snpu_fact_text(p, "model"), "lif") || snpu_net_run_row(n->steps, (unsigned int)i + 1, &row))
			continue;
		json_object_set_new(p, "spikes", whole(row.counter[SNPU_COUNTER_SPIKES]));
		json_object_set_new(p, "rate", json_real((double)row.counter[SNPU_COUNTER_SPIKES] / snpu_fact_number(p, "neurons") / ((double)s.steps * snpu_net_dt(n->net))));
	}
	json_object_set_new(n->run->facts, "stats", json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "steps", whole(s.steps), "jobs", whole(s.jobs), "updates", whole(s.updates),
							      "spikes", whole(s.spikes), "synaptic_events", whole(s.synapses), "wall_ns", whole(s.wall_ns), "host_ns", whole(s.host_ns)));
	json_object_set_new(n->run->facts, "fallbacks", fallback ? json_pack("[s]", fallback) : json_array());
}

/* --- pictures and files --------------------------------------------------------------------------------------------- */

/* A record as a map of neurons by steps: of many neurons the first, as many as are worth it. free() value when the record is spikes. */
static bool panel_of(const struct net *n, const char *record, struct snpu_panel *p, char name[128])
{
	struct snpu_net_spikes s;
	const struct snpu_array *values;
	double neurons = 0;
	float *cell;
	json_t *pop;
	size_t i;

	*p = (struct snpu_panel){ .name = record, .steps = n->n_steps, .winner = -1, .sample = -1 };
	if (!snpu_net_run_values(n->steps, record, &values)) {
		p->value = values->data;
		p->neurons = values->shape[1];
		return true;
	}
	json_array_foreach(snpu_fact(n->run->facts, "model.populations"), i, pop)
		if (!strcmp(snpu_fact_text(pop, "name"), record))
			neurons = snpu_fact_number(pop, "neurons");
	p->neurons = n->n_steps * neurons <= (double)CELLS_MAX ? (uint64_t)neurons : CELLS_MAX / n->n_steps;
	if (!p->neurons || snpu_net_run_spikes(n->steps, record, &s))
		return false;
	cell = calloc(p->neurons * p->steps, sizeof(*cell));
	for (uint64_t k = 0; cell && k < s.count; k++)
		if (s.neuron[k] < p->neurons)
			cell[s.step[k] * p->neurons + s.neuron[k]] = 1;
	if (p->neurons < (uint64_t)neurons) {
		snprintf(name, 128, "%.80s, the first %llu", record, (unsigned long long)p->neurons);
		p->name = name;
	}
	p->value = cell;
	return cell != NULL;
}

static bool is_spikes(const struct net *n, const char *record)
{
	struct snpu_net_spikes s;

	return !snpu_net_run_spikes(n->steps, record, &s);
}

static enum snpu_exit write_pictures(const struct net *n)
{
	struct snpu_panel panels[RECORDS_MAX];
	void *made[RECORDS_MAX];		/* what panel_of() allocated */
	char names[RECORDS_MAX][128], text[300];
	struct snpu_picture picture = { .title = snpu_text_basename(n->run->opts->model), .subtitle = text, .dt = snpu_net_dt(n->net), .panel = panels };
	enum snpu_exit st;

	if (!n->run->opts->raster && !n->run->opts->rates)
		return SNPU_EXIT_OK;
	for (unsigned int i = 0; i < n->n_records; i++) {
		if (!panel_of(n, n->record[i], &panels[picture.panels], names[picture.panels]))
			continue;
		made[picture.panels] = is_spikes(n, n->record[i]) ? (void *)panels[picture.panels].value : NULL;
		picture.panels++;
	}
	snprintf(text, sizeof(text), "%s of %s · %s: %s", snpu_text_of(SNPU_TEXT, (double)n->n_steps, "step"), snpu_text_seconds(SNPU_TEXT, picture.dt),
		 snpu_fact_text(n->run->facts, "device.name"), snpu_device_words(snpu_fact(n->run->facts, "device")));
	st = snpu_run_write_pictures(n->run, &picture);
	for (unsigned int i = 0; i < picture.panels; i++)
		free(made[i]);
	return st;
}

/* The arrays of a file that is to be written. */
struct files {
	char text[2 * RECORDS_MAX][300];
	const char *name[2 * RECORDS_MAX];
	struct snpu_array array[2 * RECORDS_MAX];
	unsigned int n;
};

static void add_array(struct files *f, const char *record, const char *part, struct snpu_array array)
{
	snprintf(f->text[f->n], sizeof(f->text[f->n]), "%s%s", record, part);
	f->name[f->n] = f->text[f->n];
	f->array[f->n++] = array;
}

/* Spikes as two arrays, "POP.step" and "POP.neuron"; values as they are. */
static enum snpu_exit write_record(const struct net *n)
{
	struct files *f = n->run->opts->record ? calloc(1, sizeof(*f)) : NULL;
	json_t *written = json_array();
	int err;

	for (unsigned int i = 0; f && i < n->n_records; i++) {
		const struct snpu_array *values;
		struct snpu_net_spikes s;

		if (!snpu_net_run_spikes(n->steps, n->record[i], &s)) {		/* its arrays are only read */
			add_array(f, n->record[i], ".step", (struct snpu_array){ .dtype = SNPU_U64, .rank = 1, .shape = { s.count }, .count = s.count, .data = (void *)s.step });
			add_array(f, n->record[i], ".neuron", (struct snpu_array){ .dtype = SNPU_U32, .rank = 1, .shape = { s.count }, .count = s.count, .data = (void *)s.neuron });
		} else if (!snpu_net_run_values(n->steps, n->record[i], &values)) {
			add_array(f, n->record[i], "", *values);
		}
	}
	for (unsigned int i = 0; f && i < f->n; i++)
		json_array_append_new(written, json_string(f->name[i]));
	err = f ? snpu_npz_write(n->run->opts->record, f->n, f->name, f->array) : 0;
	if (f && !err)
		json_object_set_new(n->run->facts, "record", json_pack("{s:o, s:O}", "file", snpu_cli_string(n->run->opts->record), "arrays", written));
	json_decref(written);
	free(f);
	if (n->run->opts->record && !f)
		return snpu_cli_fail(SNPU_EXIT_FAILURE, NULL, "no memory to write %s", n->run->opts->record);
	return err ? snpu_cli_fail_library(SNPU_EXIT_FAILURE, NULL) : SNPU_EXIT_OK;
}

static void view_after(const struct net *n)
{
	struct snpu_panel panel;
	char name[128];
	bool there = n->n_records && panel_of(n, n->record[0], &panel, name);

	snpu_run_net_view_after(n->run, there ? &panel : NULL);
	if (there && is_spikes(n, n->record[0]))
		free((void *)panel.value);
}

static enum snpu_exit execute(struct net *n)
{
	const struct snpu_run_opts *o = n->run->opts;
	enum snpu_exit st = load(n);

	if (st)
		return st;
	facts_before(n);
	choose_records(n);
	if (!o->json && !o->quiet)
		snpu_run_net_view_before(n->run);
	st = run_steps(n);
	if (st)
		return st;
	facts_after(n);
	st = write_record(n);
	if (!st)
		st = write_pictures(n);
	if (!st && !o->json && !o->quiet)
		view_after(n);
	if (!st && o->json && !snpu_cli_print_json(json_incref(n->run->facts)))
		st = SNPU_EXIT_FAILURE;
	return st;
}

enum snpu_exit snpu_run_net(struct snpu_run *run)
{
	struct net n = { .run = run };
	enum snpu_exit st = execute(&n);

	snpu_net_run_free(n.steps);
	snpu_net_free(n.net);
	return st;
}
