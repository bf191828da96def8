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
#include "snpu_isa.h"

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
	SNPU_KIND_WINDOW = 1 << 3,		/* a window slides over an image [channels][rows][columns] */
};

enum snpu_role { SNPU_ROLE_MATRIX, SNPU_ROLE_BIAS, SNPU_ROLE_PLAIN, SNPU_ROLE_TAU, SNPU_ROLE_GAIN, SNPU_ROLE_DRIVE, SNPU_ROLE_DRIVE_SYN, SNPU_ROLE_STEPS };

#define KIND(ID, name, flags, opcode, states, params)	SNPU_KIND_ID_##ID,
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
	uint64_t zeros;				/* elements that are 0 */
};

/* The whole numbers of windows, as the file has them. n 0: not given. */
enum snpu_window_int { SNPU_WINDOW_STRIDE, SNPU_WINDOW_PADDING, SNPU_WINDOW_DILATION, SNPU_WINDOW_GROUPS, SNPU_WINDOW_KERNEL, SNPU_WINDOW_INPUT, SNPU_WINDOW_INTS };
struct snpu_window_given {
	struct {
		unsigned n;
		int64_t v[2];			/* rows, columns; of a sequence [0] is columns */
	} number[SNPU_WINDOW_INTS];
	bool same;				/* padding "same" */
};

/*
 * The geometry of CONV and POOL, named as their operands. groups 0: it is none. Also of Linear and Affine with several
 * matrices: an image of 1 by 1, a group for each. A pool has a group for each channel.
 */
struct snpu_window {
	uint32_t groups, c_in, c_out, h, w, out_h, out_w, kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
};

struct snpu_node {
	const char *name;
	const struct snpu_kind *kind;
	struct snpu_tensor param[SNPU_KIND_PARAMS];	/* as kind->param */
	/* Integer parameters; n_* 0: not given. */
	unsigned n_shape, n_input_type;
	int64_t shape_given[SNPU_MAX_RANK], input_type[SNPU_MAX_RANK];
	int64_t start_dim, end_dim;		/* Flatten; defaults 1 and -1 */
	struct snpu_window_given given;
	/* By finish: */
	bool restrided;				/* a pool whose given stride was not believed, rule pool-stride */
	bool known;				/* shape is computed */
	unsigned rank;
	uint64_t shape[SNPU_MAX_RANK];		/* of the output */
	uint64_t size, in_size;			/* elements of output and input */
	uint64_t rows, columns;			/* of the weight matrix, or of each: outputs, inputs */
	struct snpu_window window;
	bool breaks;				/* a Delay in a cycle: gives what it has before it gets its input, so nothing need be cut */
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
	struct snpu_session_opts preset;	/* what the file says of a session's meaning, where its options do not */
	bool has_preset;
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
static inline bool snpu_node_is(const struct snpu_node *n, enum snpu_kind_id id) { return n->kind->id == id; }
/* Index of a parameter in kind->param, -1. The list ends at a NULL name or after SNPU_KIND_PARAMS. */
int snpu_kind_param(const struct snpu_kind *kind, const char *name);
/* The parameter called `name`, NULL when the kind has none. */
const struct snpu_tensor *snpu_node_param(const struct snpu_node *n, const char *name);
/* Executes something: neither Input, Output nor Flatten. */
static inline bool snpu_node_computes(const struct snpu_node *n) { return n->kind->flags != 0; }
/* Has a matrix or kernels. */
static inline bool snpu_kind_weighs(const struct snpu_kind *k) { return k->flags & SNPU_KIND_SYNAPSES || k->opcode == SNPU_OP_CONV; }

/* The packet that does most of its work. */
static inline unsigned snpu_node_opcode(const struct snpu_node *n)
{
	return n->kind->flags & SNPU_KIND_SYNAPSES && n->window.groups ? (unsigned)SNPU_OP_CONV : n->kind->opcode;
}
/* Takes its input as an event list. */
static inline bool snpu_node_takes_events(const struct snpu_node *n) { return n->kind->flags & (SNPU_KIND_SYNAPSES | SNPU_KIND_WINDOW); }

/* The steps of snpu_model_finish(), in this order. */
int snpu_graph_link(struct snpu_model *m) SNPU_MUST_CHECK;	/* edge lists, missing ends, inputs and outputs: link.c */
int snpu_graph_order(struct snpu_model *m, struct snpu_arena *a, enum snpu_delay rule) SNPU_MUST_CHECK;	/* components, cuts, order: order.c */
int snpu_graph_shapes(struct snpu_model *m) SNPU_MUST_CHECK;	/* shape.c */
int snpu_graph_check(struct snpu_model *m) SNPU_MUST_CHECK;	/* values of parameters: check.c */

/*
 * window.c: the whole numbers of windows. Does the type have one of that name (2), or one that can also be a text (3)? set: -EINVAL.
 * read: checks what does not depend on the input. input: the shape that the node's own parameters tell, false: they do not.
 * settle: the geometry and the output's shape, from the input's.
 */
int snpu_window_has(const struct snpu_kind *kind, const char *param);
int snpu_window_set_ints(struct snpu_node *n, const char *param, unsigned count, const int64_t *values) SNPU_MUST_CHECK;
int snpu_window_set_text(struct snpu_node *n, const char *param, const char *text) SNPU_MUST_CHECK;
int snpu_window_read(struct snpu_node *n) SNPU_MUST_CHECK;
/* Whole number i as the file has it. NULL: the type has none of that number, or it was not given. */
const char *snpu_window_given(const struct snpu_node *n, enum snpu_window_int i, unsigned *count, int64_t values[2]);
bool snpu_window_input(const struct snpu_node *n, unsigned *rank, uint64_t shape[SNPU_MAX_RANK]);
int snpu_window_settle(struct snpu_node *n, const char *from, unsigned rank, const uint64_t *shape, unsigned *out_rank, uint64_t *out_shape)
	SNPU_MUST_CHECK;

/* "(16,8,8)" */
const char *snpu_shape_text(unsigned rank, const uint64_t *shape, char *buf, size_t size);
#define SNPU_SHAPE_TEXT	128
#define SNPU_SHAPE(rank, shape)	snpu_shape_text(rank, shape, (char[SNPU_SHAPE_TEXT]){ 0 }, SNPU_SHAPE_TEXT)

/*
 * A finished model whose values wait elsewhere: *view shares everything with m but edges, order and components, which are of `a`.
 * It lives as long as both. Not for snpu_model_free(). order.c
 */
int snpu_graph_view(const struct snpu_model *m, struct snpu_arena *a, enum snpu_delay rule, struct snpu_model *view) SNPU_MUST_CHECK;

/*
 * Broadcasting: trailing axes aligned, axes of length 1 repeated, surplus leading axes of length 1 dropped. fits: can the
 * tensor be spread over the node's shape? spread: does it, into out[n->size].
 */
bool snpu_tensor_fits(const struct snpu_tensor *t, unsigned rank, const uint64_t *shape);
void snpu_tensor_spread(const struct snpu_tensor *t, const struct snpu_node *n, float *out);

int snpu_note_add(struct snpu_arena *a, struct snpu_note **notes, unsigned *n, unsigned *cap, enum snpu_note_kind kind,
		  const char *rule, const char *node, const char *fmt, va_list ap) __attribute__((format(printf, 8, 0)));

#endif
