/* SPDX-License-Identifier: MIT */
/*
 * Runs the firmware's own tests (firmware/tests) where the firmware runs: inside the interpreter, each in a core that was
 * just reset. Turns what they put into the mailbox into TAP.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fw_bus.h"

#define TEST_STEPS	200000000ull	/* instructions; the longest test takes a tenth */

/* The reason a test that did not report ended, or NULL when it did report. */
static const char *core_end(const struct fw_bus *bus, enum rv32_stop stop)
{
	if (bus->box.result)
		return NULL;
	if (bus->crashed)
		return "the firmware crashed";
	if (stop == RV32_STOP_LOCKUP)
		return "the core locked up";
	return stop == RV32_STOP_WFI ? "the firmware slept for good" : "the test did not end";
}

static void core_notes(char *note)
{
	for (char *line = strtok(note, "\n"); line; line = strtok(NULL, "\n"))
		printf("# %s\n", line);
}

int main(int argc, char **argv)
{
	struct fw_bus *bus = malloc(sizeof(*bus));
	struct snpu_fw_image head;
	int n = 0, failed = 0;

	puts("TAP version 13");
	for (uint32_t select = 0; bus; select++) {
		enum rv32_stop stop;
		const char *end;

		if (!fw_bus_load(bus, FW_DIR "/fw-test.bin", &head)) {
			printf("# cannot load %s\n", FW_DIR "/fw-test.bin");
			break;
		}
		bus->box.select = select;
		stop = fw_bus_run(bus, TEST_STEPS);
		if (bus->box.result == FW_TEST_NO_MORE)
			break;
		if (argc > 1 && !strstr(bus->box.name, argv[1]))
			continue;
		core_notes(bus->box.note);
		end = core_end(bus, stop);
		if (end)
			printf("# %s at pc %#x: %s\n", end, bus->cpu.pc,
			       ((struct snpu_fw_crash *)(bus->ctl + SNPU_CTL_CRASH))->message);
		failed += bus->box.result != FW_TEST_PASSED;
		printf("%s %d %s\n", bus->box.result == FW_TEST_PASSED ? "ok" : "not ok", ++n, bus->box.name);
		if (select > 1000)
			break;
	}
	printf("1..%d\n", n);
	free(bus);
	return n == 0 || failed;
}
