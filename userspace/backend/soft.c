/* SPDX-License-Identifier: MIT */
/* Queues and fences in this process. Model and locking: soft.h. */
#include "backend/soft.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#ifdef __SSE__
#include <xmmintrin.h>
#endif

void soft_device_init(struct soft_device *dev)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&dev->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&dev->signalled, &attr);
	pthread_condattr_destroy(&attr);
}

void soft_device_fini(struct soft_device *dev)
{
	pthread_cond_destroy(&dev->signalled);
	pthread_mutex_destroy(&dev->lock);
}

static struct soft_fence *fence_of(struct snpu_fence *fence)
{
	return (struct soft_fence *)fence;
}

static struct soft_queue *queue_of(struct snpu_queue *queue)
{
	return (struct soft_queue *)queue;
}

/* --- the thread ---------------------------------------------------------------------------------------------- */

/* The law's arithmetic: round to nearest, denormals kept, whatever the thread that made the queue had set. */
static void default_arithmetic(void)
{
#ifdef __SSE__
	_mm_setcsr(0x1f80);
#endif
}

/* The device lock is not held: freeing the last reference of a fence may free its queue. */
static void job_free(struct soft_job *job)
{
	for (uint32_t i = 0; i < job->n_waits; i++)
		snpu_fence_put(job->waits[i]);
	if (job->fence)
		snpu_fence_put(&job->fence->base);
	free(job);
}

/* The next job, when its fences are signalled; NULL: stop. Device lock held. */
static struct soft_job *next_job(struct soft_queue *q)
{
	while (!q->stop && !q->first)
		pthread_cond_wait(&q->work, &q->dev->lock);
	for (uint32_t i = 0; !q->stop && i < q->first->n_waits; i++)
		while (!q->stop && !fence_of(q->first->waits[i])->done)
			pthread_cond_wait(&q->dev->signalled, &q->dev->lock);
	return q->stop ? NULL : q->first;
}

/* Takes the first job off the queue and signals its fence. Device lock held; drops it for a moment. */
static void finish_first(struct soft_queue *q, int status)
{
	struct soft_job *job = q->first;

	q->first = job->next;
	if (!q->first)
		q->last = &q->first;
	if (job->fence) {
		job->fence->status = status;
		job->fence->done = true;
		pthread_cond_broadcast(&q->dev->signalled);
	}
	pthread_mutex_unlock(&q->dev->lock);
	job_free(job);
	pthread_mutex_lock(&q->dev->lock);
}

static void run_job(struct soft_queue *q, struct soft_job *job)
{
	struct snpu_fault fault;
	enum soft_end end;
	int64_t start;

	pthread_mutex_unlock(&q->dev->lock);
	memset(&fault, 0, sizeof(fault));
	start = snpu_now_ns();
	end = q->run(q, &job->desc, &fault);
	start = snpu_now_ns() - start;
	pthread_mutex_lock(&q->dev->lock);
	q->busy_ns += (uint64_t)start;
	if (end == SOFT_DONE)
		q->completed++;
	if (end == SOFT_FAULT) {
		q->fault = fault;
		q->faulted = true;
	}
	finish_first(q, end == SOFT_DONE ? 0 : end == SOFT_FAULT ? -EFAULT : -ECANCELED);
	while (q->faulted && q->first)
		finish_first(q, -ECANCELED);
}

static void *queue_thread(void *arg)
{
	struct soft_queue *q = arg;
	struct soft_job *job;

	default_arithmetic();
	pthread_mutex_lock(&q->dev->lock);
	while ((job = next_job(q)))
		run_job(q, job);
	while (q->first)
		finish_first(q, -ECANCELED);
	pthread_mutex_unlock(&q->dev->lock);
	return NULL;
}

/* --- the slots ----------------------------------------------------------------------------------------------- */

int soft_queue_start(struct soft_queue *q, struct snpu_vm *vm)
{
	int err;

	q->dev = (struct soft_device *)vm->dev;
	q->vm = vm;
	q->first = NULL;
	q->last = &q->first;
	atomic_init(&q->stop, false);
	pthread_cond_init(&q->work, NULL);
	err = pthread_create(&q->thread, NULL, queue_thread, q);
	if (err) {
		pthread_cond_destroy(&q->work);
		return snpu_fail(-EAGAIN, "queue: the system gives no thread for it (%s); free queues or raise the limit", strerror(err));
	}
	return 0;
}

void soft_queue_stop(struct snpu_queue *queue)
{
	struct soft_queue *q = queue_of(queue);

	pthread_mutex_lock(&q->dev->lock);
	q->stop = true;
	pthread_cond_broadcast(&q->work);
	pthread_cond_broadcast(&q->dev->signalled);
	pthread_mutex_unlock(&q->dev->lock);
	if (q->interrupt)
		q->interrupt(q);
	pthread_join(q->thread, NULL);
}

