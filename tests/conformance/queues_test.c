/* SPDX-License-Identifier: MIT */
/*
 * Buffers, address spaces, queues and fences: what the device level promises on every backend, and each refusal.
 */
#include <pthread.h>
#include <xmmintrin.h>

#include "conf.h"

CONF_VARIANTS

#define FOREVER	30000000000ll			/* ns: far longer than anything here takes */

/* A job on the rig's regions; the program region begins at `program`. */
static int submit_at(struct conf *c, struct snpu_queue *q, uint64_t program, struct snpu_fence *const *waits, uint32_t n_waits,
		     struct snpu_fence **fence)
{
	struct snpu_job_region region[2] = {
		{ .index = SNPU_REGION_PROGRAM, .va = CONF_VA(0) + program, .size = CONF_PROGRAM - program },
		{ .index = SNPU_REGION_OUTPUT, .va = CONF_VA(SNPU_REGION_OUTPUT), .size = CONF_SIZE },
	};
	struct snpu_job job = { .sz = sizeof(job), .regions = region, .n_regions = 2, .waits = waits, .n_waits = n_waits };

	return snpu_submit(q, &job, fence);
}

/* At 0: a job that takes a while, or does not end in a lifetime; at 4096: one that stores a number and ends. */
static int programs(struct conf *c, uint32_t outer)
{
	int err;

	snpu_emit(&c->prog, LOOP, .count = outer);
	snpu_emit(&c->prog, LOOP, .count = 0xffffffffu);
	snpu_emit(&c->prog, FILL, .dst = snpu_ref(SNPU_REGION_OUTPUT, 4096), .words = 1024, .value = 3);
	snpu_emit(&c->prog, NEXT);
	snpu_emit(&c->prog, NEXT);
	err = snpu_prog_end(&c->prog);
	memcpy(c->mem[0], c->prog.data, c->prog.size);
	snpu_prog_free(&c->prog);
	snpu_emit(&c->prog, SIGNAL, .dst = snpu_ref(SNPU_REGION_OUTPUT, 0), .value = 42);
	err = err ? err : snpu_prog_end(&c->prog);
	memcpy(c->mem[0] + 4096, c->prog.data, c->prog.size);
	snpu_prog_free(&c->prog);
	return err;
}

TEST_F(conf, jobs_run_in_order)
{
	struct snpu_fence *fence[64];
	struct snpu_queue_status st = { .sz = sizeof(st) };

	for (int i = 0; i < 64; i++) {
		snpu_emit(&self->prog, SIGNAL, .dst = snpu_ref(SNPU_REGION_OUTPUT, 8 * (uint64_t)i), .value = (uint64_t)i + 1);
		if (i)
			snpu_emit(&self->prog, COPY, .src = snpu_ref(SNPU_REGION_OUTPUT, 8 * (uint64_t)i - 8),
				  .dst = snpu_ref(SNPU_REGION_OUTPUT, 4096 + 8 * (uint64_t)i), .words = 2);
		ASSERT_EQ(snpu_prog_end(&self->prog), 0);
		memcpy(self->mem[0] + 256 * i, self->prog.data, self->prog.size);
		snpu_prog_free(&self->prog);
	}
	for (int i = 0; i < 64; i++)
		ASSERT_EQ(submit_at(self, self->queue, 256 * (uint64_t)i, NULL, 0, &fence[i]), 0);
	for (int i = 63; i >= 0; i--) {
		EXPECT_EQ(snpu_fence_wait(fence[i], FOREVER), 0);
		snpu_fence_free(fence[i]);
	}
	for (int i = 1; i < 64; i++)
		EXPECT_EQ(((uint64_t *)conf_f32(self, SNPU_REGION_OUTPUT, 4096))[i], i);
	ASSERT_EQ(snpu_queue_status(self->queue, &st), 0);
	EXPECT_EQ(st.submitted, 64);
	EXPECT_EQ(st.completed, 64);
	EXPECT_EQ(st.flags, 0);
	EXPECT_STREQ(st.text, "");
}

