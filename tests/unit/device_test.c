/* SPDX-License-Identifier: MIT */
/*
 * The device level without a program: names and options, enumeration, size-first structures, the sentence of each thread, the
 * null backend, and the simulator's device memory. What needs a job is in tests/conformance.
 */
#include <pthread.h>

#include "backend/sim/sim.h"
#include "core/fail.h"
#include "snpu/snpu.h"
#include "tests/harness.h"

/* --- fail.h ---------------------------------------------------------------------------------------------------- */

struct opts {
	size_t sz;
	uint32_t a, b;
};

TEST(size_first_structures)
{
	struct { struct opts o; uint32_t more[2]; } big = { { sizeof(big), 1, 2 }, { 0, 0 } };
	struct opts in, small = { offsetof(struct opts, b), 7, 9 };

	ASSERT_EQ(snpu_opts_in(&in, sizeof(in), NULL, "opts"), 0);
	EXPECT_EQ(in.a, 0);
	ASSERT_EQ(snpu_opts_in(&in, sizeof(in), &small, "opts"), 0);
	EXPECT_EQ(in.a, 7);
	EXPECT_EQ(in.b, 0);			/* the caller does not know b */
	ASSERT_EQ(snpu_opts_in(&in, sizeof(in), &big, "opts"), 0);
	EXPECT_EQ(in.b, 2);
	big.more[1] = 1;
	EXPECT_EQ(snpu_opts_in(&in, sizeof(in), &big, "opts"), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "byte 20 is set");
	small.sz = 3;
	EXPECT_EQ(snpu_opts_in(&in, sizeof(in), &small, "opts"), -EINVAL);
	small.sz = (size_t)1 << 40;		/* would be read far out of bounds */
	EXPECT_EQ(snpu_opts_in(&in, sizeof(in), &small, "opts"), -EINVAL);

	big.more[0] = big.more[1] = 5;
	in = (struct opts){ sizeof(in), 3, 4 };
	ASSERT_EQ(snpu_opts_out(&big, &in, sizeof(in), "opts"), 0);
	EXPECT_EQ(big.o.sz, sizeof(big));
	EXPECT_EQ(big.o.b, 4);
	EXPECT_EQ(big.more[1], 0);
	small = (struct opts){ offsetof(struct opts, b), 0, 9 };
	ASSERT_EQ(snpu_opts_out(&small, &in, sizeof(in), "opts"), 0);
	EXPECT_EQ(small.a, 3);
	EXPECT_EQ(small.b, 9);			/* not ours to write */
	EXPECT_EQ(snpu_opts_out(NULL, &in, sizeof(in), "opts"), -EINVAL);
}

static void *other_thread(void *arg)
{
	int *ok = arg;

	*ok = !*snpu_last_error() && snpu_fail(-EIO, "other") == -EIO && !strcmp(snpu_last_error(), "other");
	return NULL;
}

TEST(each_thread_has_its_sentence)
{
	char expect[1024];
	pthread_t t;
	int ok = 0;

	EXPECT_STREQ(snpu_last_error(), "");
	EXPECT_EQ(snpu_fail(-EINVAL, "number %d", 5), -EINVAL);
	ASSERT_EQ(pthread_create(&t, NULL, other_thread, &ok), 0);
	pthread_join(t, NULL);
	EXPECT_TRUE(ok);
	EXPECT_STREQ(snpu_last_error(), "number 5");
	snpu_fail(-EINVAL, "again: %s", snpu_last_error());
	EXPECT_STREQ(snpu_last_error(), "again: number 5");
	snpu_fail_in(-EINVAL, "layer '%s'", "fc1");
	EXPECT_STREQ(snpu_last_error(), "layer 'fc1': again: number 5");
	memset(expect, 'a', sizeof(expect));
	expect[sizeof(expect) - 1] = 0;
	snpu_fail_in(-EINVAL, "%s", expect);	/* cut, not overrun */
	EXPECT_EQ(strlen(snpu_last_error()), 1023);
	EXPECT_EQ(strcmp(snpu_version(), "0.1.0"), 0);
}

TEST(checked_arithmetic)
{
	uint64_t r;

	EXPECT_FALSE(snpu_mul(1ull << 33, 1ull << 31, &r));
	EXPECT_TRUE(snpu_mul(1ull << 32, 1ull << 31, &r));
	EXPECT_FALSE(snpu_add(UINT64_MAX, 1, &r));
	EXPECT_TRUE(snpu_range_ok(10, 0, 10));
	EXPECT_FALSE(snpu_range_ok(11, 0, 10));
	EXPECT_FALSE(snpu_range_ok(4, UINT64_MAX, 10));
}

