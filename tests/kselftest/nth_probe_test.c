// SPDX-License-Identifier: MIT
/*
 * Binding the driver to the card, and loading it, with each allocation failing once (nth.h). What fails must leave nothing
 * behind, no node and no object, and the next attempt must work. While binding, only what fails below a function of the
 * driver counts: the rest is the kernel's own, and there is a lot of it.
 *
 * usage: nth_probe_test [PATTERN...]; the environment names the module: SNPU_KO. The driver is loaded and bound before
 * and after.
 */
#include "nth.h"

#include <glob.h>
#include <sys/syscall.h>

#define DRIVER	"/sys/bus/pci/drivers/snpu"

static char bdf[32];

/* Waits for the node to come or to go; the kernel's devtmpfs thread does that. */
static int node_becomes(bool there)
{
	for (int i = 0; i < 200; i++) {
		if (!access("/dev/accel/accel0", R_OK | W_OK) == there)
			return 0;
		usleep(10000);
	}
	return there ? -ENOENT : -EEXIST;
}

static int card_works(void)
{
	struct ctx c;
	int ret;

	ret = node_becomes(true);
	if (!ret)
		ret = ctx_open(&c);
	if (ret)
		return ret;
	ret = run_fill(&c, 0xb1bd);
	munmap(c.code.map, c.code.size);
	munmap(c.out.map, c.out.size);
	close(c.fd);
	return ret == 1 ? 0 : ret ? ret : -EIO;
}

static bool bound(void)
{
	char path[96];

	snprintf(path, sizeof(path), DRIVER "/%s", bdf);
	return !access(path, F_OK);
}

/* --- bind --- */
static int call_bind(void *rig U)
{
	return nth_file(DRIVER "/bind", bdf);
}

static int call_unbind(void *rig U)
{
	return nth_file(DRIVER "/unbind", bdf);
}

/* Not bound: nothing of the card may be there. Bound: it must work, and is unbound for the next turn. */
static int check_bind(void *rig, int ret)
{
	int err = 0;

	if (bound()) {
		err = card_works();
		if (!err)
			err = call_unbind(rig);
	} else if (!ret) {
		return -ENXIO;
	}
	return err ? err : node_becomes(false);
}

/* First and last address of a function, or 0. */
static unsigned long symbol(const char *name, unsigned long *end)
{
	unsigned long addr, start = 0;
	char line[512], sym[256];
	FILE *f = fopen("/proc/kallsyms", "r");

	*end = ~0ul;
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx %*c %255s", &addr, sym) == 2 && !strcmp(sym, name))
			start = addr;
	if (f)
		rewind(f);
	while (f && start && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx", &addr) == 1 && addr > start && addr < *end)
			*end = addr;
	if (f)
		fclose(f);
	return start;
}

static unsigned long module_text(unsigned long *end)
{
	unsigned long size, start = 0;
	char line[512];
	FILE *f = fopen("/proc/modules", "r");

	while (f && fgets(line, sizeof(line), f) && sscanf(line, "snpu %lu %*s %*s %*s %lx", &size, &start) != 2)
		;
	if (f)
		fclose(f);
	*end = start + size;
	return start;
}

static int set_range(const char *what, unsigned long start, unsigned long end)
{
	static const char *const dirs[] = { "failslab", "fail_page_alloc", "fail_usercopy" };
	char text[32], path[96];
	int ret = 0;

	for (int i = 0; i < 3 && !ret; i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s-start", dirs[i], what);
		snprintf(text, sizeof(text), "%#lx", start);
		ret = nth_file(path, text);
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s-end", dirs[i], what);
		snprintf(text, sizeof(text), "%#lx", end);
		ret = ret ? ret : nth_file(path, text);
	}
	return ret;
}

/*
 * The driver must be on the stack. One function of the DRM core must not: 7.3's drm_minor_alloc() puts an error pointer
 * when drm_sysfs_minor_alloc() fails, and crashes.
 */
static int only_below_driver(void)
{
	unsigned long start, end;
	int ret;

	start = module_text(&end);
	ret = start ? set_range("require", start, end) : -ENOENT;
	if (ret)
		return ret;
	start = symbol("drm_sysfs_minor_alloc", &end);
	return start ? set_range("reject", start, end) : -ENOENT;
}

TEST_TIMEOUT(bind_with_each_fault, 3000)
{
	/* What the kernel says for the firmware's file, the BARs and the interrupts. */
	static const struct nth_case c = { "bind", NULL, call_bind, check_bind, { -ENOENT, -EBUSY, -ENODEV, -ENOSPC } };
	struct nth_count count = { 0 };

	ASSERT_EQ(nth_setup(), 0);
	ASSERT_EQ(only_below_driver(), 0);
	ASSERT_EQ(call_unbind(NULL), 0);
	EXPECT_TRUE(nth_each(&c, NULL, 1, &count));
	printf("# bind: %u faults injected, %u made it fail\n", count.injected, count.failed);
	EXPECT_GT(count.failed, 50);
	if (!bound())
		EXPECT_EQ(call_bind(NULL), 0);
	EXPECT_EQ(card_works(), 0);
}

/* --- load --- */
static int ko_fd = -1;

static int call_load(void *rig U)
{
	return syscall(SYS_finit_module, ko_fd, "", 0) ? -errno : 0;
}

static int call_unload(void)
{
	for (int i = 0; i < 100; i++) {
		if (!syscall(SYS_delete_module, "snpu", O_NONBLOCK))
			return 0;
		usleep(50000);
	}
	return -errno;
}

/* Without looking for cards: that is the other test. */
static int check_load(void *rig U, int ret)
{
	bool loaded = !access("/sys/module/snpu/initstate", F_OK);

	if (!ret && (!loaded || access(DRIVER, F_OK)))
		return -ENXIO;
	return loaded ? call_unload() : access(DRIVER, F_OK) ? 0 : -EEXIST;
}

TEST_TIMEOUT(load_with_each_fault, 1500)
{
	static const struct nth_case c = { "load", NULL, call_load, check_load, { -ENOEXEC, -EINTR, -EINVAL } };
	const char *ko = getenv("SNPU_KO");
	struct nth_count count = { 0 };

	ASSERT_TRUE(ko != NULL);
	ko_fd = open(ko, O_RDONLY | O_CLOEXEC);
	ASSERT_GE(ko_fd, 0);
	ASSERT_EQ(nth_setup(), 0);
	ASSERT_EQ(nth_file("/sys/bus/pci/drivers_autoprobe", "0"), 0);
	ASSERT_EQ(call_unload(), 0);
	EXPECT_TRUE(nth_each(&c, NULL, 1, &count));
	printf("# load: %u faults injected, %u made it fail\n", count.injected, count.failed);
	EXPECT_GT(count.failed, 50);
	EXPECT_EQ(nth_file("/sys/bus/pci/drivers_autoprobe", "1"), 0);
	EXPECT_EQ(call_load(NULL), 0);
	EXPECT_EQ(card_works(), 0);
}

__attribute__((constructor)) static void find_card(void)
{
	glob_t g;

	if (!glob(DRIVER "/0000:*", 0, NULL, &g))
		snprintf(bdf, sizeof(bdf), "%s", strrchr(g.gl_pathv[0], '/') + 1);
	globfree(&g);
}

TEST_HARNESS_MAIN
