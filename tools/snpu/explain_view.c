// SPDX-License-Identifier: MIT
/* `snpu explain` on one screen. Reads nothing but the facts. */
#include "explain.h"

#include <string.h>

#include "cli.h"
#include "text.h"

#define NODES_SHOWN	16
#define DECIDED_SHOWN	40			/* lines */

/* "lif1", "lif1 and 2 more": the nodes of which notes with this rule and this text speak. "" for the whole model. */
static const char *who(struct snpu_text *t, const json_t *decided, const json_t *note)
{
	unsigned int more = 0;
	json_t *n;
	size_t i;

	json_array_foreach(decided, i, n)
		more += n != note && strcmp(snpu_fact_text(n, "rule"), snpu_fact_text(note, "rule")) == 0 &&
			strcmp(snpu_fact_text(n, "text"), snpu_fact_text(note, "text")) == 0;
	snprintf(t->s, sizeof(t->s), more ? "%.80s and %u more: " : "%.80s: ", snpu_fact_text(note, "node"), more);
	return snpu_fact_text(note, "node")[0] ? t->s : "";
}

/* Was there a note of the same rule and text before? */
static bool said(const json_t *decided, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(snpu_fact_text(json_array_get(decided, k), "rule"), snpu_fact_text(json_array_get(decided, i), "rule")) == 0 &&
		    strcmp(snpu_fact_text(json_array_get(decided, k), "text"), snpu_fact_text(json_array_get(decided, i), "text")) == 0)
			return true;
	return false;
}

/* Where it came from, in a word or two. */
static const char *why(const json_t *facts, const json_t *n)
{
	const char *source = snpu_fact_text(n, "source");

	if (strcmp(snpu_fact_text(n, "kind"), "info"))
		return snpu_fact_text(n, "kind");
	if (strcmp(source, "dialect") == 0)
		return snpu_fact_text(facts, "meaning.dialect");
	return strcmp(source, "default") ? source : "NIR's text";
}

/* Cuts a line of at most `width` bytes off *text, at a blank; NULL when nothing is left. */
static const char *next_line(char **text, size_t width)
{
	char *line = *text, *cut = line + strlen(line);

	if (!*line)
		return NULL;
	if ((size_t)(cut - line) > width)
		for (cut = line + width; cut > line && *cut != ' ';)
			cut--;
	if (cut == line)
		cut = line + strlen(line);
	*text = *cut ? cut + 1 : cut;
	*cut = 0;
	return line;
}

/* Text behind a label, in as many lines as it needs. */
static void put_lines(FILE *f, const char *label, char *text)
{
	const char *line;

	while ((line = next_line(&text, snpu_screen_columns() - SNPU_LABEL))) {
		fprintf(f, "%-*s%s\n", SNPU_LABEL, label, line);
		label = "";
	}
}

static void decided_rows(struct snpu_table *t, const json_t *n, const char *from, char *text, size_t width)
{
	const char *rule = snpu_fact_text(n, "rule"), *settle = snpu_fact_text(n, "settle"), *line;

	while ((line = next_line(&text, width))) {
		SNPU_ROW(t, rule, from, settle, line);
		rule = from = settle = "";
	}
}

static void view_decided(const json_t *facts, FILE *f)
{
	const json_t *decided = snpu_fact(facts, "decided");
	static const char *const kinds[] = { "warning", "assumed", "info" };
	struct snpu_table t = { .align = "<<<<" };
	size_t i, used = SNPU_LABEL + 46, width = snpu_screen_columns() > used + 24 ? snpu_screen_columns() - used : 24;
	unsigned int left = 0;
	json_t *n;

	SNPU_ROW(&t, "rule", "why", "settle by", "what");
	for (int k = 0; k < 3; k++)
		json_array_foreach(decided, i, n) {
			char text[600];

			if (strcmp(snpu_fact_text(n, "kind"), kinds[k]) || said(decided, i))
				continue;
			if (t.rows > DECIDED_SHOWN) {
				left++;
				continue;
			}
			snprintf(text, sizeof(text), "%s%s", who(SNPU_TEXT, decided, n), snpu_fact_text(n, "text"));
			decided_rows(&t, n, why(facts, n), text, width);
		}
	snpu_table_print(&t, f, "decided");
	if (left)
		fprintf(f, "%*s%u more: --json has all\n", SNPU_LABEL, "", left);
}

/* One row for each clause of the equation. */
static void node_rows(struct snpu_table *t, const json_t *n)
{
	char text[600], late[200] = "", *save, *clause;
	const char *name = snpu_fact_text(n, "node"), *type = snpu_fact_text(n, "type");
	json_t *from;
	size_t i;

	json_array_foreach(snpu_fact(n, "late"), i, from)
		snprintf(late + strlen(late), sizeof(late) - strlen(late), "%s%s", i ? ", " : "; sees the step before of ", json_string_value(from));
	snprintf(text, sizeof(text), "%s%s", snpu_fact_text(n, "equation")[0] ? snpu_fact_text(n, "equation") : "passes on", late);
	for (clause = strtok_r(text, ";", &save); clause; clause = strtok_r(NULL, ";", &save)) {
		SNPU_ROW(t, name, type, clause + strspn(clause, " "));
		name = type = "";
	}
}

