/* SPDX-License-Identifier: MIT */
/* Files that hold arrays: .npz, .npy, PNG and PGM, told apart by their first bytes. */
#ifndef SNPU_TOOLS_BUNDLE_H
#define SNPU_TOOLS_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>

#include <snpu/snpu_array.h>

#include "cli.h"

/* Reads a whole file, also from a pipe, or stdin for "-". Prints what is wrong. free() *mem. */
enum snpu_exit snpu_file_read(const char *path, void **mem, size_t *size);

struct snpu_bundle {
	const char *path;			/* the caller's */
	void *mem;
	size_t size;
	struct snpu_npz *npz;			/* NULL: not an archive */
	bool image;
};

/* All print what is wrong. */
enum snpu_exit snpu_bundle_open(struct snpu_bundle *b, const char *path);
/* The same of bytes that were read already; they are the bundle's from here on. */
enum snpu_exit snpu_bundle_take(struct snpu_bundle *b, const char *path, void *mem, size_t size);
/*
 * Reads an array; a .npy file and an image have one, whatever `name`. An image becomes uint8 [height][width], or
 * [3][height][width] when `elements` is three times its pixels.
 */
enum snpu_exit snpu_bundle_read(struct snpu_bundle *b, const char *name, uint64_t elements, struct snpu_array *out);
bool snpu_bundle_has(const struct snpu_bundle *b, const char *name);
unsigned int snpu_bundle_count(const struct snpu_bundle *b);
/* Name of array `index`, "" for a file that holds only one. */
const char *snpu_bundle_name(const struct snpu_bundle *b, unsigned int index);
/* "a, b, c": for error messages. Valid until the next call. */
const char *snpu_bundle_names(const struct snpu_bundle *b);
/* Allowed on a zeroed structure. */
void snpu_bundle_close(struct snpu_bundle *b);

/* "[1000][28][28]". Valid until the fourth call from now. */
const char *snpu_array_shape(const struct snpu_array *a);

/* image.c: PNG or PGM from memory, as above. NULL, or what is wrong with it. */
const char *snpu_image_parse(const void *mem, size_t size, uint64_t elements, struct snpu_array *out);
bool snpu_image_is(const void *mem, size_t size);

#endif
