// SPDX-License-Identifier: MIT
/*
 * Every ioctl: the good path, and every refusal. Each refusal starts from arguments that are accepted and spoils one
 * thing, so that no other check can be what refused it; afterwards the card must still do work.
 */
#include "kself.h"

/* Spoils LEN bytes at OFF of the argument with VALUE; the call must then fail with ERR. */
struct refusal {
	const char *what;
	size_t off, len;
	uint64_t value;
	int err;
};
#define FIELD_OF(type, member) offsetof(struct type, member), sizeof(((struct type *)0)->member)

/* Runs a table of refusals. The pristine argument is valid and is never passed itself. */
static void refuse_all(int fd, unsigned long nr, const void *valid, size_t size, const struct refusal *r, size_t n)
{
	uint8_t arg[256];

	for (size_t i = 0; i < n; i++) {
		memcpy(arg, valid, size);
		memcpy(arg + r[i].off, &r[i].value, r[i].len);
		int ret = k_ioctl(fd, nr, arg);

		if (ret != -r[i].err)
			TH_FAILMSG("%s: expected -%d (%s), got %d", r[i].what, r[i].err, strerror(r[i].err), ret);
	}
}
#define REFUSE(fd, nr, valid, ...) do {										\
	static const struct refusal k_r[] = { __VA_ARGS__ };							\
	refuse_all(fd, nr, &(valid), sizeof(valid), k_r, sizeof(k_r) / sizeof(k_r[0]));				\
} while (0)

/* The same for an element of an array, whose call is made by FN. */
static void refuse_elements(int (*fn)(void *cookie, const void *elem, size_t size), void *cookie, const void *valid, size_t size,
			    const struct refusal *r, size_t n)
{
	uint8_t elem[256];

	for (size_t i = 0; i < n; i++) {
		memcpy(elem, valid, size);
		memcpy(elem + r[i].off, &r[i].value, r[i].len);
		int ret = fn(cookie, elem, size);

		if (ret != -r[i].err)
			TH_FAILMSG("%s: expected -%d (%s), got %d", r[i].what, r[i].err, strerror(r[i].err), ret);
	}
}
#define REFUSE_ELEM(fn, cookie, valid, ...) do {								\
	static const struct refusal k_r[] = { __VA_ARGS__ };							\
	refuse_elements(fn, cookie, &(valid), sizeof(valid), k_r, sizeof(k_r) / sizeof(k_r[0]));		\
} while (0)

FIXTURE(card) { struct ctx c; };
FIXTURE_SETUP(card)
{
	(void)variant;
	ASSERT_EQ(ctx_open(&self->c), 0);
}
FIXTURE_TEARDOWN(card)
{
	if (self->c.fd > 0 && !th_failed)
		EXPECT_EQ(run_fill(&self->c, 0xc0ffee), 1);
	close(self->c.fd);
}

/* --- DEV_QUERY --- */
TEST_F(card, query_info)
{
	struct drm_snpu_query_info info;
	struct drm_snpu_dev_query q = { DRM_SNPU_QUERY_INFO, 0, 0 };

	q.size = 8;
	ASSERT_EQ(k_ioctl(self->c.fd, DRM_IOCTL_SNPU_DEV_QUERY, &q), 0);
	EXPECT_EQ(q.size, sizeof(info));
	q = (struct drm_snpu_dev_query){ DRM_SNPU_QUERY_INFO, sizeof(info), (uintptr_t)&info };
	memset(&info, 0xff, sizeof(info));
	ASSERT_EQ(k_ioctl(self->c.fd, DRM_IOCTL_SNPU_DEV_QUERY, &q), 0);
	EXPECT_EQ(info.hw_version >> 16, 1);
	EXPECT_NE(info.fw_version, 0);
	EXPECT_EQ(info.fw_abi >> 16, 1);
	EXPECT_EQ(info.flags & ~DRM_SNPU_INFO_SIMULATED, 0);
	EXPECT_EQ(info.va_bits, SNPU_VA_BITS);
	EXPECT_GT(info.va_end, info.va_start);
	EXPECT_GE(info.max_queues, 2);
	EXPECT_GE(info.max_vms, 2);
	EXPECT_EQ(info.max_regions, SNPU_REGION_COUNT);
	EXPECT_EQ(info.user_slots, 4096);
}

