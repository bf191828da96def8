/* SPDX-License-Identifier: MIT */
/*
 * Queues, jobs and fences: what can be judged without the device, references, and the sentence about a fault. Any
 * thread; queue->lock orders submissions.
 */
#include <stdio.h>
#include <string.h>

#include "core/disasm.h"
#include "core/packet.h"
#include "device/object.h"

void snpu_queue_get(struct snpu_queue *queue)
{
	atomic_fetch_add_explicit(&queue->refs, 1, memory_order_relaxed);
}

void snpu_queue_put(struct snpu_queue *queue)
{
	struct snpu_device *dev;
	struct snpu_vm *vm;

	if (atomic_fetch_sub_explicit(&queue->refs, 1, memory_order_acq_rel) != 1)
		return;
	dev = queue->dev;
	vm = queue->vm;
	pthread_mutex_destroy(&queue->lock);
	dev->ops->queue_destroy(queue);
	snpu_vm_put(vm);
	snpu_device_put(dev);
}

void snpu_fence_get(struct snpu_fence *fence)
{
	atomic_fetch_add_explicit(&fence->refs, 1, memory_order_relaxed);
}

void snpu_fence_put(struct snpu_fence *fence)
{
	struct snpu_queue *queue;
	struct snpu_device *dev;

	if (atomic_fetch_sub_explicit(&fence->refs, 1, memory_order_acq_rel) != 1)
		return;
	dev = fence->dev;
	queue = fence->queue;
	dev->ops->fence_destroy(fence);
	snpu_queue_put(queue);
	snpu_device_put(dev);
}

/* --- queues -------------------------------------------------------------------------------------------------- */

int snpu_queue_create(struct snpu_vm *vm, const struct snpu_queue_opts *user, struct snpu_queue **out)
{
	struct snpu_queue_opts opts;
	struct snpu_queue *queue;
	int err = snpu_opts_in(&opts, sizeof(opts), user, "snpu_queue_opts");

	if (err)
		return err;
	if (!vm || !out)
		return snpu_fail(-EINVAL, "queue: the address space or the result pointer is NULL");
	if (opts.flags & ~SNPU_QUEUE_FENCES || opts.priority > SNPU_PRIORITY_REALTIME)
		return snpu_fail(-EINVAL, "queue: flags %#x (SNPU_QUEUE_FENCES or 0) or priority %u (enum snpu_priority) is not an option",
				 opts.flags, opts.priority);
	if (opts.priority == SNPU_PRIORITY_DEFAULT)
		opts.priority = SNPU_PRIORITY_NORMAL;
	err = vm->dev->ops->queue_create(vm, &opts, &queue);
	if (err)
		return err;
	queue->dev = vm->dev;
	queue->vm = vm;
	queue->priority = opts.priority;
	queue->flags = opts.flags;
	queue->submitted = 0;
	queue->stopped = false;
	memset(queue->note, 0, sizeof(queue->note));
	atomic_init(&queue->refs, 1);
	pthread_mutex_init(&queue->lock, NULL);
	snpu_device_get(vm->dev);
	snpu_vm_get(vm);
	*out = queue;
	return 0;
}

/* Copies the program of job `seqno` as far as it is bound and fits; 0 when it is not known any more. */
static uint64_t copy_program(struct snpu_queue *queue, uint64_t seqno, uint64_t pc, uint8_t *buf, size_t len)
{
	struct snpu_job_note note;
	const struct snpu_binding *b;
	struct snpu_bo *bo = NULL;
	uint64_t off = 0;
	void *map;

	pthread_mutex_lock(&queue->lock);
	note = queue->note[seqno % SNPU_JOB_NOTES];
	pthread_mutex_unlock(&queue->lock);
	if (note.seqno != seqno || pc >= note.program_size)
		return 0;
	if (len > note.program_size - pc)
		len = note.program_size - pc;
	pthread_rwlock_rdlock(&queue->vm->lock);
	b = snpu_vm_find(queue->vm, note.program_va + pc);
	if (b) {
		off = note.program_va + pc - b->va;
		if (len > b->size - off)
			len = b->size - off;
		off += b->offset;
		bo = b->bo;
		snpu_bo_get(bo);
	}
	pthread_rwlock_unlock(&queue->vm->lock);
	if (!bo)
		return 0;
	if (snpu_bo_map(bo, &map))
		len = 0;
	else
		memcpy(buf, (uint8_t *)map + off, len);
	snpu_bo_put(bo);
	return len;
}

