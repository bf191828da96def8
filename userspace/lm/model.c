/* SPDX-License-Identifier: MIT */
/*
 * A language model as callers see it: opening a folder or a converted file, converting, facts, text. See lm.h for who does the
 * work. Any thread; a model is constant once it is open.
 */
#include "lm/lm.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "load/chat.h"

int lm_warn(struct snpu_lm *lm, const char *fmt, ...)
{
	char **list = reallocarray(lm->warning, lm->n_warnings + 1, sizeof(*list)), *text = NULL;
	va_list ap;

	if (list) {
		lm->warning = list;
		va_start(ap, fmt);
		if (vasprintf(&text, fmt, ap) < 0)
			text = NULL;
		va_end(ap);
	}
	if (!text)
		return snpu_fail(-ENOMEM, "no memory for a warning");
	list[lm->n_warnings++] = text;
	return 0;
}

/* --- folders ---------------------------------------------------------------------------------------------------------- */

/* Maps DIR/name; *mem stays NULL when there is no such file. */
static int map_text(const char *dir, const char *name, uint64_t max, const void **mem, size_t *size)
{
	char *path;
	int err = 0;

	if (asprintf(&path, "%s/%s", dir, name) < 0)
		return snpu_fail(-ENOMEM, "no memory for a path");
	if (access(path, F_OK) == 0)
		err = snpu_file_map(path, max, mem, size);
	free(path);
	return err ? snpu_fail_in(err, "%s", name) : 0;
}

static int read_config(struct snpu_lm *lm, const char *dir)
{
	const void *mem = NULL;
	size_t size = 0;
	int err = map_text(dir, "config.json", 1u << 20, &mem, &size);

	if (!err && !mem)
		err = snpu_fail(-ENOENT, "there is no config.json in it; give a model's folder as it was downloaded, or a file that `snpu convert` wrote");
	if (!err)
		err = lm_config_parse(mem, size, &lm->cfg);
	if (mem)
		snpu_file_unmap(mem, size);
	return err;
}

static int read_texts(struct snpu_lm *lm, const char *dir)
{
	int err = 0;

	for (unsigned int i = 0; i < LM_FILES && !err; i++) {
		lm->file[i].name = lm_text_names[i];
		err = map_text(dir, lm_text_names[i], 256u << 20, &lm->text_map[i], &lm->file[i].size);
		lm->file[i].text = lm->text_map[i];
	}
	return err;
}

static int make_tokenizer(struct snpu_lm *lm)
{
	const struct lm_file_text *f = lm->file;
	struct snpu_tokenizer_files files = {
		.vocab = f[LM_FILE_VOCAB].text, .vocab_size = f[LM_FILE_VOCAB].size, .merges = f[LM_FILE_MERGES].text,
		.merges_size = f[LM_FILE_MERGES].size, .added = f[LM_FILE_ADDED].text, .added_size = f[LM_FILE_ADDED].size,
		.config = f[LM_FILE_TOKENIZER].text, .config_size = f[LM_FILE_TOKENIZER].size,
	};
	int err;

	lm->eot = LM_NO_TOKEN;
	if (!files.vocab || !files.merges)
		return 0;
	err = snpu_tokenizer_create(&files, &lm->tok);
	if (err)
		return snpu_fail_in(err, "tokenizer");
	if (snpu_tokenizer_size(lm->tok) > lm->cfg.vocab)
		return snpu_fail(-EBADMSG, "the tokenizer has %u tokens, the model %u; their files do not belong together", snpu_tokenizer_size(lm->tok),
				 lm->cfg.vocab);
	lm->eot = snpu_tokenizer_find(lm->tok, "<|im_end|>");
	return 0;
}

/* Packs a folder into memory, or with fd >= 0 into a file behind its header. */
static int pack_folder(struct snpu_lm *lm, const char *dir, const struct snpu_lm_open_opts *o, int fd)
{
	struct snpu_ckpt *ckpt = NULL;
	struct lm_sink sink = { .fd = -1 };
	struct lm_pack pack = { .lm = lm, .opts = o, .sink = &sink };
	float **squares = NULL;
	int err = read_config(lm, dir);

	if (!err)
		err = read_texts(lm, dir);
	if (!err)
		err = snpu_ckpt_open(dir, &ckpt);
	if (!err)
		err = lm_pack_survey(lm, ckpt, o);
	if (!err && o->calibration)
		err = lm_calibrate(dir, o, lm, &squares);
	lm->part = err ? NULL : calloc(lm_parts(lm), sizeof(*lm->part));
	if (!err && !lm->part)
		err = snpu_fail(-ENOMEM, "no memory for %u parts", lm_parts(lm));
	if (!err)
		err = lm_sink_open(&sink, fd, LM_PAGE, lm_pack_bound(lm));
	pack.ckpt = ckpt;
	pack.squares = (const float *const *)squares;
	if (!err)
		err = lm_pack(&pack);
	if (!err && fd < 0) {
		lm->image = lm->memory = lm_sink_keep(&sink);
		lm->memory_size = lm->image_size;
	}
	lm_sink_close(&sink);
	lm_squares_free(squares, lm->cfg.layers);
	snpu_ckpt_close(ckpt);
	return err;
}

