/* SPDX-License-Identifier: MIT */
/*
 * What happens around packets: loops and strides, counters and profile, preemption, abort, invalidation while a job
 * runs, and random programs. Jobs whose regions lie in host memory give the tests a place to act inside a packet:
 * the function that reads host memory.
 */
#include <pthread.h>

#include "tests/harness.h"
#include "tests/unit/engine_rig.h"

static uint32_t next_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

FIXTURE(run) { struct rig r; };
FIXTURE_SETUP(run) { rig_init(&self->r, true, true, 12); }
FIXTURE_TEARDOWN(run) { rig_free(&self->r); }

/* --- loops ------------------------------------------------------------------------------------------------------- */
TEST_F(run, loop_strides)
{
	struct rig *r = &self->r;
	const uint32_t *out = rig_at(r, SNPU_REGION_OUTPUT, 0);

	/* out[10 * j + i] = in[i], for j of 3 outer and i of 4 inner iterations; and one fill between the loops. */
	for (uint32_t i = 0; i < 4; i++)
		*(uint32_t *)rig_at(r, SNPU_REGION_INPUT, 16 * i) = 100 + i;
	PUT(r, LOOP, 0, .count = 3);
	PUT(r, LOOP, 0, .count = 4);
	PUT(r, COPY, 0, .src = REF_S(INPUT, 0, 16, 0), .dst = REF_S(OUTPUT, 0, 4, 40), .words = 1);
	PUT(r, NEXT, 0);
	PUT(r, FILL, 0, .dst = REF_S(OUTPUT, 16, 40, 0xdead0000), .words = 1, .value = 7);	/* one loop open: [1] is not used */
	PUT(r, NEXT, 0);
	PUT(r, FILL, 0, .dst = REF_S(OUTPUT, 20, 8, 8), .words = 1, .value = 9);	/* no loop open: no stride */
	PUT(r, END, 0);
	ASSERT_EQ(rig_run(r), SNPU_ENG_DONE);
	for (uint32_t j = 0; j < 3; j++) {
		for (uint32_t i = 0; i < 4; i++)
			EXPECT_EQ(out[10 * j + i], 100 + i);
		EXPECT_EQ(out[10 * j + 4], 7u);
		EXPECT_EQ(out[10 * j + 5], j ? 0u : 9u);
	}
	/* LOOP once when entered, NEXT once an iteration, END once. */
	EXPECT_EQ(r->res.counter[SNPU_COUNTER_PACKETS], 1u + 3 * (1 + 4 * 2 + 1 + 1) + 1 + 1);
}

TEST_F(run, loop_of_one_and_empty_body)
{
	struct rig *r = &self->r;

	PUT(r, LOOP, 0, .count = 1);
	PUT(r, NEXT, 0);
	PUT(r, LOOP, 0, .count = 1000);
	PUT(r, NEXT, 0);
	PUT(r, END, 0);
	EXPECT_EQ(rig_run(r), SNPU_ENG_DONE);
	EXPECT_EQ(r->res.counter[SNPU_COUNTER_PACKETS], 2u + 1001 + 1);
}

/* --- counters ---------------------------------------------------------------------------------------------------- */
TEST_F(run, bytes)
{
	struct rig *r = &self->r;

	PUT(r, COPY, 0, .src = REF(INPUT, 60), .dst = REF(OUTPUT, 60), .words = 2);
	PUT(r, END, 0);
	ASSERT_EQ(rig_run(r), SNPU_ENG_DONE);
	uint64_t walks = r->res.counter[SNPU_COUNTER_TLB_MISSES];

	EXPECT_EQ(walks, 3u);			/* program, input, output */
	EXPECT_EQ(r->res.counter[SNPU_COUNTER_HOST_RD], sizeof(struct snpu_pkt_COPY) + sizeof(struct snpu_pkt_END) + 8 + walks * 4 * 8);
	EXPECT_EQ(r->res.counter[SNPU_COUNTER_HOST_WR], 8u);
	EXPECT_EQ(r->res.counter[SNPU_COUNTER_VRAM_RD], 0u);
	ASSERT_EQ(rig_run(r), SNPU_ENG_DONE);
	EXPECT_EQ(r->res.counter[SNPU_COUNTER_TLB_MISSES], 0u);
	EXPECT_GT(r->res.counter[SNPU_COUNTER_ENERGY], r->res.counter[SNPU_COUNTER_ENERGY_IDEAL]);
}

