/* SPDX-License-Identifier: MIT */
/* NIR files that libhdf5 writes, an independent writer, in memory; and what the loader makes of them. For one thread. */
#ifndef SNPU_TESTS_HDF5_RIG_H
#define SNPU_TESTS_HDF5_RIG_H

#include <hdf5.h>

#include "nir_rig.h"

struct build {
	hid_t file, node, nodes;
	hid_t access;
};

TH_VAR void build_open(struct build *b, bool newest)
{
	b->access = H5Pcreate(H5P_FILE_ACCESS);
	H5Pset_fapl_core(b->access, 65536, 0);
	if (newest)
		H5Pset_libver_bounds(b->access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
	b->file = H5Fcreate("nir-under-test", H5F_ACC_TRUNC, H5P_DEFAULT, b->access);
	b->node = H5Gcreate2(b->file, "node", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
	b->nodes = H5Gcreate2(b->node, "nodes", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
}

TH_VAR void put_string(hid_t at, const char *name, const char *value, bool fixed)
{
	hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR), set;

	H5Tset_size(type, fixed ? strlen(value) : H5T_VARIABLE);
	H5Tset_cset(type, H5T_CSET_UTF8);
	set = H5Dcreate2(at, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
	H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, fixed ? (const void *)value : &value);
	H5Dclose(set);
	H5Sclose(space);
	H5Tclose(type);
}

TH_VAR void put_edges(hid_t at, unsigned n, const char *const *ends, bool fixed)
{
	hsize_t dims[2] = { n, 2 };
	hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate_simple(2, dims, NULL), set;
	char text[64][16] = { "" };

	for (unsigned i = 0; i < 2 * n && fixed; i++)
		snprintf(text[i], 16, "%s", ends[i]);
	H5Tset_size(type, fixed ? 16 : H5T_VARIABLE);
	set = H5Dcreate2(at, "edges", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
	H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, fixed ? (const void *)text : ends);
	H5Dclose(set);
	H5Sclose(space);
	H5Tclose(type);
}

/* How a dataset is stored. chunk: elements of a chunk along the first axis, 0: contiguous. */
struct storing {
	hsize_t chunk;
	bool deflate, shuffle, checksum, compact;
};

TH_VAR void put_numbers(hid_t at, const char *name, hid_t file_type, int rank, const hsize_t *dims, const double *v, const struct storing *how)
{
	hid_t space = rank ? H5Screate_simple(rank, dims, NULL) : H5Screate(H5S_SCALAR), plist = H5Pcreate(H5P_DATASET_CREATE), set;
	hsize_t chunk[4];

	if (how && how->chunk) {
		memcpy(chunk, dims, sizeof(*dims) * (size_t)rank);
		chunk[0] = how->chunk;
		H5Pset_chunk(plist, rank, chunk);
	}
	if (how && how->checksum)
		H5Pset_fletcher32(plist);
	if (how && how->shuffle)
		H5Pset_shuffle(plist);
	if (how && how->deflate)
		H5Pset_deflate(plist, 6);
	if (how && how->compact)
		H5Pset_layout(plist, H5D_COMPACT);
	set = H5Dcreate2(at, name, file_type, space, H5P_DEFAULT, plist, H5P_DEFAULT);
	H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, v);
	H5Dclose(set);
	H5Pclose(plist);
	H5Sclose(space);
}

TH_VAR hid_t put_node(struct build *b, const char *name, const char *type)
{
	hid_t g = H5Gcreate2(b->nodes, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);

	put_string(g, "type", type, false);
	return g;
}

TH_VAR void put_io(struct build *b, double size)
{
	hsize_t one = 1;
	hid_t g = put_node(b, "input", "Input");

	put_numbers(g, "shape", H5T_STD_I64LE, 1, &one, &size, NULL);
	H5Gclose(g);
	g = put_node(b, "output", "Output");
	put_numbers(g, "shape", H5T_STD_I64LE, 1, &one, &size, NULL);
	H5Gclose(g);
}

/* Closes the file; its bytes are the caller's. */
TH_VAR void *build_close(struct build *b, size_t *size)
{
	void *mem;

	H5Gclose(b->nodes);
	H5Gclose(b->node);
	H5Fflush(b->file, H5F_SCOPE_GLOBAL);
	*size = (size_t)H5Fget_file_image(b->file, NULL, 0);
	mem = malloc(*size);
	H5Fget_file_image(b->file, mem, *size);
	H5Fclose(b->file);
	H5Pclose(b->access);
	return mem;
}

/* Closes the file and loads its bytes. */
TH_VAR int build_load(struct build *b, struct snpu_model **m)
{
	size_t size;
	void *mem = build_close(b, &size);
	int err = snpu_model_load_nir_memory(mem, size, m);

	free(mem);
	return err;
}

#endif
