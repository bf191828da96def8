// SPDX-License-Identifier: MIT
/*
 * Everything at once for some time, as root: clients with jobs of different lengths and priorities, some of which fault or
 * never end; files closed under running jobs; clients killed; resets and crashes of the firmware; allocations that fail by
 * chance. Every fence must signal, every job that ended well must have written its number, and afterwards nothing may be
 * alive and the card must work.
 *
 * The environment may set SNPU_LOAD_SECONDS, SNPU_LOAD_CLIENTS and SNPU_LOAD_SEED. Counts are printed.
 */
#include "kself.h"

#include <glob.h>
#include <poll.h>
#include <sys/prctl.h>

#define MAX_CLIENTS	16
#define MAX_BATCH	8
#define FENCE_S		60	/* a watchdog that has to look twice, on a slow machine */

/* How fences ended. */
enum { END_WELL, END_FAULT, END_CANCELED, END_RESET, END_HANG, END_OTHER, ENDS };
static const char *const end_names[ENDS] = { "well", "faulted", "cancelled", "reset", "timed out", "otherwise" };

/* Shared by all processes; each client writes its own. */
struct tally {
	uint64_t accepted, ended[ENDS], lost, wrong, refused, closed, files;
};

static struct tally *tallies;	/* [MAX_CLIENTS + 1], the last sums up clients that are gone */
static char debugfs[128];

struct load {
	uint64_t rng;
	struct tally *t;
	struct ctx c;
	uint32_t entry[4], len;
	int64_t end;
};

static uint64_t rnd(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static uint32_t below(struct load *l, uint32_t n)
{
	return (uint32_t)(rnd(&l->rng) % n);
}

static uint64_t setting(const char *name, uint64_t value)
{
	const char *s = getenv(name);

	return s ? strtoull(s, NULL, 0) : value;
}

/* --- one client --- */
static void tally_end(struct load *l, int status)
{
	switch (status) {
	case 1: l->t->ended[END_WELL]++; break;
	case -EFAULT: l->t->ended[END_FAULT]++; break;
	case -ECANCELED: l->t->ended[END_CANCELED]++; break;
	case -EIO: l->t->ended[END_RESET]++; break;
	case -ETIME: l->t->ended[END_HANG]++; break;
	default: l->t->ended[END_OTHER]++;
	}
}

/* What a fence in a sync file ended with, or 0 when it did not. */
static int sync_file_end(int sf)
{
	struct pollfd p = { .fd = sf, .events = POLLIN };
	struct sync_file_info info = { 0 };

	while (poll(&p, 1, FENCE_S * 1000) < 0)
		;
	while (ioctl(sf, SYNC_IOC_FILE_INFO, &info)) /* allocates, so it may fail like anything else */
		if (errno != ENOMEM && errno != EFAULT && errno != EINTR)
			return 0;
	return info.status;
}

/* A short, a long and a faulty program, and one that never ends. Each but the last writes its job's number. */
static void load_programs(struct load *l)
{
	static const uint32_t loops[3] = { 1, 3000, 1 };
	struct prog p = prog_at(&l->c, 0);

	for (int i = 0; i < 3; i++) {
		l->entry[i] = (uint32_t)(p.at - p.start);
		EMIT(&p, LOOP, .count = loops[i]);
		EMIT(&p, FILL, .dst = REF(OUTPUT, 0), .words = 256, .value = 0x600d);
		EMIT(&p, NEXT, );
		if (i == 2)
			EMIT(&p, FILL, .dst = REF(INPUT, 0), .words = 1, .value = 1);
		EMIT(&p, END, );
	}
	l->entry[3] = (uint32_t)(p.at - p.start);
	prog_spin(&p);
}

/* Submits a batch; afterwards @sf holds a sync file of each job that was accepted. Returns their number. */
static int load_submit(struct load *l, int sf[MAX_BATCH], bool *endless)
{
	struct drm_snpu_job jobs[MAX_BATCH];
	struct job j[MAX_BATCH];
	uint32_t n = 1 + below(l, MAX_BATCH), sync[MAX_BATCH];
	int ret, got = 0;

	*endless = false;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t kind = below(l, 40);

		kind = kind < 24 ? 0 : kind < 38 ? 1 : kind == 38 ? 2 : 3;
		*endless |= kind == 3;
		job_init(&j[i], &l->c, l->entry[kind]);
		sync[i] = syncobj(l->c.fd);
		job_sync(&j[i], DRM_SNPU_SYNC_SYNCOBJ | DRM_SNPU_SYNC_SIGNAL, sync[i], 0);
		jobs[i] = j[i].job;
		sf[i] = -1;
	}
	ret = submit_jobs(l->c.fd, l->c.queue, jobs, n);
	for (uint32_t i = 0; i < n; i++) {
		/* A copy of the answer that failed leaves the jobs accepted. */
		if ((!ret || ret == -EFAULT) && sync[i])
			while (drmSyncobjExportSyncFile(l->c.fd, sync[i], &sf[i]) && (errno == ENOMEM || errno == EFAULT))
				;
		got += sf[i] >= 0;
		if (sync[i])
			drmSyncobjDestroy(l->c.fd, sync[i]);
	}
	l->t->refused += ret != 0;
	l->t->accepted += (uint64_t)got;
	for (uint32_t i = n; i < MAX_BATCH; i++)
		sf[i] = -1;
	return got;
}

