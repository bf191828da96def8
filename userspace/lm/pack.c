/* SPDX-License-Identifier: MIT */
/*
 * From a checkpoint to the image that devices execute: embedding, layers and head, one part after the other, each tensor
 * dropped when it is done, a piece of it in float32 at a time. Spiking layers become codes by input channel, scales and
 * residuals; the rest stays bf16 where that is exact, else binary32. One thread.
 */
#include "lm/lm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct snpu_ckpt_tensor *find(struct lm_pack *p, const char *fmt, uint32_t layer, const char *a, const char *b)
{
	char name[128];

	snprintf(name, sizeof(name), fmt, layer, a, b);
	return snpu_ckpt_find(p->ckpt, name);
}

static int progress(struct lm_pack *p, uint64_t bytes)
{
	p->done += bytes;
	if (p->opts->progress && p->opts->progress(p->opts->progress_arg, "packing", p->done, p->total))
		return snpu_fail(-ECANCELED, "packing was stopped after %llu of %llu bytes", (unsigned long long)p->done, (unsigned long long)p->total);
	return 0;
}

static int finished(struct lm_pack *p, const struct snpu_ckpt_tensor *t)
{
	snpu_ckpt_drop(p->ckpt, t);
	return progress(p, t->bytes);
}

/* --- vectors and float matrices --------------------------------------------------------------------------------------- */

/* A whole tensor as f32; finite, as everything that arithmetic starts from. */
static int put_f32(struct lm_pack *p, const struct lm_part *part, const struct snpu_ckpt_tensor *t, uint64_t *offset)
{
	uint64_t at;
	float *to;
	int err = lm_sink_take(p->sink, 4 * t->count, 64, &at);

	if (err)
		return err;
	to = (float *)(p->sink->base + at);
	*offset = at - part->offset;
	err = snpu_tensor_f32(t, 0, t->count, to);
	for (uint64_t i = 0; i < t->count && !err; i++)
		if (!isfinite(to[i]))
			err = snpu_fail(-EBADMSG, "tensor %s: element %llu is not finite; the checkpoint is damaged", t->name, (unsigned long long)i);
	return err ? err : finished(p, t);
}

#define PIECE	16384u				/* elements looked at in one go */

/* Is every number of the tensor a bf16 number? Also judges that all are finite. */
static int is_bf16(const struct snpu_ckpt_tensor *t, bool *yes)
{
	float buf[PIECE];

	*yes = true;
	for (uint64_t at = 0; at < t->count; at += PIECE) {
		uint64_t n = t->count - at < PIECE ? t->count - at : PIECE;
		int err = snpu_tensor_f32(t, at, n, buf);
		uint32_t low = 0, bits, finite = 1;

		if (err)
			return err;
		for (uint64_t i = 0; i < n; i++) {
			memcpy(&bits, &buf[i], sizeof(bits));
			low |= bits & 0xffff;
			finite &= (bits & 0x7f800000u) != 0x7f800000u;
		}
		if (!finite)
			return snpu_fail(-EBADMSG, "tensor %s holds numbers that are not finite; the checkpoint is damaged", t->name);
		*yes = *yes && !low;
	}
	return 0;
}

static int put_matrix(struct lm_pack *p, const struct lm_part *part, const struct snpu_ckpt_tensor *t, bool *bf16, uint64_t *offset)
{
	float buf[PIECE];
	uint64_t at;
	int err = is_bf16(t, bf16);

	if (!err)
		err = lm_sink_take(p->sink, lm_align(t->count * (*bf16 ? 2 : 4), 4), 64, &at);
	if (err)
		return err;
	*offset = at - part->offset;
	for (uint64_t i = 0; i < t->count && !err; i += PIECE) {
		uint64_t n = t->count - i < PIECE ? t->count - i : PIECE;
		uint16_t *half = (uint16_t *)(p->sink->base + at) + i;

		err = snpu_tensor_f32(t, i, n, *bf16 ? buf : (float *)(p->sink->base + at) + i);
		for (uint64_t k = 0; k < n && *bf16 && !err; k++) {
			uint32_t bits;

			memcpy(&bits, &buf[k], sizeof(bits));
			half[k] = (uint16_t)(bits >> 16);
		}
	}
	return err ? err : finished(p, t);
}

/* --- spiking layers --------------------------------------------------------------------------------------------------- */

