/* SPDX-License-Identifier: MIT */
/*
 * Networks of populations through the public API. Random ones with delays, weights and given spikes are compared bit for bit, on every backend of
 * the host and with the run cut in pieces, with an evaluation here that follows docs/populations.md synapse by synapse and step by step and knows
 * nothing of rows, segments or rings. One neuron is compared with the closed solution of its equation; CUBA with what is published of it.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "snpu/snpu.h"
#include "tests/bench/cuba_net.h"
#include "tests/unit/fail_rig.h"
#include "tests/unit/nir_rig.h"

/* --- a network as the test sees it --------------------------------------------------------------------------------- */

#define POPS	3u				/* two that fire, one that is told to */
#define MOST	70u
#define STEPS	60u
#define DELAYS	9u				/* steps at most */

struct synapse {
	uint32_t source, target, delay;
	float weight;
};

static struct {
	uint32_t n[POPS];
	struct {
		unsigned int source, target, receptor;
		bool weights;
		uint32_t n;
		struct synapse s[MOST * MOST];
	} proj[5];
	uint8_t given[STEPS][MOST];		/* spikes of population 2 */
	double v[POPS][MOST], drive[POPS][MOST];
} net;

static uint64_t rng;

static uint32_t below(uint32_t n)
{
	return (uint32_t)(cuba_random(&rng) >> 32) % n;
}

static void make_projection(unsigned int i, uint32_t delays)
{
	net.proj[i].source = below(POPS);
	net.proj[i].target = below(POPS - 1);
	net.proj[i].receptor = below(2);
	net.proj[i].weights = below(2);
	net.proj[i].n = 0;
	for (uint32_t s = 0; s < net.n[net.proj[i].source]; s++)
		for (uint32_t k = below(12); k; k--)
			net.proj[i].s[net.proj[i].n++] = (struct synapse){ s, below(net.n[net.proj[i].target]), 1 + below(delays),
									  net.proj[i].weights ? (float)below(1000) / 300.0f - 1.0f : 0.75f };
}

static void make_net(uint64_t seed)
{
	rng = seed;
	for (unsigned int p = 0; p < POPS; p++) {
		net.n[p] = 1 + below(MOST);
		for (uint32_t k = 0; k < MOST; k++) {
			net.v[p][k] = below(1000) / 1000.0;
			net.drive[p][k] = 0.6 + below(1000) / 1000.0;
		}
	}
	for (unsigned int i = 0; i < 5; i++)
		make_projection(i, seed % 3 ? DELAYS : 1);	/* without delays nothing has a ring */
	for (uint32_t t = 0; t < STEPS; t++)
		for (uint32_t k = 0; k < MOST; k++)
			net.given[t][k] = k < net.n[2] && !below(10);
}

/* --- the same by the public API ------------------------------------------------------------------------------------ */

static int add_projection(struct snpu_net *to, unsigned int i)
{
	uint64_t rows[MOST + 1] = { 0 };
	static uint32_t columns[MOST * MOST];
	static float weights[MOST * MOST], delays[MOST * MOST];
	char name[8];
	struct snpu_net_csr c = { .sz = sizeof(c), .name = name, .source = net.proj[i].source, .target = net.proj[i].target,
				  .receptor = (enum snpu_net_receptor)net.proj[i].receptor, .rows = rows, .columns = columns, .weight = 0.75,
				  .weights = net.proj[i].weights ? weights : NULL, .delays = delays };

	snprintf(name, sizeof(name), "p%u", i);
	for (uint32_t k = 0; k < net.proj[i].n; k++) {
		rows[net.proj[i].s[k].source + 1]++;
		columns[k] = net.proj[i].s[k].target;
		weights[k] = net.proj[i].s[k].weight;
		delays[k] = (float)net.proj[i].s[k].delay * 1e-3f;
	}
	for (uint32_t s = 0; s < MOST; s++)
		rows[s + 1] += rows[s];
	return snpu_net_add_csr(to, &c);
}

static int add_spikes(struct snpu_net *to)
{
	static double times[STEPS * MOST];
	static uint32_t neurons[STEPS * MOST];
	uint64_t n = 0;

	for (uint32_t t = STEPS; t--;)		/* any order will do */
		for (uint32_t k = 0; k < net.n[2]; k++)
			if (net.given[t][k]) {
				times[n] = (double)t * 1e-3;
				neurons[n++] = k;
			}
	return snpu_net_set_spikes(to, 2, n, times, neurons);
}

