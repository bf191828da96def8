// SPDX-License-Identifier: MIT
/*
 * Random calls of everything the driver offers, from several processes at a time: mostly valid, in any order, with
 * mappings, forks, kills and closes in between. Whatever an ordinary user does, each call must end with one of the errors
 * its description names; none may need a reset of the card; afterwards the card must work and its memory must be free again.
 *
 * A process draws its calls from a seed and its number, which are printed, so a sequence can be had again; how the
 * processes meet differs from run to run. The environment may set SNPU_FUZZ_SEED, SNPU_FUZZ_PROCS, SNPU_FUZZ_CALLS (of
 * each process), SNPU_FUZZ_STOP, after how many seconds no more are made (0: never), and SNPU_FUZZ_SECONDS, when the test
 * has failed if it is not over. With SNPU_FUZZ_LOSE=1 somebody resets or takes away the card
 * meanwhile: then calls may also say so, and nothing is asked of the card afterwards.
 */
#include <sys/eventfd.h>

#include "kself.h"

#define MAX_BOS		24
#define MAX_VMS		5
#define MAX_QUEUES	5
#define MAX_SYNCS	8
#define MAX_OPS		6		/* of one VM_BIND */
#define MAX_JOBS	5		/* of one SUBMIT */
#define VA_BASE		0x10000000ull
#define VA_SLOTS	16		/* 64 KiB apart, or 2 MiB */
#define HOST_MAX	(16u << 20)	/* so that pinning does not use up a small machine */

/* Calls that succeeded, of all processes: [ioctl number], and all that were made. */
static uint64_t *fuzz_good, *fuzz_made;
static bool fuzz_lose;

struct fuzz_bo {
	uint32_t handle;
	uint64_t size;
	uint8_t *map;
};

struct fuzz {
	uint64_t rng;
	int fd, call, proc;
	bool child, spoiling;
	struct fuzz_bo bos[MAX_BOS];
	uint32_t vms[MAX_VMS], queues[MAX_QUEUES], syncs[MAX_SYNCS];
	volatile uint32_t *doorbell;		/* of the last user queue, or NULL */
	/* Arrays that calls point to. */
	struct drm_snpu_vm_bind_op ops[MAX_OPS];
	struct drm_snpu_job jobs[MAX_JOBS];
	struct drm_snpu_region regions[MAX_JOBS][3];
	struct drm_snpu_sync sync[MAX_JOBS][3];
};

