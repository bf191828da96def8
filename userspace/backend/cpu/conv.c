/* SPDX-License-Identifier: MIT */
/*
 * Packets of images and delays, on operands that lie at x->ptr in one piece. CONV goes event by event or window by window,
 * whichever takes less work at the density of this very list; bits and exact counters are the same (kernels/conv.h). Queue's
 * thread, vm->lock held for reading.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/cpu.h"
#include "core/finite.h"
#include "kernels/window.h"

#define DENSE_WINDOWS	16u			/* fewer windows than this are not worth a look at all the weights */

int cpu_choose_conv(enum cpu_conv_way *way)
{
	static const char *const names[] = { "auto", "events", "dense" };
	const char *env = getenv("SNPU_CONV");
	unsigned int i = 0;

	while (env && *env && i < 3 && strcmp(env, names[i]))
		i++;
	if (i == 3)
		return snpu_fail(-EINVAL, "device cpu: SNPU_CONV is '%s'; set it to auto, events or dense", env);
	*way = (enum cpu_conv_way)i;
	return 0;
}

/* Event lists are bounded by the check, so sizes here fit. */
static uint32_t image(const struct snpu_pkt_CONV *p)
{
	return p->groups * p->c_in * p->h * p->w;
}

/* Everything but the weights, which are looked at last. */
static bool dense_pays(const struct cpu_exec *x, const struct snpu_pkt_CONV *p, uint32_t count)
{
	if (!x->k->conv_dense || x->dev->conv == CPU_CONV_EVENTS || conv_plane(p) > 4096 + 4ull * p->c_in * p->h * p->w)
		return false;
	return x->dev->conv == CPU_CONV_DENSE || ((uint64_t)p->out_h * p->out_w >= DENSE_WINDOWS &&
						  count * 100ull >= (uint64_t)image(p) * snpu_conv_dense_percent(p->c_out));
}

uint32_t cpu_active_channels(const struct cpu_exec *x, uint32_t count, uint32_t pixels)
{
	uint32_t active = 0;
	uint64_t end = 0;			/* of the last active channel's elements */

	for (uint32_t e = 0; e < count; e++)
		if (x->events[e].channel >= end) {
			end = (x->events[e].channel / pixels + 1ull) * pixels;
			active++;
		}
	return active;
}

int cpu_conv(struct cpu_exec *x, uint32_t count, bool may_read_all)
{
	const struct snpu_pkt_CONV *p = &x->p->pkt.CONV;
	struct snpu_conv_args a = { .p = p, .ev = x->events, .weights = x->ptr[1], .bias = x->p->ref[2].size ? x->ptr[2] : NULL, .out = x->ptr[3],
				    .count = count };
	bool dense = may_read_all && dense_pays(x, p, count) && snpu_all_finite(a.weights, x->p->ref[1].size / sizeof(float));
	uint64_t hits;

	a.scratch = cpu_room(x, CPU_SCRATCH, (conv_sums(p) + (dense ? conv_plane(p) : 0)) * sizeof(float));
	if (!a.scratch)
		return cpu_no_memory(x, 3);
	hits = (dense ? x->k->conv_dense : x->k->conv)(&a);
	if (dense && x->desc->profile_slots)
		x->dense[p->hdr.slot]++;
	x->work[SNPU_COUNTER_EVENTS] = count;
	x->work[SNPU_COUNTER_SYNOPS] = hits * p->c_out;
	x->work[SNPU_COUNTER_SKIPPED] = (p->groups * p->c_in - cpu_active_channels(x, count, p->h * p->w)) * SNPU_CONV_BLOCK(p);
	return 0;
}

static int op_conv(struct cpu_exec *x)
{
	uint32_t count;
	int fault = cpu_read_events(x, image(&x->p->pkt.CONV), &count);

	return fault ? fault : cpu_conv(x, count, true);
}

void cpu_pool(struct cpu_exec *x, uint32_t count)
{
	struct snpu_pool_args a = { .p = &x->p->pkt.POOL, .ev = x->events, .out = x->ptr[1], .count = count };

	snpu_pool_f32(&a);
	x->work[SNPU_COUNTER_EVENTS] = count;
}

static int op_pool(struct cpu_exec *x)
{
	const struct snpu_pkt_POOL *p = &x->p->pkt.POOL;
	uint32_t count;
	int fault = cpu_read_events(x, p->channels * p->h * p->w, &count);

	if (!fault)
		cpu_pool(x, count);
	return fault;
}

/* The ring's position, judged. */
static int read_position(struct cpu_exec *x, unsigned int ref, uint32_t slots, uint32_t *position)
{
	const uint32_t *copy;
	int fault = cpu_read_index(x, ref, 1, slots, &copy);

	if (!fault)
		*position = copy[0];
	return fault;
}

static int op_delay_push(struct cpu_exec *x)
{
	const struct snpu_pkt_DELAY_PUSH *p = &x->p->pkt.DELAY_PUSH;
	uint32_t *ring = x->ptr[1], position;
	int fault = read_position(x, 1, p->slots, &position);

	if (fault)
		return fault;
	memcpy(ring + 1 + (size_t)position * p->n, x->ptr[0], p->n * sizeof(float));
	ring[0] = position + 1 < p->slots ? position + 1 : 0;
	return 0;
}

static int op_delay_pull(struct cpu_exec *x)
{
	const struct snpu_pkt_DELAY_PULL *p = &x->p->pkt.DELAY_PULL;
	const float *ring = (const float *)x->ptr[0] + 1;
	const uint32_t *delay;
	uint32_t position, last;
	float *out = x->ptr[2];
	int fault = read_position(x, 0, p->slots, &position);

	if (!fault)
		fault = cpu_read_index(x, 1, p->n, p->slots, &delay);
	if (fault)
		return fault;
	last = position ? position - 1 : p->slots - 1;
	for (uint32_t i = 0; i < p->n; i++)
		out[i] = ring[(size_t)(last >= delay[i] ? last - delay[i] : last + p->slots - delay[i]) * p->n + i];
	return 0;
}

int cpu_operate_image(struct cpu_exec *x)
{
	switch (x->p->pkt.hdr.opcode) {
	case SNPU_OP_CONV:	 return op_conv(x);
	case SNPU_OP_POOL:	 return op_pool(x);
	case SNPU_OP_DELAY_PUSH: return op_delay_push(x);
	default:		 return op_delay_pull(x);
	}
}
