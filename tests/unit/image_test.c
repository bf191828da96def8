/* SPDX-License-Identifier: MIT */
/*
 * Convolutions, pools, delays and several matrices as models: shapes by torch's rules, every shape that cannot be with the
 * sentence that says so, delays in cycles, results worked out by hand. Golden data: nir_run_test.c; bits: tests/conformance.
 */
#include "model_rig.h"

/* --- shapes ------------------------------------------------------------------------------------------------------- */

struct geometry {
	int64_t in[3];				/* channels, rows, columns; rows 0: a sequence */
	uint64_t weight[4];			/* of a convolution; [0] 0: a pool with the window [2], [3] */
	int64_t stride[2], padding[2], dilation[2], groups;
	const char *text;			/* padding by name */
};

static unsigned add_window(struct snpu_model *m, const struct geometry *g)
{
	bool sequence = !g->in[1], conv = g->weight[0];
	unsigned node = rig_node(m, "x", sequence ? "Conv1d" : conv ? "Conv2d" : "SumPool2d"), axes = sequence ? 1 : 2;
	uint64_t shape[4] = { g->weight[0], g->weight[1], sequence ? g->weight[3] : g->weight[2], g->weight[3] };
	int64_t kernel[2] = { (int64_t)g->weight[2], (int64_t)g->weight[3] };
	float *w = calloc(1 << 16, sizeof(*w));

	if (conv) {
		MUST(snpu_model_set_param(m, node, "weight", axes + 2, shape, w));
		MUST(snpu_model_set_param(m, node, "bias", 1, shape, w));
		MUST(snpu_model_set_ints(m, node, "dilation", axes, g->dilation + 2 - axes));
		MUST(snpu_model_set_ints(m, node, "groups", 1, &g->groups));
	} else {
		MUST(snpu_model_set_ints(m, node, "kernel_size", 2, kernel));
	}
	MUST(snpu_model_set_ints(m, node, "stride", axes, g->stride + 2 - axes));
	if (g->text)
		MUST(snpu_model_set_text(m, node, "padding", g->text));
	else
		MUST(snpu_model_set_ints(m, node, "padding", axes, g->padding + 2 - axes));
	free(w);
	return node;
}

/* Finishes input -> x -> output; the model when it worked. */
static struct snpu_model *window_model(const struct geometry *g, int *err)
{
	struct snpu_model *m = rig_model();
	int64_t in[3] = { g->in[0], g->in[1] ? g->in[1] : g->in[2], g->in[2] };
	unsigned node = rig_node(m, "input", "Input");

	MUST(snpu_model_set_ints(m, node, "shape", g->in[1] ? 3 : 2, in));
	add_window(m, g);
	rig_node(m, "output", "Output");
	rig_edges(m, "input>x x>output");
	*err = snpu_model_finish(m);
	if (!*err)
		return m;
	snpu_model_free(m);
	return NULL;
}

