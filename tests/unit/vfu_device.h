/* SPDX-License-Identifier: MIT */
/*
 * A device for tests of the vfio-user server: BAR0 is 64 KiB of trapped registers that remember what was written and
 * hold the MSI-X table (3 vectors) and pending bits, BAR2 is 1 MiB of memory that may be mapped as a whole, BAR4 is
 * 64 KiB of memory of which pages 1 and 4..7 may be mapped. It counts what it is told. struct rig is a server with
 * this device in a thread, and a client connected to it.
 */
#ifndef SNPU_TESTS_VFU_DEVICE_H
#define SNPU_TESTS_VFU_DEVICE_H

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "sim/vfu.h"
#include "tests/unit/vfu_client.h"

#define DEV_BAR0_SIZE	0x10000u
#define DEV_BAR2_SIZE	(1u << 20)
#define DEV_BAR4_SIZE	0x10000u
#define DEV_BAD_REG	0x7000u		/* in BAR0: the device refuses accesses with -EIO */
#define DEV_TABLE	0x8000u
#define DEV_PBA		0xc000u
#define DEV_VECTORS	3u

struct device {
	uint8_t bar0[DEV_BAR0_SIZE];
	uint8_t *bar2, *bar4;
	int fd2, fd4;
	atomic_uint resets[3], dma_changes, writes, connects, disconnects, logs;
	atomic_int power;
	char last_log[512];
};

static inline int device_read(void *priv, unsigned int bar, uint64_t off, void *buf, size_t len)
{
	struct device *d = priv;

	if (bar || off == DEV_BAD_REG)
		return -EIO;
	memcpy(buf, d->bar0 + off, len);
	return 0;
}

static inline int device_write(void *priv, unsigned int bar, uint64_t off, const void *buf, size_t len)
{
	struct device *d = priv;

	if (bar || off == DEV_BAD_REG)
		return -EIO;
	memcpy(d->bar0 + off, buf, len);
	d->writes++;
	return 0;
}

static inline void device_reset(void *priv, enum vfu_reset why)
{
	struct device *d = priv;

	memset(d->bar0, 0, sizeof(d->bar0));
	d->resets[why]++;
}

static inline void device_dma_changed(void *priv)
{
	((struct device *)priv)->dma_changes++;
}

static inline void device_power(void *priv, enum pci_power state)
{
	((struct device *)priv)->power = (int)state;
}

static inline void device_connected(void *priv, bool on)
{
	struct device *d = priv;

	if (on)
		d->connects++;
	else
		d->disconnects++;
}

static inline void device_log(void *priv, const char *line)
{
	struct device *d = priv;

	snprintf(d->last_log, sizeof(d->last_log), "%s", line);
	d->logs++;
}

static const struct vfu_device_ops device_ops = {
	device_read, device_write, device_reset, device_dma_changed, device_power, device_connected, device_log,
};

static inline uint8_t *device_memory(size_t size, int *fd)
{
	*fd = memfd_create("bar", MFD_CLOEXEC);
	if (*fd < 0 || ftruncate(*fd, (off_t)size))
		return MAP_FAILED;
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
}

static inline struct vfu_config device_config(struct device *d)
{
	struct vfu_config cfg = {
		.pci = {
			.vendor = 0x1af4, .device = 0x10f5, .class_code = 0x120000,
			.bar = { [0] = { .size = DEV_BAR0_SIZE }, [2] = { DEV_BAR2_SIZE, true, true }, [4] = { DEV_BAR4_SIZE } },
			.irq_mode = PCI_IRQ_MSIX, .nvec = DEV_VECTORS, .msix_table_off = DEV_TABLE, .msix_pba_off = DEV_PBA,
		},
		.ops = &device_ops, .priv = d, .dma_timeout_ms = 300,
	};

	if (!d->bar2) {
		d->bar2 = device_memory(DEV_BAR2_SIZE, &d->fd2);
		d->bar4 = device_memory(DEV_BAR4_SIZE, &d->fd4);
	}
	cfg.region[2] = (struct vfu_region){ .mem = d->bar2, .fd = d->fd2 };
	cfg.region[4] = (struct vfu_region){ .mem = d->bar4, .fd = d->fd4, .nareas = 2,
					     .areas = { { 0x1000, 0x1000 }, { 0x4000, 0x4000 } } };
	return cfg;
}

static inline void device_free(struct device *d)
{
	munmap(d->bar2, DEV_BAR2_SIZE);
	munmap(d->bar4, DEV_BAR4_SIZE);
	close(d->fd2);
	close(d->fd4);
}

struct rig {
	struct device dev;
	struct vfu *v;
	struct client c;
	int server_end;
	int result;			/* of vfu_serve_fd(), after rig_join() */
	pthread_t thread;
	bool running;
};

static inline void *rig_main(void *arg)
{
	struct rig *r = arg;

	r->result = vfu_serve_fd(r->v, r->server_end);
	return NULL;
}

/* Connects a client over a socket pair; no version yet. */
static inline bool rig_connect(struct rig *r)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv))
		return false;
	r->c = (struct client){ .sock = sv[0] };
	r->server_end = sv[1];
	r->running = !pthread_create(&r->thread, NULL, rig_main, r);
	return r->running;
}

static inline bool rig_make(struct rig *r, const struct vfu_config *cfg)
{
	struct vfu_config own = cfg ? *cfg : device_config(&r->dev);
	char err[128];

	r->v = vfu_create(&own, err, sizeof(err));
	return r->v != NULL;
}

/* Hangs up, if that has not happened, and waits for the server to notice. */
static inline void rig_join(struct rig *r)
{
	if (!r->running)
		return;
	close(r->c.sock);
	pthread_join(r->thread, NULL);
	r->running = false;
}

static inline void rig_free(struct rig *r)
{
	rig_join(r);
	vfu_destroy(r->v);
	device_free(&r->dev);
}

static inline int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

#endif
