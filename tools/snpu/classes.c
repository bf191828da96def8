// SPDX-License-Identifier: MIT
/* See classes.h. */
#include "classes.h"

double snpu_class_sum(const float *v, uint64_t steps, uint64_t n)
{
	double sum = 0;

	for (uint64_t t = 0; t < steps; t++)
		sum += (double)v[t * n];
	return sum;
}

int64_t snpu_class_of(const float *v, uint64_t steps, uint64_t n)
{
	int64_t best = -1;
	double top = 0;

	for (uint64_t k = 0; k < n; k++) {
		double s = snpu_class_sum(v + k, steps, n);

		if (best < 0 ? s != 0 : s > top) {
			top = s;
			best = (int64_t)k;
		}
	}
	return best;
}
