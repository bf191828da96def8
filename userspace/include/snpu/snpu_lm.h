/* SPDX-License-Identifier: MIT */
/*
 * Spiking language models: opening a checkpoint, running it on cards and on the CPU, text and token ids, the spikes inside. A
 * part of libsnpu; rules for errors, handles and options as in snpu.h.
 *
 *	struct snpu_lm *lm;
 *	struct snpu_lm_ctx *ctx;
 *	snpu_lm_open("austen-3.7m-w8aspike", NULL, &lm);
 *	snpu_lm_ctx_create(lm, NULL, &ctx);
 *	snpu_lm_encode(lm, "Emma was", 8, 0, &ids, &n);
 *	snpu_lm_eval(ctx, ids, n, SNPU_LM_LAST, logits);		then, token by token,
 *	snpu_lm_eval(ctx, &next, 1, SNPU_LM_LAST, logits);
 *
 * The result depends on nothing but the model, its options and the tokens: not on the device, on threads, on how a text is cut
 * into calls, nor on a card that was lost on the way. docs/numerics.md is the definition, docs/models.md the guide.
 */
#include <snpu/snpu.h>

#ifndef SNPU_LM_H
#define SNPU_LM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ----------------------------------------------------------------------------------------------------------- */
/* Models													 */
/* ----------------------------------------------------------------------------------------------------------- */

struct snpu_lm;

/* How the linear layers are computed. */
enum snpu_lm_form {
	SNPU_LM_AUTO = 0,			/* spiking when the checkpoint has scales, float when it has none */
	SNPU_LM_FLOAT = 1,			/* weights as stored, binary32 arithmetic. -ENOTSUP for a spiking checkpoint */
	SNPU_LM_SPIKE = 2,			/* W8ASpike: spike counts times int8 codes; scales are made from the weights when there are none */
};

/* Does down_proj take spikes? The authors' code does not (its weights are used as stored), their report says it does. */
enum snpu_lm_down {
	SNPU_LM_DOWN_AUTO = 0,			/* as the authors' code: FLOAT */
	SNPU_LM_DOWN_FLOAT = 1,
	SNPU_LM_DOWN_SPIKE = 2,
};

/* Called now and then with how much is done, in bytes of `total`; a result other than 0 stops with -ECANCELED. */
typedef int snpu_lm_progress(void *arg, const char *what, uint64_t done, uint64_t total);

struct snpu_lm_open_opts {
	size_t sz;
	uint32_t form;				/* enum snpu_lm_form */
	uint32_t down;				/* enum snpu_lm_down */
	float k;				/* firing rate of the linear layers; 0: the checkpoint's, else 3 */
	uint32_t flags;				/* 0 */
	const char *calibration;		/* text file from which scales of a float checkpoint are refined; NULL: largest magnitude */
	snpu_lm_progress *progress;		/* may be NULL */
	void *progress_arg;
};

/*
 * Opens a model: a folder in Hugging Face form (config.json, safetensors or torch shards, tokenizer files), which is quantised
 * and packed into memory, or a file that snpu_lm_convert() wrote, which is only mapped.
 * Errors: -ENOENT, -EACCES, -EBADMSG a file is damaged, -ENOTSUP another architecture or a form that the checkpoint cannot have, -EINVAL options
 * that make no sense, or that a converted file does not have, -ERANGE codes or k too large for 32-bit sums, -EFBIG a file is larger
 * than its like, -ENOMEM, -ECANCELED, and those of reading. The files must not be changed while the model is open.
 */
SNPU_API int snpu_lm_open(const char *path, const struct snpu_lm_open_opts *opts, struct snpu_lm **lm) SNPU_CHECKED;
SNPU_API void snpu_lm_free(struct snpu_lm *lm);

/*
 * The same, into a file that later starts map. The file appears when it is complete; until then it is OUT.part. Errors as above, and
 * -EEXIST there is something else than a converted model, or an OUT.part, and those of writing.
 */
SNPU_API int snpu_lm_convert(const char *path, const struct snpu_lm_open_opts *opts, const char *out) SNPU_CHECKED;

