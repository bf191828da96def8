// SPDX-License-Identifier: MIT
/*
 * Finds the sections of a dump and checks that they lie in the file. What they mean is dump_facts.c's.
 */
#include "dump.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What the first version had. */
#define HEADER_LEAST	272u

struct reader {
	const uint8_t *mem;
	uint64_t size, at;
	char *why;
	size_t len;
};

static bool fail(const struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool fail(const struct reader *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->why, r->len, fmt, ap);
	va_end(ap);
	return false;
}

static void end_strings(struct snpu_dump_header *h)
{
	h->text[sizeof(h->text) - 1] = h->device[sizeof(h->device) - 1] = h->kernel[sizeof(h->kernel) - 1] = 0;
}

static bool read_header(struct reader *r, struct snpu_dump_header *h)
{
	if (r->size < HEADER_LEAST)
		return fail(r, "%llu bytes are too few for a dump, which has at least %u", (unsigned long long)r->size, HEADER_LEAST);
	memcpy(h, r->mem, sizeof(*h));
	end_strings(h);
	if (h->magic != SNPU_DUMP_MAGIC)
		return fail(r, "it is no dump of an snpu card: it does not begin with SNPUDUMP");
	if (h->version != SNPU_DUMP_VERSION)
		return fail(r, "it has version %u of the format, and this program knows version %u", h->version, SNPU_DUMP_VERSION);
	if (h->size > r->size)
		return fail(r, "it was cut off: %llu of %llu bytes are there", (unsigned long long)r->size, (unsigned long long)h->size);
	if (h->header_size < HEADER_LEAST || h->header_size % 8 || h->header_size > h->size)
		return fail(r, "its header of %u bytes cannot be right", h->header_size);
	r->size = h->size;
	r->at = h->header_size;
	return true;
}

static bool read_section(struct reader *r, uint32_t index, struct snpu_dump *d)
{
	struct snpu_dump_section s;
	uint64_t bytes;

	if (r->size - r->at < sizeof(s))
		return fail(r, "section %u of %u begins at byte %llu, which is behind the end", index + 1, d->header.sections, (unsigned long long)r->at);
	memcpy(&s, r->mem + r->at, sizeof(s));
	r->at += sizeof(s);
	bytes = (uint64_t)s.count * s.stride;
	if (bytes > r->size - r->at || (s.count && !s.stride))
		return fail(r, "section %u of %u (type %u): %u elements of %u bytes do not fit the %llu bytes that are left", index + 1,
			    d->header.sections, s.type, s.count, s.stride, (unsigned long long)(r->size - r->at));
	if (s.type < SNPU_DUMP_TYPES) {
		d->head[s.type] = s;
		d->data[s.type] = r->mem + r->at;
	}
	bytes = (bytes + 7) & ~7ull;
	r->at = bytes > r->size - r->at ? r->size : r->at + bytes;
	return true;
}

bool snpu_dump_parse(const void *mem, size_t size, struct snpu_dump *d, char *why, size_t len)
{
	struct reader r = { mem, size, 0, why, len };

	memset(d, 0, sizeof(*d));
	if (!read_header(&r, &d->header))
		return false;
	for (uint32_t i = 0; i < d->header.sections; i++)
		if (!read_section(&r, i, d))
			return false;
	return true;
}

bool snpu_dump_get(const struct snpu_dump *d, enum snpu_dump_type type, uint32_t index, void *element, size_t size)
{
	const struct snpu_dump_section *s = &d->head[type];

	memset(element, 0, size);
	if (index >= s->count)
		return false;
	memcpy(element, (const uint8_t *)d->data[type] + (uint64_t)index * s->stride, s->stride < size ? s->stride : size);
	return true;
}
