// SPDX-License-Identifier: MIT
/* Guest memory: every refusal of the map table, copies across maps, memory that vanishes, threads, and a naive model. */
#include "tests/harness.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <fcntl.h>

#include "sim/dma.h"

#define PG ((uint64_t)DMA_PAGE)
#define RW (DMA_READABLE | DMA_WRITABLE)

FIXTURE(dma) {
	struct dma *d;
	int fd;
	uint8_t *mem;
};

#define PAGES 64u

FIXTURE_SETUP(dma)
{
	self->d = dma_create(16);
	self->fd = memfd_create("guest", MFD_CLOEXEC);
	ASSERT_EQ(ftruncate(self->fd, PAGES * PG), 0);
	self->mem = mmap(NULL, PAGES * PG, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_TRUE(self->mem != MAP_FAILED);
}

FIXTURE_TEARDOWN(dma)
{
	dma_destroy(self->d);
	munmap(self->mem, PAGES * PG);
	close(self->fd);
}

TEST_F(dma, copies_reach_the_file)
{
	char buf[16] = "spike", back[16] = "";

	ASSERT_EQ(dma_map(self->d, 0x100000, 4 * PG, RW, self->fd, 2 * PG), 0);
	EXPECT_EQ(dma_write(self->d, 0x100010, buf, sizeof(buf), NULL), 0);
	EXPECT_EQ(memcmp(self->mem + 2 * PG + 0x10, buf, sizeof(buf)), 0);
	EXPECT_EQ(dma_read(self->d, 0x100010, back, sizeof(back), NULL), 0);
	EXPECT_STREQ(back, "spike");
	EXPECT_EQ(dma_read(self->d, 0x999, back, 0, NULL), 0);
}

TEST_F(dma, a_copy_spans_maps_in_any_order_of_the_file)
{
	uint8_t buf[3 * DMA_PAGE];

	/* Three neighbours in IOVA, in reverse order in the file. */
	for (uint64_t i = 0; i < 3; i++)
		ASSERT_EQ(dma_map(self->d, (10 + i) * PG, PG, RW, self->fd, (3 - i) * PG), 0);
	for (uint32_t i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i / 7);
	EXPECT_EQ(dma_write(self->d, 10 * PG, buf, sizeof(buf), NULL), 0);
	for (uint64_t i = 0; i < 3; i++)
		EXPECT_EQ(memcmp(self->mem + (3 - i) * PG, buf + i * PG, PG), 0);
	memset(buf, 0, sizeof(buf));
	EXPECT_EQ(dma_read(self->d, 10 * PG + 100, buf, sizeof(buf) - 100, NULL), 0);
	EXPECT_EQ(buf[0], 100 / 7);
	EXPECT_EQ(buf[sizeof(buf) - 101], (uint8_t)((sizeof(buf) - 1) / 7));
}

TEST_F(dma, the_first_bad_address_is_told)
{
	uint8_t buf[4 * DMA_PAGE];
	uint64_t fault = 0;

	memset(buf, 0x5a, sizeof(buf));
	ASSERT_EQ(dma_map(self->d, 10 * PG, 2 * PG, RW, self->fd, 0), 0);
	EXPECT_EQ(dma_write(self->d, 10 * PG + 8, buf, sizeof(buf), &fault), -EFAULT);
	EXPECT_EQ(fault, 12 * PG);
	/* What lies before the fault has been moved. */
	EXPECT_EQ(self->mem[2 * PG - 1], 0x5a);
	EXPECT_EQ(dma_read(self->d, 0xdead0003, buf, 1, &fault), -EFAULT);
	EXPECT_EQ(fault, 0xdead0003);
	EXPECT_EQ(dma_read(self->d, UINT64_MAX - 3, buf, 8, &fault), -EFAULT);
}

TEST_F(dma, permissions)
{
	uint64_t fault = 0;
	uint32_t x = 1;

	ASSERT_EQ(dma_map(self->d, 1 * PG, PG, DMA_READABLE, self->fd, 0), 0);
	ASSERT_EQ(dma_map(self->d, 2 * PG, PG, DMA_WRITABLE, self->fd, 0), 0);
	EXPECT_EQ(dma_read(self->d, 1 * PG, &x, 4, NULL), 0);
	EXPECT_EQ(dma_write(self->d, 1 * PG + 4, &x, 4, &fault), -EACCES);
	EXPECT_EQ(fault, 1 * PG + 4);
	EXPECT_EQ(dma_write(self->d, 2 * PG, &x, 4, NULL), 0);
	EXPECT_EQ(dma_read(self->d, 2 * PG, &x, 4, NULL), -EACCES);
	dma_set_enabled(self->d, false);
	EXPECT_EQ(dma_read(self->d, 1 * PG, &x, 4, &fault), -EPERM);
	dma_set_enabled(self->d, true);
	EXPECT_EQ(dma_read(self->d, 1 * PG, &x, 4, &fault), 0);
}

TEST_F(dma, bad_maps_are_refused)
{
	const uint64_t top = UINT64_MAX - PG + 1;
	struct dma_stats st;
	uint32_t x;

	EXPECT_EQ(dma_map(self->d, PG, 0, RW, self->fd, 0), -EINVAL);
	EXPECT_EQ(dma_map(self->d, PG + 1, PG, RW, self->fd, 0), -EINVAL);
	EXPECT_EQ(dma_map(self->d, PG, PG + 8, RW, self->fd, 0), -EINVAL);
	EXPECT_EQ(dma_map(self->d, PG, PG, RW, self->fd, 8), -EINVAL);
	EXPECT_EQ(dma_map(self->d, top, 2 * PG, RW, self->fd, 0), -EINVAL);
	EXPECT_EQ(dma_map(self->d, PG, PG, 0, self->fd, 0), -EINVAL);
	EXPECT_EQ(dma_map(self->d, PG, PG, RW | 4, self->fd, 0), -EINVAL);
	EXPECT_EQ(dma_map(self->d, PG, (PAGES + 1) * PG, RW, self->fd, 0), -EINVAL);
	EXPECT_EQ(dma_map(self->d, PG, 2 * PG, RW, self->fd, (PAGES - 1) * PG), -EINVAL);
	EXPECT_EQ(dma_map(self->d, PG, PG, RW, self->fd, UINT64_MAX - PG + 1), -EINVAL);
	EXPECT_EQ(dma_map(self->d, PG, PG, RW, 9999, 0), -EBADF);
	dma_get_stats(self->d, &st);
	EXPECT_EQ(st.maps, 0);
	EXPECT_EQ(st.files, 0);
	/* The last page of the address space is a page like any other. */
	EXPECT_EQ(dma_map(self->d, top, PG, RW, self->fd, 0), 0);
	EXPECT_EQ(dma_read(self->d, UINT64_MAX - 3, &x, 4, NULL), 0);
}

TEST_F(dma, overlaps_and_too_many_are_refused)
{
	ASSERT_EQ(dma_map(self->d, 10 * PG, 4 * PG, RW, self->fd, 0), 0);
	EXPECT_EQ(dma_map(self->d, 10 * PG, 4 * PG, RW, self->fd, 0), -EEXIST);
	EXPECT_EQ(dma_map(self->d, 13 * PG, 4 * PG, RW, self->fd, 0), -EEXIST);
	EXPECT_EQ(dma_map(self->d, 8 * PG, 3 * PG, RW, self->fd, 0), -EEXIST);
	EXPECT_EQ(dma_map(self->d, 11 * PG, PG, RW, -1, 0), -EEXIST);
	EXPECT_EQ(dma_map(self->d, 1 * PG, 20 * PG, RW, self->fd, 0), -EEXIST);
	for (uint64_t i = 0; i < 15; i++)
		ASSERT_EQ(dma_map(self->d, (100 + i) * PG, PG, RW, self->fd, 0), 0);
	EXPECT_EQ(dma_map(self->d, 200 * PG, PG, RW, self->fd, 0), -ENOSPC);
}

TEST_F(dma, unmap_takes_whole_maps_only)
{
	uint64_t gone = 7, gen = dma_generation(self->d);
	uint32_t x;

	ASSERT_EQ(dma_map(self->d, 10 * PG, 4 * PG, RW, self->fd, 0), 0);
	ASSERT_EQ(dma_map(self->d, 20 * PG, PG, RW, self->fd, 0), 0);
	EXPECT_NE(dma_generation(self->d), gen);
	EXPECT_EQ(dma_unmap(self->d, 11 * PG, PG, &gone), -EINVAL);
	EXPECT_EQ(dma_unmap(self->d, 12 * PG, 20 * PG, &gone), -EINVAL);
	EXPECT_EQ(dma_unmap(self->d, 1 * PG, 10 * PG, &gone), -EINVAL);
	EXPECT_EQ(dma_unmap(self->d, 10 * PG + 1, PG, &gone), -EINVAL);
	EXPECT_EQ(dma_unmap(self->d, 10 * PG, 0, &gone), -EINVAL);
	EXPECT_EQ(gone, 0);
	gen = dma_generation(self->d);
	EXPECT_EQ(dma_unmap(self->d, 500 * PG, PG, &gone), 0);
	EXPECT_EQ(gone, 0);
	EXPECT_EQ(dma_generation(self->d), gen);
	EXPECT_EQ(dma_read(self->d, 10 * PG, &x, 4, NULL), 0);
	EXPECT_EQ(dma_unmap(self->d, 0, 64 * PG, &gone), 0);
	EXPECT_EQ(gone, 5 * PG);
	EXPECT_NE(dma_generation(self->d), gen);
	EXPECT_EQ(dma_read(self->d, 10 * PG, &x, 4, NULL), -EFAULT);
	ASSERT_EQ(dma_map(self->d, 10 * PG, 4 * PG, RW, self->fd, 0), 0);
	EXPECT_EQ(dma_unmap_all(self->d), 4 * PG);
	EXPECT_EQ(dma_unmap_all(self->d), 0);
}

static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static int count_mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	int n = 0;

	while (fgets(line, sizeof(line), f))
		n += strstr(line, "memfd:guest") != NULL;
	fclose(f);
	return n;
}

