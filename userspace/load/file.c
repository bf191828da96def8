/* SPDX-License-Identifier: MIT */
/* Whole files, mapped read-only. Threads share nothing here. See ckpt.h. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "load/ckpt.h"

static int check(int fd, const char *path, uint64_t max, struct stat *st)
{
	if (fstat(fd, st)) {
		int err = -errno;

		return snpu_fail(err, "'%s' cannot be read: %s", path, strerror(-err));
	}
	if (!S_ISREG(st->st_mode))
		return snpu_fail(-EINVAL, "'%s' is no regular file; name one", path);
	if (!st->st_size)
		return snpu_fail(-EBADMSG, "'%s' is empty; copy it again", path);
	if ((max && (uint64_t)st->st_size > max) || (uint64_t)st->st_size > SIZE_MAX / 2)
		return snpu_fail(-EFBIG, "'%s' has %lld bytes, at most %llu are read; check what it is", path, (long long)st->st_size,
				 (unsigned long long)(max ? max : SIZE_MAX / 2));
	return 0;
}

int snpu_file_map(const char *path, uint64_t max, const void **mem, size_t *size)
{
	/* Opening a pipe must not wait for its other end. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err;
	struct stat st;
	void *p;

	if (fd < 0) {
		err = -errno;
		return snpu_fail(err, "'%s' cannot be opened: %s", path, strerror(-err));
	}
	err = check(fd, path, max, &st);
	if (err) {
		close(fd);
		return err;
	}
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	err = -errno;
	close(fd);
	if (p == MAP_FAILED)
		return snpu_fail(err, "the %lld bytes of '%s' cannot be mapped: %s", (long long)st.st_size, path, strerror(-err));
	*mem = p;
	*size = (size_t)st.st_size;
	return 0;
}

void snpu_file_unmap(const void *mem, size_t size)
{
	if (mem)
		munmap((void *)(uintptr_t)mem, size);
}
