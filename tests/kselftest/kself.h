/* SPDX-License-Identifier: MIT */
/*
 * What the driver's self tests share: opening the card, one call per ioctl that returns 0 or a negative errno,
 * buffers that are mapped on both sides, tiny programs, and the status a fence ended with. Uses the kernel's
 * contract and the card's packet layouts directly, not libsnpu, so that the tests see what any user space sees.
 * Single-threaded unless a test says otherwise.
 */
#ifndef SNPU_KSELF_H
#define SNPU_KSELF_H

#include <dirent.h>
#include <drm.h>
#include <fcntl.h>
#include <linux/sync_file.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <xf86drm.h>

#include "drm/snpu_accel.h"
#include "snpu_isa.h"
#include "snpu_regs.h"
#include "tests/harness.h"

#define PAGE		4096u
#define WAIT_S		60		/* longest a job may take on a busy, emulated machine */

#define U __attribute__((unused))

/* --- one function an ioctl --- */
U static int k_ioctl(int fd, unsigned long nr, void *arg)
{
	return drmIoctl(fd, nr, arg) ? -errno : 0;
}

/* Opens the n-th card, or returns -ENODEV. */
U static int card_open_nth(int n)
{
	for (int i = 0; i < 64; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/dev/accel/accel%d", i);
		int fd = open(path, O_RDWR | O_CLOEXEC);

		if (fd < 0)
			continue;
		drmVersionPtr v = drmGetVersion(fd);
		bool ours = v && !strcmp(v->name, "snpu");

		drmFreeVersion(v);
		if (ours && n-- == 0)
			return fd;
		close(fd);
	}
	return -ENODEV;
}

U static int card_open(void)
{
	return card_open_nth(0);
}

U static int bo_create(int fd, uint64_t size, uint32_t flags, uint32_t *handle)
{
	struct drm_snpu_bo_create a = { .size = size, .flags = flags };
	int ret = k_ioctl(fd, DRM_IOCTL_SNPU_BO_CREATE, &a);

	*handle = a.handle;
	return ret;
}

U static void *bo_map(int fd, uint32_t handle, size_t size)
{
	struct drm_snpu_bo_mmap_offset a = { .handle = handle };

	if (k_ioctl(fd, DRM_IOCTL_SNPU_BO_MMAP_OFFSET, &a))
		return NULL;
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)a.offset);

	return p == MAP_FAILED ? NULL : p;
}

U static int bo_userptr(int fd, const void *mem, uint64_t size, uint32_t flags, uint32_t *handle)
{
	struct drm_snpu_bo_userptr a = { .addr = (uintptr_t)mem, .size = size, .flags = flags };
	int ret = k_ioctl(fd, DRM_IOCTL_SNPU_BO_USERPTR, &a);

	*handle = a.handle;
	return ret;
}

U static int vm_create(int fd, uint32_t *vm)
{
	struct drm_snpu_vm_create a = { 0 };
	int ret = k_ioctl(fd, DRM_IOCTL_SNPU_VM_CREATE, &a);

	*vm = a.vm_id;
	return ret;
}

U static int vm_destroy(int fd, uint32_t vm)
{
	struct drm_snpu_vm_destroy a = { .vm_id = vm };

	return k_ioctl(fd, DRM_IOCTL_SNPU_VM_DESTROY, &a);
}

U static int vm_bind_ops(int fd, uint32_t vm, struct drm_snpu_vm_bind_op *ops, uint32_t n, uint32_t *done)
{
	struct drm_snpu_vm_bind a = { .vm_id = vm, .ops = { sizeof(*ops), n, (uintptr_t)ops } };
	int ret = k_ioctl(fd, DRM_IOCTL_SNPU_VM_BIND, &a);

	if (done)
		*done = a.done;
	return ret;
}

U static int vm_map(int fd, uint32_t vm, uint32_t handle, uint64_t off, uint64_t va, uint64_t size, uint32_t flags)
{
	struct drm_snpu_vm_bind_op op = { DRM_SNPU_VM_BIND_MAP, flags, handle, 0, off, va, size };

	return vm_bind_ops(fd, vm, &op, 1, NULL);
}

