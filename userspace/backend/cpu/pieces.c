/* SPDX-License-Identifier: MIT */
/*
 * Packets with an operand that does not lie in one binding, or not all of it where it may be: judges each access in the
 * order of hw/snpu_isa.def, then executes on copies. The rare and slow way; it must be right, and it is where MMU faults
 * come from. Queue's thread, vm->lock held for reading.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/cpu.h"

#define BURST	(SNPU_TILE * sizeof(float))

/* Judges `len` bytes at the start of reference i. */
static int probe(struct cpu_exec *x, unsigned int i, uint64_t len)
{
	const struct cpu_ref *r = &x->p->ref[i];
	int fault = 0;

	if (r->access & SNPU_ACCESS_READ)
		fault = cpu_probe(x, x->va[i], len, SNPU_ACCESS_READ);
	if (!fault && (r->access & SNPU_ACCESS_WRITE))
		fault = cpu_probe(x, x->va[i], len, SNPU_ACCESS_WRITE);
	return fault ? cpu_fault(x, fault, r->arg) : 0;
}

/* --- packets that touch all of their operands ---------------------------------------------------------------- */

static int copies_in(struct cpu_exec *x, void *copy[SNPU_PKT_MAX_REFS])
{
	for (unsigned int i = 0; i < x->p->n_refs; i++) {
		const struct cpu_ref *r = &x->p->ref[i];

		if (!r->size || x->ptr[i])
			continue;
		copy[i] = aligned_alloc(SNPU_TILE, (r->size + SNPU_TILE - 1) / SNPU_TILE * SNPU_TILE);
		if (!copy[i])
			return cpu_no_memory(x, i);
		if ((r->access & SNPU_ACCESS_READ) && cpu_read(x, x->va[i], copy[i], r->size))
			return cpu_no_memory(x, i);	/* was probed and cannot fail */
		x->ptr[i] = copy[i];
	}
	return 0;
}

/* Of lists of n channels only what they hold now: the rest of the copy means nothing. */
static int write_lists(struct cpu_exec *x, unsigned int i, const uint8_t *copy, uint32_t n)
{
	uint64_t room = SNPU_EVENTS_WORDS(n) * sizeof(uint32_t);
	int fault = 0;

	for (uint64_t off = 0; off < x->p->ref[i].size && !fault; off += room) {
		const struct snpu_spikes *head = (const void *)(copy + off);

		fault = cpu_write(x, x->va[i] + off, head, sizeof(*head) + head->count * sizeof(struct snpu_spike));
	}
	return fault;
}

static int write_back(struct cpu_exec *x, unsigned int i, const void *copy)
{
	if (x->p->pkt.hdr.opcode == SNPU_OP_ENCODE)
		return write_lists(x, i, copy, x->p->pkt.ENCODE.n);
	if (x->p->pkt.hdr.opcode == SNPU_OP_LIFEXP && i == 2)
		return write_lists(x, i, copy, x->p->pkt.LIFEXP.n);
	return cpu_write(x, x->va[i], copy, x->p->ref[i].size);
}

static int whole(struct cpu_exec *x)
{
	void *copy[SNPU_PKT_MAX_REFS] = { NULL };
	int fault = 0;

	for (unsigned int i = 0; i < x->p->n_refs; i++) {
		const struct cpu_ref *r = &x->p->ref[i];

		fault = probe(x, i, r->size);
		if (fault)
			return fault;
		x->ptr[i] = r->size ? cpu_at(x, r->region, x->va[i], r->size, r->access) : NULL;
	}
	fault = copies_in(x, copy);
	if (!fault)
		fault = cpu_operate(x);
	for (unsigned int i = 0; i < x->p->n_refs; i++) {
		if (!fault && copy[i] && (x->p->ref[i].access & SNPU_ACCESS_WRITE))
			fault = write_back(x, i, copy[i]);
		free(copy[i]);
	}
	return fault;
}

/* --- packets that touch as much as the events say ------------------------------------------------------------ */

static int evpack(struct cpu_exec *x)
{
	enum { X, EV };
	const struct cpu_ref *in = &x->p->ref[X];
	uint32_t n = x->p->pkt.EVPACK.n;
	struct snpu_events *list;
	uint64_t bytes;
	float *dense;
	int fault;

	fault = probe(x, X, in->size);
	if (fault)
		return fault;
	dense = malloc(in->size);
	list = malloc(x->p->ref[EV].size);
	if (dense && list) {
		fault = cpu_read(x, x->va[X], dense, in->size);
		*list = (struct snpu_events){ .count = x->k->evpack(dense, n, (struct snpu_event *)(list + 1)) };
		bytes = sizeof(*list) + list->count * sizeof(struct snpu_event);
		fault = cpu_write(x, x->va[EV], list, bytes);
		if (fault)
			cpu_fault(x, fault, x->p->ref[EV].arg);
	} else {
		fault = cpu_no_memory(x, X);
	}
	free(dense);
	free(list);
	return fault;
}

