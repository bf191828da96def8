/* SPDX-License-Identifier: MIT */
/*
 * The same bits, whatever executes a network: every network of tests/data/nir in binary32 and in the three number systems of integers, on scalar code, on the
 * fastest kernels with convolutions in either way, on the card's engine and, where there is a card, on that card through its driver. Compared with
 * scalar code are what every node gives in every step, currents, membranes, raw states after a few steps, and every counter that the
 * law fixes. A network that integers refuse must be in the list below, and one that is in it must be refused.
 *
 * In a VM, where the CPU is slow, runs are shorter, and it is the card and scalar code. That the numbers are right is shown by others: nir_golden_test, loihi_test, mnist, cnn.
 */
#include <glob.h>

#include "snpu_job.h"
#include "snpu/snpu_events.h"
#include "tests/e2e/cnn_data.h"
#include "tests/unit/loihi_rig.h"
#include "tests/unit/trace_rig.h"

#define NMNIST	DATA "nmnist/"
#define TRUTH	DATA "mnist/mnist_test1000.npz"
#define MOST_RECORDS	96
#define NAME_SIZE	64

/* --- where it runs -------------------------------------------------------------------------------------------------- */

static const struct {
	const char *title, *device, *conv;	/* conv: $SNPU_CONV */
} places[] = {
	{ "scalar", "cpu-scalar", "auto" }, { "cpu", "cpu", "auto" }, { "dense", "cpu", "dense" }, { "events", "cpu-avx2", "events" }, { "sim", "sim", "auto" },
	{ "card", "card0", "auto" },
};

#define PLACES	(sizeof(places) / sizeof(places[0]))
#define CARD	(PLACES - 1)

static struct snpu_device *device[PLACES];

/* With a card, which is in a VM, where everything else is slow: scalar code and the card. */
static void open_places(void)
{
	const char *why;

	for (unsigned k = 0; k < PLACES; k++) {
		unsigned i = (k + CARD) % PLACES;	/* the card first */

		if (i && i != CARD && device[CARD])
			continue;
		setenv("SNPU_CONV", places[i].conv, 1);
		device[i] = rig_device(places[i].device, &why);
		if (!device[i] && i != CARD && strcmp(places[i].device, "cpu-avx2"))
			TH_FAILMSG("%s: %s", places[i].title, why);
	}
	printf("# %s\n", device[CARD] ? "card = scalar" : "scalar = cpu = dense = events = sim; no card");
}

static void close_places(void)
{
	for (unsigned i = 0; i < PLACES; i++)
		snpu_device_close(device[i]);
}

/* --- readings and number systems ---------------------------------------------------------------------------------- */

struct reading {
	const char *title;
	struct snpu_session_opts opts;
};

static const struct reading as_it_is = { "nir", { 0 } };
static const struct reading primitive[] = {
	{ "euler", { .dt = 1e-3 } }, { "subtract", { .dt = 1e-3, .reset = SNPU_RESET_SUBTRACT } }, { "exp", { .dt = 1e-3, .integrator = SNPU_INTEGRATOR_EXP } },
};
static const struct reading braille[] = {
	{ "nir", { 0 } }, { "subtract", { .reset = SNPU_RESET_SUBTRACT } }, { "norse", { .dialect = SNPU_DIALECT_NORSE } },
	{ "snntorch", { .dialect = SNPU_DIALECT_SNNTORCH } },
	{ "snntorch-subtract", { .dialect = SNPU_DIALECT_SNNTORCH, .reset = SNPU_RESET_SUBTRACT } }, { "spyx", { .dialect = SNPU_DIALECT_SPYX } },
};
static const struct reading camera[] = { { "nir", { .dt = 1e-3 } }, { "sinabs", { .dt = 1e-3, .dialect = SNPU_DIALECT_SINABS } } };
static const char *const numbers[] = { [SNPU_NUMBER_F32] = "f32", [SNPU_NUMBER_INT8] = "int8", [SNPU_NUMBER_INT16] = "int16", [SNPU_NUMBER_LOIHI24] = "loihi24" };

/* What integers refuse of all this: files that begin so, in this reading (NULL: in each). Everything else they take. */
static const struct {
	const char *file, *reading, *sentence;
} refusals[] = {
	{ "lif/lif_norse.nir", "spyx", "is reset in the step after its spike, which integer neurons cannot" },
	{ "rnn/", "snntorch-subtract", "is reset in the step after its spike, which integer neurons cannot" },
	{ "prims/two_lif_loop.nir", NULL, "what node 'input' gives is added to what weights give, which integers cannot" },
};

