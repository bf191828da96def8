/* SPDX-License-Identifier: MIT */
/*
 * Elementwise packets and neuron updates, in pieces of up to 1024 elements: bring the inputs, compute into buffers, store.
 * An output may lie exactly on an input because a piece is read before it is stored. Engine's thread; every line of
 * arithmetic is a line of the table in docs/numerics.md.
 */
#include <math.h>

#include "sim/engine.h"
#include "sim/engine_math.h"

#define MAX_VECTORS	12u			/* inputs of a packet: x, up to 2 states, up to 7 parameters and 2 more that flags ask for */

/* Where the piece being computed lies. */
struct piece {
	const float *in[MAX_VECTORS];		/* [n] each: x, states, parameters */
	float *out;				/* [n] */
	uint32_t n;
	uint8_t flags;				/* of the packet */
	uint64_t spikes;
};

/* Makes the piece [first, first + n) of row `row` of operand arg readable as in[slot]. */
static int load(struct snpu_engine *e, struct piece *c, unsigned int slot, unsigned int arg, uint64_t row, uint32_t total,
		uint32_t first)
{
	const void *p;
	int r = engine_arg_view(e, arg, 4 * (row * total + first), 4ull * c->n, e->lane[slot], &p);

	c->in[slot] = p;
	return r;
}

/* --- elementwise --------------------------------------------------------------------------------------------- */
static int elementwise(struct snpu_engine *e, uint32_t n, void (*op)(struct piece *))
{
	enum { A, B, OUT };
	struct piece c = { .out = e->lane[2] };

	for (uint32_t i = 0; i < n; i += c.n) {
		int r;

		c.n = engine_min(n - i, ENGINE_LANES);
		r = load(e, &c, 0, A, 0, n, i);
		if (!r)
			r = load(e, &c, 1, B, 0, n, i);
		if (r)
			return r;
		op(&c);
		r = engine_arg_write(e, OUT, 4ull * i, c.out, 4ull * c.n);
		if (r)
			return r;
	}
	e->work.lanes_busy += SNPU_TILES((uint64_t)n);
	return 0;
}

static void op_add(struct piece *c)
{
	for (uint32_t i = 0; i < c->n; i++)
		c->out[i] = c->in[0][i] + c->in[1][i];
}

static void op_scale(struct piece *c)
{
	for (uint32_t i = 0; i < c->n; i++)
		c->out[i] = c->in[0][i] * c->in[1][i];
}

static void op_silu_mul(struct piece *c)
{
	for (uint32_t i = 0; i < c->n; i++) {
		double gate = c->in[0][i];
		float e = (float)(gate / (1.0 + engine_exp64(-gate)));

		c->out[i] = e * c->in[1][i];
	}
}

int engine_exec_ADD(struct snpu_engine *e, const struct snpu_pkt_ADD *p)
{
	e->work.fadd += p->n;
	return elementwise(e, p->n, op_add);
}

int engine_exec_SCALE(struct snpu_engine *e, const struct snpu_pkt_SCALE *p)
{
	e->work.fmul += p->n;
	return elementwise(e, p->n, op_scale);
}

int engine_exec_SILU_MUL(struct snpu_engine *e, const struct snpu_pkt_SILU_MUL *p)
{
	/* elementwise() has counted one cycle a tile already, that of the last multiplication. */
	cost_float(&e->work, (struct engine_work){ .fadd = 2ull * p->n, .fdiv = 2ull * p->n, .fspecial = p->n });
	e->work.fmul += p->n;
	return elementwise(e, p->n, op_silu_mul);
}

/* --- neurons: lane[0..11] inputs, lane[12] new v or only output, lane[13] new i or output --------------------- */
struct neuron {
	uint8_t states, params;
	bool threshold;				/* its outputs are spikes */
	uint8_t fadd, fmul;			/* per neuron, without the reset */
	void (*update)(struct piece *c, float *v_new, float *i_new);
};

static bool fires(float v, float threshold, uint8_t flags)
{
	return flags & SNPU_NEURON_GE ? v >= threshold : v > threshold;
}

