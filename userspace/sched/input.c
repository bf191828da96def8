/* SPDX-License-Identifier: MIT */
/* The caller's arrays as the model's inputs; see input.h. */
#include "core/finite.h"
#include "sched/input.h"

#include <math.h>
#include <string.h>

/* Are the array's axes from `from` on the node's shape? */
static bool tail_is(const struct snpu_array *a, unsigned from, const struct snpu_node *n)
{
	return a->rank == from + n->rank && !memcmp(a->shape + from, n->shape, n->rank * sizeof(*n->shape));
}

/* Or one axis with as many elements, or none where the node has one? */
static bool tail_holds(const struct snpu_array *a, unsigned from, const struct snpu_node *n)
{
	return (a->rank == from + 1 && a->shape[from] == n->size) || (a->rank == from && n->size == 1);
}

/* The exact shapes first: [60][1] is 60 steps of a node of shape (1), not 60 samples of one step. */
static int match_plain(const struct snpu_node *n, struct snpu_feed *f)
{
	const struct snpu_array *a = f->array;
	bool samples = a->rank >= 2 && tail_is(a, 2, n), steps = a->rank >= 1 && tail_is(a, 1, n);

	if (!samples && !steps) {
		samples = a->rank >= 2 && tail_holds(a, 2, n);
		steps = a->rank >= 1 && tail_holds(a, 1, n);
	}
	if (samples) {
		f->samples = a->shape[0];
		f->steps = a->shape[1];
	} else if (steps) {
		f->samples = 1;
		f->steps = a->shape[0];
	} else {
		return snpu_fail(-EINVAL, "the array for input '%s' has the shape %s; it must be [sample][step] or [step], then %s", n->name,
				 SNPU_SHAPE(a->rank, a->shape), SNPU_SHAPE(n->rank, n->shape));
	}
	return 0;
}

static int match_image(const struct snpu_node *n, struct snpu_feed *f, uint32_t steps)
{
	const struct snpu_array *a = f->array;

	if (a->dtype != SNPU_U8)
		return snpu_fail(-EINVAL, "the images for input '%s' have elements of type %s; give uint8 pixels", n->name, snpu_dtype_name(a->dtype));
	if (!steps)
		return snpu_fail(-EINVAL, "the images for input '%s' need a number of time steps; give it with --steps (snpu_input.steps)", n->name);
	if (a->count == n->size)
		f->samples = 1;
	else if (a->rank && a->shape[0] && a->count % a->shape[0] == 0 && a->count / a->shape[0] == n->size)
		f->samples = a->shape[0];
	else
		return snpu_fail(-EINVAL, "the images for input '%s' have the shape %s; each must have the %llu pixels of %s", n->name,
				 SNPU_SHAPE(a->rank, a->shape), (unsigned long long)n->size, SNPU_SHAPE(n->rank, n->shape));
	f->steps = steps;
	return 0;
}

static int match_one(const struct snpu_model *m, const struct snpu_input *in, struct snpu_feed *f)
{
	const struct snpu_node *n = &m->nodes[f->node];
	int err;

	if (f->array)
		return snpu_fail(-EINVAL, "two arrays were given for input '%s'", n->name);
	if (!in->array || (in->array->count && !in->array->data))
		return snpu_fail(-EINVAL, "the array for input '%s' has no address", n->name);
	f->array = in->array;
	f->encoder = in->encoder;
	f->n = n->size;
	f->seed = in->seed;
	if (in->encoder > SNPU_ENCODE_LATENCY)
		return snpu_fail(-EINVAL, "input '%s' asks for the unknown encoder %u; use enum snpu_encoder", n->name, (unsigned)in->encoder);
	err = in->encoder ? match_image(n, f, in->steps) : match_plain(n, f);
	if (!err && (!f->samples || !f->steps))
		err = snpu_fail(-EINVAL, "the array for input '%s' has the shape %s, which is no sample or no step", n->name,
				SNPU_SHAPE(in->array->rank, in->array->shape));
	return err;
}

int snpu_feeds_match(const struct snpu_model *m, const struct snpu_input *inputs, unsigned n_inputs, struct snpu_feed *feeds)
{
	memset(feeds, 0, m->n_inputs * sizeof(*feeds));
	for (unsigned i = 0; i < m->n_inputs; i++)
		feeds[i].node = m->inputs[i];
	for (unsigned k = 0; k < n_inputs; k++) {
		unsigned i = 0;
		int err;

		if (!inputs[k].node && m->n_inputs > 1)
			return snpu_fail(-EINVAL, "the model has %u inputs; name the one each array is for", m->n_inputs);
		while (inputs[k].node && i < m->n_inputs && strcmp(m->nodes[m->inputs[i]].name, inputs[k].node))
			i++;
		if (i == m->n_inputs)
			return snpu_fail(-ENOENT, "the model has no input '%s'; its first is '%s'", inputs[k].node, m->nodes[m->inputs[0]].name);
		err = match_one(m, &inputs[k], &feeds[i]);
		if (err)
			return err;
	}
	for (unsigned i = 0; i < m->n_inputs; i++) {
		if (!feeds[i].array)
			return snpu_fail(-EINVAL, "no array was given for input '%s' %s", m->nodes[feeds[i].node].name,
					 SNPU_SHAPE(m->nodes[feeds[i].node].rank, m->nodes[feeds[i].node].shape));
		if (feeds[i].samples != feeds[0].samples || feeds[i].steps != feeds[0].steps)
			return snpu_fail(-EINVAL, "input '%s' has %llu samples of %llu steps, '%s' has %llu of %llu; give equal ones",
					 m->nodes[feeds[i].node].name, (unsigned long long)feeds[i].samples, (unsigned long long)feeds[i].steps,
					 m->nodes[feeds[0].node].name, (unsigned long long)feeds[0].samples, (unsigned long long)feeds[0].steps);
	}
	return 0;
}

/* One image as spikes [step][n]. */
static void encode(const struct snpu_feed *f, uint64_t sample, float *to)
{
	const uint8_t *pixels = (const uint8_t *)f->array->data + sample * f->n;

	if (f->encoder == SNPU_ENCODE_RATE)
		snpu_encode_rate(pixels, f->n, (uint32_t)f->steps, f->seed + sample, to);
	else if (f->encoder == SNPU_ENCODE_LATENCY)
		snpu_encode_latency(pixels, f->n, (uint32_t)f->steps, to);
	else
		snpu_encode_image(pixels, f->n, (uint32_t)f->steps, to);
}

int snpu_feed_fill(const struct snpu_model *m, const struct snpu_feed *f, uint64_t first, uint64_t count, float *to)
{
	bool floats = f->array->dtype == SNPU_F32 || f->array->dtype == SNPU_F64;
	uint64_t step = f->steps * f->n;
	int err;

	if (f->encoder) {
		for (uint64_t i = 0; i < count; i++)
			encode(f, first + i, to + i * step);
		return 0;
	}
	err = snpu_array_to_f32(f->array, first * step, count * step, to);
	if (err || !floats || snpu_all_finite(to, count * step))
		return err;
	for (uint64_t i = 0; i < count * step && !err; i++)
		if (!isfinite(to[i]))
			err = snpu_fail(-EINVAL, "the array for input '%s' has %g in sample %llu, step %llu; only finite numbers can be run",
					m->nodes[f->node].name, (double)to[i], (unsigned long long)(first + i / step),
					(unsigned long long)(i % step / f->n));
	return err;
}