/* The sentence with which a network must be refused, NULL: it must not be. */
static const char *refusal(const char *file, const char *reading)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (!strncmp(refusals[i].file, file, strlen(refusals[i].file)) && (!refusals[i].reading || !strcmp(refusals[i].reading, reading)))
			return refusals[i].sentence;
	return NULL;
}

/* --- inputs ----------------------------------------------------------------------------------------------------------- */

/* An input in the shape of a model's input node, f32 [samples][steps][node shape], from as many numbers in that order; data is owned. */
static struct snpu_array shaped(const struct snpu_model *m, uint64_t samples, uint64_t steps, float *data)
{
	struct snpu_array a = { .dtype = SNPU_F32, .shape = { samples, steps }, .data = data };
	struct snpu_node_info n;

	MUST(snpu_model_node(m, (unsigned)snpu_model_input(m, 0), &n));
	a.rank = 2 + n.rank;
	memcpy(a.shape + 2, n.shape, n.rank * sizeof(n.shape[0]));
	a.count = samples * steps * n.size;
	return a;
}

/* The first steps of the first samples of an array [sample][step][n], as f32. */
static float *cut(const struct snpu_array *from, uint64_t n, uint64_t all_steps, uint64_t samples, uint64_t steps)
{
	float *to = calloc(samples * steps * n, sizeof(*to));

	for (uint64_t s = 0; s < samples; s++)
		MUST(snpu_array_to_f32(from, s * all_steps * n, steps * n, to + s * steps * n));
	return to;
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }
static uint64_t few(uint64_t on_the_card, uint64_t otherwise) { return device[CARD] ? on_the_card : otherwise; }

static uint64_t input_size(const struct snpu_model *m)
{
	struct snpu_node_info n;

	MUST(snpu_model_node(m, (unsigned)snpu_model_input(m, 0), &n));
	return n.size;
}

static struct snpu_array images(const struct snpu_model *m)
{
	uint64_t samples = few(8, 1000), steps = 25;
	struct snpu_array pixels;
	float *x = calloc(samples * steps * 784, sizeof(*x));

	if (!rig_npz(TRUTH, "images", &pixels))
		TH_FAILMSG("no images");
	for (uint64_t s = 0; s < samples && pixels.data; s++)
		snpu_encode_image((uint8_t *)pixels.data + s * 784, 784, (uint32_t)steps, x + s * steps * 784);
	snpu_array_free(&pixels);
	return shaped(m, samples, steps, x);
}

/* Of the recordings that are all in one file. */
static struct snpu_array recordings(const struct snpu_model *m, uint64_t samples, uint64_t steps)
{
	struct snpu_array frames = { 0 };
	float *x;

	if (!read_frames(RECORDINGS, &frames))
		TH_FAILMSG("no recordings");
	x = cut(&frames, 2ull * 34 * 34, STEPS, samples, steps);
	snpu_array_free(&frames);
	return shaped(m, samples, steps, x);
}

/* Of a recording as the camera wrote it. */
static struct snpu_array recording(const struct snpu_model *m, const char *path, uint64_t most)
{
	struct snpu_bin_opts o = { .sz = sizeof(o), .dt = 1e-3 };
	struct snpu_events *ev = NULL;
	struct snpu_array frames = { 0 };
	uint64_t steps;
	float *x;

	MUST(snpu_events_open(path, NULL, &ev));
	MUST(snpu_events_bin(ev, &o, &frames, NULL));
	steps = least(frames.shape[1], most);
	x = cut(&frames, 2ull * 34 * 34, frames.shape[1], 1, steps);
	snpu_array_free(&frames);
	snpu_events_free(ev);
	return shaped(m, 1, steps, x);
}

/* [step][n] of a file of arrays. */
static struct snpu_array stored(const struct snpu_model *m, const char *path, const char *key)
{
	struct snpu_array a = { 0 };
	uint64_t steps;
	float *x;

	if (key ? !rig_npz(path, key, &a) : !rig_npy(path, &a))
		TH_FAILMSG("%s has no input", path);
	steps = a.shape[0];
	x = cut(&a, a.count / steps, steps, 1, steps);
	snpu_array_free(&a);
	return shaped(m, 1, steps, x);
}

static struct snpu_array trace_input(const struct snpu_model *m, const struct trace *t)
{
	static float v[TRACE_STEPS], z[TRACE_STEPS];
	float *x = calloc(TRACE_STEPS, sizeof(*x));

