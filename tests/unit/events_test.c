/* SPDX-License-Identifier: MIT */
/*
 * Event files: real recordings of N-MNIST, and files of all other formats that tests/unit/events_make.py wrote, against what is in them;
 * whole and in pieces of any size; damaged ones; time steps. EVENTS_DIR is where the written files are.
 */
#include <math.h>

#include "file_rig.h"
#include "snpu/snpu_events.h"

#define NMNIST	"tests/data/nir/nmnist/"
#define IN(f_)	EVENTS_DIR "/" f_

static struct snpu_events *opened(const char *path, struct snpu_events_opts o)
{
	struct snpu_events *ev = NULL;

	o.sz = sizeof(o);
	if (snpu_events_open(path, &o, &ev))
		TH_FAILMSG("%s: %s", path, snpu_last_error());
	return ev;
}

/* The error of opening it. */
static int refused(const char *path, struct snpu_events_opts o)
{
	struct snpu_events *ev = NULL;
	int err;

	o.sz = sizeof(o);
	err = snpu_events_open(path, &o, &ev);
	if (!err)
		snpu_events_free(ev);
	return err;
}

/* Arrays t, x, y, p of a .npz; the values of column `name`, NULL when there is none. */
static int64_t *column(const char *path, const char *name, uint64_t *n)
{
	struct snpu_array a;
	int64_t *v;

	if (!rig_npz(path, name, &a))
		return NULL;
	v = calloc(a.count + 1, sizeof(*v));
	for (uint64_t i = 0; i < a.count; i++)
		v[i] = a.dtype == SNPU_I64 ? ((int64_t *)a.data)[i] : ((uint8_t *)a.data)[i];
	*n = a.count;
	snpu_array_free(&a);
	return v;
}

/* Are these events, from `from` on, those of the arrays? */
static void expect_events(const struct snpu_event *e, uint64_t count, const char *npz, uint64_t from)
{
	static const char *const names[] = { "t", "x", "y", "p" };

	for (int k = 0; k < 4; k++) {
		uint64_t n = 0, bad = 0;
		int64_t *want = column(npz, names[k], &n);

		ASSERT_TRUE(want);
		ASSERT_LE(from + count, n);
		for (uint64_t i = 0; i < count; i++)
			bad += want[from + i] != (k == 0 ? e[i].t : k == 1 ? e[i].x : k == 2 ? e[i].y : e[i].p);
		if (bad)
			TH_FAILMSG("%s: %llu of %llu %s differ", npz, (unsigned long long)bad, (unsigned long long)count, names[k]);
		free(want);
	}
}

struct file {
	const char *name;
	enum snpu_events_format format;
	uint64_t count, out_of_range, out_of_order, untimed, other;
	uint32_t width, height;
	bool named;				/* the format is told by name or option only */
};

static const struct file files[] = {
	{ "overflow.bin", SNPU_EVENTS_NMNIST, 4, 0, 0, 0, 2, 34, 34, true },	/* 40 is not on the sensor: out_of_range is set below */
	{ "a.aedat3", SNPU_EVENTS_AEDAT3, 501, 0, 0, 0, 5, 240, 180, false },
	{ "plain.aedat4", SNPU_EVENTS_AEDAT4, 3000, 0, 0, 0, 3, 346, 260, false },
	{ "lz4.aedat4", SNPU_EVENTS_AEDAT4, 3000, 0, 0, 0, 3, 346, 260, false },
	{ "zstd.aedat4", SNPU_EVENTS_AEDAT4, 3000, 0, 0, 0, 3, 346, 260, false },
	{ "stream.aedat4", SNPU_EVENTS_AEDAT4, 50, 0, 0, 0, 0, 346, 260, false },
	{ "evt2.raw", SNPU_EVENTS_EVT2, 2000, 0, 0, 1, 1, 1280, 720, false },
	{ "old.raw", SNPU_EVENTS_EVT2, 1, 0, 0, 0, 0, 640, 480, false },
	{ "evt21.raw", SNPU_EVENTS_EVT21, 0, 0, 0, 0, 3, 1280, 720, false },
	{ "legacy.raw", SNPU_EVENTS_EVT21, 0, 0, 0, 0, 3, 1280, 720, false },
	{ "evt3.raw", SNPU_EVENTS_EVT3, 0, 0, 0, 1, 3, 1280, 720, false },
	{ "a.dat", SNPU_EVENTS_DAT, 2000, 0, 0, 0, 0, 1280, 720, false },
};

