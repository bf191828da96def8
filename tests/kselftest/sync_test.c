// SPDX-License-Identifier: MIT
/*
 * Jobs and synchronisation: completion through binary and timeline syncobjs, waits on what the CPU, another job, another
 * queue, another process or an earlier job of the same call signals, order inside a queue, and many small jobs from
 * several threads.
 */
#include <pthread.h>

#include "kself.h"

FIXTURE(sync) { struct ctx c; };
FIXTURE_SETUP(sync)
{
	(void)variant;
	ASSERT_EQ(ctx_open(&self->c), 0);
}
FIXTURE_TEARDOWN(sync)
{
	close(self->c.fd);
}

/* Stores VALUE at word INDEX of the output; the program lies at its own 64 bytes of the code. */
static uint32_t prog_store(struct ctx *c, uint32_t slot, uint32_t index, uint32_t value)
{
	struct prog p = prog_at(c, slot * 64);

	EMIT(&p, FILL, .dst = REF(OUTPUT, index * 4), .words = 1, .value = value);
	EMIT(&p, END, );
	return slot * 64;
}

TEST_F(sync, a_job_signals_a_binary_syncobj)
{
	ASSERT_EQ(run_fill(&self->c, 0x12345678), 1);
	ASSERT_EQ(run_fill(&self->c, 0x9abcdef0), 1);
	struct drm_snpu_queue_state st;

	ASSERT_EQ(queue_state(self->c.fd, self->c.queue, &st), 0);
	EXPECT_EQ(st.submitted, 2);
	EXPECT_EQ(st.completed, 2);
	EXPECT_EQ(st.flags, 0);
}

TEST_F(sync, a_job_signals_a_timeline)
{
	uint32_t h = syncobj(self->c.fd);

	for (uint64_t point = 1; point <= 5; point++) {
		struct job j;

		job_init(&j, &self->c, prog_store(&self->c, 0, 0, (uint32_t)point));
		job_sync(&j, DRM_SNPU_SYNC_TIMELINE | DRM_SNPU_SYNC_SIGNAL, h, point * 10);
		ASSERT_EQ(submit(&self->c, &j), 0);
		ASSERT_EQ(timeline_wait(self->c.fd, h, point * 10), 0);
		EXPECT_EQ(*(volatile uint32_t *)self->c.out.map, point);
	}
	uint64_t now = 0;

	EXPECT_EQ(drmSyncobjQuery(self->c.fd, &h, &now, 1), 0);
	EXPECT_EQ(now, 50);
}

TEST_F(sync, a_job_waits_for_the_point_of_another)
{
	uint32_t in = syncobj(self->c.fd), out = syncobj(self->c.fd);
	uint64_t point = 3;
	struct job j;

	/* A fence must exist to be waited for, so take the point from a blocked queue of another context. */
	struct ctx other;

	ASSERT_EQ(ctx_open_fd(&other, self->c.fd), 0);
	struct prog p = prog_at(&other, 0);

	prog_spin(&p);
	job_init(&j, &other, 0);
	job_sync(&j, DRM_SNPU_SYNC_TIMELINE | DRM_SNPU_SYNC_SIGNAL, in, point);
	ASSERT_EQ(submit(&other, &j), 0);

	job_init(&j, &self->c, prog_store(&self->c, 0, 0, 77));
	job_sync(&j, DRM_SNPU_SYNC_TIMELINE, in, point);
	job_sync(&j, DRM_SNPU_SYNC_SYNCOBJ | DRM_SNPU_SYNC_SIGNAL, out, 0);
	ASSERT_EQ(submit(&self->c, &j), 0);
	usleep(200000);
	EXPECT_EQ(sync_status(self->c.fd, out), 0);
	EXPECT_EQ(*(volatile uint32_t *)self->c.out.map, 0);
	/* Stopping the blocked queue ends the wait; a fence that ended in error still lets its waiter go. */
	EXPECT_EQ(queue_destroy(other.fd, other.queue), 0);
	EXPECT_EQ(sync_wait(self->c.fd, out), 0);
}

