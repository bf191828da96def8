/* SPDX-License-Identifier: MIT */
/*
 * What the commands for language models share: options (lm_options.c), opening a model on devices and keeping a sequence's state
 * (lm.c), going through tokens (lm_tokens.c), text as it comes (lm_stream.c), arrays and pictures of what happens inside
 * (lm_look.c), facts (lm_facts.c) and those facts on a screen (lm_view.c). As everywhere, the screen reads nothing but the facts.
 *
 * One model and one sequence in a process; only the interrupt handler comes from elsewhere, and it sets flags.
 */
#ifndef SNPU_TOOLS_LM_H
#define SNPU_TOOLS_LM_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include <snpu/snpu.h>
#include <snpu/snpu_lm.h>

#include "cli.h"
#include "progress.h"

#define SNPU_LM_DEVICES	8u
#define SNPU_LM_PATTERNS 32u

struct snpu_lm_opts {
	const char *model;
	/* what the model is taken as */
	struct snpu_lm_open_opts open;
	/* what executes, best first */
	const char *device[SNPU_LM_DEVICES];
	unsigned int n_devices;
	struct snpu_lm_ctx_opts ctx;		/* without devices and taps */
	/* looking inside */
	const char *dump;			/* folder */
	const char *pattern[SNPU_LM_PATTERNS];	/* of arrays to dump; none: all */
	unsigned int n_patterns;
	char raster[48];			/* array that is drawn, "lin.3.o_proj.count"; "": none */
	char raster_title[48];			/* "layer 3 o_proj" */
	enum snpu_coding coding;
	const char *picture;			/* where it is drawn */
	/* the sequence */
	const char *state_load, *state_save;
	bool json, quiet;
};

/* Everything of one command. The facts grow as it proceeds. */
struct snpu_lm_cli {
	const struct snpu_lm_opts *opts;
	struct snpu_device *device[SNPU_LM_DEVICES];
	struct snpu_device_info info[SNPU_LM_DEVICES + 1];	/* of the devices, then of the CPU */
	unsigned int n_devices;			/* without the CPU */
	const char *note;			/* why there is no card although one was looked for; "" */
	struct snpu_lm *lm;
	struct snpu_lm_info model;
	struct snpu_lm_ctx *ctx;
	float *logits;				/* [vocab] of the last token */
	bool have_logits;			/* the last evaluation left them there; otherwise only the greedy token is known */
	uint32_t *past;				/* [n_past] tokens of the sequence, as far as this process saw them */
	size_t n_past, past_room;
	size_t n_seen;				/* of those, evaluated */
	double start, load_seconds;
	struct snpu_lm_look *look;		/* NULL: nothing is looked at */
	json_t *facts;
};

/* --- lm_options.c ------------------------------------------------------------------------------------------------- */

/* Children of a command's argp, with a struct snpu_lm_opts as input: the model's form; that, devices and looking inside; state. */
extern const struct argp snpu_lm_argp_model, snpu_lm_argp_run, snpu_lm_argp_state;
void snpu_lm_opts_init(struct snpu_lm_opts *o);
/* Values of options; a wrong one ends the process with a sentence. */
float snpu_lm_real(const struct argp_state *state, const char *option, const char *arg, double min, double max);

/* --- lm.c: every function prints what is wrong ---------------------------------------------------------------------- */

/* The model alone. */
enum snpu_exit snpu_lm_cli_model(struct snpu_lm_cli *c, const struct snpu_lm_opts *o);
/* Devices, model, context, and the state that --state-load names. */
enum snpu_exit snpu_lm_cli_open(struct snpu_lm_cli *c, const struct snpu_lm_opts *o);
void snpu_lm_cli_close(struct snpu_lm_cli *c);
/* Progress of opening and converting: a bar; an interrupt stops it. */
int snpu_lm_on_load(void *progress, const char *what, uint64_t done, uint64_t total);
/* What a failed library call means for the process, said with the next thing to type. */
enum snpu_exit snpu_lm_fail(const struct snpu_lm_cli *c, int err);
/*
 * A sequence as a file: the library's state, then the tokens that are in the text but not evaluated yet, u32 each. A file that is
 * loaded replaces the sequence.
 */
enum snpu_exit snpu_lm_save(struct snpu_lm_cli *c, const char *path);
enum snpu_exit snpu_lm_load(struct snpu_lm_cli *c, const char *path);

/* --- lm_tokens.c ------------------------------------------------------------------------------------------------------ */

/* Appends tokens to the sequence; they are evaluated with the next call of snpu_lm_advance(). */
enum snpu_exit snpu_lm_append(struct snpu_lm_cli *c, const uint32_t *ids, size_t n);
/* Text, with special tokens in it. */
enum snpu_exit snpu_lm_append_text(struct snpu_lm_cli *c, const char *text, size_t len);
/* Evaluates what was appended. Logits are computed, and brought here when `logits`. 0 or a negative errno. */
int snpu_lm_advance(struct snpu_lm_cli *c, bool logits);
/* "5,17, 9" or blanks between. */
enum snpu_exit snpu_lm_parse_ids(const char *text, uint32_t **ids, size_t *n);

