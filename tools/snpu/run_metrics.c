// SPDX-License-Identifier: MIT
/*
 * What a run cost, under the names and by the definitions of NeuroBench's algorithm track (docs/events.md cites them): from the model and the
 * counters of the run, which are exact. Per sample, as there.
 */
#include "run.h"

#include <string.h>

/* Does the node put out nothing but -1, 0 and 1? Neurons that fire do; an input when its data do. */
static bool is_binary(const struct snpu_run *run, unsigned int node, unsigned int depth)
{
	static const char *const firing[] = { "Threshold", "IF", "LIF", "CubaLIF" }, *const passing[] = { "Flatten", "Input", "Output", "Delay" };
	struct snpu_node_info n;
	struct snpu_edge_info e;
	bool any = false, pass = false;

	if (depth > 64 || snpu_model_node(run->model, node, &n))
		return false;
	for (size_t i = 0; i < sizeof(firing) / sizeof(firing[0]); i++)
		if (strcmp(n.type, firing[i]) == 0)
			return true;
	for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
		pass |= strcmp(n.type, passing[i]) == 0;
	for (unsigned int i = 0; pass && snpu_model_edge(run->model, i, &e) == 0 && i < snpu_model_edge_count(run->model); i++) {
		if (e.to != node)
			continue;
		if (any || !is_binary(run, e.from, depth + 1))
			return false;		/* a sum of two may be 2 */
		any = true;
	}
	return pass && (any || run->input_binary);
}

/* Every source of a synaptic node is binary, and it has one only. */
static bool takes_spikes(const struct snpu_run *run, unsigned int node)
{
	struct snpu_edge_info e;
	unsigned int sources = 0;

	for (unsigned int i = 0; i < snpu_model_edge_count(run->model); i++) {
		if (snpu_model_edge(run->model, i, &e) || e.to != node)
			continue;
		if (!is_binary(run, e.from, 0))
			return false;
		sources++;
	}
	return sources == 1;
}

/* A weight in memory, bytes. */
static double weight_bytes(const struct snpu_run *run)
{
	struct snpu_semantics_info s = { .sz = sizeof(s) };

	if (snpu_session_semantics(run->session, &s) || s.number == SNPU_NUMBER_F32)
		return 4;
	return s.number == SNPU_NUMBER_INT16 ? 2 : 1;
}

struct sums {
	double macs, acs, dense, updates, outputs, active, weights, zeros, footprint;
};

static void add_row(const struct snpu_run *run, const struct snpu_profile_row *row, double steps, struct sums *s)
{
	int node = snpu_model_find(run->model, row->node);
	const uint64_t *c = row->counter;
	struct snpu_node_info n;

	if (node < 0 || snpu_model_node(run->model, (unsigned int)node, &n))
		return;
	s->updates += (double)c[SNPU_COUNTER_UPDATES];
	if (is_binary(run, (unsigned int)node, 0) && n.compute) {
		s->outputs += (double)n.size * steps;
		s->active += (double)c[SNPU_COUNTER_SPIKES];
	}
	if (!n.weights)
		return;
	*(takes_spikes(run, (unsigned int)node) ? &s->acs : &s->macs) += (double)c[SNPU_COUNTER_SYNOPS];
	/* Each output takes a row of the matrix, or the filter of its channel, which is its first axis; borders count like the rest. */
	s->dense += (double)n.size / (double)(n.rank ? n.shape[0] : 1) * (double)n.weights * steps;
}

json_t *snpu_run_metrics(const struct snpu_run *run)
{
	double samples = (double)run->feed.samples, steps = samples * (double)run->feed.steps;
	struct snpu_profile_row row;
	struct snpu_node_info n;
	struct sums s = { 0 };

	for (unsigned int i = 0; i < snpu_model_node_count(run->model); i++) {
		if (snpu_model_node(run->model, i, &n))
			continue;
		s.weights += (double)n.weights;
		s.zeros += (double)n.zero_weights;
		s.footprint += 4 * (double)(n.parameters - n.weights) + weight_bytes(run) * (double)n.weights + (n.neuron ? 4 * (double)n.size * (1 + n.synaptic) : 0);
	}
	for (unsigned int i = 0; snpu_run_profile_at(run, i, &row); i++)
		add_row(run, &row, steps, &s);
	return json_pack("{s:f, s:o, s:o, s:{s:f, s:f, s:f}, s:f, s:b}", "footprint", s.footprint, "connection_sparsity", s.weights > 0 ? json_real(s.zeros / s.weights) : json_null(),
			 "activation_sparsity", s.outputs > 0 ? json_real(1 - s.active / s.outputs) : json_null(), "synaptic_operations", "Effective_MACs", s.macs / samples,
			 "Effective_ACs", s.acs / samples, "Dense", s.dense / samples, "membrane_updates", s.updates / samples, "zero_weights_counted", s.zeros > 0);
}