static void expect_file(const struct file *f, const struct snpu_events *ev)
{
	char npz[256];
	uint64_t n = 0;
	int64_t *t;

	snprintf(npz, sizeof(npz), "%s/%s.npz", EVENTS_DIR, f->name);
	t = column(npz, "t", &n);
	free(t);
	EXPECT_EQ(ev->format, f->format);
	EXPECT_EQ(ev->count, n);
	EXPECT_TRUE(!f->count || f->count == n);
	EXPECT_EQ(ev->samples, 1);
	EXPECT_EQ(ev->first[1], ev->count);
	EXPECT_EQ(ev->width, f->width);
	EXPECT_EQ(ev->height, f->height);
	EXPECT_TRUE(ev->sized);
	EXPECT_EQ(ev->polarities, 2);
	EXPECT_EQ(ev->out_of_range, f->format == SNPU_EVENTS_NMNIST);
	EXPECT_EQ(ev->out_of_order, f->out_of_order);
	EXPECT_EQ(ev->untimed, f->untimed);
	EXPECT_EQ(ev->other, f->other);
	expect_events(ev->event, ev->count, npz, 0);
}

TEST(every_format)
{
	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char path[256];
		struct snpu_events *ev;

		snprintf(path, sizeof(path), "%s/%s", EVENTS_DIR, files[i].name);
		printf("# %s\n", path);
		ev = opened(path, (struct snpu_events_opts){ 0 });
		ASSERT_TRUE(ev);
		expect_file(&files[i], ev);
		snpu_events_free(ev);
	}
}

/* The same through the reader for streams, in pieces of 1, 3, 7, ... bytes, forgetting what was seen. */
TEST(in_pieces)
{
	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		for (size_t piece = 1; piece < 5000; piece = piece * 3 + 1) {
			struct snpu_events_opts o = { .sz = sizeof(o), .format = files[i].named ? files[i].format : SNPU_EVENTS_AUTO };
			struct snpu_event_reader *r;
			char path[256], npz[264];
			uint64_t seen = 0;
			size_t size;
			uint8_t *mem;

			snprintf(path, sizeof(path), "%s/%s", EVENTS_DIR, files[i].name);
			snprintf(npz, sizeof(npz), "%s.npz", path);
			mem = rig_read(path, &size);
			ASSERT_TRUE(mem);
			ASSERT_EQ(snpu_event_reader_create(&o, &r), 0);
			for (size_t at = 0; at < size; at += piece) {
				const struct snpu_events *ev = snpu_event_reader_events(r);

				if (snpu_event_reader_push(r, mem + at, piece < size - at ? piece : size - at)) {
					TH_FAILMSG("%s: %s", path, snpu_last_error());
					return;
				}
				if (ev->count > 10 || at + piece >= size) {
					if (piece > 100 || at + piece >= size)
						expect_events(ev->event, ev->count, npz, seen);
					seen += ev->count;
					snpu_event_reader_forget(r, ev->count);
				}
			}
			EXPECT_EQ(snpu_event_reader_finish(r), 0);
			seen += snpu_event_reader_events(r)->count;
			EXPECT_TRUE(!files[i].count || seen == files[i].count);
			EXPECT_EQ(snpu_event_reader_events(r)->other, files[i].other);
			snpu_event_reader_free(r);
			free(mem);
		}
}

/* Every file cut off somewhere: an error, or the events before the cut. */
TEST(cut_off)
{
	unsigned errors = 0;

	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct snpu_events_opts o = { .sz = sizeof(o), .format = files[i].named ? files[i].format : SNPU_EVENTS_AUTO };
		char path[256];
		size_t size;
		uint8_t *mem;

		snprintf(path, sizeof(path), "%s/%s", EVENTS_DIR, files[i].name);
		mem = rig_read(path, &size);
		for (size_t n = 0; n < size; n += 1 + n / 16) {
			struct snpu_events *ev;
			int err = snpu_events_parse(mem, n, &o, &ev);

			errors += err != 0;
			if (!err)
				snpu_events_free(ev);
		}
		free(mem);
	}
	EXPECT_GT(errors, 200);
	EXPECT_EQ(refused(IN("old.raw"), (struct snpu_events_opts){ .format = SNPU_EVENTS_NMNIST }), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "cut off");
}

