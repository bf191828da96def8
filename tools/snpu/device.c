// SPDX-License-Identifier: MIT
/*
 * Devices: opening by the names that people type, with an error that ends in the next command, and facts of a device.
 */
#include "device.h"

#include <errno.h>
#include <string.h>

#include "text.h"

static const struct { const char *key, *words; } kinds[] = {
	[SNPU_KIND_UNKNOWN] = { "unknown", "card that could not be asked" },
	[SNPU_KIND_SILICON] = { "silicon", "card" },
	[SNPU_KIND_SIMULATED_CARD] = { "simulated-card", "SIMULATED card" },
	[SNPU_KIND_SIMULATOR] = { "simulator", "SIMULATED card inside this process, no driver" },
	[SNPU_KIND_CPU] = { "cpu", "CPU of this machine" },
	[SNPU_KIND_NULL] = { "null", "executes nothing, results are undefined" },
};
#define KINDS	(sizeof(kinds) / sizeof(kinds[0]))

static const char *hint_for(int err)
{
	switch (err) {
	case -EACCES:
		return "snpu list  shows who may use the card;  --device sim  or  --device cpu  run without it";
	case -EINVAL:
		return "--device auto, card, card:N, sim or cpu";
	default:
		return "snpu list  shows what is there;  --device sim  or  --device cpu  run without a card";
	}
}

enum snpu_exit snpu_device_choose(const char *name, bool require, struct snpu_device **device)
{
	struct snpu_device_opts opts = { .sz = sizeof(opts), .flags = require ? SNPU_OPEN_REQUIRE_CARD : 0 };
	char plain[32];
	int err;

	if (strncmp(name, "card:", 5) == 0) {
		snprintf(plain, sizeof(plain), "card%.20s", name + 5);
		name = plain;
	}
	err = snpu_device_open(name, &opts, device);
	if (!err)
		return SNPU_EXIT_OK;
	return snpu_cli_fail_library(err == -EINVAL ? SNPU_EXIT_USAGE : SNPU_EXIT_NO_DEVICE, hint_for(err));
}

/* Packed version with `parts` of 3 fields as text; null when 0. */
static json_t *version(uint32_t v, int parts)
{
	if (!v)
		return json_null();
	if (parts == 3)
		return json_sprintf("%u.%u.%u", v >> 16, (v >> 8) & 0xff, v & 0xff);
	return json_sprintf("%u.%u", v >> 16, v & 0xffff);
}

json_t *snpu_device_facts(const struct snpu_device_info *i)
{
	uint32_t kind = i->kind < KINDS ? i->kind : SNPU_KIND_UNKNOWN;
	json_t *d = json_pack("{s:s, s:s, s:b, s:s, s:i, s:s, s:s, s:s, s:s}", "name", i->name, "kind", kinds[kind].key, "simulated",
			      kind == SNPU_KIND_SIMULATED_CARD || kind == SNPU_KIND_SIMULATOR, "description", i->description,
			      "status", i->status, "note", i->note, "node", i->node, "bus_id", i->bus_id, "isa", i->isa);

	json_object_set_new(d, "driver_version", version(i->driver_version, 2));
	json_object_set_new(d, "hw_version", version(i->hw_version, 2));
	json_object_set_new(d, "fw_version", version(i->fw_version, 3));
	json_object_set_new(d, "fw_abi", version(i->fw_abi, 2));
	json_object_set_new(d, "serial", json_integer(i->serial));
	json_object_set_new(d, "clock_khz", json_integer(i->clock_khz));
	json_object_set_new(d, "max_queues", json_integer(i->max_queues));
	json_object_set_new(d, "max_vms", json_integer(i->max_vms));
	json_object_set_new(d, "priorities", json_integer(i->priorities));
	json_object_set_new(d, "va_bits", json_integer(i->va_bits));
	json_object_set_new(d, "va_start", json_integer((json_int_t)i->va_start));
	json_object_set_new(d, "va_end", json_integer((json_int_t)i->va_end));
	json_object_set_new(d, "memory_total", json_integer((json_int_t)i->device_total));
	json_object_set_new(d, "memory_used", json_integer((json_int_t)i->device_used));
	return d;
}

const char *snpu_device_words(const json_t *device)
{
	const char *kind = snpu_fact_text(device, "kind");

	for (size_t k = 0; k < KINDS; k++)
		if (strcmp(kinds[k].key, kind) == 0)
			return kinds[k].words;
	return kinds[SNPU_KIND_UNKNOWN].words;
}

void snpu_device_line(FILE *f, const char *label, const json_t *device)
{
	const char *isa = snpu_fact_text(device, "isa"), *node = snpu_fact_text(device, "node");
	const char *kernels = strchr(snpu_fact_text(device, "description"), ',');	/* ", avx2 kernels, 8 threads" */

	fprintf(f, "%-*s%s  %s", SNPU_LABEL, label, snpu_fact_text(device, "name"), snpu_device_words(device));
	if (isa[0])
		fputs(kernels ? kernels : "", f);
	if (snpu_fact_number(device, "memory_total") > 0)
		fprintf(f, ", %s of device memory", snpu_text_bytes(SNPU_TEXT, snpu_fact_number(device, "memory_total")));
	if (snpu_fact_text(device, "fw_version")[0])
		fprintf(f, ", firmware %s", snpu_fact_text(device, "fw_version"));
	if (node[0])
		fprintf(f, "  (%s, %s)", node, snpu_fact_text(device, "bus_id"));
	fputc('\n', f);
	if (snpu_fact_text(device, "note")[0])
		fprintf(f, "%-*s%s\n", SNPU_LABEL, "", snpu_fact_text(device, "note"));
}