TEST(vram_bytes_are_whole_bursts)
{
	struct rig r;

	rig_init(&r, false, false, 21);
	PUT(&r, COPY, 0, .src = REF(INPUT, 60), .dst = REF(OUTPUT, 60), .words = 2);
	PUT(&r, END, 0);
	EXPECT_EQ(rig_run(&r), SNPU_ENG_DONE);	/* fills the cache */
	EXPECT_EQ(rig_run(&r), SNPU_ENG_DONE);
	/* Header and rest of COPY (0..48, one burst each), header of END (one burst), 8 bytes across a burst's edge (two). */
	EXPECT_EQ(r.res.counter[SNPU_COUNTER_VRAM_RD], (2u + 1 + 2) * 64);
	EXPECT_EQ(r.res.counter[SNPU_COUNTER_VRAM_WR], 8u);
	EXPECT_EQ(r.res.counter[SNPU_COUNTER_HOST_RD], 0u);
	rig_free(&r);
}

/* Cost by hand, docs/cost-model.md: NOP and END from device memory, cache warm. */
TEST(cost_of_a_nop)
{
	struct rig r;

	rig_init(&r, false, false, 21);
	PUT(&r, NOP, 0);
	PUT(&r, END, 0);
	EXPECT_EQ(rig_run(&r), SNPU_ENG_DONE);
	snpu_engine_clear_totals(r.engine);
	EXPECT_EQ(rig_run(&r), SNPU_ENG_DONE);
	/* 8 decode + 2 words / 2 + one burst + 100 latency, twice. */
	EXPECT_EQ(r.res.counter[SNPU_COUNTER_CYCLES], 2u * 110);
	EXPECT_EQ(snpu_engine_stalls(r.engine), 2u * 101);	/* the burst, and the first access */
	EXPECT_EQ(r.res.counter[SNPU_COUNTER_ENERGY_IDEAL], 0u);
	/* burst 10.4 nJ + 16 SRAM words of 10 pJ + 2 words of 70 pJ + 110 cycles of 50 pJ, twice, in fJ. */
	EXPECT_EQ(r.res.counter[SNPU_COUNTER_ENERGY], 2u * (10400000u + 160000 + 140000 + 5500000));
	rig_free(&r);
}

TEST_F(run, profile_rows_add_up)
{
	struct rig *r = &self->r;
	const uint64_t (*row)[SNPU_COUNTER_COUNT] = rig_at(r, SNPU_REGION_PROFILE, 0);

	r->desc.profile_slots = 3;
	PUT(r, NOP, 0);
	PUT(r, FILL, 0, .dst = REF(OUTPUT, 0), .words = 5);
	((struct snpu_pkt_hdr *)rig_at(r, SNPU_REGION_PROGRAM, 8))->slot = 2;
	PUT(r, END, 0);
	EXPECT_EQ(rig_run(r), SNPU_ENG_DONE);
	EXPECT_EQ(rig_run(r), SNPU_ENG_DONE);
	EXPECT_EQ(row[0][SNPU_COUNTER_PACKETS], 4u);
	EXPECT_EQ(row[1][SNPU_COUNTER_PACKETS], 0u);
	EXPECT_EQ(row[2][SNPU_COUNTER_PACKETS], 2u);
	EXPECT_EQ(row[2][SNPU_COUNTER_HOST_WR], 40u);
	EXPECT_EQ(row[3][SNPU_COUNTER_PACKETS], 0u);
	/* After a fault the packets before it are there, the faulting one is not. */
	((struct snpu_pkt_hdr *)rig_at(r, SNPU_REGION_PROGRAM, 8))->pad = 1;
	EXPECT_EQ(rig_run(r), SNPU_ENG_FAULT);
	EXPECT_EQ(row[0][SNPU_COUNTER_PACKETS], 5u);
	EXPECT_EQ(row[2][SNPU_COUNTER_PACKETS], 2u);
}

