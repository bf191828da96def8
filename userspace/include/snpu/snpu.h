/* SPDX-License-Identifier: MIT */
/*
 * libsnpu: runs spiking networks on SNPU accelerator cards, on a simulated card, or on the CPU, with the same bits.
 *
 * Rules for every function here:
 *
 *  - Functions that can fail return 0 or a negative errno and keep one sentence for people: snpu_last_error(). Results
 *    come through pointers, which are written on success only. The library never prints and never exits.
 *  - Handles are opaque. Every *_create/_open has its *_free/_close, which accepts NULL. An object keeps what it was
 *    made from alive, so that handles can be freed in any order.
 *  - Structures that can grow begin with `size_t sz`, which the caller sets to sizeof. The library accepts a longer
 *    structure when the bytes it does not know are zero, and reads a shorter one as if padded with zero. Options may
 *    be NULL, which means all zero: the defaults.
 *  - Threads: different objects can be used from different threads at the same time. Functions marked (any thread)
 *    may also be called on the same object at the same time; the others need the caller's own lock. Freeing an
 *    object while another thread uses it is an error of the caller.
 *
 * Two levels: devices, buffers, address spaces, queues and fences are in this file; arrays, networks and language models in
 * snpu_array.h, snpu_model.h and snpu_lm.h, which it includes.
 */
#ifndef SNPU_SNPU_H
#define SNPU_SNPU_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SNPU_API	__attribute__((visibility("default")))
#define SNPU_CHECKED	__attribute__((warn_unused_result))
#else
#define SNPU_API
#define SNPU_CHECKED
#endif

#define SNPU_VERSION_MAJOR	0
#define SNPU_VERSION_MINOR	1
#define SNPU_VERSION_PATCH	0

/* The library's version, "major.minor.patch". (any thread) */
SNPU_API const char *snpu_version(void);

/*
 * The sentence of the last call that failed on the calling thread: what failed, the thing with its number, what to do
 * next. Never NULL; "" when none failed yet. Valid until the next failing call on this thread. A call that succeeds
 * leaves it alone. (any thread)
 */
SNPU_API const char *snpu_last_error(void);

/* ----------------------------------------------------------------------------------------------------------- */
/* Devices													 */
/* ----------------------------------------------------------------------------------------------------------- */

struct snpu_device;
struct snpu_bo;
struct snpu_vm;
struct snpu_queue;
struct snpu_fence;

/* What executes. Reports must name it, because time and energy mean something else on each. */
enum snpu_device_kind {
	SNPU_KIND_UNKNOWN = 0,			/* a card that could not be asked, see status */
	SNPU_KIND_SILICON = 1,			/* a card */
	SNPU_KIND_SIMULATED_CARD = 2,		/* a card that says it is a model in software: behind a real driver, time and energy are the model's */
	SNPU_KIND_SIMULATOR = 3,		/* the simulator's engine in this process, no kernel involved; time and energy are the model's */
	SNPU_KIND_CPU = 4,			/* kernels on this machine's CPU */
	SNPU_KIND_NULL = 5,			/* executes nothing; results are undefined */
};

struct snpu_device_info {
	size_t sz;
	uint32_t kind;				/* enum snpu_device_kind */
	int32_t status;				/* 0, or why the device cannot be opened: negative errno */
	char name[32];				/* for snpu_device_open: "card0", "sim", "cpu" */
	char node[64];				/* "/dev/accel/accel0"; "" when there is none */
	char bus_id[32];			/* "0000:01:00.0"; "" when there is none */
	char description[96];			/* one line for people */
	char note[256];				/* why status is not 0, or why "auto" did not take a card; else "" */
	char isa[16];				/* CPU: "scalar", "avx2", "avx512"; else "" */
	uint32_t driver_version;		/* major << 16 | minor; 0: no driver */
	uint32_t hw_version;			/* major << 16 | minor of the card's contract */
	uint32_t fw_version;			/* major << 16 | minor << 8 | patch; 0: no firmware */
	uint32_t fw_abi;			/* major << 16 | minor */
	uint32_t serial;
	uint32_t clock_khz;			/* of the engine; 0 where cycles mean nothing */
	uint32_t max_queues;			/* of the device, shared by all its users */
	uint32_t max_vms;			/* likewise */
	uint32_t priorities;			/* bit p: the caller may create queues of priority p */
	uint32_t va_bits;
	uint64_t va_start, va_end;		/* snpu_vm_bind takes addresses in [va_start, va_end) */
	uint64_t device_total;			/* device memory for buffers, bytes; 0: none */
	uint64_t device_used;			/* of it, in use by anyone, bytes */
	uint64_t opcodes[4];			/* bit n of word n / 64: the engine executes packets of opcode n */
};

