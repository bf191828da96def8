/* SPDX-License-Identifier: MIT */
/*
 * Packets of images and delays. CONV as the card's array does it: an event brings the weights of its input channel into the
 * buffer, unless the event before did, and meets each element of the kernel in turn; that element says which window of
 * the output the event is under. All sums stay on the card until the packet is complete. Engine's thread; bits as docs/numerics.md.
 */
#include <string.h>

#include "sim/engine.h"

/* --- CONV --------------------------------------------------------------------------------------------------------- */

enum { CONV_EV, CONV_WEIGHTS, CONV_BIAS, CONV_OUT };

struct conv {
	const struct snpu_pkt_CONV *p;
	uint64_t windows;			/* of an output channel */
	uint64_t lanes;				/* weights of an element of the kernel */
	uint64_t block;				/* weights of an input channel */
	float *weights;				/* [kernel_h][kernel_w][lanes] of the channel that is in the buffer */
	float *sums;				/* [groups * c_out][windows] */
	uint64_t hits, fetched;			/* (event, window) pairs; blocks */
};

/* Element (i, j) of the kernel lies on the event in window `k`. */
static void conv_hit(struct conv *c, uint32_t group, uint32_t i, uint32_t j, uint64_t k, float value)
{
	const float *w = c->weights + (i * (uint64_t)c->p->kernel_w + j) * c->lanes;
	float *sum = c->sums + (uint64_t)group * c->p->c_out * c->windows + k;

	for (uint32_t o = 0; o < c->p->c_out; o++)
		sum[o * c->windows] = sum[o * c->windows] + w[o] * value;
	c->hits++;
}

static void conv_event(struct conv *c, uint32_t channel, uint32_t row, uint32_t column, float value)
{
	const struct snpu_pkt_CONV *p = c->p;
	uint32_t y, x;

	for (uint32_t i = 0; i < p->kernel_h; i++) {
		if (!engine_window_of(row, p->pad_top, i, p->dilation_h, p->stride_h, p->out_h, &y))
			continue;
		for (uint32_t j = 0; j < p->kernel_w; j++)
			if (engine_window_of(column, p->pad_left, j, p->dilation_w, p->stride_w, p->out_w, &x))
				conv_hit(c, channel / p->c_in, i, j, (uint64_t)y * p->out_w + x, value);
	}
}

static int conv_events(struct snpu_engine *e, struct conv *c, uint32_t count)
{
	uint64_t in_buffer = UINT64_MAX;

	for (uint32_t k = 0; k < count; k++) {
		uint32_t at = e->events[k].channel, pixels = c->p->h * c->p->w, channel = at / pixels;

		if (channel != in_buffer) {
			int r = engine_arg_read(e, CONV_WEIGHTS, channel * c->block * sizeof(float), c->weights, c->block * sizeof(float));

			if (r)
				return r;
			in_buffer = channel;
			c->fetched++;
		}
		conv_event(c, channel, at % pixels / c->p->w, at % c->p->w, e->events[k].value);
	}
	return 0;
}

static int conv_bias(struct snpu_engine *e, struct conv *c)
{
	uint32_t channels = c->p->groups * c->p->c_out;

	for (uint32_t first = 0, n; first < channels; first += n) {
		int r;

		n = engine_min(channels - first, ENGINE_LANES);
		r = engine_arg_read(e, CONV_BIAS, 4ull * first, e->lane[0], 4ull * n);
		if (r)
			return r;
		for (uint32_t o = 0; o < n; o++)
			for (uint64_t k = 0; k < c->windows; k++)
				c->sums[(first + o) * c->windows + k] += e->lane[0][o];
	}
	return 0;
}

static void conv_count(struct snpu_engine *e, const struct conv *c, uint32_t count)
{
	const struct snpu_pkt_CONV *p = c->p;
	uint64_t outputs = (uint64_t)p->groups * p->c_out * c->windows;
	bool biased = p->hdr.flags & SNPU_CONV_BIAS;

	e->work.events += count;
	e->work.synops += c->hits * p->c_out;
	e->work.skipped += ((uint64_t)p->groups * p->c_in - c->fetched) * SNPU_CONV_BLOCK(p);
	e->work.fmul += c->hits * p->c_out;
	e->work.fadd += c->hits * p->c_out + (biased ? outputs : 0);
	e->work.reuses += c->hits * SNPU_CONV_BURSTS(p->c_out);
	e->work.lanes_busy += c->hits * SNPU_TILES(p->c_out) + SNPU_TILES(outputs);
}

int engine_exec_CONV(struct snpu_engine *e, const struct snpu_pkt_CONV *p)
{
	struct conv c = { .p = p, .windows = (uint64_t)p->out_h * p->out_w, .lanes = SNPU_CONV_BURSTS(p->c_out) * SNPU_CONV_LANES,
			  .block = SNPU_CONV_BLOCK(p) * SNPU_CONV_LANES };
	uint64_t outputs = (uint64_t)p->groups * p->c_out * c.windows;
	uint32_t count;
	int r = engine_read_events(e, p->groups * p->c_in * p->h * p->w, &count);

	if (!r)
		r = engine_room(e, ENGINE_BUF_SUMS, outputs, sizeof(*c.sums), &c.sums);
	if (!r)
		r = engine_room(e, ENGINE_BUF_X, count ? c.block : 1, sizeof(*c.weights), &c.weights);
	if (r)
		return r;
	memset(c.sums, 0, outputs * sizeof(*c.sums));
	r = conv_events(e, &c, count);
	if (!r && (p->hdr.flags & SNPU_CONV_BIAS))
		r = conv_bias(e, &c);
	if (!r)
		r = engine_arg_probe(e, CONV_OUT, 0, 4 * outputs, SNPU_ACCESS_WRITE);
	if (!r)
		r = engine_arg_write(e, CONV_OUT, 0, c.sums, 4 * outputs);
	if (!r)
		conv_count(e, &c, count);
	return r;
}

