/* SPDX-License-Identifier: MIT */
/* HDF5 files in memory: datasets. See h5.h; section numbers are those of the format specification. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "load/nir/h5.h"

#define FILTERS	8
#define LEVELS	16				/* of a B-tree */
#define OBJECTS	65536				/* in one global heap collection */

enum { FIXED_POINT = 0, FLOATING_POINT = 1, STRING = 3, ENUMERATION = 8, VARIABLE = 9 };
enum { COMPACT = 0, CONTIGUOUS = 1, CHUNKED = 2 };
enum { DEFLATE = 1, SHUFFLE = 2, FLETCHER32 = 3 };

struct dataset {
	struct h5x *x;
	const char *what;
	struct h5x_msg space, type, layout, filters;	/* as found in the object header */
	bool external;
	unsigned rank;
	uint64_t shape[H5X_RANK], count;
	unsigned class, elem;			/* of an element in the file: class, bytes */
	bool is_signed;
	bool lists;				/* of VARIABLE: not strings, but numbers of */
	unsigned base_class, base_elem;
	unsigned n_filters, filter[FILTERS];	/* in the order in which they were applied */
	uint8_t *raw;				/* [count][elem], malloc */
	uint64_t filled;			/* elements that chunks have brought */
	uint64_t chunk[H5X_RANK];		/* shape of a chunk */
};

static int damaged(const struct dataset *d, const char *part)
{
	return snpu_fail(-EBADMSG, "'%s' is damaged (%s); export or copy the file again", d->what, part);
}

static int keep_message(struct h5x *x, const struct h5x_msg *msg, void *arg)
{
	struct dataset *d = arg;
	struct h5x_msg *to = msg->type == H5X_SPACE ? &d->space : msg->type == H5X_TYPE ? &d->type : msg->type == H5X_LAYOUT ? &d->layout
			     : msg->type == H5X_FILTERS ? &d->filters : NULL;

	d->external |= msg->type == H5X_EXTERNAL;
	if (!to || to->data)
		return 0;
	if (msg->shared)
		return snpu_fail(-ENOTSUP, "'%s' refers to a named type, which NIR files do not have; store the plain type", d->what);
	*to = *msg;
	return 0;
}

/* IV.A.2.b */
static int parse_space(struct dataset *d)
{
	const uint8_t *p = d->space.data;
	unsigned version = d->space.size >= 4 ? p[0] : 0, head = version == 1 ? 8 : 4;

	if (version != 1 && version != 2)
		return damaged(d, "shape");
	d->rank = p[1];
	d->count = 1;
	if (version == 2 && p[3] == 2)
		return snpu_fail(-EBADMSG, "'%s' is empty; check the program that wrote the file", d->what);
	if (d->rank > H5X_RANK || d->space.size < head + 8ull * d->rank)
		return snpu_fail(-EBADMSG, "'%s' has %u axes, at most %d are possible; the file may be damaged", d->what, d->rank, H5X_RANK);
	for (unsigned i = 0; i < d->rank; i++) {
		d->shape[i] = h5x_uint(p + head + 8 * i, 8);
		if (!snpu_mul(d->count, d->shape[i], &d->count))
			return damaged(d, "shape");
	}
	return 0;
}

/* IV.A.2.d: little-endian numbers as machines have them. */
static bool plain_number(const uint8_t *p, uint64_t size, unsigned class, unsigned elem)
{
	if (class == FIXED_POINT)
		return size >= 12 && !(p[1] & 1) && (elem == 1 || elem == 2 || elem == 4 || elem == 8) && h5x_uint(p + 8, 2) == 0 && h5x_uint(p + 10, 2) == 8 * elem;
	return class == FLOATING_POINT && size >= 20 && !(p[1] & 0x41) && h5x_uint(p + 8, 2) == 0 &&
	       ((elem == 2 && p[12] == 10 && p[13] == 5 && p[15] == 10 && h5x_uint(p + 16, 4) == 15) ||
		(elem == 4 && p[12] == 23 && p[13] == 8 && p[15] == 23 && h5x_uint(p + 16, 4) == 127) ||
		(elem == 8 && p[12] == 52 && p[13] == 11 && p[15] == 52 && h5x_uint(p + 16, 4) == 1023));
}

