/* SPDX-License-Identifier: MIT */
/*
 * Weights and parameters as the packets take them: weights f32 [n_out / 64 rounded up][n_in][64], kernels f32
 * [input channel][element][output channels of its group rounded up to 16], parameter blocks f32 [parameters][n] in the order of
 * the command set. Pure functions of a finished model and its semantics.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lower/plan.h"

uint64_t snpu_pack_weight_bytes(const struct snpu_lowering *l, const struct snpu_node *n)
{
	const struct snpu_window *w = &n->window;

	if (l->quant)
		return snpu_quant_weight_bytes(l, n);
	if (snpu_node_opcode(n) == SNPU_OP_CONV)
		return (uint64_t)w->groups * w->c_in * SNPU_CONV_BLOCK(w) * SNPU_CONV_LANES * 4;
	return n->kind->flags & SNPU_KIND_SYNAPSES ? SNPU_TILES(n->rows) * n->columns * SNPU_TILE * 4 : 0;
}

uint64_t snpu_pack_row_size(const struct snpu_node *n)
{
	return n->kind->flags & SNPU_KIND_WINDOW ? (uint64_t)n->window.groups * n->window.c_out : n->size;
}

uint64_t snpu_pack_state_bytes(const struct snpu_lowering *l, const struct snpu_node *n)
{
	if (snpu_node_is(n, SNPU_KIND_ID_DELAY))
		return 4 * SNPU_RING_WORDS(snpu_delay_slots(l, n), n->size);
	return n->kind->states * n->size * 4;
}

uint64_t snpu_pack_row_element(const struct snpu_node *n, uint64_t k)
{
	return n->kind->flags & SNPU_KIND_WINDOW ? k * n->window.out_h * n->window.out_w : k;
}

uint64_t snpu_pack_const_bytes(const struct snpu_lowering *l, const struct snpu_node *n)
{
	uint64_t rows = SNPU_NEURON_ROWS(snpu_semantics_flags(l->sem, n->kind));

	if (l->quant)
		return snpu_quant_rows(l, n) * snpu_pack_row_size(n) * 4;
	for (int i = 0; i < SNPU_KIND_PARAMS && n->kind->param[i].name; i++)
		rows += n->kind->param[i].role != SNPU_ROLE_MATRIX;
	return rows * snpu_pack_row_size(n) * 4;
}

static void pack_weights(const struct snpu_node *n, float *to)
{
	const float *w = snpu_node_param(n, "weight")->data;	/* [rows][columns] */

	for (uint64_t o = 0; o < n->rows; o++) {
		float *tile = to + o / SNPU_TILE * n->columns * SNPU_TILE + o % SNPU_TILE;

		for (uint64_t c = 0; c < n->columns; c++)
			tile[c * SNPU_TILE] = w[o * n->columns + c];
	}
}

uint64_t snpu_pack_matrix(const struct snpu_node *n, uint64_t g)
{
	const struct snpu_tensor *w = snpu_node_param(n, "weight");
	uint64_t at = 0, weight = 1;

	if (!(n->kind->flags & SNPU_KIND_SYNAPSES))
		return g;
	for (unsigned back = 2; back <= n->rank && back < w->rank; back++) {
		uint64_t index = g % n->shape[n->rank - back], have = w->shape[w->rank - 1 - back];

		g /= n->shape[n->rank - back];
		at += have == 1 ? 0 : index * weight;
		weight *= have;
	}
	return at;
}

/* From [outputs][inputs of a group][kernel], or from matrices [outputs][inputs], to [input channel][element of the kernel][output of its group]. */
static void pack_kernels(const struct snpu_node *n, float *to)
{
	const struct snpu_tensor *t = snpu_node_param(n, "weight");
	const struct snpu_window *w = &n->window;
	uint64_t elements = (uint64_t)w->kernel_h * w->kernel_w, lanes = SNPU_CONV_BURSTS(w->c_out) * SNPU_CONV_LANES;

	for (uint64_t g = 0; g < w->groups; g++) {
		const float *from = t->data + snpu_pack_matrix(n, g) * w->c_out * w->c_in * elements;

		for (uint64_t o = 0; o < w->c_out; o++)
			for (uint64_t c = 0; c < w->c_in; c++)
				for (uint64_t k = 0; k < elements; k++)
					to[((g * w->c_in + c) * elements + k) * lanes + o] = *from++;
	}
}

/* What raw gain makes of the factor `drive` on the input of a time constant, whose part of a step is k. */
static double raw_drive(const struct snpu_semantics *sem, enum snpu_role role, double drive, double k)
{
	if (role == SNPU_ROLE_DRIVE)
		return 1.0 / k;
	return drive * (sem->gain == SNPU_GAIN_RAW_DECAYED ? 1.0 - k : 1.0) / k;
}

