// SPDX-License-Identifier: MIT
/*
 * Messages and descriptors over the socket of the vfio-user server, in both directions, and the requests that other
 * threads send to the client and wait for.
 *
 * Receiving belongs to the socket thread. An empty buffer takes whatever has come, so that one recvmsg() normally brings
 * a whole message; a partly received message is completed exactly, never read past. That gives descriptors a clear owner:
 * the kernel ends a read at the data they were sent with, hence they belong to the message that holds the last byte.
 * Sending is one message at a time under tx_lock. What messages mean is left to vfu.c.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "sim/vfu_priv.h"

#define SEND_TIMEOUT_MS 10000		/* a client that reads nothing for so long is as good as dead */

int vfu_link_init(struct vfu_link *l)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&l->tx_lock, NULL);
	pthread_mutex_init(&l->wait_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&l->wait_cond, &attr);
	pthread_condattr_destroy(&attr);
	l->fd = -1;
	l->rx = malloc(VFU_RX_SIZE);
	return l->rx ? 0 : -ENOMEM;
}

void vfu_link_free(struct vfu_link *l)
{
	free(l->rx);
	pthread_cond_destroy(&l->wait_cond);
	pthread_mutex_destroy(&l->wait_lock);
	pthread_mutex_destroy(&l->tx_lock);
}

void vfu_link_open(struct vfu_link *l, int fd)
{
	pthread_mutex_lock(&l->tx_lock);
	l->fd = fd;
	l->have = 0;
	l->peer_xfer = VFU_MAX_XFER;
	l->peer_fds = 1;
	pthread_mutex_unlock(&l->tx_lock);
}

void vfu_link_close(struct vfu_link *l)
{
	pthread_mutex_lock(&l->tx_lock);
	l->up = false;
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	pthread_mutex_unlock(&l->tx_lock);
	vfu_link_drop_fds(l->fds, &l->nfds);
	l->fds_lost = false;
	/* After fd is -1: a request is either in the list now, or will find no connection. */
	pthread_mutex_lock(&l->wait_lock);
	for (struct vfu_wait *w = l->waits; w; w = w->next) {
		w->result = -ENOTCONN;
		w->done = true;
	}
	pthread_cond_broadcast(&l->wait_cond);
	pthread_mutex_unlock(&l->wait_lock);
}

void vfu_link_drop_fds(int *fds, unsigned int *nfds)
{
	for (unsigned int i = 0; i < *nfds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	*nfds = 0;
}

/* --- receiving ------------------------------------------------------------------------------------------------- */

static void keep_fds(struct vfu_link *l, struct msghdr *mh)
{
	if (mh->msg_flags & MSG_CTRUNC)
		l->fds_lost = true;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (l->nfds < VFU_MAX_FDS) {
				l->fds[l->nfds++] = fd;
			} else {
				l->fds_lost = true;
				close(fd);
			}
		}
	}
}

/* How much to read: all there is into an empty buffer, otherwise just what completes the header or the message. */
static size_t want(const struct vfu_link *l)
{
	struct vfu_hdr h;

	if (!l->have)
		return VFU_RX_SIZE;
	if (l->have < sizeof(h))
		return sizeof(h) - l->have;
	memcpy(&h, l->rx, sizeof(h));
	return h.size - l->have;
}

