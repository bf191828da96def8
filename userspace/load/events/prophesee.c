/* SPDX-License-Identifier: MIT */
/*
 * Prophesee's RAW files in EVT 2.0, 2.1 and 3.0, and DAT files. All begin with lines of text ("% key value"); then come
 * little-endian words of 32, 64 or 16 bits, or records of 8 bytes. Written from the manufacturer's description of the formats.
 */
#include "load/events/events.h"

#include <string.h>

/* *used grows by the header; 1 when it is complete. */
static int header(struct snpu_event_reader *r, const uint8_t *mem, size_t size, size_t *used)
{
	int64_t n = snpu_events_header(mem, size, '%', "% end");
	const uint8_t *p;
	size_t len;

	if (r->header_done)
		return 1;
	if (n < 0)
		return snpu_events_damaged(r, "a header without end");
	if (size && *mem != '%' && r->opts.format) {
		r->header_done = true;		/* words alone, as a camera sends them; the caller said which */
		return 1;
	}
	/* A file of nothing but a complete header has no word behind it that would end it. */
	if (!n && size && mem[size - 1] == '\n' && r->ev.format != SNPU_EVENTS_DAT && snpu_events_has(mem, size, "% end"))
		n = (int64_t)size;
	if (!n)
		return 0;
	len = (size_t)n;
	snpu_event_size(r, snpu_events_number(mem, len, "width=", snpu_events_number(mem, len, "% Width", 0)),
			snpu_events_number(mem, len, "height=", snpu_events_number(mem, len, "% Height", 0)));
	p = memmem(mem, len, "% geometry ", 11);
	if (p && !r->ev.sized)
		snpu_event_size(r, snpu_events_number(p, len - (size_t)(p - mem), "% geometry", 0), snpu_events_number(p, len - (size_t)(p - mem), "x", 0));
	r->halves = snpu_events_has(mem, len, "endianness=legacy");
	r->header_done = true;
	*used += len;
	return 1;
}

/* Time has two parts; events before the first upper part have none. */
static int add(struct snpu_event_reader *r, int64_t t, uint64_t x, uint64_t y, unsigned p)
{
	if (r->timed)
		return snpu_event_add(r, t, x, y, p, 1);
	r->ev.untimed++;
	return 0;
}

/* --- EVT 2.0 and 2.1 ---------------------------------------------------------------------------------------------- */

enum { EVT2_OFF = 0x0, EVT2_ON = 0x1, EVT2_TIME_HIGH = 0x8 };

int snpu_evt2_push(struct snpu_event_reader *r, const uint8_t *mem, size_t size, size_t *used)
{
	int err = header(r, mem, size, used);

	if (err <= 0)
		return err;
	for (err = 0; size - *used >= 4 && !err; *used += 4) {
		uint32_t w = (uint32_t)events_le(mem + *used, 4);

		if (w >> 28 == EVT2_TIME_HIGH)
			r->low = snpu_event_clock(r, (uint64_t)(w & 0xfffffff) << 6, 34);
		else if (w >> 28 == EVT2_OFF || w >> 28 == EVT2_ON)
			err = add(r, r->low + (w >> 22 & 63), w >> 11 & 2047, w & 2047, w >> 28);
		else
			r->ev.other++;
	}
	return err;
}

/* 32 neighbours of a row in a word, one bit each. */
static int add_vector(struct snpu_event_reader *r, int64_t t, uint64_t x, uint64_t y, unsigned p, uint32_t valid)
{
	int err = 0;

	for (; valid && !err; valid &= valid - 1)
		err = add(r, t, x + (unsigned)__builtin_ctz(valid), y, p);
	return err;
}

