/* SPDX-License-Identifier: MIT */
/* HDF5 files in memory, written. See h5_write.h; section numbers are those of the HDF5 File Format Specification. */
#include "load/nir/h5_write.h"

#include <stdlib.h>
#include <string.h>

#define SUPERBLOCK	96
#define HEAP_SIZE	4096			/* of the global heap: the least that libhdf5 takes */
#define UNDEFINED	(~0ull)
#define TREE_K		16
#define LINKS_MAX	8192

/* `size` zeroed bytes at the end, a multiple of 8; NULL after an error. */
static uint8_t *room(struct h5w *w, uint64_t size, uint64_t *at)
{
	uint64_t want;

	size = (size + 7) & ~7ull;
	*at = w->size;
	if (w->err || !snpu_add(w->size, size, &want) || want > 1ull << 46) {
		w->err = w->err ? w->err : snpu_fail(-EFBIG, "a file of so many bytes cannot be written; record fewer nodes or steps");
		return NULL;
	}
	if (want > w->capacity) {
		uint8_t *p = realloc(w->mem, want + want / 2);

		if (!p) {
			w->err = snpu_fail(-ENOMEM, "no memory for a file of %llu bytes; record fewer nodes or steps", (unsigned long long)want);
			return NULL;
		}
		w->mem = p;
		w->capacity = want + want / 2;
	}
	memset(w->mem + w->size, 0, size);
	w->size = want;
	return w->mem + *at;
}

