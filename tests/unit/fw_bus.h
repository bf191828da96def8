/* SPDX-License-Identifier: MIT */
/*
 * A bench for the firmware: the interpreter, the core's memory, the control area, and the least of a card that the firmware
 * needs. Time stands still and the engine does nothing until the test says so. No threads; one bench, one test.
 */
#ifndef FW_BUS_H
#define FW_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "firmware/tests/mailbox.h"
#include "hw/snpu_core.h"
#include "hw/snpu_fw_abi.h"
#include "hw/snpu_regs.h"
#include "sim/rv32.h"

struct fw_bus {
	struct rv32 cpu;
	uint8_t tcm[SNPU_CORE_TCM_SIZE] __attribute__((aligned(8)));
	uint8_t ctl[SNPU_CTL_SIZE] __attribute__((aligned(8)));
	uint32_t irq;			/* CMD and ENGINE */
	uint64_t rung;			/* doorbells, one bit a queue */
	uint64_t time_us, timecmp;
	uint32_t fw_version, host_irqs;
	bool crashed;			/* CRASH was written */
	uint32_t ready_state;		/* header.state when the header's magic was written */
	struct {
		bool busy;
		uint32_t result, queue, desc;
		uint32_t cmd;		/* last command taken: enum snpu_eng_cmd; the test zeroes it */
		uint64_t progress;
	} eng;
	struct {
		uint32_t select, result;
		size_t name_len, note_len;
		char name[64], note[4096];
	} box;
};

/* Reads an image file and puts its sections into the core's memory; false when it cannot. */
bool fw_bus_load(struct fw_bus *bus, const char *path, struct snpu_fw_image *head);
/* Runs until the core sleeps with nothing pending, stops, or has tried n instructions. */
enum rv32_stop fw_bus_run(struct fw_bus *bus, uint64_t n);
void fw_bus_engine_stop(struct fw_bus *bus, enum snpu_eng_result result);
void fw_bus_ring(struct fw_bus *bus, uint32_t queue);
void fw_bus_cmd_ring(struct fw_bus *bus);
void fw_bus_time_add(struct fw_bus *bus, uint64_t us);

#endif
