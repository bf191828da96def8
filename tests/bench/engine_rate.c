/* SPDX-License-Identifier: MIT */
/*
 * How fast the engine runs on the host: a fully connected 784-256-10 network, 25 steps for each of 1000 images, weights
 * and state in device memory, and an empty loop. Beside seconds it prints the ratio to a probe in the same run: as many
 * cache lines of weights touched by a plain loop. What the simulated card itself would take is the cycle counter's business.
 */
#include <stdio.h>
#include <time.h>

#include "tests/unit/engine_rig.h"

#define IMAGES	1000u
#define STEPS	25u
#define IN	784u
#define HIDDEN	256u
#define OUT	10u

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void data(struct rig *r)
{
	uint32_t seed = 1;

	for (unsigned int i = 0; i < RIG_REGION / 4; i++) {
		seed = seed * 1664525u + 1013904223u;
		((float *)rig_at(r, SNPU_REGION_WEIGHTS, 0))[i] = (float)(int32_t)seed / 3e10f;
		((float *)rig_at(r, SNPU_REGION_CONST, 0))[i] = 0.5f + (float)(seed >> 8) / (1 << 26);
		((float *)rig_at(r, SNPU_REGION_INPUT, 0))[i] = (seed >> 16) % 15 ? 0.0f : 1.0f;	/* about 50 of 784 */
	}
}

/* One image after another reads the same 600 KiB of input: enough to be real, small enough for the region. */
static void network(struct rig *r)
{
	PUT(r, LOOP, 0, .count = IMAGES);
	PUT(r, LOOP, 0, .count = STEPS);
	PUT(r, EVPACK, 0, .x = REF_S(INPUT, 0, 4 * IN, 0), .ev = REF(SCRATCH, 0), .n = IN);
	PUT(r, LINEAR, 1, .ev = REF(SCRATCH, 0), .weights = REF(WEIGHTS, 0), .bias = REF(CONST, 0), .out = REF(SCRATCH, 0x2000), .n_in = IN, .n_out = HIDDEN);
	PUT(r, LIF, 1, .x = REF(SCRATCH, 0x2000), .state = REF(STATE, 0), .param = REF(CONST, 0x1000), .out = REF(SCRATCH, 0x2000), .n = HIDDEN);
	PUT(r, EVPACK, 0, .x = REF(SCRATCH, 0x2000), .ev = REF(SCRATCH, 0x3000), .n = HIDDEN);
	PUT(r, LINEAR, 1, .ev = REF(SCRATCH, 0x3000), .weights = REF(WEIGHTS, 0x100000), .bias = REF(CONST, 0x800), .out = REF(SCRATCH, 0x4000), .n_in = HIDDEN, .n_out = OUT);
	PUT(r, LIF, 1, .x = REF(SCRATCH, 0x4000), .state = REF(STATE, 0x1000), .param = REF(CONST, 0x3000), .out = REF(SCRATCH, 0x4000), .n = OUT);
	PUT(r, COPY, 0, .src = REF(SCRATCH, 0x4000), .dst = REF_S(OUTPUT, 0, 40, 1000), .words = OUT);
	PUT(r, NEXT, 0);
	PUT(r, NEXT, 0);
	PUT(r, END, 0);
}

static double probe(const struct rig *r, uint64_t bytes)
{
	const volatile float *w = (const volatile float *)(r->vram + SNPU_REGION_WEIGHTS * RIG_REGION);
	double t = now();
	float s = 0;

	for (uint64_t i = 0; i < bytes / 4; i += 16)
		s += w[i % (RIG_REGION / 4)];
	(void)s;
	return now() - t;
}

static void rate(const char *name, bool host, unsigned int shift, void (*program)(struct rig *))
{
	struct rig r;
	double t;

	rig_init(&r, host, host, shift);
	data(&r);
	program(&r);
	t = now();
	if (rig_run(&r) != SNPU_ENG_DONE)
		fprintf(stderr, "%s: stopped with fault %u at %llu\n", name, r.res.fault.code, (unsigned long long)r.res.fault.pc);
	t = now() - t;
	printf("%-22s %6.2f s, %5.2f M packets/s, card's own clock %.4f s", name, t,
	       (double)r.res.counter[SNPU_COUNTER_PACKETS] / t / 1e6, (double)r.res.counter[SNPU_COUNTER_CYCLES] * 1e-9);
	if (r.res.counter[SNPU_COUNTER_SYNOPS])
		printf(", %.0f M synops/s, %.1f times the probe", (double)r.res.counter[SNPU_COUNTER_SYNOPS] / t / 1e6,
		       t / probe(&r, r.res.counter[SNPU_COUNTER_SYNOPS] * 4));
	putchar('\n');
	rig_free(&r);
}

static void empty(struct rig *r)
{
	PUT(r, LOOP, 0, .count = 2000000);
	PUT(r, NOP, 0);
	PUT(r, NEXT, 0);
	PUT(r, END, 0);
}

int main(void)
{
	rate("784-256-10, device", false, 21, network);
	rate("784-256-10, host 4 KiB", true, 12, network);
	rate("empty loop", false, 21, empty);
	return 0;
}
