/* SPDX-License-Identifier: MIT */
/*
 * Running: inputs and records, chunks, several devices, devices that fail in mid-run, cancelling. Failures are made by
 * wrapping snpu_fence_wait and snpu_bo_create (the linker's --wrap): the library cannot tell them from real ones.
 */
#include "fail_rig.h"
#include "model_rig.h"

static bool no_memory;				/* buffers of the simulator are refused with -ENODEV */

int __real_snpu_bo_create(struct snpu_device *dev, uint64_t size, uint32_t flags, struct snpu_bo **bo);
int __wrap_snpu_bo_create(struct snpu_device *dev, uint64_t size, uint32_t flags, struct snpu_bo **bo);
int __wrap_snpu_bo_create(struct snpu_device *dev, uint64_t size, uint32_t flags, struct snpu_bo **bo)
{
	if (no_memory && dev->info.kind == SNPU_KIND_SIMULATOR)
		return snpu_fail(-ENODEV, "the simulator was unplugged by the test");
	return __real_snpu_bo_create(dev, size, flags, bo);
}

static const char *const records[] = { "lif", "lif.v" };
#define RECORDS .records = records, .n_records = 2

static struct snpu_result *run(struct snpu_session *s, const struct snpu_array *x)
{
	struct snpu_input in = { .array = x };
	struct snpu_result *r = NULL;

	if (s && snpu_session_run(s, &in, 1, &r))
		printf("# %s\n", snpu_last_error());
	return r;
}

/* The chain of 4 neurons on the CPU: what every other way of running must give. */
static struct snpu_result *reference(const struct snpu_model *m, const struct snpu_array *x)
{
	struct snpu_session *s = rig_session(m, (struct snpu_session_opts){ RECORDS });
	struct snpu_result *r = run(s, x);

	snpu_session_free(s);
	return r;
}

TEST(chunks_do_not_change_results)
{
	struct snpu_model *m = rig_chain(4);
	struct snpu_array x = rig_spikes(10, 20, 4);
	struct snpu_result *want = reference(m, &x);

	ASSERT_TRUE(want);
	EXPECT_GT(rig_counter(want, "lif", "SPIKES"), 10);
	for (uint64_t chunk = 1; chunk <= 11; chunk += 2) {
		struct snpu_session *s = rig_session(m, (struct snpu_session_opts){ RECORDS, .chunk_samples = chunk });
		struct snpu_run_stats st;
		struct snpu_result *r = run(s, &x);

		EXPECT_TRUE(rig_same(want, r));
		snpu_result_stats(r, &st);
		EXPECT_EQ(st.chunks, (10 + chunk - 1) / chunk);
		EXPECT_EQ(st.samples, 10);
		EXPECT_EQ(st.steps, 20);
		EXPECT_EQ(rig_counter(r, "lif", "SPIKES"), rig_counter(want, "lif", "SPIKES"));
		snpu_result_free(r);
		/* The same session again, with another length. */
		x.shape[0] = 5;
		x.count /= 2;
		r = run(s, &x);
		EXPECT_EQ(memcmp(rig_record(r, "lif")->data, rig_record(want, "lif")->data, 5 * 20 * 4 * 4), 0);
		x.shape[0] = 10;
		x.count *= 2;
		snpu_result_free(r);
		snpu_session_free(s);
	}
	snpu_result_free(want);
	snpu_array_free(&x);
	snpu_model_free(m);
}