/* The mask says what QUEUE_CREATE takes; sched_test.c asks as somebody with CAP_SYS_NICE. */
TEST_F(card, the_mask_of_priorities_is_what_is_allowed)
{
	const uint32_t mask = priority_mask(self->c.fd), free = 1 << DRM_SNPU_PRIORITY_LOW | 1 << DRM_SNPU_PRIORITY_NORMAL;
	uint32_t q;

	EXPECT_EQ(mask, geteuid() ? free : free | 1 << DRM_SNPU_PRIORITY_HIGH | 1 << DRM_SNPU_PRIORITY_REALTIME);
	for (uint32_t p = DRM_SNPU_PRIORITY_LOW; p <= DRM_SNPU_PRIORITY_REALTIME; p++)
		EXPECT_EQ(queue_create(self->c.fd, self->c.vm, p, &q), mask >> p & 1 ? 0 : -EACCES);
}

TEST_F(card, query_memory_and_engine)
{
	struct drm_snpu_query_memory m;
	struct drm_snpu_query_engine e;
	struct drm_snpu_dev_query q = { DRM_SNPU_QUERY_MEMORY, sizeof(m), (uintptr_t)&m };
	uint32_t h;

	ASSERT_EQ(k_ioctl(self->c.fd, DRM_IOCTL_SNPU_DEV_QUERY, &q), 0);
	EXPECT_GT(m.device_total, 0);
	EXPECT_LE(m.device_used, m.device_total);
	EXPECT_TRUE(m.page_sizes & PAGE);
	uint64_t used = m.device_used, host = m.host_used;

	ASSERT_EQ(bo_create(self->c.fd, 1 << 20, DRM_SNPU_BO_DEVICE, &h), 0);
	ASSERT_EQ(bo_create(self->c.fd, 1 << 20, 0, &h), 0);
	ASSERT_EQ(k_ioctl(self->c.fd, DRM_IOCTL_SNPU_DEV_QUERY, &q), 0);
	EXPECT_GE(m.device_used, used + (1 << 20));
	EXPECT_EQ(m.host_used, host + (1 << 20));

	q = (struct drm_snpu_dev_query){ DRM_SNPU_QUERY_ENGINE, sizeof(e), (uintptr_t)&e };
	ASSERT_EQ(k_ioctl(self->c.fd, DRM_IOCTL_SNPU_DEV_QUERY, &q), 0);
	EXPECT_GE(e.engines, 1);
	EXPECT_GT(e.clock_khz, 0);
	EXPECT_TRUE(e.opcodes[SNPU_OP_LINEAR / 64] >> (SNPU_OP_LINEAR % 64) & 1);
	EXPECT_TRUE(e.opcodes[SNPU_OP_SWA / 64] >> (SNPU_OP_SWA % 64) & 1);	/* of version 1.1 */
	EXPECT_TRUE(e.opcodes[SNPU_OP_CONV / 64] >> (SNPU_OP_CONV % 64) & 1);	/* of 1.3, as the simulated card is */
	EXPECT_TRUE(e.opcodes[SNPU_OP_QLINEAR / 64] >> (SNPU_OP_QLINEAR % 64) & 1);	/* of 1.4 */
	EXPECT_FALSE(e.opcodes[3]);
}

TEST_F(card, query_sizes)
{
	struct { struct drm_snpu_query_info i; uint8_t more[64]; } big;
	struct drm_snpu_dev_query q = { DRM_SNPU_QUERY_INFO, 16, (uintptr_t)&big };

	memset(&big, 0xff, sizeof(big));
	ASSERT_EQ(k_ioctl(self->c.fd, DRM_IOCTL_SNPU_DEV_QUERY, &q), 0);
	EXPECT_EQ(big.i.hw_version >> 16, 1);
	EXPECT_EQ(big.i.serial, 0xffffffff);		/* a short structure is not written past its end */
	EXPECT_EQ(q.size, sizeof(big.i));
	q.size = sizeof(big);
	ASSERT_EQ(k_ioctl(self->c.fd, DRM_IOCTL_SNPU_DEV_QUERY, &q), 0);
	EXPECT_EQ(big.more[0] | big.more[63], 0);	/* the rest of a long one is zeroed */
}

