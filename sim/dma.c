// SPDX-License-Identifier: MIT
/*
 * Guest memory: the table of DMA maps and the copies through it (see dma.h for the concepts).
 *
 * The table is glibc's red-black tree, ordered by IOVA, in which two ranges compare equal when they overlap; maps never
 * do, so one search serves point lookups, overlap checks and range removal. A read-write lock guards it: copies hold it
 * for reading, at most DMA_CHUNK bytes at a time, so that an unmap waits for them but not for long; writers come first.
 * Which thread calls what, and everything about sockets, is left to vfu.c.
 */
#include "sim/dma.h"

#include <errno.h>
#include <pthread.h>
#include <search.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define DMA_CHUNK (1u << 20)		/* bytes copied per hold of the lock */

struct dma_file {
	struct dma_file *next;
	dev_t dev;
	ino_t ino;
	uint8_t *base;			/* the whole file, size bytes */
	uint64_t size;
	bool writable;
	size_t refs;			/* maps that use it */
};

struct dma_map {
	uint64_t iova, last;		/* inclusive, so that the top of the address space needs no special case */
	uint8_t *host;			/* NULL: remote */
	struct dma_file *file;
	uint32_t flags;
};

struct dma {
	pthread_rwlock_t lock;
	void *tree;			/* of struct dma_map; guarded by lock, as the following */
	struct dma_file *files;
	size_t max_maps, maps, maps_without_fd;
	dma_remote_fn remote;
	void *remote_priv;
	bool enabled;
	_Atomic uint64_t generation, bytes_read, bytes_written, remote_requests;
};

/* --- memory that vanishes -------------------------------------------------------------------------------------- */

/* The other side can shrink a file that is mapped here; touching it then raises SIGBUS, which must end only the copy. */
static __thread sigjmp_buf *guard;
static struct sigaction old_sigbus;

static void on_sigbus(int sig)
{
	if (guard)
		siglongjmp(*guard, 1);
	/* Not ours: put back what was there; the instruction runs into it again. */
	sigaction(sig, &old_sigbus, NULL);
}

static void install_sigbus(void)
{
	/* SA_NODEFER: the jump leaves the handler without returning, so the signal must not stay blocked. */
	struct sigaction sa = { .sa_handler = on_sigbus, .sa_flags = SA_NODEFER };

	sigemptyset(&sa.sa_mask);
	sigaction(SIGBUS, &sa, &old_sigbus);
}

static __attribute__((noinline)) int guarded_copy(void *dst, const void *src, size_t len)
{
	sigjmp_buf here;

	if (sigsetjmp(here, 0)) {
		guard = NULL;
		return -EFAULT;
	}
	guard = &here;
	/* The compiler must not move the copy out of the guarded stretch. */
	atomic_signal_fence(memory_order_seq_cst);
	memcpy(dst, src, len);
	atomic_signal_fence(memory_order_seq_cst);
	guard = NULL;
	return 0;
}

/* --- table ----------------------------------------------------------------------------------------------------- */

static int map_cmp(const void *pa, const void *pb)
{
	const struct dma_map *a = pa, *b = pb;

	return a->last < b->iova ? -1 : a->iova > b->last ? 1 : 0;
}

/* Any map that overlaps [iova, last]. */
static struct dma_map *map_find(struct dma *d, uint64_t iova, uint64_t last)
{
	struct dma_map key = { .iova = iova, .last = last };
	struct dma_map **hit = tfind(&key, &d->tree, map_cmp);

	return hit ? *hit : NULL;
}

static bool range_ok(uint64_t iova, uint64_t size)
{
	return size && !(iova % DMA_PAGE) && !(size % DMA_PAGE) && size - 1 <= UINT64_MAX - iova;
}

/*
 * Lets go of files without maps. Not at their last unmap: a guest with an emulated IOMMU goes through "no maps" between
 * any two jobs, and mapping guest RAM anew would fault every page in again.
 */
static void files_trim(struct dma *d)
{
	for (struct dma_file **p = &d->files, *f; (f = *p);) {
		if (f->refs) {
			p = &f->next;
			continue;
		}
		*p = f->next;
		munmap(f->base, f->size);
		free(f);
	}
}

