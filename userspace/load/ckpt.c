/* SPDX-License-Identifier: MIT */
/*
 * Folders of checkpoints: finds and maps the files, checks the shards against their index, finds tensors by name. See ckpt.h.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "load/ckpt.h"

#define MAX_INDEX	(100ull << 20)	/* bytes */

typedef int (*parse_fn)(const void *mem, size_t size, struct snpu_tensor_list *list);

struct file {
	const char *name;		/* in the folder; valid while it is opened */
	const void *mem;
	size_t size;
};

struct snpu_ckpt {
	struct file *file;		/* [n], by name */
	size_t n;
	struct snpu_tensor_list list;
	const struct snpu_ckpt_tensor **by_name;	/* [list.n] */
};

/* Maps and parses one file and adds it. */
static int add_file(struct snpu_ckpt *c, const char *dir, const char *name, parse_fn parse)
{
	struct file *f = &c->file[c->n];
	char *path;
	int err;

	if (asprintf(&path, "%s/%s", dir, name) < 0)
		return snpu_fail(-ENOMEM, "no memory for the name of a file");
	err = snpu_file_map(path, 0, &f->mem, &f->size);
	if (!err) {
		f->name = name;
		c->n++;
		err = parse(f->mem, f->size, &c->list);
		if (err)
			snpu_fail_in(err, "'%s'", path);
	}
	free(path);
	return err;
}

/* --- names --------------------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	const struct snpu_ckpt_tensor *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static bool lies_in(const struct snpu_ckpt_tensor *t, const struct file *f)
{
	uintptr_t at = (uintptr_t)t->data, mem = (uintptr_t)f->mem;

	return at >= mem && at - mem <= f->size;
}

static const char *file_of(const struct snpu_ckpt *c, const struct snpu_ckpt_tensor *t)
{
	for (size_t i = 0; i < c->n; i++)
		if (lies_in(t, &c->file[i]))
			return c->file[i].name;
	return "?";
}

static int sort_names(struct snpu_ckpt *c)
{
	c->by_name = calloc(c->list.n + 1, sizeof(*c->by_name));
	if (!c->by_name)
		return snpu_fail(-ENOMEM, "no memory for the names of %zu tensors", c->list.n);
	for (size_t i = 0; i < c->list.n; i++)
		c->by_name[i] = &c->list.tensor[i];
	qsort(c->by_name, c->list.n, sizeof(*c->by_name), by_name);
	for (size_t i = 1; i < c->list.n; i++)
		if (!by_name(&c->by_name[i - 1], &c->by_name[i]))
			return snpu_fail(-EBADMSG, "tensor '%.200s' is there twice, in '%s' and '%s'; remove the file that does not belong there",
					 c->by_name[i]->name, file_of(c, c->by_name[i - 1]), file_of(c, c->by_name[i]));
	return 0;
}

/* --- shards -------------------------------------------------------------------------------------------------------- */

