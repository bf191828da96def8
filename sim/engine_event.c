/* SPDX-License-Identifier: MIT */
/*
 * Event lists: making one from a dense vector, the way back, and the check that every reader of a list shares. A
 * list is copied once and judged in the copy, because others may write to its memory while the packet runs. Engine's thread.
 */
#include <stdlib.h>
#include <string.h>

#include "sim/engine.h"

#define FIRST_ENTRY	sizeof(struct snpu_events)

int engine_exec_EVPACK(struct snpu_engine *e, const struct snpu_pkt_EVPACK *p)
{
	enum { X, EV };
	struct snpu_event out[ENGINE_LANES];
	struct snpu_events head = { 0 };

	for (uint32_t c = 0, n; c < p->n; c += n) {
		unsigned int found = 0;
		int r;

		n = engine_min(p->n - c, ENGINE_LANES);
		r = engine_arg_read(e, X, 4ull * c, e->lane[0], 4ull * n);
		if (r)
			return r;
		for (uint32_t i = 0; i < n; i++) {
			/* Written always, kept only if it counts: no branch that depends on the data. */
			out[found] = (struct snpu_event){ c + i, e->lane[0][i] };
			found += e->lane[0][i] != 0.0f;
		}
		r = engine_arg_write(e, EV, FIRST_ENTRY + sizeof(out[0]) * head.count, out, sizeof(out[0]) * found);
		if (r)
			return r;
		head.count += found;
	}
	e->work.scanned += p->n;
	e->work.sorted += head.count;
	return engine_arg_write(e, EV, 0, &head, sizeof(head));
}

static int bad_events(struct snpu_engine *e, uint64_t off)
{
	e->fault.va = e->args.arg[0].va + off;
	e->fault.access = SNPU_ACCESS_READ;
	return engine_fault(e, SNPU_FAULT_BAD_EVENTS, 0);
}

static int room_for(struct snpu_engine *e, uint32_t count)
{
	if (count > e->event_room) {
		struct snpu_event *list = realloc(e->events, count * sizeof(*list));

		if (!list) {
			e->fault.va = e->args.arg[0].va;
			e->fault.access = SNPU_ACCESS_READ;
			return engine_fault(e, SNPU_FAULT_BUS, 0);
		}
		e->events = list;
		e->event_room = count;
	}
	return 0;
}

int engine_read_events(struct snpu_engine *e, uint32_t n, uint32_t *count)
{
	struct snpu_events head;
	uint64_t next = 0;			/* lowest channel that may come */
	int r = engine_arg_read(e, 0, 0, &head, sizeof(head));

	if (r)
		return r;
	if (head.count > n || head.pad)
		return bad_events(e, 0);
	r = room_for(e, head.count);
	if (!r && head.count)
		r = engine_arg_read(e, 0, FIRST_ENTRY, e->events, head.count * sizeof(e->events[0]));
	if (r)
		return r;
	for (uint32_t i = 0; i < head.count; i++) {
		if (e->events[i].channel >= n || e->events[i].channel < next)
			return bad_events(e, FIRST_ENTRY + i * sizeof(e->events[0]));
		next = e->events[i].channel + 1ull;
	}
	*count = head.count;
	return 0;
}

int engine_exec_EVUNPACK(struct snpu_engine *e, const struct snpu_pkt_EVUNPACK *p)
{
	enum { EV, X };
	uint32_t count, k = 0;
	int r = engine_read_events(e, p->n, &count);

	if (r)
		return r;
	for (uint32_t c = 0, n; c < p->n; c += n) {
		n = engine_min(p->n - c, ENGINE_LANES);
		memset(e->lane[0], 0, 4 * n);
		for (; k < count && e->events[k].channel < c + n; k++)
			e->lane[0][e->events[k].channel - c] = e->events[k].value;
		r = engine_arg_write(e, X, 4ull * c, e->lane[0], 4ull * n);
		if (r)
			return r;
	}
	e->work.events += count;
	e->work.scanned += p->n;
	return 0;
}