static void describe(struct snpu_queue *queue, struct snpu_queue_status *st)
{
	uint8_t packet[SNPU_PKT_MAX_BYTES];
	uint64_t n;

	st->text[0] = 0;
	if (st->flags & SNPU_QUEUE_STOPPED_FAULT) {
		n = copy_program(queue, st->fault_job, st->fault_pc, packet, sizeof(packet));
		snpu_fault_describe(st, n ? packet : NULL, n, st->text, sizeof(st->text));
	} else if (st->flags & SNPU_QUEUE_STOPPED_TIMEOUT) {
		snprintf(st->text, sizeof(st->text), "a job made no progress and was stopped; create a new queue, and split the job if it was only long");
	} else if (st->flags & SNPU_QUEUE_STOPPED_LOST) {
		snprintf(st->text, sizeof(st->text), "the card was reset or removed while jobs were on it; open the device again");
	}
}

void snpu_queue_look(struct snpu_queue *queue, struct snpu_queue_status *st)
{
	bool stopped;

	memset(st, 0, sizeof(*st));
	pthread_mutex_lock(&queue->lock);
	stopped = queue->stopped;
	if (stopped)
		*st = queue->last;
	st->submitted = queue->submitted;
	pthread_mutex_unlock(&queue->lock);
	if (stopped)
		return;
	if (queue->dev->ops->queue_status(queue, st))
		st->flags |= SNPU_QUEUE_STOPPED_LOST;
	describe(queue, st);
}

int snpu_queue_status(struct snpu_queue *queue, struct snpu_queue_status *status)
{
	struct snpu_queue_status now;

	if (!queue)
		return snpu_fail(-EINVAL, "queue: the handle is NULL");
	snpu_queue_look(queue, &now);
	return snpu_opts_out(status, &now, sizeof(now), "snpu_queue_status");
}

void snpu_queue_free(struct snpu_queue *queue)
{
	struct snpu_queue_status last;

	if (!queue)
		return;
	queue->dev->ops->queue_stop(queue);
	snpu_queue_look(queue, &last);
	pthread_mutex_lock(&queue->lock);
	queue->last = last;
	queue->stopped = true;
	pthread_mutex_unlock(&queue->lock);
	snpu_queue_put(queue);
}

/* --- jobs ---------------------------------------------------------------------------------------------------- */

static int check_regions(const struct snpu_queue *queue, const struct snpu_job *job)
{
	uint64_t size[SNPU_REGION_COUNT] = { 0 };

	if (job->n_regions > SNPU_REGION_COUNT || (job->n_regions && !job->regions))
		return snpu_fail(-EINVAL, "job: %u regions; there are %d, and the array must not be NULL", job->n_regions, SNPU_REGION_COUNT);
	for (uint32_t i = 0; i < job->n_regions; i++) {
		const struct snpu_job_region *r = &job->regions[i];

		if (r->index >= SNPU_REGION_COUNT || r->pad || size[r->index])
			return snpu_fail(-EINVAL, "job: region %u: index %u is unknown or there twice, or pad is not 0", i, r->index);
		if (!r->size || r->va % 64 || !snpu_range_ok(r->va, r->size, queue->dev->info.va_end))
			return snpu_fail(-EINVAL, "job: region %u: va %#llx is not a multiple of 64, size %#llx is 0, or they pass the end of the address space",
					 r->index, (unsigned long long)r->va, (unsigned long long)r->size);
		size[r->index] = r->size;
	}
	if (!size[SNPU_REGION_PROGRAM])
		return snpu_fail(-EINVAL, "job: no program region; bind SNPU_REGION_PROGRAM");
	if (job->profile_slots > SNPU_PROFILE_SLOTS_MAX ||
	    job->profile_slots * sizeof(uint64_t[SNPU_COUNTER_COUNT]) > size[SNPU_REGION_PROFILE])
		return snpu_fail(-EINVAL, "job: %u profile rows of %zu bytes do not fit the profile region of %llu bytes", job->profile_slots,
				 sizeof(uint64_t[SNPU_COUNTER_COUNT]), (unsigned long long)size[SNPU_REGION_PROFILE]);
	return 0;
}

