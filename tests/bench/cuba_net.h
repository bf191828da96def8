/* SPDX-License-Identifier: MIT */
/*
 * CUBA, the network of current-based neurons of Vogels and Abbott (2005) as Brette et al. (2007) made a benchmark of it: n leaky integrate and fire neurons,
 * four fifths excitatory, about 80 synapses each to targets drawn by chance, no delay but the step, dt 0.1 ms.
 */
#ifndef SNPU_TESTS_CUBA_NET_H
#define SNPU_TESTS_CUBA_NET_H

#include <stdlib.h>

#include "snpu/snpu_net.h"

#define CUBA_DT		1e-4
#define CUBA_SYNAPSES	80.0			/* of a neuron, on average */

static inline uint64_t cuba_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* Membranes begin anywhere between reset and threshold. */
static inline int cuba_membranes(struct snpu_net *net, uint32_t n, uint64_t seed)
{
	double *v = malloc(n * sizeof(*v));
	int err = v ? 0 : -1;

	for (uint32_t i = 0; i < n && v; i++)
		v[i] = -0.060 + 0.010 * ((double)(cuba_random(&seed) >> 11) * 0x1p-53);
	if (!err)
		err = snpu_net_set(net, 0, "v", n, v);
	free(v);
	return err;
}

/* delay_most: 0, or delays of up to so many seconds instead of none. */
static inline int cuba_build(uint32_t n, uint64_t seed, double delay_most, struct snpu_net **out)
{
	static const struct { const char *name; double value; } params[] = {
		{ "tau_m", 20e-3 }, { "tau_e", 5e-3 }, { "tau_i", 10e-3 }, { "v_rest", -49e-3 }, { "v_threshold", -50e-3 }, { "v_reset", -60e-3 },
		{ "refractory", 5e-3 },
	};
	struct snpu_net_random r = { .sz = sizeof(r), .name = "exc", .receptor = SNPU_NET_E, .source_count = n / 5 * 4, .probability = CUBA_SYNAPSES / n,
				     .seed = seed, .weight = 1.62e-3, .delay_most = delay_most };
	struct snpu_net *net;
	int err = snpu_net_create(CUBA_DT, &net);

	if (err)
		return err;
	err = snpu_net_add_population(net, "cells", SNPU_NET_LIF, n);
	for (unsigned int i = 0; i < sizeof(params) / sizeof(params[0]) && err >= 0; i++)
		err = snpu_net_set(net, 0, params[i].name, 1, &params[i].value);
	if (err >= 0)
		err = cuba_membranes(net, n, seed);
	if (err >= 0)
		err = snpu_net_add_random(net, &r);
	r = (struct snpu_net_random){ .sz = sizeof(r), .name = "inh", .receptor = SNPU_NET_I, .source_first = n / 5 * 4, .probability = CUBA_SYNAPSES / n,
				      .seed = seed + 1, .weight = -9e-3, .delay_most = delay_most };
	if (err >= 0)
		err = snpu_net_add_random(net, &r);
	if (err < 0) {
		snpu_net_free(net);
		return err;
	}
	*out = net;
	return 0;
}

#endif
