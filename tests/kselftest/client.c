// SPDX-License-Identifier: MIT
/*
 * A client of the card for tests that do something to the card meanwhile. Opens it, does one short job, and
 *	client short		ends; status 0 when the job was right
 *	client spin [N]		starts a job that never ends (on card N), says "ready", waits for its fence, and then tells
 *				how the fence ended, what the queue's flags are and what a further ioctl returns:
 *				"fence -5 state 4 create 0". Ends when it did, whatever happened.
 *	client wrong memory|packet	the same with a job that reads what is not mapped, or has a packet that there is not:
 *				"fence -14 state 1 create 0"
 *	client depend			starts a job that never ends, and on another queue one that waits for it; says "ready", and
 *				then how the other one ended: "dependent 1", or a negative errno
 *	client hold [SECONDS]	keeps everything open and idle, with 4 MiB of device memory bound after the usual buffers, says
 *				"ready", and ends with another short job: "short 1", or a negative errno
 *	client nofw		does what goes without firmware and tries what does not: "fw 0 queues 0 memory 1 write 1 vm -65
 *				queue -65" are the versions, whether there is device memory and a buffer in it can be written,
 *				and what VM_CREATE and QUEUE_CREATE return
 *	client busy [SECONDS]	does one short job after the other and says how that ended: "busy 1", or a negative errno
 *	client compute [SECONDS [N]]	keeps jobs of N additions each on the card, each in memory of its own, and checks every sum:
 *				a packet that was executed twice or not at all shows. "compute 1 jobs 93 state 0", or a negative errno
 *	client rings [SECONDS [N]]	the same through a user queue, its doorbell rung again while waiting
 *	client churn [SECONDS]		makes user queues, rings each once and destroys it: "churn 1 queues 93", or a negative errno
 *	client hung			rings for a job that never ends, says "ready", waits for it and destroys its queue at once: "hung
 *				-125 destroy 0" are what QUEUE_WAIT and QUEUE_DESTROY returned
 *	client watch			does empty jobs, one after the other, until SIGTERM, and tells how long one took, in microseconds:
 *				"watch 1 jobs 4711 median 270 longest 13044", or a negative errno
 *	client keep			fills 4 MiB of device memory, says "ready", and when SIGTERM comes has processor and card read it again:
 *				"keep 1 cpu 0 card 0" are the bytes that each found different
 *	client naps ROUNDS MS		waits MS before each round, in which it does a job, in the first and the last one on a user queue as
 *				well: "naps 1 rounds 2 resets 0"
 *	client uevent			waits 20 s for the kernel's event that a card is wedged and prints what it says: "WEDGED=..."
 */
#include <linux/netlink.h>
#include <signal.h>
#include <sys/socket.h>

#include "user_rig.h"

static int submit_and_tell(struct ctx *c, struct job *j)
{
	struct drm_snpu_queue_state st;
	uint32_t h = syncobj(c->fd), bo;
	int ret;

	job_sync(j, DRM_SNPU_SYNC_SIGNAL, h, 0);
	ret = submit(c, j);
	if (ret)
		return ret;
	usleep(100000);
	puts("ready");
	ret = sync_wait(c->fd, h);
	if (ret) {
		printf("fence did not signal: %d\n", ret);
		return ret;
	}
	ret = sync_status(c->fd, h);
	if (queue_state(c->fd, c->queue, &st))
		st.flags = ~0u;
	printf("fence %d state %u create %d\n", ret, st.flags, bo_create(c->fd, PAGE, 0, &bo));
	return 0;
}

static int client_spin(struct ctx *c)
{
	struct prog p = prog_at(c, 0);
	struct job j;

	prog_spin(&p);
	job_init(&j, c, 0);
	return submit_and_tell(c, &j);
}

static int client_wrong(struct ctx *c, bool packet)
{
	struct prog p = prog_at(c, 0);
	struct job j;

	EMIT(&p, COPY, .src = REF(INPUT, 0), .dst = REF(OUTPUT, 0), .words = 16);
	if (packet)
		((struct snpu_pkt_hdr *)p.start)->opcode = 0xee;
	EMIT(&p, END, );
	job_init(&j, c, 0);
	j.regions[2] = (struct drm_snpu_region){ SNPU_REGION_INPUT, 0, 0x7000000000, PAGE };	/* nothing is mapped there */
	j.job.regions.count = 3;
	return submit_and_tell(c, &j);
}

