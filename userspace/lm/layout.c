/* SPDX-License-Identifier: MIT */
/*
 * Where a chunk's arrays lie in SCRATCH, INPUT and OUTPUT. Laid out for the longest chunk, so that programs of all lengths share
 * the buffers; most arrays are there for one layer and reused by the next. Pure functions.
 */
#include "lm/run.h"

static uint64_t take(uint64_t *at, uint64_t bytes)
{
	uint64_t from = *at;

	*at = lm_align(from + bytes, 64);
	return from;
}

void lm_layout_make(const struct lm_stage *stage, struct lm_segment *seg)
{
	const struct lm_config *c = &stage->lm->cfg;
	struct lm_layout *l = &seg->at;
	uint64_t rows = stage->chunk, row = 4 * rows, at = 0;
	uint32_t widest = c->hidden > c->ffn ? c->hidden : c->ffn, kvd = c->kv * c->d;

	*l = (struct lm_layout){ 0 };
	l->h = take(&at, row * c->hidden);
	l->x = take(&at, row * c->hidden);
	l->q = take(&at, row * c->hidden);
	l->k = take(&at, row * kvd);
	l->v = take(&at, row * kvd);
	l->g = take(&at, row * kvd);
	l->g0 = take(&at, row * LM_GATE_RANK);
	l->att = take(&at, row * c->hidden);
	l->a = take(&at, row * c->hidden);
	l->gate = take(&at, row * c->ffn);
	l->up = take(&at, row * c->ffn);
	if (stage->lm->form == SNPU_LM_SPIKE) {
		l->list = take(&at, row * SNPU_EVENTS_WORDS(widest));
		l->q_list = take(&at, row * c->heads * SNPU_EVENTS_WORDS(c->d));
	}
	l->scratch_size = at;
	at = 0;
	l->ids = take(&at, row);
	l->position = take(&at, row);
	l->hidden_in = take(&at, seg->first ? row * c->hidden : 0);
	l->input_size = at;
	at = 0;
	l->hidden_out = take(&at, seg->end < lm_parts(stage->lm) ? row * c->hidden : 0);
	if (seg->end == lm_parts(stage->lm)) {
		l->logits = take(&at, 4ull * stage->logit_rows * c->vocab);
		l->argmax = take(&at, 4ull * stage->logit_rows);
	}
	l->taps = at;
	l->output_size = at;
}