static int evunpack(struct cpu_exec *x)
{
	enum { EV, X };
	uint32_t n = x->p->pkt.EVUNPACK.n, count;
	float *dense;
	int fault = cpu_read_events(x, n, &count);

	if (!fault)
		fault = probe(x, X, x->p->ref[X].size);
	if (fault)
		return fault;
	dense = malloc(x->p->ref[X].size);
	if (!dense)
		return cpu_no_memory(x, X);
	x->k->evunpack(x->events, count, dense, n);
	fault = cpu_write(x, x->va[X], dense, x->p->ref[X].size);
	free(dense);
	x->work[SNPU_COUNTER_EVENTS] = count;
	return fault;
}

/* Address of the weights of one channel for one tile of outputs. */
static uint64_t burst(const struct cpu_exec *x, uint32_t tile, uint32_t channel)
{
	return x->va[1] + ((uint64_t)tile * x->p->pkt.LINEAR.n_in + channel) * BURST;
}

static int probe_weights(struct cpu_exec *x, uint32_t count)
{
	for (uint32_t t = 0; t < SNPU_TILES(x->p->pkt.LINEAR.n_out); t++) {
		for (uint32_t e = 0; e < count; e++) {
			int fault = cpu_probe(x, burst(x, t, x->events[e].channel), BURST, SNPU_ACCESS_READ);

			if (fault)
				return cpu_fault(x, fault, x->p->ref[1].arg);
		}
	}
	return 0;
}

/* One tile on gathered bursts: weights [count][64], the list's channels renumbered 0 .. count - 1. */
static int linear_tile(struct cpu_exec *x, uint32_t tile, uint32_t count, float *weights, struct snpu_event *ev)
{
	const struct snpu_pkt_LINEAR *p = &x->p->pkt.LINEAR;
	uint32_t first = tile * SNPU_TILE, n = p->n_out - first < SNPU_TILE ? p->n_out - first : SNPU_TILE;
	float bias[SNPU_TILE], out[SNPU_TILE];
	struct snpu_linear_args a = { .ev = ev, .weights = weights, .out = out, .count = count, .n_in = count ? count : 1, .n_out = n };
	int fault = 0;

	for (uint32_t e = 0; e < count && !fault; e++) {
		ev[e] = (struct snpu_event){ e, x->events[e].value };
		fault = cpu_read(x, burst(x, tile, x->events[e].channel), weights + (uint64_t)e * SNPU_TILE, BURST);
	}
	if (!fault && x->p->ref[2].size) {
		fault = cpu_read(x, x->va[2] + 4ull * first, bias, 4ull * n);
		a.bias = bias;
	}
	if (fault)
		return fault;
	x->k->linear(&a);
	return cpu_write(x, x->va[3] + 4ull * first, out, 4ull * n);
}

static int linear(struct cpu_exec *x)
{
	const struct snpu_pkt_LINEAR *p = &x->p->pkt.LINEAR;
	struct snpu_event *ev;
	float *weights;
	uint32_t count;
	int fault = cpu_read_events(x, p->n_in, &count);

	if (!fault)
		fault = probe_weights(x, count);
	if (!fault)
		fault = probe(x, 2, x->p->ref[2].size);
	if (!fault)
		fault = probe(x, 3, x->p->ref[3].size);
	if (fault)
		return fault;
	weights = malloc(count * BURST + 1);
	ev = malloc(count * sizeof(*ev) + 1);
	if (!weights || !ev)
		fault = cpu_no_memory(x, 1);
	for (uint32_t t = 0; t < SNPU_TILES(p->n_out) && !fault; t++)
		fault = linear_tile(x, t, count, weights, ev);
	free(weights);
	free(ev);
	cpu_count_linear(x, count);
	return fault;
}

/* --- images: a list, perhaps weights of listed channels, then whole operands ----------------------------------- */