TEST_F(conf, wait_times_out_and_free_cancels)
{
	struct snpu_fence *slow, *later;

	ASSERT_EQ(programs(self, 0xffffffffu), 0);
	ASSERT_EQ(submit_at(self, self->queue, 0, NULL, 0, &slow), 0);
	ASSERT_EQ(submit_at(self, self->queue, 4096, NULL, 0, &later), 0);
	EXPECT_EQ(snpu_fence_wait(slow, 0), -ETIMEDOUT);
	EXPECT_EQ(snpu_fence_wait(later, 20000000), -ETIMEDOUT);
	EXPECT_CONTAINS(snpu_last_error(), "job 2 is still running");
	snpu_queue_free(self->queue);
	self->queue = NULL;
	EXPECT_EQ(snpu_fence_wait(slow, FOREVER), -ECANCELED);
	EXPECT_EQ(snpu_fence_wait(later, FOREVER), -ECANCELED);
	EXPECT_EQ(((uint64_t *)conf_f32(self, SNPU_REGION_OUTPUT, 0))[0], 0);
	snpu_fence_free(slow);
	snpu_fence_free(later);
}

TEST_F(conf, job_waits_for_another_queue)
{
	struct snpu_queue *other;
	struct snpu_fence *first, *second, *third;

	ASSERT_EQ(programs(self, 0xffffffffu), 0);
	snpu_queue_free(self->queue);
	ASSERT_EQ(conf_queue(self, SNPU_QUEUE_FENCES, &self->queue), 0);
	ASSERT_EQ(conf_queue(self, SNPU_QUEUE_FENCES, &other), 0);
	ASSERT_EQ(submit_at(self, self->queue, 0, NULL, 0, &first), 0);
	ASSERT_EQ(submit_at(self, other, 4096, &first, 1, &second), 0);
	EXPECT_EQ(snpu_fence_wait(second, 20000000), -ETIMEDOUT);
	snpu_queue_free(self->queue);			/* ends the first, with an error: a failed wait counts as signalled */
	self->queue = NULL;
	EXPECT_EQ(snpu_fence_wait(second, FOREVER), 0);
	EXPECT_EQ(((uint64_t *)conf_f32(self, SNPU_REGION_OUTPUT, 0))[0], 42);
	ASSERT_EQ(submit_at(self, other, 4096, (struct snpu_fence *[]){ first, second }, 2, &third), 0);
	snpu_fence_free(first);
	snpu_fence_free(second);
	EXPECT_EQ(snpu_fence_wait(third, FOREVER), 0);
	snpu_fence_free(third);
	snpu_queue_free(other);
}

/* Who did not say that jobs wait across queues is told so, whatever the device. */
TEST_F(conf, waits_across_queues_are_announced)
{
	struct snpu_queue *fences, *plain;
	struct snpu_fence *first, *second;

	ASSERT_EQ(programs(self, 1), 0);
	ASSERT_EQ(snpu_queue_create(self->vm, &(struct snpu_queue_opts){ .sz = sizeof(struct snpu_queue_opts),
									 .flags = SNPU_QUEUE_FENCES }, &fences), 0);
	ASSERT_EQ(snpu_queue_create(self->vm, NULL, &plain), 0);
	ASSERT_EQ(submit_at(self, plain, 4096, NULL, 0, &first), 0);
	EXPECT_EQ(submit_at(self, fences, 4096, &first, 1, &second), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "SNPU_QUEUE_FENCES");
	EXPECT_EQ(submit_at(self, plain, 4096, &first, 1, &second), 0);	/* of the queue itself */
	EXPECT_EQ(snpu_fence_wait(second, FOREVER), 0);
	snpu_fence_free(first);
	snpu_fence_free(second);
	snpu_queue_free(plain);
	snpu_queue_free(fences);
}

