// SPDX-License-Identifier: MIT
/*
 * What a submission costs, through the driver and through a user queue: the submission alone, the round trip of an empty
 * job, and jobs per second with 1 and 64 in flight, beside two things that the same machine does in the same minute: a
 * getppid() call and a 4 KiB O_DIRECT read from an emulated NVMe disk. In a VM under emulation the absolute times mean nothing; the ratios do. Runs in the VM as any user who
 * may open the card and read the disk; single-threaded. Round trips are medians, with the 10th and 90th percentile.
 *
 * usage: submit [--json] [--rounds N] [--disk /dev/nvme0n1]
 */
#include <getopt.h>
#include <sys/stat.h>

#include "tests/kselftest/user_rig.h"

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

struct stat_us {
	double p10, median, p90;		/* microseconds */
};

static int cmp_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static struct stat_us summarise(double *us, int n)
{
	qsort(us, (size_t)n, sizeof(*us), cmp_double);
	return (struct stat_us){ us[n / 10], us[n / 2], us[n * 9 / 10] };
}

static struct stat_us bench_getppid(double *us, int rounds)
{
	for (int i = 0; i < rounds; i++) {
		double t = now_us();

		for (int k = 0; k < 100; k++)
			getppid();
		us[i] = (now_us() - t) / 100;
	}
	return summarise(us, rounds);
}

/* Reads of 4 KiB at scattered places; returns 0, or -errno when there is no such disk. */
static int bench_disk(const char *path, double *us, int rounds, struct stat_us *out)
{
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	void *buf = aligned_alloc(PAGE, PAGE);
	int ret = fd < 0 ? -errno : 0;

	if (!ret && (size < PAGE || !buf))
		ret = -EINVAL;
	for (int i = 0; !ret && i < rounds; i++) {
		off_t page = (off_t)((uint64_t)i * 2654435761u % (uint64_t)(size / PAGE));
		double t = now_us();

		if (pread(fd, buf, PAGE, page * PAGE) != PAGE)
			ret = -EIO;
		us[i] = now_us() - t;
	}
	if (!ret)
		*out = summarise(us, rounds);
	free(buf);
	if (fd >= 0)
		close(fd);
	return ret;
}

static int bench_round_trip(struct ctx *c, double *us, int rounds, struct stat_us *out)
{
	uint32_t h = syncobj(c->fd);
	struct job j;

	job_init(&j, c, 0);
	job_sync(&j, DRM_SNPU_SYNC_SIGNAL, h, 0);
	for (int i = 0; i < rounds; i++) {
		double t = now_us();
		int ret = submit(c, &j);

		if (!ret)
			ret = sync_wait(c->fd, h);
		if (ret)
			return ret;
		us[i] = now_us() - t;
	}
	*out = summarise(us, rounds);
	drmSyncobjDestroy(c->fd, h);
	return 0;
}

/* The call alone: 32 jobs are put in, then waited for. */
static int bench_submission(struct ctx *c, double *us, int rounds, struct stat_us *out)
{
	uint32_t h = syncobj(c->fd);
	struct job j;

	for (int i = 0; i < rounds; i++) {
		double t = now_us();
		int ret = 0;

		for (int k = 0; k < 32 && !ret; k++) {
			job_init(&j, c, 0);
			if (k == 31)
				job_sync(&j, DRM_SNPU_SYNC_SIGNAL, h, 0);
			ret = submit(c, &j);
		}
		us[i] = (now_us() - t) / 32;
		if (!ret)
			ret = sync_wait(c->fd, h);
		if (ret)
			return ret;
	}
	*out = summarise(us, rounds);
	drmSyncobjDestroy(c->fd, h);
	return 0;
}

/* The same for a user queue: each job is put in and rung for. */
static int bench_ring_submission(struct uq *q, double *us, int rounds, struct stat_us *out)
{
	for (int i = 0; i < rounds; i++) {
		double t = now_us();

		for (int k = 0; k < 32; k++) {
			uq_put(q, 0);
			uq_ring(q);
		}
		us[i] = (now_us() - t) / 32;
		if (uq_wait(q, q->tail))
			return -EIO;
	}
	*out = summarise(us, rounds);
	return 0;
}

