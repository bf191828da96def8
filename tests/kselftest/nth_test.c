// SPDX-License-Identifier: MIT
/*
 * Every ioctl, and what else a file of the card can be asked for, with each of its allocations and copies failing once
 * (nth.h). A call that fails must say one of its documented errors; afterwards the driver's counts of objects must be what
 * they were, and a queue that was there all the time must work. New ioctls get a row of the table at the end.
 *
 * Each call has a file of its own, opened before and closed after it: a failed copy of an ioctl's answer leaves an object
 * that has no name for the user until the file is closed, which is the DRM core's way.
 */
#include "nth.h"
#include "user_rig.h"

#include <glob.h>
#include <setjmp.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

struct rig {
	struct ctx well;		/* untouched; must always work */
	char debugfs[128];
	int fd;				/* the call's file */
	struct ctx c;			/* a context on it, for those that need one */
	struct uq q;			/* a user queue in it, likewise */
	struct buf extra;
	uint32_t id, sync[4];
	int dmabuf;			/* or an eventfd */
	void *map;
	const char *path;
	bool accepted;
};

/* --- what is alive --- */
struct objects {
	int vms, queues, bos, jobs, fences;
};

static int objects_read(const struct rig *r, struct objects *o)
{
	char path[160];
	FILE *f;
	int n;

	snprintf(path, sizeof(path), "%s/objects", r->debugfs);
	f = fopen(path, "r");
	if (!f)
		return -errno;
	n = fscanf(f, "vms %d queues %d bos %d jobs %d fences %d", &o->vms, &o->queues, &o->bos, &o->jobs, &o->fences);
	fclose(f);
	return n == 5 ? 0 : -EBADMSG;
}

/* Queues go in a work item and fences after a grace period, so this may take a moment. */
static int objects_become(const struct rig *r, const struct objects *want)
{
	struct objects o = { 0 };

	for (int i = 0; i < 100; i++) {
		if (!objects_read(r, &o) && !memcmp(&o, want, sizeof(o)))
			return 0;
		usleep(50000);
	}
	printf("# left: vms %d queues %d bos %d jobs %d fences %d, should be %d %d %d %d %d\n", o.vms, o.queues, o.bos, o.jobs,
	       o.fences, want->vms, want->queues, want->bos, want->jobs, want->fences);
	return -EBUSY;
}

/* --- files --- */
static int open_file(void *rig)
{
	struct rig *r = rig;

	r->fd = card_open();
	return r->fd < 0 ? r->fd : 0;
}

static int open_ctx(void *rig)
{
	struct rig *r = rig;
	int ret = open_file(r);

	return ret ? ret : ctx_open_fd(&r->c, r->fd);
}

/* The file goes, and what lives on it; then the other one must work. */
static int close_file(void *rig, int call_ret U)
{
	struct rig *r = rig;
	int ret;

	if (r->c.code.map)
		munmap(r->c.code.map, r->c.code.size);
	if (r->c.out.map)
		munmap(r->c.out.map, r->c.out.size);
	if (r->extra.map)
		munmap(r->extra.map, r->extra.size);
	if (r->q.ring.map)
		munmap(r->q.ring.map, r->q.ring.size);
	if (r->q.status.map)
		munmap(r->q.status.map, r->q.status.size);
	if (r->q.db)
		munmap((void *)r->q.db, PAGE);
	memset(&r->q, 0, sizeof(r->q));
	memset(&r->c, 0, sizeof(r->c));
	memset(&r->extra, 0, sizeof(r->extra));
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	ret = run_fill(&r->well, 0x5a5a);
	return ret == 1 ? 0 : ret ? ret : -EIO;
}

static int call_open(void *rig)
{
	struct rig *r = rig;

	r->fd = open("/dev/accel/accel0", O_RDWR | O_CLOEXEC);
	return r->fd < 0 ? -errno : 0;
}

static int call_close(void *rig)
{
	struct rig *r = rig;

	close(r->fd);
	r->fd = -1;
	return 0;
}