/* Numbers, NumPy's bool (an enumeration of one byte), fixed strings, variable strings and lists of numbers. */
static int parse_type(struct dataset *d)
{
	const uint8_t *p = d->type.data;
	bool plain;

	if (d->type.size < 8)
		return damaged(d, "type");
	d->class = p[0] & 15;
	d->elem = (unsigned)h5x_uint(p + 4, 4);
	d->is_signed = p[1] & 8;
	if (d->class == STRING) {
		plain = d->elem && d->elem < H5X_NAME;
	} else if (d->class == ENUMERATION) {
		plain = d->elem == 1 && d->type.size >= 20 && (p[8] & 15) == FIXED_POINT && h5x_uint(p + 12, 4) == 1 && plain_number(p + 8, d->type.size - 8, FIXED_POINT, 1);
		d->class = FIXED_POINT;
		d->is_signed = plain && p[9] & 8;
	} else if (d->class == VARIABLE) {
		plain = d->elem == 16 && (p[1] & 15) <= 1;
		d->lists = plain && (p[1] & 15) == 0;
		if (d->lists && d->type.size >= 16) {
			d->base_class = p[8] & 15;
			d->base_elem = (unsigned)h5x_uint(p + 12, 4);
			d->is_signed = p[9] & 8;
		}
		plain = plain && (!d->lists || (d->type.size >= 16 && plain_number(p + 8, d->type.size - 8, d->base_class, d->base_elem)));
	} else {
		plain = plain_number(p, d->type.size, d->class, d->elem);
	}
	return plain ? 0 : snpu_fail(-EBADMSG, "'%s' holds neither little-endian numbers of 1 to 8 bytes nor strings (type class %u, %u bytes); check the program that wrote the file",
				     d->what, d->class, d->elem);
}

/* IV.A.2.l */
static int parse_filters(struct dataset *d)
{
	const uint8_t *p = d->filters.data, *end = p + d->filters.size;
	unsigned version;

	if (!p)
		return 0;
	if (end - p < 2 || p[1] > FILTERS)
		return damaged(d, "filters");
	version = p[0];
	d->n_filters = p[1];
	p += version == 1 ? 8 : 2;
	for (unsigned i = 0; i < d->n_filters; i++) {
		uint64_t name, values, skip;
		bool named;

		if (end - p < 8)
			return damaged(d, "filters");
		d->filter[i] = (unsigned)h5x_uint(p, 2);
		named = version == 1 || d->filter[i] >= 256;
		name = named ? h5x_uint(p + 2, 2) : 0;
		values = h5x_uint(p + (named ? 6 : 4), 2);
		skip = (named ? 8 : 6) + (version == 1 ? (name + 7) / 8 * 8 : name) + 4 * (version == 1 ? (values + 1) / 2 * 2 : values);
		if (d->filter[i] != DEFLATE && d->filter[i] != SHUFFLE && d->filter[i] != FLETCHER32)
			return snpu_fail(-ENOTSUP, "'%s' is compressed by filter %u, which is not known; write the file with gzip or uncompressed", d->what, d->filter[i]);
		if (skip > (uint64_t)(end - p))
			return damaged(d, "filters");
		p += skip;
	}
	return 0;
}

/* --- chunks ------------------------------------------------------------------------------------------------------- */

static void unshuffle(const uint8_t *in, uint8_t *out, uint64_t size, unsigned elem)
{
	uint64_t n = size / elem;

	for (uint64_t i = 0; i < n; i++)
		for (unsigned b = 0; b < elem; b++)
			out[i * elem + b] = in[b * n + i];
	memcpy(out + n * elem, in + n * elem, size - n * elem);
}

/* Undoes the filters from the last to the first. *data: `have` bytes of malloc, replaced by `want` bytes. */
static int unfilter(struct dataset *d, uint32_t mask, uint8_t **data, uint64_t have, uint64_t want)
{
	for (unsigned i = d->n_filters; i-- > 0;) {
		uLongf got = want;
		uint8_t *out;

		if (mask >> i & 1)
			continue;
		if (d->filter[i] == FLETCHER32) {
			if (have < 4)
				return damaged(d, "checksum");
			have -= 4;
			continue;
		}
		out = malloc(want + 4);
		if (!out)
			return snpu_fail(-ENOMEM, "no memory for %llu bytes of '%s'", (unsigned long long)want, d->what);
		if (d->filter[i] == SHUFFLE) {
			got = have < want + 4 ? have : want + 4;
			unshuffle(*data, out, got, d->elem);
		} else {
			/* A checksum that was taken before compression is 4 bytes more. */
			got = want + 4;
			if (uncompress(out, &got, *data, have) != Z_OK)
				got = 0;
		}
		free(*data);
		*data = out;
		have = got;
	}
	return have >= want ? 0 : damaged(d, "compressed data");
}