static const struct { const char *name; double value; } params[] = {
	{ "tau_m", 10e-3 }, { "tau_e", 3e-3 }, { "tau_i", 10e-3 }, { "v_rest", 0.25 }, { "v_threshold", 1.0 }, { "v_reset", 0.1 }, { "refractory", 3e-3 },
	{ "r", 0.5 },
};
#define N_PARAMS	(sizeof(params) / sizeof(params[0]))

static struct snpu_net *build(void)
{
	struct snpu_net *to;
	int err = snpu_net_create(1e-3, &to);

	for (unsigned int p = 0; p < POPS && err >= 0; p++)
		err = snpu_net_add_population(to, p == 0 ? "a" : p == 1 ? "b" : "in", p < 2 ? SNPU_NET_LIF : SNPU_NET_SPIKES, net.n[p]);
	for (unsigned int p = 0; p < 2 && err >= 0; p++) {
		for (unsigned int i = 0; i < N_PARAMS && err >= 0; i++)
			err = snpu_net_set(to, p, params[i].name, 1, &params[i].value);
		if (err >= 0)
			err = snpu_net_set(to, p, "v", net.n[p], net.v[p]);
		if (err >= 0 && p == 1)		/* one population with parameters for each neuron */
			err = snpu_net_set(to, p, "i_const", net.n[p], net.drive[p]);
		if (err >= 0 && p == 0)
			err = snpu_net_set(to, p, "i_const", 1, net.drive[p]);
	}
	for (unsigned int i = 0; i < 5 && err >= 0; i++)
		err = add_projection(to, i);
	if (err >= 0)
		err = add_spikes(to);
	if (err < 0)
		TH_FAILMSG("%s", snpu_last_error());
	return to;
}

/* --- the evaluation ------------------------------------------------------------------------------------------------- */

static struct {
	bool fired[STEPS][POPS][MOST];
	float v[STEPS][2][MOST];
	uint64_t synapses;
} want;

static bool has_ring(unsigned int pop, unsigned int receptor)
{
	for (unsigned int i = 0; i < 5; i++)
		for (uint32_t k = 0; net.proj[i].target == pop && net.proj[i].receptor == receptor && k < net.proj[i].n; k++)
			if (net.proj[i].s[k].delay > 1)
				return true;
	return false;
}

static float rnd(float x)
{
	volatile float y = x;

	return y;
}

static void evaluate(void)
{
	static float cur[2][2][MOST], late[STEPS + DELAYS + 1][2][2][MOST];	/* what arrives in a step */
	static float v[2][MOST], hold[2][MOST];
	const double dt = 1e-3, tm = 10e-3, te = 3e-3, a = exp(-dt / tm), x = dt / tm - dt / te;
	const float k_e = (float)(0.5 * dt / tm * a * (expm1(x) / x)), k_i = (float)(0.5 * dt / tm * a), decay[2] = { (float)exp(-dt / te), (float)exp(-dt / 10e-3) };

	memset(cur, 0, sizeof(cur));
	memset(late, 0, sizeof(late));
	memset(hold, 0, sizeof(hold));
	want.synapses = 0;
	for (unsigned int p = 0; p < 2; p++)
		for (uint32_t k = 0; k < net.n[p]; k++)
			v[p][k] = (float)net.v[p][k];
	for (uint32_t t = 0; t < STEPS; t++) {
		for (unsigned int p = 0; p < 2; p++)
			for (uint32_t k = 0; k < net.n[p]; k++) {
				float drive = (float)((0.25 + 0.5 * net.drive[p][p ? k : 0]) * -expm1(-dt / tm)), u;
				bool held = hold[p][k] > 0, z;

				for (unsigned int r = 0; r < 2; r++)
					if (has_ring(p, r))
						cur[p][r][k] = rnd(cur[p][r][k] + late[t][p][r][k]);
				u = rnd(rnd(rnd(drive + rnd((float)a * v[p][k])) + rnd(k_e * cur[p][0][k])) + rnd(k_i * cur[p][1][k]));
				z = !held && u > 1.0f;
				for (unsigned int r = 0; r < 2; r++)
					cur[p][r][k] = rnd(decay[r] * cur[p][r][k]);
				v[p][k] = z ? 0.1f : held ? v[p][k] : u;
				hold[p][k] = z ? 2 : held ? hold[p][k] - 1 : 0;	/* three steps from spike to spike */
				want.fired[t][p][k] = z;
				want.v[t][p][k] = v[p][k];
			}
		for (uint32_t k = 0; k < net.n[2]; k++)
			want.fired[t][2][k] = net.given[t][k];
		for (unsigned int i = 0; i < 5; i++)
			for (uint32_t k = 0; k < net.proj[i].n; k++) {
				const struct synapse *s = &net.proj[i].s[k];
				unsigned int p = net.proj[i].target, r = net.proj[i].receptor;
				float *to = has_ring(p, r) ? &late[t + s->delay][p][r][s->target] : &cur[p][r][s->target];

				if (!want.fired[t][net.proj[i].source][s->source])
					continue;
				*to = rnd(*to + s->weight);
				want.synapses++;
			}
	}
}

