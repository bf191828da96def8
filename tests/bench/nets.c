/* SPDX-License-Identifier: MIT */
/*
 * Two networks through the whole library, as ratios inside one run: layers of 784, 1000 and 10 LIF neurons at 10 % input, and the
 * recurrent Braille network (12-38-7, CubaLIF), batch 1; on one thread and on two (a session each, all sharing the model). Beside them
 * probes that only do the arithmetic, compiled for this very network and in one loop: what a CPU takes when nothing else is to be done.
 * Measurements are interleaved and the best of several is shown, because other work on the machine only ever slows them. Asserts nothing.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <immintrin.h>

#include "graph/graph.h"
#include "snpu_job.h"
#include "tests/bench/clock.h"
#include "tests/unit/nir_rig.h"

#define ROUNDS	12
#define THREADS	2

struct net {
	const char *name;
	struct snpu_model *m;
	struct snpu_session_opts opts;
	struct snpu_array x;			/* [steps][inputs] */
	double steps, updates, synops;		/* of a run */
	uint64_t spikes;			/* of the output, to see that all did the same */
	void (*probe)(const struct net *net, uint64_t *spikes);
};

/* --- through the library ------------------------------------------------------------------------------------------- */

struct worker {
	const struct net *net;
	struct snpu_session *s;
	pthread_t thread;
	bool ok;
};

static void *run_once(void *arg)
{
	struct worker *w = arg;
	struct snpu_input in = { .array = &w->net->x };
	struct snpu_result *r = NULL;

	w->ok = !snpu_session_run(w->s, &in, 1, &r);
	snpu_result_free(r);
	return NULL;
}

/* Seconds that n sessions take at the same time, by the clock on the wall. */
static double run_together(struct worker *w, int n)
{
	double t = bench_clock(CLOCK_MONOTONIC);

	for (int i = 1; i < n; i++)
		pthread_create(&w[i].thread, NULL, run_once, &w[i]);
	run_once(&w[0]);
	for (int i = 1; i < n; i++)
		pthread_join(w[i].thread, NULL);
	return bench_clock(CLOCK_MONOTONIC) - t;
}

/* Steps, updates, synaptic events and output spikes of a run. */
static bool count_work(struct net *net, struct snpu_session *s)
{
	struct snpu_input in = { .array = &net->x };
	struct snpu_profile_row row;
	const struct snpu_array *out;
	struct snpu_result *r;

	if (snpu_session_run(s, &in, 1, &r))
		return false;
	for (unsigned i = 0; i < snpu_result_profile_count(r) && !snpu_result_profile(r, i, &row); i++) {
		net->updates += (double)row.counter[SNPU_COUNTER_UPDATES];
		net->synops += (double)row.counter[SNPU_COUNTER_SYNOPS];
	}
	out = rig_record(r, "output");
	for (uint64_t i = 0; i < out->count; i++)
		net->spikes += ((const float *)out->data)[i] != 0.0f;
	net->steps = (double)net->x.shape[0];
	snpu_result_free(r);
	return true;
}

static void print_row(const struct net *net, const char *what, double seconds, double runs, double probe)
{
	printf("%-14s %-22s %12.0f %12.1f %12.1f %9.0f %%\n", net->name, what, runs * net->steps / seconds, runs * net->updates / seconds / 1e6,
	       runs * net->synops / seconds / 1e6, 100 * probe / seconds * runs);
}

static bool bench(struct net *net)
{
	double cpu = 1e9, wall[THREADS + 1] = { 0, 1e9, 1e9 }, probe = 1e9;
	struct worker w[THREADS];
	uint64_t spikes = 0;

	for (int i = 0; i < THREADS; i++) {
		w[i] = (struct worker){ .net = net };
		if (snpu_session_create(net->m, &net->opts, &w[i].s))
			return false;
	}
	if (!count_work(net, w[0].s))
		return false;
	for (int r = 0; r < ROUNDS; r++) {
		double t = busy(), u;

		u = run_together(w, 1);
		t = busy() - t;
		cpu = t < cpu ? t : cpu;
		wall[1] = u < wall[1] ? u : wall[1];
		t = now();
		net->probe(net, &spikes);
		t = now() - t;
		probe = t < probe ? t : probe;
		t = run_together(w, THREADS);
		wall[2] = t < wall[2] ? t : wall[2];
	}
	print_row(net, "library, CPU time", cpu, 1, probe);
	print_row(net, "library, 1 thread", wall[1], 1, probe);
	print_row(net, "library, 2 threads", wall[2], 2, probe);
	print_row(net, "probe, CPU time", probe, 1, probe);
	if (spikes != net->spikes)
		printf("%s: the probe's output has %llu spikes, the library's %llu\n", net->name, (unsigned long long)spikes, (unsigned long long)net->spikes);
	for (int i = 0; i < THREADS; i++) {
		if (!w[i].ok)
			return false;
		snpu_session_free(w[i].s);
	}
	return true;
}

