/* SPDX-License-Identifier: MIT */
/* From model to plan: the time step and the other decisions, placement and its reasons, segments, what a program looks like. */
#include "model_rig.h"
#include "snpu_isa.h"

/* --- the time step ------------------------------------------------------------------------------------------------ */

static double dt_of(struct snpu_model *m, double option, const char *source)
{
	struct snpu_session *s = rig_session(m, (struct snpu_session_opts){ .dt = option });
	struct snpu_session_info info = { 0 };

	if (s)
		snpu_session_info(s, &info);
	if (s && strcmp(info.dt_source, source))
		TH_FAILMSG("dt from '%s', expected '%s'", info.dt_source, source);
	snpu_session_free(s);
	snpu_model_free(m);
	return info.dt;
}

static int dt_refused(struct snpu_model *m, double option)
{
	int err = rig_refused(m, (struct snpu_session_opts){ .dt = option });

	snpu_model_free(m);
	return err;
}

TEST(time_step_option_goes_before_metadata_before_inference)
{
	EXPECT_TRUE(dt_of(rig_one_lif(0.01f, 10, 2e-3), 5e-4, "option") == 5e-4);
	EXPECT_TRUE(dt_of(rig_one_lif(0.01f, 10, 2e-3), 0, "metadata") == 2e-3);
	EXPECT_TRUE(dt_of(rig_one_lif(0.01f, 10, 0), 0, "inferred") == 1e-3);
	EXPECT_TRUE(dt_of(rig_one_lif(0.0025f, 25, 0), 0, "inferred") == 1e-4);
}

TEST(time_step_is_never_guessed)
{
	/* r = 1 says nothing; r = 24.02 is Rockpool's gain for 0.1 ms; tau = 9 looks like steps. */
	EXPECT_EQ(dt_refused(rig_one_lif(0.0025f, 1, 0), 0), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "--dt");
	EXPECT_EQ(dt_refused(rig_one_lif(0.0025f, 24.019737f, 0), 0), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "as Rockpool exports it; give it with --dt 0.0001");
	EXPECT_EQ(dt_refused(rig_one_lif(9, 0.9f, 0), 0), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "looks like a number of steps");
}

TEST(time_steps_that_cannot_be)
{
	EXPECT_EQ(dt_refused(rig_one_lif(0.01f, 10, 0), 0.02), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "longer than tau = 0.01 s of node 'lif'");
	EXPECT_EQ(dt_refused(rig_one_lif(0.01f, 10, 0), -1), -EINVAL);
	EXPECT_EQ(dt_refused(rig_one_lif(0.01f, 10, 0), NAN), -EINVAL);
	/* Equal to tau: the neuron forgets at once, which is stable. */
	EXPECT_TRUE(dt_of(rig_one_lif(0.01f, 10, 0), 0.01, "option") == 0.01);
}

TEST(contradictions_about_time_are_noted)
{
	struct snpu_model *m = rig_one_lif(0.01f, 10, 2e-3);
	struct snpu_session *s = rig_session(m, (struct snpu_session_opts){ 0 });

	EXPECT_CONTAINS(rig_note(NULL, s, "dt-differs")->text, "the gains fit a time step of 0.001 s");
	snpu_session_free(s);
	snpu_model_free(m);
}

TEST(decisions_are_notes_and_strict_refuses_them)
{
	struct snpu_model *m = rig_one_lif(0.01f, 10, 1e-3);
	struct snpu_session *s = rig_session(m, (struct snpu_session_opts){ 0 });
	struct snpu_session_opts all = { .strict = true, .reset = SNPU_RESET_SUBTRACT, .integrator = SNPU_INTEGRATOR_EULER };

	EXPECT_EQ(rig_note(NULL, s, "reset")->kind, SNPU_NOTE_ASSUMED);
	EXPECT_EQ(rig_note(NULL, s, "integrator")->kind, SNPU_NOTE_ASSUMED);
	EXPECT_EQ(rig_note(NULL, s, "compare")->kind, SNPU_NOTE_INFO);
	EXPECT_EQ(rig_note(NULL, s, "dt-metadata")->kind, SNPU_NOTE_INFO);
	snpu_session_free(s);
	EXPECT_EQ(rig_refused(m, (struct snpu_session_opts){ .strict = true }), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "2 things had to be assumed, and strict mode refuses that: integrator (--integrator), reset (--reset)");
	EXPECT_EQ(rig_refused(m, all), 0);
	EXPECT_EQ(rig_refused(m, (struct snpu_session_opts){ .reset = (enum snpu_reset)9 }), -EINVAL);
	snpu_model_free(m);
}