/* How often a neuron fires at v. in: [threshold, reset, (most), (floor)] of the piece. */
static float count_spikes(const struct piece *c, const float *const *in, uint32_t i, float v)
{
	float n, most;

	if (!fires(v, in[0][i], c->flags))
		return 0.0f;
	if (!(c->flags & SNPU_NEURON_MULTI))
		return 1.0f;
	n = truncf(v / in[0][i]);
	most = in[2][i];
	if (!(n > 1.0f))
		n = 1.0f;
	return n < most ? n : most;
}

static float reset(const struct piece *c, const float *const *in, uint32_t i, float v, float n)
{
	uint8_t mode = c->flags & SNPU_NEURON_RESET_MASK;

	if (n == 0.0f)
		return v;
	if (mode == SNPU_NEURON_RESET_VALUE)
		return in[1][i];
	return v - (n * (mode == SNPU_NEURON_RESET_DELTA ? in[0][i] - in[1][i] : in[0][i]));
}

/* The end of every firing neuron: returns what v becomes. v0: before the update; first: the input that is v_threshold. */
static float fire(struct piece *c, uint32_t i, float v0, float v, unsigned int first)
{
	const float *const *in = c->in + first;
	bool late = c->flags & SNPU_NEURON_LATE;
	float before = late ? count_spikes(c, in, i, v0) : 0.0f, z;

	v = reset(c, in, i, v, before);
	z = count_spikes(c, in, i, v);
	c->out[i] = z;
	c->spikes += z != 0.0f;
	if (!late || c->flags & SNPU_NEURON_NOW)
		v = reset(c, in, i, v, z - before);
	if (c->flags & SNPU_NEURON_FLOOR) {
		float floor = in[c->flags & SNPU_NEURON_MULTI ? 3 : 2][i];

		if (v < floor)
			v = floor;
	}
	return v;
}

static void update_threshold(struct piece *c, float *v_new, float *i_new)
{
	const float *x = c->in[0], *threshold = c->in[1];

	for (uint32_t i = 0; i < c->n; i++) {
		bool z = fires(x[i], threshold[i], c->flags);

		c->out[i] = z ? 1.0f : 0.0f;
		c->spikes += z;
	}
}

static void update_i(struct piece *c, float *v_new, float *i_new)
{
	const float *x = c->in[0], *v = c->in[1], *r = c->in[2];

	for (uint32_t i = 0; i < c->n; i++)
		c->out[i] = v_new[i] = v[i] + (r[i] * x[i]);
}

static void update_if(struct piece *c, float *v_new, float *i_new)
{
	const float *x = c->in[0], *v = c->in[1], *r = c->in[2];

	for (uint32_t i = 0; i < c->n; i++)
		v_new[i] = fire(c, i, v[i], v[i] + (r[i] * x[i]), 3);
}

static void update_li(struct piece *c, float *v_new, float *i_new)
{
	const float *x = c->in[0], *v = c->in[1], *k = c->in[2], *r = c->in[3], *v_leak = c->in[4];

	for (uint32_t i = 0; i < c->n; i++)
		c->out[i] = v_new[i] = v[i] + (k[i] * ((v_leak[i] + (r[i] * x[i])) - v[i]));
}

static void update_lif(struct piece *c, float *v_new, float *i_new)
{
	const float *x = c->in[0], *v = c->in[1], *k = c->in[2], *r = c->in[3], *v_leak = c->in[4];

	for (uint32_t i = 0; i < c->n; i++) {
		float u = v[i] + (k[i] * ((v_leak[i] + (r[i] * x[i])) - v[i]));

		v_new[i] = fire(c, i, v[i], u, 5);
	}
}

/* Current and membrane of the two current-based neurons: x, v, i, k_syn, w_in, k_mem, r, v_leak. */
static float cuba(const struct piece *c, uint32_t i, float *i_new)
{
	const float *const *in = c->in;
	float v = in[1][i], cur = in[2][i];

	cur = cur + (in[3][i] * ((in[4][i] * in[0][i]) - cur));
	i_new[i] = cur;
	return v + (in[5][i] * ((in[7][i] + (in[6][i] * cur)) - v));
}