TEST_F(card, query_refusals)
{
	struct drm_snpu_query_info info;
	struct drm_snpu_dev_query q = { DRM_SNPU_QUERY_INFO, sizeof(info), (uintptr_t)&info };

	REFUSE(self->c.fd, DRM_IOCTL_SNPU_DEV_QUERY, q,
	       { "unknown type", FIELD_OF(drm_snpu_dev_query, type), 99, EINVAL },
	       { "size too small", FIELD_OF(drm_snpu_dev_query, size), 4, EINVAL },
	       { "bad pointer", FIELD_OF(drm_snpu_dev_query, pointer), 8, EFAULT });
}

/* --- BO_CREATE, BO_MMAP_OFFSET --- */
FIXTURE(memory) { struct ctx c; uint32_t flags; };
FIXTURE_VARIANT(memory) { uint32_t flags; };
FIXTURE_VARIANT_ADD(memory, host) { .flags = 0 };
FIXTURE_VARIANT_ADD(memory, device) { .flags = DRM_SNPU_BO_DEVICE };
FIXTURE_SETUP(memory)
{
	ASSERT_EQ(ctx_open(&self->c), 0);
	self->flags = variant->flags;
}
FIXTURE_TEARDOWN(memory)
{
	close(self->c.fd);
}

TEST_F(memory, is_zero_mapped_and_cleared_before_reuse)
{
	const size_t size = 1 << 20;
	uint32_t h;

	for (int round = 0; round < 3; round++) {
		ASSERT_EQ(bo_create(self->c.fd, size, self->flags, &h), 0);
		uint64_t *p = bo_map(self->c.fd, h, size);

		ASSERT_TRUE(p);
		for (size_t i = 0; i < size / 8; i += 511)
			ASSERT_EQ(p[i], 0);
		ASSERT_EQ(p[size / 8 - 1], 0);
		memset(p, 0xa5, size);
		munmap(p, size);
		ASSERT_EQ(drmCloseBufferHandle(self->c.fd, h), 0);
	}
}

TEST_F(memory, the_card_reads_and_writes_it)
{
	struct buf src, dst;
	struct prog p = prog_at(&self->c, 0);
	struct job j;

	ASSERT_EQ(buf_new(&self->c, 3 * PAGE, self->flags, &src), 0);
	ASSERT_EQ(buf_new(&self->c, 3 * PAGE, self->flags, &dst), 0);
	for (uint32_t i = 0; i < 3 * PAGE / 4; i++)
		((uint32_t *)src.map)[i] = i * 2654435761u;
	EMIT(&p, COPY, .src = REF(INPUT, 0), .dst = REF(OUTPUT, 0), .words = 3 * PAGE / 4);
	EMIT(&p, END, );
	job_init(&j, &self->c, 0);
	j.regions[1] = (struct drm_snpu_region){ SNPU_REGION_INPUT, 0, src.va, src.size };
	j.regions[2] = (struct drm_snpu_region){ SNPU_REGION_OUTPUT, 0, dst.va, dst.size };
	j.job.regions.count = 3;
	ASSERT_EQ(run(&self->c, &j), 1);
	EXPECT_EQ(memcmp(src.map, dst.map, 3 * PAGE), 0);
}

TEST_F(memory, size_is_rounded_and_bounded)
{
	struct drm_snpu_bo_create a = { .size = 5000, .flags = self->flags };

	ASSERT_EQ(k_ioctl(self->c.fd, DRM_IOCTL_SNPU_BO_CREATE, &a), 0);
	EXPECT_EQ(a.size, 8192);
	struct drm_snpu_bo_mmap_offset m = { .handle = a.handle };

	ASSERT_EQ(k_ioctl(self->c.fd, DRM_IOCTL_SNPU_BO_MMAP_OFFSET, &m), 0);
	EXPECT_TRUE(mmap(NULL, 16384, PROT_READ, MAP_SHARED, self->c.fd, (off_t)m.offset) == MAP_FAILED);
	for (int bit = 50; bit < 64; bit++) {
		uint32_t h;

		EXPECT_LT(bo_create(self->c.fd, 1ull << bit, self->flags, &h), 0);
	}
	uint32_t h;

	EXPECT_LT(bo_create(self->c.fd, ~0ull, self->flags, &h), 0);
}

