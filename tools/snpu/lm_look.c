// SPDX-License-Identifier: MIT
/*
 * Looking inside a model: arrays as .npy files, which grow with each chunk of tokens, and the spike counts that become a picture.
 * Runs in the library's callback, on the caller's thread; an error stops the evaluation and is told afterwards.
 */
#include "lm.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coding_raster.h"
#include "output.h"

#define NPY_HEADER	128u			/* bytes, whatever the shape: it is written again as rows come */

struct dumped {
	char name[48];
	enum snpu_dtype dtype;
	unsigned int rank;
	uint64_t shape[SNPU_MAX_RANK];		/* the first grows */
};

struct snpu_lm_look {
	const struct snpu_lm_opts *opts;
	const char *wanted[SNPU_LM_PATTERNS + 1];	/* taps the library gives */
	struct dumped *array;			/* [n] */
	unsigned int n;
	int32_t *counts;			/* [tokens][channels] of the picture */
	uint64_t tokens, channels;
	char *error;
};

static int fail(struct snpu_lm_look *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int fail(struct snpu_lm_look *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&l->error, fmt, ap) < 0)
		l->error = strdup("no memory");
	va_end(ap);
	return 1;
}

/* --- files ---------------------------------------------------------------------------------------------------- */

static void npy_header(const struct dumped *d, char header[NPY_HEADER])
{
	const char *type = d->dtype == SNPU_I32 ? "<i4" : "<f4";
	int n;

	memset(header, ' ', NPY_HEADER);
	memcpy(header, "\x93NUMPY\x01\x00\x76\x00", 10);
	n = 10 + snprintf(header + 10, NPY_HEADER - 10, "{'descr': '%s', 'fortran_order': False, 'shape': (", type);
	for (unsigned int i = 0; i < d->rank; i++)
		n += snprintf(header + n, NPY_HEADER - (size_t)n, "%llu, ", (unsigned long long)d->shape[i]);
	n += snprintf(header + n, NPY_HEADER - (size_t)n, "), }");
	header[n] = ' ';
	header[NPY_HEADER - 1] = '\n';
}

/* Writes rows behind those that are there, then the header that counts them. */
static int write_rows(struct snpu_lm_look *l, const struct dumped *d, const struct snpu_array *a, bool first)
{
	uint64_t bytes = a->count * 4, before = a->rank && d->shape[0] ? bytes / a->shape[0] * (d->shape[0] - a->shape[0]) : 0;
	char header[NPY_HEADER], *path;
	int fd, err = 0;

	if (asprintf(&path, "%s/%s.npy", l->opts->dump, d->name) < 0)
		return fail(l, "no memory for a path");
	npy_header(d, header);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (first ? O_TRUNC : 0), 0666);
	if (fd < 0)
		err = errno;
	for (uint64_t done = 0; !err && done < bytes;) {
		ssize_t n = pwrite(fd, (const char *)a->data + done, bytes - done, (off_t)(NPY_HEADER + before + done));

		done += n > 0 ? (uint64_t)n : 0;
		err = n < 0 && errno != EINTR ? errno : 0;
	}
	if (!err && pwrite(fd, header, NPY_HEADER, 0) != NPY_HEADER)
		err = errno ? errno : EIO;
	if (fd >= 0 && close(fd) && !err)
		err = errno;
	if (err)
		fail(l, "cannot write %s: %s", path, strerror(err));
	free(path);
	return err;
}

/* What a sequence is after a call: the last one counts. */
static bool is_state(const char *name)
{
	return strncmp(name, "gla_state.", 10) == 0 || strncmp(name, "kv_", 3) == 0;
}

static int dump(struct snpu_lm_look *l, const struct snpu_lm_tap *tap)
{
	struct dumped *d = NULL;
	bool first;

	for (unsigned int i = 0; i < l->n && !d; i++)
		if (strcmp(l->array[i].name, tap->name) == 0)
			d = &l->array[i];
	first = !d || is_state(tap->name);
	if (!d) {
		struct dumped *grown = reallocarray(l->array, l->n + 1, sizeof(*grown));

		if (!grown)
			return fail(l, "no memory for the names of %u arrays", l->n + 1);
		l->array = grown;
		d = &grown[l->n++];
		snprintf(d->name, sizeof(d->name), "%s", tap->name);
	}
	if (first) {
		d->dtype = tap->array.dtype;
		d->rank = tap->array.rank;
		memcpy(d->shape, tap->array.shape, sizeof(d->shape));
	} else {
		d->shape[0] += tap->array.shape[0];
	}
	return write_rows(l, d, &tap->array, first);
}

/* --- the picture ---------------------------------------------------------------------------------------------- */

static int collect(struct snpu_lm_look *l, const struct snpu_array *a)
{
	uint64_t rows = a->shape[0], channels = rows ? a->count / rows : 0;
	int32_t *grown = reallocarray(l->counts, l->tokens + rows + 1, channels * sizeof(*grown));

	if (!grown)
		return fail(l, "no memory for the counts of %llu tokens", (unsigned long long)(l->tokens + rows));
	l->counts = grown;
	l->channels = channels;
	memcpy(grown + l->tokens * channels, a->data, a->count * sizeof(*grown));
	l->tokens += rows;
	return 0;
}

static bool wanted(const struct snpu_lm_opts *o, const char *name)
{
	for (unsigned int i = 0; i < o->n_patterns; i++)
		if (fnmatch(o->pattern[i], name, 0) == 0)
			return true;
	return !o->n_patterns;
}

