// SPDX-License-Identifier: MIT
/*
 * Device memory, limits per user and page sizes: what a freed buffer held is never seen again, memory and numbers run out
 * without anything being lost, one user cannot take everything, and what can be mapped in large pages is. Tests that need
 * several users or debugfs want root, and say so elsewhere.
 */
#include <grp.h>
#include <sys/prctl.h>
#include <sys/utsname.h>

#include "kmem.h"

static uint64_t query_memory(int fd, bool total)
{
	struct drm_snpu_query_memory m = { 0 };
	struct drm_snpu_dev_query q = { DRM_SNPU_QUERY_MEMORY, sizeof(m), (uintptr_t)&m };

	return k_ioctl(fd, DRM_IOCTL_SNPU_DEV_QUERY, &q) ? 0 : total ? m.device_total : m.device_used;
}

/* --- device memory --- */

/* All of it, down to the last page, and all of it again. */
TEST_TIMEOUT(device_memory_is_used_up_and_nothing_is_lost, 180)
{
	int fd = card_open();
	static uint32_t h[4096];

	ASSERT_GE(fd, 0);
	uint64_t total = query_memory(fd, true), base = query_memory(fd, false), largest[2];

	for (int round = 0; round < 2; round++) {
		int n = 0, ret;

		largest[round] = 0;
		for (uint64_t size = 1ull << 40; size >= PAGE; size /= 2) {
			while (n < 4096 && !(ret = bo_create(fd, size, DRM_SNPU_BO_DEVICE, &h[n]))) {
				largest[round] = largest[round] ? largest[round] : size;
				n++;
			}
			EXPECT_EQ(ret, -ENOSPC);
		}
		EXPECT_EQ(query_memory(fd, false), total);
		/* A part of the last one does not fit either, and does not disturb. */
		EXPECT_EQ(bo_create(fd, PAGE, DRM_SNPU_BO_DEVICE, &h[4095]), -ENOSPC);
		/* In an order that is not the one they came in. */
		for (int i = 0; i < n; i += 2)
			drmCloseBufferHandle(fd, h[i]);
		for (int i = 1; i < n; i += 2)
			drmCloseBufferHandle(fd, h[i]);
		EXPECT_EQ(query_memory(fd, false), base);
	}
	EXPECT_GT(largest[0], 0);
	EXPECT_EQ(largest[0], largest[1]);
	close(fd);
}

/*
 * Four processes take and give back; each finds its buffers zeroed, and unchanged when it looks again. One in four is
 * killed with its buffers full.
 */
static int churn(int number, int rounds)
{
	struct { uint32_t h; uint32_t *p; size_t words; } b[6] = { 0 };
	uint32_t seed = (uint32_t)number * 2654435761u + 1, mark = 0xa5000000u | (uint32_t)number;
	int fd = card_open();

	if (fd < 0)
		return 2;
	for (int r = 0; r < rounds; r++) {
		int i = r % 6;

		for (size_t k = 0; k < b[i].words; k++)
			if (b[i].p[k] != mark)
				return 3;
		if (b[i].p) {
			munmap(b[i].p, b[i].words * 4);
			drmCloseBufferHandle(fd, b[i].h);
		}
		seed = seed * 1664525 + 1013904223;
		b[i].words = (1 + (seed >> 24)) * PAGE / 4;
		if (bo_create(fd, b[i].words * 4, DRM_SNPU_BO_DEVICE, &b[i].h))
			return 4;
		b[i].p = bo_map(fd, b[i].h, b[i].words * 4);
		if (!b[i].p)
			return 5;
		for (size_t k = 0; k < b[i].words; k++) {
			if (b[i].p[k])
				return 6;
			b[i].p[k] = mark;
		}
	}
	if (number % 4 == 3)
		kill(getpid(), SIGKILL);
	return 0;
}

TEST_TIMEOUT(what_a_freed_buffer_held_is_never_seen, 180)
{
	int fd = card_open(), status;

	ASSERT_GE(fd, 0);
	uint64_t base = query_memory(fd, false);

	for (int generation = 0; generation < 3; generation++) {
		for (int i = 0; i < 4; i++) {
			pid_t pid = fork();

			ASSERT_GE(pid, 0);
			if (!pid)
				_exit(churn(generation * 4 + i + 1, 60));
		}
		for (int i = 0; i < 4; i++) {
			ASSERT_GT(wait(&status), 0);
			if (WIFSIGNALED(status))
				EXPECT_EQ(WTERMSIG(status), SIGKILL);
			else
				EXPECT_EQ(WEXITSTATUS(status), 0);
		}
	}
	EXPECT_EQ(query_memory(fd, false), base);
	close(fd);
}

