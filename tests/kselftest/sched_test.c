// SPDX-License-Identifier: MIT
/*
 * Who gets the engine: two equal clients the same share of it, a client of long jobs no more than one of short jobs, low
 * priority nothing while others want it, and a realtime job as soon as the packet that runs is over. Needs
 * CAP_SYS_NICE for the last two. Shares are those that the card counts, over seconds; no wall time is asserted.
 */
#include <sys/wait.h>

#include "user_rig.h"

#define RUN_S	3

/* What clients and their parent share. */
struct shares {
	_Atomic int ready, failed;
	_Atomic int64_t end;			/* CLOCK_MONOTONIC ns; 0: not yet started */
	uint64_t busy_ns[2];
};

/*
 * A client in a process of its own: keeps its queue full of jobs of n turns until the end, and notes how long the queue had the
 * engine. Half a ring is always waiting, so that a machine that runs the client late does not empty it.
 */
static int client(struct shares *s, int who, uint32_t n, uint32_t priority)
{
	struct drm_snpu_queue_state st;
	struct prog p;
	struct ctx c;
	struct uq q;

	if (ctx_open(&c) || uq_memory(&q, &c, 64, 0) || uq_create(&q, priority, 0))
		return -EIO;
	p = prog_at(&c, 0);
	EMIT(&p, LOOP, .count = n);
	EMIT(&p, NEXT, );
	EMIT(&p, END, );
	s->ready++;
	while (!s->end)
		usleep(1000);
	while (deadline_ns(0) < s->end) {
		int ret;

		while (q.tail - uq_done(&q) < 64)
			uq_put(&q, 0);
		uq_ring(&q);
		ret = uq_wait_until(&q, q.tail - 32, s->end, NULL);
		if (ret && ret != -ETIME)
			return ret;
	}
	if (queue_state(c.fd, q.id, &st))
		return -EIO;
	s->busy_ns[who] = st.busy_ns;
	return 0;
}

/* Two clients at the same time; their engine time in ms. */
static bool pair(uint32_t n0, uint32_t p0, uint32_t n1, uint32_t p1, int share[2])
{
	struct shares *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const uint32_t n[2] = { n0, n1 }, priority[2] = { p0, p1 };

	if (s == MAP_FAILED)
		return false;
	for (int i = 0; i < 2; i++)
		if (!fork()) {
			if (client(s, i, n[i], priority[i]))
				s->failed = s->ready = 2;
			_exit(0);
		}
	while (s->ready < 2)
		usleep(1000);
	s->end = deadline_ns(RUN_S);
	while (wait(NULL) > 0)
		;
	for (int i = 0; i < 2; i++)
		share[i] = (int)(s->busy_ns[i] / 1000000);
	printf("# jobs of %u and %u turns: engine time %d and %d ms of %d\n", n[0], n[1], share[0], share[1], RUN_S * 1000);
	return !s->failed;
}

static bool within(int a, int b, int percent)
{
	int larger = a > b ? a : b;

	return larger > 0 && abs(a - b) * 100 <= larger * percent;
}

TEST(who_may_be_nice_may_have_every_priority)
{
	struct ctx c;
	uint32_t q;

	ASSERT_EQ(ctx_open(&c), 0);
	EXPECT_EQ(priority_mask(c.fd), 0xf);
	for (uint32_t p = DRM_SNPU_PRIORITY_LOW; p <= DRM_SNPU_PRIORITY_REALTIME; p++)
		EXPECT_EQ(queue_create(c.fd, c.vm, p, &q), 0);
	close(c.fd);
}

TEST(equal_clients_get_equal_shares)
{
	int share[2];

	ASSERT_TRUE(pair(200000, DRM_SNPU_PRIORITY_NORMAL, 200000, DRM_SNPU_PRIORITY_NORMAL, share));
	EXPECT_TRUE(within(share[0], share[1], 10));
}

