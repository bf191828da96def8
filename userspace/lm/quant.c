/* SPDX-License-Identifier: MIT */
/*
 * From weights to integer codes: rint(w / scale) for each group of 128 inputs, as the original's fake quantisation does,
 * stored by input channel for 64 outputs at a time. Codes are never clamped: what int8 cannot hold becomes residual entries.
 * Pure but for the growing list of entries in struct lm_quant, which belongs to its caller.
 */
#include "lm/lm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CODE_MAX	(1 << 20)		/* beyond, nothing sensible can be meant */
#define ROUND		12582912.0f		/* 1.5 * 2^23: adding it rounds to a whole number, half to even, below 2^22 */

float lm_scale_max(const float *w)
{
	float m = 0.0f;

	for (uint32_t i = 0; i < SNPU_GROUP; i++)
		m = fabsf(w[i]) > m ? fabsf(w[i]) : m;
	return m / 127.0f > 0.0f ? m / 127.0f : 1.0f;	/* the least numbers have no 127th part */
}

static double scale_error(const float *w, const float *weight, float scale)
{
	double sum = 0.0;

	for (uint32_t i = 0; i < SNPU_GROUP; i++) {
		float code = (w[i] / scale + ROUND) - ROUND;
		double e;

		code = code > 127.0f ? 127.0f : code < -128.0f ? -128.0f : code;
		e = (double)(w[i] - code * scale);
		sum += e * e * (double)weight[i];
	}
	return sum;
}

float lm_scale_refined(const float *w, const float *weight)
{
	float full = lm_scale_max(w), best = full;
	double least = scale_error(w, weight, full);

	for (int step = 1; step <= 20; step++) {
		float scale = full * (1.0f - 0.01f * (float)step);
		double e = scale_error(w, weight, scale);

		if (e < least) {
			least = e;
			best = scale;
		}
	}
	return best;
}

static int add_entry(struct lm_quant *q, uint32_t channel, uint32_t output, int32_t code)
{
	while (code) {				/* a code far out takes several entries */
		int32_t part = code > 32767 ? 32767 : code < -32768 ? -32768 : code;

		if (q->n_residual == q->room) {
			size_t room = q->room ? 2 * q->room : 4096;
			void *list = reallocarray(q->residual, room, sizeof(*q->residual));

			if (!list)
				return snpu_fail(-ENOMEM, "no memory for %zu codes beyond int8", room);
			q->residual = list;
			q->room = room;
		}
		q->residual[q->n_residual++] = (struct snpu_residual){ (uint8_t)channel, (uint8_t)output, (int16_t)part };
		code -= part;
	}
	return 0;
}

/* Codes of one row of a group. */
static int quant_row(struct lm_quant *q, const float *w, float scale, int8_t *to, uint32_t output)
{
	for (uint32_t i = 0; i < SNPU_GROUP; i++) {
		float r = w[i] / scale;
		int32_t code, base;
		int err;

		if (!(fabsf(r) <= (float)CODE_MAX))
			return snpu_fail(isfinite(w[i]) ? -ERANGE : -EBADMSG, "weight %g with scale %g has no integer code; the checkpoint is damaged",
					 (double)w[i], (double)scale);
		code = (int32_t)((r + ROUND) - ROUND);
		base = code > 127 ? 127 : code < -128 ? -128 : code;
		to[(size_t)i * SNPU_TILE] = (int8_t)base;
		q->max_code = (uint32_t)abs(code) > q->max_code ? (uint32_t)abs(code) : q->max_code;
		err = code != base ? add_entry(q, i, output, code - base) : 0;
		if (err)
			return err;
	}
	return 0;
}

int lm_quant_tile(struct lm_quant *q, uint32_t tile, const float *w, const float *scales, uint32_t rows)
{
	uint32_t groups = q->n_in / SNPU_GROUP;
	int8_t *codes = q->codes + (size_t)tile * q->n_in * SNPU_TILE;		/* [n_in][64] */
	float *out = q->scales + (size_t)tile * groups * SNPU_TILE;		/* [groups][64] */

	q->n_residual = 0;
	for (uint32_t g = 0; g < groups; g++) {
		q->index[g] = (uint32_t)q->n_residual;
		for (uint32_t o = 0; o < rows; o++) {
			float scale = scales[(size_t)o * groups + g];
			int err;

			if (!(scale > 0.0f && isfinite(scale)))
				return snpu_fail(-EBADMSG, "scale %g of row %u, group %u is not positive; the checkpoint is damaged", (double)scale,
						 tile * SNPU_TILE + o, g);
			out[(size_t)g * SNPU_TILE + o] = scale;
			err = quant_row(q, w + (size_t)o * q->n_in + g * SNPU_GROUP, scale, codes + (size_t)g * SNPU_GROUP * SNPU_TILE + o, o);
			if (err)
				return err;
		}
	}
	return 0;
}

void lm_quant_free(struct lm_quant *q)
{
	free(q->residual);
	free(q->index);
	memset(q, 0, sizeof(*q));
}