struct snpu_lm_info {
	size_t sz;
	char name[64];				/* of the folder or file */
	char arch[32];				/* "SpikingBrain-7B" family: "gla_swa" */
	uint32_t form, down;			/* enum snpu_lm_form, enum snpu_lm_down, never AUTO */
	float k;
	uint32_t vocab, hidden, layers, heads, kv_heads, head_dim, ffn, window;
	uint32_t gla_layers, swa_layers;
	uint32_t has_tokenizer, tied;		/* 0 or 1 */
	uint32_t bos, eos, eot;			/* token ids; UINT32_MAX: none. eot ends a chat turn */
	uint32_t pad;
	uint64_t parameters;			/* numbers in the checkpoint's weights */
	uint64_t weight_bytes;			/* packed: embedding, all layers, head */
	uint64_t residual;			/* codes that int8 does not hold, kept exactly */
	uint64_t state_bytes;			/* of one sequence */
	uint32_t warnings;			/* texts of snpu_lm_warning() */
	uint32_t mapped;			/* 1: a converted file, used in place */
};
SNPU_API int snpu_lm_info(const struct snpu_lm *lm, struct snpu_lm_info *info) SNPU_CHECKED;	/* (any thread) */
/* Something in the files that was ignored, as a sentence; NULL past the last. (any thread) */
SNPU_API const char *snpu_lm_warning(const struct snpu_lm *lm, unsigned int i);
/* 1: layer i is gated linear attention, 0: sliding window; -1 past the last. (any thread) */
SNPU_API int snpu_lm_layer_is_gla(const struct snpu_lm *lm, unsigned int i);

/* --- text. All (any thread); -ENOTSUP when the model came without a tokenizer -------------------------------------- */

#define SNPU_LM_TEXT_SPECIAL	(1u << 0)	/* "<|im_end|>" and its like in the text become their tokens */

/* Text to ids, *ids to be given to snpu_lm_ids_free(). No token is added in front. Errors: -EINVAL, -E2BIG more than 64 MiB, -ENOMEM. */
SNPU_API int snpu_lm_encode(const struct snpu_lm *lm, const char *text, size_t len, uint32_t flags, uint32_t **ids, size_t *n) SNPU_CHECKED;
SNPU_API void snpu_lm_ids_free(uint32_t *ids);
/* The bytes of one token, which may end inside a character; NULL when the model has no such token. */
SNPU_API const char *snpu_lm_token(const struct snpu_lm *lm, uint32_t id, size_t *len);

struct snpu_lm_message {
	const char *role;			/* "system", "user", "assistant" */
	const char *text;
};
/*
 * The text of a chat in the model's template (ChatML), to be encoded with SNPU_LM_TEXT_SPECIAL; free with snpu_lm_text_free(). Without a
 * system message the template's own is inserted. generate: ends with the start of the assistant's turn.
 */
SNPU_API int snpu_lm_chat(const struct snpu_lm *lm, const struct snpu_lm_message *messages, size_t n, int generate, char **text) SNPU_CHECKED;
SNPU_API void snpu_lm_text_free(char *text);

/* ----------------------------------------------------------------------------------------------------------- */
/* Contexts: a model on devices, and the state of one sequence							 */
/* ----------------------------------------------------------------------------------------------------------- */

struct snpu_lm_ctx;

enum snpu_lm_window {
	SNPU_LM_WINDOW_W1 = 0,			/* a query sees itself and `window` keys before it, always: training, vLLM, prefill of the original */
	SNPU_LM_WINDOW_W = 1,			/* `window` keys, itself included: token by token through the original's cache */
	SNPU_LM_WINDOW_HF = 2,			/* W + 1 up to the end of the first call that came to its end, W later: what the original does */
};

/* Arrays inside the model, as they are computed; names are those of docs/models.md ("layer_in.0", "lin.0.q_proj.count"). */
struct snpu_lm_tap {
	const char *name;
	unsigned int layer;			/* ~0: none */
	uint64_t position;			/* of the first row */
	struct snpu_array array;		/* valid during the call; rows first, of states heads first */
};
/*
 * A result other than 0 stops the evaluation with -ECANCELED, behind the submission whose tokens are seen. Called while the devices
 * are held: of contexts it may call snpu_lm_ctx_cancel() and snpu_lm_ctx_position() only.
 */
typedef int snpu_lm_tap_fn(void *arg, const struct snpu_lm_tap *tap);

struct snpu_lm_ctx_opts {
	size_t sz;
	/* [n_devices], best first; layers that do not fit go to the next, the rest to the CPU. One that is a CPU ends the list; threads and cpu_isa are those below. */
	struct snpu_device *const *devices;
	uint32_t n_devices;
	uint32_t threads;			/* of the CPU; 0: all processors */
	uint32_t cpu_isa;			/* enum snpu_cpu_isa */
	uint32_t window;			/* enum snpu_lm_window */
	uint32_t chunk;				/* most tokens in one submission, less where packets do not hold as many; 0: a good number */
	uint32_t checkpoint;			/* most tokens that are computed again when a card is lost; 0: a good number */
	uint32_t require_device;		/* 1: an error instead of the CPU, at the start and later */
	uint32_t bit_serial;			/* 1: cards work bit plane by bit plane; same results */
	uint32_t profile;			/* 1: counters and spike statistics are kept */
	uint32_t pad;
	snpu_lm_tap_fn *tap;			/* NULL: nothing is tapped */
	void *tap_arg;
	const char *const *taps;		/* [n_taps] names or patterns with * that are wanted; none: all */
	uint32_t n_taps;
	uint32_t pad2;
};