/* --- opening ---------------------------------------------------------------------------------------------------------- */

static void set_name(struct snpu_lm *lm, const char *path)
{
	const char *end = path + strlen(path), *base;

	while (end > path + 1 && end[-1] == '/')
		end--;
	base = end;
	while (base > path && base[-1] != '/')
		base--;
	if (base == end)
		base = path;			/* "/" */
	snprintf(lm->name, sizeof(lm->name), "%.*s", (int)(end - base < 64 ? end - base : 64), base);
}

static int open_file(struct snpu_lm *lm, const char *path, const struct snpu_lm_open_opts *o)
{
	int err = snpu_file_map(path, 0, &lm->mapped, &lm->mapped_size);

	if (!err)
		err = lm_file_parse(lm->mapped, lm->mapped_size, lm);
	if (err)
		return err;
	if ((o->form && o->form != lm->form) || (o->down && o->down != lm->down) || o->calibration)
		return snpu_fail(-EINVAL, "a converted model has the form it was converted to; convert the folder again with these options");
	err = lm_take_k(lm, o);
	for (unsigned int i = 0; i < lm_parts(lm) && !err; i++)		/* with this k: the one it was packed with was another, perhaps */
		for (unsigned int id = 0; id < LM_LINEARS && !err; id++)
			err = lm_check_sums(lm, &lm->part[i].linear[id]);
	return err;
}

static int open_any(struct snpu_lm *lm, const char *path, const struct snpu_lm_open_opts *o)
{
	struct stat st;
	int err;

	if (stat(path, &st))
		return snpu_fail(-errno, "%s: %s; give a model's folder, or a file that `snpu convert` wrote", path, strerror(errno));
	set_name(lm, path);
	err = S_ISDIR(st.st_mode) ? pack_folder(lm, path, o, -1) : open_file(lm, path, o);
	if (err)
		return err == -ECANCELED ? err : snpu_fail_in(err, "%s", path);
	lm_state_layout(lm);
	return make_tokenizer(lm);
}

static int options(struct snpu_lm_open_opts *o, const struct snpu_lm_open_opts *from)
{
	int err = snpu_opts_in(o, sizeof(*o), from, "snpu_lm_open_opts");

	if (!err && o->flags)
		err = snpu_fail(-EINVAL, "snpu_lm_open_opts.flags is %#x; no flags are defined", o->flags);
	return err;
}

int snpu_lm_open(const char *path, const struct snpu_lm_open_opts *opts, struct snpu_lm **out)
{
	struct snpu_lm_open_opts o;
	struct snpu_lm *lm;
	int err = options(&o, opts);

	if (err)
		return err;
	lm = calloc(1, sizeof(*lm));
	if (!lm)
		return snpu_fail(-ENOMEM, "no memory for a model");
	err = open_any(lm, path, &o);
	if (err) {
		snpu_lm_free(lm);
		return err;
	}
	*out = lm;
	return 0;
}

void snpu_lm_free(struct snpu_lm *lm)
{
	if (!lm || atomic_fetch_sub(&lm->others, 1))
		return;
	snpu_tokenizer_free(lm->tok);
	for (unsigned int i = 0; i < LM_FILES; i++)
		if (lm->text_map[i])
			snpu_file_unmap(lm->text_map[i], lm->file[i].size);
	if (lm->mapped)
		snpu_file_unmap(lm->mapped, lm->mapped_size);
	if (lm->memory)
		munmap(lm->memory, lm->memory_size);
	for (uint32_t i = 0; i < lm->n_warnings; i++)
		free(lm->warning[i]);
	free(lm->warning);
	free(lm->part);
	free(lm);
}

/* --- converting ------------------------------------------------------------------------------------------------------- */

static int check_folder(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return snpu_fail(-errno, "%s: %s; give a model's folder as it was downloaded", path, strerror(errno));
	return S_ISDIR(st.st_mode) ? 0 : snpu_fail(-ENOENT, "%s is no folder; give a model's folder as it was downloaded", path);
}

