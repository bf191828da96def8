/* SPDX-License-Identifier: MIT */
/*
 * The reference of the packets of language models, beside "Language models" in docs/numerics.md: plain C, one rounding per
 * operator, compiled without vectorisation. Lists are private copies. Everything else may be memory that others write to
 * meanwhile, so no number read there is used as an index unless it is masked.
 */
#include "kernels/scalar_lm.h"

#include "kernels/lm_math.h"

/* --- spikes ---------------------------------------------------------------------------------------------------- */

uint64_t snpu_encode__scalar(const float *x, uint32_t n, float k, uint32_t *lists, uint32_t from, uint32_t to)
{
	uint64_t total = 0;

	for (uint32_t r = from; r < to; r++) {
		const float *row = x + (uint64_t)r * n;
		struct snpu_spikes *head = (void *)(lists + r * SNPU_EVENTS_WORDS(n));
		struct snpu_spike *spike = (void *)(head + 1);
		double m[SNPU_SUMS] = { 0 };
		uint32_t count = 0;
		float vth;

		for (uint32_t i = 0; i < n; i++)
			m[i % SNPU_SUMS] += fabsf(row[i]);
		vth = snpu_spike_vth(snpu_sum16_f64(m), n, k);
		for (uint32_t i = 0; i < n; i++) {
			int32_t s = snpu_spike_count(row[i], vth);

			if (s)
				spike[count++] = (struct snpu_spike){ i, s };
		}
		*head = (struct snpu_spikes){ count, vth };
		total += count;
	}
	return total;
}

/* acc[o] = the sums of one group for one tile; returns the row's entry after those of the group. */
static uint64_t spmv_group(const struct snpu_spmv_args *a, uint32_t tile, uint32_t group, uint64_t e, uint64_t end, uint32_t *acc)
{
	const int8_t *codes = a->weights + (uint64_t)tile * a->groups * SNPU_GROUP * SNPU_TILE;	/* [groups * 128][64] */
	uint64_t at = (uint64_t)tile * a->groups + group;
	uint32_t counts[SNPU_GROUP] = { 0 };

	for (uint32_t o = 0; o < SNPU_TILE; o++)
		acc[o] = 0;
	for (; e < end && a->in.spike[e].channel / SNPU_GROUP == group; e++) {
		uint32_t channel = a->in.spike[e].channel, count = (uint32_t)a->in.spike[e].count;

		counts[channel % SNPU_GROUP] = count;
		for (uint32_t o = 0; o < SNPU_TILE; o++)
			acc[o] += count * (uint32_t)codes[(uint64_t)channel * SNPU_TILE + o];
	}
	for (uint32_t i = a->index ? a->index[at] : 0; a->index && i < a->index[at + 1]; i++) {
		struct snpu_residual x = a->residual[i];

		acc[x.output % SNPU_TILE] += counts[x.channel % SNPU_GROUP] * (uint32_t)x.code;
	}
	return e;
}

void snpu_spmv__scalar(const struct snpu_spmv_args *a, uint32_t from, uint32_t to)
{
	for (uint32_t tile = from; tile < to; tile++) {
		uint32_t first = tile * SNPU_TILE, n = a->n_out - first < SNPU_TILE ? a->n_out - first : SNPU_TILE;
		const float *scale = a->scales + (uint64_t)tile * a->groups * SNPU_TILE;	/* [groups][64] */

		for (uint32_t r = 0; r < a->in.rows; r++) {
			float t[SNPU_TILE] = { 0 }, *out = a->out + (uint64_t)r * a->n_out + first;
			uint64_t e = a->in.first[r];

			for (uint32_t g = 0; g < a->groups; g++) {
				uint32_t acc[SNPU_TILE];

				e = spmv_group(a, tile, g, e, a->in.first[r + 1], acc);
				for (uint32_t o = 0; o < n; o++)
					t[o] = t[o] + (scale[(uint64_t)g * SNPU_TILE + o] * (float)(int32_t)acc[o]);
			}
			for (uint32_t o = 0; o < n; o++) {
				float y = a->in.vth[r] * t[o];

				out[o] = a->bias ? y + a->bias[first + o] : y;
			}
		}
	}
}

/* --- dense and elementwise ------------------------------------------------------------------------------------- */

static float weight(const void *w, uint64_t i, bool bf16)
{
	return bf16 ? snpu_bf16(((const uint16_t *)w)[i]) : ((const float *)w)[i];
}

void snpu_matmul__scalar(const struct snpu_matmul_args *a, uint32_t from, uint32_t to)
{
	for (uint32_t r = 0; r < a->rows; r++) {
		const float *x = a->x + (uint64_t)r * a->n_in;

		for (uint32_t o = from; o < to; o++) {
			float sum[SNPU_SUMS] = { 0 }, y;

			for (uint32_t i = 0; i < a->n_in; i++)
				sum[i % SNPU_SUMS] += weight(a->weights, (uint64_t)o * a->n_in + i, a->bf16) * x[i];
			y = snpu_sum16_f32(sum);
			a->out[(uint64_t)r * a->n_out + o] = a->bias ? y + a->bias[o] : y;
		}
	}
}

