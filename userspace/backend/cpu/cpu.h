/* SPDX-License-Identifier: MIT */
/*
 * The CPU backend: executes packet streams with the kernels of userspace/kernels/, after the same checks as the card and
 * with the same faults (hw/snpu_isa.def). There are no page tables: the device level's table of bindings is the
 * translation. device.c bo.c vm.c queue.c are the slots; exec.c runs a job, check.c judges a packet, loop.c all iterations of a loop at
 * once, mem.c reaches memory, ops.c executes packets whose operands lie in one piece of memory, pieces.c the others. conv.c executes
 * those of images and delays, sparse.c those of networks of many neurons, quant.c of integers, lm.c of language
 * models, judge.c judges what they read, pool.c has the threads that share the large ones.
 */
#ifndef SNPU_BACKEND_CPU_H
#define SNPU_BACKEND_CPU_H

#include <pthreadpool.h>

#include "backend/soft.h"
#include "core/packet.h"
#include "kernels/kernels.h"

/* How CONV is computed: as its density says, or always one way, for measurements. */
enum cpu_conv_way { CPU_CONV_AUTO, CPU_CONV_EVENTS, CPU_CONV_DENSE };

struct cpu_device {
	struct soft_device soft;
	const struct snpu_kernels *kernels;
	int64_t epoch_ns;			/* CLOCK_MONOTONIC at which TIMESTAMP's time is 0 */
	uint32_t threads;			/* that share a large packet, the queue's own included */
	enum cpu_conv_way conv;			/* $SNPU_CONV */
	pthread_mutex_t pool_lock;
	pthreadpool_t pool;			/* pool_lock; NULL until the first large packet */
};

struct cpu_bo {
	struct snpu_bo base;
	uint8_t *mem;				/* [base.size], page-aligned */
	bool wrapped;				/* the caller's memory: never written, not freed here */
};

/* An operand as far as it can be judged without loops and memory. */
struct cpu_ref {
	uint64_t offset, size;			/* bytes; size 0: absent */
	uint32_t stride[SNPU_LOOP_DEPTH];	/* bytes an iteration */
	uint16_t align;				/* bytes */
	uint8_t arg, access, region;
	uint8_t fault;				/* BAD_OPERAND or BAD_REGION found already; reported in its turn */
};

union cpu_bytes {
	struct snpu_pkt_hdr hdr;
	uint8_t byte[SNPU_PKT_MAX_BYTES];
#define PKT(NAME, opcode, flags, args, doc)	struct snpu_pkt_##NAME NAME;
#include "snpu_isa.def"
};

struct cpu_packet {
	uint64_t pc, job;			/* where and in which run it was decoded (a program does not change while it runs); job 0: never */
	uint16_t bytes;				/* of the packet */
	uint8_t n_refs;
	bool may_overlap;			/* a written operand and another one are in the same region */
	bool elementwise;
	struct cpu_ref ref[SNPU_PKT_MAX_REFS];
	union cpu_bytes pkt;
};
#define CPU_CACHE	1024u			/* decoded packets kept, direct-mapped by pc / 8; a power of two */

/* A packet of a loop whose remaining iterations have been judged: its operands in the next one. */
struct cpu_line {
	const struct cpu_packet *p;
	void *ptr[SNPU_PKT_MAX_REFS];		/* NULL: absent */
	uint64_t va[SNPU_PKT_MAX_REFS];
	uint32_t step[SNPU_PKT_MAX_REFS];	/* bytes an iteration */
	bool moves;				/* a step is not 0 */
};
#define CPU_LINES	256u			/* packets of such a loop, at most */

/* The binding that a region was last found in. */
struct cpu_window {
	uint64_t lo, hi;			/* addresses */
	uint8_t *host;				/* of lo */
	uint32_t flags;				/* SNPU_BIND_* */
};

/* Private copies of what packets of language models read, kept for the next packet. */
enum cpu_copy { CPU_SPIKES, CPU_FIRST, CPU_VTH, CPU_INDEX, CPU_HISTOGRAM, CPU_SCRATCH, CPU_COPIES };

/* A queue's execution. Only its thread touches it; windows are valid while vm->lock is held for reading. */
struct cpu_exec {
	struct snpu_vm *vm;
	struct cpu_device *dev;
	const struct snpu_kernels *k;
	int64_t epoch_ns;

	const struct snpu_job_desc *desc;
	uint64_t job;				/* counts runs, and changes of bindings in them, to know stale cache entries */
	uint64_t pc, next_pc;
	uint64_t loop_pc[SNPU_LOOP_DEPTH];	/* [0] is the outermost open loop */
	uint32_t loop_count[SNPU_LOOP_DEPTH], loop_index[SNPU_LOOP_DEPTH];
	uint32_t depth;
	bool ended;

