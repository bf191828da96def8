/* SPDX-License-Identifier: MIT */
/*
 * AEDAT 4.0 of iniVation (DV): a mark, an IOHeader, then packets: stream (4 bytes), size (4 bytes), and so many bytes, which
 * may be compressed by LZ4 or Zstandard. IOHeader and packets are FlatBuffers with their size in front. Event packets are read,
 * others counted. Where the header names the place of a table of packets, they end there. FlatBuffers are read here by hand: the two
 * tables are small, and every offset in them is checked.
 */
#include "load/events/events.h"

#include <lz4frame.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define MARK		14			/* "#!AER-DAT4.0\r\n" */
#define PACKET		8
#define RECORD		16			/* i64 time, i16 x, i16 y, u8 on, 3 bytes of padding */
#define PACKET_MAX	(64u << 20)		/* bytes, compressed or not; more is damage */

enum { PLAIN, LZ4, LZ4_HIGH, ZSTD, ZSTD_HIGH };

struct flat {
	const uint8_t *mem;			/* behind the size */
	uint64_t size, table, vtable, vtable_size;
};

/* Opens the root table of a FlatBuffer with its size in front. */
static bool flat_open(struct flat *f, const uint8_t *mem, uint64_t size, const char *id)
{
	uint64_t back;

	if (size < 12 || events_le(mem, 4) > size - 4)
		return false;
	f->mem = mem + 4;
	f->size = events_le(mem, 4);
	if (f->size < 8 || memcmp(f->mem + 4, id, 4))
		return false;
	f->table = events_le(f->mem, 4);
	if (!snpu_range_ok(f->table, 4, f->size))
		return false;
	back = (uint64_t)(int64_t)(int32_t)events_le(f->mem + f->table, 4);
	f->vtable = f->table - back;
	if (!snpu_range_ok(f->vtable, 4, f->size))
		return false;
	f->vtable_size = events_le(f->mem + f->vtable, 2);
	return snpu_range_ok(f->vtable, f->vtable_size, f->size);
}

/* The `bytes` of field i of the table; NULL when the table has none. *bad when it is outside. */
static const uint8_t *flat_field(const struct flat *f, unsigned i, uint64_t bytes, bool *bad)
{
	uint64_t at = 4 + 2ull * i, offset = snpu_range_ok(at, 2, f->vtable_size) ? events_le(f->mem + f->vtable + at, 2) : 0;

	if (!offset)
		return NULL;
	if (!snpu_range_ok(f->table + offset, bytes, f->size)) {
		*bad = true;
		return NULL;
	}
	return f->mem + f->table + offset;
}

/* A vector or string of field i: its elements of `each` bytes; NULL when there is none. */
static const uint8_t *flat_vector(const struct flat *f, unsigned i, uint64_t each, uint64_t *count, bool *bad)
{
	const uint8_t *p = flat_field(f, i, 4, bad);
	uint64_t at;

	*count = 0;
	if (!p)
		return NULL;
	at = (uint64_t)(p - f->mem) + events_le(p, 4);
	if (!snpu_range_ok(at, 4, f->size) || !snpu_range_ok(at + 4, events_le(f->mem + at, 4) * each, f->size)) {
		*bad = true;
		return NULL;
	}
	*count = events_le(f->mem + at, 4);
	return f->mem + at + 4;
}

static int read_header(struct snpu_event_reader *r, const uint8_t *mem, uint64_t size)
{
	const uint8_t *compression, *end, *info, *stream;
	struct flat f;
	bool bad = !flat_open(&f, mem, size, "IOHE");
	uint64_t n, left;

	if (bad)
		return snpu_events_damaged(r, "its header");
	compression = flat_field(&f, 0, 4, &bad);
	end = flat_field(&f, 1, 8, &bad);
	info = flat_vector(&f, 2, 1, &n, &bad);
	if (bad)
		return snpu_events_damaged(r, "its header");
	r->compression = compression ? (int)events_le(compression, 4) : PLAIN;
	r->end = end ? (int64_t)events_le(end, 8) : -1;
	if (r->compression < PLAIN || r->compression > ZSTD_HIGH)
		return snpu_fail(-ENOTSUP, "the AEDAT 4 data are compressed by method %d, 0 to 4 are known; record them with LZ4 or ZSTD", r->compression);
	/* The description of streams is XML; the sensor's size stands behind the type of the event stream. */
	stream = info ? memmem(info, n, ">EVTS<", 6) : NULL;
	left = stream ? n - (uint64_t)(stream - info) : 0;
	if (stream)
		snpu_event_size(r, snpu_events_number(stream, left, "sizeX\" type=\"int\">", 0), snpu_events_number(stream, left, "sizeY\" type=\"int\">", 0));
	return 0;
}

static int header(struct snpu_event_reader *r, const uint8_t *mem, size_t size, size_t *used)
{
	uint64_t len;
	int err;

	if (r->header_done)
		return 1;
	if (size < MARK + 4)
		return 0;
	if (memcmp(mem, "#!AER-DAT4.0\r\n", MARK))
		return snpu_fail(-ENOTSUP, "it is an AEDAT file of another version than 3.1 and 4.0; convert it with the recorder's tools");
	len = events_le(mem + MARK, 4);
	if (len > SNPU_EVENTS_HEADER_MAX)
		return snpu_events_damaged(r, "the size of its header");
	if (size - MARK - 4 < len)
		return 0;
	err = read_header(r, mem + MARK, len + 4);
	if (err)
		return err;
	r->header_done = true;
	*used += MARK + 4 + len;
	return 1;
}

