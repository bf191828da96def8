/* SPDX-License-Identifier: MIT */
/* Event files and streams: which format it is, pieces put together, events counted and kept. See events.h. */
#include "load/events/events.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SNIFF		64			/* bytes that tell a format */
#define SAMPLES_MAX	(1u << 24)

const struct events_format snpu_events_formats[SNPU_EVENTS_FORMAT_COUNT] = {
	[SNPU_EVENTS_AUTO] = { .name = "auto" },
	[SNPU_EVENTS_NMNIST] = { "nmnist", 2, NULL, snpu_nmnist_push, NULL },
	[SNPU_EVENTS_AEDAT3] = { "aedat3", 2, "#!AER-DAT3", snpu_aedat3_push, NULL },
	[SNPU_EVENTS_AEDAT4] = { "aedat4", 2, "#!AER-DAT4", snpu_aedat4_push, NULL },
	[SNPU_EVENTS_EVT2] = { "evt2", 2, NULL, snpu_evt2_push, NULL },
	[SNPU_EVENTS_EVT21] = { "evt21", 2, NULL, snpu_evt21_push, NULL },
	[SNPU_EVENTS_EVT3] = { "evt3", 2, NULL, snpu_evt3_push, NULL },
	[SNPU_EVENTS_DAT] = { "dat", 2, NULL, snpu_dat_push, NULL },
	[SNPU_EVENTS_HDF5] = { "hdf5", 1, NULL, NULL, snpu_shd_parse },
	[SNPU_EVENTS_NUMPY] = { "numpy", 2, "\x93NUMPY", NULL, snpu_columns_parse },
	[SNPU_EVENTS_NIRDATA] = { "nirdata", 1, NULL, NULL, snpu_nirdata_events },
};

const char *snpu_events_format_name(enum snpu_events_format format)
{
	return format < SNPU_EVENTS_FORMAT_COUNT ? snpu_events_formats[format].name : NULL;
}

/* --- which format ------------------------------------------------------------------------------------------------- */

/* RAW and DAT both begin with lines of '%'; the lines tell. Only those that are complete are looked at. */
static int prophesee_format(const uint8_t *mem, size_t size)
{
	int64_t end = snpu_events_header(mem, size, '%', "% end");
	size_t n = end > 0 ? (size_t)end : size;

	if (snpu_events_has(mem, n, "Data file containing"))
		return SNPU_EVENTS_DAT;
	if (snpu_events_has(mem, n, "% evt 3.0") || snpu_events_has(mem, n, "% format EVT3"))
		return SNPU_EVENTS_EVT3;
	if (snpu_events_has(mem, n, "% evt 2.1") || snpu_events_has(mem, n, "% format EVT21"))
		return SNPU_EVENTS_EVT21;
	if (snpu_events_has(mem, n, "% evt 2.0") || snpu_events_has(mem, n, "% format EVT2"))
		return SNPU_EVENTS_EVT2;
	return -ENOENT;
}

int snpu_events_format_of(const void *mem, size_t size)
{
	for (int f = 1; f < SNPU_EVENTS_FORMAT_COUNT; f++) {
		const char *magic = snpu_events_formats[f].magic;

		if (magic && size >= strlen(magic) && !memcmp(mem, magic, strlen(magic)))
			return f;
	}
	if (size >= 2 && !memcmp(mem, "% ", 2))
		return prophesee_format(mem, size);
	if (size >= 4 && (!memcmp(mem, "PK\3\4", 4) || !memcmp(mem, "PK\5\6", 4)))
		return SNPU_EVENTS_NUMPY;
	if (size >= 8 && !memcmp(mem, "\x89HDF\r\n\x1a\n", 8))
		return snpu_nirdata_is(mem, size) ? SNPU_EVENTS_NIRDATA : snpu_shd_is(mem, size) ? SNPU_EVENTS_HDF5 : -ENOENT;
	return -ENOENT;
}

static int choose(struct snpu_event_reader *r, const void *mem, size_t size)
{
	int f = (int)r->opts.format;

	if (!f)
		f = size ? snpu_events_format_of(mem, size) : -ENOENT;
	if (f < 0)
		return snpu_fail(-ENOENT, "its first bytes are those of no event format that is known; name it with --input-format (N-MNIST has no mark)");
	r->format = &snpu_events_formats[f];
	r->ev.format = (enum snpu_events_format)f;
	r->ev.polarities = r->format->polarities;
	return 0;
}

