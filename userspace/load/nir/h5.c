/* SPDX-License-Identifier: MIT */
/* HDF5 files in memory: superblock, object headers, groups. See h5.h; section numbers are those of the format specification. */
#include "load/nir/h5.h"

#include <stdlib.h>
#include <string.h>

/* deflate cannot shrink by more than this; a dataset that claims more than the file could hold is damage or an attack */
#define DEFLATE_MAX	1100ull
#define BLOCKS		64			/* pieces of one object header */
#define LEVELS		16			/* of a B-tree */

int h5x_damaged(const char *what)
{
	return snpu_fail(-EBADMSG, "the file is damaged (%s); export or copy it again", what);
}

const uint8_t *h5x_at(const struct h5x *x, uint64_t address, uint64_t len)
{
	return snpu_range_ok(address, len, x->size) ? x->mem + address : NULL;
}

int h5x_step(struct h5x *x)
{
	if (!x->work)
		return h5x_damaged("its structure has no end");
	x->work--;
	return 0;
}

/* II: Disk Format: Level 0A. Only addresses and lengths of 8 bytes, which is what every library writes by default. */
int h5x_open(struct h5x *x, const void *mem, size_t size)
{
	static const uint8_t signature[8] = { 0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n' };
	const uint8_t *p = mem;
	unsigned version, sizes, base;

	*x = (struct h5x){ .mem = mem, .size = size, .work = 100000 + 16 * (uint64_t)size };
	if (!snpu_mul(size, DEFLATE_MAX, &x->budget))
		return snpu_fail(-EFBIG, "a file of %zu bytes is too large", size);
	if (size < 48 || memcmp(p, signature, 8))
		return snpu_fail(-EBADMSG, "it is not an HDF5 file, or its first bytes are damaged; export or copy it again");
	version = p[8];
	sizes = version < 2 ? 13 : 9;
	base = version == 0 ? 24 : version == 1 ? 28 : 12;
	if (version > 3)
		return snpu_fail(-ENOTSUP, "it is an HDF5 file with a superblock of version %u, 0 to 3 are known; write it with libver='earliest'", version);
	if (p[sizes] != 8 || p[sizes + 1] != 8)
		return snpu_fail(-ENOTSUP, "it is an HDF5 file with addresses of %u and lengths of %u bytes, 8 is known; write it again with h5py's defaults",
				 p[sizes], p[sizes + 1]);
	if (size < base + 48u || h5x_uint(p + base, 8))
		return h5x_damaged("superblock");
	/* Versions 0 and 1 end with the root group's symbol table entry, 2 and 3 with its address. */
	x->root = version < 2 ? h5x_uint(p + base + 40, 8) : h5x_uint(p + base + 24, 8);
	return 0;
}

/* --- object headers (IV.A) ---------------------------------------------------------------------------------------- */

struct walk {
	struct { uint64_t address, size; } block[BLOCKS];
	unsigned n_blocks;
	bool v2, ordered;			/* header of version 2; its messages carry a creation order */
	int (*fn)(struct h5x *x, const struct h5x_msg *msg, void *arg);
	void *arg;
};

static int add_block(struct walk *w, uint64_t address, uint64_t size)
{
	if (w->n_blocks == BLOCKS)
		return h5x_damaged("an object header in too many pieces");
	w->block[w->n_blocks].address = address;
	w->block[w->n_blocks++].size = size;
	return 0;
}

static int continuation(struct h5x *x, struct walk *w, const struct h5x_msg *msg)
{
	uint64_t address, size;
	const uint8_t *p;

	if (msg->size < 16)
		return h5x_damaged("continuation of an object header");
	address = h5x_uint(msg->data, 8);
	size = h5x_uint(msg->data + 8, 8);
	if (!w->v2)
		return add_block(w, address, size);
	p = h5x_at(x, address, size);
	if (!p || size < 8 || memcmp(p, "OCHK", 4))
		return h5x_damaged("continuation of an object header");
	return add_block(w, address + 4, size - 8);
}

static int walk_block(struct h5x *x, struct walk *w, unsigned b)
{
	uint64_t size = w->block[b].size, at = 0, head = w->v2 ? w->ordered ? 6 : 4 : 8;
	const uint8_t *p = h5x_at(x, w->block[b].address, size);

	if (!p)
		return h5x_damaged("object header");
	while (size - at >= head) {
		const uint8_t *m = p + at;
		struct h5x_msg msg = {
			.type = w->v2 ? m[0] : (unsigned)h5x_uint(m, 2), .size = h5x_uint(m + (w->v2 ? 1 : 2), 2),
			.shared = m[w->v2 ? 3 : 4] & 2, .data = m + head,
		};
		int err = h5x_step(x);

		if (!err && msg.size > size - at - head)
			err = h5x_damaged("message of an object header");
		if (!err && msg.type == H5X_CONTINUATION)
			err = continuation(x, w, &msg);
		else if (!err)
			err = w->fn(x, &msg, w->arg);
		if (err)
			return err;
		at += head + msg.size;
	}
	return 0;
}

static int first_block_v2(struct h5x *x, uint64_t address, struct walk *w)
{
	const uint8_t *p = h5x_at(x, address, 6);
	uint64_t at = 6, bytes;

	if (!p || p[4] != 2)
		return h5x_damaged("object header");
	w->v2 = true;
	w->ordered = p[5] & 4;
	at += (p[5] & 0x20 ? 16 : 0) + (p[5] & 0x10 ? 4 : 0);
	bytes = 1u << (p[5] & 3);
	p = h5x_at(x, address + at, bytes);
	return p ? add_block(w, address + at + bytes, h5x_uint(p, (unsigned)bytes)) : h5x_damaged("object header");
}

int h5x_messages(struct h5x *x, uint64_t address, int (*fn)(struct h5x *x, const struct h5x_msg *msg, void *arg), void *arg)
{
	struct walk w = { .fn = fn, .arg = arg };
	const uint8_t *p = h5x_at(x, address, 16);
	int err;

	if (!p)
		return h5x_damaged("address of an object");
	if (!memcmp(p, "OHDR", 4))
		err = first_block_v2(x, address, &w);
	else if (p[0] == 1)
		err = add_block(&w, address + 16, h5x_uint(p + 8, 4));
	else
		err = h5x_damaged("object header");
	for (unsigned b = 0; b < w.n_blocks && !err; b++)
		err = walk_block(x, &w, b);
	return err;
}

/* --- groups (III.A, III.B, IV.A.2.g) ------------------------------------------------------------------------------ */

static int add_link(struct h5x_dir *dir, const uint8_t *name, uint64_t len, uint64_t address, bool hard)
{
	struct h5x_link *l;

	if (!len || len >= H5X_NAME || memchr(name, 0, len))
		return h5x_damaged("a name that is empty or too long");
	if (dir->n == H5X_LINKS)
		return snpu_fail(-E2BIG, "a group has more than %d names; no NIR file is known to", H5X_LINKS);
	if (dir->n == dir->capacity) {
		unsigned capacity = dir->capacity ? dir->capacity * 2 : 16;

		l = reallocarray(dir->link, capacity, sizeof(*l));
		if (!l)
			return snpu_fail(-ENOMEM, "no memory for the names of a group");
		dir->link = l;
		dir->capacity = capacity;
	}
	l = &dir->link[dir->n];
	l->name = strndup((const char *)name, len);
	if (!l->name)
		return snpu_fail(-ENOMEM, "no memory for the names of a group");
	l->address = address;
	l->hard = hard;
	dir->n++;
	return 0;
}

struct heap {
	const uint8_t *data;
	uint64_t size;
};

static int read_symbols(struct h5x *x, uint64_t address, const struct heap *heap, struct h5x_dir *dir)
{
	const uint8_t *p = h5x_at(x, address, 8);
	unsigned n;
	int err;

	if (!p || memcmp(p, "SNOD", 4))
		return h5x_damaged("symbol table");
	n = (unsigned)h5x_uint(p + 6, 2);
	p = h5x_at(x, address + 8, 40ull * n);
	if (!p)
		return h5x_damaged("symbol table");
	for (unsigned i = 0; i < n; i++, p += 40) {
		uint64_t name = h5x_uint(p, 8);

		err = h5x_step(x);
		if (!err && name >= heap->size)
			err = h5x_damaged("name of a symbol");
		if (!err)
			err = add_link(dir, heap->data + name, strnlen((const char *)heap->data + name, heap->size - name), h5x_uint(p + 8, 8),
				       h5x_uint(p + 16, 4) < 2);
		if (err)
			return err;
	}
	return 0;
}

static int read_tree(struct h5x *x, uint64_t address, unsigned level, const struct heap *heap, struct h5x_dir *dir)
{
	const uint8_t *p = h5x_at(x, address, 24);
	unsigned n;
	int err = h5x_step(x);

	if (err)
		return err;
	if (!p || memcmp(p, "TREE", 4) || p[4] != 0 || p[5] > LEVELS || (level <= LEVELS && p[5] != level))
		return h5x_damaged("tree of a group");
	level = p[5];
	n = (unsigned)h5x_uint(p + 6, 2);
	p = h5x_at(x, address + 24, 16ull * n);
	if (!p)
		return h5x_damaged("tree of a group");
	for (unsigned i = 0; i < n && !err; i++) {
		uint64_t child = h5x_uint(p + 16 * i + 8, 8);

		err = level ? read_tree(x, child, level - 1, heap, dir) : read_symbols(x, child, heap, dir);
	}
	return err;
}

static int read_symbol_table(struct h5x *x, const struct h5x_msg *msg, struct h5x_dir *dir)
{
	const uint8_t *p = msg->size >= 16 ? h5x_at(x, h5x_uint(msg->data + 8, 8), 32) : NULL;
	struct heap heap;

	if (!p || memcmp(p, "HEAP", 4))
		return h5x_damaged("names of a group");
	heap.size = h5x_uint(p + 8, 8);
	heap.data = h5x_at(x, h5x_uint(p + 24, 8), heap.size);
	if (!heap.data)
		return h5x_damaged("names of a group");
	return read_tree(x, h5x_uint(msg->data, 8), LEVELS + 1, &heap, dir);
}

static int read_link(const struct h5x_msg *msg, struct h5x_dir *dir)
{
	const uint8_t *p = msg->data, *end = p + msg->size;
	unsigned flags, type = 0, bytes;
	uint64_t len;

	if (msg->size < 2 || p[0] != 1)
		return h5x_damaged("link");
	flags = p[1];
	p += 2;
	bytes = 1u << (flags & 3);
	/* Type, creation order, character set and length, as far as flags say they are there. */
	if ((uint64_t)(end - p) < (flags & 8 ? 1u : 0) + (flags & 4 ? 8u : 0) + (flags & 16 ? 1u : 0) + bytes)
		return h5x_damaged("link");
	if (flags & 8)
		type = *p++;
	p += (flags & 4 ? 8 : 0) + (flags & 16 ? 1 : 0);
	len = h5x_uint(p, bytes);
	p += bytes;
	if (!snpu_range_ok(len, type ? 0 : 8, (uint64_t)(end - p)))
		return h5x_damaged("link");
	return add_link(dir, p, len, type ? 0 : h5x_uint(p + len, 8), !type);
}

static int read_link_info(const struct h5x_msg *msg)
{
	uint64_t at = msg->size >= 2 && msg->data[1] & 1 ? 10 : 2;

	if (!snpu_range_ok(at, 8, msg->size))
		return h5x_damaged("links of a group");
	if (h5x_uint(msg->data + at, 8) != H5X_UNDEFINED)
		return snpu_fail(-ENOTSUP, "a group stores its names in the dense form of newer HDF5; write the file with libver='earliest', h5py's default");
	return 0;
}

struct group_walk {
	struct h5x_dir *dir;
	bool group;				/* any message that only groups have */
};

static int group_message(struct h5x *x, const struct h5x_msg *msg, void *arg)
{
	struct group_walk *g = arg;

	if (msg->type != H5X_SYMBOLS && msg->type != H5X_LINK && msg->type != H5X_LINK_INFO)
		return 0;
	if (msg->shared)
		return h5x_damaged("shared message in a group");
	g->group = true;
	if (msg->type == H5X_SYMBOLS)
		return read_symbol_table(x, msg, g->dir);
	return msg->type == H5X_LINK ? read_link(msg, g->dir) : read_link_info(msg);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct h5x_link *)a)->name, ((const struct h5x_link *)b)->name);
}

