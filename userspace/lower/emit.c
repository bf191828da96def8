/* SPDX-License-Identifier: MIT */
/*
 * The program of a segment: a loop over samples, which clears the state (unless a sample goes on), around a loop over time steps, in which every
 * node executes once in order. Packets of node k go to profile slot k + 1, everything else to slot 0. One thread.
 */
#include <stdlib.h>

#include "lower/plan.h"

struct emit_job {
	const struct snpu_lowering *l;
	const struct snpu_plan *plan;
	const struct snpu_segment *s;
	unsigned segment;			/* index of s */
	uint64_t steps;
	uint64_t *import_at, *export_at;	/* [n_imports], [n_exports] offsets in INPUT and OUTPUT */
	struct snpu_prog *prog;
};


int snpu_streams_layout(const struct snpu_stream *list, unsigned n, uint64_t samples, uint64_t steps, uint64_t *offsets, uint64_t *size)
{
	*size = 0;
	for (unsigned i = 0; i < n; i++) {
		uint64_t bytes, sample;
		bool ok = snpu_mul(steps, list[i].n * 4, &sample) && sample <= UINT32_MAX;

		if (!ok)
			return snpu_fail(-E2BIG, "%llu steps of %llu values are more than the 4 GiB a sample can have; run fewer steps at a time",
					 (unsigned long long)steps, (unsigned long long)list[i].n);
		offsets[i] = *size;
		ok = snpu_mul(samples, sample, &bytes) && snpu_add(*size, bytes, size) && *size < 1ull << 47;
		if (!ok)
			return snpu_fail(-E2BIG, "%llu samples of %llu steps are more than an address space holds; run fewer at a time",
					 (unsigned long long)samples, (unsigned long long)steps);
		*size = (*size + SNPU_ALIGN - 1) / SNPU_ALIGN * SNPU_ALIGN;
	}
	return 0;
}

/* A stream's vector of the current step and sample, seen from inside both loops. */
static struct snpu_ref stream_ref(const struct emit_job *j, unsigned region, const uint64_t *offsets, const struct snpu_stream *list, unsigned i)
{
	uint32_t step = (uint32_t)(list[i].n * 4);

	return snpu_ref_steps(region, offsets[i], step, (uint32_t)(step * j->steps));
}

static struct snpu_ref export_ref(const struct emit_job *j, unsigned i)
{
	return stream_ref(j, SNPU_REGION_OUTPUT, j->export_at, j->s->exports, i);
}

static struct snpu_ref slot_value(const struct emit_job *j, const struct snpu_slot *slot)
{
	if (slot->export != SNPU_NONE)
		return export_ref(j, slot->export);
	return snpu_ref(slot->keeps ? SNPU_REGION_STATE : SNPU_REGION_SCRATCH, slot->value);
}

static struct snpu_ref slot_events(const struct snpu_slot *slot)
{
	return snpu_ref(slot->keeps_events ? SNPU_REGION_STATE : SNPU_REGION_SCRATCH, slot->events);
}

/* What edge e brings to slot `reader`, as a dense vector or as an event list. */
static struct snpu_ref edge_ref(const struct emit_job *j, unsigned reader, unsigned e, bool events)
{
	const struct snpu_edge *edge = &j->l->m->edges[e];
	unsigned root = j->plan->root[edge->from], at = j->plan->slot_of[root];
	const struct snpu_slot *slot;

	if (j->plan->segment_of[root] != j->segment) {
		unsigned i = snpu_stream_find(j->s->imports, j->s->n_imports, root, -1);

		if (edge->delayed)
			return snpu_ref(SNPU_REGION_STATE, events ? j->s->import_old_events[i] : j->s->import_old[i]);
		return events ? snpu_ref(SNPU_REGION_SCRATCH, j->s->import_events[i])
			      : stream_ref(j, SNPU_REGION_INPUT, j->import_at, j->s->imports, i);
	}
	slot = &j->s->slots[at];
	if (edge->delayed && (reader > at || j->l->m->nodes[edge->to].breaks))
		return snpu_ref(SNPU_REGION_STATE, events ? slot->old_events : slot->old_value);
	return events ? slot_events(slot) : slot_value(j, slot);
}

