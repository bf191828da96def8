/* SPDX-License-Identifier: MIT */
/*
 * A plan: which node runs where and why, the segments (runs of nodes on one device), and where every value, state and
 * parameter of a segment lies. A plan belongs to one session and does not depend on the length or number of samples;
 * the program of a segment does, and is emitted for them (emit.c). Built once, read-only afterwards.
 *
 * Every value of a time step is a vector f32 [n]. Node values that cross from one segment to another, or that are recorded,
 * are whole buffers f32 [sample][step][n], in the INPUT region of those who read and in the OUTPUT region of the one who writes.
 */
#ifndef SNPU_LOWER_PLAN_H
#define SNPU_LOWER_PLAN_H

#include "core/program.h"
#include "graph/graph.h"
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
	uint64_t state;				/* STATE: [variables][n] */
	uint64_t sum;				/* SCRATCH: sum of several inputs, [in_size] */
	uint64_t sum_events;			/* SCRATCH: event list of that sum */
	unsigned export;			/* value is written to this export; SNPU_NONE: to `value` */
	uint64_t value;				/* SCRATCH, or STATE when a later step reads it */
	uint64_t events;			/* likewise: event list of the value */
	bool keeps, keeps_events;		/* value, events: read in the next step before they are written, so in STATE */
	uint64_t old_value, old_events;		/* STATE: copies of the step before, where some reader runs after the writer */
};

/* Index of a node's value (state -1) or state variable in a list of streams, SNPU_NONE. layout.c */
unsigned snpu_stream_find(const struct snpu_stream *list, unsigned n, unsigned node, int state);

struct snpu_segment {
	int target;
	unsigned n_slots, n_imports, n_exports;
	struct snpu_slot *slots;		/* in execution order */
	struct snpu_stream *imports, *exports;
	uint64_t *import_events;		/* [n_imports] SCRATCH: event list of the import, or SNPU_NOWHERE */
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
/* Takes its input as an event list, straight from whoever made it. */
bool snpu_node_reads_events(const struct snpu_node *n);
/* Bytes of a node's packed weights, and of its parameter block or bias. pack.c */
uint64_t snpu_pack_weight_bytes(const struct snpu_node *n);
uint64_t snpu_pack_const_bytes(const struct snpu_node *n);
/* Writes the images of a segment's WEIGHTS and CONST regions, which are zeroed. -ERANGE when a parameter is no float32 any more. */
int snpu_pack_segment(const struct snpu_lowering *l, const struct snpu_segment *s, uint8_t *weights, uint8_t *constants) SNPU_MUST_CHECK;

/* Offset of an import or export for `samples` samples of `steps` steps, and the size of them all. -E2BIG. emit.c */
int snpu_streams_layout(const struct snpu_stream *list, unsigned n, uint64_t samples, uint64_t steps, uint64_t *offsets, uint64_t *size)
	SNPU_MUST_CHECK;
/* Appends the program of a segment for that much. -E2BIG, -ENOMEM. */
int snpu_emit_segment(const struct snpu_lowering *l, const struct snpu_plan *plan, const struct snpu_segment *s, uint64_t samples,
		      uint64_t steps, struct snpu_prog *prog) SNPU_MUST_CHECK;

#endif