TEST_F(card, device_memory_runs_out_and_comes_back)
{
	struct drm_snpu_query_memory m;
	struct drm_snpu_dev_query q = { DRM_SNPU_QUERY_MEMORY, sizeof(m), (uintptr_t)&m };
	uint32_t h[4096];
	int n = 0, ret = 0;

	ASSERT_EQ(k_ioctl(self->c.fd, DRM_IOCTL_SNPU_DEV_QUERY, &q), 0);
	uint64_t before = m.device_used, chunk = m.device_total / 16 & ~(uint64_t)(PAGE - 1);

	while (n < 4096 && !(ret = bo_create(self->c.fd, chunk, DRM_SNPU_BO_DEVICE, &h[n])))
		n++;
	EXPECT_EQ(ret, -ENOSPC);
	EXPECT_GE(n, 8);
	for (int i = 0; i < n; i++)
		drmCloseBufferHandle(self->c.fd, h[i]);
	ASSERT_EQ(k_ioctl(self->c.fd, DRM_IOCTL_SNPU_DEV_QUERY, &q), 0);
	EXPECT_EQ(m.device_used, before);
}

TEST_F(card, bo_refusals)
{
	struct drm_snpu_bo_create a = { .size = PAGE };
	struct drm_snpu_bo_mmap_offset m = { .handle = self->c.out.handle };

	REFUSE(self->c.fd, DRM_IOCTL_SNPU_BO_CREATE, a,
	       { "size 0", FIELD_OF(drm_snpu_bo_create, size), 0, EINVAL },
	       { "unknown flag", FIELD_OF(drm_snpu_bo_create, flags), 0x80000000, EINVAL },
	       { "second unknown flag", FIELD_OF(drm_snpu_bo_create, flags), 2, EINVAL });
	REFUSE(self->c.fd, DRM_IOCTL_SNPU_BO_MMAP_OFFSET, m,
	       { "pad", FIELD_OF(drm_snpu_bo_mmap_offset, pad), 1, EINVAL },
	       { "no such buffer", FIELD_OF(drm_snpu_bo_mmap_offset, handle), 12345, ENOENT },
	       { "handle 0", FIELD_OF(drm_snpu_bo_mmap_offset, handle), 0, ENOENT });
}

/* --- VM --- */
TEST_F(card, vm_create_and_destroy)
{
	struct drm_snpu_vm_create c = { 0 };
	uint32_t vm;

	REFUSE(self->c.fd, DRM_IOCTL_SNPU_VM_CREATE, c, { "flags", FIELD_OF(drm_snpu_vm_create, flags), 1, EINVAL });
	ASSERT_EQ(vm_create(self->c.fd, &vm), 0);
	EXPECT_NE(vm, 0);
	struct drm_snpu_vm_destroy d = { .vm_id = vm };

	REFUSE(self->c.fd, DRM_IOCTL_SNPU_VM_DESTROY, d,
	       { "pad", FIELD_OF(drm_snpu_vm_destroy, pad), 1, EINVAL },
	       { "no such VM", FIELD_OF(drm_snpu_vm_destroy, vm_id), 99999, ENOENT },
	       { "VM 0", FIELD_OF(drm_snpu_vm_destroy, vm_id), 0, ENOENT });
	EXPECT_EQ(vm_destroy(self->c.fd, vm), 0);
	EXPECT_EQ(vm_destroy(self->c.fd, vm), -ENOENT);
	/* The queue keeps its address space. */
	EXPECT_EQ(vm_destroy(self->c.fd, self->c.vm), 0);
}

TEST_F(card, vms_run_out_and_come_back)
{
	static uint32_t vm[2048];
	int n = 0, ret = 0;

	while (n < 2048 && !(ret = vm_create(self->c.fd, &vm[n])))
		n++;
	EXPECT_EQ(ret, geteuid() ? -EDQUOT : -ENOSPC);
	for (int i = 0; i < n; i++)
		EXPECT_EQ(vm_destroy(self->c.fd, vm[i]), 0);
	ASSERT_EQ(vm_create(self->c.fd, &vm[0]), 0);
}

struct bind_cookie { int fd; uint32_t vm; };
static int bind_one(void *cookie, const void *elem, size_t size)
{
	struct bind_cookie *b = cookie;
	struct drm_snpu_vm_bind a = { .vm_id = b->vm, .ops = { (uint32_t)size, 1, (uintptr_t)elem } };
	int ret = k_ioctl(b->fd, DRM_IOCTL_SNPU_VM_BIND, &a);

	if (ret && a.done)
		TH_FAILMSG("a failed first operation counted as done");
	return ret;
}