TEST_F(dma, one_mapping_for_all_maps_of_a_file)
{
	int before = count_mappings(), fds = count_fds();
	struct dma_stats st;

	for (uint64_t i = 0; i < 8; i++) {
		/* A duplicate each time, as QEMU sends it. */
		int dupfd = dup(self->fd);

		ASSERT_EQ(dma_map(self->d, 2 * i * PG, PG, RW, dupfd, i * PG), 0);
		close(dupfd);
	}
	dma_get_stats(self->d, &st);
	EXPECT_EQ(st.maps, 8);
	EXPECT_EQ(st.files, 1);
	EXPECT_EQ(count_mappings(), before + 1);
	EXPECT_EQ(count_fds(), fds);
	dma_unmap_all(self->d);
	EXPECT_EQ(count_mappings(), before);
}

TEST_F(dma, an_unused_file_is_kept_but_only_one)
{
	int before = count_mappings();
	uint64_t gone;

	for (int i = 0; i < 20; i++) {
		int fd = memfd_create("guest", MFD_CLOEXEC);

		ASSERT_EQ(ftruncate(fd, 2 * PG), 0);
		for (int again = 0; again < 3; again++) {
			ASSERT_EQ(dma_map(self->d, 0, PG, RW, fd, 0), 0);
			ASSERT_EQ(dma_unmap(self->d, 0, PG, &gone), 0);
			EXPECT_EQ(count_mappings(), before + 1);
		}
		close(fd);
	}
	dma_unmap_all(self->d);
	EXPECT_EQ(count_mappings(), before);
}

