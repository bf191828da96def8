/* SPDX-License-Identifier: MIT */
/*
 * Looking inside: arrays that a program left in OUTPUT become the caller's taps and the profile's sums; states and caches become
 * taps at the end of a call. Names and shapes are those of docs/models.md. Caller's thread, after the chunk, before the next.
 */
#include "lm/run.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lm/spikes.h"

bool lm_tap_wanted(const struct snpu_lm_ctx_opts *opts, const char *name)
{
	for (unsigned int i = 0; i < opts->n_taps; i++)
		if (fnmatch(opts->taps[i], name, 0) == 0)
			return true;
	return !opts->n_taps;
}

void lm_tap_vth(const char *count, char vth[LM_TAP_NAME])
{
	size_t end = strlen("count"), n = strlen(count);

	snprintf(vth, LM_TAP_NAME, "%.*svth", (int)(n > end ? n - end : 0), count);
}

static int give(struct snpu_lm_ctx *ctx, const char *name, unsigned int layer, uint64_t position, struct snpu_array array)
{
	const struct snpu_lm_ctx_opts *o = &ctx->stage->opts;
	struct snpu_lm_tap tap = { .name = name, .layer = layer, .position = position, .array = array };

	array.count = 1;
	for (unsigned int i = 0; i < array.rank; i++)
		array.count *= array.shape[i];
	tap.array.count = array.count;
	if (o->tap(o->tap_arg, &tap))
		return snpu_fail(-ECANCELED, "the evaluation was stopped at %s", name);
	return 0;
}

/* --- spike lists ------------------------------------------------------------------------------------------------------------ */

/* Entries of a list that came back from a device, which may be broken: never more than there is room for. */
static uint32_t entries(const struct snpu_spikes *list, uint32_t n)
{
	return list->count < n ? list->count : n;
}

static void profile_lists(struct snpu_lm_ctx *ctx, const struct lm_tap *t, const uint32_t *lists, uint32_t rows)
{
	const struct lm_linear *l = ctx->stage->lm->part[t->layer + 1].linear;
	uint64_t outputs = 0;			/* of all layers that take these lists */

	for (unsigned int id = 0; id < LM_LINEARS; id++)
		if (l[id].n_out && l[id].spike && lm_linear_input(id) == (unsigned int)t->stat)
			outputs += l[id].n_out;
	for (uint32_t r = 0; r < rows; r++) {
		const struct snpu_spikes *list = (const void *)(lists + r * SNPU_EVENTS_WORDS(t->n));

		snpu_lm_spikes_add(&ctx->sums[t->layer][t->stat], (const struct snpu_spike *)(list + 1), entries(list, t->n), t->n, outputs);
	}
}

void lm_profile_take(struct snpu_lm_ctx *ctx, const struct lm_segment *seg, uint32_t rows)
{
	const uint64_t (*row)[SNPU_COUNTER_COUNT] = seg->region[SNPU_REGION_PROFILE].map;
	const uint8_t *out = seg->region[SNPU_REGION_OUTPUT].map;

	for (unsigned int i = 0; i < seg->n_taps; i++)
		if (seg->tap[i].stat >= 0)
			profile_lists(ctx, &seg->tap[i], (const uint32_t *)(out + seg->tap[i].at), rows);
	for (unsigned int p = seg->first; p < seg->end; p++)
		for (unsigned int k = 0; k < SNPU_COUNTER_COUNT; k++)
			ctx->counters[p][k] += row[p - seg->first][k];
}

