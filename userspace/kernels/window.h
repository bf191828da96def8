/* SPDX-License-Identifier: MIT */
/*
 * Where windows meet the input: what the kernels of CONV and POOL share. One axis at a time, because rows and columns do not
 * depend on each other. Pure functions.
 */
#ifndef SNPU_KERNELS_WINDOW_H
#define SNPU_KERNELS_WINDOW_H

#include "kernels/kernels.h"

/* Division of 32-bit numbers by one that stays the same: a multiplication, exact because n * by is far below 2^63. */
struct divide {
	uint32_t by;
	uint64_t factor;			/* 2^63 / by, rounded up or one more */
};

static inline struct divide divide_by(uint32_t by) { return (struct divide){ by, (1ull << 63) / by + 1 }; }
static inline uint32_t divide(const struct divide *d, uint32_t n) { return (uint32_t)((unsigned __int128)n * d->factor >> 63); }

/* One axis of a packet. */
struct axis {
	uint32_t in, out;			/* elements */
	uint32_t kernel, dilation, pad;
	struct divide stride;
};

/* A packet's two axes, and how an event's channel is taken apart. Made once a packet. */
struct windows {
	struct axis rows, columns;
	struct divide pixels, width;
};

/* p: struct snpu_pkt_CONV; for a POOL dilations are 1. */
#define WINDOWS(p, dilate_h, dilate_w)											\
	((struct windows){												\
		.rows = { (p)->h, (p)->out_h, (p)->kernel_h, dilate_h, (p)->pad_top, divide_by((p)->stride_h) },	\
		.columns = { (p)->w, (p)->out_w, (p)->kernel_w, dilate_w, (p)->pad_left, divide_by((p)->stride_w) },	\
		.pixels = divide_by((p)->h * (p)->w), .width = divide_by((p)->w) })
#define CONV_WINDOWS(p)	WINDOWS(p, (p)->dilation_h, (p)->dilation_w)
#define POOL_WINDOWS(p)	WINDOWS(p, 1, 1)

/* Where an event is. */
struct place {
	uint32_t channel, row, column;
};

static inline struct place place_of(const struct windows *w, uint32_t event)
{
	uint32_t channel = divide(&w->pixels, event), pixel = event - channel * w->pixels.by, row = divide(&w->width, pixel);

	return (struct place){ channel, row, pixel - row * w->width.by };
}

/* The windows [from, to) that reach over an input element; with a dilation some of them step over it. */
struct span {
	uint32_t at;				/* of the element, counted from where window 0 begins */
	uint32_t from, to;
};

static inline struct span window_span(const struct axis *a, uint32_t in)
{
	uint32_t at = in + a->pad, reach = (a->kernel - 1) * a->dilation;
	uint32_t from = at <= reach ? 0 : divide(&a->stride, at - reach + a->stride.by - 1), to = divide(&a->stride, at) + 1;

	to = to < a->out ? to : a->out;
	return (struct span){ at, from < to ? from : to, to };
}

/* Which element of the kernel lies on it in window `out` of the span; false: none. */
static inline bool window_tap(const struct axis *a, const struct span *s, uint32_t out, uint32_t *tap)
{
	uint32_t off = s->at - out * a->stride.by;

	*tap = a->dilation == 1 ? off : off / a->dilation;
	return a->dilation == 1 || off % a->dilation == 0;
}

/* How many windows meet it. */
static inline uint32_t window_hits(const struct axis *a, uint32_t in)
{
	struct span s = window_span(a, in);
	uint32_t hits = 0, tap;

	if (a->dilation == 1)
		return s.to - s.from;
	for (uint32_t out = s.from; out < s.to; out++)
		hits += window_tap(a, &s, out, &tap);
	return hits;
}

/* (event, window) pairs that meet, without summing anything. */
static inline uint64_t conv_hits(const struct snpu_conv_args *a)
{
	const struct windows w = CONV_WINDOWS(a->p);
	uint64_t hits = 0;

	for (uint32_t e = 0; e < a->count; e++) {
		struct place at = place_of(&w, a->ev[e].channel);

		hits += (uint64_t)window_hits(&w.rows, at.row) * window_hits(&w.columns, at.column);
	}
	return hits;
}

/* Elements of scratch: the sums of a group, [windows][lanes]. */
static inline size_t conv_sums(const struct snpu_pkt_CONV *p)
{
	return (size_t)p->out_h * p->out_w * SNPU_CONV_BURSTS(p->c_out) * SNPU_CONV_LANES;
}

/* Elements that the windows of an axis reach over, those outside of the input too. */
static inline uint64_t window_reach(const struct axis *a)
{
	return (uint64_t)(a->out - 1) * a->stride.by + (uint64_t)(a->kernel - 1) * a->dilation + 1;
}

/* Elements of scratch for the dense kernel: a group's input with what lies around it, [c_in][reach of rows][reach of columns]. Can be huge. */
static inline uint64_t conv_plane(const struct snpu_pkt_CONV *p)
{
	const struct windows w = CONV_WINDOWS(p);
	uint64_t plane;

	if (__builtin_mul_overflow(window_reach(&w.rows), window_reach(&w.columns), &plane) || __builtin_mul_overflow(plane, p->c_in, &plane))
		return UINT64_MAX;
	return plane;
}

#endif
