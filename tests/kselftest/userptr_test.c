// SPDX-License-Identifier: MIT
/*
 * Buffers of a process's own memory: which memory is taken and which is not, that the card and the CPU see the same, that
 * the pages stay when the addresses go, and that they count as locked memory of whoever made the buffer, no longer than
 * it lives. Any user; RLIMIT_MEMLOCK does not bind who has CAP_IPC_LOCK, so that test wants an ordinary one.
 */
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "kmem.h"

#define SIZE	(64 * 1024ul)
#define READONLY DRM_SNPU_BO_USERPTR_READONLY

FIXTURE(userptr) { struct ctx c; };
FIXTURE_SETUP(userptr)
{
	(void)variant;
	ASSERT_EQ(ctx_open(&self->c), 0);
}
FIXTURE_TEARDOWN(userptr)
{
	if (self->c.fd > 0 && !th_failed)
		EXPECT_EQ(run_fill(&self->c, 0xc0ffee), 1);
	/* A mapping is a reference to the file as well. What was bound goes with the queue, in the background. */
	munmap(self->c.code.map, self->c.code.size);
	munmap(self->c.out.map, self->c.out.size);
	close(self->c.fd);
	for (int i = 0; i < 50 && locked_kib(); i++)
		usleep(100000);
	EXPECT_EQ(locked_kib(), 0);
}

