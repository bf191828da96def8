/* SPDX-License-Identifier: MIT */
/*
 * Going on when a device is lost. Its memory is gone, and with it the state of its layers; so a context that is not all on the CPU
 * keeps a copy of the whole state every few hundred tokens, and the tokens since. When a device fails, the model is placed anew
 * without it, the copy is written there, the tokens are run again, and the chunk that failed with them: the same bits,
 * because the result of a packet does not depend on who executes it.
 */
#include "lm/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEP_EVERY	256u			/* tokens; copying the state costs about as much as one of them */

/* A sentence for snpu_lm_ctx_fallback(); without memory there is none. */
static void note(struct snpu_lm_ctx *ctx, const char *why)
{
	char **list = reallocarray(ctx->fallback, ctx->n_fallbacks + 1, sizeof(*list)), *text;
	const struct lm_stage *s = ctx->stage;

	if (!list)
		return;
	ctx->fallback = list;
	if (asprintf(&text, "%s; at token %llu %s went on with the same results (%zu tokens were computed again)", why,
		     (unsigned long long)ctx->position, s->target[s->place[1]].info.name, ctx->n_since) >= 0)
		list[ctx->n_fallbacks++] = text;
}

/* --- what is kept ------------------------------------------------------------------------------------------------------- */

void lm_forget(struct snpu_lm_ctx *ctx)
{
	free(ctx->kept);
	ctx->kept = NULL;
	ctx->kept_position = 0;
	ctx->n_since = 0;
}

void lm_keep(struct snpu_lm_ctx *ctx)
{
	uint32_t every = ctx->stage->opts.checkpoint ? ctx->stage->opts.checkpoint : KEEP_EVERY;
	uint64_t size = ctx->stage->lm->state_at[ctx->stage->lm->cfg.layers];
	uint8_t *copy;

	if (!ctx->keeps || ctx->lost || ctx->n_since < every)
		return;
	copy = malloc(size ? size : 1);		/* without memory the older copy does, with more to compute again */
	if (!copy)
		return;
	lm_state_read(ctx, copy);
	if (lm_stage_gone(ctx->stage) >= 0) {	/* what was read is nothing then; the next chunk will notice */
		free(copy);
		return;
	}
	lm_forget(ctx);
	ctx->kept = copy;
	ctx->kept_position = ctx->position;
}

/* Room for the tokens of a chunk, before it runs. */
static int reserve(struct snpu_lm_ctx *ctx, uint32_t n)
{
	size_t want = ctx->n_since + n, room = 2 * want;
	uint32_t *since;
	uint8_t *window;

	if (!ctx->keeps || want <= ctx->since_room)
		return 0;
	since = reallocarray(ctx->since, room, sizeof(*since));
	ctx->since = since ? since : ctx->since;
	window = since ? realloc(ctx->since_window, room) : NULL;
	ctx->since_window = window ? window : ctx->since_window;
	if (!window)
		return snpu_fail(-ENOMEM, "no memory for %zu tokens", room);
	ctx->since_room = room;
	return 0;
}

/* --- going on ------------------------------------------------------------------------------------------------------------ */

static int run_locked(struct snpu_lm_ctx *ctx, const struct lm_chunk *c, int *failed, char why[LM_WHY])
{
	int err;

	pthread_mutex_lock(&ctx->stage->lock);
	err = lm_chunk_run(ctx, c, failed, why);
	pthread_mutex_unlock(&ctx->stage->lock);
	return err;
}

static int give_up(struct snpu_lm_ctx *ctx, int failed, const char *why)
{
	struct lm_stage *s = ctx->stage;

	if (failed == (int)s->n_targets - 1)
		return snpu_fail(-EIO, "the CPU itself failed: %s; the model's file is damaged, memory ran out, or the library is wrong", why);
	pthread_mutex_lock(&s->lock);
	s->target[failed].dead = true;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

/* Puts the kept state on a stage without the devices that failed. 1: another device failed. */
static int settle(struct snpu_lm_ctx *ctx, int *failed, char why[LM_WHY])
{
	int err = 0;

	lm_state_free(ctx);
	while (!err && lm_stage_broken(ctx->stage)) {
		struct lm_stage *next;

		if (ctx->stage->opts.require_device)
			return snpu_fail(-EREMOTEIO, "%s; at token %llu, and going on elsewhere was not allowed", why, (unsigned long long)ctx->position);
		err = lm_stage_without(ctx->stage, &next);
		if (!err) {
			lm_stage_put(ctx->stage);
			ctx->stage = next;
		}
	}
	if (!err) {
		err = lm_state_create(ctx, failed);
		if (lm_device_failed(err)) {
			snprintf(why, LM_WHY, "%s", snpu_last_error());
			return 1;
		}
	}
	if (!err)
		lm_state_write(ctx, ctx->kept);
	return err;
}

/* The tokens since the state that was kept. 1: another device failed. */
static int replay(struct snpu_lm_ctx *ctx, int *failed, char why[LM_WHY])
{
	ctx->position = ctx->kept_position;
	for (size_t at = 0; at < ctx->n_since;) {
		struct lm_chunk c = { .ids = ctx->since + at, .n = 1, .narrow = ctx->since_window[at], .silent = true };
		int err;

		while (at + c.n < ctx->n_since && c.n < ctx->stage->chunk && ctx->since_window[at + c.n] == c.narrow)
			c.n++;
		err = run_locked(ctx, &c, failed, why);
		if (err)
			return err;
		at += c.n;
	}
	return 0;
}

int lm_recover(struct snpu_lm_ctx *ctx, int failed, const char *reason)
{
	uint64_t position = ctx->position;
	char why[LM_WHY], first[LM_WHY];
	int err;

	snprintf(first, sizeof(first), "%s", reason);
	memcpy(why, first, sizeof(why));
	ctx->lost = true;
	do {
		err = failed >= 0 ? give_up(ctx, failed, why) : 0;
		if (!err)
			err = settle(ctx, &failed, why);
		if (!err)
			err = replay(ctx, &failed, why);
		ctx->position = position;
	} while (err == 1);
	if (err)
		return err;
	ctx->lost = false;
	note(ctx, first);
	ctx->keeps = lm_stage_on_devices(ctx->stage);
	if (!ctx->keeps)
		lm_forget(ctx);
	return 0;
}

/* The state on the devices is that of the position. */
static int make_whole(struct snpu_lm_ctx *ctx)
{
	if (!ctx->lost)
		return 0;
	if (!ctx->keeps)
		return snpu_fail(-EIO, "the sequence was lost when an earlier call failed; reset the context or load a state");
	return lm_recover(ctx, -1, "a device had failed");
}

int lm_chunk_run_safely(struct snpu_lm_ctx *ctx, const struct lm_chunk *c)
{
	char why[LM_WHY] = "";
	int failed = -1, err = reserve(ctx, c->n);

	if (!err)
		err = make_whole(ctx);
	while (!err) {
		err = run_locked(ctx, c, &failed, why);
		if (err != 1)
			break;
		err = lm_recover(ctx, failed, why);
	}
	return err;
}

int lm_state_get(struct snpu_lm_ctx *ctx, uint8_t *to)
{
	int err = make_whole(ctx);

	while (!err) {
		int failed;

		lm_state_read(ctx, to);
		failed = lm_stage_gone(ctx->stage);
		if (failed < 0)
			break;
		err = lm_recover(ctx, failed, snpu_last_error());
	}
	return err;
}