TEST_F(dma, a_file_that_grows_is_mapped_again)
{
	uint32_t x = 0x12345678, y = 0;
	struct dma_stats st;

	ASSERT_EQ(dma_map(self->d, 0, PG, RW, self->fd, 0), 0);
	ASSERT_EQ(ftruncate(self->fd, 2 * PAGES * PG), 0);
	ASSERT_EQ(dma_map(self->d, PG, PG, RW, self->fd, (2 * PAGES - 1) * PG), 0);
	EXPECT_EQ(dma_write(self->d, 2 * PG - 4, &x, 4, NULL), 0);
	EXPECT_EQ(pread(self->fd, &y, 4, (off_t)(2 * PAGES * PG - 4)), 4);
	EXPECT_EQ(y, x);
	dma_get_stats(self->d, &st);
	EXPECT_EQ(st.files, 2);
	dma_unmap_all(self->d);
	dma_get_stats(self->d, &st);
	EXPECT_EQ(st.files, 0);
}

TEST_F(dma, read_only_descriptors)
{
	char path[64];
	uint32_t x;
	int ro;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_GE(ro, 0);
	EXPECT_EQ(dma_map(self->d, 0, PG, RW, ro, 0), -EACCES);
	EXPECT_EQ(dma_map(self->d, 0, PG, DMA_READABLE, ro, 0), 0);
	EXPECT_EQ(dma_read(self->d, 0, &x, 4, NULL), 0);
	/* A writable map of the same file must not get the read-only mapping. */
	EXPECT_EQ(dma_map(self->d, PG, PG, RW, self->fd, 0), 0);
	EXPECT_EQ(dma_write(self->d, PG, &x, 4, NULL), 0);
	close(ro);
}

