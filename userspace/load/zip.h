/* SPDX-License-Identifier: MIT */
/*
 * The directory of a zip archive in memory whose entries are stored as they are, ZIP64 included: where each entry lies.
 * libzip copies what it reads; weights must stay where they are mapped. Constant after opening; any thread may read it.
 */
#ifndef SNPU_LOAD_ZIP_H
#define SNPU_LOAD_ZIP_H

#include "core/fail.h"

struct snpu_zip_entry {
	const char *name;		/* in the archive, not terminated */
	size_t name_len;
	const uint8_t *data;		/* in the archive */
	uint64_t size;
};

struct snpu_zip {
	struct snpu_zip_entry *entry;	/* [n], by name */
	size_t n;
};

/* -EBADMSG: no zip archive, damaged, compressed, encrypted, or with two entries of one name. -ENOMEM. */
int snpu_zip_open(const void *mem, size_t size, struct snpu_zip *zip) SNPU_MUST_CHECK;
void snpu_zip_close(struct snpu_zip *zip);
/* NULL when there is none. */
const struct snpu_zip_entry *snpu_zip_find(const struct snpu_zip *zip, const char *name);

#endif
