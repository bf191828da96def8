// SPDX-License-Identifier: MIT
/*
 * User queues: jobs put in by stores and waited for by loads, by QUEUE_WAIT and by eventfd; what the driver refuses; what a
 * process can do wrong; and that a mapping that outlived its queue, or its card (as root), rings nobody.
 */
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "kmem.h"
#include "user_rig.h"

FIXTURE(user) {
	struct ctx c;
	struct uq q;
};
FIXTURE_SETUP(user)
{
	(void)variant;
	ASSERT_EQ(ctx_open(&self->c), 0);
	ASSERT_EQ(uq_open(&self->q, &self->c, 64), 0);
}
FIXTURE_TEARDOWN(user)
{
	close(self->c.fd);
}

static uint32_t out_word(const struct ctx *c, uint32_t word)
{
	return ((volatile uint32_t *)c->out.map)[word];
}

TEST_F(user, a_job_without_a_system_call)
{
	struct drm_snpu_queue_state st;

	for (uint32_t i = 1; i <= 200; i++) {
		uq_put(&self->q, uq_store(&self->c, 0, 3, i));
		uq_ring(&self->q);
		ASSERT_EQ(uq_poll(&self->q, i), 0);
		ASSERT_EQ(out_word(&self->c, 3), i);
	}
	ASSERT_EQ(uq_wait(&self->q, 200), 0);	/* the status is ahead of what the driver knows */
	ASSERT_EQ(queue_state(self->c.fd, self->q.id, &st), 0);
	EXPECT_EQ(st.submitted, 200);
	EXPECT_EQ(st.completed, 200);
	EXPECT_GT(st.busy_ns, 0);
	EXPECT_GT(uq_status(&self->q)->cycles, 0);
}

TEST_F(user, many_jobs_a_ring)
{
	uint32_t entry = uq_store(&self->c, 0, 3, 1);

	for (int round = 0; round < 20; round++) {
		for (uint32_t i = 0; i < self->q.slots; i++)
			uq_put(&self->q, entry);
		uq_ring(&self->q);
		ASSERT_EQ(uq_poll(&self->q, self->q.tail), 0);
	}
	EXPECT_EQ(self->q.tail, 20 * 64);
}

TEST_F(user, wait)
{
	uint64_t completed = 99;

	EXPECT_EQ(uq_wait(&self->q, 0), 0);
	EXPECT_EQ(uq_wait_until(&self->q, 1, 0, &completed), -ETIME);
	EXPECT_EQ(completed, 0);
	/* The time is absolute: not before it, and not as long after it as the clock has run. */
	int64_t until = deadline_ns(0) + 300000000;

	EXPECT_EQ(uq_wait_until(&self->q, 1, until, NULL), -ETIME);
	EXPECT_GE(deadline_ns(0), until);
	EXPECT_LT(deadline_ns(0), until + 5000000000);
	until = deadline_ns(0);
	EXPECT_EQ(uq_wait_until(&self->q, 1, until - 1, NULL), -ETIME);
	EXPECT_LT(deadline_ns(0), until + 5000000000);
	for (uint32_t i = 1; i <= 100; i++) {
		uq_put(&self->q, uq_store(&self->c, 0, 3, i));
		uq_ring(&self->q);
		ASSERT_EQ(uq_wait_until(&self->q, i, deadline_ns(WAIT_S), &completed), 0);
		ASSERT_GE(completed, i);
		ASSERT_EQ(out_word(&self->c, 3), i);
	}
}

TEST_F(user, wait_on_a_kernel_queue_is_refused)
{
	struct uq kernel = self->q;

	kernel.id = self->c.queue;
	EXPECT_EQ(uq_wait(&kernel, 0), -EINVAL);
	EXPECT_EQ(uq_eventfd(&kernel, -1), -EINVAL);
	kernel.id = 1000;
	EXPECT_EQ(uq_wait(&kernel, 0), -ENOENT);
	struct drm_snpu_queue_wait a = { .queue_id = self->q.id, .flags = 1 };

	EXPECT_EQ(k_ioctl(self->c.fd, DRM_IOCTL_SNPU_QUEUE_WAIT, &a), -EINVAL);
}

TEST_F(user, submit_to_a_user_queue_is_refused)
{
	struct job j;

	job_init(&j, &self->c, uq_store(&self->c, 0, 3, 1));
	EXPECT_EQ(submit_jobs(self->c.fd, self->q.id, &j.job, 1), -EINVAL);
}

static void *waiter(void *arg)
{
	struct uq *q = arg;

	return (void *)(intptr_t)uq_wait(q, 32);
}

