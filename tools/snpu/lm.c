// SPDX-License-Identifier: MIT
/*
 * A language model on devices, from its options: devices are opened, the model, a context, and the state of a sequence is read and
 * written. Every function prints its own error, because callers can only pass it on.
 */
#include "lm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bundle.h"
#include "device.h"
#include "output.h"
#include "text.h"

/* --- devices -------------------------------------------------------------------------------------------------- */

static enum snpu_exit describe(struct snpu_device *device, struct snpu_device_info *info)
{
	info->sz = sizeof(*info);
	return snpu_device_info(device, info) ? snpu_cli_fail_library(SNPU_EXIT_FAILURE, "snpu list") : SNPU_EXIT_OK;
}

/* What the context will use as the CPU, to be described. */
static enum snpu_exit describe_cpu(const struct snpu_lm_opts *o, struct snpu_device_info *info)
{
	struct snpu_device_opts d = { .sz = sizeof(d), .cpu_isa = o->ctx.cpu_isa, .cpu_threads = o->ctx.threads };
	struct snpu_device *cpu = NULL;
	enum snpu_exit st;

	if (snpu_device_open("cpu", &d, &cpu))
		return snpu_cli_fail_library(SNPU_EXIT_NO_DEVICE, "snpu info cpu  names the kernels it has;  --cpu-isa auto  takes the best");
	st = describe(cpu, info);
	snpu_device_close(cpu);
	return st;
}

/* Cards and simulators in the order they were named; behind "cpu" nothing would be reached. */
static enum snpu_exit open_devices(struct snpu_lm_cli *c)
{
	const struct snpu_lm_opts *o = c->opts;
	static char note[sizeof(c->info[0].note)];
	enum snpu_exit st = SNPU_EXIT_OK;

	c->note = "";
	for (unsigned int i = 0; i < o->n_devices && !st; i++) {
		struct snpu_device_info *info = &c->info[c->n_devices];

		if (strcmp(o->device[i], "cpu") == 0)
			break;
		st = snpu_device_choose(o->device[i], o->ctx.require_device, &c->device[c->n_devices]);
		if (!st)
			st = describe(c->device[c->n_devices], info);
		if (st)
			return st;
		if (info->kind != SNPU_KIND_CPU) {
			c->n_devices++;
			continue;
		}
		snprintf(note, sizeof(note), "%s", info->note);	/* auto, and there is no card */
		c->note = note;
		snpu_device_close(c->device[c->n_devices]);
		c->device[c->n_devices] = NULL;
	}
	return st ? st : describe_cpu(o, &c->info[c->n_devices]);
}

/* --- model and context ------------------------------------------------------------------------------------------ */

int snpu_lm_on_load(void *progress, const char *what, uint64_t done, uint64_t total)
{
	struct snpu_progress *p = progress;
	char text[64];

	snprintf(text, sizeof(text), "%s", snpu_text_bytes(SNPU_TEXT, (double)done));
	snprintf(text + strlen(text), sizeof(text) - strlen(text), "/%s", snpu_text_bytes(SNPU_TEXT, (double)total));
	if (strcmp(what, "calibrating") == 0)
		snprintf(text, sizeof(text), "measures the text");
	snpu_progress_show(p, (double)done, (double)total, text);
	return snpu_lm_interrupts() > 0;
}

static const char *open_hint(int err)
{
	switch (err) {
	case -EINVAL:
		return "snpu convert DIR -o MODEL.snpu  makes a file of another form from the folder";
	case -ENOTSUP:
		return "snpu convert --help  tells which forms there are";
	case -ENOMEM:
		return "snpu convert DIR -o MODEL.snpu  makes a file that needs no memory of its own";
	default:
		return "snpu generate MODEL -p TEXT  with a folder that has config.json, or a file of  snpu convert";
	}
}

enum snpu_exit snpu_lm_fail(const struct snpu_lm_cli *c, int err)
{
	const char *look = snpu_lm_look_error(c->look);

