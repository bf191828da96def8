/* SPDX-License-Identifier: MIT */
/*
 * Packets of language models: judge what they are told (judge.c), then compute, large ones with the threads of pool.c, and
 * count. All operands lie at x->ptr in one piece. docs/numerics.md says what each computes and counts. Queue's thread and,
 * in functions named part_*, threads of the pool; vm->lock held for reading.
 */
#include <stdatomic.h>
#include <string.h>

#include "backend/cpu/cpu.h"
#include "kernels/scalar_lm.h"

/* A number that others may change meanwhile, read once. */
static uint32_t number(const struct cpu_exec *x, unsigned int ref)
{
	return __atomic_load_n((const uint32_t *)x->ptr[ref], __ATOMIC_RELAXED);
}

static float f32(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* --- memory and spikes ----------------------------------------------------------------------------------------- */

static int op_gather(struct cpu_exec *x)
{
	const struct snpu_pkt_GATHER *p = &x->p->pkt.GATHER;
	const uint32_t *index;
	int fault = cpu_read_index(x, 0, p->rows, p->table_rows, &index);

	if (!fault)
		snpu_gather(index, x->ptr[1], x->ptr[2], p->n, p->rows, p->hdr.flags & SNPU_WEIGHTS_BF16);
	return fault;
}

struct encode {
	struct cpu_exec *x;
	atomic_uint_fast64_t entries;
};

static void part_encode(void *arg, size_t from, size_t n)
{
	struct encode *e = arg;
	const struct snpu_pkt_ENCODE *p = &e->x->p->pkt.ENCODE;

	e->entries += e->x->k->encode(e->x->ptr[0], p->n, f32(p->k), e->x->ptr[1], (uint32_t)from, (uint32_t)(from + n));
}

static int op_encode(struct cpu_exec *x)
{
	const struct snpu_pkt_ENCODE *p = &x->p->pkt.ENCODE;
	struct encode e = { .x = x };

	cpu_share(x, part_encode, &e, p->rows, cpu_tile(x, p->rows, 8ull * p->rows * p->n, 1));
	x->work[SNPU_COUNTER_SPIKES] = e.entries;
	return 0;
}

/* --- SPMV ------------------------------------------------------------------------------------------------------ */

struct spmv {
	struct snpu_spmv_args a;
	const struct snpu_kernels *k;
};

static void part_spmv(void *arg, size_t from, size_t n)
{
	const struct spmv *s = arg;

	s->k->spmv(&s->a, (uint32_t)from, (uint32_t)(from + n));
}

/* Adds the entries of the residual whose channel is in a list. Reads all of it, so only for a profile. */
static int count_residual(struct cpu_exec *x, const struct snpu_spmv_args *a)
{
	uint64_t cells = SNPU_TILES((uint64_t)a->n_out) * a->groups, bytes = (uint64_t)a->groups * SNPU_GROUP * sizeof(uint32_t);
	uint32_t *of = cpu_room(x, CPU_HISTOGRAM, bytes);	/* [channels] entries in all tiles */

	if (!of)
		return cpu_no_memory(x, 3);
	memset(of, 0, bytes);
	for (uint64_t at = 0; at < cells; at++)
		for (uint32_t i = a->index[at]; i < a->index[at + 1]; i++)
			of[at % a->groups * SNPU_GROUP + a->residual[i].channel % SNPU_GROUP]++;
	for (uint64_t e = 0; e < a->in.first[a->in.rows]; e++)
		x->work[SNPU_COUNTER_SYNOPS] += of[a->in.spike[e].channel];
	return 0;
}

static int count_spmv(struct cpu_exec *x, const struct snpu_spmv_args *a)
{
	uint64_t entries = a->in.first[a->in.rows], channels = (uint64_t)a->groups * SNPU_GROUP;

	x->work[SNPU_COUNTER_EVENTS] = entries;
	x->work[SNPU_COUNTER_SYNOPS] = entries * a->n_out;
	x->work[SNPU_COUNTER_SKIPPED] = (a->in.rows * channels - entries) * SNPU_TILES((uint64_t)a->n_out);
	return a->index && x->desc->profile_slots ? count_residual(x, a) : 0;
}

static int prepare_spmv(struct cpu_exec *x, struct snpu_spmv_args *a)
{
	uint8_t *room;

	if (!x->k->spmv_scratch)
		return 0;
	room = cpu_room(x, CPU_SCRATCH, x->k->spmv_scratch(a) + SNPU_TILE);
	if (!room)
		return cpu_no_memory(x, 0);
	a->scratch = room + -(uintptr_t)room % SNPU_TILE;
	x->k->spmv_prepare(a);
	return 0;
}

static int op_spmv(struct cpu_exec *x)
{
	enum { SPIKES, WEIGHTS, SCALES, RESIDUAL, BIAS, OUT };
	const struct snpu_pkt_SPMV *p = &x->p->pkt.SPMV;
	uint32_t tiles = SNPU_TILES(p->n_out);
	uint64_t cells = (uint64_t)tiles * p->groups;
	struct spmv s = { .k = x->k, .a = { .weights = x->ptr[WEIGHTS], .scales = x->ptr[SCALES], .bias = x->ptr[BIAS], .out = x->ptr[OUT],
					    .groups = p->groups, .n_out = p->n_out } };
	int fault = cpu_read_spikes(x, SPIKES, p->groups * SNPU_GROUP, p->rows, &s.a.in);

	if (!fault && p->hdr.flags & SNPU_SPMV_RESIDUAL) {
		s.a.residual = (const struct snpu_residual *)((const uint32_t *)x->ptr[RESIDUAL] + cells + 1);
		fault = cpu_read_residual(x, RESIDUAL, cells, p->n_residual, &s.a.index);
	}
	if (!fault)
		fault = prepare_spmv(x, &s.a);
	if (!fault)
		fault = count_spmv(x, &s.a);
	if (fault)
		return fault;
	/* Eight products of int8 take as long as one of binary32. */
	cpu_share(x, part_spmv, &s, tiles, cpu_tile(x, tiles, s.a.in.first[p->rows] * tiles * SNPU_TILE / 8, 1));
	return 0;
}

/* --- dense ----------------------------------------------------------------------------------------------------- */

static void part_matmul(void *arg, size_t from, size_t n)
{
	const struct cpu_exec *x = arg;
	const struct snpu_pkt_MATMUL *p = &x->p->pkt.MATMUL;
	const struct snpu_matmul_args a = { .x = x->ptr[0], .weights = x->ptr[1], .bias = x->ptr[2], .out = x->ptr[3], .n_in = p->n_in,
					    .n_out = p->n_out, .rows = p->rows, .bf16 = p->hdr.flags & SNPU_WEIGHTS_BF16 };

	x->k->matmul(&a, (uint32_t)from, (uint32_t)(from + n));
}

static void part_silu_mul(void *arg, size_t from, size_t n)
{
	const struct cpu_exec *x = arg;

	x->k->silu_mul((const float *)x->ptr[0] + from, (const float *)x->ptr[1] + from, (float *)x->ptr[2] + from, (uint32_t)n);
}

static void part_rmsnorm(void *arg, size_t from, size_t n)
{
	const struct cpu_exec *x = arg;
	const struct snpu_pkt_RMSNORM *p = &x->p->pkt.RMSNORM;

	x->k->rmsnorm(x->ptr[0], x->ptr[1], x->ptr[2], p->n, f32(p->eps), (uint32_t)from, (uint32_t)(from + n));
}

static void part_rope(void *arg, size_t from, size_t n)
{
	const struct cpu_exec *x = arg;
	const struct snpu_pkt_ROPE *p = &x->p->pkt.ROPE;

	snpu_rope((const uint32_t *)x->ptr[0] + from, x->ptr[1], (float *)x->ptr[2] + 2 * from * p->heads * p->half, p->half, p->heads,
		  (uint32_t)n);
}

/* Shares n things that cost about as much as `work` products in all, at least `unit` of them at a time. */
static int share(struct cpu_exec *x, pthreadpool_task_1d_tile_1d_t part, uint32_t n, uint64_t work, uint32_t unit)
{
	cpu_share(x, part, x, n, cpu_tile(x, n, work, unit));
	return 0;
}

/* --- attention ------------------------------------------------------------------------------------------------- */

static void part_gla(void *arg, size_t from, size_t n)
{
	const struct cpu_exec *x = arg;
	const struct snpu_pkt_GLA_STEP *p = &x->p->pkt.GLA_STEP;
	const struct snpu_gla_args a = { .q = x->ptr[0], .k = x->ptr[1], .v = x->ptr[2], .g = x->ptr[3], .state = x->ptr[4], .out = x->ptr[5],
					 .kv = p->kv, .group = p->group, .d = p->d, .rows = p->rows };

	x->k->gla(&a, (uint32_t)from, (uint32_t)(from + n));
}

static int op_gla(struct cpu_exec *x)
{
	const struct snpu_pkt_GLA_STEP *p = &x->p->pkt.GLA_STEP;
	uint64_t updates = (uint64_t)p->rows * p->kv * p->d * p->d;

	x->work[SNPU_COUNTER_UPDATES] = updates;
	return share(x, part_gla, p->kv, updates * (1 + p->group), 1);
}

static int op_kv_append(struct cpu_exec *x)
{
	const struct snpu_pkt_KV_APPEND *p = &x->p->pkt.KV_APPEND;

	snpu_kv_append(x->ptr[0], x->ptr[1], number(x, 2), x->ptr[3], p->kv, p->d, p->slots, p->hdr.flags & SNPU_KV_INT8);
	return 0;
}

struct swa {
	struct snpu_swa_args a;
	const struct snpu_kernels *k;
	size_t scratch;				/* bytes of a part */
	uint32_t tile;				/* heads of a part */
};

static void part_swa(void *arg, size_t from, size_t n)
{
	const struct swa *s = arg;
	struct snpu_swa_args a = s->a;

	a.scratch = (void *)((uint8_t *)a.scratch + from / s->tile * s->scratch);
	s->k->swa(&a, (uint32_t)from, (uint32_t)(from + n));
}

static int op_swa(struct cpu_exec *x)
{
	enum { Q, CACHE, POSITION, OUT };
	const struct snpu_pkt_SWA *p = &x->p->pkt.SWA;
	struct swa s = { .k = x->k, .a = { .q = x->ptr[Q], .cache = x->ptr[CACHE], .out = x->ptr[OUT], .kv = p->kv, .group = p->group, .d = p->d,
					   .slots = p->slots, .position = number(x, POSITION), .int8 = p->hdr.flags & SNPU_KV_INT8 } };
	uint32_t heads = p->kv * p->group, most = p->window < p->slots ? p->window : p->slots;
	uint8_t *room;
	int fault;

	s.a.keys = s.a.position < most ? s.a.position + 1 : most;
	if (s.a.int8) {
		fault = cpu_read_spikes(x, Q, p->d, heads, &s.a.spikes);
		if (fault)
			return fault;
		x->work[SNPU_COUNTER_EVENTS] = s.a.spikes.first[heads];
		x->work[SNPU_COUNTER_SYNOPS] = s.a.spikes.first[heads] * s.a.keys;
	}
	s.tile = cpu_tile(x, heads, 2ull * heads * s.a.keys * p->d, 1);
	s.scratch = (s.k->swa_scratch(&s.a) + SNPU_TILE - 1) / SNPU_TILE * SNPU_TILE;
	room = cpu_room(x, CPU_SCRATCH, (heads / s.tile + 1) * s.scratch + SNPU_TILE);
	if (!room)
		return cpu_no_memory(x, CACHE);
	s.a.scratch = (void *)(room + -(uintptr_t)room % SNPU_TILE);
	cpu_share(x, part_swa, &s, heads, s.tile);
	return 0;
}

/* --------------------------------------------------------------------------------------------------------------- */

int cpu_operate_lm(struct cpu_exec *x)
{
	const union cpu_bytes *p = &x->p->pkt;

	switch (p->hdr.opcode) {
	case SNPU_OP_GATHER:	return op_gather(x);
	case SNPU_OP_ENCODE:	return op_encode(x);
	case SNPU_OP_SPMV:	return op_spmv(x);
	case SNPU_OP_MATMUL:
		return share(x, part_matmul, p->MATMUL.n_out, (uint64_t)p->MATMUL.rows * p->MATMUL.n_in * p->MATMUL.n_out, 16);
	case SNPU_OP_SILU_MUL:	return share(x, part_silu_mul, p->SILU_MUL.n, p->SILU_MUL.n * 32ull, 64);
	case SNPU_OP_RMSNORM:	return share(x, part_rmsnorm, p->RMSNORM.rows, 4ull * p->RMSNORM.rows * p->RMSNORM.n, 1);
	case SNPU_OP_ROPE:
		return share(x, part_rope, p->ROPE.rows, (uint64_t)p->ROPE.rows * p->ROPE.half * (64 + 4 * p->ROPE.heads), 1);
	case SNPU_OP_GLA_STEP:	return op_gla(x);
	case SNPU_OP_KV_APPEND:	return op_kv_append(x);
	case SNPU_OP_SWA:	return op_swa(x);
	case SNPU_OP_ARGMAX:	snpu_argmax(x->ptr[0], x->ptr[1], p->ARGMAX.n, p->ARGMAX.rows); return 0;
	}
	return SNPU_FAULT_BAD_OPCODE;		/* cpu_check() let nothing else through */
}
