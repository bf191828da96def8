/* SPDX-License-Identifier: MIT */
/*
 * Files made to hurt, written by libhdf5. Each must be refused with a sentence, and nothing may be lost: no memory, and not the next file.
 */
#include "hdf5_rig.h"

static const char *const chain[] = { "input", "x", "x", "output" };

/* Pieces of memory that the library and this test hold (libhdf5, a shared library, does not get these). */
static long pieces;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strndup(const char *s, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strndup(const char *s, size_t n);
void __wrap_free(void *p);

static void *counted(void *p, bool is_new)
{
	pieces += p && is_new;
	return p;
}

void *__wrap_malloc(size_t size) { return counted(__real_malloc(size), true); }
void *__wrap_calloc(size_t n, size_t size) { return counted(__real_calloc(n, size), true); }
void *__wrap_realloc(void *p, size_t size) { return counted(__real_realloc(p, size), !p); }
void *__wrap_reallocarray(void *p, size_t n, size_t size) { return counted(__real_reallocarray(p, n, size), !p); }
char *__wrap_strndup(const char *s, size_t n) { return counted(__real_strndup(s, n), true); }

void __wrap_free(void *p)
{
	pieces -= p != NULL;
	__real_free(p);
}

/* Closes the file; it must be refused, and nothing may be left of it. The error is in snpu_last_error(). */
static void expect_refused(struct build *b, int err)
{
	struct snpu_model *m;
	size_t size;
	void *mem = build_close(b, &size);
	long before = pieces;

	EXPECT_EQ(snpu_model_load_nir_memory(mem, size, &m), err);
	EXPECT_EQ(pieces, before);
	free(mem);
}

static void graph_open(struct build *b, unsigned n_edges, const char *const *ends)
{
	build_open(b, false);
	put_string(b->node, "type", "NIRGraph", false);
	put_edges(b->node, n_edges, ends, false);
	put_io(b, 2);
}

/* Builds input -> x -> output with x as `make` makes it; it must be refused with `says`. */
static void refuse(void (*make)(struct build *b), int err, const char *says)
{
	struct build b;

	graph_open(&b, 2, chain);
	make(&b);
	expect_refused(&b, err);
	EXPECT_CONTAINS(snpu_last_error(), says);
}

static void put_scale(struct build *b, const char *name)
{
	static const double two[2] = { 2, 2 };
	hsize_t n = 2;
	hid_t g = put_node(b, name, "Scale");

	put_numbers(g, "scale", H5T_IEEE_F32LE, 1, &n, two, NULL);
	H5Gclose(g);
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

static void never_written(struct build *b)
{
	hsize_t n[2] = { 2, 2 };
	hid_t g = put_node(b, "x", "Linear"), space = H5Screate_simple(2, n, NULL);

	H5Dclose(H5Dcreate2(g, "weight", H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
	H5Sclose(space);
	H5Gclose(g);
}

/* A Conv2d of one 1 x 1 kernel with these numbers; padding NULL: the number 0. */
static void make_conv(struct build *b, double stride, double groups, const char *padding)
{
	static const double one = 1, zero = 0;
	hsize_t n[4] = { 1, 1, 1, 1 };
	hid_t g = put_node(b, "x", "Conv2d");

	put_numbers(g, "weight", H5T_IEEE_F32LE, 4, n, &one, NULL);
	put_numbers(g, "bias", H5T_IEEE_F32LE, 1, n, &zero, NULL);
	put_numbers(g, "stride", H5T_STD_I64LE, 1, n, &stride, NULL);
	put_numbers(g, "dilation", H5T_STD_I64LE, 0, NULL, &one, NULL);
	put_numbers(g, "groups", H5T_STD_I64LE, 0, NULL, &groups, NULL);
	if (padding)
		put_string(g, "padding", padding, true);
	else
		put_numbers(g, "padding", H5T_STD_I64LE, 1, n, &zero, NULL);
	H5Gclose(g);
}

static void stride_zero(struct build *b) { make_conv(b, 0, 1, NULL); }
static void stride_huge(struct build *b) { make_conv(b, 1e15, 1, "valid"); }
static void groups_apart(struct build *b) { make_conv(b, 1, 3, NULL); }
static void padding_unknown(struct build *b) { make_conv(b, 1, 1, "circular"); }
static void image_of_a_vector(struct build *b) { make_conv(b, 1, 1, "same"); }

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
	refuse(stride_zero, -EINVAL, "node 'x': 'stride' is 0");
	refuse(stride_huge, -EINVAL, "node 'x': 'stride' is 1000000000000000");
	refuse(groups_apart, -EINVAL, "1 output channels in 3 groups");
	refuse(padding_unknown, -EINVAL, "padding is 'circular'");
	refuse(image_of_a_vector, -EINVAL, "takes (channels,rows,columns), 'input' gives the shape (2)");
	refuse(never_written, -EBADMSG, "place of its data");
	refuse(soft_link, -EBADMSG, "link to another place");
	refuse(external_link, -EBADMSG, "link to another place");
	refuse(data_elsewhere, -EBADMSG, "data in another file");
	refuse(long_name, -EBADMSG, "name");
}

/* --- nesting ------------------------------------------------------------------------------------------------------- */

/* input -> x -> output, where x is `depth` graphs in each other around a Scale. */
static void open_nested(struct build *b, int depth)
{
	static const char *const inner[] = { "in", "x", "x", "out" };
	struct build at;
	double two = 2;
	hsize_t one = 1;

	graph_open(b, 2, chain);
	at = *b;
	for (int d = 0; d < depth; d++) {
		hid_t g = put_node(&at, "x", "NIRGraph"), end;

		put_edges(g, 2, inner, false);
		if (d)
			H5Gclose(at.nodes);
		at.nodes = H5Gcreate2(g, "nodes", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
		H5Gclose(g);
		for (int i = 0; i < 2; i++) {
			end = put_node(&at, i ? "out" : "in", i ? "Output" : "Input");
			put_numbers(end, "shape", H5T_STD_I64LE, 1, &one, &two, NULL);
			H5Gclose(end);
		}
	}
	put_scale(&at, "x");
	if (depth)
		H5Gclose(at.nodes);
}

TEST(deep_nesting)
{
	static const char sentence[] =
		"graphs are nested more than 8 deep at 'x/x/x/x/x/x/x/x/'; the file is damaged, or contains itself";
	struct snpu_model *m;
	struct build b;

	open_nested(&b, 7);			/* the outer one is the eighth */
	ASSERT_EQ(build_load(&b, &m), 0);
	EXPECT_GE(snpu_model_find(m, "x/x/x/x/x/x/x/x"), 0);
	snpu_model_free(m);
	open_nested(&b, 8);
	expect_refused(&b, -EBADMSG);
	EXPECT_STREQ(snpu_last_error(), sentence);
	open_nested(&b, 200);
	expect_refused(&b, -EBADMSG);
	EXPECT_STREQ(snpu_last_error(), sentence);
}

/* By links, without end: the same depth ends it. */
TEST(a_graph_that_contains_itself)
{
	struct build b;

	graph_open(&b, 2, chain);
	H5Lcreate_hard(b.file, "/node", b.nodes, "x", H5P_DEFAULT, H5P_DEFAULT);
	expect_refused(&b, -EBADMSG);
	EXPECT_STREQ(snpu_last_error(), "graphs are nested more than 8 deep at 'x/x/x/x/x/x/x/x/'; the file is damaged, or contains itself");
}

/* Fifty links to itself at each level would be 50^8 graphs. */
TEST(a_graph_that_contains_itself_often)
{
	struct build b;
	char name[16];

	graph_open(&b, 2, chain);
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "x%d", i);
		H5Lcreate_hard(b.file, "/node", b.nodes, name, H5P_DEFAULT, H5P_DEFAULT);
	}
	expect_refused(&b, -EBADMSG);
	EXPECT_CONTAINS(snpu_last_error(), "; the file is damaged, or contains itself");
}

/* --- shapes -------------------------------------------------------------------------------------------------------- */

static void put_unwritten(struct build *b, const char *type, const char *name, int rank, const hsize_t *dims)
{
	hsize_t chunk[9] = { 1, 1, 1, 1, 1, 1, 1, 1, 1 };
	hid_t g = put_node(b, "x", type), space = H5Screate_simple(rank, dims, NULL), plist = H5Pcreate(H5P_DATASET_CREATE);

	H5Pset_chunk(plist, rank, chunk);
	H5Dclose(H5Dcreate2(g, name, H5T_IEEE_F32LE, space, H5P_DEFAULT, plist, H5P_DEFAULT));
	H5Pclose(plist);
	H5Sclose(space);
	H5Gclose(g);
}

static void refuse_shape(const char *type, const char *name, int rank, const hsize_t *dims, const char *sentence)
{
	struct build b;

	graph_open(&b, 2, chain);
	put_unwritten(&b, type, name, rank, dims);
	expect_refused(&b, -EBADMSG);
	EXPECT_STREQ(snpu_last_error(), sentence);
}

/* More than any memory, a product that is 0 modulo 2^64, more axes than there may be: claimed, never stored. */
TEST(huge_shapes_of_parameters)
{
	hsize_t many[2] = { 30000000, 30000000 }, wraps[4] = { 1 << 16, 1 << 16, 1 << 16, 1 << 16 }, nine[9] = { 1, 1, 1, 1, 1, 1, 1, 1, 2 };

	refuse_shape("Linear", "weight", 2, many, "node 'x': 'weight' claims more elements than a file of this size can hold; it is damaged, copy it again");
	refuse_shape("Scale", "scale", 2, many, "node 'x': 'scale' claims more elements than a file of this size can hold; it is damaged, copy it again");
	refuse_shape("Conv2d", "weight", 4, wraps, "node 'x': 'weight' is damaged (shape); export or copy the file again");
	refuse_shape("Scale", "scale", 9, nine, "node 'x': 'scale' has 9 axes, at most 8 are possible; the file may be damaged");
}

/* The file is small: a few numbers say how large the layers are. */
static void refuse_image(double channels, double side, double stride, int err, const char *sentence)
{
	double shape[3] = { channels, side, side }, two = 2, zero = 0;
	static const char *const to_pool[] = { "image", "x", "x", "output" };
	hsize_t three = 3;
	struct build b;
	hid_t g;

	graph_open(&b, 2, to_pool);
	H5Ldelete(b.nodes, "input", H5P_DEFAULT);
	g = put_node(&b, "image", "Input");
	put_numbers(g, "shape", H5T_STD_I64LE, 1, &three, shape, NULL);
	H5Gclose(g);
	g = put_node(&b, "x", "SumPool2d");
	put_numbers(g, "kernel_size", H5T_STD_I64LE, 0, NULL, &two, NULL);
	put_numbers(g, "stride", H5T_STD_I64LE, 0, NULL, &stride, NULL);
	put_numbers(g, "padding", H5T_STD_I64LE, 0, NULL, &zero, NULL);
	H5Gclose(g);
	expect_refused(&b, err);
	EXPECT_STREQ(snpu_last_error(), sentence);
}

TEST(huge_shapes_of_layers)
{
	refuse_image(1e12, 1e6, 2, -E2BIG, "node 'image' has the shape (1000000000000,1000000,1000000), at most 16777216 elements are possible; use a smaller layer");
	refuse_image(4, 4294967296.0, 2, -E2BIG, "node 'image' has the shape (4,4294967296,4294967296), at most 16777216 elements are possible; use a smaller layer");
	refuse_image(16777217, 1, 2, -E2BIG, "node 'image' has the shape (16777217,1,1), at most 16777216 elements are possible; use a smaller layer");
	refuse_image(70000, 2, 2, -E2BIG, "node 'x' gets 70000 channels, at most 65536 are possible; use a smaller layer");
	refuse_image(1, 4, 1e18, -EINVAL, "node 'x': 'stride' is 1000000000000000000, possible are 1 to 65536; check the program that wrote it");
	refuse_image(-1, 4, 2, -EINVAL, "node 'image': its shape has -1 elements along axis 0; check the program that wrote it");
	refuse_image(1, 0, 2, -EINVAL, "node 'image': its shape has 0 elements along axis 1; check the program that wrote it");
}

/* --- cycles -------------------------------------------------------------------------------------------------------- */

static void refuse_cycle(unsigned n_edges, const char *const *ends, unsigned n_nodes)
{
	char name[16];
	struct build b;

	graph_open(&b, n_edges, ends);
	for (unsigned i = 0; i < n_nodes; i++) {
		snprintf(name, sizeof(name), "s%u", i);
		put_scale(&b, name);
	}
	expect_refused(&b, -EINVAL);
	EXPECT_STREQ(snpu_last_error(), "node 's0' is in a cycle without a neuron, so its input depends on its own output of the same step; "
					"put a neuron with a state into the cycle");
}

TEST(cycles_without_a_neuron)
{
	static const char *const self[] = { "input", "s0", "s0", "s0", "s0", "output" };
	static const char *const two[] = { "input", "s0", "s0", "s1", "s1", "s0", "s1", "output" };
	static const char *const alone[] = { "input", "output", "s0", "s1", "s1", "s0" };
	static char name[400][16];
	const char *ring[2 * 202] = { "input", "s0", "s199", "output" };

	refuse_cycle(3, self, 1);
	refuse_cycle(4, two, 2);
	refuse_cycle(3, alone, 2);		/* that nothing enters, and nothing leaves */
	for (int i = 0; i < 200; i++) {
		snprintf(name[2 * i], 16, "s%d", i);
		snprintf(name[2 * i + 1], 16, "s%d", (i + 1) % 200);
		ring[4 + 2 * i] = name[2 * i];
		ring[5 + 2 * i] = name[2 * i + 1];
	}
	refuse_cycle(202, ring, 200);
}

/* A Delay ends a cycle, but not one of no steps; only a session knows how long a step is. */
TEST(a_cycle_with_a_delay_of_no_steps)
{
	static const char *const ends[] = { "input", "s0", "s0", "d", "d", "s0", "s0", "output" };
	double late[2] = { 0.01, 0.0004 };
	struct snpu_session_opts o = { .sz = sizeof(o), .dt = 1e-3 };
	struct snpu_session *s;
	struct snpu_model *m;
	hsize_t n = 2;
	struct build b;
	hid_t g;

	graph_open(&b, 4, ends);
	put_scale(&b, "s0");
	g = put_node(&b, "d", "Delay");
	put_numbers(g, "delay", H5T_IEEE_F32LE, 1, &n, late, NULL);
	H5Gclose(g);
	ASSERT_EQ(build_load(&b, &m), 0);
	EXPECT_EQ(snpu_session_create(m, &o, &s), -EINVAL);
	EXPECT_STREQ(snpu_last_error(), "node 'd' is in a cycle, and element 1 of 'delay' is 0.0004 s, less than a time step of 0.001 s; "
					"make it longer, or --dt shorter (option dt)");
	snpu_model_free(m);
}

/* --- edges --------------------------------------------------------------------------------------------------------- */

static void refuse_edges(unsigned n_edges, const char *const *ends, int err, const char *sentence)
{
	struct build b;

	graph_open(&b, n_edges, ends);
	put_scale(&b, "x");
	put_scale(&b, "y");
	expect_refused(&b, err);
	EXPECT_STREQ(snpu_last_error(), sentence);
}

TEST(dangling_edges)
{
	static const char *const nowhere[] = { "input", "x", "x", "z", "z", "y", "y", "output" };
	static const char *const twice[] = { "input", "x", "x", "z", "w", "y", "y", "output" };
	static const char *const either[] = { "input", "z", "z", "output" };
	static const char *const nothing[] = { "input", "x", "x", "y", "y", "output", "y", "" };
	static const char *const into_input[] = { "input", "x", "x", "input", "x", "y", "y", "output" };
	static const char *const from_output[] = { "input", "x", "x", "y", "y", "output", "output", "y" };
	static const char *const unfed[] = { "input", "x", "x", "output", "y", "output" };

	refuse_edges(4, nowhere, -EBADMSG, "edges of graph '/' name the node 'z', which does not exist, and 0 nodes are without edges, "
					   "so it cannot be told which is meant; check the program that wrote the file");
	refuse_edges(2, either, -EBADMSG, "edges of graph '/' name the node 'z', which does not exist, and 2 nodes are without edges, "
					  "so it cannot be told which is meant; check the program that wrote the file");
	refuse_edges(4, nothing, -EBADMSG, "edges of graph '/' name the node '', which does not exist, and 0 nodes are without edges, "
					   "so it cannot be told which is meant; check the program that wrote the file");
	refuse_edges(4, twice, -EBADMSG, "edges of graph '/' name the nodes 'z' and 'w', which do not exist; check the program that wrote the file");
	refuse_edges(4, into_input, -EINVAL, "the model has 0 open Input and 1 open Output nodes; it needs at least one of each");
	refuse_edges(4, from_output, -EINVAL, "the model has 1 open Input and 0 open Output nodes; it needs at least one of each");
	refuse_edges(3, unfed, -EINVAL, "node 'y' (Scale) has no input; connect it or remove it");
}

/* The list of edges replaced by rows x 2 or 3 numbers, or by nothing. */
static void refuse_list(hsize_t columns, const char *sentence)
{
	double numbers[6] = { 0 };
	hsize_t dims[2] = { 2, columns };
	struct build b;

	graph_open(&b, 2, chain);
	put_scale(&b, "x");
	H5Ldelete(b.node, "edges", H5P_DEFAULT);
	if (columns)
		put_numbers(b.node, "edges", H5T_STD_I64LE, 2, dims, numbers, NULL);
	expect_refused(&b, -EBADMSG);
	EXPECT_STREQ(snpu_last_error(), sentence);
}

TEST(edges_that_are_none)
{
	refuse_list(0, "graph '/' has no list of edges; check the program that wrote the file");
	refuse_list(2, "'edges' holds numbers where strings are needed; check the program that wrote the file");
	refuse_list(3, "'edges' holds numbers where strings are needed; check the program that wrote the file");
}

/* After all that, a good file loads, and what a model holds is seen by the counting above. */
TEST(the_next_file_is_not_lost)
{
	struct snpu_model *m;
	struct build b;
	long before;

	refuse(unknown_type, -EINVAL, "'Perceptron', which NIR does not have");
	graph_open(&b, 2, chain);
	put_scale(&b, "x");
	before = pieces;
	ASSERT_EQ(build_load(&b, &m), 0);
	EXPECT_EQ(snpu_model_node_count(m), 3);
	EXPECT_GT(pieces, before);
	snpu_model_free(m);
	EXPECT_EQ(pieces, before);
}

TEST_HARNESS_MAIN
