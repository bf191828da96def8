/* SPDX-License-Identifier: MIT */
/* Memory that is freed all at once. See arena.h; no locks, the owner of the arena is the only user. */
#include "graph/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/fail.h"

struct snpu_arena_piece {
	struct snpu_arena_piece *before;
	max_align_t data[];
};

void *snpu_arena_alloc(struct snpu_arena *a, uint64_t count, uint64_t size)
{
	struct snpu_arena_piece *p;
	uint64_t bytes;

	if (!snpu_mul(count, size, &bytes) || bytes > SIZE_MAX / 2 || !(p = calloc(1, sizeof(*p) + (bytes ? bytes : 1)))) {
		snpu_fail(-ENOMEM, "no memory for %llu elements of %llu bytes; use a machine with more, or a smaller model",
			  (unsigned long long)count, (unsigned long long)size);
		return NULL;
	}
	p->before = a->last;
	a->last = p;
	return p->data;
}

char *snpu_arena_strdup(struct snpu_arena *a, const char *s)
{
	size_t n = strlen(s) + 1;
	char *copy = snpu_arena_alloc(a, n, 1);

	return copy ? memcpy(copy, s, n) : NULL;
}

char *snpu_arena_vprintf(struct snpu_arena *a, const char *fmt, va_list ap)
{
	va_list measure;
	char *s;
	int n;

	va_copy(measure, ap);
	n = vsnprintf(NULL, 0, fmt, measure);
	va_end(measure);
	s = n < 0 ? NULL : snpu_arena_alloc(a, (uint64_t)n + 1, 1);
	if (s)
		vsnprintf(s, (size_t)n + 1, fmt, ap);
	return s;
}

char *snpu_arena_printf(struct snpu_arena *a, const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = snpu_arena_vprintf(a, fmt, ap);
	va_end(ap);
	return s;
}

void snpu_arena_free(struct snpu_arena *a)
{
	while (a->last) {
		struct snpu_arena_piece *p = a->last;

		a->last = p->before;
		free(p);
	}
}

int snpu_vec_room(void *v, unsigned *capacity, unsigned n, unsigned max, size_t elem, const char *what)
{
	void *old, *grown;
	unsigned cap = *capacity ? *capacity * 2 : 16;

	if (n >= max)
		return snpu_fail(-E2BIG, "more than %u %s; no network of this kind is known, the file is probably damaged", max, what);
	if (n < *capacity)
		return 0;
	memcpy(&old, v, sizeof(old));
	grown = reallocarray(old, cap, elem);
	if (!grown)
		return snpu_fail(-ENOMEM, "no memory for %u %s", cap, what);
	memset((char *)grown + (size_t)n * elem, 0, (size_t)(cap - n) * elem);
	memcpy(v, &grown, sizeof(grown));
	*capacity = cap;
	return 0;
}
