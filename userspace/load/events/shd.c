/* SPDX-License-Identifier: MIT */
/*
 * HDF5 files in the layout of the Heidelberg spiking data sets SHD and SSC (Cramer et al., 2020): spikes/times, lists of seconds (float16
 * or others), and spikes/units, lists of channels, one list a sample; labels, a number a sample. Also h5 files without lists: one sample.
 */
#include "load/events/events.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load/nir/h5.h"

#define CHANNELS	700			/* of the cochlea model, when the file is one of theirs */

/* The object at `path` "a/b": 1, 0 when it is not there. */
static int find(struct h5x *x, const char *path, uint64_t *address)
{
	char part[64];
	int found = 1;

	*address = x->root;
	while (found == 1 && *path) {
		size_t n = strcspn(path, "/");
		struct h5x_dir dir;

		snprintf(part, sizeof(part), "%.*s", (int)n, path);
		found = h5x_dir_read(x, *address, part, &dir);
		if (!found)
			found = h5x_dir_find(&dir, part, address);
		h5x_dir_free(&dir);
		path += n + (path[n] == '/');
	}
	return found;
}

bool snpu_shd_is(const void *mem, size_t size)
{
	uint64_t address;
	struct h5x x;

	return !h5x_open(&x, mem, size) && find(&x, "spikes/times", &address) == 1 && find(&x, "spikes/units", &address) == 1;
}

static int add_sample(struct snpu_event_reader *r, const struct h5x_lists *times, const struct h5x_lists *units, uint64_t k)
{
	uint64_t n = times->first[k + 1] - times->first[k];
	const double *t = times->value + times->first[k], *u = units->value + units->first[k];
	int err = snpu_event_sample(r);

	if (!err && n != units->first[k + 1] - units->first[k])
		err = snpu_fail(-EBADMSG, "sample %llu has %llu times and %llu units; the file is damaged, copy it again", (unsigned long long)(r->opts.first + k),
				(unsigned long long)n, (unsigned long long)(units->first[k + 1] - units->first[k]));
	for (uint64_t i = 0; i < n && !err; i++)
		if (fabs(t[i]) < 1e12 && u[i] >= 0 && u[i] < 4e9)
			err = snpu_event_add(r, llrint(t[i] * 1e6), (uint64_t)u[i], 0, 0, 1);
		else
			r->ev.out_of_range++;
	return err;
}

static int read_labels(struct snpu_event_reader *r, struct h5x *x)
{
	struct h5x_array a = { 0 };
	uint64_t address;
	int err = find(x, "labels", &address);

	if (err <= 0)
		return err;
	err = h5x_read(x, address, "labels", &a);
	if (!err && (a.floats || a.rank != 1 || a.count < r->opts.first + r->ev.samples))
		err = snpu_fail(-EBADMSG, "'labels' has %llu entries for %llu samples; the file is damaged, copy it again", (unsigned long long)a.count,
				(unsigned long long)(r->opts.first + r->ev.samples));
	if (!err) {
		r->ev.labels = calloc(r->ev.samples, sizeof(*r->ev.labels));
		err = r->ev.labels ? 0 : snpu_fail(-ENOMEM, "no memory for %llu labels", (unsigned long long)r->ev.samples);
	}
	if (!err)
		memcpy(r->ev.labels, a.i + r->opts.first, r->ev.samples * sizeof(*r->ev.labels));
	h5x_array_free(&a);
	return err;
}

static int read_samples(struct snpu_event_reader *r, struct h5x *x, struct h5x_lists *times, struct h5x_lists *units)
{
	uint64_t address, last = r->opts.last ? r->opts.last : UINT64_MAX;
	int err = find(x, "spikes/times", &address);

	if (err == 1)
		err = h5x_read_lists(x, address, "spikes/times", r->opts.first, last, times);
	if (!err)
		err = find(x, "spikes/units", &address);
	if (err == 1)
		err = h5x_read_lists(x, address, "spikes/units", r->opts.first, last, units);
	if (!err && (times->count != units->count || !times->count || (r->opts.last && times->count != r->opts.last - r->opts.first)))
		err = snpu_fail(-EINVAL, "samples %llu to %llu were asked for, and the file has %llu lists of times and %llu of units from there on; take others",
				(unsigned long long)r->opts.first, (unsigned long long)last, (unsigned long long)times->count, (unsigned long long)units->count);
	for (uint64_t k = 0; k < times->count && !err; k++)
		err = add_sample(r, times, units, k);
	return err;
}

int snpu_shd_parse(struct snpu_event_reader *r, const void *mem, size_t size)
{
	struct h5x_lists times = { 0 }, units = { 0 };
	uint64_t address;
	struct h5x x;
	int err = h5x_open(&x, mem, size);

	if (!err && !snpu_shd_is(mem, size))
		err = snpu_fail(-EINVAL, "the HDF5 file has no spikes/times and spikes/units; it is not in the layout of SHD, see docs/events.md");
	/* SHD and SSC name their cochlea's channels by keys and speakers beside the spikes. */
	if (!err && find(&x, "extra/keys", &address) == 1)
		snpu_event_size(r, CHANNELS, 1);
	if (!err)
		err = read_samples(r, &x, &times, &units);
	if (!err)
		err = read_labels(r, &x);
	h5x_lists_free(&times);
	h5x_lists_free(&units);
	return err;
}