TEST(words_without_a_header)
{
	struct snpu_events *ev = opened(IN("words.evt3"), (struct snpu_events_opts){ .format = SNPU_EVENTS_EVT3 });

	ASSERT_TRUE(ev);
	EXPECT_FALSE(ev->sized);
	EXPECT_LE(ev->width, 1280);
	EXPECT_GT(ev->width, 1200);
	expect_events(ev->event, ev->count, IN("words.evt3.npz"), 0);
	snpu_events_free(ev);
	EXPECT_EQ(refused(IN("words.evt3"), (struct snpu_events_opts){ 0 }), -ENOENT);
	EXPECT_CONTAINS(snpu_last_error(), "--input-format");
	ev = opened(IN("a.aedat3.header"), (struct snpu_events_opts){ 0 });
	EXPECT_EQ(ev->count, 0);
	snpu_events_free(ev);
	EXPECT_EQ(refused(IN("trigger.dat"), (struct snpu_events_opts){ 0 }), -ENOTSUP);
}

/* A smaller sensor than the file's: what is not on it is counted. */
TEST(sensor_of_the_caller)
{
	struct snpu_events *all = opened(IN("evt2.raw"), (struct snpu_events_opts){ 0 }), *some = opened(IN("evt2.raw"), (struct snpu_events_opts){ .width = 640, .height = 480 });

	EXPECT_EQ(some->width, 640);
	EXPECT_EQ(some->count + some->out_of_range, all->count);
	EXPECT_GT(some->out_of_range, 1000);
	snpu_events_free(all);
	snpu_events_free(some);
	EXPECT_EQ(refused(IN("evt2.raw"), (struct snpu_events_opts){ .width = 640 }), -EINVAL);
	EXPECT_EQ(refused(IN("evt2.raw"), (struct snpu_events_opts){ .first = 1, .last = 2 }), -EINVAL);
	EXPECT_EQ(refused(IN("no-such-file"), (struct snpu_events_opts){ 0 }), -ENOENT);
	EXPECT_EQ(refused("tests", (struct snpu_events_opts){ 0 }), -EINVAL);
}

TEST(names_of_formats)
{
	EXPECT_STREQ(snpu_events_format_name(SNPU_EVENTS_EVT21), "evt21");
	EXPECT_STREQ(snpu_events_format_name(SNPU_EVENTS_AUTO), "auto");
	EXPECT_EQ(snpu_events_format_name(SNPU_EVENTS_FORMAT_COUNT), NULL);
	EXPECT_EQ(snpu_events_format_of("#!AER-DAT4.0\r\n", 14), SNPU_EVENTS_AEDAT4);
	EXPECT_EQ(snpu_events_format_of("", 0), -ENOENT);
}

/* Numbers that claim more than there is, or than anybody has memory for. */
TEST(claims)
{
	static const char head[] = "#!AER-DAT3.1\r\n#!END-HEADER\r\n";
	struct snpu_events_opts o = { .sz = sizeof(o) };
	struct snpu_events *ev;
	uint8_t p[256] = { 0 };
	size_t n = sizeof(head) - 1, size;
	uint8_t *mem;

	EXPECT_EQ(refused(IN("bomb.aedat4"), (struct snpu_events_opts){ 0 }), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "compression of a packet");
	/* AEDAT 3.1: a packet of 2^32 - 1 events, then one of more events than its capacity. */
	memcpy(p, head, n);
	p[n] = 1;
	p[n + 4] = 8;
	p[n + 8] = 4;
	memset(p + n + 16, 0xff, 8);
	EXPECT_EQ(snpu_events_parse(p, sizeof(p), &o, &ev), -EBADMSG);
	memset(p + n + 16, 0, 4);
	EXPECT_EQ(snpu_events_parse(p, sizeof(p), &o, &ev), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "header of a packet");
	/* AEDAT 4: the size of the header, then of a packet. */
	mem = rig_read(IN("stream.aedat4"), &size);
	n = 18 + (mem[14] | (size_t)mem[15] << 8);
	memset(mem + n + 4, 0xff, 4);
	EXPECT_EQ(snpu_events_parse(mem, size, &o, &ev), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "size of a packet");
	memset(mem + 14, 0xff, 4);
	EXPECT_EQ(snpu_events_parse(mem, size, &o, &ev), -EBADMSG);
	free(mem);
	/* NumPy: more records than bytes. */
	mem = rig_read(IN("records.npy"), &size);
	memcpy(memmem(mem, size, "(100,)", 6), "(999,)", 6);
	EXPECT_EQ(snpu_events_parse(mem, size, &o, &ev), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "claims 999 records");
	free(mem);
	/* A header of text without an end. */
	mem = malloc(3 << 20);
	memset(mem, 'x', 3 << 20);
	memcpy(mem, "% evt 3.0", 9);
	o.format = SNPU_EVENTS_EVT3;
	EXPECT_EQ(snpu_events_parse(mem, 3 << 20, &o, &ev), -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "header without end");
	free(mem);
}

