/* SPDX-License-Identifier: MIT */
/*
 * Running samples in chunks, segment after segment, and going on when a device fails: samples start from cleared state, or from one
 * that the process keeps, so a chunk that failed is simply done again by whoever is left. Results of a chunk count only when all of it succeeded.
 */
#include "core/clock.h"
#include "sched/input.h"
#include "sched/result.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES	(32ull << 20)		/* of one segment's inputs and outputs */
#define CHUNKS		16			/* at least, where there are enough samples: progress becomes visible */

struct run {
	struct snpu_session *s;
	struct snpu_feed *feeds;		/* [m->n_inputs] */
	struct snpu_result *r;
	uint64_t samples, steps, chunk;
	int64_t job_ns;
	bool planned;				/* still on the devices that were planned */
	bool going_on;				/* from the state of the call before */
};

static uint64_t stream_values(const struct snpu_stream *list, unsigned n)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += list[i].n;
	return sum;
}

static uint64_t choose_chunk(const struct run *run)
{
	const struct snpu_session *s = run->s;
	uint64_t widest = 1, bytes, chunk;

	if (s->opts.chunk_samples)
		return s->opts.chunk_samples < run->samples ? s->opts.chunk_samples : run->samples;
	for (unsigned i = 0; i < s->plan.n_segments; i++) {
		const struct snpu_segment *seg = &s->plan.segments[i];
		uint64_t v = stream_values(seg->imports, seg->n_imports) + stream_values(seg->exports, seg->n_exports);

		widest = v > widest ? v : widest;
	}
	if (!snpu_mul(widest * 4, run->steps, &bytes))
		return 1;
	chunk = CHUNK_BYTES / bytes;
	if (chunk > (run->samples + CHUNKS - 1) / CHUNKS)
		chunk = (run->samples + CHUNKS - 1) / CHUNKS;
	return chunk ? chunk : 1;
}

static int prepare_once(struct run *run, unsigned *failed)
{
	struct snpu_session *s = run->s;
	int err = s->contexts ? 0 : snpu_contexts_create(s, failed);

	run->chunk = choose_chunk(run);
	for (unsigned i = 0; i < s->plan.n_segments && !err; i++) {
		*failed = i;
		err = snpu_context_prepare(s, &s->contexts[i], run->chunk, run->samples % run->chunk, run->steps, run->going_on);
	}
	return err;
}

static const struct snpu_variant *variant_for(const struct snpu_context *c, uint64_t count)
{
	return c->variant[0].samples == count ? &c->variant[0] : &c->variant[1];
}

static const struct snpu_feed *feed_of(const struct run *run, unsigned node)
{
	unsigned i = 0;

	while (run->feeds[i].node != node)
		i++;
	return &run->feeds[i];
}

/* Brings the inputs of segment k: from the caller's arrays, or from the outputs of the segment that wrote them. */
static int fill_imports(struct run *run, unsigned k, uint64_t first, uint64_t count)
{
	struct snpu_session *s = run->s;
	struct snpu_context *c = &s->contexts[k];
	const struct snpu_variant *v = variant_for(c, count);

	for (unsigned i = 0; i < c->s->n_imports; i++) {
		const struct snpu_stream *in = &c->s->imports[i];
		uint8_t *to = (uint8_t *)c->region[SNPU_REGION_INPUT].map + v->import_at[i];
		struct snpu_context *from;
		int err;

		if (in->segment == SNPU_NONE) {
			err = snpu_feed_fill(s->m, feed_of(run, in->node), first, count, (float *)to);
			if (!err && s->quant)
				err = snpu_quant_in(s->m->nodes[in->node].name, (float *)to, count * run->steps * in->n, in->n);
			if (err)
				return err;
			continue;
		}
		from = &s->contexts[in->segment];
		memcpy(to, (uint8_t *)from->region[SNPU_REGION_OUTPUT].map + variant_for(from, count)->export_at[in->stream],
		       count * run->steps * in->n * 4);
	}
	return 0;
}

/* 1: a device failed and *why tells how; other errors are the caller's or the host's. */
static int run_segments(struct run *run, uint64_t first, uint64_t count, unsigned *failed, char *why, size_t why_size)
{
	struct snpu_session *s = run->s;

	if (run->going_on)
		snpu_session_state_put(s);
	for (unsigned k = 0; k < s->plan.n_segments; k++) {
		struct snpu_context *c = &s->contexts[k];
		int err = fill_imports(run, k, first, count);
		int64_t start;

		if (err)
			return err;
		start = snpu_now_ns();
		err = snpu_context_run(s, c, variant_for(c, count), why, why_size);
		run->job_ns += snpu_now_ns() - start;
		run->r->stats.jobs++;
		if (err == -ECANCELED)
			return err;
		*failed = k;
		if (err)
			return 1;
	}
	return 0;
}

static int collect(struct run *run, uint64_t first, uint64_t count)
{
	struct snpu_session *s = run->s;

	for (unsigned i = 0; i < s->n_wanted; i++) {
		const struct snpu_wanted *w = &s->wanted[i];
		uint64_t step = run->steps * s->m->nodes[w->node].size;
		float *to = (float *)run->r->arrays[i].data + first * step;
		struct snpu_context *c;

		if (w->segment == SNPU_NONE) {
			int err = snpu_feed_fill(s->m, feed_of(run, w->root), first, count, to);

			if (err)
				return err;
			continue;
		}
		c = &s->contexts[w->segment];
		memcpy(to, (uint8_t *)c->region[SNPU_REGION_OUTPUT].map + variant_for(c, count)->export_at[w->stream], count * step * 4);
		if (s->quant)
			snpu_quant_out(s->quant, w->root, w->state, to, count * step, s->m->nodes[w->node].size);
	}
	for (unsigned k = 0; k < s->plan.n_segments; k++)
		snpu_result_add_profile(run->r, s, &s->plan.segments[k], s->contexts[k].region[SNPU_REGION_PROFILE].map, s->contexts[k].dense);
	return 0;
}