/* --- text headers ------------------------------------------------------------------------------------------------- */

bool snpu_events_has(const uint8_t *mem, size_t size, const char *text)
{
	return memmem(mem, size, text, strlen(text));
}

uint64_t snpu_events_number(const uint8_t *mem, size_t size, const char *key, uint64_t none)
{
	const uint8_t *p = memmem(mem, size, key, strlen(key)), *end = mem + size;
	uint64_t v = 0;
	int digits = 0;

	if (!p)
		return none;
	for (p += strlen(key); p < end && (*p == ' ' || *p == '"'); p++)
		;
	for (; p < end && *p >= '0' && *p <= '9' && digits < 10; p++, digits++)
		v = v * 10 + (uint64_t)(*p - '0');
	return digits ? v : none;
}

int64_t snpu_events_header(const uint8_t *mem, size_t size, char mark, const char *end)
{
	size_t at = 0;

	while (at < size && mem[at] == (uint8_t)mark) {
		const uint8_t *nl = memchr(mem + at, '\n', size - at);

		if (!nl)
			return size - at > SNPU_EVENTS_HEADER_MAX ? -EBADMSG : 0;
		if ((size_t)(nl - (mem + at)) >= strlen(end) && !memcmp(mem + at, end, strlen(end)))
			return nl - mem + 1;
		at = (size_t)(nl - mem) + 1;
		if (at > SNPU_EVENTS_HEADER_MAX)
			return -EBADMSG;
	}
	return at < size ? (int64_t)at : 0;
}

/* --- events ------------------------------------------------------------------------------------------------------- */

int snpu_events_damaged(const struct snpu_event_reader *r, const char *what)
{
	return snpu_fail(-EBADMSG, "the %s data are damaged behind byte %llu (%s); record or copy them again", r->format->name, (unsigned long long)r->eaten, what);
}

void snpu_event_size(struct snpu_event_reader *r, uint64_t width, uint64_t height)
{
	if (r->opts.width || !width || !height || width > UINT32_MAX || height > 65536)
		return;
	r->ev.width = (uint32_t)width;
	r->ev.height = (uint32_t)height;
	r->ev.sized = true;
}

int snpu_event_sample(struct snpu_event_reader *r)
{
	if (r->ev.samples == SAMPLES_MAX)
		return snpu_fail(-E2BIG, "the file has more than %u samples; read fewer with --samples", SAMPLES_MAX);
	if (r->ev.samples + 2 > r->first_capacity) {
		uint64_t capacity = r->first_capacity ? r->first_capacity * 2 : 16;
		uint64_t *first = reallocarray(r->ev.first, capacity, sizeof(*first));

		if (!first)
			return snpu_fail(-ENOMEM, "no memory for %llu samples", (unsigned long long)capacity);
		r->ev.first = first;
		r->first_capacity = capacity;
	}
	r->ev.first[r->ev.samples++] = r->ev.count;
	r->ev.first[r->ev.samples] = r->ev.count;
	r->any = false;
	return 0;
}

int snpu_event_add(struct snpu_event_reader *r, int64_t t, uint64_t x, uint64_t y, unsigned p, float value)
{
	struct snpu_events *ev = &r->ev;

	if (x >= UINT32_MAX || y > UINT16_MAX || p >= ev->polarities || (ev->sized && (x >= ev->width || y >= ev->height))) {
		ev->out_of_range++;
		return 0;
	}
	if (ev->count == r->capacity) {
		uint64_t capacity = r->capacity ? r->capacity * 2 : 4096;
		struct snpu_event *e = reallocarray(ev->event, capacity, sizeof(*e));

		if (!e)
			return snpu_fail(-ENOMEM, "no memory for %llu events; cut the recording into pieces", (unsigned long long)capacity);
		ev->event = e;
		r->capacity = capacity;
	}
	ev->out_of_order += r->any && t < r->last;
	r->any = true;
	r->last = t;
	ev->event[ev->count++] = (struct snpu_event){ .t = t, .x = (uint32_t)x, .y = (uint16_t)y, .p = (uint8_t)p, .value = value };
	ev->first[ev->samples] = ev->count;
	if (!ev->sized) {
		ev->width = x >= ev->width ? (uint32_t)x + 1 : ev->width;
		ev->height = y >= ev->height ? (uint32_t)y + 1 : ev->height;
	}
	return 0;
}