/* Ctrl-C: the running evaluation stops soon. */
void snpu_lm_interruptible(struct snpu_lm_cli *c);
unsigned int snpu_lm_interrupts(void);		/* so far */
void snpu_lm_interrupts_reset(void);

struct snpu_lm_pace {				/* how a text is continued */
	struct snpu_lm_sampler sampler;		/* without `recent`, which is the whole sequence */
	uint64_t most;				/* tokens */
	bool ignore_eos;
	bool seeded;				/* the seed was given; otherwise the first draw makes one */
};
extern const struct argp snpu_lm_argp_pace;	/* input: struct snpu_lm_pace */
void snpu_lm_seed(struct snpu_lm_pace *p);	/* makes one when none was given */

struct snpu_lm_timing {
	uint64_t prompt, evals, made;		/* tokens of the prompt; evaluations of one token; tokens made, the first of which the prompt's evaluation gives */
	double prompt_seconds, eval_seconds, first_seconds;
};

/* What becomes of each token that is made; false stops. */
typedef bool snpu_lm_put(void *arg, uint32_t id);
/*
 * Evaluates what was appended and continues it. The last token made is appended, not evaluated; a token that ends the text is
 * neither given nor appended. *stop: "length", "eos", "eot", "interrupted". 0 or a negative errno.
 */
int snpu_lm_continue(struct snpu_lm_cli *c, struct snpu_lm_pace *pace, snpu_lm_put *put, void *arg, struct snpu_lm_timing *t, const char **stop);

/* --- lm_stream.c: bytes of tokens to a stream, whole characters only ------------------------------------------------------ */

struct snpu_lm_stream {
	FILE *out;				/* NULL: the text is only kept */
	char *text;				/* what was put, zero-terminated UTF-8; NULL: nothing yet */
	size_t size;
	unsigned char tail[4];			/* beginning of a character */
	unsigned int n_tail;
};
/* Bytes that are no UTF-8 become U+FFFD. */
void snpu_lm_stream_put(struct snpu_lm_stream *s, const char *bytes, size_t n);
void snpu_lm_stream_end(struct snpu_lm_stream *s);	/* a character that was begun is given up */
void snpu_lm_stream_free(struct snpu_lm_stream *s);
/* One token on its own; free() it. */
char *snpu_lm_token_text(const struct snpu_lm *lm, uint32_t id);

/* --- lm_look.c -------------------------------------------------------------------------------------------------------------- */

struct snpu_lm_look;
/* Sets the taps of `ctx`; NULL in *look when nothing is to be seen. */
enum snpu_exit snpu_lm_look_open(const struct snpu_lm_opts *o, struct snpu_lm_ctx_opts *ctx, struct snpu_lm_look **look);
/* Logits of every token are wanted. */
bool snpu_lm_look_logits(const struct snpu_lm_look *look);
/* The error that stopped an evaluation, NULL: none did. */
const char *snpu_lm_look_error(const struct snpu_lm_look *look);
/* Writes the picture, and adds facts about the files. */
enum snpu_exit snpu_lm_look_finish(struct snpu_lm_cli *c);
void snpu_lm_look_free(struct snpu_lm_look *look);

/* --- lm_facts.c: "device", "model", ..., added to c->facts ------------------------------------------------------------------- */

void snpu_lm_facts_model(struct snpu_lm_cli *c);
void snpu_lm_facts_devices(struct snpu_lm_cli *c);	/* and options, placement */
void snpu_lm_facts_timing(struct snpu_lm_cli *c, const struct snpu_lm_timing *t);
void snpu_lm_facts_after(struct snpu_lm_cli *c);	/* fallbacks, profile */
struct snpu_spike_report;
/* What `sums` say of a profiled context, and the energy of its cards. */
void snpu_lm_report(const struct snpu_lm_cli *c, struct snpu_spike_report *r, struct snpu_lm_spike_sums sums[2]);
json_t *snpu_lm_facts_ids(const uint32_t *ids, size_t n);

/* --- lm_view.c: on stderr where the answer of a command is on stdout ----------------------------------------------------------- */

void snpu_lm_view_before(const struct snpu_lm_cli *c, FILE *to);
void snpu_lm_view_model(const struct snpu_lm_cli *c, FILE *to);
void snpu_lm_view_timing(const struct snpu_lm_cli *c, FILE *to);
void snpu_lm_view_after(const struct snpu_lm_cli *c, FILE *to);	/* profile, files, fallbacks */
/* Fallbacks from number `*shown` on, also of a quiet command. */
void snpu_lm_view_fallbacks(const struct snpu_lm_cli *c, unsigned int *shown);

#endif