	if (err == -ECANCELED && look)
		return snpu_cli_fail(SNPU_EXIT_FAILURE, "choose a folder with room that you may write to: --dump DIR", "%s", look);
	if (err == -ECANCELED && snpu_lm_interrupts())
		return snpu_cli_fail(SNPU_EXIT_INTERRUPTED, NULL, "interrupted");
	if (err == -EREMOTEIO || err == -ENODEV || err == -ENOSPC)
		return snpu_cli_fail_library(SNPU_EXIT_NO_DEVICE, "snpu list  shows the cards;  without --require-device  the CPU does what they cannot");
	if (err == -ENOMEM)
		return snpu_cli_fail(SNPU_EXIT_FAILURE, "end other programs, or take fewer tokens", "no memory");
	if (err == -EINVAL)
		return snpu_cli_fail_library(SNPU_EXIT_FAILURE, "snpu tokenize MODEL TEXT  shows the ids of a text");
	return snpu_cli_fail_library(SNPU_EXIT_FAILURE, "snpu tokenize MODEL TEXT  tells whether the model can be read");
}

enum snpu_exit snpu_lm_cli_model(struct snpu_lm_cli *c, const struct snpu_lm_opts *o)
{
	struct snpu_lm_open_opts open = o->open;
	struct snpu_progress bar;
	int err;

	c->opts = o;
	c->facts = snpu_cli_facts();
	c->start = snpu_clock();
	c->model.sz = sizeof(c->model);
	open.progress = snpu_lm_on_load;
	open.progress_arg = &bar;
	snpu_lm_interruptible(c);
	snpu_progress_start(&bar, "load", !o->json && !o->quiet);
	err = snpu_lm_open(o->model, &open, &c->lm);
	snpu_progress_end(&bar);
	if (err == -ECANCELED)
		return snpu_cli_fail(SNPU_EXIT_INTERRUPTED, NULL, "interrupted");
	if (err || snpu_lm_info(c->lm, &c->model))
		return snpu_cli_fail_library(SNPU_EXIT_FAILURE, open_hint(err));
	snpu_lm_facts_model(c);
	return SNPU_EXIT_OK;
}

/* A layer that is not there would just leave the picture empty. */
static enum snpu_exit check_raster(const struct snpu_lm_cli *c)
{
	unsigned int layer = 0;

	if (!c->opts->raster[0])
		return SNPU_EXIT_OK;
	sscanf(strchr(c->opts->raster, '.'), ".%u", &layer);
	if (layer >= c->model.layers)
		return snpu_cli_fail(SNPU_EXIT_USAGE, "--raster layer:0.q_proj", "--raster: there is no layer %u, the model has layers 0 to %u", layer, c->model.layers - 1);
	if (c->model.form != SNPU_LM_SPIKE)
		return snpu_cli_fail(SNPU_EXIT_USAGE, "--form spike  turns it into a spiking one", "--raster: the model is taken as float, it has no spikes");
	if (strstr(c->opts->raster, "down_proj") && c->model.down != SNPU_LM_DOWN_SPIKE)
		return snpu_cli_fail(SNPU_EXIT_USAGE, "--down spike", "--raster: down_proj takes no spikes");
	if (strstr(c->opts->raster, "q_count") && snpu_lm_layer_is_gla(c->lm, layer))
		return snpu_cli_fail(SNPU_EXIT_USAGE, "--raster layer:1.queries", "--raster: layer %u is gated linear attention, its queries are no spikes", layer);
	return SNPU_EXIT_OK;
}

static enum snpu_exit create_context(struct snpu_lm_cli *c)
{
	struct snpu_lm_ctx_opts ctx = c->opts->ctx;
	enum snpu_exit st = snpu_lm_look_open(c->opts, &ctx, &c->look);
	int err;

