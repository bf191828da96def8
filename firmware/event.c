/* SPDX-License-Identifier: MIT */
/*
 * The event ring, firmware to host. Nothing that owes the host an event begins before a slot is set aside for it: a job
 * when it starts, a command when it is taken. So an event always has room, and a host that does not read stops the work
 * instead of losing its results.
 *
 * When the ring has no slot left, the header's event_waiting is set before the host's index is read once more. The host
 * writes its index before it reads event_waiting, and rings CMD_DOORBELL when that is set: one of the two always sees
 * the other. The heartbeat looks again as well, so that a host which forgets is slow, not stuck.
 */
#include "fw.h"

static struct {
	uint32_t head;			/* the host's index, as last read and found in range */
	uint32_t tail;
	uint32_t reserved;		/* slots set aside and not yet written */
	bool waiting;			/* what event_waiting in the header says */
	bool rings;			/* events were written since the host was last interrupted */
	bool complained;		/* about the host's index; once for each time it goes wrong */
} events;

static struct snpu_fw_ring *event_ring(void)
{
	return ctl_at(SNPU_CTL_EVENT_RING);
}

void event_init(void)
{
	events = (__typeof__(events)){ 0 };
	memset(event_ring(), 0, sizeof(struct snpu_fw_ring));
	WRITE_ONCE(FW_HEADER->event_waiting, 0);
}

/* A host's index that goes back or past what was written is not believed; the last good one stays. */
static void event_read_head(void)
{
	uint32_t head = READ_ONCE(event_ring()->head);

	if (head - events.head <= events.tail - events.head) {
		events.head = head;
		events.complained = false;
	} else if (!events.complained) {
		events.complained = true;
		log_put(LOG_ERROR, "event ring: the host's head %lu is not between %lu and %lu, ignored",
			head, events.head, events.tail);
	}
}

static bool event_free(void)
{
	return events.tail - events.head + events.reserved < SNPU_EVENT_SLOTS;
}

static void event_wait(bool on)
{
	if (events.waiting == on)
		return;
	events.waiting = on;
	WRITE_ONCE(FW_HEADER->event_waiting, on);
	core_fence();
}

bool event_room(void)
{
	if (!event_free()) {
		event_read_head();
		if (!event_free()) {
			event_wait(true);
			event_read_head();
		}
	}
	if (!event_free())
		return false;
	event_wait(false);
	return true;
}

bool event_reserve(void)
{
	if (!event_room())
		return false;
	events.reserved++;
	return true;
}

void event_release(void)
{
	if (!events.reserved)
		panic("event slot released that was not reserved");
	events.reserved--;
}

void event_put(void *event, size_t size)
{
	struct snpu_fw_event_head *head = event;
	uint8_t *slot = ctl_at(SNPU_CTL_EVENT_RING + SNPU_RING_ENTRIES + events.tail % SNPU_EVENT_SLOTS * SNPU_FW_MSG_SIZE);

	event_release();
	head->pad = 0;
	head->time_us = time_us();
	memcpy(slot, event, size);
	memset(slot + size, 0, SNPU_FW_MSG_SIZE - size);
	core_fence();
	WRITE_ONCE(event_ring()->tail, ++events.tail);
	events.rings = true;
}

void event_reply(uint32_t id, uint32_t status, uint64_t value)
{
	struct snpu_fw_event_REPLY reply = {
		.head.type = SNPU_FW_EVENT_REPLY,
		.value = value,
		.id = id,
		.status = status,
	};

	event_put(&reply, sizeof(reply));
}

void event_flush(void)
{
	if (!events.rings)
		return;
	events.rings = false;
	core_fence();
	core_write(SNPU_CORE_REG_HOST_IRQ, SNPU_IRQ_STATUS_EVENT_MASK);
}