TEST(options_of_the_future)
{
	struct snpu_events_opts o = { .sz = sizeof(o) + 8 };
	struct snpu_bin_opts b = { .sz = sizeof(b) + 8, .dt = 1 };
	struct snpu_event_reader *r;
	struct snpu_events *ev;
	struct snpu_bins bins;

	EXPECT_EQ(snpu_event_reader_create(&o, &r), -EINVAL);
	EXPECT_EQ(snpu_events_parse("", 0, &o, &ev), -EINVAL);
	o = (struct snpu_events_opts){ .sz = sizeof(o), .format = SNPU_EVENTS_FORMAT_COUNT };
	EXPECT_EQ(snpu_events_parse("", 0, &o, &ev), -EINVAL);
	ev = opened(IN("old.raw"), (struct snpu_events_opts){ 0 });
	EXPECT_EQ(snpu_events_bins(ev, &b, &bins), -EINVAL);
	EXPECT_EQ(snpu_events_bins(ev, NULL, &bins), -EINVAL);
	snpu_events_free(ev);
}

/* --- HDF5 and NumPy ----------------------------------------------------------------------------------------------- */

TEST(hdf5_of_shd)
{
	struct snpu_events *ev = opened(IN("shd.h5"), (struct snpu_events_opts){ 0 }), *two;
	uint64_t n = 0, bad = 0, s = 0;
	int64_t *sample = column(IN("shd.h5.npz"), "s", &n), *t = column(IN("shd.h5.npz"), "t", &n), *x = column(IN("shd.h5.npz"), "x", &n), *labels;

	ASSERT_TRUE(ev && sample && t && x);
	EXPECT_EQ(ev->format, SNPU_EVENTS_HDF5);
	EXPECT_EQ(ev->samples, 6);
	EXPECT_EQ(ev->count, n);
	EXPECT_EQ(ev->width, 700);
	EXPECT_EQ(ev->height, 1);
	EXPECT_EQ(ev->polarities, 1);
	for (uint64_t i = 0; i < n; i++) {
		while (i >= ev->first[s + 1])
			s++;
		bad += ev->event[i].t != t[i] || ev->event[i].x != (uint64_t)x[i] || (uint64_t)sample[i] != s;
	}
	EXPECT_EQ(bad, 0);
	labels = column(IN("shd.h5.npz"), "labels", &n);
	EXPECT_EQ(memcmp(ev->labels, labels, 6 * sizeof(*labels)), 0);
	two = opened(IN("shd.h5"), (struct snpu_events_opts){ .first = 2, .last = 4 });
	EXPECT_EQ(two->samples, 2);
	EXPECT_EQ(two->count, 305);
	EXPECT_EQ(two->labels[0], 4);
	EXPECT_EQ(two->event[300].t, ev->event[ev->first[3]].t);
	EXPECT_EQ(refused(IN("shd.h5"), (struct snpu_events_opts){ .first = 5, .last = 9 }), -EINVAL);
	EXPECT_EQ(refused(IN("shd.h5"), (struct snpu_events_opts){ .first = 6 }), -EINVAL);
	snpu_events_free(two);
	snpu_events_free(ev);
	ev = opened(IN("plain.h5"), (struct snpu_events_opts){ 0 });
	EXPECT_EQ(ev->samples, 2);
	EXPECT_EQ(ev->count, 2);
	EXPECT_EQ(ev->event[0].t, 500000);
	EXPECT_EQ(ev->event[1].t, 250000);
	EXPECT_EQ(ev->out_of_order, 1);
	EXPECT_EQ(ev->out_of_range, 1);
	EXPECT_EQ(ev->width, 10);
	EXPECT_FALSE(ev->sized);
	EXPECT_EQ(ev->labels, NULL);
	snpu_events_free(ev);
	EXPECT_EQ(refused(IN("other.h5"), (struct snpu_events_opts){ 0 }), -ENOENT);
	EXPECT_EQ(refused(IN("other.h5"), (struct snpu_events_opts){ .format = SNPU_EVENTS_HDF5 }), -EINVAL);
	free(sample);
	free(t);
	free(x);
	free(labels);
}

