/* SPDX-License-Identifier: MIT */
/*
 * Memory that is freed all at once: what belongs to a model, a plan or a result. Each piece is an allocation of its
 * own, so that a sanitizer sees an overrun of any of them. One thread at a time.
 */
#ifndef SNPU_GRAPH_ARENA_H
#define SNPU_GRAPH_ARENA_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct snpu_arena_piece;
struct snpu_arena {
	struct snpu_arena_piece *last;
};

/* count * size zeroed bytes; NULL with the sentence kept when they cannot be had. count or size 0 gives one byte. */
void *snpu_arena_alloc(struct snpu_arena *a, uint64_t count, uint64_t size);
char *snpu_arena_strdup(struct snpu_arena *a, const char *s);
char *snpu_arena_vprintf(struct snpu_arena *a, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
char *snpu_arena_printf(struct snpu_arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void snpu_arena_free(struct snpu_arena *a);

/*
 * A vector that grows: makes room for one more element behind the `n` of `*v`, in memory of malloc. -ENOMEM, -E2BIG
 * when n has reached `max`.
 */
int snpu_vec_room(void *v, unsigned *capacity, unsigned n, unsigned max, size_t elem, const char *what)
	__attribute__((warn_unused_result));

#endif