/* "..count" as i32 [rows][n] or [rows][heads][n], and "..vth" as f32 without the last dimension. */
static int give_lists(struct snpu_lm_ctx *ctx, const struct lm_tap *t, const uint32_t *lists, uint64_t position, uint32_t rows)
{
	uint64_t n_lists = (uint64_t)rows * t->per_row;
	struct snpu_array count = { .dtype = SNPU_I32, .shape = { rows } }, vth = { .dtype = SNPU_F32, .shape = { rows } };
	int32_t *dense = calloc(n_lists * t->n, sizeof(*dense));
	float *thresholds = calloc(n_lists, sizeof(*thresholds));
	char vth_name[LM_TAP_NAME];
	int err = dense && thresholds ? 0 : snpu_fail(-ENOMEM, "no memory for %llu spike counts", (unsigned long long)(n_lists * t->n));

	for (uint64_t r = 0; r < n_lists && !err; r++) {
		const struct snpu_spikes *list = (const void *)(lists + r * SNPU_EVENTS_WORDS(t->n));
		const struct snpu_spike *spike = (const void *)(list + 1);

		thresholds[r] = list->vth;
		for (uint32_t i = 0; i < entries(list, t->n); i++)
			if (spike[i].channel < t->n)
				dense[r * t->n + spike[i].channel] = spike[i].count;
	}
	count.rank = vth.rank = 1;
	if (t->per_row > 1)
		count.shape[count.rank++] = vth.shape[vth.rank++] = t->per_row;
	count.shape[count.rank++] = t->n;
	count.data = dense;
	vth.data = thresholds;
	lm_tap_vth(t->name, vth_name);
	if (!err && lm_tap_wanted(&ctx->stage->opts, t->name))
		err = give(ctx, t->name, t->layer, position, count);
	if (!err && lm_tap_wanted(&ctx->stage->opts, vth_name))
		err = give(ctx, vth_name, t->layer, position, vth);
	free(dense);
	free(thresholds);
	return err;
}

/* A copy, because a caller may write it to a file, and not every file system takes memory that a driver mapped. */
static int give_copy(struct snpu_lm_ctx *ctx, const char *name, unsigned int layer, uint64_t position, struct snpu_array a)
{
	uint64_t bytes = a.shape[0] * a.shape[1] * 4;
	void *copy = malloc(bytes);
	int err;

	if (!copy)
		return snpu_fail(-ENOMEM, "no memory for a copy of %s, %llu bytes", name, (unsigned long long)bytes);
	a.data = memcpy(copy, a.data, bytes);
	err = give(ctx, name, layer, position, a);
	free(copy);
	return err;
}

int lm_taps_take(struct snpu_lm_ctx *ctx, struct lm_segment *seg, uint64_t position, uint32_t rows, enum snpu_lm_logits which)
{
	const uint8_t *out = seg->region[SNPU_REGION_OUTPUT].map;
	const struct lm_stage *s = ctx->stage;
	uint32_t logit_rows = which == SNPU_LM_ALL ? rows : which == SNPU_LM_LAST;
	struct snpu_array logits = { .dtype = SNPU_F32, .rank = 2, .shape = { logit_rows, s->lm->cfg.vocab }, .data = (void *)(out + seg->at.logits) };
	int err = 0;

	for (unsigned int i = 0; i < seg->n_taps && !err; i++) {
		const struct lm_tap *t = &seg->tap[i];
		uint32_t n = t->last_only ? logit_rows : rows;
		struct snpu_array a = { .dtype = SNPU_F32, .rank = 2, .shape = { n, t->n }, .data = (void *)(out + t->at) };

		if (!t->wanted || !n)
			continue;
		err = t->list ? give_lists(ctx, t, (const uint32_t *)(out + t->at), position, rows) :
				give_copy(ctx, t->name, t->layer, position + rows - n, a);
	}
	if (!err && logit_rows && seg->end == lm_parts(s->lm) && lm_tap_wanted(&s->opts, "logits"))
		err = give_copy(ctx, "logits", ~0u, position + rows - logit_rows, logits);
	return err;
}

/* --- states ------------------------------------------------------------------------------------------------------------------ */