/* Where rows of a weight matrix come from: a tensor, or the product of the gate's two factors, made beforehand. */
struct rows {
	const struct snpu_ckpt_tensor *w, *scales;	/* scales NULL: made from the weights */
	float *product;				/* [n_out][n_in] or NULL */
	const float *squares;			/* [n_in] mean squares of the inputs, or NULL */
};

static int gate_product(struct lm_pack *p, uint32_t layer, const struct lm_linear *l, struct rows *src)
{
	const struct snpu_ckpt_tensor *a = find(p, "model.layers.%u.attn.%s%s", layer, "gk_proj.0.weight", ""),
				 *b = find(p, "model.layers.%u.attn.%s%s", layer, "gk_proj.1.weight", "");
	float *in = malloc(a->count * 4), *out = malloc(b->count * 4);
	int err = 0;

	src->product = calloc((size_t)l->n_out * l->n_in, 4);
	if (!in || !out || !src->product)
		err = snpu_fail(-ENOMEM, "no memory for the gate of layer %u", layer);
	if (!err)
		err = snpu_tensor_f32(a, 0, a->count, in);
	if (!err)
		err = snpu_tensor_f32(b, 0, b->count, out);
	for (uint32_t o = 0; o < l->n_out && !err; o++)
		for (uint32_t r = 0; r < LM_GATE_RANK; r++)
			for (uint32_t i = 0; i < l->n_in; i++)
				src->product[(size_t)o * l->n_in + i] += out[o * LM_GATE_RANK + r] * in[(size_t)r * l->n_in + i];
	free(in);
	free(out);
	if (!err)
		err = finished(p, a);
	return err ? err : finished(p, b);
}

/* A scale for 128 weights. A refined one is chosen for codes that are limited to int8, so the weights are limited, too. */
static float make_scale(float *w, const float *squares)
{
	float scale = squares ? lm_scale_refined(w, squares) : lm_scale_max(w);

	for (uint32_t i = 0; i < SNPU_GROUP && squares; i++)
		w[i] = w[i] > 127.0f * scale ? 127.0f * scale : w[i] < -128.0f * scale ? -128.0f * scale : w[i];
	return scale;
}

/* 64 rows of weights and their scales, as f32. */
static int load_rows(const struct rows *src, const struct lm_linear *l, uint32_t first, uint32_t rows, float *w, float *scales)
{
	uint32_t groups = l->n_in / SNPU_GROUP;
	int err = 0;

	if (src->product)
		memcpy(w, src->product + (size_t)first * l->n_in, (size_t)rows * l->n_in * 4);
	else
		err = snpu_tensor_f32(src->w, (uint64_t)first * l->n_in, (uint64_t)rows * l->n_in, w);
	if (err || src->scales)
		return err ? err : snpu_tensor_f32(src->scales, (uint64_t)first * groups, (uint64_t)rows * groups, scales);
	for (uint32_t o = 0; o < rows; o++)
		for (uint32_t g = 0; g < groups; g++) {
			const float *squares = src->squares ? src->squares + g * SNPU_GROUP : NULL;

			scales[o * groups + g] = make_scale(w + (size_t)o * l->n_in + g * SNPU_GROUP, squares);
		}
	return 0;
}

/* Adds a tile's residual behind the image; the index of its groups goes to the place that was kept for it. */
static int put_residual(struct lm_pack *p, struct lm_linear *l, const struct lm_quant *q, uint64_t index_at, uint32_t tile)
{
	uint32_t groups = l->n_in / SNPU_GROUP, *index = (uint32_t *)(p->sink->base + index_at) + (size_t)tile * groups;
	uint64_t at, total = l->n_residual + (uint64_t)q->n_residual;
	int err = lm_sink_take(p->sink, q->n_residual * sizeof(*q->residual), 4, &at);

	if (err)
		return err;
	if (total > UINT32_MAX)
		return snpu_fail(-ERANGE, "more than %u codes of one layer are beyond int8; the scales cannot be right", UINT32_MAX);
	for (uint32_t g = 0; g < groups; g++)
		index[g] = l->n_residual + q->index[g];
	if (q->n_residual)
		memcpy(p->sink->base + at, q->residual, q->n_residual * sizeof(*q->residual));
	index[groups] = l->n_residual = (uint32_t)total;	/* the last tile's is the end */
	return 0;
}

