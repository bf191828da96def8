/* SPDX-License-Identifier: MIT */
/*
 * AEDAT 3.1 of iniVation: lines of '#', then packets with a header of 28 bytes. Polarity events are read; packets of frames,
 * motion sensors and special events are counted and skipped. Written from the manufacturer's description.
 */
#include "load/events/events.h"

#include <string.h>

#define PACKET		28
#define POLARITY	1
#define RECORD		8
#define PACKET_MAX	(256u << 20)		/* bytes; more is damage */

/* The file does not say how large the sensor is, but mostly which it is. */
static void find_size(struct snpu_event_reader *r, const uint8_t *mem, size_t size)
{
	static const struct { const char *name; uint32_t width, height; } sensors[] = {
		{ "DVS128", 128, 128 }, { "DAVIS128", 128, 128 }, { "DAVIS208", 208, 192 }, { "DAVIS240", 240, 180 }, { "DAVIS346", 346, 260 },
		{ "DAVIS640", 640, 480 }, { "DVXPLORER", 640, 480 },
	};

	for (unsigned i = 0; i < sizeof(sensors) / sizeof(sensors[0]) && !r->ev.sized; i++)
		if (snpu_events_has(mem, size, sensors[i].name))
			snpu_event_size(r, sensors[i].width, sensors[i].height);
}

static int header(struct snpu_event_reader *r, const uint8_t *mem, size_t size, size_t *used)
{
	int64_t n = snpu_events_header(mem, size, '#', "#!END-HEADER");

	if (r->header_done)
		return 1;
	if (n < 0)
		return snpu_events_damaged(r, "a header without end");
	if (!n)
		return 0;
	if (!snpu_events_has(mem, (size_t)n, "#!AER-DAT3.1"))
		return snpu_fail(-ENOTSUP, "it is an AEDAT file of another version than 3.1 and 4.0; convert it with the recorder's tools");
	find_size(r, mem, (size_t)n);
	r->header_done = true;
	*used += (size_t)n;
	return 1;
}

static int packet(struct snpu_event_reader *r, const uint8_t *p, uint64_t events)
{
	int64_t overflow = (int64_t)events_le(p + 12, 4) << 31;
	int err = 0;

	for (uint64_t i = 0; i < events && !err; i++) {
		const uint8_t *e = p + PACKET + i * RECORD;
		uint32_t data = (uint32_t)events_le(e, 4), t = (uint32_t)events_le(e + 4, 4);

		if (!(data & 1))
			r->ev.other++;		/* marked as invalid */
		else if (t >> 31)
			r->ev.out_of_range++;
		else
			err = snpu_event_add(r, overflow + t, data >> 17, data >> 2 & 0x7fff, data >> 1 & 1, 1);
	}
	return err;
}

int snpu_aedat3_push(struct snpu_event_reader *r, const uint8_t *mem, size_t size, size_t *used)
{
	int err = header(r, mem, size, used);

	if (err <= 0)
		return err;
	for (err = 0; size - *used >= PACKET && !err;) {
		const uint8_t *p = mem + *used;
		uint64_t type = events_le(p, 2), each = events_le(p + 4, 4), capacity = events_le(p + 16, 4), events = events_le(p + 20, 4);

		if (events > capacity || !each || each * events > PACKET_MAX || (type == POLARITY && (each != RECORD || events_le(p + 8, 4) != 4)))
			return snpu_events_damaged(r, "the header of a packet");
		if (size - *used - PACKET < each * events)
			break;
		if (type == POLARITY)
			err = packet(r, p, events);
		else
			r->ev.other += events;
		*used += PACKET + each * events;
	}
	return err;
}
