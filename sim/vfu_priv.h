/* SPDX-License-Identifier: MIT */
/*
 * Between the four files of the vfio-user server: vfu.c lives, vfu_msg.c decides what each message means, vfu_link.c moves
 * messages and descriptors over the socket, vfu_irq.c delivers interrupts. Not for anybody else.
 */
#ifndef SNPU_SIM_VFU_PRIV_H
#define SNPU_SIM_VFU_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/un.h>

#include "sim/vfu.h"
#include "sim/vfu_proto.h"

#define VFU_RX_SIZE (sizeof(struct vfu_hdr) + 64u + VFU_MAX_XFER)	/* longest message there can be, bytes */

/* A DMA request that waits for its answer. Lives on the stack of the thread that waits. */
struct vfu_wait {
	struct vfu_wait *next;
	uint16_t id, cmd;
	bool done;
	int result;
	uint64_t addr;
	void *buf;			/* where the data of a read go */
	size_t len;
};

/* The connection. */
struct vfu_link {
	pthread_mutex_t tx_lock;	/* one message at a time; guards fd against threads other than the socket's */
	int fd;				/* -1: no client */
	atomic_bool up;			/* version agreed: DMA requests may be sent */
	_Atomic uint32_t peer_xfer;	/* bytes of data the client takes in one message */
	uint32_t peer_fds;		/* descriptors the client takes in one message */
	/* Receiving; socket thread only. */
	uint8_t *rx;			/* VFU_RX_SIZE bytes; the first `have` are received */
	size_t have;
	int fds[VFU_MAX_FDS];		/* belong to the message that holds the last byte received */
	unsigned int nfds;
	bool fds_lost;			/* more came than a message may have */
	/* Requests to the client. */
	pthread_mutex_t wait_lock;	/* guards the following; taken inside nothing, holds nothing */
	pthread_cond_t wait_cond;
	struct vfu_wait *waits;
	uint16_t next_id;
};

/* The vectors of the one interrupt type the function has. */
struct vfu_irqs {
	pthread_mutex_t lock;		/* guards everything here; held while an eventfd is written, which never blocks */
	uint32_t index;			/* VFU_IRQ_MSI or VFU_IRQ_MSIX */
	unsigned int n;			/* vectors; 0: no interrupts at all */
	unsigned int enabled;		/* 1 + the highest vector that has a descriptor */
	bool open;			/* bus mastering on and D0 */
	int *fd;			/* [n], -1: none */
	bool *masked, *pending;		/* [n] */
	uint64_t sent;
};

/* One received message and the reply under construction. */
struct vfu_msg {
	struct vfu_hdr hdr;
	const uint8_t *data;		/* len bytes after the header */
	size_t len;
	int *fds;			/* nfds descriptors; one that is kept is replaced by -1, the rest is closed */
	unsigned int nfds;
	size_t out_len;			/* bytes of reply payload in vfu.tx */
	int out_fd;			/* -1: none */
	bool hang_up;			/* end the connection after the reply */
	bool agreed;			/* the version is agreed on */
};

struct vfu {
	struct vfu_config cfg;
	struct pci_func pci;
	struct dma *dma;
	struct vfu_link link;
	struct vfu_irqs irq;
	int listen_fd, stop_fd;
	struct sockaddr_un addr;	/* of the socket file that vfu_listen() made; sun_path[0] == 0: none */
	atomic_bool serving;
	pthread_t thread;		/* the socket thread, while serving */
	uint8_t *tx;			/* reply payload, VFU_RX_SIZE bytes; socket thread only */
	char why[192];			/* reason of the refusal in progress; socket thread only */
	_Atomic uint64_t messages, refused, clients, turned_away;
};

/* vfu_link.c */
int vfu_link_init(struct vfu_link *l);
void vfu_link_free(struct vfu_link *l);
void vfu_link_open(struct vfu_link *l, int fd);
/* Closes the connection and fails every waiting request. */
void vfu_link_close(struct vfu_link *l);
/* Waits for bytes. >0: some came; 0: end of stream; -ECANCELED: vfu_stop(); other: the connection is broken. */
int vfu_link_fill(struct vfu *v);
void vfu_link_drop_fds(int *fds, unsigned int *nfds);
int vfu_link_send(struct vfu *v, const struct vfu_hdr *hdr, const void *data, size_t len, int fd);
/* An answer from the client; one that nobody waits for (any more) is dropped. */
void vfu_link_answer(struct vfu_link *l, const struct vfu_msg *m);

/* vfu_msg.c */
/* Checks and executes one command. 0 with the reply in m, or a negative errno with the reason in v->why. */
int vfu_run(struct vfu *v, struct vfu_msg *m);
const char *vfu_command_name(uint16_t cmd);
/* Keeps the reason of a refusal for the log; returns -err. */
int vfu_refuse(struct vfu *v, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void vfu_reset_device(struct vfu *v, enum vfu_reset why);
/* Lets DMA and interrupts through, or not, as the configuration space says. */
void vfu_gate(struct vfu *v);
void vfu_maps_changed(struct vfu *v);

/* vfu_irq.c */
int vfu_irqs_init(struct vfu_irqs *q, enum pci_irq_mode mode, unsigned int nvec);
void vfu_irqs_free(struct vfu_irqs *q);
void vfu_irqs_raise(struct vfu_irqs *q, unsigned int vector);
/* Opens or closes the way for all; opening delivers what is pending. */
void vfu_irqs_gate(struct vfu_irqs *q, bool open);
/* Nothing masked, nothing pending; drop_fds: descriptors closed too. */
void vfu_irqs_reset(struct vfu_irqs *q, bool drop_fds);
/* SET_IRQS on a checked range. fds: count descriptors of which the kept are replaced by -1, or NULL to take away. */
void vfu_irqs_set_fds(struct vfu_irqs *q, unsigned int start, unsigned int count, int *fds);
/* which: count booleans, or NULL for all. action: VFU_IRQ_ACT_*. */
void vfu_irqs_act(struct vfu_irqs *q, unsigned int start, unsigned int count, const uint8_t *which, uint32_t action);
/* Pending bits, as the MSI-X pending bit array shows them: len bytes at byte off. */
void vfu_irqs_pba(struct vfu_irqs *q, uint64_t off, uint8_t *buf, size_t len);

#endif
