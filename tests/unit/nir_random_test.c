/* SPDX-License-Identifier: MIT */
/*
 * A thousand random networks, with random options of everything that NIR leaves open: written as files, loaded, run on every backend of
 * this machine. All backends give the same bits, and they are what the equations in double give. NIR_RANDOM_NETS=N for another number,
 * NIR_RANDOM_SEED=S to begin elsewhere; a failure names the seed of its network. NIR_ORACLE=FILE compares with an interpreter in Python too.
 */
#include "random_file.h"
#include "random_ref.h"
#include "snpu_job.h"

#define BACKENDS	4

struct random_run {
	struct net net;
	struct snpu_device *dev[BACKENDS];
	float input[REF_STEPS * NET_SIZE];
	char name[3 * NET_NODES][32];
	const char *records[3 * NET_NODES];
	unsigned n_records;
	uint64_t decided, near, lost, fired, kinds[NET_DELAY + 1];
};

static bool write_file(const char *path, const void *data, size_t size)
{
	FILE *f = fopen(path, "w");
	bool ok = f && fwrite(data, 1, size, f) == size;

	return f && !fclose(f) && ok;
}

static void make_input(struct random_run *t)
{
	int n = t->net.node[0].n;
	bool graded = net_below(&t->net, 3) == 0;

	for (int i = 0; i < REF_STEPS * n; i++)
		t->input[i] = net_below(&t->net, 3) ? 0.0f : graded ? net_uniform(&t->net, -1, 2) : 1.0f;
}

static void add_record(struct random_run *t, const char *node, const char *suffix)
{
	snprintf(t->name[t->n_records], sizeof(t->name[0]), "%s%s", node, suffix);
	t->records[t->n_records] = t->name[t->n_records];
	t->n_records++;
}

static void choose_records(struct random_run *t)
{
	t->n_records = 0;
	for (int i = 0; i < t->net.n_nodes; i++) {
		const struct net_node *n = &t->net.node[i];

		if (n->type == NET_INPUT || n->type == NET_OUTPUT)
			continue;
		add_record(t, n->name, "");
		if (net_kinds[n->type].state)
			add_record(t, n->name, ".v");
		if (n->type == NET_CUBALI || n->type == NET_CUBALIF)
			add_record(t, n->name, ".i");
	}
}

static struct snpu_result *run_on(struct random_run *t, const struct snpu_model *m, struct snpu_device *dev)
{
	uint64_t n = (uint64_t)t->net.node[0].n;
	struct snpu_array x = { .dtype = SNPU_F32, .shape = { REF_STEPS }, .count = REF_STEPS * n, .data = t->input };
	struct snpu_input in = { .array = &x };
	struct snpu_session_opts o = t->net.opts;
	struct snpu_session *s = NULL;
	struct snpu_result *r = NULL;
	hsize_t dims[3];

	x.rank = 1 + (unsigned)net_dims(t->net.node[0].shape, dims);
	for (unsigned i = 1; i < x.rank; i++)
		x.shape[i] = dims[i - 1];
	o.sz = sizeof(o);
	o.devices = &dev;
	o.n_devices = 1;
	o.require_device = dev == t->dev[BACKENDS - 1];
	o.records = t->records;
	o.n_records = t->n_records;
	if (snpu_session_create(m, &o, &s) || snpu_session_run(s, &in, 1, &r))
		printf("# %s\n", snpu_last_error());
	snpu_session_free(s);
	return r;
}

/* The double reference against one result. */
static bool check_numbers(struct random_run *t, const struct snpu_result *result)
{
	static struct ref r;

	memset(&r, 0, sizeof(r));
	r.net = &t->net;
	r.input = t->input;
	for (int i = 0; i < t->net.n_nodes; i++) {
		char v[40];
		const struct snpu_array *a = rig_record(result, t->net.node[i].name);

		snprintf(v, sizeof(v), "%s.v", t->net.node[i].name);
		r.z[i] = a ? a->data : NULL;
		a = rig_record(result, v);
		r.v[i] = a ? a->data : NULL;
	}
	ref_run(&r);
	t->decided += r.decided;
	t->near += r.near;
	t->lost += r.lost;
	if (r.wrong)
		printf("# %s\n", r.what);
	return !r.wrong;
}

