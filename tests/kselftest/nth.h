/* SPDX-License-Identifier: MIT */
/*
 * Making the N-th thing of one call fail, on a kernel with fault injection (tools/kernel-debug): allocations of slabs and
 * pages, and copies from and to user space, in the calling thread. nth_each() does it for N = 1, 2, ... until a call runs
 * through without a fault, so that every failure the call can meet is met once. With SNPU_NTH_ONCE set, each call is made
 * without a fault, once: kernels of distributions inject none. Needs root; single-threaded.
 */
#ifndef SNPU_NTH_H
#define SNPU_NTH_H

#include "kself.h"

#define NTH_ERRNOS 4

/* One call with what comes before and after; all return 0 or a negative errno. */
struct nth_case {
	const char *name;
	int (*prepare)(void *rig);	/* without faults; NULL: nothing */
	int (*call)(void *rig);		/* with one */
	int (*after)(void *rig, int ret);	/* without faults, whatever the call returned: checks, and puts things back */
	int also[NTH_ERRNOS];		/* errors the call may end with, beside -ENOMEM and -EFAULT; 0 ends the list */
};

struct nth_count {
	unsigned int injected, failed;
};

static int nth_fd = -1;

U static bool nth_once(void)
{
	return getenv("SNPU_NTH_ONCE") != NULL;
}

U static int nth_file(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/* Every kind of fault, in any call, without a word: the log is read for real trouble. -ENOENT: a kernel without injection. */
U static int nth_setup(void)
{
	static const char *const knobs[][2] = {
		{ "failslab/verbose", "0" }, { "failslab/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/verbose", "0" }, { "fail_page_alloc/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/ignore-gfp-highmem", "N" }, { "fail_page_alloc/min-order", "0" },
		{ "fail_usercopy/verbose", "0" },
	};

	for (size_t i = 0; i < sizeof(knobs) / sizeof(knobs[0]) && !nth_once(); i++) {
		char path[96];
		int ret;

		snprintf(path, sizeof(path), "/sys/kernel/debug/%s", knobs[i][0]);
		ret = nth_file(path, knobs[i][1]);
		if (ret)
			return ret;
	}
	if (nth_once())
		return 0;
	nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	return nth_fd < 0 ? -errno : 0;
}

U static void nth_arm(unsigned int n)
{
	char text[16];

	if (!nth_once() && pwrite(nth_fd, text, (size_t)snprintf(text, sizeof(text), "%u", n), 0) < 0)
		perror("fail-nth");
}

/* True when the fault has struck. Reading and writing the file are copies, which it may strike, too. */
U static bool nth_disarm(void)
{
	char text[16] = "";
	bool struck = !nth_once() && pread(nth_fd, text, sizeof(text) - 1, 0) > 0 && atoi(text) == 0;

	while (!nth_once() && pwrite(nth_fd, "0", 1, 0) < 0)
		;
	return struck;
}

U static bool nth_allowed(const struct nth_case *c, int ret)
{
	if (ret == -ENOMEM || ret == -EFAULT)
		return true;
	for (int i = 0; i < NTH_ERRNOS && c->also[i]; i++)
		if (ret == c->also[i])
			return true;
	return false;
}

/* Returns false, after a line that tells why, when a call did what it must not. */
U static bool nth_each(const struct nth_case *c, void *rig, unsigned int step, struct nth_count *count)
{
	bool struck = true;

	for (unsigned int n = 1; struck; n += step) {
		int ret = c->prepare ? c->prepare(rig) : 0;

		if (ret) {
			printf("# %s, fault %u: cannot prepare: %d\n", c->name, n, ret);
			return false;
		}
		nth_arm(n);
		ret = c->call(rig);
		struck = nth_disarm();
		count->injected += struck;
		count->failed += struck && ret;
		if (ret && (!struck || !nth_allowed(c, ret))) {
			printf("# %s, fault %u (%s): ended with %d (%s)\n", c->name, n, struck ? "struck" : "not struck", ret, strerror(-ret));
			return false;
		}
		ret = c->after ? c->after(rig, ret) : 0;
		if (ret) {
			printf("# %s, fault %u: what is left is not as it should be: %d\n", c->name, n, ret);
			return false;
		}
	}
	return true;
}

#endif
