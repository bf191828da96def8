/* SPDX-License-Identifier: MIT */
/*
 * One chunk of tokens through the segments, one submission each; hidden states go from one segment to the next through host
 * memory. Whatever fails here is a device's failure or a lack of memory; recover.c decides what to do. Caller's thread, under the
 * stage's lock.
 */
#include "lm/run.h"

#include <stdio.h>
#include <string.h>

static void fill_inputs(const struct snpu_lm_ctx *ctx, struct lm_segment *seg, const struct lm_chunk *c, const float *hidden)
{
	uint8_t *in = seg->region[SNPU_REGION_INPUT].map;
	uint32_t *position = (uint32_t *)(in + seg->at.position);

	memcpy(in + seg->at.ids, c->ids, 4ull * c->n);
	for (uint32_t i = 0; i < c->n; i++)
		position[i] = (uint32_t)(ctx->position + i);
	if (hidden)
		memcpy(in + seg->at.hidden_in, hidden, 4ull * c->n * ctx->stage->lm->cfg.hidden);
}

static void take_logits(struct snpu_lm_ctx *ctx, struct lm_segment *seg, const struct lm_chunk *c)
{
	const uint8_t *out = seg->region[SNPU_REGION_OUTPUT].map;
	uint32_t rows = c->which == SNPU_LM_ALL ? c->n : 1;

	if (c->which == SNPU_LM_NONE)
		return;
	if (c->logits)
		memcpy(c->logits, out + seg->at.logits, 4ull * rows * ctx->stage->lm->cfg.vocab);
	ctx->argmax = ((const uint32_t *)(out + seg->at.argmax))[rows - 1];
}

/* What became of a chunk of which all segments ran. */
static void count_tokens(struct snpu_lm_ctx *ctx, const struct lm_chunk *c)
{
	ctx->position += c->n;
	if (c->silent || !ctx->keeps)
		return;
	memcpy(ctx->since + ctx->n_since, c->ids, 4ull * c->n);
	memset(ctx->since_window + ctx->n_since, c->narrow, c->n);
	ctx->n_since += c->n;
}

/* A head of its own has nothing to do when nobody wants logits, unless what goes into it is tapped. */
static bool runs(const struct lm_stage *s, const struct lm_segment *seg, const struct lm_chunk *c)
{
	return c->which != SNPU_LM_NONE || seg->first <= s->lm->cfg.layers || seg->n_taps;
}

/* Programs of all segments, before the first one changes its state. */
static int prepare(struct lm_stage *s, const struct lm_chunk *c, int *failed, char why[LM_WHY])
{
	uint32_t window = s->lm->cfg.window + !c->narrow;
	int err = 0;

	for (unsigned int i = 0; i < s->n_seg && !err; i++) {
		*failed = s->seg[i].target;
		if (runs(s, &s->seg[i], c))
			err = lm_program(s, &s->seg[i], c->n, c->which, window);
	}
	if (!lm_device_failed(err))
		return err;
	snprintf(why, LM_WHY, "%s: %s", s->target[*failed].info.name, snpu_last_error());
	return 1;
}

static int run_segment(struct snpu_lm_ctx *ctx, unsigned int i, char why[LM_WHY])
{
	static const atomic_int never;		/* a chunk is short: cancelling takes effect behind it, where the state is whole */
	struct lm_stage *s = ctx->stage;
	struct lm_segment *seg = &s->seg[i];
	struct snpu_region_mem region[SNPU_REGION_COUNT];

	memcpy(region, seg->region, sizeof(region));
	region[SNPU_REGION_STATE] = ctx->state[i];
	if (s->opts.profile)
		memset(seg->region[SNPU_REGION_PROFILE].map, 0, seg->region[SNPU_REGION_PROFILE].size);
	return snpu_lane_run(&s->target[seg->target], &s->lane[seg->target], region, seg->entry, s->opts.profile ? seg->end - seg->first : 0, &never,
			     why, LM_WHY);
}

/* All of the profile first, because a tap may end the evaluation. */
static int look(struct snpu_lm_ctx *ctx, const struct lm_chunk *c)
{
	struct lm_stage *s = ctx->stage;
	int err = 0;

	for (unsigned int i = 0; i < s->n_seg && s->opts.profile; i++)
		if (runs(s, &s->seg[i], c))
			lm_profile_take(ctx, &s->seg[i], c->n);
	for (unsigned int i = 0; i < s->n_seg && s->opts.tap && !err; i++)
		if (runs(s, &s->seg[i], c))
			err = lm_taps_take(ctx, &s->seg[i], ctx->position - c->n, c->n, c->which);
	return err;
}

int lm_chunk_run(struct snpu_lm_ctx *ctx, const struct lm_chunk *c, int *failed, char why[LM_WHY])
{
	struct lm_stage *s = ctx->stage;
	const float *hidden = NULL;
	int err = prepare(s, c, failed, why);

	if (err)
		return err;
	for (unsigned int i = 0; i < s->n_seg; i++) {
		struct lm_segment *seg = &s->seg[i];

		if (!runs(s, seg, c))
			continue;
		*failed = seg->target;
		fill_inputs(ctx, seg, c, hidden);
		if (run_segment(ctx, i, why))
			return 1;
		hidden = (const float *)((const uint8_t *)seg->region[SNPU_REGION_OUTPUT].map + seg->at.hidden_out);
		if (seg->end == lm_parts(s->lm))
			take_logits(ctx, seg, c);
	}
	count_tokens(ctx, c);
	return c->silent ? 0 : look(ctx, c);
}
