/* SPDX-License-Identifier: MIT */
/* The AVX-512 kernels for CPUs that also have VNNI, whose products of counts and codes are one instruction. */
#define SNPU_AVX512_VNNI
#include "kernels/avx512.c"
