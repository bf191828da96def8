/* SPDX-License-Identifier: MIT */
/*
 * What the NIR loader needs of HDF5, with its errors turned into ours and limits on everything a file can ask for.
 * HDF5 is not thread-safe: every function here is called with the loader's one lock held (nir.c).
 */
#ifndef SNPU_LOAD_NIR_H5_H
#define SNPU_LOAD_NIR_H5_H

#include <hdf5.h>

#include "core/fail.h"

#define H5X_NAME	1024			/* longest name of a link or string, with its zero */
#define H5X_RANK	8

struct h5x {
	hid_t file;
	uint64_t budget;			/* bytes of arrays that may still be read */
	H5E_auto2_t old_print;			/* the process's own way of showing HDF5's errors */
	void *old_arg;
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

/* Opens the bytes of a file. -EBADMSG when HDF5 cannot read it. */
int h5x_open(struct h5x *x, const void *mem, size_t size) SNPU_MUST_CHECK;
void h5x_close(struct h5x *x);

/*
 * Opens what `name` in the group `at` is, when it is of type `type` (H5I_GROUP, H5I_DATASET). 1 with *out, 0 when there
 * is no such name, -EBADMSG when it is something else or a link out of the file.
 */
int h5x_get(hid_t at, const char *name, H5I_type_t type, hid_t *out) SNPU_MUST_CHECK;
/* Is `name` a group? */
bool h5x_is_group(hid_t at, const char *name);
void h5x_put(hid_t id);

/* Number of names in a group, and the name number `index` in alphabetical order. */
int h5x_count(hid_t group, uint64_t *count) SNPU_MUST_CHECK;
int h5x_name(hid_t group, uint64_t index, char name[H5X_NAME]) SNPU_MUST_CHECK;

/* Reads a dataset of numbers. `what` names it in messages. h5x_array_free() also after an error. */
int h5x_read(struct h5x *x, hid_t dataset, const char *what, struct h5x_array *out) SNPU_MUST_CHECK;
void h5x_array_free(struct h5x_array *a);
/* Reads a dataset of one string. */
int h5x_read_string(hid_t dataset, const char *what, char out[H5X_NAME]) SNPU_MUST_CHECK;
/* Reads a (count, 2) dataset of strings; (*out)[2 * i] and [2 * i + 1] are a pair. free() *out, which holds everything. */
int h5x_read_pairs(struct h5x *x, hid_t dataset, const char *what, uint64_t max, char ***out, uint64_t *count) SNPU_MUST_CHECK;

#endif
