// SPDX-License-Identifier: MIT
/*
 * `snpu info`: everything that is known about one device; or, by model_info.c, about a network's file.
 */
#include "cli.h"

#include <errno.h>
#include <string.h>

#include <snpu/snpu.h>

#include "device.h"
#include "model_info.h"
#include "snpu_isa.h"
#include "text.h"

struct options {
	const char *device;
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
			argp_error(state, "one device or model at a time, and '%s' is a second", arg);
		o->device = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "json", 'j', NULL, 0, "print JSON", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = options, .parser = parse, .args_doc = "[DEVICE|MODEL.nir]",
	.doc = "Prints everything known about a device: auto (default), card, card:N, sim, cpu; or the layers of a network.\vExit status: 0 done, 1 the model cannot be read, 2 wrong usage, 3 there is no such device.",
};

/* Opcodes by name; the list is hw/snpu_isa.def's. */
static json_t *opcodes(const struct snpu_device_info *info)
{
	static const struct { unsigned int opcode; const char *name; } all[] = {
#define PKT(name, number, flags, args, doc) { number, #name },
#include "snpu_isa.def"
	};
	json_t *names = json_array();

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (info->opcodes[all[i].opcode / 64] >> (all[i].opcode % 64) & 1)
			json_array_append_new(names, json_string(all[i].name));
	return names;
}

static void print_versions(FILE *f, const json_t *d)
{
	const char *driver = snpu_fact_text(d, "driver_version"), *fw = snpu_fact_text(d, "fw_version"), *hw = snpu_fact_text(d, "hw_version");

	fprintf(f, "%-*sdriver %s   card's contract %s   firmware %s   firmware ABI %s\n", SNPU_LABEL, "versions", driver[0] ? driver : "none", hw[0] ? hw : "-",
		fw[0] ? fw : "none", snpu_fact_text(d, "fw_abi")[0] ? snpu_fact_text(d, "fw_abi") : "-");
}

static void print_limits(FILE *f, const json_t *d)
{
	static const char *const names[] = { NULL, "low", "normal", "high", "realtime" };
	unsigned int bits = (unsigned int)snpu_fact_number(d, "priorities");

	fprintf(f, "%-*s%.0f queues, %s address spaces of %.0f bits (0x%llx to 0x%llx)\n", SNPU_LABEL, "limits", snpu_fact_number(d, "max_queues"),
		snpu_fact_number(d, "max_vms") >= UINT32_MAX ? "any number of" : snpu_text_count(SNPU_TEXT, snpu_fact_number(d, "max_vms")), snpu_fact_number(d, "va_bits"), (unsigned long long)json_integer_value(snpu_fact(d, "va_start")),
		(unsigned long long)json_integer_value(snpu_fact(d, "va_end")));
	fprintf(f, "%-*spriorities you may use:", SNPU_LABEL, "");
	for (unsigned int p = 1; p < 5; p++)
		if (bits >> p & 1)
			fprintf(f, " %s", names[p]);
	fputc('\n', f);
}

static void print_text(const json_t *d)
{
	FILE *f = snpu_screen_begin();
	const json_t *ops = snpu_fact(d, "opcodes");
	unsigned int column = SNPU_LABEL;
	json_t *op;
	size_t i;

	snpu_device_line(f, "device", d);
	print_versions(f, d);
	print_limits(f, d);
	if (snpu_fact_number(d, "memory_total") > 0)
		fprintf(f, "%-*s%s, %s used\n", SNPU_LABEL, "memory", snpu_text_bytes(SNPU_TEXT, snpu_fact_number(d, "memory_total")),
			snpu_text_bytes(SNPU_TEXT, snpu_fact_number(d, "memory_used")));
	if (snpu_fact_number(d, "clock_khz") > 0)
		fprintf(f, "%-*s%.0f MHz%s\n", SNPU_LABEL, "clock", snpu_fact_number(d, "clock_khz") / 1000,
			json_is_true(snpu_fact(d, "simulated")) ? "  (the simulated card's, for its model of time)" : "");
	if (snpu_fact_number(d, "serial") > 0)
		fprintf(f, "%-*s%.0f\n", SNPU_LABEL, "serial", snpu_fact_number(d, "serial"));
	fprintf(f, "%-*s", SNPU_LABEL, "opcodes");
	json_array_foreach(ops, i, op) {
		const char *name = json_string_value(op);
		bool wrap = column + strlen(name) + 1 > snpu_screen_columns();

		if (wrap)
			column = (unsigned int)fprintf(f, "\n%*s%s", SNPU_LABEL, "", name);
		else
			column += (unsigned int)fprintf(f, "%s%s", i ? " " : "", name);
	}
	fputc('\n', f);
	snpu_screen_end();
}

enum snpu_exit snpu_cmd_info(int argc, char **argv)
{
	struct options o = { .device = "auto" };
	struct snpu_device_info info = { .sz = sizeof(info) };
	struct snpu_device *device = NULL;
	enum snpu_exit st;

	snpu_cli_parse(&argp, argc, argv, &o);
	if (snpu_model_file(o.device))
		return snpu_model_info(o.device, o.json);
	st = snpu_device_choose(o.device, false, &device);
	if (st)
		return st;
	if (snpu_device_info(device, &info)) {
		st = snpu_cli_fail_library(SNPU_EXIT_FAILURE, "snpu list");
	} else {
		json_t *facts = snpu_cli_facts(), *d = snpu_device_facts(&info);

		json_object_set_new(d, "opcodes", opcodes(&info));
		json_object_set_new(facts, "device", d);
		if (!o.json)
			print_text(d);
		if (o.json)
			snpu_cli_print_json(facts);
		else
			json_decref(facts);
	}
	snpu_device_close(device);
	return st;
}
