/* SPDX-License-Identifier: MIT */
/*
 * Random networks in integers on every backend of this machine, against quant_ref.h: spikes, currents and membranes of every neuron in every
 * step are the same integers. QUANT_NETS=N for another number, QUANT_SEED=S to begin elsewhere; a failure names the seed of its network. Then the same
 * through files, and what integers refuse.
 */
#include <unistd.h>

#include "quant_ref.h"

#define BACKENDS	4

/* --- networks -------------------------------------------------------------------------------------------------------- */

static unsigned q_synapses(struct snpu_model *m, const struct q_stage *s, const char *name)
{
	unsigned node = rig_node(m, name, s->dense ? s->biased ? "Affine" : "Linear" : "Conv2d");
	uint64_t n_out = (uint64_t)q_count(s->out), channels = (uint64_t)s->out.c;
	uint64_t dense[2] = { n_out, (uint64_t)q_count(s->in) }, kernel[4] = { channels, (uint64_t)s->in.c, (uint64_t)s->kernel, (uint64_t)s->kernel };
	int64_t stride = s->stride, pad = s->pad, one = 1;
	float none[Q_SIZE] = { 0 };

	MUST(snpu_model_set_param(m, node, "weight", s->dense ? 2 : 4, s->dense ? dense : kernel, s->weight));
	if (!s->dense || s->biased)
		MUST(snpu_model_set_param(m, node, "bias", 1, s->dense ? &n_out : &channels, s->biased ? s->bias : none));
	if (!s->dense) {
		MUST(snpu_model_set_ints(m, node, "stride", 1, &stride));
		MUST(snpu_model_set_ints(m, node, "padding", 1, &pad));
		MUST(snpu_model_set_ints(m, node, "dilation", 1, &one));
		MUST(snpu_model_set_ints(m, node, "groups", 1, &one));
	}
	return node;
}

static unsigned q_put_neuron(struct snpu_model *m, const struct q_stage *s, const char *name)
{
	const struct { const char *name; const float *data; } all[] = {
		{ s->neuron >= Q_CUBALI ? "tau_mem" : "tau", s->tau }, { "tau_syn", s->tau_syn }, { "r", s->r }, { "w_in", s->w_in }, { "v_leak", s->leak },
		{ "v_threshold", s->threshold }, { "v_reset", s->reset },
	};
	unsigned node = rig_node(m, name, q_names[s->neuron]);
	uint64_t shape[3] = { (uint64_t)s->out.c, (uint64_t)s->out.h, (uint64_t)s->out.w };

	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (snpu_model_has_param(m, node, all[i].name) == 1)
			MUST(snpu_model_set_param(m, node, all[i].name, s->out.h ? 3 : 1, shape, all[i].data));
	return node;
}

static unsigned q_follow(struct snpu_model *m, unsigned at, unsigned node)
{
	MUST(snpu_model_add_edge(m, at, node));
	return node;
}

static unsigned q_put_stage(struct snpu_model *m, const struct q_stage *s, int i, unsigned at)
{
	uint64_t size[2] = { (uint64_t)q_count(s->out), (uint64_t)q_count(s->out) };
	int64_t two = 2, zero = 0, all = -1;
	char name[16];

	if (s->dense && s->in.h) {
		snprintf(name, sizeof(name), "flat%d", i);
		at = q_follow(m, at, rig_node(m, name, "Flatten"));
		MUST(snpu_model_set_ints(m, at, "start_dim", 1, &zero));
		MUST(snpu_model_set_ints(m, at, "end_dim", 1, &all));
	}
	snprintf(name, sizeof(name), "w%d", i);
	at = q_follow(m, at, q_synapses(m, s, name));
	if (s->neuron != Q_NONE) {
		snprintf(name, sizeof(name), "n%d", i);
		at = q_follow(m, at, q_put_neuron(m, s, name));
	}
	if (s->back) {
		unsigned back;

		snprintf(name, sizeof(name), "back%d", i);
		back = q_follow(m, at, rig_node(m, name, "Linear"));
		MUST(snpu_model_set_param(m, back, "weight", 2, size, s->back_weight));
		MUST(snpu_model_add_edge(m, back, at));
	}
	if (s->wait) {
		snprintf(name, sizeof(name), "wait%d", i);
		at = q_follow(m, at, rig_node(m, name, "Delay"));
		rig_vector(m, at, "delay", 1, (float)(s->wait * Q_DT));
	}
	if (s->pool) {
		snprintf(name, sizeof(name), "pool%d", i);
		at = q_follow(m, at, rig_node(m, name, s->pool_mean ? "AvgPool2d" : "SumPool2d"));
		MUST(snpu_model_set_ints(m, at, "kernel_size", 1, &two));
		MUST(snpu_model_set_ints(m, at, "stride", 1, &two));
		MUST(snpu_model_set_ints(m, at, "padding", 1, &zero));
	}
	return at;
}

