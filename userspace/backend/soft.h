/* SPDX-License-Identifier: MIT */
/*
 * Queues and fences for backends that execute in this process (cpu, sim): a thread for each queue takes jobs in order,
 * waits for their fences and calls the backend's run function. One lock a device guards all of it; it is never held while
 * a job runs. Queues of one device run side by side unless the run function takes turns.
 */
#ifndef SNPU_BACKEND_SOFT_H
#define SNPU_BACKEND_SOFT_H

#include "backend/backend.h"

struct soft_device {
	struct snpu_device base;
	pthread_mutex_t lock;
	pthread_cond_t signalled;		/* some fence was signalled, or some queue is to stop */
};

struct soft_fence {
	struct snpu_fence base;
	bool done;				/* device lock */
	int status;				/* device lock */
};

struct soft_job {
	struct soft_job *next;			/* device lock */
	struct snpu_job_desc desc;
	struct soft_fence *fence;		/* referenced; NULL: nobody wants to know */
	struct snpu_fence *waits[SNPU_JOB_WAITS];	/* referenced */
	uint32_t n_waits;
};

/* How a job ended. */
enum soft_end { SOFT_DONE, SOFT_FAULT, SOFT_STOPPED };

struct soft_queue {
	struct snpu_queue base;
	struct soft_device *dev;
	struct snpu_vm *vm;			/* kept alive by base */
	pthread_t thread;
	pthread_cond_t work;			/* with the device lock: first job came, or stop */
	atomic_bool stop;			/* set under the device lock; run functions look at it between packets */
	struct soft_job *first, **last;		/* device lock */
	uint64_t seqno;				/* device lock: of the last job accepted */
	uint64_t completed, busy_ns;		/* device lock */
	bool faulted;				/* device lock */
	struct snpu_fault fault;		/* device lock */
	/*
	 * Executes a job in the queue's thread; fills *fault when it returns SOFT_FAULT, and returns SOFT_STOPPED soon after
	 * `stop` is set.
	 */
	enum soft_end (*run)(struct soft_queue *queue, const struct snpu_job_desc *desc, struct snpu_fault *fault);
	/* (optional) Called once after `stop` was set, for a run function that waits for more than `stop`. */
	void (*interrupt)(struct soft_queue *queue);
};

/*
 * Zeroed memory, given out by the system page by page as it is touched, and aligned to large pages when it is big
 * enough to gain from them (weights are read in an order that only the spikes know, so TLB misses count). NULL: none left.
 * size: a multiple of SNPU_PAGE.
 */
void *soft_mem_alloc(uint64_t size);
void soft_mem_free(void *mem, uint64_t size);

void soft_device_init(struct soft_device *dev);
void soft_device_fini(struct soft_device *dev);

/* Fills an allocated queue and starts its thread. `run` is set. -EAGAIN. */
int soft_queue_start(struct soft_queue *queue, struct snpu_vm *vm) SNPU_MUST_CHECK;

/* Slots of struct snpu_backend_ops. After soft_queue_stop the backend frees its queue with soft_queue_fini first. */
void soft_queue_stop(struct snpu_queue *queue);
void soft_queue_fini(struct soft_queue *queue);
int soft_queue_status(struct snpu_queue *queue, struct snpu_queue_status *status);
int soft_submit(struct snpu_queue *queue, const struct snpu_job *job, struct snpu_fence **fence);
int soft_fence_wait(struct snpu_fence *fence, int64_t deadline_ns, int *status);
void soft_fence_destroy(struct snpu_fence *fence);

#endif
