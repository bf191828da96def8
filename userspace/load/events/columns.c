/* SPDX-License-Identifier: MIT */
/*
 * Events in NumPy files: records with fields t, x, y, p (a structured array), columns of one array, or arrays of these names in a
 * .npz. Whole numbers are microseconds, floating-point times are seconds.
 */
#include "load/events/events.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "load/npz.h"

enum { T, X, Y, P, COLUMNS };

struct column {
	const uint8_t *data;			/* NULL: there is none */
	uint64_t stride;			/* bytes from event to event */
	char kind;				/* 'i', 'u', 'f', 'b' */
	unsigned bytes;
};

struct table {
	struct column c[COLUMNS];
	uint64_t events;
};

static int column_of(const char *name, size_t len)
{
	static const struct { const char *name; int column; } names[] = {
		{ "t", T }, { "ts", T }, { "time", T }, { "timestamp", T }, { "timestamps", T }, { "times", T }, { "x", X }, { "units", X }, { "channel", X },
		{ "idx", X }, { "y", Y }, { "p", P }, { "pol", P }, { "polarity", P },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i].name) == len && !memcmp(names[i].name, name, len))
			return names[i].column;
	return -1;
}

static double number(const struct column *c, uint64_t i)
{
	const uint8_t *p = c->data + i * c->stride;
	uint64_t v = events_le(p, c->bytes < 8 ? c->bytes : 8);
	unsigned shift = 64 - 8 * c->bytes;
	float f32;
	double f64;

	if (c->kind == 'f' && c->bytes == 4) {
		memcpy(&f32, p, 4);
		return f32;
	}
	if (c->kind == 'f') {
		memcpy(&f64, p, 8);
		return f64;
	}
	return c->kind == 'i' ? (double)((int64_t)(v << shift) >> shift) : (double)v;
}

static int read_table(struct snpu_event_reader *r, const struct table *t)
{
	int err = 0;

	if (!t->c[T].data || !t->c[X].data)
		return snpu_fail(-EINVAL, "the NumPy file has no column t, or none x; name them so, see docs/events.md");
	r->ev.polarities = t->c[P].data ? 2 : 1;
	err = snpu_event_sample(r);
	for (uint64_t i = 0; i < t->events && !err; i++) {
		double time = number(&t->c[T], i) * (t->c[T].kind == 'f' ? 1e6 : 1), x = number(&t->c[X], i), y = t->c[Y].data ? number(&t->c[Y], i) : 0,
		       p = t->c[P].data ? number(&t->c[P], i) : 0;

		/* Some write darker as -1. */
		if (fabs(time) < 9e18 && x >= 0 && x < 4e9 && y >= 0 && y < 65536 && (p == 0 || p == 1 || p == -1))
			err = snpu_event_add(r, llrint(time), (uint64_t)x, (uint64_t)y, p > 0, 1);
		else
			r->ev.out_of_range++;
	}
	return err;
}

/* --- records ------------------------------------------------------------------------------------------------------ */

/* ('name', '<i8') at *text; moves it on. */
static int next_field(const char **text, struct table *t, const uint8_t *data, uint64_t *offset)
{
	const char *p = *text + strspn(*text, " ,"), *name, *type;
	struct column c = { 0 };
	size_t len;
	int k;

	if (p[0] != '(' || p[1] != '\'')
		return -EBADMSG;
	name = p + 2;
	len = strcspn(name, "'");
	if (name[len] != '\'' || strncmp(name + len, "', '", 4))
		return -EBADMSG;
	type = name + len + 4;
	if (!strchr("<|", type[0]) || !strchr("iufb", type[1]) || !type[0] || !type[1] || !strchr("1248", type[2]) || !type[2] || strncmp(type + 3, "')", 2))
		return -EBADMSG;
	c = (struct column){ .data = data + *offset, .kind = type[1], .bytes = (unsigned)(type[2] - '0') };
	if (c.kind == 'f' && c.bytes < 4)
		return -EBADMSG;
	k = column_of(name, len);
	if (k >= 0)
		t->c[k] = c;
	*offset += c.bytes;
	*text = type + 5;
	return 0;
}

/* 1: it was an array of records; 0: it is none. */
static int parse_records(struct snpu_event_reader *r, const uint8_t *mem, size_t size)
{
	size_t at = size >= 12 && mem[6] > 1 ? 12 : 10, len = size < 12 ? 0 : mem[6] > 1 ? events_le(mem + 8, 4) : events_le(mem + 8, 2);
	struct table t = { 0 };
	const char *p, *shape;
	char text[4096];
	uint64_t record = 0, bytes;

	if (!snpu_range_ok(at, len, size) || len >= sizeof(text))
		return 0;
	memcpy(text, mem + at, len);
	text[len] = 0;
	p = strstr(text, "'descr': [");
	shape = strstr(text, "'shape': (");
	if (!p || !shape)
		return 0;
	for (p += 10; *p && *p != ']';)
		if (next_field(&p, &t, mem + at + len, &record))
			return snpu_fail(-ENOTSUP, "the records of the NumPy file have fields that are no little-endian numbers; store t, x, y, p as such");
	t.events = strtoull(shape + 10, NULL, 10);
	if (!record || !snpu_mul(t.events, record, &bytes) || bytes > size - at - len)
		return snpu_fail(-EBADMSG, "the NumPy file claims %llu records and has bytes for fewer; it is cut off, copy it again", (unsigned long long)t.events);
	for (int k = 0; k < COLUMNS; k++)
		t.c[k].stride = record;
	int err = read_table(r, &t);

	return err ? err : 1;
}

