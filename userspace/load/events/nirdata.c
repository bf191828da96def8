/* SPDX-License-Identifier: MIT */
/*
 * NIRGraphData, the data files of NIR (nir 1.0.7): recordings ("observables") of a network's nodes, on a grid of steps or as events.
 * Reads and writes; a node of a nested graph is "outer/inner". Parsed data belong to one thread.
 */
#include "load/events/events.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load/nir/h5.h"
#include "load/nir/h5_write.h"

#define DEPTH		16			/* of nested graphs */
#define OBSERVABLES	16384

struct entry {
	char *node, *name;
	enum snpu_nirdata_type type;
	double dt;
	struct snpu_array array;
	struct snpu_events *events;
};

struct snpu_nirdata {
	struct h5x x;
	unsigned n, capacity;
	struct entry *entry;			/* [n] */
};

/* --- reading ------------------------------------------------------------------------------------------------------ */

static bool is_type(struct h5x *x, uint64_t address, const char *type)
{
	char text[H5X_NAME];

	return h5x_attr_string(x, address, "__type__", text) == 1 && !strcmp(text, type);
}

bool snpu_nirdata_is(const void *mem, size_t size)
{
	struct h5x x;

	return !h5x_open(&x, mem, size) && is_type(&x, x.root, "NIRGraphData");
}

static struct entry *add_entry(struct snpu_nirdata *d)
{
	if (d->n == OBSERVABLES)
		return NULL;
	if (d->n == d->capacity) {
		unsigned capacity = d->capacity ? d->capacity * 2 : 16;
		struct entry *e = reallocarray(d->entry, capacity, sizeof(*e));

		if (!e)
			return NULL;
		d->entry = e;
		d->capacity = capacity;
	}
	d->entry[d->n] = (struct entry){ 0 };
	return &d->entry[d->n++];
}

static int member(struct h5x *x, const struct h5x_dir *dir, const char *name, struct h5x_array *out)
{
	uint64_t address;
	int found = h5x_dir_find(dir, name, &address);

	if (found == 0)
		return snpu_fail(-EBADMSG, "an observable has no '%s'; check the program that wrote the file", name);
	return found < 0 ? found : h5x_read(x, address, name, out);
}

static double value(const struct h5x_array *a, uint64_t i)
{
	return a->floats ? a->f[i] : (double)a->i[i];
}

static int read_grid(struct h5x *x, uint64_t address, const struct h5x_dir *dir, struct entry *e)
{
	struct h5x_array a = { 0 };
	int err = member(x, dir, "data", &a), found = err ? 0 : h5x_attr_number(x, address, "dt", &e->dt);

	if (!err && (found != 1 || a.rank < 3 || !(e->dt > 0)))
		err = found < 0 ? found : snpu_fail(-EBADMSG, "a TimeGriddedData has %u axes and dt %g; it needs [sample][step][neuron] and a time step", a.rank, e->dt);
	if (!err)
		err = snpu_array_create(SNPU_F32, a.rank, a.shape, &e->array);
	for (uint64_t i = 0; i < a.count && !err; i++)
		((float *)e->array.data)[i] = (float)value(&a, i);
	h5x_array_free(&a);
	return err;
}

/* One sample after the other; idx -1 or a time that is not finite is padding. */
static int add_events(struct snpu_event_reader *r, const struct h5x_array *idx, const struct h5x_array *time, const struct h5x_array *values)
{
	int err = 0;

	for (uint64_t s = 0; s < idx->shape[0] && !err; s++) {
		err = snpu_event_sample(r);
		for (uint64_t i = s * idx->shape[1]; i < (s + 1) * idx->shape[1] && !err; i++) {
			double n = value(idx, i), t = value(time, i) * 1e6, v = values ? value(values, i) : 1;

			if (n == -1)
				continue;
			if (!(fabs(t) < 9e18) || n < 0 || n >= 4e9 || !isfinite(v))
				r->ev.out_of_range++;
			else
				err = snpu_event_add(r, llrint(t), (uint64_t)n, 0, 0, (float)v);
		}
	}
	return err;
}

