/* SPDX-License-Identifier: MIT */
/*
 * Speed of CONV on the CPU, as ratios inside one run: event by event and window by window at densities from 1 % to full, beside a
 * probe that only adds the same weights to the same sums, at addresses it was told; then the NIR paper's network on recordings of an
 * event camera through the whole library, with what its layers take. Measurements are interleaved and the best of several is shown,
 * because other work on the machine only ever slows them. Asserts nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <immintrin.h>

#include "kernels/kernels.h"
#include "kernels/window.h"
#include "tests/bench/clock.h"
#include "tests/e2e/cnn_data.h"

#define ROUNDS	15
#define LISTS	16u				/* different inputs, so that no branch is learnt by heart */
#define STEPS	290

/* --- kernels -------------------------------------------------------------------------------------------------------- */

struct layer {
	struct snpu_pkt_CONV p;
	float *weights, *bias, *out, *scratch;
	struct snpu_event *ev[LISTS];
	uint32_t count[LISTS];
	/* What the probe is told: for each list, pairs of offsets in scratch and weights. */
	uint32_t (*pair[LISTS])[2];
	uint32_t pairs[LISTS];
};

static void add_pairs(struct layer *l, uint32_t s, const struct snpu_event *ev)
{
	const struct snpu_pkt_CONV *p = &l->p;
	const struct windows g = CONV_WINDOWS(p);
	uint32_t lanes = SNPU_CONV_BURSTS(p->c_out) * SNPU_CONV_LANES, i, j;
	struct place at = place_of(&g, ev->channel);
	struct span y = window_span(&g.rows, at.row), x = window_span(&g.columns, at.column);

	for (uint32_t oy = y.from; oy < y.to; oy++)
		for (uint32_t ox = x.from; ox < x.to; ox++) {
			if (!window_tap(&g.rows, &y, oy, &i) || !window_tap(&g.columns, &x, ox, &j))
				continue;
			l->pair[s][l->pairs[s]][0] = (oy * p->out_w + ox) * lanes;
			l->pair[s][l->pairs[s]++][1] = ((at.channel * p->kernel_h + i) * p->kernel_w + j) * lanes;
		}
}

static void make_lists(struct layer *l, double percent)
{
	uint32_t n = l->p.c_in * l->p.h * l->p.w;

	for (uint32_t s = 0; s < LISTS; s++) {
		l->count[s] = l->pairs[s] = 0;
		for (uint32_t c = 0; c < n; c++)
			if (rand() < percent / 100 * RAND_MAX)
				l->ev[s][l->count[s]++] = (struct snpu_event){ c, 1.0f };
		for (uint32_t e = 0; e < l->count[s]; e++)
			add_pairs(l, s, &l->ev[s][e]);
	}
}

static void make_layer(struct layer *l)
{
	const struct snpu_pkt_CONV *p = &l->p;
	size_t n = (size_t)p->c_in * p->h * p->w, w = p->c_in * SNPU_CONV_BLOCK(p) * SNPU_CONV_LANES, outs = (size_t)p->c_out * p->out_h * p->out_w;

	l->weights = aligned_alloc(4096, (w * 4 + 4095) / 4096 * 4096);
	for (size_t i = 0; i < w; i++)
		l->weights[i] = (float)(i % 17) - 8.0f;
	l->bias = calloc(p->c_out, 4);
	l->out = malloc(outs * 4);
	l->scratch = aligned_alloc(4096, ((conv_sums(p) + conv_plane(p)) * 4 + 4095) / 4096 * 4096);
	for (uint32_t s = 0; s < LISTS; s++) {
		l->ev[s] = malloc(n * sizeof(*l->ev[s]));
		l->pair[s] = malloc(n * p->kernel_h * p->kernel_w * sizeof(*l->pair[s]));
	}
}

static void free_layer(struct layer *l)
{
	for (uint32_t s = 0; s < LISTS; s++) {
		free(l->ev[s]);
		free(l->pair[s]);
	}
	free(l->weights);
	free(l->bias);
	free(l->out);
	free(l->scratch);
}

/* The additions of the events alone. */
__attribute__((target("avx2"), noinline)) static void probe(const struct layer *l, uint32_t s)
{
	uint32_t lanes = SNPU_CONV_BURSTS(l->p.c_out) * SNPU_CONV_LANES;
	__m256 one = _mm256_set1_ps(1.0f);

	for (uint32_t k = 0; k < l->pairs[s]; k++) {
		float *sum = l->scratch + l->pair[s][k][0];
		const float *w = l->weights + l->pair[s][k][1];

		for (uint32_t o = 0; o < lanes; o += 8)
			_mm256_storeu_ps(sum + o, _mm256_add_ps(_mm256_loadu_ps(sum + o), _mm256_mul_ps(_mm256_loadu_ps(w + o), one)));
	}
}

enum way { SCALAR, EVENTS, DENSE, PROBE, WAYS };

static double time_way(const struct layer *l, enum way way)
{
	const struct snpu_kernels *best = snpu_kernels_get(SNPU_CPU_AUTO);
	double t = now();

	for (uint32_t s = 0; s < LISTS; s++) {
		struct snpu_conv_args a = { .p = &l->p, .ev = l->ev[s], .weights = l->weights, .bias = l->bias, .out = l->out, .scratch = l->scratch,
					    .count = l->count[s] };

		if (way == PROBE)
			probe(l, s);
		else
			(way == SCALAR ? snpu_kernels_scalar.conv : way == EVENTS ? best->conv : best->conv_dense)(&a);
	}
	return (now() - t) / LISTS;
}

