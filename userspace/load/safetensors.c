/* SPDX-License-Identifier: MIT */
/*
 * The safetensors format, written from its description: a length, a header in JSON, raw elements. Parses memory and trusts
 * nothing in it; threads share nothing. Every byte behind the header belongs to exactly one tensor, or the file is refused.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "load/ckpt.h"

#define MAX_HEADER	(100u << 20)

static const struct {
	const char *name;
	unsigned bytes;
	enum snpu_tensor_type type;
} dtypes[] = {
	{ "F32", 4, SNPU_TENSOR_F32 },	{ "F16", 2, SNPU_TENSOR_F16 },	{ "BF16", 2, SNPU_TENSOR_BF16 }, { "F64", 8, SNPU_TENSOR_F64 },
	{ "BOOL", 1, SNPU_TENSOR_OTHER }, { "U8", 1, SNPU_TENSOR_OTHER }, { "I8", 1, SNPU_TENSOR_OTHER }, { "U16", 2, SNPU_TENSOR_OTHER },
	{ "I16", 2, SNPU_TENSOR_OTHER }, { "U32", 4, SNPU_TENSOR_OTHER }, { "I32", 4, SNPU_TENSOR_OTHER }, { "U64", 8, SNPU_TENSOR_OTHER },
	{ "I64", 8, SNPU_TENSOR_OTHER }, { "F8_E4M3", 1, SNPU_TENSOR_OTHER }, { "F8_E5M2", 1, SNPU_TENSOR_OTHER },
	{ "F8_E8M0", 1, SNPU_TENSOR_OTHER },
};
#define N_DTYPES	(sizeof(dtypes) / sizeof(dtypes[0]))

/* Of the data, bytes. */
struct span {
	uint64_t begin, end;
	const char *name;
};

struct reader {
	const uint8_t *data;		/* what follows the header */
	uint64_t size;			/* of data, bytes */
	struct span *span;		/* [n] */
	size_t n;
	struct snpu_tensor_list *list;
};

static bool whole(const json_t *j, uint64_t *out)
{
	if (!json_is_integer(j) || json_integer_value(j) < 0)
		return false;
	*out = (uint64_t)json_integer_value(j);
	return true;
}

static int check_metadata(json_t *meta)
{
	const char *key;
	json_t *value;

	if (!json_is_object(meta))
		return snpu_fail(-EBADMSG, "__metadata__ of the header is no object; the file is damaged, copy it again");
	json_object_foreach(meta, key, value)
		if (!json_is_string(value))
			return snpu_fail(-EBADMSG, "'%.200s' in __metadata__ is no string; the file is damaged, copy it again", key);
	return 0;
}

/* Shape and element type. */
static int parse_kind(struct snpu_ckpt_tensor *t, const char *dtype, const json_t *shape)
{
	size_t k = 0;

	while (k < N_DTYPES && strcmp(dtypes[k].name, dtype))
		k++;
	if (k == N_DTYPES)
		return snpu_fail(-EBADMSG, "tensor '%.200s' has the unknown element type '%.40s'; convert it to F32, F16 or BF16", t->name, dtype);
	if (json_array_size(shape) > SNPU_MAX_RANK)
		return snpu_fail(-EBADMSG, "tensor '%.200s' has %zu axes, at most %d are possible; reshape it", t->name, json_array_size(shape), SNPU_MAX_RANK);
	t->type = dtypes[k].type;
	t->rank = (unsigned)json_array_size(shape);
	for (unsigned i = 0; i < t->rank; i++)
		if (!whole(json_array_get(shape, i), &t->shape[i]))
			return snpu_fail(-EBADMSG, "axis %u of tensor '%.200s' is no whole number; the file is damaged, copy it again", i, t->name);
	return snpu_tensor_measure(t, dtypes[k].bytes);
}

