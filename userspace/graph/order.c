/* SPDX-License-Identifier: MIT */
/*
 * The order in which nodes execute within a time step, and where cycles are cut. One thread, the one that builds the model.
 *
 * A cycle needs a delay of one step somewhere, and NIR does not say where. The rule here: within each strongly
 * connected component, nodes get their breadth-first distance from where data enters the component (or, when nothing
 * enters, from its first stateful node by name). An edge that does not lead to a greater distance closes a cycle. The
 * delay is then moved upstream along the edges of the component until it is on edges that leave a stateful node, so
 * that what is delayed is a spike (or a membrane), never a weighted current: a recurrent layer's bias acts from step 0.
 *
 * A Delay in a cycle breaks it by itself: it gives what it got steps ago before it gets this step's input, so edges into it
 * close nothing, and only cycles that remain without them are cut.
 *
 * That is SNPU_DELAY_SPIKE, the model's own. A session can ask for another and then has a view of the model (snpu_graph_view):
 * CURRENT leaves the delay where the cycle closes; NEURON and SYNAPSE delay what leaves a firing neuron or enters weights, and
 * only what is still a cycle then is cut. With these two, values wait between any nodes, so all are one component.
 */
#include <string.h>

#include "graph/graph.h"

#define NONE	(~0u)

struct walk {
	struct snpu_model *m;
	enum snpu_delay rule;
	unsigned *index, *low, *next;		/* [n_nodes] Tarjan's; next: how many out-edges were followed */
	unsigned *stack, *path;			/* [n_nodes] */
	unsigned n_stack, n_path, n_index;
	bool *on_stack;
	unsigned *comp;				/* [n_nodes] in the order found: a component comes before those that feed it */
	unsigned n_comp;
	unsigned *whole, n_whole;		/* the same with all edges; comp is then without those into Delays that break a cycle */
	unsigned *level, *queue;		/* [n_nodes] breadth-first distance, NONE: not reached */
};

static int walk_alloc(struct snpu_arena *a, struct walk *w)
{
	unsigned n = w->m->n_nodes, **arrays[] = { &w->index, &w->low, &w->next, &w->stack, &w->path, &w->comp, &w->whole, &w->level, &w->queue };

	for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++)
		if (!(*arrays[i] = snpu_arena_alloc(a, n, sizeof(unsigned))))
			return -ENOMEM;
	w->on_stack = snpu_arena_alloc(a, n, sizeof(*w->on_stack));
	return w->on_stack ? 0 : -ENOMEM;
}

static void enter(struct walk *w, unsigned v)
{
	w->index[v] = w->low[v] = w->n_index++;
	w->stack[w->n_stack++] = w->path[w->n_path++] = v;
	w->on_stack[v] = true;
}

static void leave(struct walk *w, unsigned v)
{
	unsigned u;

	w->n_path--;
	if (w->n_path && w->low[v] < w->low[w->path[w->n_path - 1]])
		w->low[w->path[w->n_path - 1]] = w->low[v];
	if (w->low[v] != w->index[v])
		return;
	do {
		u = w->stack[--w->n_stack];
		w->on_stack[u] = false;
		w->comp[u] = w->n_comp;
	} while (u != v);
	w->n_comp++;
}

/* Tarjan's strongly connected components, with its recursion unrolled: a damaged file must not overflow the stack. */
static void components(struct walk *w, unsigned root)
{
	const struct snpu_model *m = w->m;

	enter(w, root);
	while (w->n_path) {
		unsigned v = w->path[w->n_path - 1], to;
		const struct snpu_edge *e;

		if (w->next[v] == m->nodes[v].n_out) {
			leave(w, v);
			continue;
		}
		e = &m->edges[m->nodes[v].out[w->next[v]++]];
		to = e->to;
		if (e->delayed || m->nodes[to].breaks)
			continue;
		if (w->index[to] == NONE)
			enter(w, to);
		else if (w->on_stack[to] && w->index[to] < w->low[v])
			w->low[v] = w->index[to];
	}
}

static void all_components(struct walk *w)
{
	unsigned n = w->m->n_nodes;

	memset(w->index, 0xff, n * sizeof(unsigned));
	memset(w->next, 0, n * sizeof(unsigned));
	w->n_index = w->n_comp = 0;
	for (unsigned i = 0; i < n; i++)
		if (w->index[i] == NONE)
			components(w, i);
}

/* Must the edge's end wait for its beginning, both in component c? */
static bool holds(const struct walk *w, const unsigned *comp, const struct snpu_edge *e, unsigned c)
{
	return comp[e->from] == c && comp[e->to] == c && !e->delayed && !w->m->nodes[e->to].breaks;
}

