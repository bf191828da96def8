/* SPDX-License-Identifier: MIT */
/* Tensors of a checkpoint: lists of them, their size, conversion to float32. Threads share nothing here. See ckpt.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "load/ckpt.h"

int snpu_tensor_list_add(struct snpu_tensor_list *list, const struct snpu_ckpt_tensor *t)
{
	if (list->n == list->cap) {
		size_t cap = list->cap ? 2 * list->cap : 64;
		struct snpu_ckpt_tensor *more = reallocarray(list->tensor, cap, sizeof(*more));

		if (!more)
			return snpu_fail(-ENOMEM, "no memory for a list of %zu tensors", cap);
		list->tensor = more;
		list->cap = cap;
	}
	list->tensor[list->n] = *t;
	list->tensor[list->n].name = strdup(t->name);
	if (!list->tensor[list->n].name)
		return snpu_fail(-ENOMEM, "no memory for the name of tensor %zu", list->n);
	list->n++;
	return 0;
}

void snpu_tensor_list_free(struct snpu_tensor_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->tensor[i].name);
	free(list->tensor);
	memset(list, 0, sizeof(*list));
}

int snpu_tensor_measure(struct snpu_ckpt_tensor *t, uint64_t element)
{
	uint64_t count = 1, bytes;
	bool empty = false, fits = true;

	for (unsigned i = 0; i < t->rank; i++) {
		empty = empty || !t->shape[i];
		fits = fits && snpu_mul(count, t->shape[i] ? t->shape[i] : 1, &count);
	}
	if (!fits || !snpu_mul(count, element, &bytes))
		return snpu_fail(-EBADMSG, "tensor '%.200s' claims more bytes than memory has addresses; the file is damaged, copy it again", t->name);
	t->count = empty ? 0 : count;
	t->bytes = empty ? 0 : bytes;
	return 0;
}

/* --- to float32: data is aligned to nothing ------------------------------------------------------------------------ */

static void from_f16(const uint8_t *p, uint64_t n, float *out)
{
	for (uint64_t i = 0; i < n; i++, p += 2) {
		uint32_t h = p[0] | (uint32_t)p[1] << 8, m = h & 0x7fff, bits;

		if (m < 0x400) {			/* zero and subnormals */
			float f = (float)m * 0x1p-24f;

			out[i] = h & 0x8000 ? -f : f;
			continue;
		}
		bits = (h & 0x8000) << 16 | ((m << 13) + (m < 0x7c00 ? 112u << 23 : 224u << 23));
		memcpy(&out[i], &bits, sizeof(bits));
	}
}

static void from_bf16(const uint8_t *p, uint64_t n, float *out)
{
	for (uint64_t i = 0; i < n; i++, p += 2) {
		uint32_t bits = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 24;

		memcpy(&out[i], &bits, sizeof(bits));
	}
}

static void from_f64(const uint8_t *p, uint64_t n, float *out)
{
	for (uint64_t i = 0; i < n; i++, p += 8) {
		double d;

		memcpy(&d, p, sizeof(d));
		out[i] = (float)d;
	}
}

int snpu_tensor_f32(const struct snpu_ckpt_tensor *t, uint64_t first, uint64_t n, float *out)
{
	const uint8_t *p = t->data;

	if (!snpu_range_ok(first, n, t->count))
		return snpu_fail(-ERANGE, "%llu elements from %llu on of tensor '%.200s' were asked for, it has %llu", (unsigned long long)n,
				 (unsigned long long)first, t->name, (unsigned long long)t->count);
	switch (t->type) {
	case SNPU_TENSOR_F32:
		if (n)
			memcpy(out, p + first * 4, n * 4);
		return 0;
	case SNPU_TENSOR_F16:
		from_f16(p + first * 2, n, out);
		return 0;
	case SNPU_TENSOR_BF16:
		from_bf16(p + first * 2, n, out);
		return 0;
	case SNPU_TENSOR_F64:
		from_f64(p + first * 8, n, out);
		return 0;
	default:
		return snpu_fail(-ENOTSUP, "tensor '%.200s' has elements that are no floating-point numbers of 16 to 64 bits; convert the checkpoint", t->name);
	}
}
