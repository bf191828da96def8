/* SPDX-License-Identifier: MIT */
/*
 * Speed of the CPU kernels and of a whole network on the CPU backend, as ratios inside one run: against a probe that only
 * reads the same weight bytes in the same order, and against the scalar reference. Measurements are interleaved and the best
 * of several is shown, because other work on the machine only ever slows them. Asserts nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <immintrin.h>

#include "core/program.h"
#include "kernels/kernels.h"
#include "tests/bench/clock.h"

#define ROUNDS	15

/* --- LINEAR --------------------------------------------------------------------------------------------------- */

struct layer {
	uint32_t n_in, n_out, count, lists;
	float *weights, *out;
	struct snpu_event *ev;			/* [lists][count] */
};

static void make_layer(struct layer *l, uint32_t n_in, uint32_t n_out, uint32_t percent)
{
	size_t n = (size_t)SNPU_TILES(n_out) * n_in * SNPU_TILE;

	*l = (struct layer){ .n_in = n_in, .n_out = n_out, .lists = 64, .count = n_in * percent / 100 };
	l->weights = aligned_alloc(1 << 21, (n * 4 + (1 << 21)) >> 21 << 21);
	l->out = malloc(n_out * 4);
	l->ev = malloc((size_t)l->lists * l->count * sizeof(*l->ev) + 1);
	for (size_t i = 0; i < n; i++)
		l->weights[i] = (float)(i % 17) - 8.0f;
	for (uint32_t s = 0; s < l->lists; s++) {		/* exactly `count` channels of n_in, in order */
		uint32_t left = l->count;

		for (uint32_t c = 0, e = 0; c < n_in; c++)
			if ((uint32_t)rand() % (n_in - c) < left) {
				l->ev[s * l->count + e++] = (struct snpu_event){ c, 1.0f };
				left--;
			}
	}
}

/* Reads the weights that LINEAR would, and does nothing else with them. */
__attribute__((target("avx2"), noinline)) static float probe_list(const struct layer *l, const struct snpu_event *ev)
{
	__m256 acc[8];

	for (int j = 0; j < 8; j++)
		acc[j] = _mm256_setzero_ps();
	for (uint32_t t = 0; t < SNPU_TILES(l->n_out); t++)
		for (uint32_t e = 0; e < l->count; e++) {
			const float *w = l->weights + ((size_t)t * l->n_in + ev[e].channel) * SNPU_TILE;

			if (e + 6 < l->count)
				for (int j = 0; j < 64; j += 16)
					__builtin_prefetch(l->weights + ((size_t)t * l->n_in + ev[e + 6].channel) * SNPU_TILE + j);
#pragma GCC unroll 8
			for (int j = 0; j < 8; j++)
				acc[j] = _mm256_or_ps(acc[j], _mm256_loadu_ps(w + 8 * j));
		}
#pragma GCC unroll 8
	for (int j = 1; j < 8; j++)
		acc[0] = _mm256_or_ps(acc[0], acc[j]);
	return _mm256_cvtss_f32(acc[0]);
}

static volatile float sink;

static double time_lists(const struct layer *l, const struct snpu_kernels *k)
{
	double t = now();

	for (uint32_t s = 0; s < l->lists; s++) {
		struct snpu_linear_args a = { .ev = l->ev + (size_t)s * l->count, .weights = l->weights, .out = l->out, .count = l->count,
					      .n_in = l->n_in, .n_out = l->n_out };

		if (k)
			k->linear(&a);
		else
			sink = probe_list(l, a.ev);
	}
	return now() - t;
}

static void bench_linear(uint32_t n_in, uint32_t n_out, uint32_t percent)
{
	const struct snpu_kernels *best = snpu_kernels_get(SNPU_CPU_AUTO), *k[3] = { &snpu_kernels_scalar, best, NULL };
	double t[3] = { 1e9, 1e9, 1e9 }, bytes;
	struct layer l;

	make_layer(&l, n_in, n_out, percent);
	bytes = (double)l.lists * l.count * SNPU_TILES(n_out) * 256.0;
	for (int r = 0; r < ROUNDS; r++)
		for (int i = 0; i < 3; i++) {
			double d = time_lists(&l, k[i]);

			t[i] = d < t[i] ? d : t[i];
		}
	printf("LINEAR %5u x %-5u %3u %% active  %s %6.2f G synops/s  %5.1f GB/s of weights, %3.0f %% of the read probe, %4.1f times scalar\n", n_in,
	       n_out, percent, best->name, (double)l.lists * l.count * n_out / t[1] / 1e9, bytes / t[1] / 1e9, 100 * t[2] / t[1], t[0] / t[1]);
	free(l.weights);
	free(l.out);
	free(l.ev);
}

/* --- neurons and events -------------------------------------------------------------------------------------- */

enum { N = 1024, REPEAT = 2000 };
static float x[N], state[2 * N], param[7 * N], out[N];

static double time_neurons(snpu_neuron_fn *fn)
{
	struct snpu_neuron_args a = { .x = x, .state = state, .param = param, .out = out, .n = N };
	double t = now();

	for (int i = 0; i < REPEAT; i++)
		fn(&a);
	return now() - t;
}

