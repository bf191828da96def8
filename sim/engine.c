/* SPDX-License-Identifier: MIT */
/*
 * The life of a job: descriptor, packets one after the other, counters, profile, and the four ways to stop. Everything is
 * on the thread in snpu_engine_run() except the requests and queries at the end. What packets mean is elsewhere.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim/engine.h"

#define MAX_PROFILE_SLOTS	65536u		/* a packet's slot has 16 bits */
#define FLUSH_PACKETS		1024u		/* totals of a running job appear in steps of this */

int snpu_engine_create(const struct snpu_engine_mem *mem, struct snpu_engine **engine)
{
	if (!mem->host_read || !mem->host_write || (mem->device_size && !mem->device))
		return -EINVAL;

	struct snpu_engine *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->mem = *mem;
	mmu_init(&e->mmu, engine_read_pte, e);
	*engine = e;
	return 0;
}

void snpu_engine_destroy(struct snpu_engine *e)
{
	if (!e)
		return;
	free(e->events);
	for (unsigned int i = 0; i < ENGINE_BUFFERS; i++)
		free(e->buf[i].p);
	free(e->slot);
	free(e);
}

/* --- the job descriptor -------------------------------------------------------------------------------------- */
static bool region_ok(const struct snpu_region_binding *r)
{
	const uint64_t end = 1ull << SNPU_VA_BITS;

	return r->va % 64 == 0 && r->va <= end && r->size <= end - r->va;
}

static bool desc_ok(const struct snpu_job_desc *d)
{
	uint64_t reserved = d->flags | d->pad;

	for (unsigned int i = 0; i < sizeof(d->reserved) / sizeof(d->reserved[0]); i++)
		reserved |= d->reserved[i];
	for (unsigned int i = 0; i < SNPU_REGION_SLOTS; i++) {
		if (!region_ok(&d->region[i]))
			return false;
		if (i >= SNPU_REGION_COUNT)
			reserved |= d->region[i].va | d->region[i].size;
	}
	return !reserved && d->entry % 8 == 0 && d->region[SNPU_REGION_PROGRAM].size &&
	       d->profile_slots <= MAX_PROFILE_SLOTS &&
	       d->profile_slots * sizeof(uint64_t[SNPU_COUNTER_COUNT]) <= d->region[SNPU_REGION_PROFILE].size;
}

/* A saved state comes from memory that others can write. */
static bool state_ok(const struct snpu_engine_state *s)
{
	bool ok = s->valid == 1 && s->pc % 8 == 0 && s->depth <= SNPU_LOOP_DEPTH;

	for (unsigned int i = 0; ok && i < s->depth; i++)
		ok = s->loop_pc[i] % 8 == 0 && s->loop_index[i] < s->loop_count[i];
	return ok;
}

/* From memory that its owner may be writing: once, and only the copy counts. */
static int fetch_desc(struct snpu_engine *e, const struct snpu_engine_job *job)
{
	int r = 0;

	if (job->desc) {
		e->desc = *job->desc;
		return 0;
	}
	memset(&e->desc, 0, sizeof(e->desc));
	r = engine_read(e, job->desc_va, &e->desc, sizeof(e->desc));
	if (!r && e->desc.seqno != job->seqno)
		r = SNPU_FAULT_BAD_DESC;
	e->desc.seqno = job->seqno;
	return r;
}

static int set_up(struct snpu_engine *e, const struct snpu_engine_job *job)
{
	uint32_t rows;
	int r;

	e->pt_root = job->pt_root;
	e->asid = job->asid;
	e->queue = job->queue;
	e->ended = false;
	memset(&e->st, 0, sizeof(e->st));
	memset(e->flushed, 0, sizeof(e->flushed));
	memset(&e->work, 0, sizeof(e->work));
	r = fetch_desc(e, job);
	if (r) {
		e->desc.profile_slots = 0;
		return r;
	}
	e->st.pc = e->desc.entry;
	if (job->resume && state_ok(job->resume)) {
		e->st = *job->resume;
		memcpy(e->flushed, e->st.counter, sizeof(e->flushed));
	}
	e->pc = e->st.pc;
	if (!desc_ok(&e->desc) || (job->resume && !state_ok(job->resume)) || e->asid >= SNPU_ASIDS) {
		e->desc.profile_slots = 0;
		return SNPU_FAULT_BAD_DESC;
	}
	rows = e->desc.profile_slots;
	if (rows > e->slot_room) {
		void *slot = realloc(e->slot, rows * sizeof(*e->slot));

		if (!slot) {
			e->desc.profile_slots = 0;
			return SNPU_FAULT_BUS;
		}
		e->slot = slot;
		e->slot_room = rows;
	}
	if (rows)
		memset(e->slot, 0, rows * sizeof(*e->slot));
	return 0;
}

