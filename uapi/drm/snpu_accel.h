/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * The interface between the kernel driver for SNPU spiking-neural accelerator cards and its users.
 *
 * Rules that hold for every structure here:
 *
 *  - Every structure is a multiple of 8 bytes, every member is naturally aligned, padding is
 *    explicit. The layout is the same for 32-bit and 64-bit users; pointers travel as __u64.
 *  - Padding, unused flag bits and members marked MBZ must be zero. The driver checks each and
 *    returns -EINVAL, so that they can get a meaning later.
 *  - Structures grow at the end only. A structure that is passed by an ioctl carries its size in
 *    the ioctl number; one that is passed by pointer (an array element, a query result) carries its
 *    size or stride beside the pointer. A user's structure that is shorter than the driver's reads
 *    as if padded with zero; the bytes by which it is longer must be zero, -E2BIG otherwise.
 *  - An addition bumps the driver's minor version, which DRM_IOCTL_VERSION reports. The major
 *    version changes only if old users would break, which is never meant to happen.
 *  - An ioctl that fails has changed nothing, except where its description says what it has done so
 *    far.
 *
 * Objects belong to the open file they were created on: address spaces (VM) and queues are named by
 * small numbers of that file, buffers by GEM handles. Closing the file stops its queues and frees
 * everything.
 *
 * Buffers are shared by DRM_IOCTL_PRIME_HANDLE_TO_FD and _FD_TO_HANDLE. Host and device memory can
 * be exported, and any dma-buf that the card can reach can be imported (since 1.1) and bound like
 * others. CPU accesses to what was imported go through the dma-buf's own mapping, between
 * DMA_BUF_IOCTL_SYNC. The CPU maps a dma-buf of device memory through the card alone (import it
 * there).
 * -EOPNOTSUPP: the two devices cannot reach each other, or the machine gives devices copies.
 *
 * The driver does not look into programs. A context's programs can reach what is bound in the VM of
 * their queue, and nothing else: the card checks every packet and translates every address, and a
 * fault stops one queue.
 *
 * Errors common to all: -EINVAL as above, -EFAULT for a bad user pointer, -ENOMEM, -ENODEV after
 * the card was removed, -EIO when the card is wedged: no reset brought it back. Then only
 * DEV_QUERY, BO_MMAP_OFFSET, QUEUE_STATE and what destroys something work, until the driver is
 * bound again or other firmware is loaded. VM_CREATE and QUEUE_CREATE return -ENOPKG, and nothing
 * else does, while no firmware runs on the card.
 */
#ifndef _SNPU_ACCEL_H_
#define _SNPU_ACCEL_H_

#include "drm.h"