static void emit_add(struct emit_job *j, struct snpu_ref a, struct snpu_ref b, struct snpu_ref out, uint32_t n)
{
	if (j->l->quant)
		snpu_emit(j->prog, QADD, .a = a, .b = b, .out = out, .n = n);
	else
		snpu_emit(j->prog, ADD, .a = a, .b = b, .out = out, .n = n);
}

/* Adds up the inputs of a node in the order of its edges, into `to`. */
static void emit_sum(struct emit_job *j, unsigned k, const struct snpu_node *n, struct snpu_ref to)
{
	uint32_t size = (uint32_t)n->in_size;
	struct snpu_ref sum = edge_ref(j, k, n->in[0], false);

	if (n->n_in == 1)
		snpu_emit(j->prog, COPY, .src = sum, .dst = to, .words = size);
	for (unsigned i = 1; i < n->n_in; i++) {
		emit_add(j, sum, edge_ref(j, k, n->in[i], false), to, size);
		sum = to;
	}
}

static struct snpu_ref dense_input(struct emit_job *j, unsigned k, const struct snpu_node *n)
{
	struct snpu_ref sum = snpu_ref(SNPU_REGION_SCRATCH, j->s->slots[k].sum);

	if (n->n_in == 1)
		return edge_ref(j, k, n->in[0], false);
	emit_sum(j, k, n, sum);
	return sum;
}

/* The input as an event list, made here when it is a sum. */
static struct snpu_ref event_input(struct emit_job *j, unsigned k, const struct snpu_node *n)
{
	struct snpu_ref events;

	if (n->n_in == 1)
		return edge_ref(j, k, n->in[0], true);
	events = snpu_ref(SNPU_REGION_SCRATCH, j->s->slots[k].sum_events);
	snpu_emit(j->prog, EVPACK, .x = dense_input(j, k, n), .ev = events, .n = (uint32_t)n->in_size);
	return events;
}

/* Of synapses of integers. */
static uint8_t quant_flags(const struct emit_job *j, bool biased)
{
	return (uint8_t)((biased ? SNPU_Q_BIAS : 0) | (j->l->sem->number == SNPU_NUMBER_INT16 ? SNPU_Q_INT16 : 0));
}

/* The bias, when there is one; else the zero reference. */
static struct snpu_ref bias_ref(const struct snpu_slot *slot)
{
	return slot->constants != SNPU_NOWHERE ? snpu_ref(SNPU_REGION_CONST, slot->constants) : (struct snpu_ref){ 0 };
}

static void emit_linear(struct emit_job *j, unsigned k, const struct snpu_node *n)
{
	const struct snpu_slot *slot = &j->s->slots[k];
	struct snpu_ref ev = event_input(j, k, n), weights = snpu_ref(SNPU_REGION_WEIGHTS, slot->weights);
	bool biased = slot->constants != SNPU_NOWHERE;

	if (j->l->quant)
		snpu_emit(j->prog, QLINEAR, .hdr.flags = quant_flags(j, biased), .ev = ev, .weights = weights, .bias = bias_ref(slot),
			  .out = slot_value(j, slot), .n_in = (uint32_t)n->columns, .n_out = (uint32_t)n->rows, .shift = j->l->quant->node[slot->node].shift);
	else
		snpu_emit(j->prog, LINEAR, .hdr.flags = biased ? SNPU_LINEAR_BIAS : 0, .ev = ev, .weights = weights, .bias = bias_ref(slot),
			  .out = slot_value(j, slot), .n_in = (uint32_t)n->columns, .n_out = (uint32_t)n->rows);
}

/* What CONV and POOL are told of a window, and their twins of integers. */
#define WINDOW(w)	.h = (w)->h, .w = (w)->w, .out_h = (w)->out_h, .out_w = (w)->out_w, .kernel_h = (w)->kernel_h, .kernel_w = (w)->kernel_w,	\
			.stride_h = (w)->stride_h, .stride_w = (w)->stride_w, .pad_top = (w)->pad_top, .pad_left = (w)->pad_left
#define CHANNELS(w)	.groups = (w)->groups, .c_in = (w)->c_in, .c_out = (w)->c_out, .dilation_h = (w)->dilation_h, .dilation_w = (w)->dilation_w

