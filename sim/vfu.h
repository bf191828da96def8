/* SPDX-License-Identifier: MIT */
/*
 * A vfio-user server: lets a device model in this process appear as a PCI function in a virtual machine.
 *
 * Concepts
 *   server      one function, one listening UNIX socket, at most one client (QEMU) at a time. When a client leaves,
 *               cleanly or not, its DMA maps and interrupt descriptors are forgotten, the device is reset, and the next
 *               client is accepted. A second client is turned away while there is one.
 *   device      what the model supplies: a description (struct vfu_config) and functions (struct vfu_device_ops).
 *   region      a BAR. Either trapped (each access calls the device, 1, 2, 4 or 8 bytes, naturally aligned) or backed by
 *               memory (`mem`), which the server accesses itself and which a client may also map, when a descriptor
 *               is given. Configuration space is answered by pci.c, the MSI-X table and pending bits by this server.
 *   refusal     the errno reply to a message that asks for something wrong. The connection stays, except when the byte
 *               stream itself cannot be trusted any more (impossible length) or the version cannot be agreed on.
 *   socket      the thread inside vfu_serve(). The client's virtual CPU stands still until it answers, so device
 *   thread      functions must return at once, and must not do DMA: the client answers DMA requests only after it has
 *               got its own answer. Work is for the device's own threads.
 *
 * Limits announced to the client: VFU_MAX_XFER bytes a transfer, VFU_MAX_FDS descriptors a message, VFU_MAX_MAPS maps.
 */
#ifndef SNPU_SIM_VFU_H
#define SNPU_SIM_VFU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/dma.h"
#include "sim/pci.h"

#define VFU_MAX_XFER	(1u << 20)	/* bytes of data in one message */
#define VFU_MAX_FDS	16u
#define VFU_MAX_MAPS	65535u
#define VFU_MAX_AREAS	16u

struct vfu;

/* A part of a BAR that a client may map: whole pages. */
struct vfu_area {
	uint64_t offset, size;		/* bytes, in the BAR */
};

/* How the BAR of the same number in pci.bar[] is served. */
struct vfu_region {
	void *mem;			/* its bytes, of pci.bar[].size; NULL: trapped */
	int fd;				/* file behind `mem`, for clients to map; -1: they may not. Stays the caller's */
	uint64_t fd_offset;		/* where in that file the BAR begins, whole pages */
	unsigned int nareas;		/* 0: all of it may be mapped */
	struct vfu_area areas[VFU_MAX_AREAS];
};

enum vfu_reset {
	VFU_RESET_DEVICE,		/* bus reset or machine reset */
	VFU_RESET_FLR,			/* the driver asked for a function level reset */
	VFU_RESET_DISCONNECT,		/* the client has gone */
};

/* All are called in the socket thread, with no lock held. Those that may be NULL say so. */
struct vfu_device_ops {
	/* A trapped access: len is 1, 2, 4 or 8, off a multiple of it and inside the BAR. 0 or a negative errno. */
	int (*read)(void *priv, unsigned int bar, uint64_t off, void *buf, size_t len);
	int (*write)(void *priv, unsigned int bar, uint64_t off, const void *buf, size_t len);
	/* Bring the device to its reset state. On return it raises no interrupt and does no DMA until told to. */
	void (*reset)(void *priv, enum vfu_reset why);
	/* Optional: the DMA map table has changed. The reply that lets the client go on is sent after this returns. */
	void (*dma_changed)(void *priv);
	/* Optional: power state changed. */
	void (*power)(void *priv, enum pci_power state);
	/* Optional: a client has agreed on the version (true), or has gone (false). */
	void (*connected)(void *priv, bool on);
	/* Optional: one line, without newline, on something refused or lost: what, with its numbers, and why. */
	void (*log)(void *priv, const char *line);
};

struct vfu_config {
	struct pci_config pci;
	struct vfu_region region[PCI_FUNC_BARS];
	const struct vfu_device_ops *ops;
	void *priv;			/* handed to every function of ops */
	unsigned int dma_timeout_ms;	/* for an answer to a DMA request; 0: 4000 */
};

/*
 * Makes a server that is not listening yet. NULL: the description contradicts itself or memory ran out; then `err`
 * (bytes: errlen) holds a sentence. Copies *cfg.
 */
struct vfu *vfu_create(const struct vfu_config *cfg, char *err, size_t errlen);
/* Frees it; no vfu_serve() may be running. Removes the socket file that vfu_listen() made. */
void vfu_destroy(struct vfu *v);

/*
 * Binds and listens on a UNIX socket (mode 0600). A socket file that nobody listens on is replaced.
 * -EADDRINUSE: somebody does; -ENAMETOOLONG: the path does not fit in a socket address; else from bind(2).
 */
int vfu_listen(struct vfu *v, const char *path) __attribute__((warn_unused_result));

/* Serves one client after another until vfu_stop(). Returns 0, or a negative errno when accepting fails for good. */
int vfu_serve(struct vfu *v) __attribute__((warn_unused_result));

/* Serves one connected socket, which it closes, until it ends or vfu_stop(). 0: it ended in order; -EPROTO and others: not. */
int vfu_serve_fd(struct vfu *v, int fd);

/* Makes vfu_serve() return, now or whenever it is called. Any thread; async-signal-safe. */
void vfu_stop(struct vfu *v);

/*
 * Raises an interrupt vector. Any thread; never blocks. When it cannot be delivered now (masked, no descriptor yet, bus
 * mastering off, D3hot) it stays pending, as the pending bits show, and is delivered when the obstacle goes. With MSI and
 * fewer vectors enabled than offered, vectors wrap around. A vector the function does not have is ignored.
 */
void vfu_irq(struct vfu *v, unsigned int vector);

/* The function's view of guest memory. Lives as long as v. See dma.h; not to be read or written in the socket thread. */
struct dma *vfu_dma(struct vfu *v);

/* The function's configuration space: pci_func_power() and pci_func_bus_master() from any thread. */
const struct pci_func *vfu_pci(const struct vfu *v);

/*
 * Asks the client to read or write its memory at iova; what dma.c calls for memory without a descriptor. Any thread but
 * the socket thread (-EDEADLK). -ENOTCONN: no client; -ETIMEDOUT: no answer in time; -EFAULT: the client refused.
 */
int vfu_dma_request(struct vfu *v, bool write, uint64_t iova, void *buf, size_t len) __attribute__((warn_unused_result));

/* Counters since creation, for tests and diagnosis. Any thread. */
struct vfu_stats {
	uint64_t messages, refused, irqs, clients, turned_away;
};
void vfu_get_stats(struct vfu *v, struct vfu_stats *out);

#endif