/* --- on a device ---------------------------------------------------------------------------------------------------- */

static void check_spikes(struct snpu_net_run *run, unsigned int pop, const char *name, uint32_t from, uint32_t to)
{
	struct snpu_net_spikes s;
	uint64_t at = 0;

	ASSERT_EQ(snpu_net_run_spikes(run, name, &s), 0);
	for (uint32_t t = from; t < to; t++)
		for (uint32_t k = 0; k < net.n[pop]; k++)
			if (want.fired[t][pop][k]) {
				ASSERT_LT(at, s.count);
				ASSERT_EQ(s.step[at], t);
				ASSERT_EQ(s.neuron[at], k);
				at++;
			}
	EXPECT_EQ(at, s.count);
}

/* fails: the device is expected to fail in the run. */
static void check_run(struct snpu_net *to, struct snpu_device *device, const uint32_t *cuts, uint32_t chunk, bool fails)
{
	static const char *const records[] = { "a", "b", "in", "a.v", "b.v", "b.e" };
	struct snpu_net_run_opts o = { .sz = sizeof(o), .device = device, .records = records, .n_records = 6, .chunk_steps = chunk };
	struct snpu_net_run *run;
	uint64_t synapses = 0;

	ASSERT_EQ(snpu_net_run_create(to, &o, &run), 0);
	for (uint32_t from = 0, n; from < STEPS && !th_failed; from += n, cuts++) {
		struct snpu_net_stats st = { .sz = sizeof(st) };
		const struct snpu_array *v;

		n = *cuts < STEPS - from ? *cuts : STEPS - from;
		ASSERT_EQ(snpu_net_run_steps(run, n), 0);
		ASSERT_EQ(snpu_net_run_stats(run, &st), 0);
		EXPECT_EQ(st.first, from);
		EXPECT_EQ(st.steps, n);
		EXPECT_EQ(st.updates, (uint64_t)n * (net.n[0] + net.n[1]));
		synapses += st.synapses;
		for (unsigned int p = 0; p < 3; p++)
			check_spikes(run, p, records[p], from, from + n);
		for (unsigned int p = 0; p < 2; p++) {
			ASSERT_EQ(snpu_net_run_values(run, records[3 + p], &v), 0);
			for (uint32_t t = 0; t < n; t++)
				ASSERT_EQ(memcmp((const float *)v->data + t * net.n[p], want.v[from + t][p], 4 * net.n[p]), 0);
		}
	}
	EXPECT_EQ(synapses, want.synapses);
	EXPECT_EQ(snpu_net_run_fallback(run) != NULL, fails);
	snpu_net_run_free(run);
}

TEST(random_networks)
{
	static const uint32_t whole[] = { STEPS }, cut[] = { 1, 13, 2, 30, STEPS };
	static const struct { const char *device; uint32_t isa; } backends[] = {
		{ "cpu", SNPU_CPU_SCALAR }, { "cpu", SNPU_CPU_AVX2 }, { "cpu", SNPU_CPU_AVX512 }, { "sim", 0 },
	};
	uint64_t spikes = 0, synapses = 0;

	for (unsigned int b = 0; b < 4; b++) {
		struct snpu_device_opts o = { .sz = sizeof(o), .cpu_isa = backends[b].isa };
		struct snpu_device *device;

		if (snpu_device_open(backends[b].device, &o, &device)) {
			printf("# %s\n", snpu_last_error());
			continue;
		}
		for (uint64_t seed = 1; seed <= 12 && !th_failed; seed++) {
			struct snpu_net *to;

			make_net(seed);
			evaluate();
			to = build();
			check_run(to, device, seed % 2 ? whole : cut, seed % 4 ? 0 : 7, false);
			snpu_net_free(to);
			synapses += want.synapses;
			for (uint32_t t = 0; t < STEPS; t++)
				for (uint32_t k = 0; k < net.n[0]; k++)
					spikes += want.fired[t][0][k];
		}
		snpu_device_close(device);
	}
	EXPECT_GT(spikes, 1000);		/* otherwise this compares nothing */
	EXPECT_GT(synapses, 10000);
}

