/* SPDX-License-Identifier: MIT */
/*
 * CUBA (cuba_net.h) on the CPU at 4,000, 80,000 and 1,000,000 neurons, with one thread and with two: neuron updates and synaptic events a second,
 * beside two probes of what the machine can do and, where it is installed, beside Brian2. The probes are: a pass over four numbers of each
 * neuron, read and written; and rows of 80 two-byte targets, in the order of spikes, added to. "Of the probes" is the time a step would take if it
 * were nothing but that many of both, over what it takes. CPU time counts least what else the machine does; two threads can only be timed by the
 * wall. Rounds are interleaved and the best is shown, because other work only ever slows them. Asserts nothing.
 *
 *	cuba [NEURONS...]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "snpu/snpu.h"
#include "tests/bench/clock.h"
#include "tests/bench/cuba_net.h"

#define ROUNDS		5
#define ROW		80u
#define UPDATES		40000000u		/* neuron updates of a round */

/* --- probes --------------------------------------------------------------------------------------------------------- */

/* As wide as the machine has it. */
__attribute__((target_clones("avx512f", "avx2", "default"), optimize("O3", "no-trapping-math"))) static void pass(float *state, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		state[i] = state[i] * 0.999f;
}

/* Neurons a second. */
static double probe_updates(uint32_t n)
{
	float *state = calloc(4ull * n, sizeof(*state));
	uint32_t passes = UPDATES / n + 1;
	double start = 0;

	for (uint32_t p = 0; p <= passes && state; p++) {
		if (p == 1)
			start = now();		/* the first one brought it in */
		pass(state, 4ull * n);
	}
	start = now() - start;
	free(state);
	return (double)n * passes / start;
}

/* `per` targets in each block of a row, as SPARSE has them. */
static void add_row(float *to, const uint16_t *t, uint32_t blocks, uint32_t per)
{
	for (uint32_t b = 0; b < blocks; b++, to += 65536, t += per)
		for (uint32_t k = 0; k < per; k++)
			to[t[k]] += 1.62e-3f;
}

/* Synapses a second. */
static double probe_synapses(uint32_t n)
{
	uint32_t blocks = (n + 65535) / 65536, last = n - (blocks - 1) * 65536, per = ROW / blocks, spikes = UPDATES / 20 / ROW, *order = malloc(spikes * sizeof(*order));
	uint16_t *target = malloc((uint64_t)n * ROW * sizeof(*target));
	float *to = calloc(n, sizeof(*to));
	uint64_t seed = 1;
	double start;

	for (uint64_t i = 0; i < (uint64_t)n * ROW; i++)
		target[i] = (uint16_t)((cuba_random(&seed) >> 32) % (i % ROW / per < blocks - 1 ? 65536 : last));
	for (uint32_t i = 0; i < spikes; i++)
		order[i] = (uint32_t)((cuba_random(&seed) >> 32) % n);
	start = now();
	for (uint32_t i = 0; i < spikes; i++)
		add_row(to, target + (uint64_t)order[i] * ROW, blocks, per);
	start = now() - start;
	free(order);
	free(target);
	free(to);
	return (double)spikes * blocks * per / start;
}

/* --- runs ----------------------------------------------------------------------------------------------------------- */

struct line {
	double steps, updates, synapses, rate;	/* a second; Hz */
};

struct subject {
	struct snpu_device *device;
	struct snpu_net_run *run;
	struct line cpu, wall;			/* the best by each clock */
};

static void must(int err)
{
	if (err < 0) {
		fprintf(stderr, "%s\n", snpu_last_error());
		exit(1);
	}
}

static void subject_open(struct subject *s, struct snpu_net *net, uint32_t threads, uint32_t n)
{
	struct snpu_device_opts o = { .sz = sizeof(o), .cpu_threads = threads };
	struct snpu_net_run_opts ro = { .sz = sizeof(ro) };

	must(snpu_device_open("cpu", &o, &s->device));
	ro.device = s->device;
	must(snpu_net_run_create(net, &ro, &s->run));
	must(snpu_net_run_steps(s->run, n > 100000 ? 100 : 1000));	/* the start is not like what follows */
}