static struct snpu_model *q_model(const struct q_net *net)
{
	struct q_shape in = net->stage[0].in;
	int64_t shape[3] = { in.c, in.h, in.w };
	struct snpu_model *m = rig_model();
	unsigned at = rig_node(m, "input", "Input");

	MUST(snpu_model_set_ints(m, at, "shape", in.h ? 3 : 1, shape));
	for (int i = 0; i < net->stages; i++)
		at = q_put_stage(m, &net->stage[i], i, at);
	q_follow(m, at, rig_node(m, "output", "Output"));
	MUST(snpu_model_finish(m));
	return m;
}

/* --- running them ---------------------------------------------------------------------------------------------------- */

/* apart: the first weights on the CPU, so that sums cross over. */
static struct snpu_result *q_run_placed(const struct q_net *net, const struct snpu_model *m, struct snpu_device *dev, bool apart)
{
	static const struct snpu_place_rule first = { "w0", -1 };
	static float x[Q_STEPS * Q_SIZE];
	static const char *const names[] = { "n0", "n0.v", "n0.i", "n1", "n1.v", "n1.i", "n2", "n2.v", "n2.i" };
	const char *records[9];
	int n = q_count(net->stage[0].in);
	struct q_shape in = net->stage[0].in;
	struct snpu_array a = { .dtype = SNPU_F32, .rank = in.h ? 4 : 2, .shape = { Q_STEPS, (uint64_t)in.c, (uint64_t)in.h, (uint64_t)in.w },
				.count = (uint64_t)(Q_STEPS * n), .data = x };
	struct snpu_input input = { .array = &a };
	struct snpu_session_opts o = net->opts;
	struct snpu_session *s = NULL;
	struct snpu_result *r = NULL;

	for (int t = 0; t < Q_STEPS; t++)
		memcpy(x + t * n, net->input[t], (size_t)n * sizeof(*x));
	o.sz = sizeof(o);
	o.devices = &dev;
	o.n_devices = 1;
	o.place = &first;
	o.n_place = apart;
	o.records = records;
	for (int i = 0; i < net->stages; i++)
		for (int k = 0; k < 3 && net->stage[i].neuron != Q_NONE; k++)
			if (k < 2 || net->stage[i].neuron >= Q_CUBALI)
				records[o.n_records++] = names[3 * i + k];
	if (snpu_session_create(m, &o, &s) || snpu_session_run(s, &input, 1, &r))
		printf("# %s\n", snpu_last_error());
	snpu_session_free(s);
	return r;
}

static struct snpu_result *q_run_on(const struct q_net *net, const struct snpu_model *m, struct snpu_device *dev)
{
	return q_run_placed(net, m, dev, false);
}

/* Is a record's step these integers? What binary32 cannot tell apart is not. */
static bool q_is(const struct snpu_result *r, const char *name, int t, const int64_t *want, const double *unit, int n)
{
	const struct snpu_array *a = rig_record(r, name);

	for (int k = 0; k < n; k++) {
		double u = unit ? unit[k] : 1.0, got = a ? ((float *)a->data)[t * n + k] / u : NAN;
		bool same = llabs(want[k]) < 1 << 23 ? rint(got) == (double)want[k] && fabs(got - rint(got)) < 0.5 : fabs(got - (double)want[k]) <= 1e-6 * fabs(got);

		if (!same) {
			printf("# step %d, %s, element %d: %.9g, must be %lld (unit %.9g)\n", t, name, k, got, (long long)want[k], u);
			return false;
		}
	}
	return true;
}

static bool q_check_step(const struct q_ref *r, const struct snpu_result *result, int t, uint64_t *fired)
{
	bool ok = true;

	for (int i = 0; i < r->net->stages && ok; i++) {
		const struct q_stage *s = &r->net->stage[i];
		const struct q_state *q = &r->s[i];
		char name[3][8] = { { 'n', (char)('0' + i) }, { 'n', (char)('0' + i), '.', 'v' }, { 'n', (char)('0' + i), '.', 'i' } };
		int n = q_count(s->out);

		if (q_fires(s->neuron))
			ok = q_is(result, name[0], t, q->spikes, NULL, n);
		if (s->neuron != Q_NONE)
			ok = ok && q_is(result, name[1], t, q->v, q->unit_v, n);
		if (s->neuron >= Q_CUBALI)
			ok = ok && q_is(result, name[2], t, q->i, q->unit_i, n);
		for (int k = 0; k < n && q_fires(s->neuron); k++)
			*fired += q->spikes[k] != 0;
		if (ok && i + 1 == r->net->stages)
			ok = q_is(result, "output", t, q->out, q->out_unit, q_count(s->after));
	}
	return ok;
}

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

