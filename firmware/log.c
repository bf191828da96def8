/* SPDX-License-Identifier: MIT */
/*
 * The log: lines of text in a ring in the control area. Old text is overwritten, the host reads at leisure; `written` grows
 * after the text is there. A line is "[seconds.microseconds] L text", L one of E W I D.
 */
#include "fw.h"

#define LOG_LINE	160		/* bytes of a line, with its end; what is longer is cut */

static struct {
	enum log_level level;
	uint64_t written;		/* bytes ever */
	uint32_t position;		/* the same modulo SNPU_LOG_BYTES; the core has no 64-bit division */
} log_state;

static struct snpu_fw_log *log_ring(void)
{
	return ctl_at(SNPU_CTL_LOG);
}

static void log_write(const char *text, size_t n)
{
	struct snpu_fw_log *ring = log_ring();

	for (size_t i = 0; i < n; i++) {
		ring->data[log_state.position] = text[i];
		if (++log_state.position == SNPU_LOG_BYTES)
			log_state.position = 0;
	}
	log_state.written += n;
	core_fence();
	ctl_put64(&ring->written, log_state.written);
}

void log_init(void)
{
	log_state.written = 0;
	log_state.position = 0;
	ctl_put64(&log_ring()->written, 0);
	log_level_set(LOG_INFO);
}

void log_level_set(enum log_level level)
{
	log_state.level = level;
	WRITE_ONCE(FW_HEADER->log_level, level);
}

/* Seconds and microseconds of a time, by subtraction of the 2^32 parts: there is no 64-bit division. */
static void log_split(uint64_t us, uint32_t *sec, uint32_t *frac)
{
	uint32_t high = (uint32_t)(us >> 32), low = (uint32_t)us;

	/* 2^32 us = 4294 s + 967296 us */
	*frac = low % 1000000u;
	*sec = low / 1000000u + high * 4294u;
	for (; high; high--) {
		*frac += 967296u;
		*sec += *frac / 1000000u;
		*frac %= 1000000u;
	}
}

void log_put(enum log_level level, const char *fmt, ...)
{
	char line[LOG_LINE];
	uint32_t sec, frac;
	va_list ap;
	size_t n;

	if (level > log_state.level)
		return;
	log_split(time_us(), &sec, &frac);
	n = fmt_print(line, sizeof(line), "[%5lu.%06lu] %c ", sec, frac, "EWID"[level]);
	va_start(ap, fmt);
	n += fmt_vprint(line + n, sizeof(line) - n, fmt, ap);
	va_end(ap);
	line[n++] = '\n';		/* over the zero: the ring needs none */
	log_write(line, n);
}
