/* SPDX-License-Identifier: MIT */
/* Networks built by calls: shapes, edges, cycles, defaults, and what is refused. */
#include "model_rig.h"

static bool is_delayed(const struct snpu_model *m, const char *from, const char *to)
{
	struct snpu_edge_info e;

	for (unsigned i = 0; i < snpu_model_edge_count(m) && !snpu_model_edge(m, i, &e); i++)
		if ((int)e.from == snpu_model_find(m, from) && (int)e.to == snpu_model_find(m, to))
			return e.delayed;
	TH_FAILMSG("no edge %s>%s", from, to);
	return false;
}

static int finish(struct snpu_model *m)
{
	int err = snpu_model_finish(m);

	snpu_model_free(m);
	return err;
}

TEST(shapes_are_computed)
{
	struct snpu_model *m = rig_model();
	int64_t in[3] = { 2, 3, 4 }, lie[2] = { 9, 9 }, first = 0;
	struct snpu_node_info n;
	unsigned node = rig_node(m, "input", "Input");

	MUST(snpu_model_set_ints(m, node, "shape", 3, in));
	node = rig_node(m, "flat", "Flatten");
	MUST(snpu_model_set_ints(m, node, "start_dim", 1, &first));
	rig_linear(m, "lin", 5, 24, 1);
	rig_lif(m, "lif", 0.01f, 1);
	node = rig_node(m, "output", "Output");
	MUST(snpu_model_set_ints(m, node, "shape", 2, lie));
	rig_edges(m, "input>flat flat>lin lin>lif lif>output");
	MUST(snpu_model_finish(m));
	MUST(snpu_model_node(m, (unsigned)snpu_model_find(m, "flat"), &n));
	EXPECT_EQ(n.rank, 1);
	EXPECT_EQ(n.size, 24);
	MUST(snpu_model_node(m, (unsigned)snpu_model_find(m, "lif"), &n));
	EXPECT_EQ(n.size, 5);
	MUST(snpu_model_node(m, node, &n));
	EXPECT_EQ(n.size, 5);
	EXPECT_CONTAINS(rig_note(m, NULL, "shape-ignored")->text, "(9,9)");
	snpu_model_free(m);
}

/* start_dim 1 counts the batch when only that fits the layer behind it, and is taken literally otherwise. */
TEST(flatten_of_old_exporters)
{
	for (int old = 0; old < 2; old++) {
		struct snpu_model *m = rig_model();
		int64_t in[3] = { 2, 3, 4 };
		struct snpu_node_info n;
		unsigned node = rig_node(m, "input", "Input");

		MUST(snpu_model_set_ints(m, node, "shape", 3, in));
		node = rig_node(m, "flat", "Flatten");
		if (old)
			rig_linear(m, "next", 1, 24, 1);
		else
			rig_lif(m, "next", 0.01f, 1);
		rig_end(m, "output", "Output", 1);
		rig_edges(m, "input>flat flat>next next>output");
		MUST(snpu_model_finish(m));
		MUST(snpu_model_node(m, node, &n));
		EXPECT_EQ(n.rank, old ? 1 : 2);
		EXPECT_EQ(n.shape[0], old ? 24 : 2);
		EXPECT_EQ(rig_note(m, NULL, "flatten-batch") != NULL, old);
		snpu_model_free(m);
	}
}

/* Strides of pools are not touched when that does not help: the error is about the file as it is. */
TEST(a_pool_is_not_to_blame_for_everything)
{
	struct snpu_model *m = rig_model();
	int64_t shape[3] = { 1, 4, 4 };
	unsigned node = rig_node(m, "input", "Input");

	MUST(snpu_model_set_ints(m, node, "shape", 3, shape));
	rig_pool(m, "pool", "AvgPool2d", 2, 1);
	rig_linear(m, "w", 3, 5, 0.1f);
	rig_end(m, "output", "Output", 3);
	rig_edges(m, "input>pool pool>w w>output");
	EXPECT_EQ(snpu_model_finish(m), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "node 'w' takes 5 inputs, 'pool' gives 9 (shape (1,3,3))");
	EXPECT_FALSE(rig_note(m, NULL, "pool-stride"));
	snpu_model_free(m);
}

