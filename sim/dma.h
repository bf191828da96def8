/* SPDX-License-Identifier: MIT */
/*
 * Guest memory as one PCI function sees it.
 *
 * Concepts
 *   IOVA        the address the function puts on the bus. What it means is decided by the other side: RAM without an
 *               IOMMU, whatever the IOMMU maps otherwise.
 *   map         one range of IOVAs, whole 4 KiB pages, with read and/or write permission. Maps never overlap. With an
 *               emulated IOMMU there is one map per 4 KiB page, so tens of thousands are normal.
 *   file        the memory behind maps that came with a file descriptor. All maps of one file (by device and inode)
 *               share one mapping of the whole file in this process; copies go straight to and from it. The mapping
 *               outlives its last map until another file comes or everything is unmapped.
 *   remote      memory whose maps came without a descriptor, and addresses with no map at all: reached by asking the
 *               other side, through a function that the owner of the connection installs. An access that its IOMMU
 *               then refuses is reported there, as a real card's would be. For that reason the other side is asked
 *               about an access that a map forbids, too, although the answer changes nothing.
 *   generation  a number that changes whenever a map appears or goes away. Anything derived from a lookup is stale
 *               when the number differs.
 *   enabled     false while the function must not master the bus (command register, D3hot): every access is refused.
 *
 * Threads: every function may be called from any thread, except that the remote function is never called under the
 * table's lock, so it may wait for the thread that maps and unmaps. When dma_unmap() has returned, no copy into or out
 * of the range is under way and none will begin.
 */
#ifndef SNPU_SIM_DMA_H
#define SNPU_SIM_DMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DMA_PAGE	4096u		/* bytes; granule of maps */
#define DMA_READABLE	0x1u		/* the function may read it */
#define DMA_WRITABLE	0x2u		/* the function may write it */

struct dma;

/*
 * Moves len bytes between buf and the other side's address iova. Returns 0 or a negative errno. Called without locks,
 * from the thread that called dma_read() or dma_write().
 */
typedef int (*dma_remote_fn)(void *priv, bool write, uint64_t iova, void *buf, size_t len);

struct dma_stats {
	size_t maps, files;		/* now */
	size_t maps_without_fd;		/* now: these can only be reached through the remote function */
	uint64_t bytes_read, bytes_written;	/* since creation, through files */
	uint64_t remote_requests;	/* since creation */
};

/* An empty, enabled table of at most max_maps maps. NULL: out of memory. */
struct dma *dma_create(size_t max_maps);
void dma_destroy(struct dma *d);

/* Installs (or with NULL removes) the way to memory that has no descriptor. Waits for no call under way. */
void dma_set_remote(struct dma *d, dma_remote_fn fn, void *priv);
void dma_set_enabled(struct dma *d, bool on);

/*
 * Adds the map [iova, iova + size). fd >= 0: the memory is that file from `offset` on; the descriptor stays the
 * caller's and may be closed afterwards. fd < 0: remote.
 *   -EINVAL  empty, not whole pages, past the end of the address space, no permission given, unknown flag, or the file
 *            is shorter than offset + size
 *   -EEXIST  overlaps a map
 *   -ENOSPC  max_maps reached
 *   -EACCES  writable map of a read-only descriptor
 *   other    from fstat(2), mmap(2), malloc(3)
 */
int dma_map(struct dma *d, uint64_t iova, uint64_t size, uint32_t flags, int fd, uint64_t offset)
	__attribute__((warn_unused_result));

/*
 * Removes every map inside [iova, iova + size); *removed is the number of bytes they covered, 0 if there was none.
 * -EINVAL, and nothing is removed: empty or not whole pages or past the end, or the range would cut a map in two.
 */
int dma_unmap(struct dma *d, uint64_t iova, uint64_t size, uint64_t *removed) __attribute__((warn_unused_result));

/* Removes all maps and lets go of all files; returns the bytes the maps covered. */
uint64_t dma_unmap_all(struct dma *d);

/*
 * Copies len bytes at iova to or from buf; the range may span maps. On failure the bytes before *fault (if not NULL)
 * have been moved, the byte at *fault could not be.
 *   -EFAULT  nothing is mapped there, or the memory behind the map has gone
 *   -EACCES  the map lacks the permission
 *   -EPERM   bus mastering is off
 *   other    what the remote function returned
 */
int dma_read(struct dma *d, uint64_t iova, void *buf, size_t len, uint64_t *fault) __attribute__((warn_unused_result));
int dma_write(struct dma *d, uint64_t iova, const void *buf, size_t len, uint64_t *fault)
	__attribute__((warn_unused_result));

/* Changes with every map and unmap; never 0. Wait-free. */
uint64_t dma_generation(const struct dma *d);
void dma_get_stats(struct dma *d, struct dma_stats *out);

#endif