static int client_depend(struct ctx *c)
{
	uint32_t h[2] = { syncobj(c->fd), syncobj(c->fd) }, second;
	struct prog p = prog_at(c, 0);
	struct job j;
	int ret;

	prog_spin(&p);
	p = prog_at(c, PAGE);
	EMIT(&p, END, );
	job_init(&j, c, 0);
	job_sync(&j, DRM_SNPU_SYNC_SIGNAL, h[0], 0);
	ret = submit(c, &j);
	job_init(&j, c, PAGE);
	job_sync(&j, 0, h[0], 0);
	job_sync(&j, DRM_SNPU_SYNC_SIGNAL, h[1], 0);
	if (!ret)
		ret = queue_create(c->fd, c->vm, DRM_SNPU_PRIORITY_NORMAL, &second);
	if (!ret)
		ret = submit_jobs(c->fd, second, &j.job, 1);
	if (ret)
		return ret;
	usleep(100000);
	puts("ready");
	ret = sync_wait(c->fd, h[1]);
	printf("dependent %d\n", ret ? ret : sync_status(c->fd, h[1]));
	return ret;
}

static int client_busy(struct ctx *c, int seconds)
{
	int64_t end = deadline_ns(seconds);
	int ret;

	for (uint32_t i = 1; (ret = run_fill(c, i)) == 1 && deadline_ns(0) < end; i++)
		;
	printf("busy %d\n", ret);
	return ret == 1 ? 0 : ret;
}

#define COMPUTE_DEPTH	12u		/* jobs in flight; the card's ring has room for more */

/* x[i] += i % 5 + 1, n times. What is in the slot of the output before is 0. */
static void compute_program(struct ctx *c, uint32_t n)
{
	struct prog p = prog_at(c, 0);

	EMIT(&p, LOOP, .count = n);
	EMIT(&p, ADD, .a = REF(STATE, 0), .b = REF(CONST, 0), .out = REF(STATE, 0), .n = 16);
	EMIT(&p, NEXT, );
	EMIT(&p, END, );
	for (uint32_t i = 0; i < 16; i++)
		((float *)((uint8_t *)c->code.map + PAGE))[i] = (float)(i % 5 + 1);
}

static int compute_submit(struct ctx *c, uint32_t slot, uint32_t handle)
{
	struct job j;

	memset((uint8_t *)c->out.map + slot * 64, 0, 64);
	job_init(&j, c, 0);
	j.regions[1] = (struct drm_snpu_region){ SNPU_REGION_STATE, 0, c->out.va + slot * 64, 64 };
	j.regions[2] = (struct drm_snpu_region){ SNPU_REGION_CONST, 0, c->code.va + PAGE, 64 };
	j.job.regions.count = 3;
	job_sync(&j, DRM_SNPU_SYNC_SIGNAL, handle, 0);
	return submit(c, &j);
}

static bool compute_right(const struct ctx *c, uint32_t slot, uint32_t n)
{
	const float *x = (const float *)((const uint8_t *)c->out.map + slot * 64);

	for (uint32_t i = 0; i < 16; i++)
		if (x[i] != (float)(n * (i % 5 + 1))) {
			printf("slot %u: element %u is %.0f, expected %u\n", slot, i, (double)x[i], n * (i % 5 + 1));
			return false;
		}
	return true;
}

static int compute_finish(const struct ctx *c, uint32_t slot, uint32_t handle, uint32_t n)
{
	int ret = drmSyncobjWait(c->fd, &handle, 1, deadline_ns(120), 0, NULL) ? -errno : sync_status(c->fd, handle);

	return ret < 0 ? ret : compute_right(c, slot, n) ? 0 : -EBADMSG;
}