TEST(numpy_in_every_form)
{
	static const char *const names[] = { IN("records.npy"), IN("records.npz"), IN("columns.npy"), IN("seconds.npy"), IN("arrays.npz") };

	for (int i = 0; i < 5; i++) {
		struct snpu_events *ev = opened(names[i], (struct snpu_events_opts){ 0 });

		ASSERT_TRUE(ev);
		EXPECT_EQ(ev->format, SNPU_EVENTS_NUMPY);
		EXPECT_EQ(ev->count, 100);
		EXPECT_EQ(ev->out_of_range, 0);
		EXPECT_EQ(ev->polarities, 2);
		expect_events(ev->event, ev->count, IN("numpy.expected.npz"), 0);
		snpu_events_free(ev);
	}
	EXPECT_EQ(refused(IN("uneven.npz"), (struct snpu_events_opts){ 0 }), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "as long as each other");
	EXPECT_EQ(refused(IN("empty.npz"), (struct snpu_events_opts){ 0 }), -EINVAL);
	EXPECT_EQ(refused(NMNIST "expected.npz", (struct snpu_events_opts){ 0 }), -EINVAL);
}

/* --- NIRGraphData ------------------------------------------------------------------------------------------------- */

static struct snpu_nirdata *nirdata(const char *path)
{
	struct snpu_nirdata *d = NULL;
	size_t size;
	void *mem = rig_read(path, &size);

	if (!mem || snpu_nirdata_parse(mem, size, &d))
		TH_FAILMSG("%s: %s", path, snpu_last_error());
	free(mem);
	return d;
}

static void expect_grid(const struct snpu_array *a, const char *name)
{
	struct snpu_array want;
	float *w;

	ASSERT_TRUE(rig_npz(IN("nirdata.expected.npz"), name, &want));
	w = rig_f32(&want);
	EXPECT_EQ(a->rank, 3);
	EXPECT_EQ(a->count, want.count);
	EXPECT_EQ(memcmp(a->data, w, want.count * 4), 0);
	free(w);
	snpu_array_free(&want);
}

/* The same four observables, whoever wrote them. */
static void expect_nirdata(const struct snpu_nirdata *d)
{
	struct snpu_bin_opts b = { .sz = sizeof(b), .dt = 1e-3 };
	struct snpu_observable o;
	struct snpu_array a;

	ASSERT_EQ(snpu_nirdata_count(d), 4);
	ASSERT_EQ(snpu_nirdata_get(d, 0, &o), 0);
	EXPECT_STREQ(o.node, "input");
	EXPECT_EQ(o.type, SNPU_NIRDATA_EVENTS);
	EXPECT_EQ(o.events->width, 3);
	EXPECT_EQ(o.events->duration, 8000);
	EXPECT_TRUE(o.events->step_ends);
	/* Events on the boundaries of steps come back into the step they were made from. */
	ASSERT_EQ(snpu_events_bin(o.events, &b, &a, NULL), 0);
	expect_grid(&a, "grid");
	snpu_array_free(&a);
	ASSERT_EQ(snpu_nirdata_get(d, 1, &o), 0);
	EXPECT_STREQ(o.node, "lif1");
	EXPECT_STREQ(o.name, "spikes");
	EXPECT_EQ(o.type, SNPU_NIRDATA_GRID);
	EXPECT_TRUE(o.dt == 1e-3);
	expect_grid(o.array, "grid");
	ASSERT_EQ(snpu_nirdata_get(d, 2, &o), 0);
	EXPECT_STREQ(o.name, "voltages");
	expect_grid(o.array, "volts");
	ASSERT_EQ(snpu_nirdata_get(d, 3, &o), 0);
	EXPECT_STREQ(o.node, "sub/lif");
	EXPECT_EQ(o.type, SNPU_NIRDATA_VALUED);
	EXPECT_EQ(o.events->count, 2);
	EXPECT_TRUE(o.events->event[0].value == 2.5f && o.events->event[1].value == -1);
	ASSERT_EQ(snpu_events_bin(o.events, &b, &a, NULL), 0);
	EXPECT_EQ(a.shape[1], 8);
	EXPECT_TRUE(((float *)a.data)[1 * 3 + 2] == 2.5f && ((float *)a.data)[3 * 3 + 0] == -1);
	snpu_array_free(&a);
	EXPECT_EQ(snpu_nirdata_get(d, 4, &o), -ERANGE);
}