void snpu_silu_mul__scalar(const float *gate, const float *up, float *out, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		out[i] = snpu_silu(gate[i]) * up[i];
}

void snpu_rmsnorm__scalar(const float *x, const float *weights, float *out, uint32_t n, float eps, uint32_t from, uint32_t to)
{
	for (uint32_t r = from; r < to; r++) {
		const float *row = x + (uint64_t)r * n;
		double m[SNPU_SUMS] = { 0 };
		float s;

		for (uint32_t i = 0; i < n; i++)
			m[i % SNPU_SUMS] += (double)row[i] * (double)row[i];
		s = snpu_rms_factor(snpu_sum16_f64(m), n, eps);
		for (uint32_t i = 0; i < n; i++)
			out[(uint64_t)r * n + i] = (row[i] * s) * weights[i];
	}
}

/* --- gated linear attention ------------------------------------------------------------------------------------ */

/* One time step of one key-value head: its state [d][d], then its query heads. */
static void gla_step(const struct snpu_gla_args *a, uint32_t row, uint32_t h)
{
	uint64_t kv_at = ((uint64_t)row * a->kv + h) * a->d, q_at = kv_at * a->group;
	float *state = a->state + (uint64_t)h * a->d * a->d, z = snpu_head_factor(a->d);

	for (uint32_t i = 0; i < a->d; i++) {
		float decay = snpu_gla_decay(a->g[kv_at + i]), k = snpu_relu(a->k[kv_at + i]), *s = state + (uint64_t)i * a->d;

		for (uint32_t j = 0; j < a->d; j++)
			s[j] = (decay * s[j]) + (k * a->v[kv_at + j]);
	}
	for (uint32_t head = 0; head < a->group; head++) {
		const float *q = a->q + q_at + (uint64_t)head * a->d;
		float *out = a->out + q_at + (uint64_t)head * a->d;

		for (uint32_t j = 0; j < a->d; j++) {
			float o = 0.0f;

			for (uint32_t i = 0; i < a->d; i++)
				o = o + ((snpu_relu(q[i]) * z) * state[(uint64_t)i * a->d + j]);
			out[j] = o;
		}
	}
}

void snpu_gla__scalar(const struct snpu_gla_args *a, uint32_t from, uint32_t to)
{
	for (uint32_t h = from; h < to; h++)
		for (uint32_t row = 0; row < a->rows; row++)
			gla_step(a, row, h);
}

/* --- sliding-window attention ---------------------------------------------------------------------------------- */

/* Slot of key i, which are in ascending position. */
static uint32_t slot_of(const struct snpu_swa_args *a, uint32_t i)
{
	return (a->position - (a->keys - 1) + i) % a->slots;
}

static void scores_f32(const struct snpu_swa_args *a, uint32_t head, float *score)
{
	const float *q = a->q + (uint64_t)head * a->d, z = snpu_head_factor(a->d);
	const float *keys = (const float *)a->cache + snpu_kv_at(a->kv, a->slots, a->d, head / a->group, false);

	for (uint32_t i = 0; i < a->keys; i++) {
		const float *k = keys + (uint64_t)slot_of(a, i) * a->d;
		float sum[SNPU_SUMS] = { 0 };

		for (uint32_t c = 0; c < a->d; c++)
			sum[c % SNPU_SUMS] += q[c] * k[c];
		score[i] = snpu_sum16_f32(sum) * z;
	}
}

static void scores_int8(const struct snpu_swa_args *a, uint32_t head, float *score)
{
	const int8_t *keys = (const int8_t *)a->cache + snpu_kv_at(a->kv, a->slots, a->d, head / a->group, false);
	const float *scale = (const float *)a->cache + snpu_kv_scale_at(a->kv, a->slots, a->d, head / a->group, false);
	float z = snpu_head_factor(a->d);

	for (uint32_t i = 0; i < a->keys; i++) {
		const int8_t *codes = keys + (uint64_t)slot_of(a, i) * a->d;
		uint32_t dot = 0;

		for (uint64_t e = a->spikes.first[head]; e < a->spikes.first[head + 1]; e++)
			dot += (uint32_t)a->spikes.spike[e].count * (uint32_t)codes[a->spikes.spike[e].channel];
		score[i] = ((a->spikes.vth[head] * scale[slot_of(a, i)]) * z) * (float)(int32_t)dot;
	}
}

