/* SPDX-License-Identifier: MIT */
/*
 * Cuts the placed model into segments: maximal runs of nodes on one device, in an order in which each reads only what
 * earlier ones wrote. Among the components that could come next, one for the current device is taken first. One thread.
 */
#include "lower/plan.h"

struct split {
	const struct snpu_lowering *l;
	struct snpu_plan *plan;
	unsigned *waits;			/* [components] edges from components that are not done */
	bool *done;				/* [components] */
	int *target;				/* [components] SNPU_ON_NOTHING when nothing in it executes */
};

static int split_alloc(struct split *s)
{
	const struct snpu_model *m = s->l->m;
	struct snpu_arena *a = &s->plan->arena;

	s->waits = snpu_arena_alloc(a, m->n_components, sizeof(*s->waits));
	s->done = snpu_arena_alloc(a, m->n_components, sizeof(*s->done));
	s->target = snpu_arena_alloc(a, m->n_components, sizeof(*s->target));
	s->plan->root = snpu_arena_alloc(a, m->n_nodes, sizeof(unsigned));
	s->plan->segment_of = snpu_arena_alloc(a, m->n_nodes, sizeof(unsigned));
	s->plan->slot_of = snpu_arena_alloc(a, m->n_nodes, sizeof(unsigned));
	s->plan->segments = snpu_arena_alloc(a, m->n_components, sizeof(*s->plan->segments));
	if (!s->waits || !s->done || !s->target || !s->plan->root || !s->plan->segment_of || !s->plan->slot_of || !s->plan->segments)
		return -ENOMEM;
	for (unsigned c = 0; c < m->n_components; c++)
		s->target[c] = SNPU_ON_NOTHING;
	for (unsigned i = 0; i < m->n_nodes; i++) {
		s->plan->segment_of[i] = s->plan->slot_of[i] = SNPU_NONE;
		if (s->plan->place[i].target != SNPU_ON_NOTHING)
			s->target[m->nodes[i].component] = s->plan->place[i].target;
	}
	for (unsigned e = 0; e < m->n_edges; e++)
		if (m->nodes[m->edges[e].from].component != m->nodes[m->edges[e].to].component)
			s->waits[m->nodes[m->edges[e].to].component]++;
	return 0;
}

/* Nodes that only pass on take the root of what they get; execution order makes that one already known. */
static void find_roots(struct split *s)
{
	const struct snpu_model *m = s->l->m;

	for (unsigned k = 0; k < m->n_nodes; k++) {
		unsigned i = m->order[k];
		const struct snpu_node *n = &m->nodes[i];

		s->plan->root[i] = n->n_in && !snpu_node_executes(m, n) ? s->plan->root[m->edges[n->in[0]].from] : i;
	}
}

/* The next component: one without a device, else one on the current device, else the first that can run. */
static unsigned next_component(const struct split *s, int current)
{
	unsigned best = SNPU_NONE;

	for (unsigned c = 0; c < s->l->m->n_components; c++) {
		if (s->done[c] || s->waits[c])
			continue;
		if (s->target[c] == SNPU_ON_NOTHING || s->target[c] == current)
			return c;
		if (best == SNPU_NONE)
			best = c;
	}
	return best;
}

static void take_component(struct split *s, unsigned c, struct snpu_segment *seg)
{
	const struct snpu_model *m = s->l->m;

	s->done[c] = true;
	for (unsigned k = 0; k < m->n_nodes; k++) {
		unsigned i = m->order[k];
		const struct snpu_node *n = &m->nodes[i];

		if (n->component != c)
			continue;
		for (unsigned e = 0; e < n->n_out; e++)
			if (m->nodes[m->edges[n->out[e]].to].component != c)
				s->waits[m->nodes[m->edges[n->out[e]].to].component]--;
		if (s->plan->place[i].target == SNPU_ON_NOTHING)
			continue;
		s->plan->segment_of[i] = (unsigned)(seg - s->plan->segments);
		s->plan->slot_of[i] = seg->n_slots;
		seg->slots[seg->n_slots++].node = i;
	}
}

int snpu_plan_split(const struct snpu_lowering *l, struct snpu_plan *plan)
{
	struct split s = { .l = l, .plan = plan };
	struct snpu_segment *seg = NULL;
	int current = SNPU_ON_NOTHING, err = split_alloc(&s);
	unsigned c;

	if (err)
		return err;
	find_roots(&s);
	while ((c = next_component(&s, current)) != SNPU_NONE) {
		if (s.target[c] != SNPU_ON_NOTHING && s.target[c] != current) {
			current = s.target[c];
			seg = &plan->segments[plan->n_segments++];
			seg->target = current;
			/* Room for all that can still come. */
			seg->slots = snpu_arena_alloc(&plan->arena, l->m->n_nodes, sizeof(*seg->slots));
			if (!seg->slots)
				return -ENOMEM;
		}
		take_component(&s, c, seg);
	}
	return 0;
}
