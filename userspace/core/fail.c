/* SPDX-License-Identifier: MIT */
/* The error sentence of each thread, and size-first structures. See fail.h. */
#include "core/fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "snpu/snpu.h"

#define STR2(x) #x
#define STR(x)	STR2(x)

static __thread char sentence[1024];

const char *snpu_version(void)
{
	return STR(SNPU_VERSION_MAJOR) "." STR(SNPU_VERSION_MINOR) "." STR(SNPU_VERSION_PATCH);
}

const char *snpu_last_error(void)
{
	return sentence;
}

/* Sentences quote files, and go to terminals. */
static void keep(char *text)
{
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
	memcpy(sentence, text, sizeof(sentence));
}

int snpu_fail(int err, const char *fmt, ...)
{
	char text[sizeof(sentence)];	/* the arguments may point into the sentence */
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	keep(text);
	return err;
}

int snpu_fail_in(int err, const char *fmt, ...)
{
	char text[sizeof(sentence)];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(text))
		snprintf(text + n, sizeof(text) - (size_t)n, ": %.*s", (int)(sizeof(text) - (size_t)n), sentence);
	keep(text);
	return err;
}

/* A structure with a larger sz comes from a program built against a newer library: fine as long as it asks for nothing new. */
#define SANE_STRUCT	65536u

int snpu_opts_in(void *to, size_t size, const void *from, const char *name)
{
	size_t sz = size;

	memset(to, 0, size);
	if (from)
		memcpy(&sz, from, sizeof(sz));
	if (sz < sizeof(sz) || sz > SANE_STRUCT)
		return snpu_fail(-EINVAL, "struct %s: sz is %zu; set it to sizeof(struct %s)", name, sz, name);
	for (size_t i = size; i < sz; i++)
		if (((const unsigned char *)from)[i])
			return snpu_fail(-EINVAL, "struct %s: byte %zu is set, this library (%s) knows %zu; use a newer library",
					 name, i, snpu_version(), size);
	if (from)
		memcpy(to, from, sz < size ? sz : size);
	memcpy(to, &size, sizeof(size));
	return 0;
}

int snpu_opts_out(void *to, const void *from, size_t size, const char *name)
{
	size_t sz;

	if (!to)
		return snpu_fail(-EINVAL, "struct %s: the pointer is NULL; pass a structure with sz set", name);
	memcpy(&sz, to, sizeof(sz));
	if (sz < sizeof(sz) || sz > SANE_STRUCT)
		return snpu_fail(-EINVAL, "struct %s: sz is %zu; set it to sizeof(struct %s)", name, sz, name);
	memset(to, 0, sz);
	memcpy(to, from, sz < size ? sz : size);
	memcpy(to, &sz, sizeof(sz));
	return 0;
}