/* The mappings, too: each holds the file. */
static void load_close(struct load *l)
{
	if (l->c.code.map)
		munmap(l->c.code.map, l->c.code.size);
	if (l->c.out.map)
		munmap(l->c.out.map, l->c.out.size);
	if (l->c.fd >= 0)
		close(l->c.fd);
	memset(&l->c, 0, sizeof(l->c));
	l->c.fd = -1;
}

/* A fence that does not signal is the end; whoever looks into it wants to know what the card and the driver thought. */
static void load_lost(struct load *l, int i)
{
	char cmd[512];

	l->t->lost++;
	printf("# fence %d of queue %u did not signal in %d s, the file is %s\n", i, l->c.queue, FENCE_S, l->c.fd < 0 ? "closed" : "open");
	snprintf(cmd, sizeof(cmd), "cd %s; tail -n 40 queues objects registers; tail -n 20 firmware_log", debugfs);
	if (system(cmd))
		printf("# and how it stands cannot be seen\n");
	fflush(stdout);
	_exit(1);
}

/* False: the queue is of no more use. */
static bool load_batch(struct load *l)
{
	int sf[MAX_BATCH], n;
	bool endless, ended = true;

	memset(l->c.out.map, 0, PAGE);
	n = load_submit(l, sf, &endless);
	if (!n)
		return false;
	if (endless || !below(l, 30)) { /* somebody has to end it */
		usleep(below(l, 30000));
		l->t->closed++;
		load_close(l);
		ended = false;
	}
	for (int i = 0; i < MAX_BATCH; i++) {
		int status = sf[i] < 0 ? 1 : sync_file_end(sf[i]);

		if (sf[i] < 0)
			continue;
		close(sf[i]);
		if (!status)
			load_lost(l, i);
		tally_end(l, status);
		ended &= status == 1;
		if (status == 1 && l->c.out.map && ((volatile uint32_t *)l->c.out.map)[255] != 0x600d)
			l->t->wrong++;
	}
	return ended;
}

static int load_open(struct load *l)
{
	int fd = card_open(), ret;

	if (fd < 0)
		return fd;
	memset(&l->c, 0, sizeof(l->c));
	l->c.fd = fd;
	l->c.next_va = 0x10000000;
	ret = vm_create(fd, &l->c.vm);
	if (!ret)
		ret = queue_create(fd, l->c.vm, below(l, 4), &l->c.queue);
	if (!ret)
		ret = buf_new(&l->c, 4 * PAGE, 0, &l->c.code);
	if (!ret)
		ret = buf_new(&l->c, 16 * PAGE, below(l, 2) ? DRM_SNPU_BO_DEVICE : 0, &l->c.out);
	return ret;
}