TEST_F(sync, a_signalled_point_does_not_block)
{
	uint32_t in = syncobj(self->c.fd), out = syncobj(self->c.fd);
	uint64_t point = 9;
	struct job j;

	ASSERT_EQ(drmSyncobjTimelineSignal(self->c.fd, &in, &point, 1), 0);
	job_init(&j, &self->c, prog_store(&self->c, 0, 0, 78));
	job_sync(&j, DRM_SNPU_SYNC_TIMELINE, in, 5);
	job_sync(&j, DRM_SNPU_SYNC_TIMELINE, in, 9);
	job_sync(&j, DRM_SNPU_SYNC_SYNCOBJ | DRM_SNPU_SYNC_SIGNAL, out, 0);
	ASSERT_EQ(submit(&self->c, &j), 0);
	ASSERT_EQ(sync_wait(self->c.fd, out), 0);
	EXPECT_EQ(*(volatile uint32_t *)self->c.out.map, 78);
}

/* Two queues hand a token back and forth through one timeline. */
TEST_F(sync, two_queues_take_turns)
{
	uint32_t q2, h = syncobj(self->c.fd);
	enum { TURNS = 20 };

	ASSERT_EQ(queue_create(self->c.fd, self->c.vm, DRM_SNPU_PRIORITY_NORMAL, &q2), 0);
	for (uint32_t t = 0; t < TURNS; t++) {
		struct prog p = prog_at(&self->c, 128 * t);
		struct job j;

		/* word t+1 = word t, so a turn out of order copies a zero */
		EMIT(&p, COPY, .src = REF(OUTPUT, t * 64), .dst = REF(OUTPUT, (t + 1) * 64), .words = 1);
		EMIT(&p, END, );
		job_init(&j, &self->c, 128 * t);
		if (t)
			job_sync(&j, DRM_SNPU_SYNC_TIMELINE, h, t);
		job_sync(&j, DRM_SNPU_SYNC_TIMELINE | DRM_SNPU_SYNC_SIGNAL, h, t + 1);
		*(volatile uint32_t *)self->c.out.map = 0xbeef;
		ASSERT_EQ(submit_jobs(self->c.fd, t & 1 ? q2 : self->c.queue, &j.job, 1), 0);
	}
	ASSERT_EQ(timeline_wait(self->c.fd, h, TURNS), 0);
	EXPECT_EQ(((volatile uint32_t *)self->c.out.map)[TURNS * 16], 0xbeef);
}

TEST_F(sync, a_job_may_wait_for_an_earlier_one_of_the_same_call)
{
	uint32_t bin = syncobj(self->c.fd), tl = syncobj(self->c.fd);
	struct drm_snpu_job both[3];
	struct job a, b, d;

	job_init(&a, &self->c, prog_store(&self->c, 0, 0, 1));
	job_sync(&a, DRM_SNPU_SYNC_SIGNAL, bin, 0);
	job_init(&b, &self->c, prog_store(&self->c, 1, 1, 2));
	job_sync(&b, 0, bin, 0);
	job_sync(&b, DRM_SNPU_SYNC_TIMELINE | DRM_SNPU_SYNC_SIGNAL, tl, 4);
	job_init(&d, &self->c, prog_store(&self->c, 2, 2, 3));
	job_sync(&d, DRM_SNPU_SYNC_TIMELINE, tl, 4);
	job_sync(&d, DRM_SNPU_SYNC_TIMELINE | DRM_SNPU_SYNC_SIGNAL, tl, 5);
	both[0] = a.job;
	both[1] = b.job;
	both[2] = d.job;
	ASSERT_EQ(submit_jobs(self->c.fd, self->c.queue, both, 3), 0);
	ASSERT_EQ(timeline_wait(self->c.fd, tl, 5), 0);
	volatile uint32_t *out = self->c.out.map;

	EXPECT_EQ(out[0], 1);
	EXPECT_EQ(out[1], 2);
	EXPECT_EQ(out[2], 3);
}

