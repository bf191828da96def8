/* SPDX-License-Identifier: MIT */
/* The bench's bus: core registers as hw/snpu_core.def says, and the test mailbox. See fw_bus.h. */
#include "fw_bus.h"

#include <stdio.h>
#include <string.h>

static void bus_lines(struct fw_bus *bus)
{
	rv32_line_set(&bus->cpu, RV32_LINE_EXT, bus->irq || bus->rung);
	rv32_line_set(&bus->cpu, RV32_LINE_TIMER, bus->time_us >= bus->timecmp);
}

static int bus_core_load(struct fw_bus *bus, uint32_t offset, uint32_t *value)
{
	switch (offset) {
	case SNPU_CORE_REG_IRQ_PENDING:
		*value = bus->irq | (bus->rung ? SNPU_CORE_IRQ_DOORBELL : 0);
		return 0;
	case SNPU_CORE_REG_DB_PENDING_LO:
		*value = (uint32_t)bus->rung;
		return 0;
	case SNPU_CORE_REG_DB_PENDING_HI:
		*value = (uint32_t)(bus->rung >> 32);
		return 0;
	case SNPU_CORE_REG_MTIME_LO:
		*value = (uint32_t)bus->time_us;
		return 0;
	case SNPU_CORE_REG_MTIME_HI:
		*value = (uint32_t)(bus->time_us >> 32);
		return 0;
	case SNPU_CORE_REG_ENG_STATUS:
		*value = (bus->eng.busy ? SNPU_ENG_BUSY : SNPU_ENG_IDLE) | bus->eng.result << 8;
		return 0;
	case SNPU_CORE_REG_ENG_PROGRESS_LO:
		*value = (uint32_t)bus->eng.progress;
		return 0;
	case SNPU_CORE_REG_ENG_PROGRESS_HI:
		*value = (uint32_t)(bus->eng.progress >> 32);
		return 0;
	default:
		return 1;		/* the firmware reads nothing else */
	}
}

static void bus_engine_cmd(struct fw_bus *bus, uint32_t cmd)
{
	bool begins = cmd == SNPU_ENG_START || cmd == SNPU_ENG_RESUME;

	if (begins == bus->eng.busy)
		return;
	bus->eng.busy = true;
	bus->eng.cmd = cmd;
}

static int bus_core_store(struct fw_bus *bus, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case SNPU_CORE_REG_IRQ_CLEAR:
		bus->irq &= ~value;
		return 0;
	case SNPU_CORE_REG_DB_PENDING_LO:
		bus->rung &= ~(uint64_t)value;
		return 0;
	case SNPU_CORE_REG_DB_PENDING_HI:
		bus->rung &= ~((uint64_t)value << 32);
		return 0;
	case SNPU_CORE_REG_HOST_IRQ:
		bus->host_irqs += value == SNPU_IRQ_STATUS_EVENT_MASK;
		return 0;
	case SNPU_CORE_REG_FW_VERSION:
		bus->fw_version = value;
		return 0;
	case SNPU_CORE_REG_CRASH:
		bus->crashed = true;
		return 0;
	case SNPU_CORE_REG_MTIMECMP_LO:
		bus->timecmp = (bus->timecmp & ~0xffffffffull) | value;
		return 0;
	case SNPU_CORE_REG_MTIMECMP_HI:
		bus->timecmp = (bus->timecmp & 0xffffffffull) | (uint64_t)value << 32;
		return 0;
	case SNPU_CORE_REG_ENG_CTRL:
		bus_engine_cmd(bus, value);
		return 0;
	case SNPU_CORE_REG_ENG_QUEUE:
		bus->eng.queue = value;
		return 0;
	case SNPU_CORE_REG_ENG_DESC:
		bus->eng.desc = value;
		return 0;
	default:
		return 1;
	}
}

static int bus_box_load(struct fw_bus *bus, uint32_t offset, uint32_t *value)
{
	switch (offset) {
	case FW_TEST_SELECT:
		*value = bus->box.select;
		return 0;
	case FW_TEST_ENG_CMD:
		*value = bus->eng.cmd;
		bus->eng.cmd = 0;
		return 0;
	case FW_TEST_HOST_IRQS:
		*value = bus->host_irqs;
		bus->host_irqs = 0;
		return 0;
	case FW_TEST_LINES:
		*value = bus->cpu.lines;
		return 0;
	case FW_TEST_TIMECMP:
		*value = (uint32_t)bus->timecmp;
		return 0;
	default:
		return 1;
	}
}

static void bus_text(char *text, size_t size, size_t *len, uint32_t c)
{
	if (*len + 1 < size)
		text[(*len)++] = (char)c;
}

