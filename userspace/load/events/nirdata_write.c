/* SPDX-License-Identifier: MIT */
/* Writes NIRGraphData files. See nirdata.c. A file appears when it is complete; one thread. */
#include "load/events/events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load/nir/h5_write.h"

struct job {
	struct h5w w;
	const struct snpu_observable *sorted;	/* [count] by node, then by name */
	unsigned count;
};

static int by_node(const void *a, const void *b)
{
	const struct snpu_observable *x = a, *y = b;
	int d = strcmp(x->node, y->node);

	return d ? d : strcmp(x->name, y->name);
}

/* All 0 or 1: NIR has events as bool. */
static bool is_binary(const struct snpu_array *a)
{
	const float *v = a->data;

	for (uint64_t i = 0; i < a->count; i++)
		if (v[i] != 0 && v[i] != 1)
			return false;
	return true;
}

/* TimeGriddedData [sample][step][neuron]: axes of the node's shape become one. */
static uint64_t write_grid(struct job *j, const struct snpu_observable *o)
{
	const struct snpu_array *a = o->array;
	uint64_t shape[3] = { a->rank > 0 ? a->shape[0] : 1, a->rank > 1 ? a->shape[1] : 1, 1 };
	struct h5w_attr attrs[] = { { "__type__", "TimeGriddedData", 0, false }, { "dt", NULL, o->dt, false } };
	struct h5w_link link = { "data", 0 };
	uint8_t *bits;

	for (unsigned i = 2; i < a->rank; i++)
		shape[2] *= a->shape[i];
	if (!is_binary(a)) {
		link.address = h5w_dataset(&j->w, H5W_F32, 3, shape, a->data);
		return h5w_group(&j->w, &link, 1, attrs, 2);
	}
	bits = malloc(a->count ? a->count : 1);
	if (!bits) {
		j->w.err = j->w.err ? j->w.err : snpu_fail(-ENOMEM, "no memory for %llu spikes", (unsigned long long)a->count);
		return 0;
	}
	for (uint64_t i = 0; i < a->count; i++)
		bits[i] = ((const float *)a->data)[i] != 0;
	link.address = h5w_dataset(&j->w, H5W_BOOL, 3, shape, bits);
	free(bits);
	return h5w_group(&j->w, &link, 1, attrs, 2);
}

/* EventData, ValuedEventData [sample][event], padded with idx -1 and time infinity. */
static uint64_t write_events(struct job *j, const struct snpu_observable *o)
{
	const struct snpu_events *ev = o->events;
	bool valued = o->type == SNPU_NIRDATA_VALUED;
	struct h5w_attr attrs[] = { { "__type__", valued ? "ValuedEventData" : "EventData", 0, false }, { "n_neurons", NULL, ev->width, true },
				    { "t_max", NULL, (double)ev->duration * 1e-6, false } };
	struct h5w_link links[] = { { "idx", 0 }, { "time", 0 }, { "value", 0 } };
	uint64_t shape[2] = { ev->samples, 0 }, n, bytes;
	int64_t *idx;
	double *time, *value;

	for (uint64_t s = 0; s < ev->samples; s++)
		shape[1] = ev->first[s + 1] - ev->first[s] > shape[1] ? ev->first[s + 1] - ev->first[s] : shape[1];
	idx = snpu_mul(shape[0], shape[1], &n) && snpu_mul(n, 24, &bytes) ? malloc(bytes + 24) : NULL;
	if (!idx) {
		j->w.err = j->w.err ? j->w.err : snpu_fail(-ENOMEM, "no memory for %llu samples of %llu events", (unsigned long long)shape[0], (unsigned long long)shape[1]);
		return 0;
	}
	time = (double *)(idx + n);
	value = time + n;
	for (uint64_t s = 0; s < shape[0]; s++)
		for (uint64_t i = 0; i < shape[1]; i++) {
			bool there = ev->first[s] + i < ev->first[s + 1];
			const struct snpu_event *e = &ev->event[there ? ev->first[s] + i : 0];

			idx[s * shape[1] + i] = there ? (int64_t)e->x : -1;
			time[s * shape[1] + i] = there ? (double)e->t * 1e-6 : (double)__builtin_inff();
			value[s * shape[1] + i] = there ? (double)e->value : 0;
		}
	links[0].address = h5w_dataset(&j->w, H5W_I64, 2, shape, idx);
	links[1].address = h5w_dataset(&j->w, H5W_F64, 2, shape, time);
	links[2].address = valued ? h5w_dataset(&j->w, H5W_F64, 2, shape, value) : 0;
	free(idx);
	return h5w_group(&j->w, links, valued ? 3 : 2, attrs, 3);
}

