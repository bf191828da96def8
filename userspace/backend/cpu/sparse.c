/* SPDX-License-Identifier: MIT */
/*
 * Packets of networks of many neurons. SPARSE in two passes: the first follows the rows of the listed sources, judges them and notes their
 * segments; the second adds, shared by threads block of targets by block, so that each element keeps its order. Both read
 * targets where they lie, which others may write to: what the second reads is limited again (kernels/sparse.c). What does not lie in one
 * binding is brought here in copies. LIFEXP is shared by ranges of neurons. Queue's thread, vm->lock held for reading.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/cpu.h"

/* What a synapse and a neuron weigh beside the products that cpu_tile() counts in: a scattered addition waits for memory. */
#define SYNAPSE_WORK	32u
#define NEURON_WORK	2u
#define NEURONS		64u			/* a thread's range is a multiple of this */
#define AHEAD		6u			/* entries whose rows are prefetched */
#define LINE		64u
#define PREFETCH	512u			/* bytes of a row at most */

/* Judges reference i in full and makes x->ptr[i] point to it, or to a copy that *copy then owns. */
static int bring(struct cpu_exec *x, unsigned int i, void **copy)
{
	const struct cpu_ref *r = &x->p->ref[i];
	int fault = 0;

	*copy = NULL;
	if (!r->size || x->ptr[i])
		return 0;
	if (r->access & SNPU_ACCESS_READ)
		fault = cpu_probe(x, x->va[i], r->size, SNPU_ACCESS_READ);
	if (!fault && (r->access & SNPU_ACCESS_WRITE))
		fault = cpu_probe(x, x->va[i], r->size, SNPU_ACCESS_WRITE);
	if (fault)
		return cpu_fault(x, fault, r->arg);
	*copy = malloc(r->size);
	if (!*copy)
		return cpu_no_memory(x, i);
	x->ptr[i] = *copy;
	return cpu_read(x, x->va[i], *copy, r->size);
}

/* The end of a reference that bring() brought. */
static int give_back(struct cpu_exec *x, unsigned int i, void *copy, int fault)
{
	if (copy && !fault)
		fault = cpu_write(x, x->va[i], copy, x->p->ref[i].size);
	free(copy);
	return fault;
}

static int bad_index(struct cpu_exec *x, unsigned int ref, uint64_t off)
{
	x->fault.va = x->va[ref] + off;
	x->fault.access = SNPU_ACCESS_READ;
	return cpu_fault(x, SNPU_FAULT_BAD_INDEX, x->p->ref[ref].arg);
}

/* --- SPARSE ------------------------------------------------------------------------------------------------------- */

enum { SPARSE_EV, SPARSE_ROWS, SPARSE_DATA, SPARSE_POSITION, SPARSE_RING };

struct bounds {
	uint32_t begin, end;			/* words of the rows */
};

struct sparse {
	const struct snpu_pkt_SPARSE *p;
	bool weights;
	uint32_t count;				/* entries */
	struct bounds *row;			/* [count] */
	struct snpu_sparse_segment *segment;	/* [segments] */
	uint64_t segments, words, synapses;
};

/* A copy of part of an operand that does not lie in one binding. */
static int copy_part(struct cpu_exec *x, unsigned int ref, uint64_t off, void *to, uint64_t len)
{
	int fault = cpu_read(x, x->va[ref] + off, to, len);

	return fault ? cpu_fault(x, fault, x->p->ref[ref].arg) : 0;
}

static int read_bounds(struct cpu_exec *x, struct sparse *s, uint32_t entry)
{
	uint32_t source = x->events[entry].channel;
	const uint32_t *rows = x->ptr[SPARSE_ROWS];
	struct bounds b;
	int fault = 0;

	if (rows)
		memcpy(&b, rows + source, sizeof(b));
	else
		fault = copy_part(x, SPARSE_ROWS, 4ull * source, &b, sizeof(b));
	if (fault)
		return fault;
	if (b.begin > b.end || b.end > s->p->words)
		return bad_index(x, SPARSE_ROWS, 4ull * source);
	s->row[entry] = b;
	s->words += b.end - b.begin;
	return 0;
}

static bool targets_fit(const uint16_t *target, uint32_t count, uint32_t limit, uint32_t *first)
{
	if (limit >= SNPU_SEGMENT_TARGETS)
		return true;
	for (*first = 0; *first < count; ++*first)
		if (target[*first] >= limit)
			return false;
	return true;
}

