/* SPDX-License-Identifier: MIT */
/*
 * Packets of integers: synapses whose sums are exact, and neurons that saturate. Sums are kept in 64 bits, where no packet can
 * overflow them: 2^24 entries of 23 bits times weights of 16. Operands have been translated in full. Engine's thread; every line
 * of arithmetic is a line of "Integers" in docs/numerics.md.
 */
#include <string.h>

#include "sim/engine.h"

static int64_t within(int64_t x, int64_t most)
{
	return x > most ? most : x < -most ? -most : x;
}

static int32_t limit(int64_t x)
{
	return (int32_t)within(x, INT32_MAX);
}

/* --- synapses ----------------------------------------------------------------------------------------------------- */

static int64_t event_count(const struct snpu_event *ev)
{
	int32_t count;

	memcpy(&count, &ev->value, sizeof(count));
	return within(count, SNPU_Q_MAX_COUNT);
}

/* Weight o of a burst. */
static int64_t weight(const void *burst, uint8_t flags, uint64_t o)
{
	int16_t wide;

	if (!(flags & SNPU_Q_INT16))
		return ((const int8_t *)burst)[o];
	memcpy(&wide, (const uint8_t *)burst + 2 * o, sizeof(wide));
	return wide;
}

/* Sums of outputs [channels][windows], which have a bias a channel, become results in operand OUT. */
static int store_sums(struct snpu_engine *e, const int64_t *sums, uint64_t n, uint64_t windows, uint32_t shift, unsigned int bias, unsigned int out)
{
	int32_t piece[ENGINE_LANES], b = 0;

	for (uint64_t first = 0, k; first < n; first += k) {
		int r;

		k = engine_min(n - first, ENGINE_LANES);
		for (uint64_t i = 0; i < k; i++) {
			uint64_t o = first + i;

			if (e->args.arg[bias].size && o % windows == 0) {
				r = engine_arg_read(e, bias, 4 * (o / windows), &b, sizeof(b));
				if (r)
					return r;
			}
			piece[i] = limit(limit(sums[o]) * (1ll << shift) + b);
		}
		r = engine_arg_write(e, out, 4 * first, piece, 4 * k);
		if (r)
			return r;
	}
	return 0;
}

/* Adds for each synaptic operation: a multiplication by anything but 1 and -1 besides, of two bytes four of those of one. */
static void cost_synapses(struct snpu_engine *e, uint64_t synops, uint64_t graded, uint64_t outputs, uint8_t flags)
{
	e->work.iadd32 += synops + (flags & SNPU_Q_BIAS ? outputs : 0);
	e->work.imul8 += graded << 2 * SNPU_Q_WIDE(flags);
}

enum { Q_EV, Q_WEIGHTS, Q_BIAS, Q_OUT };

static int tile(struct snpu_engine *e, const struct snpu_pkt_QLINEAR *p, uint32_t count, uint32_t first, int64_t *sums)
{
	uint64_t bytes = SNPU_TILE << SNPU_Q_WIDE(p->hdr.flags), base = (uint64_t)(first / SNPU_TILE) * p->n_in * bytes;
	uint32_t n = engine_min(p->n_out - first, SNPU_TILE);

	for (uint32_t k = 0; k < count; k++) {
		int64_t s = event_count(&e->events[k]);
		const void *burst;
		int r = engine_arg_view(e, Q_WEIGHTS, base + e->events[k].channel * bytes, bytes, e->lane[0], &burst);

		if (r)
			return r;
		for (uint32_t o = 0; o < n; o++)
			sums[first + o] += weight(burst, p->hdr.flags, o) * s;
	}
	return 0;
}

static uint64_t graded_entries(const struct snpu_engine *e, uint32_t count)
{
	uint64_t graded = 0;

	for (uint32_t k = 0; k < count; k++) {
		int64_t s = event_count(&e->events[k]);

		graded += s != 1 && s != -1;
	}
	return graded;
}