/* A device that fails in any of its jobs: the CPU goes on from the last state there was, with the same bits. */
TEST(the_device_fails)
{
	static const uint32_t cut[] = { 20, STEPS };
	struct snpu_net_run_opts o = { .sz = sizeof(o), .require_device = true };
	struct snpu_device_info info = { .sz = sizeof(info) };
	struct snpu_net_run *run;
	struct snpu_net *to;

	ASSERT_EQ(snpu_device_open("sim", NULL, &o.device), 0);
	for (int after = 0; after < 9 && !th_failed; after += 2) {
		make_net(2 + (uint64_t)after);
		evaluate();
		to = build();
		fail_after = after;
		check_run(to, o.device, cut, 7, true);
		snpu_net_free(to);
	}
	to = build();
	fail_after = 1;
	ASSERT_EQ(snpu_net_run_create(to, &o, &run), 0);
	EXPECT_EQ(snpu_net_run_steps(run, 10), 0);
	ASSERT_EQ(snpu_net_run_device(run, &info), 0);
	EXPECT_EQ(info.kind, SNPU_KIND_SIMULATOR);
	EXPECT_EQ(snpu_net_run_steps(run, 10), -EREMOTEIO);
	EXPECT_CONTAINS(snpu_last_error(), "the test says so");
	EXPECT_EQ(snpu_net_run_steps(run, 10), -EINVAL);
	fail_after = -1;
	snpu_net_run_free(run);
	snpu_net_free(to);
	snpu_device_close(o.device);
}

/* --- files ---------------------------------------------------------------------------------------------------------- */

static bool golden(const struct snpu_net_spikes *s, struct snpu_npz *npz, const char *pop)
{
	struct snpu_array step, neuron;
	uint64_t found = 0;
	char name[2][16];

	snprintf(name[0], 16, "%s.step", pop);
	snprintf(name[1], 16, "%s.neuron", pop);
	if (snpu_npz_read(npz, name[0], &step) || snpu_npz_read(npz, name[1], &neuron))
		return false;
	for (uint64_t i = 0; i < step.count; i++)	/* Brian2 lists them by step, ours are by neuron in a step, too */
		for (uint64_t k = 0; k < s->count; k++)
			found += s->step[k] == ((uint32_t *)step.data)[i] && s->neuron[k] == ((uint32_t *)neuron.data)[i];
	printf("# %s: %llu of %llu spikes are Brian2's, which has %llu\n", pop, (unsigned long long)found, (unsigned long long)s->count, (unsigned long long)step.count);
	found = found == s->count && found == step.count;
	snpu_array_free(&step);
	snpu_array_free(&neuron);
	return found;
}

/* Spikes as Brian2 2.5.1 computed them in double, with its own integrator, of the same file: tests/data/net/brian.py. */
TEST(brian2)
{
	static const char *const records[] = { "a", "b" };
	struct snpu_net_run_opts o = { .sz = sizeof(o), .records = records, .n_records = 2 };
	struct snpu_net_run *run;
	struct snpu_npz *npz;
	struct snpu_net *to;
	size_t size;
	void *mem = rig_read("tests/data/net/small_brian.npz", &size);

	ASSERT_TRUE(mem);
	ASSERT_EQ(snpu_npz_open(mem, size, &npz), 0);
	EXPECT_EQ(snpu_net_is("tests/data/net/small.h5"), 1);
	EXPECT_EQ(snpu_net_is("tests/data/nir/lif/lif_norse.nir"), 0);
	ASSERT_EQ(snpu_net_load("tests/data/net/small.h5", 0, &to), 0);
	EXPECT_EQ(snpu_net_steps(to), 200);
	EXPECT_TRUE(snpu_net_dt(to) == 1e-3);
	EXPECT_EQ(snpu_net_population_count(to), 3);
	ASSERT_EQ(snpu_net_run_create(to, &o, &run), 0);
	ASSERT_EQ(snpu_net_run_steps(run, 200), 0);
	for (unsigned int p = 0; p < 2; p++) {
		struct snpu_net_spikes s;

		ASSERT_EQ(snpu_net_run_spikes(run, records[p], &s), 0);
		ASSERT_GT(s.count, 100);
		EXPECT_TRUE(golden(&s, npz, records[p]));
	}
	snpu_net_run_free(run);
	snpu_net_free(to);
	snpu_npz_close(npz);
	free(mem);
}

/* --- what cannot be ------------------------------------------------------------------------------------------------- */

#define REFUSED(call, err, text) do {						\
	EXPECT_EQ(call, err);							\
	EXPECT_CONTAINS(snpu_last_error(), text);				\
} while (0)