/* --- counters ------------------------------------------------------------------------------------------------ */
static void flush_totals(struct snpu_engine *e)
{
	for (unsigned int c = 0; c < SNPU_COUNTER_COUNT; c++)
		atomic_fetch_add_explicit(&e->total[c], e->st.counter[c] - e->flushed[c], memory_order_relaxed);
	memcpy(e->flushed, e->st.counter, sizeof(e->flushed));
}

static void count_packet(struct snpu_engine *e)
{
	cost_count(&e->work, e->pkt.hdr.words, e->st.counter);
	atomic_fetch_add_explicit(&e->stalls, cost_stalls(&e->work), memory_order_relaxed);
	if (e->desc.profile_slots)
		cost_count(&e->work, e->pkt.hdr.words, e->slot[e->pkt.hdr.slot]);
	atomic_store_explicit(&e->progress, e->st.counter[SNPU_COUNTER_PACKETS], memory_order_relaxed);
	if (e->st.counter[SNPU_COUNTER_PACKETS] % FLUSH_PACKETS == 0)
		flush_totals(e);
}

/* Adds the rows that changed to PROFILE. */
static int write_profile(struct snpu_engine *e)
{
	for (uint32_t s = 0; s < e->desc.profile_slots; s++) {
		uint64_t row[SNPU_COUNTER_COUNT], va = e->desc.region[SNPU_REGION_PROFILE].va + s * sizeof(row);
		int r;

		if (!e->slot[s][SNPU_COUNTER_PACKETS])
			continue;
		r = engine_read(e, va, row, sizeof(row));
		for (unsigned int c = 0; !r && c < SNPU_COUNTER_COUNT; c++)
			row[c] += e->slot[s][c];
		if (!r)
			r = engine_write(e, va, row, sizeof(row));
		if (r)
			return r;
	}
	return 0;
}

/* --- running ------------------------------------------------------------------------------------------------- */
static int step(struct snpu_engine *e)
{
	int r;

	memset(&e->work, 0, sizeof(e->work));
	e->pc = e->st.pc;
	r = engine_decode(e);
	if (!r)
		r = engine_execute(e);
	if (r)
		return r;
	e->st.pc = e->next_pc;
	count_packet(e);
	return 0;
}

/* Sits out a fault on purpose; true: it was aborted. The engine itself is not in an access then, so it follows the MMU. */
static bool hung(struct snpu_engine *e)
{
	static const struct timespec pause = { 0, 1000000 };

	if (atomic_load_explicit(&e->hang, memory_order_relaxed) != e->queue + 1ull)
		return false;
	while (!(atomic_load(&e->request) & ENGINE_ABORT)) {
		if (mmu_behind(&e->mmu))
			mmu_catch_up(&e->mmu);
		nanosleep(&pause, NULL);
	}
	atomic_store(&e->hang, 0);
	return true;
}

/* Until END or PREEMPT (0, *result says which), a fault (> 0) or ABORT (ENGINE_STOP). */
static int run_packets(struct snpu_engine *e, enum snpu_eng_result *result)
{
	for (;;) {
		if (hung(e))
			return ENGINE_STOP;

		int r = step(e);
		unsigned int request = atomic_load_explicit(&e->request, memory_order_relaxed);

		*result = e->ended ? SNPU_ENG_DONE : SNPU_ENG_PREEMPTED;
		if (r || e->ended)
			return r;
		if (request & ENGINE_ABORT)
			return ENGINE_STOP;
		if (request & ENGINE_PREEMPT)
			return 0;
	}
}

static void record_fault(struct snpu_engine *e, int code)
{
	struct snpu_fault *f = &e->fault;

	f->code = (uint32_t)code;
	f->seqno = e->desc.seqno;
	f->pc = e->pc;
	memcpy(&f->packet, &e->pkt, sizeof(f->packet));
	f->asid = e->asid;
	f->queue = e->queue;
	for (unsigned int i = 0; i < e->st.depth; i++)
		f->loop_index[i] = e->st.loop_index[e->st.depth - 1 - i];
}

/* The profile of what did run is worth having after a fault too, but the first fault is the one to report. */
static int finish_profile(struct snpu_engine *e, int code)
{
	struct snpu_fault first = e->fault;
	int r;

	if (code == ENGINE_STOP)
		return code;
	r = write_profile(e);
	if (!code)
		return r;
	e->fault = first;
	return code;
}