int engine_exec_QLINEAR(struct snpu_engine *e, const struct snpu_pkt_QLINEAR *p)
{
	uint64_t tiles = SNPU_TILES((uint64_t)p->n_out);
	int64_t *sums;				/* [n_out] */
	uint32_t count;
	int r = engine_read_events(e, p->n_in, &count);

	if (!r)
		r = engine_room(e, ENGINE_BUF_SUMS, p->n_out, sizeof(*sums), &sums);
	if (r)
		return r;
	memset(sums, 0, p->n_out * sizeof(*sums));
	for (uint32_t first = 0; !r && first < p->n_out; first += SNPU_TILE)
		r = tile(e, p, count, first, sums);
	if (!r)
		r = store_sums(e, sums, p->n_out, 1, p->shift, Q_BIAS, Q_OUT);
	if (r)
		return r;
	e->work.events += count;
	e->work.synops += (uint64_t)count * p->n_out;
	e->work.skipped += (p->n_in - count) * tiles;
	cost_synapses(e, (uint64_t)count * p->n_out, graded_entries(e, count) * p->n_out, p->n_out, p->hdr.flags);
	e->work.lanes_busy += ((uint64_t)count + 1) * tiles;
	return 0;
}

/* --- images ------------------------------------------------------------------------------------------------------- */

struct image {
	const struct snpu_pkt_QCONV *p;		/* of a QPOOL a convolution of one channel each, without weights */
	uint64_t windows;			/* of an output channel */
	uint64_t burst, block;			/* bytes of an element of the kernel, of an input channel */
	uint8_t *weights;			/* [kernel_h * kernel_w][burst] of the channel that is in the buffer; NULL: all are 1 */
	int64_t *sums;				/* [groups * c_out][windows] */
	uint64_t hits, graded, fetched;		/* (event, window) pairs, of these with counts other than 1 and -1; blocks */
};

/* Element `tap` of the kernel lies on the event in window k. */
static void image_hit(struct image *c, uint32_t group, uint64_t tap, uint64_t k, int64_t s)
{
	int64_t *sum = c->sums + (uint64_t)group * c->p->c_out * c->windows + k;

	for (uint32_t o = 0; o < c->p->c_out; o++)
		sum[o * c->windows] += c->weights ? weight(c->weights + tap * c->burst, c->p->hdr.flags, o) * s : s;
	c->hits++;
	c->graded += s != 1 && s != -1;
}

static void image_event(struct image *c, uint32_t channel, uint32_t pixel, int64_t s)
{
	const struct snpu_pkt_QCONV *p = c->p;
	uint32_t y, x;

	for (uint32_t i = 0; i < p->kernel_h; i++) {
		if (!engine_window_of(pixel / p->w, p->pad_top, i, p->dilation_h, p->stride_h, p->out_h, &y))
			continue;
		for (uint32_t j = 0; j < p->kernel_w; j++)
			if (engine_window_of(pixel % p->w, p->pad_left, j, p->dilation_w, p->stride_w, p->out_w, &x))
				image_hit(c, channel / p->c_in, (uint64_t)i * p->kernel_w + j, (uint64_t)y * p->out_w + x, s);
	}
}

static int image_events(struct snpu_engine *e, struct image *c, uint32_t count)
{
	uint32_t pixels = c->p->h * c->p->w;
	uint64_t in_buffer = UINT64_MAX;

	for (uint32_t k = 0; k < count; k++) {
		uint32_t channel = e->events[k].channel / pixels;

		if (channel != in_buffer && c->weights) {
			int r = engine_arg_read(e, Q_WEIGHTS, channel * c->block, c->weights, c->block);

			if (r)
				return r;
		}
		c->fetched += channel != in_buffer;
		in_buffer = channel;
		image_event(c, channel, e->events[k].channel % pixels, event_count(&e->events[k]));
	}
	return 0;
}

/* Reads the list and sums it up. */
static int image_sums(struct snpu_engine *e, struct image *c, uint32_t *count)
{
	uint64_t outputs = (uint64_t)c->p->groups * c->p->c_out * c->windows;
	int r = engine_read_events(e, c->p->groups * c->p->c_in * c->p->h * c->p->w, count);

	if (!r)
		r = engine_room(e, ENGINE_BUF_SUMS, outputs, sizeof(*c->sums), &c->sums);
	if (!r && c->block)
		r = engine_room(e, ENGINE_BUF_X, c->block, 1, &c->weights);
	if (r)
		return r;
	memset(c->sums, 0, outputs * sizeof(*c->sums));
	e->work.events += *count;
	return image_events(e, c, *count);
}

