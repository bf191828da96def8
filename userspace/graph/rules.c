/* SPDX-License-Identifier: MIT */
/* The rules of docs/nir.md as a table, from rules.def. Constant data, no locks. */
#include <string.h>

#include "graph/graph.h"

#define RULE(name_, decides_, settle_)	{ name_, decides_, settle_ },
static const struct snpu_rule rules[] = {
#include "graph/rules.def"
};

const struct snpu_rule *snpu_rule(unsigned index)
{
	return index < sizeof(rules) / sizeof(rules[0]) ? &rules[index] : NULL;
}

const struct snpu_rule *snpu_rule_find(const char *name)
{
	const struct snpu_rule *r;

	for (unsigned i = 0; (r = snpu_rule(i)); i++)
		if (!strcmp(r->name, name))
			return r;
	return NULL;
}