static void bench_layer(struct snpu_pkt_CONV p)
{
	static const double percents[] = { 0.5, 2, 5, 10, 20, 30, 40, 60, 100 };
	struct layer l = { .p = p };

	make_layer(&l);
	printf("CONV %ux%ux%u to %ux%ux%u, kernel %ux%u, stride %u, %s kernels, us\n", p.c_in, p.h, p.w, p.c_out, p.out_h, p.out_w, p.kernel_h, p.kernel_w, p.stride_h,
	       snpu_kernels_get(SNPU_CPU_AUTO)->name);
	printf("  active   events    dense    probe   scalar   events: G synops/s   of the probe   dense/events\n");
	for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
		double t[WAYS] = { 1e9, 1e9, 1e9, 1e9 }, synops = 0;

		make_lists(&l, percents[i]);
		for (uint32_t s = 0; s < LISTS; s++)
			synops += (double)l.pairs[s] * p.c_out / LISTS;
		for (int r = 0; r < ROUNDS; r++)
			for (int way = 0; way < WAYS; way++) {
				double d = time_way(&l, way);

				t[way] = d < t[way] ? d : t[way];
			}
		printf("%6.1f %% %8.2f %8.2f %8.2f %8.2f   %19.2f   %10.0f %%   %12.2f\n", percents[i], t[EVENTS] * 1e6, t[DENSE] * 1e6, t[PROBE] * 1e6,
		       t[SCALAR] * 1e6, synops / t[EVENTS] / 1e9, 100 * t[PROBE] / t[EVENTS], t[DENSE] / t[EVENTS]);
	}
	free_layer(&l);
}

/* --- the network ---------------------------------------------------------------------------------------------------- */

static void print_layers(const struct snpu_result *r, double samples)
{
	struct snpu_profile_row row;
	double ticks = 0;

	for (unsigned i = 0; !snpu_result_profile(r, i, &row) && i < snpu_result_profile_count(r); i++)
		ticks += (double)row.counter[SNPU_COUNTER_CYCLES];
	printf("  node        share   synaptic events   spikes   (a recording)\n");
	for (unsigned i = 0; i < snpu_result_profile_count(r) && !snpu_result_profile(r, i, &row); i++)
		printf("  %-10s %5.1f %%   %15.0f   %6.0f\n", row.node[0] ? row.node : "(control)", 100 * (double)row.counter[SNPU_COUNTER_CYCLES] / ticks,
		       (double)row.counter[SNPU_COUNTER_SYNOPS] / samples, (double)row.counter[SNPU_COUNTER_SPIKES] / samples);
}

/* way: what $SNPU_CONV is set to. */
static int bench_network(const char *way)
{
	struct snpu_session_opts o = { .sz = sizeof(o), .dt = 1e-3 };
	struct snpu_array frames;
	struct snpu_input in = { .array = &frames };
	struct snpu_model *m = NULL;
	struct snpu_session *s = NULL;
	struct snpu_result *r = NULL, *best_run = NULL;
	double best = 1e9, synops = 0, samples;
	struct snpu_profile_row row;

	setenv("SNPU_CONV", way, 1);
	if (!read_frames(RECORDINGS, &frames) || snpu_model_load_nir(MODEL, &m) || snpu_session_create(m, &o, &s)) {
		fprintf(stderr, "%s\n", snpu_last_error());
		return 1;
	}
	samples = (double)frames.shape[0];
	for (int i = 0; i < ROUNDS; i++) {
		double t = busy();

		if (snpu_session_run(s, &in, 1, &r)) {
			fprintf(stderr, "%s\n", snpu_last_error());
			return 1;
		}
		t = busy() - t;
		if (t < best) {
			snpu_result_free(best_run);
			best_run = r;
			best = t;
		} else {
			snpu_result_free(r);
		}
	}
	for (unsigned i = 0; i < snpu_result_profile_count(best_run) && !snpu_result_profile(best_run, i, &row); i++)
		synops += (double)row.counter[SNPU_COUNTER_SYNOPS];
	printf("NIR paper's CNN, %d steps, batch 1, SNPU_CONV=%s: %.1f recordings/s of CPU time, %.0f steps/s, %.1f M synaptic events/s, %.2f M a recording\n", STEPS, way, samples / best,
	       samples * STEPS / best, synops / best / 1e6, synops / samples / 1e6);
	print_layers(best_run, samples);
	snpu_result_free(best_run);
	snpu_session_free(s);
	snpu_model_free(m);
	snpu_array_free(&frames);
	return 0;
}

int main(void)
{
	srand(1);
	bench_layer((struct snpu_pkt_CONV){ .groups = 1, .c_in = 2, .c_out = 16, .h = 34, .w = 34, .out_h = 16, .out_w = 16, .kernel_h = 5, .kernel_w = 5, .stride_h = 2,
					    .stride_w = 2, .dilation_h = 1, .dilation_w = 1, .pad_top = 1, .pad_left = 1 });
	bench_layer((struct snpu_pkt_CONV){ .groups = 1, .c_in = 16, .c_out = 16, .h = 16, .w = 16, .out_h = 16, .out_w = 16, .kernel_h = 3, .kernel_w = 3, .stride_h = 1,
					    .stride_w = 1, .dilation_h = 1, .dilation_w = 1, .pad_top = 1, .pad_left = 1 });
	bench_layer((struct snpu_pkt_CONV){ .groups = 1, .c_in = 64, .c_out = 64, .h = 32, .w = 32, .out_h = 32, .out_w = 32, .kernel_h = 3, .kernel_w = 3, .stride_h = 1,
					    .stride_w = 1, .dilation_h = 1, .dilation_w = 1, .pad_top = 1, .pad_left = 1 });
	return bench_network("auto") || bench_network("dense");
}