/*
 * Describes device number `index`: cards in the order of their nodes, then "sim", then "cpu". A card that cannot be
 * opened is listed with its status and note. Each call looks anew. Errors: -ENOENT past the last device, -EINVAL.
 * (any thread)
 */
SNPU_API int snpu_devices(unsigned int index, struct snpu_device_info *info) SNPU_CHECKED;

enum snpu_cpu_isa {
	SNPU_CPU_AUTO = 0,			/* what $SNPU_CPU names, or the best the CPU has */
	SNPU_CPU_SCALAR = 1,			/* the reference */
	SNPU_CPU_AVX2 = 2,
	SNPU_CPU_AVX512 = 3,
};

/* "auto" must not fall back to the CPU: -ENODEV when no card can be used. */
#define SNPU_OPEN_REQUIRE_CARD	(1u << 0)

struct snpu_device_opts {
	size_t sz;
	uint32_t flags;				/* SNPU_OPEN_* */
	uint32_t cpu_isa;			/* "cpu": enum snpu_cpu_isa; -ENOTSUP when this CPU lacks it */
	uint64_t sim_memory;			/* "sim": bytes of device memory, multiple of 2 MiB; 0: 1 GiB (taken as it is touched) */
	uint32_t cpu_threads;			/* "cpu": threads that share the work of large packets; 0: what $SNPU_THREADS says, or all processors */
	uint32_t pad;				/* 0 */
};

/*
 * Opens a device. Names: "card" (the first that can be opened), "card0", "card1", ..., "sim", "cpu", "null" (a template for
 * new backends: accepts everything, executes nothing), and "auto" or NULL: a card, and when none can be used the CPU,
 * which snpu_device_info.note then explains.
 * Errors: -ENODEV no such device, -EACCES no permission on the node, -ENOPKG a card without firmware, -EPROTO the driver's
 * version does not fit, -ENOTSUP, -EINVAL an unknown name or option, -ENOMEM. (any thread)
 */
SNPU_API int snpu_device_open(const char *name, const struct snpu_device_opts *opts, struct snpu_device **device) SNPU_CHECKED;
SNPU_API void snpu_device_close(struct snpu_device *device);

/* Describes an open device; memory use is current. Errors: -EINVAL, -EIO/-ENODEV when the card is gone. (any thread) */
SNPU_API int snpu_device_info(struct snpu_device *device, struct snpu_device_info *info) SNPU_CHECKED;

/* ----------------------------------------------------------------------------------------------------------- */
/* Buffers													 */
/* ----------------------------------------------------------------------------------------------------------- */

/* Backed by device memory, where the device has any. Otherwise host memory. */
#define SNPU_BO_DEVICE	(1u << 0)

/*
 * Creates a buffer of `size` bytes, zeroed, rounded up to whole pages of 4096 bytes. Errors: -EINVAL size 0 or unknown
 * flags, -ENOSPC device memory is full, -ENOMEM. (any thread)
 */
SNPU_API int snpu_bo_create(struct snpu_device *device, uint64_t size, uint32_t flags, struct snpu_bo **bo) SNPU_CHECKED;
/* Gives the handle back. Memory stays as long as it is bound in an address space. */
SNPU_API void snpu_bo_free(struct snpu_bo *bo);
SNPU_API uint64_t snpu_bo_size(const struct snpu_bo *bo);	/* bytes, after rounding (any thread) */
/*
 * The buffer's memory in this process; the same pointer each time, valid until snpu_bo_free. Jobs that finished (a wait on
 * their fence returned) have their writes visible, and writes made before snpu_submit are visible to the job.
 * Errors: -ENOMEM, -ENODEV. (any thread)
 */
SNPU_API int snpu_bo_map(struct snpu_bo *bo, void **ptr) SNPU_CHECKED;

/* ----------------------------------------------------------------------------------------------------------- */
/* Address spaces												 */
/* ----------------------------------------------------------------------------------------------------------- */