/* --- packets ------------------------------------------------------------------------------------------------------ */

static int unlz4(const uint8_t *in, size_t size, uint8_t **out, size_t *have)
{
	size_t room = size * 4 + 4096, at = 0;
	LZ4F_dctx *ctx = NULL;
	uint8_t *buf = malloc(room);
	int err = !buf || LZ4F_isError(LZ4F_createDecompressionContext(&ctx, LZ4F_VERSION)) ? -ENOMEM : 0;

	*have = 0;
	while (!err) {
		size_t n = room - *have, m = size - at, more = LZ4F_decompress(ctx, buf + *have, &n, in + at, &m, NULL);

		*have += n;
		at += m;
if (LZ4F_isError(more) || *have > PACKET_MAX || (!n && !m && more && *have < room))
			err = -EBADMSG;
		else if (!more)
			break;
		else if (*have == room) {
			uint8_t *grown = realloc(buf, room *= 2);

			buf = grown ? grown : buf;
			err = grown ? 0 : -ENOMEM;
		}
	}
	LZ4F_freeDecompressionContext(ctx);
	*out = err ? NULL : buf;
	if (err)
		free(buf);
	return err;
}

static int unzstd(const uint8_t *in, size_t size, uint8_t **out, size_t *have)
{
	size_t room = size * 4 + 4096;
	ZSTD_DStream *ctx = ZSTD_createDStream();
	uint8_t *buf = malloc(room);
	ZSTD_inBuffer from = { in, size, 0 };
	ZSTD_outBuffer to = { buf, room, 0 };
	int err = buf && ctx ? 0 : -ENOMEM;

	while (!err) {
		size_t before = to.pos + from.pos, more = ZSTD_decompressStream(ctx, &to, &from);

		if (ZSTD_isError(more) || to.pos > PACKET_MAX || (more && to.pos + from.pos == before && to.pos < to.size)) {
			err = -EBADMSG;
		} else if (!more) {
			break;
		} else if (to.pos == to.size) {
			uint8_t *grown = realloc(buf, room *= 2);

			buf = grown ? grown : buf;
			to.dst = buf;
			to.size = grown ? room : to.size;
			err = grown ? 0 : -ENOMEM;
		}
	}
	ZSTD_freeDStream(ctx);
	*have = to.pos;
	*out = err ? NULL : buf;
	if (err)
		free(buf);
	return err;
}

/* Events of a packet that is not compressed any more; another packet is counted. */
static int read_events(struct snpu_event_reader *r, const uint8_t *mem, uint64_t size)
{
	bool bad = false;
	struct flat f;
	const uint8_t *e;
	uint64_t n;
	int err = 0;

	if (size < 12 || events_le(mem, 4) > size - 4)
		return snpu_events_damaged(r, "a packet");
	if (memcmp(mem + 8, "EVTS", 4)) {
		r->ev.other++;
		return 0;
	}
	if (!flat_open(&f, mem, size, "EVTS"))
		return snpu_events_damaged(r, "a packet of events");
	e = flat_vector(&f, 0, RECORD, &n, &bad);
	if (bad)
		return snpu_events_damaged(r, "a packet of events");
	for (uint64_t i = 0; i < n && !err; i++, e += RECORD) {
		int16_t x = (int16_t)events_le(e + 8, 2), y = (int16_t)events_le(e + 10, 2);

		if (x < 0 || y < 0)
			r->ev.out_of_range++;
		else
			err = snpu_event_add(r, (int64_t)events_le(e, 8), (uint64_t)x, (uint64_t)y, e[12] != 0, 1);
	}
	return err;
}

static int packet(struct snpu_event_reader *r, const uint8_t *mem, size_t size)
{
	uint8_t *plain = NULL;
	size_t have = 0;
	int err;

	if (r->compression == PLAIN)
		return read_events(r, mem, size);
	err = r->compression <= LZ4_HIGH ? unlz4(mem, size, &plain, &have) : unzstd(mem, size, &plain, &have);
	if (err == -ENOMEM)
		return snpu_fail(-ENOMEM, "no memory for a packet of AEDAT 4");
	if (err)
		return snpu_events_damaged(r, "the compression of a packet");
	err = read_events(r, plain, have);
	free(plain);
	return err;
}

int snpu_aedat4_push(struct snpu_event_reader *r, const uint8_t *mem, size_t size, size_t *used)
{
	int err = header(r, mem, size, used);

	if (err <= 0)
		return err;
	for (err = 0; !err; ) {
		uint64_t len, at = r->eaten + *used;

		if (r->end >= 0 && at >= (uint64_t)r->end) {
			*used = size;		/* the table of packets */
			break;
		}
		if (size - *used < PACKET)
			break;
		len = events_le(mem + *used + 4, 4);
		if (len > PACKET_MAX)
			return snpu_events_damaged(r, "the size of a packet");
		if (size - *used - PACKET < len)
			break;
		err = packet(r, mem + *used + PACKET, len);
		*used += PACKET + len;
	}
	return err;
}
