// SPDX-License-Identifier: MIT
/*
 * What there is to tell about a run, as a JSON tree: device, model, time, notes, placement before it; profile, counters and
 * fallbacks after it. docs/man/snpu-run.1 lists the keys, which are stable.
 */
#include "run.h"

#include <string.h>

#include "device.h"
#include "snpu_job.h"
#include "text.h"

static json_t *whole(uint64_t v)
{
	return json_integer((json_int_t)v);
}

const char *snpu_run_device_name(const struct snpu_run *run, int device)
{
	return device >= 0 ? run->info.name : device == -1 ? "cpu" : "";
}

static json_t *shape_facts(const struct snpu_node_info *n)
{
	json_t *shape = json_array();

	for (unsigned int i = 0; i < n->rank; i++)
		json_array_append_new(shape, whole(n->shape[i]));
	return shape;
}

/* What a node gets: the size of its (first) source; a node's inputs are summed, so they are all alike. 0: nothing. */
static uint64_t input_size(const struct snpu_model *m, unsigned int node, json_t **shape)
{
	struct snpu_edge_info e;
	struct snpu_node_info from;

	for (unsigned int i = 0; i < snpu_model_edge_count(m); i++) {
		if (snpu_model_edge(m, i, &e) || e.to != node || snpu_model_node(m, e.from, &from))
			continue;
		if (shape)
			*shape = shape_facts(&from);
		return from.size;
	}
	if (shape)
		*shape = json_array();
	return 0;
}

static json_t *model_facts(const struct snpu_run *run)
{
	const struct snpu_model *m = run->model;
	uint64_t compute = 0, weights = 0, parameters = 0, neurons = 0;
	struct snpu_node_info n;

	for (unsigned int i = 0; i < snpu_model_node_count(m); i++) {
		if (snpu_model_node(m, i, &n))
			continue;
		compute += n.compute;
		weights += n.weights;
		parameters += n.parameters;
		neurons += n.neuron ? n.size : 0;
	}
	return json_pack("{s:o, s:s, s:i, s:o, s:o, s:o, s:o}", "file", snpu_cli_string(run->opts->model), "format", snpu_model_format(m), "nodes", snpu_model_node_count(m),
			 "compute_nodes", whole(compute), "neurons", whole(neurons), "weights", whole(weights), "parameters", whole(parameters));
}

static json_t *time_facts(const struct snpu_run *run)
{
	json_t *facts = snpu_meaning_facts(run->session);

	json_object_set_new(facts, "first_sample", whole(run->feed.first));
	json_object_set_new(facts, "samples", whole(run->feed.samples));
	json_object_set_new(facts, "steps", whole(run->feed.steps));
	return facts;
}

static json_t *placement_facts(const struct snpu_run *run)
{
	json_t *rows = json_array();
	struct snpu_node_info n;

	for (unsigned int i = 0; i < snpu_session_placement_count(run->session); i++) {
		const struct snpu_placement *p = snpu_session_placement(run->session, i);
		int node = snpu_model_find(run->model, p->node);
		json_t *in = NULL;

		if (node < 0 || snpu_model_node(run->model, (unsigned int)node, &n))
			continue;
		input_size(run->model, (unsigned int)node, &in);
		json_array_append_new(rows, json_pack("{s:s, s:s, s:o, s:o, s:b, s:s, s:s, s:b}", "node", p->node, "type", p->type, "in", in, "out", shape_facts(&n),
						      "compute", n.compute, "device", snpu_run_device_name(run, p->device), "reason", p->reason, "forced", p->forced));
	}
	return rows;
}

void snpu_run_facts_before(struct snpu_run *run)
{
	struct snpu_session_info s;

	snpu_session_info(run->session, &s);
	json_object_set_new(run->facts, "device", snpu_device_facts(&run->info));
	json_object_set_new(run->facts, "model", model_facts(run));
	json_object_set(run->facts, "inputs", run->feed.facts);
	json_object_set_new(run->facts, "time", time_facts(run));
	json_object_set_new(run->facts, "notes", snpu_meaning_notes(run->session));
	json_object_set_new(run->facts, "placement", placement_facts(run));
	json_object_set_new(run->facts, "plan", json_pack("{s:i, s:i, s:o, s:o}", "segments", s.segments, "crossings", s.crossings, "weight_bytes", whole(s.weight_bytes),
							  "program_bytes", whole(s.program_bytes)));
}

/* --- afterwards ----------------------------------------------------------------------------------------------- */

bool snpu_run_record_at(const struct snpu_run *run, unsigned int index, struct snpu_record *out)
{
	if (!run->kept.n)
		return snpu_result_record(run->result, index, out) == 0;
	if (index < run->kept.n)
		*out = run->kept.record[index];
	return index < run->kept.n;
}

bool snpu_run_profile_at(const struct snpu_run *run, unsigned int index, struct snpu_profile_row *out)
{
	bool there = snpu_result_profile(run->result, index, out) == 0;

	if (there && run->kept.counter)
		out->counter = run->kept.counter[index];
	return there;
}

