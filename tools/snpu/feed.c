// SPDX-License-Identifier: MIT
/*
 * Finds an array for each Input node in the files of the command line, decides whether it holds spikes or images, and cuts
 * out the samples that were asked for. Shapes are checked here as far as a better sentence than the library's can be
 * given; the library checks everything again.
 */
#include "feed.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

struct source {
	struct snpu_bundle bundle;
	struct snpu_events *events;		/* an event file: then the bundle is closed but for its path */
	struct snpu_nirdata *nirdata;		/* recordings of nodes, likewise */
	char node[256];				/* "" : for any */
};

struct loader {
	struct snpu_feed *feed;
	const struct snpu_model *model;
	const struct snpu_feed_opts *opts;
	struct source *source;			/* [opts->n_files] */
	bool chosen;				/* the samples asked for were chosen while reading */
};

/* Splits "NODE=FILE" when NODE is an Input node, so that other file names may contain '='. */
static const char *split(const struct loader *l, const char *arg, char *node, size_t size)
{
	const char *eq = strchr(arg, '=');
	struct snpu_node_info info;

	node[0] = 0;
	for (unsigned int i = 0; eq && i < snpu_model_input_count(l->model); i++) {
		if (snpu_model_node(l->model, (unsigned int)snpu_model_input(l->model, i), &info))
			continue;
		if (strlen(info.name) == (size_t)(eq - arg) && strncmp(info.name, arg, (size_t)(eq - arg)) == 0) {
			snprintf(node, size, "%s", info.name);
			return eq + 1;
		}
	}
	return arg;
}

/* The recording of a node of that name, of spikes if there are several; or the only one. false: there is none. */
static bool observable_for(const struct source *s, const char *node, struct snpu_observable *out)
{
	struct snpu_observable o, best = { 0 };

	for (unsigned int i = 0; snpu_nirdata_get(s->nirdata, i, &o) == 0; i++)
		if ((strcmp(o.node, node) == 0 && (!best.node || strcmp(o.name, "spikes") == 0)) || snpu_nirdata_count(s->nirdata) == 1)
			best = o;
	if (out)
		*out = best;
	return best.node;
}

/* The array of `s` that fits the node, by name; NULL when there is none. A model with one input takes "images" or the only array. */
static const char *array_for(const struct loader *l, const struct source *s, const char *node)
{
	bool only_input = snpu_model_input_count(l->model) == 1;

	if (s->node[0] && strcmp(s->node, node))
		return NULL;
	if (s->events || s->nirdata)
		return s->node[0] || only_input || (s->nirdata && observable_for(s, node, NULL)) ? "" : NULL;
	if (s->bundle.npz && snpu_bundle_has(&s->bundle, node))
		return node;
	if (!only_input && !s->node[0])
		return NULL;
	if (s->bundle.npz && snpu_bundle_has(&s->bundle, "images"))
		return "images";
	return snpu_bundle_count(&s->bundle) == 1 ? snpu_bundle_name(&s->bundle, 0) : NULL;
}

/*
 * Axes before the node's own: 2 [sample][step], 1 [step], 0 neither. As the library has it: exact shapes first, then one axis
 * with as many elements, or none where the node has one.
 */
static unsigned int time_axes(const struct snpu_array *a, const struct snpu_node_info *node)
{
	for (unsigned int axes = 2; axes; axes--)
		if (a->rank == axes + node->rank && memcmp(a->shape + axes, node->shape, node->rank * sizeof(node->shape[0])) == 0)
			return axes;
	for (unsigned int axes = 2; axes; axes--)
		if ((a->rank == axes + 1 && a->shape[axes] == node->size) || (a->rank == axes && node->size == 1))
			return axes;
	return 0;
}

/* Are these numbers pixels? A byte array with the node's size and no axis for time, and more than 0 and 1 in it. */
static bool looks_like_images(const struct snpu_array *a, const struct snpu_node_info *node)
{
	if (a->dtype != SNPU_U8 || time_axes(a, node) == 2)
		return false;
	for (uint64_t i = 0; i < a->count; i++)
		if (((const uint8_t *)a->data)[i] > 1)
			return true;
	return false;
}