/* Copies a chunk that begins at `origin` to where it belongs; what reaches past the shape is padding. */
static int place_chunk(struct dataset *d, const uint64_t *origin, const uint8_t *data)
{
	uint64_t index[H5X_RANK] = { 0 }, rows = 1, run = d->elem;
	unsigned last = d->rank ? d->rank - 1 : 0;

	for (unsigned i = 0; i < d->rank; i++)
		if (origin[i] >= d->shape[i])
			return damaged(d, "place of a chunk");
	for (unsigned i = 0; i < last; i++)
		rows *= d->chunk[i];
	if (d->rank)
		run *= d->chunk[last] < d->shape[last] - origin[last] ? d->chunk[last] : d->shape[last] - origin[last];
	for (uint64_t r = 0; r < rows; r++) {
		uint64_t to = 0;
		bool inside = true;

		for (unsigned i = 0; i < last; i++) {
			inside = inside && origin[i] + index[i] < d->shape[i];
			to = to * d->shape[i] + origin[i] + index[i];
		}
		to = d->rank ? to * d->shape[last] + origin[last] : 0;
		if (inside) {
			memcpy(d->raw + to * d->elem, data + r * d->elem * (d->rank ? d->chunk[last] : 1), run);
			d->filled += run / d->elem;
		}
		for (unsigned i = last; i-- > 0 && ++index[i] == d->chunk[i];)
			index[i] = 0;
	}
	return 0;
}

static int read_chunk(struct dataset *d, uint64_t address, uint64_t size, uint32_t mask, const uint64_t *origin)
{
	const uint8_t *p = h5x_at(d->x, address, size);
	uint64_t want = d->elem;
	uint8_t *data;
	int err;

	for (unsigned i = 0; i < d->rank; i++)
		if (!snpu_mul(want, d->chunk[i], &want))
			return damaged(d, "shape of a chunk");
	/* Also chunks that lie on top of each other cost what they hold. */
	if (!p || want > d->x->budget)
		return damaged(d, "place or size of a chunk");
	d->x->budget -= want;
	data = malloc(size + 1);
	if (!data)
		return snpu_fail(-ENOMEM, "no memory for %llu bytes of '%s'", (unsigned long long)size, d->what);
	memcpy(data, p, size);
	err = unfilter(d, mask, &data, size, want);
	if (!err)
		err = place_chunk(d, origin, data);
	free(data);
	return err;
}

/* III.A.1, nodes of type 1. Keys: bytes, filter mask, origin with one axis more; then the child's address. */
static int read_chunk_tree(struct dataset *d, uint64_t address, unsigned level)
{
	uint64_t key = 8 + 8 * (d->rank + 1ull), origin[H5X_RANK];
	const uint8_t *p = h5x_at(d->x, address, 24);
	unsigned n;
	int err = h5x_step(d->x);

	if (err)
		return err;
	if (!p || memcmp(p, "TREE", 4) || p[4] != 1 || p[5] > LEVELS || (level <= LEVELS && p[5] != level))
		return damaged(d, "tree of chunks");
	level = p[5];
	n = (unsigned)h5x_uint(p + 6, 2);
	p = h5x_at(d->x, address + 24, n * (key + 8));
	if (!p)
		return damaged(d, "tree of chunks");
	for (; n && !err; n--, p += key + 8) {
		uint64_t child = h5x_uint(p + key, 8);

		for (unsigned i = 0; i < d->rank; i++)
			origin[i] = h5x_uint(p + 8 + 8 * i, 8);
		err = level ? read_chunk_tree(d, child, level - 1) : read_chunk(d, child, h5x_uint(p, 4), (uint32_t)h5x_uint(p + 4, 4), origin);
	}
	return err;
}

static int chunk_shape(struct dataset *d, const uint8_t *p, unsigned bytes)
{
	for (unsigned i = 0; i < d->rank; i++) {
		d->chunk[i] = h5x_uint(p + i * bytes, bytes);
		if (!d->chunk[i])
			return damaged(d, "shape of a chunk");
	}
	return 0;
}

