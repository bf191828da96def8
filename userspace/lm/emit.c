/* SPDX-License-Identifier: MIT */
/*
 * Programs: the packets of a segment for a number of tokens. All packets but KV_APPEND and SWA take the whole chunk at once;
 * those two are looped over its tokens, because the cache is a ring that later tokens overwrite. What is tapped is copied to
 * OUTPUT right where it is computed; spike lists that somebody wants to see are made there in the first place.
 *
 * Runs when a length is seen for the first time, under the stage's lock.
 */
#include "lm/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct emit {
	struct lm_stage *s;
	struct lm_segment *seg;
	const struct lm_config *c;
	const struct lm_layout *at;
	struct snpu_prog prog;
	uint64_t rows;				/* tokens */
	enum snpu_lm_logits which;
	uint32_t window;
	uint64_t weights;			/* of the part, in WEIGHTS */
	uint64_t state;				/* of the layer, in STATE */
	bool collect;				/* first pass: taps are noted, not looked up */
	unsigned int next_tap;
	int err;
};

static struct snpu_ref scratch(uint64_t at)
{
	return snpu_ref(SNPU_REGION_SCRATCH, at);
}

static struct snpu_ref weight(const struct emit *e, uint64_t at)
{
	return snpu_ref(SNPU_REGION_WEIGHTS, e->weights + at);
}

static uint32_t bits_of(float f)
{
	uint32_t bits;

	memcpy(&bits, &f, sizeof(bits));
	return bits;
}

/* --- taps ---------------------------------------------------------------------------------------------------------------- */

/* A place in OUTPUT for an array of this name, NULL when nobody wants it. */
static const struct lm_tap *tap(struct emit *e, struct lm_tap want)
{
	struct lm_tap *list;
	uint64_t words = want.list ? SNPU_EVENTS_WORDS(want.n) : want.n;
	char vth[LM_TAP_NAME];

	if (!e->collect) {
		const struct lm_tap *t = &e->seg->tap[e->next_tap];

		if (e->next_tap >= e->seg->n_taps || strcmp(t->name, want.name) || t->list != want.list)
			return NULL;		/* taps come in the order they were noted in */
		e->next_tap++;
		return t;
	}
	lm_tap_vth(want.name, vth);
	want.wanted = e->s->opts.tap && (lm_tap_wanted(&e->s->opts, want.name) || (want.list && lm_tap_wanted(&e->s->opts, vth)));
	if (!want.wanted && !(want.stat >= 0 && e->s->opts.profile))
		return NULL;
	list = reallocarray(e->seg->tap, e->seg->n_taps + 1, sizeof(*list));
	if (!list) {
		e->err = snpu_fail(-ENOMEM, "no memory for %u taps", e->seg->n_taps + 1);
		return NULL;
	}
	want.at = e->seg->at.output_size;
	e->seg->at.output_size = lm_align(want.at + 4 * words * want.per_row * e->s->chunk, 64);
	e->seg->tap = list;
	list[e->seg->n_taps++] = want;
	return NULL;
}

__attribute__((format(printf, 2, 3))) static struct lm_tap tap_name(unsigned int layer, const char *fmt, ...)
{
	struct lm_tap t = { .layer = layer, .per_row = 1, .stat = -1 };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t.name, sizeof(t.name), fmt, ap);
	va_end(ap);
	return t;
}

/* Copies f32 [rows][n] at `from`. */
static void tap_rows(struct emit *e, struct lm_tap want, struct snpu_ref from, uint32_t n, uint64_t rows)
{
	const struct lm_tap *t;

	want.n = n;
	t = tap(e, want);
	if (t)
		snpu_emit(&e->prog, COPY, .src = from, .dst = snpu_ref(SNPU_REGION_OUTPUT, t->at), .words = (uint32_t)(rows * n));
}

/* --- linear layers -------------------------------------------------------------------------------------------------------- */

/* Spikes of one of a layer's inputs; the reference to its lists. */
static struct snpu_ref encode(struct emit *e, unsigned int layer, unsigned int input, uint64_t x, uint32_t n)
{
	struct lm_tap want = tap_name(layer, "lin.%u.%s.count", layer, lm_input_name(input));
	struct snpu_ref list = scratch(e->at->list);
	const struct lm_tap *t;

	tap_rows(e, tap_name(layer, "lin.%u.%s.x", layer, lm_input_name(input)), scratch(x), n, e->rows);
	want.list = true;
	want.n = n;
	want.stat = (int)input;
	t = tap(e, want);
	if (t)
		list = snpu_ref(SNPU_REGION_OUTPUT, t->at);
	snpu_emit(&e->prog, ENCODE, .x = scratch(x), .spikes = list, .n = n, .rows = (uint32_t)e->rows, .k = bits_of(e->c->k));
	return list;
}