TEST(nirdata_there_and_back)
{
	struct snpu_nirdata *d = nirdata(IN("nirdata.h5")), *again;
	struct snpu_observable list[4];
	struct snpu_events *ev;
	const char *path = IN("written.h5");

	ASSERT_TRUE(d);
	expect_nirdata(d);
	for (unsigned i = 0; i < 4; i++)
		ASSERT_EQ(snpu_nirdata_get(d, 3 - i, &list[i]), 0);
	ASSERT_EQ(snpu_nirdata_write(path, list, 4), 0);
	again = nirdata(path);
	ASSERT_TRUE(again);
	expect_nirdata(again);
	/* h5py reads it, too: as nir 1.0.7 does. */
	EXPECT_EQ(system("/usr/bin/python3 tests/unit/events_check.py " EVENTS_DIR " written.h5"), 0);
	snpu_nirdata_free(again);
	/* As an event file there is one node too many. */
	EXPECT_EQ(refused(path, (struct snpu_events_opts){ 0 }), -EINVAL);
	ev = opened(path, (struct snpu_events_opts){ .node = "input" });
	EXPECT_EQ(ev->format, SNPU_EVENTS_NIRDATA);
	EXPECT_EQ(ev->samples, 2);
	snpu_events_free(ev);
	snpu_nirdata_free(d);
}

TEST(nirdata_that_cannot_be_written)
{
	float v[6] = { 0 };
	struct snpu_array a = { SNPU_F32, 3, { 1, 2, 3 }, 6, v };
	struct snpu_observable list[2] = { { "a", "spikes", SNPU_NIRDATA_GRID, 1e-3, &a, NULL }, { "a", "spikes", SNPU_NIRDATA_GRID, 1e-3, &a, NULL } };
	struct snpu_nirdata *d;

	EXPECT_EQ(snpu_nirdata_write(IN("bad.h5"), list, 2), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "twice");
	list[1].node = "a/b";
	EXPECT_EQ(snpu_nirdata_write(IN("bad.h5"), list, 2), -EINVAL);
	list[1].node = "b";
	list[1].name = "";
	EXPECT_EQ(snpu_nirdata_write(IN("bad.h5"), list, 2), -EINVAL);
	list[1].name = "v";
	list[1].dt = 0;
	EXPECT_EQ(snpu_nirdata_write(IN("bad.h5"), list, 2), -EINVAL);
	list[1].dt = 1;
	EXPECT_EQ(snpu_nirdata_write("/no-such-directory/x.h5", list, 2), -ENOENT);
	EXPECT_EQ(access(IN("bad.h5"), F_OK), -1);
	ASSERT_EQ(snpu_nirdata_write(IN("none.h5"), NULL, 0), 0);
	d = nirdata(IN("none.h5"));
	EXPECT_EQ(snpu_nirdata_count(d), 0);
	snpu_nirdata_free(d);
}

/* More nodes than fit into a group's smallest table. */
TEST(nirdata_of_many_nodes)
{
	enum { N = 300 };
	static char names[N][40];
	static struct snpu_observable list[N];
	float v[6] = { 0.5f };
	struct snpu_array a = { SNPU_F32, 3, { 1, 2, 3 }, 6, v };
	struct snpu_observable o;
	struct snpu_nirdata *d;

	for (int i = 0; i < N; i++) {
		snprintf(names[i], sizeof(names[i]), "%snode-%d", i % 3 ? "" : "sub/", i * 7 % N);
		list[i] = (struct snpu_observable){ names[i], "v", SNPU_NIRDATA_GRID, 1e-3, &a, NULL };
	}
	ASSERT_EQ(snpu_nirdata_write(IN("many.h5"), list, N), 0);
	d = nirdata(IN("many.h5"));
	ASSERT_TRUE(d);
	EXPECT_EQ(snpu_nirdata_count(d), N);
	for (unsigned i = 0; i < N; i++)
		EXPECT_EQ(snpu_nirdata_get(d, i, &o), 0);
	EXPECT_EQ(system("/usr/bin/python3 tests/unit/events_check.py " EVENTS_DIR " many.h5"), 0);
	snpu_nirdata_free(d);
}

