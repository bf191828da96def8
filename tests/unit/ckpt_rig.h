/* SPDX-License-Identifier: MIT */
/*
 * What the tests of checkpoints share: files of both formats built in memory, good or with one thing wrong, and folders to put
 * them into. Nothing here comes from the code under test but the parsers' prototypes.
 */
#ifndef SNPU_TESTS_CKPT_RIG_H
#define SNPU_TESTS_CKPT_RIG_H

#include <dirent.h>

#include "load/ckpt.h"
#include "snpu/snpu.h"
#include "tests/harness.h"

#define DATA	"tests/data/spikingbrain/"

typedef int (*parse_fn)(const void *mem, size_t size, struct snpu_tensor_list *list);

struct buf {
	uint8_t *mem;
	size_t n, cap;
};

TH_VAR void put(struct buf *b, const void *p, size_t n)
{
	if (b->n + n > b->cap) {
		b->cap = 2 * (b->n + n);
		b->mem = realloc(b->mem, b->cap);
		if (!b->mem)
			abort();
	}
	if (n)
		memcpy(b->mem + b->n, p, n);
	b->n += n;
}

TH_VAR void put_text(struct buf *b, const char *text)
{
	put(b, text, strlen(text));
}

TH_VAR void put_le(struct buf *b, uint64_t v, unsigned bytes)
{
	for (; bytes--; v >>= 8)
		put(b, &(uint8_t){ (uint8_t)v }, 1);
}

TH_VAR void put_count(struct buf *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put_le(b, i, 1);
}

/* Parses a copy of exactly this size, so that a sanitizer sees every byte past its end. The list stays with the caller. */
TH_VAR int parse_copy(parse_fn parse, const void *mem, size_t n, struct snpu_tensor_list *list, void **copy)
{
	*copy = malloc(n ? n : 1);
	if (!*copy)
		abort();
	memcpy(*copy, mem, n);
	return parse(*copy, n, list);
}

/* Parses and forgets; the sentence stays. */
TH_VAR int parse_only(parse_fn parse, const void *mem, size_t n)
{
	struct snpu_tensor_list list = { 0 };
	void *copy;
	int err = parse_copy(parse, mem, n, &list, &copy);

	snpu_tensor_list_free(&list);
	free(copy);
	return err;
}

/* Header and `data` bytes 0, 1, 2, ... */
TH_VAR struct buf make_safetensors(const char *header, size_t data)
{
	struct buf b = { 0 };

	put_le(&b, strlen(header), 8);
	put_text(&b, header);
	put_count(&b, data);
	return b;
}

/* --- pickles ------------------------------------------------------------------------------------------------------- */

#define PROTO2		"\x80\x02"
#define REBUILD_V2	"ctorch._utils\n_rebuild_tensor_v2\n"
#define ORDERED_DICT	"ccollections\nOrderedDict\n"

TH_VAR void pk_str(struct buf *b, const char *s)
{
	put_text(b, "X");
	put_le(b, strlen(s), 4);
	put_text(b, s);
}

TH_VAR void pk_int(struct buf *b, int64_t v)
{
	if (v >= 0 && v < 256) {
		put_text(b, "K");
		put_le(b, (uint64_t)v, 1);
	} else {
		put_text(b, "\x8a\x08");
		put_le(b, (uint64_t)v, 8);
	}
}

TH_VAR void pk_ints(struct buf *b, unsigned n, const int64_t *v)
{
	put_text(b, "(");
	for (unsigned i = 0; i < n; i++)
		pk_int(b, v[i]);
	put_text(b, "t");
}

struct torch_tensor {
	const char *name, *storage, *key;	/* storage: "FloatStorage" when NULL, key: "0" */
	int64_t elements, first;		/* elements: of the storage */
	unsigned rank, strides;			/* strides: how many when not `rank` */
	int64_t shape[10], stride[10];
};

/* What persistent_load() would get. */
TH_VAR void pk_storage(struct buf *b, const struct torch_tensor *t)
{
	put_text(b, "(");
	pk_str(b, "storage");
	put_text(b, "ctorch\n");
	put_text(b, t->storage ? t->storage : "FloatStorage");
	put_text(b, "\n");
	pk_str(b, t->key ? t->key : "0");
	pk_str(b, "cpu");
	pk_int(b, t->elements);
	put_text(b, "tQ");
}

/* A key and a tensor, for SETITEM. */
TH_VAR void pk_tensor(struct buf *b, const struct torch_tensor *t)
{
	pk_str(b, t->name);
	put_text(b, REBUILD_V2 "(");
	pk_storage(b, t);
	pk_int(b, t->first);
	pk_ints(b, t->rank, t->shape);
	pk_ints(b, t->strides ? t->strides : t->rank, t->stride);
	put_text(b, "\x89" ORDERED_DICT ")RtR");
}

/* --- zip archives -------------------------------------------------------------------------------------------------- */

#define ZIP_MAX	16

struct zip_entry {
	const char *name;
	const void *data;
	size_t n;
	unsigned flags, method;
};

/* What is wrong with an archive, or only unusual. */
struct zip_how {
	bool zip64;			/* every size and place in 64 bits, the 32-bit fields all ones */
	bool no_extra;			/* ... but the 64-bit ones are missing */
	bool other_local_name, bad_local;
	unsigned grow;			/* added to the size of each entry */
	uint64_t move;			/* ... and to its place */
	unsigned packed_more;		/* ... and to the other of its sizes, but for the first entry */
	unsigned entries_more, at_more;	/* added to what the end says */
	const char *comment;
};