static void view_nodes(const json_t *facts, FILE *f)
{
	const json_t *nodes = snpu_fact(facts, "nodes");
	struct snpu_table t = { .align = "<<<", .columns = snpu_screen_columns() };
	unsigned int shown = 0, all = 0;
	json_t *n;
	size_t i;

	SNPU_ROW(&t, "node", "type", "in a step");
	json_array_foreach(nodes, i, n) {
		if (!snpu_fact_text(n, "equation")[0] && !json_array_size(snpu_fact(n, "late")))
			continue;
		all++;
		if (shown == NODES_SHOWN)
			continue;
		shown++;
		node_rows(&t, n);
	}
	snpu_table_print(&t, f, "nodes");
	if (shown < all)
		fprintf(f, "%*s%u more: --json has all\n", SNPU_LABEL, "", all - shown);
}

/* As it is typed: "--gain=raw". */
static const char *reading_name(struct snpu_text *t, const json_t *r)
{
	const char *value = snpu_fact_text(r, "value");

	snprintf(t->s, sizeof(t->s), "%s%s%s", snpu_fact_text(r, "option"), value[0] ? "=" : "", value);
	return t->s;
}

static void reading_row(struct snpu_table *t, const json_t *r, double spikes, double samples, double outputs)
{
	double now = snpu_fact_number(r, "spikes");
	char change[40] = "same", bits[40], counts[60], classes[60];

	if (now != spikes && spikes > 0)
		snprintf(change, sizeof(change), "%+.3g %%", 100 * (now - spikes) / spikes);
	else if (now != spikes)
		snprintf(change, sizeof(change), "%+.0f", now - spikes);
	snprintf(bits, sizeof(bits), "%.0f", snpu_fact_number(r, "values_changed"));
	snprintf(counts, sizeof(counts), "%.0f of %.0f", snpu_fact_number(r, "counts_changed"), outputs);
	snprintf(classes, sizeof(classes), "%.0f of %.0f", snpu_fact_number(r, "classes_changed"), samples);
	SNPU_ROW(t, reading_name(SNPU_TEXT, r), snpu_text_count(SNPU_TEXT, now), change, bits, counts, classes, snpu_fact_text(r, "most"));
}

static bool unchanged(const json_t *r)
{
	return !snpu_fact_text(r, "error")[0] && snpu_fact_number(r, "values_changed") == 0 && snpu_fact_number(r, "counts_changed") == 0;
}

/* "--compare ge, --dialect nir" of the readings that `which` says, for the first one that is `like`. */
static void list_readings(const json_t *readings, const json_t *like, bool (*which)(const json_t *like, const json_t *r), char *text, size_t size)
{
	json_t *r;
	size_t i, at = 0;

	*text = 0;
	json_array_foreach(readings, i, r)
		if (which(like, r) && at < size)
			at += (size_t)snprintf(text + at, size - at, "%s%s", at ? ", " : "", reading_name(SNPU_TEXT, r));
}

static bool is_unchanged(const json_t *like, const json_t *r)
{
	(void)like;
	return unchanged(r);
}

static bool fails_alike(const json_t *like, const json_t *r)
{
	return strcmp(snpu_fact_text(like, "error"), snpu_fact_text(r, "error")) == 0;
}

/* The readings that change nothing, and those that cannot be run, with the reason once. */
static void view_rest(const json_t *readings, FILE *f)
{
	char text[2000];
	json_t *r;
	size_t i, k;

	list_readings(readings, NULL, is_unchanged, text, sizeof(text));
	put_lines(f, "same", text);
	json_array_foreach(readings, i, r) {
		for (k = 0; k < i && !fails_alike(json_array_get(readings, k), r);)
			k++;
		if (k < i || !snpu_fact_text(r, "error")[0])
			continue;
		list_readings(readings, r, fails_alike, text, sizeof(text));
		snprintf(text + strlen(text), sizeof(text) - strlen(text), ": %s", snpu_fact_text(r, "error"));
		put_lines(f, "not run", text);
	}
}

static void view_alternatives(const json_t *facts, FILE *f)
{
	const json_t *a = snpu_fact(facts, "alternatives");
	struct snpu_table t = { .align = "<>>>>><", .columns = snpu_screen_columns() };
	double spikes = snpu_fact_number(a, "as_decided.spikes"), samples = snpu_fact_number(a, "samples"), outputs = snpu_fact_number(a, "outputs");
	json_t *r;
	size_t i;

	if (!a)
		return;
	fprintf(f, "\n%-*s%s, %s of %s\n", SNPU_LABEL, "input", snpu_fact_text(a, "input"), snpu_text_of(SNPU_TEXT, samples, "sample"),
		snpu_text_of(SNPU_TEXT, snpu_fact_number(a, "steps"), "step"));
	SNPU_ROW(&t, "reading", "spikes", "change", "values", "counts", "classes", "most at");
	SNPU_ROW(&t, "as decided", snpu_text_count(SNPU_TEXT, spikes), "", "", "", "", "");
	json_array_foreach(snpu_fact(a, "readings"), i, r)
		if (!unchanged(r) && !snpu_fact_text(r, "error")[0])
			reading_row(&t, r, spikes, samples, outputs);
	snpu_table_print(&t, f, "others");
	fprintf(f, "%*svalues: of all neurons and steps, those that differ; counts: output neurons whose sum differs;\n"
		"%*sclasses: samples that get another one\n", SNPU_LABEL, "", SNPU_LABEL, "");
	view_rest(snpu_fact(a, "readings"), f);
}

void snpu_explain_view(const json_t *facts)
{
	FILE *f = snpu_screen_begin();

	fprintf(f, "%-*s%s  %s  %.0f nodes\n", SNPU_LABEL, "model", snpu_text_basename(snpu_fact_text(facts, "model.file")), snpu_fact_text(facts, "model.format"),
		snpu_fact_number(facts, "model.nodes"));
	view_decided(facts, f);
	fputc('\n', f);
	view_nodes(facts, f);
	view_alternatives(facts, f);
	snpu_screen_end();
}
