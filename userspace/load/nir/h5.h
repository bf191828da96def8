/* SPDX-License-Identifier: MIT */
/*
 * Reads HDF5 files from memory, as far as NIR and event files need it, written from the HDF5 File Format Specification: superblocks 0 to 3,
 * groups as symbol tables or compact links, contiguous, compact and chunked datasets, deflate, shuffle and fletcher32,
 * integers, floats of 2, 4 and 8 bytes, NumPy's bool, fixed and variable strings, lists of numbers, attributes.
 *
 * libhdf5 is not used because damaged files make it crash and loop (docs/decisions/004-own-hdf5-reader.md); this code trusts nothing: every address is
 * checked against the file, every walk has an end, and what a file may ask for is limited by its size. No state outside
 * struct h5x, so any number of threads can read files at the same time.
 */
#ifndef SNPU_LOAD_NIR_H5_H
#define SNPU_LOAD_NIR_H5_H

#include "core/fail.h"

#define H5X_NAME	1024			/* longest name of a link or string, with its zero */
#define H5X_RANK	8
#define H5X_LINKS	8192			/* names in one group */

struct h5x {
	const uint8_t *mem;
	uint64_t size;				/* bytes */
	uint64_t root;				/* address of the root group's object header */
	uint64_t budget;			/* bytes of arrays that may still be read */
	uint64_t work;				/* pieces of structure that may still be looked at */
};

struct h5x_link {
	char *name;
	uint64_t address;			/* of the object header */
	bool hard;				/* not a link by path, to another file, or the like */
};

/* The names in a group, sorted. */
struct h5x_dir {
	struct h5x_link *link;
	unsigned n, capacity;
};

/* A dataset, read: numbers as double (floats) or int64 (integers). */
struct h5x_array {
	bool floats;
	unsigned rank;
	uint64_t shape[H5X_RANK];
	uint64_t count;
	double *f;				/* free() both */
	int64_t *i;
};

/* h5_file.c: the bytes of a regular file; free() *mem. -ENOENT and others of open(2), -EFBIG, -EIO. */
int h5x_file_read(const char *path, void **mem, size_t *size) SNPU_MUST_CHECK;

/* `mem` must stay. -EBADMSG when it is no HDF5 file, -ENOTSUP for variants that NIR files do not use. */
int h5x_open(struct h5x *x, const void *mem, size_t size) SNPU_MUST_CHECK;

/* The names in the group at `address`. `what` names it in messages. h5x_dir_free() also after an error. */
int h5x_dir_read(struct h5x *x, uint64_t address, const char *what, struct h5x_dir *dir) SNPU_MUST_CHECK;
void h5x_dir_free(struct h5x_dir *dir);
/* The object called `name`: 1 with *address, 0 when there is none, -EBADMSG when it is not in this file. */
int h5x_dir_find(const struct h5x_dir *dir, const char *name, uint64_t *address) SNPU_MUST_CHECK;

/* Reads a dataset of numbers. h5x_array_free() also after an error. */
int h5x_read(struct h5x *x, uint64_t address, const char *what, struct h5x_array *out) SNPU_MUST_CHECK;
void h5x_array_free(struct h5x_array *a);
/* Reads a dataset of one string. */
int h5x_read_string(struct h5x *x, uint64_t address, const char *what, char out[H5X_NAME]) SNPU_MUST_CHECK;
/* Reads a (count, 2) dataset of strings; (*out)[2 * i] and [2 * i + 1] are a pair. free() *out, which holds everything. */
int h5x_read_pairs(struct h5x *x, uint64_t address, const char *what, uint64_t max, char ***out, uint64_t *count) SNPU_MUST_CHECK;

/* A dataset (count) of lists of numbers, each of its own length: element k is value[first[k]] to value[first[k + 1] - 1]. */
struct h5x_lists {
	uint64_t count, *first;			/* [count + 1] */
	double *value;				/* [first[count]]; free() both */
};
/* Lists [from, to) of it; to is cut to what there is. h5x_lists_free() also after an error. */
int h5x_read_lists(struct h5x *x, uint64_t address, const char *what, uint64_t from, uint64_t to, struct h5x_lists *out) SNPU_MUST_CHECK;
void h5x_lists_free(struct h5x_lists *l);

/* An attribute of the object at `address`, one string or one number: 1, 0 when there is none. */
int h5x_attr_string(struct h5x *x, uint64_t address, const char *name, char out[H5X_NAME]) SNPU_MUST_CHECK;
int h5x_attr_number(struct h5x *x, uint64_t address, const char *name, double *out) SNPU_MUST_CHECK;

/* --- between h5.c and h5_data.c ----------------------------------------------------------------------------------- */

#define H5X_UNDEFINED	(~0ull)

enum h5x_message {
	H5X_SPACE = 0x01, H5X_LINK_INFO = 0x02, H5X_TYPE = 0x03, H5X_LINK = 0x06, H5X_EXTERNAL = 0x07, H5X_LAYOUT = 0x08, H5X_FILTERS = 0x0b, H5X_ATTRIBUTE = 0x0c,
	H5X_CONTINUATION = 0x10, H5X_SYMBOLS = 0x11,
};

/* One message of an object header; data NULL: the object has none of this type. */
struct h5x_msg {
	unsigned type;
	bool shared;				/* data is a reference to where the message is */
	const uint8_t *data;
	uint64_t size;
};

/* `len` bytes at `address`, NULL when they are not in the file. */
const uint8_t *h5x_at(const struct h5x *x, uint64_t address, uint64_t len);
/* One more piece of structure is looked at; -EBADMSG when there were too many for a sound file. */
int h5x_step(struct h5x *x) SNPU_MUST_CHECK;
/* Calls fn for each message of the object; an error from it ends the walk. */
int h5x_messages(struct h5x *x, uint64_t address, int (*fn)(struct h5x *x, const struct h5x_msg *msg, void *arg), void *arg) SNPU_MUST_CHECK;
int h5x_damaged(const char *what);

static inline uint64_t h5x_uint(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	while (bytes--)
		v = v << 8 | p[bytes];
	return v;
}

#endif