	if (!read_trace(t, x, v, z))
		TH_FAILMSG("%s: no trace", t->platform);
	return shaped(m, 1, few(500, TRACE_STEPS), x);
}

/* By chance, one in ten, always the same. */
static struct snpu_array by_chance(const struct snpu_model *m)
{
	uint64_t steps = few(20, 100), n = input_size(m);
	float *x = calloc(steps * n, sizeof(*x));
	uint32_t seed = 1;

	for (uint64_t i = 0; i < steps * n; i++) {
		seed = seed * 1664525 + 1013904223;
		x[i] = (float)(seed >> 8) < 0.1f * (1 << 24);
	}
	return shaped(m, 1, steps, x);
}

/* What was recorded with a file's network, or with another of its size. */
static struct snpu_array input_of(const struct snpu_model *m, const char *path)
{
	size_t length = strlen(path);
	char npz[256];

	snprintf(npz, sizeof(npz), "%.*s.npz", (int)length - 4, path);
	if (!access(npz, R_OK))
		return stored(m, npz, "input");
	switch (input_size(m)) {
	case 1:
		return trace_input(m, &traces[0]);
	case 12:
		return stored(m, DATA "rnn/ds_test_0_input.npy", NULL);
	case 784:
		return images(m);
	case 2ull * 34 * 34:
		return recordings(m, 1, few(6, 60));
	default:
		return by_chance(m);
	}
}

/* Integers take whole numbers: the next one away from zero. */
static void make_whole(struct snpu_array *x)
{
	float *f = x->data;

	for (uint64_t i = 0; i < x->count; i++)
		f[i] = copysignf(ceilf(fabsf(f[i])), f[i]);
}

/* --- running and comparing --------------------------------------------------------------------------------------------- */

struct net {
	const char *title;
	const struct snpu_model *m;
	const struct reading *reading;
	unsigned convolutions;
};

struct run {
	struct snpu_result *result;
	uint8_t *state;				/* after the first steps of the first sample */
	uint64_t state_size;
	uint64_t dense;				/* convolutions computed window by window */
	uint64_t numbers, spikes;
};

static void free_run(struct run *r)
{
	snpu_result_free(r->result);
	free(r->state);
}

/* Names of everything a model's nodes give and keep. */
static unsigned record_names(const struct snpu_model *m, char (*name)[NAME_SIZE], const char **list, unsigned room)
{
	unsigned n = 0;

	for (unsigned i = 0; i < snpu_model_node_count(m); i++) {
		struct snpu_node_info node;

		MUST(snpu_model_node(m, i, &node));
		for (unsigned k = 0; k < 3 && n < room; k++) {
			static const char *const suffix[] = { "", ".v", ".i" };

			if (!(k == 0 ? node.compute : k == 1 ? node.neuron : node.synaptic))
				continue;
			snprintf(name[n], NAME_SIZE, "%s%s", node.name, suffix[k]);
			list[n] = name[n];
			n++;
		}
	}
	return n;
}

/* The state that the first steps leave behind. */
static int run_steps(struct snpu_session *s, const struct snpu_array *x, struct run *to)
{
	struct snpu_array part = *x;
	struct snpu_input in = { .array = &part };
	struct snpu_result *r = NULL;
	int err;

	part.shape[0] = 1;
	part.shape[1] = least(x->shape[1], 7);
	part.count = x->count / (x->shape[0] * x->shape[1]) * part.shape[1];
	err = snpu_session_continue(s, &in, 1, &r);
	snpu_result_free(r);
	if (err)
		return err;
	to->state_size = snpu_session_state_size(s);
	to->state = calloc(to->state_size + 1, 1);
	return snpu_session_state_save(s, to->state);
}

static void count_run(struct run *r)
{
	struct snpu_profile_row row;
	struct snpu_record rec;

	for (unsigned i = 0; i < snpu_result_record_count(r->result) && !snpu_result_record(r->result, i, &rec); i++)
		r->numbers += rec.array->count;
	for (unsigned i = 0; i < snpu_result_profile_count(r->result) && !snpu_result_profile(r->result, i, &row); i++) {
		r->spikes += row.counter[SNPU_COUNTER_SPIKES];
		r->dense += snpu_result_dense(r->result, i);
	}
}