/* The waiter looks at memory, or sleeps in the driver. */
static int bench_ring_round_trip(struct uq *q, double *us, int rounds, bool sleeps, struct stat_us *out)
{
	for (int i = 0; i < rounds; i++) {
		double t = now_us();

		uq_put(q, 0);
		uq_ring(q);
		if (sleeps ? uq_wait(q, q->tail) : uq_poll(q, q->tail))
			return -EIO;
		us[i] = now_us() - t;
	}
	*out = summarise(us, rounds);
	return 0;
}

static double bench_ring_rate(struct uq *q, uint32_t depth, uint32_t jobs)
{
	double t = now_us();

	for (uint32_t i = 0; i < jobs; i++) {
		if (i >= depth && uq_poll(q, q->tail + 1 - depth))
			return 0;
		uq_put(q, 0);
		uq_ring(q);
	}
	return uq_poll(q, q->tail) ? 0 : jobs / (now_us() - t) * 1e6;
}

/* Jobs a second with DEPTH in flight, 0 on failure. */
static double bench_rate(struct ctx *c, uint32_t depth, uint32_t jobs)
{
	uint32_t h = syncobj(c->fd);
	double t = now_us();
	struct job j;

	for (uint32_t i = 1; i <= jobs; i++) {
		job_init(&j, c, 0);
		job_sync(&j, DRM_SNPU_SYNC_TIMELINE | DRM_SNPU_SYNC_SIGNAL, h, i);
		if (submit(c, &j) || (i > depth && timeline_wait(c->fd, h, i - depth)))
			return 0;
	}
	if (timeline_wait(c->fd, h, jobs))
		return 0;
	t = now_us() - t;
	drmSyncobjDestroy(c->fd, h);
	return jobs / t * 1e6;
}

struct result {
	struct stat_us ppid, disk, put, ring_put, job, ring_poll, ring_wait;
	bool has_disk;
	double rate[2], ring_rate[2];		/* jobs/s with 1 and 64 in flight */
};

static int bench_queues(struct ctx *c, struct uq *q, double *us, int rounds, struct result *r)
{
	int ret = bench_submission(c, us, rounds / 4, &r->put);

	ret = ret ? ret : bench_ring_submission(q, us, rounds / 4, &r->ring_put);
	ret = ret ? ret : bench_round_trip(c, us, rounds, &r->job);
	ret = ret ? ret : bench_ring_round_trip(q, us, rounds, true, &r->ring_wait);
	ret = ret ? ret : bench_ring_round_trip(q, us, rounds, false, &r->ring_poll);
	for (int i = 0; i < 2 && !ret; i++) {
		r->rate[i] = bench_rate(c, i ? 64 : 1, (uint32_t)rounds * (i ? 4 : 1));
		r->ring_rate[i] = bench_ring_rate(q, i ? 64 : 1, (uint32_t)rounds * (i ? 4 : 1));
		ret = r->rate[i] > 0 && r->ring_rate[i] > 0 ? 0 : -EIO;
	}
	return ret;
}

static void print_row(const char *name, struct stat_us s, double ppid, double disk)
{
	printf("%-28s %10.2f %10.2f %10.2f %12.1f", name, s.p10, s.median, s.p90, s.median / ppid);
	if (disk > 0)
		printf(" %11.2f\n", s.median / disk);
	else
		printf(" %11s\n", "-");
}

