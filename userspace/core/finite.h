/* SPDX-License-Identifier: MIT */
/* Are numbers from outside finite? A pure function, any thread. */
#ifndef SNPU_CORE_FINITE_H
#define SNPU_CORE_FINITE_H

#include <stdbool.h>
#include <stddef.h>

/* Without a branch in between, so that several are looked at at a time. */
bool snpu_all_finite(const float *v, size_t n);

#endif
