/* SPDX-License-Identifier: MIT */
/*
 * A queue whose jobs go to the card without a system call: a ring and a status page that card and process share, and a
 * doorbell page. Submitting is a few stores; waiting looks at the status for a moment and then sleeps in the driver.
 *
 * Submissions come under queue->lock; waiting is for any thread. Ring and status lie at the top of the address space,
 * which the device level keeps free (CARD_RING_SPACE).
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <xf86drm.h>

#include "backend/card/card.h"
#include "hw/snpu_regs.h"

#define RING_SLOTS	256u
#define RING_BYTES	(RING_SLOTS * (uint64_t)sizeof(struct snpu_job_desc))
#define BO_BYTES	(RING_BYTES + 4096)	/* the status is in a page of its own */
#define POLL_NS		50000			/* looked at so long before sleeping */
#define SLEEP_NS	500000000ll		/* slept so long before ringing again */

static const volatile struct snpu_user_status *ring_status(const struct card_ring *ring)
{
	return (const void *)((const uint8_t *)ring->map + RING_BYTES);
}

/* --- life ---------------------------------------------------------------------------------------------------- */

static int ring_map(struct card_queue *q, uint32_t handle, uint64_t size, void **map)
{
	struct drm_snpu_bo_mmap_offset arg = { .handle = handle };
	int err = card_ioctl(q->fd, DRM_IOCTL_SNPU_BO_MMAP_OFFSET, &arg);

	if (err)
		return err;
	*map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, q->fd, (off_t)arg.offset);
	if (*map != MAP_FAILED)
		return 0;
	*map = NULL;
	return -errno;
}

static int ring_bind(const struct card_queue *q, uint32_t op, uint32_t handle)
{
	bool map = op == DRM_SNPU_VM_BIND_MAP;
	struct drm_snpu_vm_bind_op o = { .op = op, .flags = map ? DRM_SNPU_VM_BIND_READ | DRM_SNPU_VM_BIND_WRITE : 0,
					 .handle = map ? handle : 0, .va = q->ring.va, .size = BO_BYTES };
	struct drm_snpu_vm_bind arg = { .vm_id = q->vm->id, .ops = { .stride = sizeof(o), .count = 1, .array = (uintptr_t)&o } };

	return card_ioctl(q->fd, DRM_IOCTL_SNPU_VM_BIND, &arg);
}

/* A free window in the address space; each queue of the card has one. */
static int ring_window(struct card_queue *q)
{
	uint64_t used = atomic_load(&q->vm->rings);
	unsigned int i;

	do {
		if (used == UINT64_MAX)
			return -ENOSPC;
		i = (unsigned int)__builtin_ctzll(~used);
	} while (!atomic_compare_exchange_weak(&q->vm->rings, &used, used | 1ull << i));
	q->ring.window = i;
	q->ring.va = q->vm->base.dev->info.va_end + i * (CARD_RING_SPACE / 64);
	return 0;
}

void card_ring_destroy(struct card_queue *q)
{
	struct card_ring *ring = &q->ring;

	if (ring->doorbell)
		munmap((void *)ring->doorbell, 4096);
	if (ring->doorbell_handle)
		drmCloseBufferHandle(q->fd, ring->doorbell_handle);
	if (ring->bound && ring_bind(q, DRM_SNPU_VM_BIND_UNMAP, 0))
		ring->bound = false;	/* the card is gone, and the address space with it */
	if (ring->map)
		munmap(ring->map, BO_BYTES);
	if (ring->handle)
		drmCloseBufferHandle(q->fd, ring->handle);
	atomic_fetch_and(&q->vm->rings, ~(1ull << ring->window));
	memset(ring, 0, sizeof(*ring));
}

static int ring_memory(struct card_queue *q)
{
	struct drm_snpu_bo_create bo = { .size = BO_BYTES };
	int err = card_ioctl(q->fd, DRM_IOCTL_SNPU_BO_CREATE, &bo);

	if (err)
		return err;
	q->ring.handle = bo.handle;
	err = ring_map(q, bo.handle, BO_BYTES, &q->ring.map);
	if (!err)
		err = ring_bind(q, DRM_SNPU_VM_BIND_MAP, bo.handle);
	q->ring.bound = !err;
	return err;
}

int card_ring_create(struct card_queue *q, struct drm_snpu_queue_create *arg)
{
	void *doorbell;
	int err = ring_window(q);

	if (err)
		return err;
	err = ring_memory(q);
	if (!err) {
		arg->flags = DRM_SNPU_QUEUE_USER;
		arg->ring_va = q->ring.va;
		arg->status_va = q->ring.va + RING_BYTES;
		arg->ring_slots = RING_SLOTS;
		err = card_ioctl(q->fd, DRM_IOCTL_SNPU_QUEUE_CREATE, arg);
	}
	if (!err) {
		q->ring.doorbell_handle = arg->doorbell;
		err = ring_map(q, arg->doorbell, 4096, &doorbell);
		if (!err) {
			q->ring.doorbell = doorbell;
			return 0;
		}
		struct drm_snpu_queue_destroy destroy = { .queue_id = arg->queue_id };

		(void)!card_ioctl(q->fd, DRM_IOCTL_SNPU_QUEUE_DESTROY, &destroy);
	}
	card_ring_destroy(q);
	return err;
}

