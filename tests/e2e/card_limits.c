// SPDX-License-Identifier: MIT
/*
 * What the library says when a card runs out of something, in the VM, as an ordinary user: how much is used, of how much,
 * and what to do; and that the caller's own memory can be a buffer of a card.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "backend/backend.h"
#include "tests/harness.h"

#define KIB	1024ul

FIXTURE(card) { struct snpu_device *dev; struct snpu_vm *vm; struct snpu_device_info info; };
FIXTURE_SETUP(card)
{
	(void)variant;
	self->info.sz = sizeof(self->info);
	ASSERT_EQ(snpu_device_open("card", NULL, &self->dev), 0);
	ASSERT_EQ(snpu_device_info(self->dev, &self->info), 0);
	ASSERT_EQ(snpu_vm_create(self->dev, &self->vm), 0);
}
FIXTURE_TEARDOWN(card)
{
	snpu_vm_free(self->vm);
	snpu_device_close(self->dev);
}

/* "you have N of the M", with N = M */
static void expect_quota(const char *text, uint32_t max)
{
	char want[64];

	snprintf(want, sizeof(want), "you have %u of the %u ", max, max);
	EXPECT_CONTAINS(text, want);
	EXPECT_CONTAINS(text, "CAP_SYS_RESOURCE");
	printf("# %s\n", text);
}

TEST_F(card, address_spaces_of_a_user)
{
	static struct snpu_vm *vm[4096];
	uint32_t n = 0;
	int err = 0;

	while (n < 4096 && !(err = snpu_vm_create(self->dev, &vm[n])))
		n++;
	EXPECT_EQ(err, -EDQUOT);
	EXPECT_EQ(n + 1, self->info.max_vms / 2);
	expect_quota(snpu_last_error(), n + 1);
	while (n)
		snpu_vm_free(vm[--n]);
}

TEST_F(card, queues_of_a_user)
{
	static struct snpu_queue *queue[256];
	uint32_t n = 0;
	int err = 0;

	while (n < 256 && !(err = snpu_queue_create(self->vm, NULL, &queue[n])))
		n++;
	EXPECT_EQ(err, -EDQUOT);
	EXPECT_EQ(n, self->info.max_queues / 2);
	expect_quota(snpu_last_error(), n);
	while (n)
		snpu_queue_free(queue[--n]);
}

TEST_F(card, memory_of_the_card)
{
	struct snpu_bo *bo;
	char want[64];

	EXPECT_EQ(snpu_bo_create(self->dev, self->info.device_total * 2, SNPU_BO_DEVICE, &bo), -ENOSPC);
	snprintf(want, sizeof(want), " of %llu KiB are in use", (unsigned long long)self->info.device_total >> 10);
	EXPECT_CONTAINS(snpu_last_error(), want);
	EXPECT_CONTAINS(snpu_last_error(), "free buffers");
	printf("# %s\n", snpu_last_error());
}

static void *memory(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

TEST_F(card, locked_memory)
{
	struct rlimit lim = { 64 * KIB, 64 * KIB };
	struct snpu_bo *first, *bo;
	char *p = memory(128 * KIB);

	ASSERT_EQ(setrlimit(RLIMIT_MEMLOCK, &lim), 0);
	ASSERT_EQ(snpu_bo_wrap(self->dev, p, 40 * KIB, &first), 0);
	EXPECT_EQ(snpu_bo_wrap(self->dev, p + 40 * KIB, 32 * KIB, &bo), -ENOMEM);
	EXPECT_CONTAINS(snpu_last_error(), "32 KiB cannot be locked, 40 of 64 KiB are in use; raise the limit");
	printf("# %s\n", snpu_last_error());
	snpu_bo_free(first);
	EXPECT_EQ(snpu_bo_wrap(self->dev, p + 40 * KIB, 32 * KIB, &bo), 0);
	snpu_bo_free(bo);
}

TEST_F(card, memory_that_cannot_be_used)
{
	int exe = open("/proc/self/exe", O_RDONLY);
	void *file = mmap(NULL, 8 * KIB, PROT_READ, MAP_PRIVATE, exe, 0);
	struct snpu_bo *bo;

	ASSERT_NE(file, MAP_FAILED);
	EXPECT_EQ(snpu_bo_wrap(self->dev, file, 8 * KIB, &bo), -ENOTSUP);
	EXPECT_CONTAINS(snpu_last_error(), "copy it into a buffer");
	munmap(file, 8 * KIB);
	EXPECT_EQ(snpu_bo_wrap(self->dev, file, 8 * KIB, &bo), -EFAULT);
}

TEST_F(card, memory_of_the_caller_is_a_buffer)
{
	uint32_t *p = memory(16 * KIB);
	struct snpu_bo *bo;
	void *map;

	ASSERT_EQ(snpu_bo_wrap(self->dev, p, 10000, &bo), 0);
	EXPECT_EQ(snpu_bo_size(bo), 12 * KIB);
	ASSERT_EQ(snpu_bo_map(bo, &map), 0);
	EXPECT_EQ(map == p, true);
	EXPECT_EQ(snpu_vm_bind(self->vm, bo, 0, 1 << 20, 12 * KIB, SNPU_BIND_READ | SNPU_BIND_WRITE), -EACCES);
	EXPECT_CONTAINS(snpu_last_error(), "for reading only");
	EXPECT_EQ(snpu_vm_bind(self->vm, bo, 0, 1 << 20, 12 * KIB, SNPU_BIND_READ), 0);
	snpu_bo_free(bo);
	EXPECT_EQ(snpu_vm_unbind(self->vm, 1 << 20, 12 * KIB), 0);
	p[0] = 1;		/* still ours */
}

TEST_HARNESS_MAIN