static int bus_box_store(struct fw_bus *bus, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case FW_TEST_NAME:
		bus_text(bus->box.name, sizeof(bus->box.name), &bus->box.name_len, value);
		return 0;
	case FW_TEST_NOTE:
		bus_text(bus->box.note, sizeof(bus->box.note), &bus->box.note_len, value);
		return 0;
	case FW_TEST_RESULT:
		if (!bus->box.result)	/* the core goes on for a few instructions */
			bus->box.result = value;
		return 0;
	case FW_TEST_TIME_ADD:
		fw_bus_time_add(bus, value);
		return 0;
	case FW_TEST_RING:
		fw_bus_ring(bus, value);
		return 0;
	case FW_TEST_CMD_RING:
		fw_bus_cmd_ring(bus);
		return 0;
	case FW_TEST_ENG_STOP:
		fw_bus_engine_stop(bus, value);
		return 0;
	case FW_TEST_ENG_PROGRESS:
		bus->eng.progress = value;
		return 0;
	default:
		return 1;
	}
}

static int bus_load(void *ctx, uint32_t addr, unsigned int width, uint32_t *value)
{
	struct fw_bus *bus = ctx;

	*value = 0;
	if (addr - SNPU_CORE_CTL <= SNPU_CTL_SIZE - width) {
		memcpy(value, bus->ctl + (addr - SNPU_CORE_CTL), width);
		return 0;
	}
	if (width != 4)
		return 1;
	if (addr - SNPU_CORE_REGS < SNPU_CORE_REGS_SIZE)
		return bus_core_load(bus, addr - SNPU_CORE_REGS, value);
	if (addr - FW_TEST_REGS < FW_TEST_REGS_SIZE)
		return bus_box_load(bus, addr - FW_TEST_REGS, value);
	return 1;
}

static int bus_store(void *ctx, uint32_t addr, unsigned int width, uint32_t value)
{
	const struct snpu_fw_header *header;
	struct fw_bus *bus = ctx;
	int err = 1;

	if (addr - SNPU_CORE_CTL <= SNPU_CTL_SIZE - width) {
		memcpy(bus->ctl + (addr - SNPU_CORE_CTL), &value, width);
		header = (const void *)(bus->ctl + SNPU_CTL_HEADER);
		if (addr - SNPU_CORE_CTL == SNPU_CTL_HEADER && header->magic == SNPU_FW_HEADER_MAGIC)
			bus->ready_state = header->state;
		return 0;
	}
	if (width == 4 && addr - SNPU_CORE_REGS < SNPU_CORE_REGS_SIZE)
		err = bus_core_store(bus, addr - SNPU_CORE_REGS, value);
	else if (width == 4 && addr - FW_TEST_REGS < FW_TEST_REGS_SIZE)
		err = bus_box_store(bus, addr - FW_TEST_REGS, value);
	bus_lines(bus);
	return err;
}

bool fw_bus_load(struct fw_bus *bus, const char *path, struct snpu_fw_image *head)
{
	static const struct rv32_bus ops = { bus_load, bus_store };
	struct rv32_config cfg = { bus->tcm, SNPU_CORE_TCM, SNPU_CORE_TCM_SIZE, &ops, bus };
	FILE *f = fopen(path, "rb");
	bool ok = f && fread(head, sizeof(*head), 1, f) == 1 && head->sections <= SNPU_FW_MAX_SECTIONS;

	memset(bus, 0, sizeof(*bus));
	bus->timecmp = ~0ull;
	memset(bus->tcm, 0xa5, sizeof(bus->tcm));	/* what the firmware does not set, it must not rely on */
	for (uint32_t i = 0; ok && i < head->sections; i++) {
		const struct snpu_fw_section *s = &head->section[i];

		memset(bus->tcm + s->load, 0, s->mem_size);
		ok = !fseek(f, s->offset, SEEK_SET) && fread(bus->tcm + s->load, 1, s->size, f) == s->size;
	}
	if (f)
		fclose(f);
	return ok && !rv32_init(&bus->cpu, &cfg) && !rv32_reset(&bus->cpu, head->entry);
}

enum rv32_stop fw_bus_run(struct fw_bus *bus, uint64_t n)
{
	enum rv32_stop stop = RV32_STOP_BUDGET;
	uint64_t end = bus->cpu.steps + n;

	bus_lines(bus);
	while (bus->cpu.steps < end && !bus->crashed && !bus->box.result) {
		uint64_t left = end - bus->cpu.steps;

		/* In small slices, so that a stop asked for by a register takes effect soon. */
		stop = rv32_run(&bus->cpu, left < 256 ? left : 256);
		if (stop != RV32_STOP_BUDGET)
			break;
	}
	return stop;
}

void fw_bus_engine_stop(struct fw_bus *bus, enum snpu_eng_result result)
{
	bus->eng.busy = false;
	bus->eng.result = result;
	bus->irq |= SNPU_CORE_IRQ_ENGINE;
	bus_lines(bus);
}

void fw_bus_ring(struct fw_bus *bus, uint32_t queue)
{
	bus->rung |= 1ull << (queue & 63);
	bus_lines(bus);
}

void fw_bus_cmd_ring(struct fw_bus *bus)
{
	bus->irq |= SNPU_CORE_IRQ_CMD;
	bus_lines(bus);
}

void fw_bus_time_add(struct fw_bus *bus, uint64_t us)
{
	bus->time_us += us;
	bus_lines(bus);
}