/* Creates an empty address space. Errors: -ENOSPC the device's are used up, -ENOMEM. (any thread) */
SNPU_API int snpu_vm_create(struct snpu_device *device, struct snpu_vm **vm) SNPU_CHECKED;
/* Gives the handle back; queues keep the address space alive. */
SNPU_API void snpu_vm_free(struct snpu_vm *vm);

#define SNPU_BIND_READ	(1u << 0)
#define SNPU_BIND_WRITE	(1u << 1)

/*
 * Binds bytes [offset, offset + size) of a buffer at address `va`, replacing what was there. All three are multiples of 4096 bytes;
 * flags: SNPU_BIND_*, at least one. When it returns, later jobs see it. Errors: -EINVAL, -ENOMEM, -ENOSPC
 * no device memory for page tables, -ENODEV the card is gone. (any thread)
 */
SNPU_API int snpu_vm_bind(struct snpu_vm *vm, struct snpu_bo *bo, uint64_t offset, uint64_t va, uint64_t size, uint32_t flags)
	SNPU_CHECKED;
/*
 * Unbinds a range; holes in it are fine. When it returns, no job can reach the range; a running job that uses it
 * faults. Errors: -EINVAL, -ENOMEM, -ENOSPC, -ENODEV. (any thread)
 */
SNPU_API int snpu_vm_unbind(struct snpu_vm *vm, uint64_t va, uint64_t size) SNPU_CHECKED;

/* ----------------------------------------------------------------------------------------------------------- */
/* Queues, jobs, fences												 */
/* ----------------------------------------------------------------------------------------------------------- */

enum snpu_priority {
	SNPU_PRIORITY_DEFAULT = 0,		/* NORMAL */
	SNPU_PRIORITY_LOW = 1,
	SNPU_PRIORITY_NORMAL = 2,
	SNPU_PRIORITY_HIGH = 3,			/* cards: needs CAP_SYS_NICE */
	SNPU_PRIORITY_REALTIME = 4,		/* cards: needs CAP_SYS_NICE */
};

/*
 * Jobs of the queue may wait for jobs of other queues, and be waited for by them; both queues need it. On a card such jobs
 * go through the driver, those of other queues straight into a ring that the card reads.
 */
#define SNPU_QUEUE_FENCES	(1u << 0)

struct snpu_queue_opts {
	size_t sz;
	uint32_t priority;			/* enum snpu_priority; a hint that "cpu" and "sim" ignore */
	uint32_t flags;				/* SNPU_QUEUE_FENCES or 0 */
};

/*
 * Creates a queue whose jobs run in `vm`, one after the other. Errors: -EINVAL, -EACCES priority not allowed, -ENOSPC the device's
 * queues are used up, -ENOMEM, -EAGAIN no thread could be started. (any thread)
 */
SNPU_API int snpu_queue_create(struct snpu_vm *vm, const struct snpu_queue_opts *opts, struct snpu_queue **queue) SNPU_CHECKED;
/*
 * Stops the running job at its next packet, drops the rest (their fences give -ECANCELED) and frees the queue. Returns when
 * the device no longer touches the jobs' memory.
 */
SNPU_API void snpu_queue_free(struct snpu_queue *queue);

/* One region of a program (enum snpu_region of the card's manual) bound to addresses. Never grows. */
struct snpu_job_region {
	uint32_t index;				/* each at most once */
	uint32_t pad;				/* 0 */
	uint64_t va;				/* multiple of 64 */
	uint64_t size;				/* bytes, not 0 */
};

/* One run of a program. */
struct snpu_job {
	size_t sz;
	const struct snpu_job_region *regions;	/* [n_regions]; must contain the program's */
	struct snpu_fence *const *waits;	/* [n_waits] fences of the same device (of another queue: SNPU_QUEUE_FENCES) that must signal
						 * first; a failed one counts as signalled */
	uint32_t n_regions;
	uint32_t n_waits;			/* at most SNPU_JOB_WAITS */
	uint32_t entry;				/* offset of the first packet in the program, bytes, multiple of 8 */
	uint32_t profile_slots;			/* rows of the profile region, u64 [rows][counters], that the job adds to; 0: none */
	uint32_t flags;				/* 0 */
	uint32_t pad;				/* 0 */
};
#define SNPU_JOB_WAITS	32