/* splitmix64 */
static uint64_t rnd(struct fuzz *f)
{
	uint64_t z = f->rng += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static uint32_t below(struct fuzz *f, uint32_t n)
{
	return (uint32_t)(rnd(f) % n);
}

static bool one_in(struct fuzz *f, uint32_t n)
{
	return !below(f, n);
}

/* A number out of a table of live ones; now and then one that was never there. */
static uint32_t pick(struct fuzz *f, const uint32_t *ids, uint32_t n)
{
	return one_in(f, 24) ? (uint32_t)rnd(f) : ids[below(f, n)];
}

static struct fuzz_bo *pick_bo(struct fuzz *f)
{
	return &f->bos[below(f, MAX_BOS)];
}

/* In some calls, spoils one field now and then: a bit, or a value from the edges. */
static void spoil(struct fuzz *f, void *arg, size_t size)
{
	static const uint64_t edges[] = { 0, 1, 8, 4095, 4096, 0x7fffffff, 0xffffffff, 1ull << 47, 1ull << 48, ~0ull - 4095, ~0ull };
	uint64_t v = edges[below(f, sizeof(edges) / sizeof(edges[0]))];
	size_t len = one_in(f, 2) ? 4 : 8, off = below(f, (uint32_t)(size / len)) * len;

	if (!f->spoiling || !one_in(f, 6))
		return;
	if (one_in(f, 2))
		((uint8_t *)arg)[below(f, (uint32_t)size)] ^= (uint8_t)(1u << below(f, 8));
	else
		memcpy((uint8_t *)arg + off, &v, len);
}

/* Where an array is: as a rule where it was built, else in a buffer's mapping, which may fault, or nowhere. */
static uint64_t place(struct fuzz *f, const void *array, size_t size)
{
	struct fuzz_bo *bo = pick_bo(f);

	if (one_in(f, 8) && bo->map && size <= bo->size) {
		memcpy(bo->map, array, size);
		return (uintptr_t)bo->map;
	}
	return one_in(f, 64) ? rnd(f) >> below(f, 64) : (uintptr_t)array;
}

/* An ordinary user's call may end like this. Not -EIO: nothing a user does may cost the card a reset. */
static int check(struct fuzz *f, const char *what, int ret)
{
	static const int fine[] = { 0, -EINVAL, -ENOENT, -EFAULT, -ENOMEM, -ENOSPC, -E2BIG, -EACCES, -ECANCELED, -EDQUOT, -EOPNOTSUPP,
				    -ETIME, -EBADF };

	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
		if (ret == fine[i])
			return ret;
	if (fuzz_lose && (ret == -EIO || ret == -ENODEV))
		return ret;
	printf("# process %d, call %d: %s ended with %d (%s)\n", f->proc, f->call, what, ret, strerror(-ret));
	_exit(1);
}

static int call(struct fuzz *f, const char *what, unsigned long nr, void *arg)
{
	int ret = check(f, what, k_ioctl(f->fd, nr, arg));

	if (!ret)
		__atomic_add_fetch(&fuzz_good[_IOC_NR(nr) - DRM_COMMAND_BASE], 1, __ATOMIC_RELAXED);
	return ret;
}
#define CALL(f, name, arg) call(f, #name, DRM_IOCTL_SNPU_##name, arg)

/* --- buffers --- */
static void bo_unmap(struct fuzz_bo *bo)
{
	if (bo->map)
		munmap(bo->map, bo->size);
	bo->map = NULL;
}

static void fuzz_bo_create(struct fuzz *f)
{
	struct drm_snpu_bo_create a = { .size = (1 + below(f, 64)) * PAGE, .flags = below(f, 2) };
	struct fuzz_bo *bo = pick_bo(f);

	if (one_in(f, 16))
		a.size = 2u << 20;
	spoil(f, &a, sizeof(a));
	if (!(a.flags & DRM_SNPU_BO_DEVICE) && a.size > HOST_MAX && a.size < 1ull << 40)
		a.size &= HOST_MAX - 1;
	if (bo->handle)
		drmCloseBufferHandle(f->fd, bo->handle);
	bo_unmap(bo);
	memset(bo, 0, sizeof(*bo));
	if (!CALL(f, BO_CREATE, &a)) {
		bo->handle = a.handle;
		bo->size = a.size;
	}
}

static void fuzz_bo_map(struct fuzz *f)
{
	struct fuzz_bo *bo = pick_bo(f);
	struct drm_snpu_bo_mmap_offset a = { .handle = one_in(f, 24) ? below(f, 100) : bo->handle };

	bo_unmap(bo);
	spoil(f, &a, sizeof(a));
	if (CALL(f, BO_MMAP_OFFSET, &a) || a.handle != bo->handle)
		return;
	void *p = mmap(NULL, bo->size, PROT_READ | PROT_WRITE, one_in(f, 16) ? MAP_PRIVATE : MAP_SHARED, f->fd, (off_t)a.offset);

	if (p == MAP_FAILED)
		return;
	bo->map = p;
	bo->map[below(f, (uint32_t)bo->size)] = 1;
	/* A hole in it, and then all of it: a part that stays holds the file, with everything in it, as long as the process lives. */
	if (one_in(f, 16)) {
		munmap(bo->map + bo->size / 2 / PAGE * PAGE, PAGE);
		bo_unmap(bo);
	}
}

/* A buffer of memory of our own, of a kind that is taken, or of whatever another buffer is mapped at. */
static void fuzz_bo_userptr(struct fuzz *f)
{
	struct fuzz_bo *bo = pick_bo(f), *other = pick_bo(f);
	uint64_t size = (1 + below(f, 16)) * PAGE;
	bool ro = one_in(f, 4), shared = one_in(f, 4);
	void *p = mmap(NULL, size, ro ? PROT_READ : PROT_READ | PROT_WRITE, MAP_ANONYMOUS | (shared ? MAP_SHARED : MAP_PRIVATE), -1, 0);
	struct drm_snpu_bo_userptr a = { .addr = (uintptr_t)p, .size = size, .flags = ro ? DRM_SNPU_BO_USERPTR_READONLY : 0 };

	if (p == MAP_FAILED)
		return;
	if (one_in(f, 8) && other->map) {
		a.addr = (uintptr_t)other->map;
		a.size = other->size;
	}
	spoil(f, &a, sizeof(a));
	if (bo->handle)
		drmCloseBufferHandle(f->fd, bo->handle);
	bo_unmap(bo);
	memset(bo, 0, sizeof(*bo));
	if (!CALL(f, BO_USERPTR, &a)) {
		bo->handle = a.handle;
		bo->size = a.size;
	}
	/* Half of the time the memory goes now, and the buffer keeps its pages. */
	if (bo->handle && a.addr == (uintptr_t)p && a.size == size && !ro && one_in(f, 2))
		bo->map = p;
	else
		munmap(p, size);
}

/* Through a dma-buf to another open file, which is closed with it. */
static void fuzz_prime_away(struct fuzz *f, int dmabuf)
{
	uint32_t handle = 0;
	int fd = card_open();

	if (fd < 0)
		return;
	if (drmPrimeFDToHandle(fd, dmabuf, &handle) && !fuzz_lose)
		check(f, "import of a buffer of the same card", -EBADMSG);
	close(fd);
}

/* Through a dma-buf and back. */
static void fuzz_prime(struct fuzz *f)
{
	struct fuzz_bo *bo = pick_bo(f);
	uint32_t handle = 0;
	int fd = -1;

	if (drmPrimeHandleToFD(f->fd, bo->handle, DRM_CLOEXEC | DRM_RDWR, &fd))
		return;
	if (one_in(f, 4))
		fuzz_prime_away(f, fd);
	/* The same file gives the same handle, and no second reference to it. */
	if ((drmPrimeFDToHandle(f->fd, fd, &handle) || handle != bo->handle) && !fuzz_lose)
		check(f, "import of a buffer's own dma-buf", -EBADMSG);
	close(fd);
}

/* A program: fills, an endless loop, or whatever lay there with a bit turned over. */
static void fuzz_program(struct fuzz *f)
{
	struct fuzz_bo *bo = pick_bo(f);

	if (!bo->map || bo->size < PAGE)
		return;
	struct prog p = { bo->map, bo->map };

	switch (below(f, 4)) {
	case 0:
		bo->map[below(f, 256)] ^= (uint8_t)(1u << below(f, 8));
		return;
	case 1:
		if (one_in(f, 4)) {
			prog_spin(&p);
			return;
		}
		break;
	}
	EMIT(&p, LOOP, .count = 1 + below(f, 1000));
	EMIT(&p, FILL, .dst = REF(OUTPUT, 0), .words = 1 + below(f, 64), .value = (uint32_t)rnd(f));
	EMIT(&p, NEXT, );
	EMIT(&p, COPY, .src = REF(INPUT, 0), .dst = REF(OUTPUT, 64), .words = 16);
	EMIT(&p, END, );
}

/* --- address spaces and queues --- */
static void fuzz_vm_create(struct fuzz *f)
{
	struct drm_snpu_vm_create a = { 0 };
	uint32_t *vm = &f->vms[below(f, MAX_VMS)];

	spoil(f, &a, sizeof(a));
	if (*vm)
		check(f, "VM_DESTROY", vm_destroy(f->fd, *vm));
	*vm = CALL(f, VM_CREATE, &a) ? 0 : a.vm_id;
}

static uint64_t pick_va(struct fuzz *f)
{
	uint64_t slot = below(f, VA_SLOTS);

	return VA_BASE + (one_in(f, 2) ? slot << 16 : slot << 21) + (one_in(f, 4) ? (uint64_t)below(f, 16) * PAGE : 0);
}

static void fuzz_vm_bind(struct fuzz *f)
{
	struct drm_snpu_vm_bind a = { .vm_id = pick(f, f->vms, MAX_VMS), .ops = { sizeof(f->ops[0]), 1 + below(f, MAX_OPS), 0 } };

	for (uint32_t i = 0; i < a.ops.count; i++) {
		struct drm_snpu_vm_bind_op *op = &f->ops[i];
		struct fuzz_bo *bo = pick_bo(f);
		uint32_t pages = (uint32_t)(bo->size / PAGE);

		*op = (struct drm_snpu_vm_bind_op){ .op = below(f, 3) ? DRM_SNPU_VM_BIND_MAP : DRM_SNPU_VM_BIND_UNMAP, .va = pick_va(f) };
		if (op->op == DRM_SNPU_VM_BIND_MAP) {
			op->flags = one_in(f, 8) ? 1 + below(f, 2) : BIND_RW;
			op->handle = bo->handle;
			op->bo_offset = pages && one_in(f, 3) ? (uint64_t)below(f, pages) * PAGE : 0;
			op->size = bo->size - op->bo_offset;
		} else {
			op->size = one_in(f, 16) ? 1ull << 30 : (1ull + below(f, 64)) * PAGE;
		}
		spoil(f, op, sizeof(*op));
	}
	a.ops.array = place(f, f->ops, sizeof(f->ops));
	spoil(f, &a, sizeof(a));
	if (a.ops.count > MAX_OPS && a.ops.count < ~0u / 2)
		a.ops.count = MAX_OPS;
	CALL(f, VM_BIND, &a);
}

static void fuzz_queue(struct fuzz *f, uint32_t *queue)
{
	struct drm_snpu_queue_create a = { .vm_id = pick(f, f->vms, MAX_VMS), .priority = below(f, 2) };

	spoil(f, &a, sizeof(a));
	if (*queue)
		check(f, "QUEUE_DESTROY", queue_destroy(f->fd, *queue));
	*queue = CALL(f, QUEUE_CREATE, &a) ? 0 : a.queue_id;
}

/* --- user queues --- */

/* Ring and status lie wherever; the page of the last queue is kept, and rung also when the queue is no more. */
static void fuzz_user_queue(struct fuzz *f)
{
	struct drm_snpu_queue_create a = { .vm_id = pick(f, f->vms, MAX_VMS), .priority = below(f, 2), .flags = DRM_SNPU_QUEUE_USER,
					   .ring_va = pick_va(f), .status_va = pick_va(f), .ring_slots = 2u << below(f, 6) };
	uint32_t *queue = &f->queues[below(f, MAX_QUEUES)];
	void *page;

	spoil(f, &a, sizeof(a));
	if (*queue)
		check(f, "QUEUE_DESTROY", queue_destroy(f->fd, *queue));
	*queue = CALL(f, QUEUE_CREATE, &a) ? 0 : a.queue_id;
	if (!*queue || !(a.flags & DRM_SNPU_QUEUE_USER))
		return;
	page = bo_map(f->fd, a.doorbell, PAGE);
	if (page && f->doorbell)
		munmap((void *)f->doorbell, PAGE);
	if (page)
		f->doorbell = page;
	if (one_in(f, 2))
		drmCloseBufferHandle(f->fd, a.doorbell);
}

static void fuzz_ring(struct fuzz *f)
{
	if (f->doorbell)
		f->doorbell[one_in(f, 4) ? below(f, PAGE / 4) : SNPU_DB_TAIL / 4] = one_in(f, 4) ? (uint32_t)rnd(f) : below(f, 8);
}

static void fuzz_queue_wait(struct fuzz *f)
{
	struct drm_snpu_queue_wait a = { .queue_id = pick(f, f->queues, MAX_QUEUES), .seqno = below(f, 8),
					 .timeout_ns = one_in(f, 2) ? 0 : deadline_ns(0) + below(f, 1000000) };

	if (one_in(f, 8))
		a.flags = below(f, 3);
	CALL(f, QUEUE_WAIT, &a);
}

static void fuzz_queue_eventfd(struct fuzz *f)
{
	struct drm_snpu_queue_eventfd a = { .queue_id = pick(f, f->queues, MAX_QUEUES) };
	int fd = eventfd(0, EFD_CLOEXEC);

	a.fd = one_in(f, 4) ? -1 : one_in(f, 4) ? f->fd : fd;
	spoil(f, &a, sizeof(a));
	CALL(f, QUEUE_EVENTFD, &a);
	close(fd);
}

static void fuzz_queue_create(struct fuzz *f)
{
	fuzz_queue(f, &f->queues[below(f, MAX_QUEUES)]);
}

static void fuzz_queue_at(struct fuzz *f, uint32_t id)
{
	for (int i = 0; i < MAX_QUEUES; i++)
		if (id && f->queues[i] == id)
			fuzz_queue(f, &f->queues[i]);
}

static void fuzz_queue_state(struct fuzz *f)
{
	struct drm_snpu_queue_state a = { .queue_id = pick(f, f->queues, MAX_QUEUES) };

	spoil(f, &a, sizeof(a));
	if (!CALL(f, QUEUE_STATE, &a) && a.flags & (DRM_SNPU_QUEUE_LOST | DRM_SNPU_QUEUE_TIMEDOUT))
		check(f, "a queue that was lost: QUEUE_STATE", -EIO);
}

/* --- jobs --- */
static void fuzz_job(struct fuzz *f, uint32_t k)
{
	static const uint32_t names[3] = { SNPU_REGION_PROGRAM, SNPU_REGION_OUTPUT, SNPU_REGION_INPUT };
	struct drm_snpu_job *job = &f->jobs[k];
	uint32_t syncs = below(f, 4);

	memset(job, 0, sizeof(*job));
	for (int i = 0; i < 3; i++) {
		f->regions[k][i] = (struct drm_snpu_region){ names[i], 0, pick_va(f), (1ull + below(f, 16)) * PAGE };
		spoil(f, &f->regions[k][i], sizeof(f->regions[k][i]));
	}
	for (uint32_t i = 0; i < syncs; i++) {
		uint32_t timeline = below(f, 2), signal = one_in(f, 3) ? 0 : DRM_SNPU_SYNC_SIGNAL;

		f->sync[k][i] = (struct drm_snpu_sync){ timeline | signal, pick(f, f->syncs, MAX_SYNCS), timeline ? 1 + below(f, 200) : 0 };
		spoil(f, &f->sync[k][i], sizeof(f->sync[k][i]));
	}
	job->regions = (struct drm_snpu_obj_array){ sizeof(f->regions[k][0]), 3, place(f, f->regions[k], sizeof(f->regions[k])) };
	if (syncs)
		job->syncs = (struct drm_snpu_obj_array){ sizeof(f->sync[k][0]), syncs, place(f, f->sync[k], sizeof(f->sync[k])) };
	spoil(f, job, sizeof(*job));
}

static void fuzz_submit(struct fuzz *f)
{
	struct drm_snpu_submit a = { .queue_id = pick(f, f->queues, MAX_QUEUES), .jobs = { sizeof(f->jobs[0]), 1 + below(f, MAX_JOBS), 0 } };

	for (uint32_t k = 0; k < a.jobs.count; k++)
		fuzz_job(f, k);
	a.jobs.array = place(f, f->jobs, sizeof(f->jobs));
	spoil(f, &a, sizeof(a));
	/* A queue that faulted takes no more. */
	if (CALL(f, SUBMIT, &a) == -ECANCELED && one_in(f, 2))
		fuzz_queue_at(f, a.queue_id);
}

static void fuzz_sync(struct fuzz *f)
{
	uint32_t *h = &f->syncs[below(f, MAX_SYNCS)];
	uint64_t point = 1 + below(f, 200);

	switch (below(f, 6)) {
	case 0:
		if (*h)
			drmSyncobjDestroy(f->fd, *h);
		*h = syncobj(f->fd);
		break;
	case 1:
		drmSyncobjSignal(f->fd, h, 1);
		break;
	case 2:
		drmSyncobjReset(f->fd, h, 1);
		break;
	case 3:
		drmSyncobjTimelineSignal(f->fd, h, &point, 1);
		break;
	case 4:
		sync_status(f->fd, *h);
		break;
	default:
		drmSyncobjWait(f->fd, h, 1, deadline_ns(0) + 300000, 0, NULL);
	}
}

static void fuzz_query(struct fuzz *f)
{
	uint8_t answer[128] = { 0 };
	struct drm_snpu_dev_query a = { below(f, 4), sizeof(answer), place(f, answer, sizeof(answer)) };

	spoil(f, &a, sizeof(a));
	/* What a spoiled size says about our memory must be true. */
	if (a.pointer == (uintptr_t)answer && a.size > sizeof(answer))
		a.size = sizeof(answer);
	else if (a.pointer != (uintptr_t)answer)
		a.pointer = 0;
	CALL(f, DEV_QUERY, &a);
}

/* --- files and processes --- */
static void fuzz_some(struct fuzz *f, int calls);

/* A file with something of everything, most of the time. */
static void fuzz_open(struct fuzz *f)
{
	f->spoiling = false;
	f->fd = card_open();
	if (f->fd < 0 && fuzz_lose)
		_exit(0);
	if (f->fd < 0)
		check(f, "open", f->fd);
	for (int i = 0; i < MAX_BOS; i++)
		fuzz_bo_create(f);
	for (int i = 0; i < MAX_SYNCS; i++)
		f->syncs[i] = syncobj(f->fd);
	for (int i = 0; i < MAX_VMS; i++)
		fuzz_vm_create(f);
	for (int i = 0; i < MAX_QUEUES; i++)
		fuzz_queue_create(f);
}

/* Everything the file has goes at once, mappings before or after. */
static void fuzz_reopen(struct fuzz *f)
{
	bool first = one_in(f, 2);

	for (int i = 0; i < MAX_BOS && first; i++)
		bo_unmap(&f->bos[i]);
	close(f->fd);
	for (int i = 0; i < MAX_BOS && !first; i++)
		bo_unmap(&f->bos[i]);
	if (f->doorbell)
		munmap((void *)f->doorbell, PAGE);
	f->doorbell = NULL;
	memset(f->bos, 0, sizeof(f->bos));
	memset(f->vms, 0, sizeof(f->vms));
	memset(f->queues, 0, sizeof(f->queues));
	memset(f->syncs, 0, sizeof(f->syncs));
	fuzz_open(f);
}

/* A child with the same file, or with one of its own; it leaves by itself or is killed in the middle of something. */
static void fuzz_fork(struct fuzz *f)
{
	bool own = one_in(f, 2), killed = one_in(f, 2);
	uint32_t us = below(f, 3000);
	int status;

	if (f->child)
		return;
	pid_t pid = fork();

	if (!pid) {
		f->child = true;
		f->doorbell = NULL;		/* not inherited */
		if (own)
			fuzz_reopen(f);
		fuzz_some(f, killed ? 100000 : 20);
		_exit(0);
	}
	if (pid < 0)
		return;
	if (killed) {
		usleep(us);
		kill(pid, SIGKILL);
	}
	if (waitpid(pid, &status, 0) != pid || (WIFEXITED(status) ? WEXITSTATUS(status) != 0 : !killed))
		check(f, "a child", -ECHILD);
}

static void fuzz_some(struct fuzz *f, int calls)
{
	static const struct {
		void (*fn)(struct fuzz *f);
		int weight;
	} what[] = {
		{ fuzz_bo_create, 12 }, { fuzz_bo_map, 12 }, { fuzz_prime, 2 }, { fuzz_program, 16 }, { fuzz_vm_create, 2 },
		{ fuzz_vm_bind, 24 }, { fuzz_queue_create, 4 }, { fuzz_queue_state, 6 }, { fuzz_submit, 30 }, { fuzz_sync, 24 },
		{ fuzz_query, 4 }, { fuzz_bo_userptr, 8 }, { fuzz_user_queue, 4 }, { fuzz_ring, 8 }, { fuzz_queue_wait, 4 },
		{ fuzz_queue_eventfd, 3 },
	};

	for (int i = 0; i < calls; i++, f->call++) {
		int w = (int)below(f, 163);

		f->spoiling = one_in(f, 3);
		if (one_in(f, 400))
			fuzz_fork(f);
		if (one_in(f, 400))
			fuzz_reopen(f);
		for (size_t k = 0; k < sizeof(what) / sizeof(what[0]); k++) {
			if ((w -= what[k].weight) < 0) {
				what[k].fn(f);
				break;
			}
		}
	}
}

static uint64_t setting(const char *name, uint64_t value)
{
	const char *s = getenv(name);

	return s ? strtoull(s, NULL, 0) : value;
}

static uint64_t device_used(int fd)
{
	struct drm_snpu_query_memory m = { 0 };
	struct drm_snpu_dev_query q = { DRM_SNPU_QUERY_MEMORY, sizeof(m), (uintptr_t)&m };

	return k_ioctl(fd, DRM_IOCTL_SNPU_DEV_QUERY, &q) ? ~0ull : m.device_used;
}

static void fuzz_process(uint64_t seed, int proc, int calls, int64_t stop)
{
	struct fuzz *f = calloc(1, sizeof(*f));

	if (!f)
		_exit(2);
	f->rng = seed * 1000003 + (uint64_t)proc;
	f->proc = proc;
	fuzz_open(f);
	for (int n; calls > 0 && (!stop || deadline_ns(0) < stop); calls -= n) {
		n = calls < 100 ? calls : 100;
		fuzz_some(f, n);
		__atomic_add_fetch(fuzz_made, (uint64_t)n, __ATOMIC_RELAXED);
	}
	fflush(stdout);
	_exit(0);
}

TEST_TIMEOUT(random_calls_from_several_processes, 240)
{
	uint64_t seed = setting("SNPU_FUZZ_SEED", 1), stop = setting("SNPU_FUZZ_STOP", 0), used;
	int procs = (int)setting("SNPU_FUZZ_PROCS", 4), calls = (int)setting("SNPU_FUZZ_CALLS", 6000), status;
	struct ctx c;

	alarm((unsigned int)setting("SNPU_FUZZ_SECONDS", 240));
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("# seed %llu, %d processes, %d calls each\n", (unsigned long long)seed, procs, calls);
	fuzz_lose = setting("SNPU_FUZZ_LOSE", 0);
	fuzz_good = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(fuzz_good, MAP_FAILED);
	fuzz_made = &fuzz_good[PAGE / sizeof(*fuzz_good) - 1];
	ASSERT_EQ(ctx_open(&c), 0);
	used = device_used(c.fd);
	for (int i = 0; i < procs; i++) {
		pid_t pid = fork();

		ASSERT_GE(pid, 0);
		if (!pid)
			fuzz_process(seed, i, calls, stop ? deadline_ns((int)stop) : 0);
	}
	for (int i = 0; i < procs; i++) {
		ASSERT_GT(wait(&status), 0);
		EXPECT_EQ(status, 0);
	}
	printf("# %llu calls were made\n", (unsigned long long)*fuzz_made);
	if (fuzz_lose)
		return;
	/* Calls that are all refused would show nothing; destroying is not counted here. */
	for (int nr = DRM_SNPU_DEV_QUERY; nr <= DRM_SNPU_BO_USERPTR; nr++) {
		printf("# ioctl %d: %llu succeeded\n", nr, (unsigned long long)fuzz_good[nr]);
		if (nr <= DRM_SNPU_SUBMIT ? nr != DRM_SNPU_VM_DESTROY && nr != DRM_SNPU_QUEUE_DESTROY : nr == DRM_SNPU_BO_USERPTR)
			EXPECT_GE(fuzz_good[nr], (unsigned long long)*fuzz_made / 400);
	}
	/* Our own queue was there all the time; queues of killed processes end in the background. */
	EXPECT_EQ(run_fill(&c, 0xf022), 1);
	for (int i = 0; i < 100 && device_used(c.fd) != used; i++)
		usleep(100000);
	EXPECT_EQ(device_used(c.fd), used);
	close(c.fd);
}

TEST_HARNESS_MAIN
