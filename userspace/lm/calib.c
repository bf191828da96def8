/* SPDX-License-Identifier: MIT */
/*
 * Calibration: which input channels of the linear layers matter, measured on a text. The model is opened with plain scales (largest
 * magnitude), the beginning of the text runs through it, and the mean squares of each layer's inputs become the weights with which
 * refined scales are searched. One thread; needs the memory of the model once more while it runs.
 */
#include "lm/lm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKENS		4096u			/* of the text that are used: mean squares settle long before */
#define TEXT		(1u << 20)		/* bytes of it that are looked at */
#define PIECE		512u			/* tokens that see each other, as in an evaluation */

struct calib {
	const struct snpu_lm_open_opts *opts;
	float **squares;			/* [layers * LM_INPUTS][n_in] sums: only their proportions matter */
	uint64_t tokens, total;
};

void lm_squares_free(float **squares, unsigned int layers)
{
	for (unsigned int i = 0; squares && i < LM_INPUTS * layers; i++)
		free(squares[i]);
	free(squares);
}

/* "lin.LAYER.INPUT.x" */
static int add_squares(void *arg, const struct snpu_lm_tap *tap)
{
	uint64_t rows = tap->array.shape[0], n = tap->array.shape[1];
	const float *x = tap->array.data;
	struct calib *c = arg;
	char input[16] = "";
	float **to = NULL;

	if (sscanf(tap->name, "lin.%*u.%15[a-z_].x", input) != 1)
		return 0;
	for (unsigned int i = 0; i < LM_INPUTS; i++)
		if (!strcmp(input, lm_input_name(i)))
			to = &c->squares[LM_INPUTS * tap->layer + i];
	if (!to)
		return 0;
	if (!*to)
		*to = calloc(n, sizeof(**to));
	if (!*to)
		return 1;
	for (uint64_t r = 0; r < rows; r++)
		for (uint64_t i = 0; i < n; i++)
			(*to)[i] += x[r * n + i] * x[r * n + i];
	return 0;
}

static int run(struct calib *c, struct snpu_lm *lm, const uint32_t *ids)
{
	static const char *const taps[] = { "lin.*.x" };
	struct snpu_lm_ctx_opts o = { .sz = sizeof(o), .chunk = 64, .tap = add_squares, .tap_arg = c, .taps = taps, .n_taps = 1 };
	struct snpu_lm_ctx *ctx;
	int err = snpu_lm_ctx_create(lm, &o, &ctx);

	if (err)
		return err;
	for (uint64_t at = 0; at < c->total && !err; at += PIECE) {
		uint64_t n = c->total - at < PIECE ? c->total - at : PIECE;

		err = snpu_lm_ctx_reset(ctx);
		if (!err)
			err = snpu_lm_eval(ctx, ids + at, n, SNPU_LM_NONE, NULL);
		if (!err && c->opts->progress && c->opts->progress(c->opts->progress_arg, "calibrating", at + n, c->total))
			err = snpu_fail(-ECANCELED, "calibrating was stopped");
	}
	snpu_lm_ctx_free(ctx);
	return err;
}

static int with_text(struct calib *c, struct snpu_lm *lm, const char *text, size_t size)
{
	uint32_t *ids;
	size_t n;
	int err = snpu_lm_encode(lm, text, size < TEXT ? size : TEXT, 0, &ids, &n);

	if (err)
		return err;
	c->total = n < TOKENS ? n : TOKENS;
	err = n ? run(c, lm, ids) : snpu_fail(-EINVAL, "the text is empty; a few thousand words are right");
	snpu_lm_ids_free(ids);
	return err;
}

int lm_calibrate(const char *path, const struct snpu_lm_open_opts *opts, struct snpu_lm *lm, float ***squares)
{
	struct snpu_lm_open_opts plain = *opts;
	struct calib c = { .opts = opts };
	struct snpu_lm *model = NULL;
	const void *text = NULL;
	size_t size = 0;
	int err;

	plain.form = SNPU_LM_SPIKE;
	plain.down = lm->down;			/* what takes spikes is seen, and nothing else needs scales */
	plain.calibration = NULL;
	c.squares = calloc(LM_INPUTS * (size_t)lm->cfg.layers, sizeof(*c.squares));
	err = c.squares ? snpu_file_map(opts->calibration, 0, &text, &size) : snpu_fail(-ENOMEM, "no memory for a calibration");
	if (!err)
		err = snpu_lm_open(path, &plain, &model);
	if (!err)
		err = with_text(&c, model, text, size);
	snpu_lm_free(model);
	if (text)
		snpu_file_unmap(text, size);
	if (err) {
		lm_squares_free(c.squares, lm->cfg.layers);
		return snpu_fail_in(err, "calibration with %s", opts->calibration);
	}
	*squares = c.squares;
	return 0;
}
