/* SPDX-License-Identifier: MIT */
/*
 * Which part of a model runs on which device, and the buffers that this needs. Layers come first, in order, each on the best device
 * that still has room and never back to an earlier one, so that a token crosses from device to device as rarely as can be; then
 * the head, then the embedding. What finds no room runs on the CPU, in place, from the image.
 */
#include "lm/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK		64u			/* tokens: weights are read once for all of them, and buffers stay in the cache */
#define TAP_CHUNK	8u			/* with taps or a profile, whose arrays stay in memory for the whole chunk */
#define LOGIT_BYTES	(16ull << 20)		/* of one submission's rows of logits */
#define CHUNK_MAX	4096u
#define SLACK		(16ull << 20)		/* device memory left for page tables and others */

uint64_t lm_segment_state(const struct lm_stage *stage, const struct lm_segment *seg, uint64_t *at)
{
	const struct snpu_lm *lm = stage->lm;
	unsigned int first = seg->first ? seg->first - 1 : 0, end = seg->end - 1;

	if (end > lm->cfg.layers)
		end = lm->cfg.layers;
	if (first > lm->cfg.layers)
		first = lm->cfg.layers;
	*at = lm->state_at[first];
	return lm->state_at[end] - lm->state_at[first];
}

/* --- which device ------------------------------------------------------------------------------------------------------ */

static uint64_t part_bytes(const struct lm_stage *s, unsigned int part)
{
	const struct snpu_lm *lm = s->lm;
	uint64_t bytes = lm_align(lm->part[part].size, LM_PAGE);

	if (part > 0 && part <= lm->cfg.layers)
		bytes += lm->state_at[part] - lm->state_at[part - 1];
	return bytes;
}

static bool executes(const struct snpu_device_info *info)
{
	static const uint8_t ops[] = { SNPU_OP_GATHER, SNPU_OP_ENCODE, SNPU_OP_SPMV, SNPU_OP_MATMUL, SNPU_OP_SILU_MUL, SNPU_OP_RMSNORM,
				       SNPU_OP_ROPE, SNPU_OP_GLA_STEP, SNPU_OP_KV_APPEND, SNPU_OP_SWA, SNPU_OP_ARGMAX };

	for (unsigned int i = 0; i < sizeof(ops); i++)
		if (!(info->opcodes[ops[i] / 64] >> ops[i] % 64 & 1))
			return false;
	return true;
}

/* Bytes of device memory that parts may take. */
static uint64_t room_of(const struct lm_stage *s, unsigned int t)
{
	const struct snpu_device_info *info = &s->target[t].info;
	uint64_t taken = info->device_used + SLACK;

	return info->device_total > taken ? info->device_total - taken : 0;
}

/* What a segment takes besides its parts. */
static uint64_t scratch_bytes(const struct lm_stage *s)
{
	struct lm_segment all = { .first = 0, .end = lm_parts(s->lm) };

	lm_layout_make(s, &all);
	return all.at.scratch_size;
}

#define MIB(bytes)	((double)(bytes) / (1 << 20))

/* Puts a part on the first target from `from` on that takes it; the CPU takes everything. beside: where a neighbour is, -1: nowhere. */
static void put_part(struct lm_stage *s, unsigned int part, unsigned int from, int beside, uint64_t *room)
{
	unsigned int cpu = s->n_targets - 1;
	char not[96] = "";

	for (unsigned int t = from; t < cpu; t++) {
		const struct snpu_target *target = &s->target[t];
		uint64_t need = part_bytes(s, part) + (beside == (int)t ? 0 : scratch_bytes(s));

		if (target->info.kind == SNPU_KIND_CPU) {	/* takes everything, so nobody behind it is asked */
			if (!*not)
				snprintf(not, sizeof(not), "%s was asked for", target->info.name);
			break;
		}
		if (target->dead)
			snprintf(not, sizeof(not), "%s failed", target->info.name);
		else if (!executes(&target->info))
			snprintf(not, sizeof(not), "%s does not execute all packets it needs", target->info.name);
		else if (need > room[t])
			snprintf(not, sizeof(not), "%.1f MiB are too much for the %.1f MiB left on %s", MIB(need), MIB(room[t]), target->info.name);
		else {
			s->place[part] = (int)t;
			room[t] -= need;
			snprintf(s->why[part], sizeof(s->why[part]), "%s%s%.1f MiB of weights and state fit", not, *not ? "; here " : "first choice: ", MIB(need));
			return;
		}
	}
	s->place[part] = (int)cpu;
	snprintf(s->why[part], sizeof(s->why[part]), "%s", *not ? not : cpu ? "stays with the layer before it" : "no card was given");
}