TEST_F(conf, fault_stops_one_queue)
{
	struct snpu_fence *bad, *after, *good;
	struct snpu_queue *other;

	ASSERT_EQ(programs(self, 1), 0);
	memset(self->mem[0] + 8192, 0xff, 64);
	ASSERT_EQ(snpu_queue_create(self->vm, NULL, &other), 0);
	ASSERT_EQ(submit_at(self, self->queue, 8192, NULL, 0, &bad), 0);
	if (submit_at(self, self->queue, 4096, NULL, 0, &after))
		after = NULL;				/* refused: the fault was faster */
	ASSERT_EQ(submit_at(self, other, 4096, NULL, 0, &good), 0);
	EXPECT_EQ(snpu_fence_wait(bad, FOREVER), -EFAULT);
	EXPECT_CONTAINS(snpu_last_error(), "opcode");
	if (after)
		EXPECT_EQ(snpu_fence_wait(after, FOREVER), -ECANCELED);
	EXPECT_EQ(snpu_fence_wait(good, FOREVER), 0);
	EXPECT_EQ(submit_at(self, self->queue, 4096, NULL, 0, NULL), -ECANCELED);
	snpu_fence_free(bad);
	snpu_fence_free(after);
	snpu_fence_free(good);
	ASSERT_EQ(submit_at(self, other, 4096, NULL, 0, &good), 0);
	EXPECT_EQ(snpu_fence_wait(good, FOREVER), 0);
	snpu_fence_free(good);
	snpu_queue_free(other);
}

TEST_F(conf, unbind_under_a_running_job)
{
	struct snpu_queue_status st = { .sz = sizeof(st) };
	struct snpu_fence *slow;

	ASSERT_EQ(programs(self, 0xffffffffu), 0);
	ASSERT_EQ(submit_at(self, self->queue, 0, NULL, 0, &slow), 0);
	EXPECT_EQ(snpu_fence_wait(slow, 5000000), -ETIMEDOUT);
	ASSERT_EQ(snpu_vm_unbind(self->vm, CONF_VA(SNPU_REGION_OUTPUT), CONF_SIZE), 0);
	conf_u32(self, SNPU_REGION_OUTPUT, 4096)[7] = 99;	/* ours now: nothing may write it any more */
	EXPECT_EQ(snpu_fence_wait(slow, FOREVER), -EFAULT);
	EXPECT_EQ(conf_u32(self, SNPU_REGION_OUTPUT, 4096)[7], 99);
	ASSERT_EQ(snpu_queue_status(self->queue, &st), 0);
	EXPECT_EQ(st.fault_code, SNPU_FAULT_MMU_UNMAPPED);
	EXPECT_EQ(st.fault_va, CONF_VA(SNPU_REGION_OUTPUT) + 4096);
	snpu_fence_free(slow);
}

TEST_F(conf, objects_outlive_their_handles)
{
	struct snpu_fence *fence;

	ASSERT_EQ(programs(self, 1), 0);
	ASSERT_EQ(submit_at(self, self->queue, 4096, NULL, 0, &fence), 0);
	snpu_vm_free(self->vm);				/* the queue keeps it */
	snpu_bo_free(self->bo[0]);			/* the binding keeps it */
	snpu_device_close(self->dev);
	self->vm = NULL;
	self->bo[0] = NULL;
	self->dev = NULL;
	EXPECT_EQ(snpu_fence_wait(fence, FOREVER), 0);
	EXPECT_EQ(((uint64_t *)conf_f32(self, SNPU_REGION_OUTPUT, 0))[0], 42);
	snpu_queue_free(self->queue);
	self->queue = NULL;
	EXPECT_EQ(snpu_fence_wait(fence, 0), 0);
	snpu_fence_free(fence);
}