static int by_file(const void *a, const void *b)
{
	const struct file *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static bool plain_name(const char *name)
{
	return name[0] && strlen(name) < 256 && !strchr(name, '/') && strcmp(name, ".") && strcmp(name, "..");
}

/* The names of all shards, each once, in order. *n: how many. */
static int list_shards(struct snpu_ckpt *c, json_t *map, size_t *n)
{
	const char *tensor;
	json_t *file;
	size_t all = 0;

	c->file = calloc(json_object_size(map) + 1, sizeof(*c->file));
	if (!c->file)
		return snpu_fail(-ENOMEM, "no memory for the names of %zu shards", json_object_size(map));
	json_object_foreach(map, tensor, file) {
		if (!json_is_string(file) || !plain_name(json_string_value(file)))
			return snpu_fail(-EBADMSG, "tensor '%.200s' of weight_map lies in '%.200s', which is no name of a file beside it; the index is damaged",
					 tensor, json_is_string(file) ? json_string_value(file) : "?");
		c->file[all++].name = json_string_value(file);
	}
	qsort(c->file, all, sizeof(*c->file), by_file);
	for (size_t i = 0; i < all; i++)
		if (!*n || strcmp(c->file[*n - 1].name, c->file[i].name))
			c->file[(*n)++].name = c->file[i].name;
	return 0;
}

static int check_map(const struct snpu_ckpt *c, json_t *map)
{
	const char *name;
	json_t *shard;

	json_object_foreach(map, name, shard) {
		struct file key = { .name = json_string_value(shard) };
		const struct file *f = bsearch(&key, c->file, c->n, sizeof(key), by_file);
		const struct snpu_ckpt_tensor *t = snpu_ckpt_find(c, name);

		if (!f || !t || !lies_in(t, f))
			return snpu_fail(-EBADMSG, "tensor '%.200s' should be in '%s' and is not; its files do not belong together, download them again",
					 name, key.name);
	}
	return 0;
}

static int open_shards(struct snpu_ckpt *c, const char *dir, json_t *map, parse_fn parse)
{
	size_t n = 0;
	int err;

	if (!json_is_object(map) || !json_object_size(map))
		return snpu_fail(-EBADMSG, "the index has no weight_map; download it again");
	err = list_shards(c, map, &n);
	for (size_t i = 0; i < n && !err; i++)
		err = add_file(c, dir, c->file[i].name, parse);
	if (err == -ENOENT)
		return snpu_fail_in(err, "a shard of the model is missing, download it");
	if (!err)
		err = sort_names(c);
	return err ? err : check_map(c, map);
}

static int open_index(struct snpu_ckpt *c, const char *dir, const char *name, parse_fn parse)
{
	const void *mem;
	json_error_t e;
	json_t *index;
	size_t size;
	char *path;
	int err;

	if (asprintf(&path, "%s/%s", dir, name) < 0)
		return snpu_fail(-ENOMEM, "no memory for the name of a file");
	err = snpu_file_map(path, MAX_INDEX, &mem, &size);
	if (err) {
		free(path);
		return err;
	}
	index = json_loadb(mem, size, JSON_REJECT_DUPLICATES, &e);
	snpu_file_unmap(mem, size);
	if (index)
		err = open_shards(c, dir, json_object_get(index, "weight_map"), parse);
	else
		err = snpu_fail(-EBADMSG, "damaged in line %d (%s); download it again", e.line, e.text);
	if (err)
		snpu_fail_in(err, "'%s'", path);
	json_decref(index);
	free(path);
	return err;
}

/* --- folders ------------------------------------------------------------------------------------------------------- */

static int open_single(struct snpu_ckpt *c, const char *dir, const char *name, parse_fn parse)
{
	int err;

	c->file = calloc(1, sizeof(*c->file));
	if (!c->file)
		return snpu_fail(-ENOMEM, "no memory for a checkpoint");
	err = add_file(c, dir, name, parse);
	return err ? err : sort_names(c);
}

static bool is_there(const char *dir, const char *name)
{
	char *path;
	bool there;

	if (asprintf(&path, "%s/%s", dir, name) < 0)
		return false;
	there = !access(path, F_OK);
	free(path);
	return there;
}

int snpu_ckpt_open(const char *dir, struct snpu_ckpt **ckpt)
{
	static const struct {
		const char *name;
		int (*open)(struct snpu_ckpt *c, const char *dir, const char *name, parse_fn parse);
		parse_fn parse;
	} forms[] = {
		{ "model.safetensors", open_single, snpu_safetensors_parse },
		{ "model.safetensors.index.json", open_index, snpu_safetensors_parse },
		{ "pytorch_model.bin", open_single, snpu_torch_parse },
		{ "pytorch_model.bin.index.json", open_index, snpu_torch_parse },
	};
	struct snpu_ckpt *c;
	size_t k = 0;
	int err;

	while (k < 4 && !is_there(dir, forms[k].name))
		k++;
	if (k == 4)
		return snpu_fail(-ENOENT, "'%s' has no model.safetensors and no pytorch_model.bin, nor an index of either; name the folder of a downloaded model", dir);
	c = calloc(1, sizeof(*c));
	if (!c)
		return snpu_fail(-ENOMEM, "no memory for a checkpoint");
	err = forms[k].open(c, dir, forms[k].name, forms[k].parse);
	if (err) {
		snpu_ckpt_close(c);
		return err;
	}
	*ckpt = c;
	return 0;
}

void snpu_ckpt_close(struct snpu_ckpt *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n; i++)
		snpu_file_unmap(c->file[i].mem, c->file[i].size);
	snpu_tensor_list_free(&c->list);
	free(c->by_name);
	free(c->file);
	free(c);
}

const struct snpu_ckpt_tensor *snpu_ckpt_tensor(const struct snpu_ckpt *c, size_t i)
{
	return i < c->list.n ? &c->list.tensor[i] : NULL;
}

const struct snpu_ckpt_tensor *snpu_ckpt_find(const struct snpu_ckpt *c, const char *name)
{
	struct snpu_ckpt_tensor key = { .name = (char *)(uintptr_t)name };
	const struct snpu_ckpt_tensor *const pkey = &key, **found;

	found = bsearch(&pkey, c->by_name, c->list.n, sizeof(*c->by_name), by_name);
	return found ? *found : NULL;
}

void snpu_ckpt_drop(const struct snpu_ckpt *c, const struct snpu_ckpt_tensor *t)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t first = ((uintptr_t)t->data + page - 1) / page * page, end = ((uintptr_t)t->data + t->bytes) / page * page;

	/* Pages shared with a neighbour stay. Only a hint: without it the kernel finds out by itself. */
	if (first < end)
		madvise((void *)first, end - first, MADV_DONTNEED);
}