/* A linear layer from f32 rows at `x`, or from spike lists. */
static void linear(struct emit *e, unsigned int part, enum lm_linear_id id, uint64_t x, struct snpu_ref list, uint64_t out)
{
	const struct lm_linear *l = &e->s->lm->part[part].linear[id];
	struct snpu_ref bias = l->bias ? weight(e, l->bias_at) : (struct snpu_ref){ 0 };

	if (l->spike)
		snpu_emit(&e->prog, SPMV, .hdr.flags = (uint8_t)((l->bias ? SNPU_SPMV_BIAS : 0) | (l->n_residual ? SNPU_SPMV_RESIDUAL : 0) |
						       (e->s->opts.bit_serial ? SNPU_SPMV_BIT_SERIAL : 0)),
			  .spikes = list, .weights = weight(e, l->weights), .scales = weight(e, l->scales),
			  .residual = l->n_residual ? weight(e, l->residual) : (struct snpu_ref){ 0 }, .bias = bias, .out = scratch(out),
			  .groups = l->n_in / SNPU_GROUP, .n_out = l->n_out, .rows = (uint32_t)e->rows, .n_residual = l->n_residual);
	else
		snpu_emit(&e->prog, MATMUL, .hdr.flags = (uint8_t)((l->bias ? SNPU_MATMUL_BIAS : 0) | (l->bf16 ? SNPU_WEIGHTS_BF16 : 0)),
			  .x = scratch(x), .weights = weight(e, l->weights), .bias = bias, .out = scratch(out), .n_in = l->n_in, .n_out = l->n_out,
			  .rows = (uint32_t)e->rows);
	if (part <= e->c->layers)
		tap_rows(e, tap_name(part - 1, "lin.%u.%s.y", part - 1, lm_linear_name(id)), scratch(out), l->n_out, e->rows);
}

static void norm(struct emit *e, uint64_t x, uint64_t weights, uint64_t out, uint32_t n, uint64_t rows)
{
	snpu_emit(&e->prog, RMSNORM, .x = scratch(x), .weight = weight(e, weights), .out = scratch(out), .n = n, .rows = (uint32_t)rows,
		  .eps = bits_of(e->c->eps));
}

/* --- attention -------------------------------------------------------------------------------------------------------------- */

static void gla(struct emit *e, unsigned int part)
{
	const struct lm_config *c = e->c;
	const struct lm_layout *at = e->at;

	snpu_emit(&e->prog, GLA_STEP, .q = scratch(at->q), .k = scratch(at->k), .v = scratch(at->v), .g = scratch(at->g),
		  .state = snpu_ref(SNPU_REGION_STATE, e->state), .out = scratch(at->a), .kv = c->kv, .group = c->heads / c->kv, .d = c->d,
		  .rows = (uint32_t)e->rows);
	norm(e, at->a, e->s->lm->part[part].g_norm, at->att, c->d, e->rows * c->heads);
}

static void rope(struct emit *e, unsigned int part, uint64_t x, uint32_t heads)
{
	snpu_emit(&e->prog, ROPE, .position = snpu_ref(SNPU_REGION_INPUT, e->at->position), .inv = weight(e, e->s->lm->part[part].inv),
		  .x = scratch(x), .half = e->c->d / 2, .heads = heads, .rows = (uint32_t)e->rows);
}

/* Spikes of the rotated queries, one list a head. */
static struct snpu_ref encode_queries(struct emit *e, unsigned int layer)
{
	struct lm_tap want = tap_name(layer, "attn.%u.q_count", layer);
	struct snpu_ref list = scratch(e->at->q_list);
	const struct lm_tap *t;

	want.list = true;
	want.n = e->c->d;
	want.per_row = e->c->heads;
	t = tap(e, want);
	if (t)
		list = snpu_ref(SNPU_REGION_OUTPUT, t->at);
	snpu_emit(&e->prog, ENCODE, .x = scratch(e->at->q), .spikes = list, .n = e->c->d, .rows = (uint32_t)e->rows * e->c->heads,
		  .k = bits_of(LM_QUERY_K));
	return list;
}