static void update_cubali(struct piece *c, float *v_new, float *i_new)
{
	for (uint32_t i = 0; i < c->n; i++)
		c->out[i] = v_new[i] = cuba(c, i, i_new);
}

static void update_cubalif(struct piece *c, float *v_new, float *i_new)
{
	for (uint32_t i = 0; i < c->n; i++)
		v_new[i] = fire(c, i, c->in[1][i], cuba(c, i, i_new), 8);
}

/* Operands of every neuron packet, in this order. */
enum { X, STATE, PARAM, OUT };

static int load_piece(struct snpu_engine *e, const struct neuron *k, struct piece *c, uint32_t total, uint32_t first)
{
	int r = load(e, c, 0, X, 0, total, first);

	for (unsigned int s = 0; !r && s < k->states; s++)
		r = load(e, c, 1 + s, STATE, s, total, first);
	for (unsigned int q = 0; !r && q < k->params + SNPU_NEURON_ROWS(c->flags); q++)
		r = load(e, c, 1 + k->states + q, PARAM, q, total, first);
	return r;
}

/* What the rare ways of firing cost beside the plain one, as if all neurons did all of it. */
static void cost_firing(struct snpu_engine *e, uint64_t total, uint64_t spikes, uint8_t flags)
{
	struct engine_work w = { 0 };

	w.fdiv = flags & SNPU_NEURON_MULTI ? total : 0;
	w.fmul = flags & SNPU_NEURON_MULTI ? spikes : 0;
	w.fadd = flags & SNPU_NEURON_NOW ? spikes : 0;
	w.fcmp = (flags & SNPU_NEURON_LATE ? total : 0) + (flags & SNPU_NEURON_FLOOR ? total : 0);
	cost_float(&e->work, w);
}

static int neuron(struct snpu_engine *e, const struct neuron *k, uint32_t total, uint8_t flags)
{
	float out[ENGINE_LANES];
	float *fresh[2] = { e->lane[12], e->lane[13] };		/* v, i */
	struct piece c = { .out = out, .flags = flags };

	for (uint32_t first = 0; first < total; first += c.n) {
		int r;

		c.n = engine_min(total - first, ENGINE_LANES);
		r = load_piece(e, k, &c, total, first);
		if (r)
			return r;
		k->update(&c, fresh[0], fresh[1]);
		for (unsigned int s = 0; !r && s < k->states; s++)
			r = engine_arg_write(e, STATE, 4 * ((uint64_t)s * total + first), fresh[s], 4ull * c.n);
		if (!r)
			r = engine_arg_write(e, OUT, 4ull * first, out, 4ull * c.n);
		if (r)
			return r;
	}
	e->work.spikes += c.spikes;
	e->work.updates += k->states ? total : 0;
	cost_firing(e, total, c.spikes, flags);
	e->work.fadd += (uint64_t)k->fadd * total + c.spikes * (flags & SNPU_NEURON_RESET_MASK);	/* VALUE 0, SUBTRACT 1, DELTA 2 */
	e->work.fmul += (uint64_t)k->fmul * total;
	e->work.fcmp += k->threshold ? total : 0;
	e->work.lanes_busy += SNPU_TILES((uint64_t)total) * (k->fadd + k->fmul + k->threshold);
	return 0;
}

#define NEURON(NAME, name, states, params, threshold, fadd, fmul)				\
	int engine_exec_##NAME(struct snpu_engine *e, const struct snpu_pkt_##NAME *p)		\
	{											\
		static const struct neuron k = { states, params, threshold, fadd, fmul, update_##name };	\
		return neuron(e, &k, p->n, p->hdr.flags);					\
	}
NEURON(THRESHOLD, threshold, 0, 1, true, 0, 0)
NEURON(I, i, 1, 1, false, 1, 1)
NEURON(IF, if, 1, 3, true, 1, 1)
NEURON(LI, li, 1, 3, false, 3, 2)
NEURON(LIF, lif, 1, 5, true, 3, 2)
NEURON(CUBALI, cubali, 2, 5, false, 5, 4)
NEURON(CUBALIF, cubalif, 2, 7, true, 5, 4)