TEST(long_jobs_get_no_more_than_short_ones)
{
	int share[2];

	ASSERT_TRUE(pair(400000, DRM_SNPU_PRIORITY_NORMAL, 8000000, DRM_SNPU_PRIORITY_NORMAL, share));
	EXPECT_TRUE(within(share[0], share[1], 10));
}

TEST(low_priority_gets_what_is_left)
{
	int share[2];

	ASSERT_TRUE(pair(1000000, DRM_SNPU_PRIORITY_NORMAL, 1000000, DRM_SNPU_PRIORITY_LOW, share));
	EXPECT_GT(share[0], 5 * share[1]);
}

#define BIG		(64u << 20)		/* bytes that one packet of the long job fills */
#define TRIES		20
#define STAMPS		4096u

/*
 * A job of long packets stamps the card's time after each; a realtime job stamps it when it runs. Between the ring and that
 * stamp at most the packet that was running ends, and the one that began while the ring was on its way.
 */
TEST(realtime_waits_for_one_packet)
{
	volatile uint64_t *stamp, *rt_stamp;
	struct uq rt, slow;
	struct buf big, trace;
	struct prog p;
	struct ctx c;
	uint32_t worst = 0, prompt = 0;

	ASSERT_EQ(ctx_open(&c), 0);
	ASSERT_EQ(buf_new(&c, BIG, DRM_SNPU_BO_DEVICE, &big), 0);
	ASSERT_EQ(buf_new(&c, STAMPS * 8, 0, &trace), 0);
	ASSERT_EQ(uq_memory(&slow, &c, 4, 0), 0);
	ASSERT_EQ(uq_create(&slow, DRM_SNPU_PRIORITY_NORMAL, 0), 0);
	ASSERT_EQ(uq_memory(&rt, &c, 4, 0), 0);
	ASSERT_EQ(uq_create(&rt, DRM_SNPU_PRIORITY_REALTIME, 0), 0);
	p = prog_at(&c, 0);
	EMIT(&p, LOOP, .count = STAMPS);
	EMIT(&p, FILL, .dst = REF(SCRATCH, 0), .words = BIG / 4, .value = 1);
	EMIT(&p, TIMESTAMP, .dst = { .addr = SNPU_REF_ADDR(SNPU_REGION_TRACE, 0), .stride = { 8, 0 } });
	EMIT(&p, NEXT, );
	EMIT(&p, END, );
	p = prog_at(&c, PAGE);
	EMIT(&p, TIMESTAMP, .dst = { .addr = SNPU_REF_ADDR(SNPU_REGION_OUTPUT, 0) });
	EMIT(&p, END, );
	stamp = trace.map;
	rt_stamp = c.out.map;
	uq_put(&slow, 0);
	struct snpu_job_desc *d = slow.ring.map;

	d->region[SNPU_REGION_SCRATCH] = (struct snpu_region_binding){ big.va, big.size };
	d->region[SNPU_REGION_TRACE] = (struct snpu_region_binding){ trace.va, trace.size };
	uq_ring(&slow);
	for (int i = 1; i <= TRIES; i++) {
		uint32_t before = 0, passed = 0;

		usleep(30000);
		while (stamp[before])
			before++;
		uq_put(&rt, PAGE);
		uq_ring(&rt);
		ASSERT_EQ(uq_poll(&rt, (uint64_t)i), 0);
		while (stamp[before + passed] && stamp[before + passed] < *rt_stamp)
			passed++;
		worst = passed > worst ? passed : worst;
		prompt += passed <= 2;
	}
	printf("# %d realtime jobs against packets of %u MiB: before %u of them at most 2 packets ended, before one %u\n", TRIES, BIG >> 20,
	       prompt, worst);
	EXPECT_EQ(uq_done(&slow), 0);
	/* The simulated core may be late when this machine is; without preemption all would wait for thousands. */
	EXPECT_GE(prompt, TRIES / 2);
	close(c.fd);
}

TEST_HARNESS_MAIN