TEST_F(run, totals)
{
	struct rig *r = &self->r;
	uint64_t total[SNPU_COUNTER_COUNT];

	PUT(r, LOOP, 0, .count = 5000);
	PUT(r, NEXT, 0);
	PUT(r, END, 0);
	EXPECT_EQ(rig_run(r), SNPU_ENG_DONE);
	EXPECT_EQ(rig_run(r), SNPU_ENG_DONE);
	snpu_engine_totals(r->engine, total);
	EXPECT_EQ(total[SNPU_COUNTER_PACKETS], 2u * 5002);
	snpu_engine_clear_totals(r->engine);
	snpu_engine_totals(r->engine, total);
	EXPECT_EQ(total[SNPU_COUNTER_PACKETS], 0u);
}

/* --- preemption and abort ------------------------------------------------------------------------------------------ */
static uint32_t preempt_seed;

/* Asks for preemption at about one access in 50. */
static void preempt_sometimes(struct rig *r)
{
	if (next_random(&preempt_seed) % 50 == 0)
		snpu_engine_preempt(r->engine);
}

/* A small network: 3 outer x 20 inner steps of packing, synapses, neurons, copies, in two loops with strides. */
static void network(struct rig *r)
{
	uint32_t seed = 99;

	for (unsigned int region = SNPU_REGION_WEIGHTS; region <= SNPU_REGION_INPUT; region++)
		for (unsigned int i = 0; region != SNPU_REGION_STATE && i < 40000; i++)
			((float *)rig_at(r, region, 0))[i] = region == SNPU_REGION_INPUT && next_random(&seed) % 4 ? 0 :
							     (float)(int32_t)next_random(&seed) / (float)(1u << 31);
	r->desc.profile_slots = 1;
	PUT(r, LOOP, 0, .count = 3);
	PUT(r, LOOP, 0, .count = 20);
	PUT(r, EVPACK, 0, .x = REF_S(INPUT, 0, 400, 8000), .ev = REF(SCRATCH, 0), .n = 100);
	PUT(r, LINEAR, 1, .ev = REF(SCRATCH, 0), .weights = REF(WEIGHTS, 0), .bias = REF(CONST, 0), .out = REF(SCRATCH, 0x1000), .n_in = 100, .n_out = 70);
	PUT(r, LIF, 2, .x = REF(SCRATCH, 0x1000), .state = REF(STATE, 0), .param = REF(CONST, 0x800), .out = REF(SCRATCH, 0x1000), .n = 70);
	PUT(r, COPY, 0, .src = REF(SCRATCH, 0x1000), .dst = REF_S(OUTPUT, 0, 280, 5600), .words = 70);
	PUT(r, NEXT, 0);
	PUT(r, COPY, 0, .src = REF(STATE, 0), .dst = REF_S(TRACE, 0, 280, 0), .words = 70);
	PUT(r, NEXT, 0);
	PUT(r, END, 0);
}

TEST_F(run, preempted_anywhere_same_result)
{
	struct rig *r = &self->r;
	struct rig plain;
	unsigned int times = 0;

	rig_init(&plain, true, true, 12);
	network(&plain);
	ASSERT_EQ(rig_run(&plain), SNPU_ENG_DONE);
	EXPECT_GT(plain.res.counter[SNPU_COUNTER_SPIKES], 0u);
	network(r);
	for (uint32_t seed = 1; seed <= 20 && !th_failed; seed++) {
		enum snpu_eng_result res;

		memset(rig_at(r, SNPU_REGION_STATE, 0), 0, RIG_REGION);
		memset(rig_at(r, SNPU_REGION_OUTPUT, 0), 0, 4 * RIG_REGION);	/* output, scratch, trace, profile */
		preempt_seed = seed;
		r->hook = preempt_sometimes;
		res = rig_run(r);
		while (res == SNPU_ENG_PREEMPTED) {
			EXPECT_EQ(r->res.state.valid, 1u);
			times++;
			res = rig_resume(r);
		}
		ASSERT_EQ(res, SNPU_ENG_DONE);
		for (unsigned int region = SNPU_REGION_STATE; region <= SNPU_REGION_TRACE; region++)
			EXPECT_EQ(memcmp(rig_at(r, region, 0), rig_at(&plain, region, 0), RIG_REGION), 0);
		for (unsigned int c = SNPU_COUNTER_PACKETS; c <= SNPU_COUNTER_UPDATES; c++) {
			EXPECT_EQ(r->res.counter[c], plain.res.counter[c]);
			EXPECT_EQ(((uint64_t *)rig_at(r, SNPU_REGION_PROFILE, 0))[c], ((uint64_t *)rig_at(&plain, SNPU_REGION_PROFILE, 0))[c]);
		}
	}
	printf("# preempted %u times\n", times);
	EXPECT_GT(times, 100u);
	rig_free(&plain);
}

