/* SPDX-License-Identifier: MIT */
/*
 * State between calls: steps in any cutting are the same bits and counters as all at once, on every device and placement, saved and
 * loaded in between, and when the device fails. Failures are made by wrapping snpu_fence_wait (the linker's --wrap).
 */
#include "fail_rig.h"
#include "model_rig.h"

#define STEPS	24

static const char *const recs[] = { "a", "l1", "l1.v", "l2.v", "l2" };

/* Two neurons in a loop through weights, one that feeds itself, a skip, and a cycle whose readers lie on both sides of the writer. */
static struct snpu_model *loops(void)
{
	struct snpu_model *m = rig_model();

	rig_end(m, "input", "Input", 5);
	rig_linear(m, "a", 6, 5, 0.05f);
	rig_lif(m, "l1", 0.01f, 10);
	rig_linear(m, "b", 6, 6, 0.03f);
	rig_lif(m, "l2", 0.01f, 10);
	rig_linear(m, "back", 6, 6, 0.01f);
	rig_end(m, "output", "Output", 6);
	return rig_done(m, "input>a a>l1 l1>l1 l1>b b>l2 a>l2 l2>back back>l1 l2>output l1>output");
}

/* input into p and q; p and q see each other's value of the step before. */
static struct snpu_model *crossed(void)
{
	struct snpu_model *m = rig_model();

	rig_end(m, "input", "Input", 5);
	rig_lif(m, "l1", 0.01f, 5);
	rig_lif(m, "l2", 0.01f, 7);
	rig_linear(m, "a", 5, 5, 0.02f);
	rig_end(m, "output", "Output", 5);
	return rig_done(m, "input>l1 input>l2 l2>l1 l1>l2 l1>a a>l2 l1>output");
}

/* Delays of 3 and 5 steps: one in a cycle, which it breaks, one on the way, and a cycle of neurons that is cut. */
static struct snpu_model *rings(void)
{
	struct snpu_model *m = rig_model();

	rig_end(m, "input", "Input", 5);
	rig_linear(m, "a", 6, 5, 0.05f);
	rig_lif(m, "l1", 0.01f, 10);
	rig_delay(m, "loop", 6, 0.003f);
	rig_linear(m, "back", 6, 6, 0.02f);
	rig_delay(m, "way", 1, 0.005f);
	rig_lif(m, "l2", 0.01f, 10);
	rig_end(m, "output", "Output", 6);
	return rig_done(m, "input>a a>l1 l1>loop loop>back back>l1 l1>way way>l2 l2>l2 a>l2 l2>output");
}

/* A Delay that breaks a cycle and hears neurons before it and behind it. explicit: each is heard through a Delay of one step. */
static struct snpu_model *held_by(bool explicit)
{
	struct snpu_model *m = rig_model();

	rig_end(m, "input", "Input", 5);
	rig_linear(m, "in", 6, 5, 0.05f);
	rig_lif(m, "l1", 0.01f, 10);
	rig_linear(m, "a", 6, 6, 0.01f);
	rig_delay(m, "ring", 6, 0.002f);
	rig_linear(m, "b", 6, 6, 0.01f);
	rig_lif(m, "l2", 0.01f, 10);
	rig_end(m, "output", "Output", 6);
	if (explicit) {
		rig_delay(m, "d1", 6, 0.001f);
		rig_delay(m, "d2", 6, 0.001f);
	}
	return rig_done(m, explicit ? "input>in in>l1 l1>d1 d1>a a>ring ring>b b>ring d1>ring l2>d2 d2>ring b>l2 d2>output"
				    : "input>in in>l1 l1>a a>ring ring>b b>ring l1>ring l2>ring b>l2 l2>output");
}

static struct snpu_model *held(void)
{
	return held_by(false);
}

/* Steps [from, from + n) of sample 0 of the array. */
static struct snpu_array cut(const struct snpu_array *x, uint64_t from, uint64_t n)
{
	struct snpu_array a = *x;

	a.rank = 2;
	a.shape[0] = n;
	a.shape[1] = x->shape[2];
	a.count = n * a.shape[1];
	a.data = (float *)x->data + from * a.shape[1];
	return a;
}