TEST(shapes_follow_the_rules_of_torch)
{
	static const struct { struct geometry g; uint64_t out[3]; } cases[] = {
		{ { { 2, 34, 34 }, { 16, 2, 5, 5 }, { 2, 2 }, { 1, 1 }, { 1, 1 }, 1, NULL }, { 16, 16, 16 } },
		{ { { 3, 7, 9 }, { 4, 3, 3, 3 }, { 1, 1 }, { 0, 0 }, { 1, 1 }, 1, NULL }, { 4, 5, 7 } },
		{ { { 3, 7, 9 }, { 4, 3, 3, 2 }, { 1, 1 }, { 0, 0 }, { 1, 1 }, 1, "same" }, { 4, 7, 9 } },
		{ { { 3, 7, 9 }, { 4, 3, 3, 2 }, { 2, 3 }, { 0, 0 }, { 1, 1 }, 1, "valid" }, { 4, 3, 3 } },
		{ { { 4, 8, 8 }, { 6, 2, 3, 3 }, { 1, 1 }, { 2, 2 }, { 2, 2 }, 2, NULL }, { 6, 8, 8 } },
		{ { { 4, 5, 6 }, { 0, 0, 2, 3 }, { 2, 1 }, { 1, 0 }, { 1, 1 }, 1, NULL }, { 4, 3, 4 } },
		{ { { 4, 5, 5 }, { 0, 0, 2, 2 }, { 2, 2 }, { 0, 0 }, { 1, 1 }, 1, NULL }, { 4, 2, 2 } },	/* the last row is left out */
		{ { { 2, 0, 20 }, { 3, 2, 1, 5 }, { 1, 2 }, { 0, 1 }, { 1, 2 }, 1, NULL }, { 3, 7, 0 } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snpu_node_info n;
		int err;
		struct snpu_model *m = window_model(&cases[i].g, &err);

		if (!m)
			TH_FAILMSG("case %zu: %s", i, snpu_last_error());
		MUST(snpu_model_node(m, (unsigned)snpu_model_find(m, "x"), &n));
		EXPECT_EQ(n.rank, cases[i].out[2] ? 3 : 2);
		for (unsigned d = 0; d < n.rank; d++)
			EXPECT_EQ(n.shape[d], cases[i].out[d]);
		snpu_model_free(m);
	}
}

TEST(windows_that_cannot_be)
{
	static const struct { struct geometry g; int err; const char *says; } cases[] = {
		{ { { 3, 7, 9 }, { 4, 3, 9, 3 }, { 1, 1 }, { 0, 0 }, { 1, 1 }, 1, NULL }, -EINVAL, "its kernel reaches over 9 rows, the input has 7 with padding" },
		{ { { 3, 7, 9 }, { 4, 3, 3, 3 }, { 1, 1 }, { 0, 0 }, { 1, 5 }, 1, NULL }, -EINVAL, "reaches over 11 columns, the input has 9" },
		{ { { 3, 7, 9 }, { 4, 2, 3, 3 }, { 1, 1 }, { 0, 0 }, { 1, 1 }, 1, NULL }, -EINVAL, "takes 2 channels (2 in each of 1 groups), 'input' gives 3" },
		{ { { 4, 7, 9 }, { 5, 2, 3, 3 }, { 1, 1 }, { 0, 0 }, { 1, 1 }, 2, NULL }, -EINVAL, "5 output channels in 2 groups, which does not divide" },
		{ { { 3, 7, 9 }, { 4, 3, 3, 3 }, { 2, 1 }, { 0, 0 }, { 1, 1 }, 1, "same" }, -EINVAL, "padding 'same' and a stride of 2" },
		{ { { 3, 7, 9 }, { 0, 0, 2, 2 }, { 1, 1 }, { 2, 0 }, { 1, 1 }, 1, NULL }, -EINVAL, "pads 2 rows for a window of 2" },
		{ { { 3, 7, 9 }, { 0, 0, 8, 2 }, { 1, 1 }, { 0, 0 }, { 1, 1 }, 1, NULL }, -EINVAL, "reaches over 8 rows" },
		{ { { 1, 300, 300 }, { 300, 1, 1, 1 }, { 1, 1 }, { 0, 0 }, { 1, 1 }, 1, NULL }, -E2BIG, "at most 16777216 elements" },
		{ { { 1, 1, 70000 }, { 1, 1, 1, 1 }, { 1, 1 }, { 0, 0 }, { 1, 1 }, 1, NULL }, -E2BIG, "an image with 70000 columns" },
		{ { { 1, 4, 4 }, { 1, 1, 1, 1 }, { 1, 1 }, { 65536, 0 }, { 1, 1 }, 1, NULL }, -E2BIG, "an image with 131076 rows" },
		{ { { 1, 0, 2000 }, { 1, 1, 1, 1025 }, { 1, 1 }, { 0, 0 }, { 1, 1 }, 1, NULL }, -E2BIG, "has a kernel (1025)" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int err;

		snpu_model_free(window_model(&cases[i].g, &err));
		EXPECT_EQ(err, cases[i].err);
		EXPECT_CONTAINS(snpu_last_error(), cases[i].says);
		EXPECT_CONTAINS(snpu_last_error(), "node 'x'");
	}
}

TEST(numbers_that_are_refused)
{
	struct snpu_model *m = rig_model();
	unsigned conv = rig_node(m, "c", "Conv2d"), pool = rig_node(m, "p", "AvgPool2d"), delay = rig_node(m, "d", "Delay");
	int64_t zero = 0, minus = -1, huge = INT64_MAX, three[3] = { 1, 1, 1 };

	EXPECT_EQ(snpu_model_set_ints(m, conv, "stride", 1, &zero), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "'stride' is 0, possible are 1 to 65536");
	EXPECT_EQ(snpu_model_set_ints(m, conv, "padding", 1, &minus), -EINVAL);
	EXPECT_EQ(snpu_model_set_ints(m, conv, "dilation", 1, &huge), -EINVAL);
	EXPECT_EQ(snpu_model_set_ints(m, conv, "groups", 1, &zero), -EINVAL);
	EXPECT_EQ(snpu_model_set_ints(m, conv, "stride", 3, three), -EINVAL);
	EXPECT_EQ(snpu_model_set_ints(m, conv, "stride", 0, three), -EINVAL);
	EXPECT_EQ(snpu_model_set_ints(m, conv, "kernel_size", 1, three), -EINVAL);
	EXPECT_EQ(snpu_model_set_ints(m, pool, "kernel_size", 1, &huge), -EINVAL);
	EXPECT_EQ(snpu_model_set_ints(m, pool, "dilation", 1, three), -EINVAL);
	EXPECT_EQ(snpu_model_set_ints(m, delay, "stride", 1, three), -EINVAL);
	EXPECT_EQ(snpu_model_set_text(m, conv, "padding", "full"), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "possible are numbers, 'same' and 'valid'");
	EXPECT_EQ(snpu_model_set_text(m, pool, "padding", "same"), -EINVAL);
	EXPECT_EQ(snpu_model_set_text(m, conv, "stride", "same"), -EINVAL);
	EXPECT_EQ(snpu_model_set_text(m, 9, "padding", "same"), -ERANGE);
	EXPECT_EQ(snpu_model_has_param(m, conv, "padding"), 3);
	EXPECT_EQ(snpu_model_has_param(m, pool, "padding"), 2);
	EXPECT_EQ(snpu_model_has_param(m, conv, "weight"), 1);
	snpu_model_free(m);
}

TEST(images_need_their_axes_and_numbers)
{
	struct geometry g = { { 3, 7, 9 }, { 4, 3, 3, 3 }, { 1, 1 }, { 0, 0 }, { 1, 1 }, 1, NULL };
	int64_t flat[1] = { 189 }, batch[4] = { 1, 3, 7, 9 };
	struct snpu_model *m = rig_model();

	MUST(snpu_model_set_ints(m, rig_node(m, "input", "Input"), "shape", 1, flat));
	add_window(m, &g);
	rig_edges(m, "input>x");
	EXPECT_EQ(snpu_model_finish(m), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "takes (channels,rows,columns), 'input' gives the shape (189)");
	snpu_model_free(m);
	m = rig_model();
	MUST(snpu_model_set_ints(m, rig_node(m, "input", "Input"), "shape", 4, batch));
	add_window(m, &g);
	rig_edges(m, "input>x");
	MUST(snpu_model_finish(m));
	snpu_model_free(m);
	m = rig_model();
	rig_node(m, "x", "AvgPool2d");
	EXPECT_EQ(snpu_model_finish(m), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "node 'x' (AvgPool2d) has no 'stride'");
	snpu_model_free(m);
}

/* --- results by hand ---------------------------------------------------------------------------------------------- */

/* Runs input -> ... -> output of a finished model on x [steps][n]; out: [steps * n_out]. */
static void run(struct snpu_model *m, double dt, uint64_t steps, uint64_t n, float *x, float *out, uint64_t n_out)
{
	struct snpu_array in = { .dtype = SNPU_F32, .rank = 2, .shape = { steps, n }, .count = steps * n, .data = x };
	struct snpu_session *s = rig_session(m, (struct snpu_session_opts){ .dt = dt });
	struct snpu_input input = { .array = &in };
	struct snpu_result *r = NULL;

	if (s)
		MUST(snpu_session_run(s, &input, 1, &r));
	if (r) {
		EXPECT_EQ(rig_record(r, "output")->count, steps * n_out);
		memcpy(out, rig_record(r, "output")->data, steps * n_out * sizeof(*out));
	}
	snpu_result_free(r);
	snpu_session_free(s);
	snpu_model_free(m);
}

/* An even kernel reaches over one element more than half: 'same' puts that one at the end. */
TEST(padding_same_is_odd_at_the_end)
{
	static const float w[2] = { 10, 1 }, bias[1] = { 0 };
	static const uint64_t shape[3] = { 1, 1, 2 };
	static const int64_t in[2] = { 1, 3 }, one = 1;
	float x[3] = { 1, 2, 3 }, out[3] = { 0 };
	struct snpu_model *m = rig_model();
	unsigned node;

	MUST(snpu_model_set_ints(m, rig_node(m, "input", "Input"), "shape", 2, in));
	node = rig_node(m, "x", "Conv1d");
	MUST(snpu_model_set_param(m, node, "weight", 3, shape, w));
	MUST(snpu_model_set_param(m, node, "bias", 1, shape, bias));
	MUST(snpu_model_set_ints(m, node, "stride", 1, &one));
	MUST(snpu_model_set_ints(m, node, "dilation", 1, &one));
	MUST(snpu_model_set_ints(m, node, "groups", 1, &one));
	MUST(snpu_model_set_text(m, node, "padding", "same"));
	rig_node(m, "output", "Output");
	rig_edges(m, "input>x x>output");
	MUST(snpu_model_finish(m));
	run(m, 0, 1, 3, x, out, 3);
	EXPECT_TRUE(out[0] == 12 && out[1] == 23 && out[2] == 30);
}

/* input (in) -> Affine (weight, bias) -> output, finished. */
static struct snpu_model *matrices(unsigned in_rank, const int64_t *in, unsigned rank, const uint64_t *shape, const float *w, unsigned bias_rank,
				   const uint64_t *bias_shape, const float *bias, int *err)
{
	struct snpu_model *m = rig_model();
	unsigned node;

	MUST(snpu_model_set_ints(m, rig_node(m, "input", "Input"), "shape", in_rank, in));
	node = rig_node(m, "x", "Affine");
	MUST(snpu_model_set_param(m, node, "weight", rank, shape, w));
	MUST(snpu_model_set_param(m, node, "bias", bias_rank, bias_shape, bias));
	rig_node(m, "output", "Output");
	rig_edges(m, "input>x x>output");
	*err = snpu_model_finish(m);
	return m;
}

TEST(several_matrices)
{
	/* Two matrices (1, 3) for two vectors of 3; then each of them for both, with an axis between. */
	static const float w[6] = { 1, 2, 3, 10, 20, 30 }, bias[2] = { 0.5f, 0.25f };
	static const int64_t two[2] = { 2, 3 }, deep[3] = { 2, 2, 3 };
	static const uint64_t shape[3] = { 2, 1, 3 }, between[4] = { 2, 1, 1, 3 }, one[2] = { 1, 3 }, b1[1] = { 1 }, b2[2] = { 2, 1 };
	float x[12] = { 1, 0, 2, 0, 1, 1, 1, 1, 1, 0, 0, 4 }, out[4];
	struct snpu_model *m;
	int err;

	m = matrices(2, two, 3, shape, w, 2, b2, bias, &err);
	ASSERT_EQ(err, 0);
	run(m, 0, 1, 6, x, out, 2);
	EXPECT_TRUE(out[0] == 7.5f && out[1] == 50.25f);
	m = matrices(3, deep, 4, between, w, 1, b1, bias, &err);
	ASSERT_EQ(err, 0);
	run(m, 0, 1, 12, x, out, 4);
	EXPECT_TRUE(out[0] == 7.5f && out[1] == 5.5f && out[2] == 60.5f && out[3] == 120.5f);
	m = matrices(2, two, 2, one, w, 1, b1, bias, &err);	/* one matrix for both */
	ASSERT_EQ(err, 0);
	run(m, 0, 1, 6, x, out, 2);
	EXPECT_TRUE(out[0] == 7.5f && out[1] == 5.5f);
	m = matrices(3, deep, 3, (const uint64_t[]){ 3, 1, 3 }, (const float[9]){ 0 }, 1, b1, bias, &err);
	EXPECT_EQ(err, -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "'input' gives 12 (shape (2,2,3)), and its weight is (3,1,3)");
	snpu_model_free(m);
	m = matrices(2, two, 3, shape, w, 1, (const uint64_t[]){ 3 }, (const float[3]){ 0 }, &err);
	EXPECT_EQ(err, -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "biases of the shape (3) for outputs of (2,1)");
	snpu_model_free(m);
}

/* Adds a Delay of these seconds. */
static unsigned add_delay(struct snpu_model *m, const char *name, uint64_t n, const float *seconds)
{
	unsigned node = rig_node(m, name, "Delay");

	MUST(snpu_model_set_param(m, node, "delay", n > 1 ? 1 : 0, &n, seconds));
	return node;
}

static struct snpu_model *delay_model(uint64_t n, const float *seconds)
{
	struct snpu_model *m = rig_model();

	rig_end(m, "input", "Input", (int64_t)n);
	add_delay(m, "d", n, seconds);
	rig_node(m, "output", "Output");
	return rig_done(m, "input>d d>output");
}

/* Half steps go to the even one: 0.5, 1.5, 2.5 ms at 1 ms are 0, 2, 2 steps. */
TEST(delays_round_to_even_steps)
{
	static const float seconds[5] = { 0, 0.0005f, 0.0015f, 0.0025f, 0.003f };
	static const unsigned steps[5] = { 0, 0, 2, 2, 3 };
	float x[30] = { 0 }, out[30];

	for (int i = 0; i < 5; i++)
		x[5 + i] = (float)(i + 1);	/* in step 1 */
	run(delay_model(5, seconds), 1e-3, 6, 5, x, out, 5);
	for (unsigned t = 0; t < 6; t++)
		for (unsigned i = 0; i < 5; i++)
			EXPECT_TRUE(out[t * 5 + i] == (t == 1 + steps[i] ? (float)(i + 1) : 0.0f));
}

TEST(delays_that_cannot_be)
{
	float seconds[2] = { 0.003f, 0.003f }, negative = -0.001f, none = 0;
	struct snpu_model *m = delay_model(2, seconds);

	EXPECT_EQ(rig_refused(m, (struct snpu_session_opts){ 0 }), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "node 'd' delays by 0.003 s, and the model does not tell its time step; give it with --dt");
	EXPECT_EQ(rig_refused(m, (struct snpu_session_opts){ .dt = 1e-12 }), -E2BIG);
	EXPECT_CONTAINS(snpu_last_error(), "at most 16777216");
	EXPECT_EQ(rig_refused(m, (struct snpu_session_opts){ .dt = 1e-45 }), -E2BIG);
	EXPECT_EQ(rig_refused(m, (struct snpu_session_opts){ .dt = 1e-60 }), -E2BIG);
	snpu_model_free(m);
	m = delay_model(1, &none);
	EXPECT_EQ(rig_refused(m, (struct snpu_session_opts){ 0 }), 0);
	snpu_model_free(m);
	m = rig_model();
	rig_end(m, "input", "Input", 1);
	add_delay(m, "d", 1, &negative);
	rig_edges(m, "input>d");
	EXPECT_EQ(snpu_model_finish(m), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "'delay' is -0.001");
	snpu_model_free(m);
}

/* input + delay(back) -> sum (a Scale of 1) -> output; the sum goes round in 3 steps, halved. No neuron is needed. */
static struct snpu_model *echo(float seconds)
{
	struct snpu_model *m = rig_model();

	rig_end(m, "input", "Input", 1);
	rig_vector(m, rig_node(m, "sum", "Scale"), "scale", 1, 1);
	add_delay(m, "d", 1, &seconds);
	rig_linear(m, "half", 1, 1, 0.5f);
	rig_node(m, "output", "Output");
	return rig_done(m, "input>sum sum>d d>half half>sum sum>output");
}

TEST(a_delay_breaks_a_cycle_by_itself)
{
	float x[10] = { 1 }, out[10];
	struct snpu_model *m = echo(0.003f);
	struct snpu_edge_info e;

	EXPECT_EQ(rig_note(m, NULL, "cycle-delay"), NULL);
	for (unsigned i = 0; i < snpu_model_edge_count(m); i++) {
		MUST(snpu_model_edge(m, i, &e));
		EXPECT_FALSE(e.delayed);
	}
	run(m, 1e-3, 10, 1, x, out, 1);
	for (int t = 0; t < 10; t++)
		EXPECT_TRUE(out[t] == (t == 0 ? 1.0f : t == 3 ? 0.5f : t == 6 ? 0.25f : t == 9 ? 0.125f : 0.0f));
	run(echo(0.001f), 1e-3, 3, 1, x, out, 1);
	EXPECT_TRUE(out[1] == 0.5f && out[2] == 0.25f);
	m = echo(0.0004f);
	EXPECT_EQ(rig_refused(m, (struct snpu_session_opts){ .dt = 1e-3 }), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "node 'd' is in a cycle, and element 0 of 'delay' is 0.0004 s, less than a time step");
	snpu_model_free(m);
}

/* Two cycles through one neuron: the one with the delay is left alone, the one without is cut behind the neuron. */
TEST(a_delay_leaves_other_cycles_to_the_rule)
{
	struct snpu_model *m = rig_model();
	struct snpu_edge_info e;
	float seconds = 0.002f;

	rig_end(m, "input", "Input", 1);
	rig_lif(m, "lif", 0.01f, 10);
	rig_linear(m, "w", 1, 1, 1);
	add_delay(m, "d", 1, &seconds);
	rig_node(m, "output", "Output");
	rig_edges(m, "input>lif lif>w w>lif lif>d d>lif lif>output");
	MUST(snpu_model_finish(m));
	for (unsigned i = 0; i < snpu_model_edge_count(m); i++) {
		MUST(snpu_model_edge(m, i, &e));
		EXPECT_EQ(e.delayed, (int)e.from == snpu_model_find(m, "lif") && (int)e.to == snpu_model_find(m, "w"));
	}
	snpu_model_free(m);
}

TEST_HARNESS_MAIN