int snpu_evt21_push(struct snpu_event_reader *r, const uint8_t *mem, size_t size, size_t *used)
{
	int err = header(r, mem, size, used);

	if (err <= 0)
		return err;
	for (err = 0; size - *used >= 8 && !err; *used += 8) {
		uint64_t w = events_le(mem + *used, 8);
		unsigned type;

		w = r->halves ? w << 32 | w >> 32 : w;
		type = (unsigned)(w >> 60);
		if (type == EVT2_TIME_HIGH)
			r->low = snpu_event_clock(r, (w >> 32 & 0xfffffff) << 6, 34);
		else if (type == EVT2_OFF || type == EVT2_ON)
			err = add_vector(r, r->low + (int64_t)(w >> 54 & 63), w >> 43 & 2047, w >> 32 & 2047, type, (uint32_t)w);
		else
			r->ev.other++;
	}
	return err;
}

/* --- EVT 3.0 ------------------------------------------------------------------------------------------------------ */

enum { EVT3_ADDR_Y = 0x0, EVT3_ADDR_X = 0x2, EVT3_BASE_X = 0x3, EVT3_VECT_12 = 0x4, EVT3_VECT_8 = 0x5, EVT3_TIME_LOW = 0x6, EVT3_TIME_HIGH = 0x8 };

static int evt3_word(struct snpu_event_reader *r, unsigned w)
{
	unsigned bits;
	int err;

	switch (w >> 12) {
	case EVT3_ADDR_Y:
		r->word_y = w & 2047;
		return 0;
	case EVT3_ADDR_X:
		return add(r, r->low, w & 2047, r->word_y, w >> 11 & 1);
	case EVT3_BASE_X:
		r->word_x = w & 2047;
		r->word_p = w >> 11 & 1;
		return 0;
	case EVT3_VECT_12:
	case EVT3_VECT_8:
		bits = w >> 12 == EVT3_VECT_12 ? 12 : 8;
		err = add_vector(r, r->low, r->word_x, r->word_y, r->word_p, w & ((1u << bits) - 1));
		r->word_x += bits;
		return err;
	case EVT3_TIME_LOW:
		r->low = (r->overflow + (int64_t)r->clock) | (w & 4095);
		return 0;
	case EVT3_TIME_HIGH:
		/* Until the lower part comes the time is the beginning of the new interval. */
		r->low = snpu_event_clock(r, (uint64_t)(w & 4095) << 12, 24);
		return 0;
	default:
		r->ev.other++;
		return 0;
	}
}

int snpu_evt3_push(struct snpu_event_reader *r, const uint8_t *mem, size_t size, size_t *used)
{
	int err = header(r, mem, size, used);

	if (err <= 0)
		return err;
	for (err = 0; size - *used >= 2 && !err; *used += 2)
		err = evt3_word(r, (unsigned)events_le(mem + *used, 2));
	return err;
}

/* --- DAT ---------------------------------------------------------------------------------------------------------- */

#define DAT_RECORD	8
enum { DAT_EVENT2D = 0x00, DAT_CD = 0x0c };

int snpu_dat_push(struct snpu_event_reader *r, const uint8_t *mem, size_t size, size_t *used)
{
	bool first = !r->header_done;
	int err = header(r, mem, size, used);

	if (err <= 0)
		return err;
	if (first && size - *used < 2) {
		r->header_done = false;		/* type and size of the records belong to it */
		*used = 0;
		return 0;
	}
	if (first && ((mem[*used] != DAT_EVENT2D && mem[*used] != DAT_CD) || mem[*used + 1] != DAT_RECORD))
		return snpu_fail(-ENOTSUP, "the DAT file holds records of type %#x and %u bytes, pixel events (0x0c, 0x00) of 8 bytes are read; export those", mem[*used],
				 mem[*used + 1]);
	*used += first ? 2 : 0;
	for (err = 0; size - *used >= DAT_RECORD && !err; *used += DAT_RECORD) {
		uint32_t w = (uint32_t)events_le(mem + *used + 4, 4);

		err = snpu_event_add(r, snpu_event_clock(r, events_le(mem + *used, 4), 32), w & 0x3fff, w >> 14 & 0x3fff, w >> 28, 1);
	}
	return err;
}