static void keep(struct line *best, const struct snpu_net_stats *st, double seconds)
{
	double steps = (double)st->steps / seconds;

	if (steps > best->steps)
		*best = (struct line){ steps, (double)st->updates / seconds, (double)st->synapses / seconds, (double)st->spikes / (double)st->updates / CUBA_DT };
}

static void subject_round(struct subject *s, uint32_t steps)
{
	struct snpu_net_stats st = { .sz = sizeof(st) };
	double start = busy();

	must(snpu_net_run_steps(s->run, steps));
	start = busy() - start;
	must(snpu_net_run_stats(s->run, &st));
	keep(&s->cpu, &st, start);
	keep(&s->wall, &st, (double)st.wall_ns * 1e-9);
}

static void show(const char *who, uint32_t n, const struct line *l, double limit)
{
	printf("%9u  %-22s %9.0f %9.3g %10.0f %10.1f %7.2f", n, who, l->steps, l->steps * CUBA_DT, l->updates * 1e-6, l->synapses * 1e-6, l->rate);
	if (limit > 0)
		printf(" %10.0f %%", 100 * l->steps / limit);
	putchar('\n');
}

static void show_brian(uint32_t n, uint32_t steps)
{
	struct line l;
	char command[256];
	FILE *f;

	snprintf(command, sizeof(command), "{ /usr/bin/python3 tests/bench/cuba_brian.py %u %u | tail -1; } 2>/dev/null", n, steps);
	f = popen(command, "r");
	if (f && fscanf(f, "%lf %lf %lf %lf", &l.steps, &l.updates, &l.synapses, &l.rate) == 4)
		show("Brian2, 1 thread, CPU", n, &l, 0);
	else
		printf("%9u  Brian2 is not installed (Debian: python3-brian), or did not run\n", n);
	if (f)
		pclose(f);
}

static void bench(uint32_t n)
{
	struct subject s[2] = { { 0 } };
	uint32_t steps = UPDATES / n + 1;
	double updates = 0, synapses = 0;
	struct snpu_net *net = NULL;

	must(cuba_build(n, 1, 0, &net));
	subject_open(&s[0], net, 1, n);
	subject_open(&s[1], net, 2, n);
	for (unsigned int r = 0; r < ROUNDS; r++) {
		double u = probe_updates(n), y = probe_synapses(n);

		updates = u > updates ? u : updates;
		synapses = y > synapses ? y : synapses;
		subject_round(&s[0], steps);
		subject_round(&s[1], steps);
	}
	printf("%9u  %-22s %9s %9s %10.0f %10.1f\n", n, "probes, 1 thread", "", "", updates * 1e-6, synapses * 1e-6);
	show("snpu, 1 thread, CPU", n, &s[0].cpu, 1 / (n / updates + s[0].cpu.synapses / s[0].cpu.steps / synapses));
	show("snpu, 1 thread, wall", n, &s[0].wall, 0);
	show("snpu, 2 threads, wall", n, &s[1].wall, 0);
	for (unsigned int k = 0; k < 2; k++) {
		snpu_net_run_free(s[k].run);
		snpu_device_close(s[k].device);
	}
	snpu_net_free(net);
	if (n <= 100000)
		show_brian(n, n < 10000 ? 20000 : 500);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const uint32_t sizes[] = { 4000, 80000, 1000000 };

	printf("%9s  %-22s %9s %9s %10s %10s %7s %12s\n", "neurons", "", "steps/s", "x real", "M upd/s", "M syn/s", "Hz", "of the probes");
	for (int i = 1; i < argc; i++)
		bench((uint32_t)strtoul(argv[i], NULL, 10));
	for (unsigned int i = 0; argc < 2 && i < 3; i++)
		bench(sizes[i]);
	return 0;
}