static enum snpu_exit bad_shape(const char *file, const struct snpu_array *a, const struct snpu_node_info *node, const char *takes)
{
	struct snpu_array shape = { .rank = node->rank };

	memcpy(shape.shape, node->shape, sizeof(shape.shape));
	return snpu_cli_fail(SNPU_EXIT_FAILURE, "reshape the array; see 'snpu help run'", "%s: an array of shape %s does not fit input '%s', which takes %s%s%s",
			     file, snpu_array_shape(a), node->name, takes, snpu_array_shape(&shape), node->rank ? "" : " (one number)");
}

uint64_t snpu_feed_model_steps(const struct snpu_model *model)
{
	const char *t = snpu_model_metadata(model, "T");
	char *end;
	double v = t ? strtod(t, &end) : 0;

	return t && end != t && !*end && v >= 1 && v <= SNPU_FEED_STEPS_MAX && v == rint(v) ? (uint64_t)v : 0;
}

/* Number of samples and of steps of an array, and whether its first axis counts samples. */
static enum snpu_exit measure(struct loader *l, const char *file, const struct snpu_array *a, const struct snpu_node_info *node, bool images,
			      uint64_t *samples, uint64_t *steps)
{
	if (images) {
		*samples = node->size ? a->count / node->size : 0;
		if (!*samples || *samples * node->size != a->count || (*samples > 1 && a->shape[0] != *samples))
			return bad_shape(file, a, node, "images [sample]");
		*steps = l->opts->steps ? l->opts->steps : snpu_feed_model_steps(l->model);
		if (!*steps)
			return snpu_cli_fail(SNPU_EXIT_USAGE, "--steps 25", "%s holds images, and the model's file does not say for how many time steps", file);
		return SNPU_EXIT_OK;
	}
	unsigned int axes = time_axes(a, node);

	if (!axes)
		return bad_shape(file, a, node, "[sample][step]");
	*samples = axes == 2 ? a->shape[0] : 1;
	*steps = a->shape[axes - 1];
	if (!*samples || !*steps)
		return snpu_cli_fail(SNPU_EXIT_FAILURE, NULL, "%s: the array for input '%s' is empty: its shape is %s", file, node->name, snpu_array_shape(a));
	return SNPU_EXIT_OK;
}

/* The samples chosen, as a view into the whole. */
static enum snpu_exit choose_samples(struct loader *l, const struct snpu_array *whole, uint64_t samples, bool sample_axis, struct snpu_array *view)
{
	uint64_t first = l->chosen ? 0 : l->opts->first, last = l->opts->last < samples && !l->chosen ? l->opts->last : samples;

	if (first >= last || (!l->chosen && l->opts->last != UINT64_MAX && l->opts->last > samples))
		return snpu_cli_fail(SNPU_EXIT_USAGE, NULL, "--samples %llu:%llu: the input has samples 0 to %llu", (unsigned long long)l->opts->first,
				     (unsigned long long)l->opts->last, (unsigned long long)samples - 1);
	*view = *whole;
	if (sample_axis) {
		view->count = whole->count / samples * (last - first);
		view->data = (char *)whole->data + whole->count / samples * first * snpu_dtype_size(whole->dtype);
		view->shape[0] = last - first;
	}
	l->feed->first = l->chosen ? l->opts->first : first;
	l->feed->samples = last - first;
	return SNPU_EXIT_OK;
}

/* All images of the command line as one array [image][height][width]. */
static enum snpu_exit stack_images(struct loader *l, const struct snpu_node_info *node, struct snpu_array *out)
{
	uint64_t shape[2] = { l->opts->n_files, node->size };
	struct snpu_array one;
	enum snpu_exit st = SNPU_EXIT_OK;

	if (snpu_array_create(SNPU_U8, 2, shape, out))
		return snpu_cli_fail_library(SNPU_EXIT_FAILURE, NULL);
	for (unsigned int i = 0; i < l->opts->n_files && !st; i++) {
		struct snpu_bundle *b = &l->source[i].bundle;

		if (!b->image)
			return snpu_cli_fail(SNPU_EXIT_USAGE, NULL, "%s is not an image, and the other inputs are", b->path);
		st = snpu_bundle_read(b, "", node->size, &one);
		if (st)
			break;
		if (one.count == node->size)
			memcpy((char *)out->data + i * node->size, one.data, node->size);
		else
			st = bad_shape(b->path, &one, node, "an image of shape ");
		snpu_array_free(&one);
	}
	return st;
}