static int read_chunks_v3(struct dataset *d, const uint8_t *p, uint64_t size)
{
	int err;

	if (size < 11 || p[2] != d->rank + 1 || size < 11 + 4ull * p[2])
		return damaged(d, "layout");
	err = chunk_shape(d, p + 11, 4);
	return err ? err : read_chunk_tree(d, h5x_uint(p + 3, 8), LEVELS + 1);
}

/* Version 4 has five kinds of index; of them, the one for a dataset that is one chunk. */
static int read_chunks_v4(struct dataset *d, const uint8_t *p, uint64_t size)
{
	uint64_t at = 5, bytes = d->count * d->elem, origin[H5X_RANK] = { 0 };
	uint32_t mask = 0;
	bool filtered;
	int err;

	if (size < 5 || p[3] != d->rank + 1 || p[4] < 1 || p[4] > 8 || size < at + (uint64_t)p[3] * p[4] + 1)
		return damaged(d, "layout");
	err = chunk_shape(d, p + at, p[4]);
	at += (uint64_t)p[3] * p[4];
	if (err)
		return err;
	if (p[at++] != 1)
		return snpu_fail(-ENOTSUP, "'%s' is stored in several chunks of newer HDF5; write the file with libver='earliest', h5py's default", d->what);
	filtered = p[2] & 2;
	if (size < at + (filtered ? 12 : 0) + 8)
		return damaged(d, "layout");
	if (filtered) {
		bytes = h5x_uint(p + at, 8);
		mask = (uint32_t)h5x_uint(p + at + 8, 4);
		at += 12;
	}
	return read_chunk(d, h5x_uint(p + at, 8), bytes, mask, origin);
}

/* IV.A.2.i: brings the elements to d->raw. */
static int read_layout(struct dataset *d)
{
	const uint8_t *p = d->layout.data, *src;
	uint64_t size = d->layout.size, bytes = d->count * d->elem;

	if (size < 4 || (p[0] != 3 && p[0] != 4) || p[1] > CHUNKED)
		return size >= 1 && p[0] < 3 ? snpu_fail(-ENOTSUP, "'%s' has a layout of HDF5 before 1.6; write the file again", d->what) : damaged(d, "layout");
	if (p[1] == COMPACT) {
		src = h5x_uint(p + 2, 2) == bytes && snpu_range_ok(4, bytes, size) ? p + 4 : NULL;
	} else if (p[1] == CONTIGUOUS) {
		src = size >= 18 && h5x_uint(p + 10, 8) >= bytes ? h5x_at(d->x, h5x_uint(p + 2, 8), bytes) : NULL;
	} else {
		int err = p[0] == 3 ? read_chunks_v3(d, p, size) : read_chunks_v4(d, p, size);

		return err ? err : d->filled == d->count ? 0 : damaged(d, "missing chunks");
	}
	if (!src)
		return damaged(d, "place of its data");
	memcpy(d->raw, src, bytes);
	return 0;
}

/* Finds, checks and reads a dataset. d->raw is the caller's to free, also after an error. */
static int dataset_read(struct h5x *x, uint64_t address, const char *what, struct dataset *d)
{
	uint64_t bytes;
	int err;

	*d = (struct dataset){ .x = x, .what = what };
	err = h5x_messages(x, address, keep_message, d);
	if (!err && (!d->space.data || !d->type.data || !d->layout.data))
		err = snpu_fail(-EBADMSG, "'%s' is not a dataset; check the program that wrote the file", what);
	if (!err && d->external)
		err = snpu_fail(-EBADMSG, "'%s' has its data in another file, which NIR files do not; store it inside", what);
	if (!err)
		err = parse_space(d);
	if (!err)
		err = parse_type(d);
	if (!err)
		err = parse_filters(d);
	if (err)
		return err;
	if (!snpu_mul(d->count, d->elem, &bytes) || bytes > x->budget)
		return snpu_fail(-EBADMSG, "'%s' claims more elements than a file of this size can hold; it is damaged, copy it again", what);
	x->budget -= bytes;
	d->raw = calloc(bytes ? bytes : 1, 1);
	if (!d->raw)
		return snpu_fail(-ENOMEM, "no memory for the %llu bytes of '%s'", (unsigned long long)bytes, what);
	return bytes ? read_layout(d) : 0;
}

