/* SPDX-License-Identifier: MIT */
/*
 * The kernels of firing neurons in every table, the emulated one too, against the scalar reference, bit for bit: all flags, sizes with
 * ends that fill no vector, thresholds of zero and below, infinities. The conformance suite runs only what this CPU has.
 */
#include <math.h>

#include "kernels/kernels.h"
#include "tests/harness.h"

#define N_MAX	70u
#define GUARD	16u			/* floats after an output that must stay as they are */

FIXTURE(neuron) {
	const struct snpu_kernels *k;
	uint64_t seed;
};

FIXTURE_VARIANT(neuron) {
	const struct snpu_kernels *k;
	bool avx512;				/* the CPU must have it */
};

FIXTURE_VARIANT_ADD(neuron, avx2) { &snpu_kernels_avx2, false };
FIXTURE_VARIANT_ADD(neuron, avx512) { &snpu_kernels_avx512, true };
FIXTURE_VARIANT_ADD(neuron, avx512_emulated) { &snpu_kernels_avx512_emulated, false };

FIXTURE_SETUP(neuron)
{
	if (variant->avx512 && snpu_kernels_get(SNPU_CPU_AVX512) == &snpu_kernels_avx512_emulated)
		SKIP("this CPU has no AVX-512");
	if (!snpu_kernels_get(SNPU_CPU_AVX2))
		SKIP("this CPU has no AVX2");
	self->k = variant->k;
	self->seed = 1;
}

FIXTURE_TEARDOWN(neuron) { }

static void fill(struct neuron *t, float *to, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		t->seed = t->seed * 6364136223846793005ull + 1442695040888963407ull;
		uint32_t r = (uint32_t)(t->seed >> 33);

		to[i] = r % 97 == 0 ? 0.0f : r % 89 == 0 ? INFINITY : (float)((int)(r % 4001) - 1500) / 256.0f;
	}
}

struct kernel {
	snpu_neuron_fn *fn, *ref;
	uint32_t states, params;
};

static void check(struct neuron *t, const struct kernel *k, unsigned int flags, uint32_t n)
{
	float x[N_MAX], param[9 * N_MAX], state[2][2 * N_MAX + GUARD], out[2][N_MAX + GUARD];
	uint64_t spikes[2];

	fill(t, x, n);
	fill(t, param, (k->params + 2) * n);
	fill(t, state[0], k->states * n + GUARD);
	fill(t, out[0], n + GUARD);
	memcpy(state[1], state[0], (k->states * n + GUARD) * sizeof(float));
	memcpy(out[1], out[0], (n + GUARD) * sizeof(float));
	for (int i = 0; i < 2; i++) {
		struct snpu_neuron_args a = { .x = x, .state = state[i], .param = param, .out = out[i], .n = n, .flags = flags };

		spikes[i] = (i ? k->fn : k->ref)(&a);
	}
	EXPECT_EQ(spikes[1], spikes[0]);
	for (uint32_t i = 0; i < n + GUARD && !th_failed; i++)
		EXPECT_TRUE(!memcmp(&out[0][i], &out[1][i], sizeof(float)) || (isnan(out[0][i]) && isnan(out[1][i])));
	for (uint32_t i = 0; i < k->states * n + GUARD && !th_failed; i++)
		EXPECT_TRUE(!memcmp(&state[0][i], &state[1][i], sizeof(float)) || (isnan(state[0][i]) && isnan(state[1][i])));
	if (th_failed)
		printf("# flags %#x, %u neurons, %u states\n", flags, n, k->states);
}

TEST_F(neuron, every_way_of_firing)
{
	const struct snpu_kernels *r = &snpu_kernels_scalar;
	const struct kernel kernels[] = { { self->k->if_, r->if_, 1, 3 }, { self->k->lif, r->lif, 1, 5 }, { self->k->cubalif, r->cubalif, 2, 7 } };

	for (unsigned int flags = 0; flags <= SNPU_NEURON_FLAGS; flags++)
		for (uint32_t n = 1; n <= N_MAX && (flags & SNPU_NEURON_RESET_MASK) != SNPU_NEURON_RESET_MASK; n += 1 + n / 3)
			for (int k = 0; k < 3 && !th_failed; k++)
				check(self, &kernels[k], flags, n);
}

TEST_HARNESS_MAIN