/* --- 784-1000-10 --------------------------------------------------------------------------------------------------- */

#define IN	784
#define HIDDEN	1000
#define OUT	10
#define LANES	1008				/* of HIDDEN, whole vectors of 16 */
#define FC_STEPS 400

static float w1[IN][LANES], w2[HIDDEN][16];	/* by input: a spike adds a row */

static float uniform(double scale)
{
	return (float)((rand() / (double)RAND_MAX - 0.35) * scale);
}

static unsigned layer(struct snpu_model *m, const char *name, uint64_t rows, uint64_t columns, const float *by_input, size_t lanes)
{
	unsigned node = (unsigned)snpu_model_add_node(m, name, "Linear");
	uint64_t shape[2] = { rows, columns };
	float *w = malloc(rows * columns * sizeof(*w));

	for (uint64_t o = 0; o < rows; o++)
		for (uint64_t c = 0; c < columns; c++)
			w[o * columns + c] = by_input[c * lanes + o];
	if (snpu_model_set_param(m, node, "weight", 2, shape, w))
		exit(1);
	free(w);
	return node;
}

static unsigned lif(struct snpu_model *m, const char *name)
{
	unsigned node = (unsigned)snpu_model_add_node(m, name, "LIF");
	static const struct { const char *name; float v; } params[] = { { "tau", 0.01f }, { "r", 10 }, { "v_leak", 0 }, { "v_threshold", 1 }, { "v_reset", 0 } };

	for (int i = 0; i < 5; i++)
		if (snpu_model_set_param(m, node, params[i].name, 0, NULL, &params[i].v))
			exit(1);
	return node;
}

static bool make_fc(struct net *net)
{
	uint64_t shape[2] = { FC_STEPS, IN };
	int64_t in = IN, out = OUT;
	unsigned node[6];

	for (int c = 0; c < IN; c++)
		for (int o = 0; o < HIDDEN; o++)
			w1[c][o] = uniform(0.11);
	for (int c = 0; c < HIDDEN; c++)
		for (int o = 0; o < OUT; o++)
			w2[c][o] = uniform(0.11);
	if (snpu_model_create(&net->m) || snpu_array_create(SNPU_F32, 2, shape, &net->x))
		return false;
	node[0] = (unsigned)snpu_model_add_node(net->m, "input", "Input");
	node[1] = layer(net->m, "fc1", HIDDEN, IN, w1[0], LANES);
	node[2] = lif(net->m, "lif1");
	node[3] = layer(net->m, "fc2", OUT, HIDDEN, w2[0], 16);
	node[4] = lif(net->m, "lif2");
	node[5] = (unsigned)snpu_model_add_node(net->m, "output", "Output");
	if (snpu_model_set_ints(net->m, node[0], "shape", 1, &in) || snpu_model_set_ints(net->m, node[5], "shape", 1, &out))
		return false;
	for (int i = 0; i < 5; i++)
		if (snpu_model_add_edge(net->m, node[i], node[i + 1]))
			return false;
	for (uint64_t i = 0; i < net->x.count; i++)
		((float *)net->x.data)[i] = rand() % 10 == 0;
	net->opts = (struct snpu_session_opts){ .sz = sizeof(net->opts), .dt = 1e-3 };
	return !snpu_model_finish(net->m);
}

/* One step of n neurons (a multiple of 16) whose input is in x; the list of those that fired. tau 10 ms, r 10, threshold 1. */
__attribute__((target("avx512f"))) static int fire(float *v, const float *x, int n, int *list)
{
	__m512 k = _mm512_set1_ps(1e-3f / 0.01f), r = _mm512_set1_ps(10), one = _mm512_set1_ps(1);
	int fired = 0;

	for (int i = 0; i < n; i += 16) {
		__m512 u = _mm512_loadu_ps(v + i);
		__mmask16 z;

		u = _mm512_add_ps(u, _mm512_mul_ps(k, _mm512_sub_ps(_mm512_mul_ps(r, _mm512_loadu_ps(x + i)), u)));
		z = _mm512_cmp_ps_mask(u, one, _CMP_GT_OQ);
		_mm512_storeu_ps(v + i, _mm512_maskz_mov_ps((__mmask16)~z, u));
		for (unsigned bits = z; bits; bits &= bits - 1)
			list[fired++] = i + __builtin_ctz(bits);
	}
	return fired;
}

