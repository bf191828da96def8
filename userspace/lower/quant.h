/* SPDX-License-Identifier: MIT */
/*
 * A network in integers: what one unit of every value is worth, decided once for a session, and the integers that follow from it.
 * docs/nir.md says how. quant.c decides, quant_pack.c packs. One thread.
 */
#ifndef SNPU_LOWER_QUANT_H
#define SNPU_LOWER_QUANT_H

#include "lower/semantics.h"

struct snpu_lowering;

struct snpu_quant_node {
	const double *unit;			/* [size] of its output */
	const double *in;			/* [in_size] of its input; NULL: it has none */
	const double *scale;			/* [size] synapses: a weight of 1 is so many units of the quantised one */
	uint32_t shift;				/* synapses: fractional bits */
	int32_t lift;				/* neurons: their input is multiplied by this before; 1: as it is */
	double *unit_v, *unit_i;		/* [size] neurons with states, NULL for others */
};

struct snpu_quant {
	const struct snpu_quant_node *node;	/* [n_nodes] */
};

/* How a neuron's state follows its input: per element, what the real current and membrane gain of 1, and keep of their own. */
struct snpu_quant_neuron {
	double *gain_i, *gain_v;		/* [size] gain_i: NULL without a current */
	double *keep_i, *keep_v;
	double *rest_v;				/* what is added in each step by v_leak */
};

static inline bool snpu_number_is_q(const struct snpu_semantics *s) { return s->number != SNPU_NUMBER_F32; }
/* The greatest size of a weight. */
static inline double snpu_quant_weight_max(enum snpu_number number) { return number == SNPU_NUMBER_INT16 ? 32767.0 : 127.0; }
/* The greatest size of a state, and fractional bits of a decay. */
static inline double snpu_quant_state_max(enum snpu_number number) { return number == SNPU_NUMBER_LOIHI24 ? 0x7fffff : 0x7fffffff; }
static inline unsigned snpu_quant_decay_bits(enum snpu_number number) { return number == SNPU_NUMBER_LOIHI24 ? SNPU_Q_DECAY_BITS_24 : SNPU_Q_DECAY_BITS; }

/* Decides; *q and what it points to are of `a`. -ENOTSUP: the network cannot be run in integers, and the sentence says which node. */
int snpu_quant_decide(const struct snpu_model *m, const struct snpu_semantics *sem, struct snpu_arena *a, struct snpu_quant **q) SNPU_MUST_CHECK;
/* Of a neuron with states; arrays of `a`. -ENOMEM, -ENOTSUP. */
int snpu_quant_neuron(const struct snpu_semantics *sem, const struct snpu_node *n, double if_gain, struct snpu_arena *a, struct snpu_quant_neuron *out)
	SNPU_MUST_CHECK;
/* A parameter spread over a node's elements, of `a`. NULL: no memory. */
const float *snpu_quant_spread(const struct snpu_node *n, const char *param, struct snpu_arena *a);

/* What a weight between two elements becomes: a whole number within +-most. */
double snpu_quant_weight(const struct snpu_quant_node *q, uint64_t out, uint64_t in, double weight, double most);
/* Puts it as element `at` of int8 or, wide, int16. */
void snpu_quant_put(void *to, bool wide, uint64_t at, double whole);
/*
 * Calls fn for every weight of a matrix or of kernels, with the output and the input it belongs to, of a convolution the first ones of their
 * channels, and with its element in the kernel.
 */
typedef void snpu_quant_weight_fn(void *arg, uint64_t out, uint64_t in, uint64_t element, double weight);
void snpu_quant_each_weight(const struct snpu_node *n, snpu_quant_weight_fn *fn, void *arg);
/* quant_info.c: how a node became integers; *out zeroed. -ENOMEM. */
int snpu_quant_info(const struct snpu_lowering *l, unsigned node, struct snpu_quant_info *out) SNPU_MUST_CHECK;
/* The packet of integers that stands for one of floats; itself where bits are moved. */
unsigned snpu_quant_opcode(unsigned opcode);
/* Flags of a neuron's packet. */
uint8_t snpu_quant_flags(const struct snpu_semantics *s, const struct snpu_kind *kind);
uint64_t snpu_quant_weight_bytes(const struct snpu_lowering *l, const struct snpu_node *n);
/* Rows of a node's parameter block, the one for its lift last. */
unsigned snpu_quant_rows(const struct snpu_lowering *l, const struct snpu_node *n);
/* weights, constants: of the node, zeroed, NULL when it has none. -ERANGE: a number does not fit. */
int snpu_quant_pack(const struct snpu_lowering *l, unsigned node, void *weights, int32_t *constants) SNPU_MUST_CHECK;

/* Numbers of the caller as integers, in place; and back, in units. n: elements of a step. */
int snpu_quant_in(const char *input, float *values, uint64_t count, uint64_t n) SNPU_MUST_CHECK;
void snpu_quant_out(const struct snpu_quant *q, unsigned node, int state, float *values, uint64_t count, uint64_t n);

#endif
