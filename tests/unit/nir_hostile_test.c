/* SPDX-License-Identifier: MIT */
/*
 * Files that libhdf5 writes, an independent writer: every way in which NIR files store things, and files made to hurt.
 * Each is built in memory with the HDF5 library and given to the loader.
 */
#include <hdf5.h>

#include "nir_rig.h"

struct build {
	hid_t file, node, nodes;
	hid_t access;
};

static void build_open(struct build *b, bool newest)
{
	b->access = H5Pcreate(H5P_FILE_ACCESS);
	H5Pset_fapl_core(b->access, 65536, 0);
	if (newest)
		H5Pset_libver_bounds(b->access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
	b->file = H5Fcreate("nir-under-test", H5F_ACC_TRUNC, H5P_DEFAULT, b->access);
	b->node = H5Gcreate2(b->file, "node", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
	b->nodes = H5Gcreate2(b->node, "nodes", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
}

static void put_string(hid_t at, const char *name, const char *value, bool fixed)
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

static void put_edges(hid_t at, unsigned n, const char *const *ends, bool fixed)
{
	hsize_t dims[2] = { n, 2 };
	hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate_simple(2, dims, NULL), set;
	char text[32][16] = { "" };

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

static void put_numbers(hid_t at, const char *name, hid_t file_type, int rank, const hsize_t *dims, const double *v, const struct storing *how)
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

static hid_t put_node(struct build *b, const char *name, const char *type)
{
	hid_t g = H5Gcreate2(b->nodes, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);

	put_string(g, "type", type, false);
	return g;
}

static void put_io(struct build *b, double size)
{
	hsize_t one = 1;
	hid_t g = put_node(b, "input", "Input");

	put_numbers(g, "shape", H5T_STD_I64LE, 1, &one, &size, NULL);
	H5Gclose(g);
	g = put_node(b, "output", "Output");
	put_numbers(g, "shape", H5T_STD_I64LE, 1, &one, &size, NULL);
	H5Gclose(g);
}

/* Closes the file and loads its bytes. */
static int build_load(struct build *b, struct snpu_model **m)
{
	ssize_t size;
	void *mem;
	int err;

	H5Gclose(b->nodes);
	H5Gclose(b->node);
	H5Fflush(b->file, H5F_SCOPE_GLOBAL);
	size = H5Fget_file_image(b->file, NULL, 0);
	mem = malloc((size_t)size);
	H5Fget_file_image(b->file, mem, (size_t)size);
	H5Fclose(b->file);
	H5Pclose(b->access);
	err = snpu_model_load_nir_memory(mem, (size_t)size, m);
	free(mem);
	return err;
}

static const char *const chain[] = { "input", "x", "x", "output" };

/* Input, one Scale of `n` values stored in that way, Output; runs 1 to see the values come out. */
static void check_storing(hid_t file_type, hsize_t n, const struct storing *how, bool newest, bool fixed)
{
	struct snpu_array ones = { 0 };
	struct snpu_input in = { .array = &ones };
	struct snpu_session *s;
	struct snpu_result *r;
	struct snpu_model *m;
	struct build b;
	double v[300];
	hid_t g;

	for (hsize_t i = 0; i < n; i++)
		v[i] = (double)i - 3;
	build_open(&b, newest);
	put_string(b.node, "type", "NIRGraph", fixed);
	put_edges(b.node, 2, chain, fixed);
	put_io(&b, (double)n);
	g = put_node(&b, "x", "Scale");
	put_numbers(g, "scale", file_type, 1, &n, v, how);
	H5Gclose(g);
	if (build_load(&b, &m)) {
		TH_FAILMSG("%s", snpu_last_error());
		return;
	}
	ASSERT_EQ(snpu_array_create(SNPU_F32, 2, (uint64_t[]){ 1, n }, &ones), 0);
	for (hsize_t i = 0; i < n; i++)
		((float *)ones.data)[i] = 1;
	ASSERT_EQ(snpu_session_create(m, NULL, &s), 0);
	ASSERT_EQ(snpu_session_run(s, &in, 1, &r), 0);
	for (hsize_t i = 0; i < n; i++)
		EXPECT_EQ(((float *)rig_record(r, "output")->data)[i], (float)v[i]);
	snpu_result_free(r);
	snpu_session_free(s);
	snpu_model_free(m);
	snpu_array_free(&ones);
}

TEST(all_ways_of_storing_numbers)
{
	static const struct storing ways[] = {
		{ 0 }, { .compact = true }, { .chunk = 300 }, { .chunk = 300, .deflate = true }, { .chunk = 7 }, { .chunk = 7, .deflate = true },
		{ .chunk = 300, .shuffle = true, .deflate = true }, { .chunk = 128, .checksum = true, .shuffle = true, .deflate = true },
		{ .chunk = 64, .shuffle = true },
	};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		check_storing(H5T_IEEE_F32LE, 300, &ways[i], false, false);
		check_storing(H5T_IEEE_F64LE, 300, &ways[i], false, true);
	}
	/* Enough chunks for a tree of two levels. */
	check_storing(H5T_IEEE_F32LE, 300, &(struct storing){ .chunk = 1, .deflate = true }, false, false);
}

TEST(all_kinds_of_integers)
{
	hid_t types[] = { H5T_STD_I16LE, H5T_STD_I32LE, H5T_STD_I64LE };

	for (int i = 0; i < 3; i++)
		check_storing(types[i], 300, NULL, false, false);
	check_storing(H5T_STD_I8LE, 100, NULL, false, false);
}

/* The format of libver='latest': other headers, links and layouts. */
TEST(the_newest_format)
{
	check_storing(H5T_IEEE_F32LE, 300, NULL, true, false);
	check_storing(H5T_IEEE_F32LE, 300, &(struct storing){ .compact = true }, true, true);
	check_storing(H5T_IEEE_F32LE, 300, &(struct storing){ .chunk = 300, .deflate = true }, true, false);
	check_storing(H5T_IEEE_F32LE, 300, &(struct storing){ .chunk = 300 }, true, false);
}

/* A group of 300 nodes: several symbol tables. Each has its own name and is found. */
TEST(many_nodes)
{
	struct snpu_model *m;
	struct build b;
	double one = 1;
	char name[16], before[16] = "input";
	static char ends[602][16];
	const char *list[602];
	hsize_t dims[2] = { 301, 2 };
	hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate_simple(2, dims, NULL), set;

	build_open(&b, false);
	put_string(b.node, "type", "NIRGraph", false);
	put_io(&b, 1);
	for (int i = 0; i < 300; i++) {
		hid_t g;

		snprintf(name, sizeof(name), "n%d", i);
		g = put_node(&b, name, "Scale");
		put_numbers(g, "scale", H5T_IEEE_F32LE, 0, NULL, &one, NULL);
		H5Gclose(g);
		snprintf(ends[2 * i], 16, "%s", before);
		snprintf(ends[2 * i + 1], 16, "%s", name);
		snprintf(before, sizeof(before), "%s", name);
	}
	snprintf(ends[600], 16, "%s", before);
	snprintf(ends[601], 16, "output");
	for (int i = 0; i < 602; i++)
		list[i] = ends[i];
	H5Tset_size(type, H5T_VARIABLE);
	set = H5Dcreate2(b.node, "edges", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
	H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, list);
	H5Dclose(set);
	H5Sclose(space);
	H5Tclose(type);
	ASSERT_EQ(build_load(&b, &m), 0);
	EXPECT_EQ(snpu_model_node_count(m), 302);
	EXPECT_EQ(snpu_model_edge_count(m), 301);
	snpu_model_free(m);
}

TEST(a_single_node_is_a_graph)
{
	struct snpu_model *m;
	struct build b;
	double v[3] = { 1, 2, 3 };
	hsize_t n = 3;

	build_open(&b, false);
	put_string(b.node, "type", "Scale", false);
	put_numbers(b.node, "scale", H5T_IEEE_F32LE, 1, &n, v, NULL);
	H5Gclose(H5Gcreate2(b.node, "metadata", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
	ASSERT_EQ(build_load(&b, &m), 0);
	EXPECT_EQ(snpu_model_node_count(m), 3);
	EXPECT_GE(snpu_model_find(m, "input"), 0);
	EXPECT_TRUE(rig_note(m, NULL, "input-missing"));
	EXPECT_TRUE(rig_note(m, NULL, "field-ignored"));	/* the group "nodes" that the node does not have */
	snpu_model_free(m);
}

/* Whole numbers of the metadata in digits: a reader that takes T for an integer must not see the 2 of "2e+01". */
TEST(metadata_as_text)
{
	static const struct { double v; const char *text; } cases[] = { { 20, "20" }, { 100, "100" }, { 1e6, "1000000" }, { 0.001, "0.001" }, { 25, "25" } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snpu_model *m;
		struct build b;
		double v[3] = { 1, 2, 3 };
		hsize_t n = 3;
		hid_t meta;

		build_open(&b, false);
		put_string(b.node, "type", "Scale", false);
		put_numbers(b.node, "scale", H5T_IEEE_F32LE, 1, &n, v, NULL);
		meta = H5Gcreate2(b.node, "metadata", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
		put_numbers(meta, "T", i & 1 ? H5T_IEEE_F64LE : H5T_STD_I64LE, 0, NULL, &cases[i].v, NULL);
		if (cases[i].v < 1) {
			H5Ldelete(meta, "T", H5P_DEFAULT);
			put_numbers(meta, "T", H5T_IEEE_F64LE, 0, NULL, &cases[i].v, NULL);
		}
		put_string(meta, "by", "Snn", true);
		put_string(b.file, "version", "1.0\033[2J", true);
		H5Gclose(meta);
		ASSERT_EQ(build_load(&b, &m), 0);
		EXPECT_STREQ(snpu_model_metadata(m, "T"), cases[i].text);
		EXPECT_STREQ(snpu_model_metadata(m, "by"), "Snn");
		EXPECT_STREQ(snpu_model_format(m), "NIR 1.0");
		snpu_model_free(m);
	}
}

/* --- files made to hurt ------------------------------------------------------------------------------------------- */

/* Builds input -> x -> output with x as `make` makes it; it must be refused with `says`. */
static void refuse(void (*make)(struct build *b), int err, const char *says)
{
	struct snpu_model *m;
	struct build b;

	build_open(&b, false);
	put_string(b.node, "type", "NIRGraph", false);
	put_edges(b.node, 2, chain, false);
	put_io(&b, 2);
	make(&b);
	EXPECT_EQ(build_load(&b, &m), err);
	EXPECT_CONTAINS(snpu_last_error(), says);
}

static void make_lif(struct build *b, double tau, double threshold, hid_t type)
{
	static const double zero[2], one[2] = { 1, 1 };
	double taus[2] = { 0.01, tau }, th[2] = { 1, threshold };
	hsize_t n = 2;
	hid_t g = put_node(b, "x", "LIF");

	put_numbers(g, "tau", type, 1, &n, taus, NULL);
	put_numbers(g, "r", type, 1, &n, one, NULL);
	put_numbers(g, "v_leak", type, 1, &n, zero, NULL);
	put_numbers(g, "v_threshold", type, 1, &n, th, NULL);
	H5Gclose(g);
}

static void tau_zero(struct build *b) { make_lif(b, 0, 1, H5T_IEEE_F64LE); }
static void tau_negative(struct build *b) { make_lif(b, -0.01, 1, H5T_IEEE_F64LE); }
static void tau_nan(struct build *b) { make_lif(b, NAN, 1, H5T_IEEE_F64LE); }
static void threshold_infinite(struct build *b) { make_lif(b, 0.01, INFINITY, H5T_IEEE_F32LE); }
static void too_large_for_f32(struct build *b) { make_lif(b, 0.01, 1e300, H5T_IEEE_F64LE); }
static void big_endian(struct build *b) { make_lif(b, 0.01, 1, H5T_IEEE_F64BE); }

static void unknown_type(struct build *b) { H5Gclose(put_node(b, "x", "Perceptron")); }
static void no_weight(struct build *b) { H5Gclose(put_node(b, "x", "Linear")); }
static void no_type(struct build *b) { H5Gclose(H5Gcreate2(b->nodes, "x", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT)); }
static void dataset_for_node(struct build *b) { put_string(b->nodes, "x", "Linear", false); }

static void string_for_number(struct build *b)
{
	hid_t g = put_node(b, "x", "Scale");

	put_string(g, "scale", "2", false);
	H5Gclose(g);
}

static void vector_for_matrix(struct build *b)
{
	double v[2] = { 1, 2 };
	hsize_t n = 2;
	hid_t g = put_node(b, "x", "Linear");

	put_numbers(g, "weight", H5T_IEEE_F32LE, 1, &n, v, NULL);
	H5Gclose(g);
}

static void wrong_size(struct build *b)
{
	double v[6] = { 0 };
	hsize_t n[2] = { 2, 3 };
	hid_t g = put_node(b, "x", "Linear");

	put_numbers(g, "weight", H5T_IEEE_F32LE, 2, n, v, NULL);
	H5Gclose(g);
}

/* Never written, so no chunk is in the file, but 10^15 elements are claimed. */
static void huge(struct build *b)
{
	hsize_t n[2] = { 30000000, 30000000 }, chunk[2] = { 64, 64 };
	hid_t g = put_node(b, "x", "Linear"), space = H5Screate_simple(2, n, NULL), plist = H5Pcreate(H5P_DATASET_CREATE);

	H5Pset_chunk(plist, 2, chunk);
	H5Dclose(H5Dcreate2(g, "weight", H5T_IEEE_F32LE, space, H5P_DEFAULT, plist, H5P_DEFAULT));
	H5Pclose(plist);
	H5Sclose(space);
	H5Gclose(g);
}

static void never_written(struct build *b)
{
	hsize_t n[2] = { 2, 2 };
	hid_t g = put_node(b, "x", "Linear"), space = H5Screate_simple(2, n, NULL);

	H5Dclose(H5Dcreate2(g, "weight", H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
	H5Sclose(space);
	H5Gclose(g);
}

static void soft_link(struct build *b) { H5Lcreate_soft("/node/nodes/input", b->nodes, "x", H5P_DEFAULT, H5P_DEFAULT); }
static void external_link(struct build *b) { H5Lcreate_external("/etc/passwd", "/", b->nodes, "x", H5P_DEFAULT, H5P_DEFAULT); }

static void data_elsewhere(struct build *b)
{
	hsize_t n[1] = { 2 };
	hid_t g = put_node(b, "x", "Scale"), space = H5Screate_simple(1, n, NULL), plist = H5Pcreate(H5P_DATASET_CREATE);

	H5Pset_external(plist, "/etc/passwd", 0, 8);
	H5Dclose(H5Dcreate2(g, "scale", H5T_IEEE_F32LE, space, H5P_DEFAULT, plist, H5P_DEFAULT));
	H5Pclose(plist);
	H5Sclose(space);
	H5Gclose(g);
}

/* The graph contains itself. */
static void cycle_of_links(struct build *b) { H5Lcreate_hard(b->file, "/node", b->nodes, "x", H5P_DEFAULT, H5P_DEFAULT); }

static void long_name(struct build *b)
{
	char name[1500];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	H5Gclose(put_node(b, name, "Scale"));
}

TEST(files_made_to_hurt)
{
	refuse(tau_zero, -EINVAL, "node 'x': element 1 of 'tau' is 0");
	refuse(tau_negative, -EINVAL, "a time constant must be positive");
	refuse(tau_nan, -EINVAL, "element 1 of 'tau' is nan");
	refuse(threshold_infinite, -EINVAL, "element 1 of 'v_threshold' is inf");
	refuse(too_large_for_f32, -EINVAL, "no finite 32-bit number");
	refuse(big_endian, -EBADMSG, "little-endian");
	refuse(unknown_type, -EINVAL, "'Perceptron', which NIR does not have");
	refuse(no_weight, -EINVAL, "node 'x' (Linear) has no 'weight'");
	refuse(no_type, -EBADMSG, "node 'x': it has no type");
	refuse(dataset_for_node, -EBADMSG, "not a group");
	refuse(string_for_number, -EBADMSG, "'scale' holds strings");
	refuse(vector_for_matrix, -EINVAL, "its weight has the shape (2)");
	refuse(wrong_size, -EINVAL, "node 'x' takes 3 inputs, 'input' gives 2");
	refuse(huge, -EBADMSG, "more elements than a file of this size can hold");
	refuse(never_written, -EBADMSG, "place of its data");
	refuse(soft_link, -EBADMSG, "link to another place");
	refuse(external_link, -EBADMSG, "link to another place");
	refuse(data_elsewhere, -EBADMSG, "data in another file");
	refuse(cycle_of_links, -EBADMSG, "contains itself");
	refuse(long_name, -EBADMSG, "name");
}

TEST_HARNESS_MAIN