U static int vm_unmap(int fd, uint32_t vm, uint64_t va, uint64_t size)
{
	struct drm_snpu_vm_bind_op op = { .op = DRM_SNPU_VM_BIND_UNMAP, .va = va, .size = size };

	return vm_bind_ops(fd, vm, &op, 1, NULL);
}

U static int queue_create(int fd, uint32_t vm, uint32_t priority, uint32_t *queue)
{
	struct drm_snpu_queue_create a = { .vm_id = vm, .priority = priority };
	int ret = k_ioctl(fd, DRM_IOCTL_SNPU_QUEUE_CREATE, &a);

	*queue = a.queue_id;
	return ret;
}

U static int queue_destroy(int fd, uint32_t queue)
{
	struct drm_snpu_queue_destroy a = { .queue_id = queue };

	return k_ioctl(fd, DRM_IOCTL_SNPU_QUEUE_DESTROY, &a);
}

U static int queue_state(int fd, uint32_t queue, struct drm_snpu_queue_state *st)
{
	memset(st, 0, sizeof(*st));
	st->queue_id = queue;
	return k_ioctl(fd, DRM_IOCTL_SNPU_QUEUE_STATE, st);
}

/* Bit p: the caller may create queues of priority p. */
U static uint32_t priority_mask(int fd)
{
	struct drm_snpu_query_info info = { 0 };
	struct drm_snpu_dev_query q = { DRM_SNPU_QUERY_INFO, sizeof(info), (uintptr_t)&info };

	return k_ioctl(fd, DRM_IOCTL_SNPU_DEV_QUERY, &q) ? 0 : info.priorities;
}

/* --- programs --- */
struct prog {
	uint8_t *at, *start;
};

#define PKT_INIT(NAME, ...) (struct snpu_pkt_##NAME) {							\
	.hdr = { .opcode = SNPU_OP_##NAME, .words = sizeof(struct snpu_pkt_##NAME) / 4 }, __VA_ARGS__ }
#define EMIT(prog_, NAME, ...) do {									\
	struct snpu_pkt_##NAME k_pkt = PKT_INIT(NAME, __VA_ARGS__);					\
	memcpy((prog_)->at, &k_pkt, sizeof(k_pkt));							\
	(prog_)->at += sizeof(k_pkt);									\
} while (0)
#define REF(region_, off_) { .addr = SNPU_REF_ADDR(SNPU_REGION_##region_, off_) }

/* --- a context: address space, queue, a program page and an output buffer --- */
struct buf {
	uint32_t handle;
	uint64_t va, size;
	void *map;
};

struct ctx {
	int fd;
	uint32_t vm, queue;
	uint64_t next_va;
	struct buf code, out;
};

#define BIND_RW (DRM_SNPU_VM_BIND_READ | DRM_SNPU_VM_BIND_WRITE)

U static int buf_new(struct ctx *c, uint64_t size, uint32_t flags, struct buf *b)
{
	int ret = bo_create(c->fd, size, flags, &b->handle);

	if (ret)
		return ret;
	b->size = size;
	b->map = bo_map(c->fd, b->handle, size);
	if (!b->map)
		return -ENOMEM;
	b->va = c->next_va;
	c->next_va += (size + 0x200000) & ~0x1fffffull;
	return vm_map(c->fd, c->vm, b->handle, 0, b->va, size, BIND_RW);
}

U static int ctx_open_fd(struct ctx *c, int fd)
{
	int ret;

	memset(c, 0, sizeof(*c));
	c->fd = fd;
	c->next_va = 0x10000000;
	if ((ret = vm_create(fd, &c->vm)) || (ret = queue_create(fd, c->vm, DRM_SNPU_PRIORITY_NORMAL, &c->queue)) ||
	    (ret = buf_new(c, 4 * PAGE, 0, &c->code)) || (ret = buf_new(c, 16 * PAGE, 0, &c->out)))
		return ret;
	return 0;
}

U static int ctx_open(struct ctx *c)
{
	int fd = card_open();

	return fd < 0 ? fd : ctx_open_fd(c, fd);
}

U static struct prog prog_at(struct ctx *c, size_t offset)
{
	return (struct prog){ (uint8_t *)c->code.map + offset, (uint8_t *)c->code.map + offset };
}