/* Convolutions go the way that was asked for, each in each step. Only vectors know the dense one. */
static bool right_way(const struct net *n, const struct snpu_array *x, unsigned place, const struct run *r, enum snpu_number number)
{
	uint64_t all = number == SNPU_NUMBER_F32 && __builtin_cpu_supports("avx2") ? n->convolutions * x->shape[0] * x->shape[1] : 0;

	return strcmp(places[place].title, "cpu") ? r->dense == (strcmp(places[place].title, "dense") ? 0 : all) : r->dense <= all;
}

/* Negative: the error of making a session; 1: it does not run. */
static int run_on(unsigned place, const struct snpu_model *m, const struct snpu_session_opts *opts, const struct snpu_array *x, struct run *to)
{
	struct snpu_session_opts o = *opts;
	struct snpu_input in = { .array = x };
	struct snpu_session *s = NULL;
	int err;

	o.devices = &device[place];
	o.n_devices = 1;
	o.require_device = strncmp(places[place].device, "cpu", 3);
	err = snpu_session_create(m, &o, &s);
	if (!err) {
		err = snpu_session_run(s, &in, 1, &to->result);
		if (!err)
			err = run_steps(s, x, to);
		if (err)
			printf("# on %s: %s\n", places[place].title, snpu_last_error());
		else
			count_run(to);
		err = err ? 1 : 0;
	}
	snpu_session_free(s);
	return err;
}

static bool same_run(const struct run *a, const struct run *b)
{
	if (a->state_size != b->state_size || memcmp(a->state, b->state, a->state_size)) {
		printf("# states differ\n");
		return false;
	}
	return rig_same(a->result, b->result) && rig_same_counters(a->result, b->result);
}

/* What is refused must be on every device, and in the list. */
static void check_refused(const struct net *n, const char *number, const char *wanted)
{
	if (!wanted || !strstr(snpu_last_error(), wanted))
		TH_FAILMSG("%s, %s, %s: %s", n->title, n->reading->title, number, snpu_last_error());
	else
		printf("# %-44s %-17s %-8s refused: %s\n", n->title, n->reading->title, number, wanted);
}

static void check_number(const struct net *n, const struct snpu_session_opts *o, const struct snpu_array *x)
{
	const char *number = numbers[o->number], *wanted = o->number == SNPU_NUMBER_F32 ? NULL : refusal(n->title, n->reading->title);
	struct run want = { 0 };
	int err = run_on(0, n->m, o, x, &want);

	if (err < 0)
		check_refused(n, number, wanted);
	else if (err || wanted)
		TH_FAILMSG("%s, %s, %s: %s", n->title, n->reading->title, number, err ? snpu_last_error() : "is no longer refused");
	for (unsigned p = 1; p < PLACES && !err; p++) {
		struct run got = { 0 };

		if (device[p] && (run_on(p, n->m, o, x, &got) || !same_run(&want, &got) || !right_way(n, x, p, &got, o->number)))
			TH_FAILMSG("%s, %s, %s: %s differs", n->title, n->reading->title, number, places[p].title);
		free_run(&got);
	}
	if (!err)
		printf("# %-44s %-17s %-8s %11llu numbers %9llu spikes\n", n->title, n->reading->title, number, (unsigned long long)want.numbers, (unsigned long long)want.spikes);
	free_run(&want);
}

/* In every number system; x is freed. */
static void check_net(const char *title, const struct snpu_model *m, const struct reading *reading, struct snpu_array x)
{
	static char name[MOST_RECORDS][NAME_SIZE];
	const char *records[MOST_RECORDS];
	struct snpu_session_opts o = reading->opts;
	struct net n = { .title = title, .m = m, .reading = reading };

	for (unsigned i = 0; i < snpu_model_node_count(m); i++) {
		struct snpu_node_info node;

		MUST(snpu_model_node(m, i, &node));
		n.convolutions += !strncmp(node.type, "Conv", 4);
	}
	o.sz = sizeof(o);
	o.records = records;
	o.n_records = record_names(m, name, records, MOST_RECORDS);
	for (o.number = SNPU_NUMBER_F32; o.number <= SNPU_NUMBER_LOIHI24; o.number++) {
		check_number(&n, &o, &x);
		make_whole(&x);
	}
	free(x.data);
}

/* --- networks --------------------------------------------------------------------------------------------------------- */