/* The file of t->net, at `keep` too if that is not NULL, loaded. */
static struct snpu_model *load(struct random_run *t, const char *keep)
{
	struct snpu_model *m = NULL;
	size_t size;
	void *file;

	make_input(t);
	choose_records(t);
	file = net_file(&t->net, &size);
	if (keep && !write_file(keep, file, size))
		printf("# cannot write %s\n", keep);
	if (snpu_model_load_nir_memory(file, size, &m))
		printf("# %s\n", snpu_last_error());
	free(file);
	return m;
}

static bool check_net(struct random_run *t, uint64_t seed)
{
	struct snpu_result *first = NULL, *other;
	struct snpu_model *m;
	bool ok;

	net_make(&t->net, seed);
	m = load(t, NULL);
	ok = m && (first = run_on(t, m, t->dev[0])) && check_numbers(t, first);
	for (int d = 1; d < BACKENDS && ok; d++) {
		if (!t->dev[d])
			continue;
		other = run_on(t, m, t->dev[d]);
		ok = other && rig_same(first, other) && rig_same_counters(first, other);
		snpu_result_free(other);
	}
	for (unsigned i = 0; ok && i < snpu_result_profile_count(first); i++) {
		struct snpu_profile_row row;

		t->fired += !snpu_result_profile(first, i, &row) && row.counter[SNPU_COUNTER_SPIKES];
	}
	for (int i = 0; ok && i < t->net.n_nodes; i++)
		t->kinds[t->net.node[i].type]++;
	snpu_result_free(first);
	snpu_model_free(m);
	return ok;
}

static uint64_t number(const char *name, uint64_t otherwise)
{
	return getenv(name) ? strtoull(getenv(name), NULL, 0) : otherwise;
}

TEST_TIMEOUT(random_networks_are_what_the_equations_say_on_every_backend, 600)
{
	static const char *const names[BACKENDS] = { "cpu-scalar", "cpu-avx2", "cpu-avx512", "sim" };
	static struct random_run t;
	uint64_t nets = number("NIR_RANDOM_NETS", 1000), seed = number("NIR_RANDOM_SEED", 0);
	const char *why;

	for (int d = 0; d < BACKENDS; d++)
		t.dev[d] = rig_device(names[d], &why);
	ASSERT_TRUE(t.dev[0] && t.dev[3]);
	for (uint64_t i = 0; i < nets && !th_failed; i++)
		if (!check_net(&t, seed + i))
			TH_FAILMSG("NIR_RANDOM_NETS=1 NIR_RANDOM_SEED=%llu fails", (unsigned long long)(seed + i));
	printf("# %llu networks, %llu layers with spikes; of %llu comparisons with a threshold %llu were too near, %llu networks could not be followed to their end\n",
	       (unsigned long long)nets, (unsigned long long)t.fired, (unsigned long long)t.decided, (unsigned long long)t.near, (unsigned long long)t.lost);
	for (int k = 0; k <= NET_DELAY; k++)
		printf("# %5llu %s\n", (unsigned long long)t.kinds[k], net_kinds[k].name);
	if (nets >= 1000) {
		for (int k = 0; k <= NET_DELAY; k++)
			EXPECT_GT(t.kinds[k], nets / 20);
		EXPECT_LT(t.near, t.decided / 50);
		EXPECT_LT(t.lost, nets / 25);
		EXPECT_GT(t.fired, nets / 2);
	}
	for (int d = 0; d < BACKENDS; d++)
		snpu_device_close(t.dev[d]);
}

/* --- another interpreter ------------------------------------------------------------------------------------------- */