/* --- devices --------------------------------------------------------------------------------------------------- */

TEST(devices_are_listed)
{
	struct snpu_device_info info = { .sz = sizeof(info) };
	bool sim = false, cpu = false;
	unsigned int n = 0;
	int err;

	for (; !(err = snpu_devices(n, &info)); n++) {
		sim |= info.kind == SNPU_KIND_SIMULATOR && !strcmp(info.name, "sim");
		cpu |= info.kind == SNPU_KIND_CPU && !strcmp(info.name, "cpu") && info.isa[0];
		EXPECT_NE(info.kind, SNPU_KIND_NULL);
		EXPECT_NE(info.description[0], 0);
	}
	EXPECT_EQ(err, -ENOENT);
	EXPECT_TRUE(sim && cpu);
	EXPECT_EQ(snpu_devices(1000000, &info), -ENOENT);
	EXPECT_EQ(snpu_devices(n - 1, NULL), -EINVAL);
	info.sz = 0;
	EXPECT_EQ(snpu_devices(n - 1, &info), -EINVAL);
}

TEST(names_and_options)
{
	static const char *const bad[] = { "", "CPU", "cards", "card-1", "card1x", "card99999999999", "cpu0", "card 0" };
	struct snpu_device_opts opts = { .sz = sizeof(opts) };
	struct snpu_device *dev;

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EXPECT_EQ(snpu_device_open(bad[i], NULL, &dev), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "use auto, card, card0, sim, cpu or null");
	EXPECT_EQ(snpu_device_open("card999", NULL, &dev), -ENODEV);
	EXPECT_EQ(snpu_device_open("cpu", NULL, NULL), -EINVAL);
	opts.flags = 2;
	EXPECT_EQ(snpu_device_open("cpu", &opts, &dev), -EINVAL);
	opts = (struct snpu_device_opts){ .sz = sizeof(opts), .cpu_isa = 4 };
	EXPECT_EQ(snpu_device_open("cpu", &opts, &dev), -EINVAL);
	opts = (struct snpu_device_opts){ .sz = sizeof(opts), .sim_memory = 4096 };
	EXPECT_EQ(snpu_device_open("sim", &opts, &dev), -EINVAL);
	opts.sim_memory = 1ull << 62;
	EXPECT_EQ(snpu_device_open("sim", &opts, &dev), -ENOMEM);
	EXPECT_CONTAINS(snpu_last_error(), "sim_memory");
	snpu_device_close(NULL);
	snpu_bo_free(NULL);
	snpu_vm_free(NULL);
	snpu_queue_free(NULL);
	snpu_fence_free(NULL);
	EXPECT_EQ(snpu_device_info(NULL, NULL), -EINVAL);
}

TEST(auto_falls_back_and_says_so)
{
	struct snpu_device_opts opts = { .sz = sizeof(opts), .flags = SNPU_OPEN_REQUIRE_CARD };
	struct snpu_device_info info = { .sz = sizeof(info) };
	struct snpu_device *dev;
	int err = snpu_device_open("card", NULL, &dev);

	if (!err) {
		snpu_device_close(dev);
		SKIP("there is a card here, so nothing falls back");
	}
	EXPECT_EQ(snpu_device_open("auto", &opts, &dev), err);
	ASSERT_EQ(snpu_device_open(NULL, NULL, &dev), 0);
	ASSERT_EQ(snpu_device_info(dev, &info), 0);
	EXPECT_EQ(info.kind, SNPU_KIND_CPU);
	EXPECT_CONTAINS(info.note, "card");
	snpu_device_close(dev);
}

