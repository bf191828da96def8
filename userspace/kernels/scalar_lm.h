/* SPDX-License-Identifier: MIT */
/*
 * The scalar kernels of language models by name: for the reference's table, for tables of SIMD kernels that have nothing
 * better, and for the packets that have no table entry because they are bound by memory or tiny. Pure functions, any thread.
 */
#ifndef SNPU_KERNELS_SCALAR_LM_H
#define SNPU_KERNELS_SCALAR_LM_H

#include "kernels/kernels.h"

/* As the members of struct snpu_kernels describe. */
uint64_t snpu_encode__scalar(const float *x, uint32_t n, float k, uint32_t *lists, uint32_t from, uint32_t to);
void snpu_spmv__scalar(const struct snpu_spmv_args *a, uint32_t from, uint32_t to);
void snpu_matmul__scalar(const struct snpu_matmul_args *a, uint32_t from, uint32_t to);
void snpu_silu_mul__scalar(const float *gate, const float *up, float *out, uint32_t n);
void snpu_rmsnorm__scalar(const float *x, const float *weight, float *out, uint32_t n, float eps, uint32_t from, uint32_t to);
void snpu_gla__scalar(const struct snpu_gla_args *a, uint32_t from, uint32_t to);
size_t snpu_swa_scratch__scalar(const struct snpu_swa_args *a);
void snpu_swa__scalar(const struct snpu_swa_args *a, uint32_t from, uint32_t to);

/* These members of a table. */
#define SNPU_LM_SCALAR									\
	.encode = snpu_encode__scalar, .spmv = snpu_spmv__scalar, .matmul = snpu_matmul__scalar,	\
	.silu_mul = snpu_silu_mul__scalar, .rmsnorm = snpu_rmsnorm__scalar, .gla = snpu_gla__scalar,	\
	.swa_scratch = snpu_swa_scratch__scalar, .swa = snpu_swa__scalar

/* --- packets without a table entry ----------------------------------------------------------------------------- */

/* index: checked; table: f32 or bf16 [][n]. */
void snpu_gather(const uint32_t *index, const void *table, float *out, uint32_t n, uint32_t rows, bool bf16);
/* x [rows][heads][2 * half] */
void snpu_rope(const uint32_t *position, const float *inv, float *x, uint32_t half, uint32_t heads, uint32_t rows);
/* k, v [kv][d] */
void snpu_kv_append(const float *k, const float *v, uint32_t position, void *cache, uint32_t kv, uint32_t d, uint32_t slots, bool int8);
/* x [rows][n], out [rows] */
void snpu_argmax(const float *x, uint32_t *out, uint32_t n, uint32_t rows);

#endif