static void *mem(size_t size, int prot, int flags, int fd)
{
	void *p = mmap(NULL, size, prot, flags, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void *anon(size_t size)
{
	return mem(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static int memfd(size_t size)
{
	int fd = (int)syscall(SYS_memfd_create, "userptr", 1);

	return fd < 0 || ftruncate(fd, (off_t)size) ? -1 : fd;
}

/* The card writes the last word of each page and reads what the CPU wrote to the first. */
static void both_ways(struct ctx *c, volatile uint32_t *p)
{
	struct buf b;
	uint32_t h, got;

	ASSERT_TRUE(p);
	ASSERT_EQ(bo_userptr(c->fd, (void *)p, SIZE, 0, &h), 0);
	ASSERT_EQ(buf_bind(c, &b, h, SIZE, BIND_RW), 0);
	for (uint32_t page = 0; page < SIZE / PAGE; page += 5) {
		uint32_t first = page * PAGE, last = first + PAGE - 4;

		p[first / 4] = 0x1000 + page;
		ASSERT_EQ(card_read(c, &b, first, &got), 1);
		EXPECT_EQ(got, 0x1000 + page);
		ASSERT_EQ(card_fill(c, &b, last, 1, 0x2000 + page), 1);
		EXPECT_EQ(p[last / 4], 0x2000 + page);
	}
	EXPECT_EQ(locked_kib(), (long long)SIZE / 1024);
	EXPECT_EQ(drmCloseBufferHandle(c->fd, h), 0);
	EXPECT_EQ(vm_unmap(c->fd, c->vm, b.va, SIZE), 0);
	EXPECT_EQ(locked_kib(), 0);
}

TEST_F(userptr, anonymous_memory_is_read_and_written_by_the_card)
{
	both_ways(&self->c, anon(SIZE));
}

TEST_F(userptr, shared_memory_is_read_and_written_by_the_card)
{
	int fd = memfd(SIZE);
	uint32_t *p = mem(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd), *other = mem(SIZE, PROT_READ, MAP_SHARED, fd);

	both_ways(&self->c, p);
	ASSERT_TRUE(other);
	EXPECT_EQ(other[PAGE / 4 - 1], 0x2000);
	both_ways(&self->c, mem(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1));
}

TEST_F(userptr, a_part_of_it_can_be_bound)
{
	volatile uint32_t *p = anon(SIZE);
	struct buf b;
	uint32_t h, got;

	ASSERT_EQ(bo_userptr(self->c.fd, (void *)p, SIZE, 0, &h), 0);
	ASSERT_EQ(buf_bind(&self->c, &b, h, SIZE, BIND_RW), 0);
	ASSERT_EQ(vm_map(self->c.fd, self->c.vm, h, 3 * PAGE, b.va, PAGE, BIND_RW), 0);
	p[3 * PAGE / 4] = 0x333;
	ASSERT_EQ(card_read(&self->c, &b, 0, &got), 1);
	EXPECT_EQ(got, 0x333);
	EXPECT_EQ(vm_map(self->c.fd, self->c.vm, h, PAGE, b.va, SIZE, BIND_RW), -EINVAL);
}

TEST_F(userptr, read_only_memory_is_read_and_never_written)
{
	uint32_t *p = anon(SIZE), h, got;
	struct buf b;

	p[0] = 0x4711;
	ASSERT_EQ(mprotect(p, SIZE, PROT_READ), 0);
	EXPECT_EQ(bo_userptr(self->c.fd, p, SIZE, 0, &h), -EFAULT);
	ASSERT_EQ(bo_userptr(self->c.fd, p, SIZE, READONLY, &h), 0);
	EXPECT_EQ(vm_map(self->c.fd, self->c.vm, h, 0, self->c.next_va, SIZE, BIND_RW), -EACCES);
	EXPECT_EQ(vm_map(self->c.fd, self->c.vm, h, 0, self->c.next_va, SIZE, DRM_SNPU_VM_BIND_WRITE), -EACCES);
	ASSERT_EQ(buf_bind(&self->c, &b, h, SIZE, DRM_SNPU_VM_BIND_READ), 0);
	ASSERT_EQ(card_read(&self->c, &b, 0, &got), 1);
	EXPECT_EQ(got, 0x4711);
	EXPECT_EQ(card_fill(&self->c, &b, 0, 1, 0xbad), -EFAULT);
	EXPECT_EQ(p[0], 0x4711);
	/* That stopped the queue; the teardown wants one that works. */
	ASSERT_EQ(queue_create(self->c.fd, self->c.vm, DRM_SNPU_PRIORITY_NORMAL, &self->c.queue), 0);
}

TEST_F(userptr, memory_that_does_not_stay_is_refused)
{
	int exe = open("/proc/self/exe", O_RDONLY), shm = memfd(SIZE), fd = self->c.fd;
	uint32_t h, dev;
	void *p;

	/* Private to a file, whatever the file: what the card writes or reads would not be the file's. */
	p = mem(4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, exe);
	ASSERT_TRUE(p);
	EXPECT_EQ(bo_userptr(fd, p, 4 * PAGE, 0, &h), -EOPNOTSUPP);
	EXPECT_EQ(bo_userptr(fd, p, 4 * PAGE, READONLY, &h), -EOPNOTSUPP);
	EXPECT_EQ(bo_userptr(fd, mem(SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, shm), SIZE, 0, &h), -EOPNOTSUPP);
	/* A file, shared. */
	EXPECT_EQ(bo_userptr(fd, mem(4 * PAGE, PROT_READ, MAP_SHARED, exe), 4 * PAGE, READONLY, &h), -EOPNOTSUPP);
	/* Page frames: buffers of the card, in host and in device memory. */
	EXPECT_EQ(bo_userptr(fd, self->c.out.map, self->c.out.size, 0, &h), -EOPNOTSUPP);
	ASSERT_EQ(bo_create(fd, SIZE, DRM_SNPU_BO_DEVICE, &dev), 0);
	p = bo_map(fd, dev, SIZE);
	ASSERT_TRUE(p);
	EXPECT_EQ(bo_userptr(fd, p, SIZE, 0, &h), -EOPNOTSUPP);
	ASSERT_EQ(munmap(p, SIZE), 0);
	/* What is fine but for its last page. */
	p = anon(2 * SIZE);
	ASSERT_NE(mmap((char *)p + SIZE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, exe, 0), MAP_FAILED);
	EXPECT_EQ(bo_userptr(fd, p, SIZE + PAGE, 0, &h), -EOPNOTSUPP);
	EXPECT_EQ(bo_userptr(fd, p, SIZE, 0, &h), 0);
	EXPECT_EQ(locked_kib(), (long long)SIZE / 1024);	/* a refusal leaves nothing behind */
}

TEST_F(userptr, arguments_are_checked)
{
	char *p = anon(SIZE);
	int fd = self->c.fd;
	uint32_t h;

	EXPECT_EQ(bo_userptr(fd, p, 0, 0, &h), -EINVAL);
	EXPECT_EQ(bo_userptr(fd, p + 64, PAGE, 0, &h), -EINVAL);
	EXPECT_EQ(bo_userptr(fd, p, PAGE + 64, 0, &h), -EINVAL);
	EXPECT_EQ(bo_userptr(fd, p, PAGE, READONLY << 1, &h), -EINVAL);
	EXPECT_EQ(bo_userptr(fd, NULL, PAGE, 0, &h), -EFAULT);
	EXPECT_EQ(bo_userptr(fd, (void *)0xffff800000000000ull, PAGE, 0, &h), -EFAULT);
	EXPECT_EQ(bo_userptr(fd, p, 0ull - PAGE, 0, &h), -EFAULT);
	EXPECT_EQ(bo_userptr(fd, p, 1ull << 46, 0, &h), -EFAULT);
	EXPECT_EQ(bo_userptr(fd, (void *)0x10000, 1ull << 45, 0, &h), -ENOMEM);
	ASSERT_EQ(munmap(p + SIZE / 2, PAGE), 0);
	EXPECT_EQ(bo_userptr(fd, p, SIZE, 0, &h), -EFAULT);
	EXPECT_EQ(bo_userptr(fd, p, SIZE / 2, 0, &h), 0);
}

TEST_F(userptr, is_neither_mapped_nor_exported)
{
	struct drm_snpu_bo_mmap_offset m = { 0 };
	int dmabuf;

	ASSERT_EQ(bo_userptr(self->c.fd, anon(SIZE), SIZE, 0, &m.handle), 0);
	EXPECT_EQ(k_ioctl(self->c.fd, DRM_IOCTL_SNPU_BO_MMAP_OFFSET, &m), -EINVAL);
	EXPECT_EQ(drmPrimeHandleToFD(self->c.fd, m.handle, DRM_CLOEXEC, &dmabuf), -1);
	EXPECT_EQ(errno, EOPNOTSUPP);
}

/* --- the pages and the addresses --- */
TEST_F(userptr, the_pages_stay_when_the_addresses_go)
{
	uint32_t *p = anon(SIZE), h, got;
	struct buf b;

	p[5] = 0x5555;
	ASSERT_EQ(bo_userptr(self->c.fd, p, SIZE, 0, &h), 0);
	ASSERT_EQ(buf_bind(&self->c, &b, h, SIZE, BIND_RW), 0);
	ASSERT_EQ(munmap(p, SIZE), 0);
	ASSERT_EQ(mmap(p, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), p);
	p[5] = 0x6666;
	ASSERT_EQ(card_read(&self->c, &b, 20, &got), 1);
	EXPECT_EQ(got, 0x5555);
	ASSERT_EQ(card_fill(&self->c, &b, 20, 1, 0x7777), 1);
	EXPECT_EQ(p[5], 0x6666);
}

TEST_F(userptr, a_fork_does_not_part_the_card_from_its_owner)
{
	volatile uint32_t *p = anon(SIZE);
	uint32_t h, got;
	struct buf b;

	p[0] = 1;
	ASSERT_EQ(bo_userptr(self->c.fd, (void *)p, SIZE, 0, &h), 0);
	ASSERT_EQ(buf_bind(&self->c, &b, h, SIZE, BIND_RW), 0);
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		p[0] = 99;
		pause();
	}
	usleep(100000);
	p[0] = 2;
	ASSERT_EQ(card_read(&self->c, &b, 0, &got), 1);
	EXPECT_EQ(got, 2);
	ASSERT_EQ(card_fill(&self->c, &b, 0, 1, 3), 1);
	EXPECT_EQ(p[0], 3);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* --- accounting --- */
TEST_F(userptr, locked_memory_has_a_limit)
{
	struct rlimit lim = { SIZE, SIZE };
	char *p = anon(2 * SIZE);
	uint32_t h, h2;

	if (prctl(PR_CAPBSET_READ, CAP_IPC_LOCK, 0, 0, 0) == 1 && !geteuid())
		SKIP("root may lock what it wants");
	ASSERT_EQ(setrlimit(RLIMIT_MEMLOCK, &lim), 0);
	EXPECT_EQ(bo_userptr(self->c.fd, p, SIZE + PAGE, 0, &h), -ENOMEM);
	EXPECT_EQ(locked_kib(), 0);
	ASSERT_EQ(bo_userptr(self->c.fd, p, SIZE, READONLY, &h), 0);
	EXPECT_EQ(locked_kib(), (long long)SIZE / 1024);
	EXPECT_EQ(bo_userptr(self->c.fd, p + SIZE, PAGE, READONLY, &h2), -ENOMEM);
	ASSERT_EQ(drmCloseBufferHandle(self->c.fd, h), 0);
	EXPECT_EQ(locked_kib(), 0);
	EXPECT_EQ(bo_userptr(self->c.fd, p + SIZE, SIZE, 0, &h2), 0);
}

/* The buffer outlives the process that it is of: accounted to that one alone, and used by the other. */
TEST_F(userptr, is_accounted_to_whoever_made_it)
{
	uint32_t *h = mem(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1), got;
	struct buf b;
	int status;
	pid_t pid = fork();

	if (!pid) {
		uint32_t *p = anon(SIZE);

		p[0] = 0x8888;
		_exit(bo_userptr(self->c.fd, p, SIZE, 0, h) ? 1 : locked_kib() == SIZE / 1024 ? 0 : 2);
	}
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	ASSERT_EQ(status, 0);
	EXPECT_EQ(locked_kib(), 0);
	ASSERT_EQ(buf_bind(&self->c, &b, *h, SIZE, BIND_RW), 0);
	ASSERT_EQ(card_read(&self->c, &b, 0, &got), 1);
	EXPECT_EQ(got, 0x8888);
	ASSERT_EQ(drmCloseBufferHandle(self->c.fd, *h), 0);
}

/* The card goes while a job writes there: the memory stays, and nothing writes any more. */
TEST_F(userptr, outlives_the_card)
{
	volatile uint32_t *p = anon(SIZE);
	uint32_t h, s = syncobj(self->c.fd);
	struct prog prog = prog_at(&self->c, 0);
	struct buf b;
	struct job j;
	char bdf[64];

	if (geteuid())
		SKIP("only root can unbind a driver");
	ASSERT_TRUE(card_bdf(self->c.fd, bdf));
	ASSERT_EQ(bo_userptr(self->c.fd, (void *)p, SIZE, 0, &h), 0);
	ASSERT_EQ(buf_bind(&self->c, &b, h, SIZE, BIND_RW), 0);
	EMIT(&prog, LOOP, .count = 0xffffffff);
	EMIT(&prog, FILL, .dst = REF(STATE, 0), .words = 64, .value = 7);
	EMIT(&prog, NEXT, );
	EMIT(&prog, END, );
	job_init(&j, &self->c, 0);
	j.regions[2] = (struct drm_snpu_region){ SNPU_REGION_STATE, 0, b.va, b.size };
	j.job.regions.count = 3;
	job_sync(&j, DRM_SNPU_SYNC_SIGNAL, s, 0);
	ASSERT_EQ(submit(&self->c, &j), 0);
	for (int i = 0; i < 1000 && p[63] != 7; i++)
		usleep(10000);
	EXPECT_EQ(p[63], 7);
	ASSERT_EQ(driver_write("unbind", bdf), 0);
	p[63] = 8;
	usleep(200000);
	EXPECT_EQ(p[63], 8);
	EXPECT_EQ(bo_userptr(self->c.fd, (void *)p, SIZE, 0, &h), -ENODEV);
	EXPECT_EQ(locked_kib(), (long long)SIZE / 1024);	/* as long as the file is open */
	EXPECT_EQ(card_return(bdf, 1), 0);
	/* The teardown wants a card that works. */
	munmap(self->c.code.map, self->c.code.size);
	munmap(self->c.out.map, self->c.out.size);
	close(self->c.fd);
	for (int i = 0; i < 50 && locked_kib(); i++)
		usleep(100000);
	EXPECT_EQ(locked_kib(), 0);
	ASSERT_EQ(ctx_open(&self->c), 0);
}

TEST_F(userptr, is_host_memory_in_what_is_reported)
{
	struct drm_snpu_query_memory m = { 0 };
	struct drm_snpu_dev_query q = { DRM_SNPU_QUERY_MEMORY, sizeof(m), (uintptr_t)&m };
	long long total = fdinfo(self->c.fd, "drm-total-host:"), resident = fdinfo(self->c.fd, "drm-resident-host:");
	uint32_t h;

	ASSERT_EQ(k_ioctl(self->c.fd, DRM_IOCTL_SNPU_DEV_QUERY, &q), 0);
	uint64_t host = m.host_used;

	ASSERT_GT(total, 0);
	ASSERT_EQ(bo_userptr(self->c.fd, anon(SIZE), SIZE, 0, &h), 0);
	ASSERT_EQ(k_ioctl(self->c.fd, DRM_IOCTL_SNPU_DEV_QUERY, &q), 0);
	EXPECT_EQ(m.host_used, host + SIZE);
	EXPECT_EQ(fdinfo(self->c.fd, "drm-total-host:"), total + (long long)SIZE / 1024);
	EXPECT_EQ(fdinfo(self->c.fd, "drm-resident-host:"), resident + (long long)SIZE / 1024);
	EXPECT_EQ(fdinfo(self->c.fd, "drm-shared-host:"), 0);
}

TEST_HARNESS_MAIN