static json_t *input_facts(const struct snpu_node_info *node, const struct snpu_array *a, const char *file, const char *array, const char *encoding)
{
	json_t *shape = json_array();

	for (unsigned int i = 0; i < a->rank; i++)
		json_array_append_new(shape, json_integer((json_int_t)a->shape[i]));
	return json_pack("{s:s, s:o, s:o, s:s, s:o, s:s}", "node", node->name, "file", snpu_cli_string(file), "array", snpu_cli_string(array), "dtype", snpu_dtype_name(a->dtype), "shape", shape,
			 "encoding", encoding);
}

/* An array [sample][step] of as many numbers as the node has gets the node's shape. */
static void take_shape(struct snpu_array *a, const struct snpu_node_info *node)
{
	if (a->rank < 2 || !node->size || node->rank + 2 > SNPU_MAX_RANK || a->count != a->shape[0] * a->shape[1] * node->size)
		return;
	memcpy(a->shape + 2, node->shape, node->rank * sizeof(node->shape[0]));
	a->rank = 2 + node->rank;
}

#define BINNED_MAX	(8ull << 30)		/* bytes; more is a mistake */

/* Events as steps of the node; *facts tells how. */
static enum snpu_exit bin_events(struct loader *l, const struct source *from, const struct snpu_events *ev, const struct snpu_node_info *node, struct snpu_array *whole, json_t **facts)
{
	struct snpu_events_plan plan;
	struct snpu_bins b;
	enum snpu_exit st = snpu_events_plan(&l->opts->events, ev, l->model, node, l->opts->dt, from->bundle.path, &plan);

	if (st)
		return st;
	plan.opts.steps = l->opts->steps;
	if (snpu_events_bins(ev, &plan.opts, &b))
		return snpu_cli_fail_library(SNPU_EXIT_FAILURE, NULL);
	if (b.steps > SNPU_FEED_STEPS_MAX || (double)b.samples * (double)b.steps * (double)node->size * 4 > (double)BINNED_MAX)
		return snpu_cli_fail(SNPU_EXIT_FAILURE, "--samples, --steps and a longer --dt-bin make it less", "%s: %llu samples of %llu steps of %llu numbers are more than is run at once",
				     from->bundle.path, (unsigned long long)b.samples, (unsigned long long)b.steps, (unsigned long long)node->size);
	if (snpu_events_bin(ev, &plan.opts, whole, &b))
		return snpu_cli_fail_library(SNPU_EXIT_FAILURE, NULL);
	take_shape(whole, node);
	*facts = snpu_events_facts(ev, &plan, &b);
	return SNPU_EXIT_OK;
}

/* Several event files for the only input are several samples. */
static enum snpu_exit bin_files(struct loader *l, const struct snpu_node_info *node, struct snpu_array *whole, json_t **facts)
{
	const struct snpu_events **list = calloc(l->opts->n_files, sizeof(*list));
	struct snpu_events all = { 0 };
	const char *why = list ? NULL : "there is not enough memory";
	enum snpu_exit st;

	for (unsigned int i = 0; i < l->opts->n_files && !why; i++) {
		list[i] = l->source[i].events;
		why = list[i] ? NULL : "not all are files of events";
	}
	if (!why && l->chosen)
		why = "each has samples of its own";
	if (!why)
		why = snpu_events_join(list, l->opts->n_files, &all);
	st = why ? snpu_cli_fail(SNPU_EXIT_FAILURE, "run them one by one", "%s and the other inputs cannot be samples of one run: %s", l->source[0].bundle.path, why)
		 : bin_events(l, &l->source[0], &all, node, whole, facts);
	snpu_events_unjoin(&all);
	free(list);
	return st;
}

/* A recording of NIRGraphData: a grid is an array as it is, events become one. */
static enum snpu_exit read_observable(struct loader *l, const struct source *from, const struct snpu_node_info *node, struct snpu_array *whole, json_t **facts)
{
	struct snpu_observable o;