TEST(errors_of_building)
{
	const double good = 1e-2, bad = NAN, two[2] = { 1, 2 };
	struct snpu_net_population_info info = { .sz = sizeof(info) };
	struct snpu_net *to;

	REFUSED(snpu_net_create(0, &to), -EINVAL, "time step");
	ASSERT_EQ(snpu_net_create(1e-3, &to), 0);
	ASSERT_EQ(snpu_net_add_population(to, "a", SNPU_NET_LIF, 3), 0);
	ASSERT_EQ(snpu_net_add_population(to, "in", SNPU_NET_SPIKES, 2), 1);
	REFUSED(snpu_net_add_population(to, "a", SNPU_NET_LIF, 3), -EEXIST, "'a' already");
	REFUSED(snpu_net_add_population(to, "b.v", SNPU_NET_LIF, 3), -EINVAL, "no name");
	REFUSED(snpu_net_add_population(to, "b", SNPU_NET_LIF, 0), -EINVAL, "0 neurons");
	REFUSED(snpu_net_add_population(to, "b", SNPU_NET_LIF, SNPU_NET_NEURONS + 1), -E2BIG, "16777217 neurons");
	REFUSED(snpu_net_add_population(to, "b", (enum snpu_net_model)7, 1), -EINVAL, "model 7");
	REFUSED(snpu_net_set(to, 0, "tau", 1, &good), -ENOENT, "'tau'");
	REFUSED(snpu_net_set(to, 0, "tau_m", 2, two), -EINVAL, "2 values");
	REFUSED(snpu_net_set(to, 0, "tau_m", 1, &bad), -EINVAL, "nan");
	REFUSED(snpu_net_set(to, 0, "refractory", 1, (const double[]){ -1 }), -EINVAL, "refractory");
	REFUSED(snpu_net_set(to, 1, "tau_m", 1, &good), -EINVAL, "no parameters");
	REFUSED(snpu_net_set(to, 2, "tau_m", 1, &good), -ERANGE, "no population 2");
	REFUSED(snpu_net_set_spikes(to, 1, 1, &good, (const uint32_t[]){ 2 }), -EINVAL, "neuron 2");
	REFUSED(snpu_net_set_spikes(to, 1, 1, &bad, (const uint32_t[]){ 1 }), -EINVAL, "spike 0");
	REFUSED(snpu_net_set_spikes(to, 0, 0, NULL, NULL), -EINVAL, "by itself");
	REFUSED(snpu_net_find(to, "x"), -ENOENT, "'x'");
	EXPECT_EQ(snpu_net_find(to, "in"), 1);
	REFUSED(snpu_net_population(to, 2, &info), -ERANGE, "population 2");
	ASSERT_EQ(snpu_net_population(to, 0, &info), 0);
	EXPECT_STREQ(info.name, "a");
	EXPECT_EQ(snpu_net_set_steps(to, 5), 0);
	snpu_net_free(to);
	snpu_net_free(NULL);
}

TEST(errors_of_connecting)
{
	const uint64_t rows[] = { 0, 1, 3, 3 }, falling[] = { 0, 3, 1, 3 }, late[] = { 1, 1, 3, 3 };
	const uint32_t columns[] = { 0, 2, 1 }, outside[] = { 0, 3, 1 };
	const float far[] = { 0.001f, 66.0f, 0.001f }, never[] = { 1, INFINITY, 1 };
	struct snpu_net_csr c = { .sz = sizeof(c), .name = "p", .rows = rows, .columns = columns, .weight = 1 };
	struct snpu_net_random r = { .sz = sizeof(r), .name = "r", .probability = 0.5, .weight = 1 };
	struct snpu_net_projection_info info = { .sz = sizeof(info) };
	struct snpu_net *to;

	ASSERT_EQ(snpu_net_create(1e-3, &to), 0);
	ASSERT_EQ(snpu_net_add_population(to, "a", SNPU_NET_LIF, 3), 0);
	ASSERT_EQ(snpu_net_add_population(to, "in", SNPU_NET_SPIKES, 3), 1);
	c.rows = falling;
	REFUSED(snpu_net_add_csr(to, &c), -EINVAL, "row 1 ends before");
	c.rows = late;
	REFUSED(snpu_net_add_csr(to, &c), -EINVAL, "row 0");
	c.rows = rows;
	c.columns = outside;
	REFUSED(snpu_net_add_csr(to, &c), -EINVAL, "row 1: synapse 1 goes to neuron 3");
	c.columns = columns;
	c.delays = far;
	REFUSED(snpu_net_add_csr(to, &c), -EINVAL, "row 1: a delay is 66 s");
	c.delays = NULL;
	c.weights = never;
	REFUSED(snpu_net_add_csr(to, &c), -EINVAL, "weight of synapse 1");
	c.weights = NULL;
	c.target = 1;
	REFUSED(snpu_net_add_csr(to, &c), -EINVAL, "'in' fires as it is told");
	c.target = 2;
	REFUSED(snpu_net_add_csr(to, &c), -ERANGE, "population 0 to 2");
	c.target = 0;
	c.weight = 1e39;
	REFUSED(snpu_net_add_csr(to, &c), -EINVAL, "its weight");
	c.weight = 1;
	c.receptor = (enum snpu_net_receptor)2;
	REFUSED(snpu_net_add_csr(to, &c), -EINVAL, "receptor 2");
	c.receptor = SNPU_NET_I;
	EXPECT_EQ(snpu_net_projection_count(to), 0);
	EXPECT_EQ(snpu_net_add_csr(to, &c), 0);
	REFUSED(snpu_net_add_csr(to, &c), -EEXIST, "'p' already");
	ASSERT_EQ(snpu_net_projection(to, 0, &info), 0);
	EXPECT_EQ(info.synapses, 3);
	EXPECT_EQ(info.receptor, SNPU_NET_I);
	REFUSED(snpu_net_projection(to, 1, &info), -ERANGE, "projection 1");
	r.probability = 1.5;
	REFUSED(snpu_net_add_random(to, &r), -EINVAL, "1.5");
	r.probability = 1;
	r.source_first = 2;
	r.source_count = 2;
	REFUSED(snpu_net_add_random(to, &r), -EINVAL, "sources 2 to 4 of 3");
	r.source_count = 0;
	EXPECT_EQ(snpu_net_add_random(to, &r), 1);
	ASSERT_EQ(snpu_net_projection(to, 1, &info), 0);
	EXPECT_EQ(info.synapses, 3);		/* one source, all targets */
	ASSERT_EQ(snpu_net_add_population(to, "big", SNPU_NET_LIF, SNPU_NET_NEURONS), 2);
	r = (struct snpu_net_random){ .sz = sizeof(r), .name = "all", .source = 2, .target = 2, .probability = 1, .weight = 1 };
	REFUSED(snpu_net_add_random(to, &r), -E2BIG, "2.81e+14 synapses");
	snpu_net_free(to);
}

