/* SPDX-License-Identifier: MIT */
/*
 * Windows that slide over images: Conv1d, Conv2d, SumPool2d, AvgPool2d. Their whole numbers as the file has them, and the
 * geometry that follows by the rules of torch; a sequence is an image of one row. What the file says about shapes is not believed.
 * One thread, the one that builds the model.
 */
#include <string.h>

#include "graph/graph.h"

enum { CONV = 1, POOL = 2 };

static const struct {
	const char *name;
	unsigned kinds;				/* that have it */
	int64_t least, most;
} numbers[SNPU_WINDOW_INTS] = {
	[SNPU_WINDOW_STRIDE] = { "stride", CONV | POOL, 1, SNPU_MAX_SIDE },
	[SNPU_WINDOW_PADDING] = { "padding", CONV | POOL, 0, SNPU_MAX_SIDE },
	[SNPU_WINDOW_DILATION] = { "dilation", CONV, 1, SNPU_MAX_SIDE },
	[SNPU_WINDOW_GROUPS] = { "groups", CONV, 1, SNPU_MAX_SIDE },
	[SNPU_WINDOW_KERNEL] = { "kernel_size", POOL, 1, SNPU_MAX_KERNEL },
	[SNPU_WINDOW_INPUT] = { "input_shape", CONV, 1, SNPU_MAX_SIDE },
};

static bool is_conv(const struct snpu_kind *kind) { return kind->id == SNPU_KIND_ID_CONV1D || kind->id == SNPU_KIND_ID_CONV2D; }
static unsigned axes(const struct snpu_node *n) { return snpu_node_is(n, SNPU_KIND_ID_CONV1D) ? 1 : 2; }

static int find(const struct snpu_kind *kind, const char *param)
{
	unsigned which = is_conv(kind) ? CONV : POOL;

	if (!(kind->flags & SNPU_KIND_WINDOW))
		return -1;
	for (int i = 0; i < SNPU_WINDOW_INTS; i++)
		if (numbers[i].kinds & which && !strcmp(numbers[i].name, param))
			return i;
	return -1;
}

const char *snpu_window_given(const struct snpu_node *n, enum snpu_window_int i, unsigned *count, int64_t values[2])
{
	if (!(n->kind->flags & SNPU_KIND_WINDOW) || !(numbers[i].kinds & (is_conv(n->kind) ? CONV : POOL)) || !n->given.number[i].n)
		return NULL;
	*count = n->given.number[i].n;
	memcpy(values, n->given.number[i].v, 2 * sizeof(*values));
	return numbers[i].name;
}

int snpu_window_has(const struct snpu_kind *kind, const char *param)
{
	int i = find(kind, param);

	return i < 0 ? 0 : i == SNPU_WINDOW_PADDING && is_conv(kind) ? 3 : 2;
}

/* One number for all axes, or one for each. */
int snpu_window_set_ints(struct snpu_node *n, const char *param, unsigned count, const int64_t *values)
{
	int i = find(n->kind, param);
	unsigned most = i == SNPU_WINDOW_GROUPS ? 1 : axes(n);

	if (i < 0)
		return snpu_fail(-EINVAL, "node '%s': a %s has no integer parameter '%.64s'; leave it out", n->name, n->kind->name, param);
	if (!count || count > most)
		return snpu_fail(-EINVAL, "node '%s': '%s' has %u values, a %s takes %s; check the program that wrote it", n->name, param, count, n->kind->name,
				 most == 1 ? "one" : "one or two");
	for (unsigned k = 0; k < count; k++)
		if (values[k] < numbers[i].least || values[k] > numbers[i].most)
			return snpu_fail(-EINVAL, "node '%s': '%s' is %lld, possible are %lld to %lld; check the program that wrote it", n->name, param,
					 (long long)values[k], (long long)numbers[i].least, (long long)numbers[i].most);
	n->given.number[i].n = count;
	n->given.number[i].v[0] = values[0];
	n->given.number[i].v[1] = values[count - 1];
	if (i == SNPU_WINDOW_PADDING)
		n->given.same = false;
	return 0;
}

int snpu_window_set_text(struct snpu_node *n, const char *param, const char *text)
{
	if (snpu_window_has(n->kind, param) != 3)
		return snpu_fail(-EINVAL, "node '%s': a %s has no parameter '%.64s' that is a text; leave it out", n->name, n->kind->name, param);
	if (strcmp(text, "same") && strcmp(text, "valid"))
		return snpu_fail(-EINVAL, "node '%s': padding is '%.64s'; possible are numbers, 'same' and 'valid'", n->name, text);
	n->given.same = !strcmp(text, "same");
	n->given.number[SNPU_WINDOW_PADDING].n = 1;
	n->given.number[SNPU_WINDOW_PADDING].v[0] = n->given.number[SNPU_WINDOW_PADDING].v[1] = 0;
	return 0;
}

