/* SPDX-License-Identifier: MIT */
/* What the NIR loader needs of HDF5; see h5.h. All with the loader's lock held. */
#include "load/nir/h5.h"

#include <stdlib.h>
#include <string.h>

/* deflate cannot shrink by more than this; a dataset that claims more than the file could hold is damage or an attack */
#define DEFLATE_MAX	1100ull

int h5x_open(struct h5x *x, const void *mem, size_t size)
{
	hid_t access;
	bool ok;

	memset(x, 0, sizeof(*x));
	if (!snpu_mul(size, DEFLATE_MAX, &x->budget))
		return snpu_fail(-EFBIG, "a file of %zu bytes is too large", size);
	/* HDF5 prints its error stack to stderr unless told otherwise; a library must not. */
	H5Eget_auto2(H5E_DEFAULT, &x->old_print, &x->old_arg);
	H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
	access = H5Pcreate(H5P_FILE_ACCESS);
	/* The image is a copy that HDF5 frees; nothing is ever written to a file of this name. */
	ok = access >= 0 && H5Pset_fapl_core(access, 1 << 16, 0) >= 0 && H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0 &&
	     H5Pset_file_image(access, (void *)mem, size) >= 0;
	x->file = ok ? H5Fopen("nir-in-memory", H5F_ACC_RDONLY, access) : -1;
	if (access >= 0)
		H5Pclose(access);
	if (x->file >= 0)
		return 0;
	h5x_close(x);
	return snpu_fail(-EBADMSG, "it is not an HDF5 file, or its first %zu bytes are damaged; export or copy it again", size < 2048 ? size : 2048);
}

void h5x_close(struct h5x *x)
{
	if (x->file > 0)
		H5Fclose(x->file);
	H5Eclear2(H5E_DEFAULT);
	H5Eset_auto2(H5E_DEFAULT, x->old_print, x->old_arg);
	x->file = -1;
}

int h5x_get(hid_t at, const char *name, H5I_type_t type, hid_t *out)
{
	H5L_info_t link;
	htri_t there = H5Lexists(at, name, H5P_DEFAULT);
	hid_t id;

	if (there == 0)
		return 0;
	if (there < 0 || H5Lget_info(at, name, &link, H5P_DEFAULT) < 0)
		return snpu_fail(-EBADMSG, "'%s' is damaged; export or copy the file again", name);
	if (link.type != H5L_TYPE_HARD)
		return snpu_fail(-EBADMSG, "'%s' is a link to another place, which NIR files do not have; store the thing itself", name);
	id = H5Oopen(at, name, H5P_DEFAULT);
	if (id < 0)
		return snpu_fail(-EBADMSG, "'%s' is damaged; export or copy the file again", name);
	if (H5Iget_type(id) != type) {
		H5Oclose(id);
		return snpu_fail(-EBADMSG, "'%s' is not a %s; check the program that wrote the file", name, type == H5I_GROUP ? "group" : "dataset");
	}
	*out = id;
	return 1;
}

void h5x_put(hid_t id)
{
	if (id > 0)
		H5Oclose(id);
}

bool h5x_is_group(hid_t at, const char *name)
{
	H5L_info_t link;
	bool group;
	hid_t id;

	if (H5Lget_info(at, name, &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD)
		return false;
	id = H5Oopen(at, name, H5P_DEFAULT);
	group = id >= 0 && H5Iget_type(id) == H5I_GROUP;
	if (id >= 0)
		H5Oclose(id);
	return group;
}

int h5x_count(hid_t group, uint64_t *count)
{
	H5G_info_t info;

	if (H5Gget_info(group, &info) < 0)
		return snpu_fail(-EBADMSG, "the list of names in a group is damaged; export or copy the file again");
	*count = info.nlinks;
	return 0;
}

int h5x_name(hid_t group, uint64_t index, char name[H5X_NAME])
{
	ssize_t n = H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, index, name, H5X_NAME, H5P_DEFAULT);

	if (n <= 0 || n >= H5X_NAME)
		return snpu_fail(-EBADMSG, "name %llu in a group is damaged or longer than %d bytes; export or copy the file again",
				 (unsigned long long)index, H5X_NAME - 1);
	return 0;
}