TEST(errors_of_running)
{
	static const char *const names[] = { "tau_m", "tau_e", "tau_i", "v_rest", "v_threshold", "v_reset" };
	const char *record = "a.w";
	struct snpu_net_run_opts o = { .sz = sizeof(o), .records = &record, .n_records = 1 };
	const struct snpu_array *values;
	struct snpu_net_spikes s;
	struct snpu_net_row row;
	struct snpu_net_run *run;
	struct snpu_net *to;

	ASSERT_EQ(snpu_net_create(1e-3, &to), 0);
	REFUSED(snpu_net_run_create(to, NULL, &run), -EINVAL, "no populations");
	ASSERT_EQ(snpu_net_add_population(to, "a", SNPU_NET_LIF, 3), 0);
	REFUSED(snpu_net_run_create(to, NULL, &run), -EINVAL, "tau_m is not given");
	for (unsigned int i = 0; i < 6; i++)
		ASSERT_EQ(snpu_net_set(to, 0, names[i], 1, (const double[]){ 0.1 * (i + 1) }), 0);
	REFUSED(snpu_net_run_create(to, &o, &run), -ENOENT, "'a.w'");
	record = "b";
	REFUSED(snpu_net_run_create(to, &o, &run), -ENOENT, "record 'b'");
	record = "a.i";
	ASSERT_EQ(snpu_net_run_create(to, &o, &run), 0);
	REFUSED(snpu_net_add_population(to, "c", SNPU_NET_LIF, 3), -EBUSY, "a run was made");
	REFUSED(snpu_net_set_steps(to, 3), -EBUSY, "a run was made");
	snpu_net_free(to);			/* the run keeps it */
	ASSERT_EQ(snpu_net_run_steps(run, 3), 0);
	REFUSED(snpu_net_run_spikes(run, "a", &s), -ENOENT, "not recorded");
	REFUSED(snpu_net_run_values(run, "a.v", &values), -ENOENT, "not recorded");
	ASSERT_EQ(snpu_net_run_values(run, "a.i", &values), 0);
	EXPECT_EQ(values->shape[0], 3);
	ASSERT_EQ(snpu_net_run_row(run, 1, &row), 0);
	EXPECT_STREQ(row.name, "a");
	REFUSED(snpu_net_run_row(run, 2, &row), -ERANGE, "no row 2");
	snpu_net_run_cancel(run);
	EXPECT_EQ(snpu_net_run_steps(run, 1000000), -ECANCELED);
	snpu_net_run_free(run);
	snpu_net_run_free(NULL);
}

