/* SPDX-License-Identifier: MIT */
/*
 * Packets of integers: the limits that all of their kernels share, and the kernels of the reference, which the vector kernels call for what they
 * cannot do. Pure functions.
 */
#ifndef SNPU_KERNELS_QUANT_H
#define SNPU_KERNELS_QUANT_H

#include "kernels/kernels.h"

static inline int64_t quant_within(int64_t x, int64_t most) { return x > most ? most : x < -most ? -most : x; }
static inline int32_t quant_limit(int64_t x) { return (int32_t)quant_within(x, INT32_MAX); }
static inline int32_t quant_count(int32_t count) { return (int32_t)quant_within(count, SNPU_Q_MAX_COUNT); }

/* What a sum gives. */
static inline int32_t quant_output(int64_t sum, uint32_t shift, int32_t bias)
{
	return quant_limit(quant_limit(sum) * (1ll << shift) + bias);
}

void snpu_qlinear__scalar(const struct snpu_qlinear_args *a);
uint64_t snpu_qconv__scalar(const struct snpu_qconv_args *a);
void snpu_qadd__scalar(const int32_t *a, const int32_t *b, int32_t *out, uint32_t n);
void snpu_qscale__scalar(const int32_t *x, const int32_t *scale, int32_t *out, uint32_t n);
snpu_qneuron_fn snpu_qthreshold__scalar, snpu_qli__scalar, snpu_qlif__scalar, snpu_qcubali__scalar, snpu_qcubalif__scalar;

/* The part of a table that has no vector kernels. */
#define SNPU_Q_SCALAR								\
	.qadd = snpu_qadd__scalar, .qscale = snpu_qscale__scalar,		\
	.qthreshold = snpu_qthreshold__scalar
#define SNPU_Q_NEURONS_SCALAR							\
	.qli = snpu_qli__scalar, .qlif = snpu_qlif__scalar,			\
	.qcubali = snpu_qcubali__scalar, .qcubalif = snpu_qcubalif__scalar

#endif