TEST(kernels_by_environment_and_option)
{
	struct snpu_device_opts opts = { .sz = sizeof(opts) };
	struct snpu_device_info info = { .sz = sizeof(info) };
	struct snpu_device *dev;

	setenv("SNPU_CPU", "scalar", 1);
	ASSERT_EQ(snpu_device_open("cpu", &opts, &dev), 0);
	ASSERT_EQ(snpu_device_info(dev, &info), 0);
	EXPECT_STREQ(info.isa, "scalar");
	snpu_device_close(dev);
	setenv("SNPU_CPU", "avx3", 1);
	EXPECT_EQ(snpu_device_open("cpu", &opts, &dev), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "SNPU_CPU is 'avx3'");
	for (unsigned int i = 0; !snpu_devices(i, &info); i++)
		if (info.kind == SNPU_KIND_CPU) {	/* listed, with the reason why it cannot be opened */
			EXPECT_EQ(info.status, -EINVAL);
			EXPECT_CONTAINS(info.note, "avx3");
		}
	opts.cpu_isa = SNPU_CPU_SCALAR;		/* wins over the environment */
	ASSERT_EQ(snpu_device_open("cpu", &opts, &dev), 0);
	snpu_device_close(dev);
	setenv("SNPU_CPU", "avx512", 1);
	opts.cpu_isa = SNPU_CPU_AUTO;
	if (!__builtin_cpu_supports("avx512f")) {
		EXPECT_EQ(snpu_device_open("cpu", &opts, &dev), -ENOTSUP);
		EXPECT_CONTAINS(snpu_last_error(), "does not have");
	}
}

TEST(threads_by_environment_and_option)
{
	struct snpu_device_opts opts = { .sz = sizeof(opts), .cpu_threads = 3 };
	struct snpu_device_info info = { .sz = sizeof(info) };
	static const char *const bad[] = { "0", "-1", "two", "2x", "1025", "99999999999999999999999" };
	struct snpu_device *dev;

	setenv("SNPU_THREADS", "1", 1);
	ASSERT_EQ(snpu_device_open("cpu", NULL, &dev), 0);
	ASSERT_EQ(snpu_device_info(dev, &info), 0);
	EXPECT_CONTAINS(info.description, ", 1 thread");
	snpu_device_close(dev);
	ASSERT_EQ(snpu_device_open("cpu", &opts, &dev), 0);	/* the option wins */
	ASSERT_EQ(snpu_device_info(dev, &info), 0);
	EXPECT_CONTAINS(info.description, ", 3 threads");
	snpu_device_close(dev);
	opts.cpu_threads = 100000;
	EXPECT_EQ(snpu_device_open("cpu", &opts, &dev), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "cpu_threads is 100000");
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		setenv("SNPU_THREADS", bad[i], 1);
		EXPECT_EQ(snpu_device_open("cpu", NULL, &dev), -EINVAL);
		EXPECT_CONTAINS(snpu_last_error(), "SNPU_THREADS is '");
	}
}

/* A buffer around memory of the caller: bound for reading only, never written, never freed. */
TEST(buffers_around_the_callers_memory)
{
	uint8_t *mem = aligned_alloc(4096, 8192);
	struct snpu_device *dev;
	struct snpu_vm *vm;
	struct snpu_bo *bo;
	void *map;

	memset(mem, 7, 8192);
	ASSERT_EQ(snpu_device_open("cpu", NULL, &dev), 0);
	ASSERT_EQ(snpu_vm_create(dev, &vm), 0);
	EXPECT_EQ(snpu_bo_wrap(dev, mem + 64, 4096, &bo), -EINVAL);
	EXPECT_EQ(snpu_bo_wrap(dev, mem, 0, &bo), -EINVAL);
	ASSERT_EQ(snpu_bo_wrap(dev, mem, 5000, &bo), 0);
	EXPECT_EQ(snpu_bo_size(bo), 8192);
	ASSERT_EQ(snpu_bo_map(bo, &map), 0);
	EXPECT_EQ(map == mem, true);
	EXPECT_EQ(snpu_vm_bind(vm, bo, 0, 0x1000, 4096, SNPU_BIND_READ | SNPU_BIND_WRITE), -EACCES);
	EXPECT_EQ(snpu_vm_bind(vm, bo, 0, 0x1000, 4096, SNPU_BIND_WRITE), -EACCES);
	EXPECT_CONTAINS(snpu_last_error(), "for reading only");
	EXPECT_EQ(snpu_vm_bind(vm, bo, 4096, 0x1000, 4096, SNPU_BIND_READ), 0);
	snpu_bo_free(bo);
	snpu_vm_free(vm);
	snpu_device_close(dev);
	EXPECT_EQ(mem[0] + mem[8191], 14);
	ASSERT_EQ(snpu_device_open("sim", NULL, &dev), 0);
	EXPECT_EQ(snpu_bo_wrap(dev, mem, 4096, &bo), -ENOTSUP);
	snpu_device_close(dev);
	free(mem);
}