TEST_F(card, vm_bind_op_refusals)
{
	struct bind_cookie b = { self->c.fd, self->c.vm };
	struct drm_snpu_vm_bind_op map = { DRM_SNPU_VM_BIND_MAP, BIND_RW, self->c.out.handle, 0, 0, 0x40000000, PAGE };
	struct drm_snpu_vm_bind_op unmap = { .op = DRM_SNPU_VM_BIND_UNMAP, .va = 0x40000000, .size = PAGE };

	ASSERT_EQ(bind_one(&b, &map, sizeof(map)), 0);
	REFUSE_ELEM(bind_one, &b, map,
		    { "unknown op", FIELD_OF(drm_snpu_vm_bind_op, op), 2, EINVAL },
		    { "no permission", FIELD_OF(drm_snpu_vm_bind_op, flags), 0, EINVAL },
		    { "unknown flag", FIELD_OF(drm_snpu_vm_bind_op, flags), 7, EINVAL },
		    { "pad", FIELD_OF(drm_snpu_vm_bind_op, pad), 1, EINVAL },
		    { "no such buffer", FIELD_OF(drm_snpu_vm_bind_op, handle), 4242, ENOENT },
		    { "offset not a page", FIELD_OF(drm_snpu_vm_bind_op, bo_offset), 512, EINVAL },
		    { "offset past the buffer", FIELD_OF(drm_snpu_vm_bind_op, bo_offset), 16 * PAGE, EINVAL },
		    { "offset wraps", FIELD_OF(drm_snpu_vm_bind_op, bo_offset), ~0ull << 12, EINVAL },
		    { "address not a page", FIELD_OF(drm_snpu_vm_bind_op, va), 0x40000001, EINVAL },
		    { "address 0", FIELD_OF(drm_snpu_vm_bind_op, va), 0, EINVAL },
		    { "address past the end", FIELD_OF(drm_snpu_vm_bind_op, va), 1ull << 48, EINVAL },
		    { "address wraps", FIELD_OF(drm_snpu_vm_bind_op, va), ~0ull << 12, EINVAL },
		    { "size 0", FIELD_OF(drm_snpu_vm_bind_op, size), 0, EINVAL },
		    { "size not a page", FIELD_OF(drm_snpu_vm_bind_op, size), 100, EINVAL },
		    { "size past the buffer", FIELD_OF(drm_snpu_vm_bind_op, size), 17 * PAGE, EINVAL },
		    { "size wraps", FIELD_OF(drm_snpu_vm_bind_op, size), ~0ull << 12, EINVAL });
	REFUSE_ELEM(bind_one, &b, unmap,
		    { "unmap with flags", FIELD_OF(drm_snpu_vm_bind_op, flags), 1, EINVAL },
		    { "unmap with a buffer", FIELD_OF(drm_snpu_vm_bind_op, handle), 1, EINVAL },
		    { "unmap with an offset", FIELD_OF(drm_snpu_vm_bind_op, bo_offset), PAGE, EINVAL },
		    { "unmap past the end", FIELD_OF(drm_snpu_vm_bind_op, va), 1ull << 48, EINVAL });
	EXPECT_EQ(bind_one(&b, &unmap, sizeof(unmap)), 0);
	EXPECT_EQ(bind_one(&b, &unmap, sizeof(unmap)), 0);	/* holes are fine */
}

TEST_F(card, vm_bind_refusals)
{
	struct drm_snpu_vm_bind_op op = { .op = DRM_SNPU_VM_BIND_UNMAP, .va = 0x40000000, .size = PAGE };
	struct { struct drm_snpu_vm_bind_op op; uint64_t more; } longer = { .op = op };
	struct drm_snpu_vm_bind a = { .vm_id = self->c.vm, .ops = { sizeof(op), 1, (uintptr_t)&op } };

	REFUSE(self->c.fd, DRM_IOCTL_SNPU_VM_BIND, a,
	       { "no such VM", FIELD_OF(drm_snpu_vm_bind, vm_id), 777, ENOENT },
	       { "flags", FIELD_OF(drm_snpu_vm_bind, flags), 1, EINVAL },
	       { "pad", FIELD_OF(drm_snpu_vm_bind, pad), 1, EINVAL },
	       { "bad pointer", FIELD_OF(drm_snpu_vm_bind, ops.array), 16, EFAULT },
	       { "stride too small", FIELD_OF(drm_snpu_vm_bind, ops.stride), 8, EINVAL },
	       { "empty with a pointer", FIELD_OF(drm_snpu_vm_bind, ops.count), 0, EINVAL });
	a.ops = (struct drm_snpu_obj_array){ sizeof(longer), 1, (uintptr_t)&longer };
	EXPECT_EQ(k_ioctl(self->c.fd, DRM_IOCTL_SNPU_VM_BIND, &a), 0);
	longer.more = 1;
	EXPECT_EQ(k_ioctl(self->c.fd, DRM_IOCTL_SNPU_VM_BIND, &a), -E2BIG);
}