/* The number last, so that who sees it sees the rest. */
static int write_status(struct snpu_engine *e, uint64_t va, int fault)
{
	struct snpu_user_status s = {
		.seqno_done = e->desc.seqno,
		.end_ns = engine_now(e),
		.cycles = e->st.counter[SNPU_COUNTER_CYCLES],
		.fault = (uint32_t)fault,
	};
	int r = engine_write(e, va + sizeof(s.seqno_done), &s.end_ns, sizeof(s) - sizeof(s.seqno_done));

	atomic_thread_fence(memory_order_release);
	return r ? r : engine_write(e, va, &s.seqno_done, sizeof(s.seqno_done));
}

static int finish_status(struct snpu_engine *e, uint64_t va, int code, enum snpu_eng_result result)
{
	struct snpu_fault first = e->fault;
	int r;

	if (!va || code == ENGINE_STOP || (!code && result != SNPU_ENG_DONE))
		return code;
	r = write_status(e, va, code);
	if (!code)
		return r;
	e->fault = first;
	return code;
}

static void stop(struct snpu_engine *e, const struct snpu_engine_job *job, int code, struct snpu_engine_result *out)
{
	code = finish_profile(e, code);
	code = finish_status(e, job->status_va, code, out->result);
	if (code == ENGINE_STOP)
		out->result = SNPU_ENG_ABORTED;
	if (code > 0) {
		record_fault(e, code);
		out->result = SNPU_ENG_FAULT;
		out->fault = e->fault;
	}
	out->desc = e->desc;
	flush_totals(e);
	memcpy(out->counter, e->st.counter, sizeof(out->counter));
	if (out->result == SNPU_ENG_PREEMPTED) {
		out->state = e->st;
		out->state.valid = 1;
	}
}

void snpu_engine_run(struct snpu_engine *e, const struct snpu_engine_job *job, struct snpu_engine_result *out)
{
	int code;

	memset(out, 0, sizeof(*out));
	memset(&e->fault, 0, sizeof(e->fault));
	memset(&e->pkt, 0, sizeof(e->pkt));
	e->fault.operand = ENGINE_NO_OPERAND;
	/* From here on snpu_engine_invalidating() can be true; anything asked for earlier is done before the first access. */
	atomic_store(&e->running, true);
	code = set_up(e, job);
	atomic_store_explicit(&e->progress, e->st.counter[SNPU_COUNTER_PACKETS], memory_order_relaxed);
	if (!code)
		code = run_packets(e, &out->result);
	stop(e, job, code, out);
	atomic_store(&e->running, false);
	atomic_store(&e->request, 0);
}

/* --- from any thread ----------------------------------------------------------------------------------------- */
void snpu_engine_preempt(struct snpu_engine *e)
{
	atomic_fetch_or(&e->request, ENGINE_PREEMPT);
}

void snpu_engine_abort(struct snpu_engine *e)
{
	atomic_fetch_or(&e->request, ENGINE_ABORT);
}

void snpu_engine_hang(struct snpu_engine *e, uint32_t queue)
{
	atomic_store(&e->hang, queue + 1ull);
}

void snpu_engine_clear_requests(struct snpu_engine *e)
{
	atomic_store(&e->request, 0);
}

void snpu_engine_invalidate(struct snpu_engine *e, uint32_t asid)
{
	mmu_invalidate(&e->mmu, asid);
}

bool snpu_engine_invalidating(const struct snpu_engine *e)
{
	/* Read in this order: a job that starts after the first load catches up before its first access. */
	return atomic_load(&e->running) && mmu_behind(&e->mmu);
}

uint64_t snpu_engine_progress(const struct snpu_engine *e)
{
	return atomic_load_explicit(&e->progress, memory_order_relaxed);
}

void snpu_engine_totals(const struct snpu_engine *e, uint64_t counter[SNPU_COUNTER_COUNT])
{
	for (unsigned int c = 0; c < SNPU_COUNTER_COUNT; c++)
		counter[c] = atomic_load_explicit(&e->total[c], memory_order_relaxed);
}

uint64_t snpu_engine_stalls(const struct snpu_engine *e)
{
	return atomic_load_explicit(&e->stalls, memory_order_relaxed);
}

void snpu_engine_clear_totals(struct snpu_engine *e)
{
	atomic_store_explicit(&e->stalls, 0, memory_order_relaxed);
	for (unsigned int c = 0; c < SNPU_COUNTER_COUNT; c++)
		atomic_store_explicit(&e->total[c], 0, memory_order_relaxed);
}
