/* SPDX-License-Identifier: MIT */
/* Files that libhdf5 writes, an independent writer: every way in which NIR files store things. Each is built in memory and loaded. */
#include "hdf5_rig.h"

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

/* A time step that cannot be one is not taken, and not an error either: it is somebody's remark. */
TEST(metadata_that_is_no_time_step)
{
	double v[3] = { 1, 2, 3 }, dt = -1;
	struct snpu_model *m;
	struct build b;
	hsize_t n = 3;
	hid_t meta;

	build_open(&b, false);
	put_string(b.node, "type", "Scale", false);
	put_numbers(b.node, "scale", H5T_IEEE_F32LE, 1, &n, v, NULL);
	meta = H5Gcreate2(b.node, "metadata", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
	put_numbers(meta, "dt", H5T_IEEE_F64LE, 0, NULL, &dt, NULL);
	H5Gclose(meta);
	ASSERT_EQ(build_load(&b, &m), 0);
	ASSERT_TRUE(rig_note(m, NULL, "metadata-dt"));
	EXPECT_EQ(rig_note(m, NULL, "metadata-dt")->kind, SNPU_NOTE_WARNING);
	snpu_model_free(m);
}

TEST_HARNESS_MAIN
