// SPDX-License-Identifier: MIT
/*
 * `snpu list`: cards from two sides. The PCI bus shows every card, also one without a driver; the library shows those that
 * can be asked, and the devices that need no card. A card is joined by its bus address.
 */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <snpu/snpu.h>

#include "device.h"
#include "pci.h"
#include "text.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
	bool *json = state->input;

	switch (key) {
	case 'j':
		*json = true;
		snpu_cli_json(true);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "no argument is expected, and '%s' is one", arg);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "json", 'j', NULL, 0, "print JSON", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = options, .parser = parse,
	.doc = "Lists the cards of this machine, with and without a driver, and the devices that are always there."
	       "\vExit status: 0, also when there is no card.",
};

static json_t *pci_facts(const struct snpu_pci_card *c)
{
	json_t *bars = json_array(), *facts;

	for (int i = 0; i < SNPU_PCI_BARS; i++)
		json_array_append_new(bars, json_integer((json_int_t)c->bar_size[i]));
	facts = json_pack("{s:s, s:o, s:o, s:i, s:s, s:s, s:s, s:s, s:b, s:i, s:i, s:o}", "bus_id", c->bus_id,
			 "id", json_sprintf("%04x:%04x", c->vendor, c->device),
			 "subsystem", json_sprintf("%04x:%04x", c->subvendor, c->subdevice), "revision", c->revision, "driver", c->driver,
			 "node", c->node, "mode", c->mode, "owner", c->owner, "accessible", c->accessible,
			 "iommu_group", c->iommu_group, "numa_node", c->numa_node, "bar_bytes", bars);
	if (c->driver[0])
		json_object_set_new(facts, "asleep", json_boolean(c->asleep));
	if (c->busy_us >= 0)
		json_object_set_new(facts, "busy_s", json_real((double)c->busy_us / 1e6));
	if (c->temp_mc >= 0)
		json_object_update_new(facts, json_pack("{s:f, s:f, s:f}", "temperature_c", (double)c->temp_mc / 1e3,
							"power_w", (double)c->power_uw / 1e6, "energy_j", (double)c->energy_uj / 1e6));
	return facts;
}

static json_t *devices_facts(void)
{
	json_t *devices = json_array();
	struct snpu_device_info info;

	for (unsigned int i = 0;; i++) {
		memset(&info, 0, sizeof(info));
		info.sz = sizeof(info);
		if (snpu_devices(i, &info))
			return devices;
		json_array_append_new(devices, snpu_device_facts(&info));
	}
}

static const json_t *device_of(const json_t *devices, const char *bus_id)
{
	size_t i;
	json_t *d;

	json_array_foreach(devices, i, d)
		if (strcmp(snpu_fact_text(d, "bus_id"), bus_id) == 0)
			return d;
	return NULL;
}

/* Why a card cannot be used, and what to do about it; "" when it can. */
static const char *card_problem(const json_t *pci, const json_t *device)
{
	static char text[320];

	text[0] = 0;
	if (!snpu_fact_text(pci, "driver")[0])
		return "no driver is bound: sudo modprobe snpu, then look at dmesg";
	if (strcmp(snpu_fact_text(pci, "driver"), "snpu"))
		return "another driver has it (a virtual machine's pass-through?): unbind that, then sudo modprobe snpu";
	if (!snpu_fact_text(pci, "node")[0])
		return "the driver made no node: dmesg | grep snpu tells why (firmware?)";
	if (!snpu_fact_text(pci, "mode")[0])
		return "the node is not in /dev: is udev running, and is /dev passed into this container?";
	if (!json_is_true(snpu_fact(pci, "accessible")))
		snprintf(text, sizeof(text), "no permission: sudo usermod -aG %s $USER, then log in again", strchr(snpu_fact_text(pci, "owner"), ':') ?
			 strchr(snpu_fact_text(pci, "owner"), ':') + 1 : "render");
	else if (device && snpu_fact_number(device, "status") != 0)
		snprintf(text, sizeof(text), "%s", snpu_fact_text(device, "note"));
	return text;
}

