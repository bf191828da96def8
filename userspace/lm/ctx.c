/* SPDX-License-Identifier: MIT */
/*
 * Contexts as callers see them: creating, evaluating, forking, and what was decided and counted. The work is in the files that
 * run.h lists. A context belongs to one thread at a time; snpu_lm_ctx_cancel() may come from anywhere.
 */
#include "lm/run.h"
#include "lm/spikes.h"

#include <stdlib.h>
#include <string.h>

#define LIST_MAX	1024u			/* devices, names of taps */

static int check_options(const struct snpu_lm_ctx_opts *o)
{
	if (o->window > SNPU_LM_WINDOW_HF || o->require_device > 1 || o->bit_serial > 1 || o->profile > 1 || o->pad || o->pad2)
		return snpu_fail(-EINVAL, "an option of the context is outside of its range (window %u, require_device %u, bit_serial %u, profile %u)",
				 o->window, o->require_device, o->bit_serial, o->profile);
	if ((o->n_devices && !o->devices) || (o->n_taps && !o->taps) || (o->n_taps && !o->tap))
		return snpu_fail(-EINVAL, "a list of the context's options has a length but no address, or taps have no function");
	if (o->n_devices > LIST_MAX || o->n_taps > LIST_MAX)
		return snpu_fail(-EINVAL, "%u devices and %u taps; at most %u of each", o->n_devices, o->n_taps, LIST_MAX);
	for (unsigned int i = 0; i < o->n_devices; i++)
		if (!o->devices[i])
			return snpu_fail(-EINVAL, "device %u of the context is NULL; leave it out", i);
	for (unsigned int i = 0; i < o->n_taps; i++)
		if (!o->taps[i])
			return snpu_fail(-EINVAL, "tap %u of the context is NULL; leave it out", i);
	return 0;
}

/* State for an empty sequence. A device that fails here is done without; one that is full only when no other context would lose it. */
static int first_state(struct snpu_lm_ctx *ctx, bool fork)
{
	int failed, err;

	ctx->keeps = lm_stage_on_devices(ctx->stage);
	err = lm_state_create(ctx, &failed);
	if (!lm_device_failed(err) || ctx->stage->opts.require_device || (fork && err == -ENOSPC))
		return err;
	return lm_recover(ctx, failed, snpu_last_error());
}

/* An empty sequence on a stage, whose reference it takes over. */
static int ctx_on(struct lm_stage *stage, bool fork, struct snpu_lm_ctx **out)
{
	const struct lm_config *c = &stage->lm->cfg;
	struct snpu_lm_ctx *ctx = calloc(1, sizeof(*ctx));
	int err;

	if (!ctx) {
		lm_stage_put(stage);
		return snpu_fail(-ENOMEM, "no memory for a context");
	}
	ctx->stage = stage;
	if (stage->opts.profile) {
		ctx->sums = calloc(c->layers, sizeof(*ctx->sums));
		ctx->counters = calloc(lm_parts(stage->lm), sizeof(*ctx->counters));
	}
	err = stage->opts.profile && (!ctx->sums || !ctx->counters) ? snpu_fail(-ENOMEM, "no memory for a profile") : first_state(ctx, fork);
	if (err) {
		snpu_lm_ctx_free(ctx);
		return err;
	}
	*out = ctx;
	return 0;
}

int snpu_lm_ctx_create(struct snpu_lm *lm, const struct snpu_lm_ctx_opts *opts, struct snpu_lm_ctx **out)
{
	struct snpu_lm_ctx_opts o;
	struct lm_stage *stage;
	int err = snpu_opts_in(&o, sizeof(o), opts, "snpu_lm_ctx_opts");

	if (!err)
		err = check_options(&o);
	if (!err)
		err = lm_stage_create(lm, &o, &stage);
	return err ? err : ctx_on(stage, false, out);
}

