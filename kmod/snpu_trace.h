/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints, in /sys/kernel/tracing/events/snpu. A queue is named by its fence context and a job
 * by its number in it, as in the tracepoints of dma_fence and of the DRM scheduler. Times called
 * card_ns are the card's, from its power-up.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM snpu

#if !defined(SNPU_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define SNPU_TRACE_H

#include <drm/snpu_accel.h>
#include <linux/tracepoint.h>

#include "snpu_device.h"
#include "snpu_queue.h"

/* The job that was numbered last, under the queue's submit_lock. */
TRACE_EVENT(snpu_submit,
	TP_PROTO(const struct snpu_queue *queue),
	TP_ARGS(queue),
	TP_STRUCT__entry(
		__string(dev, dev_name(queue->snpu->drm.dev))
		__field(u64, queue)
		__field(u64, seqno)
		__field(u32, priority)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->queue = queue->fence_context;
		__entry->seqno = queue->seqno;
		__entry->priority = queue->priority;
	),
	TP_printk("dev=%s queue=%llu seqno=%llu priority=%u", __get_str(dev), __entry->queue,
		  __entry->seqno, __entry->priority)
);

/* A process can ring by itself from now on, and is not seen doing so. */
TRACE_EVENT(snpu_doorbell_map,
	TP_PROTO(const struct snpu_queue *queue, u32 slot),
	TP_ARGS(queue, slot),
	TP_STRUCT__entry(
		__string(dev, dev_name(queue->snpu->drm.dev))
		__field(u64, queue)
		__field(u32, slot)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->queue = queue->fence_context;
		__entry->slot = slot;
	),
	TP_printk("dev=%s queue=%llu slot=%u", __get_str(dev), __entry->queue, __entry->slot)
);

TRACE_EVENT(snpu_doorbell,
	TP_PROTO(const struct snpu_queue *queue, u32 tail),
	TP_ARGS(queue, tail),
	TP_STRUCT__entry(
		__string(dev, dev_name(queue->snpu->drm.dev))
		__field(u64, queue)
		__field(u32, slot)
		__field(u32, tail)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->queue = queue->fence_context;
		__entry->slot = queue->slot;
		__entry->tail = tail;
	),
	TP_printk("dev=%s queue=%llu slot=%u tail=%u", __get_str(dev), __entry->queue,
		  __entry->slot, __entry->tail)
);

/* @ev: how the card says it went; NULL: it does not say, the driver ended the job. */
TRACE_EVENT(snpu_done,
	TP_PROTO(const struct snpu_queue *queue, u64 seqno, int error,
		 const struct snpu_fw_event_JOB_DONE *ev),
	TP_ARGS(queue, seqno, error, ev),
	TP_STRUCT__entry(
		__string(dev, dev_name(queue->snpu->drm.dev))
		__field(u64, queue)
		__field(u64, seqno)
		__field(u64, start_card_ns)
		__field(u64, end_card_ns)
		__field(u64, busy_ns)
		__field(u64, cycles)
		__field(int, error)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->queue = queue->fence_context;
		__entry->seqno = seqno;
		__entry->start_card_ns = ev ? ev->start_ns : 0;
		__entry->end_card_ns = ev ? ev->end_ns : 0;
		__entry->busy_ns = ev ? ev->busy_ns : 0;
		__entry->cycles = ev ? ev->cycles : 0;
		__entry->error = error;
	),
	TP_printk("dev=%s queue=%llu seqno=%llu error=%d start_card_ns=%llu end_card_ns=%llu busy_ns=%llu cycles=%llu",
		  __get_str(dev), __entry->queue, __entry->seqno, __entry->error,
		  __entry->start_card_ns, __entry->end_card_ns, __entry->busy_ns, __entry->cycles)
);

TRACE_EVENT(snpu_fault,
	TP_PROTO(const struct snpu_queue *queue),
	TP_ARGS(queue),
	TP_STRUCT__entry(
		__string(dev, dev_name(queue->snpu->drm.dev))
		__field(u64, queue)
		__field(u64, seqno)
		__field(u64, va)
		__field(u64, pc)
		__field(u32, code)
		__field(u32, access)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->queue = queue->fence_context;
		__entry->seqno = queue->fault.seqno;
		__entry->va = queue->fault.va;
		__entry->pc = queue->fault.pc;
		__entry->code = queue->fault.code;
		__entry->access = queue->fault.access;
	),
	TP_printk("dev=%s queue=%llu seqno=%llu code=%u access=%u va=%#llx pc=%#llx",
		  __get_str(dev), __entry->queue, __entry->seqno, __entry->code, __entry->access,
		  __entry->va, __entry->pc)
);

TRACE_EVENT(snpu_reset,
	TP_PROTO(const struct snpu_device *snpu, u32 count, const char *reason, u64 duration_ns,
		 int error),
	TP_ARGS(snpu, count, reason, duration_ns, error),
	TP_STRUCT__entry(
		__string(dev, dev_name(snpu->drm.dev))
		__string(reason, reason)
		__field(u64, duration_ns)
		__field(u32, count)
		__field(int, error)
	),
	TP_fast_assign(
		__assign_str(dev);
		__assign_str(reason);
		__entry->duration_ns = duration_ns;
		__entry->count = count;
		__entry->error = error;
	),
	TP_printk("dev=%s count=%u error=%d duration_ns=%llu reason=\"%s\"", __get_str(dev),
		  __entry->count, __entry->error, __entry->duration_ns, __get_str(reason))
);

TRACE_EVENT(snpu_vm_bind,
	TP_PROTO(const struct snpu_device *snpu, u32 asid, const struct drm_snpu_vm_bind_op *op,
		 u64 duration_ns, int error),
	TP_ARGS(snpu, asid, op, duration_ns, error),
	TP_STRUCT__entry(
		__string(dev, dev_name(snpu->drm.dev))
		__field(u64, va)
		__field(u64, size)
		__field(u64, duration_ns)
		__field(u32, asid)
		__field(u32, op)
		__field(u32, flags)
		__field(int, error)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->va = op->va;
		__entry->size = op->size;
		__entry->duration_ns = duration_ns;
		__entry->asid = asid;
		__entry->op = op->op;
		__entry->flags = op->flags;
		__entry->error = error;
	),
	TP_printk("dev=%s asid=%u op=%u va=%#llx size=%#llx flags=%#x error=%d duration_ns=%llu",
		  __get_str(dev), __entry->asid, __entry->op, __entry->va, __entry->size,
		  __entry->flags, __entry->error, __entry->duration_ns)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE snpu_trace
#include <trace/define_trace.h>
