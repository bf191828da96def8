/* SPDX-License-Identifier: MIT */
/*
 * Shapes, computed from the inputs and the parameters; what the file says about shapes is compared, never believed,
 * except where data enters. Cycles make it a fixed point: a node is settled as soon as anything settles it, and all edges
 * are checked at the end. One thread, the one that builds the model.
 */
#include <string.h>

#include "graph/graph.h"
#include "snpu_isa.h"

static int settle(struct snpu_node *n, unsigned rank, const uint64_t *shape)
{
	uint64_t size = 1;

	if (rank > SNPU_MAX_RANK)
		return snpu_fail(-E2BIG, "node '%s' gets %u axes, at most %u are possible; flatten it", n->name, rank, SNPU_MAX_RANK);
	for (unsigned i = 0; i < rank; i++)
		if (!shape[i] || !snpu_mul(size, shape[i], &size) || size > SNPU_MAX_N)
			return snpu_fail(-E2BIG, "node '%s' has the shape %s, at most %u elements are possible; use a smaller layer", n->name,
					 SNPU_SHAPE(rank, shape), SNPU_MAX_N);
	n->rank = rank;
	if (rank)
		memcpy(n->shape, shape, rank * sizeof(*shape));
	n->size = size;
	n->known = true;
	return 0;
}

/* The shape the file gives an Input. */
static int settle_given(struct snpu_node *n)
{
	uint64_t shape[SNPU_MAX_RANK];

	for (unsigned i = 0; i < n->n_shape; i++) {
		if (n->shape_given[i] < 1)
			return snpu_fail(-EINVAL, "node '%s': its shape has %lld elements along axis %u; check the program that wrote it", n->name,
					 (long long)n->shape_given[i], i);
		shape[i] = (uint64_t)n->shape_given[i];
	}
	return settle(n, n->n_shape, shape);
}

/* Does a Linear behind it take all its inputs at once, where the file's own numbers would leave rows? */
static bool next_takes(const struct snpu_model *m, const struct snpu_node *n, uint64_t total, uint64_t last)
{
	for (unsigned k = 0; k < n->n_out; k++) {
		const struct snpu_node *to = &m->nodes[m->edges[n->out[k]].to];

		if (to->columns == total && total != last)
			return true;
	}
	return false;
}

/*
 * Flatten counts axes without the batch today; older exporters counted the batch as axis 0 (rule 8). start_dim 1 with
 * a layer behind it that takes everything shows the older way.
 */
static int settle_flatten(struct snpu_model *m, struct snpu_node *n, const struct snpu_node *from)
{
	int64_t rank = from->rank, start = n->start_dim, end = n->end_dim;
	uint64_t shape[SNPU_MAX_RANK];
	unsigned r = 0;
	int err;

	start += start < 0 ? rank : 0;
	end += end < 0 ? rank : 0;
	if (start == 1 && end == rank - 1 && rank > 1 && next_takes(m, n, from->size, from->size / from->shape[0])) {
		start = 0;
		err = snpu_model_add_note(m, SNPU_NOTE_ASSUMED, "flatten-batch", n->name,
					  "start_dim 1 is taken to count the batch, as older exporters did: all axes are flattened");
		if (err)
			return err;
	}
	if (start == 1 && rank == 1)
		start = 0;
	if (rank && (start < 0 || start > end || end >= rank))
		return snpu_fail(-EINVAL, "node '%s' flattens axes %lld to %lld of an input with the shape %s; check start_dim and end_dim", n->name,
				 (long long)n->start_dim, (long long)n->end_dim, SNPU_SHAPE(from->rank, from->shape));
	for (int64_t i = 0; i < rank; i++)
		if (i <= start || i > end)
			shape[r++] = from->shape[i];
		else
			shape[r - 1] *= from->shape[i];
	return settle(n, r, shape);
}

/*
 * Several matrices, or one for several vectors: y[i] = W[i] x[i] for each index i of the leading axes, over which W broadcasts. On
 * the card that is a convolution of a 1 by 1 image with a group for each.
 */