TEST_F(conf, rebinding_moves_memory)
{
	struct snpu_bo *bo;
	uint32_t *mem;
	void *map;

	/* Large enough for large pages, then a hole, a replaced middle, and a page of another buffer. */
	ASSERT_EQ(snpu_bo_create(self->dev, 6 << 20, SNPU_BO_DEVICE, &bo), 0);
	ASSERT_EQ(snpu_bo_map(bo, &map), 0);
	mem = map;
	for (uint32_t i = 0; i < (6u << 20) / 4; i += 1024)
		mem[i] = i / 1024 + 1;			/* page number + 1 */
	ASSERT_EQ(snpu_vm_bind(self->vm, bo, 0, 0x40000000, 6 << 20, SNPU_BIND_READ), 0);
	ASSERT_EQ(snpu_vm_bind(self->vm, bo, 0x100000, 0x40000000 + 0x250000, 0x20000, SNPU_BIND_READ), 0);
	ASSERT_EQ(snpu_vm_bind(self->vm, self->bo[SNPU_REGION_INPUT], 0, 0x40000000 + 0x3ff000, 4096, SNPU_BIND_READ), 0);
	ASSERT_EQ(snpu_vm_unbind(self->vm, 0x40000000 + 0x501000, 0x1000), 0);
	conf_u32(self, SNPU_REGION_INPUT, 0)[0] = 5000;
	snpu_emit(&self->prog, LOOP, .count = 1536);
	snpu_emit(&self->prog, COPY, .src = snpu_ref_step(SNPU_REGION_INPUT, 0, 4096), .dst = snpu_ref_step(SNPU_REGION_OUTPUT, 0, 4),
		  .words = 1);
	snpu_emit(&self->prog, NEXT);
	ASSERT_EQ(snpu_prog_end(&self->prog), 0);
	memcpy(self->mem[0], self->prog.data, self->prog.size);

	struct snpu_job_region region[3] = { { 0, 0, CONF_VA(0), CONF_PROGRAM }, { SNPU_REGION_INPUT, 0, 0x40000000, 6 << 20 },
					     { SNPU_REGION_OUTPUT, 0, CONF_VA(SNPU_REGION_OUTPUT), CONF_SIZE } };
	struct snpu_job job = { .sz = sizeof(job), .regions = region, .n_regions = 3 };
	struct snpu_queue_status st = { .sz = sizeof(st) };
	struct snpu_fence *fence;

	ASSERT_EQ(snpu_submit(self->queue, &job, &fence), 0);
	EXPECT_EQ(snpu_fence_wait(fence, FOREVER), -EFAULT);
	ASSERT_EQ(snpu_queue_status(self->queue, &st), 0);
	EXPECT_EQ(st.fault_va, 0x40000000 + 0x501000);
	EXPECT_EQ(st.fault_loop[0], 0x501);
	for (uint32_t page = 0; page < 0x501; page++)
		ASSERT_EQ(conf_u32(self, SNPU_REGION_OUTPUT, 0)[page],
			  page == 0x3ff ? 5000 : page >= 0x250 && page < 0x270 ? page - 0x150 + 1 : page + 1);
	snpu_fence_free(fence);
	snpu_bo_free(bo);
}