/* The simulator fails in the fourth chunk: the CPU does that one again and goes on, with the same bits and counters. */
static void check_fallback(int err, bool at_start)
{
	struct snpu_model *m = rig_chain(4);
	struct snpu_array x = rig_spikes(10, 20, 4);
	struct snpu_result *want = reference(m, &x), *r;
	struct snpu_device *sim;
	struct snpu_session_opts o = { RECORDS, .devices = &sim, .n_devices = 1, .chunk_samples = 2 };
	struct snpu_session *s;
	struct snpu_run_stats st;

	MUST(snpu_device_open("sim", NULL, &sim));
	s = rig_session(m, o);
	fail_after = at_start ? -1 : 3;
	fail_error = err;
	no_memory = at_start;
	r = run(s, &x);
	no_memory = false;
	ASSERT_TRUE(r);
	EXPECT_TRUE(rig_same(want, r));
	EXPECT_EQ(rig_counter(r, "lin", "SYNOPS"), rig_counter(want, "lin", "SYNOPS"));
	EXPECT_EQ(rig_counter(r, "lif", "SPIKES"), rig_counter(want, "lif", "SPIKES"));
	snpu_result_stats(r, &st);
	EXPECT_EQ(st.retries, 1);
	EXPECT_EQ(st.fallback_samples, at_start ? 10 : 4);
	EXPECT_CONTAINS(snpu_result_fallback(r, 0), at_start ? "from sample 0 on cpu goes on" : "from sample 6 on cpu goes on");
	EXPECT_EQ(snpu_result_fallback(r, 1), NULL);
	EXPECT_EQ(snpu_session_placement(s, 1)->device, -1);
	EXPECT_CONTAINS(snpu_session_placement(s, 1)->reason, "sim failed");
	snpu_result_free(r);

	/* A later run does without it, too, and says so. */
	fail_after = -1;
	r = run(s, &x);
	ASSERT_TRUE(r);
	EXPECT_TRUE(rig_same(want, r));
	snpu_result_stats(r, &st);
	EXPECT_EQ(st.retries, 0);
	EXPECT_EQ(st.fallback_samples, 10);
	EXPECT_CONTAINS(snpu_result_fallback(r, 0), "sim failed in an earlier run");
	snpu_result_free(r);
	snpu_session_free(s);

	/* Not when a device is required. */
	o.require_device = true;
	fail_after = -1;
	s = rig_session(m, o);
	fail_after = 3;
	EXPECT_TRUE(!run(s, &x));
	EXPECT_CONTAINS(snpu_last_error(), "6 of 10 samples were done");
	fail_after = -1;
	snpu_session_free(s);
	snpu_result_free(want);
	snpu_array_free(&x);
	snpu_model_free(m);
	snpu_device_close(sim);
}

TEST(a_faulting_device_is_replaced) { check_fallback(-EFAULT, false); }
TEST(a_device_that_is_gone_is_replaced) { check_fallback(-ENODEV, false); }
TEST(a_device_that_cannot_even_start_is_replaced) { check_fallback(-EIO, true); }

/* Two simulators: the second takes over before the CPU has to. */
TEST(another_card_goes_on_first)
{
	struct snpu_model *m = rig_chain(4);
	struct snpu_array x = rig_spikes(10, 20, 4);
	struct snpu_result *want = reference(m, &x), *r;
	struct snpu_device *sim[2];
	struct snpu_session *s;

	MUST(snpu_device_open("sim", NULL, &sim[0]));
	MUST(snpu_device_open("sim", NULL, &sim[1]));
	s = rig_session(m, (struct snpu_session_opts){ RECORDS, .devices = sim, .n_devices = 2, .chunk_samples = 2 });
	fail_after = 1;
	fail_error = -EFAULT;
	r = run(s, &x);		/* the first fails, then the second, then the CPU */
	ASSERT_TRUE(r);
	EXPECT_TRUE(rig_same(want, r));
	EXPECT_CONTAINS(snpu_result_fallback(r, 0), "from sample 2 on sim goes on");
	EXPECT_CONTAINS(snpu_result_fallback(r, 1), "from sample 2 on cpu goes on");
	fail_after = -1;
	snpu_result_free(r);
	snpu_session_free(s);
	snpu_result_free(want);
	snpu_array_free(&x);
	snpu_model_free(m);
	snpu_device_close(sim[0]);
	snpu_device_close(sim[1]);
}

