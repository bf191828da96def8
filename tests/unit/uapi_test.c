// SPDX-License-Identifier: MIT
/*
 * The layout of the kernel's contract: every structure has the size it was published with, for 32-bit and 64-bit
 * users alike (this file is also compiled with -m32 and as C++ by tests/style/headers.sh), and none has a hole.
 */
#include <drm.h>
#include "drm/snpu_accel.h"
#include "tests/harness.h"

#define SNPU_UAPI_ASSERT _Static_assert
SNPU_UAPI_ASSERT(sizeof(struct drm_snpu_obj_array) == 16, "drm_snpu_obj_array");
SNPU_UAPI_ASSERT(sizeof(struct drm_snpu_dev_query) == 16, "drm_snpu_dev_query");
SNPU_UAPI_ASSERT(sizeof(struct drm_snpu_query_info) == 64, "drm_snpu_query_info");
SNPU_UAPI_ASSERT(sizeof(struct drm_snpu_query_memory) == 40, "drm_snpu_query_memory");
SNPU_UAPI_ASSERT(sizeof(struct drm_snpu_query_engine) == 56, "drm_snpu_query_engine");
SNPU_UAPI_ASSERT(sizeof(struct drm_snpu_query_limits) == 32, "drm_snpu_query_limits");
SNPU_UAPI_ASSERT(sizeof(struct drm_snpu_bo_create) == 16, "drm_snpu_bo_create");
SNPU_UAPI_ASSERT(sizeof(struct drm_snpu_bo_userptr) == 24, "drm_snpu_bo_userptr");
SNPU_UAPI_ASSERT(sizeof(struct drm_snpu_bo_mmap_offset) == 16, "drm_snpu_bo_mmap_offset");
SNPU_UAPI_ASSERT(sizeof(struct drm_snpu_vm_create) == 8, "drm_snpu_vm_create");
SNPU_UAPI_ASSERT(sizeof(struct drm_snpu_vm_destroy) == 8, "drm_snpu_vm_destroy");
SNPU_UAPI_ASSERT(sizeof(struct drm_snpu_vm_bind_op) == 40, "drm_snpu_vm_bind_op");
SNPU_UAPI_ASSERT(sizeof(struct drm_snpu_vm_bind) == 32, "drm_snpu_vm_bind");
SNPU_UAPI_ASSERT(sizeof(struct drm_snpu_queue_create) == 48, "drm_snpu_queue_create");
SNPU_UAPI_ASSERT(sizeof(struct drm_snpu_queue_destroy) == 8, "drm_snpu_queue_destroy");
SNPU_UAPI_ASSERT(sizeof(struct drm_snpu_queue_state) == 88, "drm_snpu_queue_state");
SNPU_UAPI_ASSERT(sizeof(struct drm_snpu_queue_wait) == 32, "drm_snpu_queue_wait");
SNPU_UAPI_ASSERT(sizeof(struct drm_snpu_queue_eventfd) == 16, "drm_snpu_queue_eventfd");
SNPU_UAPI_ASSERT(sizeof(struct drm_snpu_sync) == 16, "drm_snpu_sync");
SNPU_UAPI_ASSERT(sizeof(struct drm_snpu_region) == 24, "drm_snpu_region");
SNPU_UAPI_ASSERT(sizeof(struct drm_snpu_job) == 48, "drm_snpu_job");
SNPU_UAPI_ASSERT(sizeof(struct drm_snpu_submit) == 24, "drm_snpu_submit");

TEST(sizes_are_multiples_of_eight)
{
#define S(t) EXPECT_EQ(sizeof(struct t) % 8, 0);
	S(drm_snpu_obj_array)
	S(drm_snpu_dev_query)
	S(drm_snpu_query_info)
	S(drm_snpu_query_memory)
	S(drm_snpu_query_engine)
	S(drm_snpu_query_limits)
	S(drm_snpu_bo_create)
	S(drm_snpu_bo_userptr)
	S(drm_snpu_bo_mmap_offset)
	S(drm_snpu_vm_create)
	S(drm_snpu_vm_destroy)
	S(drm_snpu_vm_bind_op)
	S(drm_snpu_vm_bind)
	S(drm_snpu_queue_create)
	S(drm_snpu_queue_destroy)
	S(drm_snpu_queue_state)
	S(drm_snpu_queue_wait)
	S(drm_snpu_queue_eventfd)
	S(drm_snpu_sync)
	S(drm_snpu_region)
	S(drm_snpu_job)
	S(drm_snpu_submit)
}

TEST_HARNESS_MAIN