static int client_compute(struct ctx *c, int seconds, uint32_t n)
{
	uint32_t handle[COMPUTE_DEPTH] = { 0 }, jobs = 0;
	struct drm_snpu_queue_state st;
	int64_t end = deadline_ns(seconds);
	int ret = 0;

	compute_program(c, n);
	for (uint32_t i = 0; !ret && (i < COMPUTE_DEPTH || deadline_ns(0) < end); i++) {
		uint32_t slot = i % COMPUTE_DEPTH;

		if (handle[slot] && !(ret = compute_finish(c, slot, handle[slot], n)))
			drmSyncobjDestroy(c->fd, handle[slot]), jobs++;
		handle[slot] = syncobj(c->fd);
		if (!ret)
			ret = compute_submit(c, slot, handle[slot]);
		if (i == 0)
			puts("ready");
	}
	for (uint32_t slot = 0; !ret && slot < COMPUTE_DEPTH; slot++)
		if (!(ret = compute_finish(c, slot, handle[slot], n)))
			jobs++;
	if (queue_state(c->fd, c->queue, &st))
		st.flags = ~0u;
	printf("compute %d jobs %u state %u\n", ret ? ret : 1, jobs, st.flags);
	return ret;
}

static void rings_put(struct uq *q, uint32_t slot)
{
	struct snpu_job_desc *d;

	memset((uint8_t *)q->c->out.map + slot * 64, 0, 64);
	uq_put(q, 0);
	d = (struct snpu_job_desc *)q->ring.map + (q->tail - 1) % q->slots;
	d->region[SNPU_REGION_STATE] = (struct snpu_region_binding){ q->c->out.va + slot * 64, 64 };
	d->region[SNPU_REGION_CONST] = (struct snpu_region_binding){ q->c->code.va + PAGE, 64 };
	d->region[SNPU_REGION_OUTPUT] = (struct snpu_region_binding){ 0 };
	uq_ring(q);
}

/* A ring that came while the card was being reset may be lost, so it is repeated. */
static int rings_finish(struct uq *q, uint64_t seqno, uint32_t n)
{
	struct drm_snpu_queue_state st;
	int ret = -ETIME;

	for (int i = 0; ret == -ETIME && i < 120; i++) {
		ret = uq_wait_until(q, seqno, deadline_ns(1), NULL);
		if (ret == -ETIME)
			uq_ring(q);
	}
	if (ret || compute_right(q->c, (seqno - 1) % COMPUTE_DEPTH, n))
		return ret;
	/* A job that faulted has finished, too. The status in memory may not say so, when the card cannot reach it. */
	return !queue_state(q->c->fd, q->id, &st) && st.flags & DRM_SNPU_QUEUE_FAULTED ? -EFAULT : -EBADMSG;
}

static int client_rings(struct ctx *c, int seconds, uint32_t n)
{
	int64_t end = deadline_ns(seconds);
	struct drm_snpu_queue_state st;
	uint64_t done = 0;
	struct uq q;
	int ret = uq_open(&q, c, 16);

	compute_program(c, n);
	while (!ret && deadline_ns(0) < end) {
		if (q.tail - done == COMPUTE_DEPTH)
			ret = rings_finish(&q, ++done, n);
		if (!ret)
			rings_put(&q, q.tail % COMPUTE_DEPTH);
		if (q.tail == 1)
			puts("ready");
	}
	while (!ret && done < q.tail)
		ret = rings_finish(&q, ++done, n);
	if (queue_state(c->fd, q.id, &st))
		st.flags = ~0u;
	printf("compute %d jobs %llu state %u\n", ret ? ret : 1, (unsigned long long)done, st.flags);
	return ret;
}

static int churn_once(struct uq *q)
{
	int ret = uq_create(q, DRM_SNPU_PRIORITY_NORMAL, 0), err;

	if (ret)
		return ret;
	uq_put(q, 0);
	uq_ring(q);
	ret = queue_destroy(q->c->fd, q->id);
	munmap((void *)q->db, PAGE);
	err = drmCloseBufferHandle(q->c->fd, q->doorbell) ? -errno : 0;
	return ret ? ret : err;
}

static int client_churn(struct ctx *c, int seconds)
{
	int64_t end = deadline_ns(seconds);
	uint32_t queues = 0;
	struct uq q;
	int ret = uq_memory(&q, c, 16, 0);

	uq_store(c, 0, 0, 0x5a5a);
	puts("ready");
	for (; !ret && deadline_ns(0) < end; queues++)
		ret = churn_once(&q);
	printf("churn %d queues %u\n", ret ? ret : 1, queues);
	return ret;
}

