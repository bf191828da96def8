/* SPDX-License-Identifier: MIT */
/*
 * Inside a language model: its configuration, and the packed image that its weights lie in. config.c reads config.json,
 * quant.c and pack.c make an image from a checkpoint, file.c writes and maps converted files, model.c is the public face. How
 * it runs is run.h's matter.
 *
 * A model is constant once it is open; any thread may read it. Contexts keep it alive.
 */
#ifndef SNPU_LM_LM_H
#define SNPU_LM_LM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

#include "core/fail.h"
#include "load/ckpt.h"
#include "load/tokenizer.h"
#include "snpu/snpu.h"
#include "snpu_isa.h"

#define LM_PAGE		4096ull
#define LM_LAYERS_MAX	1024u
#define LM_NO_TOKEN	UINT32_MAX
#define LM_QUERY_K	3.0f			/* firing rate of attention queries: a literal in the original */
#define LM_GATE_RANK	16u			/* of the float form's gate: a literal in the original */

struct lm_config {
	uint32_t vocab, hidden, layers, heads, kv, d, ffn, window;
	float eps, rope_theta;
	bool tied;
	uint32_t bos, eos;			/* LM_NO_TOKEN: none */
	float k;				/* firing rate of the linear layers */
	uint8_t gla[LM_LAYERS_MAX];		/* [layers] 1: gated linear attention, 0: sliding window */
};

/* The linear layers of a decoder layer; GK0 only in the float form, where the gate has two factors. */
enum lm_linear_id { LM_Q, LM_K, LM_V, LM_GK0, LM_GK, LM_O, LM_GATE, LM_UP, LM_DOWN, LM_LINEARS };

/* Offsets are bytes from the start of the part. */
struct lm_linear {
	uint32_t n_in, n_out;			/* n_out 0: the layer has none */
	bool spike;				/* SPMV; otherwise MATMUL */
	bool bf16, bias;
	uint32_t n_residual;
	uint32_t max_code;			/* greatest |code| of a spiking layer, residual included */
	uint64_t weights, scales, residual, bias_at;
};

/* What is placed as a whole: the embedding, a decoder layer, the head. Page-aligned in the image. */
struct lm_part {
	uint64_t offset, size;			/* bytes in the image */
	struct lm_linear linear[LM_LINEARS];	/* head: [LM_O] is lm_head */
	uint64_t norm[2];			/* attention and MLP; head: [0] */
	uint64_t g_norm;			/* GLA layers */
	uint64_t inv;				/* sliding-window layers: f32 [d / 2] */
	bool bf16;				/* embedding: type of its table, which lies at offset 0 */
};

struct lm_file_text {
	const char *name;
	const char *text;			/* not zero-terminated; NULL: absent */
	size_t size;
};
enum lm_file_id { LM_FILE_VOCAB, LM_FILE_MERGES, LM_FILE_ADDED, LM_FILE_TOKENIZER, LM_FILES };
extern const char *const lm_text_names[LM_FILES];	/* as they are called in a folder */

struct snpu_lm {
	atomic_uint others;			/* who holds it, the first one not counted */
	char name[64];
	struct lm_config cfg;
	uint32_t form, down;			/* enum snpu_lm_form, enum snpu_lm_down, never AUTO */
	struct lm_part *part;			/* [cfg.layers + 2] embedding, layers, head */
	uint64_t state_at[LM_LAYERS_MAX + 1];	/* bytes: each layer's state in the sequence's, and the end */
	const uint8_t *image;			/* [image_size], page-aligned */
	uint64_t image_size;
	uint64_t parameters, residual;
	struct snpu_tokenizer *tok;		/* NULL: none */
	struct lm_file_text file[LM_FILES];
	uint32_t eot;
	char **warning;				/* [n_warnings] */
	uint32_t n_warnings;
	/* what `image` and `file` lie in: a converted file, or memory and mapped files */
	const void *mapped;
	size_t mapped_size;
	void *memory;
	uint64_t memory_size;
	const void *text_map[LM_FILES];
};

static inline unsigned int lm_parts(const struct snpu_lm *lm)
{
	return lm->cfg.layers + 2;
}

static inline uint32_t lm_slots(const struct lm_config *c)
{
	return c->window + 1;			/* positions a sliding-window cache holds */
}

static inline uint64_t lm_align(uint64_t v, uint64_t a)
{
	return (v + a - 1) / a * a;
}

/* "q_proj" as the checkpoint spells it. */
const char *lm_linear_name(enum lm_linear_id id);
bool lm_linear_in_attn(enum lm_linear_id id);
/* Which of a layer's inputs feeds a linear layer, and what the input is called: after the first layer that takes it. */
#define LM_INPUTS	4u			/* attention, o, MLP, down */
unsigned int lm_linear_input(enum lm_linear_id id);
const char *lm_input_name(unsigned int input);

/* --- config.c: everything is checked against limits before anything is allocated from it. -EBADMSG, -ENOTSUP. ------- */
int lm_config_parse(const char *text, size_t size, struct lm_config *cfg) SNPU_MUST_CHECK;
int lm_config_read(const json_t *obj, struct lm_config *cfg) SNPU_MUST_CHECK;
/* The same as a normalised object, for lm_config_read() to read back. NULL: no memory. */
json_t *lm_config_json(const struct lm_config *cfg);
/* Reads an integer member; absent: *out keeps its value. */
int lm_json_u32(const json_t *obj, const char *key, uint32_t min, uint32_t max, uint32_t *out) SNPU_MUST_CHECK;
int lm_json_u64(const json_t *obj, const char *key, uint64_t max, uint64_t *out) SNPU_MUST_CHECK;
json_t *lm_json_parse(const char *text, size_t size, const char *what);		/* NULL: failed, with the sentence */

