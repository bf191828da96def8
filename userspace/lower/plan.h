/* SPDX-License-Identifier: MIT */
/*
 * A plan: which node runs where and why, the segments (runs of nodes on one device), and where every value, state and
 * parameter of a segment lies. A plan belongs to one session and does not depend on the length or number of samples;
 * the program of a segment does, and is emitted for them (emit.c). Built once, read-only afterwards.
 *
 * Every value of a time step is a vector f32 [n], in integers s32 [n]. Node values that cross from one segment to another, or that are recorded,
 * are whole buffers f32 [sample][step][n], in the INPUT region of those who read and in the OUTPUT region of the one who writes.
 */
#ifndef SNPU_LOWER_PLAN_H
#define SNPU_LOWER_PLAN_H

#include "core/program.h"
#include "graph/graph.h"
#include "lower/quant.h"
#include "lower/semantics.h"

#define SNPU_ON_NOTHING		(-2)
#define SNPU_NONE		(~0u)
#define SNPU_ALIGN		256ull		/* of everything that a plan lays out, bytes */

/* Where something can run. The last target of a session is always the CPU. */
struct snpu_target {
	struct snpu_device *dev;		/* NULL: not opened yet (the CPU, until something needs it) */
	struct snpu_device_info info;
	bool dead;				/* failed in this session; gets nothing any more */
};

struct snpu_node_place {
	int target;				/* index of a target, or SNPU_ON_NOTHING */
	const char *reason;			/* why it is there; never "" */
	bool forced;				/* by a place rule */
};

/* A buffer f32 [sample][step][n] in a segment's INPUT or OUTPUT region. */
struct snpu_stream {
	unsigned node;				/* whose value */
	int state;				/* -1: the node's output, else the state variable (0: v, 1: i) */
	unsigned segment;			/* import: who writes it; SNPU_NONE: the caller */
	unsigned stream;			/* import: which export of that segment */
	uint64_t n;				/* elements of a step */
};

/* What a node of a segment owns. Offsets in bytes; SNPU_NOWHERE: it has none. */
#define SNPU_NOWHERE	(~0ull)
struct snpu_slot {
	unsigned node;
	uint64_t weights, constants;		/* WEIGHTS; CONST: parameter block or bias */
	uint64_t state;				/* STATE: [variables][n], or a delay's ring */
	uint64_t sum;				/* SCRATCH: sum of several inputs, [in_size] */
	uint64_t sum_events;			/* SCRATCH: event list of that sum */
	unsigned export;			/* value is written to this export; SNPU_NONE: to `value` */
	uint64_t value;				/* SCRATCH, or STATE when a later step reads it */
	uint64_t events;			/* likewise: event list of the value */
	bool keeps, keeps_events;		/* value, events: read in the next step before they are written, so in STATE */
	uint64_t old_value, old_events;		/* STATE: copies of the step before, where some reader runs after the writer */
	uint64_t state_at, state_size;		/* STATE: all of the above that lies there, one piece; its size is the same in every plan */
};

/* Index of a node's value (state -1) or state variable in a list of streams, SNPU_NONE. layout.c */
unsigned snpu_stream_find(const struct snpu_stream *list, unsigned n, unsigned node, int state);

struct snpu_segment {
	int target;
	unsigned n_slots, n_imports, n_exports;
	struct snpu_slot *slots;		/* in execution order */
	struct snpu_stream *imports, *exports;
	uint64_t *import_events;		/* [n_imports] SCRATCH: event list of the import, or SNPU_NOWHERE */
	uint64_t *import_old, *import_old_events;	/* [n_imports] STATE: value and event list of the step before, or SNPU_NOWHERE */
	uint64_t imports_state_at, imports_state_size;	/* STATE: all of these, one piece; only where all nodes are one component, so it is the same in every plan */
	uint64_t weight_bytes, const_bytes, state_bytes, scratch_bytes;
};

/* A record: what the caller gets under a name. */
struct snpu_wanted {
	const char *name;
	unsigned node;				/* as named */
	unsigned root;				/* whose value it is */
	int state;				/* as struct snpu_stream */
	bool output;
	unsigned segment, stream;		/* the export; SNPU_NONE: it is the model's input itself */
};

struct snpu_plan {
	struct snpu_arena arena;
	struct snpu_node_place *place;		/* [n_nodes] */
	unsigned *root;				/* [n_nodes] the node whose value this one passes on; itself when it makes one */
	unsigned *segment_of, *slot_of;		/* [n_nodes] SNPU_NONE when it is in none */
	struct snpu_segment *segments;
	unsigned n_segments, crossings;
};

