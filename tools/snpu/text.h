/* SPDX-License-Identifier: MIT */
/*
 * Numbers, tables and facts as text for people. Functions that fill a buffer return it, so that they can stand in an
 * argument list; struct snpu_text is such a buffer as a compound literal.
 */
#ifndef SNPU_TOOLS_TEXT_H
#define SNPU_TOOLS_TEXT_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

struct snpu_text { char s[128]; };
#define SNPU_TEXT	(&(struct snpu_text){ "" })

const char *snpu_text_count(struct snpu_text *t, double n);		/* "812", "12 804", "1.02 M" */
const char *snpu_text_bytes(struct snpu_text *t, double bytes);		/* "3.0 KiB" */
const char *snpu_text_seconds(struct snpu_text *t, double s);		/* "0.42 s", "380 µs" */
const char *snpu_text_joules(struct snpu_text *t, double joules);	/* "41 µJ" */
const char *snpu_text_percent(struct snpu_text *t, double part, double whole);	/* "5.5 %"; "" of nothing */
const char *snpu_text_shape(struct snpu_text *t, const json_t *shape);	/* "16x8x8" */
const char *snpu_text_of(struct snpu_text *t, double n, const char *noun);	/* "1 sample", "12 804 samples" */
unsigned int snpu_text_width(const char *s);				/* columns: UTF-8 characters */
const char *snpu_text_basename(const char *path);

/* A fact by its path: "device.name". Missing: "" or 0. */
const char *snpu_fact_text(const json_t *facts, const char *path);
double snpu_fact_number(const json_t *facts, const char *path);
const json_t *snpu_fact(const json_t *facts, const char *path);

/* A table whose columns are as wide as needed. '<' and '>' in `align` say how each column is aligned. */
#define SNPU_TABLE_COLUMNS	12
struct snpu_table {
	const char *align;
	unsigned int columns;			/* of the screen: the last cell is cut there with "..."; 0: never */
	unsigned int rows;
	char *(*cell)[SNPU_TABLE_COLUMNS];	/* [rows][columns], owned */
};
/* One row; as many strings as there are columns. */
void snpu_table_row(struct snpu_table *t, const char *const *cells);
#define SNPU_ROW(table, ...)	snpu_table_row(table, (const char *const[]){ __VA_ARGS__ })
/* Prints with `label` before the first row and blanks before the others, and empties the table. */
void snpu_table_print(struct snpu_table *t, FILE *f, const char *label);

#define SNPU_LABEL	9			/* columns of the label on the left of the screen */

#endif
