/* SPDX-License-Identifier: MIT */
/*
 * Speed of the language-model kernels against a probe that only reads memory: decoding is bound by it, because every token
 * needs all weights once. Layers lie one after the other in a pool that no cache holds, as in a model. Each number is the
 * median of rounds in which everything is measured once, because other work on the machine comes and goes. Asserts nothing.
 *
 *	kernels_lm [avx2 | avx512 | scalar]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <immintrin.h>

#include "kernels/kernels.h"

#define POOL	(768ull << 20)		/* bytes */
#define ROUNDS	9
#define MOST	64			/* measurements of a round */
#define THREADS	2

static int8_t *pool;
static const struct snpu_kernels *kernels;
static unsigned int threads;		/* in use */

/* CPU time, for which the others on this machine do not count; but two threads must be seen to run at the same time. */
static double now(void)
{
	struct timespec t;

	clock_gettime(threads > 1 ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* --- threads ---------------------------------------------------------------------------------------------------- */

typedef void job_fn(const void *job, unsigned int thread);

static struct work {
	job_fn *fn;
	const void *job;
	unsigned int thread;
	double seconds;
} work[THREADS];
static pthread_barrier_t start;

static void *work_on(void *p)
{
	struct work *w = p;

	pthread_barrier_wait(&start);
	w->seconds = now();
	w->fn(w->job, w->thread);
	w->seconds = now() - w->seconds;
	return NULL;
}

/* Seconds of the thread that takes longest. */
static double measure(job_fn *fn, const void *job)
{
	pthread_t id[THREADS];
	double t = 0;

	pthread_barrier_init(&start, NULL, threads);
	for (unsigned int i = 0; i < threads; i++) {
		work[i] = (struct work){ fn, job, i, 0 };
		if (pthread_create(&id[i], NULL, work_on, &work[i]))
			abort();
	}
	for (unsigned int i = 0; i < threads; i++) {
		pthread_join(id[i], NULL);
		t = work[i].seconds > t ? work[i].seconds : t;
	}
	pthread_barrier_destroy(&start);
	return t;
}

/* Part [*from, *to) of n for one thread. */
static void share(uint32_t n, unsigned int thread, uint32_t *from, uint32_t *to)
{
	*from = (uint32_t)((uint64_t)n * thread / threads);
	*to = (uint32_t)((uint64_t)n * (thread + 1) / threads);
}

/* --- the probe -------------------------------------------------------------------------------------------------- */

static volatile int sink;

__attribute__((target("avx2"))) static void probe(const void *job, unsigned int thread)
{
	const int8_t *p = pool + POOL / threads * thread, *end = p + POOL / threads;
	__m256i acc[4] = { 0 };

	for (; p < end; p += 128) {
		for (int i = 0; i < 128; i += 64)
			__builtin_prefetch(p + 4096 + i);
#pragma GCC unroll 4
		for (int i = 0; i < 4; i++)
			acc[i] = _mm256_or_si256(acc[i], _mm256_load_si256((const void *)(p + 32 * i)));
	}
	sink = _mm256_extract_epi32(_mm256_or_si256(_mm256_or_si256(acc[0], acc[1]), _mm256_or_si256(acc[2], acc[3])), 0);
}

/* --- SPMV ------------------------------------------------------------------------------------------------------- */

struct spmv {
	struct snpu_spmv_args a;
	uint32_t layers;
	void *scratch[THREADS];
	uint64_t bytes;				/* of weights and scales that a pass over the layers needs */
};

static void run_spmv(const void *job, unsigned int thread)
{
	const struct spmv *s = job;
	struct snpu_spmv_args a = s->a;
	uint64_t size = (uint64_t)SNPU_TILES(a.n_out) * a.groups * SNPU_GROUP * SNPU_TILE;
	uint32_t from, to;

	a.scratch = s->scratch[thread];		/* each prepares for itself, so that they need not wait for each other */
	share(SNPU_TILES(a.n_out), thread, &from, &to);
	for (uint32_t i = 0; i < s->layers; i++) {
		a.weights = pool + i * size;
		if (kernels->spmv_prepare)
			kernels->spmv_prepare(&a);
		kernels->spmv(&a, from, to);
	}
}

/* A count of a unit Gauss variable over its mean size / 3, never 0. */
static int32_t count_of(void)
{
	float sum = 0.0f;
	int32_t n;

	for (int i = 0; i < 12; i++)
		sum += (float)rand() / (float)RAND_MAX;
	n = (int32_t)((sum - 6.0f) * 3.76f);
	return n ? n : 1;
}

static void make_spmv(struct spmv *s, uint32_t n_in, uint32_t n_out, uint32_t zeros, uint32_t rows)
{
	uint32_t groups = n_in / SNPU_GROUP;
	uint64_t size = (uint64_t)SNPU_TILES(n_out) * n_in * SNPU_TILE, scales = (uint64_t)SNPU_TILES(n_out) * groups * SNPU_TILE;
	struct snpu_spike *spike = malloc((uint64_t)rows * n_in * sizeof(*spike));
	uint64_t *first = calloc(rows + 1, sizeof(*first)), e = 0;
	float *vth = malloc(rows * sizeof(*vth)), *scale = malloc(scales * sizeof(*scale));

	for (uint32_t r = 0; r < rows; r++) {
		for (uint32_t c = 0; c < n_in; c++)
			if ((uint32_t)rand() % 100 >= zeros)
				spike[e++] = (struct snpu_spike){ c, count_of() };
		first[r + 1] = e;
		vth[r] = 0.5f;
	}
	for (uint64_t i = 0; i < scales; i++)
		scale[i] = 0.01f;
	*s = (struct spmv){ .a = { .in = { spike, first, vth, rows }, .scales = scale, .groups = groups, .n_out = n_out } };
	s->a.out = malloc((uint64_t)rows * n_out * 4);
	s->layers = (uint32_t)(POOL / size);
	s->bytes = s->layers * ((rows > 1 ? n_in : first[1]) * SNPU_TILES(n_out) * SNPU_TILE + scales * 4);
	for (int i = 0; i < THREADS; i++)
		s->scratch[i] = aligned_alloc(64, ((kernels->spmv_scratch ? kernels->spmv_scratch(&s->a) : 0) + 127) / 64 * 64);
}

static void free_spmv(struct spmv *s)
{
	free((void *)s->a.in.spike);
	free((void *)s->a.in.first);
	free((void *)s->a.in.vth);
	free((void *)s->a.scales);
	free(s->a.out);
	for (int i = 0; i < THREADS; i++)
		free(s->scratch[i]);
}

/* --- tables ----------------------------------------------------------------------------------------------------- */

static double seconds[MOST][ROUNDS];

static int by_size(const void *a, const void *b)
{
	return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static double median(double *t)
{
	qsort(t, ROUNDS, sizeof(*t), by_size);
	return t[ROUNDS / 2];
}

static void start_table(const char *title, const char *first, const uint32_t *of, unsigned int n, const char *unit)
{
	printf("%s\n%-26s%8s", title, "", first);
	for (unsigned int i = 0; i < n; i++)
		printf("%14u%-5s", of[i], unit);
	printf("\n");
}

static void start_line(uint32_t n_in, uint32_t n_out)
{
	printf("%5u -> %-6u %u thread%-2s", n_in, n_out, threads, threads == 1 ? "" : "s");
}

static const uint32_t shapes[][2] = { { 3584, 18944 }, { 18944, 3584 }, { 3584, 3584 } };
static const uint32_t silent[] = { 0, 18, 40, 50, 60, 70, 90 };
static const uint32_t rows_of[] = { 1, 2, 4, 8, 16, 32, 64 };
#define SILENT	(sizeof(silent) / sizeof(*silent))
#define ROWS	(sizeof(rows_of) / sizeof(*rows_of))

static void bench_decode(const uint32_t shape[2])
{
	struct spmv s[SILENT];

	for (unsigned int i = 0; i < SILENT; i++)
		make_spmv(&s[i], shape[0], shape[1], silent[i], 1);
	for (threads = 1; threads <= THREADS; threads++) {
		double rate;

		for (int r = 0; r < ROUNDS; r++) {
			seconds[SILENT][r] = measure(probe, NULL);
			for (unsigned int i = 0; i < SILENT; i++)
				seconds[i][r] = measure(run_spmv, &s[i]);
		}
		rate = (double)POOL / median(seconds[SILENT]);
		start_line(shape[0], shape[1]);
		printf("%8.1f", rate / 1e9);
		for (unsigned int i = 0; i < SILENT; i++) {
			double t = median(seconds[i]);

			printf("%7.1f %3.0f %%%5.2f x", (double)s[i].bytes / t / 1e9, 100 * (double)s[i].bytes / t / rate, median(seconds[0]) / t);
		}
		printf("\n");
	}
	for (unsigned int i = 0; i < SILENT; i++)
		free_spmv(&s[i]);
}

static void bench_prefill(const uint32_t shape[2])
{
	struct spmv s[ROWS];

	for (unsigned int i = 0; i < ROWS; i++)
		make_spmv(&s[i], shape[0], shape[1], 18, rows_of[i]);
	for (threads = 1; threads <= THREADS; threads++) {
		for (int r = 0; r < ROUNDS; r++)
			for (unsigned int i = 0; i < ROWS; i++)
				seconds[i][r] = measure(run_spmv, &s[i]);
		start_line(shape[0], shape[1]);
		printf("%8s", "");
		for (unsigned int i = 0; i < ROWS; i++) {
			double t = median(seconds[i]), products = (double)s[i].layers * rows_of[i] * shape[0] * shape[1];

			printf("%10.0f%7.2f x", products / t / 1e9, rows_of[i] * median(seconds[0]) / t);
		}
		printf("\n");
	}
	for (unsigned int i = 0; i < ROWS; i++)
		free_spmv(&s[i]);
}

/* --- MATMUL ----------------------------------------------------------------------------------------------------- */

static const uint32_t matmul_rows[] = { 1, 2, 4, 16 };

static void run_matmul(const void *job, unsigned int thread)
{
	const struct snpu_matmul_args *a = job;
	uint32_t from, to;

	share(a->n_out, thread, &from, &to);
	kernels->matmul(a, from, to);
}

static void bench_matmul(void)
{
	enum { N_IN = 3584, N = 4 };
	uint32_t n_out = POOL / 2 / N_IN;
	float *x = aligned_alloc(64, 16 * N_IN * sizeof(*x)), *out = malloc(16ull * n_out * sizeof(*out));
	struct snpu_matmul_args a = { .x = x, .weights = pool, .out = out, .n_in = N_IN, .n_out = n_out, .bf16 = true };

	for (int i = 0; i < 16 * N_IN; i++)
		x[i] = (float)(i % 7) - 3.0f;
	for (threads = 1; threads <= THREADS; threads++) {
		double rate;

		for (int r = 0; r < ROUNDS; r++) {
			seconds[N][r] = measure(probe, NULL);
			for (unsigned int i = 0; i < N; i++) {
				a.rows = matmul_rows[i];
				seconds[i][r] = measure(run_matmul, &a);
			}
		}
		rate = (double)POOL / median(seconds[N]);
		start_line(N_IN, n_out);
		printf("%8.1f", rate / 1e9);
		for (unsigned int i = 0; i < N; i++) {
			double t = median(seconds[i]);

			printf("%7.1f %3.0f %%%5.2f x", (double)POOL / t / 1e9, 100 * (double)POOL / t / rate, matmul_rows[i] * median(seconds[0]) / t);
		}
		printf("\n");
	}
	free(x);
	free(out);
}

static void tables(void)
{
	start_table("SPMV of one row, by silent channels: GB/s of weights needed, share of the probe's, speed relative to none silent",
		    "probe", silent, SILENT, " %");
	for (unsigned int i = 0; i < 3; i++)
		bench_decode(shapes[i]);
	start_table("\nSPMV of several rows, 18 % of the channels silent: G products/s, rows per second relative to one row", "",
		    rows_of, ROWS, " rows");
	for (unsigned int i = 0; i < 3; i++)
		bench_prefill(shapes[i]);
	start_table("\nMATMUL bf16: GB/s of weights, share of the probe's, rows per second relative to one row", "probe",
		    matmul_rows, 4, " rows");
	bench_matmul();
}

int main(int argc, char **argv)
{
	const char *isa = argc > 1 ? argv[1] : "auto";

	kernels = snpu_kernels_get(!strcmp(isa, "scalar") ? SNPU_CPU_SCALAR : !strcmp(isa, "avx2") ? SNPU_CPU_AVX2 :
				   !strcmp(isa, "avx512") ? SNPU_CPU_AVX512 : SNPU_CPU_AUTO);
	pool = mmap(NULL, POOL + (1 << 21), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!kernels || pool == MAP_FAILED) {
		fprintf(stderr, "no such kernels here, or no memory\n");
		return 1;
	}
	pool = (void *)(((uintptr_t)pool + (1 << 21) - 1) >> 21 << 21);
	madvise(pool, POOL, MADV_HUGEPAGE);
	for (uint64_t i = 0; i < POOL; i++)
		pool[i] = (int8_t)(0x30 + ((i * 2654435761u >> 13) & 0xf));		/* also ordinary as bf16 */
	printf("%s kernels; probe: GB/s that the same threads read\n", kernels->name);
	tables();
	return 0;
}