/* Notes the segment of `header` in words [at, end) of the rows; `words` is where it lies. */
static int note_segment(struct cpu_exec *x, struct sparse *s, const uint32_t *words, uint32_t header, uint64_t at, uint64_t end, float value)
{
	uint32_t count = SNPU_SEGMENT_COUNT(header), first = SNPU_SEGMENT_BLOCK(header) * SNPU_SEGMENT_TARGETS, bad;
	const uint16_t *target = (const uint16_t *)(words + 1);
	float weight;

	if (SNPU_SEGMENT_DELAY(header) >= s->p->slots || first >= s->p->n_out || SNPU_SEGMENT_WORDS(count, s->weights) > end - at)
		return bad_index(x, SPARSE_DATA, 4 * at);
	if (!targets_fit(target, count, s->p->n_out - first, &bad))
		return bad_index(x, SPARSE_DATA, 4 * at + 4 + 2 * bad);
	memcpy(&weight, &s->p->weight, sizeof(weight));
	s->segment[s->segments++] = (struct snpu_sparse_segment){
		.target = target, .weight = s->weights ? (const float *)(words + 1 + (count + 1) / 2) : NULL, .add = s->weights ? value : weight * value,
		.limit = s->p->n_out - first, .delay = (uint16_t)SNPU_SEGMENT_DELAY(header), .count = (uint16_t)count,
		.block = (uint16_t)SNPU_SEGMENT_BLOCK(header) };
	s->synapses += count;
	return 0;
}

/* `words` is where the row lies. */
static int note_row(struct cpu_exec *x, struct sparse *s, const uint32_t *words, struct bounds row, float value)
{
	int fault = 0;

	/* A segment has two words at least. */
	s->segment = cpu_room(x, CPU_SPIKES, (s->segments + (row.end - row.begin) / 2 + 1) * sizeof(*s->segment));
	if (!s->segment)
		return cpu_no_memory(x, SPARSE_DATA);
	for (uint64_t at = row.begin, n; at < row.end && !fault; at += n, words += n) {
		uint32_t header = *(volatile const uint32_t *)words;

		fault = note_segment(x, s, words, header, at, row.end, value);
		n = SNPU_SEGMENT_WORDS(SNPU_SEGMENT_COUNT(header), s->weights);
	}
	return fault;
}

static void prefetch_row(const struct cpu_exec *x, const struct sparse *s, uint32_t entry)
{
	const char *data = x->ptr[SPARSE_DATA];

	if (!data || entry >= s->count)
		return;
	for (uint64_t at = 4ull * s->row[entry].begin, n = 0; at < 4ull * s->row[entry].end && n < PREFETCH; at += LINE, n += LINE)
		__builtin_prefetch(data + at);
}

static int read_all_bounds(struct cpu_exec *x, struct sparse *s)
{
	const uint32_t *rows = x->ptr[SPARSE_ROWS];
	int fault = 0;

	s->row = cpu_room(x, CPU_FIRST, s->count * sizeof(*s->row));
	if (!s->row)
		return cpu_no_memory(x, SPARSE_ROWS);
	for (uint32_t k = 0; k < s->count && !fault; k++) {
		if (rows && k + AHEAD < s->count)
			__builtin_prefetch(rows + x->events[k + AHEAD].channel);
		fault = read_bounds(x, s, k);
	}
	return fault;
}

/* The rows: in place, or in copies that lie one after the other. */
static int note_rows(struct cpu_exec *x, struct sparse *s)
{
	const uint32_t *data = x->ptr[SPARSE_DATA];
	uint32_t *copy = NULL;
	int fault = read_all_bounds(x, s);

	if (!fault && !data) {
		copy = cpu_room(x, CPU_SCRATCH, s->words * sizeof(*copy));
		if (!copy)
			return cpu_no_memory(x, SPARSE_DATA);
	}
	for (uint32_t k = 0; k < AHEAD && !fault; k++)
		prefetch_row(x, s, k);
	for (uint32_t k = 0; k < s->count && !fault; k++) {
		struct bounds row = s->row[k];

		prefetch_row(x, s, k + AHEAD);
		if (copy)
			fault = copy_part(x, SPARSE_DATA, 4ull * row.begin, copy, 4ull * (row.end - row.begin));
		if (!fault)
			fault = note_row(x, s, copy ? copy : data + row.begin, row, x->events[k].value);
		if (copy)
			copy += row.end - row.begin;
	}
	return fault;
}

/* The slot of the next step; it may lie anywhere. */
static int read_slot(struct cpu_exec *x, unsigned int ref, uint32_t slots, uint32_t *position)
{
	int fault = 0;

	*position = 0;
	if (slots > 1)
		fault = copy_part(x, ref, 0, position, sizeof(*position));
	return !fault && *position >= slots ? bad_index(x, ref, 0) : fault;
}

static void add_part(void *arg, size_t first, size_t count)
{
	snpu_sparse_f32(arg, (uint32_t)first, (uint32_t)count);
}