	const struct cpu_packet *p;		/* the packet */
	uint64_t offset[SNPU_PKT_MAX_REFS];	/* of its references in their regions, loops applied */
	uint64_t *va;				/* of its references: own_va, or those of a line */
	void **ptr;				/* memory of the operands, or copies: own_ptr, or those of a line */
	uint64_t own_va[SNPU_PKT_MAX_REFS];
	void *own_ptr[SNPU_PKT_MAX_REFS];
	struct snpu_fault fault;
	uint64_t ticks;				/* when the last packet was counted */
	uint64_t work[SNPU_COUNTER_COUNT];	/* what the packet adds to its profile row */
	uint64_t (*slot)[SNPU_COUNTER_COUNT];	/* [profile_slots] */
	uint64_t *dense;			/* [profile_slots] CONV packets that went window by window */
	size_t slot_room;			/* rows of both */

	uint64_t generation;			/* of the bindings that the windows are from */
	struct cpu_window window[SNPU_REGION_COUNT];
	struct snpu_event *events;		/* [event_room], the private copy of a list */
	size_t event_room;
	void *copy[CPU_COPIES];
	size_t copy_bytes[CPU_COPIES];
	struct cpu_packet *cache;		/* [CPU_CACHE] */
	struct cpu_line *line;			/* [CPU_LINES] */
	uint64_t refused_pc, refused_job;	/* the loop that cpu_lines() refused last, which it need not look at again */
};

struct cpu_queue {
	struct soft_queue soft;
	struct cpu_exec exec;
};

/*
 * Functions that can stop a packet return 0 or a fault code, with va, access and operand in x->fault.
 */

/* exec.c: a run function for soft queues. */
enum soft_end cpu_run(struct soft_queue *queue, const struct snpu_job_desc *desc, struct snpu_fault *fault);

/* check.c: fetches the packet at x->pc and judges it, all but memory and the matching of loops. */
int cpu_check(struct cpu_exec *x) SNPU_MUST_CHECK;
int cpu_fault(struct cpu_exec *x, int code, unsigned int operand);
/* A reference's offset in the loops' present iteration; false when it leaves 64 bits. */
bool cpu_offset(const struct cpu_exec *x, const struct cpu_ref *r, uint64_t *offset);
/* May the operands of x->p lie at x->offset? */
int cpu_check_overlaps(struct cpu_exec *x) SNPU_MUST_CHECK;

/*
 * loop.c: called when the innermost loop goes round, with x->pc at its beginning. Judges its packets for all iterations that are left, and
 * fills x->line with them; 0: that cannot be done at once, or one of them would fault, so it must go packet by packet.
 */
unsigned int cpu_lines(struct cpu_exec *x);

/* mem.c */
/* Points the region's window at the binding that holds va, if any. */
void cpu_find(struct cpu_exec *x, unsigned int region, uint64_t va);

/* The memory of [va, va + len) when it lies in one binding that allows the access, else NULL. */
static inline void *cpu_at(struct cpu_exec *x, unsigned int region, uint64_t va, uint64_t len, unsigned int access)
{
	const struct cpu_window *w = &x->window[region];

	if (va < w->lo || va >= w->hi)
		cpu_find(x, region, va);
	if (va < w->lo || va >= w->hi || len > w->hi - va || (w->flags & access) != access)
		return NULL;
	return w->host + (va - w->lo);
}

/* May [va, va + len) be accessed? access: READ or WRITE. */
int cpu_probe(struct cpu_exec *x, uint64_t va, uint64_t len, unsigned int access) SNPU_MUST_CHECK;
/* Probes, then copies. */
int cpu_read(struct cpu_exec *x, uint64_t va, void *buf, uint64_t len) SNPU_MUST_CHECK;
int cpu_write(struct cpu_exec *x, uint64_t va, const void *buf, uint64_t len) SNPU_MUST_CHECK;
/* Copies the event list of reference 0 to x->events and checks it for n channels. */
int cpu_read_events(struct cpu_exec *x, uint32_t n, uint32_t *count) SNPU_MUST_CHECK;
/* Memory of this process ran out in the middle of a packet. */
int cpu_no_memory(struct cpu_exec *x, unsigned int ref);