TEST_TIMEOUT(random_networks_are_what_the_law_says_on_every_backend, 600)
{
	static const char *const names[BACKENDS] = { "cpu-scalar", "cpu-avx2", "cpu-avx512", "sim" };
	static struct q_net net;
	static struct q_ref ref;
	struct snpu_device *dev[BACKENDS];
	uint64_t nets = from_environment("QUANT_NETS", 400), seed = from_environment("QUANT_SEED", 1), fired = 0;
	const char *why;

	for (int b = 0; b < BACKENDS; b++)
		dev[b] = rig_device(names[b], &why);
	ASSERT_TRUE(dev[0]);
	for (uint64_t i = seed; i < seed + nets && !th_failed; i++) {
		struct snpu_result *first = NULL;
		struct snpu_model *m;

		q_make(&net, i);
		m = q_model(&net);
		for (int b = 0; b < BACKENDS && !th_failed; b++) {
			struct snpu_result *r = dev[b] ? q_run_on(&net, m, dev[b]) : NULL;

			if (!dev[b])
				continue;
			ASSERT_TRUE(r);
			q_start(&ref, &net);
			for (int t = 0; t < Q_STEPS && !b && !th_failed; t++) {
				q_run_step(&ref, t);
				EXPECT_TRUE(q_check_step(&ref, r, t, &fired));
			}
			EXPECT_TRUE(!first || (rig_same(first, r) && rig_same_counters(first, r)));
			if (first)
				snpu_result_free(r);
			else
				first = r;
		}
		if (th_failed)
			printf("# QUANT_SEED=%llu QUANT_NETS=1\n", (unsigned long long)i);
		snpu_result_free(first);
		snpu_model_free(m);
	}
	EXPECT_GT(fired, 20 * nets);			/* there was something to compare */
	for (int b = 0; b < BACKENDS; b++)
		snpu_device_close(dev[b]);
}

TEST_TIMEOUT(placement_changes_nothing, 600)
{
	static struct q_net net;
	const char *why;
	struct snpu_device *dev = rig_device("sim", &why);

	for (uint64_t i = 1; i <= 100 && !th_failed; i++) {
		struct snpu_result *whole, *apart;
		struct snpu_model *m;

		q_make(&net, i);
		m = q_model(&net);
		whole = q_run_on(&net, m, dev);
		apart = q_run_placed(&net, m, dev, true);
		EXPECT_TRUE(whole && apart && rig_same(whole, apart));
		if (th_failed)
			printf("# QUANT_SEED=%llu QUANT_NETS=1\n", (unsigned long long)i);
		snpu_result_free(whole);
		snpu_result_free(apart);
		snpu_model_free(m);
	}
	snpu_device_close(dev);
}

/* Steps given one by one to a session that goes on. */
static bool q_steps_are(const struct q_net *net, const struct snpu_model *m, const struct snpu_array *whole)
{
	struct q_shape in = net->stage[0].in;
	uint64_t n = (uint64_t)q_count(in), n_out = whole->count / Q_STEPS;
	struct snpu_session_opts o = net->opts;
	struct snpu_session *s = NULL;
	bool same = true;

	o.sz = sizeof(o);
	MUST(snpu_session_create(m, &o, &s));
	for (unsigned t = 0; t < Q_STEPS && same; t++) {
		struct snpu_array a = { .dtype = SNPU_F32, .rank = in.h ? 4 : 2, .shape = { 1, (uint64_t)in.c, (uint64_t)in.h, (uint64_t)in.w }, .count = n,
					.data = (float *)net->input[t] };
		struct snpu_input input = { .array = &a };
		struct snpu_result *r = NULL;

		same = !snpu_session_continue(s, &input, 1, &r) &&
		       !memcmp(rig_record(r, "output")->data, (float *)whole->data + t * n_out, n_out * sizeof(float));
		snpu_result_free(r);
	}
	snpu_session_free(s);
	return same;
}

TEST_TIMEOUT(step_by_step_is_the_same, 600)
{
	static struct q_net net;
	const char *why;
	struct snpu_device *dev = rig_device("cpu", &why);

	for (uint64_t i = 1; i <= 100 && !th_failed; i++) {
		struct snpu_result *whole;
		struct snpu_model *m;

		q_make(&net, i);
		m = q_model(&net);
		whole = q_run_on(&net, m, dev);
		EXPECT_TRUE(whole && q_steps_are(&net, m, rig_record(whole, "output")));
		snpu_result_free(whole);
		snpu_model_free(m);
	}
	snpu_device_close(dev);
}

