/* SPDX-License-Identifier: MIT */
/*
 * The plain packets of language models: rows out of a table, the dense product, the norm, the rotation of positions, the
 * greatest element. All operands have been translated before, so what is computed is stored piece by piece. Engine's
 * thread; formulas as docs/numerics.md.
 */
#include "sim/engine.h"
#include "sim/engine_math.h"

/* Makes elements [first, first + n) of a matrix readable as binary32; n <= ENGINE_LANES. */
static int load_matrix(struct snpu_engine *e, unsigned int arg, bool bf16, uint64_t first, uint32_t n, float *tmp, const float **out)
{
	const void *p;
	const uint16_t *half;
	int r = engine_arg_view(e, arg, first * (bf16 ? 2 : 4), (bf16 ? 2ull : 4ull) * n, bf16 ? e->lane[11] : tmp, &p);

	*out = bf16 ? tmp : p;
	if (r || !bf16)
		return r;
	half = p;
	for (uint32_t i = 0; i < n; i++)
		tmp[i] = engine_bf16(half[i]);
	return 0;
}

/* --- GATHER -------------------------------------------------------------------------------------------------- */
enum { GATHER_INDEX, GATHER_TABLE, GATHER_OUT };

static int read_indices(struct snpu_engine *e, const struct snpu_pkt_GATHER *p, uint32_t *index)
{
	int r = engine_arg_read(e, GATHER_INDEX, 0, index, 4ull * p->rows);

	for (uint32_t i = 0; !r && i < p->rows; i++)
		if (index[i] >= p->table_rows)
			r = engine_bad_data(e, SNPU_FAULT_BAD_INDEX, GATHER_INDEX, 4ull * i);
	return r;
}

int engine_exec_GATHER(struct snpu_engine *e, const struct snpu_pkt_GATHER *p)
{
	uint32_t *index;			/* [rows] */
	int r = engine_room(e, ENGINE_BUF_X, p->rows, sizeof(*index), &index);

	if (!r)
		r = read_indices(e, p, index);
	for (uint32_t row = 0; !r && row < p->rows; row++)
		for (uint32_t i = 0, n; !r && i < p->n; i += n) {
			const float *x;

			n = engine_min(p->n - i, ENGINE_LANES);
			r = load_matrix(e, GATHER_TABLE, p->hdr.flags & SNPU_WEIGHTS_BF16, (uint64_t)index[row] * p->n + i, n,
					e->lane[0], &x);
			if (!r)
				r = engine_arg_write(e, GATHER_OUT, 4 * ((uint64_t)row * p->n + i), x, 4ull * n);
		}
	return r;
}

/* --- MATMUL -------------------------------------------------------------------------------------------------- */
enum { MATMUL_X, MATMUL_WEIGHTS, MATMUL_BIAS, MATMUL_OUT };

/* A few of the packet's vectors, as many as the card holds; the weights pass by once for all of them. */
struct matmul {
	const struct snpu_pkt_MATMUL *p;
	uint32_t first, rows;			/* vectors [first, first + rows) */
	float *x;				/* [rows][n_in] */
	float (*acc)[SUM16];			/* [rows] sums of the output being made */
	float (*out)[SNPU_TILE];		/* [rows] */
};

static void multiply(float *restrict acc, const float *restrict w, const float *restrict x, uint32_t n)
{
	float a[SUM16];
	uint32_t i = 0;

	memcpy(a, acc, sizeof(a));
	for (; i + SUM16 <= n; i += SUM16)
		for (unsigned int l = 0; l < SUM16; l++)
			a[l] = a[l] + w[i + l] * x[i + l];
	for (unsigned int l = 0; i + l < n; l++)
		a[l] = a[l] + w[i + l] * x[i + l];
	memcpy(acc, a, sizeof(a));
}