/* --- what a neuron computes, worked out by hand ------------------------------------------------------------------- */

/* Runs a model of one node with one input of 1.0 in each of `steps` steps; out: [steps]. */
static void run_ones(struct snpu_model *m, struct snpu_session_opts o, unsigned steps, float *out)
{
	struct snpu_array x = { .dtype = SNPU_F32, .rank = 1, .shape = { steps }, .count = steps };
	struct snpu_input in = { .array = &x };
	struct snpu_session *s = rig_session(m, o);
	struct snpu_result *r = NULL;
	float ones[16];

	for (unsigned i = 0; i < 16; i++)
		ones[i] = 1;
	x.data = ones;
	MUST(snpu_session_run(s, &in, 1, &r));
	if (r)
		memcpy(out, rig_record(r, "output")->data, steps * sizeof(*out));
	snpu_result_free(r);
	snpu_session_free(s);
	snpu_model_free(m);
}

static struct snpu_model *one_if(float r, float threshold)
{
	struct snpu_model *m = rig_model();
	unsigned node;

	rig_end(m, "input", "Input", 1);
	node = rig_node(m, "x", "IF");
	rig_vector(m, node, "r", 1, r);
	rig_vector(m, node, "v_threshold", 1, threshold);
	rig_vector(m, node, "v_reset", 1, -0.5f);
	rig_end(m, "output", "Output", 1);
	return rig_done(m, "input>x x>output");
}

static void expect_raster(struct snpu_model *m, struct snpu_session_opts o, const char *want)
{
	float z[16];
	char got[17] = "";
	unsigned n = (unsigned)strlen(want);

	run_ones(m, o, n, z);
	for (unsigned i = 0; i < n; i++)
		got[i] = z[i] ? '1' : '0';
	EXPECT_STREQ(got, want);
}

/* v rises by 1 a step from 0; threshold 2, v_reset -0.5. What follows a spike (!) is v after the reset. */
TEST(reset_and_compare)
{
	expect_raster(one_if(1, 2), (struct snpu_session_opts){ 0 }, "00100100");	/* 1 2 3!-.5 .5 1.5 2.5! */
	expect_raster(one_if(1, 2), (struct snpu_session_opts){ .compare = SNPU_COMPARE_GE }, "01001001");	/* 1 2!-.5 .5 1.5 2.5! */
	expect_raster(one_if(1, 2), (struct snpu_session_opts){ .reset = SNPU_RESET_SUBTRACT }, "00101010");	/* 1 2 3!1 2 3!1 */
	expect_raster(one_if(1, 2), (struct snpu_session_opts){ .reset = SNPU_RESET_DELTA }, "00101001");	/* 1 2 3!.5 1.5 2.5!0 1 2 3! */
}

TEST(gains_of_if)
{
	expect_raster(one_if(1000, 2), (struct snpu_session_opts){ .dt = 1e-3 }, "001001");	/* r = 1/dt: counts once */
	expect_raster(one_if(500, 2), (struct snpu_session_opts){ .dt = 1e-3 }, "000010");	/* r * dt = 0.5: 2.5 in step 4 */
	expect_raster(one_if(3, 2), (struct snpu_session_opts){ .gain = SNPU_GAIN_R }, "1111");
	expect_raster(one_if(1, 2), (struct snpu_session_opts){ .gain = SNPU_GAIN_R_DT, .dt = 1 }, "001001");
	struct snpu_model *m = one_if(3, 2);
	EXPECT_EQ(rig_refused(m, (struct snpu_session_opts){ 0 }), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "r * dt");
	snpu_model_free(m);
}