TEST(parameters_broadcast)
{
	struct snpu_model *m = rig_model();
	int64_t in[3] = { 2, 3, 4 };
	uint64_t one_row[4] = { 1, 1, 3, 1 }, wrong[1] = { 3 };
	float v[3] = { 1, 2, 3 };
	unsigned node = rig_node(m, "input", "Input");

	MUST(snpu_model_set_ints(m, node, "shape", 3, in));
	node = rig_node(m, "s", "Scale");
	MUST(snpu_model_set_param(m, node, "scale", 4, one_row, v));
	rig_end(m, "output", "Output", 24);
	rig_edges(m, "input>s s>output");
	EXPECT_EQ(finish(m), 0);

	m = rig_model();
	node = rig_node(m, "input", "Input");
	MUST(snpu_model_set_ints(m, node, "shape", 3, in));
	node = rig_node(m, "s", "Scale");
	MUST(snpu_model_set_param(m, node, "scale", 1, wrong, v));
	rig_end(m, "output", "Output", 24);
	rig_edges(m, "input>s s>output");
	EXPECT_EQ(finish(m), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "'scale' has the shape (3), the node has (2,3,4)");
}

TEST(double_edges_count_once)
{
	struct snpu_model *m = rig_model();

	rig_end(m, "input", "Input", 2);
	rig_lif(m, "lif", 0.01f, 1);
	rig_end(m, "output", "Output", 2);
	rig_edges(m, "input>lif lif>output input>lif");
	EXPECT_EQ(snpu_model_edge_count(m), 2);
	EXPECT_CONTAINS(rig_note(m, NULL, "duplicate-edge")->text, "taken once");
	EXPECT_EQ(finish(m), 0);
}

/* One delay a cycle, behind a neuron, wherever the edges and nodes stand in the file. */
TEST(cycles)
{
	struct snpu_model *m = rig_model();

	rig_linear(m, "a_back", 3, 3, 1);
	rig_lif(m, "b", 0.01f, 1);
	rig_linear(m, "c", 3, 3, 1);
	rig_lif(m, "d", 0.01f, 1);
	rig_end(m, "input", "Input", 3);
	rig_end(m, "output", "Output", 3);
	rig_edges(m, "a_back>b d>a_back b>c c>d input>b d>output");
	MUST(snpu_model_finish(m));
	EXPECT_TRUE(is_delayed(m, "d", "a_back"));
	EXPECT_FALSE(is_delayed(m, "a_back", "b"));
	EXPECT_FALSE(is_delayed(m, "b", "c"));
	EXPECT_FALSE(is_delayed(m, "d", "output"));
	snpu_model_free(m);
}

TEST(a_neuron_that_feeds_itself)
{
	struct snpu_model *m = rig_model();

	rig_end(m, "input", "Input", 3);
	rig_lif(m, "lif", 0.01f, 1);
	rig_end(m, "output", "Output", 3);
	rig_edges(m, "input>lif lif>lif lif>output");
	MUST(snpu_model_finish(m));
	EXPECT_TRUE(is_delayed(m, "lif", "lif"));
	snpu_model_free(m);
}

TEST(cycles_without_a_neuron_are_refused)
{
	struct snpu_model *m = rig_model();

	rig_end(m, "input", "Input", 3);
	rig_linear(m, "a", 3, 3, 1);
	rig_linear(m, "b", 3, 3, 1);
	rig_end(m, "output", "Output", 3);
	rig_edges(m, "input>a a>b b>a b>output");
	EXPECT_EQ(finish(m), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "cycle without a neuron");

	/* A neuron elsewhere in the component does not help the inner cycle. */
	m = rig_model();
	rig_end(m, "input", "Input", 3);
	rig_linear(m, "a", 3, 3, 1);
	rig_linear(m, "b", 3, 3, 1);
	rig_lif(m, "lif", 0.01f, 1);
	rig_end(m, "output", "Output", 3);
	rig_edges(m, "input>lif lif>a a>b b>a b>lif lif>output");
	EXPECT_EQ(finish(m), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "cycle without a neuron");
}

