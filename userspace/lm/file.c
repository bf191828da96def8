/* SPDX-License-Identifier: MIT */
/*
 * The converted model: a page with a header, the image as devices execute it, the tokenizer's files as they were, and a JSON
 * object that says where everything is. It is mapped and used in place; docs/models.md describes the format. Parsing takes memory
 * and trusts nothing in it: offsets are checked against the sizes that the configuration implies.
 */
#include "lm/lm.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utf8proc.h>

#define VERSION		1u
#define META_MAX	(4ull << 20)		/* bytes of JSON: a thousand layers have two megabytes */

struct header {
	char magic[8];
	uint32_t version;
	uint32_t zero;
	uint64_t file_size;
	uint64_t image_at, image_size;
	uint64_t meta_at, meta_size;
};

const char *const lm_text_names[LM_FILES] = {
	[LM_FILE_VOCAB] = "vocab.json", [LM_FILE_MERGES] = "merges.txt", [LM_FILE_ADDED] = "added_tokens.json",
	[LM_FILE_TOKENIZER] = "tokenizer_config.json",
};

/* --- writing ---------------------------------------------------------------------------------------------------------- */

/* A member whose memory may be missing: then *ok is false in the end. */
static void set(json_t *o, const char *key, json_t *value, bool *ok)
{
	if (json_object_set_new(o, key, value))
		*ok = false;
}

static json_t *number(uint64_t v)
{
	return json_integer((json_int_t)v);
}

static json_t *linear_json(const struct lm_linear *l, bool *ok)
{
	json_t *o = json_object();

	set(o, "weights", number(l->weights), ok);
	if (l->spike) {
		set(o, "scales", number(l->scales), ok);
		set(o, "max_code", number(l->max_code), ok);
	} else {
		set(o, "bf16", json_boolean(l->bf16), ok);
	}
	if (l->bias)
		set(o, "bias", number(l->bias_at), ok);
	if (l->n_residual) {
		set(o, "residual", number(l->residual), ok);
		set(o, "n_residual", number(l->n_residual), ok);
	}
	return o;
}

static json_t *part_json(const struct lm_part *p, bool *ok)
{
	json_t *linears = json_object();
	json_t *o = json_pack("{s:I, s:I, s:b, s:[I, I], s:I, s:I}", "offset", (json_int_t)p->offset, "size", (json_int_t)p->size,
			      "bf16", (int)p->bf16, "norm", (json_int_t)p->norm[0], (json_int_t)p->norm[1], "g_norm", (json_int_t)p->g_norm,
			      "inv", (json_int_t)p->inv);

	for (unsigned int id = 0; id < LM_LINEARS; id++)
		if (p->linear[id].n_out)
			set(linears, lm_linear_name(id), linear_json(&p->linear[id], ok), ok);
	set(o, "linear", linears, ok);
	return o;
}

