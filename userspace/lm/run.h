/* SPDX-License-Identifier: MIT */
/*
 * A language model on devices. A `lm_stage` is a placement: which part runs where, in segments of neighbouring parts that one
 * submission executes, with their buffers and programs; contexts that were forked share one. A context is one sequence: its
 * state on those devices, and what is needed to go on when a device is lost.
 *
 * place.c decides and sets up, emit.c writes programs, tap.c looks inside, eval.c runs chunks of tokens, recover.c goes on
 * elsewhere, state.c saves and restores, ctx.c is the public face.
 *
 * A context belongs to one thread at a time, except `cancel`. The stage's lock is held while a chunk uses its buffers, also while
 * the caller's tap function looks at them.
 */
#ifndef SNPU_LM_RUN_H
#define SNPU_LM_RUN_H

#include <pthread.h>

#include "core/program.h"
#include "lm/lm.h"
#include "sched/lane.h"

#define LM_WHY		640

/* Where the arrays of a chunk of `chunk` tokens lie in SCRATCH, INPUT and OUTPUT, bytes. */
struct lm_layout {
	uint64_t h, x, q, k, v, g, g0, att, a, gate, up;	/* SCRATCH: f32 [chunk][...] */
	uint64_t list, q_list;			/* SCRATCH: spike lists */
	uint64_t scratch_size;
	uint64_t ids, position, hidden_in;	/* INPUT: u32 [chunk], u32 [chunk], f32 [chunk][hidden] */
	uint64_t input_size;
	uint64_t hidden_out, logits, argmax;	/* OUTPUT: f32 [chunk][hidden], f32 [logit_rows][vocab], u32 [logit_rows] */
	uint64_t taps;				/* OUTPUT: what follows */
	uint64_t output_size;
};

/* An array that a program leaves in OUTPUT besides its results. */
#define LM_TAP_NAME	48u
struct lm_tap {
	char name[LM_TAP_NAME];
	unsigned int layer;			/* ~0: none */
	unsigned int per_row;			/* arrays a row: 1, or heads */
	uint32_t n;				/* f32 array: numbers each; list: channels */
	bool list;				/* spike lists, from which counts and thresholds come */
	bool wanted;				/* by the caller's tap function, of lists counts or thresholds; lists are also taken for the profile */
	bool last_only;				/* present only in programs that compute logits, for their rows */
	int stat;				/* input whose statistics it feeds, -1: none */
	uint64_t at;				/* in OUTPUT */
};

struct lm_variant {
	uint32_t rows;
	unsigned int key;			/* which logits, which window */
	uint32_t entry;				/* in PROGRAM */
};
#define LM_VARIANTS	8u

/* Neighbouring parts on one device. */
struct lm_segment {
	unsigned int first, end;		/* parts */
	int target;
	struct lm_layout at;
	struct snpu_region_mem region[SNPU_REGION_COUNT];	/* all but STATE */
	struct lm_variant variant[LM_VARIANTS];
	unsigned int n_variants;
	uint64_t program_size;
	uint32_t entry;				/* of the program that the chunk at hand runs */
	struct lm_tap *tap;			/* [n_taps] */
	unsigned int n_taps;
};

struct lm_stage {
	atomic_uint refs;
	struct snpu_lm *lm;
	struct snpu_lm_ctx_opts opts;		/* its arrays are copies */
	struct snpu_target *target;		/* [n_targets], the last is the CPU; lock: `dead` */
	struct snpu_lane *lane;			/* [n_targets] */
	unsigned int n_targets;
	uint32_t chunk, logit_rows;		/* most tokens, most rows of logits of one submission */
	int *place;				/* [parts] target */
	char (*why)[160];			/* [parts] */
	struct lm_segment *seg;			/* [n_seg] */
	unsigned int n_seg;
	struct lm_stage *next;			/* lock; without the devices that failed here, once somebody had to go on; holds a reference */
	pthread_mutex_t lock;
};

struct snpu_lm_ctx {
	struct lm_stage *stage;
	struct snpu_region_mem *state;		/* [stage->n_seg] STATE of each segment; NULL while it is lost, perhaps */
	uint64_t position;			/* tokens so far */
	uint32_t argmax;
	bool evaluated;				/* a call of snpu_lm_eval() came to its end: WINDOW_HF changes then */
	bool lost;				/* `state` is not that of `position`: a chunk ended in the middle */
	atomic_int cancel;
	/* to go on without a device: the state some tokens ago, and the tokens since */
	bool keeps;				/* some segment is not on the CPU; what follows is only used then */
	uint8_t *kept;				/* [state bytes]; NULL: zero */
	uint64_t kept_position;
	uint32_t *since;			/* [since_room] tokens after kept_position */
	uint8_t *since_window;			/* [since_room] 1: evaluated with W keys instead of W + 1 */
	size_t n_since, since_room;
	char **fallback;			/* [n_fallbacks] sentences */
	unsigned int n_fallbacks;
	struct snpu_lm_spike_sums (*sums)[LM_INPUTS];	/* [layers] distinct; NULL without profile */
	uint64_t (*counters)[SNPU_COUNTER_COUNT];	/* [parts] */
};

