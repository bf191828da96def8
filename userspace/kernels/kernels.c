/* SPDX-License-Identifier: MIT */
/* Chooses kernels by what the CPU and the operating system offer. Any thread. */
#include "kernels/kernels.h"

#include <stdbool.h>
#include <stddef.h>

static bool have_avx2(void)
{
	return __builtin_cpu_supports("avx2");
}

static bool have_avx512(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
	       __builtin_cpu_supports("avx512bw");
}

static const struct snpu_kernels *best_avx512(void)
{
	return __builtin_cpu_supports("avx512vnni") ? &snpu_kernels_avx512vnni : &snpu_kernels_avx512;
}

const struct snpu_kernels *snpu_kernels_get(enum snpu_cpu_isa isa)
{
	switch (isa) {
	case SNPU_CPU_AUTO:
		return have_avx512() ? best_avx512() : have_avx2() ? &snpu_kernels_avx2 : &snpu_kernels_scalar;
	case SNPU_CPU_SCALAR:
		return &snpu_kernels_scalar;
	case SNPU_CPU_AVX2:
		return have_avx2() ? &snpu_kernels_avx2 : NULL;
	case SNPU_CPU_AVX512:
		return have_avx512() ? best_avx512() : &snpu_kernels_avx512_emulated;	/* NULL unless a test linked it */
	}
	return NULL;
}