TEST_F(card, vm_bind_tells_how_far_it_came)
{
	struct drm_snpu_vm_bind_op ops[3] = {
		{ DRM_SNPU_VM_BIND_MAP, BIND_RW, self->c.out.handle, 0, 0, 0x40000000, PAGE },
		{ DRM_SNPU_VM_BIND_MAP, BIND_RW, self->c.out.handle, 0, PAGE, 0x40001000, PAGE },
		{ DRM_SNPU_VM_BIND_MAP, BIND_RW, 4242, 0, 0, 0x40002000, PAGE },
	};
	uint32_t done = 99;

	EXPECT_EQ(vm_bind_ops(self->c.fd, self->c.vm, ops, 3, &done), -ENOENT);
	EXPECT_EQ(done, 2);
	EXPECT_EQ(vm_bind_ops(self->c.fd, self->c.vm, ops, 2, &done), 0);
	EXPECT_EQ(done, 2);
}

/* --- queues --- */
TEST_F(card, queue_refusals)
{
	struct drm_snpu_queue_create c = { .vm_id = self->c.vm, .priority = DRM_SNPU_PRIORITY_NORMAL };
	struct drm_snpu_queue_destroy d = { .queue_id = self->c.queue };
	struct drm_snpu_queue_state s = { .queue_id = self->c.queue };
	uint32_t q;

	REFUSE(self->c.fd, DRM_IOCTL_SNPU_QUEUE_CREATE, c,
	       { "no such VM", FIELD_OF(drm_snpu_queue_create, vm_id), 777, ENOENT },
	       { "priority", FIELD_OF(drm_snpu_queue_create, priority), 4, EINVAL },
	       { "flags", FIELD_OF(drm_snpu_queue_create, flags), 1, EINVAL });
	REFUSE(self->c.fd, DRM_IOCTL_SNPU_QUEUE_DESTROY, d,
	       { "no such queue", FIELD_OF(drm_snpu_queue_destroy, queue_id), 777, ENOENT },
	       { "queue 0", FIELD_OF(drm_snpu_queue_destroy, queue_id), 0, ENOENT },
	       { "pad", FIELD_OF(drm_snpu_queue_destroy, pad), 1, EINVAL });
	REFUSE(self->c.fd, DRM_IOCTL_SNPU_QUEUE_STATE, s,
	       { "no such queue", FIELD_OF(drm_snpu_queue_state, queue_id), 777, ENOENT },
	       { "pad", FIELD_OF(drm_snpu_queue_state, pad), 1, EINVAL });
	EXPECT_EQ(queue_create(self->c.fd, self->c.vm, DRM_SNPU_PRIORITY_LOW, &q), 0);
	EXPECT_EQ(queue_destroy(self->c.fd, q), 0);
	EXPECT_EQ(queue_destroy(self->c.fd, q), -ENOENT);
}

TEST_F(card, queues_run_out_and_come_back)
{
	uint32_t q[256];
	int n = 0, ret = 0;

	while (n < 256 && !(ret = queue_create(self->c.fd, self->c.vm, DRM_SNPU_PRIORITY_NORMAL, &q[n])))
		n++;
	EXPECT_EQ(ret, geteuid() ? -EDQUOT : -ENOSPC);
	EXPECT_GE(n, 8);
	for (int i = 0; i < n; i++)
		EXPECT_EQ(queue_destroy(self->c.fd, q[i]), 0);
}