/* 4000 nodes in one chain, and all in one cycle: no recursion over the graph. */
TEST(long_chains_and_cycles)
{
	for (int cyclic = 0; cyclic < 2; cyclic++) {
		struct snpu_model *m = rig_model();
		unsigned before = rig_end(m, "input", "Input", 1), first = before;
		char name[16];

		for (int i = 0; i < 4000; i++) {
			unsigned node;

			snprintf(name, sizeof(name), "n%d", i);
			node = rig_lif(m, name, 0.01f, 1);
			MUST(snpu_model_add_edge(m, before, node));
			first = i ? first : node;
			before = node;
		}
		MUST(snpu_model_add_edge(m, before, rig_end(m, "output", "Output", 1)));
		if (cyclic)
			MUST(snpu_model_add_edge(m, before, first));
		EXPECT_EQ(finish(m), 0);
	}
}

TEST(what_is_missing_gets_its_default_and_a_note)
{
	struct snpu_model *m = rig_model();
	unsigned node;

	rig_end(m, "input", "Input", 3);
	node = rig_node(m, "lif", "LIF");
	rig_vector(m, node, "tau", 1, 0.01f);
	rig_vector(m, node, "r", 3, 1);
	rig_vector(m, node, "v_leak", 1, 0);
	rig_vector(m, node, "v_threshold", 1, 1);
	rig_edges(m, "input>lif");
	MUST(snpu_model_finish(m));
	EXPECT_STREQ(rig_note(m, NULL, "v_reset-missing")->node, "lif");
	EXPECT_EQ(rig_note(m, NULL, "v_reset-missing")->kind, SNPU_NOTE_ASSUMED);
	EXPECT_CONTAINS(rig_note(m, NULL, "output-missing")->text, "under the name 'output'");
	EXPECT_EQ(snpu_model_output_count(m), 1);
	snpu_model_free(m);
}

TEST(warnings_about_values)
{
	struct snpu_model *m = rig_model();
	unsigned node;

	rig_end(m, "input", "Input", 2);
	node = rig_lif(m, "a", 0.01f, 1);
	rig_vector(m, node, "v_threshold", 1, -1);
	rig_vector(m, node, "v_reset", 1, -2);
	node = rig_lif(m, "b", 0.01f, 1);
	rig_vector(m, node, "v_reset", 1, 1);
	rig_edges(m, "input>a a>b");
	MUST(snpu_model_finish(m));
	EXPECT_STREQ(rig_note(m, NULL, "threshold-not-positive")->node, "a");
	EXPECT_STREQ(rig_note(m, NULL, "reset-above-threshold")->node, "b");
	snpu_model_free(m);
}

TEST(calls_that_are_refused)
{
	struct snpu_model *m = rig_model();
	uint64_t shape[9] = { 1, 1, 1, 1, 1, 1, 1, 1, 1 }, none[1] = { 0 }, wrap[2] = { 1ull << 33, 1ull << 33 };
	float v = 1, inf = INFINITY;
	unsigned node = rig_node(m, "x", "Scale");

	EXPECT_EQ(snpu_model_add_node(m, "x", "LIF"), -EEXIST);
	EXPECT_EQ(snpu_model_add_node(m, "", "LIF"), -EINVAL);
	EXPECT_EQ(snpu_model_add_node(m, "y", "conv2d"), -EINVAL);
	EXPECT_EQ(snpu_model_set_param(m, node, "scale", 9, shape, &v), -E2BIG);
	EXPECT_EQ(snpu_model_set_param(m, node, "scale", 1, none, &v), -EINVAL);
	EXPECT_EQ(snpu_model_set_param(m, node, "scale", 2, wrap, &v), -EINVAL);
	EXPECT_EQ(snpu_model_set_param(m, node, "scale", 0, NULL, &inf), -EINVAL);
	EXPECT_EQ(snpu_model_set_param(m, node, "tau", 0, NULL, &v), -EINVAL);
	EXPECT_EQ(snpu_model_set_param(m, 7, "tau", 0, NULL, &v), -ERANGE);
	EXPECT_EQ(snpu_model_add_edge(m, 0, 1), -ERANGE);
	EXPECT_EQ(snpu_model_set_dt(m, 0), -EINVAL);
	EXPECT_EQ(snpu_model_set_dt(m, NAN), -EINVAL);
	EXPECT_EQ(snpu_model_finish(m), -EINVAL);
	snpu_model_free(m);
	EXPECT_EQ(finish(rig_model()), -EINVAL);
	m = rig_chain(2);
	EXPECT_EQ(snpu_model_add_node(m, "y", "LIF"), -EBUSY);
	EXPECT_EQ(snpu_model_add_edge(m, 0, 1), -EBUSY);
	EXPECT_EQ(snpu_model_add_note(m, SNPU_NOTE_INFO, "late", "", "too late"), -EBUSY);
	EXPECT_EQ(snpu_model_set_format(m, "late"), -EBUSY);
	snpu_model_free(m);
}