/* --- numbers ------------------------------------------------------------------------------------------------------ */

static double to_double(const uint8_t *p, unsigned elem)
{
	double f64;
	float f32;

	if (elem == 2) {
		unsigned h = (unsigned)h5x_uint(p, 2), e = h >> 10 & 31, m = h & 1023;

		f64 = e == 31 ? m ? NAN : HUGE_VAL : e ? ldexp(1024 + m, (int)e - 25) : ldexp(m, -24);
		return h >> 15 ? -f64 : f64;
	}
	if (elem == 4) {
		memcpy(&f32, p, 4);
		return f32;
	}
	memcpy(&f64, p, 8);
	return f64;
}

static int64_t to_int(const uint8_t *p, unsigned elem, bool is_signed)
{
	uint64_t v = h5x_uint(p, elem);
	unsigned shift = 64 - 8 * elem;

	return is_signed ? (int64_t)(v << shift) >> shift : (int64_t)v;
}

int h5x_read(struct h5x *x, uint64_t address, const char *what, struct h5x_array *out)
{
	struct dataset d;
	int err;

	memset(out, 0, sizeof(*out));
	err = dataset_read(x, address, what, &d);
	if (!err && d.class != FIXED_POINT && d.class != FLOATING_POINT)
		err = snpu_fail(-EBADMSG, "'%s' holds strings or lists where numbers are needed; check the program that wrote the file", what);
	out->floats = d.class == FLOATING_POINT;
	if (!err && out->floats)
		out->f = calloc(d.count ? d.count : 1, sizeof(*out->f));
	else if (!err)
		out->i = calloc(d.count ? d.count : 1, sizeof(*out->i));
	if (!err && !out->f && !out->i)
		err = snpu_fail(-ENOMEM, "no memory for the %llu numbers of '%s'", (unsigned long long)d.count, what);
	for (uint64_t k = 0; k < d.count && !err; k++)
		if (out->floats)
			out->f[k] = to_double(d.raw + k * d.elem, d.elem);
		else
			out->i[k] = to_int(d.raw + k * d.elem, d.elem, d.is_signed);
	out->rank = d.rank;
	memcpy(out->shape, d.shape, sizeof(out->shape));
	out->count = d.count;
	free(d.raw);
	return err;
}

void h5x_array_free(struct h5x_array *a)
{
	free(a->f);
	free(a->i);
	a->f = NULL;
	a->i = NULL;
}

/* --- strings ------------------------------------------------------------------------------------------------------ */

/* III.E: the object `index` of the global heap collection at `address`. */
static int heap_object(struct dataset *d, uint64_t address, uint64_t index, const uint8_t **data, uint64_t *size)
{
	const uint8_t *p = h5x_at(d->x, address, 16);
	uint64_t total, at = 16;

	if (!p || memcmp(p, "GCOL", 4))
		return damaged(d, "heap of strings");
	total = h5x_uint(p + 8, 8);
	p = h5x_at(d->x, address, total);
	for (unsigned n = 0; p && n < OBJECTS && snpu_range_ok(at, 16, total); n++) {
		uint64_t len = h5x_uint(p + at + 8, 8), id = h5x_uint(p + at, 2);
		int err = h5x_step(d->x);

		if (err)
			return err;
		if (!snpu_range_ok(at + 16, len, total) || !id)
			break;
		if (id == index) {
			*data = p + at + 16;
			*size = len;
			return 0;
		}
		at += 16 + (len + 7) / 8 * 8;
	}
	return damaged(d, "heap of strings");
}

static int copy_string(struct dataset *d, const uint8_t *p, char out[H5X_NAME])
{
	const uint8_t *s = p;
	uint64_t len = d->elem, have = d->elem;
	int err = 0;

	if (d->class == VARIABLE) {
		len = h5x_uint(p, 4);
		if (len)
			err = heap_object(d, h5x_uint(p + 4, 8), h5x_uint(p + 12, 4), &s, &have);
		if (err)
			return err;
	}
	if (len > have && len)
		return damaged(d, "length of a string");
	len = len ? strnlen((const char *)s, len) : 0;
	if (len >= H5X_NAME)
		return snpu_fail(-EBADMSG, "a string of '%s' is longer than %d bytes; use shorter names", d->what, H5X_NAME - 1);
	memcpy(out, s, len);
	out[len] = 0;
	return 0;
}