static int quantise(struct lm_pack *p, struct lm_linear *l, const struct rows *src, struct lm_quant *q, uint64_t index_at)
{
	uint32_t groups = l->n_in / SNPU_GROUP;
	float *w = malloc(SNPU_TILE * (size_t)l->n_in * 4), *scales = malloc(SNPU_TILE * (size_t)groups * 4);
	int err = w && scales ? 0 : snpu_fail(-ENOMEM, "no memory for %u rows of %u weights", SNPU_TILE, l->n_in);

	for (uint32_t tile = 0; tile < SNPU_TILES(l->n_out) && !err; tile++) {
		uint32_t first = tile * SNPU_TILE, rows = l->n_out - first < SNPU_TILE ? l->n_out - first : SNPU_TILE;

		err = load_rows(src, l, first, rows, w, scales);
		if (!err)
			err = lm_quant_tile(q, tile, w, scales, rows);
		if (!err)
			err = put_residual(p, l, q, index_at, tile);
		if (!err && src->w)
			err = progress(p, rows * ((src->w->bytes + (src->scales ? src->scales->bytes : 0)) / l->n_out));
	}
	free(w);
	free(scales);
	l->max_code = q->max_code;
	return err ? err : lm_check_sums(p->lm, l);
}

static int put_spike(struct lm_pack *p, struct lm_part *part, struct lm_linear *l, const struct rows *src)
{
	uint32_t groups = l->n_in / SNPU_GROUP;
	struct lm_quant q = { .n_in = l->n_in, .n_out = l->n_out };
	uint64_t codes = 0, scales = 0, index = 0;
	int err = lm_sink_take(p->sink, lm_weight_bytes(l), 64, &codes);

	if (!err)
		err = lm_sink_take(p->sink, lm_scale_bytes(l), 64, &scales);
	if (!err)
		err = lm_sink_take(p->sink, 4 * ((uint64_t)SNPU_TILES(l->n_out) * groups + 1), 64, &index);
	q.index = calloc(groups, sizeof(*q.index));
	if (!err && !q.index)
		err = snpu_fail(-ENOMEM, "no memory for %u groups", groups);
	if (!err) {
		q.codes = (int8_t *)(p->sink->base + codes);
		q.scales = (float *)(p->sink->base + scales);
		err = quantise(p, l, src, &q, index);
	}
	if (!err && !l->n_residual)
		p->sink->size = index;		/* the usual case needs no index */
	l->weights = codes - part->offset;
	l->scales = scales - part->offset;
	l->residual = l->n_residual ? index - part->offset : 0;
	p->lm->residual += l->n_residual;
	lm_quant_free(&q);
	return err;
}

/* --- parts ------------------------------------------------------------------------------------------------------------ */

static int pack_spike(struct lm_pack *p, struct lm_part *part, uint32_t layer, enum lm_linear_id id, const struct snpu_ckpt_tensor *w)
{
	const char *dir = lm_linear_in_attn(id) ? "attn" : "mlp";
	struct lm_linear *l = &part->linear[id];
	struct rows src = { .w = w };
	int err = 0;

	if (w)
		src.scales = find(p, "model.layers.%u.%s.%s.weight_quantizer.scales", layer, dir, lm_linear_name(id));
	else
		err = gate_product(p, layer, l, &src);
	if (p->squares)
		src.squares = p->squares[LM_INPUTS * layer + lm_linear_input(id)];
	if (!err)
		err = put_spike(p, part, l, &src);
	if (!err && w)
		snpu_ckpt_drop(p->ckpt, w);
	free(src.product);
	return err;
}

static int pack_linear(struct lm_pack *p, struct lm_part *part, uint32_t layer, enum lm_linear_id id)
{
	const char *dir = lm_linear_in_attn(id) ? "attn" : "mlp";
	struct lm_linear *l = &part->linear[id];
	bool factors = id == LM_GK && find(p, "model.layers.%u.attn.%s%s", layer, "gk_proj.0.weight", "");
	const struct snpu_ckpt_tensor *w, *bias;
	int err;

	w = find(p, "model.layers.%u.%s.%s.weight", layer, dir, factors ? "gk_proj.1" : lm_linear_name(id));
	bias = find(p, "model.layers.%u.%s.%s.bias", layer, dir, factors ? "gk_proj.1" : lm_linear_name(id));
	if (l->spike)
		err = pack_spike(p, part, layer, id, factors ? NULL : w);
	else
		err = put_matrix(p, part, w, &l->bf16, &l->weights);
	return err || !l->bias ? err : put_f32(p, part, bias, &l->bias_at);
}