static struct snpu_result *go_on(struct snpu_session *s, const struct snpu_array *x, uint64_t from, uint64_t n)
{
	struct snpu_array a = cut(x, from, n);
	struct snpu_input in = { .array = &a };
	struct snpu_result *r = NULL;

	if (snpu_session_continue(s, &in, 1, &r))
		TH_FAILMSG("steps %llu on: %s", (unsigned long long)from, snpu_last_error());
	return r;
}

/* Is what `r` recorded the same as steps from `from` on of `whole`? */
static void expect_part(const struct snpu_result *whole, const struct snpu_result *r, uint64_t from)
{
	for (unsigned i = 0; i < sizeof(recs) / sizeof(recs[0]); i++) {
		const struct snpu_array *w = rig_record(whole, recs[i]), *p = rig_record(r, recs[i]);

		if (memcmp((float *)w->data + from * w->shape[2], p->data, p->count * 4))
			TH_FAILMSG("'%s' differs in the steps from %llu on", recs[i], (unsigned long long)from);
	}
}

static const struct snpu_session_opts base = { .dt = 1e-3, .records = recs, .n_records = sizeof(recs) / sizeof(recs[0]) };

static struct snpu_session_opts with(enum snpu_delay delay)
{
	struct snpu_session_opts o = base;

	o.delay = delay;
	return o;
}

static struct snpu_result *reference(const struct snpu_model *m, enum snpu_delay delay, const struct snpu_array *x)
{
	struct snpu_session *s = rig_session(m, with(delay));
	struct snpu_input in = { .array = x };
	struct snpu_result *r = NULL;

	MUST(snpu_session_run(s, &in, 1, &r));
	snpu_session_free(s);
	return r;
}

FIXTURE(going_on) { struct snpu_model *m; struct snpu_array x; struct snpu_result *want; struct snpu_device *dev; struct snpu_session_opts o; };
FIXTURE_VARIANT(going_on) { const char *device; struct snpu_model *(*model)(void); enum snpu_delay delay; };
FIXTURE_VARIANT_ADD(going_on, loops_cpu) { "cpu-scalar", loops };
FIXTURE_VARIANT_ADD(going_on, loops_simd) { "cpu", loops };
FIXTURE_VARIANT_ADD(going_on, loops_sim) { "sim", loops };
FIXTURE_VARIANT_ADD(going_on, crossed_cpu) { "cpu", crossed };
FIXTURE_VARIANT_ADD(going_on, crossed_sim) { "sim", crossed };
FIXTURE_VARIANT_ADD(going_on, rings_cpu) { "cpu", rings };
FIXTURE_VARIANT_ADD(going_on, rings_sim) { "sim", rings };
FIXTURE_VARIANT_ADD(going_on, rings_neuron_sim) { "sim", rings, SNPU_DELAY_NEURON };
FIXTURE_VARIANT_ADD(going_on, rings_synapse_sim) { "sim", rings, SNPU_DELAY_SYNAPSE };
FIXTURE_VARIANT_ADD(going_on, loops_current_sim) { "sim", loops, SNPU_DELAY_CURRENT };
FIXTURE_VARIANT_ADD(going_on, loops_neuron_cpu) { "cpu", loops, SNPU_DELAY_NEURON };
FIXTURE_VARIANT_ADD(going_on, loops_synapse_cpu) { "cpu", loops, SNPU_DELAY_SYNAPSE };
FIXTURE_VARIANT_ADD(going_on, held_neuron_cpu) { "cpu", held, SNPU_DELAY_NEURON };
FIXTURE_VARIANT_ADD(going_on, held_neuron_sim) { "sim", held, SNPU_DELAY_NEURON };

FIXTURE_SETUP(going_on)
{
	const char *why;

	self->m = variant->model();
	self->x = rig_spikes(1, STEPS, 5);
	self->want = reference(self->m, variant->delay, &self->x);
	self->dev = rig_device(variant->device, &why);
	ASSERT_TRUE(self->dev && self->want);
	self->o = with(variant->delay);
	self->o.devices = &self->dev;
	self->o.n_devices = 1;
}