static int strings_read(struct h5x *x, uint64_t address, const char *what, struct dataset *d)
{
	int err = dataset_read(x, address, what, d);

	if (!err && d->count && ((d->class != STRING && d->class != VARIABLE) || d->lists))
		err = snpu_fail(-EBADMSG, "'%s' holds numbers where strings are needed; check the program that wrote the file", what);
	return err;
}

int h5x_read_string(struct h5x *x, uint64_t address, const char *what, char out[H5X_NAME])
{
	struct dataset d;
	int err = strings_read(x, address, what, &d);

	if (!err && d.count != 1)
		err = snpu_fail(-EBADMSG, "'%s' holds %llu strings instead of one; check the program that wrote the file", what, (unsigned long long)d.count);
	if (!err)
		err = copy_string(&d, d.raw, out);
	free(d.raw);
	return err;
}

static int pairs_from(struct dataset *d, uint64_t max, char ***out, uint64_t *count)
{
	char (*text)[H5X_NAME], **list;
	int err = 0;

	*count = d->count / 2;
	if (d->count && (d->rank != 2 || d->shape[1] != 2))
		return snpu_fail(-EBADMSG, "'%s' is not a list of pairs; check the program that wrote the file", d->what);
	if (*count > max)
		return snpu_fail(-E2BIG, "'%s' has %llu entries, at most %llu are possible", d->what, (unsigned long long)*count, (unsigned long long)max);
	list = calloc(d->count + 1, sizeof(*list) + H5X_NAME);
	if (!list)
		return snpu_fail(-ENOMEM, "no memory for the %llu entries of '%s'", (unsigned long long)*count, d->what);
	text = (char (*)[H5X_NAME])(list + d->count + 1);
	for (uint64_t k = 0; k < d->count && !err; k++) {
		list[k] = text[k];
		err = copy_string(d, d->raw + k * d->elem, text[k]);
	}
	if (err)
		free(list);
	else
		*out = list;
	return err;
}

int h5x_read_pairs(struct h5x *x, uint64_t address, const char *what, uint64_t max, char ***out, uint64_t *count)
{
	struct dataset d;
	int err = strings_read(x, address, what, &d);

	if (!err)
		err = pairs_from(&d, max, out, count);
	free(d.raw);
	return err;
}

/* --- lists -------------------------------------------------------------------------------------------------------- */

/* Where the numbers of list k lie, and how many they are. */
static int list_find(struct dataset *d, uint64_t k, const uint8_t **data, uint64_t *n)
{
	const uint8_t *p = d->raw + k * d->elem;
	uint64_t have = 0;
	int err;

	*n = h5x_uint(p, 4);
	if (!*n)
		return 0;
	err = heap_object(d, h5x_uint(p + 4, 8), h5x_uint(p + 12, 4), data, &have);
	if (!err && have / d->base_elem < *n)
		err = damaged(d, "length of a list");
	return err;
}

static int lists_from(struct dataset *d, uint64_t from, uint64_t to, struct h5x_lists *out)
{
	uint64_t total = 0, n, bytes;
	const uint8_t *data = NULL;
	int err = 0;

	out->count = to - from;
	out->first = calloc(out->count + 1, sizeof(*out->first));
	if (!out->first)
		return snpu_fail(-ENOMEM, "no memory for the %llu lists of '%s'", (unsigned long long)out->count, d->what);
	for (uint64_t k = from; k < to && !err; k++) {
		err = list_find(d, k, &data, &n);
		total += err ? 0 : n;			/* each fits the file, and there are not more than it holds */
		out->first[k - from + 1] = total;
	}
	/* Many lists may name the same piece of heap: what they claim together is limited, too. */
	if (!err && (!snpu_mul(total, sizeof(*out->value), &bytes) || bytes > d->x->budget))
		err = snpu_fail(-EBADMSG, "'%s' claims more numbers than a file of this size can hold; it is damaged, copy it again", d->what);
	if (err)
		return err;
	d->x->budget -= bytes;
	out->value = calloc(total + 1, sizeof(*out->value));
	if (!out->value)
		return snpu_fail(-ENOMEM, "no memory for the %llu numbers of '%s'", (unsigned long long)total, d->what);
	for (uint64_t k = from; k < to && !err; k++) {
		double *v = out->value + out->first[k - from];

		err = list_find(d, k, &data, &n);
		for (uint64_t i = 0; i < n && !err; i++)
			v[i] = d->base_class == FLOATING_POINT ? to_double(data + i * d->base_elem, d->base_elem)
							       : (double)to_int(data + i * d->base_elem, d->base_elem, d->is_signed);
	}
	return err;
}

