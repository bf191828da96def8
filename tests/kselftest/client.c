// SPDX-License-Identifier: MIT
/*
 * A client of the card for tests that do something to the card meanwhile. Opens it, does one short job, and
 *	client short		ends; status 0 when the job was right
 *	client spin [N]		starts a job that never ends (on card N), says "ready", waits for its fence, and then tells
 *				how the fence ended, what the queue's flags are and what a further ioctl returns:
 *				"fence -5 state 4 create 0". Ends when it did, whatever happened.
 *	client depend			starts a job that never ends, and on another queue one that waits for it; says "ready", and
 *				then how the other one ended: "dependent 1", or a negative errno
 *	client hold [SECONDS]	keeps everything open and idle, says "ready", and ends with another short job:
 *				"short 1", or a negative errno
 *	client busy [SECONDS]	does one short job after the other and says how that ended: "busy 1", or a negative errno
 */
#include "kself.h"

static int client_spin(struct ctx *c)
{
	struct drm_snpu_queue_state st;
	struct prog p = prog_at(c, 0);
	uint32_t h = syncobj(c->fd), bo;
	struct job j;
	int ret;

	prog_spin(&p);
	job_init(&j, c, 0);
	job_sync(&j, DRM_SNPU_SYNC_SIGNAL, h, 0);
	ret = submit(c, &j);
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

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "short";
	int arg = argc > 2 ? atoi(argv[2]) : 0, ret;
	struct ctx c;

	setvbuf(stdout, NULL, _IOLBF, 0);
	int fd = card_open_nth(strcmp(what, "spin") ? 0 : arg);

	ret = fd < 0 ? fd : ctx_open_fd(&c, fd);
	if (!ret && (ret = run_fill(&c, 0x5a5a)) == 1)
		ret = 0;
	if (ret) {
		printf("client: %s\n", strerror(-ret));
		return 1;
	}
	if (!strcmp(what, "spin"))
		return client_spin(&c) ? 1 : 0;
	if (!strcmp(what, "depend"))
		return client_depend(&c) ? 1 : 0;
	if (!strcmp(what, "busy"))
		return client_busy(&c, arg) ? 1 : 0;
	if (!strcmp(what, "hold")) {
		puts("ready");
		sleep((unsigned int)arg);
		printf("short %d\n", run_fill(&c, 0x6b6b));
	}
	return 0;
}