TEST_F(conf, counters_are_exact)
{
	uint32_t *list = conf_u32(self, SNPU_REGION_INPUT, 0);

	list[0] = 3;
	list[2] = 0;
	list[4] = 9;
	list[6] = 99;
	self->prog.slot = 1;
	snpu_emit(&self->prog, LOOP, .count = 4);
	self->prog.slot = 2;
	snpu_emit(&self->prog, LINEAR, .ev = snpu_ref(SNPU_REGION_INPUT, 0), .weights = snpu_ref(SNPU_REGION_WEIGHTS, 0),
		  .out = snpu_ref(SNPU_REGION_OUTPUT, 0), .n_in = 100, .n_out = 70);
	snpu_emit(&self->prog, EVUNPACK, .ev = snpu_ref(SNPU_REGION_INPUT, 0), .x = snpu_ref(SNPU_REGION_OUTPUT, 0x1000), .n = 100);
	self->prog.slot = 1;
	snpu_emit(&self->prog, NEXT);
	self->prog.slot = 0;
	for (int twice = 0; twice < 2; twice++) {	/* rows are added to */
		ASSERT_EQ(twice ? conf_run_raw(self) : conf_run(self), 0);
		EXPECT_EQ(conf_count(self, 1, SNPU_COUNTER_PACKETS), (1 + 4) * (1 + twice));
		EXPECT_EQ(conf_count(self, 2, SNPU_COUNTER_PACKETS), 8 * (1 + twice));
		EXPECT_EQ(conf_count(self, 0, SNPU_COUNTER_PACKETS), 1 + twice);
		EXPECT_EQ(conf_count(self, 2, SNPU_COUNTER_EVENTS), 24 * (1 + twice));
		EXPECT_EQ(conf_count(self, 2, SNPU_COUNTER_SYNOPS), 4 * 3 * 70 * (1 + twice));
		EXPECT_EQ(conf_count(self, 2, SNPU_COUNTER_SKIPPED), 4 * 97 * 2 * (1 + twice));
		EXPECT_EQ(conf_count(self, 2, SNPU_COUNTER_UPDATES), 0);
		EXPECT_EQ(conf_count(self, 3, SNPU_COUNTER_PACKETS), 0);
	}
}

/* A thread that flushes denormals creates the queue: its arithmetic must not reach the jobs. */
TEST_F(conf, arithmetic_is_the_laws_not_the_callers)
{
	unsigned int old = _mm_getcsr();
	int err;

	_mm_setcsr(old | 0x8040);			/* FTZ, DAZ */
	err = conf_requeue(self);
	_mm_setcsr(old);
	ASSERT_EQ(err, 0);
	conf_f32(self, SNPU_REGION_INPUT, 0)[0] = 0x1p-149f;
	snpu_emit(&self->prog, ADD, .a = snpu_ref(SNPU_REGION_INPUT, 0), .b = snpu_ref(SNPU_REGION_INPUT, 0),
		  .out = snpu_ref(SNPU_REGION_OUTPUT, 0), .n = 1);
	ASSERT_EQ(conf_run(self), 0);
	EXPECT_EQ(conf_u32(self, SNPU_REGION_OUTPUT, 0)[0], 2);
}

/* --- many at a time ------------------------------------------------------------------------------------------ */

struct worker {
	struct conf *c;
	unsigned int errors;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	struct snpu_queue *q;

	if (snpu_queue_create(w->c->vm, NULL, &q)) {
		w->errors++;
		return NULL;
	}
	for (int i = 0; i < 50; i++) {
		struct snpu_fence *f = NULL;

		if (submit_at(w->c, q, 4096, NULL, 0, i % 4 == 3 ? &f : NULL))
			w->errors++;
		else if (f && snpu_fence_wait(f, FOREVER))
			w->errors++;
		snpu_fence_free(f);
		if (snpu_vm_bind(w->c->vm, w->c->bo[SNPU_REGION_TRACE], 0, CONF_VA(SNPU_REGION_TRACE), CONF_SIZE, SNPU_BIND_READ))
			w->errors++;
	}
	snpu_queue_free(q);
	return NULL;
}

