/* SPDX-License-Identifier: MIT */
/*
 * Virtual addresses to memory of this process, by the table of bindings. A region usually lies in one binding, so each
 * region remembers where it was found; everything else, and every fault, goes through cpu_probe(), which looks at
 * bindings in the order of addresses, as an MMU would at pages. vm->lock is held for reading.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/cpu.h"

_Static_assert(SNPU_BIND_READ == SNPU_ACCESS_READ && SNPU_BIND_WRITE == SNPU_ACCESS_WRITE, "one set of bits for both");

static uint8_t *host_of(const struct snpu_binding *b)
{
	return ((const struct cpu_bo *)b->bo)->mem + b->offset;
}

void cpu_find(struct cpu_exec *x, unsigned int region, uint64_t va)
{
	const struct snpu_binding *b = snpu_vm_find(x->vm, va);

	if (b)
		x->window[region] = (struct cpu_window){ b->va, b->va + b->size, host_of(b), b->flags };
}

int cpu_probe(struct cpu_exec *x, uint64_t va, uint64_t len, unsigned int access)
{
	while (len) {
		const struct snpu_binding *b = snpu_vm_find(x->vm, va);
		uint64_t n;

		if (!b || !(b->flags & access)) {
			x->fault.va = va;
			x->fault.access = access;
			return !b ? SNPU_FAULT_MMU_UNMAPPED : access == SNPU_ACCESS_READ ? SNPU_FAULT_MMU_READ : SNPU_FAULT_MMU_WRITE;
		}
		n = b->va + b->size - va;
		if (n > len)
			n = len;
		va += n;
		len -= n;
	}
	return 0;
}

/* Copies between memory that was probed and `buf`. */
static void move(struct cpu_exec *x, uint64_t va, uint8_t *buf, uint64_t len, bool out)
{
	while (len) {
		const struct snpu_binding *b = snpu_vm_find(x->vm, va);
		uint64_t n = b->va + b->size - va;
		uint8_t *mem = host_of(b) + (va - b->va);

		if (n > len)
			n = len;
		memcpy(out ? mem : buf, out ? buf : mem, n);
		va += n;
		buf += n;
		len -= n;
	}
}

int cpu_read(struct cpu_exec *x, uint64_t va, void *buf, uint64_t len)
{
	int fault = cpu_probe(x, va, len, SNPU_ACCESS_READ);

	if (!fault)
		move(x, va, buf, len, false);
	return fault;
}

int cpu_write(struct cpu_exec *x, uint64_t va, const void *buf, uint64_t len)
{
	int fault = cpu_probe(x, va, len, SNPU_ACCESS_WRITE);

	if (!fault)
		move(x, va, (uint8_t *)buf, len, true);		/* only read when out */
	return fault;
}

int cpu_no_memory(struct cpu_exec *x, unsigned int ref)
{
	x->fault.va = x->va[ref];
	x->fault.access = SNPU_ACCESS_READ;
	return cpu_fault(x, SNPU_FAULT_BUS, x->p->ref[ref].arg);
}

static int bad_events(struct cpu_exec *x, uint64_t off)
{
	x->fault.va = x->va[0] + off;
	x->fault.access = SNPU_ACCESS_READ;
	return SNPU_FAULT_BAD_EVENTS;
}

static int room_for_events(struct cpu_exec *x, uint32_t count)
{
	size_t room = (size_t)count + 1;	/* never an empty array, whose address may be NULL */
	struct snpu_event *list;

	if (room <= x->event_room)
		return 0;
	list = reallocarray(x->events, room, sizeof(*list));
	if (!list)
		return cpu_no_memory(x, 0);
	x->events = list;
	x->event_room = room;
	return 0;
}

/* Judged in a private copy, because others may write to the list's memory in the meantime. */
int cpu_read_events(struct cpu_exec *x, uint32_t n, uint32_t *count)
{
	const struct cpu_ref *ref = &x->p->ref[0];
	uint64_t entries = x->va[0] + sizeof(struct snpu_events), next = 0;
	const uint8_t *in_place = cpu_at(x, ref->region, x->va[0], ref->size, SNPU_ACCESS_READ);
	struct snpu_events head;
	int fault = 0;

	x->fault.operand = ref->arg;
	if (in_place)
		memcpy(&head, in_place, sizeof(head));
	else
		fault = cpu_read(x, x->va[0], &head, sizeof(head));
	if (fault)
		return fault;
	if (head.count > n || head.pad)
		return bad_events(x, 0);
	fault = room_for_events(x, head.count);
	if (fault)
		return fault;
	if (in_place)
		memcpy(x->events, in_place + sizeof(head), head.count * sizeof(*x->events));
	else
		fault = cpu_read(x, entries, x->events, head.count * sizeof(*x->events));
	if (fault)
		return fault;
	for (uint32_t e = 0; e < head.count; e++) {
		if (x->events[e].channel >= n || x->events[e].channel < next)
			return bad_events(x, sizeof(head) + e * sizeof(*x->events));
		next = x->events[e].channel + 1ull;
	}
	*count = head.count;
	x->fault.operand = ~0u;
	return 0;
}
