/* SPDX-License-Identifier: MIT */
/*
 * The kernels in terms of a vector of LANES floats, included by avx2.c and avx512.c after they have defined:
 *
 *	LANES, K(name)			lanes; decorates a kernel's name with the machine
 *	vec, vmask			LANES floats; LANES truth values
 *	vload(p, k), vstore(p, v, k)	the first k of LANES floats, no alignment, nothing else touched; other lanes load 0
 *	vset(f), vadd, vsub, vmul	one rounding each
 *	vdiv, vtrunc			likewise; to the next integer toward zero
 *	vgt, vge			false where either is NaN
 *	vpick(m, a, b)			a where m, else b
 *	vbits(m)			bit per lane
 *
 * The order of operations is that of scalar.c, operator by operator. k is LANES for all but the last vector, and the
 * functions are always inlined, so the common case compiles to plain loads and stores.
 */
#define INLINE	static inline __attribute__((always_inline))

#define UNROLL	_Pragma("GCC unroll 8")
#define VECTORS	(SNPU_TILE / LANES)		/* in a burst of weights */
#define STREAM_AHEAD	4096u			/* bytes ahead of one stream of memory that are prefetched */
#define AHEAD	16u				/* events whose weights are prefetched: covers L3 latency; 8 and 24 are slower */

/*
 * `vectors` vectors of one tile's outputs; outputs past n are computed and not stored. Unrolled, so that the accumulators
 * live in registers.
 */
INLINE void linear_tile(const struct snpu_linear_args *a, const float *w, uint32_t first, uint32_t n, unsigned int vectors)
{
	vec acc[VECTORS];

	UNROLL for (unsigned int j = 0; j < vectors; j++)
		acc[j] = vset(0.0f);
	for (uint32_t e = 0; e < a->count; e++) {
		const float *burst = w + (uint64_t)a->ev[e].channel * SNPU_TILE;
		vec value = vset(a->ev[e].value);

		if (e + AHEAD < a->count) {
			const float *next = w + (uint64_t)a->ev[e + AHEAD].channel * SNPU_TILE;

			UNROLL for (unsigned int j = 0; j < vectors * LANES; j += 16)
				__builtin_prefetch(next + j);
		}
		UNROLL for (unsigned int j = 0; j < vectors; j++)
			acc[j] = vadd(acc[j], vmul(vload(burst + j * LANES, LANES), value));
	}
	UNROLL for (unsigned int j = 0; j < vectors; j++) {
		uint32_t o = j * LANES, k = n - o < LANES ? n - o : LANES;

		if (a->bias)
			acc[j] = vadd(acc[j], vload(a->bias + first + o, k));
		vstore(a->out + first + o, acc[j], k);
	}
}

static void K(snpu_linear_f32)(const struct snpu_linear_args *a)
{
	for (uint32_t tile = 0; tile < SNPU_TILES(a->n_out); tile++) {
		const float *w = a->weights + (uint64_t)tile * a->n_in * SNPU_TILE;	/* [n_in][64] */
		uint32_t first = tile * SNPU_TILE, n = a->n_out - first < SNPU_TILE ? a->n_out - first : SNPU_TILE;

		/* Accumulators must have constant indices to live in registers. */
		switch ((n + LANES - 1) / LANES) {
		case 1: linear_tile(a, w, first, n, 1); break;
		case 2: linear_tile(a, w, first, n, 2); break;
		case 3: linear_tile(a, w, first, n, 3); break;
#if VECTORS > 4
		case 4: linear_tile(a, w, first, n, 4); break;
		case 5: linear_tile(a, w, first, n, 5); break;
		case 6: linear_tile(a, w, first, n, 6); break;
		case 7: linear_tile(a, w, first, n, 7); break;
#endif
		default: linear_tile(a, w, first, n, VECTORS);
		}
	}
}

static void K(snpu_evunpack_f32)(const struct snpu_event *ev, uint32_t count, float *x, uint32_t n)
{
	snpu_kernels_scalar.evunpack(ev, count, x, n);		/* a memset and a scatter: nothing to gain */
}

#define EACH(n) {									\
		uint32_t c = 0;								\
		for (; c + LANES <= (n); c += LANES)					\
			STEP(LANES);							\
		if (c < (n))								\
			STEP((n) - c);							\
	}

static void K(snpu_add_f32)(const float *a, const float *b, float *out, uint32_t n)
{
#define STEP(k) vstore(out + c, vadd(vload(a + c, k), vload(b + c, k)), k)
	EACH(n)
#undef STEP
}