int engine_exec_QCONV(struct snpu_engine *e, const struct snpu_pkt_QCONV *p)
{
	struct image c = { .p = p, .windows = (uint64_t)p->out_h * p->out_w, .burst = SNPU_QCONV_BURST(p), .block = 64 * SNPU_QCONV_BLOCK(p) };
	uint64_t outputs = (uint64_t)p->groups * p->c_out * c.windows;
	uint32_t count;
	int r = image_sums(e, &c, &count);

	if (!r)
		r = store_sums(e, c.sums, outputs, c.windows, p->shift, Q_BIAS, Q_OUT);
	if (r)
		return r;
	e->work.synops += c.hits * p->c_out;
	e->work.skipped += ((uint64_t)p->groups * p->c_in - c.fetched) * SNPU_QCONV_BLOCK(p);
	cost_synapses(e, c.hits * p->c_out, c.graded * p->c_out, outputs, p->hdr.flags);
	e->work.reuses += c.hits * ((c.burst + 63) / 64);
	e->work.lanes_busy += c.hits * SNPU_TILES(p->c_out) + SNPU_TILES(outputs);
	return 0;
}

int engine_exec_QPOOL(struct snpu_engine *e, const struct snpu_pkt_QPOOL *p)
{
	enum { EV, OUT };
	struct snpu_pkt_QCONV each = { .groups = p->channels, .c_in = 1, .c_out = 1, .h = p->h, .w = p->w, .out_h = p->out_h, .out_w = p->out_w,
				       .kernel_h = p->kernel_h, .kernel_w = p->kernel_w, .stride_h = p->stride_h, .stride_w = p->stride_w,
				       .dilation_h = 1, .dilation_w = 1, .pad_top = p->pad_top, .pad_left = p->pad_left };
	struct image c = { .p = &each, .windows = (uint64_t)p->out_h * p->out_w };
	uint32_t count;
	int r = image_sums(e, &c, &count);

	if (!r)
		r = store_sums(e, c.sums, p->channels * c.windows, 1, 0, EV + 2, OUT);	/* operand 2 is a number: no bias */
	e->work.iadd32 += c.hits;
	e->work.lanes_busy += (c.hits + SNPU_TILE - 1) / SNPU_TILE;
	return r;
}

/* --- elementwise and neurons: lane[0..11] inputs, lane[12] new v or only output, lane[13] new i -------------------- */

#define MAX_VECTORS	12u			/* x, up to 3 states, up to 5 parameters and 3 more that flags ask for */

struct piece {
	const int32_t *in[MAX_VECTORS];		/* [n] each: x, states, parameters */
	int32_t *v, *i, *rest, *out;		/* [n], new states */
	uint32_t n;
	uint8_t flags;
	uint8_t states;				/* besides the steps that are left to rest */
	uint64_t spikes;
};

static int load(struct snpu_engine *e, struct piece *c, unsigned int slot, unsigned int arg, uint64_t row, uint32_t total, uint32_t first)
{
	const void *p;
	int r = engine_arg_view(e, arg, 4 * (row * total + first), 4ull * c->n, e->lane[slot], &p);

	c->in[slot] = p;
	return r;
}

static int elementwise(struct snpu_engine *e, uint32_t n, bool multiply)
{
	enum { A, B, OUT };
	int32_t out[ENGINE_LANES];
	struct piece c = { 0 };

	for (uint32_t first = 0; first < n; first += c.n) {
		int r;

		c.n = engine_min(n - first, ENGINE_LANES);
		r = load(e, &c, 0, A, 0, n, first);
		if (!r)
			r = load(e, &c, 1, B, 0, n, first);
		if (r)
			return r;
		for (uint32_t k = 0; k < c.n; k++) {
			int64_t a = c.in[0][k], b = c.in[1][k];

			out[k] = limit(multiply ? a * b : a + b);
		}
		r = engine_arg_write(e, OUT, 4ull * first, out, 4ull * c.n);
		if (r)
			return r;
	}
	e->work.lanes_busy += SNPU_TILES((uint64_t)n);
	return 0;
}