void snpu_lm_ctx_free(struct snpu_lm_ctx *ctx)
{
	if (!ctx)
		return;
	lm_state_free(ctx);
	lm_stage_put(ctx->stage);
	for (unsigned int i = 0; i < ctx->n_fallbacks; i++)
		free(ctx->fallback[i]);
	free(ctx->fallback);
	free(ctx->kept);
	free(ctx->since);
	free(ctx->since_window);
	free(ctx->sums);
	free(ctx->counters);
	free(ctx);
}

int snpu_lm_ctx_fork(struct snpu_lm_ctx *ctx, struct snpu_lm_ctx **out)
{
	uint64_t size = snpu_lm_state_size(ctx);
	struct snpu_lm_ctx *fork = NULL;
	void *buf = malloc(size);
	int err = buf ? snpu_lm_state_save(ctx, buf, size) : snpu_fail(-ENOMEM, "no memory for a copy of the state, %llu bytes", (unsigned long long)size);

	if (!err)
		err = ctx_on(lm_stage_get(ctx->stage), true, &fork);
	if (!err)
		err = snpu_lm_state_load(fork, buf, size);
	free(buf);
	if (err) {
		snpu_lm_ctx_free(fork);
		return err;
	}
	fork->argmax = ctx->argmax;
	*out = fork;
	return 0;
}

/* --- evaluation --------------------------------------------------------------------------------------------------------------- */

static int check_ids(const struct snpu_lm_ctx *ctx, const uint32_t *ids, size_t n, enum snpu_lm_logits which)
{
	if (!n || !ids || which > SNPU_LM_ALL)
		return snpu_fail(-EINVAL, "evaluate: %zu tokens, logits %u; give at least one token", n, which);
	for (size_t i = 0; i < n; i++)
		if (ids[i] >= ctx->stage->lm->cfg.vocab)
			return snpu_fail(-EINVAL, "token %zu is %u; the model knows ids below %u", i, ids[i], ctx->stage->lm->cfg.vocab);
	if (n > UINT32_MAX - ctx->position)
		return snpu_fail(-EOVERFLOW, "position %llu plus %zu tokens passes 2^32 - 1; start a new sequence", (unsigned long long)ctx->position, n);
	return 0;
}

/* The next chunk of the call; `at` tokens are done. */
static struct lm_chunk next_chunk(const struct snpu_lm_ctx *ctx, const uint32_t *ids, size_t n, size_t at, enum snpu_lm_logits which, float *logits)
{
	const struct lm_stage *s = ctx->stage;
	uint32_t most = which == SNPU_LM_ALL && s->logit_rows < s->chunk ? s->logit_rows : s->chunk;
	struct lm_chunk c = { .ids = ids + at, .n = n - at < most ? (uint32_t)(n - at) : most, .which = which, .logits = logits };

	if (which == SNPU_LM_LAST && at + c.n < n)
		c.which = SNPU_LM_NONE;
	if (which == SNPU_LM_ALL && logits)
		c.logits = logits + at * s->lm->cfg.vocab;
	c.narrow = s->opts.window == SNPU_LM_WINDOW_W || (s->opts.window == SNPU_LM_WINDOW_HF && ctx->evaluated);
	return c;
}

int snpu_lm_eval(struct snpu_lm_ctx *ctx, const uint32_t *ids, size_t n, enum snpu_lm_logits which, float *logits)
{
	uint64_t start = ctx->position;
	size_t at;
	int err = check_ids(ctx, ids, n, which);

	if (err)
		return err;
	atomic_store(&ctx->cancel, 0);
	while (!err && (at = ctx->position - start) < n) {
		struct lm_chunk c = next_chunk(ctx, ids, n, at, which, logits);

		if (atomic_load(&ctx->cancel))
			return snpu_fail(-ECANCELED, "the evaluation was cancelled after %zu of %zu tokens", at, n);
		err = lm_chunk_run_safely(ctx, &c);
		lm_keep(ctx);
	}
	ctx->evaluated |= ctx->position - start == n;
	return err ? err : lm_taps_state(ctx);
}

uint32_t snpu_lm_ctx_argmax(const struct snpu_lm_ctx *ctx)
{
	return ctx->argmax;
}

uint64_t snpu_lm_ctx_position(const struct snpu_lm_ctx *ctx)
{
	return ctx->position;
}