/* What the card itself left there is not seen either. */
TEST(what_the_card_wrote_is_cleared_too)
{
	struct ctx c;

	ASSERT_EQ(ctx_open(&c), 0);
	for (int i = 0; i < 8; i++) {
		struct buf b;

		ASSERT_EQ(buf_new(&c, MIB, DRM_SNPU_BO_DEVICE, &b), 0);
		for (size_t k = 0; k < MIB / 4; k++)
			ASSERT_EQ(((volatile uint32_t *)b.map)[k], 0);
		ASSERT_EQ(card_fill(&c, &b, 0, MIB / 4, 0x5ec3e7), 1);
		ASSERT_EQ(munmap(b.map, MIB), 0);
		ASSERT_EQ(vm_unmap(c.fd, c.vm, b.va, MIB), 0);
		ASSERT_EQ(drmCloseBufferHandle(c.fd, b.handle), 0);
	}
	close(c.fd);
}

/* --- limits --- */
static struct drm_snpu_query_limits limits(int fd)
{
	struct drm_snpu_query_limits l = { 0 };
	struct drm_snpu_dev_query q = { DRM_SNPU_QUERY_LIMITS, sizeof(l), (uintptr_t)&l };

	if (k_ioctl(fd, DRM_IOCTL_SNPU_DEV_QUERY, &q))
		TH_FAILMSG("DRM_SNPU_QUERY_LIMITS failed");
	return l;
}

/* Address spaces or queues until there are no more; tells why. */
static int take(int fd, uint32_t vm, uint32_t *n)
{
	uint32_t id;
	int ret;

	for (*n = 0; *n < 4096; (*n)++) {
		ret = vm ? queue_create(fd, vm, DRM_SNPU_PRIORITY_NORMAL, &id) : vm_create(fd, &id);
		if (ret)
			return ret;
	}
	return 0;
}

