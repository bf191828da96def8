// SPDX-License-Identifier: MIT
/*
 * `snpu coredump`: what the driver kept of a failure, on one screen. The screen reads nothing but the facts that --json prints.
 */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

#include "bundle.h"
#include "dump.h"
#include "text.h"

#define LAST_EVENTS	8u
#define LAST_LINES	6u

struct options {
	const char *file;
	bool json;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'j':
		o->json = true;
		snpu_cli_json(true);
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num)
			argp_error(state, "one file at a time, and '%s' is a second", arg);
		o->file = arg;
		return 0;
	case ARGP_KEY_END:
		if (!o->file)
			argp_error(state, "which file? Dumps are /sys/class/devcoredump/devcd*/data");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "json", 'j', NULL, 0, "print JSON: everything that is in the file", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = options, .parser = parse, .args_doc = "FILE",
	.doc = "Shows what the driver kept of a failure of a card: /sys/class/devcoredump/devcd*/data, or a copy of it."
	       "\vWriting anything to the file in /sys frees it; the driver keeps the first failure until then, or for five minutes."
	       " Exit status: 0 done, 1 the file cannot be read or is damaged, 2 wrong usage.",
};

/* --- the screen ------------------------------------------------------------------------------------------------ */
static void print_heading(FILE *f, const json_t *facts)
{
	fprintf(f, "card     %s, serial %.0f, hardware %s, firmware %s (%s), ABI %s\n", snpu_fact_text(facts, "device"), snpu_fact_number(facts, "serial"),
		snpu_fact_text(facts, "hw_version"), snpu_fact_text(facts, "fw_version"), snpu_fact_text(facts, "firmware.build"), snpu_fact_text(facts, "fw_abi"));
	fprintf(f, "when     %s, kernel %s, up %.3f s, %.0f resets so far\n", snpu_fact_text(facts, "time"), snpu_fact_text(facts, "kernel"),
		snpu_fact_number(facts, "boot_ns") / 1e9, snpu_fact_number(facts, "resets"));
	fprintf(f, "why      %s: %s\n", snpu_fact_text(facts, "reason_text"), snpu_fact_text(facts, "text"));
}

static const json_t *guilty(const json_t *facts)
{
	json_t *q;
	size_t i;

	json_array_foreach(snpu_fact(facts, "queues"), i, q)
		if (json_is_true(snpu_fact(q, "guilty")))
			return q;
	return NULL;
}

static void print_guilty(FILE *f, const json_t *facts)
{
	const json_t *q = guilty(facts), *fault = q ? snpu_fact(q, "fault") : NULL;
	json_t *p;
	size_t i;

	if (!q)
		return;
	fprintf(f, "guilty   queue %.0f (%s)", snpu_fact_number(q, "queue"), snpu_fact_text(q, "name"));
	if (json_is_object(fault))
		fprintf(f, ", job %.0f: %s, %s\n         %s of %s, packet at %s", snpu_fact_number(fault, "job"), snpu_fact_text(fault, "code"), snpu_fact_text(fault, "text"),
			snpu_fact_text(fault, "access"), snpu_fact_text(fault, "va"), snpu_fact_text(fault, "pc"));
	else if (json_is_object(snpu_fact(q, "job")))
		fprintf(f, ", job %.0f, %.0f packets executed", snpu_fact_number(q, "job.number"), snpu_fact_number(q, "card.progress"));
	fputc('\n', f);
	json_array_foreach(snpu_fact(facts, "program"), i, p)
		fprintf(f, "       %s %6s  %s\n", i ? " " : ">", snpu_fact_text(p, "pc"), snpu_fact_text(p, "text"));
}

static void print_tables(FILE *f, const json_t *facts)
{
	const json_t *entries = snpu_fact(facts, "tables.entries");
	json_t *e;
	size_t i;

	if (!json_array_size(entries))
		return;
	fprintf(f, "tables   of %s:", snpu_fact_text(facts, "tables.va"));
	json_array_foreach(entries, i, e)
		fprintf(f, " %s", json_string_value(e));
	fputc('\n', f);
}

static void print_firmware(FILE *f, const json_t *facts)
{
	const json_t *running = snpu_fact(facts, "firmware.running_queue");

	fprintf(f, "core     %s, state %s, pc %s, boot %s; heartbeat %.0f, on the engine: ", snpu_fact_text(facts, "firmware.state"), snpu_fact_text(facts, "registers.CORE_STATE"),
		snpu_fact_text(facts, "registers.CORE_PC"), snpu_fact_text(facts, "registers.BOOT_STATUS"), snpu_fact_number(facts, "firmware.heartbeat"));
	if (json_is_integer(running))
		fprintf(f, "queue %lld\n", (long long)json_integer_value(running));
	else
		fputs("nothing\n", f);
	if (json_is_object(snpu_fact(facts, "crash")))
		fprintf(f, "crash    %s (cause %s, pc %s, value %s)\n", snpu_fact_text(facts, "crash.message"), snpu_fact_text(facts, "crash.cause"),
			snpu_fact_text(facts, "crash.pc"), snpu_fact_text(facts, "crash.value"));
}