void snpu_run_stats(const struct snpu_run *run, struct snpu_run_stats *out)
{
	if (run->kept.n)
		*out = run->kept.stats;
	else
		snpu_result_stats(run->result, out);
}

/* Share of neuron updates that fired, or of a synaptic node's inputs that were not zero; null where it means nothing. */
static json_t *active_share(const struct snpu_run *run, const struct snpu_profile_row *row)
{
	int node = snpu_model_find(run->model, row->node);
	const uint64_t *c = row->counter;

	if (c[SNPU_COUNTER_UPDATES] && c[SNPU_COUNTER_SPIKES] + c[SNPU_COUNTER_EVENTS] > 0 && !c[SNPU_COUNTER_SYNOPS])
		return json_real((double)c[SNPU_COUNTER_SPIKES] / (double)c[SNPU_COUNTER_UPDATES]);
	if (node < 0 || !(c[SNPU_COUNTER_SYNOPS] | c[SNPU_COUNTER_EVENTS]))
		return json_null();
	double offered = (double)input_size(run->model, (unsigned int)node, NULL) * (double)run->feed.samples * (double)run->feed.steps;

	return offered > 0 ? json_real((double)c[SNPU_COUNTER_EVENTS] / offered) : json_null();
}

/* How the steps of a convolution were computed; null for other nodes, and for a stream, whose steps are not all in the result. */
static json_t *path_facts(const struct snpu_run *run, const struct snpu_profile_row *row, uint64_t dense)
{
	int node = snpu_model_find(run->model, row->node);
	struct snpu_node_info n;

	if (run->kept.counter || node < 0 || snpu_model_node(run->model, (unsigned int)node, &n) || strncmp(n.type, "Conv", 4))
		return json_null();
	return json_pack("{s:o, s:o}", "events", whole(run->feed.samples * run->feed.steps - dense), "dense", whole(dense));
}

json_t *snpu_run_counters(const uint64_t *counter, unsigned int n)
{
	json_t *counters = json_object();

	for (unsigned int i = 0; i < n && snpu_counter_name(i); i++)
		json_object_set_new(counters, snpu_counter_name(i), whole(counter[i]));
	return counters;
}

static json_t *profile_row(const struct snpu_run *run, const struct snpu_profile_row *row, uint64_t cycles, uint64_t dense)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "node", row->node, "device", snpu_run_device_name(run, row->device),
			 "share", cycles ? json_real((double)row->counter[SNPU_COUNTER_CYCLES] / (double)cycles) : json_null(),
			 "active", active_share(run, row), "path", path_facts(run, row, dense), "counters", snpu_run_counters(row->counter, row->n_counters));
}

/* Rows and, for each device, the totals: shares are of a device's cycles, because those of two devices cannot be added. */
static json_t *profile_facts(const struct snpu_run *run)
{
	uint64_t total[2][SNPU_COUNTER_COUNT] = { { 0 } };	/* [on the device, on the CPU beside it] */
	json_t *rows = json_array(), *totals = json_array();
	struct snpu_profile_row row;

	for (unsigned int i = 0; snpu_run_profile_at(run, i, &row); i++)
		for (unsigned int c = 0; c < row.n_counters && c < SNPU_COUNTER_COUNT; c++)
			total[row.device < 0][c] += row.counter[c];
	for (unsigned int i = 0; snpu_run_profile_at(run, i, &row); i++)
		json_array_append_new(rows, profile_row(run, &row, total[row.device < 0][SNPU_COUNTER_CYCLES], snpu_result_dense(run->result, i)));
	for (int cpu = 0; cpu < 2; cpu++) {
		struct snpu_profile_row sum = { .node = "", .device = cpu ? -1 : 0, .counter = total[cpu], .n_counters = SNPU_COUNTER_COUNT };

		if (total[cpu][SNPU_COUNTER_PACKETS])
			json_array_append_new(totals, profile_row(run, &sum, 0, 0));
	}
	return json_pack("{s:o, s:o}", "nodes", rows, "totals", totals);
}

void snpu_run_facts_after(struct snpu_run *run)
{
	struct snpu_run_stats s;
	json_t *fallbacks = json_array();

	snpu_run_stats(run, &s);
	json_array_extend(fallbacks, run->kept.fallbacks);
	for (unsigned int i = 0; !run->kept.fallbacks && snpu_result_fallback(run->result, i); i++)
		json_array_append_new(fallbacks, json_string(snpu_result_fallback(run->result, i)));
	json_object_set_new(run->facts, "profile", profile_facts(run));
	json_object_set_new(run->facts, "stats", json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "samples", whole(s.samples), "steps", whole(s.steps),
							   "chunks", whole(s.chunks), "jobs", whole(s.jobs), "retries", whole(s.retries), "fallback_samples", whole(s.fallback_samples),
							   "dropped_events", whole(s.dropped_events), "clamped_values", whole(s.clamped_values),
							   "wall_ns", whole(s.wall_ns), "host_ns", whole(s.host_ns)));
	json_object_set_new(run->facts, "fallbacks", fallbacks);
	json_object_set_new(run->facts, "neurobench", snpu_run_metrics(run));
}