int engine_exec_QADD(struct snpu_engine *e, const struct snpu_pkt_QADD *p)
{
	e->work.iadd32 += p->n;
	return elementwise(e, p->n, false);
}

int engine_exec_QSCALE(struct snpu_engine *e, const struct snpu_pkt_QSCALE *p)
{
	e->work.imul32 += p->n;
	return elementwise(e, p->n, true);
}

static int32_t sat(const struct piece *c, int64_t x)
{
	return (int32_t)within(x, c->flags & SNPU_QNEURON_24 ? 0x7fffff : INT32_MAX);
}

static int64_t decayed(const struct piece *c, int32_t x, int32_t d)
{
	unsigned int bits = c->flags & SNPU_QNEURON_24 ? SNPU_Q_DECAY_BITS_24 : SNPU_Q_DECAY_BITS;
	uint64_t size = x < 0 ? -(int64_t)x : x, most = 1ull << bits, part = (uint32_t)d;
	int64_t y = (int64_t)(size * (part < most ? part : most) >> bits);

	return x < 0 ? -y : y;
}

/* Spikes of neuron k at v. in: [threshold, reset, (most)...] */
static int64_t count_spikes(const struct piece *c, const int32_t *const *in, uint32_t k, int32_t v)
{
	int32_t threshold = in[0][k];
	int64_t n, most;

	if (!(c->flags & SNPU_NEURON_GE ? v >= threshold : v > threshold))
		return 0;
	if (!(c->flags & SNPU_NEURON_MULTI))
		return 1;
	most = in[2][k] < 1 ? 1 : in[2][k] > SNPU_Q_MAX_COUNT ? SNPU_Q_MAX_COUNT : in[2][k];
	n = threshold > 0 ? v / threshold : 1;
	return n < 1 ? 1 : n > most ? most : n;
}

static int32_t reset(const struct piece *c, const int32_t *const *in, uint32_t k, int32_t v, int64_t z)
{
	switch (c->flags & SNPU_NEURON_RESET_MASK) {
	case SNPU_NEURON_RESET_SUBTRACT:
		return sat(c, v - z * in[0][k]);
	case SNPU_NEURON_RESET_DELTA:
		return sat(c, v - z * ((int64_t)in[0][k] - in[1][k]));
	default:
		return in[1][k];
	}
}

/* The end of a step of a firing neuron, whose membrane is v after its update; first: the input that is v_threshold. */
static void fire(struct piece *c, uint32_t k, int32_t v, unsigned int first)
{
	const int32_t *const *in = c->in + first, *const *more = in + 2 + !!(c->flags & SNPU_NEURON_MULTI);
	bool rests = c->flags & SNPU_QNEURON_REFRACT;
	uint32_t left = rests ? (uint32_t)c->in[1 + c->states][k] : 0;
	int64_t z = 0;

	if (left) {
		v = c->in[1][k];
		left--;
	} else {
		z = count_spikes(c, in, k, v);
		if (z)
			v = reset(c, in, k, v, z);
		if (c->flags & SNPU_NEURON_FLOOR && v < more[0][k])
			v = more[0][k];
		if (z && rests)
			left = (uint32_t)(more[!!(c->flags & SNPU_NEURON_FLOOR)][k] < 0 ? 0 : engine_min((uint64_t)more[!!(c->flags & SNPU_NEURON_FLOOR)][k], 255));
	}
	c->v[k] = v;
	if (rests)
		c->rest[k] = (int32_t)left;
	c->out[k] = (int32_t)z;
	c->spikes += z != 0;
}

struct neuron {
	uint8_t states, params;
	bool threshold;
};

