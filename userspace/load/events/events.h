/* SPDX-License-Identifier: MIT */
/*
 * Between the readers of event formats. A format that comes in pieces is a function that eats whole records from the front of
 * what has arrived; one for files alone is a function of all bytes. A reader belongs to one thread; formats share nothing.
 */
#ifndef SNPU_LOAD_EVENTS_H
#define SNPU_LOAD_EVENTS_H

#include "core/fail.h"
#include "snpu/snpu_events.h"

#define SNPU_EVENTS_HEADER_MAX	(1u << 20)	/* bytes of a text header; more is no header */

struct snpu_event_reader {
	struct snpu_events ev;			/* what is there; one sample while it comes in pieces */
	struct snpu_events_opts opts;
	const struct events_format *format;	/* NULL: not decided yet */
	uint64_t capacity;			/* of ev.event */
	uint64_t first_capacity;		/* of ev.first, and samples begun */
	uint8_t *pending;			/* bytes of a record or header that is not complete */
	size_t n_pending, pending_capacity;
	uint64_t eaten;				/* bytes of the stream before `pending` */
	bool header_done, timed;
	int64_t last;				/* time of the sample's last event, us */
	bool any;				/* the sample has one */
	int64_t overflow;			/* of the format's clock, us */
	uint64_t clock;				/* its last reading */
	uint32_t word_x, word_y, word_p;	/* EVT 3: address that stays */
	int64_t low;				/* EVT 3: low bits of the time */
	bool halves;				/* EVT 2.1: the upper half of a word comes first */
	int compression;			/* AEDAT 4 */
	int64_t end;				/* AEDAT 4: where the packets end, -1: nobody says */
};

/* Eats records from `mem`; *used: how many bytes. What is left comes again, with more behind it. */
typedef int events_push(struct snpu_event_reader *r, const uint8_t *mem, size_t size, size_t *used);

struct events_format {
	const char *name;
	unsigned polarities;
	const char *magic;			/* NULL: none, or not at the beginning */
	events_push *push;			/* in pieces, or NULL: */
	int (*parse)(struct snpu_event_reader *r, const void *mem, size_t size);	/* all at once */
};

extern const struct events_format snpu_events_formats[SNPU_EVENTS_FORMAT_COUNT];

/* An event; left out and counted when it is outside of the sensor. */
int snpu_event_add(struct snpu_event_reader *r, int64_t t, uint64_t x, uint64_t y, unsigned p, float value) SNPU_MUST_CHECK;
/* What follows belongs to the next sample; to be called for the first one, too. */
int snpu_event_sample(struct snpu_event_reader *r) SNPU_MUST_CHECK;
/* Sensor size that a file names; the caller's options go first. */
void snpu_event_size(struct snpu_event_reader *r, uint64_t width, uint64_t height);
/* Time of a clock of `bits` bits that starts again at 0: a step back by more than half its range is that. */
int64_t snpu_event_clock(struct snpu_event_reader *r, uint64_t reading, unsigned bits);
/* "record 12 of the AEDAT file is damaged (...)" */
int snpu_events_damaged(const struct snpu_event_reader *r, const char *what);

/* Lines that begin with `mark`: their length, 0 when the last may not be complete yet, -EBADMSG when there is no end. */
int64_t snpu_events_header(const uint8_t *mem, size_t size, char mark, const char *end);
/* The number behind `key` in a header of `size` bytes; `none` when it is not there. */
uint64_t snpu_events_number(const uint8_t *mem, size_t size, const char *key, uint64_t none);
bool snpu_events_has(const uint8_t *mem, size_t size, const char *text);

events_push snpu_nmnist_push, snpu_aedat3_push, snpu_aedat4_push, snpu_evt2_push, snpu_evt21_push, snpu_evt3_push, snpu_dat_push;
int snpu_shd_parse(struct snpu_event_reader *r, const void *mem, size_t size) SNPU_MUST_CHECK;
int snpu_columns_parse(struct snpu_event_reader *r, const void *mem, size_t size) SNPU_MUST_CHECK;
int snpu_nirdata_events(struct snpu_event_reader *r, const void *mem, size_t size) SNPU_MUST_CHECK;
/* Is it an HDF5 file of this kind? 1, 0, and 0 for what cannot be read. */
bool snpu_shd_is(const void *mem, size_t size);
bool snpu_nirdata_is(const void *mem, size_t size);

static inline uint64_t events_le(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	while (bytes--)
		v = v << 8 | p[bytes];
	return v;
}

#endif