static int check_job(const struct snpu_queue *queue, const struct snpu_job *job)
{
	if (job->flags || job->pad || job->entry % 8)
		return snpu_fail(-EINVAL, "job: flags %#x and pad %#x must be 0, entry %#x a multiple of 8", job->flags, job->pad, job->entry);
	if (job->n_waits > SNPU_JOB_WAITS || (job->n_waits && !job->waits))
		return snpu_fail(-EINVAL, "job: %u waits; at most %d, and the array must not be NULL", job->n_waits, SNPU_JOB_WAITS);
	for (uint32_t i = 0; i < job->n_waits; i++)
		if (!job->waits[i] || job->waits[i]->dev != queue->dev)
			return snpu_fail(-EINVAL, "job: wait %u is NULL or a fence of another device", i);
	for (uint32_t i = 0; i < job->n_waits; i++)
		if (job->waits[i]->queue != queue && !(queue->flags & job->waits[i]->queue->flags & SNPU_QUEUE_FENCES))
			return snpu_fail(-EINVAL, "job: wait %u is a fence of another queue; create both queues with SNPU_QUEUE_FENCES", i);
	return check_regions(queue, job);
}

static void note_job(struct snpu_queue *queue, const struct snpu_job *job)
{
	struct snpu_job_note *note = &queue->note[++queue->submitted % SNPU_JOB_NOTES];

	note->seqno = queue->submitted;
	for (uint32_t i = 0; i < job->n_regions; i++)
		if (job->regions[i].index == SNPU_REGION_PROGRAM) {
			note->program_va = job->regions[i].va;
			note->program_size = job->regions[i].size;
		}
}

int snpu_submit(struct snpu_queue *queue, const struct snpu_job *user, struct snpu_fence **out)
{
	struct snpu_fence *fence = NULL;
	struct snpu_job job;
	int err = snpu_opts_in(&job, sizeof(job), user, "snpu_job");

	if (err)
		return err;
	if (!queue)
		return snpu_fail(-EINVAL, "job: the queue is NULL");
	err = check_job(queue, &job);
	if (err)
		return err;
	pthread_mutex_lock(&queue->lock);
	err = queue->dev->ops->submit(queue, &job, out ? &fence : NULL);
	if (!err)
		note_job(queue, &job);
	if (fence && !err) {
		fence->dev = queue->dev;
		fence->queue = queue;
		fence->seqno = queue->submitted;
		snpu_device_get(queue->dev);
		snpu_queue_get(queue);
		*out = fence;
	}
	pthread_mutex_unlock(&queue->lock);
	return err;
}

/* --- fences -------------------------------------------------------------------------------------------------- */

static int explain(struct snpu_fence *fence, int status)
{
	struct snpu_queue_status st;

	snpu_queue_look(fence->queue, &st);
	if (status == -EFAULT && st.fault_job == fence->seqno)
		return snpu_fail(status, "%s", st.text);
	return snpu_fail(status, "job %llu did not finish: %s%s%s", (unsigned long long)fence->seqno,
			 status == -ECANCELED ? "its queue stopped before" : status == -ETIME ? "it made no progress and was stopped" :
			 status == -ENODEV ? "the card is gone" : "the device reported an error", st.text[0] ? ": " : "", st.text);
}

int snpu_fence_wait(struct snpu_fence *fence, int64_t timeout_ns)
{
	int64_t deadline = 0;
	int err, status = 0;

	if (!fence)
		return snpu_fail(-EINVAL, "fence: the handle is NULL");
	if (timeout_ns > 0 && __builtin_add_overflow(snpu_now_ns(), timeout_ns, &deadline))
		deadline = INT64_MAX;
	err = fence->dev->ops->fence_wait(fence, deadline, &status);
	if (err == -ETIMEDOUT)
		return snpu_fail(err, "job %llu is still running after %lld ns; wait longer", (unsigned long long)fence->seqno,
				 (long long)(timeout_ns > 0 ? timeout_ns : 0));
	if (err)
		return err;
	return status ? explain(fence, status) : 0;
}

void snpu_fence_free(struct snpu_fence *fence)
{
	if (fence)
		snpu_fence_put(fence);
}

void snpu_queue_dense(struct snpu_queue *queue, uint32_t slots, uint64_t *dense)
{
	memset(dense, 0, slots * sizeof(*dense));
	if (queue->dev->ops->queue_dense)
		queue->dev->ops->queue_dense(queue, slots, dense);
}