/* f32 [d / 2]: what the original computes in binary32, theta^(-2j/d). */
static int put_inv(struct lm_pack *p, struct lm_part *part)
{
	const struct lm_config *c = &p->lm->cfg;
	uint64_t at;
	int err = lm_sink_take(p->sink, 2ull * c->d, 64, &at);

	for (uint32_t j = 0; j < c->d / 2 && !err; j++) {
		float exponent = (float)(2 * j) / (float)c->d, power = (float)pow((double)c->rope_theta, (double)exponent);

		((float *)(p->sink->base + at))[j] = 1.0f / power;
	}
	part->inv = at - part->offset;
	return err;
}

static int pack_layer(struct lm_pack *p, struct lm_part *part, uint32_t layer)
{
	int err = put_f32(p, part, find(p, "model.layers.%u.%s%s", layer, "attn_norm.weight", ""), &part->norm[0]);

	if (!err)
		err = put_f32(p, part, find(p, "model.layers.%u.%s%s", layer, "mlp_norm.weight", ""), &part->norm[1]);
	if (!err && p->lm->cfg.gla[layer])
		err = put_f32(p, part, find(p, "model.layers.%u.%s%s", layer, "attn.g_norm.weight", ""), &part->g_norm);
	else if (!err)
		err = put_inv(p, part);
	for (unsigned int id = 0; id < LM_LINEARS && !err; id++)
		if (part->linear[id].n_out)
			err = pack_linear(p, part, layer, id);
	return err;
}

static int pack_part(struct lm_pack *p, unsigned int i)
{
	struct lm_part *part = &p->lm->part[i];
	const struct snpu_ckpt_tensor *table = snpu_ckpt_find(p->ckpt, "model.embeddings.weight");
	uint64_t at;
	int err;

	lm_part_shape(p->lm, i, part);
	err = lm_sink_take(p->sink, 0, LM_PAGE, &part->offset);
	if (err)
		return err;
	if (i == 0)
		err = put_matrix(p, part, table, &part->bf16, &at);
	else if (i <= p->lm->cfg.layers)
		err = pack_layer(p, part, i - 1);
	else
		err = put_f32(p, part, snpu_ckpt_find(p->ckpt, "model.norm.weight"), &part->norm[0]);
	if (!err && i == p->lm->cfg.layers + 1)
		err = put_matrix(p, part, p->lm->cfg.tied ? table : snpu_ckpt_find(p->ckpt, "lm_head.weight"), &part->linear[LM_O].bf16,
				 &part->linear[LM_O].weights);
	part->size = p->sink->size - part->offset;
	return err;
}

uint64_t lm_pack_bound(const struct snpu_lm *lm)
{
	uint64_t bytes = LM_PAGE;

	for (unsigned int i = 0; i < lm_parts(lm); i++) {
		struct lm_part part;

		lm_part_shape(lm, i, &part);
		bytes += LM_PAGE + 8ull * (lm->cfg.hidden + lm->cfg.d) + 1024;
		if (i == 0)
			bytes += 4ull * lm->cfg.vocab * lm->cfg.hidden;
		for (unsigned int id = 0; id < LM_LINEARS; id++)		/* every code may have a residual of a few entries */
			bytes += 12 * lm_align(part.linear[id].n_out, SNPU_TILE) * part.linear[id].n_in + 4ull * part.linear[id].n_out + 1024;
	}
	return bytes;
}

int lm_pack(struct lm_pack *p)
{
	const struct snpu_ckpt_tensor *t;
	int err = 0;

	for (size_t i = 0; (t = snpu_ckpt_tensor(p->ckpt, i)); i++)
		p->total += t->bytes;
	if (p->lm->cfg.tied)			/* packed twice, for the embedding and for the head */
		p->total += snpu_ckpt_find(p->ckpt, "model.embeddings.weight")->bytes;
	for (unsigned int i = 0; i < lm_parts(p->lm) && !err; i++)
		err = pack_part(p, i);
	if (!err)
		err = lm_sink_take(p->sink, 0, LM_PAGE, &p->lm->image_size);
	return err;
}
