/* SPDX-License-Identifier: MIT */
/* Reading data files in tests. Functions that cannot go on say why and give NULL or false; the caller asserts. */
#ifndef SNPU_TESTS_FILE_RIG_H
#define SNPU_TESTS_FILE_RIG_H

#include "snpu/snpu_array.h"
#include "tests/unit/read_rig.h"

/* An array of a .npz file. */
TH_VAR bool rig_npz(const char *path, const char *name, struct snpu_array *a)
{
	size_t size;
	void *mem = rig_read(path, &size);
	struct snpu_npz *z;
	bool ok = false;

	memset(a, 0, sizeof(*a));
	if (mem && !snpu_npz_open(mem, size, &z)) {
		ok = !snpu_npz_read(z, name, a);
		snpu_npz_close(z);
	}
	if (!ok)
		printf("# %s, %s: %s\n", path, name, snpu_last_error());
	free(mem);
	return ok;
}

TH_VAR bool rig_npy(const char *path, struct snpu_array *a)
{
	size_t size;
	void *mem = rig_read(path, &size);
	bool ok = mem && !snpu_npy_parse(mem, size, a);

	free(mem);
	return ok;
}

TH_VAR float *rig_f32(const struct snpu_array *a)
{
	float *f = malloc((a->count ? a->count : 1) * sizeof(*f));

	return f && !snpu_array_to_f32(a, 0, a->count, f) ? f : NULL;
}

#endif
