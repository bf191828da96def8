/* SPDX-License-Identifier: MIT */
/*
 * The state of a sequence: a matrix for each key-value head of a linear-attention layer, a ring of keys and values for each
 * sliding-window layer. The same bytes on every device, so they can be saved here and go on there. Caller's thread.
 */
#include "lm/run.h"

#include <stdlib.h>
#include <string.h>

#define SAMPLE		64u			/* bytes of weights */
#define STATE_MAGIC	0x54534d4c55504e53ull	/* "SNPULMST" */

struct state_header {
	uint64_t magic, model;			/* model: hash of what makes two states incompatible */
	uint64_t position;
	uint32_t evaluated, pad;
	uint64_t reserved[4];
};

int lm_state_create(struct snpu_lm_ctx *ctx, int *failed)
{
	struct lm_stage *s = ctx->stage;
	int err = 0;

	ctx->state = calloc(s->n_seg, sizeof(*ctx->state));
	if (!ctx->state)
		return snpu_fail(-ENOMEM, "no memory for the state of %u segments", s->n_seg);
	pthread_mutex_lock(&s->lock);		/* addresses of the lane are handed out */
	for (unsigned int i = 0; i < s->n_seg && !err; i++) {
		struct lm_segment *seg = &s->seg[i];
		uint64_t at, size = lm_segment_state(s, seg, &at);

		*failed = seg->target;
		if (size)
			err = snpu_region_need(&s->target[seg->target], &s->lane[seg->target], &ctx->state[i], size, SNPU_BO_DEVICE);
	}
	pthread_mutex_unlock(&s->lock);
	return err;
}

void lm_state_free(struct snpu_lm_ctx *ctx)
{
	struct lm_stage *s = ctx->stage;

	if (!s || !ctx->state)
		return;
	pthread_mutex_lock(&s->lock);
	for (unsigned int i = 0; i < s->n_seg; i++)	/* unbound, too, because a fork may use the lane */
		snpu_region_drop(&s->lane[s->seg[i].target], &ctx->state[i]);
	pthread_mutex_unlock(&s->lock);
	free(ctx->state);
	ctx->state = NULL;
}

void lm_state_read(const struct snpu_lm_ctx *ctx, uint8_t *to)
{
	for (unsigned int i = 0; i < ctx->stage->n_seg; i++) {
		uint64_t at, size = lm_segment_state(ctx->stage, &ctx->stage->seg[i], &at);

		if (size)
			memcpy(to + at, ctx->state[i].map, size);
	}
}

void lm_state_write(struct snpu_lm_ctx *ctx, const uint8_t *from)
{
	for (unsigned int i = 0; i < ctx->stage->n_seg; i++) {
		uint64_t at, size = lm_segment_state(ctx->stage, &ctx->stage->seg[i], &at);

		if (size && from)
			memcpy(ctx->state[i].map, from + at, size);
		else if (size)
			memset(ctx->state[i].map, 0, size);
	}
}

/* --- saving -------------------------------------------------------------------------------------------------------------- */

/* FNV-1a */
static uint64_t hash(uint64_t h, const void *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3ull;
	return h;
}

/* Of what decides how bytes of a state are meant and made: numbers, and a few of each part's weights. */
static uint64_t model_hash(const struct snpu_lm *lm)
{
	const struct lm_config *c = &lm->cfg;
	uint32_t words[] = { lm->form, lm->down, c->vocab, c->hidden, c->layers, c->heads, c->kv, c->ffn, c->window, 0, 0, 0 };
	uint64_t h = 0xcbf29ce484222325ull;

	memcpy(&words[9], &c->k, 4);
	memcpy(&words[10], &c->rope_theta, 4);
	memcpy(&words[11], &c->eps, 4);
	h = hash(h, words, sizeof(words));
	h = hash(h, c->gla, c->layers);
	for (unsigned int i = 0; i < lm_parts(lm); i++) {
		const struct lm_part *p = &lm->part[i];
		uint64_t n = p->size < SAMPLE ? p->size : SAMPLE;

		h = hash(h, lm->image + p->offset, n);
		h = hash(h, lm->image + p->offset + (p->size - n) / 2, n);
	}
	return h;
}

uint64_t snpu_lm_state_size(const struct snpu_lm_ctx *ctx)
{
	return sizeof(struct state_header) + ctx->stage->lm->state_at[ctx->stage->lm->cfg.layers];
}

int snpu_lm_state_save(struct snpu_lm_ctx *ctx, void *buf, size_t size)
{
	struct state_header h = { .magic = STATE_MAGIC, .model = model_hash(ctx->stage->lm), .position = ctx->position, .evaluated = ctx->evaluated };
	int err;

	if (size < snpu_lm_state_size(ctx))
		return snpu_fail(-EINVAL, "a state takes %llu bytes, the buffer has %zu", (unsigned long long)snpu_lm_state_size(ctx), size);
	err = lm_state_get(ctx, (uint8_t *)buf + sizeof(h));
	if (!err)
		memcpy(buf, &h, sizeof(h));
	return err;
}

/* What is kept is the new state already: when the old one is lost, that is enough. */
static void set_state(struct snpu_lm_ctx *ctx, const uint8_t *bytes, uint64_t position, bool evaluated)
{
	ctx->lost = ctx->lost && ctx->keeps;
	if (!ctx->lost)
		lm_state_write(ctx, bytes);
	ctx->position = position;
	ctx->evaluated = evaluated;
}

int snpu_lm_state_load(struct snpu_lm_ctx *ctx, const void *buf, size_t size)
{
	struct state_header h;
	uint64_t bytes = snpu_lm_state_size(ctx) - sizeof(h);

	if (size < sizeof(h) + bytes)
		return snpu_fail(-EBADMSG, "a state of this model takes %llu bytes, here are %zu; it is cut, or another model's",
				 (unsigned long long)(sizeof(h) + bytes), size);
	memcpy(&h, buf, sizeof(h));
	if (h.magic != STATE_MAGIC || h.model != model_hash(ctx->stage->lm) || h.position > UINT32_MAX)
		return snpu_fail(-EBADMSG, "the bytes are no state of model %s in this form; evaluate its text again", ctx->stage->lm->name);
	if (ctx->keeps && !ctx->kept)
		ctx->kept = malloc(bytes ? bytes : 1);
	if (ctx->keeps && !ctx->kept)
		return snpu_fail(-ENOMEM, "no memory for a copy of the state, %llu bytes", (unsigned long long)bytes);
	if (ctx->keeps)
		memcpy(ctx->kept, (const uint8_t *)buf + sizeof(h), bytes);
	ctx->kept_position = h.position;
	ctx->n_since = 0;
	set_state(ctx, (const uint8_t *)buf + sizeof(h), h.position, h.evaluated);
	return 0;
}

int snpu_lm_ctx_reset(struct snpu_lm_ctx *ctx)
{
	lm_forget(ctx);
	set_state(ctx, NULL, 0, false);
	return 0;
}
