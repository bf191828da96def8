/* SPDX-License-Identifier: MIT */
/*
 * A session: a model placed on devices, and what runs it. Belongs to one thread at a time, except `cancel`, which any
 * thread and any signal handler may set.
 */
#ifndef SNPU_SCHED_SESSION_H
#define SNPU_SCHED_SESSION_H

#include <signal.h>
#include <stdatomic.h>

#include "sched/lane.h"

/* A program for one number of samples, with where its streams lie. */
struct snpu_variant {
	uint64_t samples;			/* 0: none */
	uint32_t entry;				/* in PROGRAM, bytes */
	uint64_t *import_at, *export_at;	/* [n_imports], [n_exports] bytes in INPUT, OUTPUT */
};

/* A segment on its device. */
struct snpu_context {
	const struct snpu_segment *s;
	struct snpu_region_mem region[SNPU_REGION_COUNT];
	uint64_t *dense;			/* [n_slots + 1] of the last job, see snpu_queue_dense() */
	struct snpu_variant variant[2];		/* whole chunks, and the last one */
	uint64_t steps;
	bool going_on;				/* the programs leave the state as it is */
};

struct snpu_session {
	struct snpu_model *model;		/* what the session holds */
	struct snpu_model *m;			/* it, or the view of it where values wait elsewhere than it says */
	struct snpu_model view;
	struct snpu_session_opts opts;		/* its arrays and strings are copies in `arena` */
	struct snpu_arena arena, said;		/* said: the last snpu_session_equation() */
	struct snpu_semantics sem;
	struct snpu_quant *quant;		/* NULL: in floats */
	struct snpu_target *targets;		/* [n_targets], the last is the CPU */
	struct snpu_lane *lanes;		/* [n_targets] */
	unsigned n_targets;
	struct snpu_wanted *wanted;
	unsigned n_wanted;
	struct snpu_lowering low;		/* what lower/ works on */
	struct snpu_plan plan;
	struct snpu_context *contexts;		/* [plan.n_segments]; NULL: not on the devices now */
	struct snpu_placement *placement;	/* [m->n_nodes] in execution order */
	const char **segment_nodes;		/* names for the last snpu_session_segment() */
	uint8_t *state;				/* of snpu_session_continue(): state.c. NULL: cleared */
	atomic_int cancel;
};

/* The device index of snpu_placement for a target. */
int snpu_session_device(const struct snpu_session *s, int target);

/* Makes or renews the plan for the targets that live, and the placement table. session.c */
int snpu_session_plan(struct snpu_session *s) SNPU_MUST_CHECK;

/*
 * context.c: puts the segments on their devices (*failed: the one that could not be); takes them off again; readies one
 * for chunks of that many samples.
 */
int snpu_contexts_create(struct snpu_session *s, unsigned *failed) SNPU_MUST_CHECK;
void snpu_contexts_free(struct snpu_session *s);
int snpu_context_prepare(struct snpu_session *s, struct snpu_context *c, uint64_t chunk, uint64_t last, uint64_t steps, bool going_on) SNPU_MUST_CHECK;
/*
 * Runs one chunk of a segment and waits for it. The profile region holds its counters afterwards. -ECANCELED when the session
 * was cancelled; any other error is the device's, and *why what its queue says.
 */
int snpu_context_run(struct snpu_session *s, struct snpu_context *c, const struct snpu_variant *v, char *why, size_t why_size) SNPU_MUST_CHECK;

/*
 * state.c: what snpu_session_continue() keeps between two calls, in the process's memory and in the order of the model's nodes, so that
 * it does not depend on where they run. Need makes it where there is none yet; put writes it to the segments' STATE, get reads it back.
 */
int snpu_session_state_need(struct snpu_session *s) SNPU_MUST_CHECK;
void snpu_session_state_put(struct snpu_session *s);
void snpu_session_state_get(struct snpu_session *s);

#endif