int64_t snpu_event_clock(struct snpu_event_reader *r, uint64_t reading, unsigned bits)
{
	uint64_t range = 1ull << bits;

	if (r->timed && reading < r->clock && r->clock - reading > range / 2)
		r->overflow += (int64_t)range;
	r->clock = reading;
	r->timed = true;
	return r->overflow + (int64_t)reading;
}

/* --- pieces ------------------------------------------------------------------------------------------------------- */

int snpu_event_reader_create(const struct snpu_events_opts *opts, struct snpu_event_reader **out)
{
	struct snpu_event_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return snpu_fail(-ENOMEM, "no memory for a reader of events");
	if (opts && opts->sz > sizeof(r->opts)) {
		free(r);
		return snpu_fail(-EINVAL, "snpu_events_opts.sz is %zu, at most %zu is known; build against the library that is used", opts->sz, sizeof(r->opts));
	}
	if (opts)
		memcpy(&r->opts, opts, opts->sz);
	if (r->opts.format >= SNPU_EVENTS_FORMAT_COUNT || !r->opts.width != !r->opts.height || r->opts.height > 65536) {
		free(r);
		return snpu_fail(-EINVAL, "the options of an event file name an unknown format, or a sensor without width or height; see enum snpu_events_format");
	}
	r->end = -1;
	if (r->opts.width) {
		r->ev.width = r->opts.width;
		r->ev.height = r->opts.height;
		r->ev.sized = true;
	}
	*out = r;
	return 0;
}

static int keep(struct snpu_event_reader *r, const uint8_t *mem, size_t size)
{
	size_t want = r->n_pending + size;

	if (want > r->pending_capacity) {
		uint8_t *p = realloc(r->pending, want + want / 2);

		if (!p)
			return snpu_fail(-ENOMEM, "no memory for %zu bytes of a stream", want);
		r->pending = p;
		r->pending_capacity = want + want / 2;
	}
	if (size)
		memcpy(r->pending + r->n_pending, mem, size);
	r->n_pending = want;
	return 0;
}

/* Eats what is complete; `over`: nothing comes any more. */
static int eat(struct snpu_event_reader *r, const uint8_t *mem, size_t size, bool over, size_t *used)
{
	int err = 0;

	*used = 0;
	if (!r->format && (over || size >= SNIFF)) {
		err = choose(r, mem, size);
		if (!err && !r->format->push)
			err = snpu_fail(-EINVAL, "%s is a format of whole files and cannot come in pieces; write it to a file and run that", r->format->name);
	}
	/* The lines of a RAW file may be longer than what tells other formats. */
	if (err == -ENOENT && !over && size < SNPU_EVENTS_HEADER_MAX && size && *mem == '%' && !r->opts.format && snpu_events_header(mem, size, '%', "% end") == 0)
		return 0;
	if (err || !r->format)
		return err;
	if (!r->ev.samples)
		err = snpu_event_sample(r);
	return err ? err : r->format->push(r, mem, size, used);
}

int snpu_event_reader_push(struct snpu_event_reader *r, const void *mem, size_t size)
{
	size_t used = 0;
	int err = keep(r, mem, size);

	if (!err)
		err = eat(r, r->pending, r->n_pending, false, &used);
	if (err)
		return err;
	r->eaten += used;
	r->n_pending -= used;
	if (used)
		memmove(r->pending, r->pending + used, r->n_pending);
	return 0;
}

static int finish(struct snpu_event_reader *r, size_t left)
{
	if (!left && r->format && !r->header_done && r->ev.format != SNPU_EVENTS_NMNIST)
		return snpu_fail(-EBADMSG, "the %s data end before their header is complete; they are cut off, copy them again", r->format->name);
	if (left)
		return snpu_fail(-EBADMSG, "the %s data end within a record, %zu bytes are left behind byte %llu; they are cut off, copy them again", r->format->name, left,
				 (unsigned long long)r->eaten);
	return 0;
}

int snpu_event_reader_finish(struct snpu_event_reader *r)
{
	size_t used = 0;
	int err = 0;

	if (!r->format)
		err = eat(r, r->pending, r->n_pending, true, &used);
	r->eaten += used;
	r->n_pending -= used;
	return err ? err : finish(r, r->n_pending);
}