static int on_tap(void *arg, const struct snpu_lm_tap *tap)
{
	struct snpu_lm_look *l = arg;
	int stop = 0;

	if (l->opts->raster[0] && strcmp(tap->name, l->opts->raster) == 0)
		stop = collect(l, &tap->array);
	if (!stop && l->opts->dump && wanted(l->opts, tap->name))
		stop = dump(l, tap);
	return stop;
}

/* --- beginning and end ---------------------------------------------------------------------------------------- */

enum snpu_exit snpu_lm_look_open(const struct snpu_lm_opts *o, struct snpu_lm_ctx_opts *ctx, struct snpu_lm_look **out)
{
	struct snpu_lm_look *l;

	*out = NULL;
	if (!o->dump && !o->raster[0])
		return SNPU_EXIT_OK;
	if (o->dump && mkdir(o->dump, 0777) && errno != EEXIST)
		return snpu_cli_fail(SNPU_EXIT_FAILURE, "choose a folder that you may write to: --dump DIR", "cannot make the folder %s: %s", o->dump, strerror(errno));
	l = calloc(1, sizeof(*l));
	if (!l)
		return snpu_cli_fail(SNPU_EXIT_FAILURE, "end other programs", "no memory to look inside");
	l->opts = o;
	ctx->tap = on_tap;
	ctx->tap_arg = l;
	ctx->taps = l->wanted;
	for (unsigned int i = 0; i < o->n_patterns; i++)
		l->wanted[ctx->n_taps++] = o->pattern[i];
	if (o->raster[0] && (o->n_patterns || !o->dump))
		l->wanted[ctx->n_taps++] = o->raster;
	*out = l;
	return SNPU_EXIT_OK;
}

bool snpu_lm_look_logits(const struct snpu_lm_look *l)
{
	return l && l->opts->dump && (wanted(l->opts, "logits") || wanted(l->opts, "final_norm"));
}

const char *snpu_lm_look_error(const struct snpu_lm_look *l)
{
	return l ? l->error : NULL;
}

/* A token for the axis of the picture: its text without the line breaks. */
static char *label_of(const struct snpu_lm_cli *c, size_t i)
{
	char *text = c->model.has_tokenizer ? snpu_lm_token_text(c->lm, c->past[i]) : NULL;

	for (char *s = text; s && *s; s++)
		if ((unsigned char)*s < ' ')
			*s = ' ';
	return text;
}

static enum snpu_exit draw(struct snpu_lm_cli *c)
{
	const struct snpu_lm_look *l = c->look;
	char **text = l->tokens == c->n_past || l->tokens == c->n_seen ? calloc(l->tokens, sizeof(*text)) : NULL;
	char subtitle[200];
	struct snpu_coding_raster r = {
		.title = c->opts->raster_title, .subtitle = subtitle, .coding = c->opts->coding, .counts = l->counts, .tokens = l->tokens,
		.channels = l->channels, .text = c->model.has_tokenizer ? (const char *const *)text : NULL,
	};
	int err;

	snprintf(subtitle, sizeof(subtitle), "%s, k = %g", c->model.name, (double)c->model.k);
	for (size_t i = 0; text && i < l->tokens; i++) {
		text[i] = label_of(c, i);
		if (!text[i])
			r.text = NULL;
	}
	err = l->counts ? snpu_output_file(c->opts->picture, snpu_coding_raster_svg, &r) : -ENODATA;
	for (size_t i = 0; text && i < l->tokens; i++)
		free(text[i]);
	free(text);
	if (err == -E2BIG)
		return snpu_cli_fail(SNPU_EXIT_FAILURE, "--coding bitwise-bidirectional", "%s needs too many steps for these counts", snpu_coding_name(c->opts->coding));
	if (err)
		return snpu_cli_fail(SNPU_EXIT_FAILURE, "choose a file in a folder that you may write to", "cannot draw %s: %s", c->opts->picture, strerror(-err));
	json_object_set_new(c->facts, "raster", json_pack("{s:o, s:s, s:s, s:I, s:I}", "file", snpu_cli_string(c->opts->picture), "array", c->opts->raster,
							  "coding", snpu_coding_name(c->opts->coding), "tokens", (json_int_t)l->tokens, "channels", (json_int_t)l->channels));
	return SNPU_EXIT_OK;
}

enum snpu_exit snpu_lm_look_finish(struct snpu_lm_cli *c)
{
	json_t *arrays;

	if (!c->look)
		return SNPU_EXIT_OK;
	if (c->opts->dump && !c->look->n)
		return snpu_cli_fail(SNPU_EXIT_FAILURE, "--dump DIR  without --dump-only  writes all there are", "no array has such a name");
	if (c->opts->dump) {
		arrays = json_array();
		for (unsigned int i = 0; i < c->look->n; i++)
			json_array_append_new(arrays, json_string(c->look->array[i].name));
		json_object_set_new(c->facts, "dump", json_pack("{s:o, s:o}", "folder", snpu_cli_string(c->opts->dump), "arrays", arrays));
	}
	return c->opts->raster[0] ? draw(c) : SNPU_EXIT_OK;
}

void snpu_lm_look_free(struct snpu_lm_look *l)
{
	if (!l)
		return;
	free(l->array);
	free(l->counts);
	free(l->error);
	free(l);
}
