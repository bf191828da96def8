// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fences outlive their job, their queue, their file and their card: they end up in sync files and
 * in syncobjs of other processes. Until the last is gone, its operations and the names it gives out
 * must stay, so a fence holds the queue's memory and the module. Both are dropped from an RCU
 * callback that module_exit() waits for; a plain module_put() in ->release() would return into text
 * that may be gone.
 */
#include <linux/module.h>
#include <linux/slab.h>

#include "snpu_compat.h"
#include "snpu_fence.h"
#include "snpu_queue.h"

/* Of all cards: a fence may outlive its card's counters. */
static atomic_t snpu_fences = ATOMIC_INIT(0);

int snpu_fence_alive(void)
{
	return atomic_read(&snpu_fences);
}

static struct snpu_fence *to_snpu_fence(struct dma_fence *fence)
{
	return container_of(fence, struct snpu_fence, base);
}

static const char *snpu_fence_driver_name(struct dma_fence *fence)
{
	return "snpu";
}

static const char *snpu_fence_timeline_name(struct dma_fence *fence)
{
	return to_snpu_fence(fence)->queue->name;
}

void snpu_fence_free(struct snpu_fence *fence)
{
	snpu_queue_put(fence->queue);
	kfree(fence);
	atomic_dec(&snpu_fences);
	module_put(THIS_MODULE);
}

static void snpu_fence_free_rcu(struct rcu_head *rcu)
{
	snpu_fence_free(to_snpu_fence(container_of(rcu, struct dma_fence, rcu)));
}

static void snpu_fence_release(struct dma_fence *fence)
{
	call_rcu(&fence->rcu, snpu_fence_free_rcu);
}

static const struct dma_fence_ops snpu_fence_ops = {
	.get_driver_name = snpu_fence_driver_name,
	.get_timeline_name = snpu_fence_timeline_name,
	.release = snpu_fence_release,
};

/* The caller has a file open, which holds the module. */
struct snpu_fence *snpu_fence_alloc(struct snpu_queue *queue)
{
	struct snpu_fence *fence = kzalloc(sizeof(*fence), GFP_KERNEL_ACCOUNT);

	if (!fence)
		return NULL;
	__module_get(THIS_MODULE);
	atomic_inc(&snpu_fences);
	fence->queue = snpu_queue_get(queue);
	return fence;
}

/* From here on the fence is freed by dma_fence_put(), before by snpu_fence_free(). */
void snpu_fence_init(struct snpu_fence *fence, u64 seqno)
{
	struct snpu_queue *queue = fence->queue;

	dma_fence_init(&fence->base, &snpu_fence_ops, &queue->fence_lock, queue->fence_context,
		       seqno);
}

/* Consumes a reference. */
void snpu_fence_signal(struct snpu_fence *fence, int error)
{
	if (error)
		dma_fence_set_error(&fence->base, error);
	dma_fence_signal(&fence->base);
	dma_fence_put(&fence->base);
}