int h5x_read_lists(struct h5x *x, uint64_t address, const char *what, uint64_t from, uint64_t to, struct h5x_lists *out)
{
	struct dataset d;
	int err;

	*out = (struct h5x_lists){ 0 };
	err = dataset_read(x, address, what, &d);
	if (!err && (d.class != VARIABLE || !d.lists || d.rank != 1))
		err = snpu_fail(-EBADMSG, "'%s' is no row of lists of numbers; check the program that wrote the file", what);
	if (!err) {
		to = to < d.count ? to : d.count;
		err = lists_from(&d, from < to ? from : to, to, out);
	}
	free(d.raw);
	return err;
}

void h5x_lists_free(struct h5x_lists *l)
{
	free(l->first);
	free(l->value);
	*l = (struct h5x_lists){ 0 };
}

/* --- attributes (IV.A.2.m) ---------------------------------------------------------------------------------------- */

struct attribute {
	const char *name;
	struct dataset *d;
	bool found;
};

static int attr_message(struct h5x *x, const struct h5x_msg *msg, void *arg)
{
	struct attribute *a = arg;
	struct dataset *d = a->d;
	const uint8_t *p = msg->data;
	uint64_t size[3], at, step[3];			/* name, type, shape */
	unsigned version = msg->size >= 8 ? p[0] : 0;

	if (msg->type != H5X_ATTRIBUTE || a->found)
		return 0;
	if (version < 1 || version > 3 || msg->shared || (version > 1 && p[1] & 3))
		return damaged(d, "an attribute");
	at = version == 3 ? 9 : 8;
	for (int i = 0; i < 3; i++) {
		size[i] = h5x_uint(p + 2 + 2 * i, 2);
		step[i] = version == 1 ? (size[i] + 7) / 8 * 8 : size[i];
	}
	if (!snpu_range_ok(at, step[0] + step[1] + step[2], msg->size) || !size[0])
		return damaged(d, "an attribute");
	if (strnlen((const char *)p + at, size[0]) != strlen(a->name) || memcmp(p + at, a->name, strlen(a->name)))
		return 0;
	at += step[0];
	d->type = (struct h5x_msg){ .type = H5X_TYPE, .data = p + at, .size = size[1] };
	at += step[1];
	d->space = (struct h5x_msg){ .type = H5X_SPACE, .data = p + at, .size = size[2] };
	at += step[2];
	d->layout = (struct h5x_msg){ .data = p + at, .size = msg->size - at };
	a->found = true;
	return 0;
}

/* 1 with one element at d->layout.data, 0 when there is no such attribute. */
static int attr_find(struct h5x *x, uint64_t address, const char *name, struct dataset *d)
{
	struct attribute a = { .name = name, .d = d };
	int err;

	*d = (struct dataset){ .x = x, .what = name };
	err = h5x_messages(x, address, attr_message, &a);
	if (err || !a.found)
		return err;
	err = parse_space(d);
	if (!err)
		err = parse_type(d);
	if (!err && (d->count != 1 || d->layout.size < d->elem))
		err = damaged(d, "an attribute that is not one value");
	return err ? err : 1;
}

int h5x_attr_string(struct h5x *x, uint64_t address, const char *name, char out[H5X_NAME])
{
	struct dataset d;
	int found = attr_find(x, address, name, &d), err;

	if (found <= 0)
		return found;
	if ((d.class != STRING && d.class != VARIABLE) || d.lists)
		return damaged(&d, "an attribute that is no string");
	err = copy_string(&d, d.layout.data, out);
	return err ? err : 1;
}

int h5x_attr_number(struct h5x *x, uint64_t address, const char *name, double *out)
{
	struct dataset d;
	int found = attr_find(x, address, name, &d);

	if (found <= 0)
		return found;
	if (d.class != FIXED_POINT && d.class != FLOATING_POINT)
		return damaged(&d, "an attribute that is no number");
	*out = d.class == FLOATING_POINT ? to_double(d.layout.data, d.elem) : (double)to_int(d.layout.data, d.elem, d.is_signed);
	return 1;
}