/* --- what does not depend on the input ---------------------------------------------------------------------------- */

static int read_weights(struct snpu_node *n)
{
	const struct snpu_tensor *w = snpu_node_param(n, "weight"), *b = snpu_node_param(n, "bias");
	unsigned rank = axes(n) + 2, kernel = 2;
	uint64_t groups = (uint64_t)n->given.number[SNPU_WINDOW_GROUPS].v[0];

	if (!w->data || !b->data)
		return snpu_fail(-EINVAL, "node '%s' (%s) has no '%s'; check the program that wrote it", n->name, n->kind->name, w->data ? "bias" : "weight");
	if (w->rank != rank)
		return snpu_fail(-EINVAL, "node '%s': its weight has the shape %s, a %s takes %s; check the program that wrote it", n->name,
				 SNPU_SHAPE(w->rank, w->shape), n->kind->name, rank == 3 ? "(outputs,inputs,kernel)" : "(outputs,inputs,rows,columns)");
	for (; kernel < rank; kernel++)
		if (w->shape[kernel] > SNPU_MAX_KERNEL)
			return snpu_fail(-E2BIG, "node '%s' has a kernel %s, at most %u elements along an axis are possible; use a smaller one", n->name,
					 SNPU_SHAPE(rank - 2, w->shape + 2), SNPU_MAX_KERNEL);
	if (w->shape[0] > SNPU_MAX_SIDE || w->shape[1] > SNPU_MAX_SIDE)
		return snpu_fail(-E2BIG, "node '%s' has %llu output and %llu input channels, at most %u are possible; use a smaller layer", n->name,
				 (unsigned long long)w->shape[0], (unsigned long long)w->shape[1], SNPU_MAX_SIDE);
	if (w->shape[0] % groups)
		return snpu_fail(-EINVAL, "node '%s' has %llu output channels in %llu groups, which does not divide; check 'groups'", n->name,
				 (unsigned long long)w->shape[0], (unsigned long long)groups);
	if (b->count != w->shape[0] && b->count != 1)
		return snpu_fail(-EINVAL, "node '%s' has %llu biases for %llu output channels; check the program that wrote it", n->name,
				 (unsigned long long)b->count, (unsigned long long)w->shape[0]);
	n->rows = w->shape[0];
	n->columns = w->shape[1] * groups;
	return 0;
}

static int check_same(const struct snpu_node *n)
{
	const int64_t *stride = n->given.number[SNPU_WINDOW_STRIDE].v;

	if (n->given.same && (stride[0] != 1 || stride[1] != 1))
		return snpu_fail(-EINVAL, "node '%s' has padding 'same' and a stride of %lld; 'same' needs a stride of 1, give the padding as numbers", n->name,
				 (long long)(stride[0] != 1 ? stride[0] : stride[1]));
	return 0;
}

int snpu_window_read(struct snpu_node *n)
{
	unsigned which = is_conv(n->kind) ? CONV : POOL;
	int err;

	for (int i = 0; i < SNPU_WINDOW_INTS; i++)
		if (numbers[i].kinds & which && i != SNPU_WINDOW_INPUT && !n->given.number[i].n)
			return snpu_fail(-EINVAL, "node '%s' (%s) has no '%s'; check the program that wrote it", n->name, n->kind->name, numbers[i].name);
	err = which == CONV ? read_weights(n) : 0;
	return err ? err : check_same(n);
}

bool snpu_window_input(const struct snpu_node *n, unsigned *rank, uint64_t shape[SNPU_MAX_RANK])
{
	const int64_t *v = n->given.number[SNPU_WINDOW_INPUT].v;

	if (!(n->kind->flags & SNPU_KIND_WINDOW) || !n->given.number[SNPU_WINDOW_INPUT].n)
		return false;
	*rank = axes(n) + 1;
	shape[0] = n->columns;
	shape[1] = (uint64_t)v[0];
	shape[2] = (uint64_t)v[1];
	return true;
}

/* --- what follows from it ----------------------------------------------------------------------------------------- */

/* One axis: [0] rows, [1] columns. */
struct side {
	uint64_t in, kernel, stride, dilation, before, out;
};

