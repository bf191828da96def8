/* SPDX-License-Identifier: MIT */
/*
 * The arithmetic of the packets on this machine's CPU. scalar.c is the reference of docs/numerics.md; avx2.c and
 * avx512.c do the same operations in the same order on several elements at a time and give the same bits. The caller
 * has checked everything: sizes, overlaps, event lists. Pure functions, any thread.
 *
 * They rely on the default floating-point environment (round to nearest, denormals kept), which the caller's thread
 * must have, and on -ffp-contract=off.
 */
#ifndef SNPU_KERNELS_KERNELS_H
#define SNPU_KERNELS_KERNELS_H

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

/* Neuron kernels return how many outputs are spikes; those without a threshold return 0. */
typedef uint64_t snpu_neuron_fn(const struct snpu_neuron_args *a);

struct snpu_kernels {
	const char *name;			/* "scalar", "avx2", "avx512" */
	void (*linear)(const struct snpu_linear_args *a);
	/* Writes an entry for each x[c] != 0, and nothing past the last; returns their number. ev: room for n. */
	uint32_t (*evpack)(const float *x, uint32_t n, struct snpu_event *ev);
	void (*evunpack)(const struct snpu_event *ev, uint32_t count, float *x, uint32_t n);
	void (*add)(const float *a, const float *b, float *out, uint32_t n);
	void (*scale)(const float *x, const float *scale, float *out, uint32_t n);
	snpu_neuron_fn *threshold, *i, *if_, *li, *lif, *cubali, *cubalif;
};

extern const struct snpu_kernels snpu_kernels_scalar, snpu_kernels_avx2, snpu_kernels_avx512;

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