static int client_hung(struct ctx *c)
{
	struct prog p = prog_at(c, 0);
	struct uq q;
	int ret = uq_open(&q, c, 16);

	if (ret)
		return ret;
	prog_spin(&p);
	uq_put(&q, 0);
	uq_ring(&q);
	usleep(100000);
	puts("ready");
	ret = uq_wait(&q, 1);
	printf("hung %d destroy %d\n", ret, queue_destroy(c->fd, q.id));
	return 0;
}

static int client_nofw(int fd)
{
	struct drm_snpu_query_memory memory = { 0 };
	struct drm_snpu_query_info info = { .fw_version = ~0u };
	struct drm_snpu_dev_query q = { .type = DRM_SNPU_QUERY_INFO, .size = sizeof(info), .pointer = (uintptr_t)&info };
	uint32_t bo, id, *p = NULL;
	int ret = k_ioctl(fd, DRM_IOCTL_SNPU_DEV_QUERY, &q);

	q = (struct drm_snpu_dev_query){ .type = DRM_SNPU_QUERY_MEMORY, .size = sizeof(memory), .pointer = (uintptr_t)&memory };
	if (!ret)
		ret = k_ioctl(fd, DRM_IOCTL_SNPU_DEV_QUERY, &q);
	if (!ret)
		ret = bo_create(fd, PAGE, DRM_SNPU_BO_DEVICE, &bo);
	if (!ret)
		p = bo_map(fd, bo, PAGE);
	if (p)
		*p = 0x1234;
	printf("fw %u queues %u memory %d write %d vm %d queue %d\n", info.fw_version, info.max_queues, memory.device_total > 0,
	       p && *p == 0x1234, vm_create(fd, &id), queue_create(fd, 1, DRM_SNPU_PRIORITY_NORMAL, &id));
	return ret;
}

static volatile sig_atomic_t told_to_end;

static void on_term(int sig)
{
	told_to_end = 1;
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int client_watch(struct ctx *c)
{
	static uint32_t us[1000000];
	struct prog p = prog_at(c, 0);
	uint32_t n = 0;
	int ret = 1;

	signal(SIGTERM, on_term);
	EMIT(&p, END, );
	puts("ready");
	while (ret == 1 && !told_to_end && n < sizeof(us) / sizeof(us[0])) {
		int64_t start = deadline_ns(0);
		struct job j;

		job_init(&j, c, 0);
		ret = run(c, &j);
		us[n++] = (uint32_t)((deadline_ns(0) - start) / 1000);
	}
	qsort(us, n, sizeof(us[0]), by_size);
	printf("watch %d jobs %u median %u longest %u\n", ret, n, n ? us[n / 2] : 0, n ? us[n - 1] : 0);
	return ret == 1 ? 0 : ret;
}

static int client_naps(struct ctx *c, int rounds, int ms)
{
	struct drm_snpu_queue_state st = { 0 }, user = { 0 };
	struct uq q;
	int ret = uq_open(&q, c, 16) ? -EINVAL : 1, i;

	puts("ready");
	for (i = 0; ret == 1 && i < rounds; i++) {
		usleep((useconds_t)ms * 1000);
		ret = run_fill(c, (uint32_t)i);
		if (ret == 1 && (!i || i + 1 == rounds)) {
			compute_program(c, 20);
			rings_put(&q, q.tail % COMPUTE_DEPTH);
			ret = uq_wait(&q, q.tail);
			ret = ret ? ret : compute_right(c, (q.tail - 1) % COMPUTE_DEPTH, 20) ? 1 : -EBADMSG;
		}
	}
	queue_state(c->fd, c->queue, &st);
	queue_state(c->fd, q.id, &user);
	printf("naps %d rounds %d resets %u\n", ret, i, st.resets + user.resets);
	return ret == 1 ? 0 : ret;
}

#define KEEP	(4u << 20)

static uint32_t keep_word(uint32_t i)
{
	return i * 2654435761u ^ 0x5eed;
}

static uint32_t keep_differs(const uint32_t *p)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < KEEP / 4; i++)
		n += p[i] != keep_word(i);
	return n * 4;
}

