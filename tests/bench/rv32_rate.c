// SPDX-License-Identifier: MIT
/*
 * How fast the management core runs: instructions per second of a loop of arithmetic, a load, a store and a branch, as
 * firmware has them, with an empty bus. Prints the best of five rounds; a number to look at, not a test.
 */
#include "sim/rv32.h"
#include "tests/unit/rv32_asm.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static int no_load(void *ctx, uint32_t addr, unsigned int width, uint32_t *value)
{
	return -1;
}

static int no_store(void *ctx, uint32_t addr, unsigned int width, uint32_t value)
{
	return -1;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(void)
{
	static const uint32_t loop[] = {
		LW(5, 0x400, 0), ADDI(5, 5, 1), SLLI(6, 5, 3), XOR(7, 7, 6), ANDI(8, 7, 0xff), SW(5, 0x400, 0), MUL(9, 5, 7), SRLI(9, 9, 2),
		LBU(10, 0x400, 0), SUB(11, 10, 9), SLTU(12, 11, 7), BNE(12, 0, 8), ADD(13, 13, 12), JAL(0, -13 * 4),
	};
	static const struct rv32_bus bus = { no_load, no_store };
	static uint8_t tcm[4096];
	struct rv32_config cfg = { tcm, 0, sizeof(tcm), &bus, NULL };
	const uint64_t n = 50 * 1000 * 1000;
	double best = 1e9;
	struct rv32 cpu;

	memcpy(tcm, loop, sizeof(loop));
	if (rv32_init(&cpu, &cfg))
		return 1;
	for (int round = 0; round < 5; round++) {
		double start = seconds();

		if (rv32_run(&cpu, n) != RV32_STOP_BUDGET || cpu.exceptions)
			return 1;
		best = seconds() - start < best ? seconds() - start : best;
	}
	printf("rv32: %.0f million instructions/s\n", (double)n / best / 1e6);
	return 0;
}