static void bench_neuron(const char *name, snpu_neuron_fn *scalar, snpu_neuron_fn *best)
{
	double t[2] = { 1e9, 1e9 };

	for (int r = 0; r < ROUNDS; r++) {
		double a = time_neurons(scalar), b = time_neurons(best);

		t[0] = a < t[0] ? a : t[0];
		t[1] = b < t[1] ? b : t[1];
	}
	printf("%-9s %d neurons %38.2f G updates/s, %26.1f times scalar\n", name, N, (double)N * REPEAT / t[1] / 1e9, t[0] / t[1]);
}

static void bench_evpack(unsigned int percent)
{
	static struct snpu_event ev[N];
	const struct snpu_kernels *k[2] = { &snpu_kernels_scalar, snpu_kernels_get(SNPU_CPU_AUTO) };
	double t[2] = { 1e9, 1e9 };

	for (int i = 0; i < N; i++)
		x[i] = (unsigned int)rand() % 100 < percent ? 1.0f : 0.0f;
	for (int r = 0; r < 2 * ROUNDS; r++) {
		double start = now();

		for (int i = 0; i < REPEAT; i++)
			sink = (float)k[r & 1]->evpack(x, N, ev);
		start = now() - start;
		t[r & 1] = start < t[r & 1] ? start : t[r & 1];
	}
	printf("EVPACK    %d channels, %3u %% active %23.2f G channels/s, %25.1f times scalar\n", N, percent, (double)N * REPEAT / t[1] / 1e9, t[0] / t[1]);
}

/* --- a network on the backend -------------------------------------------------------------------------------- */

enum { R_PROGRAM, R_WEIGHTS, R_CONST, R_STATE, R_INPUT, R_OUTPUT, R_SCRATCH, R_COUNT };

static int build_fc(struct snpu_prog *p, const uint32_t width[3], uint32_t steps)
{
	uint64_t w2 = (uint64_t)SNPU_TILES(width[1]) * width[0] * 256, s = 0x20000;

	snpu_emit(p, LOOP, .count = steps);
	snpu_emit(p, EVPACK, .x = snpu_ref_step(R_INPUT, 0, 4 * width[0]), .ev = snpu_ref(R_SCRATCH, 0), .n = width[0]);
	snpu_emit(p, LINEAR, .ev = snpu_ref(R_SCRATCH, 0), .weights = snpu_ref(R_WEIGHTS, 0), .out = snpu_ref(R_SCRATCH, s), .n_in = width[0],
		  .n_out = width[1]);
	snpu_emit(p, LIF, .x = snpu_ref(R_SCRATCH, s), .state = snpu_ref(R_STATE, 0), .param = snpu_ref(R_CONST, 0),
		  .out = snpu_ref(R_SCRATCH, s), .n = width[1]);
	snpu_emit(p, EVPACK, .x = snpu_ref(R_SCRATCH, s), .ev = snpu_ref(R_SCRATCH, 0), .n = width[1]);
	snpu_emit(p, LINEAR, .ev = snpu_ref(R_SCRATCH, 0), .weights = snpu_ref(R_WEIGHTS, w2), .out = snpu_ref(R_SCRATCH, 2 * s),
		  .n_in = width[1], .n_out = width[2]);
	snpu_emit(p, LIF, .x = snpu_ref(R_SCRATCH, 2 * s), .state = snpu_ref(R_STATE, s), .param = snpu_ref(R_CONST, s),
		  .out = snpu_ref_step(R_OUTPUT, 0, 4 * width[2]), .n = width[2]);
	snpu_emit(p, NEXT);
	return snpu_prog_end(p);
}

/* v + 0.1 * (x - v) > 1 and reset to 0 */
static void lif_params(float *p, uint32_t n, float threshold)
{
	for (uint32_t i = 0; i < n; i++) {
		p[i] = 0.1f;
		p[n + i] = 1.0f;
		p[3 * n + i] = threshold;
	}
}

struct net {
	struct snpu_device *dev;
	struct snpu_vm *vm;
	struct snpu_queue *queue;
	struct snpu_bo *bo[R_COUNT];
	struct snpu_job_region region[R_COUNT];
	float *mem[R_COUNT];
};

static int open_net(struct net *n, const uint64_t size[R_COUNT])
{
	int err = snpu_device_open("cpu", NULL, &n->dev);

	if (!err)
		err = snpu_vm_create(n->dev, &n->vm);
	for (unsigned int r = 0; r < R_COUNT && !err; r++) {
		void *map = NULL;

		err = snpu_bo_create(n->dev, size[r], 0, &n->bo[r]);
		if (!err)
			err = snpu_bo_map(n->bo[r], &map);
		n->mem[r] = map;
		n->region[r] = (struct snpu_job_region){ .index = r, .va = 0x100000000ull * (r + 1), .size = size[r] };
		if (!err)
			err = snpu_vm_bind(n->vm, n->bo[r], 0, n->region[r].va, snpu_bo_size(n->bo[r]), SNPU_BIND_READ | SNPU_BIND_WRITE);
	}
	return err ? err : snpu_queue_create(n->vm, NULL, &n->queue);
}