/* The template accepts everything and finishes at once. */
TEST(null_backend)
{
	struct snpu_job_region region = { .index = 0, .va = 0x1000, .size = 4096 };
	struct snpu_job job = { .sz = sizeof(job), .regions = &region, .n_regions = 1 };
	struct snpu_queue_status st = { .sz = sizeof(st) };
	struct snpu_device_info info = { .sz = sizeof(info) };
	struct snpu_device *dev;
	struct snpu_queue *q;
	struct snpu_fence *f;
	struct snpu_vm *vm;
	struct snpu_bo *bo;
	void *map;

	ASSERT_EQ(snpu_device_open("null", NULL, &dev), 0);
	ASSERT_EQ(snpu_device_info(dev, &info), 0);
	EXPECT_EQ(info.kind, SNPU_KIND_NULL);
	EXPECT_CONTAINS(info.description, "executes no packet");
	ASSERT_EQ(snpu_bo_create(dev, 5000, 0, &bo), 0);
	EXPECT_EQ(snpu_bo_size(bo), 8192);
	ASSERT_EQ(snpu_bo_map(bo, &map), 0);
	EXPECT_EQ(((char *)map)[8191], 0);
	ASSERT_EQ(snpu_vm_create(dev, &vm), 0);
	ASSERT_EQ(snpu_vm_bind(vm, bo, 0, 0x1000, 8192, SNPU_BIND_READ), 0);
	ASSERT_EQ(snpu_queue_create(vm, NULL, &q), 0);
	ASSERT_EQ(snpu_submit(q, &job, &f), 0);
	EXPECT_EQ(snpu_fence_wait(f, 0), 0);
	ASSERT_EQ(snpu_queue_status(q, &st), 0);
	EXPECT_EQ(st.completed, 1);
	snpu_device_close(dev);
	snpu_vm_free(vm);
	snpu_bo_free(bo);
	snpu_queue_free(q);
	snpu_fence_free(f);
}

TEST(objects_of_two_devices_do_not_mix)
{
	struct snpu_device *a, *b;
	struct snpu_vm *vm;
	struct snpu_bo *bo;

	ASSERT_EQ(snpu_device_open("cpu", NULL, &a), 0);
	ASSERT_EQ(snpu_device_open("cpu", NULL, &b), 0);
	ASSERT_EQ(snpu_vm_create(a, &vm), 0);
	ASSERT_EQ(snpu_bo_create(b, 4096, 0, &bo), 0);
	EXPECT_EQ(snpu_vm_bind(vm, bo, 0, 0x1000, 4096, SNPU_BIND_READ), -EINVAL);
	EXPECT_CONTAINS(snpu_last_error(), "another device");
	snpu_bo_free(bo);
	snpu_vm_free(vm);
	snpu_device_close(a);
	snpu_device_close(b);
}

/* --- the bindings against a plain model ------------------------------------------------------------------------- */

TEST(bindings_are_what_was_asked_for)
{
	enum { PAGES = 64 };
	int owner[PAGES], offset[PAGES];		/* owner -1: nothing */
	struct snpu_device *dev;
	struct snpu_bo *bo[3];
	struct snpu_vm *vm;

	memset(owner, -1, sizeof(owner));
	ASSERT_EQ(snpu_device_open("sim", NULL, &dev), 0);
	ASSERT_EQ(snpu_vm_create(dev, &vm), 0);
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(snpu_bo_create(dev, PAGES * 4096, i & 1 ? 0 : SNPU_BO_DEVICE, &bo[i]), 0);
	srand(1);
	for (int round = 0; round < 3000; round++) {
		int first = rand() % PAGES, n = 1 + rand() % (PAGES - first), b = rand() % 4, from = rand() % (PAGES - n + 1);

		if (b == 3)
			ASSERT_EQ(snpu_vm_unbind(vm, 0x10000 + first * 4096ull, n * 4096ull), 0);
		else
			ASSERT_EQ(snpu_vm_bind(vm, bo[b], from * 4096ull, 0x10000 + first * 4096ull, n * 4096ull, SNPU_BIND_READ), 0);
		for (int p = 0; p < n; p++) {
			owner[first + p] = b == 3 ? -1 : b;
			offset[first + p] = from + p;
		}
		for (int p = 0; p < PAGES; p++) {
			const struct snpu_binding *x = snpu_vm_find(vm, 0x10000 + p * 4096ull + 5);

			ASSERT_EQ(x != NULL, owner[p] >= 0);
			if (x) {
				ASSERT_EQ(x->bo == bo[owner[p]], true);
				ASSERT_EQ(x->offset + (0x10000 + p * 4096ull - x->va), offset[p] * 4096ull);
			}
		}
	}
	for (int i = 0; i < 3; i++)
		snpu_bo_free(bo[i]);
	snpu_vm_free(vm);
	snpu_device_close(dev);
}