/* --- SUBMIT --- */
TEST_F(card, submit_refusals)
{
	struct prog p = prog_at(&self->c, 0);
	struct job j;

	EMIT(&p, END, );
	job_init(&j, &self->c, 0);
	struct drm_snpu_submit a = { .queue_id = self->c.queue, .jobs = { sizeof(j.job), 1, (uintptr_t)&j.job } };

	REFUSE(self->c.fd, DRM_IOCTL_SNPU_SUBMIT, a,
	       { "no such queue", FIELD_OF(drm_snpu_submit, queue_id), 777, ENOENT },
	       { "flags", FIELD_OF(drm_snpu_submit, flags), 1, EINVAL },
	       { "no job", FIELD_OF(drm_snpu_submit, jobs), 0, EINVAL },
	       { "too many jobs", FIELD_OF(drm_snpu_submit, jobs.count), DRM_SNPU_SUBMIT_MAX_JOBS + 1, E2BIG },
	       { "stride too small", FIELD_OF(drm_snpu_submit, jobs.stride), 8, EINVAL },
	       { "bad pointer", FIELD_OF(drm_snpu_submit, jobs.array), 32, EFAULT });
}

static int submit_elem(void *cookie, const void *elem, size_t size)
{
	struct ctx *c = cookie;
	struct drm_snpu_submit a = { .queue_id = c->queue, .jobs = { (uint32_t)size, 1, (uintptr_t)elem } };

	return k_ioctl(c->fd, DRM_IOCTL_SNPU_SUBMIT, &a);
}

TEST_F(card, submit_job_refusals)
{
	struct prog p = prog_at(&self->c, 0);
	struct job j;

	EMIT(&p, END, );
	job_init(&j, &self->c, 0);
	job_sync(&j, DRM_SNPU_SYNC_SYNCOBJ | DRM_SNPU_SYNC_SIGNAL, syncobj(self->c.fd), 0);
	ASSERT_EQ(submit_elem(&self->c, &j.job, sizeof(j.job)), 0);
	REFUSE_ELEM(submit_elem, &self->c, j.job,
		    { "entry not aligned", FIELD_OF(drm_snpu_job, entry), 4, EINVAL },
		    { "flags", FIELD_OF(drm_snpu_job, flags), 1, EINVAL },
		    { "pad", FIELD_OF(drm_snpu_job, pad), 1, EINVAL },
		    { "too many syncs", FIELD_OF(drm_snpu_job, syncs.count), DRM_SNPU_SUBMIT_MAX_SYNCS + 1, E2BIG },
		    { "bad syncs", FIELD_OF(drm_snpu_job, syncs.array), 16, EFAULT },
		    { "too many regions", FIELD_OF(drm_snpu_job, regions.count), 100, E2BIG },
		    { "bad regions", FIELD_OF(drm_snpu_job, regions.array), 16, EFAULT },
		    { "sync stride", FIELD_OF(drm_snpu_job, syncs.stride), 4, EINVAL },
		    { "region stride", FIELD_OF(drm_snpu_job, regions.stride), 4, EINVAL });
}

static int submit_region(void *cookie, const void *elem, size_t size)
{
	struct ctx *c = cookie;
	struct job j;

	job_init(&j, c, 0);
	memcpy(&j.regions[1], elem, size);
	return submit(c, &j);
}

TEST_F(card, submit_region_refusals)
{
	struct drm_snpu_region r = { SNPU_REGION_OUTPUT, 0, self->c.out.va, self->c.out.size };
	struct prog p = prog_at(&self->c, 0);
	struct job j;

	EMIT(&p, END, );
	ASSERT_EQ(submit_region(&self->c, &r, sizeof(r)), 0);
	REFUSE_ELEM(submit_region, &self->c, r,
		    { "unknown region", FIELD_OF(drm_snpu_region, index), SNPU_REGION_COUNT, EINVAL },
		    { "region twice", FIELD_OF(drm_snpu_region, index), SNPU_REGION_PROGRAM, EINVAL },
		    { "pad", FIELD_OF(drm_snpu_region, pad), 1, EINVAL },
		    { "address not aligned", FIELD_OF(drm_snpu_region, va), 0x10000020, EINVAL },
		    { "past the end", FIELD_OF(drm_snpu_region, va), (1ull << 48) - 64, EINVAL },
		    { "size 0", FIELD_OF(drm_snpu_region, size), 0, EINVAL },
		    { "size wraps", FIELD_OF(drm_snpu_region, size), ~0ull, EINVAL });
	job_init(&j, &self->c, 0);
	j.regions[0].index = SNPU_REGION_SCRATCH;
	EXPECT_EQ(submit(&self->c, &j), -EINVAL);	/* no program */
	job_init(&j, &self->c, (uint32_t)self->c.code.size);
	EXPECT_EQ(submit(&self->c, &j), -EINVAL);	/* entry past the program */
}