/* Preempted as often as possible, a job still ends. */
static void preempt_always(struct rig *r)
{
	snpu_engine_preempt(r->engine);
}

TEST_F(run, preempted_always_still_moves)
{
	struct rig *r = &self->r;
	unsigned int runs = 1;

	PUT(r, LOOP, 0, .count = 10);
	PUT(r, NEXT, 0);
	PUT(r, END, 0);
	r->hook = preempt_always;
	for (enum snpu_eng_result res = rig_run(r); res == SNPU_ENG_PREEMPTED; res = rig_resume(r))
		runs++;
	EXPECT_EQ(r->res.result, SNPU_ENG_DONE);
	EXPECT_EQ(runs, 12u);			/* one packet each; END is the last */
	EXPECT_EQ(r->res.counter[SNPU_COUNTER_PACKETS], 12u);
}

static void *abort_later(void *engine)
{
	while (snpu_engine_progress(engine) < 100000)
		sched_yield();
	snpu_engine_abort(engine);
	return NULL;
}

static void *preempt_later(void *engine)
{
	while (snpu_engine_progress(engine) < 100000)
		sched_yield();
	snpu_engine_preempt(engine);
	return NULL;
}

TEST(endless_loop_stops)
{
	void *(*const how[])(void *) = { abort_later, preempt_later };
	const enum snpu_eng_result want[] = { SNPU_ENG_ABORTED, SNPU_ENG_PREEMPTED };

	for (unsigned int i = 0; i < 2; i++) {
		struct rig r;
		pthread_t t;

		rig_init(&r, false, false, 21);
		PUT(&r, LOOP, 0, .count = 0xffffffff);
		PUT(&r, NOP, 0);
		PUT(&r, NEXT, 0);
		pthread_create(&t, NULL, how[i], r.engine);
		EXPECT_EQ(rig_run(&r), want[i]);
		pthread_join(t, NULL);
		EXPECT_GE(r.res.counter[SNPU_COUNTER_PACKETS], 100000u);
		EXPECT_EQ(r.res.state.valid, want[i] == SNPU_ENG_PREEMPTED);
		rig_free(&r);
	}
}

static void abort_at_once(struct rig *r)
{
	if (r->host_reads == 20)
		snpu_engine_abort(r->engine);
}

/* An abort does not wait for the packet's end; the packet is not counted, the next run knows nothing of it. */
TEST_F(run, abort_inside_a_packet)
{
	struct rig *r = &self->r;

	PUT(r, COPY, 0, .src = REF(INPUT, 0), .dst = REF(OUTPUT, 0), .words = RIG_REGION / 4);
	PUT(r, END, 0);
	r->hook = abort_at_once;
	EXPECT_EQ(rig_run(r), SNPU_ENG_ABORTED);
	EXPECT_LT(r->host_reads, 25u);
	EXPECT_EQ(r->res.counter[SNPU_COUNTER_PACKETS], 0u);
	EXPECT_EQ(r->res.fault.code, 0u);
	r->hook = NULL;
	EXPECT_EQ(rig_run(r), SNPU_ENG_DONE);
}