static void swa(struct emit *e, unsigned int part)
{
	const struct lm_config *c = e->c;
	const struct lm_layout *at = e->at;
	bool spike = e->s->lm->form == SNPU_LM_SPIKE;
	uint32_t kv_step = 4 * c->kv * c->d, row = 4 * c->hidden;
	struct snpu_ref q = scratch(at->q), cache = snpu_ref(SNPU_REGION_STATE, e->state);
	struct snpu_ref position = snpu_ref_step(SNPU_REGION_INPUT, at->position, 4);

	rope(e, part, at->q, c->heads);
	rope(e, part, at->k, c->kv);
	if (spike)
		q = encode_queries(e, part - 1);
	q.stride[0] = spike ? 4 * c->heads * (uint32_t)SNPU_EVENTS_WORDS(c->d) : row;
	snpu_emit(&e->prog, LOOP, .count = (uint32_t)e->rows);
	snpu_emit(&e->prog, KV_APPEND, .hdr.flags = spike ? SNPU_KV_INT8 : 0, .k = snpu_ref_step(SNPU_REGION_SCRATCH, at->k, kv_step),
		  .v = snpu_ref_step(SNPU_REGION_SCRATCH, at->v, kv_step), .position = position, .cache = cache, .kv = c->kv, .d = c->d,
		  .slots = lm_slots(c));
	snpu_emit(&e->prog, SWA, .hdr.flags = spike ? SNPU_KV_INT8 : 0, .q = q, .cache = cache, .position = position,
		  .out = snpu_ref_step(SNPU_REGION_SCRATCH, at->att, row), .kv = c->kv, .group = c->heads / c->kv, .d = c->d, .slots = lm_slots(c),
		  .window = e->window);
	snpu_emit(&e->prog, NEXT);
}

/* --- parts -------------------------------------------------------------------------------------------------------------------- */

static void add(struct emit *e, uint64_t a)
{
	snpu_emit(&e->prog, ADD, .a = scratch(e->at->h), .b = scratch(a), .out = scratch(e->at->h), .n = (uint32_t)(e->rows * e->c->hidden));
}

static void attention(struct emit *e, unsigned int part)
{
	const struct lm_linear *l = e->s->lm->part[part].linear;
	const struct lm_layout *at = e->at;
	struct snpu_ref list = { 0 };

	norm(e, at->h, e->s->lm->part[part].norm[0], at->x, e->c->hidden, e->rows);
	if (l[LM_Q].spike)
		list = encode(e, part - 1, 0, at->x, e->c->hidden);
	linear(e, part, LM_Q, at->x, list, at->q);
	linear(e, part, LM_K, at->x, list, at->k);
	linear(e, part, LM_V, at->x, list, at->v);
	if (l[LM_GK0].n_out)
		linear(e, part, LM_GK0, at->x, list, at->g0);
	if (l[LM_GK].n_out)
		linear(e, part, LM_GK, at->g0, list, at->g);
	if (e->c->gla[part - 1])
		gla(e, part);
	else
		swa(e, part);
	if (l[LM_O].spike)
		list = encode(e, part - 1, 1, at->att, e->c->hidden);
	linear(e, part, LM_O, at->att, list, at->a);
	tap_rows(e, tap_name(part - 1, "attn_out.%u", part - 1), scratch(at->a), e->c->hidden, e->rows);
	add(e, at->a);
}

static void mlp(struct emit *e, unsigned int part)
{
	const struct lm_linear *l = e->s->lm->part[part].linear;
	const struct lm_layout *at = e->at;
	struct snpu_ref list = { 0 };

	norm(e, at->h, e->s->lm->part[part].norm[1], at->x, e->c->hidden, e->rows);
	if (l[LM_GATE].spike)
		list = encode(e, part - 1, 2, at->x, e->c->hidden);
	linear(e, part, LM_GATE, at->x, list, at->gate);
	linear(e, part, LM_UP, at->x, list, at->up);
	snpu_emit(&e->prog, SILU_MUL, .gate = scratch(at->gate), .up = scratch(at->up), .out = scratch(at->gate), .n = (uint32_t)(e->rows * e->c->ffn));
	if (l[LM_DOWN].spike)
		list = encode(e, part - 1, 3, at->gate, e->c->ffn);
	linear(e, part, LM_DOWN, at->gate, list, at->a);
	tap_rows(e, tap_name(part - 1, "mlp_out.%u", part - 1), scratch(at->a), e->c->hidden, e->rows);
	add(e, at->a);
}

static void head(struct emit *e, unsigned int part)
{
	const struct lm_linear *l = &e->s->lm->part[part].linear[LM_O];
	uint32_t n = e->c->hidden, rows = e->which == SNPU_LM_ALL ? (uint32_t)e->rows : 1;
	uint64_t last = e->at->h + 4ull * n * (e->rows - rows);
	struct lm_tap normed = tap_name(~0u, "final_norm");

	tap_rows(e, tap_name(~0u, "final_prenorm"), scratch(e->at->h), n, e->rows);
	if (e->which == SNPU_LM_NONE)
		return;
	norm(e, last, e->s->lm->part[part].norm[0], e->at->x, n, rows);
	normed.last_only = true;
	tap_rows(e, normed, scratch(e->at->x), n, rows);
	snpu_emit(&e->prog, MATMUL, .hdr.flags = l->bf16 ? SNPU_WEIGHTS_BF16 : 0, .x = scratch(e->at->x), .weights = weight(e, l->weights),
		  .out = snpu_ref(SNPU_REGION_OUTPUT, e->at->logits), .n_in = n, .n_out = l->n_out, .rows = rows);
	snpu_emit(&e->prog, ARGMAX, .x = snpu_ref(SNPU_REGION_OUTPUT, e->at->logits), .out = snpu_ref(SNPU_REGION_OUTPUT, e->at->argmax),
		  .n = l->n_out, .rows = rows);
}

