/* SPDX-License-Identifier: MIT */
/* The node types as a table, from kinds.def; tensors and how they broadcast. Constant data, no locks. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "graph/graph.h"
#include "snpu_isa.h"

#define PARAM(name_, role_, default_)	{ name_, SNPU_ROLE_##role_, default_ },
#define KIND(ID, name_, flags_, opcode_, states_, params_)					\
	[SNPU_KIND_ID_##ID] = { .id = SNPU_KIND_ID_##ID, .name = name_, .flags = flags_,	\
				.opcode = opcode_, .states = states_, .param = { params_ } },
static const struct snpu_kind kinds[] = {
#include "graph/kinds.def"
};

const struct snpu_kind *snpu_kind_find(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	return NULL;
}

int snpu_kind_param(const struct snpu_kind *kind, const char *name)
{
	for (int i = 0; i < SNPU_KIND_PARAMS && kind->param[i].name; i++)
		if (!strcmp(kind->param[i].name, name))
			return i;
	return -1;
}

const struct snpu_tensor *snpu_node_param(const struct snpu_node *n, const char *name)
{
	int i = snpu_kind_param(n->kind, name);

	return i < 0 ? NULL : &n->param[i];
}

const char *snpu_shape_text(unsigned rank, const uint64_t *shape, char *buf, size_t size)
{
	size_t at = (size_t)snprintf(buf, size, "(");

	for (unsigned i = 0; i < rank && at < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s%llu", i ? "," : "", (unsigned long long)shape[i]);
	if (at < size)
		snprintf(buf + at, size - at, ")");
	return buf;
}

bool snpu_tensor_fits(const struct snpu_tensor *t, unsigned rank, const uint64_t *shape)
{
	for (unsigned back = 1; back <= t->rank; back++) {
		uint64_t have = t->shape[t->rank - back];

		if (have != 1 && (back > rank || have != shape[rank - back]))
			return false;
	}
	return true;
}

void snpu_tensor_spread(const struct snpu_tensor *t, const struct snpu_node *n, float *out)
{
	uint64_t index[SNPU_MAX_RANK] = { 0 };	/* of the element of the node */

	if (t->count == n->size) {
		memcpy(out, t->data, n->size * sizeof(float));
		return;
	}
	for (uint64_t i = 0; i < n->size; i++) {
		uint64_t at = 0;

		for (unsigned d = 0; d < t->rank; d++) {
			unsigned back = t->rank - d;

			if (t->shape[d] != 1)
				at = at * t->shape[d] + index[n->rank - back];
		}
		out[i] = t->data[at];
		for (unsigned d = n->rank; d-- > 0 && ++index[d] == n->shape[d];)
			index[d] = 0;
	}
}