TEST_F(dma, memory_that_shrinks_is_an_error_not_a_crash)
{
	uint64_t fault = 0;
	uint32_t x = 1;

	ASSERT_EQ(dma_map(self->d, 0, PAGES * PG, RW, self->fd, 0), 0);
	ASSERT_EQ(ftruncate(self->fd, PG), 0);
	for (int again = 0; again < 3; again++) {
		EXPECT_EQ(dma_read(self->d, 8 * PG, &x, 4, &fault), -EFAULT);
		EXPECT_EQ(fault, 8 * PG);
		EXPECT_EQ(dma_write(self->d, 9 * PG, &x, 4, &fault), -EFAULT);
	}
	EXPECT_EQ(dma_read(self->d, 0, &x, 4, NULL), 0);
}

struct far {
	struct dma *d;
	uint64_t iova[8];
	size_t len[8];
	unsigned int calls;
	int result;
};

static int far_side(void *priv, bool write, uint64_t iova, void *buf, size_t len)
{
	struct far *f = priv;
	uint64_t gone;

	f->iova[f->calls % 8] = iova;
	f->len[f->calls++ % 8] = len;
	/* Not called under the lock: the table can be changed from here. */
	if (dma_unmap(f->d, 1000 * PG, PG, &gone))
		return -EINVAL;
	if (!f->result && !write)
		memset(buf, 0x77, len);
	return f->result;
}

TEST_F(dma, memory_without_a_descriptor_is_remote)
{
	struct far far = { .d = self->d };
	uint8_t buf[2 * DMA_PAGE] = { 0 };
	uint64_t fault = 0;

	ASSERT_EQ(dma_map(self->d, 0, PG, RW, self->fd, 0), 0);
	ASSERT_EQ(dma_map(self->d, PG, PG, DMA_READABLE, -1, 0), 0);
	EXPECT_EQ(dma_read(self->d, PG, buf, 4, &fault), -EFAULT);
	dma_set_remote(self->d, far_side, &far);
	EXPECT_EQ(dma_read(self->d, PG - 8, buf, 16, NULL), 0);
	ASSERT_EQ(far.calls, 1);
	EXPECT_EQ(far.iova[0], PG);
	EXPECT_EQ(far.len[0], 8);
	EXPECT_EQ(buf[7], 0);
	EXPECT_EQ(buf[8], 0x77);
	/* Forbidden by the map: told to the other side, and refused whatever it says. */
	EXPECT_EQ(dma_write(self->d, PG, buf, 4, &fault), -EACCES);
	EXPECT_EQ(fault, PG);
	EXPECT_EQ(far.calls, 2);
	far.calls = 1;
	/* No map at all: the other side decides, page by page. */
	EXPECT_EQ(dma_read(self->d, 50 * PG + 0x80, buf, sizeof(buf), NULL), 0);
	ASSERT_EQ(far.calls, 4);
	EXPECT_EQ(far.len[1], PG - 0x80);
	EXPECT_EQ(far.len[2], PG);
	EXPECT_EQ(far.len[3], 0x80);
	far.result = -EFAULT;
	EXPECT_EQ(dma_read(self->d, 50 * PG + 0x80, buf, 4, &fault), -EFAULT);
	EXPECT_EQ(fault, 50 * PG + 0x80);
}

TEST(many_single_page_maps)
{
	const uint64_t n = 65535;
	struct dma *d = dma_create(n);
	int fd = memfd_create("guest", MFD_CLOEXEC);
	uint32_t x = 0;

	ASSERT_EQ(ftruncate(fd, 256 * PG), 0);
	/* Downwards, as Linux allocates IOVAs. */
	for (uint64_t i = n; i-- > 0;)
		ASSERT_EQ(dma_map(d, i * PG, PG, RW, fd, i % 256 * PG), 0);
	EXPECT_EQ(dma_map(d, n * PG, PG, RW, fd, 0), -ENOSPC);
	for (uint64_t i = 0; i < n; i++) {
		x = (uint32_t)i % 256;
		ASSERT_EQ(dma_write(d, i * PG + 8, &x, 4, NULL), 0);
	}
	EXPECT_EQ(dma_read(d, 40000 * PG + 8, &x, 4, NULL), 0);
	EXPECT_EQ(x, 40000 % 256);
	EXPECT_EQ(dma_unmap_all(d), n * PG);
	dma_destroy(d);
	close(fd);
}

