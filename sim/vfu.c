// SPDX-License-Identifier: MIT
/*
 * The life of a vfio-user server: listening, one client after another, the loop over its messages, and the end. The
 * meaning of messages is in vfu_msg.c, transport in vfu_link.c. Everything here runs in the socket thread, apart from the
 * functions that vfu.h gives to all threads.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim/vfu_priv.h"

#define DEFAULT_DMA_TIMEOUT_MS 4000	/* below QEMU's own 5 s for an answer */

static void vfu_log(struct vfu *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void vfu_log(struct vfu *v, const char *fmt, ...)
{
	char line[320];
	va_list ap;

	if (!v->cfg.ops->log)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	v->cfg.ops->log(v->cfg.priv, line);
}

static int reply(struct vfu *v, struct vfu_msg *m, int err)
{
	struct vfu_hdr hdr = { .id = m->hdr.id, .cmd = m->hdr.cmd, .flags = VFU_F_REPLY };

	if (err) {
		v->refused++;
		vfu_log(v, "refused message %u, %s (command %u): %s: %s", m->hdr.id, vfu_command_name(m->hdr.cmd), m->hdr.cmd,
			v->why[0] ? v->why : "the device said no", strerror(-err));
		hdr.flags |= VFU_F_ERROR;
		hdr.error_no = (uint32_t)-err;
		m->out_len = 0;
		m->out_fd = -1;
	}
	if (m->hdr.flags & VFU_F_NO_REPLY)
		return 0;
	hdr.size = (uint32_t)(sizeof(hdr) + m->out_len);
	return vfu_link_send(v, &hdr, v->tx, m->out_len, m->out_fd);
}

/* One whole message. 0, or a negative errno to end the connection. */
static int handle(struct vfu *v, struct vfu_msg *m)
{
	int err;

	v->messages++;
	v->why[0] = 0;
	m->out_fd = -1;
	if ((m->hdr.flags & VFU_F_TYPE) == VFU_F_REPLY) {
		vfu_link_answer(&v->link, m);
		return 0;
	}
	err = vfu_run(v, m);
	err = reply(v, m, err);
	if (!err && m->agreed) {
		/* Only now: another thread's request must not overtake the reply. */
		v->link.up = true;
		v->clients++;
		if (v->cfg.ops->connected)
			v->cfg.ops->connected(v->cfg.priv, true);
	}
	return err ? err : m->hang_up ? -EPROTO : 0;
}

/* An impossible length: nothing after it can be understood. The client is told, then left. */
static int bad_length(struct vfu *v, const struct vfu_hdr *hdr)
{
	struct vfu_msg m = { .hdr = *hdr, .out_fd = -1, .hang_up = true };
	int err = vfu_refuse(v, hdr->size < sizeof(*hdr) ? EINVAL : EMSGSIZE, "message size %u, possible are %zu to %zu", hdr->size,
			 sizeof(*hdr), (size_t)VFU_RX_SIZE);

	v->messages++;
	err = reply(v, &m, err);
	return err ? err : -EPROTO;
}

/* All whole messages in the buffer; a part of one is moved to the front. */
static int handle_all(struct vfu *v)
{
	struct vfu_link *l = &v->link;
	size_t pos = 0;
	int err = 0;

	while (!err && l->have - pos >= sizeof(struct vfu_hdr)) {
		struct vfu_msg m = { .out_fd = -1 };
		bool last;

		memcpy(&m.hdr, l->rx + pos, sizeof(m.hdr));
		if (m.hdr.size < sizeof(m.hdr) || m.hdr.size > VFU_RX_SIZE)
			return bad_length(v, &m.hdr);
		if (m.hdr.size > l->have - pos)
			break;
		m.data = l->rx + pos + sizeof(m.hdr);
		m.len = m.hdr.size - sizeof(m.hdr);
		pos += m.hdr.size;
		last = pos == l->have;
		if (last) {
			m.fds = l->fds;
			m.nfds = l->nfds;
		}
		err = handle(v, &m);
		if (last) {
			vfu_link_drop_fds(l->fds, &l->nfds);
			l->fds_lost = false;
		}
	}
	l->have -= pos;
	if (pos && l->have)
		memmove(l->rx, l->rx + pos, l->have);
	return err;
}

/* --- life ------------------------------------------------------------------------------------------------------ */

static void client_gone(struct vfu *v)
{
	bool was_up = v->link.up;

	vfu_link_close(&v->link);
	if (dma_unmap_all(v->dma))
		vfu_maps_changed(v);
	vfu_reset_device(v, VFU_RESET_DISCONNECT);
	if (was_up && v->cfg.ops->connected)
		v->cfg.ops->connected(v->cfg.priv, false);
}

int vfu_serve_fd(struct vfu *v, int fd)
{
	int err;

	v->thread = pthread_self();
	v->serving = true;
	vfu_link_open(&v->link, fd);
	do {
		err = vfu_link_fill(v);
		if (!err && v->link.have) {
			err = -EPROTO;	/* ended in the middle of a message */
			break;
		}
		if (err > 0)
			err = handle_all(v) ? : 1;
	} while (err > 0);
	if (err == -ECANCELED)
		err = 0;
	if (err)
		vfu_log(v, "connection lost: %s", strerror(-err));
	client_gone(v);
	v->serving = false;
	return err;
}

static bool stopped(const struct vfu *v, int timeout_ms)
{
	struct pollfd p = { .fd = v->stop_fd, .events = POLLIN };

	return poll(&p, 1, timeout_ms) > 0;
}

int vfu_serve(struct vfu *v)
{
	struct pollfd p[2] = { { .fd = v->listen_fd, .events = POLLIN }, { .fd = v->stop_fd, .events = POLLIN } };

	if (v->listen_fd < 0)
		return -EBADF;
	while (!stopped(v, 0)) {
		int fd;

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (!p[0].revents || stopped(v, 0))
			continue;
		fd = accept4(v->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0) {
			vfu_serve_fd(v, fd);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			vfu_log(v, "cannot accept a client, trying again: %s", strerror(errno));
			stopped(v, 100);
		} else if (errno != EINTR && errno != ECONNABORTED && errno != EAGAIN) {
			return -errno;
		}
	}
	return 0;
}

/* True: the file at addr is a socket nobody listens on. */
static bool stale(const struct sockaddr_un *addr)
{
	struct stat st;
	bool dead;
	int fd;

	/* Connecting to an ordinary file is refused as well, and that file is somebody's. */
	if (lstat(addr->sun_path, &st) || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	dead = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) && errno == ECONNREFUSED;
	close(fd);
	return dead;
}

int vfu_listen(struct vfu *v, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const struct sockaddr *sa = (const struct sockaddr *)&addr;
	int fd, err;

	if (v->listen_fd >= 0)
		return -EALREADY;
	if (!path[0] || strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	err = bind(fd, sa, sizeof(addr));
	if (err && errno == EADDRINUSE && stale(&addr) && !unlink(path))
		err = bind(fd, sa, sizeof(addr));
	/* Nobody can connect before listen(), so the mode is right from the first client on. */
	if (err || chmod(path, 0600) || listen(fd, 4)) {
		err = -errno;
		close(fd);
		return err;
	}
	v->addr = addr;
	v->listen_fd = fd;
	return 0;
}

void vfu_stop(struct vfu *v)
{
	const uint64_t one = 1;

	/* Stays readable for good; the only failure is a full counter, which is readable too. */
	if (write(v->stop_fd, &one, sizeof(one)) < 0)
		return;
}

static const char *check_config(const struct vfu_config *c)
{
	const struct pci_config *p = &c->pci;

	if (!c->ops || !c->ops->read || !c->ops->write || !c->ops->reset)
		return "a device needs read, write and reset functions";
	for (unsigned int i = 0; i < PCI_FUNC_BARS; i++) {
		const struct vfu_region *r = &c->region[i];

		if (!r->mem)
			continue;
		if (p->irq_mode == PCI_IRQ_MSIX && p->msix_bar == i)
			return "the BAR with the MSI-X table must be a trapped one";
		if (r->nareas > VFU_MAX_AREAS || r->fd_offset % DMA_PAGE)
			return "a BAR has too many mappable areas or begins inside a page of its file";
		for (unsigned int k = 0; k < r->nareas; k++) {
			const struct vfu_area *a = &r->areas[k];

			if (!a->size || a->offset % DMA_PAGE || a->size % DMA_PAGE || a->offset > p->bar[i].size ||
			    a->size > p->bar[i].size - a->offset)
				return "a mappable area is empty, not whole pages, or outside its BAR";
		}
	}
	return NULL;
}

static int remote(void *priv, bool write, uint64_t iova, void *buf, size_t len)
{
	return vfu_dma_request(priv, write, iova, buf, len);
}

struct vfu *vfu_create(const struct vfu_config *cfg, char *err, size_t errlen)
{
	const char *why = check_config(cfg);
	struct vfu *v;

	if (why) {
		snprintf(err, errlen, "cannot build the card's PCI face: %s", why);
		return NULL;
	}
	v = calloc(1, sizeof(*v));
	if (!v)
		goto no_memory;
	if (pci_func_init(&v->pci, &cfg->pci, &why)) {
		snprintf(err, errlen, "cannot build the card's configuration space: %s", why);
		free(v);
		return NULL;
	}
	v->cfg = *cfg;
	v->listen_fd = -1;
	if (!v->cfg.dma_timeout_ms)
		v->cfg.dma_timeout_ms = DEFAULT_DMA_TIMEOUT_MS;
	v->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	v->dma = dma_create(VFU_MAX_MAPS);
	v->tx = calloc(1, VFU_RX_SIZE);
	/* Both must run: vfu_destroy() undoes both. */
	if ((vfu_link_init(&v->link) | vfu_irqs_init(&v->irq, cfg->pci.irq_mode, cfg->pci.nvec)) || v->stop_fd < 0 || !v->dma ||
	    !v->tx)
		goto no_memory;
	dma_set_remote(v->dma, remote, v);
	vfu_gate(v);
	return v;
no_memory:
	snprintf(err, errlen, "cannot make a vfio-user server: out of memory or descriptors");
	vfu_destroy(v);
	return NULL;
}

void vfu_destroy(struct vfu *v)
{
	if (!v)
		return;
	if (v->listen_fd >= 0)
		close(v->listen_fd);
	if (v->addr.sun_path[0])
		unlink(v->addr.sun_path);
	vfu_irqs_free(&v->irq);
	vfu_link_free(&v->link);
	dma_destroy(v->dma);
	free(v->tx);
	if (v->stop_fd >= 0)
		close(v->stop_fd);
	free(v);
}

/* --- for other threads ----------------------------------------------------------------------------------------- */

void vfu_irq(struct vfu *v, unsigned int vector)
{
	vfu_irqs_raise(&v->irq, vector);
}

struct dma *vfu_dma(struct vfu *v)
{
	return v->dma;
}

const struct pci_func *vfu_pci(const struct vfu *v)
{
	return &v->pci;
}

void vfu_get_stats(struct vfu *v, struct vfu_stats *s)
{
	*s = (struct vfu_stats){ .messages = v->messages, .refused = v->refused, .clients = v->clients,
				 .turned_away = v->turned_away };
	pthread_mutex_lock(&v->irq.lock);
	s->irqs = v->irq.sent;
	pthread_mutex_unlock(&v->irq.lock);
}