/* --- placement ---------------------------------------------------------------------------------------------------- */

static const struct snpu_placement *placed(const struct snpu_session *s, const char *node)
{
	for (unsigned i = 0; i < snpu_session_placement_count(s); i++)
		if (!strcmp(snpu_session_placement(s, i)->node, node))
			return snpu_session_placement(s, i);
	return NULL;
}

TEST(what_does_not_fit_goes_to_the_cpu_with_a_reason)
{
	struct snpu_device_opts small = { .sz = sizeof(small), .sim_memory = 2 << 20 };
	struct snpu_device *sim;
	struct snpu_model *m = rig_model();
	struct snpu_session_opts o = { .dt = 1e-3 };
	struct snpu_session *s;

	MUST(snpu_device_open("sim", &small, &sim));
	o.devices = &sim;
	o.n_devices = 1;
	rig_end(m, "input", "Input", 1024);
	rig_linear(m, "big", 1024, 1024, 1e-3f);	/* 4 MiB */
	rig_linear(m, "small", 8, 1024, 1e-3f);
	rig_lif(m, "lif", 0.01f, 1);
	rig_end(m, "output", "Output", 8);
	rig_edges(m, "input>big big>small small>lif lif>output");
	MUST(snpu_model_finish(m));
	s = rig_session(m, o);
	ASSERT_TRUE(s);
	EXPECT_EQ(placed(s, "big")->device, -1);
	EXPECT_CONTAINS(placed(s, "big")->reason, "needs 4096 KiB, sim has 2");
	EXPECT_EQ(placed(s, "small")->device, 0);
	EXPECT_STREQ(placed(s, "small")->reason, "first choice: executes LINEAR, 256 KiB fit");
	EXPECT_STREQ(placed(s, "lif")->reason, "first choice: executes LIF, 1 KiB fit");
	EXPECT_EQ(snpu_session_placement(s, snpu_session_placement_count(s)), NULL);
	EXPECT_TRUE(snpu_session_note_count(s) > snpu_model_note_count(m));
	EXPECT_EQ(snpu_session_note(s, snpu_session_note_count(s)), NULL);
	EXPECT_EQ(placed(s, "input")->device, -2);
	EXPECT_CONTAINS(placed(s, "input")->reason, "executes nothing");
	snpu_session_free(s);
	o.require_device = true;
	EXPECT_EQ(rig_refused(m, o), -ENODEV);
	EXPECT_CONTAINS(snpu_last_error(), "node 'big' would run on the CPU (needs 4096 KiB");
	snpu_model_free(m);
	snpu_device_close(sim);
}

TEST(placement_by_hand)
{
	struct snpu_device *sim;
	struct snpu_model *m = rig_chain(4);
	struct snpu_place_rule rule = { "lif", -1 }, unknown = { "lof", -1 }, far = { "lif", 3 };
	struct snpu_session_opts o = { .place = &rule, .n_place = 1, .n_devices = 1, .devices = &sim };
	struct snpu_session_info info;
	struct snpu_session *s;

	MUST(snpu_device_open("sim", NULL, &sim));
	s = rig_session(m, o);
	ASSERT_TRUE(s);
	EXPECT_EQ(placed(s, "lin")->device, 0);
	EXPECT_EQ(placed(s, "lif")->device, -1);
	EXPECT_STREQ(placed(s, "lif")->reason, "asked for");
	EXPECT_FALSE(placed(s, "lin")->forced);
	EXPECT_TRUE(placed(s, "lif")->forced);
	snpu_session_info(s, &info);
	EXPECT_EQ(info.segments, 2);
	EXPECT_EQ(info.crossings, 1);
	snpu_session_free(s);
	o.place = &unknown;
	EXPECT_EQ(rig_refused(m, o), -ENOENT);
	o.place = &far;
	EXPECT_EQ(rig_refused(m, o), -EINVAL);
	snpu_model_free(m);
	snpu_device_close(sim);
}

