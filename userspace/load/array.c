/* SPDX-License-Identifier: MIT */
/* Arrays in memory: element types, allocation, conversion to float32. Threads share nothing here. */
#include <stdlib.h>
#include <string.h>

#include "core/fail.h"
#include "snpu/snpu_array.h"

static const struct {
	size_t size;
	const char *name;
} dtypes[SNPU_DTYPE_COUNT] = {
	[SNPU_BOOL] = { 1, "bool" },	[SNPU_U8] = { 1, "uint8" },	[SNPU_I8] = { 1, "int8" },
	[SNPU_U16] = { 2, "uint16" },	[SNPU_I16] = { 2, "int16" },	[SNPU_U32] = { 4, "uint32" },
	[SNPU_I32] = { 4, "int32" },	[SNPU_U64] = { 8, "uint64" },	[SNPU_I64] = { 8, "int64" },
	[SNPU_F32] = { 4, "float32" },	[SNPU_F64] = { 8, "float64" },
};

size_t snpu_dtype_size(enum snpu_dtype dtype)
{
	return (unsigned)dtype < SNPU_DTYPE_COUNT ? dtypes[dtype].size : 0;
}

const char *snpu_dtype_name(enum snpu_dtype dtype)
{
	return (unsigned)dtype < SNPU_DTYPE_COUNT ? dtypes[dtype].name : "?";
}

int snpu_array_create(enum snpu_dtype dtype, unsigned rank, const uint64_t *shape, struct snpu_array *out)
{
	struct snpu_array a = { .dtype = dtype, .rank = rank, .count = 1 };
	uint64_t bytes;

	if ((unsigned)dtype >= SNPU_DTYPE_COUNT)
		return snpu_fail(-EINVAL, "an array cannot have the element type %u; use enum snpu_dtype", (unsigned)dtype);
	if (rank > SNPU_MAX_RANK)
		return snpu_fail(-E2BIG, "an array of %u axes was asked for, at most %d are possible; reshape it", rank, SNPU_MAX_RANK);
	for (unsigned i = 0; i < rank; i++) {
		a.shape[i] = shape[i];
		if (!snpu_mul(a.count, shape[i], &a.count))
			return snpu_fail(-E2BIG, "the shape of an array has more elements than memory has addresses; check it");
	}
	if (!snpu_mul(a.count, dtypes[dtype].size, &bytes) || bytes > SIZE_MAX / 2)
		return snpu_fail(-E2BIG, "an array of %llu elements is larger than memory has addresses; check its shape", (unsigned long long)a.count);
	a.data = calloc(bytes ? bytes : 1, 1);
	if (!a.data)
		return snpu_fail(-ENOMEM, "no memory for an array of %llu bytes; use a machine with more, or smaller input", (unsigned long long)bytes);
	*out = a;
	return 0;
}

void snpu_array_free(struct snpu_array *a)
{
	if (!a)
		return;
	free(a->data);
	memset(a, 0, sizeof(*a));
}

#define CONVERT(DTYPE, type)								\
	case DTYPE: {									\
		const type *in = (const type *)a->data + first;	/* where no store to `to` can change it */	\
											\
		for (uint64_t i = 0; i < count; i++)					\
			to[i] = (float)in[i];						\
		break;									\
	}

int snpu_array_to_f32(const struct snpu_array *a, uint64_t first, uint64_t count, float *out)
{
	float *restrict to = out;

	if (!snpu_range_ok(first, count, a->count))
		return snpu_fail(-ERANGE, "elements %llu to %llu of an array of %llu were asked for", (unsigned long long)first,
				 (unsigned long long)(first + count), (unsigned long long)a->count);
	if (a->dtype == SNPU_F32) {
		memcpy(out, (const float *)a->data + first, count * sizeof(*out));
		return 0;
	}
	switch (a->dtype) {
	CONVERT(SNPU_BOOL, uint8_t)
	CONVERT(SNPU_U8, uint8_t)
	CONVERT(SNPU_I8, int8_t)
	CONVERT(SNPU_U16, uint16_t)
	CONVERT(SNPU_I16, int16_t)
	CONVERT(SNPU_U32, uint32_t)
	CONVERT(SNPU_I32, int32_t)
	CONVERT(SNPU_U64, uint64_t)
	CONVERT(SNPU_I64, int64_t)
	CONVERT(SNPU_F64, double)
	default:
		return snpu_fail(-EINVAL, "an array has the unknown element type %u", (unsigned)a->dtype);
	}
	return 0;
}