/* --- DEV_QUERY --- */
static int query(struct rig *r, uint32_t type)
{
	uint8_t answer[128];
	struct drm_snpu_dev_query a = { type, sizeof(answer), (uintptr_t)answer };

	return k_ioctl(r->fd, DRM_IOCTL_SNPU_DEV_QUERY, &a);
}

static int call_query_info(void *rig)
{
	return query(rig, DRM_SNPU_QUERY_INFO);
}

static int call_query_memory(void *rig)
{
	return query(rig, DRM_SNPU_QUERY_MEMORY);
}

static int call_query_engine(void *rig)
{
	return query(rig, DRM_SNPU_QUERY_ENGINE);
}

static int call_query_limits(void *rig)
{
	return query(rig, DRM_SNPU_QUERY_LIMITS);
}

/* --- buffers --- */
static int call_bo_host(void *rig)
{
	struct rig *r = rig;

	return bo_create(r->fd, 64 * PAGE, 0, &r->id);
}

/* Not a power of two, so made of several pieces. */
static int call_bo_device(void *rig)
{
	struct rig *r = rig;

	return bo_create(r->fd, 47 * PAGE, DRM_SNPU_BO_DEVICE, &r->id);
}

static int have_host(void *rig)
{
	int ret = open_file(rig);

	return ret ? ret : call_bo_host(rig);
}

static int have_device(void *rig)
{
	int ret = open_file(rig);

	return ret ? ret : call_bo_device(rig);
}

static int call_mmap_offset(void *rig)
{
	struct rig *r = rig;
	struct drm_snpu_bo_mmap_offset a = { .handle = r->id };

	return k_ioctl(r->fd, DRM_IOCTL_SNPU_BO_MMAP_OFFSET, &a);
}

static int call_gem_close(void *rig)
{
	struct rig *r = rig;

	return drmCloseBufferHandle(r->fd, r->id) ? -errno : 0;
}

static sigjmp_buf nth_bus;

static void on_bus(int sig U)
{
	siglongjmp(nth_bus, 1);
}

/* mmap(), and every page touched. A fault that cannot be served is a SIGBUS. */
static int call_map(void *rig)
{
	struct rig *r = rig;
	volatile uint8_t *p;

	r->extra.size = 47 * PAGE;
	r->extra.map = bo_map(r->fd, r->id, r->extra.size);
	if (!r->extra.map)
		return -errno;
	p = r->extra.map;
	if (sigsetjmp(nth_bus, 1))
		return -EFAULT;
	signal(SIGBUS, on_bus);
	for (uint32_t i = 0; i < 47; i++)
		p[i * PAGE] = (uint8_t)i;
	signal(SIGBUS, SIG_DFL);
	return 0;
}

/* What could be mapped can be used; what a fault denied is there when it is asked for again. */
static int check_map(void *rig, int ret)
{
	struct rig *r = rig;
	volatile uint8_t *p = r->extra.map;

	for (uint32_t i = 0; p && i < 47; i++) {
		p[i * PAGE] = (uint8_t)i;
		if (p[i * PAGE] != (uint8_t)i)
			return -EBADMSG;
	}
	return close_file(rig, ret);
}

/* When the answer could not be copied, the dma-buf is open all the same, under a number nobody was told: the next free one. */
static int call_export(void *rig)
{
	struct rig *r = rig;
	int next = dup(0);

	close(next);
	r->dmabuf = next;
	return drmPrimeHandleToFD(r->fd, r->id, DRM_CLOEXEC | DRM_RDWR, &r->dmabuf) ? -errno : 0;
}

static int have_dmabuf(void *rig)
{
	int ret = have_host(rig);

	return ret ? ret : call_export(rig);
}

/* Into another file, where it is not yet. */
static int call_import(void *rig)
{
	struct rig *r = rig;

	return drmPrimeFDToHandle(r->well.fd, r->dmabuf, &r->id) ? -errno : 0;
}

static int close_dmabuf(void *rig, int ret)
{
	struct rig *r = rig;

	if (r->dmabuf >= 0)
		close(r->dmabuf);
	r->dmabuf = -1;
	return close_file(rig, ret);
}

