/* SPDX-License-Identifier: MIT */
/* Delays in steps: rule 11 of docs/nir.md. Pure functions of a finished model and its time step. */
#include <math.h>
#include <string.h>

#include "lower/plan.h"

/* Both as binary32, like every other quotient with dt. */
float snpu_semantics_steps(const struct snpu_semantics *s, float delay)
{
	return delay == 0.0f ? 0.0f : rintf(delay / (float)s->dt);
}

/* Of element k of the file's parameter. */
static float steps(const struct snpu_lowering *l, const struct snpu_tensor *t, uint64_t k)
{
	return snpu_semantics_steps(l->sem, t->data[k]);
}

static int check_node(const struct snpu_lowering *l, const struct snpu_node *n)
{
	const struct snpu_tensor *t = snpu_node_param(n, "delay");

	for (uint64_t k = 0; k < t->count; k++) {
		if (t->data[k] > 0.0f && !(l->sem->dt > 0.0))
			return snpu_fail(-EINVAL, "node '%s' delays by %g s, and the model does not tell its time step; give it with --dt (option dt, seconds)", n->name,
					 (double)t->data[k]);
		if (!(steps(l, t, k) < (float)SNPU_MAX_N))
			return snpu_fail(-E2BIG, "node '%s': element %llu of 'delay' is %g s, which is %g steps of %g s; at most %u are possible", n->name,
					 (unsigned long long)k, (double)t->data[k], (double)steps(l, t, k), l->sem->dt, SNPU_MAX_N);
		if (n->breaks && steps(l, t, k) < 1.0f)
			return snpu_fail(-EINVAL, "node '%s' is in a cycle, and element %llu of 'delay' is %g s, less than a time step of %g s; make it longer, or --dt shorter (option dt)",
					 n->name, (unsigned long long)k, (double)t->data[k], l->sem->dt);
	}
	return 0;
}

int snpu_delay_check(const struct snpu_lowering *l)
{
	for (unsigned i = 0; i < l->m->n_nodes; i++) {
		int err = snpu_node_is(&l->m->nodes[i], SNPU_KIND_ID_DELAY) ? check_node(l, &l->m->nodes[i]) : 0;

		if (err)
			return err;
	}
	return 0;
}

void snpu_delay_numbers(const struct snpu_lowering *l, const struct snpu_node *n, float *to)
{
	struct snpu_tensor t = *snpu_node_param(n, "delay");

	snpu_tensor_spread(&t, n, to);
	t.data = to;
	for (uint64_t k = 0; k < n->size; k++) {
		uint32_t number = (uint32_t)steps(l, &t, k) - n->breaks;

		memcpy(&to[k], &number, sizeof(number));
	}
}

uint32_t snpu_delay_slots(const struct snpu_lowering *l, const struct snpu_node *n)
{
	const struct snpu_tensor *t = snpu_node_param(n, "delay");
	float longest = 0.0f;

	for (uint64_t k = 0; k < t->count; k++)
		longest = fmaxf(longest, steps(l, t, k));
	return (uint32_t)longest + 1 - n->breaks;
}
