// SPDX-License-Identifier: MIT
/*
 * Interrupt vectors of the vfio-user server: an eventfd each, given by the client, and the masked and pending bits that
 * decide when it is written. Any thread raises; the socket thread configures; one mutex covers all of it, so that after
 * a descriptor is taken away no write to it is under way. The eventfds are non-blocking, so nothing here waits.
 * Which requests are valid is decided in vfu.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "sim/vfu_priv.h"

/* The vector whose descriptor serves i: with MSI, a client may enable fewer than there are. */
static unsigned int serving(const struct vfu_irqs *q, unsigned int i)
{
	return q->index == VFU_IRQ_MSI && q->enabled ? i % q->enabled : i;
}

static void deliver(struct vfu_irqs *q, unsigned int i)
{
	unsigned int t = serving(q, i);
	const uint64_t one = 1;

	if (!q->open || q->masked[t] || q->fd[t] < 0) {
		q->pending[i] = true;
		return;
	}
	q->pending[i] = false;
	/* EAGAIN means the counter is full: then the client has an interrupt to see anyway. */
	if (write(q->fd[t], &one, sizeof(one)) == sizeof(one))
		q->sent++;
}

static void deliver_pending(struct vfu_irqs *q)
{
	for (unsigned int i = 0; i < q->n; i++)
		if (q->pending[i])
			deliver(q, i);
}

int vfu_irqs_init(struct vfu_irqs *q, enum pci_irq_mode mode, unsigned int nvec)
{
	pthread_mutex_init(&q->lock, NULL);
	q->index = mode == PCI_IRQ_MSI ? VFU_IRQ_MSI : VFU_IRQ_MSIX;
	q->n = mode == PCI_IRQ_NONE ? 0 : nvec;
	q->fd = malloc((q->n + 1u) * sizeof(*q->fd));
	q->masked = calloc(q->n + 1u, sizeof(*q->masked));
	q->pending = calloc(q->n + 1u, sizeof(*q->pending));
	if (!q->fd || !q->masked || !q->pending)
		return -ENOMEM;
	for (unsigned int i = 0; i < q->n; i++)
		q->fd[i] = -1;
	return 0;
}

void vfu_irqs_free(struct vfu_irqs *q)
{
	if (q->fd && q->masked && q->pending)
		vfu_irqs_reset(q, true);
	free(q->fd);
	free(q->masked);
	free(q->pending);
	pthread_mutex_destroy(&q->lock);
}

void vfu_irqs_raise(struct vfu_irqs *q, unsigned int vector)
{
	if (vector >= q->n)
		return;
	pthread_mutex_lock(&q->lock);
	deliver(q, vector);
	pthread_mutex_unlock(&q->lock);
}

void vfu_irqs_gate(struct vfu_irqs *q, bool open)
{
	pthread_mutex_lock(&q->lock);
	q->open = open;
	deliver_pending(q);
	pthread_mutex_unlock(&q->lock);
}

static void drop_fd(struct vfu_irqs *q, unsigned int i)
{
	if (q->fd[i] >= 0)
		close(q->fd[i]);
	q->fd[i] = -1;
}

static void count_enabled(struct vfu_irqs *q)
{
	q->enabled = q->n;
	while (q->enabled && q->fd[q->enabled - 1] < 0)
		q->enabled--;
}

void vfu_irqs_reset(struct vfu_irqs *q, bool drop_fds)
{
	pthread_mutex_lock(&q->lock);
	for (unsigned int i = 0; i < q->n; i++) {
		q->masked[i] = q->pending[i] = false;
		if (drop_fds)
			drop_fd(q, i);
	}
	count_enabled(q);
	pthread_mutex_unlock(&q->lock);
}

void vfu_irqs_set_fds(struct vfu_irqs *q, unsigned int start, unsigned int count, int *fds)
{
	pthread_mutex_lock(&q->lock);
	for (unsigned int i = 0; i < count; i++) {
		drop_fd(q, start + i);
		if (!fds)
			continue;
		q->fd[start + i] = fds[i];
		fds[i] = -1;
	}
	count_enabled(q);
	deliver_pending(q);
	pthread_mutex_unlock(&q->lock);
}

void vfu_irqs_act(struct vfu_irqs *q, unsigned int start, unsigned int count, const uint8_t *which, uint32_t action)
{
	pthread_mutex_lock(&q->lock);
	for (unsigned int i = 0; i < count; i++) {
		if (which && !which[i])
			continue;
		if (action == VFU_IRQ_ACT_TRIGGER)
			deliver(q, start + i);
		else
			q->masked[start + i] = action == VFU_IRQ_ACT_MASK;
	}
	deliver_pending(q);
	pthread_mutex_unlock(&q->lock);
}

void vfu_irqs_pba(struct vfu_irqs *q, uint64_t off, uint8_t *buf, size_t len)
{
	pthread_mutex_lock(&q->lock);
	for (size_t b = 0; b < len; b++) {
		buf[b] = 0;
		for (unsigned int bit = 0; bit < 8; bit++) {
			uint64_t i = (off + b) * 8 + bit;

			if (i < q->n && q->pending[i])
				buf[b] |= (uint8_t)(1u << bit);
		}
	}
	pthread_mutex_unlock(&q->lock);
}
