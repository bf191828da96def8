/* SPDX-License-Identifier: MIT */
/*
 * COPY and FILL, in pieces of a few kilobytes so that an invalidation or an abort never waits long. Engine's thread.
 */
#include "sim/engine.h"

int engine_exec_COPY(struct snpu_engine *e, const struct snpu_pkt_COPY *p)
{
	enum { SRC, DST };
	uint64_t bytes = 4ull * p->words;

	for (uint64_t off = 0, n; off < bytes; off += n) {
		int r;

		n = engine_min(bytes - off, sizeof(e->lane));
		r = engine_arg_read(e, SRC, off, e->lane, n);
		if (!r)
			r = engine_arg_write(e, DST, off, e->lane, n);
		if (r)
			return r;
	}
	return 0;
}

int engine_exec_FILL(struct snpu_engine *e, const struct snpu_pkt_FILL *p)
{
	enum { DST };
	uint32_t buf[ENGINE_LANES];
	uint64_t bytes = 4ull * p->words;

	for (unsigned int i = 0; i < ENGINE_LANES && i < p->words; i++)
		buf[i] = p->value;
	for (uint64_t off = 0, n; off < bytes; off += n) {
		int r;

		n = engine_min(bytes - off, sizeof(buf));
		r = engine_arg_write(e, DST, off, buf, n);
		if (r)
			return r;
	}
	return 0;
}