static int settle_matrices(struct snpu_node *n, const struct snpu_node *from)
{
	const struct snpu_tensor *w = snpu_node_param(n, "weight"), *b = snpu_node_param(n, "bias");
	struct snpu_tensor lead = { .rank = w->rank - 2 };
	unsigned rank = from->rank;
	uint64_t shape[SNPU_MAX_RANK], groups = from->size / n->columns;

	memcpy(lead.shape, w->shape, sizeof(lead.shape));
	if (!rank || from->shape[rank - 1] != n->columns || !snpu_tensor_fits(&lead, rank - 1, from->shape))
		return snpu_fail(-EINVAL, "node '%s' takes %llu inputs, '%s' gives %llu (shape %s), and its weight is %s; put a Flatten between, or check the weights", n->name,
				 (unsigned long long)n->columns, from->name, (unsigned long long)from->size, SNPU_SHAPE(from->rank, from->shape),
				 SNPU_SHAPE(w->rank, w->shape));
	memcpy(shape, from->shape, rank * sizeof(*shape));
	shape[rank - 1] = n->rows;
	if (b && !snpu_tensor_fits(b, rank, shape))
		return snpu_fail(-EINVAL, "node '%s' has biases of the shape %s for outputs of %s; check the program that wrote it", n->name,
				 SNPU_SHAPE(b->rank, b->shape), SNPU_SHAPE(rank, shape));
	if (groups > SNPU_MAX_SIDE || n->columns > SNPU_MAX_SIDE || n->rows > SNPU_MAX_SIDE)
		return snpu_fail(-E2BIG, "node '%s' is %llu matrices (%llu,%llu), at most %u of at most so many outputs and inputs are possible", n->name,
				 (unsigned long long)groups, (unsigned long long)n->rows, (unsigned long long)n->columns, SNPU_MAX_SIDE);
	n->window = (struct snpu_window){ .groups = (uint32_t)groups, .c_in = (uint32_t)n->columns, .c_out = (uint32_t)n->rows, .h = 1, .w = 1, .out_h = 1,
					  .out_w = 1, .kernel_h = 1, .kernel_w = 1, .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1 };
	return settle(n, rank, shape);
}

/* One matrix takes all values of its input at once. */
static int settle_synapses(struct snpu_node *n, const struct snpu_node *from)
{
	const struct snpu_tensor *w = snpu_node_param(n, "weight"), *b = snpu_node_param(n, "bias");

	if (from->size != n->columns || w->count != n->rows * n->columns)
		return settle_matrices(n, from);
	if (b && b->count != n->rows && b->count != 1)
		return snpu_fail(-EINVAL, "node '%s' has %llu biases for %llu outputs; check the program that wrote it", n->name,
				 (unsigned long long)b->count, (unsigned long long)n->rows);
	return settle(n, 1, &n->rows);
}

static int settle_window(struct snpu_node *n, const char *from, unsigned rank, const uint64_t *shape)
{
	uint64_t out[SNPU_MAX_RANK];
	unsigned out_rank = 0;
	int err = snpu_window_settle(n, from, rank, shape, &out_rank, out);

	return err ? err : settle(n, out_rank, out);
}

static int settle_from(struct snpu_model *m, struct snpu_node *n, const struct snpu_node *from)
{
	n->in_size = from->size;
	if (snpu_node_is(n, SNPU_KIND_ID_FLATTEN))
		return settle_flatten(m, n, from);
	if (n->kind->flags & SNPU_KIND_SYNAPSES)
		return settle_synapses(n, from);
	if (n->kind->flags & SNPU_KIND_WINDOW)
		return settle_window(n, from->name, from->rank, from->shape);
	return settle(n, from->rank, from->shape);
}

/* The shape of the input that the parameters of synapses and windows tell. */
static bool own_input(const struct snpu_node *n, unsigned *rank, uint64_t shape[SNPU_MAX_RANK])
{
	const struct snpu_tensor *w = snpu_node_param(n, "weight");

	if (!(n->kind->flags & SNPU_KIND_SYNAPSES))
		return snpu_window_input(n, rank, shape);
	*rank = w->count == n->rows * n->columns ? 1 : w->rank - 1;
	memcpy(shape, w->shape, sizeof(w->shape));
	shape[*rank - 1] = n->columns;
	return true;
}

/* Without an input whose shape is known: what the node's own parameters tell. */
static int settle_own(struct snpu_node *n)
{
	const struct snpu_tensor *widest = NULL;
	struct snpu_node from = { .name = "itself" };

	if (snpu_node_is(n, SNPU_KIND_ID_INPUT) && !n->n_in)
		return settle_given(n);
	if (own_input(n, &from.rank, from.shape)) {
		int err = settle(&from, from.rank, from.shape);

		return err ? err : settle_from(NULL, n, &from);
	}
	if (!(n->kind->flags & SNPU_KIND_ELEMENTS))
		return 0;
	for (int i = 0; i < SNPU_KIND_PARAMS; i++)
		if (n->param[i].data && n->param[i].rank && (!widest || n->param[i].count > widest->count))
			widest = &n->param[i];
	n->in_size = widest ? widest->count : 0;
	return widest ? settle(n, widest->rank, widest->shape) : 0;
}

