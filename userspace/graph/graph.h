/* SPDX-License-Identifier: MIT */
/*
 * A network as the library holds it: nodes with their parameters, edges, the order of execution, notes. Built by the
 * calls of snpu_model.h, completed by snpu_model_finish(), read-only afterwards and then free for any number of
 * threads. What a time step means (dt, reset, ...) is not in here: a session decides it, see semantics.h.
 */
#ifndef SNPU_GRAPH_GRAPH_H
#define SNPU_GRAPH_GRAPH_H

#include <stdatomic.h>

#include "core/fail.h"
#include "graph/arena.h"
#include "snpu/snpu_model.h"

#define SNPU_MODEL_NODES	4096
#define SNPU_MODEL_EDGES	65536
#define SNPU_MODEL_NOTES	16384
#define SNPU_MODEL_META		256
#define SNPU_NAME_MAX		1024		/* bytes of a node's name */
#define SNPU_KIND_PARAMS	7

enum snpu_kind_flags {
	SNPU_KIND_SYNAPSES = 1 << 0,		/* a weight matrix: size in and out differ */
	SNPU_KIND_ELEMENTS = 1 << 1,		/* one output for each input, parameters broadcast */
	SNPU_KIND_FIRES = 1 << 2,		/* has a threshold: compares, and resets when it has a state */
};

enum snpu_role { SNPU_ROLE_MATRIX, SNPU_ROLE_BIAS, SNPU_ROLE_PLAIN, SNPU_ROLE_TAU, SNPU_ROLE_GAIN };

#define KIND(ID, name, flags, opcode, states, params)	SNPU_KIND_ID_##ID,
#define KIND_LATER(name)
enum snpu_kind_id {
#include "graph/kinds.def"
	SNPU_KIND_ID_COUNT
};

struct snpu_kind {
	enum snpu_kind_id id;
	const char *name;
	unsigned flags;				/* enum snpu_kind_flags */
	unsigned opcode;
	unsigned states;			/* state variables a neuron; not 0: the node remembers, and can end a cycle */
	struct { const char *name; enum snpu_role role; float deflt; } param[SNPU_KIND_PARAMS];
};

struct snpu_tensor {
	unsigned rank;
	uint64_t shape[SNPU_MAX_RANK];
	uint64_t count;
	const float *data;			/* [count]; NULL: not given */
};

struct snpu_node {
	const char *name;
	const struct snpu_kind *kind;
	struct snpu_tensor param[SNPU_KIND_PARAMS];	/* as kind->param */
	/* Integer parameters; n_* 0: not given. */
	unsigned n_shape, n_input_type;
	int64_t shape_given[SNPU_MAX_RANK], input_type[SNPU_MAX_RANK];
	int64_t start_dim, end_dim;		/* Flatten; defaults 1 and -1 */
	/* By finish: */
	bool known;				/* shape is computed */
	unsigned rank;
	uint64_t shape[SNPU_MAX_RANK];		/* of the output */
	uint64_t size, in_size;			/* elements of output and input */
	uint64_t rows, columns;			/* of the weight matrix: outputs, inputs */
	unsigned n_in, n_out;			/* edges */
	unsigned *in, *out;			/* edge numbers, in the order in which they were added */
	unsigned component;			/* strongly connected component, numbered in execution order */
};

struct snpu_edge {
	unsigned from, to;
	bool delayed;
};

struct snpu_meta {
	const char *key, *text;
};

struct snpu_model {
	struct snpu_arena arena;
	atomic_uint refs;			/* the handle and the sessions */
	struct snpu_node *nodes;
	struct snpu_edge *edges;
	struct snpu_note *notes;
	struct snpu_meta *meta;
	unsigned n_nodes, n_edges, n_notes, n_meta;
	unsigned cap_nodes, cap_edges, cap_notes, cap_meta;
	const char *format;
	double dt;				/* seconds; 0: not given */
	bool finished;
	/* By finish: */
	unsigned *order;			/* [n_nodes] execution order, components contiguous */
	unsigned n_components;
	unsigned *inputs, *outputs;
	unsigned n_inputs, n_outputs;
};

/* One more user of a finished model; snpu_model_free() gives one back. */
void snpu_model_get(struct snpu_model *m);

const struct snpu_kind *snpu_kind_find(const char *name);
/* Is it a type of NIR that is not supported yet? */
bool snpu_kind_later(const char *name);
static inline bool snpu_node_is(const struct snpu_node *n, enum snpu_kind_id id) { return n->kind->id == id; }
/* Index of a parameter in kind->param, -1. The list ends at a NULL name or after SNPU_KIND_PARAMS. */
int snpu_kind_param(const struct snpu_kind *kind, const char *name);
/* The parameter called `name`, NULL when the kind has none. */
const struct snpu_tensor *snpu_node_param(const struct snpu_node *n, const char *name);
/* Executes something: neither Input, Output nor Flatten. */
static inline bool snpu_node_computes(const struct snpu_node *n) { return n->kind->flags != 0; }

/* The steps of snpu_model_finish(), in this order. */
int snpu_graph_link(struct snpu_model *m) SNPU_MUST_CHECK;	/* edge lists, missing ends, inputs and outputs: link.c */
int snpu_graph_order(struct snpu_model *m) SNPU_MUST_CHECK;	/* components, cuts, order: order.c */
int snpu_graph_shapes(struct snpu_model *m) SNPU_MUST_CHECK;	/* shape.c */
int snpu_graph_check(struct snpu_model *m) SNPU_MUST_CHECK;	/* values of parameters: check.c */

/* "(16,8,8)" */
const char *snpu_shape_text(unsigned rank, const uint64_t *shape, char *buf, size_t size);
#define SNPU_SHAPE_TEXT	128
#define SNPU_SHAPE(rank, shape)	snpu_shape_text(rank, shape, (char[SNPU_SHAPE_TEXT]){ 0 }, SNPU_SHAPE_TEXT)

/*
 * Broadcasting: trailing axes aligned, axes of length 1 repeated, surplus leading axes of length 1 dropped. fits: can the
 * tensor be spread over the node's shape? spread: does it, into out[n->size].
 */
bool snpu_tensor_fits(const struct snpu_tensor *t, unsigned rank, const uint64_t *shape);
void snpu_tensor_spread(const struct snpu_tensor *t, const struct snpu_node *n, float *out);

int snpu_note_add(struct snpu_arena *a, struct snpu_note **notes, unsigned *n, unsigned *cap, enum snpu_note_kind kind,
		  const char *rule, const char *node, const char *fmt, va_list ap) __attribute__((format(printf, 8, 0)));

#endif