struct snpu_lowering {
	const struct snpu_model *m;
	const struct snpu_semantics *sem;
	const struct snpu_quant *quant;		/* NULL: in floats */
	const struct snpu_session_opts *opts;
	const struct snpu_target *targets;
	unsigned n_targets;
	struct snpu_wanted *wanted;		/* [n_wanted]; segment and stream are filled in */
	unsigned n_wanted;
};

/* Everything below; *plan is zeroed or an older plan, which is freed first. */
int snpu_plan_make(const struct snpu_lowering *l, struct snpu_plan *plan) SNPU_MUST_CHECK;
void snpu_plan_free(struct snpu_plan *plan);

int snpu_plan_place(const struct snpu_lowering *l, struct snpu_plan *plan) SNPU_MUST_CHECK;	/* place.c */
int snpu_plan_split(const struct snpu_lowering *l, struct snpu_plan *plan) SNPU_MUST_CHECK;	/* segment.c */
int snpu_plan_layout(const struct snpu_lowering *l, struct snpu_plan *plan) SNPU_MUST_CHECK;	/* layout.c */

/* Executes packets of its own: a compute node, or one that has to add up its inputs or to wait for one. */
bool snpu_node_executes(const struct snpu_model *m, const struct snpu_node *n);
/* Takes its input as an event list, and straight from whoever made it. */
bool snpu_node_reads_events(const struct snpu_node *n);
/* Bytes of a node's packed weights, of its parameter block or bias, and of its state. pack.c */
uint64_t snpu_pack_weight_bytes(const struct snpu_lowering *l, const struct snpu_node *n);
uint64_t snpu_pack_const_bytes(const struct snpu_lowering *l, const struct snpu_node *n);
uint64_t snpu_pack_state_bytes(const struct snpu_lowering *l, const struct snpu_node *n);
/* Elements of each row of a parameter block: a convolution has one bias for each output channel; and the first output that element k is for. */
uint64_t snpu_pack_row_size(const struct snpu_node *n);
uint64_t snpu_pack_row_element(const struct snpu_node *n, uint64_t k);
/* Parameter i of a node as the file has it, spread over [snpu_pack_row_size(n)]. */
void snpu_pack_spread(const struct snpu_node *n, int i, float *to);
/* Which of a node's matrices [leading axes], or of its groups of kernels, belongs to group g, the leading axes of the output in C order. */
uint64_t snpu_pack_matrix(const struct snpu_node *n, uint64_t g);
/* The packet that does most of a node's work, or any other, in the number system of the session. */
static inline unsigned snpu_lower_opcode(const struct snpu_lowering *l, unsigned opcode) { return l->quant ? snpu_quant_opcode(opcode) : opcode; }
/*
 * Delays, delay.c. check: do all nodes have numbers of steps? -EINVAL, -E2BIG. numbers: those DELAY_PULL gets, u32 in the place of floats [n->size]. slots: of
 * the ring. A Delay that breaks a cycle is pulled one push early, so its numbers are one less.
 */
int snpu_delay_check(const struct snpu_lowering *l) SNPU_MUST_CHECK;
void snpu_delay_numbers(const struct snpu_lowering *l, const struct snpu_node *n, float *to);
uint32_t snpu_delay_slots(const struct snpu_lowering *l, const struct snpu_node *n);
/* Writes the images of a segment's WEIGHTS and CONST regions, which are zeroed. -ERANGE when a parameter is no float32 any more. */
int snpu_pack_segment(const struct snpu_lowering *l, const struct snpu_segment *s, uint8_t *weights, uint8_t *constants) SNPU_MUST_CHECK;

/* Offset of an import or export for `samples` samples of `steps` steps, and the size of them all. -E2BIG. emit.c */
int snpu_streams_layout(const struct snpu_stream *list, unsigned n, uint64_t samples, uint64_t steps, uint64_t *offsets, uint64_t *size)
	SNPU_MUST_CHECK;
/* Appends the program of a segment for that much. `clear`: samples start from cleared state, not from what STATE holds. -E2BIG, -ENOMEM. */
int snpu_emit_segment(const struct snpu_lowering *l, const struct snpu_plan *plan, const struct snpu_segment *s, uint64_t samples,
		      uint64_t steps, bool clear, struct snpu_prog *prog) SNPU_MUST_CHECK;

#endif
