/* SPDX-License-Identifier: MIT */
/*
 * The arithmetic of the packets on this machine's CPU. scalar.c is the reference of docs/numerics.md; avx2.c and
 * avx512.c do the same operations in the same order on several elements at a time and give the same bits. The caller
 * has checked everything: sizes, overlaps, lists. Pure functions, any thread.
 *
 * They rely on the default floating-point environment (round to nearest, denormals kept), which the caller's thread
 * must have, and on -ffp-contract=off.
 */
#ifndef SNPU_KERNELS_KERNELS_H
#define SNPU_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "snpu/snpu.h"
#include "snpu_isa.h"

/* One time step of n neurons; `out` may be `x`. */
struct snpu_neuron_args {
	const float *x;				/* [n] */
	float *state;				/* [variables][n] */
	const float *param;			/* [parameters][n] */
	float *out;				/* [n] */
	uint32_t n;
	unsigned int flags;			/* enum snpu_neuron_flags */
};

struct snpu_linear_args {
	const struct snpu_event *ev;		/* [count], channels ascending and < n_in */
	const float *weights;			/* [n_out / 64 rounded up][n_in][64] */
	const float *bias;			/* [n_out] or NULL */
	float *out;				/* [n_out] */
	uint32_t count, n_in, n_out;
};

/* A packet's numbers are its geometry. */
struct snpu_conv_args {
	const struct snpu_pkt_CONV *p;
	const struct snpu_event *ev;		/* [count], channels ascending and < groups * c_in * h * w */
	const float *weights;			/* [groups * c_in][kernel_h][kernel_w][c_out rounded up to 16]; finite for the dense kernel */
	const float *bias;			/* [groups * c_out] or NULL */
	float *out;				/* [groups * c_out][out_h][out_w] */
	float *scratch;				/* conv_sums() elements and, for the dense kernel, conv_plane() more: window.h */
	uint32_t count;
};

/*
 * From which share of active inputs on the dense kernel is the faster one, percent: `make bench-conv` shows where they meet. The more output
 * channels, the less the way to each window weighs.
 */
static inline uint32_t snpu_conv_dense_percent(uint32_t c_out)
{
	return 16 + (c_out < 64 ? c_out : 64) / 2;
}

struct snpu_pool_args {
	const struct snpu_pkt_POOL *p;
	const struct snpu_event *ev;		/* [count], channels ascending and < channels * h * w */
	float *out;				/* [channels][out_h][out_w] */
	uint32_t count;
};

/* --- integers --- */

struct snpu_qlinear_args {
	const struct snpu_spike *ev;		/* [count], channels ascending and < n_in */
	const void *weights;			/* int8 or, wide, int16 [n_out / 64 rounded up][n_in][64] */
	const int32_t *bias;			/* [n_out] or NULL */
	int32_t *out;				/* [n_out] */
	uint32_t count, n_in, n_out, shift;
	bool wide;
};

struct snpu_qconv_args {
	const struct snpu_pkt_CONV *p;		/* the geometry alone */
	const struct snpu_spike *ev;		/* [count], channels ascending and < groups * c_in * h * w */
	const uint8_t *weights;			/* int8 or, wide, int16 [groups * c_in][block bytes]: [kernel_h][kernel_w][c_out rounded up to 16] */
	const int32_t *bias;			/* [groups * c_out] or NULL */
	int32_t *out;				/* [groups * c_out][out_h][out_w] */
	void *scratch;				/* 8 * conv_sums() bytes: window.h */
	uint64_t block;
	uint32_t count, shift;
	bool wide;
};

struct snpu_qpool_args {
	const struct snpu_pkt_QPOOL *p;
	const struct snpu_spike *ev;		/* [count], channels ascending and < channels * h * w */
	int64_t *sums;				/* [channels][out_h][out_w], scratch */
	int32_t *out;				/* likewise */
	uint32_t count;
};