void soft_queue_fini(struct soft_queue *q)
{
	pthread_cond_destroy(&q->work);
}

int soft_queue_status(struct snpu_queue *queue, struct snpu_queue_status *st)
{
	struct soft_queue *q = queue_of(queue);
	const struct snpu_fault *f = &q->fault;

	pthread_mutex_lock(&q->dev->lock);
	st->completed = q->completed;
	st->busy_ns = q->busy_ns;
	if (q->faulted) {
		st->flags |= SNPU_QUEUE_STOPPED_FAULT;
		st->fault_code = f->code;
		st->fault_job = f->seqno;
		st->fault_va = f->va;
		st->fault_pc = f->pc;
		st->fault_packet = f->packet;
		st->fault_operand = f->operand;
		st->fault_access = f->access;
		st->fault_loop[0] = f->loop_index[0];
		st->fault_loop[1] = f->loop_index[1];
	}
	pthread_mutex_unlock(&q->dev->lock);
	return 0;
}

static void fill_desc(struct snpu_job_desc *desc, const struct snpu_job *job)
{
	desc->entry = job->entry;
	desc->profile_slots = job->profile_slots;
	for (uint32_t i = 0; i < job->n_regions; i++) {
		desc->region[job->regions[i].index].va = job->regions[i].va;
		desc->region[job->regions[i].index].size = job->regions[i].size;
	}
}

int soft_submit(struct snpu_queue *queue, const struct snpu_job *job, struct snpu_fence **out)
{
	struct soft_queue *q = queue_of(queue);
	struct soft_job *j = calloc(1, sizeof(*j));
	struct soft_fence *fence = out ? calloc(1, sizeof(*fence)) : NULL;

	if (!j || (out && !fence)) {
		free(j);
		free(fence);
		return snpu_fail(-ENOMEM, "job: no memory for its descriptor");
	}
	fill_desc(&j->desc, job);
	pthread_mutex_lock(&q->dev->lock);
	if (q->faulted || q->stop) {
		pthread_mutex_unlock(&q->dev->lock);
		free(j);
		free(fence);
		return snpu_fail(-ECANCELED, "job: its queue stopped at a fault of job %llu; ask snpu_queue_status why, and create another queue",
				 (unsigned long long)q->fault.seqno);
	}
	if (fence) {
		atomic_init(&fence->base.refs, 2);	/* the caller's, and the job's */
		j->fence = fence;
		*out = &fence->base;
	}
	j->n_waits = job->n_waits;
	for (uint32_t i = 0; i < job->n_waits; i++) {
		j->waits[i] = job->waits[i];
		snpu_fence_get(j->waits[i]);
	}
	j->desc.seqno = ++q->seqno;
	*q->last = j;
	q->last = &j->next;
	if (q->first == j)
		pthread_cond_signal(&q->work);
	pthread_mutex_unlock(&q->dev->lock);
	return 0;
}

int soft_fence_wait(struct snpu_fence *fence, int64_t deadline_ns, int *status)
{
	struct soft_device *dev = (struct soft_device *)fence->dev;
	struct timespec t = { deadline_ns / 1000000000, deadline_ns % 1000000000 };
	struct soft_fence *f = fence_of(fence);
	int err = 0;

	pthread_mutex_lock(&dev->lock);
	while (!f->done && !err)
		err = deadline_ns == INT64_MAX ? pthread_cond_wait(&dev->signalled, &dev->lock) :
		      deadline_ns == 0 ? ETIMEDOUT : pthread_cond_timedwait(&dev->signalled, &dev->lock, &t);
	if (f->done) {
		err = 0;
		*status = f->status;
	}
	pthread_mutex_unlock(&dev->lock);
	return -err;
}

void soft_fence_destroy(struct snpu_fence *fence)
{
	free(fence_of(fence));
}

/* --- memory -------------------------------------------------------------------------------------------------- */

#define HUGE	(2ull << 20)

void *soft_mem_alloc(uint64_t size)
{
	uint64_t bytes = size, skip;
	uint8_t *mem;

	if (size >= HUGE && !snpu_add(size, HUGE, &bytes))
		return NULL;
	mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem == MAP_FAILED)
		return NULL;
	if (bytes == size)
		return mem;
	skip = -(uintptr_t)mem % HUGE;		/* keep [aligned, aligned + size) */
	if (skip)
		munmap(mem, skip);
	if (bytes - skip - size)
		munmap(mem + skip + size, bytes - skip - size);
	madvise(mem + skip, size, MADV_HUGEPAGE);	/* a wish; refusal costs speed only */
	return mem + skip;
}

void soft_mem_free(void *mem, uint64_t size)
{
	munmap(mem, size);
}