/* A process of a user in the group of the open card that takes everything it gets and keeps it until it is killed. */
static pid_t taker(uid_t uid, int card, int go[2])
{
	struct stat st;
	uint32_t got[4], vm;
	pid_t pid = fork();

	if (pid)
		return pid;
	if (fstat(card, &st) || setgroups(1, &st.st_gid) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
		_exit(2);
	int fd = card_open();

	if (fd < 0 || vm_create(fd, &vm))
		_exit(3);
	got[0] = (uint32_t)-take(fd, vm, &got[1]);
	got[2] = (uint32_t)-take(fd, 0, &got[3]);
	got[3]++;
	prctl(PR_SET_PDEATHSIG, SIGKILL);	/* after the change of user, which forgets it */
	if (write(go[1], got, sizeof(got)) != sizeof(got))
		_exit(4);
	pause();
	_exit(0);
}

/* The numbers settle a moment after processes are gone. */
static void settle(int fd, uint32_t vms, uint32_t queues)
{
	struct drm_snpu_query_limits l;

	for (int i = 0; i < 100; i++) {
		l = limits(fd);
		if (l.vms_free == vms && l.queues_free == queues)
			return;
		usleep(100000);
	}
	EXPECT_EQ(l.vms_free, vms);
	EXPECT_EQ(l.queues_free, queues);
}

TEST_TIMEOUT(a_user_has_a_limit_and_can_ask_for_it, 120)
{
	int fd = card_open(), fd2 = card_open();
	uint32_t vm, n, id;

	ASSERT_GE(fd2, 0);
	struct drm_snpu_query_limits was = limits(fd), l;

	settle(fd, was.vms_total, was.queues_total);	/* what earlier tests had */
	was = limits(fd);
	EXPECT_EQ(was.vms_used, 0);
	EXPECT_EQ(was.queues_used, 0);
	EXPECT_EQ(was.vms_max, geteuid() ? was.vms_total / 2 : was.vms_total);
	EXPECT_EQ(was.queues_max, geteuid() ? was.queues_total / 2 : was.queues_total);
	EXPECT_EQ(was.vms_free, was.vms_total);
	ASSERT_EQ(vm_create(fd, &vm), 0);
	EXPECT_EQ(take(fd, vm, &n), geteuid() ? -EDQUOT : -ENOSPC);
	EXPECT_EQ(n, was.queues_max);
	EXPECT_EQ(take(fd2, 0, &n), geteuid() ? -EDQUOT : -ENOSPC);	/* of all the user's files together */
	EXPECT_EQ(n, was.vms_max - 1);
	l = limits(fd2);
	EXPECT_EQ(l.vms_used, was.vms_max);
	EXPECT_EQ(l.queues_used, was.queues_max);
	EXPECT_EQ(l.vms_free, was.vms_free - was.vms_max);
	EXPECT_EQ(l.queues_free, was.queues_free - was.queues_max);
	ASSERT_EQ(vm_destroy(fd2, 1), 0);
	EXPECT_EQ(vm_create(fd, &id), 0);
	ASSERT_EQ(queue_destroy(fd, 1), 0);
	EXPECT_EQ(queue_create(fd, vm, DRM_SNPU_PRIORITY_NORMAL, &id), 0);
	close(fd);
	settle(fd2, was.vms_free - (was.vms_max - 2), was.queues_free);
	close(fd2);
	fd = card_open();
	settle(fd, was.vms_free, was.queues_free);
	l = limits(fd);
	EXPECT_EQ(l.vms_used, 0);
	EXPECT_EQ(l.queues_used, 0);
	close(fd);
}

TEST_TIMEOUT(two_users_share_a_card, 120)
{
	int fd = card_open(), go[2];
	uint32_t got[3][4];
	pid_t pid[3];

	ASSERT_GE(fd, 0);
	if (geteuid())
		SKIP("only root can be several users");
	struct drm_snpu_query_limits was = limits(fd), l;

	settle(fd, was.vms_total, was.queues_total);
	was = limits(fd);
	ASSERT_EQ(pipe(go), 0);
	for (int i = 0; i < 3; i++) {
		/* The third is one of the first user's again. */
		pid[i] = taker(i == 1 ? 2002 : 2001, fd, go);
		if (i < 2)
			ASSERT_EQ(read(go[0], got[i], sizeof(got[i])), sizeof(got[i]));
	}
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(got[i][0], EDQUOT);
		EXPECT_EQ(got[i][1], was.queues_total / 2);
		EXPECT_EQ(got[i][2], EDQUOT);
		EXPECT_EQ(got[i][3], was.vms_total / 2);
	}
	int status;

	ASSERT_EQ(waitpid(pid[2], &status, 0), pid[2]);
	EXPECT_EQ(WEXITSTATUS(status), 3);	/* not a single address space */
	l = limits(fd);
	EXPECT_EQ(l.queues_free, was.queues_total % 2);
	EXPECT_EQ(l.queues_used, 0);		/* root has none */
	/* What is left is the card's limit, also for root. */
	uint32_t n;

	EXPECT_EQ(take(fd, 0, &n), -ENOSPC);
	EXPECT_EQ(n, was.vms_total % 2);
	for (int i = 0; i < 2; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
	}
	settle(fd, was.vms_free - n, was.queues_free);
	close(fd);
}

/* What counts is who opened the file. */
TEST(a_file_counts_for_its_opener)
{
	int fd = card_open(), fd2 = card_open(), status;
	uint32_t vm;

	ASSERT_GE(fd2, 0);
	if (geteuid())
		SKIP("only root can be several users");
	pid_t pid = fork();

	if (!pid)
		_exit(setresuid(2001, 2001, 2001) || vm_create(fd, &vm));
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	EXPECT_EQ(limits(fd2).vms_used, 1);
	close(fd);
	EXPECT_EQ(limits(fd2).vms_used, 0);
	close(fd2);
}

/* --- page sizes --- */
FIXTURE(pages) { struct ctx c; char bdf[64]; };
FIXTURE_SETUP(pages)
{
	(void)variant;
	if (geteuid())
		SKIP("only root sees debugfs");
	ASSERT_EQ(ctx_open(&self->c), 0);
	ASSERT_TRUE(card_bdf(self->c.fd, self->bdf));
	self->c.next_va = 1ull << 30;
}
FIXTURE_TEARDOWN(pages)
{
	close(self->c.fd);
}