/* Several threads wait for one job; jobs before it wake nobody for good. */
TEST_F(user, several_wait)
{
	pthread_t t[4];
	void *ret;

	for (int i = 0; i < 4; i++)
		ASSERT_EQ(pthread_create(&t[i], NULL, waiter, &self->q), 0);
	for (uint32_t i = 0; i < 32; i++) {
		uq_put(&self->q, uq_store(&self->c, 0, 3, i));
		uq_ring(&self->q);
		usleep(1000);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &ret);
		EXPECT_EQ((intptr_t)ret, 0);
	}
}

TEST_F(user, eventfd)
{
	int fd = eventfd(0, EFD_CLOEXEC), pipefd[2];
	uint64_t n, sum = 0;

	EXPECT_EQ(uq_eventfd(&self->q, 1000), -EBADF);
	ASSERT_EQ(pipe(pipefd), 0);
	EXPECT_EQ(uq_eventfd(&self->q, pipefd[0]), -EINVAL);
	EXPECT_EQ(uq_eventfd(&self->q, -2), -EINVAL);
	ASSERT_EQ(uq_eventfd(&self->q, fd), 0);
	for (uint32_t i = 1; i <= 20; i++) {
		uq_put(&self->q, uq_store(&self->c, 0, 3, i));
		uq_ring(&self->q);
		ASSERT_EQ(read(fd, &n, sizeof(n)), sizeof(n));
		sum += n;
		ASSERT_EQ(uq_done(&self->q), i);
	}
	EXPECT_EQ(sum, 20);
	ASSERT_EQ(uq_eventfd(&self->q, -1), 0);
	uq_put(&self->q, uq_store(&self->c, 0, 3, 1));
	uq_ring(&self->q);
	ASSERT_EQ(uq_wait(&self->q, 21), 0);
	ASSERT_EQ(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	EXPECT_EQ(read(fd, &n, sizeof(n)), -1);
	close(fd);
}

/* The eventfd and a waiter hear of a stop, too. */
TEST_F(user, a_fault_stops_the_queue)
{
	struct drm_snpu_queue_state st;
	int fd = eventfd(0, EFD_CLOEXEC);
	uint64_t n, completed;

	ASSERT_EQ(uq_eventfd(&self->q, fd), 0);
	uq_put(&self->q, 0x10);		/* nothing but zeroes there */
	memset(self->c.code.map, 0xee, 64);
	uq_ring(&self->q);
	EXPECT_EQ(uq_wait_until(&self->q, 2, deadline_ns(WAIT_S), &completed), -ECANCELED);
	ASSERT_EQ(read(fd, &n, sizeof(n)), sizeof(n));
	ASSERT_EQ(queue_state(self->c.fd, self->q.id, &st), 0);
	EXPECT_EQ(st.flags, DRM_SNPU_QUEUE_FAULTED);
	EXPECT_EQ(st.fault_job, 1);
	EXPECT_EQ(uq_status(&self->q)->fault, st.fault_code);
	/* Another queue of the same file goes on. */
	EXPECT_EQ(run_fill(&self->c, 0x1234), 1);
	close(fd);
}

TEST_F(user, a_ring_that_is_not_bound_faults)
{
	struct drm_snpu_queue_state st;

	ASSERT_EQ(vm_unmap(self->c.fd, self->c.vm, self->q.ring.va, self->q.ring.size), 0);
	uq_put(&self->q, uq_store(&self->c, 0, 3, 1));
	uq_ring(&self->q);
	EXPECT_EQ(uq_wait(&self->q, 1), 0);	/* it ended, with a fault */
	ASSERT_EQ(queue_state(self->c.fd, self->q.id, &st), 0);
	EXPECT_EQ(st.flags, DRM_SNPU_QUEUE_FAULTED);
	EXPECT_EQ(st.fault_va, self->q.ring.va);
}

TEST_F(user, a_tail_out_of_range_faults)
{
	struct drm_snpu_queue_state st;

	self->q.tail = 1000;
	uq_ring(&self->q);
	EXPECT_EQ(uq_wait(&self->q, 1000), -ECANCELED);
	ASSERT_EQ(queue_state(self->c.fd, self->q.id, &st), 0);
	EXPECT_EQ(st.flags, DRM_SNPU_QUEUE_FAULTED);
	EXPECT_EQ(st.fault_job, 0);
}

TEST_F(user, what_create_refuses)
{
	const struct drm_snpu_queue_create good = {
		.vm_id = self->c.vm, .flags = DRM_SNPU_QUEUE_USER, .priority = DRM_SNPU_PRIORITY_NORMAL,
		.ring_va = self->q.ring.va, .status_va = self->q.status.va, .ring_slots = 64,
	};
#define BAD(err_, ...) do { struct drm_snpu_queue_create a = good; __VA_ARGS__; \
		EXPECT_EQ(k_ioctl(self->c.fd, DRM_IOCTL_SNPU_QUEUE_CREATE, &a), err_); } while (0)
	BAD(-EINVAL, a.flags = 2);
	BAD(-EINVAL, a.flags = 0);
	BAD(-EINVAL, a.pad = 1);
	BAD(-EINVAL, a.doorbell = 1);
	BAD(-EINVAL, a.ring_va = 0);
	BAD(-EINVAL, a.ring_va += 32);
	BAD(-EINVAL, a.ring_va = (1ull << 48) - 64);
	BAD(-EINVAL, a.status_va = 0);
	BAD(-EINVAL, a.status_va = 1ull << 48);
	BAD(-EINVAL, a.status_va += 8);
	BAD(-EINVAL, a.ring_slots = 0);
	BAD(-EINVAL, a.ring_slots = 1);
	BAD(-EINVAL, a.ring_slots = 48);
	BAD(-EINVAL, a.ring_slots = 8192);
	BAD(-EINVAL, a.hang_ms = 499);
	BAD(-ENOENT, a.vm_id = 77);
	BAD(0, a.hang_ms = 500);
	BAD(0, a.ring_slots = 4096);
	if (geteuid()) {
		BAD(-EACCES, a.priority = DRM_SNPU_PRIORITY_HIGH);
		BAD(-EACCES, a.hang_ms = 0xffffffff);
	}
}

