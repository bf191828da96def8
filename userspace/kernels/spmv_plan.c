/* SPDX-License-Identifier: MIT */
/* Makes the plan of a packet SPMV; see spmv_plan.h. Any thread. */
#include "kernels/spmv_plan.h"

#include <string.h>

/*
 * Below this share of channels that fire, in percent, silent ones are left out: then less memory is read. Above it,
 * streaming everything is faster (tests/bench/kernels_lm.c shows where).
 */
#define LISTED_BELOW	45u

/* The arrays of a plan, which are const there. */
struct build {
	uint32_t *end, *channel;
	int8_t *count, *beside;
	int32_t *sum;
	uint8_t *rest;
	uint32_t rows, groups, lanes;
	unsigned int bits;
};

static void *take(uintptr_t *at, uint64_t bytes)
{
	uintptr_t here = *at;

	*at += (bytes + 63) / 64 * 64;
	return (void *)here;
}

/* Places the arrays from address `base` on; returns the bytes. */
static uint64_t layout(const struct snpu_spmv_args *a, uint32_t lanes, uintptr_t base, struct build *b)
{
	uint64_t rows = a->in.rows, groups = a->groups;
	uintptr_t at = base;

	take(&at, sizeof(struct snpu_spmv_plan));
	*b = (struct build){ .rows = a->in.rows, .groups = a->groups, .lanes = lanes };
	b->count = take(&at, groups * rows * SNPU_GROUP);
	b->channel = take(&at, (groups * SPMV_QUADS + SPMV_AHEAD) * 4 * sizeof(*b->channel));
	b->end = take(&at, groups * sizeof(*b->end));
	b->sum = take(&at, groups * rows * sizeof(*b->sum));
	b->rest = take(&at, groups * rows);
	if (a->index)
		b->beside = take(&at, (rows + lanes - 1) / lanes * lanes * groups * SNPU_GROUP);
	return at - base;
}

size_t snpu_spmv_plan_size(const struct snpu_spmv_args *a, uint32_t lanes)
{
	struct build b;

	return layout(a, lanes, 0, &b);
}

/* One row's counts, dense. */
static void spread(const struct snpu_spmv_args *a, struct build *b, uint32_t row)
{
	const struct snpu_spike *spike = a->in.spike;
	uint64_t begin = a->in.first[row], end = a->in.first[row + 1], rows = b->rows;
	int8_t *count = b->count + (uint64_t)row * SNPU_GROUP;
	uint32_t half = 1u << (b->bits - 1), beyond = 0;

	for (uint64_t e = begin; e < end; e++) {
		struct snpu_spike s = spike[e];

		count[(s.channel & ~(SNPU_GROUP - 1u)) * rows + s.channel % SNPU_GROUP] = snpu_spmv_low(s.count, b->bits);
		beyond |= (uint32_t)s.count + half;
	}
	if (beyond < 2 * half)
		return;
	for (uint64_t e = begin; e < end; e++)
		if (spike[e].count != snpu_spmv_low(spike[e].count, b->bits))
			b->rest[(uint64_t)(spike[e].channel / SNPU_GROUP) * b->rows + row] = 1;
}

static void add_up(struct build *b)
{
	for (uint64_t i = 0; i < (uint64_t)b->groups * b->rows; i++) {
		int32_t sum = 0;

		for (uint32_t c = 0; c < SNPU_GROUP; c++)
			sum += b->count[i * SNPU_GROUP + c];
		b->sum[i] = sum;
	}
}

static void put_beside(const struct snpu_spmv_args *a, struct build *b)
{
	uint64_t n = (uint64_t)b->groups * SNPU_GROUP;

	memset(b->beside, 0, (b->rows + b->lanes - 1) / b->lanes * b->lanes * n);
	for (uint32_t row = 0; row < b->rows; row++) {
		int8_t *beside = b->beside + row / b->lanes * n * b->lanes + row % b->lanes;

		for (uint64_t e = a->in.first[row]; e < a->in.first[row + 1]; e++)
			beside[(uint64_t)a->in.spike[e].channel * b->lanes] = snpu_spmv_low(a->in.spike[e].count, b->bits);
	}
}