static void K(snpu_scale_f32)(const float *x, const float *scale, float *out, uint32_t n)
{
#define STEP(k) vstore(out + c, vmul(vload(x + c, k), vload(scale + c, k)), k)
	EACH(n)
#undef STEP
}

/* --- neurons: each step works on elements c .. c + k - 1 and returns the mask of spikes ------------------------ */

INLINE vmask passes(vec v, vec threshold, unsigned int flags)
{
	return flags & SNPU_NEURON_GE ? vge(v, threshold) : vgt(v, threshold);
}

#define PARAM(row)	vload(a->param + (uint64_t)(row) * a->n + c, k)

/* The rare ways of firing, together; row: of v_threshold, v_reset follows, then the rows that flags ask for. */
struct firing {
	vec threshold, reset, most, floor;
	unsigned int flags;
};

INLINE vec spikes_of(vec v, const struct firing *f)
{
	vec q, one = vset(1.0f);

	if (!(f->flags & SNPU_NEURON_MULTI))
		return vpick(passes(v, f->threshold, f->flags), one, vset(0.0f));
	q = vtrunc(vdiv(v, f->threshold));
	q = vpick(vgt(q, one), q, one);
	q = vpick(vgt(f->most, q), q, f->most);
	return vpick(passes(v, f->threshold, f->flags), q, vset(0.0f));
}

INLINE vec after_spikes(vec v, vec n, const struct firing *f)
{
	vec after = f->reset, size = f->threshold, zero = vset(0.0f);

	if ((f->flags & SNPU_NEURON_RESET_MASK) == SNPU_NEURON_RESET_DELTA)
		size = vsub(f->threshold, f->reset);
	if (f->flags & SNPU_NEURON_RESET_MASK)
		after = vsub(v, vmul(n, size));
	return vpick(vge(n, zero), vpick(vgt(n, zero), after, v), after);
}

INLINE unsigned int fire_general(const struct snpu_neuron_args *a, uint32_t c, uint32_t k, vec v, unsigned int row)
{
	bool multi = a->flags & SNPU_NEURON_MULTI, late = a->flags & SNPU_NEURON_LATE;
	struct firing f = { .threshold = PARAM(row), .reset = PARAM(row + 1), .most = multi ? PARAM(row + 2) : vset(1.0f), .flags = a->flags };
	vec m = vset(0.0f), z;

	if (late)
		m = spikes_of(vload(a->state + c, k), &f);
	v = after_spikes(v, m, &f);
	z = spikes_of(v, &f);
	if (!late || a->flags & SNPU_NEURON_NOW)
		v = after_spikes(v, vsub(z, m), &f);
	if (a->flags & SNPU_NEURON_FLOOR) {
		vec floor = PARAM(row + 2 + multi);

		v = vpick(vgt(floor, v), floor, v);
	}
	vstore(a->state + c, v, k);
	vstore(a->out + c, z, k);
	return ~(vbits(vge(z, vset(0.0f))) & vbits(vge(vset(0.0f), z))) & ((1u << LANES) - 1);	/* not zero; NaN is not */
}

/* Stores output and v after firing; row: of v_threshold in the parameters, v_reset follows. flags: a->flags, a constant where that is faster. */
INLINE unsigned int fire(const struct snpu_neuron_args *a, uint32_t c, uint32_t k, vec v, unsigned int row, unsigned int flags)
{
	vec threshold = PARAM(row), reset = PARAM(row + 1), after = reset;
	vmask z = passes(v, threshold, flags);

	if ((flags & SNPU_NEURON_RESET_MASK) == SNPU_NEURON_RESET_SUBTRACT)
		after = vsub(v, threshold);
	else if ((flags & SNPU_NEURON_RESET_MASK) == SNPU_NEURON_RESET_DELTA)
		after = vsub(v, vsub(threshold, reset));
	vstore(a->state + c, vpick(z, after, v), k);
	vstore(a->out + c, vpick(z, vset(1.0f), vset(0.0f)), k);
	return vbits(z);
}

/* v that is also the output. */
INLINE unsigned int show(const struct snpu_neuron_args *a, uint32_t c, uint32_t k, vec v)
{
	vstore(a->state + c, v, k);
	vstore(a->out + c, v, k);
	return 0;
}