static void emit_conv(struct emit_job *j, unsigned k, const struct snpu_node *n)
{
	const struct snpu_slot *slot = &j->s->slots[k];
	const struct snpu_window *w = &n->window;
	struct snpu_ref ev = event_input(j, k, n), weights = snpu_ref(SNPU_REGION_WEIGHTS, slot->weights);
	bool biased = slot->constants != SNPU_NOWHERE;

	if (j->l->quant)
		snpu_emit(j->prog, QCONV, .hdr.flags = quant_flags(j, biased), .ev = ev, .weights = weights, .bias = bias_ref(slot),
			  .out = slot_value(j, slot), CHANNELS(w), WINDOW(w), .shift = j->l->quant->node[slot->node].shift);
	else
		snpu_emit(j->prog, CONV, .hdr.flags = biased ? SNPU_CONV_BIAS : 0, .ev = ev, .weights = weights, .bias = bias_ref(slot),
			  .out = slot_value(j, slot), CHANNELS(w), WINDOW(w));
}

static void emit_pool(struct emit_job *j, unsigned k, const struct snpu_node *n)
{
	const struct snpu_window *w = &n->window;
	struct snpu_ref ev = event_input(j, k, n), out = slot_value(j, &j->s->slots[k]);

	if (j->l->quant)		/* what a mean divides by is in the unit */
		snpu_emit(j->prog, QPOOL, .ev = ev, .out = out, .channels = w->groups, WINDOW(w));
	else
		snpu_emit(j->prog, POOL, .hdr.flags = snpu_node_is(n, SNPU_KIND_ID_AVGPOOL2D) ? SNPU_POOL_AVG : 0, .ev = ev, .out = out,
			  .channels = w->groups, WINDOW(w));
}

static void emit_push(struct emit_job *j, unsigned k, const struct snpu_node *n)
{
	snpu_emit(j->prog, DELAY_PUSH, .x = dense_input(j, k, n), .ring = snpu_ref(SNPU_REGION_STATE, j->s->slots[k].state), .n = (uint32_t)n->size,
		  .slots = snpu_delay_slots(j->l, n));
}

/* One that breaks a cycle gets its input only when the step is over. */
static void emit_delay(struct emit_job *j, unsigned k, const struct snpu_node *n)
{
	const struct snpu_slot *slot = &j->s->slots[k];

	if (!n->breaks)
		emit_push(j, k, n);
	snpu_emit(j->prog, DELAY_PULL, .ring = snpu_ref(SNPU_REGION_STATE, slot->state), .delay = snpu_ref(SNPU_REGION_CONST, slot->constants),
		  .out = slot_value(j, slot), .n = (uint32_t)n->size, .slots = snpu_delay_slots(j->l, n));
}

/* The input of a neuron; counts that no weight made larger are lifted to where its membrane has a fraction. */
static struct snpu_ref neuron_input(struct emit_job *j, unsigned k, const struct snpu_node *n)
{
	const struct snpu_slot *slot = &j->s->slots[k];
	struct snpu_ref x = dense_input(j, k, n), lifted = snpu_ref(SNPU_REGION_SCRATCH, slot->sum);

	if (!j->l->quant || j->l->quant->node[slot->node].lift == 1)
		return x;
	snpu_emit(j->prog, QSCALE, .x = x, .scale = snpu_ref(SNPU_REGION_CONST, slot->constants + 4 * n->size * (snpu_quant_rows(j->l, n) - 1)),
		  .out = lifted, .n = (uint32_t)n->size);
	return lifted;
}

/* All neuron packets have the layout of NEURON_ARGS; LIF stands for them. */
static void emit_neuron(struct emit_job *j, unsigned k, const struct snpu_node *n)
{
	const struct snpu_slot *slot = &j->s->slots[k];
	struct snpu_pkt_LIF p = {
		.hdr.flags = j->l->quant ? snpu_quant_flags(j->l->sem, n->kind) : snpu_semantics_flags(j->l->sem, n->kind),
		.x = neuron_input(j, k, n),
		.state = n->kind->states ? snpu_ref(SNPU_REGION_STATE, slot->state) : (struct snpu_ref){ 0 },
		.param = snpu_ref(SNPU_REGION_CONST, slot->constants),
		.out = slot_value(j, slot),
		.n = (uint32_t)n->size,
	};

	snpu_prog_append(j->prog, snpu_lower_opcode(j->l, n->kind->opcode), &p);
}