/* Data in other files, through external storage or virtual datasets, is none of a model's business. */
static bool stays_inside(hid_t dataset)
{
	hid_t created = H5Dget_create_plist(dataset);
	H5D_layout_t layout;
	bool ok = created >= 0;

	if (ok) {
		layout = H5Pget_layout(created);
		ok = layout == H5D_CONTIGUOUS || layout == H5D_CHUNKED || layout == H5D_COMPACT;
		ok = ok && (layout != H5D_CONTIGUOUS || H5Pget_external_count(created) == 0);
		H5Pclose(created);
	}
	return ok;
}

/* The shape of a dataset; charges `elem` bytes for each element to the budget. */
static int read_shape(struct h5x *x, hid_t dataset, const char *what, uint64_t elem, struct h5x_array *a)
{
	hsize_t dims[H5X_RANK] = { 0 };
	hid_t space = H5Dget_space(dataset);
	H5S_class_t class = space >= 0 ? H5Sget_simple_extent_type(space) : H5S_NO_CLASS;
	int rank = class == H5S_SIMPLE ? H5Sget_simple_extent_ndims(space) : 0;
	bool ok = class == H5S_SCALAR || class == H5S_SIMPLE;
	uint64_t bytes;

	ok = ok && rank >= 0 && rank <= H5X_RANK && (!rank || H5Sget_simple_extent_dims(space, dims, NULL) == rank);
	if (space >= 0)
		H5Sclose(space);
	if (!ok || !stays_inside(dataset))
		return snpu_fail(-EBADMSG, "'%s' is damaged, empty, or has more than %d axes; export or copy the file again", what, H5X_RANK);
	a->rank = (unsigned)rank;
	a->count = 1;
	for (int i = 0; i < rank; i++) {
		a->shape[i] = dims[i];
		ok = ok && snpu_mul(a->count, dims[i], &a->count);
	}
	if (!ok || !snpu_mul(a->count, elem, &bytes) || bytes > x->budget)
		return snpu_fail(-EBADMSG, "'%s' claims more elements than a file of this size can hold; it is damaged, copy it again", what);
	x->budget -= bytes;
	return 0;
}