/* The number that the packet wants for parameter i of a neuron; tau: the time constant before it. */
static float packed(const struct snpu_semantics *sem, enum snpu_role role, double if_gain, float value, float tau)
{
	bool raw = sem->gain == SNPU_GAIN_RAW || sem->gain == SNPU_GAIN_RAW_DECAYED;

	if (role == SNPU_ROLE_TAU)
		return snpu_semantics_k(sem, value);
	if (role == SNPU_ROLE_GAIN)
		return isnan(if_gain) ? 1.0f : (float)((double)value * if_gain);
	if (raw && (role == SNPU_ROLE_DRIVE || role == SNPU_ROLE_DRIVE_SYN))
		return (float)raw_drive(sem, role, value, snpu_semantics_k(sem, tau));
	return value;
}

void snpu_pack_spread(const struct snpu_node *n, int i, float *to)
{
	if (n->kind->param[i].role == SNPU_ROLE_BIAS && n->param[i].count == snpu_pack_row_size(n))
		memcpy(to, n->param[i].data, snpu_pack_row_size(n) * sizeof(*to));
	else if (n->kind->flags & SNPU_KIND_WINDOW)
		for (uint64_t k = 0; k < snpu_pack_row_size(n); k++)
			to[k] = n->param[i].data[0];
	else
		snpu_tensor_spread(&n->param[i], n, to);
}

/* The same turned into what the packet wants. to: [snpu_pack_row_size(n)]; tau: [n->size], the time constant before it, if any */
static int pack_param(const struct snpu_lowering *l, unsigned node, int i, float *tau, float *to)
{
	const struct snpu_node *n = &l->m->nodes[node];
	enum snpu_role role = n->kind->param[i].role;

	if (role == SNPU_ROLE_STEPS) {
		snpu_delay_numbers(l, n, to);
		return 0;
	}
	snpu_pack_spread(n, i, to);
	if (n->kind->flags & SNPU_KIND_WINDOW)
		return 0;
	if (role == SNPU_ROLE_TAU)
		memcpy(tau, to, n->size * sizeof(*to));
	for (uint64_t k = 0; k < n->size; k++) {
		to[k] = packed(l->sem, role, l->sem->if_gain[node], to[k], tau[k]);
		if (!isfinite(to[k]))
			return snpu_fail(-ERANGE, "node '%s': '%s' of neuron %llu gives no finite number with a time step of %g s; check both", n->name,
					 n->kind->param[i].name, (unsigned long long)k, l->sem->dt);
	}
	return 0;
}

/* The rows that flags ask for: the most spikes a step, the lowest membrane. to: [rows][n->size] */
static void pack_rows(const struct snpu_lowering *l, const struct snpu_node *n, float *to)
{
	uint8_t flags = snpu_semantics_flags(l->sem, n->kind);

	if (flags & SNPU_NEURON_MULTI) {
		for (uint64_t k = 0; k < n->size; k++)
			to[k] = (float)(l->sem->max_spikes < SNPU_SPIKES_MOST ? l->sem->max_spikes : SNPU_SPIKES_MOST);
		to += n->size;
	}
	if (flags & SNPU_NEURON_FLOOR) {
		snpu_tensor_spread(snpu_node_param(n, "v_threshold"), n, to);
		for (uint64_t k = 0; k < n->size; k++)
			to[k] = l->sem->floor == SNPU_FLOOR_VALUE ? (float)l->sem->v_min : -to[k];
	}
}

/* A node's parameter block or bias. to: [rows][snpu_pack_row_size(n)] */
static int pack_constants(const struct snpu_lowering *l, unsigned node, float *to)
{
	const struct snpu_node *n = &l->m->nodes[node];
	float *tau = calloc(n->size ? n->size : 1, sizeof(*tau));
	int err = tau ? 0 : snpu_fail(-ENOMEM, "no memory for the time constants of node '%s'", n->name);

	for (int i = 0; i < SNPU_KIND_PARAMS && n->kind->param[i].name && !err; i++) {
		if (n->kind->param[i].role == SNPU_ROLE_MATRIX)
			continue;
		err = pack_param(l, node, i, tau, to);
		to += snpu_pack_row_size(n);
	}
	if (!err)
		pack_rows(l, n, to);
	free(tau);
	return err;
}

int snpu_pack_segment(const struct snpu_lowering *l, const struct snpu_segment *s, uint8_t *weights, uint8_t *constants)
{
	for (unsigned k = 0; k < s->n_slots; k++) {
		const struct snpu_slot *slot = &s->slots[k];
		const struct snpu_node *n = &l->m->nodes[slot->node];
		bool weighs = slot->weights != SNPU_NOWHERE, has = slot->constants != SNPU_NOWHERE;
		int err = 0;

		if (l->quant)
			err = snpu_quant_pack(l, slot->node, weighs ? weights + slot->weights : NULL, has ? (int32_t *)(constants + slot->constants) : NULL);
		else if (weighs && snpu_node_opcode(n) == SNPU_OP_CONV)
			pack_kernels(n, (float *)(weights + slot->weights));
		else if (weighs)
			pack_weights(n, (float *)(weights + slot->weights));
		if (!l->quant && has)
			err = pack_constants(l, slot->node, (float *)(constants + slot->constants));
		if (err)
			return err;
	}
	return 0;
}