static void emit_part(struct emit *e, unsigned int part)
{
	const struct lm_part *p = &e->s->lm->part[part];
	uint64_t state_at;

	e->prog.slot = e->s->opts.profile ? (uint16_t)(part - e->seg->first) : 0;
	e->weights = p->offset - e->s->lm->part[e->seg->first].offset;
	if (part == 0) {
		snpu_emit(&e->prog, GATHER, .hdr.flags = p->bf16 ? SNPU_WEIGHTS_BF16 : 0, .index = snpu_ref(SNPU_REGION_INPUT, e->at->ids),
			  .table = weight(e, 0), .out = scratch(e->at->h), .table_rows = e->c->vocab, .n = e->c->hidden, .rows = (uint32_t)e->rows);
		return;
	}
	if (part > e->c->layers) {
		head(e, part);
		return;
	}
	lm_segment_state(e->s, e->seg, &state_at);
	e->state = e->s->lm->state_at[part - 1] - state_at;
	tap_rows(e, tap_name(part - 1, "layer_in.%u", part - 1), scratch(e->at->h), e->c->hidden, e->rows);
	attention(e, part);
	mlp(e, part);
}

static int emit_all(struct emit *e)
{
	uint32_t words = (uint32_t)(e->rows * e->c->hidden);

	snpu_prog_init(&e->prog);
	if (e->seg->first)
		snpu_emit(&e->prog, COPY, .src = snpu_ref(SNPU_REGION_INPUT, e->at->hidden_in), .dst = scratch(e->at->h), .words = words);
	for (unsigned int part = e->seg->first; part < e->seg->end; part++)
		emit_part(e, part);
	if (e->seg->end < lm_parts(e->s->lm))
		snpu_emit(&e->prog, COPY, .src = scratch(e->at->h), .dst = snpu_ref(SNPU_REGION_OUTPUT, e->at->hidden_out), .words = words);
	return e->err ? e->err : snpu_prog_end(&e->prog);
}

static struct emit emitter(struct lm_stage *stage, struct lm_segment *seg, uint32_t rows, enum snpu_lm_logits which)
{
	return (struct emit){ .s = stage, .seg = seg, .c = &stage->lm->cfg, .at = &seg->at, .rows = rows, .which = which };
}

int lm_program_taps(struct lm_stage *stage, struct lm_segment *seg)
{
	struct emit e = emitter(stage, seg, 1, SNPU_LM_ALL);
	int err;

	if (!stage->opts.tap && !stage->opts.profile)
		return 0;
	e.window = 1;
	e.collect = true;
	err = emit_all(&e);
	snpu_prog_free(&e.prog);
	return err;
}

#define NARROW	16				/* in a variant's key, above enum snpu_lm_logits: the window is an operand of a few packets */

int lm_program(struct lm_stage *stage, struct lm_segment *seg, uint32_t rows, enum snpu_lm_logits which, uint32_t window)
{
	struct snpu_region_mem *r = &seg->region[SNPU_REGION_PROGRAM];
	unsigned int key = which | (window == stage->lm->cfg.window ? NARROW : 0);
	struct emit e = emitter(stage, seg, rows, which);
	int err;

	for (unsigned int i = 0; i < seg->n_variants; i++) {
		if (seg->variant[i].rows == rows && seg->variant[i].key == key) {
			seg->entry = seg->variant[i].entry;
			return 0;
		}
	}
	e.window = window;
	err = emit_all(&e);
	if (!err && (seg->n_variants == LM_VARIANTS || seg->program_size + e.prog.size > r->size)) {
		seg->n_variants = 0;		/* nothing runs now: begin anew */
		seg->program_size = 0;
		err = snpu_region_need(&stage->target[seg->target], &stage->lane[seg->target], r, LM_VARIANTS * e.prog.size, 0);
	}
	if (!err) {
		seg->entry = (uint32_t)seg->program_size;
		memcpy((uint8_t *)r->map + seg->entry, e.prog.data, e.prog.size);
		seg->program_size += e.prog.size;
		seg->variant[seg->n_variants++] = (struct lm_variant){ rows, key, seg->entry };
	}
	snpu_prog_free(&e.prog);
	return err;
}