__attribute__((target("avx512f"))) static void add_rows(float *sum, const float *w, int lanes, const int *list, int n)
{
	for (int i = 0; i < lanes; i += 16) {
		__m512 acc = _mm512_setzero_ps();

		for (int e = 0; e < n; e++)
			acc = _mm512_add_ps(acc, _mm512_loadu_ps(w + (size_t)list[e] * lanes + i));
		_mm512_storeu_ps(sum + i, acc);
	}
}

static void probe_fc(const struct net *net, uint64_t *spikes)
{
	static float v1[LANES], v2[16], sum[LANES];
	const float *x = net->x.data;
	int list[LANES], n;

	memset(v1, 0, sizeof(v1));
	memset(v2, 0, sizeof(v2));
	*spikes = 0;
	for (int t = 0; t < FC_STEPS; t++, x += IN) {
		n = 0;
		for (int c = 0; c < IN; c++) {
			list[n] = c;
			n += x[c] != 0.0f;
		}
		add_rows(sum, w1[0], LANES, list, n);
		n = fire(v1, sum, LANES, list);
		add_rows(sum, w2[0], 16, list, n);
		*spikes += (uint64_t)fire(v2, sum, 16, list);
	}
}

/* --- 12-38-7, recurrent -------------------------------------------------------------------------------------------- */

#define BRAILLE	DATA "rnn/braille_noDelay_bias_zero.nir"
#define REPEATS	40				/* of the file's 256 steps */

struct cuba {
	float k_syn[48], w_in[48], k_mem[48], r[48], v_leak[48], threshold[48];
	float v[48], i[48];
};

static struct {
	float w_in[12][48], bias_in[48], w_rec[38][48], bias_rec[48], w_out[38][16], bias_out[16];
	struct cuba hidden, out;
} rnn;

static const struct snpu_tensor *param(const struct snpu_model *m, const char *node, const char *name)
{
	return snpu_node_param(&m->nodes[snpu_model_find(m, node)], name);
}

/* weight [rows][columns] to [columns][lanes]. */
static void turn(const struct snpu_model *m, const char *node, float *to, int lanes, float *bias)
{
	const struct snpu_tensor *w = param(m, node, "weight"), *b = param(m, node, "bias");

	for (uint64_t o = 0; o < w->shape[0]; o++) {
		for (uint64_t c = 0; c < w->shape[1]; c++)
			to[c * (uint64_t)lanes + o] = w->data[o * w->shape[1] + c];
		bias[o] = b->data[o];
	}
}

static void read_cuba(const struct snpu_model *m, const char *node, double dt, struct cuba *n)
{
	const struct snpu_node *from = &m->nodes[snpu_model_find(m, node)];

	for (int i = 0; i < 48; i++)
		n->threshold[i] = INFINITY;
	snpu_tensor_spread(param(m, node, "tau_syn"), from, n->k_syn);
	snpu_tensor_spread(param(m, node, "tau_mem"), from, n->k_mem);
	snpu_tensor_spread(param(m, node, "w_in"), from, n->w_in);
	snpu_tensor_spread(param(m, node, "r"), from, n->r);
	snpu_tensor_spread(param(m, node, "v_leak"), from, n->v_leak);
	snpu_tensor_spread(param(m, node, "v_threshold"), from, n->threshold);
	for (uint64_t i = 0; i < from->size; i++) {
		n->k_syn[i] = (float)dt / n->k_syn[i];
		n->k_mem[i] = (float)dt / n->k_mem[i];
	}
}