static int submit_sync(void *cookie, const void *elem, size_t size)
{
	struct ctx *c = cookie;
	struct job j;

	job_init(&j, c, 0);
	job_sync(&j, 0, 0, 0);
	memcpy(&j.syncs[0], elem, size);
	return submit(c, &j);
}

TEST_F(card, submit_sync_refusals)
{
	struct drm_snpu_sync s = { DRM_SNPU_SYNC_TIMELINE | DRM_SNPU_SYNC_SIGNAL, syncobj(self->c.fd), 7 };
	struct drm_snpu_sync w = { DRM_SNPU_SYNC_SYNCOBJ, syncobj(self->c.fd), 0 };
	struct prog p = prog_at(&self->c, 0);

	EMIT(&p, END, );
	REFUSE_ELEM(submit_sync, &self->c, s,
		    { "unknown type", FIELD_OF(drm_snpu_sync, flags), DRM_SNPU_SYNC_SIGNAL | 2, EINVAL },
		    { "unknown flag", FIELD_OF(drm_snpu_sync, flags), DRM_SNPU_SYNC_SIGNAL | 1 << 30 | 1, EINVAL },
		    { "no such syncobj", FIELD_OF(drm_snpu_sync, handle), 4242, ENOENT },
		    { "timeline point 0", FIELD_OF(drm_snpu_sync, point), 0, EINVAL },
		    { "binary with a point", FIELD_OF(drm_snpu_sync, flags), DRM_SNPU_SYNC_SIGNAL, EINVAL });
	EXPECT_EQ(submit_sync(&self->c, &w, sizeof(w)), -EINVAL);	/* waits for a fence that is not there */
	EXPECT_EQ(submit_sync(&self->c, &s, sizeof(s)), 0);
	EXPECT_EQ(timeline_wait(self->c.fd, s.handle, 7), 0);
}

TEST_F(card, refused_submit_touches_nothing)
{
	struct prog p = prog_at(&self->c, 0);
	struct drm_snpu_queue_state st;
	struct job good, bad;
	struct drm_snpu_job both[2];
	uint32_t h = syncobj(self->c.fd);

	EMIT(&p, END, );
	job_init(&good, &self->c, 0);
	job_sync(&good, DRM_SNPU_SYNC_SIGNAL, h, 0);
	job_init(&bad, &self->c, 0);
	bad.regions[1].pad = 1;
	both[0] = good.job;
	both[1] = bad.job;
	EXPECT_EQ(submit_jobs(self->c.fd, self->c.queue, both, 2), -EINVAL);
	ASSERT_EQ(queue_state(self->c.fd, self->c.queue, &st), 0);
	EXPECT_EQ(st.submitted, 0);
	EXPECT_EQ(sync_status(self->c.fd, h), -EINVAL);			/* still without a fence */
}

/* Two buffers in two address spaces, in either order: each lock has to wait for the other side now and then, and to begin again. */
static int bind_both(const struct ctx *c, uint32_t vm, const uint32_t bo[2], int turns)
{
	int ret = 0;

	for (int i = 0; i < turns && !ret; i++) {
		ret = vm_map(c->fd, vm, bo[0], 0, 1ull << 30, PAGE, BIND_RW);
		if (!ret)
			ret = vm_map(c->fd, vm, bo[1], 0, (1ull << 30) + PAGE, PAGE, BIND_RW);
		if (!ret)
			ret = vm_unmap(c->fd, vm, 1ull << 30, 2 * PAGE);
	}
	return ret;
}

TEST_F(card, two_sides_unmap_the_same_buffers)
{
	uint32_t bo[2], swapped[2], vm;
	int status = -1;
	pid_t pid;

	ASSERT_EQ(vm_create(self->c.fd, &vm), 0);
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(bo_create(self->c.fd, PAGE, 0, &bo[i]), 0);
		swapped[1 - i] = bo[i];
	}
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid)
		_exit(bind_both(&self->c, vm, swapped, 300) != 0);
	EXPECT_EQ(bind_both(&self->c, self->c.vm, bo, 300), 0);
	EXPECT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
}

TEST_F(card, unknown_ioctl)
{
	struct drm_snpu_submit a = { 0 };

	EXPECT_EQ(k_ioctl(self->c.fd, DRM_IOWR(DRM_COMMAND_BASE + 0x3f, struct drm_snpu_submit), &a), -EINVAL);
}

TEST_HARNESS_MAIN