/* Reads the events of an observable into `r`. */
static int read_events(struct h5x *x, uint64_t address, const struct h5x_dir *dir, bool valued, struct snpu_event_reader *r)
{
	struct h5x_array idx = { 0 }, time = { 0 }, values = { 0 };
	double neurons = 0, t_max = 0;
	int err = member(x, dir, "idx", &idx);

	if (!err)
		err = member(x, dir, "time", &time);
	if (!err && valued)
		err = member(x, dir, "value", &values);
	if (!err && (h5x_attr_number(x, address, "n_neurons", &neurons) != 1 || h5x_attr_number(x, address, "t_max", &t_max) != 1 || !(neurons >= 1) ||
		     neurons >= 4e9 || !(fabs(t_max) < 9e12)))
		err = snpu_fail(-EBADMSG, "an observable of events needs n_neurons and t_max; check the program that wrote the file");
	if (!err && (idx.floats || idx.rank != 2 || time.rank != 2 || idx.shape[0] != time.shape[0] || idx.shape[1] != time.shape[1] ||
		     (valued && (values.rank != 2 || values.shape[0] != idx.shape[0] || values.shape[1] != idx.shape[1]))))
		err = snpu_fail(-EBADMSG, "idx, time and value of an observable have other shapes than each other, or not two axes; check the program that wrote the file");
	if (!err) {
		snpu_event_size(r, (uint64_t)neurons, 1);
		r->ev.duration = llrint(t_max * 1e6);
		r->ev.step_ends = !valued;
		r->ev.format = SNPU_EVENTS_NIRDATA;
		r->ev.polarities = 1;
		err = add_events(r, &idx, &time, valued ? &values : NULL);
	}
	h5x_array_free(&idx);
	h5x_array_free(&time);
	h5x_array_free(&values);
	return err;
}

/* What a reader has gathered, as a thing of its own. */
static int take_events(struct snpu_event_reader *r, struct snpu_events **out)
{
	int err = r->ev.samples ? 0 : snpu_event_sample(r);
	struct snpu_events *ev = err ? NULL : malloc(sizeof(*ev));

	if (err || !ev)
		return err ? err : snpu_fail(-ENOMEM, "no memory for events");
	*ev = r->ev;
	r->ev = (struct snpu_events){ 0 };
	*out = ev;
	return 0;
}

static int read_observable(struct snpu_nirdata *d, uint64_t address, const char *node, const char *name)
{
	struct entry *e = add_entry(d);
	struct snpu_event_reader *r = NULL;
	struct h5x_dir dir = { 0 };
	char type[H5X_NAME];
	int err = e ? h5x_attr_string(&d->x, address, "__type__", type) : snpu_fail(-E2BIG, "no memory, or more than %d observables in a file", OBSERVABLES);

	if (err == 0)
		err = snpu_fail(-EBADMSG, "observable '%s' has no __type__; check the program that wrote the file", name);
	if (err < 0)
		return err;
	e->node = strdup(node);
	e->name = strdup(name);
	e->type = !strcmp(type, "TimeGriddedData") ? SNPU_NIRDATA_GRID : !strcmp(type, "ValuedEventData") ? SNPU_NIRDATA_VALUED : SNPU_NIRDATA_EVENTS;
	err = e->node && e->name ? h5x_dir_read(&d->x, address, name, &dir) : snpu_fail(-ENOMEM, "no memory for names");
	if (!err && e->type == SNPU_NIRDATA_EVENTS && strcmp(type, "EventData"))
		err = snpu_fail(-ENOTSUP, "observable '%s' is a %s; TimeGriddedData, EventData and ValuedEventData are read", name, type);
	if (!err && e->type == SNPU_NIRDATA_GRID) {
		err = read_grid(&d->x, address, &dir, e);
	} else if (!err) {
		err = snpu_event_reader_create(NULL, &r);
		if (!err)
			err = read_events(&d->x, address, &dir, e->type == SNPU_NIRDATA_VALUED, r);
		if (!err)
			err = take_events(r, &e->events);
		snpu_event_reader_free(r);
	}
	h5x_dir_free(&dir);
	return err ? snpu_fail_in(err, "node '%s'", node) : 0;
}

static int read_graph(struct snpu_nirdata *d, uint64_t address, const char *prefix, unsigned depth);

static int read_node(struct snpu_nirdata *d, uint64_t address, const char *node, unsigned depth)
{
	struct h5x_dir dir = { 0 }, obs = { 0 };
	uint64_t at;
	int err;

	if (is_type(&d->x, address, "NIRGraphData"))
		return read_graph(d, address, node, depth + 1);
	if (!is_type(&d->x, address, "NIRNodeData"))
		return snpu_fail(-EBADMSG, "node '%s' is neither NIRNodeData nor NIRGraphData; check the program that wrote the file", node);
	err = h5x_dir_read(&d->x, address, node, &dir);
	if (!err)
		err = h5x_dir_find(&dir, "observables", &at);
	if (err == 1)
		err = h5x_dir_read(&d->x, at, "observables", &obs);
	for (unsigned i = 0; i < obs.n && !err; i++)
		err = obs.link[i].hard ? read_observable(d, obs.link[i].address, node, obs.link[i].name) : h5x_damaged("a link to another place");
	h5x_dir_free(&dir);
	h5x_dir_free(&obs);
	return err;
}