/* Options that nir_random_oracle.py can tell the interpreter. */
static bool oracle_has(const struct snpu_session_opts *o)
{
	return o->reset_time <= SNPU_RESET_SAME_STEP && o->gain <= SNPU_GAIN_R_DT && o->delay <= SNPU_DELAY_CURRENT && o->floor != SNPU_FLOOR_VALUE &&
	       (o->max_spikes <= 1 || o->max_spikes == SNPU_SPIKES_ANY);
}

/* DIR/SEED.nir, DIR/SEED.f32: input, then each record of a node's output, and a line for them in the list. */
static bool tell_oracle(struct random_run *t, uint64_t seed, const char *dir, FILE *list)
{
	const struct snpu_session_opts *o = &t->net.opts;
	struct snpu_result *result = NULL;
	struct snpu_model *m;
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%llu.nir", dir, (unsigned long long)seed);
	m = load(t, path);
	snprintf(path, sizeof(path), "%s/%llu.f32", dir, (unsigned long long)seed);
	f = fopen(path, "w");
	if (f && m)
		result = run_on(t, m, t->dev[0]);
	if (result) {
		fprintf(list, "%llu %d %.17g %d %d %d %d %d", (unsigned long long)seed, REF_STEPS, o->dt, o->integrator == SNPU_INTEGRATOR_EXP, (int)o->reset,
			o->gain == SNPU_GAIN_R_DT, o->delay == SNPU_DELAY_CURRENT, (o->floor == SNPU_FLOOR_THRESHOLD) | (o->max_spikes > 1) << 1);
		fwrite(t->input, 4 * (size_t)t->net.node[0].n, REF_STEPS, f);
		for (int i = 0; i < t->net.n_nodes; i++) {
			const struct snpu_array *a = rig_record(result, t->net.node[i].name);

			if (a && t->net.node[i].type != NET_OUTPUT) {
				fprintf(list, " %s %llu", t->net.node[i].name, (unsigned long long)a->count);
				fwrite(a->data, 4, a->count, f);
			}
		}
		fprintf(list, "\n");
	}
	snpu_result_free(result);
	snpu_model_free(m);
	return f && !fclose(f) && result;
}

/* Only networks in which no rounding decides: then every spike must be the same. */
static bool no_comparison_is_near(struct random_run *t)
{
	uint64_t near = t->near, lost = t->lost;
	struct snpu_model *m = load(t, NULL);
	struct snpu_result *r = m ? run_on(t, m, t->dev[0]) : NULL;
	bool ok = r && check_numbers(t, r);

	snpu_result_free(r);
	snpu_model_free(m);
	return ok && t->near == near && t->lost == lost;
}

/* NIR_ORACLE: the path of an interpreter of somebody else, see nir_random_oracle.py. */
TEST_TIMEOUT(random_networks_are_what_another_interpreter_says, 900)
{
	char dir[] = "/tmp/snpu-nir-random-XXXXXX", command[512];
	uint64_t nets = number("NIR_RANDOM_NETS", 1000), seed = number("NIR_RANDOM_SEED", 0), told = 0;
	static struct random_run t;
	const char *why;
	FILE *list;

	if (!getenv("NIR_ORACLE"))
		SKIP("NIR_ORACLE names no interpreter");
	ASSERT_TRUE(mkdtemp(dir));
	snprintf(command, sizeof(command), "%s/list", dir);
	list = fopen(command, "w");
	t.dev[0] = rig_device("cpu-scalar", &why);
	ASSERT_TRUE(list && t.dev[0]);
	for (; told < nets && !th_failed; seed++) {
		net_make(&t.net, seed);
		if (!oracle_has(&t.net.opts) || !no_comparison_is_near(&t))
			continue;
		net_make(&t.net, seed);
		EXPECT_TRUE(tell_oracle(&t, seed, dir, list));
		told++;
	}
	fclose(list);
	snprintf(command, sizeof(command), "/usr/bin/python3 tests/unit/nir_random_oracle.py '%.200s' %s", getenv("NIR_ORACLE"), dir);
	EXPECT_EQ(system(command), 0);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	EXPECT_EQ(system(command), 0);
	snpu_device_close(t.dev[0]);
}

TEST_HARNESS_MAIN