/* --- arrays ------------------------------------------------------------------------------------------------------- */

static void set_column(struct column *c, const struct snpu_array *a, uint64_t offset, uint64_t stride)
{
	static const char kinds[SNPU_DTYPE_COUNT] = "buiuiuiuiff";

	*c = (struct column){ (const uint8_t *)a->data + offset, stride, kinds[a->dtype], (unsigned)snpu_dtype_size(a->dtype) };
}

/* [events][2]: t, x; [events][3]: t, x, p of a row of channels; [events][4]: t, x, y, p. */
static int read_columns(struct snpu_event_reader *r, const struct snpu_array *a)
{
	static const int order[5][4] = { [2] = { T, X }, [3] = { T, X, P }, [4] = { T, X, Y, P } };
	size_t each = snpu_dtype_size(a->dtype);
	struct table t = { 0 };

	if (a->rank != 2 || a->shape[1] < 2 || a->shape[1] > 4)
		return snpu_fail(-EINVAL, "the NumPy array has %u axes%s; events are records t, x, y, p, or an array of 2 to 4 such columns", a->rank,
				 a->rank == 2 ? " and another number of columns" : "");
	t.events = a->shape[0];
	for (uint64_t k = 0; k < a->shape[1]; k++)
		set_column(&t.c[order[a->shape[1]][k]], a, k * each, each * a->shape[1]);
	return read_table(r, &t);
}

static int parse_npy(struct snpu_event_reader *r, const void *mem, size_t size)
{
	struct snpu_array a = { 0 };
	int err = parse_records(r, mem, size);

	if (err)
		return err < 0 ? err : 0;
	err = snpu_npy_parse(mem, size, &a);
	if (!err)
		err = read_columns(r, &a);
	snpu_array_free(&a);
	return err;
}

/* Arrays t, x, y, p of one length; others are not looked at. */
static int read_arrays(struct snpu_event_reader *r, struct snpu_npz *z, struct snpu_array a[COLUMNS])
{
	struct table t = { 0 };
	bool any = false;
	int err = 0;

	for (unsigned i = 0; i < snpu_npz_count(z) && !err; i++) {
		const char *name = snpu_npz_name(z, i);
		int k = column_of(name, strlen(name));

		if (k < 0 || a[k].data)
			continue;
		err = snpu_npz_read(z, name, &a[k]);
		if (!err && (a[k].rank != 1 || (any && a[k].count != t.events)))
			err = snpu_fail(-EINVAL, "array '%s' of the .npz file has %llu elements, the one before it %llu; columns of events are as long as each other", name,
					(unsigned long long)a[k].count, (unsigned long long)t.events);
		if (err)
			break;
		any = true;
		t.events = a[k].count;
		set_column(&t.c[k], &a[k], 0, snpu_dtype_size(a[k].dtype));
	}
	return err ? err : read_table(r, &t);
}

/* The only array of an archive, when it is none of the names. */
static int read_single(struct snpu_event_reader *r, struct snpu_npz *z)
{
	const char *name = snpu_npz_name(z, 0);
	size_t size;
	void *mem;
	int err = snpu_npz_bytes(z, name, &mem, &size);

	if (err)
		return err;
	err = parse_npy(r, mem, size);
	free(mem);
	return err;
}

int snpu_columns_parse(struct snpu_event_reader *r, const void *mem, size_t size)
{
	struct snpu_array a[COLUMNS] = { { 0 } };
	struct snpu_npz *z;
	int err;

	if (r->opts.first || r->opts.last > 1)
		return snpu_fail(-EINVAL, "a NumPy file of events is one sample, and others were asked for; take sample 0");
	if (size >= 6 && !memcmp(mem, "\x93NUMPY", 6))
		return parse_npy(r, mem, size);
	err = snpu_npz_open(mem, size, &z);
	if (err)
		return err;
	if (snpu_npz_count(z) == 1 && column_of(snpu_npz_name(z, 0), strlen(snpu_npz_name(z, 0))) < 0)
		err = read_single(r, z);
	else
		err = read_arrays(r, z, a);
	for (int k = 0; k < COLUMNS; k++)
		snpu_array_free(&a[k]);
	snpu_npz_close(z);
	return err;
}