TEST_F(run, requests_before_a_run)
{
	struct rig *r = &self->r;

	PUT(r, NOP, 0);
	PUT(r, END, 0);
	snpu_engine_preempt(r->engine);
	EXPECT_EQ(rig_run(r), SNPU_ENG_PREEMPTED);
	EXPECT_EQ(r->res.counter[SNPU_COUNTER_PACKETS], 1u);
	EXPECT_EQ(rig_resume(r), SNPU_ENG_DONE);
	snpu_engine_abort(r->engine);
	EXPECT_EQ(rig_run(r), SNPU_ENG_ABORTED);
	snpu_engine_abort(r->engine);
	snpu_engine_clear_requests(r->engine);
	EXPECT_EQ(rig_run(r), SNPU_ENG_DONE);
}

/* --- translations ---------------------------------------------------------------------------------------------------- */
static bool was_busy;

/* In the middle of a COPY, moves its second output page elsewhere and asks for the old one to be forgotten. */
static void remap(struct rig *r)
{
	uint64_t *pte = rig_pte(r, RIG_VA(SNPU_REGION_OUTPUT) + 0x1000, 0);

	if (r->host_writes != 1 || was_busy)
		return;
	*pte = (*pte & ~SNPU_PTE_ADDR_MASK) | (RIG_HOST + (20u << 20));
	EXPECT_FALSE(snpu_engine_invalidating(r->engine));
	snpu_engine_invalidate(r->engine, RIG_ASID);
	was_busy = snpu_engine_invalidating(r->engine);
}

TEST_F(run, invalidation_while_a_packet_runs)
{
	struct rig *r = &self->r;
	const uint32_t *moved = (uint32_t *)(r->host + (20u << 20)), *old = rig_at(r, SNPU_REGION_OUTPUT, 0x1000);

	/* Both pages are in the cache before. */
	PUT(r, FILL, 0, .dst = REF(OUTPUT, 0), .words = 2048, .value = 1);
	PUT(r, END, 0);
	ASSERT_EQ(rig_run(r), SNPU_ENG_DONE);
	r->prog = 0;
	r->host_writes = 0;
	PUT(r, FILL, 0, .dst = REF(OUTPUT, 0), .words = 2048, .value = 2);
	PUT(r, END, 0);
	r->hook = remap;
	ASSERT_EQ(rig_run(r), SNPU_ENG_DONE);
	EXPECT_TRUE(was_busy);			/* the access under way could still use the old one */
	EXPECT_FALSE(snpu_engine_invalidating(r->engine));
	EXPECT_EQ(old[0], 1u);
	EXPECT_EQ(moved[0], 2u);
	EXPECT_EQ(moved[1023], 2u);
}

TEST_F(run, invalidation_when_idle_is_done_at_once)
{
	struct rig *r = &self->r;
	uint64_t *pte = rig_pte(r, RIG_VA(SNPU_REGION_OUTPUT), 0);

	PUT(r, FILL, 0, .dst = REF(OUTPUT, 0), .words = 1, .value = 1);
	PUT(r, END, 0);
	ASSERT_EQ(rig_run(r), SNPU_ENG_DONE);
	*pte = 0;
	EXPECT_EQ(rig_run(r), SNPU_ENG_DONE);	/* stale: needed, as the next run shows */
	snpu_engine_invalidate(r->engine, RIG_ASID);
	EXPECT_FALSE(snpu_engine_invalidating(r->engine));
	EXPECT_EQ(rig_run(r), SNPU_ENG_FAULT);
	EXPECT_EQ(r->res.fault.code, (uint32_t)SNPU_FAULT_MMU_UNMAPPED);
}

TEST(create_refuses)
{
	struct snpu_engine_mem mem = { .host_read = rig_host_read };
	struct snpu_engine *e;

	EXPECT_EQ(snpu_engine_create(&mem, &e), -EINVAL);
	mem.host_write = rig_host_write;
	mem.device_size = 4096;
	EXPECT_EQ(snpu_engine_create(&mem, &e), -EINVAL);
	mem.device_size = 0;
	ASSERT_EQ(snpu_engine_create(&mem, &e), 0);
	snpu_engine_destroy(e);
	snpu_engine_destroy(NULL);
}

TEST_HARNESS_MAIN