static const char *count_text(struct snpu_text *t, const json_t *q, const char *key)
{
	snprintf(t->s, sizeof(t->s), "%.0f", snpu_fact_number(q, key));
	return t->s;
}

static void print_queues(FILE *f, const json_t *facts)
{
	struct snpu_table t = { .align = "<<<>>>>>" };
	json_t *q;
	size_t i;

	if (!json_array_size(snpu_fact(facts, "queues")))
		return;
	SNPU_ROW(&t, "queue", "name", "state", "error", "submitted", "on card", "completed", "resets");
	json_array_foreach(snpu_fact(facts, "queues"), i, q) {
		char on_card[32];

		snprintf(on_card, sizeof(on_card), "%.0f", snpu_fact_number(q, "pushed") - snpu_fact_number(q, "retired"));
		SNPU_ROW(&t, count_text(SNPU_TEXT, q, "queue"), snpu_fact_text(q, "name"), snpu_fact_text(q, "card.state"), count_text(SNPU_TEXT, q, "error"),
			 count_text(SNPU_TEXT, q, "submitted"), on_card, count_text(SNPU_TEXT, q, "completed"), count_text(SNPU_TEXT, q, "resets"));
	}
	snpu_table_print(&t, f, "queues");
}

static void print_trace(FILE *f, const json_t *facts)
{
	const json_t *trace = snpu_fact(facts, "trace");
	size_t n = json_array_size(trace), first = n > LAST_EVENTS ? n - LAST_EVENTS : 0;

	for (size_t i = first; i < n; i++) {
		const json_t *e = json_array_get(trace, i);

		fprintf(f, "%s%.6f  ", i == first ? "trace    " : "         ", snpu_fact_number(e, "boot_ns") / 1e9);
		if (json_is_integer(snpu_fact(e, "queue")) && snpu_fact_number(e, "job") > 0)
			fprintf(f, "queue %.0f, job %.0f: %s\n", snpu_fact_number(e, "queue"), snpu_fact_number(e, "job"), snpu_fact_text(e, "text"));
		else if (json_is_integer(snpu_fact(e, "queue")))
			fprintf(f, "queue %.0f: %s\n", snpu_fact_number(e, "queue"), snpu_fact_text(e, "text"));
		else
			fprintf(f, "%s (%.0f)\n", snpu_fact_text(e, "text"), snpu_fact_number(e, "job"));
	}
}

static void print_log(FILE *f, const json_t *facts)
{
	const json_t *log = snpu_fact(facts, "log");
	size_t n = json_array_size(log), first = n > LAST_LINES ? n - LAST_LINES : 0;

	for (size_t i = first; i < n; i++)
		fprintf(f, "%s%s\n", i == first ? "log      " : "         ", json_string_value(json_array_get(log, i)));
}

static void print_text(const json_t *facts)
{
	FILE *f = snpu_screen_begin();

	print_heading(f, facts);
	print_guilty(f, facts);
	print_tables(f, facts);
	print_firmware(f, facts);
	print_queues(f, facts);
	print_trace(f, facts);
	print_log(f, facts);
	if (snpu_fact_number(facts, "dropped") > 0)
		fprintf(f, "missing  %.0f sections, for which the driver had no room\n", snpu_fact_number(facts, "dropped"));
	snpu_screen_end();
}

enum snpu_exit snpu_cmd_coredump(int argc, char **argv)
{
	struct options o = { 0 };
	struct snpu_dump dump;
	enum snpu_exit st;
	json_t *facts;
	char why[200];
	void *mem;
	size_t size;

	snpu_cli_parse(&argp, argc, argv, &o);
	st = snpu_file_read(o.file, &mem, &size);
	if (st)
		return st;
	if (!snpu_dump_parse(mem, size, &dump, why, sizeof(why))) {
		free(mem);
		return snpu_cli_fail(SNPU_EXIT_FAILURE, NULL, "%s: %s", o.file, why);
	}
	facts = snpu_cli_facts();
	json_object_set_new(facts, "file", snpu_cli_string(o.file));
	json_object_update_new(facts, snpu_dump_facts(&dump));
	free(mem);
	if (o.json)
		snpu_cli_print_json(json_incref(facts));
	else
		print_text(facts);
	json_decref(facts);
	return SNPU_EXIT_OK;
}