static void emit_scale(struct emit_job *j, unsigned k, const struct snpu_node *n)
{
	struct snpu_ref x = dense_input(j, k, n), scale = snpu_ref(SNPU_REGION_CONST, j->s->slots[k].constants), out = slot_value(j, &j->s->slots[k]);

	if (j->l->quant)
		snpu_emit(j->prog, QSCALE, .x = x, .scale = scale, .out = out, .n = (uint32_t)n->size);
	else
		snpu_emit(j->prog, SCALE, .x = x, .scale = scale, .out = out, .n = (uint32_t)n->size);
}

_Static_assert(sizeof(struct snpu_pkt_LIF) == sizeof(struct snpu_pkt_THRESHOLD) && sizeof(struct snpu_pkt_LIF) == sizeof(struct snpu_pkt_I) &&
	       sizeof(struct snpu_pkt_LIF) == sizeof(struct snpu_pkt_IF) && sizeof(struct snpu_pkt_LIF) == sizeof(struct snpu_pkt_LI) &&
	       sizeof(struct snpu_pkt_LIF) == sizeof(struct snpu_pkt_CUBALI) && sizeof(struct snpu_pkt_LIF) == sizeof(struct snpu_pkt_CUBALIF) &&
	       sizeof(struct snpu_pkt_LIF) == sizeof(struct snpu_pkt_QTHRESHOLD) && sizeof(struct snpu_pkt_LIF) == sizeof(struct snpu_pkt_QLI) &&
	       sizeof(struct snpu_pkt_LIF) == sizeof(struct snpu_pkt_QLIF) && sizeof(struct snpu_pkt_LIF) == sizeof(struct snpu_pkt_QCUBALI) &&
	       sizeof(struct snpu_pkt_LIF) == sizeof(struct snpu_pkt_QCUBALIF), "neuron packets differ");

static void emit_compute(struct emit_job *j, unsigned k, const struct snpu_node *n)
{
	const struct snpu_slot *slot = &j->s->slots[k];

	if (snpu_node_opcode(n) == SNPU_OP_CONV)
		emit_conv(j, k, n);
	else if (n->kind->flags & SNPU_KIND_WINDOW)
		emit_pool(j, k, n);
	else if (n->kind->flags & SNPU_KIND_SYNAPSES)
		emit_linear(j, k, n);
	else if (snpu_node_is(n, SNPU_KIND_ID_DELAY))
		emit_delay(j, k, n);
	else if (snpu_node_is(n, SNPU_KIND_ID_SCALE))
		emit_scale(j, k, n);
	else if (n->kind->flags & SNPU_KIND_ELEMENTS)
		emit_neuron(j, k, n);
	else
		emit_sum(j, k, n, slot_value(j, slot));
}

/* What others need of the node after it has executed: its event list, and the exports it did not write itself. */
static void emit_after(struct emit_job *j, unsigned k, const struct snpu_node *n)
{
	const struct snpu_slot *slot = &j->s->slots[k];
	uint32_t size = (uint32_t)n->size;

	if (slot->events != SNPU_NOWHERE)
		snpu_emit(j->prog, EVPACK, .x = slot_value(j, slot), .ev = slot_events(slot), .n = size);
	for (unsigned i = 0; i < j->s->n_exports; i++) {
		const struct snpu_stream *x = &j->s->exports[i];

		if (x->node == slot->node && x->state >= 0)
			snpu_emit(j->prog, COPY, .src = snpu_ref(SNPU_REGION_STATE, slot->state + (uint64_t)x->state * n->size * 4),
				  .dst = export_ref(j, i), .words = size);
		else if (x->node == slot->node && slot->export != i)
			snpu_emit(j->prog, COPY, .src = slot_value(j, slot), .dst = export_ref(j, i), .words = size);
	}
}

