/* SPDX-License-Identifier: MIT */
/*
 * The program of a number of steps. A step is: what arrives (TAKE, where there is a ring), all neurons (LIFEXP), all projections (SPARSE), what is
 * kept (LOG, COPY). All neurons come before all projections, so that with one slot, where SPARSE adds to the state itself, a spike arrives in the
 * next step as well. Profile rows: 0 control and records, then populations, then projections. Run's thread.
 */
#include "pop/pop.h"

#include <string.h>

static struct snpu_ref state_ref(uint64_t at)
{
	return snpu_ref(SNPU_REGION_STATE, at);
}

/* e or i of a population. */
static struct snpu_ref current_ref(const struct snpu_net_run *run, unsigned pop, unsigned receptor)
{
	return state_ref(run->place[pop].state + 4ull * (1 + receptor) * run->net->pop[pop].n);
}

/* The list of a population's spikes in a step. */
static struct snpu_ref events_ref(const struct snpu_net_run *run, unsigned pop)
{
	const struct pop_place *at = &run->place[pop];

	return run->net->pop[pop].model == SNPU_NET_LIF ? snpu_ref(SNPU_REGION_SCRATCH, at->events) : snpu_ref_step(SNPU_REGION_INPUT, at->events, at->stride);
}

static void emit_neurons(const struct snpu_net_run *run, unsigned pop, struct snpu_prog *prog)
{
	const struct pop_place *at = &run->place[pop];
	uint32_t n = run->net->pop[pop].n;

	prog->slot = (uint16_t)(1 + pop);
	for (unsigned r = 0; r < POP_RECEPTORS; r++)
		if (at->slots[r] > 1)
			snpu_emit(prog, TAKE, .position = state_ref(at->position[r]), .ring = state_ref(at->ring[r]), .x = current_ref(run, pop, r), .n = n,
				  .slots = at->slots[r]);
	snpu_emit(prog, LIFEXP, .hdr.flags = at->shared ? SNPU_LIFEXP_SHARED : 0, .state = state_ref(at->state), .param = snpu_ref(SNPU_REGION_CONST, at->param),
		  .ev = events_ref(run, pop), .n = n);
}

static void emit_projection(const struct snpu_net_run *run, unsigned index, struct snpu_prog *prog)
{
	const struct pop_projection *p = &run->net->proj[index];
	const struct pop_place *to = &run->place[p->target];
	uint32_t slots = to->slots[p->receptor], weight;
	float w = (float)p->weight;

	if (!p->synapses)
		return;
	memcpy(&weight, &w, sizeof(weight));
	prog->slot = (uint16_t)(1 + run->net->n_pops + index);
	snpu_emit(prog, SPARSE, .hdr.flags = p->weights ? SNPU_SPARSE_WEIGHTS : 0, .ev = events_ref(run, p->source),
		  .rows = snpu_ref(SNPU_REGION_WEIGHTS, p->rows), .data = snpu_ref(SNPU_REGION_WEIGHTS, p->data),
		  .position = slots > 1 ? state_ref(to->position[p->receptor]) : (struct snpu_ref){ 0 },
		  .ring = slots > 1 ? state_ref(to->ring[p->receptor]) : current_ref(run, p->target, p->receptor), .n_in = run->net->pop[p->source].n,
		  .n_out = run->net->pop[p->target].n, .slots = slots, .words = (uint32_t)p->words, .weight = weight);
}

static void emit_record(const struct snpu_net_run *run, const struct pop_record *r, uint32_t steps, struct snpu_prog *prog)
{
	uint32_t n = run->net->pop[r->pop].n;

	if (r->state < 0)
		snpu_emit(prog, LOG, .ev = events_ref(run, r->pop), .log = snpu_ref(SNPU_REGION_OUTPUT, r->at), .n = n, .room = n * steps);
	else
		snpu_emit(prog, COPY, .src = state_ref(run->place[r->pop].state + 4ull * (unsigned)r->state * n),
			  .dst = snpu_ref_step(SNPU_REGION_OUTPUT, r->at, 4 * n), .words = n);
}

int pop_emit(const struct snpu_net_run *run, uint32_t steps, struct snpu_prog *prog)
{
	const struct snpu_net *net = run->net;

	prog->slot = 0;
	for (unsigned i = 0; i < run->n_records; i++)
		if (run->record[i].state < 0)
			snpu_emit(prog, FILL, .dst = snpu_ref(SNPU_REGION_OUTPUT, run->record[i].at), .words = sizeof(struct snpu_log) / 4);
	snpu_emit(prog, LOOP, .count = steps);
	for (unsigned i = 0; i < net->n_pops; i++)
		if (net->pop[i].model == SNPU_NET_LIF)
			emit_neurons(run, i, prog);
	for (unsigned i = 0; i < net->n_projs; i++)
		emit_projection(run, i, prog);
	prog->slot = 0;
	for (unsigned i = 0; i < run->n_records; i++)
		emit_record(run, &run->record[i], steps, prog);
	snpu_emit(prog, NEXT);
	return snpu_prog_end(prog);
}