/* An import whose answer could not be copied has a handle nobody knows: importing again finds and returns the same. */
static int close_import(void *rig, int ret)
{
	struct rig *r = rig;

	if (drmPrimeFDToHandle(r->well.fd, r->dmabuf, &r->id))
		return -errno;
	drmCloseBufferHandle(r->well.fd, r->id);
	return close_dmabuf(rig, ret);
}

/* Memory of the process, not there until it is pinned. */
static int have_memory(void *rig)
{
	struct rig *r = rig;

	r->extra.size = 24 * PAGE;
	r->extra.map = mmap(NULL, r->extra.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (r->extra.map == MAP_FAILED) {
		r->extra.map = NULL;
		return -errno;
	}
	return open_file(rig);
}

static int call_userptr(void *rig)
{
	struct rig *r = rig;

	return bo_userptr(r->fd, r->extra.map, r->extra.size, 0, &r->id);
}

/* --- address spaces --- */
static int call_vm_create(void *rig)
{
	struct rig *r = rig;

	return vm_create(r->fd, &r->id);
}

static int have_vm(void *rig)
{
	int ret = open_file(rig);

	return ret ? ret : call_vm_create(rig);
}

static int call_vm_destroy(void *rig)
{
	struct rig *r = rig;

	return vm_destroy(r->fd, r->id);
}

/* A context and a buffer that is not bound. */
static int have_extra(struct rig *r, uint64_t size, uint32_t flags)
{
	int ret = open_ctx(r);

	r->extra.size = size;
	r->extra.va = 1ull << 40;
	return ret ? ret : bo_create(r->fd, r->extra.size, flags, &r->extra.handle);
}

static int have_extra_host(void *rig)
{
	return have_extra(rig, 24 * PAGE, 0);
}

static int have_extra_device(void *rig)
{
	return have_extra(rig, (2u << 20) + (64u << 10), DRM_SNPU_BO_DEVICE); /* large pages of each kind */
}

static int have_extra_userptr(void *rig)
{
	struct rig *r = rig;
	int ret = have_memory(rig);

	ret = ret ? ret : ctx_open_fd(&r->c, r->fd);
	r->extra.va = 1ull << 40;
	return ret ? ret : bo_userptr(r->fd, r->extra.map, r->extra.size, 0, &r->extra.handle);
}

static int call_bind_map(void *rig)
{
	struct rig *r = rig;

	return vm_map(r->fd, r->c.vm, r->extra.handle, 0, r->extra.va, r->extra.size, BIND_RW);
}

static int have_bound_host(void *rig)
{
	int ret = have_extra_host(rig);

	return ret ? ret : call_bind_map(rig);
}

static int have_bound_device(void *rig)
{
	int ret = have_extra_device(rig);

	return ret ? ret : call_bind_map(rig);
}

/* A hole in the middle of a large page: the mapping is cut in two, and the page into small ones. */
static int call_bind_hole(void *rig)
{
	struct rig *r = rig;

	return vm_unmap(r->fd, r->c.vm, r->extra.va + 5 * PAGE, PAGE);
}

/* The same by mapping something else there. */
static int call_bind_over(void *rig)
{
	struct rig *r = rig;

	return vm_map(r->fd, r->c.vm, r->c.out.handle, PAGE, r->extra.va + 5 * PAGE, 3 * PAGE, BIND_RW);
}

/* What was bound before a call that failed still is, and the space can be used. */
static int check_bound(void *rig, int ret)
{
	struct rig *r = rig;
	int err = vm_unmap(r->fd, r->c.vm, r->extra.va, 1ull << 30);

	if (!err)
		err = run_fill(&r->c, 0x1234) == 1 ? 0 : -EIO;
	return err ? err : close_file(rig, ret);
}

/* Three operations in one call; @done must be the number of those that really are done. */
static uint32_t bind_done;

static int call_bind_many(void *rig)
{
	struct rig *r = rig;
	struct drm_snpu_vm_bind_op ops[3] = {
		{ DRM_SNPU_VM_BIND_MAP, BIND_RW, r->extra.handle, 0, 0, r->extra.va, PAGE },
		{ DRM_SNPU_VM_BIND_MAP, BIND_RW, r->extra.handle, 0, PAGE, r->extra.va + (1ull << 30), PAGE },
		{ .op = DRM_SNPU_VM_BIND_UNMAP, .va = r->extra.va, .size = PAGE },
	};

	bind_done = ~0u;
	return vm_bind_ops(r->fd, r->c.vm, ops, 3, &bind_done);
}

static int check_many(void *rig, int ret)
{
	/* Untouched when the answer could not be copied. */
	if (bind_done != ~0u && (bind_done > 3 || (!ret && bind_done != 3)))
		return -EBADMSG;
	return check_bound(rig, ret);
}

/* --- queues --- */
static int call_queue_create(void *rig)
{
	struct rig *r = rig;

	return queue_create(r->fd, r->c.vm, DRM_SNPU_PRIORITY_NORMAL, &r->id);
}

static int call_queue_destroy(void *rig)
{
	struct rig *r = rig;

	return queue_destroy(r->fd, r->c.queue);
}

static int call_queue_state(void *rig)
{
	struct rig *r = rig;
	struct drm_snpu_queue_state st;

	return queue_state(r->fd, r->c.queue, &st);
}

/* --- user queues --- */
static int have_ring(void *rig)
{
	struct rig *r = rig;
	int ret = open_ctx(rig);

	return ret ? ret : uq_memory(&r->q, &r->c, 8, 0);
}

static int call_user_create(void *rig)
{
	struct rig *r = rig;

	return uq_create(&r->q, DRM_SNPU_PRIORITY_NORMAL, 0);
}

static int have_user(void *rig)
{
	int ret = have_ring(rig);

	return ret ? ret : call_user_create(rig);
}

static int have_put(void *rig)
{
	struct rig *r = rig;
	int ret = have_user(rig);

	if (!ret)
		uq_put(&r->q, uq_store(&r->c, 0, 0, 0x1dea));
	return ret;
}

/* The first store to the page is its fault; one that is denied is asked for again by the store. */
static int call_ring(void *rig)
{
	struct rig *r = rig;

	uq_ring(&r->q);
	return 0;
}

/* Nothing that was rung is lost. */
static int check_ring(void *rig, int ret)
{
	struct rig *r = rig;
	int err = uq_wait(&r->q, r->q.tail);

	if (!err && ((volatile uint32_t *)r->c.out.map)[0] != 0x1dea)
		err = -EBADMSG;
	return err ? err : close_file(rig, ret);
}

static int have_rung(void *rig)
{
	int ret = have_put(rig);

	return ret ? ret : call_ring(rig);
}

static int call_queue_wait(void *rig)
{
	struct rig *r = rig;

	return uq_wait(&r->q, 1);
}

static int have_eventfd(void *rig)
{
	struct rig *r = rig;
	int ret = have_rung(rig);

	r->dmabuf = eventfd(0, EFD_CLOEXEC);
	return ret ? ret : r->dmabuf < 0 ? -errno : 0;
}

static int call_queue_eventfd(void *rig)
{
	struct rig *r = rig;

	return uq_eventfd(&r->q, r->dmabuf);
}

static int call_user_destroy(void *rig)
{
	struct rig *r = rig;

	return queue_destroy(r->fd, r->q.id);
}

/* --- SUBMIT --- */
static int have_jobs(void *rig)
{
	struct rig *r = rig;
	int ret = open_ctx(rig);
	struct prog p;

	if (ret)
		return ret;
	p = prog_at(&r->c, 0);
	EMIT(&p, END, );
	for (int i = 0; i < 4; i++)
		r->sync[i] = syncobj(r->fd);
	drmSyncobjSignal(r->fd, &r->sync[0], 1);
	return 0;
}

/* Three jobs: a wait and signals of both kinds, a wait for what the call itself signals. */
static int call_submit(void *rig)
{
	struct rig *r = rig;
	struct drm_snpu_job jobs[3];
	struct job j[3];

	for (int i = 0; i < 3; i++)
		job_init(&j[i], &r->c, 0);
	job_sync(&j[0], DRM_SNPU_SYNC_SYNCOBJ, r->sync[0], 0);
	job_sync(&j[0], DRM_SNPU_SYNC_TIMELINE | DRM_SNPU_SYNC_SIGNAL, r->sync[1], 1);
	job_sync(&j[1], DRM_SNPU_SYNC_TIMELINE, r->sync[1], 1);
	job_sync(&j[1], DRM_SNPU_SYNC_SYNCOBJ | DRM_SNPU_SYNC_SIGNAL, r->sync[2], 0);
	job_sync(&j[2], DRM_SNPU_SYNC_SYNCOBJ, r->sync[2], 0);
	job_sync(&j[2], DRM_SNPU_SYNC_SYNCOBJ | DRM_SNPU_SYNC_SIGNAL, r->sync[3], 0);
	for (int i = 0; i < 3; i++)
		jobs[i] = j[i].job;
	return submit_jobs(r->fd, r->c.queue, jobs, 3);
}

/* All or nothing. -EFAULT alone does not tell which: the copy of the answer comes after the jobs. */
static int check_submit(void *rig, int ret)
{
	struct rig *r = rig;
	struct drm_snpu_queue_state st;
	int err = queue_state(r->fd, r->c.queue, &st);

	if (err)
		return err;
	if (st.submitted == 3) {
		err = ret && ret != -EFAULT ? -EBADMSG : sync_wait(r->fd, r->sync[3]);
		if (!err && sync_status(r->fd, r->sync[3]) != 1)
			err = -EBADMSG;
	} else if (st.submitted || !ret || sync_status(r->fd, r->sync[2]) != -EINVAL || sync_status(r->fd, r->sync[3]) != -EINVAL) {
		err = -EBADMSG;
	}
	return err ? err : close_file(rig, ret);
}

/* --- what can be seen --- */
static int call_read(void *rig)
{
	struct rig *r = rig;
	char text[4096];
	int fd = open(r->path, O_RDONLY | O_CLOEXEC), ret = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while ((n = read(fd, text, sizeof(text))) > 0)
		;
	if (n < 0)
		ret = -errno;
	close(fd);
	return ret;
}

static int have_fdinfo(void *rig)
{
	static char path[64];
	struct rig *r = rig;
	int ret = open_ctx(rig);

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", r->fd);
	r->path = path;
	return ret;
}

#define CTX_CALL(name_, call_) { name_, open_ctx, call_, close_file, { 0 } }
#define FILE_CALL(name_, call_) { name_, open_file, call_, close_file, { 0 } }

static const struct nth_case nth_cases[] = {
	{ "open", NULL, call_open, close_file, { 0 } },
	{ "close", open_ctx, call_close, close_file, { 0 } },
	FILE_CALL("DEV_QUERY info", call_query_info),
	FILE_CALL("DEV_QUERY memory", call_query_memory),
	FILE_CALL("DEV_QUERY engine", call_query_engine),
	FILE_CALL("DEV_QUERY limits", call_query_limits),
	FILE_CALL("BO_CREATE host", call_bo_host),
	/* The allocator of device memory says so when it has no memory for itself, too. */
	{ "BO_CREATE device", open_file, call_bo_device, close_file, { -ENOSPC } },
	{ "BO_USERPTR", have_memory, call_userptr, close_file, { 0 } },
	{ "BO_MMAP_OFFSET", have_host, call_mmap_offset, close_file, { 0 } },
	{ "GEM_CLOSE host", have_host, call_gem_close, close_file, { 0 } },
	{ "GEM_CLOSE device", have_device, call_gem_close, close_file, { 0 } },
	{ "mmap and page faults, host", have_host, call_map, check_map, { 0 } },
	{ "mmap and page faults, device", have_device, call_map, check_map, { 0 } },
	{ "PRIME export", have_host, call_export, close_dmabuf, { 0 } },
	{ "PRIME import", have_dmabuf, call_import, close_import, { 0 } },
	FILE_CALL("VM_CREATE", call_vm_create),
	{ "VM_DESTROY", have_vm, call_vm_destroy, close_file, { 0 } },
	{ "VM_BIND map, host", have_extra_host, call_bind_map, check_bound, { 0 } },
	{ "VM_BIND map, device", have_extra_device, call_bind_map, check_bound, { 0 } },
	{ "VM_BIND map, memory of a process", have_extra_userptr, call_bind_map, check_bound, { 0 } },
	{ "VM_BIND hole, host", have_bound_host, call_bind_hole, check_bound, { 0 } },
	{ "VM_BIND hole, device", have_bound_device, call_bind_hole, check_bound, { 0 } },
	{ "VM_BIND map over, device", have_bound_device, call_bind_over, check_bound, { 0 } },
	{ "VM_BIND three operations", have_extra_host, call_bind_many, check_many, { 0 } },
	CTX_CALL("QUEUE_CREATE", call_queue_create),
	CTX_CALL("QUEUE_DESTROY", call_queue_destroy),
	CTX_CALL("QUEUE_STATE", call_queue_state),
	{ "QUEUE_CREATE user, and its mapping", have_ring, call_user_create, close_file, { 0 } },
	{ "QUEUE_DESTROY user", have_rung, call_user_destroy, close_file, { 0 } },
	{ "a doorbell's page fault", have_put, call_ring, check_ring, { 0 } },
	{ "QUEUE_WAIT", have_rung, call_queue_wait, close_file, { 0 } },
	{ "QUEUE_EVENTFD", have_eventfd, call_queue_eventfd, close_dmabuf, { 0 } },
	{ "SUBMIT", have_jobs, call_submit, check_submit, { 0 } },
	{ "fdinfo", have_fdinfo, call_read, close_file, { 0 } },
};

static void rig_open(struct rig *r)
{
	glob_t g;

	memset(r, 0, sizeof(*r));
	r->fd = r->dmabuf = -1;
	ASSERT_EQ(nth_setup(), 0);
	ASSERT_EQ(glob("/sys/kernel/debug/accel/*/objects", 0, NULL, &g), 0);
	snprintf(r->debugfs, sizeof(r->debugfs), "%.*s", (int)(strrchr(g.gl_pathv[0], '/') - g.gl_pathv[0]), g.gl_pathv[0]);
	globfree(&g);
	ASSERT_EQ(ctx_open(&r->well), 0);
	ASSERT_EQ(run_fill(&r->well, 1), 1);
}

static void run_case(struct rig *r, const struct nth_case *c)
{
	struct nth_count count = { 0 };
	struct objects before;

	usleep(100000);
	ASSERT_EQ(objects_read(r, &before), 0);
	EXPECT_TRUE(nth_each(c, r, 1, &count));
	EXPECT_EQ(objects_become(r, &before), 0);
	printf("# %-32s %4u faults injected, %4u made the call fail\n", c->name, count.injected, count.failed);
	/* None would mean that injection does not work. Closing has nothing to lose, a fault is tried again. */
	if (!nth_once() && c->call != call_close && c->call != call_ring)
		EXPECT_GT(count.failed, 0);
}

TEST_TIMEOUT(each_call_with_each_fault, 2400)
{
	struct rig r;

	rig_open(&r);
	if (th_failed)
		return;
	for (size_t i = 0; i < sizeof(nth_cases) / sizeof(nth_cases[0]); i++)
		run_case(&r, &nth_cases[i]);
}

TEST_TIMEOUT(each_debugfs_file_with_each_fault, 600)
{
	static const char *const files[] = { "registers", "queues", "firmware_log", "crash", "objects", "page_tables" };
	char path[160];
	struct rig r;

	rig_open(&r);
	if (th_failed)
		return;
	r.path = path;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		const struct nth_case c = { files[i], NULL, call_read, close_file, { 0 } };

		snprintf(path, sizeof(path), "%s/%s", r.debugfs, files[i]);
		run_case(&r, &c);
	}
}

TEST_HARNESS_MAIN
