/* SPDX-License-Identifier: MIT */
/*
 * NumPy's .npy format: a magic, a header that is a Python dictionary in text, raw elements. Written from the format's
 * description (NEP 1). Parses memory and trusts nothing in it; threads share nothing.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/fail.h"
#include "snpu/snpu_array.h"

#define DAMAGED(what)	snpu_fail(-EBADMSG, "the .npy header is damaged (%s); write the array again with numpy.save()", what)

static const struct {
	const char *descr;
	enum snpu_dtype dtype;
} descrs[] = {
	{ "|b1", SNPU_BOOL }, { "|u1", SNPU_U8 }, { "|i1", SNPU_I8 }, { "<u2", SNPU_U16 }, { "<i2", SNPU_I16 }, { "<u4", SNPU_U32 },
	{ "<i4", SNPU_I32 }, { "<u8", SNPU_U64 }, { "<i8", SNPU_I64 }, { "<f4", SNPU_F32 }, { "<f8", SNPU_F64 },
};
#define N_DESCRS	(sizeof(descrs) / sizeof(descrs[0]))

struct header {
	char text[4096];			/* the dictionary, zero-terminated */
	enum snpu_dtype dtype;
	bool fortran;
	unsigned rank;
	uint64_t shape[SNPU_MAX_RANK];
};

/* What follows `'key':` in the dictionary, NULL when it is not there. */
static const char *value_of(const char *text, const char *key)
{
	const char *p = strstr(text, key);

	if (!p)
		return NULL;
	p += strlen(key);
	p += strspn(p, " ");
	if (*p++ != ':')
		return NULL;
	return p + strspn(p, " ");
}

static int parse_descr(struct header *h)
{
	const char *p = value_of(h->text, "'descr'");

	if (!p || *p != '\'')
		return p && *p == '[' ? snpu_fail(-ENOTSUP, "the .npy file holds records; store one array of plain numbers") : DAMAGED("descr");
	p++;
	for (size_t i = 0; i < N_DESCRS; i++)
		if (!strncmp(p, descrs[i].descr, 3) && p[3] == '\'') {
			h->dtype = descrs[i].dtype;
			return 0;
		}
	return snpu_fail(-ENOTSUP, "the .npy file has elements of type '%.*s'; store bool, integers, float32 or float64 of little-endian order",
			 (int)strcspn(p, "'"), p);
}

static int parse_shape(struct header *h)
{
	const char *p = value_of(h->text, "'shape'");

	if (!p || *p++ != '(')
		return DAMAGED("shape");
	for (;;) {
		char *end;

		p += strspn(p, " ");
		if (*p == ')')
			return 0;
		if (*p < '0' || *p > '9')
			return DAMAGED("shape");
		if (h->rank == SNPU_MAX_RANK)
			return snpu_fail(-E2BIG, "the .npy array has more than %d axes; reshape it", SNPU_MAX_RANK);
		errno = 0;
		h->shape[h->rank++] = strtoull(p, &end, 10);
		if (errno)
			return DAMAGED("a number of the shape");
		p = end + strspn(end, " ");
		if (*p == ',')
			p++;
		else if (*p != ')')
			return DAMAGED("shape");
	}
}

static int parse_header(struct header *h)
{
	const char *order = value_of(h->text, "'fortran_order'");
	int err;

	if (!order || (strncmp(order, "True", 4) && strncmp(order, "False", 5)))
		return DAMAGED("fortran_order");
	h->fortran = *order == 'T';
	err = parse_descr(h);
	return err ? err : parse_shape(h);
}

/* Cuts the header out of the file. *data: where the elements begin. */
static int split(const uint8_t *p, size_t size, struct header *h, size_t *data)
{
	size_t at, len;

	if (size < 10 || memcmp(p, "\x93NUMPY", 6))
		return snpu_fail(-EBADMSG, "it is not a .npy file; write it with numpy.save()");
	if (p[6] < 1 || p[6] > 3)
		return snpu_fail(-ENOTSUP, "the .npy format has version %u.%u, 1 to 3 are known; write it with another NumPy", p[6], p[7]);
	at = p[6] == 1 ? 10 : 12;
	if (size < at)
		return DAMAGED("cut off");
	len = p[8] | (size_t)p[9] << 8;
	if (p[6] != 1)
		len |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
	if (!snpu_range_ok(at, len, size) || len >= sizeof(h->text))
		return DAMAGED("its length");
	memcpy(h->text, p + at, len);
	h->text[len] = 0;
	*data = at + len;
	return 0;
}

