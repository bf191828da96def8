/* SPDX-License-Identifier: MIT */
/*
 * PyTorch's own files (torch.save() since 1.6, .bin and .pt): a zip archive with a table of tensors, in a pickle, and one entry for each
 * storage. Only a flat table is taken, and only three kinds of names. Parses memory and trusts nothing in it; threads
 * share nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load/ckpt.h"
#include "load/pickle.h"
#include "load/zip.h"

#define REBUILD		0		/* in globals[]; 1 is the dictionary, the rest are storages */
#define STORAGE		2

static const struct pickle_global globals[] = {
	{ "torch._utils", "_rebuild_tensor_v2", PICKLE_FUNCTION },
	{ "collections", "OrderedDict", PICKLE_DICT_TYPE },
	{ "torch", "FloatStorage" },	{ "torch", "HalfStorage" },	{ "torch", "BFloat16Storage" },	{ "torch", "DoubleStorage" },
	{ "torch", "LongStorage" },	{ "torch", "IntStorage" },	{ "torch", "ShortStorage" },	{ "torch", "CharStorage" },
	{ "torch", "ByteStorage" },	{ "torch", "BoolStorage" },
};
#define N_GLOBALS	(sizeof(globals) / sizeof(globals[0]))

static const struct {
	enum snpu_tensor_type type;
	unsigned bytes;
} storages[N_GLOBALS - STORAGE] = {
	{ SNPU_TENSOR_F32, 4 }, { SNPU_TENSOR_F16, 2 }, { SNPU_TENSOR_BF16, 2 }, { SNPU_TENSOR_F64, 8 },
	{ SNPU_TENSOR_OTHER, 8 }, { SNPU_TENSOR_OTHER, 4 }, { SNPU_TENSOR_OTHER, 2 }, { SNPU_TENSOR_OTHER, 1 },
	{ SNPU_TENSOR_OTHER, 1 }, { SNPU_TENSOR_OTHER, 1 },
};

struct reader {
	struct snpu_zip zip;
	struct pickle pickle;
	const char *folder;		/* in the archive, of all its entries; not terminated */
	size_t folder_len;
	char name[256];			/* of the tensor being read, shortened */
};

static int damaged(const struct reader *r, const char *what)
{
	return snpu_fail(-EBADMSG, "tensor '%s' is damaged (%s); copy the file again, or save it again with torch.save()", r->name, what);
}

static bool is_text(const struct pickle_value *v, const char *text)
{
	return v && v->kind == PICKLE_STR && v->str.len == strlen(text) && !memcmp(v->str.s, text, v->str.len);
}

static bool natural(const struct pickle_value *v, uint64_t *out)
{
	if (!v || v->kind != PICKLE_INT || v->i < 0)
		return false;
	*out = (uint64_t)v->i;
	return true;
}

static const struct snpu_zip_entry *find_entry(const struct reader *r, const char *name, int len)
{
	char path[512];

	if (snprintf(path, sizeof(path), "%.*s/%.*s", (int)r->folder_len, r->folder, len, name) >= (int)sizeof(path))
		return NULL;
	return snpu_zip_find(&r->zip, path);
}

/* ('storage', type, key, place, elements) */
static int find_storage(const struct reader *r, const struct pickle_value *v, const struct snpu_zip_entry **entry, unsigned *kind)
{
	const struct pickle *p = &r->pickle;
	const struct pickle_value *id, *type, *key;
	char name[64];
	uint64_t n, bytes;

	if (!v || v->kind != PICKLE_PERSISTENT)
		return damaged(r, "no storage");
	id = &p->value[v->call.arg];
	type = snpu_pickle_item(p, id, 1);
	key = snpu_pickle_item(p, id, 2);
	if (!is_text(snpu_pickle_item(p, id, 0), "storage") || !type || type->kind != PICKLE_GLOBAL || type->i < STORAGE || !key || key->kind != PICKLE_STR ||
	    key->str.len >= sizeof(name) - 5 || !natural(snpu_pickle_item(p, id, 4), &n) || id->tuple.n != 5)
		return damaged(r, "its storage");
	snprintf(name, sizeof(name), "data/%.*s", (int)key->str.len, key->str.s);
	*entry = find_entry(r, name, (int)strlen(name));
	if (!*entry)
		return snpu_fail(-EBADMSG, "tensor '%s' lies in '%s', which the file does not have; copy it again", r->name, name);
	*kind = (unsigned)type->i - STORAGE;
	if (!snpu_mul(n, storages[*kind].bytes, &bytes) || bytes != (*entry)->size)
		return snpu_fail(-EBADMSG, "storage '%s' of tensor '%s' has %llu bytes and claims %llu elements of %u; copy the file again", name, r->name,
				 (unsigned long long)(*entry)->size, (unsigned long long)n, storages[*kind].bytes);
	return 0;
}

/* Rows one after the other, last index fastest. Along an axis of length 1 nothing is ever stepped. */
static bool row_major(const struct reader *r, const struct snpu_ckpt_tensor *t, const struct pickle_value *strides)
{
	uint64_t want = 1, is;

	if (!t->count)
		return true;
	for (unsigned i = t->rank; i-- > 0; want *= t->shape[i])
		if (t->shape[i] != 1 && (!natural(snpu_pickle_item(&r->pickle, strides, i), &is) || is != want))
			return false;
	return true;
}