/* The number of windows. torch's rule: those that fit between the padding on both sides. */
static int settle_side(const struct snpu_node *n, struct side *s, int axis)
{
	uint64_t reach = (s->kernel - 1) * s->dilation, total = s->in + 2 * s->before;

	if (n->given.same) {
		s->before = reach / 2;			/* what is odd is behind */
		total = s->in + reach;
	}
	if (!is_conv(n->kind) && s->before > s->kernel / 2)
		return snpu_fail(-EINVAL, "node '%s' pads %llu %s for a window of %llu, at most half of it makes sense; check 'padding'", n->name,
				 (unsigned long long)s->before, axis ? "columns" : "rows", (unsigned long long)s->kernel);
	if (total <= reach)
		return snpu_fail(-EINVAL, "node '%s': its kernel reaches over %llu %s, the input has %llu with padding; use a smaller kernel or more padding", n->name,
				 (unsigned long long)reach + 1, axis ? "columns" : "rows", (unsigned long long)total);
	s->out = (total - reach - 1) / s->stride + 1;
	if (s->in > SNPU_MAX_SIDE || s->out > SNPU_MAX_SIDE)
		return snpu_fail(-E2BIG, "node '%s' works on an image with %llu %s, at most %u are possible; use a smaller one", n->name,
				 (unsigned long long)(s->in > s->out ? s->in : s->out), axis ? "columns" : "rows", SNPU_MAX_SIDE);
	return 0;
}

static int settle_sides(struct snpu_node *n, const uint64_t *image, struct side side[2])
{
	const struct snpu_tensor *w = snpu_node_param(n, "weight");
	unsigned first = 2 - axes(n);
	int err = 0;

	side[0] = (struct side){ 1, 1, 1, 1, 0, 1 };	/* the one row of a sequence */
	for (unsigned a = first; a < 2 && !err; a++) {
		unsigned k = a - first;

		side[a] = (struct side){
			.in = image[k],
			.kernel = w ? w->shape[2 + k] : (uint64_t)n->given.number[SNPU_WINDOW_KERNEL].v[k],
			.stride = (uint64_t)n->given.number[SNPU_WINDOW_STRIDE].v[k],
			.dilation = w ? (uint64_t)n->given.number[SNPU_WINDOW_DILATION].v[k] : 1,
			.before = (uint64_t)n->given.number[SNPU_WINDOW_PADDING].v[k],
		};
		err = settle_side(n, &side[a], (int)a);
	}
	return err;
}

int snpu_window_settle(struct snpu_node *n, const char *from, unsigned rank, const uint64_t *shape, unsigned *out_rank, uint64_t *out_shape)
{
	unsigned want = axes(n) + 1, skip = 0;
	uint64_t groups = is_conv(n->kind) ? (uint64_t)n->given.number[SNPU_WINDOW_GROUPS].v[0] : 0, channels;
	struct side side[2];
	int err;

	while (rank - skip > want && shape[skip] == 1)	/* a batch */
		skip++;
	if (rank - skip != want)
		return snpu_fail(-EINVAL, "node '%s' (%s) takes %s, '%s' gives the shape %s; check the edges, or reshape", n->name, n->kind->name,
				 want == 2 ? "(channels,length)" : "(channels,rows,columns)", from, SNPU_SHAPE(rank, shape));
	channels = shape[skip];
	if (channels > SNPU_MAX_SIDE)
		return snpu_fail(-E2BIG, "node '%s' gets %llu channels, at most %u are possible; use a smaller layer", n->name, (unsigned long long)channels, SNPU_MAX_SIDE);
	if (groups && channels != n->columns)
		return snpu_fail(-EINVAL, "node '%s' takes %llu channels (%llu in each of %llu groups), '%s' gives %llu (shape %s); check the weights and 'groups'", n->name,
				 (unsigned long long)n->columns, (unsigned long long)(n->columns / groups), (unsigned long long)groups, from,
				 (unsigned long long)channels, SNPU_SHAPE(rank, shape));
	err = settle_sides(n, shape + skip + 1, side);
	if (err)
		return err;
	n->window = (struct snpu_window){
		.groups = (uint32_t)(groups ? groups : channels), .c_in = (uint32_t)(groups ? channels / groups : 1),
		.c_out = (uint32_t)(groups ? n->rows / groups : 1), .h = (uint32_t)side[0].in, .w = (uint32_t)side[1].in, .out_h = (uint32_t)side[0].out,
		.out_w = (uint32_t)side[1].out, .kernel_h = (uint32_t)side[0].kernel, .kernel_w = (uint32_t)side[1].kernel,
		.stride_h = (uint32_t)side[0].stride, .stride_w = (uint32_t)side[1].stride, .dilation_h = (uint32_t)side[0].dilation,
		.dilation_w = (uint32_t)side[1].dilation, .pad_top = (uint32_t)side[0].before, .pad_left = (uint32_t)side[1].before,
	};
	*out_rank = want;
	out_shape[0] = groups ? n->rows : channels;
	out_shape[1] = side[want == 2].out;
	out_shape[2] = side[1].out;
	return 0;
}