/* One time step of n neurons; `out` may be `x`. */
struct snpu_qneuron_args {
	const int32_t *x;			/* [n] */
	int32_t *state;				/* [variables][n] */
	const int32_t *param;			/* [parameters][n] */
	int32_t *out;				/* [n] */
	uint32_t n;
	uint32_t first;				/* neurons before it are left alone */
	unsigned int flags;			/* of the packet */
};

/* --- networks of many neurons --- */

/* One time step of LIFEXP. */
struct snpu_lifexp_args {
	float *state;				/* [4][n] */
	const float *param;			/* [9][n], with SHARED [9] */
	uint32_t n;
	unsigned int flags;			/* SNPU_NEURON_GE, SNPU_LIFEXP_SHARED */
};

/* A segment of SPARSE, judged, for the entry whose row it is in. */
struct snpu_sparse_segment {
	const uint16_t *target;			/* [count] in the block */
	const float *weight;			/* [count]; NULL: `add` is all there is to add */
	float add;				/* weight * value, or with weights the value */
	uint32_t limit;				/* targets from the block's first on */
	uint16_t delay, count, block;
};

struct snpu_sparse_args {
	const struct snpu_sparse_segment *segment;	/* [segments], in order */
	uint64_t segments;
	float *ring;				/* [slots][n_out] */
	uint32_t n_out, slots, position;
};

/* --- language models. Each works on a part [from, to) of what its comment names, so that threads can share a packet. --- */

/* Spike lists of several vectors, copied and checked. */
struct snpu_spike_rows {
	const struct snpu_spike *spike;		/* entries, row after row; channels ascending in a row */
	const uint64_t *first;			/* [rows + 1] where a row's entries begin */
	const float *vth;			/* [rows] */
	uint32_t rows;
};

struct snpu_spmv_args {
	struct snpu_spike_rows in;		/* of groups * 128 channels */
	const int8_t *weights;			/* [tiles][groups * 128][64], 64-byte aligned */
	const float *scales;			/* [tiles][groups][64] */
	const uint32_t *index;			/* [tiles * groups + 1] of the residual, a copy, checked; NULL: none */
	const struct snpu_residual *residual;	/* [index[tiles * groups]]; others may write there: mask channel and output */
	const float *bias;			/* [n_out] or NULL */
	float *out;				/* [rows][n_out] */
	void *scratch;				/* [spmv_scratch(a)] bytes, 64-byte aligned, filled by spmv_prepare */
	uint32_t groups, n_out;
};

/* y[r][o] = x[r] . w[o]; the bf16 or f32 matrix is [n_out][n_in]. */
struct snpu_matmul_args {
	const float *x;				/* [rows][n_in] */
	const void *weights;			/* [n_out][n_in] */
	const float *bias;			/* [n_out] or NULL */
	float *out;				/* [rows][n_out] */
	uint32_t n_in, n_out, rows;
	bool bf16;
};

struct snpu_gla_args {
	const float *q;				/* [rows][kv * group][d] */
	const float *k, *v, *g;			/* [rows][kv][d] */
	float *state;				/* [kv][d][d] */
	float *out;				/* [rows][kv * group][d] */
	uint32_t kv, group, d, rows;
};

struct snpu_swa_args {
	const float *q;				/* [kv * group][d], without INT8 */
	struct snpu_spike_rows spikes;		/* kv * group lists of d channels, with INT8 */
	const void *cache;			/* as SNPU_KV_WORDS describes */
	float *out;				/* [kv * group][d] */
	float *scratch;				/* [swa_scratch(a)] bytes for each call */
	uint32_t kv, group, d, slots, keys, position;	/* keys: min(position + 1, window, slots) */
	bool int8;
};

/* Neuron kernels return how many outputs are spikes; those without a threshold return 0. */
typedef uint64_t snpu_neuron_fn(const struct snpu_neuron_args *a);
typedef uint64_t snpu_qneuron_fn(const struct snpu_qneuron_args *a);