static int matmul_output(struct snpu_engine *e, const struct matmul *m, uint32_t o)
{
	const struct snpu_pkt_MATMUL *p = m->p;

	memset(m->acc, 0, m->rows * sizeof(*m->acc));
	for (uint32_t i = 0, n; i < p->n_in; i += n) {
		const float *w;
		int r;

		n = engine_min(p->n_in - i, ENGINE_LANES);
		r = load_matrix(e, MATMUL_WEIGHTS, p->hdr.flags & SNPU_WEIGHTS_BF16, (uint64_t)o * p->n_in + i, n, e->lane[0], &w);
		if (r)
			return r;
		for (uint32_t row = 0; row < m->rows; row++)
			multiply(m->acc[row], w, m->x + (uint64_t)row * p->n_in + i, n);
	}
	for (uint32_t row = 0; row < m->rows; row++)
		m->out[row][o % SNPU_TILE] = engine_sum16f(m->acc[row]);
	return 0;
}

static int matmul_tile(struct snpu_engine *e, const struct matmul *m, uint32_t first)
{
	const struct snpu_pkt_MATMUL *p = m->p;
	uint32_t n = engine_min(p->n_out - first, SNPU_TILE);
	bool biased = p->hdr.flags & SNPU_MATMUL_BIAS;
	int r = biased ? engine_arg_read(e, MATMUL_BIAS, 4ull * first, e->lane[1], 4ull * n) : 0;

	for (uint32_t o = 0; !r && o < n; o++)
		r = matmul_output(e, m, first + o);
	for (uint32_t row = 0; !r && row < m->rows; row++) {
		for (uint32_t o = 0; biased && o < n; o++)
			m->out[row][o] = m->out[row][o] + e->lane[1][o];
		r = engine_arg_write(e, MATMUL_OUT, 4 * ((uint64_t)(m->first + row) * p->n_out + first), m->out[row], 4ull * n);
	}
	return r;
}

int engine_exec_MATMUL(struct snpu_engine *e, const struct snpu_pkt_MATMUL *p)
{
	uint64_t rows = p->rows, block = engine_block(p->rows, p->n_in);
	struct matmul m = { .p = p };
	int r = engine_room(e, ENGINE_BUF_X, block * p->n_in, sizeof(*m.x), &m.x);

	if (!r)
		r = engine_room(e, ENGINE_BUF_ACC, block, sizeof(*m.acc), &m.acc);
	if (!r)
		r = engine_room(e, ENGINE_BUF_SUMS, block, sizeof(*m.out), &m.out);
	for (; !r && m.first < p->rows; m.first += m.rows) {
		m.rows = engine_min(p->rows - m.first, (uint32_t)block);
		r = engine_arg_read(e, MATMUL_X, 4ull * m.first * p->n_in, m.x, 4ull * m.rows * p->n_in);
		for (uint32_t o = 0; !r && o < p->n_out; o += SNPU_TILE)
			r = matmul_tile(e, &m, o);
		e->work.reuses += (m.rows - 1) * (e->args.arg[MATMUL_WEIGHTS].size / 64);
	}
	e->work.fmul += rows * p->n_in * p->n_out;
	e->work.fadd += rows * p->n_out * (p->n_in + (p->hdr.flags & SNPU_MATMUL_BIAS ? 1 : 0));
	e->work.lanes_busy += rows * p->n_in * SNPU_TILES((uint64_t)p->n_out);
	return r;
}

/* --- RMSNORM ------------------------------------------------------------------------------------------------- */
static float rms_scale(const float *x, uint32_t n, float eps)
{
	double a[SUM16] = { 0 };

	for (uint32_t i = 0; i < n; i++)
		a[i % SUM16] = a[i % SUM16] + (double)x[i] * x[i];
	return (float)(1.0 / __builtin_sqrt(engine_sum16(a) / n + eps));
}