/* --- POOL --------------------------------------------------------------------------------------------------------- */

/* Returns how many windows the event is under. */
static uint64_t pool_event(const struct snpu_pkt_POOL *p, float *sums, uint32_t row, uint32_t column, float value)
{
	uint64_t hits = 0;
	uint32_t y, x;

	for (uint32_t i = 0; i < p->kernel_h; i++) {
		if (!engine_window_of(row, p->pad_top, i, 1, p->stride_h, p->out_h, &y))
			continue;
		for (uint32_t j = 0; j < p->kernel_w; j++) {
			float *sum;

			if (!engine_window_of(column, p->pad_left, j, 1, p->stride_w, p->out_w, &x))
				continue;
			sum = sums + (uint64_t)y * p->out_w + x;
			*sum = *sum + value;
			hits++;
		}
	}
	return hits;
}

int engine_exec_POOL(struct snpu_engine *e, const struct snpu_pkt_POOL *p)
{
	enum { EV, OUT };
	uint64_t windows = (uint64_t)p->out_h * p->out_w, outputs = p->channels * windows, hits = 0;
	float *sums, elements = (float)(p->kernel_h * p->kernel_w);
	uint32_t count, pixels = p->h * p->w;
	bool avg = p->hdr.flags & SNPU_POOL_AVG;
	int r = engine_read_events(e, p->channels * pixels, &count);

	if (!r)
		r = engine_arg_probe(e, OUT, 0, 4 * outputs, SNPU_ACCESS_WRITE);
	if (!r)
		r = engine_room(e, ENGINE_BUF_SUMS, outputs, sizeof(*sums), &sums);
	if (r)
		return r;
	memset(sums, 0, outputs * sizeof(*sums));
	for (uint32_t k = 0; k < count; k++) {
		uint32_t at = e->events[k].channel % pixels;

		hits += pool_event(p, sums + e->events[k].channel / pixels * windows, at / p->w, at % p->w, e->events[k].value);
	}
	for (uint64_t k = 0; avg && k < outputs; k++)
		sums[k] = sums[k] / elements;
	e->work.events += count;
	cost_float(&e->work, (struct engine_work){ .fadd = hits, .fdiv = avg ? outputs : 0 });
	return engine_arg_write(e, OUT, 0, sums, 4 * outputs);
}

/* --- delays: all operands have been translated -------------------------------------------------------------------- */

/* Byte offset of elements [first, ...) of a vector of the ring. */
static uint64_t ring_at(uint32_t slot, uint32_t n, uint32_t first)
{
	return 4 * (1 + (uint64_t)slot * n + first);
}

static int ring_position(struct snpu_engine *e, unsigned int arg, uint32_t slots, uint32_t *position)
{
	int r = engine_arg_read(e, arg, 0, position, sizeof(*position));

	return !r && *position >= slots ? engine_bad_data(e, SNPU_FAULT_BAD_INDEX, arg, 0) : r;
}

int engine_exec_DELAY_PUSH(struct snpu_engine *e, const struct snpu_pkt_DELAY_PUSH *p)
{
	enum { X, RING };
	uint32_t position = 0, next;
	int r = ring_position(e, RING, p->slots, &position);

	for (uint32_t first = 0, n; !r && first < p->n; first += n) {
		n = engine_min(p->n - first, ENGINE_LANES);
		r = engine_arg_read(e, X, 4ull * first, e->lane[0], 4ull * n);
		if (!r)
			r = engine_arg_write(e, RING, ring_at(position, p->n, first), e->lane[0], 4ull * n);
	}
	next = (position + 1) % p->slots;
	return r ? r : engine_arg_write(e, RING, 0, &next, sizeof(next));
}

/* Elements [first, first + n): runs of the same delay lie together in the ring. */
static int pull_piece(struct snpu_engine *e, const struct snpu_pkt_DELAY_PULL *p, uint32_t position, const uint32_t *delay, uint32_t first, uint32_t n)
{
	enum { RING, DELAY, OUT };

	for (uint32_t i = 0, run; i < n; i += run) {
		uint32_t slot = (uint32_t)(((uint64_t)position + 2ull * p->slots - 1 - delay[i]) % p->slots);
		int r;

		for (run = 1; i + run < n && delay[i + run] == delay[i]; run++)
			;
		r = engine_arg_read(e, RING, ring_at(slot, p->n, first + i), e->lane[0] + i, 4ull * run);
		if (r)
			return r;
	}
	return engine_arg_write(e, OUT, 4ull * first, e->lane[0], 4ull * n);
}

int engine_exec_DELAY_PULL(struct snpu_engine *e, const struct snpu_pkt_DELAY_PULL *p)
{
	enum { RING, DELAY, OUT };
	uint32_t position = 0, *delay;		/* [n], a copy, because others may write to that memory */
	int r = ring_position(e, RING, p->slots, &position);

	if (!r)
		r = engine_room(e, ENGINE_BUF_X, p->n, sizeof(*delay), &delay);
	if (!r)
		r = engine_arg_read(e, DELAY, 0, delay, 4ull * p->n);
	for (uint32_t i = 0; !r && i < p->n; i++)
		if (delay[i] >= p->slots)
			r = engine_bad_data(e, SNPU_FAULT_BAD_INDEX, DELAY, 4ull * i);
	for (uint32_t first = 0, n; !r && first < p->n; first += n) {
		n = engine_min(p->n - first, ENGINE_LANES);
		r = pull_piece(e, p, position, delay + first, first, n);
	}
	return r;
}
