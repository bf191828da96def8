/* SPDX-License-Identifier: MIT */
/* A model's file into memory, whole. Any thread. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "load/nir/h5.h"

#define MAX_FILE	(16ull << 30)

static int read_all(int fd, const char *path, void **mem, size_t *size)
{
	struct stat st;
	size_t at = 0;
	char *p;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return snpu_fail(-EINVAL, "'%s' is not a regular file; give a model's file", path);
	if ((uint64_t)st.st_size > MAX_FILE)
		return snpu_fail(-EFBIG, "'%s' has %lld bytes, at most %llu are read", path, (long long)st.st_size, MAX_FILE);
	*size = (size_t)st.st_size;
	p = malloc(*size ? *size : 1);
	if (!p)
		return snpu_fail(-ENOMEM, "no memory for the %zu bytes of '%s'", *size, path);
	while (at < *size) {
		ssize_t n = read(fd, p + at, *size - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			int err = n < 0 ? -errno : -EIO;

			free(p);
			return snpu_fail(err, "cannot read '%s' beyond byte %zu: %s", path, at, n < 0 ? strerror(-err) : "it became shorter");
		}
		at += (size_t)n;
	}
	*mem = p;
	return 0;
}

int h5x_file_read(const char *path, void **mem, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;

	if (fd < 0) {
		err = -errno;
		return snpu_fail(err, "cannot open '%s': %s", path, strerror(-err));
	}
	err = read_all(fd, path, mem, size);
	close(fd);
	return err;
}