static void print_table(const struct result *r)
{
	double ppid = r->ppid.median, disk = r->has_disk ? r->disk.median : 0;

	printf("%-28s %10s %10s %10s %12s %11s\n", "one of (us)", "p10", "median", "p90", "x getppid", "x NVMe 4K");
	print_row("getppid()", r->ppid, ppid, disk);
	if (r->has_disk)
		print_row("NVMe 4 KiB O_DIRECT read", r->disk, ppid, disk);
	print_row("submission by ioctl", r->put, ppid, disk);
	print_row("submission to a user queue", r->ring_put, ppid, disk);
	print_row("empty job, ioctl, syncobj", r->job, ppid, disk);
	print_row("empty job, user, QUEUE_WAIT", r->ring_wait, ppid, disk);
	print_row("empty job, user, status", r->ring_poll, ppid, disk);
	printf("\n%-28s %10s %10s %10s\n", "jobs/s, in flight", "ioctl", "user", "user/ioctl");
	for (int i = 0; i < 2; i++)
		printf("%-28s %10.0f %10.0f %10.2f\n", i ? "64" : "1", r->rate[i], r->ring_rate[i], r->ring_rate[i] / r->rate[i]);
	printf("\na submission to a user queue costs 1/%.1f of one by ioctl\n", r->put.median / r->ring_put.median);
	puts("\nx: time of one as a multiple. The card is simulated and the machine emulated; only the ratios carry over.");
}

static void print_json(const struct result *r)
{
	printf("{\"format\": 1, \"getppid_us\": %.4f, \"nvme_4k_us\": ", r->ppid.median);
	if (r->has_disk)
		printf("%.3f", r->disk.median);
	else
		printf("null");
	printf(", \"submit_us\": %.3f, \"ring_submit_us\": %.3f, \"empty_job_us\": %.3f, \"ring_wait_us\": %.3f, \"ring_poll_us\": %.3f, ",
	       r->put.median, r->ring_put.median, r->job.median, r->ring_wait.median, r->ring_poll.median);
	printf("\"jobs_per_s_1\": %.1f, \"jobs_per_s_64\": %.1f, \"ring_jobs_per_s_1\": %.1f, \"ring_jobs_per_s_64\": %.1f, ",
	       r->rate[0], r->rate[1], r->ring_rate[0], r->ring_rate[1]);
	printf("\"empty_job_over_getppid\": %.2f, \"empty_job_over_nvme\": ", r->job.median / r->ppid.median);
	if (r->has_disk)
		printf("%.3f}\n", r->job.median / r->disk.median);
	else
		printf("null}\n");
}

int main(int argc, char **argv)
{
	static const struct option opts[] = { { "json", 0, NULL, 'j' }, { "rounds", 1, NULL, 'n' }, { "disk", 1, NULL, 'd' }, { 0 } };
	const char *disk = "/dev/nvme0n1";
	int rounds = 500, json = 0, o, ret;
	struct result r = { 0 };
	struct ctx c;
	struct uq q;

	while ((o = getopt_long(argc, argv, "", opts, NULL)) != -1) {
		if (o == 'j')
			json = 1;
		else if (o == 'n')
			rounds = atoi(optarg);
		else if (o == 'd')
			disk = optarg;
		else
			return 2;
	}
	double *us = rounds >= 10 ? calloc((size_t)rounds, sizeof(*us)) : NULL;

	if (!us || (ret = ctx_open(&c)) || (ret = uq_open(&q, &c, 64))) {
		fprintf(stderr, "submit: %s; load the driver and join group render, and use --rounds of 10 or more\n",
			us ? strerror(-ret) : "cannot start");
		return 1;
	}
	struct prog p = prog_at(&c, 0);

	EMIT(&p, END, );
	r.ppid = bench_getppid(us, rounds);
	ret = bench_disk(disk, us, rounds, &r.disk);
	r.has_disk = !ret;
	if (ret)
		fprintf(stderr, "submit: no disk probe: %s: %s; boot the VM with --nvme 64M\n", disk, strerror(-ret));
	ret = bench_queues(&c, &q, us, rounds, &r);
	free(us);
	if (ret) {
		fprintf(stderr, "submit: a job failed: %s; look at dmesg\n", strerror(-ret));
		return 1;
	}
	if (json)
		print_json(&r);
	else
		print_table(&r);
	return 0;
}
