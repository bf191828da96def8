/* SPDX-License-Identifier: MIT */
/*
 * A vfio-user client for tests: sends any bytes and descriptors, valid or not, over a socket, and reads replies back.
 * A reader without a thread: requests of the server (DMA_READ, DMA_WRITE) are answered only by client_answer_dma().
 * Every receive gives up after CLIENT_TIMEOUT_MS, so a server that says nothing fails a test and does not hang it.
 */
#ifndef SNPU_TESTS_VFU_CLIENT_H
#define SNPU_TESTS_VFU_CLIENT_H

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "sim/vfu_proto.h"

#define CLIENT_TIMEOUT_MS 20000
#define CLIENT_CAPS "{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":1048576,\"pgsizes\":4096," \
		    "\"max_dma_maps\":65535,\"write_multiple\":true}}"

struct client {
	int sock;
	uint16_t id;			/* of the last command */
};

/* What came back. */
struct client_reply {
	struct vfu_hdr hdr;
	uint8_t data[1 << 16];
	size_t len;			/* bytes in data; longer replies are read and cut */
	size_t full;			/* bytes after the header */
	int fd;				/* -1: none */
};

/* Sends bytes in one sendmsg() with descriptors. */
static inline int client_raw(struct client *c, const void *buf, size_t len, const int *fds, unsigned int nfds)
{
	union { char buf[CMSG_SPACE(64 * sizeof(int))]; struct cmsghdr align; } ctl;
	struct iovec iov = { (void *)(uintptr_t)buf, len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nfds) {
		mh.msg_control = ctl.buf;
		mh.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		memset(ctl.buf, 0, sizeof(ctl.buf));
		ctl.align = (struct cmsghdr){ CMSG_LEN(nfds * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(&ctl.align), fds, nfds * sizeof(int));
	}
	for (size_t done = 0; done < len;) {
		ssize_t n;

		iov = (struct iovec){ (uint8_t *)(uintptr_t)buf + done, len - done };
		n = sendmsg(c->sock, &mh, MSG_NOSIGNAL);
		if (n < 0)
			return -errno;
		done += (size_t)n;
		mh.msg_control = NULL;
		mh.msg_controllen = 0;
	}
	return 0;
}

static inline int client_recv_exact(struct client *c, void *buf, size_t len, int *fd)
{
	union { char buf[CMSG_SPACE(4 * sizeof(int))]; struct cmsghdr align; } ctl;

	for (size_t have = 0; have < len;) {
		struct pollfd p = { c->sock, POLLIN, 0 };
		struct iovec iov = { (uint8_t *)buf + have, len - have };
		struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl.buf, .msg_controllen = sizeof(ctl.buf) };
		ssize_t n;

		if (poll(&p, 1, CLIENT_TIMEOUT_MS) <= 0)
			return -ETIMEDOUT;
		n = recvmsg(c->sock, &mh, MSG_CMSG_CLOEXEC);
		if (n <= 0)
			return n ? -errno : -EPIPE;
		have += (size_t)n;
		if (mh.msg_controllen && fd) {
			struct cmsghdr *h = CMSG_FIRSTHDR(&mh);

			memcpy(fd, CMSG_DATA(h), sizeof(int));
		}
	}
	return 0;
}

/* The next message of the server, whatever it is. 0; -EPIPE: it hung up; -ETIMEDOUT. */
static inline int client_recv(struct client *c, struct client_reply *r)
{
	int err;

	r->fd = -1;
	r->len = 0;
	err = client_recv_exact(c, &r->hdr, sizeof(r->hdr), &r->fd);
	if (err)
		return err == -ECONNRESET ? -EPIPE : err;
	r->full = r->hdr.size - sizeof(r->hdr);
	for (size_t left = r->full; left && !err;) {
		uint8_t sink[4096];
		size_t room = sizeof(r->data) - r->len, n = left < (room ? room : sizeof(sink)) ? left : room ? room : sizeof(sink);

		err = client_recv_exact(c, room ? r->data + r->len : sink, n, NULL);
		r->len += room ? n : 0;
		left -= n;
	}
	return err;
}

static inline int client_send(struct client *c, uint16_t cmd, uint32_t flags, const void *data, size_t len, const int *fds,
			      unsigned int nfds)
{
	static uint8_t msg[1 << 21];
	struct vfu_hdr h = { ++c->id, cmd, (uint32_t)(sizeof(h) + len), flags, 0 };

	memcpy(msg, &h, sizeof(h));
	if (len)
		memcpy(msg + sizeof(h), data, len);
	return client_raw(c, msg, sizeof(h) + len, fds, nfds);
}

