/* SPDX-License-Identifier: MIT */
/*
 * Executes a packet. Operands that lie in one binding are used in place; when any does not, pieces.c brings copies.
 * docs/numerics.md says what each computes and counts. Queue's thread, vm->lock held for reading.
 */
#include <string.h>

#include "backend/cpu/cpu.h"

static int op_loop(struct cpu_exec *x)
{
	if (x->depth == SNPU_LOOP_DEPTH)
		return SNPU_FAULT_LOOP;
	x->loop_pc[x->depth] = x->next_pc;
	x->loop_count[x->depth] = x->p->pkt.LOOP.count;
	x->loop_index[x->depth] = 0;
	x->depth++;
	return 0;
}

static int op_next(struct cpu_exec *x)
{
	unsigned int top = x->depth - 1;

	if (!x->depth)
		return SNPU_FAULT_LOOP;
	if (++x->loop_index[top] < x->loop_count[top])
		x->next_pc = x->loop_pc[top];
	else
		x->depth = top;
	return 0;
}

static int op_end(struct cpu_exec *x)
{
	if (x->depth)
		return SNPU_FAULT_LOOP;
	x->ended = true;
	return 0;
}

/* One store, so that who waits for the value never sees half of it. */
static int op_store(struct cpu_exec *x, uint64_t value)
{
	__atomic_store_n((uint64_t *)x->ptr[0], value, __ATOMIC_RELEASE);
	return 0;
}

static int op_fill(struct cpu_exec *x)
{
	const struct snpu_pkt_FILL *p = &x->p->pkt.FILL;
	uint32_t *dst = x->ptr[0];

	for (uint32_t i = 0; i < p->words; i++)
		dst[i] = p->value;
	return 0;
}

static int op_evpack(struct cpu_exec *x)
{
	struct snpu_events *list = x->ptr[1];

	list->count = x->k->evpack(x->ptr[0], x->p->pkt.EVPACK.n, (struct snpu_event *)(list + 1));
	list->pad = 0;
	return 0;
}

static int op_evunpack(struct cpu_exec *x)
{
	uint32_t count;
	int fault = cpu_read_events(x, x->p->pkt.EVUNPACK.n, &count);

	if (fault)
		return fault;
	x->k->evunpack(x->events, count, x->ptr[1], x->p->pkt.EVUNPACK.n);
	x->work[SNPU_COUNTER_EVENTS] = count;
	return 0;
}

void cpu_count_linear(struct cpu_exec *x, uint32_t count)
{
	const struct snpu_pkt_LINEAR *p = &x->p->pkt.LINEAR;

	x->work[SNPU_COUNTER_EVENTS] = count;
	x->work[SNPU_COUNTER_SYNOPS] = (uint64_t)count * p->n_out;
	x->work[SNPU_COUNTER_SKIPPED] = (uint64_t)(p->n_in - count) * SNPU_TILES(p->n_out);
}

static int op_linear(struct cpu_exec *x)
{
	const struct snpu_pkt_LINEAR *p = &x->p->pkt.LINEAR;
	struct snpu_linear_args a = { .weights = x->ptr[1], .bias = x->p->ref[2].size ? x->ptr[2] : NULL, .out = x->ptr[3],
				      .n_in = p->n_in, .n_out = p->n_out };
	int fault = cpu_read_events(x, p->n_in, &a.count);

	if (fault)
		return fault;
	a.ev = x->events;
	x->k->linear(&a);
	cpu_count_linear(x, a.count);
	return 0;
}

/* The neuron packets share one layout. */
static int op_neuron(struct cpu_exec *x, snpu_neuron_fn *fn, bool counts)
{
	const struct snpu_pkt_LIF *p = &x->p->pkt.LIF;
	struct snpu_neuron_args a = { .x = x->ptr[0], .state = x->ptr[1], .param = x->ptr[2], .out = x->ptr[3], .n = p->n,
				      .flags = p->hdr.flags };

	x->work[SNPU_COUNTER_SPIKES] = fn(&a);
	x->work[SNPU_COUNTER_UPDATES] = counts ? p->n : 0;
	return 0;
}