/* Devices that are full or fail are done without. Errors: -ENOMEM, -EINVAL, with require_device -ENOSPC and those of the devices. */
SNPU_API int snpu_lm_ctx_create(struct snpu_lm *lm, const struct snpu_lm_ctx_opts *opts, struct snpu_lm_ctx **ctx) SNPU_CHECKED;
SNPU_API void snpu_lm_ctx_free(struct snpu_lm_ctx *ctx);

/* Which rows of logits an evaluation returns. */
enum snpu_lm_logits { SNPU_LM_NONE = 0, SNPU_LM_LAST = 1, SNPU_LM_ALL = 2 };

/*
 * Appends n tokens to the sequence. logits: f32 [1][vocab] of the last token, [n][vocab] of all, or NULL. After an error
 * snpu_lm_ctx_position() tells how many of the tokens belong to the sequence now: those of the submissions that were finished. It
 * can go on from there, except after -EREMOTEIO and -EIO.
 * Errors: -EINVAL an id is not below the vocabulary, n is 0, -EOVERFLOW past 2^32 - 1 positions, -ECANCELED, -EREMOTEIO a device failed and require_device
 * was set, -EIO the CPU failed, -ENOMEM.
 */
SNPU_API int snpu_lm_eval(struct snpu_lm_ctx *ctx, const uint32_t *ids, size_t n, enum snpu_lm_logits which, float *logits) SNPU_CHECKED;

/* Greedy next token of the last evaluation that computed logits, as the device found it (ARGMAX). */
SNPU_API uint32_t snpu_lm_ctx_argmax(const struct snpu_lm_ctx *ctx);
SNPU_API uint64_t snpu_lm_ctx_position(const struct snpu_lm_ctx *ctx);		/* tokens so far */
SNPU_API void snpu_lm_ctx_cancel(struct snpu_lm_ctx *ctx);			/* (any thread, signal handlers) the running evaluation ends soon */
SNPU_API int snpu_lm_ctx_reset(struct snpu_lm_ctx *ctx) SNPU_CHECKED;		/* an empty sequence */

/* --- state: all that a sequence is, a fixed number of bytes for a model and window ----------------------------------- */
SNPU_API uint64_t snpu_lm_state_size(const struct snpu_lm_ctx *ctx);
/* Errors: -EINVAL the buffer is smaller; when the state lay on a device that is lost, those of snpu_lm_eval(). */
SNPU_API int snpu_lm_state_save(struct snpu_lm_ctx *ctx, void *buf, size_t size) SNPU_CHECKED;
/* -EBADMSG: not a state of this model, form and sliding_window; nothing has changed then. */
SNPU_API int snpu_lm_state_load(struct snpu_lm_ctx *ctx, const void *buf, size_t size) SNPU_CHECKED;
/* A second sequence that goes on from here; the weights are shared. Errors: -ENOSPC a device has no room for its state, -ENOMEM, as above. */
SNPU_API int snpu_lm_ctx_fork(struct snpu_lm_ctx *ctx, struct snpu_lm_ctx **fork) SNPU_CHECKED;

/* --- what is decided and what happened ------------------------------------------------------------------------------- */

/* Row i: the embedding, the layers, the head. */
struct snpu_lm_place {
	size_t sz;
	char part[24];				/* "embedding", "layer 3", "head" */
	char device[32];			/* "card0", "sim", "cpu" */
	uint64_t bytes;				/* of weights and state there */
	char why[160];
};
SNPU_API int snpu_lm_ctx_place(const struct snpu_lm_ctx *ctx, unsigned int i, struct snpu_lm_place *place) SNPU_CHECKED;	/* -ENOENT past the last */
/* A device that was lost and who went on, as a sentence; NULL past the last. */
SNPU_API const char *snpu_lm_ctx_fallback(const struct snpu_lm_ctx *ctx, unsigned int i);