/* --- waiting ------------------------------------------------------------------------------------------------- */

static uint64_t ring_done(const struct card_queue *q)
{
	return __atomic_load_n(&ring_status(&q->ring)->seqno_done, __ATOMIC_ACQUIRE);
}

static void ring_doorbell(const struct card_queue *q)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);	/* the descriptors before the doorbell */
	q->ring.doorbell[SNPU_DB_TAIL / 4] = (uint32_t)atomic_load(&q->ring.tail);
}

/* 0: the job ended. -ETIME: not by then. -ECANCELED, -ENODEV: it never will. */
static int ring_sleep(struct card_queue *q, uint64_t seqno, int64_t deadline_ns)
{
	struct drm_snpu_queue_wait arg = { .queue_id = q->id, .seqno = seqno };

	for (;;) {
		int64_t now = snpu_now_ns(), until = deadline_ns - now < SLEEP_NS ? deadline_ns : now + SLEEP_NS;
		int err;

		arg.timeout_ns = until;
		err = card_ioctl(q->fd, DRM_IOCTL_SNPU_QUEUE_WAIT, &arg);
		if (err != -ETIME || until == deadline_ns)
			return err;
		/* What was rung while the card was being reset may be lost; a stopped queue's page rings nothing. */
		pthread_mutex_lock(&q->lock);
		if (!q->stopped)
			ring_doorbell(q);
		pthread_mutex_unlock(&q->lock);
	}
}

int card_ring_wait(struct card_queue *q, uint64_t seqno, int64_t deadline_ns)
{
	int64_t poll_end = snpu_now_ns() + POLL_NS;

	if (poll_end > deadline_ns)
		poll_end = deadline_ns;
	do {
		if (ring_done(q) >= seqno)
			return 0;
	} while (snpu_now_ns() < poll_end);
	return poll_end == deadline_ns ? -ETIME : ring_sleep(q, seqno, deadline_ns);
}

/*
 * The status is written before the driver hears of a job's end or fault; after this it has. For whoever asks the driver
 * about the queue.
 */
void card_ring_settle(const struct card_queue *q)
{
	struct drm_snpu_queue_wait arg = { .queue_id = q->id, .timeout_ns = snpu_now_ns() + 10 * SLEEP_NS };

	arg.seqno = ring_done(q) + (ring_status(&q->ring)->fault != 0);
	(void)!card_ioctl(q->fd, DRM_IOCTL_SNPU_QUEUE_WAIT, &arg);
}

/*
 * How a job ended that the card does not run any more. As with the driver's own queues the first job that did not finish
 * has the reason, and those behind it were cancelled.
 */
int card_ring_result(const struct card_queue *q, const struct drm_snpu_queue_state *st, uint64_t seqno)
{
	uint64_t done = ring_done(q);

	if (seqno < done)
		return 0;
	if (seqno == done)
		return ring_status(&q->ring)->fault ? -EFAULT : 0;
	if (seqno > done + 1 || ring_status(&q->ring)->fault)
		return -ECANCELED;
	return st->flags & DRM_SNPU_QUEUE_TIMEDOUT ? -ETIME : st->flags & DRM_SNPU_QUEUE_FAULTED ? -EFAULT :
	       st->flags & DRM_SNPU_QUEUE_LOST ? -EIO : -ECANCELED;
}

/* --- jobs ---------------------------------------------------------------------------------------------------- */

/* Room for one job more; waits when there is none. */
static int ring_room(struct card_queue *q, uint64_t seqno)
{
	return seqno <= RING_SLOTS || ring_done(q) >= seqno - RING_SLOTS ? 0 :
	       card_ring_wait(q, seqno - RING_SLOTS, INT64_MAX);
}

int card_ring_submit(struct card_queue *q, const struct snpu_job *job, uint64_t *seqno)
{
	struct snpu_job_desc *d;
	int err;

	*seqno = atomic_load(&q->ring.tail) + 1;
	err = ring_room(q, *seqno);
	if (err)
		return err;
	if (ring_status(&q->ring)->fault)
		return -ECANCELED;
	d = (struct snpu_job_desc *)q->ring.map + (*seqno - 1) % RING_SLOTS;
	*d = (struct snpu_job_desc){ .seqno = *seqno, .entry = job->entry, .profile_slots = job->profile_slots };
	for (uint32_t i = 0; i < job->n_regions; i++)
		d->region[job->regions[i].index] = (struct snpu_region_binding){ job->regions[i].va, job->regions[i].size };
	atomic_store(&q->ring.tail, *seqno);
	ring_doorbell(q);
	return 0;
}