static int receive(struct vfu_link *l)
{
	union {
		char buf[CMSG_SPACE(VFU_MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} ctl;
	struct iovec iov = { l->rx + l->have, want(l) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl.buf, .msg_controllen = sizeof(ctl.buf) };
	ssize_t n = recvmsg(l->fd, &mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	if (n < 0)
		return -errno;
	keep_fds(l, &mh);
	l->have += (size_t)n;
	return (int)n;
}

/* A second client: it is told no by closing, but only when the first has really nothing to say and has not just left. */
static bool turn_away(struct vfu *v)
{
	char byte;
	int fd;

	if (recv(v->link.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
		return true;
	fd = accept4(v->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return false;
	close(fd);
	v->turned_away++;
	return true;
}

int vfu_link_fill(struct vfu *v)
{
	struct pollfd p[3] = {
		{ .fd = v->link.fd, .events = POLLIN }, { .fd = v->stop_fd, .events = POLLIN },
		{ .fd = v->listen_fd, .events = POLLIN },
	};

	for (;;) {
		int n;

		if (poll(p, 3, -1) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (p[1].revents)
			return -ECANCELED;
		if (!p[0].revents) {
			/* Out of descriptors, say: let it wait until the next message, rather than try without end. */
			if (!turn_away(v))
				p[2].fd = -1;
			continue;
		}
		n = receive(&v->link);
		if (n != -EAGAIN && n != -EINTR)
			return n;
	}
}

/* --- sending --------------------------------------------------------------------------------------------------- */

static int wait_writable(struct vfu *v, int fd)
{
	struct pollfd p[2] = { { .fd = fd, .events = POLLOUT }, { .fd = v->stop_fd, .events = POLLIN } };
	int n = poll(p, 2, SEND_TIMEOUT_MS);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (!n)
		return -ETIMEDOUT;
	return p[1].revents ? -ECANCELED : 0;
}

static int send_all(struct vfu *v, struct msghdr *mh, size_t left)
{
	while (left) {
		ssize_t n = sendmsg(v->link.fd, mh, MSG_NOSIGNAL | MSG_DONTWAIT);
		int err;

		if (n < 0) {
			if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
				return -errno;
			err = wait_writable(v, v->link.fd);
			if (err)
				return err;
			continue;
		}
		left -= (size_t)n;
		/* Descriptors went with the first bytes. */
		mh->msg_control = NULL;
		mh->msg_controllen = 0;
		while (left && (size_t)n >= mh->msg_iov->iov_len) {
			n -= (ssize_t)mh->msg_iov->iov_len;
			mh->msg_iov++;
			mh->msg_iovlen--;
		}
		if (left) {
			mh->msg_iov->iov_base = (uint8_t *)mh->msg_iov->iov_base + n;
			mh->msg_iov->iov_len -= (size_t)n;
		}
	}
	return 0;
}

int vfu_link_send(struct vfu *v, const struct vfu_hdr *hdr, const void *data, size_t len, int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} ctl = { { 0 } };
	/* sendmsg() only reads; iovec has no const form. */
	struct iovec iov[2] = { { (void *)(uintptr_t)hdr, sizeof(*hdr) }, { (void *)(uintptr_t)data, len } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = len ? 2 : 1 };
	int err;

	if (fd >= 0) {
		mh.msg_control = ctl.buf;
		mh.msg_controllen = sizeof(ctl.buf);
		ctl.align = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(&ctl.align), &fd, sizeof(int));
	}
	pthread_mutex_lock(&v->link.tx_lock);
	err = v->link.fd < 0 ? -ENOTCONN : send_all(v, &mh, sizeof(*hdr) + len);
	/* A message that is cut short ruins the stream: the socket thread sees the end of it and cleans up. */
	if (err && v->link.fd >= 0)
		shutdown(v->link.fd, SHUT_RDWR);
	pthread_mutex_unlock(&v->link.tx_lock);
	return err;
}

/* --- requests to the client ------------------------------------------------------------------------------------ */

static void wait_add(struct vfu_link *l, struct vfu_wait *w)
{
	pthread_mutex_lock(&l->wait_lock);
	w->id = l->next_id++;
	w->next = l->waits;
	l->waits = w;
	pthread_mutex_unlock(&l->wait_lock);
}

static void wait_remove_locked(struct vfu_link *l, struct vfu_wait *w)
{
	for (struct vfu_wait **p = &l->waits; *p; p = &(*p)->next) {
		if (*p == w) {
			*p = w->next;
			return;
		}
	}
}

static int wait_answer(struct vfu_link *l, struct vfu_wait *w, unsigned int timeout_ms)
{
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&l->wait_lock);
	while (!w->done && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&l->wait_cond, &l->wait_lock, &until);
	wait_remove_locked(l, w);
	pthread_mutex_unlock(&l->wait_lock);
	return w->done ? w->result : -ETIMEDOUT;
}

static int request_one(struct vfu *v, bool write, uint64_t iova, void *buf, size_t len)
{
	struct vfu_wait w = { .cmd = write ? VFU_DMA_WRITE : VFU_DMA_READ, .addr = iova, .buf = write ? NULL : buf, .len = len };
	struct vfu_hdr hdr = { .cmd = w.cmd, .flags = VFU_F_COMMAND };
	struct vfu_dma_rw rw = { iova, len };
	uint8_t *msg;
	size_t n = sizeof(rw) + (write ? len : 0);
	int err;

	msg = malloc(n);
	if (!msg)
		return -ENOMEM;
	memcpy(msg, &rw, sizeof(rw));
	if (write)
		memcpy(msg + sizeof(rw), buf, len);
	wait_add(&v->link, &w);
	hdr.id = w.id;
	hdr.size = (uint32_t)(sizeof(hdr) + n);
	err = v->link.up ? vfu_link_send(v, &hdr, msg, n, -1) : -ENOTCONN;
	free(msg);
	if (!err)
		return wait_answer(&v->link, &w, v->cfg.dma_timeout_ms);
	pthread_mutex_lock(&v->link.wait_lock);
	wait_remove_locked(&v->link, &w);
	pthread_mutex_unlock(&v->link.wait_lock);
	return -ENOTCONN;
}

int vfu_dma_request(struct vfu *v, bool write, uint64_t iova, void *buf, size_t len)
{
	uint8_t *p = buf;

	if (v->serving && pthread_equal(v->thread, pthread_self()))
		return -EDEADLK;
	while (len) {
		size_t n = len < v->link.peer_xfer ? len : v->link.peer_xfer;
		int err = request_one(v, write, iova, p, n);

		if (err)
			return err;
		iova += n;
		p += n;
		len -= n;
	}
	return 0;
}

/* What the answer says about the request it belongs to. */
static int judge(const struct vfu_wait *w, const struct vfu_msg *m)
{
	struct vfu_dma_rw rw = { 0 };
	/* The count in a write's answer is 4 bytes long in the specification and 8 in practice. */
	size_t fixed = w->buf ? sizeof(rw) : sizeof(rw) - 4;

	if (m->hdr.flags & VFU_F_ERROR)
		return -EFAULT;
	if (m->hdr.cmd != w->cmd || m->len < fixed)
		return -EPROTO;
	memcpy(&rw, m->data, m->len < sizeof(rw) ? m->len : sizeof(rw));
	if (rw.addr != w->addr || rw.count != w->len || (w->buf && m->len != sizeof(rw) + w->len))
		return -EPROTO;
	return 0;
}

void vfu_link_answer(struct vfu_link *l, const struct vfu_msg *m)
{
	struct vfu_wait *w;

	pthread_mutex_lock(&l->wait_lock);
	for (w = l->waits; w && (w->done || w->id != m->hdr.id); w = w->next)
		;
	if (w) {
		w->result = judge(w, m);
		if (!w->result && w->buf)
			memcpy(w->buf, m->data + sizeof(struct vfu_dma_rw), w->len);
		w->done = true;
		pthread_cond_broadcast(&l->wait_cond);
	}
	pthread_mutex_unlock(&l->wait_lock);
}
