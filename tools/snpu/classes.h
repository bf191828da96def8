/* SPDX-License-Identifier: MIT */
/* Which class a sample's output names, for commands that compare runs. Pure functions. */
#ifndef SNPU_TOOLS_CLASSES_H
#define SNPU_TOOLS_CLASSES_H

#include <stdint.h>

/* What one of n neurons gave in all steps. v: its value in the first of [steps][n] */
double snpu_class_sum(const float *v, uint64_t steps, uint64_t n);
/* The neuron with the largest sum; -1 when all are zero. v: [steps][n] */
int64_t snpu_class_of(const float *v, uint64_t steps, uint64_t n);

#endif