static bool inside(const struct walk *w, const struct snpu_edge *e, unsigned c)
{
	return w->comp[e->from] == c && w->comp[e->to] == c && !w->m->nodes[e->to].breaks;
}

/* Of the edges within component c, those that must be respected in a step. */
static bool binds(const struct walk *w, const struct snpu_edge *e, unsigned c)
{
	return holds(w, w->comp, e, c);
}

/* Delays that are in a cycle break it. false: there are none. */
static bool mark_breaks(struct walk *w)
{
	struct snpu_model *m = w->m;
	bool any = false;

	memcpy(w->whole, w->comp, m->n_nodes * sizeof(unsigned));
	w->n_whole = w->n_comp;
	for (unsigned e = 0; e < m->n_edges; e++) {
		struct snpu_node *to = &m->nodes[m->edges[e].to];

		if (w->whole[m->edges[e].from] == w->whole[m->edges[e].to] && !m->edges[e].delayed && snpu_node_is(to, SNPU_KIND_ID_DELAY))
			any = to->breaks = true;
	}
	return any;
}

static void queue_node(struct walk *w, unsigned node, unsigned level, unsigned *n)
{
	if (w->level[node] != NONE)
		return;
	w->level[node] = level;
	w->queue[(*n)++] = node;
}

/* Breadth-first distances within component c. false: it has no stateful node. */
static bool distances(struct walk *w, unsigned c)
{
	const struct snpu_model *m = w->m;
	unsigned n = 0, start = NONE;

	memset(w->level, 0xff, m->n_nodes * sizeof(unsigned));
	for (unsigned i = 0; i < m->n_nodes; i++) {
		if (w->comp[i] != c)
			continue;
		if (m->nodes[i].kind->states && (start == NONE || strcmp(m->nodes[i].name, m->nodes[start].name) < 0))
			start = i;
		for (unsigned k = 0; k < m->nodes[i].n_in; k++)
			if (w->comp[m->edges[m->nodes[i].in[k]].from] != c)
				queue_node(w, i, 0, &n);
	}
	if (start == NONE)
		return false;
	if (!n)
		queue_node(w, start, 0, &n);
	for (unsigned done = 0; done < n; done++) {
		unsigned v = w->queue[done];

		for (unsigned k = 0; k < m->nodes[v].n_out; k++) {
			const struct snpu_edge *e = &m->edges[m->nodes[v].out[k]];

			if (binds(w, e, c))
				queue_node(w, e->to, w->level[v] + 1, &n);
		}
	}
	return true;
}

/* Puts the delay of edge e on the nearest edges upstream that leave a stateful node. seen: [n_edges], per component. */
static void cut(struct walk *w, unsigned e, unsigned c, unsigned *todo, bool *seen)
{
	struct snpu_model *m = w->m;
	unsigned n = 0;

	if (!seen[e])
		todo[n++] = e;
	seen[e] = true;
	while (n) {
		struct snpu_edge *edge = &m->edges[todo[--n]];
		const struct snpu_node *from = &m->nodes[edge->from];

		if (from->kind->states || w->rule == SNPU_DELAY_CURRENT) {
			edge->delayed = true;
			continue;
		}
		for (unsigned k = 0; k < from->n_in; k++) {
			unsigned up = from->in[k];

			if (!seen[up] && inside(w, &m->edges[up], c))
				todo[n++] = up;
			seen[up] = true;
		}
	}
}

static unsigned cycle_node(const struct walk *w, unsigned c)
{
	unsigned i = 0;

	while (w->comp[i] != c)
		i++;
	return i;
}

static int cut_component(struct walk *w, unsigned c, unsigned *todo, bool *seen)
{
	struct snpu_model *m = w->m;
	bool cyclic = false;
	int err;

	for (unsigned e = 0; e < m->n_edges; e++)
		cyclic |= binds(w, &m->edges[e], c);
	if (!cyclic)
		return 0;
	if (!distances(w, c))
		return snpu_fail(-EINVAL, "node '%s' is in a cycle without a neuron, so its input depends on its own output of the same step; put a neuron with a state into the cycle",
				 m->nodes[cycle_node(w, c)].name);
	memset(seen, 0, m->n_edges * sizeof(*seen));
	for (unsigned e = 0; e < m->n_edges; e++)
		if (binds(w, &m->edges[e], c) && w->level[m->edges[e].to] <= w->level[m->edges[e].from])
			cut(w, e, c, todo, seen);
	for (unsigned e = 0; e < m->n_edges && !m->finished; e++) {
		if (!inside(w, &m->edges[e], c) || !m->edges[e].delayed)
			continue;
		err = snpu_model_add_note(m, SNPU_NOTE_INFO, "cycle-delay", m->nodes[m->edges[e].from].name,
					  "closes a cycle: '%s' sees its output of the step before", m->nodes[m->edges[e].to].name);
		if (err)
			return err;
	}
	return 0;
}