	if (!observable_for(from, node->name, &o))
		return snpu_cli_fail(SNPU_EXIT_FAILURE, "name a node of the file like the input, or record it again", "%s has no recording for input '%s'", from->bundle.path, node->name);
	if (o.events)
		return bin_events(l, from, o.events, node, whole, facts);
	if (snpu_array_create(SNPU_F32, o.array->rank, o.array->shape, whole))
		return snpu_cli_fail_library(SNPU_EXIT_FAILURE, NULL);
	memcpy(whole->data, o.array->data, o.array->count * sizeof(float));
	take_shape(whole, node);
	return SNPU_EXIT_OK;
}

static enum snpu_exit read_input(struct loader *l, const struct snpu_node_info *node, const char **array, struct source **from, json_t **facts)
{
	struct snpu_array *whole = &l->feed->owned[l->feed->n_inputs];

	*array = NULL;
	for (unsigned int i = 0; i < l->opts->n_files && !*array; i++) {
		*from = &l->source[i];
		*array = array_for(l, *from, node->name);
	}
	if (!*array && l->opts->n_files)
		return snpu_cli_fail(SNPU_EXIT_FAILURE, "name the array in the file after the node, or say NODE=FILE instead of FILE",
				     "%s has no array for input '%s'; it has: %s", l->source[0].bundle.path, node->name, snpu_bundle_names(&l->source[0].bundle));
	if ((*from)->events && snpu_model_input_count(l->model) == 1 && l->opts->n_files > 1)
		return bin_files(l, node, whole, facts);
	if ((*from)->events)
		return bin_events(l, *from, (*from)->events, node, whole, facts);
	if ((*from)->nirdata)
		return read_observable(l, *from, node, whole, facts);
	if ((*from)->bundle.image && snpu_model_input_count(l->model) == 1)
		return stack_images(l, node, whole);
	return snpu_bundle_read(&(*from)->bundle, *array, node->size, whole);
}

/* How the array becomes spikes: as people said, or error diffusion of what looks like an image. */
static enum snpu_encoder encoder_for(const struct loader *l, const struct source *from, const struct snpu_array *whole, const struct snpu_node_info *node)
{
	static const enum snpu_encoder encoders[] = { [SNPU_FEED_DIFFUSION] = SNPU_ENCODE_IMAGE, [SNPU_FEED_RATE] = SNPU_ENCODE_RATE, [SNPU_FEED_LATENCY] = SNPU_ENCODE_LATENCY,
						      [SNPU_FEED_NONE] = SNPU_ENCODE_NONE };

	if (l->opts->encode != SNPU_FEED_AUTO)
		return encoders[l->opts->encode];
	return from->bundle.image || looks_like_images(whole, node) ? SNPU_ENCODE_IMAGE : SNPU_ENCODE_NONE;
}

static enum snpu_exit load_input(struct loader *l, unsigned int index)
{
	static const char *const encodings[] = { "none", "diffusion", "rate", "latency" };
	struct snpu_feed *f = l->feed;
	struct snpu_array *whole = &f->owned[f->n_inputs], *view = &f->view[f->n_inputs];
	struct snpu_node_info node;
	uint64_t samples = 0, steps = 0, samples_before = f->samples;
	const char *array;
	struct source *from = NULL;
	json_t *facts = NULL, *events = NULL;
	enum snpu_encoder encoder;
	enum snpu_exit st;

	if (snpu_model_node(l->model, (unsigned int)snpu_model_input(l->model, index), &node))
		return snpu_cli_fail_library(SNPU_EXIT_FAILURE, NULL);
	st = read_input(l, &node, &array, &from, &events);
	if (st)
		return st;
	encoder = encoder_for(l, from, whole, &node);
	bool images = encoder != SNPU_ENCODE_NONE;