/* --- time steps --------------------------------------------------------------------------------------------------- */

/* Real recordings against frames that another reader made of them: bit for bit. */
TEST(frames_of_nmnist)
{
	static const char *const names[] = { "60001", "60003", "60041" };

	for (int i = 0; i < 3; i++) {
		struct snpu_bin_opts o = { .sz = sizeof(o), .dt = 1e-3 };
		char path[128], key[32];
		struct snpu_array want, got, list;
		struct snpu_events *ev;
		struct snpu_bins b;
		uint64_t bad = 0;

		snprintf(path, sizeof(path), NMNIST "%s.bs2", names[i]);
		ev = opened(path, (struct snpu_events_opts){ 0 });
		ASSERT_TRUE(ev);
		snprintf(key, sizeof(key), "events_%s", names[i]);
		ASSERT_TRUE(rig_npz(NMNIST "expected.npz", key, &list));
		ASSERT_EQ(list.shape[0], ev->count);
		for (uint64_t k = 0; k < ev->count; k++) {
			const int64_t *r = (int64_t *)list.data + 4 * k;

			bad += ev->event[k].t != r[0] || ev->event[k].x != (uint64_t)r[1] || ev->event[k].y != (uint64_t)r[2] || ev->event[k].p != (uint64_t)r[3];
		}
		snprintf(key, sizeof(key), "frames_%s", names[i]);
		ASSERT_TRUE(rig_npz(NMNIST "expected.npz", key, &want));
		/* All of it: one step more than there, which leaves out an incomplete one. */
		ASSERT_EQ(snpu_events_bin(ev, &o, &got, &b), 0);
		EXPECT_EQ(b.steps, want.shape[0] + 1);
		EXPECT_EQ(b.binned, ev->count);
		snpu_array_free(&got);
		o.steps = want.shape[0];
		ASSERT_EQ(snpu_events_bin(ev, &o, &got, &b), 0);
		EXPECT_EQ(got.rank, 5);
		EXPECT_EQ(got.shape[2], 2);
		EXPECT_EQ(got.shape[3], 34);
		ASSERT_EQ(got.count, want.count);
		for (uint64_t k = 0; k < want.count; k++)
			bad += ((float *)got.data)[k] != ((uint8_t *)want.data)[k];
		EXPECT_EQ(bad, 0);
		EXPECT_EQ(b.binned + b.after, ev->count);
		EXPECT_GT(b.after, 0);
		snpu_array_free(&got);
		snpu_array_free(&want);
		snpu_array_free(&list);
		snpu_events_free(ev);
	}
}

/* Six events of a 4 x 4 sensor. */
static struct snpu_event six[] = {
	{ 1000, 0, 0, 1, 1 }, { 1500, 0, 0, 1, 1 }, { 1999, 3, 3, 0, 1 }, { 2000, 1, 2, 1, 1 }, { 1200, 2, 1, 0, 1 }, { 5000, 3, 0, 1, 1 },
};
static uint64_t six_first[] = { 0, 6 };
static const struct snpu_events small = {
	.format = SNPU_EVENTS_EVT2, .width = 4, .height = 4, .polarities = 2, .sized = true, .samples = 1, .first = six_first, .count = 6, .event = six,
};

static float at(const struct snpu_array *a, uint64_t step, uint64_t c, uint64_t y, uint64_t x)
{
	return ((float *)a->data)[((step * a->shape[2] + c) * a->shape[3] + y) * a->shape[4] + x];
}