/* Which channels of a group have a low part that is not 0 in some row; returns how many. */
static uint32_t fired(const struct build *b, uint32_t group, uint64_t any[SNPU_GROUP / 8])
{
	const int8_t *count = b->count + (uint64_t)group * b->rows * SNPU_GROUP;
	uint32_t n = 0;

	memset(any, 0, SNPU_GROUP);
	for (uint32_t row = 0; row < b->rows; row++, count += SNPU_GROUP)
		for (uint32_t i = 0; i < SNPU_GROUP / 8; i++) {
			uint64_t eight;

			memcpy(&eight, count + (uint64_t)8 * i, 8);
			any[i] |= eight;
		}
	for (uint32_t c = 0; c < SNPU_GROUP; c++)
		n += ((uint8_t *)any)[c] != 0;
	return n;
}

/* Whether enough channels are silent in all rows to be left out. */
static bool sparse(const struct snpu_spmv_args *a, const struct build *b)
{
	uint64_t limit = (uint64_t)b->groups * SNPU_GROUP * LISTED_BELOW / 100, n = 0, any[SNPU_GROUP / 8];

	for (uint32_t row = 0; row < b->rows; row++)
		if (a->in.first[row + 1] - a->in.first[row] >= limit)
			return false;
	for (uint32_t g = 0; g < b->groups && n < limit; g++)
		n += fired(b, g, any);
	return n < limit;
}

/* Lists a group's channels and moves its counts together. */
static void compact(struct build *b, uint32_t group)
{
	uint32_t quads = group ? b->end[group - 1] : 0, n = 0, *channel = b->channel + (uint64_t)4 * quads;
	uint64_t any[SNPU_GROUP / 8];

	fired(b, group, any);
	for (uint32_t c = 0; c < SNPU_GROUP; c++)
		if (((uint8_t *)any)[c])
			channel[n++] = group * SNPU_GROUP + c;
	for (uint32_t row = 0; row < b->rows; row++) {
		int8_t *count = b->count + ((uint64_t)group * b->rows + row) * SNPU_GROUP;

		for (uint32_t i = 0; i < n; i++)
			count[i] = count[channel[i] % SNPU_GROUP];
		memset(count + n, 0, SNPU_GROUP - n);
	}
	for (; n % 4; n++)
		channel[n] = channel[n - 1];
	b->end[group] = quads + n / 4;
}

static void list(struct build *b, bool all)
{
	uint32_t n;

	for (uint32_t g = 0; g < b->groups; g++) {
		if (!all) {
			compact(b, g);
			continue;
		}
		for (uint32_t c = g * SNPU_GROUP; c < (g + 1) * SNPU_GROUP; c++)
			b->channel[c] = c;
		b->end[g] = (g + 1) * SPMV_QUADS;
	}
	n = 4 * b->end[b->groups - 1];
	for (uint32_t i = 0; i < 4 * SPMV_AHEAD; i++)		/* the next tile follows the last channel */
		b->channel[n + i] = b->groups * SNPU_GROUP + (i < n ? b->channel[i] : 0);
}

void snpu_spmv_plan(const struct snpu_spmv_args *a, uint32_t lanes, unsigned int bits)
{
	struct build b;
	bool all;

	layout(a, lanes, (uintptr_t)a->scratch, &b);
	b.bits = bits;
	memset(b.count, 0, (uint64_t)b.groups * b.rows * SNPU_GROUP);
	memset(b.rest, 0, (uint64_t)b.groups * b.rows);
	for (uint32_t row = 0; row < b.rows; row++)
		spread(a, &b, row);
	add_up(&b);
	all = !sparse(a, &b);
	list(&b, all);
	if (b.beside)
		put_beside(a, &b);
	*(struct snpu_spmv_plan *)a->scratch = (struct snpu_spmv_plan){
		.end = b.end, .channel = b.channel, .count = b.count, .sum = b.sum, .rest = b.rest, .beside = b.beside,
		.lanes = lanes, .all = all,
	};
}