/* Calls access() for the weights of each input channel that has an entry, ascending. */
static int each_block(struct cpu_exec *x, uint32_t count, uint8_t *copy, int (*access)(struct cpu_exec *x, uint64_t off, uint64_t len, uint8_t *copy))
{
	const struct snpu_pkt_CONV *p = &x->p->pkt.CONV;
	uint64_t pixels = (uint64_t)p->h * p->w, bytes = SNPU_CONV_BLOCK(p) * SNPU_CONV_LANES * sizeof(float), next = 0;
	int fault = 0;

	for (uint32_t e = 0; e < count && !fault; e++) {
		uint64_t channel = x->events[e].channel / pixels;

		if (channel < next)
			continue;
		fault = access(x, channel * bytes, bytes, copy);
		next = channel + 1;
	}
	return fault;
}

static int probe_block(struct cpu_exec *x, uint64_t off, uint64_t len, uint8_t *copy)
{
	int fault = cpu_probe(x, x->va[1] + off, len, SNPU_ACCESS_READ);

	return fault ? cpu_fault(x, fault, x->p->ref[1].arg) : 0;
}

static int copy_block(struct cpu_exec *x, uint64_t off, uint64_t len, uint8_t *copy)
{
	return cpu_read(x, x->va[1] + off, copy + off, len);
}

/* The weights of silent channels are left as malloc gives them: nobody looks at them. */
static int image_copies(struct cpu_exec *x, uint32_t count, void *copy[SNPU_PKT_MAX_REFS])
{
	bool conv = x->p->pkt.hdr.opcode == SNPU_OP_CONV;

	for (unsigned int i = 1; i < x->p->n_refs; i++) {
		const struct cpu_ref *r = &x->p->ref[i];
		int fault = 0;

		x->ptr[i] = r->size ? cpu_at(x, r->region, x->va[i], r->size, r->access) : NULL;
		if (!r->size || x->ptr[i])
			continue;
		x->ptr[i] = copy[i] = malloc(r->size);
		if (!copy[i])
			return cpu_no_memory(x, i);
		if (conv && i == 1)
			fault = each_block(x, count, copy[i], copy_block);
		else if (r->access & SNPU_ACCESS_READ)
			fault = cpu_read(x, x->va[i], copy[i], r->size);
		if (fault)
			return fault;
	}
	return 0;
}

static int image(struct cpu_exec *x, uint32_t channels)
{
	bool conv = x->p->pkt.hdr.opcode == SNPU_OP_CONV;
	unsigned int last = x->p->n_refs - 1;
	void *copy[SNPU_PKT_MAX_REFS] = { NULL };
	uint32_t count;
	int fault = cpu_read_events(x, channels, &count);

	if (!fault && conv)
		fault = each_block(x, count, NULL, probe_block);
	for (unsigned int i = conv ? 2 : 1; i <= last && !fault; i++)
		fault = probe(x, i, x->p->ref[i].size);
	if (!fault)
		fault = image_copies(x, count, copy);
	if (!fault && conv)
		fault = cpu_conv(x, count, false);
	else if (!fault)
		cpu_pool(x, count);
	if (!fault && copy[last])
		fault = cpu_write(x, x->va[last], copy[last], x->p->ref[last].size);
	for (unsigned int i = 0; i <= last; i++)
		free(copy[i]);
	return fault;
}

/* Packets that bring what is missing: x->ptr of what lies in one binding, else NULL. */
static int partly(struct cpu_exec *x, int (*execute)(struct cpu_exec *x))
{
	for (unsigned int i = 0; i < x->p->n_refs; i++) {
		const struct cpu_ref *r = &x->p->ref[i];

		x->ptr[i] = r->size ? cpu_at(x, r->region, x->va[i], r->size, r->access) : NULL;
	}
	return execute(x);
}

int cpu_execute_pieces(struct cpu_exec *x)
{
	switch (x->p->pkt.hdr.opcode) {
	case SNPU_OP_EVPACK:	return evpack(x);
	case SNPU_OP_EVUNPACK:	return evunpack(x);
	case SNPU_OP_LINEAR:	return linear(x);
	case SNPU_OP_CONV:	return image(x, x->p->pkt.CONV.groups * x->p->pkt.CONV.c_in * x->p->pkt.CONV.h * x->p->pkt.CONV.w);
	case SNPU_OP_POOL:	return image(x, x->p->pkt.POOL.channels * x->p->pkt.POOL.h * x->p->pkt.POOL.w);
	case SNPU_OP_SPARSE:	return partly(x, cpu_sparse);
	case SNPU_OP_LOG:	return partly(x, cpu_log);
	default:		return whole(x);
	}
}
