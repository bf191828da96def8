/* SPDX-License-Identifier: MIT */
/*
 * Event lists: making one from a dense vector, the way back, and the check that every reader of a list shares. A
 * list is copied once and judged in the copy, because others may write to its memory while the packet runs. Engine's thread.
 */
#include <stdlib.h>
#include <string.h>

#include "sim/engine.h"

#define FIRST_ENTRY	sizeof(struct snpu_events)

static int room_for(struct snpu_engine *e, uint32_t count)
{
	if (count > e->event_room) {
		size_t want = count > 2 * e->event_room ? count : 2 * e->event_room;	/* EVPACK asks again and again */
		struct snpu_event *list = realloc(e->events, want * sizeof(*list));

		if (!list) {
			e->fault.va = e->args.arg[0].va;
			e->fault.access = SNPU_ACCESS_READ;
			return engine_fault(e, SNPU_FAULT_BUS, 0);
		}
		e->events = list;
		e->event_room = want;
	}
	return 0;
}

int engine_exec_EVPACK(struct snpu_engine *e, const struct snpu_pkt_EVPACK *p)
{
	enum { X, EV };
	struct snpu_events head = { 0 };
	uint64_t bytes;
	int r = engine_arg_probe(e, X, 0, 4ull * p->n, SNPU_ACCESS_READ);

	for (uint32_t c = 0, n; !r && c < p->n; c += n) {
		n = engine_min(p->n - c, ENGINE_LANES);
		r = room_for(e, head.count + n);
		if (!r)
			r = engine_arg_read(e, X, 4ull * c, e->lane[0], 4ull * n);
		for (uint32_t i = 0; !r && i < n; i++) {
			/* Written always, kept only if it counts: no branch that depends on the data. */
			e->events[head.count] = (struct snpu_event){ c + i, e->lane[0][i] };
			head.count += e->lane[0][i] != 0.0f;
		}
	}
	bytes = head.count * sizeof(e->events[0]);
	if (!r)
		r = engine_arg_probe(e, EV, 0, FIRST_ENTRY + bytes, SNPU_ACCESS_WRITE);
	if (!r)
		r = engine_arg_write(e, EV, FIRST_ENTRY, e->events, bytes);
	e->work.scanned += p->n;
	e->work.sorted += head.count;
	return r ? r : engine_arg_write(e, EV, 0, &head, sizeof(head));
}

int engine_read_events(struct snpu_engine *e, uint32_t n, uint32_t *count)
{
	struct snpu_events head;
	uint64_t next = 0;			/* lowest channel that may come */
	int r = engine_arg_read(e, 0, 0, &head, sizeof(head));

	if (r)
		return r;
	if (head.count > n || head.pad)
		return engine_bad_data(e, SNPU_FAULT_BAD_EVENTS, 0, 0);
	r = room_for(e, head.count);
	if (!r && head.count)
		r = engine_arg_read(e, 0, FIRST_ENTRY, e->events, head.count * sizeof(e->events[0]));
	if (r)
		return r;
	for (uint32_t i = 0; i < head.count; i++) {
		if (e->events[i].channel >= n || e->events[i].channel < next)
			return engine_bad_data(e, SNPU_FAULT_BAD_EVENTS, 0, FIRST_ENTRY + i * sizeof(e->events[0]));
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

	if (!r)
		r = engine_arg_probe(e, X, 0, 4ull * p->n, SNPU_ACCESS_WRITE);
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