#if defined(__cplusplus)
extern "C" {
#endif

#define DRM_SNPU_DEV_QUERY		0x00
#define DRM_SNPU_BO_CREATE		0x01
#define DRM_SNPU_BO_MMAP_OFFSET		0x02
#define DRM_SNPU_VM_CREATE		0x03
#define DRM_SNPU_VM_DESTROY		0x04
#define DRM_SNPU_VM_BIND		0x05
#define DRM_SNPU_QUEUE_CREATE		0x06
#define DRM_SNPU_QUEUE_DESTROY		0x07
#define DRM_SNPU_QUEUE_STATE		0x08
#define DRM_SNPU_SUBMIT			0x09
#define DRM_SNPU_QUEUE_WAIT		0x0a
#define DRM_SNPU_QUEUE_EVENTFD		0x0b
#define DRM_SNPU_BO_USERPTR		0x0c

/**
 * struct drm_snpu_obj_array - An array of structures in the user's memory.
 */
struct drm_snpu_obj_array {
	/**
	 * @stride: Size of one element as the user knows it, in bytes. Ignored when @count is 0.
	 */
	__u32 stride;
	/** @count: Number of elements. */
	__u32 count;
	/** @array: User pointer to the first element. Must be 0 when @count is 0. */
	__u64 array;
};

/**
 * enum drm_snpu_query_type - What DEV_QUERY can tell.
 */
enum drm_snpu_query_type {
	/** @DRM_SNPU_QUERY_INFO: struct drm_snpu_query_info. */
	DRM_SNPU_QUERY_INFO = 0,
	/** @DRM_SNPU_QUERY_MEMORY: struct drm_snpu_query_memory. */
	DRM_SNPU_QUERY_MEMORY = 1,
	/** @DRM_SNPU_QUERY_ENGINE: struct drm_snpu_query_engine. */
	DRM_SNPU_QUERY_ENGINE = 2,
	/** @DRM_SNPU_QUERY_LIMITS: struct drm_snpu_query_limits. Since 1.1. */
	DRM_SNPU_QUERY_LIMITS = 3,
};

/**
 * struct drm_snpu_dev_query - Ask for a description of the device.
 *
 * With @pointer 0 only @size is filled in: the size the driver knows. Otherwise min(@size, the
 * driver's size) bytes are written, any rest of the user's structure is zeroed, and @size returns
 * what the driver knows.
 */
struct drm_snpu_dev_query {
	/** @type: enum drm_snpu_query_type; -EINVAL when unknown. */
	__u32 type;
	/** @size: In: size of the user's structure, at least 8. Out: size of the driver's. */
	__u32 size;
	/** @pointer: User pointer to the structure, or 0. */
	__u64 pointer;
};

/**
 * define DRM_SNPU_INFO_SIMULATED - The card is a model in software; its time and energy are the
 * model's.
 */
#define DRM_SNPU_INFO_SIMULATED		(1u << 0)

/**
 * struct drm_snpu_query_info - Versions, identity and limits.
 */
struct drm_snpu_query_info {
	/** @hw_version: Contract version of the card, major << 16 | minor. */
	__u32 hw_version;
	/** @fw_version: Running firmware, major << 16 | minor << 8 | patch; 0: none runs. */
	__u32 fw_version;
	/** @fw_abi: Negotiated firmware ABI, major << 16 | minor; 0 without firmware. */
	__u32 fw_abi;
	/** @flags: DRM_SNPU_INFO_*. */
	__u32 flags;
	/** @serial: Serial number of the card. */
	__u32 serial;
	/** @va_bits: Width of virtual addresses, in bits. */
	__u32 va_bits;
	/** @va_start: Lowest address VM_BIND accepts. */
	__u64 va_start;
	/** @va_end: First address VM_BIND does not accept. */
	__u64 va_end;
	/** @max_queues: Queues of the card, shared by all its users; 0 without firmware. */
	__u32 max_queues;
	/** @max_vms: Address spaces of the card, shared by all its users. */
	__u32 max_vms;
	/**
	 * @max_jobs: Jobs of one queue that can be on the card at a time. More can be submitted;
	 * they wait.
	 */
	__u32 max_jobs;
	/** @max_regions: Regions a job can bind. */
	__u32 max_regions;
	/** @priorities: Bit p is set when the caller may create queues of priority p. */
	__u32 priorities;
	/** @user_slots: Slots the ring of a user queue can have; 0: there are no user queues. */
	__u32 user_slots;
};

/**
 * struct drm_snpu_query_memory - The card's memory regions.
 */
struct drm_snpu_query_memory {
	/** @device_total: Device memory that buffers can be made of, in bytes. */
	__u64 device_total;
	/** @device_used: Of it, in use by buffers of anyone, in bytes. */
	__u64 device_used;
	/** @device_cpu_visible: Of @device_total, what can be mapped by the CPU, in bytes. */
	__u64 device_cpu_visible;
	/** @host_used: Host memory in buffers of this open file, in bytes. */
	__u64 host_used;
	/** @page_sizes: Bit n is set when the card maps pages of 2^n bytes. */
	__u64 page_sizes;
};

/**
 * struct drm_snpu_query_engine - The compute engine.
 */
struct drm_snpu_query_engine {
	/** @engines: Number of engines. */
	__u32 engines;
	/** @clock_khz: Clock in kHz. */
	__u32 clock_khz;
	/** @opcodes: Bit n of word n / 64: the engine executes opcode n. */
	__u64 opcodes[4];
	/** @busy_ns: Time any job was on the engine since the driver loaded, in ns. */
	__u64 busy_ns;
	/** @jobs: Jobs finished since the driver loaded. */
	__u64 jobs;
};

/**
 * struct drm_snpu_query_limits - Address spaces and queues: this user's and the card's.
 *
 * So that nobody takes all of a card, each user (of the system, by user id; not: each process) can
 * have half of its address spaces and of its queues. Who has CAP_SYS_RESOURCE can have all. They
 * count for the user who opened the file. At their own limit VM_CREATE and QUEUE_CREATE return
 * -EDQUOT, and when the card has none left, -ENOSPC. What was destroyed may count a moment longer.
 */
struct drm_snpu_query_limits {
	/** @vms_max: Address spaces the caller can have. */
	__u32 vms_max;
	/** @vms_used: Of them, what the file's user has, in all processes. */
	__u32 vms_used;
	/** @vms_total: Address spaces of the card. */
	__u32 vms_total;
	/** @vms_free: Of @vms_total, those that nobody has. */
	__u32 vms_free;
	/** @queues_max: Queues the caller can have. */
	__u32 queues_max;
	/** @queues_used: Of them, what the file's user has, in all processes. */
	__u32 queues_used;
	/** @queues_total: Queues of the card. */
	__u32 queues_total;
	/** @queues_free: Of @queues_total, those that nobody has. */
	__u32 queues_free;
};

/** define DRM_SNPU_BO_DEVICE - Back the buffer with device memory. Otherwise with host memory. */
#define DRM_SNPU_BO_DEVICE		(1u << 0)

/**
 * struct drm_snpu_bo_create - Create a buffer. Its content is zero.
 *
 * -ENOSPC when the device memory is full.
 */
struct drm_snpu_bo_create {
	/** @size: In: bytes, not 0. Out: rounded up to what was allocated. */
	__u64 size;
	/** @flags: DRM_SNPU_BO_*. */
	__u32 flags;
	/** @handle: Out: GEM handle. */
	__u32 handle;
};

/**
 * define DRM_SNPU_BO_USERPTR_READONLY - The card only reads it. VM_BIND refuses
 * DRM_SNPU_VM_BIND_WRITE with -EACCES, and the memory may be mapped without PROT_WRITE.
 */
#define DRM_SNPU_BO_USERPTR_READONLY	(1u << 0)

/**
 * struct drm_snpu_bo_userptr - Create a buffer of the caller's own memory. Since 1.1.
 *
 * The pages that are at @addr now are pinned as long as the buffer exists, whatever becomes of the
 * addresses. They count as locked memory of the calling process. The buffer cannot be mapped by the
 * CPU (-EINVAL) nor exported as a dma-buf (-EOPNOTSUPP): the memory has a mapping already.
 *
 * The memory must be anonymous or shared (MAP_SHARED of a memfd, POSIX or System V shared memory)
 * or of huge pages. -EOPNOTSUPP: it is a file or private to one (MAP_PRIVATE), or not memory but a
 * mapping of a device; copy it. -EFAULT: nothing is mapped there, or, without
 * DRM_SNPU_BO_USERPTR_READONLY, not for writing. -ENOMEM: RLIMIT_MEMLOCK would be passed, or there
 * is no memory.
 */
struct drm_snpu_bo_userptr {
	/** @addr: User pointer to the memory, a multiple of 4096. */
	__u64 addr;
	/** @size: Bytes, a multiple of 4096, not 0. */
	__u64 size;
	/** @flags: DRM_SNPU_BO_USERPTR_*. */
	__u32 flags;
	/** @handle: Out: GEM handle. */
	__u32 handle;
};

/**
 * struct drm_snpu_bo_mmap_offset - Get the offset to pass to mmap() on the device's file.
 *
 * -ENOENT when there is no such buffer. -EINVAL when it is of BO_USERPTR or imported; the memory is
 * mapped already, or its dma-buf can be.
 */
struct drm_snpu_bo_mmap_offset {
	/** @handle: GEM handle. */
	__u32 handle;
	/** @pad: MBZ. */
	__u32 pad;
	/** @offset: Out. */
	__u64 offset;
};

/**
 * struct drm_snpu_vm_create - Create an address space.
 *
 * -EDQUOT when the user has no more to get (see DRM_SNPU_QUERY_LIMITS), -ENOSPC when the card's
 * address spaces are used up.
 */
struct drm_snpu_vm_create {
	/** @flags: MBZ. */
	__u32 flags;
	/** @vm_id: Out: number of the address space, not 0. */
	__u32 vm_id;
};

/**
 * struct drm_snpu_vm_destroy - Destroy an address space.
 *
 * Its queues keep it alive until they are destroyed. -ENOENT when there is none.
 */
struct drm_snpu_vm_destroy {
	/** @vm_id: Number of the address space. */
	__u32 vm_id;
	/** @pad: MBZ. */
	__u32 pad;
};

/**
 * enum drm_snpu_vm_bind_op_type - What one element of VM_BIND does.
 */
enum drm_snpu_vm_bind_op_type {
	/** @DRM_SNPU_VM_BIND_MAP: Map a range of a buffer, replacing what was mapped there. */
	DRM_SNPU_VM_BIND_MAP = 0,
	/** @DRM_SNPU_VM_BIND_UNMAP: Unmap a range; holes in it are fine. */
	DRM_SNPU_VM_BIND_UNMAP = 1,
};

/** define DRM_SNPU_VM_BIND_READ - Programs may read the range. */
#define DRM_SNPU_VM_BIND_READ		(1u << 0)
/** define DRM_SNPU_VM_BIND_WRITE - Programs may write the range. */
#define DRM_SNPU_VM_BIND_WRITE		(1u << 1)

/**
 * struct drm_snpu_vm_bind_op - One map or unmap.
 */
struct drm_snpu_vm_bind_op {
	/** @op: enum drm_snpu_vm_bind_op_type. */
	__u32 op;
	/** @flags: MAP: DRM_SNPU_VM_BIND_READ, _WRITE or both, not 0. UNMAP: MBZ. */
	__u32 flags;
	/** @handle: MAP: GEM handle. UNMAP: MBZ. */
	__u32 handle;
	/** @pad: MBZ. */
	__u32 pad;
	/** @bo_offset: MAP: offset in the buffer in bytes, a multiple of 4096. UNMAP: MBZ. */
	__u64 bo_offset;
	/** @va: Address, a multiple of 4096, in the range that DRM_SNPU_QUERY_INFO gives. */
	__u64 va;
	/** @size: Bytes, a multiple of 4096, not 0. */
	__u64 size;
};

/**
 * struct drm_snpu_vm_bind - Map and unmap ranges of an address space, in order.
 *
 * Synchronous: when it returns, later jobs see the new mappings and no job can reach what was
 * unmapped. Unmapping what a running job uses makes that job fault. Operations before the one that
 * failed stay done; @done tells how many.
 * -ENOENT: no such VM or buffer. -EOPNOTSUPP: the machine gives cards copies of host memory.
 * -EACCES: the buffer is read-only. -ENODEV (also): the card is there, but the exporter of an
 * imported buffer took its memory away, because its own device was removed.
 */
struct drm_snpu_vm_bind {
	/** @vm_id: Number of the address space. */
	__u32 vm_id;
	/** @flags: MBZ. */
	__u32 flags;
	/** @ops: Array of struct drm_snpu_vm_bind_op. */
	struct drm_snpu_obj_array ops;
	/** @done: Out, also on error: operations that were completed. */
	__u32 done;
	/** @pad: MBZ. */
	__u32 pad;
};

/**
 * enum drm_snpu_queue_priority - Priority of a queue.
 *
 * HIGH and REALTIME need CAP_SYS_NICE. A queue of higher priority takes the engine at the next
 * packet boundary; queues of one priority take turns.
 */
enum drm_snpu_queue_priority {
	/** @DRM_SNPU_PRIORITY_LOW: Runs when nothing else wants to. */
	DRM_SNPU_PRIORITY_LOW = 0,
	/** @DRM_SNPU_PRIORITY_NORMAL: For everyone. */
	DRM_SNPU_PRIORITY_NORMAL = 1,
	/** @DRM_SNPU_PRIORITY_HIGH: Needs CAP_SYS_NICE. */
	DRM_SNPU_PRIORITY_HIGH = 2,
	/** @DRM_SNPU_PRIORITY_REALTIME: Needs CAP_SYS_NICE. */
	DRM_SNPU_PRIORITY_REALTIME = 3,
};

/**
 * define DRM_SNPU_QUEUE_USER - Jobs are put into a ring in the address space, without a system
 * call.
 *
 * The ring holds struct snpu_job_desc of the card's manual; the job with number n, from 1, is at
 * (n - 1) modulo the slots, and no more jobs than slots may be unfinished. Whoever put jobs in
 * writes the number of the last one, modulo 2^32, to the first 32-bit word of the doorbell page,
 * after the descriptors. The card writes struct snpu_user_status of the manual when a job ends,
 * with its number last. Ring and status have to be bound, the status writable. What the card
 * cannot read, write or make sense of stops the queue like any other fault.
 *
 * The doorbell page is a GEM object: map one page of it, shared, with the offset that
 * BO_MMAP_OFFSET gives; it cannot be bound or exported. The driver takes the mapping away when the
 * queue ends, the card is reset, sleeps or is removed; the next access brings it back or, when the
 * queue is no more, shows a page that rings nothing. A ring that comes while the card is being
 * reset may be lost: who waits rings again from time to time.
 */
#define DRM_SNPU_QUEUE_USER		(1u << 0)

/**
 * struct drm_snpu_queue_create - Create a queue whose jobs run in one address space, in order.
 *
 * -ENOENT: no such VM. -EACCES: priority or @hang_ms not allowed. -EDQUOT: the user has no more
 * queues to get (see DRM_SNPU_QUERY_LIMITS). -ENOSPC: the card's queues are used up. -EOPNOTSUPP:
 * card or firmware have no user queues.
 */
struct drm_snpu_queue_create {
	/** @vm_id: Number of the address space. */
	__u32 vm_id;
	/** @priority: enum drm_snpu_queue_priority. */
	__u32 priority;
	/** @flags: DRM_SNPU_QUEUE_USER or 0. */
	__u32 flags;
	/** @queue_id: Out: number of the queue, not 0. */
	__u32 queue_id;
	/** @ring_va: USER: address of the ring, a multiple of 64. Otherwise MBZ. */
	__u64 ring_va;
	/** @status_va: USER: address of the status, a multiple of 64. Otherwise MBZ. */
	__u64 status_va;
	/**
	 * @ring_slots: USER: slots of the ring, a power of two from 2 to what DRM_SNPU_QUERY_INFO
	 * gives. Otherwise MBZ.
	 */
	__u32 ring_slots;
	/** @doorbell: Out: USER: GEM handle of the doorbell page. */
	__u32 doorbell;
	/**
	 * @hang_ms: A job that executes no packet for so long is stopped, in ms; 0: the driver's
	 * limit. Not below 500; above the driver's limit only with CAP_SYS_NICE.
	 */
	__u32 hang_ms;
	/** @pad: MBZ. */
	__u32 pad;
};

/**
 * struct drm_snpu_queue_destroy - Destroy a queue.
 *
 * Its running job is stopped at the next packet boundary; fences of unfinished jobs signal with
 * -ECANCELED.
 * -ENOENT when there is none.
 */
struct drm_snpu_queue_destroy {
	/** @queue_id: Number of the queue. */
	__u32 queue_id;
	/** @pad: MBZ. */
	__u32 pad;
};

/**
 * define DRM_SNPU_QUEUE_FAULTED - Guilty, a job faulted; the fault members tell how. Its fence
 * signalled -EFAULT, later ones -ECANCELED.
 */
#define DRM_SNPU_QUEUE_FAULTED		(1u << 0)
/**
 * define DRM_SNPU_QUEUE_TIMEDOUT - Guilty, a job made no progress and was stopped. Its fence
 * signalled -ETIME, later ones -ECANCELED.
 */
#define DRM_SNPU_QUEUE_TIMEDOUT		(1u << 1)
/**
 * define DRM_SNPU_QUEUE_LOST - Innocent, a reset that others needed cut off a job of this queue
 * (its fence signalled -EIO), or the card was removed (-ENODEV); later ones -ECANCELED.
 */
#define DRM_SNPU_QUEUE_LOST		(1u << 2)

/**
 * struct drm_snpu_queue_state - Ask how a queue is.
 *
 * Works as long as the queue exists, also after the card was removed. A queue with any of @flags
 * set takes no more jobs (SUBMIT returns -ECANCELED); destroy it and create another. -ENOENT when
 * there is none.
 */
struct drm_snpu_queue_state {
	/** @queue_id: Number of the queue. */
	__u32 queue_id;
	/** @pad: MBZ. */
	__u32 pad;
	/** @flags: Out: DRM_SNPU_QUEUE_*. */
	__u32 flags;
	/**
	 * @fault_code: Out: enum snpu_fault_code of the card's manual, 0 when there was no fault.
	 */
	__u32 fault_code;
	/** @submitted: Out: jobs accepted by SUBMIT. */
	__u64 submitted;
	/** @completed: Out: jobs that finished without error. */
	__u64 completed;
	/** @fault_job: Out: number of the faulting job in this queue, from 1. */
	__u64 fault_job;
	/** @fault_va: Out: faulting address. */
	__u64 fault_va;
	/** @fault_pc: Out: offset of the faulting packet in its program. */
	__u64 fault_pc;
	/** @fault_packet: Out: first 32-bit word of that packet. */
	__u32 fault_packet;
	/** @fault_operand: Out: index of its operand, ~0: the packet itself. */
	__u32 fault_operand;
	/** @fault_access: Out: 0 none, 1 read, 2 write. */
	__u32 fault_access;
	/** @fault_loop: Out: iteration of the innermost and of the next loop. */
	__u32 fault_loop[2];
	/** @resets: Out: resets of the card that the queue lived through, without losing a job. */
	__u32 resets;
	/** @busy_ns: Out: time on the engine, in ns. */
	__u64 busy_ns;
};

/** define DRM_SNPU_SYNC_TYPE_MASK - Kind of a sync object. */
#define DRM_SNPU_SYNC_TYPE_MASK		0xffu
/** define DRM_SNPU_SYNC_SYNCOBJ - Binary syncobj. */
#define DRM_SNPU_SYNC_SYNCOBJ		0u
/** define DRM_SNPU_SYNC_TIMELINE - Timeline syncobj. */
#define DRM_SNPU_SYNC_TIMELINE		1u
/**
 * define DRM_SNPU_SYNC_SIGNAL - Signal it when the job has finished. Without this flag the job
 * waits for it.
 */
#define DRM_SNPU_SYNC_SIGNAL		(1u << 31)

/**
 * struct drm_snpu_sync - One wait or signal of a job.
 */
struct drm_snpu_sync {
	/** @flags: DRM_SNPU_SYNC_*. */
	__u32 flags;
	/**
	 * @handle: syncobj handle; -ENOENT when there is none, -EINVAL when a wait has no fence.
	 */
	__u32 handle;
	/** @point: Timeline point, not 0 for a signal; MBZ for a binary syncobj. */
	__u64 point;
};

/**
 * struct drm_snpu_region - Binds one region of a program to an address range.
 */
struct drm_snpu_region {
	/** @index: enum snpu_region of the card's manual; each at most once. */
	__u32 index;
	/** @pad: MBZ. */
	__u32 pad;
	/** @va: Address, a multiple of 64. */
	__u64 va;
	/** @size: Bytes, not 0; @va + @size may not pass the end of the address space. */
	__u64 size;
};

/**
 * struct drm_snpu_job - One run of a program.
 */
struct drm_snpu_job {
	/** @syncs: Array of struct drm_snpu_sync. */
	struct drm_snpu_obj_array syncs;
	/** @regions: Array of struct drm_snpu_region; must contain the program's. */
	struct drm_snpu_obj_array regions;
	/** @entry: Offset of the first packet in the program region, a multiple of 8. */
	__u32 entry;
	/** @profile_slots: Rows of the profile region the engine adds its counters to; 0: none. */
	__u32 profile_slots;
	/** @flags: MBZ. */
	__u32 flags;
	/** @pad: MBZ. */
	__u32 pad;
};

/** define DRM_SNPU_SUBMIT_MAX_JOBS - Jobs in one SUBMIT; -E2BIG above. */
#define DRM_SNPU_SUBMIT_MAX_JOBS	64
/** define DRM_SNPU_SUBMIT_MAX_SYNCS - Sync objects of one job; -E2BIG above. */
#define DRM_SNPU_SUBMIT_MAX_SYNCS	64

/**
 * struct drm_snpu_submit - Put jobs into a queue.
 *
 * All or nothing: on error no job was accepted and no sync object was touched. Does not wait for
 * the card. A wait on a point that an earlier job of the same call signals is allowed. -ENOENT: no
 * such queue or syncobj.
 * -ECANCELED: the queue has stopped, see QUEUE_STATE. -E2BIG: too many.
 */
struct drm_snpu_submit {
	/** @queue_id: Number of the queue. */
	__u32 queue_id;
	/** @flags: MBZ. */
	__u32 flags;
	/** @jobs: Array of struct drm_snpu_job, at least one. */
	struct drm_snpu_obj_array jobs;
};

/**
 * struct drm_snpu_queue_wait - Wait for a job of a user queue.
 *
 * Returns when the job has finished, or with an error: -ETIME when it had not by @timeout_ns,
 * -ECANCELED when the queue stopped before (see QUEUE_STATE). Can be interrupted, and is then
 * started again by itself. -ENOENT: no such queue. -EINVAL: it is not a user queue.
 */
struct drm_snpu_queue_wait {
	/** @queue_id: Number of the queue. */
	__u32 queue_id;
	/** @flags: MBZ. */
	__u32 flags;
	/** @seqno: Number of the job. */
	__u64 seqno;
	/** @timeout_ns: Until when, absolute, in ns of CLOCK_MONOTONIC; in the past: only look. */
	__s64 timeout_ns;
	/** @completed: Out, also on -ETIME and -ECANCELED: number of the last job that finished. */
	__u64 completed;
};

/**
 * struct drm_snpu_queue_eventfd - Be told by an eventfd when jobs of a user queue finish.
 *
 * The eventfd is signalled after one or more jobs finished, and when the queue stops. One a queue;
 * a new one replaces it. -ENOENT: no such queue. -EBADF, -EINVAL: @fd is not an eventfd; -EINVAL:
 * not a user queue.
 */
struct drm_snpu_queue_eventfd {
	/** @queue_id: Number of the queue. */
	__u32 queue_id;
	/** @fd: The eventfd; -1: none any more. */
	__s32 fd;
	/** @flags: MBZ. */
	__u32 flags;
	/** @pad: MBZ. */
	__u32 pad;
};

#define DRM_IOCTL_SNPU_DEV_QUERY \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_SNPU_DEV_QUERY, struct drm_snpu_dev_query)
#define DRM_IOCTL_SNPU_BO_CREATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_SNPU_BO_CREATE, struct drm_snpu_bo_create)
#define DRM_IOCTL_SNPU_BO_MMAP_OFFSET \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_SNPU_BO_MMAP_OFFSET, struct drm_snpu_bo_mmap_offset)
#define DRM_IOCTL_SNPU_VM_CREATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_SNPU_VM_CREATE, struct drm_snpu_vm_create)
#define DRM_IOCTL_SNPU_VM_DESTROY \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_SNPU_VM_DESTROY, struct drm_snpu_vm_destroy)
#define DRM_IOCTL_SNPU_VM_BIND \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_SNPU_VM_BIND, struct drm_snpu_vm_bind)
#define DRM_IOCTL_SNPU_QUEUE_CREATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_SNPU_QUEUE_CREATE, struct drm_snpu_queue_create)
#define DRM_IOCTL_SNPU_QUEUE_DESTROY \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_SNPU_QUEUE_DESTROY, struct drm_snpu_queue_destroy)
#define DRM_IOCTL_SNPU_QUEUE_STATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_SNPU_QUEUE_STATE, struct drm_snpu_queue_state)
#define DRM_IOCTL_SNPU_SUBMIT \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_SNPU_SUBMIT, struct drm_snpu_submit)
#define DRM_IOCTL_SNPU_QUEUE_WAIT \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_SNPU_QUEUE_WAIT, struct drm_snpu_queue_wait)
#define DRM_IOCTL_SNPU_QUEUE_EVENTFD \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_SNPU_QUEUE_EVENTFD, struct drm_snpu_queue_eventfd)
#define DRM_IOCTL_SNPU_BO_USERPTR \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_SNPU_BO_USERPTR, struct drm_snpu_bo_userptr)

#if defined(__cplusplus)
}
#endif

#endif