int h5x_dir_read(struct h5x *x, uint64_t address, const char *what, struct h5x_dir *dir)
{
	struct group_walk g = { .dir = dir };
	int err;

	*dir = (struct h5x_dir){ 0 };
	err = h5x_messages(x, address, group_message, &g);
	if (!err && !g.group)
		err = snpu_fail(-EBADMSG, "it is not a group; check the program that wrote the file");
	if (err)
		return snpu_fail_in(err, "'%s'", what);
	if (dir->n)
		qsort(dir->link, dir->n, sizeof(*dir->link), by_name);
	for (unsigned i = 1; i < dir->n; i++)
		if (!strcmp(dir->link[i - 1].name, dir->link[i].name))
			return snpu_fail_in(h5x_damaged("a name twice in a group"), "'%s'", what);
	return 0;
}

void h5x_dir_free(struct h5x_dir *dir)
{
	for (unsigned i = 0; i < dir->n; i++)
		free(dir->link[i].name);
	free(dir->link);
	*dir = (struct h5x_dir){ 0 };
}

int h5x_dir_find(const struct h5x_dir *dir, const char *name, uint64_t *address)
{
	for (unsigned i = 0; i < dir->n; i++) {
		if (strcmp(dir->link[i].name, name))
			continue;
		if (!dir->link[i].hard)
			return snpu_fail(-EBADMSG, "'%s' is a link to another place, which NIR files do not have; store the thing itself", name);
		*address = dir->link[i].address;
		return 1;
	}
	return 0;
}
