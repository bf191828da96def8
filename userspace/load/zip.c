/* SPDX-License-Identifier: MIT */
/*
 * Reads the central directory of a zip archive, written from PKWARE's APPNOTE. Sizes come from the directory (the headers in
 * front of entries may lack them), the place of the data from the header in front of it. Checksums are not read: that
 * would read every byte of an archive of gigabytes. Trusts nothing; threads share nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "load/zip.h"

#define DAMAGED(what)	snpu_fail(-EBADMSG, "the zip archive is damaged (%s); copy the file again", what)

#define END_SIZE	22u
#define LOCATOR_SIZE	20u
#define END64_SIZE	56u
#define HEAD_SIZE	46u		/* of an entry, in the directory */
#define LOCAL_SIZE	30u		/* of an entry, in front of its data */

struct directory {
	const uint8_t *mem;		/* the archive */
	uint64_t at, size, entries;
};

static uint64_t le(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	while (bytes--)
		v = v << 8 | p[bytes];
	return v;
}

/* The record at the end, which a comment of up to 64 KiB may follow. */
static const uint8_t *find_end(const uint8_t *mem, size_t size)
{
	for (size_t comment = 0; comment <= 0xffff && comment + END_SIZE <= size; comment++) {
		const uint8_t *p = mem + size - END_SIZE - comment;

		if (le(p, 4) == 0x06054b50 && le(p + 20, 2) == comment)
			return p;
	}
	return NULL;
}

static int find_directory(const uint8_t *mem, size_t size, struct directory *d)
{
	const uint8_t *end = find_end(mem, size);
	uint64_t limit, at;

	if (!end)
		return snpu_fail(-EBADMSG, "it is no zip archive, or cut off; copy the file again");
	limit = (uint64_t)(end - mem);
	*d = (struct directory){ mem, le(end + 16, 4), le(end + 12, 4), le(end + 10, 2) };
	if (limit >= LOCATOR_SIZE && le(end - LOCATOR_SIZE, 4) == 0x07064b50) {
		limit -= LOCATOR_SIZE;
		at = le(mem + limit + 8, 8);
		if (!snpu_range_ok(at, END64_SIZE, limit) || le(mem + at, 4) != 0x06064b50)
			return DAMAGED("the end of a large archive");
		limit = at;
		d->entries = le(mem + at + 32, 8);
		d->size = le(mem + at + 40, 8);
		d->at = le(mem + at + 48, 8);
	}
	if (!snpu_range_ok(d->at, d->size, limit) || d->entries > d->size / HEAD_SIZE)
		return DAMAGED("the place of its directory");
	return 0;
}

/* Fields that are all ones stand in the entry's ZIP64 field instead, in this order. */
static int read_zip64(const uint8_t *extra, size_t len, uint64_t *const field[3])
{
	bool wanted = false;
	size_t n;

	for (unsigned i = 0; i < 3; i++)
		wanted = wanted || *field[i] == 0xffffffff;
	for (; wanted && len >= 4; extra += 4 + n, len -= 4 + n) {
		const uint8_t *p = extra + 4;

		n = le(extra + 2, 2);
		if (n > len - 4)
			break;
		if (le(extra, 2) != 1)
			continue;
		for (unsigned i = 0; i < 3; i++) {
			if (*field[i] != 0xffffffff)
				continue;
			if ((size_t)(p - extra - 4) + 8 > n)
				return DAMAGED("a size");
			*field[i] = le(p, 8);
			p += 8;
		}
		return 0;
	}
	return wanted ? DAMAGED("a size of 4 GiB") : 0;
}

/* Where the data of an entry lies: the header in front of it has a name and extra fields of its own. */
static int find_data(const struct directory *d, uint64_t at, struct snpu_zip_entry *e)
{
	const uint8_t *local;

	if (!snpu_range_ok(at, LOCAL_SIZE, d->at))
		return DAMAGED("the place of an entry");
	local = d->mem + at;
	if (le(local, 4) != 0x04034b50 || le(local + 26, 2) != e->name_len)
		return DAMAGED("the header of an entry");
	at += LOCAL_SIZE + e->name_len + le(local + 28, 2);
	if (!snpu_range_ok(at, e->size, d->at) || memcmp(local + LOCAL_SIZE, e->name, e->name_len))
		return DAMAGED("the size of an entry");
	e->data = d->mem + at;
	return 0;
}

/* One entry of the directory; *used: its bytes in it. */
static int read_entry(const struct directory *d, const uint8_t *p, size_t left, struct snpu_zip_entry *e, size_t *used)
{
	uint64_t size, packed, at;
	size_t extra_len;
	int err;

	if (left < HEAD_SIZE || le(p, 4) != 0x02014b50)
		return DAMAGED("its directory");
	e->name = (const char *)p + HEAD_SIZE;
	e->name_len = le(p + 28, 2);
	extra_len = le(p + 30, 2);
	*used = HEAD_SIZE + e->name_len + extra_len + le(p + 32, 2);
	if (*used > left)
		return DAMAGED("the size of its directory");
	packed = le(p + 20, 4);
	size = le(p + 24, 4);
	at = le(p + 42, 4);
	err = read_zip64(p + HEAD_SIZE + e->name_len, extra_len, (uint64_t *const[]){ &size, &packed, &at });
	if (err)
		return err;
	if (le(p + 8, 2) & 1 || le(p + 10, 2) || packed != size)
		return snpu_fail(-EBADMSG, "entry '%.*s' of the zip archive is compressed or encrypted; save the file again with torch.save()",
				 (int)(e->name_len < 200 ? e->name_len : 200), e->name);
	e->size = size;
	return find_data(d, at, e);
}

static int by_name(const void *a, const void *b)
{
	const struct snpu_zip_entry *x = a, *y = b;
	int d = memcmp(x->name, y->name, x->name_len < y->name_len ? x->name_len : y->name_len);

	return d ? d : x->name_len < y->name_len ? -1 : x->name_len > y->name_len;
}

static int read_entries(const struct directory *d, struct snpu_zip *zip)
{
	const uint8_t *p = d->mem + d->at;
	size_t left = d->size, used = 0;

	for (; zip->n < d->entries; zip->n++, p += used, left -= used) {
		int err = read_entry(d, p, left, &zip->entry[zip->n], &used);

		if (err)
			return err;
	}
	qsort(zip->entry, zip->n, sizeof(*zip->entry), by_name);
	for (size_t i = 1; i < zip->n; i++)
		if (!by_name(&zip->entry[i - 1], &zip->entry[i]))
			return DAMAGED("two entries of one name");
	return 0;
}

int snpu_zip_open(const void *mem, size_t size, struct snpu_zip *zip)
{
	struct directory d = { 0 };
	int err = find_directory(mem, size, &d);

	*zip = (struct snpu_zip){ 0 };
	if (err)
		return err;
	zip->entry = calloc(d.entries + 1, sizeof(*zip->entry));
	if (!zip->entry)
		return snpu_fail(-ENOMEM, "no memory for the directory of a zip archive with %llu entries", (unsigned long long)d.entries);
	err = read_entries(&d, zip);
	if (err)
		snpu_zip_close(zip);
	return err;
}

void snpu_zip_close(struct snpu_zip *zip)
{
	free(zip->entry);
	*zip = (struct snpu_zip){ 0 };
}

const struct snpu_zip_entry *snpu_zip_find(const struct snpu_zip *zip, const char *name)
{
	struct snpu_zip_entry key = { .name = name, .name_len = strlen(name) };

	return zip->n ? bsearch(&key, zip->entry, zip->n, sizeof(key), by_name) : NULL;
}