/* One neuron, all kinds: what comes first in `in` are x and the states. */
static void update(struct piece *c, const struct neuron *kind, uint32_t k)
{
	const int32_t *const *in = c->in, *const *p = in + 1 + c->states + SNPU_QNEURON_STATES(c->flags);
	int64_t x = in[0][k];
	int32_t v;

	if (!kind->states) {
		c->out[k] = count_spikes(c, in + 1, k, (int32_t)x) != 0;
		c->spikes += c->out[k] != 0;
		return;
	}
	if (kind->states == 2) {
		c->i[k] = sat(c, decayed(c, in[2][k], p[0][k]) + x);
		x = c->i[k];
		p++;
	}
	v = sat(c, decayed(c, in[1][k], p[0][k]) + x + p[1][k]);
	if (kind->threshold)
		fire(c, k, v, (unsigned int)(p + 2 - in));
	else
		c->out[k] = c->v[k] = v;
}

enum { X, STATE, PARAM, OUT };

static int load_piece(struct snpu_engine *e, const struct neuron *kind, struct piece *c, uint32_t total, uint32_t first)
{
	unsigned int states = kind->states + SNPU_QNEURON_STATES(c->flags);
	int r = load(e, c, 0, X, 0, total, first);

	for (unsigned int s = 0; !r && s < states; s++)
		r = load(e, c, 1 + s, STATE, s, total, first);
	for (unsigned int q = 0; !r && q < kind->params + SNPU_QNEURON_ROWS(c->flags); q++)
		r = load(e, c, 1 + states + q, PARAM, q, total, first);
	return r;
}

static int store_piece(struct snpu_engine *e, const struct neuron *kind, const struct piece *c, uint32_t total, uint32_t first)
{
	const int32_t *fresh[3] = { c->v, kind->states == 2 ? c->i : c->rest, c->rest };
	int r = 0;

	for (unsigned int s = 0; !r && s < kind->states + SNPU_QNEURON_STATES(c->flags); s++)
		r = engine_arg_write(e, STATE, 4 * ((uint64_t)s * total + first), fresh[s], 4ull * c->n);
	return r ? r : engine_arg_write(e, OUT, 4ull * first, c->out, 4ull * c->n);
}

static void cost_neurons(struct snpu_engine *e, const struct neuron *kind, const struct piece *c, uint64_t total)
{
	uint64_t adds = kind->states ? kind->states + 1u : 0;	/* the bias is one */

	e->work.imul32 += kind->states * total;
	e->work.iadd32 += (adds + kind->threshold + !!(c->flags & SNPU_NEURON_FLOOR) + SNPU_QNEURON_STATES(c->flags)) * total +
			  c->spikes * (c->flags & SNPU_NEURON_RESET_MASK);	/* VALUE 0, SUBTRACT 1, DELTA 2 */
	e->work.lanes_busy += SNPU_TILES(total) * (kind->states + adds + kind->threshold);
	if (c->flags & SNPU_NEURON_MULTI)
		cost_float(&e->work, (struct engine_work){ .fdiv = total });	/* as a division of floats */
}

static int neuron(struct snpu_engine *e, const struct neuron *kind, uint32_t total, uint8_t flags)
{
	int32_t v[ENGINE_LANES], i[ENGINE_LANES], rest[ENGINE_LANES], out[ENGINE_LANES];
	struct piece c = { .v = v, .i = i, .rest = rest, .out = out, .flags = flags, .states = kind->states };

	for (uint32_t first = 0; first < total; first += c.n) {
		int r;

		c.n = engine_min(total - first, ENGINE_LANES);
		r = load_piece(e, kind, &c, total, first);
		for (uint32_t k = 0; !r && k < c.n; k++)
			update(&c, kind, k);
		if (!r)
			r = store_piece(e, kind, &c, total, first);
		if (r)
			return r;
	}
	e->work.spikes += c.spikes;
	e->work.updates += kind->states ? total : 0;
	cost_neurons(e, kind, &c, total);
	return 0;
}

#define NEURON(NAME, states, params, threshold)							\
	int engine_exec_##NAME(struct snpu_engine *e, const struct snpu_pkt_##NAME *p)		\
	{											\
		static const struct neuron kind = { states, params, threshold };		\
		return neuron(e, &kind, p->n, p->hdr.flags);					\
	}
NEURON(QTHRESHOLD, 0, 1, true)
NEURON(QLI, 1, 2, false)
NEURON(QLIF, 1, 4, true)
NEURON(QCUBALI, 2, 3, false)
NEURON(QCUBALIF, 2, 5, true)