	facts = input_facts(&node, whole, from->bundle.path, array, events ? "events" : encodings[encoder]);
	if (events)
		json_object_set_new(facts, "events", events);
	json_array_append_new(f->facts, facts);
	if (images && whole->dtype != SNPU_U8)
		return snpu_cli_fail(SNPU_EXIT_FAILURE, "--encode none", "--encode %s takes bytes (uint8), and '%s' is %s", encodings[encoder], array[0] ? array : from->bundle.path,
				     snpu_dtype_name(whole->dtype));
	st = measure(l, from->bundle.path, whole, &node, images, &samples, &steps);
	if (!st)
		st = choose_samples(l, whole, samples, images ? samples > 1 : time_axes(whole, &node) == 2, view);
	if (st)
		return st;
	if (f->n_inputs && (f->samples != samples_before || f->steps != steps))
		return snpu_cli_fail(SNPU_EXIT_FAILURE, NULL, "input '%s' has %llu samples of %llu steps, the inputs before it %llu of %llu", node.name,
				     (unsigned long long)f->samples, (unsigned long long)steps, (unsigned long long)samples_before, (unsigned long long)f->steps);
	f->steps = steps;
	f->input[f->n_inputs] = (struct snpu_input){ .node = node.name, .array = view, .encoder = encoder,
						     .steps = images ? (uint32_t)steps : 0, .seed = l->opts->events.seed + (images ? f->first : 0) };
	f->n_inputs++;
	return SNPU_EXIT_OK;
}

/* --- labels --------------------------------------------------------------------------------------------------- */

static enum snpu_exit take_labels(struct snpu_feed *f, const struct snpu_array *a, uint64_t first, const char *file)
{
	if (a->rank != 1 || a->count < first + f->samples)
		return snpu_cli_fail(SNPU_EXIT_FAILURE, NULL, "%s: labels of shape %s do not fit %llu samples", file, snpu_array_shape(a),
				     (unsigned long long)(first + f->samples));
	f->labels = calloc(f->samples, sizeof(*f->labels));
	if (!f->labels)
		return snpu_cli_fail(SNPU_EXIT_FAILURE, NULL, "not enough memory for %llu labels", (unsigned long long)f->samples);
	for (uint64_t i = 0; i < f->samples; i++) {
		float v;

		if (snpu_array_to_f32(a, first + i, 1, &v) || !(fabsf(v) < 1e9f) || v != rintf(v))
			return snpu_cli_fail(SNPU_EXIT_FAILURE, NULL, "%s: label %llu is not a whole number", file, (unsigned long long)(first + i));
		f->labels[i] = (int64_t)v;
	}
	return SNPU_EXIT_OK;
}

/* Labels that came with the events, of the samples that are run. */
static enum snpu_exit event_labels(struct snpu_feed *f, const struct snpu_events *ev, bool chosen)
{
	uint64_t first = chosen ? 0 : f->first;

	f->labels = first + f->samples <= ev->samples ? calloc(f->samples, sizeof(*f->labels)) : NULL;
	if (!f->labels)
		return snpu_cli_fail(SNPU_EXIT_FAILURE, NULL, "not enough memory for %llu labels", (unsigned long long)f->samples);
	memcpy(f->labels, ev->labels + first, f->samples * sizeof(*f->labels));
	return SNPU_EXIT_OK;
}

static enum snpu_exit load_labels(struct loader *l)
{
	const char *name = l->opts->labels ? l->opts->labels : "labels";
	struct snpu_bundle other = { 0 }, *b = NULL;
	struct snpu_array a = { 0 };
	enum snpu_exit st;

	for (unsigned int i = 0; i < l->opts->n_files && !b; i++)
		if (l->source[i].bundle.npz && snpu_bundle_has(&l->source[i].bundle, name))
			b = &l->source[i].bundle;
	for (unsigned int i = 0; i < l->opts->n_files && !b && !l->opts->labels; i++)
		if (l->source[i].events && l->source[i].events->labels)
			return event_labels(l->feed, l->source[i].events, l->chosen);
	if (!b && !l->opts->labels)
		return SNPU_EXIT_OK;
	if (!b) {
		st = snpu_bundle_open(&other, name);
		if (st)
			return st;
		b = &other;
		name = snpu_bundle_has(b, "labels") || snpu_bundle_count(b) != 1 ? "labels" : snpu_bundle_name(b, 0);
	}
	st = snpu_bundle_read(b, name, 0, &a);
	if (!st)
		st = take_labels(l->feed, &a, l->feed->first, b->path);
	snpu_array_free(&a);
	snpu_bundle_close(&other);
	return st;
}

