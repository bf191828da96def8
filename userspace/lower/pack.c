/* SPDX-License-Identifier: MIT */
/*
 * Weights and parameters as the packets take them: weights f32 [n_out / 64 rounded up][n_in][64], parameter blocks f32
 * [parameters][n] in the order of the command set. Pure functions of a finished model and its semantics.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lower/plan.h"

uint64_t snpu_pack_weight_bytes(const struct snpu_node *n)
{
	return n->kind->flags & SNPU_KIND_SYNAPSES ? SNPU_TILES(n->rows) * n->columns * SNPU_TILE * 4 : 0;
}

uint64_t snpu_pack_const_bytes(const struct snpu_node *n)
{
	uint64_t rows = 0;

	for (int i = 0; i < SNPU_KIND_PARAMS && n->kind->param[i].name; i++)
		rows += n->kind->param[i].role != SNPU_ROLE_MATRIX;
	return rows * n->size * 4;
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

/* A parameter of one node, spread over its neurons and turned into what the packet wants. to: [n->size] */
static int pack_param(const struct snpu_lowering *l, unsigned node, int i, float *to)
{
	const struct snpu_node *n = &l->m->nodes[node];
	double gain = l->sem->gain[node];

	if (n->kind->param[i].role == SNPU_ROLE_BIAS && n->param[i].count == n->size)
		memcpy(to, n->param[i].data, n->size * sizeof(*to));
	else
		snpu_tensor_spread(&n->param[i], n, to);
	for (uint64_t k = 0; k < n->size; k++) {
		if (n->kind->param[i].role == SNPU_ROLE_TAU)
			to[k] = (float)l->sem->dt / to[k];	/* of two float32 numbers, as docs/numerics.md has it */
		else if (n->kind->param[i].role == SNPU_ROLE_GAIN)
			to[k] = isnan(gain) ? 1.0f : (float)((double)to[k] * gain);
		if (!isfinite(to[k]))
			return snpu_fail(-ERANGE, "node '%s': '%s' of neuron %llu gives no finite number with a time step of %g s; check both", n->name,
					 n->kind->param[i].name, (unsigned long long)k, l->sem->dt);
	}
	return 0;
}

int snpu_pack_segment(const struct snpu_lowering *l, const struct snpu_segment *s, uint8_t *weights, uint8_t *constants)
{
	for (unsigned k = 0; k < s->n_slots; k++) {
		const struct snpu_slot *slot = &s->slots[k];
		const struct snpu_node *n = &l->m->nodes[slot->node];
		uint64_t row = 0;

		if (slot->weights != SNPU_NOWHERE)
			pack_weights(n, (float *)(weights + slot->weights));
		for (int i = 0; i < SNPU_KIND_PARAMS && n->kind->param[i].name; i++) {
			int err;

			if (n->kind->param[i].role == SNPU_ROLE_MATRIX)
				continue;
			err = pack_param(l, slot->node, i, (float *)(constants + slot->constants) + row++ * n->size);
			if (err)
				return err;
		}
	}
	return 0;
}