static int choose(struct lm_stage *s)
{
	unsigned int parts = lm_parts(s->lm), head = parts - 1, from = 0;
	uint64_t *room = calloc(s->n_targets, sizeof(*room));

	if (!room)
		return snpu_fail(-ENOMEM, "no memory for a placement");
	for (unsigned int t = 0; t + 1 < s->n_targets; t++)
		room[t] = room_of(s, t);
	for (unsigned int p = 1; p < head; p++) {
		put_part(s, p, from, p > 1 ? (int)from : -1, room);
		from = (unsigned int)s->place[p];
	}
	put_part(s, head, 0, (int)from, room);
	put_part(s, 0, 0, s->place[1], room);
	free(room);
	for (unsigned int p = 0; p < parts && s->opts.require_device; p++)
		if (s->place[p] == (int)s->n_targets - 1)
			return snpu_fail(-ENOSPC, "part %u of %u cannot run on a card (%s), and a card was required; use a larger card or leave the rest to the CPU",
					 p, parts, s->why[p]);
	return 0;
}

/* --- segments ----------------------------------------------------------------------------------------------------------- */

static int split(struct lm_stage *s)
{
	unsigned int parts = lm_parts(s->lm);

	s->seg = calloc(parts, sizeof(*s->seg));
	if (!s->seg)
		return snpu_fail(-ENOMEM, "no memory for %u segments", parts);
	for (unsigned int p = 0; p < parts; p++) {
		if (!p || s->place[p] != s->place[p - 1])
			s->seg[s->n_seg++] = (struct lm_segment){ .first = p, .target = s->place[p] };
		s->seg[s->n_seg - 1].end = p + 1;
	}
	return 0;
}

static int weights(struct lm_stage *s, struct lm_segment *seg)
{
	const struct lm_part *first = &s->lm->part[seg->first], *last = &s->lm->part[seg->end - 1];
	struct snpu_region_mem *r = &seg->region[SNPU_REGION_WEIGHTS];
	const uint8_t *from = s->lm->image + first->offset;
	uint64_t size = lm_align(last->offset + last->size - first->offset, LM_PAGE);
	int err;

	if (seg->target == (int)s->n_targets - 1)
		return snpu_region_wrap(&s->target[seg->target], &s->lane[seg->target], r, from, size);
	err = snpu_region_need(&s->target[seg->target], &s->lane[seg->target], r, size, SNPU_BO_DEVICE);
	if (!err)
		memcpy(r->map, from, size);
	return err;
}

static int set_up(struct lm_stage *s, struct lm_segment *seg)
{
	struct snpu_target *t = &s->target[seg->target];
	struct snpu_lane *lane = &s->lane[seg->target];
	int err = snpu_lane_open(t, lane);

	lm_layout_make(s, seg);
	if (!err)
		err = lm_program_taps(s, seg);
	if (!err)
		err = weights(s, seg);
	if (!err)
		err = snpu_region_need(t, lane, &seg->region[SNPU_REGION_SCRATCH], seg->at.scratch_size, SNPU_BO_DEVICE);
	if (!err)
		err = snpu_region_need(t, lane, &seg->region[SNPU_REGION_INPUT], seg->at.input_size, 0);
	if (!err)
		err = snpu_region_need(t, lane, &seg->region[SNPU_REGION_OUTPUT], seg->at.output_size, 0);
	if (!err && s->opts.profile)
		err = snpu_region_need(t, lane, &seg->region[SNPU_REGION_PROFILE], (seg->end - seg->first) * sizeof(uint64_t[SNPU_COUNTER_COUNT]), 0);
	return err;
}

/* --- the stage ----------------------------------------------------------------------------------------------------------- */

