// SPDX-License-Identifier: MIT
/*
 * What a submission costs: the round trip of an empty job and jobs per second with 1 and 64 in flight, beside two
 * things that the same machine does in the same minute: a getppid() call and a 4 KiB O_DIRECT read from an emulated
 * NVMe disk. In a VM under emulation the absolute times mean nothing; the ratios do. Runs in the VM as any user who
 * may open the card and read the disk; single-threaded. Round trips are medians, with the 10th and 90th percentile.
 *
 * usage: submit [--json] [--rounds N] [--disk /dev/nvme0n1]
 */
#include <getopt.h>
#include <sys/stat.h>

#include "tests/kselftest/kself.h"

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
	struct stat_us ppid, disk, job;
	bool has_disk;
	double rate1, rate64;			/* jobs/s */
};

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

	printf("%-28s %10s %10s %10s %12s %11s\n", "round trip (us)", "p10", "median", "p90", "x getppid", "x NVMe 4K");
	print_row("getppid()", r->ppid, ppid, disk);
	if (r->has_disk)
		print_row("NVMe 4 KiB O_DIRECT read", r->disk, ppid, disk);
	print_row("empty job", r->job, ppid, disk);
	printf("\n%-28s %10s %12s %11s\n", "jobs in flight", "jobs/s", "x getppid", "x NVMe 4K");
	const double rate[2] = { r->rate1, r->rate64 };

	for (int i = 0; i < 2; i++) {
		printf("%-28s %10.0f %12.1f", i ? "64" : "1", rate[i], 1e6 / rate[i] / ppid);
		if (disk > 0)
			printf(" %11.2f\n", 1e6 / rate[i] / disk);
		else
			printf(" %11s\n", "-");
	}
	puts("\nx: time of one as a multiple. The card is simulated and the machine emulated; only the ratios carry over.");
}

static void print_json(const struct result *r)
{
	printf("{\"format\": 1, \"getppid_us\": %.4f, \"nvme_4k_us\": ", r->ppid.median);
	if (r->has_disk)
		printf("%.3f", r->disk.median);
	else
		printf("null");
	printf(", \"empty_job_us\": %.3f, \"jobs_per_s_1\": %.1f, \"jobs_per_s_64\": %.1f, \"empty_job_over_getppid\": %.2f, \"empty_job_over_nvme\": ",
	       r->job.median, r->rate1, r->rate64, r->job.median / r->ppid.median);
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

	if (!us || (ret = ctx_open(&c))) {
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
	ret = bench_round_trip(&c, us, rounds, &r.job);
	if (!ret) {
		r.rate1 = bench_rate(&c, 1, (uint32_t)rounds);
		r.rate64 = bench_rate(&c, 64, (uint32_t)rounds * 4);
	}
	free(us);
	if (ret || r.rate1 <= 0 || r.rate64 <= 0) {
		fprintf(stderr, "submit: a job failed: %s; look at dmesg\n", strerror(ret ? -ret : EIO));
		return 1;
	}
	if (json)
		print_json(&r);
	else
		print_table(&r);
	return 0;
}
