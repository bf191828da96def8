/* SPDX-License-Identifier: MIT */
/* A file in memory, for tests. */
#ifndef SNPU_TESTS_READ_RIG_H
#define SNPU_TESTS_READ_RIG_H

#include "tests/harness.h"

/* Malloc'd, a zero behind it; NULL when it cannot be had, which is said. */
TH_VAR void *rig_read(const char *path, size_t *size)
{
	FILE *f = fopen(path, "rb");
	void *mem = NULL;
	long n;

	if (f && !fseek(f, 0, SEEK_END) && (n = ftell(f)) >= 0 && !fseek(f, 0, SEEK_SET)) {
		mem = calloc((size_t)n + 1, 1);
		*size = (size_t)n;
		if (mem && fread(mem, 1, *size, f) != *size) {
			free(mem);
			mem = NULL;
		}
	}
	if (f)
		fclose(f);
	if (!mem)
		printf("# cannot read %s\n", path);
	return mem;
}

#endif