/* What is there already is only replaced when it is a converted model or empty: it could be one of the files that are read. */
static int check_out(const char *out)
{
	int fd = open(out, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char magic[sizeof(LM_FILE_MAGIC) - 1];
	struct stat st;
	bool ours;

	if (fd < 0)
		return errno == ENOENT ? 0 : snpu_fail(-errno, "%s cannot be read, and so not replaced: %s", out, strerror(errno));
	ours = !fstat(fd, &st) && S_ISREG(st.st_mode) &&
	       (!st.st_size || (pread(fd, magic, sizeof(magic), 0) == sizeof(magic) && !memcmp(magic, LM_FILE_MAGIC, sizeof(magic))));
	close(fd);
	return ours ? 0 : snpu_fail(-EEXIST, "%s exists and is no converted model; choose another name, or remove it", out);
}

/* A new file, so that neither a link nor another conversion that is at work can be hit. */
static int open_part(const char *part)
{
	int fd = open(part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

	if (fd >= 0)
		return fd;
	return snpu_fail(-errno, "%s cannot be written: %s%s", part, strerror(errno),
			 errno == EEXIST ? "; another conversion is at work, or one was broken off: remove it then" : "");
}

static int convert_to(int fd, const char *path, const struct snpu_lm_open_opts *o)
{
	struct snpu_lm *lm = calloc(1, sizeof(*lm));
	int err;

	if (!lm)
		return snpu_fail(-ENOMEM, "no memory for a model");
	err = pack_folder(lm, path, o, fd);
	set_name(lm, path);
	if (!err)
		err = make_tokenizer(lm);	/* a file that cannot be opened later is not written */
	if (!err)
		err = lm_file_finish(fd, lm);
	snpu_lm_free(lm);
	return err;
}

int snpu_lm_convert(const char *path, const struct snpu_lm_open_opts *opts, const char *out)
{
	struct snpu_lm_open_opts o;
	char *part;
	int err = options(&o, opts), fd;

	if (!err)
		err = check_folder(path);
	if (!err)
		err = check_out(out);
	if (err)
		return err;
	if (asprintf(&part, "%s.part", out) < 0)
		return snpu_fail(-ENOMEM, "no memory for a path");
	fd = open_part(part);
	if (fd < 0) {
		free(part);
		return fd;
	}
	err = convert_to(fd, path, &o);
	if (!err && fsync(fd))
		err = snpu_fail(-errno, "%s: %s", part, strerror(errno));
	close(fd);
	if (!err && rename(part, out))
		err = snpu_fail(-errno, "%s cannot become %s: %s", part, out, strerror(errno));
	if (err)
		unlink(part);
	free(part);
	return err;
}

/* --- facts ------------------------------------------------------------------------------------------------------------ */

int snpu_lm_info(const struct snpu_lm *lm, struct snpu_lm_info *info)
{
	const struct lm_config *c = &lm->cfg;
	struct snpu_lm_info i = {
		.sz = sizeof(i), .arch = "gla_swa", .form = lm->form, .down = lm->down, .k = c->k, .vocab = c->vocab, .hidden = c->hidden,
		.layers = c->layers, .heads = c->heads, .kv_heads = c->kv, .head_dim = c->d, .ffn = c->ffn, .window = c->window,
		.has_tokenizer = lm->tok != NULL, .tied = c->tied, .bos = c->bos, .eos = c->eos, .eot = lm->eot,
		.parameters = lm->parameters, .weight_bytes = lm->image_size, .residual = lm->residual, .state_bytes = lm->state_at[c->layers],
		.warnings = lm->n_warnings, .mapped = lm->mapped != NULL,
	};

	memcpy(i.name, lm->name, sizeof(i.name));
	for (uint32_t l = 0; l < c->layers; l++)
		i.gla_layers += c->gla[l];
	i.swa_layers = c->layers - i.gla_layers;
	return snpu_opts_out(info, &i, sizeof(i), "snpu_lm_info");
}

const char *snpu_lm_warning(const struct snpu_lm *lm, unsigned int i)
{
	return i < lm->n_warnings ? lm->warning[i] : NULL;
}

int snpu_lm_layer_is_gla(const struct snpu_lm *lm, unsigned int i)
{
	return i < lm->cfg.layers ? lm->cfg.gla[i] : -1;
}

/* --- text ------------------------------------------------------------------------------------------------------------- */

static int no_tokenizer(const struct snpu_lm *lm)
{
	return snpu_fail(-ENOTSUP, "model %s came without a tokenizer (vocab.json and merges.txt); give token ids", lm->name);
}

int snpu_lm_encode(const struct snpu_lm *lm, const char *text, size_t len, uint32_t flags, uint32_t **ids, size_t *n)
{
	if (!lm->tok)
		return no_tokenizer(lm);
	if (flags & ~SNPU_LM_TEXT_SPECIAL)
		return snpu_fail(-EINVAL, "encode: flags %#x are not defined", flags);
	return snpu_tokenizer_encode(lm->tok, text, len, !!(flags & SNPU_LM_TEXT_SPECIAL), ids, n);
}

void snpu_lm_ids_free(uint32_t *ids)
{
	free(ids);
}

const char *snpu_lm_token(const struct snpu_lm *lm, uint32_t id, size_t *len)
{
	*len = 0;
	return lm->tok ? snpu_tokenizer_bytes(lm->tok, id, len) : NULL;
}

int snpu_lm_chat(const struct snpu_lm *lm, const struct snpu_lm_message *messages, size_t n, int generate, char **text)
{
	if (!lm->tok)
		return no_tokenizer(lm);
	if (!snpu_tokenizer_chatml(lm->tok))
		return snpu_fail(-ENOTSUP, "model %s has a chat template that is not ChatML; write the text of the chat yourself", lm->name);
	return snpu_chat_format(messages, n, generate, text);
}

void snpu_lm_text_free(char *text)
{
	free(text);
}