const struct snpu_events *snpu_event_reader_events(const struct snpu_event_reader *r)
{
	return &r->ev;
}

void snpu_event_reader_forget(struct snpu_event_reader *r, uint64_t count)
{
	struct snpu_events *ev = &r->ev;

	if (!ev->first || !count)
		return;
	count = count < ev->count ? count : ev->count;
	memmove(ev->event, ev->event + count, (ev->count - count) * sizeof(*ev->event));
	ev->count -= count;
	ev->first[0] = 0;
	ev->first[ev->samples] = ev->count;
}

void snpu_event_reader_free(struct snpu_event_reader *r)
{
	if (!r)
		return;
	free(r->ev.event);
	free(r->ev.first);
	free(r->ev.labels);
	free(r->pending);
	free(r);
}

/* --- files -------------------------------------------------------------------------------------------------------- */

static int parse_all(struct snpu_event_reader *r, const void *mem, size_t size)
{
	size_t used = 0;
	int err = choose(r, mem, size);

	if (err)
		return err;
	if (r->format->parse)
		return r->format->parse(r, mem, size);
	if (r->opts.first || r->opts.last > 1)
		return snpu_fail(-EINVAL, "%s data are one sample, and others were asked for; take sample 0", r->format->name);
	err = eat(r, mem, size, true, &used);
	r->eaten = used;
	return err ? err : finish(r, size - used);
}

int snpu_events_parse(const void *mem, size_t size, const struct snpu_events_opts *opts, struct snpu_events **out)
{
	struct snpu_event_reader *r;
	struct snpu_events *ev;
	int err = snpu_event_reader_create(opts, &r);

	if (err)
		return err;
	err = parse_all(r, mem, size);
	if (!err && !r->ev.samples)
		err = snpu_event_sample(r);
	ev = err ? NULL : malloc(sizeof(*ev));
	if (!err && !ev)
		err = snpu_fail(-ENOMEM, "no memory for events");
	if (!err) {
		*ev = r->ev;
		r->ev = (struct snpu_events){ 0 };
		*out = ev;
	}
	snpu_event_reader_free(r);
	return err;
}

void snpu_events_free(struct snpu_events *ev)
{
	if (!ev)
		return;
	free(ev->event);
	free(ev->first);
	free(ev->labels);
	free(ev);
}

/* The formats without a mark are told by name. */
static enum snpu_events_format format_by_name(const char *path, const void *mem, size_t size)
{
	const char *dot = strrchr(path, '.');

	if (snpu_events_format_of(mem, size) >= 0 || !dot)
		return SNPU_EVENTS_AUTO;
	return !strcasecmp(dot, ".bin") || !strcasecmp(dot, ".bs2") ? SNPU_EVENTS_NMNIST : SNPU_EVENTS_AUTO;
}

static int map(const char *path, void **mem, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err = fd < 0 ? -errno : 0;
	struct stat st = { 0 };

	*mem = NULL;
	if (!err && fstat(fd, &st))
		err = -errno;
	if (!err && !S_ISREG(st.st_mode))
		err = -EINVAL;
	*size = err ? 0 : (size_t)st.st_size;
	if (!err && *size)
		*mem = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (*mem == MAP_FAILED) {
		err = -errno;
		*mem = NULL;
	}
	if (fd >= 0)
		close(fd);
	return err ? snpu_fail(err, "'%s' cannot be read: %s; check the path", path, err == -EINVAL ? "it is no regular file" : strerror(-err)) : 0;
}

int snpu_events_open(const char *path, const struct snpu_events_opts *opts, struct snpu_events **out)
{
	struct snpu_events_opts o = { 0 };
	size_t size;
	void *mem;
	int err = map(path, &mem, &size);

	if (err)
		return err;
	if (opts)
		memcpy(&o, opts, opts->sz < sizeof(o) ? opts->sz : sizeof(o));
	o.sz = opts && opts->sz > sizeof(o) ? opts->sz : sizeof(o);
	if (!o.format)
		o.format = format_by_name(path, mem, size);
	err = snpu_events_parse(mem, size, &o, out);
	if (err)
		snpu_fail_in(err, "'%s'", path);
	if (mem)
		munmap(mem, size);
	return err;
}
