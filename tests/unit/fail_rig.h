/* SPDX-License-Identifier: MIT */
/* Waits for a simulator's fences that fail, which the library cannot tell from a real failure. Needs the linker's --wrap=snpu_fence_wait. */
#ifndef SNPU_TESTS_FAIL_RIG_H
#define SNPU_TESTS_FAIL_RIG_H

#include "backend/backend.h"

static int fail_after = -1;			/* fences of the simulator that still succeed; -1: all */
static int fail_error = -EFAULT;

int __real_snpu_fence_wait(struct snpu_fence *fence, int64_t timeout_ns);
int __wrap_snpu_fence_wait(struct snpu_fence *fence, int64_t timeout_ns);
int __wrap_snpu_fence_wait(struct snpu_fence *fence, int64_t timeout_ns)
{
	int err = __real_snpu_fence_wait(fence, timeout_ns);

	if (err == -ETIMEDOUT || fence->dev->info.kind != SNPU_KIND_SIMULATOR || fail_after < 0 || fail_after-- > 0)
		return err;
	fail_after = 0;
	return snpu_fail(fail_error, "the test says so");
}

#endif