void snpu_lm_ctx_cancel(struct snpu_lm_ctx *ctx)
{
	atomic_store(&ctx->cancel, 1);
}

/* --- what was decided and counted ----------------------------------------------------------------------------------------------- */

int snpu_lm_ctx_place(const struct snpu_lm_ctx *ctx, unsigned int i, struct snpu_lm_place *place)
{
	const struct lm_stage *s = ctx->stage;
	const struct snpu_lm *lm = s->lm;
	struct snpu_lm_place p = { .sz = sizeof(p) };

	if (i >= lm_parts(lm))
		return snpu_fail(-ENOENT, "the model has %u parts; count from 0 until -ENOENT", lm_parts(lm));
	if (i > 0 && i <= lm->cfg.layers)
		snprintf(p.part, sizeof(p.part), "layer %u", i - 1);
	else
		snprintf(p.part, sizeof(p.part), "%s", i ? "head" : "embedding");
	snprintf(p.device, sizeof(p.device), "%s", s->target[s->place[i]].info.name);
	snprintf(p.why, sizeof(p.why), "%s", s->why[i]);
	p.bytes = lm->part[i].size + (i > 0 && i <= lm->cfg.layers ? lm->state_at[i] - lm->state_at[i - 1] : 0);
	return snpu_opts_out(place, &p, sizeof(p), "snpu_lm_place");
}

const char *snpu_lm_ctx_fallback(const struct snpu_lm_ctx *ctx, unsigned int i)
{
	return i < ctx->n_fallbacks ? ctx->fallback[i] : NULL;
}

/* How many spiking layers take one of a layer's inputs. */
static uint32_t consumers(const struct snpu_lm_ctx *ctx, unsigned int layer, unsigned int input)
{
	const struct lm_linear *l = ctx->stage->lm->part[layer + 1].linear;
	uint32_t n = 0;

	for (unsigned int id = 0; id < LM_LINEARS; id++)
		n += l[id].n_out && l[id].spike && lm_linear_input(id) == input;
	return n;
}

int snpu_lm_ctx_spikes(const struct snpu_lm_ctx *ctx, unsigned int layer, const char *input, enum snpu_lm_spike_sum which,
		       struct snpu_lm_spike_sums *sums)
{
	const struct lm_config *c = &ctx->stage->lm->cfg;
	struct snpu_lm_spike_sums all = { 0 };
	bool found = false;

	if (!ctx->sums)
		return snpu_fail(-EINVAL, "spike statistics were not asked for; create the context with profile = 1");
	for (unsigned int l = 0; l < c->layers; l++) {
		for (unsigned int i = 0; i < LM_INPUTS; i++) {
			if ((layer != ~0u && layer != l) || (input && strcmp(input, lm_input_name(i))))
				continue;
			found |= ctx->sums[l][i].channels != 0;
			snpu_lm_spikes_merge(&all, &ctx->sums[l][i], which == SNPU_LM_DISTINCT ? 1 : consumers(ctx, l, i));
		}
	}
	if (found)
		*sums = all;
	return found ? 0 : snpu_fail(-ENOENT, "no spiking layer reads '%s' of layer %d, or nothing was evaluated yet", input ? input : "(any)", (int)layer);
}

int snpu_lm_ctx_counters(const struct snpu_lm_ctx *ctx, unsigned int part, uint64_t *counters)
{
	unsigned int parts = lm_parts(ctx->stage->lm);

	if (!ctx->counters)
		return snpu_fail(-EINVAL, "counters were not asked for; create the context with profile = 1");
	if (part != ~0u && part >= parts)
		return snpu_fail(-ENOENT, "the model has %u parts; count from 0 until -ENOENT", parts);
	memset(counters, 0, sizeof(uint64_t[SNPU_COUNTER_COUNT]));
	for (unsigned int p = 0; p < parts; p++)
		for (unsigned int k = 0; k < SNPU_COUNTER_COUNT && (part == ~0u || part == p); k++)
			counters[k] += ctx->counters[p][k];
	return 0;
}