/* --- open and close ------------------------------------------------------------------------------------------- */

/* An HDF5 file of many samples is read as far as they are asked for, all others whole. */
static enum snpu_exit open_events(struct loader *l, struct source *s, const char *path, const void *mem, size_t size)
{
	const struct snpu_events_args *a = &l->opts->events;
	struct snpu_events_opts o = { .sz = sizeof(o), .format = a->format, .width = a->width, .height = a->height };
	int f = o.format ? (int)o.format : snpu_events_format_of(mem, size), err;

	s->bundle.path = path;
	if (f == SNPU_EVENTS_NIRDATA) {
		err = snpu_nirdata_parse(mem, size, &s->nirdata);
	} else {
		o.format = f > 0 ? (enum snpu_events_format)f : SNPU_EVENTS_NMNIST;
		if (f == SNPU_EVENTS_HDF5) {
			o.first = l->opts->first;
			o.last = l->opts->last == UINT64_MAX ? 0 : l->opts->last;
			l->chosen = true;
		}
		err = snpu_events_parse(mem, size, &o, &s->events);
	}
	return err ? snpu_cli_fail(SNPU_EXIT_FAILURE, NULL, "%s: %s", path, snpu_last_error()) : SNPU_EXIT_OK;
}

static enum snpu_exit open_source(struct loader *l, struct source *s, const char *path)
{
	size_t size;
	void *mem;
	enum snpu_exit st = snpu_file_read(path, &mem, &size);

	if (st)
		return st;
	if (!snpu_events_wanted(&l->opts->events, path, mem, size))
		return snpu_bundle_take(&s->bundle, path, mem, size);
	st = open_events(l, s, path, mem, size);
	free(mem);
	return st;
}

static enum snpu_exit open_sources(struct loader *l)
{
	enum snpu_exit st = SNPU_EXIT_OK;

	for (unsigned int i = 0; i < l->opts->n_files && !st; i++)
		st = open_source(l, &l->source[i], split(l, l->opts->files[i], l->source[i].node, sizeof(l->source[i].node)));
	return st;
}

void snpu_feed_add(struct snpu_feed_opts *opts, char *file, const struct argp_state *state, const char *option)
{
	char **grown = realloc(opts->files, (opts->n_files + 1) * sizeof(*grown));

	if (!grown)
		argp_failure(state, SNPU_EXIT_FAILURE, ENOMEM, "%s", option);
	opts->files = grown;
	opts->files[opts->n_files++] = file;
}

enum snpu_exit snpu_feed_open(struct snpu_feed *f, const struct snpu_model *model, const struct snpu_feed_opts *opts)
{
	struct loader l = { f, model, opts, calloc(opts->n_files + 1, sizeof(*l.source)), false };
	enum snpu_exit st;

	memset(f, 0, sizeof(*f));
	f->facts = json_array();
	if (!l.source)
		return snpu_cli_fail(SNPU_EXIT_FAILURE, NULL, "not enough memory");
	if (snpu_model_input_count(model) > SNPU_FEED_INPUTS)
		st = snpu_cli_fail(SNPU_EXIT_FAILURE, "use the library: snpu_session_run()", "the model has %u Input nodes, this command takes %u",
				   snpu_model_input_count(model), SNPU_FEED_INPUTS);
	else
		st = open_sources(&l);
	for (unsigned int i = 0; i < snpu_model_input_count(model) && !st; i++)
		st = load_input(&l, i);
	if (!st)
		st = load_labels(&l);
	for (unsigned int i = 0; i < opts->n_files; i++) {
		snpu_events_free(l.source[i].events);
		snpu_nirdata_free(l.source[i].nirdata);
		snpu_bundle_close(&l.source[i].bundle);
	}
	free(l.source);
	return st;
}

void snpu_feed_close(struct snpu_feed *f)
{
	for (unsigned int i = 0; i < SNPU_FEED_INPUTS; i++)
		snpu_array_free(&f->owned[i]);
	free(f->labels);
	json_decref(f->facts);
	memset(f, 0, sizeof(*f));
}
