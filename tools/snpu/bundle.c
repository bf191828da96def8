// SPDX-License-Identifier: MIT
/*
 * Opens files of arrays and reads from them. Every function prints its own error, with the file's name, because callers
 * can only pass it on.
 */
#include "bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX	(8ull << 30)		/* bytes; more is a mistake */

/* Appends what `fd` gives until its end. 0 or a negative errno. */
static int read_all(int fd, unsigned char **mem, size_t *size)
{
	size_t room = 1 << 16, have = 0;
	unsigned char *buf = malloc(room);
	int err = buf ? 0 : -ENOMEM;

	while (!err) {
		ssize_t n = read(fd, buf + have, room - have);

		if (n == 0)
			break;
		if (n < 0) {
			err = errno == EINTR ? 0 : -errno;
			continue;
		}
		have += (size_t)n;
		if (have < room)
			continue;
		unsigned char *grown = have < FILE_MAX ? realloc(buf, room * 2) : NULL;

		err = have >= FILE_MAX ? -EFBIG : grown ? 0 : -ENOMEM;
		if (!err) {
			buf = grown;
			room *= 2;
		}
	}
	if (err) {
		free(buf);
		return err;
	}
	*mem = buf;
	*size = have;
	return 0;
}

enum snpu_exit snpu_file_read(const char *path, void **mem, size_t *size)
{
	bool standard = strcmp(path, "-") == 0;
	int fd = standard ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC), err = fd < 0 ? -errno : 0;
	struct stat st;

	/* /dev/zero has no end. */
	if (!err && !standard && !fstat(fd, &st) && (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))) {
		close(fd);
		return snpu_cli_fail(SNPU_EXIT_FAILURE, "give a file or a pipe", "cannot read %s: it is a device", path);
	}
	if (!err)
		err = read_all(fd, (unsigned char **)mem, size);

	if (fd >= 0)
		close(fd);
	if (!err)
		return SNPU_EXIT_OK;
	return snpu_cli_fail(SNPU_EXIT_FAILURE, "check the path and its permissions", "cannot read %s: %s", path, strerror(-err));
}

static bool starts(const struct snpu_bundle *b, const char *magic, size_t n)
{
	return b->size >= n && memcmp(b->mem, magic, n) == 0;
}

enum snpu_exit snpu_bundle_open(struct snpu_bundle *b, const char *path)
{
	enum snpu_exit st;
	size_t size;
	void *mem;

	memset(b, 0, sizeof(*b));
	st = snpu_file_read(path, &mem, &size);
	return st ? st : snpu_bundle_take(b, path, mem, size);
}

enum snpu_exit snpu_bundle_take(struct snpu_bundle *b, const char *path, void *mem, size_t size)
{
	enum snpu_exit st;

	*b = (struct snpu_bundle){ .path = path, .mem = mem, .size = size };
	b->image = snpu_image_is(b->mem, b->size);
	if (b->image || starts(b, "\x93NUMPY", 6))
		return SNPU_EXIT_OK;
	if (starts(b, "PK\3\4", 4) || starts(b, "PK\5\6", 4)) {
		if (snpu_npz_open(b->mem, b->size, &b->npz) == 0)
			return SNPU_EXIT_OK;
		st = snpu_cli_fail(SNPU_EXIT_FAILURE, NULL, "%s: %s", path, snpu_last_error());
	} else if (starts(b, "\x89HDF", 4)) {
		st = snpu_cli_fail(SNPU_EXIT_FAILURE, "snpu help run", "%s is an HDF5 file (a model?), and arrays or an image are needed here", path);
	} else {
		st = snpu_cli_fail(SNPU_EXIT_FAILURE, "numpy.savez(FILE, name=array) writes one that fits",
				   "%s (%zu bytes) is neither .npz, .npy, PNG, PGM nor a file of events that is known by its first bytes", path, b->size);
	}
	snpu_bundle_close(b);
	return st;
}

enum snpu_exit snpu_bundle_read(struct snpu_bundle *b, const char *name, uint64_t elements, struct snpu_array *out)
{
	const char *problem;
	int err;

	if (b->image) {
		problem = snpu_image_parse(b->mem, b->size, elements, out);
		return problem ? snpu_cli_fail(SNPU_EXIT_FAILURE, "convert it to a plain PNG or PGM", "cannot read the image %s: %s", b->path, problem)
			       : SNPU_EXIT_OK;
	}
	if (b->npz && !snpu_bundle_has(b, name))
		return snpu_cli_fail(SNPU_EXIT_FAILURE, NULL, "%s has no array '%s'; it has: %s", b->path, name, snpu_bundle_names(b));
	err = b->npz ? snpu_npz_read(b->npz, name, out) : snpu_npy_parse(b->mem, b->size, out);
	return err ? snpu_cli_fail(SNPU_EXIT_FAILURE, NULL, "%s: %s", b->path, snpu_last_error()) : SNPU_EXIT_OK;
}

unsigned int snpu_bundle_count(const struct snpu_bundle *b)
{
	return b->npz ? snpu_npz_count(b->npz) : 1;
}

const char *snpu_bundle_name(const struct snpu_bundle *b, unsigned int index)
{
	return b->npz ? snpu_npz_name(b->npz, index) : "";
}

bool snpu_bundle_has(const struct snpu_bundle *b, const char *name)
{
	for (unsigned int i = 0; i < snpu_bundle_count(b); i++)
		if (strcmp(snpu_bundle_name(b, i), name) == 0)
			return true;
	return false;
}

const char *snpu_bundle_names(const struct snpu_bundle *b)
{
	static char text[512];
	size_t n = 0;

	snprintf(text, sizeof(text), "nothing");
	for (unsigned int i = 0; i < snpu_bundle_count(b) && n < sizeof(text); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i ? ", " : "", snpu_bundle_name(b, i));
	return text;
}

void snpu_bundle_close(struct snpu_bundle *b)
{
	if (b->npz)
		snpu_npz_close(b->npz);
	free(b->mem);
	memset(b, 0, sizeof(*b));
}

const char *snpu_array_shape(const struct snpu_array *a)
{
	static char ring[4][SNPU_MAX_RANK * 22 + 2];
	static unsigned int next;
	char *text = ring[next++ % 4];
	size_t n = 0;

	snprintf(text, sizeof(ring[0]), "[]");
	for (unsigned int i = 0; i < a->rank && i < SNPU_MAX_RANK; i++)
		n += (size_t)snprintf(text + n, sizeof(ring[0]) - n, "[%llu]", (unsigned long long)a->shape[i]);
	return text;
}