/* The table against the plainest model there is: one word per page. Random maps, unmaps and one-byte reads. */
TEST(random_against_a_model)
{
	enum { SPACE = 96, STEPS = 60000 };
	struct model { uint32_t id, flags, page; } model[SPACE] = { { 0 } };
	struct dma *d = dma_create(SPACE);
	int fd = memfd_create("guest", MFD_CLOEXEC);
	uint32_t rnd = 12345, ids = 0;
	uint8_t page[DMA_PAGE];

	ASSERT_EQ(ftruncate(fd, SPACE * PG), 0);
	for (unsigned int i = 0; i < SPACE; i++) {
		memset(page, (int)i + 1, sizeof(page));
		ASSERT_EQ(pwrite(fd, page, sizeof(page), (off_t)(i * PG)), PG);
	}
	for (unsigned int step = 0; step < STEPS; step++) {
		uint32_t at, n, what, file, clash = 0, cut = 0, flags;
		uint64_t gone, expect = 0;

		rnd = rnd * 1664525 + 1013904223;
		at = (rnd >> 8) % SPACE;
		n = 1 + (rnd >> 16) % 6;
		n = n > SPACE - at ? SPACE - at : n;
		what = (rnd >> 24) % 3;
		file = (rnd >> 12) % (SPACE - n + 1);
		flags = 1 + (rnd >> 28) % 3;
		for (uint32_t i = at; i < at + n; i++)
			clash += model[i].id != 0;
		if (what == 0) {
			ASSERT_EQ(dma_map(d, at * PG, n * PG, flags, fd, file * PG), clash ? -EEXIST : 0);
			ids++;
			for (uint32_t i = at; i < at + n && !clash; i++)
				model[i] = (struct model){ ids, flags, file + i - at + 1 };
		} else if (what == 1) {
			cut = (at && model[at].id && model[at - 1].id == model[at].id) ||
			      (at + n < SPACE && model[at + n].id && model[at + n - 1].id == model[at + n].id);
			ASSERT_EQ(dma_unmap(d, at * PG, n * PG, &gone), cut ? -EINVAL : 0);
			for (uint32_t i = at; i < at + n && !cut; i++) {
				expect += model[i].id ? PG : 0;
				model[i].id = 0;
			}
			ASSERT_EQ(gone, expect);
		} else {
			uint8_t byte = 0;
			int err = dma_read(d, at * PG + rnd % PG, &byte, 1, NULL);

			ASSERT_EQ(err, !model[at].id ? -EFAULT : model[at].flags & DMA_READABLE ? 0 : -EACCES);
			if (!err)
				ASSERT_EQ(byte, model[at].page);
		}
	}
	dma_destroy(d);
	close(fd);
}

struct race {
	struct dma *d;
	atomic_bool stop;
	atomic_uint done;
};

static void *racer(void *arg)
{
	struct race *r = arg;
	uint8_t buf[512];

	memset(buf, 0xee, sizeof(buf));
	while (!r->stop) {
		int err = dma_write(r->d, 4 * PG, buf, sizeof(buf), NULL);

		r->done += !err;
	}
	return NULL;
}

/* When unmap has returned, the memory belongs to somebody else: no byte of it may change any more. */
TEST_F(dma, no_copy_after_unmap)
{
	struct race r = { .d = self->d };
	pthread_t t[2];

	for (int i = 0; i < 2; i++)
		ASSERT_EQ(pthread_create(&t[i], NULL, racer, &r), 0);
	for (int i = 0; i < 2000; i++) {
		uint64_t gone;
		unsigned int seen = r.done;

		ASSERT_EQ(dma_map(self->d, 4 * PG, PG, RW, self->fd, 0), 0);
		while (i % 16 == 0 && r.done == seen)
			sched_yield();
		ASSERT_EQ(dma_unmap(self->d, 4 * PG, PG, &gone), 0);
		memset(self->mem, 0, 512);
		EXPECT_EQ(self->mem[0] | self->mem[100] | self->mem[511], 0);
		sched_yield();
		for (unsigned int b = 0; b < 512; b++)
			ASSERT_EQ(self->mem[b], 0);
	}
	r.stop = true;
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	EXPECT_GT(r.done, 0);
}

TEST_HARNESS_MAIN