int cpu_operate(struct cpu_exec *x)
{
	const union cpu_bytes *pkt = &x->p->pkt;
	const struct snpu_kernels *k = x->k;

	switch ((enum snpu_opcode)pkt->hdr.opcode) {
	case SNPU_OP_NOP:	return 0;
	case SNPU_OP_END:	return op_end(x);
	case SNPU_OP_LOOP:	return op_loop(x);
	case SNPU_OP_NEXT:	return op_next(x);
	case SNPU_OP_SIGNAL:	return op_store(x, pkt->SIGNAL.value);
	case SNPU_OP_TIMESTAMP:	return op_store(x, (uint64_t)(snpu_now_ns() - x->epoch_ns));
	case SNPU_OP_COPY:	memcpy(x->ptr[1], x->ptr[0], 4ull * pkt->COPY.words); return 0;
	case SNPU_OP_FILL:	return op_fill(x);
	case SNPU_OP_EVPACK:	return op_evpack(x);
	case SNPU_OP_EVUNPACK:	return op_evunpack(x);
	case SNPU_OP_LINEAR:	return op_linear(x);
	case SNPU_OP_ADD:	k->add(x->ptr[0], x->ptr[1], x->ptr[2], pkt->ADD.n); return 0;
	case SNPU_OP_SCALE:	k->scale(x->ptr[0], x->ptr[1], x->ptr[2], pkt->SCALE.n); return 0;
	case SNPU_OP_THRESHOLD:	return op_neuron(x, k->threshold, false);
	case SNPU_OP_I:		return op_neuron(x, k->i, true);
	case SNPU_OP_IF:	return op_neuron(x, k->if_, true);
	case SNPU_OP_LI:	return op_neuron(x, k->li, true);
	case SNPU_OP_LIF:	return op_neuron(x, k->lif, true);
	case SNPU_OP_CUBALI:	return op_neuron(x, k->cubali, true);
	case SNPU_OP_CUBALIF:	return op_neuron(x, k->cubalif, true);
	case SNPU_OP_CONV:
	case SNPU_OP_POOL:
	case SNPU_OP_DELAY_PUSH:
	case SNPU_OP_DELAY_PULL: return cpu_operate_image(x);
	case SNPU_OP_QLINEAR:
	case SNPU_OP_QCONV:
	case SNPU_OP_QPOOL:
	case SNPU_OP_QADD:
	case SNPU_OP_QSCALE:
	case SNPU_OP_QTHRESHOLD:
	case SNPU_OP_QLI:
	case SNPU_OP_QLIF:
	case SNPU_OP_QCUBALI:
	case SNPU_OP_QCUBALIF:	return cpu_operate_quant(x);
	case SNPU_OP_SPARSE:	return cpu_sparse(x);
	case SNPU_OP_TAKE:	return cpu_take(x);
	case SNPU_OP_LOG:	return cpu_log(x);
	case SNPU_OP_LIFEXP:	return cpu_lifexp(x);
	case SNPU_OP_GATHER:
	case SNPU_OP_ENCODE:
	case SNPU_OP_SPMV:
	case SNPU_OP_MATMUL:
	case SNPU_OP_SILU_MUL:
	case SNPU_OP_RMSNORM:
	case SNPU_OP_ROPE:
	case SNPU_OP_GLA_STEP:
	case SNPU_OP_KV_APPEND:
	case SNPU_OP_SWA:
	case SNPU_OP_ARGMAX:	return cpu_operate_lm(x);
	}
	return SNPU_FAULT_BAD_OPCODE;		/* cpu_check() let nothing else through */
}

int cpu_execute(struct cpu_exec *x)
{
	const struct cpu_packet *p = x->p;

	for (unsigned int i = 0; i < p->n_refs; i++) {
		const struct cpu_ref *r = &p->ref[i];

		x->ptr[i] = NULL;
		if (!r->size)
			continue;
		x->ptr[i] = cpu_at(x, r->region, x->va[i], r->size, r->access);
		if (!x->ptr[i])
			return cpu_execute_pieces(x);
	}
	return cpu_operate(x);
}