/* A diamond with a skip, placed in every way on two devices: crossings and sums do not change a bit. */
TEST(every_placement_gives_the_same_bits)
{
	static const char *const nodes[] = { "a", "l1", "b", "l2" };
	static const char *const recs[] = { "a", "l1.v", "l2", "l2.v" };
	struct snpu_model *m = rig_model();
	struct snpu_array x = rig_spikes(4, 15, 5);
	struct snpu_result *want = NULL;
	struct snpu_device *sim;

	MUST(snpu_device_open("sim", NULL, &sim));
	rig_end(m, "input", "Input", 5);
	rig_linear(m, "a", 6, 5, 0.05f);
	rig_lif(m, "l1", 0.01f, 10);
	rig_linear(m, "b", 6, 6, 0.03f);
	rig_lif(m, "l2", 0.01f, 10);
	rig_end(m, "output", "Output", 6);
	/* Sums in front of l2 and of the output; l1 feeds itself, b and the output. */
	rig_edges(m, "input>a a>l1 l1>l1 l1>b b>l2 a>l2 l2>output l1>output");
	MUST(snpu_model_finish(m));
	for (unsigned bits = 0; bits < 16; bits++) {
		struct snpu_place_rule rules[4];
		struct snpu_session *s;
		struct snpu_result *r;

		for (int i = 0; i < 4; i++)
			rules[i] = (struct snpu_place_rule){ nodes[i], bits >> i & 1 ? 0 : -1 };
		s = rig_session(m, (struct snpu_session_opts){ .records = recs, .n_records = 4, .place = rules, .n_place = 4, .devices = &sim, .n_devices = 1,
							       .chunk_samples = 3 });
		r = run(s, &x);
		ASSERT_TRUE(r);
		if (want) {
			EXPECT_TRUE(rig_same(want, r));
			EXPECT_EQ(rig_counter(r, "b", "SYNOPS"), rig_counter(want, "b", "SYNOPS"));
			snpu_result_free(r);
		} else {
			want = r;
			EXPECT_GT(rig_counter(want, "l1", "SPIKES"), 5);
		}
		snpu_session_free(s);
	}
	snpu_result_free(want);
	snpu_array_free(&x);
	snpu_model_free(m);
	snpu_device_close(sim);
}

/* A reader of the step before that runs after the writer: two neurons in each other's cycle, with a third reading both. */
TEST(delayed_readers_on_both_sides_of_the_writer)
{
	static const char *const recs[] = { "p", "q" };
	struct snpu_model *m = rig_model();
	struct snpu_array x = rig_spikes(1, 6, 1);
	struct snpu_session *s;
	struct snpu_result *r;
	float *in = x.data, *p, *q;

	/* p and q integrate; p sees input + q, q sees p's old value and the input. All in one component fed at both nodes. */
	rig_end(m, "input", "Input", 1);
	rig_vector(m, rig_node(m, "p", "I"), "r", 1, 1);
	rig_vector(m, rig_node(m, "q", "I"), "r", 1, 1);
	rig_end(m, "output", "Output", 1);
	rig_edges(m, "input>p input>q q>p p>q p>output");
	MUST(snpu_model_finish(m));
	s = rig_session(m, (struct snpu_session_opts){ .records = recs, .n_records = 2, .gain = SNPU_GAIN_R });
	for (int i = 0; i < 6; i++)
		in[i] = (float)(1 + i);
	r = run(s, &x);
	ASSERT_TRUE(r);
	p = rig_record(r, "p")->data;
	q = rig_record(r, "q")->data;
	/* Both are entered from outside, at distance 0: both edges between them are delayed. */
	for (int i = 0; i < 6; i++) {
		EXPECT_EQ(p[i], (i ? p[i - 1] + q[i - 1] : 0) + in[i]);
		EXPECT_EQ(q[i], (i ? q[i - 1] + p[i - 1] : 0) + in[i]);
	}
	snpu_result_free(r);
	snpu_session_free(s);
	snpu_array_free(&x);
	snpu_model_free(m);
}

TEST(inputs_that_do_not_fit)
{
	struct snpu_model *m = rig_chain(4);
	struct snpu_session *s = rig_session(m, (struct snpu_session_opts){ 0 });
	struct snpu_array x = rig_spikes(2, 3, 4), wrong = rig_spikes(2, 3, 5), none = { .dtype = SNPU_F32, .rank = 3, .shape = { 0, 3, 4 } };
	struct snpu_input in[2] = { { .array = &wrong }, { .array = &x } };
	struct snpu_result *r;

	EXPECT_EQ(snpu_session_run(s, in, 1, &r), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "the shape (2,3,5); it must be [sample][step] or [step], then (4)");
	in[0].array = &none;
	EXPECT_EQ(snpu_session_run(s, in, 1, &r), -EINVAL);
	EXPECT_EQ(snpu_session_run(s, NULL, 0, &r), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "no array was given for input 'input'");
	in[0].array = &x;
	EXPECT_EQ(snpu_session_run(s, in, 2, &r), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "two arrays");
	in[0].node = "lif";
	EXPECT_EQ(snpu_session_run(s, in, 1, &r), -ENOENT);
	in[0].node = "input";
	in[0].encoder = SNPU_ENCODE_IMAGE;
	EXPECT_EQ(snpu_session_run(s, in, 1, &r), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "uint8");
	in[0].encoder = SNPU_ENCODE_NONE;
	((float *)x.data)[7] = NAN;
	EXPECT_EQ(snpu_session_run(s, in, 1, &r), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "nan in sample 0, step 1");
	snpu_array_free(&x);
	snpu_array_free(&wrong);
	snpu_session_free(s);
	snpu_model_free(m);
}