int cpu_sparse(struct cpu_exec *x)
{
	const struct snpu_pkt_SPARSE *p = &x->p->pkt.SPARSE;
	struct sparse s = { .p = p, .weights = p->hdr.flags & SNPU_SPARSE_WEIGHTS };
	struct snpu_sparse_args a = { .n_out = p->n_out, .slots = p->slots };
	uint32_t blocks = (p->n_out - 1) / SNPU_SEGMENT_TARGETS + 1;
	void *copy = NULL;
	int fault = cpu_read_events(x, p->n_in, &s.count);

	if (!fault)
		fault = note_rows(x, &s);
	if (!fault)
		fault = read_slot(x, SPARSE_POSITION, p->slots, &a.position);
	if (!fault)
		fault = bring(x, SPARSE_RING, &copy);
	if (fault)
		return fault;
	a.segment = s.segment;
	a.segments = s.segments;
	a.ring = x->ptr[SPARSE_RING];
	cpu_share(x, add_part, &a, blocks, cpu_tile(x, blocks, s.synapses * SYNAPSE_WORK, 1));
	x->work[SNPU_COUNTER_EVENTS] = s.count;
	x->work[SNPU_COUNTER_SYNOPS] = s.synapses;
	x->work[SNPU_COUNTER_SKIPPED] = (p->words - s.words) / 16;
	return give_back(x, SPARSE_RING, copy, 0);
}

/* --- TAKE, LOG ---------------------------------------------------------------------------------------------------- */

int cpu_take(struct cpu_exec *x)
{
	enum { POSITION, RING, X };
	const struct snpu_pkt_TAKE *p = &x->p->pkt.TAKE;
	uint32_t position;
	int fault = read_slot(x, POSITION, p->slots, &position);

	if (fault)
		return fault;
	x->k->take((float *)x->ptr[RING] + (uint64_t)position * p->n, x->ptr[X], p->n);
	if (p->slots > 1)
		*(uint32_t *)x->ptr[POSITION] = position + 1 < p->slots ? position + 1 : 0;
	return 0;
}

int cpu_log(struct cpu_exec *x)
{
	enum { EV, LOG };
	const struct snpu_pkt_LOG *p = &x->p->pkt.LOG;
	struct snpu_log_entry *entry;
	struct snpu_log head;
	void *copy = NULL;
	uint32_t count;
	int fault = cpu_read_events(x, p->n, &count);

	if (!fault)
		fault = bring(x, LOG, &copy);
	if (fault)
		return fault;
	memcpy(&head, x->ptr[LOG], sizeof(head));
	entry = (struct snpu_log_entry *)((struct snpu_log *)x->ptr[LOG] + 1);
	for (uint32_t k = 0; k < count && (uint64_t)head.count + k < p->room; k++)
		entry[head.count + k] = (struct snpu_log_entry){ head.step, x->events[k].channel };
	head.count += count;
	head.step++;
	memcpy(x->ptr[LOG], &head, sizeof(head));
	return give_back(x, LOG, copy, 0);
}

/* --- LIFEXP ------------------------------------------------------------------------------------------------------- */

struct lifexp {
	const struct snpu_lifexp_args *a;
	uint32_t (*kernel)(const struct snpu_lifexp_args *a, uint32_t from, uint32_t to, struct snpu_event *ev);
	struct snpu_event *ev;			/* [n]: a part's entries begin where its neurons do */
	uint32_t *count;			/* [parts] */
	uint32_t tile;
};

static void lifexp_part(void *arg, size_t from, size_t n)
{
	const struct lifexp *l = arg;

	l->count[from / l->tile] = l->kernel(l->a, (uint32_t)from, (uint32_t)(from + n), l->ev + from);
}

/* Into a list of this process: nothing but the entries may be written where the packet's list lies. */
int cpu_lifexp(struct cpu_exec *x)
{
	const struct snpu_pkt_LIFEXP *p = &x->p->pkt.LIFEXP;
	const struct snpu_lifexp_args a = { .state = x->ptr[0], .param = x->ptr[1], .n = p->n, .flags = p->hdr.flags };
	struct lifexp l = { .a = &a, .kernel = x->k->lifexp, .tile = cpu_tile(x, p->n, (uint64_t)p->n * NEURON_WORK, NEURONS) };
	struct snpu_events *list = x->ptr[2];
	struct snpu_event *entry = (struct snpu_event *)(list + 1);
	uint32_t parts = (p->n - 1) / l.tile + 1, total = 0;

	l.ev = cpu_room(x, CPU_SCRATCH, p->n * sizeof(*l.ev));
	l.count = cpu_room(x, CPU_FIRST, parts * sizeof(*l.count));
	if (!l.ev || !l.count)
		return cpu_no_memory(x, 2);
	cpu_share(x, lifexp_part, &l, p->n, l.tile);
	for (uint32_t k = 0; k < parts; k++) {
		memcpy(entry + total, l.ev + (uint64_t)k * l.tile, l.count[k] * sizeof(*entry));
		total += l.count[k];
	}
	*list = (struct snpu_events){ .count = total };
	x->work[SNPU_COUNTER_SPIKES] = total;
	x->work[SNPU_COUNTER_UPDATES] = p->n;
	return 0;
}