static bool make_rnn(struct net *net)
{
	uint64_t shape[2] = { 256 * REPEATS, 12 };
	struct snpu_array x, wide = { 0 };

	if (snpu_model_load_nir(BRAILLE, &net->m) || !rig_npy(DATA "rnn/ds_test_0_input.npy", &x) || snpu_array_create(SNPU_F32, 2, shape, &net->x))
		return false;
	wide.data = rig_f32(&x);
	for (int i = 0; i < REPEATS; i++)
		memcpy((float *)net->x.data + (size_t)i * 256 * 12, wide.data, 256 * 12 * sizeof(float));
	free(wide.data);
	snpu_array_free(&x);
	turn(net->m, "fc1", rnn.w_in[0], 48, rnn.bias_in);
	turn(net->m, "lif1.w_rec", rnn.w_rec[0], 48, rnn.bias_rec);
	turn(net->m, "fc2", rnn.w_out[0], 16, rnn.bias_out);
	net->opts = (struct snpu_session_opts){ .sz = sizeof(net->opts), .dt = 1e-4 };
	read_cuba(net->m, "lif1.lif", 1e-4, &rnn.hidden);
	read_cuba(net->m, "lif2", 1e-4, &rnn.out);
	return true;
}

__attribute__((target("avx512f"))) static int fire_cuba(struct cuba *s, const float *x, int n, int *list)
{
	int fired = 0;

	for (int c = 0; c < n; c += 16) {
		__m512 v = _mm512_loadu_ps(s->v + c), i = _mm512_loadu_ps(s->i + c);
		__mmask16 z;

		i = _mm512_add_ps(i, _mm512_mul_ps(_mm512_loadu_ps(s->k_syn + c), _mm512_sub_ps(_mm512_mul_ps(_mm512_loadu_ps(s->w_in + c), _mm512_loadu_ps(x + c)), i)));
		v = _mm512_add_ps(v, _mm512_mul_ps(_mm512_loadu_ps(s->k_mem + c),
						   _mm512_sub_ps(_mm512_add_ps(_mm512_loadu_ps(s->v_leak + c), _mm512_mul_ps(_mm512_loadu_ps(s->r + c), i)), v)));
		z = _mm512_cmp_ps_mask(v, _mm512_loadu_ps(s->threshold + c), _CMP_GT_OQ);
		_mm512_storeu_ps(s->i + c, i);
		_mm512_storeu_ps(s->v + c, _mm512_maskz_mov_ps((__mmask16)~z, v));
		for (unsigned bits = z; bits; bits &= bits - 1)
			list[fired++] = c + __builtin_ctz(bits);
	}
	return fired;
}

static void add_vector(float *sum, const float *x, int n)
{
	for (int i = 0; i < n; i++)
		sum[i] += x[i];
}

static void probe_rnn(const struct net *net, uint64_t *spikes)
{
	float x[48], rec[48];
	int in[12], hidden[48], out[16], n_hidden = 0, n;
	const float *from = net->x.data;

	memset(rnn.hidden.v, 0, sizeof(rnn.hidden.v) + sizeof(rnn.hidden.i));
	memset(rnn.out.v, 0, sizeof(rnn.out.v) + sizeof(rnn.out.i));
	*spikes = 0;
	for (uint64_t t = 0; t < net->x.shape[0]; t++, from += 12) {
		n = 0;
		for (int c = 0; c < 12; c++) {
			in[n] = c;
			n += from[c] != 0.0f;
		}
		add_rows(x, rnn.w_in[0], 48, in, n);
		add_vector(x, rnn.bias_in, 48);
		add_rows(rec, rnn.w_rec[0], 48, hidden, n_hidden);
		add_vector(rec, rnn.bias_rec, 48);
		add_vector(rec, x, 48);
		n_hidden = fire_cuba(&rnn.hidden, rec, 48, hidden);
		add_rows(x, rnn.w_out[0], 16, hidden, n_hidden);
		add_vector(x, rnn.bias_out, 16);
		*spikes += (uint64_t)fire_cuba(&rnn.out, x, 16, out);
	}
}

int main(void)
{
	struct net nets[] = { { .name = "784-1000-10", .probe = probe_fc }, { .name = "12-38-7 rec.", .probe = probe_rnn } };
	bool ok;

	srand(1);
	if (!__builtin_cpu_supports("avx512f")) {
		fprintf(stderr, "the probes need AVX-512\n");
		return 1;
	}
	ok = make_fc(&nets[0]) && make_rnn(&nets[1]);
	if (ok)
		printf("network        batch 1                     steps/s  M updates/s   M synev/s  of probe\n");
	for (int i = 0; i < 2 && ok; i++)
		ok = bench(&nets[i]);
	if (!ok)
		fprintf(stderr, "%s\n", snpu_last_error());
	for (int i = 0; i < 2; i++) {
		snpu_model_free(nets[i].m);
		snpu_array_free(&nets[i].x);
	}
	return !ok;
}