/* A cycle stays together: a rule for one node holds for all of it, two different ones are refused. */
TEST(cycles_stay_on_one_device)
{
	struct snpu_device *sim;
	struct snpu_model *m = rig_model();
	struct snpu_place_rule rules[2] = { { "rec", -1 }, { "lif", 0 } };
	struct snpu_session_opts o = { .dt = 1e-3, .place = rules, .n_place = 1, .n_devices = 1, .devices = &sim };
	struct snpu_session *s;

	MUST(snpu_device_open("sim", NULL, &sim));
	rig_end(m, "input", "Input", 3);
	rig_lif(m, "lif", 0.01f, 1);
	rig_linear(m, "rec", 3, 3, 1);
	rig_lif(m, "after", 0.01f, 1);
	rig_end(m, "output", "Output", 3);
	rig_edges(m, "input>lif lif>rec rec>lif lif>after after>output");
	MUST(snpu_model_finish(m));
	s = rig_session(m, o);
	ASSERT_TRUE(s);
	EXPECT_EQ(placed(s, "lif")->device, -1);
	EXPECT_EQ(placed(s, "rec")->device, -1);
	EXPECT_EQ(placed(s, "after")->device, 0);
	snpu_session_free(s);
	o.n_place = 2;
	EXPECT_EQ(rig_refused(m, o), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "in one cycle");
	snpu_model_free(m);
	snpu_device_close(sim);
}

/* --- programs ----------------------------------------------------------------------------------------------------- */

static unsigned count_packets(const uint8_t *p, uint64_t size, unsigned opcode)
{
	unsigned n = 0;

	for (uint64_t at = 0; at < size; at += 4ull * ((const struct snpu_pkt_hdr *)(p + at))->words)
		n += ((const struct snpu_pkt_hdr *)(p + at))->opcode == opcode;
	return n;
}

/* Two Linears behind one neuron share its event list; the input is packed once as well. */
TEST(event_lists_are_packed_once)
{
	struct snpu_model *m = rig_model();
	struct snpu_session *s;
	struct snpu_segment_info seg;
	uint64_t size;
	void *p;

	rig_end(m, "input", "Input", 3);
	rig_linear(m, "a", 3, 3, 1);
	rig_linear(m, "b", 3, 3, 1);
	rig_lif(m, "lif", 0.01f, 10);
	rig_linear(m, "c", 3, 3, 1);
	rig_linear(m, "d", 3, 3, 1);
	rig_lif(m, "out", 0.01f, 10);
	rig_edges(m, "input>a input>b a>lif b>lif lif>c lif>d c>out d>out");
	MUST(snpu_model_finish(m));
	s = rig_session(m, (struct snpu_session_opts){ 0 });
	ASSERT_TRUE(s);
	MUST(snpu_session_program(s, 0, 7, 5, &p, &size));
	EXPECT_EQ(count_packets(p, size, SNPU_OP_EVPACK), 2);
	EXPECT_EQ(count_packets(p, size, SNPU_OP_LINEAR), 4);
	EXPECT_EQ(count_packets(p, size, SNPU_OP_ADD), 2);
	EXPECT_EQ(count_packets(p, size, SNPU_OP_LIF), 2);
	EXPECT_EQ(count_packets(p, size, SNPU_OP_LOOP), 2);
	EXPECT_EQ(((struct snpu_pkt_LOOP *)p)->count, 7);
	free(p);
	MUST(snpu_session_segment(s, 0, &seg));
	EXPECT_EQ(seg.n_nodes, 6);
	EXPECT_EQ(snpu_session_segment(s, 1, &seg), -ERANGE);
	EXPECT_EQ(snpu_session_program(s, 1, 1, 1, &p, &size), -ERANGE);
	EXPECT_EQ(snpu_session_program(s, 0, 1, 1ull << 33, &p, &size), -E2BIG);
	snpu_session_free(s);
	snpu_model_free(m);
}

TEST_HARNESS_MAIN