int engine_exec_RMSNORM(struct snpu_engine *e, const struct snpu_pkt_RMSNORM *p)
{
	enum { X, WEIGHT, OUT };
	uint64_t bytes = 4ull * p->n, rows = p->rows;
	float *x, *weight, eps;			/* [n] */
	int r = engine_room(e, ENGINE_BUF_X, p->n, sizeof(*x), &x);

	memcpy(&eps, &p->eps, sizeof(eps));
	if (!r)
		r = engine_room(e, ENGINE_BUF_ACC, p->n, sizeof(*weight), &weight);
	if (!r)
		r = engine_arg_read(e, WEIGHT, 0, weight, bytes);
	for (uint32_t row = 0; !r && row < p->rows; row++) {
		r = engine_arg_read(e, X, row * bytes, x, bytes);
		if (r)
			break;

		float s = rms_scale(x, p->n, eps);

		for (uint32_t i = 0; i < p->n; i++)
			x[i] = (x[i] * s) * weight[i];
		r = engine_arg_write(e, OUT, row * bytes, x, bytes);
	}
	cost_float(&e->work, (struct engine_work){ .fmul = rows * 4 * p->n, .fadd = rows * (2ull * p->n + 2), .fdiv = rows * 6 });
	return r;
}

/* --- ROPE ---------------------------------------------------------------------------------------------------- */
enum { ROPE_POSITION, ROPE_INV, ROPE_X };

/* Rotates one vector, [2 * half], in place: in memory, that is. */
static int rotate(struct snpu_engine *e, uint32_t half, uint64_t vector, const float *c, const float *s)
{
	uint64_t bytes = 8ull * half;
	float *x = e->lane[0];
	int r = engine_arg_read(e, ROPE_X, vector * bytes, x, bytes);

	if (r)
		return r;
	for (uint32_t j = 0; j < half; j++) {
		float u = x[j], w = x[j + half];

		x[j] = (u * c[j]) - (w * s[j]);
		x[j + half] = (w * c[j]) + (u * s[j]);
	}
	return engine_arg_write(e, ROPE_X, vector * bytes, x, bytes);
}

int engine_exec_ROPE(struct snpu_engine *e, const struct snpu_pkt_ROPE *p)
{
	float *inv = e->lane[1], *c = e->lane[2], *s = e->lane[3];	/* [half] */
	uint64_t angles = (uint64_t)p->rows * p->half, pairs = angles * p->heads;
	int r = engine_arg_read(e, ROPE_INV, 0, inv, 4ull * p->half);

	for (uint32_t row = 0; !r && row < p->rows; row++) {
		uint32_t position;

		r = engine_arg_read(e, ROPE_POSITION, 4ull * row, &position, sizeof(position));
		for (uint32_t j = 0; !r && j < p->half; j++)
			engine_cos_sin((float)position * inv[j], &c[j], &s[j]);
		for (uint32_t h = 0; !r && h < p->heads; h++)
			r = rotate(e, p->half, (uint64_t)row * p->heads + h, c, s);
	}
	cost_float(&e->work, (struct engine_work){ .fmul = angles + 4 * pairs, .fadd = 2 * pairs, .fspecial = 2 * angles });
	return r;
}

/* --- ARGMAX -------------------------------------------------------------------------------------------------- */
enum { ARGMAX_X, ARGMAX_OUT };

static int argmax(struct snpu_engine *e, const struct snpu_pkt_ARGMAX *p, uint32_t row, uint32_t *best)
{
	float top = 0.0f;

	*best = 0;
	for (uint32_t i = 0, n; i < p->n; i += n) {
		const void *v;
		const float *x;
		int r;

		n = engine_min(p->n - i, ENGINE_LANES);
		r = engine_arg_view(e, ARGMAX_X, 4 * ((uint64_t)row * p->n + i), 4ull * n, e->lane[0], &v);
		if (r)
			return r;
		x = v;
		if (!i)
			top = x[0];
		for (uint32_t k = 0; k < n; k++)
			if (x[k] > top) {
				top = x[k];
				*best = i + k;
			}
	}
	return 0;
}

int engine_exec_ARGMAX(struct snpu_engine *e, const struct snpu_pkt_ARGMAX *p)
{
	int r = 0;

	for (uint32_t row = 0, best; !r && row < p->rows; row++) {
		r = argmax(e, p, row, &best);
		if (!r)
			r = engine_arg_write(e, ARGMAX_OUT, 4ull * row, &best, sizeof(best));
	}
	cost_float(&e->work, (struct engine_work){ .fcmp = (uint64_t)p->rows * p->n });
	return r;
}