TEST(what_a_step_holds)
{
	struct snpu_bin_opts o = { .sz = sizeof(o), .dt = 1e-3 };
	struct snpu_array a;
	struct snpu_bins b;

	ASSERT_EQ(snpu_events_bin(&small, &o, &a, &b), 0);
	EXPECT_EQ(b.steps, 5);			/* 1000 to 5000 us from the first on */
	EXPECT_EQ(b.dt, 1000000);
	EXPECT_TRUE(at(&a, 0, 1, 0, 0) == 2 && at(&a, 0, 0, 3, 3) == 1 && at(&a, 0, 0, 1, 2) == 1 && at(&a, 1, 1, 2, 1) == 1 && at(&a, 4, 1, 0, 3) == 1);
	snpu_array_free(&a);
	o.start = SNPU_BIN_START_ZERO;
	o.steps = 2;
	o.clip = true;
	ASSERT_EQ(snpu_events_bin(&small, &o, &a, &b), 0);
	EXPECT_EQ(b.binned, 4);
	EXPECT_EQ(b.after, 2);
	EXPECT_EQ(b.clipped, 1);
	EXPECT_TRUE(at(&a, 1, 1, 0, 0) == 1 && at(&a, 0, 1, 0, 0) == 0);
	snpu_array_free(&a);
	o = (struct snpu_bin_opts){ .sz = sizeof(o), .dt = 4e-3, .polarity = SNPU_POLARITY_SIGNED, .downscale = 2 };
	ASSERT_EQ(snpu_events_bin(&small, &o, &a, &b), 0);
	EXPECT_EQ(a.shape[2], 1);
	EXPECT_EQ(a.shape[3], 2);
	EXPECT_TRUE(at(&a, 0, 0, 0, 0) == 2 && at(&a, 0, 0, 1, 1) == -1 && at(&a, 0, 0, 0, 1) == -1 && at(&a, 0, 0, 1, 0) == 1 && at(&a, 1, 0, 0, 1) == 1);
	snpu_array_free(&a);
	o = (struct snpu_bin_opts){ .sz = sizeof(o), .dt = 4e-3, .polarity = SNPU_POLARITY_MERGED, .crop = { 1, 1, 3, 2 } };
	ASSERT_EQ(snpu_events_bin(&small, &o, &a, &b), 0);
	EXPECT_EQ(a.shape[3], 2);
	EXPECT_EQ(a.shape[4], 3);
	EXPECT_EQ(b.binned, 2);
	EXPECT_EQ(b.cropped, 4);
	EXPECT_TRUE(at(&a, 0, 0, 0, 1) == 1 && at(&a, 0, 0, 1, 0) == 1);
	snpu_array_free(&a);
}

TEST(steps_that_cannot_be)
{
	struct snpu_bin_opts o = { .sz = sizeof(o) };
	struct snpu_bins b;
	struct snpu_array a;

	EXPECT_EQ(snpu_events_bins(&small, &o, &b), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "1e-3");
	o.dt = 1e-3;
	o.downscale = 5;
	EXPECT_EQ(snpu_events_bins(&small, &o, &b), -EINVAL);
	o.downscale = 1;
	o.crop[0] = 2;
	o.crop[2] = 3;
	o.crop[3] = 1;
	EXPECT_EQ(snpu_events_bins(&small, &o, &b), -EINVAL);
	memset(o.crop, 0, sizeof(o.crop));
	o.dt = 1e-9;
	six[5].t = INT64_MAX;
	EXPECT_EQ(snpu_events_bins(&small, &o, &b), -E2BIG);
	o.dt = 1e-3;
	o.steps = 3;
	six[4].t = INT64_MIN;
	ASSERT_EQ(snpu_events_bin(&small, &o, &a, &b), 0);
	EXPECT_EQ(b.binned, 1);
	EXPECT_EQ(b.after, 5);
	snpu_array_free(&a);
	o.steps = 1ull << 62;
	EXPECT_EQ(snpu_events_bin(&small, &o, &a, &b), -E2BIG);
	o.steps = 1;
	o.polarity = 3;
	EXPECT_EQ(snpu_events_bin(&small, &o, &a, &b), -EINVAL);
}

TEST(place_of_an_event)
{
	struct snpu_bin_opts o = { .sz = sizeof(o), .dt = 1e-3, .crop = { 1, 1, 3, 3 } };
	struct snpu_bins b;
	float v = 0;

	ASSERT_EQ(snpu_events_bins(&small, &o, &b), 0);
	EXPECT_EQ(snpu_events_place(&(struct snpu_event){ 0, 2, 3, 1, 1 }, &o, &b, &v), 9 + 2 * 3 + 1);
	EXPECT_TRUE(v == 1);
	EXPECT_EQ(snpu_events_place(&(struct snpu_event){ 0, 0, 3, 1, 1 }, &o, &b, &v), -1);
	EXPECT_EQ(snpu_events_place(&(struct snpu_event){ 0, 4, 3, 1, 1 }, &o, &b, &v), -1);
}

TEST_HARNESS_MAIN
