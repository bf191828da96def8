/* SPDX-License-Identifier: MIT */
/*
 * The machine the RV32 tests run on: 64 KiB of TCM with a guard area on both sides that nobody may write, and a bus
 * that keeps what it was asked, answers with one settable word and refuses one settable address.
 */
#ifndef SNPU_TESTS_UNIT_RV32_MACHINE_H
#define SNPU_TESTS_UNIT_RV32_MACHINE_H

#include "sim/rv32.h"
#include "tests/harness.h"

enum { TCM_SIZE = 65536, GUARD = 4096, GUARD_BYTE = 0xa5, CODE = 0x1000, DATA = 0x2000, HANDLER = 0x4000 };

struct machine {
	struct rv32 cpu;
	uint32_t tcm_base;
	uint8_t mem[GUARD + TCM_SIZE + GUARD];
	/* the bus */
	uint32_t answer;	/* what a load gets */
	uint32_t refuse;	/* address that faults */
	unsigned int loads, stores;
	uint32_t addr, value;	/* of the last access */
	unsigned int width;
	void (*on_store)(struct machine *m);	/* (optional) what a device would do */
};

static int machine_load(void *ctx, uint32_t addr, unsigned int width, uint32_t *value)
{
	struct machine *m = ctx;

	m->loads++;
	m->addr = addr;
	m->width = width;
	*value = m->answer;
	return addr == m->refuse ? -EFAULT : 0;
}

static int machine_store(void *ctx, uint32_t addr, unsigned int width, uint32_t value)
{
	struct machine *m = ctx;

	m->stores++;
	m->addr = addr;
	m->width = width;
	m->value = value;
	if (m->on_store)
		m->on_store(m);
	return addr == m->refuse ? -EFAULT : 0;
}

static const struct rv32_bus machine_bus = { machine_load, machine_store };

static inline uint8_t *machine_tcm(struct machine *m)
{
	return m->mem + GUARD;
}

/* Every register but x0 holds a value of its own, so that a write to the wrong one shows. */
static inline uint32_t machine_pattern(unsigned int reg)
{
	return reg ? 0x5a000000u + reg * 0x010101u : 0;
}

static inline bool machine_init_at(struct machine *m, uint32_t tcm_base)
{
	memset(m, 0, sizeof(*m));
	memset(m->mem, GUARD_BYTE, sizeof(m->mem));
	memset(machine_tcm(m), 0, TCM_SIZE);
	m->refuse = 0xdead0000;
	m->tcm_base = tcm_base;

	struct rv32_config cfg = { machine_tcm(m), tcm_base, TCM_SIZE, &machine_bus, m };
	bool ok = rv32_init(&m->cpu, &cfg) == 0 && rv32_reset(&m->cpu, tcm_base + CODE) == 0;

	for (unsigned int r = 0; r < 32; r++)
		m->cpu.x[r] = machine_pattern(r);
	return ok;
}

static inline bool machine_init(struct machine *m)
{
	return machine_init_at(m, 0);
}

/* addr counts from the start of the TCM */
static inline void machine_poke(struct machine *m, uint32_t addr, uint32_t word)
{
	for (int i = 0; i < 4; i++)
		machine_tcm(m)[addr + i] = (uint8_t)(word >> 8 * i);
}

static inline uint32_t machine_peek(struct machine *m, uint32_t addr)
{
	const uint8_t *p = machine_tcm(m) + addr;

	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Runs one instruction at pc, which stays as it was before: the word is put there first. */
static inline void machine_exec(struct machine *m, uint32_t insn)
{
	machine_poke(m, m->cpu.pc - m->tcm_base, insn);
	rv32_run(&m->cpu, 1);
}

static inline uint32_t machine_csr(struct machine *m, unsigned int csr)
{
	uint32_t value = 0xbadbad;

	EXPECT_EQ(rv32_csr_read(&m->cpu, csr, &value), 0);
	return value;
}

static inline bool machine_guards_whole(const struct machine *m)
{
	for (unsigned int i = 0; i < GUARD; i++)
		if (m->mem[i] != GUARD_BYTE || m->mem[GUARD + TCM_SIZE + i] != GUARD_BYTE)
			return false;
	return true;
}

#endif
