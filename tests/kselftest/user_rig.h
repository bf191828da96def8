/* SPDX-License-Identifier: MIT */
/*
 * A user queue from the process's side: ring, status and doorbell mapped, jobs put in by stores. Shared by the self
 * tests, the client and the bench. One thread a queue.
 */
#ifndef SNPU_USER_RIG_H
#define SNPU_USER_RIG_H

#include "kself.h"

struct uq {
	struct ctx *c;
	uint32_t id, slots, doorbell;
	struct buf ring, status;
	volatile uint32_t *db;			/* mapped doorbell page */
	uint64_t tail;				/* number of the last job put in */
};

U static volatile struct snpu_user_status *uq_status(const struct uq *q)
{
	return q->status.map;
}

U static void *doorbell_map(int fd, uint32_t handle)
{
	return bo_map(fd, handle, PAGE);
}

/* Memory of ring and status; what uq_open() then needs is a queue. */
U static int uq_memory(struct uq *q, struct ctx *c, uint32_t slots, uint32_t flags)
{
	int ret;

	memset(q, 0, sizeof(*q));
	q->c = c;
	q->slots = slots;
	ret = buf_new(c, (slots * sizeof(struct snpu_job_desc) + PAGE - 1) & ~(uint64_t)(PAGE - 1), flags, &q->ring);
	return ret ? ret : buf_new(c, PAGE, 0, &q->status);
}

U static int uq_create(struct uq *q, uint32_t priority, uint32_t hang_ms)
{
	struct drm_snpu_queue_create a = {
		.vm_id = q->c->vm, .priority = priority, .flags = DRM_SNPU_QUEUE_USER, .ring_va = q->ring.va,
		.status_va = q->status.va, .ring_slots = q->slots, .hang_ms = hang_ms,
	};
	int ret = k_ioctl(q->c->fd, DRM_IOCTL_SNPU_QUEUE_CREATE, &a);

	if (ret)
		return ret;
	q->id = a.queue_id;
	q->doorbell = a.doorbell;
	q->tail = 0;
	q->db = doorbell_map(q->c->fd, q->doorbell);
	return q->db ? 0 : -errno;
}

U static int uq_open(struct uq *q, struct ctx *c, uint32_t slots)
{
	int ret = uq_memory(q, c, slots, 0);

	return ret ? ret : uq_create(q, DRM_SNPU_PRIORITY_NORMAL, 0);
}

/* Puts a job into the ring; the caller knows that it has room. */
U static void uq_put(struct uq *q, uint32_t entry)
{
	struct snpu_job_desc *d = (struct snpu_job_desc *)q->ring.map + q->tail % q->slots;

	*d = (struct snpu_job_desc){ .seqno = ++q->tail, .entry = entry };
	d->region[SNPU_REGION_PROGRAM] = (struct snpu_region_binding){ q->c->code.va, q->c->code.size };
	d->region[SNPU_REGION_OUTPUT] = (struct snpu_region_binding){ q->c->out.va, q->c->out.size };
}

U static void uq_ring(struct uq *q)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	q->db[SNPU_DB_TAIL / 4] = (uint32_t)q->tail;
}

U static uint64_t uq_done(const struct uq *q)
{
	return __atomic_load_n(&uq_status(q)->seqno_done, __ATOMIC_ACQUIRE);
}

/* Looks at the status until the job is done; -ETIME after WAIT_S. */
U static int uq_poll(const struct uq *q, uint64_t seqno)
{
	int64_t end = deadline_ns(WAIT_S);

	while (uq_done(q) < seqno)
		if (deadline_ns(0) > end)
			return -ETIME;
	return uq_status(q)->fault ? -EFAULT : 0;
}

U static int uq_wait_until(const struct uq *q, uint64_t seqno, int64_t timeout_ns, uint64_t *completed)
{
	struct drm_snpu_queue_wait a = { .queue_id = q->id, .seqno = seqno, .timeout_ns = timeout_ns };
	int ret = k_ioctl(q->c->fd, DRM_IOCTL_SNPU_QUEUE_WAIT, &a);

	if (completed)
		*completed = a.completed;
	return ret;
}

U static int uq_wait(const struct uq *q, uint64_t seqno)
{
	return uq_wait_until(q, seqno, deadline_ns(WAIT_S), NULL);
}

U static int uq_eventfd(const struct uq *q, int fd)
{
	struct drm_snpu_queue_eventfd a = { .queue_id = q->id, .fd = fd };

	return k_ioctl(q->c->fd, DRM_IOCTL_SNPU_QUEUE_EVENTFD, &a);
}

/* A program at an offset of the code that stores a value at a word of the output. */
U static uint32_t uq_store(struct ctx *c, size_t offset, uint32_t word, uint32_t value)
{
	struct prog p = prog_at(c, offset);

	EMIT(&p, FILL, .dst = REF(OUTPUT, word * 4), .words = 1, .value = value);
	EMIT(&p, END, );
	return (uint32_t)offset;
}

#endif
