// SPDX-License-Identifier: MIT
/*
 * Dma-bufs, in and out: memory of the system heap and of udmabuf, of another open file, of another card; who goes first
 * (files, buffers, cards); and what is no dma-buf. As root, because the system's exporters and unbinding are root's.
 * Tests of two cards are skipped with one. With SNPU_P2P=1 the cards must be able to reach each other's memory.
 */
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "kmem.h"

#define SIZE	(64 * 1024ul)

/* --- exporters --- */
static int heap_alloc(uint64_t size)
{
	struct dma_heap_allocation_data a = { .len = size, .fd_flags = O_RDWR | O_CLOEXEC };
	int heap = open("/dev/dma_heap/system", O_RDWR | O_CLOEXEC);

	if (heap < 0)
		return -errno;
	int ret = ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &a) ? -errno : (int)a.fd;

	close(heap);
	return ret;
}

static int udmabuf_alloc(uint64_t size)
{
	struct udmabuf_create a = { .flags = UDMABUF_FLAGS_CLOEXEC, .size = size };
	int dev = open("/dev/udmabuf", O_RDWR | O_CLOEXEC), ret;

	a.memfd = (uint32_t)syscall(SYS_memfd_create, "udmabuf", 2 | 1);	/* sealing, cloexec */
	if (dev < 0 || ftruncate((int)a.memfd, (off_t)size) || fcntl((int)a.memfd, 1033, 2))	/* F_ADD_SEALS, F_SEAL_SHRINK */
		return -errno;
	ret = ioctl(dev, UDMABUF_CREATE, &a);
	if (ret < 0)
		ret = -errno;
	close(dev);
	close((int)a.memfd);
	return ret;
}

static int export(int fd, uint32_t handle)
{
	int dmabuf = -1;

	return drmPrimeHandleToFD(fd, handle, DRM_CLOEXEC | DRM_RDWR, &dmabuf) ? -errno : dmabuf;
}

static int import(int fd, int dmabuf, uint32_t *handle)
{
	return drmPrimeFDToHandle(fd, dmabuf, handle) ? -errno : 0;
}