TH_VAR void zip_head(struct buf *b, const struct zip_entry *e, const struct zip_how *how, uint64_t at)
{
	uint64_t n = e->n + how->grow, packed = n + (at ? how->packed_more : 0);
	unsigned extra = how->zip64 && !how->no_extra ? 28 : 0;

	put_le(b, 0x02014b50, 4);
	put_le(b, 0, 4);			/* versions */
	put_le(b, e->flags, 2);
	put_le(b, e->method, 2);
	put_le(b, 0, 8);			/* time, checksum */
	put_le(b, how->zip64 ? 0xffffffff : packed, 4);
	put_le(b, how->zip64 ? 0xffffffff : n, 4);
	put_le(b, strlen(e->name), 2);
	put_le(b, extra ? extra + 6 : 0, 2);
	put_le(b, 0, 10);			/* comment, disk, attributes */
	put_le(b, how->zip64 ? 0xffffffff : at, 4);
	put_text(b, e->name);
	if (!extra)
		return;
	put_le(b, 0x5a42, 2);			/* a field that means nothing here */
	put_le(b, 2, 2);
	put_le(b, 0, 2);
	put_le(b, 1, 2);
	put_le(b, 24, 2);
	put_le(b, n, 8);
	put_le(b, packed, 8);
	put_le(b, at, 8);
}

TH_VAR void zip_end(struct buf *b, unsigned n, const struct zip_how *how, uint64_t at)
{
	uint64_t end = b->n, size = end - at;
	const char *comment = how->comment ? how->comment : "";

	at += how->at_more;
	if (how->zip64) {
		put_le(b, 0x06064b50, 4);
		put_le(b, 44, 8);
		put_le(b, 0, 12);		/* versions, disks */
		put_le(b, n + how->entries_more, 8);
		put_le(b, n + how->entries_more, 8);
		put_le(b, size, 8);
		put_le(b, at, 8);
		put_le(b, 0x07064b50, 4);
		put_le(b, 0, 4);
		put_le(b, end, 8);
		put_le(b, 1, 4);
	}
	put_le(b, 0x06054b50, 4);
	put_le(b, 0, 4);
	put_le(b, how->zip64 ? 0xffff : n + how->entries_more, 2);
	put_le(b, how->zip64 ? 0xffff : n + how->entries_more, 2);
	put_le(b, how->zip64 ? 0xffffffff : size, 4);
	put_le(b, how->zip64 ? 0xffffffff : at, 4);
	put_le(b, strlen(comment), 2);
	put_text(b, comment);
}

TH_VAR struct buf make_zip(const struct zip_entry *e, unsigned n, const struct zip_how *how)
{
	uint64_t at[ZIP_MAX], dir;
	struct buf b = { 0 };

	for (unsigned i = 0; i < n; i++) {
		at[i] = b.n;
		put_le(&b, how->bad_local ? 0 : 0x04034b50, 4);
		put_le(&b, 0, 22);		/* as PyTorch: sizes are only in the directory */
		put_le(&b, strlen(e[i].name), 2);
		put_le(&b, 6, 2);		/* and the data is padded */
		put_text(&b, e[i].name);
		if (how->other_local_name)
			b.mem[b.n - 1] ^= 1;
		put(&b, "FB\x02\0ZZ", 6);
		put(&b, e[i].data, e[i].n);
	}
	dir = b.n;
	for (unsigned i = 0; i < n; i++)
		zip_head(&b, &e[i], how, at[i] + how->move);
	zip_end(&b, n, how, dir);
	return b;
}

/* A file as torch.save() writes it: storages "0" of 64 bytes, "1" of 24 and "2" of none, all counting up. */
TH_VAR struct buf make_torch(const struct buf *pickle)
{
	static const struct zip_how plain;
	uint8_t data[64];
	struct zip_entry e[] = {
		{ "archive/data.pkl", pickle->mem, pickle->n }, { "archive/byteorder", "little", 6 }, { "archive/data/0", data, 64 },
		{ "archive/data/1", data, 24 }, { "archive/data/2", data, 0 }, { "archive/version", "3\n", 2 },
	};

	for (unsigned i = 0; i < 64; i++)
		data[i] = (uint8_t)i;
	return make_zip(e, 6, &plain);
}

/* --- folders ------------------------------------------------------------------------------------------------------- */

struct folder {
	char path[64];
};

TH_VAR bool folder_create(struct folder *f)
{
	strcpy(f->path, "/tmp/snpu-ckpt-XXXXXX");
	return mkdtemp(f->path);
}

TH_VAR bool folder_put(const struct folder *f, const char *name, const void *mem, size_t n)
{
	char path[512];
	FILE *to;
	bool ok;

	snprintf(path, sizeof(path), "%s/%s", f->path, name);
	to = fopen(path, "wb");
	ok = to && fwrite(mem, 1, n, to) == n;
	return to && !fclose(to) && ok;
}

TH_VAR void folder_remove(const struct folder *f)
{
	DIR *d = opendir(f->path);
	char path[512];

	for (struct dirent *e; d && (e = readdir(d));) {
		snprintf(path, sizeof(path), "%s/%s", f->path, e->d_name);
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			remove(path);
	}
	if (d)
		closedir(d);
	rmdir(f->path);
}

#endif