/* One spike of weight 1 into e at step 0, v_rest 0: v(t) = r tau_e / (tau_e - tau_m) (exp(-t / tau_e) - exp(-t / tau_m)), whatever the step. */
TEST(closed_solution)
{
	const double tau_e = 3e-3, tau_m = 10e-3, zero = 0, one = 1, never = 100, still = 1e-3;
	static const double dts[] = { 1e-3, 0.1e-3 };

	for (unsigned int d = 0; d < 2; d++) {
		struct snpu_net_csr c = { .sz = sizeof(c), .name = "p", .source = 1, .target = 0, .rows = (const uint64_t[]){ 0, 1 }, .columns = (const uint32_t[]){ 0 },
					  .weight = 1 };
		const char *const records[] = { "cell.v" };
		struct snpu_net_run_opts o = { .sz = sizeof(o), .records = records, .n_records = 1 };
		const struct snpu_array *v;
		struct snpu_net_run *run;
		struct snpu_net *to;
		uint32_t steps = (uint32_t)lrint(0.03 / dts[d]);

		ASSERT_EQ(snpu_net_create(dts[d], &to), 0);
		ASSERT_EQ(snpu_net_add_population(to, "cell", SNPU_NET_LIF, 1), 0);
		ASSERT_EQ(snpu_net_add_population(to, "in", SNPU_NET_SPIKES, 1), 1);
		ASSERT_EQ(snpu_net_set(to, 0, "tau_m", 1, &tau_m) | snpu_net_set(to, 0, "tau_e", 1, &tau_e) | snpu_net_set(to, 0, "tau_i", 1, &still) |
			  snpu_net_set(to, 0, "v_rest", 1, &zero) | snpu_net_set(to, 0, "v_threshold", 1, &never) | snpu_net_set(to, 0, "v_reset", 1, &one), 0);
		ASSERT_EQ(snpu_net_set_spikes(to, 1, 1, &zero, (const uint32_t[]){ 0 }), 0);
		ASSERT_EQ(snpu_net_add_csr(to, &c), 0);
		ASSERT_EQ(snpu_net_run_create(to, &o, &run), 0);
		ASSERT_EQ(snpu_net_run_steps(run, steps), 0);
		ASSERT_EQ(snpu_net_run_values(run, "cell.v", &v), 0);
		for (uint32_t t = 1; t < steps; t++) {	/* it arrives when step 0 is over */
			double at = t * dts[d], right = tau_e / (tau_e - tau_m) * (exp(-at / tau_e) - exp(-at / tau_m));

			EXPECT_LT(fabs((double)((const float *)v->data)[t] - right), 2e-6 * right);
		}
		snpu_net_run_free(run);
		snpu_net_free(to);
	}
}

/* Without input a cell fires every refractory + tau_m log((drive - reset) / (drive - threshold)), rounded up to steps. */
TEST(refractory)
{
	const double p[] = { 20e-3, 5e-3, 5e-3, -40e-3, -50e-3, -60e-3, 5e-3 };
	static const char *const names[] = { "tau_m", "tau_e", "tau_i", "v_rest", "v_threshold", "v_reset", "refractory" };
	const char *const records[] = { "cell" };
	struct snpu_net_run_opts o = { .sz = sizeof(o), .records = records, .n_records = 1 };
	uint64_t period = 49 + (uint64_t)ceil(20e-3 * log(20.0 / 10.0) / 1e-4);
	struct snpu_net_spikes s;
	struct snpu_net_run *run;
	struct snpu_net *to;

	ASSERT_EQ(snpu_net_create(1e-4, &to), 0);
	ASSERT_EQ(snpu_net_add_population(to, "cell", SNPU_NET_LIF, 1), 0);
	for (unsigned int i = 0; i < 7; i++)
		ASSERT_EQ(snpu_net_set(to, 0, names[i], 1, &p[i]), 0);
	ASSERT_EQ(snpu_net_set(to, 0, "v", 1, &p[5]), 0);
	ASSERT_EQ(snpu_net_run_create(to, &o, &run), 0);
	ASSERT_EQ(snpu_net_run_steps(run, 2000), 0);
	ASSERT_EQ(snpu_net_run_spikes(run, "cell", &s), 0);
	ASSERT_GT(s.count, 5);
	for (uint64_t i = 1; i < s.count; i++)
		EXPECT_EQ(s.step[i] - s.step[i - 1], period);
	snpu_net_run_free(run);
	snpu_net_free(to);
}

/* --- CUBA ----------------------------------------------------------------------------------------------------------- */