TEST_F(sync, a_fence_crosses_processes)
{
	uint32_t h = syncobj(self->c.fd);
	int sock[2], handle_fd;
	struct job j;

	ASSERT_EQ(pipe(sock), 0);
	ASSERT_EQ(drmSyncobjHandleToFD(self->c.fd, h, &handle_fd), 0);
	pid_t pid = fork();

	if (!pid) {
		struct ctx c;
		uint32_t mine = 0;
		char go;

		if (ctx_open(&c) || drmSyncobjFDToHandle(c.fd, handle_fd, &mine) || read(sock[0], &go, 1) != 1)
			_exit(2);
		job_init(&j, &c, prog_store(&c, 0, 0, 5));
		job_sync(&j, 0, mine, 0);
		_exit(run(&c, &j) == 1 && *(volatile uint32_t *)c.out.map == 5 ? 0 : 3);
	}
	job_init(&j, &self->c, prog_store(&self->c, 0, 0, 4));
	job_sync(&j, DRM_SNPU_SYNC_SIGNAL, h, 0);
	ASSERT_EQ(submit(&self->c, &j), 0);
	ASSERT_EQ(write(sock[1], "g", 1), 1);
	int st;

	ASSERT_EQ(waitpid(pid, &st, 0), pid);
	EXPECT_EQ(st, 0);
}

TEST_F(sync, jobs_of_a_queue_run_in_order)
{
	enum { N = 200 };
	uint32_t h = syncobj(self->c.fd);

	/* Each job overwrites the same word; more jobs than the ring holds. */
	for (uint32_t i = 0; i < N; i++) {
		struct job j;

		job_init(&j, &self->c, prog_store(&self->c, i, 0, i));
		if (i == N - 1)
			job_sync(&j, DRM_SNPU_SYNC_SIGNAL, h, 0);
		ASSERT_EQ(submit(&self->c, &j), 0);
	}
	ASSERT_EQ(sync_wait(self->c.fd, h), 0);
	EXPECT_EQ(*(volatile uint32_t *)self->c.out.map, N - 1);
}

/* --- 1000 small jobs from 4 threads, all on one open file --- */
enum { THREADS = 4, JOBS = 250 };

struct worker {
	pthread_t thread;
	int fd, failed;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	struct ctx c;

	if (ctx_open_fd(&c, w->fd)) {
		w->failed = JOBS;
		return NULL;
	}
	uint32_t h = syncobj(c.fd);

	for (uint32_t i = 0; i < JOBS; i++) {
		struct job j;

		job_init(&j, &c, prog_store(&c, i % 200, i, i + 1));
		job_sync(&j, DRM_SNPU_SYNC_TIMELINE | DRM_SNPU_SYNC_SIGNAL, h, i + 1);
		/* The program slot is reused, so its last run must be over. */
		if (submit(&c, &j) || (i % 50 == 49 && timeline_wait(c.fd, h, i + 1)))
			w->failed++;
	}
	if (timeline_wait(c.fd, h, JOBS))
		w->failed++;
	for (uint32_t i = 0; i < JOBS; i++)
		if (((volatile uint32_t *)c.out.map)[i] != i + 1)
			w->failed++;
	drmSyncobjDestroy(c.fd, h);
	queue_destroy(c.fd, c.queue);
	vm_destroy(c.fd, c.vm);
	return NULL;
}

TEST_F(sync, a_thousand_jobs_from_four_threads)
{
	struct worker w[THREADS] = { 0 };

	for (int t = 0; t < THREADS; t++) {
		w[t].fd = self->c.fd;
		ASSERT_EQ(pthread_create(&w[t].thread, NULL, work, &w[t]), 0);
	}
	for (int t = 0; t < THREADS; t++) {
		pthread_join(w[t].thread, NULL);
		EXPECT_EQ(w[t].failed, 0);
	}
}

TEST_HARNESS_MAIN