TEST(records_by_name)
{
	static const char *const bad[] = { "lof", "lin.v", "lif.i", "lif.x" };
	static const char *const twice[] = { "lif", "output", "lif" };
	struct snpu_model *m = rig_chain(4);
	struct snpu_array x = rig_spikes(2, 3, 4);
	struct snpu_session *s = rig_session(m, (struct snpu_session_opts){ .records = twice, .n_records = 3 });
	struct snpu_result *r = run(s, &x);

	ASSERT_TRUE(r);
	EXPECT_EQ(snpu_result_record_count(r), 2);
	EXPECT_EQ(rig_record(r, "lif")->rank, 3);
	EXPECT_EQ(memcmp(rig_record(r, "lif")->data, rig_record(r, "output")->data, 2 * 3 * 4 * 4), 0);
	for (int i = 0; i < 4; i++) {
		EXPECT_NE(rig_refused(m, (struct snpu_session_opts){ .records = &bad[i], .n_records = 1 }), 0);
		EXPECT_CONTAINS(snpu_last_error(), bad[i]);
	}
	snpu_result_free(r);
	snpu_session_free(s);
	snpu_array_free(&x);
	snpu_model_free(m);
}

/* An input that is an output too: no device is involved, and the values are passed on. */
TEST(a_model_that_computes_nothing)
{
	struct snpu_model *m = rig_model();
	struct snpu_array x = rig_spikes(2, 3, 4);
	struct snpu_session *s;
	struct snpu_result *r;

	rig_end(m, "input", "Input", 4);
	rig_end(m, "output", "Output", 4);
	rig_edges(m, "input>output");
	MUST(snpu_model_finish(m));
	s = rig_session(m, (struct snpu_session_opts){ 0 });
	r = run(s, &x);
	ASSERT_TRUE(r);
	EXPECT_EQ(memcmp(rig_record(r, "output")->data, x.data, x.count * 4), 0);
	snpu_result_free(r);
	snpu_session_free(s);
	snpu_model_free(m);
	snpu_array_free(&x);
}

static struct snpu_session *to_cancel;
static int stop_at_4(void *arg, uint64_t done, uint64_t all)
{
	*(unsigned *)arg += 1;
	if (to_cancel && done >= 4)
		snpu_session_cancel(to_cancel);
	return !to_cancel && done >= 4;
}

/* Stopping by the callback's answer and by cancel; the session can run again. */
TEST(runs_can_be_stopped)
{
	struct snpu_model *m = rig_chain(4);
	struct snpu_array x = rig_spikes(10, 5, 4);
	unsigned calls = 0;

	for (int cancel = 0; cancel < 2; cancel++) {
		struct snpu_session *s = rig_session(m, (struct snpu_session_opts){ .chunk_samples = 2, .progress = stop_at_4, .progress_arg = &calls });
		struct snpu_input in = { .array = &x };
		struct snpu_result *r;

		calls = 0;
		to_cancel = cancel ? s : NULL;
		EXPECT_EQ(snpu_session_run(s, &in, 1, &r), -ECANCELED);
		EXPECT_EQ(calls, 2);
		EXPECT_CONTAINS(snpu_last_error(), "after 4 of 10 samples");
		x.shape[0] = 2;
		x.count /= 5;
		EXPECT_EQ(snpu_session_run(s, &in, 1, &r), 0);
		snpu_result_free(r);
		x.shape[0] = 10;
		x.count *= 5;
		snpu_session_free(s);
	}
	snpu_array_free(&x);
	snpu_model_free(m);
}

TEST(a_session_outlives_its_model_and_device_handles)
{
	struct snpu_model *m = rig_chain(4);
	struct snpu_array x = rig_spikes(2, 3, 4);
	struct snpu_device *sim;
	struct snpu_session *s;
	struct snpu_result *r;

	MUST(snpu_device_open("sim", NULL, &sim));
	s = rig_session(m, (struct snpu_session_opts){ .devices = &sim, .n_devices = 1 });
	snpu_model_free(m);
	snpu_device_close(sim);
	r = run(s, &x);
	EXPECT_TRUE(r);
	snpu_result_free(r);
	snpu_session_free(s);
	snpu_array_free(&x);
}

TEST_HARNESS_MAIN