/* Large pages that a buffer of 4 MiB is mapped by, when it lies at a multiple of 2 MiB plus `skew`. */
static long long large_pages(struct ctx *c, const char *bdf, uint32_t handle, uint64_t skew)
{
	long long before = card_objects(bdf, "leaves_2m ");
	uint64_t va = c->next_va + skew;

	c->next_va += 16 * MIB;
	if (before < 0 || vm_map(c->fd, c->vm, handle, 0, va, 4 * MIB, BIND_RW))
		return -1;
	return card_objects(bdf, "leaves_2m ") - before;
}

TEST_F(pages, device_memory_is_mapped_in_large_pages)
{
	long long small = card_objects(self->bdf, "leaves_4k ");
	uint32_t h;

	ASSERT_EQ(bo_create(self->c.fd, 4 * MIB, DRM_SNPU_BO_DEVICE, &h), 0);
	EXPECT_EQ(large_pages(&self->c, self->bdf, h, 0), 2);
	EXPECT_EQ(large_pages(&self->c, self->bdf, h, MIB), 0);
	EXPECT_EQ(card_objects(self->bdf, "leaves_4k "), small);
	/* A hole of one page takes one large page apart: 31 pages of 64 KiB, and 15 of 4 KiB. */
	ASSERT_EQ(vm_unmap(self->c.fd, self->c.vm, (1ull << 30) + 5 * PAGE, PAGE), 0);
	EXPECT_EQ(card_objects(self->bdf, "leaves_2m "), 1);
	EXPECT_EQ(card_objects(self->bdf, "leaves_4k "), small + 15);
}

/* Where the card's memory was handed out in small pieces first, and given back. */
TEST_F(pages, device_memory_is_whole_again_after_use)
{
	uint32_t h[256];

	for (int i = 0; i < 256; i++)
		ASSERT_EQ(bo_create(self->c.fd, (1 + i % 7) * PAGE, DRM_SNPU_BO_DEVICE, &h[i]), 0);
	for (int i = 0; i < 256; i++)
		ASSERT_EQ(drmCloseBufferHandle(self->c.fd, h[i]), 0);
	ASSERT_EQ(bo_create(self->c.fd, 4 * MIB, DRM_SNPU_BO_DEVICE, &h[0]), 0);
	EXPECT_EQ(large_pages(&self->c, self->bdf, h[0], 0), 2);
}

TEST_F(pages, memory_of_a_process_in_huge_pages_is_mapped_in_large_ones)
{
	char *p = mmap(NULL, 8 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t h, got;

	ASSERT_NE(p, MAP_FAILED);
	p = (char *)(((uintptr_t)p + 2 * MIB - 1) & ~(2 * MIB - 1));
	ASSERT_EQ(madvise(p, 4 * MIB, MADV_HUGEPAGE), 0);
	memset(p, 0x11, 4 * MIB);
	if (file_number("/proc/self/smaps_rollup", "AnonHugePages:") < 4096)
		SKIP("the kernel has no huge pages to give");
	ASSERT_EQ(bo_userptr(self->c.fd, p, 4 * MIB, 0, &h), 0);
	EXPECT_EQ(large_pages(&self->c, self->bdf, h, 0), 2);
	struct buf b = { .va = 1ull << 30, .size = 4 * MIB };

	ASSERT_EQ(card_read(&self->c, &b, 4 * MIB - 4, &got), 1);
	EXPECT_EQ(got, 0x11111111);
	ASSERT_EQ(card_fill(&self->c, &b, 2 * MIB, 1, 0x2222), 1);
	EXPECT_EQ(*(volatile uint32_t *)(p + 2 * MIB), 0x2222);
}

TEST_F(pages, host_memory_is_mapped_in_large_pages)
{
	struct utsname u;
	uint32_t h;

	ASSERT_EQ(bo_create(self->c.fd, 4 * MIB, 0, &h), 0);
	long long large = large_pages(&self->c, self->bdf, h, 0);

	uname(&u);
	/* An IOMMU makes one range of any pages; without, the kernel must have huge ones for buffers. */
	if (strtod(u.release, NULL) < 7)
		EXPECT_GE(large, 0);
	else
		EXPECT_EQ(large, 2);
}

TEST_HARNESS_MAIN