static void print_card(FILE *f, const json_t *pci, const json_t *devices)
{
	const json_t *d = device_of(devices, snpu_fact_text(pci, "bus_id"));
	bool asked = d && (snpu_fact_number(d, "status") == 0 || snpu_fact_number(d, "status") == -ENOPKG);	/* without firmware it can tell */
	const char *driver = snpu_fact_text(pci, "driver"), *problem = card_problem(pci, d);

	fprintf(f, "%-*s%s\n", SNPU_LABEL, d ? snpu_fact_text(d, "name") : "-",
		asked ? snpu_device_words(d) : "card, not asked yet whether it is silicon or simulated");
	fprintf(f, "%-*spci %s  %s  driver %s", SNPU_LABEL, "", snpu_fact_text(pci, "bus_id"), snpu_fact_text(pci, "id"), driver[0] ? driver : "none");
	if (asked)
		fprintf(f, " %s", snpu_fact_text(d, "driver_version"));
	if (snpu_fact_number(pci, "iommu_group") >= 0)
		fprintf(f, "  IOMMU group %.0f", snpu_fact_number(pci, "iommu_group"));
	fputc('\n', f);
	if (snpu_fact_text(pci, "node")[0])
		fprintf(f, "%-*s%s  %s %s  %s\n", SNPU_LABEL, "", snpu_fact_text(pci, "node"), snpu_fact_text(pci, "mode"), snpu_fact_text(pci, "owner"),
			json_is_true(snpu_fact(pci, "accessible")) ? "you may use it" : "you may not use it");
	if (asked)
		fprintf(f, "%-*shardware %s  firmware %s  memory %s, %s used  %.0f queues  clock %.0f MHz\n", SNPU_LABEL, "",
			snpu_fact_text(d, "hw_version"), snpu_fact_text(d, "fw_version")[0] ? snpu_fact_text(d, "fw_version") : "none", snpu_text_bytes(SNPU_TEXT, snpu_fact_number(d, "memory_total")),
			snpu_text_bytes(SNPU_TEXT, snpu_fact_number(d, "memory_used")), snpu_fact_number(d, "max_queues"), snpu_fact_number(d, "clock_khz") / 1000);
	if (snpu_fact(pci, "temperature_c"))
		fprintf(f, "%-*s%.1f °C  %.2f W  %.0f J since power-up%s  engine busy for %s\n", SNPU_LABEL, "", snpu_fact_number(pci, "temperature_c"),
			snpu_fact_number(pci, "power_w"), snpu_fact_number(pci, "energy_j"),
			asked && !json_is_true(snpu_fact(d, "simulated")) ? "" : " (simulated)", snpu_text_seconds(SNPU_TEXT, snpu_fact_number(pci, "busy_s")));
	else if (json_is_true(snpu_fact(pci, "asleep")))
		fprintf(f, "%-*sasleep, until somebody uses it  engine busy for %s\n", SNPU_LABEL, "", snpu_text_seconds(SNPU_TEXT, snpu_fact_number(pci, "busy_s")));
	if (problem[0])
		fprintf(f, "%-*s%s\n", SNPU_LABEL, "", problem);
}

static void print_text(const json_t *facts, int pci_status)
{
	const json_t *cards = snpu_fact(facts, "cards"), *devices = snpu_fact(facts, "devices");
	FILE *f = snpu_screen_begin();
	json_t *c, *d;
	size_t i;

	json_array_foreach(cards, i, c)
		print_card(f, c, devices);
	if (pci_status < 0)
		fprintf(f, "%-*sthe PCI bus cannot be read here (%s), so cards without a driver are not shown\n", SNPU_LABEL, "cards", strerror(-pci_status));
	else if (!json_array_size(cards))
		fprintf(f, "%-*snone on the PCI bus\n", SNPU_LABEL, "cards");
	json_array_foreach(devices, i, d) {
		bool joined = false;
		json_t *p;
		size_t k;

		json_array_foreach(cards, k, p)
			joined |= strcmp(snpu_fact_text(p, "bus_id"), snpu_fact_text(d, "bus_id")) == 0;
		if (joined)
			continue;
		fprintf(f, "%-*s%s\n", SNPU_LABEL, snpu_fact_text(d, "name"), snpu_fact_text(d, "description"));
		if (snpu_fact_text(d, "note")[0])
			fprintf(f, "%*s%s\n", SNPU_LABEL, "", snpu_fact_text(d, "note"));
	}
	fprintf(f, "\n%-*ssnpu info NAME;  snpu run MODEL.nir --input FILE --device NAME\n", SNPU_LABEL, "next");
	snpu_screen_end();
}

enum snpu_exit snpu_cmd_list(int argc, char **argv)
{
	struct snpu_pci_card *cards = NULL;
	json_t *facts, *list = json_array();
	bool json = false;
	int n;

	snpu_cli_parse(&argp, argc, argv, &json);
	n = snpu_pci_cards(&cards);
	for (int i = 0; i < n; i++)
		json_array_append_new(list, pci_facts(&cards[i]));
	free(cards);
	facts = snpu_cli_facts();
	json_object_set_new(facts, "pci_readable", json_boolean(n >= 0));
	json_object_set_new(facts, "cards", list);
	json_object_set_new(facts, "devices", devices_facts());
	if (json)
		return snpu_cli_print_json(facts) ? SNPU_EXIT_OK : SNPU_EXIT_FAILURE;
	print_text(facts, n);
	json_decref(facts);
	return SNPU_EXIT_OK;
}