FIXTURE_TEARDOWN(going_on)
{
	snpu_result_free(self->want);
	snpu_array_free(&self->x);
	snpu_model_free(self->m);
	snpu_device_close(self->dev);
}

TEST_F(going_on, in_every_cutting)
{
	EXPECT_GT(rig_counter(self->want, "l1", "SPIKES"), 10);
	for (uint64_t n = 1; n <= STEPS; n += 1 + n / 2) {
		struct snpu_session *s = rig_session(self->m, self->o);
		uint64_t spikes = 0, synops = 0;

		for (uint64_t from = 0; from < STEPS; from += n) {
			struct snpu_result *r = go_on(s, &self->x, from, n < STEPS - from ? n : STEPS - from);

			ASSERT_TRUE(r);
			expect_part(self->want, r, from);
			spikes += rig_counter(r, "l1", "SPIKES");
			synops += rig_counter(r, "a", "SYNOPS");
			snpu_result_free(r);
		}
		EXPECT_EQ(spikes, rig_counter(self->want, "l1", "SPIKES"));
		EXPECT_EQ(synops, rig_counter(self->want, "a", "SYNOPS"));
		snpu_session_free(s);
	}
}

/* An ordinary run in between neither sees the state nor touches it. */
TEST_F(going_on, beside_whole_runs)
{
	struct snpu_session *s = rig_session(self->m, self->o);
	struct snpu_input in = { .array = &self->x };

	for (uint64_t from = 0; from < STEPS; from += 6) {
		struct snpu_result *r = go_on(s, &self->x, from, 6), *all = NULL;

		ASSERT_TRUE(r);
		expect_part(self->want, r, from);
		MUST(snpu_session_run(s, &in, 1, &all));
		EXPECT_TRUE(rig_same(self->want, all));
		snpu_result_free(r);
		snpu_result_free(all);
	}
	snpu_session_free(s);
}

/* Saved here, loaded into a session on the CPU, and back; then from the beginning again. */
TEST_F(going_on, saved_and_loaded)
{
	struct snpu_session *s = rig_session(self->m, self->o), *other = rig_session(self->m, with(variant->delay));
	uint64_t size = snpu_session_state_size(s);
	uint8_t *state = malloc(size + 1);
	struct snpu_result *r = go_on(s, &self->x, 0, 7);

	snpu_result_free(r);
	EXPECT_EQ(size, snpu_session_state_size(other));
	MUST(snpu_session_state_save(s, state));
	MUST(snpu_session_state_load(other, state, size));
	for (int i = 0; i < 2; i++) {
		r = go_on(i ? s : other, &self->x, 7, 10);
		ASSERT_TRUE(r);
		expect_part(self->want, r, 7);
		snpu_result_free(r);
	}
	MUST(snpu_session_state_save(other, state));
	MUST(snpu_session_state_load(s, NULL, 0));
	r = go_on(s, &self->x, 0, 3);
	expect_part(self->want, r, 0);
	snpu_result_free(r);
	MUST(snpu_session_state_load(s, state, size));
	r = go_on(s, &self->x, 17, STEPS - 17);
	expect_part(self->want, r, 17);
	snpu_result_free(r);
	free(state);
	snpu_session_free(s);
	snpu_session_free(other);
}

/* The device fails in the third call; a node of the rest was on the CPU from the beginning. */
static void device_fails(struct snpu_model *m, enum snpu_delay delay)
{
	struct snpu_array x = rig_spikes(1, STEPS, 5);
	struct snpu_result *want = reference(m, delay, &x);
	struct snpu_place_rule rule = { "a", -1 };

	/* With a rule of delays the network is one piece: all of it follows the node. */
	for (unsigned rules = 0; rules < (delay ? 1 : 2); rules++) {
		struct snpu_session_opts o = with(delay);
		struct snpu_run_stats st = { 0 };
		struct snpu_device *sim;
		struct snpu_session *s;

		MUST(snpu_device_open("sim", NULL, &sim));
		o.devices = &sim;
		o.n_devices = 1;
		o.place = &rule;
		o.n_place = rules;
		s = rig_session(m, o);
		fail_after = 2;
		for (uint64_t from = 0; from < STEPS; from += 4) {
			struct snpu_result *r = go_on(s, &x, from, 4);

			if (!r)
				return;
			expect_part(want, r, from);
			snpu_result_stats(r, &st);
			EXPECT_EQ(st.retries, from == 8);
			EXPECT_EQ(st.fallback_samples, from >= 8);
			snpu_result_free(r);
		}
		fail_after = -1;
		snpu_session_free(s);
		snpu_device_close(sim);
	}
	snpu_result_free(want);
	snpu_array_free(&x);
	snpu_model_free(m);
}

