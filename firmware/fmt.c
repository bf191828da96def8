/* SPDX-License-Identifier: MIT */
/*
 * A printf for logs and crash messages: %s %c %d %u %x %%, with l or ll, a width and 0-padding. Never writes past the
 * buffer, always ends it with a zero, and shows an unknown conversion as it is written. No state, no allocation.
 */
#include "fw.h"

struct fmt_out {
	char *buf;
	size_t size, used;
};

static void fmt_char(struct fmt_out *o, char c)
{
	if (o->used + 1 < o->size)
		o->buf[o->used++] = c;
}

/* *v /= base, in 16-bit digits, because the core has no 64-bit division. Returns the remainder. base <= 16. */
static uint32_t fmt_divide(uint64_t *v, uint32_t base)
{
	uint32_t high = (uint32_t)(*v >> 32), low = (uint32_t)*v;
	uint32_t q3 = high / base, r = high % base;
	uint32_t d1 = r << 16 | low >> 16, q1 = d1 / base;
	uint32_t d0 = (d1 % base) << 16 | (low & 0xffff), q0 = d0 / base;

	*v = (uint64_t)q3 << 32 | (q1 << 16 | q0);
	return d0 % base;
}

static void fmt_number(struct fmt_out *o, uint64_t v, uint32_t base, bool negative, unsigned int width, bool zeros)
{
	char digit[20];			/* 2^64 - 1 has 20 decimal digits */
	unsigned int n = 0;

	do {
		digit[n++] = "0123456789abcdef"[fmt_divide(&v, base)];
	} while (v);
	if (negative && zeros)
		fmt_char(o, '-');
	for (unsigned int i = n + negative; i < width; i++)
		fmt_char(o, zeros ? '0' : ' ');
	if (negative && !zeros)
		fmt_char(o, '-');
	while (n)
		fmt_char(o, digit[--n]);
}

struct fmt_spec {
	unsigned int width;
	unsigned int longs;		/* number of l */
	bool zeros;
};

static const char *fmt_parse(const char *p, struct fmt_spec *spec)
{
	*spec = (struct fmt_spec){ .zeros = *p == '0' };
	for (; *p >= '0' && *p <= '9'; p++)
		spec->width = (spec->width * 10 + (unsigned int)(*p - '0')) % 100;
	for (; *p == 'l'; p++)
		spec->longs++;
	return p;
}

static void fmt_string(struct fmt_out *o, const char *s, unsigned int width)
{
	size_t n;

	if (!s)
		s = "(null)";
	for (n = strlen(s); n < width; n++)
		fmt_char(o, ' ');
	while (*s)
		fmt_char(o, *s++);
}

size_t fmt_vprint(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct fmt_out o = { buf, size, 0 };
	struct fmt_spec spec;

	for (const char *p = fmt; *p; p++) {
		const char *percent = p;
		uint64_t u;
		int64_t i;

		if (*p != '%') {
			fmt_char(&o, *p);
			continue;
		}
		p = fmt_parse(p + 1, &spec);
		switch (*p) {
		case 'd':
			i = spec.longs > 1 ? va_arg(ap, long long) : va_arg(ap, int);
			fmt_number(&o, i < 0 ? 0 - (uint64_t)i : (uint64_t)i, 10, i < 0, spec.width, spec.zeros);
			break;
		case 'u':
		case 'x':
			u = spec.longs > 1 ? va_arg(ap, unsigned long long) : va_arg(ap, unsigned int);
			fmt_number(&o, u, *p == 'u' ? 10 : 16, false, spec.width, spec.zeros);
			break;
		case 'c':
			fmt_char(&o, (char)va_arg(ap, int));
			break;
		case 's':
			fmt_string(&o, va_arg(ap, const char *), spec.width);
			break;
		case '%':
			fmt_char(&o, '%');
			break;
		default:
			while (percent < p)
				fmt_char(&o, *percent++);
			p--;		/* the loop goes on with the character that was not understood */
		}
	}
	if (size)
		buf[o.used] = 0;
	return o.used;
}

size_t fmt_print(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = fmt_vprint(buf, size, fmt, ap);
	va_end(ap);
	return n;
}