static void close_net(struct net *n)
{
	snpu_queue_free(n->queue);
	for (unsigned int r = 0; r < R_COUNT; r++)
		snpu_bo_free(n->bo[r]);
	snpu_vm_free(n->vm);
	snpu_device_close(n->dev);
}

static int run_net(struct net *n, double *seconds)
{
	struct snpu_job job = { .sz = sizeof(job), .regions = n->region, .n_regions = R_COUNT };
	struct snpu_fence *fence;
	double t = busy();
	int err = snpu_submit(n->queue, &job, &fence);

	if (err)
		return err;
	err = snpu_fence_wait(fence, SNPU_WAIT_FOREVER);
	snpu_fence_free(fence);
	t = busy() - t;
	*seconds = t < *seconds ? t : *seconds;
	return err;
}

static int bench_fc(uint32_t steps)
{
	static const uint32_t width[3] = { 784, 1000, 10 };
	uint64_t size[R_COUNT] = { 4096, 16ull * 784 * 256 + 1000 * 256, 1 << 20, 1 << 20, 4ull * 784 * steps, 40ull * steps, 1 << 20 };
	struct snpu_prog p;
	struct net n = { 0 };
	double best = 1e9;
	unsigned long spikes = 0;
	int err;

	snpu_prog_init(&p);
	err = build_fc(&p, width, steps);
	if (!err)
		err = open_net(&n, size);
	if (!err) {
		memcpy(n.mem[R_PROGRAM], p.data, p.size);
		for (uint64_t i = 0; i < size[R_WEIGHTS] / 4; i++)
			n.mem[R_WEIGHTS][i] = ((float)(rand() % 2001) - 1000.0f) / 1000.0f;
		for (uint64_t i = 0; i < size[R_INPUT] / 4; i++)
			n.mem[R_INPUT][i] = rand() % 10 == 0 ? 1.0f : 0.0f;
		lif_params(n.mem[R_CONST], 1000, 1.2f);
		lif_params(n.mem[R_CONST] + 0x20000 / 4, 10, 1.0f);
	}
	for (int r = 0; r < ROUNDS && !err; r++)
		err = run_net(&n, &best);
	if (err) {
		fprintf(stderr, "%s\n", snpu_last_error());
	} else {
		for (uint32_t i = 0; i < 10 * steps; i++)
			spikes += n.mem[R_OUTPUT][i] != 0.0f;
		printf("FC LIF 784-1000-10, 10 %% input, %u steps a job, batch 1: %.0f steps/s of CPU time (%lu output spikes)\n", steps, steps / best, spikes);
	}
	close_net(&n);
	snpu_prog_free(&p);
	return err;
}

/* What a packet costs before it does anything: 1000 times a loop body of ten 1-element packets. */
static int bench_overhead(void)
{
	uint64_t size[R_COUNT] = { 4096, 4096, 4096, 4096, 4096, 4096, 4096 };
	struct snpu_prog p;
	struct net n = { 0 };
	double best = 1e9;
	int err;

	snpu_prog_init(&p);
	snpu_emit(&p, LOOP, .count = 10000);
	for (int i = 0; i < 10; i++)
		snpu_emit(&p, LIF, .x = snpu_ref(R_INPUT, 0), .state = snpu_ref(R_STATE, 0), .param = snpu_ref(R_CONST, 0), .out = snpu_ref(R_OUTPUT, 0), .n = 8);
	snpu_emit(&p, NEXT);
	err = snpu_prog_end(&p);
	if (!err)
		err = open_net(&n, size);
	if (!err)
		memcpy(n.mem[R_PROGRAM], p.data, p.size);
	for (int r = 0; r < ROUNDS && !err; r++)
		err = run_net(&n, &best);
	if (err)
		fprintf(stderr, "%s\n", snpu_last_error());
	else
		printf("A LIF packet of 8 neurons, checks included: %.0f ns\n", best / 110000 * 1e9);
	close_net(&n);
	snpu_prog_free(&p);
	return err;
}

int main(void)
{
	const struct snpu_kernels *s = &snpu_kernels_scalar, *k = snpu_kernels_get(SNPU_CPU_AUTO);

	bench_linear(784, 1000, 10);
	bench_linear(784, 1000, 100);
	bench_linear(1000, 64, 7);
	bench_linear(256, 256, 20);
	bench_linear(4096, 4096, 5);
	lif_params(param, N, 1.0f);
	for (int i = 0; i < N; i++)
		x[i] = (float)(i % 23) / 10.0f;
	bench_neuron("IF", s->if_, k->if_);
	bench_neuron("LIF", s->lif, k->lif);
	bench_neuron("CUBALIF", s->cubalif, k->cubalif);
	bench_evpack(7);
	bench_evpack(50);
	return bench_fc(25) || bench_fc(1000) || bench_overhead();
}