/* Fortran order has the first index fastest: walk in C order and fetch from where Fortran put it. */
static void from_fortran(const struct snpu_array *a, const uint8_t *src)
{
	size_t elem = snpu_dtype_size(a->dtype);
	uint64_t stride[SNPU_MAX_RANK], index[SNPU_MAX_RANK] = { 0 }, s = 1;
	uint8_t *to = a->data;

	for (unsigned d = 0; d < a->rank; d++) {
		stride[d] = s;
		s *= a->shape[d];
	}
	for (uint64_t i = 0; i < a->count; i++, to += elem) {
		uint64_t at = 0;

		for (unsigned d = 0; d < a->rank; d++)
			at += index[d] * stride[d];
		memcpy(to, src + at * elem, elem);
		for (unsigned d = a->rank; d-- > 0 && ++index[d] == a->shape[d];)
			index[d] = 0;
	}
}

int snpu_npy_parse(const void *mem, size_t size, struct snpu_array *out)
{
	struct header h = { 0 };
	struct snpu_array a;
	uint64_t bytes = 0, count = 1;
	size_t data = 0;
	bool fits = true;
	int err = split(mem, size, &h, &data);

	if (!err)
		err = parse_header(&h);
	if (err)
		return err;
	/* Before any memory is taken: a header can claim anything. */
	for (unsigned i = 0; i < h.rank; i++)
		fits = fits && snpu_mul(count, h.shape[i], &count);
	if (!fits || !snpu_mul(count, snpu_dtype_size(h.dtype), &bytes) || bytes > size - data)
		return snpu_fail(-EBADMSG, "the .npy file has %zu bytes of elements, its header wants more; it is cut off, copy it again", size - data);
	err = snpu_array_create(h.dtype, h.rank, h.shape, &a);
	if (err)
		return err;
	if (h.fortran && a.rank > 1)
		from_fortran(&a, (const uint8_t *)mem + data);
	else
		memcpy(a.data, (const uint8_t *)mem + data, bytes);
	*out = a;
	return 0;
}

int snpu_npy_format(const struct snpu_array *a, void **mem, size_t *size)
{
	char shape[SNPU_MAX_RANK * 22 + 8] = "", dict[512];
	uint64_t bytes;
	size_t at = 0, i, head;
	uint8_t *p;

	for (i = 0; i < N_DESCRS && descrs[i].dtype != a->dtype; i++)
		;
	if (i == N_DESCRS || a->rank > SNPU_MAX_RANK || !snpu_mul(a->count, snpu_dtype_size(a->dtype), &bytes))
		return snpu_fail(-EINVAL, "an array with the element type %u and %u axes cannot be written", (unsigned)a->dtype, a->rank);
	for (unsigned d = 0; d < a->rank; d++)
		at += (size_t)snprintf(shape + at, sizeof(shape) - at, d ? ", %llu" : "%llu", (unsigned long long)a->shape[d]);
	snprintf(dict, sizeof(dict), "{'descr': '%s', 'fortran_order': False, 'shape': (%s%s), }", descrs[i].descr, shape, a->rank == 1 ? "," : "");
	/* Magic, version, length, dictionary, spaces, newline: together a multiple of 64 bytes. */
	head = (10 + strlen(dict) + 1 + 63) / 64 * 64;
	p = malloc(head + bytes);
	if (!p)
		return snpu_fail(-ENOMEM, "no memory for a .npy file of %llu bytes", (unsigned long long)(head + bytes));
	memset(p, ' ', head);
	memcpy(p, "\x93NUMPY\x01\x00", 8);
	p[8] = (uint8_t)((head - 10) & 255);
	p[9] = (uint8_t)((head - 10) >> 8);
	memcpy(p + 10, dict, strlen(dict));
	p[head - 1] = '\n';
	if (bytes)
		memcpy(p + head, a->data, bytes);
	*mem = p;
	*size = head + bytes;
	return 0;
}
