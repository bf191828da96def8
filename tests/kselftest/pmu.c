// SPDX-License-Identifier: MIT
/*
 * A client of the card's perf events, for machines without perf and for what perf does not do.
 *	pmu count PMU EVENT[,EVENT...] COMMAND...	counts while a command runs: "spikes 4711" for each event, and ends as the
 *							command did
 *	pmu hold PMU EVENT		opens an event, says "ready", waits for a line on stdin, and tells the count as above
 *	pmu refuse PMU			opens what is not allowed and says what came of it: "sampling -22"
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_EVENTS	32

static long number_in(const char *pmu, const char *file, const char *format)
{
	char path[256];
	long value = -1;

	snprintf(path, sizeof(path), "/sys/bus/event_source/devices/%s/%s", pmu, file);
	FILE *f = fopen(path, "r");

	if (!f || fscanf(f, format, &value) != 1)
		fprintf(stderr, "pmu: %s cannot be read\n", path);
	if (f)
		fclose(f);
	return value;
}

static struct perf_event_attr attr_of(const char *pmu, const char *event)
{
	char file[64];

	snprintf(file, sizeof(file), "events/%s", event);
	return (struct perf_event_attr){ .type = (uint32_t)number_in(pmu, "type", "%ld"), .size = sizeof(struct perf_event_attr),
					 .config = (uint64_t)number_in(pmu, file, "event=%li") };
}

static int event_open(struct perf_event_attr attr, pid_t pid, int cpu)
{
	int fd = (int)syscall(SYS_perf_event_open, &attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static void event_tell(const char *name, int fd)
{
	uint64_t value = 0;
	ssize_t n = fd < 0 ? -1 : read(fd, &value, sizeof(value));

	if (n == sizeof(value))
		printf("%s %llu\n", name, (unsigned long long)value);
	else
		printf("%s %s\n", name, fd < 0 ? strerror(-fd) : n ? strerror(errno) : "gone");
}

static int pmu_count(const char *pmu, char *events, char **command)
{
	const char *name[MAX_EVENTS];
	int fd[MAX_EVENTS], n = 0, status = -1;

	for (char *e = strtok(events, ","); e; e = strtok(NULL, ",")) {
		if (n == MAX_EVENTS) {
			fprintf(stderr, "pmu: %d events at most\n", MAX_EVENTS);
			return 2;
		}
		name[n] = e;
		fd[n++] = event_open(attr_of(pmu, e), -1, 0);
	}
	fflush(stdout);
	pid_t child = fork();

	if (!child) {
		execvp(command[0], command);
		_exit(127);
	}
	waitpid(child, &status, 0);
	for (int i = 0; i < n; i++)
		event_tell(name[i], fd[i]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int pmu_hold(const char *pmu, const char *event)
{
	char line[16];
	int fd = event_open(attr_of(pmu, event), -1, 0);

	puts("ready");
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	event_tell(event, fd);
	return fd < 0;
}

static int pmu_refuse(const char *pmu)
{
	struct perf_event_attr good = attr_of(pmu, "spikes"), a;

	a = good, a.sample_period = 1000;
	printf("sampling %d\n", event_open(a, -1, 0));
	a = good, a.exclude_kernel = 1;
	printf("exclude_kernel %d\n", event_open(a, -1, 0));
	a = good, a.exclude_user = 1;
	printf("exclude_user %d\n", event_open(a, -1, 0));
	a = good, a.config = 0xff;
	printf("config %d\n", event_open(a, -1, 0));
	a = good, a.config1 = 1;
	printf("config1 %d\n", event_open(a, -1, 0));
	printf("task %d\n", event_open(good, 0, -1));
	printf("good %d\n", event_open(good, -1, 0) < 0);
	return 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 4 && !strcmp(argv[1], "count"))
		return pmu_count(argv[2], argv[3], argv + 4);
	if (argc == 4 && !strcmp(argv[1], "hold"))
		return pmu_hold(argv[2], argv[3]);
	if (argc == 3 && !strcmp(argv[1], "refuse"))
		return pmu_refuse(argv[2]);
	fputs("usage: see the first lines of pmu.c\n", stderr);
	return 2;
}