TEST_F(user, a_doorbell_is_one_shared_page_and_no_buffer)
{
	struct drm_snpu_bo_mmap_offset a = { .handle = self->q.doorbell };
	uint8_t *p;
	int fd;

	ASSERT_EQ(k_ioctl(self->c.fd, DRM_IOCTL_SNPU_BO_MMAP_OFFSET, &a), 0);
	EXPECT_EQ(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, self->c.fd, (off_t)a.offset), MAP_FAILED);
	EXPECT_EQ(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, self->c.fd, (off_t)a.offset), MAP_FAILED);
	EXPECT_EQ(vm_map(self->c.fd, self->c.vm, self->q.doorbell, 0, 0x70000000, PAGE, BIND_RW), -ENOENT);
	EXPECT_NE(drmPrimeHandleToFD(self->c.fd, self->q.doorbell, DRM_CLOEXEC, &fd), 0);
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, self->c.fd, (off_t)a.offset);
	ASSERT_NE(p, MAP_FAILED);
	EXPECT_EQ(mremap(p, PAGE, 2 * PAGE, MREMAP_MAYMOVE), MAP_FAILED);
	munmap(p, PAGE);
}

/* A child does not inherit it. */
TEST_F(user, a_child_has_no_doorbell)
{
	int status;
	pid_t pid;

	uq_put(&self->q, uq_store(&self->c, 0, 3, 1));
	uq_ring(&self->q);
	ASSERT_EQ(uq_poll(&self->q, 1), 0);
	pid = fork();
	if (!pid) {
		self->q.db[0] = 2;
		_exit(0);
	}
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

/*
 * Takes every slot that the card has left, puts a job into each, stores through a mapping that is not one of theirs and looks whether
 * any of them noticed: a tail out of range would stop its queue, a right one start its job. Then their own doorbells have to work.
 */
static void rings_nobody(volatile uint32_t *stale, struct ctx *other)
{
	struct drm_snpu_queue_state st;
	struct uq q[SNPU_QUEUES];
	uint32_t n;

	for (n = 0; n < SNPU_QUEUES; n++)
		if (uq_open(&q[n], other, 2))
			break;
	ASSERT_GT(n, 16);
	for (uint32_t i = 0; i < n; i++)
		uq_put(&q[i], uq_store(other, 0, 3, 7));	/* put in, not rung */
	for (uint32_t v = 1; v < 100; v++)
		stale[SNPU_DB_TAIL / 4] = v;
	usleep(200000);
	for (uint32_t i = 0; i < n; i++) {
		ASSERT_EQ(queue_state(other->fd, q[i].id, &st), 0);
		EXPECT_EQ(st.flags, 0);
		EXPECT_EQ(st.submitted, 0);
		EXPECT_EQ(uq_done(&q[i]), 0);
	}
	for (uint32_t i = 0; i < n; i++) {
		uq_ring(&q[i]);
		ASSERT_EQ(uq_poll(&q[i], 1), 0);
	}
}

/* A mapping outlives its queue; the slot, the lowest that is free, goes to somebody else, in another process's file. */
TEST_F(user, a_stale_mapping_rings_nobody)
{
	volatile uint32_t *stale = self->q.db;
	struct ctx other;

	uq_put(&self->q, uq_store(&self->c, 0, 3, 1));
	uq_ring(&self->q);
	ASSERT_EQ(uq_poll(&self->q, 1), 0);
	ASSERT_EQ(ctx_open(&other), 0);		/* its kernel queue shall not get the slot */
	ASSERT_EQ(queue_destroy(self->c.fd, self->q.id), 0);
	rings_nobody(stale, &other);
	close(other.fd);
}

/* And its card: the page is the process's own then, and stays so when the card is back and the slots are given out again. */
TEST_F(user, a_mapping_outlives_its_card_and_rings_nobody)
{
	volatile uint32_t *stale = self->q.db;
	struct drm_snpu_bo_mmap_offset a = { .handle = self->q.doorbell };
	struct ctx other;
	char bdf[64];

	if (geteuid())
		SKIP("only root can unbind a driver");
	ASSERT_TRUE(card_bdf(self->c.fd, bdf));
	uq_put(&self->q, uq_store(&self->c, 0, 3, 1));
	uq_ring(&self->q);
	ASSERT_EQ(uq_poll(&self->q, 1), 0);
	ASSERT_EQ(driver_write("unbind", bdf), 0);
	stale[SNPU_DB_TAIL / 4] = 0x1234;
	EXPECT_EQ(stale[SNPU_DB_TAIL / 4], 0x1234);	/* what no doorbell gives back */
	EXPECT_EQ(uq_wait(&self->q, 2), -ENODEV);
	EXPECT_EQ(k_ioctl(self->c.fd, DRM_IOCTL_SNPU_BO_MMAP_OFFSET, &a), -ENODEV);
	ASSERT_EQ(card_return(bdf, 1), 0);
	ASSERT_EQ(ctx_open(&other), 0);
	rings_nobody(stale, &other);
	EXPECT_EQ(stale[SNPU_DB_TAIL / 4], 99);
	close(other.fd);
}

/* The mapping goes away when nobody rings for a while, and comes back by itself. */
TEST_F(user, an_idle_doorbell_comes_back)
{
	for (uint32_t i = 1; i <= 3; i++) {
		uq_put(&self->q, uq_store(&self->c, 0, 3, i));
		uq_ring(&self->q);
		ASSERT_EQ(uq_poll(&self->q, i), 0);
		usleep(1600000);
	}
}

/* A job that never makes progress costs its queue, by the queue's own limit; a long one that does is left alone. */
TEST_F(user, the_limit_of_a_queue)
{
	struct uq q;
	struct prog p = prog_at(&self->c, 0);
	struct drm_snpu_queue_state st;

	prog_spin(&p);
	ASSERT_EQ(uq_memory(&q, &self->c, 4, 0), 0);
	ASSERT_EQ(uq_create(&q, DRM_SNPU_PRIORITY_NORMAL, 500), 0);
	uq_put(&q, 0);
	uq_ring(&q);
	EXPECT_EQ(uq_wait_until(&q, 1, deadline_ns(3), NULL), -ETIME);
	ASSERT_EQ(queue_state(self->c.fd, q.id, &st), 0);
	EXPECT_EQ(st.flags, 0);
	ASSERT_EQ(queue_destroy(self->c.fd, q.id), 0);
	EXPECT_EQ(uq_wait(&q, 1), -ENOENT);
}

static void *destroyer(void *arg)
{
	struct uq *q = arg;

	usleep(100000);
	return (void *)(intptr_t)queue_destroy(q->c->fd, q->id);
}

/* Who waits for a queue that another thread destroys is told. */
TEST_F(user, destroyed_while_waited_for)
{
	struct prog p = prog_at(&self->c, 0);
	pthread_t t;

	prog_spin(&p);
	uq_put(&self->q, 0);
	uq_ring(&self->q);
	ASSERT_EQ(pthread_create(&t, NULL, destroyer, &self->q), 0);
	EXPECT_EQ(uq_wait(&self->q, 1), -ECANCELED);
	pthread_join(t, NULL);
	/* The page is still there, and rings nothing. */
	uq_ring(&self->q);
}

TEST_HARNESS_MAIN
