/* SPDX-License-Identifier: MIT */
/*
 * NumPy's .npz format: a zip archive of .npy files, through libzip. An archive that was opened belongs to one thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zip.h>

#include "core/fail.h"
#include "load/npz.h"

#define DEFLATE_MAX	1100ull		/* no stream shrinks by more */

struct snpu_npz {
	zip_t *zip;
	size_t size;			/* of the whole archive, bytes */
	unsigned n;
	char **names;			/* [n], of the archive's entries in order, without ".npy" */
};

static int fail_zip(zip_error_t *e, int err, const char *what)
{
	snpu_fail(err, "%s: %s", what, zip_error_strerror(e));
	zip_error_fini(e);
	return err;
}

static int read_names(struct snpu_npz *z)
{
	zip_int64_t n = zip_get_num_entries(z->zip, 0);

	if (n < 0 || n > 65535)
		return snpu_fail(-EBADMSG, "the .npz archive has %lld entries; it is damaged", (long long)n);
	z->names = calloc((size_t)n + 1, sizeof(*z->names));
	if (!z->names)
		return snpu_fail(-ENOMEM, "no memory for the names of a .npz archive");
	for (; z->n < (unsigned)n; z->n++) {
		const char *name = zip_get_name(z->zip, z->n, ZIP_FL_ENC_RAW);
		size_t len = name ? strlen(name) : 0;

		if (len > 4 && !strcmp(name + len - 4, ".npy"))
			len -= 4;
		z->names[z->n] = strndup(name ? name : "", len);
		if (!z->names[z->n])
			return snpu_fail(-ENOMEM, "no memory for the names of a .npz archive");
	}
	return 0;
}

int snpu_npz_open(const void *mem, size_t size, struct snpu_npz **out)
{
	struct snpu_npz *z = calloc(1, sizeof(*z));
	zip_error_t e;
	zip_source_t *src;
	int err;

	if (!z)
		return snpu_fail(-ENOMEM, "no memory for a .npz archive");
	zip_error_init(&e);
	z->size = size;
	src = zip_source_buffer_create(mem, size, 0, &e);
	z->zip = src ? zip_open_from_source(src, ZIP_RDONLY, &e) : NULL;
	if (!z->zip) {
		zip_source_free(src);
		free(z);
		return fail_zip(&e, -EBADMSG, "it is not a .npz file, or damaged; write it with numpy.savez()");
	}
	zip_error_fini(&e);
	err = read_names(z);
	if (err) {
		snpu_npz_close(z);
		return err;
	}
	*out = z;
	return 0;
}

void snpu_npz_close(struct snpu_npz *z)
{
	if (!z)
		return;
	zip_discard(z->zip);
	for (unsigned i = 0; i < z->n; i++)
		free(z->names[i]);
	free(z->names);
	free(z);
}

unsigned snpu_npz_count(const struct snpu_npz *z)
{
	return z->n;
}

const char *snpu_npz_name(const struct snpu_npz *z, unsigned index)
{
	return index < z->n ? z->names[index] : NULL;
}

static int read_entry(struct snpu_npz *z, unsigned index, uint64_t size, char *to)
{
	zip_file_t *f = zip_fopen_index(z->zip, index, 0);
	uint64_t at = 0;

	if (!f)
		return snpu_fail(-EBADMSG, "array '%s' of the .npz archive cannot be opened: %s", z->names[index], zip_strerror(z->zip));
	while (at < size) {
		zip_int64_t n = zip_fread(f, to + at, size - at);

		if (n <= 0)
			break;
		at += (uint64_t)n;
	}
	zip_fclose(f);
	return at == size ? 0 : snpu_fail(-EBADMSG, "array '%s' of the .npz archive ends after %llu of %llu bytes; the archive is damaged, copy it again",
					  z->names[index], (unsigned long long)at, (unsigned long long)size);
}