/* Sends a command and waits for its reply. 0, the errno of a refusal (positive), or a negative errno of the transport. */
static inline int client_call_fds(struct client *c, uint16_t cmd, const void *data, size_t len, const int *fds, unsigned int nfds,
				  struct client_reply *r)
{
	int err = client_send(c, cmd, 0, data, len, fds, nfds);

	if (err)
		return err;
	err = client_recv(c, r);
	if (err)
		return err;
	if (r->hdr.id != c->id || r->hdr.cmd != cmd || (r->hdr.flags & ~VFU_F_ERROR) != VFU_F_REPLY)
		return -EBADMSG;
	if (!(r->hdr.flags & VFU_F_ERROR))
		return 0;
	/* A refusal is a header with an errno in it and nothing else. */
	return r->full || !r->hdr.error_no || r->fd >= 0 ? -EBADMSG : (int)r->hdr.error_no;
}

static inline int client_call(struct client *c, uint16_t cmd, const void *data, size_t len, struct client_reply *r)
{
	return client_call_fds(c, cmd, data, len, NULL, 0, r);
}

static inline int client_version(struct client *c, uint16_t major, const char *text, size_t len, struct client_reply *r)
{
	uint8_t buf[4096];
	struct vfu_version v = { major, 0 };

	memcpy(buf, &v, sizeof(v));
	memcpy(buf + sizeof(v), text, len);
	return client_call(c, VFU_VERSION, buf, sizeof(v) + len, r);
}

static inline int client_info(struct client *c, struct client_reply *r)
{
	struct vfu_info q = { .argsz = sizeof(q) };

	return client_call(c, VFU_GET_INFO, &q, sizeof(q), r);
}

static inline int client_map(struct client *c, uint64_t addr, uint64_t size, uint32_t flags, int fd, uint64_t offset,
			     struct client_reply *r)
{
	struct vfu_dma_map q = { sizeof(q), flags, offset, addr, size };

	return client_call_fds(c, VFU_DMA_MAP, &q, sizeof(q), &fd, fd >= 0, r);
}

static inline int client_unmap(struct client *c, uint64_t addr, uint64_t size, uint32_t flags, struct client_reply *r)
{
	struct vfu_dma_unmap q = { sizeof(q), flags, addr, size };

	return client_call(c, VFU_DMA_UNMAP, &q, sizeof(q), r);
}

static inline int client_irqs(struct client *c, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
			      const void *data, size_t len, const int *fds, unsigned int nfds, struct client_reply *r)
{
	uint8_t buf[4096];
	struct vfu_irq_set q = { (uint32_t)(sizeof(q) + len), flags, index, start, count };

	memcpy(buf, &q, sizeof(q));
	if (len)
		memcpy(buf + sizeof(q), data, len);
	return client_call_fds(c, VFU_SET_IRQS, buf, sizeof(q) + len, fds, nfds, r);
}

static inline int client_read(struct client *c, uint32_t region, uint64_t off, void *buf, uint32_t len, struct client_reply *r)
{
	struct vfu_rw q = { off, region, len };
	int err = client_call(c, VFU_REGION_READ, &q, sizeof(q), r);

	if (!err && r->full != sizeof(q) + len)
		return -EBADMSG;
	if (!err && len <= sizeof(r->data) - sizeof(q))
		memcpy(buf, r->data + sizeof(q), len);
	return err;
}

static inline int client_write(struct client *c, uint32_t region, uint64_t off, const void *buf, uint32_t len,
			       struct client_reply *r)
{
	static uint8_t msg[1 << 20];
	struct vfu_rw q = { off, region, len };

	memcpy(msg, &q, sizeof(q));
	memcpy(msg + sizeof(q), buf, len);
	return client_call(c, VFU_REGION_WRITE, msg, sizeof(q) + len, r);
}

/* Switches memory decode and bus mastering on, as a driver does; without it a function neither does DMA nor interrupts. */
static inline int client_enable(struct client *c, struct client_reply *r)
{
	const uint16_t command = 0x6;

	return client_write(c, VFU_CONFIG_REGION, 4, &command, sizeof(command), r);
}

/* Connects to a listening socket. */
static inline int client_connect(struct client *c, const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
	c->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->sock < 0 || connect(c->sock, (struct sockaddr *)&a, sizeof(a)))
		return -errno;
	return 0;
}

#endif