/* --- place.c: -ENOSPC: with require_device, when the CPU would be needed -------------------------------------------------- */
int lm_stage_create(struct snpu_lm *lm, const struct snpu_lm_ctx_opts *opts, struct lm_stage **stage) SNPU_MUST_CHECK;
/* The same model without the devices that are dead in `old`: one stage for all contexts that go on from there. */
int lm_stage_without(struct lm_stage *old, struct lm_stage **stage) SNPU_MUST_CHECK;
/* Is there a segment on a device that is dead? On any device but the CPU? */
bool lm_stage_broken(struct lm_stage *stage);
bool lm_stage_on_devices(const struct lm_stage *stage);
/* The device of a segment that does not answer any more, which snpu_last_error() tells; -1: all do. */
int lm_stage_gone(const struct lm_stage *stage);
/* Errors that going on without the device can cure. */
bool lm_device_failed(int err);
struct lm_stage *lm_stage_get(struct lm_stage *stage);
void lm_stage_put(struct lm_stage *stage);
/* Bytes of the layers' states in a segment, and where it begins in the sequence's state. */
uint64_t lm_segment_state(const struct lm_stage *stage, const struct lm_segment *seg, uint64_t *at);

/* --- layout.c ------------------------------------------------------------------------------------------------------------- */
/* Lays out SCRATCH, INPUT and OUTPUT of a segment, taps excepted. */
void lm_layout_make(const struct lm_stage *stage, struct lm_segment *seg);

/* --- emit.c: a segment's program for `rows` tokens, appended to PROGRAM when it is not there yet; seg->entry is where ------- */
int lm_program(struct lm_stage *stage, struct lm_segment *seg, uint32_t rows, enum snpu_lm_logits which, uint32_t window) SNPU_MUST_CHECK;
/* Which taps a program has; fills seg->tap and the end of the layout. */
int lm_program_taps(struct lm_stage *stage, struct lm_segment *seg) SNPU_MUST_CHECK;

/* --- tap.c ----------------------------------------------------------------------------------------------------------------- */
bool lm_tap_wanted(const struct snpu_lm_ctx_opts *opts, const char *name);
/* Name of the thresholds that belong to counts: "x.count" to "x.vth". */
void lm_tap_vth(const char *count, char vth[LM_TAP_NAME]);
/* Adds a finished segment's spikes and counters to the profile. */
void lm_profile_take(struct snpu_lm_ctx *ctx, const struct lm_segment *seg, uint32_t rows);
/* Hands its arrays to the caller. */
int lm_taps_take(struct snpu_lm_ctx *ctx, struct lm_segment *seg, uint64_t position, uint32_t rows, enum snpu_lm_logits which) SNPU_MUST_CHECK;
/* The same for what a sequence is after a call: states and caches. */
int lm_taps_state(struct snpu_lm_ctx *ctx) SNPU_MUST_CHECK;

/*
 * --- eval.c: runs one chunk on the devices as they are, under the stage's lock. 1: a device failed, *failed which, *why how; nothing of
 * the chunk counts. Otherwise `position` says whether the chunk was done: taps may be an error afterwards. ----------------------
 */
struct lm_chunk {
	const uint32_t *ids;			/* [n] */
	uint32_t n;
	enum snpu_lm_logits which;
	bool narrow;				/* W keys instead of W + 1 */
	bool silent;				/* replayed: no taps, no statistics */
	float *logits;				/* may be NULL */
};
int lm_chunk_run(struct snpu_lm_ctx *ctx, const struct lm_chunk *c, int *failed, char why[LM_WHY]) SNPU_MUST_CHECK;

/* --- recover.c ------------------------------------------------------------------------------------------------------------- */
/* The same chunk, whatever it takes: on other devices when one fails. */
int lm_chunk_run_safely(struct snpu_lm_ctx *ctx, const struct lm_chunk *c) SNPU_MUST_CHECK;
/* Copies the state now and then, to go on from there. */
void lm_keep(struct snpu_lm_ctx *ctx);
void lm_forget(struct snpu_lm_ctx *ctx);
/* Goes on without target `failed` (-1: with what there is), from the state that was kept. */
int lm_recover(struct snpu_lm_ctx *ctx, int failed, const char *why) SNPU_MUST_CHECK;
/* The whole state, [state bytes], also when the device it lies on is found to be gone. */
int lm_state_get(struct snpu_lm_ctx *ctx, uint8_t *to) SNPU_MUST_CHECK;

/* --- state.c ---------------------------------------------------------------------------------------------------------------- */
/* STATE buffers of a context on its stage, zeroed. *failed: the target that could not give one. */
int lm_state_create(struct snpu_lm_ctx *ctx, int *failed) SNPU_MUST_CHECK;
void lm_state_free(struct snpu_lm_ctx *ctx);
/* From and to the devices as they are; `from` NULL: zero. Of a device that is gone, anything is read. */
void lm_state_read(const struct snpu_lm_ctx *ctx, uint8_t *to);		/* [state bytes] */
void lm_state_write(struct snpu_lm_ctx *ctx, const uint8_t *from);

#endif
