/* SPDX-License-Identifier: MIT */
/*
 * Where a packed image grows: addresses are reserved for the most it can become, memory or disk is taken as it is filled.
 * Space of a file is promised by the file system before it is written through the mapping, so that a full disk is an
 * error and not a signal. One thread at a time.
 */
#include "lm/lm.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#define STEP	(16ull << 20)			/* bytes of memory or disk asked for at a time */

int lm_sink_open(struct lm_sink *sink, int fd, uint64_t file_at, uint64_t room)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;
	void *base;

	memset(sink, 0, sizeof(*sink));
	sink->fd = fd;
	sink->file_at = file_at;
	sink->room = lm_align(room, LM_PAGE);
	base = mmap(NULL, sink->room, fd < 0 ? PROT_NONE : PROT_READ | PROT_WRITE, flags, fd, (off_t)file_at);
	if (base == MAP_FAILED)
		return snpu_fail(-ENOMEM, "no address space for an image of up to %llu bytes", (unsigned long long)sink->room);
	sink->base = base;
	return 0;
}

void lm_sink_close(struct lm_sink *sink)
{
	if (sink->base)
		munmap(sink->base, sink->room);
	memset(sink, 0, sizeof(*sink));
	sink->fd = -1;
}

void *lm_sink_keep(struct lm_sink *sink)
{
	void *base = sink->base;
	uint64_t end = lm_align(sink->size, LM_PAGE);

	if (end < sink->room)
		munmap(sink->base + end, sink->room - end);
	sink->base = NULL;
	return base;
}

/* Memory or disk up to `end`. */
static int back(struct lm_sink *sink, uint64_t end)
{
	uint64_t want = lm_align(end, STEP) < sink->room ? lm_align(end, STEP) : sink->room, more = want - sink->backed;
	int err;

	if (sink->fd < 0 && mprotect(sink->base + sink->backed, more, PROT_READ | PROT_WRITE))
		return snpu_fail(-ENOMEM, "no memory for %llu bytes of the packed model", (unsigned long long)want);
	do
		err = sink->fd < 0 ? 0 : posix_fallocate(sink->fd, (off_t)(sink->file_at + sink->backed), (off_t)more);
	while (err == EINTR);
	if (err)
		return snpu_fail(-err, "no room on the disk for %llu bytes of the packed model: %s", (unsigned long long)want, strerror(err));
	sink->backed = want;
	return 0;
}

int lm_sink_take(struct lm_sink *sink, uint64_t bytes, uint64_t align, uint64_t *at)
{
	uint64_t from = lm_align(sink->size, align), end;
	int err = 0;

	if (!snpu_add(from, bytes, &end) || end > sink->room)
		return snpu_fail(-EFBIG, "the packed model is larger than %llu bytes, the most that was expected", (unsigned long long)sink->room);
	if (end > sink->backed)
		err = back(sink, end);
	if (err)
		return err;
	sink->size = end;
	*at = from;
	return 0;
}