/* What the next step reads of this one; at the end, because readers in the step, the rings first, still saw the step before. */
static void emit_keep(struct emit_job *j)
{
	const struct snpu_segment *s = j->s;

	for (unsigned k = 0; k < s->n_slots; k++) {
		j->prog->slot = (uint16_t)(k + 1);
		if (j->l->m->nodes[s->slots[k].node].breaks)
			emit_push(j, k, &j->l->m->nodes[s->slots[k].node]);
	}
	for (unsigned k = 0; k < s->n_slots; k++) {
		const struct snpu_slot *slot = &s->slots[k];
		uint32_t size = (uint32_t)j->l->m->nodes[slot->node].size;

		j->prog->slot = (uint16_t)(k + 1);
		if (slot->old_value != SNPU_NOWHERE)
			snpu_emit(j->prog, COPY, .src = slot_value(j, slot), .dst = snpu_ref(SNPU_REGION_STATE, slot->old_value), .words = size);
		if (slot->old_events != SNPU_NOWHERE)
			snpu_emit(j->prog, EVPACK, .x = slot_value(j, slot), .ev = snpu_ref(SNPU_REGION_STATE, slot->old_events), .n = size);
	}
	j->prog->slot = 0;
	for (unsigned i = 0; i < s->n_imports; i++) {
		struct snpu_ref x = stream_ref(j, SNPU_REGION_INPUT, j->import_at, s->imports, i);
		uint32_t size = (uint32_t)s->imports[i].n;

		if (s->import_old[i] != SNPU_NOWHERE)
			snpu_emit(j->prog, COPY, .src = x, .dst = snpu_ref(SNPU_REGION_STATE, s->import_old[i]), .words = size);
		if (s->import_old_events[i] != SNPU_NOWHERE)
			snpu_emit(j->prog, EVPACK, .x = x, .ev = snpu_ref(SNPU_REGION_STATE, s->import_old_events[i]), .n = size);
	}
}

static void emit_step(struct emit_job *j)
{
	const struct snpu_segment *s = j->s;

	for (unsigned i = 0; i < s->n_imports; i++)
		if (s->import_events[i] != SNPU_NOWHERE)
			snpu_emit(j->prog, EVPACK, .x = stream_ref(j, SNPU_REGION_INPUT, j->import_at, s->imports, i),
				  .ev = snpu_ref(SNPU_REGION_SCRATCH, s->import_events[i]), .n = (uint32_t)s->imports[i].n);
	for (unsigned k = 0; k < s->n_slots; k++) {
		const struct snpu_node *n = &j->l->m->nodes[s->slots[k].node];

		j->prog->slot = (uint16_t)(k + 1);
		emit_compute(j, k, n);
		emit_after(j, k, n);
	}
	emit_keep(j);
	j->prog->slot = 0;
}

static void emit_clear(struct emit_job *j)
{
	uint64_t words = j->s->state_bytes / 4;

	for (uint64_t at = 0; at < words; at += SNPU_MAX_N)
		snpu_emit(j->prog, FILL, .dst = snpu_ref(SNPU_REGION_STATE, at * 4),
			  .words = (uint32_t)(words - at < SNPU_MAX_N ? words - at : SNPU_MAX_N));
}

int snpu_emit_segment(const struct snpu_lowering *l, const struct snpu_plan *plan, const struct snpu_segment *s, uint64_t samples, uint64_t steps,
		      bool clear, struct snpu_prog *prog)
{
	struct emit_job j = { .l = l, .plan = plan, .s = s, .segment = (unsigned)(s - plan->segments), .steps = steps, .prog = prog };
	uint64_t size;
	int err = samples > UINT32_MAX || steps > UINT32_MAX ? snpu_fail(-E2BIG, "a loop of more than 2^32 - 1 iterations was asked for") : 0;

	j.import_at = calloc(s->n_imports + 1, sizeof(*j.import_at));
	j.export_at = calloc(s->n_exports + 1, sizeof(*j.export_at));
	if (!err && (!j.import_at || !j.export_at))
		err = snpu_fail(-ENOMEM, "no memory for a program");
	if (!err)
		err = snpu_streams_layout(s->imports, s->n_imports, samples, steps, j.import_at, &size);
	if (!err)
		err = snpu_streams_layout(s->exports, s->n_exports, samples, steps, j.export_at, &size);
	if (!err) {
		prog->slot = 0;
		snpu_emit(prog, LOOP, .count = (uint32_t)samples);
		if (clear)
			emit_clear(&j);
		snpu_emit(prog, LOOP, .count = (uint32_t)steps);
		emit_step(&j);
		snpu_emit(prog, NEXT);
		snpu_emit(prog, NEXT);
		err = snpu_prog_end(prog);
	}
	free(j.import_at);
	free(j.export_at);
	return err;
}