/*
 * Spike statistics of inputs of spiking linear layers, all sums over tokens and channels; docs/models.md has the formulas of
 * what is usually quoted. `executed` counts an input once for each layer that consumes it (q, k, v, gk), `distinct` once.
 */
struct snpu_lm_spike_sums {
	uint64_t channels;			/* n */
	uint64_t active;			/* s != 0 */
	uint64_t spikes;			/* p(s): one bits of |s| */
	uint64_t low3;				/* p(|s| & 7) */
	uint64_t le7, le7_spikes;		/* |s| <= 7, and p(s) of those */
	uint64_t gt16;				/* |s| > 16 */
	uint64_t steps;				/* max(3, bit length of |s|) */
	uint64_t magnitude;			/* |s| */
	uint64_t max;				/* greatest |s| */
	uint64_t synops;			/* events times outputs of the layers that consume it */
	uint64_t macs;				/* channels times outputs, what a dense layer would do */
	uint64_t bit_synops;			/* spikes times outputs */
};
enum snpu_lm_spike_sum { SNPU_LM_EXECUTED = 0, SNPU_LM_DISTINCT = 1 };
/* layer ~0: all layers; input: "q_proj", "o_proj", "gate_proj", "down_proj", or NULL: all. Needs opts.profile. -ENOENT no such input. */
SNPU_API int snpu_lm_ctx_spikes(const struct snpu_lm_ctx *ctx, unsigned int layer, const char *input, enum snpu_lm_spike_sum which,
				struct snpu_lm_spike_sums *sums) SNPU_CHECKED;
/* Counters, u64 [snpu_counters()], of one part (rows of snpu_lm_ctx_place), ~0: of all. Needs opts.profile. -ENOENT past the last part. */
SNPU_API int snpu_lm_ctx_counters(const struct snpu_lm_ctx *ctx, unsigned int part, uint64_t *counters) SNPU_CHECKED;

/* ----------------------------------------------------------------------------------------------------------- */
/* Sampling													 */
/* ----------------------------------------------------------------------------------------------------------- */

struct snpu_lm_sampler {
	size_t sz;
	float temperature;			/* 0: greedy */
	float top_p;				/* 0 or 1: off */
	uint32_t top_k;				/* 0: off */
	float repetition_penalty;		/* 0 or 1: off; of the tokens in `recent` */
	uint64_t seed;				/* state of the generator, advanced by each draw */
	const uint32_t *recent;			/* [n_recent] */
	size_t n_recent;
};
/* The next token from f32 logits[vocab]; the first of equals when greedy. The same everywhere for the same seed. Errors: -EINVAL, -ENOMEM. */
SNPU_API int snpu_lm_sample(struct snpu_lm_sampler *sampler, const float *logits, uint32_t vocab, uint32_t *id) SNPU_CHECKED;

/* ----------------------------------------------------------------------------------------------------------- */
/* Spike codings: counts as spike trains									 */
/* ----------------------------------------------------------------------------------------------------------- */

enum snpu_coding {
	SNPU_CODING_BINARY = 0,			/* unary, s >= 0: the first s steps */
	SNPU_CODING_TERNARY = 1,		/* unary with sign */
	SNPU_CODING_BITWISE = 2,		/* s >= 0: one step a bit, most significant first */
	SNPU_CODING_BITWISE_BIDIRECTIONAL = 3,	/* the bits of |s|, with sign */
	SNPU_CODING_TWOS_COMPLEMENT = 4,	/* the bits of s modulo 2^T; the first step is worth -2^(T-1) */
};
SNPU_API const char *snpu_coding_name(enum snpu_coding coding);		/* "bitwise-bidirectional"; NULL past the last */
/* Steps that the greatest of n counts needs. -ERANGE: a negative count in a coding without sign. */
SNPU_API int snpu_coding_steps(enum snpu_coding coding, const int32_t *counts, size_t n, unsigned int *steps) SNPU_CHECKED;
/*
 * Spikes i8 [steps][n], each -1, 0 or 1. -ERANGE: a count does not fit into `steps` (nothing is dropped silently), or is negative in a
 * coding without sign.
 */
SNPU_API int snpu_coding_encode(enum snpu_coding coding, const int32_t *counts, size_t n, unsigned int steps, int8_t *spikes) SNPU_CHECKED;
/* The way back. -ERANGE: a sum leaves 32 bits; -EINVAL: a value that is no spike of this coding. */
SNPU_API int snpu_coding_decode(enum snpu_coding coding, const int8_t *spikes, size_t n, unsigned int steps, int32_t *counts) SNPU_CHECKED;

#ifdef __cplusplus
}
#endif

#endif