/*
 * Puts a job into a queue and returns at once, or when fewer than 256 jobs of it are unfinished. `fence` may be NULL. The job structure can be reused when it returns; what it
 * names in memory must stay until the job has finished.
 * Errors: -EINVAL, -ECANCELED the queue has stopped (snpu_queue_status tells why), -ENODEV the card is gone, -ENOMEM. The second
 * and third may also be told by the job's fence only. (any thread)
 */
SNPU_API int snpu_submit(struct snpu_queue *queue, const struct snpu_job *job, struct snpu_fence **fence) SNPU_CHECKED;

#define SNPU_WAIT_FOREVER	INT64_MAX

/*
 * Waits until the job has finished, at most `timeout_ns` (0 or less: only looks). Returns 0; -ETIMEDOUT when it is still running; or what
 * became of the job: -EFAULT it faulted, -ETIME it was stopped because it made no progress, -ECANCELED the queue stopped before it
 * ran, -ENODEV the card went away, -EIO. (any thread)
 */
SNPU_API int snpu_fence_wait(struct snpu_fence *fence, int64_t timeout_ns) SNPU_CHECKED;
SNPU_API void snpu_fence_free(struct snpu_fence *fence);

#define SNPU_QUEUE_STOPPED_FAULT	(1u << 0)	/* a job faulted; the fault members tell how */
#define SNPU_QUEUE_STOPPED_TIMEOUT	(1u << 1)	/* a job made no progress */
#define SNPU_QUEUE_STOPPED_LOST		(1u << 2)	/* the card was reset or removed */

struct snpu_queue_status {
	size_t sz;
	uint32_t flags;				/* SNPU_QUEUE_STOPPED_*; a queue with any of them takes no more jobs */
	uint32_t fault_code;			/* enum snpu_fault_code of the card's manual; 0: none */
	uint64_t submitted;			/* jobs accepted */
	uint64_t completed;			/* jobs that finished without error */
	uint64_t fault_job;			/* number of the faulting job in its queue, from 1 */
	uint64_t fault_va;			/* faulting address; 0 when no access was made */
	uint64_t fault_pc;			/* offset of the faulting packet in its program */
	uint32_t fault_packet;			/* first 32-bit word of that packet */
	uint32_t fault_operand;			/* index in the packet's operand list; ~0: the packet itself */
	uint32_t fault_access;			/* 0 none, 1 read, 2 write */
	uint32_t fault_loop[2];			/* iteration of the innermost and of the next loop */
	uint32_t pad;
	uint64_t busy_ns;			/* time spent executing this queue's jobs, ns */
	char text[512];				/* what happened, with the packet disassembled; "" while the queue is well */
};

/* Tells how a queue is. Works also after the card was removed. Errors: -EINVAL. (any thread) */
SNPU_API int snpu_queue_status(struct snpu_queue *queue, struct snpu_queue_status *status) SNPU_CHECKED;

/* ----------------------------------------------------------------------------------------------------------- */
/* Programs, as far as people look at them									 */
/* ----------------------------------------------------------------------------------------------------------- */

/*
 * Writes the packet at `pc` of a program as text, always zero-terminated, cut at `len`, and the offset of the packet after it to
 * `next`. A malformed packet is shown as data with the reason, and `next` goes on behind its header.
 * Errors: -EINVAL; -ERANGE pc is not before the end. (any thread)
 */
SNPU_API int snpu_disasm(const void *program, uint64_t size, uint64_t pc, char *text, size_t len, uint64_t *next) SNPU_CHECKED;

/* The card's counters, by number from 0; a profile row is u64 [snpu_counters()]. NULL or 0 past the last. (any thread) */
SNPU_API unsigned int snpu_counters(void);
SNPU_API const char *snpu_counter_name(unsigned int counter);	/* "SYNOPS" */
SNPU_API const char *snpu_counter_unit(unsigned int counter);	/* "synops" */
SNPU_API int snpu_counter_exact(unsigned int counter);		/* 1: the same number on every backend; 0: a property of the device */

#ifdef __cplusplus
}
#endif

#include <snpu/snpu_array.h>
#include <snpu/snpu_model.h>
#include <snpu/snpu_lm.h>
#include <snpu/snpu_net.h>

#endif