/* Runs for a very long time unless it is stopped; every iteration is a packet boundary. */
U static void prog_spin(struct prog *p)
{
	EMIT(p, LOOP, .count = 0xffffffff);
	EMIT(p, LOOP, .count = 0xffffffff);
	EMIT(p, NEXT, );
	EMIT(p, NEXT, );
	EMIT(p, END, );
}

/* --- submission --- */
struct job {
	struct drm_snpu_region regions[4];
	struct drm_snpu_sync syncs[8];
	struct drm_snpu_job job;
};

/* A job of the context's code and output, entered at an offset of the code. */
U static void job_init(struct job *j, const struct ctx *c, uint32_t entry)
{
	memset(j, 0, sizeof(*j));
	j->regions[0] = (struct drm_snpu_region){ SNPU_REGION_PROGRAM, 0, c->code.va, c->code.size };
	j->regions[1] = (struct drm_snpu_region){ SNPU_REGION_OUTPUT, 0, c->out.va, c->out.size };
	j->job.regions = (struct drm_snpu_obj_array){ sizeof(j->regions[0]), 2, (uintptr_t)j->regions };
	j->job.syncs = (struct drm_snpu_obj_array){ sizeof(j->syncs[0]), 0, 0 };
	j->job.entry = entry;
}

U static void job_sync(struct job *j, uint32_t flags, uint32_t handle, uint64_t point)
{
	j->syncs[j->job.syncs.count++] = (struct drm_snpu_sync){ flags, handle, point };
	j->job.syncs.array = (uintptr_t)j->syncs;
}

U static int submit_jobs(int fd, uint32_t queue, struct drm_snpu_job *jobs, uint32_t n)
{
	struct drm_snpu_submit a = { .queue_id = queue, .jobs = { sizeof(*jobs), n, (uintptr_t)jobs } };

	return k_ioctl(fd, DRM_IOCTL_SNPU_SUBMIT, &a);
}

U static int submit(const struct ctx *c, struct job *j)
{
	return submit_jobs(c->fd, c->queue, &j->job, 1);
}

U static int64_t deadline_ns(int seconds)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((int64_t)ts.tv_sec + seconds) * 1000000000 + ts.tv_nsec;
}

U static uint32_t syncobj(int fd)
{
	uint32_t h = 0;

	return drmSyncobjCreate(fd, 0, &h) ? 0 : h;
}

U static int sync_wait(int fd, uint32_t handle)
{
	return drmSyncobjWait(fd, &handle, 1, deadline_ns(WAIT_S), DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT, NULL) ? -errno : 0;
}

U static int timeline_wait(int fd, uint32_t handle, uint64_t point)
{
	return drmSyncobjTimelineWait(fd, &handle, &point, 1, deadline_ns(WAIT_S),
				      DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT, NULL) ? -errno : 0;
}

/* How the fence in a binary syncobj ended: 1 well, 0 not yet, or a negative errno. */
U static int sync_status(int fd, uint32_t handle)
{
	struct sync_file_info info = { 0 };
	int sf = -1, ret;

	if (drmSyncobjExportSyncFile(fd, handle, &sf))
		return -errno;
	ret = ioctl(sf, SYNC_IOC_FILE_INFO, &info) ? -errno : info.status;
	close(sf);
	return ret;
}

/* Submits one job, waits for it and returns how it ended: 1 or a negative errno. */
U static int run(const struct ctx *c, struct job *j)
{
	uint32_t h = syncobj(c->fd);
	int ret;

	job_sync(j, DRM_SNPU_SYNC_SYNCOBJ | DRM_SNPU_SYNC_SIGNAL, h, 0);
	ret = submit(c, j);
	if (!ret)
		ret = sync_wait(c->fd, h);
	if (!ret)
		ret = sync_status(c->fd, h);
	drmSyncobjDestroy(c->fd, h);
	return ret;
}

/* A value written by the card, as proof that a queue works. */
U static int run_fill(struct ctx *c, uint32_t value)
{
	struct prog p = prog_at(c, 0);
	struct job j;
	int ret;

	EMIT(&p, FILL, .dst = REF(OUTPUT, 0), .words = 16, .value = value);
	EMIT(&p, END, );
	job_init(&j, c, 0);
	ret = run(c, &j);
	if (ret == 1 && ((volatile uint32_t *)c->out.map)[15] != value)
		return -EBADMSG;
	return ret;
}

#endif