/* _rebuild_tensor_v2(storage, first element, shape, strides, requires_grad, hooks, and perhaps metadata) */
static int parse_tensor(struct reader *r, const struct pickle_value *v, struct snpu_ckpt_tensor *t)
{
	const struct pickle *p = &r->pickle;
	const struct pickle_value *args, *shape, *strides;
	const struct snpu_zip_entry *entry = NULL;
	uint64_t first, at;
	unsigned kind = 0;
	int err;

	if (v->kind != PICKLE_CALL || p->value[v->call.global].i != REBUILD)
		return snpu_fail(-EBADMSG, "entry '%s' of the file is no tensor; save a plain state_dict()", r->name);
	args = &p->value[v->call.arg];
	shape = snpu_pickle_item(p, args, 2);
	strides = snpu_pickle_item(p, args, 3);
	if (args->tuple.n < 6 || args->tuple.n > 7 || shape->kind != PICKLE_TUPLE || strides->kind != PICKLE_TUPLE ||
	    strides->tuple.n != shape->tuple.n || !natural(snpu_pickle_item(p, args, 1), &first))
		return damaged(r, "its shape");
	err = find_storage(r, snpu_pickle_item(p, args, 0), &entry, &kind);
	if (err)
		return err;
	if (shape->tuple.n > SNPU_MAX_RANK)
		return snpu_fail(-EBADMSG, "tensor '%s' has %u axes, at most %d are possible; reshape it", r->name, shape->tuple.n, SNPU_MAX_RANK);
	t->rank = shape->tuple.n;
	t->type = storages[kind].type;
	for (unsigned i = 0; i < t->rank; i++)
		if (!natural(snpu_pickle_item(p, shape, i), &t->shape[i]))
			return damaged(r, "an axis of its shape");
	err = snpu_tensor_measure(t, storages[kind].bytes);
	if (err)
		return err;
	if (!snpu_mul(first, storages[kind].bytes, &at) || !snpu_range_ok(at, t->bytes, entry->size))
		return snpu_fail(-EBADMSG, "tensor '%s' has %llu bytes from byte %llu on in a storage of %llu; copy the file again", r->name,
				 (unsigned long long)t->bytes, (unsigned long long)at, (unsigned long long)entry->size);
	if (!row_major(r, t, strides))
		return snpu_fail(-EBADMSG, "tensor '%s' is not stored row by row; save its contiguous()", r->name);
	t->data = entry->data + at;
	return 0;
}

/* A key of the table. No key twice: the same string may be used a million times in a small file. */
static int add_tensor(struct reader *r, struct pickle_value *key, const struct pickle_value *value, struct snpu_tensor_list *list)
{
	struct snpu_ckpt_tensor t = { 0 };
	int err;

	if (key->kind != PICKLE_STR || memchr(key->str.s, 0, key->str.len))
		return snpu_fail(-EBADMSG, "the file's table has a key that is no name; save a plain state_dict()");
	snprintf(r->name, sizeof(r->name), "%.*s", (int)(key->str.len < 200 ? key->str.len : 200), key->str.s);
	if (key->seen)
		return snpu_fail(-EBADMSG, "tensor '%s' is there twice; copy the file again", r->name);
	key->seen = true;
	t.name = r->name;
	err = parse_tensor(r, value, &t);
	if (err)
		return err;
	t.name = strndup(key->str.s, key->str.len);
	if (!t.name)
		return snpu_fail(-ENOMEM, "no memory for the name of a tensor");
	err = snpu_tensor_list_add(list, &t);
	free(t.name);
	return err;
}

static int parse_table(struct reader *r, struct snpu_tensor_list *list)
{
	const struct pickle *p = &r->pickle;
	int err = 0;

	if (p->value[p->root].kind != PICKLE_DICT)
		return snpu_fail(-EBADMSG, "the file holds no table of tensors; save a plain state_dict()");
	for (size_t i = 0; i < p->n_pairs && !err; i++)
		if (p->pair[i].dict == p->root)
			err = add_tensor(r, &p->value[p->pair[i].key], &p->value[p->pair[i].value], list);
	return err;
}

static int parse_archive(struct reader *r, struct snpu_tensor_list *list)
{
	const struct snpu_zip_entry *table = NULL, *order;
	const char *slash = r->zip.n ? memchr(r->zip.entry[0].name, '/', r->zip.entry[0].name_len) : NULL;
	int err;

	if (slash) {
		r->folder = r->zip.entry[0].name;
		r->folder_len = (size_t)(slash - r->folder);
		table = find_entry(r, "data.pkl", 8);
	}
	if (!table)
		return snpu_fail(-EBADMSG, "it is a zip archive, but torch.save() has not written it: data.pkl is missing");
	order = find_entry(r, "byteorder", 9);
	if (order && (order->size != 6 || memcmp(order->data, "little", 6)))
		return snpu_fail(-EBADMSG, "its numbers are big-endian; save it again on another machine");
	err = snpu_pickle_load(table->data, table->size, globals, N_GLOBALS, &r->pickle);
	if (err)
		return err;
	err = parse_table(r, list);
	snpu_pickle_free(&r->pickle);
	return err;
}

int snpu_torch_parse(const void *mem, size_t size, struct snpu_tensor_list *list)
{
	struct reader r = { 0 };
	int err;

	if (size > 1 && ((const uint8_t *)mem)[0] == 0x80)
		return snpu_fail(-EBADMSG, "it is a file of PyTorch before 1.6; save it again with a newer one");
	err = snpu_zip_open(mem, size, &r.zip);
	if (err)
		return err;
	err = parse_archive(&r, list);
	snpu_zip_close(&r.zip);
	return err;
}
