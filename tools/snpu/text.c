// SPDX-License-Identifier: MIT
/*
 * Numbers, tables and facts as text. Pure functions but for the table, which owns copies of its cells.
 */
#include "text.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char *scaled(struct snpu_text *t, double v, double base, const char *const *units, unsigned int n)
{
	unsigned int u = 0;

	while (u + 1 < n && fabs(v) >= base * 0.9995) {
		v /= base;
		u++;
	}
	int digits = fabs(v) >= 99.95 || v == floor(v) ? 0 : fabs(v) >= 9.995 ? 1 : 2;

	snprintf(t->s, sizeof(t->s), "%.*f %s", digits, v, units[u]);
	return t->s;
}

const char *snpu_text_count(struct snpu_text *t, double n)
{
	static const char *const units[] = { "", "k", "M", "G", "T", "P" };

	if (n >= 100000)
		return scaled(t, n, 1000, units, 6);
	if (n >= 1000)
		snprintf(t->s, sizeof(t->s), "%.0f %03.0f", floor(n / 1000), fmod(floor(n), 1000));
	else
		snprintf(t->s, sizeof(t->s), "%.0f", n);
	return t->s;
}

const char *snpu_text_bytes(struct snpu_text *t, double bytes)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };

	return scaled(t, bytes, 1024, units, 5);
}

const char *snpu_text_seconds(struct snpu_text *t, double s)
{
	static const char *const units[] = { "ns", "µs", "ms", "s" };

	return scaled(t, s * 1e9, 1000, units, 4);
}

const char *snpu_text_joules(struct snpu_text *t, double joules)
{
	static const char *const units[] = { "fJ", "pJ", "nJ", "µJ", "mJ", "J" };

	return scaled(t, joules * 1e15, 1000, units, 6);
}

const char *snpu_text_percent(struct snpu_text *t, double part, double whole)
{
	double p = whole > 0 ? 100 * part / whole : 0;

	if (whole <= 0)
		t->s[0] = 0;
	else
		snprintf(t->s, sizeof(t->s), "%.*f %%", p < 9.95 && p > 0 ? 1 : 0, p);
	return t->s;
}

const char *snpu_text_shape(struct snpu_text *t, const json_t *shape)
{
	size_t n = 0;

	t->s[0] = 0;
	for (size_t i = 0; i < json_array_size(shape) && n < sizeof(t->s); i++)
		n += (size_t)snprintf(t->s + n, sizeof(t->s) - n, "%s%lld", i ? "x" : "", (long long)json_integer_value(json_array_get(shape, i)));
	return t->s[0] ? t->s : "1";
}

const char *snpu_text_of(struct snpu_text *t, double n, const char *noun)
{
	snprintf(t->s, sizeof(t->s), "%s %s%s", snpu_text_count(SNPU_TEXT, n), noun, n == 1 ? "" : "s");
	return t->s;
}

unsigned int snpu_text_width(const char *s)
{
	unsigned int n = 0;

	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

const char *snpu_text_basename(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* --- facts ---------------------------------------------------------------------------------------------------- */

const json_t *snpu_fact(const json_t *facts, const char *path)
{
	char key[64];

	while (facts && *path) {
		size_t n = strcspn(path, ".");

		snprintf(key, sizeof(key), "%.*s", (int)n, path);
		facts = json_object_get(facts, key);
		path += n + (path[n] == '.');
	}
	return facts;
}

const char *snpu_fact_text(const json_t *facts, const char *path)
{
	const char *s = json_string_value(snpu_fact(facts, path));

	return s ? s : "";
}

double snpu_fact_number(const json_t *facts, const char *path)
{
	return json_number_value(snpu_fact(facts, path));
}

/* --- tables --------------------------------------------------------------------------------------------------- */

void snpu_table_row(struct snpu_table *t, const char *const *cells)
{
	size_t columns = strlen(t->align);
	void *grown = realloc(t->cell, (t->rows + 1) * sizeof(*t->cell));

	if (!grown)
		return;			/* a table on the screen is shorter; the JSON output has it all */
	t->cell = grown;
	memset(t->cell[t->rows], 0, sizeof(*t->cell));
	for (size_t c = 0; c < columns; c++)
		t->cell[t->rows][c] = strdup(cells[c]);
	t->rows++;
}

static void print_cell(FILE *f, const char *s, unsigned int width, char align, bool last)
{
	int pad = (int)(width - snpu_text_width(s));

	if (align == '>')
		fprintf(f, "%*s%s", pad, "", s);
	else
		fprintf(f, "%s%*s", s, last ? 0 : pad, "");
	if (!last)
		fputs("  ", f);
}

/* Cuts the last cell of a row to what is left of the screen, at a character's beginning. */
static void fit_last(char *s, unsigned int used, unsigned int columns)
{
	unsigned int room = columns > used + 20 ? columns - used : 20, n = 0;

	if (!columns || snpu_text_width(s) <= room)
		return;
	while (n < room - 2)
		n += (*s++ & 0xc0) != 0x80;
	strcpy(s - 1, "...");
}

void snpu_table_print(struct snpu_table *t, FILE *f, const char *label)
{
	unsigned int width[SNPU_TABLE_COLUMNS] = { 0 };
	size_t columns = strlen(t->align);

	for (unsigned int r = 0; r < t->rows; r++)
		for (size_t c = 0; c < columns; c++)
			if (t->cell[r][c] && snpu_text_width(t->cell[r][c]) > width[c])
				width[c] = snpu_text_width(t->cell[r][c]);
	for (unsigned int r = 0; r < t->rows; r++) {
		size_t last = columns;
		unsigned int used = SNPU_LABEL;

		for (size_t c = 0; c + 1 < columns; c++)
			used += width[c] + 2;
		if (t->cell[r][columns - 1])
			fit_last(t->cell[r][columns - 1], used, t->columns);
		while (last > 1 && t->cell[r][last - 1] && !t->cell[r][last - 1][0])
			last--;		/* no blanks at the end of a line */
		fprintf(f, "%-*s", SNPU_LABEL, r ? "" : label);
		for (size_t c = 0; c < last; c++)
			print_cell(f, t->cell[r][c] ? t->cell[r][c] : "", width[c], t->align[c], c + 1 == last);
		fputc('\n', f);
		for (size_t c = 0; c < columns; c++)
			free(t->cell[r][c]);
	}
	free(t->cell);
	t->cell = NULL;
	t->rows = 0;
}