/* Scores become weights, before the division. */
static float softmax(float *score, uint32_t n)
{
	double t[SNPU_SUMS] = { 0 };
	float m = -INFINITY;

	for (uint32_t i = 0; i < n; i++)
		m = score[i] > m ? score[i] : m;
	for (uint32_t i = 0; i < n; i++) {
		score[i] = (float)snpu_exp64(score[i] - m);
		t[i % SNPU_SUMS] += score[i];
	}
	return (float)snpu_sum16_f64(t);
}

/* Value j of key i, without its scale. */
static float value(const struct snpu_swa_args *a, uint32_t h, uint32_t slot, uint32_t j)
{
	uint64_t at = snpu_kv_at(a->kv, a->slots, a->d, h, true) + (uint64_t)slot * a->d + j;

	return a->int8 ? (float)((const int8_t *)a->cache)[at] : ((const float *)a->cache)[at];
}

size_t snpu_swa_scratch__scalar(const struct snpu_swa_args *a)
{
	return a->keys * sizeof(float);
}

void snpu_swa__scalar(const struct snpu_swa_args *a, uint32_t from, uint32_t to)
{
	float *w = a->scratch, t;		/* [keys] */

	for (uint32_t head = from; head < to; head++) {
		uint32_t h = head / a->group;
		const float *scale = (const float *)a->cache + (a->int8 ? snpu_kv_scale_at(a->kv, a->slots, a->d, h, true) : 0);
		float *out = a->out + (uint64_t)head * a->d;

		if (a->int8)
			scores_int8(a, head, w);
		else
			scores_f32(a, head, w);
		t = softmax(w, a->keys);
		for (uint32_t i = 0; a->int8 && i < a->keys; i++)
			w[i] = w[i] * scale[slot_of(a, i)];
		for (uint32_t j = 0; j < a->d; j++) {
			float o = 0.0f;

			for (uint32_t i = 0; i < a->keys; i++)
				o = o + (w[i] * value(a, h, slot_of(a, i), j));
			out[j] = o / t;
		}
	}
}

/* --- packets without a table entry ----------------------------------------------------------------------------- */

void snpu_gather(const uint32_t *index, const void *table, float *out, uint32_t n, uint32_t rows, bool bf16)
{
	for (uint32_t r = 0; r < rows; r++)
		for (uint32_t i = 0; i < n; i++)
			out[(uint64_t)r * n + i] = weight(table, (uint64_t)index[r] * n + i, bf16);
}

void snpu_rope(const uint32_t *position, const float *inv, float *x, uint32_t half, uint32_t heads, uint32_t rows)
{
	for (uint32_t r = 0; r < rows; r++) {
		float *row = x + 2ull * r * heads * half;	/* [heads][2 * half] */

		for (uint32_t j = 0; j < half; j++) {
			float c, s;

			snpu_cos_sin((float)position[r] * inv[j], &c, &s);
			for (uint32_t h = 0; h < heads; h++) {
				float *a = row + 2ull * h * half + j, *b = a + half, u = *a, w = *b;

				*a = (u * c) - (w * s);
				*b = (w * c) + (u * s);
			}
		}
	}
}

/* Codes of one head's d channels; returns their scale. */
static float quantise(const float *x, int8_t *code, uint32_t d)
{
	float m = 0.0f, scale;

	for (uint32_t i = 0; i < d; i++)
		m = fabsf(x[i]) > m ? fabsf(x[i]) : m;
	scale = snpu_scale_limits(m / 127.0f);
	for (uint32_t i = 0; i < d; i++) {
		float q = rintf(x[i] / scale);

		code[i] = q != q ? 0 : q < -128.0f ? -128 : q > 127.0f ? 127 : (int8_t)q;
	}
	return scale;
}

void snpu_kv_append(const float *k, const float *v, uint32_t position, void *cache, uint32_t kv, uint32_t d, uint32_t slots, bool int8)
{
	uint32_t slot = position % slots;

	for (uint32_t part = 0; part < 2; part++) {
		const float *x = part ? v : k;

		for (uint32_t h = 0; h < kv; h++, x += d) {
			uint64_t at = snpu_kv_at(kv, slots, d, h, part) + (uint64_t)slot * d;

			if (int8)
				((float *)cache)[snpu_kv_scale_at(kv, slots, d, h, part) + slot] = quantise(x, (int8_t *)cache + at, d);
			else
				memcpy((float *)cache + at, x, d * sizeof(*x));
		}
	}
}

void snpu_argmax(const float *x, uint32_t *out, uint32_t n, uint32_t rows)
{
	for (uint32_t r = 0; r < rows; r++) {
		const float *row = x + (uint64_t)r * n;
		float best = row[0];

		out[r] = 0;
		for (uint32_t i = 1; i < n; i++) {
			float v = row[i];

			if (v > best) {
				best = v;
				out[r] = i;
			}
		}
	}
}