/* One state a query head, as the original keeps them: heads of one key-value head are equal. */
static int give_gla(struct snpu_lm_ctx *ctx, uint32_t layer, const char *name, const void *bytes)
{
	const struct lm_config *c = &ctx->stage->lm->cfg;
	const float *state = bytes;		/* [kv][d][d] */
	uint64_t one = (uint64_t)c->d * c->d;
	struct snpu_array a = { .dtype = SNPU_F32, .rank = 3, .shape = { c->heads, c->d, c->d } };
	float *all = malloc(one * c->heads * 4);
	int err;

	if (!all)
		return snpu_fail(-ENOMEM, "no memory for a copy of layer %u's state", layer);
	for (uint32_t h = 0; h < c->heads; h++)
		memcpy(all + h * one, state + h / (c->heads / c->kv) * one, one * 4);
	a.data = all;
	err = give(ctx, name, layer, ctx->position, a);
	free(all);
	return err;
}

/* Keys (which 0) or values (1) of the last positions, oldest first, codes as the numbers they stand for. */
static int give_cache(struct snpu_lm_ctx *ctx, uint32_t layer, unsigned int which, const char *name, const void *cache)
{
	const struct lm_stage *s = ctx->stage;
	const struct lm_config *c = &s->lm->cfg;
	uint64_t slots = lm_slots(c), n = ctx->position < c->window ? ctx->position : c->window, plane = c->kv * slots;
	const float *scales = (const float *)cache + SNPU_KV_CODE_WORDS((uint64_t)c->kv, slots, c->d) + which * plane;
	struct snpu_array a = { .dtype = SNPU_F32, .rank = 3, .shape = { c->kv, n, c->d } };
	float *to = malloc(c->kv * n * c->d * 4 + 4);
	int err;

	if (!to)
		return snpu_fail(-ENOMEM, "no memory for a copy of layer %u's cache", layer);
	for (uint64_t i = 0; i < c->kv * n; i++) {
		uint64_t slot = i / n * slots + (ctx->position - n + i % n) % slots, from = (which * plane + slot) * c->d;

		for (uint32_t j = 0; j < c->d; j++)
			to[i * c->d + j] = s->lm->form == SNPU_LM_SPIKE ? (float)((const int8_t *)cache)[from + j] * scales[slot] :
									  ((const float *)cache)[from + j];
	}
	a.data = to;
	err = give(ctx, name, layer, ctx->position, a);
	free(to);
	return err;
}

/* Name of state tap `which` of a layer: the state of a linear layer; keys, then values of a sliding one. False: there is no such. */
static bool state_name(const struct lm_config *c, uint32_t layer, unsigned int which, char name[LM_TAP_NAME])
{
	if (c->gla[layer])
		snprintf(name, LM_TAP_NAME, "gla_state.%u", layer);
	else
		snprintf(name, LM_TAP_NAME, "kv_%c.%u", which ? 'v' : 'k', layer);
	return !which || !c->gla[layer];
}

static int give_states(struct snpu_lm_ctx *ctx, const uint8_t *state)
{
	const struct snpu_lm *lm = ctx->stage->lm;
	char name[LM_TAP_NAME];
	int err = 0;

	for (unsigned int i = 0; i < 2 * lm->cfg.layers && !err; i++) {
		uint32_t layer = i / 2;
		const uint8_t *bytes = state + lm->state_at[layer];

		if (state_name(&lm->cfg, layer, i % 2, name) && lm_tap_wanted(&ctx->stage->opts, name))
			err = lm->cfg.gla[layer] ? give_gla(ctx, layer, name, bytes) : give_cache(ctx, layer, i % 2, name, bytes);
	}
	return err;
}

int lm_taps_state(struct snpu_lm_ctx *ctx)
{
	const struct snpu_lm *lm = ctx->stage->lm;
	char name[LM_TAP_NAME];
	bool any = false;
	uint8_t *state;
	int err;

	for (unsigned int i = 0; i < 2 * lm->cfg.layers && ctx->stage->opts.tap; i++)
		any |= state_name(&lm->cfg, i / 2, i % 2, name) && lm_tap_wanted(&ctx->stage->opts, name);
	if (!any)
		return 0;
	state = malloc(lm->state_at[lm->cfg.layers]);
	err = state ? lm_state_get(ctx, state) : snpu_fail(-ENOMEM, "no memory for a copy of the state");
	if (!err)
		err = give_states(ctx, state);
	free(state);
	return err;
}