/* --- as files --------------------------------------------------------------------------------------------------------- */

/* The network from its file, which keeps the options. NULL: it says why. */
static struct snpu_model *q_through_file(const struct q_net *net, const struct snpu_model *m)
{
	char path[] = "/tmp/quant_net.XXXXXX";
	struct snpu_session_opts o = net->opts;
	struct snpu_session *s = NULL;
	struct snpu_model *back = NULL;
	int fd = mkstemp(path);

	o.sz = sizeof(o);
	if (fd < 0 || snpu_session_create(m, &o, &s) || snpu_session_save_model(s, path) || snpu_model_load_snpu(path, &back))
		printf("# %s\n", snpu_last_error());
	close(fd);
	unlink(path);
	snpu_session_free(s);
	return back;
}

TEST_TIMEOUT(a_file_gives_the_same_bits, 600)
{
	static struct q_net net;
	const char *why;
	struct snpu_device *dev = rig_device("cpu", &why);

	for (uint64_t i = 1; i <= 150 && !th_failed; i++) {
		struct snpu_model *m, *back;
		struct snpu_result *a, *b;

		q_make(&net, i);
		m = q_model(&net);
		back = q_through_file(&net, m);
		ASSERT_TRUE(back);
		a = q_run_on(&net, m, dev);
		net.opts = (struct snpu_session_opts){ 0 };	/* those of the file */
		b = q_run_on(&net, back, dev);
		EXPECT_TRUE(a && b && rig_same(a, b) && rig_same_counters(a, b));
		if (th_failed)
			printf("# QUANT_SEED=%llu QUANT_NETS=1\n", (unsigned long long)i);
		snpu_result_free(a);
		snpu_result_free(b);
		snpu_model_free(m);
		snpu_model_free(back);
	}
	snpu_device_close(dev);
}

/* --- what integers refuse ------------------------------------------------------------------------------------------- */

static void refused(struct snpu_model *m, const char *edges, const struct snpu_session_opts *opts, const char *sentence)
{
	struct snpu_session_opts o = *opts;
	struct snpu_session *s = NULL;

	o.sz = sizeof(o);
	o.dt = Q_DT;
	o.number = SNPU_NUMBER_INT8;
	rig_edges(m, edges);
	MUST(snpu_model_finish(m));
	EXPECT_LT(snpu_session_create(m, &o, &s), 0);
	EXPECT_CONTAINS(snpu_last_error(), sentence);
	snpu_session_free(s);
	snpu_model_free(m);
}

static struct snpu_model *ends(void)
{
	struct snpu_model *m = rig_model();

	rig_end(m, "input", "Input", 4);
	rig_end(m, "output", "Output", 4);
	return m;
}

TEST(what_integers_refuse_is_named)
{
	struct snpu_session_opts none = { 0 }, late = { .reset_time = SNPU_RESET_NEXT_STEP };
	struct snpu_model *m = ends();

	rig_linear(m, "w", 4, 4, 0.1f);
	rig_lif(m, "lif", 0.01f, 10);
	refused(m, "input>w w>lif input>lif lif>output", &none, "node 'input' gives is added to what weights give");
	m = ends();
	rig_linear(m, "w", 4, 4, 0.1f);
	rig_lif(m, "lif", 0.01f, 10);
	refused(m, "input>w w>lif lif>output", &late, "reset in the step after its spike");
	m = ends();
	rig_linear(m, "w", 4, 4, 0.1f);
	rig_lif(m, "lif", 0.01f, -10);
	refused(m, "input>w w>lif lif>output", &none, "need a positive gain");
	m = ends();
	rig_linear(m, "a", 4, 4, 0.1f);
	rig_linear(m, "b", 4, 4, 0.1f);
	rig_linear(m, "c", 4, 4, 0.1f);
	refused(m, "input>a a>b b>c c>output", &none, "passed 3 matrices");
}

/* An input that is no whole number stops the run, and the sentence names it. */
TEST(inputs_are_whole_numbers)
{
	float x[2] = { 1, 0.5f };
	struct snpu_array a = { .dtype = SNPU_F32, .rank = 2, .shape = { 1, 2 }, .count = 2, .data = x };
	struct snpu_input in = { .array = &a };
	struct snpu_session_opts o = { .sz = sizeof(o), .dt = Q_DT, .number = SNPU_NUMBER_INT8 };
	struct snpu_model *m = rig_chain(2);
	struct snpu_session *s = NULL;
	struct snpu_result *r = NULL;

	MUST(snpu_session_create(m, &o, &s));
	EXPECT_EQ(snpu_session_run(s, &in, 1, &r), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "input 'input' has 0.5 at element 1");
	snpu_session_free(s);
	snpu_model_free(m);
}

TEST_HARNESS_MAIN
