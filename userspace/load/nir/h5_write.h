/* SPDX-License-Identifier: MIT */
/*
 * Writes small HDF5 files into memory, in the oldest form that every reader knows: superblock 0, groups as symbol tables, contiguous
 * datasets. What is inside a group is written before it. docs/decisions/007-own-hdf5-writer.md says why there is one. One thread.
 */
#ifndef SNPU_LOAD_NIR_H5_WRITE_H
#define SNPU_LOAD_NIR_H5_WRITE_H

#include "core/fail.h"

struct h5w {
	uint8_t *mem;
	uint64_t size, capacity;
	uint64_t heap_used;			/* bytes of the heap of strings */
	unsigned strings;			/* in it */
	unsigned most_links;			/* of a group */
	int err;				/* the first one; everything after it does nothing */
};

enum h5w_type { H5W_BOOL, H5W_I64, H5W_F32, H5W_F64 };	/* bool as h5py has it: an enumeration of one byte */

/* A name in a group. */
struct h5w_link {
	const char *name;
	uint64_t address;
};

struct h5w_attr {
	const char *name, *text;		/* text NULL: the number */
	double number;
	bool whole;				/* as int64 */
};

void h5w_begin(struct h5w *w);
/* Addresses of the new object; 0 after an error. */
uint64_t h5w_dataset(struct h5w *w, enum h5w_type type, unsigned rank, const uint64_t *shape, const void *data);
/* links: [n], sorted here; names must differ. */
uint64_t h5w_group(struct h5w *w, struct h5w_link *links, unsigned n, const struct h5w_attr *attrs, unsigned n_attrs);
/* The file, free() it. On errors nothing is left. */
int h5w_end(struct h5w *w, uint64_t root, void **mem, size_t *size) SNPU_MUST_CHECK;

#endif