/* One pass in execution order. own: also let parameters settle one node, where inputs cannot. */
static int pass(struct snpu_model *m, bool own, bool *changed)
{
	*changed = false;
	for (unsigned k = 0; k < m->n_nodes; k++) {
		struct snpu_node *n = &m->nodes[m->order[k]];
		const struct snpu_node *from = NULL;
		int err;

		if (n->known)
			continue;
		for (unsigned i = 0; i < n->n_in && !from; i++)
			if (m->nodes[m->edges[n->in[i]].from].known)
				from = &m->nodes[m->edges[n->in[i]].from];
		if (!from && !own && n->n_in)
			continue;
		err = from ? settle_from(m, n, from) : settle_own(n);
		if (err)
			return err;
		*changed |= n->known;
		if (own && n->known && !from)
			return 0;
	}
	return 0;
}

/* Rows and columns of the weight matrices. */
static int read_matrix(struct snpu_node *n)
{
	const struct snpu_tensor *w = snpu_node_param(n, "weight"), *b = snpu_node_param(n, "bias");

	if (n->kind->flags & SNPU_KIND_WINDOW)
		return snpu_window_read(n);
	if (!(n->kind->flags & SNPU_KIND_SYNAPSES))
		return 0;
	if (!w->data || (b && !b->data))
		return snpu_fail(-EINVAL, "node '%s' (%s) has no '%s'; check the program that wrote it", n->name, n->kind->name,
				 w->data ? "bias" : "weight");
	if (w->rank < 2)
		return snpu_fail(-EINVAL, "node '%s': its weight has the shape %s, a matrix (outputs,inputs) is needed", n->name, SNPU_SHAPE(w->rank, w->shape));
	n->rows = w->shape[w->rank - 2];
	n->columns = w->shape[w->rank - 1];
	if (n->rows > SNPU_MAX_N || n->columns > SNPU_MAX_N)
		return snpu_fail(-E2BIG, "node '%s' is a matrix %s, at most %u outputs and inputs are possible", n->name, SNPU_SHAPE(w->rank, w->shape), SNPU_MAX_N);
	return 0;
}

/* An Input without a shape whose only user is a matrix: as many as the matrix takes. */
static int guess_inputs(struct snpu_model *m)
{
	for (unsigned i = 0; i < m->n_inputs; i++) {
		struct snpu_node *n = &m->nodes[m->inputs[i]];
		const struct snpu_node *to = n->n_out ? &m->nodes[m->edges[n->out[0]].to] : NULL;
		uint64_t shape[SNPU_MAX_RANK];
		struct snpu_node probe;
		unsigned rank;
		int err;

		if (n->n_shape || !to)
			continue;
		probe = *to;
		err = settle_own(&probe);
		if (err)
			return err;
		if (own_input(to, &rank, shape))
			err = settle(n, rank, shape);
		else if (probe.known)
			err = settle(n, probe.rank, probe.shape);
		if (err)
			return err;
		if (n->known)
			err = snpu_model_add_note(m, SNPU_NOTE_ASSUMED, "shape-missing", n->name, "has no shape in the file, taken as %s from '%s'",
						  SNPU_SHAPE(n->rank, n->shape), to->name);
		if (err)
			return err;
	}
	return 0;
}

static int check_edges(struct snpu_model *m)
{
	for (unsigned e = 0; e < m->n_edges; e++) {
		const struct snpu_node *from = &m->nodes[m->edges[e].from], *to = &m->nodes[m->edges[e].to];

		if (!from->known || !to->known)
			return snpu_fail(-EINVAL, "the shape of node '%s' cannot be told; give its parameters their full shape", from->known ? to->name : from->name);
		if (from->size != to->in_size)
			return snpu_fail(-EINVAL, "node '%s' takes %llu inputs, '%s' gives %llu (shape %s); check the weights and the edges", to->name,
					 (unsigned long long)to->in_size, from->name, (unsigned long long)from->size, SNPU_SHAPE(from->rank, from->shape));
	}
	return 0;
}

/* The rows and columns that the file states for the input of a convolution. */
static int note_window(struct snpu_model *m, const struct snpu_node *n)
{
	uint64_t given[SNPU_MAX_RANK], is[2] = { n->window.h, n->window.w };
	unsigned rank;

	if (!snpu_window_input(n, &rank, given) || !memcmp(given + 1, rank == 2 ? &is[1] : is, (rank - 1) * sizeof(*is)))
		return 0;
	return snpu_model_add_note(m, SNPU_NOTE_WARNING, "shape-ignored", n->name, "the file gives its input the shape %s; %s is what it gets",
				   SNPU_SHAPE(rank - 1, given + 1), SNPU_SHAPE(rank - 1, rank == 2 ? &is[1] : is));
}