/* --- shape.c: what a configuration means in numbers ---------------------------------------------------------------- */
/* Which linear layers part `p` has, their sizes and kinds, from cfg, form and down; offsets are left 0. */
void lm_part_shape(const struct snpu_lm *lm, unsigned int p, struct lm_part *part);
/* Fills state_at. */
void lm_state_layout(struct snpu_lm *lm);
/* Bytes of the arrays of a linear layer in the image. */
uint64_t lm_weight_bytes(const struct lm_linear *l);
uint64_t lm_scale_bytes(const struct lm_linear *l);
uint64_t lm_residual_bytes(const struct lm_linear *l);
/* Every array of every part lies in its part, and the parts in the image. -EBADMSG. */
int lm_check_parts(const struct snpu_lm *lm) SNPU_MUST_CHECK;
/* Codes times spike counts at the model's k fit into 32-bit sums. -ERANGE. */
int lm_check_sums(const struct snpu_lm *lm, const struct lm_linear *l) SNPU_MUST_CHECK;

/* --- quant.c: 64 rows of a weight matrix to codes ------------------------------------------------------------------- */
struct lm_quant {
	uint32_t n_in, n_out;
	int8_t *codes;				/* [tiles][n_in][64] */
	float *scales;				/* [tiles][groups][64] */
	struct snpu_residual *residual;		/* entries of the tile, allocated, [n_residual] */
	uint32_t *index;			/* [groups] entries of the tile before each group's */
	size_t n_residual, room;
	uint32_t max_code;			/* greatest |code| seen in all tiles */
};
/*
 * Quantises rows [64 tile, ...) of w, f32 [rows][n_in], with scales [rows][groups]; overwrites what q has for the tile's
 * residual. -EBADMSG: a scale is not positive and finite, or a weight not finite; -ERANGE a code past 2^20; -ENOMEM.
 */
int lm_quant_tile(struct lm_quant *q, uint32_t tile, const float *w, const float *scales, uint32_t rows) SNPU_MUST_CHECK;
void lm_quant_free(struct lm_quant *q);
/* Scale of one group from its 128 weights: largest magnitude / 127, 1 when that is zero. */
float lm_scale_max(const float *w);
/* The same, shrunk to what makes the squared error weighted with mean squares of the inputs [128] least. */
float lm_scale_refined(const float *w, const float *weight);

/* --- pack.c ---------------------------------------------------------------------------------------------------------- */
/* Where an image grows: memory, or a file that is mapped. */
struct lm_sink {
	uint8_t *base;
	uint64_t size, room;			/* bytes used; bytes of address space */
	int fd;					/* -1: memory */
	uint64_t file_at;			/* of a file: where the image begins, whole pages */
	uint64_t backed;			/* bytes that there is memory for, or that the disk has promised */
};
int lm_sink_open(struct lm_sink *sink, int fd, uint64_t file_at, uint64_t room) SNPU_MUST_CHECK;
void lm_sink_close(struct lm_sink *sink);
/* Of memory: what was taken, in whole pages, is the caller's from now on; munmap() it. */
void *lm_sink_keep(struct lm_sink *sink);
/* `bytes` more, aligned; *at is their offset. */
int lm_sink_take(struct lm_sink *sink, uint64_t bytes, uint64_t align, uint64_t *at) SNPU_MUST_CHECK;

struct lm_pack {
	struct snpu_lm *lm;
	const struct snpu_ckpt *ckpt;
	const struct snpu_lm_open_opts *opts;
	struct lm_sink *sink;
	uint64_t done, total;			/* bytes of the checkpoint */
	const float *const *squares;		/* [layers * 4] mean squares of inputs for refined scales; NULL: largest magnitude */
};
/* An upper bound of the image's bytes. */
uint64_t lm_pack_bound(const struct snpu_lm *lm);
/* Fills parts and image. */
int lm_pack(struct lm_pack *p) SNPU_MUST_CHECK;
/* Decides form and down from the options and the checkpoint, counts parameters, warns of tensors nobody needs, names missing ones. */
int lm_pack_survey(struct snpu_lm *lm, const struct snpu_ckpt *ckpt, const struct snpu_lm_open_opts *opts) SNPU_MUST_CHECK;
/* Judges the options' k and lets it replace the configuration's. */
int lm_take_k(struct snpu_lm *lm, const struct snpu_lm_open_opts *opts) SNPU_MUST_CHECK;

/* --- calib.c: mean squares of the linear layers' inputs over a text -------------------------------------------------- */
int lm_calibrate(const char *path, const struct snpu_lm_open_opts *opts, struct snpu_lm *lm, float ***squares) SNPU_MUST_CHECK;
void lm_squares_free(float **squares, unsigned int layers);

/* --- file.c ----------------------------------------------------------------------------------------------------------- */
#define LM_FILE_MAGIC	"SNPU-LM\1"
/* Writes what belongs around an image that lies at LM_PAGE of the file already. */
int lm_file_finish(int fd, const struct snpu_lm *lm) SNPU_MUST_CHECK;
/* Opens a converted file's bytes; they must stay. */
int lm_file_parse(const void *mem, size_t size, struct snpu_lm *lm) SNPU_MUST_CHECK;

/* --- model.c ---------------------------------------------------------------------------------------------------------- */
/* Keeps a sentence for snpu_lm_warning(). */
int lm_warn(struct snpu_lm *lm, const char *fmt, ...) __attribute__((format(printf, 2, 3))) SNPU_MUST_CHECK;

#endif