int snpu_npz_bytes(struct snpu_npz *z, const char *name, void **mem, size_t *size)
{
	unsigned i = 0;
	zip_stat_t st;
	int err;

	while (i < z->n && strcmp(z->names[i], name))
		i++;
	if (i == z->n)
		return snpu_fail(-ENOENT, "the .npz archive has no array '%s'; it has %u others", name, z->n);
	if (zip_stat_index(z->zip, i, 0, &st) || !(st.valid & ZIP_STAT_SIZE) || st.size / DEFLATE_MAX > z->size)
		return snpu_fail(-EBADMSG, "array '%s' of the .npz archive claims more bytes than the archive can hold; it is damaged, copy it again", name);
	*mem = malloc(st.size ? st.size : 1);
	if (!*mem)
		return snpu_fail(-ENOMEM, "no memory for the %llu bytes of array '%s'", (unsigned long long)st.size, name);
	*size = st.size;
	err = read_entry(z, i, st.size, *mem);
	if (err)
		free(*mem);
	return err;
}

int snpu_npz_read(struct snpu_npz *z, const char *name, struct snpu_array *out)
{
	size_t size;
	void *mem;
	int err = snpu_npz_bytes(z, name, &mem, &size);

	if (err)
		return err;
	err = snpu_npy_parse(mem, size, out);
	if (err)
		snpu_fail_in(err, "array '%s'", name);
	free(mem);
	return err;
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

static int add_array(zip_t *zip, const char *name, const struct snpu_array *a, void **mem)
{
	zip_source_t *src;
	zip_int64_t index;
	char *file;
	size_t size;
	int err = snpu_npy_format(a, mem, &size);

	if (err)
		return err;
	if (asprintf(&file, "%s.npy", name) < 0)
		return snpu_fail(-ENOMEM, "no memory for the name of array '%s'", name);
	src = zip_source_buffer(zip, *mem, size, 0);
	index = src ? zip_file_add(zip, file, src, ZIP_FL_ENC_UTF_8) : -1;
	free(file);
	if (index < 0) {
		zip_source_free(src);
		return snpu_fail(-EIO, "array '%s' cannot be written: %s", name, zip_strerror(zip));
	}
	/* 1980-01-01, what NumPy writes too: same arrays, same bytes. */
	zip_file_set_dostime(zip, (zip_uint64_t)index, 0, (1 << 5) | 1, 0);
	return 0;
}

static int check_names(unsigned count, const char *const *names)
{
	for (unsigned i = 0; i < count; i++) {
		if (!names[i][0])
			return snpu_fail(-EINVAL, "array %u of the archive has no name", i);
		for (unsigned k = 0; k < i; k++)
			if (!strcmp(names[i], names[k]))
				return snpu_fail(-EINVAL, "two arrays of the archive are called '%s'; record each only once", names[i]);
	}
	return 0;
}

int snpu_npz_write(const char *path, unsigned count, const char *const *names, const struct snpu_array *arrays)
{
	int code = 0, err = check_names(count, names);
	void **mem;
	zip_t *zip;

	if (err)
		return err;
	mem = calloc(count ? count : 1, sizeof(*mem));
	if (!mem)
		return snpu_fail(-ENOMEM, "no memory to write '%s'", path);
	zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &code);
	if (!zip) {
		zip_error_t e;

		free(mem);
		zip_error_init_with_code(&e, code);
		return fail_zip(&e, -EIO, path);
	}
	for (unsigned i = 0; i < count && !err; i++)
		err = add_array(zip, names[i], &arrays[i], &mem[i]);
	/* libzip writes to a file beside it and renames that. */
	if (!err && zip_close(zip) < 0)
		err = snpu_fail(-EIO, "'%s' cannot be written: %s", path, zip_strerror(zip));
	else if (!err)
		zip = NULL;
	if (zip)
		zip_discard(zip);
	for (unsigned i = 0; i < count; i++)
		free(mem[i]);
	free(mem);
	return err;
}