INLINE unsigned int threshold_step(const struct snpu_neuron_args *a, uint32_t c, uint32_t k)
{
	vmask z = passes(vload(a->x + c, k), vload(a->param + c, k), a->flags);

	vstore(a->out + c, vpick(z, vset(1.0f), vset(0.0f)), k);
	return vbits(z);
}

INLINE vec integrate(const struct snpu_neuron_args *a, uint32_t c, uint32_t k)
{
	return vadd(vload(a->state + c, k), vmul(PARAM(0), vload(a->x + c, k)));
}

INLINE vec leak(const struct snpu_neuron_args *a, uint32_t c, uint32_t k)
{
	vec v = vload(a->state + c, k);

	return vadd(v, vmul(PARAM(0), vsub(vadd(PARAM(2), vmul(PARAM(1), vload(a->x + c, k))), v)));
}

INLINE vec cuba(const struct snpu_neuron_args *a, uint32_t c, uint32_t k)
{
	vec v = vload(a->state + c, k), i = vload(a->state + a->n + c, k);

	i = vadd(i, vmul(PARAM(0), vsub(vmul(PARAM(1), vload(a->x + c, k)), i)));
	vstore(a->state + a->n + c, i, k);
	return vadd(v, vmul(PARAM(2), vsub(vadd(PARAM(4), vmul(PARAM(3), i)), v)));
}

/* A kernel that does STEP_ with every vector; ONE names the step. */
#define NEURON_LOOP(ONE, STEP_)								\
	INLINE unsigned int ONE##_one(const struct snpu_neuron_args *a, uint32_t c, uint32_t k)	\
	{										\
		return STEP_;								\
	}										\
	static uint64_t K(ONE)(const struct snpu_neuron_args *args)			\
	{										\
		const struct snpu_neuron_args a = *args;	/* a copy that no store can change */	\
		uint64_t spikes = 0;							\
		uint32_t c = 0;								\
											\
		for (; c + LANES <= a.n; c += LANES)					\
			spikes += (unsigned int)__builtin_popcount(ONE##_one(&a, c, LANES));	\
		if (c < a.n)		/* lanes past the end hold zeroes, which may pass a threshold of zero */	\
			spikes += (unsigned int)__builtin_popcount(ONE##_one(&a, c, a.n - c) & ((1u << (a.n - c)) - 1));	\
		return spikes;								\
	}

#define NEURON(name, STEP_)	NEURON_LOOP(snpu_##name##_f32, STEP_)
/* row: of v_threshold in the parameters */
#define NEURON_FIRES(name, UPDATE_, row)						\
	NEURON_LOOP(snpu_##name##_usual, fire(a, c, k, UPDATE_, row, 0))			\
	NEURON_LOOP(snpu_##name##_plain, fire(a, c, k, UPDATE_, row, a->flags))		\
	NEURON_LOOP(snpu_##name##_general, fire_general(a, c, k, UPDATE_, row))		\
	static uint64_t K(snpu_##name##_f32)(const struct snpu_neuron_args *a)		\
	{										\
		if (a->flags & SNPU_NEURON_FLAGS_1_3)					\
			return K(snpu_##name##_general)(a);				\
		return a->flags ? K(snpu_##name##_plain)(a) : K(snpu_##name##_usual)(a);	\
	}

NEURON(threshold, threshold_step(a, c, k))
NEURON(i, show(a, c, k, integrate(a, c, k)))
NEURON_FIRES(if, integrate(a, c, k), 1)
NEURON(li, show(a, c, k, leak(a, c, k)))
NEURON_FIRES(lif, leak(a, c, k), 3)
NEURON(cubali, show(a, c, k, cuba(a, c, k)))
NEURON_FIRES(cubalif, cuba(a, c, k), 5)

#include "kernels/lifexp.h"

#define KERNELS(name_)									\
	{ .name = name_, .linear = K(snpu_linear_f32), .evpack = K(snpu_evpack_f32), .evunpack = K(snpu_evunpack_f32),	\
	  .conv = K(snpu_conv_f32), .conv_dense = K(snpu_conv_dense_f32),							\
	  .add = K(snpu_add_f32), .scale = K(snpu_scale_f32), .threshold = K(snpu_threshold_f32), .i = K(snpu_i_f32),	\
	  .if_ = K(snpu_if_f32), .li = K(snpu_li_f32), .lif = K(snpu_lif_f32), .cubali = K(snpu_cubali_f32),		\
	  .cubalif = K(snpu_cubalif_f32), .lifexp = K(snpu_lifexp_f32), .take = K(snpu_take_f32), KERNELS_Q, KERNELS_LM }