static void load_client(uint64_t seed, struct tally *t, int64_t end, bool chance)
{
	struct load l = { .rng = seed, .t = t, .end = end, .c.fd = -1 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (chance) {
		int fd = open("/proc/self/make-it-fail", O_WRONLY | O_CLOEXEC);

		if (fd < 0 || write(fd, "1", 1) != 1)
			_exit(3);
		close(fd);
	}
	while (deadline_ns(0) < end) {
		t->files++;
		if (!load_open(&l)) {
			load_programs(&l);
			while (deadline_ns(0) < end && load_batch(&l))
				;
		}
		load_close(&l);
	}
	_exit(t->lost || t->wrong);
}

/* --- what happens to them --- */
static int knob(const char *dir, const char *name, const char *value)
{
	char path[192];
	int fd, ret;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = write(fd, value, strlen(value)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

static long knob_read(const char *dir, const char *name)
{
	char path[192];
	long v = -1;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%ld", &v) != 1)
		v = -1;
	if (f)
		fclose(f);
	return v;
}

#define CHANCES 1000000l
static const char *const chance_dirs[] = { "/sys/kernel/debug/failslab", "/sys/kernel/debug/fail_page_alloc", "/sys/kernel/debug/fail_usercopy" };

/* One in a hundred in tasks that asked for it; false on kernels without fault injection. */
static bool chance_setup(void)
{
	for (size_t i = 0; i < 3; i++) {
		char times[16];

		snprintf(times, sizeof(times), "%ld", CHANCES);
		if (knob(chance_dirs[i], "probability", "1") || knob(chance_dirs[i], "task-filter", "Y") ||
		    knob(chance_dirs[i], "verbose", "0") || knob(chance_dirs[i], "times", times))
			return false;
		if (i < 2)
			knob(chance_dirs[i], "ignore-gfp-wait", "N");
	}
	return true;
}

static long chance_end(void)
{
	long n = 0;

	for (size_t i = 0; i < 3; i++) {
		n += CHANCES - knob_read(chance_dirs[i], "times");
		knob(chance_dirs[i], "probability", "0");
	}
	return n;
}

struct events {
	unsigned int kills, resets, crashes, reads;
};

static pid_t start_client(uint64_t seed, int i, int64_t end, bool chance)
{
	struct tally *sum = &tallies[MAX_CLIENTS];
	pid_t pid;

	fflush(stdout);
	for (size_t k = 0; k < sizeof(*sum) / 8; k++)
		((uint64_t *)sum)[k] += ((uint64_t *)&tallies[i])[k];
	memset(&tallies[i], 0, sizeof(tallies[i]));
	pid = fork();
	if (!pid)
		load_client(seed, &tallies[i], end, chance);
	return pid;
}

/* A kill leaves jobs whose end nobody sees: the client's, which were accepted and not yet tallied. */
static uint64_t unseen(const struct tally *t)
{
	uint64_t n = t->accepted - t->lost;

	for (int i = 0; i < ENDS; i++)
		n -= t->ended[i];
	return n;
}

static bool any_lost(void)
{
	for (int i = 0; i < MAX_CLIENTS; i++)
		if (__atomic_load_n(&tallies[i].lost, __ATOMIC_RELAXED))
			return true;
	return false;
}

static void something_happens(struct events *ev, uint64_t *rng)
{
	char cmd[640];

	switch (rnd(rng) % 8) {
	case 0:
		ev->resets += !knob(debugfs, "force_reset", "1");
		break;
	case 1:
		ev->crashes += !knob(debugfs, "force_crash", rnd(rng) % 2 ? "0" : "1");
		break;
	default:
		snprintf(cmd, sizeof(cmd), "cat %s/queues %s/objects %s/firmware_log %s/crash >/dev/null", debugfs, debugfs, debugfs, debugfs);
		ev->reads += !system(cmd);
	}
}

static void print_counts(const struct tally *t, const struct events *ev, uint64_t killed_jobs, long injected)
{
	printf("# %u kills, %u resets, %u crashes, %u looks; %llu files opened, %llu closed under their jobs; %ld allocations and copies failed\n",
	       ev->kills, ev->resets, ev->crashes, ev->reads, (unsigned long long)t->files, (unsigned long long)t->closed, injected);
	printf("# %llu jobs accepted, %llu batches refused; ended:", (unsigned long long)t->accepted, (unsigned long long)t->refused);
	for (int i = 0; i < ENDS; i++)
		printf(" %s %llu,", end_names[i], (unsigned long long)t->ended[i]);
	printf(" with a killed client %llu; lost %llu, wrong results %llu\n", (unsigned long long)killed_jobs,
	       (unsigned long long)t->lost, (unsigned long long)t->wrong);
}

static int objects_alive(void)
{
	char path[160], line[64];
	int sum = 0, n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/objects", debugfs);
	f = fopen(path, "r");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f) && strncmp(line, "resets", 6))
		if (sscanf(line, "%*s %d", &n) == 1)
			sum += n;
	fclose(f);
	return sum;
}

TEST_TIMEOUT(many_clients_and_much_trouble, 7200)
{
	uint64_t rng = setting("SNPU_LOAD_SEED", 1), seconds = setting("SNPU_LOAD_SECONDS", 20), killed_jobs = 0;
	int n = (int)setting("SNPU_LOAD_CLIENTS", 5), status;
	int64_t end = deadline_ns((int)seconds);
	struct events ev = { 0 };
	pid_t pids[MAX_CLIENTS];
	struct ctx c;
	glob_t g;

	ASSERT_EQ(glob("/sys/kernel/debug/accel/*/objects", 0, NULL, &g), 0);
	snprintf(debugfs, sizeof(debugfs), "%.*s", (int)(strrchr(g.gl_pathv[0], '/') - g.gl_pathv[0]), g.gl_pathv[0]);
	globfree(&g);
	ASSERT_TRUE(n > 0 && n <= MAX_CLIENTS);
	tallies = mmap(NULL, sizeof(*tallies) * (MAX_CLIENTS + 1), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(tallies, MAP_FAILED);
	printf("# seed %llu, %d clients, %llu s\n", (unsigned long long)rng, n, (unsigned long long)seconds);
	knob(debugfs, "watchdog_ms", "1000");
	bool chance = chance_setup();

	for (int i = 0; i < n; i++) /* every third meets failures by chance */
		pids[i] = start_client(rnd(&rng), i, end, chance && i % 3 == 2);
	while (deadline_ns(0) < end && !any_lost()) {
		int i = (int)(rnd(&rng) % (uint64_t)n);

		usleep(100000 + (useconds_t)(rnd(&rng) % 400000));
		something_happens(&ev, &rng);
		if (rnd(&rng) % 4)
			continue;
		kill(pids[i], SIGKILL);
		ASSERT_EQ(waitpid(pids[i], &status, 0), pids[i]);
		EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
		killed_jobs += unseen(&tallies[i]);
		ev.kills++;
		pids[i] = start_client(rnd(&rng), i, end, chance && i % 3 == 2);
	}
	for (int i = 0; i < n; i++) {
		ASSERT_EQ(waitpid(pids[i], &status, 0), pids[i]);
		EXPECT_EQ(status, 0);
		EXPECT_EQ(unseen(&tallies[i]), 0);
		for (size_t k = 0; k < sizeof(struct tally) / 8; k++)
			((uint64_t *)&tallies[MAX_CLIENTS])[k] += ((uint64_t *)&tallies[i])[k];
	}
	print_counts(&tallies[MAX_CLIENTS], &ev, killed_jobs, chance ? chance_end() : 0);
	EXPECT_EQ(tallies[MAX_CLIENTS].lost, 0);
	EXPECT_EQ(tallies[MAX_CLIENTS].wrong, 0);
	EXPECT_EQ(tallies[MAX_CLIENTS].ended[END_OTHER], 0);
	EXPECT_GT(tallies[MAX_CLIENTS].ended[END_WELL], 0);
	for (int i = 0; i < 100 && objects_alive(); i++)
		usleep(100000);
	EXPECT_EQ(objects_alive(), 0);
	ASSERT_EQ(ctx_open(&c), 0);
	EXPECT_EQ(run_fill(&c, 0x10ad), 1);
}

TEST_HARNESS_MAIN