/* Takes a failed device out of the session and plans anew without it. */
static int fall_back(struct run *run, unsigned segment, uint64_t first, const char *why)
{
	struct snpu_session *s = run->s;
	int target = s->plan.segments[segment].target, err;
	unsigned node = s->plan.segments[segment].slots[0].node;	/* for the message: who has it now */

	if (s->opts.require_device)
		return snpu_fail(-EREMOTEIO, "%s; %llu of %llu samples were done, and going on elsewhere was not allowed", why, (unsigned long long)first,
				 (unsigned long long)run->samples);
	if (target == (int)s->n_targets - 1)
		return snpu_fail(-EIO, "the CPU itself failed: %s; this is an error in the library, please report it", why);
	s->targets[target].dead = true;
	snpu_contexts_free(s);
	err = snpu_session_plan(s);
	if (err)
		return err;
	run->r->stats.retries++;
	run->planned = false;
	return snpu_result_add_fallback(run->r, "%s; from sample %llu on %s goes on, with the same results", why, (unsigned long long)first,
					s->targets[s->plan.place[node].target].info.name);
}

/* A device that failed in an earlier run stays out of the session; every later run says so, too. */
static int note_dead(struct run *run)
{
	const struct snpu_session *s = run->s;
	int err = 0;

	for (unsigned t = 0; t < s->n_targets && !err; t++)
		if (s->targets[t].dead) {
			run->planned = false;
			err = snpu_result_add_fallback(run->r, "%s failed in an earlier run of this session and is not used any more", s->targets[t].info.name);
		}
	return err;
}

/* Readies all segments; a device that is gone by now is done without. */
static int prepare(struct run *run, uint64_t first)
{
	char why[640];
	unsigned failed = 0;
	int err;

	for (;;) {
		err = prepare_once(run, &failed);
		if (err != -ENODEV && err != -EIO)
			return err;
		snprintf(why, sizeof(why), "%s", snpu_last_error());
		err = fall_back(run, failed, first, why);
		if (err)
			return err;
	}
}

static int run_chunk(struct run *run, uint64_t first, uint64_t *count)
{
	char why[640] = "";
	unsigned failed = 0;
	int err;

	for (;;) {
		*count = run->samples - first < run->chunk ? run->samples - first : run->chunk;
		err = run_segments(run, first, *count, &failed, why, sizeof(why));
		if (err != 1)
			break;
		err = fall_back(run, failed, first, why);
		if (!err)
			err = prepare(run, first);
		if (err)
			return err;
	}
	return err ? err : collect(run, first, *count);
}

static int run_chunks(struct run *run)
{
	struct snpu_session *s = run->s;
	uint64_t count;

	for (uint64_t first = 0; first < run->samples; first += count) {
		int err = run_chunk(run, first, &count);

		if (err)
			return err;
		run->r->stats.chunks++;
		if (!run->planned)
			run->r->stats.fallback_samples += count;
		if (run->going_on)			/* one sample, and it is done: its state has moved on */
			break;
		if (s->opts.progress && s->opts.progress(s->opts.progress_arg, first + count, run->samples))
			return snpu_fail(-ECANCELED, "the run was stopped after %llu of %llu samples", (unsigned long long)(first + count),
					 (unsigned long long)run->samples);
		if (atomic_load(&s->cancel))
			return snpu_fail(-ECANCELED, "the run was cancelled after %llu of %llu samples", (unsigned long long)(first + count),
					 (unsigned long long)run->samples);
	}
	return 0;
}

static int session_run(struct snpu_session *s, const struct snpu_input *inputs, unsigned n_inputs, bool going_on, struct snpu_result **out)
{
	struct run run = { .s = s, .planned = true, .going_on = going_on };
	int64_t start = snpu_now_ns();
	int err;

	atomic_store(&s->cancel, 0);
	run.feeds = calloc(s->m->n_inputs, sizeof(*run.feeds));
	if (!run.feeds)
		return snpu_fail(-ENOMEM, "no memory for a run");
	err = snpu_feeds_match(s->m, inputs, n_inputs, run.feeds);
	run.samples = run.feeds[0].samples;
	run.steps = run.feeds[0].steps;
	if (!err && going_on && run.samples != 1)
		err = snpu_fail(-EINVAL, "%llu samples were given to go on with, and a session keeps the state of one; use a session for each",
				(unsigned long long)run.samples);
	if (!err && going_on)
		err = snpu_session_state_need(s);
	if (!err)
		err = snpu_result_create(s, run.samples, run.steps, &run.r);
	if (!err)
		err = note_dead(&run);
	if (!err)
		err = prepare(&run, 0);
	if (!err)
		err = run_chunks(&run);
	if (!err && going_on)
		snpu_session_state_get(s);
	free(run.feeds);
	if (err) {
		snpu_result_free(run.r);
		return err;
	}
	run.r->stats.wall_ns = (uint64_t)(snpu_now_ns() - start);
	run.r->stats.host_ns = run.r->stats.wall_ns - (uint64_t)run.job_ns;
	*out = run.r;
	return 0;
}

int snpu_session_run(struct snpu_session *s, const struct snpu_input *inputs, unsigned n_inputs, struct snpu_result **out)
{
	return session_run(s, inputs, n_inputs, false, out);
}

int snpu_session_continue(struct snpu_session *s, const struct snpu_input *inputs, unsigned n_inputs, struct snpu_result **out)
{
	return session_run(s, inputs, n_inputs, true, out);
}