/* Every file that loads of a folder; how many. */
static unsigned check_folder(const char *pattern, const struct reading *readings, unsigned n_readings)
{
	unsigned loaded = 0;
	glob_t all;

	if (glob(pattern, 0, NULL, &all))
		return 0;
	for (size_t i = 0; i < all.gl_pathc; i++) {
		struct snpu_model *m;

		if (snpu_model_load_nir(all.gl_pathv[i], &m))
			continue;		/* why: nir_test */
		for (unsigned k = 0; k < n_readings; k++) {
			struct reading reading = readings[k];

			/* Two files have time constants in steps, as Rockpool exported them. */
			if (strstr(all.gl_pathv[i], "19004303") || strstr(all.gl_pathv[i], "77b4a802"))
				reading = (struct reading){ "rockpool", { .dialect = SNPU_DIALECT_ROCKPOOL, .dt = 1 } };
			check_net(all.gl_pathv[i] + strlen(DATA), m, &reading, input_of(m, all.gl_pathv[i]));
		}
		snpu_model_free(m);
		loaded++;
	}
	globfree(&all);
	return loaded;
}

FIXTURE(same) { int unused; };
FIXTURE_SETUP(same)
{
	(void)self;
	(void)variant;
	open_places();
}
FIXTURE_TEARDOWN(same)
{
	(void)self;
	close_places();
}

TEST_F_TIMEOUT(same, one_neuron_as_eleven_platforms_ran_it, 300)
{
	for (size_t i = 0; i < sizeof(traces) / sizeof(traces[0]); i++) {
		struct reading reading = { traces[i].platform, traces[i].opts };
		struct snpu_model *m;
		char path[128];

		snprintf(path, sizeof(path), DATA "lif/%s.nir", traces[i].nir);
		ASSERT_EQ(snpu_model_load_nir(path, &m), 0);
		check_net(path + strlen(DATA), m, &reading, trace_input(m, &traces[i]));
		snpu_model_free(m);
	}
	EXPECT_EQ(check_folder(DATA "lif/two*.nir", &(struct reading){ "nir", { .dt = 1e-4 } }, 1), 1);
}

TEST_F_TIMEOUT(same, braille, 300) { EXPECT_EQ(check_folder(DATA "rnn/*.nir", braille, 6), 4); }
TEST_F_TIMEOUT(same, primitives, 300) { EXPECT_EQ(check_folder(DATA "prims/*.nir", primitive, 3), 24); }
TEST_F_TIMEOUT(same, odd_braille, 300) { EXPECT_EQ(check_folder(DATA "misc/*braille*.nir", &as_it_is, 1), 10); }
TEST_F_TIMEOUT(same, odd_neurons, 300) { EXPECT_EQ(check_folder(DATA "misc/*lif*.nir", &(struct reading){ "nir", { .dt = 1e-4 } }, 1), 2); }
TEST_F_TIMEOUT(same, odd_images, 600) { EXPECT_EQ(check_folder(DATA "misc/*scnn*.nir", camera, 1), 6); }
TEST_F_TIMEOUT(same, mnist, 600) { EXPECT_EQ(check_folder(DATA "mnist/*.nir", &as_it_is, 1), 1); }

TEST_F_TIMEOUT(same, recordings_of_a_camera, 600)
{
	static const char *const names[] = { "60001", "60003", "60041" };
	struct snpu_model *m;

	ASSERT_EQ(snpu_model_load_nir(MODEL, &m), 0);
	for (unsigned k = 0; k < 2; k++) {
		check_net("cnn/cnn_sinabs.nir", m, &camera[k], recordings(m, few(1, 5), few(8, STEPS)));
		for (unsigned i = 0; i < 3; i++) {
			char path[128];

			snprintf(path, sizeof(path), NMNIST "%s.bs2", names[i]);
			check_net(path + strlen(DATA), m, &camera[k], recording(m, path, few(8, UINT64_MAX)));
		}
	}
	snpu_model_free(m);
}

TEST_F_TIMEOUT(same, neurons_of_loihi, 300)
{
	static const struct reading chip = { "synapse", { .dt = LOIHI_DT, .delay = SNPU_DELAY_SYNAPSE } }, plain = { "nir", { .dt = LOIHI_DT } };
	struct snpu_model *one = neuron_model(), *net = trace_model();
	const struct trace *last = &traces[sizeof(traces) / sizeof(traces[0]) - 1];

	EXPECT_STREQ(last->platform, "lava_loihi_fixed");
	check_net("lif/lif_lava_loihi_fixed.csv", one, &chip, trace_input(one, last));
	check_net("loihi24/trace.npz", net, &plain, stored(net, TRACE, "x"));
	snpu_model_free(one);
	snpu_model_free(net);
}

TEST_HARNESS_MAIN