/* --- the simulator's device memory ------------------------------------------------------------------------------- */

TEST(arena)
{
	enum { N = 200 };
	uint64_t off[N], size[N] = { 0 };
	struct arena a;

	ASSERT_EQ(arena_init(&a, 64ull << 20), 0);
	srand(2);
	for (int round = 0; round < 20000; round++) {
		int i = rand() % N;

		if (size[i]) {
			ASSERT_EQ(a.mem[off[i]], i);		/* nobody else wrote here */
			ASSERT_EQ(a.mem[off[i] + size[i] - 1], i);
			arena_free(&a, off[i], size[i]);
			size[i] = 0;
			continue;
		}
		size[i] = 4096ull << rand() % 10;
		if (arena_alloc(&a, size[i], &off[i])) {
			size[i] = 0;
			continue;
		}
		ASSERT_EQ(off[i] % (size[i] >= 65536 ? 65536 : 4096), 0);
		ASSERT_TRUE(off[i] <= a.size && size[i] <= a.size - off[i]);
		ASSERT_EQ(a.mem[off[i]], 0);			/* zeroed */
		ASSERT_EQ(a.mem[off[i] + size[i] - 1], 0);
		a.mem[off[i]] = a.mem[off[i] + size[i] - 1] = (uint8_t)i;
	}
	for (int i = 0; i < N; i++)
		if (size[i])
			arena_free(&a, off[i], size[i]);
	EXPECT_EQ(a.used, 0);
	EXPECT_EQ(a.n, 1);					/* all in one piece again */
	EXPECT_EQ(arena_alloc(&a, 65ull << 20, &off[0]), -ENOSPC);
	EXPECT_EQ(arena_alloc(&a, 64ull << 20, &off[0]), 0);
	EXPECT_EQ(arena_alloc(&a, 4096, &off[1]), -ENOSPC);
	arena_fini(&a);
}

TEST(sim_limits_and_memory_come_back)
{
	struct snpu_device_opts opts = { .sz = sizeof(opts), .sim_memory = 16 << 20 };
	struct snpu_device_info info = { .sz = sizeof(info) };
	static struct snpu_queue *q[SNPU_QUEUES + 1];
	struct snpu_device *dev;
	struct snpu_bo *bo, *more;
	struct snpu_vm *vm;

	ASSERT_EQ(snpu_device_open("sim", &opts, &dev), 0);
	ASSERT_EQ(snpu_vm_create(dev, &vm), 0);
	EXPECT_EQ(snpu_bo_create(dev, 32 << 20, SNPU_BO_DEVICE, &bo), -ENOSPC);
	ASSERT_EQ(snpu_bo_create(dev, 8 << 20, SNPU_BO_DEVICE, &bo), 0);
	ASSERT_EQ(snpu_bo_create(dev, 4096, 0, &more), 0);
	for (uint64_t i = 0; i < 20; i++)
		ASSERT_EQ(snpu_vm_bind(vm, bo, 4096 * i, (1ull << 30) * i, 1 << 20, SNPU_BIND_READ), 0);
	for (int i = 0; i < SNPU_QUEUES; i++)
		ASSERT_EQ(snpu_queue_create(vm, NULL, &q[i]), 0);
	EXPECT_EQ(snpu_queue_create(vm, NULL, &q[SNPU_QUEUES]), -ENOSPC);
	for (int i = 0; i < SNPU_QUEUES; i++)
		snpu_queue_free(q[i]);
	snpu_vm_free(vm);
	snpu_bo_free(bo);
	snpu_bo_free(more);
	ASSERT_EQ(snpu_device_info(dev, &info), 0);
	EXPECT_EQ(info.device_used, 0);
	snpu_device_close(dev);
}

TEST_HARNESS_MAIN