/* Shapes that the file states and that turned out otherwise. */
static int note_shapes(struct snpu_model *m)
{
	for (unsigned i = 0; i < m->n_nodes; i++) {
		const struct snpu_node *n = &m->nodes[i];
		uint64_t given[SNPU_MAX_RANK];
		bool same = n->n_shape == n->rank;
		int err = note_window(m, n);

		for (unsigned d = 0; d < n->n_shape; d++) {
			given[d] = (uint64_t)n->shape_given[d];
			same = same && given[d] == n->shape[d];
		}
		if (!err && n->n_shape && !same)
			err = snpu_model_add_note(m, SNPU_NOTE_WARNING, "shape-ignored", n->name, "the file gives it the shape %s; %s is what it gets",
						  SNPU_SHAPE(n->n_shape, given), SNPU_SHAPE(n->rank, n->shape));
		if (err)
			return err;
	}
	return 0;
}

/* Each parameter of a neuron is one value, or one for each. */
static int check_params(const struct snpu_model *m)
{
	for (unsigned k = 0; k < m->n_nodes; k++) {
		const struct snpu_node *n = &m->nodes[m->order[k]];

		for (int i = 0; n->kind->flags & SNPU_KIND_ELEMENTS && i < SNPU_KIND_PARAMS && n->kind->param[i].name; i++)
			if (n->param[i].data && !snpu_tensor_fits(&n->param[i], n->rank, n->shape))
				return snpu_fail(-EINVAL, "node '%s': '%s' has the shape %s, the node has %s; give one value, or one for each neuron", n->name,
						 n->kind->param[i].name, SNPU_SHAPE(n->param[i].rank, n->param[i].shape), SNPU_SHAPE(n->rank, n->shape));
	}
	return 0;
}

static int settle_all(struct snpu_model *m)
{
	bool changed = true;
	int err = 0;

	for (unsigned i = 0; i < m->n_nodes && !err; i++) {
		m->nodes[i].known = false;
		m->nodes[i].window = (struct snpu_window){ 0 };
		err = read_matrix(&m->nodes[i]);
	}
	if (!err)
		err = guess_inputs(m);
	while (!err && changed) {
		err = pass(m, false, &changed);
		if (!err && !changed)
			err = pass(m, true, &changed);
	}
	if (!err)
		err = check_edges(m);
	return err ? err : check_params(m);
}

/*
 * A pool moves by its own window unless told otherwise (torch's default), and an exporter has written 1 for that. Gives pools with
 * a stride of 1 that of their window; returns whether there are any.
 */
static bool widen_strides(struct snpu_model *m)
{
	bool any = false;

	for (unsigned i = 0; i < m->n_nodes; i++) {
		struct snpu_node *n = &m->nodes[i];
		int64_t *stride = n->given.number[SNPU_WINDOW_STRIDE].v, *window = n->given.number[SNPU_WINDOW_KERNEL].v;

		if (n->kind->opcode != SNPU_OP_POOL || stride[0] != 1 || stride[1] != 1 || (window[0] <= 1 && window[1] <= 1))
			continue;
		n->restrided = any = true;
		stride[0] = window[0];
		stride[1] = window[1];
	}
	return any;
}

static void restore_strides(struct snpu_model *m)
{
	for (unsigned i = 0; i < m->n_nodes; i++) {
		struct snpu_node *n = &m->nodes[i];

		if (n->restrided)
			n->given.number[SNPU_WINDOW_STRIDE].v[0] = n->given.number[SNPU_WINDOW_STRIDE].v[1] = 1;
		n->restrided = false;
	}
}

static int note_strides(struct snpu_model *m)
{
	int err = 0;

	for (unsigned i = 0; i < m->n_nodes && !err; i++) {
		const struct snpu_node *n = &m->nodes[i];
		const int64_t *stride = n->given.number[SNPU_WINDOW_STRIDE].v;

		if (n->restrided)
			err = snpu_model_add_note(m, SNPU_NOTE_ASSUMED, "pool-stride", n->name,
						  "with its stride of 1 the layers behind it do not fit; it is taken to be %lld by %lld, its window",
						  (long long)stride[0], (long long)stride[1]);
	}
	return err;
}

/* With pools as the file has them, and if nothing fits then, with the strides that a program may have lost. */
int snpu_graph_shapes(struct snpu_model *m)
{
	unsigned notes = m->n_notes;
	int err = settle_all(m);

	if (err == -EINVAL && widen_strides(m)) {
		m->n_notes = notes;
		err = settle_all(m);
		if (!err)
			err = note_strides(m);
		else {				/* it was not that: the sentence is about the file as it is */
			restore_strides(m);
			m->n_notes = notes;
			err = settle_all(m);
		}
	}
	return err ? err : note_shapes(m);
}
