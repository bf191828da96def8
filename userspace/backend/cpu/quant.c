/* SPDX-License-Identifier: MIT */
/*
 * Packets of integers, on operands that lie at x->ptr in one piece. Their lists are event lists whose values are counts. Queue's
 * thread, vm->lock held for reading.
 */
#include <stddef.h>
#include <string.h>

#include "backend/cpu/cpu.h"
#include "kernels/window.h"

static const struct snpu_spike *counts(const struct cpu_exec *x)
{
	_Static_assert(sizeof(struct snpu_spike) == sizeof(struct snpu_event), "one layout for both");
	return (const void *)x->events;
}

static int op_qlinear(struct cpu_exec *x)
{
	const struct snpu_pkt_QLINEAR *p = &x->p->pkt.QLINEAR;
	struct snpu_qlinear_args a = { .weights = x->ptr[1], .bias = x->p->ref[2].size ? x->ptr[2] : NULL, .out = x->ptr[3], .n_in = p->n_in,
				       .n_out = p->n_out, .shift = p->shift, .wide = p->hdr.flags & SNPU_Q_INT16 };
	int fault = cpu_read_events(x, p->n_in, &a.count);

	if (fault)
		return fault;
	a.ev = counts(x);
	x->k->qlinear(&a);
	x->work[SNPU_COUNTER_EVENTS] = a.count;
	x->work[SNPU_COUNTER_SYNOPS] = (uint64_t)a.count * p->n_out;
	x->work[SNPU_COUNTER_SKIPPED] = (uint64_t)(p->n_in - a.count) * SNPU_TILES(p->n_out);
	return 0;
}

/* The operands of QCONV are those of CONV and a shift. */
static struct snpu_pkt_CONV geometry(const struct snpu_pkt_QCONV *p)
{
	struct snpu_pkt_CONV conv;

	_Static_assert(offsetof(struct snpu_pkt_CONV, pad_left) == offsetof(struct snpu_pkt_QCONV, pad_left), "operands of CONV and QCONV");
	memcpy(&conv, p, sizeof(conv));
	return conv;
}

static int op_qconv(struct cpu_exec *x)
{
	const struct snpu_pkt_QCONV *p = &x->p->pkt.QCONV;
	const struct snpu_pkt_CONV shape = geometry(p);
	struct snpu_qconv_args a = { .p = &shape, .weights = x->ptr[1], .bias = x->p->ref[2].size ? x->ptr[2] : NULL, .out = x->ptr[3],
				     .block = 64 * SNPU_QCONV_BLOCK(p), .shift = p->shift, .wide = p->hdr.flags & SNPU_Q_INT16 };
	uint64_t hits;
	int fault = cpu_read_events(x, p->groups * p->c_in * p->h * p->w, &a.count);

	if (fault)
		return fault;
	a.ev = counts(x);
	a.scratch = cpu_room(x, CPU_SCRATCH, conv_sums(&shape) * sizeof(int64_t));
	if (!a.scratch)
		return cpu_no_memory(x, 3);
	hits = x->k->qconv(&a);
	x->work[SNPU_COUNTER_EVENTS] = a.count;
	x->work[SNPU_COUNTER_SYNOPS] = hits * p->c_out;
	x->work[SNPU_COUNTER_SKIPPED] = (p->groups * p->c_in - cpu_active_channels(x, a.count, p->h * p->w)) * SNPU_QCONV_BLOCK(p);
	return 0;
}

static int op_qpool(struct cpu_exec *x)
{
	const struct snpu_pkt_QPOOL *p = &x->p->pkt.QPOOL;
	struct snpu_qpool_args a = { .p = p, .out = x->ptr[1] };
	int fault = cpu_read_events(x, p->channels * p->h * p->w, &a.count);

	if (fault)
		return fault;
	a.ev = counts(x);
	a.sums = cpu_room(x, CPU_SCRATCH, (uint64_t)p->channels * p->out_h * p->out_w * sizeof(*a.sums));
	if (!a.sums)
		return cpu_no_memory(x, 1);
	snpu_qpool(&a);
	x->work[SNPU_COUNTER_EVENTS] = a.count;
	return 0;
}

/* The neuron packets share one layout. */
static int op_neuron(struct cpu_exec *x, snpu_qneuron_fn *fn, bool updates)
{
	const struct snpu_pkt_QLIF *p = &x->p->pkt.QLIF;
	struct snpu_qneuron_args a = { .x = x->ptr[0], .state = x->ptr[1], .param = x->ptr[2], .out = x->ptr[3], .n = p->n, .flags = p->hdr.flags };

	x->work[SNPU_COUNTER_SPIKES] = fn(&a);
	x->work[SNPU_COUNTER_UPDATES] = updates ? p->n : 0;
	return 0;
}

int cpu_operate_quant(struct cpu_exec *x)
{
	const union cpu_bytes *pkt = &x->p->pkt;
	const struct snpu_kernels *k = x->k;

	switch (pkt->hdr.opcode) {
	case SNPU_OP_QLINEAR:	return op_qlinear(x);
	case SNPU_OP_QCONV:	return op_qconv(x);
	case SNPU_OP_QPOOL:	return op_qpool(x);
	case SNPU_OP_QADD:	k->qadd(x->ptr[0], x->ptr[1], x->ptr[2], pkt->QADD.n); return 0;
	case SNPU_OP_QSCALE:	k->qscale(x->ptr[0], x->ptr[1], x->ptr[2], pkt->QSCALE.n); return 0;
	case SNPU_OP_QTHRESHOLD: return op_neuron(x, k->qthreshold, false);
	case SNPU_OP_QLI:	return op_neuron(x, k->qli, true);
	case SNPU_OP_QLIF:	return op_neuron(x, k->qlif, true);
	case SNPU_OP_QCUBALI:	return op_neuron(x, k->qcubali, true);
	default:		return op_neuron(x, k->qcubalif, true);
	}
}
