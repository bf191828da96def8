/* SPDX-License-Identifier: MIT */
/*
 * Where everything of a segment lies: which values come in and go out, which vectors and event lists its nodes need, and
 * their offsets. A value that is read by the next step lives in STATE, which a sample starts by clearing; everything else
 * that is local to a step lives in SCRATCH. One thread.
 */
#include "lower/plan.h"

struct layout {
	const struct snpu_lowering *l;
	struct snpu_plan *plan;
};

static bool from_caller(const struct snpu_model *m, unsigned root)
{
	return snpu_node_is(&m->nodes[root], SNPU_KIND_ID_INPUT) && !m->nodes[root].n_in;
}

unsigned snpu_stream_find(const struct snpu_stream *list, unsigned n, unsigned node, int state)
{
	for (unsigned i = 0; i < n; i++)
		if (list[i].node == node && list[i].state == state)
			return i;
	return SNPU_NONE;
}

/* The export of a node's value or state, made when it is not there yet. Room is for every node's output and the records. */
static unsigned need_export(struct layout *y, unsigned node, int state)
{
	struct snpu_segment *s = &y->plan->segments[y->plan->segment_of[node]];
	unsigned i = snpu_stream_find(s->exports, s->n_exports, node, state);

	if (i != SNPU_NONE)
		return i;
	s->exports[s->n_exports] = (struct snpu_stream){ .node = node, .state = state, .segment = SNPU_NONE, .n = y->l->m->nodes[node].size };
	return s->n_exports++;
}

static void need_import(struct layout *y, struct snpu_segment *s, unsigned root)
{
	bool caller = from_caller(y->l->m, root);
	struct snpu_stream in = { .node = root, .state = -1, .segment = SNPU_NONE, .n = y->l->m->nodes[root].size };

	if (snpu_stream_find(s->imports, s->n_imports, root, -1) != SNPU_NONE)
		return;
	if (!caller) {
		in.segment = y->plan->segment_of[root];
		in.stream = need_export(y, root, -1);
		y->plan->crossings++;
	}
	s->imports[s->n_imports++] = in;
}

static int find_streams(struct layout *y)
{
	const struct snpu_model *m = y->l->m;
	struct snpu_plan *p = y->plan;

	for (unsigned k = 0; k < p->n_segments; k++) {
		struct snpu_segment *s = &p->segments[k];

		s->imports = snpu_arena_alloc(&p->arena, m->n_nodes, sizeof(*s->imports));
		s->import_events = snpu_arena_alloc(&p->arena, m->n_nodes, sizeof(*s->import_events));
		s->import_old = snpu_arena_alloc(&p->arena, m->n_nodes, sizeof(*s->import_old));
		s->import_old_events = snpu_arena_alloc(&p->arena, m->n_nodes, sizeof(*s->import_old_events));
		s->exports = snpu_arena_alloc(&p->arena, m->n_nodes + y->l->n_wanted, sizeof(*s->exports));
		if (!s->imports || !s->import_events || !s->import_old || !s->import_old_events || !s->exports)
			return -ENOMEM;
	}
	for (unsigned i = 0; i < m->n_nodes; i++) {
		const struct snpu_node *n = &m->nodes[i];

		for (unsigned e = 0; e < n->n_in && p->segment_of[i] != SNPU_NONE; e++) {
			unsigned root = p->root[m->edges[n->in[e]].from];

			if (p->segment_of[root] != p->segment_of[i])
				need_import(y, &p->segments[p->segment_of[i]], root);
		}
	}
	for (unsigned w = 0; w < y->l->n_wanted; w++) {
		struct snpu_wanted *want = &y->l->wanted[w];

		want->root = p->root[want->node];
		want->segment = want->stream = SNPU_NONE;
		if (from_caller(m, want->root))
			continue;
		want->segment = p->segment_of[want->root];
		want->stream = need_export(y, want->root, want->state);
	}
	return 0;
}

/* Who reads the value of a node within its segment, and how. */
struct readers {
	bool events;				/* a node of this step that takes events */
	bool later;				/* any reader of the next step */
	bool kept, kept_events;			/* ... that runs before the node writes again */
	bool old, old_events;			/* ... that runs after it, as the rings of Delays do that break a cycle */
};

static void add_reader(struct readers *r, bool events, bool delayed, bool before)
{
	r->later |= delayed;
	r->events |= events && !delayed;
	r->kept |= delayed && before && !events;
	r->kept_events |= delayed && before && events;
	r->old |= delayed && !before && !events;
	r->old_events |= delayed && !before && events;
}

bool snpu_node_reads_events(const struct snpu_node *n)
{
	return snpu_node_takes_events(n) && n->n_in == 1;
}

/* Looks at all edges of the segment whose value is that of node `root`. */
static struct readers find_readers(const struct layout *y, const struct snpu_segment *s, unsigned root)
{
	const struct snpu_model *m = y->l->m;
	const struct snpu_plan *p = y->plan;
	struct readers r = { 0 };