static int read_graph(struct snpu_nirdata *d, uint64_t address, const char *prefix, unsigned depth)
{
	struct h5x_dir dir = { 0 }, nodes = { 0 };
	uint64_t at;
	int err = depth > DEPTH ? snpu_fail(-E2BIG, "graphs are nested more than %d deep; the file is damaged", DEPTH) : h5x_dir_read(&d->x, address, "graph", &dir);

	if (!err)
		err = h5x_dir_find(&dir, "nodes", &at);
	if (err == 1)
		err = h5x_dir_read(&d->x, at, "nodes", &nodes);
	for (unsigned i = 0; i < nodes.n && !err; i++) {
		char *name = NULL;

		if (asprintf(&name, "%s%s%s", prefix, prefix[0] ? "/" : "", nodes.link[i].name) < 0)
			name = NULL;
		err = !name ? snpu_fail(-ENOMEM, "no memory for names") : nodes.link[i].hard ? read_node(d, nodes.link[i].address, name, depth)
											      : h5x_damaged("a link to another place");
		free(name);
	}
	h5x_dir_free(&dir);
	h5x_dir_free(&nodes);
	return err;
}

int snpu_nirdata_parse(const void *mem, size_t size, struct snpu_nirdata **out)
{
	struct snpu_nirdata *d = calloc(1, sizeof(*d));
	int err = d ? h5x_open(&d->x, mem, size) : snpu_fail(-ENOMEM, "no memory for a NIRGraphData file");

	if (!err && !is_type(&d->x, d->x.root, "NIRGraphData"))
		err = snpu_fail(-EBADMSG, "the HDF5 file is no NIRGraphData: its root has another __type__, or none");
	if (!err)
		err = read_graph(d, d->x.root, "", 0);
	if (err)
		snpu_nirdata_free(d);
	else
		*out = d;
	return err;
}

unsigned snpu_nirdata_count(const struct snpu_nirdata *d)
{
	return d->n;
}

int snpu_nirdata_get(const struct snpu_nirdata *d, unsigned index, struct snpu_observable *out)
{
	const struct entry *e;

	if (index >= d->n)
		return snpu_fail(-ERANGE, "observable %u does not exist, there are %u", index, d->n);
	e = &d->entry[index];
	*out = (struct snpu_observable){ e->node, e->name, e->type, e->dt, e->type == SNPU_NIRDATA_GRID ? &e->array : NULL, e->events };
	return 0;
}

void snpu_nirdata_free(struct snpu_nirdata *d)
{
	if (!d)
		return;
	for (unsigned i = 0; i < d->n; i++) {
		free(d->entry[i].node);
		free(d->entry[i].name);
		snpu_array_free(&d->entry[i].array);
		snpu_events_free(d->entry[i].events);
	}
	free(d->entry);
	free(d);
}

/* The events of one node as an event file: the node that was named, or the only one with events. */
int snpu_nirdata_events(struct snpu_event_reader *r, const void *mem, size_t size)
{
	struct snpu_nirdata *d;
	struct entry *found = NULL;
	unsigned n = 0;
	int err;

	if (r->opts.first || r->opts.last)
		return snpu_fail(-EINVAL, "samples of a NIRGraphData file cannot be chosen while reading; read all of them");
	err = snpu_nirdata_parse(mem, size, &d);
	if (err)
		return err;
	for (unsigned i = 0; i < d->n; i++)
		if (d->entry[i].events && (!r->opts.node || !strcmp(r->opts.node, d->entry[i].node))) {
			found = &d->entry[i];
			n++;
		}
	if (n == 1) {
		free(r->ev.first);
		r->ev = *found->events;
		free(found->events);
		found->events = NULL;
	} else {
		err = snpu_fail(-EINVAL, "%u of the file's %u observables are events%s%s, and one is needed; name its node", n, d->n, r->opts.node ? " of node " : "",
				r->opts.node ? r->opts.node : "");
	}
	snpu_nirdata_free(d);
	return err;
}
