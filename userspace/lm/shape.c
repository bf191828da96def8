/* SPDX-License-Identifier: MIT */
/*
 * What a configuration means in numbers: which linear layers a decoder layer has, how many bytes their arrays take in the
 * image, where each layer's state lies. Pure functions, any thread.
 */
#include "lm/lm.h"

#include <string.h>

static const struct {
	const char *name;
	bool attn;
	unsigned int input;			/* 0 attention, 1 o, 2 MLP, 3 down */
} linears[LM_LINEARS] = {
	[LM_Q] = { "q_proj", true, 0 }, [LM_K] = { "k_proj", true, 0 }, [LM_V] = { "v_proj", true, 0 },
	[LM_GK0] = { "gk_proj.0", true, 0 }, [LM_GK] = { "gk_proj", true, 0 }, [LM_O] = { "o_proj", true, 1 },
	[LM_GATE] = { "gate_proj", false, 2 }, [LM_UP] = { "up_proj", false, 2 }, [LM_DOWN] = { "down_proj", false, 3 },
};

const char *lm_linear_name(enum lm_linear_id id)
{
	return linears[id].name;
}

bool lm_linear_in_attn(enum lm_linear_id id)
{
	return linears[id].attn;
}

const char *lm_input_name(unsigned int input)
{
	static const enum lm_linear_id first[LM_INPUTS] = { LM_Q, LM_O, LM_GATE, LM_DOWN };

	return linears[first[input]].name;
}

unsigned int lm_linear_input(enum lm_linear_id id)
{
	return linears[id].input;
}

static struct lm_linear linear(uint32_t n_in, uint32_t n_out, bool bias, bool spike)
{
	return (struct lm_linear){ .n_in = n_in, .n_out = n_out, .bias = bias, .spike = spike };
}

void lm_part_shape(const struct snpu_lm *lm, unsigned int p, struct lm_part *part)
{
	const struct lm_config *c = &lm->cfg;
	bool spike = lm->form == SNPU_LM_SPIKE;
	uint32_t kvd = c->kv * c->d;

	memset(part, 0, sizeof(*part));
	if (p == 0)
		return;
	if (p == c->layers + 1) {
		part->linear[LM_O] = linear(c->hidden, c->vocab, false, false);
		return;
	}
	part->linear[LM_Q] = linear(c->hidden, c->hidden, true, spike);
	part->linear[LM_K] = linear(c->hidden, kvd, true, spike);
	part->linear[LM_V] = linear(c->hidden, kvd, true, spike);
	if (c->gla[p - 1] && !spike)
		part->linear[LM_GK0] = linear(c->hidden, LM_GATE_RANK, false, false);
	if (c->gla[p - 1])
		part->linear[LM_GK] = linear(spike ? c->hidden : LM_GATE_RANK, kvd, true, spike);
	part->linear[LM_O] = linear(c->hidden, c->hidden, false, spike);
	part->linear[LM_GATE] = linear(c->hidden, c->ffn, false, spike);
	part->linear[LM_UP] = linear(c->hidden, c->ffn, false, spike);
	part->linear[LM_DOWN] = linear(c->ffn, c->hidden, false, spike && lm->down == SNPU_LM_DOWN_SPIKE);
}

void lm_state_layout(struct snpu_lm *lm)
{
	const struct lm_config *c = &lm->cfg;
	unsigned int flags = lm->form == SNPU_LM_SPIKE ? SNPU_KV_INT8 : 0;
	uint64_t at = 0;

	for (uint32_t l = 0; l < c->layers; l++) {
		uint64_t words = c->gla[l] ? (uint64_t)c->kv * c->d * c->d : SNPU_KV_WORDS(flags, c->kv, lm_slots(c), c->d);

		lm->state_at[l] = at;
		at = lm_align(at + 4 * words, 64);
	}
	lm->state_at[c->layers] = at;
}

uint64_t lm_weight_bytes(const struct lm_linear *l)
{
	if (l->spike)
		return (uint64_t)SNPU_TILES(l->n_out) * l->n_in * SNPU_TILE;
	return 4 * SNPU_MATRIX_WORDS(l->bf16 ? SNPU_WEIGHTS_BF16 : 0, l->n_out, l->n_in);
}

uint64_t lm_scale_bytes(const struct lm_linear *l)
{
	return l->spike ? (uint64_t)SNPU_TILES(l->n_out) * (l->n_in / SNPU_GROUP) * SNPU_TILE * 4 : 0;
}

uint64_t lm_residual_bytes(const struct lm_linear *l)
{
	return l->n_residual ? 4 * SNPU_RESIDUAL_WORDS(l->n_out, l->n_in / SNPU_GROUP, l->n_residual) : 0;
}

static bool array_ok(const struct lm_part *p, uint64_t at, uint64_t bytes, uint64_t align)
{
	return at % align == 0 && snpu_range_ok(at, bytes, p->size);
}

static bool linear_ok(const struct lm_part *p, const struct lm_linear *l)
{
	return array_ok(p, l->weights, lm_weight_bytes(l), 64) && array_ok(p, l->scales, lm_scale_bytes(l), 4) &&
	       array_ok(p, l->residual, lm_residual_bytes(l), 4) && array_ok(p, l->bias_at, l->bias ? 4ull * l->n_out : 0, 4);
}

/* Counts of a vector add up to no more than n (k + 1/2), unless its mean magnitude is above 10^4 k, and all may lie in one group. */
int lm_check_sums(const struct snpu_lm *lm, const struct lm_linear *l)
{
	double worst = (double)l->max_code * l->n_in * ((double)lm->cfg.k + 0.5);

	if (worst < 2147483648.0)
		return 0;
	return snpu_fail(-ERANGE, "codes up to %u times spikes of %u channels at k = %g do not fit into 32 bits; take a smaller k, or other scales",
			 l->max_code, l->n_in, (double)lm->cfg.k);
}

int lm_check_parts(const struct snpu_lm *lm)
{
	const struct lm_config *c = &lm->cfg;
	uint64_t end = 0;

	for (unsigned int i = 0; i < lm_parts(lm); i++) {
		const struct lm_part *p = &lm->part[i];
		bool ok = p->offset % LM_PAGE == 0 && p->offset >= end && snpu_range_ok(p->offset, p->size, lm->image_size);

		if (i == 0)
			ok = ok && array_ok(p, 0, 4 * SNPU_MATRIX_WORDS(p->bf16 ? SNPU_WEIGHTS_BF16 : 0, c->vocab, c->hidden), 4);
		for (unsigned int k = 0; k < LM_LINEARS && ok; k++)
			ok = !p->linear[k].n_out || linear_ok(p, &p->linear[k]);
		if (i > 0)
			ok = ok && array_ok(p, p->norm[0], 4ull * c->hidden, 4) && array_ok(p, p->norm[1], 4ull * c->hidden, 4);
		if (i > 0 && i <= c->layers)
			ok = ok && array_ok(p, p->g_norm, 4ull * c->d, 4) && array_ok(p, p->inv, 2ull * c->d, 4);
		if (!ok)
			return snpu_fail(-EBADMSG, "part %u of the converted model reaches outside of the file; convert it again", i);
		end = p->offset + p->size;
	}
	return 0;
}