static int parse_tensor(struct reader *r, const char *name, const json_t *info)
{
	const json_t *dtype = json_object_get(info, "dtype"), *shape = json_object_get(info, "shape"), *at = json_object_get(info, "data_offsets");
	struct span *s = &r->span[r->n];
	struct snpu_ckpt_tensor t = { .name = (char *)(uintptr_t)name };
	int err;

	if (!json_is_string(dtype) || !json_is_array(shape) || !json_is_array(at))
		return snpu_fail(-EBADMSG, "tensor '%.200s' lacks dtype, shape or data_offsets; the file is damaged, copy it again", name);
	err = parse_kind(&t, json_string_value(dtype), shape);
	if (err)
		return err;
	if (json_array_size(at) != 2 || !whole(json_array_get(at, 0), &s->begin) || !whole(json_array_get(at, 1), &s->end) || s->begin > s->end)
		return snpu_fail(-EBADMSG, "data_offsets of tensor '%.200s' are no range; the file is damaged, copy it again", name);
	if (s->end > r->size)
		return snpu_fail(-EBADMSG, "tensor '%.200s' ends at byte %llu of %llu; the file is cut off, copy it again", name,
				 (unsigned long long)s->end, (unsigned long long)r->size);
	if (s->end - s->begin != t.bytes)
		return snpu_fail(-EBADMSG, "tensor '%.200s' has %llu bytes, its shape wants %llu; the file is damaged, copy it again", name,
				 (unsigned long long)(s->end - s->begin), (unsigned long long)t.bytes);
	s->name = name;
	r->n++;
	t.data = r->data + s->begin;
	return snpu_tensor_list_add(r->list, &t);
}

/* Empty tensors first among those that begin at one place. */
static int by_place(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	return x->end < y->end ? -1 : x->end > y->end;
}

static int check_spans(const struct reader *r)
{
	const char *before = "the header";
	uint64_t at = 0;

	qsort(r->span, r->n, sizeof(*r->span), by_place);
	for (size_t i = 0; i < r->n; i++) {
		const struct span *s = &r->span[i];

		if (s->begin < at)
			return snpu_fail(-EBADMSG, "tensors '%.200s' and '%.200s' overlap; the file is damaged, copy it again", before, s->name);
		if (s->begin > at)
			return snpu_fail(-EBADMSG, "the bytes %llu to %llu before tensor '%.200s' belong to no tensor; the file is damaged, copy it again",
					 (unsigned long long)at, (unsigned long long)s->begin, s->name);
		at = s->end;
		before = s->name;
	}
	if (at != r->size)
		return snpu_fail(-EBADMSG, "the last %llu bytes of the file belong to no tensor; the file is damaged, copy it again",
				 (unsigned long long)(r->size - at));
	return 0;
}

static int parse_header(struct reader *r, json_t *header)
{
	const char *name;
	json_t *info;
	int err = 0;

	/* One more: no tensors are no reason for NULL. */
	r->span = calloc(json_object_size(header) + 1, sizeof(*r->span));
	if (!r->span)
		return snpu_fail(-ENOMEM, "no memory for the places of %zu tensors", json_object_size(header));
	json_object_foreach(header, name, info) {
		err = strcmp(name, "__metadata__") ? parse_tensor(r, name, info) : check_metadata(info);
		if (err)
			break;
	}
	if (!err)
		err = check_spans(r);
	free(r->span);
	return err;
}

int snpu_safetensors_parse(const void *mem, size_t size, struct snpu_tensor_list *list)
{
	const uint8_t *p = mem;
	struct reader r = { .list = list };
	json_error_t e;
	uint64_t head = 0;
	json_t *header;
	int err;

	if (size < 8)
		return snpu_fail(-EBADMSG, "it is no safetensors file, it has only %zu bytes; copy it again", size);
	for (unsigned i = 0; i < 8; i++)
		head |= (uint64_t)p[i] << 8 * i;
	if (head > MAX_HEADER || head > size - 8 || !head || p[8] != '{')
		return snpu_fail(-EBADMSG, "it is no safetensors file, or cut off: a header of %llu bytes in a file of %zu; copy it again",
				 (unsigned long long)head, size);
	header = json_loadb((const char *)p + 8, head, JSON_REJECT_DUPLICATES, &e);
	if (!header)
		return snpu_fail(json_error_code(&e) == json_error_out_of_memory ? -ENOMEM : -EBADMSG,
				 "the header is damaged at byte %d (%s); copy the file again", e.position, e.text);
	r.data = p + 8 + head;
	r.size = size - 8 - head;
	err = parse_header(&r, header);
	json_decref(header);
	return err;
}
