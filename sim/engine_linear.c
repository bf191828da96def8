/* SPDX-License-Identifier: MIT */
/*
 * LINEAR, as the card's array does it: for each tile of 64 outputs, one accumulator a lane and one weight burst for
 * each event. Silent channels cost nothing. Engine's thread; bits as docs/numerics.md.
 */
#include "sim/engine.h"

#define BURST_BYTES	(SNPU_TILE * sizeof(float))

enum { EV, WEIGHTS, BIAS, OUT };

static int tile(struct snpu_engine *e, const struct snpu_pkt_LINEAR *p, uint32_t count, uint32_t first,
		float *restrict acc)
{
	uint64_t base = (uint64_t)(first / SNPU_TILE) * p->n_in * BURST_BYTES;

	for (unsigned int o = 0; o < SNPU_TILE; o++)
		acc[o] = 0.0f;
	for (uint32_t k = 0; k < count; k++) {
		float value = e->events[k].value;
		const void *burst;
		const float *restrict w;	/* [64] */
		int r = engine_arg_view(e, WEIGHTS, base + e->events[k].channel * BURST_BYTES, BURST_BYTES, e->lane[0], &burst);

		if (r)
			return r;
		w = burst;
		for (unsigned int o = 0; o < SNPU_TILE; o++)
			acc[o] = acc[o] + w[o] * value;
	}
	return 0;
}

static int add_bias(struct snpu_engine *e, uint32_t n_out, float *sums)
{
	for (uint32_t first = 0, n; first < n_out; first += n) {
		int r;

		n = engine_min(n_out - first, ENGINE_LANES);
		r = engine_arg_read(e, BIAS, 4ull * first, e->lane[1], 4ull * n);
		if (r)
			return r;
		for (uint32_t o = 0; o < n; o++)
			sums[first + o] = sums[first + o] + e->lane[1][o];
	}
	return 0;
}

/* All sums are made before the first is stored: a packet that faults has changed nothing. */
int engine_exec_LINEAR(struct snpu_engine *e, const struct snpu_pkt_LINEAR *p)
{
	uint32_t count;
	float *sums;				/* [n_out rounded up to a tile] */
	int r = engine_read_events(e, p->n_in, &count);

	if (!r)
		r = engine_room(e, ENGINE_BUF_SUMS, SNPU_TILES(p->n_out) * SNPU_TILE, sizeof(*sums), &sums);
	for (uint32_t first = 0; !r && first < p->n_out; first += SNPU_TILE)
		r = tile(e, p, count, first, sums + first);
	if (!r && (p->hdr.flags & SNPU_LINEAR_BIAS))
		r = add_bias(e, p->n_out, sums);
	if (!r)
		r = engine_arg_probe(e, OUT, 0, 4ull * p->n_out, SNPU_ACCESS_WRITE);
	if (!r)
		r = engine_arg_write(e, OUT, 0, sums, 4ull * p->n_out);
	if (r)
		return r;
	e->work.events += count;
	e->work.synops += (uint64_t)count * p->n_out;
	e->work.skipped += (uint64_t)(p->n_in - count) * SNPU_TILES(p->n_out);
	e->work.fmul += (uint64_t)count * p->n_out;
	e->work.fadd += (uint64_t)count * p->n_out + (p->hdr.flags & SNPU_LINEAR_BIAS ? p->n_out : 0);
	e->work.lanes_busy += ((uint64_t)count + 1) * SNPU_TILES(p->n_out);
	return 0;
}