static int put(int fd, const void *data, size_t size, uint64_t at)
{
	const char *from = data;

	while (size) {
		ssize_t n = pwrite(fd, from, size, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return snpu_fail(n ? -errno : -EIO, "writing the converted model: %s", n ? strerror(errno) : "nothing was written");
		from += n;
		at += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}

/* As much of it as is text: it may be in another encoding, or cut inside a character. */
static json_t *name_json(const char *name)
{
	const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)name;
	utf8proc_int32_t c;

	while (*at && utf8proc_iterate(at, -1, &c) > 0)
		at += utf8proc_iterate(at, -1, &c);
	return json_stringn_nocheck(name, (size_t)((const char *)at - name));
}

/* In two passes, because json_dumps() loses text when its buffer cannot grow. NULL: no memory. */
static char *text_of(const json_t *json)
{
	size_t size = json_dumpb(json, NULL, 0, JSON_COMPACT);
	char *text = size ? calloc(1, size + 1) : NULL;

	if (text && json_dumpb(json, text, size, JSON_COMPACT) == size)
		return text;
	free(text);
	return NULL;
}

/* The whole description as text; NULL: no memory. Takes over `texts`. */
static char *meta_text(const struct snpu_lm *lm, json_t *texts)
{
	json_t *parts = json_array(), *meta = json_object();
	char *text = NULL;
	bool ok = true;

	for (unsigned int i = 0; i < lm_parts(lm); i++)
		if (json_array_append_new(parts, part_json(&lm->part[i], &ok)))
			ok = false;
	set(meta, "name", name_json(lm->name), &ok);
	set(meta, "form", number(lm->form), &ok);
	set(meta, "down", number(lm->down), &ok);
	set(meta, "parameters", number(lm->parameters), &ok);
	set(meta, "residual", number(lm->residual), &ok);
	set(meta, "config", lm_config_json(&lm->cfg), &ok);
	set(meta, "parts", parts, &ok);
	set(meta, "files", texts, &ok);
	if (ok)
		text = text_of(meta);
	json_decref(meta);
	return text;
}

int lm_file_finish(int fd, const struct snpu_lm *lm)
{
	struct header h = { .magic = LM_FILE_MAGIC, .version = VERSION, .image_at = LM_PAGE, .image_size = lm->image_size };
	uint64_t at = LM_PAGE + lm->image_size;
	json_t *texts = json_object();
	bool ok = true;
	char *meta;
	int err = 0;

	for (unsigned int i = 0; i < LM_FILES && !err; i++) {
		if (!lm->file[i].text)
			continue;
		set(texts, lm_text_names[i], json_pack("[I, I]", (json_int_t)at, (json_int_t)lm->file[i].size), &ok);
		err = put(fd, lm->file[i].text, lm->file[i].size, at);
		at += lm->file[i].size;
	}
	meta = meta_text(lm, texts);
	if (!err && !(meta && ok))
		err = snpu_fail(-ENOMEM, "no memory for the description of the converted model");
	if (err) {
		free(meta);
		return err;
	}
	h.meta_at = at;
	h.meta_size = strlen(meta);
	h.file_size = at + h.meta_size;
	err = put(fd, meta, h.meta_size, at);
	free(meta);
	if (!err && ftruncate(fd, (off_t)h.file_size))
		err = snpu_fail(-errno, "the converted model cannot be cut to its length: %s", strerror(errno));
	return err ? err : put(fd, &h, sizeof(h), 0);
}

/* --- reading ---------------------------------------------------------------------------------------------------------- */

static int damaged(const char *what)
{
	return snpu_fail(-EBADMSG, "the converted model is damaged: %s; convert it again", what);
}

static int parse_linear(const json_t *o, struct lm_linear *l)
{
	int err = lm_json_u64(o, "weights", INT64_MAX, &l->weights);

	if (!err)
		err = lm_json_u64(o, "scales", INT64_MAX, &l->scales);
	if (!err)
		err = lm_json_u64(o, "bias", INT64_MAX, &l->bias_at);
	if (!err)
		err = lm_json_u64(o, "residual", INT64_MAX, &l->residual);
	if (!err)
		err = lm_json_u32(o, "n_residual", 0, UINT32_MAX, &l->n_residual);
	if (!err)
		err = lm_json_u32(o, "max_code", 0, UINT32_MAX, &l->max_code);
	l->bf16 = json_is_true(json_object_get(o, "bf16"));
	return err ? err : !json_is_object(o) ? damaged("a layer's weights are not described") : 0;
}

static int parse_part(struct snpu_lm *lm, unsigned int i, const json_t *o)
{
	struct lm_part *p = &lm->part[i];
	const json_t *norm = json_object_get(o, "norm"), *linears = json_object_get(o, "linear");
	int err;

	lm_part_shape(lm, i, p);
	p->bf16 = json_is_true(json_object_get(o, "bf16"));
	err = lm_json_u64(o, "offset", INT64_MAX, &p->offset);
	if (!err)
		err = lm_json_u64(o, "size", INT64_MAX, &p->size);
	if (!err)
		err = lm_json_u64(o, "g_norm", INT64_MAX, &p->g_norm);
	if (!err)
		err = lm_json_u64(o, "inv", INT64_MAX, &p->inv);
	for (unsigned int k = 0; k < 2; k++)
		p->norm[k] = (uint64_t)json_integer_value(json_array_get(norm, k));	/* judged with the rest */
	for (unsigned int id = 0; id < LM_LINEARS && !err; id++)
		if (p->linear[id].n_out)
			err = parse_linear(json_object_get(linears, lm_linear_name(id)), &p->linear[id]);
	return err;
}

static int parse_texts(struct snpu_lm *lm, const json_t *texts, const uint8_t *mem, size_t size)
{
	for (unsigned int i = 0; i < LM_FILES; i++) {
		const json_t *o = json_object_get(texts, lm_text_names[i]);
		uint64_t at = (uint64_t)json_integer_value(json_array_get(o, 0)), len = (uint64_t)json_integer_value(json_array_get(o, 1));

		if (!o)
			continue;
		if (!snpu_range_ok(at, len, size))
			return damaged("the tokenizer lies outside of the file");
		lm->file[i] = (struct lm_file_text){ lm_text_names[i], (const char *)mem + at, len };
	}
	return 0;
}

static int parse_meta(struct snpu_lm *lm, const json_t *meta, const uint8_t *mem, size_t size)
{
	const json_t *parts = json_object_get(meta, "parts");
	const char *name = json_string_value(json_object_get(meta, "name"));
	int err = lm_config_read(json_object_get(meta, "config"), &lm->cfg);

	strncpy(lm->name, name ? name : "", sizeof(lm->name) - 1);
	if (!err)
		err = lm_json_u32(meta, "form", SNPU_LM_FLOAT, SNPU_LM_SPIKE, &lm->form);
	if (!err)
		err = lm_json_u32(meta, "down", SNPU_LM_DOWN_FLOAT, SNPU_LM_DOWN_SPIKE, &lm->down);
	if (!err)
		err = lm_json_u64(meta, "parameters", INT64_MAX, &lm->parameters);
	if (!err)
		err = lm_json_u64(meta, "residual", INT64_MAX, &lm->residual);
	if (!err && json_array_size(parts) != lm_parts(lm))
		err = damaged("the number of its parts is not that of its layers");
	if (!err && lm->form == SNPU_LM_SPIKE && (lm->cfg.hidden % SNPU_GROUP || (lm->down == SNPU_LM_DOWN_SPIKE && lm->cfg.ffn % SNPU_GROUP)))
		err = damaged("its sizes are no multiples of 128");
	if (err)
		return err;
	lm->part = calloc(lm_parts(lm), sizeof(*lm->part));
	if (!lm->part)
		return snpu_fail(-ENOMEM, "no memory for %u parts", lm_parts(lm));
	for (unsigned int i = 0; i < lm_parts(lm) && !err; i++)
		err = parse_part(lm, i, json_array_get(parts, i));
	if (!err)
		err = lm_check_parts(lm);
	return err ? err : parse_texts(lm, json_object_get(meta, "files"), mem, size);
}

int lm_file_parse(const void *mem, size_t size, struct snpu_lm *lm)
{
	struct header h;
	json_t *meta;
	int err;

	if (size < LM_PAGE)
		return damaged("it is shorter than its header");
	memcpy(&h, mem, sizeof(h));
	if (memcmp(h.magic, LM_FILE_MAGIC, sizeof(h.magic)))
		return snpu_fail(-EBADMSG, "it is no converted model; give a model's folder, or a file that `snpu convert` wrote");
	if (h.version != VERSION || h.zero)
		return snpu_fail(-ENOTSUP, "it is a converted model of version %u; this library reads version %u: convert it again", h.version, VERSION);
	if (h.file_size != size || h.image_at != LM_PAGE || !snpu_range_ok(h.image_at, h.image_size, size) || h.image_size % LM_PAGE ||
	    h.meta_size > META_MAX || !snpu_range_ok(h.meta_at, h.meta_size, size))
		return damaged("its length is not what its header says");
	lm->image = (const uint8_t *)mem + h.image_at;
	lm->image_size = h.image_size;
	meta = lm_json_parse((const char *)mem + h.meta_at, h.meta_size, "the converted model's description");
	if (!meta)
		return -EBADMSG;
	err = parse_meta(lm, meta, mem, size);
	json_decref(meta);
	return err;
}