static uint32_t *map_dmabuf(int dmabuf, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int cpu_access(int dmabuf, uint64_t flags)
{
	struct dma_buf_sync s = { .flags = flags | DMA_BUF_SYNC_RW };

	return ioctl(dmabuf, DMA_BUF_IOCTL_SYNC, &s) ? -errno : 0;
}

static uint64_t inode(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? 0 : st.st_ino;
}

/* The CPU writes through `p` and the card reads, and the other way round, at both ends of the buffer. */
static void both_ways(struct ctx *c, const struct buf *b, int dmabuf, volatile uint32_t *p, uint32_t mark)
{
	for (int end = 0; end < 2; end++) {
		size_t at = end ? b->size - 4 : 0;
		uint32_t got;

		if (dmabuf >= 0)
			ASSERT_EQ(cpu_access(dmabuf, DMA_BUF_SYNC_START), 0);
		p[at / 4] = mark + (uint32_t)end;
		if (dmabuf >= 0)
			ASSERT_EQ(cpu_access(dmabuf, DMA_BUF_SYNC_END), 0);
		ASSERT_EQ(card_read(c, b, at, &got), 1);
		EXPECT_EQ(got, mark + (uint32_t)end);
		ASSERT_EQ(card_fill(c, b, at, 1, ~mark + (uint32_t)end), 1);
		if (dmabuf >= 0)
			ASSERT_EQ(cpu_access(dmabuf, DMA_BUF_SYNC_START), 0);
		EXPECT_EQ(p[at / 4], ~mark + (uint32_t)end);
		if (dmabuf >= 0)
			ASSERT_EQ(cpu_access(dmabuf, DMA_BUF_SYNC_END), 0);
	}
}

/* --- what others export --- */
FIXTURE(foreign) { struct ctx c; int dmabuf; };
FIXTURE_VARIANT(foreign) { int (*alloc)(uint64_t size); };
FIXTURE_VARIANT_ADD(foreign, system_heap) { heap_alloc };
FIXTURE_VARIANT_ADD(foreign, udmabuf) { udmabuf_alloc };
FIXTURE_SETUP(foreign)
{
	ASSERT_EQ(ctx_open(&self->c), 0);
	self->dmabuf = variant->alloc(SIZE);
	ASSERT_GE(self->dmabuf, 0);
}
FIXTURE_TEARDOWN(foreign)
{
	if (self->c.fd > 0 && !th_failed)
		EXPECT_EQ(run_fill(&self->c, 0xc0ffee), 1);
	close(self->dmabuf);
	close(self->c.fd);
}

TEST_F(foreign, is_read_and_written_by_the_card)
{
	uint32_t h, *p = map_dmabuf(self->dmabuf, SIZE);
	struct buf b;

	ASSERT_TRUE(p);
	ASSERT_EQ(import(self->c.fd, self->dmabuf, &h), 0);
	ASSERT_EQ(buf_bind(&self->c, &b, h, SIZE, BIND_RW), 0);
	both_ways(&self->c, &b, self->dmabuf, p, 0x12340000);
}

TEST_F(foreign, is_the_same_buffer_again_and_goes_out_as_what_it_was)
{
	uint32_t h, again;

	ASSERT_EQ(import(self->c.fd, self->dmabuf, &h), 0);
	ASSERT_EQ(import(self->c.fd, self->dmabuf, &again), 0);
	EXPECT_EQ(again, h);
	int out = export(self->c.fd, h);

	ASSERT_GE(out, 0);
	EXPECT_EQ(inode(out), inode(self->dmabuf));
	close(out);
}

TEST_F(foreign, is_mapped_through_its_dma_buf_alone)
{
	struct drm_snpu_bo_mmap_offset m = { 0 };

	ASSERT_EQ(import(self->c.fd, self->dmabuf, &m.handle), 0);
	EXPECT_EQ(k_ioctl(self->c.fd, DRM_IOCTL_SNPU_BO_MMAP_OFFSET, &m), -EINVAL);
}

TEST_F(foreign, has_the_size_of_the_dma_buf)
{
	uint64_t va = self->c.next_va;
	uint32_t h;

	ASSERT_EQ(import(self->c.fd, self->dmabuf, &h), 0);
	EXPECT_EQ(vm_map(self->c.fd, self->c.vm, h, 0, va, SIZE + PAGE, BIND_RW), -EINVAL);
	EXPECT_EQ(vm_map(self->c.fd, self->c.vm, h, PAGE, va, SIZE, BIND_RW), -EINVAL);
	EXPECT_EQ(vm_map(self->c.fd, self->c.vm, h, 0, va, SIZE, BIND_RW), 0);
}

/* The memory lives as long as anybody has it, whoever goes first. */
TEST_F(foreign, outlives_its_file)
{
	uint32_t h, got, *p = map_dmabuf(self->dmabuf, SIZE);
	struct buf b;

	ASSERT_TRUE(p);
	p[0] = 0xabcd;
	ASSERT_EQ(import(self->c.fd, self->dmabuf, &h), 0);
	ASSERT_EQ(munmap(p, SIZE), 0);
	ASSERT_EQ(close(self->dmabuf), 0);
	self->dmabuf = -1;
	ASSERT_EQ(buf_bind(&self->c, &b, h, SIZE, BIND_RW), 0);
	ASSERT_EQ(drmCloseBufferHandle(self->c.fd, h), 0);
	ASSERT_EQ(card_read(&self->c, &b, 0, &got), 1);
	EXPECT_EQ(got, 0xabcd);
	EXPECT_EQ(vm_unmap(self->c.fd, self->c.vm, b.va, SIZE), 0);
	EXPECT_EQ(card_read(&self->c, &b, 0, &got), -EFAULT);
	ASSERT_EQ(queue_create(self->c.fd, self->c.vm, DRM_SNPU_PRIORITY_NORMAL, &self->c.queue), 0);
}

TEST_F(foreign, is_shared_host_memory_in_what_is_reported)
{
	long long total = fdinfo(self->c.fd, "drm-total-host:"), resident = fdinfo(self->c.fd, "drm-resident-host:");
	uint32_t h;

	EXPECT_EQ(fdinfo(self->c.fd, "drm-shared-host:"), 0);
	ASSERT_EQ(import(self->c.fd, self->dmabuf, &h), 0);
	EXPECT_EQ(fdinfo(self->c.fd, "drm-total-host:"), total + (long long)SIZE / 1024);
	EXPECT_EQ(fdinfo(self->c.fd, "drm-resident-host:"), resident + (long long)SIZE / 1024);
	EXPECT_EQ(fdinfo(self->c.fd, "drm-shared-host:"), (long long)SIZE / 1024);
	ASSERT_EQ(drmCloseBufferHandle(self->c.fd, h), 0);
	EXPECT_EQ(fdinfo(self->c.fd, "drm-total-host:"), total);
}

/* The card goes with the buffer bound; the memory stays, and the card that comes back takes it again. */
TEST_F(foreign, outlives_the_card)
{
	uint32_t h, *p = map_dmabuf(self->dmabuf, SIZE);
	struct ctx c;
	struct buf b;
	char bdf[64];

	ASSERT_TRUE(p && card_bdf(self->c.fd, bdf));
	ASSERT_EQ(import(self->c.fd, self->dmabuf, &h), 0);
	ASSERT_EQ(buf_bind(&self->c, &b, h, SIZE, BIND_RW), 0);
	p[1] = 0x1111;
	ASSERT_EQ(driver_write("unbind", bdf), 0);
	EXPECT_EQ(p[1], 0x1111);
	EXPECT_EQ(import(self->c.fd, self->dmabuf, &h), -ENODEV);
	close(self->c.fd);
	self->c.fd = -1;
	ASSERT_EQ(card_return(bdf, 1), 0);
	ASSERT_EQ(ctx_open(&c), 0);
	ASSERT_EQ(import(c.fd, self->dmabuf, &h), 0);
	ASSERT_EQ(buf_bind(&c, &b, h, SIZE, BIND_RW), 0);
	both_ways(&c, &b, self->dmabuf, p, 0x22220000);
	close(c.fd);
}

TEST(what_is_no_dma_buf_is_refused)
{
	int fd = card_open(), other = open("/proc/self/exe", O_RDONLY), event = eventfd(0, 0), pipes[2];
	uint32_t h;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(pipe(pipes), 0);
	EXPECT_EQ(import(fd, -1, &h), -EBADF);
	EXPECT_EQ(import(fd, 9999, &h), -EBADF);
	EXPECT_EQ(import(fd, other, &h), -EINVAL);
	EXPECT_EQ(import(fd, event, &h), -EINVAL);
	EXPECT_EQ(import(fd, pipes[0], &h), -EINVAL);
	EXPECT_EQ(import(fd, fd, &h), -EINVAL);
	EXPECT_EQ(export(fd, 12345), -ENOENT);
	close(fd);
}

/* The heap rounds up, and so does what comes of it. */
TEST(a_heap_buffer_of_odd_size_has_whole_pages)
{
	int dmabuf = heap_alloc(5000);
	struct ctx c;
	struct buf b;
	uint32_t h;

	ASSERT_GE(dmabuf, 0);
	ASSERT_EQ(ctx_open(&c), 0);
	ASSERT_EQ(import(c.fd, dmabuf, &h), 0);
	EXPECT_EQ(vm_map(c.fd, c.vm, h, 0, c.next_va, 3 * PAGE, BIND_RW), -EINVAL);
	ASSERT_EQ(buf_bind(&c, &b, h, 2 * PAGE, BIND_RW), 0);
	both_ways(&c, &b, dmabuf, map_dmabuf(dmabuf, 2 * PAGE), 0x50000000);
	close(c.fd);
}

/* Many at a time, of which nothing may be left. */
TEST(a_hundred_imports_leave_nothing)
{
	int fd = card_open();
	uint32_t h;
	char bdf[64];

	ASSERT_GE(fd, 0);
	ASSERT_TRUE(card_bdf(fd, bdf));
	/* What earlier tests bound goes in the background. */
	for (int i = 0; i < 50 && card_objects(bdf, "bos "); i++)
		usleep(100000);
	ASSERT_EQ(card_objects(bdf, "bos "), 0);
	for (int i = 0; i < 100; i++) {
		int dmabuf = i & 1 ? heap_alloc(SIZE) : udmabuf_alloc(SIZE);

		ASSERT_GE(dmabuf, 0);
		ASSERT_EQ(import(fd, dmabuf, &h), 0);
		close(dmabuf);
	}
	EXPECT_EQ(card_objects(bdf, "bos "), 100);
	close(fd);
	for (int i = 0; i < 50 && card_objects(bdf, "bos "); i++)
		usleep(100000);
	EXPECT_EQ(card_objects(bdf, "bos "), 0);
}

/* --- what the card exports --- */
FIXTURE(own) { struct ctx c, d; struct buf b; int dmabuf; };
FIXTURE_VARIANT(own) { uint32_t flags; };
FIXTURE_VARIANT_ADD(own, host) { 0 };
FIXTURE_VARIANT_ADD(own, device) { DRM_SNPU_BO_DEVICE };
FIXTURE_SETUP(own)
{
	ASSERT_EQ(ctx_open(&self->c), 0);
	ASSERT_EQ(ctx_open(&self->d), 0);
	ASSERT_EQ(buf_new(&self->c, SIZE, variant->flags, &self->b), 0);
	self->dmabuf = export(self->c.fd, self->b.handle);
	ASSERT_GE(self->dmabuf, 0);
}
FIXTURE_TEARDOWN(own)
{
	close(self->dmabuf);
	close(self->c.fd);
	close(self->d.fd);
}

/* Through a dma-buf to another open file of the card: one buffer, with everything a buffer can. */
TEST_F(own, is_the_same_buffer_in_another_file)
{
	uint32_t h, again, got;
	struct buf b;

	ASSERT_EQ(import(self->c.fd, self->dmabuf, &h), 0);
	EXPECT_EQ(h, self->b.handle);
	ASSERT_EQ(import(self->d.fd, self->dmabuf, &h), 0);
	ASSERT_EQ(import(self->d.fd, self->dmabuf, &again), 0);
	EXPECT_EQ(again, h);
	ASSERT_EQ(buf_bind(&self->d, &b, h, SIZE, BIND_RW), 0);
	b.map = bo_map(self->d.fd, h, SIZE);
	ASSERT_TRUE(b.map);
	both_ways(&self->d, &b, -1, self->b.map, 0x30000000);
	both_ways(&self->c, &self->b, -1, b.map, 0x40000000);
	ASSERT_EQ(card_fill(&self->c, &self->b, 0, 1, 0x777), 1);
	ASSERT_EQ(card_read(&self->d, &b, 0, &got), 1);
	EXPECT_EQ(got, 0x777);
	/* The first file goes first. */
	close(self->c.fd);
	self->c.fd = -1;
	ASSERT_EQ(card_read(&self->d, &b, 0, &got), 1);
	EXPECT_EQ(got, 0x777);
	int out = export(self->d.fd, h);

	EXPECT_EQ(inode(out), inode(self->dmabuf));
	close(out);
}

/* Of device memory the CPU has no mapping that would outlive the card. */
TEST_F(own, is_mapped_through_the_dma_buf_if_it_is_host_memory)
{
	uint32_t *p = map_dmabuf(self->dmabuf, SIZE);

	if (variant->flags & DRM_SNPU_BO_DEVICE) {
		EXPECT_EQ(p, NULL);
		EXPECT_EQ(errno, EINVAL);
		return;
	}
	ASSERT_TRUE(p);
	both_ways(&self->c, &self->b, self->dmabuf, p, 0x60000000);
}

TEST_F(own, outlives_its_handle)
{
	uint32_t h, got;
	struct buf b;

	ASSERT_EQ(card_fill(&self->c, &self->b, 64, 1, 0x999), 1);
	close(self->c.fd);
	self->c.fd = -1;
	ASSERT_EQ(import(self->d.fd, self->dmabuf, &h), 0);
	ASSERT_EQ(buf_bind(&self->d, &b, h, SIZE, BIND_RW), 0);
	ASSERT_EQ(card_read(&self->d, &b, 64, &got), 1);
	EXPECT_EQ(got, 0x999);
}

/* A dma-buf that nobody imported outlives the card, and is of no use then. */
TEST_F(own, outlives_the_card)
{
	volatile uint32_t *p = variant->flags ? NULL : map_dmabuf(self->dmabuf, SIZE);
	uint32_t h;
	char bdf[64];

	ASSERT_TRUE(card_bdf(self->c.fd, bdf));
	if (p)
		p[3] = 0x3333;
	ASSERT_EQ(driver_write("unbind", bdf), 0);
	if (p)
		EXPECT_EQ(p[3], 0x3333);
	EXPECT_EQ(import(self->d.fd, self->dmabuf, &h), -ENODEV);
	ASSERT_EQ(card_return(bdf, 1), 0);
	int fd = card_open_nth(0);

	ASSERT_GE(fd, 0);
	/* The card that came back is another: host memory can be imported, the old card's memory cannot. */
	EXPECT_EQ(import(fd, self->dmabuf, &h), variant->flags ? -ENODEV : 0);
	close(fd);
}

/* --- two cards --- */
FIXTURE(cards) { struct ctx a, b; struct buf on_a, on_b; int dmabuf; char bdf_a[64], bdf_b[64]; bool p2p; };
FIXTURE_VARIANT(cards) { uint32_t flags; };
FIXTURE_VARIANT_ADD(cards, host) { 0 };
FIXTURE_VARIANT_ADD(cards, device) { DRM_SNPU_BO_DEVICE };
FIXTURE_SETUP(cards)
{
	int fd = card_open_nth(1);
	uint32_t h;

	self->dmabuf = -1;
	self->p2p = getenv("SNPU_P2P") && atoi(getenv("SNPU_P2P"));
	if (fd < 0)
		SKIP("there is one card");
	ASSERT_EQ(ctx_open(&self->a), 0);
	ASSERT_EQ(ctx_open_fd(&self->b, fd), 0);
	ASSERT_TRUE(card_bdf(self->a.fd, self->bdf_a) && card_bdf(self->b.fd, self->bdf_b));
	ASSERT_EQ(buf_new(&self->a, SIZE, variant->flags, &self->on_a), 0);
	self->dmabuf = export(self->a.fd, self->on_a.handle);
	ASSERT_GE(self->dmabuf, 0);
	int ret = import(self->b.fd, self->dmabuf, &h);

	if (variant->flags && !self->p2p) {
		EXPECT_EQ(ret, -EOPNOTSUPP);
		SKIP("the cards cannot reach each other's memory, and the import said so");
	}
	ASSERT_EQ(ret, 0);
	ASSERT_EQ(buf_bind(&self->b, &self->on_b, h, SIZE, BIND_RW), 0);
}
FIXTURE_TEARDOWN(cards)
{
	close(self->dmabuf);
	close(self->a.fd);
	close(self->b.fd);
}

/* Both cards and the CPU see what each of them writes. */
static void three_ways(struct cards *s, uint32_t mark)
{
	uint32_t got;

	ASSERT_EQ(card_fill(&s->a, &s->on_a, PAGE, 4, mark), 1);
	ASSERT_EQ(card_read(&s->b, &s->on_b, PAGE + 12, &got), 1);
	EXPECT_EQ(got, mark);
	ASSERT_EQ(card_fill(&s->b, &s->on_b, SIZE - 4, 1, mark + 1), 1);
	ASSERT_EQ(card_read(&s->a, &s->on_a, SIZE - 4, &got), 1);
	EXPECT_EQ(got, mark + 1);
	both_ways(&s->b, &s->on_b, -1, s->on_a.map, mark + 2);
}

TEST_F(cards, one_reads_and_writes_the_memory_of_the_other)
{
	three_ways(self, 0xaa000000);
}

TEST_F(cards, the_exporters_file_goes_first)
{
	uint32_t got;

	ASSERT_EQ(card_fill(&self->a, &self->on_a, 0, 1, 0x1234), 1);
	close(self->a.fd);
	self->a.fd = -1;
	close(self->dmabuf);
	self->dmabuf = -1;
	ASSERT_EQ(card_read(&self->b, &self->on_b, 0, &got), 1);
	EXPECT_EQ(got, 0x1234);
}

TEST_F(cards, the_importers_file_goes_first)
{
	uint32_t got;

	ASSERT_EQ(card_fill(&self->b, &self->on_b, 0, 1, 0x4321), 1);
	close(self->b.fd);
	self->b.fd = -1;
	ASSERT_EQ(card_read(&self->a, &self->on_a, 0, &got), 1);
	EXPECT_EQ(got, 0x4321);
}

TEST_F(cards, the_importing_card_goes_first)
{
	uint32_t got;

	ASSERT_EQ(card_fill(&self->b, &self->on_b, 0, 1, 0x4321), 1);
	ASSERT_EQ(driver_write("unbind", self->bdf_b), 0);
	ASSERT_EQ(card_read(&self->a, &self->on_a, 0, &got), 1);
	EXPECT_EQ(got, 0x4321);
	close(self->b.fd);
	self->b.fd = -1;
	EXPECT_EQ(card_return(self->bdf_b, 2), 0);
}

/* Host memory stays; the memory of the card that goes is taken away from the other one, whose job then faults. */
TEST_F(cards, the_exporting_card_goes_first)
{
	uint32_t got;

	ASSERT_EQ(card_fill(&self->a, &self->on_a, 0, 1, 0x5678), 1);
	ASSERT_EQ(driver_write("unbind", self->bdf_a), 0);
	if (variant->flags) {
		EXPECT_EQ(card_read(&self->b, &self->on_b, 0, &got), -EFAULT);
		EXPECT_EQ(vm_map(self->b.fd, self->b.vm, self->on_b.handle, 0, self->on_b.va, SIZE, BIND_RW), -ENODEV);
		EXPECT_EQ(vm_unmap(self->b.fd, self->b.vm, self->on_b.va, SIZE), 0);
		ASSERT_EQ(queue_create(self->b.fd, self->b.vm, DRM_SNPU_PRIORITY_NORMAL, &self->b.queue), 0);
	} else {
		ASSERT_EQ(card_read(&self->b, &self->on_b, 0, &got), 1);
		EXPECT_EQ(got, 0x5678);
		both_ways(&self->b, &self->on_b, -1, self->on_a.map, 0x7000000);
	}
	EXPECT_EQ(run_fill(&self->b, 0xbeef), 1);
	close(self->a.fd);
	self->a.fd = -1;
	EXPECT_EQ(card_return(self->bdf_a, 2), 0);
}

/* A job of the other card is in the memory all the time when it is taken away. */
TEST_F(cards, the_exporting_card_goes_under_a_running_job)
{
	uint32_t h = syncobj(self->b.fd);
	struct prog p = prog_at(&self->b, 0);
	struct drm_snpu_queue_state st;
	struct job j;

	EMIT(&p, LOOP, .count = 0xffffffff);
	EMIT(&p, FILL, .dst = REF(STATE, 0), .words = 64, .value = 7);
	EMIT(&p, NEXT, );
	EMIT(&p, END, );
	job_init(&j, &self->b, 0);
	j.regions[2] = (struct drm_snpu_region){ SNPU_REGION_STATE, 0, self->on_b.va, SIZE };
	j.job.regions.count = 3;
	job_sync(&j, DRM_SNPU_SYNC_SIGNAL, h, 0);
	ASSERT_EQ(submit(&self->b, &j), 0);
	usleep(200000);
	ASSERT_EQ(driver_write("unbind", self->bdf_a), 0);
	if (variant->flags) {
		ASSERT_EQ(sync_wait(self->b.fd, h), 0);
		EXPECT_EQ(sync_status(self->b.fd, h), -EFAULT);
		ASSERT_EQ(queue_state(self->b.fd, self->b.queue, &st), 0);
		EXPECT_EQ(st.flags, DRM_SNPU_QUEUE_FAULTED);
		EXPECT_EQ(st.fault_va, self->on_b.va);
	} else {
		usleep(200000);
		EXPECT_EQ(sync_status(self->b.fd, h), 0);
	}
	EXPECT_EQ(queue_destroy(self->b.fd, self->b.queue), 0);
	EXPECT_EQ(card_return(self->bdf_a, 2), 0);
}

TEST_HARNESS_MAIN