/* The card copies the device memory to host memory. */
static int keep_read(struct ctx *c, const struct buf *from, const struct buf *to)
{
	struct prog p = prog_at(c, 0);
	struct job j;

	EMIT(&p, COPY, .src = REF(INPUT, 0), .dst = REF(OUTPUT, 0), .words = KEEP / 4);
	EMIT(&p, END, );
	job_init(&j, c, 0);
	j.regions[1] = (struct drm_snpu_region){ SNPU_REGION_INPUT, 0, from->va, KEEP };
	j.regions[2] = (struct drm_snpu_region){ SNPU_REGION_OUTPUT, 0, to->va, KEEP };
	j.job.regions.count = 3;
	return run(c, &j);
}

static int client_keep(struct ctx *c)
{
	struct buf kept, copy;
	uint32_t *p, card;
	sigset_t term;
	int ret = buf_new(c, KEEP, DRM_SNPU_BO_DEVICE, &kept), sig;

	ret = ret ? ret : buf_new(c, KEEP, 0, &copy);
	if (ret)
		return ret;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	p = kept.map;
	for (uint32_t i = 0; i < KEEP / 4; i++)
		p[i] = keep_word(i);
	puts("ready");
	sigwait(&term, &sig);
	card = keep_differs(kept.map);
	ret = keep_read(c, &kept, &copy);
	printf("keep %d cpu %u card %u\n", ret, card, keep_differs(copy.map));
	return ret == 1 ? 0 : ret;
}

static int client_uevent(void)
{
	struct sockaddr_nl at = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	struct timeval limit = { .tv_sec = 20 };
	int s = socket(AF_NETLINK, SOCK_DGRAM, NETLINK_KOBJECT_UEVENT);
	char buf[8192];
	ssize_t n;

	if (s < 0 || bind(s, (struct sockaddr *)&at, sizeof(at)) || setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)))
		return -errno;
	puts("ready");
	while ((n = recv(s, buf, sizeof(buf) - 1, 0)) > 0) {
		bool ours = false;

		buf[n] = 0;
		for (char *v = buf; v < buf + n; v += strlen(v) + 1)
			ours |= !strncmp(v, "WEDGED=", 7);
		for (char *v = buf; ours && v < buf + n; v += strlen(v) + 1)
			puts(v);
		if (ours)
			return 0;
	}
	return -ETIME;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "short";
	int arg = argc > 2 ? atoi(argv[2]) : 0, ret;
	struct ctx c;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(what, "uevent"))
		return client_uevent() ? 1 : 0;

	int fd = card_open_nth(strcmp(what, "spin") ? 0 : arg);

	if (!strcmp(what, "nofw"))
		return fd < 0 || client_nofw(fd);
	ret = fd < 0 ? fd : ctx_open_fd(&c, fd);
	if (!ret && (ret = run_fill(&c, 0x5a5a)) == 1)
		ret = 0;
	if (ret) {
		printf("client: %s\n", strerror(-ret));
		return 1;
	}
	if (!strcmp(what, "spin"))
		return client_spin(&c) ? 1 : 0;
	if (!strcmp(what, "wrong"))
		return client_wrong(&c, argc > 2 && !strcmp(argv[2], "packet")) ? 1 : 0;
	if (!strcmp(what, "depend"))
		return client_depend(&c) ? 1 : 0;
	if (!strcmp(what, "busy"))
		return client_busy(&c, arg) ? 1 : 0;
	if (!strcmp(what, "watch"))
		return client_watch(&c) ? 1 : 0;
	if (!strcmp(what, "naps"))
		return client_naps(&c, arg, argc > 3 ? atoi(argv[3]) : 0) ? 1 : 0;
	if (!strcmp(what, "keep"))
		return client_keep(&c) ? 1 : 0;
	if (!strcmp(what, "churn"))
		return client_churn(&c, arg) ? 1 : 0;
	if (!strcmp(what, "hung"))
		return client_hung(&c) ? 1 : 0;
	if (!strcmp(what, "compute"))
		return client_compute(&c, arg, argc > 3 ? (uint32_t)atoi(argv[3]) : 20000) ? 1 : 0;
	if (!strcmp(what, "rings"))
		return client_rings(&c, arg, argc > 3 ? (uint32_t)atoi(argv[3]) : 20000) ? 1 : 0;
	if (!strcmp(what, "hold")) {
		struct buf held;

		puts(buf_new(&c, 4u << 20, DRM_SNPU_BO_DEVICE, &held) ? "no device memory" : "ready");
		sleep((unsigned int)arg);
		printf("short %d\n", run_fill(&c, 0x6b6b));
	}
	return 0;
}
