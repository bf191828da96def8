/* SPDX-License-Identifier: MIT */
/*
 * The kernels of networks of many neurons in terms of simd.h's vectors: LIFEXP and TAKE. Included by simd.h. The order of operations
 * is that of scalar.c. Spikes are rare, so a neuron that fires is written to the list one by one, from the vector's bits.
 */

/* Parameter row: one number for all neurons, or one for each. */
#define ROW(q)	(shared ? vset(a->param[q]) : vload(a->param + (uint64_t)(q) * a->n + c, k))

/* Neurons c .. c + k - 1; returns a bit for each that fires. */
INLINE unsigned int lifexp_step(const struct snpu_lifexp_args *a, uint32_t c, uint32_t k, bool shared)
{
	float *state = a->state + c;
	uint64_t n = a->n;
	vec v = vload(state, k), e = vload(state + n, k), i = vload(state + 2 * n, k), hold = vload(state + 3 * n, k);
	vec u = vadd(vadd(vadd(ROW(0), vmul(ROW(1), v)), vmul(ROW(2), e)), vmul(ROW(3), i));
	vmask held = vgt(hold, vset(0.0f)), z = passes(u, ROW(6), a->flags);

	vstore(state, vpick(held, v, vpick(z, ROW(7), u)), k);
	vstore(state + n, vmul(ROW(4), e), k);
	vstore(state + 2 * n, vmul(ROW(5), i), k);
	vstore(state + 3 * n, vpick(held, vsub(hold, vset(1.0f)), vpick(z, ROW(8), hold)), k);
	return vbits(z) & ~vbits(held) & (k == LANES ? ~0u : (1u << k) - 1);
}
#undef ROW

INLINE uint32_t lifexp_range(const struct snpu_lifexp_args *args, uint32_t from, uint32_t to, struct snpu_event *ev, bool shared)
{
	const struct snpu_lifexp_args a = *args;	/* a copy that no store can change */
	uint32_t count = 0;

	for (uint32_t c = from, k; c < to; c += k) {
		unsigned int fired;

		k = LANES;
		if (to - c >= LANES)
			fired = lifexp_step(&a, c, LANES, shared);
		else
			fired = lifexp_step(&a, c, k = to - c, shared);
		for (; fired; fired &= fired - 1)
			ev[count++] = (struct snpu_event){ c + (uint32_t)__builtin_ctz(fired), 1.0f };
	}
	return count;
}

static uint32_t K(snpu_lifexp_f32)(const struct snpu_lifexp_args *a, uint32_t from, uint32_t to, struct snpu_event *ev)
{
	return a->flags & SNPU_LIFEXP_SHARED ? lifexp_range(a, from, to, ev, true) : lifexp_range(a, from, to, ev, false);
}

static void K(snpu_take_f32)(float *slot, float *x, uint32_t n)
{
#define STEP(k) do {								\
		vstore(x + c, vadd(vload(x + c, k), vload(slot + c, k)), k);	\
		vstore(slot + c, vset(0.0f), k);				\
	} while (0)
	EACH(n)
#undef STEP
}