	for (unsigned k = 0; k < s->n_slots; k++) {
		const struct snpu_node *n = &m->nodes[s->slots[k].node];

		for (unsigned e = 0; e < n->n_in; e++) {
			const struct snpu_edge *edge = &m->edges[n->in[e]];

			if (p->root[edge->from] == root)
				add_reader(&r, snpu_node_reads_events(n), edge->delayed,
					   p->slot_of[root] == SNPU_NONE || (k <= p->slot_of[root] && !n->breaks));
		}
	}
	return r;
}

static uint64_t take(uint64_t *size, uint64_t bytes)
{
	uint64_t at = *size;

	*size += (bytes + SNPU_ALIGN - 1) / SNPU_ALIGN * SNPU_ALIGN;
	return at;
}

static void place_value(struct layout *y, struct snpu_segment *s, struct snpu_slot *slot)
{
	uint64_t n = y->l->m->nodes[slot->node].size, list = SNPU_EVENTS_WORDS(n) * 4;
	struct readers r = find_readers(y, s, slot->node);
	unsigned export = snpu_stream_find(s->exports, s->n_exports, slot->node, -1);

	/* A buffer of all steps cannot hold the value of the step before, so a delayed reader needs a place of its own. */
	slot->export = r.later ? SNPU_NONE : export;
	slot->value = slot->export != SNPU_NONE ? SNPU_NOWHERE : take(r.kept ? &s->state_bytes : &s->scratch_bytes, 4 * n);
	slot->keeps = r.kept;
	slot->keeps_events = r.kept_events;
	slot->events = r.kept_events ? take(&s->state_bytes, list) : r.events ? take(&s->scratch_bytes, list) : SNPU_NOWHERE;
	slot->old_value = r.old ? take(&s->state_bytes, 4 * n) : SNPU_NOWHERE;
	slot->old_events = r.old_events ? take(&s->state_bytes, list) : SNPU_NOWHERE;
}

static void place_slot(struct layout *y, struct snpu_segment *s, struct snpu_slot *slot)
{
	const struct snpu_node *n = &y->l->m->nodes[slot->node];
	uint64_t weights = snpu_pack_weight_bytes(y->l, n), constants = snpu_pack_const_bytes(y->l, n), state = snpu_pack_state_bytes(y->l, n);

	slot->weights = weights ? take(&s->weight_bytes, weights) : SNPU_NOWHERE;
	slot->constants = constants ? take(&s->const_bytes, constants) : SNPU_NOWHERE;
	slot->state = state ? take(&s->state_bytes, state) : SNPU_NOWHERE;
	slot->sum = (n->n_in > 1 || (y->l->quant && y->l->quant->node[slot->node].lift > 1)) && snpu_node_computes(n) ? take(&s->scratch_bytes, 4 * n->in_size) : SNPU_NOWHERE;
	slot->sum_events = n->n_in > 1 && snpu_node_takes_events(n) ? take(&s->scratch_bytes, 4 * SNPU_EVENTS_WORDS(n->in_size))
									      : SNPU_NOWHERE;
	place_value(y, s, slot);
}

static void place_import(struct layout *y, struct snpu_segment *s, unsigned i)
{
	struct readers r = find_readers(y, s, s->imports[i].node);
	uint64_t n = s->imports[i].n, list = 4 * SNPU_EVENTS_WORDS(n);

	s->import_events[i] = r.events ? take(&s->scratch_bytes, list) : SNPU_NOWHERE;
	s->import_old[i] = r.kept ? take(&s->state_bytes, 4 * n) : SNPU_NOWHERE;
	s->import_old_events[i] = r.kept_events ? take(&s->state_bytes, list) : SNPU_NOWHERE;
}

int snpu_plan_layout(const struct snpu_lowering *l, struct snpu_plan *plan)
{
	struct layout y = { l, plan };
	int err = find_streams(&y);

	for (unsigned k = 0; k < plan->n_segments && !err; k++) {
		struct snpu_segment *s = &plan->segments[k];

		for (unsigned i = 0; i < s->n_slots; i++) {
			s->slots[i].state_at = s->state_bytes;
			place_slot(&y, s, &s->slots[i]);
			s->slots[i].state_size = s->state_bytes - s->slots[i].state_at;
		}
		s->imports_state_at = s->state_bytes;
		for (unsigned i = 0; i < s->n_imports; i++)
			place_import(&y, s, i);
		s->imports_state_size = s->state_bytes - s->imports_state_at;
	}
	return err;
}

int snpu_plan_make(const struct snpu_lowering *l, struct snpu_plan *plan)
{
	int err;

	snpu_plan_free(plan);
	err = snpu_delay_check(l);
	if (!err)
		err = snpu_plan_place(l, plan);
	if (!err)
		err = snpu_plan_split(l, plan);
	if (!err)
		err = snpu_plan_layout(l, plan);
	return err;
}

void snpu_plan_free(struct snpu_plan *plan)
{
	snpu_arena_free(&plan->arena);
	*plan = (struct snpu_plan){ 0 };
}