struct snpu_kernels {
	const char *name;			/* "scalar", "avx2", "avx512" */
	void (*linear)(const struct snpu_linear_args *a);
	/* Writes an entry for each x[c] != 0, and nothing past the last; returns their number. ev: room for n. */
	uint32_t (*evpack)(const float *x, uint32_t n, struct snpu_event *ev);
	void (*evunpack)(const struct snpu_event *ev, uint32_t count, float *x, uint32_t n);
	/* Event by event, and (optional) window by window with the same bits. Both return how many (event, window) pairs met. */
	uint64_t (*conv)(const struct snpu_conv_args *a);
	uint64_t (*conv_dense)(const struct snpu_conv_args *a);
	void (*add)(const float *a, const float *b, float *out, uint32_t n);
	void (*scale)(const float *x, const float *scale, float *out, uint32_t n);
	snpu_neuron_fn *threshold, *i, *if_, *li, *lif, *cubali, *cubalif;
	/* Neurons [from, to); puts an entry for each that fires to ev, room for to - from; returns their number. */
	uint32_t (*lifexp)(const struct snpu_lifexp_args *a, uint32_t from, uint32_t to, struct snpu_event *ev);
	/* x += slot, then slot = 0. */
	void (*take)(float *slot, float *x, uint32_t n);

	void (*qlinear)(const struct snpu_qlinear_args *a);
	uint64_t (*qconv)(const struct snpu_qconv_args *a);	/* returns how many (event, window) pairs met */
	void (*qadd)(const int32_t *a, const int32_t *b, int32_t *out, uint32_t n);
	void (*qscale)(const int32_t *x, const int32_t *scale, int32_t *out, uint32_t n);
	snpu_qneuron_fn *qthreshold, *qli, *qlif, *qcubali, *qcubalif;

	/* Rows [from, to); lists lie SNPU_EVENTS_WORDS(n) words apart; returns the number of all entries. */
	uint64_t (*encode)(const float *x, uint32_t n, float k, uint32_t *lists, uint32_t from, uint32_t to);
	/* (optional) What spmv needs to know about its lists, made once a packet. */
	size_t (*spmv_scratch)(const struct snpu_spmv_args *a);
	void (*spmv_prepare)(const struct snpu_spmv_args *a);
	void (*spmv)(const struct snpu_spmv_args *a, uint32_t from, uint32_t to);		/* tiles of 64 outputs */
	void (*matmul)(const struct snpu_matmul_args *a, uint32_t from, uint32_t to);		/* outputs */
	void (*silu_mul)(const float *gate, const float *up, float *out, uint32_t n);
	void (*rmsnorm)(const float *x, const float *weight, float *out, uint32_t n, float eps, uint32_t from, uint32_t to);	/* rows */
	void (*gla)(const struct snpu_gla_args *a, uint32_t from, uint32_t to);			/* key-value heads */
	size_t (*swa_scratch)(const struct snpu_swa_args *a);
	void (*swa)(const struct snpu_swa_args *a, uint32_t from, uint32_t to);			/* query heads */
};

/* SPARSE: what goes to blocks [first, first + count) of the targets. */
void snpu_sparse_f32(const struct snpu_sparse_args *a, uint32_t first, uint32_t count);

/* POOL and QPOOL: scattered additions, which no vector makes faster. */
void snpu_pool_f32(const struct snpu_pool_args *a);
void snpu_qpool(const struct snpu_qpool_args *a);

extern const struct snpu_kernels snpu_kernels_scalar, snpu_kernels_avx2, snpu_kernels_avx512, snpu_kernels_avx512vnni;

/*
 * avx512.c compiled against SIMDe instead of the CPU's instructions, so that its source is tested on machines without
 * AVX-512. Only test programs link it; it is used when the CPU has no AVX-512 and somebody asks for it.
 */
extern const struct snpu_kernels snpu_kernels_avx512_emulated __attribute__((weak));

/*
 * The kernels for an instruction set, AUTO: the best this CPU has. NULL when the CPU does not have it.
 */
const struct snpu_kernels *snpu_kernels_get(enum snpu_cpu_isa isa);

#endif