static int open_cpu(struct lm_stage *s)
{
	struct snpu_device_opts o = { .sz = sizeof(o), .cpu_threads = s->opts.threads, .cpu_isa = s->opts.cpu_isa };

	return snpu_device_open("cpu", &o, &s->target[s->n_targets - 1].dev);
}

static int open_targets(struct lm_stage *s)
{
	int err;

	s->n_targets = s->opts.n_devices + 1;
	s->target = calloc(s->n_targets, sizeof(*s->target));
	s->lane = calloc(s->n_targets, sizeof(*s->lane));
	if (!s->target || !s->lane)
		return snpu_fail(-ENOMEM, "no memory for %u devices", s->n_targets);
	err = open_cpu(s);
	for (unsigned int t = 0; t < s->n_targets && !err; t++) {
		if (t + 1 < s->n_targets) {
			s->target[t].dev = s->opts.devices[t];
			snpu_device_get(s->target[t].dev);
		}
		s->target[t].info.sz = sizeof(s->target[t].info);
		err = snpu_device_info(s->target[t].dev, &s->target[t].info);
		if (err && t + 1 < s->n_targets && !s->opts.require_device) {
			s->target[t].dead = true;	/* gone before we began: the others do it */
			err = 0;
		}
	}
	return err;
}

/* Arrays of the options are the caller's and may go. */
static int copy_options(struct lm_stage *s, const struct snpu_lm_ctx_opts *o)
{
	struct snpu_device **devices = calloc(o->n_devices + 1, sizeof(*devices));
	const char **taps = calloc(o->n_taps + 1, sizeof(*taps));

	s->opts = *o;
	s->opts.devices = devices;
	s->opts.taps = taps;
	if (!devices || !taps)
		return snpu_fail(-ENOMEM, "no memory for options");
	for (unsigned int i = 0; i < o->n_devices; i++)
		devices[i] = o->devices[i];
	for (unsigned int i = 0; i < o->n_taps; i++) {
		taps[i] = strdup(o->taps[i]);
		if (!taps[i])
			return snpu_fail(-ENOMEM, "no memory for options");
	}
	return 0;
}

static uint32_t least(uint64_t a, uint32_t b)
{
	return a < b ? (uint32_t)a : b;
}

/* At least 16 tokens are always possible: no dimension is above 2^20, and there are 256 heads at most. */
static void choose_chunk(struct lm_stage *s)
{
	const struct lm_config *c = &s->lm->cfg;
	uint32_t most = least(SNPU_MAX_N / (c->hidden > c->ffn ? c->hidden : c->ffn), CHUNK_MAX);	/* ADD, SILU_MUL, COPY of all rows */
	uint64_t rows = LOGIT_BYTES / (4ull * c->vocab);

	most = least(SNPU_MAX_ROWS / c->heads, most);		/* ENCODE of all queries */
	s->chunk = least(s->opts.chunk ? s->opts.chunk : s->opts.tap || s->opts.profile ? TAP_CHUNK : CHUNK, most);
	s->logit_rows = rows ? least(rows, s->chunk) : 1;
}

/* dead: [n_devices]. *out is set also on errors, unless there is nothing. */
static int stage_create(struct snpu_lm *lm, const struct snpu_lm_ctx_opts *opts, const bool *dead, struct lm_stage **out)
{
	struct lm_stage *s = calloc(1, sizeof(*s));
	int err;

	*out = s;
	if (!s)
		return snpu_fail(-ENOMEM, "no memory for a placement");
	atomic_init(&s->refs, 1);
	pthread_mutex_init(&s->lock, NULL);
	atomic_fetch_add(&lm->others, 1);
	s->lm = lm;
	err = copy_options(s, opts);
	if (!err)
		err = open_targets(s);
	for (unsigned int t = 0; t + 1 < s->n_targets && !err; t++)
		s->target[t].dead |= dead[t];
	choose_chunk(s);
	s->place = calloc(lm_parts(lm), sizeof(*s->place));
	s->why = calloc(lm_parts(lm), sizeof(*s->why));
	if (!err && (!s->place || !s->why))
		err = snpu_fail(-ENOMEM, "no memory for a placement");
	if (!err)
		err = choose(s);
	if (!err)
		err = split(s);
	for (unsigned int i = 0; i < s->n_seg && !err; i++) {
		err = set_up(s, &s->seg[i]);
		if (lm_device_failed(err))
			s->target[s->seg[i].target].dead = true;
	}
	return err;
}