TEST(when_the_device_fails)
{
	device_fails(loops(), SNPU_DELAY_DEFAULT);
	device_fails(rings(), SNPU_DELAY_DEFAULT);
	device_fails(rings(), SNPU_DELAY_SYNAPSE);
	device_fails(held(), SNPU_DELAY_NEURON);
}

/* The rule of delays is the same as a Delay of a step behind each neuron, also before a ring that gets its input when the step is over. */
TEST(held_back_by_a_step)
{
	static const char *const devices[] = { "cpu", "sim" };
	struct snpu_model *m = held(), *d = held_by(true);
	struct snpu_array x = rig_spikes(1, STEPS, 5);
	struct snpu_input in = { .array = &x };
	const char *why;

	for (int i = 0; i < 2; i++) {
		struct snpu_device *dev = rig_device(devices[i], &why);
		struct snpu_session_opts o = with(SNPU_DELAY_NEURON);
		struct snpu_session *s;
		struct snpu_result *r = NULL, *want = reference(d, SNPU_DELAY_DEFAULT, &x);

		o.devices = &dev;
		o.n_devices = 1;
		s = rig_session(m, o);
		MUST(snpu_session_run(s, &in, 1, &r));
		EXPECT_GT(rig_counter(want, "l1", "SPIKES"), 10);
		EXPECT_GT(rig_counter(want, "l2", "SPIKES"), 10);
		expect_part(want, r, 0);
		snpu_result_free(r);
		snpu_result_free(want);
		snpu_session_free(s);
		snpu_device_close(dev);
	}
	snpu_array_free(&x);
	snpu_model_free(m);
	snpu_model_free(d);
}

TEST(what_cannot_go_on)
{
	struct snpu_model *m = loops(), *chain = rig_chain(5);
	struct snpu_array two = rig_spikes(2, 3, 5), x = rig_spikes(1, STEPS, 5);
	struct snpu_session *s = rig_session(m, base), *c = rig_session(chain, (struct snpu_session_opts){ .dt = 1e-3 });
	struct snpu_session *late = rig_session(m, with(SNPU_DELAY_NEURON));
	uint64_t size = snpu_session_state_size(s);
	uint8_t *state = calloc(1, size);
	struct snpu_input in = { .array = &two };
	struct snpu_result *want = reference(m, SNPU_DELAY_DEFAULT, &x), *r = go_on(s, &x, 0, 5);

	snpu_result_free(r);
	EXPECT_EQ(snpu_session_continue(s, &in, 1, &r), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "2 samples were given");
	EXPECT_EQ(snpu_session_state_load(s, state, size), -EBADMSG);	/* zeros */
	MUST(snpu_session_state_save(c, state));
	EXPECT_EQ(snpu_session_state_load(s, state, snpu_session_state_size(c)), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "other nodes");
	MUST(snpu_session_state_save(s, state));
	EXPECT_EQ(snpu_session_state_load(late, state, size), -EINVAL);
	EXPECT_EQ(snpu_session_state_load(c, state, snpu_session_state_size(c) - 1), -EBADMSG);
	EXPECT_EQ(snpu_session_state_load(c, state, 7), -EBADMSG);
	/* None of this has moved it. */
	r = go_on(s, &x, 5, 5);
	expect_part(want, r, 5);
	snpu_result_free(r);
	snpu_result_free(want);
	free(state);
	snpu_session_free(s);
	snpu_session_free(c);
	snpu_session_free(late);
	snpu_array_free(&two);
	snpu_array_free(&x);
	snpu_model_free(m);
	snpu_model_free(chain);
}

TEST_HARNESS_MAIN