	if (st)
		return st;
	ctx.devices = c->device;
	ctx.n_devices = c->n_devices;
	err = snpu_lm_ctx_create(c->lm, &ctx, &c->ctx);
	return err ? snpu_lm_fail(c, err) : SNPU_EXIT_OK;
}

enum snpu_exit snpu_lm_cli_open(struct snpu_lm_cli *c, const struct snpu_lm_opts *o)
{
	enum snpu_exit st;

	c->opts = o;
	st = open_devices(c);
	if (!st)
		st = snpu_lm_cli_model(c, o);
	if (!st)
		st = check_raster(c);
	if (!st)
		st = create_context(c);
	if (st)
		return st;
	c->logits = malloc(sizeof(float) * c->model.vocab);
	if (!c->logits)
		return snpu_cli_fail(SNPU_EXIT_FAILURE, "end other programs", "no memory for %u logits", c->model.vocab);
	c->load_seconds = snpu_clock() - c->start;
	snpu_lm_facts_devices(c);
	return o->state_load ? snpu_lm_load(c, o->state_load) : SNPU_EXIT_OK;
}

void snpu_lm_cli_close(struct snpu_lm_cli *c)
{
	snpu_lm_interruptible(NULL);
	snpu_lm_ctx_free(c->ctx);
	snpu_lm_look_free(c->look);
	snpu_lm_free(c->lm);
	for (unsigned int i = 0; i < SNPU_LM_DEVICES; i++)
		snpu_device_close(c->device[i]);
	free(c->logits);
	free(c->past);
	json_decref(c->facts);
}

/* --- state ------------------------------------------------------------------------------------------------------ */

struct saved {
	const void *state;
	size_t size;
	const uint32_t *pending;
	size_t n_pending;
};

static int put_state(FILE *f, const void *arg)
{
	const struct saved *s = arg;

	if (fwrite(s->state, 1, s->size, f) != s->size || fwrite(s->pending, sizeof(uint32_t), s->n_pending, f) != s->n_pending)
		return -EIO;
	return 0;
}

enum snpu_exit snpu_lm_save(struct snpu_lm_cli *c, const char *path)
{
	size_t size = snpu_lm_state_size(c->ctx);
	void *state = malloc(size);
	struct saved s = { state, size, c->past ? c->past + c->n_seen : NULL, c->n_past - c->n_seen };
	int err = state ? snpu_lm_state_save(c->ctx, state, size) : -ENOMEM;

	if (err) {
		free(state);
		return snpu_cli_fail(SNPU_EXIT_FAILURE, "end other programs", "the state of %s cannot be saved: %s", snpu_text_bytes(SNPU_TEXT, (double)size), strerror(-err));
	}
	err = snpu_output_file(path, put_state, &s);
	free(state);
	if (err)
		return snpu_cli_fail(SNPU_EXIT_FAILURE, "choose a file in a folder that you may write to", "cannot write %s: %s", path, strerror(-err));
	return SNPU_EXIT_OK;
}

enum snpu_exit snpu_lm_load(struct snpu_lm_cli *c, const char *path)
{
	size_t size = 0, want = snpu_lm_state_size(c->ctx);
	void *mem = NULL;
	enum snpu_exit st = snpu_file_read(path, &mem, &size);

	if (st)
		return st;
	if (size > want && (size - want) % sizeof(uint32_t))
		size = want - 1;		/* neither a state nor one with tokens behind it: the library says so */
	if (snpu_lm_state_load(c->ctx, mem, size)) {
		st = snpu_cli_fail(SNPU_EXIT_FAILURE, "give the model and options that it was saved with, or make it again with --state-save", "%s: %s", path, snpu_last_error());
	} else {
		c->n_past = c->n_seen = 0;
		st = snpu_lm_append(c, (const uint32_t *)((const uint8_t *)mem + want), (size - want) / sizeof(uint32_t));
	}
	free(mem);
	return st;
}