bool lm_device_failed(int err)
{
	return err == -ENODEV || err == -EIO || err == -ENOSPC;
}

/* A device that turns out to be full or gone while it is set up is done without. What was set up elsewhere goes before the next try. */
static int stage_retry(struct snpu_lm *lm, const struct snpu_lm_ctx_opts *opts, const struct snpu_target *lost, struct lm_stage **out)
{
	bool *dead = calloc(opts->n_devices + 1, sizeof(*dead));
	struct lm_stage *s = NULL;
	int err = dead ? 0 : snpu_fail(-ENOMEM, "no memory for a placement");

	for (unsigned int t = 0; t < opts->n_devices && lost && dead; t++)
		dead[t] = lost[t].dead;
	for (unsigned int tries = 0; dead && tries <= opts->n_devices; tries++) {
		err = stage_create(lm, opts, dead, &s);
		if (!err)
			break;
		for (unsigned int t = 0; lm_device_failed(err) && t < opts->n_devices; t++)
			dead[t] = s->target[t].dead;
		lm_stage_put(s);
		if (!lm_device_failed(err) || opts->require_device)
			break;
	}
	free(dead);
	if (!err)
		*out = s;
	return err;
}

int lm_stage_create(struct snpu_lm *lm, const struct snpu_lm_ctx_opts *opts, struct lm_stage **stage)
{
	return stage_retry(lm, opts, NULL, stage);
}

/* All that is on devices. First the queues: when they are gone, no device touches the buffers. */
static void release(struct lm_stage *s)
{
	for (unsigned int t = 0; s->lane && t < s->n_targets; t++)
		snpu_lane_close(&s->lane[t]);
	for (unsigned int i = 0; i < s->n_seg; i++)
		for (unsigned int r = 0; r < SNPU_REGION_COUNT; r++)
			snpu_region_free(&s->seg[i].region[r]);
}

int lm_stage_without(struct lm_stage *old, struct lm_stage **stage)
{
	int err = 0;

	pthread_mutex_lock(&old->lock);
	if (!old->next) {
		if (atomic_load(&old->refs) == 1)
			release(old);		/* nobody else's state lies there: its devices need the room */
		err = stage_retry(old->lm, &old->opts, old->target, &old->next);
	}
	if (!err)
		*stage = lm_stage_get(old->next);
	pthread_mutex_unlock(&old->lock);
	return err;
}

bool lm_stage_broken(struct lm_stage *s)
{
	bool broken = false;

	pthread_mutex_lock(&s->lock);
	for (unsigned int i = 0; i < s->n_seg; i++)
		broken |= s->target[s->seg[i].target].dead;
	pthread_mutex_unlock(&s->lock);
	return broken;
}

bool lm_stage_on_devices(const struct lm_stage *s)
{
	return s->n_seg > 1 || s->seg[0].target != (int)s->n_targets - 1;
}

int lm_stage_gone(const struct lm_stage *s)
{
	for (unsigned int i = 0; i < s->n_seg; i++) {
		struct snpu_device_info info = { .sz = sizeof(info) };

		if (snpu_device_info(s->target[s->seg[i].target].dev, &info))
			return s->seg[i].target;
	}
	return -1;
}

struct lm_stage *lm_stage_get(struct lm_stage *stage)
{
	atomic_fetch_add(&stage->refs, 1);
	return stage;
}

void lm_stage_put(struct lm_stage *s)
{
	if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	release(s);
	lm_stage_put(s->next);
	for (unsigned int i = 0; i < s->n_seg; i++)
		free(s->seg[i].tap);
	for (unsigned int t = 0; s->target && t < s->n_targets; t++)
		snpu_device_close(s->target[t].dev);
	for (unsigned int i = 0; s->opts.taps && i < s->opts.n_taps; i++)
		free((char *)s->opts.taps[i]);
	pthread_mutex_destroy(&s->lock);
	free((void *)s->opts.taps);
	free((void *)s->opts.devices);
	free(s->target);
	free(s->lane);
	free(s->place);
	free(s->why);
	free(s->seg);
	snpu_lm_free(s->lm);
	free(s);
}