static int file_map(struct dma *d, const struct stat *st, int fd, bool need_write, struct dma_file **out)
{
	struct dma_file *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	files_trim(d);
	f->size = (uint64_t)st->st_size;
	f->dev = st->st_dev;
	f->ino = st->st_ino;
	f->writable = true;
	f->base = mmap(NULL, f->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (f->base == MAP_FAILED && errno == EACCES && !need_write) {
		f->writable = false;
		f->base = mmap(NULL, f->size, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
	}
	if (f->base == MAP_FAILED) {
		int err = -errno;

		free(f);
		return err;
	}
	f->next = d->files;
	d->files = f;
	*out = f;
	return 0;
}

/* The mapping of the file behind fd that covers [offset, offset + size), made now if it is new or has grown. */
static int file_get(struct dma *d, int fd, uint64_t offset, uint64_t size, bool need_write, struct dma_file **out)
{
	struct stat st;
	struct dma_file *f;
	int err;

	if (fstat(fd, &st))
		return -errno;
	if (st.st_size < 0 || offset % DMA_PAGE || offset > (uint64_t)st.st_size || size > (uint64_t)st.st_size - offset)
		return -EINVAL;
	for (f = d->files; f; f = f->next)
		if (f->dev == st.st_dev && f->ino == st.st_ino && f->size >= offset + size && (f->writable || !need_write))
			break;
	if (!f) {
		err = file_map(d, &st, fd, need_write, &f);
		if (err)
			return err;
	}
	f->refs++;
	*out = f;
	return 0;
}

static int map_insert(struct dma *d, const struct dma_map *want, int fd, uint64_t offset)
{
	uint64_t size = want->last - want->iova + 1;
	struct dma_map *m;
	int err;

	if (map_find(d, want->iova, want->last))
		return -EEXIST;
	if (d->maps >= d->max_maps)
		return -ENOSPC;
	m = malloc(sizeof(*m));
	if (!m)
		return -ENOMEM;
	*m = *want;
	if (fd >= 0) {
		err = file_get(d, fd, offset, size, want->flags & DMA_WRITABLE, &m->file);
		if (err) {
			free(m);
			return err;
		}
		m->host = m->file->base + offset;
	}
	if (!tsearch(m, &d->tree, map_cmp)) {
		if (m->file)
			m->file->refs--;
		free(m);
		return -ENOMEM;
	}
	d->maps++;
	d->maps_without_fd += !m->host;
	atomic_fetch_add(&d->generation, 1);
	return 0;
}

static uint64_t map_remove(struct dma *d, struct dma_map *m)
{
	uint64_t size = m->last - m->iova + 1;

	tdelete(m, &d->tree, map_cmp);
	d->maps--;
	d->maps_without_fd -= !m->host;
	if (m->file)
		m->file->refs--;
	free(m);
	atomic_fetch_add(&d->generation, 1);
	return size;
}

int dma_map(struct dma *d, uint64_t iova, uint64_t size, uint32_t flags, int fd, uint64_t offset)
{
	struct dma_map want = { .iova = iova, .last = iova + size - 1, .flags = flags };
	int err;

	if (!range_ok(iova, size) || !flags || (flags & ~(DMA_READABLE | DMA_WRITABLE)))
		return -EINVAL;
	pthread_rwlock_wrlock(&d->lock);
	err = map_insert(d, &want, fd, offset);
	pthread_rwlock_unlock(&d->lock);
	return err;
}

int dma_unmap(struct dma *d, uint64_t iova, uint64_t size, uint64_t *removed)
{
	uint64_t last = iova + size - 1;
	struct dma_map *first_map, *last_map, *m;
	int err = 0;

	*removed = 0;
	if (!range_ok(iova, size))
		return -EINVAL;
	pthread_rwlock_wrlock(&d->lock);
	first_map = map_find(d, iova, iova);
	last_map = map_find(d, last, last);
	if ((first_map && first_map->iova < iova) || (last_map && last_map->last > last)) {
		err = -EINVAL;
	} else {
		while ((m = map_find(d, iova, last)))
			*removed += map_remove(d, m);
	}
	pthread_rwlock_unlock(&d->lock);
	return err;
}

uint64_t dma_unmap_all(struct dma *d)
{
	uint64_t removed = 0;
	struct dma_map *m;

	pthread_rwlock_wrlock(&d->lock);
	while ((m = map_find(d, 0, UINT64_MAX)))
		removed += map_remove(d, m);
	files_trim(d);
	pthread_rwlock_unlock(&d->lock);
	return removed;
}

/* --- copies ---------------------------------------------------------------------------------------------------- */

/* What one step of a copy needs from outside the lock. */
struct dma_step {
	size_t len;			/* bytes, of this step */
	bool remote;			/* not done: ask fn(priv) */
	int verdict;			/* of a remote step, whatever the answer */
	dma_remote_fn fn;
	void *priv;
};

/* One step: at most one map and one chunk, or the decision that the other side must do it. Lock held for reading. */
static int dma_copy_step(struct dma *d, bool write, uint64_t iova, uint8_t *buf, struct dma_step *s)
{
	struct dma_map *m;
	uint64_t room;

	if (!d->enabled)
		return -EPERM;
	m = map_find(d, iova, iova);
	/* Refused here in any case; the other side is asked so that its IOMMU sees and reports the attempt. */
	if (m && !(m->flags & (write ? DMA_WRITABLE : DMA_READABLE)))
		s->verdict = -EACCES;
	room = m ? m->last - iova : DMA_PAGE - 1 - iova % DMA_PAGE;
	if (s->len > DMA_CHUNK)
		s->len = DMA_CHUNK;
	if (s->len - 1 > room)
		s->len = (size_t)room + 1;
	if (!m || !m->host || s->verdict) {
		s->remote = true;
		s->fn = d->remote;
		s->priv = d->remote_priv;
		return s->fn ? 0 : s->verdict ? s->verdict : -EFAULT;
	}
	atomic_fetch_add_explicit(write ? &d->bytes_written : &d->bytes_read, s->len, memory_order_relaxed);
	return write ? guarded_copy(m->host + (iova - m->iova), buf, s->len) :
		       guarded_copy(buf, m->host + (iova - m->iova), s->len);
}

static int dma_copy(struct dma *d, bool write, uint64_t iova, uint8_t *buf, size_t len, uint64_t *fault)
{
	int err = 0;

	if (len && len - 1 > UINT64_MAX - iova)
		err = -EFAULT;
	while (len && !err) {
		struct dma_step s = { .len = len };

		pthread_rwlock_rdlock(&d->lock);
		err = dma_copy_step(d, write, iova, buf, &s);
		pthread_rwlock_unlock(&d->lock);
		if (!err && s.remote) {
			atomic_fetch_add_explicit(&d->remote_requests, 1, memory_order_relaxed);
			err = s.fn(s.priv, write, iova, buf, s.len);
			err = s.verdict ? s.verdict : err;
		}
		if (err)
			break;
		iova += s.len;
		buf += s.len;
		len -= s.len;
	}
	if (err && fault)
		*fault = iova;
	return err;
}

int dma_read(struct dma *d, uint64_t iova, void *buf, size_t len, uint64_t *fault)
{
	return dma_copy(d, false, iova, buf, len, fault);
}

int dma_write(struct dma *d, uint64_t iova, const void *buf, size_t len, uint64_t *fault)
{
	/* A write only reads buf; the cast is for the step it shares with reads. */
	return dma_copy(d, true, iova, (uint8_t *)(uintptr_t)buf, len, fault);
}

/* --- the rest -------------------------------------------------------------------------------------------------- */

struct dma *dma_create(size_t max_maps)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct dma *d = calloc(1, sizeof(*d));
	pthread_rwlockattr_t attr;

	if (!d)
		return NULL;
	pthread_once(&once, install_sigbus);
	pthread_rwlockattr_init(&attr);
	/* An unmap, for which the guest waits, must not starve behind a busy engine. */
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&d->lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	d->max_maps = max_maps;
	d->enabled = true;
	d->generation = 1;
	return d;
}

void dma_destroy(struct dma *d)
{
	if (!d)
		return;
	dma_unmap_all(d);
	pthread_rwlock_destroy(&d->lock);
	free(d);
}

void dma_set_remote(struct dma *d, dma_remote_fn fn, void *priv)
{
	pthread_rwlock_wrlock(&d->lock);
	d->remote = fn;
	d->remote_priv = priv;
	pthread_rwlock_unlock(&d->lock);
}

void dma_set_enabled(struct dma *d, bool on)
{
	pthread_rwlock_wrlock(&d->lock);
	d->enabled = on;
	pthread_rwlock_unlock(&d->lock);
}

uint64_t dma_generation(const struct dma *d)
{
	return atomic_load_explicit(&d->generation, memory_order_acquire);
}

void dma_get_stats(struct dma *d, struct dma_stats *out)
{
	pthread_rwlock_rdlock(&d->lock);
	*out = (struct dma_stats){ .maps = d->maps, .maps_without_fd = d->maps_without_fd };
	for (struct dma_file *f = d->files; f; f = f->next)
		out->files++;
	pthread_rwlock_unlock(&d->lock);
	out->bytes_read = atomic_load_explicit(&d->bytes_read, memory_order_relaxed);
	out->bytes_written = atomic_load_explicit(&d->bytes_written, memory_order_relaxed);
	out->remote_requests = atomic_load_explicit(&d->remote_requests, memory_order_relaxed);
}