/* All observables [from, to) are of one node. */
static uint64_t write_node(struct job *j, unsigned from, unsigned to)
{
	struct h5w_attr type = { "__type__", "NIRNodeData", 0, false };
	struct h5w_link *links = calloc(to - from, sizeof(*links)), one = { "observables", 0 };

	if (!links) {
		j->w.err = j->w.err ? j->w.err : snpu_fail(-ENOMEM, "no memory for %u observables", to - from);
		return 0;
	}
	for (unsigned i = from; i < to; i++) {
		const struct snpu_observable *o = &j->sorted[i];

		links[i - from] = (struct h5w_link){ o->name, o->type == SNPU_NIRDATA_GRID ? write_grid(j, o) : write_events(j, o) };
	}
	one.address = h5w_group(&j->w, links, to - from, NULL, 0);
	free(links);
	return h5w_group(&j->w, &one, 1, &type, 1);
}

/*
 * Observables [from, to) are of the graph whose nodes' names begin at `at`. A name with '/' is of a graph inside. Sorted names keep
 * what is of one graph together, except that "a-b" comes between "a" and "a/b": then the name would be there twice, and is refused.
 */
static uint64_t write_graph(struct job *j, unsigned from, unsigned to, size_t at)
{
	struct h5w_attr type = { "__type__", "NIRGraphData", 0, false };
	struct h5w_link *links = calloc(to - from + 1, sizeof(*links)), one = { "nodes", 0 };
	char **names = calloc(to - from + 1, sizeof(*names));
	unsigned n = 0;

	for (unsigned i = from, end; links && names && i < to && !j->w.err; i = end, n++) {
		const char *name = j->sorted[i].node + at;
		size_t len = strcspn(name, "/");
		bool nested = name[len];

		for (end = i + 1; end < to; end++) {
			const char *next = j->sorted[end].node + at;

			if (strcspn(next, "/") != len || memcmp(next, name, len) || (bool)next[len] != nested)
				break;
		}
		names[n] = strndup(name, len);
		links[n] = (struct h5w_link){ names[n], nested ? write_graph(j, i, end, at + len + 1) : write_node(j, i, end) };
		if (!names[n])
			j->w.err = snpu_fail(-ENOMEM, "no memory for names");
	}
	if ((!links || !names) && !j->w.err)
		j->w.err = snpu_fail(-ENOMEM, "no memory for %u nodes", to - from);
	if (!j->w.err)
		one.address = h5w_group(&j->w, links, n, NULL, 0);
	for (unsigned i = 0; names && i < n; i++)
		free(names[i]);
	free(names);
	free(links);
	return h5w_group(&j->w, &one, 1, &type, 1);
}

static int write_file(const char *path, const void *mem, size_t size)
{
	char *part;
	FILE *f;
	int err = 0;

	if (asprintf(&part, "%s.part", path) < 0)
		return snpu_fail(-ENOMEM, "no memory to write '%s'", path);
	f = fopen(part, "w");
	if (!f || fwrite(mem, 1, size, f) != size)
		err = errno ? -errno : -EIO;
	if (f && fclose(f) && !err)
		err = -errno;
	if (!err && rename(part, path))
		err = -errno;
	if (err && f)
		unlink(part);
	free(part);
	return err ? snpu_fail(err, "'%s' cannot be written: %s; choose a directory that you may write to", path, strerror(-err)) : 0;
}

static int check(const struct snpu_observable *o)
{
	bool grid = o->type == SNPU_NIRDATA_GRID;

	if (!o->node || !o->node[0] || !o->name || !o->name[0] || strchr(o->name, '/') || o->type > SNPU_NIRDATA_VALUED)
		return snpu_fail(-EINVAL, "an observable has no node, no name, or one with '/'; name it \"spikes\" or the like");
	if (grid && (!o->array || o->array->dtype != SNPU_F32 || o->array->rank < 2 || !(o->dt > 0)))
		return snpu_fail(-EINVAL, "observable '%s' of '%s' needs a float32 array [sample][step][neuron] and a time step", o->name, o->node);
	if (!grid && (!o->events || !o->events->samples || !o->events->first || !o->events->width))
		return snpu_fail(-EINVAL, "observable '%s' of '%s' needs events with a number of neurons", o->name, o->node);
	return 0;
}

int snpu_nirdata_write(const char *path, const struct snpu_observable *list, unsigned count)
{
	struct snpu_observable *sorted = calloc(count + 1, sizeof(*sorted));
	struct job j = { .sorted = sorted, .count = count };
	void *mem = NULL;
	size_t size;
	int err = sorted ? 0 : snpu_fail(-ENOMEM, "no memory to write '%s'", path);

	for (unsigned i = 0; i < count && !err; i++) {
		err = check(&list[i]);
		sorted[i] = list[i];
	}
	if (!err) {
		qsort(sorted, count, sizeof(*sorted), by_node);
		h5w_begin(&j.w);
		err = h5w_end(&j.w, write_graph(&j, 0, count, 0), &mem, &size);
	}
	if (!err)
		err = write_file(path, mem, size);
	free(mem);
	free(sorted);
	return err;
}
