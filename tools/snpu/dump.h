/* SPDX-License-Identifier: MIT */
/*
 * A device core dump (hw/snpu_dump.h) in memory: checked once, then read element by element. Everything in it is what others
 * wrote; nothing outside the memory is ever read. Pure functions, any thread.
 */
#ifndef SNPU_TOOLS_DUMP_H
#define SNPU_TOOLS_DUMP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "snpu_dump.h"

#define SNPU_DUMP_TYPES		11		/* one more than the last type this program knows */

struct snpu_dump {
	struct snpu_dump_header header;
	struct snpu_dump_section head[SNPU_DUMP_TYPES];	/* count 0: there is none */
	const void *data[SNPU_DUMP_TYPES];
};

/* True, or false with a sentence. The memory must outlive *d. */
bool snpu_dump_parse(const void *mem, size_t size, struct snpu_dump *d, char *why, size_t len);
/* Copies an element; what the writer did not know is zero. False: there is no such element. */
bool snpu_dump_get(const struct snpu_dump *d, enum snpu_dump_type type, uint32_t index, void *element, size_t size);

/* Everything that is in it, by name. */
json_t *snpu_dump_facts(const struct snpu_dump *d);

#endif