/* ops.c: executes the checked packet. */
int cpu_execute(struct cpu_exec *x) SNPU_MUST_CHECK;
/* Executes it on x->ptr, which cover every operand in full; cannot fail, except for event lists and loops. */
int cpu_operate(struct cpu_exec *x) SNPU_MUST_CHECK;
void cpu_count_linear(struct cpu_exec *x, uint32_t count);

/* conv.c: cpu_operate() for images and delays; CONV and POOL on the first `count` of x->events. may_read_all: the weights of silent channels, too. */
int cpu_choose_conv(enum cpu_conv_way *way) SNPU_MUST_CHECK;
int cpu_operate_image(struct cpu_exec *x) SNPU_MUST_CHECK;
int cpu_conv(struct cpu_exec *x, uint32_t count, bool may_read_all) SNPU_MUST_CHECK;
void cpu_pool(struct cpu_exec *x, uint32_t count);

/* Input channels of `pixels` elements that have an entry among the first `count` of x->events. */
uint32_t cpu_active_channels(const struct cpu_exec *x, uint32_t count, uint32_t pixels);

/* quant.c: cpu_operate() for the packets of integers. */
int cpu_operate_quant(struct cpu_exec *x) SNPU_MUST_CHECK;
/* sparse.c: SPARSE and LOG bring themselves what x->ptr does not point to; TAKE and LIFEXP are like the others. */
int cpu_sparse(struct cpu_exec *x) SNPU_MUST_CHECK;
int cpu_log(struct cpu_exec *x) SNPU_MUST_CHECK;
int cpu_take(struct cpu_exec *x) SNPU_MUST_CHECK;
int cpu_lifexp(struct cpu_exec *x) SNPU_MUST_CHECK;

/* lm.c: cpu_operate() for the packets of language models. */
int cpu_operate_lm(struct cpu_exec *x) SNPU_MUST_CHECK;

/* judge.c: the copy, grown to `bytes` with its contents kept; NULL: no memory. */
void *cpu_room(struct cpu_exec *x, enum cpu_copy which, uint64_t bytes);
/* Copy reference `ref` and judge it: [rows] spike lists of n channels; [rows] numbers below `limit`; the index [cells + 1] of n residual entries. */
int cpu_read_spikes(struct cpu_exec *x, unsigned int ref, uint32_t n, uint32_t rows, struct snpu_spike_rows *out) SNPU_MUST_CHECK;
int cpu_read_index(struct cpu_exec *x, unsigned int ref, uint32_t rows, uint32_t limit, const uint32_t **out) SNPU_MUST_CHECK;
int cpu_read_residual(struct cpu_exec *x, unsigned int ref, uint64_t cells, uint32_t n, const uint32_t **out) SNPU_MUST_CHECK;

/* pool.c: how many threads; wanted 0: what $SNPU_THREADS says, or all processors. */
int cpu_choose_threads(uint32_t wanted, uint32_t *threads) SNPU_MUST_CHECK;
/* How many of n things a thread should take at once, a multiple of `unit`; n when `work` products are not worth sharing. */
uint32_t cpu_tile(const struct cpu_exec *x, uint32_t n, uint64_t work, uint32_t unit);
/* Calls part(arg, from, count) for pieces of 0 .. n - 1 that begin at multiples of `tile`; returns when all are done. */
void cpu_share(struct cpu_exec *x, pthreadpool_task_1d_tile_1d_t part, void *arg, uint32_t n, uint32_t tile);

/* pieces.c: executes the packet when some operand does not lie in one binding. */
int cpu_execute_pieces(struct cpu_exec *x) SNPU_MUST_CHECK;

/* The slots. */
int cpu_bo_create(struct snpu_device *dev, uint64_t size, uint32_t flags, struct snpu_bo **bo);
int cpu_bo_wrap(struct snpu_device *dev, const void *mem, uint64_t size, struct snpu_bo **bo);
void cpu_bo_destroy(struct snpu_bo *bo);
int cpu_bo_map(struct snpu_bo *bo, void **ptr);
int cpu_vm_create(struct snpu_device *dev, struct snpu_vm **vm);
void cpu_vm_destroy(struct snpu_vm *vm);
int cpu_vm_bind(struct snpu_vm *vm, struct snpu_bo *bo, uint64_t offset, uint64_t va, uint64_t size, uint32_t flags);
int cpu_vm_unbind(struct snpu_vm *vm, uint64_t va, uint64_t size);
int cpu_queue_create(struct snpu_vm *vm, const struct snpu_queue_opts *opts, struct snpu_queue **queue);
void cpu_queue_destroy(struct snpu_queue *queue);
void cpu_queue_dense(struct snpu_queue *queue, uint32_t slots, uint64_t *dense);

#endif
