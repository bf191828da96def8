// SPDX-License-Identifier: MIT
/* Files that commands leave behind: whole, or not at all. Called from one thread. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "output.h"

int snpu_output_file(const char *path, snpu_output_write *write, const void *arg)
{
	char *part;
	FILE *f;
	int err = 0;

	if (asprintf(&part, "%s.part", path) < 0)
		return -ENOMEM;
	f = fopen(part, "w");
	if (!f) {
		err = -errno;
	} else {
		err = write(f, arg);
		if (!err && ferror(f))
			err = -EIO;
		if (fclose(f) && !err)
			err = -errno;
		if (!err && rename(part, path))
			err = -errno;
		if (err)
			unlink(part);
	}
	free(part);
	return err;
}