int h5x_read(struct h5x *x, hid_t dataset, const char *what, struct h5x_array *out)
{
	hid_t type = H5Dget_type(dataset);
	H5T_class_t class = type >= 0 ? H5Tget_class(type) : H5T_NO_CLASS;
	size_t elem = type >= 0 ? H5Tget_size(type) : 0;
	void *data = NULL;
	int err;

	memset(out, 0, sizeof(*out));
	if (type >= 0)
		H5Tclose(type);
	if ((class != H5T_FLOAT && class != H5T_INTEGER) || elem > 8)
		return snpu_fail(-EBADMSG, "'%s' does not hold numbers of at most 8 bytes; check the program that wrote the file", what);
	err = read_shape(x, dataset, what, elem, out);
	if (err)
		return err;
	out->floats = class == H5T_FLOAT;
	data = calloc(out->count ? out->count : 1, 8);
	if (!data)
		return snpu_fail(-ENOMEM, "no memory for the %llu numbers of '%s'", (unsigned long long)out->count, what);
	if (out->floats)
		out->f = data;
	else
		out->i = data;
	if (out->count && H5Dread(dataset, out->floats ? H5T_NATIVE_DOUBLE : H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
		return snpu_fail(-EBADMSG, "the data of '%s' cannot be read; the file is damaged or compressed in a way this HDF5 does not know", what);
	return 0;
}

void h5x_array_free(struct h5x_array *a)
{
	free(a->f);
	free(a->i);
	a->f = NULL;
	a->i = NULL;
}

/* A string type in memory like the file's, because HDF5 does not convert between character sets. -1 when it is none. */
static hid_t string_type(hid_t dataset, bool *variable, size_t *size)
{
	hid_t file_type = H5Dget_type(dataset), mem = -1;
	htri_t is_variable;

	if (file_type < 0)
		return -1;
	if (H5Tget_class(file_type) == H5T_STRING) {
		is_variable = H5Tis_variable_str(file_type);
		*variable = is_variable > 0;
		*size = *variable ? sizeof(char *) : H5Tget_size(file_type);
		mem = is_variable < 0 || !*size || *size > H5X_NAME ? -1 : H5Tcopy(H5T_C_S1);
		if (mem >= 0 && (H5Tset_size(mem, *variable ? H5T_VARIABLE : *size + 1) < 0 || H5Tset_cset(mem, H5Tget_cset(file_type)) < 0)) {
			H5Tclose(mem);
			mem = -1;
		}
		if (!*variable)
			++*size;	/* a fixed string may fill its field; memory has a zero behind it */
	}
	H5Tclose(file_type);
	return mem;
}

/* Copies `count` strings, read as the file has them, to `to`. Cuts none: a long one is an error. */
static int copy_strings(const char *raw, bool variable, size_t size, uint64_t count, const char *what, char (*to)[H5X_NAME])
{
	for (uint64_t k = 0; k < count; k++) {
		const char *s = raw + k * size;
		size_t n;

		if (variable)
			memcpy(&s, raw + k * size, sizeof(s));
		n = s ? strnlen(s, variable ? H5X_NAME : size) : 0;
		if (n >= H5X_NAME)
			return snpu_fail(-EBADMSG, "a string of '%s' is longer than %d bytes; use shorter names", what, H5X_NAME - 1);
		if (n)
			memcpy(to[k], s, n);
		to[k][n] = 0;
	}
	return 0;
}

static int read_strings(hid_t dataset, const char *what, uint64_t count, char (*to)[H5X_NAME])
{
	bool variable = false;
	size_t size = 0;
	hid_t space, type = string_type(dataset, &variable, &size);
	char *raw;
	int err;

	if (type < 0)
		return snpu_fail(-EBADMSG, "'%s' does not hold strings of at most %d bytes; check the program that wrote the file", what, H5X_NAME - 1);
	raw = calloc(count, size);
	if (!raw)
		err = snpu_fail(-ENOMEM, "no memory for the strings of '%s'", what);
	else if (H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, raw) < 0)
		err = snpu_fail(-EBADMSG, "the strings of '%s' cannot be read; the file is damaged, copy it again", what);
	else
		err = copy_strings(raw, variable, size, count, what, to);
	space = variable && raw ? H5Dget_space(dataset) : -1;
	if (space >= 0) {
		H5Dvlen_reclaim(type, space, H5P_DEFAULT, raw);
		H5Sclose(space);
	}
	free(raw);
	H5Tclose(type);
	return err;
}

int h5x_read_string(hid_t dataset, const char *what, char out[H5X_NAME])
{
	struct h5x charge = { .budget = H5X_NAME };
	struct h5x_array a = { 0 };
	int err = read_shape(&charge, dataset, what, 1, &a);

	if (err)
		return err;
	if (a.count != 1)
		return snpu_fail(-EBADMSG, "'%s' holds %llu strings instead of one; check the program that wrote the file", what, (unsigned long long)a.count);
	return read_strings(dataset, what, 1, (char (*)[H5X_NAME])out);
}

int h5x_read_pairs(struct h5x *x, hid_t dataset, const char *what, uint64_t max, char ***out, uint64_t *count)
{
	struct h5x_array a = { 0 };
	char (*text)[H5X_NAME], **list;
	int err = read_shape(x, dataset, what, 16, &a);

	if (err)
		return err;
	*count = a.count / 2;
	if (a.count && (a.rank != 2 || a.shape[1] != 2))
		return snpu_fail(-EBADMSG, "'%s' is not a list of pairs; check the program that wrote the file", what);
	if (*count > max)
		return snpu_fail(-E2BIG, "'%s' has %llu entries, at most %llu are possible", what, (unsigned long long)*count, (unsigned long long)max);
	list = calloc(a.count + 1, sizeof(*list) + H5X_NAME);
	if (!list)
		return snpu_fail(-ENOMEM, "no memory for the %llu entries of '%s'", (unsigned long long)*count, what);
	text = (char (*)[H5X_NAME])(list + a.count + 1);
	for (uint64_t k = 0; k < a.count; k++)
		list[k] = text[k];
	err = a.count ? read_strings(dataset, what, a.count, text) : 0;
	if (err)
		free(list);
	else
		*out = list;
	return err;
}