/* Kahn's algorithm within one component, over the edges that are not delayed; lowest node number first. */
static int order_component(struct walk *w, unsigned c, unsigned *at)
{
	struct snpu_model *m = w->m;
	unsigned *waits = w->low, first = *at;

	for (unsigned i = 0; i < m->n_nodes; i++) {
		if (w->whole[i] != c)
			continue;
		waits[i] = 0;
		for (unsigned k = 0; k < m->nodes[i].n_in; k++) {
			const struct snpu_edge *e = &m->edges[m->nodes[i].in[k]];

			waits[i] += holds(w, w->whole, e, c);
		}
		if (!waits[i])
			m->order[(*at)++] = i;
	}
	for (unsigned done = first; done < *at; done++) {
		const struct snpu_node *n = &m->nodes[m->order[done]];

		for (unsigned k = 0; k < n->n_out; k++) {
			const struct snpu_edge *e = &m->edges[n->out[k]];

			if (holds(w, w->whole, e, c) && !--waits[e->to])
				m->order[(*at)++] = e->to;
		}
	}
	for (unsigned i = 0; i < m->n_nodes; i++)
		if (w->whole[i] == c && waits[i])
			return snpu_fail(-EINVAL, "node '%s' is in a cycle without a neuron, so its input depends on its own output of the same step; put a neuron with a state into the cycle",
					 m->nodes[i].name);
	return 0;
}

/* Before anything else: what waits in any case. */
static void delay_all(struct walk *w)
{
	struct snpu_model *m = w->m;

	for (unsigned i = 0; i < m->n_nodes; i++)
		m->nodes[i].breaks = false;
	for (unsigned i = 0; i < m->n_edges; i++) {
		const struct snpu_kind *from = m->nodes[m->edges[i].from].kind, *to = m->nodes[m->edges[i].to].kind;

		m->edges[i].delayed = (w->rule == SNPU_DELAY_NEURON && from->flags & SNPU_KIND_FIRES && from->states) ||
				      (w->rule == SNPU_DELAY_SYNAPSE && snpu_kind_weighs(to));
	}
}

static int order_all(struct walk *w, struct snpu_arena *a, struct snpu_arena *tmp)
{
	struct snpu_model *m = w->m;
	unsigned at = 0, *todo = snpu_arena_alloc(tmp, m->n_edges, sizeof(*todo));
	bool *seen = snpu_arena_alloc(tmp, m->n_edges, sizeof(*seen)), one = w->rule == SNPU_DELAY_NEURON || w->rule == SNPU_DELAY_SYNAPSE;
	int err = 0;

	m->order = snpu_arena_alloc(a, m->n_nodes, sizeof(*m->order));
	if (!todo || !seen || !m->order)
		return -ENOMEM;
	for (unsigned c = w->n_comp; c-- > 0 && !err;)
		err = cut_component(w, c, todo, seen);
	/* Values that wait between any nodes make one component of all. */
	if (one && m->n_nodes) {
		memset(w->whole, 0, m->n_nodes * sizeof(*w->whole));
		w->n_whole = 1;
	}
	/* Found last feeds all others: execution order is the reverse. */
	for (unsigned c = w->n_whole; c-- > 0 && !err;)
		err = order_component(w, c, &at);
	for (unsigned i = 0; i < m->n_nodes; i++)
		m->nodes[i].component = w->n_whole - 1 - w->whole[i];
	m->n_components = w->n_whole;
	return err;
}

int snpu_graph_order(struct snpu_model *m, struct snpu_arena *a, enum snpu_delay rule)
{
	struct snpu_arena tmp = { 0 };
	struct walk w = { .m = m, .rule = rule };
	int err = walk_alloc(&tmp, &w);

	if (!err) {
		delay_all(&w);
		all_components(&w);
		if (mark_breaks(&w))
			all_components(&w);
		err = order_all(&w, a, &tmp);
	}
	snpu_arena_free(&tmp);
	return err;
}

int snpu_graph_view(const struct snpu_model *m, struct snpu_arena *a, enum snpu_delay rule, struct snpu_model *view)
{
	*view = *m;
	view->nodes = snpu_arena_alloc(a, m->n_nodes, sizeof(*view->nodes));
	view->edges = snpu_arena_alloc(a, m->n_edges, sizeof(*view->edges));
	if (!view->nodes || !view->edges)
		return -ENOMEM;
	memcpy(view->nodes, m->nodes, m->n_nodes * sizeof(*view->nodes));
	memcpy(view->edges, m->edges, m->n_edges * sizeof(*view->edges));
	return snpu_graph_order(view, a, rule);
}