/* What a tool asks of a model: ends, parameters by kind, metadata. */
TEST(a_model_can_be_looked_at)
{
	struct snpu_model *m = rig_model();
	struct snpu_node_info n;
	unsigned lif;

	rig_end(m, "input", "Input", 3);
	rig_lif(m, "lif", 0.01f, 1);
	rig_end(m, "output", "Output", 3);
	rig_edges(m, "input>lif lif>output");
	lif = (unsigned)snpu_model_find(m, "lif");
	EXPECT_EQ(snpu_model_has_param(m, lif, "tau"), 1);
	EXPECT_EQ(snpu_model_has_param(m, lif, "weight"), 0);
	EXPECT_EQ(snpu_model_has_param(m, 0, "shape"), 2);
	EXPECT_EQ(snpu_model_has_param(m, 99, "tau"), 0);
	MUST(snpu_model_set_metadata(m, "T", "20"));
	MUST(snpu_model_set_metadata(m, "T", "30"));
	EXPECT_EQ(snpu_model_input_count(m), 0);
	MUST(snpu_model_finish(m));
	EXPECT_EQ(snpu_model_input_count(m), 1);
	EXPECT_EQ(snpu_model_output_count(m), 1);
	EXPECT_EQ(snpu_model_input(m, 0), snpu_model_find(m, "input"));
	EXPECT_EQ(snpu_model_output(m, 0), snpu_model_find(m, "output"));
	EXPECT_EQ(snpu_model_input(m, 1), -ERANGE);
	EXPECT_EQ(snpu_model_output(m, 1), -ERANGE);
	EXPECT_STREQ(snpu_model_metadata(m, "T"), "30");
	EXPECT_EQ(snpu_model_metadata(m, "dt"), NULL);
	EXPECT_EQ(snpu_model_note(m, snpu_model_note_count(m)), NULL);
	EXPECT_EQ(snpu_model_node(m, 3, &n), -ERANGE);
	EXPECT_EQ(snpu_model_set_metadata(m, "late", ""), -EBUSY);
	snpu_model_free(m);
}

/* Names go to terminals and into JSON: UTF-8 without control characters, and errors quote files without them. */
TEST(names_are_text)
{
	static const char *const good[] = { "fc1", "a/b.c", "schicht_\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\xa7\xa0", "\xc2\xa0" };
	static const char *const bad[] = { "\033[2J", "a\nb", "\x7f", "\xff", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc2\x9b", "x\xe2\x82" };
	struct snpu_model *m = rig_model();

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		EXPECT_GE(snpu_model_add_node(m, good[i], "LIF"), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		EXPECT_EQ(snpu_model_add_node(m, bad[i], "LIF"), -EINVAL);
		EXPECT_CONTAINS(snpu_last_error(), "UTF-8");
	}
	EXPECT_EQ(snpu_model_add_node(m, "x", "\033[2J"), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "'?[2J'");
	snpu_model_free(m);
}

TEST_HARNESS_MAIN