static void put(uint8_t *p, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

void h5w_begin(struct h5w *w)
{
	uint64_t at;
	uint8_t *p;

	*w = (struct h5w){ 0 };
	room(w, SUPERBLOCK, &at);
	p = room(w, HEAP_SIZE, &at);
	if (!p)
		return;
	memcpy(p, "GCOL\1", 5);			/* III.E */
	put(p + 8, HEAP_SIZE, 8);
	w->heap_used = 16;
}

/* Puts a string into the heap, or finds it there: its number, 0 after an error. */
static unsigned string_number(struct h5w *w, const char *text)
{
	uint64_t len = strlen(text), at = 16;
	uint8_t *heap = w->mem + SUPERBLOCK;

	if (w->err)
		return 0;
	for (unsigned i = 1; i <= w->strings; i++) {
		uint64_t have = 0;

		memcpy(&have, heap + at + 8, 8);
		if (have == len && !memcmp(heap + at + 16, text, len))
			return i;
		at += 16 + (have + 7) / 8 * 8;
	}
	if (w->heap_used + 16 + len + 8 + 16 > HEAP_SIZE) {
		w->err = snpu_fail(-E2BIG, "the attributes of a file have more text than %d bytes", HEAP_SIZE);
		return 0;
	}
	put(heap + at, ++w->strings, 2);
	put(heap + at + 2, 1, 2);
	put(heap + at + 8, len, 8);
	memcpy(heap + at + 16, text, len);
	w->heap_used = at + 16 + (len + 7) / 8 * 8;
	return w->strings;
}

/* --- types (IV.A.2.d) --------------------------------------------------------------------------------------------- */

static unsigned type_integer(uint8_t *p, unsigned bytes)
{
	p[0] = 0x10;
	p[1] = 0x08;				/* signed, little-endian */
	put(p + 4, bytes, 4);
	put(p + 10, 8 * bytes, 2);
	return 12;
}

static unsigned type_float(uint8_t *p, bool f64)
{
	p[0] = 0x11;
	p[1] = 0x20;				/* the first bit of the mantissa is implied */
	p[2] = f64 ? 63 : 31;			/* sign */
	put(p + 4, f64 ? 8 : 4, 4);
	put(p + 10, f64 ? 64 : 32, 2);
	p[12] = f64 ? 52 : 23;
	p[13] = f64 ? 11 : 8;
	p[15] = f64 ? 52 : 23;
	put(p + 16, f64 ? 1023 : 127, 4);
	return 20;
}

static unsigned type_bool(uint8_t *p)
{
	p[0] = 0x18;
	p[1] = 2;				/* members */
	put(p + 4, 1, 4);
	type_integer(p + 8, 1);
	memcpy(p + 20, "FALSE\0\0\0TRUE\0\0\0", 16);
	p[37] = 1;
	return 38;
}

/* A variable string of UTF-8, as h5py makes of a Python str. */
static unsigned type_text(uint8_t *p)
{
	p[0] = 0x19;
	p[1] = 0x01;
	p[2] = 0x01;
	put(p + 4, 16, 4);
	p[8] = 0x10;
	put(p + 12, 1, 4);
	put(p + 18, 8, 2);
	return 20;
}

static unsigned type_of(uint8_t *p, enum h5w_type type)
{
	return type == H5W_BOOL ? type_bool(p) : type == H5W_I64 ? type_integer(p, 8) : type_float(p, type == H5W_F64);
}

/* --- object headers (IV.A.1.a) ------------------------------------------------------------------------------------ */

struct header {
	uint8_t buf[4096];
	unsigned size, messages;
};

/* A message of `size` bytes, to be filled. */
static uint8_t *message(struct header *h, unsigned type, unsigned size)
{
	uint8_t *p = h->buf + h->size;

	size = (size + 7) & ~7u;
	put(p, type, 2);
	put(p + 2, size, 2);
	h->size += 8 + size;
	h->messages++;
	return p + 8;
}

static uint64_t header_write(struct h5w *w, const struct header *h)
{
	uint64_t at;
	uint8_t *p = room(w, 16 + h->size, &at);

	if (!p)
		return 0;
	p[0] = 1;
	put(p + 2, h->messages, 2);
	put(p + 4, 1, 4);			/* links to it */
	put(p + 8, h->size, 4);
	memcpy(p + 16, h->buf, h->size);
	return at;
}

uint64_t h5w_dataset(struct h5w *w, enum h5w_type type, unsigned rank, const uint64_t *shape, const void *data)
{
	static const unsigned sizes[] = { 1, 8, 4, 8 };
	struct header h = { .size = 0 };
	uint64_t bytes = sizes[type], at;
	uint8_t *p, *to;
	bool ok = rank <= 8;

	for (unsigned i = 0; i < rank && ok; i++)
		ok = snpu_mul(bytes, shape[i], &bytes);
	to = room(w, ok ? bytes : UNDEFINED - 8, &at);
	if (!to)
		return 0;
	memcpy(to, data, bytes);
	p = message(&h, 0x01, 8 + 8 * rank);	/* IV.A.2.b */
	p[0] = 1;
	p[1] = (uint8_t)rank;
	for (unsigned i = 0; i < rank; i++)
		put(p + 8 + 8 * i, shape[i], 8);
	p = message(&h, 0x03, 40);
	type_of(p, type);
	p = message(&h, 0x05, 4);		/* IV.A.2.f: no fill value, space is there */
	p[0] = 2;
	p[1] = 1;
	p = message(&h, 0x08, 18);		/* IV.A.2.i: contiguous */
	p[0] = 3;
	p[1] = 1;
	put(p + 2, at, 8);
	put(p + 10, bytes, 8);
	return header_write(w, &h);
}

/* IV.A.2.m, version 1: name, type and shape padded to 8 bytes, then the value. */
static void attribute(struct h5w *w, struct header *h, const struct h5w_attr *a)
{
	unsigned name = (unsigned)strlen(a->name) + 1, type, number = a->text ? string_number(w, a->text) : 0;
	uint8_t *p = message(h, 0x0c, 8 + (name + 7) / 8 * 8 + 24 + 8 + 16);

	p[0] = 1;
	put(p + 2, name, 2);
	put(p + 6, 8, 2);
	memcpy(p + 8, a->name, name);
	type = a->text ? type_text(p + 8 + (name + 7) / 8 * 8) : a->whole ? type_integer(p + 8 + (name + 7) / 8 * 8, 8) : type_float(p + 8 + (name + 7) / 8 * 8, true);
	put(p + 4, type, 2);
	p += 8 + (name + 7) / 8 * 8 + (type + 7) / 8 * 8;
	p[0] = 1;				/* a shape without axes */
	p += 8;
	if (a->text) {
		put(p, strlen(a->text), 4);
		put(p + 4, SUPERBLOCK, 8);
		put(p + 12, number, 4);
	} else if (a->whole) {
		put(p, (uint64_t)(int64_t)a->number, 8);
	} else {
		memcpy(p, &a->number, 8);
	}
}

/* --- groups (III.A, III.B, III.D) --------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct h5w_link *)a)->name, ((const struct h5w_link *)b)->name);
}

/* Names, one behind the other, and the symbols that point to them; *heap, *symbols: where they are; *last: offset of the last name. */
static void write_names(struct h5w *w, const struct h5w_link *links, unsigned n, uint64_t *heap, uint64_t *symbols, uint64_t *last)
{
	uint64_t bytes = 8, at = 8, data;
	uint8_t *p;

	for (unsigned i = 0; i < n; i++)
		bytes += (strlen(links[i].name) + 8) / 8 * 8;
	p = room(w, bytes, &data);
	for (unsigned i = 0; p && i < n; i++) {
		memcpy(p + at, links[i].name, strlen(links[i].name));
		at += (strlen(links[i].name) + 8) / 8 * 8;
	}
	p = room(w, 32, heap);
	if (p) {
		memcpy(p, "HEAP", 4);
		put(p + 8, bytes, 8);
		put(p + 16, 1, 8);		/* nothing is free */
		put(p + 24, data, 8);
	}
	p = room(w, 8 + 40ull * (n > 8 ? n : 8), symbols);
	if (!p)
		return;
	memcpy(p, "SNOD\1", 5);
	put(p + 6, n, 2);
	at = 8;
	for (unsigned i = 0; i < n; i++) {
		put(p + 8 + 40 * i, at, 8);
		put(p + 16 + 40 * i, links[i].address, 8);
		*last = at;
		at += (strlen(links[i].name) + 8) / 8 * 8;
	}
}

uint64_t h5w_group(struct h5w *w, struct h5w_link *links, unsigned n, const struct h5w_attr *attrs, unsigned n_attrs)
{
	uint64_t heap = 0, symbols = 0, tree, last = 0;
	struct header h = { .size = 0 };
	uint8_t *p;

	if (n)
		qsort(links, n, sizeof(*links), by_name);
	for (unsigned i = 0; i < n && !w->err; i++)
		if (!links[i].name[0] || strchr(links[i].name, '/') || (i && !strcmp(links[i].name, links[i - 1].name)))
			w->err = snpu_fail(-EINVAL, "'%s' cannot be a name in an HDF5 file, or is there twice; rename it", links[i].name);
	if (n > LINKS_MAX && !w->err)
		w->err = snpu_fail(-E2BIG, "%u names in one group of a file, at most %d are written; record fewer nodes", n, LINKS_MAX);
	write_names(w, links, w->err ? 0 : n, &heap, &symbols, &last);
	p = room(w, 24 + (2 * TREE_K + 1) * 8 + 2 * TREE_K * 8, &tree);
	if (!p)
		return 0;
	w->most_links = n > w->most_links ? n : w->most_links;
	memcpy(p, "TREE", 4);
	put(p + 6, n ? 1 : 0, 2);
	put(p + 8, UNDEFINED, 8);
	put(p + 16, UNDEFINED, 8);
	if (n) {
		put(p + 32, symbols, 8);
		put(p + 40, last, 8);
	}
	p = message(&h, 0x11, 16);
	put(p, tree, 8);
	put(p + 8, heap, 8);
	for (unsigned i = 0; i < n_attrs; i++)
		attribute(w, &h, &attrs[i]);
	return header_write(w, &h);
}

/* II.A. The rest of the heap is free space, which its last object says. */
int h5w_end(struct h5w *w, uint64_t root, void **mem, size_t *size)
{
	unsigned leaf = (w->most_links + 1) / 2;
	uint8_t *p = w->mem;

	/* Symbols are read as a block for 2 * leaf of them. */
	if (!w->err) {
		uint64_t at;

		room(w, 8 + 80ull * (leaf > 4 ? leaf : 4), &at);
		p = w->mem;
	}
	if (w->err) {
		free(w->mem);
		return w->err;
	}
	put(p + SUPERBLOCK + w->heap_used + 8, HEAP_SIZE - w->heap_used, 8);
	memcpy(p, "\x89HDF\r\n\x1a\n", 8);
	p[13] = p[14] = 8;
	put(p + 16, leaf > 4 ? leaf : 4, 2);
	put(p + 18, TREE_K, 2);
	put(p + 32, UNDEFINED, 8);
	put(p + 40, w->size, 8);
	put(p + 48, UNDEFINED, 8);
	put(p + 64, root, 8);
	*mem = w->mem;
	*size = w->size;
	return 0;
}
