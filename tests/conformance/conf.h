/* SPDX-License-Identifier: MIT */
/*
 * The rig of the conformance suite: a device, an address space with one buffer bound for each region, a queue and a
 * program builder. The same tests run on every backend; where a backend cannot be had they are skipped with the reason.
 */
#ifndef SNPU_TESTS_CONF_H
#define SNPU_TESTS_CONF_H

#include "core/program.h"
#include "snpu/snpu.h"
#include "tests/harness.h"

#define CONF_SIZE	(1u << 20)		/* bytes of each region but PROGRAM */
#define CONF_PROGRAM	(64u << 10)
#define CONF_VA(region)	(0x100000000ull + (uint64_t)(region) * 0x10000000ull)
#define CONF_SLOTS	16u			/* profile rows */

FIXTURE(conf) {
	struct snpu_device *dev;
	struct snpu_vm *vm;
	struct snpu_queue *queue;
	struct snpu_bo *bo[SNPU_REGION_COUNT];
	uint8_t *mem[SNPU_REGION_COUNT];	/* the buffers */
	struct snpu_prog prog;
	struct snpu_queue_status status;	/* of the last run */
	uint32_t profile_slots;			/* of the jobs to come */
};

FIXTURE_VARIANT(conf) {
	const char *device;
	uint32_t isa;
	uint32_t bo_flags;

};

/*
 * The harness keeps its verdict in variables of each file, so functions in conf.c return theirs.
 * conf_open: 0; 1: there is no such device here, snpu_last_error() says why; negative errno.
 */
int conf_open(struct conf *c, const struct conf_variant *v);
void conf_close(struct conf *c);

/* Pseudo-random numbers, the same each time. */
uint32_t conf_random(uint64_t *seed);
/* A float for tests: most are ordinary, some are zero, minus zero, denormal, huge, or infinite when `edges`. */
float conf_float(uint64_t *seed, bool edges);

static inline float *conf_f32(struct conf *c, unsigned int region, uint64_t offset)
{
	return (float *)(c->mem[region] + offset);
}

static inline uint32_t *conf_u32(struct conf *c, unsigned int region, uint64_t offset)
{
	return (uint32_t *)(c->mem[region] + offset);
}

/* The same bits; any NaN equals any NaN, whose payload is not part of the law. */
bool conf_same(float a, float b);
/* Compares n floats and prints the first that differs. */
bool conf_equal(const float *got, const float *want, uint32_t n, const char *what);
#define conf_expect(got, want, n, what)	EXPECT_TRUE(conf_equal(got, want, n, what))

/* Runs c->prog from its start (END is appended when `end`) and returns the fence's result. Empties c->prog. */
int conf_run(struct conf *c);
int conf_run_raw(struct conf *c);		/* the bytes as they are in the program region */
/* A queue in the address space; CONF_FENCES in the environment makes all of them SNPU_QUEUE_FENCES. */
int conf_queue(struct conf *c, uint32_t flags, struct snpu_queue **queue);
/* A new queue after a fault. */
int conf_requeue(struct conf *c);
/* Counter of a profile row. */
uint64_t conf_count(struct conf *c, unsigned int slot, unsigned int counter);

/* Every file of the suite declares the same variants. */
#define CONF_VARIANTS								\
	FIXTURE_VARIANT_ADD(conf, cpu_scalar) { "cpu", SNPU_CPU_SCALAR, 0 };	\
	FIXTURE_VARIANT_ADD(conf, cpu_avx2) { "cpu", SNPU_CPU_AVX2, 0 };	\
	FIXTURE_VARIANT_ADD(conf, cpu_avx512) { "cpu", SNPU_CPU_AVX512, 0 };	\
	FIXTURE_VARIANT_ADD(conf, sim) { "sim", 0, SNPU_BO_DEVICE };	\
	FIXTURE_VARIANT_ADD(conf, sim_host) { "sim", 0, 0 };		\
	FIXTURE_VARIANT_ADD(conf, card) { "card", 0, SNPU_BO_DEVICE };	\
	FIXTURE_VARIANT_ADD(conf, card_host) { "card", 0, 0 };		\
	FIXTURE_SETUP(conf)							\
	{									\
		int err_ = conf_open(self, variant);				\
										\
		if (err_ > 0)							\
			SKIP("%s", snpu_last_error());				\
		if (err_)							\
			TH_FAILMSG("%s", snpu_last_error());			\
	}									\
	FIXTURE_TEARDOWN(conf) { conf_close(self); }

/* cases(conf) has packets large enough to be shared; the CPU gives the same bits with as many threads as it takes. */
#define CONF_LARGE_PACKETS(cases)						\
	TEST_F(conf, large_packets)						\
	{									\
		static const char *const threads[] = { "1", "2", "7" };		\
										\
		cases(self);							\
		for (unsigned int t = 0; t < 3 && !strcmp(variant->device, "cpu"); t++) {	\
			conf_close(self);					\
			setenv("SNPU_THREADS", threads[t], 1);			\
			ASSERT_EQ(conf_open(self, variant), 0);			\
			cases(self);						\
		}								\
	}

#endif
