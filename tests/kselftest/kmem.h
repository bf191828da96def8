/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the driver's memory share: buffers that are not made by BO_CREATE, bound and used by jobs; what the
 * kernel says about a process and a card; and taking a card away and back, for root.
 */
#ifndef SNPU_KMEM_H
#define SNPU_KMEM_H

#include <linux/dma-buf.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "kself.h"

#define MIB	(1ull << 20)

/* --- jobs on any buffer --- */

/* Binds a buffer at the context's next address; map stays what the caller knows. */
U static int buf_bind(struct ctx *c, struct buf *b, uint32_t handle, uint64_t size, uint32_t flags)
{
	b->handle = handle;
	b->size = size;
	b->va = c->next_va;
	c->next_va += (size + 0x200000) & ~0x1fffffull;
	return vm_map(c->fd, c->vm, handle, 0, b->va, size, flags);
}

U static int run_on(struct ctx *c, const struct buf *b, struct prog *p)
{
	struct job j;

	EMIT(p, END, );
	job_init(&j, c, 0);
	j.regions[2] = (struct drm_snpu_region){ SNPU_REGION_STATE, 0, b->va, b->size };
	j.job.regions.count = 3;
	return run(c, &j);
}

/* The card writes `value` to `words` words at `offset` of the buffer; 1, or a negative errno. */
U static int card_fill(struct ctx *c, const struct buf *b, uint64_t offset, uint32_t words, uint32_t value)
{
	struct prog p = prog_at(c, 0);

	EMIT(&p, FILL, .dst = REF(STATE, offset), .words = words, .value = value);
	return run_on(c, b, &p);
}

/* The card reads the word at `offset` of the buffer; 1, or a negative errno. */
U static int card_read(struct ctx *c, const struct buf *b, uint64_t offset, uint32_t *value)
{
	struct prog p = prog_at(c, 0);

	*(volatile uint32_t *)c->out.map = 0xdeadbeef;
	EMIT(&p, COPY, .src = REF(STATE, offset), .dst = REF(OUTPUT, 0), .words = 1);
	int ret = run_on(c, b, &p);

	*value = *(volatile uint32_t *)c->out.map;
	return ret;
}

/* --- what the kernel says --- */

/* The number behind `key` in a file of lines, or -1. */
U static long long file_number(const char *path, const char *key)
{
	size_t len = strlen(key);
	long long value = -1;
	char line[256];
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, len))
			value = strtoll(line + len, NULL, 0);
	if (f)
		fclose(f);
	return value;
}

U static long long locked_kib(void)
{
	return file_number("/proc/self/status", "VmLck:");
}

U static long long fdinfo(int fd, const char *key)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return file_number(path, key);
}

/* PCI address of an open card. */
U static const char *card_bdf(int fd, char bdf[64])
{
	char path[128], link[256] = "";
	struct stat st;

	if (fstat(fd, &st))
		return NULL;
	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/device", major(st.st_rdev), minor(st.st_rdev));
	if (readlink(path, link, sizeof(link) - 1) < 0)
		return NULL;
	snprintf(bdf, 64, "%s", strrchr(link, '/') + 1);
	return bdf;
}

/* A line of the card's debugfs file `objects`. */
U static long long card_objects(const char *bdf, const char *key)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/debug/accel/%s/objects", bdf);
	return file_number(path, key);
}

/* --- taking a card away (root) --- */
U static int driver_write(const char *file, const char *bdf)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/snpu/%s", file);
	int fd = open(path, O_WRONLY), ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, bdf, strlen(bdf)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/* Binds the driver again and waits until the node can be opened. */
U static int card_return(const char *bdf, int cards)
{
	int ret = driver_write("bind", bdf);

	for (int i = 0; i < 100 && !ret; i++) {
		int fd = card_open_nth(cards - 1);

		if (fd >= 0)
			return close(fd);
		usleep(100000);
	}
	return ret ? ret : -ENODEV;
}

#endif
