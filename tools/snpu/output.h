/* SPDX-License-Identifier: MIT */
/* Files that commands leave behind: pictures, states. */
#ifndef SNPU_TOOLS_OUTPUT_H
#define SNPU_TOOLS_OUTPUT_H

#include <stdio.h>

/*
 * Writes a file beside its place and renames it, so that a reader never sees half of it. `write` returns 0 or a negative errno,
 * which is passed on. Otherwise 0 or the negative errno of writing.
 */
typedef int snpu_output_write(FILE *f, const void *arg);
int snpu_output_file(const char *path, snpu_output_write *write, const void *arg);

#endif