/* Brette et al. (2007), and Brian2 on this network (tests/bench/cuba_brian.py): 5 to 6.5 Hz after the start, intervals irregular (CV 0.6 to 1.3). */
static void cuba_statistics(struct snpu_net_run *run, uint32_t n, double seconds)
{
	uint64_t *last = calloc(n, sizeof(*last)), cells = 0;
	double *sum = calloc(n, sizeof(*sum)), *square = calloc(n, sizeof(*square)), *count = calloc(n, sizeof(*count)), cv = 0;
	struct snpu_net_spikes s;

	ASSERT_EQ(snpu_net_run_spikes(run, "cells", &s), 0);
	for (uint64_t i = 0; i < s.count; i++) {
		uint32_t k = s.neuron[i];

		if (last[k]) {
			double gap = (double)(s.step[i] - last[k]);

			sum[k] += gap;
			square[k] += gap * gap;
			count[k]++;
		}
		last[k] = s.step[i];
	}
	for (uint32_t k = 0; k < n; k++)
		if (count[k] > 3) {
			double mean = sum[k] / count[k];

			cv += sqrt(square[k] / count[k] - mean * mean) / mean;
			cells++;
		}
	printf("# %.2f Hz, mean CV of %llu cells %.2f\n", (double)s.count / n / seconds, (unsigned long long)cells, cv / (double)cells);
	EXPECT_GT((double)s.count / n / seconds, 4.5);
	EXPECT_LT((double)s.count / n / seconds, 7.0);
	EXPECT_GT(cells, n / 8);
	EXPECT_GT(cv / (double)cells, 0.6);
	EXPECT_LT(cv / (double)cells, 1.4);
	free(last);
	free(sum);
	free(square);
	free(count);
}

TEST(cuba)
{
	const char *const records[] = { "cells" };
	struct snpu_net_run_opts o = { .sz = sizeof(o), .records = records, .n_records = 1 };
	struct snpu_net_projection_info info = { .sz = sizeof(info) };
	struct snpu_net_run *run;
	struct snpu_net *to;

	ASSERT_EQ(cuba_build(4000, 3, 0, &to), 0);
	ASSERT_EQ(snpu_net_projection_count(to), 2);
	ASSERT_EQ(snpu_net_projection(to, 0, &info), 0);
	EXPECT_LT(fabs((double)info.synapses - 3200 * 80.0), 4 * sqrt(3200 * 80.0));	/* four standard deviations */
	EXPECT_EQ(info.delay_least, 1);
	EXPECT_EQ(info.delay_most, 1);
	EXPECT_LT(info.bytes, 2.2 * (double)info.synapses);	/* two bytes a synapse, and headers */
	ASSERT_EQ(snpu_net_run_create(to, &o, &run), 0);
	ASSERT_EQ(snpu_net_run_steps(run, 2000), 0);
	ASSERT_EQ(snpu_net_run_steps(run, 20000), 0);
	cuba_statistics(run, 4000, 2.0);
	snpu_net_run_free(run);
	snpu_net_free(to);
}

/* A million cells, 80 million synapses: they can be built and run, and the card's engine gives the bits of the CPU, which shares neurons among threads. */
TEST(a_million_cells)
{
	const char *const records[] = { "cells" };
	static const struct { const char *name; uint32_t threads; } devices[] = { { "cpu", 1 }, { "cpu", 7 }, { "sim", 0 } };
	struct snpu_device *device[3];
	struct snpu_net_spikes s[3];
	struct snpu_net_run *run[3];
	struct snpu_net *to;

	ASSERT_EQ(cuba_build(1000000, 1, 0, &to), 0);
	for (unsigned int d = 0; d < 3; d++) {
		struct snpu_net_run_opts o = { .sz = sizeof(o), .records = records, .n_records = 1 };
		struct snpu_device_opts opts = { .sz = sizeof(opts), .cpu_threads = devices[d].threads };

		ASSERT_EQ(snpu_device_open(devices[d].name, &opts, &device[d]), 0);
		o.device = device[d];
		ASSERT_EQ(snpu_net_run_create(to, &o, &run[d]), 0);
		ASSERT_EQ(snpu_net_run_steps(run[d], 3), 0);
		ASSERT_EQ(snpu_net_run_spikes(run[d], "cells", &s[d]), 0);
	}
	EXPECT_GT(s[0].count, 1000);
	for (unsigned int d = 1; d < 3; d++) {
		ASSERT_EQ(s[0].count, s[d].count);
		EXPECT_EQ(memcmp(s[0].step, s[d].step, s[0].count * sizeof(*s[0].step)), 0);
		EXPECT_EQ(memcmp(s[0].neuron, s[d].neuron, s[0].count * sizeof(*s[0].neuron)), 0);
	}
	snpu_net_free(to);
	for (unsigned int d = 0; d < 3; d++) {
		snpu_net_run_free(run[d]);
		snpu_device_close(device[d]);
	}
}

TEST_HARNESS_MAIN