TEST_F(conf, queues_from_four_threads)
{
	struct worker w[4];
	pthread_t t[4];

	ASSERT_EQ(programs(self, 1), 0);
	for (int i = 0; i < 4; i++) {
		w[i] = (struct worker){ .c = self };
		ASSERT_EQ(pthread_create(&t[i], NULL, work, &w[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], NULL);
		EXPECT_EQ(w[i].errors, 0);
	}
}

/* --- refusals ------------------------------------------------------------------------------------------------ */

TEST_F(conf, refusals)
{
	struct snpu_job_region region[2] = { { 0, 0, CONF_VA(0), CONF_PROGRAM }, { 5, 0, CONF_VA(5), CONF_SIZE } };
	const struct snpu_job good = { .sz = sizeof(good), .regions = region, .n_regions = 2 };
	struct { struct snpu_job job; uint64_t more; } big = { good, 1 };
	struct snpu_queue_opts qo = { .sz = sizeof(qo), .flags = 2 };
	struct snpu_queue *q;
	struct snpu_bo *bo;
	struct snpu_job job;

	EXPECT_EQ(snpu_bo_create(self->dev, 0, 0, &bo), -EINVAL);
	EXPECT_EQ(snpu_bo_create(self->dev, UINT64_MAX, 0, &bo), -EINVAL);
	EXPECT_EQ(snpu_bo_create(self->dev, 4096, 2, &bo), -EINVAL);
	EXPECT_LT(snpu_bo_create(self->dev, 1ull << 60, 0, &bo), 0);
	EXPECT_LT(snpu_bo_create(self->dev, 1ull << 60, SNPU_BO_DEVICE, &bo), 0);
	EXPECT_EQ(snpu_vm_bind(self->vm, self->bo[0], 0, 0x1001, 4096, 1), -EINVAL);
	EXPECT_EQ(snpu_vm_bind(self->vm, self->bo[0], 0, 0x10000, 0, 1), -EINVAL);
	EXPECT_EQ(snpu_vm_bind(self->vm, self->bo[0], 0, 0x10000, 4096, 0), -EINVAL);
	EXPECT_EQ(snpu_vm_bind(self->vm, self->bo[0], 0, 0x10000, 4096, 4), -EINVAL);
	EXPECT_EQ(snpu_vm_bind(self->vm, self->bo[0], CONF_PROGRAM, 0x10000, 4096, 1), -EINVAL);
	EXPECT_EQ(snpu_vm_bind(self->vm, self->bo[0], UINT64_MAX - 4095, 0x10000, 8192, 1), -EINVAL);
	EXPECT_EQ(snpu_vm_bind(self->vm, self->bo[0], 0, (1ull << 48) - 4096, 8192, 1), -EINVAL);
	EXPECT_EQ(snpu_vm_unbind(self->vm, 0x10000, UINT64_MAX - 4095), -EINVAL);
	EXPECT_EQ(snpu_queue_create(self->vm, &qo, &q), -EINVAL);
	qo = (struct snpu_queue_opts){ .sz = sizeof(qo), .priority = 5 };
	EXPECT_EQ(snpu_queue_create(self->vm, &qo, &q), -EINVAL);

#define BAD(change) do {							\
	job = good;								\
	region[0] = (struct snpu_job_region){ 0, 0, CONF_VA(0), CONF_PROGRAM };	\
	region[1] = (struct snpu_job_region){ 5, 0, CONF_VA(5), CONF_SIZE };	\
	change;									\
	EXPECT_EQ(snpu_submit(self->queue, &job, NULL), -EINVAL);		\
	EXPECT_NE(snpu_last_error()[0], 0);					\
} while (0)
	BAD(job.sz = 4);
	BAD(job.flags = 1);
	BAD(job.pad = 1);
	BAD(job.entry = 4);
	BAD(job.n_regions = 10);
	BAD(job.regions = NULL);
	BAD(job.n_waits = 1);
	BAD(job.profile_slots = 1);
	BAD(job.profile_slots = 0x80000001u);
	BAD(region[0].index = 9);
	BAD(region[1].index = 0);
	BAD(region[0].index = 1);
	BAD(region[0].pad = 1);
	BAD(region[0].va += 8);
	BAD(region[0].size = 0);
	BAD(region[1].size = UINT64_MAX);
	BAD(job.waits = (struct snpu_fence *[]){ NULL }; job.n_waits = 1);
	big.job.sz = sizeof(big);
	EXPECT_EQ(snpu_submit(self->queue, &big.job, NULL), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "use a newer library");
	/* Nothing of all this reached the queue. */
	snpu_emit(&self->prog, NOP);
	EXPECT_EQ(conf_run(self), 0);
	EXPECT_EQ(self->status.submitted, 1);
}

TEST_HARNESS_MAIN
